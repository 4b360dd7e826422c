// LiveKit's webhooks: POST /livekit/webhook. The header Authorization is a JWT, HS256, by the API key, whose
// claim `sha256` is the base64 digest of the body. It is verified before a byte of the body is parsed:
// signature, issuer, expiry and not-before by cpp-jwt, the digest here.
#ifndef ARC_SERVICES_VOICE_WEBHOOK_H_
#define ARC_SERVICES_VOICE_WEBHOOK_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http/http_server.h"
#include "common/metrics/metrics.h"
#include "services/voice/livekit_event.h"

namespace arc::voice {

inline constexpr size_t kMaxWebhookBody = 65536;

struct LiveKitKey {
  std::string api_key;     // the issuer; empty: no webhooks are taken
  std::string api_secret;  // signs
};

// Unauthenticated, and why, unless `authorization` was made with `key` for `body` and is valid now.
absl::Status VerifyWebhook(const LiveKitKey& key, absl::string_view authorization, absl::string_view body);

// InvalidArgument for what is no event.
absl::StatusOr<LiveKitEvent> ParseWebhook(absl::string_view body);

// Thread-safe.
class Webhook {
 public:
  Webhook(LiveKitKey key, Metrics& metrics, std::function<void(const LiveKitEvent&)> on_event);

  // 200 done, or ignored: another event, or one that came before. 400 no event. 401 not LiveKit's. 413 more
  // than kMaxWebhookBody. 503 there is no key.
  HttpResponse Handle(const HttpRequest& request);

 private:
  bool SeenBefore(const std::string& id);

  const LiveKitKey key_;
  Metrics& metrics_;
  const std::function<void(const LiveKitEvent&)> on_event_;
  std::mutex mutex_;
  std::deque<std::string> order_;  // the latest ids, oldest first
  std::unordered_set<std::string> ids_;
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_WEBHOOK_H_
