#include "services/tts/wav_stream.h"

#include <algorithm>

#include "common/status/status_macros.h"

namespace arc::tts {
namespace {

constexpr size_t kRiffHeader = 12;
constexpr size_t kChunkHeader = 8;
constexpr size_t kFormatChunk = 16;
constexpr size_t kMaxHeader = 4096;
constexpr int kMaxRate = 192000;

uint32_t Little(absl::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = size; i > 0; --i) value = (value << 8U) | static_cast<unsigned char>(bytes[at + i - 1]);
  return value;
}

}  // namespace

absl::StatusOr<audio::Samples> WavStream::Push(absl::string_view bytes) {
  waiting_.append(bytes.data(), bytes.size());
  if (!in_data_) {
    RETURN_IF_ERROR(ReadHeader());
    if (!in_data_) return audio::Samples();
  }
  const size_t frame = 2 * static_cast<size_t>(format_.channels);
  size_t size = static_cast<size_t>(std::min<uint64_t>(waiting_.size(), left_));
  size -= size % frame;
  absl::StatusOr<audio::Samples> samples =
      audio::DecodePcm(absl::string_view(waiting_).substr(0, size), format_);
  left_ -= size;
  waiting_.erase(0, left_ < frame ? waiting_.size() : size);
  return samples;
}

absl::Status WavStream::ReadHeader() {
  const absl::string_view all = waiting_;
  if (all.size() < kRiffHeader) return absl::OkStatus();
  if (all.substr(0, 4) != "RIFF" || all.substr(8, 4) != "WAVE")
    return absl::InvalidArgumentError("this is no WAV");
  size_t at = kRiffHeader;
  while (all.size() >= at + kChunkHeader) {
    const absl::string_view name = all.substr(at, 4);
    const size_t size = Little(all, at + 4, 4);
    const size_t body = at + kChunkHeader;
    if (name == "data") {
      if (format_.rate == 0) return absl::InvalidArgumentError("the WAV does not say its format");
      in_data_ = true;
      left_ = size;
      waiting_.erase(0, body);
      return absl::OkStatus();
    }
    if (size > kMaxHeader) return absl::InvalidArgumentError("the WAV's header is too long");
    if (all.size() < body + size) return absl::OkStatus();
    if (name == "fmt ") {
      if (size < kFormatChunk) return absl::InvalidArgumentError("the WAV's format is cut off");
      const uint32_t encoding = Little(all, body, 2);
      const uint32_t channels = Little(all, body + 2, 2);
      const uint32_t rate = Little(all, body + 4, 4);
      const uint32_t bits = Little(all, body + 14, 2);
      if (encoding != 1 || bits != 16 || channels < 1 || channels > 2 || rate < 1 || rate > kMaxRate) {
        return absl::InvalidArgumentError("the WAV is not 16 bit PCM of one or two channels");
      }
      format_.rate = static_cast<int>(rate);
      format_.channels = static_cast<int>(channels);
    }
    at = body + size + size % 2;
  }
  if (all.size() > 2 * kMaxHeader) return absl::InvalidArgumentError("the WAV has no samples");
  return absl::OkStatus();
}

audio::Samples PcmStream::Push(absl::string_view bytes) {
  waiting_.append(bytes.data(), bytes.size());
  const size_t size = waiting_.size() - waiting_.size() % 2;
  absl::StatusOr<audio::Samples> samples =
      audio::DecodePcm(absl::string_view(waiting_).substr(0, size), audio::Format());
  waiting_.erase(0, size);
  return samples.ok() ? *std::move(samples) : audio::Samples();
}

}  // namespace arc::tts
