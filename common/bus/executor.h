// Threads for handlers that block. Threads are made on demand, up to a limit, and end when idle for long, so
// that 200 payments that wait for a card do not hold up the 201st, and an idle agent has none. Thread-safe.
#ifndef ARC_COMMON_BUS_EXECUTOR_H_
#define ARC_COMMON_BUS_EXECUTOR_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace arc::bus {

class Executor {
 public:
  // At most `max_threads` run at once; more work waits its turn.
  explicit Executor(int max_threads = 512);
  // Waits for all work to end.
  ~Executor();

  // `work` runs as what the caller works on (trace::Current()).
  void Run(std::function<void()> work);

 private:
  void Work();

  const int max_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  int threads_ = 0;
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_EXECUTOR_H_
