#include "services/vision_bridge/gaze.h"

#include <cmath>
#include <limits>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::vision_bridge {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;

// The key points of a generic head (other proportions than the estimator's), turned by yaw, then pitch, as a
// camera far away sees them.
KeyPoints HeadAt(double yaw, double pitch, double roll = 0, double scale = 1) {
  constexpr double kPoints[kKeyPointCount][3] = {{-31, -33, 1}, {31, -33, 1},    {0, 7, 27},
                                                 {0, 37, 9},    {-70, -20, -84}, {70, -20, -84}};
  const double r = 3.14159265358979323846 / 180;
  KeyPoints points;
  for (int i = 0; i < kKeyPointCount; ++i) {
    const double* p = kPoints[i];
    // Up is -y. Pitch about x, then yaw about y, then roll in the picture.
    const double y1 = p[1] * std::cos(pitch * r) - p[2] * std::sin(pitch * r);
    const double z1 = p[1] * std::sin(pitch * r) + p[2] * std::cos(pitch * r);
    const double x2 = p[0] * std::cos(yaw * r) + z1 * std::sin(yaw * r);
    points[i] = {320 + scale * (x2 * std::cos(roll * r) - y1 * std::sin(roll * r)),
                 240 + scale * (x2 * std::sin(roll * r) + y1 * std::cos(roll * r))};
  }
  return points;
}

TEST(HeadDirection, IsThatOfTheHead) {
  for (const double yaw : {-50.0, -20.0, 0.0, 20.0, 50.0}) {
    for (const double pitch : {-25.0, 0.0, 25.0}) {
      const auto head = EstimateHeadDirection(HeadAt(yaw, pitch));
      ASSERT_TRUE(head.has_value());
      EXPECT_THAT(head->yaw, DoubleNear(yaw, 4)) << yaw << " " << pitch;
      EXPECT_THAT(head->pitch, DoubleNear(pitch, 4)) << yaw << " " << pitch;
    }
  }
}

TEST(HeadDirection, DoesNotDependOnSizePlaceOrAFewDegreesOfTilt) {
  const auto head = EstimateHeadDirection(HeadAt(20, 0));
  for (const double scale : {0.2, 5.0}) {
    const auto other = EstimateHeadDirection(HeadAt(20, 0, 0, scale));
    EXPECT_THAT(other->yaw, DoubleNear(head->yaw, 1e-6));
  }
  EXPECT_THAT(EstimateHeadDirection(HeadAt(0, 0, 10))->yaw, DoubleNear(0, 3));
}

TEST(HeadDirection, IsNoneOfWhatIsNoHead) {
  EXPECT_FALSE(EstimateHeadDirection(KeyPoints{}).has_value());
  KeyPoints points = HeadAt(0, 0);
  points[kMouth].y = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(EstimateHeadDirection(points).has_value());
  for (Point& point : points) point = {100, 100};
  EXPECT_FALSE(EstimateHeadDirection(points).has_value());
  for (int i = 0; i < kKeyPointCount; ++i) points[i] = {100.0 + i, 100.0 + i};  // all in one line
  EXPECT_FALSE(EstimateHeadDirection(points).has_value());
}

TEST(Looks, WithinTheAnglesAndALittleFurtherWhenItDoesAlready) {
  GazeOptions options;
  options.most_yaw = 20;
  options.most_pitch = 15;
  EXPECT_TRUE(LooksAtScreen(options, {19, 14}, false));
  EXPECT_FALSE(LooksAtScreen(options, {22, 0}, false));
  EXPECT_TRUE(LooksAtScreen(options, {-22, 0}, true));
  EXPECT_FALSE(LooksAtScreen(options, {26, 0}, true));
  EXPECT_FALSE(LooksAtScreen(options, {0, -17}, false));
  EXPECT_TRUE(LooksAtScreen(options, {0, -17}, true));
  EXPECT_EQ(GazePointOf(options, {0, 0}), std::nullopt);
}

