#include "services/brain/language.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {
namespace {

using WordMap = absl::flat_hash_map<absl::string_view, absl::string_view>;

// Words that stand for several, with and without their apostrophes.
const WordMap& Expansions() {
  static const auto* const table = new WordMap{
      {"can't", "can not"},      {"cant", "can not"},
      {"cannot", "can not"},     {"won't", "will not"},
      {"wont", "will not"},      {"shan't", "shall not"},
      {"dont", "do not"},        {"doesnt", "does not"},
      {"didnt", "did not"},      {"isnt", "is not"},
      {"arent", "are not"},      {"wouldnt", "would not"},
      {"couldnt", "could not"},  {"let's", "let us"},
      {"lets", "let us"},        {"thats", "that is"},
      {"thatll", "that will"},   {"thatd", "that would"},
      {"whats", "what is"},      {"hows", "how is"},
      {"wheres", "where is"},    {"whos", "who is"},
      {"theres", "there is"},    {"im", "i am"},
      {"id", "i would"},         {"ive", "i have"},
      {"ill", "i will"},         {"youre", "you are"},
      {"youve", "you have"},     {"theyre", "they are"},
      {"itll", "it will"},       {"itd", "it would"},
      {"its", "it is"},          {"it's", "it is"},
      {"gonna", "going to"},     {"wanna", "want to"},
      {"gotta", "got to"},       {"gimme", "give me"},
      {"lemme", "let me"},       {"dunno", "do not know"},
      {"checkout", "check out"}, {"d'you", "do you"},
      {"y'all", "you"},          {"cos", "because"},
      {"icecream", "ice cream"}, {"glutenfree", "gluten free"},
      {"coeliac", "celiac"},     {"coeliacs", "celiac"},
      {"celiacs", "celiac"},
  };
  return *table;
}

// "ha", "haha", "hahahah", "hehe"
bool IsLaughter(absl::string_view word) {
  if (word.size() < 2 || word[0] != 'h' || (word[1] != 'a' && word[1] != 'e')) return false;
  if (word == "he") return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != (i % 2 == 0 ? 'h' : word[1])) return false;
  }
  return true;
}

bool IsHesitation(absl::string_view word) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "um", "umm", "uh", "uhh", "uhm",    "er",  "erm", "hmm",    "hm",  "mm",  "mmm", "ah",
      "oh", "ooh", "eh", "pls", "please", "plz", "huh", "kindly", "heh", "hah", "lol", "lmao"};
  return known_words->contains(word) || IsLaughter(word);
}

const absl::flat_hash_map<absl::string_view, int64_t>& Units() {
  static const auto* const table = new absl::flat_hash_map<absl::string_view, int64_t>{
      {"zero", 0},     {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},
      {"five", 5},     {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},
      {"ten", 10},     {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},
      {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},
      {"couple", 2},   {"dozen", 12},   {"pair", 2}};
  return *table;
}

int64_t TensOf(absl::string_view word) {
  static const auto* const table = new absl::flat_hash_map<absl::string_view, int64_t>{
      {"twenty", 20}, {"thirty", 30},  {"forty", 40},  {"fifty", 50},
      {"sixty", 60},  {"seventy", 70}, {"eighty", 80}, {"ninety", 90}};
  const auto found = table->find(word);
  return found == table->end() ? 0 : found->second;
}

