// arc-stt as a process on a real nats-server, spoken to with the voices of flite.
#include <signal.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/health/health.h"
#include "common/json/json.h"
#include "common/messages/stt.h"
#include "common/messages/system.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "services/menu/menu_store.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::stt {
namespace {

using ::testing::HasSubstr;
using testing_support::Await;
using testing_support::Process;
using testing_support::RunProgram;
using testing_support::Signal;

constexpr absl::Duration kLimit = absl::Seconds(120);

struct Ready {
  std::string grpc;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("grpc", s.grpc);
  }
};

class SttBusTest : public testing_support::BusTest {
 protected:
  struct Worker {
    std::unique_ptr<Process> process;
    std::string grpc;
  };

  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    menu_ = bus_->OpenBucket(subjects::kMenuBucket).value();
    demo_ = menu::ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
    transcripts_ =
        bus_->Subscribe(subjects::kSttTranscript, "",
                        [this](const bus::Message& message) {
                          const auto transcript = json::Decode<messages::SttTranscript>(message.body);
                          ASSERT_THAT(transcript, IsOk());
                          heard_.Set([&] { transcript_[transcript->request_id].push_back(*transcript); });
                        })
            .value();
    errors_ = bus_->Subscribe(subjects::kSttError, "",
                              [this](const bus::Message& message) {
                                const auto error = json::Decode<messages::AgentError>(message.body);
                                ASSERT_THAT(error, IsOk());
                                heard_.Set([&] { error_[error->request_id].push_back(error->error_type); });
                              })
                  .value();
  }

  void Import() { ASSERT_THAT(menu::ImportMenu(*menu_, demo_), IsOk()); }

  Worker Start(const std::vector<std::string>& flags = {}, bool wait = true) {
    const std::string ready = folder_.File(absl::StrCat("ready-", started_++));
    std::vector<std::string> argv = {absl::StrCat(ARC_BIN_DIR, "/arc-stt"),
                                     absl::StrCat("--nats_url=", server_.url()),
                                     "--http_port=0",
                                     "--grpc_port=0",
                                     absl::StrCat("--ready_file=", ready),
                                     "--workers=1"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    Worker worker;
    auto process = Process::Start(argv);
    EXPECT_THAT(process, IsOk());
    worker.process = *std::move(process);
    EXPECT_TRUE(worker.process->AwaitFile(ready, kLimit));
    worker.grpc = json::Decode<Ready>(testing_support::ReadFile(ready))->grpc;
    if (wait) {
      EXPECT_TRUE(Await("arc-stt is SERVING", kLimit,
                        [&] { return ProbeHealth(worker.grpc, "", absl::Seconds(2)).ok(); }));
    }
    return worker;
  }

  audio::Clip Say(const std::string& text, const std::string& voice = "slt") {
    const std::string file = folder_.File("say.wav");
    EXPECT_EQ(RunProgram({"flite", "-voice", voice, "-t", text, "-o", file}).status, 0);
    return audio::ReadSoundFile(file).value();
  }

  absl::StatusOr<messages::SttAccepted> Claim(const std::string& id, const std::string& language = "en-US") {
    messages::SttRequest request;
    request.request_id = id;
    request.room_name = "room-1";
    request.session_id = "session-1";
    request.trace_id = "550e8400-e29b-41d4-a716-446655440000";
    request.language = language;
    bus::Message message;
    message.subject = subjects::kSttRequest;
    message.body = json::Encode(request);
    auto reply = bus::CoreRequestAndWait(*bus_, message, absl::Seconds(5));
    if (!reply.ok()) return reply.status();
    if (absl::StrContains(reply->body, "\"status\":\"error\""))
      return absl::InvalidArgumentError(reply->body);
    return json::Decode<messages::SttAccepted>(reply->body);
  }

  // Claims again while the answer is busy, or comes from nobody: a worker that was killed is known to be gone
  // only when its connection is.
  bool ClaimWithin(const std::string& id, absl::Duration limit = kLimit) {
    return Await(absl::StrCat("a worker takes ", id), limit, [&] {
      const absl::StatusOr<messages::SttAccepted> answer = Claim(id);
      return answer.ok() && answer->status == "accepted";
    });
  }

  void SendFrame(const std::string& id, std::optional<uint64_t> seq, std::string body,
                 const std::string& format = "pcm_s16le;rate=16000;channels=1", bool end = false) {
    bus::Message message;
    message.subject = absl::StrCat(subjects::kSttAudioPrefix, ".", id);
    message.headers.Set(subjects::kAudioFormatHeader, format);
    if (seq.has_value()) message.headers.Set(subjects::kSeqHeader, absl::StrCat(*seq));
    if (end) message.headers.Set(subjects::kEndHeader, "true");
    message.body = std::move(body);
    EXPECT_THAT(bus_->Publish(message), IsOk());
  }

  // The frames of `clip`, in the order of `places` (0, 1, 2, ... unless given), and the end.
  void SendSound(const std::string& id, const audio::Clip& clip, bool end = true) {
    const absl::Span<const int16_t> all(clip.samples);
    const auto size = static_cast<size_t>(clip.rate / 50);
    uint64_t seq = 0;
    const std::string format = absl::StrCat("pcm_s16le;rate=", clip.rate, ";channels=1");
    for (size_t at = 0; at < all.size(); at += size) {
      SendFrame(id, seq++, audio::EncodePcm(all.subspan(at, size)), format);
    }
    if (end) SendFrame(id, seq, "", format, true);
  }

  std::optional<messages::SttTranscript> Final(const std::string& id) {
    std::optional<messages::SttTranscript> final_text;
    heard_.Await(absl::StrCat("the final text of ", id), kLimit, [&] {
      const auto& all = transcript_[id];
      if (!all.empty() && all.back().is_final) final_text = all.back();
      return final_text.has_value();
    });
    return final_text;
  }

  std::string Recognize(const std::string& id, const audio::Clip& clip) {
    EXPECT_TRUE(ClaimWithin(id));
    SendSound(id, clip);
    const auto final_text = Final(id);
    return final_text.has_value() ? final_text->text : "";
  }

  int started_ = 0;
  Signal heard_;
  std::map<std::string, std::vector<messages::SttTranscript>> transcript_;
  std::map<std::string, std::vector<std::string>> error_;
  messages::MenuFile demo_;
  std::unique_ptr<bus::KeyValue> menu_;
  std::unique_ptr<bus::Subscription> transcripts_;
  std::unique_ptr<bus::Subscription> errors_;
};

