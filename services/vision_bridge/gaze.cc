#include "services/vision_bridge/gaze.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"

namespace arc::vision_bridge {
namespace {

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;

constexpr double kDegrees = 180 / 3.14159265358979323846;
constexpr double kFurther = 5;        // degrees that a head which looks may turn further
constexpr double kBeside = 0.25;      // share of the screen around it that still counts
constexpr double kMostMiss = 0.2;     // of the screen, that a calibration may miss its samples by
constexpr double kMostTangent = 5.7;  // of 80 degrees

// A head's key points in a frontal view, in millimetres: x to the picture's right, y down, z to the camera.
// Only their proportions matter.
constexpr std::array<Vector, kKeyPointCount> kHead = {{
    {-32, -32, 0},    // right eye
    {32, -32, 0},     // left eye
    {0, 8, 28},       // tip of the nose
    {0, 38, 8},       // mouth
    {-68, -20, -85},  // right ear
    {68, -20, -85},   // left ear
}};

double Dot(const Vector& a, const Vector& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
double Norm(const Vector& a) {
  return std::sqrt(Dot(a, a));
}

Vector Cross(const Vector& a, const Vector& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// The solution of m x = b; none when m is singular.
std::optional<Vector> Solve(const Matrix& m, const Vector& b) {
  const double determinant = Dot(m[0], Cross(m[1], m[2]));
  const double scale = Norm(m[0]) * Norm(m[1]) * Norm(m[2]);
  if (!(std::abs(determinant) > 1e-9 * scale)) return std::nullopt;
  // Cramer's rule on the rows: the inverse's columns are the cross products.
  const Vector c0 = Cross(m[1], m[2]);
  const Vector c1 = Cross(m[2], m[0]);
  const Vector c2 = Cross(m[0], m[1]);
  Vector x;
  for (int i = 0; i < 3; ++i) x[i] = (c0[i] * b[0] + c1[i] * b[1] + c2[i] * b[2]) / determinant;
  return x;
}

// The least squares solution of rows x = values.
std::optional<Vector> LeastSquares(const std::vector<Vector>& rows, const std::vector<double>& values) {
  Matrix normal{};
  Vector right{};
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) normal[a][b] += rows[i][a] * rows[i][b];
      right[a] += rows[i][a] * values[i];
    }
  }
  return Solve(normal, right);
}

double Tangent(double degrees) {
  return std::clamp(std::tan(degrees / kDegrees), -kMostTangent, kMostTangent);
}

}  // namespace

std::optional<HeadDirection> EstimateHeadDirection(const KeyPoints& points) {
  // The picture is the head turned, shrunk and moved: two rows of a scaled rotation, by least squares around
  // the centres of both.
  Vector head_center{};
  Point center;
  for (int i = 0; i < kKeyPointCount; ++i) {
    if (!std::isfinite(points[i].x) || !std::isfinite(points[i].y)) return std::nullopt;
    for (int k = 0; k < 3; ++k) head_center[k] += kHead[i][k] / kKeyPointCount;
    center.x += points[i].x / kKeyPointCount;
    center.y += points[i].y / kKeyPointCount;
  }
  std::vector<Vector> rows;
  std::vector<double> xs;
  std::vector<double> ys;
  for (int i = 0; i < kKeyPointCount; ++i) {
    rows.push_back(
        {kHead[i][0] - head_center[0], kHead[i][1] - head_center[1], kHead[i][2] - head_center[2]});
    xs.push_back(points[i].x - center.x);
    ys.push_back(points[i].y - center.y);
  }
  const std::optional<Vector> x = LeastSquares(rows, xs);
  const std::optional<Vector> y = LeastSquares(rows, ys);
  if (!x.has_value() || !y.has_value()) return std::nullopt;
  const double x_norm = Norm(*x);
  const double y_norm = Norm(*y);
  if (!(x_norm > 1e-6) || !(y_norm > 1e-6)) return std::nullopt;
  // Where the head's own z axis points to: the cross product of the rows is how the camera sees it.
  const Vector a = {(*x)[0] / x_norm, (*x)[1] / x_norm, (*x)[2] / x_norm};
  const Vector b = {(*y)[0] / y_norm, (*y)[1] / y_norm, (*y)[2] / y_norm};
  const Vector c = Cross(a, b);
  const double c_norm = Norm(c);
  if (!(c_norm > 1e-3)) return std::nullopt;
  HeadDirection direction;
  direction.yaw = std::atan2(a[2], c[2] / c_norm) * kDegrees;
  direction.pitch = std::atan2(-b[2], std::hypot(a[2], c[2] / c_norm)) * kDegrees;
  return direction;
}

