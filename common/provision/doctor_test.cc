#include "common/provision/doctor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::provision {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JudgeTest : public testing::Test {
 protected:
  // A fleet in which everything is as the file says and every consumer is pulled from.
  void SetUp() override {
    auto topology = ParseTopology(DefaultTopologyText());
    ASSERT_THAT(topology, IsOk());
    topology_ = *std::move(topology);
    for (const StreamConfig& stream : topology_.streams) {
      StreamInfo info;
      info.config = stream;
      seen_.streams.push_back(info);
    }
    for (const Consumer& consumer : topology_.consumers) AddConsumer(consumer.stream, consumer.config);
    for (const char* name : {"menu", "recsys", "payment", "orchestrator", "hardware", "voice"}) {
      ServiceStats service;
      service.name = name;
      service.id = name;
      seen_.services.push_back(service);
    }
  }

  ObservedConsumer& AddConsumer(const std::string& stream, const ConsumerConfig& config) {
    ObservedConsumer consumer;
    consumer.state.stream_name = stream;
    consumer.state.name = config.durable_name;
    consumer.state.config = config;
    consumer.pulled = true;
    seen_.consumers.push_back(consumer);
    return seen_.consumers.back();
  }

  ObservedConsumer& FindConsumer(absl::string_view name) {
    return *std::find_if(seen_.consumers.begin(), seen_.consumers.end(),
                         [&](const ObservedConsumer& consumer) { return consumer.state.name == name; });
  }
  StreamInfo& FindStream(absl::string_view name) {
    return *std::find_if(seen_.streams.begin(), seen_.streams.end(),
                         [&](const StreamInfo& stream) { return stream.config.name == name; });
  }

  static ConsumerConfig Config(const std::string& name, const std::string& filter, absl::Duration ack_wait) {
    ConsumerConfig config;
    config.durable_name = name;
    config.filter_subject = filter;
    config.ack_wait = absl::ToInt64Nanoseconds(ack_wait);
    return config;
  }

  std::vector<Finding> Findings() { return Judge(topology_, seen_, options_).findings; }

  Topology topology_;
  Observation seen_;
  DoctorOptions options_;
};

auto Is(absl::string_view check, absl::string_view object, absl::string_view problem) {
  return AllOf(Field("check", &Finding::check, std::string(check)),
               Field("object", &Finding::object, std::string(object)),
               Field("problem", &Finding::problem, HasSubstr(std::string(problem))));
}

TEST_F(JudgeTest, NothingIsWrongWithAFleetAsTheFileSays) {
  const Diagnosis diagnosis = Judge(topology_, seen_, options_);
  EXPECT_THAT(diagnosis.findings, IsEmpty());
  EXPECT_TRUE(diagnosis.ok);
  EXPECT_EQ(diagnosis.agents, 6);
  EXPECT_EQ(diagnosis.consumers, 12);
}

TEST_F(JudgeTest, WhatIsMissing) {
  seen_.streams.erase(seen_.streams.begin() + (&FindStream("KV_KIOSK_MENU") - seen_.streams.data()));
  seen_.streams.erase(seen_.streams.begin() + (&FindStream("KIOSK_DEADLETTER") - seen_.streams.data()));
  seen_.consumers.erase(seen_.consumers.begin() +
                        (&FindConsumer("menu-agent-consumer") - seen_.consumers.data()));
  EXPECT_THAT(Findings(), ElementsAre(Is("missing_stream", "stream KIOSK_DEADLETTER", "does not exist"),
                                      Is("missing_bucket", "bucket KIOSK_MENU", "does not exist"),
                                      Is("missing_consumer", "consumer KIOSK_COMMANDS > menu-agent-consumer",
                                         "does not exist")));
}

TEST_F(JudgeTest, ARequestSubjectCapturedWithoutNoAck) {
  FindStream("KIOSK_COMMANDS").config.no_ack = false;
  EXPECT_THAT(Findings(),
              ElementsAre(Is("differs", "stream KIOSK_COMMANDS", "no_ack is false, should be true"),
                          Is("request_captured", "stream KIOSK_COMMANDS", "kiosk.agent.>")));
}

