#include "services/tts/tts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/metrics/metrics.h"
#include "common/status/status_matchers.h"
#include "services/tts/frames.h"
#include "tests/support/await.h"

namespace arc::tts {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Optional;
using ::testing::SizeIs;
using testing_support::Signal;

constexpr absl::Duration kLimit = absl::Seconds(10);

// Says each sentence with as much sound as the test wants, at once or when the test lets it.
class ScriptedEngine : public Engine {
 public:
  absl::string_view name() const override { return "scripted"; }
  Dialect dialect() const override { return {}; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Health() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return health_;
  }
  std::vector<Voice> voices() const override {
    return {{"ann", "en-US", Gender::kFemale}, {"bob", "en-US", Gender::kMale}};
  }
  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    signal_.Set([&] { said_.push_back(absl::StrCat(voice.id, ": ", sentence)); });
    const Stop::Watch watch(stop, [this] { signal_.Set([] {}); });
    if (!signal_.Await("the engine to be let go", kLimit, [&] { return open_ > 0 || stop.requested(); })) {
      return absl::InternalError("the test forgot the engine");
    }
    if (stop.requested()) return absl::CancelledError("stopped");
    signal_.Set([&] { --open_; });
    absl::Status failure;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      failure = failure_;
    }
    // 10 ms at a time, which is no frame.
    for (absl::Duration done; done < length_; done += absl::Milliseconds(10)) {
      if (!sink(audio::Samples(160, 1000), 16000)) return absl::CancelledError("no more is wanted");
    }
    signal_.Set([&] { ++finished_; });
    return failure;
  }

  // Lets `sentences` more be said.
  void Open(int sentences) {
    signal_.Set([&] { open_ += sentences; });
  }
  void Fail(const absl::Status& failure) {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = failure;
  }
  void SetHealth(const absl::Status& health) {
    std::lock_guard<std::mutex> lock(mutex_);
    health_ = health;
  }
  void set_length(absl::Duration length) { length_ = length; }
  bool AwaitBegun(size_t sentences) {
    return signal_.Await(absl::StrCat(sentences, " sentences to begin"), kLimit,
                         [&] { return said_.size() >= sentences; });
  }
  // Until all sound of `sentences` has been handed over.
  bool AwaitFinished(size_t sentences) {
    return signal_.Await(absl::StrCat(sentences, " sentences to be made"), kLimit,
                         [&] { return finished_ >= sentences; });
  }
  std::vector<std::string> said() {
    std::vector<std::string> said;
    signal_.Read([&] { said = said_; });
    return said;
  }

 private:
  Signal signal_;
  int open_ = 0;
  size_t finished_ = 0;
  std::vector<std::string> said_;
  mutable std::mutex mutex_;
  absl::Status failure_;
  absl::Status health_;
  absl::Duration length_ = absl::Seconds(1);
};

class Recorder : public Output {
 public:
  absl::Status Publish(const AudioFrame& frame) override {
    absl::Status answer;
    signal_.Set([&] {
      answer = answer_;
      if (answer.ok()) frames_[frame.request_id].push_back(frame);
    });
    return answer;
  }
  void Completed(const messages::TtsCompleted& completed) override {
    signal_.Set([&] {
      EXPECT_EQ(completed_.count(completed.request_id), 0U) << "once";
      completed_[completed.request_id] = completed;
      frames_at_end_[completed.request_id] = frames_[completed.request_id].size();
    });
  }
  void Failed(const messages::AgentError& error) override {
    signal_.Set([&] { errors_[error.request_id] = error; });
  }

