#include "common/http/http_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"

namespace arc {
namespace {

using ::testing::HasSubstr;

constexpr char kType[] = "text/plain";
// What fits into the sockets of both sides, besides what is read.
constexpr size_t kMostSent = 16 << 20;

// A server that does with each connection what it is told.
class Server {
 public:
  // One connection of it, numbered from 1.
  class Connection {
   public:
    Connection(const Server& server, int socket, int number)
        : server_(server), socket_(socket), number_(number) {}
    int number() const { return number_; }
    // False at the end of the connection or of the server.
    bool Await(short events) const {
      for (;;) {
        pollfd waiting{socket_, events, 0};
        if (server_.ending_ || poll(&waiting, 1, 20) < 0) return false;
        if (waiting.revents != 0) return (waiting.revents & events) != 0;
      }
    }
    // Whether the client has left within the next 20 ms.
    bool Gone() const {
      pollfd waiting{socket_, POLLRDHUP, 0};
      return server_.ending_ || poll(&waiting, 1, 20) != 0;
    }
    // A whole request, as the client sends it; empty at the end.
    std::string Request() const {
      std::string text;
      while (!absl::StrContains(text, "\r\n\r\nbody")) {
        char part[4096];
        const ssize_t count = Await(POLLIN) ? recv(socket_, part, sizeof(part), 0) : 0;
        if (count <= 0) return "";
        text.append(part, static_cast<size_t>(count));
      }
      return text;
    }
    bool Send(absl::string_view text) {
      while (!text.empty()) {
        const ssize_t count =
            Await(POLLOUT) ? send(socket_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
        if (count <= 0) return false;
        sent_ += static_cast<size_t>(count);
        text.remove_prefix(static_cast<size_t>(count));
      }
      return true;
    }
    void SendForEver(const std::string& text) {
      while (Send(text)) {
      }
    }
    size_t sent() const { return sent_; }

   private:
    const Server& server_;
    const int socket_;
    const int number_;
    size_t sent_ = 0;
  };

  explicit Server(std::function<void(Connection&)> serve)
      : serve_(std::move(serve)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() { Stop(); }

  void Stop() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Url url(absl::string_view scheme = "http") const {
    return Url{absl::StrCat(scheme, "://127.0.0.1:", port_), "/v1/traces"};
  }
  // Valid after Stop().
  size_t sent() const { return sent_; }
  int connections() const { return connections_; }

 private:
  void Run() {
    while (!ending_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) continue;
      Connection connection(*this, accepted, ++connections_);
      serve_(connection);
      sent_ += connection.sent();
      close(accepted);
    }
    close(listener_);
  }

