// Events, buckets and lost connections on a real nats-server: DESIGN 3.2, 3.4 and the kiosk specification,
// table 2.3.
#include <map>
#include <thread>

#include "common/bus/ordered_consumer.h"
#include "tests/bus/bus_fixture.h"

namespace arc::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Publishes one event and waits for its confirmation.
absl::Status Store(Bus& bus, absl::string_view subject, absl::string_view msg_id, absl::string_view body) {
  struct Shared {
    testing_support::Signal signal;
    std::optional<absl::Status> status;
  };
  auto shared = std::make_shared<Shared>();
  Message message;
  message.subject = std::string(subject);
  message.headers.Set(subjects::kMsgIdHeader, msg_id);
  message.body = std::string(body);
  bus.PublishEvent(std::move(message), absl::Seconds(15), [shared](absl::Status status) {
    shared->signal.Set([&] { shared->status = std::move(status); });
  });
  if (!shared->signal.Await("the event's confirmation", absl::Seconds(30),
                            [&] { return shared->status.has_value(); })) {
    return absl::DeadlineExceededError("no confirmation");
  }
  return *shared->status;
}

// Reads events in order and keeps the bodies; done() is called where `finish` says so.
class Reader {
 public:
  Reader(Bus& bus, std::function<bool(const std::string&)> finish) : finish_(std::move(finish)) {
    consumer_ = ConsumeInOrder(bus, {subjects::kEventsStream, "orchestrator-input-consumer", 256},
                               [this](const StreamEvent& event) {
                                 if (finish_(event.message.body)) event.done();
                                 signal_.Set([&] { bodies_.push_back(event.message.body); });
                               });
  }
  bool AwaitCount(size_t count) {
    return signal_.Await(absl::StrCat(count, " events"), absl::Seconds(20),
                         [&] { return bodies_.size() >= count; });
  }
  std::vector<std::string> bodies() {
    std::vector<std::string> copy;
    signal_.Read([&] { copy = bodies_; });
    return copy;
  }
  OrderedConsumer& consumer() { return *consumer_; }

 private:
  const std::function<bool(const std::string&)> finish_;
  testing_support::Signal signal_;
  std::vector<std::string> bodies_;
  std::unique_ptr<OrderedConsumer> consumer_;
};

std::vector<std::string> Numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i <= to; ++i) all.push_back(absl::StrCat(i));
  return all;
}

// "On events set it to msg_id, so that a publisher's retry is stored once."
TEST_F(BusTest, ARetriedEventIsStoredOnce) {
  const auto bus = Connect();
  ASSERT_THAT(Store(*bus, subjects::kTouch, "m1", "1"), IsOk());
  ASSERT_THAT(Store(*bus, subjects::kTouch, "m1", "1"), IsOk());
  ASSERT_THAT(Store(*bus, subjects::kTouch, "m2", "2"), IsOk());
  EXPECT_EQ(Messages(*bus, subjects::kEventsStream), 2);
}

TEST_F(BusTest, BothFormsOfAKiosksSubjectAreCaptured) {
  const auto bus = Connect();
  ASSERT_THAT(Store(*bus, "kiosk.input.touch", "m1", "1"), IsOk());
  ASSERT_THAT(Store(*bus, "kiosk.input.touch.kiosk-007", "m2", "2"), IsOk());
  EXPECT_EQ(Messages(*bus, subjects::kEventsStream), 2);
}

TEST_F(BusTest, AnEventOutlivesTheServersRestart) {
  const auto bus = Connect();
  server_.Kill();
  ASSERT_TRUE(Await("the bus to notice", kSoon, [&] { return !bus->connected(); }));
  testing_support::Signal signal;
  std::optional<absl::Status> stored;
  Message message;
  message.subject = subjects::kTouch;
  message.headers.Set(subjects::kMsgIdHeader, "m1");
  message.body = "1";
  bus->PublishEvent(std::move(message), absl::Seconds(20),
                    [&](absl::Status status) { signal.Set([&] { stored = std::move(status); }); });
  server_.Restart();
  ASSERT_TRUE(signal.Await("the confirmation", absl::Seconds(30), [&] { return stored.has_value(); }));
  EXPECT_THAT(*stored, IsOk());
  EXPECT_EQ(Messages(*bus, subjects::kEventsStream), 1);
  // Told by another thread than the confirmation.
  EXPECT_TRUE(Await("the reconnect to be counted", kSoon, [&] { return bus->reconnects() >= 1; }));
}

