// Messages of kiosk.input.* (kiosk specification, section 6.3, and the design's additions).
// Producer: screen, or any client. Consumer: orchestrator; kiosk.input.card: the card terminal.
#ifndef ARC_COMMON_MESSAGES_INPUT_H_
#define ARC_COMMON_MESSAGES_INPUT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

enum class TouchAction {
  kStart,
  kSelectItem,
  kBrowseCategory,
  kSearch,
  kShowCart,
  kCustomize,
  kCheckout,
  kConfirmPayment,
  kCancelOrder,
  kBack,
  kSuggestedAction,
  kKeepGoing,
  kDone,
};
inline absl::Span<const absl::string_view> EnumNames(TouchAction) {
  static constexpr std::array<absl::string_view, 13> kNames = {
      "start",    "select_item",     "browse_category", "search", "show_cart",        "customize",
      "checkout", "confirm_payment", "cancel_order",    "back",   "suggested_action", "keep_going",
      "done"};
  return kNames;
}

// kiosk.input.touch. Which of the optional fields an action reads is said behind them; the others are
// ignored.
struct Touch {
  TouchAction action = TouchAction::kStart;
  std::optional<int64_t> item_id;           // select_item (required), customize (required)
  std::optional<std::string> component;     // what was touched, such as "HeroItem"
  std::optional<std::string> category;      // browse_category: a category's id
  std::optional<std::string> query;         // search: the words typed
  std::optional<std::string> label;         // suggested_action: one of the last update's suggested_actions
  std::vector<std::string> customizations;  // customize: names from the item's list
  std::optional<std::string> note;          // customize
  std::optional<std::string> loyalty_card;  // checkout, confirm_payment
  std::optional<int64_t> line_id;           // select_item, customize: of the cart, that is to be changed

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "touch");
    v.Required("action", s.action);
    v.Optional("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Optional("component", s.component, json::Range(0, 100));
    v.Optional("category", s.category, json::Range(0, 100));
    v.Optional("query", s.query, json::Range(0, 400));
    v.Optional("label", s.label, json::Range(0, 200));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
    v.Optional("loyalty_card", s.loyalty_card, json::Range(0, 64));
    v.Optional("line_id", s.line_id, json::Range(1, json::kMaxId));
  }
};

enum class CartActionKind { kAdd, kRemove, kUpdateQty };
inline absl::Span<const absl::string_view> EnumNames(CartActionKind) {
  static constexpr std::array<absl::string_view, 3> kNames = {"add", "remove", "update_qty"};
  return kNames;
}

// kiosk.input.cart_action. A line of the cart is an item with its customisations: `customizations` and `note`
// of an add belong to that line; of a remove or update_qty they choose it (none: the latest line of the
// item), unless `line_id` names it.
struct CartAction {
  CartActionKind action = CartActionKind::kAdd;
  int64_t item_id = 0;
  std::optional<int64_t>
      quantity;  // add: 1 when missing; remove: all when missing; update_qty: required, 0 removes
  std::vector<std::string> customizations;
  std::optional<std::string> note;
  std::optional<int64_t> line_id;  // remove, update_qty: the line itself, as the screen's components name it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "cart_action");
    v.Required("action", s.action);
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Optional("quantity", s.quantity, json::Range(0, 99));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
    v.Optional("line_id", s.line_id, json::Range(1, json::kMaxId));
  }
};

// kiosk.input.text: typed words, treated as a final transcript.
struct TextInput {
  std::string text;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "text");
    v.Required("text", s.text, json::Range(1, 4000));
  }
};

// kiosk.input.card: the simulated terminal's tap, for the payment that waits at this kiosk.
struct CardInput {
  std::string token;                    // such as "tok_visa"
  std::optional<std::string> order_id;  // where several payments wait

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "card");
    v.Constant("action", "tap");
    v.Required("token", s.token, json::Range(1, 100));
    v.Optional("order_id", s.order_id, json::Range(1, 128));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_INPUT_H_
