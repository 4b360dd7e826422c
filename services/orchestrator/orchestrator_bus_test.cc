// The agent's binary on a real nats-server; the agents that it calls are responders in this test, as a
// foreign client would be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/envelope/envelope.h"
#include "common/messages/hardware.h"
#include "common/messages/payment.h"
#include "common/messages/ui.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "services/orchestrator/state.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::orchestrator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::Process;

constexpr absl::Duration kPatience = absl::Seconds(30);

class OrchestratorBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    Serve("kiosk.agent.menu.list", [](const ParsedMessage&) -> std::string {
      return R"({"status":"success","currency":"USD","categories":[{"id":"burgers","name":"Burgers","items":[
        {"id":101,"name":"Volcano Burger","price":12.99,"image":"","tags":["popular"],"available":true}]}]})";
    });
    Serve("kiosk.agent.menu.details", [](const ParsedMessage&) -> std::string {
      return R"({"status":"success","item":{"id":101,"name":"Volcano Burger","price":12.99,"customizations":[]}})";
    });
    Serve("kiosk.agent.recsys.suggest",
          [](const ParsedMessage&) -> std::string { return R"({"status":"success","suggestions":[]})"; });
    Serve("kiosk.agent.hardware.>",
          [](const ParsedMessage&) -> std::string { return R"({"status":"success","order_id":"x"})"; });
    Serve("kiosk.agent.payment.*", [this](const ParsedMessage& request) -> std::string {
      const auto process = DecodePayload<messages::ProcessPaymentRequest>(request);
      std::lock_guard<std::mutex> lock(mutex_);
      const auto status = DecodePayload<messages::PaymentStatusRequest>(request);
      const std::string order_id = process.ok() ? process->order_id : status.ok() ? status->order_id : "";
      if (process.ok()) charged_[order_id] = process->total.ToString();
      if (charged_.count(order_id) == 0) {
        return R"({"status":"none","amount_charged":0,"loyalty_points_earned":0})";
      }
      return absl::StrCat(R"({"status":"success","transaction_id":"txn-1","amount_charged":)",
                          charged_[order_id],
                          R"(,"loyalty_points_earned":1,"receipt_url":"/receipts/txn-1.pdf","error":null})");
    });
  }

  void TearDown() override {
    processes_.clear();
    subscriptions_.clear();
  }

  void Serve(absl::string_view subject, const std::function<std::string(const ParsedMessage&)>& answer) {
    auto subscription = bus_->Subscribe(subject, "", [this, answer](const bus::Message& message) {
      const auto request = ParseMessage(message.body, SystemClock::Get().Now());
      if (!request.ok() || message.reply.empty()) return;
      bus::Message reply;
      reply.subject = message.reply;
      reply.body = WrapPayload(MakeEnvelope(SystemClock::Get().Now(), ""), answer(*request));
      EXPECT_THAT(bus_->Publish(reply), IsOk());
    });
    ASSERT_THAT(subscription.status(), IsOk());
    subscriptions_.push_back(*std::move(subscription));
  }

  Process& StartCopy() {
    const std::string ready = folder_.File(absl::StrCat("ready", ++starts_));
    auto process = Process::Start({absl::StrCat(ARC_BIN_DIR, "/arc-orchestrator"),
                                   "--nats_url=" + server_.url(), "--ready_file=" + ready});
    EXPECT_THAT(process.status(), IsOk());
    EXPECT_TRUE((*process)->AwaitFile(ready, kPatience));
    processes_.push_back(*std::move(process));
    return *processes_.back();
  }

  // Stores an event; it is in the stream when this returns.
  void Event(absl::string_view subject, absl::string_view payload) {
    testing_support::Signal signal;
    absl::Status status;
    bool done = false;
    const Envelope envelope = MakeEnvelope(SystemClock::Get().Now(), "");
    bus::PublishEvent(*bus_, subject, envelope, payload, "", [&](absl::Status stored) {
      signal.Set([&] {
        status = std::move(stored);
        done = true;
      });
    });
    ASSERT_TRUE(signal.Await("the event is stored", kPatience, [&] { return done; }));
    ASSERT_THAT(status, IsOk());
  }
  void Touch(absl::string_view action) {
    Event(subjects::kTouch, absl::StrCat(R"({"event":"touch","action":")", action, "\"}"));
  }
  void Add(int quantity, absl::string_view subject = subjects::kCartAction) {
    Event(subject,
          absl::StrCat(R"({"event":"cart_action","action":"add","item_id":101,"quantity":)", quantity, "}"));
  }

  KioskState State(absl::string_view kiosk_id = "kiosk-001") {
    auto bucket = bus_->OpenBucket(subjects::kSessionsBucket);
    if (!bucket.ok()) return {};
    const auto entry = (*bucket)->Get(absl::StrCat("kiosk.", kiosk_id));
    if (!entry.ok()) return {};
    const auto state = json::Decode<KioskState>(entry->value);
    EXPECT_THAT(state, IsOk());
    return state.value_or(KioskState{});
  }
  int64_t Quantity(absl::string_view kiosk_id = "kiosk-001") {
    int64_t quantity = 0;
    for (const CartLine& line : State(kiosk_id).cart) quantity += line.quantity;
    return quantity;
  }
  bool AwaitState(SessionState state) {
    return Await(absl::StrCat("state ", EnumNames(state)[static_cast<size_t>(state)]), kPatience,
                 [&] { return State().state == state; });
  }

  std::vector<std::string> Stored(absl::string_view subject) {
    std::vector<std::string> payloads;
    uint64_t from = 1;
    for (;;) {
      const auto stored = bus_->NextStored(subjects::kEventsStream, subject, from);
      if (!stored.ok()) break;
      from = stored->sequence + 1;
      payloads.push_back(
          json::Encode(ParseMessage(stored->message.body, SystemClock::Get().Now())->payload()));
    }
    return payloads;
  }

  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
  std::vector<std::unique_ptr<Process>> processes_;
  int starts_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::string> charged_;
};

