// The agent on the bus: agent.stt.request in; agent.stt.audio.<request_id> in; agent.stt.transcript and
// agent.stt.error out (design, section 3.8). Frames are put into order, brought to one channel and the
// engine's rate, and recognised on a thread of the utterance, so that a slow one holds up no other.
#ifndef ARC_SERVICES_STT_STT_H_
#define ARC_SERVICES_STT_STT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/executor.h"
#include "common/messages/stt.h"
#include "common/metrics/metrics.h"
#include "services/stt/engine.h"

namespace arc::stt {

inline constexpr char kAgentName[] = "arc-stt";
inline constexpr char kQueueGroup[] = "stt";

inline constexpr char kRequestsMetric[] = "kiosk_stt_requests_total";           // counter: outcome
inline constexpr char kUtterancesMetric[] = "kiosk_stt_utterances_total";       // counter: outcome
inline constexpr char kFramesMetric[] = "kiosk_stt_frames_total";               // counter: result
inline constexpr char kTailMetric[] = "kiosk_stt_tail_ms";                      // histogram
inline constexpr char kAudioSecondsMetric[] = "kiosk_stt_audio_seconds_total";  // counter
inline constexpr char kRealTimeMetric[] = "kiosk_stt_real_time_factor";         // histogram
inline constexpr char kActiveMetric[] = "kiosk_stt_active";                     // gauge

struct SttOptions {
  std::string worker_id;                             // of this process: its ADR-32 id
  absl::Duration max_utterance = absl::Seconds(30);  // of sound; what comes behind it is not heard
  absl::Duration sender_timeout = absl::Seconds(5);  // without a frame until the utterance ends
  absl::Duration partial_interval = absl::Milliseconds(200);
  absl::Duration reorder_grace = absl::Milliseconds(200);  // that the last frame waits for missing ones
  size_t max_queued_bytes = size_t{4} << 20;               // of frames that the engine has not taken yet
};

// Thread-safe. A malformed request becomes a dead letter, and where somebody waits for an answer an error
// reply; `busy` is the answer while the engine is full or ill.
class Stt {
 public:
  // What is passed outlives this; `metrics` may be null.
  Stt(bus::Bus& bus, Engine& engine, SttOptions options, Metrics* metrics);
  // Ends the utterances under way with what they have.
  ~Stt();

  // Takes requests from now on. Unavailable, InvalidArgument: of the bus.
  absl::Status Start();

  // Takes requests while the engine is well, and leaves them to other copies while it is not. Returns the
  // engine's health. To be called every now and then after Start().
  absl::Status FollowHealth();

  // Takes nothing new; utterances under way go on until they end, or are ended with what they have when
  // `limit` is over.
  void Drain(absl::Duration limit);

  int64_t active() const;

 private:
  class Utterance;

  absl::Status TakeRequests();
  void OnRequest(const bus::Message& message);
  void Refuse(const bus::Message& message, const absl::Status& error);
  void Reply(const bus::Message& message, const std::string& body);
  void Run(const std::shared_ptr<Utterance>& utterance);
  void Publish(const char* subject, const std::string& body, const std::string& trace_id);
  void Count(const char* metric, const char* help, const char* label, absl::string_view value, double by = 1);

  bus::Bus& bus_;
  Engine& engine_;
  const SttOptions options_;
  Metrics* const metrics_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool draining_ = false;
  std::map<std::string, std::shared_ptr<Utterance>> utterances_;  // by request_id
  std::unique_ptr<bus::Subscription> requests_;                   // none while the engine is ill
  std::unique_ptr<bus::Executor> executor_;                       // last: its threads use all of the above
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_STT_H_
