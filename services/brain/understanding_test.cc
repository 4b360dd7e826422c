#include "services/brain/understanding.h"

#include <memory>

#include "common/clock/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/brain/test_kiosk.h"

namespace arc::brain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class UnderstandingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ManualClock clock;
    ToolLog log(tools_, clock, clock.Now(), clock.Now() + absl::Seconds(2));
    lexicon_ = MenuCache().Get(log).value();
  }
  Understanding Read(const std::string& text) {
    return Understand(Normalise(text), *lexicon_, dialogue_, cart_);
  }
  void InCart(int64_t id, int64_t quantity, std::vector<std::string> customizations = {}) {
    messages::OrderLine line;
    line.item_id = id;
    line.name = lexicon_->NameOf(id);
    line.quantity = quantity;
    line.customizations = customizations;
    cart_.push_back(line);
    messages::IntentItem item;
    item.item_id = id;
    item.name = line.name;
    item.quantity = quantity;
    item.modifiers = std::move(customizations);
    dialogue_.last = {item};
    dialogue_.last_change = "add";
  }
  ActKind Kind(const std::string& text) {
    const Understanding read = Read(text);
    return read.acts.size() == 1 ? read.acts[0].kind : ActKind::kUnknown;
  }

  LocalTools tools_{ARC_SOURCE_DIR "/deploy/demo/menu.json"};
  std::shared_ptr<const Lexicon> lexicon_;
  Dialogue dialogue_;
  std::vector<messages::OrderLine> cart_;
};

TEST_F(UnderstandingTest, SeveralItemsWithCountsAndWishes) {
  const Understanding read =
      Read("two volcano burgers without onions and a large cola please and that's all");
  ASSERT_THAT(read.acts, SizeIs(3));
  EXPECT_EQ(read.acts[0].kind, ActKind::kAdd);
  EXPECT_THAT(read.acts[0].what.dishes, ElementsAre(101));
  EXPECT_EQ(read.acts[0].what.quantity, 2);
  EXPECT_THAT(read.acts[0].what.wishes, ElementsAre(Wish{Polarity::kWithout, "onions"}));
  EXPECT_THAT(read.acts[1].what.dishes, ElementsAre(201));
  EXPECT_THAT(read.acts[1].what.wishes, ElementsAre(Wish{Polarity::kPlain, "large"}));
  EXPECT_EQ(read.acts[2].kind, ActKind::kCheckout);
}

TEST_F(UnderstandingTest, AllergiesAndDietsByTheMenusNames) {
  const auto allergens = [&](const std::string& text) { return Read(text).exclude_allergens; };
  const auto diets = [&](const std::string& text) { return Read(text).dietary_filters; };
  EXPECT_THAT(allergens("i'm allergic to nuts"), UnorderedElementsAre("nuts", "peanuts"));
  EXPECT_THAT(allergens("no dairy for me, I'm lactose intolerant"), ElementsAre("dairy"));
  EXPECT_THAT(allergens("my daughter has a shellfish allergy"),
              UnorderedElementsAre("crustaceans", "molluscs"));
  EXPECT_THAT(allergens("we can't eat eggs or soy"), UnorderedElementsAre("egg", "soy"));
  EXPECT_THAT(allergens("i have coeliac disease"), ElementsAre("gluten"));
  EXPECT_THAT(diets("I'm vegan"), ElementsAre("vegan"));
  EXPECT_THAT(diets("gluten free please"), ElementsAre("gluten_free"));
  EXPECT_THAT(diets("we only eat halal"), ElementsAre("halal"));
  EXPECT_THAT(diets("i don't eat meat"), ElementsAre("vegetarian"));
  EXPECT_THAT(Read("i'm allergic to strawberries").unknown_allergens, ElementsAre("strawberries"));
  // Questions and wishes are no declarations.
  for (const char* text : {"what's vegan here", "is it vegan", "do you have anything gluten free",
                           "does it contain nuts", "no onions please", "what allergens are in the brownie"}) {
    EXPECT_THAT(allergens(text), IsEmpty()) << text;
    EXPECT_THAT(diets(text), IsEmpty()) << text;
  }
}

TEST_F(UnderstandingTest, AnAllergyAndAnOrderInOneSentence) {
  const Understanding read = Read("i'm allergic to nuts and i'd like a volcano burger");
  EXPECT_THAT(read.exclude_allergens, UnorderedElementsAre("nuts", "peanuts"));
  ASSERT_THAT(read.acts, SizeIs(1));
  EXPECT_THAT(read.acts[0].what.dishes, ElementsAre(101));
}

