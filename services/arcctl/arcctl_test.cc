// The verbs against a real nats-server, with stand-ins for the agents.
#include "services/arcctl/arcctl.h"

#include <signal.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/audio/audio.h"
#include "common/bus/dead_letter.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/messages/input.h"
#include "common/provision/jetstream_api.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::arcctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using testing_support::Await;
using testing_support::NatsServer;
using testing_support::Process;
using testing_support::Signal;
using testing_support::TempDir;

constexpr absl::Duration kLimit = absl::Seconds(20);

struct Ended {
  int status = -1;
  std::string out;
  std::string err;
};

Ended RunArcctl(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  StopSignal stop;
  Ended ended;
  ended.status = Run(words, out, err, stop);
  ended.out = out.str();
  ended.err = err.str();
  return ended;
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

class ArcctlTest : public testing::Test {
 protected:
  void SetUp() override {
    bus::NatsOptions options;
    options.url = server_.url();
    options.name = "test";
    auto bus = bus::NatsBus::Connect(SystemClock::Get(), options);
    ASSERT_THAT(bus, IsOk());
    bus_ = *std::move(bus);
    ASSERT_TRUE(bus_->AwaitConnected(kLimit));
  }

  Ended Arcctl(std::vector<std::string> words) {
    words.insert(words.begin(), absl::StrCat("--nats_url=", server_.url()));
    return RunArcctl(words);
  }

  // Answers every message on `subject` with what `answer` makes of it.
  void Serve(const std::string& subject, const std::function<std::string(const bus::Message&)>& answer) {
    auto subscription = bus_->Subscribe(subject, "", [this, answer](bus::Message message) {
      bus::Message reply;
      reply.subject = message.reply;
      reply.body = answer(message);
      // Where the stream confirms what it stored, an answer of ours could come before that.
      if (!reply.subject.empty() && !reply.body.empty()) {
        EXPECT_THAT(bus_->Publish(reply), IsOk());
      }
      signal_.Set([&] { received_.push_back(std::move(message)); });
    });
    ASSERT_THAT(subscription, IsOk());
    subscriptions_.push_back(*std::move(subscription));
    ASSERT_THAT(bus_->Flush(kLimit), IsOk());
  }

  void PublishScreen(const std::string& subject, const std::string& kiosk_id, const std::string& layout,
                     const std::string& data, const std::string& type = "ItemGrid") {
    bus::Message message;
    message.subject = subject;
    if (!kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_id);
    message.body = WrapPayload(MakeEnvelope(SystemClock::Get().Now(), "s"),
                               absl::StrCat(R"({"event":"ui_update","layout_mode":")", layout,
                                            R"(","theme_override":null,"components":[{"type":")", type,
                                            R"(","data":)", data, R"(}],"suggested_actions":[]})"));
    EXPECT_THAT(bus_->Publish(message), IsOk());
  }

  void PublishLetter(const std::string& subject, const std::string& body, const bus::Headers& headers = {}) {
    bus::DeadLetterSource source{"arc-menu", "KIOSK_COMMANDS", "menu-agent-consumer", 0, 3};
    if (subject == "kiosk.input.text")
      source = {"arc-scarlett-voice", "KIOSK_EVENTS", "voice-text-consumer", 0, 3};
    if (subject == "kiosk.input.touch") {
      source = {"arc-orchestrator", "KIOSK_EVENTS", "orchestrator-input-consumer", 0, 3};
    }
    PublishLetterOf(source, subject, body, headers);
  }

  void PublishLetterOf(const bus::DeadLetterSource& source, const std::string& subject,
                       const std::string& body, const bus::Headers& headers = {}) {
    bus::Message message;
    message.subject = subject;
    message.body = body;
    message.headers = headers;
    Signal stored;
    bool done = false;
    bus::PublishDeadLetter(*bus_, source, message,
                           MakeError(ErrorCode::kInvalidRequest, "payload.query: too long"),
                           [&](const absl::Status& status) {
                             EXPECT_THAT(status, IsOk());
                             stored.Set([&] { done = true; });
                           });
    ASSERT_TRUE(stored.Await("the dead letter is stored", kLimit, [&] { return done; }));
  }

  int64_t MessagesIn(const std::string& stream) {
    const auto info = provision::JetStreamApi(*bus_).GetStream(stream);
    EXPECT_THAT(info, IsOk());
    return info.ok() ? info->state.messages : -1;
  }

  NatsServer server_;
  Signal signal_;
  std::vector<bus::Message> received_;
  std::unique_ptr<bus::NatsBus> bus_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

class ProvisionedTest : public ArcctlTest {
 protected:
  void SetUp() override {
    ArcctlTest::SetUp();
    server_.Provision();
  }
};

TEST(ArcctlUsage, WrongUsageIs2AndNeedsNoServer) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {}, {"fly"}, {"touch"}, {"touch", "start", "--colour"}, {"menu"}, {"cart", "add"}}) {
    const Ended ended = RunArcctl(words);
    EXPECT_EQ(ended.status, 2);
    EXPECT_THAT(ended.err, HasSubstr("--help"));
    EXPECT_THAT(ended.out, IsEmpty());
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"status", "--scoped"}, {"status", "--kiosk_id", "a.b"}, {"status", "--timeout", "soon"}}) {
    EXPECT_EQ(RunArcctl(words).status, 2) << words[1];
  }
  const Ended help = RunArcctl({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("provision"), HasSubstr("deadletter replay SEQ|all")));
}

