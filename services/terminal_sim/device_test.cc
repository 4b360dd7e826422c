#include "services/terminal_sim/device.h"

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace arc::terminal_sim {
namespace {

using ::testing::AllOf;
using ::testing::Eq;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::SizeIs;

class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }
  void TearDown() override { device_.reset(); }
  std::string Path() const { return folder_.File("journal.jsonl"); }

  absl::StatusOr<std::unique_ptr<Device>> Start() {
    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(Path());
    if (!journal.ok()) return journal.status();
    Device::Options options;
    options.kiosk_id = "kiosk-001";
    options.clock = &clock_;
    return Device::Start(std::move(*journal), std::move(options));
  }
  // As after kill -9: only the journal is left.
  void Restart() {
    device_.reset();
    absl::StatusOr<std::unique_ptr<Device>> device = Start();
    ASSERT_THAT(device, IsOk());
    device_ = std::move(*device);
  }

  Intent Create(const std::string& key, int64_t attempt = 1, const std::string& kiosk_id = "") {
    absl::StatusOr<Intent> intent = device_->Create(Request(key, attempt, kiosk_id), &created_);
    EXPECT_THAT(intent, IsOk());
    return intent.value_or(Intent());
  }
  static CreateRequest Request(const std::string& key, int64_t attempt = 1,
                               const std::string& kiosk_id = "") {
    CreateRequest request;
    request.key = key;
    request.attempt = attempt;
    request.amount = 2499;
    request.currency = "USD";
    request.kiosk_id = kiosk_id;
    return request;
  }
  State StateOf(const std::string& key) {
    absl::StatusOr<Intent> intent = device_->GetByKey(key);
    EXPECT_THAT(intent, IsOk());
    return intent.ok() ? intent->state : State::kExpired;
  }

  ManualClock clock_;
  testing_support::TempDir folder_;
  std::unique_ptr<Device> device_;
  bool created_ = false;
};

TEST_F(DeviceTest, TheSameKeyIsTheSameIntent) {
  const Intent first = Create("order-1");
  EXPECT_TRUE(created_);
  EXPECT_EQ(first.state, State::kWaitingForCard);
  EXPECT_EQ(Create("order-1").id, first.id);
  EXPECT_FALSE(created_);
  CreateRequest other = Request("order-1");
  other.amount = 2500;
  EXPECT_THAT(device_->Create(other, &created_), StatusIs(absl::StatusCode::kAlreadyExists));
  other = Request("order-1");
  other.currency = "EUR";
  EXPECT_THAT(device_->Create(other, &created_), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(device_->List(), SizeIs(1));
}

TEST_F(DeviceTest, ATapCharges) {
  Create("order-1");
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}),
              IsOkAndHolds(AllOf(Field(&Intent::state, Eq(State::kSucceeded)),
                                 Field(&Intent::amount_captured, Eq(2499)),
                                 Field(&Intent::card_brand, Optional(std::string("visa"))))));
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(device_->GetByKey("order-1")->amount_captured, 2499);
  EXPECT_EQ(device_->taps_taken(), 1);
  EXPECT_EQ(device_->taps_ignored(), 1);
}

TEST_F(DeviceTest, RefusedCardsSayWhy) {
  Create("a");
  EXPECT_THAT(device_->OnTap({"tok_declined", "", {}}),
              IsOkAndHolds(Field(&Intent::decline_code, Optional(std::string("card_declined")))));
  Create("b");
  EXPECT_THAT(device_->OnTap({"tok_insufficient", "", {}}),
              IsOkAndHolds(Field(&Intent::decline_code, Optional(std::string("insufficient_funds")))));
  Create("c");
  EXPECT_THAT(device_->OnTap({"a library card", "", {}}),
              IsOkAndHolds(AllOf(Field(&Intent::state, Eq(State::kDeclined)),
                                 Field(&Intent::decline_code, Optional(std::string("unknown_card"))))));
}

