#include "services/payment/payment.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/money/money.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "services/payment/money_format.h"

namespace arc::payment {

using messages::PaymentOutcome;
using messages::PaymentStatus;

namespace {

// A card is awaited in slices, each of which renews the lease.
constexpr absl::Duration kSlice = absl::Milliseconds(1500);
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);
// How often whoever waits for another process looks whether it is still there.
constexpr absl::Duration kLookAfterOwner = absl::Seconds(1);
// For how long an owner that was found alive is taken for alive.
constexpr absl::Duration kAliveFor = absl::Milliseconds(300);
// How much longer than the agent the terminal waits, should the agent die.
constexpr absl::Duration kGrace = absl::Seconds(10);
constexpr size_t kMostAttempts = 100;
constexpr size_t kMostKeysOfAnAttempt = 100;

bool Contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool IsCharged(IntentState state) {
  return state == IntentState::kSucceeded || state == IntentState::kRefunded;
}

bool IsSettled(IntentState state) {
  return state != IntentState::kWaitingForCard && state != IntentState::kAuthorised;
}

absl::Status LedgerError(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return MakeError(ErrorCode::kInvalidRequest, status.message());
  if (absl::IsDataLoss(status)) return status;
  return MakeError(ErrorCode::kUnavailable,
                   absl::StrCat("the payment ledger cannot be reached: ", status.message()));
}

// A header carries it to the terminal, and people read it off logs and receipts.
absl::Status CheckOrderId(const std::string& order_id) {
  if (std::all_of(order_id.begin(), order_id.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidRequest,
                   "payload.order_id: must be visible ASCII characters without spaces");
}

absl::StatusOr<int64_t> MinorUnits(const Decimal& amount, int exponent, absl::string_view field) {
  absl::StatusOr<int64_t> minor = amount.ToMinor(exponent);
  if (minor.ok()) return minor;
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat(field, ": has more decimals than the currency, which has ", exponent));
}

std::string DeclineSentence(const std::string& code) {
  if (code == "insufficient_funds") return "The card was declined: there is not enough money on it.";
  if (code == "unknown_card") return "The card was declined: it cannot be used here.";
  return "The card was declined.";
}

}  // namespace

struct Payment::Order {
  int64_t total_minor = 0;
  int64_t subtotal_minor = 0;
};

// How an attempt ended without a charge.
struct Payment::Ending {
  PaymentStatus status = PaymentStatus::kFailed;
  ErrorCode code = ErrorCode::kInternal;
  std::string error;
};

absl::StatusOr<std::unique_ptr<Payment>> Payment::Create(Options options, Terminal& terminal, Ledger& ledger,
                                                         Receipts& receipts, Clock& clock) {
  const std::optional<int> exponent = CurrencyExponent(options.currency);
  if (!exponent) return absl::InvalidArgumentError(absl::StrCat("there is no currency ", options.currency));
  return std::unique_ptr<Payment>(
      new Payment(std::move(options), *exponent, terminal, ledger, receipts, clock));
}

Payment::Payment(Options options, int exponent, Terminal& terminal, Ledger& ledger, Receipts& receipts,
                 Clock& clock)
    : options_(std::move(options)),
      exponent_(exponent),
      terminal_(terminal),
      ledger_(ledger),
      receipts_(receipts),
      clock_(clock) {}

Payment::~Payment() {
  Drain();
  if (rounds_.joinable()) rounds_.join();
}

void Payment::Start() {
  rounds_ = std::thread([this] { RunRounds(); });
}

void Payment::Drain() {
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
    changed_.notify_all();
  }
  ledger_.Interrupt();
}

absl::Status Payment::TerminalHealth() {
  std::lock_guard lock(mutex_);
  return terminal_health_;
}

bool Payment::Pause(absl::Duration duration, absl::Time until) {
  const absl::Time now = clock_.Now();
  if (now >= until || draining_) return false;
  std::unique_lock lock(mutex_);
  clock_.WaitUntil(lock, changed_, std::min(now + duration, until), [this] { return draining_.load(); });
  return true;
}

absl::StatusOr<Payment::Order> Payment::Validate(const messages::ProcessPaymentRequest& request) const {
  RETURN_IF_ERROR(CheckOrderId(request.order_id));
  Order order;
  ASSIGN_OR_RETURN(order.total_minor, MinorUnits(request.total, exponent_, "payload.total"));
  for (size_t i = 0; i < request.items.size(); ++i) {
    const messages::PaymentLine& line = request.items[i];
    ASSIGN_OR_RETURN(const int64_t price,
                     MinorUnits(line.price, exponent_, absl::StrCat("payload.items[", i, "].price")));
    order.subtotal_minor += price * line.qty;
  }
  if (order.total_minor <= 0) return MakeError(ErrorCode::kInvalidRequest, "payload.total: must be above 0");
  if (order.total_minor < order.subtotal_minor) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("payload.total: is below the sum of its lines, which is ",
                                  Decimal::FromMinor(order.subtotal_minor, exponent_).ToString()));
  }
  return order;
}

