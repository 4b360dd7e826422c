// The envelope of every kiosk.* message (kiosk specification, section 5.1; design, section 3.1).
//
// Tolerant in what it takes: missing envelope fields are filled in, unknown ones ignored. A body that is not
// a JSON object, or has no `payload` object, is INVALID_REQUEST. Pure functions, thread-safe.
#ifndef ARC_COMMON_ENVELOPE_ENVELOPE_H_
#define ARC_COMMON_ENVELOPE_ENVELOPE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/json/json.h"

namespace arc {

struct Envelope {
  std::string msg_id;      // UUID v4 of ours, any text of others
  std::string timestamp;   // RFC 3339, UTC, milliseconds, Z
  std::string session_id;  // empty between sessions
  std::string trace_id;    // UUID v4
  std::string version = "1.0";
};

// A fresh random UUID, version 4, in lower case.
std::string NewUuid();

// An envelope with a fresh msg_id; a fresh trace_id unless one is given.
Envelope MakeEnvelope(absl::Time now, absl::string_view session_id, absl::string_view trace_id = "");

// A message's body taken apart. `payload()` lives as long as this object.
struct ParsedMessage {
  Envelope envelope;
  json::Document document;
  bool had_msg_id = false;    // false: the sender gave none and `envelope.msg_id` is made up
  bool had_trace_id = false;  // likewise

  const json::Node& payload() const { return *payload_node; }
  const json::Node* payload_node = nullptr;
};

// Takes `body` apart. `now` is used for a missing timestamp.
absl::StatusOr<ParsedMessage> ParseMessage(absl::string_view body, absl::Time now);

// The body that carries `payload`, which is JSON text of an object.
std::string WrapPayload(const Envelope& envelope, absl::string_view payload);

// The body that carries a message.
template <class T>
std::string Wrap(const Envelope& envelope, const T& payload) {
  return WrapPayload(envelope, json::Encode(payload));
}

// The payload of `message` as a T; errors start with "payload".
template <class T>
absl::StatusOr<T> DecodePayload(const ParsedMessage& message) {
  return json::Decode<T>(message.payload(), "payload");
}

}  // namespace arc

#endif  // ARC_COMMON_ENVELOPE_ENVELOPE_H_
