// Sending a command and getting its typed answer (kiosk specification, sections 7 and 8; design,
// sections 3.3, 3.4).
//
//   bus::Call<messages::SearchResponse>(bus, subjects::kMenuSearch, request, context,
//                                       [](absl::StatusOr<messages::SearchResponse> answer) { ... });
//
// An error reply arrives as a status made by MakeError() with the reply's own code. Thread-safe.
#ifndef ARC_COMMON_BUS_CALL_H_
#define ARC_COMMON_BUS_CALL_H_

#include <functional>
#include <string>
#include <utility>

#include "common/bus/bus.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/status/status.h"

namespace arc::bus {

struct CallContext {
  std::string session_id;
  std::string trace_id;         // empty: a fresh one
  std::string kiosk_id;         // header Kiosk-Id; empty: the default kiosk
  bool scoped = false;          // append `kiosk_id` to a subject that belongs to one kiosk
  std::string idempotency_key;  // empty: none
  absl::Duration timeout;       // zero: DefaultTimeout(subject)
};

// The specification's timeout of a command: menu and recsys 2 s, payment 30 s, LED 1 s, print 5 minutes,
// others 5 s.
absl::Duration DefaultTimeout(absl::string_view subject);

// The ADR-32 service that answers `subject`: "menu" for kiosk.agent.menu.search.
std::string ServiceOf(absl::string_view subject);

// Sends a command whose payload is already JSON and hands on the answer's payload, once, on a thread of the
// bus.
void CallRaw(Bus& bus, absl::string_view subject, absl::string_view payload, const CallContext& context,
             std::function<void(absl::StatusOr<ParsedMessage>)> done);

template <class Response, class Request>
void Call(Bus& bus, absl::string_view subject, const Request& request, const CallContext& context,
          std::function<void(absl::StatusOr<Response>)> done) {
  CallRaw(bus, subject, json::Encode(request), context,
          [done = std::move(done)](absl::StatusOr<ParsedMessage> answer) {
            if (!answer.ok()) {
              done(std::move(answer).status());
            } else {
              done(DecodePayload<Response>(*answer));
            }
          });
}

// The same, waiting for the answer. Not to be called on a thread of the bus.
absl::StatusOr<ParsedMessage> CallRawAndWait(Bus& bus, absl::string_view subject, absl::string_view payload,
                                             const CallContext& context);

template <class Response, class Request>
absl::StatusOr<Response> CallAndWait(Bus& bus, absl::string_view subject, const Request& request,
                                     const CallContext& context) {
  absl::StatusOr<ParsedMessage> answer = CallRawAndWait(bus, subject, json::Encode(request), context);
  if (!answer.ok()) return std::move(answer).status();
  return DecodePayload<Response>(*answer);
}

// Sends a plain request and waits for its answer. Not to be called on a thread of the bus.
absl::StatusOr<Message> CoreRequestAndWait(Bus& bus, Message request, absl::Duration timeout);

// Whether the server knows nobody who answers for the copy `instance_id` of `service`: it has died, or lost
// its connection. False in doubt: when it is slow, or this process itself is not connected. Waits for the
// answer, at most 1 s; not to be called on a thread of the bus.
bool IsCopyGone(Bus& bus, absl::string_view service, absl::string_view instance_id);

// Publishes an event with an envelope; Nats-Msg-Id is the envelope's msg_id. `done` may be empty.
void PublishEvent(Bus& bus, absl::string_view subject, const Envelope& envelope, absl::string_view payload,
                  absl::string_view kiosk_id, std::function<void(absl::Status)> done);

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_CALL_H_