void Expand(absl::string_view word, Words& out) {
  const auto add = [&](absl::string_view text) {
    for (const absl::string_view part : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      if (!IsHesitation(part)) out.emplace_back(part);
    }
  };
  const auto found = Expansions().find(word);
  if (found != Expansions().end()) {
    add(found->second);
    return;
  }
  static constexpr std::array<std::pair<absl::string_view, absl::string_view>, 6> kEndings = {
      {{"n't", " not"},
       {"'d", " would"},
       {"'ll", " will"},
       {"'m", " am"},
       {"'re", " are"},
       {"'ve", " have"}}};
  for (const auto& [ending, meaning] : kEndings) {
    if (absl::EndsWith(word, ending) && word.size() > ending.size()) {
      add(absl::StrCat(word.substr(0, word.size() - ending.size()), meaning));
      return;
    }
  }
  if (absl::EndsWith(word, "'s")) {
    static const auto* const subjects = new absl::flat_hash_set<absl::string_view>{
        "that", "it", "what", "he", "she", "there", "here", "who", "how", "where", "which", "everything"};
    const absl::string_view base = word.substr(0, word.size() - 2);
    add(subjects->contains(base) ? absl::StrCat(base, " is") : absl::StrCat(base, "s"));
    return;
  }
  std::string plain(word);
  plain.erase(std::remove(plain.begin(), plain.end(), '\''), plain.end());
  // "3x" and "x3" count.
  int64_t number = 0;
  absl::string_view digits = plain;
  if (digits.size() > 1 && (absl::ConsumeSuffix(&digits, "x") || absl::ConsumePrefix(&digits, "x")) &&
      absl::SimpleAtoi(digits, &number)) {
    add(digits);
    return;
  }
  add(plain);
}

bool IsVowel(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

}  // namespace

Words Normalise(absl::string_view text) {
  const std::string folded = menu::Fold(text);
  Words words;
  std::vector<size_t> signs;    // where a minus stands before a word
  std::vector<size_t> hyphens;  // and where one joins two
  std::string word;
  const auto flush = [&] {
    while (!word.empty() && word.back() == '\'') word.pop_back();
    if (!word.empty() && words.size() < kMaxWords) Expand(word, words);
    word.clear();
  };
  const auto digits_from = [&](size_t at) {
    size_t count = 0;
    while (at + count < folded.size() && absl::ascii_isdigit(static_cast<unsigned char>(folded[at + count])))
      ++count;
    return count;
  };
  const auto is_number = [](absl::string_view digits) {
    return !digits.empty() &&
           absl::c_all_of(digits, [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
  };
  for (size_t i = 0; i < folded.size(); ++i) {
    const char c = folded[i];
    const auto byte = static_cast<unsigned char>(c);
    if ((c == '.' || c == ',') && is_number(word) && digits_from(i + 1) > 0) {
      // "2.5" and "2,5" are one number; so is "1,000".
      if (c == '.' || digits_from(i + 1) != 3) word.push_back('.');
    } else if (absl::ascii_isalnum(byte) || byte >= 0x80) {
      if (word.size() < 60) word.push_back(c);
    } else if (c == '\'' && !word.empty()) {
      word.push_back(c);
    } else {
      const bool between = !word.empty();
      flush();
      // "-2", but not "1-2"
      if (c == '-' && words.size() < kMaxWords) (between ? hyphens : signs).push_back(words.size());
    }
  }
  flush();
  // "2-3" and "two-three" are "two or three".
  for (size_t i = hyphens.size(); i-- > 0;) {
    const size_t at = hyphens[i];
    if (at == 0 || at >= words.size()) continue;
    const std::optional<Count> before = ReadCount({words[at - 1]}, 0);
    const std::optional<Count> behind = ReadCount({words[at]}, 0);
    if (before.has_value() && behind.has_value() && before->value + 1 == behind->value) {
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), "or");
      for (size_t& sign : signs) sign += sign >= at ? 1 : 0;
    }
  }
  for (size_t i = signs.size(); i-- > 0;) {
    if (signs[i] < words.size() && absl::ascii_isdigit(static_cast<unsigned char>(words[signs[i]][0]))) {
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(signs[i]), "minus");
    }
  }
  return words;
}

std::string Join(const Words& words, size_t begin, size_t end) {
  end = std::min(end, words.size());
  return begin >= end ? "" : absl::StrJoin(words.begin() + begin, words.begin() + end, " ");
}

std::string Join(const Words& words) {
  return absl::StrJoin(words, " ");
}

