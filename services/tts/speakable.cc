#include "services/tts/speakable.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/tts/fold.h"
#include "services/tts/number_words.h"
#include "services/tts/pronunciations.h"

namespace arc::tts {
namespace {

constexpr size_t kMaxWord = 40;  // letters; longer ones are no words, and are cut

bool IsDigit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}
bool IsUpper(char c) {
  return absl::ascii_isupper(static_cast<unsigned char>(c));
}
bool IsSpace(char c) {
  return c == ' ' || c == '\n';
}
// Bytes of letters beyond ASCII count.
bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80;
}
bool IsWordChar(char c) {
  return IsLetter(c) || IsDigit(c);
}
bool IsOneOf(absl::string_view text, std::initializer_list<absl::string_view> all) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

// ---- Tables

struct Entry {
  absl::string_view written;
  absl::string_view said;
};

// Written with a full stop or as it is; lower case here, any case in the text.
constexpr Entry kAbbreviations[] = {{"approx", "approximately"},
                                    {"avg", "average"},
                                    {"bbq", "barbecue"},
                                    {"bbqs", "barbecues"},
                                    {"dept", "department"},
                                    {"dr", "doctor"},
                                    {"ea", "each"},
                                    {"etc", "etcetera"},
                                    {"excl", "excluding"},
                                    {"hrs", "hours"},
                                    {"incl", "including"},
                                    {"jr", "junior"},
                                    {"lb", "pound"},
                                    {"lbs", "pounds"},
                                    {"mr", "mister"},
                                    {"mrs", "missus"},
                                    {"ms", "miz"},
                                    {"ok", "okay"},
                                    {"oz", "ounces"},
                                    {"pcs", "pieces"},
                                    {"pls", "please"},
                                    {"qty", "quantity"},
                                    {"sr", "senior"},
                                    {"tbsp", "tablespoon"},
                                    {"temp", "temperature"},
                                    {"tsp", "teaspoon"},
                                    {"veg", "veg"},
                                    {"vs", "versus"},
                                    {"w", "with"},
                                    {"xl", "extra large"},
                                    {"xxl", "double extra large"}};
// Only with a full stop behind them.
constexpr Entry kDotted[] = {{"min", "minimum"},     {"max", "maximum"}, {"tel", "telephone"},
                             {"ext", "extension"},   {"st", "saint"},    {"ave", "avenue"},
                             {"pc", "piece"},        {"hr", "hour"},     {"mins", "minutes"},
                             {"inc", "incorporated"}};

// Capitals that are spelled although they have a vowel; what has none is spelled anyway.
constexpr absl::string_view kSpelled[] = {
    "IPA", "USA", "UK",  "US",  "EU",  "ID", "OJ",  "ATM", "QR", "VIP", "AC",  "AI",    "API", "ETA",
    "FAQ", "CEO", "UPS", "USB", "EBT", "IT", "IOU", "DIY", "AM", "ESB", "APA", "NEIPA", "ABV", "IBU"};
// Dietary marks of menus, between parentheses.
constexpr Entry kDietary[] = {{"V", "vegetarian"}, {"VG", "vegan"},        {"VE", "vegan"},
                              {"VGN", "vegan"},    {"GF", "gluten free"},  {"DF", "dairy free"},
                              {"NF", "nut free"},  {"N", "contains nuts"}, {"H", "halal"},
                              {"K", "kosher"},     {"LF", "lactose free"}};

struct Unit {
  absl::string_view written;
  absl::string_view one;
  absl::string_view many;
  bool only_attached;  // "5 m" may be many things, "5m" is metres
};
constexpr Unit kUnits[] = {{"kcal", "kilocalorie", "kilocalories", false},
                           {"kcals", "kilocalorie", "kilocalories", false},
                           {"Kcal", "kilocalorie", "kilocalories", false},
                           {"cal", "calorie", "calories", false},
                           {"cals", "calorie", "calories", false},
                           {"Cal", "calorie", "calories", false},
                           {"kJ", "kilojoule", "kilojoules", false},
                           {"kj", "kilojoule", "kilojoules", false},
                           {"g", "gram", "grams", false},
                           {"gr", "gram", "grams", false},
                           {"kg", "kilogram", "kilograms", false},
                           {"kgs", "kilogram", "kilograms", false},
                           {"mg", "milligram", "milligrams", false},
                           {"ml", "milliliter", "milliliters", false},
                           {"mL", "milliliter", "milliliters", false},
                           {"ML", "milliliter", "milliliters", false},
                           {"cl", "centiliter", "centiliters", false},
                           {"dl", "deciliter", "deciliters", false},
                           {"l", "liter", "liters", false},
                           {"L", "liter", "liters", false},
                           {"oz", "ounce", "ounces", false},
                           {"Oz", "ounce", "ounces", false},
                           {"OZ", "ounce", "ounces", false},
                           {"lb", "pound", "pounds", false},
                           {"lbs", "pound", "pounds", false},
                           {"in", "inch", "inches", true},
                           {"ft", "foot", "feet", false},
                           {"mm", "millimeter", "millimeters", false},
                           {"cm", "centimeter", "centimeters", false},
                           {"m", "meter", "meters", true},
                           {"km", "kilometer", "kilometers", false},
                           {"mi", "mile", "miles", false},
                           {"mph", "mile per hour", "miles per hour", false},
                           {"min", "minute", "minutes", false},
                           {"mins", "minute", "minutes", false},
                           {"sec", "second", "seconds", false},
                           {"secs", "second", "seconds", false},
                           {"s", "second", "seconds", true},
                           {"h", "hour", "hours", true},
                           {"hr", "hour", "hours", false},
                           {"hrs", "hour", "hours", false},
                           {"pc", "piece", "pieces", false},
                           {"pcs", "piece", "pieces", false},
                           {"pk", "pack", "packs", false},
                           {"ct", "count", "count", false},
                           {"tbsp", "tablespoon", "tablespoons", false},
                           {"tsp", "teaspoon", "teaspoons", false},
                           {"ppl", "person", "people", false}};

struct Currency {
  absl::string_view code;
  char sign;
  absl::string_view one, many;
  absl::string_view minor_one, minor_many;  // empty: it has none
};
constexpr Currency kCurrencies[] = {{"USD", '$', "dollar", "dollars", "cent", "cents"},
                                    {"EUR", kEuro, "euro", "euros", "cent", "cents"},
                                    {"GBP", kPound, "pound", "pounds", "penny", "pence"},
                                    {"JPY", kYen, "yen", "yen", "", ""},
                                    {"INR", kRupee, "rupee", "rupees", "paisa", "paise"},
                                    {"CAD", '\0', "Canadian dollar", "Canadian dollars", "cent", "cents"},
                                    {"AUD", '\0', "Australian dollar", "Australian dollars", "cent", "cents"},
                                    {"CHF", '\0', "franc", "francs", "centime", "centimes"}};

