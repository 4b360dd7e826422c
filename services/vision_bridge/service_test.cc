// Settings, --dry_run and --calibrate_at with the real engines, on films that the test makes.
#include "services/vision_bridge/service.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/json/json.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/vision_bridge/test_pictures.h"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One line of --dry_run.
struct Payload {
  std::string event;
  int64_t estimated_party_size = 0;
  double duration_seconds = 0;
  bool looking_at_screen = false;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("event", s.event);
    v.Optional("estimated_party_size", s.estimated_party_size);
    v.Optional("duration_seconds", s.duration_seconds);
    v.Optional("looking_at_screen", s.looking_at_screen);
  }
};
struct Line {
  double at = 0;
  std::string subject;
  Payload payload;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("at", s.at);
    v.Required("subject", s.subject);
    v.Required("payload", s.payload);
  }
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    settings_.model = kModelFile;
    settings_.bridge.real_time = false;
  }
  std::string Film(const Script& script, const std::string& name = "film.avi") {
    std::string file = folder_.File(name);
    const auto maker = ClipMaker::Create();
    EXPECT_THAT(maker, IsOk());
    if (maker.ok()) {
      EXPECT_THAT(maker->Write(script, file), IsOk());
    }
    return file;
  }
  std::vector<Line> Run(int status = 0) {
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(DryRun(settings_, out, err), status) << err.str();
    err_ = err.str();
    out_ = out.str();
    std::vector<Line> lines;
    for (const absl::string_view text : absl::StrSplit(out_, '\n', absl::SkipEmpty())) {
      const auto line = json::Decode<Line>(text);
      EXPECT_THAT(line, IsOk()) << text;
      if (line.ok()) lines.push_back(*line);
    }
    return lines;
  }

  testing_support::TempDir folder_;
  Settings settings_;
  std::string out_;
  std::string err_;
};

TEST_F(ServiceTest, AVisitGivesExactlyItsEvents) {
  settings_.source.word = Film(VisitScript());
  const std::vector<Line> lines = Run();
  ASSERT_THAT(lines, SizeIs(5)) << out_;

  // The first walks up from 3 s to 4 s and is near from 3.2 s on; the second from 8.5 s to 9.5 s.
  EXPECT_EQ(lines[0].payload.event, "person_detected");
  EXPECT_EQ(lines[0].payload.estimated_party_size, 1);
  EXPECT_THAT(lines[0].at, DoubleNear(3.9, 0.25));
  EXPECT_EQ(lines[1].payload.event, "gaze_detected");
  EXPECT_TRUE(lines[1].payload.looking_at_screen);
  EXPECT_THAT(lines[1].at, DoubleNear(lines[0].at + 0.45, 0.15));
  EXPECT_EQ(lines[2].payload.event, "person_detected");
  EXPECT_EQ(lines[2].payload.estimated_party_size, 2);
  EXPECT_THAT(lines[2].at, DoubleNear(9.4, 0.25));
  // Both turn their heads away from 15 s to 15.6 s, and are gone after 20 s.
  EXPECT_EQ(lines[3].payload.event, "gaze_detected");
  EXPECT_FALSE(lines[3].payload.looking_at_screen);
  // Told within a second of the end of the turn, not before it is half done.
  EXPECT_GT(lines[3].at, 15.3);
  EXPECT_LT(lines[3].at, 16.6);
  EXPECT_EQ(lines[4].payload.event, "person_left");
  EXPECT_THAT(lines[4].payload.duration_seconds, DoubleNear(20 - 3.3, 0.5));
  EXPECT_THAT(lines[4].at, DoubleNear(22.1, 0.4));
  EXPECT_EQ(lines[4].subject, "kiosk.vision.person_left");
}

TEST_F(ServiceTest, TheSameFilmGivesTheSameEventsAgainAndInRealTime) {
  Script script = VisitScript();
  // The first person alone, for a second and a half.
  script.seconds = 3;
  script.actors = {{{{0.2, 0.5, 0.45, 0.3, 0}, {1.7, 0.5, 0.45, 0.3, 0}}, false}};
  settings_.source.word = Film(script);
  ASSERT_THAT(Run(), SizeIs(testing::Ge(2)));
  const std::string first = out_;
  Run();
  EXPECT_EQ(out_, first);
  settings_.bridge.real_time = true;
  Run();
  EXPECT_EQ(out_, first);
}

