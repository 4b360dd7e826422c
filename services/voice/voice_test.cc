// The whole agent on a bus in memory and a manual clock: what it publishes when a microphone, recognisers, a
// brain and a TTS do what the script says. Loud sound is voice here.
#include "services/voice/voice.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/brain.h"
#include "common/messages/input.h"
#include "common/messages/session.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/messages/ui.h"
#include "common/messages/voice.h"
#include "common/messages/voice_agent.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "common/trace/trace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::voice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kRoom[] = "kiosk-001";

class LoudIsVoice : public VoiceActivity {
 public:
  bool IsVoice(absl::Span<const int16_t> step) override {
    return std::any_of(step.begin(), step.end(), [](int16_t sample) { return std::abs(sample) > 1000; });
  }
};

// A recogniser: hears one utterance at a time, says at its end how much it heard.
class Recogniser {
 public:
  Recogniser(bus::MemoryBus& bus, std::string id) : bus_(bus), id_(std::move(id)) {
    requests_ =
        *bus_.Subscribe(subjects::kSttRequest, "stt", [this](const bus::Message& m) { OnRequest(m); });
    ping_ = *bus_.Subscribe(absl::StrCat("$SRV.PING.stt.", id_), "", [this](const bus::Message& m) {
      (void)bus_.Publish({m.reply, "", {}, "{}"});
    });
  }
  void Say(const std::string& request_id, const std::string& text, bool is_final) {
    messages::SttTranscript transcript;
    transcript.request_id = request_id;
    transcript.timestamp = FormatTimestamp(bus_.clock().Now());
    transcript.text = text;
    transcript.is_final = is_final;
    (void)bus_.Publish({subjects::kSttTranscript, "", {}, json::Encode(transcript)});
  }

  std::map<std::string, std::string> texts;    // by room: the final text
  std::map<std::string, std::string> partial;  // by room: the first partial text
  std::vector<messages::SttRequest> requests;
  std::map<std::string, audio::Samples> heard;  // by request
  std::set<std::string> ended;
  bool busy = false;
  bool silent = false;  // gives no texts
  bool fails = false;   // accepts, and then cannot

 private:
  void OnRequest(const bus::Message& m) {
    const auto request = json::Decode<messages::SttRequest>(m.body);
    ASSERT_THAT(request, IsOk());
    messages::SttAccepted accepted;
    accepted.request_id = request->request_id;
    accepted.status = busy ? "busy" : "accepted";
    accepted.worker_id = id_;
    if (!busy) {
      requests.push_back(*request);
      audio_.push_back(
          *bus_.Subscribe(absl::StrCat("agent.stt.audio.", request->request_id), "",
                          [this, r = *request](const bus::Message& frame) { OnFrame(r, frame); }));
    }
    (void)bus_.Publish({m.reply, "", {}, json::Encode(accepted)});
    if (!fails) return;
    messages::AgentError error;
    error.request_id = request->request_id;
    error.timestamp = FormatTimestamp(bus_.clock().Now());
    error.error_type = "engine_failed";
    (void)bus_.Publish({subjects::kSttError, "", {}, json::Encode(error)});
  }
  void OnFrame(const messages::SttRequest& request, const bus::Message& frame) {
    const auto samples = audio::DecodePcm(frame.body, audio::Format());
    ASSERT_THAT(samples, IsOk());
    EXPECT_EQ(frame.headers.Get("Audio-Format"), "pcm_s16le;rate=16000;channels=1");
    EXPECT_EQ(frame.headers.Get("Seq"), absl::StrCat(seqs_[request.request_id]++));
    audio::Samples& all = heard[request.request_id];
    all.insert(all.end(), samples->begin(), samples->end());
    if (silent) return;
    if (frame.headers.Get("End") == "true") {
      ended.insert(request.request_id);
      Say(request.request_id, texts[request.room_name], true);
    } else if (all.size() > 8000 && !partial[request.room_name].empty() &&
               said_.insert(request.request_id).second) {
      Say(request.request_id, partial[request.room_name], false);
    }
  }

  bus::MemoryBus& bus_;
  const std::string id_;
  std::map<std::string, int> seqs_;
  std::set<std::string> said_;
  std::unique_ptr<bus::Subscription> requests_;
  std::unique_ptr<bus::Subscription> ping_;
  std::vector<std::unique_ptr<bus::Subscription>> audio_;
};

class VoiceTest : public testing::Test {
 protected:
  void SetUp() override {
    bus_.ProvisionDefault();
    options_.kiosk_id = "kiosk-001";
    options_.turn.greet = false;
    StartOrchestrator();
    options_.activity = [] { return std::unique_ptr<VoiceActivity>(std::make_unique<LoudIsVoice>()); };
  }
  void TearDown() override { voice_.reset(); }

  static messages::SnapshotResponse NoSession() {
    messages::SnapshotResponse snapshot;
    snapshot.state = snapshot.ui.layout_mode = "attract";
    return snapshot;
  }
  // Answers snapshots with `snapshot_`.
  void StartOrchestrator() {
    orchestrator_ = *bus_.Subscribe(subjects::kOrchestratorSnapshot, "", [this](const bus::Message& m) {
      (void)bus_.Publish({m.reply, "", {}, Wrap(MakeEnvelope(clock_.Now(), ""), snapshot_)});
    });
  }

