#include <signal.h>

#include <filesystem>
#include <string>

#include "common/bus/nats_bus.h"
#include "gmock/gmock.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::testing_support {
namespace {

using ::testing::HasSubstr;

TEST(AwaitTest, SaysWhatItWaitedFor) {
  EXPECT_NONFATAL_FAILURE(Await("the moon", absl::Milliseconds(5), [] { return false; }), "the moon");
  int asked = 0;
  EXPECT_TRUE(Await("three questions", absl::Seconds(10), [&] { return ++asked == 3; }));
}

TEST(ProcessTest, KeepsOutputAndStatus) {
  const Finished finished = RunProgram({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(finished.status, 3);
  EXPECT_EQ(finished.out, "out\n");
  EXPECT_EQ(finished.err, "err\n");
  EXPECT_THAT(RunProgram({"/no/such/program"}).err, HasSubstr("cannot run /no/such/program"));
}

TEST(ProcessTest, SignalsAndKills) {
  auto process = Process::Start({"tail", "-f", "/dev/null"});
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE((*process)->running());
  (*process)->Send(SIGTERM);
  EXPECT_EQ((*process)->WaitExit(absl::Seconds(10)), 128 + SIGTERM);
  auto other = Process::Start({"tail", "-f", "/dev/null"});
  ASSERT_TRUE(other.ok());
  (*other)->Kill();
  EXPECT_EQ((*other)->WaitExit(absl::ZeroDuration()), 128 + SIGKILL);
}

TEST(ProcessTest, AwaitFileShowsWhatAnEndedProcessWrote) {
  TempDir dir;
  auto process = Process::Start({"sh", "-c", "echo broken >&2"});
  ASSERT_TRUE(process.ok());
  EXPECT_NONFATAL_FAILURE((*process)->AwaitFile(dir.File("ready"), absl::Seconds(10)), "broken");
}

TEST(TempDirTest, RemovesItself) {
  std::string path;
  {
    TempDir dir;
    path = dir.path();
    EXPECT_TRUE(std::filesystem::is_directory(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(NatsServerTest, KeepsItsPortAndItsFileStreamsThroughAKill) {
  NatsServer server;
  server.Provision();
  const int port = server.port();
  server.Kill();
  server.Restart();
  EXPECT_EQ(server.port(), port);
  auto bus = bus::NatsBus::Connect(SystemClock::Get(), {server.url(), "test", "", ""});
  ASSERT_TRUE(bus.ok());
  ASSERT_TRUE((*bus)->AwaitConnected(absl::Seconds(10)));
  EXPECT_TRUE((*bus)->OpenBucket("KIOSK_MENU").ok());
  EXPECT_TRUE((*bus)->GetConsumerInfo("KIOSK_EVENTS", "orchestrator-input-consumer").ok());
  EXPECT_TRUE(absl::IsNotFound((*bus)->GetConsumerInfo("KIOSK_COMMANDS", "menu-agent-consumer").status()))
      << "a memory stream does not survive";
}

TEST(NatsServerTest, TwoServersRunSideBySide) {
  NatsServer first, second;
  EXPECT_NE(first.port(), second.port());
}

}  // namespace
}  // namespace arc::testing_support
