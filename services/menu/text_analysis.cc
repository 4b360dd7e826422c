#include "services/menu/text_analysis.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace arc::menu {
namespace {

// The code point at `text[i]`, moving `i` behind it; -1 for an invalid byte, which is skipped alone.
int32_t NextCodePoint(absl::string_view text, size_t& i) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t lead = byte(i);
  if (lead < 0x80) {
    ++i;
    return lead;
  }
  int length = 0;
  int32_t value = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
    value = lead & 0x1f;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    value = lead & 0x0f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    value = lead & 0x07;
  }
  if (length == 0 || i + static_cast<size_t>(length) > text.size()) {
    ++i;
    return -1;
  }
  for (int k = 1; k < length; ++k) {
    const uint8_t next = byte(i + static_cast<size_t>(k));
    if ((next & 0xc0) != 0x80) {
      ++i;
      return -1;
    }
    value = (value << 6) | (next & 0x3f);
  }
  i += static_cast<size_t>(length);
  return value;
}

void AppendUtf8(int32_t cp, std::string& out) {
  if (cp < 0x80) {
    out.push_back(static_cast<char>(cp));
  } else if (cp < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (cp >> 6)));
    out.push_back(static_cast<char>(0x80 | (cp & 0x3f)));
  } else if (cp < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (cp >> 12)));
    out.push_back(static_cast<char>(0x80 | ((cp >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (cp & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | (cp >> 18)));
    out.push_back(static_cast<char>(0x80 | ((cp >> 12) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | ((cp >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (cp & 0x3f)));
  }
}

// U+00C0 to U+017F without their diacritics, in lower case; "" stands for the two signs of multiplication.
constexpr std::array<const char*, 0x180 - 0xc0> kLatin = {
    "a", "a", "a",  "a",  "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",   // U+00C0
    "d", "n", "o",  "o",  "o", "o", "o",  "",  "o", "u", "u", "u", "u", "y", "th", "ss",  // U+00D0
    "a", "a", "a",  "a",  "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",   // U+00E0
    "d", "n", "o",  "o",  "o", "o", "o",  "",  "o", "u", "u", "u", "u", "y", "th", "y",   // U+00F0
    "a", "a", "a",  "a",  "a", "a", "c",  "c", "c", "c", "c", "c", "c", "c", "d",  "d",   // U+0100
    "d", "d", "e",  "e",  "e", "e", "e",  "e", "e", "e", "e", "e", "g", "g", "g",  "g",   // U+0110
    "g", "g", "g",  "g",  "h", "h", "h",  "h", "i", "i", "i", "i", "i", "i", "i",  "i",   // U+0120
    "i", "i", "ij", "ij", "j", "j", "k",  "k", "k", "l", "l", "l", "l", "l", "l",  "l",   // U+0130
    "l", "l", "l",  "n",  "n", "n", "n",  "n", "n", "n", "n", "n", "o", "o", "o",  "o",   // U+0140
    "o", "o", "oe", "oe", "r", "r", "r",  "r", "r", "r", "s", "s", "s", "s", "s",  "s",   // U+0150
    "s", "s", "t",  "t",  "t", "t", "t",  "t", "u", "u", "u", "u", "u", "u", "u",  "u",   // U+0160
    "u", "u", "u",  "u",  "w", "w", "y",  "y", "y", "z", "z", "z", "z", "z", "z",  "s",   // U+0170
};

bool IsCombiningMark(int32_t cp) {
  return cp >= 0x300 && cp <= 0x36f;
}

// Punctuation, spaces and symbols outside ASCII: they separate words as their ASCII kin do.
bool IsSeparator(int32_t cp) {
  return (cp >= 0x80 && cp < 0xc0) || (cp >= 0x2000 && cp <= 0x2bff) || (cp >= 0x3000 && cp <= 0x303f) ||
         cp == 0xfeff;
}

bool IsApostrophe(int32_t cp) {
  return cp == '\'' || cp == 0x2019 || cp == 0x02bc;
}

// `text` folded, with apostrophes dropped when `drop_apostrophes`.
std::string FoldTo(absl::string_view text, bool drop_apostrophes) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const int32_t cp = NextCodePoint(text, i);
    if (IsApostrophe(cp)) {
      if (!drop_apostrophes) out.push_back('\'');
    } else if (cp >= 0 && cp < 0x80) {
      out.push_back(absl::ascii_tolower(static_cast<unsigned char>(cp)));
    } else if (cp >= 0xc0 && cp < 0x180) {
      const char* plain = kLatin[static_cast<size_t>(cp - 0xc0)];
      out += *plain == '\0' ? " " : plain;
    } else if (IsCombiningMark(cp)) {
      continue;
    } else if (cp < 0 || IsSeparator(cp)) {
      out.push_back(' ');
    } else if ((cp >= 0x391 && cp <= 0x3a9) || (cp >= 0x410 && cp <= 0x42f)) {
      AppendUtf8(cp + 32, out);  // Greek and Cyrillic capitals
    } else {
      AppendUtf8(cp, out);
    }
  }
  return out;
}

bool IsVowel(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

bool HasVowel(absl::string_view s) {
  return std::any_of(s.begin(), s.end(), IsVowel);
}

// After -ed or -ing: "topp" becomes "top"; "grill", "dress" and "fizz" stay.
void Undouble(std::string& s) {
  const size_t n = s.size();
  if (n >= 4 && s[n - 1] == s[n - 2] && !IsVowel(s[n - 1]) && s[n - 1] != 'l' && s[n - 1] != 's' &&
      s[n - 1] != 'z') {
    s.pop_back();
  }
}

}  // namespace

std::string Fold(absl::string_view text) {
  return FoldTo(text, false);
}

std::vector<std::string> Tokenize(absl::string_view text) {
  const std::string folded = FoldTo(text, true);
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : folded) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || static_cast<uint8_t>(c) >= 0x80) {
      token.push_back(c);
    } else if (!token.empty()) {
      tokens.push_back(std::move(token));
      token.clear();
    }
  }
  if (!token.empty()) tokens.push_back(std::move(token));
  return tokens;
}

