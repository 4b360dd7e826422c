// The spans of messages, on a bus in memory.
#include "common/bus/tracing.h"

#include <map>
#include <optional>
#include <string>

#include "common/bus/call.h"
#include "common/bus/command_server.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/menu.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "common/trace/collected.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::bus {
namespace {

using ::testing::Contains;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using trace::AttributeValue;
using trace::SpanData;

constexpr char kTrace[] = "550e8400-e29b-41d4-a716-446655440000";

class TracingTest : public ::testing::Test {
 protected:
  TracingTest() {
    bus_.ProvisionDefault();
    server_.Handle(subjects::kMenuSearch, Execution::kInline,
                   [this](const json::Node&, const RequestContext& context) -> absl::StatusOr<std::string> {
                     handled_in_ = trace::Current();
                     trace_id_ = context.trace_id;
                     const trace::Span engine("engine", trace::SpanKind::kInternal);
                     return result_;
                   });
    EXPECT_THAT(server_.Start({{"menu-agent-consumer", "kiosk.agent.menu.>"}}), IsOk());
  }

  absl::StatusOr<ParsedMessage> Search() {
    std::optional<absl::StatusOr<ParsedMessage>> answer;
    CallContext context;
    context.trace_id = kTrace;
    CallRaw(bus_, subjects::kMenuSearch, R"({"command":"search","query":"burger"})", context,
            [&](absl::StatusOr<ParsedMessage> got) {
              answered_in_ = trace::Current();
              answer = std::move(got);
            });
    bus_.RunUntilIdle();
    return *std::move(answer);
  }

  std::map<std::string, SpanData> ByName() {
    std::map<std::string, SpanData> all;
    for (SpanData& span : collected_.Take()) {
      EXPECT_EQ(span.context.trace_id, kTrace);
      const std::string name = span.name;
      EXPECT_TRUE(all.emplace(name, std::move(span)).second) << name;
    }
    return all;
  }

