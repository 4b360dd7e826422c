#include "services/menu/refusals.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

using WordSet = absl::flat_hash_set<absl::string_view>;

// "Not", but for "no" and its like: those stand right before what they refuse.
bool IsNegation(absl::string_view word) {
  static const auto* const words = new WordSet{
      "not",    "without", "nothing", "never",    "dont",      "doesnt", "isnt",    "arent", "wont", "cant",
      "cannot", "except",  "avoid",   "avoiding", "excluding", "minus",  "neither", "nor",   "hate", "hates"};
  return words->contains(word);
}
bool IsNo(absl::string_view word) {
  return word == "no" || word == "non";
}

// Between a negation and what it is about.
bool IsFillerAfterNo(absl::string_view word) {
  static const auto* const words = new WordSet{"any", "added", "extra", "more", "the", "a", "of"};
  return words->contains(word);
}
bool IsFiller(absl::string_view word) {
  static const auto* const words =
      new WordSet{"too",      "very", "so",   "really", "overly",  "that",       "much",     "many",
                  "want",     "like", "eat",  "have",   "contain", "containing", "contains", "be",
                  "made",     "with", "in",   "it",     "to",      "an",         "some",     "eating",
                  "anything", "get",  "need", "bit",    "from",    "super",      "something"};
  return IsFillerAfterNo(word) || words->contains(word);
}

bool IsAllergySuffix(absl::string_view word) {
  static const auto* const words =
      new WordSet{"allergy", "allergies", "allergic", "intolerant", "intolerance", "sensitivity"};
  return words->contains(word);
}

// The allergens that a guest means by one word.
std::optional<Bits> AllergensMeantBy(absl::string_view word) {
  static const auto* const by_word = [] {
    const Bits nuts = *AllergenBits("nuts") | *AllergenBits("peanuts");
    const Bits seafood = *AllergenBits("fish") | *AllergenBits("shellfish");
    auto* meant = new absl::flat_hash_map<absl::string_view, Bits>{
        {"nut", nuts}, {"nuts", nuts}, {"nutty", nuts}, {"seafood", seafood}};
    meant->emplace("groundnut", *AllergenBits("peanuts"));
    for (const char* nut : {"almond", "walnut", "hazelnut", "cashew", "pistachio", "pecan", "macadamia"}) {
      (*meant)[nut] = nuts;
    }
    return meant;
  }();
  const absl::string_view singular = absl::EndsWith(word, "s") ? word.substr(0, word.size() - 1) : word;
  for (const absl::string_view form : {word, singular}) {
    const auto it = by_word->find(form);
    if (it != by_word->end()) return it->second;
    if (const std::optional<Bits> bits = AllergenBits(form)) return bits;
  }
  return std::nullopt;
}

std::optional<Bits> DietMeantBy(absl::string_view word) {
  if (const std::optional<Bits> bits = DietaryBit(word)) return bits;
  return absl::EndsWith(word, "s") ? DietaryBit(word.substr(0, word.size() - 1)) : std::nullopt;
}

class Reader {
 public:
  Reader(std::vector<std::string> words, absl::FunctionRef<bool(const std::string&)> known)
      : words_(std::move(words)),
        known_(known),
        has_suffix_(std::any_of(words_.begin(), words_.end(), [](const std::string& word) {
          return word == "free" || IsAllergySuffix(word);
        })) {}

  Refusals Read() {
    for (size_t i = 0; i < words_.size();) {
      size_t end = ReadFreeOf(i);
      if (end == 0) end = ReadNegation(i);
      if (end == 0) end = ReadLess(i);
      if (end == 0) {
        out_.wanted.push_back(std::move(words_[i]));
        end = i + 1;
      }
      i = end;
    }
    return std::move(out_);
  }

 private:
  bool Is(size_t i, absl::string_view word) const { return i < words_.size() && words_[i] == word; }
  // Past the end counts as a word that says nothing.
  bool SaysNothing(size_t i) const { return i >= words_.size() || IsStopWord(words_[i]); }
  // How many words from `i` on name one allergen, and which; 0: none.
  size_t ReadAllergen(size_t i, Bits& bits) const {
    if (i + 1 < words_.size()) {
      if (const auto pair = AllergenBits(absl::StrCat(words_[i], "_", words_[i + 1]))) {
        bits = *pair;
        return 2;
      }
    }
    if (i >= words_.size()) return 0;
    std::optional<Bits> found = AllergensMeantBy(words_[i]);
    if (!found.has_value()) found = MisspeltAllergen(words_[i]);
    bits = found.value_or(0);
    return found.has_value() ? 1 : 0;
  }

  std::optional<Bits> MisspeltAllergen(const std::string& word) const {
    if (word.size() < 5 || known_(word)) return std::nullopt;
    static constexpr absl::string_view kOthers[] = {"peanut",  "walnut", "almond", "hazelnut", "lactose",
                                                    "seafood", "prawns", "shrimp", "shellfish"};
    const int limit = ErrorsAllowed(word.size());
    const auto near = [&](absl::string_view name) { return EditDistance(word, name, limit) <= limit; };
    for (const absl::string_view name : AllergenNames()) {
      if (near(name)) return AllergensMeantBy(name);
    }
    for (const absl::string_view name : kOthers) {
      if (near(name)) return AllergensMeantBy(name);
    }
    return std::nullopt;
  }

