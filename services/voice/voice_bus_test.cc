// The agent's binary on a real nats-server, with real speech; recogniser, brain and TTS are the test's own.
#include <signal.h>

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/messages/brain.h"
#include "common/messages/input.h"
#include "common/messages/session.h"
#include "common/messages/stt.h"
#include "common/messages/system.h"
#include "common/messages/tts.h"
#include "common/messages/voice.h"
#include "common/messages/voice_agent.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/process.h"

namespace arc::voice {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using testing_support::Process;
using testing_support::Signal;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kRoom[] = "kiosk-001";

// Speech at 16 kHz, followed by `silence`.
audio::Samples Speak(const testing_support::TempDir& folder, const std::string& text,
                     absl::Duration silence) {
  const std::string file = folder.File("speech.wav");
  const testing_support::Finished made = testing_support::RunProgram({"espeak-ng", "-w", file, text});
  EXPECT_EQ(made.status, 0) << made.err;
  const absl::StatusOr<audio::Clip> clip = audio::ReadSoundFile(file);
  EXPECT_THAT(clip, IsOk());
  if (!clip.ok()) return {};
  audio::Samples samples = audio::Resample(clip->samples, clip->rate, 16000);
  samples.resize(samples.size() + static_cast<size_t>(absl::ToDoubleSeconds(silence) * 16000));
  return samples;
}

class VoiceBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    for (const char* subject : {"agent.>", "kiosk.>", "system.>"}) Listen(subject);
  }
  void TearDown() override { agent_.reset(); }

  void Listen(const std::string& subject) {
    auto subscription = bus_->Subscribe(
        subject, "", [this](const bus::Message& message) { signal_.Set([&] { seen_.push_back(message); }); });
    ASSERT_THAT(subscription, IsOk());
    subscriptions_.push_back(*std::move(subscription));
  }

  void StartAgent(const std::vector<std::string>& flags = {}) {
    const std::string ready = folder_.File(absl::StrCat("ready", ++starts_));
    std::vector<std::string> argv = {absl::StrCat(ARC_BIN_DIR, "/arc-voice"), "--nats_url=" + server_.url(),
                                     "--ready_file=" + ready, "--log_level=debug"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    auto process = Process::Start(argv);
    ASSERT_THAT(process, IsOk());
    agent_ = *std::move(process);
    ASSERT_TRUE(agent_->AwaitFile(ready, kPatience));
    ASSERT_TRUE(Until("a healthy heartbeat", [&] {
      for (const bus::Message& message : seen_) {
        if (message.subject == subjects::kHeartbeat && absl::StrContains(message.body, "\"healthy\""))
          return true;
      }
      return false;
    }));
  }

  // Waits until `done`, asked with seen_ locked.
  bool Until(absl::string_view what, const std::function<bool()>& done) {
    const bool held = signal_.Await(what, kPatience, done);
    if (!held && agent_ != nullptr) ADD_FAILURE() << agent_->Stderr();
    return held;
  }
  size_t CountOf(absl::string_view subject) const {
    size_t count = 0;
    for (const bus::Message& message : seen_) count += message.subject == subject ? 1 : 0;
    return count;
  }
  bool AwaitCount(absl::string_view subject, size_t count) {
    return Until(absl::StrCat(count, " of ", subject), [&] { return CountOf(subject) >= count; });
  }
  template <class T>
  std::vector<T> All(absl::string_view subject, bool enveloped = false) {
    std::vector<T> all;
    signal_.Read([&] {
      for (const bus::Message& message : seen_) {
        if (message.subject != subject) continue;
        if (enveloped) {
          const auto parsed = ParseMessage(message.body, absl::Now());
          EXPECT_THAT(parsed, IsOk());
          const auto payload = DecodePayload<T>(*parsed);
          EXPECT_THAT(payload, IsOk());
          if (payload.ok()) all.push_back(*payload);
        } else {
          const auto payload = json::Decode<T>(message.body);
          EXPECT_THAT(payload, IsOk()) << message.body;
          if (payload.ok()) all.push_back(*payload);
        }
      }
    });
    return all;
  }

  // A recogniser that understands `text`, whatever is said.
  void StartRecogniser(bus::Bus& bus, const std::string& text, const std::string& worker) {
    auto requests =
        bus.Subscribe(subjects::kSttRequest, "stt", [this, &bus, text, worker](const bus::Message& m) {
          const auto request = json::Decode<messages::SttRequest>(m.body);
          ASSERT_THAT(request, IsOk());
          auto audio = bus.Subscribe(
              absl::StrCat("agent.stt.audio.", request->request_id), "",
              [this, &bus, text, request = *request](const bus::Message& frame) {
                size_t bytes = 0;
                std::lock_guard<std::mutex> lock(mutex_);
                bytes = heard_[request.request_id] += frame.body.size();
                messages::SttTranscript transcript;
                transcript.request_id = request.request_id;
                transcript.timestamp = FormatTimestamp(absl::Now());
                transcript.text = text;
                transcript.is_final = frame.headers.Get("End").value_or("") == "true";
                if (transcript.is_final) transcript.confidence = 0.9;
                if (transcript.is_final || (bytes > 16000 && partial_.insert(request.request_id).second)) {
                  (void)bus.Publish({subjects::kSttTranscript, "", {}, json::Encode(transcript)});
                }
              });
          ASSERT_THAT(audio, IsOk());
          {
            std::lock_guard<std::mutex> lock(mutex_);
            audio_.push_back(*std::move(audio));
          }
          messages::SttAccepted accepted;
          accepted.request_id = request->request_id;
          accepted.status = "accepted";
          accepted.worker_id = worker;
          (void)bus.Publish({m.reply, "", {}, json::Encode(accepted)});
        });
    ASSERT_THAT(requests, IsOk());
    auto ping = bus.Subscribe(absl::StrCat("$SRV.PING.stt.", worker), "", [&bus](const bus::Message& m) {
      (void)bus.Publish({m.reply, "", {}, "{}"});
    });
    ASSERT_THAT(ping, IsOk());
    subscriptions_.push_back(*std::move(requests));
    subscriptions_.push_back(*std::move(ping));
  }

  // A brain that adds one burger and says so.
  void StartBrain() {
    auto requests = bus_->Subscribe(subjects::kBrainRequest, "brain", [this](const bus::Message& m) {
      const auto request = json::Decode<messages::BrainRequest>(m.body);
      ASSERT_THAT(request, IsOk());
      messages::BrainResponse response;
      response.request_id = request->request_id;
      response.timestamp = FormatTimestamp(absl::Now());
      response.agent_response = "One volcano burger. Anything else?";
      response.metadata.llm_model = "test";
      response.performance.tools = {{"menu.search", 0, 1}};
      messages::Intent intent;
      intent.intent_type = messages::IntentType::kAddToCart;
      intent.raw_text = request->user_input;
      response.intents = {intent};
      response.dialogue = json::Raw{R"({"last":101})"};
      const std::string body = json::Encode(response);
      (void)bus_->Publish({subjects::kBrainResponse, "", {}, body});
      if (!m.reply.empty()) (void)bus_->Publish({m.reply, "", {}, body});
    });
    ASSERT_THAT(requests, IsOk());
    subscriptions_.push_back(*std::move(requests));
  }

  // A TTS whose answers last `length`, and that says nothing more of what was cancelled.
  void StartTts(absl::Duration length) {
    auto requests = bus_->Subscribe(subjects::kTtsRequest, "tts", [this, length](const bus::Message& m) {
      const auto request = json::Decode<messages::TtsRequest>(m.body);
      ASSERT_THAT(request, IsOk());
      const int frames = static_cast<int>(length / absl::Milliseconds(100));
      for (int i = 0; i <= frames; ++i) {
        bus::Message frame;
        frame.subject = absl::StrCat("agent.tts.audio.", request->target_room);
        frame.headers.Set("Request-Id", request->request_id);
        frame.headers.Set("Turn", absl::StrCat(request->turn_index));
        frame.headers.Set("Seq", absl::StrCat(i));
        frame.headers.Set("Audio-Format", "pcm_s16le;rate=16000;channels=1");
        if (i == frames) {
          frame.headers.Set("End", "true");
        } else {
          frame.body.assign(3200, '\0');
        }
        (void)bus_->Publish(frame);
      }
      messages::TtsCompleted completed;
      completed.request_id = request->request_id;
      completed.timestamp = FormatTimestamp(absl::Now());
      completed.duration_ms = absl::ToInt64Milliseconds(length);
      completed.audio_format = "pcm";
      (void)bus_->Publish({subjects::kTtsCompleted, "", {}, json::Encode(completed)});
    });
    ASSERT_THAT(requests, IsOk());
    subscriptions_.push_back(*std::move(requests));
  }

  void Send(const audio::Samples& samples, const std::string& room = kRoom, size_t per_frame = 320) {
    for (size_t at = 0; at < samples.size(); at += per_frame) {
      bus::Message frame;
      frame.subject = absl::StrCat("agent.voice.audio.", room);
      frame.headers.Set("Audio-Format", "pcm_s16le;rate=16000;channels=1");
      frame.headers.Set("Seq", absl::StrCat(seq_[room]++));
      frame.body = audio::EncodePcm(
          absl::MakeConstSpan(samples).subspan(at, std::min(per_frame, samples.size() - at)));
      ASSERT_THAT(bus_->Publish(frame), IsOk());
    }
  }

  void Type(const std::string& text) {
    messages::TextInput input;
    input.text = text;
    bus::PublishEvent(*bus_, subjects::kTextInput, MakeEnvelope(absl::Now(), "session-1"),
                      json::Encode(input), "", nullptr);
  }

  Signal signal_;
  std::vector<bus::Message> seen_;
  std::mutex mutex_;
  std::map<std::string, size_t> heard_;  // bytes, by request
  std::set<std::string> partial_;
  std::map<std::string, uint64_t> seq_;
  std::vector<std::unique_ptr<bus::Subscription>> audio_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
  std::unique_ptr<Process> agent_;
  int starts_ = 0;
};

