#include "services/hardware/printer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/device_printer.h"
#include "services/hardware/file_printer.h"
#include "services/hardware/file_util.h"
#include "services/hardware/receipt_reader.h"
#include "services/hardware/test_support.h"

namespace arc::hardware {
namespace {

using ::testing::HasSubstr;
using Condition = PrinterState::Condition;
using Fate = PrintResult::Fate;

// Generous where something is expected to happen, short where nothing is.
PrinterTimeouts TestTimeouts() {
  PrinterTimeouts timeouts;
  timeouts.connect = timeouts.write = timeouts.finish = std::chrono::milliseconds(10000);
  timeouts.status = std::chrono::milliseconds(2000);
  timeouts.close = std::chrono::milliseconds(2000);
  return timeouts;
}

std::string PaperOf(const std::string& path) {
  const auto bytes = ReadFile(path);
  EXPECT_THAT(bytes, IsOk());
  const auto text = EscPosToText(bytes.value_or(""), 48);
  EXPECT_THAT(text, IsOk());
  return text.value_or("");
}

TEST(OpenPrinterTest, NamesWhatItTakes) {
  testing_support::TempDir folder;
  EXPECT_THAT(OpenPrinter(absl::StrCat("file:", folder.path(), "/p")), IsOk());
  EXPECT_EQ((*OpenPrinter("tcp:printer.local:9100"))->name(), "tcp:printer.local:9100");
  EXPECT_THAT(OpenPrinter("tcp:[::1]:9100"), IsOk());
  EXPECT_EQ((*OpenPrinter("dev:/dev/usb/lp0"))->name(), "dev:/dev/usb/lp0");
  for (const char* bad :
       {"", "file:", "tcp:host", "tcp::9100", "tcp:host:0", "tcp:host:65536", "tcp:host:x", "lpt1"}) {
    EXPECT_THAT(OpenPrinter(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("file:PATH")))
        << bad;
  }
  EXPECT_THAT(OpenPrinter(absl::StrCat("file:", folder.path(), "/none/p")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("none/p")));
}

TEST(FilePrinterTest, AppendsJobsAndKnowsThemAfterARestart) {
  testing_support::TempDir folder;
  const std::string path = folder.path() + "/paper";
  {
    auto printer = FilePrinter::Open(path);
    ASSERT_THAT(printer, IsOk());
    EXPECT_EQ((*printer)->WasPrinted("a"), false);
    EXPECT_EQ((*printer)->Print("a", "first\n").fate, Fate::kPrinted);
    EXPECT_EQ((*printer)->Print("b", "second\n").fate, Fate::kPrinted);
    EXPECT_EQ((*printer)->WasPrinted("a"), true);
  }
  auto printer = FilePrinter::Open(path);
  ASSERT_THAT(printer, IsOk());
  EXPECT_EQ((*printer)->WasPrinted("a"), true);
  EXPECT_EQ((*printer)->WasPrinted("c"), false);
  // The file remembers: the same job is on the paper once.
  EXPECT_EQ((*printer)->Print("a", "first\n").fate, Fate::kPrinted);
  EXPECT_EQ(PaperOf(path), "first\nsecond\n");
}

TEST(FilePrinterTest, AJobThatACrashCutShortIsRemovedAndPrintedWhole) {
  testing_support::TempDir folder;
  const std::string whole_path = folder.path() + "/whole";
  auto whole_printer = FilePrinter::Open(whole_path);
  ASSERT_THAT(whole_printer, IsOk());
  (*whole_printer)->Print("a", "first\n");
  const std::string first = *ReadFile(whole_path);
  (*whole_printer)->Print("b", "second\n");
  const std::string both = *ReadFile(whole_path);
  for (size_t cut = first.size(); cut < both.size(); ++cut) {
    const std::string path = absl::StrCat(folder.path(), "/cut", cut);
    ASSERT_THAT(ReplaceFile(path, both.substr(0, cut), false), IsOk());
    auto printer = FilePrinter::Open(path);
    ASSERT_THAT(printer, IsOk());
    EXPECT_EQ((*printer)->WasPrinted("a"), true) << cut;
    EXPECT_EQ((*printer)->WasPrinted("b"), false) << cut;
    EXPECT_EQ((*printer)->Print("b", "second\n").fate, Fate::kPrinted);
    EXPECT_EQ(*ReadFile(path), both) << cut;
  }
}

TEST(FilePrinterTest, BlocksThatNeverReachedTheDiskAreNotAReceipt) {
  testing_support::TempDir folder;
  const std::string path = folder.path() + "/paper";
  auto printer = FilePrinter::Open(path);
  ASSERT_THAT(printer, IsOk());
  (*printer)->Print("a", "first\n");
  std::string bytes = *ReadFile(path);
  // After a power cut: the length is right, the data is zeros.
  bytes.replace(bytes.size() - 3, 3, std::string(3, '\0'));
  ASSERT_THAT(ReplaceFile(path, bytes, false), IsOk());
  EXPECT_EQ((*printer)->WasPrinted("a"), false);
  EXPECT_EQ((*printer)->Print("a", "first\n").fate, Fate::kPrinted);
  EXPECT_EQ(PaperOf(path), "first\n");
}

TEST(FilePrinterTest, OutOfPaperByItsControlFile) {
  testing_support::TempDir folder;
  const std::string path = folder.path() + "/paper";
  auto printer = FilePrinter::Open(path);
  ASSERT_THAT(printer, IsOk());
  ASSERT_THAT(ReplaceFile(path + ".paper_out", "", false), IsOk());
  EXPECT_EQ((*printer)->GetState().condition, Condition::kPaperOut);
  const PrintResult refused = (*printer)->Print("a", "x\n");
  EXPECT_EQ(refused.fate, Fate::kNotStarted);
  EXPECT_EQ(refused.state.condition, Condition::kPaperOut);
  EXPECT_EQ(*ReadFile(path), "");
  ASSERT_EQ(unlink((path + ".paper_out").c_str()), 0);
  EXPECT_EQ((*printer)->Print("a", "x\n").fate, Fate::kPrinted);
}

TEST(FilePrinterTest, SixteenCopiesPrintAJobOnce) {
  testing_support::TempDir folder;
  const std::string path = folder.path() + "/paper";
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&path] {
      // A printer of its own each, as processes would have.
      auto printer = FilePrinter::Open(path);
      ASSERT_THAT(printer, IsOk());
      for (int job = 0; job < 5; ++job) {
        EXPECT_EQ((*printer)->Print(absl::StrCat("job", job), absl::StrCat("receipt ", job, "\n")).fate,
                  Fate::kPrinted);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = absl::StrSplit(PaperOf(path), '\n', absl::SkipEmpty());
  EXPECT_THAT(lines,
              testing::UnorderedElementsAre("receipt 0", "receipt 1", "receipt 2", "receipt 3", "receipt 4"));
}

TEST(FilePrinterTest, AFileThatWasTornOffStartsAnew) {
  testing_support::TempDir folder;
  const std::string path = folder.path() + "/paper";
  auto printer = FilePrinter::Open(path);
  ASSERT_THAT(printer, IsOk());
  (*printer)->Print("a", "first\n");
  ASSERT_EQ(rename(path.c_str(), (path + ".1").c_str()), 0);
  EXPECT_EQ((*printer)->Print("b", "second\n").fate, Fate::kPrinted);
  EXPECT_EQ(PaperOf(path), "second\n");
}

TEST(StatusAnswersTest, AreReadAsInTheManual) {
  EXPECT_EQ(ParseStatusAnswers(0x12, 0x12, 0x12)->condition, Condition::kReady);
  EXPECT_EQ(ParseStatusAnswers(0x1A, 0x32, 0x72)->condition, Condition::kPaperOut);
  EXPECT_EQ(ParseStatusAnswers(0x1A, 0x16, 0x12)->detail, "cover open");
  EXPECT_EQ(ParseStatusAnswers(0x1A, 0x52, 0x12)->detail, "printer error");
  EXPECT_EQ(ParseStatusAnswers(0x1A, 0x12, 0x12)->detail, "switched offline");
  EXPECT_TRUE(ParseStatusAnswers(0x12, 0x12, 0x1E)->paper_low);
  EXPECT_FALSE(ParseStatusAnswers('O', 'K', '\n').has_value());
}

// A receipt as long as they come, so that it does not fit into one packet or one buffer.
std::string LongJob(size_t size) {
  std::string job;
  while (job.size() < size) absl::StrAppend(&job, "line of a very long receipt\n");
  return job;
}

TEST(TcpPrinterTest, PrinterThatReportsGetsTheJobOnce) {
  FakeTcpPrinter device(FakeTcpPrinter::Behaviour{});
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), TestTimeouts());
  const PrintResult result = printer->Print("a", "hello\n");
  EXPECT_EQ(result.fate, Fate::kPrinted);
  EXPECT_TRUE(result.state.reported);
  EXPECT_EQ(device.AwaitPaper([](const std::string& p) { return p.size() >= 6; }), "hello\n");
  EXPECT_EQ(printer->WasPrinted("a"), std::nullopt);
}

TEST(TcpPrinterTest, PrinterThatDoesNotReportIsFine) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.answers_status = false;
  FakeTcpPrinter device(behaviour);
  PrinterTimeouts timeouts = TestTimeouts();
  timeouts.status = std::chrono::milliseconds(20);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), timeouts);
  const PrintResult result = printer->Print("a", LongJob(20000));
  EXPECT_EQ(result.fate, Fate::kPrinted);
  EXPECT_FALSE(result.state.reported);
  EXPECT_EQ(device.AwaitPaper([](const std::string& p) { return p.size() >= 20000; }), LongJob(20000));
}

