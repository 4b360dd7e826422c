// What provisioning and diagnosis need of the JetStream API, as JSON over plain requests. Every call blocks
// until the answer, at most `timeout`; not to be called on a thread of the bus. Thread-safe.
//
// Errors: NotFound (no such stream or consumer), AlreadyExists (it exists with another configuration),
// Unavailable (not connected, or the server has no JetStream), DeadlineExceeded, InvalidArgument (refused).
#ifndef ARC_COMMON_PROVISION_JETSTREAM_API_H_
#define ARC_COMMON_PROVISION_JETSTREAM_API_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/json/json.h"
#include "common/provision/topology.h"

namespace arc::provision {

struct StreamState {
  int64_t messages = 0;
  int64_t bytes = 0;
  int64_t first_seq = 0;
  int64_t last_seq = 0;
  std::string first_ts;  // RFC 3339; year 1 when the stream is empty

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("messages", s.messages);
    v.Optional("bytes", s.bytes);
    v.Optional("first_seq", s.first_seq);
    v.Optional("last_seq", s.last_seq);
    v.Optional("first_ts", s.first_ts);
  }
};

// A node of a cluster that has a copy of a stream and does not lead it.
struct Replica {
  std::string name;
  bool current = false;
  bool offline = false;
  int64_t active = 0;  // ns since the leader heard of it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Optional("current", s.current);
    v.Optional("offline", s.offline);
    v.Optional("active", s.active);
  }
};

struct ClusterInfo {
  std::string leader;
  std::vector<Replica> replicas;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("leader", s.leader);
    v.Optional("replicas", s.replicas);
  }
};

struct StreamInfo {
  StreamConfig config;
  StreamState state;
  ClusterInfo cluster;  // nobody, where there is one node

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("config", s.config);
    v.Optional("state", s.state);
    v.Optional("cluster", s.cluster);
  }
};

struct SequencePair {
  int64_t consumer_seq = 0;
  int64_t stream_seq = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("consumer_seq", s.consumer_seq);
    v.Optional("stream_seq", s.stream_seq);
  }
};

struct ConsumerState {
  std::string stream_name;
  std::string name;
  ConsumerConfig config;
  SequencePair delivered;
  SequencePair ack_floor;
  int64_t num_ack_pending = 0;  // delivered, not yet acknowledged
  int64_t num_redelivered = 0;
  int64_t num_waiting = 0;  // pull requests that wait for messages
  int64_t num_pending = 0;  // messages not yet delivered

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("stream_name", s.stream_name);
    v.Required("name", s.name);
    v.Required("config", s.config);
    v.Optional("delivered", s.delivered);
    v.Optional("ack_floor", s.ack_floor);
    v.Optional("num_ack_pending", s.num_ack_pending);
    v.Optional("num_redelivered", s.num_redelivered);
    v.Optional("num_waiting", s.num_waiting);
    v.Optional("num_pending", s.num_pending);
  }
};

class JetStreamApi {
 public:
  explicit JetStreamApi(bus::Bus& bus, absl::Duration timeout = absl::Seconds(5))
      : bus_(bus), timeout_(timeout) {}

  absl::StatusOr<std::vector<StreamInfo>> ListStreams();
  absl::StatusOr<StreamInfo> GetStream(absl::string_view name);
  absl::Status CreateStream(const StreamConfig& config);
  absl::Status UpdateStream(const StreamConfig& config);
  absl::Status DeleteStream(absl::string_view name);
  // Deletes every message of the stream; how many there were.
  absl::StatusOr<int64_t> PurgeStream(absl::string_view name);

  // How many messages the stream holds of each subject.
  absl::StatusOr<std::map<std::string, int64_t>> CountBySubject(absl::string_view name);

  absl::StatusOr<std::vector<ConsumerState>> ListConsumers(absl::string_view stream);
  absl::StatusOr<ConsumerState> GetConsumer(absl::string_view stream, absl::string_view durable);
  // Creates the durable; on one that exists nats-server 2.9 changes what can be changed.
  absl::Status PutConsumer(absl::string_view stream, const ConsumerConfig& config);
  absl::Status DeleteConsumer(absl::string_view stream, absl::string_view durable);

 private:
  absl::StatusOr<json::Document> Request(const std::string& api, const std::string& body);

  bus::Bus& bus_;
  const absl::Duration timeout_;
};

}  // namespace arc::provision

#endif  // ARC_COMMON_PROVISION_JETSTREAM_API_H_