TEST_F(OrchestratorBusTest, AnOrderSurvivesTheDeathOfTheLeaderAtAnyMoment) {
  Process& first = StartCopy();
  StartCopy();
  Event(subjects::kPersonDetected, R"({"event":"person_detected"})");
  ASSERT_TRUE(AwaitState(SessionState::kBrowsing));
  for (int i = 0; i < 20; ++i) Add(1);
  first.Kill();  // somewhere within these twenty
  for (int i = 0; i < 10; ++i) Add(1);
  ASSERT_TRUE(Await("the standby has applied every input once", kPatience, [&] { return Quantity() >= 30; }));
  Touch("checkout");
  Touch("confirm_payment");
  ASSERT_TRUE(AwaitState(SessionState::kPaid));
  Touch("done");
  ASSERT_TRUE(AwaitState(SessionState::kAttract));
  // A state is written before what follows from it is said.
  ASSERT_TRUE(
      Await("the session's end", kPatience, [&] { return !Stored(subjects::kSessionEnded).empty(); }));
  const auto completed = Stored(subjects::kOrderCompleted);
  ASSERT_THAT(completed, SizeIs(1));
  EXPECT_THAT(completed[0], HasSubstr("\"quantity\":30"));
  EXPECT_THAT(Stored(subjects::kSessionStarted), SizeIs(1));
  EXPECT_THAT(Stored(subjects::kSessionEnded), SizeIs(1));
  EXPECT_THAT(charged_, SizeIs(1));
}

TEST_F(OrchestratorBusTest, AloneItGoesOnAfterKillNine) {
  for (int round = 1; round <= 4; ++round) {
    Process& copy = StartCopy();
    for (int i = 0; i < 5; ++i) Add(1);
    if (round % 2 == 0) {
      ASSERT_TRUE(Await("some inputs are applied", kPatience, [&] { return Quantity() >= 5 * round - 3; }));
    }
    copy.Kill();
  }
  StartCopy();
  ASSERT_TRUE(Await("every input is applied", kPatience, [&] { return Quantity() >= 20; }));
  Touch("show_cart");
  ASSERT_TRUE(AwaitState(SessionState::kCart));
  EXPECT_EQ(Quantity(), 20);
}

