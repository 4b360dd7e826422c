// Time, as something that is handed in: the system's clock in the fleet, a manual one in tests, where a
// conversation of minutes runs in no time and always alike.
//
// Thread-safe. A Clock must outlive every timer that it runs.
#ifndef ARC_COMMON_CLOCK_CLOCK_H_
#define ARC_COMMON_CLOCK_CLOCK_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc {

class Clock {
 public:
  using TimerId = uint64_t;

  virtual ~Clock() = default;

  virtual absl::Time Now() const = 0;

  // Runs `callback` once, `delay` from now, on the clock's own thread. It must not block: hand longer work
  // on.
  virtual TimerId RunAfter(absl::Duration delay, std::function<void()> callback) = 0;

  // Keeps a timer from running. False when it has run, runs now, or never was. Does not wait for a running
  // one.
  virtual bool Cancel(TimerId id) = 0;

  // Waits on `condition` (whose mutex `lock` holds) until `done()` or until Now() reaches `deadline`, and
  // returns done(). Whoever changes what done() reads must notify `condition`.
  virtual bool WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                         absl::Time deadline, const std::function<bool()>& done) = 0;
};

// The machine's clock, with one thread for all timers. Lives until the process ends.
class SystemClock : public Clock {
 public:
  static SystemClock& Get();

  absl::Time Now() const override;
  TimerId RunAfter(absl::Duration delay, std::function<void()> callback) override;
  bool Cancel(TimerId id) override;
  bool WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition, absl::Time deadline,
                 const std::function<bool()>& done) override;

 private:
  SystemClock();
  struct Impl;
  Impl* impl_;
};

// Stands still until Advance(). Timers run inside Advance(), on its caller's thread, in the order of their
// times.
class ManualClock : public Clock {
 public:
  explicit ManualClock(absl::Time start = absl::FromUnixSeconds(1765720800));  // 2025-12-14T14:00:00Z

  absl::Time Now() const override;
  TimerId RunAfter(absl::Duration delay, std::function<void()> callback) override;
  bool Cancel(TimerId id) override;
  bool WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition, absl::Time deadline,
                 const std::function<bool()>& done) override;

  // Moves time on by `duration`, runs what is due, and wakes every WaitUntil().
  void Advance(absl::Duration duration);

  // Blocks until `count` threads stand in WaitUntil(), so that a test knows when to Advance().
  void AwaitWaiters(int count);

 private:
  struct Waiter {
    std::mutex* mutex;
    std::condition_variable* condition;
  };
  void WakeWaiters();

  mutable std::mutex mutex_;
  absl::Time now_;
  TimerId next_id_ = 1;
  std::map<std::pair<absl::Time, TimerId>, std::function<void()>> timers_;
  std::mutex waiters_mutex_;
  std::condition_variable waiters_changed_;
  std::map<uint64_t, Waiter> waiters_;
  uint64_t next_waiter_ = 1;
};

// RFC 3339 in UTC with milliseconds and `Z`: "2025-12-14T13:30:00.000Z" (design, section 3.1).
std::string FormatTimestamp(absl::Time time);

// A time in RFC 3339 with any offset and precision. InvalidArgument otherwise.
absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text);

}  // namespace arc

#endif  // ARC_COMMON_CLOCK_CLOCK_H_
