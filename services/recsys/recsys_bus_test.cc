// Two copies of arc-recsys, as processes, on a real nats-server.
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/messages/recsys.h"
#include "common/messages/session.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "services/menu/menu_store.h"
#include "services/recsys/recsys.h"
#include "services/recsys/store.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::recsys {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::Await;
using testing_support::Process;

auto Id(int64_t id) {
  return Field("item_id", &messages::Suggestion::item_id, id);
}
auto Reason(const std::string& reason) {
  return Field("reason", &messages::Suggestion::reason, reason);
}
auto Pitch(const std::string& text) {
  return Field("pitch", &messages::Suggestion::pitch, HasSubstr(text));
}

class RecsysBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    menu_ = bus_->OpenBucket(subjects::kMenuBucket).value();
    model_ = bus_->OpenBucket(subjects::kRecsysBucket).value();
    std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
    const auto demo = menu::ParseMenuFile(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_THAT(demo, IsOk());
    ASSERT_THAT(menu::ImportMenu(*menu_, *demo), IsOk());
  }

  std::unique_ptr<Process> StartCopy() {
    const std::string ready = folder_.File(absl::StrCat("ready-", copies_++));
    auto process =
        Process::Start({absl::StrCat(ARC_BIN_DIR, "/arc-recsys"), absl::StrCat("--nats_url=", server_.url()),
                        "--http_port=0", "--grpc_port=0", absl::StrCat("--ready_file=", ready)});
    EXPECT_THAT(process, IsOk());
    if (!process.ok() || !(*process)->AwaitFile(ready, absl::Seconds(20))) return nullptr;
    return *std::move(process);
  }

  // Stored with a message id of its own each time, so that the stream does not drop a repetition.
  void Complete(const std::string& order_id, const std::vector<int64_t>& items) {
    messages::OrderCompleted order;
    order.order_id = order_id;
    order.payment.transaction_id = "txn";
    for (const int64_t id : items) {
      messages::OrderLine line;
      line.item_id = id;
      order.lines.push_back(line);
    }
    bus::PublishEvent(*bus_, subjects::kOrderCompleted, MakeEnvelope(absl::Now(), "session"),
                      json::Encode(order), "",
                      [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  }

  bool AwaitAcked(int64_t published) {
    return Await(absl::StrCat(published, " completed orders are acknowledged"), absl::Seconds(30), [&] {
      const auto info = bus_->GetConsumerInfo(subjects::kEventsStream, kOrdersDurable);
      return info.ok() && info->num_ack_pending == 0 && info->num_pending == 0 &&
             static_cast<int64_t>(info->ack_floor_stream_seq) >= published;
    });
  }

  std::vector<messages::Suggestion> Ask(const messages::SuggestRequest& request) {
    const auto answer =
        bus::CallAndWait<messages::SuggestResponse>(*bus_, subjects::kRecsysSuggest, request, {});
    EXPECT_THAT(answer, IsOk());
    return answer.ok() ? answer->suggestions : std::vector<messages::Suggestion>();
  }
  std::vector<messages::Suggestion> Ask(int64_t item) {
    messages::SuggestRequest request;
    request.cart = {{item, 1}};
    return Ask(request);
  }

  // The orders in the bucket, as a copy that starts now would read them.
  int64_t OrdersStored() {
    ModelReader reader;
    EXPECT_THAT(reader.Watch(*model_), IsOk());
    EXPECT_TRUE(Await("the model is read", absl::Seconds(10), [&] { return reader.current(); }));
    return reader.model().orders();
  }

  int copies_ = 0;
  std::unique_ptr<bus::KeyValue> menu_;
  std::unique_ptr<bus::KeyValue> model_;
};

TEST_F(RecsysBusTest, TheSpecificationsExampleIsAnswered) {
  const auto copy = StartCopy();
  ASSERT_NE(copy, nullptr);
  messages::SuggestRequest request;
  request.cart = {{101, 1}};
  request.context.time_of_day = "lunch";
  request.context.weather = "hot";
  request.context.party_size = 2;
  EXPECT_THAT(Ask(request),
              AllOf(Contains(AllOf(Id(201), Reason("weather_hot"), Pitch("cool down with your burger"))),
                    Contains(AllOf(Id(301), Reason("upsell_combo"), Pitch("save $2!")))));
  request.dietary_filters = {"paleo"};
  EXPECT_THAT(bus::CallAndWait<messages::SuggestResponse>(*bus_, subjects::kRecsysSuggest, request, {}),
              HasErrorCode(ErrorCode::kInvalidRequest));
}

TEST_F(RecsysBusTest, TwoCopiesLearnEachOrderOnceAlsoWhenOneIsKilled) {
  auto one = StartCopy();
  const auto two = StartCopy();
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  EXPECT_THAT(Ask(506), Not(Contains(Id(607))));
  constexpr int kOrders = 120;
  for (int i = 0; i < kOrders; ++i) {
    Complete(absl::StrCat("order-", i), {506, 607});
    Complete(absl::StrCat("order-", i), {506, 607});
    if (i == kOrders / 2) one->Kill();
  }
  ASSERT_TRUE(AwaitAcked(int64_t{2} * kOrders));
  EXPECT_EQ(OrdersStored(), kOrders);

  const auto learned = Contains(AllOf(Id(607), Reason("goes_with")));
  ASSERT_TRUE(Await("the copy that lives suggests what it learned", absl::Seconds(5),
                    [&] { return testing::Matches(learned)(Ask(506)); }));
  // A copy that starts now knows it from the bucket.
  const auto three = StartCopy();
  ASSERT_NE(three, nullptr);
  two->Send(SIGTERM);
  EXPECT_EQ(two->WaitExit(absl::Seconds(20)), 0);
  EXPECT_THAT(Ask(506), learned);
}

TEST_F(RecsysBusTest, AnItemTakenOffIsGoneFromBothCopiesWithinASecond) {
  const auto one = StartCopy();
  const auto two = StartCopy();
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  menu::MenuReader staff;
  ASSERT_THAT(staff.Watch(*menu_), IsOk());
  ASSERT_TRUE(Await("the menu is read", absl::Seconds(10), [&] { return staff.state() != nullptr; }));
  EXPECT_THAT(Ask(101), Contains(Id(301)));
  ASSERT_THAT(staff.SetAvailability(401, false), IsOk());
  // The copies answer in turn; only both without the item give twenty answers without it.
  ASSERT_TRUE(Await("no copy suggests a combo with the item taken off", absl::Seconds(1), [&] {
    for (int i = 0; i < 20; ++i) {
      if (testing::Matches(Contains(Id(301)))(Ask(101))) return false;
    }
    return true;
  }));
}

TEST_F(RecsysBusTest, AnImportedHistoryIsUsedByACopyThatRunsAndSurvivesTheServersRestart) {
  const auto copy = StartCopy();
  ASSERT_NE(copy, nullptr);
  std::string history;
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(&history, R"({"order_id":"past-)", i, R"(","items":[{"item_id":506},{"item_id":607}]})",
                    "\n");
  }
  ASSERT_THAT(ImportHistory(*model_, history), IsOk());
  const auto learned = Contains(AllOf(Id(607), Reason("goes_with")));
  ASSERT_TRUE(Await("the import is in the suggestions", absl::Seconds(5),
                    [&] { return testing::Matches(learned)(Ask(506)); }));
  const auto again = ImportHistory(*model_, history);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->added, 0);

  server_.Kill();
  server_.Restart();
  server_.Provision();
  ASSERT_TRUE(Await("the bus is connected again", absl::Seconds(20), [&] { return bus_->connected(); }));
  Complete("past-1", {506, 607});
  Complete("new-1", {506, 607});
  ASSERT_TRUE(AwaitAcked(2));
  EXPECT_EQ(OrdersStored(), 61);
}

}  // namespace
}  // namespace arc::recsys
