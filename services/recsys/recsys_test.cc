#include "services/recsys/recsys.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/session.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"

namespace arc::recsys {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

messages::MenuFile DemoMenu() {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  return menu::ParseMenuFile(std::string(std::istreambuf_iterator<char>(file), {})).value();
}

auto Id(int64_t id) {
  return Field("item_id", &messages::Suggestion::item_id, id);
}

class RecsysTest : public ::testing::Test {
 protected:
  RecsysTest() {
    bus_.ProvisionDefault();
    menu_ = bus_.OpenBucket(subjects::kMenuBucket).value();
    model_ = bus_.OpenBucket(subjects::kRecsysBucket).value();
  }

  void Start(Recsys& recsys) {
    ASSERT_THAT(recsys.WatchMenu(*menu_), IsOk());
    ASSERT_THAT(recsys.WatchModel(*model_), IsOk());
    bus_.RunUntilIdle();
    recsys.StartLearning(bus_, executor_);
    bus_.RunUntilIdle();
    EXPECT_THAT(recsys.Health(), IsOk());
  }

  void PublishBody(const std::string& body) {
    bus::Message message;
    message.subject = subjects::kOrderCompleted;
    message.body = body;
    bus_.PublishEvent(std::move(message), absl::Seconds(5),
                      [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  }

  void Complete(const std::string& order_id, const std::vector<int64_t>& items) {
    messages::OrderCompleted order;
    order.order_id = order_id;
    order.payment.transaction_id = "txn";
    for (const int64_t id : items) {
      messages::OrderLine line;
      line.item_id = id;
      order.lines.push_back(line);
    }
    PublishBody(Wrap(MakeEnvelope(clock_.Now(), "session"), order));
  }

  // Runs the bus until all orders so far have been dealt with.
  bool AwaitAcked() {
    return bus_.RunUntil([this] {
      const auto info = bus_.GetConsumerInfo(subjects::kEventsStream, kOrdersDurable);
      return info.ok() && info->num_ack_pending == 0 && info->num_pending == 0;
    });
  }

  // Lets the clock pass, second by second, until done() holds.
  bool AdvanceUntil(const std::function<bool()>& done) {
    for (int second = 0; second < 60; ++second) {
      if (bus_.RunUntil(done, absl::Milliseconds(100))) return true;
      clock_.Advance(absl::Seconds(1));
    }
    return false;
  }

  static std::vector<messages::Suggestion> Ask(const Recsys& recsys, const std::vector<int64_t>& cart) {
    messages::SuggestRequest request;
    for (const int64_t id : cart) request.cart.push_back({id, 1});
    const auto answer = recsys.Suggest(request);
    EXPECT_THAT(answer, IsOk());
    return answer.ok() ? answer->suggestions : std::vector<messages::Suggestion>();
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  bus::Executor executor_;
  std::unique_ptr<bus::KeyValue> menu_;
  std::unique_ptr<bus::KeyValue> model_;
};

TEST_F(RecsysTest, WithoutAMenuThereIsNothingToSuggest) {
  Recsys recsys;
  EXPECT_THAT(recsys.Suggest({}), HasErrorCode(ErrorCode::kUnavailable));
  EXPECT_THAT(recsys.Health(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("menu")));
  Start(recsys);
  EXPECT_THAT(recsys.Suggest({}), HasErrorCode(ErrorCode::kMenuNotFound));
  ASSERT_THAT(menu::ImportMenu(*menu_, DemoMenu()), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(Ask(recsys, {101}), SizeIs(3));
}

TEST_F(RecsysTest, AnItemTakenOffIsNoLongerSuggestedNorIsACombosOfIt) {
  ASSERT_THAT(menu::ImportMenu(*menu_, DemoMenu()), IsOk());
  Recsys recsys;
  Start(recsys);
  EXPECT_THAT(Ask(recsys, {101}), Contains(Id(301)));
  menu::MenuReader staff;
  ASSERT_THAT(staff.Watch(*menu_), IsOk());
  bus_.RunUntilIdle();
  ASSERT_THAT(staff.SetAvailability(401, false), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(Ask(recsys, {101}), Not(Contains(Id(301))));
  ASSERT_THAT(staff.SetAvailability(401, true), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(Ask(recsys, {101}), Contains(Id(301)));
}

TEST_F(RecsysTest, CompletedOrdersChangeWhatIsSuggestedInEveryCopy) {
  ASSERT_THAT(menu::ImportMenu(*menu_, DemoMenu()), IsOk());
  Recsys one, two;
  Start(one);
  Start(two);
  EXPECT_THAT(Ask(one, {506}), Not(Contains(Id(607))));
  for (int i = 0; i < 60; ++i) Complete(absl::StrCat("order-", i), {506, 607});
  ASSERT_TRUE(AwaitAcked());
  ASSERT_TRUE(bus_.RunUntil([&] { return one.orders_known() == 60 && two.orders_known() == 60; }));
  EXPECT_EQ(one.orders_learned() + two.orders_learned(), 60);
  for (const Recsys* copy : {&one, &two}) {
    EXPECT_THAT(Ask(*copy, {506}),
                Contains(testing::AllOf(Id(607), Field(&messages::Suggestion::reason, "goes_with"))));
  }
}

TEST_F(RecsysTest, AnOrderThatIsPublishedTwiceAndReadByANewProcessCountsOnce) {
  {
    Recsys recsys;
    Start(recsys);
    Complete("order-1", {101, 201});
    Complete("order-1", {101, 201});
    ASSERT_TRUE(AwaitAcked());
  }
  Recsys restarted;
  Start(restarted);
  Complete("order-1", {101, 201});
  Complete("order-2", {101, 201});
  ASSERT_TRUE(AwaitAcked());
  ASSERT_TRUE(bus_.RunUntil([&] { return restarted.orders_known() >= 2; }));
  EXPECT_EQ(restarted.orders_known(), 2);
  EXPECT_EQ(restarted.orders_learned(), 1);
}

TEST_F(RecsysTest, OrdersThatCannotBeReadAreDeadLettersAndTheNextOnesAreLearned) {
  Recsys recsys;
  Start(recsys);
  PublishBody("not json");
  PublishBody(R"({"payload":{"event":"order_completed","order_id":"x"}})");
  Complete("order-1", {101, 201});
  ASSERT_TRUE(bus_.RunUntil(
      [&] { return recsys.orders_known() == 1 && bus_.Stored(subjects::kDeadLetterStream).size() == 2; }));
  const std::vector<bus::StoredMessage> buried = bus_.Stored(subjects::kDeadLetterStream);
  EXPECT_EQ(buried[0].message.subject, absl::StrCat("system.deadletter.KIOSK_EVENTS.", kOrdersDurable));
  EXPECT_THAT(buried[1].message.body, HasSubstr("payload.lines"));
  EXPECT_TRUE(AwaitAcked());
}

TEST_F(RecsysTest, WhatCannotBeWrittenIsLearnedWhenTheBucketIsBack) {
  Recsys recsys;
  Start(recsys);
  bus_.FailKeyValue(3);
  Complete("order-1", {101, 201});
  ASSERT_TRUE(AdvanceUntil([&] { return recsys.orders_known() == 1; }));
  EXPECT_TRUE(AwaitAcked());
  EXPECT_EQ(recsys.orders_learned(), 1);
}

TEST_F(RecsysTest, AWriteWhoseAnswerIsLostIsNotRepeated) {
  Recsys recsys;
  Start(recsys);
  Complete("order-1", {101, 201});
  ASSERT_TRUE(AwaitAcked());
  // Read, write done and reported as failed; the redelivery finds the order counted.
  bus_.FailKeyValue(2, bus::MemoryBus::Fault::kAfter);
  Complete("order-2", {101, 201});
  ASSERT_TRUE(AdvanceUntil([&] { return recsys.orders_known() == 2; }));
  EXPECT_TRUE(AwaitAcked());
  EXPECT_EQ(recsys.orders_known(), 2);
}

}  // namespace
}  // namespace arc::recsys
