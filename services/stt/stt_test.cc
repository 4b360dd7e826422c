// The stt agent on a manual clock, with an engine that hears what the test wants.
#include "services/stt/stt.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/stt.h"
#include "common/messages/system.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"

namespace arc::stt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// "N" words for N * 100 ms of sound; fails, waits or does not start when it is told to.
class FakeEngine : public Engine {
 public:
  absl::string_view name() const override { return "fake"; }
  void Start() override {}
  absl::Status Health() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return health;
  }
  void SetMenu(std::shared_ptr<const menu::Catalogue>) override {}
  bool Understands(absl::string_view language) const override { return absl::StartsWith(language, "en"); }
  absl::StatusOr<std::unique_ptr<Recognition>> Begin(absl::string_view) override {
    if (full) return absl::ResourceExhaustedError("full");
    return std::make_unique<Utterance>(*this);
  }
  void Hold(bool value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    hold_ = value;
    changed_.notify_all();
  }

  absl::Status health;
  absl::Status finish;
  bool full = false;

 private:
  class Utterance : public Recognition {
   public:
    explicit Utterance(FakeEngine& engine) : engine_(engine) {}
    absl::Status Push(absl::Span<const int16_t> samples) override {
      std::unique_lock<std::mutex> lock(engine_.mutex_);
      // Sound of another loudness is not held up, so that another utterance is seen to go on.
      if (!samples.empty() && samples[0] == 1) engine_.changed_.wait(lock, [this] { return !engine_.hold_; });
      samples_ += samples.size();
      return absl::OkStatus();
    }
    std::string Partial() override {
      std::string text;
      for (size_t i = 0; i < samples_ / 1600; ++i) absl::StrAppend(&text, i == 0 ? "" : " ", "word");
      return text;
    }
    absl::StatusOr<Hypothesis> Finish() override {
      if (!engine_.finish.ok()) return engine_.finish;
      return Hypothesis{Partial(), samples_ == 0 ? 0 : 0.5};
    }
    int retries() const override { return 2; }

   private:
    FakeEngine& engine_;
    size_t samples_ = 0;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool hold_ = false;
};

class SttTest : public ::testing::Test {
 protected:
  SttTest() {
    bus_.ProvisionDefault();
    options_.worker_id = "worker-1";
    options_.workers = 2;
  }
  void Start() {
    stt_ = std::make_unique<Stt>(options_, bus_, engine_, metrics_, [this](const absl::Status& status) {
      failures_.push_back(status);
      if (on_failure_) on_failure_();
    });
    ASSERT_TRUE(stt_->Start().ok());
  }

  std::string Request(const std::string& body) {
    std::string answer;
    bus::Message message;
    message.subject = subjects::kSttRequest;
    message.body = body;
    message.headers.Set(subjects::kKioskIdHeader, "kiosk-7");
    bus_.CoreRequest(message, absl::Seconds(1), [&](const absl::StatusOr<bus::Message>& reply) {
      answer = reply.ok() ? reply->body : std::string(reply.status().message());
    });
    bus_.RunUntilIdle();
    return answer;
  }
  std::string Claim(const std::string& id) {
    const std::string answer = Request(absl::StrCat("{\"request_id\":\"", id, "\",\"room_name\":\"lobby\"}"));
    const auto accepted = json::Decode<messages::SttAccepted>(answer);
    return accepted.ok() ? accepted->status : answer;
  }
  void Frame(const std::string& id, int seq, int ms = 100, int16_t loudness = 2, bool end = false) {
    bus::Message message;
    message.subject = absl::StrCat("agent.stt.audio.", id);
    message.headers.Set(subjects::kSeqHeader, absl::StrCat(seq));
    message.headers.Set(subjects::kAudioFormatHeader, "pcm_s16le;rate=16000;channels=1");
    if (end) message.headers.Set(subjects::kEndHeader, "true");
    message.body = audio::EncodePcm(audio::Samples(static_cast<size_t>(ms) * 16, loudness));
    ASSERT_TRUE(bus_.Publish(message).ok());
    bus_.RunUntilIdle();
  }
  void End(const std::string& id, int seq) { Frame(id, seq, 0, 0, true); }

