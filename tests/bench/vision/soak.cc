// Many frames: does the vision bridge keep its memory? A film of a visit again and again, as fast as it goes.
//
//   vision_soak [frames = 20000] [blazeface|haar]
//
// Prints the resident memory after each tenth, and ends with 1 when it grew by more than a twentieth after
// the first fifth, or when a visit was missed.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "common/clock/clock.h"
#include "common/metrics/metrics.h"
#include "opencv2/core.hpp"
#include "services/vision_bridge/bridge.h"
#include "services/vision_bridge/settings.h"
#include "services/vision_bridge/test_pictures.h"
#include "tests/support/await.h"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

double RssMb() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

int Run(int64_t frames, const std::string& engine) {
  const testing_support::TempDir folder;
  Settings settings;
  settings.engine = engine;
  settings.model = kModelFile;
  settings.source.word = folder.File("visit.avi");
  settings.bridge.real_time = false;
  settings.bridge.loop = true;
  const auto maker = ClipMaker::Create();
  if (!maker.ok() || !Check(settings).ok() || !maker->Write(VisitScript(), settings.source.word).ok())
    return 2;
  absl::StatusOr<std::unique_ptr<Watcher>> watcher = MakeWatcher(settings);
  if (!watcher.ok()) return 2;
  Metrics metrics("vision_bridge");
  std::atomic<int64_t> visits{0};
  std::atomic<int64_t> ends{0};
  Bridge bridge(
      SystemClock::Get(), settings.bridge, [&] { return OpenSource(settings.source); }, *std::move(watcher),
      [&](const VisionEvent& event) {
        if (const auto* detected = std::get_if<messages::PersonDetected>(&event.payload)) {
          visits += detected->estimated_party_size == 1;
        }
        ends += std::holds_alternative<messages::PersonLeft>(event.payload);
      },
      [](absl::string_view, absl::string_view, absl::string_view, absl::string_view) {}, &metrics);
  bridge.Start();
  double settled = 0;
  double last = 0;
  for (int tenth = 1; tenth <= 10; ++tenth) {
    const int64_t until = frames * tenth / 10;
    if (!testing_support::Await("a tenth of the frames", absl::Hours(1),
                                [&] { return bridge.state().frames >= until; })) {
      return 1;
    }
    last = RssMb();
    if (tenth == 2) settled = last;
    absl::PrintF("%7d frames: %.1f MB\n", until, last);
    std::fflush(stdout);
  }
  bridge.Stop();
  const int64_t loops = frames / 200;  // 25 s at 8 frames a second
  absl::PrintF("%d visits seen in %d films\n", ends.load(), loops);
  return last > settled * 1.05 || ends < loops || visits < loops ? 1 : 0;
}

}  // namespace
}  // namespace arc::vision_bridge

int main(int argc, char** argv) {
  setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);  // as the agent does
  cv::setNumThreads(1);
  return arc::vision_bridge::Run(argc > 1 ? std::atoll(argv[1]) : 20000, argc > 2 ? argv[2] : "blazeface");
}
