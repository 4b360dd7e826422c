#include "services/terminal_sim/journal.h"

#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <sstream>
#include <string>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace arc::terminal_sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override { path_ = folder_.File("journal.jsonl"); }
  std::string Contents() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  testing_support::TempDir folder_;
  std::string path_;
};

TEST_F(JournalTest, KeepsWhatWasAppended) {
  {
    auto journal = Journal::Open(path_);
    ASSERT_THAT(journal, IsOk());
    EXPECT_THAT((*journal)->lines(), IsEmpty());
    ASSERT_THAT((*journal)->Append("one"), IsOk());
    ASSERT_THAT((*journal)->Append("two"), IsOk());
  }
  auto journal = Journal::Open(path_);
  ASSERT_THAT(journal, IsOk());
  EXPECT_THAT((*journal)->lines(), ElementsAre("one", "two"));
}

TEST_F(JournalTest, CutsOffALastLineThatWasNeverFinished) {
  std::ofstream(path_) << "one\ntwo\nthr";
  {
    auto journal = Journal::Open(path_);
    ASSERT_THAT(journal, IsOk());
    EXPECT_THAT((*journal)->lines(), ElementsAre("one", "two"));
    ASSERT_THAT((*journal)->Append("four"), IsOk());
  }
  EXPECT_EQ(Contents(), "one\ntwo\nfour\n");
}

TEST_F(JournalTest, BelongsToOneProcessAtATime) {
  auto journal = Journal::Open(path_);
  ASSERT_THAT(journal, IsOk());
  EXPECT_THAT(Journal::Open(path_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another process")));
}

TEST_F(JournalTest, SaysWhatItCannotOpen) {
  EXPECT_THAT(Journal::Open(folder_.File("nowhere/journal")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/nowhere/journal")));
}

TEST_F(JournalTest, OnAFullDiskALineIsRefusedWhole) {
  auto journal = Journal::Open(path_);
  ASSERT_THAT(journal, IsOk());
  ASSERT_THAT((*journal)->Append("one"), IsOk());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 10;
  signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status refused = (*journal)->Append("a line of which six bytes fit");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path_)));
  EXPECT_EQ(Contents(), "one\n");
  EXPECT_THAT((*journal)->Append("two"), IsOk());
  EXPECT_EQ(Contents(), "one\ntwo\n");
}

}  // namespace
}  // namespace arc::terminal_sim