TEST(TcpPrinterTest, OutOfPaperIsFoundBeforeTheFirstByte) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.paper_out = true;
  FakeTcpPrinter device(behaviour);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), TestTimeouts());
  PrintResult result = printer->Print("a", "hello\n");
  EXPECT_EQ(result.fate, Fate::kNotStarted);
  EXPECT_EQ(result.state.condition, Condition::kPaperOut);
  behaviour.paper_out = false;
  device.Set(behaviour);
  result = printer->Print("a", "hello\n");
  EXPECT_EQ(result.fate, Fate::kPrinted);
  EXPECT_EQ(device.AwaitPaper([](const std::string& p) { return p.size() >= 6; }), "hello\n");
}

TEST(TcpPrinterTest, PaperThatRunsOutDuringTheReceiptIsUncertain) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.paper_out_after_job = true;
  FakeTcpPrinter device(behaviour);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), TestTimeouts());
  const PrintResult result = printer->Print("a", "hello\n");
  EXPECT_EQ(result.fate, Fate::kUncertain);
  EXPECT_EQ(result.state.condition, Condition::kPaperOut);
}

TEST(TcpPrinterTest, ResetInTheMiddleIsUncertain) {
  for (const bool answers : {true, false}) {
    FakeTcpPrinter::Behaviour behaviour;
    behaviour.answers_status = answers;
    behaviour.reset_after = 5000;
    FakeTcpPrinter device(behaviour);
    PrinterTimeouts timeouts = TestTimeouts();
    if (!answers) timeouts.status = std::chrono::milliseconds(20);
    auto printer = NewTcpPrinter("127.0.0.1", device.port(), timeouts);
    const PrintResult result = printer->Print("a", LongJob(20000));
    EXPECT_EQ(result.fate, Fate::kUncertain) << answers;
    EXPECT_EQ(result.state.condition, Condition::kOffline);
  }
}

