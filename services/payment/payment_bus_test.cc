// The agent's binary and the terminal's, on a real nats-server: killed where a customer's money is at stake.
#include <httplib.h>
#include <signal.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/json/json.h"
#include "common/messages/payment.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/process.h"

namespace arc::payment {
namespace {

using messages::PaymentOutcome;
using messages::PaymentStatus;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::Await;
using testing_support::Process;
using testing_support::ReadFile;

using Answer = absl::StatusOr<PaymentOutcome>;

constexpr absl::Duration kPatience = absl::Seconds(30);

struct ReadyFile {
  int64_t pid = 0;
  std::string http_url;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("pid", s.pid);
    v.Required("http_url", s.http_url);
  }
};

class PaymentBusTest : public testing_support::BusTest {
 protected:
  struct Running {
    std::unique_ptr<Process> process;
    std::string http_url;
  };

  Running Start(std::vector<std::string> argv) {
    Running running;
    const std::string ready = folder_.File(absl::StrCat("ready", ++starts_));
    argv.push_back("--nats_url=" + server_.url());
    argv.push_back("--ready_file=" + ready);
    auto process = Process::Start(argv);
    EXPECT_THAT(process, IsOk());
    if (!process.ok()) return running;
    running.process = *std::move(process);
    if (!running.process->AwaitFile(ready, kPatience)) return running;
    absl::StatusOr<ReadyFile> file = json::Decode<ReadyFile>(ReadFile(ready));
    EXPECT_THAT(file, IsOk());
    if (file.ok()) running.http_url = file->http_url;
    return running;
  }
  void StartTerminal(const std::string& crash_after = "") {
    terminal_ = Start({ARC_BIN_DIR "/arc-terminal-sim", "--journal=" + folder_.File("journal.jsonl"),
                       absl::StrCat("--http_port=", terminal_port_), "--crash_after=" + crash_after});
    terminal_port_ = std::stoi(terminal_.http_url.substr(terminal_.http_url.rfind(':') + 1));
  }
  Running StartAgent(absl::Duration lease = absl::Seconds(2)) {
    Running agent = Start({ARC_BIN_DIR "/arc-payment", "--terminal_url=" + terminal_.http_url,
                           "--lease=" + absl::FormatDuration(lease)});
    Await("the payment agent is SERVING", kPatience, [&] {
      const httplib::Result result = httplib::Client(agent.http_url).Get("/healthz");
      return result && result->status == 200;
    });
    return agent;
  }

  static messages::ProcessPaymentRequest SpecificationExample() {
    messages::ProcessPaymentRequest request;
    request.order_id = "order-1";
    request.total = Decimal::FromMinor(2499, 2);
    request.items.resize(2);
    request.items[0].item_id = 101;
    request.items[0].name = "Volcano Burger";
    request.items[0].price = Decimal::FromMinor(1299, 2);
    request.items[1].item_id = 201;
    request.items[1].name = "Iced Cola";
    request.items[1].qty = 2;
    request.items[1].price = Decimal::FromMinor(599, 2);
    request.loyalty_card = "LOYALTY123";
    return request;
  }
  std::future<Answer> Pay(const std::string& key, absl::Duration timeout = absl::Seconds(30)) {
    return std::async(std::launch::async, [this, key, timeout]() -> Answer {
      bus::CallContext context;
      context.idempotency_key = key;
      context.timeout = timeout;
      return bus::CallAndWait<PaymentOutcome>(*bus_, subjects::kPaymentProcess, SpecificationExample(),
                                              context);
    });
  }
  Answer Status() {
    messages::PaymentStatusRequest request;
    request.order_id = "order-1";
    bus::CallContext context;
    context.timeout = absl::Seconds(5);
    return bus::CallAndWait<PaymentOutcome>(*bus_, subjects::kPaymentStatus, request, context);
  }
  bool AwaitStatus(PaymentStatus status, absl::string_view what) {
    return Await(what, kPatience, [&] {
      const Answer answer = Status();
      return answer.ok() && answer->status == status;
    });
  }
  void AwaitCardPrompt() {
    ASSERT_TRUE(Await("a card is asked for", kPatience, [&] {
      const httplib::Result result = httplib::Client(terminal_.http_url).Get("/v1/intents?key=order-1");
      return result && result->body.find("waiting_for_card") != std::string::npos;
    }));
  }
  void Tap(const std::string& token) {
    bus::Message message;
    message.subject = subjects::kCardInput;
    message.body = absl::StrCat(R"({"payload":{"event":"card","action":"tap","token":")", token, R"("}})");
    ASSERT_THAT(bus_->Publish(message), IsOk());
  }
  int InJournal(const std::string& event) {
    const std::string text = ReadFile(folder_.File("journal.jsonl"));
    int count = 0;
    for (size_t at = text.find("\"" + event + "\""); at != std::string::npos;
         at = text.find("\"" + event + "\"", at + 1)) {
      ++count;
    }
    return count;
  }