namespace {

constexpr int64_t kMaxCount = 9999;

// "hundred", "million": by how much it multiplies, as far as counts go; 0: it does not.
int64_t FactorOf(absl::string_view word) {
  if (word == "hundred") return 100;
  if (word == "thousand") return 1000;
  static const auto* const more = new absl::flat_hash_set<absl::string_view>{
      "million", "billion", "trillion", "zillion", "gazillion", "millions", "billions"};
  return more->contains(word) ? kMaxCount : 0;
}

// What is written in digits: "12", "2.5"; nothing when that is no number.
std::optional<int64_t> ReadDigits(absl::string_view word) {
  const size_t point = word.find('.');
  const absl::string_view whole = word.substr(0, point);
  const absl::string_view part = point == absl::string_view::npos ? "" : word.substr(point + 1);
  const auto digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  if (whole.empty() || !absl::c_all_of(whole, digit) || !absl::c_all_of(part, digit)) return std::nullopt;
  if (absl::c_any_of(part, [](char c) { return c != '0'; })) return kNoWholeCount;
  int64_t value = 0;
  return absl::SimpleAtoi(whole, &value) ? std::min(value, kMaxCount) : kMaxCount;
}

// A count without what may stand before and behind it.
std::optional<Count> ReadNumber(const Words& words, size_t at) {
  if (at >= words.size()) return std::nullopt;
  const auto word = [&](size_t i) { return i < words.size() ? absl::string_view(words[i]) : ""; };
  size_t i = at;
  if (word(i) == "half" && word(i + 1) == "a" && word(i + 2) == "dozen") {
    return Count{6, word(i + 3) == "of" ? size_t{4} : size_t{3}};
  }
  if (word(i) == "half" && (word(i + 1) == "a" || word(i + 1) == "an")) return Count{kNoWholeCount, 2};
  if (const int64_t factor = FactorOf(word(i)); factor != 0) return Count{factor, 1};
  if (word(i) == "a" && FactorOf(word(i + 1)) != 0) return Count{FactorOf(word(i + 1)), 2};
  const bool article = word(i) == "a" || word(i) == "another";
  if (article && (word(i + 1) == "couple" || word(i + 1) == "dozen" || word(i + 1) == "pair")) ++i;
  int64_t value = 0;
  if (const std::optional<int64_t> digits = ReadDigits(word(i)); digits.has_value()) {
    return Count{*digits, i + 1 - at};
  }
  if (const int64_t tens = TensOf(word(i)); tens != 0) {
    const auto unit = Units().find(word(i + 1));
    if (unit != Units().end() && unit->second >= 1 && unit->second <= 9 && word(i + 1) != "couple" &&
        word(i + 1) != "pair") {
      return Count{tens + unit->second, i + 2 - at};
    }
    return Count{tens, i + 1 - at};
  }
  const auto unit = Units().find(word(i));
  if (unit == Units().end()) return std::nullopt;
  value = unit->second;
  ++i;
  if ((words[i - 1] == "two" || words[i - 1] == "three") && word(i) == "dozen") {
    value *= 12;
    ++i;
  }
  const bool of_follows = words[i - 1] == "couple" || words[i - 1] == "dozen" || words[i - 1] == "pair";
  if (of_follows && word(i) == "of") ++i;
  return Count{value, i - at};
}

}  // namespace

std::optional<Count> ReadCount(const Words& words, size_t at) {
  if (at >= words.size()) return std::nullopt;
  if (words[at] == "minus" || words[at] == "negative") {
    std::optional<Count> number = ReadNumber(words, at + 1);
    if (!number.has_value()) return std::nullopt;
    return Count{std::min(number->value, -number->value), number->length + 1};
  }
  std::optional<Count> count = ReadNumber(words, at);
  if (!count.has_value()) return std::nullopt;
  size_t next = at + count->length;
  // "three hundred and fifty": no kiosk sells that many, but nobody is to get 3 instead.
  while (next < words.size() && count->value >= 0 && FactorOf(words[next]) != 0) {
    count->value = std::min<int64_t>(count->value * FactorOf(words[next]), kMaxCount);
    ++next;
    if (next + 1 < words.size() && words[next] == "and" && ReadNumber(words, next + 1).has_value()) ++next;
    const std::optional<Count> rest = ReadNumber(words, next);
    if (rest.has_value() && rest->value >= 0 && rest->value < 100) {
      count->value = std::min<int64_t>(count->value + rest->value, kMaxCount);
      next += rest->length;
    }
  }
  // "two and a half"
  if (next + 2 < words.size() && words[next] == "and" && words[next + 1] == "a" &&
      words[next + 2] == "half") {
    count->value = kNoWholeCount;
    next += 3;
  }
  // "two or three"
  if (next < words.size() && words[next] == "or") {
    const std::optional<Count> second = ReadNumber(words, next + 1);
    if (second.has_value() && count->value > 0 && second->value == count->value + 1) {
      count->or_else = second->value;
      next += 1 + second->length;
    }
  }
  count->length = next - at;
  return count;
}

