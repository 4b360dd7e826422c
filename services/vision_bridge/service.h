// The agent's working part: the bridge, made once its engine is loaded. And what runs without an agent.
#ifndef ARC_SERVICES_VISION_BRIDGE_SERVICE_H_
#define ARC_SERVICES_VISION_BRIDGE_SERVICE_H_

#include <memory>
#include <mutex>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "common/clock/clock.h"
#include "common/metrics/metrics.h"
#include "services/vision_bridge/bridge.h"
#include "services/vision_bridge/settings.h"

namespace arc::vision_bridge {

// Thread-safe.
class Service {
 public:
  Service(Settings settings, Clock& clock, Metrics& metrics, Bridge::OnEvent on_event, Bridge::Report report);

  // Loads the engine and begins to watch. Fails while a file is missing or wrong.
  absl::Status Start();
  void Stop();
  absl::Status Health() const;
  std::string StateJson() const;

 private:
  const Settings settings_;
  Clock& clock_;
  Metrics& metrics_;
  const Bridge::OnEvent on_event_;
  const Bridge::Report report_;
  mutable std::mutex mutex_;
  absl::Status problem_ = absl::UnavailableError("starting");  // guarded by mutex_, while bridge_ is null
  std::unique_ptr<Bridge> bridge_;                             // guarded by mutex_
};

// Prints the events of a film or of pictures as JSON lines, times in seconds from its first picture. Returns
// the exit status: 0 it was read to its end, 1 it was not, or a file is missing, 2 wrong settings.
int DryRun(Settings settings, std::ostream& out, std::ostream& err);

// Watches the nearest face for some pictures and adds where it looks, as a sample for the point `at` ("X,Y"),
// to the calibration file, which is made with `screen` ("1080x1920") where there is none. Returns the exit
// status.
int Calibrate(const Settings& settings, const std::string& at, const std::string& screen, std::ostream& out,
              std::ostream& err);

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_SERVICE_H_
