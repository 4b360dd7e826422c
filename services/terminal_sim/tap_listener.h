#ifndef ARC_SERVICES_TERMINAL_SIM_TAP_LISTENER_H_
#define ARC_SERVICES_TERMINAL_SIM_TAP_LISTENER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "services/terminal_sim/device.h"

namespace arc::terminal_sim {

// The cards that come over the bus: kiosk.input.card, and kiosk.input.card.<kiosk_id> of kiosks with subjects
// of their own. What is no tap, or fits no payment, is logged and does nothing; a card's token is never
// logged.
class TapListener {
 public:
  // Listens until it is destroyed. `bus` and `device` outlive it.
  static absl::StatusOr<std::unique_ptr<TapListener>> Start(bus::Bus& bus, Device& device);

 private:
  explicit TapListener(Device& device) : device_(device) {}
  void OnMessage(const bus::Message& message);

  Device& device_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

}  // namespace arc::terminal_sim

#endif  // ARC_SERVICES_TERMINAL_SIM_TAP_LISTENER_H_
