#include "services/arcctl/arguments.h"

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::arcctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<FlagSpec>& Common() {
  static const auto* const flags = new std::vector<FlagSpec>{
      {"url", "URL", "where"}, {"json", "", "as JSON"}, {"timeout", "T", "how long"}};
  return *flags;
}

std::vector<VerbSpec> Verbs() {
  VerbSpec touch;
  touch.name = "touch";
  touch.arguments = "ACTION";
  touch.min_arguments = touch.max_arguments = 1;
  touch.summary = "touches";
  touch.flags = {{"item", "ID", "which"}, {"x", "X", "many", true}, {"no_wait", "", "do not wait"}};
  VerbSpec import;
  import.name = "menu import";
  import.arguments = "FILE";
  import.min_arguments = import.max_arguments = 1;
  VerbSpec list;
  list.name = "menu list";
  VerbSpec say;
  say.name = "say";
  say.arguments = "TEXT...";
  say.min_arguments = 1;
  say.max_arguments = kAnyNumber;
  return {touch, import, list, say};
}

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) {
  return ParseArguments(words, Verbs(), Common());
}

std::string Refusal(const std::vector<std::string>& words) {
  const auto arguments = Parse(words);
  if (arguments.ok()) return "";
  EXPECT_TRUE(IsUsageError(arguments.status()));
  return std::string(arguments.status().message());
}

TEST(ParseArguments, FlagsStandAnywhereInBothForms) {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"--url", "nats://a:1", "touch", "select_item", "--item", "101", "--json"},
           {"touch", "--item=101", "select_item", "--json", "--url=nats://a:1"},
           {"--json", "--url", "nats://a:1", "touch", "--item", "101", "select_item"}}) {
    const auto arguments = Parse(words);
    ASSERT_THAT(arguments, IsOk());
    EXPECT_EQ(arguments->verb(), "touch");
    EXPECT_THAT(arguments->words(), ElementsAre("select_item"));
    EXPECT_EQ(arguments->Get("url"), "nats://a:1");
    EXPECT_TRUE(arguments->Has("json"));
    EXPECT_FALSE(arguments->Has("no_wait"));
    EXPECT_THAT(arguments->GetInteger("item", 1, 1000), IsOkAndHolds(std::optional<int64_t>(101)));
  }
}

TEST(ParseArguments, AFlagsValueMayLookLikeAVerb) {
  const auto arguments = Parse({"--url", "say", "touch", "start"});
  ASSERT_THAT(arguments, IsOk());
  EXPECT_EQ(arguments->verb(), "touch");
  EXPECT_THAT(arguments->words(), ElementsAre("start"));
}

TEST(ParseArguments, VerbsOfTwoWords) {
  const auto import = Parse({"menu", "--json", "import", "menu.json"});
  ASSERT_THAT(import, IsOk());
  EXPECT_EQ(import->verb(), "menu import");
  EXPECT_THAT(import->words(), ElementsAre("menu.json"));
  EXPECT_THAT(Refusal({"menu"}), HasSubstr("menu import, menu list"));
  EXPECT_THAT(Refusal({"menu", "bake"}), HasSubstr("menu import, menu list"));
}

TEST(ParseArguments, RepeatedFlagsKeepTheirOrder) {
  const auto arguments = Parse({"touch", "customize", "--x", "a", "--x=b"});
  ASSERT_THAT(arguments, IsOk());
  EXPECT_THAT(arguments->GetAll("x"), ElementsAre("a", "b"));
  EXPECT_THAT(Parse({"touch", "customize"})->GetAll("x"), IsEmpty());
}

TEST(ParseArguments, TwoDashesEndTheFlags) {
  const auto arguments = Parse({"say", "--", "--no", "onions", "-5"});
  ASSERT_THAT(arguments, IsOk());
  EXPECT_THAT(arguments->words(), ElementsAre("--no", "onions", "-5"));
}

TEST(ParseArguments, SaysWhatIsWrong) {
  EXPECT_EQ(Refusal({}), "a verb is missing");
  EXPECT_EQ(Refusal({"fly"}), "there is no verb \"fly\"");
  EXPECT_EQ(Refusal({"touch"}), "touch needs ACTION");
  EXPECT_EQ(Refusal({"touch", "a", "b"}), "touch: \"b\" is one argument too many");
  EXPECT_EQ(Refusal({"touch", "a", "--colour", "red"}), "touch: there is no flag --colour");
  EXPECT_EQ(Refusal({"touch", "a", "--item"}), "--item needs a value: ID");
  EXPECT_EQ(Refusal({"touch", "a", "--item", "1", "--item", "2"}), "--item stands twice");
  EXPECT_EQ(Refusal({"touch", "a", "--no_wait=1"}), "--no_wait takes no value");
  // A flag of another verb is not one of this.
  EXPECT_EQ(Refusal({"say", "a", "--item", "1"}), "say: there is no flag --item");
}

TEST(Arguments, NumbersAndDurations) {
  const auto arguments = Parse({"touch", "a", "--item", "12x", "--timeout", "250ms"});
  ASSERT_THAT(arguments, IsOk());
  EXPECT_THAT(arguments->GetInteger("item", 1, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--item")));
  EXPECT_THAT(arguments->GetDuration("timeout", absl::Seconds(5)), IsOkAndHolds(absl::Milliseconds(250)));
  EXPECT_THAT(Parse({"touch", "a"})->GetDuration("timeout", absl::Seconds(5)),
              IsOkAndHolds(absl::Seconds(5)));
  EXPECT_THAT(Parse({"touch", "a", "--timeout", "1.5"})->GetDuration("timeout", absl::Seconds(5)),
              IsOkAndHolds(absl::Milliseconds(1500)));
  for (const char* wrong : {"0", "-1", "soon", "nan", "inf", ""}) {
    EXPECT_THAT(Parse({"touch", "a", "--timeout", wrong})->GetDuration("timeout", absl::Seconds(5)),
                Not(IsOk()))
        << wrong;
  }
  EXPECT_THAT(ParseInteger("0", "QTY", 1, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, "QTY must be at least 1"));
  EXPECT_THAT(ParseInteger("10", "QTY", 1, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, "QTY must be at most 9"));
}

TEST(HelpText, OfOneVerbOfAGroupAndOfAll) {
  const auto help = [](const std::vector<std::string>& words) {
    const auto arguments = Parse(words);
    EXPECT_THAT(arguments, IsOk());
    EXPECT_TRUE(arguments->help());
    return HelpText(arguments->verb(), Verbs(), Common());
  };
  EXPECT_THAT(help({"touch", "--help"}), HasSubstr("--item ID"));
  EXPECT_THAT(help({"help", "touch"}), HasSubstr("--item ID"));
  EXPECT_THAT(help({"menu", "--help"}), HasSubstr("menu import FILE"));
  EXPECT_THAT(help({"menu", "--help"}), Not(HasSubstr("touch")));
  EXPECT_THAT(help({"--help"}), HasSubstr("touch ACTION"));
  EXPECT_THAT(help({"-h"}), HasSubstr("--url URL"));
}

}  // namespace
}  // namespace arc::arcctl
