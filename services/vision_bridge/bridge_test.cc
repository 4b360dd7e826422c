#include "services/vision_bridge/bridge.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "opencv2/core.hpp"
#include "services/vision_bridge/publisher.h"
#include "tests/support/await.h"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::Signal;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A frame; somebody is in it when it is white.
cv::Mat Frame(bool somebody, cv::Size size = {320, 240}) {
  return cv::Mat(size, CV_8UC3, cv::Scalar::all(somebody ? 255 : 60));
}

class FakeDetector : public Detector {
 public:
  std::string name() const override { return "fake"; }
  absl::StatusOr<std::vector<Face>> Detect(const cv::Mat& picture) override {
    if (on_detect) on_detect(picture);
    if (fails) return absl::InternalError("broken");
    if (picture.at<cv::Vec3b>(0, 0)[0] != 255) return std::vector<Face>();
    Face face;
    // Moves a little, as the living do.
    face.box = {100.0 + (count++ % 7) * 3, 80, 80, 80};
    return std::vector<Face>{face};
  }
  std::function<void(const cv::Mat&)> on_detect;
  std::atomic<bool> fails{false};
  int count = 0;
};

// Frames of a film, at 10 a second; true: somebody is there. Then it ends with `end`.
class FakeFilm : public Source {
 public:
  explicit FakeFilm(std::vector<bool> frames, absl::Status end = absl::OutOfRangeError("the end"))
      : frames_(std::move(frames)), end_(std::move(end)) {}
  bool live() const override { return false; }
  absl::StatusOr<Picture> Read(absl::Duration from) override {
    while (next_ < frames_.size() && absl::Milliseconds(100) * static_cast<int64_t>(next_) < from) ++next_;
    if (next_ == frames_.size()) return end_;
    const absl::Duration position = absl::Milliseconds(100) * static_cast<int64_t>(next_);
    return Picture{Frame(frames_[next_++]), position};
  }

 private:
  const std::vector<bool> frames_;
  const absl::Status end_;
  size_t next_ = 0;
};

// A camera: gives what the test puts in, waits for it, and is gone when the test says so.
class FakeCamera : public Source {
 public:
  struct Wire {
    Signal signal;
    std::vector<cv::Mat> frames;
    int read = 0;
    bool gone = false;
    void Put(const cv::Mat& frame) {
      signal.Set([&] { frames.push_back(frame); });
    }
    void Unplug() {
      signal.Set([&] { gone = true; });
    }
  };
  explicit FakeCamera(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  bool live() const override { return true; }
  absl::StatusOr<Picture> Read(absl::Duration) override {
    cv::Mat frame;
    bool gone = false;
    wire_->signal.Await("a frame or the camera's end", kPatience,
                        [&] { return wire_->gone || wire_->read < static_cast<int>(wire_->frames.size()); });
    wire_->signal.Set([&] {
      gone = wire_->gone;
      if (!gone) frame = wire_->frames[wire_->read++];
    });
    if (gone) return absl::UnavailableError("the camera was unplugged");
    return Picture{frame, absl::ZeroDuration()};
  }

 private:
  const std::shared_ptr<Wire> wire_;
};

class BridgeTest : public testing::Test {
 protected:
  std::unique_ptr<Bridge> Make(Bridge::Opener opener, Clock& clock = SystemClock::Get()) {
    auto detector = std::make_unique<FakeDetector>();
    detector_ = detector.get();
    auto watcher = std::make_unique<Watcher>(std::move(detector), presence_);
    return std::make_unique<Bridge>(
        clock, options_, std::move(opener), std::move(watcher),
        [this](const VisionEvent& event) { told_.Set([&] { events_.push_back(event); }); },
        [this](absl::string_view type, absl::string_view message, absl::string_view, absl::string_view) {
          told_.Set([&] { reports_.push_back(absl::StrCat(type, ": ", message)); });
        },
        nullptr);
  }
  std::vector<std::string> Told() {
    std::vector<std::string> lines;
    told_.Read([&] {
      for (const VisionEvent& event : events_) {
        lines.push_back(absl::StrCat(absl::FormatDuration(event.at - start_), " ", PayloadOf(event)));
      }
    });
    return lines;
  }
  std::vector<std::string> Reports() {
    std::vector<std::string> reports;
    told_.Read([&] { reports = reports_; });
    return reports;
  }