  void Refuse(const absl::Status& answer) {
    signal_.Set([&] { answer_ = answer; });
  }
  bool AwaitFrames(const std::string& id, size_t count) {
    return signal_.Await(absl::StrCat(count, " frames of ", id), kLimit,
                         [&] { return frames_[id].size() >= count; });
  }
  bool AwaitCompleted(const std::string& id) {
    return signal_.Await(absl::StrCat(id, " to be completed"), kLimit,
                         [&] { return completed_.count(id) > 0; });
  }
  bool AwaitFailed(const std::string& id) {
    return signal_.Await(absl::StrCat(id, " to fail"), kLimit, [&] { return errors_.count(id) > 0; });
  }
  std::vector<AudioFrame> frames(const std::string& id) {
    std::vector<AudioFrame> frames;
    signal_.Read([&] { frames = frames_[id]; });
    return frames;
  }
  messages::TtsCompleted completed(const std::string& id) {
    messages::TtsCompleted completed;
    signal_.Read([&] {
      completed = completed_[id];
      EXPECT_EQ(frames_at_end_[id], frames_[id].size()) << "nothing comes after it was completed";
    });
    return completed;
  }
  messages::AgentError error(const std::string& id) {
    messages::AgentError error;
    signal_.Read([&] { error = errors_[id]; });
    return error;
  }
  bool has_completed(const std::string& id) {
    bool has = false;
    signal_.Read([&] { has = completed_.count(id) > 0; });
    return has;
  }

 private:
  Signal signal_;
  absl::Status answer_;
  std::map<std::string, std::vector<AudioFrame>> frames_;
  std::map<std::string, messages::TtsCompleted> completed_;
  std::map<std::string, size_t> frames_at_end_;
  std::map<std::string, messages::AgentError> errors_;
};

messages::TtsRequest MakeRequest(const std::string& id, const std::string& text) {
  messages::TtsRequest request;
  request.request_id = id;
  request.trace_id = "550e8400-e29b-41d4-a716-446655440000";
  request.text = text;
  request.target_room = "room-1";
  request.turn_index = 5;
  return request;
}

messages::TtsCancel CancelOf(const std::string& id) {
  messages::TtsCancel cancel;
  cancel.request_id = id;
  return cancel;
}

// 40 ms each.
constexpr size_t kFramesASecond = 25;

class TtsTest : public testing::Test {
 protected:
  void Make(const Tts::Options& options = {}) {
    tts_ = std::make_unique<Tts>(engine_, clock_, options, recorder_, &metrics_);
  }

  // The end of a speech is told a moment before it is forgotten.
  bool AwaitIdle() {
    return testing_support::Await("no speech to be left", kLimit, [&] { return tts_->active() == 0; });
  }

  ManualClock clock_;
  ScriptedEngine engine_;
  Recorder recorder_;
  Metrics metrics_{"tts"};
  std::unique_ptr<Tts> tts_;
};

TEST_F(TtsTest, FramesInOrderThenTheEndThenCompleted) {
  Make();
  engine_.Open(2);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  const std::vector<AudioFrame> frames = recorder_.frames("r");
  ASSERT_THAT(frames, SizeIs(2 * kFramesASecond + 1));
  for (size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].seq, i);
    EXPECT_EQ(frames[i].room, "room-1");
    EXPECT_EQ(frames[i].turn, 5);
    EXPECT_EQ(frames[i].format.ToString(), "pcm_s16le;rate=16000;channels=1");
    EXPECT_EQ(frames[i].end, i + 1 == frames.size());
    EXPECT_EQ(frames[i].payload.size(), frames[i].end ? 0U : 1280U);
  }
  const messages::TtsCompleted completed = recorder_.completed("r");
  EXPECT_EQ(completed.duration_ms, 2000);
  EXPECT_TRUE(completed.ready_for_playback);
  EXPECT_TRUE(completed.within_max_latency);
  EXPECT_EQ(completed.audio_format, "pcm");
  EXPECT_EQ(completed.sample_rate, 16000);
  EXPECT_EQ(completed.voice_id, "ann");
  EXPECT_EQ(completed.trace_id, "550e8400-e29b-41d4-a716-446655440000");
  EXPECT_EQ(completed.timestamp, "2025-12-14T14:00:00.000Z");
  EXPECT_EQ(completed.note, std::nullopt);
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(TtsTest, TheFirstSentenceIsOutWhileTheSecondIsStillMade) {
  Make();
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two.")), IsOk());
  ASSERT_TRUE(engine_.AwaitFinished(1));
  ASSERT_TRUE(engine_.AwaitBegun(2));
  EXPECT_THAT(recorder_.frames("r"), SizeIs(kFramesASecond));
  EXPECT_FALSE(recorder_.has_completed("r"));
  engine_.Open(1);
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  EXPECT_THAT(engine_.said(), ElementsAre("ann: One.", "ann: Two."));
}

