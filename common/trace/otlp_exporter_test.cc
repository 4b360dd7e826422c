#include "common/trace/otlp_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "common/trace/otlp.pb.h"
#include "tests/support/await.h"

namespace arc::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kTrace[] = "550e8400-e29b-41d4-a716-446655440000";
constexpr std::chrono::seconds kPatience{30};

// A collector that answers as it is told.
class Collector {
 public:
  using Answer = std::function<void(int request, httplib::Response&)>;

  explicit Collector(Answer answer = {}) : answer_(std::move(answer)) {
    server_.Post("/v1/traces", [this](const httplib::Request& request, httplib::Response& response) {
      int number = 0;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        requests_.push_back(request);
        number = static_cast<int>(requests_.size());
      }
      changed_.notify_all();
      if (answer_) answer_(number, response);
    });
  }
  ~Collector() { Stop(); }

  void Start(int port = 0) {
    port_ =
        port == 0 ? server_.bind_to_any_port("127.0.0.1") : (server_.bind_to_port("127.0.0.1", port), port);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    testing_support::Await("the collector to run", absl::Seconds(10),
                           [this] { return server_.is_running(); });
  }
  void Stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      released_ = true;
    }
    changed_.notify_all();
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  OtlpOptions Options() const {
    OtlpOptions options;
    options.url = absl::StrCat("http://127.0.0.1:", port_, "/v1/traces");
    options.resource = {{"service.name", "menu"}, {"service.instance.id", "1"}};
    options.headers = {{"x-key", "secret"}};
    options.scope_version = "1.2.3";
    options.interval = absl::Milliseconds(10);
    options.first_retry = absl::Milliseconds(10);
    return options;
  }
  int port() const { return port_; }

  bool AwaitRequests(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return requests_.size() >= count; });
  }
  std::vector<httplib::Request> requests() {
    std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  // Blocks an answer until Stop().
  void Hang() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return released_; });
  }

 private:
  const Answer answer_;
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<httplib::Request> requests_;
  bool released_ = false;
};

SpanData MakeSpan(const std::string& name = "a") {
  SpanData span;
  span.context = RootOf(kTrace);
  span.parent_span_id = 0x0102030405060708;
  span.name = name;
  span.kind = SpanKind::kConsumer;
  span.start = absl::FromUnixMillis(1'765'720'800'123);
  span.end = span.start + absl::Milliseconds(2);
  span.attributes = {{"text", std::string("x")}, {"number", int64_t{-3}}, {"real", 0.5}, {"yes", true}};
  span.failed = true;
  return span;
}

