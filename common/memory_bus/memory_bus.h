// A bus inside one process, for unit tests of agents: what NatsBus and nats-server do together, as far as an
// agent can see it, on any Clock and without a network.
//
//   ManualClock clock;
//   bus::MemoryBus bus(clock);
//   bus.ProvisionDefault();
//   ... start what is tested, publish ...
//   bus.RunUntilIdle();                       // runs every callback that is due, here, in order
//   clock.Advance(absl::Seconds(2));          // makes timeouts and redeliveries due
//   bus.RunUntilIdle();
//   EXPECT_THAT(bus.Published("kiosk.ui.>"), ...);
//
// Nothing calls back while the caller is inside a method: callbacks are queued, and run in the order in which
// they were queued by RunUntilIdle(), RunUntil(), or the thread of RunInBackground(). What blocks on an
// answer of the bus (CallAndWait) needs RunInBackground().
//
// Faithful to nats-server: wildcards, queue groups, no-responders, stream acks (unless `no_ack`), workqueue
// removal, redelivery after ack_wait and nak, max_deliver with its advisory, Nats-Msg-Id, revisions, and a
// reconnect buffer for what is published while disconnected. A delivery that is held, by a consumer that is
// alive, counts as in progress. Not modelled: limits of streams, Urgency. Thread-safe.
#ifndef ARC_COMMON_MEMORY_BUS_MEMORY_BUS_H_
#define ARC_COMMON_MEMORY_BUS_MEMORY_BUS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/clock/clock.h"

namespace arc::bus {

class MemoryBus : public Bus {
 public:
  struct StreamOptions {
    bool work_queue = false;  // a message is removed when it is acked
    bool no_ack = false;      // storing a message is not answered to its reply subject
  };

  explicit MemoryBus(Clock& clock);
  ~MemoryBus() override;

  // What `arcctl provision` does on a server. Adding what exists already changes nothing.
  void AddStream(absl::string_view name, const std::vector<std::string>& subjects,
                 StreamOptions options = {false, false});
  void AddConsumer(absl::string_view stream, absl::string_view durable, absl::string_view filter,
                   absl::Duration ack_wait, int max_deliver);
  void AddBucket(absl::string_view bucket);
  // The streams, consumers and buckets of deploy/streams.json.
  void ProvisionDefault();

  // Answers $SRV.PING.<service>, so that a Request() with that service waits for its answer until its
  // deadline.
  void AddService(absl::string_view service);

  // Runs queued callbacks on this thread until there are none. Within a callback it does nothing.
  void RunUntilIdle();
  // The same, and waits for what other threads do with the bus, until done() holds; false when it does not
  // within `limit` of real time. done() is asked after each callback and each use of the bus.
  bool RunUntil(const std::function<bool()>& done, absl::Duration limit = absl::Seconds(10));
  // From now on a thread of the bus runs the callbacks. RunUntilIdle() then waits until there are none.
  void RunInBackground();

  // Cuts and restores the connection. While it is cut, core messages and acks are kept and sent when it is
  // back, everything that needs an answer of the server fails with Unavailable or waits.
  void SetConnected(bool connected);

  // How a key-value call fails: before it did anything, or after its write although it reports an error.
  enum class Fault { kBefore, kAfter };
  // Makes the next `count` key-value calls, of any bucket, end in Unavailable.
  void FailKeyValue(int count, Fault fault = Fault::kBefore);
  // Makes the next `count` attempts to store an event fail; PublishEvent() tries again every 250 ms.
  void FailPublishEvent(int count);
  // Makes the next `count` ends of deliveries (ack, nak, term) be lost on their way to the server.
  void LoseAcks(int count);

  // Every message published so far whose subject matches `filter`, in order, replies and requests included.
  std::vector<Message> Published(absl::string_view filter) const;
  void ClearPublished();
  // What `stream` holds now, in order.
  std::vector<StoredMessage> Stored(absl::string_view stream) const;

  Clock& clock() override;
  bool connected() const override;
  absl::Status Publish(const Message& message, Urgency urgency = Urgency::kNow) override;
  void PublishEvent(Message message, absl::Duration timeout, std::function<void(absl::Status)> done) override;
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(absl::string_view subject, absl::string_view queue,
                                                          MessageCallback callback) override;
  void Request(Message message, const RequestOptions& options, ReplyCallback done) override;
  void CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) override;
  std::unique_ptr<Consumer> Consume(const ConsumeOptions& options, DeliveryCallback callback) override;
  absl::StatusOr<ConsumerInfo> GetConsumerInfo(absl::string_view stream, absl::string_view durable) override;
  absl::StatusOr<StoredMessage> NextStored(absl::string_view stream, absl::string_view filter,
                                           uint64_t from) override;
  absl::StatusOr<StoredMessage> GetStored(absl::string_view stream, uint64_t sequence) override;
  absl::Status DeleteStored(absl::string_view stream, uint64_t sequence) override;
  absl::StatusOr<std::unique_ptr<KeyValue>> OpenBucket(absl::string_view bucket) override;
  std::unique_ptr<Subscription> OnConnectionChange(std::function<void(bool connected)> callback) override;
  uint64_t reconnects() const override;

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace arc::bus

#endif  // ARC_COMMON_MEMORY_BUS_MEMORY_BUS_H_
