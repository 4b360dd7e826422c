#include "services/vision_bridge/presence.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/vision_bridge/tracker.h"

namespace arc::vision_bridge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Size kFrame = {640, 480};

// Key points of a head that looks ahead, or 60 degrees to the side.
KeyPoints Head(const Box& box, bool looks) {
  const double angle = looks ? 0 : 60 * 3.14159265358979323846 / 180;
  constexpr double kPoints[kKeyPointCount][3] = {{-32, -32, 0}, {32, -32, 0},    {0, 8, 28},
                                                 {0, 38, 8},    {-68, -20, -85}, {68, -20, -85}};
  KeyPoints points;
  for (int i = 0; i < kKeyPointCount; ++i) {
    points[i] = {
        box.center().x + (kPoints[i][0] * std::cos(angle) + kPoints[i][2] * std::sin(angle)) * box.w / 150,
        box.center().y + kPoints[i][1] * box.w / 150};
  }
  return points;
}

// Somebody in front of the camera, as a function of the second; none: not seen.
struct Look {
  double x = 320;
  double size = 100;
  bool looks = true;
  double confidence = 0.9;
};
using Life = std::function<std::optional<Look>(double second)>;

// Stays from one second to another, moving as the living do.
Life Stays(double from, double to, double x = 320, double size = 100) {
  return [=](double second) -> std::optional<Look> {
    if (second < from || second > to) return std::nullopt;
    return Look{x + 0.1 * size * std::sin(second), size, true};
  };
}

class PresenceTest : public ::testing::Test {
 protected:
  // Runs a film of `people` at 8 pictures a second and returns its events, each as a short line.
  std::vector<std::string> Film(double seconds, const std::vector<Life>& people, bool key_points = true) {
    Tracker tracker({options_.grace, options_.least_new_confidence});
    presence_.emplace(options_);
    std::vector<std::string> lines;
    events_.clear();
    for (int i = 0; i / 8.0 <= seconds; ++i) {
      const double second = i / 8.0;
      const absl::Time now = absl::UnixEpoch() + absl::Seconds(second);
      std::vector<Face> faces;
      for (const Life& life : people) {
        const std::optional<Look> look = life(second);
        if (!look.has_value()) continue;
        Face face;
        face.box = {look->x - look->size / 2, 240 - look->size / 2, look->size, look->size};
        face.confidence = look->confidence;
        if (key_points) face.key_points = Head(face.box, look->looks);
        faces.push_back(face);
      }
      Note(presence_->Update(now, kFrame, tracker.Update(now, faces)), lines);
    }
    return lines;
  }
  void Note(const std::vector<VisionEvent>& events, std::vector<std::string>& lines) {
    for (const VisionEvent& event : events) {
      events_.push_back(event);
      const double at = absl::ToDoubleSeconds(event.at - absl::UnixEpoch());
      if (const auto* detected = std::get_if<messages::PersonDetected>(&event.payload)) {
        lines.push_back(absl::StrFormat("%.3f party %d", at, detected->estimated_party_size));
      } else if (const auto* left = std::get_if<messages::PersonLeft>(&event.payload)) {
        lines.push_back(absl::StrFormat("%.3f left after %.3f", at, left->duration_seconds));
      } else {
        const auto& gaze = std::get<messages::GazeDetected>(event.payload);
        lines.push_back(absl::StrFormat("%.3f looks %s", at, gaze.looking_at_screen ? "yes" : "no"));
      }
    }
  }

  PresenceOptions options_;
  std::optional<Presence> presence_;
  std::vector<VisionEvent> events_;
};

TEST_F(PresenceTest, AVisitBeginsAfterSomeFramesAndEndsAfterTheGracePeriod) {
  // Six frames from 1 s on; the gaze is told when it has lasted 0.4 s. The face counts as not looking after
  // 0.8 s unseen and 0.4 s more; gone after 2 s, with the time from the first to the last frame.
  EXPECT_THAT(Film(20, {Stays(1, 11)}),
              ElementsAre("1.625 party 1", "2.125 looks yes", "12.375 looks no", "13.125 left after 10.000"));
}

