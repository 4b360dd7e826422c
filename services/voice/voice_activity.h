// Whether somebody speaks: WebRTC audio processing (high-pass, noise suppression, voice detection), behind an
// interface, so that conversations can be tested without sound (design, section 4).
#ifndef ARC_SERVICES_VOICE_VOICE_ACTIVITY_H_
#define ARC_SERVICES_VOICE_VOICE_ACTIVITY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace arc::voice {

inline constexpr int kRate = 16000;                  // Hz, of all sound within the agent
inline constexpr size_t kStepSamples = kRate / 100;  // what is judged at once: 10 ms
inline constexpr absl::Duration kStep = absl::Milliseconds(10);

// Judges one stream. Not thread-safe.
class VoiceActivity {
 public:
  virtual ~VoiceActivity() = default;
  // `step` holds kStepSamples samples, mono, at kRate, and follows upon the one before.
  virtual bool IsVoice(absl::Span<const int16_t> step) = 0;
};

using VoiceActivityFactory = std::function<absl::StatusOr<std::unique_ptr<VoiceActivity>>()>;

// Unavailable: the library refuses its own configuration.
absl::StatusOr<std::unique_ptr<VoiceActivity>> MakeWebRtcVoiceActivity();

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_VOICE_ACTIVITY_H_
