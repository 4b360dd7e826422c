// Where a head looks, from the six key points of its face; and where on the screen that is, once somebody has
// measured it there. Pure functions and values, thread-safe.
//
// Key points give the direction of the head, not of the eyes. A point on the screen is told only by a
// GazeCalibration, which comes from samples taken at this kiosk.
#ifndef ARC_SERVICES_VISION_BRIDGE_GAZE_H_
#define ARC_SERVICES_VISION_BRIDGE_GAZE_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

// Degrees. 0, 0 is a head that faces the camera. Yaw is positive towards the picture's right, pitch upwards.
struct HeadDirection {
  double yaw = 0;
  double pitch = 0;
};

// None when the key points cannot be those of a head: all in one place, or no numbers.
std::optional<HeadDirection> EstimateHeadDirection(const KeyPoints& points);

// A head direction, and the point of the screen that was looked at.
struct GazeSample {
  double yaw = 0;    // degrees
  double pitch = 0;  // degrees
  double x = 0;      // pixels of the screen
  double y = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("yaw", s.yaw);
    v.Required("pitch", s.pitch);
    v.Required("x", s.x);
    v.Required("y", s.y);
  }
};

// The file --gaze_calibration, JSON.
struct GazeSamples {
  int64_t screen_width = 0;  // pixels
  int64_t screen_height = 0;
  std::vector<GazeSample> samples;

  template <class S, class V>
  static void Describe(S& s, V& v);
};

// The screen's point as a linear function of the tangents of yaw and pitch.
class GazeCalibration {
 public:
  static constexpr size_t kLeastSamples = 4;

  // Fits `samples`. InvalidArgument: too few, all in one line, or they contradict one another (they miss
  // their own points by more than a fifth of the screen's width or height on the average).
  static absl::StatusOr<GazeCalibration> Fit(const GazeSamples& samples);

  // Not limited to the screen.
  Point PointOf(const HeadDirection& direction) const;
  const Size& screen() const { return screen_; }
  double error() const { return error_; }  // root mean square of the samples' own misses, in pixels

 private:
  Size screen_;
  std::array<double, 3> x_{};  // of 1, tan(yaw), tan(pitch)
  std::array<double, 3> y_{};
  double error_ = 0;
};

absl::StatusOr<GazeSamples> ParseGazeSamples(absl::string_view json);

// Decides whether a head looks at the screen.
struct GazeOptions {
  double most_yaw = 20;    // degrees to either side
  double most_pitch = 20;  // degrees up or down
  std::optional<GazeCalibration> calibration;
};

// Whether a head in `direction` looks at the screen. One that looks already may turn a little further before
// it does not: `looks` is what was said of it last. With a calibration the screen itself, and a quarter
// around it, is what counts, else the angles.
bool LooksAtScreen(const GazeOptions& options, const HeadDirection& direction, bool looks);

// The point of the screen, moved to its nearest edge where it lies outside; none without a calibration.
std::optional<Point> GazePointOf(const GazeOptions& options, const HeadDirection& direction);

template <class S, class V>
void GazeSamples::Describe(S& s, V& v) {
  v.Required("screen_width", s.screen_width);
  v.Required("screen_height", s.screen_height);
  v.Required("samples", s.samples);
}

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_GAZE_H_
