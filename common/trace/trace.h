// Traces as OpenTelemetry has them (issue "eyes"; design, sections 3.1 and 3.6): what an agent did for one
// customer's turn, as spans of time that name the span that caused them. All agents' spans of a turn have the
// `trace_id` of its messages. How they leave the process: trace/otlp_exporter.h.
//
//   trace::Span span("engine rules", trace::SpanKind::kInternal);  // a child of what this thread works on
//   trace::Scope scope(span.context());                            // what is called here is a child of it
//   span.Set("rounds", 2);
//   span.SetStatus(status);                                        // ends with the object
//
// Nothing that a customer said, no card's token and no password belongs into a span.
//
// Without a processor spans cost next to nothing, and contexts are handed on all the same. Everything but
// SetProcessor() and SetSampling() is thread-safe; a Span belongs to one thread at a time.
#ifndef ARC_COMMON_TRACE_TRACE_H_
#define ARC_COMMON_TRACE_TRACE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::trace {

// A span as others may name it as their parent. Without a trace (`span_id` 0) nothing is recorded.
struct SpanContext {
  std::string trace_id;  // as in messages: a UUID in lower case, with dashes
  uint64_t span_id = 0;
  bool sampled = true;  // whether spans of this trace are kept

  bool valid() const { return span_id != 0; }
};

// The span of a whole turn. Its id follows from `trace_id` alone, so that who knows only that names the same
// parent. Invalid when `trace_id` is no UUID.
SpanContext RootOf(absl::string_view trace_id);

// The parent of what is done for a message: of its header `traceparent`, if that is of the trace `trace_id`,
// otherwise the turn itself. An empty `trace_id` is the header's.
SpanContext ParentOf(absl::string_view traceparent, absl::string_view trace_id);

// The parent of what is done now for `trace_id`: what this thread works on, if it is of that trace, otherwise
// the turn itself.
SpanContext ContextFor(absl::string_view trace_id);

// The header `traceparent` (W3C Trace Context, version 00); empty for an invalid context.
std::string ToHeader(const SpanContext& context);

// The context of a header `traceparent`; invalid when it is malformed.
SpanContext FromHeader(absl::string_view traceparent);

// What this thread works on; invalid when that belongs to no turn.
const SpanContext& Current();

// Makes `context` what this thread works on, until the end of the scope.
class Scope {
 public:
  explicit Scope(SpanContext context);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  SpanContext before_;
};

// OpenTelemetry's kinds and numbers.
enum class SpanKind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

using AttributeValue = std::variant<std::string, int64_t, double, bool>;

// A span that has ended.
struct SpanData {
  SpanContext context;
  uint64_t parent_span_id = 0;  // 0: the first of its trace
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  absl::Time start;
  absl::Time end;
  std::vector<std::pair<std::string, AttributeValue>> attributes;
  bool failed = false;
};

// Takes spans that have ended, on the thread that ended them: must not block.
class SpanProcessor {
 public:
  virtual ~SpanProcessor() = default;
  virtual void OnEnd(SpanData span) = 0;
};

// Where spans go from now on; null: nowhere. `processor` must outlive every span. At the start of a program,
// before there are other threads.
void SetProcessor(SpanProcessor* processor);
bool enabled();

// Of traces that begin here, the share that is kept: 0 to 1. Which ones follows from the trace_id, so that
// all agents of a fleet choose the same. At the start of a program.
void SetSampling(double ratio);

class Span {
 public:
  // Records nothing.
  Span() = default;
  // Begins now. `parent` is what this thread works on, unless given; without a valid one, or in a trace that
  // is not kept, nothing is recorded.
  Span(absl::string_view name, SpanKind kind);
  Span(absl::string_view name, SpanKind kind, const SpanContext& parent);
  Span(absl::string_view name, SpanKind kind, const SpanContext& parent, absl::Time start);
  // The span that `context` names, RootOf() a trace: it has no parent.
  static Span Root(absl::string_view name, SpanKind kind, const SpanContext& context, absl::Time start);
  ~Span() { End(); }
  Span(Span&& other) noexcept = default;
  Span& operator=(Span&& other) noexcept;
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  // As a parent. Of a span that is not recorded: its parent.
  const SpanContext& context() const { return context_; }
  bool recording() const { return data_ != nullptr; }

  void Set(absl::string_view key, absl::string_view value);
  void Set(absl::string_view key, const char* value) { Set(key, absl::string_view(value)); }
  void Set(absl::string_view key, const std::string& value) { Set(key, absl::string_view(value)); }
  void Set(absl::string_view key, int64_t value);
  void Set(absl::string_view key, int value) { Set(key, static_cast<int64_t>(value)); }
  void Set(absl::string_view key, double value);
  void Set(absl::string_view key, bool value);

  // Not OK: `error.type` is the status' code, on the wire if it has one, and unless that is an outcome
  // (arc::IsOutcome) the span failed. Never the message, which may quote a customer.
  void SetStatus(const absl::Status& status);

  // Ends it now, or at `end`; later calls do nothing.
  void End();
  void End(absl::Time end);

 private:
  SpanContext context_;
  std::unique_ptr<SpanData> data_;
};

// A span that is over already, from `start` to `end`; its context, for children of it.
SpanContext Record(absl::string_view name, SpanKind kind, const SpanContext& parent, absl::Time start,
                   absl::Time end,
                   const std::vector<std::pair<std::string, AttributeValue>>& attributes = {});

// Text of others in a span: at most `limit` bytes, and what is not printable ASCII is a question mark.
std::string Bounded(absl::string_view text, size_t limit = 256);

}  // namespace arc::trace

#endif  // ARC_COMMON_TRACE_TRACE_H_