  // "Gluten free", "gluten and dairy free", "nut allergy", "onion free". The end, or 0 when it is none.
  size_t ReadFreeOf(size_t begin) {
    if (!has_suffix_) return 0;
    std::vector<std::pair<std::string, Bits>> list;
    size_t i = begin;
    while (i < words_.size()) {
      Bits bits = 0;
      const size_t length = ReadAllergen(i, bits);
      if (length > 0 || DietaryBit(absl::StrCat(words_[i], "_free")).has_value()) {
        list.emplace_back(length > 1 ? "" : words_[i], bits);
        i += std::max<size_t>(length, 1);
      } else if (!list.empty() && (words_[i] == "and" || words_[i] == "or")) {
        ++i;
      } else {
        break;
      }
    }
    if (list.empty()) {
      const bool free = Is(begin + 1, "free") && !Is(begin + 2, "of") && !Is(begin + 2, "from") &&
                        !IsStopWord(words_[begin]) && !IsNo(words_[begin]) && !IsNegation(words_[begin]);
      if (!free || DietMeantBy(words_[begin]).has_value()) return 0;
      out_.refused.push_back(words_[begin]);
      return begin + 2;
    }
    const bool free = Is(i, "free");
    if (!free && !(i < words_.size() && IsAllergySuffix(words_[i]))) return 0;
    for (const auto& [word, allergens] : list) {
      const std::optional<Bits> diet = free ? DietaryBit(absl::StrCat(word, "_free")) : std::nullopt;
      if (diet.has_value()) {
        out_.dietary |= *diet;
      } else if (allergens != 0) {
        out_.allergens |= allergens;
      } else {
        out_.refused.push_back(word);
      }
    }
    return i + 1;
  }

  // "No", "not", "without", "free of", "allergic to", "w/o" and what they refuse. The end, or 0 when it is
  // none.
  size_t ReadNegation(size_t begin) {
    const bool no = IsNo(words_[begin]);
    size_t i = begin + 1;
    if ((Is(begin, "w") && Is(i, "o")) || (Is(begin, "free") && (Is(i, "of") || Is(i, "from"))) ||
        (IsAllergySuffix(words_[begin]) && Is(i, "to"))) {
      ++i;
    } else if (!no && !IsNegation(words_[begin])) {
      return 0;
    }
    // "Nothing but fries" wants fries.
    if (Is(begin, "nothing") && Is(i, "but")) return i + 1;
    size_t end = i;  // a negation of nothing says nothing
    while (true) {
      while (i < words_.size() && (no ? IsFillerAfterNo(words_[i]) : IsFiller(words_[i]))) ++i;
      // "No, I want ..." refuses nothing; nor does "No. 1".
      if (SaysNothing(i) || absl::ascii_isdigit(static_cast<unsigned char>(words_[i][0]))) return end;
      bool allergen = false;
      i = end = ReadRefused(i, no, allergen);
      Bits bits = 0;
      const auto names_allergen = [&](size_t at) { return ReadAllergen(at, bits) > 0; };
      const bool goes_on =
          ((Is(i, "or") || Is(i, "nor")) && !SaysNothing(i + 1)) || (Is(i, "and") && names_allergen(i + 1));
      if (goes_on) {
        ++i;
      } else if (!(allergen && names_allergen(i) && (SaysNothing(i + 1) || names_allergen(i + 1)))) {
        return end;  // "no nuts, milk" is a list, "no nuts fish burger" is not
      }
    }
  }

  // One thing that is refused, at `i`. The end.
  size_t ReadRefused(size_t i, bool no, bool& allergen) {
    const std::string& word = words_[i];
    // "No gluten" and "no sugar" are diets; "coffee without sugar" is how to make it.
    const std::optional<Bits> demanded = word == "meat" ? DietaryBit("vegetarian")
                                         : no           ? DietaryBit(absl::StrCat("no_", word))
                                                        : std::nullopt;
    if (demanded.has_value()) {
      out_.dietary |= *demanded;
      return i + 1;
    }
    if (i + 1 < words_.size()) {
      if (const auto diet = DietaryBit(absl::StrCat(word, "_", words_[i + 1]))) {
        out_.not_dietary |= *diet;
        return i + 2;
      }
    }
    Bits bits = 0;
    if (const size_t length = ReadAllergen(i, bits); length > 0) {
      allergen = true;
      out_.allergens |= bits;
      return i + length;
    }
    if (const std::optional<Bits> diet = DietMeantBy(word)) {
      out_.not_dietary |= *diet;
    } else if (i + 1 < words_.size() && IsPhrase(word, words_[i + 1])) {
      out_.refused.push_back(absl::StrCat(word, " ", words_[i + 1]));
      return i + 2;
    } else {
      out_.refused.push_back(word);
    }
    return i + 1;
  }

  // "Eggless", where the menu has no such word ("boneless").
  size_t ReadLess(size_t i) {
    const std::string& word = words_[i];
    if (word.size() < 7 || !absl::EndsWith(word, "less") || known_(word) || DietMeantBy(word).has_value()) {
      return 0;
    }
    const std::string base = word.substr(0, word.size() - 4);
    if (const std::optional<Bits> bits = AllergensMeantBy(base)) {
      out_.allergens |= *bits;
    } else {
      out_.refused.push_back(base);
    }
    return i + 1;
  }

  std::vector<std::string> words_;
  absl::FunctionRef<bool(const std::string&)> known_;
  const bool has_suffix_;  // "free" or its like is among the words
  Refusals out_;
};

}  // namespace

Refusals TakeRefusals(std::vector<std::string> words, absl::FunctionRef<bool(const std::string&)> known) {
  return Reader(std::move(words), known).Read();
}

}  // namespace arc::menu
