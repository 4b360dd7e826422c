#include "services/hardware/spool.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/file_printer.h"
#include "services/hardware/file_util.h"
#include "services/hardware/test_support.h"

namespace arc::hardware {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Condition = PrinterState::Condition;

PrintJob Job(const std::string& order_id, const std::string& fingerprint = "f") {
  return {order_id, fingerprint, "receipt of " + order_id, false, ""};
}

PrintJob Reprint(const std::string& order_id, const std::string& key) {
  return {order_id, "f", "copy of " + order_id, true, key};
}

testing::Matcher<absl::StatusOr<PrintOutcome>> Printed(bool already) {
  return IsOkAndHolds(testing::Field(&PrintOutcome::already_printed, already));
}

// Holds once `done` does; fails the test after 10 s.
void Eventually(absl::string_view what, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited for " << what;
    std::this_thread::yield();
  }
}

// Events of the spool's thread, to be waited for.
class Events {
 public:
  Spool::Listener Listener() {
    return {
        [this](const PrinterState& state) { Add(std::string(ConditionName(state.condition))); },
        [this](absl::string_view order_id, absl::string_view) { Add(absl::StrCat("uncertain ", order_id)); }};
  }
  void Await(const std::string& event) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return events_.count(event) > 0; }))
        << "waited for the event " << event;
    events_.erase(event);
  }
  bool Seen(const std::string& event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return events_.count(event) > 0;
  }

 private:
  void Add(const std::string& event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    events_.insert(event);
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multiset<std::string> events_;
};

class SpoolTest : public testing::Test {
 protected:
  std::unique_ptr<Spool> Open(const std::string& folder = "spool") {
    Spool::Options options;
    options.folder = folder_.path() + "/" + folder;
    auto spool = Spool::Open(options, printer_, clock_, events_.Listener());
    EXPECT_THAT(spool, IsOk());
    if (!spool.ok()) return nullptr;
    return *std::move(spool);
  }
  std::unique_ptr<Spool> Started(const std::string& folder = "spool") {
    std::unique_ptr<Spool> spool = Open(folder);
    spool->Start(bucket_);
    return spool;
  }
  // Lets the retry that the spool waits for come.
  void PassRetry() {
    clock_.AwaitWaiters(1);
    clock_.Advance(absl::Seconds(10));
  }

  testing_support::TempDir folder_;
  ManualClock clock_;
  FakePrinter printer_;
  FakeBucket bucket_;
  Events events_;
};

TEST_F(SpoolTest, PrintsOnceThoughAskedTwice) {
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), Printed(false));
  EXPECT_THAT(spool->Print(Job("a")), Printed(true));
  EXPECT_THAT(spool->Print(Job("b")), Printed(false));
  EXPECT_THAT(printer_.paper(), ElementsAre("receipt of a", "receipt of b"));
}

TEST_F(SpoolTest, SixteenAskersAtOnceGetOneReceiptAndAllHearOfIt) {
  const auto spool = Started();
  std::atomic<int> first{0};
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int order = 0; order < 10; ++order) {
        const auto outcome = spool->Print(Job(absl::StrCat("order", order)));
        ASSERT_THAT(outcome, IsOk());
        first += outcome->already_printed ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(first, 10);
  EXPECT_THAT(printer_.paper(), SizeIs(10));
}

