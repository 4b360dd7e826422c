#include "common/metrics/metrics.h"

#include <mutex>
#include <utility>

#include "prometheus/client_metric.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace arc {
namespace {

const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets = new prometheus::Histogram::BucketBoundaries{
      0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10000, 30000, 60000};
  return *buckets;
}

}  // namespace

struct Metrics::Impl {
  struct Asked {
    std::string name;
    std::string help;
    bool counter = false;
    std::function<double()> value;
    Labels labels;
  };

  const std::string agent;
  prometheus::Registry registry;
  std::mutex mutex;  // of the maps; the metrics themselves are thread-safe
  std::map<std::string, prometheus::Family<prometheus::Counter>*> counters;
  std::map<std::string, prometheus::Family<prometheus::Gauge>*> gauges;
  std::map<std::string, prometheus::Family<prometheus::Histogram>*> histograms;
  std::vector<Asked> asked;

  explicit Impl(std::string the_agent) : agent(std::move(the_agent)) {}

  template <class Metric, class Builder>
  prometheus::Family<Metric>& Family(std::map<std::string, prometheus::Family<Metric>*>& families,
                                     Builder builder, absl::string_view name, absl::string_view help) {
    std::lock_guard<std::mutex> lock(mutex);
    prometheus::Family<Metric>*& family = families[std::string(name)];
    if (family == nullptr) {
      family = &builder.Name(std::string(name))
                    .Help(std::string(help))
                    .Labels({{"agent", agent}})
                    .Register(registry);
    }
    return *family;
  }
};

Metrics::Metrics(std::string agent) : impl_(std::make_unique<Impl>(std::move(agent))) {}

Metrics::~Metrics() = default;

void Metrics::Increment(absl::string_view name, absl::string_view help, const Labels& labels, double by) {
  impl_->Family(impl_->counters, prometheus::BuildCounter(), name, help).Add(labels).Increment(by);
}

void Metrics::Set(absl::string_view name, absl::string_view help, const Labels& labels, double value) {
  impl_->Family(impl_->gauges, prometheus::BuildGauge(), name, help).Add(labels).Set(value);
}

void Metrics::Observe(absl::string_view name, absl::string_view help, const Labels& labels, double value) {
  impl_->Family(impl_->histograms, prometheus::BuildHistogram(), name, help)
      .Add(labels, Buckets())
      .Observe(value);
}

Histogram Metrics::Observed(absl::string_view name, const Labels& labels) const {
  Histogram observed;
  observed.le = Buckets();
  observed.buckets.assign(observed.le.size(), 0);
  prometheus::Family<prometheus::Histogram>* family = nullptr;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    const auto found = impl_->histograms.find(std::string(name));
    if (found != impl_->histograms.end()) family = found->second;
  }
  if (family == nullptr || !family->Has(labels)) return observed;
  const prometheus::ClientMetric::Histogram counted = family->Add(labels, Buckets()).Collect().histogram;
  for (size_t i = 0; i < observed.buckets.size(); ++i) {
    observed.buckets[i] = static_cast<int64_t>(counted.bucket[i].cumulative_count);
  }
  observed.count = static_cast<int64_t>(counted.sample_count);
  observed.sum = counted.sample_sum;
  return observed;
}

void Metrics::Callback(absl::string_view name, absl::string_view help, bool counter,
                       std::function<double()> value, const Labels& labels) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->asked.push_back({std::string(name), std::string(help), counter, std::move(value), labels});
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  std::vector<Impl::Asked> asked;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    asked = impl_->asked;
  }
  for (const Impl::Asked& one : asked) {
    // Those that differ in their labels alone were registered one after the other.
    if (families.empty() || families.back().name != one.name) {
      prometheus::MetricFamily family;
      family.name = one.name;
      family.help = one.help;
      family.type = one.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      families.push_back(std::move(family));
    }
    prometheus::ClientMetric metric;
    metric.label.push_back({"agent", impl_->agent});
    for (const auto& [label, value] : one.labels) metric.label.push_back({label, value});
    (one.counter ? metric.counter.value : metric.gauge.value) = one.value();
    families.back().metric.push_back(std::move(metric));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace arc
