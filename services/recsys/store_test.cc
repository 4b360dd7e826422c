#include "services/recsys/store.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::recsys {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Line(const std::string& order_id, int64_t a, int64_t b) {
  return absl::StrCat(
      R"({"order_id":")", order_id, R"(","at":"2025-12-14T13:30:00.000Z","items":[{"item_id":)", a,
      R"(,"quantity":1},{"item_id":)", b,
      R"(,"quantity":2}],"context":{"time_of_day":"lunch","weather":"hot","party_size":2}})", "\n");
}

bool NeverImported(uint64_t) {
  return false;
}

// Passes every call on to a bucket; the call after `calls` others fails.
class FailingKeyValue : public bus::KeyValue {
 public:
  FailingKeyValue(bus::KeyValue& bucket, bus::MemoryBus& bus, int calls, bus::MemoryBus::Fault fault)
      : bucket_(bucket), bus_(bus), calls_(calls), fault_(fault) {}

  absl::StatusOr<Entry> Get(absl::string_view key) override { return Next().Get(key); }
  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
    return Next().Put(key, value);
  }
  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
    return Next().Create(key, value);
  }
  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                  uint64_t revision) override {
    return Next().Update(key, value, revision);
  }
  absl::Status Delete(absl::string_view key) override { return Next().Delete(key); }
  absl::Status Purge(absl::string_view key) override { return Next().Purge(key); }
  absl::StatusOr<std::vector<std::string>> Keys() override { return Next().Keys(); }
  absl::StatusOr<std::unique_ptr<bus::Subscription>> Watch(absl::string_view filter,
                                                           std::function<void(const Entry&)> on_entry,
                                                           std::function<void()> on_current) override {
    return bucket_.Watch(filter, std::move(on_entry), std::move(on_current));
  }
  bool failed() const { return calls_ < 0; }

 private:
  bus::KeyValue& Next() {
    if (calls_-- == 0) bus_.FailKeyValue(1, fault_);
    return bucket_;
  }

  bus::KeyValue& bucket_;
  bus::MemoryBus& bus_;
  int calls_;
  const bus::MemoryBus::Fault fault_;
};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    bus_.ProvisionDefault();
    bucket_ = bus_.OpenBucket(subjects::kRecsysBucket).value();
  }

  void Start(ModelReader& reader) {
    ASSERT_THAT(reader.Watch(*bucket_), IsOk());
    bus_.RunUntilIdle();
    EXPECT_TRUE(reader.current());
  }

  static int64_t Together(const ModelReader& reader, int64_t a, int64_t b) {
    const Model::Reader model(reader.model());
    const auto* together = model.Together(a);
    if (together == nullptr) return 0;
    const auto it = together->find(b);
    return it == together->end() ? 0 : it->second;
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  std::unique_ptr<bus::KeyValue> bucket_;
};

TEST_F(StoreTest, AnImportedHistoryIsInTheModelOfEveryReader) {
  ModelReader early;
  Start(early);
  const auto result = ImportHistory(*bucket_, Line("a", 101, 201) + "\r\n\n" + Line("b", 101, 401));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->orders, 2);
  EXPECT_EQ(result->added, 2);
  EXPECT_EQ(result->total, 2);
  bus_.RunUntilIdle();
  ModelReader late;
  Start(late);
  for (const ModelReader* reader : {&early, &late}) {
    EXPECT_EQ(reader->model().orders(), 2);
    EXPECT_EQ(Together(*reader, 101, 201), 1);
    EXPECT_EQ(Together(*reader, 401, 101), 1);
    EXPECT_TRUE(reader->Imported(HashOrderId("a")));
    EXPECT_FALSE(reader->Imported(HashOrderId("c")));
  }
}

