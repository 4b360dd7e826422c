// The whole runtime, as a process, with a real nats-server.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/json/json.h"
#include "common/messages/system.h"
#include "common/metrics/histogram.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using testing_support::Await;
using testing_support::Finished;
using testing_support::NatsServer;
using testing_support::Process;
using testing_support::ReadFile;
using testing_support::RunProgram;
using testing_support::Signal;
using testing_support::TempDir;

constexpr absl::Duration kLimit = absl::Seconds(20);

struct Ready {
  int64_t pid = 0;
  std::string http_url;
  std::string grpc;
  std::string instance_id;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("pid", s.pid);
    v.Required("http_url", s.http_url);
    v.Required("grpc", s.grpc);
    v.Required("instance_id", s.instance_id);
  }
};

struct EchoRequest {
  std::string query;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("query", s.query);
  }
};

struct EchoResponse {
  std::string query;
  std::string instance_id;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("query", s.query);
    v.Required("instance_id", s.instance_id);
  }
};

// The agent under test.
class TestAgent {
 public:
  explicit TestAgent(const NatsServer& server, const std::vector<std::string>& flags = {}) {
    std::vector<std::string> argv = {ARC_TEST_AGENT, "--nats_url=" + server.url(),
                                     "--ready_file=" + dir_.File("ready.json")};
    argv.insert(argv.end(), flags.begin(), flags.end());
    absl::StatusOr<std::unique_ptr<Process>> process = Process::Start(argv);
    if (!process.ok()) {
      ADD_FAILURE() << process.status();
      return;
    }
    process_ = *std::move(process);
    if (!process_->AwaitFile(dir_.File("ready.json"), kLimit)) return;
    const absl::StatusOr<Ready> ready = json::Decode<Ready>(ReadFile(dir_.File("ready.json")));
    if (!ready.ok()) {
      ADD_FAILURE() << ready.status();
      return;
    }
    ready_ = *ready;
  }

  ~TestAgent() {
    if (process_ != nullptr && testing::Test::HasFailure()) {
      process_->Kill();
      ADD_FAILURE() << "the agent wrote:\n" << process_->Stderr();
    }
  }

  Process& process() { return *process_; }
  const Ready& ready() const { return ready_; }
  bool HasReadyFile() const { return !ReadFile(dir_.File("ready.json")).empty(); }

  // Exit status of `--probe`.
  int Probe() const { return RunProgram({ARC_TEST_AGENT, "--probe", "--grpc=" + ready_.grpc}).status; }
  bool AwaitServing() const {
    return Await("the agent is SERVING", kLimit, [&] { return Probe() == 0; });
  }

  struct Answer {
    int status = 0;
    std::string body;
  };
  Answer Get(const std::string& path) const {
    auto result = httplib::Client(ready_.http_url).Get(path.c_str());
    return result ? Answer{result->status, result->body} : Answer{};
  }
  void Post(const std::string& path) const {
    auto result = httplib::Client(ready_.http_url).Post(path.c_str());
    ASSERT_TRUE(result) << path;
    ASSERT_EQ(result->status, 200) << path;
  }

 private:
  TempDir dir_;
  std::unique_ptr<Process> process_;
  Ready ready_;
};

class AgentTest : public ::testing::Test {
 protected:
  std::unique_ptr<bus::NatsBus> Connect() {
    absl::StatusOr<std::unique_ptr<bus::NatsBus>> bus =
        bus::NatsBus::Connect(SystemClock::Get(), {server_.url(), "test", "", ""});
    EXPECT_THAT(bus, IsOk());
    EXPECT_TRUE((*bus)->AwaitConnected(kLimit));
    return *std::move(bus);
  }

  // Keeps system.* messages in a stream on disk, so that none is missed while the server is away.
  void KeepSystemMessages(bus::Bus& bus) {
    const std::string answer =
        Ask(bus, "$JS.API.STREAM.CREATE.SYSTEM",
            R"({"name":"SYSTEM","subjects":["system.health.>","system.service.>"],)"
            R"("retention":"limits","storage":"file","num_replicas":1,"max_consumers":-1,)"
            R"("max_msgs":-1,"max_bytes":-1,"max_age":0,"discard":"old"})");
    ASSERT_THAT(answer, Not(HasSubstr("\"error\""))) << answer;
  }