  template <class T>
  std::vector<T> All(const char* subject) {
    std::vector<T> all;
    for (const bus::Message& message : bus_.Published(subject)) {
      all.push_back(json::Decode<T>(message.body).value());
    }
    return all;
  }
  std::vector<messages::SttTranscript> Finals() {
    std::vector<messages::SttTranscript> finals;
    for (auto& transcript : All<messages::SttTranscript>(subjects::kSttTranscript)) {
      if (transcript.is_final) finals.push_back(transcript);
    }
    return finals;
  }
  bool AwaitActive(int64_t count) {
    return testing_support::Await(absl::StrCat(count, " utterances under way"), absl::Seconds(20), [&] {
      bus_.RunUntilIdle();
      return stt_->active() == count;
    });
  }
  bool AwaitIdle() { return AwaitActive(0); }
  bool Shows(const std::string& line) { return absl::StrContains(metrics_.Text(), line); }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  Metrics metrics_{"stt"};
  FakeEngine engine_;
  SttOptions options_;
  std::vector<absl::Status> failures_;
  std::function<void()> on_failure_;  // on the worker's thread
  std::unique_ptr<Stt> stt_;
};

TEST_F(SttTest, AnUtteranceFromClaimToFinalText) {
  Start();
  EXPECT_EQ(Claim("a"), "accepted");
  EXPECT_EQ(stt_->active(), 1);
  for (int seq = 0; seq < 5; ++seq) Frame("a", seq);
  End("a", 5);
  ASSERT_TRUE(AwaitIdle());
  const auto finals = Finals();
  ASSERT_THAT(finals, SizeIs(1));
  EXPECT_EQ(finals[0].text, "word word word word word");
  EXPECT_EQ(finals[0].audio_ms, 500);
  EXPECT_EQ(finals[0].confidence, 0.5);
  EXPECT_EQ(finals[0].room_name, "lobby");
  EXPECT_EQ(finals[0].engine, "fake");
  EXPECT_EQ(finals[0].frames_lost, 0);
  const auto messages = bus_.Published(subjects::kSttTranscript);
  EXPECT_EQ(messages.back().headers.Get(subjects::kKioskIdHeader), "kiosk-7");
  EXPECT_TRUE(Shows("kiosk_stt_utterances_total{agent=\"stt\",outcome=\"ok\"} 1")) << metrics_.Text();
  EXPECT_TRUE(Shows("kiosk_stt_ends_total{agent=\"stt\",why=\"end\"} 1"));
}

TEST_F(SttTest, PartialTextsComeAtMostEachInterval) {
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  const auto partials = [&] { return All<messages::SttTranscript>(subjects::kSttTranscript).size(); };
  Frame("a", 0);
  ASSERT_TRUE(bus_.RunUntil([&] { return partials() == 1; }));
  Frame("a", 1);  // no time has passed: none
  clock_.Advance(absl::Milliseconds(200));
  Frame("a", 2);
  ASSERT_TRUE(bus_.RunUntil([&] { return partials() == 2; }));
  End("a", 3);
  ASSERT_TRUE(AwaitIdle());
  const auto all = All<messages::SttTranscript>(subjects::kSttTranscript);
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_FALSE(all[1].is_final);
  EXPECT_FALSE(all[1].confidence.has_value());
  // The second frame may be heard only when time has gone on; then the third one's text has to wait.
  EXPECT_THAT(all[1].text, ::testing::AnyOf("word word", "word word word"));
  EXPECT_TRUE(all[2].is_final);
}

TEST_F(SttTest, MoreThanTheWorkersAreBusy) {
  Start();
  EXPECT_EQ(Claim("a"), "accepted");
  EXPECT_EQ(Claim("b"), "accepted");
  EXPECT_EQ(Claim("c"), "busy");
  End("a", 0);
  ASSERT_TRUE(AwaitActive(1));
  EXPECT_EQ(Claim("c"), "accepted");
  engine_.full = true;
  End("b", 0);
  ASSERT_TRUE(AwaitActive(1));
  EXPECT_EQ(Claim("d"), "busy") << "the engine has the last word";
  EXPECT_TRUE(Shows("kiosk_stt_busy_total{agent=\"stt\"} 2")) << metrics_.Text();
}

TEST_F(SttTest, AWorkerIsFreeWhenTheLastOfItsUtteranceIsSaid) {
  options_.workers = 1;
  engine_.finish = absl::UnavailableError("no server");
  testing_support::Signal claimed;
  bool next = false;
  on_failure_ = [&] { claimed.Await("the next claim", absl::Seconds(20), [&] { return next; }); };
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  End("a", 0);
  ASSERT_TRUE(bus_.RunUntil([this] { return !bus_.Published(subjects::kSttError).empty(); }));
  EXPECT_EQ(Claim("b"), "accepted") << "the utterance before is not cleared away yet";
  EXPECT_EQ(Claim("c"), "busy");
  claimed.Set([&] { next = true; });
  End("b", 0);
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(failures_, SizeIs(2));
}

