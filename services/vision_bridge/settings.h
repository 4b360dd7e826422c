// What the command line says, checked, and what is made from it.
#ifndef ARC_SERVICES_VISION_BRIDGE_SETTINGS_H_
#define ARC_SERVICES_VISION_BRIDGE_SETTINGS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/vision_bridge/bridge.h"
#include "services/vision_bridge/presence.h"
#include "services/vision_bridge/source.h"
#include "services/vision_bridge/watcher.h"

namespace arc::vision_bridge {

struct Settings {
  SourceOptions source;
  std::string engine = "blazeface";  // or haar
  std::string model;                 // of blazeface; empty: DefaultModel()
  std::string cascade;               // of haar
  double least_confidence = 0.5;
  std::string gaze_calibration;  // file of samples; empty: none
  PresenceOptions presence;
  BridgeOptions bridge;
};

// share/arc/blazeface_256.onnx beside the folder that this program is in, where the build puts it.
std::string DefaultModel();

// "X,Y,W,H" as shares of the frame.
absl::StatusOr<Zone> ParseZone(absl::string_view text);
// "640x480"
absl::StatusOr<Size> ParseSize(absl::string_view text);
// "540,960", in pixels
absl::StatusOr<Point> ParsePoint(absl::string_view text);

// InvalidArgument: a value that makes no sense; its message names the flag.
absl::Status Check(const Settings& settings);

// Loads the engine and the calibration. Fails when a file is not there or wrong.
absl::StatusOr<std::unique_ptr<Watcher>> MakeWatcher(const Settings& settings);
absl::StatusOr<std::unique_ptr<Detector>> MakeDetector(const Settings& settings);

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_SETTINGS_H_
