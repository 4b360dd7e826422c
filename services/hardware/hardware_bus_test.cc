// The agent's binary on a real nats-server.
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/messages/hardware.h"
#include "common/messages/system.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/receipt_reader.h"
#include "services/hardware/test_support.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/process.h"

namespace arc::hardware {
namespace {

using ::testing::HasSubstr;
using testing_support::Await;
using testing_support::Process;
using testing_support::ReadFile;

constexpr absl::Duration kPatience = absl::Seconds(20);

messages::PrintRequest Order(const std::string& order_id) {
  messages::PrintRequest request;
  request.order_id = order_id;
  messages::ReceiptLine line;
  line.name = "Volcano Burger";
  line.qty = 1;
  line.price = Decimal::FromMinor(1299, 2);
  request.items = {line};
  request.total = Decimal::FromMinor(1299, 2);
  request.transaction_id = "txn-" + order_id;
  return request;
}

int CountOf(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

class HardwareBusTest : public testing_support::BusTest {
 protected:
  void TearDown() override { agent_.reset(); }

  void StartAgent() {
    const std::string ready = folder_.File(absl::StrCat("ready", ++starts_));
    auto process = Process::Start({absl::StrCat(ARC_BIN_DIR, "/arc-hardware"), "--nats_url=" + server_.url(),
                                   "--printer=" + printer_, "--spool_dir=" + folder_.File("spool"),
                                   "--led=file:" + folder_.File("led.json"), "--ready_file=" + ready});
    ASSERT_THAT(process, IsOk());
    agent_ = *std::move(process);
    ASSERT_TRUE(agent_->AwaitFile(ready, kPatience));
    // The file says that it listens, not that it serves; a command on the durable path waits until it does.
    ASSERT_TRUE(
        testing_support::Await("the hardware agent to answer", kPatience, [this] { return Status().ok(); }));
  }

  template <class Response, class Request>
  absl::StatusOr<Response> Call(absl::string_view subject, const Request& request) {
    bus::CallContext context;
    context.timeout = kPatience;
    return bus::CallAndWait<Response>(*bus_, subject, request, context);
  }
  absl::StatusOr<messages::PrintResponse> Print(const messages::PrintRequest& request) {
    return Call<messages::PrintResponse>(subjects::kHardwarePrint, request);
  }
  absl::StatusOr<messages::HardwareStatusResponse> Status() {
    return Call<messages::HardwareStatusResponse>(subjects::kHardwareStatus,
                                                  messages::HardwareStatusRequest());
  }
  // The plain path, as a command line client uses it.
  std::string Plain(absl::string_view subject, absl::string_view body) {
    testing_support::Signal signal;
    std::string answer;
    bool done = false;
    bus_->CoreRequest({std::string(subject), "", {}, std::string(body)}, kPatience,
                      [&](absl::StatusOr<bus::Message> reply) {
                        signal.Set([&] {
                          answer = reply.ok() ? reply->body : reply.status().ToString();
                          done = true;
                        });
                      });
    signal.Await("an answer", kPatience + absl::Seconds(1), [&] { return done; });
    return answer;
  }
  std::string Paper() {
    const auto text = EscPosToText(ReadFile(folder_.File("paper")), 48);
    EXPECT_THAT(text, IsOk());
    return text.value_or("");
  }

  std::string printer_ = "file:" + folder_.File("paper");
  std::unique_ptr<Process> agent_;
  int starts_ = 0;
};

TEST_F(HardwareBusTest, AnswersTheSpecificationsExamplesOnBothSubjects) {
  StartAgent();
  EXPECT_THAT(
      Plain("kiosk.agent.hardware.led",
            R"({"payload":{"command":"set_led","color":"#00FF00","pattern":"solid","duration_ms":0}})"),
      HasSubstr(R"("status":"success")"));
  EXPECT_EQ(ReadFile(folder_.File("led.json")), "{\"color\":\"#00FF00\",\"pattern\":\"solid\"}\n");
  EXPECT_THAT(Plain("kiosk.hardware.print",
                    R"({"payload":{"command":"print_receipt","order_id":"order-uuid","total":24.99,
                        "transaction_id":"txn-uuid","items":[{"item_id":101,"name":"Volcano Burger","qty":1,"price":12.99},
                        {"item_id":201,"name":"Iced Cola","qty":2,"price":5.99}]}})"),
              HasSubstr(R"("already_printed":false)"));
  EXPECT_THAT(Paper(), HasSubstr("2 x Iced Cola                              11.98\n"));
  EXPECT_THAT(Plain("kiosk.hardware.led", R"({"payload":{"color":"green"}})"), HasSubstr("payload.color"));
  EXPECT_THAT(Plain("kiosk.hardware.print", R"({"payload":{"order_id":"x","items":"none","total":1}})"),
              HasSubstr("INVALID_REQUEST"));
}

TEST_F(HardwareBusTest, SixteenClientsGetOneReceipt) {
  StartAgent();
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] { EXPECT_THAT(Print(Order("together")), IsOk()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(CountOf(Paper(), "Thank you!"), 1);
}

TEST_F(HardwareBusTest, PrintsWhenThePaperIsBackAndSaysWhenItRanOut) {
  testing_support::Signal signal;
  std::string error;
  auto subscription = bus_->Subscribe(
      subjects::kServiceError, "", [&](bus::Message message) { signal.Set([&] { error += message.body; }); });
  ASSERT_THAT(subscription, IsOk());
  StartAgent();
  { UniqueFd touch(creat(folder_.File("paper.paper_out").c_str(), 0644)); }
  EXPECT_THAT(Print(Order("a")), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_TRUE(signal.Await("system.service.error", kPatience,
                           [&] { return error.find("out_of_paper") != std::string::npos; }));
  ASSERT_THAT(Status(), IsOk());
  EXPECT_EQ(Status()->printer.spooled, 1);
  ASSERT_EQ(unlink(folder_.File("paper.paper_out").c_str()), 0);
  EXPECT_TRUE(Await("the receipt", kPatience, [&] { return CountOf(Paper(), "Thank you!") == 1; }));
  EXPECT_TRUE(Print(Order("a"))->already_printed);
}

TEST_F(HardwareBusTest, KilledAndRestartedAtAnyMomentPrintsEachOrderOnce) {
  constexpr int kOrders = 40;
  StartAgent();
  for (int i = 0; i < kOrders; ++i) {
    std::thread client([&] { (void)Print(Order(absl::StrCat("o-", i))); });
    if (i % 4 == 3) {
      // While the order is somewhere between the stream and the paper.
      agent_->Kill();
      StartAgent();
    }
    client.join();
  }
  for (int i = 0; i < kOrders; ++i) {
    EXPECT_THAT(Print(Order(absl::StrCat("o-", i))), IsOk()) << i;
  }
  const std::string paper = Paper();
  for (int i = 0; i < kOrders; ++i) {
    EXPECT_EQ(CountOf(paper, absl::StrCat("Transaction txn-o-", i, "\n")), 1) << i;
  }
}

TEST_F(HardwareBusTest, ServerRestartDoesNotPrintTwice) {
  StartAgent();
  EXPECT_THAT(Print(Order("a")), IsOk());
  server_.Restart();
  ASSERT_TRUE(Await("the client is connected again", kPatience, [&] { return bus_->connected(); }));
  server_.Provision();
  EXPECT_TRUE(Await("the agent answers again", kPatience, [&] { return Status().ok(); }));
  const auto again = Print(Order("a"));
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->already_printed);
  EXPECT_EQ(CountOf(Paper(), "Thank you!"), 1);
}

TEST_F(HardwareBusTest, LedAnswersWithinItsSecondWhileThePrinterHangs) {
  FakeTcpPrinter::Behaviour behaviour;
  FakeTcpPrinter device(behaviour);
  printer_ = absl::StrCat("tcp:127.0.0.1:", device.port());
  StartAgent();
  EXPECT_THAT(Print(Order("first")), IsOk());
  behaviour.accepting = false;
  device.Set(behaviour);
  std::thread print([&] { (void)Print(Order("second")); });
  device.AwaitPendingConnection();
  messages::LedRequest led;
  led.color = "#FF0000";
  bus::CallContext context;
  context.timeout = absl::Seconds(1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(bus::CallAndWait<messages::LedResponse>(*bus_, subjects::kHardwareLed, led, context), IsOk());
  }
  behaviour.accepting = true;
  device.Set(behaviour);
  print.join();
}

}  // namespace
}  // namespace arc::hardware