  std::string Ask(bus::Bus& bus, const std::string& subject, const std::string& body = "") {
    Signal signal;
    std::optional<absl::StatusOr<bus::Message>> answer;
    bus::Message request;
    request.subject = subject;
    request.body = body;
    bus.CoreRequest(std::move(request), absl::Seconds(5),
                    [&](absl::StatusOr<bus::Message> got) { signal.Set([&] { answer = std::move(got); }); });
    if (!signal.Await("an answer on " + subject, kLimit, [&] { return answer.has_value(); })) return "";
    EXPECT_THAT(*answer, IsOk());
    return answer->ok() ? (*answer)->body : "";
  }

  template <class T>
  std::vector<T> Kept(bus::Bus& bus, const std::string& subject) {
    std::vector<T> all;
    for (uint64_t next = 1;;) {
      const absl::StatusOr<bus::StoredMessage> stored = bus.NextStored("SYSTEM", subject, next);
      if (!stored.ok()) return all;
      next = stored->sequence + 1;
      const absl::StatusOr<T> message = json::Decode<T>(stored->message.body);
      EXPECT_THAT(message, IsOk()) << stored->message.body;
      if (message.ok()) all.push_back(*message);
    }
  }

  std::vector<std::string> HeartbeatStatuses(bus::Bus& bus) {
    std::vector<std::string> all;
    for (const auto& heartbeat : Kept<messages::Heartbeat>(bus, subjects::kHeartbeat)) {
      all.push_back(heartbeat.status);
    }
    return all;
  }

  // A command whose answer is awaited elsewhere.
  struct Call {
    Signal signal;
    std::optional<absl::StatusOr<EchoResponse>> answer;
  };
  std::shared_ptr<Call> Send(bus::Bus& bus, const char* subject, absl::Duration timeout = kLimit) {
    auto call = std::make_shared<Call>();
    bus::CallContext context;
    context.timeout = timeout;
    bus::Call<EchoResponse>(bus, subject, EchoRequest{"burger"}, context,
                            [call](absl::StatusOr<EchoResponse> answer) {
                              call->signal.Set([&] { call->answer = std::move(answer); });
                            });
    return call;
  }
  void AwaitInFlight(const TestAgent& agent, int count) {
    const std::string line = absl::StrCat("kiosk_agent_in_flight{agent=\"menu\"} ", count, "\n");
    ASSERT_TRUE(Await("commands in work", kLimit,
                      [&] { return agent.Get("/metrics").body.find(line) != std::string::npos; }));
  }

  NatsServer server_;
};

TEST_F(AgentTest, AnAgentStartedBeforeNatsServerWaitsAndThenServes) {
  server_.Kill();
  TestAgent agent(server_);
  EXPECT_EQ(agent.Probe(), 1);
  EXPECT_EQ(agent.Get("/healthz").status, 503);
  EXPECT_THAT(agent.Get("/healthz").body,
              AllOf(HasSubstr("\"NOT_SERVING\""), HasSubstr("not connected to nats-server")));
  server_.Restart();
  ASSERT_TRUE(Await("the agent says that its bucket is missing", kLimit, [&] {
    return agent.Get("/healthz").body.find("bucket KIOSK_MENU") != std::string::npos;
  })) << agent.Get("/healthz").body;
  EXPECT_EQ(agent.Probe(), 1);
  server_.Provision();
  ASSERT_TRUE(agent.AwaitServing());
  const TestAgent::Answer health = agent.Get("/healthz");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body, absl::StrCat(R"({"status":"SERVING","service":"menu","instance_id":")",
                                      agent.ready().instance_id, "\",\"reasons\":[]}\n"));
  EXPECT_EQ(agent.ready().pid, agent.process().pid());
}