TEST_F(PresenceTest, ThePersonIsDescribed) {
  Film(3, {Stays(1, 11)});
  const auto& detected = std::get<messages::PersonDetected>(events_.at(0).payload);
  EXPECT_EQ(detected.confidence, 0.9);
  EXPECT_TRUE(detected.face_detected);
  EXPECT_EQ(detected.box_kind, "face");
  EXPECT_EQ(detected.estimated_age_group, "unknown");
  EXPECT_EQ(detected.bounding_box->w, 100);
  EXPECT_EQ(detected.bounding_box->y, 190);
  EXPECT_EQ(std::get<messages::GazeDetected>(events_.at(1).payload).gaze_point, std::nullopt);
}

TEST_F(PresenceTest, FewerFramesStartNothing) {
  EXPECT_THAT(Film(10, {Stays(1, 1.5)}), IsEmpty());
  options_.enter_frames = 5;
  EXPECT_THAT(Film(10, {Stays(1, 1.5)}), SizeIs(testing::Gt(0)));
}

TEST_F(PresenceTest, APasserByStartsNothingHoweverNear) {
  // Across the frame in two seconds: three widths of the face a second.
  const Life walks = [](double second) { return Look{40 + 280 * (second - 1), 90}; };
  const Life passes = [&](double second) -> std::optional<Look> {
    if (second < 1 || second > 3) return std::nullopt;
    return walks(second);
  };
  EXPECT_THAT(Film(10, {passes}), IsEmpty());
  options_.most_speed = 10;
  EXPECT_THAT(Film(10, {passes}), SizeIs(testing::Gt(0)));
}

TEST_F(PresenceTest, OneWhoWalksUpAndStopsIsPresentOnceStopped) {
  const Life comes = [](double second) -> std::optional<Look> {
    if (second < 1 || second > 10) return std::nullopt;
    return Look{second < 2 ? 40 + 280 * (second - 1) : 320 + 5 * std::sin(second), 90};
  };
  const std::vector<std::string> lines = Film(8, {comes});
  ASSERT_THAT(lines, SizeIs(2));
  const double at = absl::ToDoubleSeconds(events_[0].at - absl::UnixEpoch());
  EXPECT_GT(at, 2);
  EXPECT_LT(at, 2.7);
}

TEST_F(PresenceTest, OneWhoWalksStraightUpIsPresentAtOnce) {
  // The face grows from 40 to 160 pixels within a second, well to one side of the frame.
  const Life comes = [](double second) -> std::optional<Look> {
    if (second < 1 || second > 10) return std::nullopt;
    return Look{480 + 3 * std::sin(second), second < 2 ? 40 + 120 * (second - 1) : 160};
  };
  // Large enough from 1.25 s on.
  EXPECT_THAT(Film(3, {comes}), ElementsAre("1.875 party 1", "2.375 looks yes"));
}

TEST_F(PresenceTest, TheFarAndThoseBesideTheZoneStartNothing) {
  EXPECT_THAT(Film(10, {Stays(1, 9, 320, 50)}), IsEmpty());
  EXPECT_THAT(Film(10, {Stays(1, 9, 20, 100)}), IsEmpty());
  options_.least_size = 0.1;
  EXPECT_THAT(Film(10, {Stays(1, 9, 320, 50)}), SizeIs(testing::Gt(0)));
  options_.zone = {0.6, 0, 0.4, 1};
  EXPECT_THAT(Film(10, {Stays(1, 9, 320, 100)}), IsEmpty());
}

TEST_F(PresenceTest, OneAtTheEdgeOfTheZoneDoesNotComeAndGo) {
  // The face's size swings around the least one; it is 0.12 of 480, 57.6 pixels.
  const Life sways = [](double second) {
    return Look{320 + 10 * std::sin(second), 57.6 + 5 * std::sin(3 * second)};
  };
  std::vector<std::string> lines = Film(60, {sways});
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[0], testing::HasSubstr("party 1"));
  EXPECT_THAT(lines[1], testing::HasSubstr("looks yes"));
}

TEST_F(PresenceTest, ThePartyIsCounted) {
  EXPECT_THAT(Film(30, {Stays(1, 21, 200), Stays(5, 15, 450, 80)}),
              ElementsAre("1.625 party 1", "2.125 looks yes", "5.625 party 2", "17.125 party 1",
                          "22.375 looks no", "23.125 left after 20.000"));
}

TEST_F(PresenceTest, TheVisitIsThatOfThePartyNotOfTheFirst) {
  EXPECT_THAT(Film(30, {Stays(1, 10, 200), Stays(5, 20, 450)}),
              ElementsAre("1.625 party 1", "2.125 looks yes", "5.625 party 2", "12.125 party 1",
                          "21.375 looks no", "22.125 left after 19.000"));
}

