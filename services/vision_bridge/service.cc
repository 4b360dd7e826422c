#include "services/vision_bridge/service.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"
#include "services/vision_bridge/gaze.h"
#include "services/vision_bridge/publisher.h"

namespace arc::vision_bridge {
namespace {

constexpr size_t kCalibrationPictures = 16;
constexpr int kCalibrationTries = 600;  // pictures looked at for those
constexpr double kMostUnrest = 6;       // degrees, that a head may move meanwhile

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double SpreadAround(const std::vector<double>& values, double middle) {
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::abs(value - middle));
  return Median(distances);
}

absl::StatusOr<GazeSamples> ReadSamples(const std::string& file, const std::string& screen) {
  std::ifstream in(file);
  if (in) {
    return ParseGazeSamples(
        std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>()));
  }
  absl::StatusOr<Size> size = ParseSize(screen);
  if (!size.ok()) return absl::InvalidArgumentError(absl::StrCat("--screen: ", size.status().message()));
  GazeSamples samples;
  samples.screen_width = size->w;
  samples.screen_height = size->h;
  return samples;
}

// Where the nearest head in each of some pictures looks.
absl::StatusOr<HeadDirection> MeasureHead(const Settings& settings) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Detector> detector, MakeDetector(settings));
  ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, OpenSource(settings.source));
  std::vector<double> yaws;
  std::vector<double> pitches;
  for (int i = 0; i < kCalibrationTries && yaws.size() < kCalibrationPictures; ++i) {
    const absl::StatusOr<Source::Picture> picture = source->Read(absl::ZeroDuration());
    if (absl::IsOutOfRange(picture.status())) break;
    if (!picture.ok()) return picture.status();
    ASSIGN_OR_RETURN(const std::vector<Face> faces, detector->Detect(picture->pixels));
    const auto nearest = std::max_element(faces.begin(), faces.end(),
                                          [](const Face& a, const Face& b) { return a.box.h < b.box.h; });
    if (nearest == faces.end() || !nearest->key_points.has_value()) continue;
    const std::optional<HeadDirection> head = EstimateHeadDirection(*nearest->key_points);
    if (!head.has_value()) continue;
    yaws.push_back(head->yaw);
    pitches.push_back(head->pitch);
  }
  if (yaws.size() < kCalibrationPictures) {
    return absl::NotFoundError(absl::StrCat("a face was seen in ", yaws.size(), " pictures only, of ",
                                            kCalibrationPictures, " that are needed; stand at the kiosk"));
  }
  HeadDirection middle = {Median(yaws), Median(pitches)};
  if (SpreadAround(yaws, middle.yaw) > kMostUnrest || SpreadAround(pitches, middle.pitch) > kMostUnrest) {
    return absl::FailedPreconditionError("the head moved; keep it still, turned to the point");
  }
  return middle;
}

absl::Status AddSample(const Settings& settings, const std::string& at, const std::string& screen,
                       std::ostream& out) {
  if (settings.gaze_calibration.empty()) {
    return absl::InvalidArgumentError(
        "--calibrate_at needs --gaze_calibration, the file that the sample goes to");
  }
  if (settings.engine != "blazeface")
    return absl::InvalidArgumentError("only the engine blazeface measures heads");
  absl::StatusOr<Point> point = ParsePoint(at);
  if (!point.ok())
    return absl::InvalidArgumentError(absl::StrCat("--calibrate_at: ", point.status().message()));
  ASSIGN_OR_RETURN(GazeSamples samples, ReadSamples(settings.gaze_calibration, screen));
  if (!(point->x >= 0 && point->x <= samples.screen_width && point->y >= 0 &&
        point->y <= samples.screen_height)) {
    return absl::InvalidArgumentError(absl::StrCat("--calibrate_at: ", at, " is not on the screen of ",
                                                   samples.screen_width, "x", samples.screen_height));
  }
  ASSIGN_OR_RETURN(const HeadDirection head, MeasureHead(settings));
  const auto rounded = [](double value) { return std::round(value * 100) / 100; };
  samples.samples.push_back({rounded(head.yaw), rounded(head.pitch), point->x, point->y});
  const std::string temporary = settings.gaze_calibration + ".new";
  {
    std::ofstream file(temporary);
    file << json::Encode(samples) << "\n";
    file.close();
    if (!file || std::rename(temporary.c_str(), settings.gaze_calibration.c_str()) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot write ", settings.gaze_calibration));
    }
  }
  out << absl::StrFormat("yaw %.1f pitch %.1f is %.0f,%.0f; %d samples in %s\n", head.yaw, head.pitch,
                         point->x, point->y, samples.samples.size(), settings.gaze_calibration);
  if (samples.samples.size() < GazeCalibration::kLeastSamples) {
    out << absl::StrFormat("%d more are needed, towards the corners of the screen\n",
                           GazeCalibration::kLeastSamples - samples.samples.size());
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const GazeCalibration calibration, GazeCalibration::Fit(samples));
  out << absl::StrFormat("the samples are met within %.0f pixels\n", calibration.error());
  return absl::OkStatus();
}

}  // namespace

