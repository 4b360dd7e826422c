// Users of a nats-server that has some: who is refused, what is refused, and who the server says that a
// screen is.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/bus/nats_login.h"
#include "tests/bus/bus_fixture.h"

namespace arc::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::Signal;
using testing_support::TempDir;

std::unique_ptr<NatsBus> ConnectAs(const NatsServer& server, const std::string& user,
                                   const std::string& password) {
  return NatsBus::Connect(SystemClock::Get(), {server.url(), "users_test", user, password}).value();
}

// Keeps what arrives on `subject`.
class Listener {
 public:
  Listener(Bus& bus, absl::string_view subject) {
    subscription_ = bus.Subscribe(subject, "",
                                  [this](Message message) {
                                    signal_.Set([&] { messages_.push_back(std::move(message)); });
                                  })
                        .value();
  }
  bool AwaitCount(size_t count) {
    return signal_.Await(absl::StrCat(count, " messages"), kSoon, [&] { return messages_.size() >= count; });
  }
  Message at(size_t index) {
    Message message;
    signal_.Read([&] { message = messages_.at(index); });
    return message;
  }

 private:
  Signal signal_;
  std::vector<Message> messages_;
  std::unique_ptr<Subscription> subscription_;
};

class Users : public ::testing::Test {
 protected:
  void Write(absl::string_view text) const { std::ofstream(dir_.File("users.conf")) << text; }
  // nats-server reads the file's name as one beside its own configuration, also when it begins with a slash.
  std::string Include() const {
    return absl::StrCat("include \"../", std::filesystem::path(dir_.path()).filename().string(),
                        "/users.conf\"");
  }
  TempDir dir_;
};

TEST_F(Users, ARefusedUserWaitsUntilItIsLetIn) {
  Write(R"(authorization { users: [{user: menu, password: old}] })");
  const NatsServer server(Include());
  const auto bus = ConnectAs(server, "menu", "new");
  EXPECT_FALSE(bus->AwaitConnected(absl::Hours(1))) << "it waited although the server has answered";
  EXPECT_THAT(bus->refusal(), HasSubstr("Authorization Violation"));
  // What is asked of it meanwhile fails, or waits; nothing ends.
  Message message;
  message.subject = "a";
  EXPECT_FALSE(bus->Publish(message).ok());
  Listener listener(*bus, "a");

  Write(R"(authorization { users: [{user: menu, password: new}] })");
  ASSERT_EQ(kill(server.pid(), SIGHUP), 0);
  ASSERT_TRUE(Await("the user to be let in", kSoon, [&] { return bus->connected(); }));
  EXPECT_THAT(bus->refusal(), IsEmpty());
  ASSERT_TRUE(Await("both connections to be up", kSoon, [&] { return bus->Flush(kSoon).ok(); }));
  ASSERT_THAT(bus->Publish(message), IsOk());
  EXPECT_TRUE(listener.AwaitCount(1)) << "what was subscribed to before is heard";
}

TEST_F(Users, WhoLosesItsRightToConnectSaysSo) {
  Write(R"(authorization { users: [{user: menu, password: a}] })");
  const NatsServer server(Include());
  const auto bus = ConnectAs(server, "menu", "a");
  ASSERT_TRUE(bus->AwaitConnected(kSoon));
  Write(R"(authorization { users: [{user: menu, password: b}] })");
  ASSERT_EQ(kill(server.pid(), SIGHUP), 0);
  EXPECT_TRUE(
      Await("the refusal", absl::Seconds(30), [&] { return !bus->connected() && !bus->refusal().empty(); }));
}