TEST(ArcctlUsage, WithoutAServerItSaysWhere) {
  const Ended ended = RunArcctl({"status", "--nats_url", "nats://127.0.0.1:1", "--timeout", "200ms"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("no nats-server at nats://127.0.0.1:1 within 200ms"));
}

TEST_F(ArcctlTest, ProvisionIsIdempotentAndNamesDifferences) {
  const Ended first = Arcctl({"provision"});
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("created consumer KIOSK_COMMANDS > payment-agent-consumer"));
  const Ended second = Arcctl({"provision"});
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_THAT(second.out, StartsWith("nothing to do"));

  provision::JetStreamApi api(*bus_);
  auto stream = api.GetStream("KIOSK_EVENTS");
  ASSERT_THAT(stream, IsOk());
  stream->config.max_msgs = 7;
  ASSERT_THAT(api.UpdateStream(stream->config), IsOk());
  const Ended differs = Arcctl({"provision"});
  EXPECT_EQ(differs.status, 1);
  EXPECT_THAT(differs.out, HasSubstr("differs: stream KIOSK_EVENTS: max_msgs is 7, should be 100000"));
  EXPECT_THAT(differs.err, HasSubstr("--update"));
  EXPECT_EQ(Arcctl({"provision", "--update"}).status, 0);
  EXPECT_EQ(Arcctl({"provision"}).status, 0);
}

TEST_F(ArcctlTest, ProvisionTakesAnotherFile) {
  TempDir dir;
  const std::string path = dir.File("streams.json");
  std::ofstream(path)
      << R"({"streams":[{"name":"X","subjects":["x.>"],"retention":"limits","storage":"memory"}]})";
  const Ended ended = Arcctl({"provision", "--file", path, "--json"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.out, "{\"created\":[\"stream X\"],\"updated\":[],\"unchanged\":[],\"differences\":[]}\n");
  std::ofstream(path)
      << R"({"streams":[{"name":"X","subject":["x.>"],"retention":"limits","storage":"memory"}]})";
  const Ended wrong = Arcctl({"provision", "--file", path});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("streams[0].subjects: is required"));
}

TEST_F(ArcctlTest, ProvisionKeepRestoresTheBusAfterKill9AndEndsCleanlyOnCtrlC) {
  auto keep = Process::Start({absl::StrCat(ARC_BIN_DIR, "/arcctl"), "provision", "--keep",
                              absl::StrCat("--nats_url=", server_.url())});
  ASSERT_THAT(keep, IsOk());
  provision::JetStreamApi api(*bus_, absl::Seconds(1));
  const auto provisioned = [&] { return api.GetConsumer("KIOSK_COMMANDS", "payment-agent-consumer").ok(); };
  ASSERT_TRUE(Await("the bus is provisioned", kLimit, provisioned));
  server_.Kill();
  server_.Restart();
  ASSERT_TRUE(Await("the memory stream is back", kLimit, provisioned));
  (*keep)->Send(SIGINT);
  EXPECT_EQ((*keep)->WaitExit(kLimit), 0) << (*keep)->Stderr();
  EXPECT_THAT((*keep)->Stderr(), IsEmpty());
}

TEST_F(ProvisionedTest, DoctorSaysWhatIsWrong) {
  const Ended ended = Arcctl({"doctor", "--json"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.out,
              AllOf(StartsWith("{\"ok\":false"), HasSubstr("start the agent menu: no copy of it runs")));
  const Ended text = Arcctl({"doctor"});
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.out, HasSubstr("KIOSK_COMMANDS > menu-agent-consumer: nobody pulls from it"));
}

TEST_F(ProvisionedTest, StatusShowsCopiesAndTheirWork) {
  for (const char* id : {"one", "two"}) {
    Serve("$SRV.STATS", [id](const bus::Message&) {
      return absl::StrCat(
          R"({"type":"io.nats.micro.v1.stats_response","name":"menu","id":")", id,
          R"(","version":"0.1.0","endpoints":[{"name":"search","subject":"kiosk.agent.menu.search",)",
          R"("num_requests":10,"num_errors":1,"last_error":"oops","processing_time":20000000,)",
          R"("data":{"latency_ms":{"le":[1,2,4,8],"buckets":[0,5,10,10],"count":10,"sum":20}}}]})");
    });
  }
  // A foreign service has data of its own.
  Serve("$SRV.STATS", [](const bus::Message&) {
    return std::string(
        R"({"type":"io.nats.micro.v1.stats_response","name":"other","id":"x","version":"0.1.0","endpoints":[)"
        R"({"name":"do","subject":"do","num_requests":1,"num_errors":0,"data":"anything"}]})");
  });
  const Ended json = Arcctl({"status", "--json"});
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_THAT(json.out, StartsWith(R"({"agents":[{"name":"menu","copies":2,"requests":20,"errors":2,)"
                                   R"("average_ms":2.0,"p50_ms":2.0,"p99_ms":3.96)"));
  EXPECT_THAT(json.out, HasSubstr(R"("name":"other","copies":1,"requests":1,"errors":0,"average_ms":0.0,)"
                                  R"("p50_ms":null,"p99_ms":null)"));
  const Ended text = Arcctl({"status"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("menu"), HasSubstr("2.00"), HasSubstr("orchestrator-input-consumer"),
                              HasSubstr("KIOSK_DEADLETTER")));
}