TEST_F(VoiceBusTest, SpeechBecomesAnIntentAndASpokenAnswer) {
  StartRecogniser(*bus_, "a volcano burger please", "worker-1");
  StartBrain();
  StartTts(absl::Milliseconds(300));
  StartAgent();
  Send(Speak(folder_, "a volcano burger please", absl::Seconds(1)));
  ASSERT_TRUE(AwaitCount(subjects::kIntent, 1));
  ASSERT_TRUE(AwaitCount(subjects::kTtsCompleted, 1));
  ASSERT_TRUE(Until("idle again", [&] {
    for (const bus::Message& message : seen_) {
      if (message.subject == subjects::kVoiceState &&
          absl::StrContains(message.body, R"("new_state":"idle")"))
        return true;
    }
    return false;
  }));
  std::vector<std::string> states;
  for (const auto& state : All<messages::VoiceState>(subjects::kVoiceState)) {
    const auto name = EnumNames(state.new_state)[static_cast<size_t>(state.new_state)];
    if (states.empty() || states.back() != name) states.emplace_back(name);
    EXPECT_EQ(state.kiosk_id, "kiosk-001");
  }
  EXPECT_THAT(states, ElementsAre("listening", "thinking", "speaking", "idle"));
  EXPECT_EQ(CountOf(subjects::kSpeechStart), 1u);
  EXPECT_EQ(CountOf(subjects::kVoiceSessionStarted), 1u);
  EXPECT_EQ(CountOf(subjects::kTrackPublished), 1u);
  const auto transcripts = All<messages::Transcript>(subjects::kTranscript, true);
  ASSERT_THAT(transcripts, SizeIs(Ge(1u)));
  EXPECT_TRUE(transcripts.back().is_final);
  EXPECT_EQ(transcripts.back().text, "a volcano burger please");
  const auto spoken = All<messages::TtsRequest>(subjects::kTtsRequest);
  ASSERT_THAT(spoken, SizeIs(1u));
  EXPECT_EQ(spoken[0].text, "One volcano burger. Anything else?");
  EXPECT_EQ(spoken[0].target_room, kRoom);
  // The recogniser got what was said, and the sound before it.
  std::lock_guard<std::mutex> lock(mutex_);
  ASSERT_THAT(heard_, SizeIs(1u));
  EXPECT_GT(heard_.begin()->second, 32000u);
}

