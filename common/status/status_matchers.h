// GoogleTest matchers for absl::Status and absl::StatusOr under their upstream names: IsOk(),
// IsOkAndHolds(m), StatusIs(code[, message matcher]); and HasErrorCode(code) for statuses made by
// arc::MakeError().
#ifndef ARC_COMMON_STATUS_STATUS_MATCHERS_H_
#define ARC_COMMON_STATUS_STATUS_MATCHERS_H_

#include <optional>
#include <ostream>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status/status.h"
#include "gmock/gmock.h"

namespace arc {
namespace status_internal {

inline const absl::Status& GetStatus(const absl::Status& status) {
  return status;
}
template <class T>
const absl::Status& GetStatus(const absl::StatusOr<T>& statusor) {
  return statusor.status();
}

}  // namespace status_internal

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  const absl::Status& status = status_internal::GetStatus(arg);
  if (!status.ok()) *result_listener << "which is " << status;
  return status.ok();
}

MATCHER_P(IsOkAndHolds, matcher, "is OK and holds a matching value") {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status();
    return false;
  }
  using Value = std::decay_t<decltype(*arg)>;
  return testing::ExplainMatchResult(testing::SafeMatcherCast<const Value&>(matcher), *arg, result_listener);
}

MATCHER_P2(StatusIs, code, message, "has the status code and a matching message") {
  const absl::Status& status = status_internal::GetStatus(arg);
  *result_listener << "which is " << status;
  return status.code() == static_cast<absl::StatusCode>(code) &&
         testing::ExplainMatchResult(testing::SafeMatcherCast<std::string>(message),
                                     std::string(status.message()), result_listener);
}

template <class Code>
auto StatusIs(Code code) {
  return StatusIs(code, testing::_);
}

MATCHER_P(HasErrorCode, code, "has the wire error code") {
  const absl::Status& status = status_internal::GetStatus(arg);
  *result_listener << "which is " << status;
  return GetErrorCode(status) == std::optional<ErrorCode>(code);
}

}  // namespace arc

#endif  // ARC_COMMON_STATUS_STATUS_MATCHERS_H_