TEST_F(ProvisionedTest, AnInputIsStoredAndItsFinalScreenShown) {
  Serve("kiosk.input.>", [this](const bus::Message&) {
    // Another kiosk's screen, then one that says that it is not final.
    PublishScreen("kiosk.ui.update", "kiosk-002", "error", "{}");
    PublishScreen("kiosk.ui.update", "kiosk-001", "hero_grid", R"({"title":"first","loading":true})");
    PublishScreen("kiosk.ui.update", "kiosk-001", "hero_grid", R"({"title":"final","loading":false})");
    return std::string();
  });
  const Ended ended = Arcctl({"touch", "search", "--query", "burger"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(Lines(ended.out), ElementsAre("[hero_grid]", "  ItemGrid: final"));
  const auto stored = bus_->NextStored("KIOSK_EVENTS", "kiosk.input.>", 1);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->message.subject, "kiosk.input.touch");
  const auto parsed = ParseMessage(stored->message.body, SystemClock::Get().Now());
  ASSERT_THAT(parsed, IsOk());
  const auto touch = DecodePayload<messages::Touch>(*parsed);
  ASSERT_THAT(touch, IsOk());
  EXPECT_EQ(touch->action, messages::TouchAction::kSearch);
  EXPECT_EQ(touch->query, "burger");
  EXPECT_EQ(stored->message.headers.Get(subjects::kMsgIdHeader), parsed->envelope.msg_id);

  const Ended json = Arcctl({"cart", "add", "101", "2", "--customization", "Extra Cheese", "--json"});
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_THAT(json.out, AllOf(HasSubstr("\"stored\":true"), HasSubstr("\"title\":\"final\""),
                              HasSubstr("\"settled\":true")));
}

TEST_F(ProvisionedTest, AScopedKioskHasSubjectsOfItsOwn) {
  Serve("kiosk.input.>", [this](const bus::Message& message) {
    EXPECT_EQ(message.subject, "kiosk.input.text.kiosk-007");
    PublishScreen("kiosk.ui.update", "", "attract", "{}");
    PublishScreen("kiosk.ui.update.kiosk-007", "", "cart", "{}");
    return std::string();
  });
  const Ended ended = Arcctl({"say", "two", "burgers", "--kiosk_id=kiosk-007", "--scoped"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(Lines(ended.out), ElementsAre("[cart]", "  ItemGrid"));
}

TEST_F(ProvisionedTest, ATapWaitsForTheEndOfThePayment) {
  Serve("kiosk.input.card", [this](const bus::Message&) {
    PublishScreen("kiosk.ui.update", "", "paying", "{}");
    PublishScreen("kiosk.ui.update", "", "paid", "{}");
    return std::string();
  });
  const Ended ended = Arcctl({"tap", "tok_visa"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("[paid]"));
}

TEST_F(ProvisionedTest, WhatTheKioskRefusesIsAFailure) {
  Serve("kiosk.input.>", [this](const bus::Message&) {
    PublishScreen("kiosk.ui.update", "", "hero_grid",
                  R"({"code":"MENU_NOT_FOUND","text":"Not on the menu.","severity":"warning"})", "Notice");
    return std::string();
  });
  const Ended refused = Arcctl({"cart", "add", "999999"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("MENU_NOT_FOUND: Not on the menu."));
  EXPECT_THAT(refused.out, StartsWith("[hero_grid]"));
  const Ended json = Arcctl({"cart", "add", "999999", "--json"});
  EXPECT_EQ(json.status, 1);
  EXPECT_THAT(json.out, HasSubstr(R"("refusal":"MENU_NOT_FOUND: Not on the menu.")"));
}

// The voice agents in miniature: they answer the first silence behind a sound.
class SpeakTest : public ProvisionedTest {
 protected:
  void SetUp() override {
    ProvisionedTest::SetUp();
    audio::Clip clip;
    clip.rate = 8000;
    for (int i = 0; i < 4000; ++i) clip.samples.push_back(static_cast<int16_t>(i % 20 < 10 ? 9000 : -9000));
    recording_ = folder_.File("order.wav");
    ASSERT_THAT(audio::WriteWav(recording_, clip), IsOk());
  }

  void Answer(bool with_sound) {
    Serve("agent.voice.audio.kiosk-001", [this, with_sound](const bus::Message& frame) {
      EXPECT_EQ(frame.headers.Get(subjects::kAudioFormatHeader), "pcm_s16le;rate=16000;channels=1");
      EXPECT_EQ(frame.headers.Get(subjects::kSeqHeader), absl::StrCat(frames_++));
      const auto samples = audio::DecodePcm(frame.body, audio::Format());
      EXPECT_THAT(samples, IsOk());
      EXPECT_EQ(samples->size(), 320);
      const bool loud = audio::LevelDb(*samples) > -45;
      if (loud) heard_ = true;
      if (loud || !heard_ || answered_) return std::string();
      answered_ = true;
      Say("kiosk.voice.transcript",
          WrapPayload(MakeEnvelope(absl::Now(), "s", kTrace),
                      R"({"event":"transcript","text":"two burgers","confidence":0.9,"is_final":true})"));
      Say("agent.brain.response",
          absl::StrCat(
              R"({"request_id":"b","timestamp":"","trace_id":")", kTrace,
              R"(","agent_response":"Two burgers. Anything else?","metadata":{"llm_model":"rules",)"
              R"("tokens_used":0,"reasoning_steps":4,"tools_called":["menu.list"],)"
              R"("confidence_score":0.9},"performance":{"llm_latency_ms":1,"total_processing_ms":5},)"
              R"("intents":[{"event":"intent","intent_type":"add_to_cart","entities":{"items":)"
              R"([{"item_id":101,"name":"Volcano Burger","quantity":2}]}}]})"));
      Say("agent.tts.request", absl::StrCat(R"({"request_id":"t","trace_id":")", kTrace,
                                            R"(","text":"Two burgers.","target_room":"kiosk-001"})"));
      if (!with_sound) return std::string();
      for (const char* id : {"t", "of-another-turn"}) {
        bus::Message sound;
        sound.subject = "agent.tts.audio.kiosk-001";
        sound.headers.Set(subjects::kRequestIdHeader, id);
        sound.headers.Set(subjects::kAudioFormatHeader, "pcm_s16le;rate=16000;channels=1");
        sound.body = audio::EncodePcm(audio::Samples(1600, 7));
        EXPECT_THAT(bus_->Publish(sound), IsOk());
        sound.body.clear();
        sound.headers.Set(subjects::kEndHeader, "true");
        EXPECT_THAT(bus_->Publish(sound), IsOk());
      }
      Say("agent.tts.completed",
          R"({"request_id":"t","timestamp":"","audio_track_sid":null,"duration_ms":100,)"
          R"("synthesis_latency_ms":16,"audio_format":"pcm","ready_for_playback":true})");
      return std::string();
    });
  }

  void Say(const std::string& subject, const std::string& body) {
    EXPECT_THAT(bus_->Publish({subject, "", {}, body}), IsOk());
  }

  static constexpr char kTrace[] = "550e8400-e29b-41d4-a716-446655440000";
  TempDir folder_;
  std::string recording_;
  std::atomic<int> frames_ = 0;  // counted while the test goes on
  bool heard_ = false;
  bool answered_ = false;
};

TEST_F(SpeakTest, SaysWhatWasHeardUnderstoodAndAnsweredAndKeepsItsSound) {
  Answer(true);
  const std::string out = folder_.File("answer.wav");
  const Ended ended = Arcctl({"speak", recording_, "--out", out});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("heard:      two burgers  (confidence 0.9)"));
  EXPECT_THAT(ended.out, HasSubstr("understood: add_to_cart: 2 x 101 Volcano Burger"));
  EXPECT_THAT(ended.out, HasSubstr("answered:   Two burgers. Anything else?"));
  EXPECT_THAT(ended.out, HasSubstr("(brain 5 ms: menu.list)"));
  EXPECT_THAT(ended.out, HasSubstr("(synthesis 16 ms), answer 100 ms long"));
  const auto sound = audio::ReadSoundFile(out);
  ASSERT_THAT(sound, IsOk());
  EXPECT_EQ(sound->samples, audio::Samples(1600, 7));
  EXPECT_GE(frames_, 25);
}

TEST_F(SpeakTest, WhatIsNoRecordingIsWrongUsage) {
  EXPECT_EQ(Arcctl({"speak", folder_.File("none.wav")}).status, 2);
  EXPECT_EQ(Arcctl({"speak", "/etc/passwd"}).status, 2);
  const std::string silence = folder_.File("silence.wav");
  ASSERT_THAT(audio::WriteWav(silence, {16000, audio::Samples(16000)}), IsOk());
  const Ended ended = Arcctl({"speak", silence});
  EXPECT_EQ(ended.status, 2);
  EXPECT_THAT(ended.err, HasSubstr("nothing but silence"));
  EXPECT_EQ(Arcctl({"speak", recording_, "--room", "a.b"}).status, 2);
}

TEST_F(ProvisionedTest, WithoutAnOrchestratorTheInputIsStoredAndThatIsSaid) {
  const Ended ended = Arcctl({"touch", "start", "--timeout", "200ms"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("the input is stored, but no screen came of it within 200ms"));
  EXPECT_EQ(MessagesIn("KIOSK_EVENTS"), 1);
  const Ended no_wait = Arcctl({"person", "detected", "--party", "3"});
  EXPECT_EQ(no_wait.status, 0) << no_wait.err;
  EXPECT_EQ(MessagesIn("KIOSK_EVENTS"), 2);
}

TEST_F(ArcctlTest, AnInputThatNoStreamStoresIsAFailure) {
  const Ended ended = Arcctl({"touch", "start", "--no_wait"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("was not stored"));
}

TEST_F(ProvisionedTest, InputsAreCheckedBeforeTheyAreSent) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"touch", "fly"},
                                             {"touch", "select_item"},
                                             {"touch", "search"},
                                             {"cart", "add", "x"},
                                             {"cart", "add", "1", "100"},
                                             {"cart", "update_qty", "1"},
                                             {"cart", "eat", "1"},
                                             {"say", std::string(5000, 'a')},
                                             {"person", "gone"}}) {
    EXPECT_EQ(Arcctl(words).status, 2) << words[0] << " " << words[1].substr(0, 20);
  }
  EXPECT_EQ(MessagesIn("KIOSK_EVENTS"), 0);
}

