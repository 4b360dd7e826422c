// arc-brain as a process, with the real menu, recommendation and orchestrator agents on a real nats-server.
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/messages/brain.h"
#include "common/messages/stt.h"
#include "common/messages/ui.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "services/menu/menu_store.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::brain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::Process;
using testing_support::Signal;

class BrainBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    for (const auto& [subject, kept] : {std::make_pair(subjects::kBrainResponse, &responses_),
                                        std::make_pair(subjects::kBrainError, &errors_)}) {
      subscriptions_.push_back(bus_->Subscribe(subject, "",
                                               [this, kept = kept](bus::Message message) {
                                                 signal_.Set([&] { kept->push_back(std::move(message)); });
                                               })
                                   .value());
    }
  }

  std::unique_ptr<Process> Start(const std::string& binary, const std::vector<std::string>& more = {}) {
    const std::string ready = folder_.File(absl::StrCat("ready-", copies_++));
    std::vector<std::string> argv = {absl::StrCat(ARC_BIN_DIR "/", binary),
                                     absl::StrCat("--nats_url=", server_.url()), "--http_port=0",
                                     "--grpc_port=0", absl::StrCat("--ready_file=", ready)};
    argv.insert(argv.end(), more.begin(), more.end());
    auto process = Process::Start(argv);
    EXPECT_THAT(process, IsOk());
    if (!process.ok() || !(*process)->AwaitFile(ready, absl::Seconds(20))) return nullptr;
    if (!Await(absl::StrCat(binary, " serves"), absl::Seconds(20), [&] { return Serves(**process); }))
      return nullptr;
    return *std::move(process);
  }

  static bool Serves(const Process& process) {
    return absl::StrContains(process.Stderr(), "\"msg\":\"serving\"");
  }

  void ImportMenu() {
    auto bucket = bus_->OpenBucket(subjects::kMenuBucket).value();
    std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
    const auto demo = menu::ParseMenuFile(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_THAT(demo, IsOk());
    ASSERT_THAT(menu::ImportMenu(*bucket, *demo), IsOk());
  }

  messages::BrainRequest Request(const std::string& text) {
    messages::BrainRequest request;
    request.request_id = absl::StrCat("req-", ++requests_);
    request.trace_id = "550e8400-e29b-41d4-a716-446655440000";
    request.session_id = "session-456";
    request.conversation_id = "conv-789";
    request.user_input = text;
    request.context.dialogue = dialogue_;
    return request;
  }

  // Says it, publishes the intents as the voice agent does.
  messages::BrainResponse Say(const std::string& text) {
    bus::Message message;
    message.subject = subjects::kBrainRequest;
    message.body = json::Encode(Request(text));
    const absl::StatusOr<bus::Message> reply = bus::CoreRequestAndWait(*bus_, message, absl::Seconds(10));
    EXPECT_THAT(reply, IsOk());
    if (!reply.ok()) return {};
    const absl::StatusOr<messages::BrainResponse> response =
        json::Decode<messages::BrainResponse>(reply->body);
    EXPECT_THAT(response, IsOk()) << reply->body;
    if (!response.ok()) return {};
    dialogue_ = response->dialogue;
    for (const messages::Intent& intent : response->intents) {
      Signal stored;
      bool done = false;
      bus::PublishEvent(*bus_, subjects::kIntent, MakeEnvelope(SystemClock::Get().Now(), ""),
                        json::Encode(intent), "", [&](const absl::Status& status) {
                          EXPECT_THAT(status, IsOk());
                          stored.Set([&] { done = true; });
                        });
      EXPECT_TRUE(stored.Await("the intent is stored", absl::Seconds(10), [&] { return done; }));
    }
    return *response;
  }

  messages::SnapshotResponse Snapshot() {
    const auto snapshot = bus::CallAndWait<messages::SnapshotResponse>(*bus_, subjects::kOrchestratorSnapshot,
                                                                       messages::SnapshotRequest{}, {});
    EXPECT_THAT(snapshot, IsOk());
    return snapshot.ok() ? *snapshot : messages::SnapshotResponse{};
  }

  Signal signal_;
  std::vector<bus::Message> responses_;
  std::vector<bus::Message> errors_;
  std::optional<json::Raw> dialogue_;
  int requests_ = 0;
  int copies_ = 0;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

TEST_F(BrainBusTest, AnOrderSpokenTurnByTurnEndsInTheCart) {
  ImportMenu();
  const auto menu = Start("arc-menu");
  const auto recsys = Start("arc-recsys");
  const auto orchestrator = Start("arc-orchestrator");
  const auto brain = Start("arc-brain");
  ASSERT_TRUE(menu != nullptr && recsys != nullptr && orchestrator != nullptr && brain != nullptr);

  EXPECT_THAT(Say("hello").agent_response, HasSubstr("Hello"));
  const messages::BrainResponse ordered = Say("two volcano burgers without onions and a large cola please");
  EXPECT_THAT(ordered.agent_response,
              HasSubstr("two Volcano Burgers without onions and one large Iced Cola"));
  ASSERT_THAT(ordered.intents, SizeIs(1));
  EXPECT_EQ(ordered.request_id, "req-2");
  EXPECT_EQ(ordered.conversation_id, "conv-789");
  EXPECT_EQ(ordered.metadata.llm_model, "rules");
  EXPECT_GT(ordered.metadata.reasoning_steps, 4);
  EXPECT_THAT(ordered.metadata.tools_called, Contains("menu.list"));
  EXPECT_THAT(ordered.metadata.tools_called, Contains("orchestrator.snapshot"));
  EXPECT_EQ(ordered.performance.tools.size(), ordered.metadata.tools_called.size());
  ASSERT_TRUE(Await("the order is in the cart", absl::Seconds(10),
                    [&] { return Snapshot().cart.lines.size() == 2; }));

  Say("make it three burgers");
  ASSERT_TRUE(Await("three burgers", absl::Seconds(10), [&] {
    const auto cart = Snapshot().cart;
    return cart.lines.size() == 2 && cart.lines[0].quantity == 3;
  }));
  const messages::SnapshotResponse snapshot = Snapshot();
  EXPECT_EQ(snapshot.cart.lines[0].item_id, 101);
  EXPECT_THAT(snapshot.cart.lines[0].customizations, ElementsAre("No Onions"));
  EXPECT_EQ(snapshot.cart.lines[1].item_id, 201);
  EXPECT_THAT(snapshot.cart.lines[1].customizations, ElementsAre("Large"));

  const messages::BrainResponse done = Say("that's all");
  EXPECT_THAT(done.agent_response, HasSubstr("$45.96"));
  ASSERT_TRUE(Await("checkout", absl::Seconds(10), [&] { return Snapshot().state == "checkout"; }));
  EXPECT_THAT(errors_, IsEmpty());
  ASSERT_TRUE(signal_.Await("all responses on the subject", absl::Seconds(5),
                            [&] { return responses_.size() == 4; }));
  EXPECT_THAT(responses_[1].headers.Get(subjects::kTraceParentHeader).value_or(""),
              HasSubstr("550e8400e29b41d4a716446655440000"));
}

TEST_F(BrainBusTest, TheSpecificationsRequestIsAnsweredThoughThereIsNothingElseOnTheBus) {
  const auto brain = Start("arc-brain");
  ASSERT_NE(brain, nullptr);
  bus::Message message;
  message.subject = subjects::kBrainRequest;
  message.body = R"json({
    "request_id": "req-550e8400-e29b-41d4-a716-446655440000", "timestamp": "2025-12-14T13:30:05.000Z",
    "trace_id": "550e8400-e29b-41d4-a716-446655440000", "user_id": "user-123", "session_id": "session-456",
    "conversation_id": "conv-789", "turn_index": 3, "user_input": "What's the weather like today?",
    "context": {"previous_turns": [{"user": "Hello", "agent": "Hi! How can I help?"}],
                "user_profile": {"location": "San Francisco, CA", "preferences": ["outdoor_activities"]}},
    "constraints": {"max_tokens": 150, "temperature": 0.7, "timeout_ms": 2000}})json";
  ASSERT_THAT(bus_->Publish(message), IsOk());
  ASSERT_TRUE(
      signal_.Await("an answer", absl::Seconds(5), [&] { return responses_.size() + errors_.size() == 1; }));
  ASSERT_THAT(responses_, SizeIs(1));
  const auto response = json::Decode<messages::BrainResponse>(responses_[0].body);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->request_id, "req-550e8400-e29b-41d4-a716-446655440000");
  EXPECT_EQ(response->user_id, "user-123");
  EXPECT_EQ(response->turn_index, 3);
  EXPECT_THAT(response->agent_response, HasSubstr("can't reach our menu"));
}

