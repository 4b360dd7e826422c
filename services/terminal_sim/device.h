#ifndef ARC_SERVICES_TERMINAL_SIM_DEVICE_H_
#define ARC_SERVICES_TERMINAL_SIM_DEVICE_H_

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
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
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "services/terminal_sim/journal.h"

// The card terminal's stand-in: what a terminal and the bank behind it would remember and decide.
namespace arc::terminal_sim {

enum class State {
  kWaitingForCard,
  kAuthorised,  // The bank holds the amount; the capture follows by itself.
  kSucceeded,   // Captured: the customer is charged.
  kDeclined,
  kCancelled,
  kExpired,
  kRefunded,  // All of it. An intent refunded in part stays kSucceeded.
};
inline absl::Span<const absl::string_view> EnumNames(State) {
  static constexpr std::array<absl::string_view, 7> kNames = {
      "waiting_for_card", "authorised", "succeeded", "declined", "cancelled", "expired", "refunded"};
  return kNames;
}

// One refund, by the idempotency key it was asked with.
struct RefundEntry {
  std::string key;
  int64_t amount = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("key", s.key);
    v.Required("amount", s.amount);
  }
};

// The intention to charge one order once. Amounts are minor units of `currency`.
struct Intent {
  std::string id;
  std::string key;      // The idempotency key it was created with: the order's id.
  int64_t attempt = 1;  // How often a card has been waited for; an intent is charged in one of them at most.
  int64_t amount = 0;
  std::string currency;
  std::string kiosk_id;
  State state = State::kWaitingForCard;
  int64_t version = 1;  // Grows with every change.
  std::optional<std::string> decline_code;
  std::optional<std::string> card_brand;
  std::optional<std::string> card_last4;
  int64_t amount_captured = 0;
  int64_t amount_refunded = 0;
  std::vector<RefundEntry> refunds;
  int64_t expires_at_ms = 0;  // Unix time, as the next.
  std::optional<int64_t> captured_at_ms;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("key", s.key);
    v.Required("attempt", s.attempt);
    v.Required("amount", s.amount);
    v.Required("currency", s.currency);
    v.Required("kiosk_id", s.kiosk_id);
    v.Required("state", s.state);
    v.Required("version", s.version);
    v.Nullable("decline_code", s.decline_code);
    v.Nullable("card_brand", s.card_brand);
    v.Nullable("card_last4", s.card_last4);
    v.Required("amount_captured", s.amount_captured);
    v.Required("amount_refunded", s.amount_refunded);
    v.Required("refunds", s.refunds);
    v.Required("expires_at_ms", s.expires_at_ms);
    v.Nullable("captured_at_ms", s.captured_at_ms);
  }
};

enum class Event { kCreated, kReopened, kAuthorised, kCaptured, kDeclined, kCancelled, kExpired, kRefunded };
inline absl::Span<const absl::string_view> EnumNames(Event) {
  static constexpr std::array<absl::string_view, 8> kNames = {
      "created", "reopened", "authorised", "captured", "declined", "cancelled", "expired", "refunded"};
  return kNames;
}

// One line of the journal: what happened to an intent. Fields that an event has no use for are not written.
struct Record {
  int64_t at_ms = 0;  // Unix time.
  Event event = Event::kCreated;
  std::string intent_id;
  std::optional<std::string> key;  // created
  std::optional<int64_t> attempt;  // created, reopened
  std::optional<int64_t> amount;   // created, captured, refunded
  std::optional<std::string> currency;
  std::optional<std::string> kiosk_id;
  std::optional<int64_t> expires_at_ms;     // created, reopened
  std::optional<std::string> card_brand;    // authorised
  std::optional<std::string> card_last4;    // authorised
  std::optional<std::string> decline_code;  // declined
  std::optional<std::string> refund_key;    // refunded

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("at_ms", s.at_ms);
    v.Required("event", s.event);
    v.Required("intent_id", s.intent_id);
    v.Optional("key", s.key);
    v.Optional("attempt", s.attempt);
    v.Optional("amount", s.amount);
    v.Optional("currency", s.currency);
    v.Optional("kiosk_id", s.kiosk_id);
    v.Optional("expires_at_ms", s.expires_at_ms);
    v.Optional("card_brand", s.card_brand);
    v.Optional("card_last4", s.card_last4);
    v.Optional("decline_code", s.decline_code);
    v.Optional("refund_key", s.refund_key);
  }
};

