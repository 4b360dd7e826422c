#include "common/agent/agent.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/agent/flags.h"
#include "common/agent/process_stats.h"
#include "common/agent/watchdog.h"
#include "common/bus/nats_bus.h"
#include "common/bus/nats_login.h"
#include "common/discovery/discovery.h"
#include "common/health/health.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/subjects/subjects.h"
#include "common/trace/otlp_exporter.h"
#include "common/trace/trace.h"

ABSL_FLAG(std::string, nats_url, "nats://localhost:4222",
          "nats-server; several, separated by commas, are one cluster.");
ABSL_FLAG(std::string, nats_user, "", "User at nats-server; empty: none.");
ABSL_FLAG(std::string, nats_password_file, "", "File with the user's password.");
ABSL_FLAG(std::string, nats_nkey_file, "", "File with the seed of the user's nkey, in a password's place.");
ABSL_FLAG(std::string, nats_ca_file, "",
          "File with the authorities (PEM) that sign nats-server's certificate; the connection is TLS then.");
ABSL_FLAG(std::string, listen_address, "127.0.0.1",
          "Address of the HTTP and gRPC ports; 0.0.0.0 in a container, where others have to reach them.");
ABSL_FLAG(int, http_port, 0, "Port of /metrics and /healthz; 0: a free one.");
ABSL_FLAG(int, grpc_port, 0, "Port of the gRPC health service; 0: a free one.");
ABSL_FLAG(std::string, kiosk_id, arc::subjects::kDefaultKioskId, "The kiosk that this agent belongs to.");
ABSL_FLAG(bool, scoped, false, "The kiosk has subjects of its own, which end in its id.");
ABSL_FLAG(std::string, ready_file, "", "File that gets the ports as JSON once they listen; empty: none.");
ABSL_FLAG(std::string, otlp_endpoint, "",
          "Collector of traces, by OTLP/HTTP, such as http://127.0.0.1:4318; empty: the environment's "
          "OTEL_EXPORTER_OTLP_ENDPOINT, and without that none.");
ABSL_FLAG(std::string, otlp_headers_file, "",
          "File with headers for the collector, such as its key: name=value, separated by commas; empty: the "
          "environment's OTEL_EXPORTER_OTLP_HEADERS.");
ABSL_FLAG(double, trace_ratio, 1.0, "Share of the traces that begin here and are kept: 0 to 1.");
ABSL_FLAG(std::string, log_level, "info", "Least level that is logged: debug, info, warning or error.");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(25),
          "How long what is in work may take to end after SIGTERM.");
ABSL_FLAG(bool, probe, false,
          "Ask the agent at --grpc, or on --grpc_port, for its health; exit 0 if it is SERVING.");
ABSL_FLAG(std::string, grpc, "", "Address to --probe, such as 127.0.0.1:50051.");
ABSL_FLAG(bool, version, false, "Print the version.");
ABSL_FLAG(bool, help, false, "Print this.");