  int starts_ = 0;
  int terminal_port_ = 0;
  Running terminal_;
};

TEST_F(PaymentBusTest, TheSpecificationsExampleIsPaidAndItsReceiptServed) {
  StartTerminal();
  Running agent = StartAgent();
  std::future<Answer> answer = Pay("k1");
  AwaitCardPrompt();
  Tap("tok_visa");
  const Answer paid = answer.get();
  ASSERT_THAT(paid, IsOk());
  EXPECT_EQ(paid->status, PaymentStatus::kSuccess);
  EXPECT_EQ(paid->amount_charged, Decimal::FromMinor(2499, 2));
  EXPECT_EQ(paid->loyalty_points_earned, 25);

  httplib::Client http(agent.http_url);
  const httplib::Result receipt = http.Get(*paid->receipt_url);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->status, 200);
  EXPECT_EQ(receipt->get_header_value("Content-Type"), "application/pdf");
  EXPECT_THAT(receipt->body, StartsWith("%PDF-"));
  for (const char* path : {"/receipts/txn-unknown.pdf", "/receipts/../../etc/passwd",
                           "/receipts/..%2f..%2fetc%2fpasswd", "/receipts/.pdf", "/receipts/"}) {
    const httplib::Result none = http.Get(path);
    ASSERT_TRUE(none) << path;
    EXPECT_EQ(none->status, 404) << path;
  }
  EXPECT_THAT(http.Get("/metrics")->body, HasSubstr("kiosk_payments_total"));

  // A copy that was not there then serves it as well.
  Running other = StartAgent();
  const httplib::Result same = httplib::Client(other.http_url).Get(*paid->receipt_url);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->body, receipt->body);
}

TEST_F(PaymentBusTest, TwoCopiesAskedByManyChargeOnce) {
  StartTerminal();
  Running first = StartAgent();
  Running second = StartAgent();
  std::vector<std::future<Answer>> answers;
  answers.reserve(12);
  for (int i = 0; i < 12; ++i) answers.push_back(Pay(absl::StrCat("k", i)));
  AwaitCardPrompt();
  Tap("tok_visa");
  std::string transaction;
  for (std::future<Answer>& future : answers) {
    const Answer answer = future.get();
    ASSERT_THAT(answer, IsOk());
    ASSERT_EQ(answer->status, PaymentStatus::kSuccess);
    if (transaction.empty()) transaction = *answer->transaction_id;
    EXPECT_EQ(*answer->transaction_id, transaction);
  }
  EXPECT_EQ(InJournal("captured"), 1);
}

TEST_F(PaymentBusTest, AnAgentKilledBetweenAuthorisationAndAnswerIsReconciledAndChargesOnce) {
  StartTerminal();
  Running agent = StartAgent();
  std::future<Answer> answer = Pay("k1", absl::Seconds(8));
  AwaitCardPrompt();
  agent.process->Send(SIGSTOP);  // It sees nothing of the tap, and then it dies.
  Tap("tok_visa");
  ASSERT_TRUE(Await("the terminal has charged", kPatience, [&] { return InJournal("captured") == 1; }));
  agent.process->Kill();

  agent = StartAgent();
  ASSERT_TRUE(AwaitStatus(PaymentStatus::kSuccess, "the payment is reconciled"));
  EXPECT_THAT(answer.get(), AnyOf(HasErrorCode(ErrorCode::kTimeout), HasErrorCode(ErrorCode::kUnavailable)));
  const Answer again = Pay("k2").get();
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->status, PaymentStatus::kSuccess);
  EXPECT_EQ(InJournal("authorised"), 1);
  EXPECT_EQ(InJournal("captured"), 1);
}

