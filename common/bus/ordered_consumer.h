// Reading events in the order of their stream, each of them, however often either side restarts.
//
// A durable pull consumer alone redelivers out of order: what a dead process had been given comes again only
// after ack_wait, behind newer messages, and a delivery that was lost with a connection likewise. This reader
// sees such gaps (at its start from the consumer's state, later from the consumer's own sequence numbers),
// fetches the missing messages from the stream by sequence, and hands everything on in order. What comes
// again later is acked and dropped.
#ifndef ARC_COMMON_BUS_ORDERED_CONSUMER_H_
#define ARC_COMMON_BUS_ORDERED_CONSUMER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/bus/bus.h"

namespace arc::bus {

struct StreamEvent {
  Message message;
  uint64_t sequence = 0;  // of the stream
  absl::Time stored_at;
  // To be called once, when the event has had its effect (or became a dead letter): acks it.
  std::function<void()> done;
};

class OrderedConsumer {
 public:
  virtual ~OrderedConsumer() = default;
  virtual bool bound() const = 0;
  virtual int64_t lag() const = 0;
  // Hands on nothing more. Events without done() are redelivered to the next reader.
  virtual void Stop() = 0;
};

// `callback` gets the events in order, one at a time, on one thread, and must not block for long.
std::unique_ptr<OrderedConsumer> ConsumeInOrder(Bus& bus, const ConsumeOptions& options,
                                                std::function<void(StreamEvent)> callback);

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_ORDERED_CONSUMER_H_