TEST_F(BrainBusTest, MalformedRequestsAreErrorsAndDeadLetters) {
  const auto brain = Start("arc-brain");
  ASSERT_NE(brain, nullptr);
  bus::Message message;
  message.subject = subjects::kBrainRequest;
  const std::vector<std::string> bodies = {
      "",
      "{",
      "[]",
      "\xff\xfe",
      R"({"user_input":"hi"})",
      R"({"request_id":"bad-1","user_input":7})",
      R"({"request_id":"bad-2","user_input":"hi","context":{"kiosk_id":"a b"}})"};
  for (const std::string& body : bodies) {
    message.body = body;
    ASSERT_THAT(bus_->Publish(message), IsOk());
  }
  ASSERT_TRUE(signal_.Await("two errors", absl::Seconds(5), [&] { return errors_.size() == 2; }));
  const auto error = json::Decode<messages::AgentError>(errors_[0].body);
  ASSERT_THAT(error, IsOk());
  EXPECT_EQ(error->request_id, "bad-1");
  EXPECT_EQ(error->error_type, "invalid_request");
  EXPECT_THAT(error->error_message, HasSubstr("user_input"));
  EXPECT_TRUE(Await("all of them are dead letters", absl::Seconds(10), [&] {
    uint64_t from = 1;
    size_t count = 0;
    while (true) {
      const auto stored =
          bus_->NextStored(subjects::kDeadLetterStream, "system.deadletter.core.arc-sherlock-brain", from);
      if (!stored.ok()) break;
      from = stored->sequence + 1;
      ++count;
    }
    return count == bodies.size();
  }));
  // It still works.
  EXPECT_THAT(Say("hello").agent_response, HasSubstr("Hello"));
}

