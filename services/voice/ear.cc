#include "services/voice/ear.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::voice {
namespace {

constexpr size_t kMaxSeqDigits = 19;

size_t Steps(absl::Duration duration) {
  return static_cast<size_t>(std::max<int64_t>(duration / kStep, 1));
}

absl::StatusOr<std::optional<uint64_t>> ParseSeq(const std::optional<std::string>& header) {
  if (!header.has_value()) return std::optional<uint64_t>();
  uint64_t seq = 0;
  const bool digits = !header->empty() && header->size() <= kMaxSeqDigits &&
                      std::all_of(header->begin(), header->end(),
                                  [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
  if (!digits || !absl::SimpleAtoi(*header, &seq)) {
    return absl::InvalidArgumentError("header Seq: must be a decimal number");
  }
  return std::optional<uint64_t>(seq);
}

}  // namespace

Ear::Ear(const EarOptions& options, std::unique_ptr<VoiceActivity> activity, Listener listener)
    : options_(options), activity_(std::move(activity)), listener_(std::move(listener)) {}

absl::Status Ear::Push(absl::Time now, const MicFrame& frame) {
  audio::Format format;
  const std::string text = frame.format.value_or("");
  if (text == format_text_) {
    format = format_;
  } else if (!text.empty()) {
    ASSIGN_OR_RETURN(format, audio::ParseFormat(text));
  }
  if (format.encoding != audio::Encoding::kPcmS16le) {
    return absl::InvalidArgumentError("header Audio-Format: a microphone's frames must be pcm_s16le");
  }
  ASSIGN_OR_RETURN(const std::optional<uint64_t> seq, ParseSeq(frame.seq));
  const size_t width = 2 * static_cast<size_t>(format.channels);
  if (frame.bytes.size() % width != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", frame.bytes.size(), " bytes is no whole number of samples"));
  }
  const absl::Duration lasts = audio::DurationOf(frame.bytes.size() / width, format.rate);
  if (lasts > options_.max_frame) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", absl::FormatDuration(lasts), " is too long"));
  }
  if (std::max(ahead_, now) + lasts > now + options_.max_ahead) {
    return absl::ResourceExhaustedError("the sound comes faster than it lasts");
  }
  ahead_ = std::max(ahead_, now) + lasts;
  // After a pause, numbers that go back are those of another stream.
  if (seq.has_value() && *seq < last_seq_ && now > last_frame_ + options_.stall) Restart(now);
  last_frame_ = now;
  if (seq.has_value()) last_seq_ = *seq;
  if (text != format_text_ || !(format == format_)) {
    Restart(now);  // what waits was recorded in the old format
    resampler_ = format.rate == kRate ? nullptr : std::make_unique<audio::Resampler>(format.rate, kRate);
    format_ = format;
    format_text_ = text;
  }
  for (const std::string& due : order_->Push(seq, std::string(frame.bytes))) {
    if (const auto samples = audio::DecodePcm(due, format_); samples.ok()) Take(now, *samples);
  }
  return absl::OkStatus();
}

void Ear::Restart(absl::Time now) {
  for (const std::string& waiting : order_->Flush()) {
    if (const auto samples = audio::DecodePcm(waiting, format_); samples.ok()) Take(now, *samples);
  }
  counted_ = counts();
  order_ = std::make_unique<audio::FrameOrder>();
}

audio::FrameOrder::Counts Ear::counts() const {
  audio::FrameOrder::Counts counts = order_->counts();
  counts.lost += counted_.lost;
  counts.doubled += counted_.doubled;
  counts.reordered += counted_.reordered;
  return counts;
}

void Ear::Take(absl::Time now, absl::Span<const int16_t> samples) {
  audio::Samples resampled;
  if (resampler_ != nullptr) {
    resampled = resampler_->Push(samples);
    samples = resampled;
  }
  rest_.insert(rest_.end(), samples.begin(), samples.end());
  const size_t steps = rest_.size() / kStepSamples;
  for (size_t i = 0; i < steps; ++i) {
    // The last sample was recorded when the frame came.
    const absl::Time at = now - kStep * static_cast<int64_t>(steps - 1 - i);
    Step(std::max(at, at_), absl::MakeSpan(rest_).subspan(i * kStepSamples, kStepSamples));
  }
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(steps * kStepSamples));
}

size_t Ear::VoicedOf(size_t steps) const {
  const size_t from = judged_.size() - std::min(steps, judged_.size());
  return static_cast<size_t>(
      std::count(judged_.begin() + static_cast<std::ptrdiff_t>(from), judged_.end(), true));
}

void Ear::Step(absl::Time at, absl::Span<const int16_t> step) {
  at_ = at;
  const bool voice = activity_->IsVoice(step);
  const bool voice_before = !judged_.empty() && judged_.back();
  const size_t window = std::max(Steps(options_.start_window), Steps(options_.stop_window));
  judged_.push_back(voice);
  if (judged_.size() > window) judged_.pop_front();
  // One step alone is a click.
  if (voice && voice_before) last_voice_ = at;

  listener_.on_sound(step);
  recent_.insert(recent_.end(), step.begin(), step.end());
  const size_t keep = (Steps(options_.pre_roll) + Steps(options_.start_window)) * kStepSamples;
  if (recent_.size() > keep) {
    recent_.erase(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(recent_.size() - keep));
  }

  if (!speaking_) {
    if (voice && VoicedOf(Steps(options_.start_window)) >= Steps(options_.start_voice)) {
      speaking_ = true;
      voiced_ = kStep * static_cast<int64_t>(VoicedOf(Steps(options_.start_window)));
      last_voice_ = at;
      listener_.on_speech_started(at - options_.start_voice);
    }
    return;
  }
  if (voice) voiced_ += kStep;
  if (VoicedOf(Steps(options_.stop_window)) <= Steps(options_.stop_voice)) {
    speaking_ = false;
    listener_.on_speech_stopped(last_voice_, voiced_);
  } else {
    listener_.on_speech_continues(voiced_);
  }
}

void Ear::End(absl::Time now) {
  Restart(now);
  if (resampler_ != nullptr) {
    const audio::Samples tail = resampler_->Flush();
    resampler_.reset();
    format_text_.clear();  // what comes next is a stream of its own
    format_ = audio::Format();
    Take(now, tail);
  }
  rest_.clear();
  judged_.clear();
  if (!std::exchange(speaking_, false)) return;
  listener_.on_speech_stopped(last_voice_, voiced_);
}

absl::Time Ear::NextTime() const {
  return speaking_ ? last_frame_ + options_.stall : absl::InfiniteFuture();
}

void Ear::OnTime(absl::Time now) {
  if (now >= NextTime()) End(now);
}

audio::Samples Ear::PreRoll() const {
  return audio::Samples(recent_.begin(), recent_.end());
}

}  // namespace arc::voice
