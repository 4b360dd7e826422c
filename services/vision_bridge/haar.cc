#include "services/vision_bridge/haar.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "opencv2/core.hpp"
#include "opencv2/imgproc.hpp"

namespace arc::vision_bridge {
namespace {

constexpr int kLongSide = 480;  // pixels of the picture that is looked at: more finds no nearer faces
constexpr int kCascadeSize = 20;
constexpr double kScaleStep = 1.15;
constexpr int kNeighbours = 4;  // hits around one place that make a face

}  // namespace

absl::StatusOr<std::unique_ptr<Haar>> Haar::Load(const std::string& cascade_file, double least_size) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(cascade_file, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no cascade ", cascade_file,
                     "; Debian's package opencv-data has it, --cascade names another"));
  }
  std::unique_ptr<Haar> engine(new Haar(least_size));
  try {
    if (engine->cascade_.load(cascade_file)) return engine;
  } catch (const cv::Exception&) {
    // Said below.
  }
  return absl::FailedPreconditionError(absl::StrCat(cascade_file, " is no cascade that can be read"));
}

absl::StatusOr<std::vector<Face>> Haar::Detect(const cv::Mat& picture) {
  if (picture.empty() || picture.type() != CV_8UC3) return absl::InvalidArgumentError("not a colour picture");
  try {
    const double scale = std::min(1.0, static_cast<double>(kLongSide) / std::max(picture.cols, picture.rows));
    cv::Mat small;
    if (scale < 1) {
      const cv::Size size(std::max(1, cvRound(picture.cols * scale)),
                          std::max(1, cvRound(picture.rows * scale)));
      cv::resize(picture, small, size, 0, 0, cv::INTER_AREA);
    } else {
      small = picture;
    }
    cv::Mat grey;
    cv::cvtColor(small, grey, cv::COLOR_BGR2GRAY);
    cv::equalizeHist(grey, grey);
    const int least = std::max(kCascadeSize, cvRound(grey.rows * least_size_));
    std::vector<cv::Rect> found;
    if (grey.rows >= least && grey.cols >= least) {
      cascade_.detectMultiScale(grey, found, kScaleStep, kNeighbours, 0, cv::Size(least, least));
    }
    std::vector<Face> faces;
    for (const cv::Rect& rect : found) {
      Face face;
      face.box = {rect.x / scale, rect.y / scale, rect.width / scale, rect.height / scale};
      faces.push_back(face);
    }
    return faces;
  } catch (const cv::Exception& exception) {
    return absl::InternalError(exception.err);
  }
}

}  // namespace arc::vision_bridge