// "Meanwhile UNKNOWN": not pending until the dead owner's lease, here a minute, is over.
TEST_F(PaymentBusTest, AKilledAgentsPaymentIsUnknownAtOnceWhileTheTerminalIsAway) {
  StartTerminal();
  Running agent = StartAgent(absl::Minutes(1));
  std::future<Answer> answer = Pay("k1", absl::Seconds(8));
  AwaitCardPrompt();
  agent.process->Kill();
  const Running next = StartAgent(absl::Minutes(1));
  EXPECT_THAT(Status(), IsOkAndHolds(::testing::Field(&PaymentOutcome::status, PaymentStatus::kUnknown)));
  terminal_.process->Kill();
  EXPECT_THAT(Status(), IsOkAndHolds(::testing::Field(&PaymentOutcome::status, PaymentStatus::kUnknown)));
  StartTerminal();
  Tap("tok_visa");
  EXPECT_TRUE(AwaitStatus(PaymentStatus::kSuccess, "the payment is reconciled"));
  EXPECT_THAT(answer.get(), AnyOf(HasErrorCode(ErrorCode::kTimeout), HasErrorCode(ErrorCode::kUnavailable)));
  EXPECT_EQ(InJournal("captured"), 1);
}

TEST_F(PaymentBusTest, ATerminalKilledAfterAuthorisationIsAskedAgainAndChargesOnce) {
  StartTerminal("authorised");
  Running agent = StartAgent();
  std::future<Answer> answer = Pay("k1");
  AwaitCardPrompt();
  Tap("tok_visa");
  ASSERT_TRUE(Await("the terminal has died", kPatience, [&] { return !terminal_.process->running(); }));
  StartTerminal();
  const Answer paid = answer.get();
  ASSERT_THAT(paid, IsOk());
  EXPECT_EQ(paid->status, PaymentStatus::kSuccess);
  EXPECT_EQ(InJournal("authorised"), 1);
  EXPECT_EQ(InJournal("captured"), 1);
}

TEST_F(PaymentBusTest, ATerminalThatStaysAwayAfterAuthorisationLeavesThePaymentUnknown) {
  StartTerminal("authorised");
  Running agent = StartAgent();
  std::future<Answer> answer = Pay("k1", absl::Seconds(6));
  AwaitCardPrompt();
  Tap("tok_visa");
  EXPECT_THAT(answer.get(), HasErrorCode(ErrorCode::kPaymentUnknown));
  const Answer status = Status();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->status, PaymentStatus::kUnknown);
  StartTerminal();
  ASSERT_TRUE(AwaitStatus(PaymentStatus::kSuccess, "the payment is reconciled"));
  EXPECT_EQ(InJournal("captured"), 1);
}

TEST_F(PaymentBusTest, WithoutACardThePaymentTimesOutAndANewKeyTriesAgain) {
  StartTerminal();
  Running agent = StartAgent();
  const Answer none = Pay("k1", absl::Seconds(2)).get();
  ASSERT_THAT(none, IsOk());
  EXPECT_EQ(none->status, PaymentStatus::kFailed);
  EXPECT_EQ(none->error_code, "PAYMENT_TIMEOUT");
  EXPECT_EQ(InJournal("cancelled"), 1);
  std::future<Answer> answer = Pay("k2");
  AwaitCardPrompt();
  Tap("tok_declined");
  const Answer declined = answer.get();
  ASSERT_THAT(declined, IsOk());
  EXPECT_EQ(declined->error_code, "PAYMENT_DECLINED");
  EXPECT_EQ(declined->retryable, true);
}

TEST_F(PaymentBusTest, AnAgentThatIsStoppedCancelsItsCardPromptAndEndsCleanly) {
  StartTerminal();
  Running agent = StartAgent();
  std::future<Answer> answer = Pay("k1");
  AwaitCardPrompt();
  agent.process->Send(SIGTERM);
  const Answer ended = answer.get();
  ASSERT_THAT(ended, IsOk());
  EXPECT_EQ(ended->error_code, "UNAVAILABLE");
  EXPECT_EQ(agent.process->WaitExit(kPatience), std::optional<int>(0));
  EXPECT_EQ(InJournal("cancelled"), 1);
}

}  // namespace
}  // namespace arc::payment
