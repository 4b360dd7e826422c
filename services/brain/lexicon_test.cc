#include "services/brain/lexicon.h"

#include <memory>

#include "common/clock/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/brain/test_kiosk.h"

namespace arc::brain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class LexiconTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ToolLog log(tools_, clock_, clock_.Now(), clock_.Now() + absl::Seconds(2));
    lexicon_ = MenuCache().Get(log).value();
  }
  std::vector<int64_t> Dishes(const std::string& text) {
    const auto mention = lexicon_->Match(Normalise(text), 0, true);
    return mention.has_value() ? mention->dishes : std::vector<int64_t>{};
  }
  const messages::MenuItem& Item(int64_t id) { return lexicon_->Find(id)->item; }

  ManualClock clock_;
  LocalTools tools_{ARC_SOURCE_DIR "/deploy/demo/menu.json"};
  std::shared_ptr<const Lexicon> lexicon_;
};

TEST_F(LexiconTest, NamesSynonymsPluralsAndErrors) {
  for (const char* text :
       {"volcano burger", "volcano burgers", "volcanoe burger", "lava burger", "volcano"}) {
    EXPECT_THAT(Dishes(text), ElementsAre(101)) << text;
  }
  EXPECT_THAT(Dishes("coke"), ElementsAre(201));
  EXPECT_THAT(Dishes("diet coke"), ElementsAre(202));
  EXPECT_THAT(Dishes("cheese burger"), ElementsAre(103));
  EXPECT_THAT(Dishes("corn on the cob"), ElementsAre(409));
  EXPECT_THAT(Dishes("coffee and brownie"), ElementsAre(307));
  EXPECT_THAT(Dishes("english breakfast tee"), ElementsAre(710));
}

TEST_F(LexiconTest, ThePlainOneOfItsKindIsMeantOthersAreAskedAbout) {
  EXPECT_THAT(Dishes("cola"), ElementsAre(201));
  EXPECT_THAT(Dishes("fries"), ElementsAre(401));
  EXPECT_THAT(Dishes("cheeseburger"), ElementsAre(103));
  EXPECT_THAT(Dishes("brownie"), ElementsAre(601));
  EXPECT_THAT(Dishes("chicken burger"), ElementsAre(107, 108, 109));
  EXPECT_THAT(Dishes("water"), ElementsAre(209, 210));
  EXPECT_THAT(Dishes("burger"), SizeIs(::testing::Gt(10)));
  EXPECT_THAT(Dishes("coffee"), SizeIs(::testing::Gt(3)));
}

TEST_F(LexiconTest, WhatIsNoDishIsNone) {
  for (const char* text :
       {"please", "and", "the", "make", "other", "steak", "sushi", "weather", "1234", "later"}) {
    EXPECT_THAT(Dishes(text), IsEmpty()) << text;
  }
  EXPECT_FALSE(lexicon_->Match({}, 0, true).has_value());
}

TEST_F(LexiconTest, ACategoryMeansItsDishes) {
  const auto mention = lexicon_->Match(Normalise("drinks"), 0, true);
  ASSERT_TRUE(mention.has_value());
  EXPECT_EQ(mention->category, "drinks");
  EXPECT_THAT(mention->dishes, Contains(201));
  EXPECT_THAT(mention->dishes, Not(Contains(101)));
}

TEST_F(LexiconTest, CustomisationsByTheirExactNames) {
  const auto name = [&](int64_t id, Polarity polarity, const std::string& text) {
    return MatchCustomisation(Item(id), {polarity, text});
  };
  EXPECT_EQ(name(101, Polarity::kWithout, "onions"), "No Onions");
  EXPECT_EQ(name(101, Polarity::kWithout, "onion"), "No Onions");
  EXPECT_EQ(name(101, Polarity::kExtra, "cheese"), "Extra Cheese");
  EXPECT_EQ(name(107, Polarity::kExtra, "mayo"), "Extra Mayonnaise");
  EXPECT_EQ(name(113, Polarity::kWithout, "cheese"), "No Cheese");
  EXPECT_EQ(name(113, Polarity::kExtra, "cheese"), "Extra Cheese");
  EXPECT_EQ(name(201, Polarity::kPlain, "large"), "Large");
  EXPECT_EQ(name(302, Polarity::kPlain, "large"), "Large Fries and Drink");
  EXPECT_EQ(name(501, Polarity::kWith, "dressing on the side"), "Dressing on the Side");
  EXPECT_EQ(name(602, Polarity::kWith, "ice cream"), "Vanilla Ice Cream");
  EXPECT_EQ(name(606, Polarity::kPlain, "two scoops"), "Two Scoops");
  EXPECT_EQ(name(701, Polarity::kPlain, "double"), "Double Shot");
  // Nothing is made up, and nothing is picked where two are meant equally.
  EXPECT_EQ(name(101, Polarity::kWithout, "tomatoes"), "");
  EXPECT_EQ(name(604, Polarity::kWith, "sauce"), "");
  EXPECT_EQ(name(101, Polarity::kPlain, ""), "");
  EXPECT_EQ(MatchSwap(Item(801), "fruit", "the fries"), "Swap Fries for Fruit");
  EXPECT_EQ(MatchSwap(Item(801), "rice", "the fries"), "");
}

TEST_F(LexiconTest, NarrowsByNameThenTags) {
  EXPECT_THAT(lexicon_->Narrow({107, 108, 109}, {"crispy"}), ElementsAre(107));
  EXPECT_THAT(lexicon_->Narrow({107, 108, 109}, {"the", "spicy", "one"}), ElementsAre(108));
  EXPECT_THAT(lexicon_->Narrow({209, 210}, {"fizzy"}), ElementsAre(210));
  EXPECT_THAT(lexicon_->Narrow({209, 210}, {"banana"}), IsEmpty());
}

TEST_F(LexiconTest, AMenuIsAskedForAgainOnlyWhenItIsOld) {
  MenuCache cache;
  const auto get = [&] {
    ToolLog log(tools_, clock_, clock_.Now(), clock_.Now() + absl::Seconds(2));
    EXPECT_TRUE(cache.Get(log).ok());
    std::vector<std::string> called;
    for (const auto& span : log.spans()) called.push_back(span.tool);
    return called;
  };
  EXPECT_THAT(get(), ElementsAre("menu.list", "menu.details"));
  EXPECT_THAT(get(), IsEmpty());
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(get(), ElementsAre("menu.list"));
  clock_.Advance(absl::Seconds(30));
  EXPECT_THAT(get(), ElementsAre("menu.list", "menu.details"));
}

}  // namespace
}  // namespace arc::brain
