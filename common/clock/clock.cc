#include "common/clock/clock.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace arc {

// Timers are ordered by the steady clock, so that setting the machine's time neither delays nor hastens them.
struct SystemClock::Impl {
  using Steady = std::chrono::steady_clock;

  std::mutex mutex;
  std::condition_variable changed;
  TimerId next_id = 1;
  std::map<std::pair<Steady::time_point, TimerId>, std::function<void()>> timers;
  std::unordered_map<TimerId, Steady::time_point> due;

  void Run() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      if (timers.empty()) {
        changed.wait(lock);
        continue;
      }
      const auto first = timers.begin();
      if (first->first.first > Steady::now()) {
        changed.wait_until(lock, first->first.first);
        continue;
      }
      std::function<void()> callback = std::move(first->second);
      due.erase(first->first.second);
      timers.erase(first);
      lock.unlock();
      callback();
      callback = nullptr;
      lock.lock();
    }
  }
};

SystemClock& SystemClock::Get() {
  static auto* const clock = new SystemClock();
  return *clock;
}

SystemClock::SystemClock() : impl_(new Impl()) {
  std::thread([impl = impl_] { impl->Run(); }).detach();
}

absl::Time SystemClock::Now() const {
  return absl::Now();
}

Clock::TimerId SystemClock::RunAfter(absl::Duration delay, std::function<void()> callback) {
  const Impl::Steady::time_point at = Impl::Steady::now() + absl::ToChronoNanoseconds(delay);
  std::lock_guard<std::mutex> lock(impl_->mutex);
  const TimerId id = impl_->next_id++;
  const auto timer = impl_->timers.emplace(std::make_pair(at, id), std::move(callback)).first;
  impl_->due.emplace(id, at);
  if (timer == impl_->timers.begin()) impl_->changed.notify_one();
  return id;
}

bool SystemClock::Cancel(TimerId id) {
  std::function<void()> dropped;
  std::lock_guard<std::mutex> lock(impl_->mutex);
  const auto it = impl_->due.find(id);
  if (it == impl_->due.end()) return false;
  const auto timer = impl_->timers.find({it->second, id});
  dropped = std::move(timer->second);
  impl_->timers.erase(timer);
  impl_->due.erase(it);
  return true;
}

bool SystemClock::WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                            absl::Time deadline, const std::function<bool()>& done) {
  if (deadline == absl::InfiniteFuture()) {
    condition.wait(lock, done);
    return true;
  }
  const auto at = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(deadline - Now());
  return condition.wait_until(lock, at, done);
}

ManualClock::ManualClock(absl::Time start) : now_(start) {}

absl::Time ManualClock::Now() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return now_;
}

Clock::TimerId ManualClock::RunAfter(absl::Duration delay, std::function<void()> callback) {
  std::lock_guard<std::mutex> lock(mutex_);
  const TimerId id = next_id_++;
  timers_.emplace(std::make_pair(now_ + delay, id), std::move(callback));
  return id;
}

bool ManualClock::Cancel(TimerId id) {
  std::function<void()> dropped;
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = timers_.begin(); it != timers_.end(); ++it) {
    if (it->first.second != id) continue;
    dropped = std::move(it->second);
    timers_.erase(it);
    return true;
  }
  return false;
}

bool ManualClock::WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                            absl::Time deadline, const std::function<bool()>& done) {
  // WakeWaiters() holds waiters_mutex_ while it takes a waiter's mutex, so this thread must hold only one of
  // the two.
  lock.unlock();
  uint64_t id = 0;
  {
    std::lock_guard<std::mutex> own(waiters_mutex_);
    id = next_waiter_++;
    waiters_.emplace(id, Waiter{lock.mutex(), &condition});
    waiters_changed_.notify_all();
  }
  lock.lock();
  bool result = done();
  while (!result && Now() < deadline) {
    condition.wait(lock);
    result = done();
  }
  lock.unlock();
  {
    std::lock_guard<std::mutex> own(waiters_mutex_);
    waiters_.erase(id);
  }
  lock.lock();
  return result || done();
}

void ManualClock::Advance(absl::Duration duration) {
  std::unique_lock<std::mutex> lock(mutex_);
  const absl::Time end = now_ + duration;
  while (!timers_.empty() && timers_.begin()->first.first <= end) {
    const auto first = timers_.begin();
    now_ = std::max(now_, first->first.first);
    std::function<void()> callback = std::move(first->second);
    timers_.erase(first);
    lock.unlock();
    WakeWaiters();
    callback();
    callback = nullptr;
    lock.lock();
  }
  now_ = end;
  lock.unlock();
  WakeWaiters();
}

void ManualClock::WakeWaiters() {
  std::lock_guard<std::mutex> own(waiters_mutex_);
  for (const auto& [id, waiter] : waiters_) {
    // Taking the mutex makes sure that the waiter is either before its look at the time, or in its wait.
    waiter.mutex->lock();
    waiter.mutex->unlock();
    waiter.condition->notify_all();
  }
}

void ManualClock::AwaitWaiters(int count) {
  std::unique_lock<std::mutex> lock(waiters_mutex_);
  waiters_changed_.wait(lock, [&] { return static_cast<int>(waiters_.size()) >= count; });
}

std::string FormatTimestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("not an RFC 3339 time: ", error));
  }
  return time;
}

}  // namespace arc
