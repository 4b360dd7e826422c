// What this process uses of the machine, for heartbeats. Linux; thread-safe.
#ifndef ARC_COMMON_AGENT_PROCESS_STATS_H_
#define ARC_COMMON_AGENT_PROCESS_STATS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace arc {

struct ProcessStats {
  absl::Duration cpu_time;  // user and system, since the start
  double memory_mb = 0;     // resident set, in MiB
  int64_t threads = 0;
};

ProcessStats ReadProcessStats();

}  // namespace arc

#endif  // ARC_COMMON_AGENT_PROCESS_STATS_H_