TEST_F(TtsTest, NoMoreThanTheLeadIsSentAheadOfItsPlaying) {
  Make();
  engine_.Open(4);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two. Three. Four.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("r", 2 * kFramesASecond));
  ASSERT_TRUE(engine_.AwaitFinished(4)) << "the next two seconds are made meanwhile";
  EXPECT_THAT(recorder_.frames("r"), SizeIs(2 * kFramesASecond));
  size_t most = 0;
  for (int i = 1; i <= 10; ++i) {
    clock_.Advance(absl::Milliseconds(200));
    const size_t sent = recorder_.frames("r").size();
    const size_t allowed = 2 * kFramesASecond + static_cast<size_t>(i) * kFramesASecond / 5;
    EXPECT_THAT(sent, Le(allowed + 1));
    EXPECT_GE(sent + 4, std::min(allowed, 4 * kFramesASecond)) << "nor is it late";
    most = std::max(most, sent);
  }
  clock_.Advance(absl::Milliseconds(200));
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  EXPECT_EQ(recorder_.completed("r").duration_ms, 4000);
}

TEST_F(TtsTest, ALongTextIsNotMadeAheadOfItsPlaying) {
  Make();
  engine_.Open(100);
  std::string text;
  for (int i = 0; i < 60; ++i)
    absl::StrAppend(&text, "Word ", std::string(static_cast<size_t>(i) + 1, 'x'), ". ");
  ASSERT_THAT(tts_->Say(MakeRequest("r", text)), IsOk());
  ASSERT_TRUE(engine_.AwaitFinished(4));
  clock_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(engine_.said().size(), Le(4U)) << "two seconds are sent, two wait";
}

TEST_F(TtsTest, AGapInTheSynthesisIsNoReasonToHurryAfterwards) {
  Make();
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two. Three. Four.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("r", kFramesASecond));
  ASSERT_TRUE(engine_.AwaitBegun(2));
  clock_.Advance(absl::Seconds(60));
  engine_.Open(3);
  ASSERT_TRUE(recorder_.AwaitFrames("r", 3 * kFramesASecond));
  ASSERT_TRUE(engine_.AwaitFinished(4));
  EXPECT_THAT(recorder_.frames("r"), SizeIs(3 * kFramesASecond)) << "a lead from where it went on";
}

TEST_F(TtsTest, ACancelStopsEverythingAtOnce) {
  Make();
  engine_.Open(3);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two. Three. Four.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("r", 2 * kFramesASecond));
  ASSERT_TRUE(engine_.AwaitBegun(4)) << "it waits in the engine";
  tts_->Cancel(CancelOf("r"));
  EXPECT_TRUE(recorder_.has_completed("r"));
  const messages::TtsCompleted completed = recorder_.completed("r");
  EXPECT_FALSE(completed.ready_for_playback);
  EXPECT_EQ(completed.duration_ms, 2000) << "what was published";
  clock_.Advance(absl::Seconds(60));
  engine_.Open(5);
  tts_.reset();
  EXPECT_THAT(recorder_.frames("r"), SizeIs(2 * kFramesASecond)) << "and no end";
}

TEST_F(TtsTest, ACancelBeforeTheFirstSound) {
  Make();
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One.")), IsOk());
  ASSERT_TRUE(engine_.AwaitBegun(1));
  clock_.Advance(absl::Milliseconds(30));
  tts_->Cancel(CancelOf("r"));
  const messages::TtsCompleted completed = recorder_.completed("r");
  EXPECT_FALSE(completed.ready_for_playback);
  EXPECT_EQ(completed.duration_ms, 0);
  EXPECT_EQ(completed.synthesis_latency_ms, 30);
  EXPECT_THAT(recorder_.frames("r"), IsEmpty());
}