TEST_F(VoiceBusTest, SpeechWhileTheKioskSpeaksCancelsIt) {
  StartRecogniser(*bus_, "what burgers do you have please", "worker-1");
  StartBrain();
  StartTts(absl::Seconds(20));
  StartAgent();
  const audio::Samples question = Speak(folder_, "what burgers do you have please", absl::Seconds(1));
  Send(question);
  ASSERT_TRUE(AwaitCount(subjects::kTtsCompleted, 1));
  const size_t before = seen_.size();
  // How soon that is, voice_test asks on a clock of its own.
  Send(question);
  ASSERT_TRUE(AwaitCount(subjects::kTtsCancel, 1));
  const auto cancels = All<messages::TtsCancel>(subjects::kTtsCancel);
  const auto spoken = All<messages::TtsRequest>(subjects::kTtsRequest);
  EXPECT_EQ(cancels[0].request_id, spoken[0].request_id);
  EXPECT_EQ(cancels[0].reason, "barge_in");
  ASSERT_TRUE(Until("the next turn", [&] {
    for (size_t i = before; i < seen_.size(); ++i) {
      if (seen_[i].subject == subjects::kVoiceState &&
          absl::StrContains(seen_[i].body, R"("new_state":"listening")")) {
        return true;
      }
    }
    return false;
  }));
}

