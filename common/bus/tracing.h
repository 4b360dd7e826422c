// Spans of messages on their way (trace/trace.h; design, section 3.1: header `traceparent`). Names and
// attributes follow OpenTelemetry's conventions for messaging:
//
//   request SUBJECT   from asking to the answer; its child is
//   publish SUBJECT   until the connection has the message, of an event until its stream has confirmed it;
//                     its children, in the agent that takes the message, are
//   queue SUBJECT     from the stream's taking it in, or its arrival, to the start of its handling
//   process SUBJECT   its handling; on its thread all that is done is a child of it
//
// Thread-safe.
#ifndef ARC_COMMON_BUS_TRACING_H_
#define ARC_COMMON_BUS_TRACING_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/trace/trace.h"

namespace arc::bus {

// The name of a request's span.
std::string RequestSpanName(absl::string_view subject);

// Begins the publishing of `message`, whose span is named after `subject`, and sets its header `traceparent`.
trace::Span BeginPublishing(Message& message, absl::string_view subject, const trace::SpanContext& parent);

// What this thread works on, or, if that belongs to no turn, the turn of `trace_id`: what answers belong to.
trace::SpanContext WorkedOn(absl::string_view trace_id);

// What is to be done for `message`, which carries `trace_id` (empty: only its header says).
trace::SpanContext ParentOf(const Message& message, absl::string_view trace_id);

// Sets the header `traceparent`, unless `context` is invalid.
void SetTraceParent(Message& message, const trace::SpanContext& context);

// Publishes on the core path, as a part of the trace `trace_id`.
absl::Status PublishTraced(Bus& bus, Message message, absl::string_view trace_id);

// Bus::CoreRequest() as a part of the trace `trace_id`. `done` runs as what the caller works on.
void CoreRequestTraced(Bus& bus, Message message, absl::string_view trace_id, absl::Duration timeout,
                       ReplyCallback done);

// What is known of a message that is handled, besides itself.
struct Taken {
  std::string subject;     // the span's, without what belongs to one kiosk or request
  std::string trace_id;    // empty: only the header says
  std::string session_id;  // empty: none
  std::string kiosk_id;    // empty: the default one
  std::string message_id;  // empty: none
  int deliveries = 1;
  absl::Time sent;   // taken in by its stream, or arrived here
  absl::Time begin;  // of its handling
};

// Begins the handling of `message`, having recorded how long it waited. The caller makes the span's context
// its thread's (trace::Scope) and ends it.
trace::Span BeginProcessing(const Message& message, const Taken& taken);

// The message waited from `sent` to `end` and is not handled: nobody waits for it any more.
void RecordExpired(const Message& message, absl::string_view subject, absl::string_view trace_id,
                   absl::Time sent, absl::Time end);

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_TRACING_H_
