// Command of kiosk.agent.recsys.* (kiosk specification, section 7.2) and the order history that a restaurant
// brings. Requester: orchestrator. Responder: recommendation agent. Timeout: 2 s.
#ifndef ARC_COMMON_MESSAGES_RECSYS_H_
#define ARC_COMMON_MESSAGES_RECSYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/messages/session.h"

namespace arc::messages {

struct CartItem {
  int64_t item_id = 0;
  int64_t quantity = 1;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Optional("quantity", s.quantity, json::Range(1, 999));
  }
};

// kiosk.agent.recsys.suggest
struct SuggestRequest {
  static constexpr absl::string_view kCommand = "suggest";
  std::vector<CartItem> cart;
  OrderContext context;
  std::vector<std::string> dietary_filters;    // of the session: hard constraints
  std::vector<std::string> exclude_allergens;  // of the session: hard constraints
  int64_t limit = 3;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Optional("cart", s.cart, json::Range(0, 200));
    v.Optional("context", s.context);
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("limit", s.limit, json::Range(1, 20));
  }
};

// A suggestion's reason: a combo that is to take the place of those of its parts that are in the cart. Other
// reasons are words for people.
inline constexpr char kReasonCombo[] = "upsell_combo";

struct Suggestion {
  int64_t item_id = 0;
  std::string name;
  std::string pitch;             // a sentence for the customer
  std::string reason;            // such as weather_hot, upsell_combo, goes_with
  std::optional<Decimal> price;  // none: the menu knows it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id);
    v.Required("name", s.name);
    v.Required("pitch", s.pitch);
    v.Required("reason", s.reason);
    v.Optional("price", s.price);
  }
};

struct SuggestResponse {
  std::vector<Suggestion> suggestions;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("suggestions", s.suggestions);
  }
};

// A line of an order history file (JSON lines).
struct PastOrder {
  std::string order_id;
  std::string at;  // RFC 3339
  std::vector<CartItem> items;
  OrderContext context;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id, json::Range(1, 128));
    v.Optional("at", s.at, json::Range(0, 40));
    v.Required("items", s.items, json::Range(1, 200));
    v.Optional("context", s.context);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_RECSYS_H_
