#include "common/provision/doctor.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::provision {
namespace {

constexpr absl::Duration kPollEvery = absl::Milliseconds(100);
// A message that is redelivered or handled slowly is not stuck yet.
// Of a work queue; an idle one is empty, a busy one holds a few messages of some kB.
constexpr int64_t kSwollenBytes = 64 << 20;
constexpr absl::Duration kMinStuck = absl::Seconds(10);
// The leader of a stream hears of every copy each second. One that has nothing to do may call itself not
// current all the same.
constexpr absl::Duration kMaxSilence = absl::Seconds(10);

// Every subject on which somebody waits for an answer.
const std::vector<std::string>& RequestSubjects() {
  static const auto* const requests = [] {
    auto* all = new std::vector<std::string>();
    for (const char* base :
         {subjects::kMenuSearch, subjects::kMenuDetails, subjects::kMenuList, subjects::kMenuSetAvailability,
          subjects::kRecsysSuggest, subjects::kPaymentProcess, subjects::kPaymentStatus,
          subjects::kPaymentCancel, subjects::kPaymentRefund, subjects::kHardwareLed,
          subjects::kHardwarePrint, subjects::kHardwareStatus, subjects::kOrchestratorSnapshot}) {
      all->push_back(base);
      if (!subjects::BelongsToOneKiosk(base)) continue;
      const std::string alias = absl::StrCat(
          "kiosk.hardware", std::string(base).substr(std::string("kiosk.agent.hardware").size()));
      all->push_back(absl::StrCat(base, ".*"));
      all->push_back(alias);
      all->push_back(absl::StrCat(alias, ".*"));
    }
    return all;
  }();
  return *requests;
}

std::string ConsumerObject(const ConsumerState& consumer) {
  return absl::StrCat("consumer ", consumer.stream_name, " > ", consumer.name);
}

std::string FilterOf(const ConsumerState& consumer) {
  return consumer.config.filter_subject.empty() ? ">" : consumer.config.filter_subject;
}

std::string Seconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

std::string Count(int64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

const Consumer* FindWanted(const Topology& topology, const ConsumerState& state) {
  for (const Consumer& consumer : topology.consumers) {
    if (consumer.stream == state.stream_name && consumer.config.durable_name == state.name) return &consumer;
  }
  return nullptr;
}

// The consumers of kiosks that `topology` was not asked for are the fleet's all the same.
Topology WithKioskConsumers(Topology topology, const Observation& observation) {
  for (const ObservedConsumer& observed : observation.consumers) {
    if (FindWanted(topology, observed.state) != nullptr) continue;
    for (const Consumer& pattern : topology.kiosk_consumers) {
      const std::string prefix =
          pattern.config.durable_name.substr(0, pattern.config.durable_name.find("{kiosk_id}"));
      if (pattern.stream != observed.state.stream_name || !absl::StartsWith(observed.state.name, prefix)) {
        continue;
      }
      const std::string kiosk_id = observed.state.name.substr(prefix.size());
      absl::StatusOr<Topology> with = ForKiosk(topology, kiosk_id);
      if (!with.ok() || FindWanted(*with, observed.state) == nullptr) continue;
      topology = *std::move(with);
      break;
    }
  }
  return topology;
}

const StreamInfo* FindStream(const Observation& observation, absl::string_view name) {
  for (const StreamInfo& stream : observation.streams) {
    if (stream.config.name == name) return &stream;
  }
  return nullptr;
}

class Judgement {
 public:
  Judgement(const Topology& topology, const Observation& observation, const DoctorOptions& options)
      : topology_(WithKioskConsumers(topology, observation)), seen_(observation), options_(options) {}

  Diagnosis Run() {
    Streams();
    Consumers();
    Overlaps();
    Unclaimed();
    Swollen();
    Replicas();
    DeadLetters();
    diagnosis_.streams = static_cast<int64_t>(seen_.streams.size());
    diagnosis_.consumers = static_cast<int64_t>(seen_.consumers.size());
    diagnosis_.agents = static_cast<int64_t>(seen_.services.size());
    diagnosis_.ok = diagnosis_.findings.empty();
    return std::move(diagnosis_);
  }

 private:
  void Find(absl::string_view check, absl::string_view object, absl::string_view problem,
            absl::string_view advice) {
    diagnosis_.findings.push_back(
        {std::string(check), std::string(object), std::string(problem), std::string(advice)});
  }

  void Differs(const std::vector<Difference>& differences) {
    for (const Difference& difference : differences) {
      Find("differs", difference.object,
           absl::StrCat(difference.field, " is ", difference.have, ", should be ", difference.want),
           "`arcctl provision --update` changes it where the server can; else delete it and provision again");
    }
  }

  void Streams() {
    for (const StreamConfig& want : topology_.streams) {
      const StreamInfo* have = FindStream(seen_, want.name);
      if (have != nullptr) {
        Differs(Compare(want, have->config));
        continue;
      }
      const auto bucket =
          std::find_if(topology_.buckets.begin(), topology_.buckets.end(),
                       [&](const std::string& name) { return BucketStream(name) == want.name; });
      if (bucket != topology_.buckets.end()) {
        Find("missing_bucket", absl::StrCat("bucket ", *bucket), "does not exist",
             "`arcctl provision` creates it");
      } else {
        Find("missing_stream", absl::StrCat("stream ", want.name), "does not exist",
             "`arcctl provision` creates it");
      }
    }
    for (const StreamInfo& stream : seen_.streams) {
      if (stream.config.no_ack) continue;
      for (const std::string& request : RequestSubjects()) {
        const auto captures =
            std::find_if(stream.config.subjects.begin(), stream.config.subjects.end(),
                         [&](const std::string& subject) { return subjects::Overlap(subject, request); });
        if (captures == stream.config.subjects.end()) continue;
        Find(
            "request_captured", absl::StrCat("stream ", stream.config.name),
            absl::StrCat("captures requests (", *captures,
                         ") without no_ack, so that it answers them before the agent can"),
            "`arcctl provision --update` sets no_ack; a stream of your own must not capture kiosk.agent.> or "
            "kiosk.hardware.>");
        break;
      }
    }
  }

  void Consumers() {
    for (const Consumer& want : topology_.consumers) {
      const auto have =
          std::find_if(seen_.consumers.begin(), seen_.consumers.end(), [&](const ObservedConsumer& seen) {
            return seen.state.stream_name == want.stream && seen.state.name == want.config.durable_name;
          });
      if (have == seen_.consumers.end()) {
        Find("missing_consumer", absl::StrCat("consumer ", want.stream, " > ", want.config.durable_name),
             "does not exist", "`arcctl provision` creates it");
      } else {
        Differs(Compare(want.stream, want.config, have->state.config));
      }
    }
    for (const ObservedConsumer& consumer : seen_.consumers) {
      const Consumer* want = FindWanted(topology_, consumer.state);
      AckWait(consumer, want);
      // What others made on streams of their own is their business.
      const bool ours =
          std::any_of(topology_.streams.begin(), topology_.streams.end(),
                      [&](const StreamConfig& stream) { return stream.name == consumer.state.stream_name; });
      if (!ours || IsBucket(consumer.state.stream_name)) continue;
      Pulls(consumer, want);
      Stuck(consumer);
      if (consumer.state.num_pending > options_.max_lag) {
        Find(
            "lag", ConsumerObject(consumer.state),
            absl::StrCat(Count(consumer.state.num_pending, "message"), " wait, more than ", options_.max_lag),
            absl::StrCat("start more copies of ", AgentOf(want),
                         ", or see what slows it down: `arcctl status`"));
      }
    }
  }

  bool IsBucket(absl::string_view stream) const { return absl::StartsWith(stream, BucketStream("")); }

  static std::string AgentOf(const Consumer* want) {
    return want == nullptr ? "the consumer's owner" : absl::StrCat("the agent ", want->agent);
  }

  int64_t CopiesOf(absl::string_view service) const {
    return std::count_if(seen_.services.begin(), seen_.services.end(),
                         [&](const ServiceStats& stats) { return stats.name == service; });
  }

  void AckWait(const ObservedConsumer& consumer, const Consumer* want) {
    if (want != nullptr && want->in_progress_acks) return;
    const StreamInfo* stream = FindStream(seen_, consumer.state.stream_name);
    if (stream == nullptr) return;
    const absl::Duration ack_wait = absl::Nanoseconds(consumer.state.config.ack_wait);
    for (const std::string& request : RequestSubjects()) {
      const bool captured =
          std::any_of(stream->config.subjects.begin(), stream->config.subjects.end(),
                      [&](const std::string& subject) { return subjects::Overlap(subject, request); });
      const absl::Duration timeout = bus::DefaultTimeout(request);
      if (!captured || !subjects::Overlap(FilterOf(consumer.state), request) || ack_wait >= timeout) continue;
      Find("ack_wait", ConsumerObject(consumer.state),
           absl::StrCat("ack_wait ", absl::FormatDuration(ack_wait), " is shorter than the ",
                        absl::FormatDuration(timeout), " that a request on ", request,
                        " may take, and its owner is not known to send in-progress acknowledgements: work "
                        "that is still going on is handed out again"),
           "raise ack_wait, or send in-progress acknowledgements and say so in deploy/streams.json "
           "(in_progress_acks)");
      return;
    }
  }

  void Pulls(const ObservedConsumer& consumer, const Consumer* want) {
    if (consumer.pulled || !consumer.state.config.deliver_subject.empty()) return;
    const std::string waiting =
        consumer.state.num_pending + consumer.state.num_ack_pending == 0
            ? ""
            : absl::StrCat(" (", Count(consumer.state.num_pending, "message"), " wait, ",
                           consumer.state.num_ack_pending, " are not acknowledged)");
    std::string advice;
    if (want == nullptr) {
      advice =
          absl::StrCat("delete it if it is not needed: on a work queue it keeps messages that nobody takes");
    } else if (CopiesOf(want->agent) == 0) {
      advice = absl::StrCat("start the agent ", want->agent, ": no copy of it runs");
    } else {
      advice = absl::StrCat(Count(CopiesOf(want->agent), "copy"), " of ", want->agent,
                            " run but none pulls from it: see its log and /healthz, restart it");
    }
    Find("nobody_pulls", ConsumerObject(consumer.state), absl::StrCat("nobody pulls from it", waiting),
         advice);
  }

  void Stuck(const ObservedConsumer& consumer) {
    if (!consumer.oldest_age.has_value()) return;
    const absl::Duration limit = std::max(kMinStuck, 2 * absl::Nanoseconds(consumer.state.config.ack_wait));
    if (*consumer.oldest_age < limit) return;
    const bool delivered =
        consumer.oldest_sequence <= static_cast<uint64_t>(consumer.state.delivered.stream_seq);
    // What waits because nobody pulls is said by nobody_pulls.
    if (!delivered && !consumer.pulled) return;
    Find("stuck", ConsumerObject(consumer.state),
         absl::StrCat("message ", consumer.oldest_sequence, " on ", consumer.oldest_subject, " is ",
                      Seconds(*consumer.oldest_age), " old and ",
                      delivered ? "was delivered but never acknowledged" : "was never delivered"),
         "see the agent's log around that time; restarting the agent has it delivered again while deliveries "
         "are left");
  }

  void Overlaps() {
    std::vector<Consumer> consumers;
    for (const ObservedConsumer& seen : seen_.consumers) {
      // Buckets are watched by as many as like to.
      if (IsBucket(seen.state.stream_name)) continue;
      Consumer consumer;
      consumer.stream = seen.state.stream_name;
      consumer.config = seen.state.config;
      consumer.config.durable_name = seen.state.name;
      consumers.push_back(std::move(consumer));
    }
    for (const Overlap& overlap : FindOverlaps(consumers)) {
      const StreamInfo* stream = FindStream(seen_, overlap.stream);
      const bool queue = stream != nullptr && stream->config.retention == "workqueue";
      // Another reader of the events, foreign or another agent, takes nothing away from anybody.
      const absl::string_view first = AgentOf(overlap.stream, overlap.first);
      if (!queue && (first.empty() || first != AgentOf(overlap.stream, overlap.second))) continue;
      Find("overlapping_filters", absl::StrCat("stream ", overlap.stream),
           absl::StrCat("consumers ", overlap.first, " (", overlap.first_filter, ") and ", overlap.second,
                        " (", overlap.second_filter, ") take the same subjects, so that ",
                        queue ? "each gets only a part of them" : "messages are handled twice"),
           "delete the one that does not belong there, or give it a filter of its own");
    }
  }

  // Empty: the topology has no such consumer.
  absl::string_view AgentOf(absl::string_view stream, absl::string_view durable) const {
    for (const Consumer& consumer : topology_.consumers) {
      if (consumer.stream == stream && consumer.config.durable_name == durable) return consumer.agent;
    }
    return "";
  }

  void Unclaimed() {
    for (const auto& [stream, queued] : seen_.queued) {
      for (const auto& [subject, count] : queued) {
        const bool claimed = std::any_of(seen_.consumers.begin(), seen_.consumers.end(),
                                         [&, s = stream, t = subject](const ObservedConsumer& consumer) {
                                           return consumer.state.stream_name == s &&
                                                  subjects::Matches(FilterOf(consumer.state), t);
                                         });
        if (claimed) continue;
        Find("unclaimed", absl::StrCat("stream ", stream),
             absl::StrCat(Count(count, "message"), " on ", subject, " that no consumer takes"),
             "a kiosk with subjects of its own needs `arcctl provision --kiosk_id K`; otherwise the sender "
             "uses "
             "a wrong subject, and the message expires");
      }
    }
  }

  // One finding a node: it has a copy of nearly everything.
  void Replicas() {
    std::map<std::string, int64_t> away;
    for (const StreamInfo& stream : seen_.streams) {
      for (const Replica& replica : stream.cluster.replicas) {
        const bool silent = !replica.current && absl::Nanoseconds(replica.active) > kMaxSilence;
        if (replica.offline || silent) ++away[replica.name];
      }
    }
    for (const auto& [node, streams] : away) {
      Find("node_away", absl::StrCat("node ", node),
           absl::StrCat("does not answer, and has a copy of ", Count(streams, "stream")),
           "start it again, or mend the network to it: with half of the nodes gone nothing is stored");
    }
  }

  void Swollen() {
    for (const StreamInfo& stream : seen_.streams) {
      if (stream.config.retention != "workqueue" || stream.state.bytes < kSwollenBytes) continue;
      Find(
          "swollen", absl::StrCat("stream ", stream.config.name),
          absl::StrCat("holds ", stream.state.bytes >> 20, " MB in ", Count(stream.state.messages, "message"),
                       "; once the server's memory for streams is used up it takes in no command"),
          absl::StrCat(
              "see who sends them (the findings above name their subjects); they expire by themselves, or "
              "`nats stream purge ",
              stream.config.name, " --subject SUBJECT` deletes them"));
    }
  }

  void DeadLetters() {
    const StreamInfo* stream = FindStream(seen_, subjects::kDeadLetterStream);
    if (stream == nullptr || stream->state.messages == 0) return;
    Find("dead_letters", absl::StrCat("stream ", subjects::kDeadLetterStream),
         absl::StrCat(Count(stream->state.messages, "dead letter"), " wait"),
         "`arcctl deadletter list` shows them, `deadletter replay SEQ` sends one again, `deadletter purge` "
         "deletes them");
  }

  const Topology topology_;
  const Observation& seen_;
  const DoctorOptions& options_;
  Diagnosis diagnosis_;
};

// Watches consumers until each has shown that somebody pulls from it, or `options.watch_pulls` is over.
absl::Status WatchPulls(bus::Bus& bus, JetStreamApi& api, std::vector<ObservedConsumer>& consumers,
                        const DoctorOptions& options) {
  Clock& clock = bus.clock();
  const absl::Time end = clock.Now() + options.watch_pulls;
  std::mutex mutex;
  std::condition_variable never;
  for (;;) {
    bool all = true;
    for (ObservedConsumer& consumer : consumers) {
      if (consumer.pulled || !consumer.state.config.deliver_subject.empty()) continue;
      absl::StatusOr<ConsumerState> now = api.GetConsumer(consumer.state.stream_name, consumer.state.name);
      if (absl::IsNotFound(now.status())) {
        // It was somebody's for a moment.
        consumer.pulled = true;
        continue;
      }
      RETURN_IF_ERROR(now.status());
      consumer.pulled = now->num_waiting > 0 ||
                        now->delivered.consumer_seq > consumer.state.delivered.consumer_seq ||
                        now->ack_floor.consumer_seq > consumer.state.ack_floor.consumer_seq;
      all = all && consumer.pulled;
    }
    if (all || clock.Now() >= end) return absl::OkStatus();
    std::unique_lock<std::mutex> lock(mutex);
    clock.WaitUntil(lock, never, std::min(end, clock.Now() + kPollEvery), [] { return false; });
  }
}

}  // namespace

absl::StatusOr<Observation> Observe(bus::Bus& bus, const Topology& topology, const DoctorOptions& options) {
  JetStreamApi api(bus, options.timeout);
  Observation observation;
  ASSIGN_OR_RETURN(observation.streams, api.ListStreams());
  ASSIGN_OR_RETURN(observation.services, ListServices(bus, options.timeout));
  std::set<std::string> watched;
  for (const StreamConfig& stream : topology.streams) {
    if (std::find(topology.buckets.begin(), topology.buckets.end(),
                  stream.name.substr(std::min(stream.name.size(), BucketStream("").size()))) ==
        topology.buckets.end()) {
      watched.insert(stream.name);
    }
  }
  std::vector<ObservedConsumer> ours;
  for (const StreamInfo& stream : observation.streams) {
    ASSIGN_OR_RETURN(std::vector<ConsumerState> consumers, api.ListConsumers(stream.config.name));
    const bool queue = stream.config.retention == "workqueue";
    if (queue) {
      ASSIGN_OR_RETURN(observation.queued[stream.config.name], api.CountBySubject(stream.config.name));
    }
    for (ConsumerState& state : consumers) {
      ObservedConsumer consumer;
      consumer.state = std::move(state);
      consumer.pulled = consumer.state.num_waiting > 0;
      // A work queue keeps only what is not done; of another stream the acknowledged beginning is done.
      if (queue || consumer.state.num_pending + consumer.state.num_ack_pending > 0) {
        const uint64_t from = queue ? 1 : static_cast<uint64_t>(consumer.state.ack_floor.stream_seq) + 1;
        const absl::StatusOr<bus::StoredMessage> oldest =
            bus.NextStored(stream.config.name, FilterOf(consumer.state), from);
        if (oldest.ok()) {
          consumer.oldest_age = bus.clock().Now() - oldest->stored_at;
          consumer.oldest_sequence = oldest->sequence;
          consumer.oldest_subject = oldest->message.subject;
        } else if (!absl::IsNotFound(oldest.status())) {
          return oldest.status();
        }
      }
      (watched.count(stream.config.name) > 0 ? ours : observation.consumers).push_back(std::move(consumer));
    }
  }
  RETURN_IF_ERROR(WatchPulls(bus, api, ours, options));
  for (ObservedConsumer& consumer : ours) observation.consumers.push_back(std::move(consumer));
  return observation;
}

Diagnosis Judge(const Topology& topology, const Observation& observation, const DoctorOptions& options) {
  return Judgement(topology, observation, options).Run();
}

absl::StatusOr<Diagnosis> Diagnose(bus::Bus& bus, const Topology& topology, const DoctorOptions& options) {
  ASSIGN_OR_RETURN(const Observation observation, Observe(bus, topology, options));
  return Judge(topology, observation, options);
}

}  // namespace arc::provision
