#ifndef ARC_SERVICES_PAYMENT_TERMINAL_H_
#define ARC_SERVICES_PAYMENT_TERMINAL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

// A card terminal as the payment agent needs it: it charges an intent, which an idempotency key names, at
// most once.
namespace arc::payment {

enum class IntentState {
  kWaitingForCard,
  kAuthorised,  // Will be charged by itself.
  kSucceeded,   // Charged.
  kDeclined,
  kCancelled,
  kExpired,
  kRefunded,  // Charged, and all of it given back.
};

struct Intent {
  std::string id;
  std::string key;
  int64_t attempt = 1;
  int64_t amount_minor = 0;
  std::string currency;
  IntentState state = IntentState::kWaitingForCard;
  int64_t version = 0;  // Grows with every change.
  std::string decline_code;
  std::string card_brand;
  std::string card_last4;
  absl::Time charged_at = absl::InfinitePast();  // Of an intent that is charged.
};

struct CreateIntent {
  std::string key;
  int64_t attempt = 1;
  int64_t amount_minor = 0;
  std::string currency;
  std::string kiosk_id;
  absl::Duration expires_in;  // The terminal gives up by itself then, whoever has died meanwhile.
};

// Thread-safe; every call blocks. Errors of all calls:
//   Unavailable       the terminal could not be reached: the call had no effect
//   DeadlineExceeded  no answer came: the call may have had its effect, and may be repeated
//   Internal          an answer that makes no sense
class Terminal {
 public:
  virtual ~Terminal() = default;

  // Creates the intent of `key`, or returns the one that is there. An attempt higher than the last one puts
  // an intent that was declined, cancelled or has expired back to waiting; one that was charged is returned
  // as it is. Errors: AlreadyExists for a key with another amount or currency; Aborted for an attempt that is
  // over, or that would overtake one which still waits.
  virtual absl::StatusOr<Intent> Create(const CreateIntent& request) = 0;

  // Errors: NotFound.
  virtual absl::StatusOr<Intent> Get(const std::string& key) = 0;

  // The intent once it is no longer as it was `seen`, or as it is at `deadline`. May return early.
  virtual absl::StatusOr<Intent> WaitForChange(const Intent& seen, absl::Time deadline) = 0;

  // Stops waiting for a card in the attempt of `intent`; an intent that ended without a charge is returned as
  // it is. Errors: FailedPrecondition once it is authorised or charged, Aborted when another attempt is on.
  virtual absl::StatusOr<Intent> Cancel(const Intent& intent) = 0;

  // Gives money back, once per `refund_key` of the intent. Errors: FailedPrecondition, OutOfRange,
  // AlreadyExists when the terminal refuses for good.
  virtual absl::Status Refund(const std::string& intent_id, const std::string& refund_key,
                              int64_t amount_minor) = 0;

  // Whether it can be reached now.
  virtual absl::Status Ping() = 0;
};

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_TERMINAL_H_
