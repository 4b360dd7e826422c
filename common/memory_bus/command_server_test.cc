// What ran out of deliveries, on a bus in memory. Everything else of the command server: tests/bus.
#include "common/bus/command_server.h"

#include <memory>
#include <string>

#include "common/bus/call.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::bus {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Payments have one delivery each: none may begin twice.
class CommandServerTest : public ::testing::Test {
 protected:
  CommandServerTest() {
    bus_.ProvisionDefault();
    StartAgent();
  }

  void StartAgent() {
    server_ = std::make_unique<CommandServer>(bus_, executor_, "payment", "arc-payment");
    server_->Handle(subjects::kPaymentProcess, Execution::kInline,
                    [this](const json::Node&, const RequestContext&) -> absl::StatusOr<std::string> {
                      ++handled_;
                      return std::string("{\"status\":\"success\"}");
                    });
    EXPECT_THAT(server_->Start({{"payment-agent-consumer", "kiosk.agent.payment.>"}}), IsOk());
  }

  // A payment that is carried out and answered, and whose ack is lost.
  void PayAndLoseTheAck() {
    bus_.LoseAcks(1);
    bool answered = false;
    CallRaw(bus_, subjects::kPaymentProcess, "{}", {},
            [&](const absl::StatusOr<ParsedMessage>& answer) { answered = answer.ok(); });
    bus_.RunUntilIdle();
    ASSERT_TRUE(answered);
    ASSERT_EQ(handled_, 1);
    ASSERT_THAT(bus_.Stored(subjects::kCommandsStream), SizeIs(1));
  }

  // The server, which heard of no end, says that there will be no further delivery.
  void EndOfDeliveries() {
    clock_.Advance(absl::Seconds(31));
    EXPECT_TRUE(bus_.RunUntil([this] { return bus_.Stored(subjects::kCommandsStream).empty(); }));
    EXPECT_EQ(handled_, 1);
  }

  ManualClock clock_;
  MemoryBus bus_{clock_};
  Executor executor_;
  int handled_ = 0;
  std::unique_ptr<CommandServer> server_;
};

TEST_F(CommandServerTest, WhatItHasEndedIsNoDeadLetterWhenTheAckIsLost) {
  PayAndLoseTheAck();
  EndOfDeliveries();
  EXPECT_THAT(bus_.Stored(subjects::kDeadLetterStream), IsEmpty());
}

TEST_F(CommandServerTest, WhatAnAgentThatIsGoneMayHaveEndedIsADeadLetter) {
  PayAndLoseTheAck();
  server_.reset();
  StartAgent();
  EndOfDeliveries();
  const auto letters = bus_.Stored(subjects::kDeadLetterStream);
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_THAT(letters[0].message.body, HasSubstr("ended while it worked on this"));
}

}  // namespace
}  // namespace arc::bus