namespace arc {
namespace {

constexpr absl::Duration kHeartbeatInterval = absl::Seconds(30);
constexpr absl::Duration kHealthInterval = absl::Milliseconds(250);
constexpr absl::Duration kWatchdogInterval = absl::Seconds(1);
constexpr absl::Duration kWatchdogLimit = absl::Seconds(5);
constexpr absl::Duration kStartRetry = absl::Milliseconds(100);
constexpr absl::Duration kProbeTimeout = absl::Seconds(2);
constexpr absl::Duration kFlushTimeout = absl::Seconds(2);
constexpr absl::Duration kTraceFlushTimeout = absl::Milliseconds(500);
// Beyond --drain_timeout, for OnDrain() and the connection.
constexpr absl::Duration kExitGrace = absl::Seconds(3);

constexpr char kNotConnected[] = "not connected to nats-server";

constexpr char kLatencyHelp[] = "Time from receiving a command or an event to its outcome, in milliseconds.";
constexpr char kRequestsHelp[] = "Commands and events handled, by outcome.";
constexpr char kDeliveriesHelp[] = "Commands delivered by the stream, repeated ones included.";
constexpr char kExpiredHelp[] = "Commands dropped because nobody waited for them any more.";
constexpr char kDeadLettersHelp[] = "Commands that could not be handled and were put aside.";
constexpr char kQueueLagHelp[] = "Commands that wait in the stream, as of the latest delivery.";
constexpr char kInFlightHelp[] = "Commands in work.";
constexpr char kReconnectsHelp[] = "Connections to nats-server after the first.";
constexpr char kServingHelp[] = "1 while the agent is SERVING.";
constexpr char kActiveSessionsHelp[] = "Sessions, as the heartbeat tells them.";
constexpr char kTraceSpansHelp[] =
    "Spans: taken by the collector of traces, dropped because too many waited, or not taken.";
constexpr char kServiceErrorsHelp[] = "Errors published on system.service.error.";
constexpr char kMemoryHelp[] = "Resident memory size in bytes.";
constexpr char kCpuSecondsHelp[] = "Total user and system CPU time spent in seconds.";
constexpr char kUnknownAction[] = "unknown";

// Written by the signal handler, read by Run().
std::atomic<int> signal_count{0};
std::atomic<int> signal_event{-1};

void OnSignal(int) {
  const int saved = errno;
  if (signal_count.fetch_add(1) > 0) _exit(1);
  const uint64_t one = 1;
  (void)!write(signal_event.load(), &one, sizeof one);
  errno = saved;
}

// Ends the process over its command line.
[[noreturn]] void Refuse(absl::string_view reason) {
  std::fprintf(stderr, "%s\nSee --help.\n", std::string(reason).c_str());
  std::exit(2);
}

LogLevel ParseLogLevel(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  Refuse(absl::StrCat("--log_level: '", name, "' is none of debug, info, warning, error"));
}

int CheckedPort(absl::string_view name, int port) {
  if (port < 0 || port > 65535) Refuse(absl::StrCat("--", name, ": ", port, " is not a port (0 to 65535)"));
  return port;
}

// Whether `server` is [scheme://][user[:password]@]host[:port].
bool IsServer(absl::string_view server) {
  if (!absl::ConsumePrefix(&server, "nats://")) absl::ConsumePrefix(&server, "tls://");
  if (const size_t at = server.rfind('@'); at != absl::string_view::npos) server.remove_prefix(at + 1);
  absl::string_view host = server;
  absl::string_view port;
  bool has_port = false;
  if (absl::StartsWith(server, "[")) {
    const size_t end = server.find(']');
    if (end == absl::string_view::npos) return false;
    host = server.substr(1, end - 1);
    port = server.substr(end + 1);
    has_port = absl::ConsumePrefix(&port, ":");
    if (!has_port && !port.empty()) return false;
  } else if (const size_t colon = server.find(':'); colon != absl::string_view::npos) {
    host = server.substr(0, colon);
    port = server.substr(colon + 1);
    has_port = true;
  }
  int number = 0;
  if (has_port && (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535)) return false;
  return !host.empty() && host.find_first_of(" \t/?#") == absl::string_view::npos;
}

std::string CheckedServers(const std::string& url) {
  for (const absl::string_view server : absl::StrSplit(url, ',')) {
    if (!IsServer(server)) {
      Refuse(absl::StrCat("--nats_url: '", server, "' is not an address such as nats://localhost:4222"));
    }
  }
  return url;
}

int Probe() {
  std::string address = absl::GetFlag(FLAGS_grpc);
  const int port = absl::GetFlag(FLAGS_grpc_port);
  if (address.empty()) {
    if (port == 0) Refuse("--probe needs the agent's address: --grpc=HOST:PORT or --grpc_port=PORT");
    address = absl::StrCat("127.0.0.1:", port);
  }
  const absl::Status health = ProbeHealth(address, "", kProbeTimeout);
  if (health.ok()) {
    std::printf("SERVING\n");
    return 0;
  }
  std::fprintf(stderr, "%s: %s\n", address.c_str(), std::string(health.message()).c_str());
  return 1;
}

const char* Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The exporter that the flags ask for; none without a collector's address.
std::unique_ptr<trace::OtlpExporter> MakeExporter(const Agent::Info& info, const std::string& instance_id,
                                                  const std::string& kiosk_id) {
  const double ratio = absl::GetFlag(FLAGS_trace_ratio);
  if (!(ratio >= 0 && ratio <= 1)) Refuse(absl::StrCat("--trace_ratio: ", ratio, " is not from 0 to 1"));
  trace::SetSampling(ratio);
  trace::OtlpOptions options;
  std::string base = absl::GetFlag(FLAGS_otlp_endpoint);
  std::string of = "--otlp_endpoint";
  if (base.empty()) {
    // The address of traces alone is used as it is (OpenTelemetry Protocol Exporter, "Endpoint URLs").
    options.url = Environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    of = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  }
  if (base.empty() && options.url.empty()) {
    base = Environment("OTEL_EXPORTER_OTLP_ENDPOINT");
    of = "OTEL_EXPORTER_OTLP_ENDPOINT";
  }
  if (base.empty() && options.url.empty()) return nullptr;
  if (options.url.empty()) {
    absl::StatusOr<std::string> url = trace::TracesUrl(base);
    if (!url.ok()) Refuse(absl::StrCat(of, ": ", url.status().message()));
    options.url = *std::move(url);
  }
  std::string headers = Environment("OTEL_EXPORTER_OTLP_HEADERS");
  std::string headers_of = "OTEL_EXPORTER_OTLP_HEADERS";
  if (const std::string file = absl::GetFlag(FLAGS_otlp_headers_file); !file.empty()) {
    std::ifstream in(file);
    headers.assign(std::istreambuf_iterator<char>(in), {});
    if (!in) Refuse(absl::StrCat("--otlp_headers_file: cannot read ", file));
    headers_of = absl::StrCat("--otlp_headers_file: ", file);
  }
  auto pairs = trace::ParsePairs(absl::StripAsciiWhitespace(headers));
  if (!pairs.ok()) Refuse(absl::StrCat(headers_of, ": ", pairs.status().message()));
  options.headers = *std::move(pairs);
  auto resource = trace::ParsePairs(Environment("OTEL_RESOURCE_ATTRIBUTES"));
  if (!resource.ok()) Refuse(absl::StrCat("OTEL_RESOURCE_ATTRIBUTES: ", resource.status().message()));
  for (auto& [key, value] : *resource) options.resource[key] = trace::Bounded(value);
  options.resource["service.name"] = info.name;
  options.resource["service.namespace"] = "arc-kiosk";
  options.resource["service.version"] = ARC_VERSION;
  options.resource["service.instance.id"] = instance_id;
  options.resource["kiosk.id"] = kiosk_id;
  options.resource["telemetry.sdk.language"] = "cpp";
  options.resource["telemetry.sdk.name"] = "arc-kiosk";
  options.resource["telemetry.sdk.version"] = ARC_VERSION;
  options.scope_version = ARC_VERSION;
  absl::StatusOr<std::unique_ptr<trace::OtlpExporter>> exporter = trace::OtlpExporter::Create(options);
  if (!exporter.ok()) Refuse(absl::StrCat(of, ": ", exporter.status().message()));
  return *std::move(exporter);
}

// The consumers of an agent's commands, and the subjects of the plain path beside them (deploy/streams.json).
std::vector<bus::CommandServer::Source> SourcesOf(const std::string& service, const std::string& kiosk_id,
                                                  bool scoped) {
  if (service != "hardware") {
    return {{absl::StrCat(service, "-agent-consumer"), absl::StrCat("kiosk.agent.", service, ".>")}};
  }
  const std::string durable_end = scoped ? absl::StrCat("-", kiosk_id) : "";
  const std::string filter_end = scoped ? absl::StrCat(".", kiosk_id) : "";
  return {{absl::StrCat("hardware-agent-consumer", durable_end),
           absl::StrCat("kiosk.agent.hardware.*", filter_end)},
          {absl::StrCat("hardware-alias-agent-consumer", durable_end),
           absl::StrCat("kiosk.hardware.*", filter_end)}};
}

struct ReadyFile {
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

struct HealthReport {
  std::string status;
  std::string service;
  std::string instance_id;
  std::vector<std::string> reasons;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("status", s.status);
    v.Required("service", s.service);
    v.Required("instance_id", s.instance_id);
    v.Required("reasons", s.reasons);
  }
};

std::string NewInstanceId() {
  std::string id = NewUuid();
  id.erase(std::remove(id.begin(), id.end(), '-'), id.end());
  return id;
}

}  // namespace

struct Agent::Impl {
  struct Bucket {
    std::string name;
    std::function<absl::Status(bus::KeyValue&)> on_open;
    std::unique_ptr<bus::KeyValue> bucket;
  };

