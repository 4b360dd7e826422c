// Answering commands on both paths (design, sections 3.3 to 3.5): the durable one (pulled from
// KIOSK_COMMANDS, answered to Kiosk-Reply-To, then acked) and the plain one (core request and reply). The
// header Kiosk-Reply-To decides.
//
// What becomes of a delivery (the table of section 3.4; "outcome" is a status for which arc::IsOutcome()
// holds):
//
//   handler says                                     reply            delivery
//   OK                                               success          ack
//   outcome (MENU_NOT_FOUND, PAYMENT_DECLINED, ...)  error            ack
//   InvalidArgument                                  error            dead letter, term
//   Unavailable, DeadlineExceeded, ResourceExhausted none until the   nak with delay; on the last delivery:
//   anything else                                    last delivery    error reply, dead letter, term
//   (expired: Kiosk-Deadline has passed)             none             ack, counted
//                                                    (plain: TIMEOUT)
//
// A nak whose delay would end behind the deadline counts as the last delivery. What ran out of deliveries
// without an end (its agent died) is found through the server's MAX_DELIVERIES advisory, and by looking at
// the stream now and then for what an advisory that nobody heard has left: answered with INTERNAL, made a
// dead letter, deleted; only deleted when it is this object that ended it, and the server lost the ack (a
// node of a cluster that died). A reply subject that is not an inbox (one of the fleet's own subjects, or
// $JS...) is refused as InvalidArgument: answered to the core reply subject, if that is one.
//
// On the plain path every request gets its reply at once; what is invalid and asks for no reply becomes a
// dead letter.
#ifndef ARC_COMMON_BUS_COMMAND_SERVER_H_
#define ARC_COMMON_BUS_COMMAND_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bus/bus.h"
#include "common/bus/executor.h"
#include "common/envelope/envelope.h"

namespace arc::bus {

// What a handler may know of the message besides its payload.
struct RequestContext {
  std::string subject;  // without kiosk suffix, aliases resolved: one of arc::subjects
  std::string msg_id;
  std::string session_id;
  std::string trace_id;
  std::string kiosk_id;  // of the subject's suffix, else of the header Kiosk-Id; empty: the default kiosk
  bool kiosk_in_subject = false;       // of the suffix: no other kiosk may be meant
  std::string idempotency_key;         // empty: none
  std::optional<absl::Time> deadline;  // Kiosk-Deadline; none on the plain path unless the header is there
  int deliveries = 1;                  // more than 1: an earlier attempt may have done some of the work
};

// kInline runs on the consumer's thread: for what never blocks. kPool runs on a thread of its own.
enum class Execution { kInline, kPool };

struct CommandStats {
  uint64_t requests = 0;
  uint64_t errors = 0;  // error replies
  std::string last_error;
  absl::Duration processing_time;
};

// Observers for metrics; called on the thread of the handler. `action` is the subject's last token.
struct CommandObserver {
  std::function<void(absl::string_view action, absl::Duration latency, bool ok)> on_handled;
  std::function<void(absl::string_view action)> on_expired;
  std::function<void(absl::string_view action)> on_dead_letter;
  std::function<void(absl::string_view action)> on_delivery;
};

// How often a server looks for what ran out of deliveries unheard, and how old it must be: older than any
// agent works on a command.
struct SweepOptions {
  absl::Duration interval = absl::Seconds(30);
  absl::Duration stuck_after = absl::Seconds(120);
};

// Handlers of kInline run on at most two threads at once (one a path), those of kPool on many: they must be
// thread-safe.
class CommandServer {
 public:
  // Takes the payload and answers with the reply's payload as JSON text.
  using Handler =
      std::function<absl::StatusOr<std::string>(const json::Node& payload, const RequestContext&)>;

  // `service` is the ADR-32 name ("menu"), used as queue group; `agent` the heartbeat name ("arc-menu").
  CommandServer(Bus& bus, Executor& executor, std::string service, std::string agent,
                CommandObserver observer = {}, SweepOptions sweep = {});
  ~CommandServer();

  // Registers a handler for `subject` (one of arc::subjects, without suffix). Before Start().
  void Handle(absl::string_view subject, Execution execution, Handler handler);

  template <class Request, class Response>
  void Handle(absl::string_view subject, Execution execution,
              std::function<absl::StatusOr<Response>(const Request&, const RequestContext&)> handler) {
    Handle(subject, execution,
           [handler = std::move(handler)](const json::Node& payload,
                                          const RequestContext& context) -> absl::StatusOr<std::string> {
             absl::StatusOr<Request> request = json::Decode<Request>(payload, "payload");
             if (!request.ok()) return std::move(request).status();
             absl::StatusOr<Response> response = handler(*request, context);
             if (!response.ok()) return std::move(response).status();
             return json::Encode(*response);
           });
  }

  // One durable consumer and the core subject that stands beside it.
  struct Source {
    std::string durable;
    std::string filter;  // of the durable, and the core subscription's subject
    int max_in_flight = 256;
  };

  // Subscribes and consumes. May be called again with more sources.
  absl::Status Start(const std::vector<Source>& sources);

  // Whether every consumer is bound.
  bool bound() const;
  int64_t lag() const;
  int in_flight() const;

  // Stops pulling, waits until what is in flight has ended or `limit` is over, then unsubscribes. True if all
  // ended.
  bool Drain(absl::Duration limit);

  std::map<std::string, CommandStats> stats() const;  // by subject
  std::vector<std::string> subjects() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_COMMAND_SERVER_H_
