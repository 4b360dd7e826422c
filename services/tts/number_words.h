// Numbers as English words. Pure functions, thread-safe.
#ifndef ARC_SERVICES_TTS_NUMBER_WORDS_H_
#define ARC_SERVICES_TTS_NUMBER_WORDS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace arc::tts {

// 1234: "one thousand two hundred thirty four"
std::string NumberWords(uint64_t number);

// 21: "twenty first"
std::string OrdinalWords(uint64_t number);

// 2025: "twenty twenty five", 2005: "two thousand five", 1900: "nineteen hundred". For 1000 to 9999.
std::string YearWords(uint64_t year);

// Digit by digit: "105" is "one zero five". What is no digit is left out.
std::string DigitWords(absl::string_view digits);

// Decimal digits as a number: of up to 15 digits in words, else, or with a leading zero, digit by digit.
std::string IntegerWords(absl::string_view digits);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_NUMBER_WORDS_H_