TEST_F(DeviceTest, ADeclinedIntentIsTappedAgainInANewAttemptOnly) {
  const Intent intent = Create("order-1");
  ASSERT_THAT(device_->OnTap({"tok_declined", "", {}}), IsOk());
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Create("order-1", 1).state, State::kDeclined);

  const Intent again = Create("order-1", 2);
  EXPECT_EQ(again.id, intent.id);
  EXPECT_EQ(again.state, State::kWaitingForCard);
  EXPECT_THAT(again.decline_code, Eq(std::nullopt));
  EXPECT_THAT(device_->Create(Request("order-1", 1), &created_), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(device_->Create(Request("order-1", 3), &created_), StatusIs(absl::StatusCode::kAborted));
  ASSERT_THAT(device_->OnTap({"tok_mastercard", "", {}}), IsOk());
  EXPECT_EQ(Create("order-1", 3).state, State::kSucceeded);
  EXPECT_EQ(device_->GetByKey("order-1")->attempt, 2);
}

TEST_F(DeviceTest, CancelStopsTheWaitButNotAPayment) {
  const Intent intent = Create("order-1");
  EXPECT_THAT(device_->Cancel(intent.id, 2), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(device_->Cancel(intent.id, 1), IsOkAndHolds(Field(&Intent::state, Eq(State::kCancelled))));
  EXPECT_THAT(device_->Cancel(intent.id, 1), IsOkAndHolds(Field(&Intent::state, Eq(State::kCancelled))));
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), StatusIs(absl::StatusCode::kNotFound));
  Create("order-1", 2);
  // A cancel of the attempt before, delayed on its way, does no harm to this one.
  EXPECT_THAT(device_->Cancel(intent.id, 1), StatusIs(absl::StatusCode::kAborted));
  ASSERT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOk());
  EXPECT_THAT(device_->Cancel(intent.id, 2), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(device_->Cancel("pi_none", 1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DeviceTest, AnIntentThatNobodyPaysExpires) {
  Create("order-1");
  clock_.Advance(absl::Minutes(2) - absl::Milliseconds(1));
  EXPECT_EQ(StateOf("order-1"), State::kWaitingForCard);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(StateOf("order-1"), State::kExpired);
  EXPECT_THAT(device_->OnTap({"tok_visa", "", "order-1"}), StatusIs(absl::StatusCode::kNotFound));
  Restart();
  EXPECT_EQ(StateOf("order-1"), State::kExpired);
}

TEST_F(DeviceTest, ATapPaysWhatWaitsAtItsOwnKiosk) {
  Create("here");
  Create("there", 1, "kiosk-007");
  ASSERT_THAT(device_->OnTap({"tok_visa", "kiosk-007", {}}), IsOkAndHolds(Field(&Intent::key, Eq("there"))));
  EXPECT_THAT(device_->OnTap({"tok_visa", "kiosk-008", {}}), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOkAndHolds(Field(&Intent::key, Eq("here"))));
}

TEST_F(DeviceTest, WhereSeveralWaitATapHasToNameItsOrder) {
  Create("a");
  Create("b");
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("name its order")));
  EXPECT_EQ(StateOf("a"), State::kWaitingForCard);
  EXPECT_EQ(StateOf("b"), State::kWaitingForCard);
  ASSERT_THAT(device_->OnTap({"tok_visa", "", "b"}), IsOkAndHolds(Field(&Intent::key, Eq("b"))));
  ASSERT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOkAndHolds(Field(&Intent::key, Eq("a"))));
}

