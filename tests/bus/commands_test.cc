// DESIGN 3.3 and 3.4 sentence by sentence, on a real nats-server.
#include "tests/bus/bus_fixture.h"

namespace arc::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kQuery[] = R"({"command":"search","query":"burger"})";

TEST_F(BusTest, ADurableCommandIsAnsweredAndLeavesTheQueue) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  CallContext context;
  context.session_id = "session-1";
  context.trace_id = "550e8400-e29b-41d4-a716-446655440000";
  const absl::StatusOr<ParsedMessage> answer =
      CallRawAndWait(*client, subjects::kMenuSearch, kQuery, context);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(json::Encode(answer->payload()), kQuery);
  EXPECT_EQ(answer->envelope.session_id, "session-1");
  EXPECT_EQ(answer->envelope.trace_id, context.trace_id);
  EXPECT_EQ(agent.handled(), 1);
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
}

// "Without it the first reply to every request on kiosk.agent.> is the stream's own": no_ack.
TEST_F(BusTest, APlainRequestGetsTheAgentsAnswerAndNoOther) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  Inbox inbox(*client);
  Message request;
  request.subject = subjects::kMenuSearch;
  request.reply = inbox.subject();
  request.body = R"({"payload":{"command":"search","query":"burger"}})";
  ASSERT_THAT(client->Publish(request), IsOk());
  ASSERT_TRUE(inbox.AwaitCount(1));
  ASSERT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  ASSERT_THAT(inbox.messages(), SizeIs(1));
  const absl::StatusOr<ParsedMessage> reply = ParseMessage(inbox.messages()[0].body, absl::UnixEpoch());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(json::Encode(reply->payload()), kQuery);
  // "The header decides, so nothing is handled twice."
  EXPECT_EQ(agent.handled(), 1);
}

TEST_F(BusTest, AForeignResponderStandsInForAnAgent) {
  const auto client = Connect();
  const auto foreign = Connect();
  auto responder = foreign->Subscribe(subjects::kMenuSearch, "", [&](const Message& message) {
    Message reply;
    reply.subject = message.reply;
    reply.body = R"({"payload":{"status":"success","items":[]}})";
    foreign->Publish(reply).IgnoreError();
  });
  ASSERT_THAT(responder, IsOk());
  ASSERT_THAT(foreign->Flush(kSoon), IsOk());
  EXPECT_THAT(Ask(*client, kQuery), IsOkAndHolds(R"({"status":"success","items":[]})"));
}

TEST_F(BusTest, TheFirstAnswerIsTaken) {
  const auto client = Connect();
  const auto foreign = Connect();
  auto responder = foreign->Subscribe(subjects::kMenuSearch, "", [&](const Message& message) {
    for (const char* body : {R"({"payload":{"n":1}})", R"({"payload":{"n":2}})"}) {
      Message reply;
      reply.subject = message.reply;
      reply.body = body;
      foreign->Publish(reply).IgnoreError();
    }
  });
  ASSERT_THAT(responder, IsOk());
  ASSERT_THAT(foreign->Flush(kSoon), IsOk());
  EXPECT_THAT(Ask(*client, kQuery), IsOkAndHolds(R"({"n":1})"));
}

TEST_F(BusTest, CommandsWaitForAnAgentThatComesLater) {
  const auto client = Connect();
  Inbox inbox(*client);
  PublishDurable(*client, inbox.subject(), R"({"payload":{"n":7}})");
  ASSERT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 1));
  MiniAgent agent(server_.url(), Echo);
  EXPECT_TRUE(inbox.AwaitCount(1));
}

