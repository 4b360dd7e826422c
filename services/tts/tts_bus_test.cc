// The real agent on a real nats-server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opus.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/nats_bus.h"
#include "common/json/json.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::tts {
namespace {

using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Optional;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::NatsServer;
using testing_support::Process;
using testing_support::Signal;
using testing_support::TempDir;

constexpr absl::Duration kLimit = absl::Seconds(20);

// One copy of the agent.
class Agent {
 public:
  explicit Agent(const NatsServer& server, std::vector<std::string> flags = {}) {
    std::vector<std::string> argv = {absl::StrCat(ARC_BIN_DIR, "/arc-tts"),
                                     absl::StrCat("--nats_url=", server.url()),
                                     absl::StrCat("--ready_file=", dir_.File("ready.json"))};
    argv.insert(argv.end(), flags.begin(), flags.end());
    process_ = Process::Start(argv).value();
    EXPECT_TRUE(process_->AwaitFile(dir_.File("ready.json"), kLimit));
  }

  bool AwaitServing() {
    return Await("the agent to serve", kLimit,
                 [this] { return absl::StrContains(process_->Stderr(), "\"msg\":\"serving\""); });
  }
  Process& process() { return *process_; }

 private:
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

struct Heard {
  std::vector<bus::Message> frames;
  std::vector<absl::Time> times;  // of the frames
  bool ended = false;
  std::optional<messages::TtsCompleted> completed;
  std::optional<messages::AgentError> error;
};

// Everything that is said on a bus, by request.
class Listener {
 public:
  // One subscription for all: only so do frames and what is said of them come in the order of publishing.
  explicit Listener(bus::Bus& bus)
      : subscription_(
            bus.Subscribe("agent.tts.>", "",
                          [this](bus::Message message) { signal_.Set([&] { Take(std::move(message)); }); })
                .value()) {}

  bool AwaitCompleted(const std::string& id, absl::Duration limit = kLimit) {
    return signal_.Await(absl::StrCat(id, " to be completed"), limit,
                         [&] { return heard_[id].completed.has_value(); });
  }
  bool AwaitError(const std::string& id) {
    return signal_.Await(absl::StrCat(id, " to fail"), kLimit, [&] { return heard_[id].error.has_value(); });
  }
  bool AwaitFrames(const std::string& id, size_t count) {
    return signal_.Await(absl::StrCat(count, " frames of ", id), kLimit,
                         [&] { return heard_[id].frames.size() >= count; });
  }
  Heard Get(const std::string& id) {
    Heard heard;
    signal_.Read([&] { heard = heard_[id]; });
    return heard;
  }

 private:
  void Take(bus::Message message) {
    if (message.subject == subjects::kTtsCompleted) {
      const auto completed = json::Decode<messages::TtsCompleted>(message.body);
      ASSERT_THAT(completed, IsOk());
      heard_[completed->request_id].completed = *completed;
    } else if (message.subject == subjects::kTtsError) {
      const auto error = json::Decode<messages::AgentError>(message.body);
      ASSERT_THAT(error, IsOk());
      heard_[error->request_id].error = *error;
    } else if (absl::StartsWith(message.subject, subjects::kTtsAudioPrefix)) {
      Heard& heard = heard_[message.headers.Get(subjects::kRequestIdHeader).value_or("")];
      EXPECT_FALSE(heard.completed.has_value()) << "nothing comes after it was completed";
      if (message.headers.Has(subjects::kEndHeader)) heard.ended = true;
      heard.times.push_back(absl::Now());
      heard.frames.push_back(std::move(message));
    }
  }