constexpr absl::string_view kMonths[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
constexpr absl::string_view kDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

// 1 to 12; 0: no month. `full`: whether it is written out.
int MonthOf(absl::string_view word, bool& full) {
  if (word.empty() || !IsUpper(word[0])) return 0;
  for (size_t i = 0; i < std::size(kMonths); ++i) {
    full = absl::EqualsIgnoreCase(word, kMonths[i]);
    if (full || absl::EqualsIgnoreCase(word, kMonths[i].substr(0, 3)) || (i == 8 && word == "Sept")) {
      return static_cast<int>(i) + 1;
    }
  }
  return 0;
}

absl::string_view DayOf(absl::string_view word) {
  if (word.size() < 3 || word.size() > 5 || !IsUpper(word[0])) return "";
  for (const absl::string_view day : kDays) {
    if (absl::StartsWith(day, word)) return day;
  }
  return "";
}

template <size_t N>
absl::string_view Find(const Entry (&table)[N], absl::string_view written) {
  for (const Entry& entry : table) {
    if (entry.written == written) return entry.said;
  }
  return "";
}

bool HasVowel(absl::string_view word) {
  return word.find_first_of("AEIOUYaeiouy") != absl::string_view::npos;
}

// ---- What is said so far

// Words and marks as they come, made into sentences.
class Speech {
 public:
  explicit Speech(const Dialect& dialect) : dialect_(dialect) {}

  void Word(absl::string_view word) {
    while (!word.empty()) {
      size_t size = std::min(word.size(), kMaxWord);
      // Not within a letter of several bytes.
      while (size < word.size() && size > 1 && (static_cast<unsigned char>(word[size]) & 0xC0U) == 0x80)
        --size;
      PutWord(word.substr(0, size));
      word.remove_prefix(size);
    }
  }
  void Words(absl::string_view words) {
    for (const absl::string_view word : absl::StrSplit(words, ' ', absl::SkipEmpty())) Word(word);
  }
  // Each letter by its name; the last with `tail` behind it.
  void Spell(absl::string_view letters, absl::string_view tail = "") {
    for (size_t i = 0; i < letters.size(); ++i) {
      const char letter = absl::ascii_toupper(static_cast<unsigned char>(letters[i]));
      const absl::string_view end = i + 1 == letters.size() ? tail : "";
      PutPlain(letter == 'A' && dialect_.spell_a ? absl::StrCat("ay", end)
                                                 : absl::StrCat(std::string(1, letter), end));
    }
  }
  void Comma() { comma_ = !sentence_.empty(); }
  // '.', '!' or '?'.
  void Stop(char mark) {
    comma_ = false;
    if (sentence_.empty()) {
      if (mark == '?' && !sentences_.empty() && absl::EndsWith(sentences_.back(), "!"))
        sentences_.back().back() = '?';
      return;
    }
    sentence_.push_back(mark);
    sentences_.push_back(std::move(sentence_));
    sentence_.clear();
  }

  bool at_begin() const { return sentence_.empty(); }
  absl::string_view last_word() const { return last_; }

  std::vector<std::string> Take() {
    comma_ = false;
    if (!sentence_.empty()) sentences_.push_back(std::move(sentence_));
    std::vector<std::string> pieces;
    for (const std::string& sentence : sentences_) Cut(sentence, pieces);
    return pieces;
  }

 private:
  void PutWord(absl::string_view word) {
    if (dialect_.respell) {
      std::string phonemes = EspeakPhonemes(word);
      if (phonemes.empty() && absl::EndsWith(word, "'s")) {
        phonemes = EspeakPhonemes(word.substr(0, word.size() - 2));
        if (!phonemes.empty()) phonemes.push_back('z');
      }
      if (!phonemes.empty()) {
        PutPlain(absl::StrCat("[[", phonemes, "]]"));
        last_ = std::string(word);
        return;
      }
    }
    PutPlain(word);
  }
  void PutPlain(absl::string_view word) {
    absl::StrAppend(&sentence_, sentence_.empty() ? "" : comma_ ? ", " : " ", word);
    comma_ = false;
    last_ = std::string(word);
  }

  static void Cut(absl::string_view sentence, std::vector<std::string>& pieces) {
    while (sentence.size() > kMaxSentence) {
      const absl::string_view head = sentence.substr(0, kMaxSentence);
      size_t at = head.rfind(", ");
      if (at != absl::string_view::npos && at > kMaxSentence / 4) {
        ++at;
      } else {
        at = head.rfind(' ');
      }
      if (at == absl::string_view::npos || at == 0) at = kMaxSentence;  // no word is that long
      pieces.emplace_back(sentence.substr(0, at));
      sentence = absl::StripLeadingAsciiWhitespace(sentence.substr(at));
    }
    if (!sentence.empty()) pieces.emplace_back(sentence);
  }

  const Dialect dialect_;
  std::vector<std::string> sentences_;
  std::string sentence_;
  std::string last_;
  bool comma_ = false;
};

// ---- What is written

struct Number {
  absl::string_view whole;  // digits, without separators only if `grouped` is false
  absl::string_view fraction;
  bool grouped = false;
  size_t end = 0;  // behind it in the text

  std::string digits() const { return absl::StrReplaceAll(whole, {{",", ""}}); }
  bool is_one() const { return whole == "1" && fraction.empty(); }
};

class Reader {
 public:
  Reader(absl::string_view text, Speech& speech) : text_(text), speech_(speech) {}

  void Read() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (IsWordChar(c) || IsSign(c)) {
        const size_t before = at_;
        if (at_ == 0 || !IsWordChar(text_[at_ - 1]) || !IsWordChar(c)) {
          if (ReadLink() || ReadMoney() || ReadDate() || ReadPhone() || ReadNumber()) continue;
        }
        if (IsLetter(c) && ReadWord()) continue;
        if (IsDigit(c)) {
          ReadLooseDigits();
          continue;
        }
        if (at_ != before) continue;
      }
      ReadMark();
    }
  }

 private:
  char At(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool Boundary(size_t i) const { return !IsWordChar(At(i)); }
  absl::string_view From(size_t i) const { return i < text_.size() ? text_.substr(i) : absl::string_view(); }
  size_t SkipSpaces(size_t i) const {
    while (At(i) == ' ') ++i;
    return i;
  }
  static bool IsSign(char c) {
    return c == '$' || c == kEuro || c == kPound || c == kYen || c == kRupee || c == '-' || c == '+' ||
           c == '.' || c == '#' || c == '(' || c == '~';
  }
  absl::string_view LettersAt(size_t i) const {
    size_t end = i;
    while (end < text_.size() && absl::ascii_isalpha(static_cast<unsigned char>(text_[end]))) ++end;
    return text_.substr(std::min(i, text_.size()), end - std::min(i, end));
  }
  absl::string_view DigitsAt(size_t i) const {
    size_t end = i;
    while (end < text_.size() && IsDigit(text_[end])) ++end;
    return text_.substr(std::min(i, text_.size()), end - std::min(i, end));
  }

  // Digits, thousands between commas, a decimal fraction.
  std::optional<Number> NumberAt(size_t i) const {
    Number number;
    absl::string_view digits = DigitsAt(i);
    size_t end = i + digits.size();
    if (digits.empty()) {
      if (At(i) != '.' || !IsDigit(At(i + 1))) return std::nullopt;
    } else if (digits.size() <= 3) {
      while (At(end) == ',' && DigitsAt(end + 1).size() == 3) {
        end += 4;
        number.grouped = true;
      }
    }
    number.whole = text_.substr(i, end - i);
    if (At(end) == '.' && IsDigit(At(end + 1))) {
      number.fraction = DigitsAt(end + 1);
      end += 1 + number.fraction.size();
    }
    number.end = end;
    return number;
  }

  void SayNumber(const Number& number) {
    if (number.whole.empty()) {
      speech_.Word("zero");
    } else {
      speech_.Words(IntegerWords(number.digits()));
    }
    if (!number.fraction.empty()) {
      speech_.Word("point");
      speech_.Words(DigitWords(number.fraction));
    }
  }

  // ---- Links and addresses

  bool ReadLink() {
    if (!IsLetter(At(at_))) return false;
    const absl::string_view rest = From(at_);
    if (absl::StartsWithIgnoreCase(rest, "http://") || absl::StartsWithIgnoreCase(rest, "https://") ||
        absl::StartsWithIgnoreCase(rest, "www.")) {
      const size_t size = std::min(rest.find_first_of(" \n)\"<>"), rest.size());
      absl::string_view host = rest.substr(0, size);
      const size_t scheme = host.find("://");
      if (scheme != absl::string_view::npos) host.remove_prefix(scheme + 3);
      if (absl::StartsWithIgnoreCase(host, "www.")) host.remove_prefix(4);
      absl::string_view tail = rest.substr(0, size);
      size_t stops = 0;
      while (stops < tail.size() &&
             absl::string_view(".,!?;:").find(tail[tail.size() - 1 - stops]) != absl::string_view::npos) {
        ++stops;
      }
      host = host.substr(0, host.find_first_of("/?#:,!;"));
      while (absl::ConsumeSuffix(&host, ".")) {
      }
      SayAddress(host);
      at_ += size - stops;
      return true;
    }
    // name@example.com, example.com
    size_t end = 0;
    size_t at_sign = absl::string_view::npos;
    size_t last_dot = absl::string_view::npos;
    while (end < rest.size() && (absl::ascii_isalnum(static_cast<unsigned char>(rest[end])) ||
                                 absl::string_view("._-@+").find(rest[end]) != absl::string_view::npos)) {
      if (rest[end] == '@') at_sign = end;
      if (rest[end] == '.') last_dot = end;
      ++end;
    }
    while (end > 0 && absl::string_view("._-@+").find(rest[end - 1]) != absl::string_view::npos) --end;
    if (last_dot != absl::string_view::npos && last_dot >= end) last_dot = rest.substr(0, end).rfind('.');
    if (last_dot == absl::string_view::npos || last_dot == 0) return false;
    const absl::string_view domain = rest.substr(last_dot + 1, end - last_dot - 1);
    const bool known =
        IsOneOf(domain, {"com", "org", "net", "io", "app", "menu", "dev", "uk", "de", "edu", "gov"});
    const bool mail = at_sign != absl::string_view::npos && at_sign > 0 && at_sign < last_dot;
    if (!mail && !(known && at_sign == absl::string_view::npos)) return false;
    SayAddress(rest.substr(0, end));
    at_ += end;
    return true;
  }

  void SayAddress(absl::string_view address) {
    size_t i = 0;
    while (i < address.size()) {
      size_t end = i;
      if (IsLetter(address[i])) {
        while (end < address.size() && IsLetter(address[end])) ++end;
        speech_.Word(address.substr(i, end - i));
      } else if (IsDigit(address[i])) {
        while (end < address.size() && IsDigit(address[end])) ++end;
        speech_.Words(IntegerWords(address.substr(i, end - i)));
      } else {
        switch (address[i]) {
          case '.':
            speech_.Word("dot");
            break;
          case '@':
            speech_.Word("at");
            break;
          case '-':
            speech_.Word("dash");
            break;
          case '_':
            speech_.Word("underscore");
            break;
          case '+':
            speech_.Word("plus");
            break;
          default:
            break;
        }
        ++end;
      }
      i = end;
    }
  }

  // ---- Money

  static const Currency* CurrencyOf(char sign) {
    for (const Currency& currency : kCurrencies) {
      if (currency.sign == sign && sign != '\0') return &currency;
    }
    return nullptr;
  }
  static const Currency* CurrencyOf(absl::string_view code) {
    for (const Currency& currency : kCurrencies) {
      if (currency.code == code) return &currency;
    }
    return nullptr;
  }

  // The amount at `i`; Europe's decimal comma is taken, too.
  std::optional<Number> AmountAt(size_t i) const {
    std::optional<Number> number = NumberAt(i);
    if (number.has_value() && number->fraction.empty() && !number->grouped && At(number->end) == ',' &&
        DigitsAt(number->end + 1).size() == 2) {
      number->fraction = DigitsAt(number->end + 1);
      number->end += 3;
    }
    return number;
  }

  void SayMoney(const Number& amount, const Currency& currency) {
    std::string minor(amount.fraction);
    if (minor.size() == 1) minor.push_back('0');
    const bool minor_only =
        amount.whole.empty() || amount.digits().find_first_not_of('0') == std::string::npos;
    const bool no_minor = minor.find_first_not_of('0') == std::string::npos;
    if (minor.size() > 2 || (currency.minor_one.empty() && !no_minor)) {
      SayNumber(amount);
      speech_.Words(currency.many);
      return;
    }
    if (!minor_only || no_minor) {
      speech_.Words(amount.whole.empty() ? "zero" : IntegerWords(amount.digits()));
      speech_.Words(amount.whole == "1" ? currency.one : currency.many);
      if (no_minor) return;
      speech_.Word("and");
    }
    const std::string digits = minor[0] == '0' ? minor.substr(1) : minor;
    speech_.Words(IntegerWords(digits));
    speech_.Words(digits == "1" ? currency.minor_one : currency.minor_many);
  }

  // "million" and the like behind an amount.
  absl::string_view ScaleAt(size_t i, size_t& end) const {
    const size_t word_at = SkipSpaces(i);
    const absl::string_view word = LettersAt(word_at);
    if (!Boundary(word_at + word.size())) return "";
    end = word_at + word.size();
    if (IsOneOf(word, {"thousand", "million", "billion", "trillion"})) return word;
    if (word_at != i) return "";
    if (word == "k" || word == "K") return "thousand";
    if (word == "m" || word == "M") return "million";
    if (word == "bn" || word == "B") return "billion";
    return "";
  }

  bool ReadMoney() {
    size_t i = at_;
    absl::string_view sign;
    if ((At(i) == '-' || At(i) == '+') && !(i > 0 && IsWordChar(At(i - 1)))) {
      sign = At(i) == '-' ? "minus" : "plus";
      ++i;
    }
    // US$, CA$, A$
    if (const absl::string_view letters = LettersAt(i);
        IsOneOf(letters, {"US", "CA", "A", "AU", "C", "NZ", "HK"}) && At(i + letters.size()) == '$') {
      i += letters.size();
    }
    const Currency* currency = CurrencyOf(At(i));
    if (currency != nullptr) {
      i = SkipSpaces(i + 1);
      if (sign.empty() && At(i) == '-' && (IsDigit(At(i + 1)) || At(i + 1) == '.')) {
        sign = "minus";
        ++i;
      }
    } else {
      const absl::string_view code = LettersAt(i);
      currency = code.size() == 3 ? CurrencyOf(code) : nullptr;
      if (currency != nullptr) {
        i = SkipSpaces(i + 3);
      } else {
        return ReadMoneyBehind(i, sign);
      }
    }
    const std::optional<Number> amount = AmountAt(i);
    if (!amount.has_value()) return false;
    speech_.Words(sign);
    size_t end = amount->end;
    if (const absl::string_view scale = ScaleAt(amount->end, end); !scale.empty()) {
      SayNumber(*amount);
      speech_.Word(scale);
      speech_.Words(currency->many);
    } else {
      end = amount->end;
      SayMoney(*amount, *currency);
    }
    at_ = end;
    ReadRange(currency);
    ReadPer();
    return true;
  }

  // "12.99 €", "5 USD", "12.99 dollars", "99¢"
  bool ReadMoneyBehind(size_t i, absl::string_view sign) {
    const std::optional<Number> amount = AmountAt(i);
    if (!amount.has_value()) return false;
    if (At(amount->end) == kCent) {
      speech_.Words(sign);
      SayNumber(*amount);
      speech_.Word(amount->is_one() ? "cent" : "cents");
      at_ = amount->end + 1;
      ReadPer();
      return true;
    }
    const size_t behind = SkipSpaces(amount->end);
    const Currency* currency = nullptr;
    size_t end = behind + 1;
    if (const char c = At(behind); c != '$' || !IsDigit(At(behind + 1))) currency = CurrencyOf(c);
    if (currency == nullptr) {
      const absl::string_view word = LettersAt(behind);
      end = behind + word.size();
      if (!Boundary(end)) return false;
      currency = CurrencyOf(word);
      if (currency == nullptr && !amount->fraction.empty()) {
        if (IsOneOf(word, {"dollars", "dollar", "bucks"})) currency = CurrencyOf("USD");
        if (IsOneOf(word, {"euros", "euro"})) currency = CurrencyOf("EUR");
      }
      if (currency == nullptr) return false;
    }
    speech_.Words(sign);
    SayMoney(*amount, *currency);
    at_ = end;
    ReadPer();
    return true;
  }

  // "/lb" behind an amount or a measure.
  void ReadPer() {
    if (At(at_) != '/' || !IsLetter(At(at_ + 1))) return;
    const absl::string_view word = LettersAt(at_ + 1);
    if (!Boundary(at_ + 1 + word.size())) return;
    at_ += 1 + word.size();
    if (IsOneOf(word, {"ea", "each"})) {
      speech_.Word("each");
      return;
    }
    speech_.Word("per");
    for (const Unit& unit : kUnits) {
      if (unit.written == word) {
        speech_.Words(unit.one);
        return;
      }
    }
    speech_.Word(word);
  }

  // "-15" behind a number, or "-$15" behind an amount of money.
  void ReadRange(const Currency* currency) {
    size_t i = SkipSpaces(at_);
    if (At(i) != '-' && At(i) != kDash) return;
    const bool spaced = i != at_;
    i = SkipSpaces(i + 1);
    if (spaced && At(i - 1) != ' ') return;  // "10 -5" is no range
    if (currency != nullptr && CurrencyOf(At(i)) == currency) ++i;
    const std::optional<Number> to = currency != nullptr ? AmountAt(i) : NumberAt(i);
    if (!to.has_value() || IsLetter(At(to->end))) return;
    speech_.Word("to");
    if (currency != nullptr) {
      SayMoney(*to, *currency);
    } else {
      SayNumber(*to);
    }
    at_ = to->end;
  }

  // ---- Dates, phones

  bool ReadDate() {
    if (!IsDigit(At(at_))) return false;
    const auto number = [](absl::string_view digits) {
      int value = 0;
      return absl::SimpleAtoi(digits, &value) ? value : 0;
    };
    const absl::string_view first = DigitsAt(at_);
    const char separator = At(at_ + first.size());
    if (separator != '-' && separator != '/') return false;
    const size_t second_at = at_ + first.size() + 1;
    const absl::string_view second = DigitsAt(second_at);
    const size_t third_at = second_at + second.size() + 1;
    const absl::string_view third = At(third_at - 1) == separator ? DigitsAt(third_at) : absl::string_view();
    if (second.empty() || second.size() > 2 || !Boundary(third_at + third.size())) return false;
    int year = 0;
    int month = 0;
    int day = 0;
    if (first.size() == 4 && third.size() <= 2 && !third.empty()) {
      year = number(first);
      month = number(second);
      day = number(third);
    } else if (first.size() <= 2 && separator == '/' && third.size() == 4) {
      year = number(third);
      month = number(first);
      day = number(second);
    }
    if (year < 1000 || month < 1 || month > 12 || day < 1 || day > 31) return false;
    speech_.Word(kMonths[month - 1]);
    speech_.Words(OrdinalWords(static_cast<uint64_t>(day)));
    speech_.Comma();
    speech_.Words(YearWords(static_cast<uint64_t>(year)));
    at_ = third_at + third.size();
    return true;
  }

  // Groups of digits as telephone numbers have them.
  bool ReadPhone() {
    size_t i = at_;
    const bool international = At(i) == '+';
    if (international) ++i;
    std::vector<absl::string_view> groups;
    std::string separators;
    while (true) {
      const bool open = At(i) == '(';
      const absl::string_view digits = DigitsAt(open ? i + 1 : i);
      if (digits.empty()) return false;
      groups.push_back(digits);
      i += digits.size() + (open ? 1 : 0);
      if (open) {
        if (At(i) != ')') return false;
        ++i;
        separators.push_back(')');
        i = SkipSpaces(i);
        if (At(i) == '-') ++i;
        continue;
      }
      const char c = At(i);
      if ((c != '-' && c != '.' && c != ' ') || !(IsDigit(At(i + 1)) || At(i + 1) == '(')) break;
      separators.push_back(c);
      ++i;
      if (groups.size() > 6) return false;
    }
    if (!Boundary(i)) return false;
    std::vector<size_t> sizes;
    size_t total = 0;
    for (const absl::string_view group : groups) {
      sizes.push_back(group.size());
      total += group.size();
    }
    const bool dashed = separators == "-";
    const bool local = sizes == std::vector<size_t>{3, 4} && dashed;
    const bool with_area = sizes == std::vector<size_t>{3, 3, 4};
    const bool with_country = sizes == std::vector<size_t>{1, 3, 3, 4};
    if (!(local || with_area || with_country || (international && total >= 8 && total <= 15))) return false;
    if (international) speech_.Word("plus");
    for (const absl::string_view group : groups) {
      speech_.Words(DigitWords(group));
      speech_.Comma();
    }
    at_ = i;
    // The comma behind the last group is for what follows at once only.
    return true;
  }

  // ---- Numbers

  bool ReadNumber() {
    size_t i = at_;
    const char c = At(i);
    const char previous = i > 0 ? text_[i - 1] : ' ';
    if (c == '#') {
      if (!IsDigit(At(i + 1)) && !(IsUpper(At(i + 1)) && HasCode(i + 1))) return false;
      if (!IsOneOf(absl::AsciiStrToLower(speech_.last_word()), {"number", "no"})) speech_.Word("number");
      numbered_ = true;
      ++at_;
      return true;
    }
    if (c == '~') {
      if (!IsDigit(At(i + 1)) && CurrencyOf(At(i + 1)) == nullptr) return false;
      speech_.Word("about");
      ++at_;
      return true;
    }
    absl::string_view sign;
    if (c == '-' || c == '+') {
      if (IsWordChar(previous) || previous == ')') return false;
      if (!IsDigit(At(i + 1)) && At(i + 1) != '.') return false;
      sign = c == '-' ? "minus" : "plus";
      ++i;
    }
    if (At(i) == '.' && IsDigit(previous)) return false;
    const std::optional<Number> found = NumberAt(i);
    if (!found.has_value()) return false;
    const Number& number = *found;
    const bool numbered = std::exchange(numbered_, false) || FollowsNumberWord();
    speech_.Words(sign);
    if (sign.empty() && (ReadTime(number) || ReadFraction(number))) return true;
    const size_t end = number.end;
    const absl::string_view letters = LettersAt(end);
    if (number.fraction.empty() && IsOneOf(letters, {"st", "nd", "rd", "th"}) && Boundary(end + 2) &&
        number.whole.size() <= 15) {
      uint64_t value = 0;
      if (absl::SimpleAtoi(number.digits(), &value)) {
        speech_.Words(OrdinalWords(value));
        at_ = end + 2;
        return true;
      }
    }
    if (number.fraction.empty() && !number.grouped && number.whole.size() == 4 && FollowsYearWord()) {
      uint64_t year = 0;
      if (absl::SimpleAtoi(number.whole, &year) && year >= 1900 && year < 2100) {
        speech_.Words(YearWords(year));
        at_ = end;
        return true;
      }
    }
    if (numbered && number.fraction.empty() && !number.grouped && number.whole.size() >= 3) {
      SayDigits(number.whole);
      at_ = end;
      return true;
    }
    if (number.fraction.empty() && !number.grouped && number.whole.size() >= 7) {
      SayDigits(number.whole);
      at_ = end;
      return true;
    }
    SayNumber(number);
    at_ = end;
    ReadMixedFraction();
    ReadRange(nullptr);
    const bool singular = number.is_one() && at_ == end;
    if (!ReadMeasure(singular)) ReadTimes();
    if (At(at_) == '+' && !IsWordChar(At(at_ + 1))) {
      speech_.Word("plus");
      ++at_;
    }
    return true;
  }

  // Digits one by one, a pause between groups as people make them.
  void SayDigits(absl::string_view digits) {
    const bool country = digits.size() == 11;  // one digit that leads a telephone number
    for (bool first = true; !digits.empty(); first = false) {
      const size_t size = first && country ? 1 : digits.size() > 4 ? 3 : digits.size();
      speech_.Words(DigitWords(digits.substr(0, size)));
      digits.remove_prefix(size);
      if (!digits.empty()) speech_.Comma();
    }
  }

  bool FollowsNumberWord() const {
    return IsOneOf(
        absl::AsciiStrToLower(speech_.last_word()),
        {"order", "number", "ticket", "code", "pin", "room", "gate", "receipt", "reference", "card"});
  }
  bool FollowsYearWord() const {
    return IsOneOf(absl::AsciiStrToLower(speech_.last_word()),
                   {"in", "since", "year", "until", "est", "established"});
  }

  // 5:30, 5:30pm, 7 pm
  bool ReadTime(const Number& hour) {
    if (!hour.fraction.empty() || hour.whole.size() > 2 || hour.whole.empty()) return false;
    int hours = 0;
    if (!absl::SimpleAtoi(hour.whole, &hours) || hours > 24) return false;
    size_t end = hour.end;
    absl::string_view minutes;
    if (At(end) == ':' && DigitsAt(end + 1).size() == 2 && At(end + 1) < '6') {
      minutes = DigitsAt(end + 1);
      end += 3;
      if (At(end) == ':') return false;
    }
    size_t half_end = end;
    const std::string half = HalfDayAt(SkipSpaces(end), half_end);
    if (minutes.empty() && (half.empty() || hours == 0 || hours > 12)) return false;
    speech_.Words(hours == 0 ? "zero" : NumberWords(static_cast<uint64_t>(hours)));
    if (!minutes.empty() && minutes != "00") {
      if (minutes[0] == '0') speech_.Word("oh");
      speech_.Words(IntegerWords(minutes[0] == '0' ? minutes.substr(1) : minutes));
    } else if (half.empty()) {
      speech_.Words(hours == 0 || hours > 12 ? "hundred" : "o'clock");
    }
    if (!half.empty()) {
      speech_.Spell(half);
      end = half_end;
    }
    at_ = end;
    // 9-5pm and 9:00-17:00: what follows is a time again.
    const size_t dash = SkipSpaces(at_);
    if ((At(dash) == '-' || At(dash) == kDash) && IsDigit(At(SkipSpaces(dash + 1)))) {
      speech_.Word("to");
      at_ = SkipSpaces(dash + 1);
    }
    return true;
  }

  // "AM" or "PM" as it may be written at `i`; empty: there is none.
  std::string HalfDayAt(size_t i, size_t& end) const {
    const char half = absl::ascii_toupper(static_cast<unsigned char>(At(i)));
    if (half != 'A' && half != 'P') return "";
    size_t at = i + 1;
    const bool dotted = At(at) == '.';
    if (dotted) ++at;
    if (absl::ascii_tolower(static_cast<unsigned char>(At(at))) != 'm') return "";
    ++at;
    if (!Boundary(at)) return "";
    // The full stop of "p.m." ends a sentence where one begins behind it.
    if (dotted && At(at) == '.' && !EndsHere(at + 1)) ++at;
    end = at;
    return std::string({half, 'M'});
  }

  // Whether a sentence may end before `i`.
  bool EndsHere(size_t i) const {
    const size_t next = SkipSpaces(i);
    return next >= text_.size() || At(next) == '\n' || (next != i && IsUpper(At(next)));
  }

  // 1/2, 24/7, 12/25, 4.5/5
  bool ReadFraction(const Number& top) {
    if (At(top.end) != '/' || top.whole.empty()) return false;
    const absl::string_view bottom = DigitsAt(top.end + 1);
    const size_t end = top.end + 1 + bottom.size();
    if (bottom.empty() || bottom.size() > 3 || top.whole.size() > 3 || !Boundary(end)) return false;
    int n = 0;
    int d = 0;
    if (!absl::SimpleAtoi(top.whole, &n) || !absl::SimpleAtoi(bottom, &d)) return false;
    at_ = end;
    if (top.fraction.empty() && n == 24 && d == 7) {
      speech_.Words("twenty four seven");
    } else if (top.fraction.empty() && n > 0 && n < d && d <= 10) {
      SayFraction(n, d);
    } else if (top.fraction.empty() && n >= 1 && n <= 12 && d > 10 && d <= 31) {
      speech_.Word(kMonths[n - 1]);
      speech_.Words(OrdinalWords(static_cast<uint64_t>(d)));
    } else {
      SayNumber(top);
      speech_.Words("out of");
      speech_.Words(NumberWords(static_cast<uint64_t>(d)));
    }
    return true;
  }

  void SayFraction(int n, int d) {
    speech_.Words(NumberWords(static_cast<uint64_t>(n)));
    if (d == 2) {
      speech_.Word("half");
    } else {
      const std::string name = d == 4 ? "quarter" : OrdinalWords(static_cast<uint64_t>(d));
      speech_.Word(n == 1 ? name : absl::StrCat(name, "s"));
    }
  }

  // " 1/2" behind a whole number.
  void ReadMixedFraction() {
    const size_t i = SkipSpaces(at_);
    if (i == at_ || !IsDigit(At(i)) || At(i + 1) != '/' || !IsDigit(At(i + 2)) || !Boundary(i + 3)) return;
    const int n = At(i) - '0';
    const int d = At(i + 2) - '0';
    if (n < 1 || n >= d) return;
    speech_.Word("and");
    if (n == 1) {
      speech_.Word("a");
      speech_.Words(d == 2 ? "half" : d == 4 ? "quarter" : OrdinalWords(static_cast<uint64_t>(d)));
    } else {
      SayFraction(n, d);
    }
    at_ = i + 3;
  }

  // Percent, degrees, units, inches behind a number. False: none of them.
  bool ReadMeasure(bool singular) {
    size_t i = at_;
    if (At(i) == '%' || (At(i) == ' ' && At(i + 1) == '%')) {
      speech_.Word("percent");
      at_ = i + (At(i) == '%' ? 1 : 2);
      return true;
    }
    if (At(SkipSpaces(i)) == kDegree) {
      i = SkipSpaces(i) + 1;
      speech_.Word(singular ? "degree" : "degrees");
      const size_t scale = SkipSpaces(i);
      if ((At(scale) == 'F' || At(scale) == 'C') && Boundary(scale + 1)) {
        speech_.Word(At(scale) == 'F' ? "Fahrenheit" : "Celsius");
        i = scale + 1;
      }
      at_ = i;
      return true;
    }
    if (At(i) == '"' && quotes_ % 2 == 0) {
      // 12" pizza
      speech_.Word(IsSpace(At(i + 1)) && IsLetter(At(i + 2)) ? "inch" : "inches");
      at_ = i + 1;
      return true;
    }
    const bool hyphen = At(i) == '-' && IsLetter(At(i + 1));
    const size_t word_at = hyphen ? i + 1 : SkipSpaces(i);
    const bool attached = word_at == i || hyphen;
    const absl::string_view word = LettersAt(word_at);
    size_t end = word_at + word.size();
    if (word.empty() || !Boundary(end)) return false;
    if (word == "fl" || word == "FL") {
      size_t oz = end;
      if (At(oz) == '.') ++oz;
      oz = SkipSpaces(oz);
      if (absl::EqualsIgnoreCase(LettersAt(oz), "oz")) {
        speech_.Words(singular ? "fluid ounce" : "fluid ounces");
        at_ = oz + 2;
        SkipAbbreviationStop();
        return true;
      }
    }
    for (const Unit& unit : kUnits) {
      if (unit.written != word || (unit.only_attached && !attached)) continue;
      speech_.Words(singular || hyphen ? unit.one : unit.many);
      at_ = end;
      SkipAbbreviationStop();
      ReadPer();
      return true;
    }
    return false;
  }

  // The full stop of an abbreviation, unless a sentence may end with it.
  void SkipAbbreviationStop() {
    if (At(at_) == '.' && !EndsHere(at_ + 1) && !IsDigit(At(at_ + 1))) ++at_;
  }

  // "2x", "2 x", "2×": times; before a number, "by".
  void ReadTimes() {
    const size_t i = SkipSpaces(at_);
    if (At(i) != 'x' && At(i) != 'X' && At(i) != kTimes) return;
    if (At(i) != kTimes && IsLetter(At(i + 1))) return;
    const size_t next = SkipSpaces(i + 1);
    if (IsDigit(At(next))) {
      speech_.Word("by");
      at_ = next;
    } else if (IsLetter(At(next))) {
      at_ = next;  // "2 x Cola" is two Colas
    } else {
      speech_.Word("times");
      at_ = i + 1;
    }
  }

  // What is left of digits within a word, such as of "7up".
  void ReadLooseDigits() {
    const absl::string_view digits = DigitsAt(at_);
    if (digits.size() >= 3) {
      SayDigits(digits);
    } else {
      speech_.Words(IntegerWords(digits));
    }
    at_ += digits.size();
  }

  // ---- Words

  // Whether a code such as A12, B-7 or ORD-204 begins at `i`.
  bool HasCode(size_t i) const {
    size_t letters = 0;
    while (IsUpper(At(i + letters))) ++letters;
    if (letters == 0 || letters > 3) return false;
    size_t digits_at = i + letters;
    if (At(digits_at) == '-' || At(digits_at) == '#') ++digits_at;
    const absl::string_view digits = DigitsAt(digits_at);
    return !digits.empty() && digits.size() <= 8 && Boundary(digits_at + digits.size());
  }

  bool ReadCode() {
    if (!HasCode(at_)) return false;
    size_t i = at_;
    while (IsUpper(At(i))) ++i;
    speech_.Spell(text_.substr(at_, i - at_));
    if (!IsDigit(At(i))) ++i;
    const absl::string_view digits = DigitsAt(i);
    if (digits.size() >= 3 || digits[0] == '0') {
      SayDigits(digits);
    } else {
      speech_.Words(IntegerWords(digits));
    }
    at_ = i + digits.size();
    numbered_ = false;
    return true;
  }

  bool ReadWord() {
    if (ReadCode()) return true;
    size_t end = at_;
    while (end < text_.size() &&
           (IsLetter(text_[end]) || (text_[end] == '\'' && IsLetter(At(end + 1)) && end > at_))) {
      ++end;
    }
    const absl::string_view word = text_.substr(at_, end - at_);
    const std::string lower = absl::AsciiStrToLower(word);
    const char before = at_ > 0 ? text_[at_ - 1] : ' ';
    const char behind = At(end);

    if (ReadDotted(word, end)) return true;
    // w/ and w/o, b/c
    if (lower == "w" && behind == '/') {
      if (absl::ascii_tolower(static_cast<unsigned char>(At(end + 1))) == 'o' && Boundary(end + 2)) {
        speech_.Word("without");
        at_ = end + 2;
      } else {
        speech_.Word("with");
        at_ = end + 1;
      }
      return true;
    }
    // 'n' of Mac 'n' Cheese
    if (lower == "n" && (before == '\'' || behind == '\'')) {
      speech_.Word("and");
      at_ = end + (behind == '\'' ? 1 : 0);
      return true;
    }
    // x2 behind what is ordered
    if (lower == "x" && IsDigit(behind)) {
      const absl::string_view digits = DigitsAt(end);
      if (Boundary(end + digits.size()) && digits.size() <= 3) {
        speech_.Comma();
        speech_.Word("times");
        speech_.Words(IntegerWords(digits));
        at_ = end + digits.size();
        return true;
      }
    }
    if ((lower == "no" || lower == "nr") && ReadNumberSign(end)) return true;
    if (before == '(' && behind == ')') {
      if (const absl::string_view said = Find(kDietary, word); !said.empty()) {
        speech_.Words(said);
        at_ = end;
        return true;
      }
    }
    if (ReadMonth(word, end)) return true;
    if (const absl::string_view day = DayOf(word); !day.empty() && day.size() != word.size()) {
      const bool ranged = behind == '-' || behind == kDash || before == '-' || before == kDash;
      if (ranged || (behind == '.' && !IsOneOf(lower, {"sun", "sat"}))) {
        speech_.Word(day);
        at_ = end;
        if (behind == '.') SkipAbbreviationStop();
        ReadDayRange();
        return true;
      }
    }
    if (lower != "w" && lower != "ms") {  // these only before a mark
      if (const absl::string_view said = Find(kAbbreviations, lower); !said.empty()) {
        speech_.Words(said);
        at_ = end;
        // Behind a title stands a name with its capital, which begins no sentence.
        if (behind == '.' && IsOneOf(lower, {"mr", "mrs", "dr"})) {
          ++at_;
        } else {
          SkipAbbreviationStop();
        }
        return true;
      }
    }
    if (behind == '.') {
      absl::string_view said = Find(kDotted, lower);
      if (said.empty() && (lower == "ms")) said = Find(kAbbreviations, lower);
      if (!said.empty()) {
        speech_.Words(said);
        at_ = end;
        if (IsOneOf(lower, {"st", "ms"}) && At(end + 1) == ' ') {
          ++at_;
        } else {
          SkipAbbreviationStop();
        }
        return true;
      }
    }
    SayWord(word, end);
    at_ = end;
    return true;
  }

  void SayWord(absl::string_view word, size_t end) {
    const bool capitals = std::all_of(word.begin(), word.end(), IsUpper);
    if (capitals && word.size() > 1) {
      const bool spelled = std::find(std::begin(kSpelled), std::end(kSpelled), word) != std::end(kSpelled) ||
                           (word.size() <= 5 && !HasVowel(word));
      if (spelled) {
        speech_.Spell(word);
      } else {
        speech_.Word(absl::AsciiStrToLower(word));
      }
      return;
    }
    // BLTs
    if (word.size() >= 3 && word.size() <= 5 && word.back() == 's' &&
        std::all_of(word.begin(), word.end() - 1, IsUpper)) {
      const absl::string_view letters = word.substr(0, word.size() - 1);
      if (!HasVowel(letters) ||
          std::find(std::begin(kSpelled), std::end(kSpelled), letters) != std::end(kSpelled)) {
        speech_.Spell(letters, "'s");
        return;
      }
    }
    if (word.size() == 1 && IsUpper(word[0]) && word != "I" && (word != "A" || IsLetterA(end))) {
      speech_.Spell(word);
      return;
    }
    speech_.Word(word);
  }

  // Whether the word A that ends before `end` is the letter, as in "option A or B", and not the article.
  bool IsLetterA(size_t end) const {
    const size_t next = SkipSpaces(end);
    if (IsOneOf(absl::AsciiStrToLower(speech_.last_word()), {"option", "size", "table", "section", "grade",
                                                             "plan", "gate", "vitamin", "door", "letter"})) {
      return true;
    }
    if (At(next) == '\0' || At(next) == '\n') return !speech_.at_begin();
    return !speech_.at_begin() && absl::string_view(".,!?;:)").find(At(next)) != absl::string_view::npos;
  }

  // e.g., i.e., U.S., p.m. without a number
  bool ReadDotted(absl::string_view word, size_t end) {
    if (word.size() != 1 || At(end) != '.' || !IsLetter(At(end + 1)) || !Boundary(end + 2)) return false;
    if (at_ > 0 && IsWordChar(text_[at_ - 1])) return false;
    std::string letters(1, absl::ascii_toupper(static_cast<unsigned char>(word[0])));
    size_t i = end;
    while (At(i) == '.' && absl::ascii_isalpha(static_cast<unsigned char>(At(i + 1))) && Boundary(i + 2)) {
      letters.push_back(absl::ascii_toupper(static_cast<unsigned char>(At(i + 1))));
      i += 2;
    }
    if (letters == "EG") {
      speech_.Words("for example");
    } else if (letters == "IE") {
      speech_.Words("that is");
    } else {
      speech_.Spell(letters);
    }
    at_ = i;
    if (At(at_) == '.' && (letters == "EG" || letters == "IE" || !EndsHere(at_ + 1))) ++at_;
    return true;
  }

  // "No. 5": the number; a lone "No." is an answer.
  bool ReadNumberSign(size_t end) {
    size_t i = end;
    if (At(i) != '.') return false;
    i = SkipSpaces(i + 1);
    if (!IsDigit(At(i)) && !HasCode(i)) return false;
    speech_.Word("number");
    numbered_ = true;
    at_ = i;
    return true;
  }

  // December 14, Dec. 14th, 2025
  bool ReadMonth(absl::string_view word, size_t end) {
    bool full = false;
    const int month = MonthOf(word, full);
    if (month == 0) return false;
    size_t i = end;
    if (At(i) == '.' && !full) ++i;
    i = SkipSpaces(i);
    const absl::string_view digits = DigitsAt(i);
    int day = 0;
    const bool has_day =
        !digits.empty() && digits.size() <= 2 && absl::SimpleAtoi(digits, &day) && day >= 1 && day <= 31;
    size_t day_end = i + digits.size();
    if (IsOneOf(LettersAt(day_end), {"st", "nd", "rd", "th"})) day_end += 2;
    if (!has_day || !Boundary(day_end) || At(day_end) == ':' || At(day_end) == '%') {
      if (!full) return false;  // "Mar" and "Dec" alone may be names
      speech_.Word(kMonths[month - 1]);
      at_ = end;
      const absl::string_view year = DigitsAt(SkipSpaces(end));
      uint64_t value = 0;
      if (year.size() == 4 && absl::SimpleAtoi(year, &value) && value >= 1900 && value < 2100 &&
          Boundary(SkipSpaces(end) + 4)) {
        speech_.Words(YearWords(value));
        at_ = SkipSpaces(end) + 4;
      }
      return true;
    }
    speech_.Word(kMonths[month - 1]);
    speech_.Words(OrdinalWords(static_cast<uint64_t>(day)));
    at_ = day_end;
    size_t year_at = day_end;
    if (At(year_at) == ',') ++year_at;
    year_at = SkipSpaces(year_at);
    const absl::string_view year = DigitsAt(year_at);
    uint64_t value = 0;
    if (year.size() == 4 && year_at != day_end && absl::SimpleAtoi(year, &value) && value >= 1900 &&
        value < 2100 && Boundary(year_at + 4)) {
      speech_.Comma();
      speech_.Words(YearWords(value));
      at_ = year_at + 4;
    }
    return true;
  }

  void ReadDayRange() {
    if (At(at_) != '-' && At(at_) != kDash) return;
    if (DayOf(LettersAt(at_ + 1)).empty()) return;
    speech_.Word("to");
    ++at_;
  }

  // ---- Marks

  void ReadMark() {
    const char c = At(at_);
    const char previous = at_ > 0 ? text_[at_ - 1] : ' ';
    const char next = At(at_ + 1);
    ++at_;
    switch (c) {
      case '\n':
        speech_.Stop('.');
        break;
      case '!':
      case '?': {
        char mark = c;
        while (At(at_) == '!' || At(at_) == '?' || At(at_) == '.') {
          if (At(at_) == '?') mark = '?';
          ++at_;
        }
        speech_.Stop(mark);
        break;
      }
      case '.': {
        size_t dots = 1;
        while (At(at_) == '.') {
          ++at_;
          ++dots;
        }
        const size_t following = SkipSpaces(at_);
        if (dots > 1 && following < text_.size() && !IsUpper(At(following)) && At(following) != '\n') {
          speech_.Comma();
        } else {
          speech_.Stop('.');
        }
        break;
      }
      case ',':
      case ';':
      case '(':
      case ')':
      case '|':
        speech_.Comma();
        break;
      case ':':
        // A smile is none.
        if (next != ')' && next != '(' && next != 'D') speech_.Comma();
        break;
      case '-':
        if (IsSpace(previous) && IsSpace(next)) speech_.Comma();
        while (At(at_) == '-') ++at_;
        break;
      case kDash:
        if (!(IsDigit(previous) && IsDigit(next))) speech_.Comma();
        break;
      case '&':
        speech_.Word("and");
        break;
      case '@':
        if (!speech_.at_begin()) speech_.Word("at");
        break;
      case '+':
        if (!speech_.at_begin() || IsDigit(next)) speech_.Word("plus");
        break;
      case '=':
        if (previous != '=' && next != '=') speech_.Word("equals");
        break;
      case '%':
        speech_.Word("percent");
        break;
      case kTimes:
        if (IsDigit(previous) || previous == ' ') speech_.Word("times");
        break;
      case kDegree:
        speech_.Word("degrees");
        break;
      case '/':
        if (IsWordChar(previous) && IsWordChar(next)) {
          const std::string last = absl::AsciiStrToLower(speech_.last_word());
          if (last != "and" && last != "with") speech_.Word("or");
          if (last == "and") break;
        }
        break;
      case '*':
        if (IsDigit(previous) && IsDigit(next)) speech_.Word("times");
        break;
      case '"':
        ++quotes_;
        break;
      default:
        break;
    }
  }

  const absl::string_view text_;
  Speech& speech_;
  size_t at_ = 0;
  size_t quotes_ = 0;
  bool numbered_ = false;  // "number" was said: digits of an identifier follow
};