TEST_F(OrchestratorBusTest, GoesOnWhenNatsServerIsKilledAndRestarted) {
  StartCopy();
  Add(1);
  ASSERT_TRUE(Await("the first input is applied", kPatience, [&] { return Quantity() == 1; }));
  server_.Kill();
  server_.Restart();
  ASSERT_TRUE(bus_->AwaitConnected(kPatience));
  server_.Provision();  // KIOSK_COMMANDS lives in memory
  Add(2);
  Add(3);
  ASSERT_TRUE(Await("the inputs after the restart are applied", kPatience, [&] { return Quantity() >= 6; }));
  Touch("show_cart");
  ASSERT_TRUE(AwaitState(SessionState::kCart));
  EXPECT_EQ(Quantity(), 6);
}

TEST_F(OrchestratorBusTest, AnswersSnapshotsAndScopedKiosks) {
  StartCopy();
  Process& second = StartCopy();
  Add(2, "kiosk.input.cart_action.kiosk-007");
  ASSERT_TRUE(Await("the scoped kiosk has its cart", kPatience, [&] { return Quantity("kiosk-007") == 2; }));
  EXPECT_FALSE(Stored("kiosk.ui.update.kiosk-007").empty());
  EXPECT_THAT(Stored(subjects::kUiUpdate), IsEmpty());
  messages::SnapshotRequest request;
  request.kiosk_id = "kiosk-007";
  for (int i = 0; i < 6; ++i) {
    bus::CallContext context;
    context.timeout = kPatience;
    const auto snapshot = bus::CallAndWait<messages::SnapshotResponse>(*bus_, subjects::kOrchestratorSnapshot,
                                                                       request, context);
    ASSERT_THAT(snapshot, IsOk());
    EXPECT_EQ(snapshot->state, "browsing");
    EXPECT_EQ(snapshot->cart.total.ToString(), "25.98");
  }
  // An orderly end of the standby disturbs nobody.
  second.Send(SIGTERM);
  EXPECT_EQ(second.WaitExit(kPatience), 0);
}

TEST_F(OrchestratorBusTest, BadInputOfEveryKindIsBuriedAndNothingStops) {
  StartCopy();
  const std::vector<std::string> bodies = {
      "",
      "{",
      "[]",
      "\"x\"",
      "{\"payload\":1}",
      R"({"payload":{"action":1}})",
      R"({"payload":{"action":"start","item_id":-1}})",
      R"({"payload":{"action":"start","item_id":1e300}})",
      std::string("{\"payload\":{\"action\":\"st\0art\"}}", 31),
      "{\"payload\":{\"action\":\"\xff\xfe\"}}",
      std::string(40, '[') + std::string(40, ']'),
      absl::StrCat("{\"payload\":{\"action\":\"", std::string(900000, 'x'), "\"}}")};
  for (const std::string& body : bodies) {
    ASSERT_THAT(bus_->Publish({subjects::kTouch, "", {}, body}), IsOk());
  }
  Add(1);
  ASSERT_TRUE(Await("the good input behind them is applied", kPatience, [&] { return Quantity() == 1; }));
  size_t buried = 0;
  ASSERT_TRUE(Await("every bad one is a dead letter", kPatience,
                    [&] {
                      buried = 0;
                      uint64_t from = 1;
                      for (;;) {
                        const auto stored =
                            bus_->NextStored(subjects::kDeadLetterStream, "system.deadletter.>", from);
                        if (!stored.ok()) return buried == bodies.size();
                        from = stored->sequence + 1;
                        ++buried;
                      }
                    }))
      << buried << " dead letters";
}

}  // namespace
}  // namespace arc::orchestrator
