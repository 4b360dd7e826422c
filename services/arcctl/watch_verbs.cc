// watch: one readable line an event, as it happens.
#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status_macros.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/event_line.h"

namespace arc::arcctl {
namespace {

absl::Status RunWatch(Session& session) {
  ASSIGN_OR_RETURN(const auto wanted, session.arguments.GetInteger("count", 1, int64_t{1} << 40));
  const bool limited = session.arguments.Has("timeout");
  const std::string kiosk = session.kiosk_id;

  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int64_t shown = 0;
    bool over = false;
    HeartbeatFilter heartbeats;
  };
  State state;
  const bool all_heartbeats = session.json() || session.arguments.Has("heartbeats");
  // The two subscriptions have a thread each: `mutex` also keeps their lines apart.
  const auto show = [&](const bus::Message& message) {
    std::lock_guard<std::mutex> lock(state.mutex);
    if (state.over) return;
    if (!kiosk.empty() && !IsOfKiosk(message, kiosk)) return;
    const absl::Time now = session.bus.clock().Now();
    if (!all_heartbeats && !state.heartbeats.IsNews(message)) return;
    session.Print(session.json() ? EventJson(message, now) : EventLine(message, now));
    ++state.shown;
    // Who read the lines is gone when they cannot be written.
    state.over = !session.out.good() || (wanted.has_value() && state.shown >= *wanted);
    if (state.over) state.changed.notify_all();
  };
  session.stop.OnStop([&] {
    std::lock_guard<std::mutex> lock(state.mutex);
    state.over = true;
    state.changed.notify_all();
  });
  absl::Status status;
  {
    std::vector<std::unique_ptr<bus::Subscription>> subscriptions;
    for (const char* subject : {"kiosk.>", "system.>"}) {
      auto subscription = session.bus.Subscribe(subject, "", show);
      status.Update(subscription.status());
      if (subscription.ok()) subscriptions.push_back(*std::move(subscription));
    }
    if (status.ok()) {
      Clock& clock = session.bus.clock();
      const absl::Time end = limited ? clock.Now() + session.timeout : absl::InfiniteFuture();
      std::unique_lock<std::mutex> lock(state.mutex);
      while (!state.over && clock.Now() < end) {
        // A day at a time: not every clock can wait for ever.
        clock.WaitUntil(lock, state.changed, std::min(end, clock.Now() + absl::Hours(24)),
                        [&] { return state.over; });
      }
      if (wanted.has_value() && state.shown < *wanted && !session.stop.stopped() && session.out.good()) {
        status = absl::DeadlineExceededError(absl::StrCat(
            "only ", state.shown, " of ", *wanted, " events within ", absl::FormatDuration(session.timeout)));
      }
    }
  }
  session.stop.Clear();
  return status;
}

}  // namespace

void AddWatchVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec watch;
  watch.name = "watch";
  watch.summary = "print one line an event, until Ctrl-C";
  watch.details =
      "Shows everything on kiosk.> and system.>: time, kiosk, subject, essence. Of the heartbeats only the\n"
      "first of an agent and changes of its status. With --timeout it ends by itself. With --json a line is "
      "the\n"
      "message itself with `subject` and, where it has one, `kiosk_id` added. With --kiosk_id only that "
      "kiosk's.";
  watch.flags = {{"count", "N", "end after N events; exit status 1 when fewer came within --timeout"},
                 {"heartbeats", "", "show every heartbeat"}};
  verbs.push_back({std::move(watch), RunWatch});
}

}  // namespace arc::arcctl