  // What is handled besides commands.
  struct Beside {
    std::string name;
    std::string subject;
    std::mutex mutex;
    bus::CommandStats stats;  // guarded by `mutex`
  };

  explicit Impl(Info the_info)
      : info(std::move(the_info)), metrics(info.service), health({"", info.service}) {}

  const Info info;
  Clock& clock = SystemClock::Get();
  const std::string instance_id = NewInstanceId();
  int wake_event = -1;
  std::string kiosk_id;
  bool scoped = false;

  // Takes the spans of all that stands below it, so it is the last to go. The first span is the start, from
  // the process' to the first SERVING.
  std::unique_ptr<trace::OtlpExporter> exporter;
  trace::Span starting;  // of Run()'s thread

  // What is made from the bus stands below it, so that it is gone first.
  std::unique_ptr<bus::NatsBus> bus;
  std::string user;  // at nats-server
  std::string inbox_prefix;
  bus::Executor executor;
  Metrics metrics;
  HttpServer http;
  HealthServer health;
  std::vector<Bucket> buckets;
  std::unique_ptr<bus::CommandServer> commands;
  std::unique_ptr<ServiceResponder> discovery;
  std::unique_ptr<bus::Subscription> connection;
  std::unique_ptr<bus::Subscription> tick;
  std::string tick_subject;
  Watchdog watchdog{kWatchdogLimit};

  std::vector<std::function<absl::Status()>> on_start;
  std::vector<std::function<void()>> on_drain_begin;
  std::vector<std::function<void()>> on_drain;
  std::vector<std::pair<std::string, std::function<absl::Status()>>> health_checks;
  std::function<int64_t()> active_sessions;
  std::map<std::string, std::string> metadata;
  std::set<std::string> actions;  // known ones, for labels; fixed once running
  std::vector<std::shared_ptr<Beside>> besides;

  std::thread starter;

  mutable std::mutex mutex;
  std::condition_variable changed;
  // Guarded by `mutex`:
  bool draining = false;
  bool started = false;
  bool has_sources = false;
  std::string start_problem = "starting";
  bool serving = false;
  std::vector<std::string> reasons = {"starting"};
  bool announce = false;  // send a heartbeat, whether or not the status changed
  bool was_connected = false;
  std::optional<absl::Time> lost_at;
  std::vector<Watchdog::Answer> tick_answers;

  // Of Run()'s thread:
  absl::Time last_heartbeat = absl::InfinitePast();
  std::string last_status;
  absl::Time last_watchdog = absl::InfinitePast();
  absl::Status watchdog_status;
  ProcessStats last_stats;
  absl::Time last_stats_at;

  void Wake() const {
    const uint64_t one = 1;
    (void)!write(wake_event, &one, sizeof one);
  }

  std::string ActionLabel(absl::string_view action) const {
    const std::string name(action);
    // A foreign message names any command it likes: such names must not become series.
    return actions.count(name) != 0 ? name : kUnknownAction;
  }

  void CountHandled(const std::string& label, absl::Duration latency, bool ok) {
    metrics.Observe(metric_names::kLatencyMs, kLatencyHelp, {{"action", label}},
                    absl::ToDoubleMilliseconds(latency));
    metrics.Increment(metric_names::kRequests, kRequestsHelp,
                      {{"action", label}, {"outcome", ok ? "ok" : "error"}});
  }