TEST_F(DeviceTest, RefundsAreOncePerKeyAndNeverMoreThanWasCharged) {
  const Intent intent = Create("order-1");
  EXPECT_THAT(device_->Refund(intent.id, "r1", 100), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOk());
  EXPECT_THAT(device_->Refund(intent.id, "r1", 1000),
              IsOkAndHolds(Field(&Intent::amount_refunded, Eq(1000))));
  EXPECT_THAT(device_->Refund(intent.id, "r1", 1000),
              IsOkAndHolds(Field(&Intent::amount_refunded, Eq(1000))));
  EXPECT_THAT(device_->Refund(intent.id, "r1", 999), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(device_->Refund(intent.id, "r2", 1500), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(StateOf("order-1"), State::kSucceeded);
  Restart();
  EXPECT_THAT(device_->Refund(intent.id, "r1", 1000),
              IsOkAndHolds(Field(&Intent::amount_refunded, Eq(1000))));
  EXPECT_THAT(device_->Refund(intent.id, "r2", 1499),
              IsOkAndHolds(Field(&Intent::state, Eq(State::kRefunded))));
}

TEST_F(DeviceTest, EverythingSurvivesARestart) {
  const Intent paid = Create("paid");
  ASSERT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOk());
  Create("declined");
  ASSERT_THAT(device_->OnTap({"tok_declined", "", {}}), IsOk());
  ASSERT_THAT(device_->Cancel(Create("cancelled").id, 1), IsOk());
  Create("waiting");
  const std::vector<Intent> before = device_->List();
  Restart();
  const std::vector<Intent> after = device_->List();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(json::Encode(after[i]), json::Encode(before[i]));
  EXPECT_EQ(Create("paid").id, paid.id);
}

TEST_F(DeviceTest, WhatWasAuthorisedWhenTheDeviceDiedIsCapturedOnce) {
  Create("order-1");
  device_.reset();
  // The journal as it is when the process dies between the two records of a payment, in the middle of the
  // second.
  std::ofstream(Path(), std::ios::app)
      << R"({"at_ms":1,"event":"authorised","intent_id":"pi_00000001","card_brand":"visa","card_last4":"4242"})"
      << "\n"
      << R"({"at_ms":2,"event":"capt)";
  Restart();
  EXPECT_EQ(StateOf("order-1"), State::kSucceeded);
  Restart();
  EXPECT_EQ(device_->GetByKey("order-1")->amount_captured, 2499);
}

TEST_F(DeviceTest, AnImpossibleJournalIsNotBelieved) {
  Create("order-1");
  device_.reset();
  std::ofstream(Path(), std::ios::app)
      << R"({"at_ms":1,"event":"captured","intent_id":"pi_00000001","amount":2499})"
      << "\n";
  EXPECT_THAT(Start(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("line 2")));
}

TEST_F(DeviceTest, ALongPollEndsWithTheChange) {
  const Intent intent = Create("order-1");
  std::thread tapper([&] {
    clock_.AwaitWaiters(1);
    EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), IsOk());
  });
  absl::StatusOr<Intent> changed = device_->WaitForChange(intent.id, intent.version, absl::Seconds(30));
  tapper.join();
  ASSERT_THAT(changed, IsOk());
  EXPECT_GT(changed->version, intent.version);
}

TEST_F(DeviceTest, ALongPollEndsWithItsTime) {
  const Intent intent = Create("order-1");
  std::thread timekeeper([&] {
    clock_.AwaitWaiters(1);
    clock_.Advance(absl::Seconds(30));
  });
  EXPECT_THAT(device_->WaitForChange(intent.id, intent.version, absl::Seconds(30)),
              IsOkAndHolds(Field(&Intent::version, Eq(intent.version))));
  timekeeper.join();
}

TEST_F(DeviceTest, ALongPollSeesTheIntentExpire) {
  const Intent intent = Create("order-1");
  std::thread timekeeper([&] {
    clock_.AwaitWaiters(1);
    clock_.Advance(absl::Minutes(2));
  });
  EXPECT_THAT(device_->WaitForChange(intent.id, intent.version, absl::Minutes(5)),
              IsOkAndHolds(Field(&Intent::state, Eq(State::kExpired))));
  timekeeper.join();
}

TEST_F(DeviceTest, ManyAskersOfOneOrderGetOneIntent) {
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      bool created = false;
      for (int k = 0; k < 20; ++k) EXPECT_THAT(device_->Create(Request("order-1"), &created), IsOk());
      (void)device_->OnTap({"tok_visa", "", {}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_THAT(device_->List(), SizeIs(1));
  EXPECT_EQ(device_->List()[0].amount_captured, 2499);
  EXPECT_EQ(device_->taps_taken(), 1);
  EXPECT_EQ(device_->taps_ignored(), 7);
}

}  // namespace
}  // namespace arc::terminal_sim