TEST_F(ProvisionedTest, WatchShowsEventsOfBothFamilies) {
  Ended ended;
  std::thread watch([&] { ended = Arcctl({"watch", "--count", "3", "--json", "--timeout", "20s"}); });
  // Until it listens nothing is lost: the same events go out again and again.
  std::thread publish;
  bus::Message event;
  event.subject = "kiosk.input.touch.kiosk-007";
  event.body = R"({"payload":{"event":"touch","action":"start"}})";
  bus::Message error;
  error.subject = "system.service.error";
  error.body = R"({"service":"arc-menu"})";
  Signal over;
  bool done = false;
  publish = std::thread([&] {
    Await("watch ends", kLimit, [&] {
      EXPECT_THAT(bus_->Publish(event), IsOk());
      EXPECT_THAT(bus_->Publish(error), IsOk());
      bool now = false;
      over.Read([&] { now = done; });
      return now;
    });
  });
  watch.join();
  over.Set([&] { done = true; });
  publish.join();
  EXPECT_EQ(ended.status, 0) << ended.err;
  const std::vector<std::string> lines = Lines(ended.out);
  ASSERT_THAT(lines, SizeIs(3));
  const std::set<std::string> kinds(lines.begin(), lines.end());
  EXPECT_THAT(kinds, ElementsAre(R"({"subject":"kiosk.input.touch.kiosk-007","kiosk_id":"kiosk-007",)"
                                 R"("payload":{"event":"touch","action":"start"}})",
                                 R"({"subject":"system.service.error","service":"arc-menu"})"));
}

