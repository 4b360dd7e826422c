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

TEST_F(UnderstandingTest, AllergiesHoweverTheyAreSaid) {
  struct Case {
    const char* text;
    std::vector<std::string> allergens;
  };
  const std::vector<std::string> nuts = {"nuts", "peanuts"};
  const std::vector<Case> cases = {
      {"i can't have dairy", {"dairy"}},
      {"I cannot eat any gluten at all", {"gluten"}},
      {"no nuts for me I'm allergic", nuts},
      {"my son has a peanut allergy", {"peanuts"}},
      {"my little girl's allergic to eggs", {"egg"}},
      {"i react to sesame", {"sesame"}},
      {"i react really badly to sesame seeds", {"sesame"}},
      {"gluten makes me sick", {"gluten"}},
      {"milk always makes my husband come out in hives", {"dairy"}},
      {"dairy doesn't agree with me", {"dairy"}},
      {"nuts could kill me", nuts},
      {"peanuts are really dangerous for my daughter", {"peanuts"}},
      {"i'm coeliac", {"gluten"}},
      {"my partner's a celiac", {"gluten"}},
      {"i am ceoliac", {"gluten"}},
      {"lactose intolerant", {"dairy"}},
      {"I'M LACTOSE INTOLERANT!!", {"dairy"}},
      {"we're off dairy", {"dairy"}},
      {"i'm trying to stay off dairy", {"dairy"}},
      {"we avoid soya and shellfish", {"soy", "crustaceans", "molluscs"}},
      {"i swell up if i eat prawns", {"crustaceans"}},
      {"i get a rash when i eat strawberries or eggs", {"egg"}},
      {"i have allergies to milk, egg and mustard", {"dairy", "egg", "mustard"}},
      {"Allergies: Nuts, Milk", {"nuts", "peanuts", "dairy"}},
      {"allergic to almonds and walnuts", {"nuts"}},
      {"i'm allergic to an egg", {"egg"}},
      {"IM ALERGIC TO MUSTERD", {"mustard"}},
      {"im allergick to penuts and glutten", {"peanuts", "gluten"}},
      {"i have a diary allergy", {"dairy"}},
      {"i'm alergic to shelfish", {"crustaceans", "molluscs"}},
      {"nut alergy here", nuts},
      {"sesame free please", {"sesame"}},
      {"i must not have celery or lupin", {"celery", "lupin"}},
      {"i'm not only allergic to milk but also to eggs", {"dairy", "egg"}},
      {"i'm not allergic to nuts but to milk", {"dairy"}},
      {"is there milk in that? i'm allergic to it", {"dairy"}},
      {"does the brownie contain nuts because i'm allergic", nuts},
      {"a volcano burger without cheese i'm allergic", {"dairy"}},
      {"no dairy whatsoever", {"dairy"}},
      {"no gluten for me", {"gluten"}},
      {"hi there no dairy no eggs no nuts please, allergies", {"dairy", "egg", "nuts", "peanuts"}},
      {"we have three allergies in the family milk eggs and sesame", {"dairy", "egg", "sesame"}},
      {"i have a thing with peanuts they could kill me", {"peanuts"}},
      {"alergic too nuts", nuts},
      {"does anything here not have gluten in it i'm celiac", {"gluten"}},
      {"milk makes me ill", {"dairy"}},
      {"i get ill if i eat eggs", {"egg"}},
      {"i'm allergic to strawberries and nuts", nuts},
      {"i'm allergic to nuts, strawberries and eggs", {"nuts", "peanuts", "egg"}},
      {"i don't eat fish or eggs", {"fish", "egg"}},
  };
  for (const Case& sentence : cases) {
    EXPECT_THAT(Read(sentence.text).exclude_allergens,
                ::testing::UnorderedElementsAreArray(sentence.allergens))
        << sentence.text;
  }
  EXPECT_THAT(Read("nut free please").dietary_filters, ElementsAre("nut_free"));
  EXPECT_THAT(Read("we're a vegetarian family").dietary_filters, ElementsAre("vegetarian"));
  EXPECT_THAT(Read("we are vegan and gluten free").dietary_filters,
              UnorderedElementsAre("vegan", "gluten_free"));
  for (const char* text :
       {"i'm not allergic to nuts", "she's not allergic to anything", "no allergies", "i have no nut allergy",
        "what allergens are in the brownie", "any allergy information", "a burger with no mustard for me",
        "a fish burger please", "can i have a milk coffee", "a celery stick", "is it nut free",
        "no cheese on the burger", "do you have peanut butter", "a creamy coleslaw and garlic bread"}) {
    EXPECT_THAT(Read(text).exclude_allergens, IsEmpty()) << text;
    EXPECT_FALSE(Read(text).allergy_unnamed) << text;
  }
  const Understanding hives = Read("she breaks out in hives from strawberries");
  EXPECT_THAT(hives.unknown_allergens, ElementsAre("strawberries"));
  EXPECT_THAT(hives.acts, IsEmpty());
  EXPECT_THAT(Read("we have three allergies").unknown_allergens, IsEmpty());
  const Understanding safe = Read("i've got a severe nut allergy what desserts are safe for me");
  ASSERT_THAT(safe.acts, SizeIs(1));
  EXPECT_EQ(safe.acts[0].kind, ActKind::kBrowse);
  EXPECT_EQ(safe.acts[0].category, "desserts");
  EXPECT_THAT(Read("i'm not allergic to nuts").denied_allergens, UnorderedElementsAre("nuts", "peanuts"));
}