std::string Singular(absl::string_view word) {
  std::string s(word);
  const auto ends = [&](absl::string_view suffix) { return absl::EndsWith(s, suffix); };
  const auto cut = [&](size_t n) { s.resize(s.size() - n); };
  if (s.size() <= 3) return s;
  if (ends("ies")) {
    if (s.size() > 4) {
      cut(3);
      s.push_back('y');
    } else {
      cut(1);  // "pies"
    }
  } else if (ends("sses") || ends("shes") || ends("ches") || ends("xes") || ends("zes") || ends("oes")) {
    cut(2);
  } else if (ends("s") && !ends("ss") && !ends("us") && !ends("is")) {
    cut(1);
  }
  return s;
}

std::string Stem(absl::string_view word) {
  std::string s = Singular(word);
  const auto ends = [&](absl::string_view suffix) { return absl::EndsWith(s, suffix); };
  const auto cut = [&](size_t n) { s.resize(s.size() - n); };
  if (s.size() <= 3) return s;
  if (ends("ed") && !ends("eed") && s.size() >= 5 && HasVowel(absl::string_view(s).substr(0, s.size() - 2))) {
    cut(2);
    Undouble(s);
  } else if (ends("ing") && s.size() >= 6 && HasVowel(absl::string_view(s).substr(0, s.size() - 3))) {
    cut(3);
    Undouble(s);
  } else if ((ends("iest") && s.size() >= 7) || (ends("ier") && s.size() >= 6)) {
    cut(ends("ier") ? 3 : 4);
    s.push_back('y');
  } else if (ends("ie") && s.size() >= 5) {
    cut(2);
    s.push_back('y');
  }
  if (s.size() >= 5 && (s.back() == 'y' || s.back() == 'e') && !IsVowel(s[s.size() - 2])) s.pop_back();
  // "cheesy" and "cheese" have both come down to "chees" here; "chilli" and "chili" differ by one letter.
  return s;
}