TEST_F(BusTest, CopiesShareTheWork) {
  const auto slow = [](const json::Node& payload, const RequestContext&) -> absl::StatusOr<std::string> {
    return json::Encode(payload);
  };
  MiniAgent first(server_.url(), slow);
  MiniAgent second(server_.url(), slow);
  MiniAgent third(server_.url(), slow);
  const auto client = Connect();
  Inbox inbox(*client);
  for (int i = 0; i < 300; ++i) PublishDurable(*client, inbox.subject(), R"({"payload":{}})");
  ASSERT_TRUE(inbox.AwaitCount(300));
  ASSERT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_THAT(inbox.messages(), SizeIs(300));
  EXPECT_EQ(first.handled() + second.handled() + third.handled(), 300);
  EXPECT_GT(first.handled(), 0);
  EXPECT_GT(second.handled(), 0);
  EXPECT_GT(third.handled(), 0);
}

// "At least once": what an agent had not acked when it died is handled by another copy.
TEST_F(BusTest, WhatADeadAgentLeftIsHandledByAnother) {
  const auto client = Connect();
  Inbox inbox(*client);
  {
    // Takes the command and dies without a word.
    const auto dying = Connect();
    testing_support::Signal signal;
    std::shared_ptr<Delivery> taken;
    const auto consumer = dying->Consume(
        {subjects::kCommandsStream, "menu-agent-consumer", 1},
        [&](std::shared_ptr<Delivery> delivery) { signal.Set([&] { taken = std::move(delivery); }); });
    PublishDurable(*client, inbox.subject(), R"({"payload":{}})", absl::Seconds(20));
    ASSERT_TRUE(signal.Await("the command", kSoon, [&] { return taken != nullptr; }));
    signal.Set([&] { taken.reset(); });
  }
  MiniAgent agent(server_.url(), Echo);
  EXPECT_TRUE(inbox.AwaitCount(1, absl::Seconds(15)));
  EXPECT_EQ(agent.handled(), 1);
}

// "An agent never starts expired work: it acks it away and counts it."
TEST_F(BusTest, ExpiredCommandsAreNotStarted) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  Inbox inbox(*client);
  PublishDurable(*client, inbox.subject(), R"({"payload":{}})", -absl::Seconds(1));
  ASSERT_TRUE(Await("the command to be counted as expired", kSoon, [&] { return agent.expired() == 1; }));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_EQ(agent.handled(), 0);
  EXPECT_THAT(inbox.messages(), SizeIs(0));
  // The specification's own messages are dated 2025: a payload's timestamp never counts.
  PublishDurable(*client, inbox.subject(), R"({"timestamp":"2025-12-14T13:30:00.000Z","payload":{}})");
  EXPECT_TRUE(inbox.AwaitCount(1));
}

// "No answer within a quarter of the timeout: ... No responders means UNAVAILABLE at once".
TEST_F(BusTest, NoAgentMeansUnavailableAfterAQuarterOfTheTimeout) {
  const auto client = Connect();
  CallContext context;
  context.timeout = absl::Seconds(20);
  const absl::Time start = absl::Now();
  EXPECT_THAT(Ask(*client, kQuery, context), HasErrorCode(ErrorCode::kUnavailable));
  const absl::Duration took = absl::Now() - start;
  EXPECT_GE(took, absl::Seconds(5));
  EXPECT_LT(took, absl::Seconds(15));
}

// "... otherwise it waits on and ends in TIMEOUT."
TEST_F(BusTest, ASilentAgentMeansTimeout) {
  const auto client = Connect();
  const auto silent = Connect();
  auto pong = silent->Subscribe("$SRV.PING.menu", "", [&](const Message& message) {
    Message reply;
    reply.subject = message.reply;
    reply.body = "{}";
    silent->Publish(reply).IgnoreError();
  });
  ASSERT_THAT(pong, IsOk());
  ASSERT_THAT(silent->Flush(kSoon), IsOk());
  CallContext context;
  context.timeout = absl::Seconds(1);
  const absl::Time start = absl::Now();
  EXPECT_THAT(Ask(*client, kQuery, context), HasErrorCode(ErrorCode::kTimeout));
  EXPECT_GE(absl::Now() - start, absl::Seconds(1));
}