  const std::function<void(Connection&)> serve_;
  const int listener_;
  int port_ = 0;
  std::atomic<bool> ending_{false};
  size_t sent_ = 0;
  int connections_ = 0;
  std::thread thread_;
};

HttpClient::Limits Patient() {
  HttpClient::Limits limits;
  limits.connect = limits.whole = absl::Seconds(30);
  return limits;
}
HttpClient::Limits Hasty() {
  HttpClient::Limits limits;
  limits.connect = limits.whole = absl::Milliseconds(300);
  return limits;
}

TEST(HttpClientTest, ARequestAndItsAnswer) {
  std::string request;
  Server server([&request](Server::Connection& connection) {
    request = connection.Request();
    connection.Send("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
  });
  HttpClient client(server.url(), {{"x-key", "secret"}}, Patient());
  const absl::StatusOr<HttpAnswer> answer = client.Post(kType, "body");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "no");
  EXPECT_EQ(answer->retry_after, "7");
  server.Stop();
  EXPECT_THAT(request, HasSubstr("POST /v1/traces HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr(absl::StrCat("Host: ", server.url().server.substr(7), "\r\n")));
  EXPECT_THAT(request, HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(request, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(request, HasSubstr("x-key: secret\r\n"));
}

TEST(HttpClientTest, AConnectionIsKeptAndMadeAgainWhenItIsGone) {
  Server server([](Server::Connection& connection) {
    // The first one serves two requests and closes without a word, the others one, and say so.
    for (int i = connection.number() == 1 ? 2 : 1; i > 0 && !connection.Request().empty(); --i) {
      connection.Send(absl::StrCat("HTTP/1.1 200 OK\r\n",
                                   connection.number() == 1 ? "" : "Connection: close\r\n",
                                   "Content-Length: 1\r\n\r\n", connection.number()));
    }
  });
  HttpClient client(server.url(), {}, Patient());
  for (const char* body : {"1", "1", "2", "3"}) {
    const absl::StatusOr<HttpAnswer> answer = client.Post(kType, "body");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->body, body);
  }
  server.Stop();
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpClientTest, AnAnswerWithoutEndTakesNoMemory) {
  const std::string much(64 << 10, 'a');
  for (const auto& [begin, part] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", much},
           {"HTTP/1.1 200 ", much},
           {"HTTP/1.1 200 OK\r\nX: ", much},
           {"HTTP/1.1 200 OK\r\n", "X: y\r\nX: y\r\nX: y\r\n"},
           {"HTTP/1.1 200 OK\r\n\r\n", much},
           {"HTTP/1.1 503 Busy\r\n\r\n", much},
           {"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", much},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", absl::StrCat("10000\r\n", much, "\r\n")},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;x=y\r\na\r\n"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", much},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", much},
       }) {
    SCOPED_TRACE(begin);
    Server server([&begin = begin, &part = part](Server::Connection& connection) {
      if (!connection.Request().empty() && connection.Send(begin)) connection.SendForEver(part);
    });
    HttpClient client(server.url(), {}, Patient());
    const absl::StatusOr<HttpAnswer> answer = client.Post(kType, "body");
    EXPECT_TRUE(absl::IsResourceExhausted(answer.status()) || absl::IsUnavailable(answer.status()))
        << answer.status();
    server.Stop();
    EXPECT_LT(server.sent(), kMostSent);
  }
}

TEST(HttpClientTest, AnAnswerThatNeverEndsTakesNoLongerThanTheLimit) {
  const auto hang = [](Server::Connection& connection) { connection.Await(0); };
  for (const std::function<void(Server::Connection&)>& serve :
       std::initializer_list<std::function<void(Server::Connection&)>>{
           hang,
           [&](Server::Connection& connection) {
             connection.Request();
             connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
             hang(connection);
           },
           [](Server::Connection& connection) {  // always more, and never the answer
             connection.Request();
             connection.SendForEver("HTTP/1.1 100 Continue\r\n\r\n");
           },
           [](Server::Connection& connection) {  // a byte now and then
             connection.Request();
             connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
             while (connection.Send("a") && !connection.Gone()) {
             }
           }}) {
    Server server(serve);
    HttpClient client(server.url(), {}, Hasty());
    EXPECT_THAT(client.Post(kType, "body").status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
}

TEST(HttpClientTest, NoHttpIsNoAnswer) {
  Server garbage([](Server::Connection& connection) {
    connection.Request();
    connection.Send("\x15\x03\x01\r\n\r\n");
  });
  HttpClient client(garbage.url(), {}, Patient());
  EXPECT_THAT(client.Post(kType, "body").status(), StatusIs(absl::StatusCode::kUnavailable));
  HttpClient secure(garbage.url("https"), {}, Hasty());
  EXPECT_FALSE(secure.Post(kType, "body").ok());
  HttpClient nobody(Url{"http://127.0.0.1:1", ""}, {}, Patient());
  EXPECT_THAT(nobody.Post(kType, "body").status(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(HttpClientTest, CancelEndsWhatGoesOn) {
  std::atomic<HttpClient*> cancelled{nullptr};
  Server server([&cancelled](Server::Connection& connection) {
    if (!connection.Request().empty()) cancelled.load()->Cancel();
    connection.Await(0);
  });
  HttpClient client(server.url(), {}, Patient());
  cancelled = &client;
  EXPECT_THAT(client.Post(kType, "body").status(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client.Post(kType, "body").status(), StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace arc
