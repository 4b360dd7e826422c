// What the customer sees: a state and the cached menu as a kiosk.ui.update (kiosk specification,
// section 6.5). Pure functions, thread-safe.
#ifndef ARC_SERVICES_ORCHESTRATOR_SCREEN_H_
#define ARC_SERVICES_ORCHESTRATOR_SCREEN_H_

#include <vector>

#include "common/messages/ui.h"
#include "services/orchestrator/session.h"
#include "services/orchestrator/state.h"

namespace arc::orchestrator {

struct Screen {
  messages::UiUpdate update;
  std::vector<Action> actions;  // what its suggested_actions stand for, in their order
};

Screen Render(const KioskState& state, const MenuView& menu, const Config& config, absl::Time now);

// An order's lines as they stand in events and snapshots.
std::vector<messages::OrderLine> OrderLines(const std::vector<CartLine>& lines, int64_t exponent);

}  // namespace arc::orchestrator

#endif  // ARC_SERVICES_ORCHESTRATOR_SCREEN_H_
