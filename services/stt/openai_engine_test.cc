#include "services/stt/openai_engine.h"

#include <httplib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "tests/support/await.h"
#include "tests/support/process.h"

namespace arc::stt {
namespace {

using ::testing::HasSubstr;
using testing_support::Await;

// A transcription server that answers as the test says.
class Server {
 public:
  using Handler = std::function<void(int call, const httplib::Request&, httplib::Response&)>;

  explicit Server(Handler handler) : handler_(std::move(handler)) {
    server_.Get("/v1/models", [this](const httplib::Request&, httplib::Response& response) {
      response.status = models_status;
      response.set_content("{}", "application/json");
    });
    server_.Post("/v1/audio/transcriptions",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   handler_(calls++, request, response);
                 });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    Await("the server listens", absl::Seconds(10), [this] { return server_.is_running(); });
  }
  ~Server() { Stop(); }
  void Stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

  std::atomic<int> calls{0};
  std::atomic<int> models_status{200};

 private:
  Handler handler_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

OpenaiOptions OptionsFor(const std::string& url) {
  OpenaiOptions options;
  options.url = url;
  options.timeout = absl::Seconds(5);
  options.backoff = absl::Milliseconds(1);
  options.probe_when_down = absl::Milliseconds(10);
  return options;
}

absl::StatusOr<Hypothesis> Transcribe(OpenaiEngine& engine, int* retries = nullptr) {
  auto recognition = engine.Begin("en-US");
  if (!recognition.ok()) return recognition.status();
  const std::vector<int16_t> samples(1600, 77);
  EXPECT_THAT((*recognition)->Push(samples), IsOk());
  EXPECT_EQ((*recognition)->Partial(), "");
  auto hypothesis = (*recognition)->Finish();
  if (retries != nullptr) *retries = (*recognition)->retries();
  return hypothesis;
}

std::unique_ptr<OpenaiEngine> Make(const OpenaiOptions& options) {
  return OpenaiEngine::Create(options, SystemClock::Get()).value();
}

TEST(OpenaiEngineTest, SendsTheSoundWithModelLanguagePromptAndKey) {
  std::mutex mutex;
  httplib::MultipartFormDataMap parts;
  std::string authorization;
  Server server([&](int, const httplib::Request& request, httplib::Response& response) {
    const std::lock_guard<std::mutex> lock(mutex);
    parts = request.files;
    authorization = request.get_header_value("Authorization");
    response.set_content(
        R"({"text":" Two Volcano Burgers, please!","segments":[{"start":0,"end":2,"avg_logprob":-0.2,"no_speech_prob":0.1}]})",
        "application/json");
  });
  OpenaiOptions options = OptionsFor(server.url() + "/v1/");
  options.api_key = "secret";
  options.model = "tiny";
  const auto engine = Make(options);
  const auto menu =
      menu::ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
  engine->SetMenu(menu::Catalogue::Create(menu).value());
  const auto hypothesis = Transcribe(*engine);
  ASSERT_THAT(hypothesis, IsOk());
  EXPECT_EQ(hypothesis->text, "two volcano burgers please");
  ASSERT_TRUE(hypothesis->confidence.has_value());
  EXPECT_NEAR(*hypothesis->confidence, 0.9 * 0.8187, 0.001);
  EXPECT_EQ(authorization, "Bearer secret");
  const auto part = [&](const std::string& name) {
    const auto it = parts.find(name);
    return it == parts.end() ? httplib::MultipartFormData() : it->second;
  };
  EXPECT_EQ(part("model").content, "tiny");
  EXPECT_EQ(part("language").content, "en");
  EXPECT_EQ(part("response_format").content, "verbose_json");
  EXPECT_THAT(part("prompt").content, HasSubstr("volcano burger"));
  EXPECT_LE(part("prompt").content.size(), 800U);
  const std::string wav = part("file").content;
  EXPECT_EQ(part("file").filename, "utterance.wav");
  EXPECT_EQ(part("file").content_type, "audio/wav");
  ASSERT_EQ(wav.size(), 44U + 3200U);
  EXPECT_EQ(wav.substr(0, 4), "RIFF");
  EXPECT_EQ(wav.substr(8, 8), "WAVEfmt ");
  EXPECT_EQ(wav[44], 77);
}

TEST(OpenaiEngineTest, TriesAgainAfterWhatMayPassAndOnlyThen) {
  Server flaky([](int call, const httplib::Request&, httplib::Response& response) {
    response.status = call == 0 ? 503 : call == 1 ? 429 : 200;
    if (call == 2) response.set_content(R"({"text":"yes"})", "application/json");
  });
  const auto engine = Make(OptionsFor(flaky.url()));
  int retries = 0;
  const auto hypothesis = Transcribe(*engine, &retries);
  ASSERT_THAT(hypothesis, IsOk());
  EXPECT_EQ(hypothesis->text, "yes");
  EXPECT_FALSE(hypothesis->confidence.has_value()) << "the answer says nothing of it";
  EXPECT_EQ(retries, 2);

  Server down([](int, const httplib::Request&, httplib::Response& response) { response.status = 500; });
  EXPECT_THAT(Transcribe(*Make(OptionsFor(down.url())), &retries), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(retries, 2);
  EXPECT_EQ(down.calls, 3);

  Server refusing([](int, const httplib::Request&, httplib::Response& response) { response.status = 400; });
  EXPECT_THAT(Transcribe(*Make(OptionsFor(refusing.url())), &retries),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("400")));
  EXPECT_EQ(refusing.calls, 1);

  // The key, not the sound, is refused: another worker may have a better one.
  Server strict([](int, const httplib::Request&, httplib::Response& response) { response.status = 401; });
  EXPECT_THAT(Transcribe(*Make(OptionsFor(strict.url())), &retries),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("401")));
  EXPECT_EQ(strict.calls, 1);
}

TEST(OpenaiEngineTest, AnAnswerThatIsWrongIsAnError) {
  const std::vector<std::string> bodies = {"",
                                           "not json",
                                           "[]",
                                           "{}",
                                           R"({"text":7})",
                                           R"({"text":"yes","segments":{}})",
                                           "null",
                                           std::string(2 << 20, 'x')};
  Server server([&](int call, const httplib::Request&, httplib::Response& response) {
    response.set_content(bodies[static_cast<size_t>(call)], "application/json");
  });
  const auto engine = Make(OptionsFor(server.url()));
  for (const std::string& body : bodies) {
    EXPECT_THAT(Transcribe(*engine), StatusIs(absl::StatusCode::kInternal)) << body.substr(0, 40);
  }
}

TEST(OpenaiEngineTest, AServerThatDripsIsGivenUp) {
  std::atomic<bool> stop{false};
  Server server([&](int, const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [&](size_t, httplib::DataSink& sink) {
      // One byte each 20 ms, for ever: no single read takes long.
      Await("the next byte", absl::Seconds(1),
            [begin = absl::Now(), &stop] { return stop || absl::Now() - begin > absl::Milliseconds(20); });
      return !stop && sink.write(" ", 1);
    });
  });
  OpenaiOptions options = OptionsFor(server.url());
  options.timeout = absl::Milliseconds(300);
  options.retries = 0;
  const absl::Time begin = absl::Now();
  EXPECT_THAT(Transcribe(*Make(options)), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_LT(absl::Now() - begin, absl::Minutes(1));
  stop = true;
}

TEST(OpenaiEngineTest, SilenceIsNoText) {
  Server server([](int, const httplib::Request&, httplib::Response& response) {
    response.set_content(
        R"({"text":"Thanks for watching!","segments":[{"start":0,"end":2,"avg_logprob":-1.4,"no_speech_prob":0.9}]})",
        "application/json");
  });
  const auto engine = Make(OptionsFor(server.url()));
  const auto hypothesis = Transcribe(*engine);
  ASSERT_THAT(hypothesis, IsOk());
  EXPECT_EQ(hypothesis->text, "");
  EXPECT_EQ(hypothesis->confidence, 0.0);
  auto nothing = engine->Begin("en").value();
  EXPECT_EQ(nothing->Finish()->text, "");
  EXPECT_EQ(server.calls, 1) << "no sound, no request";
}

TEST(OpenaiEngineTest, HealthFollowsTheServer) {
  auto server = std::make_unique<Server>(
      [](int, const httplib::Request&, httplib::Response& response) { response.status = 500; });
  server->models_status = 401;
  OpenaiOptions options = OptionsFor(server->url());
  options.probe_interval = absl::Milliseconds(10);
  const auto engine = Make(options);
  EXPECT_THAT(engine->Health(), StatusIs(absl::StatusCode::kUnavailable));
  engine->Start();
  ASSERT_TRUE(Await("the key is refused", absl::Seconds(10),
                    [&] { return absl::IsPermissionDenied(engine->Health()); }));
  server->models_status = 404;  // not every server lists its models
  ASSERT_TRUE(Await("the server is there", absl::Seconds(10), [&] { return engine->Health().ok(); }));
  server->Stop();
  ASSERT_TRUE(Await("the server is gone", absl::Seconds(10), [&] { return !engine->Health().ok(); }));
  EXPECT_THAT(Transcribe(*engine), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(OpenaiEngineTest, RefusesWhatIsNoServerOrLanguage) {
  OpenaiOptions options;
  for (const char* url : {"", "localhost:80", "ftp://host", "http://", "https:///v1"}) {
    options.url = url;
    EXPECT_THAT(OpenaiEngine::Create(options, SystemClock::Get()),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << url;
  }
  options = OpenaiOptions();
  options.api_key = "a\r\nHost: b";
  EXPECT_THAT(OpenaiEngine::Create(options, SystemClock::Get()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  const auto engine = Make(OpenaiOptions());
  EXPECT_TRUE(engine->Understands("de-DE"));
  EXPECT_FALSE(engine->Understands("x"));
  EXPECT_THAT(engine->Begin("klingon"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SpokenTextTest, IsWordsInLowerCase) {
  EXPECT_EQ(SpokenText(" No, I'd like 2 Jalapeño-Burgers!\n"), "no i'd like two jalapeno burgers");
  EXPECT_EQ(SpokenText("What\u2019s in the 'Caffè Latte' & the 7up? $12.50"),
            "what's in the caffe latte and the seven up twelve fifty");
  EXPECT_EQ(SpokenText("... !"), "");
  EXPECT_EQ(SpokenText("\xff\xfe broken"), "broken");
  EXPECT_EQ(SpokenText(""), "");
}

}  // namespace
}  // namespace arc::stt