TEST_F(SpoolTest, TwoCopiesOfTheAgentPrintOnce) {
  const auto one = Started("one");
  const auto two = Started("two");
  EXPECT_THAT(one->Print(Job("a")), Printed(false));
  // The claim says "printed" once the first copy has told the bucket.
  clock_.AwaitWaiters(2);
  EXPECT_THAT(two->Print(Job("a")), Printed(true));
  EXPECT_THAT(two->Print(Job("a")), Printed(true));
  EXPECT_THAT(two->Print(Job("a", "other")), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(printer_.paper(), SizeIs(1));
}

TEST_F(SpoolTest, CopiesThatAreAskedAtTheSameTimePrintOnce) {
  std::vector<std::unique_ptr<Spool>> copies;
  copies.reserve(4);
  for (int i = 0; i < 4; ++i) copies.push_back(Started(absl::StrCat("copy", i)));
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (int order = 0; order < 10; ++order) {
        const auto outcome = copies[static_cast<size_t>(i) % 4]->Print(Job(absl::StrCat("order", order)));
        // Another copy may still be at it.
        if (!outcome.ok()) {
          EXPECT_THAT(outcome, HasErrorCode(ErrorCode::kHardwareError));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(printer_.paper(), SizeIs(10));
}

TEST_F(SpoolTest, AnotherCopyThatHasTheOrderKeepsIt) {
  printer_.SetCondition(Condition::kPaperOut);
  const auto one = Started("one");
  EXPECT_THAT(one->Print(Job("a")), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_THAT(bucket_.entries(), IsEmpty());
  printer_.SetCondition(Condition::kReady);
  printer_.SetFate(PrintResult::Fate::kNotStarted);
  EXPECT_THAT(one->Print(Job("b")), HasErrorCode(ErrorCode::kHardwareError));
  clock_.AwaitWaiters(1);
  ASSERT_THAT(bucket_.entries(), SizeIs(1));
  printer_.SetFate(PrintResult::Fate::kPrinted);
  const auto two = Started("two");
  EXPECT_THAT(two->Print(Job("a")),
              AllOf(HasErrorCode(ErrorCode::kHardwareError),
                    StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another copy"))));
  EXPECT_EQ(two->counts().pending, 0);
  EXPECT_THAT(printer_.paper(), IsEmpty());
}

TEST_F(SpoolTest, OutOfPaperIsAnErrorThenPrintedWhenThereIsPaper) {
  const auto spool = Started();
  printer_.SetCondition(Condition::kPaperOut);
  EXPECT_THAT(spool->Print(Job("a")),
              AllOf(HasErrorCode(ErrorCode::kHardwareError),
                    StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("out_of_paper"))));
  events_.Await("out_of_paper");
  // Asked again while it waits, it answers the present state at once.
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_THAT(spool->Print(Job("b")), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_EQ(spool->counts().pending, 2);
  EXPECT_EQ(spool->printer_state().condition, Condition::kPaperOut);
  const int before = printer_.asked();
  PassRetry();
  Eventually("a retry", [&] { return printer_.asked() > before; });
  EXPECT_EQ(spool->counts().pending, 2);

  printer_.SetCondition(Condition::kReady);
  PassRetry();
  events_.Await("ready");
  Eventually("an empty spool", [&] { return spool->counts().pending == 0; });
  EXPECT_THAT(printer_.paper(), ElementsAre("receipt of a", "receipt of b"));
  EXPECT_THAT(spool->Print(Job("a")), Printed(true));
}

TEST_F(SpoolTest, RetriesBackOffToTenSeconds) {
  printer_.SetCondition(Condition::kOffline);
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kHardwareError));
  for (const int seconds : {1, 2, 4, 8, 10, 10}) {
    clock_.AwaitWaiters(1);
    const int before = printer_.asked();
    clock_.Advance(absl::Seconds(seconds) - absl::Milliseconds(1));
    clock_.AwaitWaiters(1);
    EXPECT_EQ(printer_.asked(), before) << seconds;
    clock_.Advance(absl::Milliseconds(1));
    Eventually(absl::StrCat("the retry after ", seconds, " s"), [&] { return printer_.asked() > before; });
  }
}

TEST_F(SpoolTest, AnIdlePrinterThatRunsOutIsNoticed) {
  const auto spool = Started();
  clock_.AwaitWaiters(1);
  printer_.SetCondition(Condition::kPaperOut);
  clock_.Advance(absl::Seconds(30));
  events_.Await("out_of_paper");
}

TEST_F(SpoolTest, PendingReceiptsSurviveARestartInTheirOrder) {
  printer_.SetCondition(Condition::kOffline);
  {
    const auto spool = Started();
    for (const char* id : {"c", "a", "b"}) {
      EXPECT_THAT(spool->Print(Job(id)), HasErrorCode(ErrorCode::kHardwareError));
      clock_.Advance(absl::Milliseconds(5));
    }
  }
  printer_.SetCondition(Condition::kReady);
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("b")), Printed(true));
  EXPECT_THAT(printer_.paper(), ElementsAre("receipt of c", "receipt of a", "receipt of b"));
}

TEST_F(SpoolTest, UncertainIsNeverPrintedAgainByItself) {
  printer_.SetFate(PrintResult::Fate::kUncertain);
  {
    const auto spool = Started();
    EXPECT_THAT(spool->Print(Job("a")),
                AllOf(HasErrorCode(ErrorCode::kHardwareError),
                      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("reprint"))));
    events_.Await("uncertain a");
    EXPECT_EQ(spool->counts().uncertain, 1);
  }
  printer_.SetFate(PrintResult::Fate::kPrinted);
  const auto spool = Started();
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Hours(1));
  clock_.AwaitWaiters(1);
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kHardwareError));
  EXPECT_EQ(spool->counts().uncertain, 1);
  EXPECT_THAT(printer_.paper(), IsEmpty());

  EXPECT_THAT(spool->Print(Reprint("a", "staff-1")), Printed(false));
  EXPECT_THAT(spool->Print(Reprint("a", "staff-1")), Printed(true));
  EXPECT_THAT(spool->Print(Job("a")), Printed(true));
  EXPECT_EQ(spool->counts().uncertain, 0);
  EXPECT_THAT(printer_.paper(), ElementsAre("copy of a"));
}