TEST_F(ProvisionedTest, WatchSaysWhenTooFewEventsCame) {
  const Ended ended = Arcctl({"watch", "--count", "1", "--timeout", "100ms"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("only 0 of 1 events within 100ms"));
  EXPECT_EQ(Arcctl({"watch", "--timeout", "100ms"}).status, 0);
}

TEST_F(ProvisionedTest, MenuImportTakesAllOrNothing) {
  TempDir dir;
  const std::string path = dir.File("bad.json");
  std::ofstream(path) << "{\"currency\":\"USD\",\"categories\":[{\"id\":\"a\",\"name\":\"A\"}],\n"
                         "\"items\":[{\"id\":1,\"name\":\"x\",\"category\":\"a\",\"price\":1},\n"
                         "{\"id\":1,\"name\":\"y\",\"category\":\"a\",\"price\":-1}]}";
  const Ended bad = Arcctl({"menu", "import", path});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.err, AllOf(HasSubstr(absl::StrCat(path, ":3: items[1].id")), HasSubstr("items[1].price"),
                             HasSubstr("2 problems; nothing was imported")));
  EXPECT_EQ(MessagesIn("KV_KIOSK_MENU"), 0);
  const Ended good = Arcctl({"menu", "import", absl::StrCat(ARC_SOURCE_DIR, "/deploy/demo/menu.json")});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_THAT(good.out, StartsWith("imported 80 items in 8 categories"));
  EXPECT_GT(MessagesIn("KV_KIOSK_MENU"), 0);
  EXPECT_EQ(Arcctl({"menu", "import", dir.File("none")}).status, 1);
}

TEST_F(ProvisionedTest, MenuImportSaysWhatIsOddAndGoesOn) {
  TempDir dir;
  const std::string path = dir.File("odd.json");
  std::ofstream(path) << "\xEF\xBB\xBF{\"currency\":\"USD\",\"categories\":[{\"id\":\"a\",\"name\":\"A\"}],\n"
                         "\"items\":[{\"id\":1,\"name\":\"x\",\"category\":\"a\",\"price\":1},\n"
                         "{\"id\":2,\"name\":\"y\",\"category\":\"a\",\"price\":5,\"combo_of\":[1,1]}]}";
  const Ended ended = Arcctl({"menu", "import", path});
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.out, "imported 2 items in 1 categories\n");
  EXPECT_EQ(ended.err,
            absl::StrCat(path, ":3: warning: items[1].price: 5 is more than its parts cost together, 2\n"));
}

TEST_F(ProvisionedTest, RecsysImportNamesBadLines) {
  TempDir dir;
  const std::string path = dir.File("history.jsonl");
  std::ofstream(path)
      << R"({"order_id":"o1","at":"2025-12-14T13:30:00.000Z","items":[{"item_id":101,"quantity":1}]})"
      << "\n{\"order_id\":\"o2\"}\n";
  const Ended bad = Arcctl({"recsys", "import", path});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.err, HasSubstr("line 2"));
  std::ofstream(path)
      << "\xEF\xBB\xBF"
      << R"({"order_id":"o1","at":"2025-12-14T13:30:00.000Z","items":[{"item_id":101,"quantity":1}]})"
      << "\n";
  const Ended good = Arcctl({"recsys", "import", path, "--json"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "{\"orders\":1,\"added\":1,\"total\":1}\n");
  EXPECT_EQ(Arcctl({"recsys", "import", path, "--json"}).out, "{\"orders\":1,\"added\":0,\"total\":1}\n");
}

