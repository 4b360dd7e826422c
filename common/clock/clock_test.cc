#include "common/clock/clock.h"

#include <thread>
#include <vector>

#include "common/status/status_matchers.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

TEST(ManualClockTest, TimersRunInOrderOfTheirTimes) {
  ManualClock clock;
  std::vector<int> ran;
  clock.RunAfter(absl::Seconds(3), [&] { ran.push_back(3); });
  clock.RunAfter(absl::Seconds(1), [&] {
    ran.push_back(1);
    clock.RunAfter(absl::Seconds(1), [&] { ran.push_back(2); });
  });
  const Clock::TimerId never = clock.RunAfter(absl::Seconds(2), [&] { ran.push_back(99); });
  EXPECT_TRUE(clock.Cancel(never));
  EXPECT_FALSE(clock.Cancel(never));
  clock.Advance(absl::Seconds(2));
  EXPECT_THAT(ran, testing::ElementsAre(1, 2));
  clock.Advance(absl::Seconds(1));
  EXPECT_THAT(ran, testing::ElementsAre(1, 2, 3));
}

TEST(ManualClockTest, AdvanceEndsAWait) {
  ManualClock clock;
  std::mutex mutex;
  std::condition_variable condition;
  bool result = true;
  std::thread waiter([&] {
    std::unique_lock<std::mutex> lock(mutex);
    result = clock.WaitUntil(lock, condition, clock.Now() + absl::Seconds(30), [] { return false; });
  });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(29));
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(1));
  waiter.join();
  EXPECT_FALSE(result);
}

TEST(SystemClockTest, RunsAndCancelsTimers) {
  SystemClock& clock = SystemClock::Get();
  std::mutex mutex;
  std::condition_variable condition;
  bool ran = false;
  const Clock::TimerId never = clock.RunAfter(absl::Hours(1), [] { FAIL(); });
  clock.RunAfter(absl::Milliseconds(1), [&] {
    std::lock_guard<std::mutex> lock(mutex);
    ran = true;
    condition.notify_all();
  });
  std::unique_lock<std::mutex> lock(mutex);
  EXPECT_TRUE(clock.WaitUntil(lock, condition, clock.Now() + absl::Seconds(10), [&] { return ran; }));
  EXPECT_TRUE(clock.Cancel(never));
  EXPECT_FALSE(clock.WaitUntil(lock, condition, clock.Now() - absl::Seconds(1), [] { return false; }));
}

TEST(TimestampTest, FormatAndParse) {
  const absl::StatusOr<absl::Time> time = ParseTimestamp("2025-12-14T14:30:00.0009+01:00");
  ASSERT_THAT(time, IsOk());
  EXPECT_EQ(FormatTimestamp(*time), "2025-12-14T13:30:00.000Z");
  EXPECT_EQ(ParseTimestamp(FormatTimestamp(absl::UnixEpoch())).value(), absl::UnixEpoch());
  EXPECT_THAT(ParseTimestamp("yesterday"), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace arc
