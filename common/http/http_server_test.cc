#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace arc {
namespace {

using ::testing::HasSubstr;

TEST(HttpServerTest, AnswersWithWhatTheHandlerSays) {
  HttpServer server;
  server.Handle("GET", "/receipts/([a-z0-9-]+)\\.pdf", [](const HttpRequest& request) {
    return HttpResponse{200,
                        "application/pdf",
                        request.method + " " + request.match + " " + request.query.at("q") + " " +
                            request.headers.at("x-test"),
                        {{"Cache-Control", "no-store"}}};
  });
  server.Handle("POST", "/charges", [](const HttpRequest& request) {
    return HttpResponse{201, "application/json", request.body, {}};
  });
  const absl::StatusOr<int> port = server.Start("127.0.0.1", 0);
  ASSERT_THAT(port, IsOk());
  httplib::Client client("127.0.0.1", *port);
  auto got = client.Get("/receipts/txn-1.pdf?q=a%20b", {{"X-Test", "yes"}});
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "GET txn-1 a b yes");
  EXPECT_EQ(got->get_header_value("Content-Type"), "application/pdf");
  EXPECT_EQ(got->get_header_value("Cache-Control"), "no-store");
  auto posted = client.Post("/charges", R"({"a":1})", "application/json");
  ASSERT_TRUE(posted);
  EXPECT_EQ(posted->status, 201);
  EXPECT_EQ(posted->body, R"({"a":1})");
  EXPECT_EQ(client.Get("/receipts/../x")->status, 404);
}

TEST(HttpServerTest, RefusesABodyAboveOneMebibyte) {
  HttpServer server;
  int calls = 0;
  server.Handle("POST", "/", [&](const HttpRequest&) {
    ++calls;
    return HttpResponse{};
  });
  const absl::StatusOr<int> port = server.Start("127.0.0.1", 0);
  ASSERT_THAT(port, IsOk());
  httplib::Client client("127.0.0.1", *port);
  auto answer = client.Post("/", std::string(1024 * 1024 + 1, 'x'), "text/plain");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  EXPECT_EQ(calls, 0);
}

TEST(HttpServerTest, AHandlerThatThrowsIsAnInternalErrorWithoutDetails) {
  HttpServer server;
  server.Handle("GET", "/", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("secret"); });
  const absl::StatusOr<int> port = server.Start("127.0.0.1", 0);
  ASSERT_THAT(port, IsOk());
  auto answer = httplib::Client("127.0.0.1", *port).Get("/");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_THAT(answer->body, Not(HasSubstr("secret")));
}

TEST(HttpServerTest, ATakenPortIsUnavailable) {
  HttpServer first;
  const absl::StatusOr<int> port = first.Start("127.0.0.1", 0);
  ASSERT_THAT(port, IsOk());
  HttpServer second;
  EXPECT_THAT(second.Start("127.0.0.1", *port),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(std::to_string(*port))));
}

TEST(HttpServerTest, StopsAtOnceAndFreesItsPort) {
  int port = 0;
  {
    HttpServer server;
    const absl::StatusOr<int> started = server.Start("127.0.0.1", 0);
    ASSERT_THAT(started, IsOk());
    port = *started;
  }
  EXPECT_FALSE(httplib::Client("127.0.0.1", port).Get("/"));
  HttpServer again;
  EXPECT_THAT(again.Start("127.0.0.1", port), IsOkAndHolds(port));
}

// A client that does as it likes.
class RawClient {
 public:
  explicit RawClient(int port, const std::string& text = "") : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    Send(text);
  }
  ~RawClient() { close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(const std::string& text) {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Everything until the server closes the connection; at most `limit`.
  std::string ReadAll(absl::Duration limit, bool* closed = nullptr) {
    const absl::Time deadline = absl::Now() + limit;
    std::string all;
    while (absl::Now() < deadline) {
      pollfd polled = {socket_, POLLIN, 0};
      if (poll(&polled, 1, 20) <= 0) continue;
      std::array<char, 4096> buffer;
      const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) {
        if (closed != nullptr) *closed = true;
        return all;
      }
      all.append(buffer.data(), static_cast<size_t>(got));
    }
    return all;
  }

 private:
  const int socket_;
};

class SlowClientsTest : public testing::Test {
 protected:
  void Start(const RequestLimits& limits = RequestLimits()) {
    server_ = std::make_unique<HttpServer>(limits);
    server_->Handle("GET", "/healthz", [](const HttpRequest&) { return HttpResponse{}; });
    server_->Handle("GET", "/large", [](const HttpRequest&) {
      return HttpResponse{200, "text/plain", std::string(size_t{16} * 1024 * 1024, 'x'), {}};
    });
    server_->Handle("POST", "/echo", [](const HttpRequest& request) {
      return HttpResponse{200, "text/plain", request.body, {}};
    });
    const absl::StatusOr<int> port = server_->Start("127.0.0.1", 0);
    ASSERT_THAT(port, IsOk());
    port_ = *port;
  }
  // Limits of tests in which nobody is cut off for being slow.
  static RequestLimits Patient() {
    RequestLimits limits;
    limits.whole = absl::Minutes(10);
    limits.many = limits.connections = 10000;
    return limits;
  }
  bool AskHealth() {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(60);
    const auto answer = client.Get("/healthz");
    return answer && answer->status == 200;
  }