Payment::Limits Payment::LimitsOf(const bus::RequestContext& context) const {
  const absl::Time now = clock_.Now();
  const absl::Time deadline = context.deadline.value_or(now + options_.default_timeout);
  // What it takes to cancel at the terminal, write it down, and bring the answer back.
  const absl::Duration margin = std::clamp((deadline - now) / 10, absl::ZeroDuration(), absl::Seconds(1));
  return {deadline - margin, deadline - margin / 2};
}

void Payment::Claim(PaymentRecord& record) const {
  record.owner = options_.instance_id;
  record.lease_until_ms = absl::ToUnixMillis(clock_.Now() + options_.lease);
}

bool Payment::HasOwner(const PaymentRecord& record) {
  const absl::Time now = clock_.Now();
  if (!record.IsOwned(now)) return false;
  if (record.owner == options_.instance_id) return true;
  {
    std::lock_guard lock(mutex_);
    const auto seen = seen_alive_.find(record.owner);
    if (seen != seen_alive_.end() && now - seen->second < kAliveFor) return true;
  }
  const bool gone = options_.is_gone(record.owner);
  std::lock_guard lock(mutex_);
  if (gone) {
    seen_alive_.erase(record.owner);
  } else {
    seen_alive_[record.owner] = now;
  }
  return !gone;
}

PaymentRecord Payment::NewRecord(const messages::ProcessPaymentRequest& request, const Order& order,
                                 const bus::RequestContext& context) const {
  PaymentRecord record;
  record.order_id = request.order_id;
  record.transaction_id = absl::StrCat("txn-", NewUuid());
  record.currency = options_.currency;
  record.subtotal_minor = order.subtotal_minor;
  record.total_minor = order.total_minor;
  record.items = request.items;
  record.loyalty_card = request.loyalty_card;
  record.order_number = request.order_number;
  record.kiosk_id = context.kiosk_id;
  record.attempts.resize(1);
  if (!context.idempotency_key.empty()) record.attempt().keys.push_back(context.idempotency_key);
  return record;
}

absl::Status Payment::Change(VersionedRecord& record, bool as_owner,
                             const std::function<absl::Status(PaymentRecord&)>& change) {
  const int64_t attempt = record.record.attempt().number;
  while (true) {
    PaymentRecord next = record.record;
    RETURN_IF_ERROR(change(next));
    absl::StatusOr<VersionedRecord> updated = ledger_.Update(next, record.revision);
    if (updated.ok()) {
      record = *std::move(updated);
      return absl::OkStatus();
    }
    if (!absl::IsAborted(updated.status())) return updated.status();
    ASSIGN_OR_RETURN(record, ledger_.Get(record.record.order_id));
    if (as_owner && (record.record.owner != options_.instance_id || record.record.phase != Phase::kOpen ||
                     record.record.attempt().number != attempt)) {
      return absl::AbortedError("another process has taken the payment over");
    }
  }
}

absl::StatusOr<PaymentOutcome> Payment::Process(const messages::ProcessPaymentRequest& request,
                                                const bus::RequestContext& context) {
  ASSIGN_OR_RETURN(const Order order, Validate(request));
  const Limits limits = LimitsOf(context);
  Ledger::Watcher watcher(ledger_, request.order_id);
  while (true) {
    ASSIGN_OR_RETURN(std::optional<PaymentOutcome> outcome,
                     ProcessOnce(request, order, context, limits, watcher));
    if (outcome) return *std::move(outcome);
  }
}