TEST_F(VoiceBusTest, ARecogniserKilledMidUtterance) {
  const auto other = Connect();
  ASSERT_NE(other, nullptr);
  {
    // A recogniser whose process dies in the middle of the second word.
    auto doomed = Connect();
    ASSERT_NE(doomed, nullptr);
    auto claimed = doomed->Subscribe(subjects::kSttRequest, "stt", [&](const bus::Message& m) {
      const auto request = json::Decode<messages::SttRequest>(m.body);
      messages::SttAccepted accepted;
      accepted.request_id = request->request_id;
      accepted.status = "accepted";
      accepted.worker_id = "doomed";
      (void)doomed->Publish({m.reply, "", {}, json::Encode(accepted)});
    });
    ASSERT_THAT(claimed, IsOk());
    StartBrain();
    StartTts(absl::Milliseconds(100));
    StartAgent();
    audio::Samples speech = Speak(folder_, "two volcano burgers without onions please", absl::ZeroDuration());
    Send(speech);
    ASSERT_TRUE(Until("sound for the recogniser", [&] {
      for (const bus::Message& message : seen_) {
        if (absl::StartsWith(message.subject, "agent.stt.audio.")) return true;
      }
      return false;
    }));
  }
  StartRecogniser(*other, "two volcano burgers without onions please", "worker-2");
  Send(audio::Samples(16000));
  ASSERT_TRUE(AwaitCount(subjects::kBrainRequest, 1));
  ASSERT_TRUE(AwaitCount(subjects::kIntent, 1));
  const auto asked = All<messages::BrainRequest>(subjects::kBrainRequest);
  ASSERT_THAT(asked, SizeIs(1u));
  EXPECT_EQ(asked[0].user_input, "two volcano burgers without onions please");
  std::lock_guard<std::mutex> lock(mutex_);
  ASSERT_THAT(heard_, SizeIs(1u));
  EXPECT_GT(heard_.begin()->second, 2u * 32000u);  // more than two seconds: all of it
}

