#include "common/status/status.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace arc {
namespace {

constexpr char kPayloadUrl[] = "arc.kiosk/error_code";

struct Row {
  ErrorCode code;
  absl::string_view name;
  bool retryable;
  bool outcome;
  absl::StatusCode canonical;
};

constexpr std::array<Row, 10> kRows = {{
    {ErrorCode::kTimeout, "TIMEOUT", true, false, absl::StatusCode::kDeadlineExceeded},
    {ErrorCode::kUnavailable, "UNAVAILABLE", true, false, absl::StatusCode::kUnavailable},
    {ErrorCode::kMenuNotFound, "MENU_NOT_FOUND", false, true, absl::StatusCode::kNotFound},
    {ErrorCode::kItemOutOfStock, "ITEM_OUT_OF_STOCK", false, true, absl::StatusCode::kFailedPrecondition},
    {ErrorCode::kPaymentDeclined, "PAYMENT_DECLINED", true, true, absl::StatusCode::kFailedPrecondition},
    {ErrorCode::kPaymentTimeout, "PAYMENT_TIMEOUT", true, true, absl::StatusCode::kFailedPrecondition},
    {ErrorCode::kHardwareError, "HARDWARE_ERROR", false, true, absl::StatusCode::kFailedPrecondition},
    {ErrorCode::kInvalidRequest, "INVALID_REQUEST", false, false, absl::StatusCode::kInvalidArgument},
    {ErrorCode::kPaymentUnknown, "PAYMENT_UNKNOWN", false, true, absl::StatusCode::kUnknown},
    {ErrorCode::kInternal, "INTERNAL", false, false, absl::StatusCode::kInternal},
}};

const Row& RowOf(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kRows.back();
}

}  // namespace

absl::string_view ErrorCodeName(ErrorCode code) {
  return RowOf(code).name;
}

std::optional<ErrorCode> ParseErrorCode(absl::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

bool IsRetryable(ErrorCode code) {
  return RowOf(code).retryable;
}

absl::Status MakeError(ErrorCode code, absl::string_view message) {
  const Row& row = RowOf(code);
  absl::Status status(row.canonical, message);
  status.SetPayload(kPayloadUrl, absl::Cord(row.name));
  return status;
}

std::optional<ErrorCode> GetErrorCode(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  return ParseErrorCode(std::string(*payload));
}

ErrorCode WireErrorCode(const absl::Status& status) {
  if (const std::optional<ErrorCode> code = GetErrorCode(status)) return *code;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return ErrorCode::kInvalidRequest;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorCode::kTimeout;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

bool IsOutcome(const absl::Status& status) {
  const std::optional<ErrorCode> code = GetErrorCode(status);
  return code.has_value() && RowOf(*code).outcome;
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

}  // namespace arc
