#include "common/provision/service_query.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/envelope/envelope.h"
#include "common/status/status_macros.h"

namespace arc::provision {
namespace {

// All copies answer at once; on one machine within milliseconds.
constexpr absl::Duration kQuiet = absl::Milliseconds(250);

struct LatencyData {
  Histogram latency_ms;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("latency_ms", s.latency_ms);
  }
};

}  // namespace

Histogram LatencyOf(const EndpointStats& endpoint) {
  absl::StatusOr<LatencyData> data = json::Decode<LatencyData>(endpoint.data.text);
  return data.ok() ? std::move(data->latency_ms) : Histogram();
}

absl::StatusOr<std::vector<bus::Message>> GatherAnswers(bus::Bus& bus, bus::Message request,
                                                        absl::Duration quiet, absl::Duration timeout) {
  struct Gathered {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<bus::Message> answers;
    bool nobody = false;
  };
  auto gathered = std::make_shared<Gathered>();
  request.reply = absl::StrCat("_INBOX.", NewUuid());
  ASSIGN_OR_RETURN(const auto subscription, bus.Subscribe(request.reply, "", [gathered](bus::Message answer) {
    std::lock_guard<std::mutex> lock(gathered->mutex);
    // The server itself says so when nobody listens.
    if (answer.body.empty()) {
      gathered->nobody = true;
    } else {
      gathered->answers.push_back(std::move(answer));
    }
    gathered->changed.notify_all();
  }));
  RETURN_IF_ERROR(bus.Publish(request));
  Clock& clock = bus.clock();
  const absl::Time end = clock.Now() + timeout;
  std::unique_lock<std::mutex> lock(gathered->mutex);
  for (;;) {
    const size_t have = gathered->answers.size();
    const bool more = clock.WaitUntil(lock, gathered->changed, std::min(end, clock.Now() + quiet),
                                      [&] { return gathered->nobody || gathered->answers.size() > have; });
    if (!more || gathered->nobody) return gathered->answers;
  }
}

absl::StatusOr<std::vector<ServiceStats>> ListServices(bus::Bus& bus, absl::Duration timeout) {
  bus::Message request;
  request.subject = "$SRV.STATS";
  ASSIGN_OR_RETURN(const std::vector<bus::Message> answers,
                   GatherAnswers(bus, std::move(request), kQuiet, timeout));
  std::vector<ServiceStats> services;
  for (const bus::Message& answer : answers) {
    absl::StatusOr<ServiceStats> service = json::Decode<ServiceStats>(answer.body);
    if (service.ok()) services.push_back(*std::move(service));
  }
  std::sort(services.begin(), services.end(), [](const ServiceStats& a, const ServiceStats& b) {
    return std::tie(a.name, a.id) < std::tie(b.name, b.id);
  });
  return services;
}

}  // namespace arc::provision
