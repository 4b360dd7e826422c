// A face as an engine found it in one picture, and the little geometry that the agent needs. Knows no OpenCV.
#ifndef ARC_SERVICES_VISION_BRIDGE_FACE_H_
#define ARC_SERVICES_VISION_BRIDGE_FACE_H_

#include <algorithm>
#include <array>
#include <optional>

namespace arc::vision_bridge {

struct Point {
  double x = 0;
  double y = 0;
};

// Pixels of the picture, origin at the top left. May reach beyond the picture's edges.
struct Box {
  double x = 0;
  double y = 0;
  double w = 0;
  double h = 0;

  Point center() const { return {x + w / 2, y + h / 2}; }
  double area() const { return w * h; }
};

struct Size {
  int w = 0;
  int h = 0;
};

// Indices of Face::key_points. Left and right are the person's own.
enum KeyPoint { kRightEye, kLeftEye, kNoseTip, kMouth, kRightEar, kLeftEar, kKeyPointCount };
using KeyPoints = std::array<Point, kKeyPointCount>;

struct Face {
  Box box;                              // of the face, from the brows to the chin; not of the body
  std::optional<double> confidence;     // 0 to 1; none where the engine measures none
  std::optional<KeyPoints> key_points;  // pixels; none where the engine measures none
};

// Area of the intersection over that of the union, 0 to 1.
inline double Overlap(const Box& a, const Box& b) {
  const double w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x);
  const double h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  return w * h / (a.area() + b.area() - w * h);
}

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_FACE_H_