absl::StatusOr<std::optional<PaymentOutcome>> Payment::ProcessOnce(
    const messages::ProcessPaymentRequest& request, const Order& order, const bus::RequestContext& context,
    const Limits& limits, Ledger::Watcher& watcher) {
  const std::string& key = context.idempotency_key;
  const auto look_again = std::optional<PaymentOutcome>();
  // Drives what this process has just claimed; whoever has lost the claim waits like everyone else.
  const auto drive = [&](VersionedRecord& claim,
                         bool may_exist) -> absl::StatusOr<std::optional<PaymentOutcome>> {
    absl::StatusOr<PaymentOutcome> outcome = Drive(claim, limits, may_exist);
    if (outcome.ok()) return std::optional<PaymentOutcome>(*std::move(outcome));
    if (absl::IsAborted(outcome.status())) return look_again;
    return outcome.status();
  };

  absl::StatusOr<VersionedRecord> found = ledger_.Get(request.order_id);
  if (!found.ok() && !absl::IsNotFound(found.status())) return LedgerError(found.status());
  const bool may_begin = !draining_ && clock_.Now() < limits.answer_by;
  const auto shut = [&] {
    return draining_ ? MakeError(ErrorCode::kUnavailable, "the payment agent is shutting down")
                     : MakeError(ErrorCode::kTimeout, "there is no time left to ask for a card");
  };
  if (!found.ok()) {
    if (!may_begin) return shut();
    PaymentRecord record = NewRecord(request, order, context);
    Claim(record);
    record.deadline_ms = absl::ToUnixMillis(limits.answer_by);
    absl::StatusOr<VersionedRecord> claim = ledger_.Create(record);
    if (absl::IsAlreadyExists(claim.status())) return look_again;
    if (!claim.ok()) {
      // It may have been written all the same.
      absl::StatusOr<VersionedRecord> written = ledger_.Get(request.order_id);
      if (!written.ok() || written->record.transaction_id != record.transaction_id)
        return LedgerError(claim.status());
      claim = std::move(written);
    }
    return drive(*claim, false);
  }

  PaymentRecord& record = found->record;
  if (record.total_minor != order.total_minor || json::Encode(record.items) != json::Encode(request.items)) {
    return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("payload.order_id: order ", request.order_id,
                                                              " is known with other lines or another total"));
  }
  if (record.phase == Phase::kCharged) {
    StoreReceipt(*found);
    return std::optional<PaymentOutcome>(OutcomeOf(record, record.attempt()));
  }
  for (const Attempt& attempt : record.attempts) {
    if (attempt.status != PaymentStatus::kPending && Contains(attempt.keys, key)) {
      return std::optional<PaymentOutcome>(OutcomeOf(record, attempt));
    }
  }

  if (record.phase == Phase::kNotCharged) {
    if (key.empty()) return std::optional<PaymentOutcome>(OutcomeOf(record, record.attempt()));
    if (!may_begin) return shut();
    if (record.attempts.size() >= kMostAttempts) {
      return MakeError(ErrorCode::kInvalidRequest, "payload.order_id: the order has been tried too often");
    }
    Attempt attempt;
    attempt.number = record.attempt().number + 1;
    attempt.keys.push_back(key);
    record.attempts.push_back(std::move(attempt));
    record.phase = Phase::kOpen;
    record.cancel_requested = false;
    record.loyalty_card = request.loyalty_card;
    Claim(record);
    record.deadline_ms = absl::ToUnixMillis(limits.answer_by);
    absl::StatusOr<VersionedRecord> claim = ledger_.Update(record, found->revision);
    if (absl::IsAborted(claim.status())) return look_again;
    if (!claim.ok()) return LedgerError(claim.status());
    return drive(*claim, false);
  }

  // An attempt is on. The request belongs to it from now on, so that its repeats get the outcome of this one.
  const bool take_over = !HasOwner(record) && may_begin;
  const bool joins = !key.empty() && !Contains(record.attempt().keys, key) &&
                     record.attempt().keys.size() < kMostKeysOfAnAttempt;
  if (joins) record.attempt().keys.push_back(key);
  if (take_over) {
    Claim(record);
    record.deadline_ms = absl::ToUnixMillis(limits.answer_by);
  }
  if (joins || take_over) {
    absl::StatusOr<VersionedRecord> updated = ledger_.Update(record, found->revision);
    if (absl::IsAborted(updated.status())) return look_again;
    if (!updated.ok()) return LedgerError(updated.status());
    *found = *std::move(updated);
  }
  if (take_over) {
    Log(LogLevel::kInfo, "took over a payment whose owner is gone",
        {{"order_id", request.order_id}, {"trace_id", context.trace_id}});
    return drive(*found, true);
  }
  if (!may_begin) {
    return MakeError(ErrorCode::kPaymentUnknown, "the payment of this order has not ended yet");
  }
  watcher.WaitNewerThan(found->revision, NextLook(found->record, limits.answer_by));
  return look_again;
}

absl::Time Payment::NextLook(const PaymentRecord& record, absl::Time until) const {
  return std::min({until, absl::FromUnixMillis(record.lease_until_ms), clock_.Now() + kLookAfterOwner});
}

CreateIntent Payment::IntentOf(const PaymentRecord& record) const {
  CreateIntent create;
  create.key = record.order_id;
  create.attempt = record.attempt().number;
  create.amount_minor = record.total_minor;
  create.currency = record.currency;
  create.kiosk_id = record.kiosk_id;
  create.expires_in =
      std::max(absl::FromUnixMillis(record.deadline_ms) - clock_.Now(), absl::ZeroDuration()) + kGrace;
  return create;
}