TEST_F(UnderstandingTest, CorrectionsAndReferencesPointAtTheCart) {
  InCart(101, 1);
  InCart(201, 2, {"Large"});
  Understanding read = Read("make it two instead of one");
  ASSERT_THAT(read.acts, SizeIs(1));
  EXPECT_EQ(read.acts[0].kind, ActKind::kQuantity);
  EXPECT_EQ(read.acts[0].line, 1u);
  read = Read("remove the burger");
  EXPECT_EQ(read.acts[0].kind, ActKind::kRemove);
  EXPECT_EQ(read.acts[0].line, 0u);
  read = Read("another one of those");
  EXPECT_EQ(read.acts[0].kind, ActKind::kAdd);
  ASSERT_TRUE(read.acts[0].what.like.has_value());
  EXPECT_THAT(read.acts[0].what.like->modifiers, ElementsAre("Large"));
  read = Read("change the burger to a chicken sandwich");
  EXPECT_EQ(read.acts[0].kind, ActKind::kReplace);
  EXPECT_EQ(read.acts[0].line, 0u);
  EXPECT_THAT(read.acts[0].with.dishes, ElementsAre(107));
  read = Read("remove the salad");
  EXPECT_TRUE(read.acts[0].not_in_cart);
}

TEST_F(UnderstandingTest, AChoiceIsSettledByOrdinalNameOrTrait) {
  dialogue_.pending.kind = PendingKind::kChoice;
  dialogue_.pending.phrase = "chicken burger";
  dialogue_.pending.candidates = {107, 108, 109};
  dialogue_.pending.quantity = 2;
  const auto chosen = [&](const std::string& text) {
    const Understanding read = Read(text);
    return read.chose && read.acts.size() == 1 ? read.acts[0].what.dishes : std::vector<int64_t>{};
  };
  EXPECT_THAT(chosen("the second one"), ElementsAre(108));
  EXPECT_THAT(chosen("the spicy one"), ElementsAre(108));
  EXPECT_THAT(chosen("crispy"), ElementsAre(107));
  EXPECT_THAT(chosen("the last one please"), ElementsAre(109));
  EXPECT_THAT(chosen("the cheapest"), ElementsAre(109));
  EXPECT_EQ(Read("the grilled one").acts[0].what.quantity, 2);
  EXPECT_TRUE(Read("banana").ask_again || !Read("banana").chose);
  // Another dish by its name is another order.
  const Understanding other = Read("a greek salad");
  EXPECT_FALSE(other.chose);
  EXPECT_THAT(other.acts[0].what.dishes, ElementsAre(503));
}

TEST_F(UnderstandingTest, WholeSentences) {
  InCart(101, 1);
  EXPECT_EQ(Kind("cancel my order"), ActKind::kCancel);
  EXPECT_EQ(Kind("start over"), ActKind::kStartOver);
  EXPECT_EQ(Kind("i'd like to pay"), ActKind::kPay);
  EXPECT_EQ(Kind("that's all"), ActKind::kCheckout);
  EXPECT_EQ(Kind("what would you recommend"), ActKind::kRecommend);
  EXPECT_EQ(Kind("what's in my order"), ActKind::kShowCart);
  EXPECT_EQ(Kind("how much is it altogether"), ActKind::kTotal);
  EXPECT_EQ(Kind("yes please"), ActKind::kYes);
  EXPECT_EQ(Kind("no thanks"), ActKind::kNo);
  EXPECT_EQ(Kind("bye"), ActKind::kGoodbye);
  EXPECT_EQ(Kind("who won the game last night"), ActKind::kUnknown);
}

TEST_F(UnderstandingTest, AnyWordsInAnyOrderEndInBoundedActs) {
  InCart(101, 3);
  dialogue_.pending.kind = PendingKind::kChoice;
  dialogue_.pending.candidates = {107, 999999};
  const std::vector<std::string> words = {
      "no",    "not",    "the",  "one",      "of",      "without", "instead", "burger", "two",     "make",
      "it",    "change", "to",   "remove",   "volcano", "and",     "same",    "more",   "another", "other",
      "extra", "large",  "with", "allergic", "is",      "what",    "half",    "a",      "dozen"};
  uint64_t seed = 88172645463325252ull;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 1 + round % 14; ++i) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      text += words[seed % words.size()] + " ";
    }
    const Understanding read = Read(text);
    EXPECT_LE(read.acts.size(), 12u) << text;
    for (const Act& act : read.acts) {
      if (act.line.has_value()) {
        EXPECT_LT(*act.line, cart_.size()) << text;
      }
    }
  }
}

}  // namespace
}  // namespace arc::brain
