#include "common/http/http_server.h"

#include <sys/socket.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "httplib.h"

namespace arc {
namespace {

// Probes, scrapes and receipts: few at a time, none for long.
constexpr int kThreads = 2;
constexpr size_t kMaxBody = size_t{1024} * 1024;
constexpr int kTimeoutSeconds = 5;

HttpRequest Convert(const httplib::Request& from) {
  HttpRequest to;
  to.method = from.method;
  to.path = from.path;
  for (const auto& [name, value] : from.params) to.query.emplace(name, value);
  for (const auto& [name, value] : from.headers) to.headers.emplace(absl::AsciiStrToLower(name), value);
  to.body = from.body;
  if (from.matches.size() > 1) to.match = from.matches[1].str();
  return to;
}

}  // namespace

struct HttpServer::Impl {
  httplib::Server server;
  std::mutex mutex;
  std::condition_variable changed;
  bool running = false;  // the loop runs and can be stopped
  std::thread thread;
};

HttpServer::HttpServer() : impl_(std::make_unique<Impl>()) {
  httplib::Server& server = impl_->server;
  // The loop asks for its threads as the first thing it does.
  server.new_task_queue = [impl = impl_.get()] {
    std::lock_guard<std::mutex> lock(impl->mutex);
    impl->running = true;
    impl->changed.notify_all();
    return new httplib::ThreadPool(kThreads);
  };
  server.set_payload_max_length(kMaxBody);
  server.set_read_timeout(kTimeoutSeconds, 0);
  server.set_write_timeout(kTimeoutSeconds, 0);
  // A kept connection occupies one of the few threads.
  server.set_keep_alive_max_count(1);
  server.set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
        response.status = 500;
        response.set_content("internal error\n", "text/plain; charset=utf-8");
      });
}

HttpServer::~HttpServer() {
  Stop();
}

void HttpServer::Handle(absl::string_view method, absl::string_view pattern, HttpHandler handler) {
  auto wrapped = [handler = std::move(handler)](const httplib::Request& from, httplib::Response& to) {
    const HttpResponse response = handler(Convert(from));
    to.status = response.status;
    for (const auto& [name, value] : response.headers) to.set_header(name.c_str(), value);
    to.set_content(response.body, response.content_type.c_str());
  };
  const std::string path(pattern);
  httplib::Server& server = impl_->server;
  if (method == "GET") {
    server.Get(path, std::move(wrapped));
  } else if (method == "POST") {
    server.Post(path, std::move(wrapped));
  } else if (method == "PUT") {
    server.Put(path, std::move(wrapped));
  } else if (method == "DELETE") {
    server.Delete(path, std::move(wrapped));
  } else if (method == "PATCH") {
    server.Patch(path, std::move(wrapped));
  }
}

absl::StatusOr<int> HttpServer::Start(absl::string_view address, int port) {
  const std::string host(address);
  // SO_REUSEPORT, which the library would set, lets two processes take the same port without a word.
  impl_->server.set_socket_options([](socket_t socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  int bound = port;
  if (port == 0) {
    bound = impl_->server.bind_to_any_port(host.c_str());
  } else if (!impl_->server.bind_to_port(host.c_str(), port)) {
    bound = -1;
  }
  if (bound < 0) {
    return MakeError(ErrorCode::kUnavailable, absl::StrCat("cannot listen for HTTP on ", host, ":", port));
  }
  impl_->thread = std::thread([this] { impl_->server.listen_after_bind(); });
  return bound;
}

void HttpServer::Stop() {
  if (!impl_->thread.joinable()) return;
  {
    std::unique_lock<std::mutex> lock(impl_->mutex);
    impl_->changed.wait(lock, [this] { return impl_->running; });
  }
  impl_->server.stop();
  impl_->thread.join();
}

}  // namespace arc
