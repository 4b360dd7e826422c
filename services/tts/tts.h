// What the agent decides: which voice and format, what is synthesised when, when a frame may go out, and how
// a request ends (voice specification, "Text-to-Speech Service"; design, section 3.8). Knows no NATS.
//
// A request is a Speech of several sentences. A sentence at a time is synthesised by a pool of threads, or
// taken from the cache, and cut into frames. Frames go out at once until the listener has `lead` of sound
// that it has not played; from then on as fast as it plays, by the Clock. The next sentence is synthesised
// when less than `lead` waits to go out, so that a Speech holds a sentence and a lead of sound at most.
#ifndef ARC_SERVICES_TTS_TTS_H_
#define ARC_SERVICES_TTS_TTS_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/audio/audio.h"
#include "common/bus/executor.h"
#include "common/clock/clock.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/metrics/metrics.h"
#include "common/trace/trace.h"
#include "services/tts/cache.h"
#include "services/tts/engine.h"

namespace arc::tts {

inline constexpr char kRequestsMetric[] = "kiosk_tts_requests_total";           // counter: outcome
inline constexpr char kFirstAudioMetric[] = "kiosk_tts_first_audio_ms";         // histogram: source
inline constexpr char kLateMetric[] = "kiosk_tts_late_total";                   // counter
inline constexpr char kSentenceMetric[] = "kiosk_tts_sentence_ms";              // histogram
inline constexpr char kAudioSecondsMetric[] = "kiosk_tts_audio_seconds_total";  // counter
inline constexpr char kCacheMetric[] = "kiosk_tts_cache_total";                 // counter: result
inline constexpr char kCacheBytesMetric[] = "kiosk_tts_cache_bytes";            // gauge
inline constexpr char kActiveMetric[] = "kiosk_tts_active";                     // gauge

// One message of agent.tts.audio.<room>.
struct AudioFrame {
  std::string room;
  std::string request_id;
  std::string trace_id;
  int64_t turn = 0;
  uint64_t seq = 0;
  audio::Format format;
  bool end = false;     // the last one, without sound
  std::string payload;  // PCM or one Opus packet
};

// Where speech goes. Called with a Speech locked: must not block, nor call back into Tts. Thread-safe.
class Output {
 public:
  virtual ~Output() = default;
  // Not OK: the listener cannot be reached; the speech ends as failed.
  virtual absl::Status Publish(const AudioFrame& frame) = 0;
  virtual void Completed(const messages::TtsCompleted& completed) = 0;
  virtual void Failed(const messages::AgentError& error) = 0;
};

// Thread-safe.
class Tts {
 public:
  struct Options {
    int workers = 4;                         // sentences that are synthesised at the same time
    int max_active = 64;                     // requests in work; more are refused
    absl::Duration lead = absl::Seconds(2);  // of sound that is sent ahead of its playing
    size_t cache_bytes = size_t{16} << 20;
    absl::Duration cancel_memory = absl::Seconds(60);  // how long a cancel waits for its request
    size_t max_cancels = 1024;                         // that wait; the oldest go first
    // Told of each request that was heard or failed: from its coming to its first sound, or to its failure.
    // May be empty.
    std::function<void(absl::Duration took, const absl::Status& status)> on_handled;
  };

  // What is passed outlives this; `metrics` may be null.
  Tts(Engine& engine, Clock& clock, const Options& options, Output& output, Metrics* metrics);
  // Cancels what is in work, and waits until the engine has let go.
  ~Tts();

  // Begins a speech; how it goes on is told to the Output. InvalidArgument: format, room or text.
  // ResourceExhausted: too many in work. AlreadyExists: this request_id is in work. Unavailable: draining, or
  // the engine is ill. In all of these nothing is told to the Output. A request that was cancelled before it
  // came is OK and ends at once.
  // `span` is that of the handling of the request; it ends with the speech.
  absl::Status Say(const messages::TtsRequest& request, trace::Span span = {});

  // Stops that request now: when this returns nothing more of it will be published but its Completed(), which
  // has been. One that is not known here is remembered, in case its request comes late.
  void Cancel(const messages::TtsCancel& cancel);

  // Takes nothing new, sends what is in work without waiting for it to be played, and returns when all of it
  // has ended; what has not ended within `limit` fails. `limit` is real time.
  void Drain(absl::Duration limit);

  int64_t active() const;

 private:
  struct Speech;
  using SpeechPtr = std::shared_ptr<Speech>;
  enum class Outcome { kCompleted, kCancelled, kFailed };

  void Synthesise(const SpeechPtr& speech);
  absl::Status SaySentence(const SpeechPtr& speech, const std::string& sentence);
  // With `speech` locked:
  void Add(const SpeechPtr& speech, const std::string& frame);
  void Pump(const SpeechPtr& speech);
  absl::Status PublishFrame(Speech& speech, bool end, std::string payload);
  void End(Speech& speech, Outcome outcome, absl::string_view error_type, absl::string_view error);
  void ArmTimer(const SpeechPtr& speech, absl::Duration delay);
  void DisarmTimer(Speech& speech);
  // With mutex_ locked:
  bool TakeCancel(const std::string& request_id);
  void DropOldCancels();

  void TimerDone();
  void Count(absl::string_view outcome);
  static messages::TtsCompleted Report(const Speech& speech, absl::Time now, bool ready);

  Engine& engine_;
  Clock& clock_;
  const Options options_;
  Output& output_;
  Metrics* const metrics_;
  Cache cache_;
  std::atomic<bool> draining_{false};

  mutable std::mutex mutex_;  // may be taken while a Speech is locked, never the other way round
  std::condition_variable ended_;
  int timers_ = 0;                               // armed, or running now
  std::map<std::string, SpeechPtr> speeches_;    // by request_id
  std::map<std::string, absl::Time> cancelled_;  // cancels without a request so far
  std::deque<std::pair<absl::Time, std::string>> cancel_order_;

  std::unique_ptr<bus::Executor> executor_;  // last: its threads use all of the above
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_TTS_H_
