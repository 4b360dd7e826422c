#include "services/hardware/hardware.h"

#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/file_util.h"
#include "services/hardware/receipt_reader.h"
#include "services/hardware/test_support.h"

namespace arc::hardware {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The print request of the kiosk specification, section 7.4, with the items of section 7.3.
constexpr char kExample[] =
    R"({"command":"print_receipt","order_id":"order-uuid","total":24.99,"transaction_id":"txn-uuid",
        "items":[{"item_id":101,"name":"Volcano Burger","qty":1,"price":12.99},
                 {"item_id":201,"name":"Iced Cola","qty":2,"price":5.99}]})";

messages::PrintRequest Request(absl::string_view text) {
  auto request = json::Decode<messages::PrintRequest>(text);
  EXPECT_THAT(request, IsOk());
  return request.value_or(messages::PrintRequest());
}

class HardwareTest : public testing::Test {
 protected:
  HardwareTest() {
    options_.printer = "file:" + folder_.path() + "/paper";
    options_.led = "file:" + folder_.path() + "/led.json";
    options_.spool_folder = folder_.path() + "/spool";
    options_.restaurant_name = "Volcano Grill";
    options_.time_zone = absl::UTCTimeZone();
  }

  std::unique_ptr<Hardware> Create() {
    auto hardware =
        Hardware::Create(options_, clock_,
                         [this](absl::string_view type, absl::string_view message, absl::string_view severity,
                                absl::string_view action) {
                           const std::lock_guard<std::mutex> lock(mutex_);
                           reports_.push_back(absl::StrCat(type, "|", message, "|", severity, "|", action));
                           reported_.notify_all();
                         });
    EXPECT_THAT(hardware, IsOk());
    return hardware.ok() ? *std::move(hardware) : nullptr;
  }
  std::unique_ptr<Hardware> Started() {
    auto hardware = Create();
    EXPECT_THAT(hardware->Start(bucket_), IsOk());
    return hardware;
  }
  std::string AwaitReport(absl::string_view type) {
    std::unique_lock<std::mutex> lock(mutex_);
    std::string found;
    EXPECT_TRUE(reported_.wait_for(lock, std::chrono::seconds(10),
                                   [&] {
                                     for (const std::string& report : reports_) {
                                       if (report.substr(0, type.size()) == type) found = report;
                                     }
                                     return !found.empty();
                                   }))
        << "waited for the report " << type;
    return found;
  }
  std::string Paper() {
    const auto bytes = ReadFile(folder_.path() + "/paper");
    const auto text = EscPosToText(bytes.value_or(""), options_.format.columns);
    EXPECT_THAT(text, IsOk());
    return text.value_or("");
  }

  testing_support::TempDir folder_;
  ManualClock clock_;
  FakeBucket bucket_;
  Hardware::Options options_;
  std::mutex mutex_;
  std::condition_variable reported_;
  std::vector<std::string> reports_;
};

TEST_F(HardwareTest, PrintsTheSpecificationsExample) {
  const auto hardware = Started();
  const auto response = hardware->Print(Request(kExample), "k");
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(json::Encode(*response),
            R"({"status":"success","order_id":"order-uuid","already_printed":false})");
  EXPECT_EQ(Paper(),
            "                 Volcano Grill\n"
            "                     Order\n"
            "                      UUID\n"
            "                2025-12-14 14:00\n"
            "------------------------------------------------\n"
            "1 x Volcano Burger                         12.99\n"
            "2 x Iced Cola                              11.98\n"
            "    5.99 each\n"
            "------------------------------------------------\n"
            "Subtotal                                   24.97\n"
            "Tax                                         0.02\n"
            "TOTAL          24.99 USD\n"
            "------------------------------------------------\n"
            "              Transaction txn-uuid\n"
            "                Order order-uuid\n"
            "\n"
            "              [QR code: txn-uuid]\n"
            "\n"
            "                   Thank you!\n"
            "\n"
            "8<----------------------------------------------\n");
  EXPECT_TRUE(hardware->Print(Request(kExample), "k2")->already_printed);
  const std::string once = Paper();
  EXPECT_EQ(once.find("Thank you!"), once.rfind("Thank you!"));
}