struct CreateRequest {
  std::string key;
  int64_t attempt = 1;
  int64_t amount = 0;
  std::string currency;
  std::string kiosk_id;
  absl::Duration expires_in = absl::Minutes(2);
};

struct Tap {
  std::string token;
  std::string kiosk_id;  // Empty: the device's own kiosk.
  std::optional<std::string> order_id;
};

// All state is the sum of the journal's records: a live change is journaled, then applied by the same code
// that replays it, then told to whoever waits. Thread-safe.
//
// Errors of all functions, besides those named: Unavailable when the journal cannot be written (nothing has
// changed then).
class Device {
 public:
  struct Options {
    std::string kiosk_id;  // The kiosk of intents and taps that name none.
    Clock* clock = &SystemClock::Get();
    // Called right after a record is on the disk and before anyone learns of it; tests end the process here.
    std::function<void(Event)> after_journaling = [](Event) {};
  };

  // Replays the journal. An intent that was authorised when the process died is captured now. Errors:
  // DataLoss for a journal that tells an impossible story, with the number of the line.
  static absl::StatusOr<std::unique_ptr<Device>> Start(std::unique_ptr<Journal> journal, Options options);

  // Creates the intent of `key`, or returns the one that is there; `created` says which. A higher attempt
  // than the last one puts an intent that was declined, cancelled or has expired back to waiting; an intent
  // that was charged is returned as it is, whatever the attempt. Errors: AlreadyExists when `key` has another
  // amount or currency; Aborted for an attempt that is over (lower than the last one) or that would overtake
  // one that still waits for a card.
  absl::StatusOr<Intent> Create(const CreateRequest& request, bool* created);

  // Errors: NotFound.
  absl::StatusOr<Intent> Get(const std::string& id);
  absl::StatusOr<Intent> GetByKey(const std::string& key);
  std::vector<Intent> List();

  // Returns once the intent's version is not `version`, or after `timeout`, or when the device stops.
  absl::StatusOr<Intent> WaitForChange(const std::string& id, int64_t version, absl::Duration timeout);

  // Stops waiting for a card. An intent that is over already is returned as it is. Errors: NotFound;
  // FailedPrecondition once it is authorised or charged; Aborted when `attempt` is given and is not the
  // present one.
  absl::StatusOr<Intent> Cancel(const std::string& id, std::optional<int64_t> attempt);

  // Gives `amount` back, once per `key`. Errors: NotFound; FailedPrecondition when nothing was charged;
  // OutOfRange for more than what is left; AlreadyExists when `key` was used for another amount.
  absl::StatusOr<Intent> Refund(const std::string& id, const std::string& key, int64_t amount);

  // A card at the terminal. tok_visa and tok_mastercard pay, tok_declined and tok_insufficient are refused as
  // card_declined and insufficient_funds, any other token as unknown_card. Errors: NotFound when no payment
  // waits there, FailedPrecondition when several do and the tap does not say for which order it is: such a
  // tap does nothing.
  absl::StatusOr<Intent> OnTap(const Tap& tap);

  // Since the start.
  int64_t taps_taken() const { return taps_taken_; }
  int64_t taps_ignored() const { return taps_ignored_; }

  // Lets every WaitForChange() return.
  void Stop();

 private:
  Device(std::unique_ptr<Journal> journal, Options options);

  absl::StatusOr<Intent> Take(const Tap& tap);
  absl::Status Commit(Record record);
  absl::Status Apply(const Record& record);
  // Brings every open intent to where it belongs by now: expires what waited too long, captures what is
  // authorised.
  absl::Status Settle();
  absl::Status Capture(const std::string& id);
  absl::StatusOr<Intent*> Find(const std::string& id);
  int64_t NowMs() const { return absl::ToUnixMillis(options_.clock->Now()); }

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::unique_ptr<Journal> journal_;
  std::map<std::string, Intent> intents_;  // By id; ids sort by age.
  std::map<std::string, std::string> id_by_key_;
  std::set<std::string> open_;  // Ids of the intents that wait for a card or for their capture.
  bool stopped_ = false;
  std::atomic<int64_t> taps_taken_{0};
  std::atomic<int64_t> taps_ignored_{0};
};

}  // namespace arc::terminal_sim

#endif  // ARC_SERVICES_TERMINAL_SIM_DEVICE_H_