absl::Status Payment::KeepClaim(VersionedRecord& claim, const std::string& intent_id) {
  return Change(claim, true, [&](PaymentRecord& record) {
    record.intent_id = intent_id;
    Claim(record);
    return absl::OkStatus();
  });
}

absl::StatusOr<PaymentOutcome> Payment::Drive(VersionedRecord& claim, const Limits& limits, bool may_exist) {
  ++active_;
  const absl::Cleanup done = [this] { --active_; };
  const int64_t attempt = claim.record.attempt().number;
  std::optional<Intent> intent;
  absl::StatusOr<PaymentOutcome> outcome = CreateAndAwait(claim, limits, may_exist, intent);
  if (absl::IsAborted(outcome.status()) && intent &&
      (claim.record.phase == Phase::kNotCharged || claim.record.attempt().number != attempt)) {
    // The attempt was declared over while this process was suspended: nobody must pay in it any more.
    terminal_.Cancel(*intent).IgnoreError();
  }
  return outcome;
}

absl::StatusOr<PaymentOutcome> Payment::CreateAndAwait(VersionedRecord& claim, const Limits& limits,
                                                       bool may_exist, std::optional<Intent>& intent) {
  const CreateIntent create = IntentOf(claim.record);
  while (!intent) {
    absl::StatusOr<Intent> created = terminal_.Create(create);
    if (created.ok()) {
      intent = *std::move(created);
      break;
    }
    const std::string why(created.status().message());
    switch (created.status().code()) {
      case absl::StatusCode::kUnavailable:
        if (!may_exist) {
          return EndAttempt(claim, limits.settle_by, [&](const PaymentRecord&) {
            return Ending{PaymentStatus::kFailed, ErrorCode::kUnavailable,
                          "The card terminal cannot be reached."};
          });
        }
        break;
      case absl::StatusCode::kDeadlineExceeded:
        may_exist = true;
        break;
      case absl::StatusCode::kAlreadyExists:
        return EndAttempt(claim, limits.settle_by, [&](const PaymentRecord&) {
          return Ending{PaymentStatus::kFailed, ErrorCode::kInvalidRequest,
                        "The card terminal knows this order with another amount."};
        });
      case absl::StatusCode::kAborted: {
        // What is left of an attempt that the ledger knows to be over gives way to this one.
        absl::StatusOr<Intent> present = terminal_.Get(create.key);
        if (!present.ok()) break;
        if (present->attempt > create.attempt) return Unknown(claim, why);
        terminal_.Cancel(*present).IgnoreError();
        break;
      }
      default:
        return Unknown(claim, why);
    }
    if (!Pause(kRetryPause, limits.answer_by)) return Unknown(claim, why);
    if (absl::Status kept = KeepClaim(claim, ""); absl::IsAborted(kept)) return kept;
  }
  if (absl::Status kept = KeepClaim(claim, intent->id); absl::IsAborted(kept)) return kept;
  return Await(claim, limits, *intent);
}

absl::StatusOr<PaymentOutcome> Payment::Await(VersionedRecord& claim, const Limits& limits, Intent& intent) {
  while (!IsSettled(intent.state)) {
    const absl::Time now = clock_.Now();
    const bool give_up = now >= limits.answer_by || claim.record.cancel_requested || draining_;
    absl::StatusOr<Intent> latest = intent;
    if (give_up && intent.state == IntentState::kWaitingForCard) {
      latest = terminal_.Cancel(intent);
      // The card was quicker.
      if (absl::IsFailedPrecondition(latest.status())) latest = terminal_.Get(intent.key);
    } else if (give_up && now >= limits.settle_by) {
      return Unknown(claim, "the card is authorised and not yet charged");
    } else {
      latest = terminal_.WaitForChange(intent,
                                       std::min(now + kSlice, give_up ? limits.settle_by : limits.answer_by));
    }
    if (latest.ok() && latest->version != intent.version) {
      intent = *std::move(latest);
      continue;
    }
    // Unreachable, or answering too soon: a pause keeps this from spinning.
    if (!latest.ok() || clock_.Now() < now + kRetryPause) {
      const bool more_time =
          draining_ ? clock_.Now() < limits.settle_by && latest.ok() : Pause(kRetryPause, limits.settle_by);
      if (!more_time) {
        return Unknown(claim, latest.ok() ? "the terminal does not settle it" : latest.status().message());
      }
    }
    if (absl::Status kept = KeepClaim(claim, intent.id); absl::IsAborted(kept)) return kept;
  }
  return Settle(claim, intent, limits.settle_by, false);
}

