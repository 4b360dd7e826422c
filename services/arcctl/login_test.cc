#include "services/arcctl/login.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace arc::arcctl {
namespace {

using testing_support::TempDir;

class LoginTest : public ::testing::Test {
 protected:
  LoginTest() {
    setenv("XDG_RUNTIME_DIR", dir_.path().c_str(), 1);
    std::filesystem::create_directory(LoginFolder());
  }
  ~LoginTest() override { unsetenv("XDG_RUNTIME_DIR"); }

  static std::string Write(const std::string& address, const std::string& text, mode_t mode = 0600) {
    std::string path = absl::StrCat(LoginFolder(), "/", address);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
  }

  TempDir dir_;
};

constexpr char kLogin[] = R"({"nats_user":"operator","nats_password":"secret"})";

TEST_F(LoginTest, IsFoundByTheServersAddress) {
  Write("127.0.0.1:4222", kLogin);
  for (const char* url : {"nats://127.0.0.1:4222", "127.0.0.1:4222", "nats://127.0.0.1:4222/",
                          "nats://localhost:4222", "localhost", "nats://127.0.0.1"}) {
    const std::optional<Login> login = FindLogin(url);
    ASSERT_TRUE(login.has_value()) << url;
    EXPECT_EQ(login->user, "operator");
    EXPECT_EQ(login->password, "secret");
  }
  for (const char* url : {"nats://127.0.0.1:4223", "nats://u:p@127.0.0.1:4222",
                          "nats://127.0.0.1:4222,nats://u:p@b", "", "nats://../x"}) {
    EXPECT_FALSE(FindLogin(url).has_value()) << url;
  }
}

TEST_F(LoginTest, OfAClusterHasAnNkeyAndAnAuthority) {
  Write("127.0.0.1:4222", R"({"nats_user":"operator","nats_nkey_seed":"SUA","nats_ca_file":"/f/ca.pem"})");
  const std::optional<Login> login = FindLogin("tls://127.0.0.1:4222,tls://127.0.0.1:4223");
  ASSERT_TRUE(login.has_value());
  EXPECT_EQ(login->user, "operator");
  EXPECT_EQ(login->password, "");
  EXPECT_EQ(login->nkey_seed, "SUA");
  EXPECT_EQ(login->ca_file, "/f/ca.pem");
}

TEST_F(LoginTest, IsThisUsersAlone) {
  for (const mode_t mode : {0640, 0604, 0660, 0644}) {
    Write("127.0.0.1:4222", kLogin, mode);
    EXPECT_FALSE(FindLogin("127.0.0.1:4222").has_value()) << mode;
  }
  const std::string real = Write("real", kLogin);
  std::filesystem::create_symlink(real, absl::StrCat(LoginFolder(), "/127.0.0.1:4333"));
  EXPECT_FALSE(FindLogin("127.0.0.1:4333").has_value()) << "through a symbolic link";
  std::filesystem::create_directory(absl::StrCat(LoginFolder(), "/127.0.0.1:4444"));
  EXPECT_FALSE(FindLogin("127.0.0.1:4444").has_value()) << "a folder";
}

TEST_F(LoginTest, WhatIsNoLoginIsNone) {
  for (const char* text : {"", "{", "[]", "{}", R"({"nats_user":"operator"})",
                           R"({"nats_user":"operator","nats_password":"x","nats_nkey_seed":"SUA"})",
                           R"({"nats_user":1,"nats_password":"x"})"}) {
    Write("127.0.0.1:4222", text);
    EXPECT_FALSE(FindLogin("127.0.0.1:4222").has_value()) << text;
  }
}

TEST(LoginFolderTest, WithoutARuntimeFolder) {
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_THAT(LoginFolder(), ::testing::StartsWith("/tmp/arc-kiosk-"));
}

}  // namespace
}  // namespace arc::arcctl
