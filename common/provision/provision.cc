#include "common/provision/provision.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/provision/jetstream_api.h"
#include "common/status/status_macros.h"

namespace arc::provision {
namespace {

// How soon a server that does not answer is asked again.
constexpr absl::Duration kRetryAfter = absl::Milliseconds(20);
// An answer that was lost with a connection must not hold up the repair that the next connection needs.
constexpr absl::Duration kKeeperTimeout = absl::Seconds(1);

void Append(std::vector<Difference> from, std::vector<Difference>& to) {
  for (Difference& difference : from) to.push_back(std::move(difference));
}

ProvisionOptions WithShortTimeout(ProvisionOptions options) {
  options.timeout = std::min(options.timeout, kKeeperTimeout);
  return options;
}

std::string DifferencesText(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& difference : differences) absl::StrAppend(&text, difference.ToString(), "\n");
  return text;
}

absl::Status ProvisionStream(JetStreamApi& api, const StreamConfig& want, const StreamInfo* have,
                             const ProvisionOptions& options, ProvisionReport& report) {
  const std::string object = absl::StrCat("stream ", want.name);
  StreamConfig found;
  if (have == nullptr) {
    absl::Status created = api.CreateStream(want);
    if (created.ok()) {
      report.created.push_back(object);
      return absl::OkStatus();
    }
    if (created.code() != absl::StatusCode::kAlreadyExists) return created;
    // Somebody else was faster, with another configuration.
    ASSIGN_OR_RETURN(const StreamInfo info, api.GetStream(want.name));
    found = info.config;
  } else {
    found = have->config;
  }
  std::vector<Difference> differences = Compare(want, found);
  if (differences.empty()) {
    report.unchanged.push_back(object);
    return absl::OkStatus();
  }
  if (options.update) {
    StreamConfig wanted = want;
    wanted.num_replicas = std::max(want.num_replicas, found.num_replicas);
    absl::Status updated = api.UpdateStream(wanted);
    if (updated.ok()) {
      report.updated.push_back(object);
      return absl::OkStatus();
    }
    if (updated.code() != absl::StatusCode::kInvalidArgument) return updated;
  }
  Append(std::move(differences), report.differences);
  return absl::OkStatus();
}

absl::Status ProvisionConsumer(JetStreamApi& api, const Consumer& want, const ConsumerState* have,
                               const ProvisionOptions& options, ProvisionReport& report) {
  const std::string object = absl::StrCat("consumer ", want.stream, " > ", want.config.durable_name);
  if (have == nullptr) {
    RETURN_IF_ERROR(api.PutConsumer(want.stream, want.config));
    report.created.push_back(object);
    return absl::OkStatus();
  }
  std::vector<Difference> differences = Compare(want.stream, want.config, have->config);
  if (differences.empty()) {
    report.unchanged.push_back(object);
    return absl::OkStatus();
  }
  if (options.update) {
    absl::Status updated = api.PutConsumer(want.stream, want.config);
    if (updated.ok()) {
      report.updated.push_back(object);
      return absl::OkStatus();
    }
    if (updated.code() == absl::StatusCode::kUnavailable ||
        updated.code() == absl::StatusCode::kDeadlineExceeded) {
      return updated;
    }
  }
  Append(std::move(differences), report.differences);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProvisionReport> Provision(bus::Bus& bus, const Topology& topology,
                                          const ProvisionOptions& options) {
  JetStreamApi api(bus, options.timeout);
  ProvisionReport report;
  ASSIGN_OR_RETURN(const std::vector<StreamInfo> streams, api.ListStreams());
  std::set<std::string> existing;
  for (const StreamConfig& want : topology.streams) {
    const auto have = std::find_if(streams.begin(), streams.end(),
                                   [&](const StreamInfo& info) { return info.config.name == want.name; });
    RETURN_IF_ERROR(ProvisionStream(api, want, have == streams.end() ? nullptr : &*have, options, report));
    if (have != streams.end()) existing.insert(want.name);
  }
  std::map<std::string, std::vector<ConsumerState>> consumers;
  for (const Consumer& want : topology.consumers) {
    auto known = consumers.find(want.stream);
    if (known == consumers.end()) {
      std::vector<ConsumerState> listed;
      if (existing.count(want.stream) > 0) {
        ASSIGN_OR_RETURN(listed, api.ListConsumers(want.stream));
      }
      known = consumers.emplace(want.stream, std::move(listed)).first;
    }
    const auto have = std::find_if(
        known->second.begin(), known->second.end(),
        [&](const ConsumerState& consumer) { return consumer.name == want.config.durable_name; });
    RETURN_IF_ERROR(
        ProvisionConsumer(api, want, have == known->second.end() ? nullptr : &*have, options, report));
  }
  return report;
}

Keeper::Keeper(bus::Bus& bus, Topology topology, ProvisionOptions options, absl::Duration interval,
               std::function<void(const ProvisionReport&)> on_report)
    : bus_(bus),
      topology_(std::move(topology)),
      options_(WithShortTimeout(options)),
      interval_(interval),
      on_report_(std::move(on_report)) {}

void Keeper::Run() {
  // Declared first, so that it ends last: its callbacks only touch members.
  std::vector<std::unique_ptr<bus::Subscription>> watches;
  watches.push_back(bus_.OnConnectionChange([this](bool connected) {
    if (connected) Wake();
  }));
  const char* const advisories[] = {"$JS.EVENT.ADVISORY.STREAM.DELETED.>",
                                    "$JS.EVENT.ADVISORY.CONSUMER.DELETED.>"};
  for (const char* advisory : advisories) {
    auto watch = bus_.Subscribe(advisory, "", [this](const bus::Message&) { Wake(); });
    // Without advisories (an account without the right to them) `interval` still finds what is missing.
    if (watch.ok()) watches.push_back(*std::move(watch));
  }

  std::string last_differences;
  absl::Duration wait = interval_;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      bus_.clock().WaitUntil(lock, changed_, bus_.clock().Now() + wait, [&] { return stopped_ || due_; });
      if (stopped_) return;
      due_ = false;
    }
    wait = interval_;
    // The next connection wakes this loop; a request sent now would only wait for it.
    if (!bus_.connected()) continue;
    absl::StatusOr<ProvisionReport> report = Provision(bus_, topology_, options_);
    if (!report.ok()) {
      wait = kRetryAfter;
      continue;
    }
    const std::string differences = DifferencesText(report->differences);
    if (!report->created.empty() || !report->updated.empty() || differences != last_differences) {
      on_report_(*report);
    }
    last_differences = differences;
  }
}

void Keeper::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void Keeper::Wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  due_ = true;
  changed_.notify_all();
}

}  // namespace arc::provision
