#include "services/arcctl/event_line.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/json/json.h"
#include "common/messages/system.h"
#include "common/messages/ui.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/screen_summary.h"

namespace arc::arcctl {
namespace {

constexpr size_t kMaxText = 80;
constexpr size_t kMaxEssence = 160;

// At most `limit` bytes, cut between characters.
std::string Shortened(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

std::string Value(const json::Node& node) {
  if (node.IsString()) {
    const absl::string_view text(node.GetString(), node.GetStringLength());
    const bool plain = !text.empty() && text.find_first_of(" \t\r\n\"") == absl::string_view::npos;
    return plain ? Shortened(text, kMaxText) : json::Quote(Shortened(text, kMaxText));
  }
  if (node.IsArray()) {
    const bool scalars = std::all_of(node.Begin(), node.End(), [](const json::Node& element) {
      return !element.IsArray() && !element.IsObject();
    });
    if (scalars && node.Size() <= 4) {
      return absl::StrCat("[",
                          absl::StrJoin(node.Begin(), node.End(), ",",
                                        [](std::string* out, const json::Node& element) {
                                          absl::StrAppend(out, Value(element));
                                        }),
                          "]");
    }
    return absl::StrCat("[", node.Size(), "]");
  }
  return json::Encode(node);
}

// The fields of a payload in their order; what the subject says already and what is empty is left out.
std::string Fields(const json::Node& object) {
  std::vector<std::string> parts;
  for (auto member = object.MemberBegin(); member != object.MemberEnd(); ++member) {
    const absl::string_view name(member->name.GetString(), member->name.GetStringLength());
    const json::Node& value = member->value;
    if (name == "event" || name == "command" || name == "timestamp" || value.IsNull()) continue;
    if (value.IsArray() && value.Empty()) continue;
    if (value.IsObject()) {
      const std::string inner = Fields(value);
      if (!inner.empty()) parts.push_back(absl::StrCat(name, "{", inner, "}"));
    } else {
      parts.push_back(absl::StrCat(name, "=", Value(value)));
    }
  }
  return absl::StrJoin(parts, " ");
}

std::string Essence(const bus::Message& message) {
  const absl::StatusOr<json::Document> document = json::Parse(message.body);
  if (!document.ok() || !document->root().IsObject()) {
    return absl::StrCat("not a JSON object: ", Shortened(absl::CHexEscape(message.body), kMaxText));
  }
  const json::Node& root = document->root();
  const auto payload = root.FindMember("payload");
  const bool has_payload = payload != root.MemberEnd() && payload->value.IsObject();
  if (subjects::SplitScope(message.subject).base == subjects::kUiUpdate && has_payload) {
    const auto screen = json::Decode<messages::UiUpdate>(payload->value, "payload");
    if (screen.ok()) return OneLineScreen(*screen);
  }
  if (absl::StartsWith(message.subject, subjects::kDeadLetterPrefix)) {
    const auto letter = json::Decode<messages::DeadLetter>(root, "");
    if (letter.ok()) return absl::StrCat(letter->subject, ": ", letter->error_code, " ", letter->error);
  }
  if (message.subject == subjects::kHeartbeat) {
    const auto heartbeat = json::Decode<messages::Heartbeat>(root, "");
    if (heartbeat.ok()) return absl::StrCat(heartbeat->service, " ", heartbeat->status);
  }
  return Fields(has_payload ? payload->value : root);
}

}  // namespace

std::string KioskOf(const bus::Message& message) {
  const std::string scope = subjects::SplitScope(message.subject).kiosk_id;
  return scope.empty() ? message.headers.Get(subjects::kKioskIdHeader).value_or("") : scope;
}

bool IsOfKiosk(const bus::Message& message, absl::string_view kiosk_id) {
  if (absl::StartsWith(message.subject, "system.")) return true;
  const std::string kiosk = KioskOf(message);
  return (kiosk.empty() ? subjects::kDefaultKioskId : kiosk) == kiosk_id;
}

std::string EventLine(const bus::Message& message, absl::Time now) {
  const std::string kiosk = KioskOf(message);
  const bool system = absl::StartsWith(message.subject, "system.");
  std::string left = absl::StrCat(absl::FormatTime("%H:%M:%E3S", now, absl::UTCTimeZone()), "  ",
                                  !kiosk.empty() ? kiosk
                                  : system       ? "-"
                                                 : subjects::kDefaultKioskId);
  left.resize(std::max<size_t>(left.size() + 2, 25), ' ');
  std::string subject = subjects::SplitScope(message.subject).base;
  subject.resize(std::max<size_t>(subject.size() + 2, 32), ' ');
  std::string line = absl::StrCat(left, subject, Shortened(Essence(message), kMaxEssence));
  // Text from outside must not steer the terminal.
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
      ' ');
  return line;
}

std::string EventJson(const bus::Message& message, absl::Time) {
  const std::string kiosk = KioskOf(message);
  std::string head = absl::StrCat("{\"subject\":", json::Quote(message.subject));
  if (!kiosk.empty()) absl::StrAppend(&head, ",\"kiosk_id\":", json::Quote(kiosk));
  const absl::StatusOr<json::Document> document = json::Parse(message.body);
  if (!document.ok() || !document->root().IsObject()) {
    return absl::StrCat(head, ",\"invalid\":", json::Quote(absl::CHexEscape(message.body)), "}");
  }
  const std::string body = json::Encode(document->root());
  return absl::StrCat(head, body == "{}" ? "" : ",", absl::string_view(body).substr(1));
}

bool HeartbeatFilter::IsNews(const bus::Message& message) {
  if (message.subject != subjects::kHeartbeat) return true;
  const auto heartbeat = json::Decode<messages::Heartbeat>(message.body);
  if (!heartbeat.ok()) return true;
  std::string& last = status_of_[absl::StrCat(heartbeat->service, " ", heartbeat->instance_id.value_or(""))];
  if (last == heartbeat->status) return false;
  last = heartbeat->status;
  return true;
}

}  // namespace arc::arcctl
