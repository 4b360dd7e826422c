#include "common/bus/tracing.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

// Names are made for spans that are kept only.
std::string Named(absl::string_view what, absl::string_view subject) {
  return trace::enabled() ? absl::StrCat(what, " ", trace::Bounded(subject, 128)) : std::string();
}

void Describe(trace::Span& span, absl::string_view operation, absl::string_view subject) {
  if (!span.recording()) return;
  span.Set("messaging.system", "nats");
  span.Set("messaging.operation.type", operation);
  span.Set("messaging.destination.name", subject);
}

}  // namespace

std::string RequestSpanName(absl::string_view subject) {
  return Named("request", subject);
}

trace::SpanContext WorkedOn(absl::string_view trace_id) {
  return trace::Current().valid() ? trace::Current() : trace::RootOf(trace_id);
}

trace::SpanContext ParentOf(const Message& message, absl::string_view trace_id) {
  return trace::ParentOf(message.headers.Get(subjects::kTraceParentHeader).value_or(""), trace_id);
}

void SetTraceParent(Message& message, const trace::SpanContext& context) {
  if (context.valid()) message.headers.Set(subjects::kTraceParentHeader, trace::ToHeader(context));
}

trace::Span BeginPublishing(Message& message, absl::string_view subject, const trace::SpanContext& parent) {
  trace::Span publish(Named("publish", subject), trace::SpanKind::kProducer, parent);
  Describe(publish, "send", message.subject);
  SetTraceParent(message, publish.context());
  return publish;
}

absl::Status PublishTraced(Bus& bus, Message message, absl::string_view trace_id) {
  trace::Span publish = BeginPublishing(message, message.subject, trace::ContextFor(trace_id));
  absl::Status sent = bus.Publish(message);
  publish.SetStatus(sent);
  return sent;
}

void CoreRequestTraced(Bus& bus, Message message, absl::string_view trace_id, absl::Duration timeout,
                       ReplyCallback done) {
  auto request = std::make_shared<trace::Span>(RequestSpanName(message.subject), trace::SpanKind::kClient,
                                               trace::ContextFor(trace_id));
  const trace::Span publish = BeginPublishing(message, message.subject, request->context());
  bus.CoreRequest(
      std::move(message), timeout,
      [request, caller = WorkedOn(trace_id), done = std::move(done)](absl::StatusOr<Message> reply) {
        request->SetStatus(reply.status());
        request->End();
        const trace::Scope scope(caller);
        done(std::move(reply));
      });
}

trace::Span BeginProcessing(const Message& message, const Taken& taken) {
  const trace::SpanContext parent = ParentOf(message, taken.trace_id);
  if (!trace::enabled()) return trace::Span("", trace::SpanKind::kConsumer, parent, taken.begin);
  trace::Record(Named("queue", taken.subject), trace::SpanKind::kConsumer, parent, taken.sent, taken.begin,
                {{"messaging.system", std::string("nats")},
                 {"messaging.operation.type", std::string("receive")},
                 {"messaging.destination.name", message.subject}});
  trace::Span process(Named("process", taken.subject), trace::SpanKind::kConsumer, parent, taken.begin);
  Describe(process, "process", message.subject);
  if (!taken.message_id.empty()) process.Set("messaging.message.id", taken.message_id);
  if (!taken.session_id.empty()) process.Set("session.id", taken.session_id);
  if (!taken.kiosk_id.empty()) process.Set("kiosk.id", taken.kiosk_id);
  if (taken.deliveries > 1) process.Set("kiosk.deliveries", taken.deliveries);
  return process;
}

void RecordExpired(const Message& message, absl::string_view subject, absl::string_view trace_id,
                   absl::Time sent, absl::Time end) {
  if (!trace::enabled()) return;
  trace::Record(Named("queue", subject), trace::SpanKind::kConsumer, ParentOf(message, trace_id), sent, end,
                {{"messaging.system", std::string("nats")},
                 {"messaging.operation.type", std::string("receive")},
                 {"messaging.destination.name", message.subject},
                 {"kiosk.expired", true}});
}

}  // namespace arc::bus
