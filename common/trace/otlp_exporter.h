// Sends spans to an OpenTelemetry collector, by OTLP/HTTP with Protocol Buffers (OpenTelemetry Protocol 1.x,
// sections "OTLP/HTTP" and "Failures").
//
// Never in anybody's way: spans wait in a queue of its own, a thread of its own sends them in batches, and
// what does not fit is dropped and counted. A collector that is away, slow or broken is asked again later, as
// the protocol says; the agent does not notice. What it answers takes a bounded time and bounded memory.
#ifndef ARC_COMMON_TRACE_OTLP_EXPORTER_H_
#define ARC_COMMON_TRACE_OTLP_EXPORTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/trace/trace.h"

namespace arc::trace {

struct OtlpOptions {
  std::string url;                                           // http://HOST:PORT/v1/traces, whole
  std::vector<std::pair<std::string, std::string>> headers;  // such as a key of the collector's
  std::map<std::string, std::string> resource;               // attributes: service.name and so on
  std::string scope_version;
  size_t max_queue = 4096;                          // spans that wait
  size_t max_batch = 512;                           // spans a request
  absl::Duration interval = absl::Seconds(1);       // a batch leaves after that, full or not
  absl::Duration timeout = absl::Seconds(5);        // of a request, to the end of its answer
  absl::Duration first_retry = absl::Seconds(1);    // doubled each time, up to
  absl::Duration last_retry = absl::Seconds(30);    // also what a collector may ask for at most
  absl::Duration give_up_after = absl::Minutes(2);  // of a batch, from its first request
};

// The base address of a collector, such as http://127.0.0.1:4318, as OtlpOptions::url. InvalidArgument when
// it is no http or https address.
absl::StatusOr<std::string> TracesUrl(absl::string_view base);

// "a=b,c=d", percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES have it.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParsePairs(absl::string_view text);

// Thread-safe.
class OtlpExporter : public SpanProcessor {
 public:
  // InvalidArgument: the URL.
  static absl::StatusOr<std::unique_ptr<OtlpExporter>> Create(OtlpOptions options);
  // Sends nothing more.
  ~OtlpExporter() override;

  void OnEnd(SpanData span) override;

  // Sends what waits, and returns when all of it has left or `limit` is over. True if all of it has left.
  bool Flush(absl::Duration limit);

  struct Counts {
    uint64_t exported = 0;  // taken by the collector
    uint64_t dropped = 0;   // the queue was full
    uint64_t failed = 0;    // refused by the collector, or given up
  };
  Counts counts() const;

 private:
  struct Impl;
  explicit OtlpExporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace arc::trace

#endif  // ARC_COMMON_TRACE_OTLP_EXPORTER_H_
