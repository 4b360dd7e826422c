// UTF-8 made into what the rest of speakable.h works on. Pure functions, thread-safe.
#ifndef ARC_SERVICES_TTS_FOLD_H_
#define ARC_SERVICES_TTS_FOLD_H_

#include <string>

#include "absl/strings/string_view.h"

namespace arc::tts {

// Signs that ASCII has not, each as one byte that no folded text has otherwise.
inline constexpr char kDegree = '\x01';
inline constexpr char kEuro = '\x02';
inline constexpr char kPound = '\x03';
inline constexpr char kYen = '\x04';
inline constexpr char kCent = '\x05';
inline constexpr char kRupee = '\x06';
inline constexpr char kTimes = '\x0e';  // the multiplication sign
inline constexpr char kDash = '\x0f';   // en and em dash

// `text` with typographic quotes, spaces, fractions and bullets as their plain forms, and without emoji,
// other symbols, control characters and bytes that are no UTF-8. Lines end in '\n'. With `ascii`, letters
// with accents lose them, and letters of other scripts are dropped; otherwise both stay, as UTF-8.
std::string Fold(absl::string_view text, bool ascii);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_FOLD_H_
