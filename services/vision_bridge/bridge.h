// Reads a source at a set rate, watches it, and hands the events on: the agent's loop, on a thread of its
// own.
//
// A camera or stream that goes away is opened again, with a back-off that doubles; meanwhile time passes for
// those who were seen, and the agent is NOT_SERVING. A film or picture sequence gives the same events at any
// speed: which of its pictures are looked at, and all times, come from its own time line. At its end
// everybody has left.
#ifndef ARC_SERVICES_VISION_BRIDGE_BRIDGE_H_
#define ARC_SERVICES_VISION_BRIDGE_BRIDGE_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/metrics/metrics.h"
#include "services/vision_bridge/debug_pictures.h"
#include "services/vision_bridge/newest_frame.h"
#include "services/vision_bridge/source.h"
#include "services/vision_bridge/watcher.h"

namespace arc::vision_bridge {

struct BridgeOptions {
  double fps = 8;         // pictures looked at a second
  bool real_time = true;  // a film is read no faster than it was taken
  bool loop = false;      // a film begins again when it ends
  std::string debug_dir;  // empty: no frame is ever written
  absl::Duration first_backoff = absl::Milliseconds(500);
  absl::Duration most_backoff = absl::Seconds(10);
  absl::Duration stalled_after = absl::Seconds(3);  // a camera without a picture for so long is not well
  absl::Duration dark_after = absl::Seconds(30);    // black pictures for so long are told to an operator
  std::optional<absl::Time> epoch;  // when a film's time line begins; default: when it is opened
};

// What the page /vision and the health check tell.
struct BridgeState {
  std::string state = "opening";  // opening, watching, stalled, lost, ended
  std::string problem;            // empty: none
  std::string remark;
  std::string engine;
  int64_t frames = 0;       // looked at
  int64_t passed_over = 0;  // replaced by a newer one before they were looked at
  int64_t reconnects = 0;
  int64_t width = 0;  // of the latest frame
  int64_t height = 0;
  int64_t faces = 0;  // in the latest frame
  int64_t party_size = 0;
  bool looking_at_screen = false;
  bool dark = false;
  bool too_small = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("state", s.state);
    v.Required("problem", s.problem);
    v.Required("remark", s.remark);
    v.Required("engine", s.engine);
    v.Required("frames", s.frames);
    v.Required("passed_over", s.passed_over);
    v.Required("reconnects", s.reconnects);
    v.Required("width", s.width);
    v.Required("height", s.height);
    v.Required("faces", s.faces);
    v.Required("party_size", s.party_size);
    v.Required("looking_at_screen", s.looking_at_screen);
    v.Required("dark", s.dark);
    v.Required("too_small", s.too_small);
  }
};

// Thread-safe.
class Bridge {
 public:
  using Opener = std::function<absl::StatusOr<std::unique_ptr<Source>>()>;
  // Called on the bridge's thread, in the order of the events.
  using OnEvent = std::function<void(const VisionEvent&)>;
  // What an operator must see: error_type, message, severity, action_required.
  using Report =
      std::function<void(absl::string_view, absl::string_view, absl::string_view, absl::string_view)>;

  Bridge(Clock& clock, BridgeOptions options, Opener opener, std::unique_ptr<Watcher> watcher,
         OnEvent on_event, Report report, Metrics* metrics);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  void Start();  // once
  void Stop();   // waits for the thread; a camera may be in the middle of a read

  // Reads a film or pictures to the end on the caller's thread, instead of Start(). OK: it ended as it
  // should.
  absl::Status RunToEnd();

  BridgeState state() const;
  // Unavailable, with the reason, while nothing is seen that should be.
  absl::Status Health() const;

 private:
  void Run();
  // The error with which the source ended; OutOfRange for the regular end, Cancelled when stopped.
  absl::Status WatchAll(std::unique_ptr<Source> source);
  absl::Status WatchLive(std::unique_ptr<Source> source);
  absl::Status WatchFile(Source& source);
  void Watch(const cv::Mat& picture, absl::Time at);
  void Publish(std::vector<VisionEvent> events, const std::optional<Look>& look = std::nullopt);
  void BackOff(absl::Duration delay);
  void NoteDark(bool dark, absl::Time at);
  bool stopping() const;
  // Waits until `deadline`; false when stopped.
  bool WaitUntil(absl::Time deadline);
  void Change(const std::function<void(BridgeState&)>& change);
  void Count(absl::string_view name, absl::string_view help, const Metrics::Labels& labels = {},
             double by = 1);

  Clock& clock_;
  const BridgeOptions options_;
  const Opener opener_;
  const std::unique_ptr<Watcher> watcher_;
  const OnEvent on_event_;
  const Report report_;
  Metrics* const metrics_;  // may be null

  // Of the bridge's thread:
  std::optional<DebugPictures> debug_;
  std::optional<absl::Time> dark_since_;
  bool dark_reported_ = false;
  bool lost_reported_ = false;
  absl::Time last_at_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  bool stopping_ = false;
  BridgeState state_;

  std::thread thread_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_BRIDGE_H_
