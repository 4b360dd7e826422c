#include "common/memory_bus/memory_bus.h"

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Message Make(absl::string_view subject, absl::string_view body = "{}", absl::string_view id = "") {
  Message message;
  message.subject = std::string(subject);
  message.body = std::string(body);
  if (!id.empty()) message.headers.Set(subjects::kMsgIdHeader, id);
  return message;
}

class MemoryBusTest : public ::testing::Test {
 protected:
  MemoryBusTest() { bus_.ProvisionDefault(); }

  void Advance(absl::Duration duration) {
    clock_.Advance(duration);
    bus_.RunUntilIdle();
  }

  // A consumer of menu commands that keeps what it gets.
  std::unique_ptr<Consumer> Keep(std::vector<std::shared_ptr<Delivery>>& into, int max_in_flight = 256) {
    return bus_.Consume({subjects::kCommandsStream, "menu-agent-consumer", max_in_flight},
                        [&into](std::shared_ptr<Delivery> delivery) { into.push_back(std::move(delivery)); });
  }

  ManualClock clock_;
  MemoryBus bus_{clock_};
};

TEST_F(MemoryBusTest, SubscribersGetWhatTheirWildcardsMatchInOrder) {
  std::vector<std::string> star, rest;
  auto a = bus_.Subscribe("a.*", "", [&](const Message& m) { star.push_back(m.subject); });
  auto b = bus_.Subscribe("a.>", "", [&](const Message& m) { rest.push_back(m.subject); });
  ASSERT_THAT(bus_.Publish(Make("a.b")), IsOk());
  ASSERT_THAT(bus_.Publish(Make("a.b.c")), IsOk());
  ASSERT_THAT(bus_.Publish(Make("b")), IsOk());
  EXPECT_THAT(rest, IsEmpty()) << "nothing calls back inside Publish()";
  bus_.RunUntilIdle();
  EXPECT_THAT(star, ElementsAre("a.b"));
  EXPECT_THAT(rest, ElementsAre("a.b", "a.b.c"));
}

