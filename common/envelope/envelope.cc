#include "common/envelope/envelope.h"

#include <array>
#include <cstdint>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status.h"

namespace arc {
namespace {

constexpr int64_t kMaxEnvelopeField = 128;

std::mt19937_64& Random() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return random;
}

std::string ToHex(const uint8_t* bytes, size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

// The fields of an envelope as a sender wrote them; null and missing are empty.
struct WireEnvelope {
  std::string msg_id;
  std::string timestamp;
  std::string session_id;
  std::string trace_id;
  std::string version = "1.0";

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("msg_id", s.msg_id, json::Range(0, kMaxEnvelopeField));
    v.Optional("timestamp", s.timestamp, json::Range(0, kMaxEnvelopeField));
    v.Optional("session_id", s.session_id, json::Range(0, kMaxEnvelopeField));
    v.Optional("trace_id", s.trace_id, json::Range(0, kMaxEnvelopeField));
    v.Optional("version", s.version, json::Range(0, kMaxEnvelopeField));
  }
};

}  // namespace

std::string NewUuid() {
  std::array<uint64_t, 2> words = {Random()(), Random()()};
  std::array<uint8_t, 16> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(words[i / 8] >> (8 * (i % 8)));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3F) | 0x80);
  const std::string hex = ToHex(bytes.data(), bytes.size());
  const absl::string_view h = hex;
  return absl::StrCat(h.substr(0, 8), "-", h.substr(8, 4), "-", h.substr(12, 4), "-", h.substr(16, 4), "-",
                      h.substr(20, 12));
}

Envelope MakeEnvelope(absl::Time now, absl::string_view session_id, absl::string_view trace_id) {
  Envelope envelope;
  envelope.msg_id = NewUuid();
  envelope.timestamp = FormatTimestamp(now);
  envelope.session_id = std::string(session_id);
  envelope.trace_id = trace_id.empty() ? NewUuid() : std::string(trace_id);
  return envelope;
}

absl::StatusOr<ParsedMessage> ParseMessage(absl::string_view body, absl::Time now) {
  absl::StatusOr<json::Document> document = json::Parse(body);
  if (!document.ok()) return std::move(document).status();
  ParsedMessage message;
  message.document = *std::move(document);
  const json::Node& root = message.document.root();
  if (!root.IsObject()) return MakeError(ErrorCode::kInvalidRequest, "the body must be a JSON object");
  const auto payload = root.FindMember("payload");
  if (payload == root.MemberEnd()) return MakeError(ErrorCode::kInvalidRequest, "payload: is required");
  if (!payload->value.IsObject()) return MakeError(ErrorCode::kInvalidRequest, "payload: must be an object");
  message.payload_node = &payload->value;

  absl::StatusOr<WireEnvelope> wire = json::Decode<WireEnvelope>(root, "");
  if (!wire.ok()) return std::move(wire).status();
  Envelope& envelope = message.envelope;
  message.had_msg_id = !wire->msg_id.empty();
  envelope.msg_id = message.had_msg_id ? std::move(wire->msg_id) : NewUuid();
  envelope.timestamp = wire->timestamp.empty() ? FormatTimestamp(now) : std::move(wire->timestamp);
  envelope.session_id = std::move(wire->session_id);
  message.had_trace_id = !wire->trace_id.empty();
  envelope.trace_id = wire->trace_id.empty() ? NewUuid() : std::move(wire->trace_id);
  envelope.version = wire->version.empty() ? "1.0" : std::move(wire->version);
  return message;
}

std::string WrapPayload(const Envelope& envelope, absl::string_view payload) {
  json::Encoder encoder;
  encoder.StartObject();
  encoder.Required("msg_id", envelope.msg_id);
  encoder.Required("timestamp", envelope.timestamp);
  encoder.Required("session_id", envelope.session_id);
  encoder.Required("trace_id", envelope.trace_id);
  encoder.Required("version", envelope.version);
  encoder.EndObject();
  std::string body = encoder.Take();
  // JSON already, and by far the largest part: appended as it is, in place of the closing brace.
  body.reserve(body.size() + payload.size() + 16);
  body.pop_back();
  absl::StrAppend(&body, ",\"payload\":", payload, "}");
  return body;
}

}  // namespace arc