Service::Service(Settings settings, Clock& clock, Metrics& metrics, Bridge::OnEvent on_event,
                 Bridge::Report report)
    : settings_(std::move(settings)),
      clock_(clock),
      metrics_(metrics),
      on_event_(std::move(on_event)),
      report_(std::move(report)) {}

absl::Status Service::Start() {
  absl::StatusOr<std::unique_ptr<Watcher>> watcher = MakeWatcher(settings_);
  std::lock_guard<std::mutex> lock(mutex_);
  problem_ = watcher.status();
  if (!watcher.ok()) return problem_;
  bridge_ = std::make_unique<Bridge>(
      clock_, settings_.bridge, [source = settings_.source] { return OpenSource(source); },
      *std::move(watcher), on_event_, report_, &metrics_);
  bridge_->Start();
  return absl::OkStatus();
}

void Service::Stop() {
  Bridge* bridge = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    bridge = bridge_.get();
  }
  // May take as long as a camera's read: health is asked for meanwhile.
  if (bridge != nullptr) bridge->Stop();
}

absl::Status Service::Health() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return bridge_ == nullptr ? problem_ : bridge_->Health();
}

std::string Service::StateJson() const {
  std::lock_guard<std::mutex> lock(mutex_);
  BridgeState state;
  state.engine = settings_.engine;
  if (bridge_ == nullptr) {
    state.problem = std::string(problem_.message());
  } else {
    state = bridge_->state();
  }
  return json::Encode(state);
}

int DryRun(Settings settings, std::ostream& out, std::ostream& err) {
  const auto failed = [&](const absl::Status& status, int exit_status) {
    err << "arc-vision-bridge: " << status.message() << "\n";
    return exit_status;
  };
  if (const absl::Status checked = Check(settings); !checked.ok()) return failed(checked, 2);
  const SourceKind kind = KindOf(settings.source.word);
  if (kind == SourceKind::kCamera || kind == SourceKind::kStream) {
    return failed(absl::InvalidArgumentError("--dry_run reads a film or pictures, which have an end"), 2);
  }
  absl::StatusOr<std::unique_ptr<Watcher>> watcher = MakeWatcher(settings);
  if (!watcher.ok()) return failed(watcher.status(), 1);
  settings.bridge.epoch = absl::UnixEpoch();
  Bridge bridge(
      SystemClock::Get(), settings.bridge, [&] { return OpenSource(settings.source); }, *std::move(watcher),
      [&](const VisionEvent& event) {
        out << absl::StrFormat(R"({"at":%.3f,"subject":"%s","payload":%s})",
                               absl::ToDoubleSeconds(event.at - absl::UnixEpoch()), SubjectOf(event),
                               PayloadOf(event))
            << std::endl;
      },
      [&](absl::string_view, absl::string_view message, absl::string_view, absl::string_view) {
        err << "arc-vision-bridge: " << message << "\n";
      },
      nullptr);
  const absl::Status end = bridge.RunToEnd();
  const BridgeState state = bridge.state();
  if (!state.remark.empty()) err << "arc-vision-bridge: " << state.remark << "\n";
  err << "arc-vision-bridge: " << state.frames << " frames of " << state.width << "x" << state.height
      << " looked at by " << state.engine << "\n";
  return end.ok() ? 0 : failed(end, 1);
}

int Calibrate(const Settings& settings, const std::string& at, const std::string& screen, std::ostream& out,
              std::ostream& err) {
  absl::Status status = Check(settings);
  if (status.ok()) status = AddSample(settings, at, screen, out);
  if (status.ok()) return 0;
  err << "arc-vision-bridge: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace arc::vision_bridge
