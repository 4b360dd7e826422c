// How long a silence has to last until a customer is taken to have finished (endpointing), judged by the
// words so far. Pure, thread-safe.
#ifndef ARC_SERVICES_VOICE_ENDPOINTING_H_
#define ARC_SERVICES_VOICE_ENDPOINTING_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::voice {

// What the words so far look like.
enum class Completeness {
  kUnknown,   // no words yet, or words that say neither
  kComplete,  // a whole request: "yes", "that's all", "two volcano burgers"
  kOpen,      // something has to follow: "with", "a large", "I would like two"
  kWaiting,   // the customer holds the floor: "... and", "um"
};

// `words`: what has been understood so far, in any case, punctuation ignored.
Completeness Judge(absl::string_view words);

// From `min` (complete) to `max` (waiting); a fifth of the way for unknown, three fifths for open.
absl::Duration EndpointingDelay(absl::string_view words, absl::Duration min, absl::Duration max);

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_ENDPOINTING_H_
