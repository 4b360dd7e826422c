#include "services/vision_bridge/bridge.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "services/vision_bridge/metric_names.h"

namespace arc::vision_bridge {
namespace {

constexpr absl::Duration kPassEvery = absl::Milliseconds(500);  // how often time passes without pictures

constexpr char kFramesHelp[] = "Frames looked at, by outcome: ok, dark, too_small, failed.";
constexpr char kPassedOverHelp[] = "Frames of a camera that a newer one replaced before they were looked at.";
constexpr char kFrameMsHelp[] = "Time to look at one frame, in milliseconds.";
constexpr char kEventsHelp[] = "Events seen, by event.";
constexpr char kReconnectsHelp[] = "Times that the camera or stream was opened again.";
constexpr char kPartySizeHelp[] = "People at the kiosk.";
constexpr char kWatchingHelp[] = "1 while frames come.";

absl::string_view NameOf(const VisionEvent& event) {
  if (std::holds_alternative<messages::PersonDetected>(event.payload)) return "person_detected";
  if (std::holds_alternative<messages::PersonLeft>(event.payload)) return "person_left";
  return "gaze_detected";
}

}  // namespace

Bridge::Bridge(Clock& clock, BridgeOptions options, Opener opener, std::unique_ptr<Watcher> watcher,
               OnEvent on_event, Report report, Metrics* metrics)
    : clock_(clock),
      options_(std::move(options)),
      opener_(std::move(opener)),
      watcher_(std::move(watcher)),
      on_event_(std::move(on_event)),
      report_(std::move(report)),
      metrics_(metrics) {
  state_.engine = watcher_->detector().name();
  if (!options_.debug_dir.empty()) debug_.emplace(options_.debug_dir);
}

Bridge::~Bridge() {
  Stop();
}

void Bridge::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Bridge::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

BridgeState Bridge::state() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

absl::Status Bridge::Health() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (state_.state == "watching" || state_.state == "ended") return absl::OkStatus();
  return absl::UnavailableError(state_.problem.empty() ? "the camera is being opened" : state_.problem);
}

bool Bridge::stopping() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stopping_;
}

bool Bridge::WaitUntil(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !clock_.WaitUntil(lock, changed_, deadline, [this] { return stopping_; });
}

void Bridge::Change(const std::function<void(BridgeState&)>& change) {
  std::lock_guard<std::mutex> lock(mutex_);
  change(state_);
  if (metrics_ == nullptr) return;
  metrics_->Set(metric_names::kWatching, kWatchingHelp, {}, state_.state == "watching" ? 1 : 0);
  metrics_->Set(metric_names::kPartySize, kPartySizeHelp, {}, static_cast<double>(state_.party_size));
}

void Bridge::Count(absl::string_view name, absl::string_view help, const Metrics::Labels& labels, double by) {
  if (metrics_ != nullptr) metrics_->Increment(name, help, labels, by);
}

void Bridge::Publish(std::vector<VisionEvent> events, const std::optional<Look>& look) {
  for (VisionEvent& event : events) {
    event.look = look;
    Count(metric_names::kEvents, kEventsHelp, {{"event", std::string(NameOf(event))}});
    on_event_(event);
  }
  Change([&](BridgeState& state) {
    state.party_size = watcher_->presence().party_size();
    state.looking_at_screen = watcher_->presence().looking();
  });
}

void Bridge::NoteDark(bool dark, absl::Time at) {
  if (!dark) {
    dark_since_.reset();
    dark_reported_ = false;
    return;
  }
  if (!dark_since_.has_value()) dark_since_ = at;
  if (dark_reported_ || at - *dark_since_ < options_.dark_after) return;
  dark_reported_ = true;
  report_("camera_dark", "the camera's pictures are black", "warning", "uncover_camera");
}

void Bridge::Watch(const cv::Mat& picture, absl::Time at) {
  const absl::Time begin = clock_.Now();
  last_at_ = std::max(last_at_, at);
  const Watcher::Report report = watcher_->Watch(picture, at);
  const Look look = {std::string(watcher_->detector().name()), begin, clock_.Now()};
  const char* outcome = "ok";
  if (report.dark) outcome = "dark";
  if (report.too_small) outcome = "too_small";
  if (!report.detection.ok()) {
    outcome = "failed";
    Log(LogLevel::kError, "the engine failed on a frame",
        {{"error", std::string(report.detection.message())}});
  }
  Count(metric_names::kFrames, kFramesHelp, {{"outcome", outcome}});
  if (metrics_ != nullptr) {
    metrics_->Observe(metric_names::kFrameMs, kFrameMsHelp, {{"engine", look.engine}},
                      absl::ToDoubleMilliseconds(look.end - look.begin));
  }
  NoteDark(report.dark, at);
  Change([&](BridgeState& state) {
    ++state.frames;
    state.width = picture.cols;
    state.height = picture.rows;
    state.faces = report.faces;
    state.dark = report.dark;
    state.too_small = report.too_small;
  });
  Publish(report.events, look);
  if (debug_.has_value()) {
    if (const absl::Status written = debug_->Write(Annotate(picture, *watcher_, report.events));
        !written.ok()) {
      Log(LogLevel::kError, "no more debug pictures", {{"error", std::string(written.message())}});
      debug_.reset();
    }
  }
}