  void Start() {
    voice_ = std::make_unique<Voice>(bus_, metrics_, options_,
                                     [this](absl::string_view type, absl::string_view, absl::string_view,
                                            absl::string_view) { errors_.emplace_back(type); });
    ASSERT_THAT(voice_->Start(), IsOk());
    bus_.RunUntilIdle();
    ASSERT_THAT(voice_->Health(), IsOk());
  }
  void StartBrain(absl::Duration thinks = absl::ZeroDuration()) {
    brain_ = *bus_.Subscribe(subjects::kBrainRequest, "brain", [this, thinks](const bus::Message& m) {
      const auto request = json::Decode<messages::BrainRequest>(m.body);
      ASSERT_THAT(request, IsOk());
      asked_.push_back(*request);
      messages::BrainResponse response;
      response.request_id = request->request_id;
      response.timestamp = FormatTimestamp(clock_.Now());
      response.agent_response = absl::StrCat("You said ", request->user_input, ".");
      response.performance.tools = {{"menu.search", 0, 0}};
      for (int i = 0; i < intents_; ++i) {
        messages::Intent intent;
        intent.intent_type = messages::IntentType::kAddToCart;
        intent.raw_text = absl::StrCat(request->user_input, " ", i);
        response.intents.push_back(intent);
      }
      const std::string body = json::Encode(response);
      clock_.RunAfter(thinks, [this, body, reply = m.reply] {
        (void)bus_.Publish({subjects::kBrainResponse, "", {}, body});
        if (!reply.empty()) (void)bus_.Publish({reply, "", {}, body});
      });
      if (thinks == absl::ZeroDuration()) clock_.Advance(absl::ZeroDuration());
    });
  }
  // Answers last `length` and are published at once.
  void StartTts(absl::Duration length) {
    tts_ = *bus_.Subscribe(subjects::kTtsRequest, "tts", [this, length](const bus::Message& m) {
      const auto request = json::Decode<messages::TtsRequest>(m.body);
      ASSERT_THAT(request, IsOk());
      spoken_.push_back(*request);
      bus::Message frame;
      frame.subject = absl::StrCat("agent.tts.audio.", request->target_room);
      frame.headers.Set("Request-Id", request->request_id);
      frame.headers.Set("Audio-Format", "pcm_s16le;rate=16000;channels=1");
      frame.body.assign(static_cast<size_t>(absl::ToDoubleSeconds(length) * 32000), '\0');
      (void)bus_.Publish(frame);
      frame.body.clear();
      frame.headers.Set("End", "true");
      (void)bus_.Publish(frame);
    });
  }

  void Wait(absl::Duration duration) {
    const absl::Time until = clock_.Now() + duration;
    bus_.RunUntilIdle();
    while (clock_.Now() < until) {
      clock_.Advance(std::min(absl::Milliseconds(10), until - clock_.Now()));
      bus_.RunUntilIdle();
    }
  }
  // 20 ms of sound in each room, in real time.
  void Play(absl::Duration lasts, const std::map<std::string, int16_t>& levels) {
    for (absl::Duration at; at < lasts; at += absl::Milliseconds(20)) {
      for (const auto& [room, level] : levels) {
        audio::Samples samples(320);
        for (size_t i = 0; i < samples.size(); ++i) {
          samples[i] = (i / 8) % 2 == 0 ? level : static_cast<int16_t>(-level);
        }
        SendFrame(room, audio::EncodePcm(samples), absl::StrCat(seqs_[room]++));
      }
      Wait(absl::Milliseconds(20));
    }
  }
  void SendFrame(const std::string& room, const std::string& bytes, const std::string& seq,
                 const std::string& format = "pcm_s16le;rate=16000;channels=1") {
    bus::Message frame;
    frame.subject = absl::StrCat("agent.voice.audio.", room);
    frame.headers.Set("Audio-Format", format);
    frame.headers.Set("Seq", seq);
    frame.body = bytes;
    (void)bus_.Publish(frame);
  }
  void Speak(absl::Duration lasts, absl::Duration then = absl::Seconds(1.2)) {
    Play(lasts, {{kRoom, 8000}});
    Play(then, {{kRoom, 0}});
  }
  void Type(const std::string& text, const std::string& subject = subjects::kTextInput,
            const std::string& kiosk = "", const std::string& session = "session-1") {
    messages::TextInput input;
    input.text = text;
    bus::PublishEvent(bus_, subject, MakeEnvelope(clock_.Now(), session), json::Encode(input), kiosk,
                      nullptr);
    bus_.RunUntilIdle();
  }
  void Session(const std::string& subject, const std::string& payload, const std::string& session,
               const std::string& kiosk) {
    bus::PublishEvent(bus_, subject, MakeEnvelope(clock_.Now(), session), payload, kiosk, nullptr);
    bus_.RunUntilIdle();
  }
  template <class T>
  std::vector<T> Flat(const char* subject) {
    std::vector<T> all;
    for (const bus::Message& m : bus_.Published(subject)) {
      const auto decoded = json::Decode<T>(m.body);
      EXPECT_THAT(decoded, IsOk()) << m.body;
      if (decoded.ok()) all.push_back(*decoded);
    }
    return all;
  }
  std::vector<std::string> RawTexts(const std::string& filter = "kiosk.voice.intent") {
    std::vector<std::string> texts;
    for (const bus::StoredMessage& m : bus_.Stored(subjects::kEventsStream)) {
      if (!subjects::Matches(filter, m.message.subject)) continue;
      const auto parsed = ParseMessage(m.message.body, clock_.Now());
      const auto intent = DecodePayload<messages::Intent>(*parsed);
      texts.push_back(intent->raw_text);
    }
    return texts;
  }
  int64_t Unacked(const char* durable) {
    const auto info = bus_.GetConsumerInfo(subjects::kEventsStream, durable);
    EXPECT_THAT(info, IsOk());
    return info.ok() ? info->num_ack_pending + info->num_pending : -1;
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  Metrics metrics_{"arc-scarlett-voice"};
  VoiceOptions options_;
  std::vector<std::string> errors_;
  std::map<std::string, uint64_t> seqs_;
  int intents_ = 1;
  std::vector<messages::BrainRequest> asked_;
  std::vector<messages::TtsRequest> spoken_;
  messages::SnapshotResponse snapshot_ = NoSession();
  std::unique_ptr<bus::Subscription> orchestrator_;
  std::unique_ptr<bus::Subscription> brain_;
  std::unique_ptr<bus::Subscription> tts_;
  std::unique_ptr<Voice> voice_;
};

TEST_F(VoiceTest, ASpokenTurn) {
  Recogniser recogniser(bus_, "w1");
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "two burgers please";
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-001"})", "session-7",
          "");
  Speak(absl::Seconds(1));
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(RawTexts(), ElementsAre("two burgers please 0"));
  ASSERT_THAT(spoken_, SizeIs(1));
  Wait(absl::Seconds(1));

