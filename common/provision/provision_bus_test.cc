// Provisioning and diagnosis against a real nats-server.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/provision/doctor.h"
#include "common/provision/jetstream_api.h"
#include "common/provision/provision.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"

namespace arc::provision {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::NatsServer;
using testing_support::Signal;

constexpr absl::Duration kLimit = absl::Seconds(20);

std::unique_ptr<bus::NatsBus> Connect(const NatsServer& server) {
  bus::NatsOptions options;
  options.url = server.url();
  options.name = "test";
  auto bus = bus::NatsBus::Connect(SystemClock::Get(), options);
  EXPECT_THAT(bus, IsOk());
  EXPECT_TRUE((*bus)->AwaitConnected(kLimit));
  return *std::move(bus);
}

Topology DefaultTopology() {
  auto topology = ParseTopology(DefaultTopologyText());
  EXPECT_THAT(topology, IsOk());
  return *std::move(topology);
}

class ProvisionTest : public testing::Test {
 protected:
  NatsServer server_;
  std::unique_ptr<bus::NatsBus> bus_ = Connect(server_);
  Topology topology_ = DefaultTopology();
  JetStreamApi api_{*bus_};
};

TEST_F(ProvisionTest, CreatesEverythingOnceAndThenNothing) {
  const auto first = Provision(*bus_, topology_);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(first->created, SizeIs(topology_.streams.size() + topology_.consumers.size()));
  EXPECT_TRUE(first->ok());
  const auto second = Provision(*bus_, topology_);
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT(second->created, IsEmpty());
  EXPECT_THAT(second->differences, IsEmpty());
  EXPECT_THAT(second->unchanged, SizeIs(first->created.size()));
}

TEST_F(ProvisionTest, AConsumerThatIsSentItsMessages) {
  ASSERT_THAT(Provision(*bus_, topology_), IsOk());
  Consumer archive;
  archive.stream = "KIOSK_EVENTS";
  archive.agent = "archive";
  archive.config.durable_name = "archive-consumer";
  archive.config.deliver_subject = "archive.events";
  archive.config.max_waiting = 0;
  topology_.consumers.push_back(archive);
  const auto created = Provision(*bus_, topology_);
  ASSERT_THAT(created, IsOk());
  EXPECT_THAT(created->created, ElementsAre("consumer KIOSK_EVENTS > archive-consumer"));
  const auto again = Provision(*bus_, topology_);
  ASSERT_THAT(again, IsOk());
  EXPECT_THAT(again->differences, IsEmpty());

  Signal arrived;
  bool seen = false;
  const auto subscription = bus_->Subscribe("archive.events", "", [&](const bus::Message& message) {
    arrived.Set([&] { seen = message.body == "{}"; });
  });
  ASSERT_THAT(subscription, IsOk());
  bus::Message event;
  event.subject = "kiosk.session.started";
  event.body = "{}";
  ASSERT_THAT(bus_->Publish(event), IsOk());
  EXPECT_TRUE(arrived.Await("the event", kLimit, [&] { return seen; }));
}

TEST_F(ProvisionTest, BucketsAreUsableAsKeyValueStores) {
  ASSERT_THAT(Provision(*bus_, topology_), IsOk());
  for (const std::string& name : topology_.buckets) {
    auto bucket = bus_->OpenBucket(name);
    ASSERT_THAT(bucket, IsOk()) << name;
    ASSERT_THAT((*bucket)->Create("k.1", "one"), IsOk()) << name;
    EXPECT_THAT((*bucket)->Create("k.1", "two"), StatusIs(absl::StatusCode::kAlreadyExists)) << name;
    const auto entry = (*bucket)->Get("k.1");
    ASSERT_THAT(entry, IsOk()) << name;
    EXPECT_EQ(entry->value, "one");
    EXPECT_THAT((*bucket)->Purge("k.1"), IsOk()) << name;
    EXPECT_THAT((*bucket)->Get("k.1"), StatusIs(absl::StatusCode::kNotFound)) << name;
  }
}

TEST_F(ProvisionTest, AddsTheConsumersOfKiosksOneByOne) {
  ASSERT_THAT(Provision(*bus_, topology_), IsOk());
  for (const char* kiosk : {"kiosk-007", "kiosk-008"}) {
    const auto with = ForKiosk(topology_, kiosk);
    ASSERT_THAT(with, IsOk());
    const auto report = Provision(*bus_, *with);
    ASSERT_THAT(report, IsOk());
    EXPECT_THAT(report->created,
                ElementsAre(absl::StrCat("consumer KIOSK_COMMANDS > hardware-agent-consumer-", kiosk),
                            absl::StrCat("consumer KIOSK_COMMANDS > hardware-alias-agent-consumer-", kiosk)));
  }
}

TEST_F(ProvisionTest, SaysWhatDiffersAndLeavesItUntilToldToUpdate) {
  StreamConfig commands = topology_.streams[1];
  ASSERT_EQ(commands.name, "KIOSK_COMMANDS");
  commands.no_ack = false;
  commands.max_age = 60'000'000'000;
  commands.duplicate_window = 60'000'000'000;  // message ids are kept no longer than messages
  ASSERT_THAT(api_.CreateStream(commands), IsOk());
  ConsumerConfig menu = topology_.consumers[0].config;
  ASSERT_EQ(menu.durable_name, "menu-agent-consumer");
  menu.max_deliver = 9;
  ASSERT_THAT(api_.PutConsumer("KIOSK_COMMANDS", menu), IsOk());

  const auto report = Provision(*bus_, topology_);
  ASSERT_THAT(report, IsOk());
  std::vector<std::string> lines;
  for (const Difference& difference : report->differences) lines.push_back(difference.ToString());
  EXPECT_THAT(lines,
              ElementsAre("stream KIOSK_COMMANDS: max_age is 1m, should be 5m",
                          // The server keeps message ids no longer than messages.
                          "stream KIOSK_COMMANDS: duplicate_window is 1m, should be 2m",
                          "stream KIOSK_COMMANDS: no_ack is false, should be true",
                          "consumer KIOSK_COMMANDS > menu-agent-consumer: max_deliver is 9, should be 3"));
  const auto untouched = api_.GetStream("KIOSK_COMMANDS");
  ASSERT_THAT(untouched, IsOk());
  EXPECT_FALSE(untouched->config.no_ack);
  // What was missing is there all the same.
  EXPECT_THAT(api_.GetConsumer("KIOSK_EVENTS", "orchestrator-input-consumer"), IsOk());

  ProvisionOptions update;
  update.update = true;
  const auto updated = Provision(*bus_, topology_, update);
  ASSERT_THAT(updated, IsOk());
  EXPECT_THAT(updated->differences, IsEmpty());
  EXPECT_THAT(updated->updated,
              ElementsAre("stream KIOSK_COMMANDS", "consumer KIOSK_COMMANDS > menu-agent-consumer"));
  const auto again = Provision(*bus_, topology_);
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->ok());
  EXPECT_THAT(again->created, IsEmpty());
}

