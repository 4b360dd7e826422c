// Asking the fleet's agents for themselves by the NATS service protocol (ADR-32; design, section 3.6).
#ifndef ARC_COMMON_PROVISION_SERVICE_QUERY_H_
#define ARC_COMMON_PROVISION_SERVICE_QUERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/json/json.h"
#include "common/metrics/histogram.h"

namespace arc::provision {

struct EndpointStats {
  std::string name;
  std::string subject;
  int64_t num_requests = 0;
  int64_t num_errors = 0;
  std::string last_error;
  int64_t processing_time = 0;          // nanoseconds, of all requests
  int64_t average_processing_time = 0;  // nanoseconds
  json::Raw data;                       // the service's own

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("name", s.name);
    v.Optional("subject", s.subject);
    v.Optional("num_requests", s.num_requests);
    v.Optional("num_errors", s.num_errors);
    v.Optional("last_error", s.last_error);
    v.Optional("processing_time", s.processing_time);
    v.Optional("average_processing_time", s.average_processing_time);
    v.Optional("data", s.data);
  }
};

// `data.latency_ms` of an agent of the fleet; without a value when a foreign service has other data, or none.
Histogram LatencyOf(const EndpointStats& endpoint);

// One running copy of a service, as $SRV.STATS answers.
struct ServiceStats {
  std::string name;  // "menu"
  std::string id;    // unique to the process
  std::string version;
  std::string started;  // RFC 3339
  std::vector<EndpointStats> endpoints;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name, json::Range(1, 200));
    v.Required("id", s.id, json::Range(1, 200));
    v.Optional("version", s.version);
    v.Optional("started", s.started);
    v.Optional("endpoints", s.endpoints);
  }
};

// Every message that answers `request` (whose reply subject is set here), until none has come for `quiet`, at
// most for `timeout`. Blocks; not to be called on a thread of the bus.
absl::StatusOr<std::vector<bus::Message>> GatherAnswers(bus::Bus& bus, bus::Message request,
                                                        absl::Duration quiet, absl::Duration timeout);

// All copies of all services, by name and id. What is no answer of the protocol is left out.
absl::StatusOr<std::vector<ServiceStats>> ListServices(bus::Bus& bus, absl::Duration timeout);

}  // namespace arc::provision

#endif  // ARC_COMMON_PROVISION_SERVICE_QUERY_H_
