// status: who runs and how well, what waits.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/json/json.h"
#include "common/provision/jetstream_api.h"
#include "common/provision/service_query.h"
#include "common/status/status_macros.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/table.h"

namespace arc::arcctl {
namespace {

struct AgentCopy {
  std::string id;
  std::string version;
  std::string started;
  int64_t requests = 0;
  int64_t errors = 0;
  double average_ms = 0;
  std::optional<double> p50_ms;  // none: nothing handled yet
  std::optional<double> p99_ms;
  std::string last_error;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("version", s.version);
    v.Required("started", s.started);
    v.Required("requests", s.requests);
    v.Required("errors", s.errors);
    v.Required("average_ms", s.average_ms);
    v.Nullable("p50_ms", s.p50_ms);
    v.Nullable("p99_ms", s.p99_ms);
    v.Required("last_error", s.last_error);
  }
};

struct AgentStatus {
  std::string name;
  int64_t copies = 0;
  int64_t requests = 0;  // of all copies, as are the following
  int64_t errors = 0;
  double average_ms = 0;
  std::optional<double> p50_ms;
  std::optional<double> p99_ms;
  std::vector<AgentCopy> instances;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("copies", s.copies);
    v.Required("requests", s.requests);
    v.Required("errors", s.errors);
    v.Required("average_ms", s.average_ms);
    v.Nullable("p50_ms", s.p50_ms);
    v.Nullable("p99_ms", s.p99_ms);
    v.Required("instances", s.instances);
  }
};

struct ConsumerStatus {
  std::string stream;
  std::string name;
  std::string filter_subject;
  int64_t lag = 0;          // waits to be delivered
  int64_t ack_pending = 0;  // delivered, not done
  int64_t redelivered = 0;
  int64_t pulls = 0;  // pull requests that wait

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("stream", s.stream);
    v.Required("name", s.name);
    v.Required("filter_subject", s.filter_subject);
    v.Required("lag", s.lag);
    v.Required("ack_pending", s.ack_pending);
    v.Required("redelivered", s.redelivered);
    v.Required("pulls", s.pulls);
  }
};

struct StreamStatus {
  std::string name;
  std::string storage;
  int64_t messages = 0;
  int64_t bytes = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("storage", s.storage);
    v.Required("messages", s.messages);
    v.Required("bytes", s.bytes);
  }
};

struct FleetStatus {
  std::vector<AgentStatus> agents;
  std::vector<ConsumerStatus> consumers;
  std::vector<StreamStatus> streams;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("agents", s.agents);
    v.Required("consumers", s.consumers);
    v.Required("streams", s.streams);
  }
};

double Milliseconds(int64_t nanoseconds, int64_t requests) {
  return requests == 0 ? 0 : static_cast<double>(nanoseconds) / static_cast<double>(requests) / 1e6;
}

std::vector<AgentStatus> Summarize(const std::vector<provision::ServiceStats>& services) {
  std::vector<AgentStatus> agents;
  std::map<std::string, int64_t> time;
  std::map<std::string, Histogram> latency;
  for (const provision::ServiceStats& service : services) {
    if (agents.empty() || agents.back().name != service.name) {
      agents.emplace_back();
      agents.back().name = service.name;
    }
    AgentStatus& agent = agents.back();
    AgentCopy copy;
    copy.id = service.id;
    copy.version = service.version;
    copy.started = service.started;
    int64_t spent = 0;
    Histogram took;
    for (const provision::EndpointStats& endpoint : service.endpoints) {
      copy.requests += endpoint.num_requests;
      copy.errors += endpoint.num_errors;
      spent += endpoint.processing_time;
      took.Add(provision::LatencyOf(endpoint));
      if (!endpoint.last_error.empty()) copy.last_error = endpoint.last_error;
    }
    copy.average_ms = Milliseconds(spent, copy.requests);
    copy.p50_ms = took.Quantile(0.5);
    copy.p99_ms = took.Quantile(0.99);
    ++agent.copies;
    agent.requests += copy.requests;
    agent.errors += copy.errors;
    time[agent.name] += spent;
    agent.average_ms = Milliseconds(time[agent.name], agent.requests);
    latency[agent.name].Add(took);
    agent.p50_ms = latency[agent.name].Quantile(0.5);
    agent.p99_ms = latency[agent.name].Quantile(0.99);
    agent.instances.push_back(std::move(copy));
  }
  return agents;
}

