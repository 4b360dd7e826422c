// One engine of the vision bridge: time a frame, memory, and what it finds where nobody is.
//
//   vision_bench blazeface|haar [minutes = 5] [FOLDER]
//
// Times: 400 frames of 640x480 with one and two people. False detections: that many minutes, at 8 frames a
// second, of a camera that moves over photographs without people; a session is a visit at the default
// settings. FOLDER then gets the frames with the boxes of whoever was taken for near, to be looked at.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"
#include "services/vision_bridge/debug_pictures.h"
#include "services/vision_bridge/settings.h"
#include "services/vision_bridge/test_pictures.h"

namespace arc::vision_bridge {
namespace {

constexpr int kFrames = 400;
constexpr double kFps = 8;
constexpr double kSecondsAPicture = 25;
const cv::Size kFrameSize(640, 480);

double RssMb() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

double CpuMs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_usec) / 1000;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

// A window that wanders over `picture` and grows and shrinks.
cv::Mat Window(const cv::Mat& picture, double second) {
  const double share = 0.7 + 0.25 * std::sin(0.3 * second);
  const double scale = std::min(picture.cols / 4.0, picture.rows / 3.0) * share;
  const cv::Size size(std::max(1, cvRound(4 * scale)), std::max(1, cvRound(3 * scale)));
  const double across = 0.5 + 0.5 * std::sin(0.21 * second);
  const double down = 0.5 + 0.5 * std::cos(0.17 * second);
  const cv::Rect place(
      cv::Point(cvFloor(across * (picture.cols - size.width)), cvFloor(down * (picture.rows - size.height))),
      size);
  cv::Mat frame;
  cv::resize(picture(place), frame, kFrameSize, 0, 0, cv::INTER_LINEAR);
  return frame;
}

int Run(const std::string& engine, double minutes, const std::string& folder) {
  Settings settings;
  settings.engine = engine;
  settings.model = kModelFile;
  settings.source.word = "0";
  const auto maker = ClipMaker::Create();
  if (!Check(settings).ok() || !maker.ok()) {
    std::fprintf(stderr, "vision_bench: no such engine, or scripts/setup is to be run\n");
    return 2;
  }
  const Script script = VisitScript();
  std::vector<cv::Mat> frames;
  for (int i = 0; i < 40; ++i) frames.push_back(maker->Draw(script, 4 + 0.25 * i));
  const double before = RssMb();
  absl::StatusOr<std::unique_ptr<Watcher>> watcher = MakeWatcher(settings);
  if (!watcher.ok()) {
    std::fprintf(stderr, "vision_bench: %s\n", std::string(watcher.status().message()).c_str());
    return 1;
  }
  std::vector<double> wall;
  const double cpu = CpuMs();
  for (int i = 0; i < kFrames; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    (*watcher)->Watch(frames[static_cast<size_t>(i) % frames.size()],
                      absl::UnixEpoch() + absl::Seconds(i / kFps));
    wall.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  const double cpu_a_frame = (CpuMs() - cpu) / kFrames;
  absl::PrintF(
      "%s: %.1f ms a frame p50, %.1f p95; %.1f ms of processor a frame, %.0f %% of a core at %.0f a second; "
      "%.0f MB for it\n",
      engine, Percentile(wall, 0.5), Percentile(wall, 0.95), cpu_a_frame, cpu_a_frame * kFps / 10, kFps,
      RssMb() - before);

  std::vector<cv::Mat> pictures;
  for (const std::string& file : PicturesWithoutFaces())
    pictures.push_back(cv::imread(file, cv::IMREAD_COLOR));
  watcher = MakeWatcher(settings);
  int boxes = 0;
  int near = 0;
  int sessions = 0;
  const int looked_at = static_cast<int>(minutes * 60 * kFps);
  for (int i = 0; i < looked_at; ++i) {
    const double second = i / kFps;
    const cv::Mat& picture = pictures[static_cast<size_t>(second / kSecondsAPicture) % pictures.size()];
    if (picture.empty()) continue;
    const cv::Mat frame = Window(picture, second);
    const Watcher::Report report = (*watcher)->Watch(frame, absl::UnixEpoch() + absl::Seconds(second));
    boxes += report.faces;
    const int near_before = near;
    for (const Track& track : (*watcher)->tracks()) {
      near += track.seen && track.face.box.h >= settings.presence.least_size * kFrameSize.height;
    }
    if (!folder.empty() && near > near_before) {
      cv::imwrite(absl::StrFormat("%s/%05d.jpg", folder, i), Annotate(frame, **watcher, report.events));
    }
    for (const VisionEvent& event : report.events)
      sessions += std::holds_alternative<messages::PersonLeft>(event.payload);
  }
  sessions += (*watcher)->presence().visited();
  absl::PrintF(
      "%s: %.1f minutes without people: %.2f boxes a minute, %.2f of them as large as somebody near, %d "
      "sessions\n",
      engine, minutes, boxes / minutes, near / minutes, sessions);
  return 0;
}

}  // namespace
}  // namespace arc::vision_bridge

int main(int argc, char** argv) {
  cv::setNumThreads(1);
  return arc::vision_bridge::Run(argc > 1 ? argv[1] : "", argc > 2 ? std::atof(argv[2]) : 5,
                                 argc > 3 ? argv[3] : "");
}