TEST_F(StoreTest, ImportingAgainCountsOnlyWhatIsNew) {
  ModelReader reader;
  Start(reader);
  const std::string file = Line("a", 101, 201) + Line("b", 101, 401);
  ASSERT_THAT(ImportHistory(*bucket_, file), IsOk());
  auto again = ImportHistory(*bucket_, file);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->added, 0);
  EXPECT_EQ(again->total, 2);
  again = ImportHistory(*bucket_, file + Line("c", 101, 201));
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->added, 1);
  EXPECT_EQ(again->total, 3);
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 3);
  EXPECT_EQ(Together(reader, 101, 201), 2);
  // Chunks of replaced imports are gone.
  int chunks = 0;
  const absl::StatusOr<std::vector<std::string>> keys = bucket_->Keys();
  ASSERT_THAT(keys, IsOk());
  for (const std::string& key : *keys) chunks += absl::StartsWith(key, "history.");
  EXPECT_EQ(chunks, 2);
}

TEST_F(StoreTest, EveryBadLineIsNamedAndNothingIsImported) {
  const std::string file =
      Line("a", 101, 201) + "{\"order_id\":\n" + Line("a", 1, 2) + R"({"order_id":"c","items":[]})" + "\n" +
      R"({"order_id":"d","items":[{"item_id":"x"}]})" + "\n" +
      R"({"order_id":"e","at":"yesterday","items":[{"item_id":1}]})" + "\n" +
      R"({"order_id":"f","items":[{"item_id":-1}]})" + "\n[1]\n" + R"({"items":[{"item_id":1}]})";
  EXPECT_THAT(ImportHistory(*bucket_, file).status(),
              AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             AllOf(Not(HasSubstr("line 1:")), HasSubstr("line 2: "),
                                   HasSubstr("line 3: order_id: is that of line 1 already"),
                                   HasSubstr("line 4: items"), HasSubstr("line 5: items[0].item_id"),
                                   HasSubstr("line 6: at"), HasSubstr("line 7: items[0].item_id"),
                                   HasSubstr("line 8: "), HasSubstr("line 9: order_id: is required")))));
  EXPECT_THAT(bucket_->Keys(), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(ImportHistory(*bucket_, " \n\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no orders")));
}

TEST_F(StoreTest, AnImportThatFailsAtAnyWriteChangesNothingOrEverything) {
  const std::string file = Line("b", 101, 401) + Line("c", 101, 401);
  bool failed = true;
  for (int skipped = 0; failed; ++skipped) {
    ASSERT_LT(skipped, 200) << "an import makes fewer calls than this";
    failed = false;
    for (const auto fault : {bus::MemoryBus::Fault::kBefore, bus::MemoryBus::Fault::kAfter}) {
      ManualClock clock;
      bus::MemoryBus bus(clock);
      bus.ProvisionDefault();
      auto bucket = bus.OpenBucket(subjects::kRecsysBucket).value();
      ASSERT_THAT(ImportHistory(*bucket, Line("a", 101, 201)), IsOk());
      FailingKeyValue failing(*bucket, bus, skipped, fault);

      const auto result = ImportHistory(failing, file);
      failed = failed || failing.failed();
      ModelReader reader;
      ASSERT_THAT(reader.Watch(*bucket), IsOk());
      bus.RunUntilIdle();
      EXPECT_EQ(reader.model().orders(), result.ok() ? 3 : 1) << skipped;
      const auto again = ImportHistory(*bucket, file);
      ASSERT_THAT(again, IsOk());
      EXPECT_EQ(again->total, 3);
      bus.RunUntilIdle();
      EXPECT_EQ(reader.model().orders(), 3) << skipped;
      EXPECT_EQ(Together(reader, 101, 401), 2) << skipped;
    }
  }
}

TEST_F(StoreTest, AnOrderIsLearnedOnceHoweverOftenItIsAdded) {
  ModelReader reader;
  Start(reader);
  const Basket basket = MakeBasket("order-1", {101, 201}, {});
  EXPECT_THAT(LearnOrders(*bucket_, {basket}, NeverImported), IsOkAndHolds(1));
  EXPECT_THAT(LearnOrders(*bucket_, {basket, basket}, NeverImported), IsOkAndHolds(0));
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 1);
  EXPECT_EQ(Together(reader, 101, 201), 1);
}

