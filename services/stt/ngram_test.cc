#include "services/stt/ngram.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/stt/phrases.h"

namespace arc::stt {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

NgramCounts Small() {
  NgramCounts counts;
  counts.AddSentence(Words("two burgers please"), 0.5);
  counts.AddSentence(Words("two fries please"), 0.25);
  counts.AddSentence(Words("no thanks"), 0.25);
  return counts;
}

double Total(const NgramModel& model, const std::vector<std::string>& history) {
  double sum = 0;
  for (const std::string& word : model.words()) {
    if (word == kSentenceBegin) continue;
    std::vector<std::string> words = history;
    words.push_back(word);
    sum += model.Probability(words);
  }
  return sum;
}

TEST(NgramModelTest, SumsToOneAfterAnyHistory) {
  for (const double sentences : {1.0, 100.0, 20000.0}) {
    const NgramModel model(Small(), {sentences, 0});
    for (const char* history :
         {"", "two", "please", "<s>", "<s> two", "two burgers", "burgers two", "thanks no"}) {
      EXPECT_NEAR(Total(model, Words(history)), 1, 1e-9) << history << " of " << sentences;
    }
  }
}

TEST(NgramModelTest, PrefersWhatWasCountedAndLeavesSomethingForTheRest) {
  const NgramModel model(Small(), {100, 0});
  const auto p = [&](const std::string& text) { return model.Probability(Words(text)); };
  EXPECT_GT(p("<s> two burgers"), p("<s> two fries"));
  EXPECT_GT(p("<s> two fries"), p("<s> two thanks"));
  EXPECT_GT(p("<s> two thanks"), 0);
  EXPECT_EQ(p("two pizza"), 0) << "an unknown word";
  EXPECT_EQ(p("pizza please"), p("please")) << "nothing is known of an unknown history";
  EXPECT_EQ(p("yes no two burgers"), p("no two burgers")) << "two words of history count";
}

TEST(NgramModelTest, RareOnesAreLeftToShorterOnes) {
  const NgramModel all(Small(), {100, 0});
  const NgramModel fewer(Small(), {100, 30});
  EXPECT_NEAR(Total(fewer, Words("<s> two")), 1, 1e-9);
  EXPECT_LT(fewer.ToArpa().size(), all.ToArpa().size());
}

TEST(NgramModelTest, ArpaSaysTheSameProbabilities) {
  const NgramModel model(Small(), {100, 0});
  const std::string arpa = model.ToArpa();
  EXPECT_THAT(arpa, HasSubstr("ngram 1=8\n"));
  EXPECT_THAT(arpa, HasSubstr("\n\\end\\\n"));
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(arpa, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() != 4 || fields[1] != "<s>" || fields[2] != "two" || fields[3] != "burgers") continue;
    found = true;
    EXPECT_NEAR(std::stod(fields[0]), std::log10(model.Probability(Words("<s> two burgers"))), 1e-4);
  }
  EXPECT_TRUE(found);
}

// Counts of one word after another, as sentences would have given them.
class Counted {
 public:
  explicit Counted(NgramCounts counts) : counts_(std::move(counts)) {}
  double One(const std::string& a) { return counts_.unigrams()[counts_.Id(a)]; }
  double Two(const std::string& a, const std::string& b) {
    const auto it = counts_.bigrams().find(NgramCounts::Key(counts_.Id(a), counts_.Id(b)));
    return it == counts_.bigrams().end() ? 0 : it->second;
  }
  double Three(const std::string& a, const std::string& b, const std::string& c) {
    const auto it = counts_.trigrams().find(NgramCounts::Key(counts_.Id(a), counts_.Id(b), counts_.Id(c)));
    return it == counts_.trigrams().end() ? 0 : it->second;
  }

 private:
  NgramCounts counts_;
};

Counted CountOf(const std::string& text) {
  Phrases phrases;
  EXPECT_THAT(phrases.Define("root", {{1, text}}), IsOk());
  return Counted(phrases.Count("root").value());
}

TEST(PhrasesTest, CountsWhatIsExpected) {
  Counted one = CountOf("(a:3|b c) d [e:0.25]");
  EXPECT_NEAR(one.One("a"), 0.75, 1e-9);
  EXPECT_NEAR(one.Two("<s>", "b"), 0.25, 1e-9);
  EXPECT_NEAR(one.Two("d", "e"), 0.25, 1e-9);
  EXPECT_NEAR(one.Two("d", "</s>"), 0.75, 1e-9);
  EXPECT_NEAR(one.Three("a", "d", "e"), 0.75 * 0.25, 1e-9);
  EXPECT_NEAR(one.Three("b", "c", "d"), 0.25, 1e-9);
  EXPECT_NEAR(one.Three("d", "e", "</s>"), 0.25, 1e-9);
  EXPECT_NEAR(one.One("</s>"), 1, 1e-9);
}

TEST(PhrasesTest, ChoicesInBracketsShareTheirProbability) {
  Counted one = CountOf("x [a|b:0.4] y");
  EXPECT_NEAR(one.Two("x", "a"), 0.2, 1e-9);
  EXPECT_NEAR(one.Two("x", "y"), 0.6, 1e-9);
}

TEST(PhrasesTest, LoopsAreSummedToTheirEnd) {
  Counted one = CountOf("a {and a:0.5}");
  EXPECT_NEAR(one.One("a"), 2, 1e-6);
  EXPECT_NEAR(one.One("and"), 1, 1e-6);
  EXPECT_NEAR(one.Three("a", "and", "a"), 1, 1e-6);
  EXPECT_NEAR(one.Two("a", "</s>"), 1, 1e-6);
}

TEST(PhrasesTest, ARuleWithoutChoicesTakesWhatNeedsItAlong) {
  Phrases phrases;
  ASSERT_THAT(phrases.Define("none", {}), IsOk());
  ASSERT_THAT(phrases.Define("root", {{1, "a [$none]"}, {9, "b $none"}, {1, "c {$none}"}}), IsOk());
  Counted counted(phrases.Count("root").value());
  EXPECT_NEAR(counted.One("a"), 0.5, 1e-9);
  EXPECT_NEAR(counted.One("c"), 0.5, 1e-9);
  EXPECT_EQ(counted.One("b"), 0);
  const absl::StatusOr<NgramCounts> nothing = phrases.Count("none");
  ASSERT_THAT(nothing, IsOk());
  EXPECT_TRUE(nothing->bigrams().empty());
}

TEST(PhrasesTest, SaysWhatIsWrong) {
  Phrases phrases;
  for (const char* text : {"(a", "a)", "[a:2]", "{a:1}", "[a:x]", "a | b", "$ a", "(a:)", "a]"}) {
    EXPECT_THAT(phrases.Define("root", {{1, text}}), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  ASSERT_THAT(phrases.Define("root", {{1, "$missing"}}), IsOk());
  EXPECT_THAT(phrases.Count("root"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing")));
  ASSERT_THAT(phrases.Define("root", {{1, "a $root"}}), IsOk());
  EXPECT_THAT(phrases.Count("root"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("root")));
}

}  // namespace
}  // namespace arc::stt