  bus::CommandObserver Observer() {
    bus::CommandObserver observer;
    observer.on_handled = [this](absl::string_view action, absl::Duration latency, bool ok) {
      CountHandled(ActionLabel(action), latency, ok);
    };
    observer.on_delivery = [this](absl::string_view action) {
      metrics.Increment(metric_names::kDeliveries, kDeliveriesHelp, {{"action", ActionLabel(action)}});
    };
    observer.on_expired = [this](absl::string_view action) {
      metrics.Increment(metric_names::kExpired, kExpiredHelp, {{"action", ActionLabel(action)}});
    };
    observer.on_dead_letter = [this](absl::string_view action) {
      metrics.Increment(metric_names::kDeadLetters, kDeadLettersHelp, {{"action", ActionLabel(action)}});
    };
    return observer;
  }

  // ---- Start

  // Waits for what the agent needs, in order; each step is tried again until it succeeds or the drain begins.
  void RunStart() {
    const trace::Scope scope(trace::RootOf(ProcessTraceId()));
    if (!Until(
            [this] { return bus->connected() ? absl::OkStatus() : absl::UnavailableError(kNotConnected); })) {
      return;
    }
    for (Bucket& bucket : buckets) {
      if (!Until([&] { return Open(bucket); })) return;
    }
    for (const auto& start : on_start) {
      if (!Until(start)) return;
    }
    if (!actions.empty()) {
      if (!Until([this] { return commands->Start(SourcesOf(info.service, kiosk_id, scoped)); })) return;
    }
    // What is sent to an agent that says SERVING arrives: the server knows its subscriptions by then.
    if (!Until([this] { return bus->Flush(kFlushTimeout); })) return;
    std::lock_guard<std::mutex> lock(mutex);
    has_sources = !actions.empty();
    started = true;
    start_problem.clear();
    Wake();
  }

  absl::Status Open(Bucket& bucket) {
    if (bucket.bucket == nullptr) {
      absl::StatusOr<std::unique_ptr<bus::KeyValue>> opened = bus->OpenBucket(bucket.name);
      if (!opened.ok()) return std::move(opened).status();
      bucket.bucket = *std::move(opened);
    }
    absl::Status status = bucket.on_open(*bucket.bucket);
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat("bucket ", bucket.name, ": ", status.message()));
  }

  // False when the drain began before `step` succeeded.
  bool Until(const std::function<absl::Status()>& step) {
    std::unique_lock<std::mutex> lock(mutex);
    while (!draining) {
      lock.unlock();
      const absl::Status status = step();
      lock.lock();
      if (status.ok()) return true;
      if (start_problem != status.message()) {
        start_problem = std::string(status.message());
        Log(LogLevel::kInfo, "waiting", {{"for", start_problem}});
        Wake();
      }
      const bool connected = bus->connected();
      clock.WaitUntil(lock, changed, clock.Now() + kStartRetry,
                      [&] { return draining || bus->connected() != connected; });
    }
    return false;
  }

  // ---- Health

  std::string NotConnected() const {
    const std::string refusal = bus->refusal();
    if (refusal.empty()) return kNotConnected;
    return absl::StrCat(kNotConnected, ": it refuses ",
                        user.empty() ? "a connection without a user" : absl::StrCat("the user ", user), " (",
                        refusal, "); see --nats_user and --nats_password_file or --nats_nkey_file");
  }