TEST_F(ProvisionTest, WhatTheServerCannotChangeStaysADifference) {
  StreamConfig commands = topology_.streams[1];
  commands.storage = "file";
  ASSERT_THAT(api_.CreateStream(commands), IsOk());
  ProvisionOptions update;
  update.update = true;
  const auto report = Provision(*bus_, topology_, update);
  ASSERT_THAT(report, IsOk());
  ASSERT_THAT(report->differences, SizeIs(1));
  EXPECT_EQ(report->differences[0].ToString(), "stream KIOSK_COMMANDS: storage is file, should be memory");
}

TEST_F(ProvisionTest, WithoutAServerItSaysSo) {
  server_.Kill();
  ProvisionOptions options;
  options.timeout = absl::Milliseconds(300);
  const auto report = Provision(*bus_, topology_, options);
  EXPECT_THAT(report, Not(IsOk()));
}

TEST(ProvisionWithoutJetStream, SaysSo) {
  // A server whose JetStream is off for the account answers nothing on $JS.API.
  NatsServer server("accounts { A { users = [ {user: u, password: p} ] } }\nno_auth_user: u");
  const auto bus = Connect(server);
  const auto report = Provision(*bus, DefaultTopology());
  EXPECT_THAT(report, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("JetStream")));
}

class KeeperTest : public ProvisionTest {
 protected:
  void SetUp() override {
    // The interval is far beyond the test: what repairs has to be told.
    keeper_ = std::make_unique<Keeper>(
        *bus_, topology_, ProvisionOptions{}, absl::Hours(1),
        [this](const ProvisionReport& report) { signal_.Set([&] { reports_.push_back(report); }); });
    thread_ = std::thread([this] { keeper_->Run(); });
    ASSERT_TRUE(AwaitReport(1));
  }
  void TearDown() override {
    keeper_->Stop();
    thread_.join();
  }
  bool AwaitReport(size_t count) {
    return signal_.Await(absl::StrCat(count, " reports"), kLimit, [&] { return reports_.size() >= count; });
  }
  ProvisionReport LastReport() {
    ProvisionReport report;
    signal_.Read([&] { report = reports_.back(); });
    return report;
  }