std::optional<int> ReadOrdinal(absl::string_view word) {
  static const auto* const table = new absl::flat_hash_map<absl::string_view, int>{
      {"first", 0}, {"1st", 0},   {"second", 1}, {"2nd", 1},   {"third", 2},  {"3rd", 2},    {"fourth", 3},
      {"4th", 3},   {"fifth", 4}, {"5th", 4},    {"last", -1}, {"former", 0}, {"latter", -1}};
  const auto found = table->find(word);
  if (found == table->end()) return std::nullopt;
  return found->second;
}

bool IsCommonWord(absl::string_view word) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "a", "about", "actually", "add", "added", "adding", "after", "again", "all", "allergic", "allergies",
      "allergy", "alright", "also", "altogether", "am", "an", "and", "another", "answer", "table", "top",
      "each", "longer", "joke", "thirty", "any", "anymore", "anything", "anyway", "are", "as", "at",
      "available", "away", "back", "bag", "be", "because", "been", "before", "begin", "best", "better", "big",
      "bit", "both", "bottle", "boy", "bring", "bucket", "but", "buy", "by", "bye", "can", "cancel", "card",
      "cart", "catch", "change", "changed", "check", "choose", "come", "comes", "contain", "contains", "cost",
      "could", "dad", "daughter", "dear", "delete", "did", "different", "do", "does", "doing", "done", "down",
      "drop", "each", "eat", "eats", "either", "else", "enough", "ever", "every", "everybody", "everyone",
      "everything", "expensive", "favorite", "favourite", "few", "fine", "finished", "first", "for", "forget",
      "forgot", "free", "friend", "from", "get", "getting", "girl", "give", "given", "glass", "go", "goes",
      "going", "good", "goodbye", "got", "grab", "great", "guess", "guys", "had", "has", "have", "having",
      "he", "hear", "heard", "hello", "help", "her", "here", "hey", "hi", "him", "his", "hold", "hope", "how",
      "however", "hungry", "husband", "i", "idea", "if", "in", "inside", "instead", "into", "is", "it",
      "item", "items", "just", "keep", "kid", "kids", "kind", "know", "lady", "last", "later", "leave",
      "less", "let", "like", "little", "long", "look", "looking", "lose", "lot", "lots", "love", "ma",
      "madam", "made", "make", "makes", "mam", "man", "many", "mate", "may", "maybe", "me", "mean", "meant",
      "meat", "menu", "mind", "mine", "minus", "mom", "more", "most", "much", "mum", "must", "my", "myself",
      "name", "need", "needs", "never", "new", "next", "nice", "no", "none", "nope", "not", "nothing", "now",
      "number", "of", "off", "ok", "okay", "on", "once", "one", "ones", "only", "option", "options", "or",
      "order", "ordered", "ordering", "other", "others", "our", "out", "over", "own", "pay", "paying",
      "people", "pick", "piece", "pieces", "plate", "please", "plus", "portion", "portions", "possible",
      "price", "put", "question", "quick", "rather", "ready", "real", "really", "recommend", "remove",
      "replace", "rid", "right", "said", "same", "save", "say", "scratch", "second", "see", "serve",
      "serving", "servings", "she", "should", "show", "side", "sir", "skip", "so", "some", "somebody",
      "someone", "something", "son", "sorry", "sort", "start", "stop", "substitute", "such", "sure",
      "surprise", "swap", "switch", "take", "tell", "than", "thank", "thanks", "that", "the", "their", "them",
      "then", "there", "these", "they", "thing", "things", "think", "third", "thirsty", "this", "those",
      "though", "time", "to", "today", "together", "too", "total", "try", "two", "type", "types",
      "understand", "undo", "until", "up", "us", "use", "very", "wait", "want", "wanted", "wants", "was",
      "way", "we", "well", "were", "what", "whatever", "when", "where", "which", "while", "who", "whole",
      "why", "wife", "will", "wish", "with", "without", "wonder", "work", "works", "would", "yeah", "yep",
      "yes", "yet", "you", "your", "yours",
      // What chatty people say besides.
      "came", "told", "honestly", "starving", "fancy", "reckon", "suppose", "usual", "probably", "perhaps",
      "definitely", "basically", "literally", "absolutely", "lovely", "brilliant", "cool", "awesome", "feel",
      "feeling", "craving", "famished", "peckish", "loads", "heaps", "tons", "bunch", "murder", "kill",
      "till", "never", "their", "bless", "hers", "ours", "theirs", "himself", "herself", "nan", "gran",
      "grandma", "grandad", "lads", "cheeky", "trouble", "possibly", "wanting"};
  return known_words->contains(word);
}