TEST_F(BusTest, EventsComeInOrder) {
  const auto bus = Connect();
  Reader reader(*bus, [](const std::string&) { return true; });
  for (int i = 1; i <= 200; ++i) {
    ASSERT_THAT(Store(*bus, i % 2 == 0 ? "kiosk.input.touch" : "kiosk.input.touch.k2", absl::StrCat("m", i),
                      absl::StrCat(i)),
                IsOk());
  }
  ASSERT_TRUE(reader.AwaitCount(200));
  EXPECT_EQ(reader.bodies(), Numbers(1, 200));
}

// The next reader gets what the dead one left unfinished first, although the server would send it later than
// new ones.
TEST_F(BusTest, AReadersSuccessorStartsWithWhatWasLeft) {
  const auto publisher = Connect();
  for (int i = 1; i <= 10; ++i)
    ASSERT_THAT(Store(*publisher, subjects::kTouch, absl::StrCat("m", i), absl::StrCat(i)), IsOk());
  {
    const auto dying = Connect();
    Reader reader(*dying, [](const std::string& body) { return body == "1" || body == "2"; });
    ASSERT_TRUE(reader.AwaitCount(10));
    ASSERT_THAT(dying->Flush(kSoon), IsOk());
    ASSERT_TRUE(Await("two acks", kSoon, [&] {
      const auto info = publisher->GetConsumerInfo(subjects::kEventsStream, "orchestrator-input-consumer");
      return info.ok() && info->num_ack_pending == 8;
    }));
  }
  for (int i = 11; i <= 15; ++i)
    ASSERT_THAT(Store(*publisher, subjects::kTouch, absl::StrCat("m", i), absl::StrCat(i)), IsOk());
  const auto successor = Connect();
  Reader reader(*successor, [](const std::string&) { return true; });
  ASSERT_TRUE(reader.AwaitCount(13));
  EXPECT_EQ(reader.bodies(), Numbers(3, 15));
  // The redeliveries that come after ack_wait (10 s) are acked and not handed on again.
  ASSERT_TRUE(Await("the redeliveries to be acked", absl::Seconds(25), [&] {
    const auto info = publisher->GetConsumerInfo(subjects::kEventsStream, "orchestrator-input-consumer");
    return info.ok() && info->num_ack_pending == 0;
  }));
  EXPECT_EQ(reader.bodies(), Numbers(3, 15));
}

TEST_F(BusTest, OrderSurvivesTheServersRestart) {
  const auto publisher = Connect();
  const auto bus = Connect();
  Reader reader(*bus, [](const std::string&) { return true; });
  for (int i = 1; i <= 20; ++i)
    ASSERT_THAT(Store(*publisher, subjects::kTouch, absl::StrCat("m", i), absl::StrCat(i)), IsOk());
  server_.Kill();
  server_.Restart();
  for (int i = 21; i <= 40; ++i)
    ASSERT_THAT(Store(*publisher, subjects::kTouch, absl::StrCat("m", i), absl::StrCat(i)), IsOk());
  ASSERT_TRUE(reader.AwaitCount(40));
  EXPECT_EQ(reader.bodies(), Numbers(1, 40));
}

// "Agents bind and wait; they create nothing."
TEST_F(BusTest, AConsumerWaitsForItsStreamAndComesBackWithIt) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  server_.Kill();
  ASSERT_TRUE(Await("the consumer to be unbound", kSoon, [&] { return !agent.server().bound(); }));
  server_.Restart();
  ASSERT_TRUE(
      Await("both to be connected", kSoon, [&] { return agent.bus().connected() && client->connected(); }));
  // The memory stream is gone with the old server, and nobody but `arcctl provision` brings it back.
  EXPECT_FALSE(agent.server().bound());
  EXPECT_EQ(Messages(*client, subjects::kCommandsStream), 0);
  EXPECT_THAT(client->GetConsumerInfo(subjects::kCommandsStream, "menu-agent-consumer"),
              StatusIs(absl::StatusCode::kNotFound));
  server_.Provision();
  ASSERT_TRUE(Await("the consumer to be bound again", kSoon, [&] { return agent.server().bound(); }));
  EXPECT_THAT(Ask(*client, "{}"), IsOk());
}

