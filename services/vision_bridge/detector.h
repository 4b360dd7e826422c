// What finds faces in a picture. The two engines are made by BlazeFace::Load() and Haar::Load().
#ifndef ARC_SERVICES_VISION_BRIDGE_DETECTOR_H_
#define ARC_SERVICES_VISION_BRIDGE_DETECTOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

// Not thread-safe: one thread at a time.
class Detector {
 public:
  virtual ~Detector() = default;
  virtual std::string name() const = 0;
  // The faces in `picture` (8 bits, blue-green-red), in no order. No error stands for "none found".
  virtual absl::StatusOr<std::vector<Face>> Detect(const cv::Mat& picture) = 0;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_DETECTOR_H_
