// What is wrong with a running bus, and what to do about it (design, section 3.2, last paragraph). Observe()
// asks the server and the agents; Judge() is a pure function of what they said; Diagnose() is both.
#ifndef ARC_COMMON_PROVISION_DOCTOR_H_
#define ARC_COMMON_PROVISION_DOCTOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/provision/jetstream_api.h"
#include "common/provision/service_query.h"
#include "common/provision/topology.h"

namespace arc::provision {

struct DoctorOptions {
  absl::Duration timeout = absl::Seconds(5);      // of each request to the server
  absl::Duration watch_pulls = absl::Seconds(2);  // how long a consumer may show no sign of being pulled from
  int64_t max_lag = 1000;                         // messages of one consumer that may wait
};

struct ObservedConsumer {
  ConsumerState state;
  // A pull request waited, or messages were delivered, while it was watched.
  bool pulled = false;
  // The oldest message that this consumer has not done with, if there is one.
  std::optional<absl::Duration> oldest_age;
  uint64_t oldest_sequence = 0;
  std::string oldest_subject;
};

struct Observation {
  std::vector<StreamInfo> streams;
  std::vector<ObservedConsumer> consumers;
  std::vector<ServiceStats> services;
  // For every work queue: its messages by subject.
  std::map<std::string, std::map<std::string, int64_t>> queued;
};

struct Finding {
  // missing_stream, missing_bucket, missing_consumer, differs, request_captured, overlapping_filters,
  // ack_wait, nobody_pulls, stuck, unclaimed, swollen, node_away, dead_letters or lag
  std::string check;
  std::string object;   // "stream KIOSK_COMMANDS"
  std::string problem;  // one sentence
  std::string advice;   // what to do

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("check", s.check);
    v.Required("object", s.object);
    v.Required("problem", s.problem);
    v.Required("advice", s.advice);
  }
};

struct Diagnosis {
  bool ok = true;
  int64_t streams = 0;  // looked at
  int64_t consumers = 0;
  int64_t agents = 0;  // running copies
  std::vector<Finding> findings;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("ok", s.ok);
    v.Required("streams", s.streams);
    v.Required("consumers", s.consumers);
    v.Required("agents", s.agents);
    v.Required("findings", s.findings);
  }
};

// Blocks, up to options.watch_pulls when there is a consumer that nobody seems to pull from. Not to be called
// on a thread of the bus.
absl::StatusOr<Observation> Observe(bus::Bus& bus, const Topology& topology, const DoctorOptions& options);

Diagnosis Judge(const Topology& topology, const Observation& observation, const DoctorOptions& options);

absl::StatusOr<Diagnosis> Diagnose(bus::Bus& bus, const Topology& topology, const DoctorOptions& options);

}  // namespace arc::provision

#endif  // ARC_COMMON_PROVISION_DOCTOR_H_
