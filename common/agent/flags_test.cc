#include "common/agent/flags.h"

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, test_text, "soup", "A text.");
ABSL_FLAG(int, test_number, 7, "A number.");
ABSL_FLAG(bool, test_bool, false, "A switch.");

namespace arc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FlagsTest : public ::testing::Test {
 private:
  absl::FlagSaver saver_;
};

TEST_F(FlagsTest, TakesEveryForm) {
  EXPECT_THAT(ParseFlags({"--test_text=a=b", "-test_number", "-5", "--test_bool", "rest", "--", "--more"}),
              IsOkAndHolds(ElementsAre("rest", "--more")));
  EXPECT_EQ(absl::GetFlag(FLAGS_test_text), "a=b");
  EXPECT_EQ(absl::GetFlag(FLAGS_test_number), -5);
  EXPECT_TRUE(absl::GetFlag(FLAGS_test_bool));
  EXPECT_THAT(ParseFlags({"--notest_bool", "--test_text", ""}), IsOkAndHolds(IsEmpty()));
  EXPECT_FALSE(absl::GetFlag(FLAGS_test_bool));
  EXPECT_EQ(absl::GetFlag(FLAGS_test_text), "");
}

TEST_F(FlagsTest, SaysWhatIsWrong) {
  EXPECT_THAT(ParseFlags({"--tset_text=a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("there is no flag --tset_text")));
  EXPECT_THAT(ParseFlags({"--notest_text"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("there is no flag --notest_text")));
  EXPECT_THAT(ParseFlags({"--test_number=many"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--test_number: 'many'")));
  EXPECT_THAT(ParseFlags({"--test_number"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--test_number needs a value")));
  EXPECT_THAT(ParseFlags({"--test_bool=perhaps"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--test_bool: 'perhaps'")));
}

TEST_F(FlagsTest, DescribesEachWithItsDefault) {
  const std::string text = DescribeFlags();
  EXPECT_THAT(text, HasSubstr("  --test_number=...\n      A number. (default: 7)\n"));
  EXPECT_THAT(text, HasSubstr("  --test_bool\n      A switch. (default: false)\n"));
  EXPECT_THAT(text, Not(HasSubstr("flagfile")));
}

}  // namespace
}  // namespace arc
