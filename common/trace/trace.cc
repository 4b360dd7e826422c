#include "common/trace/trace.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/clock/clock.h"
#include "common/status/status.h"

namespace arc::trace {
namespace {

constexpr size_t kUuidSize = 36;
constexpr size_t kHeaderSize = 55;  // of version 00
constexpr size_t kMostAttributes = 32;

std::atomic<SpanProcessor*> processor{nullptr};
std::atomic<uint64_t> least_dropped{UINT64_MAX};  // traces with a number below it are kept
std::atomic<bool> keep_all{true};

SpanContext& CurrentContext() {
  thread_local SpanContext context;
  return context;
}

uint64_t NewSpanId() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  uint64_t id = 0;
  while (id == 0) id = random();
  return id;
}

// `hex` has at most 16 digits.
std::optional<uint64_t> FromHex(absl::string_view hex) {
  for (const char c : hex) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  uint64_t number = 0;
  if (!absl::SimpleHexAtoi(hex, &number)) return std::nullopt;
  return number;
}

// The two halves of a UUID; nothing when it is none, or all zero.
std::optional<std::pair<uint64_t, uint64_t>> Halves(absl::string_view uuid) {
  if (uuid.size() != kUuidSize || uuid[8] != '-' || uuid[13] != '-' || uuid[18] != '-' || uuid[23] != '-') {
    return std::nullopt;
  }
  const std::optional<uint64_t> high =
      FromHex(absl::StrCat(uuid.substr(0, 8), uuid.substr(9, 4), uuid.substr(14, 4)));
  const std::optional<uint64_t> low = FromHex(absl::StrCat(uuid.substr(19, 4), uuid.substr(24, 12)));
  if (!high.has_value() || !low.has_value() || (*high == 0 && *low == 0)) return std::nullopt;
  return std::make_pair(*high, *low);
}

std::string ToUuid(absl::string_view hex) {
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4),
                      "-", hex.substr(20, 12));
}

}  // namespace

SpanContext RootOf(absl::string_view trace_id) {
  SpanContext context;
  const std::optional<std::pair<uint64_t, uint64_t>> halves = Halves(trace_id);
  if (!halves.has_value()) return context;
  context.trace_id = absl::AsciiStrToLower(trace_id);
  context.span_id = halves->second != 0 ? halves->second : halves->first;
  // As OpenTelemetry's TraceIdRatioBased: the low half decides. A UUID's has two bits that are always alike;
  // those are shifted out.
  context.sampled = keep_all || (halves->second << 2) < least_dropped;
  return context;
}

SpanContext FromHeader(absl::string_view traceparent) {
  SpanContext context;
  // Later versions may have more behind it (W3C Trace Context, section 4.3).
  if (traceparent.size() < kHeaderSize || traceparent[2] != '-' || traceparent[35] != '-' ||
      traceparent[52] != '-' || (traceparent.size() > kHeaderSize && traceparent[kHeaderSize] != '-')) {
    return context;
  }
  const absl::string_view version = traceparent.substr(0, 2);
  const std::optional<uint64_t> flags = FromHex(traceparent.substr(53, 2));
  const std::optional<uint64_t> span_id = FromHex(traceparent.substr(36, 16));
  const std::string trace_id = absl::AsciiStrToLower(ToUuid(traceparent.substr(3, 32)));
  if (!FromHex(version).has_value() || absl::AsciiStrToLower(version) == "ff" || !flags.has_value() ||
      !Halves(trace_id).has_value() || span_id.value_or(0) == 0 ||
      (version == "00" && traceparent.size() != kHeaderSize)) {
    return context;
  }
  context.trace_id = trace_id;
  context.span_id = *span_id;
  context.sampled = (*flags & 1) != 0;
  return context;
}

SpanContext ParentOf(absl::string_view traceparent, absl::string_view trace_id) {
  SpanContext parent = FromHeader(traceparent);
  if (parent.valid() && (trace_id.empty() || absl::AsciiStrToLower(trace_id) == parent.trace_id)) {
    return parent;
  }
  return RootOf(trace_id);
}

SpanContext ContextFor(absl::string_view trace_id) {
  const SpanContext& current = CurrentContext();
  if (current.valid() && current.trace_id == trace_id) return current;
  return RootOf(trace_id);
}

