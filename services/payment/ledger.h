#ifndef ARC_SERVICES_PAYMENT_LEDGER_H_
#define ARC_SERVICES_PAYMENT_LEDGER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/messages/payment.h"

// The payment of every order, in the bucket KIOSK_PAYMENTS under its order_id: who works on it now, how it
// ended, what was given back (design, section 3.4). A record is created once, atomically, and changed by
// compare-and-set only.
namespace arc::payment {

enum class Phase {
  kOpen,        // An attempt is on, or it is not known how it ended.
  kCharged,     // The customer was charged. Final.
  kNotCharged,  // The last attempt ended without a charge; another may follow.
};
inline absl::Span<const absl::string_view> EnumNames(Phase) {
  static constexpr std::array<absl::string_view, 3> kNames = {"open", "charged", "not_charged"};
  return kNames;
}

// One try to get the order paid.
struct Attempt {
  int64_t number = 1;
  std::vector<std::string>
      keys;  // Kiosk-Idempotency-Key of everyone who asked for it; their repeats replay it.
  messages::PaymentStatus status = messages::PaymentStatus::kPending;
  std::string error_code;  // Of one that ended without a charge, as the next.
  std::string error;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("number", s.number);
    v.Required("keys", s.keys);
    v.Required("status", s.status);
    v.Optional("error_code", s.error_code);
    v.Optional("error", s.error);
  }
};

struct RefundRecord {
  std::string id;
  int64_t amount_minor = 0;
  bool done = false;  // False: reserved here, not yet confirmed by the terminal.

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("amount_minor", s.amount_minor);
    v.Required("done", s.done);
  }
};

struct PaymentRecord {
  std::string order_id;
  std::string transaction_id;
  std::string currency;
  int64_t subtotal_minor = 0;
  int64_t total_minor = 0;
  std::vector<messages::PaymentLine> items;
  std::optional<std::string> loyalty_card;
  std::optional<std::string> order_number;
  std::string kiosk_id;

  Phase phase = Phase::kOpen;
  std::vector<Attempt> attempts;  // At least one; the last is the present one.
  bool cancel_requested = false;  // Of the present attempt, as the next.
  int64_t deadline_ms = 0;        // When its card is no longer awaited; Unix time, as all *_ms.
  // The claim: the process that works on the attempt until `lease_until_ms`, which it keeps pushing back.
  // Past that it is taken for dead. Empty: nobody does.
  std::string owner;
  int64_t lease_until_ms = 0;

  std::string intent_id;  // At the terminal; known once it answered.
  std::string card_brand;
  std::string card_last4;
  int64_t charged_minor = 0;
  int64_t charged_at_ms = 0;
  int64_t loyalty_points = 0;
  bool receipt_stored = false;
  std::vector<RefundRecord> refunds;

  Attempt& attempt() { return attempts.back(); }
  const Attempt& attempt() const { return attempts.back(); }
  bool IsOwned(absl::Time now) const { return !owner.empty() && absl::FromUnixMillis(lease_until_ms) > now; }
  int64_t RefundedMinor(bool with_reserved) const;
  // Whether something is left to be done for it when nobody asks: an open attempt, a refund, a receipt.
  bool NeedsAttention() const;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Required("transaction_id", s.transaction_id);
    v.Required("currency", s.currency);
    v.Required("subtotal_minor", s.subtotal_minor);
    v.Required("total_minor", s.total_minor);
    v.Required("items", s.items);
    v.Optional("loyalty_card", s.loyalty_card);
    v.Optional("order_number", s.order_number);
    v.Required("kiosk_id", s.kiosk_id);
    v.Required("phase", s.phase);
    v.Required("attempts", s.attempts, json::Range(1, 1000));
    v.Required("cancel_requested", s.cancel_requested);
    v.Required("deadline_ms", s.deadline_ms);
    v.Required("owner", s.owner);
    v.Required("lease_until_ms", s.lease_until_ms);
    v.Required("intent_id", s.intent_id);
    v.Required("card_brand", s.card_brand);
    v.Required("card_last4", s.card_last4);
    v.Required("charged_minor", s.charged_minor);
    v.Required("charged_at_ms", s.charged_at_ms);
    v.Required("loyalty_points", s.loyalty_points);
    v.Required("receipt_stored", s.receipt_stored);
    v.Required("refunds", s.refunds);
  }
};

struct VersionedRecord {
  PaymentRecord record;
  uint64_t revision = 0;
};

// Thread-safe. Errors of every call, besides those named: Unavailable and DeadlineExceeded as of
// bus::KeyValue; DataLoss for a record that cannot be read.
class Ledger {
 public:
  explicit Ledger(Clock& clock) : clock_(clock) {}

  // Works on `bucket`, which outlives the ledger, and watches it from now on. May be tried again when it
  // fails; until it has succeeded every call is Unavailable.
  absl::Status Start(bus::KeyValue& bucket);

  absl::StatusOr<VersionedRecord> Get(const std::string& order_id);                        // NotFound
  absl::StatusOr<VersionedRecord> Create(const PaymentRecord& record);                     // AlreadyExists
  absl::StatusOr<VersionedRecord> Update(const PaymentRecord& record, uint64_t revision);  // Aborted

  // Orders whose record, as last seen by the watch, NeedsAttention().
  std::vector<std::string> NeedingAttention();

  // Wakes up for changes of one order; to be made before the record is read, so that no change is missed.
  class Watcher {
   public:
    Watcher(Ledger& ledger, const std::string& order_id);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    // Waits until the record is newer than `revision`, Interrupt(), or `deadline`.
    void WaitNewerThan(uint64_t revision, absl::Time deadline);

   private:
    Ledger& ledger_;
    const std::string key_;
  };

  // Ends all waiting, now and later.
  void Interrupt();

  // The key of an order: its id, with every character that a key cannot have as =XX.
  static std::string KeyOf(const std::string& order_id);

 private:
  struct Watched {
    int watchers = 0;
    uint64_t revision = 0;
  };
  void OnEntry(const bus::KeyValue::Entry& entry);

  absl::StatusOr<bus::KeyValue*> bucket() const;

  std::atomic<bus::KeyValue*> bucket_{nullptr};
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Watched> watched_;
  std::map<std::string, std::string> attention_;  // Order ids by key.
  bool interrupted_ = false;
  // Last, so that no callback comes when the rest is gone.
  std::unique_ptr<bus::Subscription> watch_;
};

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_LEDGER_H_
