// The bus as data: which streams, buckets and durable consumers there are (kiosk specification, sections 4
// and 9; design, section 3.2), read from deploy/streams.json, compared with what a server has.
//
// The file holds, with durations such as "24h", "5m" or "30s":
//   streams          name, subjects, retention, storage, replicas; max_age, max_msgs, max_bytes, no_ack, ...
//   buckets          name, history, ttl, max_bytes: key-value buckets, which are streams named KV_<name>
//   consumers        stream, agent, durable_name, filter_subject, ack_wait, max_deliver, ...; with
//                    deliver_subject the server sends there what an agent would pull
//   kiosk_consumers  the same for each kiosk with subjects of its own: {kiosk_id} stands for its id
//
// Values and pure functions, thread-safe.
#ifndef ARC_COMMON_PROVISION_TOPOLOGY_H_
#define ARC_COMMON_PROVISION_TOPOLOGY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/json/json.h"

namespace arc::provision {

// A stream's configuration as the JetStream API writes it; durations are nanoseconds. The defaults are the
// server's own.
struct StreamConfig {
  std::string name;
  std::string description;
  std::vector<std::string> subjects;
  std::string retention = "limits";   // limits, workqueue or interest
  std::string storage = "file";       // file or memory
  std::string discard = "old";        // old or new: what goes when the stream is full
  int64_t max_age = 0;                // 0: for ever
  int64_t max_msgs = -1;              // here and below -1: no limit
  int64_t max_bytes = -1;             // the server keeps this much of its storage for the stream
  int64_t max_msgs_per_subject = -1;  // the history of a bucket's key
  int64_t max_msg_size = -1;
  int64_t max_consumers = -1;
  int64_t num_replicas = 1;
  int64_t duplicate_window = 120000000000;  // how long a Nats-Msg-Id is remembered
  bool no_ack = false;
  bool allow_rollup_hdrs = false;
  bool deny_delete = false;
  bool deny_purge = false;
  bool allow_direct = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Optional("description", s.description);
    v.Optional("subjects", s.subjects);
    v.Optional("retention", s.retention);
    v.Optional("storage", s.storage);
    v.Optional("discard", s.discard);
    v.Optional("max_age", s.max_age);
    v.Optional("max_msgs", s.max_msgs);
    v.Optional("max_bytes", s.max_bytes);
    v.Optional("max_msgs_per_subject", s.max_msgs_per_subject);
    v.Optional("max_msg_size", s.max_msg_size);
    v.Optional("max_consumers", s.max_consumers);
    v.Optional("num_replicas", s.num_replicas);
    v.Optional("duplicate_window", s.duplicate_window);
    v.Optional("no_ack", s.no_ack);
    v.Optional("allow_rollup_hdrs", s.allow_rollup_hdrs);
    v.Optional("deny_delete", s.deny_delete);
    v.Optional("deny_purge", s.deny_purge);
    v.Optional("allow_direct", s.allow_direct);
  }
};

// A durable consumer's configuration as the JetStream API writes it. All have explicit acknowledgement and
// begin with the oldest message; agents pull from theirs.
struct ConsumerConfig {
  std::string durable_name;
  std::string deliver_policy = "all";
  std::string ack_policy = "explicit";
  std::string replay_policy = "instant";
  std::string filter_subject;   // empty: all of the stream's
  std::string deliver_subject;  // empty: a pull consumer
  int64_t ack_wait = 30000000000;
  int64_t max_deliver = -1;
  int64_t max_ack_pending = 1000;
  int64_t max_waiting = 512;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("durable_name", s.durable_name);
    v.Optional("deliver_policy", s.deliver_policy);
    v.Optional("ack_policy", s.ack_policy);
    v.Optional("replay_policy", s.replay_policy);
    v.Optional("filter_subject", s.filter_subject);
    v.Optional("deliver_subject", s.deliver_subject);
    v.Optional("ack_wait", s.ack_wait);
    v.Optional("max_deliver", s.max_deliver);
    v.Optional("max_ack_pending", s.max_ack_pending);
    v.Optional("max_waiting", s.max_waiting);
  }
};

struct Consumer {
  std::string stream;
  std::string agent;              // the ADR-32 service that pulls from it
  bool in_progress_acks = false;  // that service says "still working" before ack_wait is over
  ConsumerConfig config;
};

struct Topology {
  std::vector<StreamConfig> streams;  // those of buckets included, behind the others
  std::vector<std::string> buckets;
  std::vector<Consumer> consumers;
  std::vector<Consumer> kiosk_consumers;  // templates, see ForKiosk()
};

// A field that a server has otherwise than the file says; `want` and `have` are for reading.
struct Difference {
  std::string object;  // "stream KIOSK_EVENTS", "consumer KIOSK_COMMANDS > menu-agent-consumer"
  std::string field;
  std::string want;
  std::string have;

  // "stream KIOSK_EVENTS: max_age is 12h, should be 24h"
  std::string ToString() const;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("object", s.object);
    v.Required("field", s.field);
    v.Required("want", s.want);
    v.Required("have", s.have);
  }
};

// The topology in `text`. InvalidArgument names the field: an unknown one included, for a misspelt limit is
// no limit. Checked beyond types: names that stand once, consumers of streams that exist, filters that their
// stream captures and that overlap with none of a work queue's others, elsewhere with none of the same agent.
absl::StatusOr<Topology> ParseTopology(absl::string_view text);

// The text of deploy/streams.json that this binary was built with.
absl::string_view DefaultTopologyText();

// `topology` with the consumers of a kiosk that has subjects of its own (design, section 3.7).
// InvalidArgument: `kiosk_id` cannot be part of a subject.
absl::StatusOr<Topology> ForKiosk(Topology topology, absl::string_view kiosk_id);

// `topology` with so many copies of each stream and bucket, 1 to 5, each on a server of its own.
Topology WithReplicas(Topology topology, int64_t replicas);

// How a server's configuration differs from the wanted one. Descriptions are not compared, and more replicas
// than wanted are none: they are a cluster's (`arcctl provision --replicas`).
std::vector<Difference> Compare(const StreamConfig& want, const StreamConfig& have);
std::vector<Difference> Compare(absl::string_view stream, const ConsumerConfig& want,
                                const ConsumerConfig& have);

struct Overlap {
  std::string stream;
  std::string first;  // durable names
  std::string second;
  std::string first_filter;
  std::string second_filter;
};

// Pairs of consumers of one stream whose filters share a subject: on a work queue a message would go to
// either of them, on another stream to both.
std::vector<Overlap> FindOverlaps(const std::vector<Consumer>& consumers);

// The stream of a key-value bucket, and its subjects' prefix.
std::string BucketStream(absl::string_view bucket);

// "24h", "5m", "30s", "0": the shortest exact way to say it.
std::string FormatNanoseconds(int64_t nanoseconds);

}  // namespace arc::provision

#endif  // ARC_COMMON_PROVISION_TOPOLOGY_H_