TEST_F(AgentTest, AKilledNatsServerMeansNotServingUntilItIsBackAndProvisioned) {
  server_.Provision();
  auto bus = Connect();
  KeepSystemMessages(*bus);
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  server_.Kill();
  ASSERT_TRUE(Await("the agent is NOT_SERVING", absl::Seconds(5), [&] { return agent.Probe() == 1; }));
  server_.Restart();
  ASSERT_TRUE(Await("the agent misses its consumer, which was in memory", kLimit, [&] {
    return agent.Get("/healthz").body.find("not bound") != std::string::npos;
  })) << agent.Get("/healthz").body;
  server_.Provision();
  ASSERT_TRUE(agent.AwaitServing());
  ASSERT_TRUE(bus->AwaitConnected(kLimit));
  std::vector<messages::ServiceError> errors;
  ASSERT_TRUE(Await("the lost connection is reported", kLimit, [&] {
    errors = Kept<messages::ServiceError>(*bus, subjects::kServiceError);
    return !errors.empty();
  }));
  EXPECT_EQ(errors[0].service, "arc-test-agent");
  EXPECT_EQ(errors[0].error_type, "connection_lost");
  EXPECT_EQ(errors[0].severity, "critical");
  EXPECT_THAT(agent.Get("/metrics").body, HasSubstr("kiosk_agent_nats_reconnects_total{agent=\"menu\"} 1\n"));
  auto call = Send(*bus, subjects::kMenuSearch);
  ASSERT_TRUE(
      call->signal.Await("an answer after the restart", kLimit, [&] { return call->answer.has_value(); }));
  EXPECT_THAT(*call->answer, IsOk());
}

TEST_F(AgentTest, ANatsServerThatHangsMeansNotServing) {
  server_.Provision();
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  server_.Pause();
  ASSERT_TRUE(Await("the agent is NOT_SERVING", kLimit, [&] { return agent.Probe() == 1; }));
  // After 4 s its consumer is missed, after 5 s its loop, after 6 s the connection is given up.
  ASSERT_TRUE(Await("the server's silence is told of", kLimit, [&] {
    const std::string reasons = agent.Get("/healthz").body;
    return absl::StrContains(reasons, "the bus did not answer") ||
           absl::StrContains(reasons, "not connected to nats-server");
  }));
  server_.Resume();
  ASSERT_TRUE(agent.AwaitServing());
}

