// One room's microphone: frames as they come from agent.voice.audio.<room> (design, section 3.8) put in
// order, decoded, brought to 16 kHz, and judged every 10 ms. Knows no bus; not thread-safe.
#ifndef ARC_SERVICES_VOICE_EAR_H_
#define ARC_SERVICES_VOICE_EAR_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/audio/audio.h"
#include "services/voice/voice_activity.h"

namespace arc::voice {

struct EarOptions {
  absl::Duration pre_roll = absl::Milliseconds(300);  // of sound before the first voice, for the recogniser
  // Speech starts when that much of the latest `start_window` is voice.
  absl::Duration start_voice = absl::Milliseconds(80);
  absl::Duration start_window = absl::Milliseconds(120);
  // Speech stops when at most `stop_voice` of the latest `stop_window` is voice.
  absl::Duration stop_voice = absl::Milliseconds(30);
  absl::Duration stop_window = absl::Milliseconds(200);
  // A microphone whose frames stop to come for so long is silent.
  absl::Duration stall = absl::Milliseconds(400);
  absl::Duration max_frame = absl::Seconds(1);   // longer ones are refused
  absl::Duration max_ahead = absl::Seconds(30);  // of sound that came faster than it lasts; more is refused
};

// What a message on agent.voice.audio.<room> holds.
struct MicFrame {
  std::optional<std::string> format;  // header Audio-Format; none: 16 kHz, one channel
  std::optional<std::string> seq;     // header Seq
  absl::string_view bytes;
};

class Ear {
 public:
  struct Listener {
    // Called for every 10 ms of sound, in order.
    std::function<void(absl::Span<const int16_t>)> on_sound;
    // After the sound that they are about. `voiced`: how much of the speech was voice so far.
    std::function<void(absl::Time started_at)> on_speech_started;
    std::function<void(absl::Duration voiced)> on_speech_continues;
    std::function<void(absl::Time ended_at, absl::Duration voiced)> on_speech_stopped;
  };

  Ear(const EarOptions& options, std::unique_ptr<VoiceActivity> activity, Listener listener);

  // Takes a frame that came at `now`. InvalidArgument: a wrong header, no whole number of samples, too long;
  // ResourceExhausted: faster than sound. What is refused has no effect.
  absl::Status Push(absl::Time now, const MicFrame& frame);

  // Ends what the stream has begun: what waits for missing frames is taken, speech stops.
  void End(absl::Time now);
  // When OnTime() has to be called; InfiniteFuture while nothing is due.
  absl::Time NextTime() const;
  // Ends speech of a microphone that has fallen silent.
  void OnTime(absl::Time now);

  bool speaking() const { return speaking_; }
  // The latest sound, from `pre_roll` before the speech at hand began on.
  audio::Samples PreRoll() const;
  audio::FrameOrder::Counts counts() const;

 private:
  // What waits is taken; frame numbers begin anew.
  void Restart(absl::Time now);
  void Take(absl::Time now, absl::Span<const int16_t> samples);
  void Step(absl::Time at, absl::Span<const int16_t> step);
  size_t VoicedOf(size_t steps) const;

  const EarOptions options_;
  const std::unique_ptr<VoiceActivity> activity_;
  const Listener listener_;

  std::unique_ptr<audio::FrameOrder> order_ = std::make_unique<audio::FrameOrder>();
  audio::FrameOrder::Counts counted_;  // of the streams before
  uint64_t last_seq_ = 0;
  std::string format_text_;
  audio::Format format_;
  std::unique_ptr<audio::Resampler> resampler_;  // none: the sound comes at kRate
  absl::Time ahead_ = absl::InfinitePast();      // until when the sound so far lasts
  absl::Time last_frame_ = absl::InfinitePast();

  audio::Samples rest_;                   // less than a step
  std::deque<int16_t> recent_;            // for the pre-roll
  std::deque<bool> judged_;               // the latest steps, oldest first
  absl::Time at_ = absl::InfinitePast();  // of the latest step
  absl::Time last_voice_ = absl::InfinitePast();
  bool speaking_ = false;
  absl::Duration voiced_;
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_EAR_H_
