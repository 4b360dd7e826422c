#include "common/bus/dead_letter.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

// Below the server's limit of 1 MiB a message, with room for headers.
constexpr size_t kMaxEncoded = 1000000;
constexpr size_t kKeptWhenTruncated = size_t{512} * 1024;

bool IsText(absl::string_view body) {
  return body.empty() || json::Parse(json::Quote(body)).ok();
}

std::string TraceOf(const Message& message, absl::Time now) {
  const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, now);
  if (parsed.ok()) return parsed->envelope.trace_id;
  return TraceIdOf(message.headers.Get(subjects::kTraceParentHeader).value_or(""));
}

}  // namespace

void PublishDeadLetter(Bus& bus, const DeadLetterSource& source, const Message& message,
                       const absl::Status& error, std::function<void(absl::Status)> done) {
  messages::DeadLetter letter;
  const absl::Time now = bus.clock().Now();
  letter.timestamp = FormatTimestamp(now);
  letter.agent = source.agent;
  if (!source.stream.empty()) letter.stream = source.stream;
  if (!source.consumer.empty()) letter.consumer = source.consumer;
  if (source.stream_seq != 0) letter.stream_seq = static_cast<int64_t>(source.stream_seq);
  letter.subject = message.subject;
  for (const auto& [name, value] : message.headers.all()) {
    letter.headers.push_back(
        {IsText(name) ? name : absl::CEscape(name), IsText(value) ? value : absl::CEscape(value)});
  }
  letter.body_bytes = static_cast<int64_t>(message.body.size());
  if (IsText(message.body)) {
    letter.body = message.body;
  } else {
    letter.body_base64 = absl::Base64Escape(message.body);
  }
  letter.error_code = std::string(ErrorCodeName(WireErrorCode(error)));
  letter.error = IsText(error.message()) ? std::string(error.message()) : absl::CEscape(error.message());
  letter.deliveries = source.deliveries;
  letter.trace_id = TraceOf(message, now);

  Message out;
  out.body = json::Encode(letter);
  if (out.body.size() > kMaxEncoded) {
    letter.body.reset();
    letter.body_base64 = absl::Base64Escape(absl::string_view(message.body).substr(0, kKeptWhenTruncated));
    letter.body_truncated = true;
    out.body = json::Encode(letter);
  }
  out.subject = source.stream.empty()
                    ? absl::StrCat(subjects::kDeadLetterPrefix, ".core.", source.agent)
                    : absl::StrCat(subjects::kDeadLetterPrefix, ".", source.stream, ".", source.consumer);
  // The same message of the same stream is stored once, whoever gives up on it.
  out.headers.Set(subjects::kMsgIdHeader, source.stream_seq != 0
                                              ? absl::StrCat(source.stream, ".", source.stream_seq, ".",
                                                             absl::ToUnixMicros(now) / 60000000)
                                              : NewUuid());
  Log(LogLevel::kWarning, "dead letter",
      {{"subject", letter.subject}, {"error", letter.error}, {"trace_id", letter.trace_id}});
  bus.PublishEvent(std::move(out), absl::Seconds(5), [done = std::move(done)](absl::Status status) {
    if (!status.ok()) {
      Log(LogLevel::kError, "a dead letter could not be stored", {{"error", std::string(status.message())}});
    }
    if (done) done(std::move(status));
  });
}

}  // namespace arc::bus