absl::StatusOr<PaymentOutcome> Payment::Settle(VersionedRecord& claim, const Intent& intent,
                                               absl::Time settle_by, bool reconciling) {
  if (IsCharged(intent.state)) return SettleCharged(claim, intent, settle_by);
  return EndAttempt(claim, settle_by, [&](const PaymentRecord& record) {
    Ending ending;
    if (intent.state == IntentState::kDeclined) {
      ending.code = ErrorCode::kPaymentDeclined;
      ending.error = DeclineSentence(intent.decline_code);
    } else if (record.cancel_requested) {
      ending.status = PaymentStatus::kCancelled;
      ending.code = ErrorCode::kPaymentTimeout;
      ending.error = "The payment was cancelled.";
    } else if (intent.state == IntentState::kExpired ||
               (clock_.Now() >= absl::FromUnixMillis(record.deadline_ms) && !draining_)) {
      ending.code = ErrorCode::kPaymentTimeout;
      ending.error = "No card was tapped in time.";
    } else if (reconciling || draining_) {
      ending.code = ErrorCode::kUnavailable;
      ending.error = "The payment was interrupted before a card was charged.";
    } else {
      ending.status = PaymentStatus::kCancelled;
      ending.code = ErrorCode::kPaymentTimeout;
      ending.error = "The payment was cancelled at the card terminal.";
    }
    return ending;
  });
}

absl::StatusOr<PaymentOutcome> Payment::EndAttempt(
    VersionedRecord& claim, absl::Time settle_by, const std::function<Ending(const PaymentRecord&)>& decide) {
  const auto end = [&](PaymentRecord& record) {
    const Ending ending = decide(record);
    record.phase = Phase::kNotCharged;
    record.attempt().status = ending.status;
    record.attempt().error_code = std::string(ErrorCodeName(ending.code));
    record.attempt().error = ending.error;
    record.owner.clear();
    record.lease_until_ms = 0;
    return absl::OkStatus();
  };
  absl::Status written = Change(claim, true, end);
  while (!written.ok() && !absl::IsAborted(written) && Pause(kRetryPause, settle_by)) {
    written = Change(claim, true, end);
  }
  if (absl::IsAborted(written)) return written;
  // What the ledger could not take in is true all the same; the record is settled once it can be reached.
  if (!written.ok()) (void)end(claim.record);
  options_.on_ended(EnumNames(PaymentStatus())[static_cast<size_t>(claim.record.attempt().status)]);
  Log(LogLevel::kInfo, "payment ended without a charge",
      {{"order_id", claim.record.order_id}, {"error_code", claim.record.attempt().error_code}});
  return OutcomeOf(claim.record, claim.record.attempt());
}

absl::StatusOr<PaymentOutcome> Payment::SettleCharged(VersionedRecord& claim, const Intent& intent,
                                                      absl::Time settle_by) {
  const absl::Time charged_at = intent.charged_at == absl::InfinitePast() ? clock_.Now() : intent.charged_at;
  bool receipt_stored = false;
  const auto charge = [&](PaymentRecord& record) {
    if (record.phase == Phase::kCharged) return absl::OkStatus();
    record.phase = Phase::kCharged;
    for (Attempt& attempt : record.attempts) {
      if (attempt.number == intent.attempt) attempt.status = PaymentStatus::kSuccess;
    }
    record.owner.clear();
    record.lease_until_ms = 0;
    record.intent_id = intent.id;
    record.card_brand = intent.card_brand;
    record.card_last4 = intent.card_last4;
    record.charged_minor = record.total_minor;
    record.charged_at_ms = absl::ToUnixMillis(charged_at);
    const bool has_card = record.loyalty_card && !record.loyalty_card->empty();
    record.loyalty_points = has_card ? LoyaltyPoints(record.charged_minor, exponent_) : 0;
    record.receipt_stored = receipt_stored;
    return absl::OkStatus();
  };
  // The receipt first: whoever reads that the order was charged finds it.
  PaymentRecord charged = claim.record;
  (void)charge(charged);
  const absl::Status stored = receipts_.Store(charged);
  receipt_stored = stored.ok();

  // Not as the owner: who has lost the claim still knows the truth.
  absl::Status written = Change(claim, false, charge);
  while (!written.ok() && Pause(kRetryPause, settle_by)) written = Change(claim, false, charge);
  if (!written.ok()) {
    Log(LogLevel::kError, "a charge could not be written down yet",
        {{"order_id", claim.record.order_id}, {"error", std::string(written.message())}});
    (void)charge(claim.record);
  }
  options_.on_ended("success");
  Log(LogLevel::kInfo, "payment charged",
      {{"order_id", claim.record.order_id}, {"transaction_id", claim.record.transaction_id}});
  return OutcomeOf(claim.record, claim.record.attempt());
}

