// Notices loops that no longer run: each is asked again and again for a sign of life. Thread-safe.
#ifndef ARC_COMMON_AGENT_WATCHDOG_H_
#define ARC_COMMON_AGENT_WATCHDOG_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc {

class Watchdog {
 public:
  using Answer = std::function<void()>;

  // A loop that has not answered for `limit` is dead.
  explicit Watchdog(absl::Duration limit) : state_(std::make_shared<State>()), limit_(limit) {}

  // `ask` has the loop call the answer it is given, at once or later, on whatever thread. It may also do
  // nothing, when the loop need not run now: then it returns false.
  void Add(absl::string_view name, std::function<bool(Answer)> ask);

  // Asks every loop that has answered. Unavailable names the loops that have not for too long.
  absl::Status Tick(absl::Time now);

 private:
  struct Loop {
    std::string name;
    std::function<bool(Answer)> ask;
    uint64_t asked = 0;  // the last question's number
    uint64_t open = 0;   // the number of the first question without an answer
    absl::Time since;    // when that was asked
  };
  // Outlives the watchdog in answers that are on their way.
  struct State {
    std::mutex mutex;
    std::vector<uint64_t> answered;
  };

  const std::shared_ptr<State> state_;
  const absl::Duration limit_;
  std::mutex mutex_;
  std::vector<Loop> loops_;
};

}  // namespace arc

#endif  // ARC_COMMON_AGENT_WATCHDOG_H_