TEST_F(ProvisionedTest, ACommandWithoutItsAgentFailsAtOnce) {
  const Ended ended = Arcctl({"menu", "86", "101", "--timeout", "10s"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("no menu agent is running"));
}

TEST_F(ProvisionedTest, SessionsShowsWhatTheOrchestratorKeeps) {
  EXPECT_THAT(Arcctl({"sessions"}).out, HasSubstr("no kiosk has been used yet"));
  auto bucket = bus_->OpenBucket(subjects::kSessionsBucket);
  ASSERT_THAT(bucket, IsOk());
  ASSERT_THAT(
      (*bucket)->Put("kiosk.kiosk-007",
                     R"({"schema":1,"kiosk_id":"kiosk-007","scoped":true,"state":"cart","session_id":"s1",)"
                     R"("started_ms":1765720800000,"last_activity_ms":1765720801500,"currency":"USD",)"
                     R"("exponent":2,"cart":[{"name":"Volcano Burger","quantity":2,"unit_price":1449}]})"),
      IsOk());
  const Ended json = Arcctl({"sessions", "--json"});
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(
      json.out,
      R"({"kiosk_id":"kiosk-007","scoped":true,"state":"cart","session_id":"s1",)"
      R"("started":"2025-12-14T14:00:00.000Z","last_activity":"2025-12-14T14:00:01.500Z","items":2,"total":28.98,)"
      R"("currency":"USD","order_id":null,"order_number":null,"payment_open":false,"payment_unknown":false})"
      "\n");
  EXPECT_THAT(Arcctl({"sessions"}).out, AllOf(HasSubstr("kiosk-007"), HasSubstr("28.98 USD")));
}

TEST_F(ProvisionedTest, RequestShowsWhatTheAgentAnswers) {
  const Ended nobody = Arcctl({"request", "kiosk.agent.payment.status", "--timeout=200ms"});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_THAT(nobody.err, HasSubstr("no payment agent is running"));
  Serve("$SRV.PING.payment", [](const bus::Message&) { return std::string("{}"); });
  Serve("kiosk.agent.payment.status", [](const bus::Message& request) {
    // Nothing that an agent cannot handle becomes a dead letter.
    EXPECT_FALSE(request.headers.Has(subjects::kReplyToHeader));
    const auto asked = ParseMessage(request.body, SystemClock::Get().Now());
    if (!asked.ok() || json::Encode(asked->payload()) != R"({"order_id":"o-1"})") {
      return std::string(R"({"payload":{"status":"error","error_code":"INVALID_REQUEST",)"
                         R"("error_message":"payload.order_id: missing","retryable":false}})");
    }
    return std::string(R"({"payload":{"status":"success","order_id":"o-1"}})");
  });
  const Ended good = Arcctl({"request", "kiosk.agent.payment.status", R"({"order_id":"o-1"})"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "{\"status\":\"success\",\"order_id\":\"o-1\"}\n");
  const Ended bad = Arcctl({"request", "kiosk.agent.payment.status"});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.out, IsEmpty());
  EXPECT_THAT(bad.err, HasSubstr("the agent answered INVALID_REQUEST: payload.order_id: missing"));
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"request", "kiosk.input.touch"},
                                             {"request", "kiosk.agent.>"},
                                             {"request", "kiosk.agent.menu.list", "[1]"},
                                             {"request", "kiosk.agent.menu.list", "{"}}) {
    EXPECT_EQ(Arcctl(words).status, 2) << words.back();
  }
}

TEST_F(ProvisionedTest, ReprintAsksForTheOrdersOwnReceiptAgain) {
  const auto complete = [&](const std::string& order_id, const std::string& number,
                            const std::string& kiosk_id) {
    bus::Message message;
    message.subject = "kiosk.session.order_completed";
    message.body = WrapPayload(
        MakeEnvelope(SystemClock::Get().Now(), "s"),
        absl::StrCat(R"({"event":"order_completed","order_id":")", order_id, R"(","order_number":")", number,
                     R"(","kiosk_id":")", kiosk_id,
                     R"(","lines":[{"item_id":101,"name":"Volcano Burger","quantity":2,"price":14.49,)"
                     R"("customizations":["Extra Cheese"],"note":"well done"}],"total":28.98,)"
                     R"("payment":{"transaction_id":"txn-1","amount_charged":28.98}})"));
    ASSERT_THAT(bus_->Publish(message), IsOk());
    ASSERT_THAT(bus_->Flush(kLimit), IsOk());
  };
  Serve("kiosk.agent.hardware.print", [](const bus::Message&) {
    return std::string(R"({"payload":{"status":"success","order_id":"o-2"}})");
  });
  EXPECT_EQ(Arcctl({"reprint", "A1"}).status, 1);
  complete("o-1", "A1", "kiosk-001");
  complete("o-2", "A1", "kiosk-001");  // the newest
  complete("o-3", "A2", "kiosk-001");
  complete("o-4", "A2", "kiosk-002");
  const Ended none = Arcctl({"reprint", "A7"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("there is no completed order A7 in KIOSK_EVENTS"));
  const Ended which = Arcctl({"reprint", "A2"});
  EXPECT_EQ(which.status, 1);
  EXPECT_THAT(which.err, HasSubstr("of kiosk-001, kiosk-002: give --kiosk_id"));
  signal_.Read([&] { EXPECT_THAT(received_, IsEmpty()); });

  const Ended done = Arcctl({"reprint", "A1"});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(done.out, "printed a copy of order A1 (o-2)\n");
  EXPECT_EQ(Arcctl({"reprint", "o-3"}).status, 0);
  ASSERT_TRUE(signal_.Await("both prints", kLimit, [&] { return received_.size() == 2; }));
  signal_.Read([&] {
    const auto request = ParseMessage(received_[0].body, SystemClock::Get().Now());
    ASSERT_THAT(request, IsOk());
    EXPECT_EQ(
        json::Encode(request->payload()),
        R"({"command":"print_receipt","order_id":"o-2","items":[{"item_id":101,"name":"Volcano Burger",)"
        R"("qty":2,"price":14.49,"customizations":["Extra Cheese"],"note":"well done"}],"total":28.98,)"
        R"("transaction_id":"txn-1","order_number":"A1","reprint":true})");
    const auto key = [&](int index) {
      return received_[index].headers.Get("Kiosk-Idempotency-Key").value_or("");
    };
    EXPECT_FALSE(key(0).empty());
    EXPECT_NE(key(0), key(1));
  });
}

class DeadLetterTest : public ProvisionedTest {};

TEST_F(DeadLetterTest, ListShowAndPurge) {
  EXPECT_THAT(Arcctl({"deadletter", "list"}).out, HasSubstr("no dead letters"));
  PublishLetter("kiosk.agent.menu.search", R"({"payload":{"query":"a"}})");
  PublishLetter("kiosk.input.touch", std::string("\xff\x00\x1b", 3));
  const std::vector<std::string> list = Lines(Arcctl({"deadletter", "list", "--json"}).out);
  ASSERT_THAT(list, SizeIs(2));
  EXPECT_THAT(list[0],
              AllOf(StartsWith("{\"seq\":1,"), HasSubstr("\"subject\":\"kiosk.agent.menu.search\"")));
  EXPECT_THAT(Arcctl({"deadletter", "list"}).out,
              AllOf(HasSubstr("kiosk.input.touch"), HasSubstr("INVALID_REQUEST: payload.query: too long")));
  const Ended show = Arcctl({"deadletter", "show", "2"});
  EXPECT_EQ(show.status, 0) << show.err;
  EXPECT_THAT(show.out, HasSubstr("\\xff\\x00\\x1b"));
  EXPECT_EQ(Arcctl({"deadletter", "show", "9"}).status, 1);
  EXPECT_EQ(Arcctl({"deadletter", "show", "x"}).status, 2);
  EXPECT_EQ(Arcctl({"deadletter", "purge", "1", "--json"}).out, "{\"purged\":1}\n");
  EXPECT_EQ(Arcctl({"deadletter", "purge", "1"}).status, 1);
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 1);
  EXPECT_EQ(Arcctl({"deadletter", "purge", "--json"}).out, "{\"purged\":1}\n");
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 0);
}

