#include "common/status/status.h"

#include "common/status/status_macros.h"
#include "common/status/status_matchers.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::HasSubstr;

TEST(StatusTest, EveryCodeSurvivesItsNameAndAStatus) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(ParseErrorCode(ErrorCodeName(code)), code);
    EXPECT_THAT(MakeError(code, "why"), HasErrorCode(code));
    EXPECT_EQ(WireErrorCode(MakeError(code, "why")), code);
  }
  EXPECT_EQ(ParseErrorCode("menu_not_found"), std::nullopt);
}

// Specification, table 8.2, and the design's additions.
TEST(StatusTest, RetryableIsTheSpecificationsTable) {
  EXPECT_TRUE(IsRetryable(ErrorCode::kTimeout));
  EXPECT_TRUE(IsRetryable(ErrorCode::kUnavailable));
  EXPECT_FALSE(IsRetryable(ErrorCode::kMenuNotFound));
  EXPECT_FALSE(IsRetryable(ErrorCode::kItemOutOfStock));
  EXPECT_TRUE(IsRetryable(ErrorCode::kPaymentDeclined));
  EXPECT_TRUE(IsRetryable(ErrorCode::kPaymentTimeout));
  EXPECT_FALSE(IsRetryable(ErrorCode::kHardwareError));
  EXPECT_FALSE(IsRetryable(ErrorCode::kInvalidRequest));
  EXPECT_FALSE(IsRetryable(ErrorCode::kPaymentUnknown));
  EXPECT_FALSE(IsRetryable(ErrorCode::kInternal));
}

TEST(StatusTest, ForeignStatusesMapToWireCodes) {
  EXPECT_EQ(WireErrorCode(absl::InvalidArgumentError("x")), ErrorCode::kInvalidRequest);
  EXPECT_EQ(WireErrorCode(absl::DeadlineExceededError("x")), ErrorCode::kTimeout);
  EXPECT_EQ(WireErrorCode(absl::ResourceExhaustedError("x")), ErrorCode::kUnavailable);
  EXPECT_EQ(WireErrorCode(absl::UnavailableError("x")), ErrorCode::kUnavailable);
  EXPECT_EQ(WireErrorCode(absl::AbortedError("x")), ErrorCode::kInternal);
  EXPECT_EQ(GetErrorCode(absl::AbortedError("x")), std::nullopt);
}

TEST(StatusTest, OnlyOutcomesAreOutcomes) {
  EXPECT_TRUE(IsOutcome(MakeError(ErrorCode::kMenuNotFound, "x")));
  EXPECT_FALSE(IsOutcome(MakeError(ErrorCode::kUnavailable, "x")));
  EXPECT_FALSE(IsOutcome(absl::NotFoundError("x")));
  EXPECT_FALSE(IsOutcome(absl::OkStatus()));
}

TEST(StatusTest, AnnotateKeepsTheWireCode) {
  const absl::Status status = Annotate(MakeError(ErrorCode::kHardwareError, "out of paper"), "printer");
  EXPECT_THAT(status, HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("printer: out of paper")));
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}
absl::StatusOr<int> Quarter(int n) {
  ASSIGN_OR_RETURN(const int half, Half(n));
  return Half(half);
}

TEST(StatusTest, MacrosPassErrorsOn) {
  EXPECT_THAT(Quarter(8), IsOkAndHolds(2));
  EXPECT_THAT(Quarter(6), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
}

}  // namespace
}  // namespace arc
