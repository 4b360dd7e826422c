// Messages of kiosk.vision.* (kiosk specification, section 6.1). Producer: vision bridge. Consumer:
// orchestrator.
#ifndef ARC_COMMON_MESSAGES_VISION_H_
#define ARC_COMMON_MESSAGES_VISION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/json/json.h"

namespace arc::messages {

// Pixels of the camera's frame, origin at the top left.
struct BoundingBox {
  double x = 0;
  double y = 0;
  double w = 0;
  double h = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("x", s.x);
    v.Required("y", s.y);
    v.Required("w", s.w);
    v.Required("h", s.h);
  }
};

// kiosk.vision.person_detected: somebody stands at the kiosk, or the party's size changed.
struct PersonDetected {
  std::optional<double> confidence;         // 0 to 1
  std::optional<BoundingBox> bounding_box;  // of the nearest person's face or body
  std::optional<std::string> box_kind;      // which of the two: face or body
  bool face_detected = false;
  std::string estimated_age_group = "unknown";
  int64_t estimated_party_size = 1;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "person_detected");
    v.Optional("confidence", s.confidence, json::Range(0, 1));
    v.Optional("bounding_box", s.bounding_box);
    v.Optional("box_kind", s.box_kind, json::Range(0, 40));
    v.Optional("face_detected", s.face_detected);
    v.Optional("estimated_age_group", s.estimated_age_group, json::Range(0, 40));
    v.Optional("estimated_party_size", s.estimated_party_size, json::Range(0, 1000));
  }
};

// kiosk.vision.person_left
struct PersonLeft {
  double duration_seconds = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "person_left");
    v.Optional("duration_seconds", s.duration_seconds, json::Range(0, int64_t{86400} * 365));
  }
};

// Pixels of the kiosk's screen.
struct GazePoint {
  double x = 0;
  double y = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("x", s.x);
    v.Required("y", s.y);
  }
};

// kiosk.vision.gaze_detected
struct GazeDetected {
  bool looking_at_screen = false;
  std::optional<GazePoint> gaze_point;  // null unless something measured it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "gaze_detected");
    v.Required("looking_at_screen", s.looking_at_screen);
    v.Nullable("gaze_point", s.gaze_point);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_VISION_H_
