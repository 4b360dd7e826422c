#include "common/http/http_server.h"

#include <string>

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

}  // namespace
}  // namespace arc