TEST_F(DeadLetterTest, ABodyWithNulIsListedShownAndReplayed) {
  const std::string body("{\"a\":\"\0\"}", 9);
  PublishLetter("kiosk.input.touch", body);
  EXPECT_THAT(Arcctl({"deadletter", "list"}).out, HasSubstr("kiosk.input.touch"));
  const Ended show = Arcctl({"deadletter", "show", "1"});
  EXPECT_EQ(show.status, 0) << show.err;
  EXPECT_THAT(show.out, HasSubstr("\\x00"));
  const Ended ended = Arcctl({"deadletter", "replay", "all"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  const auto stored = bus_->NextStored("KIOSK_EVENTS", "kiosk.input.touch", 1);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->message.body, body);
}

TEST_F(DeadLetterTest, OneThatCannotBeReadIsListedShownAndNamedByReplay) {
  bus::Message message;
  message.subject = "system.deadletter.KIOSK_EVENTS.orchestrator-input-consumer";
  message.body = R"({"timestamp":"x","agent":"arc-menu","subject":"a","headers":[],"body":"\u0000"})";
  ASSERT_THAT(bus_->Publish(message), IsOk());
  ASSERT_THAT(bus_->Flush(kLimit), IsOk());
  PublishLetter("kiosk.input.touch", R"({"payload":{"event":"touch","action":"start"}})");
  const Ended list = Arcctl({"deadletter", "list"});
  EXPECT_EQ(list.status, 0) << list.err;
  EXPECT_THAT(list.out, AllOf(HasSubstr("  1  "), HasSubstr(message.subject),
                              HasSubstr("cannot be read: body: must not contain a NUL character"),
                              HasSubstr("kiosk.input.touch")));
  EXPECT_THAT(Lines(Arcctl({"deadletter", "list", "--json"}).out)[0],
              AllOf(StartsWith("{\"seq\":1,"), HasSubstr("\"unreadable\":\"body: must not contain")));
  const Ended show = Arcctl({"deadletter", "show", "1"});
  EXPECT_EQ(show.status, 0) << show.err;
  EXPECT_THAT(show.out, AllOf(HasSubstr("cannot be read"), HasSubstr("arc-menu")));
  EXPECT_THAT(Arcctl({"deadletter", "show", "1", "--json"}).out, HasSubstr("\"stored_base64\":\"eyJ0aW1l"));
  EXPECT_EQ(Arcctl({"deadletter", "replay", "1"}).status, 1);
  const Ended all = Arcctl({"deadletter", "replay", "all"});
  EXPECT_EQ(all.status, 1);
  EXPECT_THAT(all.out, HasSubstr("replayed 2 on kiosk.input.touch"));
  EXPECT_THAT(all.err, AllOf(HasSubstr("dead letter 1 ("), HasSubstr("cannot be read"),
                             HasSubstr("1 of 2 could not be replayed and were kept")));
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 1);
}

TEST_F(DeadLetterTest, ReplayOfAnEventStoresItAnew) {
  bus::Headers headers;
  headers.Set(subjects::kMsgIdHeader, "m1");
  headers.Set(subjects::kKioskIdHeader, "kiosk-002");
  headers.Set(subjects::kDeadlineHeader, "2025-12-14T14:00:00.000Z");
  const std::string body = R"({"msg_id":"m1","payload":{"event":"touch","action":"start"}})";
  PublishLetter("kiosk.input.touch", body, headers);
  const Ended ended = Arcctl({"deadletter", "replay", "1"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  const auto stored = bus_->NextStored("KIOSK_EVENTS", "kiosk.input.touch", 1);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->message.body, body);
  EXPECT_EQ(stored->message.headers.Get(subjects::kKioskIdHeader), "kiosk-002");
  EXPECT_FALSE(stored->message.headers.Has(subjects::kDeadlineHeader));
  EXPECT_NE(stored->message.headers.Get(subjects::kMsgIdHeader), "m1");
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 0);
}

