// The bus as agents see it: publish, subscribe, durable consumers, requests, key-value buckets (kiosk
// specification, sections 3, 4, 9, 10; design, sections 3.2 to 3.4). NatsBus speaks to nats-server; MemoryBus
// is for unit tests. Most agents need only what is built on top: bus/command_server.h (answering commands),
// bus/call.h (sending them), bus/ordered_consumer.h (reading events in order).
//
// All classes are thread-safe. Callbacks run on threads of the bus; unless said otherwise they must not block
// for long, and must not destroy the object that calls them. A Bus must outlive everything made from it.
#ifndef ARC_COMMON_BUS_BUS_H_
#define ARC_COMMON_BUS_BUS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace arc::bus {

// NATS message headers. Names are compared exactly; the first value of a name counts.
class Headers {
 public:
  void Set(absl::string_view name, absl::string_view value);
  std::optional<std::string> Get(absl::string_view name) const;
  bool Has(absl::string_view name) const { return Get(name).has_value(); }
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }
  bool empty() const { return fields_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Message {
  std::string subject;
  std::string reply;  // empty: nobody waits for an answer on the core path
  Headers headers;
  std::string body;
};

// Ends when it is destroyed; after that its callback does not run and will not run.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // Asks for nothing new, lets the callback finish what has come already, and returns after that or after
  // `limit`.
  virtual void Drain(absl::Duration limit) { static_cast<void>(limit); }
};

// A message taken from a durable consumer; exactly one of Ack, Nak and Term ends it. All are no-ops
// afterwards.
class Delivery {
 public:
  virtual ~Delivery() = default;
  virtual const Message& message() const = 0;
  virtual uint64_t stream_sequence() const = 0;
  virtual uint64_t consumer_sequence() const = 0;  // counts this durable's deliveries, without gaps
  virtual int deliveries() const = 0;              // 1 for the first
  virtual bool last_delivery() const = 0;          // max_deliver is reached with this one
  virtual absl::Time stored_at() const = 0;
  virtual void Ack() = 0;
  // Publishes `reply`, then acks, on one connection, so that nothing is acked unanswered.
  virtual void AckWithReply(const Message& reply) = 0;
  virtual void Nak(absl::Duration delay) = 0;
  virtual void Term() = 0;
  // Restarts the ack_wait: this delivery is still worked on. The consumer sends these by itself for every
  // unfinished delivery, each half of ack_wait.
  virtual void InProgress() = 0;
};

struct ConsumerInfo {
  std::string filter_subject;
  absl::Duration ack_wait;
  int max_deliver = -1;
  uint64_t ack_floor_stream_seq = 0;
  uint64_t delivered_stream_seq = 0;
  int64_t num_ack_pending = 0;
  int64_t num_pending = 0;
  int64_t num_waiting = 0;
};

struct ConsumeOptions {
  std::string stream;
  std::string durable;
  int max_in_flight = 256;  // most deliveries asked for and not yet ended
};

// A bound durable pull consumer. Destroying it is Stop() plus waiting for running callbacks; what has not
// ended by then is not acked and will be redelivered.
class Consumer : public Subscription {
 public:
  // Whether the stream and durable exist and this consumer pulls from it now. False while disconnected.
  virtual bool bound() const = 0;
  // Pulls no more; what was delivered already still comes to the callback and may be ended.
  virtual void Stop() = 0;
  virtual int in_flight() const = 0;
  // The server's count of messages that wait, as of the latest delivery; -1 when unknown.
  virtual int64_t lag() const = 0;
};

struct StoredMessage {
  Message message;
  uint64_t sequence = 0;
  absl::Time stored_at;
};

// A key-value bucket. Calls block, at most 5 s, and end in Unavailable or DeadlineExceeded when the server
// cannot be reached. Keys: letters, digits, and -_=./ in the middle.
class KeyValue {
 public:
  struct Entry {
    std::string key;
    std::string value;  // empty when deleted
    uint64_t revision = 0;
    bool deleted = false;
  };