  Signal signal_;
  std::map<std::string, Heard> heard_;
  std::unique_ptr<bus::Subscription> subscription_;  // last: its callback uses the above
};

void Request(bus::Bus& bus, const messages::TtsRequest& request) {
  ASSERT_THAT(bus.Publish({subjects::kTtsRequest, "", {}, json::Encode(request)}), IsOk());
}

messages::TtsRequest MakeRequest(const std::string& id, const std::string& text,
                                 const std::string& room = "room-1") {
  messages::TtsRequest request;
  request.request_id = id;
  request.timestamp = "2025-12-14T13:30:07.000Z";
  request.trace_id = "550e8400-e29b-41d4-a716-446655440000";
  request.text = text;
  request.session_id = "session-456";
  request.target_room = room;
  request.turn_index = 3;
  return request;
}

// The sound of PCM frames, which are checked to be in order and of one format.
audio::Samples Sound(const Heard& heard, const std::string& format) {
  audio::Samples sound;
  uint64_t next = 0;
  for (const bus::Message& frame : heard.frames) {
    EXPECT_THAT(frame.headers.Get(subjects::kSeqHeader), Optional(absl::StrCat(next++)));
    EXPECT_THAT(frame.headers.Get(subjects::kAudioFormatHeader), Optional(format));
    if (frame.body.empty()) continue;
    const auto parsed = audio::ParseFormat(format);
    EXPECT_THAT(parsed, IsOk());
    const auto samples = audio::DecodePcm(frame.body, *parsed);
    EXPECT_THAT(samples, IsOk());
    sound.insert(sound.end(), samples->begin(), samples->end());
  }
  return sound;
}

class TtsBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    listener_ = std::make_unique<Listener>(*bus_);
    EXPECT_THAT(bus_->Flush(kLimit), IsOk());
  }

  std::unique_ptr<Listener> listener_;
};

TEST_F(TtsBusTest, ARequestIsHeardAsFramesInOrderThenEndedAndCompleted) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  Request(*bus_, MakeRequest("r1", "Your order is two volcano burgers."));
  ASSERT_TRUE(listener_->AwaitCompleted("r1"));
  const Heard heard = listener_->Get("r1");
  const audio::Samples sound = Sound(heard, "pcm_s16le;rate=16000;channels=1");
  EXPECT_GT(audio::LevelDb(sound), -40);
  EXPECT_THAT(sound.size(), Gt(16000U)) << "it takes more than a second to say that";
  ASSERT_TRUE(heard.ended);
  EXPECT_THAT(heard.frames.back().headers.Get(subjects::kEndHeader), Optional(std::string("true")));
  EXPECT_THAT(heard.frames.back().body, IsEmpty());
  for (const bus::Message& frame : heard.frames) {
    EXPECT_EQ(frame.subject, "agent.tts.audio.room-1");
    EXPECT_THAT(frame.headers.Get(subjects::kTurnHeader), Optional(std::string("3")));
  }
  const messages::TtsCompleted& completed = *heard.completed;
  EXPECT_EQ(completed.trace_id, "550e8400-e29b-41d4-a716-446655440000");
  EXPECT_EQ(completed.audio_track_sid, std::nullopt);
  EXPECT_EQ(completed.duration_ms, static_cast<int64_t>(sound.size() / 16));
  EXPECT_TRUE(completed.ready_for_playback);
  EXPECT_EQ(completed.voice_id, "cmu_us_slt");
  EXPECT_EQ(completed.engine, "flite");
  EXPECT_EQ(completed.audio_format, "pcm");
  EXPECT_EQ(completed.sample_rate, 16000);
  EXPECT_GE(completed.total_latency_ms, completed.synthesis_latency_ms);
  EXPECT_FALSE(completed.from_cache);
}

TEST_F(TtsBusTest, FramesAreHeardWhileTheRestIsStillMadeAndPaced) {
  Agent agent(server_, {"--lead=500ms"});
  ASSERT_TRUE(agent.AwaitServing());
  Request(*bus_, MakeRequest("r", "Your order is two volcano burgers. It will be ready in ten minutes."));
  ASSERT_TRUE(listener_->AwaitCompleted("r"));
  const Heard heard = listener_->Get("r");
  const absl::Duration took =
      absl::Milliseconds(heard.completed->total_latency_ms - heard.completed->synthesis_latency_ms);
  const absl::Duration length = absl::Milliseconds(heard.completed->duration_ms);
  ASSERT_GT(length, absl::Seconds(3));
  EXPECT_GE(took, length - absl::Milliseconds(500) - absl::Milliseconds(250))
      << "not much faster than it plays";
  EXPECT_LT(heard.completed->synthesis_latency_ms, heard.completed->total_latency_ms);
}

