// The engines: flite and espeak-ng themselves, a program that behaves as piper's does, and small servers that
// behave as OpenAI's and Piper's do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/audio/audio.h"
#include "common/json/json.h"
#include "common/status/status_matchers.h"
#include "services/tts/child.h"
#include "services/tts/engine.h"
#include "services/tts/flite_engine.h"
#include "services/tts/hand.h"
#include "services/tts/http_engines.h"
#include "services/tts/program_engines.h"
#include "services/tts/wav_stream.h"
#include "tests/support/await.h"
#include "tests/support/process.h"

namespace arc::tts {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using testing_support::Signal;
using testing_support::TempDir;

struct Spoken {
  audio::Clip clip;
  int pieces = 0;
  absl::Status status;

  double seconds() const { return absl::ToDoubleSeconds(audio::DurationOf(clip.samples.size(), clip.rate)); }
};

Spoken Speak(Engine& engine, const Voice& voice, const std::string& sentence) {
  Spoken spoken;
  Stop stop;
  spoken.status = engine.Synthesise(voice, sentence, stop, [&](absl::Span<const int16_t> samples, int rate) {
    spoken.clip.rate = rate;
    spoken.clip.samples.insert(spoken.clip.samples.end(), samples.begin(), samples.end());
    ++spoken.pieces;
    return true;
  });
  return spoken;
}

constexpr char kSentence[] = "Your order is two volcano burgers and a large cola.";

TEST(FliteTest, EveryVoiceSpeaksInPiecesAtItsRate) {
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  ASSERT_THAT(engine->Start(), IsOk());
  ASSERT_THAT(engine->Start(), IsOk()) << "again, without harm";
  EXPECT_THAT(engine->Health(), IsOk());
  for (const Voice& voice : engine->voices()) {
    const Spoken spoken = Speak(*engine, voice, kSentence);
    ASSERT_THAT(spoken.status, IsOk()) << voice.id;
    EXPECT_EQ(spoken.clip.rate, 16000) << voice.id;
    EXPECT_THAT(spoken.seconds(), AllOf(Ge(1.8), Le(5))) << voice.id;
    EXPECT_GT(audio::LevelDb(spoken.clip.samples), -35) << voice.id;
    EXPECT_GE(spoken.pieces, 20) << "it streams";
  }
  EXPECT_THAT(Speak(*engine, {"nobody", "", Gender::kUnknown}, "hello").status,
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FliteTest, LongerTextTakesLonger) {
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  EXPECT_GT(Speak(*engine, voice, absl::StrCat(kSentence, " ", kSentence)).seconds(),
            1.6 * Speak(*engine, voice, kSentence).seconds());
}

TEST(FliteTest, StopsWhenNoMoreIsWanted) {
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  Stop stop;
  int pieces = 0;
  EXPECT_THAT(engine->Synthesise(voice, kSentence, stop,
                                 [&](absl::Span<const int16_t>, int) { return ++pieces < 3; }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(pieces, 3);
  pieces = 0;
  EXPECT_THAT(engine->Synthesise(voice, kSentence, stop,
                                 [&](absl::Span<const int16_t>, int) {
                                   if (++pieces == 2) stop.Request();
                                   return true;
                                 }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(pieces, 2);
  EXPECT_THAT(Speak(*engine, voice, "Hello.").status, IsOk()) << "its voice is free again";
}

TEST(FliteTest, ManySpeakAtOnceAndAllSayTheSame) {
  constexpr int kThreads = 4;
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  const size_t expected = Speak(*engine, voice, kSentence).clip.samples.size();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads + 2);
  for (int i = 0; i < kThreads + 2; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) {
        const Spoken spoken = Speak(*engine, voice, kSentence);
        if (!spoken.status.ok() || spoken.clip.samples.size() != expected) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(FliteTest, OddTextIsHarmless) {
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  for (const std::string& text : {std::string("'"), std::string("a"), std::string("x x x"),
                                  std::string(160, 'q'), std::string("ay, ay! ay? o'o'o")}) {
    EXPECT_THAT(Speak(*engine, voice, text).status, IsOk()) << text;
  }
}

TEST(EspeakTest, EveryVoiceSpeaks) {
  const std::unique_ptr<Engine> engine = MakeEspeakEngine({});
  ASSERT_THAT(engine->Start(), IsOk());
  for (const Voice& voice : engine->voices()) {
    const Spoken spoken = Speak(*engine, voice, kSentence);
    ASSERT_THAT(spoken.status, IsOk()) << voice.id;
    EXPECT_EQ(spoken.clip.rate, 22050);
    EXPECT_THAT(spoken.seconds(), AllOf(Ge(1.8), Le(5))) << voice.id;
    EXPECT_GT(audio::LevelDb(spoken.clip.samples), -35) << voice.id;
  }
}

TEST(EspeakTest, PhonemesAreSpokenAndNotRead) {
  const std::unique_ptr<Engine> engine = MakeEspeakEngine({});
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  const double word = Speak(*engine, voice, "[[keIs@d'i:@]]").seconds();
  EXPECT_THAT(word, AllOf(Ge(0.4), Le(1.5))) << "a word, not a list of letters";
}

TEST(EspeakTest, AProgramThatIsNotThereIsNamed) {
  EspeakOptions options;
  options.program = "no-such-program";
  const std::unique_ptr<Engine> engine = MakeEspeakEngine(options);
  EXPECT_THAT(engine->Start(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no-such-program")));
  EXPECT_THAT(engine->Health(), StatusIs(absl::StatusCode::kUnavailable));
  options.program = "/bin/false";
  EXPECT_THAT(MakeEspeakEngine(options)->Start(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("ended with 1")));
  options.program = "/bin/true";
  EXPECT_THAT(MakeEspeakEngine(options)->Start(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("no sound")));
}

// ---- Piper

// Reads lines and writes s16le at 22050 Hz, a tenth of a second a letter, as `piper --output-raw` does; says
// on stderr what piper says, and leaves a line a start in `starts`. Text with "hang" makes no sound, "crash"
// fails.
constexpr char kPiper[] = R"(#!/usr/bin/env python3
import os, struct, sys, time
arguments = sys.argv[1:]
model = arguments[arguments.index('--model') + 1]
assert '--output-raw' in arguments
open(os.environ.get('PIPER_STARTS', '/dev/null'), 'a').write(model + '\n')
if not os.path.exists(model) or not open(model).read().startswith('model'):
    print('[piper] [error] cannot load the model', model, file=sys.stderr)
    sys.exit(1)
print('[piper] [info] Loaded voice', file=sys.stderr)
for line in sys.stdin:
    text = line.strip()
    if 'hang' in text:
        time.sleep(60)
    if 'crash' in text:
        print('[piper] [error] something broke', file=sys.stderr)
        os._exit(3)
    for letter in text:
        samples = [8000 if i // 50 % 2 == 0 else -8000 for i in range(2205)]
        sys.stdout.buffer.write(struct.pack('<%dh' % len(samples), *samples))
        sys.stdout.buffer.flush()
)";

class PiperTest : public testing::Test {
 protected:
  PiperTest() {
    Write("piper", kPiper);
    chmod(dir_.File("piper").c_str(), 0755);
    AddVoice("en_US-lessac-medium", 22050);
    AddVoice("de_DE-thorsten-medium", 22050);
    options_.program = dir_.File("piper");
    options_.voices_dir = dir_.path();
    setenv("PIPER_STARTS", dir_.File("starts").c_str(), 1);
  }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(dir_.File(name)) << content;
  }
  void AddVoice(const std::string& name, int rate) {
    Write(absl::StrCat(name, ".onnx"), "model");
    Write(absl::StrCat(name, ".onnx.json"),
          absl::StrCat(R"({"audio":{"sample_rate":)", rate, R"(,"quality":"medium"},"language":{"code":")",
                       name.substr(0, 5), R"("},"num_speakers":1})"));
  }

  TempDir dir_;
  PiperOptions options_;
};

TEST_F(PiperTest, SpeaksWithTheModelsOfItsFolder) {
  const std::unique_ptr<Engine> engine = MakePiperEngine(options_);
  ASSERT_THAT(engine->Start(), IsOk());
  const std::vector<Voice> voices = engine->voices();
  ASSERT_THAT(voices, SizeIs(2));
  EXPECT_EQ(voices[0].id, "en_US-lessac-medium");
  EXPECT_EQ(voices[0].language, "en-US");
  EXPECT_EQ(voices[0].gender, Gender::kFemale);
  const Spoken spoken = Speak(*engine, voices[0], "hello");
  ASSERT_THAT(spoken.status, IsOk());
  EXPECT_EQ(spoken.clip.rate, 22050);
  EXPECT_EQ(spoken.clip.samples.size(), 5U * 2205U);
  EXPECT_EQ(ChooseVoice("de_DE-kerstin-low", voices).voice.id, "de_DE-thorsten-medium");
}

TEST_F(PiperTest, AProcessWaitsWithItsModelLoaded) {
  const std::unique_ptr<Engine> engine = MakePiperEngine(options_);
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  const auto starts = [&] {
    const std::string all = testing_support::ReadFile(dir_.File("starts"));
    return std::count(all.begin(), all.end(), '\n');
  };
  ASSERT_TRUE(testing_support::Await("the spare process", absl::Seconds(10), [&] { return starts() == 2; }));
  ASSERT_THAT(Speak(*engine, voice, "a").status, IsOk());
  ASSERT_THAT(Speak(*engine, voice, "b").status, IsOk());
  EXPECT_TRUE(
      testing_support::Await("a process a sentence", absl::Seconds(10), [&] { return starts() == 4; }));
}

TEST_F(PiperTest, WhatIsMissingIsSaid) {
  PiperOptions options = options_;
  options.program = dir_.File("nowhere");
  EXPECT_THAT(MakePiperEngine(options)->Start(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("nowhere")));
  options = options_;
  options.voice = "en_GB-alan-low";
  EXPECT_THAT(MakePiperEngine(options)->Start(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("en_GB-alan-low.onnx")));
  TempDir empty;
  options = options_;
  options.voices_dir = empty.path();
  EXPECT_THAT(MakePiperEngine(options)->Start(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("en_US-lessac-medium.onnx")));
  Write("en_US-lessac-medium.onnx.json", "{");
  EXPECT_THAT(MakePiperEngine(options_)->Start(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(".json")));
}

TEST_F(PiperTest, AModelThatCannotBeLoadedIsSaidInPipersWords) {
  Write("en_US-lessac-medium.onnx", "rubbish");
  EXPECT_THAT(MakePiperEngine(options_)->Start(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("cannot load the model")));
}

TEST_F(PiperTest, ACrashAndAHangAreErrorsAndAStopIsQuick) {
  const std::unique_ptr<Engine> engine = MakePiperEngine(options_);
  ASSERT_THAT(engine->Start(), IsOk());
  const Voice voice = engine->voices().front();
  EXPECT_THAT(Speak(*engine, voice, "crash").status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("something broke")));
  PiperOptions impatient = options_;
  impatient.timeout = absl::Seconds(2);
  const std::unique_ptr<Engine> hanging = MakePiperEngine(impatient);
  ASSERT_THAT(hanging->Start(), IsOk());
  EXPECT_THAT(Speak(*hanging, voice, "hang").status, StatusIs(absl::StatusCode::kDeadlineExceeded));

  Stop stop;
  Signal begun;
  std::thread stopper([&] { stop.Request(); });
  EXPECT_THAT(engine->Synthesise(voice, "hang", stop, [](absl::Span<const int16_t>, int) { return true; }),
              StatusIs(absl::StatusCode::kCancelled));
  stopper.join();
  EXPECT_THAT(Speak(*engine, voice, "well").status, IsOk());
}

TEST_F(PiperTest, IllWhenItsModelGoesAway) {
  const std::unique_ptr<Engine> engine = MakePiperEngine(options_);
  ASSERT_THAT(engine->Start(), IsOk());
  EXPECT_THAT(engine->Health(), IsOk());
  ASSERT_EQ(std::remove(dir_.File("en_US-lessac-medium.onnx").c_str()), 0);
  EXPECT_THAT(engine->Health(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("en_US-lessac-medium.onnx")));
}

// ---- Servers

// A server on a free port of loopback, of a test's own.
class Server {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

  // `posts` answers every POST, `gets` every GET.
  Server(Handler posts, Handler gets) {
    server_.Post(".*", std::move(posts));
    server_.Get(".*", std::move(gets));
    server_.set_keep_alive_max_count(1);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    testing_support::Await("the server to run", absl::Seconds(10), [this] { return server_.is_running(); });
  }
  ~Server() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

 private:
  httplib::Server server_;
  int port_ = -1;
  std::thread thread_;
};

void Fine(const httplib::Request&, httplib::Response& response) {
  response.set_content("{}", "application/json");
}

// `pieces` of 2401 bytes each, which is no whole number of samples.
void Stream(httplib::Response& response, int pieces) {
  response.set_chunked_content_provider("audio/pcm", [pieces](size_t, httplib::DataSink& sink) {
    for (int i = 0; i < pieces; ++i) {
      std::string piece(2401, '\x20');
      sink.write(piece.data(), piece.size());
    }
    sink.done();
    return true;
  });
}

std::unique_ptr<Engine> OpenAi(const std::string& url, int retries = 2) {
  OpenAiOptions options;
  options.server.url = url;
  options.server.retries = retries;
  options.server.retry_delay = absl::Milliseconds(1);
  options.server.probe_interval = absl::Milliseconds(20);
  options.server.timeout = absl::Seconds(5);
  options.api_key = "secret";
  return *MakeOpenAiEngine(options);
}

TEST(OpenAiTest, AsksForPcmAndStreamsIt) {
  Signal signal;
  std::string body;
  std::string path;
  std::string authorisation;
  Server server(
      [&](const httplib::Request& request, httplib::Response& response) {
        signal.Set([&] {
          body = request.body;
          path = request.path;
          authorisation = request.get_header_value("Authorization");
        });
        Stream(response, 20);
      },
      Fine);
  const std::unique_ptr<Engine> engine = OpenAi(server.url());
  ASSERT_THAT(engine->Start(), IsOk());
  const VoiceChoice choice = ChooseVoice("nova", engine->voices());
  EXPECT_TRUE(choice.exact);
  const Spoken spoken = Speak(*engine, choice.voice, "Two \"burgers\".");
  ASSERT_THAT(spoken.status, IsOk());
  EXPECT_EQ(spoken.clip.rate, 24000);
  EXPECT_EQ(spoken.clip.samples.size(), 20U * 2401U / 2);
  EXPECT_GT(spoken.pieces, 1);
  signal.Read([&] {
    EXPECT_EQ(body, R"({"model":"tts-1","input":"Two \"burgers\".","voice":"nova","response_format":"pcm"})");
    EXPECT_EQ(path, "/v1/audio/speech");
    EXPECT_EQ(authorisation, "Bearer secret");
  });
}

TEST(OpenAiTest, TriesAgainWhatMayGetBetterAndNothingElse) {
  std::atomic<int> asked{0};
  std::atomic<int> answer{503};
  std::atomic<int> failures{2};
  Server server(
      [&](const httplib::Request&, httplib::Response& response) {
        ++asked;
        if (failures-- > 0) {
          response.status = answer;
          response.set_content("{\"error\":{\"message\":\"busy cooking\"}}", "application/json");
        } else {
          Stream(response, 2);
        }
      },
      Fine);
  const std::unique_ptr<Engine> engine = OpenAi(server.url());
  const Voice voice = engine->voices().front();
  EXPECT_THAT(Speak(*engine, voice, "One.").status, IsOk());
  EXPECT_EQ(asked, 3);

  asked = 0;
  failures = 100;
  EXPECT_THAT(Speak(*engine, voice, "One.").status,
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("503"), HasSubstr("busy cooking"), HasSubstr("3 times"))));
  EXPECT_EQ(asked, 3);

  asked = 0;
  answer = 400;
  EXPECT_THAT(Speak(*engine, voice, "One.").status, StatusIs(absl::StatusCode::kInternal, HasSubstr("400")));
  EXPECT_EQ(asked, 1) << "the same request would be refused again";
}

TEST(OpenAiTest, ASentenceThatBrokeOffIsNotBegunAgain) {
  std::atomic<int> asked{0};
  Server server(
      [&](const httplib::Request&, httplib::Response& response) {
        ++asked;
        response.set_content_provider(100000, "audio/pcm",
                                      [](size_t offset, size_t, httplib::DataSink& sink) {
                                        if (offset >= 4000) return false;
                                        const std::string piece(2000, '\x20');
                                        return sink.write(piece.data(), piece.size());
                                      });
      },
      Fine);
  const std::unique_ptr<Engine> engine = OpenAi(server.url());
  const Spoken spoken = Speak(*engine, engine->voices().front(), "One.");
  EXPECT_FALSE(spoken.status.ok());
  EXPECT_EQ(spoken.clip.samples.size(), 2000U);
  EXPECT_EQ(asked, 1) << "half of it has been heard";
}

TEST(OpenAiTest, AStopEndsAWaitForTheServer) {
  Signal signal;
  bool asked = false;
  bool over = false;
  Server server(
      [&](const httplib::Request&, httplib::Response&) {
        signal.Set([&] { asked = true; });
        signal.Await("the end of the test", absl::Seconds(10), [&] { return over; });
      },
      Fine);
  const std::unique_ptr<Engine> engine = OpenAi(server.url());
  Stop stop;
  std::thread stopper([&] {
    signal.Await("the server to be asked", absl::Seconds(10), [&] { return asked; });
    stop.Request();
  });
  EXPECT_THAT(engine->Synthesise(engine->voices().front(), "One.", stop,
                                 [](absl::Span<const int16_t>, int) { return true; }),
              StatusIs(absl::StatusCode::kCancelled));
  stopper.join();
  signal.Set([&] { over = true; });
}

TEST(OpenAiTest, AServerThatHangsIsATimeout) {
  Signal signal;
  bool over = false;
  Server server(
      [&](const httplib::Request&, httplib::Response&) {
        signal.Await("the end of the test", absl::Seconds(10), [&] { return over; });
      },
      Fine);
  OpenAiOptions options;
  options.server.url = server.url();
  options.server.retries = 0;
  options.server.timeout = absl::Milliseconds(200);
  const std::unique_ptr<Engine> engine = *MakeOpenAiEngine(options);
  EXPECT_THAT(Speak(*engine, engine->voices().front(), "One.").status,
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  signal.Set([&] { over = true; });
}

TEST(OpenAiTest, HealthFollowsTheServer) {
  std::unique_ptr<Engine> engine;
  {
    std::atomic<bool> broken{false};
    Server server(
        [&](const httplib::Request&, httplib::Response& response) {
          if (broken) {
            response.status = 500;
          } else {
            Stream(response, 1);
          }
        },
        [&](const httplib::Request&, httplib::Response& response) { response.status = broken ? 500 : 404; });
    engine = OpenAi(server.url());
    ASSERT_THAT(engine->Start(), IsOk()) << "a server that lists no models is there, too";
    EXPECT_THAT(engine->Health(), IsOk());
    broken = true;
    EXPECT_FALSE(Speak(*engine, engine->voices().front(), "One.").status.ok());
    EXPECT_THAT(engine->Health(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("500")));
    broken = false;
    EXPECT_TRUE(testing_support::Await("the engine to be well again", absl::Seconds(10),
                                       [&] { return engine->Health().ok(); }));
  }
  EXPECT_THAT(engine->Start(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no answer from")));
  EXPECT_THAT(engine->Health(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(OpenAiTest, AKeyThatIsNotAcceptedIsSaid) {
  Server server(Fine, [](const httplib::Request&, httplib::Response& response) { response.status = 401; });
  EXPECT_THAT(OpenAi(server.url())->Start(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("key")));
}

TEST(OpenAiTest, WrongUrls) {
  for (const char* url : {"", "localhost:1", "ftp://x", "http://", "http://a b"}) {
    OpenAiOptions options;
    options.server.url = url;
    EXPECT_THAT(MakeOpenAiEngine(options), StatusIs(absl::StatusCode::kInvalidArgument)) << url;
  }
}

std::string Little(uint32_t value, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
  return bytes;
}

std::string Wav(uint32_t rate, uint32_t channels, const std::string& samples, uint32_t declared) {
  return absl::StrCat("RIFF", Little(36 + declared, 4), "WAVELIST", Little(3, 4), "abc", std::string(1, '\0'),
                      "fmt ", Little(16, 4), Little(1, 2), Little(channels, 2), Little(rate, 4),
                      Little(rate * channels * 2, 4), Little(channels * 2, 2), Little(16, 2), "data",
                      Little(declared, 4), samples);
}

TEST(PiperServerTest, TakesAWavAndListsTheVoices) {
  Signal signal;
  std::vector<std::string> asked;
  Server server(
      [&](const httplib::Request& request, httplib::Response& response) {
        signal.Set([&] { asked.push_back(absl::StrCat(request.path, " ", request.body)); });
        if (request.path != "/") {
          response.status = 404;
          return;
        }
        response.set_content(Wav(22050, 1, std::string(8000, '\x10'), 8000), "audio/wav");
      },
      [](const httplib::Request&, httplib::Response& response) {
        response.set_content(R"({"en_US-lessac-medium":{},"de_DE-thorsten-low":{}})", "application/json");
      });
  PiperServerOptions options;
  options.server.url = server.url();
  options.voice = "en_US-lessac-medium";
  const std::unique_ptr<Engine> engine = *MakePiperServerEngine(options);
  ASSERT_THAT(engine->Start(), IsOk());
  ASSERT_THAT(engine->voices(), SizeIs(2));
  EXPECT_EQ(engine->voices()[0].id, "en_US-lessac-medium");
  EXPECT_EQ(engine->voices()[1].language, "de-DE");
  const Spoken spoken = Speak(*engine, engine->voices()[0], "Hi.");
  ASSERT_THAT(spoken.status, IsOk());
  EXPECT_EQ(spoken.clip.rate, 22050);
  EXPECT_EQ(spoken.clip.samples.size(), 4000U);
  signal.Read([&] {
    EXPECT_THAT(asked, ElementsAre(R"(/synthesize {"text":"Hi.","voice":"en_US-lessac-medium"})",
                                   R"(/ {"text":"Hi.","voice":"en_US-lessac-medium"})"));
  });
}

TEST(PiperServerTest, WhatIsNoWavIsAnError) {
  Server server(
      [](const httplib::Request&, httplib::Response& response) {
        response.set_content("<html>this is not the server that you look for</html>", "text/html");
      },
      Fine);
  PiperServerOptions options;
  options.server.url = server.url();
  options.voice = "v";
  const std::unique_ptr<Engine> engine = *MakePiperServerEngine(options);
  ASSERT_THAT(engine->Start(), IsOk());
  EXPECT_THAT(Speak(*engine, engine->voices().front(), "Hi.").status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("WAV")));
}

TEST(WavStreamTest, PiecesOfAnySize) {
  std::string samples;
  for (int i = 0; i < 1000; ++i) samples += Little(static_cast<uint32_t>(i), 2);
  const std::string wav = Wav(16000, 1, samples, 0x7FFFF000);
  for (const size_t size : {1, 2, 3, 7, 44, 1000, 10000}) {
    WavStream stream;
    audio::Samples all;
    for (size_t at = 0; at < wav.size(); at += size) {
      const auto some = stream.Push(absl::string_view(wav).substr(at, size));
      ASSERT_THAT(some, IsOk());
      all.insert(all.end(), some->begin(), some->end());
    }
    ASSERT_THAT(all, SizeIs(1000)) << size;
    EXPECT_EQ(all[999], 999);
    EXPECT_EQ(stream.rate(), 16000);
  }
}

TEST(WavStreamTest, TwoChannelsBecomeOneAndWhatFollowsIsIgnored) {
  WavStream stream;
  const std::string samples = absl::StrCat(Little(100, 2), Little(200, 2));
  EXPECT_THAT(stream.Push(Wav(8000, 2, absl::StrCat(samples, "LIST behind"), 4)),
              IsOkAndHolds(ElementsAre(150)));
}

TEST(WavStreamTest, WhatIsNoWavIsRefused) {
  const auto push = [](const std::string& bytes) { return WavStream().Push(bytes).status().code(); };
  EXPECT_EQ(push("this is no sound file"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(push(Wav(0, 1, "", 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(push(Wav(16000, 3, "", 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(push(absl::StrCat("RIFF1234WAVEdata", Little(4, 4), "abcd")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(push(absl::StrCat("RIFF1234WAVEjunk", Little(0xFFFFFFF0, 4), "abcd")),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(push("RIFF"), absl::StatusCode::kOk) << "it may become one";
}

TEST(ChildTest, WritesReadsAndEnds) {
  const auto child = Child::Start({"cat"});
  ASSERT_THAT(child, IsOk());
  EXPECT_TRUE((*child)->running());
  ASSERT_THAT((*child)->WriteAndClose("hello"), IsOk());
  char buffer[16];
  EXPECT_THAT((*child)->Read(buffer, sizeof buffer, absl::Seconds(10)), IsOkAndHolds(5U));
  EXPECT_THAT((*child)->Read(buffer, sizeof buffer, absl::Seconds(10)), IsOkAndHolds(0U));
  EXPECT_EQ((*child)->Wait(absl::Seconds(10)), 0);
  EXPECT_FALSE((*child)->running());
}

TEST(ChildTest, SilenceIsATimeoutAndAKillEndsIt) {
  const auto child = Child::Start({"sleep", "60"});
  ASSERT_THAT(child, IsOk());
  char buffer[16];
  EXPECT_THAT((*child)->Read(buffer, sizeof buffer, absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  (*child)->Kill();
  EXPECT_EQ((*child)->Wait(absl::Seconds(10)), 128 + SIGKILL);
}

TEST(ChildTest, ItsLastWordsAreKept) {
  const auto child = Child::Start({"sh", "-c", "echo out; echo it broke >&2; exit 7"});
  ASSERT_THAT(child, IsOk());
  EXPECT_EQ((*child)->Wait(absl::Seconds(10)), 7);
  EXPECT_EQ((*child)->Complaint(), "it broke");
  EXPECT_THAT(Child::Start({"no-such-program"}), StatusIs(absl::StatusCode::kNotFound));
}

// ---- Voices

TEST(ChooseVoiceTest, ExactThenNearest) {
  const std::vector<Voice> voices = MakeFliteEngine()->voices();
  const auto choose = [&](const char* wanted) { return ChooseVoice(wanted, voices); };
  EXPECT_EQ(choose("").voice.id, "cmu_us_slt");
  EXPECT_TRUE(choose("").exact);
  EXPECT_EQ(choose("cmu_us_rms").voice.id, "cmu_us_rms");
  EXPECT_TRUE(choose("cmu_us_rms").exact);
  EXPECT_EQ(choose("en_US-lessac-medium").voice.id, "cmu_us_slt");
  EXPECT_FALSE(choose("en_US-lessac-medium").exact);
  EXPECT_EQ(choose("en_US-ryan-high").voice.id, "cmu_us_rms");
  EXPECT_EQ(choose("en_GB-alan-medium").voice.id, "cmu_us_awb");
  EXPECT_EQ(choose("kal16").voice.id, "cmu_us_kal16");
  EXPECT_EQ(choose("SLT").voice.id, "cmu_us_slt");
  EXPECT_EQ(choose("male").voice.id, "cmu_us_rms");
  EXPECT_EQ(choose("onyx").voice.id, "cmu_us_rms");
  EXPECT_EQ(choose("fr_FR-siwis-medium").voice.id, "cmu_us_slt") << "none speaks French";
  EXPECT_EQ(choose("\xff-_-").voice.id, "cmu_us_slt");
  EXPECT_EQ(GenderOf("en_US-hfc_female-medium"), Gender::kFemale);
}

// ---- By hand

TEST(HandTest, SaysIntoAFile) {
  TempDir dir;
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  std::ostringstream out;
  ASSERT_THAT(SayToFile(*engine, "That's $5. Enjoy!", "male", dir.File("a.wav"), out), IsOk());
  EXPECT_THAT(out.str(),
              StartsWith("That's five dollars.\nEnjoy!\nflite cmu_us_rms (stands in), 16000 Hz, "));
  const auto clip = audio::ReadSoundFile(dir.File("a.wav"));
  ASSERT_THAT(clip, IsOk());
  EXPECT_GT(clip->samples.size(), 16000U);
  EXPECT_GT(audio::LevelDb(clip->samples), -40);
  EXPECT_THAT(SayToFile(*engine, "***", "", dir.File("b.wav"), out),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(SayToFile(*engine, "Hi", "", "/nowhere/b.wav", out), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(HandTest, ListsVoices) {
  const std::unique_ptr<Engine> engine = MakeFliteEngine();
  std::ostringstream out;
  ASSERT_THAT(ListVoices(*engine, out), IsOk());
  EXPECT_THAT(out.str(), HasSubstr("cmu_us_slt               en-US    female\n"));
}

}  // namespace
}  // namespace arc::tts