TEST_F(BusTest, AConsumerThatIsDeletedAndMadeAgainIsBoundAgain) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  ASSERT_THAT(Core(*client, "$JS.API.CONSUMER.DELETE.KIOSK_COMMANDS.menu-agent-consumer", ""), IsOk());
  ASSERT_TRUE(Await("the consumer to be unbound", kSoon, [&] { return !agent.server().bound(); }));
  server_.Provision();
  ASSERT_TRUE(Await("the consumer to be bound again", kSoon, [&] { return agent.server().bound(); }));
  EXPECT_THAT(Ask(*client, "{}"), IsOk());
}

// To the nanosecond: what was read from the one is known again in the other by its number and time.
TEST_F(BusTest, ADeliveryAndItsStreamAgreeOnWhenItWasStored) {
  const auto bus = Connect();
  testing_support::Signal signal;
  std::map<uint64_t, absl::Time> delivered;
  const auto consumer =
      bus->Consume({subjects::kEventsStream, "orchestrator-input-consumer", 256},
                   [&](const std::shared_ptr<Delivery>& delivery) {
                     signal.Set([&] { delivered[delivery->stream_sequence()] = delivery->stored_at(); });
                     delivery->Ack();
                   });
  for (int i = 1; i <= 20; ++i)
    ASSERT_THAT(Store(*bus, subjects::kTouch, absl::StrCat("m", i), absl::StrCat(i)), IsOk());
  ASSERT_TRUE(signal.Await("the deliveries", kSoon, [&] { return delivered.size() == 20; }));
  for (const auto& [sequence, stored_at] : delivered) {
    const auto stored = bus->GetStored(subjects::kEventsStream, sequence);
    ASSERT_THAT(stored, IsOk());
    EXPECT_EQ(stored->stored_at, stored_at);
  }
}

// A node that loses the lead of a consumer forgets what was asked of it, and tells nobody. Beside a server
// without JetStream this test is that node. (A server that has it answers for every account: those without it
// are told so, now before this test's answer and now behind it.)
TEST(ForgottenPullTest, IsAskedForAgain) {
  const NatsServer server("jetstream: false");
  const auto connect = [&] {
    auto bus = NatsBus::Connect(SystemClock::Get(), {server.url(), "test", "", ""}).value();
    EXPECT_TRUE(bus->AwaitConnected(kSoon));
    return bus;
  };
  const auto node = connect();
  testing_support::Signal signal;
  int pulls = 0;
  const auto info = node->Subscribe("$JS.API.CONSUMER.INFO.ORDERS.worker", "", [&](const Message& asked) {
    const std::string consumer = R"({"config":{"ack_wait":30000000000,"max_deliver":3}})";
    EXPECT_THAT(node->Publish({asked.reply, "", {}, consumer}), IsOk());
  });
  ASSERT_THAT(info, IsOk());
  const auto next = node->Subscribe("$JS.API.CONSUMER.MSG.NEXT.ORDERS.worker", "",
                                    [&](const Message&) { signal.Set([&] { ++pulls; }); });
  ASSERT_THAT(next, IsOk());
  ASSERT_THAT(node->Flush(kSoon), IsOk());

  const auto bus = connect();
  const auto consumer = bus->Consume({"ORDERS", "worker", 16}, [](const std::shared_ptr<Delivery>&) {});
  ASSERT_TRUE(signal.Await("the consumer to ask", kSoon, [&] { return pulls == 1; }));
  // A customer waits for as long as this takes.
  ASSERT_TRUE(signal.Await("the consumer to ask again", absl::Seconds(7), [&] { return pulls == 2; }));
  EXPECT_TRUE(Await("the consumer to be bound", kSoon, [&] { return consumer->bound(); }));
}

