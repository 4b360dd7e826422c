#include "services/payment/http_terminal.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"
#include "common/trace/trace.h"

namespace arc::payment {

inline absl::Span<const absl::string_view> EnumNames(IntentState) {
  static constexpr std::array<absl::string_view, 7> kNames = {
      "waiting_for_card", "authorised", "succeeded", "declined", "cancelled", "expired", "refunded"};
  return kNames;
}

namespace {

struct IntentBody {
  Intent intent;
  std::optional<std::string> decline_code;
  std::optional<std::string> card_brand;
  std::optional<std::string> card_last4;
  std::optional<int64_t> captured_at_ms;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.intent.id, json::Range(1, 200));
    v.Required("key", s.intent.key);
    v.Required("attempt", s.intent.attempt);
    v.Required("amount", s.intent.amount_minor);
    v.Required("currency", s.intent.currency);
    v.Required("state", s.intent.state);
    v.Required("version", s.intent.version);
    v.Nullable("decline_code", s.decline_code);
    v.Nullable("card_brand", s.card_brand);
    v.Nullable("card_last4", s.card_last4);
    v.Nullable("captured_at_ms", s.captured_at_ms);
  }
};

struct CreateBody {
  int64_t amount = 0;
  std::string currency;
  std::string kiosk_id;
  int64_t attempt = 1;
  int64_t expires_in_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("amount", s.amount);
    v.Required("currency", s.currency);
    v.Required("kiosk_id", s.kiosk_id);
    v.Required("attempt", s.attempt);
    v.Required("expires_in_ms", s.expires_in_ms);
  }
};

struct ErrorBody {
  struct Detail {
    std::string code;
    std::string message;

    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Required("code", s.code);
      v.Required("message", s.message);
    }
  };
  Detail error;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("error", s.error);
  }
};

absl::Status TransportError(httplib::Error error) {
  const std::string message = absl::StrCat("no answer from the card terminal: ", httplib::to_string(error));
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
    case httplib::Error::BindIPAddress:
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification:
      return absl::UnavailableError(message);
    default:
      // The request may have been read before the connection broke.
      return absl::DeadlineExceededError(message);
  }
}

absl::Status Refusal(int http_status, const std::string& body) {
  const absl::StatusOr<ErrorBody> parsed = json::Decode<ErrorBody>(body);
  const std::string code = parsed.ok() ? parsed->error.code : "";
  const std::string message = absl::StrCat("the card terminal answers ", http_status, ": ",
                                           parsed.ok() ? parsed->error.message : "without a reason");
  if (http_status == 503) return absl::UnavailableError(message);
  if (http_status >= 500) return absl::DeadlineExceededError(message);
  if (code == "not_found") return absl::NotFoundError(message);
  if (code == "key_reused") return absl::AlreadyExistsError(message);
  if (code == "wrong_attempt") return absl::AbortedError(message);
  if (code == "wrong_state") return absl::FailedPreconditionError(message);
  if (code == "amount_too_large") return absl::OutOfRangeError(message);
  return absl::InternalError(message);
}

void SetTimeouts(httplib::Client& client, absl::Duration connect, absl::Duration answer) {
  const auto split = [](absl::Duration duration) {
    const int64_t us = absl::ToInt64Microseconds(duration);
    return std::pair<time_t, time_t>(us / 1000000, us % 1000000);
  };
  const auto [connect_s, connect_us] = split(connect);
  const auto [answer_s, answer_us] = split(answer);
  client.set_connection_timeout(connect_s, connect_us);
  client.set_write_timeout(connect_s, connect_us);
  client.set_read_timeout(answer_s, answer_us);
}

}  // namespace

HttpTerminal::HttpTerminal(std::string url, Clock& clock, absl::Duration timeout)
    : url_(std::move(url)), clock_(clock), timeout_(timeout) {}

