#include "services/brain/service.h"

#include <memory>
#include <string>
#include <vector>

#include "common/clock/clock.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/stt.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::brain {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Small talk needs no tools, so that nothing else has to be on the bus.
class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bus_.ProvisionDefault();
    options_.agent_name = "arc-sherlock-brain";
    options_.on_engine_failure = [this](const std::string& error) { reported_.push_back(error); };
    service_ = std::make_unique<Service>(bus_, *executor_, metrics_, brain_, options_);
    ASSERT_THAT(service_->Start(), IsOk());
  }
  void TearDown() override {
    // Nothing comes any more; then the executor's threads leave the service, which they use; then it goes.
    service_->Stop(absl::Seconds(60));
    executor_.reset();
    service_.reset();
  }
  void Send(const std::string& body, const std::string& reply = "") {
    bus::Message message;
    message.subject = subjects::kBrainRequest;
    message.reply = reply;
    message.body = body;
    ASSERT_THAT(bus_.Publish(message), IsOk());
  }
  bool Await(absl::string_view subject, size_t count) {
    return bus_.RunUntil([&] { return bus_.Published(subject).size() >= count; }, absl::Seconds(60));
  }
  // A request that comes last has been answered: all before it have been seen.
  void Flush() {
    static int count = 0;
    const std::string id = "flush-" + std::to_string(++count);
    Send(R"({"request_id":")" + id + R"(","user_input":"hello"})", "inbox." + id);
    ASSERT_TRUE(Await("inbox." + id, 1));
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  Metrics metrics_{"arc-sherlock-brain"};
  Brain brain_{clock_, nullptr};
  ServiceOptions options_;
  std::vector<std::string> reported_;
  std::unique_ptr<bus::Executor> executor_ = std::make_unique<bus::Executor>(4);
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, AnswersOnTheSubjectAndToTheReply) {
  Send(R"({"request_id":"r1","trace_id":"550e8400-e29b-41d4-a716-446655440000","user_input":"hello",
           "context":{"kiosk_id":"kiosk-007"}})",
       "inbox.1");
  ASSERT_TRUE(Await("inbox.1", 1));
  ASSERT_THAT(bus_.Published(subjects::kBrainResponse), SizeIs(1));
  const bus::Message message = bus_.Published(subjects::kBrainResponse)[0];
  EXPECT_EQ(message.body, bus_.Published("inbox.1")[0].body);
  EXPECT_EQ(message.headers.Get(subjects::kKioskIdHeader), "kiosk-007");
  EXPECT_THAT(message.headers.Get(subjects::kTraceParentHeader).value_or(""),
              HasSubstr("550e8400e29b41d4a716446655440000"));
  const auto response = json::Decode<messages::BrainResponse>(message.body);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->request_id, "r1");
  EXPECT_EQ(response->timestamp, FormatTimestamp(clock_.Now()));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("kiosk_brain_requests_total{agent=\"arc-sherlock-brain\",outcome=\"answered\"} 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("intent=\"greet\"} 1"));
}

TEST_F(ServiceTest, ARepeatedRequestIsAnsweredAgainNotReasonedAgain) {
  const std::string body = R"({"request_id":"r1","user_input":"hello"})";
  Send(body);
  ASSERT_TRUE(Await(subjects::kBrainResponse, 1));
  clock_.Advance(absl::Seconds(9));
  Send(body, "inbox.2");
  ASSERT_TRUE(Await("inbox.2", 1));
  const auto published = bus_.Published(subjects::kBrainResponse);
  ASSERT_THAT(published, SizeIs(2));
  EXPECT_EQ(published[0].body, published[1].body);
  EXPECT_EQ(published[0].body, bus_.Published("inbox.2")[0].body);
  EXPECT_THAT(metrics_.Text(), HasSubstr("outcome=\"answered\"} 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("outcome=\"duplicate\"} 1"));
  // After the window it is a request like any other.
  clock_.Advance(absl::Seconds(2));
  Send(body);
  ASSERT_TRUE(Await(subjects::kBrainResponse, 3));
  EXPECT_THAT(metrics_.Text(), HasSubstr("outcome=\"answered\"} 2"));
}

TEST_F(ServiceTest, ManyRequestsDoNotFillTheMemory) {
  // As many at once as are taken; the next when they are answered.
  for (size_t sent = 0; sent < 1500;) {
    for (int i = 0; i < 50; ++i, ++sent) {
      Send(R"({"request_id":"m)" + std::to_string(sent) + R"(","user_input":"hello"})");
    }
    ASSERT_TRUE(Await(subjects::kBrainResponse, sent));
    // No use of the bus wakes RunUntil() when the last answer, which is published, counts as done.
    ASSERT_TRUE(service_->AwaitIdle(absl::Seconds(60)));
  }
  EXPECT_THAT(metrics_.Text(), ::testing::Not(HasSubstr("outcome=\"overloaded\"")));
  // The first is forgotten, and reasoned again.
  bus_.ClearPublished();
  Send(R"({"request_id":"m0","user_input":"hello"})");
  ASSERT_TRUE(Await(subjects::kBrainResponse, 1));
  EXPECT_THAT(metrics_.Text(), ::testing::Not(HasSubstr("outcome=\"duplicate\"")));
}

TEST_F(ServiceTest, MalformedRequestsAreErrorsWhereTheyNameThemselvesAndDeadLettersAlways) {
  std::string deep = R"({"request_id":"deep","user_input":"hi","context":)";
  for (int i = 0; i < 40; ++i) deep += R"({"a":)";
  const std::vector<std::string> bodies = {
      "",
      "nonsense",
      "[]",
      "{}",
      deep,
      R"({"request_id":5,"user_input":"hi"})",
      R"({"request_id":"","user_input":"hi"})",
      R"({"request_id":"x1"})",
      R"({"request_id":"x2","user_input":"hi","constraints":{"timeout_ms":0}})",
      R"({"request_id":"x3","user_input":"hi","context":{"kiosk_id":"a\r\nEvil: 1"}})",
      R"({"request_id":"x4","user_input":")" + std::string(5000, 'a') + R"("})"};
  for (const std::string& body : bodies) Send(body, "inbox.bad");
  Flush();
  ASSERT_TRUE(Await("system.deadletter.core.arc-sherlock-brain", bodies.size()));
  std::vector<std::string> ids;
  for (const bus::Message& message : bus_.Published(subjects::kBrainError)) {
    const auto error = json::Decode<messages::AgentError>(message.body);
    ASSERT_THAT(error, IsOk());
    EXPECT_EQ(error->error_type, "invalid_request");
    ids.push_back(error->request_id);
  }
  EXPECT_THAT(ids, ::testing::ElementsAre("x1", "x2", "x3", "x4"));
  EXPECT_THAT(bus_.Published("inbox.bad"), SizeIs(4));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("kiosk_brain_errors_total{agent=\"arc-sherlock-brain\",type=\"invalid_request\"} 4"));
}

TEST_F(ServiceTest, StopsTakingRequestsAndFinishesThoseInWork) {
  Send(R"({"request_id":"r1","user_input":"hello"})");
  ASSERT_TRUE(Await(subjects::kBrainResponse, 1));
  service_->Stop(absl::Seconds(1));
  EXPECT_EQ(service_->in_flight(), 0);
  bus_.ClearPublished();
  Send(R"({"request_id":"r2","user_input":"hello"})");
  bus_.RunUntilIdle();
  EXPECT_THAT(bus_.Published(subjects::kBrainResponse), IsEmpty());
}

}  // namespace
}  // namespace arc::brain