TEST_F(SttTest, ASlowUtteranceHoldsUpNoOther) {
  Start();
  engine_.Hold(true);
  ASSERT_EQ(Claim("slow"), "accepted");
  ASSERT_EQ(Claim("quick"), "accepted");
  Frame("slow", 0, 100, 1);
  End("slow", 1);
  Frame("quick", 0);
  End("quick", 1);
  ASSERT_TRUE(bus_.RunUntil([this] { return Finals().size() == 1; }));
  EXPECT_EQ(Finals()[0].request_id, "quick");
  engine_.Hold(false);
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(Finals(), SizeIs(2));
}

TEST_F(SttTest, LostDoubledAndReorderedFramesAreCounted) {
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  // 0 comes after 1, 3 twice, 5 never, and the end says that 8 and 9 are missing too.
  for (const int seq : {1, 0, 2, 3, 3, 4, 6, 7}) Frame("a", seq);
  End("a", 10);
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(1));
  EXPECT_EQ(Finals()[0].audio_ms, 700);
  EXPECT_EQ(Finals()[0].frames_lost, 3);
  EXPECT_TRUE(Shows("kiosk_stt_frames_lost_total{agent=\"stt\"} 3")) << metrics_.Text();
  EXPECT_TRUE(Shows("kiosk_stt_frames_doubled_total{agent=\"stt\"} 1"));
  EXPECT_TRUE(Shows("kiosk_stt_frames_reordered_total{agent=\"stt\"} 1"));
}

TEST_F(SttTest, ASenderThatFallsSilentIsNotWaitedForLong) {
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  Frame("a", 0);
  ASSERT_TRUE(bus_.RunUntil([this] { return !bus_.Published(subjects::kSttTranscript).empty(); }));
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Seconds(5) - absl::Milliseconds(1));
  EXPECT_EQ(stt_->active(), 1);
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(1));
  EXPECT_EQ(Finals()[0].text, "word");
  EXPECT_EQ(Finals()[0].latency_ms, 5000);
  EXPECT_TRUE(Shows("kiosk_stt_ends_total{agent=\"stt\",why=\"silence\"} 1")) << metrics_.Text();
}

TEST_F(SttTest, AnUtteranceEndsAtItsLongest) {
  options_.max_utterance = absl::Seconds(2);
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  for (int seq = 0; seq < 10; ++seq) Frame("a", seq, 500);
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(1));
  EXPECT_EQ(Finals()[0].audio_ms, 2000);

  // One that sends next to nothing ends too.
  ASSERT_EQ(Claim("b"), "accepted");
  for (int seq = 0; seq < 2; ++seq) {
    Frame("b", seq, 20);
    clock_.AwaitWaiters(1);
    clock_.Advance(absl::Seconds(4));
  }
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(Finals(), SizeIs(2));
  EXPECT_TRUE(Shows("kiosk_stt_ends_total{agent=\"stt\",why=\"too_long\"} 2")) << metrics_.Text();
}

TEST_F(SttTest, FramesThatCannotBeUsedAreCountedAndSaidOnce) {
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  const auto send = [&](const char* format, const char* seq, std::string body) {
    bus::Message message;
    message.subject = "agent.stt.audio.a";
    if (format != nullptr) message.headers.Set(subjects::kAudioFormatHeader, format);
    if (seq != nullptr) message.headers.Set(subjects::kSeqHeader, seq);
    message.body = std::move(body);
    ASSERT_TRUE(bus_.Publish(message).ok());
    bus_.RunUntilIdle();
  };
  send("pcm_s16le", "0", "odd");
  send("pcm_s16le;rate=99", "1", "ab");
  send("opus", "2", "ab");
  send("pcm_s16le;rate=16000;channels=2", "3", "ab");
  send("pcm_s16le;rate=8000", "4", std::string(16002, '\0'));
  send("pcm_s16le", "-1", "ab");
  send("pcm_s16le", "18446744073709551615", "ab");
  send("pcm_s16le", "six", "ab");
  send(nullptr, nullptr, std::string(3200, 'a'));  // 16 kHz, one channel, as it comes
  End("a", 5);
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(1));
  EXPECT_EQ(Finals()[0].text, "word");
  EXPECT_EQ(Finals()[0].frames_lost, 0);
  const auto errors = All<messages::AgentError>(subjects::kSttError);
  ASSERT_THAT(errors, SizeIs(1));
  EXPECT_EQ(errors[0].error_type, "invalid_audio");
  EXPECT_TRUE(Shows("kiosk_stt_bad_frames_total{agent=\"stt\",reason=\"format\"} 2")) << metrics_.Text();
  EXPECT_TRUE(Shows("kiosk_stt_bad_frames_total{agent=\"stt\",reason=\"size\"} 3"));
  EXPECT_TRUE(Shows("kiosk_stt_bad_frames_total{agent=\"stt\",reason=\"seq\"} 3"));
}

