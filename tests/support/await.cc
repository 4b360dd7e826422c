#include "tests/support/await.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace arc::testing_support {
namespace {

using Steady = std::chrono::steady_clock;

// Limits are written for an idle machine; a busy one, and a sanitizer's build, take longer for the same.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kPatience = 6;
#else
constexpr int kPatience = 3;
#endif

Steady::time_point After(absl::Duration limit) {
  return Steady::now() + absl::ToChronoNanoseconds(limit);
}

void WaitTimer(absl::Duration duration) {
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  itimerspec spec{};
  spec.it_value = absl::ToTimespec(duration);
  timerfd_settime(timer, 0, &spec, nullptr);
  pollfd wait{timer, POLLIN, 0};
  poll(&wait, 1, -1);
  close(timer);
}

void Fail(absl::string_view what, absl::Duration limit) {
  ADD_FAILURE() << "waited " << absl::FormatDuration(limit) << " in vain for: " << what;
}

}  // namespace

bool Await(absl::string_view what, absl::Duration limit, const std::function<bool()>& done) {
  limit *= kPatience;
  const Steady::time_point deadline = After(limit);
  absl::Duration step = absl::Milliseconds(1);
  for (;;) {
    if (done()) return true;
    if (Steady::now() >= deadline) break;
    WaitTimer(step);
    step = std::min(step * 2, absl::Milliseconds(20));
  }
  Fail(what, limit);
  return false;
}

bool WaitReadable(int descriptor, absl::Duration limit) {
  const Steady::time_point deadline = After(limit);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
    pollfd wait{descriptor, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::clamp<int64_t>(left, 0, int64_t{1000} * 1000)));
    if (ready > 0) return true;
    if (ready == 0 && Steady::now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

void Signal::Set(const std::function<void()>& change) {
  std::lock_guard<std::mutex> lock(mutex_);
  change();
  changed_.notify_all();
}

bool Signal::Await(absl::string_view what, absl::Duration limit, const std::function<bool()>& done) {
  limit *= kPatience;
  std::unique_lock<std::mutex> lock(mutex_);
  if (changed_.wait_until(lock, After(limit), done)) return true;
  Fail(what, limit);
  return false;
}

void Signal::Read(const std::function<void()>& read) {
  std::lock_guard<std::mutex> lock(mutex_);
  read();
}

}  // namespace arc::testing_support
