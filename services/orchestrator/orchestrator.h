// The orchestrator on the bus: leadership, the kiosks' inputs in order, their states in KIOSK_SESSIONS, and
// the effects that their state machines (session.h) want (kiosk specification, sections 6 and 7; design,
// sections 1, 3.2 to 3.4, 3.7, 3.8).
//
// One copy leads, the others stand by: the leader holds a lease, the key `leader` of the bucket, which it
// renews each second; who sees it unchanged for three seconds of its own clock takes it. Every write of a
// state is a compare-and-set, and a new leader begins by writing each state once, so that what a former
// leader still wants to write fails.
//
// The leader reads kiosk.input.>, kiosk.vision.> and kiosk.voice.> in the order of the stream. Inputs of one
// kiosk run one after another, kiosks side by side: step, store, carry out, acknowledge. While the bucket
// cannot be written, inputs wait; none is lost, doubled or overtaken.
//
// Thread-safe. No call blocks for longer than a call of the bucket (5 s).
#ifndef ARC_SERVICES_ORCHESTRATOR_ORCHESTRATOR_H_
#define ARC_SERVICES_ORCHESTRATOR_ORCHESTRATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/command_server.h"
#include "common/bus/executor.h"
#include "common/messages/ui.h"
#include "common/subjects/subjects.h"
#include "services/orchestrator/session.h"

namespace arc::orchestrator {

struct Options {
  Config session;
  std::string instance_id;                                   // unique to this process
  std::string default_kiosk_id = subjects::kDefaultKioskId;  // whose subjects are the bare ones
  int max_kiosks = 2000;
  int threads = 16;          // that step and store at once
  int max_in_flight = 1024;  // events of one durable that are taken and not yet applied
  absl::Duration lease_renewal = absl::Seconds(1);
  absl::Duration lease_timeout = absl::Seconds(3);
  absl::Duration flush_after =
      absl::Seconds(2);  // of quiet, until done effects are taken out of the stored state
  // Told of each event of kiosk.input.>, kiosk.vision.> or kiosk.voice.> that had its effect, which takes
  // from its delivery until it is stored and carried out, or that became a dead letter; on any thread. May be
  // empty.
  std::function<void(Source source, absl::Duration took, const absl::Status& status)> on_event;
  // Runs work that may block; empty: on threads of its own. Tests run it themselves.
  std::function<void(std::function<void()>)> run;
};

class Orchestrator {
 public:
  // `bus` must outlive this object.
  Orchestrator(bus::Bus& bus, Options options);
  // As Stop(), but without giving up the lease: what a crash looks like to the other copies.
  ~Orchestrator();
  Orchestrator(const Orchestrator&) = delete;
  Orchestrator& operator=(const Orchestrator&) = delete;

  // Begins to stand by or to lead. `bucket` is KIOSK_SESSIONS and must outlive this object. Once.
  absl::Status Start(bus::KeyValue& bucket);

  // Follows KIOSK_MENU: what changes in it, such as a dish that is sold out, shows on the screens that are
  // being looked at. `bucket` must outlive this object.
  absl::Status WatchMenu(bus::KeyValue& bucket);

  // Ends what is being applied, gives up the lease, reads no more.
  void Stop();

  // Whether this copy leads, reads its durables, and holds the lease now.
  bool leading() const;

  // OK: stands by, or leads and reads its durables.
  absl::Status Health() const;

  int64_t active_sessions() const;

  // kiosk.agent.orchestrator.snapshot: answered by every copy, by the leader from memory, by others from the
  // bucket. A kiosk that nobody used yet is in attract.
  absl::StatusOr<messages::SnapshotResponse> Snapshot(const messages::SnapshotRequest& request,
                                                      const bus::RequestContext& context) const;

 private:
  class Core;
  std::unique_ptr<bus::Executor> executor_;
  std::shared_ptr<Core> core_;
};

}  // namespace arc::orchestrator

#endif  // ARC_SERVICES_ORCHESTRATOR_ORCHESTRATOR_H_
