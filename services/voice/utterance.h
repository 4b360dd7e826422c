// One utterance's way to a recogniser (design, section 3.8): a worker is claimed with agent.stt.request, the
// sound so far and then all more is streamed to it; when it dies, the whole is streamed to another. A state
// machine: it is told what happened and when, and answers what is to be done. Not thread-safe.
#ifndef ARC_SERVICES_VOICE_UTTERANCE_H_
#define ARC_SERVICES_VOICE_UTTERANCE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/audio/audio.h"
#include "common/messages/stt.h"

namespace arc::voice {

struct UtteranceOptions {
  absl::Duration max_sound = absl::Seconds(30);           // kept for another worker; no more is taken
  absl::Duration frame = absl::Milliseconds(20);          // of sound in a message
  absl::Duration replay_frame = absl::Milliseconds(100);  // the same, of sound that has been spoken already
  absl::Duration first_retry = absl::Milliseconds(50);    // after busy or nobody; twice as long each time
  absl::Duration longest_retry = absl::Seconds(1);
  absl::Duration ping_interval = absl::Milliseconds(500);  // of a worker that has the sound
  int missed_pings = 2;                                    // unanswered ones until it counts as dead
  int max_replays = 5;  // more workers are not given sound that those before did not survive
};

// agent.stt.request, to be answered by OnClaimed().
struct ClaimWorker {
  std::string request_id;
};
// agent.stt.audio.<request_id>; without `end` it has sound.
struct SendSound {
  std::string request_id;
  uint64_t seq = 0;
  audio::Samples samples;
  bool end = false;
};
// $SRV.PING.stt.<worker_id>, to be answered by OnPong().
struct PingWorker {
  std::string request_id;
  std::string worker_id;
};
// The sound goes to another worker from its begin.
struct WorkerLost {
  std::string worker_id;
  std::string reason;
};
// After `max_replays`, once the sound has ended: there will be no text.
struct GiveUp {};
using UtteranceEffect = std::variant<ClaimWorker, SendSound, PingWorker, WorkerLost, GiveUp>;

class Utterance {
 public:
  using Effects = std::vector<UtteranceEffect>;
  enum class Pong { kAlive, kGone, kSilent };  // answered; nobody is there; no answer in time

  Utterance(const UtteranceOptions& options, std::string id);

  Effects Begin(absl::Time now, absl::Span<const int16_t> pre_roll);
  Effects OnSound(absl::Time now, absl::Span<const int16_t> samples);
  Effects End(absl::Time now);

  // `answer` of a claim: Unavailable when nobody listens, DeadlineExceeded when nobody answered.
  Effects OnClaimed(absl::Time now, absl::string_view request_id,
                    const absl::StatusOr<messages::SttAccepted>& answer);
  Effects OnPong(absl::Time now, absl::string_view request_id, Pong pong);
  // agent.stt.error, or a final text that came before the end.
  Effects OnWorkerFailed(absl::Time now, absl::string_view request_id, absl::string_view reason);

  absl::Time NextTime() const;
  Effects OnTime(absl::Time now);

  const std::string& id() const { return id_; }
  // Of the present claim; the texts of former ones are not of interest any more.
  const std::string& request_id() const { return request_id_; }
  const std::string& engine() const { return engine_; }
  bool ended() const { return ended_; }
  bool has_worker() const { return has_worker_; }
  int workers_lost() const { return workers_lost_; }

 private:
  Effects Claim(absl::Time now);
  Effects Lose(absl::Time now, absl::string_view reason);
  void Stream(Effects& effects, absl::Duration frame);

  const UtteranceOptions options_;
  const std::string id_;
  audio::Samples sound_;  // all of it
  bool ended_ = false;

  std::string request_id_;
  int claims_ = 0;
  bool claiming_ = false;  // an answer is awaited
  bool has_worker_ = false;
  std::string worker_id_;
  std::string engine_;
  size_t sent_ = 0;  // samples
  uint64_t seq_ = 0;
  bool end_sent_ = false;
  absl::Duration retry_;       // of a claim
  absl::Duration lost_retry_;  // after a worker was lost
  absl::Time retry_at_ = absl::InfiniteFuture();
  absl::Time ping_at_ = absl::InfiniteFuture();
  int missed_ = 0;
  int workers_lost_ = 0;
  bool hopeless_ = false;
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_UTTERANCE_H_
