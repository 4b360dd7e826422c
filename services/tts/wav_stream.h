// A WAV file that comes piece by piece, its length not known yet.
#ifndef ARC_SERVICES_TTS_WAV_STREAM_H_
#define ARC_SERVICES_TTS_WAV_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/audio/audio.h"

namespace arc::tts {

// Not thread-safe.
class WavStream {
 public:
  // The samples that `bytes` complete, mixed to one channel; none while the header is not whole.
  // InvalidArgument: it is no WAV file of 16 bit PCM with one or two channels. What stands behind the samples
  // is ignored; sizes in the header of a stream are made up, so they end nothing but too much.
  absl::StatusOr<audio::Samples> Push(absl::string_view bytes);

  int rate() const { return format_.rate; }  // Hz; 0 before the header is whole

 private:
  absl::Status ReadHeader();

  bool in_data_ = false;
  audio::Format format_{audio::Encoding::kPcmS16le, 0, 1};
  uint64_t left_ = 0;    // bytes of samples
  std::string waiting_;  // of the header, or of a sample that is not whole
};

// Samples of raw s16le bytes that may be cut anywhere. Not thread-safe.
class PcmStream {
 public:
  audio::Samples Push(absl::string_view bytes);

 private:
  std::string waiting_;
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_WAV_STREAM_H_