// "Do not set Nats-Msg-Id on commands": a retry with the same key is stored and answered again.
TEST_F(BusTest, ARetriedCommandIsAnsweredEachTime) {
  MiniAgent agent(server_.url(),
                  [](const json::Node&, const RequestContext& context) -> absl::StatusOr<std::string> {
                    return absl::StrCat("{\"key\":", json::Quote(context.idempotency_key), "}");
                  });
  const auto client = Connect();
  CallContext context;
  context.idempotency_key = "order-1";
  EXPECT_THAT(Ask(*client, kQuery, context), IsOkAndHolds(R"({"key":"order-1"})"));
  EXPECT_THAT(Ask(*client, kQuery, context), IsOkAndHolds(R"({"key":"order-1"})"));
  EXPECT_EQ(agent.handled(), 2);
}

TEST_F(BusTest, OutcomesAreAnsweredAndAcked) {
  MiniAgent agent(server_.url(), [](const json::Node&, const RequestContext&) -> absl::StatusOr<std::string> {
    return MakeError(ErrorCode::kMenuNotFound, "nothing matches");
  });
  const auto client = Connect();
  EXPECT_THAT(Ask(*client, kQuery), HasErrorCode(ErrorCode::kMenuNotFound));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_EQ(agent.handled(), 1);
  EXPECT_EQ(agent.dead_letters(), 0);
}

// "InvalidArgument → error reply, dead letter, term."
TEST_F(BusTest, InvalidCommandsAreAnsweredAndBuried) {
  MiniAgent agent(server_.url(), [](const json::Node&, const RequestContext&) -> absl::StatusOr<std::string> {
    return MakeError(ErrorCode::kInvalidRequest, "payload.query: must be a string");
  });
  const auto client = Connect();
  EXPECT_THAT(Ask(*client, kQuery), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.query")));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 1));
  EXPECT_EQ(agent.handled(), 1);
  const messages::DeadLetter letter = DeadLetters(*client)[0];
  EXPECT_EQ(letter.subject, subjects::kMenuSearch);
  EXPECT_EQ(letter.agent, "arc-menu");
  EXPECT_EQ(letter.stream, subjects::kCommandsStream);
  EXPECT_EQ(letter.consumer, "menu-agent-consumer");
  EXPECT_EQ(letter.deliveries, 1);
  EXPECT_EQ(letter.error_code, "INVALID_REQUEST");
  EXPECT_THAT(letter.error, HasSubstr("payload.query"));
  EXPECT_THAT(letter.body.value_or(""), HasSubstr("burger"));
  EXPECT_FALSE(letter.trace_id.empty());
  bool has_reply_to = false;
  for (const messages::HeaderField& header : letter.headers) has_reply_to |= header.name == "Kiosk-Reply-To";
  EXPECT_TRUE(has_reply_to);
}

// "Unavailable/DeadlineExceeded/ResourceExhausted → nak with delay".
TEST_F(BusTest, WhatMaySucceedLaterIsDeliveredAgain) {
  std::atomic<int> calls{0};
  MiniAgent agent(server_.url(),
                  [&](const json::Node&, const RequestContext& context) -> absl::StatusOr<std::string> {
                    if (++calls == 1) return absl::UnavailableError("not yet");
                    return absl::StrCat("{\"deliveries\":", context.deliveries, "}");
                  });
  const auto client = Connect();
  CallContext context;
  context.timeout = absl::Seconds(10);
  EXPECT_THAT(Ask(*client, kQuery, context), IsOkAndHolds(R"({"deliveries":2})"));
  EXPECT_EQ(agent.dead_letters(), 0);
}

// "anything else → nak, and on the last delivery dead letter": max_deliver of menu is 3.
TEST_F(BusTest, DefectsEndInADeadLetterAtTheLastDelivery) {
  MiniAgent agent(server_.url(), [](const json::Node&, const RequestContext&) -> absl::StatusOr<std::string> {
    return absl::InternalError("a defect");
  });
  const auto client = Connect();
  CallContext context;
  context.timeout = absl::Seconds(20);
  EXPECT_THAT(Ask(*client, kQuery, context), HasErrorCode(ErrorCode::kInternal));
  EXPECT_EQ(agent.handled(), 3);
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 1));
  EXPECT_EQ(DeadLetters(*client)[0].deliveries, 3);
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
}