  std::vector<std::string> FindReasons() {
    std::vector<std::string> found;
    const bool connected = bus->connected();
    bool is_started = false;
    bool with_sources = false;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (draining) found.push_back("draining");
      if (!connected) found.push_back(NotConnected());
      if (!started && start_problem != kNotConnected) found.push_back(start_problem);
      is_started = started;
      with_sources = has_sources;
    }
    if (connected && with_sources && !commands->bound()) found.push_back("a command consumer is not bound");
    for (const std::string& refused : bus->refused_subscriptions()) found.push_back(refused);
    if (!watchdog_status.ok()) found.push_back(std::string(watchdog_status.message()));
    if (is_started) {
      for (const auto& [name, check] : health_checks) {
        const absl::Status status = check();
        if (!status.ok()) found.push_back(absl::StrCat(name, ": ", status.message()));
      }
    }
    return found;
  }

  void CheckHealth() {
    const absl::Time now = clock.Now();
    if (now - last_watchdog >= kWatchdogInterval) {
      last_watchdog = now;
      watchdog_status = watchdog.Tick(now);
    }
    std::vector<std::string> found = FindReasons();
    const bool is_serving = found.empty();
    bool was_serving = false;
    bool other_reasons = false;
    bool at_once = false;
    bool is_draining = false;
    {
      std::lock_guard<std::mutex> lock(mutex);
      was_serving = serving;
      other_reasons = reasons != found;
      serving = is_serving;
      reasons = found;
      is_draining = draining;
      if (bus->connected()) std::swap(at_once, announce);
    }
    if (is_serving != was_serving) health.SetServing(is_serving);
    if (is_serving) starting.End();
    if (is_serving != was_serving || other_reasons) {
      Log(LogLevel::kInfo, is_serving ? "serving" : "not serving", {{"reasons", absl::StrJoin(found, "; ")}});
    }
    const std::string status = is_draining ? "draining" : is_serving ? "healthy" : "degraded";
    const bool changed_status = status != last_status;
    if (!bus->connected() || (!changed_status && !at_once && now - last_heartbeat < kHeartbeatInterval))
      return;
    last_status = status;
    last_heartbeat = now;
    SendHeartbeat(status, now);
  }

  void SendHeartbeat(const std::string& status, absl::Time now) {
    const ProcessStats stats = ReadProcessStats();
    messages::Heartbeat heartbeat;
    heartbeat.service = info.name;
    heartbeat.timestamp = FormatTimestamp(now);
    heartbeat.status = status;
    heartbeat.instance_id = instance_id;
    heartbeat.metrics.active_sessions = active_sessions ? active_sessions() : 0;
    const double wall = absl::ToDoubleSeconds(now - last_stats_at);
    if (wall > 0) {
      const double percent = 100 * absl::ToDoubleSeconds(stats.cpu_time - last_stats.cpu_time) / wall;
      heartbeat.metrics.cpu_percent = static_cast<double>(std::lround(percent * 10)) / 10;
    }
    heartbeat.metrics.memory_mb = static_cast<double>(std::lround(stats.memory_mb * 10)) / 10;
    heartbeat.metrics.threads = stats.threads;
    last_stats = stats;
    last_stats_at = now;
    bus::Message message;
    message.subject = subjects::kHeartbeat;
    message.body = json::Encode(heartbeat);
    bus->Publish(message).IgnoreError();
  }

  HttpResponse Healthz() const {
    HealthReport report;
    {
      std::lock_guard<std::mutex> lock(mutex);
      report.status = serving ? "SERVING" : "NOT_SERVING";
      report.reasons = reasons;
    }
    report.service = info.service;
    report.instance_id = instance_id;
    HttpResponse response;
    response.status = report.reasons.empty() ? 200 : 503;
    response.content_type = "application/json";
    response.body = json::Encode(report) + "\n";
    return response;
  }

  void OnConnection(bool connected) {
    std::optional<absl::Duration> gone;
    std::vector<Watchdog::Answer> answers;
    {
      std::lock_guard<std::mutex> lock(mutex);
      // A question that was lost with the connection says nothing about the loop.
      answers.swap(tick_answers);
      if (connected) {
        announce = true;
        if (lost_at.has_value()) gone = clock.Now() - *lost_at;
        lost_at.reset();
        was_connected = true;
      } else if (was_connected && !lost_at.has_value()) {
        lost_at = clock.Now();
      }
    }
    for (const Watchdog::Answer& answer : answers) answer();
    changed.notify_all();
    Wake();
    if (gone.has_value()) {
      ReportError("connection_lost",
                  absl::StrCat("Lost the connection to nats-server for ",
                               absl::FormatDuration(absl::Trunc(*gone, absl::Milliseconds(1)))),
                  "critical", "none: it is back");
    }
  }

  void ReportError(absl::string_view error_type, absl::string_view text, absl::string_view severity,
                   absl::string_view action_required) {
    messages::ServiceError error;
    error.service = info.name;
    error.timestamp = FormatTimestamp(clock.Now());
    error.error_type = std::string(error_type);
    error.error_message = std::string(text);
    error.severity = std::string(severity);
    error.action_required = std::string(action_required);
    Log(LogLevel::kError, text, {{"error_type", error.error_type}, {"severity", error.severity}});
    metrics.Increment(metric_names::kServiceErrors, kServiceErrorsHelp,
                      {{"error_type", error.error_type}, {"severity", error.severity}});
    bus::Message message;
    message.subject = subjects::kServiceError;
    message.body = json::Encode(error);
    const absl::Status sent = bus->Publish(message);
    if (!sent.ok()) {
      Log(LogLevel::kWarning, "an error could not be reported", {{"error", std::string(sent.message())}});
    }
  }

  absl::Status WatchLoops() {
    tick_subject = absl::StrCat(inbox_prefix, ".arc.", instance_id, ".tick");
    absl::StatusOr<std::unique_ptr<bus::Subscription>> subscription =
        bus->Subscribe(tick_subject, "", [this](const bus::Message&) {
          std::vector<Watchdog::Answer> answers;
          {
            std::lock_guard<std::mutex> lock(mutex);
            answers.swap(tick_answers);
          }
          for (const Watchdog::Answer& answer : answers) answer();
        });
    if (!subscription.ok()) return std::move(subscription).status();
    tick = *std::move(subscription);
    watchdog.Add("the bus", [this](Watchdog::Answer answer) {
      if (!bus->connected()) return false;
      {
        std::lock_guard<std::mutex> lock(mutex);
        tick_answers.push_back(std::move(answer));
      }
      bus::Message message;
      message.subject = tick_subject;
      return bus->Publish(message).ok();
    });
    watchdog.Add("the timers", [this](Watchdog::Answer answer) {
      clock.RunAfter(absl::ZeroDuration(), std::move(answer));
      return true;
    });
    return absl::OkStatus();
  }

  EndpointStats StatsOf(const std::string& name, const std::string& subject,
                        const bus::CommandStats& stats) const {
    EndpointStats endpoint;
    endpoint.name = name;
    endpoint.subject = subject;
    endpoint.queue_group = info.service;
    endpoint.num_requests = static_cast<int64_t>(stats.requests);
    endpoint.num_errors = static_cast<int64_t>(stats.errors);
    endpoint.last_error = stats.last_error;
    endpoint.processing_time = stats.processing_time;
    endpoint.latency_ms = metrics.Observed(metric_names::kLatencyMs, {{"action", name}});
    return endpoint;
  }

  absl::Status StartDiscovery() {
    ServiceInfo service;
    service.name = info.service;
    service.id = instance_id;
    service.version = ARC_VERSION;
    service.description = info.description;
    service.metadata = metadata;
    service.metadata["kiosk_id"] = kiosk_id;
    service.metadata["agent"] = info.name;
    absl::StatusOr<std::unique_ptr<ServiceResponder>> responder =
        ServiceResponder::Start(*bus, std::move(service), [this] {
          std::vector<EndpointStats> all;
          for (const auto& [subject, stats] : commands->stats()) {
            all.push_back(StatsOf(subject.substr(subject.rfind('.') + 1), subject, stats));
          }
          for (const std::shared_ptr<Beside>& beside : besides) {
            std::lock_guard<std::mutex> lock(beside->mutex);
            all.push_back(StatsOf(beside->name, beside->subject, beside->stats));
          }
          return all;
        });
    if (!responder.ok()) return std::move(responder).status();
    discovery = *std::move(responder);
    return absl::OkStatus();
  }

  void AddMetrics() {
    // Series that exist from the start can be watched for their first increase.
    std::set<std::string> labels = actions;
    if (!actions.empty()) labels.insert(kUnknownAction);
    for (const std::string& action : labels) {
      for (const char* outcome : {"ok", "error"}) {
        metrics.Increment(metric_names::kRequests, kRequestsHelp, {{"action", action}, {"outcome", outcome}},
                          0);
      }
      metrics.Increment(metric_names::kDeliveries, kDeliveriesHelp, {{"action", action}}, 0);
      metrics.Increment(metric_names::kExpired, kExpiredHelp, {{"action", action}}, 0);
      metrics.Increment(metric_names::kDeadLetters, kDeadLettersHelp, {{"action", action}}, 0);
    }
    for (const std::shared_ptr<Beside>& beside : besides) {
      for (const char* outcome : {"ok", "error"}) {
        metrics.Increment(metric_names::kRequests, kRequestsHelp,
                          {{"action", beside->name}, {"outcome", outcome}}, 0);
      }
    }
    metrics.Callback(metric_names::kQueueLag, kQueueLagHelp, false,
                     [this] { return static_cast<double>(commands->lag()); });
    metrics.Callback(metric_names::kInFlight, kInFlightHelp, false,
                     [this] { return static_cast<double>(commands->in_flight()); });
    metrics.Callback(metric_names::kReconnects, kReconnectsHelp, true,
                     [this] { return static_cast<double>(bus->reconnects()); });
    metrics.Callback(metric_names::kServing, kServingHelp, false, [this] {
      std::lock_guard<std::mutex> lock(mutex);
      return serving ? 1.0 : 0.0;
    });
    metrics.Callback(metric_names::kActiveSessions, kActiveSessionsHelp, false,
                     [this] { return active_sessions ? static_cast<double>(active_sessions()) : 0.0; });
    using Counts = trace::OtlpExporter::Counts;
    for (const auto& [outcome, count] :
         {std::pair<const char*, uint64_t Counts::*>{"exported", &Counts::exported},
          {"dropped", &Counts::dropped},
          {"failed", &Counts::failed}}) {
      metrics.Callback(metric_names::kTraceSpans, kTraceSpansHelp, true,
                       [this, count = count] {
                         return exporter == nullptr ? 0.0 : static_cast<double>(exporter->counts().*count);
                       },
                       {{"outcome", outcome}});
    }
    metrics.Callback(metric_names::kMemory, kMemoryHelp, false,
                     [] { return ReadProcessStats().memory_mb * 1024 * 1024; });
    metrics.Callback(metric_names::kCpuSeconds, kCpuSecondsHelp, true,
                     [] { return absl::ToDoubleSeconds(ReadProcessStats().cpu_time); });
  }

  // Listens and says where.
  absl::Status Listen() {
    const std::string address = absl::GetFlag(FLAGS_listen_address);
    http.Handle("GET", "/healthz", [this](const HttpRequest&) { return Healthz(); });
    http.Handle("GET", "/metrics", [this](const HttpRequest&) {
      return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", metrics.Text(), {}};
    });
    const absl::StatusOr<int> http_port = http.Start(address, absl::GetFlag(FLAGS_http_port));
    if (!http_port.ok()) return http_port.status();
    const absl::StatusOr<int> grpc_port = health.Start(address, absl::GetFlag(FLAGS_grpc_port));
    if (!grpc_port.ok()) return grpc_port.status();
    const std::string reached = address == "0.0.0.0" ? "127.0.0.1" : address;
    ReadyFile ready;
    ready.pid = getpid();
    ready.http_url = absl::StrCat("http://", reached, ":", *http_port);
    ready.grpc = absl::StrCat(reached, ":", *grpc_port);
    ready.instance_id = instance_id;
    Log(LogLevel::kInfo, "listening",
        {{"http_url", ready.http_url}, {"grpc", ready.grpc}, {"instance_id", instance_id}});
    return WriteReadyFile(ready);
  }

  static absl::Status WriteReadyFile(const ReadyFile& ready) {
    const std::string file = absl::GetFlag(FLAGS_ready_file);
    if (file.empty()) return absl::OkStatus();
    const std::string temporary = absl::StrCat(file, ".", getpid());
    {
      std::ofstream out(temporary);
      out << json::Encode(ready) << "\n";
      out.close();
      if (!out) return absl::UnavailableError(absl::StrCat("--ready_file: cannot write ", temporary));
    }
    if (std::rename(temporary.c_str(), file.c_str()) != 0) {
      std::remove(temporary.c_str());
      return absl::UnavailableError(absl::StrCat("--ready_file: cannot write ", file));
    }
    return absl::OkStatus();
  }

  // ---- The end

  int Drain() {
    const absl::Duration limit = absl::GetFlag(FLAGS_drain_timeout);
    const absl::Time deadline = clock.Now() + limit;
    starting.End();
    trace::Span ending("drain", trace::SpanKind::kInternal, trace::RootOf(ProcessTraceId()));
    Log(LogLevel::kInfo, "draining", {{"timeout", absl::FormatDuration(limit)}});
    // Whatever hangs, the process ends.
    const Clock::TimerId last_resort = clock.RunAfter(limit + kExitGrace, [] {
      Log(LogLevel::kError, "the drain did not end in time");
      _exit(1);
    });
    {
      std::lock_guard<std::mutex> lock(mutex);
      draining = true;
    }
    changed.notify_all();
    CheckHealth();
    starter.join();
    for (const auto& begin : on_drain_begin) begin();
    const bool finished = commands->Drain(std::max(absl::ZeroDuration(), deadline - clock.Now()));
    if (!finished) {
      Log(LogLevel::kWarning, "commands in work did not end in time",
          {{"in_flight", absl::StrCat(commands->in_flight())}});
    }
    for (const auto& drain : on_drain) drain();
    discovery.reset();
    tick.reset();
    connection.reset();
    http.Stop();
    if (bus->connected()) {
      const absl::Status flushed = bus->Flush(kFlushTimeout);
      if (!flushed.ok()) {
        Log(LogLevel::kWarning, "the last messages may be lost", {{"error", std::string(flushed.message())}});
      }
    }
    health.Stop();
    ending.SetStatus(finished ? absl::OkStatus() : absl::DeadlineExceededError("commands in work"));
    ending.End();
    // A collector that is away costs the end no more than that.
    if (exporter != nullptr && !exporter->Flush(kTraceFlushTimeout)) {
      Log(LogLevel::kWarning, "the last spans were not taken");
    }
    clock.Cancel(last_resort);
    if (const std::string file = absl::GetFlag(FLAGS_ready_file); !file.empty()) std::remove(file.c_str());
    Log(LogLevel::kInfo, "ended", {{"exit_status", finished ? "0" : "1"}});
    // Handlers that still run use what main() is about to destroy.
    if (!finished) _exit(1);
    bus::EndProcessIfTls(0);
    return 0;
  }

  int Run() {
    for (const std::string& subject : commands->subjects()) {
      actions.insert(subject.substr(subject.rfind('.') + 1));
    }
    AddMetrics();
    last_stats = ReadProcessStats();
    last_stats_at = clock.Now();
    CheckHealth();
    absl::Status status = Listen();
    if (status.ok()) status = WatchLoops();
    if (status.ok()) status = StartDiscovery();
    if (!status.ok()) {
      Log(LogLevel::kError, "cannot start", {{"error", std::string(status.message())}});
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      return 1;
    }
    connection = bus->OnConnectionChange([this](bool connected) { OnConnection(connected); });
    {
      std::lock_guard<std::mutex> lock(mutex);
      was_connected = was_connected || bus->connected();
    }
    starter = std::thread([this] { RunStart(); });
    while (signal_count.load() == 0) {
      CheckHealth();
      pollfd events[] = {{signal_event.load(), POLLIN, 0}, {wake_event, POLLIN, 0}};
      if (poll(events, 2, static_cast<int>(absl::ToInt64Milliseconds(kHealthInterval))) > 0 &&
          (events[1].revents & POLLIN) != 0) {
        uint64_t count = 0;
        (void)!read(wake_event, &count, sizeof count);
      }
    }
    return Drain();
  }
};