TEST_F(PresenceTest, APartyThatLeavesTogetherLeavesOnce) {
  EXPECT_THAT(Film(30, {Stays(1, 10, 200), Stays(1, 10.5, 450)}),
              ElementsAre("1.625 party 2", "2.125 looks yes", "11.875 looks no", "12.625 left after 9.500"));
}

TEST_F(PresenceTest, SomebodyHiddenForAMomentDoesNotLeave) {
  const Life hides = [](double second) -> std::optional<Look> {
    if (second > 4 && second < 5.5) return std::nullopt;
    return Stays(1, 10)(second);
  };
  EXPECT_THAT(Film(13, {hides}),
              ElementsAre("1.625 party 1", "2.125 looks yes", "5.375 looks no", "6.000 looks yes",
                          "11.375 looks no", "12.125 left after 9.000"));
}

TEST_F(PresenceTest, SomebodyWhoMovedTooFastForTheTrackerIsNotCountedTwice) {
  const Life jumps = [](double second) -> std::optional<Look> {
    if (second > 4 && second < 4.5) return std::nullopt;
    return Stays(1, 10, second < 4.5 ? 180 : 460)(second);
  };
  const std::vector<std::string> lines = Film(13, {jumps});
  for (const std::string& line : lines) EXPECT_THAT(line, testing::Not(testing::HasSubstr("party 2")));
  EXPECT_EQ(lines.back(), "12.125 left after 9.000");
}

TEST_F(PresenceTest, TheGazeIsToldWhenItChangesForLonger) {
  const Life glances = [](double second) -> std::optional<Look> {
    std::optional<Look> look = Stays(1, 10)(second);
    if (look.has_value()) look->looks = !(second > 4 && second < 4.3) && !(second > 6 && second < 8);
    return look;
  };
  EXPECT_THAT(Film(9, {glances}),
              ElementsAre("1.625 party 1", "2.125 looks yes", "6.625 looks no", "8.500 looks yes"));
}

TEST_F(PresenceTest, AnUnsureFaceDoesNotBeginToLook) {
  const Life unsure = [](double second) -> std::optional<Look> {
    std::optional<Look> look = Stays(1, 10)(second);
    if (look.has_value()) look->confidence = second < 4 ? 0.7 : second < 6 ? 0.8 : 0.65;
    return look;
  };
  EXPECT_THAT(Film(9, {unsure}), ElementsAre("1.625 party 1", "4.500 looks yes"));
}

TEST_F(PresenceTest, OneOfThePartyWhoLooksIsEnough) {
  const Life looks_away = [](double second) -> std::optional<Look> {
    std::optional<Look> look = Stays(1, 10, 200)(second);
    if (look.has_value()) look->looks = second < 4;
    return look;
  };
  EXPECT_THAT(Film(9, {looks_away, Stays(1, 10, 450)}), ElementsAre("1.625 party 2", "2.125 looks yes"));
}

TEST_F(PresenceTest, WithoutKeyPointsNothingIsSaidOfTheGaze) {
  EXPECT_THAT(Film(20, {Stays(1, 11)}, false), ElementsAre("1.625 party 1", "13.125 left after 10.000"));
}

TEST_F(PresenceTest, WithACalibrationThePointIsTold) {
  GazeSamples samples;
  samples.screen_width = 1000;
  samples.screen_height = 1000;
  for (const double yaw : {-20.0, 20.0}) {
    for (const double pitch : {-20.0, 20.0}) {
      samples.samples.push_back({yaw, pitch, yaw < 0 ? 0.0 : 1000.0, pitch < 0 ? 1000.0 : 0.0});
    }
  }
  options_.gaze.calibration = *GazeCalibration::Fit(samples);
  Film(5, {Stays(1, 11)});
  ASSERT_THAT(events_, SizeIs(2));
  const auto& gaze = std::get<messages::GazeDetected>(events_[1].payload);
  ASSERT_TRUE(gaze.gaze_point.has_value());
  EXPECT_NEAR(gaze.gaze_point->x, 500, 5);
  EXPECT_NEAR(gaze.gaze_point->y, 500, 5);
}

