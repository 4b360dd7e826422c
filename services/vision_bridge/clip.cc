#include "services/vision_bridge/clip.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"
#include "opencv2/videoio.hpp"

namespace arc::vision_bridge {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180;

// In the photograph: head and shoulders, and within those the face and the ellipse of the head.
const cv::Rect kPerson(90, 0, 290, 420);
constexpr double kFaceX = 224 - 90;
constexpr double kFaceY = 127;
constexpr double kFaceHeight = 103;
constexpr double kHeadX = 224 - 90;
constexpr double kHeadY = 108;
constexpr double kHeadWidth = 60;  // half axes
constexpr double kHeadHeight = 96;
constexpr double kHeadDepth = 78;
const cv::Scalar kWall(168, 172, 176);

// `person` with its head turned by `yaw` degrees to the right.
cv::Mat Turn(const cv::Mat& person, double yaw) {
  if (std::abs(yaw) < 0.5) return person;
  cv::Mat turned = person.clone();
  const double c = std::cos(yaw * kRadians);
  const double s = std::sin(yaw * kRadians);
  cv::Mat map_x(person.size(), CV_32F);
  cv::Mat map_y(person.size(), CV_32F);
  cv::Mat inside(person.size(), CV_8U, cv::Scalar(0));
  for (int row = 0; row < person.rows; ++row) {
    for (int col = 0; col < person.cols; ++col) {
      const double u = (col - kHeadX) / kHeadWidth;
      const double v = (row - kHeadY) / kHeadHeight;
      map_x.at<float>(row, col) = static_cast<float>(col);
      map_y.at<float>(row, col) = static_cast<float>(row);
      const double rest = 1 - u * u - v * v;
      if (rest <= 0) continue;
      inside.at<uint8_t>(row, col) = 255;
      const double x = u * kHeadWidth;
      const double z = std::sqrt(rest) * kHeadDepth;
      // Where this point of the head was before it turned; what was behind is taken from the edge, which is
      // hair.
      const double was_x = c * x - s * z;
      const double was_z = s * x + c * z;
      const double edge = kHeadWidth * std::sqrt(std::max(0.0, 1 - v * v)) * 0.97;
      const double from = was_z > 0 ? std::clamp(was_x, -edge, edge) : std::copysign(edge, was_x);
      map_x.at<float>(row, col) = static_cast<float>(kHeadX + from);
    }
  }
  cv::Mat moved;
  cv::remap(person, moved, map_x, map_y, cv::INTER_LINEAR, cv::BORDER_REPLICATE);
  moved.copyTo(turned, inside);
  return turned;
}

std::optional<Pose> PoseAt(const Actor& actor, double second) {
  const std::vector<Pose>& poses = actor.poses;
  if (poses.empty() || second < poses.front().second || second > poses.back().second) return std::nullopt;
  const auto after =
      std::find_if(poses.begin(), poses.end(), [&](const Pose& pose) { return pose.second >= second; });
  if (after == poses.begin()) return *after;
  const Pose& a = *std::prev(after);
  const Pose& b = *after;
  const double share = b.second > a.second ? (second - a.second) / (b.second - a.second) : 1;
  const auto between = [share](double from, double to) { return from + share * (to - from); };
  return Pose{second, between(a.x, b.x), between(a.y, b.y), between(a.size, b.size), between(a.yaw, b.yaw)};
}

}  // namespace

absl::StatusOr<ClipMaker> ClipMaker::Create(const std::string& photo) {
  std::error_code error;
  cv::Mat whole;
  try {
    if (std::filesystem::is_regular_file(photo, error)) whole = cv::imread(photo, cv::IMREAD_COLOR);
  } catch (const cv::Exception&) {
    whole.release();
  }
  if (whole.cols < kPerson.br().x || whole.rows < kPerson.br().y) {
    return absl::NotFoundError(
        absl::StrCat("there is no photograph ", photo, "; Debian's package python3-skimage has it"));
  }
  cv::Mat person = whole(kPerson).clone();
  // Head and shoulders with soft edges.
  cv::Mat mask(person.size(), CV_32F, cv::Scalar(0));
  cv::ellipse(mask, cv::Point(cvRound(kHeadX), cvRound(kHeadY)),
              cv::Size(cvRound(kHeadWidth + 5), cvRound(kHeadHeight + 4)), 0, 0, 360, cv::Scalar(1),
              cv::FILLED);
  cv::ellipse(mask, cv::Point(cvRound(kHeadX), person.rows + 40), cv::Size(135, 270), 0, 0, 360,
              cv::Scalar(1), cv::FILLED);
  cv::GaussianBlur(mask, mask, cv::Size(15, 15), 0);
  return ClipMaker(std::move(person), std::move(mask));
}

