#include "services/vision_bridge/debug_pictures.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"
#include "services/vision_bridge/gaze.h"

namespace arc::vision_bridge {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180;

cv::Scalar ColorOf(Presence::Role role) {
  switch (role) {
    case Presence::Role::kPresent:
      return {0, 220, 0};
    case Presence::Role::kNear:
      return {0, 220, 255};
    case Presence::Role::kPicture:
      return {255, 120, 0};
    case Presence::Role::kFar:
      break;
  }
  return {160, 160, 160};
}

std::string Words(const VisionEvent& event) {
  if (const auto* detected = std::get_if<messages::PersonDetected>(&event.payload)) {
    return absl::StrCat("person_detected, party of ", detected->estimated_party_size);
  }
  if (const auto* left = std::get_if<messages::PersonLeft>(&event.payload)) {
    return absl::StrCat("person_left after ", left->duration_seconds, " s");
  }
  return absl::StrCat("gaze_detected ", std::get<messages::GazeDetected>(event.payload).looking_at_screen);
}

}  // namespace

cv::Mat Annotate(const cv::Mat& picture, const Watcher& watcher, const std::vector<VisionEvent>& events) {
  cv::Mat drawn = picture.clone();
  const double unit = std::max(picture.cols, picture.rows) / 640.0;
  const int thick = std::max(1, static_cast<int>(std::lround(2 * unit)));
  const auto text = [&](const std::string& words, double x, double y, const cv::Scalar& color) {
    cv::putText(drawn, words, cv::Point(cvRound(x), cvRound(y)), cv::FONT_HERSHEY_SIMPLEX, 0.45 * unit, color,
                std::max(1, thick / 2), cv::LINE_AA);
  };
  const Zone& zone = watcher.options().zone;
  cv::rectangle(drawn,
                cv::Rect(cvRound(zone.x * picture.cols), cvRound(zone.y * picture.rows),
                         cvRound(zone.w * picture.cols), cvRound(zone.h * picture.rows)),
                cv::Scalar(90, 90, 90), 1);
  for (const Track& track : watcher.tracks()) {
    const cv::Scalar color = ColorOf(watcher.presence().RoleOf(track.id));
    const Box& box = track.face.box;
    cv::rectangle(drawn, cv::Rect(cvRound(box.x), cvRound(box.y), cvRound(box.w), cvRound(box.h)), color,
                  track.seen ? thick : 1);
    std::string label = absl::StrCat("#", track.id);
    if (track.face.confidence.has_value())
      absl::StrAppend(&label, absl::StrFormat(" %.2f", *track.face.confidence));
    if (track.face.key_points.has_value()) {
      const KeyPoints& points = *track.face.key_points;
      for (const Point& point : points) {
        cv::circle(drawn, cv::Point(cvRound(point.x), cvRound(point.y)), thick, color, cv::FILLED);
      }
      if (const std::optional<HeadDirection> head = EstimateHeadDirection(points); head.has_value()) {
        absl::StrAppend(&label, absl::StrFormat(" yaw %.0f pitch %.0f", head->yaw, head->pitch));
        const Point nose = points[kNoseTip];
        cv::arrowedLine(drawn, cv::Point(cvRound(nose.x), cvRound(nose.y)),
                        cv::Point(cvRound(nose.x + box.w * std::sin(head->yaw * kRadians)),
                                  cvRound(nose.y - box.w * std::sin(head->pitch * kRadians))),
                        cv::Scalar(0, 0, 255), thick);
      }
    }
    text(label, box.x, box.y - 4 * unit, color);
  }
  double y = 18 * unit;
  const cv::Scalar white(255, 255, 255);
  text(absl::StrCat("party ", watcher.presence().party_size(), watcher.presence().looking() ? ", looks" : ""),
       6 * unit, y, white);
  for (const VisionEvent& event : events) text(Words(event), 6 * unit, y += 18 * unit, white);
  return drawn;
}

absl::Status DebugPictures::Write(const cv::Mat& annotated) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const auto name = [&](int64_t number) {
    return absl::StrCat(folder_, "/", absl::StrFormat("frame_%06d.jpg", number));
  };
  try {
    if (!cv::imwrite(name(next_), annotated))
      return absl::UnavailableError(absl::StrCat("cannot write ", name(next_)));
  } catch (const cv::Exception& exception) {
    return absl::UnavailableError(absl::StrCat("cannot write ", name(next_), ": ", exception.err));
  }
  ++next_;
  if (next_ > kMost) std::filesystem::remove(name(next_ - 1 - kMost), error);
  return absl::OkStatus();
}

}  // namespace arc::vision_bridge