TEST(TcpPrinterTest, PrinterThatStopsTakingBytesIsUncertainNotForEver) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.stall_after = 100;
  FakeTcpPrinter device(behaviour);
  PrinterTimeouts timeouts = TestTimeouts();
  timeouts.write = std::chrono::milliseconds(100);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), timeouts);
  const PrintResult result = printer->Print("a", LongJob(20'000'000));
  EXPECT_EQ(result.fate, Fate::kUncertain);
  EXPECT_THAT(result.state.detail, HasSubstr("took nothing for 100 ms"));
}

TEST(TcpPrinterTest, PrinterThatListensLateIsUnreachableUntilThen) {
  int port = 0;
  {
    FakeTcpPrinter device(FakeTcpPrinter::Behaviour{});
    port = device.port();
  }
  auto printer = NewTcpPrinter("127.0.0.1", port, TestTimeouts());
  const PrintResult result = printer->Print("a", "hello\n");
  EXPECT_EQ(result.fate, Fate::kNotStarted);
  EXPECT_EQ(result.state.condition, Condition::kOffline);
  EXPECT_THAT(result.state.detail, HasSubstr("Connection refused"));
  FakeTcpPrinter device(FakeTcpPrinter::Behaviour{}, port);
  EXPECT_EQ(printer->Print("a", "hello\n").fate, Fate::kPrinted);
}

