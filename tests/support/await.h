// Waiting in tests: on conditions, with a deadline, and a sentence that says what was waited for.
//
//   ASSERT_TRUE(Await("the menu agent is SERVING", absl::Seconds(10), [&] { return Probe(address).ok(); }));
//
// Where the condition's change can be seen, wait on it itself (WaitReadable, Process::WaitExit, a condition
// variable through Signal); Await() is for conditions of other processes, which announce nothing.
#ifndef ARC_TESTS_SUPPORT_AWAIT_H_
#define ARC_TESTS_SUPPORT_AWAIT_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::testing_support {

// Asks done() until it holds or `limit` is over (three times that, and six times in a sanitizer's build);
// between two questions it waits on a timer of the kernel, 1 ms at first and 20 ms later. When the time is
// over, fails the test with `what`, and returns false.
bool Await(absl::string_view what, absl::Duration limit, const std::function<bool()>& done);

// Waits until the descriptor can be read (a pidfd: until the process ended) or `limit` is over.
bool WaitReadable(int descriptor, absl::Duration limit);

// A mutex and condition for callbacks to tell a test what they saw.
//
//   Signal signal;
//   int count = 0;
//   auto subscription = bus.Subscribe("a", "", [&](Message) { signal.Set([&] { ++count; }); });
//   ASSERT_TRUE(signal.Await("two messages", absl::Seconds(5), [&] { return count == 2; }));
class Signal {
 public:
  // Runs `change` under the mutex and wakes whoever waits.
  void Set(const std::function<void()>& change);
  // Waits until done(), asked under the mutex, holds; fails the test with `what` when `limit` is over.
  bool Await(absl::string_view what, absl::Duration limit, const std::function<bool()>& done);
  // Runs `read` under the mutex.
  void Read(const std::function<void()>& read);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace arc::testing_support

#endif  // ARC_TESTS_SUPPORT_AWAIT_H_