void ClipMaker::DrawActor(const Script& script, const Actor& actor, double second, size_t index,
                          cv::Mat& frame) const {
  const std::optional<Pose> pose = PoseAt(actor, second);
  if (!pose.has_value()) return;
  cv::Mat person = Turn(person_, actor.mirrored ? -pose->yaw : pose->yaw);
  cv::Mat mask = mask_;
  double face_x = kFaceX;
  if (actor.mirrored) {
    cv::Mat flipped;
    cv::flip(person, flipped, 1);
    person = flipped;
    cv::flip(mask_, mask, 1);
    face_x = person.cols - 1 - kFaceX;
  }
  const double scale = pose->size * script.frame.h / kFaceHeight;
  const double swing = script.sway * pose->size * script.frame.h;
  const double phase = second + 1.7 * static_cast<double>(index);
  const double x = pose->x * script.frame.w + swing * (4 * std::sin(1.1 * phase) + 2 * std::sin(2.9 * phase));
  const double y = pose->y * script.frame.h + swing * 2 * std::sin(0.9 * phase);
  const cv::Matx23d move(scale, 0, x - scale * face_x, 0, scale, y - scale * kFaceY);
  cv::Mat drawn;
  cv::Mat share;
  cv::warpAffine(person, drawn, move, frame.size(), cv::INTER_LINEAR, cv::BORDER_REPLICATE);
  cv::warpAffine(mask, share, move, frame.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT, cv::Scalar(0));
  for (int row = 0; row < frame.rows; ++row) {
    auto* to = frame.ptr<cv::Vec3b>(row);
    const auto* from = drawn.ptr<cv::Vec3b>(row);
    const auto* part = share.ptr<float>(row);
    for (int col = 0; col < frame.cols; ++col) {
      if (part[col] <= 0) continue;
      for (int k = 0; k < 3; ++k) {
        to[col][k] = cv::saturate_cast<uint8_t>(to[col][k] * (1 - part[col]) + from[col][k] * part[col]);
      }
    }
  }
}

cv::Mat ClipMaker::Draw(const Script& script, double second) const {
  cv::Mat frame(script.frame.h, script.frame.w, CV_8UC3, kWall);
  cv::rectangle(frame, cv::Rect(0, script.frame.h * 3 / 4, script.frame.w, script.frame.h / 4),
                cv::Scalar(96, 104, 112), cv::FILLED);
  cv::rectangle(frame,
                cv::Rect(script.frame.w / 10, script.frame.h / 8, script.frame.w / 6, script.frame.h / 2),
                cv::Scalar(120, 140, 150), cv::FILLED);
  for (size_t i = 0; i < script.actors.size(); ++i) DrawActor(script, script.actors[i], second, i, frame);
  if (script.noise > 0) {
    cv::RNG random(static_cast<uint64_t>(std::llround(second * 1000)) + 1);
    cv::Mat noise(frame.size(), CV_16SC3);
    random.fill(noise, cv::RNG::NORMAL, 0, script.noise);
    cv::add(frame, noise, frame, cv::noArray(), CV_8U);
  }
  return frame;
}

absl::Status ClipMaker::Write(const Script& script, const std::string& file) const {
  try {
    cv::VideoWriter writer;
    if (!writer.open(file, cv::CAP_OPENCV_MJPEG, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), script.fps,
                     cv::Size(script.frame.w, script.frame.h))) {
      return absl::UnavailableError(absl::StrCat("cannot write ", file));
    }
    writer.set(cv::VIDEOWRITER_PROP_QUALITY, 85);
    const auto frames = static_cast<int64_t>(std::llround(script.seconds * script.fps));
    for (int64_t i = 0; i < frames; ++i) writer.write(Draw(script, static_cast<double>(i) / script.fps));
    return absl::OkStatus();
  } catch (const cv::Exception& exception) {
    return absl::UnavailableError(absl::StrCat("cannot write ", file, ": ", exception.err));
  }
}

Script VisitScript() {
  Script script;
  script.seconds = 25;
  Actor first;
  first.poses = {{3, 0.45, 0.5, 0.08, 0},      {4, 0.34, 0.45, 0.3, 0},    {15, 0.34, 0.45, 0.3, 0},
                 {15.6, 0.34, 0.45, 0.3, -45}, {19, 0.34, 0.45, 0.3, -45}, {20, 0.2, 0.45, 0.3, -45}};
  Actor second;
  second.mirrored = true;
  second.poses = {{8.5, 0.72, 0.5, 0.08, 0},   {9.5, 0.7, 0.45, 0.26, 0}, {15, 0.7, 0.45, 0.26, 0},
                  {15.6, 0.7, 0.45, 0.26, 45}, {19, 0.7, 0.45, 0.26, 45}, {20, 0.85, 0.45, 0.26, 45}};
  script.actors = {first, second};
  return script;
}

}  // namespace arc::vision_bridge
