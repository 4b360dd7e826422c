#include "services/voice/webhook.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"
#include "jwt/jwt.hpp"
#include "services/voice/metric_names.h"

namespace arc::voice {
namespace {

constexpr size_t kMaxToken = 8192;
constexpr size_t kMaxIds = 10000;
constexpr char kHelp[] = "LiveKit's webhooks, by what became of them.";

std::string Sha256(absl::string_view data) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

bool SameBytes(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Whether the token's signature is HMAC-SHA256 by `secret`. The library checks it again, but in a time that
// depends on how much of it is right, and after it has parsed what nobody may have signed.
bool Signed(absl::string_view token, const std::string& secret) {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  if (parts.size() != 3) return false;
  std::string signature;
  if (!absl::WebSafeBase64Unescape(parts[2], &signature)) return false;
  std::array<unsigned char, EVP_MAX_MD_SIZE> expected{};
  unsigned int length = 0;
  const absl::string_view content = token.substr(0, parts[0].size() + 1 + parts[1].size());
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(content.data()), content.size(), expected.data(),
           &length) == nullptr) {
    return false;
  }
  return SameBytes(signature, absl::string_view(reinterpret_cast<const char*>(expected.data()), length));
}

// The claim `sha256` of a token whose signature, issuer and times are right.
absl::StatusOr<std::string> DigestOf(const std::string& token, const LiveKitKey& key) {
  try {
    namespace params = jwt::params;
    std::error_code error;
    const jwt::jwt_object decoded =
        jwt::decode(token, params::algorithms({"HS256"}), error, params::secret(key.api_secret),
                    params::issuer(key.api_key), params::verify(true));
    if (error) return absl::UnauthenticatedError(error.message());
    if (!decoded.has_claim("exp")) return absl::UnauthenticatedError("the token does not expire");
    // Asked for a claim that is not there the library reads beyond the others.
    if (!decoded.has_claim("sha256")) return absl::UnauthenticatedError("the token is for no body");
    return decoded.payload().get_claim_value<std::string>("sha256");
  } catch (const std::exception& e) {
    return absl::UnauthenticatedError(absl::StrCat("the token is malformed: ", e.what()));
  }
}

struct WebhookRoom {
  std::string name;
  std::string sid;
  std::string metadata;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("name", s.name);
    v.Optional("sid", s.sid, json::Range(0, 200));
    v.Optional("metadata", s.metadata);
  }
};

// LiveKit writes enums as names, and leaves out the first one.
struct WebhookParticipant {
  std::string sid;
  std::string identity;
  std::string metadata;
  std::optional<json::Raw> kind;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("sid", s.sid, json::Range(0, 200));
    v.Optional("identity", s.identity, json::Range(0, 200));
    v.Optional("metadata", s.metadata);
    v.Optional("kind", s.kind);
  }
};

struct WebhookTrack {
  std::string sid;
  std::optional<json::Raw> type;
  std::optional<json::Raw> source;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("sid", s.sid, json::Range(0, 200));
    v.Optional("type", s.type);
    v.Optional("source", s.source);
  }
};

struct WebhookBody {
  std::string event;
  std::string id;
  WebhookRoom room;
  WebhookParticipant participant;
  WebhookTrack track;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("event", s.event, json::Range(1, 100));
    v.Optional("id", s.id, json::Range(0, 200));
    v.Optional("room", s.room);
    v.Optional("participant", s.participant);
    v.Optional("track", s.track);
  }
};

struct Metadata {
  std::string user_id;
  std::string session_id;
  std::string kiosk_id;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("user_id", s.user_id, json::Range(0, 200));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
  }
};

// Metadata is whatever an application put there.
Metadata ReadMetadata(const std::string& text) {
  return json::Decode<Metadata>(text).value_or(Metadata());
}

bool Is(const std::optional<json::Raw>& value, absl::string_view name, absl::string_view number,
        bool is_first) {
  if (!value.has_value()) return is_first;
  return value->text == absl::StrCat("\"", name, "\"") || value->text == number;
}

LiveKitEventKind KindOf(absl::string_view event) {
  if (event == "participant_joined") return LiveKitEventKind::kParticipantJoined;
  if (event == "participant_left") return LiveKitEventKind::kParticipantLeft;
  if (event == "track_published") return LiveKitEventKind::kTrackPublished;
  if (event == "track_unpublished") return LiveKitEventKind::kTrackUnpublished;
  if (event == "room_finished") return LiveKitEventKind::kRoomFinished;
  return LiveKitEventKind::kOther;
}