  virtual ~KeyValue() = default;
  virtual absl::StatusOr<Entry> Get(absl::string_view key) = 0;                              // NotFound
  virtual absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) = 0;  // its revision
  virtual absl::StatusOr<uint64_t> Create(absl::string_view key,
                                          absl::string_view value) = 0;  // AlreadyExists
  // Writes only if the key's latest revision is `revision`; Aborted otherwise.
  virtual absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                          uint64_t revision) = 0;
  virtual absl::Status Delete(absl::string_view key) = 0;  // OK when there is no such key
  // Likewise, for good. Of a bucket that keeps one value a key: of others the older values stay.
  virtual absl::Status Purge(absl::string_view key) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Keys() = 0;

  // Calls `on_entry` for every key that matches `filter` (">" for all) and then for every change, in order,
  // on one thread; `on_current` after the last of the keys that existed at the start. After every reconnect
  // all of it comes again, including `on_current`: entries must be applied idempotently, and by revision.
  // Callbacks may block.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> Watch(absl::string_view filter,
                                                              std::function<void(const Entry&)> on_entry,
                                                              std::function<void()> on_current) = 0;
};

struct RequestOptions {
  absl::Duration timeout;       // the command's deadline is now + timeout
  std::string service;          // asked with $SRV.PING after a quarter of the timeout; empty: not asked
  std::string idempotency_key;  // empty: none. A retry of a command must carry the first one's key.
};

using MessageCallback = std::function<void(Message)>;
using DeliveryCallback = std::function<void(std::shared_ptr<Delivery>)>;
using ReplyCallback = std::function<void(absl::StatusOr<Message>)>;

// How soon a message has to leave. kSoon may wait up to 1 ms in a buffer, for throughput.
enum class Urgency { kNow, kSoon };

class Bus {
 public:
  virtual ~Bus() = default;

  virtual Clock& clock() = 0;

  virtual bool connected() const = 0;

  // Publishes on the core path. OK means handed to the connection; while reconnecting it is kept and sent
  // later. InvalidArgument: the subject is malformed, or the message larger than the server takes.
  virtual absl::Status Publish(const Message& message, Urgency urgency = Urgency::kNow) = 0;

  // Stores an event in its stream, once: sets Nats-Msg-Id from the header that the caller set, and repeats
  // the publish until the stream confirms it or `timeout` is over. `done` is called exactly once.
  virtual void PublishEvent(Message message, absl::Duration timeout,
                            std::function<void(absl::Status)> done) = 0;

  // Core subscription; with a `queue` group one member gets each message. Messages come in order, one at a
  // time.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(absl::string_view subject,
                                                                  absl::string_view queue,
                                                                  MessageCallback callback) = 0;

  // Sends a command on the durable path (design, section 3.3): sets reply subject, Kiosk-Reply-To and
  // Kiosk-Deadline, and calls `done` exactly once with the first answer, or Unavailable (no such service) or
  // DeadlineExceeded.
  virtual void Request(Message message, const RequestOptions& options, ReplyCallback done) = 0;

  // Sends a plain core request and calls `done` exactly once: for the service protocol and the JetStream API.
  virtual void CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) = 0;

  // Binds to a durable pull consumer, waiting for as long as it does not exist, and delivers from it, in
  // order of delivery, one callback at a time. A callback that blocks delays the others: hand long work to an
  // executor.
  virtual std::unique_ptr<Consumer> Consume(const ConsumeOptions& options, DeliveryCallback callback) = 0;

  virtual absl::StatusOr<ConsumerInfo> GetConsumerInfo(absl::string_view stream,
                                                       absl::string_view durable) = 0;

  // The first message of `stream` with a sequence of at least `from` whose subject matches `filter`;
  // NotFound.
  virtual absl::StatusOr<StoredMessage> NextStored(absl::string_view stream, absl::string_view filter,
                                                   uint64_t from) = 0;
  virtual absl::StatusOr<StoredMessage> GetStored(absl::string_view stream, uint64_t sequence) = 0;
  virtual absl::Status DeleteStored(absl::string_view stream, uint64_t sequence) = 0;

  // NotFound when the bucket does not exist (yet).
  virtual absl::StatusOr<std::unique_ptr<KeyValue>> OpenBucket(absl::string_view bucket) = 0;

  // Calls `callback` with true after every (re)connect and with false after every disconnect.
  virtual std::unique_ptr<Subscription> OnConnectionChange(std::function<void(bool connected)> callback) = 0;

  virtual uint64_t reconnects() const = 0;
};

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_BUS_H_
