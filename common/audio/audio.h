// Sound on the bus and in files: the header Audio-Format, frames in order, another sample rate, WAV files
// (design, section 3.8). Samples are 16 bit, signed, mono unless said otherwise. Functions are thread-safe,
// objects are not.
#ifndef ARC_COMMON_AUDIO_AUDIO_H_
#define ARC_COMMON_AUDIO_AUDIO_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace arc::audio {

using Samples = std::vector<int16_t>;

enum class Encoding { kPcmS16le, kOpus };

// The header Audio-Format: "pcm_s16le;rate=16000;channels=1".
struct Format {
  Encoding encoding = Encoding::kPcmS16le;
  int rate = 16000;  // Hz, 8000 to 48000
  int channels = 1;  // 1 or 2

  std::string ToString() const;
  friend bool operator==(const Format& a, const Format& b) {
    return a.encoding == b.encoding && a.rate == b.rate && a.channels == b.channels;
  }
};

// InvalidArgument for another encoding, a rate or a number of channels out of range, a part that is unknown
// or twice. Rate and channels may be missing: 16000 and 1.
absl::StatusOr<Format> ParseFormat(absl::string_view header);

// Little-endian bytes as samples, two channels mixed into one. InvalidArgument for bytes that are no whole
// number of samples, and for another encoding than PCM.
absl::StatusOr<Samples> DecodePcm(absl::string_view bytes, const Format& format);
std::string EncodePcm(absl::Span<const int16_t> samples);

absl::Duration DurationOf(size_t samples, int rate);

// Root mean square, in dB below full scale; -infinity for silence.
double LevelDb(absl::Span<const int16_t> samples);

// Changes the sample rate of a stream, piece by piece (libsoxr, high quality).
class Resampler {
 public:
  Resampler(int from_rate, int to_rate);
  ~Resampler();
  Resampler(Resampler&&) noexcept;
  Resampler& operator=(Resampler&&) noexcept;

  Samples Push(absl::Span<const int16_t> samples);
  // The rest. Nothing may be pushed afterwards.
  Samples Flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Samples Resample(absl::Span<const int16_t> samples, int from_rate, int to_rate);

struct Clip {
  int rate = 16000;
  Samples samples;
};

// Any file that libsndfile reads, mixed to one channel. NotFound, InvalidArgument (no sound file, or longer
// than 10 minutes).
absl::StatusOr<Clip> ReadSoundFile(const std::string& path);
absl::Status WriteWav(const std::string& path, const Clip& clip);

// Brings the frames of one stream into the order of their numbers. A frame that is missing is waited for
// until `window` later ones have come, then given up. Frames without a number are taken as they come.
class FrameOrder {
 public:
  // With `restarts`, numbers that were due already may begin the stream anew.
  explicit FrameOrder(size_t window = 4, bool restarts = true) : window_(window), restarts_(restarts) {}

  struct Counts {
    int64_t lost = 0;
    int64_t doubled = 0;  // or behind one that was given up
    int64_t reordered = 0;
  };

  // Takes a frame and returns those that are due now, in order. A stream begins with the first number seen.
  // It begins anew, as after a reload of the page that sends it, with a jump by more than kRestart, and with
  // kStale numbers in a row (kStaleFromZero from 0 on) that were long since due: these are due then. Fewer
  // came twice or too late.
  std::vector<std::string> Push(std::optional<uint64_t> seq, std::string frame);
  // What waits, without what is missing between.
  std::vector<std::string> Flush();

  const Counts& counts() const { return counts_; }

  static constexpr uint64_t kRestart = 1000;
  static constexpr size_t kStale = 10;
  static constexpr size_t kStaleFromZero = 3;

 private:
  // Takes a number that was due already; whether those of its row begin a stream.
  bool BeginsAnew(uint64_t seq, std::string& frame);
  void Release(std::vector<std::string>& due);

  const size_t window_;
  const bool restarts_;
  std::optional<uint64_t> next_;
  std::map<uint64_t, std::string> waiting_;
  uint64_t first_stale_ = 0;
  std::vector<std::string> stale_;  // frames that were due already, in a row from first_stale_ on
  Counts counts_;
};

}  // namespace arc::audio

#endif  // ARC_COMMON_AUDIO_AUDIO_H_
