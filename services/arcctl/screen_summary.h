// A kiosk's screen in a few lines of text, from the payload of kiosk.ui.update (kiosk specification, section
// 6.5). Knows the fields that components usually have, not every component: a new one is shown as far as its
// fields are the usual ones. Pure functions, thread-safe.
#ifndef ARC_SERVICES_ARCCTL_SCREEN_SUMMARY_H_
#define ARC_SERVICES_ARCCTL_SCREEN_SUMMARY_H_

#include <optional>
#include <string>
#include <vector>

#include "common/messages/ui.h"

namespace arc::arcctl {

// "[cart]" and below it what is on it, one element a line.
std::vector<std::string> SummarizeScreen(const messages::UiUpdate& screen);

// One line for a log: "cart: CartLines Totals Upsell".
std::string OneLineScreen(const messages::UiUpdate& screen);

// False while a part of the screen says that it waits for something, so that another update follows.
bool IsSettled(const messages::UiUpdate& screen);

// Why the kiosk did not do what it was asked, as the screen says it: a notice that warns, or the error
// layout. A notice that only comes along with what was done (an allergen, a changed price) is none.
std::optional<std::string> RefusalOn(const messages::UiUpdate& screen);

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_SCREEN_SUMMARY_H_