TEST_F(TtsTest, ACancelThatComesBeforeItsRequestHolds) {
  Make();
  tts_->Cancel(CancelOf("r"));
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One.")), IsOk());
  EXPECT_FALSE(recorder_.completed("r").ready_for_playback);
  EXPECT_THAT(recorder_.frames("r"), IsEmpty());
  EXPECT_THAT(engine_.said(), IsEmpty());
}

TEST_F(TtsTest, ACancelWithoutARequestIsForgotten) {
  Tts::Options options;
  options.max_cancels = 3;
  Make(options);
  engine_.Open(3);
  tts_->Cancel(CancelOf("old"));
  clock_.Advance(absl::Seconds(61));
  ASSERT_THAT(tts_->Say(MakeRequest("old", "One.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("old"));
  EXPECT_TRUE(recorder_.completed("old").ready_for_playback);

  for (const char* id : {"first", "b", "c", "d"}) tts_->Cancel(CancelOf(id));
  ASSERT_THAT(tts_->Say(MakeRequest("first", "Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("first"));
  EXPECT_TRUE(recorder_.completed("first").ready_for_playback) << "the oldest went when there were too many";
  ASSERT_THAT(tts_->Say(MakeRequest("d", "Three.")), IsOk());
  EXPECT_FALSE(recorder_.completed("d").ready_for_playback);
}

TEST_F(TtsTest, ACancelMetItsRequestOnce) {
  Make();
  engine_.Open(1);
  tts_->Cancel(CancelOf("r"));
  tts_->Cancel(CancelOf("r"));
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One.")), IsOk());
  EXPECT_TRUE(recorder_.has_completed("r"));
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(TtsTest, TwoRoomsAtOnce) {
  Make();
  messages::TtsRequest other = MakeRequest("b", "Two.");
  other.target_room = "room-2";
  other.voice_id = "bob";
  ASSERT_THAT(tts_->Say(MakeRequest("a", "One.")), IsOk());
  ASSERT_THAT(tts_->Say(other), IsOk());
  ASSERT_TRUE(engine_.AwaitBegun(2)) << "neither waits for the other";
  EXPECT_EQ(tts_->active(), 2);
  engine_.Open(2);
  ASSERT_TRUE(recorder_.AwaitCompleted("a"));
  ASSERT_TRUE(recorder_.AwaitCompleted("b"));
  EXPECT_EQ(recorder_.completed("b").voice_id, "bob");
  for (const AudioFrame& frame : recorder_.frames("b")) EXPECT_EQ(frame.room, "room-2");
}

TEST_F(TtsTest, MoreRequestsThanAllowedAreRefused) {
  Tts::Options options;
  options.max_active = 2;
  Make(options);
  ASSERT_THAT(tts_->Say(MakeRequest("a", "One.")), IsOk());
  ASSERT_THAT(tts_->Say(MakeRequest("b", "One.")), IsOk());
  EXPECT_THAT(tts_->Say(MakeRequest("c", "One.")), StatusIs(absl::StatusCode::kResourceExhausted));
  tts_->Cancel(CancelOf("a"));
  EXPECT_THAT(tts_->Say(MakeRequest("d", "One.")), IsOk());
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("kiosk_tts_requests_total{agent=\"tts\",outcome=\"overloaded\"} 1\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_tts_active{agent=\"tts\"} 2\n"));
}

TEST_F(TtsTest, ARequestTwiceIsSaidOnce) {
  Make();
  ASSERT_THAT(tts_->Say(MakeRequest("a", "One.")), IsOk());
  EXPECT_THAT(tts_->Say(MakeRequest("a", "One.")), StatusIs(absl::StatusCode::kAlreadyExists));
  engine_.Open(1);
  ASSERT_TRUE(recorder_.AwaitCompleted("a"));
  EXPECT_THAT(recorder_.frames("a"), SizeIs(kFramesASecond + 1));
}

TEST_F(TtsTest, WhatIsWrongWithARequestIsNamed) {
  Make();
  const auto refusal = [&](const std::function<void(messages::TtsRequest&)>& spoil) {
    messages::TtsRequest request = MakeRequest("r", "One.");
    spoil(request);
    const absl::Status status = tts_->Say(request);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    return std::string(status.message());
  };
  EXPECT_THAT(refusal([](auto& r) { r.constraints.format = "mp3"; }), HasSubstr("constraints.format"));
  EXPECT_THAT(refusal([](auto& r) { r.target_room = "a.b"; }), HasSubstr("target_room"));
  EXPECT_THAT(refusal([](auto& r) { r.target_room = "*"; }), HasSubstr("target_room"));
  EXPECT_THAT(refusal([](auto& r) { r.target_room = std::string(101, 'r'); }), HasSubstr("target_room"));
  EXPECT_THAT(refusal([](auto& r) { r.request_id = "a\r\nEnd: true"; }), HasSubstr("request_id"));
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(TtsTest, TextWithoutWordsEndsAtOnce) {
  Make();
  ASSERT_THAT(tts_->Say(MakeRequest("r", "\U0001F354!!")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  EXPECT_EQ(recorder_.completed("r").duration_ms, 0);
  EXPECT_TRUE(recorder_.completed("r").ready_for_playback);
  EXPECT_THAT(recorder_.completed("r").note, Optional(HasSubstr("nothing")));
  ASSERT_THAT(recorder_.frames("r"), SizeIs(1));
  EXPECT_TRUE(recorder_.frames("r")[0].end);
}

TEST_F(TtsTest, AudioThatComesTooLateIsHeardAndReported) {
  Make();
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One.")), IsOk());
  ASSERT_TRUE(engine_.AwaitBegun(1));
  clock_.Advance(absl::Milliseconds(501));
  engine_.Open(1);
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  const messages::TtsCompleted completed = recorder_.completed("r");
  EXPECT_FALSE(completed.within_max_latency);
  EXPECT_EQ(completed.synthesis_latency_ms, 501);
  EXPECT_EQ(completed.total_latency_ms, 501);
  EXPECT_EQ(completed.duration_ms, 1000);
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_tts_late_total{agent=\"tts\"} 1\n"));
}

TEST_F(TtsTest, NoLimitIsNeverTooLate) {
  Make();
  messages::TtsRequest request = MakeRequest("r", "One.");
  request.constraints.max_latency_ms = 0;
  ASSERT_THAT(tts_->Say(request), IsOk());
  ASSERT_TRUE(engine_.AwaitBegun(1));
  clock_.Advance(absl::Seconds(30));
  engine_.Open(1);
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  EXPECT_TRUE(recorder_.completed("r").within_max_latency);
}

TEST_F(TtsTest, ASentenceThatWasSaidBeforeComesFromTheCache) {
  Make();
  engine_.Open(3);
  ASSERT_THAT(tts_->Say(MakeRequest("a", "One.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("a"));
  EXPECT_FALSE(recorder_.completed("a").from_cache);
  ASSERT_THAT(tts_->Say(MakeRequest("b", "One.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("b"));
  EXPECT_TRUE(recorder_.completed("b").from_cache);
  ASSERT_THAT(recorder_.frames("b"), SizeIs(recorder_.frames("a").size()));
  EXPECT_EQ(recorder_.frames("b")[3].payload, recorder_.frames("a")[3].payload);
  ASSERT_THAT(tts_->Say(MakeRequest("c", "One. Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("c"));
  EXPECT_FALSE(recorder_.completed("c").from_cache) << "only half of it";
  messages::TtsRequest other = MakeRequest("d", "One.");
  other.voice_id = "bob";
  ASSERT_THAT(tts_->Say(other), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("d"));
  EXPECT_FALSE(recorder_.completed("d").from_cache) << "another voice";
  EXPECT_THAT(engine_.said(), ElementsAre("ann: One.", "ann: Two.", "bob: One."));
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_tts_cache_total{agent=\"tts\",result=\"hit\"} 2\n"));
}

TEST_F(TtsTest, WhatWasCancelledHalfwayIsNotCached) {
  engine_.set_length(absl::Seconds(3));
  Make();
  engine_.Open(2);
  ASSERT_THAT(tts_->Say(MakeRequest("a", "One.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("a", 1));
  tts_->Cancel(CancelOf("a"));
  ASSERT_THAT(tts_->Say(MakeRequest("b", "Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("b", 2 * kFramesASecond));
  clock_.Advance(absl::Seconds(5));
  ASSERT_TRUE(recorder_.AwaitCompleted("b"));
  EXPECT_EQ(recorder_.completed("b").duration_ms, 3000);
}

TEST_F(TtsTest, AnEngineThatFailsIsAnError) {
  Make();
  engine_.Fail(absl::InternalError("out of breath"));
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFailed("r"));
  EXPECT_EQ(recorder_.error("r").error_type, "engine_failed");
  EXPECT_EQ(recorder_.error("r").error_message, "out of breath");
  EXPECT_FALSE(recorder_.has_completed("r"));
  EXPECT_TRUE(recorder_.frames("r").back().end) << "who listens is told that this was all";
  engine_.Fail(absl::DeadlineExceededError("no sound in time"));
  engine_.set_length(absl::ZeroDuration());
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(MakeRequest("s", "Three.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFailed("s"));
  EXPECT_EQ(recorder_.error("s").error_type, "timeout");
  EXPECT_THAT(recorder_.frames("s"), IsEmpty()) << "nobody has heard anything of it";
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(TtsTest, AnEngineThatIsIllIsNotAsked) {
  Make();
  engine_.SetHealth(absl::UnavailableError("no model"));
  EXPECT_THAT(tts_->Say(MakeRequest("r", "One.")), StatusIs(absl::StatusCode::kUnavailable, "no model"));
}

TEST_F(TtsTest, ASpeechThatCannotBeDeliveredEnds) {
  Make();
  recorder_.Refuse(absl::UnavailableError("not connected"));
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFailed("r"));
  EXPECT_EQ(recorder_.error("r").error_type, "undeliverable");
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(TtsTest, AVoiceThatIsNotThereIsStoodInForAndSaidSo) {
  Make();
  messages::TtsRequest request = MakeRequest("r", "One.");
  request.voice_id = "en_US-ryan-high";
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(request), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  EXPECT_EQ(recorder_.completed("r").voice_id, "bob");
  EXPECT_THAT(recorder_.completed("r").note, Optional(HasSubstr("'en_US-ryan-high': bob stands in")));
}

TEST_F(TtsTest, OpusAtTheNearestRateThatItHas) {
  Make();
  messages::TtsRequest request = MakeRequest("r", "One.");
  request.constraints.format = "opus";
  request.constraints.sample_rate = 44100;
  engine_.Open(1);
  ASSERT_THAT(tts_->Say(request), IsOk());
  ASSERT_TRUE(recorder_.AwaitCompleted("r"));
  const messages::TtsCompleted completed = recorder_.completed("r");
  EXPECT_EQ(completed.audio_format, "opus");
  EXPECT_EQ(completed.sample_rate, 48000);
  EXPECT_EQ(completed.duration_ms, 1020) << "a second, and what the encoder holds back";
  EXPECT_THAT(completed.note, Optional(HasSubstr("44100")));
  EXPECT_EQ(recorder_.frames("r")[0].format.ToString(), "opus;rate=48000;channels=1");
}

TEST_F(TtsTest, ADrainSendsTheRestWithoutWaitingForItsPlaying) {
  Make();
  engine_.Open(6);
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One. Two. Three. Four. Five. Six.")), IsOk());
  ASSERT_TRUE(recorder_.AwaitFrames("r", 2 * kFramesASecond));
  tts_->Drain(kLimit);
  EXPECT_TRUE(recorder_.has_completed("r"));
  EXPECT_EQ(recorder_.completed("r").duration_ms, 6000);
  EXPECT_THAT(tts_->Say(MakeRequest("s", "One.")), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(TtsTest, WhatADrainCannotFinishFails) {
  Make();
  ASSERT_THAT(tts_->Say(MakeRequest("r", "One.")), IsOk());
  ASSERT_TRUE(engine_.AwaitBegun(1));
  tts_->Drain(absl::Milliseconds(10));
  EXPECT_EQ(recorder_.error("r").error_type, "shutting_down");
}

TEST(FramesTest, EveryRateAndFormatGivesWholeFrames) {
  for (const char* name : {"pcm", "opus"}) {
    for (const int64_t rate : {8000, 11025, 12345, 16000, 22050, 24000, 44100, 48000}) {
      const absl::StatusOr<audio::Format> format = ChooseFormat(name, rate);
      ASSERT_THAT(format, IsOk());
      FrameMaker maker(*format);
      audio::Samples second(16000);
      for (size_t i = 0; i < second.size(); ++i) second[i] = static_cast<int16_t>(i % 100 * 100);
      std::vector<std::string> frames;
      for (size_t at = 0; at < second.size(); at += 100) {
        const auto some = maker.Push(absl::MakeConstSpan(second).subspan(at, 100), 16000);
        ASSERT_THAT(some, IsOk());
        frames.insert(frames.end(), some->begin(), some->end());
      }
      const auto rest = maker.Flush();
      ASSERT_THAT(rest, IsOk());
      frames.insert(frames.end(), rest->begin(), rest->end());
      const absl::Duration made = audio::DurationOf(frames.size() * SamplesPerFrame(*format), format->rate);
      EXPECT_GE(made, absl::Milliseconds(999)) << name << rate;
      EXPECT_LE(made, absl::Milliseconds(1045)) << name << rate;
      if (format->encoding == audio::Encoding::kPcmS16le) {
        for (const std::string& frame : frames) EXPECT_EQ(frame.size(), 2 * SamplesPerFrame(*format));
      }
    }
  }
}

TEST(FramesTest, OpusRates) {
  const auto rate = [](int64_t wanted) { return ChooseFormat("opus", wanted)->rate; };
  EXPECT_EQ(rate(8000), 8000);
  EXPECT_EQ(rate(10000), 12000);
  EXPECT_EQ(rate(11025), 12000);
  EXPECT_EQ(rate(22050), 24000);
  EXPECT_EQ(rate(30000), 24000);
  EXPECT_EQ(rate(44100), 48000);
  EXPECT_THAT(ChooseFormat("", 16000), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FramesTest, NothingGivesNothing) {
  for (const char* name : {"pcm", "opus"}) {
    FrameMaker maker(*ChooseFormat(name, 16000));
    EXPECT_THAT(maker.Push({}, 16000), IsOkAndHolds(IsEmpty()));
    EXPECT_THAT(maker.Flush(), IsOkAndHolds(IsEmpty()));
  }
}

Frames FramesOf(size_t count, size_t size) {
  return std::make_shared<std::vector<std::string>>(count, std::string(size, 'f'));
}

TEST(CacheTest, WhatWasUsedLongestAgoGoesFirst) {
  Cache cache(10000);
  for (const char* key : {"a", "b", "c", "d"}) cache.Put(key, FramesOf(2, 1000));
  EXPECT_NE(cache.Find("a"), nullptr);
  cache.Put("e", FramesOf(2, 1000));
  EXPECT_EQ(cache.Find("b"), nullptr);
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_NE(cache.Find("e"), nullptr);
  EXPECT_LE(cache.bytes(), 10000U);
}

TEST(CacheTest, WhatIsTooLargeIsNotTaken) {
  Cache cache(10000);
  cache.Put("a", FramesOf(3, 1000));
  EXPECT_EQ(cache.Find("a"), nullptr);
  Cache none(0);
  none.Put("a", FramesOf(1, 1));
  EXPECT_EQ(none.Find("a"), nullptr);
}

TEST(CacheTest, TheSameKeyReplaces) {
  Cache cache(10000);
  cache.Put("a", FramesOf(2, 1000));
  const size_t bytes = cache.bytes();
  cache.Put("a", FramesOf(2, 1000));
  EXPECT_EQ(cache.bytes(), bytes);
  audio::Format other;
  other.rate = 8000;
  EXPECT_NE(Cache::Key("v", audio::Format(), "x"), Cache::Key("v", other, "x"));
}

}  // namespace
}  // namespace arc::tts
