#include "common/agent/process_stats.h"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace arc {

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_time = absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
  }
  std::ifstream status("/proc/self/status");
  std::string name;
  while (status >> name) {
    if (name == "VmRSS:") {
      int64_t kib = 0;
      status >> kib;
      stats.memory_mb = static_cast<double>(kib) / 1024;
    } else if (name == "Threads:") {
      status >> stats.threads;
    }
    status.ignore(4096, '\n');
  }
  return stats;
}

}  // namespace arc