  Signal signal_;
  std::vector<ProvisionReport> reports_;
  std::unique_ptr<Keeper> keeper_;
  std::thread thread_;
};

TEST_F(KeeperTest, RestoresTheMemoryStreamAfterTheServerWasKilled) {
  server_.Kill();
  server_.Restart();
  ASSERT_TRUE(AwaitReport(2));
  EXPECT_THAT(
      LastReport().created,
      AllOf(Contains("stream KIOSK_COMMANDS"), Contains("consumer KIOSK_COMMANDS > menu-agent-consumer"),
            Contains("consumer KIOSK_COMMANDS > payment-agent-consumer"),
            // Those of file streams are still there.
            Not(Contains("stream KIOSK_EVENTS")),
            Not(Contains("consumer KIOSK_EVENTS > orchestrator-input-consumer"))));
  const auto now = Provision(*bus_, topology_);
  ASSERT_THAT(now, IsOk());
  EXPECT_THAT(now->created, IsEmpty());
}

TEST_F(KeeperTest, RestoresADeletedConsumerAndStream) {
  ASSERT_THAT(api_.DeleteConsumer("KIOSK_COMMANDS", "menu-agent-consumer"), IsOk());
  ASSERT_TRUE(AwaitReport(2));
  EXPECT_THAT(LastReport().created, ElementsAre("consumer KIOSK_COMMANDS > menu-agent-consumer"));
  ASSERT_THAT(api_.DeleteStream("KIOSK_DEADLETTER"), IsOk());
  ASSERT_TRUE(AwaitReport(3));
  EXPECT_THAT(LastReport().created, ElementsAre("stream KIOSK_DEADLETTER"));
}

class DoctorTest : public ProvisionTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Provision(*bus_, topology_), IsOk());
    options_.watch_pulls = absl::Seconds(5);
    for (const Consumer& consumer : topology_.consumers) Pull(consumer.stream, consumer.config.durable_name);
  }

  // Stands in for an agent: pulls, and keeps what it gets.
  void Pull(const std::string& stream, const std::string& durable) {
    bus::ConsumeOptions options;
    options.stream = stream;
    options.durable = durable;
    pulls_.push_back(bus_->Consume(options, [this](std::shared_ptr<bus::Delivery> delivery) {
      signal_.Set([&] { held_.push_back(std::move(delivery)); });
    }));
  }

  std::vector<Finding> Findings() {
    const auto diagnosis = Diagnose(*bus_, topology_, options_);
    EXPECT_THAT(diagnosis, IsOk());
    return diagnosis.ok() ? diagnosis->findings : std::vector<Finding>();
  }

  static auto Is(const std::string& check, const std::string& object) {
    return AllOf(Field("check", &Finding::check, check), Field("object", &Finding::object, object));
  }

  DoctorOptions options_;
  Signal signal_;
  std::vector<std::shared_ptr<bus::Delivery>> held_;
  std::vector<std::unique_ptr<bus::Consumer>> pulls_;
};

TEST_F(DoctorTest, FindsNothingWhereNothingIsWrong) {
  for (const Finding& finding : Findings()) ADD_FAILURE() << finding.object << ": " << finding.problem;
}

TEST_F(DoctorTest, FindsRequestsThatTheStreamAnswers) {
  StreamConfig commands = topology_.streams[1];
  commands.no_ack = false;
  ASSERT_THAT(api_.UpdateStream(commands), IsOk());
  EXPECT_THAT(Findings(), ElementsAre(Is("differs", "stream KIOSK_COMMANDS"),
                                      Is("request_captured", "stream KIOSK_COMMANDS")));
}

TEST_F(DoctorTest, FindsOverlappingFilters) {
  // nats-server 2.9 refuses a new consumer that overlaps, but not a change that makes one overlap.
  ConsumerConfig mine = topology_.consumers[0].config;
  mine.durable_name = "mine";
  mine.filter_subject = "kiosk.agent.other.>";
  ASSERT_THAT(api_.PutConsumer("KIOSK_COMMANDS", mine), IsOk());
  Pull("KIOSK_COMMANDS", "mine");
  mine.filter_subject = "kiosk.agent.menu.list";
  ASSERT_THAT(api_.PutConsumer("KIOSK_COMMANDS", mine), IsOk());
  EXPECT_THAT(Findings(), Contains(Is("overlapping_filters", "stream KIOSK_COMMANDS")));
}

