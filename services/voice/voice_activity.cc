#include "services/voice/voice_activity.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "webrtc/modules/audio_processing/include/audio_processing.h"
#include "webrtc/modules/interface/module_common_types.h"

namespace arc::voice {
namespace {

class WebRtcVoiceActivity : public VoiceActivity {
 public:
  absl::Status Init() {
    processing_.reset(webrtc::AudioProcessing::Create());
    if (processing_ == nullptr) return absl::UnavailableError("WebRTC audio processing cannot be made");
    const int error =
        processing_->high_pass_filter()->Enable(true) |
        processing_->noise_suppression()->set_level(webrtc::NoiseSuppression::kHigh) |
        processing_->noise_suppression()->Enable(true) |
        processing_->voice_detection()->set_likelihood(webrtc::VoiceDetection::kVeryLowLikelihood) |
        processing_->voice_detection()->set_frame_size_ms(
            static_cast<int>(absl::ToInt64Milliseconds(kStep))) |
        processing_->voice_detection()->Enable(true);
    if (error != 0)
      return absl::UnavailableError(absl::StrCat("WebRTC audio processing refuses: error ", error));
    return absl::OkStatus();
  }

  bool IsVoice(absl::Span<const int16_t> step) override {
    frame_.sample_rate_hz_ = kRate;
    frame_.num_channels_ = 1;
    frame_.samples_per_channel_ = kStepSamples;
    std::copy_n(step.begin(), std::min(step.size(), kStepSamples), frame_.data_);
    if (processing_->ProcessStream(&frame_) != webrtc::AudioProcessing::kNoError) return false;
    return processing_->voice_detection()->stream_has_voice();
  }

 private:
  std::unique_ptr<webrtc::AudioProcessing> processing_;
  webrtc::AudioFrame frame_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VoiceActivity>> MakeWebRtcVoiceActivity() {
  auto activity = std::make_unique<WebRtcVoiceActivity>();
  if (absl::Status status = activity->Init(); !status.ok()) return status;
  return std::unique_ptr<VoiceActivity>(std::move(activity));
}

}  // namespace arc::voice