// "Work longer than half of ack_wait sends in-progress acks": ack_wait of menu is 5 s.
TEST_F(BusTest, LongWorkIsNotDeliveredTwice) {
  std::mutex mutex;
  std::condition_variable changed;
  MiniAgent agent(
      server_.url(),
      [&](const json::Node&, const RequestContext&) -> absl::StatusOr<std::string> {
        std::unique_lock<std::mutex> lock(mutex);
        SystemClock::Get().WaitUntil(lock, changed, absl::Now() + absl::Seconds(8), [] { return false; });
        return std::string("{}");
      },
      Execution::kPool);
  const auto client = Connect();
  CallContext context;
  context.timeout = absl::Seconds(20);
  EXPECT_THAT(Ask(*client, kQuery, context), IsOk());
  EXPECT_EQ(agent.handled(), 1);
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
}

// "A slow command never blocks another."
TEST_F(BusTest, ASlowCommandDoesNotHoldUpOthers) {
  std::mutex mutex;
  std::condition_variable changed;
  bool release = false;
  MiniAgent agent(
      server_.url(),
      [&](const json::Node& payload, const RequestContext&) -> absl::StatusOr<std::string> {
        if (payload.HasMember("slow")) {
          std::unique_lock<std::mutex> lock(mutex);
          changed.wait(lock, [&] { return release; });
        }
        return json::Encode(payload);
      },
      Execution::kPool);
  const auto client = Connect();
  Inbox slow(*client);
  for (int i = 0; i < 20; ++i)
    PublishDurable(*client, slow.subject(), R"({"payload":{"slow":1}})", absl::Seconds(30));
  ASSERT_TRUE(Await("20 slow commands to be under way", kSoon, [&] { return agent.handled() == 20; }));
  EXPECT_THAT(Ask(*client, kQuery), IsOk());
  EXPECT_THAT(slow.messages(), SizeIs(0));
  {
    std::lock_guard<std::mutex> lock(mutex);
    release = true;
    changed.notify_all();
  }
  EXPECT_TRUE(slow.AwaitCount(20));
}

// An agent must not be made to publish to the fleet's own subjects, or to the JetStream API.
TEST_F(BusTest, AReplySubjectThatIsNoInboxIsRefused) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  Inbox watch(*client);
  auto spy = client->Subscribe("kiosk.agent.payment.process", "", [&](const Message&) { ADD_FAILURE(); });
  ASSERT_THAT(spy, IsOk());
  for (const std::string& target :
       {std::string("kiosk.agent.payment.process"), std::string("$JS.API.STREAM.DELETE.KIOSK_EVENTS"),
        std::string("a b"), std::string("x.>"), std::string("a..b"), "_INBOX." + std::string(4200, 'x')}) {
    Message message;
    message.subject = subjects::kMenuSearch;
    message.headers.Set(subjects::kReplyToHeader, target);
    message.body = R"({"payload":{}})";
    ASSERT_THAT(client->Publish(message), IsOk());
  }
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 6));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_EQ(agent.handled(), 0);
  EXPECT_GE(Messages(*client, subjects::kEventsStream), 0);
  EXPECT_THAT(watch.messages(), SizeIs(0));
  // Whoever has a reply subject of its own is told, once.
  Message message;
  message.subject = subjects::kMenuSearch;
  message.reply = watch.subject();
  message.headers.Set(subjects::kReplyToHeader, "kiosk.agent.payment.process");
  message.body = R"({"trace_id":"t-1","payload":{}})";
  ASSERT_THAT(client->Publish(message), IsOk());
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 7));
  ASSERT_TRUE(watch.AwaitCount(1));
  EXPECT_THAT(watch.messages(), SizeIs(1));
  EXPECT_THAT(watch.messages()[0].body, HasSubstr("INVALID_REQUEST"));
  EXPECT_THAT(watch.messages()[0].body, HasSubstr("Kiosk-Reply-To"));
  EXPECT_THAT(watch.messages()[0].body, HasSubstr("t-1"));
  EXPECT_EQ(agent.handled(), 0);
}

