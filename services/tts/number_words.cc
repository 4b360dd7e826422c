#include "services/tts/number_words.h"

#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace arc::tts {
namespace {

constexpr size_t kMaxWordDigits = 15;  // beyond that nobody follows the words

constexpr std::array<absl::string_view, 20> kSmall = {
    "zero",     "one",     "two",     "three",     "four",     "five",    "six",
    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<absl::string_view, 10> kTens = {"",      "",      "twenty",  "thirty", "forty",
                                                     "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr std::array<std::pair<uint64_t, absl::string_view>, 6> kScales = {
    {{1000000000000000000, "quintillion"},
     {1000000000000000, "quadrillion"},
     {1000000000000, "trillion"},
     {1000000000, "billion"},
     {1000000, "million"},
     {1000, "thousand"}}};

void Append(std::string& out, absl::string_view word) {
  absl::StrAppend(&out, out.empty() ? "" : " ", word);
}

// 1 to 999.
void AppendHundreds(std::string& out, uint64_t number) {
  if (number >= 100) {
    Append(out, kSmall[number / 100]);
    Append(out, "hundred");
    number %= 100;
  }
  if (number >= 20) {
    Append(out, kTens[number / 10]);
    number %= 10;
  }
  if (number > 0) Append(out, kSmall[number]);
}

std::string OrdinalOf(absl::string_view word) {
  constexpr std::array<std::pair<absl::string_view, absl::string_view>, 7> kIrregular = {
      {{"one", "first"},
       {"two", "second"},
       {"three", "third"},
       {"five", "fifth"},
       {"eight", "eighth"},
       {"nine", "ninth"},
       {"twelve", "twelfth"}}};
  for (const auto& [cardinal, ordinal] : kIrregular) {
    if (word == cardinal) return std::string(ordinal);
  }
  if (absl::EndsWith(word, "y")) return absl::StrCat(word.substr(0, word.size() - 1), "ieth");
  return absl::StrCat(word, "th");
}

}  // namespace

std::string NumberWords(uint64_t number) {
  if (number == 0) return std::string(kSmall[0]);
  std::string out;
  for (const auto& [scale, name] : kScales) {
    if (number < scale) continue;
    AppendHundreds(out, number / scale);
    Append(out, name);
    number %= scale;
  }
  if (number > 0) AppendHundreds(out, number);
  return out;
}

std::string OrdinalWords(uint64_t number) {
  const std::string words = NumberWords(number);
  const size_t last = words.rfind(' ');
  if (last == std::string::npos) return OrdinalOf(words);
  return absl::StrCat(words.substr(0, last + 1), OrdinalOf(absl::string_view(words).substr(last + 1)));
}

std::string YearWords(uint64_t year) {
  const uint64_t century = year / 100;
  const uint64_t rest = year % 100;
  if (century % 10 == 0 && rest < 10) return NumberWords(year);
  if (rest == 0) return absl::StrCat(NumberWords(century), " hundred");
  return absl::StrCat(NumberWords(century), rest < 10 ? " oh " : " ", NumberWords(rest));
}

std::string DigitWords(absl::string_view digits) {
  std::string out;
  for (const char c : digits) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) Append(out, kSmall[static_cast<size_t>(c - '0')]);
  }
  return out;
}

std::string IntegerWords(absl::string_view digits) {
  uint64_t number = 0;
  const bool leading_zero = digits.size() > 1 && digits[0] == '0';
  if (leading_zero || digits.size() > kMaxWordDigits || !absl::SimpleAtoi(digits, &number)) {
    return DigitWords(digits);
  }
  return NumberWords(number);
}

}  // namespace arc::tts