  // All of it, the moment before included, went to the recogniser.
  const audio::Samples& heard = recogniser.heard.begin()->second;
  EXPECT_GE(heard.size(), 16000u + 16000u * 45 / 100);
  ASSERT_THAT(recogniser.requests, SizeIs(1));
  EXPECT_EQ(recogniser.requests[0].room_name, kRoom);
  EXPECT_EQ(recogniser.requests[0].session_id, "session-7");

  // One trace in every message, the kiosk's session in every envelope.
  const std::string trace = asked_[0].trace_id;
  EXPECT_EQ(recogniser.requests[0].trace_id, trace);
  EXPECT_EQ(spoken_[0].trace_id, trace);
  for (const char* subject : {subjects::kSpeechStart, subjects::kTranscript, subjects::kIntent}) {
    const auto published = bus_.Published(subject);
    ASSERT_THAT(published, Not(IsEmpty())) << subject;
    const auto parsed = ParseMessage(published[0].body, clock_.Now());
    EXPECT_EQ(parsed->envelope.trace_id, trace) << subject;
    EXPECT_EQ(parsed->envelope.session_id, "session-7") << subject;
    EXPECT_EQ(published[0].headers.Get("Kiosk-Id"), "kiosk-001");
    EXPECT_EQ(published[0].headers.Get("Nats-Msg-Id"), parsed->envelope.msg_id);
    EXPECT_EQ(::arc::trace::FromHeader(published[0].headers.Get("traceparent").value_or("")).trace_id, trace);
  }
  for (const bus::Message& m : bus_.Published("agent.voice.state"))
    EXPECT_EQ(m.headers.Get("Kiosk-Id"), "kiosk-001");
  EXPECT_EQ(::arc::trace::FromHeader(
                bus_.Published(subjects::kBrainRequest)[0].headers.Get("traceparent").value_or(""))
                .trace_id,
            trace);

  const auto started = Flat<messages::VoiceSessionStarted>(subjects::kVoiceSessionStarted);
  ASSERT_THAT(started, SizeIs(1));
  EXPECT_EQ(started[0].session_id, "session-7");
  EXPECT_EQ(voice_->active_sessions(), 1);
  for (const char* stage : {"endpointing", "stt", "brain", "tool.menu.search", "tts", "total"}) {
    EXPECT_THAT(metrics_.Text(),
                HasSubstr(absl::StrCat(R"(kiosk_voice_stage_ms_count{agent="arc-scarlett-voice",stage=")",
                                       stage, R"("} 1)")));
  }
  EXPECT_THAT(bus_.Published("system.deadletter.>"), IsEmpty());
}

TEST_F(VoiceTest, AWorkerKilledMidUtteranceIsReplacedAndNothingIsLost) {
  auto first = std::make_unique<Recogniser>(bus_, "w1");
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Play(absl::Milliseconds(500), {{kRoom, 0}});
  Play(absl::Seconds(1), {{kRoom, 8000}});
  ASSERT_THAT(first->requests, SizeIs(1));
  first.reset();  // kill -9: nobody answers its pings any more
  Play(absl::Milliseconds(300), {{kRoom, 8000}});
  Recogniser second(bus_, "w2");
  second.texts[kRoom] = second.partial[kRoom] = "a long order please";
  Play(absl::Milliseconds(700), {{kRoom, 8000}});
  Play(absl::Seconds(1), {{kRoom, 0}});
  ASSERT_THAT(second.requests, SizeIs(1));
  const audio::Samples& heard = second.heard.begin()->second;
  EXPECT_GE(heard.size(), 32000u + 16000u * 75 / 100);  // two seconds of speech, pre-roll and endpointing
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "a long order please");
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_voice_stt_replays_total"));
  EXPECT_THAT(bus_.Published(subjects::kSpeechStart), SizeIs(1));
}

TEST_F(VoiceTest, AWorkerThatReportsAnErrorAndOneThatIsBusy) {
  Recogniser recogniser(bus_, "w1");
  recogniser.busy = true;
  StartBrain();
  Start();
  Play(absl::Seconds(1), {{kRoom, 8000}});
  recogniser.busy = false;
  Play(absl::Seconds(1), {{kRoom, 8000}});
  ASSERT_THAT(recogniser.requests, SizeIs(1));
  messages::AgentError error;
  error.request_id = recogniser.requests[0].request_id;
  error.timestamp = FormatTimestamp(clock_.Now());
  error.error_type = "engine_failed";
  (void)bus_.Publish({subjects::kSttError, "", {}, json::Encode(error)});
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "at last please";
  Speak(absl::Seconds(1));
  ASSERT_THAT(recogniser.requests, SizeIs(2));
  // The words of the claim that failed count for nothing.
  recogniser.Say(error.request_id, "wrong", true);
  bus_.RunUntilIdle();
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "at last please");
}