TEST_F(UnderstandingTest, AnAllergyToNobodyKnowsWhatIsAskedAbout) {
  for (const char* text :
       {"i'm allergic", "I have an allergy", "my son has allergies", "i've got food allergies"}) {
    const Understanding read = Read(text);
    EXPECT_TRUE(read.allergy_unnamed) << text;
    EXPECT_THAT(read.acts, IsEmpty()) << text;
  }
  dialogue_.pending.kind = PendingKind::kAllergy;
  EXPECT_THAT(Read("to nuts").exclude_allergens, UnorderedElementsAre("nuts", "peanuts"));
  EXPECT_THAT(Read("just penuts").exclude_allergens, ElementsAre("peanuts"));
  EXPECT_THAT(Read("milk and eggs").exclude_allergens, UnorderedElementsAre("dairy", "egg"));
  EXPECT_THAT(Read("strawberries").unknown_allergens, ElementsAre("strawberries"));
}

TEST_F(UnderstandingTest, AnAllergyTakesNothingFromTheOrderBesideIt) {
  struct Case {
    const char* text;
    std::vector<int64_t> dishes;
  };
  for (const Case& sentence :
       std::vector<Case>{{"i'm allergic to dairy and i'd like a cheeseburger", {103}},
                         {"my son has a peanut allergy two volcano burgers please", {101}},
                         {"i'm allergic to nuts and cheese fries please", {403}},
                         {"i'm allergic to nuts a fish burger please", {113}},
                         {"gluten makes me sick so classic fries please", {401}},
                         {"dairy doesn't agree with me so an americano please", {702}},
                         {"a greek salad i can't have gluten", {503}},
                         {"she's not allergic to anything a mocha please", {706}}}) {
    const Understanding read = Read(sentence.text);
    ASSERT_THAT(read.acts, SizeIs(1)) << sentence.text;
    EXPECT_EQ(read.acts[0].kind, ActKind::kAdd) << sentence.text;
    EXPECT_EQ(read.acts[0].what.dishes, sentence.dishes) << sentence.text;
  }
  EXPECT_THAT(Read("i'm allergic to nuts and cheese fries please").exclude_allergens,
              UnorderedElementsAre("nuts", "peanuts"));
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