std::string SoundOf(absl::string_view word) {
  std::string key;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    const char next = i + 1 < word.size() ? word[i + 1] : '\0';
    if (IsVowel(c)) {
      size_t end = i;
      while (end + 1 < word.size() && IsVowel(word[end + 1])) ++end;
      const absl::string_view group = word.substr(i, end + 1 - i);
      const bool last = end + 1 == word.size();
      const bool silent = last && group == "e" && key.size() > 1;
      if (!silent) {
        const bool bright = group == "i" || group == "y" || group == "ie" || group == "ee" || group == "ea" ||
                            group == "ei" || group == "ey";
        key.push_back(bright ? 'i' : 'a');
      }
      i = end;
      continue;
    }
    char sound = c;
    if (c == 'p' && next == 'h') {
      sound = 'f';
      ++i;
    } else if (c == 'c') {
      sound = next == 'e' || next == 'i' || next == 'y' ? 's' : 'k';
      if (next == 'k') ++i;
    } else if (c == 'q') {
      sound = 'k';
    } else if (c == 'z') {
      sound = 's';
    } else if ((c == 'h' && i > 0) || (c == 'w' && (i > 0 || next == 'r') && !IsVowel(next)) ||
               (c == 'g' && next == 'h')) {
      continue;  // silent; so is the h of "gh", which comes next
    }
    if (key.empty() || key.back() != sound) key.push_back(sound);
  }
  return key;
}

std::string SayCount(int64_t count) {
  static constexpr std::array<absl::string_view, 13> kNames = {"no",   "one",    "two",   "three", "four",
                                                               "five", "six",    "seven", "eight", "nine",
                                                               "ten",  "eleven", "twelve"};
  if (count >= 0 && count < static_cast<int64_t>(kNames.size())) {
    return std::string(kNames[static_cast<size_t>(count)]);
  }
  return absl::StrCat(count);
}

std::string Plural(absl::string_view name) {
  const std::string lower = menu::Fold(name);
  const auto ends = [&](absl::string_view ending) { return absl::EndsWith(lower, ending); };
  if (lower.empty() || absl::StrContains(lower, " on the ")) return std::string(name);
  if (ends("ss") || ends("sh") || ends("ch") || ends("x")) return absl::StrCat(name, "es");
  if (ends("s")) return std::string(name);
  if (ends("y") && lower.size() > 1 && !IsVowel(lower[lower.size() - 2]) && name.back() == 'y') {
    return absl::StrCat(name.substr(0, name.size() - 1), "ies");
  }
  return absl::StrCat(name, "s");
}

std::string SayList(absl::Span<const std::string> parts, absl::string_view last) {
  if (parts.empty()) return "";
  if (parts.size() == 1) return parts[0];
  return absl::StrCat(absl::StrJoin(parts.begin(), parts.end() - 1, ", "), " ", last, " ", parts.back());
}

}  // namespace arc::brain