TEST_F(VoiceTest, SoundThatIsRefusedIsNotReplayed) {
  Recogniser recogniser(bus_, "w1");
  recogniser.silent = true;
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Speak(absl::Seconds(1));
  ASSERT_THAT(recogniser.requests, SizeIs(1));
  messages::AgentError error;
  error.request_id = recogniser.requests[0].request_id;
  error.timestamp = FormatTimestamp(clock_.Now());
  error.error_type = "engine_refused";
  (void)bus_.Publish({subjects::kSttError, "", {}, json::Encode(error)});
  Wait(absl::Seconds(10));
  EXPECT_THAT(recogniser.requests, SizeIs(1));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.turn.phrases.not_understood);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(VoiceTest, SoundThatEveryWorkerFailsAtIsReplayedAFewTimesOnly) {
  Recogniser recogniser(bus_, "w1");
  recogniser.silent = recogniser.fails = true;
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Speak(absl::Seconds(1));
  Wait(absl::Seconds(10));
  EXPECT_THAT(recogniser.requests, SizeIs(options_.utterance.max_replays + 1));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.turn.phrases.stt_failed);
}

TEST_F(VoiceTest, AnAllergySurvivesTheDeathOfTheAgent) {
  snapshot_.session_id = "session-7";
  snapshot_.state = "browsing";
  snapshot_.exclude_allergens = {"peanuts"};
  snapshot_.dietary_filters = {"vegetarian"};
  Recogniser recogniser(bus_, "w1");
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "a brownie please";
  StartBrain();
  StartTts(absl::Seconds(1));
  for (int life = 0; life < 2; ++life) {
    Start();
    asked_.clear();
    if (life == 0) {
      Speak(absl::Seconds(1));
    } else {
      Type("a brownie please", subjects::kTextInput, "", "");
    }
    ASSERT_THAT(asked_, SizeIs(1));
    const auto intents = bus_.Published(subjects::kIntent);
    ASSERT_THAT(intents, SizeIs(life + 1));
    EXPECT_EQ(ParseMessage(intents.back().body, clock_.Now())->envelope.session_id, "session-7");
    EXPECT_THAT(asked_[0].context.exclude_allergens, ElementsAre("peanuts"));
    EXPECT_THAT(asked_[0].context.dietary_filters, ElementsAre("vegetarian"));
    voice_.reset();  // kill -9
  }
}

TEST_F(VoiceTest, ATextThatIsDeliveredTwiceActsOnce) {
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  messages::TextInput input;
  input.text = "a burger";
  Envelope envelope = MakeEnvelope(clock_.Now(), "session-1");
  const auto publish = [&] {
    bus::Message message;
    message.subject = subjects::kTextInput;
    message.body = WrapPayload(envelope, json::Encode(input));
    bus_.PublishEvent(message, absl::Seconds(1), [](const absl::Status&) {});
    bus_.RunUntilIdle();
  };
  publish();
  publish();  // without Nats-Msg-Id the stream takes both
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0"));
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(outcome="doubled"} 1)"));
  EXPECT_EQ(Unacked(kTextDurable), 0);
  // Another process does not know of the first one, but the stream does.
  voice_.reset();
  Start();
  publish();
  EXPECT_THAT(asked_, SizeIs(2));
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0"));
  EXPECT_EQ(Unacked(kTextDurable), 0);
  // Another text is another one, whatever its sender calls it; so is the same text typed again.
  input.text = "a cola";
  publish();
  input.text = "a burger";
  envelope = MakeEnvelope(clock_.Now(), "session-1");
  publish();
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0", "a cola 0", "a burger 0"));
}

TEST_F(VoiceTest, ATextOfASessionThatIsOverIsNotTheNextCustomers) {
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-001"})", "s-1", "");
  Session(subjects::kSessionEnded, R"({"event":"session_ended","reason":"timeout","duration_seconds":60})",
          "s-1", "kiosk-001");
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-001"})", "s-2", "");
  Type("a burger", subjects::kTextInput, "", "s-1");
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(bus_.Published("system.deadletter.KIOSK_EVENTS.voice-text-consumer"), SizeIs(1));
  Type("a cola", subjects::kTextInput, "", "s-2");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].session_id, "s-2");
}

TEST_F(VoiceTest, AnAnswerThatComesAfterTheSessionPutsNothingIntoTheNextCart) {
  StartBrain(absl::Seconds(1));
  StartTts(absl::Seconds(1));
  Start();
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-001"})", "s-1", "");
  Type("a burger", subjects::kTextInput, "", "s-1");
  ASSERT_THAT(asked_, SizeIs(1));
  Session(subjects::kSessionEnded, R"({"event":"session_ended","reason":"timeout","duration_seconds":60})",
          "s-1", "kiosk-001");
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-001"})", "s-2", "");
  Wait(absl::Seconds(3));
  EXPECT_THAT(RawTexts(), IsEmpty());
  EXPECT_THAT(spoken_, IsEmpty());
  EXPECT_EQ(Unacked(kTextDurable), 0);
}

