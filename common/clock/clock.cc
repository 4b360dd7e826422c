#include "common/clock/clock.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
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
      // A copy: the wait looks at it again at its end, when the timer may have been cancelled.
      const Steady::time_point at = first->first.first;
      if (at > Steady::now()) {
        changed.wait_until(lock, at);
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

namespace {

// "2025-12-14T13:30:00.000Z": what every message of the fleet carries twice. absl::FormatTime and
// absl::ParseTime take twenty times as long, and read and write whatever is not of this form.
constexpr absl::string_view kForm = "0000-00-00T00:00:00.000Z";
constexpr int64_t kMillisOfDay = int64_t{24} * 60 * 60 * 1000;
// The years that have four digits: 0001 to 9999.
constexpr int64_t kFirstMillis = -62135596800000;
constexpr int64_t kLastMillis = 253402300799999;

void WriteDigits(char* end, int count, int64_t value) {
  for (int i = 0; i < count; ++i, value /= 10) *--end = static_cast<char>('0' + value % 10);
}

// -1: not digits.
int ReadDigits(absl::string_view text, size_t at, size_t count) {
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

std::string FormatTimestamp(absl::Time time) {
  const int64_t millis = absl::ToUnixMillis(time);
  if (millis < kFirstMillis || millis > kLastMillis) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  }
  const int64_t of_day = (millis % kMillisOfDay + kMillisOfDay) % kMillisOfDay;
  const absl::CivilDay day = absl::CivilDay(1970, 1, 1) + (millis - of_day) / kMillisOfDay;
  std::string text(kForm);
  char* const at = text.data();
  WriteDigits(at + 4, 4, day.year());
  WriteDigits(at + 7, 2, day.month());
  WriteDigits(at + 10, 2, day.day());
  WriteDigits(at + 13, 2, of_day / 3600000);
  WriteDigits(at + 16, 2, of_day / 60000 % 60);
  WriteDigits(at + 19, 2, of_day / 1000 % 60);
  WriteDigits(at + 23, 3, of_day % 1000);
  return text;
}

absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text) {
  if (text.size() == kForm.size() && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
      text[16] == ':' && text[19] == '.' && text[23] == 'Z') {
    const int year = ReadDigits(text, 0, 4);
    const int month = ReadDigits(text, 5, 2);
    const int day = ReadDigits(text, 8, 2);
    const int hour = ReadDigits(text, 11, 2);
    const int minute = ReadDigits(text, 14, 2);
    const int second = ReadDigits(text, 17, 2);
    const int millis = ReadDigits(text, 20, 3);
    const absl::CivilDay date(year, month, day);
    // A date that does not exist is normalised to another one, and left to absl::ParseTime to refuse.
    if (year > 0 && date.month() == month && date.day() == day && hour >= 0 && hour < 24 && minute >= 0 &&
        minute < 60 && second >= 0 && second < 60 && millis >= 0) {
      const int64_t days = date - absl::CivilDay(1970, 1, 1);
      return absl::FromUnixMillis(days * kMillisOfDay + int64_t{hour} * 3600000 + int64_t{minute} * 60000 +
                                  int64_t{second} * 1000 + millis);
    }
  }
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("not an RFC 3339 time: ", error));
  }
  return time;
}

}  // namespace arc