HttpResponse Answer(int status, absl::string_view text) {
  HttpResponse response;
  response.status = status;
  response.body = absl::StrCat(text, "\n");
  return response;
}

}  // namespace

absl::Status VerifyWebhook(const LiveKitKey& key, absl::string_view authorization, absl::string_view body) {
  absl::string_view token = absl::StripAsciiWhitespace(authorization);
  absl::ConsumePrefix(&token, "Bearer ");
  if (token.empty()) return absl::UnauthenticatedError("header Authorization: is missing");
  if (token.size() > kMaxToken) return absl::UnauthenticatedError("header Authorization: is too long");
  if (!Signed(token, key.api_secret)) return absl::UnauthenticatedError("the signature is wrong");
  ASSIGN_OR_RETURN(const std::string claim, DigestOf(std::string(token), key));
  std::string digest;
  if (!absl::Base64Unescape(claim, &digest) || !SameBytes(digest, Sha256(body))) {
    return absl::UnauthenticatedError("the body is not the one that was signed");
  }
  return absl::OkStatus();
}

absl::StatusOr<LiveKitEvent> ParseWebhook(absl::string_view body) {
  ASSIGN_OR_RETURN(const WebhookBody hook, json::Decode<WebhookBody>(body));
  LiveKitEvent event;
  event.kind = KindOf(hook.event);
  event.name = hook.event;
  event.id = hook.id;
  event.room = hook.room.name;
  const Metadata metadata = ReadMetadata(hook.participant.metadata);
  event.participant.room_sid = hook.room.sid;
  event.participant.sid = hook.participant.sid;
  event.participant.identity = hook.participant.identity;
  event.participant.user_id = metadata.user_id;
  event.participant.session_id = metadata.session_id;
  event.kiosk_id = metadata.kiosk_id.empty() ? ReadMetadata(hook.room.metadata).kiosk_id : metadata.kiosk_id;
  // A standard participant, or a telephone.
  event.is_customer =
      Is(hook.participant.kind, "STANDARD", "0", true) || Is(hook.participant.kind, "SIP", "3", false);
  event.track_sid = hook.track.sid;
  event.track_is_audio = Is(hook.track.type, "AUDIO", "0", true);
  event.track_source = Is(hook.track.source, "MICROPHONE", "2", false)           ? "microphone"
                       : Is(hook.track.source, "SCREEN_SHARE_AUDIO", "4", false) ? "screen_share_audio"
                                                                                 : "unknown";
  return event;
}

Webhook::Webhook(LiveKitKey key, Metrics& metrics, std::function<void(const LiveKitEvent&)> on_event)
    : key_(std::move(key)), metrics_(metrics), on_event_(std::move(on_event)) {}

bool Webhook::SeenBefore(const std::string& id) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!ids_.insert(id).second) return true;
  order_.push_back(id);
  if (order_.size() > kMaxIds) {
    ids_.erase(order_.front());
    order_.pop_front();
  }
  return false;
}

HttpResponse Webhook::Handle(const HttpRequest& request) {
  const auto answer = [&](int status, const char* outcome, absl::string_view text) {
    metrics_.Increment(metric_names::kWebhooks, kHelp, {{"outcome", outcome}});
    return Answer(status, text);
  };
  if (key_.api_key.empty() || key_.api_secret.empty()) {
    return answer(503, "not_configured",
                  "no LiveKit key: start with --livekit_api_key and --livekit_api_secret_file");
  }
  if (request.body.size() > kMaxWebhookBody) return answer(413, "too_large", "the body is larger than 64 kB");
  const auto authorization = request.headers.find("authorization");
  const absl::Status verified = VerifyWebhook(
      key_, authorization == request.headers.end() ? absl::string_view() : authorization->second,
      request.body);
  if (!verified.ok()) return answer(401, "unauthenticated", verified.message());
  const absl::StatusOr<LiveKitEvent> event = ParseWebhook(request.body);
  if (!event.ok()) return answer(400, "malformed", event.status().message());
  if (SeenBefore(event->id.empty() ? absl::BytesToHexString(Sha256(request.body)) : event->id)) {
    return answer(200, "replayed", "came before");
  }
  if (event->kind == LiveKitEventKind::kOther) return answer(200, "ignored", "ignored");
  on_event_(*event);
  return answer(200, "taken", "ok");
}

}  // namespace arc::voice