TEST_F(VoiceTest, BargeInCancelsWithin100Milliseconds) {
  Recogniser recogniser(bus_, "w1");
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "what do you have please";
  StartBrain();
  StartTts(absl::Seconds(10));
  Start();
  Speak(absl::Seconds(1));
  ASSERT_THAT(spoken_, SizeIs(1));
  Wait(absl::Seconds(2));
  const absl::Time begin = clock_.Now();
  while (bus_.Published(subjects::kTtsCancel).empty() && clock_.Now() < begin + absl::Seconds(2)) {
    Play(absl::Milliseconds(20), {{kRoom, 8000}});
  }
  const auto cancels = Flat<messages::TtsCancel>(subjects::kTtsCancel);
  ASSERT_THAT(cancels, SizeIs(1));
  EXPECT_EQ(cancels[0].request_id, spoken_[0].request_id);
  EXPECT_GE(clock_.Now() - begin, absl::Milliseconds(300));
  EXPECT_LE(clock_.Now() - begin, absl::Milliseconds(400));
  const auto states = Flat<messages::VoiceState>(subjects::kVoiceState);
  EXPECT_EQ(states.back().old_state, messages::VoiceStateName::kSpeaking);
  EXPECT_EQ(states.back().new_state, messages::VoiceStateName::kListening);
  EXPECT_GT(states.back().turn_index, spoken_[0].turn_index);
}

TEST_F(VoiceTest, TwoRoomsAtOnce) {
  Recogniser recogniser(bus_, "w1");
  recogniser.texts["kiosk-001"] = recogniser.partial["kiosk-001"] = "a burger please";
  recogniser.texts["kiosk-002"] = recogniser.partial["kiosk-002"] = "a cola please";
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Play(absl::Milliseconds(400), {{"kiosk-001", 8000}, {"kiosk-002", 0}});
  Play(absl::Milliseconds(600), {{"kiosk-001", 8000}, {"kiosk-002", 8000}});
  Play(absl::Milliseconds(400), {{"kiosk-001", 0}, {"kiosk-002", 8000}});
  Play(absl::Seconds(2), {{"kiosk-001", 0}, {"kiosk-002", 0}});
  ASSERT_THAT(asked_, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    const std::string& kiosk = asked_[i].context.kiosk_id;
    EXPECT_EQ(asked_[i].user_input, recogniser.texts[kiosk]);
    EXPECT_EQ(spoken_[i].target_room, kiosk);
  }
  EXPECT_NE(asked_[0].session_id, asked_[1].session_id);
  EXPECT_EQ(voice_->active_sessions(), 2);
}

TEST_F(VoiceTest, TypedTextIsOnePathWithSpeech) {
  intents_ = 3;
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Type("two burgers and a cola");
  EXPECT_THAT(RawTexts(), ElementsAre("two burgers and a cola 0", "two burgers and a cola 1",
                                      "two burgers and a cola 2"));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].target_room, "kiosk-001");
  EXPECT_EQ(Unacked(kTextDurable), 0);
  EXPECT_THAT(bus_.Published(subjects::kTranscript), SizeIs(1));
  EXPECT_EQ(Unacked(kScopedTextDurable), 0);
  // Another kiosk, by header and by subject.
  intents_ = 1;
  Type("a cola", subjects::kTextInput, "kiosk-002");
  EXPECT_EQ(asked_.back().context.kiosk_id, "kiosk-002");
  EXPECT_EQ(bus_.Published(subjects::kIntent).back().headers.Get("Kiosk-Id"), "kiosk-002");
  Type("fries", "kiosk.input.text.kiosk-003", "");
  EXPECT_EQ(asked_.back().context.kiosk_id, "kiosk-003");
  EXPECT_THAT(RawTexts("kiosk.voice.intent.kiosk-003"), ElementsAre("fries 0"));
  EXPECT_EQ(Unacked(kScopedTextDurable), 0);
  EXPECT_EQ(voice_->active_sessions(), 3);
}

TEST_F(VoiceTest, ATypedTextSurvivesTheDeathOfTheAgentAndCountsOnce) {
  StartBrain(absl::Milliseconds(500));
  Start();
  Type("a burger");
  ASSERT_THAT(asked_, SizeIs(1));
  voice_.reset();  // before the brain has answered
  EXPECT_GT(Unacked(kTextDurable), 0);
  Start();
  Wait(absl::Seconds(1));
  EXPECT_THAT(asked_, SizeIs(2));
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0"));
  Wait(absl::Seconds(15));  // the first delivery's ack_wait
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0"));
  EXPECT_EQ(Unacked(kTextDurable), 0);
  // Dead between storing the intent and the ack: the second one's intent is the same event.
  const auto published = bus_.Published(subjects::kIntent);
  const std::string id = published[0].headers.Get("Nats-Msg-Id").value_or("");
  EXPECT_THAT(id, Not(IsEmpty()));
}

TEST_F(VoiceTest, IntentsThatCannotBeStoredAreTriedAgainInOrder) {
  intents_ = 2;
  StartBrain(absl::Milliseconds(100));
  Start();
  Type("a burger");
  Type("a cola");
  bus_.FailPublishEvent(30);  // 7.5 s, longer than one attempt to store an event
  Wait(absl::Seconds(7));
  EXPECT_THAT(RawTexts(), IsEmpty());
  EXPECT_GT(Unacked(kTextDurable), 0);
  Wait(absl::Seconds(20));
  EXPECT_THAT(RawTexts(), ElementsAre("a burger 0", "a burger 1", "a cola 0", "a cola 1"));
  EXPECT_EQ(Unacked(kTextDurable), 0);
}