absl::Status Bridge::WatchLive(std::unique_ptr<Source> source) {
  NewestFrame newest(clock_, std::move(source));
  const absl::Duration period = absl::Seconds(1 / options_.fps);
  const absl::Time begin = clock_.Now();
  absl::Time due = begin;
  absl::Time last = begin;
  uint64_t passed_over = 0;
  while (true) {
    if (!WaitUntil(due)) return absl::CancelledError("stopped");
    absl::StatusOr<NewestFrame::Frame> frame = newest.Take(clock_.Now() + kPassEvery);
    const absl::Time now = clock_.Now();
    if (absl::IsDeadlineExceeded(frame.status())) {
      if (stopping()) return absl::CancelledError("stopped");
      Publish(watcher_->Pass(now));
      if (now - last >= options_.stalled_after) {
        absl::Status stalled = absl::UnavailableError(
            absl::StrCat("no picture came for ", absl::FormatDuration(options_.stalled_after)));
        // Said now: the reader may stand in the camera's read, and has to be waited for.
        Change([&](BridgeState& state) {
          state.state = "stalled";
          state.problem = std::string(stalled.message());
        });
        return stalled;
      }
      continue;
    }
    if (!frame.ok()) return frame.status();
    last = now;
    // One that gives a picture and is gone again is still lost.
    if (now - begin >= options_.most_backoff) lost_reported_ = false;
    Watch(frame->pixels, frame->at);
    const uint64_t total = newest.passed_over();
    if (total > passed_over) {
      Count(metric_names::kPassedOver, kPassedOverHelp, {}, static_cast<double>(total - passed_over));
      Change([&](BridgeState& state) { state.passed_over += static_cast<int64_t>(total - passed_over); });
      passed_over = total;
    }
    // From the last due time, so that the rate is kept; not several at once after a slow frame.
    due = std::max(due + period, clock_.Now());
  }
}

absl::Status Bridge::WatchFile(Source& source) {
  const absl::Duration period = absl::Seconds(1 / options_.fps);
  const absl::Time begin = clock_.Now();
  const absl::Time epoch = options_.epoch.value_or(begin);
  absl::Duration due = absl::ZeroDuration();
  while (true) {
    if (stopping()) return absl::CancelledError("stopped");
    absl::StatusOr<Source::Picture> picture = source.Read(due);
    Change([&](BridgeState& state) { state.remark = source.remark(); });
    if (!picture.ok()) {
      // The last picture has its time too, before a film that is looped begins again.
      if (options_.real_time && absl::IsOutOfRange(picture.status())) WaitUntil(begin + due);
      return picture.status();
    }
    if (options_.real_time && !WaitUntil(begin + picture->position)) return absl::CancelledError("stopped");
    Watch(picture->pixels, epoch + picture->position);
    // The next picture on the time line's own grid, so that no rounding adds up.
    do due += period;
    while (due <= picture->position);
  }
}

absl::Status Bridge::WatchAll(std::unique_ptr<Source> source) {
  Change([&](BridgeState& state) {
    state.state = "watching";
    state.problem.clear();
    state.remark = source->remark();
  });
  absl::Status end;
  if (source->live()) {
    end = WatchLive(std::move(source));
  } else {
    end = WatchFile(*source);
    if (!absl::IsCancelled(end)) Publish(watcher_->End(last_at_));
  }
  return end;
}

void Bridge::BackOff(absl::Duration delay) {
  const absl::Time until = clock_.Now() + delay;
  while (clock_.Now() < until) {
    if (!WaitUntil(std::min(until, clock_.Now() + kPassEvery))) return;
    Publish(watcher_->Pass(clock_.Now()));
  }
}

void Bridge::Run() {
  absl::Duration backoff = options_.first_backoff;
  bool opened_before = false;
  while (!stopping()) {
    absl::StatusOr<std::unique_ptr<Source>> source = opener_();
    absl::Status end = source.status();
    if (source.ok()) {
      const bool live = (*source)->live();
      if (opened_before && live) {
        Count(metric_names::kReconnects, kReconnectsHelp);
        Change([](BridgeState& state) { ++state.reconnects; });
        Log(LogLevel::kInfo, "the camera is back");
      }
      opened_before = true;
      const int64_t frames = state().frames;
      const absl::Time opened_at = clock_.Now();
      end = WatchAll(*std::move(source));
      if (absl::IsCancelled(end)) return;
      if (clock_.Now() - opened_at >= options_.most_backoff) backoff = options_.first_backoff;
      if (!live) {
        if (absl::IsOutOfRange(end) && options_.loop) continue;
        Change([&](BridgeState& state) {
          state.state = absl::IsOutOfRange(end) || state.frames > frames ? "ended" : "lost";
          state.problem = absl::IsOutOfRange(end) ? "" : std::string(end.message());
        });
        Log(absl::IsOutOfRange(end) ? LogLevel::kInfo : LogLevel::kWarning, "the source ended",
            {{"why", std::string(end.message())}});
        if (state().state == "ended") return;
      }
    }
    const std::string problem(end.message());
    const bool news = state().problem != problem || state().state == "stalled";
    Change([&](BridgeState& state) {
      state.state = "lost";
      state.problem = problem;
      state.faces = 0;
    });
    if (news) Log(LogLevel::kWarning, "nothing is seen", {{"why", problem}});
    if (!lost_reported_) {
      lost_reported_ = true;
      report_("camera_lost", problem, "critical", "check_camera");
    }
    BackOff(backoff);
    backoff = std::min(backoff * 2, options_.most_backoff);
  }
}

absl::Status Bridge::RunToEnd() {
  absl::StatusOr<std::unique_ptr<Source>> source = opener_();
  if (!source.ok()) return source.status();
  absl::Status end = WatchAll(*std::move(source));
  return absl::IsOutOfRange(end) || absl::IsCancelled(end) ? absl::OkStatus() : end;
}

}  // namespace arc::vision_bridge
