// The NATS service protocol (ADR-32; design, section 3.6): answers $SRV.PING|INFO|STATS[.name[.id]], so that
// `nats micro ls|info|stats` and the services clients of the NATS libraries see the fleet. libnats 3.4.1 has
// no helper for it. Thread-safe.
#ifndef ARC_COMMON_DISCOVERY_DISCOVERY_H_
#define ARC_COMMON_DISCOVERY_DISCOVERY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/metrics/histogram.h"

namespace arc {

struct EndpointStats {
  std::string name;  // letters, digits, '-' and '_'
  std::string subject;
  std::string queue_group;
  int64_t num_requests = 0;
  int64_t num_errors = 0;
  std::string last_error;
  absl::Duration processing_time;  // of all requests together
  Histogram latency_ms;            // since the start; `data.latency_ms` of STATS
};

struct ServiceInfo {
  std::string name;     // letters, digits, '-' and '_'
  std::string id;       // unique to the process; the same alphabet
  std::string version;  // semantic version
  std::string description;
  std::map<std::string, std::string> metadata;
};

class ServiceResponder {
 public:
  // Answers from now on, as started now. `endpoints` is called for each INFO and STATS.
  static absl::StatusOr<std::unique_ptr<ServiceResponder>> Start(
      bus::Bus& bus, ServiceInfo info, std::function<std::vector<EndpointStats>()> endpoints);

 private:
  ServiceResponder() = default;
  struct Impl;
  std::shared_ptr<Impl> impl_;  // before what calls it, which is to end first
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

}  // namespace arc

#endif  // ARC_COMMON_DISCOVERY_DISCOVERY_H_
