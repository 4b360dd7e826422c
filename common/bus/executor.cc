#include "common/bus/executor.h"

#include <chrono>
#include <thread>
#include <utility>

#include "common/trace/trace.h"

namespace arc::bus {
namespace {

constexpr std::chrono::seconds kIdleLimit{10};

}  // namespace

Executor::Executor(int max_threads) : max_threads_(max_threads) {}

Executor::~Executor() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_ == 0; });
}

void Executor::Run(std::function<void()> work) {
  if (trace::Current().valid()) {
    work = [of = trace::Current(), work = std::move(work)] {
      const trace::Scope scope(of);
      work();
    };
  }
  std::lock_guard<std::mutex> lock(mutex_);
  queue_.push_back(std::move(work));
  if (static_cast<size_t>(idle_) >= queue_.size() || threads_ >= max_threads_) {
    changed_.notify_one();
    return;
  }
  ++threads_;
  // Detached: the destructor waits for the count, not for the threads' handles.
  std::thread([this] { Work(); }).detach();
}

void Executor::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (queue_.empty()) {
      if (stopping_) break;
      ++idle_;
      const bool woken = changed_.wait_for(lock, kIdleLimit, [this] { return !queue_.empty() || stopping_; });
      --idle_;
      if (!woken) break;
      continue;
    }
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
  --threads_;
  changed_.notify_all();
}

}  // namespace arc::bus