std::vector<std::string> BaseForms(absl::string_view word) {
  const size_t ending = absl::EndsWith(word, "est") ? 3 : absl::EndsWith(word, "er") ? 2 : 0;
  if (ending == 0 || word.size() < ending + 3) return {};
  const std::string base(word.substr(0, word.size() - ending));
  std::vector<std::string> forms = {base, absl::StrCat(base, "e")};
  std::string undoubled = base;
  Undouble(undoubled);
  if (undoubled != base) forms.push_back(std::move(undoubled));
  return forms;
}

std::string ConsonantsOf(absl::string_view word) {
  std::string out;
  for (const char c : word) {
    const char sound = c == 'c' || c == 'q' ? 'k' : c;
    if (!IsVowel(sound) && (out.empty() || out.back() != sound)) out.push_back(sound);
  }
  return out;
}

bool IsStopWord(absl::string_view word) {
  static const auto* const words = new absl::flat_hash_set<absl::string_view>{
      "a",       "an",     "and",   "any",   "anything",  "are",   "can",  "could", "do",    "for",
      "from",    "get",    "give",  "got",   "have",      "i",     "id",   "ill",   "im",    "in",
      "is",      "it",     "like",  "me",    "my",        "need",  "of",   "on",    "one",   "or",
      "our",     "please", "show",  "some",  "something", "that",  "the",  "there", "this",  "to",
      "want",    "we",     "what",  "whats", "with",      "would", "you",  "your",  "order", "find",
      "looking", "let",    "lets",  "us",    "am",        "but",   "else", "food",  "foods", "option",
      "options", "stuff",  "thing", "things"};
  return words->contains(word);
}

int EditDistance(absl::string_view a, absl::string_view b, int limit) {
  constexpr size_t kMaxLetters = 48;
  const int n = static_cast<int>(a.size());
  const int m = static_cast<int>(b.size());
  if (std::abs(n - m) > limit) return limit + 1;
  if (a.size() > kMaxLetters || b.size() > kMaxLetters) return a == b ? 0 : limit + 1;
  std::array<std::array<int, kMaxLetters + 1>, 3> rows;
  for (int j = 0; j <= m; ++j) rows[0][static_cast<size_t>(j)] = j;
  for (int i = 1; i <= n; ++i) {
    auto& now = rows[static_cast<size_t>(i % 3)];
    const auto& before = rows[static_cast<size_t>((i + 2) % 3)];
    const auto& two_before = rows[static_cast<size_t>((i + 1) % 3)];
    now[0] = i;
    int best = i;
    for (int j = 1; j <= m; ++j) {
      const auto at = static_cast<size_t>(j);
      const char x = a[static_cast<size_t>(i - 1)];
      const char y = b[at - 1];
      int cost = std::min({before[at] + 1, now[at - 1] + 1, before[at - 1] + (x == y ? 0 : 1)});
      if (i > 1 && j > 1 && x == b[at - 2] && a[static_cast<size_t>(i - 2)] == y) {
        cost = std::min(cost, two_before[at - 2] + 1);
      }
      now[at] = cost;
      best = std::min(best, cost);
    }
    if (best > limit) return limit + 1;
  }
  return std::min(rows[static_cast<size_t>(n % 3)][static_cast<size_t>(m)], limit + 1);
}

int ErrorsAllowed(size_t letters) {
  return letters <= 3 ? 0 : letters <= 7 ? 1 : 2;
}