TEST_F(VoiceTest, TextsThatNobodyCanAnswerBecomeDeadLetters) {
  StartBrain();
  Start();
  bus::PublishEvent(bus_, subjects::kTextInput, MakeEnvelope(clock_.Now(), ""), R"({"event":"text"})", "",
                    nullptr);
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published("system.deadletter.KIOSK_EVENTS.voice-text-consumer"), SizeIs(1));
  bus::Message raw{subjects::kTextInput, "", {}, "no json"};
  bus_.PublishEvent(raw, absl::Seconds(1), [](const absl::Status&) {});
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published("system.deadletter.KIOSK_EVENTS.voice-text-consumer"), SizeIs(2));
  Type("hello", "kiosk.input.text.kiosk.x");
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(bus_.Published("system.deadletter.KIOSK_EVENTS.voice-scoped-text-consumer"), SizeIs(1));
  // The customer is gone.
  voice_.reset();
  Type("a burger");
  clock_.Advance(absl::Minutes(3));
  Start();
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(bus_.Published("system.deadletter.KIOSK_EVENTS.voice-text-consumer"), SizeIs(3));
  Wait(absl::Seconds(15));
  EXPECT_EQ(Unacked(kTextDurable), 0);
}

TEST_F(VoiceTest, GreetsThanksAndForgets) {
  options_.turn.greet = true;
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Session(subjects::kSessionStarted, R"({"event":"session_started","kiosk_id":"kiosk-002"})", "s-2",
          "kiosk-002");
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].target_room, "kiosk-002");
  EXPECT_EQ(spoken_[0].text, options_.turn.phrases.greeting);
  EXPECT_EQ(spoken_[0].session_id, "s-2");
  Wait(absl::Seconds(2));
  Session(subjects::kOrderCompleted,
          R"({"event":"order_completed","order_id":"o","order_number":"17","kiosk_id":"kiosk-002",
              "lines":[{"item_id":101,"quantity":1}],"total":12.99,"payment":{"transaction_id":"t","amount_charged":12.99}})",
          "s-2", "kiosk-002");
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_EQ(spoken_[1].text, "Thank you. Your order number is 17.");
  Session(subjects::kSessionEnded, R"({"event":"session_ended","reason":"completed","duration_seconds":60})",
          "s-2", "kiosk-002");
  const auto ended = Flat<messages::VoiceSessionEnded>(subjects::kVoiceSessionEnded);
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].final_status, "completed");
  EXPECT_EQ(ended[0].session_id, "s-2");
  EXPECT_EQ(voice_->active_sessions(), 0);
  Wait(absl::Minutes(2));
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_voice_rooms{agent=\"arc-scarlett-voice\"} 0"));
  // Malformed ones change nothing.
  Session(subjects::kSessionStarted, "{}", "s-3", "kiosk-002");
  Session(subjects::kSessionEnded, R"({"reason":7})", "s-3", "kiosk-002");
  Session(subjects::kOrderCompleted, "{}", "s-3", "kiosk-002");
  EXPECT_THAT(spoken_, SizeIs(2));
}

TEST_F(VoiceTest, APaymentThatFailsIsSaidWithWhatToDo) {
  StartBrain();
  StartTts(absl::Milliseconds(100));
  Start();
  const auto screen = [&](const std::string& layout, const std::string& components,
                          const std::string& session = "s-2", const std::string& kiosk = "kiosk-002") {
    Session(
        subjects::kUiUpdate,
        absl::StrCat(R"({"event":"ui_update","layout_mode":")", layout,
                     R"(","theme_override":null,"components":[)", components, R"(],"suggested_actions":[]})"),
        session, kiosk);
    Wait(absl::Seconds(1));
  };
  const auto notice = [](const std::string& code, const std::string& text, const std::string& severity) {
    return absl::StrCat(R"({"type":"Notice","data":{"code":")", code, R"(","text":")", text,
                        R"(","severity":")", severity, R"("}})");
  };
  const std::string declined =
      notice("PAYMENT_DECLINED", "Your card was declined. Please try another card.", "warning");
  // Without a payment a notice is the screen's alone.
  screen("checkout", declined);
  screen("paying", "");
  EXPECT_THAT(spoken_, IsEmpty());
  screen("checkout", declined);
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, "Your card was declined. Please try another card. Say pay when you are ready.");
  EXPECT_EQ(spoken_[0].target_room, "kiosk-002");
  EXPECT_EQ(spoken_[0].session_id, "s-2");
  // The same screen again, as a new leader sends it.
  screen("checkout", declined);
  EXPECT_THAT(spoken_, SizeIs(1));
  // Once for each attempt; the timeout's words are the screen's.
  screen("paying", "");
  screen("checkout", notice("PAYMENT_TIMEOUT", "No card was presented in time.", "warning"));
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_EQ(spoken_[1].text, "No card was presented in time. Say pay when you are ready.");
  // What the customer himself cancelled he knows; what was paid the order's end says.
  screen("paying", "");
  screen("checkout", notice("PAYMENT_CANCELLED", "The payment was cancelled.", "info"));
  screen("paying", "");
  screen("paid", notice("HARDWARE_ERROR", "No receipt.", "warning"));
  EXPECT_THAT(spoken_, SizeIs(2));
  // Nobody knows how it ended, until it turns out.
  const std::string unknown =
      R"({"type":"ErrorMessage","data":{"code":"PAYMENT_UNKNOWN","text":"We do not know yet.",)"
      R"("way_out":"Please see our staff. Do not pay again.","order_number":"A1"}})";
  screen("paying", "");
  screen("error", unknown);
  screen("error", unknown);
  ASSERT_THAT(spoken_, SizeIs(3));
  EXPECT_EQ(spoken_[2].text, "We do not know yet. Please see our staff. Do not pay again.");
  screen("checkout", declined);
  ASSERT_THAT(spoken_, SizeIs(4));
  // Kiosks with subjects of their own, and what is malformed.
  Session(
      absl::StrCat(subjects::kUiUpdate, ".kiosk-9"),
      R"({"event":"ui_update","layout_mode":"paying","theme_override":null,"components":[],"suggested_actions":[]})",
      "s-9", "");
  Session(
      absl::StrCat(subjects::kUiUpdate, ".kiosk-9"),
      absl::StrCat(R"({"event":"ui_update","layout_mode":"checkout","theme_override":null,"components":[)",
                   R"({"type":"Notice","data":{"code":7}},)", declined, R"(],"suggested_actions":[]})"),
      "s-9", "");
  Wait(absl::Seconds(1));
  ASSERT_THAT(spoken_, SizeIs(5));
  EXPECT_EQ(spoken_[4].target_room, "kiosk-9");
  screen("paying", "");
  Session(subjects::kUiUpdate, "{}", "s-2", "kiosk-002");
  // A session that is over says nothing more.
  Session(subjects::kSessionEnded, R"({"event":"session_ended","reason":"timeout","duration_seconds":60})",
          "s-2", "kiosk-002");
  screen("paying", "");
  screen("checkout", declined);
  EXPECT_THAT(spoken_, SizeIs(5));
}