// "A request always gets an answer": one that came too late on the plain path is told so, and not started.
TEST_F(BusTest, AnExpiredPlainRequestIsAnsweredAndNotStarted) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  Inbox inbox(*client);
  Message message;
  message.subject = subjects::kMenuSearch;
  message.reply = inbox.subject();
  message.headers.Set(subjects::kDeadlineHeader, "2025-12-14T13:30:00.000Z");
  message.body = R"({"session_id":"s-1","payload":{}})";
  ASSERT_THAT(client->Publish(message), IsOk());
  ASSERT_TRUE(inbox.AwaitCount(1));
  EXPECT_THAT(inbox.messages()[0].body, HasSubstr("\"TIMEOUT\""));
  EXPECT_THAT(inbox.messages()[0].body, HasSubstr("s-1"));
  EXPECT_EQ(agent.expired(), 1);
  EXPECT_EQ(agent.handled(), 0);
}

// "A request always gets an answer": whatever its body.
TEST_F(BusTest, MalformedRequestsAreAnsweredOnBothPaths) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  const std::string deep = "{\"payload\":" + std::string(33, '[') + std::string(33, ']') + "}";
  const std::string huge = "{\"payload\":{\"x\":\"" + std::string(1000000, 'x');
  Inbox inbox(*client);
  size_t sent = 0;
  for (const std::string& body :
       {std::string(), std::string("nonsense"), std::string("{\"payload\":"), std::string("[]"),
        std::string("{}"), std::string("{\"payload\":7}"), deep, huge, std::string("\0\xff\xfe", 3),
        std::string("{\"payload\":{}}\0", 15)}) {
    const absl::StatusOr<Message> answer = Core(*client, subjects::kMenuSearch, body);
    ASSERT_THAT(answer, IsOk()) << body.substr(0, 40);
    EXPECT_THAT(answer->body, HasSubstr("INVALID_REQUEST"));
    PublishDurable(*client, inbox.subject(), body);
    ASSERT_TRUE(inbox.AwaitCount(++sent)) << body.substr(0, 40);
    EXPECT_THAT(inbox.messages().back().body, HasSubstr("INVALID_REQUEST"));
  }
  EXPECT_EQ(agent.handled(), 0);
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, static_cast<int64_t>(sent)));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  const absl::StatusOr<Message> unknown = Core(*client, "kiosk.agent.menu.dance", R"({"payload":{}})");
  ASSERT_THAT(unknown, IsOk());
  EXPECT_THAT(unknown->body, HasSubstr("no such command"));
}

// However much of it JSON has to escape.
TEST_F(BusTest, WhatIsLargeAndMalformedIsStoredAsADeadLetterAndEnded) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  int64_t letters = 0;
  for (const char filling : {'\xff', '\x01', '"'}) {
    for (const bool durable : {true, false}) {
      Message message;
      message.subject = subjects::kMenuSearch;
      message.headers.Set("X-Big", std::string(60000, '\x01'));
      if (durable) message.headers.Set(subjects::kReplyToHeader, "_INBOX.nobody");
      message.body = std::string(950000, filling);
      ASSERT_THAT(client->Publish(message), IsOk());
      ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, ++letters))
          << static_cast<int>(filling);
    }
  }
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  for (const messages::DeadLetter& letter : DeadLetters(*client)) {
    EXPECT_TRUE(letter.headers_truncated);
    EXPECT_EQ(letter.body_bytes, 950000);
  }
}

