// The agent on a bus in memory.
#include "services/tts/tts_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/metrics/metrics.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"

namespace arc::tts {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

constexpr char kDeadLetters[] = "system.deadletter.core.arc-piper-tts";

// A tenth of a second a sentence.
class QuickEngine : public Engine {
 public:
  absl::string_view name() const override { return "quick"; }
  Dialect dialect() const override { return {}; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Health() const override {
    return ill ? absl::UnavailableError("no breath") : absl::OkStatus();
  }
  std::vector<Voice> voices() const override { return {{"ann", "en-US", Gender::kFemale}}; }
  absl::Status Synthesise(const Voice&, const std::string&, Stop&, const Sink& sink) override {
    if (before) before();
    sink(audio::Samples(1600, 1000), 16000);
    return absl::OkStatus();
  }
  std::atomic<bool> ill{false};
  std::function<void()> before;  // a sentence
};

class TtsServiceTest : public testing::Test {
 protected:
  TtsServiceTest() : bus_(clock_) {
    bus_.ProvisionDefault();
    service_ = std::make_unique<TtsService>(bus_, engine_, Tts::Options(), &metrics_);
    EXPECT_THAT(service_->Start(), IsOk());
  }

  void Publish(const char* subject, const std::string& body) {
    ASSERT_THAT(bus_.Publish({subject, "", {}, body}), IsOk());
    bus_.RunUntilIdle();
  }
  // Waits for `count` messages on `subject`.
  std::vector<bus::Message> Await(const std::string& subject, size_t count) {
    EXPECT_TRUE(bus_.RunUntil([&] { return bus_.Published(subject).size() >= count; })) << subject;
    return bus_.Published(subject);
  }
  messages::AgentError Error() {
    const std::vector<bus::Message> errors = Await(subjects::kTtsError, 1);
    return json::Decode<messages::AgentError>(errors.at(0).body).value();
  }

