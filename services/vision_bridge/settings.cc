#include "services/vision_bridge/settings.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "services/vision_bridge/blazeface.h"
#include "services/vision_bridge/gaze.h"
#include "services/vision_bridge/haar.h"

namespace arc::vision_bridge {
namespace {

constexpr char kDefaultCascade[] = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml";

absl::StatusOr<std::vector<double>> Numbers(absl::string_view text, char separator) {
  std::vector<double> numbers;
  for (const absl::string_view part : absl::StrSplit(text, separator)) {
    double number = 0;
    if (!absl::SimpleAtod(part, &number) || !std::isfinite(number)) {
      return absl::InvalidArgumentError(absl::StrCat("'", part, "' is no number"));
    }
    numbers.push_back(number);
  }
  return numbers;
}

absl::Status Within(absl::string_view flag, double value, double low, double high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": ", value, " is not from ", low, " to ", high));
}

absl::Status Within(absl::string_view flag, absl::Duration value, absl::Duration low, absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", absl::FormatDuration(value),
                                                 " is not from ", absl::FormatDuration(low), " to ",
                                                 absl::FormatDuration(high)));
}

}  // namespace

std::string DefaultModel() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return (program.parent_path().parent_path() / "share" / "arc" / "blazeface_256.onnx").string();
}

absl::StatusOr<Zone> ParseZone(absl::string_view text) {
  const absl::StatusOr<std::vector<double>> numbers = Numbers(text, ',');
  constexpr double kRounding = 1e-9;
  if (numbers.ok() && numbers->size() == 4) {
    Zone zone = {(*numbers)[0], (*numbers)[1], (*numbers)[2], (*numbers)[3]};
    if (zone.x >= 0 && zone.y >= 0 && zone.w > 0 && zone.h > 0 && zone.x + zone.w <= 1 + kRounding &&
        zone.y + zone.h <= 1 + kRounding) {
      return zone;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--zone: '", text, "' is not X,Y,W,H in shares of the frame, such as 0.05,0,0.9,1"));
}

absl::StatusOr<Size> ParseSize(absl::string_view text) {
  const absl::StatusOr<std::vector<double>> numbers = Numbers(text, 'x');
  if (numbers.ok() && numbers->size() == 2 && (*numbers)[0] >= 16 && (*numbers)[1] >= 16 &&
      (*numbers)[0] <= 16384 && (*numbers)[1] <= 16384) {
    return Size{static_cast<int>((*numbers)[0]), static_cast<int>((*numbers)[1])};
  }
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a size in pixels such as 640x480"));
}

absl::StatusOr<Point> ParsePoint(absl::string_view text) {
  const absl::StatusOr<std::vector<double>> numbers = Numbers(text, ',');
  if (numbers.ok() && numbers->size() == 2) return Point{(*numbers)[0], (*numbers)[1]};
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a point in pixels such as 540,960"));
}

absl::Status Check(const Settings& settings) {
  if (settings.engine != "blazeface" && settings.engine != "haar") {
    return absl::InvalidArgumentError(
        absl::StrCat("--engine: '", settings.engine, "' is neither blazeface nor haar"));
  }
  if (settings.source.word.empty()) {
    return absl::InvalidArgumentError("--source: name a camera, an address, a film or pictures");
  }
  const PresenceOptions& presence = settings.presence;
  const absl::Duration hour = absl::Hours(1);
  RETURN_IF_ERROR(Within("fps", settings.bridge.fps, 0.5, 60));
  RETURN_IF_ERROR(Within("sequence_fps", settings.source.sequence_fps, 0.1, 1000));
  RETURN_IF_ERROR(Within("hold", settings.source.hold, absl::ZeroDuration(), 24 * hour));
  RETURN_IF_ERROR(Within("least_confidence", settings.least_confidence, 0.05, 1));
  RETURN_IF_ERROR(Within("new_confidence", presence.least_new_confidence, settings.least_confidence, 1));
  RETURN_IF_ERROR(Within("least_face", presence.least_size, 0.01, 1));
  RETURN_IF_ERROR(Within("enter_frames", presence.enter_frames, 1, 1000));
  RETURN_IF_ERROR(Within("most_speed", presence.most_speed, 0.01, 1000));
  RETURN_IF_ERROR(Within("grace", presence.grace, absl::ZeroDuration(), hour));
  RETURN_IF_ERROR(Within("still_after", presence.still_after, absl::Seconds(5), 24 * hour));
  RETURN_IF_ERROR(Within("gaze_yaw", presence.gaze.most_yaw, 1, 90));
  return Within("gaze_pitch", presence.gaze.most_pitch, 1, 90);
}

absl::StatusOr<std::unique_ptr<Detector>> MakeDetector(const Settings& settings) {
  if (settings.engine == "haar") {
    return Haar::Load(settings.cascade.empty() ? kDefaultCascade : settings.cascade,
                      settings.presence.least_size);
  }
  return BlazeFace::Load(settings.model.empty() ? DefaultModel() : settings.model, settings.least_confidence);
}

absl::StatusOr<std::unique_ptr<Watcher>> MakeWatcher(const Settings& settings) {
  PresenceOptions presence = settings.presence;
  if (!settings.gaze_calibration.empty()) {
    std::ifstream file(settings.gaze_calibration);
    if (!file) {
      return absl::NotFoundError(absl::StrCat("--gaze_calibration: cannot read ", settings.gaze_calibration,
                                              "; --calibrate_at makes it"));
    }
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const auto wrong = [&](const absl::Status& status) {
      return absl::InvalidArgumentError(absl::StrCat(settings.gaze_calibration, ": ", status.message()));
    };
    const absl::StatusOr<GazeSamples> samples = ParseGazeSamples(text);
    if (!samples.ok()) return wrong(samples.status());
    absl::StatusOr<GazeCalibration> calibration = GazeCalibration::Fit(*samples);
    if (!calibration.ok()) return wrong(calibration.status());
    presence.gaze.calibration = *std::move(calibration);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Detector> detector, MakeDetector(settings));
  return std::make_unique<Watcher>(std::move(detector), presence);
}

}  // namespace arc::vision_bridge