TEST_F(ServiceTest, HaarTellsOfTheVisitWithoutGazeAndConfidence) {
  settings_.engine = "haar";
  settings_.cascade = kCascadeFile;
  Script script = VisitScript();
  script.seconds = 8;
  script.actors = {{{{1, 0.5, 0.45, 0.3, 0}, {5, 0.5, 0.45, 0.3, 0}}, false}};
  settings_.source.word = Film(script);
  const std::vector<Line> lines = Run();
  ASSERT_THAT(lines, SizeIs(2)) << out_;
  EXPECT_EQ(lines[0].payload.event, "person_detected");
  EXPECT_EQ(lines[1].payload.event, "person_left");
  EXPECT_THAT(lines[1].payload.duration_seconds, DoubleNear(4, 0.3));
  EXPECT_THAT(out_, testing::Not(HasSubstr("confidence")));
}

TEST_F(ServiceTest, DistantPedestriansStartNothing) {
  settings_.source.word = kPedestrians;
  settings_.bridge.fps = 4;  // half as many frames, for the test's sake; the README has all of them
  EXPECT_THAT(Run(), IsEmpty());
  EXPECT_THAT(err_, HasSubstr("frames of 768x576 looked at by blazeface"));
}

TEST_F(ServiceTest, APhotographOnTheWallIsOneVisitAtMost) {
  // Noise as a camera has it; nothing moves.
  Script script;
  script.fps = 4;
  script.seconds = 90;
  script.sway = 0;
  script.frame = {320, 240};
  script.actors = {{{{0, 0.5, 0.45, 0.3, 0}, {90, 0.5, 0.45, 0.3, 0}}, false}};
  settings_.bridge.fps = 4;
  settings_.source.word = Film(script);
  const std::vector<Line> lines = Run();
  ASSERT_THAT(lines, SizeIs(4)) << out_;
  EXPECT_EQ(lines[3].payload.event, "person_left");
  EXPECT_THAT(lines[3].at, DoubleNear(60, 3));
}

TEST_F(ServiceTest, BadSourcesAreSaid) {
  settings_.source.word = folder_.File("none.avi");
  EXPECT_THAT(Run(1), IsEmpty());
  EXPECT_THAT(err_, HasSubstr("there is no file"));

  settings_.source.word = "0";
  EXPECT_THAT(Run(2), IsEmpty());
  EXPECT_THAT(err_, HasSubstr("which have an end"));

  settings_.source.word = kPedestrians;
  settings_.model = folder_.File("none.onnx");
  EXPECT_THAT(Run(1), IsEmpty());
  EXPECT_THAT(err_, HasSubstr("scripts/setup"));

  settings_.gaze_calibration = folder_.File("none.json");
  EXPECT_THAT(Run(1), IsEmpty());
  EXPECT_THAT(err_, HasSubstr("--calibrate_at makes it"));
}

TEST_F(ServiceTest, ATruncatedFilmGivesWhatItHolds) {
  Script script = VisitScript();
  script.seconds = 6;
  const std::string whole = testing_support::ReadFile(Film(script));
  settings_.source.word = folder_.File("half.avi");
  std::ofstream(settings_.source.word, std::ios::binary)
      << whole.substr(0, static_cast<size_t>(whole.size() * 0.85));
  const std::vector<Line> lines = Run(1);
  EXPECT_THAT(err_, HasSubstr("truncated"));
  ASSERT_THAT(lines, SizeIs(testing::Ge(2)));
  EXPECT_EQ(lines.front().payload.event, "person_detected");
  EXPECT_EQ(lines.back().payload.event, "person_left");
}