std::string ToHeader(const SpanContext& context) {
  if (!context.valid()) return "";
  std::string header = "00-";
  header.reserve(kHeaderSize);
  for (const char c : context.trace_id) {
    if (c != '-') header.push_back(c);
  }
  absl::StrAppend(&header, "-", absl::Hex(context.span_id, absl::kZeroPad16),
                  context.sampled ? "-01" : "-00");
  return header;
}

const SpanContext& Current() {
  return CurrentContext();
}

Scope::Scope(SpanContext context) : before_(std::exchange(CurrentContext(), std::move(context))) {}

Scope::~Scope() {
  CurrentContext() = std::move(before_);
}

void SetProcessor(SpanProcessor* to) {
  processor = to;
}

bool enabled() {
  return processor.load(std::memory_order_relaxed) != nullptr;
}

void SetSampling(double ratio) {
  keep_all = ratio >= 1;
  least_dropped = ratio <= 0 ? 0 : static_cast<uint64_t>(std::ldexp(std::min(ratio, 0.999999999), 64));
}

Span::Span(absl::string_view name, SpanKind kind) : Span(name, kind, Current()) {}

Span::Span(absl::string_view name, SpanKind kind, const SpanContext& parent)
    : Span(name, kind, parent, enabled() ? SystemClock::Get().Now() : absl::InfinitePast()) {}

Span::Span(absl::string_view name, SpanKind kind, const SpanContext& parent, absl::Time start)
    : context_(parent) {
  if (!enabled() || !parent.valid() || !parent.sampled) return;
  context_.span_id = NewSpanId();
  data_ = std::make_unique<SpanData>();
  data_->context = context_;
  data_->parent_span_id = parent.span_id;
  data_->name = std::string(name);
  data_->kind = kind;
  data_->start = start;
}

Span Span::Root(absl::string_view name, SpanKind kind, const SpanContext& context, absl::Time start) {
  Span span;
  span.context_ = context;
  if (!enabled() || !context.valid() || !context.sampled) return span;
  span.data_ = std::make_unique<SpanData>();
  span.data_->context = context;
  span.data_->name = std::string(name);
  span.data_->kind = kind;
  span.data_->start = start;
  return span;
}

Span& Span::operator=(Span&& other) noexcept {
  if (this == &other) return *this;
  End();
  context_ = std::move(other.context_);
  data_ = std::move(other.data_);
  return *this;
}

void Span::Set(absl::string_view key, absl::string_view value) {
  if (data_ == nullptr || data_->attributes.size() >= kMostAttributes) return;
  data_->attributes.emplace_back(std::string(key), Bounded(value));
}

void Span::Set(absl::string_view key, int64_t value) {
  if (data_ == nullptr || data_->attributes.size() >= kMostAttributes) return;
  data_->attributes.emplace_back(std::string(key), value);
}

void Span::Set(absl::string_view key, double value) {
  if (data_ == nullptr || data_->attributes.size() >= kMostAttributes) return;
  data_->attributes.emplace_back(std::string(key), value);
}

void Span::Set(absl::string_view key, bool value) {
  if (data_ == nullptr || data_->attributes.size() >= kMostAttributes) return;
  data_->attributes.emplace_back(std::string(key), value);
}

void Span::SetStatus(const absl::Status& status) {
  if (data_ == nullptr || status.ok()) return;
  const std::optional<ErrorCode> code = GetErrorCode(status);
  Set("error.type",
      code.has_value() ? ErrorCodeName(*code) : absl::string_view(absl::StatusCodeToString(status.code())));
  data_->failed = !IsOutcome(status);
}

void Span::End() {
  if (data_ != nullptr) End(SystemClock::Get().Now());
}

void Span::End(absl::Time end) {
  if (data_ == nullptr) return;
  // Clocks of two machines differ: nothing ends before it began.
  data_->end = std::max(end, data_->start);
  std::unique_ptr<SpanData> data = std::move(data_);
  if (SpanProcessor* const to = processor.load()) to->OnEnd(std::move(*data));
}

SpanContext Record(absl::string_view name, SpanKind kind, const SpanContext& parent, absl::Time start,
                   absl::Time end, const std::vector<std::pair<std::string, AttributeValue>>& attributes) {
  Span span(name, kind, parent, start);
  if (span.recording()) {
    for (const auto& [key, value] : attributes) {
      std::visit([&span, &key = key](const auto& v) { span.Set(key, v); }, value);
    }
  }
  span.End(end);
  return span.context();
}

std::string Bounded(absl::string_view text, size_t limit) {
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return out;
}

}  // namespace arc::trace
