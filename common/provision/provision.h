// Making a server's streams, buckets and consumers what a Topology says (design, section 3.2). Idempotent:
// what exists is compared, never overwritten, unless the caller asks for that.
#ifndef ARC_COMMON_PROVISION_PROVISION_H_
#define ARC_COMMON_PROVISION_PROVISION_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/provision/topology.h"

namespace arc::provision {

struct ProvisionOptions {
  absl::Duration timeout = absl::Seconds(5);  // of each request to the server
  // Change what differs to what the topology says, as far as the server can (it cannot change a stream's
  // storage, nor a consumer's ack_policy).
  bool update = false;
};

struct ProvisionReport {
  std::vector<std::string> created;  // "stream KIOSK_EVENTS", "consumer KIOSK_COMMANDS > menu-agent-consumer"
  std::vector<std::string> updated;
  std::vector<std::string> unchanged;
  std::vector<Difference> differences;  // left as they are

  bool ok() const { return differences.empty(); }
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("created", s.created);
    v.Required("updated", s.updated);
    v.Required("unchanged", s.unchanged);
    v.Required("differences", s.differences);
  }
};

// Creates what is missing. Blocks; not to be called on a thread of the bus. The status is about talking to
// the server; that something differs is in the report. Several processes may do this at once. Thread-safe.
absl::StatusOr<ProvisionReport> Provision(bus::Bus& bus, const Topology& topology,
                                          const ProvisionOptions& options = {});

// Keeps a server provisioned: at once, after every reconnect (a memory stream and its consumers are gone when
// nats-server restarts), whenever it says that a stream or consumer was deleted, and every `interval`.
class Keeper {
 public:
  // `on_report` is called on Run()'s thread for every pass that changed something or whose differences are
  // not those of the pass before.
  Keeper(bus::Bus& bus, Topology topology, ProvisionOptions options, absl::Duration interval,
         std::function<void(const ProvisionReport&)> on_report);

  // Returns after Stop(). A server that does not answer is tried again for ever.
  void Run();

  // From any thread.
  void Stop();

 private:
  void Wake();

  bus::Bus& bus_;
  const Topology topology_;
  const ProvisionOptions options_;
  const absl::Duration interval_;
  const std::function<void(const ProvisionReport&)> on_report_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool due_ = true;
};

}  // namespace arc::provision

#endif  // ARC_COMMON_PROVISION_PROVISION_H_