TEST_F(ServiceTest, ACalibrationIsTakenAndUsed) {
  settings_.gaze_calibration = folder_.File("gaze.json");
  const auto calibrate = [&](double yaw, const std::string& at) {
    Script script;
    script.seconds = 3;
    script.sway = 0;
    script.actors = {{{{0, 0.5, 0.45, 0.35, yaw}, {3, 0.5, 0.45, 0.35, yaw}}, false}};
    settings_.source.word = Film(script);
    std::ostringstream out;
    std::ostringstream err;
    const int status = Calibrate(settings_, at, "1000x800", out, err);
    return absl::StrCat(status, " ", out.str(), err.str());
  };
  EXPECT_THAT(calibrate(-20, "100,400"), HasSubstr("0 yaw -"));
  EXPECT_THAT(calibrate(0, "500,400"), HasSubstr("2 more are needed"));
  calibrate(20, "900,400");
  calibrate(10, "700,400");
  EXPECT_THAT(calibrate(0, "nonsense"), HasSubstr("2 arc-vision-bridge: --calibrate_at"));
  EXPECT_THAT(calibrate(0, "-1,1e300"), HasSubstr("is not on the screen of 1000x800"));
  const auto samples = ParseGazeSamples(testing_support::ReadFile(settings_.gaze_calibration));
  ASSERT_THAT(samples, IsOk());
  ASSERT_THAT(samples->samples, SizeIs(4));
  EXPECT_LT(samples->samples[0].yaw, -8);
  EXPECT_GT(samples->samples[2].yaw, 8);
  EXPECT_EQ(samples->samples[1].x, 500);
}

TEST_F(ServiceTest, AFolderForDebugPicturesThatCannotBeIsSaid) {
  Script script;
  script.seconds = 1;
  settings_.source.word = Film(script);
  settings_.bridge.debug_dir = settings_.source.word;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(DryRun(settings_, out, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("--debug_dir"));
}

TEST_F(ServiceTest, WithoutAFaceThereIsNoCalibration) {
  settings_.gaze_calibration = folder_.File("gaze.json");
  Script script;
  script.seconds = 2;
  settings_.source.word = Film(script);
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(Calibrate(settings_, "1,1", "100x100", out, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("stand at the kiosk"));
}

TEST(Settings, AreReadStrictly) {
  EXPECT_THAT(ParseZone("0.1,0,0.8,1"), IsOk());
  for (const char* text :
       {"", "1", "0,0,1", "0,0,0,1", "0.5,0,0.6,1", "-0.1,0,1,1", "a,b,c,d", "0,0,1,nan"}) {
    EXPECT_THAT(ParseZone(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--zone"))) << text;
  }
  EXPECT_THAT(ParseSize("640x480"), IsOk());
  for (const char* text : {"640", "0x0", "640x", "99999x1"}) EXPECT_FALSE(ParseSize(text).ok()) << text;
  EXPECT_THAT(ParsePoint("-4,7.5"), IsOk());
  EXPECT_FALSE(ParsePoint("4").ok());
}

TEST(Settings, EachIsWithinItsRange) {
  const auto refused = [](const std::function<void(Settings&)>& change, const std::string& flag) {
    Settings settings;
    settings.source.word = "0";
    EXPECT_THAT(Check(settings), IsOk());
    change(settings);
    EXPECT_THAT(Check(settings), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(flag)));
  };
  refused([](Settings& s) { s.engine = "magic"; }, "--engine");
  refused([](Settings& s) { s.source.word = ""; }, "--source");
  refused([](Settings& s) { s.bridge.fps = 0; }, "--fps");
  refused([](Settings& s) { s.bridge.fps = std::nan(""); }, "--fps");
  refused([](Settings& s) { s.source.sequence_fps = 0; }, "--sequence_fps");
  refused([](Settings& s) { s.source.hold = -absl::Seconds(1); }, "--hold");
  refused([](Settings& s) { s.least_confidence = 1.5; }, "--least_confidence");
  refused([](Settings& s) { s.presence.least_new_confidence = 0.4; }, "--new_confidence");
  refused([](Settings& s) { s.presence.least_size = 0; }, "--least_face");
  refused([](Settings& s) { s.presence.enter_frames = 0; }, "--enter_frames");
  refused([](Settings& s) { s.presence.most_speed = 0; }, "--most_speed");
  refused([](Settings& s) { s.presence.grace = absl::InfiniteDuration(); }, "--grace");
  refused([](Settings& s) { s.presence.still_after = absl::Seconds(1); }, "--still_after");
  refused([](Settings& s) { s.presence.gaze.most_yaw = 0; }, "--gaze_yaw");
  refused([](Settings& s) { s.presence.gaze.most_pitch = 91; }, "--gaze_pitch");
}

}  // namespace
}  // namespace arc::vision_bridge