TEST_F(VoiceBusTest, ATypedTextOutlivesTheAgentThatReadIt) {
  StartAgent();
  // The brain does not answer: the text is read, and not done.
  Type("a volcano burger");
  ASSERT_TRUE(AwaitCount(subjects::kBrainRequest, 1));
  agent_->Kill();
  agent_.reset();
  EXPECT_EQ(CountOf(subjects::kIntent), 0u);
  StartBrain();
  StartTts(absl::Milliseconds(100));
  StartAgent();
  ASSERT_TRUE(AwaitCount(subjects::kIntent, 1));
  const auto intents = All<messages::Intent>(subjects::kIntent, true);
  EXPECT_EQ(intents[0].raw_text, "a volcano burger");
  ASSERT_TRUE(testing_support::Await("everything acked", kPatience, [&] {
    const auto info = bus_->GetConsumerInfo(subjects::kEventsStream, "voice-text-consumer");
    return info.ok() && info->num_ack_pending == 0 && info->num_pending == 0;
  }));
  EXPECT_EQ(CountOf(subjects::kIntent), 1u);
  EXPECT_EQ(CountOf(subjects::kTranscript), 2u);  // published by both, stored once: its id is the same
  const auto first = bus_->NextStored(subjects::kEventsStream, subjects::kTranscript, 1);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(bus_->NextStored(subjects::kEventsStream, subjects::kTranscript, first->sequence + 1),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(VoiceBusTest, HostileFramesAndAnswersDoNotHurt) {
  StartRecogniser(*bus_, "a burger please", "worker-1");
  StartBrain();
  StartTts(absl::Milliseconds(100));
  StartAgent();
  std::mt19937 random(3);
  const std::vector<std::string> subjects = {"agent.voice.audio.kiosk-001",
                                             "agent.voice.audio.bad room",
                                             "agent.voice.audio.x>",
                                             "agent.voice.audio.",
                                             "agent.voice.audio.caf\xc3\xa9",
                                             "agent.stt.transcript",
                                             "agent.stt.error",
                                             "agent.brain.response",
                                             "agent.brain.error",
                                             "agent.tts.completed",
                                             "agent.tts.error",
                                             "agent.tts.audio.kiosk-001",
                                             "kiosk.session.started",
                                             "kiosk.session.ended",
                                             "kiosk.session.order_completed"};
  for (int i = 0; i < 3000; ++i) {
    bus::Message message;
    message.subject = subjects[random() % subjects.size()];
    message.body.assign(random() % 2000, '\0');
    for (char& byte : message.body) byte = static_cast<char>(random());
    if (random() % 2 == 0)
      message.headers.Set("Audio-Format", random() % 2 == 0 ? "pcm_s16le;rate=8000" : "mp3;;=");
    if (random() % 2 == 0) message.headers.Set("Seq", absl::StrCat(random() % 2 == 0 ? "" : "-", random()));
    if (random() % 9 == 0) message.headers.Set("End", "true");
    (void)bus_->Publish(message);
  }
  // And then a customer.
  ASSERT_TRUE(agent_->running());
  Send(Speak(folder_, "a volcano burger please", absl::Seconds(1)), "kiosk-002");
  ASSERT_TRUE(AwaitCount(subjects::kIntent, 1));
  EXPECT_THAT(agent_->Stderr(), HasSubstr("frames are dropped"));
}

TEST_F(VoiceBusTest, AnOrderlyEnd) {
  StartRecogniser(*bus_, "a burger please", "worker-1");
  StartBrain();
  StartTts(absl::Milliseconds(100));
  StartAgent();
  Send(Speak(folder_, "a volcano burger please", absl::Seconds(1)));
  ASSERT_TRUE(AwaitCount(subjects::kTtsCompleted, 1));
  agent_->Send(SIGTERM);
  EXPECT_EQ(agent_->WaitExit(kPatience), 0) << agent_->Stderr();
  ASSERT_TRUE(AwaitCount(subjects::kVoiceSessionEnded, 1));
  EXPECT_EQ(All<messages::VoiceSessionEnded>(subjects::kVoiceSessionEnded)[0].reason, "agent_stopped");
  ASSERT_TRUE(AwaitCount(subjects::kTrackUnpublished, 1));
  // What was said is nowhere in the log at info level, its stages are.
  EXPECT_THAT(agent_->Stderr(), HasSubstr(R"("msg":"turn")"));
  EXPECT_THAT(agent_->Stderr(), Not(HasSubstr("burger")));
}

}  // namespace
}  // namespace arc::voice
