// Commands of kiosk.agent.payment.* (kiosk specification, section 7.3; status, cancel and refund are the
// design's). Requester: orchestrator. Responder: payment agent. Timeout: 30 s, because a card has to be
// tapped.
#ifndef ARC_COMMON_MESSAGES_PAYMENT_H_
#define ARC_COMMON_MESSAGES_PAYMENT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

struct PaymentLine {
  int64_t item_id = 0;
  std::string name;
  int64_t qty = 1;
  Decimal price;  // for one, customisations included
  std::vector<std::string> customizations;
  std::optional<std::string> note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Required("name", s.name, json::Range(1, 200));
    v.Required("qty", s.qty, json::Range(1, 999));
    v.Required("price", s.price, json::Range(0, 1000000));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
  }
};

// kiosk.agent.payment.process: charge once for `order_id`, whoever asks and however often.
struct ProcessPaymentRequest {
  static constexpr absl::string_view kCommand = "process_payment";
  std::string order_id;
  Decimal total;  // at least the sum of the lines; what is above it is tax
  std::vector<PaymentLine> items;
  std::optional<std::string> loyalty_card;
  std::optional<std::string> order_number;  // what is called out at the counter, for the receipt

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("order_id", s.order_id, json::Range(1, 128));
    v.Required("total", s.total, json::Range(0, 1000000));
    v.Required("items", s.items, json::Range(1, 200));
    v.Optional("loyalty_card", s.loyalty_card, json::Range(0, 64));
    v.Optional("order_number", s.order_number, json::Range(0, 32));
  }
};

enum class PaymentStatus {
  kSuccess,    // charged
  kFailed,     // ended without a charge
  kCancelled,  // ended without a charge, on request
  kPending,    // a card is awaited
  kUnknown,    // being reconciled with the terminal: charged or not, nobody knows yet
  kNone,       // no payment was ever asked for this order
};
inline absl::Span<const absl::string_view> EnumNames(PaymentStatus) {
  static constexpr std::array<absl::string_view, 6> kNames = {"success", "failed",  "cancelled",
                                                              "pending", "unknown", "none"};
  return kNames;
}

// The reply to process, status and cancel. `process` answers success, failed or cancelled only. The amount is
// required of every responder: nobody may guess what was charged.
struct PaymentOutcome {
  PaymentStatus status = PaymentStatus::kNone;
  std::optional<std::string> transaction_id;
  Decimal amount_charged;
  int64_t loyalty_points_earned = 0;
  std::optional<std::string> receipt_url;  // path on the payment agent's HTTP port
  std::optional<std::string> error;        // a sentence, when there was no charge
  std::optional<std::string> error_code;   // table 8.2, when there was no charge or it is unknown
  std::optional<std::string> error_message;
  std::optional<bool> retryable;
  std::optional<Decimal> amount_refunded;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("status", s.status);
    v.Nullable("transaction_id", s.transaction_id);
    v.Required("amount_charged", s.amount_charged);
    v.Optional("loyalty_points_earned", s.loyalty_points_earned);
    v.Nullable("receipt_url", s.receipt_url);
    v.Nullable("error", s.error);
    v.Optional("error_code", s.error_code);
    v.Optional("error_message", s.error_message);
    v.Optional("retryable", s.retryable);
    v.Optional("amount_refunded", s.amount_refunded);
  }
};

// kiosk.agent.payment.status
struct PaymentStatusRequest {
  static constexpr absl::string_view kCommand = "payment_status";
  std::string order_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("order_id", s.order_id, json::Range(1, 128));
  }
};

// kiosk.agent.payment.cancel: stops waiting for a card. A payment that was charged meanwhile answers success.
struct CancelPaymentRequest {
  static constexpr absl::string_view kCommand = "cancel_payment";
  std::string order_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("order_id", s.order_id, json::Range(1, 128));
  }
};

// kiosk.agent.payment.refund: once per `refund_id`; never more in all than was charged.
struct RefundPaymentRequest {
  static constexpr absl::string_view kCommand = "refund_payment";
  std::string order_id;
  std::optional<Decimal> amount;         // none: all that is left
  std::optional<std::string> refund_id;  // none: the one refund of the whole order

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("order_id", s.order_id, json::Range(1, 128));
    v.Optional("amount", s.amount, json::Range(0, 1000000));
    v.Optional("refund_id", s.refund_id, json::Range(1, 128));
  }
};

struct RefundPaymentResponse {
  std::string refund_id;
  std::string transaction_id;
  Decimal amount_refunded;        // by this refund
  Decimal total_amount_refunded;  // of this order so far

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("refund_id", s.refund_id);
    v.Required("transaction_id", s.transaction_id);
    v.Required("amount_refunded", s.amount_refunded);
    v.Required("total_amount_refunded", s.total_amount_refunded);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_PAYMENT_H_
