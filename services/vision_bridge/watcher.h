// One picture after another, to events: engine, tracker and presence together, and what can be said about the
// pictures themselves. Not thread-safe.
#ifndef ARC_SERVICES_VISION_BRIDGE_WATCHER_H_
#define ARC_SERVICES_VISION_BRIDGE_WATCHER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/detector.h"
#include "services/vision_bridge/presence.h"
#include "services/vision_bridge/tracker.h"

namespace arc::vision_bridge {

class Watcher {
 public:
  struct Report {
    std::vector<VisionEvent> events;
    absl::Status detection;  // not OK: the engine failed on this picture, which counts as one without faces
    int faces = 0;
    bool too_small = false;  // a picture in which no face could be
    bool dark = false;       // black all over: a covered lens, a camera without light
  };

  Watcher(std::unique_ptr<Detector> detector, const PresenceOptions& options);

  Report Watch(const cv::Mat& picture, absl::Time at);
  // No picture came until `now`: time passes for those who were seen.
  std::vector<VisionEvent> Pass(absl::Time now);
  // No more pictures come.
  std::vector<VisionEvent> End(absl::Time now);

  const Detector& detector() const { return *detector_; }
  const std::vector<Track>& tracks() const { return tracker_.tracks(); }
  const Presence& presence() const { return presence_; }
  const PresenceOptions& options() const { return options_; }

 private:
  const std::unique_ptr<Detector> detector_;
  const PresenceOptions options_;
  Tracker tracker_;
  Presence presence_;
  Size frame_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_WATCHER_H_