absl::Span<const std::vector<std::string>> SynonymGroups() {
  static const auto* const groups = new std::vector<std::vector<std::string>>{
      {"soda", "cola", "coke", "pop", "soft drink", "fizzy drink", "pepsi"},
      {"fries", "chips", "french fries"},
      {"burger", "hamburger", "beefburger"},
      {"milkshake", "shake"},
      {"kids", "children", "childrens", "child", "kid"},
      {"veggie", "vegetarian", "meatless", "meat free", "vegetable"},
      {"prawn", "shrimp"},
      {"chilli", "chili", "chile"},
      {"barbecue", "bbq", "barbeque"},
      {"ice cream", "icecream", "sundae", "soft serve", "gelato"},
      {"yoghurt", "yogurt"},
      {"doughnut", "donut"},
      {"aubergine", "eggplant"},
      {"courgette", "zucchini"},
      {"coriander", "cilantro"},
      {"rocket", "arugula"},
      {"corn", "sweetcorn", "maize"},
      {"drink", "beverage", "drinks"},
      {"dessert", "pudding", "afters"},
      {"cookie", "biscuit"},
      {"mayonnaise", "mayo"},
      {"ketchup", "catsup"},
      {"coffee", "java"},
      {"sparkling", "fizzy", "carbonated"},
      {"nuggets", "chicken bites"},
      {"wrap", "burrito"},
  };
  return *groups;
}

namespace {

// The stems of a phrase with a space between.
std::string StemPhrase(absl::string_view phrase) {
  const size_t space = phrase.find(' ');
  if (space == absl::string_view::npos) return Stem(phrase);
  return absl::StrCat(Stem(phrase.substr(0, space)), " ", Stem(phrase.substr(space + 1)));
}

using PhraseTable = absl::flat_hash_map<std::string, std::vector<std::string>>;

// The stems of a word or phrase to the other phrases of its groups.
const PhraseTable& Synonyms() {
  static const auto* const all = [] {
    auto* table = new PhraseTable;
    for (const std::vector<std::string>& group : SynonymGroups()) {
      for (const std::string& phrase : group) {
        const std::string stem = StemPhrase(phrase);
        std::vector<std::string>& others = (*table)[stem];
        for (const std::string& other : group) {
          if (StemPhrase(other) != stem && std::find(others.begin(), others.end(), other) == others.end()) {
            others.push_back(other);
          }
        }
      }
    }
    return table;
  }();
  return *all;
}

struct Kinds {
  PhraseTable of;                            // a stem to the stems of its kinds, phrases joined
  absl::flat_hash_set<std::string> phrases;  // the stems of those of two words, with a space between
};

const Kinds& KindsTable() {
  static const auto* const all = [] {
    const std::vector<std::string> drinks = {"coffee",     "tea",      "cocoa", "hot chocolate", "espresso",
                                             "cappuccino", "latte",    "mocha", "juice",         "lemonade",
                                             "milkshake",  "smoothie", "cola",  "soda"};
    const std::vector<std::string> cheeses = {"cheddar",   "mozzarella", "parmesan",   "feta",
                                              "halloumi",  "brie",       "camembert",  "gouda",
                                              "gruyere",   "emmental",   "ricotta",    "pepper jack",
                                              "provolone", "burrata",    "mascarpone", "gorgonzola"};
    auto* table = new Kinds;
    const auto add = [&](const std::string& name, const std::vector<std::string>& kinds) {
      for (const std::string& kind : kinds) {
        std::string joined = kind;
        if (const size_t space = joined.find(' '); space != std::string::npos) {
          table->phrases.insert(StemPhrase(kind));
          joined.erase(space, 1);
        }
        table->of[Stem(name)].push_back(Stem(joined));
      }
    };
    add("drink", drinks);
    add("beverage", drinks);
    add("cheese", cheeses);
    return table;
  }();
  return *all;
}

}  // namespace

const std::vector<std::string>* SynonymsOf(absl::string_view phrase) {
  const auto it = Synonyms().find(StemPhrase(phrase));
  return it == Synonyms().end() || it->second.empty() ? nullptr : &it->second;
}

const std::vector<std::string>* KindsOf(absl::string_view word) {
  const PhraseTable& table = KindsTable().of;
  const auto it = table.find(Stem(word));
  return it == table.end() ? nullptr : &it->second;
}

bool IsPhrase(absl::string_view first, absl::string_view second) {
  const std::string stems = absl::StrCat(Stem(first), " ", Stem(second));
  return Synonyms().contains(stems) || KindsTable().phrases.contains(stems);
}

}  // namespace arc::menu
