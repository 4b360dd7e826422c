// The agent on the bus: agent.tts.request and agent.tts.cancel in, agent.tts.audio.<room>,
// agent.tts.completed and agent.tts.error out (voice specification, "Text-to-Speech Service"; design,
// section 3.8).
#ifndef ARC_SERVICES_TTS_TTS_SERVICE_H_
#define ARC_SERVICES_TTS_TTS_SERVICE_H_

#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/metrics/metrics.h"
#include "services/tts/engine.h"
#include "services/tts/tts.h"

namespace arc::tts {

inline constexpr char kAgentName[] = "arc-piper-tts";
inline constexpr char kQueueGroup[] = "tts";

// Thread-safe. A request that is malformed becomes a dead letter and, where its request_id can be read,
// agent.tts.error `invalid_request`; one that is not taken agent.tts.error `overloaded` or `unavailable`. A
// second request with an id that is in work is dropped with a line in the log.
class TtsService : private Output {
 public:
  TtsService(bus::Bus& bus, Engine& engine, const Tts::Options& options, Metrics* metrics);
  ~TtsService() override;

  // Takes requests from now on. Unavailable, InvalidArgument: of the bus.
  absl::Status Start();

  // Takes requests while the engine is well, and leaves them to other copies of the agent while it is not.
  // Returns the engine's health. To be called every now and then after Start().
  absl::Status FollowHealth();

  // Takes nothing new and ends what is in work within `limit`.
  void Drain(absl::Duration limit);

  int64_t active() const { return tts_.active(); }

 private:
  absl::Status Publish(const AudioFrame& frame) override;
  void Completed(const messages::TtsCompleted& completed) override;
  void Failed(const messages::AgentError& error) override;

  absl::Status TakeRequests();
  void OnRequest(const bus::Message& message);
  void OnCancel(const bus::Message& message);
  void Refuse(const bus::Message& message, const absl::Status& error);
  void Send(const char* subject, std::string body, absl::string_view trace_id);

  bus::Bus& bus_;
  Engine& engine_;
  Tts tts_;
  std::mutex mutex_;
  bool draining_ = false;
  std::unique_ptr<bus::Subscription> requests_;  // none while the engine is ill
  std::unique_ptr<bus::Subscription> cancels_;
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_TTS_SERVICE_H_
