#include "services/terminal_sim/http_api.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::terminal_sim {
namespace {

// A request holds a thread until it is answered, so the long polls must leave some for everyone else.
constexpr int kThreads = 96;
constexpr int kMostWaiting = 64;
constexpr int64_t kLongestWaitMs = 25000;
constexpr size_t kLargestBody = 16384;
constexpr size_t kLongestKey = 256;

struct CreateBody {
  int64_t amount = 0;
  std::string currency;
  std::string kiosk_id;
  int64_t attempt = 1;
  int64_t expires_in_ms = 120000;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("amount", s.amount, json::Range(1, 1000000000000));
    v.Required("currency", s.currency, json::Range(3, 3));
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
    v.Optional("attempt", s.attempt, json::Range(1, 1000));
    v.Optional("expires_in_ms", s.expires_in_ms, json::Range(1, 3600000));
  }
};

struct CancelBody {
  std::optional<int64_t> attempt;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("attempt", s.attempt, json::Range(1, 1000));
  }
};

struct RefundBody {
  int64_t amount = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("amount", s.amount, json::Range(1, 1000000000000));
  }
};

struct TapBody {
  std::string token;
  std::string kiosk_id;
  std::optional<std::string> order_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("token", s.token, json::Range(1, 100));
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
    v.Optional("order_id", s.order_id, json::Range(1, kLongestKey));
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

struct ListBody {
  std::vector<Intent> intents;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("intents", s.intents);
  }
};

struct Refusal {
  int http_status;
  absl::string_view code;
};

Refusal RefusalOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {400, "invalid_request"};
    case absl::StatusCode::kNotFound:
      return {404, "not_found"};
    case absl::StatusCode::kAlreadyExists:
      return {409, "key_reused"};
    case absl::StatusCode::kAborted:
      return {409, "wrong_attempt"};
    case absl::StatusCode::kFailedPrecondition:
      return {409, "wrong_state"};
    case absl::StatusCode::kOutOfRange:
      return {409, "amount_too_large"};
    case absl::StatusCode::kUnavailable:
      return {503, "journal_unavailable"};
    default:
      return {500, "internal"};
  }
}

void Answer(httplib::Response& response, int http_status, const std::string& body) {
  response.status = http_status;
  response.set_content(body, "application/json");
}

void Refuse(httplib::Response& response, const absl::Status& status) {
  const Refusal refusal = RefusalOf(status.code());
  ErrorBody body;
  body.error.code = std::string(refusal.code);
  body.error.message = std::string(status.message());
  Answer(response, refusal.http_status, json::Encode(body));
}

void AnswerWith(httplib::Response& response, const absl::StatusOr<Intent>& intent, int http_status = 200) {
  if (intent.ok()) {
    Answer(response, http_status, json::Encode(*intent));
  } else {
    Refuse(response, intent.status());
  }
}

absl::StatusOr<std::string> IdempotencyKey(const httplib::Request& request) {
  std::string key = request.get_header_value("Idempotency-Key");
  if (key.empty() || key.size() > kLongestKey) {
    return absl::InvalidArgumentError(
        absl::StrCat("the header Idempotency-Key must have 1 to ", kLongestKey, " bytes"));
  }
  return key;
}

absl::StatusOr<int64_t> IntegerParameter(const httplib::Request& request, const char* name, int64_t missing) {
  if (!request.has_param(name)) return missing;
  int64_t value = 0;
  if (!absl::SimpleAtoi(request.get_param_value(name), &value) || value < 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be a whole number of 0 or more"));
  }
  return value;
}

absl::StatusOr<Intent> Create(Device& device, const httplib::Request& request, bool* created) {
  CreateRequest wanted;
  ASSIGN_OR_RETURN(wanted.key, IdempotencyKey(request));
  ASSIGN_OR_RETURN(CreateBody body, json::Decode<CreateBody>(request.body));
  if (!std::all_of(body.currency.begin(), body.currency.end(), absl::ascii_isupper)) {
    return absl::InvalidArgumentError("currency: must be three capital letters");
  }
  wanted.attempt = body.attempt;
  wanted.amount = body.amount;
  wanted.currency = std::move(body.currency);
  wanted.kiosk_id = std::move(body.kiosk_id);
  wanted.expires_in = absl::Milliseconds(body.expires_in_ms);
  return device.Create(wanted, created);
}