  trace::Collected collected_;
  ManualClock clock_;
  MemoryBus bus_{clock_};
  Executor executor_;
  CommandServer server_{bus_, executor_, "menu", "arc-menu"};
  absl::StatusOr<std::string> result_ = std::string("{\"status\":\"success\"}");
  trace::SpanContext handled_in_;
  trace::SpanContext answered_in_;
  std::string trace_id_;
};

TEST_F(TracingTest, ACommandIsAskedPublishedQueuedAndProcessed) {
  const trace::SpanContext caller =
      trace::FromHeader("00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01");
  {
    const trace::Scope scope(caller);
    ASSERT_THAT(Search().status(), IsOk());
  }
  const std::map<std::string, SpanData> spans = ByName();
  ASSERT_EQ(spans.size(), 5u);
  const SpanData& request = spans.at("request kiosk.agent.menu.search");
  const SpanData& publish = spans.at("publish kiosk.agent.menu.search");
  const SpanData& queue = spans.at("queue kiosk.agent.menu.search");
  const SpanData& process = spans.at("process kiosk.agent.menu.search");
  const SpanData& engine = spans.at("engine");
  EXPECT_EQ(request.parent_span_id, caller.span_id);
  EXPECT_EQ(publish.parent_span_id, request.context.span_id);
  EXPECT_EQ(queue.parent_span_id, publish.context.span_id);
  EXPECT_EQ(process.parent_span_id, publish.context.span_id);
  EXPECT_EQ(engine.parent_span_id, process.context.span_id);
  EXPECT_EQ(handled_in_.span_id, process.context.span_id);
  EXPECT_EQ(answered_in_.span_id, caller.span_id) << "the answer comes to what the caller worked on";
  EXPECT_THAT(process.attributes, Contains(Pair("messaging.system", AttributeValue(std::string("nats")))));
}

TEST_F(TracingTest, OfACallerThatWorksOnNothingTheTurnIsTheParent) {
  ASSERT_THAT(Search().status(), IsOk());
  EXPECT_EQ(ByName().at("request kiosk.agent.menu.search").parent_span_id, trace::RootOf(kTrace).span_id);
  EXPECT_FALSE(trace::Current().valid());
}

TEST_F(TracingTest, WhatAnAgentAnswersIsInTheSpan) {
  result_ = MakeError(ErrorCode::kMenuNotFound, "nothing matches 'my words'");
  EXPECT_THAT(Search().status(), HasErrorCode(ErrorCode::kMenuNotFound));
  for (const auto& [name, span] : ByName()) {
    EXPECT_FALSE(span.failed) << name;
    if (name.find("process") != std::string::npos || name.find("request") != std::string::npos) {
      EXPECT_THAT(span.attributes,
                  Contains(Pair("error.type", AttributeValue(std::string("MENU_NOT_FOUND")))))
          << name;
    }
  }
}

TEST_F(TracingTest, AMessageWithoutATraceIdHasItsHeaders) {
  Message message;
  message.subject = subjects::kMenuSearch;
  message.reply = "_INBOX.1";
  message.body = R"({"payload":{"command":"search","query":"burger"}})";
  message.headers.Set(subjects::kTraceParentHeader,
                      "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01");
  ASSERT_THAT(bus_.Publish(message), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(trace_id_, kTrace);
  EXPECT_EQ(ByName().at("process kiosk.agent.menu.search").parent_span_id, 0x00f067aa0ba902b7u);
}

TEST_F(TracingTest, ATraceIdThatIsNoUuidHasNoSpans) {
  Message message;
  message.subject = subjects::kMenuSearch;
  message.reply = "_INBOX.1";
  message.body = R"({"trace_id":"t-1","payload":{"command":"search","query":"burger"}})";
  ASSERT_THAT(bus_.Publish(message), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(trace_id_, "t-1");
  EXPECT_THAT(collected_.Take(), ::testing::IsEmpty());
}

TEST_F(TracingTest, WhatNobodyWaitsForIsQueuedAndNotProcessed) {
  Message message;
  message.subject = subjects::kMenuSearch;
  message.reply = "_INBOX.1";
  message.body = "{}";
  message.headers.Set(subjects::kTraceParentHeader,
                      "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01");
  message.headers.Set(subjects::kDeadlineHeader, FormatTimestamp(clock_.Now() - absl::Seconds(1)));
  ASSERT_THAT(bus_.Publish(message), IsOk());
  bus_.RunUntilIdle();
  const std::map<std::string, SpanData> spans = ByName();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_THAT(spans.at("queue kiosk.agent.menu.search").attributes,
              Contains(Pair("kiosk.expired", AttributeValue(true))));
}

TEST_F(TracingTest, AnEventsSpanEndsWhenItsStreamHasConfirmedIt) {
  bus_.FailPublishEvent(2);
  std::optional<absl::Status> stored;
  PublishEvent(bus_, subjects::kUiUpdate, MakeEnvelope(clock_.Now(), "", kTrace), "{}", "",
               [&](const absl::Status& status) { stored = status; });
  bus_.RunUntilIdle();
  EXPECT_THAT(collected_.Take(), ::testing::IsEmpty());
  while (!stored.has_value()) {
    clock_.Advance(absl::Milliseconds(250));
    bus_.RunUntilIdle();
  }
  EXPECT_EQ(ByName().count("publish kiosk.ui.update"), 1u);
}

TEST_F(TracingTest, WorkOfAnExecutorIsOfWhatItsCallerWorksOn) {
  const trace::SpanContext caller = trace::RootOf(kTrace);
  std::optional<trace::SpanContext> within, without;
  {
    Executor executor;
    executor.Run([&] { without = trace::Current(); });
    const trace::Scope scope(caller);
    executor.Run([&] { within = trace::Current(); });
  }
  EXPECT_EQ(within->span_id, caller.span_id);
  EXPECT_FALSE(without->valid());
}

TEST_F(TracingTest, OnTheCorePathAnAnswerEndsTheRequest) {
  auto answering = bus_.Subscribe("agent.test.request", "", [&](const Message& message) {
    Message reply;
    reply.subject = message.reply;
    EXPECT_EQ(trace::FromHeader(message.headers.Get(subjects::kTraceParentHeader).value_or("")).trace_id,
              kTrace);
    EXPECT_THAT(bus_.Publish(reply), IsOk());
  });
  bool answered = false;
  Message request;
  request.subject = "agent.test.request";
  CoreRequestTraced(bus_, request, kTrace, absl::Seconds(1),
                    [&](const absl::StatusOr<Message>& reply) { answered = reply.ok(); });
  bus_.RunUntilIdle();
  EXPECT_TRUE(answered);
  const std::map<std::string, SpanData> spans = ByName();
  EXPECT_EQ(spans.at("publish agent.test.request").parent_span_id,
            spans.at("request agent.test.request").context.span_id);

  Message plain;
  plain.subject = "agent.test.said";
  ASSERT_THAT(PublishTraced(bus_, plain, kTrace), IsOk());
  EXPECT_EQ(ByName().at("publish agent.test.said").parent_span_id, trace::RootOf(kTrace).span_id);
}

}  // namespace
}  // namespace arc::bus
