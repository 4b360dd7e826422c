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

// AddressSanitizer sees what goes wrong here.
TEST(SystemClockTest, TheTimerThatIsWaitedForMayBeCancelled) {
  SystemClock& clock = SystemClock::Get();
  std::mutex mutex;
  std::condition_variable condition;
  for (int round = 0; round < 50; ++round) {
    int ran = 0;
    const auto count = [&] {
      std::lock_guard<std::mutex> lock(mutex);
      ++ran;
      condition.notify_all();
    };
    const Clock::TimerId next = clock.RunAfter(absl::Milliseconds(3), [] {});
    clock.RunAfter(absl::Milliseconds(6), count);
    clock.RunAfter(absl::Milliseconds(1), count);
    std::unique_lock<std::mutex> lock(mutex);
    ASSERT_TRUE(clock.WaitUntil(lock, condition, clock.Now() + absl::Seconds(10), [&] { return ran >= 1; }));
    clock.Cancel(next);
    ASSERT_TRUE(clock.WaitUntil(lock, condition, clock.Now() + absl::Seconds(10), [&] { return ran == 2; }));
  }
}

TEST(TimestampTest, AgreesWithAbslOnEveryDate) {
  const auto of_absl = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  };
  // Odd steps, so that every month, leap day and time of day comes up, before 1970 too.
  for (absl::Time time = absl::FromUnixMillis(-5000000000123); time < absl::FromUnixSeconds(8000000000);
       time += absl::Hours(1031) + absl::Microseconds(61234567)) {
    const std::string text = FormatTimestamp(time);
    ASSERT_EQ(text, of_absl(time));
    ASSERT_EQ(FormatTimestamp(ParseTimestamp(text).value()), text);
  }
  for (const absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast(),
                                absl::FromCivil(absl::CivilDay(12345, 6, 7), absl::UTCTimeZone())}) {
    EXPECT_EQ(FormatTimestamp(time), of_absl(time));
  }
  for (const char* none :
       {"2025-02-29T13:30:00.000Z", "2025-13-01T13:30:00.000Z", "2025-12-14T24:30:00.000Z",
        "2025-12-14T13:60:00.000Z", "2025-12-14T13:30:00.00xZ", "2025-00-14T13:30:00.000Z"}) {
    EXPECT_THAT(ParseTimestamp(none), StatusIs(absl::StatusCode::kInvalidArgument)) << none;
  }
  EXPECT_THAT(ParseTimestamp("2024-02-29T13:30:00.000Z"), IsOk());
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
