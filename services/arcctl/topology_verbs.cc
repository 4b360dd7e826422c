// provision, doctor: what the bus has to have, and whether it works.
#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/provision/doctor.h"
#include "common/provision/provision.h"
#include "common/provision/topology.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "services/arcctl/arcctl.h"

namespace arc::arcctl {
namespace {

// How often `provision --keep` looks without being told of a change.
constexpr absl::Duration kKeepInterval = absl::Seconds(5);
constexpr absl::Duration kRetryAfter = absl::Milliseconds(50);
constexpr int64_t kDefaultMaxLag = 1000;

absl::StatusOr<provision::Topology> LoadTopology(const Session& session) {
  std::string text(provision::DefaultTopologyText());
  std::string name = "the built-in deploy/streams.json";
  if (const auto path = session.arguments.GetOptional("file")) {
    std::ifstream file(*path);
    std::stringstream content;
    content << file.rdbuf();
    if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", *path));
    text = content.str();
    name = *path;
  }
  absl::StatusOr<provision::Topology> topology = provision::ParseTopology(text);
  if (!topology.ok()) return Annotate(topology.status(), name);
  ASSIGN_OR_RETURN(const std::optional<int64_t> replicas, session.arguments.GetInteger("replicas", 1, 5));
  if (replicas.has_value()) topology = provision::WithReplicas(*std::move(topology), *replicas);
  if (session.kiosk_id.empty()) return topology;
  return provision::ForKiosk(*std::move(topology), session.kiosk_id);
}

void PrintReport(const Session& session, const provision::ProvisionReport& report) {
  if (session.json()) {
    session.Print(json::Encode(report));
    return;
  }
  for (const std::string& object : report.created) session.Print(absl::StrCat("created ", object));
  for (const std::string& object : report.updated) session.Print(absl::StrCat("updated ", object));
  for (const provision::Difference& difference : report.differences) {
    session.Print(absl::StrCat("differs: ", difference.ToString()));
  }
  if (report.created.empty() && report.updated.empty() && report.differences.empty()) {
    session.Print(
        absl::StrCat("nothing to do: all ", report.unchanged.size(), " streams and consumers are there"));
  }
}

// A server that has just started takes connections before its JetStream answers.
absl::StatusOr<provision::ProvisionReport> ProvisionOnce(Session& session,
                                                         const provision::Topology& topology,
                                                         const provision::ProvisionOptions& options) {
  Clock& clock = session.bus.clock();
  const absl::Time end = clock.Now() + session.timeout;
  std::mutex mutex;
  std::condition_variable never;
  for (;;) {
    absl::StatusOr<provision::ProvisionReport> report = provision::Provision(session.bus, topology, options);
    if (!absl::IsUnavailable(report.status()) || clock.Now() >= end) return report;
    std::unique_lock<std::mutex> lock(mutex);
    clock.WaitUntil(lock, never, std::min(end, clock.Now() + kRetryAfter), [] { return false; });
  }
}

absl::Status RunProvision(Session& session) {
  ASSIGN_OR_RETURN(provision::Topology topology, LoadTopology(session));
  provision::ProvisionOptions options;
  options.timeout = session.timeout;
  options.update = session.arguments.Has("update");
  if (session.arguments.Has("keep")) {
    provision::Keeper keeper(session.bus, std::move(topology), options, kKeepInterval,
                             [&](const provision::ProvisionReport& report) { PrintReport(session, report); });
    session.stop.OnStop([&] { keeper.Stop(); });
    keeper.Run();
    session.stop.Clear();
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const provision::ProvisionReport report, ProvisionOnce(session, topology, options));
  PrintReport(session, report);
  if (report.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      options.update ? absl::StrCat(report.differences.size(),
                                    " settings cannot be changed in place: delete that stream or consumer "
                                    "(its messages go with it) and provision again")
                     : absl::StrCat(report.differences.size(),
                                    " settings differ and were left as they are; `arcctl provision --update` "
                                    "changes them"));
}

absl::Status RunDoctor(Session& session) {
  ASSIGN_OR_RETURN(const provision::Topology topology, LoadTopology(session));
  ASSIGN_OR_RETURN(const auto max_lag, session.arguments.GetInteger("max_lag", 0, 1000000000));
  provision::DoctorOptions options;
  options.timeout = session.timeout;
  options.max_lag = max_lag.value_or(kDefaultMaxLag);
  ASSIGN_OR_RETURN(const provision::Diagnosis diagnosis, provision::Diagnose(session.bus, topology, options));
  if (session.json()) {
    session.Print(json::Encode(diagnosis));
  } else {
    for (const provision::Finding& finding : diagnosis.findings) {
      session.Print(absl::StrCat("✗ ", finding.object, ": ", finding.problem));
      session.Print(absl::StrCat("    ", finding.advice));
    }
    if (diagnosis.ok) {
      session.Print(absl::StrCat("all well: ", diagnosis.streams, " streams, ", diagnosis.consumers,
                                 " consumers, ", diagnosis.agents, " agents"));
    }
  }
  if (diagnosis.ok) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      diagnosis.findings.size(), diagnosis.findings.size() == 1 ? " thing is wrong" : " things are wrong"));
}

const FlagSpec kFileFlag = {"file", "F", "another topology than the built-in deploy/streams.json"};
const FlagSpec kReplicasFlag = {
    "replicas", "N",
    "copies of each stream and bucket, as many servers as the cluster has (default: 1, and more are fine)"};

}  // namespace

void AddTopologyVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec provision;
  provision.name = "provision";
  provision.summary = "create the streams, buckets and consumers that the bus lacks";
  provision.details =
      "Idempotent. What exists with other settings is named field by field, left as it is, and makes the\n"
      "exit status 1. With --kiosk_id the consumers of a kiosk with subjects of its own are created too.";
  provision.flags = {
      {"keep", "", "stay: repair at once whatever is lost, as memory streams are when nats-server restarts"},
      {"update", "", "change what differs, as far as the server can"},
      kReplicasFlag,
      kFileFlag};
  verbs.push_back({std::move(provision), RunProvision});

  VerbSpec doctor;
  doctor.name = "doctor";
  doctor.summary = "say what is wrong with the bus and its agents, and what to do";
  doctor.details =
      "Looks for missing or changed streams, buckets and consumers, requests that a stream would answer,\n"
      "overlapping filters, acknowledgement times that are too short, consumers nobody pulls from, messages\n"
      "that are stuck, dead letters and lag. Exit status 1 when it finds something.";
  doctor.flags = {{"max_lag", "N", "waiting messages of one consumer that are still fine (default: 1000)"},
                  kReplicasFlag,
                  kFileFlag};
  verbs.push_back({std::move(doctor), RunDoctor});
}

}  // namespace arc::arcctl