TEST_F(HardwareTest, ModifiersNotesNumberAndUrlAreOnThePaper) {
  options_.receipt_base_url = "http://kiosk.example:8080";
  const auto hardware = Started();
  ASSERT_THAT(hardware->Print(Request(R"({"order_id":"o1","order_number":"A17","total":1500,"currency":"JPY",
      "receipt_url":"/receipts/t.pdf","items":[
      {"name":"Ramen","quantity":2,"price":750,"customizations":["Extra Egg","No Onions"],"note":"not too hot"}]})"),
                              "k"),
              IsOk());
  EXPECT_THAT(Paper(),
              AllOf(HasSubstr("A17\n"), HasSubstr("2 x Ramen                                   1500\n"),
                    HasSubstr("    + Extra Egg\n    + No Onions\n    \"not too hot\"\n"),
                    HasSubstr("1500 JPY"), HasSubstr("[QR code: http://kiosk.example:8080/receipts/t.pdf]")));
}

TEST_F(HardwareTest, LinesWithoutPricesAndDiscountsShowNoTax) {
  const auto hardware = Started();
  ASSERT_THAT(hardware->Print(Request(R"({"order_id":"o1","total":5,"items":[{"name":"Surprise"}]})"), "k"),
              IsOk());
  ASSERT_THAT(
      hardware->Print(Request(R"({"order_id":"o2","total":5,"items":[{"name":"Pie","price":6}]})"), "k"),
      IsOk());
  ASSERT_THAT(hardware->Print(Request(R"({"order_id":"o3","total":0,"items":[]})"), "k"), IsOk());
  EXPECT_THAT(Paper(), AllOf(HasSubstr("1 x Surprise\n"), HasSubstr("5.00 USD"), Not(HasSubstr("Tax"))));
}

TEST_F(HardwareTest, AmountsThatTheCurrencyDoesNotHaveAreRefused) {
  const auto hardware = Started();
  EXPECT_THAT(hardware->Print(Request(R"({"order_id":"o","total":1.005,"items":[]})"), "k"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.total")));
  EXPECT_THAT(
      hardware->Print(
          Request(R"({"order_id":"o","total":1,"currency":"JPY","items":[{"name":"x","price":0.5}]})"), "k"),
      AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
            StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.items[0].price"))));
  EXPECT_THAT(hardware->Print(Request(R"({"order_id":"o","total":1,"currency":"XXQ","items":[]})"), "k"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.currency")));
}

TEST_F(HardwareTest, TheSameOrderIsTheSameHoweverItIsSpelled) {
  const auto hardware = Started();
  ASSERT_THAT(hardware->Print(Request(kExample), "k"), IsOk());
  // No ids, `quantity`, another transaction: the same paper.
  EXPECT_THAT(hardware->Print(Request(R"({"order_id":"order-uuid","total":24.990,"items":[
      {"name":"Volcano Burger","price":12.99},{"name":"Iced Cola","quantity":2,"price":5.990,"note":""}]})"),
                              "k"),
              IsOk());
  EXPECT_THAT(hardware->Print(Request(R"({"order_id":"order-uuid","total":25,"items":[
      {"name":"Volcano Burger","price":12.99},{"name":"Iced Cola","quantity":2,"price":5.99}]})"),
                              "k"),
              HasErrorCode(ErrorCode::kInvalidRequest));
}

TEST_F(HardwareTest, ReprintIsACopyAndComesOnceForARequest) {
  const auto hardware = Started();
  messages::PrintRequest request = Request(kExample);
  ASSERT_THAT(hardware->Print(request, "k1"), IsOk());
  request.reprint = true;
  EXPECT_FALSE(hardware->Print(request, "k2")->already_printed);
  EXPECT_TRUE(hardware->Print(request, "k2")->already_printed);
  const std::string paper = Paper();
  EXPECT_EQ(paper.find("COPY"), paper.rfind("COPY"));
  EXPECT_NE(paper.find("COPY"), std::string::npos);
}

TEST_F(HardwareTest, OutOfPaperIsReportedAndHealsItself) {
  const auto hardware = Started();
  EXPECT_EQ(hardware->spool_counts().pending, 0);
  const std::string control = folder_.path() + "/paper.paper_out";
  ASSERT_THAT(ReplaceFile(control, "", false), IsOk());
  EXPECT_THAT(hardware->Print(Request(kExample), "k"), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_THAT(AwaitReport("out_of_paper"), HasSubstr("|critical|refill_paper"));
  auto status = hardware->GetStatus();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->printer.state, "out_of_paper");
  EXPECT_EQ(status->printer.spooled, 1);
  EXPECT_EQ(hardware->spool_counts().pending, 1);
  EXPECT_EQ(hardware->spool_counts().uncertain, 0);
  // Serving goes on: the light works and receipts are kept.
  EXPECT_THAT(hardware->Health(), IsOk());
  EXPECT_EQ(Paper(), "");

  ASSERT_EQ(unlink(control.c_str()), 0);
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Seconds(1));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (hardware->GetStatus()->printer.spooled != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited for the receipt to be printed";
    std::this_thread::yield();
  }
  EXPECT_THAT(Paper(), HasSubstr("Volcano Burger"));
  EXPECT_EQ(hardware->GetStatus()->printer.state, "ready");
}