TEST_F(TtsBusTest, ACancelIsSilenceWithinAFrame) {
  Agent agent(server_, {"--lead=200ms"});
  ASSERT_TRUE(agent.AwaitServing());
  Request(*bus_,
          MakeRequest("r", "Your order is two volcano burgers. It will be ready in ten minutes. Enjoy."));
  ASSERT_TRUE(listener_->AwaitFrames("r", 8));
  ASSERT_THAT(bus_->Publish({subjects::kTtsCancel, "", {}, R"({"request_id":"r","reason":"barge_in"})"}),
              IsOk());
  ASSERT_TRUE(listener_->AwaitCompleted("r"));
  const Heard at_once = listener_->Get("r");
  EXPECT_FALSE(at_once.completed->ready_for_playback);
  EXPECT_EQ(at_once.completed->duration_ms, 40 * static_cast<int64_t>(at_once.frames.size()));
  EXPECT_FALSE(at_once.ended);
  // Another request goes through to its end; by then the rest of the first would have come.
  Request(*bus_, MakeRequest("s", "Anything else?"));
  ASSERT_TRUE(listener_->AwaitCompleted("s"));
  EXPECT_THAT(listener_->Get("r").frames, SizeIs(at_once.frames.size()));
}

// The sound of Opus packets.
audio::Samples Decode(const Heard& heard, int rate) {
  int error = OPUS_OK;
  OpusDecoder* const decoder = opus_decoder_create(rate, 1, &error);
  EXPECT_EQ(error, OPUS_OK);
  audio::Samples sound;
  for (const bus::Message& frame : heard.frames) {
    if (frame.body.empty()) continue;
    audio::Samples piece(5760);
    const int count = opus_decode(decoder, reinterpret_cast<const unsigned char*>(frame.body.data()),
                                  static_cast<opus_int32>(frame.body.size()), piece.data(),
                                  static_cast<int>(piece.size()), 0);
    EXPECT_EQ(count, rate / 50) << "20 ms a packet";
    sound.insert(sound.end(), piece.begin(), piece.begin() + std::max(count, 0));
  }
  opus_decoder_destroy(decoder);
  return sound;
}

TEST_F(TtsBusTest, OpusDecodesToTheSoundThatPcmIs) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  messages::TtsRequest request = MakeRequest("opus", "Your order is two volcano burgers.");
  request.constraints.format = "opus";
  request.constraints.sample_rate = 24000;
  Request(*bus_, request);
  request.request_id = "pcm";
  request.constraints.format = "pcm";
  Request(*bus_, request);
  ASSERT_TRUE(listener_->AwaitCompleted("opus"));
  ASSERT_TRUE(listener_->AwaitCompleted("pcm"));
  const Heard heard = listener_->Get("opus");
  EXPECT_EQ(heard.completed->audio_format, "opus");
  const audio::Samples opus = Decode(heard, 24000);
  EXPECT_EQ(heard.completed->duration_ms, static_cast<int64_t>(opus.size() / 24));
  const audio::Samples pcm = Sound(listener_->Get("pcm"), "pcm_s16le;rate=24000;channels=1");
  EXPECT_NEAR(static_cast<double>(opus.size()), static_cast<double>(pcm.size()), 24 * 45);
  EXPECT_NEAR(audio::LevelDb(opus), audio::LevelDb(pcm), 1.5);
}