// ---- Markup

// `text` from `from` without HTML's tags, with its entities resolved.
std::string WithoutHtml(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] == '<' && text.size() > 1 && (IsLetter(text[1]) || text[1] == '/' || text[1] == '!')) {
      const size_t end = text.substr(0, 200).find('>');
      if (end != absl::string_view::npos) {
        const bool line = absl::StartsWithIgnoreCase(text, "<br") ||
                          absl::StartsWithIgnoreCase(text, "</p") || absl::StartsWithIgnoreCase(text, "</li");
        out.push_back(line ? '\n' : ' ');
        text.remove_prefix(end + 1);
        continue;
      }
    }
    if (text[0] == '&') {
      constexpr std::array<Entry, 6> kEntities = {
          {{"&amp;", "&"}, {"&nbsp;", " "}, {"&lt;", " "}, {"&gt;", " "}, {"&quot;", "\""}, {"&#39;", "'"}}};
      bool found = false;
      for (const Entry& entity : kEntities) {
        if (!absl::ConsumePrefix(&text, entity.written)) continue;
        absl::StrAppend(&out, entity.said);
        found = true;
        break;
      }
      if (found) continue;
    }
    out.push_back(text[0]);
    text.remove_prefix(1);
  }
  return out;
}

// One line without Markdown's signs.
std::string WithoutMarkdown(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  if (line.size() >= 3 && line.find_first_not_of("-=*_|: ") == absl::string_view::npos) return "";  // a rule
  while (absl::ConsumePrefix(&line, "> ") || absl::ConsumePrefix(&line, ">")) {
  }
  size_t hashes = 0;
  while (hashes < line.size() && hashes < 6 && line[hashes] == '#') ++hashes;
  if (hashes > 0 && hashes < line.size() && line[hashes] == ' ') line.remove_prefix(hashes + 1);
  if (line.size() > 1 && (line[0] == '-' || line[0] == '*' || line[0] == '+') && line[1] == ' ')
    line.remove_prefix(2);
  // "1. " and "1) " of lists
  size_t digits = 0;
  while (digits < line.size() && digits < 3 && IsDigit(line[digits])) ++digits;
  std::string out;
  if (digits > 0 && line.size() > digits + 1 && (line[digits] == '.' || line[digits] == ')') &&
      line[digits + 1] == ' ') {
    absl::StrAppend(&out, line.substr(0, digits), ", ");
    line.remove_prefix(digits + 2);
  }
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const char previous = i > 0 ? line[i - 1] : ' ';
    const char next = i + 1 < line.size() ? line[i + 1] : ' ';
    if (c == '[' || c == ']') {
      // [what is said](where it leads)
      if (c == ']' && next == '(') {
        const size_t close = line.find(')', i);
        if (close != absl::string_view::npos) i = close;
      }
      out.push_back(' ');
    } else if ((c == '!' && next == '[') || (c == '*' && !(IsDigit(previous) && IsDigit(next))) ||
               (c == '~' && (previous == '~' || next == '~')) || absl::StrContains("`\\{}^", c)) {
      continue;
    } else if (c == '_') {
      const size_t begin = line.rfind(' ', i) == absl::string_view::npos ? 0 : line.rfind(' ', i) + 1;
      const absl::string_view word = line.substr(begin, line.find(' ', i) - begin);
      if (absl::StrContains(word, "@") || absl::StrContains(word, "://")) {
        out.push_back(c);
      } else if (IsWordChar(previous) && IsWordChar(next)) {
        out.push_back(' ');
      }
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> SpeakableSentences(absl::string_view text, const Dialect& dialect) {
  const std::string folded = Fold(WithoutHtml(text), dialect.ascii);
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(folded, '\n', absl::SkipWhitespace())) {
    lines.push_back(WithoutMarkdown(line));
  }
  const std::string plain = absl::StrJoin(lines, "\n");
  Speech speech(dialect);
  Reader(plain, speech).Read();
  return speech.Take();
}

std::string Speakable(absl::string_view text, const Dialect& dialect) {
  return absl::StrJoin(SpeakableSentences(text, dialect), " ");
}

}  // namespace arc::tts
