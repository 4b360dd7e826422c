#include "common/audio/audio.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::audio {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Samples Tone(int rate, double seconds, double hertz) {
  Samples samples(static_cast<size_t>(rate * seconds));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(10000 * std::sin(2 * M_PI * hertz * static_cast<double>(i) / rate));
  }
  return samples;
}

TEST(Format, IsReadAndWritten) {
  const auto format = ParseFormat("pcm_s16le;rate=16000;channels=1");
  ASSERT_THAT(format, IsOk());
  EXPECT_EQ(*format, Format());
  EXPECT_EQ(format->ToString(), "pcm_s16le;rate=16000;channels=1");
  const auto opus = ParseFormat("opus;channels=2;rate=48000");
  ASSERT_THAT(opus, IsOk());
  EXPECT_EQ(*opus, (Format{Encoding::kOpus, 48000, 2}));
  EXPECT_THAT(ParseFormat("pcm_s16le"), IsOkAndHolds(Format()));
}

TEST(Format, WhatIsWrongIsRefused) {
  for (const char* header :
       {"", "mp3", "pcm_s16le;", "pcm_s16le;rate=", "pcm_s16le;rate=7999", "pcm_s16le;rate=48001",
        "pcm_s16le;rate=1e4", "pcm_s16le;channels=0", "pcm_s16le;channels=3", "pcm_s16le;rate=8000;rate=8000",
        "pcm_s16le;bits=16", "PCM_S16LE"}) {
    EXPECT_THAT(ParseFormat(header), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Audio-Format")))
        << header;
  }
  EXPECT_THAT(ParseFormat(std::string(1000, 'x')), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Pcm, RoundTripAndMix) {
  const Samples samples = {0, 1, -1, 32767, -32768, 258};
  EXPECT_THAT(DecodePcm(EncodePcm(samples), Format()), IsOkAndHolds(samples));
  EXPECT_THAT(DecodePcm(EncodePcm(samples), Format{Encoding::kPcmS16le, 16000, 2}),
              IsOkAndHolds(Samples{0, 16383, -16255}));
  EXPECT_THAT(DecodePcm("abc", Format()), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodePcm("ab", Format{Encoding::kOpus, 16000, 1}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodePcm("", Format()), IsOkAndHolds(IsEmpty()));
}

TEST(Level, OfToneAndSilence) {
  EXPECT_NEAR(LevelDb(Tone(16000, 1, 440)), 20 * std::log10(10000 / 32768.0 / std::sqrt(2)), 0.1);
  EXPECT_EQ(LevelDb(Samples(100)), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(LevelDb({}), -std::numeric_limits<double>::infinity());
}

TEST(Resampler, PiecewiseIsAsWhole) {
  const Samples tone = Tone(48000, 0.5, 440);
  const Samples whole = Resample(tone, 48000, 16000);
  EXPECT_NEAR(static_cast<double>(whole.size()), 8000, 4);
  EXPECT_NEAR(LevelDb(whole), LevelDb(tone), 0.2);
  Resampler resampler(48000, 16000);
  Samples pieces;
  for (size_t i = 0; i < tone.size(); i += 960) {
    const Samples piece = resampler.Push(absl::MakeConstSpan(tone).subspan(i, 960));
    pieces.insert(pieces.end(), piece.begin(), piece.end());
  }
  const Samples rest = resampler.Flush();
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  EXPECT_EQ(pieces, whole);
  EXPECT_EQ(Resample(tone, 48000, 48000), tone);
  EXPECT_NEAR(static_cast<double>(Resample(tone, 48000, 8000).size()), 4000, 4);
}

TEST(SoundFile, RoundTripAndRefusals) {
  const std::string path = ::testing::TempDir() + "/tone.wav";
  const Clip clip = {22050, Tone(22050, 0.2, 300)};
  ASSERT_THAT(WriteWav(path, clip), IsOk());
  const auto read = ReadSoundFile(path);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->rate, clip.rate);
  EXPECT_EQ(read->samples, clip.samples);
  EXPECT_THAT(ReadSoundFile(path + ".none"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadSoundFile("/etc/passwd"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(WriteWav("/no/such/folder/x.wav", clip), StatusIs(absl::StatusCode::kUnavailable));
}

std::string Joined(FrameOrder& order, const std::vector<uint64_t>& numbers) {
  std::string all;
  for (const uint64_t seq : numbers) {
    for (const std::string& frame : order.Push(seq, absl::StrCat(seq, " "))) all += frame;
  }
  return all;
}

TEST(FrameOrder, BringsFramesIntoOrderAndCountsWhatIsWrong) {
  FrameOrder order(3);
  EXPECT_EQ(Joined(order, {5, 7, 6, 8, 8, 5}), "5 6 7 8 ");
  EXPECT_EQ(order.counts().reordered, 1);
  EXPECT_EQ(order.counts().doubled, 2);
  EXPECT_EQ(order.counts().lost, 0);
  // 9 and 10 never come.
  EXPECT_EQ(Joined(order, {11, 12, 13}), "");
  EXPECT_EQ(Joined(order, {14}), "11 12 13 14 ");
  EXPECT_EQ(order.counts().lost, 2);
  EXPECT_EQ(Joined(order, {9}), "");
  EXPECT_EQ(order.counts().doubled, 3);
  EXPECT_EQ(Joined(order, {16}), "");
  EXPECT_THAT(order.Flush(), ElementsAre("16 "));
  EXPECT_EQ(order.counts().lost, 3);
}

TEST(FrameOrder, AJumpBeginsAnew) {
  FrameOrder order;
  EXPECT_EQ(Joined(order, {0, 1, 3}), "0 1 ");
  EXPECT_EQ(Joined(order, {5000000}), "3 5000000 ");
  EXPECT_EQ(Joined(order, {0, 1}), "0 1 ");
  // A sender that begins again, whose first frames are lost, or not.
  EXPECT_EQ(Joined(order, {2, 3, 4, 5}), "2 3 4 5 ");
  EXPECT_EQ(Joined(order, {0, 1}), "");
  EXPECT_EQ(Joined(order, {2, 3}), "0 1 2 3 ");
  EXPECT_EQ(order.counts().doubled, 0);
  EXPECT_EQ(Joined(order, {0, 1}), "");
  FrameOrder other;
  for (uint64_t i = 0; i < 500; ++i) other.Push(i, "x");
  EXPECT_EQ(Joined(other, {1, 2, 3, 4, 5, 6, 7, 8, 9}), "");
  EXPECT_EQ(Joined(other, {10, 11, 12}), "1 2 3 4 5 6 7 8 9 10 11 12 ");
  EXPECT_THAT(order.Push(std::nullopt, "x"), ElementsAre("x"));
}

TEST(FrameOrder, WhatComesTwiceBeginsNoStream) {
  FrameOrder order;
  std::string expected;
  std::string heard;
  // The network doubles the first frame long after it, and whole rows of frames.
  for (uint64_t i = 0; i < 40; ++i) {
    heard += Joined(order, {i});
    if (i == 20) heard += Joined(order, {0});
    if (i == 30) heard += Joined(order, {0, 1, 15, 16, 17, 18, 19, 20, 21, 22, 23});
    absl::StrAppend(&expected, i, " ");
  }
  EXPECT_EQ(heard, expected);
  EXPECT_EQ(order.counts().doubled, 12);
  EXPECT_EQ(order.counts().lost, 0);
}

TEST(FrameOrder, AStreamThatCannotBeginAnewTakesEachNumberOnce) {
  FrameOrder order(4, /*restarts=*/false);
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < 50; ++i) numbers.push_back(i);
  EXPECT_FALSE(Joined(order, numbers).empty());
  EXPECT_EQ(Joined(order, numbers), "");
  EXPECT_EQ(order.counts().doubled, 50);
  EXPECT_EQ(Joined(order, {50}), "50 ");
}

TEST(FrameOrder, ShuffledAndDoubledAreHeardOnceInOrder) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    // Each frame once or twice, none further than the window from its place.
    std::vector<std::pair<double, uint64_t>> sent;
    std::string expected;
    for (uint64_t i = 0; i < 60; ++i) {
      absl::StrAppend(&expected, i + 1, " ");
      for (unsigned copies = 1 + random() % 2; copies > 0; --copies) {
        sent.emplace_back(static_cast<double>(i) + static_cast<double>(random() % 1000) / 250, i + 1);
      }
    }
    std::sort(sent.begin(), sent.end());
    std::vector<uint64_t> numbers;
    for (const auto& [place, number] : sent) numbers.push_back(number);
    FrameOrder order;
    order.Push(0, "");
    std::string heard = Joined(order, numbers);
    for (const std::string& frame : order.Flush()) heard += frame;
    ASSERT_EQ(heard, expected) << round;
    ASSERT_EQ(order.counts().lost, 0) << round;
  }
}

}  // namespace
}  // namespace arc::audio