std::string Shown(const std::optional<double>& ms) {
  return ms.has_value() ? absl::StrFormat("%.2f", *ms) : "-";
}

std::string Size(int64_t bytes) {
  if (bytes < 10000) return absl::StrCat(bytes, " B");
  if (bytes < 10000000) return absl::StrCat(bytes / 1024, " KiB");
  return absl::StrCat(bytes / 1048576, " MiB");
}

void PrintTables(const Session& session, const FleetStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"agent", "copies", "requests", "errors", "avg ms", "p50 ms", "p99 ms", "last error"}};
  for (const AgentStatus& agent : status.agents) {
    std::string last_error;
    for (const AgentCopy& copy : agent.instances) {
      if (!copy.last_error.empty()) last_error = copy.last_error;
    }
    rows.push_back({agent.name, absl::StrCat(agent.copies), absl::StrCat(agent.requests),
                    absl::StrCat(agent.errors), absl::StrFormat("%.2f", agent.average_ms),
                    Shown(agent.p50_ms), Shown(agent.p99_ms), last_error});
    if (agent.copies < 2) continue;
    for (const AgentCopy& copy : agent.instances) {
      rows.push_back({absl::StrCat("  ", copy.id.substr(0, 12)), "1", absl::StrCat(copy.requests),
                      absl::StrCat(copy.errors), absl::StrFormat("%.2f", copy.average_ms), Shown(copy.p50_ms),
                      Shown(copy.p99_ms), copy.last_error});
    }
  }
  if (status.agents.empty()) {
    session.Print("no agent answers");
  } else {
    for (const std::string& line : FormatTable(rows)) session.Print(line);
  }
  session.Print("");
  rows = {{"consumer", "stream", "lag", "in work", "redelivered", "pulls"}};
  for (const ConsumerStatus& consumer : status.consumers) {
    rows.push_back({consumer.name, consumer.stream, absl::StrCat(consumer.lag),
                    absl::StrCat(consumer.ack_pending), absl::StrCat(consumer.redelivered),
                    absl::StrCat(consumer.pulls)});
  }
  for (const std::string& line : FormatTable(rows)) session.Print(line);
  session.Print("");
  rows = {{"stream", "storage", "messages", "size"}};
  for (const StreamStatus& stream : status.streams) {
    rows.push_back({stream.name, stream.storage, absl::StrCat(stream.messages), Size(stream.bytes)});
  }
  for (const std::string& line : FormatTable(rows)) session.Print(line);
}

absl::Status RunStatus(Session& session) {
  FleetStatus status;
  provision::JetStreamApi api(session.bus, session.timeout);
  ASSIGN_OR_RETURN(const auto services, provision::ListServices(session.bus, session.timeout));
  status.agents = Summarize(services);
  ASSIGN_OR_RETURN(const auto streams, api.ListStreams());
  for (const provision::StreamInfo& stream : streams) {
    StreamStatus row;
    row.name = stream.config.name;
    row.storage = stream.config.storage;
    row.messages = stream.state.messages;
    row.bytes = stream.state.bytes;
    status.streams.push_back(std::move(row));
    // Whoever watches a bucket has a consumer of it for as long.
    if (absl::StartsWith(stream.config.name, provision::BucketStream(""))) continue;
    ASSIGN_OR_RETURN(const auto consumers, api.ListConsumers(stream.config.name));
    for (const provision::ConsumerState& consumer : consumers) {
      ConsumerStatus line;
      line.stream = consumer.stream_name;
      line.name = consumer.name;
      line.filter_subject = consumer.config.filter_subject;
      line.lag = consumer.num_pending;
      line.ack_pending = consumer.num_ack_pending;
      line.redelivered = consumer.num_redelivered;
      line.pulls = consumer.num_waiting;
      status.consumers.push_back(std::move(line));
    }
  }
  if (session.json()) {
    session.Print(json::Encode(status));
  } else {
    PrintTables(session, status);
  }
  return absl::OkStatus();
}

}  // namespace

void AddStatusVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec status;
  status.name = "status";
  status.summary = "show the running agents, what waits for them, and the streams";
  status.details =
      "Agents are asked by the NATS service protocol ($SRV.STATS), as `nats micro ls` does. Times are of all "
      "that was "
      "handled since the start.";
  verbs.push_back({std::move(status), RunStatus});
}

}  // namespace arc::arcctl
