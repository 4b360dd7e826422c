// Text as it is said: what an answer on a screen looks like, made into sentences of words that an English
// voice reads properly. Prices, quantities, units, times, dates, ordinals, ranges, order and phone numbers
// become words; abbreviations are written out; markdown, emoji and links go. Pure functions, thread-safe.
#ifndef ARC_SERVICES_TTS_SPEAKABLE_H_
#define ARC_SERVICES_TTS_SPEAKABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/tts/engine.h"

namespace arc::tts {

// Longest sentence; what is longer is cut, at a comma where there is one. Keeps the wait for the first sound
// and the memory of a sentence small.
inline constexpr size_t kMaxSentence = 160;

// The sentences of `text` (UTF-8; bytes that are none are dropped), none of them empty; no sentences when
// there is nothing to say. Each holds letters, apostrophes, spaces and the marks , . ! ? and, where the
// dialect asks for it, phonemes of espeak-ng between [[ and ]]; with `dialect.ascii` only ASCII.
std::vector<std::string> SpeakableSentences(absl::string_view text, const Dialect& dialect);

// The same as one line.
std::string Speakable(absl::string_view text, const Dialect& dialect);

// A whole number in words: 1234 is "one thousand two hundred thirty four".
std::string NumberWords(uint64_t number);
// "twenty first"
std::string OrdinalWords(uint64_t number);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_SPEAKABLE_H_