TEST_F(StoreTest, AWriteWhoseAnswerWasLostDoesNotCountTwice) {
  const Basket basket = MakeBasket("order-1", {101, 201}, {});
  // The read passes, the write is done and reported as failed.
  ASSERT_THAT(LearnOrders(*bucket_, {MakeBasket("order-0", {1}, {})}, NeverImported), IsOk());
  bus_.FailKeyValue(1);
  EXPECT_THAT(LearnOrders(*bucket_, {basket}, NeverImported), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(LearnOrders(*bucket_, {basket}, NeverImported), IsOkAndHolds(1));
  EXPECT_THAT(LearnOrders(*bucket_, {basket}, NeverImported), IsOkAndHolds(0));
}

TEST_F(StoreTest, AnImportedOrderIsNotLearnedAgainNorALearnedOneImported) {
  ModelReader reader;
  Start(reader);
  ASSERT_THAT(ImportHistory(*bucket_, Line("a", 101, 201)), IsOk());
  bus_.RunUntilIdle();
  const auto imported = [&](uint64_t order) { return reader.Imported(order); };
  EXPECT_THAT(LearnOrders(*bucket_, {MakeBasket("a", {101, 201}, {})}, imported), IsOkAndHolds(0));
  EXPECT_THAT(LearnOrders(*bucket_, {MakeBasket("b", {101, 201}, {})}, imported), IsOkAndHolds(1));
  const auto result = ImportHistory(*bucket_, Line("b", 101, 201));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->added, 0);
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 2);
}

TEST_F(StoreTest, CopiesThatLearnAtTheSameTimeLoseNothing) {
  constexpr int kOrders = 40;
  std::vector<std::thread> copies;
  copies.reserve(3);
  for (int copy = 0; copy < 3; ++copy) {
    copies.emplace_back([this] {
      const auto bucket = bus_.OpenBucket(subjects::kRecsysBucket).value();
      for (int i = 0; i < kOrders; ++i) {
        EXPECT_THAT(
            LearnOrders(*bucket, {MakeBasket(absl::StrCat("order-", i), {101, 201}, {})}, NeverImported),
            IsOk());
      }
    });
  }
  for (std::thread& copy : copies) copy.join();
  ModelReader reader;
  Start(reader);
  EXPECT_EQ(reader.model().orders(), kOrders);
  EXPECT_EQ(Together(reader, 101, 201), kOrders);
}

TEST_F(StoreTest, AShardThatCannotBeReadIsSetAsideAndReplaced) {
  const Basket basket = MakeBasket("order-1", {101, 201}, {});
  const std::string key = LiveKey(basket.order);
  ModelReader reader;
  Start(reader);
  ASSERT_THAT(LearnOrders(*bucket_, {MakeBasket("order-1", {1, 2}, {})}, NeverImported), IsOk());
  bus_.RunUntilIdle();
  ASSERT_THAT(bucket_->Put(key, "scrambled"), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 1) << "what was known stays while the bucket is unreadable";
  EXPECT_THAT(LearnOrders(*bucket_, {basket}, NeverImported), IsOkAndHolds(1));
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 1);
  EXPECT_EQ(Together(reader, 101, 201), 1);
  EXPECT_EQ(Together(reader, 1, 2), 0);
  const auto kept = bucket_->Get(absl::StrCat("damaged.", key));
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(kept->value, "scrambled");
}

TEST_F(StoreTest, AReconnectThatRepeatsEverythingCountsNothingTwice) {
  ModelReader reader;
  Start(reader);
  ASSERT_THAT(ImportHistory(*bucket_, Line("a", 101, 201)), IsOk());
  ASSERT_THAT(LearnOrders(*bucket_, {MakeBasket("b", {101, 201}, {})}, NeverImported), IsOk());
  bus_.RunUntilIdle();
  bus_.SetConnected(false);
  bus_.RunUntilIdle();
  bus_.SetConnected(true);
  bus_.RunUntilIdle();
  EXPECT_EQ(reader.model().orders(), 2);
  EXPECT_EQ(Together(reader, 101, 201), 2);
}

}  // namespace
}  // namespace arc::recsys