TEST_F(TtsBusTest, TwoRoomsAtOnce) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  const std::string text = "Your order is two volcano burgers. It will be ready in ten minutes.";
  Request(*bus_, MakeRequest("a", text, "room-a"));
  Request(*bus_, MakeRequest("b", text, "room-b"));
  ASSERT_TRUE(listener_->AwaitCompleted("a"));
  ASSERT_TRUE(listener_->AwaitCompleted("b"));
  const Heard a = listener_->Get("a");
  const Heard b = listener_->Get("b");
  EXPECT_LT(b.times.front(), a.times.back()) << "neither waits for the other's end";
  EXPECT_THAT(a.frames, SizeIs(b.frames.size()));
  for (const bus::Message& frame : a.frames) EXPECT_EQ(frame.subject, "agent.tts.audio.room-a");
  for (const bus::Message& frame : b.frames) EXPECT_EQ(frame.subject, "agent.tts.audio.room-b");
}

TEST_F(TtsBusTest, ARepeatedPromptComesFromTheCache) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  Request(*bus_, MakeRequest("a", "Anything else?"));
  ASSERT_TRUE(listener_->AwaitCompleted("a"));
  Request(*bus_, MakeRequest("b", "Anything else?"));
  ASSERT_TRUE(listener_->AwaitCompleted("b"));
  EXPECT_FALSE(listener_->Get("a").completed->from_cache);
  EXPECT_TRUE(listener_->Get("b").completed->from_cache);
  EXPECT_EQ(Sound(listener_->Get("a"), "pcm_s16le;rate=16000;channels=1"),
            Sound(listener_->Get("b"), "pcm_s16le;rate=16000;channels=1"));
}

TEST_F(TtsBusTest, KilledInASentenceItSaysNothingMoreAndAnotherCopyServes) {
  auto first = std::make_unique<Agent>(server_, std::vector<std::string>{"--lead=200ms"});
  ASSERT_TRUE(first->AwaitServing());
  Request(*bus_, MakeRequest("r", "Your order is two volcano burgers. It will be ready in ten minutes."));
  ASSERT_TRUE(listener_->AwaitFrames("r", 5));
  first->process().Kill();
  Agent second(server_);
  ASSERT_TRUE(second.AwaitServing());
  Request(*bus_, MakeRequest("s", "Anything else?"));
  ASSERT_TRUE(listener_->AwaitCompleted("s"));
  const Heard heard = listener_->Get("r");
  EXPECT_FALSE(heard.completed.has_value());
  EXPECT_FALSE(heard.error.has_value());
  EXPECT_FALSE(heard.ended);
}

TEST_F(TtsBusTest, ARequestGoesToOneCopyAndItsCancelToWhicheverHasIt) {
  Agent one(server_, {"--lead=200ms"});
  Agent other(server_, {"--lead=200ms"});
  ASSERT_TRUE(one.AwaitServing());
  ASSERT_TRUE(other.AwaitServing());
  for (int i = 0; i < 6; ++i) {
    const std::string id = absl::StrCat("r", i);
    Request(*bus_, MakeRequest(id, "Your order is two volcano burgers. It will be ready in ten minutes.",
                               absl::StrCat("room-", i)));
  }
  for (int i = 0; i < 6; ++i) {
    const std::string id = absl::StrCat("r", i);
    ASSERT_TRUE(listener_->AwaitFrames(id, 3));
    ASSERT_THAT(
        bus_->Publish({subjects::kTtsCancel, "", {}, absl::StrCat(R"({"request_id":")", id, R"("})")}),
        IsOk());
    ASSERT_TRUE(listener_->AwaitCompleted(id));
    EXPECT_FALSE(listener_->Get(id).completed->ready_for_playback);
    Sound(listener_->Get(id), "pcm_s16le;rate=16000;channels=1");  // in order, each once
  }
}

TEST_F(TtsBusTest, SigtermFinishesWhatItSays) {
  Agent agent(server_, {"--lead=200ms"});
  ASSERT_TRUE(agent.AwaitServing());
  Request(*bus_, MakeRequest("r", "Your order is two volcano burgers. It will be ready in ten minutes."));
  ASSERT_TRUE(listener_->AwaitFrames("r", 3));
  agent.process().Send(SIGTERM);
  EXPECT_THAT(agent.process().WaitExit(kLimit), Optional(0));
  ASSERT_TRUE(listener_->AwaitCompleted("r"));
  EXPECT_TRUE(listener_->Get("r").completed->ready_for_playback);
  EXPECT_GT(listener_->Get("r").completed->duration_ms, 3000);
}