TEST_F(SttTest, WrongRequestsAreRefused) {
  Start();
  for (const char* body : {"", "[]", "{}", R"({"request_id":""})", R"({"request_id":"a.b"})",
                           R"({"request_id":"*"})", R"({"request_id":"a","language":"de-DE"})"}) {
    EXPECT_THAT(Request(body), HasSubstr("INVALID_REQUEST")) << body;
  }
  ASSERT_EQ(Claim("a"), "accepted");
  EXPECT_THAT(Claim("a"), HasSubstr("under way"));
  engine_.health = absl::UnavailableError("no model");
  EXPECT_THAT(Claim("b"), HasSubstr("UNAVAILABLE"));
  engine_.health = absl::OkStatus();
  EXPECT_EQ(stt_->active(), 1);

  bus::Message unheard;
  unheard.subject = subjects::kSttRequest;
  unheard.body = "{}";
  ASSERT_TRUE(bus_.Publish(unheard).ok());
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published("system.deadletter.core.arc-stt"), SizeIs(1));
}

TEST_F(SttTest, WhatTheEngineCannotDoIsAnError) {
  engine_.finish = absl::UnavailableError("no server");
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  Frame("a", 0);
  End("a", 1);
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(Finals(), IsEmpty());
  const auto errors = All<messages::AgentError>(subjects::kSttError);
  ASSERT_THAT(errors, SizeIs(1));
  EXPECT_EQ(errors[0].error_type, "engine_failed");
  EXPECT_EQ(errors[0].error_message, "no server");
  EXPECT_EQ(errors[0].retry_count, 2);
  EXPECT_THAT(failures_, SizeIs(1));
  EXPECT_EQ(Claim("b"), "accepted") << "the worker is free again";
}

TEST_F(SttTest, SoundThatTheEngineRefusesIsSaidToBeRefused) {
  Start();
  int number = 0;
  for (const auto& [status, type] : std::vector<std::pair<absl::Status, std::string>>{
           {absl::FailedPreconditionError("the transcription server answers 400"), "engine_refused"},
           {absl::DeadlineExceededError("no answer"), "timeout"},
           {absl::PermissionDeniedError("the transcription server answers 401"), "engine_failed"},
           {absl::InternalError("the answer is wrong"), "engine_failed"}}) {
    engine_.finish = status;
    const std::string id = absl::StrCat("a", number++);
    ASSERT_EQ(Claim(id), "accepted");
    End(id, 0);
    ASSERT_TRUE(AwaitIdle());
    EXPECT_EQ(All<messages::AgentError>(subjects::kSttError).back().error_type, type);
  }
}

TEST_F(SttTest, AFloodOfClaimsTakesNoMoreThanTheWorkersAndLateFramesDoNothing) {
  Start();
  int accepted = 0;
  for (int i = 0; i < 500; ++i) accepted += Claim(absl::StrCat("flood-", i)) == "accepted" ? 1 : 0;
  EXPECT_EQ(accepted, 2);
  EXPECT_EQ(stt_->active(), 2);
  for (const char* id : {"flood-0", "flood-1"}) {
    Frame(id, 0);
    End(id, 1);
  }
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(2));
  for (int i = 2; i < 50; ++i) Frame("flood-0", i);
  End("flood-0", 50);
  EXPECT_THAT(Finals(), SizeIs(2));
  EXPECT_THAT(bus_.Published(subjects::kSttError), IsEmpty());
  EXPECT_EQ(Claim("next"), "accepted");
}

TEST_F(SttTest, AClaimWithoutSoundGivesItsWorkerBack) {
  options_.workers = 1;
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  EXPECT_EQ(Claim("b"), "busy");
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Seconds(5));
  ASSERT_TRUE(AwaitIdle());
  ASSERT_THAT(Finals(), SizeIs(1));
  EXPECT_EQ(Finals()[0].text, "");
  EXPECT_EQ(Claim("b"), "accepted");
}

TEST_F(SttTest, AtTheEndUnfinishedOnesAreGivenBack) {
  Start();
  ASSERT_EQ(Claim("a"), "accepted");
  Frame("a", 0);
  stt_->StopTaking();
  stt_->Drain(absl::ZeroDuration());
  EXPECT_EQ(stt_->active(), 0);
  bus_.RunUntilIdle();
  EXPECT_THAT(Finals(), IsEmpty());
  const auto errors = All<messages::AgentError>(subjects::kSttError);
  ASSERT_THAT(errors, SizeIs(1));
  EXPECT_EQ(errors[0].error_type, "shutting_down");
  EXPECT_THAT(Claim("b"), Not(HasSubstr("accepted")));
}

}  // namespace
}  // namespace arc::stt
