// The real agent on a real nats-server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opus.h>
#include <signal.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::tts {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::Not;
using ::testing::Optional;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::NatsServer;
using testing_support::Process;
using testing_support::Signal;
using testing_support::TempDir;

constexpr absl::Duration kLimit = absl::Seconds(20);

std::unique_ptr<bus::NatsBus> ConnectTo(const NatsServer& server) {
  bus::NatsOptions options;
  options.url = server.url();
  std::unique_ptr<bus::NatsBus> bus = bus::NatsBus::Connect(SystemClock::Get(), options).value();
  EXPECT_TRUE(bus->AwaitConnected(absl::Seconds(10)));
  return bus;
}

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

class TtsBusTest : public testing::Test {
 protected:
  TtsBusTest() {
    server_.Provision();
    bus_ = ConnectTo(server_);
    listener_ = std::make_unique<Listener>(*bus_);
    EXPECT_THAT(bus_->Flush(kLimit), IsOk());
  }

  NatsServer server_;
  std::unique_ptr<bus::NatsBus> bus_;
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

}  // namespace
}  // namespace arc::tts
