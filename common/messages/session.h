// Messages of kiosk.session.* (kiosk specification, section 6.4, and the design's order_completed).
// Producer: orchestrator. Consumers: all agents; recsys learns from order_completed.
#ifndef ARC_COMMON_MESSAGES_SESSION_H_
#define ARC_COMMON_MESSAGES_SESSION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

// kiosk.session.started
struct SessionStarted {
  std::string kiosk_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "session_started");
    v.Required("kiosk_id", s.kiosk_id, json::Range(1, 64));
  }
};

enum class EndReason { kCompleted, kTimeout, kCancelled };
inline absl::Span<const absl::string_view> EnumNames(EndReason) {
  static constexpr std::array<absl::string_view, 3> kNames = {"completed", "timeout", "cancelled"};
  return kNames;
}

// kiosk.session.ended
struct SessionEnded {
  EndReason reason = EndReason::kCompleted;
  double duration_seconds = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "session_ended");
    v.Required("reason", s.reason);
    v.Required("duration_seconds", s.duration_seconds, json::Range(0, int64_t{86400} * 365));
  }
};

// A line of a cart or an order. `price` is for one, its customisations included, in the menu's currency.
struct OrderLine {
  int64_t item_id = 0;
  std::string name;
  int64_t quantity = 1;
  Decimal price;
  std::vector<std::string> customizations;
  std::optional<std::string> note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Optional("name", s.name, json::Range(0, 200));
    v.Required("quantity", s.quantity, json::Range(1, 999));
    v.Optional("price", s.price, json::Range(0, 1000000000));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
  }
};

// Circumstances that recommendations depend on; any may be unknown.
struct OrderContext {
  std::optional<std::string> time_of_day;  // breakfast, lunch, afternoon, dinner or night
  std::optional<std::string> weather;      // hot, mild, cold or rainy
  std::optional<int64_t> party_size;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("time_of_day", s.time_of_day, json::Range(0, 40));
    v.Optional("weather", s.weather, json::Range(0, 40));
    v.Optional("party_size", s.party_size, json::Range(0, 1000));
  }
};

struct OrderPayment {
  std::string transaction_id;
  Decimal amount_charged;
  int64_t loyalty_points_earned = 0;
  std::optional<std::string> receipt_url;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("transaction_id", s.transaction_id, json::Range(1, 128));
    v.Required("amount_charged", s.amount_charged);
    v.Optional("loyalty_points_earned", s.loyalty_points_earned);
    v.Nullable("receipt_url", s.receipt_url, json::Range(0, 400));
  }
};

// kiosk.session.order_completed: published once an order is paid.
struct OrderCompleted {
  std::string order_id;
  std::string order_number;  // what is called out at the counter
  std::string kiosk_id;
  std::vector<OrderLine> lines;
  Decimal total;
  OrderPayment payment;
  OrderContext context;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "order_completed");
    v.Required("order_id", s.order_id, json::Range(1, 128));
    v.Optional("order_number", s.order_number, json::Range(0, 32));
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
    v.Required("lines", s.lines, json::Range(1, 200));
    v.Required("total", s.total);
    v.Required("payment", s.payment);
    v.Optional("context", s.context);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_SESSION_H_