TEST_F(SttBusTest, HearsAnOrderWithPartialTexts) {
  Import();
  const Worker worker = Start();
  const auto accepted = Claim("order-1");
  ASSERT_THAT(accepted, IsOk());
  EXPECT_EQ(accepted->status, "accepted");
  EXPECT_EQ(accepted->engine, "pocketsphinx");
  EXPECT_EQ(accepted->audio_subject, "agent.stt.audio.order-1");
  SendSound("order-1", Say("two volcano burgers without onions and a large cola please"));
  const auto final_text = Final("order-1");
  ASSERT_TRUE(final_text.has_value());
  EXPECT_EQ(final_text->text, "two volcano burgers without onions and a large cola please");
  EXPECT_EQ(final_text->room_name, "room-1");
  EXPECT_EQ(final_text->session_id, "session-1");
  EXPECT_EQ(final_text->trace_id, "550e8400-e29b-41d4-a716-446655440000");
  EXPECT_GT(final_text->confidence.value_or(0), 0.0);
  EXPECT_LE(final_text->confidence.value_or(0), 1.0);
  EXPECT_GT(final_text->audio_ms, 2000);
  EXPECT_EQ(final_text->frames_lost, 0);
  heard_.Read([&] {
    ASSERT_GT(transcript_["order-1"].size(), 1U);
    EXPECT_FALSE(transcript_["order-1"].front().is_final);
    EXPECT_FALSE(transcript_["order-1"].front().confidence.has_value());
  });
}

TEST_F(SttBusTest, TakesAnyRateAndFramesOutOfOrder) {
  Import();
  const Worker worker = Start();
  const audio::Clip clip = Say("can i have a chocolate milkshake");
  for (const int rate : {8000, 22050, 44100, 48000}) {
    const audio::Clip other{rate, audio::Resample(clip.samples, clip.rate, rate)};
    EXPECT_THAT(Recognize(absl::StrCat("rate-", rate), other), HasSubstr("chocolate")) << rate;
  }
  // Stereo, neighbours swapped, each third frame twice.
  ASSERT_TRUE(ClaimWithin("mixed"));
  std::vector<std::string> frames;
  for (size_t at = 0; at + 320 <= clip.samples.size(); at += 320) {
    audio::Samples stereo;
    for (size_t i = at; i < at + 320; ++i) stereo.insert(stereo.end(), 2, clip.samples[i]);
    frames.push_back(audio::EncodePcm(stereo));
  }
  const std::string format = absl::StrCat("pcm_s16le;rate=", clip.rate, ";channels=2");
  for (size_t i = 0; i + 1 < frames.size(); i += 2) {
    SendFrame("mixed", i + 1, frames[i + 1], format);
    SendFrame("mixed", i, frames[i], format);
    if (i % 3 == 0) SendFrame("mixed", i, frames[i], format);
  }
  SendFrame("mixed", frames.size() / 2 * 2, "", format, true);
  const auto final_text = Final("mixed");
  ASSERT_TRUE(final_text.has_value());
  EXPECT_EQ(final_text->text, "can i have a chocolate milkshake");
  EXPECT_EQ(final_text->frames_lost, 0);
}

