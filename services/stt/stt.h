// The stt agent: claims utterances on agent.stt.request, takes their frames, and publishes what was said
// (design, section 3.8; messages in common/messages/stt.h).
//
//   agent.stt.request              a core request, in the queue group "stt": answered accepted, busy or error
//   agent.stt.audio.<request_id>   frames, the last one empty with `End: true`
//   agent.stt.transcript           partial texts, then one that is final
//   agent.stt.error                instead of the final text, when it could not be found
#ifndef ARC_SERVICES_STT_STT_H_
#define ARC_SERVICES_STT_STT_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock/clock.h"
#include "common/messages/stt.h"
#include "common/metrics/metrics.h"
#include "services/stt/engine.h"

namespace arc::stt {

namespace metric_names {
inline constexpr char kUtterances[] = "kiosk_stt_utterances_total";  // counter: outcome (ok, empty, error)
inline constexpr char kEnds[] = "kiosk_stt_ends_total";        // counter: why (end, silence, too_long, drain)
inline constexpr char kBusy[] = "kiosk_stt_busy_total";        // counter: requests turned away
inline constexpr char kRefused[] = "kiosk_stt_refused_total";  // counter: requests that are wrong
inline constexpr char kFrames[] = "kiosk_stt_frames_total";    // counter
inline constexpr char kBadFrames[] = "kiosk_stt_bad_frames_total";    // counter: reason (format, size, seq)
inline constexpr char kFramesLost[] = "kiosk_stt_frames_lost_total";  // counter
inline constexpr char kFramesReordered[] = "kiosk_stt_frames_reordered_total";  // counter
inline constexpr char kFramesDoubled[] = "kiosk_stt_frames_doubled_total";      // counter
inline constexpr char kTail[] = "kiosk_stt_tail_ms";  // histogram: last frame to final text
inline constexpr char kRealTimeFactor[] = "kiosk_stt_real_time_factor";  // gauge: of the last utterance
inline constexpr char kDecodingSeconds[] = "kiosk_stt_decoding_seconds_total";  // counter
inline constexpr char kAudioSeconds[] = "kiosk_stt_audio_seconds_total";        // counter
inline constexpr char kActive[] = "kiosk_stt_active";                           // gauge: utterances under way
inline constexpr char kModelBuildMs[] = "kiosk_stt_model_build_ms";  // histogram: a menu to its model
}  // namespace metric_names

struct SttOptions {
  std::string worker_id;                             // of this process
  int workers = 1;                                   // utterances at once
  absl::Duration max_utterance = absl::Seconds(30);  // of sound
  absl::Duration sender_silence = absl::Seconds(5);  // without a frame
  absl::Duration partial_interval = absl::Milliseconds(200);
  // Told of each utterance: from its last frame to its text or its failure. May be empty.
  std::function<void(absl::Duration took, const absl::Status& status)> on_handled;
};

// Thread-safe. Decoding runs on threads of its own, one a worker.
class Stt {
 public:
  // All must outlive this. `on_engine_failure` is told of every utterance that the engine failed; may be
  // empty.
  Stt(SttOptions options, bus::Bus& bus, Engine& engine, Metrics& metrics,
      std::function<void(const absl::Status&)> on_engine_failure = nullptr);
  // Ends what is under way without a text.
  ~Stt();

  // Begins to take utterances. Once; Unavailable when the bus does not let it subscribe.
  absl::Status Start();

  // Takes no more utterances.
  void StopTaking();

  // Waits until the utterances under way have ended, or `limit` is over; those that have not are ended with
  // agent.stt.error shutting_down, so that the voice agent turns to another worker. After StopTaking().
  void Drain(absl::Duration limit);

  int64_t active() const;

 private:
  struct Utterance;

  void OnRequest(const bus::Message& message);
  absl::StatusOr<messages::SttAccepted> Claim(const messages::SttRequest& request,
                                              const bus::Message& message);
  void OnFrame(Utterance& utterance, const bus::Message& message);

  void Work();
  void Run(Utterance& utterance);
  absl::StatusOr<Hypothesis> Recognize(Utterance& utterance);
  absl::Status Decode(Utterance& utterance, const std::string& frame);
  void PublishPartial(Utterance& utterance);
  void PublishTranscript(Utterance& utterance, const std::string& text, bool is_final,
                         std::optional<double> confidence);
  void PublishError(Utterance& utterance, absl::string_view type, const absl::Status& status);
  // `traced`: with a span of its own.
  void Publish(absl::string_view subject, const Utterance& utterance, std::string body, bool traced);
  void Finished(Utterance& utterance, absl::string_view outcome, const absl::Status& status);

  const SttOptions options_;
  bus::Bus& bus_;
  Clock& clock_;
  Engine& engine_;
  Metrics& metrics_;
  const std::function<void(const absl::Status&)> on_engine_failure_;

  mutable std::mutex mutex_;  // never held while an utterance's own is taken, but by Drain()
  std::condition_variable changed_;
  bool stopping_ = false;
  bool taking_ = false;
  std::map<std::string, std::shared_ptr<Utterance>> utterances_;  // under way, by request_id
  int taken_ = 0;                                   // workers, by utterances that still need one
  std::deque<std::shared_ptr<Utterance>> claimed_;  // no worker has begun with them
  std::vector<std::thread> workers_;
  std::unique_ptr<bus::Subscription> requests_;  // last: its callback uses the members above
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_STT_H_