absl::StatusOr<GazeSamples> ParseGazeSamples(absl::string_view json) {
  return json::Decode<GazeSamples>(json);
}

absl::StatusOr<GazeCalibration> GazeCalibration::Fit(const GazeSamples& samples) {
  if (samples.screen_width < 1 || samples.screen_height < 1 || samples.screen_width > 100000 ||
      samples.screen_height > 100000) {
    return absl::InvalidArgumentError("screen_width and screen_height: must be 1 to 100000 pixels");
  }
  if (samples.samples.size() < kLeastSamples) {
    return absl::InvalidArgumentError(absl::StrCat("samples: ", samples.samples.size(), " of them; at least ",
                                                   kLeastSamples, " are needed"));
  }
  GazeCalibration calibration;
  calibration.screen_ = {static_cast<int>(samples.screen_width), static_cast<int>(samples.screen_height)};
  std::vector<Vector> rows;
  std::vector<double> xs;
  std::vector<double> ys;
  for (const GazeSample& sample : samples.samples) {
    rows.push_back({1, Tangent(sample.yaw), Tangent(sample.pitch)});
    xs.push_back(sample.x);
    ys.push_back(sample.y);
  }
  const std::optional<Vector> x = LeastSquares(rows, xs);
  const std::optional<Vector> y = LeastSquares(rows, ys);
  if (!x.has_value() || !y.has_value()) {
    return absl::InvalidArgumentError(
        "samples: all head directions lie in one line; take some from other corners of the screen");
  }
  calibration.x_ = *x;
  calibration.y_ = *y;
  double x_squares = 0;
  double y_squares = 0;
  for (const GazeSample& sample : samples.samples) {
    const Point point = calibration.PointOf({sample.yaw, sample.pitch});
    x_squares += (point.x - sample.x) * (point.x - sample.x);
    y_squares += (point.y - sample.y) * (point.y - sample.y);
  }
  const double count = static_cast<double>(samples.samples.size());
  if (std::sqrt(x_squares / count) > kMostMiss * calibration.screen_.w ||
      std::sqrt(y_squares / count) > kMostMiss * calibration.screen_.h) {
    return absl::InvalidArgumentError(
        "samples: they contradict one another; look straight at each point, with the head, and take them "
        "again");
  }
  calibration.error_ = std::sqrt((x_squares + y_squares) / count);
  return calibration;
}

Point GazeCalibration::PointOf(const HeadDirection& direction) const {
  const Vector row = {1, Tangent(direction.yaw), Tangent(direction.pitch)};
  return {Dot(row, x_), Dot(row, y_)};
}

bool LooksAtScreen(const GazeOptions& options, const HeadDirection& direction, bool looks) {
  if (!options.calibration.has_value()) {
    const double further = looks ? kFurther : 0;
    return std::abs(direction.yaw) <= options.most_yaw + further &&
           std::abs(direction.pitch) <= options.most_pitch + further;
  }
  const Point point = options.calibration->PointOf(direction);
  const Size& screen = options.calibration->screen();
  const double beside = looks ? 1.5 * kBeside : kBeside;
  return point.x >= -beside * screen.w && point.x <= (1 + beside) * screen.w &&
         point.y >= -beside * screen.h && point.y <= (1 + beside) * screen.h;
}

std::optional<Point> GazePointOf(const GazeOptions& options, const HeadDirection& direction) {
  if (!options.calibration.has_value()) return std::nullopt;
  const Point point = options.calibration->PointOf(direction);
  const Size& screen = options.calibration->screen();
  return Point{std::clamp(point.x, 0.0, screen.w - 1.0), std::clamp(point.y, 0.0, screen.h - 1.0)};
}

}  // namespace arc::vision_bridge
