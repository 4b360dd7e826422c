// Dead letters (design, section 3.5): what could not be handled, kept with everything needed to see why and
// to send it again. Thread-safe.
#ifndef ARC_COMMON_BUS_DEAD_LETTER_H_
#define ARC_COMMON_BUS_DEAD_LETTER_H_

#include <functional>
#include <string>

#include "common/bus/bus.h"

namespace arc::bus {

struct DeadLetterSource {
  std::string agent;        // heartbeat name of who gives up
  std::string stream;       // empty: the message never was in a stream
  std::string consumer;     // the durable's name
  uint64_t stream_seq = 0;  // 0: unknown
  int64_t deliveries = 0;
};

// Stores `message` under system.deadletter.<stream>.<consumer>, or system.deadletter.core.<agent>. What
// does not fit into one message is cut and marked: header values, then headers, then the body. So storing
// never fails because of what the message is made of, and what is stored can be read. `done` is called once,
// when the stream has it or could not be reached.
void PublishDeadLetter(Bus& bus, const DeadLetterSource& source, const Message& message,
                       const absl::Status& error, std::function<void(absl::Status)> done);

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_DEAD_LETTER_H_