absl::Status Payment::Unknown(VersionedRecord& claim, absl::string_view why) {
  const absl::Status released = Change(claim, true, [](PaymentRecord& record) {
    record.owner.clear();
    record.lease_until_ms = 0;
    return absl::OkStatus();
  });
  options_.on_ended("unknown");
  Log(LogLevel::kWarning, "it is not known yet whether the customer was charged",
      {{"order_id", claim.record.order_id},
       {"why", std::string(why)},
       {"claim", std::string(released.message())}});
  return MakeError(ErrorCode::kPaymentUnknown, "It is not known yet whether the customer was charged.");
}

PaymentOutcome Payment::OutcomeOf(const PaymentRecord& record, const Attempt& attempt) const {
  PaymentOutcome outcome;
  if (record.phase == Phase::kCharged) {
    outcome.status = PaymentStatus::kSuccess;
    outcome.transaction_id = record.transaction_id;
    outcome.amount_charged = Decimal::FromMinor(record.charged_minor, exponent_);
    outcome.loyalty_points_earned = record.loyalty_points;
    outcome.receipt_url = Receipts::PathOf(record.transaction_id);
    if (const int64_t refunded = record.RefundedMinor(false); refunded > 0) {
      outcome.amount_refunded = Decimal::FromMinor(refunded, exponent_);
    }
    return outcome;
  }
  outcome.status = attempt.status;
  if (attempt.status == PaymentStatus::kPending) return outcome;
  outcome.error = attempt.error;
  outcome.error_code = attempt.error_code;
  outcome.error_message = attempt.error;
  const std::optional<ErrorCode> code = ParseErrorCode(attempt.error_code);
  outcome.retryable = code && IsRetryable(*code);
  return outcome;
}

PaymentOutcome Payment::StandingOf(const PaymentRecord& record) {
  PaymentOutcome outcome = OutcomeOf(record, record.attempt());
  if (record.phase != Phase::kOpen || HasOwner(record)) return outcome;
  outcome.status = PaymentStatus::kUnknown;
  outcome.error = "It is not known yet whether the customer was charged.";
  outcome.error_message = outcome.error;
  outcome.error_code = std::string(ErrorCodeName(ErrorCode::kPaymentUnknown));
  outcome.retryable = false;
  return outcome;
}

absl::StatusOr<PaymentOutcome> Payment::Status(const messages::PaymentStatusRequest& request,
                                               const bus::RequestContext&) {
  absl::StatusOr<VersionedRecord> found = ledger_.Get(request.order_id);
  if (absl::IsNotFound(found.status())) return PaymentOutcome();
  if (!found.ok()) return LedgerError(found.status());
  found = Reconcile(*std::move(found));
  if (!found.ok()) return LedgerError(found.status());
  StoreReceipt(*found);
  return StandingOf(found->record);
}

absl::StatusOr<PaymentOutcome> Payment::Cancel(const messages::CancelPaymentRequest& request,
                                               const bus::RequestContext& context) {
  const Limits limits = LimitsOf(context);
  Ledger::Watcher watcher(ledger_, request.order_id);
  while (true) {
    absl::StatusOr<VersionedRecord> found = ledger_.Get(request.order_id);
    if (absl::IsNotFound(found.status())) return PaymentOutcome();
    if (!found.ok()) return LedgerError(found.status());
    if (found->record.phase == Phase::kOpen && !found->record.cancel_requested) {
      const int64_t attempt = found->record.attempt().number;
      const absl::Status requested = Change(*found, false, [&](PaymentRecord& record) {
        if (record.phase != Phase::kOpen || record.attempt().number != attempt)
          return absl::AbortedError("it ended");
        record.cancel_requested = true;
        return absl::OkStatus();
      });
      if (absl::IsAborted(requested)) continue;
      if (!requested.ok()) return LedgerError(requested);
    }
    if (found->record.phase == Phase::kOpen && HasOwner(found->record)) {
      // Its owner sees the intent end and writes it down; when the terminal is out of this process's reach,
      // the owner reads the request to cancel when it next renews its lease.
      const absl::StatusOr<Intent> intent = terminal_.Get(request.order_id);
      if (intent.ok() && intent->attempt == found->record.attempt().number)
        terminal_.Cancel(*intent).IgnoreError();
      if (draining_ || clock_.Now() >= limits.answer_by) return StandingOf(found->record);
      watcher.WaitNewerThan(found->revision, NextLook(found->record, limits.answer_by));
      continue;
    }
    found = Reconcile(*std::move(found));
    if (!found.ok()) return LedgerError(found.status());
    if (found->record.phase == Phase::kOpen && HasOwner(found->record)) continue;
    return StandingOf(found->record);
  }
}