// What asks for no reply and is invalid is not dropped in silence.
TEST_F(BusTest, AnInvalidCommandWithoutReplyBecomesACoreDeadLetter) {
  MiniAgent agent(server_.url(), Echo);
  const auto client = Connect();
  Message message;
  message.subject = subjects::kMenuSearch;
  message.body = "\xff nonsense";
  ASSERT_THAT(client->Publish(message), IsOk());
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 1));
  const absl::StatusOr<StoredMessage> stored = client->NextStored(subjects::kDeadLetterStream, ">", 1);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->message.subject, "system.deadletter.core.arc-menu");
  const messages::DeadLetter letter = DeadLetters(*client)[0];
  EXPECT_FALSE(letter.body.has_value());
  EXPECT_EQ(letter.body_base64, "/yBub25zZW5zZQ==");
}

// "Messages that ran out of deliveries are found through the advisory: fetch, store, delete".
TEST_F(BusTest, WhatRanOutOfDeliveriesIsBuried) {
  const auto client = Connect();
  Inbox inbox(*client);
  // A copy that ends no delivery. The server says that the third was the last only when it would deliver
  // again, which leaves time for an agent that listens.
  const auto careless = Connect();
  std::atomic<int> deliveries{0};
  auto consumer = careless->Consume(
      {subjects::kCommandsStream, "menu-agent-consumer", 8}, [&](const std::shared_ptr<Delivery>& delivery) {
        ++deliveries;
        delivery->Nak(delivery->last_delivery() ? absl::Seconds(3) : absl::ZeroDuration());
      });
  ASSERT_TRUE(Await("the careless copy to be bound", kSoon, [&] { return consumer->bound(); }));
  PublishDurable(*client, inbox.subject(), R"({"payload":{"poison":1}})", absl::Seconds(30));
  ASSERT_TRUE(Await("three deliveries", kSoon, [&] { return deliveries == 3; }));
  MiniAgent agent(server_.url(), Echo);
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 1));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_THAT(DeadLetters(*client)[0].body.value_or(""), HasSubstr("poison"));
  EXPECT_TRUE(inbox.AwaitCount(1));
  EXPECT_THAT(inbox.messages()[0].body, HasSubstr("INTERNAL"));
  EXPECT_EQ(agent.handled(), 0);
}

// An advisory is heard by who listens when it is sent; what nobody heard of is found by looking.
TEST_F(BusTest, WhatRanOutOfDeliveriesUnheardIsBuriedToo) {
  const auto client = Connect();
  std::atomic<int> advised{0};
  auto advisories = client->Subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "",
                                      [&](const Message&) { ++advised; });
  ASSERT_THAT(advisories, IsOk());
  {
    const auto careless = Connect();
    std::atomic<int> deliveries{0};
    auto consumer = careless->Consume({subjects::kCommandsStream, "menu-agent-consumer", 8},
                                      [&](const std::shared_ptr<Delivery>& delivery) {
                                        ++deliveries;
                                        delivery->Nak(absl::ZeroDuration());
                                      });
    ASSERT_TRUE(Await("the careless copy to be bound", kSoon, [&] { return consumer->bound(); }));
    Inbox inbox(*client);
    PublishDurable(*client, inbox.subject(), R"({"payload":{"poison":1}})", absl::Seconds(30));
    ASSERT_TRUE(Await("the advisory to be over", kSoon, [&] { return advised == 1; }));
    EXPECT_EQ(deliveries, 3);
  }
  EXPECT_EQ(Messages(*client, subjects::kCommandsStream), 1);
  SweepOptions sweep;
  sweep.interval = absl::Milliseconds(100);
  sweep.stuck_after = absl::Seconds(1);
  Executor executor;
  CommandServer menu(*client, executor, "menu", "arc-menu", {}, sweep);
  ASSERT_THAT(menu.Start({{"menu-agent-consumer", "kiosk.agent.menu.>"}}), IsOk());
  ASSERT_TRUE(AwaitMessages(*client, subjects::kDeadLetterStream, 1));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 0));
  EXPECT_TRUE(menu.Drain(kSoon));
}