TEST_F(SttBusTest, ANewDishIsRecognisedWithoutARestart) {
  Import();
  const Worker worker = Start();
  const audio::Clip clip = Say("one zanzibar tostada please");
  EXPECT_NE(Recognize("before", clip), "one zanzibar tostada please");
  messages::MenuItem dish = demo_.items.front();
  dish.id = 9001;
  dish.name = "Zanzibar Tostada";
  dish.synonyms.clear();
  demo_.items.push_back(dish);
  Import();
  int tries = 0;
  EXPECT_TRUE(Await("the new dish to be understood", kLimit, [&] {
    return Recognize(absl::StrCat("after-", tries++), clip) == "one zanzibar tostada please";
  }));
}

TEST_F(SttBusTest, SaysBusyAndASecondWorkerTakesTheRetryWhenTheFirstIsKilled) {
  Import();
  Worker first = Start();
  ASSERT_TRUE(ClaimWithin("one"));
  const auto busy = Claim("two");
  ASSERT_THAT(busy, IsOk());
  EXPECT_EQ(busy->status, "busy");
  const Worker second = Start();
  const audio::Clip clip = Say("three onion rings please");
  SendSound("one", clip, /*end=*/false);
  first.process->Kill();
  EXPECT_EQ(Recognize("one-again", clip), "three onion rings please");
}

TEST_F(SttBusTest, ServesWithoutAMenuAndRefusesWhatIsWrong) {
  const Worker worker = Start();
  EXPECT_THAT(Claim("not a token"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request_id")));
  EXPECT_THAT(Claim("german", "de-DE"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("language")));
  bus::Message malformed;
  malformed.subject = subjects::kSttRequest;
  malformed.body = "{\"request_id\":7}";
  const auto reply = bus::CoreRequestAndWait(*bus_, malformed, absl::Seconds(5));
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(json::Decode<messages::ErrorResponse>(reply->body)->error_code, "INVALID_REQUEST");
  ASSERT_THAT(bus_->Publish(malformed), IsOk());
  EXPECT_TRUE(Await("the dead letter", absl::Seconds(10), [&] {
    return bus_->NextStored(subjects::kDeadLetterStream, "system.deadletter.core.arc-stt", 1).ok();
  }));

  ASSERT_TRUE(ClaimWithin("noise"));
  SendFrame("noise", 0, "odd");
  SendFrame("noise", 1, "ab", "opus;rate=48000;channels=2");
  SendFrame("noise", 2, "ab", "nonsense");
  SendFrame("noise", std::nullopt, std::string(900'000, 'x'));
  SendFrame("noise", uint64_t{1} << 63, "ab");
  SendSound("noise", Say("yes please"));
  const auto final_text = Final("noise");
  ASSERT_TRUE(final_text.has_value());
  EXPECT_EQ(final_text->text, "yes please");
  heard_.Read([&] { EXPECT_EQ(error_["noise"], std::vector<std::string>{"invalid_audio"}); });
}

TEST_F(SttBusTest, EndsWhenTheSenderFallsSilentOrTalksTooLong) {
  Import();
  const Worker worker = Start({"--sender_silence=1s", "--max_utterance=3s"});
  ASSERT_TRUE(ClaimWithin("silent"));
  SendSound("silent", Say("no thank you"), /*end=*/false);
  auto final_text = Final("silent");
  ASSERT_TRUE(final_text.has_value());
  EXPECT_EQ(final_text->text, "no thank you");

  ASSERT_TRUE(ClaimWithin("long"));
  const std::string second = audio::EncodePcm(audio::Samples(16000));
  for (uint64_t seq = 0; seq < 20; ++seq) SendFrame("long", seq, second);
  final_text = Final("long");
  ASSERT_TRUE(final_text.has_value());
  EXPECT_EQ(final_text->audio_ms, 3000);
}

TEST_F(SttBusTest, IsNotServingWithoutAModelAndFinishesWhatIsUnderWayAtTheEnd) {
  Import();
  const Worker broken = Start({"--model_dir=/nonexistent"}, /*wait=*/false);
  EXPECT_FALSE(ProbeHealth(broken.grpc, "", absl::Seconds(2)).ok());
  EXPECT_THAT(Claim("nobody"), StatusIs(absl::StatusCode::kUnavailable));

  Worker worker = Start();
  const audio::Clip clip = Say("a slice of apple pie");
  ASSERT_TRUE(ClaimWithin("last"));
  SendSound("last", clip, /*end=*/false);
  worker.process->Send(SIGTERM);
  EXPECT_TRUE(Await("no more requests are taken", kLimit, [&] { return !Claim("too-late").ok(); }));
  SendFrame("last", 100'000, "", "pcm_s16le", true);
  ASSERT_TRUE(Final("last").has_value());
  EXPECT_EQ(worker.process->WaitExit(kLimit), 0);
}

}  // namespace
}  // namespace arc::stt
