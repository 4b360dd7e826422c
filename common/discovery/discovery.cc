#include "common/discovery/discovery.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/log/log.h"

namespace arc {
namespace {

// JSON of an object whose members have any names.
json::Raw MapOf(const std::map<std::string, std::string>& map) {
  std::string text = "{";
  for (const auto& [name, value] : map) {
    absl::StrAppend(&text, text.size() > 1 ? "," : "", json::Quote(name), ":", json::Quote(value));
  }
  return json::Raw{text + "}"};
}

struct EndpointInfoMessage {
  std::string name;
  std::string subject;
  std::string queue_group;
  json::Raw metadata{"{}"};

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("subject", s.subject);
    v.Required("queue_group", s.queue_group);
    v.Required("metadata", s.metadata);
  }
};

// What ADR-32 leaves to the service.
struct EndpointData {
  Histogram latency_ms;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("latency_ms", s.latency_ms);
  }
};

struct EndpointStatsMessage {
  std::string name;
  std::string subject;
  std::string queue_group;
  int64_t num_requests = 0;
  int64_t num_errors = 0;
  std::string last_error;
  int64_t processing_time = 0;  // nanoseconds
  int64_t average_processing_time = 0;
  EndpointData data;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("subject", s.subject);
    v.Required("queue_group", s.queue_group);
    v.Required("num_requests", s.num_requests);
    v.Required("num_errors", s.num_errors);
    v.Required("last_error", s.last_error);
    v.Required("processing_time", s.processing_time);
    v.Required("average_processing_time", s.average_processing_time);
    v.Required("data", s.data);
  }
};

struct Base {
  std::string name;
  std::string id;
  std::string version;
  json::Raw metadata;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("id", s.id);
    v.Required("version", s.version);
    v.Required("metadata", s.metadata);
  }
};

struct PingResponse : Base {
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("type", "io.nats.micro.v1.ping_response");
    Base::Describe(s, v);
  }
};

struct InfoResponse : Base {
  std::string description;
  std::vector<EndpointInfoMessage> endpoints;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("type", "io.nats.micro.v1.info_response");
    Base::Describe(s, v);
    v.Required("description", s.description);
    v.Required("endpoints", s.endpoints);
  }
};

struct StatsResponse : Base {
  std::string started;
  std::vector<EndpointStatsMessage> endpoints;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("type", "io.nats.micro.v1.stats_response");
    Base::Describe(s, v);
    v.Required("started", s.started);
    v.Required("endpoints", s.endpoints);
  }
};

}  // namespace

struct ServiceResponder::Impl {
  bus::Bus& bus;
  const ServiceInfo info;
  const std::function<std::vector<EndpointStats>()> endpoints;
  const std::string started;

  template <class Response>
  Response Make() const {
    Response response;
    response.name = info.name;
    response.id = info.id;
    response.version = info.version;
    response.metadata = MapOf(info.metadata);
    return response;
  }

  std::string Ping() const { return json::Encode(Make<PingResponse>()); }

  std::string Info() const {
    auto response = Make<InfoResponse>();
    response.description = info.description;
    for (const EndpointStats& endpoint : endpoints()) {
      response.endpoints.push_back({endpoint.name, endpoint.subject, endpoint.queue_group, {"{}"}});
    }
    return json::Encode(response);
  }

  std::string Stats() const {
    auto response = Make<StatsResponse>();
    response.started = started;
    for (EndpointStats& endpoint : endpoints()) {
      EndpointStatsMessage stats;
      stats.name = endpoint.name;
      stats.subject = endpoint.subject;
      stats.queue_group = endpoint.queue_group;
      stats.num_requests = endpoint.num_requests;
      stats.num_errors = endpoint.num_errors;
      stats.last_error = endpoint.last_error;
      stats.processing_time = absl::ToInt64Nanoseconds(endpoint.processing_time);
      stats.average_processing_time =
          endpoint.num_requests == 0 ? 0 : stats.processing_time / endpoint.num_requests;
      stats.data.latency_ms = std::move(endpoint.latency_ms);
      response.endpoints.push_back(std::move(stats));
    }
    return json::Encode(response);
  }

  void Answer(const bus::Message& request, std::string (Impl::*verb)() const) const {
    if (request.reply.empty()) return;
    bus::Message reply;
    reply.subject = request.reply;
    reply.body = (this->*verb)();
    const absl::Status sent = bus.Publish(reply);
    if (!sent.ok()) {
      Log(LogLevel::kWarning, "a discovery answer could not be sent",
          {{"error", std::string(sent.message())}});
    }
  }
};

absl::StatusOr<std::unique_ptr<ServiceResponder>> ServiceResponder::Start(
    bus::Bus& bus, ServiceInfo info, std::function<std::vector<EndpointStats>()> endpoints) {
  auto responder = std::unique_ptr<ServiceResponder>(new ServiceResponder());
  const std::string started = FormatTimestamp(bus.clock().Now());
  responder->impl_ = std::shared_ptr<Impl>(new Impl{bus, std::move(info), std::move(endpoints), started});
  const ServiceInfo& own = responder->impl_->info;
  using Verb = std::string (Impl::*)() const;
  const std::pair<const char*, Verb> verbs[] = {
      {"PING", &Impl::Ping}, {"INFO", &Impl::Info}, {"STATS", &Impl::Stats}};
  for (const auto& [name, verb] : verbs) {
    for (const std::string& scope :
         {std::string(), absl::StrCat(".", own.name), absl::StrCat(".", own.name, ".", own.id)}) {
      absl::StatusOr<std::unique_ptr<bus::Subscription>> subscription =
          bus.Subscribe(absl::StrCat("$SRV.", name, scope), "",
                        [impl = responder->impl_, verb = verb](const bus::Message& request) {
                          impl->Answer(request, verb);
                        });
      if (!subscription.ok()) return std::move(subscription).status();
      responder->subscriptions_.push_back(*std::move(subscription));
    }
  }
  return responder;
}

}  // namespace arc
