#ifndef ARC_SERVICES_PAYMENT_PAYMENT_H_
#define ARC_SERVICES_PAYMENT_PAYMENT_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/command_server.h"
#include "common/clock/clock.h"
#include "common/messages/payment.h"
#include "services/payment/ledger.h"
#include "services/payment/receipts.h"
#include "services/payment/terminal.h"

// Charges an order once (kiosk specification, section 7.3; design, section 3.4).
//
// An order has one record in the ledger and one intent at the terminal, both under its order_id, whoever
// asks, how often, and of which copy of the agent. The copy that creates the record, or finds its owner dead,
// owns the claim: it alone drives the terminal, and keeps pushing its lease back. Everyone else who asks
// waits for its outcome.
//
// Attempts. An attempt that ends without a charge (declined, no card, cancelled, terminal away) is retryable:
//   - the same order with a Kiosk-Idempotency-Key that no earlier request of this order had starts the next
//   attempt;
//   - a key that was used before, and no key at all, replays the outcome of the attempt that it asked for; a
//   key that
//     came while an attempt was on belongs to that attempt, though another key started it;
//   - an order that was charged answers so to every key.
// Attempts are numbered, and the terminal takes no call for one that is over: a copy that was suspended and
// wakes up late can neither start nor stop anything in a later attempt.
//
// An attempt whose owner died (nobody answers for it on the bus, or its lease is over), or lost sight of the
// terminal after the intent may have been created, is UNKNOWN: `process` answers PAYMENT_UNKNOWN, which is
// not retryable. It is settled with what the terminal says of the intent by whoever comes first: the next
// request for the order, or the round that every copy makes each `reconcile_interval`. A request to pay that
// finds such an attempt with a card still awaited takes it over with its own deadline.
namespace arc::payment {

// Counter: outcome.
inline constexpr char kPaymentsMetric[] = "kiosk_payments_total";
// How a payment ends.
inline constexpr const char* kOutcomes[] = {"success", "failed", "cancelled", "unknown"};

class Payment {
 public:
  struct Options {
    std::string instance_id;                             // Unique to this process.
    std::string currency = "USD";                        // ISO 4217, known to common/money.
    absl::Duration default_timeout = absl::Seconds(30);  // Of a request without a deadline.
    absl::Duration lease = absl::Seconds(6);             // A silent owner is taken for dead after this.
    absl::Duration reconcile_interval = absl::Seconds(1);
    // Whether it is certain that a process is gone, so that its lease need not be waited for. May block.
    std::function<bool(const std::string& instance_id)> is_gone = [](const std::string&) { return false; };
    // Tells an observer of metrics how a payment ended: one of kOutcomes.
    std::function<void(absl::string_view)> on_ended = [](absl::string_view) {};
  };

  // Everything outlives the Payment. InvalidArgument for a currency that does not exist.
  static absl::StatusOr<std::unique_ptr<Payment>> Create(Options options, Terminal& terminal, Ledger& ledger,
                                                         Receipts& receipts, Clock& clock);
  ~Payment();
  Payment(const Payment&) = delete;
  Payment& operator=(const Payment&) = delete;

  // Starts the rounds of reconciliation, on a thread of its own, with one at once.
  void Start();

  // No new attempt begins from now on, and those that wait for a card end: cancelled at the terminal,
  // UNAVAILABLE (retryable) for the requester; or paid, if the card was quicker. Ends the rounds. Does not
  // wait for requests.
  void Drain();

  // Blocks until the payment has ended or shortly before the request's deadline, when it is cancelled at the
  // terminal (PAYMENT_TIMEOUT). Errors: INVALID_REQUEST; UNAVAILABLE when the ledger cannot be reached;
  // PAYMENT_UNKNOWN.
  absl::StatusOr<messages::PaymentOutcome> Process(const messages::ProcessPaymentRequest& request,
                                                   const bus::RequestContext& context);

  // How the order's payment stands, after a look at the terminal where its owner is dead.
  absl::StatusOr<messages::PaymentOutcome> Status(const messages::PaymentStatusRequest& request,
                                                  const bus::RequestContext& context);

  // Stops the attempt that is on, and answers with how it ended: success if the card was quicker.
  absl::StatusOr<messages::PaymentOutcome> Cancel(const messages::CancelPaymentRequest& request,
                                                  const bus::RequestContext& context);

  // Gives back `amount`, or all that is left, once per refund_id (the Kiosk-Idempotency-Key where the request
  // has none; where it has neither, once an amount, and once for the rest). Errors: INVALID_REQUEST for an
  // order that was not charged, for more than is left, for a refund_id that was used for another amount;
  // UNAVAILABLE when the terminal cannot be reached: the same request again completes the refund, and so does
  // the next round.
  absl::StatusOr<messages::RefundPaymentResponse> Refund(const messages::RefundPaymentRequest& request,
                                                         const bus::RequestContext& context);

