#include "services/voice/ear.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/clock/clock.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::voice {
namespace {

using ::testing::SizeIs;

// Loud is voice.
class LoudIsVoice : public VoiceActivity {
 public:
  bool IsVoice(absl::Span<const int16_t> step) override {
    EXPECT_EQ(step.size(), kStepSamples);
    return std::any_of(step.begin(), step.end(), [](int16_t sample) { return std::abs(sample) > 1000; });
  }
};

class EarTest : public testing::Test {
 protected:
  Ear::Listener Listener() {
    Ear::Listener listener;
    listener.on_sound = [this](absl::Span<const int16_t> step) {
      heard_.insert(heard_.end(), step.begin(), step.end());
    };
    listener.on_speech_started = [this](absl::Time at) {
      started_.push_back(at);
      pre_roll_ = ear_.PreRoll();
    };
    listener.on_speech_continues = [this](absl::Duration voiced) { voiced_ = voiced; };
    listener.on_speech_stopped = [this](absl::Time at, absl::Duration voiced) {
      stopped_.push_back(at);
      voiced_ = voiced;
    };
    return listener;
  }

  absl::Status Push(const std::string& bytes, const std::string& format = "pcm_s16le;rate=16000;channels=1",
                    const std::optional<std::string>& seq = std::nullopt) {
    MicFrame frame;
    if (!format.empty()) frame.format = format;
    frame.seq = seq.has_value() ? seq : absl::StrCat(seq_++);
    frame.bytes = bytes;
    return ear_.Push(clock_.Now(), frame);
  }
  static std::string Sound(absl::Duration lasts, int16_t level, int rate = 16000, int channels = 1) {
    const auto count =
        static_cast<size_t>(absl::ToDoubleSeconds(lasts) * rate) * static_cast<size_t>(channels);
    audio::Samples samples(count);
    for (size_t i = 0; i < count; ++i) samples[i] = (i / 8) % 2 == 0 ? level : static_cast<int16_t>(-level);
    return audio::EncodePcm(samples);
  }
  // 20 ms at a time, in real time.
  void Play(absl::Duration lasts, int16_t level, int rate = 16000, int channels = 1) {
    for (absl::Duration at; at < lasts; at += absl::Milliseconds(20)) {
      clock_.Advance(absl::Milliseconds(20));
      ASSERT_THAT(Push(Sound(absl::Milliseconds(20), level, rate, channels),
                       absl::StrCat("pcm_s16le;rate=", rate, ";channels=", channels)),
                  IsOk());
    }
  }

  ManualClock clock_;
  Ear ear_{EarOptions(), std::make_unique<LoudIsVoice>(), Listener()};
  uint64_t seq_ = 0;
  audio::Samples heard_;
  audio::Samples pre_roll_;
  std::vector<absl::Time> started_;
  std::vector<absl::Time> stopped_;
  absl::Duration voiced_;
};

TEST_F(EarTest, SpeechStartsAndStops) {
  Play(absl::Seconds(1), 0);
  const absl::Time begin = clock_.Now();
  Play(absl::Seconds(1), 8000);
  const absl::Time end = clock_.Now();
  Play(absl::Seconds(1), 0);
  ASSERT_THAT(started_, SizeIs(1));
  ASSERT_THAT(stopped_, SizeIs(1));
  EXPECT_LE(absl::AbsDuration(started_[0] - begin), absl::Milliseconds(20));
  EXPECT_LE(absl::AbsDuration(stopped_[0] - end), absl::Milliseconds(20));
  EXPECT_EQ(voiced_, absl::Seconds(1));
  // The first syllable and 300 ms before it.
  EXPECT_GE(pre_roll_.size(), 16000u * 380 / 1000);
  EXPECT_LE(pre_roll_.size(), 16000u * 420 / 1000);
  EXPECT_EQ(heard_.size(), 48000u);
}

TEST_F(EarTest, ClicksAndShortPausesAreNoEvents) {
  for (int i = 0; i < 20; ++i) {
    Play(absl::Milliseconds(40), 8000);
    Play(absl::Milliseconds(200), 0);
  }
  EXPECT_THAT(started_, SizeIs(0));
  Play(absl::Seconds(1), 8000);
  Play(absl::Milliseconds(120), 0);
  Play(absl::Seconds(1), 8000);
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_THAT(stopped_, SizeIs(0));
}

TEST_F(EarTest, AnotherRateAndTwoChannels) {
  for (const auto& [rate, channels] : {std::pair<int, int>(8000, 1), {48000, 2}, {44100, 1}, {16000, 2}}) {
    const size_t before = heard_.size();
    started_.clear();
    stopped_.clear();
    Play(absl::Milliseconds(500), 0, rate, channels);
    Play(absl::Milliseconds(1000), 8000, rate, channels);
    Play(absl::Milliseconds(500), 0, rate, channels);
    EXPECT_THAT(started_, SizeIs(1)) << rate;
    EXPECT_THAT(stopped_, SizeIs(1)) << rate;
    EXPECT_NEAR(static_cast<double>(heard_.size() - before), 32000, 1000) << rate;
  }
}

TEST_F(EarTest, LostDoubledAndReorderedFrames) {
  const auto push = [&](int seq) {
    EXPECT_THAT(Push(Sound(absl::Milliseconds(20), 0), "", absl::StrCat(seq)), IsOk());
  };
  for (const int seq : {0, 1, 3, 2, 2, 4, 6, 7, 8, 9, 10, 11}) push(seq);
  EXPECT_EQ(ear_.counts().lost, 1);
  EXPECT_EQ(ear_.counts().doubled, 1);
  EXPECT_EQ(ear_.counts().reordered, 1);
  EXPECT_EQ(heard_.size(), 11u * 320);
}

TEST_F(EarTest, WhatIsWrongIsRefused) {
  const auto invalid = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Push("abc"), invalid);
  EXPECT_THAT(Push("abcdef", "pcm_s16le;channels=2"), invalid);
  EXPECT_THAT(Push("ab", "pcm_s16le;rate=7999"), invalid);
  EXPECT_THAT(Push("ab", "pcm_s16le;rate=x"), invalid);
  EXPECT_THAT(Push("ab", "opus;rate=48000"), invalid);
  EXPECT_THAT(Push("ab", "mp3"), invalid);
  EXPECT_THAT(Push("ab", std::string(10000, ';')), invalid);
  for (const char* seq : {"", "-1", "1.5", "x", "99999999999999999999", " 1", "0x1"}) {
    EXPECT_THAT(Push("ab", "", seq), invalid) << seq;
  }
  EXPECT_THAT(Push(std::string(40000, '\0')), invalid);  // longer than a second
  EXPECT_THAT(Push("ab", ""), IsOk());                   // without a header: 16 kHz
  EXPECT_EQ(heard_.size(), 0u);
}