  std::unique_ptr<HttpServer> server_;
  int port_ = 0;
};

TEST_F(SlowClientsTest, HalfOpenConnectionsDoNotKeepAProbeWaiting) {
  Start(Patient());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 400; ++i) {
    const char* const part = i % 3 == 0   ? ""
                             : i % 3 == 1 ? "GET /healthz HTTP/1.1\r\nHost"
                                          : "POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc";
    clients.push_back(std::make_unique<RawClient>(port_, part));
    if (i % 20 == 0) {
      EXPECT_TRUE(AskHealth()) << i;
    }
  }
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(AskHealth()) << i;
  // All of them are still there.
  bool closed = false;
  (void)clients[0]->ReadAll(absl::Milliseconds(50), &closed);
  EXPECT_FALSE(closed);
}

TEST_F(SlowClientsTest, WhoSendsTooSlowlyIsCutOff) {
  RequestLimits limits;
  limits.whole = absl::Milliseconds(400);
  Start(limits);
  RawClient client(port_, "GET /healthz HTTP/1.1\r\n");
  const absl::Time begin = absl::Now();
  // A byte now and then does not help.
  bool closed = false;
  while (!closed && absl::Now() < begin + absl::Seconds(20)) {
    (void)client.Send("a");
    (void)client.ReadAll(absl::Milliseconds(50), &closed);
  }
  EXPECT_TRUE(closed);
  EXPECT_GE(absl::Now() - begin, limits.whole);
}

TEST_F(SlowClientsTest, ManyConnectionsShortenThePatience) {
  RequestLimits limits = Patient();
  limits.many = 10;
  Start(limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(11);
  for (int i = 0; i < 10; ++i) clients.push_back(std::make_unique<RawClient>(port_, "GET /"));
  bool closed = false;
  (void)clients[0]->ReadAll(absl::Seconds(1), &closed);
  EXPECT_FALSE(closed);
  clients.push_back(std::make_unique<RawClient>(port_, "GET /"));
  (void)clients[0]->ReadAll(absl::Seconds(20), &closed);
  EXPECT_TRUE(closed);
}

TEST_F(SlowClientsTest, WhoDoesNotTakeAnswersDoesNotKeepAProbeWaiting) {
  Start(Patient());
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(24);
  for (int i = 0; i < 24; ++i) {
    clients.push_back(std::make_unique<RawClient>(port_, "GET /large HTTP/1.1\r\n\r\n"));
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(AskHealth()) << i;
}

TEST_F(SlowClientsTest, ARequestInPiecesIsOne) {
  Start();
  RawClient plain(port_);
  const std::string request = "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
  for (const char c : request) EXPECT_TRUE(plain.Send(std::string(1, c)));
  EXPECT_THAT(plain.ReadAll(absl::Seconds(20)), HasSubstr("\r\n\r\nhello"));
  RawClient chunked(port_, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n");
  EXPECT_TRUE(chunked.Send("2\r\nlo\r\n"));
  EXPECT_TRUE(chunked.Send("0\r\n\r\n"));
  EXPECT_THAT(chunked.ReadAll(absl::Seconds(20)), HasSubstr("\r\n\r\nhello"));
  RawClient polite(port_, "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(polite.ReadAll(absl::Milliseconds(500)), HasSubstr("100 Continue"));
  EXPECT_TRUE(polite.Send("hello"));
  EXPECT_THAT(polite.ReadAll(absl::Seconds(20)), HasSubstr("\r\n\r\nhello"));
}

TEST_F(SlowClientsTest, HostileRequestsAreRefused) {
  Start();
  RawClient long_head(port_, "GET /healthz HTTP/1.1\r\nA: " + std::string(20000, 'a'));
  EXPECT_THAT(long_head.ReadAll(absl::Seconds(20)), HasSubstr("HTTP/1.1 431"));
  RawClient huge(port_, "POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_THAT(huge.ReadAll(absl::Seconds(20)), HasSubstr("HTTP/1.1 413"));
  for (const char* bad : {"\r\n\r\n", "nonsense\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                          "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n"}) {
    RawClient client(port_, bad);
    bool closed = false;
    (void)client.ReadAll(absl::Seconds(20), &closed);
    EXPECT_TRUE(closed) << bad;
  }
  EXPECT_TRUE(AskHealth());
}

}  // namespace
}  // namespace arc