  // OK while the terminal answered in the last round.
  absl::Status TerminalHealth();

  // Attempts that this process drives now.
  int active() const { return active_; }

 private:
  struct Order;
  struct Ending;
  // When a card is no longer awaited, and when the requester has to have its answer.
  struct Limits {
    absl::Time answer_by;
    absl::Time settle_by;
  };

  Payment(Options options, int exponent, Terminal& terminal, Ledger& ledger, Receipts& receipts,
          Clock& clock);

  absl::StatusOr<Order> Validate(const messages::ProcessPaymentRequest& request) const;
  Limits LimitsOf(const bus::RequestContext& context) const;
  PaymentRecord NewRecord(const messages::ProcessPaymentRequest& request, const Order& order,
                          const bus::RequestContext& context) const;
  void Claim(PaymentRecord& record) const;
  // Whether some process works on the attempt, as far as can be known.
  bool HasOwner(const PaymentRecord& record);
  // Until when to wait for the owner's next word, at most `until`.
  absl::Time NextLook(const PaymentRecord& record, absl::Time until) const;

  // One pass of Process(): nothing when it has to look again.
  absl::StatusOr<std::optional<messages::PaymentOutcome>> ProcessOnce(
      const messages::ProcessPaymentRequest& request, const Order& order, const bus::RequestContext& context,
      const Limits& limits, Ledger::Watcher& watcher);

  // Drives the attempt that `claim` owns to its end. `may_exist`: an earlier owner may have created the
  // intent. Aborted when another process has taken the claim.
  absl::StatusOr<messages::PaymentOutcome> Drive(VersionedRecord& claim, const Limits& limits,
                                                 bool may_exist);
  absl::StatusOr<messages::PaymentOutcome> CreateAndAwait(VersionedRecord& claim, const Limits& limits,
                                                          bool may_exist, std::optional<Intent>& intent);
  absl::StatusOr<messages::PaymentOutcome> Await(VersionedRecord& claim, const Limits& limits,
                                                 Intent& intent);
  CreateIntent IntentOf(const PaymentRecord& record) const;
  absl::Status KeepClaim(VersionedRecord& claim, const std::string& intent_id);

  // Writes down how an attempt ended whose intent is settled at the terminal.
  absl::StatusOr<messages::PaymentOutcome> Settle(VersionedRecord& claim, const Intent& intent,
                                                  absl::Time settle_by, bool reconciling);
  absl::StatusOr<messages::PaymentOutcome> SettleCharged(VersionedRecord& claim, const Intent& intent,
                                                         absl::Time settle_by);
  absl::StatusOr<messages::PaymentOutcome> EndAttempt(
      VersionedRecord& claim, absl::Time settle_by,
      const std::function<Ending(const PaymentRecord&)>& decide);
  absl::Status Unknown(VersionedRecord& claim, absl::string_view why);

  // Changes the record by compare-and-set, on its latest version. `change` may refuse with a status, which is
  // returned. `as_owner`: Aborted once another process has the claim or the attempt is over.
  absl::Status Change(VersionedRecord& record, bool as_owner,
                      const std::function<absl::Status(PaymentRecord&)>& change);

  // Settles an open attempt that nobody owns, as far as the terminal allows, and returns the latest record.
  absl::StatusOr<VersionedRecord> Reconcile(VersionedRecord record);
  absl::StatusOr<Intent> SettledIntent(const PaymentRecord& record, absl::StatusOr<Intent> intent);
  absl::Status CompleteRefund(VersionedRecord& record, const std::string& refund_id);
  void StoreReceipt(VersionedRecord& record);
  void Round();
  void RunRounds();

  messages::PaymentOutcome OutcomeOf(const PaymentRecord& record, const Attempt& attempt) const;
  messages::PaymentOutcome StandingOf(const PaymentRecord& record);
  // Waits for `duration`; false at once when `until` is reached or the process drains.
  bool Pause(absl::Duration duration, absl::Time until);

  const Options options_;
  const int exponent_;
  Terminal& terminal_;
  Ledger& ledger_;
  Receipts& receipts_;
  Clock& clock_;

  std::atomic<bool> draining_{false};
  std::atomic<int> active_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  // Owners that were found alive, and when; looked after again once that is old.
  std::map<std::string, absl::Time> seen_alive_;
  absl::Status terminal_health_ = absl::UnavailableError("the card terminal has not answered yet");
  std::thread rounds_;
};

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_PAYMENT_H_
