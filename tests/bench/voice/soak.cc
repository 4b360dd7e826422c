// Many customers for a long time: does arc-voice keep its memory? A nats-server of its own, the real agent,
// and a recogniser, a brain and a TTS that answer at once; each room says one utterance after the other.
//
//   voice_soak [utterances = 10000] [rooms = 100]
//
// Prints the resident memory and the time of the processor after each tenth, and ends with 1 when utterances
// were lost or memory grew by more than a tenth after the first fifth.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/audio/audio.h"
#include "common/bus/nats_bus.h"
#include "common/messages/brain.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/subjects/subjects.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc {
namespace {

using testing_support::Process;
using testing_support::Signal;

double RssMb(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

double CpuSeconds(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  int64_t user = 0;
  int64_t system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Answers everything at once.
class Others {
 public:
  Others(bus::Bus& bus, Signal& signal, int64_t& answered) : bus_(bus) {
    Subscribe(subjects::kSttRequest, [this](const bus::Message& m) {
      const auto request = json::Decode<messages::SttRequest>(m.body);
      if (!request.ok()) return;
      messages::SttAccepted accepted;
      accepted.request_id = request->request_id;
      accepted.status = "accepted";
      (void)bus_.Publish({m.reply, "", {}, json::Encode(accepted)});
    });
    Subscribe("agent.stt.audio.*", [this](const bus::Message& frame) {
      if (!frame.headers.Has("End")) return;
      messages::SttTranscript transcript;
      transcript.request_id = frame.subject.substr(frame.subject.rfind('.') + 1);
      transcript.timestamp = FormatTimestamp(absl::Now());
      transcript.text = "a volcano burger please";
      transcript.is_final = true;
      (void)bus_.Publish({subjects::kSttTranscript, "", {}, json::Encode(transcript)});
    });
    Subscribe(subjects::kBrainRequest, [this](const bus::Message& m) {
      const auto request = json::Decode<messages::BrainRequest>(m.body);
      if (!request.ok()) return;
      messages::BrainResponse response;
      response.request_id = request->request_id;
      response.timestamp = FormatTimestamp(absl::Now());
      response.agent_response = "One volcano burger.";
      response.intents.resize(1);
      response.dialogue = json::Raw{absl::StrCat(R"({"said":")", std::string(2000, 'x'), "\"}")};
      (void)bus_.Publish({subjects::kBrainResponse, "", {}, json::Encode(response)});
    });
    Subscribe(subjects::kTtsRequest, [this, &signal, &answered](const bus::Message& m) {
      const auto request = json::Decode<messages::TtsRequest>(m.body);
      if (!request.ok()) return;
      bus::Message frame;
      frame.subject = absl::StrCat("agent.tts.audio.", request->target_room);
      frame.headers.Set("Request-Id", request->request_id);
      frame.headers.Set("Audio-Format", "pcm_s16le;rate=16000;channels=1");
      frame.body.assign(3200, '\0');
      (void)bus_.Publish(frame);
      frame.body.clear();
      frame.headers.Set("End", "true");
      (void)bus_.Publish(frame);
      if (request->text == "One volcano burger.") signal.Set([&] { ++answered; });
    });
  }

 private:
  void Subscribe(const std::string& subject, std::function<void(bus::Message)> callback) {
    auto subscription = bus_.Subscribe(subject, "", std::move(callback));
    if (subscription.ok()) subscriptions_.push_back(*std::move(subscription));
  }
  bus::Bus& bus_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

int Run(int64_t utterances, int64_t rooms) {
  testing_support::NatsServer server;
  server.Provision();
  testing_support::TempDir folder;
  const std::string file = folder.File("speech.wav");
  if (testing_support::RunProgram({"espeak-ng", "-w", file, "a volcano burger please"}).status != 0) return 1;
  const auto clip = audio::ReadSoundFile(file);
  if (!clip.ok()) return 1;
  audio::Samples speech = audio::Resample(clip->samples, clip->rate, 16000);
  speech.resize(speech.size() + 8000);
  const absl::Duration lasts = audio::DurationOf(speech.size(), 16000) + absl::Milliseconds(300);

  bus::NatsOptions options;
  options.url = server.url();
  auto bus = bus::NatsBus::Connect(SystemClock::Get(), options);
  if (!bus.ok() || !(*bus)->AwaitConnected(absl::Seconds(10))) return 1;
  Signal signal;
  int64_t answered = 0;
  const Others others(**bus, signal, answered);
  bool healthy = false;
  auto heartbeats = (*bus)->Subscribe(subjects::kHeartbeat, "", [&](const bus::Message& m) {
    signal.Set([&] { healthy = healthy || absl::StrContains(m.body, "\"healthy\""); });
  });
  if (!heartbeats.ok()) return 1;
  auto agent = Process::Start({absl::StrCat(ARC_BIN_DIR, "/arc-voice"), "--nats_url=" + server.url(),
                               "--log_level=warning", "--endpointing_min=100ms", "--endpointing_max=300ms",
                               "--conversation_timeout=5s"});
  if (!agent.ok() || !signal.Await("a healthy agent", absl::Seconds(10), [&] { return healthy; })) return 1;
  const pid_t pid = (*agent)->pid();

  std::map<int64_t, uint64_t> seqs;
  double after_warm_up = 0;
  int64_t said = 0;
  const absl::Time begin = absl::Now();
  std::printf("%10s %10s %8s %10s %8s\n", "utterances", "answered", "s", "RSS MB", "CPU s");
  for (int64_t round = 0; said < utterances; ++round) {
    const absl::Time next = absl::Now() + lasts;
    for (int64_t room = 0; room < rooms && said < utterances; ++room, ++said) {
      for (size_t at = 0; at < speech.size(); at += 1600) {
        bus::Message frame;
        frame.subject = absl::StrCat("agent.voice.audio.kiosk-", room);
        frame.headers.Set("Audio-Format", "pcm_s16le;rate=16000;channels=1");
        frame.headers.Set("Seq", absl::StrCat(seqs[room]++));
        frame.body = audio::EncodePcm(
            absl::MakeConstSpan(speech).subspan(at, std::min<size_t>(1600, speech.size() - at)));
        (void)(*bus)->Publish(frame, bus::Urgency::kSoon);
      }
    }
    signal.Await("answers", absl::Seconds(30), [&] { return answered >= said; });
    const int64_t tenth = std::max<int64_t>(utterances / 10, 1);
    if (said / tenth != (said - std::min(rooms, said)) / tenth) {
      std::printf("%10lld %10lld %8.0f %10.1f %8.1f\n", static_cast<long long>(said),
                  static_cast<long long>(answered), absl::ToDoubleSeconds(absl::Now() - begin), RssMb(pid),
                  CpuSeconds(pid));
      std::fflush(stdout);
      if (said <= utterances / 5 + rooms) after_warm_up = RssMb(pid);
    }
    // Sound that comes faster than it lasts is refused in the end.
    if (said < utterances) std::this_thread::sleep_until(absl::ToChronoTime(next));
  }
  const double end = RssMb(pid);
  const bool flat = end <= after_warm_up * 1.1;
  std::printf("lost %lld; memory %.1f MB after a fifth, %.1f MB at the end: %s\n",
              static_cast<long long>(said - answered), after_warm_up, end, flat ? "flat" : "GROWS");
  return flat && answered == said && (*agent)->running() ? 0 : 1;
}

}  // namespace
}  // namespace arc

int main(int argc, char** argv) {
  return arc::Run(argc > 1 ? std::atoll(argv[1]) : 10000, argc > 2 ? std::atoll(argv[2]) : 100);
}
