// Messages of kiosk.ui.* (kiosk specification, section 6.5) and the orchestrator's snapshot command.
// Producer: orchestrator. Consumer: screen.
#ifndef ARC_COMMON_MESSAGES_UI_H_
#define ARC_COMMON_MESSAGES_UI_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/messages/session.h"

namespace arc::messages {

// One element of the screen; `data` is an object whose fields depend on `type` (docs/messages.md lists them).
struct UiComponent {
  std::string type;
  json::Raw data;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("type", s.type, json::Range(1, 64));
    v.Required("data", s.data);
  }
};

// kiosk.ui.update: the whole screen, never a difference.
struct UiUpdate {
  std::string layout_mode;  // attract, hero_grid, details, cart, checkout, paying, paid or error
  std::optional<std::string> theme_override;
  std::vector<UiComponent> components;
  std::vector<std::string> suggested_actions;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "ui_update");
    v.Required("layout_mode", s.layout_mode, json::Range(1, 64));
    v.Nullable("theme_override", s.theme_override, json::Range(0, 64));
    v.Required("components", s.components);
    v.Required("suggested_actions", s.suggested_actions);
  }
};

// kiosk.agent.orchestrator.snapshot: what a page that (re)loads has to show.
struct SnapshotRequest {
  static constexpr absl::string_view kCommand = "snapshot";
  std::optional<std::string> kiosk_id;  // none: the kiosk of the message's headers and subject

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Optional("kiosk_id", s.kiosk_id, json::Range(1, 64));
  }
};

struct SnapshotCart {
  std::vector<OrderLine> lines;
  Decimal total;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("lines", s.lines);
    v.Required("total", s.total);
  }
};

struct SnapshotResponse {
  std::string session_id;  // empty between sessions
  std::string state;       // attract, browsing, details, cart, checkout, paying, paid or error
  SnapshotCart cart;
  UiUpdate ui;  // the last kiosk.ui.update
  // What the session's customer named: hard constraints, for agents that have forgotten the conversation.
  std::vector<std::string> exclude_allergens;
  std::vector<std::string> dietary_filters;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("session_id", s.session_id);
    v.Required("state", s.state);
    v.Required("cart", s.cart);
    v.Required("ui", s.ui);
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_UI_H_
