#include "common/agent/watchdog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace arc {

void Watchdog::Add(absl::string_view name, std::function<bool(Answer)> ask) {
  std::lock_guard<std::mutex> lock(mutex_);
  loops_.push_back({std::string(name), std::move(ask), 0, 0, absl::Time()});
  std::lock_guard<std::mutex> own(state_->mutex);
  state_->answered.push_back(0);
}

absl::Status Watchdog::Tick(absl::Time now) {
  std::vector<std::string> dead;
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < loops_.size(); ++i) {
    Loop& loop = loops_[i];
    bool answered = false;
    {
      std::lock_guard<std::mutex> own(state_->mutex);
      answered = state_->answered[i] >= loop.open;
    }
    const bool dead_now = !answered && now - loop.since >= limit_;
    // A dead loop is asked again too: its question may be what was lost.
    if (!answered && !dead_now) continue;
    const uint64_t question = loop.asked + 1;
    const bool asked = loop.ask([state = state_, i, question] {
      std::lock_guard<std::mutex> own(state->mutex);
      state->answered[i] = std::max(state->answered[i], question);
    });
    if (!asked) {
      loop.open = 0;
      continue;
    }
    loop.asked = question;
    if (dead_now) {
      dead.push_back(loop.name);
    } else {
      loop.open = question;
      loop.since = now;
    }
  }
  if (dead.empty()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(absl::StrJoin(dead, ", "), " did not answer for ", absl::FormatDuration(limit_)));
}

}  // namespace arc