Agent::Agent(Info info, int argc, char** argv) : impl_(std::make_unique<Impl>(std::move(info))) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const absl::StatusOr<std::vector<std::string>> rest = ParseFlags(arguments);
  if (!rest.ok()) Refuse(rest.status().message());
  if (!rest->empty())
    Refuse(absl::StrCat("'", rest->front(), "' is not a flag, and there are no other arguments"));
  const std::string program = argc > 0 ? argv[0] : impl_->info.name;
  if (absl::GetFlag(FLAGS_help)) {
    std::printf("%s: %s\n\nUsage: %s [--flag=value ...]\n\n%s", impl_->info.name.c_str(),
                impl_->info.description.c_str(), program.substr(program.rfind('/') + 1).c_str(),
                DescribeFlags().c_str());
    std::exit(0);
  }
  if (absl::GetFlag(FLAGS_version)) {
    std::printf("%s %s\n", impl_->info.name.c_str(), ARC_VERSION);
    std::exit(0);
  }
  const LogLevel level = ParseLogLevel(absl::GetFlag(FLAGS_log_level));
  CheckedPort("http_port", absl::GetFlag(FLAGS_http_port));
  CheckedPort("grpc_port", absl::GetFlag(FLAGS_grpc_port));
  if (absl::GetFlag(FLAGS_probe)) {
    InitLog(impl_->info.name, LogLevel::kError);
    std::exit(Probe());
  }
  impl_->kiosk_id = absl::GetFlag(FLAGS_kiosk_id);
  impl_->scoped = absl::GetFlag(FLAGS_scoped);
  if (!subjects::IsValidKioskId(impl_->kiosk_id)) {
    Refuse(absl::StrCat("--kiosk_id: '", impl_->kiosk_id, "' is not 1 to 64 letters, digits, '-' and '_'"));
  }
  impl_->exporter = MakeExporter(impl_->info, impl_->instance_id, impl_->kiosk_id);
  const absl::Duration drain = absl::GetFlag(FLAGS_drain_timeout);
  if (drain < absl::ZeroDuration() || drain > absl::Hours(1)) {
    Refuse(absl::StrCat("--drain_timeout: ", absl::FormatDuration(drain), " is not from 0s to 1h"));
  }
  // Threads of agents are many and mostly idle: an arena each would be most of their memory.
  mallopt(M_ARENA_MAX, 2);
  InitLog(impl_->info.name, level);
  if (impl_->exporter != nullptr) trace::SetProcessor(impl_->exporter.get());
  impl_->starting = trace::Span::Root("start", trace::SpanKind::kInternal, trace::RootOf(ProcessTraceId()),
                                      impl_->clock.Now());
  impl_->wake_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  signal_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);

  bus::NatsOptions options;
  options.url = CheckedServers(absl::GetFlag(FLAGS_nats_url));
  options.name = impl_->info.name;
  options.user = absl::GetFlag(FLAGS_nats_user);
  const bus::LoginFiles files = {absl::GetFlag(FLAGS_nats_password_file), absl::GetFlag(FLAGS_nats_nkey_file),
                                 absl::GetFlag(FLAGS_nats_ca_file)};
  if (const absl::Status read = bus::ReadLogin(files, options); !read.ok()) Refuse(read.message());
  absl::StatusOr<std::unique_ptr<bus::NatsBus>> bus = bus::NatsBus::Connect(impl_->clock, options);
  if (!bus.ok()) Refuse(absl::StrCat("--nats_url: ", bus.status().message()));
  impl_->bus = *std::move(bus);
  impl_->user = options.user;
  impl_->inbox_prefix = bus::InboxPrefix(options);
  impl_->commands = std::make_unique<bus::CommandServer>(*impl_->bus, impl_->executor, impl_->info.service,
                                                         impl_->info.name, impl_->Observer());
}