TEST_F(MemoryBusTest, OneMemberOfAQueueGroupGetsEachMessage) {
  int first = 0, second = 0;
  auto a = bus_.Subscribe("work", "group", [&](const Message&) { ++first; });
  auto b = bus_.Subscribe("work", "group", [&](const Message&) { ++second; });
  for (int i = 0; i < 10; ++i) ASSERT_THAT(bus_.Publish(Make("work")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(first, 5);
  EXPECT_EQ(second, 5);
}

TEST_F(MemoryBusTest, AnEndedSubscriptionDoesNotRunWhatWasQueuedForIt) {
  int calls = 0;
  auto subscription = *bus_.Subscribe("a", "", [&](const Message&) { ++calls; });
  ASSERT_THAT(bus_.Publish(Make("a")), IsOk());
  subscription.reset();
  bus_.RunUntilIdle();
  EXPECT_EQ(calls, 0);
}

TEST_F(MemoryBusTest, DrainRunsWhatHasComeAndTakesNothingMore) {
  int calls = 0;
  auto subscription = *bus_.Subscribe("a", "", [&](const Message&) { ++calls; });
  ASSERT_THAT(bus_.Publish(Make("a")), IsOk());
  subscription->Drain(absl::Seconds(10));
  EXPECT_EQ(calls, 1);
  ASSERT_THAT(bus_.Publish(Make("a")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(calls, 1);
}

TEST_F(MemoryBusTest, RefusesMalformedSubjectsAndHugeBodies) {
  EXPECT_THAT(bus_.Publish(Make("a..b")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a..b")));
  EXPECT_THAT(bus_.Publish(Make("a.*")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a.*")));
  EXPECT_THAT(bus_.Publish(Make("a", std::string(1024 * 1024 + 1, 'x'))),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1048577 bytes")));
}

TEST_F(MemoryBusTest, AWorkQueueMessageGoesToOneReaderAndIsRemovedWhenAcked) {
  std::vector<std::shared_ptr<Delivery>> first, second;
  auto a = Keep(first);
  auto b = Keep(second);
  for (int i = 0; i < 4; ++i) ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(first, SizeIs(2));
  EXPECT_THAT(second, SizeIs(2));
  EXPECT_THAT(bus_.Stored(subjects::kCommandsStream), SizeIs(4));
  for (auto& delivery : first) delivery->Ack();
  EXPECT_THAT(bus_.Stored(subjects::kCommandsStream), SizeIs(2));
  EXPECT_EQ(a->in_flight(), 0);
  EXPECT_EQ(b->in_flight(), 2);
}

TEST_F(MemoryBusTest, HoldsBackWhatIsBeyondMaxInFlight) {
  std::vector<std::shared_ptr<Delivery>> got;
  auto consumer = Keep(got, 2);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(got, SizeIs(2));
  EXPECT_EQ(consumer->lag(), 3);
  got[0]->Ack();
  bus_.RunUntilIdle();
  EXPECT_THAT(got, SizeIs(3));
}

TEST_F(MemoryBusTest, ADeliveryInWorkIsNotRedeliveredButADroppedOneIs) {
  std::vector<std::shared_ptr<Delivery>> got;
  auto consumer = Keep(got);
  ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  Advance(absl::Seconds(60));
  ASSERT_THAT(got, SizeIs(1));
  got.clear();
  Advance(absl::Seconds(10));
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0]->deliveries(), 2);
  EXPECT_EQ(got[0]->stream_sequence(), 1u);
  EXPECT_EQ(got[0]->consumer_sequence(), 2u);
  EXPECT_FALSE(got[0]->last_delivery());
}

TEST_F(MemoryBusTest, WhatADestroyedConsumerHadIsRedeliveredToAnother) {
  std::vector<std::shared_ptr<Delivery>> first, second;
  auto dying = Keep(first);
  ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  ASSERT_THAT(first, SizeIs(1));
  dying.reset();
  auto living = Keep(second);
  Advance(absl::Seconds(2));
  EXPECT_THAT(second, IsEmpty()) << "before ack_wait is over";
  Advance(absl::Seconds(10));
  EXPECT_THAT(second, SizeIs(1));
}

TEST_F(MemoryBusTest, NakRedeliversAfterItsDelayUntilMaxDeliverAndThenAdvises) {
  std::vector<std::string> advisories;
  auto advisory = bus_.Subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "",
                                 [&](const Message& m) { advisories.push_back(m.body); });
  std::vector<std::pair<int, bool>> got;
  auto consumer = bus_.Consume({subjects::kCommandsStream, "menu-agent-consumer"},
                               [&](const std::shared_ptr<Delivery>& delivery) {
                                 got.emplace_back(delivery->deliveries(), delivery->last_delivery());
                                 delivery->Nak(absl::Seconds(1));
                               });
  ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(got, SizeIs(1));
  Advance(absl::Milliseconds(999));
  EXPECT_THAT(got, SizeIs(1));
  Advance(absl::Seconds(1));
  Advance(absl::Seconds(1));
  Advance(absl::Seconds(60));
  EXPECT_THAT(got, ElementsAre(std::make_pair(1, false), std::make_pair(2, false), std::make_pair(3, true)));
  ASSERT_THAT(advisories, SizeIs(1));
  EXPECT_THAT(advisories[0], HasSubstr(R"("stream_seq":1,"deliveries":3)"));
  EXPECT_THAT(bus_.GetStored(subjects::kCommandsStream, 1), IsOk()) << "kept, as the server keeps it";
}

TEST_F(MemoryBusTest, ARequestCarriesItsHeadersAndGetsTheFirstAnswer) {
  std::vector<std::shared_ptr<Delivery>> got;
  auto consumer = Keep(got);
  std::vector<absl::StatusOr<Message>> answers;
  bus_.Request(Make("kiosk.agent.menu.search"), {absl::Seconds(2), "menu", "key-1"},
               [&](absl::StatusOr<Message> answer) { answers.push_back(std::move(answer)); });
  bus_.RunUntilIdle();
  ASSERT_THAT(got, SizeIs(1));
  const Headers& headers = got[0]->message().headers;
  EXPECT_EQ(headers.Get(subjects::kDeadlineHeader), "2025-12-14T14:00:02.000Z");
  EXPECT_EQ(headers.Get(subjects::kIdempotencyKeyHeader), "key-1");
  EXPECT_FALSE(headers.Has(subjects::kMsgIdHeader));
  EXPECT_THAT(got[0]->message().reply, IsEmpty()) << "a stored message has no reply subject";
  for (const char* body : {"one", "two"}) {
    ASSERT_THAT(bus_.Publish(Make(*headers.Get(subjects::kReplyToHeader), body)), IsOk());
  }
  bus_.RunUntilIdle();
  Advance(absl::Seconds(5));
  ASSERT_THAT(answers, SizeIs(1));
  ASSERT_THAT(answers[0], IsOk());
  EXPECT_EQ(answers[0]->body, "one");
}

TEST_F(MemoryBusTest, ARequestToAServiceThatIsNotThereIsUnavailableAfterAQuarter) {
  std::optional<absl::Status> status;
  bus_.Request(Make("kiosk.agent.menu.search"), {absl::Seconds(2), "menu", ""},
               [&](const absl::StatusOr<Message>& answer) { status = answer.status(); });
  Advance(absl::Milliseconds(499));
  EXPECT_FALSE(status.has_value());
  Advance(absl::Milliseconds(1));
  ASSERT_TRUE(status.has_value());
  EXPECT_THAT(*status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no menu agent")));
}

TEST_F(MemoryBusTest, ARequestToAServiceThatIsSlowTimesOut) {
  bus_.AddService("menu");
  std::optional<absl::Status> status;
  bus_.Request(Make("kiosk.agent.menu.search"), {absl::Seconds(2), "menu", ""},
               [&](const absl::StatusOr<Message>& answer) { status = answer.status(); });
  Advance(absl::Milliseconds(1999));
  EXPECT_FALSE(status.has_value());
  Advance(absl::Milliseconds(1));
  ASSERT_TRUE(status.has_value());
  EXPECT_THAT(*status, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("kiosk.agent.menu.search")));
}

TEST_F(MemoryBusTest, ACoreRequestIsAnsweredByASubscriberOrByAStreamOrByNobody) {
  auto responder = bus_.Subscribe("echo", "", [&](const Message& request) {
    ASSERT_THAT(bus_.Publish(Make(request.reply, request.body)), IsOk());
  });
  std::vector<std::string> bodies;
  const auto keep = [&](const absl::StatusOr<Message>& answer) {
    bodies.push_back(answer.ok() ? answer->body : std::string(ErrorCodeName(WireErrorCode(answer.status()))));
  };
  bus_.CoreRequest(Make("echo", "hello"), absl::Seconds(1), keep);
  bus_.CoreRequest(Make("kiosk.ui.update"), absl::Seconds(1), keep);
  bus_.CoreRequest(Make("nobody"), absl::Seconds(1), keep);
  bus_.CoreRequest(Make("kiosk.agent.menu.search"), absl::Seconds(1), keep);
  bus_.RunUntilIdle();
  EXPECT_THAT(bodies,
              testing::UnorderedElementsAre("hello", R"({"stream":"KIOSK_EVENTS", "seq":1})", "UNAVAILABLE"));
  Advance(absl::Seconds(1));
  EXPECT_EQ(bodies.back(), "TIMEOUT") << "KIOSK_COMMANDS has no_ack and still counts as interest";
}

TEST_F(MemoryBusTest, AnEventIsStoredOnceHoweverOftenItIsPublished) {
  std::vector<absl::Status> done;
  for (int i = 0; i < 3; ++i) {
    bus_.PublishEvent(Make("kiosk.input.touch", "{}", "id-1"), absl::Seconds(5),
                      [&](const absl::Status& status) { done.push_back(status); });
  }
  bus_.RunUntilIdle();
  EXPECT_THAT(done, ElementsAre(IsOk(), IsOk(), IsOk()));
  EXPECT_THAT(bus_.Stored(subjects::kEventsStream), SizeIs(1));
}

TEST_F(MemoryBusTest, AnEventIsTriedAgainUntilItIsStored) {
  bus_.FailPublishEvent(2);
  std::optional<absl::Status> done;
  bus_.PublishEvent(Make("kiosk.input.touch"), absl::Seconds(5), [&](const absl::Status& s) { done = s; });
  Advance(absl::Milliseconds(250));
  EXPECT_FALSE(done.has_value());
  Advance(absl::Milliseconds(250));
  ASSERT_TRUE(done.has_value());
  EXPECT_THAT(*done, IsOk());
}

TEST_F(MemoryBusTest, AnEventNoStreamStoresIsUnavailableWhenItsTimeIsOver) {
  bus_.SetConnected(false);
  std::optional<absl::Status> done;
  bus_.PublishEvent(Make("kiosk.input.touch"), absl::Seconds(5), [&](const absl::Status& s) { done = s; });
  Advance(absl::Seconds(5));
  ASSERT_TRUE(done.has_value());
  EXPECT_THAT(*done, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("kiosk.input.touch")));
}

TEST_F(MemoryBusTest, WhileDisconnectedMessagesAndAcksAreKeptAndNothingIsDelivered) {
  std::vector<bool> changes;
  auto listener = bus_.OnConnectionChange([&](bool connected) { changes.push_back(connected); });
  std::vector<std::shared_ptr<Delivery>> got;
  auto consumer = Keep(got);
  ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.search")), IsOk());
  bus_.RunUntilIdle();
  ASSERT_THAT(got, SizeIs(1));
  bus_.SetConnected(false);
  EXPECT_FALSE(consumer->bound());
  ASSERT_THAT(bus_.Publish(Make("kiosk.agent.menu.details")), IsOk());
  got[0]->Ack();
  Advance(absl::Seconds(1));
  EXPECT_THAT(got, SizeIs(1));
  EXPECT_THAT(bus_.Stored(subjects::kCommandsStream), SizeIs(1));
  bus_.SetConnected(true);
  bus_.RunUntilIdle();
  EXPECT_TRUE(consumer->bound());
  ASSERT_THAT(got, SizeIs(2));
  EXPECT_EQ(got[1]->message().subject, "kiosk.agent.menu.details");
  EXPECT_THAT(bus_.Stored(subjects::kCommandsStream), SizeIs(1));
  EXPECT_THAT(changes, ElementsAre(false, true));
  EXPECT_EQ(bus_.reconnects(), 1u);
}

TEST_F(MemoryBusTest, AConsumerWaitsForItsDurable) {
  std::vector<std::string> got;
  auto consumer = bus_.Consume({subjects::kEventsStream, "later"}, [&](const std::shared_ptr<Delivery>& d) {
    got.push_back(d->message().subject);
    d->Ack();
  });
  EXPECT_FALSE(consumer->bound());
  ASSERT_THAT(bus_.Publish(Make("kiosk.input.touch")), IsOk());
  bus_.AddConsumer(subjects::kEventsStream, "later", "kiosk.input.>", absl::Seconds(5), -1);
  bus_.RunUntilIdle();
  EXPECT_TRUE(consumer->bound());
  EXPECT_THAT(got, ElementsAre("kiosk.input.touch"));
  EXPECT_THAT(bus_.Stored(subjects::kEventsStream), SizeIs(1)) << "limits retention keeps what is acked";
}

TEST_F(MemoryBusTest, TellsAConsumersStateAndItsStreamsMessages) {
  bus_.AddConsumer(subjects::kEventsStream, "touches", "kiosk.input.>", absl::Seconds(5), -1);
  std::vector<std::shared_ptr<Delivery>> got;
  auto consumer = bus_.Consume({subjects::kEventsStream, "touches", 2},
                               [&](std::shared_ptr<Delivery> d) { got.push_back(std::move(d)); });
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(bus_.Publish(Make("kiosk.ui.update")), IsOk());
    ASSERT_THAT(bus_.Publish(Make("kiosk.input.touch")), IsOk());
  }
  ASSERT_THAT(bus_.Publish(Make("kiosk.input.card")), IsOk());
  bus_.RunUntilIdle();
  got[1]->Ack();
  bus_.RunUntilIdle();
  absl::StatusOr<ConsumerInfo> info = bus_.GetConsumerInfo(subjects::kEventsStream, "touches");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->ack_floor_stream_seq, 1u);
  EXPECT_EQ(info->delivered_stream_seq, 5u);
  EXPECT_EQ(info->num_ack_pending, 2);
  EXPECT_EQ(info->num_pending, 0);
  EXPECT_EQ(bus_.NextStored(subjects::kEventsStream, "kiosk.input.>", 3)->sequence, 4u);
  EXPECT_THAT(bus_.DeleteStored(subjects::kEventsStream, 4), IsOk());
  EXPECT_EQ(bus_.NextStored(subjects::kEventsStream, "kiosk.input.>", 3)->sequence, 5u);
  EXPECT_THAT(bus_.GetStored(subjects::kEventsStream, 4),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("4")));
}

TEST_F(MemoryBusTest, KeysHaveRevisionsAndCompareAndSet) {
  auto bucket = bus_.OpenBucket(subjects::kSessionsBucket);
  ASSERT_THAT(bucket, IsOk());
  KeyValue& kv = **bucket;
  EXPECT_THAT(kv.Get("a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("a")));
  EXPECT_THAT(kv.Create("a", "1"), IsOkAndHolds(1u));
  EXPECT_THAT(kv.Create("a", "2"), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a")));
  EXPECT_THAT(kv.Update("a", "2", 1), IsOkAndHolds(2u));
  EXPECT_THAT(kv.Update("a", "3", 1), StatusIs(absl::StatusCode::kAborted, HasSubstr("revision 2")));
  EXPECT_THAT(kv.Put("b", "x"), IsOkAndHolds(3u));
  EXPECT_EQ(kv.Get("a")->value, "2");
  EXPECT_THAT(kv.Delete("a"), IsOk());
  EXPECT_THAT(kv.Keys(), IsOkAndHolds(ElementsAre("b")));
  EXPECT_THAT(kv.Create("a", "again"), IsOkAndHolds(5u));
  EXPECT_THAT(kv.Put("bad key", "x"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bad key")));
  EXPECT_THAT(bus_.OpenBucket("NO_SUCH"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("NO_SUCH")));
}

TEST_F(MemoryBusTest, AWatchTellsWhatIsThereThenEveryChangeAndAllAgainAfterAReconnect) {
  auto bucket = *bus_.OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(bucket->Put("item.1", "one"), IsOk());
  ASSERT_THAT(bucket->Put("other", "no"), IsOk());
  std::vector<std::string> log;
  auto watch = bucket->Watch(
      "item.>",
      [&](const KeyValue::Entry& e) { log.push_back(e.deleted ? "-" + e.key : e.key + "=" + e.value); },
      [&] { log.push_back("current"); });
  ASSERT_THAT(watch, IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(log, ElementsAre("item.1=one", "current"));
  ASSERT_THAT(bucket->Put("item.2", "two"), IsOk());
  ASSERT_THAT(bucket->Delete("item.1"), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(log, ElementsAre("item.1=one", "current", "item.2=two", "-item.1"));
  log.clear();
  bus_.SetConnected(false);
  EXPECT_THAT(bucket->Get("item.2"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not connected")));
  bus_.SetConnected(true);
  bus_.RunUntilIdle();
  EXPECT_THAT(log, ElementsAre("-item.1", "item.2=two", "current"));
}

TEST_F(MemoryBusTest, KeyValueFaultsHappenBeforeOrAfterTheWrite) {
  auto bucket = *bus_.OpenBucket(subjects::kPaymentsBucket);
  bus_.FailKeyValue(1);
  EXPECT_THAT(bucket->Create("a", "1"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("answer")));
  EXPECT_THAT(bucket->Get("a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("a")));
  bus_.FailKeyValue(1, MemoryBus::Fault::kAfter);
  EXPECT_THAT(bucket->Create("a", "1"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("answer")));
  EXPECT_EQ(bucket->Get("a")->value, "1");
}

TEST_F(MemoryBusTest, RecordsWhatWasPublished) {
  ASSERT_THAT(bus_.Publish(Make("a.b", "1")), IsOk());
  bus_.PublishEvent(Make("kiosk.ui.update", "2"), absl::Seconds(1), nullptr);
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published(">"), SizeIs(2));
  ASSERT_THAT(bus_.Published("kiosk.ui.>"), SizeIs(1));
  EXPECT_EQ(bus_.Published("kiosk.ui.>")[0].body, "2");
  bus_.ClearPublished();
  EXPECT_THAT(bus_.Published(">"), IsEmpty());
}

TEST_F(MemoryBusTest, AThreadOfTheBusRunsCallbacksWhenTold) {
  bus_.RunInBackground();
  std::atomic<int> calls{0};
  std::thread::id callback_thread;
  auto subscription = *bus_.Subscribe("a", "", [&](const Message&) {
    callback_thread = std::this_thread::get_id();
    ++calls;
  });
  for (int i = 0; i < 100; ++i) ASSERT_THAT(bus_.Publish(Make("a")), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(calls, 100);
  EXPECT_NE(callback_thread, std::this_thread::get_id());
}

TEST_F(MemoryBusTest, RunUntilWaitsForOtherThreads) {
  std::atomic<bool> got{false};
  auto subscription = *bus_.Subscribe("a", "", [&](const Message&) { got = true; });
  std::thread other([&] { ASSERT_THAT(bus_.Publish(Make("a")), IsOk()); });
  EXPECT_TRUE(bus_.RunUntil([&] { return got.load(); }));
  other.join();
  EXPECT_FALSE(bus_.RunUntil([] { return false; }, absl::Milliseconds(1)));
}

}  // namespace
}  // namespace arc::bus
