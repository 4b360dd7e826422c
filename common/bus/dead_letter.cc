#include "common/bus/dead_letter.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

// Below the server's limit of 1 MiB a message, with room for the dead letter's own headers.
constexpr size_t kMaxEncoded = 1000000;
constexpr size_t kKeptWhenTruncated = size_t{512} * 1024;
// Of what stands beside the body, as JSON: so much that the beginning of a body always fits.
constexpr size_t kMaxHeaders = size_t{128} * 1024;
constexpr size_t kMaxHeaderName = 1024;
constexpr size_t kMaxText = size_t{8} * 1024;

// Whether `text` can be read back out of JSON.
bool IsText(absl::string_view text) {
  return text.find('\0') == absl::string_view::npos && json::Parse(json::Quote(text)).ok();
}

// How many bytes `c` takes within a JSON string.
size_t EncodedSize(char c) {
  if (c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t') return 2;
  return static_cast<unsigned char>(c) < 0x20 ? 6 : 1;
}
size_t EncodedSize(absl::string_view text) {
  return std::accumulate(text.begin(), text.end(), size_t{0},
                         [](size_t size, char c) { return size + EncodedSize(c); });
}

// `text`, escaped where JSON could not hold it. What takes more than `most` bytes of JSON is cut, with a mark
// that says how long it was, and `cut` is set.
std::string Bounded(absl::string_view text, size_t most, bool& cut) {
  std::string whole = IsText(text) ? std::string(text) : absl::CEscape(text);
  if (EncodedSize(whole) <= most) return whole;
  cut = true;
  const std::string mark = absl::StrCat("… (", text.size(), " bytes)");
  size_t end = 0;
  for (size_t size = mark.size(); size + EncodedSize(whole[end]) <= most; ++end) {
    size += EncodedSize(whole[end]);
  }
  // Not within a character.
  while (end > 0 && (static_cast<unsigned char>(whole[end]) & 0xC0U) == 0x80U) --end;
  return absl::StrCat(absl::string_view(whole).substr(0, end), mark);
}

void SetHeaders(const Headers& headers, messages::DeadLetter& letter) {
  constexpr size_t kPunctuation = 24;  // {"name":"","value":""},
  size_t size = 0;
  for (const auto& [name, value] : headers.all()) {
    messages::HeaderField field{Bounded(name, kMaxHeaderName, letter.headers_truncated),
                                Bounded(value, kMaxText, letter.headers_truncated)};
    size += EncodedSize(field.name) + EncodedSize(field.value) + kPunctuation;
    if (size > kMaxHeaders) {
      letter.headers_truncated = true;
      return;
    }
    letter.headers.push_back(std::move(field));
  }
}

// Sets the body, whole where that fits beside the rest of `letter`, and returns `letter` as JSON.
std::string EncodeWithBody(absl::string_view body, messages::DeadLetter& letter) {
  letter.body_bytes = static_cast<int64_t>(body.size());
  if (IsText(body)) {
    letter.body = std::string(body);
    std::string encoded = json::Encode(letter);
    if (encoded.size() <= kMaxEncoded) return encoded;
    letter.body.reset();  // base64 is shorter where much is escaped
  }
  letter.body_base64 = "";
  const size_t room = (kMaxEncoded - json::Encode(letter).size()) / 4 * 3;
  letter.body_truncated = body.size() > room;
  letter.body_base64 =
      absl::Base64Escape(letter.body_truncated ? body.substr(0, std::min(room, kKeptWhenTruncated)) : body);
  return json::Encode(letter);
}

std::string TraceOf(const Message& message, absl::Time now) {
  const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, now);
  if (parsed.ok()) return parsed->envelope.trace_id;
  return ParentOf(message, "").trace_id;
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
  bool cut = false;
  letter.subject = Bounded(message.subject, kMaxText, cut);
  SetHeaders(message.headers, letter);
  letter.error_code = std::string(ErrorCodeName(WireErrorCode(error)));
  letter.error = Bounded(error.message(), kMaxText, cut);
  letter.deliveries = source.deliveries;
  letter.trace_id = Bounded(TraceOf(message, now), kMaxText, cut);

  Message out;
  out.body = EncodeWithBody(message.body, letter);
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
