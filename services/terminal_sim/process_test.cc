#include "tests/support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "services/terminal_sim/device.h"

extern char** environ;

// The real binary, spoken to over HTTP and killed where it hurts.
namespace arc::terminal_sim {
namespace {

using ::testing::HasSubstr;

struct ReadyFile {
  int64_t pid = 0;
  std::string http_url;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("pid", s.pid);
    v.Required("http_url", s.http_url);
  }
};

class TerminalProcessTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Reap();
    }
  }

  static std::string ReadFile(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  void Spawn(std::vector<std::string> flags) {
    std::remove(folder_.File("ready.json").c_str());
    flags.insert(flags.begin(),
                 {ARC_BIN_DIR "/arc-terminal-sim", "--journal=" + folder_.File("journal.jsonl"),
                  "--ready_file=" + folder_.File("ready.json")});
    std::vector<char*> argv;
    argv.reserve(flags.size() + 1);
    for (std::string& flag : flags) argv.push_back(flag.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  }

  // Starts the device and waits until it listens.
  void Start(const std::string& crash_after = "") {
    Spawn({"--crash_after=" + crash_after});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    while (true) {
      absl::StatusOr<ReadyFile> ready = json::Decode<ReadyFile>(ReadFile(folder_.File("ready.json")));
      if (ready.ok()) {
        EXPECT_EQ(ready->pid, pid_);
        url_ = ready->http_url;
        http_ = std::make_unique<httplib::Client>(url_);
        http_->set_read_timeout(30);
        return;
      }
      int status = 0;
      ASSERT_EQ(waitpid(pid_, &status, WNOHANG), 0)
          << "the device ended with " << status << " before it listened";
      ASSERT_LT(std::chrono::steady_clock::now(), deadline)
          << "the device did not write its ready file in 20 s";
      never.wait_for(lock, std::chrono::milliseconds(5));
    }
  }
  int Reap() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return status;
  }
  void ExpectKilled() {
    const int status = Reap();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
  void Kill() {
    kill(pid_, SIGKILL);
    ExpectKilled();
  }

  httplib::Result Post(const std::string& path, const std::string& body, const std::string& key = "") {
    httplib::Headers headers;
    if (!key.empty()) headers.emplace("Idempotency-Key", key);
    return http_->Post(path, headers, body, "application/json");
  }
  httplib::Result Create(const std::string& key, int attempt = 1) {
    return Post("/v1/intents", absl::StrCat(R"({"amount":2499,"currency":"USD","attempt":)", attempt, "}"),
                key);
  }
  httplib::Result TapCard(const std::string& token) {
    return Post("/v1/test_helpers/tap", absl::StrCat(R"({"token":")", token, R"("})"));
  }
  Intent ByKey(const std::string& key) {
    httplib::Result result = http_->Get("/v1/intents?key=" + key);
    EXPECT_TRUE(result);
    if (!result) return {};
    EXPECT_EQ(result->status, 200) << result->body;
    absl::StatusOr<Intent> intent = json::Decode<Intent>(result->body);
    EXPECT_THAT(intent, IsOk());
    return intent.value_or(Intent());
  }
  int CapturesInJournal() const {
    std::istringstream lines(ReadFile(folder_.File("journal.jsonl")));
    int count = 0;
    for (std::string line; std::getline(lines, line);)
      count += line.find("\"captured\"") != std::string::npos ? 1 : 0;
    return count;
  }

  testing_support::TempDir folder_;
  pid_t pid_ = -1;
  std::string url_;
  std::unique_ptr<httplib::Client> http_;
};

TEST_F(TerminalProcessTest, ServesItsInterface) {
  Start();
  httplib::Result result = Create("order-1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 201);
  EXPECT_THAT(result->body, HasSubstr(R"("state":"waiting_for_card")"));
  EXPECT_EQ(Create("order-1")->status, 200);
  EXPECT_EQ(Post("/v1/intents", R"({"amount":1,"currency":"USD"})", "order-1")->status, 409);
  EXPECT_EQ(Post("/v1/intents", R"({"amount":1,"currency":"USD"})")->status, 400);
  EXPECT_EQ(Post("/v1/intents", R"({"amount":0,"currency":"USD"})", "order-2")->status, 400);
  EXPECT_EQ(Post("/v1/intents", R"({"amount":1,"currency":"usd"})", "order-2")->status, 400);
  EXPECT_EQ(Post("/v1/intents", "{", "order-2")->status, 400);
  EXPECT_EQ(http_->Get("/v1/intents?key=order-2")->status, 404);
  EXPECT_EQ(http_->Get("/v1/intents/pi_00000009")->status, 404);
  EXPECT_EQ(http_->Get("/v1/intents/pi_00000001?wait_ms=x")->status, 400);
  EXPECT_EQ(http_->Get("/v2")->status, 404);
  EXPECT_EQ(TapCard("tok_visa")->status, 200);
  EXPECT_EQ(Post("/v1/intents/pi_00000001/cancel", "")->status, 409);
  EXPECT_EQ(Post("/v1/intents/pi_00000001/refund", R"({"amount":2500})", "r")->status, 409);
  EXPECT_EQ(Post("/v1/intents/pi_00000001/refund", R"({"amount":2499})", "r")->status, 200);
  EXPECT_EQ(Post("/v1/intents/pi_00000001/refund", R"({"amount":2499})", "r")->status, 200);
  EXPECT_EQ(ByKey("order-1").state, State::kRefunded);
  EXPECT_THAT(http_->Get("/v1/intents")->body, HasSubstr(R"("intents":[{"id":"pi_00000001")"));
  EXPECT_EQ(http_->Get("/healthz")->status, 200);
  EXPECT_THAT(http_->Get("/metrics")->body, HasSubstr("terminal_sim_intents{state=\"refunded\"} 1"));
}

TEST_F(TerminalProcessTest, ALongPollIsAnsweredByTheTap) {
  Start();
  ASSERT_EQ(Create("order-1")->status, 201);
  std::thread tapper([this] {
    httplib::Client other(url_);
    EXPECT_EQ(other.Post("/v1/test_helpers/tap", R"({"token":"tok_visa"})", "application/json")->status, 200);
  });
  // The version makes it indifferent which of the two comes first.
  State state = State::kWaitingForCard;
  for (int64_t version = 1; state != State::kSucceeded;) {
    httplib::Result result =
        http_->Get(absl::StrCat("/v1/intents/pi_00000001?wait_ms=20000&version=", version));
    ASSERT_TRUE(result);
    absl::StatusOr<Intent> intent = json::Decode<Intent>(result->body);
    ASSERT_THAT(intent, IsOk());
    ASSERT_GT(intent->version, version) << "the long poll ended after 20 s without the tap";
    version = intent->version;
    state = intent->state;
  }
  tapper.join();
}

TEST_F(TerminalProcessTest, EndsCleanlyThoughSomeoneWaits) {
  Start();
  ASSERT_EQ(Create("order-1")->status, 201);
  std::thread poller([this] {
    httplib::Client other(url_);
    other.set_read_timeout(30);
    other.Get("/v1/intents/pi_00000001?wait_ms=25000");
  });
  kill(pid_, SIGTERM);
  const int status = Reap();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  poller.join();
}

TEST_F(TerminalProcessTest, KilledAfterAuthorisationTheCustomerIsChargedOnce) {
  Start("authorise");
  ASSERT_EQ(Create("order-1")->status, 201);
  EXPECT_FALSE(TapCard("tok_visa")) << "the device answered though it had to die first";
  ExpectKilled();
  EXPECT_EQ(CapturesInJournal(), 0);
  Start();
  EXPECT_EQ(ByKey("order-1").state, State::kSucceeded);
  EXPECT_EQ(TapCard("tok_visa")->status, 404);
  EXPECT_EQ(Create("order-1", 2)->status, 200);
  EXPECT_EQ(CapturesInJournal(), 1);
}

TEST_F(TerminalProcessTest, KilledAfterEachOtherEventNothingIsLost) {
  Start("create");
  EXPECT_FALSE(Create("order-1"));
  ExpectKilled();
  Start("decline");
  EXPECT_EQ(ByKey("order-1").state, State::kWaitingForCard);
  EXPECT_FALSE(TapCard("tok_declined"));
  ExpectKilled();
  Start("reopened");
  EXPECT_EQ(ByKey("order-1").state, State::kDeclined);
  EXPECT_FALSE(Create("order-1", 2));
  ExpectKilled();
  Start("captured");
  EXPECT_EQ(ByKey("order-1").state, State::kWaitingForCard);
  EXPECT_FALSE(TapCard("tok_visa"));
  ExpectKilled();
  Start("refund");
  EXPECT_EQ(ByKey("order-1").state, State::kSucceeded);
  EXPECT_FALSE(Post("/v1/intents/pi_00000001/refund", R"({"amount":1000})", "r"));
  ExpectKilled();
  Start();
  EXPECT_EQ(Post("/v1/intents/pi_00000001/refund", R"({"amount":1000})", "r")->status, 200);
  EXPECT_EQ(ByKey("order-1").amount_refunded, 1000);
  EXPECT_EQ(CapturesInJournal(), 1);
}

TEST_F(TerminalProcessTest, ATornLastLineIsForgotten) {
  Start();
  ASSERT_EQ(Create("order-1")->status, 201);
  Kill();
  std::ofstream(folder_.File("journal.jsonl"), std::ios::app) << R"({"at_ms":17,"event":"auth)";
  Start();
  EXPECT_EQ(ByKey("order-1").state, State::kWaitingForCard);
  EXPECT_EQ(TapCard("tok_visa")->status, 200);
  Kill();
  Start();
  EXPECT_EQ(ByKey("order-1").state, State::kSucceeded);
}

TEST_F(TerminalProcessTest, IsItsOwnHealthClient) {
  Start();
  const std::string port = url_.substr(url_.rfind(':') + 1);
  EXPECT_EQ(ExitStatus({"--probe", "--http_port=" + port}), 0);
  Kill();
  EXPECT_EQ(ExitStatus({"--probe", "--http_port=" + port}), 1);
  EXPECT_EQ(ExitStatus({"--probe"}), 2);
}

TEST_F(TerminalProcessTest, WrongUsageIsSaid) {
  Spawn({"--crash_after=lunch"});
  int status = Reap();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << status;
}

}  // namespace
}  // namespace arc::terminal_sim