TEST_F(TtsBusTest, TheServersRestartEndsNoAgent) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  server_.Kill();
  server_.Restart();
  ASSERT_TRUE(bus_->AwaitConnected(kLimit));
  int asked = 0;
  ASSERT_TRUE(Await("the agent to be back", kLimit, [&] {
    Request(*bus_, MakeRequest(absl::StrCat("r", ++asked), "Anything else?"));
    return listener_->Get("r1").completed.has_value() ||
           listener_->Get(absl::StrCat("r", asked - 1)).completed.has_value();
  }));
}

TEST_F(TtsBusTest, EspeakSpeaksAsWell) {
  Agent agent(server_, {"--engine=espeak-ng"});
  ASSERT_TRUE(agent.AwaitServing());
  messages::TtsRequest request = MakeRequest("r", "One gyro for $7.50.");
  request.voice_id = "en-us+f3";
  Request(*bus_, request);
  ASSERT_TRUE(listener_->AwaitCompleted("r"));
  const Heard heard = listener_->Get("r");
  EXPECT_EQ(heard.completed->engine, "espeak-ng");
  EXPECT_EQ(heard.completed->voice_id, "en-us+f3");
  EXPECT_EQ(heard.completed->note, std::nullopt);
  EXPECT_GT(audio::LevelDb(Sound(heard, "pcm_s16le;rate=16000;channels=1")), -40);
}

TEST_F(TtsBusTest, AnEngineThatIsNotThereIsSaidAndNotServed) {
  Agent agent(server_, {"--engine=piper", "--piper_program=no-such-piper"});
  EXPECT_TRUE(Await("the reason in the log", kLimit, [&] {
    return absl::StrContains(agent.process().Stderr(), "there is no program no-such-piper in PATH");
  }));
  EXPECT_THAT(agent.process().Stderr(), Not(HasSubstr("\"msg\":\"serving\"")));
}

TEST_F(TtsBusTest, WhatIsMalformedIsAnError) {
  Agent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  for (const char* body : {"", "{", "[1]", "\xff\xfe", "{\"request_id\":1}"}) {
    ASSERT_THAT(bus_->Publish({subjects::kTtsRequest, "", {}, body}), IsOk());
    ASSERT_THAT(bus_->Publish({subjects::kTtsCancel, "", {}, body}), IsOk());
  }
  ASSERT_THAT(
      bus_->Publish({subjects::kTtsRequest, "", {}, R"({"request_id":"r","target_room":"a.b","text":"x"})"}),
      IsOk());
  ASSERT_TRUE(listener_->AwaitError("r"));
  EXPECT_EQ(listener_->Get("r").error->error_type, "invalid_request");
  EXPECT_TRUE(Await("the dead letters", kLimit, [&] {
    return bus_->NextStored(subjects::kDeadLetterStream, "system.deadletter.core.arc-piper-tts", 11).ok();
  }));
  Request(*bus_, MakeRequest("s", "Anything else?"));
  EXPECT_TRUE(listener_->AwaitCompleted("s"));
}

TEST(TtsProgramTest, SaysIntoAFileWithoutABus) {
  TempDir dir;
  const testing_support::Finished said =
      testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-tts"), "--say", "That's $5.",
                                   "--voice=cmu_us_rms", absl::StrCat("--out=", dir.File("a.wav"))});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("That's five dollars."));
  EXPECT_THAT(audio::ReadSoundFile(dir.File("a.wav")), IsOk());
  const testing_support::Finished voices = testing_support::RunProgram(
      {absl::StrCat(ARC_BIN_DIR, "/arc-tts"), "--engine=espeak-ng", "--list_voices"});
  EXPECT_EQ(voices.status, 0);
  EXPECT_THAT(voices.out, HasSubstr("en-gb+f3"));
  const testing_support::Finished wrong =
      testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-tts"), "--engine=parrot"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--engine: 'parrot'"));
}

}  // namespace
}  // namespace arc::tts
