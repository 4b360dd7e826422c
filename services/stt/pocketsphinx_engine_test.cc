// The engine with its real models, spoken to with a voice of flite.
#include "services/stt/pocketsphinx_engine.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "common/audio/audio.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "tests/support/await.h"
#include "tests/support/process.h"

namespace arc::stt {
namespace {

using testing_support::Await;
using testing_support::RunProgram;
using testing_support::TempDir;

constexpr absl::Duration kLimit = absl::Seconds(120);

// A voice of flite, or of espeak-ng: "espeak:en-gb".
std::vector<int16_t> Say(const std::string& text, const std::string& voice = "slt") {
  const TempDir dir;
  const std::string file = dir.File("say.wav");
  if (absl::StartsWith(voice, "espeak:")) {
    EXPECT_EQ(RunProgram({"espeak-ng", "-v", voice.substr(7), "-w", file, text}).status, 0);
  } else {
    EXPECT_EQ(RunProgram({"flite", "-voice", voice, "-t", text, "-o", file}).status, 0);
  }
  const audio::Clip clip = audio::ReadSoundFile(file).value();
  return audio::Resample(clip.samples, clip.rate, kEngineRate);
}

std::shared_ptr<const menu::Catalogue> DemoCatalogue(const std::string& more = "") {
  messages::MenuFile file =
      menu::ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
  if (!more.empty()) {
    messages::MenuItem item = file.items.front();
    item.id = 9001;
    item.name = more;
    item.synonyms.clear();
    file.items.push_back(item);
  }
  return menu::Catalogue::Create(file).value();
}

Hypothesis Recognize(Recognition& recognition, absl::Span<const int16_t> samples) {
  for (size_t at = 0; at < samples.size(); at += 320) {
    EXPECT_THAT(recognition.Push(samples.subspan(at, 320)), IsOk());
  }
  const auto hypothesis = recognition.Finish();
  EXPECT_THAT(hypothesis, IsOk());
  return hypothesis.ok() ? *hypothesis : Hypothesis();
}

// One engine for most tests: it takes seconds to load.
PocketsphinxEngine& Engine2() {
  static PocketsphinxEngine* const kEngine = [] {
    PocketsphinxOptions options;
    options.decoders = 2;
    auto* engine = new PocketsphinxEngine(options);
    engine->Start();
    engine->SetMenu(DemoCatalogue());
    EXPECT_TRUE(Await("the engine is ready", kLimit, [&] { return engine->Health().ok(); }));
    return engine;
  }();
  return *kEngine;
}

TEST(PocketsphinxEngineTest, HearsTwoUtterancesAtOnceAndTheSameEachTime) {
  const std::vector<std::string> texts = {"can i have a chocolate milkshake", "two volcano burgers please"};
  std::vector<std::vector<int16_t>> sounds;
  for (const std::string& text : texts) sounds.push_back(Say(text));
  for (int round = 0; round < 2; ++round) {
    std::vector<std::thread> threads;
    std::vector<Hypothesis> heard(2);
    for (size_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        auto recognition = Engine2().Begin("en-US");
        ASSERT_THAT(recognition, IsOk());
        heard[i] = Recognize(**recognition, sounds[i]);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(heard[i].text, texts[i]);
      EXPECT_GT(heard[i].confidence.value_or(0), 0.3);
      EXPECT_LE(heard[i].confidence.value_or(2), 1.0);
    }
  }
}

TEST(PocketsphinxEngineTest, HearsNothingBetweenTheFirstMenuAndItsModel) {
  PocketsphinxOptions options;
  options.decoders = 1;
  options.general_words = 500;
  PocketsphinxEngine engine(options);
  engine.Start();
  engine.SetMenu(nullptr);
  ASSERT_TRUE(Await("a model without dishes", kLimit, [&] { return engine.Health().ok(); }));
  engine.SetMenu(DemoCatalogue());
  EXPECT_THAT(engine.Begin("en-US"), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_TRUE(Await("the menu's model", kLimit, [&] { return engine.Health().ok(); }));
  EXPECT_EQ(engine.menus_in_use(), 2);
  // Later menus are made ready beside the one in use.
  engine.SetMenu(DemoCatalogue("Dragon Bowl"));
  EXPECT_THAT(engine.Begin("en-US"), IsOk());
}

TEST(PocketsphinxEngineTest, HearsTheVoicesThatTheAcousticModelDoesNotKnow) {
  const std::string text = "two volcano burgers without onions and a large cola please";
  // One after the other in the same decoder: none keeps the voice of the one before.
  for (const char* voice : {"espeak:en-gb", "slt", "espeak:en-us", "rms", "espeak:en-us+f2"}) {
    auto recognition = Engine2().Begin("en-US");
    ASSERT_THAT(recognition, IsOk());
    EXPECT_EQ(Recognize(**recognition, Say(text, voice)).text, text) << voice;
  }
}

TEST(PocketsphinxEngineTest, NoMoreThanItsDecoders) {
  auto one = Engine2().Begin("en-US");
  auto two = Engine2().Begin("");
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(two, IsOk());
  EXPECT_THAT(Engine2().Begin("en-GB"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Engine2().Begin("de-DE"), StatusIs(absl::StatusCode::kInvalidArgument));
  one->reset();
  EXPECT_THAT(Engine2().Begin("en-GB"), IsOk());
}

TEST(PocketsphinxEngineTest, AnySoundIsHeardWithoutHarm) {
  std::mt19937 random(7);
  std::vector<std::vector<int16_t>> sounds = {{},
                                              {1},
                                              std::vector<int16_t>(100, 0),
                                              std::vector<int16_t>(32000, 0),
                                              std::vector<int16_t>(32000, 32767),
                                              std::vector<int16_t>(32000, -32768)};
  std::vector<int16_t> noise(48000);
  for (int16_t& sample : noise) sample = static_cast<int16_t>(random());
  sounds.push_back(noise);
  for (const std::vector<int16_t>& sound : sounds) {
    auto recognition = Engine2().Begin("en-US");
    ASSERT_THAT(recognition, IsOk());
    const Hypothesis hypothesis = Recognize(**recognition, sound);
    if (hypothesis.text.empty()) {
      EXPECT_EQ(hypothesis.confidence, 0.0);
    }
  }
  // One that is given up leaves the decoder fit for the next.
  {
    auto recognition = Engine2().Begin("en-US");
    ASSERT_THAT(recognition, IsOk());
    ASSERT_THAT((*recognition)->Push(noise), IsOk());
  }
  for (int i = 0; i < 2; ++i) {
    auto recognition = Engine2().Begin("en-US");
    ASSERT_THAT(recognition, IsOk());
    EXPECT_EQ(Recognize(**recognition, Say("two volcano burgers please")).text, "two volcano burgers please");
  }
}

TEST(PocketsphinxEngineTest, WhatIsMisheardIsLessCertain) {
  const std::vector<int16_t> sound = Say("can i have a chocolate milkshake");
  std::vector<int16_t> noisy = sound;
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 3000);
  for (int16_t& sample : noisy)
    sample = static_cast<int16_t>(std::clamp(sample + noise(random), -32768.0, 32767.0));
  auto clear = Engine2().Begin("en-US");
  auto drowned = Engine2().Begin("en-US");
  ASSERT_THAT(clear, IsOk());
  ASSERT_THAT(drowned, IsOk());
  EXPECT_GT(Recognize(**clear, sound).confidence.value(), Recognize(**drowned, noisy).confidence.value());
}

TEST(PocketsphinxEngineTest, PartialTextsGrowIntoTheFinalOne) {
  auto recognition = Engine2().Begin("en-US");
  ASSERT_THAT(recognition, IsOk());
  EXPECT_EQ((*recognition)->Partial(), "");
  const std::vector<int16_t> sound = Say("can i have a chocolate milkshake");
  ASSERT_THAT((*recognition)->Push(sound), IsOk());
  EXPECT_THAT((*recognition)->Partial(), ::testing::StartsWith("can i"));
}

TEST(PocketsphinxEngineTest, ANewMenuDoesNotDisturbWhatIsUnderWay) {
  PocketsphinxOptions options;
  options.general_words = 500;
  PocketsphinxEngine engine(options);
  EXPECT_THAT(engine.Begin("en-US"), StatusIs(absl::StatusCode::kUnavailable));
  engine.Start();
  engine.SetMenu(nullptr);
  ASSERT_TRUE(Await("the engine is ready without a menu", kLimit, [&] { return engine.Health().ok(); }));
  const int64_t words = engine.vocabulary();

  const std::vector<int16_t> sound = Say("yes please");
  auto recognition = engine.Begin("en-US");
  ASSERT_THAT(recognition, IsOk());
  ASSERT_THAT((*recognition)->Push(absl::MakeConstSpan(sound).first(8000)), IsOk());
  engine.SetMenu(DemoCatalogue());
  // The only decoder is at work, and the new one beside it: the menu is in use when the old one is given
  // back.
  EXPECT_EQ(Recognize(**recognition, absl::MakeConstSpan(sound).subspan(8000)).text, "yes please");
  recognition->reset();
  ASSERT_TRUE(Await("the menu is in use", kLimit, [&] { return engine.vocabulary() > words; }));

  engine.SetMenu(DemoCatalogue("Zanzibar Tostada"));
  ASSERT_TRUE(Await("the new dish is in use", kLimit, [&] { return engine.menus_in_use() == 3; }));
  engine.SetMenu(nullptr);  // is no menu
  EXPECT_EQ(engine.menus_in_use(), 3);
  auto after = engine.Begin("en-US");
  ASSERT_THAT(after, IsOk());
  EXPECT_EQ(Recognize(**after, Say("one zanzibar tostada please")).text, "one zanzibar tostada please");
}

TEST(PocketsphinxEngineTest, SaysWhyItCannotStart) {
  PocketsphinxOptions options;
  options.model_dir = "/nonexistent";
  PocketsphinxEngine engine(options);
  engine.Start();
  engine.SetMenu(nullptr);
  EXPECT_TRUE(Await("the reason", kLimit, [&] { return absl::IsNotFound(engine.Health()); }));
}

}  // namespace
}  // namespace arc::stt
