#include "common/trace/otlp_exporter.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/http/http_client.h"
#include "common/http/url.h"
#include "common/log/log.h"
#include "common/status/status_macros.h"
#include "common/trace/otlp.pb.h"

namespace arc::trace {
namespace {

constexpr char kTracesPath[] = "/v1/traces";
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);
// What a collector's answer may be. One that says more is none.
constexpr size_t kMostOfHead = 16 << 10;
constexpr size_t kMostOfAnswer = 64 << 10;
constexpr char kProtobuf[] = "application/x-protobuf";

std::string BigEndian(uint64_t number) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(number >> (8 * (7 - i)));
  return bytes;
}

std::string DecodePercent(absl::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    int byte = 0;
    if (text[at] == '%' && at + 2 < text.size() && absl::SimpleHexAtoi(text.substr(at + 1, 2), &byte)) {
      out.push_back(static_cast<char>(byte));
      at += 2;
    } else {
      out.push_back(text[at]);
    }
  }
  return out;
}

void SetValue(otlp::AnyValue& to, const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) to.set_string_value(*text);
  if (const auto* number = std::get_if<int64_t>(&value)) to.set_int_value(*number);
  if (const auto* real = std::get_if<double>(&value)) to.set_double_value(*real);
  if (const auto* yes = std::get_if<bool>(&value)) to.set_bool_value(*yes);
}

void Encode(const SpanData& span, otlp::Span& to) {
  to.set_trace_id(absl::HexStringToBytes(absl::StrReplaceAll(span.context.trace_id, {{"-", ""}})));
  to.set_span_id(BigEndian(span.context.span_id));
  if (span.parent_span_id != 0) to.set_parent_span_id(BigEndian(span.parent_span_id));
  to.set_name(span.name);
  to.set_kind(static_cast<int32_t>(span.kind));
  to.set_start_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(span.start)));
  to.set_end_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(span.end)));
  to.set_flags(span.context.sampled ? 1 : 0);
  for (const auto& [key, value] : span.attributes) {
    otlp::KeyValue& attribute = *to.add_attributes();
    attribute.set_key(key);
    SetValue(*attribute.mutable_value(), value);
  }
  if (span.failed) to.mutable_status()->set_code(2);
}

}  // namespace

absl::StatusOr<std::string> TracesUrl(absl::string_view base) {
  ASSIGN_OR_RETURN(const Url url, ParseUrl(base));
  return absl::StrCat(url.server, url.path, kTracesPath);
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParsePairs(absl::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::string_view key = absl::StripAsciiWhitespace(pair.first);
    if (key.empty() || !absl::StrContains(part, '=')) {
      return absl::InvalidArgumentError("is not a list of name=value, separated by commas");
    }
    pairs.emplace_back(DecodePercent(key), DecodePercent(absl::StripAsciiWhitespace(pair.second)));
  }
  return pairs;
}

struct OtlpExporter::Impl {
  Impl(OtlpOptions the_options, Url url)
      : options(std::move(the_options)),
        client(std::move(url), options.headers,
               {std::min(options.timeout, kConnectTimeout), options.timeout, kMostOfHead, kMostOfAnswer}) {
    for (const auto& [key, value] : options.resource) {
      otlp::KeyValue& attribute = *resource.add_attributes();
      attribute.set_key(key);
      attribute.mutable_value()->set_string_value(value);
    }
  }

  const OtlpOptions options;
  HttpClient client;  // of the thread
  otlp::Resource resource;

  mutable std::mutex mutex;
  std::condition_variable changed;
  // Guarded by `mutex`:
  std::deque<SpanData> queue;
  size_t sending = 0;  // spans that have left the queue, and whose fate is not known
  bool hurry = false;  // Flush(): do not wait for more spans, nor long between two requests
  bool ending = false;
  Counts counts;
  bool away = false;  // said so
  std::thread thread;

