// An event as one line, for people and for programs. Pure functions; HeartbeatFilter is not thread-safe.
#ifndef ARC_SERVICES_ARCCTL_EVENT_LINE_H_
#define ARC_SERVICES_ARCCTL_EVENT_LINE_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"

namespace arc::arcctl {

// "14:00:00.000  kiosk-001  kiosk.input.touch  action=select_item item_id=101"; the time is that of arrival,
// in UTC.
std::string EventLine(const bus::Message& message, absl::Time now);

// The message's JSON object with `subject` in front of its fields and, when it belongs to a kiosk with an id,
// `kiosk_id`. What is no JSON object becomes {"subject":...,"invalid":"..."}.
std::string EventJson(const bus::Message& message, absl::Time now);

// The kiosk of the subject's suffix, else of the header Kiosk-Id; empty: the default one, or none at all.
std::string KioskOf(const bus::Message& message);

// Whether the message belongs to that kiosk, the default one having the id kiosk-001. Messages of the system
// belong to every kiosk.
bool IsOfKiosk(const bus::Message& message, absl::string_view kiosk_id);

// Lets pass what is no heartbeat, the first heartbeat of an agent's copy, and changes of its status.
class HeartbeatFilter {
 public:
  bool IsNews(const bus::Message& message);

 private:
  std::map<std::string, std::string> status_of_;
};

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_EVENT_LINE_H_
