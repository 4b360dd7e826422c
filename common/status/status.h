// Errors as the fleet speaks of them: an absl::Status inside a process, an error code of the kiosk
// specification (section 8.2, with the additions of the design) on the wire.
//
//   if (item == nullptr) return MakeError(ErrorCode::kMenuNotFound, "no item has id 999");
//
// A status made by MakeError() carries its wire code as a payload, so it survives being passed on.
// Everything here is thread-safe.
#ifndef ARC_COMMON_STATUS_STATUS_H_
#define ARC_COMMON_STATUS_STATUS_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc {

// Kiosk specification, section 8.2; the last three are the fleet's own and never retryable.
enum class ErrorCode {
  kTimeout,          // TIMEOUT: the agent did not respond. Retryable.
  kUnavailable,      // UNAVAILABLE: the agent is not running. Retryable.
  kMenuNotFound,     // MENU_NOT_FOUND: nothing on the menu matches.
  kItemOutOfStock,   // ITEM_OUT_OF_STOCK: on the menu, but not to be had now.
  kPaymentDeclined,  // PAYMENT_DECLINED: the card was refused. Retryable with another attempt.
  kPaymentTimeout,   // PAYMENT_TIMEOUT: no card was tapped in time. Retryable.
  kHardwareError,    // HARDWARE_ERROR: a peripheral failed.
  kInvalidRequest,   // INVALID_REQUEST: the request can never succeed; its message names the field.
  kPaymentUnknown,   // PAYMENT_UNKNOWN: it is not known yet whether the customer was charged.
  kInternal,         // INTERNAL: a defect of the agent.
};

// The code's name on the wire, such as "MENU_NOT_FOUND".
absl::string_view ErrorCodeName(ErrorCode code);

// The code with that wire name, or nothing.
std::optional<ErrorCode> ParseErrorCode(absl::string_view name);

// Whether the same request may succeed when it is sent again (specification, table 8.2).
bool IsRetryable(ErrorCode code);

// A status that carries `code`. Its canonical code follows from `code` (kInvalidRequest is InvalidArgument,
// kUnavailable is Unavailable, ...). `message` is for the requester and must not contain secrets.
absl::Status MakeError(ErrorCode code, absl::string_view message);

// The wire code that `status` was made with; nothing when it is OK or was not made by MakeError().
std::optional<ErrorCode> GetErrorCode(const absl::Status& status);

// The wire code that a requester is told for `status`, which is not OK: its own code, or the one that fits
// its canonical code (InvalidArgument: INVALID_REQUEST, DeadlineExceeded: TIMEOUT, Unavailable and
// ResourceExhausted: UNAVAILABLE, all others: INTERNAL).
ErrorCode WireErrorCode(const absl::Status& status);

// Whether `status` is an outcome that the requester has to hear (MENU_NOT_FOUND, PAYMENT_DECLINED, ...), in
// contrast to a failure to handle the request at all.
bool IsOutcome(const absl::Status& status);

// `status` with "`prefix`: " before its message; code and payloads are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

}  // namespace arc

#endif  // ARC_COMMON_STATUS_STATUS_H_
