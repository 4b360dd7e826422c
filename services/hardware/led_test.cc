#include "services/hardware/led.h"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/file_util.h"
#include "services/hardware/test_support.h"

namespace arc::hardware {
namespace {

using messages::LedPattern;
using ::testing::HasSubstr;

constexpr Color kGreen{0, 255, 0};
constexpr Color kRed{255, 0, 0};

TEST(ColorTest, TakesSixDigitsInEitherCase) {
  EXPECT_THAT(ParseColor("#00FF00"), IsOkAndHolds(kGreen));
  EXPECT_THAT(ParseColor("#a1B2c3"), IsOkAndHolds(Color{0xA1, 0xB2, 0xC3}));
  EXPECT_EQ(FormatColor(Color{0xA1, 0xB2, 0x03}), "#A1B203");
  for (const char* bad :
       {"", "#", "00FF00", "#00FF0", "#00FF000", "#00FG00", "green", "#+0FF00", "# 0FF00", "#0x1234"}) {
    EXPECT_THAT(ParseColor(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.color")))
        << bad;
    EXPECT_THAT(ParseColor(bad), HasErrorCode(ErrorCode::kInvalidRequest)) << bad;
  }
}

TEST(OpenLedTest, NamesWhatItTakes) {
  for (const char* bad : {"", "file:", "sysfs:", "gpio:3"}) {
    EXPECT_THAT(OpenLed(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sysfs:DIR"))) << bad;
  }
}

class FileLedTest : public testing::Test {
 protected:
  std::string Shown() { return ReadFile(path_).value_or("unreadable"); }

  testing_support::TempDir folder_;
  const std::string path_ = folder_.path() + "/led.json";
  ManualClock clock_;
  Led led_{clock_, *OpenLed("file:" + path_)};
};

TEST_F(FileLedTest, ShowsUntilChanged) {
  ASSERT_THAT(led_.Set(kGreen, LedPattern::kPulse, absl::ZeroDuration()), IsOk());
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Shown(), "{\"color\":\"#00FF00\",\"pattern\":\"pulse\"}\n");
  EXPECT_EQ(led_.state().color, "#00FF00");
}

TEST_F(FileLedTest, IsOffAfterItsDuration) {
  ASSERT_THAT(led_.Set(kGreen, LedPattern::kSolid, absl::Milliseconds(2000)), IsOk());
  clock_.Advance(absl::Milliseconds(1999));
  EXPECT_EQ(led_.state().color, "#00FF00");
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Shown(), "{\"color\":\"#000000\",\"pattern\":\"solid\"}\n");
  EXPECT_EQ(led_.state().color, "#000000");
}

TEST_F(FileLedTest, AnEarlierTimerDoesNotEndALaterColour) {
  ASSERT_THAT(led_.Set(kGreen, LedPattern::kSolid, absl::Seconds(2)), IsOk());
  clock_.Advance(absl::Seconds(1));
  ASSERT_THAT(led_.Set(kRed, LedPattern::kError, absl::ZeroDuration()), IsOk());
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(Shown(), "{\"color\":\"#FF0000\",\"pattern\":\"error\"}\n");
}

TEST_F(FileLedTest, TimersMayOutliveTheLed) {
  {
    Led led(clock_, *OpenLed("file:" + path_));
    ASSERT_THAT(led.Set(kGreen, LedPattern::kSolid, absl::Seconds(1)), IsOk());
  }
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(Shown(), HasSubstr("#00FF00"));
}

TEST_F(FileLedTest, ManyAtOnceLeaveAWholeState) {
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) {
        EXPECT_THAT(led_.Set(i % 2 == 0 ? kGreen : kRed, LedPattern::kSolid, absl::Seconds(i % 3)), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto state = json::Decode<messages::LedState>(Shown());
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->color, led_.state().color);
}

TEST_F(FileLedTest, ALightThatCannotBeDrivenIsAHardwareError) {
  Led led(clock_, *OpenLed(absl::StrCat("file:", folder_.path(), "/none/led.json")));
  EXPECT_THAT(led.Set(kGreen, LedPattern::kSolid, absl::Seconds(1)), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_EQ(led.state().color, "#000000");
}

// The attributes of a light of the kernel, as plain files.
class SysfsLedTest : public testing::Test {
 protected:
  void Attribute(const std::string& name, const std::string& value) {
    ASSERT_THAT(ReplaceFile(absl::StrCat(folder_.path(), "/", name), value, false), IsOk());
  }
  std::string Value(const std::string& name) {
    return ReadFile(absl::StrCat(folder_.path(), "/", name)).value_or("none");
  }
  absl::Status Show(const Color& color, LedPattern pattern) {
    return (*OpenLed("sysfs:" + folder_.path()))->Show(color, pattern);
  }

  testing_support::TempDir folder_;
};

TEST_F(SysfsLedTest, SetsColoursInTheOrderOfTheLight) {
  Attribute("max_brightness", "100\n");
  Attribute("brightness", "0\n");
  Attribute("multi_index", "green red blue\n");
  Attribute("multi_intensity", "0 0 0\n");
  ASSERT_THAT(Show({255, 51, 0}, LedPattern::kSolid), IsOk());
  EXPECT_EQ(Value("multi_intensity"), "20 100 0");
  EXPECT_EQ(Value("brightness"), "100");
  ASSERT_THAT(Show(Color(), LedPattern::kPulse), IsOk());
  EXPECT_EQ(Value("brightness"), "0");
}

TEST_F(SysfsLedTest, OneColourLightsShowTheBrightestPart) {
  Attribute("max_brightness", "1\n");
  Attribute("brightness", "0\n");
  ASSERT_THAT(Show({0, 255, 10}, LedPattern::kError), IsOk());
  EXPECT_EQ(Value("brightness"), "1");
}

TEST_F(SysfsLedTest, PatternsRunByTheTriggersOfTheKernel) {
  Attribute("max_brightness", "200\n");
  Attribute("brightness", "0\n");
  Attribute("pattern", "");
  Attribute("delay_on", "");
  Attribute("delay_off", "");
  Attribute("trigger", "[none] timer pattern heartbeat\n");
  ASSERT_THAT(Show(kRed, LedPattern::kError), IsOk());
  EXPECT_EQ(Value("trigger"), "timer");
  EXPECT_EQ(Value("delay_on"), "150");
  EXPECT_EQ(Value("delay_off"), "150");

  Attribute("trigger", "none timer [pattern] heartbeat\n");
  ASSERT_THAT(Show(kRed, LedPattern::kPulse), IsOk());
  EXPECT_EQ(Value("trigger"), "pattern");
  EXPECT_EQ(Value("pattern"), "0 700 200 700");

  Attribute("trigger", "none [timer]\n");
  ASSERT_THAT(Show(kRed, LedPattern::kSolid), IsOk());
  EXPECT_EQ(Value("trigger"), "none");
  EXPECT_EQ(Value("brightness"), "200");
}

TEST_F(SysfsLedTest, MissingLightIsAnError) {
  EXPECT_THAT(Show(kRed, LedPattern::kSolid),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("max_brightness")));
}

}  // namespace
}  // namespace arc::hardware