TEST_F(BusTest, ABusMadeBeforeTheServerWaitsForIt) {
  server_.Stop();
  auto bus = NatsBus::Connect(SystemClock::Get(), {server_.url(), "early", "", ""});
  ASSERT_THAT(bus, IsOk());
  testing_support::Signal signal;
  int messages = 0;
  auto subscription =
      (*bus)->Subscribe("early.bird", "", [&](const Message&) { signal.Set([&] { ++messages; }); });
  ASSERT_THAT(subscription, IsOk());
  EXPECT_FALSE((*bus)->connected());
  server_.Restart();
  ASSERT_TRUE((*bus)->AwaitConnected(kSoon));
  ASSERT_THAT((*bus)->Flush(kSoon), IsOk());
  const auto client = Connect();
  Message message;
  message.subject = "early.bird";
  ASSERT_THAT(client->Publish(message), IsOk());
  EXPECT_TRUE(signal.Await("the message", kSoon, [&] { return messages == 1; }));
}

// nats.c closes a connection for good when the server refuses a line: a subject longer than max_control_line.
TEST_F(BusTest, AConnectionThatWasClosedForGoodIsReplaced) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  std::atomic<int> heard{0};
  auto subscription = agent.bus().Subscribe("test.heard", "", [&](const Message&) { ++heard; });
  ASSERT_THAT(subscription, IsOk());
  auto bucket = agent.bus().OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(bucket, IsOk());
  std::atomic<int> seen{0};
  auto watch = (*bucket)->Watch(
      ">", [&](const KeyValue::Entry&) { ++seen; }, [] {});
  ASSERT_THAT(watch, IsOk());
  for (const Urgency urgency : {Urgency::kNow, Urgency::kSoon}) {
    const uint64_t before = agent.bus().reconnects();
    ASSERT_THAT(agent.bus().Publish({std::string(5000, 'x'), "", {}, "refused"}, urgency), IsOk());
    if (urgency == Urgency::kNow) {
      ASSERT_TRUE(Await("the connection to be replaced", kSoon,
                        [&] { return agent.bus().reconnects() > before && agent.bus().connected(); }));
    }
    ASSERT_TRUE(Await("the consumer to be bound again", kSoon, [&] { return agent.server().bound(); }));
    CallContext context;
    context.timeout = absl::Seconds(10);
    EXPECT_THAT(Ask(*client, R"({"n":1})", context), IsOk());
    EXPECT_THAT(Core(*client, subjects::kMenuSearch, R"({"payload":{}})"), IsOk());
    const int heard_before = heard;
    ASSERT_THAT(client->Publish({"test.heard", "", {}, ""}), IsOk());
    EXPECT_TRUE(Await("the subscription to hear", kSoon, [&] { return heard > heard_before; }));
    const int seen_before = seen;
    EXPECT_THAT((*bucket)->Put("key", "value"), IsOk());
    EXPECT_TRUE(Await("the watch to see", kSoon, [&] { return seen > seen_before; }));
    EXPECT_THAT((*bucket)->Keys(), IsOkAndHolds(ElementsAre("key")));
  }
}

