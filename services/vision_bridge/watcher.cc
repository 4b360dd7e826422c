#include "services/vision_bridge/watcher.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "opencv2/core.hpp"
#include "opencv2/imgproc.hpp"

namespace arc::vision_bridge {
namespace {

constexpr int kLeastSide = 32;   // pixels: in a smaller picture there is no face at close range
constexpr double kDarkMean = 8;  // of 255
constexpr double kDarkSpread = 4;

bool IsDark(const cv::Mat& picture) {
  cv::Mat small;
  cv::resize(picture, small, cv::Size(32, 24), 0, 0, cv::INTER_NEAREST);
  cv::Scalar mean;
  cv::Scalar spread;
  cv::meanStdDev(small, mean, spread);
  return std::max({mean[0], mean[1], mean[2]}) < kDarkMean &&
         std::max({spread[0], spread[1], spread[2]}) < kDarkSpread;
}

}  // namespace

Watcher::Watcher(std::unique_ptr<Detector> detector, const PresenceOptions& options)
    : detector_(std::move(detector)),
      options_(options),
      tracker_({options.grace, options.least_new_confidence}),
      presence_(options) {}

Watcher::Report Watcher::Watch(const cv::Mat& picture, absl::Time at) {
  Report report;
  frame_ = {picture.cols, picture.rows};
  std::vector<Face> faces;
  report.too_small = std::min(picture.cols, picture.rows) < kLeastSide;
  if (!report.too_small) {
    report.dark = IsDark(picture);
    if (!report.dark) {
      absl::StatusOr<std::vector<Face>> found = detector_->Detect(picture);
      report.detection = found.status();
      if (found.ok()) faces = *std::move(found);
    }
  }
  report.faces = static_cast<int>(faces.size());
  report.events = presence_.Update(at, frame_, tracker_.Update(at, faces));
  return report;
}

std::vector<VisionEvent> Watcher::Pass(absl::Time now) {
  return presence_.Update(now, frame_, tracker_.Update(now, {}));
}

std::vector<VisionEvent> Watcher::End(absl::Time now) {
  return presence_.End(now);
}

}  // namespace arc::vision_bridge
