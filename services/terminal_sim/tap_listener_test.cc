#include "services/terminal_sim/tap_listener.h"

#include <memory>
#include <string>
#include <utility>

#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace arc::terminal_sim {
namespace {

class TapListenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto journal = Journal::Open(folder_.File("journal.jsonl"));
    ASSERT_THAT(journal, IsOk());
    Device::Options options;
    options.kiosk_id = subjects::kDefaultKioskId;
    options.clock = &clock_;
    auto device = Device::Start(*std::move(journal), std::move(options));
    ASSERT_THAT(device, IsOk());
    device_ = *std::move(device);
    bus_.ProvisionDefault();
    auto listener = TapListener::Start(bus_, *device_);
    ASSERT_THAT(listener, IsOk());
    listener_ = *std::move(listener);
  }
  void TearDown() override {
    listener_.reset();
    device_.reset();
  }
  void Create(const std::string& key, const std::string& kiosk_id = "") {
    CreateRequest request;
    request.key = key;
    request.amount = 100;
    request.currency = "USD";
    request.kiosk_id = kiosk_id;
    bool created = false;
    ASSERT_THAT(device_->Create(request, &created), IsOk());
  }
  void Publish(const std::string& subject, const std::string& payload, const std::string& kiosk_header = "") {
    bus::Message message;
    message.subject = subject;
    message.body = "{\"payload\":" + payload + "}";
    if (!kiosk_header.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_header);
    ASSERT_THAT(bus_.Publish(message), IsOk());
    bus_.RunUntilIdle();
  }
  State StateOf(const std::string& key) { return device_->GetByKey(key)->state; }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  testing_support::TempDir folder_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<TapListener> listener_;
};

constexpr char kVisa[] = R"({"event":"card","action":"tap","token":"tok_visa"})";

TEST_F(TapListenerTest, ATapOnTheBusPaysAtTheDefaultKiosk) {
  Create("here");
  Create("there", "kiosk-007");
  Publish("kiosk.input.card", kVisa);
  EXPECT_EQ(StateOf("here"), State::kSucceeded);
  EXPECT_EQ(StateOf("there"), State::kWaitingForCard);
}

TEST_F(TapListenerTest, AScopedSubjectOrTheHeaderNameAnotherKiosk) {
  Create("there", "kiosk-007");
  Publish("kiosk.input.card.kiosk-007", kVisa);
  EXPECT_EQ(StateOf("there"), State::kSucceeded);
  Create("there again", "kiosk-007");
  Publish("kiosk.input.card", kVisa, "kiosk-007");
  EXPECT_EQ(StateOf("there again"), State::kSucceeded);
}

TEST_F(TapListenerTest, AnOrderIdChoosesAmongSeveral) {
  Create("a");
  Create("b");
  Publish("kiosk.input.card", kVisa);
  EXPECT_EQ(device_->taps_ignored(), 1);
  Publish("kiosk.input.card", R"({"event":"card","action":"tap","token":"tok_declined","order_id":"b"})");
  EXPECT_EQ(StateOf("a"), State::kWaitingForCard);
  EXPECT_EQ(StateOf("b"), State::kDeclined);
}

TEST_F(TapListenerTest, WhatIsNoTapDoesNothing) {
  Create("here");
  for (const char* payload :
       {"1", "{}", "{\"token\":\"\"}", R"({"event":"cash","token":"tok_visa"})",
        R"({"action":"swipe","token":"tok_visa"})", R"({"event":"card","action":"tap","token":7})", "{"}) {
    Publish("kiosk.input.card", payload);
    EXPECT_EQ(StateOf("here"), State::kWaitingForCard) << payload;
  }
}

}  // namespace
}  // namespace arc::terminal_sim