TEST_F(JudgeTest, AForeignStreamThatCapturesRequests) {
  StreamInfo foreign;
  foreign.config.name = "AUDIT";
  foreign.config.subjects = {"kiosk.*.payment.*"};
  seen_.streams.push_back(foreign);
  EXPECT_THAT(Findings(), ElementsAre(Is("request_captured", "stream AUDIT", "kiosk.*.payment.*")));
  seen_.streams.back().config.no_ack = true;
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(JudgeTest, OverlappingFiltersOfAWorkQueue) {
  AddConsumer("KIOSK_COMMANDS", Config("mine", "kiosk.agent.menu.search", absl::Seconds(5)));
  EXPECT_THAT(Findings(), ElementsAre(Is("overlapping_filters", "stream KIOSK_COMMANDS",
                                         "menu-agent-consumer (kiosk.agent.menu.>) and mine")));
}

TEST_F(JudgeTest, AForeignReaderOfEventsTakesNothingAway) {
  AddConsumer("KIOSK_EVENTS", Config("mine", "kiosk.input.>", absl::Seconds(5)));
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(JudgeTest, AnAgentThatReadsTheSameEventsTwice) {
  FindConsumer("voice-scoped-text-consumer").state.config.filter_subject = "kiosk.input.*";
  EXPECT_THAT(Findings(),
              Contains(Is("overlapping_filters", "stream KIOSK_EVENTS", "messages are handled twice")));
}

TEST_F(JudgeTest, AnAckWaitShorterThanTheRequestsTimeout) {
  StreamInfo foreign;
  foreign.config.name = "OTHER";
  foreign.config.subjects = {"kiosk.agent.payment.process"};
  foreign.config.no_ack = true;
  seen_.streams.push_back(foreign);
  AddConsumer("OTHER", Config("slow", "", absl::Seconds(29)));
  EXPECT_THAT(Findings(),
              ElementsAre(Is("ack_wait", "consumer OTHER > slow", "ack_wait 29s is shorter than the 30s")));
  FindConsumer("slow").state.config.ack_wait = absl::ToInt64Nanoseconds(absl::Seconds(30));
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(JudgeTest, AShortAckWaitIsFineWithInProgressAcks) {
  // The 5 s of the hardware agent's consumers are far below the 5 minutes of a receipt.
  EXPECT_THAT(Findings(), IsEmpty());
  for (Consumer& consumer : topology_.consumers) {
    if (consumer.agent == "hardware") consumer.in_progress_acks = false;
  }
  EXPECT_THAT(Findings(),
              ElementsAre(Is("ack_wait", "consumer KIOSK_COMMANDS > hardware-agent-consumer", "5m"),
                          Is("ack_wait", "consumer KIOSK_COMMANDS > hardware-alias-agent-consumer", "5m")));
}

TEST_F(JudgeTest, AConsumerNobodyPullsFrom) {
  FindConsumer("payment-agent-consumer").pulled = false;
  auto findings = Findings();
  ASSERT_THAT(findings,
              ElementsAre(Is("nobody_pulls", "consumer KIOSK_COMMANDS > payment-agent-consumer", "")));
  EXPECT_THAT(findings[0].advice, HasSubstr("run but none pulls"));
  seen_.services.erase(std::remove_if(seen_.services.begin(), seen_.services.end(),
                                      [](const ServiceStats& service) { return service.name == "payment"; }),
                       seen_.services.end());
  findings = Findings();
  ASSERT_THAT(findings,
              ElementsAre(Is("nobody_pulls", "consumer KIOSK_COMMANDS > payment-agent-consumer", "")));
  EXPECT_THAT(findings[0].advice, HasSubstr("start the agent payment"));
}

TEST_F(JudgeTest, StuckMessages) {
  ObservedConsumer& consumer = FindConsumer("payment-agent-consumer");
  consumer.oldest_age = absl::Seconds(59);
  consumer.oldest_sequence = 7;
  consumer.oldest_subject = "kiosk.agent.payment.process";
  consumer.state.delivered.stream_seq = 7;
  EXPECT_THAT(Findings(), IsEmpty());  // within twice its ack_wait of 30 s
  FindConsumer("payment-agent-consumer").oldest_age = absl::Seconds(61);
  EXPECT_THAT(Findings(),
              ElementsAre(Is("stuck", "consumer KIOSK_COMMANDS > payment-agent-consumer",
                             "message 7 on kiosk.agent.payment.process is 1m1s old and was delivered")));
  FindConsumer("payment-agent-consumer").state.delivered.stream_seq = 6;
  EXPECT_THAT(Findings(), ElementsAre(Is("stuck", "consumer KIOSK_COMMANDS > payment-agent-consumer",
                                         "was never delivered")));
  // One reason is enough.
  FindConsumer("payment-agent-consumer").pulled = false;
  EXPECT_THAT(Findings(),
              ElementsAre(Is("nobody_pulls", "consumer KIOSK_COMMANDS > payment-agent-consumer", "")));
}

TEST_F(JudgeTest, LagBeyondTheLimit) {
  FindConsumer("orchestrator-input-consumer").state.num_pending = 1000;
  EXPECT_THAT(Findings(), IsEmpty());
  FindConsumer("orchestrator-input-consumer").state.num_pending = 1001;
  EXPECT_THAT(Findings(), ElementsAre(Is("lag", "consumer KIOSK_EVENTS > orchestrator-input-consumer",
                                         "1001 messages wait")));
}

TEST_F(JudgeTest, MessagesThatNoConsumerTakes) {
  seen_.queued["KIOSK_COMMANDS"]["kiosk.agent.menu.search"] = 3;
  EXPECT_THAT(Findings(), IsEmpty());
  seen_.queued["KIOSK_COMMANDS"]["kiosk.agent.hardware.led.kiosk-009"] = 2;
  EXPECT_THAT(Findings(), ElementsAre(Is("unclaimed", "stream KIOSK_COMMANDS",
                                         "2 messages on kiosk.agent.hardware.led.kiosk-009")));
}

TEST_F(JudgeTest, AWorkQueueThatFillsTheServersMemory) {
  for (StreamInfo& stream : seen_.streams) stream.state.bytes = (64 << 20) - 1;
  EXPECT_THAT(Findings(), IsEmpty());
  for (StreamInfo& stream : seen_.streams) stream.state.bytes = 200 << 20;
  EXPECT_THAT(Findings(), ElementsAre(Is("swollen", "stream KIOSK_COMMANDS", "holds 200 MB")));
}

TEST_F(JudgeTest, ANodeOfTheClusterThatIsAway) {
  Replica well{"nats", true, false, absl::ToInt64Nanoseconds(absl::Seconds(1))};
  Replica behind{"nats-2", false, false, absl::ToInt64Nanoseconds(absl::Seconds(10))};
  for (StreamInfo& stream : seen_.streams) stream.cluster = {"nats-3", {well, behind}};
  EXPECT_THAT(Findings(), IsEmpty());
  FindStream("KIOSK_EVENTS").cluster.replicas[1].active += 1;
  EXPECT_THAT(Findings(), ElementsAre(Is("node_away", "node nats-2", "has a copy of 1 stream")));
  FindStream("KIOSK_COMMANDS").cluster.replicas[1].offline = true;
  EXPECT_THAT(Findings(), ElementsAre(Is("node_away", "node nats-2", "has a copy of 2 streams")));
}

TEST_F(JudgeTest, ConsumersOfAKioskWithSubjectsOfItsOwnAreKnown) {
  const auto with = ForKiosk(topology_, "kiosk-007");
  ASSERT_THAT(with, IsOk());
  for (size_t i = topology_.consumers.size(); i < with->consumers.size(); ++i) {
    AddConsumer(with->consumers[i].stream, with->consumers[i].config);
  }
  EXPECT_THAT(Findings(), IsEmpty());
  FindConsumer("hardware-agent-consumer-kiosk-007").pulled = false;
  FindConsumer("hardware-agent-consumer-kiosk-007").state.config.max_deliver = 9;
  EXPECT_THAT(
      Findings(),
      testing::UnorderedElementsAre(
          Is("nobody_pulls", "consumer KIOSK_COMMANDS > hardware-agent-consumer-kiosk-007", ""),
          Is("differs", "consumer KIOSK_COMMANDS > hardware-agent-consumer-kiosk-007", "max_deliver is 9")));
}

TEST_F(JudgeTest, DeadLettersWait) {
  FindStream("KIOSK_DEADLETTER").state.messages = 1;
  EXPECT_THAT(Findings(), ElementsAre(Is("dead_letters", "stream KIOSK_DEADLETTER", "1 dead letter wait")));
}

}  // namespace
}  // namespace arc::provision