TEST_F(SpoolTest, EachReprintRequestIsOneCopy) {
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), Printed(false));
  EXPECT_THAT(spool->Print(Reprint("a", "k1")), Printed(false));
  EXPECT_THAT(spool->Print(Reprint("a", "k1")), Printed(true));
  EXPECT_THAT(spool->Print(Reprint("a", "k2")), Printed(false));
  EXPECT_THAT(printer_.paper(), ElementsAre("receipt of a", "copy of a", "copy of a"));
}

TEST_F(SpoolTest, ReprintTakesOverFromACopyThatIsGone) {
  {
    const auto gone = Started("gone");
    EXPECT_THAT(gone->Print(Job("a")), Printed(false));
  }
  const auto spool = Started("new");
  EXPECT_THAT(spool->Print(Reprint("a", "k")), Printed(false));
  EXPECT_THAT(printer_.paper(), ElementsAre("receipt of a", "copy of a"));
}

TEST_F(SpoolTest, SameOrderWithOtherContentIsRefused) {
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a", "one")), Printed(false));
  EXPECT_THAT(spool->Print(Job("a", "two")),
              AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
                    StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.order_id"))));
  EXPECT_THAT(printer_.paper(), SizeIs(1));
}

TEST_F(SpoolTest, WithoutTheBusNothingIsPrintedUntilItIsBack) {
  const auto spool = Started();
  bucket_.SetAway(true);
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kUnavailable));
  EXPECT_THAT(printer_.paper(), IsEmpty());
  bucket_.SetAway(false);
  PassRetry();
  Eventually("the receipt", [&] { return !printer_.paper().empty(); });
  EXPECT_THAT(printer_.paper(), SizeIs(1));
  EXPECT_THAT(spool->Print(Job("a")), Printed(true));
}

TEST_F(SpoolTest, AClaimWhoseAnswerWasLostIsStillOurs) {
  const auto spool = Started();
  bucket_.LoseNextCreateAnswer();
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kUnavailable));
  PassRetry();
  Eventually("the receipt", [&] { return !printer_.paper().empty(); });
  EXPECT_THAT(printer_.paper(), SizeIs(1));
}

TEST_F(SpoolTest, TheBucketLearnsLateThatItWasPrinted) {
  printer_.on_moment = [this](absl::string_view moment) {
    if (moment == "printed") bucket_.SetAway(true);
  };
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), Printed(false));
  clock_.AwaitWaiters(1);
  EXPECT_THAT(bucket_.entries()["print.a"].value, HasSubstr("\"pending\""));
  bucket_.SetAway(false);
  PassRetry();
  Eventually("the claim to say printed",
             [&] { return bucket_.entries()["print.a"].value.find("\"printed\"") != std::string::npos; });
}

