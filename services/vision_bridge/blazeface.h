// Faces by BlazeFace (MediaPipe's full-range face detector, 256 pixels) through OpenCV's dnn.
#ifndef ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_H_
#define ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "opencv2/dnn/dnn.hpp"
#include "services/vision_bridge/detector.h"

namespace arc::vision_bridge {

class BlazeFace : public Detector {
 public:
  // `least`: confidence from which a box is a face, 0 to 1. NotFound: no such file. FailedPrecondition: it is
  // another network, or cannot be run; one picture is put through it to see.
  static absl::StatusOr<std::unique_ptr<BlazeFace>> Load(const std::string& model_file, double least);

  std::string name() const override { return "blazeface"; }
  absl::StatusOr<std::vector<Face>> Detect(const cv::Mat& picture) override;

 private:
  BlazeFace(const cv::dnn::Net& net, double least) : net_(net), least_(least) {}

  cv::dnn::Net net_;
  const double least_;
  // Kept between pictures, so that none of them has to be made anew.
  cv::Mat canvas_;
  cv::Mat input_;
  std::vector<cv::Mat> outputs_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_H_