TEST(TcpPrinterTest, PrinterThatAcceptsLateStillPrints) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.accepting = false;
  FakeTcpPrinter device(behaviour);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), TestTimeouts());
  PrintResult result;
  std::thread job([&] { result = printer->Print("a", "hello\n"); });
  device.AwaitPendingConnection();
  behaviour.accepting = true;
  device.Set(behaviour);
  job.join();
  EXPECT_EQ(result.fate, Fate::kPrinted);
  EXPECT_EQ(device.AwaitPaper([](const std::string& p) { return p.size() >= 6; }), "hello\n");
}

TEST(TcpPrinterTest, ModelsThatKnowFewStatusRequestsPrint) {
  FakeTcpPrinter::Behaviour behaviour;
  behaviour.answers_details = false;
  behaviour.answers_finish = false;
  FakeTcpPrinter device(behaviour);
  PrinterTimeouts timeouts = TestTimeouts();
  timeouts.status = timeouts.finish = std::chrono::milliseconds(100);
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), timeouts);
  for (const char* job : {"one\n", "two\n"}) {
    const PrintResult result = printer->Print("a", job);
    EXPECT_EQ(result.fate, Fate::kPrinted);
    EXPECT_TRUE(result.state.reported);
  }
  EXPECT_EQ(device.AwaitPaper([](const std::string& p) { return p.size() >= 8; }), "one\ntwo\n");
}

TEST(TcpPrinterTest, PrinterThatUsedToAnswerAndIsSilentIsOffline) {
  FakeTcpPrinter::Behaviour behaviour;
  FakeTcpPrinter device(behaviour);
  PrinterTimeouts timeouts = TestTimeouts();
  auto printer = NewTcpPrinter("127.0.0.1", device.port(), timeouts);
  EXPECT_EQ(printer->GetState().condition, Condition::kReady);
  behaviour.answers_status = false;
  device.Set(behaviour);
  EXPECT_EQ(printer->Print("a", "hello\n").fate, Fate::kNotStarted);
  EXPECT_EQ(device.AwaitPaper([](const std::string&) { return true; }), "");
}

TEST(DevicePrinterTest, PrintsThroughATerminalDevice) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(master, 0);
  ASSERT_EQ(grantpt(master), 0);
  ASSERT_EQ(unlockpt(master), 0);
  PrinterTimeouts timeouts = TestTimeouts();
  timeouts.status = std::chrono::milliseconds(20);
  auto printer = NewDevicePrinter(ptsname(master), timeouts);
  std::string got;
  std::thread reader([&] {
    char buffer[256];
    while (got.find("\x1B"
                    "end") == std::string::npos) {
      const ssize_t n = read(master, buffer, sizeof(buffer));
      if (n > 0) got.append(buffer, static_cast<size_t>(n));
    }
  });
  const PrintResult result = printer->Print("a",
                                            "hello\nworld\x1B"
                                            "end");
  EXPECT_EQ(result.fate, Fate::kPrinted);
  reader.join();
  close(master);
  // Raw: the line end stays one byte.
  EXPECT_THAT(got, HasSubstr("hello\nworld\x1B"
                             "end"));
}

TEST(DevicePrinterTest, MissingDeviceIsOffline) {
  testing_support::TempDir folder;
  auto printer = NewDevicePrinter(folder.path() + "/lp0", TestTimeouts());
  EXPECT_EQ(printer->GetState().condition, Condition::kOffline);
  EXPECT_EQ(printer->Print("a", "x").fate, Fate::kNotStarted);
  ASSERT_THAT(ReplaceFile(folder.path() + "/lp0", "", false), IsOk());
  EXPECT_THAT(printer->Print("a", "x").state.detail, HasSubstr("not a character device"));
}

}  // namespace
}  // namespace arc::hardware
