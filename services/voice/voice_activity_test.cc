// The detector on real speech, clean and in noise. The speech is made by espeak-ng and flite.
#include "services/voice/voice_activity.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/voice/ear.h"
#include "tests/support/process.h"

namespace arc::voice {
namespace {

using ::testing::SizeIs;

constexpr double kNoNoise = 1000;
constexpr size_t kSecond = kRate;
constexpr size_t kAround = 2 * kSecond;

// Two seconds of silence, one utterance, two seconds of silence.
audio::Samples Scene(const std::vector<std::string>& program, size_t* from, size_t* to) {
  const testing_support::TempDir folder;
  std::vector<std::string> argv = program;
  for (std::string& word : argv) {
    if (word == "FILE") word = folder.File("speech.wav");
  }
  const testing_support::Finished made = testing_support::RunProgram(argv);
  EXPECT_EQ(made.status, 0) << made.err;
  const absl::StatusOr<audio::Clip> clip = audio::ReadSoundFile(folder.File("speech.wav"));
  EXPECT_THAT(clip, IsOk());
  if (!clip.ok()) return {};
  audio::Samples speech = audio::Resample(clip->samples, clip->rate, kRate);
  const auto loud = [](int16_t sample) { return std::abs(sample) > 300; };
  const auto first = std::find_if(speech.begin(), speech.end(), loud);
  const auto last = std::find_if(speech.rbegin(), speech.rend(), loud).base();
  audio::Samples scene(kAround);
  *from = scene.size();
  scene.insert(scene.end(), first, last);
  *to = scene.size();
  scene.resize(scene.size() + kAround);
  return scene;
}

// Adds white noise that is `snr` dB below the speech.
void AddNoise(audio::Samples& scene, size_t from, size_t to, double snr) {
  if (snr == kNoNoise) return;
  const double speech = audio::LevelDb(absl::MakeConstSpan(scene).subspan(from, to - from));
  const double amplitude = 32768 * std::pow(10, (speech - snr) / 20);
  std::mt19937 random(1);
  std::normal_distribution<double> noise(0, amplitude);
  for (int16_t& sample : scene) {
    sample = static_cast<int16_t>(std::clamp(sample + noise(random), -32768.0, 32767.0));
  }
}

struct Segments {
  std::vector<double> starts;  // s
  std::vector<double> stops;
};

Segments Listen(const audio::Samples& scene) {
  Segments segments;
  auto activity = MakeWebRtcVoiceActivity();
  EXPECT_THAT(activity, IsOk());
  const absl::Time zero = absl::FromUnixSeconds(1765720800);
  Ear::Listener listener;
  listener.on_sound = [](absl::Span<const int16_t>) {};
  listener.on_speech_started = [&](absl::Time at) {
    segments.starts.push_back(absl::ToDoubleSeconds(at - zero));
  };
  listener.on_speech_continues = [](absl::Duration) {};
  listener.on_speech_stopped = [&](absl::Time at, absl::Duration) {
    segments.stops.push_back(absl::ToDoubleSeconds(at - zero));
  };
  Ear ear(EarOptions(), *std::move(activity), std::move(listener));
  absl::Time now = zero;
  for (size_t at = 0; at + 320 <= scene.size(); at += 320) {
    now += absl::Milliseconds(20);
    const std::string bytes = audio::EncodePcm(absl::MakeConstSpan(scene).subspan(at, 320));
    MicFrame frame;
    frame.bytes = bytes;
    EXPECT_THAT(ear.Push(now, frame), IsOk());
  }
  return segments;
}

struct Voice {
  const char* name;
  std::vector<std::string> program;
};

const std::vector<Voice>& Voices() {
  static const auto* const voices = new std::vector<Voice>{
      {"espeak-ng", {"espeak-ng", "-w", "FILE", "two volcano burgers without onions please"}},
      {"espeak-ng female", {"espeak-ng", "-v", "en-us+f3", "-w", "FILE", "can I get a large cola please"}},
      {"flite slt",
       {"flite", "-voice", "slt", "-t", "two volcano burgers without onions please", "-o", "FILE"}},
      {"flite rms", {"flite", "-voice", "rms", "-t", "yes that is all for me", "-o", "FILE"}}};
  return *voices;
}

class VoiceActivityTest : public testing::TestWithParam<double> {};

TEST_P(VoiceActivityTest, FindsTheUtteranceAndNothingElse) {
  for (const Voice& voice : Voices()) {
    size_t from = 0;
    size_t to = 0;
    audio::Samples scene = Scene(voice.program, &from, &to);
    ASSERT_FALSE(scene.empty());
    AddNoise(scene, from, to, GetParam());
    const Segments segments = Listen(scene);
    const double begin = static_cast<double>(from) / kRate;
    const double end = static_cast<double>(to) / kRate;
    // A pause within the utterance may part it; endpointing bridges that.
    ASSERT_FALSE(segments.starts.empty()) << voice.name;
    ASSERT_THAT(segments.stops, SizeIs(segments.starts.size())) << voice.name;
    // The pre-roll of 300 ms covers what the detector needs to be sure.
    EXPECT_GT(segments.starts.front(), begin - 0.1) << voice.name;
    EXPECT_LT(segments.starts.front(), begin + 0.28) << voice.name;
    EXPECT_GT(segments.stops.back(), end - 0.45) << voice.name;
    EXPECT_LT(segments.stops.back(), end + 0.35) << voice.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Noise, VoiceActivityTest, testing::Values(kNoNoise, 20, 10),
                         [](const testing::TestParamInfo<double>& test) {
                           return test.param == kNoNoise ? std::string("Clean")
                                                         : absl::StrCat(test.param, "dB");
                         });

TEST(VoiceActivity, NoiseAloneIsNoSpeech) {
  audio::Samples scene(20 * kSecond);
  std::mt19937 random(2);
  std::normal_distribution<double> noise(0, 600);
  for (int16_t& sample : scene) sample = static_cast<int16_t>(noise(random));
  // The suppressor may need its first second to learn what is noise.
  const Segments segments = Listen(scene);
  for (const double start : segments.starts) EXPECT_LT(start, 1.0);
}

TEST(VoiceActivity, SilenceIsNoSpeech) {
  EXPECT_THAT(Listen(audio::Samples(10 * kSecond)).starts, SizeIs(0));
}

}  // namespace
}  // namespace arc::voice
