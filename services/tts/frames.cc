#include "services/tts/frames.h"

#include <opus.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::tts {
namespace {

constexpr std::array<int, 5> kOpusRates = {8000, 12000, 16000, 24000, 48000};
constexpr int kOpusBitsPerSecond = 32000;  // speech in one channel is transparent well below that
constexpr size_t kMaxPacket = 1275;        // of one frame (RFC 6716, section 3.4)

}  // namespace

struct FrameMaker::Encoder {
  ~Encoder() {
    if (opus != nullptr) opus_encoder_destroy(opus);
  }
  OpusEncoder* opus = nullptr;
  opus_int32 lookahead = 0;  // samples by which the sound comes out of a decoder later
  bool any = false;
};

absl::StatusOr<audio::Format> ChooseFormat(absl::string_view format, int64_t sample_rate) {
  audio::Format chosen;
  chosen.rate = static_cast<int>(sample_rate);
  if (format == "pcm") return chosen;
  if (format != "opus") {
    return absl::InvalidArgumentError(
        absl::StrCat("constraints.format: '", format.substr(0, 20), "' is neither pcm nor opus"));
  }
  chosen.encoding = audio::Encoding::kOpus;
  int nearest = kOpusRates[0];
  for (const int rate : kOpusRates) {
    if (std::abs(rate - chosen.rate) <= std::abs(nearest - chosen.rate)) nearest = rate;
  }
  chosen.rate = nearest;
  return chosen;
}

size_t SamplesPerFrame(const audio::Format& format) {
  const absl::Duration frame = format.encoding == audio::Encoding::kOpus ? kOpusFrame : kPcmFrame;
  return static_cast<size_t>(format.rate * absl::ToInt64Milliseconds(frame) / 1000);
}

FrameMaker::FrameMaker(const audio::Format& format)
    : format_(format), frame_samples_(SamplesPerFrame(format)) {
  if (format_.encoding != audio::Encoding::kOpus) return;
  encoder_ = std::make_unique<Encoder>();
  int error = OPUS_OK;
  encoder_->opus = opus_encoder_create(format_.rate, 1, OPUS_APPLICATION_VOIP, &error);
  if (error != OPUS_OK || encoder_->opus == nullptr) return;  // the first frame says so
  opus_encoder_ctl(encoder_->opus, OPUS_SET_BITRATE(kOpusBitsPerSecond));
  opus_encoder_ctl(encoder_->opus, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
  opus_encoder_ctl(encoder_->opus, OPUS_GET_LOOKAHEAD(&encoder_->lookahead));
}

FrameMaker::~FrameMaker() = default;

absl::StatusOr<std::vector<std::string>> FrameMaker::Push(absl::Span<const int16_t> samples, int rate) {
  if (!resampler_.has_value()) resampler_.emplace(rate, format_.rate);
  std::vector<std::string> frames;
  RETURN_IF_ERROR(Cut(resampler_->Push(samples), frames));
  return frames;
}

absl::StatusOr<std::vector<std::string>> FrameMaker::Flush() {
  std::vector<std::string> frames;
  if (!resampler_.has_value()) return frames;
  RETURN_IF_ERROR(Cut(resampler_->Flush(), frames));
  // What the encoder holds back comes out behind the last of the sound.
  if (encoder_ != nullptr && (encoder_->any || !rest_.empty())) {
    RETURN_IF_ERROR(Cut(audio::Samples(static_cast<size_t>(encoder_->lookahead)), frames));
  }
  if (!rest_.empty()) {
    rest_.resize(frame_samples_);
    RETURN_IF_ERROR(Encode(rest_, frames));
    rest_.clear();
  }
  return frames;
}

absl::Status FrameMaker::Cut(const audio::Samples& samples, std::vector<std::string>& frames) {
  rest_.insert(rest_.end(), samples.begin(), samples.end());
  size_t at = 0;
  while (rest_.size() - at >= frame_samples_) {
    RETURN_IF_ERROR(Encode(absl::MakeConstSpan(rest_).subspan(at, frame_samples_), frames));
    at += frame_samples_;
  }
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(at));
  return absl::OkStatus();
}

absl::Status FrameMaker::Encode(absl::Span<const int16_t> frame, std::vector<std::string>& frames) {
  if (encoder_ == nullptr) {
    frames.push_back(audio::EncodePcm(frame));
    return absl::OkStatus();
  }
  if (encoder_->opus == nullptr) return absl::InternalError("the Opus encoder cannot be made");
  std::array<unsigned char, kMaxPacket> packet;
  const opus_int32 size = opus_encode(encoder_->opus, frame.data(), static_cast<int>(frame.size()),
                                      packet.data(), static_cast<opus_int32>(packet.size()));
  if (size < 0) return absl::InternalError(absl::StrCat("Opus: ", opus_strerror(size)));
  encoder_->any = true;
  frames.emplace_back(packet.begin(), packet.begin() + size);
  return absl::OkStatus();
}

}  // namespace arc::tts