TEST_F(Users, WhatIsRefusedIsSaidAtOnce) {
  const NatsServer server(R"(authorization { users: [
    {user: menu, password: x, permissions: {publish: ["$JS.API.INFO"], subscribe: ["_INBOX.menu.>"]}}]})");
  const auto bus = ConnectAs(server, "menu", "x");
  ASSERT_TRUE(bus->AwaitConnected(kSoon));

  // In its own inbox; a JetStream request and an event, each of which would wait for long.
  EXPECT_THAT(CoreRequestAndWait(*bus, {"$JS.API.INFO", "", {}, ""}, absl::Hours(1)), IsOk());
  EXPECT_THAT(CoreRequestAndWait(*bus, {"$JS.API.STREAM.LIST", "", {}, ""}, absl::Hours(1)),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("$JS.API.STREAM.LIST")));
  Signal signal;
  std::optional<absl::Status> stored;
  bus->PublishEvent({"kiosk.input.touch", "", {}, "{}"}, absl::Hours(1),
                    [&](absl::Status status) { signal.Set([&] { stored = std::move(status); }); });
  ASSERT_TRUE(signal.Await("the event's refusal", kSoon, [&] { return stored.has_value(); }));
  EXPECT_THAT(*stored, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("kiosk.input.touch")));
  EXPECT_THAT(bus->refused_publish(), HasSubstr("kiosk.input.touch"));

  EXPECT_THAT(bus->refused_subscriptions(), IsEmpty());
  const auto subscription = bus->Subscribe("kiosk.>", "", [](const Message&) {});
  ASSERT_TRUE(Await("the refusal", kSoon, [&] { return !bus->refused_subscriptions().empty(); }));
  EXPECT_THAT(bus->refused_subscriptions(), ElementsAre(HasSubstr("kiosk.>")));
  EXPECT_TRUE(bus->connected());
}

constexpr char kSeed[] = "SUAP6UOE5A4OIFOXM66DTXQNPLXXRMYG4PTPIISZEDQNMY7DWU6QPIWSJQ";
constexpr char kPublicKey[] = "UC55S3PRETHMVX3NOH4MJSMBOURZZ3GBAKT3J5WNN2YLCBDBUDZN7YUS";

TEST_F(Users, AnNkeyIsAsGoodAsAPassword) {
  const NatsServer server(
      absl::StrCat("authorization { users: [{nkey: ", kPublicKey,
                   ", permissions: {publish: [\"a\"], subscribe: [\"a\", \"_INBOX.menu.>\"]}}] }"));
  NatsOptions options{server.url(), "users_test", "menu", ""};
  std::ofstream(dir_.File("nkey")) << "-----BEGIN USER NKEY SEED-----\n" << kSeed << "\n------END\n";
  ASSERT_THAT(ReadLogin({"", dir_.File("nkey"), ""}, options), IsOk());
  const auto bus = NatsBus::Connect(SystemClock::Get(), options).value();
  ASSERT_TRUE(bus->AwaitConnected(kSoon)) << bus->refusal();
  Listener listener(*bus, "a");
  ASSERT_THAT(bus->Publish({"a", "", {}, "x"}), IsOk());
  EXPECT_TRUE(listener.AwaitCount(1));

  options.nkey_seed = "SUACPEJIXQHSZ7W4JBHXSMPSOJCXGTFWLCNVQIY4XO6UFR4K6BUQQOEDWY";
  const auto other = NatsBus::Connect(SystemClock::Get(), options);
  ASSERT_THAT(other, StatusIs(absl::StatusCode::kInvalidArgument)) << "its checksum is wrong";
}

// A certificate for 127.0.0.1, signed by itself.
void MakeCertificate(const TempDir& dir, const std::string& name) {
  const std::string command = absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=", name,
      " -addext subjectAltName=IP:127.0.0.1 -keyout ", dir.File(name + ".key"), " -out ",
      dir.File(name + ".pem"), " 2>/dev/null");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(bugprone-command-processor)
}