TEST_F(DeadLetterTest, ReplayOfACommandNeedsAnAgentThatSucceeds) {
  bus::Headers headers;
  headers.Set(subjects::kReplyToHeader, "_INBOX.gone");
  headers.Set(subjects::kIdempotencyKeyHeader, "key-1");
  PublishLetter("kiosk.agent.menu.search", R"({"payload":{"query":"a"}})", headers);
  const Ended nobody = Arcctl({"deadletter", "replay", "1"});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_THAT(nobody.err, HasSubstr("no menu agent is running"));
  EXPECT_EQ(MessagesIn("KIOSK_COMMANDS"), 0);

  std::string answer =
      R"({"payload":{"status":"error","error_code":"MENU_NOT_FOUND","error_message":"none","retryable":false}})";
  Serve("$SRV.PING.menu", [](const bus::Message&) { return std::string("{}"); });
  Serve("kiosk.agent.menu.search", [&](const bus::Message& message) {
    EXPECT_FALSE(message.headers.Has(subjects::kReplyToHeader));
    EXPECT_EQ(message.headers.Get(subjects::kIdempotencyKeyHeader), "key-1");
    std::string now;
    signal_.Read([&] { now = answer; });
    return now;
  });
  const Ended refused = Arcctl({"deadletter", "replay", "1"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("the agent answered MENU_NOT_FOUND: none"));
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 1);

  signal_.Set([&] { answer = R"({"payload":{"status":"success","items":[],"total_matches":0}})"; });
  const Ended done = Arcctl({"deadletter", "replay", "all", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(done.out, R"({"seq":1,"subject":"kiosk.agent.menu.search","replayed":true,)"
                      R"("answer":{"status":"success","items":[],"total_matches":0},"error":null})"
                      "\n");
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 0);
}

// A writer's rights end at the letter: the operator does not lend it others.
TEST_F(DeadLetterTest, OneOnASubjectThatItsWriterIsNotGivenIsRefusedAndKept) {
  Serve("$SRV.PING.payment", [](const bus::Message&) { return std::string("{}"); });
  Serve("kiosk.agent.payment.refund", [](const bus::Message&) {
    ADD_FAILURE() << "a refund that nobody with a right to it asked for";
    return std::string(R"({"payload":{"status":"success"}})");
  });
  const bus::DeadLetterSource camera{"arc-vision-bridge", "", "", 0, 1};
  const bus::DeadLetterSource menu{"arc-menu", "", "", 0, 1};
  const bus::DeadLetterSource durable{"arc-menu", "KIOSK_COMMANDS", "menu-agent-consumer", 0, 1};
  const bus::DeadLetterSource unknown{"arc-menu", "KIOSK_COMMANDS", "my-consumer", 0, 1};
  PublishLetterOf(camera, "$JS.API.STREAM.DELETE.KV_KIOSK_MENU", "");
  PublishLetterOf(camera, "kiosk.agent.payment.refund", R"({"payload":{"order_id":"1"}})");
  PublishLetterOf(camera, "kiosk.input.card", R"({"payload":{"event":"card"}})");
  PublishLetterOf(menu, "kiosk.agent.payment.refund", R"({"payload":{"order_id":"1"}})");
  PublishLetterOf(menu, "agent.tts.request", "{}");
  PublishLetterOf(durable, "kiosk.agent.payment.refund", R"({"payload":{"order_id":"1"}})");
  PublishLetterOf(unknown, "kiosk.agent.menu.search", "{}");
  const Ended ended = Arcctl({"deadletter", "replay", "all"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr("whoever put it under system.deadletter.core.arc-vision-bridge is not given "
                              "messages on $JS.API.STREAM.DELETE.KV_KIOSK_MENU"),
                    HasSubstr("7 of 7 could not be replayed and were kept")));
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 7);
  EXPECT_EQ(MessagesIn("KIOSK_COMMANDS"), 0);
  EXPECT_EQ(MessagesIn("KIOSK_EVENTS"), 0);
  EXPECT_EQ(MessagesIn("KV_KIOSK_MENU"), 0);  // it is there
}

// Likewise what an agent heard outside of any stream.
TEST_F(DeadLetterTest, OneOfACoreMessageIsSentAgain) {
  PublishLetterOf({"arc-piper-tts", "", "", 0, 0}, "agent.tts.request", "{}");
  PublishLetterOf({"arc-orchestrator", "", "", 0, 1}, "kiosk.session.ended", "{}");
  const Ended ended = Arcctl({"deadletter", "replay", "all"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 0);
  EXPECT_EQ(MessagesIn("KIOSK_EVENTS"), 1);
}

TEST_F(DeadLetterTest, OneWithoutAllOfItsHeadersIsRefusedAndKept) {
  bus::Headers headers;
  headers.Set("X-Big", std::string(60000, 'x'));
  PublishLetter("kiosk.input.touch", "{}", headers);
  EXPECT_THAT(Arcctl({"deadletter", "show", "1"}).out, HasSubstr("headers     not all"));
  const Ended ended = Arcctl({"deadletter", "replay", "1"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("its headers were too large"));
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 1);
}

TEST_F(DeadLetterTest, ATruncatedOneIsRefusedAndKept) {
  const std::string body = absl::StrCat(R"({"payload":{"text":")", std::string(1000000, 'a'), R"("}})");
  PublishLetter("kiosk.input.text", body);
  const Ended ended = Arcctl({"deadletter", "replay", "all"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr(absl::StrCat("only the beginning of its ", body.size(), " bytes was kept")),
                    HasSubstr("1 of 1 could not be replayed and were kept")));
  EXPECT_EQ(MessagesIn("KIOSK_DEADLETTER"), 1);
}

}  // namespace
}  // namespace arc::arcctl
