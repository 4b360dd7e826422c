#include "services/brain/constraints.h"

#include <re2/re2.h>

#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/menu/catalogue.h"

namespace arc::brain {
// What else people call an allergen; the menu's own names and usual ones are menu::AllergenBits().
std::vector<std::string> AllergensNamed(const std::string& phrase) {
  static const auto* const more_names = new std::vector<std::pair<std::string, std::vector<std::string>>>{
      {"dairy products", {"dairy"}},
      {"milk products", {"dairy"}},
      {"cheese", {"dairy"}},
      {"butter", {"dairy"}},
      {"cream", {"dairy"}},
      {"cows milk", {"dairy"}},
      {"cow milk", {"dairy"}},
      {"yoghurt", {"dairy"}},
      {"seafood", {"fish", "crustaceans", "molluscs"}},
      {"bread", {"gluten"}},
      {"barley", {"gluten"}},
      {"rye", {"gluten"}},
      {"flour", {"gluten"}},
      {"almonds", {"nuts"}},
      {"almond", {"nuts"}},
      {"hazelnuts", {"nuts"}},
      {"hazelnut", {"nuts"}},
      {"walnuts", {"nuts"}},
      {"walnut", {"nuts"}},
      {"cashews", {"nuts"}},
      {"pistachios", {"nuts"}},
      {"pecans", {"nuts"}},
      {"crab", {"crustaceans"}},
      {"lobster", {"crustaceans"}},
      {"prawn", {"crustaceans"}},
      {"shrimps", {"crustaceans"}},
      {"mussels", {"molluscs"}},
      {"oysters", {"molluscs"}},
      {"squid", {"molluscs"}},
      {"clams", {"molluscs"}},
      {"tofu", {"soy"}},
      {"soy sauce", {"soy"}},
      {"anchovies", {"fish"}},
      {"salmon", {"fish"}},
      {"tuna", {"fish"}},
      {"cod", {"fish"}},
      {"tahini", {"sesame"}},
      {"lupins", {"lupin"}},
      {"celiac", {"gluten"}},
      {"celiac disease", {"gluten"}},
      {"egg whites", {"egg"}},
      {"ground nuts", {"peanuts"}},
      {"groundnuts", {"peanuts"}},
      {"peanut butter", {"peanuts"}},
      {"mayonnaise", {"egg"}},
      {"mayo", {"egg"}},
  };
  for (const auto& [name, allergens] : *more_names) {
    if (name == phrase) return allergens;
  }
  const std::optional<menu::Bits> bits = menu::AllergenBits(phrase);
  if (!bits.has_value()) return {};
  std::vector<std::string> names = menu::AllergenNamesOf(*bits);
  // Whoever is allergic to "nuts" rarely means tree nuts alone, and a wrong guess is dangerous.
  if (phrase == "nuts" || phrase == "nut" || phrase == "all nuts") names.push_back("peanuts");
  return names;
}

std::string DietNamed(const std::string& phrase) {
  static const auto* const more_names = new std::vector<std::pair<std::string, std::string>>{
      {"vegans", "vegan"},          {"vegetarians", "vegetarian"},
      {"veggies", "vegetarian"},    {"pescatarians", "pescatarian"},
      {"muslim", "halal"},          {"muslims", "halal"},
      {"wheat free", "gluten_free"}};
  for (const auto& [name, diet] : *more_names) {
    if (name == phrase) return diet;
  }
  const std::optional<menu::Bits> bits = menu::DietaryBit(phrase);
  if (!bits.has_value()) return "";
  const std::vector<std::string> names = menu::DietaryNamesOf(*bits);
  if (names.size() != 1) return "";
  // Properties that nobody needs for his health or faith are looked for, not enforced.
  const std::string& name = names[0];
  return name == "organic" || name == "low_carb" || name == "sugar_free" ? "" : name;
}

namespace {

Words Split(absl::string_view text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

void AddUnique(std::vector<std::string>& to, const std::string& value) {
  if (!absl::c_linear_search(to, value)) to.push_back(value);
}

constexpr char kPerson[] =
    "(?:(?:because |so |and |but |well |that )*(?:i|we|he|she|they|(?:my|our)(?: little| older| younger)? "
    "[a-z]+|one of us)"
    "(?: am| are| is| have| has| got| have got| has got| do| does| really| strictly| also| both| just| only| "
    "all| a| an| severe| bad| very| severely)* )?";

// Takes what customers say about their health and faith out of `words`.
void ReadConstraints(Words& words, Constraints& out) {
  static const auto* const before = new RE2(
      absl::StrCat("(", kPerson,
                   "(?:(?:allergic|allergy|allergies|allergen|intolerant|intolerance|sensitive|sensitivity) "
                   "(?:to|against)|"
                   "(?:can not|must not|should not|may not|cannot) "
                   "(?:eat|have|drink|tolerate|do|digest|take|handle)|not (?:eat|drink|tolerate|do well with)"
                   "|avoid(?:ing)?|stay away from|steer clear of)(?: any| anything with| food with| all| "
                   "the| things with)* )"));
  static const auto* const after = new RE2(absl::StrCat(
      "(", kPerson, ")((?:[a-z]+ )?[a-z]+) (?:allergy|allergies|allergic|intolerant|intolerance)\\b"));
  static const auto* const no_for_me =
      new RE2("\\bno (?:any )?((?:[a-z]+ )?[a-z]+) for (?:me|us|him|her|them|my [a-z]+)\\b");
  static const auto* const celiac =
      new RE2(absl::StrCat(kPerson, "\\b(?:with )?celiac(?: disease)?(?: sufferers?)?\\b"));
  static const auto* const i_am = new RE2(absl::StrCat(
      "(?:(?:because |so |and |but |well |that )*(?:i|we|he|she|they|(?:my|our) [a-z]+|one of us|everyone)"
      "(?: (?:am|are|is|have to be|has to be|try to "
      "be|eat|eats|keep|follow|only|strictly|a|an|all|both|also|really))+ )"
      "((?:[a-z]+ )?[a-z]+)( diet| food| only| people| eaters?)?\\b"));
  static const auto* const need = new RE2(
      "\\b(?:i|we) (?:need|require|must have|want)(?: everything| it| my food| all| our food)*(?: to be)? "
      "((?:[a-z]+ )?[a-z]+)( food| diet| only)?$");
  static const auto* const alone = new RE2(
      "^(?:(?:only|everything|all|strictly|it (?:has|must|needs) to be|make it all|make everything) "
      ")?((?:[a-z]+ )?[a-z]+)"
      "(?: (?:only|for (?:me|us)|food|thanks|diet|everything))*$");

  std::string text = Join(words);
  const auto cut = [&](size_t begin, size_t length) {
    text = absl::StrCat(text.substr(0, begin), " ", text.substr(begin + length));
    text = Join(Split(text));
  };
  // Reads allergens from `rest`; returns how many words they took, connectives included.
  const auto read_list = [&](const Words& rest, bool unknown_too) {
    size_t taken = 0;
    size_t i = 0;
    while (i < rest.size()) {
      const std::string& word = rest[i];
      if (word == "and" || word == "or" || word == "any" || word == "all" || word == "also" || word == "to" ||
          word == "the" || word == "kinds" || word == "of") {
        ++i;
        continue;
      }
      size_t length = 2;
      std::vector<std::string> found;
      for (; length > 0 && found.empty(); --length) {
        if (i + length > rest.size()) continue;
        found = AllergensNamed(Join(rest, i, i + length));
        if (!found.empty()) break;
      }
      if (found.empty()) {
        if (word == "meat" || word == "animals") {
          AddUnique(out.dietary_filters, "vegetarian");
          length = 1;
        } else if (word == "gluten") {
          length = 1;
        } else if (unknown_too && taken == 0 && !IsCommonWord(word)) {
          AddUnique(out.unknown_allergens, word);
          length = 1;
        } else {
          break;
        }
      }
      for (const std::string& name : found) AddUnique(out.exclude_allergens, name);
      i += length;
      if (i < rest.size() && (rest[i] == "products" || rest[i] == "product" || rest[i] == "stuff")) ++i;
      taken = i;
    }
    return taken;
  };

  for (int round = 0; round < 6; ++round) {
    re2::StringPiece groups[3];
    const re2::StringPiece input(text);
    if (before->Match(input, 0, input.size(), RE2::UNANCHORED, groups, 2)) {
      const auto begin = static_cast<size_t>(groups[0].data() - text.data());
      const size_t length = groups[0].size();
      const std::string trigger = std::string(groups[0]);
      const bool allergy = absl::StrContains(trigger, "llerg") || absl::StrContains(trigger, "toler") ||
                           absl::StrContains(trigger, "sensitiv");
      const Words rest = Split(text.substr(begin + length));
      const size_t taken = read_list(rest, allergy);
      if (taken > 0) {
        cut(begin, length + Join(rest, 0, taken).size());
        continue;
      }
    }
    if (after->Match(input, 0, input.size(), RE2::UNANCHORED, groups, 3)) {
      const Words named = Split(std::string(groups[2]));
      const auto begin = static_cast<size_t>(groups[0].data() - text.data());
      std::vector<std::string> found = AllergensNamed(Join(named));
      size_t kept = 0;
      if (found.empty() && named.size() == 2) {
        found = AllergensNamed(named[1]);
        if (!found.empty() && groups[1].empty()) kept = named[0].size() + 1;
      }
      // "any allergies" is a question.
      if (found.empty() && !named.empty() && !IsCommonWord(named.back()) && !groups[1].empty()) {
        AddUnique(out.unknown_allergens, named.back());
        cut(begin, groups[0].size());
        continue;
      }
      if (!found.empty()) {
        for (const std::string& name : found) AddUnique(out.exclude_allergens, name);
        cut(begin + kept, groups[0].size() - kept);
        continue;
      }
    }
    if (no_for_me->Match(input, 0, input.size(), RE2::UNANCHORED, groups, 2)) {
      const std::vector<std::string> found = AllergensNamed(std::string(groups[1]));
      if (!found.empty()) {
        for (const std::string& name : found) AddUnique(out.exclude_allergens, name);
        cut(static_cast<size_t>(groups[0].data() - text.data()), groups[0].size());
        continue;
      }
    }
    if (celiac->Match(input, 0, input.size(), RE2::UNANCHORED, groups, 1) && !absl::StartsWith(text, "is ") &&
        !absl::StartsWith(text, "what")) {
      AddUnique(out.exclude_allergens, "gluten");
      cut(static_cast<size_t>(groups[0].data() - text.data()), groups[0].size());
      continue;
    }
    const auto diet_of = [](const re2::StringPiece& piece, size_t& unused) {
      const Words named = Split(std::string(piece));
      unused = 0;
      std::string diet = DietNamed(Join(named));
      if (diet.empty() && named.size() == 2) {
        diet = DietNamed(named[0]);
        if (!diet.empty()) unused = named[1].size() + 1;
      }
      return diet;
    };
    bool found = false;
    for (const RE2* pattern : {i_am, need, alone}) {
      const re2::StringPiece now(text);
      if (!pattern->Match(now, 0, now.size(), RE2::UNANCHORED, groups, 2)) continue;
      size_t unused = 0;
      const std::string diet = diet_of(groups[1], unused);
      if (diet.empty() || (unused > 0 && pattern == alone)) continue;
      AddUnique(out.dietary_filters, diet);
      const auto begin = static_cast<size_t>(groups[0].data() - text.data());
      cut(begin, unused > 0
                     ? static_cast<size_t>(groups[1].data() - text.data()) + groups[1].size() - unused - begin
                     : groups[0].size());
      found = true;
      break;
    }
    if (!found) break;
  }
  Words left = Split(text);
  while (!left.empty() && (left.front() == "and" || left.front() == "so" || left.front() == "but" ||
                           left.front() == "because")) {
    if (out.exclude_allergens.empty() && out.dietary_filters.empty() && out.unknown_allergens.empty()) break;
    left.erase(left.begin());
  }
  while (!left.empty() &&
         (left.back() == "and" || left.back() == "so" || left.back() == "but" || left.back() == "because")) {
    left.pop_back();
  }
  words = std::move(left);
}

}  // namespace

Constraints TakeConstraints(Words& words) {
  Constraints constraints;
  ReadConstraints(words, constraints);
  return constraints;
}

}  // namespace arc::brain
