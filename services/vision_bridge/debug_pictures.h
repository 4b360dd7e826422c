// Pictures with boxes, identities and head directions drawn in, for a person to look at (--debug_dir). The
// only place where frames are written; off unless asked for.
#ifndef ARC_SERVICES_VISION_BRIDGE_DEBUG_PICTURES_H_
#define ARC_SERVICES_VISION_BRIDGE_DEBUG_PICTURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/presence.h"
#include "services/vision_bridge/watcher.h"

namespace arc::vision_bridge {

// `picture` with what `watcher` knows drawn in. Green: present; yellow: near; grey: far; blue: a picture on a
// wall; thin: not seen in this picture.
cv::Mat Annotate(const cv::Mat& picture, const Watcher& watcher, const std::vector<VisionEvent>& events);

// Not thread-safe.
class DebugPictures {
 public:
  explicit DebugPictures(std::string folder) : folder_(std::move(folder)) {}
  // Writes frame_000000.jpg, … into the folder, which is made; the latest kMost are kept.
  absl::Status Write(const cv::Mat& annotated);
  static constexpr int64_t kMost = 5000;

 private:
  const std::string folder_;
  int64_t next_ = 0;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_DEBUG_PICTURES_H_