TEST_F(AgentTest, AnswersOnBothPathsAndCounts) {
  server_.Provision();
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  auto bus = Connect();
  auto call = Send(*bus, subjects::kMenuSearch);
  ASSERT_TRUE(call->signal.Await("the answer", kLimit, [&] { return call->answer.has_value(); }));
  ASSERT_THAT(*call->answer, IsOk());
  EXPECT_EQ((*call->answer)->instance_id, agent.ready().instance_id);
  EXPECT_THAT(Ask(*bus, subjects::kMenuSearch, R"({"payload":{"query":"fries"}})"),
              AllOf(HasSubstr("\"success\""), HasSubstr("fries")));
  EXPECT_THAT(Ask(*bus, "kiosk.agent.menu.nonsense", R"({"payload":{}})"), HasSubstr("INVALID_REQUEST"));
  // An answer leaves before its delivery is acknowledged, and is in flight until then.
  AwaitInFlight(agent, 0);
  const std::string metrics = agent.Get("/metrics").body;
  EXPECT_THAT(metrics,
              HasSubstr(R"(kiosk_agent_requests_total{agent="menu",action="search",outcome="ok"} 2)"));
  EXPECT_THAT(metrics,
              HasSubstr(R"(kiosk_agent_requests_total{agent="menu",action="unknown",outcome="error"} 1)"));
  EXPECT_THAT(metrics, Not(HasSubstr("nonsense")));
  EXPECT_THAT(metrics, HasSubstr(R"(kiosk_agent_latency_ms_count{agent="menu",action="search"} 2)"));
  EXPECT_THAT(metrics, HasSubstr(R"(kiosk_agent_deliveries_total{agent="menu",action="search"} 1)"));
  EXPECT_THAT(metrics, HasSubstr(R"(kiosk_agent_expired_total{agent="menu",action="search"} 0)"));
  EXPECT_THAT(metrics, HasSubstr(R"(kiosk_agent_dead_letters_total{agent="menu",action="search"} 0)"));
  EXPECT_THAT(metrics, HasSubstr(R"(kiosk_agent_dead_letters_total{agent="menu",action="unknown"} 0)"));
  for (const char* line :
       {"kiosk_agent_queue_lag{agent=\"menu\"} 0\n", "kiosk_agent_in_flight{agent=\"menu\"} 0\n",
        "kiosk_agent_nats_reconnects_total{agent=\"menu\"} 0\n", "kiosk_agent_serving{agent=\"menu\"} 1\n",
        "kiosk_agent_active_sessions{agent=\"menu\"} 3\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

TEST_F(AgentTest, AnswersTheServiceProtocol) {
  server_.Provision();
  TestAgent agent(server_, {"--kiosk_id=kiosk-007"});
  ASSERT_TRUE(agent.AwaitServing());
  auto bus = Connect();
  const std::string& id = agent.ready().instance_id;
  EXPECT_THAT(Ask(*bus, "$SRV.PING.menu"),
              AllOf(HasSubstr("io.nats.micro.v1.ping_response"), HasSubstr(id),
                    HasSubstr("\"engine\":\"echo\""), HasSubstr("\"kiosk_id\":\"kiosk-007\"")));
  EXPECT_THAT(
      Ask(*bus, "$SRV.INFO.menu." + id),
      AllOf(HasSubstr("Answers what it is asked"), HasSubstr("\"subject\":\"kiosk.agent.menu.details\"")));
  Ask(*bus, subjects::kMenuSearch, R"({"payload":{"query":"fries"}})");
  EXPECT_THAT(Ask(*bus, "$SRV.STATS"),
              HasSubstr(R"("subject":"kiosk.agent.menu.search","queue_group":"menu",)"
                        R"("num_requests":1,"num_errors":0)"));
}

// What $SRV.STATS carries of one endpoint, beyond what ADR-32 asks for.
struct EndpointLatency {
  std::string name;
  int64_t num_requests = 0;
  int64_t num_errors = 0;
  std::string last_error;
  struct Data {
    Histogram latency_ms;
    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Required("latency_ms", s.latency_ms);
    }
  } data;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("num_requests", s.num_requests);
    v.Required("num_errors", s.num_errors);
    v.Required("last_error", s.last_error);
    v.Required("data", s.data);
  }
};
struct StatsAnswer {
  std::vector<EndpointLatency> endpoints;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("endpoints", s.endpoints);
  }
};