TEST_F(HardwareTest, LedAnswersWhileAReceiptIsBeingPrinted) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.accepting = false;
  FakeTcpPrinter device(behaviour);
  options_.printer = absl::StrCat("tcp:127.0.0.1:", device.port());
  options_.timeouts.status = std::chrono::milliseconds(10000);
  const auto hardware = Started();
  std::thread print([&] { EXPECT_THAT(hardware->Print(Request(kExample), "k"), IsOk()); });
  // The printer has been called and does not answer.
  device.AwaitPendingConnection();
  EXPECT_THAT(hardware->SetLed({"#00ff00", messages::LedPattern::kPulse, 2000}), IsOk());
  EXPECT_EQ(*ReadFile(folder_.path() + "/led.json"), "{\"color\":\"#00FF00\",\"pattern\":\"pulse\"}\n");
  behaviour.accepting = true;
  device.Set(behaviour);
  print.join();
  clock_.Advance(absl::Milliseconds(2000));
  EXPECT_EQ(hardware->GetStatus()->led.color, "#000000");
}

TEST_F(HardwareTest, LedErrorsNameTheField) {
  const auto hardware = Started();
  EXPECT_THAT(hardware->SetLed({"green", messages::LedPattern::kSolid, 0}),
              AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
                    StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.color"))));
}

TEST_F(HardwareTest, UnusableConfigurationIsUnhealthyUntilItIsMended) {
  options_.printer = "file:" + folder_.path() + "/later/paper";
  const auto hardware = Create();
  EXPECT_THAT(hardware->Health(), Not(IsOk()));
  EXPECT_THAT(hardware->Start(bucket_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("later/paper")));
  EXPECT_THAT(hardware->Health(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("later/paper")));
  EXPECT_THAT(hardware->Print(Request(kExample), "k"), HasErrorCode(ErrorCode::kUnavailable));
  EXPECT_EQ(hardware->GetStatus()->printer.state, "unreachable");
  ASSERT_EQ(mkdir((folder_.path() + "/later").c_str(), 0755), 0);
  EXPECT_THAT(hardware->Start(bucket_), IsOk());
  EXPECT_THAT(hardware->Health(), IsOk());
}

TEST_F(HardwareTest, OptionsThatCanNeverWorkAreRefusedAtOnce) {
  const auto refused = [&](const Hardware::Options& options) {
    return Hardware::Create(options, clock_, nullptr).status();
  };
  Hardware::Options options = options_;
  options.printer = "parallel";
  EXPECT_THAT(refused(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("parallel")));
  options = options_;
  options.led = "lamp";
  EXPECT_THAT(refused(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lamp")));
  options = options_;
  options.format.columns = 4;
  EXPECT_THAT(refused(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("columns")));
  options = options_;
  options.currency = "EURO";
  EXPECT_THAT(refused(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EURO")));
}

}  // namespace
}  // namespace arc::hardware
