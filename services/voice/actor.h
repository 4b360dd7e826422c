// Runs pieces of work one at a time, in order, on whichever thread brings one while none runs. What is called
// from within, however it calls back, is queued behind: state that only such work touches needs no lock.
// Thread-safe.
#ifndef ARC_SERVICES_VOICE_ACTOR_H_
#define ARC_SERVICES_VOICE_ACTOR_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "absl/time/time.h"
#include "common/trace/trace.h"

namespace arc::voice {

class Actor {
 public:
  // `work` runs as what the caller works on (trace::Current()).
  void Run(std::function<void()> work) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back({trace::Current(), std::move(work)});
      if (running_) return;
      running_ = true;
    }
    for (;;) {
      Queued next;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (queue_.empty()) {
          running_ = false;
          return;
        }
        next = std::move(queue_.front());
        queue_.pop_front();
      }
      {
        const trace::Scope scope(std::move(next.context));
        next.work();
        next.work = nullptr;
      }
      std::lock_guard<std::mutex> lock(mutex_);
      ++finished_;
      changed_.notify_all();
    }
  }

  size_t waiting() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return queue_.size();
  }

  // Waits until what was brought so far has run and, asked in turn with the work, `done` holds; false when it
  // does not within `limit` of real time. Not to be called from within.
  bool AwaitAfterWork(const std::function<bool()>& done, absl::Duration limit) {
    const absl::Time deadline = absl::Now() + limit;
    for (;;) {
      bool asked = false;
      bool held = false;
      size_t own = 0;
      Run([&] {
        const bool answer = done();
        std::lock_guard<std::mutex> lock(mutex_);
        held = answer;
        own = finished_;
        asked = true;
        changed_.notify_all();
      });
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return asked; });
      if (held) return true;
      const auto rest = absl::ToChronoNanoseconds(deadline - absl::Now());
      // Something else has run: ask again.
      if (!changed_.wait_for(lock, rest, [&] { return finished_ > own + 1; })) return false;
    }
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  struct Queued {
    trace::SpanContext context;
    std::function<void()> work;
  };
  std::deque<Queued> queue_;
  bool running_ = false;
  size_t finished_ = 0;
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_ACTOR_H_