TEST_F(EarTest, SoundThatComesTooFastIsRefusedOnceItIsHalfAMinuteAhead) {
  int taken = 0;
  absl::Status status;
  while (taken < 1000) {
    status = Push(Sound(absl::Milliseconds(100), 0));
    if (!status.ok()) break;
    ++taken;
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(taken, 300);
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Push(Sound(absl::Milliseconds(100), 0)), IsOk());
}

TEST_F(EarTest, AMicrophoneThatFallsSilentEndsSpeech) {
  Play(absl::Seconds(1), 8000);
  ASSERT_THAT(started_, SizeIs(1));
  const absl::Time end = clock_.Now();
  EXPECT_EQ(ear_.NextTime(), end + absl::Milliseconds(400));
  clock_.Advance(absl::Milliseconds(390));
  ear_.OnTime(clock_.Now());
  EXPECT_THAT(stopped_, SizeIs(0));
  clock_.Advance(absl::Milliseconds(10));
  ear_.OnTime(clock_.Now());
  ASSERT_THAT(stopped_, SizeIs(1));
  EXPECT_EQ(stopped_[0], end);
  EXPECT_EQ(ear_.NextTime(), absl::InfiniteFuture());
}

TEST_F(EarTest, EndOfTheStreamEndsSpeechAndTheNextOneIsHeard) {
  Play(absl::Milliseconds(500), 8000, 48000, 1);
  ear_.End(clock_.Now());
  EXPECT_THAT(stopped_, SizeIs(1));
  seq_ = 0;
  Play(absl::Milliseconds(500), 8000, 48000, 1);
  EXPECT_THAT(started_, SizeIs(2));
  ear_.End(clock_.Now());
  ear_.End(clock_.Now());
  EXPECT_THAT(stopped_, SizeIs(2));
}

TEST_F(EarTest, AStreamThatBeginsAgainAfterAPauseIsHeard) {
  Play(absl::Milliseconds(500), 8000);
  Play(absl::Milliseconds(500), 0);
  seq_ = 0;
  clock_.Advance(absl::Milliseconds(500));
  Play(absl::Milliseconds(500), 8000);
  EXPECT_THAT(started_, SizeIs(2));
  EXPECT_EQ(ear_.counts().doubled, 0);
}

TEST_F(EarTest, AnyBytesUnderAnyHeadersAreSurvived) {
  std::mt19937 random(7);
  const std::vector<std::string> formats = {
      "",       "pcm_s16le", "pcm_s16le;rate=8000",  "pcm_s16le;rate=48000;channels=2",
      "x",      "opus",      "pcm_s16le;rate=44100", "pcm_s16le;;",
      ";rate=1"};
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 3000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    std::optional<std::string> seq;
    if (random() % 4 != 0)
      seq = random() % 8 == 0 ? absl::StrCat(random()) : absl::StrCat(i + static_cast<int>(random() % 9) - 4);
    (void)Push(bytes, formats[random() % formats.size()], seq);
    if (random() % 50 == 0) ear_.End(clock_.Now());
    if (random() % 10 == 0) clock_.Advance(absl::Milliseconds(random() % 1000));
    ear_.OnTime(clock_.Now());
  }
}

}  // namespace
}  // namespace arc::voice