TEST_F(AgentTest, StatsCarryTheLatencyThatItsMetricsHave) {
  server_.Provision();
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  auto bus = Connect();
  const auto endpoint = [&](const std::string& name) -> EndpointLatency {
    const absl::StatusOr<StatsAnswer> stats = json::Decode<StatsAnswer>(Ask(*bus, "$SRV.STATS.menu"));
    EXPECT_THAT(stats, IsOk());
    if (!stats.ok()) return {};
    for (const EndpointLatency& one : stats->endpoints) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "no endpoint " << name;
    return {};
  };
  const Histogram before = endpoint("search").data.latency_ms;
  EXPECT_EQ(before.count, 0);
  EXPECT_THAT(before.buckets, Each(0));
  for (int i = 0; i < 3; ++i) Ask(*bus, subjects::kMenuSearch, R"({"payload":{"query":"fries"}})");
  const EndpointLatency search = endpoint("search");
  EXPECT_EQ(search.num_requests, 3);
  EXPECT_EQ(search.data.latency_ms.count, 3);
  EXPECT_EQ(search.data.latency_ms.le, before.le);
  EXPECT_GT(search.data.latency_ms.sum, 0);
  ASSERT_FALSE(search.data.latency_ms.buckets.empty());
  EXPECT_EQ(search.data.latency_ms.buckets.back(), 3) << "within a minute";
  const std::string metrics = agent.Get("/metrics").body;
  for (size_t i = 0; i < search.data.latency_ms.le.size(); ++i) {
    EXPECT_THAT(metrics, HasSubstr(absl::StrCat(
                             R"(kiosk_agent_latency_ms_bucket{agent="menu",action="search",le=")",
                             search.data.latency_ms.le[i], "\"} ", search.data.latency_ms.buckets[i], "\n")));
  }

  agent.Post("/event");
  agent.Post("/bad_event");
  const EndpointLatency events = endpoint("events");
  EXPECT_EQ(events.num_requests, 2);
  EXPECT_EQ(events.num_errors, 1);
  EXPECT_EQ(events.last_error, "no room");
  EXPECT_EQ(events.data.latency_ms.count, 2);
  EXPECT_DOUBLE_EQ(events.data.latency_ms.sum, 4);
  EXPECT_THAT(Ask(*bus, "$SRV.INFO.menu"),
              HasSubstr(R"({"name":"events","subject":"kiosk.input.>","queue_group":"menu")"));
  EXPECT_THAT(agent.Get("/metrics").body,
              HasSubstr(R"(kiosk_agent_requests_total{agent="menu",action="events",outcome="error"} 1)"));
}

TEST_F(AgentTest, SigtermFinishesWhatIsInWorkAndThenEnds) {
  server_.Provision();
  auto bus = Connect();
  KeepSystemMessages(*bus);
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  auto call = Send(*bus, subjects::kMenuDetails);
  AwaitInFlight(agent, 1);
  agent.process().Send(SIGTERM);
  ASSERT_TRUE(Await("the agent is NOT_SERVING", kLimit, [&] { return agent.Probe() == 1; }));
  EXPECT_THAT(agent.Get("/healthz").body, HasSubstr("draining"));
  // What comes now is somebody else's.
  bus::Message later;
  later.subject = subjects::kMenuSearch;
  later.headers.Set(subjects::kReplyToHeader, "_INBOX.nobody");
  later.headers.Set(subjects::kDeadlineHeader, FormatTimestamp(absl::Now() + absl::Minutes(1)));
  later.body = R"({"payload":{"query":"late"}})";
  ASSERT_TRUE(Await("the agent pulls no more", kLimit, [&] {
    const auto info = bus->GetConsumerInfo(subjects::kCommandsStream, "menu-agent-consumer");
    return info.ok() && info->num_waiting == 0;
  }));
  ASSERT_THAT(bus->Publish(later), IsOk());
  EXPECT_TRUE(agent.process().running()) << "a command is in work";
  agent.Post("/release");
  ASSERT_TRUE(call->signal.Await("the answer", kLimit, [&] { return call->answer.has_value(); }));
  EXPECT_THAT(*call->answer, IsOk());
  EXPECT_EQ(agent.process().WaitExit(kLimit), 0);
  EXPECT_FALSE(agent.HasReadyFile());
  const auto info = bus->GetConsumerInfo(subjects::kCommandsStream, "menu-agent-consumer");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->num_ack_pending, 0);
  EXPECT_EQ(info->num_pending, 1) << "the late command waits for the next agent";
  EXPECT_THAT(HeartbeatStatuses(*bus), Contains("draining"));
}

TEST_F(AgentTest, WorkThatDoesNotEndInTimeIsNotAcked) {
  server_.Provision();
  auto bus = Connect();
  TestAgent agent(server_, {"--drain_timeout=100ms"});
  ASSERT_TRUE(agent.AwaitServing());
  auto call = Send(*bus, subjects::kMenuDetails);
  AwaitInFlight(agent, 1);
  agent.process().Send(SIGTERM);
  EXPECT_EQ(agent.process().WaitExit(kLimit), 1);
  TestAgent next(server_);
  next.Post("/release");
  ASSERT_TRUE(
      call->signal.Await("the next agent's answer", kLimit, [&] { return call->answer.has_value(); }));
  ASSERT_THAT(*call->answer, IsOk());
  EXPECT_EQ((*call->answer)->instance_id, next.ready().instance_id);
}