TEST_F(BrainBusTest, TwoCopiesShareTheRequests) {
  const auto a = Start("arc-brain");
  const auto b = Start("arc-brain");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  for (int i = 0; i < 20; ++i) Say("hello");
  ASSERT_TRUE(signal_.Await("one response each", absl::Seconds(5), [&] { return responses_.size() == 20; }));
  a->Send(15);
  EXPECT_EQ(a->WaitExit(absl::Seconds(10)), 0);
  EXPECT_THAT(Say("hello").agent_response, HasSubstr("Hello"));
}

TEST_F(BrainBusTest, PrintsItsGraph) {
  const auto rules = testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-brain"), "--print_graph"});
  EXPECT_EQ(rules.status, 0) << rules.err;
  EXPECT_TRUE(absl::StartsWith(rules.out, "digraph arc_brain {"));
  for (const char* part :
       {"listen -> look", "understand -> search", "inspect -> decide", "suggest -> answer"}) {
    EXPECT_THAT(rules.out, HasSubstr(part));
  }
  const auto model =
      testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-brain"), "--print_graph",
                                   "--engine=openai", "--openai_url=http://127.0.0.1:1", "--openai_model=m"});
  EXPECT_EQ(model.status, 0) << model.err;
  EXPECT_THAT(model.out, HasSubstr("ask_model -> understand [label=\"model failed\"]"));
  EXPECT_EQ(testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-brain"), "--engine=guess"}).status,
            2);
}

TEST_F(BrainBusTest, AModelThatCannotBeReachedKeepsItFromServing) {
  const std::string ready = folder_.File("never");
  const auto process =
      Process::Start({absl::StrCat(ARC_BIN_DIR, "/arc-brain"), absl::StrCat("--nats_url=", server_.url()),
                      "--http_port=0", "--grpc_port=0", absl::StrCat("--ready_file=", ready),
                      "--engine=openai", "--openai_url=http://127.0.0.1:1", "--openai_model=m"});
  ASSERT_THAT(process, IsOk());
  EXPECT_TRUE(Await("it says why it does not serve", absl::Seconds(20), [&] {
    return absl::StrContains((*process)->Stderr(), "the model's server does not answer");
  }));
  EXPECT_FALSE(Serves(**process));
}

}  // namespace
}  // namespace arc::brain
