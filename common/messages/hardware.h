// Commands of kiosk.agent.hardware.* and their alias kiosk.hardware.* (kiosk specification, section 7.4;
// status is the design's). Requester: orchestrator. Responder: hardware agent. Timeouts: led 1 s, print 5
// minutes.
#ifndef ARC_COMMON_MESSAGES_HARDWARE_H_
#define ARC_COMMON_MESSAGES_HARDWARE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

enum class LedPattern { kSolid, kPulse, kError };
inline absl::Span<const absl::string_view> EnumNames(LedPattern) {
  static constexpr std::array<absl::string_view, 3> kNames = {"solid", "pulse", "error"};
  return kNames;
}

// kiosk.agent.hardware.led
struct LedRequest {
  static constexpr absl::string_view kCommand = "set_led";
  std::string color;  // "#RRGGBB"
  LedPattern pattern = LedPattern::kSolid;
  int64_t duration_ms = 0;  // 0: until the next set_led

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("color", s.color, json::Range(1, 32));
    v.Optional("pattern", s.pattern);
    v.Optional("duration_ms", s.duration_ms, json::Range(0, 86400000));
  }
};

struct LedResponse {
  template <class S, class V>
  static void Describe(S&, V& v) {
    v.Constant("status", "success");
  }
};

// A line of a receipt; the payment's field `qty` and the cart's `quantity` are both taken.
struct ReceiptLine {
  std::optional<int64_t> item_id;
  std::string name;
  std::optional<int64_t> qty;
  std::optional<int64_t> quantity;
  std::optional<Decimal> price;  // for one
  std::vector<std::string> customizations;
  std::optional<std::string> note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Required("name", s.name, json::Range(1, 200));
    v.Optional("qty", s.qty, json::Range(1, 999));
    v.Optional("quantity", s.quantity, json::Range(1, 999));
    v.Optional("price", s.price, json::Range(0, 1000000));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
  }
};

// kiosk.agent.hardware.print: a receipt is printed once per `order_id`.
struct PrintRequest {
  static constexpr absl::string_view kCommand = "print_receipt";
  std::string order_id;
  std::vector<ReceiptLine> items;
  Decimal total;
  std::optional<std::string> transaction_id;
  std::optional<std::string> order_number;
  std::optional<std::string> currency;
  std::optional<std::string> receipt_url;  // what the QR code holds; none: the transaction id
  bool reprint = false;                    // staff ask for another copy, or settle an uncertain one

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("order_id", s.order_id, json::Range(1, 128));
    v.Required("items", s.items, json::Range(0, 200));
    v.Required("total", s.total, json::Range(0, 1000000));
    v.Optional("transaction_id", s.transaction_id, json::Range(0, 128));
    v.Optional("order_number", s.order_number, json::Range(0, 32));
    v.Optional("currency", s.currency, json::Range(3, 3));
    v.Optional("receipt_url", s.receipt_url, json::Range(0, 400));
    v.Optional("reprint", s.reprint);
  }
};

// The specification gives no example of this reply: `status` alone, as led answers, is understood.
struct PrintResponse {
  std::string order_id;
  bool already_printed = false;  // an earlier request printed it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Optional("order_id", s.order_id);
    v.Optional("already_printed", s.already_printed);
  }
};

// kiosk.agent.hardware.status
struct HardwareStatusRequest {
  static constexpr absl::string_view kCommand = "hardware_status";

  template <class S, class V>
  static void Describe(S&, V& v) {
    v.Constant("command", kCommand);
  }
};

struct PrinterState {
  std::string state;  // ready, out_of_paper or unreachable
  std::optional<std::string> detail;
  int64_t spooled = 0;    // receipts that wait for the printer
  int64_t uncertain = 0;  // receipts that may have been printed when the agent died

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("state", s.state);
    v.Nullable("detail", s.detail);
    v.Required("spooled", s.spooled);
    v.Required("uncertain", s.uncertain);
  }
};

struct LedState {
  std::string color;  // "#000000" when off
  LedPattern pattern = LedPattern::kSolid;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("color", s.color);
    v.Required("pattern", s.pattern);
  }
};

struct HardwareStatusResponse {
  PrinterState printer;
  LedState led;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("printer", s.printer);
    v.Required("led", s.led);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_HARDWARE_H_
