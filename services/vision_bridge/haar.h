// Faces by OpenCV's cascade of Haar features: frontal ones, without confidence and without key points.
#ifndef ARC_SERVICES_VISION_BRIDGE_HAAR_H_
#define ARC_SERVICES_VISION_BRIDGE_HAAR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "opencv2/objdetect.hpp"
#include "services/vision_bridge/detector.h"

namespace arc::vision_bridge {

class Haar : public Detector {
 public:
  // `least_size`: height of the smallest face looked for, as a share of the picture's; the smaller, the
  // slower. NotFound: no such file. FailedPrecondition: it is no cascade.
  static absl::StatusOr<std::unique_ptr<Haar>> Load(const std::string& cascade_file, double least_size);

  std::string name() const override { return "haar"; }
  absl::StatusOr<std::vector<Face>> Detect(const cv::Mat& picture) override;

 private:
  explicit Haar(double least_size) : least_size_(least_size) {}

  cv::CascadeClassifier cascade_;
  const double least_size_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_HAAR_H_
