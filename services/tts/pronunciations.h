// How words of menus sound that English engines get wrong: mostly dishes with names of other languages.
#ifndef ARC_SERVICES_TTS_PRONUNCIATIONS_H_
#define ARC_SERVICES_TTS_PRONUNCIATIONS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace arc::tts {

struct Pronunciation {
  absl::string_view word;    // lower case, ASCII
  absl::string_view phones;  // ARPABET as in CMU's dictionary, stress 0 or 1 on each vowel
};

absl::Span<const Pronunciation> Pronunciations();

// The phones of `word` in the notation that espeak-ng takes between [[ and ]]; empty when the table has not
// this word. Upper and lower case are the same.
std::string EspeakPhonemes(absl::string_view word);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_PRONUNCIATIONS_H_
