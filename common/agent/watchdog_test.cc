#include "common/agent/watchdog.h"

#include <utility>
#include <vector>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class WatchdogTest : public ::testing::Test {
 protected:
  absl::Status TickAt(int seconds) { return watchdog_.Tick(absl::UnixEpoch() + absl::Seconds(seconds)); }

  Watchdog watchdog_{absl::Seconds(5)};
  std::vector<Watchdog::Answer> open_;
  bool idle_ = false;
};

TEST_F(WatchdogTest, ALoopThatAnswersLives) {
  int asked = 0;
  watchdog_.Add("timers", [&](const Watchdog::Answer& answer) {
    ++asked;
    answer();
    return true;
  });
  for (int second = 0; second < 20; ++second) EXPECT_THAT(TickAt(second), IsOk());
  EXPECT_EQ(asked, 20);
}

TEST_F(WatchdogTest, ALoopThatIsSilentForTooLongIsDeadUntilItAnswers) {
  watchdog_.Add("callbacks", [&](Watchdog::Answer answer) {
    open_.push_back(std::move(answer));
    return true;
  });
  EXPECT_THAT(TickAt(0), IsOk());
  EXPECT_THAT(TickAt(4), IsOk());
  EXPECT_THAT(open_, SizeIs(1)) << "one question at a time";
  EXPECT_THAT(TickAt(5),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("callbacks did not answer for 5s")));
  EXPECT_THAT(TickAt(6), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("callbacks")));
  open_.back()();
  EXPECT_THAT(TickAt(7), IsOk());
}

TEST_F(WatchdogTest, ALoopThatNeedNotRunIsNotDead) {
  watchdog_.Add("callbacks", [&](Watchdog::Answer answer) {
    if (idle_) return false;
    open_.push_back(std::move(answer));
    return true;
  });
  EXPECT_THAT(TickAt(0), IsOk());
  idle_ = true;
  EXPECT_THAT(TickAt(6), IsOk());
  EXPECT_THAT(TickAt(60), IsOk());
  idle_ = false;
  EXPECT_THAT(TickAt(61), IsOk());
  EXPECT_THAT(TickAt(66), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("callbacks")));
}

}  // namespace
}  // namespace arc