absl::StatusOr<Intent> Payment::SettledIntent(const PaymentRecord& record, absl::StatusOr<Intent> intent) {
  if (absl::IsNotFound(intent.status()) ||
      (intent.ok() && intent->attempt < record.attempt().number && !IsCharged(intent->state) &&
       intent->state != IntentState::kAuthorised)) {
    // The terminal never heard of this attempt. It is created there and cancelled, so that an owner who was
    // suspended just before it created it finds it over.
    if (intent.ok() && intent->state == IntentState::kWaitingForCard) {
      ASSIGN_OR_RETURN(*intent, terminal_.Cancel(*intent));
    }
    intent = terminal_.Create(IntentOf(record));
  }
  if (intent.ok() && intent->state == IntentState::kWaitingForCard) intent = terminal_.Cancel(*intent);
  if (absl::IsFailedPrecondition(intent.status())) intent = terminal_.Get(record.order_id);
  return intent;
}

absl::StatusOr<VersionedRecord> Payment::Reconcile(VersionedRecord found) {
  const absl::Time now = clock_.Now();
  const PaymentRecord& record = found.record;
  if (record.phase != Phase::kOpen || HasOwner(record)) return found;
  absl::StatusOr<Intent> intent = terminal_.Get(record.order_id);
  if (!intent.ok() && !absl::IsNotFound(intent.status())) return found;
  if (intent.ok()) {
    if (intent->state == IntentState::kAuthorised) return found;
    // A card may still be tapped, as long as the requester waits.
    if (intent->state == IntentState::kWaitingForCard && intent->attempt == record.attempt().number &&
        !record.cancel_requested && now < absl::FromUnixMillis(record.deadline_ms)) {
      return found;
    }
  }
  PaymentRecord next = record;
  Claim(next);
  absl::StatusOr<VersionedRecord> claim = ledger_.Update(next, found.revision);
  if (absl::IsAborted(claim.status())) return ledger_.Get(record.order_id);
  if (!claim.ok()) return claim.status();

  intent = SettledIntent(claim->record, std::move(intent));
  if (!intent.ok() || !IsSettled(intent->state)) {
    Unknown(*claim, intent.ok() ? "the card is authorised and not yet charged" : intent.status().message())
        .IgnoreError();
    return *std::move(claim);
  }
  Log(LogLevel::kInfo, "settled a payment with the terminal", {{"order_id", claim->record.order_id}});
  const absl::StatusOr<PaymentOutcome> outcome = Settle(*claim, *intent, clock_.Now(), true);
  if (absl::IsAborted(outcome.status())) return ledger_.Get(claim->record.order_id);
  if (!outcome.ok()) return outcome.status();
  return *std::move(claim);
}

absl::StatusOr<messages::RefundPaymentResponse> Payment::Refund(const messages::RefundPaymentRequest& request,
                                                                const bus::RequestContext& context) {
  std::optional<int64_t> asked;
  if (request.amount) {
    ASSIGN_OR_RETURN(asked, MinorUnits(*request.amount, exponent_, "payload.amount"));
    if (*asked <= 0) return MakeError(ErrorCode::kInvalidRequest, "payload.amount: must be above 0");
  }
  const std::string id = request.refund_id                  ? *request.refund_id
                         : !context.idempotency_key.empty() ? context.idempotency_key
                         : asked                            ? absl::StrCat("amount-", *asked)
                                                            : "rest";
  if (absl::Status valid = CheckOrderId(id); !valid.ok()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "payload.refund_id: must be visible ASCII characters without spaces");
  }
  absl::StatusOr<VersionedRecord> found = ledger_.Get(request.order_id);
  if (absl::IsNotFound(found.status())) {
    return MakeError(ErrorCode::kInvalidRequest, "payload.order_id: no payment is known for this order");
  }
  if (!found.ok()) return LedgerError(found.status());
  found = Reconcile(*std::move(found));
  if (!found.ok()) return LedgerError(found.status());
  if (found->record.phase == Phase::kOpen) {
    return MakeError(ErrorCode::kPaymentUnknown, "the payment of this order has not ended yet");
  }

  int64_t amount = 0;
  bool done = false;
  const auto reserve = [&](PaymentRecord& record) {
    if (record.phase != Phase::kCharged) {
      return MakeError(ErrorCode::kInvalidRequest, "payload.order_id: this order was not charged");
    }
    const auto known = std::find_if(record.refunds.begin(), record.refunds.end(),
                                    [&](const RefundRecord& refund) { return refund.id == id; });
    if (known != record.refunds.end()) {
      if (asked && *asked != known->amount_minor) {
        return MakeError(
            ErrorCode::kInvalidRequest,
            absl::StrCat("payload.amount: refund ", id, " is of another amount: each needs its refund_id"));
      }
      amount = known->amount_minor;
      done = known->done;
      return absl::OkStatus();
    }
    const int64_t left = record.charged_minor - record.RefundedMinor(true);
    amount = asked.value_or(left);
    if (amount <= 0 || amount > left) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("payload.amount: only ", Decimal::FromMinor(left, exponent_).ToString(),
                                    " of this order can be given back"));
    }
    done = false;
    record.refunds.push_back({id, amount, false});
    return absl::OkStatus();
  };
  if (absl::Status reserved = Change(*found, false, reserve); !reserved.ok()) {
    return GetErrorCode(reserved) ? reserved : LedgerError(reserved);
  }
  if (!done) RETURN_IF_ERROR(CompleteRefund(*found, id));
  messages::RefundPaymentResponse response;
  response.refund_id = id;
  response.transaction_id = found->record.transaction_id;
  response.amount_refunded = Decimal::FromMinor(amount, exponent_);
  response.total_amount_refunded = Decimal::FromMinor(found->record.RefundedMinor(false), exponent_);
  return response;
}