Agent::~Agent() {
  // Spans that end from here on go nowhere; what ends them goes before the exporter does.
  trace::SetProcessor(nullptr);
}

bus::Bus& Agent::bus() {
  return *impl_->bus;
}

Clock& Agent::clock() {
  return impl_->clock;
}

bus::Executor& Agent::executor() {
  return impl_->executor;
}

HttpServer& Agent::http() {
  return impl_->http;
}

Metrics& Agent::metrics() {
  return impl_->metrics;
}

const std::string& Agent::instance_id() const {
  return impl_->instance_id;
}

const std::string& Agent::kiosk_id() const {
  return impl_->kiosk_id;
}

bool Agent::scoped() const {
  return impl_->scoped;
}

bus::CommandServer& Agent::commands() {
  return *impl_->commands;
}

Agent::Handled Agent::Endpoint(absl::string_view name, absl::string_view subject) {
  auto beside = std::make_shared<Impl::Beside>();
  beside->name = std::string(name);
  beside->subject = std::string(subject);
  impl_->besides.push_back(beside);
  return [impl = impl_.get(), beside](absl::Duration took, const absl::Status& status) {
    impl->CountHandled(beside->name, took, status.ok());
    std::lock_guard<std::mutex> lock(beside->mutex);
    ++beside->stats.requests;
    beside->stats.processing_time += took;
    if (status.ok()) return;
    ++beside->stats.errors;
    beside->stats.last_error = std::string(status.message());
  };
}

void Agent::UseBucket(absl::string_view bucket, std::function<absl::Status(bus::KeyValue&)> on_open) {
  impl_->buckets.push_back({std::string(bucket), std::move(on_open), nullptr});
}

void Agent::OnStart(std::function<absl::Status()> start) {
  impl_->on_start.push_back(std::move(start));
}

void Agent::HealthCheck(absl::string_view name, std::function<absl::Status()> check) {
  impl_->health_checks.emplace_back(std::string(name), std::move(check));
}

void Agent::OnDrainBegin(std::function<void()> begin) {
  impl_->on_drain_begin.push_back(std::move(begin));
}

void Agent::OnDrain(std::function<void()> drain) {
  impl_->on_drain.push_back(std::move(drain));
}

void Agent::SetActiveSessions(std::function<int64_t()> count) {
  impl_->active_sessions = std::move(count);
}

void Agent::SetMetadata(absl::string_view key, absl::string_view value) {
  impl_->metadata[std::string(key)] = std::string(value);
}

void Agent::ReportError(absl::string_view error_type, absl::string_view message, absl::string_view severity,
                        absl::string_view action_required) {
  impl_->ReportError(error_type, message, severity, action_required);
}

int Agent::Run() {
  return impl_->Run();
}

}  // namespace arc
