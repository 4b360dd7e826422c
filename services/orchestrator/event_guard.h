// Looks at every event of kiosk.session.> and kiosk.ui.>, which the orchestrator itself writes and nobody
// reads in the order of the stream: what is malformed, or on a subject that does not exist, becomes a dead
// letter (design, sections 3.1, 3.5). kiosk.session.order_completed is left to recsys, which consumes it.
//
// Of all copies one looks at each event. While no copy runs nobody does: the stream keeps the event, and its
// readers check it again.
#ifndef ARC_SERVICES_ORCHESTRATOR_EVENT_GUARD_H_
#define ARC_SERVICES_ORCHESTRATOR_EVENT_GUARD_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"

namespace arc::orchestrator {

// InvalidArgument when `message` is not the event that its subject says; OK for subjects of other families.
absl::Status CheckEvent(const bus::Message& message, absl::Time now);

class EventGuard {
 public:
  // `bus` must outlive the guard.
  static absl::StatusOr<std::unique_ptr<EventGuard>> Start(bus::Bus& bus);

 private:
  EventGuard() = default;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

}  // namespace arc::orchestrator

#endif  // ARC_SERVICES_ORCHESTRATOR_EVENT_GUARD_H_
