// The runtime of every agent: flags, connection, commands on both paths, events, health, discovery, metrics,
// HTTP, heartbeats, and an orderly end (design, sections 3.6, 5, 6). A main.cc says what it reads, writes and
// answers:
//
//   int main(int argc, char** argv) {
//     arc::Agent agent({"menu", "arc-menu", "Menu search, details and availability"}, argc, argv);
//     arc::menu::Menu menu;
//     agent.UseBucket(arc::subjects::kMenuBucket,
//                     [&](arc::bus::KeyValue& bucket) { return menu.Watch(bucket); });
//     agent.Command<SearchRequest, SearchResponse>(
//         arc::subjects::kMenuSearch, arc::bus::Execution::kInline,
//         [&](const SearchRequest& r, const arc::bus::RequestContext& c) { return menu.Search(r, c); });
//     return agent.Run();
//   }
//
// Flags of every agent: --nats_url, --nats_user, --nats_password_file, --nats_nkey_file, --nats_ca_file,
// --listen_address, --http_port,
// --grpc_port, --kiosk_id, --scoped, --ready_file, --otlp_endpoint, --otlp_headers_file, --trace_ratio,
// --log_level, --drain_timeout, --probe, --grpc (address to probe), --version, --help. An agent may have
// more, defined with ABSL_FLAG in its main.cc.
//
// What is registered may use anything that outlives Run(): when Run() has returned, nothing is called any
// more.
#ifndef ARC_COMMON_AGENT_AGENT_H_
#define ARC_COMMON_AGENT_AGENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/command_server.h"
#include "common/bus/executor.h"
#include "common/clock/clock.h"
#include "common/http/http_server.h"
#include "common/metrics/metrics.h"

namespace arc {

class Agent {
 public:
  struct Info {
    std::string service;      // ADR-32 name, folder, queue group and durable: "menu"
    std::string name;         // heartbeat name: "arc-menu"
    std::string description;  // one sentence, for --help and $SRV.INFO
  };

  // Parses the flags. --help, --version and --probe are answered here and end the process; so do wrong flags
  // (2).
  Agent(Info info, int argc, char** argv);
  ~Agent();

  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  bus::Bus& bus();
  Clock& clock();
  bus::Executor& executor();
  HttpServer& http();
  Metrics& metrics();
  const std::string& instance_id() const;  // unique to this process
  const std::string& kiosk_id() const;     // --kiosk_id
  bool scoped() const;                     // --scoped

  // Answers a command of this agent on both paths, its alias and scoped form included.
  template <class Request, class Response>
  void Command(absl::string_view subject, bus::Execution execution,
               std::function<absl::StatusOr<Response>(const Request&, const bus::RequestContext&)> handler) {
    commands().Handle<Request, Response>(subject, execution, std::move(handler));
  }
  bus::CommandServer& commands();

  // What this agent handles besides its commands, such as the events of a durable: an endpoint of $SRV.INFO
  // and $SRV.STATS, `name` being the action of kiosk_agent_latency_ms and kiosk_agent_requests_total. Before
  // Run(). `subject` is what it reads. The result is to be called for each that was handled, on any thread,
  // while the agent lives.
  using Handled = std::function<void(absl::Duration took, const absl::Status& status)>;
  Handled Endpoint(absl::string_view name, absl::string_view subject);

  // Runs `on_open` once the bucket exists, before the agent serves; tried again until it is OK. The bucket
  // lives as long as the agent.
  void UseBucket(absl::string_view bucket, std::function<absl::Status(bus::KeyValue&)> on_open);

  // Runs once connected and all buckets are open, before the agent serves, on a thread of its own; tried
  // again until it is OK.
  void OnStart(std::function<absl::Status()> start);

  // Part of health: NOT_SERVING while it is not OK; its message says why on /healthz. Called often: must be
  // quick.
  void HealthCheck(absl::string_view name, std::function<absl::Status()> check);

  // Runs after SIGTERM, before the commands in work are waited for: tells handlers that wait, for a card say,
  // to end. Must not block.
  void OnDrainBegin(std::function<void()> begin);

  // Runs after SIGTERM, once the commands in work have ended or --drain_timeout is over, before the
  // connection closes. May block for 3 s beyond --drain_timeout, then the process ends with 1.
  void OnDrain(std::function<void()> drain);

  // `active_sessions` of the heartbeat; 0 unless set.
  void SetActiveSessions(std::function<int64_t()> count);

  // Key and value shown in $SRV.INFO, such as the engine's name. Before Run().
  void SetMetadata(absl::string_view key, absl::string_view value);

  // Publishes system.service.error.
  void ReportError(absl::string_view error_type, absl::string_view message, absl::string_view severity,
                   absl::string_view action_required);

  // Serves until SIGTERM or SIGINT, drains, and returns the exit status. A second signal ends the process at
  // once with 1; so does a drain that leaves commands in work, which are then delivered to another copy.
  int Run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace arc

#endif  // ARC_COMMON_AGENT_AGENT_H_