// "kiosk.hardware.* is an alias", "appends .K to the subjects that belong to one kiosk".
TEST_F(BusTest, AliasAndScopedFormsReachTheSameHandler) {
  server_.Provision("kiosk-007");
  const auto bus = Connect();
  Executor executor;
  CommandServer hardware(*bus, executor, "hardware", "arc-hardware");
  testing_support::Signal signal;
  std::vector<std::string> seen;
  hardware.Handle(subjects::kHardwareLed, Execution::kInline,
                  [&](const json::Node&, const RequestContext& context) -> absl::StatusOr<std::string> {
                    signal.Set([&] { seen.push_back(context.subject + "|" + context.kiosk_id); });
                    return std::string("{\"status\":\"success\"}");
                  });
  ASSERT_THAT(hardware.Start({{"hardware-agent-consumer", "kiosk.agent.hardware.*"},
                              {"hardware-alias-agent-consumer", "kiosk.hardware.*"},
                              {"hardware-agent-consumer-kiosk-007", "kiosk.agent.hardware.*.kiosk-007"},
                              {"hardware-alias-agent-consumer-kiosk-007", "kiosk.hardware.*.kiosk-007"}}),
              IsOk());
  ASSERT_TRUE(Await("four bound consumers", kSoon, [&] { return hardware.bound(); }));
  const auto client = Connect();
  for (const char* subject : {"kiosk.agent.hardware.led", "kiosk.hardware.led",
                              "kiosk.agent.hardware.led.kiosk-007", "kiosk.hardware.led.kiosk-007"}) {
    EXPECT_THAT(CallRawAndWait(*client, subject, "{}", {}), IsOk()) << subject;
    EXPECT_THAT(Core(*client, subject, R"({"payload":{}})"), IsOk()) << subject;
  }
  const std::string bare = std::string(subjects::kHardwareLed) + "|";
  const std::string scoped = bare + "kiosk-007";
  EXPECT_THAT(seen, ElementsAre(bare, bare, bare, bare, scoped, scoped, scoped, scoped));
  hardware.Drain(kSoon);
}

// SIGTERM's half of section 3.6: "finish what is in flight … Nothing acked unfinished".
TEST_F(BusTest, DrainFinishesWhatIsUnderWay) {
  std::mutex mutex;
  std::condition_variable changed;
  bool release = false;
  MiniAgent agent(
      server_.url(),
      [&](const json::Node& payload, const RequestContext&) -> absl::StatusOr<std::string> {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return release; });
        return json::Encode(payload);
      },
      Execution::kPool);
  const auto client = Connect();
  Inbox inbox(*client);
  for (int i = 0; i < 5; ++i)
    PublishDurable(*client, inbox.subject(), R"({"payload":{}})", absl::Seconds(30));
  ASSERT_TRUE(Await("5 commands to be under way", kSoon, [&] { return agent.handled() == 5; }));
  EXPECT_FALSE(agent.server().Drain(absl::Milliseconds(50)));
  // Not pulled any more.
  PublishDurable(*client, inbox.subject(), R"({"payload":{}})", absl::Seconds(30));
  {
    std::lock_guard<std::mutex> lock(mutex);
    release = true;
    changed.notify_all();
  }
  EXPECT_TRUE(agent.server().Drain(kSoon));
  EXPECT_TRUE(inbox.AwaitCount(5));
  EXPECT_TRUE(AwaitMessages(*client, subjects::kCommandsStream, 1));
  EXPECT_EQ(agent.handled(), 5);
}

}  // namespace
}  // namespace arc::bus
