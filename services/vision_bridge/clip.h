// Films of people who walk up to a kiosk, made from one photograph of a face: for demonstrations and tests.
// Heads are cut out, moved, resized and turned (as if painted on an ellipsoid). The same script gives the
// same film.
#ifndef ARC_SERVICES_VISION_BRIDGE_CLIP_H_
#define ARC_SERVICES_VISION_BRIDGE_CLIP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

// Where the photograph is (Debian's python3-skimage) and its face in it.
inline constexpr char kDemoPhoto[] = "/usr/lib/python3/dist-packages/skimage/data/astronaut.png";

// A person at one moment of the film; between two of them everything changes evenly.
struct Pose {
  double second = 0;
  double x = 0.5;     // middle of the face, as a share of the frame's width
  double y = 0.45;    // and height
  double size = 0.3;  // height of the face, as a share of the frame's height
  double yaw = 0;     // degrees that the head is turned to the picture's right
};

struct Actor {
  std::vector<Pose> poses;  // in the frame from the first one's time to the last one's
  bool mirrored = false;
};

struct Script {
  Size frame = {640, 480};
  double fps = 15;
  double seconds = 0;
  double sway = 0.01;  // of every head, as a share of its size, as living people do; 0: none
  double noise = 3;    // of the camera, in grey levels
  std::vector<Actor> actors;
};

class ClipMaker {
 public:
  // NotFound: there is no such photograph.
  static absl::StatusOr<ClipMaker> Create(const std::string& photo = kDemoPhoto);

  cv::Mat Draw(const Script& script, double second) const;
  // An AVI file of JPEG frames, without sound.
  absl::Status Write(const Script& script, const std::string& file) const;

 private:
  ClipMaker(cv::Mat person, cv::Mat mask) : person_(std::move(person)), mask_(std::move(mask)) {}
  void DrawActor(const Script& script, const Actor& actor, double second, size_t index, cv::Mat& frame) const;

  cv::Mat person_;  // head and shoulders
  cv::Mat mask_;    // how much of a pixel is the person's, 0 to 1
};

// Somebody walks up at 3 s, is joined by a second person at 9 s, both look away at 15 s and are gone at 20 s.
Script VisitScript();

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_CLIP_H_