TEST_F(AgentTest, ASecondSignalEndsItAtOnce) {
  server_.Provision();
  auto bus = Connect();
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  auto call = Send(*bus, subjects::kMenuDetails);
  AwaitInFlight(agent, 1);
  agent.process().Send(SIGINT);
  ASSERT_TRUE(Await("the drain has begun", kLimit, [&] { return agent.Probe() == 1; }));
  agent.process().Send(SIGTERM);
  EXPECT_EQ(agent.process().WaitExit(kLimit), 1);
}

TEST_F(AgentTest, EndsAtOnceWhileItWaitsForNatsServer) {
  server_.Kill();
  TestAgent agent(server_);
  agent.process().Send(SIGTERM);
  EXPECT_EQ(agent.process().WaitExit(kLimit), 0);
}

// "Every 30 seconds from each service", though nothing changed.
TEST_F(AgentTest, HeartbeatsComeEveryThirtySeconds) {
  server_.Provision();
  auto bus = Connect();
  KeepSystemMessages(*bus);
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  std::vector<messages::Heartbeat> healthy;
  ASSERT_TRUE(Await("a second heartbeat of a healthy agent", absl::Seconds(45), [&] {
    healthy = Kept<messages::Heartbeat>(*bus, subjects::kHeartbeat);
    healthy.erase(std::remove_if(healthy.begin(), healthy.end(),
                                 [](const messages::Heartbeat& beat) { return beat.status != "healthy"; }),
                  healthy.end());
    return healthy.size() >= 2;
  }));
  absl::Time first;
  absl::Time second;
  std::string error;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, healthy[0].timestamp, &first, &error)) << error;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, healthy[1].timestamp, &second, &error)) << error;
  EXPECT_GE(second - first, absl::Seconds(29.5));
}

TEST_F(AgentTest, HeartbeatsTellEveryChangeAndErrorsReachOperators) {
  server_.Provision();
  auto bus = Connect();
  KeepSystemMessages(*bus);
  TestAgent agent(server_);
  ASSERT_TRUE(agent.AwaitServing());
  agent.Post("/break");
  ASSERT_TRUE(Await("the agent is NOT_SERVING", kLimit, [&] { return agent.Probe() == 1; }));
  EXPECT_THAT(agent.Get("/healthz").body, HasSubstr("switch: switched off"));
  agent.Post("/mend");
  ASSERT_TRUE(agent.AwaitServing());
  agent.Post("/error");
  std::vector<std::string> statuses;
  ASSERT_TRUE(Await("heartbeats of both changes", kLimit, [&] {
    statuses = HeartbeatStatuses(*bus);
    const size_t n = statuses.size();
    return n >= 3 && statuses[n - 3] == "healthy" && statuses[n - 2] == "degraded" &&
           statuses[n - 1] == "healthy";
  })) << testing::PrintToString(statuses);
  const messages::Heartbeat heartbeat = Kept<messages::Heartbeat>(*bus, subjects::kHeartbeat).back();
  EXPECT_EQ(heartbeat.service, "arc-test-agent");
  EXPECT_EQ(heartbeat.instance_id, agent.ready().instance_id);
  EXPECT_EQ(heartbeat.metrics.active_sessions, 3);
  EXPECT_GT(heartbeat.metrics.memory_mb, 1);
  EXPECT_LT(heartbeat.metrics.memory_mb, 100);
  EXPECT_GT(heartbeat.metrics.threads, 1);
  EXPECT_GE(heartbeat.metrics.cpu_percent, 0);
  ASSERT_TRUE(Await("the error", kLimit,
                    [&] { return Kept<messages::ServiceError>(*bus, subjects::kServiceError).size() == 1; }));
  EXPECT_EQ(Kept<messages::ServiceError>(*bus, subjects::kServiceError)[0].error_type, "out_of_paper");
  const std::string metrics = agent.Get("/metrics").body;
  EXPECT_THAT(
      metrics,
      HasSubstr(
          R"(kiosk_agent_service_errors_total{agent="menu",error_type="out_of_paper",severity="warning"} 1)"));
  EXPECT_THAT(metrics, ContainsRegex(R"(process_resident_memory_bytes\{agent="menu"\} [1-9][0-9.e+]+)"));
  EXPECT_THAT(metrics, ContainsRegex(R"(process_cpu_seconds_total\{agent="menu"\} [0-9])"));
}

