#include "common/agent/process_stats.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace arc {
namespace {

TEST(ProcessStatsTest, SeesMemoryThreadsAndWork) {
  // A sanitizer starts a thread of its own beside the first.
  std::thread([] {}).join();
  const ProcessStats before = ReadProcessStats();
  EXPECT_GT(before.memory_mb, 1);
  std::vector<char> block(64 << 20, 'x');
  std::mutex mutex;
  std::condition_variable changed;
  bool end = false;
  std::thread thread([&] {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return end; });
  });
  ProcessStats after = ReadProcessStats();
  EXPECT_EQ(after.threads, before.threads + 1);
  EXPECT_GT(after.memory_mb, before.memory_mb + 50) << "block of " << block.size();
  while (ReadProcessStats().cpu_time < before.cpu_time + absl::Milliseconds(20)) {
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    end = true;
  }
  changed.notify_all();
  thread.join();
}

}  // namespace
}  // namespace arc