  BridgeOptions options_;
  PresenceOptions presence_;
  FakeDetector* detector_ = nullptr;
  Signal told_;
  std::vector<VisionEvent> events_;
  std::vector<std::string> reports_;
  absl::Time start_ = absl::UnixEpoch();
};

std::vector<bool> Visit() {
  std::vector<bool> frames(100, false);
  for (int i = 10; i < 60; ++i) frames[i] = true;
  return frames;
}

TEST_F(BridgeTest, AFilmGivesTheSameEventsAtAnySpeed) {
  options_.real_time = false;
  options_.epoch = start_;
  EXPECT_THAT(Make([] { return std::make_unique<FakeFilm>(Visit()); })->RunToEnd(), IsOk());
  const std::vector<std::string> fast = Told();
  ASSERT_THAT(fast, SizeIs(2));
  EXPECT_THAT(fast[0], HasSubstr("person_detected"));
  EXPECT_THAT(fast[1], HasSubstr("person_left"));

  // In real time, on a clock that a test moves.
  events_.clear();
  options_.real_time = true;
  ManualClock clock;
  const auto bridge = Make([] { return std::make_unique<FakeFilm>(Visit()); }, clock);
  bridge->Start();
  for (int i = 0; i < 200 && bridge->state().state != "ended"; ++i) {
    ASSERT_TRUE(Await("the bridge to wait or end", kPatience, [&] {
      if (bridge->state().state == "ended") return true;
      clock.Advance(absl::Milliseconds(125));
      return bridge->state().frames > i;
    }));
  }
  ASSERT_TRUE(Await("the end", kPatience, [&] {
    clock.Advance(absl::Milliseconds(125));
    return bridge->state().state == "ended";
  }));
  EXPECT_EQ(Told(), fast);
  EXPECT_THAT(bridge->Health(), IsOk());
}

TEST_F(BridgeTest, EventsCarryTheFramesTimes) {
  options_.real_time = false;
  options_.epoch = start_;
  EXPECT_THAT(Make([] { return std::make_unique<FakeFilm>(Visit()); })->RunToEnd(), IsOk());
  // Eight frames a second of a film that has ten: those of 1.0, 1.2, 1.3, 1.4, 1.5 and 1.7 s are the first
  // six with somebody, and that of 5.9 s is the last.
  ASSERT_THAT(events_, SizeIs(2));
  EXPECT_EQ(absl::FormatDuration(events_[0].at - start_), "1.7s");
  ASSERT_TRUE(events_[0].look.has_value());
  EXPECT_EQ(events_[0].look->engine, "fake");
  EXPECT_LE(events_[0].look->begin, events_[0].look->end);
  EXPECT_EQ(std::get<messages::PersonLeft>(events_[1].payload).duration_seconds, 4.9);
}

TEST_F(BridgeTest, TheEndOfAFilmEndsTheVisit) {
  options_.real_time = false;
  options_.epoch = start_;
  std::vector<bool> frames(30, true);
  EXPECT_THAT(Make([&] { return std::make_unique<FakeFilm>(frames); })->RunToEnd(), IsOk());
  ASSERT_THAT(events_, SizeIs(2));
  EXPECT_EQ(SubjectOf(events_[1]), "kiosk.vision.person_left");
}

TEST_F(BridgeTest, ATruncatedFilmIsReadAndSaidToBe) {
  options_.real_time = false;
  options_.epoch = start_;
  const auto broken = [&] {
    return std::make_unique<FakeFilm>(Visit(), absl::DataLossError("it is truncated"));
  };
  EXPECT_THAT(Make(broken)->RunToEnd(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
  EXPECT_THAT(events_, SizeIs(2));

  const auto bridge = Make(broken);
  bridge->Start();
  ASSERT_TRUE(Await("the end", kPatience, [&] { return bridge->state().state == "ended"; }));
  EXPECT_EQ(bridge->state().problem, "it is truncated");
}

TEST_F(BridgeTest, AFilmCanBeginAgain) {
  options_.real_time = false;
  options_.loop = true;
  const auto bridge = Make([&] { return std::make_unique<FakeFilm>(Visit()); });
  bridge->Start();
  EXPECT_TRUE(told_.Await("three visits", kPatience, [&] { return events_.size() >= 6; }));
  bridge->Stop();
}

TEST_F(BridgeTest, WithoutACameraItIsNotWellAndTriesAgain) {
  options_.first_backoff = absl::Milliseconds(1);
  options_.most_backoff = absl::Milliseconds(4);
  std::atomic<int> tries{0};
  auto wire = std::make_shared<FakeCamera::Wire>();
  std::atomic<bool> plugged{false};
  const auto bridge = Make([&]() -> absl::StatusOr<std::unique_ptr<Source>> {
    ++tries;
    if (!plugged) return absl::NotFoundError("there is no camera /dev/video0");
    return std::make_unique<FakeCamera>(wire);
  });
  EXPECT_THAT(bridge->Health(), StatusIs(absl::StatusCode::kUnavailable));
  bridge->Start();
  ASSERT_TRUE(Await("ten tries", kPatience, [&] { return tries >= 10; }));
  EXPECT_THAT(bridge->Health(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no camera /dev/video0")));
  EXPECT_EQ(bridge->state().state, "lost");
  plugged = true;
  wire->Put(Frame(false));
  ASSERT_TRUE(Await("a frame", kPatience, [&] { return bridge->state().frames == 1; }));
  EXPECT_THAT(bridge->Health(), IsOk());
  EXPECT_THAT(Reports(), ElementsAre("camera_lost: there is no camera /dev/video0"));
  EXPECT_THAT(Told(), IsEmpty());
  wire->Unplug();
  bridge->Stop();
}

TEST_F(BridgeTest, TheBackOffDoublesUpToItsLimit) {
  options_.first_backoff = absl::Milliseconds(500);
  options_.most_backoff = absl::Seconds(4);
  ManualClock clock;
  const absl::Time begin = clock.Now();
  Signal tried;
  std::vector<int64_t> at;
  const auto bridge = Make(
      [&]() -> absl::StatusOr<std::unique_ptr<Source>> {
        tried.Set([&] { at.push_back(absl::ToInt64Milliseconds(clock.Now() - begin)); });
        return absl::NotFoundError("none");
      },
      clock);
  bridge->Start();
  size_t tries = 1;
  for (const int64_t milliseconds : {500, 1000, 2000, 4000, 4000, 4000}) {
    ASSERT_TRUE(tried.Await("the next try", kPatience, [&] { return at.size() == tries; }));
    ++tries;
    clock.AwaitWaiters(1);
    // A try that came too early would have the first half's time.
    clock.Advance(absl::Milliseconds(milliseconds / 2));
    clock.Advance(absl::Milliseconds(milliseconds / 2));
  }
  ASSERT_TRUE(tried.Await("the last try", kPatience, [&] { return at.size() == tries; }));
  bridge->Stop();
  EXPECT_THAT(at, ElementsAre(0, 500, 1500, 3500, 7500, 11500, 15500));
}

TEST_F(BridgeTest, AnUnpluggedCameraEndsTheVisitAndComesBack) {
  options_.fps = 60;
  options_.first_backoff = absl::Milliseconds(1);
  presence_.grace = absl::Milliseconds(100);
  presence_.enter_frames = 2;
  presence_.most_speed = 1000;
  std::atomic<int> opened{0};
  std::vector<std::shared_ptr<FakeCamera::Wire>> wires = {std::make_shared<FakeCamera::Wire>(),
                                                          std::make_shared<FakeCamera::Wire>()};
  std::atomic<bool> plugged{true};
  const auto bridge = Make([&]() -> absl::StatusOr<std::unique_ptr<Source>> {
    if (!plugged) return absl::NotFoundError("there is no camera");
    return std::make_unique<FakeCamera>(wires[opened++]);
  });
  bridge->Start();
  for (int i = 0; i < 2; ++i) {
    wires[0]->Put(Frame(true));
    ASSERT_TRUE(Await("the frame", kPatience, [&] { return bridge->state().frames == i + 1; }));
  }
  ASSERT_TRUE(told_.Await("the visit", kPatience, [&] { return events_.size() == 1; }));
  EXPECT_EQ(bridge->state().party_size, 1);
  plugged = false;
  wires[0]->Unplug();
  ASSERT_TRUE(told_.Await("the end of the visit", kPatience, [&] { return events_.size() == 2; }));
  EXPECT_EQ(SubjectOf(events_[1]), "kiosk.vision.person_left");
  EXPECT_THAT(bridge->Health(), StatusIs(absl::StatusCode::kUnavailable));
  plugged = true;
  wires[1]->Put(Frame(false));
  ASSERT_TRUE(Await("a frame of the new camera", kPatience, [&] { return bridge->state().frames == 3; }));
  EXPECT_THAT(bridge->Health(), IsOk());
  EXPECT_EQ(bridge->state().reconnects, 1);
  EXPECT_THAT(Reports(), SizeIs(1));
  EXPECT_EQ(events_.size(), 2U);
  wires[1]->Unplug();
  bridge->Stop();
}

TEST_F(BridgeTest, ACameraThatHangsIsNotWell) {
  options_.stalled_after = absl::Milliseconds(20);
  options_.first_backoff = absl::Hours(1);
  auto wire = std::make_shared<FakeCamera::Wire>();
  const auto bridge = Make([&] { return std::make_unique<FakeCamera>(wire); });
  bridge->Start();
  wire->Put(Frame(false));
  ASSERT_TRUE(Await("the frame", kPatience, [&] { return bridge->state().frames == 1; }));
  // The reader stands in the camera's read; the bridge waits for it before it opens the camera again.
  ASSERT_TRUE(Await("no picture for long", kPatience, [&] { return bridge->state().state == "stalled"; }));
  EXPECT_THAT(bridge->Health(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no picture came")));
  wire->Unplug();
  ASSERT_TRUE(Await("the camera given up", kPatience, [&] { return bridge->state().state == "lost"; }));
  bridge->Stop();
}

TEST_F(BridgeTest, OnlyTheNewestFrameIsLookedAt) {
  auto wire = std::make_shared<FakeCamera::Wire>();
  const auto bridge = Make([&] { return std::make_unique<FakeCamera>(wire); });
  Signal gate;
  bool open = false;
  std::vector<int> looked_at;
  detector_->on_detect = [&](const cv::Mat& picture) {
    gate.Set([&] { looked_at.push_back(picture.at<cv::Vec3b>(0, 0)[0]); });
    gate.Await("the gate", kPatience, [&] { return open; });
  };
  bridge->Start();
  wire->Put(cv::Mat(240, 320, CV_8UC3, cv::Scalar::all(100)));
  ASSERT_TRUE(
      gate.Await("the first frame to be looked at", kPatience, [&] { return looked_at.size() == 1; }));
  for (int grey = 101; grey <= 150; ++grey) wire->Put(cv::Mat(240, 320, CV_8UC3, cv::Scalar::all(grey)));
  ASSERT_TRUE(wire->signal.Await("the camera to be read", kPatience, [&] { return wire->read == 51; }));
  // The last one is read; it is in its place once the reader waits for another, which this one makes certain.
  wire->Put(cv::Mat(240, 320, CV_8UC3, cv::Scalar::all(151)));
  ASSERT_TRUE(wire->signal.Await("the last frame to be read", kPatience, [&] { return wire->read == 52; }));
  gate.Set([&] { open = true; });
  ASSERT_TRUE(
      gate.Await("the second frame to be looked at", kPatience, [&] { return looked_at.size() >= 2; }));
  EXPECT_GE(looked_at[1], 150);
  ASSERT_TRUE(Await("the count", kPatience, [&] { return bridge->state().passed_over >= 49; }));
  wire->Unplug();
  bridge->Stop();
}

TEST_F(BridgeTest, ABlackPictureIsSaidOnceAndStartsNothing) {
  options_.real_time = false;
  options_.epoch = start_;
  class Dark : public FakeFilm {
   public:
    Dark() : FakeFilm(std::vector<bool>(600, false)) {}
    absl::StatusOr<Picture> Read(absl::Duration from) override {
      absl::StatusOr<Picture> picture = FakeFilm::Read(from);
      if (picture.ok()) picture->pixels = cv::Mat(240, 320, CV_8UC3, cv::Scalar::all(2));
      return picture;
    }
  };
  const auto bridge = Make([] { return std::make_unique<Dark>(); });
  int looked_at = 0;
  detector_->on_detect = [&](const cv::Mat&) { ++looked_at; };
  EXPECT_THAT(bridge->RunToEnd(), IsOk());
  EXPECT_TRUE(bridge->state().dark);
  EXPECT_EQ(looked_at, 0);
  EXPECT_THAT(Reports(), ElementsAre(HasSubstr("camera_dark")));
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(BridgeTest, ATinyPictureIsSaidAndStartsNothing) {
  options_.real_time = false;
  class Tiny : public FakeFilm {
   public:
    Tiny() : FakeFilm(std::vector<bool>(100, true)) {}
    absl::StatusOr<Picture> Read(absl::Duration from) override {
      absl::StatusOr<Picture> picture = FakeFilm::Read(from);
      if (picture.ok()) picture->pixels = Frame(true, {1, 1});
      return picture;
    }
  };
  const auto bridge = Make([] { return std::make_unique<Tiny>(); });
  EXPECT_THAT(bridge->RunToEnd(), IsOk());
  EXPECT_TRUE(bridge->state().too_small);
  EXPECT_EQ(bridge->state().width, 1);
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(BridgeTest, AnEngineThatFailsSeesNobody) {
  options_.real_time = false;
  const auto bridge = Make([] { return std::make_unique<FakeFilm>(Visit()); });
  detector_->fails = true;
  EXPECT_THAT(bridge->RunToEnd(), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(bridge->state().frames, 80);
}

TEST_F(BridgeTest, FramesAreWrittenOnlyWhenAskedFor) {
  options_.real_time = false;
  const testing_support::TempDir folder;
  const auto count = [&] {
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
      files += entry.is_regular_file();
    return files;
  };
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_THAT(Make([] { return std::make_unique<FakeFilm>(Visit()); })->RunToEnd(), IsOk());
  std::filesystem::current_path(before);
  EXPECT_EQ(count(), 0);
  options_.debug_dir = folder.File("debug");
  EXPECT_THAT(Make([] { return std::make_unique<FakeFilm>(Visit()); })->RunToEnd(), IsOk());
  EXPECT_EQ(count(), 80);
}

}  // namespace
}  // namespace arc::vision_bridge