absl::StatusOr<std::string> HttpTerminal::Call(absl::string_view operation, const std::string& path,
                                               const std::string& key, const std::string& body,
                                               absl::Duration answer_within) {
  trace::Span tracing(absl::StrCat("terminal ", operation), trace::SpanKind::kClient);
  absl::StatusOr<std::string> answer = Exchange(path, key, body, answer_within);
  tracing.SetStatus(answer.status());
  return answer;
}

absl::StatusOr<std::string> HttpTerminal::Exchange(const std::string& path, const std::string& key,
                                                   const std::string& body, absl::Duration answer_within) {
  httplib::Client client(url_);
  if (!client.is_valid())
    return absl::UnavailableError(absl::StrCat("the card terminal's address is wrong: ", url_));
  SetTimeouts(client, timeout_, answer_within);
  client.set_tcp_nodelay(true);
  httplib::Headers headers;
  // The terminal's HTTP library takes %xx out of header values.
  if (!key.empty()) headers.emplace("Idempotency-Key", absl::StrReplaceAll(key, {{"%", "%25"}}));
  const httplib::Result result =
      body.empty() ? client.Get(path, headers) : client.Post(path, headers, body, "application/json");
  if (!result) return TransportError(result.error());
  if (result->status < 200 || result->status > 299) return Refusal(result->status, result->body);
  return result->body;
}

absl::StatusOr<Intent> HttpTerminal::CallForIntent(absl::string_view operation, const std::string& path,
                                                   const std::string& key, const std::string& body,
                                                   absl::Duration answer_within) {
  ASSIGN_OR_RETURN(const std::string answer, Call(operation, path, key, body, answer_within));
  absl::StatusOr<IntentBody> parsed = json::Decode<IntentBody>(answer);
  if (!parsed.ok()) {
    return absl::InternalError(
        absl::StrCat("the card terminal's answer is wrong: ", parsed.status().message()));
  }
  Intent intent = std::move(parsed->intent);
  intent.decline_code = parsed->decline_code.value_or("");
  intent.card_brand = parsed->card_brand.value_or("");
  intent.card_last4 = parsed->card_last4.value_or("");
  if (parsed->captured_at_ms) intent.charged_at = absl::FromUnixMillis(*parsed->captured_at_ms);
  return intent;
}

absl::StatusOr<Intent> HttpTerminal::Create(const CreateIntent& request) {
  CreateBody body;
  body.amount = request.amount_minor;
  body.currency = request.currency;
  body.kiosk_id = request.kiosk_id;
  body.attempt = request.attempt;
  body.expires_in_ms = std::max<int64_t>(absl::ToInt64Milliseconds(request.expires_in), 1);
  return CallForIntent("create", "/v1/intents", request.key, json::Encode(body), timeout_);
}

absl::StatusOr<Intent> HttpTerminal::Get(const std::string& key) {
  return CallForIntent("get", absl::StrCat("/v1/intents?key=", httplib::detail::encode_query_param(key)), "",
                       "", timeout_);
}

absl::StatusOr<Intent> HttpTerminal::WaitForChange(const Intent& seen, absl::Time deadline) {
  const absl::Duration wait = std::max(deadline - clock_.Now(), absl::ZeroDuration());
  return CallForIntent("wait",
                       absl::StrCat("/v1/intents/", seen.id, "?version=", seen.version,
                                    "&wait_ms=", absl::ToInt64Milliseconds(wait)),
                       "", "", wait + timeout_);
}

absl::StatusOr<Intent> HttpTerminal::Cancel(const Intent& intent) {
  return CallForIntent("cancel", absl::StrCat("/v1/intents/", intent.id, "/cancel"), "",
                       absl::StrCat("{\"attempt\":", intent.attempt, "}"), timeout_);
}

absl::Status HttpTerminal::Refund(const std::string& intent_id, const std::string& refund_key,
                                  int64_t amount_minor) {
  return Call("refund", absl::StrCat("/v1/intents/", intent_id, "/refund"), refund_key,
              absl::StrCat("{\"amount\":", amount_minor, "}"), timeout_)
      .status();
}

absl::Status HttpTerminal::Ping() {
  return Call("ping", "/healthz", "", "", timeout_).status();
}

}  // namespace arc::payment