// A poster: always there, with the detector's unrest of about 1 %.
Life Poster(double x = 320, double size = 100) {
  return [=](double second) {
    return std::optional<Look>(
        {x + 0.01 * size * std::sin(37 * second), size * (1 + 0.01 * std::sin(23 * second)), true});
  };
}

TEST_F(PresenceTest, APosterIsOneVisitAtMostAndThenNothing) {
  EXPECT_THAT(Film(1800, {Poster()}),
              ElementsAre("0.625 party 1", "1.125 looks yes", "60.000 looks no", "60.000 left after 59.875"));
}

TEST_F(PresenceTest, APosterThatIsSeenNowAndThenStaysAPoster) {
  const Life flickers = [](double second) -> std::optional<Look> {
    if (second > 70 && std::fmod(second, 10) < 5) return std::nullopt;
    return Poster()(second);
  };
  EXPECT_THAT(Film(1200, {flickers}), SizeIs(4));
}

TEST_F(PresenceTest, APosterThatIsCoveredNowAndThenIsKnownAfterTenSecondsInAll) {
  const auto shown = [](double seconds, double period) -> Life {
    return [=](double second) -> std::optional<Look> {
      if (std::fmod(second, period) >= seconds) return std::nullopt;
      return Poster()(second);
    };
  };
  const auto visits = [&](const std::vector<std::string>& lines) {
    return std::count_if(lines.begin(), lines.end(),
                         [](const std::string& line) { return line.find("left") != std::string::npos; });
  };
  EXPECT_EQ(visits(Film(600, {shown(30, 33)})), 1);
  EXPECT_EQ(visits(Film(600, {shown(3, 6)})), 4);
}

TEST_F(PresenceTest, CustomersWhoStandInOnePlaceOneAfterTheOtherAreSeen) {
  // Each walks up for a second, and then hardly moves.
  const Life walks_up = [](double second) -> std::optional<Look> {
    const double since = std::fmod(second, 20);
    if (since > 14) return std::nullopt;
    return Look{320, since < 1 ? 50 + 50 * since : 100 * (1 + 0.01 * std::sin(23 * second)), true};
  };
  const std::vector<std::string> lines = Film(200, {walks_up});
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const std::string& line) { return line.find("party 1") != std::string::npos; }),
            10);
}

TEST_F(PresenceTest, SomebodyBesideAPosterIsSeen) {
  const std::vector<std::string> lines = Film(100, {Poster(200), Stays(80, 90, 450)});
  ASSERT_THAT(lines, SizeIs(8));
  EXPECT_EQ(lines[4], "80.625 party 1");
  EXPECT_EQ(lines[7], "92.125 left after 10.000");
}

TEST_F(PresenceTest, SomebodyWhoPassesBeforeAPosterDoesNotWakeIt) {
  const Life passes = [](double second) -> std::optional<Look> {
    if (second < 80 || second > 82) return std::nullopt;
    return Look{40 + 280 * (second - 80), 95};
  };
  // The detector sees one face where both are in one place.
  const Life hidden = [&](double second) -> std::optional<Look> {
    const std::optional<Look> other = passes(second);
    if (other.has_value() && std::abs(other->x - 320) < 60) return std::nullopt;
    return Poster()(second);
  };
  EXPECT_THAT(Film(200, {hidden, passes}), SizeIs(4));
}

TEST_F(PresenceTest, SomebodyStandingStillForLongIsNoPosterWhileTheyBreathe) {
  EXPECT_THAT(Film(600, {Stays(1, 599)}), SizeIs(2));
}

TEST_F(PresenceTest, TheEndOfTheFilmEndsTheVisit) {
  std::vector<std::string> lines = Film(5, {Stays(1, 11)});
  ASSERT_THAT(lines, SizeIs(2));
  Note(presence_->End(absl::UnixEpoch() + absl::Seconds(5)), lines);
  EXPECT_THAT(lines,
              ElementsAre("1.625 party 1", "2.125 looks yes", "5.000 looks no", "5.000 left after 4.000"));
  EXPECT_THAT(presence_->End(absl::UnixEpoch() + absl::Seconds(6)), IsEmpty());
}

TEST_F(PresenceTest, AnEmptyFrameIsNoFrame) {
  Presence presence(options_);
  Track track;
  track.seen = true;
  EXPECT_THAT(presence.Update(absl::UnixEpoch(), {0, 0}, {track}), IsEmpty());
}

}  // namespace
}  // namespace arc::vision_bridge