  // Of the thread.
  std::vector<SpanData> TakeBatch() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return ending || !queue.empty(); });
    changed.wait_for(lock, absl::ToChronoMilliseconds(options.interval),
                     [this] { return ending || hurry || queue.size() >= options.max_batch; });
    std::vector<SpanData> batch;
    if (ending) return batch;
    while (!queue.empty() && batch.size() < options.max_batch) {
      batch.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    sending = batch.size();
    return batch;
  }

  void Run() {
    for (;;) {
      const std::vector<SpanData> batch = TakeBatch();
      if (batch.empty()) return;
      otlp::ExportTraceServiceRequest request;
      otlp::ResourceSpans& of_agent = *request.add_resource_spans();
      *of_agent.mutable_resource() = resource;
      otlp::ScopeSpans& spans = *of_agent.add_scope_spans();
      spans.mutable_scope()->set_name("arc-kiosk");
      spans.mutable_scope()->set_version(options.scope_version);
      for (const SpanData& span : batch) Encode(span, *spans.add_spans());
      const uint64_t taken = Send(request.SerializeAsString(), batch.size());
      std::lock_guard<std::mutex> lock(mutex);
      counts.exported += taken;
      counts.failed += batch.size() - taken;
      sending = 0;
      changed.notify_all();
    }
  }

  // How many of the `count` spans in `body` the collector has taken.
  uint64_t Send(const std::string& body, size_t count) {
    const auto begin = std::chrono::steady_clock::now();
    absl::Duration wait = options.first_retry;
    for (;;) {
      std::string trouble;
      absl::Duration asked = absl::ZeroDuration();
      const absl::StatusOr<HttpAnswer> answer = client.Post(kProtobuf, body);
      if (!answer.ok()) {
        trouble = std::string(answer.status().message());
      } else if (answer->status >= 200 && answer->status < 300) {
        Say(true, "");
        otlp::ExportTraceServiceResponse response;
        // What cannot be read says nothing of rejected spans.
        if (!response.ParseFromString(answer->body)) return count;
        const int64_t rejected = response.partial_success().rejected_spans();
        return count - std::min<uint64_t>(count, static_cast<uint64_t>(std::max<int64_t>(0, rejected)));
      } else {
        trouble = absl::StrCat("status ", answer->status);
        const bool again =
            answer->status == 429 || answer->status == 502 || answer->status == 503 || answer->status == 504;
        if (!again) {
          Say(false, trouble);
          return 0;
        }
        int64_t seconds = 0;
        if (absl::SimpleAtoi(answer->retry_after, &seconds) && seconds > 0) {
          asked = absl::Seconds(seconds);
        }
      }
      Say(false, trouble);
      const auto spent = absl::FromChrono(std::chrono::steady_clock::now() - begin);
      const absl::Duration next = std::min(std::max(wait, asked), options.last_retry);
      if (spent + next > options.give_up_after || !Pause(next)) return 0;
      wait = std::min(2 * wait, options.last_retry);
    }
  }

  // False when there is no time left for another request.
  bool Pause(absl::Duration length) {
    std::unique_lock<std::mutex> lock(mutex);
    if (hurry) return false;
    changed.wait_for(lock, absl::ToChronoMilliseconds(length), [this] { return ending || hurry; });
    return !ending;
  }

  // Once when it goes wrong, once when it is well again.
  void Say(bool well, const std::string& trouble) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (away == !well) return;
      away = !well;
    }
    if (well) {
      Log(LogLevel::kInfo, "traces are taken again", {{"url", options.url}});
    } else {
      Log(LogLevel::kWarning, "traces are not taken",
          {{"url", options.url}, {"error", trouble}, {"see", "--otlp_endpoint"}});
    }
  }
};

OtlpExporter::OtlpExporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->thread = std::thread([this] { impl_->Run(); });
}

OtlpExporter::~OtlpExporter() {
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_all();
  impl_->client.Cancel();
  impl_->thread.join();
}

absl::StatusOr<std::unique_ptr<OtlpExporter>> OtlpExporter::Create(OtlpOptions options) {
  ASSIGN_OR_RETURN(Url url, ParseUrl(options.url));
  return std::unique_ptr<OtlpExporter>(
      new OtlpExporter(std::make_unique<Impl>(std::move(options), std::move(url))));
}

void OtlpExporter::OnEnd(SpanData span) {
  bool full = false;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    if (impl_->queue.size() >= impl_->options.max_queue) {
      ++impl_->counts.dropped;
      return;
    }
    impl_->queue.push_back(std::move(span));
    full = impl_->queue.size() == 1 || impl_->queue.size() == impl_->options.max_batch;
  }
  if (full) impl_->changed.notify_all();
}

bool OtlpExporter::Flush(absl::Duration limit) {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  impl_->hurry = true;
  impl_->changed.notify_all();
  const bool done = impl_->changed.wait_for(lock, absl::ToChronoMilliseconds(limit),
                                            [this] { return impl_->queue.empty() && impl_->sending == 0; });
  impl_->hurry = false;
  return done;
}

OtlpExporter::Counts OtlpExporter::counts() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->counts;
}

}  // namespace arc::trace