TEST_F(VoiceTest, TracksComeAndGoWithTheirFrames) {
  Start();
  Play(absl::Milliseconds(100), {{kRoom, 0}});
  ASSERT_THAT(Flat<messages::TrackPublished>(subjects::kTrackPublished), SizeIs(1));
  Wait(absl::Seconds(9));
  EXPECT_THAT(bus_.Published(subjects::kTrackUnpublished), IsEmpty());
  Wait(absl::Seconds(2));
  auto gone = Flat<messages::TrackUnpublished>(subjects::kTrackUnpublished);
  ASSERT_THAT(gone, SizeIs(1));
  EXPECT_EQ(gone[0].reason, "audio_timeout");
  EXPECT_EQ(gone[0].duration_seconds, 10);
  Play(absl::Milliseconds(100), {{kRoom, 0}});
  bus::Message end;
  end.subject = absl::StrCat("agent.voice.audio.", kRoom);
  end.headers.Set("End", "true");
  (void)bus_.Publish(end);
  bus_.RunUntilIdle();
  gone = Flat<messages::TrackUnpublished>(subjects::kTrackUnpublished);
  ASSERT_THAT(gone, SizeIs(2));
  EXPECT_EQ(gone[1].reason, "track_ended");
}

TEST_F(VoiceTest, HostileFramesAreCountedAndDropped) {
  options_.max_rooms = 3;
  Start();
  const std::string good(640, '\0');
  SendFrame("caf\xc3\xa9", good, "0");
  SendFrame(std::string(101, 'a'), good, "0");
  SendFrame("a", good + "x", "0");
  SendFrame("a", good, "seven");
  SendFrame("a", good, "0", "mp3");
  SendFrame("a", "", "0");
  SendFrame("a", good, "0");
  for (int i = 0; i < 20; ++i) SendFrame(absl::StrCat("room-", i), good, "0");
  bus_.RunUntilIdle();
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr(R"(outcome="bad_room"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(outcome="malformed"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(outcome="empty"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(outcome="taken"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(outcome="too_many_rooms"} 18)"));
  EXPECT_THAT(text, HasSubstr("kiosk_voice_rooms{agent=\"arc-scarlett-voice\"} 3"));
  // Once the rooms are forgotten there is place for others.
  Wait(absl::Minutes(2));
  SendFrame("room-19", good, "0");
  bus_.RunUntilIdle();
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(outcome="taken"} 4)"));
}

TEST_F(VoiceTest, SoundToMadeUpRoomsKeepsNoCustomerOut) {
  options_.max_rooms = 3;
  options_.turn.greet = true;
  StartTts(absl::Seconds(1));
  Start();
  const std::string good(640, '\0');
  for (int i = 0; i < 3; ++i) SendFrame(absl::StrCat("made-up-", i), good, "0");
  bus_.RunUntilIdle();
  for (const char* kiosk : {"kiosk-002", "kiosk-003"}) {
    Session(subjects::kSessionStarted,
            absl::StrCat(R"({"event":"session_started","kiosk_id":")", kiosk, R"("})"),
            absl::StrCat("s-", kiosk), kiosk);
    ASSERT_THAT(spoken_, testing::Not(IsEmpty()));
    EXPECT_EQ(spoken_.back().target_room, kiosk);
  }
  // The one that nobody took was used last.
  SendFrame("made-up-0", good, "1");
  SendFrame("made-up-2", good, "1");
  bus_.RunUntilIdle();
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(outcome="taken"} 4)"));
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(outcome="too_many_rooms"} 1)"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_voice_rooms{agent=\"arc-scarlett-voice\"} 3"));
}

