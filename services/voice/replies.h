// What a few words of a customer mean to the one who takes turns, before any brain is asked. Pure,
// thread-safe; words in any case, punctuation ignored.
#ifndef ARC_SERVICES_VOICE_REPLIES_H_
#define ARC_SERVICES_VOICE_REPLIES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace arc::voice {

// Whether there is nothing but sounds in `words`: "um", "hmm", "ha ha". True without any words.
bool IsFiller(absl::string_view words);

// What `words` answer to "did you say ...?".
enum class Reply { kYes, kNo, kOther };
Reply ReplyOf(absl::string_view words);

// "no, I said a burger" without what denies: "a burger".
std::string WithoutNo(absl::string_view words);

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_REPLIES_H_