  ManualClock clock_;
  bus::MemoryBus bus_;
  QuickEngine engine_;
  Metrics metrics_{"tts"};
  std::unique_ptr<TtsService> service_;
};

TEST_F(TtsServiceTest, TheSpecificationsOwnRequest) {
  Publish(subjects::kTtsRequest, R"({
    "request_id": "tts-req-123", "timestamp": "2025-12-14T13:30:07.000Z",
    "trace_id": "550e8400-e29b-41d4-a716-446655440000",
    "text": "It's currently 68°F and sunny in San Francisco.", "voice_id": "en_US-lessac-medium",
    "session_id": "session-456", "target_room": "room-user-123-session-456",
    "constraints": {"max_latency_ms": 500, "format": "opus", "sample_rate": 24000}})");
  const bus::Message message = Await(subjects::kTtsCompleted, 1).at(0);
  EXPECT_THAT(message.headers.Get("traceparent"), Optional(HasSubstr("550e8400e29b41d4a716446655440000")));
  EXPECT_THAT(message.body, HasSubstr(R"("audio_track_sid":null)"));
  const auto completed = json::Decode<messages::TtsCompleted>(message.body);
  ASSERT_THAT(completed, IsOk());
  EXPECT_EQ(completed->request_id, "tts-req-123");
  EXPECT_EQ(completed->audio_format, "opus");
  EXPECT_EQ(completed->sample_rate, 24000);
  EXPECT_EQ(completed->engine, "quick");
  EXPECT_EQ(completed->voice_id, "ann");
  EXPECT_THAT(completed->note, Optional(HasSubstr("en_US-lessac-medium")));
  const std::vector<bus::Message> frames = bus_.Published("agent.tts.audio.room-user-123-session-456");
  ASSERT_THAT(frames, SizeIs(7)) << "120 ms in frames of 20 ms, and the end";
  for (size_t i = 0; i < frames.size(); ++i) {
    EXPECT_THAT(frames[i].headers.Get("Request-Id"), Optional(std::string("tts-req-123")));
    EXPECT_THAT(frames[i].headers.Get("Turn"), Optional(std::string("0")));
    EXPECT_THAT(frames[i].headers.Get("Seq"), Optional(absl::StrCat(i)));
    EXPECT_THAT(frames[i].headers.Get("Audio-Format"), Optional(std::string("opus;rate=24000;channels=1")));
    EXPECT_EQ(frames[i].headers.Has("End"), i + 1 == frames.size());
  }
}

TEST_F(TtsServiceTest, AMalformedRequestIsADeadLetterAndAnErrorWhereItsIdCanBeRead) {
  Publish(subjects::kTtsRequest, R"({"request_id":"r1","trace_id":"t","target_room":"a"})");
  const messages::AgentError error = Error();
  EXPECT_EQ(error.request_id, "r1");
  EXPECT_EQ(error.trace_id, "t");
  EXPECT_EQ(error.error_type, "invalid_request");
  EXPECT_THAT(error.error_message, HasSubstr("text"));
  ASSERT_THAT(Await(kDeadLetters, 1), SizeIs(1));
  const std::vector<std::string> nameless = {
      "",
      "hello",
      "[]",
      "{}",
      "null",
      "{\"request_id\":5}",
      "{\"request_id\":\"r\",",
      std::string("{\"request_id\":\"\0\"}", 18),
      std::string(100000, '['),
      absl::StrCat(R"({"request_id":")", std::string(201, 'r'), R"("})")};
  for (const std::string& body : nameless) Publish(subjects::kTtsRequest, body);
  EXPECT_THAT(Await(kDeadLetters, 1 + nameless.size()), SizeIs(1 + nameless.size()));
  EXPECT_THAT(bus_.Published(subjects::kTtsError), SizeIs(1)) << "nobody could be told";
}

TEST_F(TtsServiceTest, FieldsThatCannotBeAreNamed) {
  const auto body = [](const std::string& fields) {
    return absl::StrCat(R"({"request_id":"r","target_room":"a","text":"Hi.")", fields, "}");
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {body(R"(,"constraints":{"format":"mp3"})"), "constraints.format"},
      {body(R"(,"constraints":{"sample_rate":7999})"), "constraints.sample_rate"},
      {body(R"(,"constraints":{"sample_rate":"high"})"), "constraints.sample_rate"},
      {body(R"(,"constraints":{"max_latency_ms":-1})"), "constraints.max_latency_ms"},
      {R"({"request_id":"r","target_room":"kiosk.*","text":"Hi."})", "target_room"},
      {absl::StrCat(R"({"request_id":"r","target_room":"a","text":")", std::string(4001, 'a'), R"("})"),
       "text"},
      {R"({"request_id":"r","target_room":"a","text":""})", "text"}};
  for (const auto& [request, field] : cases) {
    bus_.ClearPublished();
    Publish(subjects::kTtsRequest, request);
    EXPECT_EQ(Error().error_type, "invalid_request");
    EXPECT_THAT(Error().error_message, HasSubstr(field));
    EXPECT_THAT(Await(kDeadLetters, 1), SizeIs(1));
    EXPECT_THAT(bus_.Published("agent.tts.audio.>"), IsEmpty());
  }
}

TEST_F(TtsServiceTest, ACancelHoldsForARequestThatComesLater) {
  Publish(subjects::kTtsCancel, R"({"request_id":"r","reason":"barge_in"})");
  Publish(subjects::kTtsRequest, R"({"request_id":"r","target_room":"a","text":"Hi."})");
  const auto completed = json::Decode<messages::TtsCompleted>(Await(subjects::kTtsCompleted, 1).at(0).body);
  ASSERT_THAT(completed, IsOk());
  EXPECT_FALSE(completed->ready_for_playback);
  EXPECT_THAT(bus_.Published("agent.tts.audio.>"), IsEmpty());
}

TEST_F(TtsServiceTest, AMalformedCancelIsADeadLetter) {
  Publish(subjects::kTtsCancel, "stop!");
  EXPECT_THAT(Await(kDeadLetters, 1), SizeIs(1));
}

TEST_F(TtsServiceTest, RequestsAreLeftToOtherCopiesWhileTheEngineIsIll) {
  engine_.ill = true;
  EXPECT_THAT(service_->FollowHealth(), StatusIs(absl::StatusCode::kUnavailable));
  Publish(subjects::kTtsRequest, R"({"request_id":"r","target_room":"a","text":"Hi."})");
  EXPECT_THAT(bus_.Published(subjects::kTtsError), IsEmpty());
  engine_.ill = false;
  EXPECT_THAT(service_->FollowHealth(), IsOk());
  Publish(subjects::kTtsRequest, R"({"request_id":"s","target_room":"a","text":"Hi."})");
  EXPECT_THAT(Await(subjects::kTtsCompleted, 1), SizeIs(1));
}

TEST_F(TtsServiceTest, AnEngineThatFellIllSinceIsToldAsUnavailable) {
  engine_.ill = true;
  Publish(subjects::kTtsRequest, R"({"request_id":"r","target_room":"a","text":"Hi."})");
  EXPECT_EQ(Error().error_type, "unavailable");
  EXPECT_EQ(Error().error_message, "no breath");
}

TEST_F(TtsServiceTest, AudioIsNotKeptForAConnectionThatComesBack) {
  engine_.before = [this] { bus_.SetConnected(false); };
  Publish(subjects::kTtsRequest, R"({"request_id":"r","target_room":"a","text":"One."})");
  service_->Drain(absl::Seconds(10));
  EXPECT_EQ(service_->active(), 0);
  bus_.SetConnected(true);
  EXPECT_EQ(Error().error_type, "undeliverable") << "who asked is told when that is possible again";
  EXPECT_THAT(bus_.Published("agent.tts.audio.>"), IsEmpty());
}

TEST_F(TtsServiceTest, AfterADrainNothingIsTaken) {
  service_->Drain(absl::Seconds(1));
  EXPECT_THAT(service_->FollowHealth(), IsOk());
  Publish(subjects::kTtsRequest, R"({"request_id":"r","target_room":"a","text":"Hi."})");
  EXPECT_THAT(bus_.Published(subjects::kTtsCompleted), IsEmpty());
}

}  // namespace
}  // namespace arc::tts