TEST_F(SpoolTest, PrintedReceiptsAreForgottenHereAfterDaysAndKnownByTheBucket) {
  const auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), Printed(false));
  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Hours(80));
  EXPECT_THAT(spool->Print(Job("b")), Printed(false));
  clock_.AwaitWaiters(1);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/spool/a.json"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/spool/b.json"));
  EXPECT_THAT(spool->Print(Job("a")), Printed(true));
  EXPECT_THAT(printer_.paper(), SizeIs(2));
}

TEST_F(SpoolTest, AFolderHasOneOwner) {
  const auto spool = Open();
  Spool::Options options;
  options.folder = folder_.path() + "/spool";
  EXPECT_THAT(Spool::Open(options, printer_, clock_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another process")));
  options.folder = "/proc/nowhere";
  EXPECT_THAT(Spool::Open(options, printer_, clock_), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(SpoolTest, DamagedFilesAreSetAsideAndTheirOrderIsNotPrintedTwice) {
  { EXPECT_THAT(Started()->Print(Job("a")), Printed(false)); }
  ASSERT_THAT(ReplaceFile(folder_.path() + "/spool/a.json", "{\"order_id\":\"a\",", false), IsOk());
  ASSERT_THAT(ReplaceFile(folder_.path() + "/spool/left.json.tmp", "x", false), IsOk());
  const auto spool = Started();
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/spool/a.json.bad"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/spool/left.json.tmp"));
  const auto outcome = spool->Print(Job("a"));
  if (!outcome.ok()) {
    EXPECT_THAT(outcome, HasErrorCode(ErrorCode::kHardwareError));
  }
  EXPECT_THAT(printer_.paper(), SizeIs(1));
}

TEST_F(SpoolTest, AnyOrderIdHasAFileAndAKey) {
  EXPECT_EQ(Spool::KeyOf("order-7F_3"), "order-7F_3");
  const std::set<std::string> ids = {
      "../../etc/passwd",   "a.b", "a b", "*", ">", "", "\xC3\xA9", std::string(65, 'a'),
      std::string(128, 'a')};
  const auto spool = Started();
  std::set<std::string> keys;
  for (const std::string& id : ids) {
    const std::string key = Spool::KeyOf(id);
    keys.insert(key);
    EXPECT_EQ(key.size(), 65u) << id;
    EXPECT_EQ(key[0], '=');
    EXPECT_THAT(spool->Print(Job(id)), Printed(false)) << id;
  }
  EXPECT_EQ(keys.size(), ids.size());
}

// A crash is a copy of the folder, the bucket and the paper at that moment; a new agent starts from the copy.
struct Crash {
  std::string moment;
  std::string folder;
  std::map<std::string, bus::KeyValue::Entry> entries;
  size_t printed = 0;
};

TEST_F(SpoolTest, ACrashAtAnyStepPrintsAtMostOnceAndLosesNothing) {
  std::vector<Crash> crashes;
  const auto crash_here = [&](absl::string_view moment) {
    Crash crash{std::string(moment), absl::StrCat("crash", crashes.size()), bucket_.entries(),
                printer_.paper().size()};
    std::filesystem::copy(folder_.path() + "/spool", folder_.path() + "/" + crash.folder,
                          std::filesystem::copy_options::recursive);
    crashes.push_back(std::move(crash));
  };
  printer_.on_moment = crash_here;
  bucket_.on_moment = crash_here;
  {
    const auto spool = Started();
    EXPECT_THAT(spool->Print(Job("a")), Printed(false));
    clock_.AwaitWaiters(1);
    crash_here("end");
  }
  printer_.on_moment = nullptr;
  bucket_.on_moment = nullptr;
  std::vector<std::string> moments;
  moments.reserve(crashes.size());
  for (const Crash& crash : crashes) moments.push_back(crash.moment);
  ASSERT_THAT(moments, ElementsAre("create", "created", "print", "printed", "put", "end"));

  for (const Crash& crash : crashes) {
    SCOPED_TRACE(crash.moment);
    bucket_.SetEntries(crash.entries);
    const size_t before = printer_.paper().size();
    const auto spool = Started(crash.folder);
    const auto outcome = spool->Print(Job("a"));
    const size_t total = crash.printed + printer_.paper().size() - before;
    if (crash.moment == "print" || crash.moment == "printed") {
      // Nobody can know: a person decides.
      EXPECT_THAT(outcome, HasErrorCode(ErrorCode::kHardwareError));
      EXPECT_EQ(spool->counts().uncertain, 1);
      EXPECT_EQ(printer_.paper().size(), before);
    } else {
      EXPECT_THAT(outcome, IsOk());
      EXPECT_EQ(total, 1u);
      EXPECT_EQ(spool->counts().uncertain, 0);
    }
  }
}

// A file printer whose moments can be watched.
class WatchedFilePrinter : public Printer {
 public:
  explicit WatchedFilePrinter(const std::string& path) : printer_(*FilePrinter::Open(path)) {}
  PrintResult Print(absl::string_view job_id, absl::string_view bytes) override {
    if (on_moment) on_moment("print");
    PrintResult result = printer_->Print(job_id, bytes);
    if (on_moment) on_moment("printed");
    return result;
  }
  PrinterState GetState() override { return printer_->GetState(); }
  std::optional<bool> WasPrinted(absl::string_view job_id) override { return printer_->WasPrinted(job_id); }
  std::string name() const override { return printer_->name(); }
  std::function<void(absl::string_view)> on_moment;

 private:
  std::unique_ptr<FilePrinter> printer_;
};

TEST_F(SpoolTest, WithAFilePrinterACrashAtAnyStepPrintsExactlyOnce) {
  const std::string paper = folder_.path() + "/paper";
  std::vector<Crash> crashes;
  WatchedFilePrinter printer(paper);
  const auto crash_here = [&](absl::string_view moment) {
    Crash crash{std::string(moment), absl::StrCat("crash", crashes.size()), bucket_.entries(), 0};
    const std::string to = folder_.path() + "/" + crash.folder;
    std::filesystem::copy(folder_.path() + "/spool", to, std::filesystem::copy_options::recursive);
    std::filesystem::copy(paper, to + ".paper");
    crashes.push_back(std::move(crash));
  };
  printer.on_moment = crash_here;
  bucket_.on_moment = crash_here;
  Spool::Options options;
  options.folder = folder_.path() + "/spool";
  {
    auto spool = Spool::Open(options, printer, clock_);
    ASSERT_THAT(spool, IsOk());
    (*spool)->Start(bucket_);
    EXPECT_THAT((*spool)->Print(Job("a")), Printed(false));
    clock_.AwaitWaiters(1);
  }
  bucket_.on_moment = nullptr;
  ASSERT_EQ(crashes.size(), 5u);
  for (const Crash& crash : crashes) {
    SCOPED_TRACE(crash.moment);
    bucket_.SetEntries(crash.entries);
    const std::string path = folder_.path() + "/" + crash.folder;
    WatchedFilePrinter reopened(path + ".paper");
    options.folder = path;
    auto spool = Spool::Open(options, reopened, clock_);
    ASSERT_THAT(spool, IsOk());
    (*spool)->Start(bucket_);
    EXPECT_THAT((*spool)->Print(Job("a")), IsOk());
    const std::string bytes = *ReadFile(path + ".paper");
    const size_t first = bytes.find("receipt of a");
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(bytes.find("receipt of a", first + 1), std::string::npos);
    EXPECT_EQ((*spool)->counts().uncertain, 0);
  }
}

TEST_F(SpoolTest, StoppingAnswersWhoeverWaits) {
  printer_.SetCondition(Condition::kOffline);
  auto spool = Started();
  EXPECT_THAT(spool->Print(Job("a")), HasErrorCode(ErrorCode::kHardwareError));
  spool.reset();
  EXPECT_THAT(printer_.paper(), IsEmpty());
}

}  // namespace
}  // namespace arc::hardware
