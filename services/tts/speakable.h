// Text as it is said: what an answer on a screen looks like, made into sentences of words that an English
// voice reads properly. Prices, quantities, units, times, dates, ordinals, ranges, order and phone numbers
// become words; abbreviations are written out; markdown, emoji and links go. Pure functions, thread-safe.
#ifndef ARC_SERVICES_TTS_SPEAKABLE_H_
#define ARC_SERVICES_TTS_SPEAKABLE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace arc::tts {

// How an engine wants its text.
struct Dialect {
  bool ascii = true;     // letters with accents become plain ones, other scripts are dropped
  bool spell_a = true;   // a spelled letter A is written "ay": the engine would say the article
  bool respell = false;  // words of pronunciations.h are written as espeak-ng's phonemes
};

// Longest sentence; what is longer is cut, at a comma where there is one. Keeps the wait for the first sound
// and the memory of a sentence small.
inline constexpr size_t kMaxSentence = 160;

// The sentences of `text` (UTF-8; bytes that are none are dropped), none of them empty; no sentences when
// there is nothing to say. Each holds letters, apostrophes, spaces and the marks , . ! ? and, where the
// dialect asks for it, phonemes of espeak-ng between [[ and ]]; with `dialect.ascii` only ASCII.
std::vector<std::string> SpeakableSentences(absl::string_view text, const Dialect& dialect);

// The same as one line.
std::string Speakable(absl::string_view text, const Dialect& dialect);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_SPEAKABLE_H_