TEST_F(DoctorTest, FindsAnAckWaitThatIsTooShort) {
  ConsumerConfig mine;
  mine.durable_name = "mine";
  mine.filter_subject = "kiosk.agent.other.>";
  mine.ack_wait = absl::ToInt64Nanoseconds(absl::Seconds(1));
  ASSERT_THAT(api_.PutConsumer("KIOSK_COMMANDS", mine), IsOk());
  Pull("KIOSK_COMMANDS", "mine");
  EXPECT_THAT(Findings(), IsEmpty());  // nobody waits for an answer there
  ASSERT_THAT(api_.DeleteConsumer("KIOSK_COMMANDS", "recsys-agent-consumer"), IsOk());
  mine.filter_subject = "kiosk.agent.recsys.>";
  ASSERT_THAT(api_.PutConsumer("KIOSK_COMMANDS", mine), IsOk());
  EXPECT_THAT(Findings(),
              AllOf(Contains(Is("ack_wait", "consumer KIOSK_COMMANDS > mine")),
                    Contains(Is("missing_consumer", "consumer KIOSK_COMMANDS > recsys-agent-consumer"))));
}

TEST_F(DoctorTest, FindsAConsumerNobodyPullsFrom) {
  options_.watch_pulls = absl::Milliseconds(300);
  pulls_.erase(pulls_.begin());
  ASSERT_TRUE(Await("the server forgets the pull request", kLimit, [&] {
    const auto consumer = api_.GetConsumer("KIOSK_COMMANDS", "menu-agent-consumer");
    return consumer.ok() && consumer->num_waiting == 0;
  }));
  EXPECT_THAT(Findings(), ElementsAre(Is("nobody_pulls", "consumer KIOSK_COMMANDS > menu-agent-consumer")));
}

TEST_F(DoctorTest, FindsAMissingBucket) {
  ASSERT_THAT(api_.DeleteStream("KV_KIOSK_PAYMENTS"), IsOk());
  EXPECT_THAT(Findings(), ElementsAre(Is("missing_bucket", "bucket KIOSK_PAYMENTS")));
}

TEST_F(DoctorTest, FindsACommandThatNoConsumerTakesAndDeadLetters) {
  bus::Message command;
  command.subject = "kiosk.agent.hardware.led.kiosk-009";
  command.body = "{}";
  ASSERT_THAT(bus_->Publish(command), IsOk());
  bus::Message letter;
  letter.subject = "system.deadletter.core.arc-menu";
  letter.body = "{}";
  ASSERT_THAT(bus_->Publish(letter), IsOk());
  ASSERT_THAT(bus_->Flush(kLimit), IsOk());
  ASSERT_TRUE(Await("both are stored", kLimit, [&] {
    const auto commands = api_.GetStream("KIOSK_COMMANDS");
    const auto letters = api_.GetStream("KIOSK_DEADLETTER");
    return commands.ok() && letters.ok() && commands->state.messages == 1 && letters->state.messages == 1;
  }));
  EXPECT_THAT(Findings(), ElementsAre(Is("unclaimed", "stream KIOSK_COMMANDS"),
                                      Is("dead_letters", "stream KIOSK_DEADLETTER")));
}

TEST_F(DoctorTest, FindsLag) {
  pulls_.clear();
  for (int i = 0; i < 5; ++i) {
    bus::Message event;
    event.subject = "kiosk.input.touch";
    event.headers.Set(subjects::kMsgIdHeader, absl::StrCat("m", i));
    event.body = "{}";
    Signal stored;
    bool done = false;
    bus_->PublishEvent(event, kLimit, [&](const absl::Status& status) {
      EXPECT_THAT(status, IsOk());
      stored.Set([&] { done = true; });
    });
    ASSERT_TRUE(stored.Await("the event is stored", kLimit, [&] { return done; }));
  }
  options_.watch_pulls = absl::Milliseconds(200);
  options_.max_lag = 4;
  EXPECT_THAT(Findings(), Contains(Is("lag", "consumer KIOSK_EVENTS > orchestrator-input-consumer")));
  options_.max_lag = 5;
  EXPECT_THAT(Findings(), Not(Contains(Is("lag", "consumer KIOSK_EVENTS > orchestrator-input-consumer"))));
}

}  // namespace
}  // namespace arc::provision