absl::Status Payment::CompleteRefund(VersionedRecord& found, const std::string& refund_id) {
  const auto find = [&](PaymentRecord& record) {
    return std::find_if(record.refunds.begin(), record.refunds.end(),
                        [&](const RefundRecord& refund) { return refund.id == refund_id; });
  };
  const auto refund = find(found.record);
  if (refund == found.record.refunds.end()) return absl::InternalError("the refund is not in the ledger");
  const absl::Status given = terminal_.Refund(found.record.intent_id, refund_id, refund->amount_minor);
  const bool refused = absl::IsFailedPrecondition(given) || absl::IsOutOfRange(given) ||
                       absl::IsAlreadyExists(given) || absl::IsNotFound(given);
  if (!given.ok() && !refused) {
    return MakeError(ErrorCode::kUnavailable,
                     absl::StrCat("the refund is noted and not yet given: ", given.message()));
  }
  const absl::Status written = Change(found, false, [&](PaymentRecord& record) {
    const auto at = find(record);
    if (at == record.refunds.end()) return absl::OkStatus();
    if (refused) {
      record.refunds.erase(at);
    } else {
      at->done = true;
    }
    return absl::OkStatus();
  });
  if (refused)
    return MakeError(ErrorCode::kInternal,
                     absl::StrCat("the terminal refuses the refund: ", given.message()));
  // The terminal has given it; that the ledger does not say so yet is made good by the next round.
  if (!written.ok()) find(found.record)->done = true;
  return absl::OkStatus();
}

void Payment::StoreReceipt(VersionedRecord& found) {
  if (found.record.phase != Phase::kCharged || found.record.receipt_stored) return;
  absl::Status status = receipts_.Store(found.record);
  if (status.ok()) {
    status = Change(found, false, [](PaymentRecord& record) {
      record.receipt_stored = true;
      return absl::OkStatus();
    });
  }
  if (!status.ok()) {
    Log(LogLevel::kWarning, "a receipt is not stored yet",
        {{"order_id", found.record.order_id}, {"error", std::string(status.message())}});
  }
}

void Payment::Round() {
  absl::Status health = terminal_.Ping();
  {
    std::lock_guard lock(mutex_);
    terminal_health_ = std::move(health);
  }
  for (const std::string& order_id : ledger_.NeedingAttention()) {
    if (draining_) return;
    absl::StatusOr<VersionedRecord> found = ledger_.Get(order_id);
    if (found.ok()) found = Reconcile(*std::move(found));
    if (!found.ok()) {
      Log(LogLevel::kWarning, "a payment cannot be settled now",
          {{"order_id", order_id}, {"error", std::string(found.status().message())}});
      continue;
    }
    StoreReceipt(*found);
    std::vector<std::string> refunds;
    for (const RefundRecord& refund : found->record.refunds) {
      if (!refund.done) refunds.push_back(refund.id);
    }
    for (const std::string& refund : refunds) {
      if (absl::Status status = CompleteRefund(*found, refund); !status.ok()) {
        Log(LogLevel::kWarning, "a refund is not given yet",
            {{"order_id", order_id}, {"error", std::string(status.message())}});
      }
    }
  }
}

void Payment::RunRounds() {
  do {
    Round();
  } while (Pause(options_.reconcile_interval, absl::InfiniteFuture()));
}

}  // namespace arc::payment
