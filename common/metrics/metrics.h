// Prometheus metrics of an agent, and every metric's name, once. Thread-safe.
#ifndef ARC_COMMON_METRICS_METRICS_H_
#define ARC_COMMON_METRICS_METRICS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/metrics/histogram.h"

namespace arc {

// kiosk_agent_latency_ms is the kiosk specification's (section 11.2); the others are the design's
// (section 3.6).
namespace metric_names {
inline constexpr char kLatencyMs[] = "kiosk_agent_latency_ms";              // histogram: agent, action
inline constexpr char kRequests[] = "kiosk_agent_requests_total";           // counter: agent, action, outcome
inline constexpr char kDeliveries[] = "kiosk_agent_deliveries_total";       // counter: agent, action
inline constexpr char kExpired[] = "kiosk_agent_expired_total";             // counter: agent, action
inline constexpr char kDeadLetters[] = "kiosk_agent_dead_letters_total";    // counter: agent, action
inline constexpr char kQueueLag[] = "kiosk_agent_queue_lag";                // gauge: agent
inline constexpr char kInFlight[] = "kiosk_agent_in_flight";                // gauge: agent
inline constexpr char kReconnects[] = "kiosk_agent_nats_reconnects_total";  // counter: agent
inline constexpr char kServing[] = "kiosk_agent_serving";                   // gauge: agent; 1 while SERVING
inline constexpr char kActiveSessions[] = "kiosk_agent_active_sessions";  // gauge: agent; as in its heartbeat
inline constexpr char kServiceErrors[] =
    "kiosk_agent_service_errors_total";  // counter: agent, error_type, severity
inline constexpr char kTraceSpans[] = "kiosk_agent_trace_spans_total";  // counter: agent, outcome
// Names that Prometheus' own client libraries use.
inline constexpr char kMemory[] = "process_resident_memory_bytes";  // gauge: agent
inline constexpr char kCpuSeconds[] = "process_cpu_seconds_total";  // counter: agent
}  // namespace metric_names

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  // Every metric carries agent=`agent`.
  explicit Metrics(std::string agent);
  ~Metrics();

  void Increment(absl::string_view name, absl::string_view help, const Labels& labels = {}, double by = 1);
  void Set(absl::string_view name, absl::string_view help, const Labels& labels, double value);
  // A histogram; `value` in the unit that the name says. Buckets suit milliseconds: 0.1 to 60,000.
  void Observe(absl::string_view name, absl::string_view help, const Labels& labels, double value);
  // What Observe() has counted under `name` with exactly these labels; without a value before the first.
  Histogram Observed(absl::string_view name, const Labels& labels) const;
  // A gauge, or with `counter` a counter, whose value is asked for at each scrape.
  void Callback(absl::string_view name, absl::string_view help, bool counter, std::function<double()> value,
                const Labels& labels = {});

  std::string Text() const;  // Prometheus text format

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace arc

#endif  // ARC_COMMON_METRICS_METRICS_H_
