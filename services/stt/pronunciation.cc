#include "services/stt/pronunciation.h"

#include <flite/flite.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/menu/text_analysis.h"

extern "C" cst_lexicon* cmulex_init();

namespace arc::stt {
namespace {

struct KitchenWord {
  absl::string_view word;
  absl::string_view phones;  // several pronunciations are separated by commas
};

// Words of menus that the dictionary lacks and that rules of English get wrong.
constexpr KitchenWord kKitchenWords[] = {
    {"acai", "AA S AY IY"},
    {"affogato", "AA F OW G AA T OW"},
    {"agave", "AH G AA V EY"},
    {"aioli", "AY OW L IY"},
    {"al", "AE L,AA L"},
    {"alfredo", "AE L F R EY D OW"},
    {"arancini", "AE R AH N CH IY N IY"},
    {"arrabbiata", "AH R AE B IY AA T AH"},
    {"baba", "B AA B AH"},
    {"banh", "B AA N"},
    {"beignet", "B EH N Y EY"},
    {"bibimbap", "B IY B IH M B AA P"},
    {"biryani", "B IH R IY AA N IY"},
    {"bolognese", "B OW L AH N EY Z"},
    {"brioche", "B R IY OW SH"},
    {"bruschetta", "B R UW SH EH T AH,B R UW S K EH T AH"},
    {"bulgogi", "B UH L G OW G IY"},
    {"burrata", "B ER AA T AH"},
    {"caffe", "K AE F EY,K AH F EY"},
    {"calamari", "K AA L AH M AA R IY"},
    {"calzone", "K AE L Z OW N"},
    {"capicola", "K AE P IH K OW L AH"},
    {"caprese", "K AH P R EY Z EY"},
    {"carbonara", "K AA R B AH N AA R AH"},
    {"carnitas", "K AA R N IY T AH S"},
    {"ceviche", "S AH V IY CH EY"},
    {"chai", "CH AY"},
    {"champignon", "SH AE M P IH N Y OW N,SH AA M P IY N Y AO N"},
    {"chapati", "CH AH P AA T IY"},
    {"chilaquiles", "CH IY L AH K IY L EY Z"},
    {"chilis", "CH IH L IY Z"},
    {"chilli", "CH IH L IY"},
    {"chimichanga", "CH IH M IY CH AA NG G AH"},
    {"chimichurri", "CH IH M IY CH UH R IY"},
    {"choc", "CH AA K"},
    {"chorizo", "CH ER IY Z OW,CH AO R IY Z OW"},
    {"churro", "CH UH R OW,CH ER OW"},
    {"churros", "CH UH R OW Z,CH ER OW Z"},
    {"ciabatta", "CH AH B AA T AH,CH AH B AE T AH"},
    {"coleslaw", "K OW L S L AO"},
    {"cortado", "K AO R T AA D OW"},
    {"croissant", "K R AH S AA N T,K W AA S AA N"},
    {"dal", "D AA L"},
    {"edamame", "EH D AH M AA M EY"},
    {"empanada", "EH M P AH N AA D AH"},
    {"enchilada", "EH N CH AH L AA D AH"},
    {"feta", "F EH T AH"},
    {"focaccia", "F OW K AA CH IY AH,F AH K AA CH AH"},
    {"frappe", "F R AE P EY,F R AE P"},
    {"gelato", "JH AH L AA T OW"},
    {"gnocchi", "N Y AA K IY,N OW K IY"},
    {"gochujang", "G OW CH UW JH AA NG"},
    {"gouda", "G UW D AH"},
    {"gruyere", "G R UW Y EH R"},
    {"guacamole", "G W AA K AH M OW L IY"},
    {"gyoza", "G Y OW Z AH"},
    {"gyro", "Y IH R OW,JH AY R OW"},
    {"gyros", "Y IH R OW Z,JH AY R OW Z"},
    {"halloumi", "HH AH L UW M IY,HH AE L AW M IY"},
    {"haloumi", "HH AH L UW M IY,HH AE L AW M IY"},
    {"horchata", "AO R CH AA T AH"},
    {"hummus", "HH AH M AH S,HH UH M AH S"},
    {"jalapenos", "HH AA L AH P EY N Y OW Z,HH AE L AH P IY N Y OW Z"},
    {"kebab", "K AH B AA B"},
    {"kefta", "K EH F T AH"},
    {"kimchi", "K IH M CH IY"},
    {"kombucha", "K AA M B UW CH AH"},
    {"labneh", "L AE B N EH"},
    {"lassi", "L AA S IY"},
    {"macchiato", "M AA K IY AA T OW"},
    {"margherita", "M AA R G ER IY T AH"},
    {"matcha", "M AA CH AH"},
    {"mochaccino", "M OW K AH CH IY N OW"},
    {"mozzarella", "M AA T S AH R EH L AH"},
    {"naan", "N AA N"},
    {"nachos", "N AA CH OW Z"},
    {"paella", "P AA EH L AH,P AA EY Y AH"},
    {"paneer", "P AH N IH R"},
    {"panini", "P AH N IY N IY"},
    {"paprika", "P AH P R IY K AH"},
    {"penne", "P EH N EY"},
    {"pho", "F AH"},
    {"pico", "P IY K OW"},
    {"pommes", "P AA M,P AO M"},
    {"portabella", "P AO R T AH B EH L AH"},
    {"portobello", "P AO R T AH B EH L OW"},
    {"prosciutto", "P R OW SH UW T OW"},
    {"quesadilla", "K EY S AH D IY AH"},
    {"quesadillas", "K EY S AH D IY AH Z"},
    {"queso", "K EY S OW"},
    {"quinoa", "K IY N W AA,K IY N OW AH,K W IH N OW AH"},
    {"ramen", "R AA M AH N"},
    {"samosa", "S AH M OW S AH"},
    {"shawarma", "SH AH W AA R M AH"},
    {"sriracha", "S IH R AA CH AH,SH R IY R AA CH AH"},
    {"tahini", "T AH HH IY N IY"},
    {"tartare", "T AA R T AA R,T AA R T ER"},
    {"teriyaki", "T EH R IY Y AA K IY"},
    {"tikka", "T IY K AH,T IH K AH"},
    {"tiramisu", "T IH R AH M IY S UW"},
    {"tofu", "T OW F UW"},
    {"tostada", "T OW S T AA D AH"},
    {"tzatziki", "T AA T S IY K IY,Z AA T Z IY K IY"},
    {"wasabi", "W AH S AA B IY"},
};

struct Ending {
  absl::string_view letters;
  absl::string_view restore;  // what the stem ends in without it
  absl::string_view phones;   // empty: those of a plural or a past tense
};

constexpr Ending kEndings[] = {
    {"s", "", ""},          {"es", "", ""},
    {"ies", "y", ""},       {"ed", "", ""},
    {"ed", "e", ""},        {"ied", "y", ""},
    {"ing", "", "IH NG"},   {"ing", "e", "IH NG"},
    {"less", "", "L AH S"}, {"ness", "", "N AH S"},
    {"ful", "", "F AH L"},  {"ly", "", "L IY"},
    {"er", "", "ER"},       {"er", "e", "ER"},
    {"ers", "", "ER Z"},    {"ers", "e", "ER Z"},
    {"y", "", "IY"},        {"y", "e", "IY"},
    {"ie", "", "IY"},       {"ies", "", "IY Z"},
    {"ish", "", "IH SH"},   {"style", "", "S T AY L"},
    {"free", "", "F R IY"}, {"based", "", "B EY S T"},
};

struct Beginning {
  absl::string_view letters;
  absl::string_view phones;
};

constexpr Beginning kBeginnings[] = {{"un", "AH N"},          {"non", "N AA N"},     {"re", "R IY"},
                                     {"pre", "P R IY"},       {"mini", "M IH N IY"}, {"mega", "M EH G AH"},
                                     {"super", "S UW P ER"},  {"over", "OW V ER"},   {"half", "HH AE F"},
                                     {"multi", "M AH L T IY"}};

constexpr absl::string_view kLetterNames[] = {"EY",
                                              "B IY",
                                              "S IY",
                                              "D IY",
                                              "IY",
                                              "EH F",
                                              "JH IY",
                                              "EY CH",
                                              "AY",
                                              "JH EY",
                                              "K EY",
                                              "EH L",
                                              "EH M",
                                              "EH N",
                                              "OW",
                                              "P IY",
                                              "K Y UW",
                                              "AA R",
                                              "EH S",
                                              "T IY",
                                              "Y UW",
                                              "V IY",
                                              "D AH B AH L Y UW",
                                              "EH K S",
                                              "W AY",
                                              "Z IY"};

bool IsVowel(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

bool IsPlainWord(absl::string_view word) {
  return !word.empty() && word.size() <= 40 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

absl::string_view LastPhone(absl::string_view phones) {
  const size_t space = phones.rfind(' ');
  return space == absl::string_view::npos ? phones : phones.substr(space + 1);
}

bool IsOneOf(absl::string_view phone, std::initializer_list<absl::string_view> set) {
  return std::find(set.begin(), set.end(), phone) != set.end();
}

Phones WithPlural(const Phones& stem) {
  const absl::string_view last = LastPhone(stem);
  if (IsOneOf(last, {"S", "Z", "SH", "ZH", "CH", "JH"})) return absl::StrCat(stem, " IH Z");
  return absl::StrCat(stem, IsOneOf(last, {"P", "T", "K", "F", "TH"}) ? " S" : " Z");
}

Phones WithPast(const Phones& stem) {
  const absl::string_view last = LastPhone(stem);
  if (IsOneOf(last, {"T", "D"})) return absl::StrCat(stem, " IH D");
  return absl::StrCat(stem, IsOneOf(last, {"P", "K", "F", "TH", "S", "SH", "CH"}) ? " T" : " D");
}

Phones WithEnding(const Phones& stem, const Ending& ending) {
  if (!ending.phones.empty()) return absl::StrCat(stem, " ", ending.phones);
  return absl::EndsWith(ending.letters, "s") ? WithPlural(stem) : WithPast(stem);
}

// Letter-to-sound rules of English: flite's, trained on the CMU dictionary.
Phones EnglishRules(const std::string& word) {
  static std::mutex mutex;  // flite initialises and reads global state
  const std::lock_guard<std::mutex> lock(mutex);
  static const cst_lexicon* const kLexicon = [] {
    flite_init();
    return cmulex_init();
  }();
  cst_val* const list = lex_lookup(kLexicon, word.c_str(), nullptr, nullptr);
  std::vector<std::string> phones;
  for (const cst_val* value = list; value != nullptr; value = val_cdr(value)) {
    std::string phone = absl::AsciiStrToUpper(val_string(val_car(value)));
    while (!phone.empty() && absl::ascii_isdigit(static_cast<unsigned char>(phone.back()))) phone.pop_back();
    if (phone == "AX") phone = "AH";
    if (phone == "PAU" || phone.empty()) continue;
    phones.push_back(std::move(phone));
  }
  delete_val(list);
  return absl::StrJoin(phones, " ");
}

struct LetterRule {
  absl::string_view letters;
  absl::string_view phones;
};

// Spanish and Italian as English speakers say them. The longest letters that fit come first.
constexpr LetterRule kRomanceRules[] = {
    {"cch", "K"},    {"cci", "CH IY"}, {"cce", "CH EY"}, {"sci", "SH IY"},  {"sce", "SH EY"}, {"que", "K EY"},
    {"qui", "K IY"}, {"gue", "G EY"},  {"gui", "G IY"},  {"gli", "L Y IY"}, {"zz", "T S"},    {"ll", "Y"},
    {"rr", "R"},     {"ch", "CH"},     {"gn", "N Y"},    {"qu", "K W"},     {"ce", "S EY"},   {"ci", "S IY"},
    {"ge", "HH EY"}, {"gi", "JH IY"},  {"hu", "W"},      {"ai", "AY"},      {"au", "AW"},     {"ie", "Y EH"},
    {"ue", "W EH"},  {"a", "AA"},      {"b", "B"},       {"c", "K"},        {"d", "D"},       {"e", "EY"},
    {"f", "F"},      {"g", "G"},       {"h", ""},        {"i", "IY"},       {"j", "HH"},      {"k", "K"},
    {"l", "L"},      {"m", "M"},       {"n", "N"},       {"o", "OW"},       {"p", "P"},       {"r", "R"},
    {"s", "S"},      {"t", "T"},       {"u", "UW"},      {"v", "V"},        {"w", "W"},       {"x", "HH"},
    {"y", "Y"},      {"z", "S"},
};

// Empty when a letter has no rule.
Phones RomanceRules(absl::string_view word) {
  std::vector<std::string> phones;
  const bool plural = word.size() > 3 && word.back() == 's' && IsVowel(word[word.size() - 2]);
  absl::string_view rest = plural ? word.substr(0, word.size() - 1) : word;
  char before = 0;
  while (!rest.empty()) {
    // Doubled consonants sound once.
    const bool doubled = rest[0] == before && !IsVowel(before);
    if (rest == "a") {
      phones.push_back("AH");
      rest = {};
      continue;
    }
    const auto rule =
        std::find_if(std::begin(kRomanceRules), std::end(kRomanceRules),
                     [&](const LetterRule& candidate) { return absl::StartsWith(rest, candidate.letters); });
    if (rule == std::end(kRomanceRules)) return "";
    if (!doubled && !rule->phones.empty()) phones.emplace_back(rule->phones);
    before = rule->letters.back();
    rest.remove_prefix(rule->letters.size());
  }
  if (plural) phones.push_back("Z");
  return absl::StrJoin(phones, " ");
}

// Whether a word that no dictionary has looks Spanish or Italian: it ends in a vowel that English words
// seldom end in, and has syllables enough.
bool LooksRomance(absl::string_view word) {
  if (word.size() < 4) return false;
  if (absl::EndsWith(word, "s")) word.remove_suffix(1);
  const bool open = absl::EndsWith(word, "a") || absl::EndsWith(word, "o") || absl::EndsWith(word, "i") ||
                    absl::EndsWith(word, "lle") || absl::EndsWith(word, "che");
  return open && std::count_if(word.begin(), word.end(), IsVowel) >= 2;
}

void AddOnce(std::vector<Phones>& all, Phones phones) {
  if (!phones.empty() && std::find(all.begin(), all.end(), phones) == all.end())
    all.push_back(std::move(phones));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Pronunciations>> Pronunciations::Load(
    const std::string& dictionary_path) {
  std::ifstream file(dictionary_path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the dictionary ", dictionary_path));
  std::unique_ptr<Pronunciations> loaded(new Pronunciations());
  loaded->text_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  for (const absl::string_view line : absl::StrSplit(loaded->text_, '\n')) {
    const size_t space = line.find(' ');
    if (space == absl::string_view::npos || space == 0) continue;
    const absl::string_view phones = absl::StripAsciiWhitespace(line.substr(space + 1));
    if (!phones.empty()) loaded->by_word_.emplace(line.substr(0, space), phones);
  }
  if (loaded->by_word_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(dictionary_path, " is no dictionary"));
  }
  return loaded;
}

void Pronunciations::ForEachWord(const std::function<void(absl::string_view word)>& visit) const {
  for (const auto& [word, phones] : by_word_) {
    if (!absl::EndsWith(word, ")")) visit(word);
  }
}

std::vector<Phones> Pronunciations::Known(absl::string_view word) const {
  std::vector<Phones> all;
  const auto it = by_word_.find(word);
  if (it != by_word_.end()) {
    all.emplace_back(it->second);
    for (int n = 2;; ++n) {
      const auto further = by_word_.find(absl::StrCat(word, "(", n, ")"));
      if (further == by_word_.end()) break;
      AddOnce(all, Phones(further->second));
    }
  }
  const auto kitchen = std::lower_bound(std::begin(kKitchenWords), std::end(kKitchenWords), word,
                                        [](const KitchenWord& a, absl::string_view b) { return a.word < b; });
  if (kitchen != std::end(kKitchenWords) && kitchen->word == word) {
    for (const absl::string_view phones : absl::StrSplit(kitchen->phones, ',')) AddOnce(all, Phones(phones));
  }
  return all;
}

std::vector<Phones> Pronunciations::OfStemAndEnding(absl::string_view word) const {
  std::vector<Phones> all;
  for (const Ending& ending : kEndings) {
    if (!absl::EndsWith(word, ending.letters)) continue;
    const absl::string_view begin = word.substr(0, word.size() - ending.letters.size());
    if (begin.size() < 3) continue;
    std::vector<std::string> stems = {absl::StrCat(begin, ending.restore)};
    // "chipped" is of "chip".
    if (ending.restore.empty() && begin.size() > 3 && begin[begin.size() - 1] == begin[begin.size() - 2]) {
      stems.emplace_back(begin.substr(0, begin.size() - 1));
    }
    for (const std::string& stem : stems) {
      for (const Phones& phones : Known(stem)) AddOnce(all, WithEnding(phones, ending));
    }
    if (!all.empty()) return all;
  }
  return all;
}

std::vector<Phones> Pronunciations::OfCompound(absl::string_view word) const {
  // The split whose shorter part is longest: "sweet corn", not "swee tcorn".
  for (size_t least = word.size() / 2; least >= 3; --least) {
    for (const size_t at : {word.size() - least, least}) {
      const std::vector<Phones> first = Known(word.substr(0, at));
      if (first.empty()) continue;
      std::vector<Phones> second = Known(word.substr(at));
      if (second.empty()) second = OfStemAndEnding(word.substr(at));
      if (second.empty()) continue;
      return {absl::StrCat(first[0], " ", second[0])};
    }
  }
  return {};
}

std::vector<Phones> Pronunciations::OfParts(absl::string_view word) const {
  std::vector<Phones> all = OfStemAndEnding(word);
  if (!all.empty()) return all;
  for (const Beginning& beginning : kBeginnings) {
    absl::string_view rest = word;
    if (!absl::ConsumePrefix(&rest, beginning.letters) || rest.size() < 3) continue;
    std::vector<Phones> stems = Known(rest);
    if (stems.empty()) stems = OfStemAndEnding(rest);
    for (const Phones& phones : stems) AddOnce(all, absl::StrCat(beginning.phones, " ", phones));
    if (!all.empty()) return all;
  }
  return OfCompound(word);
}

std::vector<Phones> Pronunciations::Of(absl::string_view word) const {
  std::vector<Phones> all = Known(word);
  if (!all.empty() || !IsPlainWord(word)) return all;
  if (std::none_of(word.begin(), word.end(), IsVowel)) {
    if (word.size() > 6) return all;
    std::vector<absl::string_view> letters;
    for (const char c : word) letters.push_back(kLetterNames[static_cast<size_t>(c - 'a')]);
    return {absl::StrJoin(letters, " ")};
  }
  all = OfParts(word);
  if (!all.empty()) return all;
  AddOnce(all, EnglishRules(std::string(word)));
  if (LooksRomance(word)) AddOnce(all, RomanceRules(word));
  return all;
}

std::string SpellNumber(int number) {
  static constexpr std::array<absl::string_view, 20> kSmall = {
      "zero",     "one",     "two",     "three",     "four",     "five",    "six",
      "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  static constexpr std::array<absl::string_view, 10> kTens = {
      "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
  const auto at = [](const auto& names, int index) { return std::string(names[static_cast<size_t>(index)]); };
  if (number < 0 || number > 9999) return "";
  if (number < 20) return at(kSmall, number);
  if (number < 100) {
    return number % 10 == 0 ? at(kTens, number / 10)
                            : absl::StrCat(at(kTens, number / 10), " ", at(kSmall, number % 10));
  }
  const int unit = number < 1000 ? 100 : 1000;
  const std::string head = absl::StrCat(SpellNumber(number / unit), number < 1000 ? " hundred" : " thousand");
  return number % unit == 0 ? head : absl::StrCat(head, " ", SpellNumber(number % unit));
}

std::vector<std::string> SpokenWords(absl::string_view text) {
  std::vector<std::string> words;
  std::string spaced;
  for (const char c : text) {
    if (c == '&' || c == '+') {
      spaced += " and ";
    } else {
      spaced += c;
    }
  }
  for (const std::string& token : menu::Tokenize(spaced)) {
    // Digits and letters are words of their own: "7up" is "seven up".
    size_t begin = 0;
    while (begin < token.size()) {
      const bool digits = absl::ascii_isdigit(static_cast<unsigned char>(token[begin]));
      size_t end = begin;
      while (end < token.size() &&
             static_cast<bool>(absl::ascii_isdigit(static_cast<unsigned char>(token[end]))) == digits) {
        ++end;
      }
      const std::string part = token.substr(begin, end - begin);
      begin = end;
      int number = 0;
      if (!digits) {
        if (IsPlainWord(part)) words.push_back(part);
      } else if (part.size() <= 4 && absl::SimpleAtoi(part, &number)) {
        for (const absl::string_view word : absl::StrSplit(SpellNumber(number), ' '))
          words.emplace_back(word);
      }
    }
  }
  return words;
}

}  // namespace arc::stt