TEST_F(Users, OnlyAServerOfTheAuthorityIsSpokenTo) {
  MakeCertificate(dir_, "ours");
  MakeCertificate(dir_, "other");
  const NatsServer server(absl::StrCat("tls { cert_file: \"", dir_.File("ours.pem"), "\", key_file: \"",
                                       dir_.File("ours.key"),
                                       "\" }\n"
                                       "authorization { users: [{user: menu, password: x}] }"));
  const auto connect = [&](const std::string& authority) {
    NatsOptions options{server.url(), "users_test", "menu", "x"};
    EXPECT_THAT(ReadLogin({"", "", authority}, options), IsOk());
    return NatsBus::Connect(SystemClock::Get(), options).value();
  };
  EXPECT_TRUE(connect(dir_.File("ours.pem"))->AwaitConnected(kSoon));
  const auto fooled = connect(dir_.File("other.pem"));
  ASSERT_TRUE(Await("the server to turn the connection down", kSoon,
                    [&] { return absl::StrContains(server.log(), "TLS handshake error"); }));
  EXPECT_FALSE(fooled->connected());

  // And no server without TLS, whatever it says.
  const NatsServer plain("authorization { users: [{user: menu, password: x}] }");
  NatsOptions options{plain.url(), "users_test", "menu", "x"};
  ASSERT_THAT(ReadLogin({"", "", dir_.File("ours.pem")}, options), IsOk());
  const auto bus = NatsBus::Connect(SystemClock::Get(), options).value();
  EXPECT_FALSE(bus->AwaitConnected(absl::Milliseconds(500)));
}

TEST(NkeyTest, APublicKeyBelongsToASeed) {
  EXPECT_THAT(NkeyPublicKey(kSeed), IsOkAndHolds(kPublicKey));
  for (const std::string& wrong :
       {std::string(), std::string("SU"), std::string(kPublicKey), absl::StrCat(kSeed, "A"),
        std::string(kSeed).substr(1), std::string(kSeed).replace(20, 1, "1"),
        std::string(kSeed).replace(20, 1, "A"), absl::AsciiStrToLower(kSeed)}) {
    EXPECT_THAT(NkeyPublicKey(wrong), StatusIs(absl::StatusCode::kInvalidArgument)) << wrong;
  }
}

TEST(ReadLoginTest, SaysWhichFlagIsWrong) {
  const TempDir dir;
  std::ofstream(dir.File("password")) << "secret\n";
  std::ofstream(dir.File("nkey")) << kSeed << "\n" << kPublicKey << "\n";
  NatsOptions options;
  ASSERT_THAT(ReadLogin({dir.File("password"), "", ""}, options), IsOk());
  EXPECT_EQ(options.password, "secret");
  ASSERT_THAT(ReadLogin({"", dir.File("nkey"), ""}, options), IsOk());
  EXPECT_EQ(options.nkey_seed, kSeed);
  EXPECT_THAT(ReadLogin({"", dir.File("no"), ""}, options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("--nats_nkey_file: cannot read")));
  EXPECT_THAT(ReadLogin({dir.File("password"), dir.File("nkey"), ""}, options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not both")));
  EXPECT_THAT(ReadLogin({"", dir.File("password"), ""}, options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a seed")));
  EXPECT_THAT(ReadLogin({"", "", dir.File("password")}, options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--nats_ca_file")));
}

TEST(InboxPrefixTest, IsTheUsersOwn) {
  const auto prefix = [](const std::string& url, const std::string& user) {
    return InboxPrefix({url, "", user, ""});
  };
  EXPECT_EQ(prefix("nats://localhost:4222", ""), "_INBOX");
  EXPECT_EQ(prefix("localhost", ""), "_INBOX");
  EXPECT_EQ(prefix("nats://localhost:4222", "menu"), "_INBOX.menu");
  EXPECT_EQ(prefix("nats://localhost:4222", "hardware_kiosk-007"), "_INBOX.hardware_kiosk-007");
  EXPECT_EQ(prefix("nats://localhost:4222", "a.b >*"), "_INBOX.a_b___");
  EXPECT_EQ(prefix("nats://menu:secret@localhost:4222", ""), "_INBOX.menu");
  EXPECT_EQ(prefix("nats://token@localhost:4222", ""), "_INBOX.token");
}

}  // namespace
}  // namespace arc::bus