std::string Metrics(Device& device) {
  std::map<absl::string_view, int64_t> by_state;
  for (const absl::string_view state : EnumNames(State())) by_state[state] = 0;
  for (const Intent& intent : device.List())
    ++by_state[EnumNames(State())[static_cast<size_t>(intent.state)]];
  std::string text =
      "# HELP terminal_sim_intents Payment intents by the state they are in.\n# TYPE terminal_sim_intents "
      "gauge\n";
  for (const auto& [state, count] : by_state) {
    absl::StrAppend(&text, "terminal_sim_intents{state=\"", state, "\"} ", count, "\n");
  }
  absl::StrAppend(&text,
                  "# HELP terminal_sim_taps_total Cards at the terminal by what came of them.\n"
                  "# TYPE terminal_sim_taps_total counter\n",
                  "terminal_sim_taps_total{result=\"taken\"} ", device.taps_taken(),
                  "\nterminal_sim_taps_total{result=\"ignored\"} ", device.taps_ignored(), "\n");
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpApi>> HttpApi::Start(Device* device, const std::string& host, int port) {
  auto api = std::unique_ptr<HttpApi>(new HttpApi(device));
  api->Route();
  api->server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // An idle connection holds a thread as well.
  api->server_.set_keep_alive_timeout(1);
  api->server_.set_payload_max_length(kLargestBody);
  api->server_.set_tcp_nodelay(true);
  if (port == 0) {
    api->port_ = api->server_.bind_to_any_port(host.c_str());
  } else if (api->server_.bind_to_port(host.c_str(), port)) {
    api->port_ = port;
  } else {
    api->port_ = -1;
  }
  if (api->port_ < 0) return absl::UnavailableError(absl::StrCat("cannot listen on ", host, ":", port));
  api->thread_ = std::thread([server = &api->server_] { server->listen_after_bind(); });
  // stop() does nothing to a server whose loop has not begun; one that answers has.
  if (!httplib::Client(host, api->port_).Get("/healthz")) {
    return absl::UnavailableError(absl::StrCat("no answer from ", host, ":", api->port_));
  }
  return api;
}

HttpApi::~HttpApi() {
  device_->Stop();
  server_.stop();
  if (thread_.joinable()) thread_.join();
}

void HttpApi::Route() {
  using httplib::Request;
  using httplib::Response;

  server_.Get("/healthz",
              [](const Request&, Response& response) { Answer(response, 200, "{\"status\":\"SERVING\"}"); });
  server_.Get("/metrics", [this](const Request&, Response& response) {
    response.set_content(Metrics(*device_), "text/plain; version=0.0.4");
  });
  server_.Post("/v1/intents", [this](const Request& request, Response& response) {
    bool created = false;
    const absl::StatusOr<Intent> intent = Create(*device_, request, &created);
    AnswerWith(response, intent, created ? 201 : 200);
  });
  server_.Get("/v1/intents", [this](const Request& request, Response& response) {
    if (request.has_param("key"))
      return AnswerWith(response, device_->GetByKey(request.get_param_value("key")));
    Answer(response, 200, json::Encode(ListBody{device_->List()}));
  });
  server_.Get("/v1/intents/([^/]+)", [this](const Request& request, Response& response) {
    const std::string id = request.matches[1];
    AnswerWith(response, [&]() -> absl::StatusOr<Intent> {
      ASSIGN_OR_RETURN(const int64_t wait_ms, IntegerParameter(request, "wait_ms", 0));
      ASSIGN_OR_RETURN(Intent intent, device_->Get(id));
      ASSIGN_OR_RETURN(const int64_t version, IntegerParameter(request, "version", intent.version));
      if (wait_ms == 0 || intent.version != version) return intent;
      absl::StatusOr<Intent> changed = intent;
      if (++waiting_ <= kMostWaiting) {
        changed = device_->WaitForChange(id, version, absl::Milliseconds(std::min(wait_ms, kLongestWaitMs)));
      }
      --waiting_;
      return changed;
    }());
  });
  server_.Post("/v1/intents/([^/]+)/cancel", [this](const Request& request, Response& response) {
    AnswerWith(response, [&]() -> absl::StatusOr<Intent> {
      CancelBody body;
      if (!request.body.empty()) {
        ASSIGN_OR_RETURN(body, json::Decode<CancelBody>(request.body));
      }
      return device_->Cancel(request.matches[1], body.attempt);
    }());
  });
  server_.Post("/v1/intents/([^/]+)/refund", [this](const Request& request, Response& response) {
    AnswerWith(response, [&]() -> absl::StatusOr<Intent> {
      ASSIGN_OR_RETURN(const std::string key, IdempotencyKey(request));
      ASSIGN_OR_RETURN(const RefundBody body, json::Decode<RefundBody>(request.body));
      return device_->Refund(request.matches[1], key, body.amount);
    }());
  });
  server_.Post("/v1/test_helpers/tap", [this](const Request& request, Response& response) {
    AnswerWith(response, [&]() -> absl::StatusOr<Intent> {
      ASSIGN_OR_RETURN(TapBody body, json::Decode<TapBody>(request.body));
      return device_->OnTap({std::move(body.token), std::move(body.kiosk_id), std::move(body.order_id)});
    }());
  });
  server_.set_error_handler([](const Request& request, Response& response) {
    if (!response.body.empty()) return;
    ErrorBody body;
    body.error.code = response.status == 404 ? "not_found" : "invalid_request";
    body.error.message = absl::StrCat(request.method, " ", request.path, " is not served");
    response.set_content(json::Encode(body), "application/json");
  });
}

}  // namespace arc::terminal_sim
