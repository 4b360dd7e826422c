// Sound as frames for the bus: resampled, cut into frames of one size, and encoded.
#ifndef ARC_SERVICES_TTS_FRAMES_H_
#define ARC_SERVICES_TTS_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/audio/audio.h"

namespace arc::tts {

inline constexpr absl::Duration kPcmFrame = absl::Milliseconds(40);
inline constexpr absl::Duration kOpusFrame = absl::Milliseconds(20);

// What a request's constraints ask for: `format` "pcm" (s16le) at any rate from 8000 to 48000 Hz, or "opus"
// at the nearest rate that Opus has (8000, 12000, 16000, 24000, 48000). InvalidArgument for another format.
absl::StatusOr<audio::Format> ChooseFormat(absl::string_view format, int64_t sample_rate);

// Samples in each frame of `format`.
size_t SamplesPerFrame(const audio::Format& format);

// One sentence. Not thread-safe.
class FrameMaker {
 public:
  explicit FrameMaker(const audio::Format& format);
  ~FrameMaker();

  // Frames that are whole now. `rate` is that of `samples`, 1 to 192000 Hz; it must not change. Internal: the
  // encoder failed.
  absl::StatusOr<std::vector<std::string>> Push(absl::Span<const int16_t> samples, int rate);
  // The rest, filled up with silence to a whole frame. Nothing may be pushed afterwards.
  absl::StatusOr<std::vector<std::string>> Flush();

 private:
  struct Encoder;
  absl::Status Cut(const audio::Samples& samples, std::vector<std::string>& frames);
  absl::Status Encode(absl::Span<const int16_t> frame, std::vector<std::string>& frames);

  const audio::Format format_;
  const size_t frame_samples_;
  std::optional<audio::Resampler> resampler_;
  std::unique_ptr<Encoder> encoder_;  // none: PCM
  audio::Samples rest_;               // less than a frame
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_FRAMES_H_
