#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/http/request_reader.h"
#include "common/status/status.h"
#include "httplib.h"

namespace arc {
namespace {

// Probes, scrapes and receipts: a few at a time.
constexpr int kThreads = 8;
constexpr size_t kMaxJobs = 256;  // whole requests that wait
constexpr int kBacklog = 128;

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

void Name(int socket, int (*ask)(int, sockaddr*, socklen_t*), std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (ask(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    port = ntohs(v6->sin6_port);
  }
  ip = text.data();
}

// A request that has been read, and the socket that its answer goes to until `deadline` says it is too late.
class Exchange : public httplib::Stream {
 public:
  Exchange(int socket, std::string request, std::function<absl::Time()> deadline)
      : socket_(socket), request_(std::move(request)), deadline_(std::move(deadline)) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return AwaitWritable(); }
  ssize_t read(char* to, size_t size) override {
    const size_t count = std::min(size, request_.size() - read_);
    std::memcpy(to, request_.data() + read_, count);
    read_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, size_t size) override {
    while (AwaitWritable()) {
      const ssize_t sent = send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return sent;
    }
    return -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    Name(socket_, getpeername, ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    Name(socket_, getsockname, ip, port);
  }
  socket_t socket() const override { return socket_; }

 private:
  // The deadline may come nearer meanwhile.
  bool AwaitWritable() const {
    constexpr int kSliceMs = 50;
    for (;;) {
      pollfd polled = {socket_, POLLOUT, 0};
      if (poll(&polled, 1, kSliceMs) > 0) return (polled.revents & POLLOUT) != 0;
      if (absl::Now() >= deadline_()) return false;
    }
  }

  const int socket_;
  const std::string request_;
  const std::function<absl::Time()> deadline_;
  size_t read_ = 0;
};

// The library parses and routes; what it would wait for comes through a RequestReader.
class Router : public httplib::Server {
 public:
  std::function<void(int)> on_connection;

  void Answer(httplib::Stream& stream) {
    bool closed = false;
    process_request(stream, /*close_connection=*/true, closed, nullptr);
  }
  // The library's own backlog is 5.
  void WidenBacklog() { ::listen(svr_sock_, kBacklog); }

 private:
  bool process_and_close_socket(socket_t socket) override {
    on_connection(socket);
    return true;
  }
};

// Runs on the thread that accepts: connections are only passed on.
class AtOnce : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> work) override { work(); }
  void shutdown() override {}
};

}  // namespace

struct HttpServer::Impl {
  struct Job {
    int socket;
    std::string request;
  };

  explicit Impl(const RequestLimits& the_limits) : limits(the_limits) {}

  void Answer(Job job) {
    const absl::Time since = absl::Now();
    Exchange exchange(job.socket, std::move(job.request), [this, since] {
      std::lock_guard<std::mutex> lock(mutex);
      return since + (jobs.empty() ? limits.whole : limits.pressed);
    });
    server.Answer(exchange);
    reader->Finish(job.socket);
  }
  void Work() {
    for (;;) {
      Job job{};
      {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return done || !jobs.empty(); });
        if (jobs.empty()) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      Answer(std::move(job));
    }
  }
  void Queue(int socket, std::string request) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (jobs.size() < kMaxJobs) {
        jobs.push_back({socket, std::move(request)});
        socket = -1;
      }
    }
    changed.notify_all();
    if (socket >= 0) close(socket);
  }

  const RequestLimits limits;
  Router server;
  std::mutex mutex;
  std::condition_variable changed;
  bool running = false;  // the loop runs and can be stopped
  bool done = false;
  std::deque<Job> jobs;
  std::unique_ptr<RequestReader> reader;
  std::vector<std::thread> workers;
  std::thread thread;
};

HttpServer::HttpServer() : HttpServer(RequestLimits()) {}

HttpServer::HttpServer(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {
  Router& server = impl_->server;
  // The loop asks for its threads as the first thing it does.
  server.new_task_queue = [impl = impl_.get()] {
    std::lock_guard<std::mutex> lock(impl->mutex);
    impl->running = true;
    impl->changed.notify_all();
    return new AtOnce;
  };
  server.on_connection = [impl = impl_.get()](int socket) { impl->reader->Take(socket); };
  server.set_payload_max_length(limits.body_bytes);
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
  impl_->server.WidenBacklog();
  impl_->reader = std::make_unique<RequestReader>(
      impl_->limits,
      [impl = impl_.get()](int socket, std::string request) { impl->Queue(socket, std::move(request)); });
  for (int i = 0; i < kThreads; ++i) impl_->workers.emplace_back([impl = impl_.get()] { impl->Work(); });
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
  impl_->reader->Stop();
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->done = true;
  }
  impl_->changed.notify_all();
  for (std::thread& worker : impl_->workers) worker.join();
  impl_->workers.clear();
}

}  // namespace arc
