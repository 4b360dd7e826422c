// agent.brain.request on the bus (voice specification, "Agent Brain Service"): decoding, what must not be
// done twice, errors, dead letters, metrics. The reasoning is brain.h's.
#ifndef ARC_SERVICES_BRAIN_SERVICE_H_
#define ARC_SERVICES_BRAIN_SERVICE_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/executor.h"
#include "common/metrics/metrics.h"
#include "services/brain/brain.h"

namespace arc::brain {

// Metrics: names are the schema of docs/operating.md.
namespace brain_metrics {
inline constexpr char kRequests[] = "kiosk_brain_requests_total";  // counter: outcome
inline constexpr char kErrors[] = "kiosk_brain_errors_total";      // counter: type
inline constexpr char kIntents[] = "kiosk_brain_intents_total";    // counter: intent
inline constexpr char kLatencyMs[] = "kiosk_brain_latency_ms";     // histogram: engine
inline constexpr char kEngineMs[] = "kiosk_brain_engine_ms";       // histogram: engine; without tools
inline constexpr char kToolMs[] = "kiosk_brain_tool_ms";           // histogram: tool
}  // namespace brain_metrics

struct ServiceOptions {
  std::string agent_name;                               // of dead letters
  absl::Duration duplicate_window = absl::Seconds(10);  // a request_id is answered again, not reasoned again
  size_t max_remembered = 512;                          // answers kept for that
  int max_in_flight = 64;                               // more are refused with error_type unavailable
  // Told of each request that was reasoned about: from its coming to its answer. May be empty.
  std::function<void(absl::Duration took, const absl::Status& status)> on_handled;
  // Called when the engine has failed three times in a row, and not again before it has worked.
  std::function<void(const std::string& error)> on_engine_failure;
};

// Thread-safe. All that is given must outlive it.
class Service {
 public:
  Service(bus::Bus& bus, bus::Executor& executor, Metrics& metrics, Brain& brain, ServiceOptions options);
  ~Service();  // as Stop() without a limit on what is in work

  // Subscribes. Errors are those of the bus.
  absl::Status Start();
  // Takes no more requests and waits for those in work, at most `limit`.
  void Stop(absl::Duration limit);

  int64_t in_flight() const;
  // Waits until no request is in work, at most `limit`; whether that is so. An answer may be published a
  // moment before its request counts as done, which nothing on the bus tells.
  bool AwaitIdle(absl::Duration limit) const;

 private:
  struct Answer {
    std::string request_id;
    absl::Time at;
    bool done = false;
    bool again = false;                  // asked for once more while it was worked on
    std::vector<std::string> replies;    // reply subjects that wait
    std::vector<bus::Message> messages;  // as published
    std::string reply_body;
  };

  void OnRequest(const bus::Message& message);
  void Refuse(const bus::Message& message, const absl::Status& error);
  // `head`: subject and headers of the request's message.
  void Work(const bus::Message& head, const messages::BrainRequest& request,
            const std::shared_ptr<Answer>& answer);
  void Finish(const std::shared_ptr<Answer>& answer, const std::string& trace_id,
              std::vector<bus::Message> messages, const std::string& reply_body);
  void Forget(absl::Time now);
  void Count(const Outcome& outcome);

  bus::Bus& bus_;
  bus::Executor& executor_;
  Metrics& metrics_;
  Brain& brain_;
  const ServiceOptions options_;

  mutable std::mutex mutex_;
  mutable std::condition_variable idle_;
  int in_flight_ = 0;
  int engine_failures_ = 0;
  std::list<std::shared_ptr<Answer>> order_;  // oldest first
  absl::flat_hash_map<std::string, std::shared_ptr<Answer>> answers_;
  std::unique_ptr<bus::Subscription> subscription_;  // last: its callback uses the members above
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_SERVICE_H_