// A screen of 1080 by 1920 whose point is 50 pixels a (tangent) degree, with its middle straight ahead.
GazeSamples Samples() {
  GazeSamples samples;
  samples.screen_width = 1080;
  samples.screen_height = 1920;
  const double r = 3.14159265358979323846 / 180;
  for (const double yaw : {-10.0, 0.0, 10.0}) {
    for (const double pitch : {-15.0, 5.0, 15.0}) {
      samples.samples.push_back(
          {yaw, pitch, 540 + 50 / r * std::tan(yaw * r), 960 - 50 / r * std::tan(pitch * r)});
    }
  }
  return samples;
}

TEST(GazeCalibration, FindsThePointOfADirection) {
  const auto calibration = GazeCalibration::Fit(Samples());
  ASSERT_THAT(calibration, IsOk());
  EXPECT_THAT(calibration->error(), DoubleNear(0, 1e-6));
  EXPECT_THAT(calibration->PointOf({0, 0}).x, DoubleNear(540, 1e-6));
  EXPECT_THAT(calibration->PointOf({0, 0}).y, DoubleNear(960, 1e-6));
  EXPECT_THAT(calibration->PointOf({5, 0}).x, DoubleNear(540 + 250, 2));
  EXPECT_THAT(calibration->PointOf({0, 5}).y, DoubleNear(960 - 250, 2));
}

TEST(GazeCalibration, DecidesByTheScreenAndKeepsThePointOnIt) {
  GazeOptions options;
  options.most_yaw = 1;
  options.calibration = *GazeCalibration::Fit(Samples());
  EXPECT_TRUE(LooksAtScreen(options, {10, 0}, false));
  EXPECT_TRUE(LooksAtScreen(options, {15, 0}, false));  // beside it, within a quarter of its width
  EXPECT_FALSE(LooksAtScreen(options, {18, 0}, false));
  EXPECT_TRUE(LooksAtScreen(options, {18, 0}, true));
  EXPECT_FALSE(LooksAtScreen(options, {25, 0}, true));
  const auto point = GazePointOf(options, {15, -40});
  ASSERT_TRUE(point.has_value());
  EXPECT_EQ(point->x, 1079);
  EXPECT_EQ(point->y, 1919);
}

TEST(GazeCalibration, RefusesWhatTellsNothing) {
  GazeSamples few = Samples();
  few.samples.resize(3);
  EXPECT_THAT(GazeCalibration::Fit(few),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at least 4")));

  GazeSamples line = Samples();
  for (GazeSample& sample : line.samples) sample.pitch = 2 * sample.yaw;
  line.samples.resize(4);
  for (size_t i = 0; i < 4; ++i) line.samples[i].pitch = 0;
  EXPECT_THAT(GazeCalibration::Fit(line),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("in one line")));

  GazeSamples contrary = Samples();
  for (size_t i = 0; i < contrary.samples.size(); i += 2)
    contrary.samples[i].x = 1080 - contrary.samples[i].x;
  for (size_t i = 0; i < contrary.samples.size(); ++i) contrary.samples[i].y = i % 2 == 0 ? 0 : 1920;
  EXPECT_THAT(GazeCalibration::Fit(contrary),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("contradict")));

  GazeSamples no_screen = Samples();
  no_screen.screen_width = 0;
  EXPECT_THAT(GazeCalibration::Fit(no_screen),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("screen_width")));
}

TEST(GazeSamples, AreReadStrictly) {
  EXPECT_THAT(
      ParseGazeSamples(
          R"({"screen_width":1080,"screen_height":1920,"samples":[{"yaw":1,"pitch":2,"x":3,"y":4}]})"),
      IsOk());
  EXPECT_THAT(ParseGazeSamples(R"({"screen_width":1080,"screen_height":1920,"samples":[{"yaw":1}]})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("samples[0].pitch")));
  EXPECT_THAT(ParseGazeSamples("nonsense"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("JSON")));
}

}  // namespace
}  // namespace arc::vision_bridge
