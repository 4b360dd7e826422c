#include "common/http/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status/status_matchers.h"

namespace arc {
namespace {

using ::testing::HasSubstr;

TEST(UrlTest, IsServerAndPath) {
  const struct {
    const char* text;
    const char* server;
    const char* path;
  } cases[] = {{"http://127.0.0.1:8880", "http://127.0.0.1:8880", ""},
               {"https://models.example.com", "https://models.example.com", ""},
               {"https://models.example.com/", "https://models.example.com", ""},
               {"http://localhost:1/v1/", "http://localhost:1", "/v1"},
               {"http://localhost/a/b", "http://localhost", "/a/b"},
               {"http://[::1]:4318/v1", "http://[::1]:4318", "/v1"},
               {"http://[::1]", "http://[::1]", ""}};
  for (const auto& c : cases) {
    const absl::StatusOr<Url> url = ParseUrl(c.text);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_EQ(url->server, c.server) << c.text;
    EXPECT_EQ(url->path, c.path) << c.text;
  }
}

TEST(UrlTest, IsRefused) {
  for (const char* text : {"", "localhost:80", "ftp://localhost", "http://", "https:///v1", "http://:80",
                           "http://h:", "http://h:0", "http://h:65536", "http://h:8x", "http://h/?q",
                           "http://h/#f", "http://h /", "http://u:p@h/", "http://[::1", "http://[::1]x:80"}) {
    const absl::StatusOr<Url> url = ParseUrl(text);
    EXPECT_TRUE(absl::IsInvalidArgument(url.status())) << text;
    EXPECT_THAT(std::string(url.status().message()), HasSubstr(std::string("'") + text + "'"));
  }
}

}  // namespace
}  // namespace arc
