#include "common/http/http_client.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace arc {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;
using Steady = std::chrono::steady_clock;
using Tcp = asio::ip::tcp;

constexpr int kHttp11 = 11;

Steady::time_point In(absl::Duration length) {
  return Steady::now() + absl::ToChronoNanoseconds(length);
}

}  // namespace

struct HttpClient::Impl {
  Impl(Url the_url, std::vector<std::pair<std::string, std::string>> the_headers, Limits the_limits)
      : url(std::move(the_url)), headers(std::move(the_headers)), limits(the_limits) {
    authority = url.server;
    secure = absl::ConsumePrefix(&authority, "https://");
    if (!secure) absl::ConsumePrefix(&authority, "http://");
    const size_t colon = authority.find(':', absl::StartsWith(authority, "[") ? authority.find(']') : 0);
    host = std::string(authority.substr(0, colon));
    if (absl::StartsWith(host, "[")) host = host.substr(1, host.size() - 2);
    port = secure ? "443" : "80";
    if (colon != absl::string_view::npos) port = std::string(authority.substr(colon + 1));
    if (!secure) return;
    Error none;  // without the machine's authorities no server is believed
    tls.set_default_verify_paths(none);
    tls.set_verify_mode(asio::ssl::verify_peer);
  }

  // Runs what `start` begins with the handler that it is given, until that was called. False at the
  // `deadline`, and when the client was cancelled; the handler may be called later still.
  template <typename Start>
  bool Finish(Steady::time_point deadline, const std::shared_ptr<std::optional<Error>>& outcome,
              const Start& start) {
    start([outcome](const Error& error, const auto&...) { *outcome = error; });
    context.restart();
    while (!outcome->has_value()) {
      if (cancelled || context.run_one_until(deadline) == 0) return false;
    }
    return true;
  }

  // Likewise, of what the connection does: after it nothing refers to what `start` was given.
  template <typename Start>
  absl::Status Await(Steady::time_point deadline, const Start& start) {
    const auto outcome = std::make_shared<std::optional<Error>>();
    const bool finished = Finish(deadline, outcome, start);
    if (finished) return ToStatus(**outcome);
    Error none;
    connection->next_layer().close(none);
    while (!outcome->has_value()) {
      context.restart();
      context.run_one();
    }
    return Unfinished();
  }

  absl::Status Unfinished() const {
    return cancelled ? absl::CancelledError("cancelled") : absl::DeadlineExceededError("no answer in time");
  }

  static absl::Status ToStatus(const Error& error) {
    if (!error) return absl::OkStatus();
    if (error == http::error::header_limit || error == http::error::body_limit ||
        error == http::error::buffer_overflow) {
      return absl::ResourceExhaustedError("the answer is too large");
    }
    return absl::UnavailableError(error.message());
  }

  absl::Status Connect(Steady::time_point deadline) {
    // A look-up cannot be ended: it may outlive this call, but not the client.
    struct Lookup {
      explicit Lookup(asio::io_context& context) : resolver(context) {}
      Tcp::resolver resolver;
      Tcp::resolver::results_type addresses;
    };
    const auto lookup = std::make_shared<Lookup>(context);
    const auto found = std::make_shared<std::optional<Error>>();
    const bool finished = Finish(deadline, found, [&](const auto& done) {
      lookup->resolver.async_resolve(
          host, port, [lookup, done](const Error& error, Tcp::resolver::results_type addresses) {
            lookup->addresses = std::move(addresses);
            done(error);
          });
    });
    if (!finished) return Unfinished();
    RETURN_IF_ERROR(ToStatus(**found));

    connection.emplace(context, tls);
    buffer.clear();
    RETURN_IF_ERROR(Await(deadline, [&](const auto& done) {
      asio::async_connect(connection->next_layer(), lookup->addresses, done);
    }));
    Error none;
    connection->next_layer().set_option(Tcp::no_delay(true), none);
    if (!secure) return absl::OkStatus();
    SSL_set_tlsext_host_name(connection->native_handle(), host.c_str());
    connection->set_verify_callback(asio::ssl::host_name_verification(host));
    return Await(deadline, [&](const auto& done) {
      connection->async_handshake(asio::ssl::stream_base::client, done);
    });
  }

  // On the connection that there is.
  template <typename Stream>
  absl::StatusOr<HttpAnswer> Exchange(Stream& stream, http::request<http::string_body>& request,
                                      Steady::time_point deadline) {
    RETURN_IF_ERROR(Await(deadline, [&](const auto& done) { http::async_write(stream, request, done); }));
    for (;;) {
      http::response_parser<http::string_body> parser;
      parser.header_limit(static_cast<uint32_t>(limits.head));
      parser.body_limit(limits.body);
      RETURN_IF_ERROR(
          Await(deadline, [&](const auto& done) { http::async_read_header(stream, buffer, parser, done); }));
      // Boost 1.74 does not hold this against its limit.
      if (parser.content_length().value_or(0) > limits.body) {
        return ToStatus(make_error_code(http::error::body_limit));
      }
      RETURN_IF_ERROR(
          Await(deadline, [&](const auto& done) { http::async_read(stream, buffer, parser, done); }));
      const http::response<http::string_body>& response = parser.get();
      if (response.result_int() < 200) continue;  // more follows
      if (!parser.keep_alive()) connection.reset();
      const boost::beast::string_view retry_after = response[http::field::retry_after];
      return HttpAnswer{static_cast<int>(response.result_int()), response.body(),
                        std::string(retry_after.data(), retry_after.size())};
    }
  }

  absl::StatusOr<HttpAnswer> Post(absl::string_view content_type, const std::string& body) {
    http::request<http::string_body> request(http::verb::post, url.path.empty() ? "/" : url.path, kHttp11);
    for (const auto& [name, value] : headers) request.set(name, value);
    request.set(http::field::host, std::string(authority));
    request.set(http::field::content_type, std::string(content_type));
    request.body() = body;
    request.prepare_payload();
    const Steady::time_point deadline = In(limits.whole);
    for (;;) {
      const bool kept = connection.has_value();
      if (!kept) {
        const absl::Status connected = Connect(std::min(deadline, In(limits.connect)));
        if (!connected.ok()) {
          connection.reset();
          return connected;
        }
      }
      absl::StatusOr<HttpAnswer> answer = secure ? Exchange(*connection, request, deadline)
                                                 : Exchange(connection->next_layer(), request, deadline);
      if (answer.ok()) return answer;
      connection.reset();
      // A server may close at any time what it has kept.
      if (!kept || !absl::IsUnavailable(answer.status())) return answer;
    }
  }

  const Url url;
  const std::vector<std::pair<std::string, std::string>> headers;
  const Limits limits;
  absl::string_view authority;  // of `url`
  std::string host;
  std::string port;
  bool secure = false;

  asio::io_context context;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  std::optional<asio::ssl::stream<Tcp::socket>> connection;     // without TLS its socket alone is used
  boost::beast::flat_buffer buffer{limits.head + limits.body};  // what has come of it and is not read yet
  bool cancelled = false;                                       // of the thread that posts
};

HttpClient::HttpClient(Url url, std::vector<std::pair<std::string, std::string>> headers, Limits limits)
    : impl_(std::make_unique<Impl>(std::move(url), std::move(headers), limits)) {}

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpAnswer> HttpClient::Post(absl::string_view content_type, const std::string& body) {
  return impl_->Post(content_type, body);
}

void HttpClient::Cancel() {
  Impl* const impl = impl_.get();
  asio::post(impl->context, [impl] { impl->cancelled = true; });
}

}  // namespace arc