TEST_F(BusTest, KeyValueKeepsRevisions) {
  const auto bus = Connect();
  const auto bucket = bus->OpenBucket(subjects::kSessionsBucket);
  ASSERT_THAT(bucket, IsOk());
  KeyValue& kv = **bucket;
  EXPECT_THAT(kv.Get("a"), StatusIs(absl::StatusCode::kNotFound));
  const absl::StatusOr<uint64_t> created = kv.Create("a", "1");
  ASSERT_THAT(created, IsOk());
  EXPECT_THAT(kv.Create("a", "2"), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(kv.Update("a", "2", *created + 100), StatusIs(absl::StatusCode::kAborted));
  const absl::StatusOr<uint64_t> updated = kv.Update("a", std::string("\0two", 4), *created);
  ASSERT_THAT(updated, IsOk());
  EXPECT_THAT(kv.Update("a", "3", *created), StatusIs(absl::StatusCode::kAborted));
  const absl::StatusOr<KeyValue::Entry> entry = kv.Get("a");
  ASSERT_THAT(entry, IsOk());
  EXPECT_EQ(entry->value, std::string("\0two", 4));
  EXPECT_EQ(entry->revision, *updated);
  EXPECT_THAT(kv.Put("kiosk.b", "x"), IsOk());
  EXPECT_THAT(kv.Keys(), IsOkAndHolds(UnorderedElementsAre("a", "kiosk.b")));
  EXPECT_THAT(kv.Delete("a"), IsOk());
  EXPECT_THAT(kv.Get("a"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(kv.Keys(), IsOkAndHolds(ElementsAre("kiosk.b")));
  EXPECT_THAT(kv.Create("a", "again"), IsOk());
  EXPECT_THAT(kv.Purge("a"), IsOk());
  EXPECT_THAT(kv.Create("a", "and again"), IsOk());
  EXPECT_THAT(kv.Put("no good", "x"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(bus->OpenBucket("NO_SUCH"), StatusIs(absl::StatusCode::kNotFound));
}

// Exactly one of many wins an atomic create: what claims rest on.
TEST_F(BusTest, OneOfManyCreatesWins) {
  const auto bus = Connect();
  const auto bucket = bus->OpenBucket(subjects::kPaymentsBucket);
  ASSERT_THAT(bucket, IsOk());
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      if ((*bucket)->Create("order-1", absl::StrCat(i)).ok()) ++won;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
}

TEST_F(BusTest, AWatchSeesEveryChangeAndStartsAgainAfterARestart) {
  const auto bus = Connect();
  auto bucket = bus->OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(bucket, IsOk());
  ASSERT_THAT((*bucket)->Put("a", "1"), IsOk());
  testing_support::Signal signal;
  std::map<std::string, std::string> seen;
  int current = 0;
  auto watch = (*bucket)->Watch(
      ">",
      [&](const KeyValue::Entry& entry) {
        signal.Set([&] {
          if (entry.deleted) {
            seen.erase(entry.key);
          } else {
            seen[entry.key] = entry.value;
          }
        });
      },
      [&] { signal.Set([&] { ++current; }); });
  ASSERT_THAT(watch, IsOk());
  ASSERT_TRUE(signal.Await("the values at the start", kSoon, [&] { return current == 1; }));
  EXPECT_EQ(seen["a"], "1");
  ASSERT_THAT((*bucket)->Put("b", "2"), IsOk());
  ASSERT_TRUE(signal.Await("a new key", kSoon, [&] { return seen.count("b") == 1; }));
  ASSERT_THAT((*bucket)->Delete("a"), IsOk());
  ASSERT_TRUE(signal.Await("a deleted key", kSoon, [&] { return seen.count("a") == 0; }));
  server_.Kill();
  server_.Restart();
  const auto other = Connect();
  const auto same_bucket = other->OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(same_bucket, IsOk());
  ASSERT_THAT((*same_bucket)->Put("b", "3"), IsOk());
  ASSERT_TRUE(
      signal.Await("the change made after the restart", absl::Seconds(20), [&] { return seen["b"] == "3"; }));
  EXPECT_TRUE(signal.Await("the end of the values at the new start", kSoon, [&] { return current >= 2; }));
}

TEST_F(BusTest, ABucketAnswersWhileTheServerIsGone) {
  const auto bus = Connect();
  auto bucket = bus->OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(bucket, IsOk());
  server_.Kill();
  ASSERT_TRUE(Await("the bus to notice", kSoon, [&] { return !bus->connected(); }));
  EXPECT_THAT((*bucket)->Get("a"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT((*bucket)->Put("a", "1"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT((*bucket)->Keys(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(BusTest, WhatIsTooLargeOrMalformedIsRefused) {
  const auto bus = Connect();
  Message message;
  message.subject = "kiosk.input.touch";
  message.body.assign(2 << 20, 'x');
  EXPECT_THAT(bus->Publish(message), StatusIs(absl::StatusCode::kInvalidArgument));
  message.body = "{}";
  for (const char* subject : {"", "a b", "a..b", ".a", "a.", "a.*", "a.>", "a\r\nPUB x"}) {
    message.subject = subject;
    EXPECT_THAT(bus->Publish(message), StatusIs(absl::StatusCode::kInvalidArgument)) << subject;
  }
  message.subject = "a";
  message.headers.Set("X", "1\r\nY: 2");
  EXPECT_THAT(bus->Publish(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line break")));
}

}  // namespace
}  // namespace arc::bus