TEST_F(VoiceTest, MalformedAnswersBecomeDeadLettersAndForeignOnesAreIgnored) {
  Recogniser recogniser(bus_, "w1");
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "a burger please";
  Start();
  for (const char* subject : {subjects::kSttTranscript, subjects::kSttError, subjects::kBrainResponse,
                              subjects::kBrainError, subjects::kTtsCompleted, subjects::kTtsError}) {
    for (const char* body : {"", "{", "[]", "{}", "{\"request_id\":7}"}) {
      (void)bus_.Publish({subject, "", {}, body});
    }
  }
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published("system.deadletter.core.arc-scarlett-voice"), SizeIs(30));
  bus::Message frame;
  frame.subject = "agent.tts.audio.kiosk-001";
  frame.headers.Set("Audio-Format", "nonsense");
  frame.body = "odd";
  (void)bus_.Publish(frame);
  frame.headers.Set("Request-Id", "x");
  (void)bus_.Publish(frame);
  recogniser.Say("stt-of-somebody-else", "hello", true);
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published("kiosk.voice.>"), IsEmpty());
}

TEST_F(VoiceTest, AnOperatorHearsOfAgentsThatAreMissing) {
  Start();  // no recogniser, no brain, no TTS
  for (int i = 0; i < 4; ++i) {
    Type(absl::StrCat("text ", i));
    Wait(absl::Seconds(10));
  }
  EXPECT_THAT(errors_, testing::UnorderedElementsAre("brain_unreachable", "tts_unreachable"));
  EXPECT_EQ(Unacked(kTextDurable), 0);
  for (int i = 0; i < 4; ++i) {
    Speak(absl::Seconds(1));
    Wait(absl::Seconds(20));
  }
  EXPECT_THAT(errors_,
              testing::UnorderedElementsAre("brain_unreachable", "tts_unreachable", "stt_unreachable"));
}

TEST_F(VoiceTest, RoomsThatAreNotThisCopys) {
  const auto rooms = ParseRooms("lobby=kiosk-5, b");
  ASSERT_THAT(rooms, IsOk());
  options_.rooms = *rooms;
  Start();
  Play(absl::Milliseconds(40), {{"lobby", 0}, {"b", 0}, {"c", 0}});
  const auto tracks = Flat<messages::TrackPublished>(subjects::kTrackPublished);
  ASSERT_THAT(tracks, SizeIs(2));
  EXPECT_EQ(tracks[0].metadata->kiosk_id, "kiosk-001");
  EXPECT_EQ(tracks[1].metadata->kiosk_id, "kiosk-5");
  for (const char* bad : {"a b", "a=kiosk 1", "caf\xc3\xa9", "=k"}) {
    EXPECT_THAT(ParseRooms(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST_F(VoiceTest, LiveKitsParticipants) {
  Start();
  LiveKitEvent event;
  event.kind = LiveKitEventKind::kParticipantJoined;
  event.room = "room-x";
  event.kiosk_id = "kiosk-9";
  event.participant = {"RM_1", "PA_1", "user-123", "", "session-456"};
  voice_->OnLiveKit(event);
  event.kind = LiveKitEventKind::kTrackPublished;
  event.track_sid = "TR_1";
  event.track_is_audio = true;
  event.track_source = "microphone";
  voice_->OnLiveKit(event);
  const auto published = Flat<messages::TrackPublished>(subjects::kTrackPublished);
  ASSERT_THAT(published, SizeIs(1));
  EXPECT_EQ(published[0].track_sid, "TR_1");
  EXPECT_EQ(published[0].metadata->user_id, "user-123");
  // Its frames on the bus are of the same track.
  Play(absl::Milliseconds(100), {{"room-x", 0}});
  Wait(absl::Seconds(20));
  EXPECT_THAT(bus_.Published(subjects::kTrackUnpublished), IsEmpty());
  EXPECT_THAT(bus_.Published(subjects::kTrackPublished), SizeIs(1));
  event.kind = LiveKitEventKind::kParticipantLeft;
  voice_->OnLiveKit(event);
  EXPECT_EQ(Flat<messages::TrackUnpublished>(subjects::kTrackUnpublished)[0].reason, "user_disconnected");
  EXPECT_EQ(Flat<messages::VoiceSessionEnded>(subjects::kVoiceSessionEnded)[0].reason, "user_left");
}

TEST_F(VoiceTest, TheEndOfTheAgentEndsSessionsAndTracks) {
  StartBrain();
  StartTts(absl::Seconds(1));
  Start();
  Play(absl::Milliseconds(100), {{kRoom, 0}});
  Type("a burger");
  voice_->StopListening();
  Type("too late");
  EXPECT_GT(Unacked(kTextDurable), 0);  // for the next process
  voice_->Stop(absl::Seconds(1));
  EXPECT_EQ(Flat<messages::VoiceSessionEnded>(subjects::kVoiceSessionEnded)[0].reason, "agent_stopped");
  EXPECT_EQ(Flat<messages::TrackUnpublished>(subjects::kTrackUnpublished)[0].reason, "agent_stopped");
  EXPECT_EQ(voice_->active_sessions(), 0);
}

TEST_F(VoiceTest, ManyUtterancesLeaveNothingBehind) {
  Recogniser recogniser(bus_, "w1");
  recogniser.texts[kRoom] = recogniser.partial[kRoom] = "a burger please";
  StartBrain();
  StartTts(absl::Milliseconds(200));
  Start();
  for (int i = 0; i < 50; ++i) {
    Speak(absl::Milliseconds(600), absl::Seconds(2));
    bus_.ClearPublished();
  }
  EXPECT_THAT(asked_, SizeIs(50));
  Wait(absl::Minutes(5));
  EXPECT_THAT(metrics_.Text(), HasSubstr("kiosk_voice_rooms{agent=\"arc-scarlett-voice\"} 0"));
}

}  // namespace
}  // namespace arc::voice