TEST(AgentFlagsTest, HelpListsEveryFlagAndWrongOnesAreRefused) {
  const Finished help = RunProgram({ARC_TEST_AGENT, "--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* flag :
       {"nats_url", "nats_user", "nats_password_file", "nats_nkey_file", "nats_ca_file", "http_port",
        "grpc_port", "kiosk_id", "scoped", "ready_file", "log_level", "otlp_endpoint", "otlp_headers_file",
        "trace_ratio", "drain_timeout", "probe", "grpc", "version"}) {
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("  --", flag)));
  }
  EXPECT_THAT(help.out, HasSubstr("(default: nats://localhost:4222)"));
  const Finished version = RunProgram({ARC_TEST_AGENT, "--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, HasSubstr("arc-test-agent 0."));
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"--nats_ulr=x", "no flag --nats_ulr"},
      {"--http_port=many", "--http_port"},
      {"--http_port=70000", "70000 is not a port"},
      {"--kiosk_id=a.b", "--kiosk_id: 'a.b'"},
      {"--log_level=loud", "--log_level: 'loud'"},
      {"--drain_timeout=-1s", "--drain_timeout"},
      {"--nats_url=::", "--nats_url: '::'"},
      {"--nats_url=nats://a:1,nats://b:x", "'nats://b:x'"},
      {"--nats_password_file=/no/such", "/no/such"},
      {"--nats_nkey_file=/dev/null", "--nats_nkey_file: no line of /dev/null is a seed"},
      {"--nats_ca_file=/dev/null", "--nats_ca_file: /dev/null holds no certificate"},
      {"--otlp_endpoint=localhost:4318",
       "--otlp_endpoint: 'localhost:4318' is no http:// or https:// address"},
      {"--trace_ratio=1.5", "--trace_ratio: 1.5 is not from 0 to 1"},
      {"--trace_ratio=nan", "--trace_ratio: nan is not from 0 to 1"},
      {"menu", "'menu' is not a flag"},
      {"--probe", "--probe needs"}};
  for (const auto& [argument, reason] : wrong) {
    const Finished refused = RunProgram({ARC_TEST_AGENT, argument});
    EXPECT_EQ(refused.status, 2) << argument;
    EXPECT_THAT(refused.err, HasSubstr(reason)) << argument;
  }
}

TEST(AgentFlagsTest, ACollectorsHeadersAreChecked) {
  const TempDir folder;
  const std::string file = folder.path() + "/headers";
  std::ofstream(file) << "no pair\n";
  for (const auto& [name, reason] : {std::pair<std::string, std::string>{file, "is not a list of name=value"},
                                     {"/no/such", "cannot read"}}) {
    const Finished refused = RunProgram({ARC_TEST_AGENT, "--otlp_endpoint=http://127.0.0.1:4318",
                                         absl::StrCat("--otlp_headers_file=", name)});
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, AllOf(HasSubstr("--otlp_headers_file"), HasSubstr(name), HasSubstr(reason)));
  }
}

TEST(AgentFlagsTest, AProbeOfNobodyFails) {
  const Finished probe = RunProgram({ARC_TEST_AGENT, "--probe", "--grpc=127.0.0.1:1"});
  EXPECT_EQ(probe.status, 1);
  EXPECT_THAT(probe.err, HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace arc
