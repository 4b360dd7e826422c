#include "services/vision_bridge/blazeface.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/status/status_macros.h"
#include "opencv2/core.hpp"
#include "opencv2/imgproc.hpp"
#include "services/vision_bridge/blazeface_decoder.h"

namespace arc::vision_bridge {
namespace {

using blazeface::kCoarseLayer;
using blazeface::kFineLayer;
using blazeface::kInputSize;

constexpr double kSameFace = 0.3;  // overlap from which two boxes are of one face

// Scores of the fine and the coarse layer, then their boxes.
constexpr std::array<const char*, 4> kOutputs = {"Identity:0", "Identity_1:0", "Identity_2:0",
                                                 "Identity_3:0"};

absl::Span<const float> Values(const cv::Mat& output) {
  return {output.ptr<float>(), output.total()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlazeFace>> BlazeFace::Load(const std::string& model_file, double least) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(model_file, error)) {
    return absl::NotFoundError(absl::StrCat("there is no face model ", model_file,
                                            "; scripts/setup installs it, --model names another"));
  }
  std::unique_ptr<BlazeFace> engine;
  try {
    cv::dnn::Net net = cv::dnn::readNetFromONNX(model_file);
    net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
    engine.reset(new BlazeFace(net, least));
  } catch (const cv::Exception& exception) {
    return absl::FailedPreconditionError(
        absl::StrCat(model_file, " is no network that can be read: ", exception.err));
  }
  const absl::StatusOr<std::vector<Face>> tried =
      engine->Detect(cv::Mat(kInputSize, kInputSize, CV_8UC3, cv::Scalar::all(0)));
  if (!tried.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(model_file, " is not BlazeFace 256: ", tried.status().message()));
  }
  return engine;
}

absl::StatusOr<std::vector<Face>> BlazeFace::Detect(const cv::Mat& picture) {
  if (picture.empty() || picture.type() != CV_8UC3) return absl::InvalidArgumentError("not a colour picture");
  try {
    // The whole picture, its sides in proportion, at the top left of a black square.
    const double scale = static_cast<double>(kInputSize) / std::max(picture.cols, picture.rows);
    const cv::Size size(std::max(1, cvRound(picture.cols * scale)),
                        std::max(1, cvRound(picture.rows * scale)));
    canvas_.create(kInputSize, kInputSize, CV_8UC3);
    canvas_.setTo(cv::Scalar::all(0));
    cv::Mat part = canvas_(cv::Rect(cv::Point(0, 0), size));
    cv::resize(picture, part, size, 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);

    cv::Mat rgb;
    cv::cvtColor(canvas_, rgb, cv::COLOR_BGR2RGB);
    rgb.convertTo(input_, CV_32FC3, 1 / 127.5, -1);
    const std::array<int, 4> shape = {1, kInputSize, kInputSize, 3};
    net_.setInput(input_.reshape(1, static_cast<int>(shape.size()), shape.data()));
    net_.forward(outputs_, std::vector<cv::String>(kOutputs.begin(), kOutputs.end()));

    constexpr std::array<size_t, 4> kWanted = {kFineLayer.count(), kCoarseLayer.count(),
                                               size_t{kFineLayer.count()} * blazeface::kValuesPerBox,
                                               size_t{kCoarseLayer.count()} * blazeface::kValuesPerBox};
    for (size_t i = 0; i < kWanted.size(); ++i) {
      if (outputs_.size() != kWanted.size() || outputs_[i].total() != kWanted[i] ||
          outputs_[i].type() != CV_32F || !outputs_[i].isContinuous()) {
        return absl::InternalError(absl::StrCat("its output ", kOutputs[i], " has another shape"));
      }
    }
    std::vector<Face> faces;
    blazeface::Decode(kFineLayer, Values(outputs_[0]), Values(outputs_[2]), least_, faces);
    blazeface::Decode(kCoarseLayer, Values(outputs_[1]), Values(outputs_[3]), least_, faces);
    faces = blazeface::Join(std::move(faces), kSameFace);
    for (Face& face : faces) {
      face.box = {face.box.x / scale, face.box.y / scale, face.box.w / scale, face.box.h / scale};
      for (Point& point : *face.key_points) point = {point.x / scale, point.y / scale};
    }
    return faces;
  } catch (const cv::Exception& exception) {
    return absl::InternalError(exception.err);
  }
}

}  // namespace arc::vision_bridge