std::unique_ptr<OtlpExporter> Make(const OtlpOptions& options) {
  absl::StatusOr<std::unique_ptr<OtlpExporter>> made = OtlpExporter::Create(options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

TEST(OtlpExporterTest, ASpanArrivesWhole) {
  Collector collector;
  collector.Start();
  const auto exporter = Make(collector.Options());
  exporter->OnEnd(MakeSpan());
  ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
  EXPECT_EQ(exporter->counts().exported, 1u);

  const std::vector<httplib::Request> requests = collector.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].get_header_value("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(requests[0].get_header_value("x-key"), "secret");
  otlp::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(requests[0].body));
  EXPECT_EQ(
      request.ShortDebugString(),
      R"(resource_spans { resource { attributes { key: "service.instance.id" value { string_value: "1" } } )"
      R"(attributes { key: "service.name" value { string_value: "menu" } } } )"
      R"(scope_spans { scope { name: "arc-kiosk" version: "1.2.3" } )"
      R"(spans { trace_id: "U\016\204\000\342\233A\324\247\026DfUD\000\000" span_id: "\247\026DfUD\000\000" )"
      R"(parent_span_id: "\001\002\003\004\005\006\007\010" name: "a" kind: 5 )"
      R"(start_time_unix_nano: 1765720800123000000 end_time_unix_nano: 1765720800125000000 )"
      R"(attributes { key: "text" value { string_value: "x" } } )"
      R"(attributes { key: "number" value { int_value: -3 } } )"
      R"(attributes { key: "real" value { double_value: 0.5 } } )"
      R"(attributes { key: "yes" value { bool_value: true } } status { code: 2 } flags: 1 } } })");
}

TEST(OtlpExporterTest, BatchesHaveALimit) {
  Collector collector;
  collector.Start();
  OtlpOptions options = collector.Options();
  options.max_batch = 4;
  const auto exporter = Make(options);
  for (int i = 0; i < 10; ++i) exporter->OnEnd(MakeSpan(absl::StrCat(i)));
  ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
  std::vector<std::string> names;
  for (const httplib::Request& sent : collector.requests()) {
    otlp::ExportTraceServiceRequest request;
    ASSERT_TRUE(request.ParseFromString(sent.body));
    EXPECT_LE(request.resource_spans(0).scope_spans(0).spans_size(), 4);
    for (const otlp::Span& span : request.resource_spans(0).scope_spans(0).spans())
      names.push_back(span.name());
  }
  EXPECT_THAT(names, ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_EQ(exporter->counts().exported, 10u);
}

TEST(OtlpExporterTest, ACollectorThatIsBusyIsAskedAgain) {
  for (const int status : {429, 502, 503, 504}) {
    Collector collector([status](int request, httplib::Response& response) {
      if (request < 3) response.status = status;
    });
    collector.Start();
    const auto exporter = Make(collector.Options());
    exporter->OnEnd(MakeSpan());
    ASSERT_TRUE(collector.AwaitRequests(3)) << status;
    ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
    EXPECT_EQ(exporter->counts().exported, 1u);
    EXPECT_EQ(exporter->counts().failed, 0u);
  }
}

TEST(OtlpExporterTest, ACollectorThatRefusesIsNotAskedAgain) {
  for (const int status : {400, 401, 404, 500}) {
    Collector collector([status](int, httplib::Response& response) { response.status = status; });
    collector.Start();
    const auto exporter = Make(collector.Options());
    exporter->OnEnd(MakeSpan());
    ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
    EXPECT_EQ(collector.requests().size(), 1u);
    EXPECT_EQ(exporter->counts().failed, 1u);
    EXPECT_EQ(exporter->counts().exported, 0u);
  }
}

TEST(OtlpExporterTest, WhatACollectorRejectsIsCounted) {
  Collector collector([](int, httplib::Response& response) {
    otlp::ExportTraceServiceResponse answer;
    answer.mutable_partial_success()->set_rejected_spans(2);
    response.set_content(answer.SerializeAsString(), "application/x-protobuf");
  });
  collector.Start();
  OtlpOptions options = collector.Options();
  options.max_batch = 3;
  options.interval = absl::Minutes(1);  // the batch leaves when it is full
  const auto exporter = Make(options);
  for (int i = 0; i < 3; ++i) exporter->OnEnd(MakeSpan());
  ASSERT_TRUE(collector.AwaitRequests(1));
  ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
  EXPECT_EQ(exporter->counts().exported, 1u);
  EXPECT_EQ(exporter->counts().failed, 2u);
}

TEST(OtlpExporterTest, ACollectorMayComeLater) {
  Collector collector;
  int port = 0;
  {
    Collector before;
    before.Start();
    port = before.port();
  }
  OtlpOptions options = collector.Options();
  options.url = absl::StrCat("http://127.0.0.1:", port, "/v1/traces");
  const auto exporter = Make(options);
  exporter->OnEnd(MakeSpan());
  collector.Start(port);
  ASSERT_TRUE(collector.AwaitRequests(1));
  ASSERT_TRUE(exporter->Flush(absl::Seconds(30)));
  EXPECT_EQ(exporter->counts().exported, 1u);
}

TEST(OtlpExporterTest, ACollectorThatHangsHoldsUpNobody) {
  Collector* hanging = nullptr;
  Collector collector([&hanging](int, httplib::Response&) { hanging->Hang(); });
  hanging = &collector;
  collector.Start();
  OtlpOptions options = collector.Options();
  options.max_queue = 100;
  options.max_batch = 10;
  options.timeout = absl::Minutes(10);
  auto exporter = Make(options);
  exporter->OnEnd(MakeSpan());
  ASSERT_TRUE(collector.AwaitRequests(1));
  for (int i = 0; i < 1000; ++i) exporter->OnEnd(MakeSpan());
  EXPECT_EQ(exporter->counts().dropped, 900u);
  EXPECT_FALSE(exporter->Flush(absl::Milliseconds(1)));
  exporter.reset();  // does not wait for the ten minutes
}

TEST(OtlpExporterTest, ABatchIsGivenUpInTheEnd) {
  Collector collector([](int, httplib::Response& response) { response.status = 503; });
  collector.Start();
  OtlpOptions options = collector.Options();
  options.give_up_after = absl::Milliseconds(50);
  const auto exporter = Make(options);
  exporter->OnEnd(MakeSpan());
  EXPECT_TRUE(testing_support::Await("the batch to be given up", absl::Seconds(30),
                                     [&] { return exporter->counts().failed == 1; }));
  EXPECT_GE(collector.requests().size(), 1u);
}

TEST(OtlpExporterTest, AnAddressIsChecked) {
  EXPECT_EQ(*TracesUrl("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
  EXPECT_EQ(*TracesUrl("https://otlp.example.com/otlp/"), "https://otlp.example.com/otlp/v1/traces");
  EXPECT_THAT(TracesUrl("127.0.0.1:4318"), StatusIs(absl::StatusCode::kInvalidArgument));
  OtlpOptions options;
  options.url = "grpc://127.0.0.1:4317";
  EXPECT_THAT(OtlpExporter::Create(options).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(OtlpExporterTest, PairsAreThoseOfTheEnvironment) {
  EXPECT_THAT(*ParsePairs("api-key=a%20b, x=1=2,"), ElementsAre(Pair("api-key", "a b"), Pair("x", "1=2")));
  EXPECT_THAT(*ParsePairs(""), IsEmpty());
  EXPECT_THAT(*ParsePairs("a=%zz%4"), ElementsAre(Pair("a", "%zz%4")));
  EXPECT_THAT(ParsePairs("novalue").status(), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParsePairs("=x").status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace arc::trace
