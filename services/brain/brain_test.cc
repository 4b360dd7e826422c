#include "services/brain/brain.h"

#include <string>
#include <vector>

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/brain/answer.h"
#include "services/brain/test_kiosk.h"

namespace arc::brain {
namespace {

using messages::IntentType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class BrainTest : public ::testing::Test {
 protected:
  messages::BrainResponse Say(const std::string& text) {
    Outcome outcome = kiosk_.Say(text);
    path_ = outcome.path;
    EXPECT_FALSE(outcome.error.has_value());
    EXPECT_TRUE(outcome.response.has_value());
    return outcome.response.value_or(messages::BrainResponse{});
  }
  static std::vector<IntentType> Types(const messages::BrainResponse& response) {
    std::vector<IntentType> types;
    for (const messages::Intent& intent : response.intents) types.push_back(intent.intent_type);
    return types;
  }
  std::vector<std::string> Cart() {
    std::vector<std::string> lines;
    for (const messages::OrderLine& line : kiosk_.Snapshot().cart.lines) {
      messages::IntentItem item;
      item.name = line.name;
      item.quantity = line.quantity;
      item.modifiers = line.customizations;
      item.note = line.note;
      lines.push_back(SayItem(item));
    }
    return lines;
  }

  TestKiosk kiosk_{ARC_SOURCE_DIR "/deploy/demo/menu.json"};
  std::vector<std::string> path_;
};

TEST_F(BrainTest, TheNodesToolsAndTimesAreWhatHappened) {
  const messages::BrainResponse response = Say("two volcano burgers without onions and a large cola please");
  EXPECT_THAT(path_, ElementsAre("listen", "look", "understand", "inspect", "decide", "suggest", "answer"));
  EXPECT_EQ(response.metadata.reasoning_steps, 7);
  EXPECT_THAT(response.metadata.tools_called,
              ElementsAre("orchestrator.snapshot", "menu.list", "menu.details", "recsys.suggest"));
  ASSERT_THAT(response.performance.tools, SizeIs(4));
  EXPECT_EQ(response.metadata.llm_model, "rules");
  EXPECT_EQ(response.metadata.tokens_used, 0);
  EXPECT_GT(response.metadata.confidence_score, 0.9);
  EXPECT_THAT(response.agent_response,
              HasSubstr("That's two Volcano Burgers without onions and one large Iced Cola. Anything else?"));
  EXPECT_THAT(Cart(), ElementsAre("two Volcano Burgers without onions", "one large Iced Cola"));
}

TEST_F(BrainTest, SpansAreMeasuredByTheClock) {
  kiosk_.tools().fault = [&](absl::string_view tool) {
    kiosk_.clock().Advance(tool == "menu.search" ? absl::Milliseconds(30) : absl::Milliseconds(5));
    return absl::OkStatus();
  };
  kiosk_.tools().snapshot = kiosk_.Snapshot();
  const Outcome outcome = kiosk_.brain().Handle(kiosk_.Request("do you have sushi"), kiosk_.tools());
  ASSERT_TRUE(outcome.response.has_value());
  const auto& tools = outcome.response->performance.tools;
  ASSERT_THAT(tools, SizeIs(4));
  EXPECT_EQ(tools[0].tool, "orchestrator.snapshot");
  EXPECT_EQ(tools[0].start_ms, 0);
  EXPECT_EQ(tools[0].latency_ms, 5);
  EXPECT_EQ(tools[1].start_ms, 5);
  EXPECT_EQ(tools[3].tool, "menu.search");
  EXPECT_EQ(tools[3].latency_ms, 30);
  EXPECT_EQ(outcome.response->performance.total_processing_ms, tools[3].start_ms + 30);
  EXPECT_EQ(outcome.response->performance.llm_latency_ms, 0);
}

TEST_F(BrainTest, SmallTalkNeedsNoTools) {
  EXPECT_THAT(Say("hello").metadata.tools_called, IsEmpty());
  EXPECT_THAT(path_, ElementsAre("listen", "decide", "answer"));
  EXPECT_THAT(Types(Say("hi there")), ElementsAre(IntentType::kGreet));
  EXPECT_THAT(Types(Say("help")), ElementsAre(IntentType::kHelp));
  EXPECT_THAT(Types(Say("thanks")), IsEmpty());
  EXPECT_THAT(Types(Say("")), ElementsAre(IntentType::kUnknown));
  EXPECT_THAT(Types(Say("...")), ElementsAre(IntentType::kUnknown));
}

TEST_F(BrainTest, AmbiguityIsAskedAboutNeverGuessed) {
  const messages::BrainResponse asked = Say("a water please");
  EXPECT_EQ(asked.agent_response, "Which water: the Still Water or the Sparkling Water?");
  EXPECT_THAT(Types(asked), ElementsAre(IntentType::kSearchMenu));
  EXPECT_THAT(Cart(), IsEmpty());
  Say("the second one");
  EXPECT_THAT(Cart(), ElementsAre("one Sparkling Water"));
  EXPECT_THAT(Types(Say("no, the other one")),
              ElementsAre(IntentType::kRemoveFromCart, IntentType::kAddToCart));
  EXPECT_THAT(Cart(), ElementsAre("one Still Water"));
}

TEST_F(BrainTest, TwoAmbiguitiesAreAskedOneAfterTheOther) {
  const messages::BrainResponse first = Say("a water and a milkshake and that's all");
  EXPECT_THAT(first.agent_response, HasSubstr("Which water"));
  EXPECT_THAT(Types(first), Not(Contains(IntentType::kCheckout)));
  EXPECT_THAT(Say("still").agent_response, HasSubstr("Which milkshake"));
  const messages::BrainResponse last = Say("vanilla");
  EXPECT_THAT(Cart(), ElementsAre("one Still Water", "one Vanilla Milkshake"));
}

TEST_F(BrainTest, AnAllergyHoldsForTheWholeSession) {
  EXPECT_THAT(Say("i'm lactose intolerant").agent_response, HasSubstr("no dairy"));
  kiosk_.tools().searches.clear();
  kiosk_.tools().suggests.clear();
  const messages::BrainResponse warned = Say("a classic cheeseburger");
  EXPECT_THAT(warned.agent_response, HasSubstr("contains dairy. Do you still want it?"));
  EXPECT_THAT(Types(warned), ElementsAre(IntentType::kItemDetails));
  EXPECT_THAT(warned.intents[0].entities.exclude_allergens, ElementsAre("dairy"));
  EXPECT_THAT(Cart(), IsEmpty());
  Say("no");
  EXPECT_THAT(Cart(), IsEmpty());
  Say("what desserts do you have");
  Say("what do you recommend");
  Say("a hamburger");
  EXPECT_THAT(kiosk_.tools().suggests, SizeIs(::testing::Ge(2)));
  EXPECT_THAT(kiosk_.tools().suggests,
              Each(Field(&messages::SuggestRequest::exclude_allergens, ElementsAre("dairy"))));
  for (const messages::SearchRequest& search : kiosk_.tools().searches) {
    if (search.limit == 60) continue;  // the orchestrator's own, for the screen
    EXPECT_THAT(search.exclude_allergens, Contains("dairy")) << search.query;
  }
  Say("a classic cheeseburger");
  EXPECT_THAT(Types(Say("yes, i still want it")), ElementsAre(IntentType::kAddToCart));
  EXPECT_THAT(Cart(), ElementsAre("one Classic Beef Burger", "one Classic Cheeseburger"));
  // Starting over is the same customer; cancelling is not.
  Say("start over");
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("dairy"));
  Say("cancel my order");
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, IsEmpty());
}

TEST_F(BrainTest, ADietWarnsTooAndWhatIsInTheCartIsNamed) {
  Say("a volcano burger");
  EXPECT_THAT(
      Say("i'm vegan").agent_response,
      AllOf(HasSubstr("only vegan"), HasSubstr("The Volcano Burger in your order isn't listed as vegan")));
  EXPECT_THAT(Say("a latte").agent_response, HasSubstr("isn't listed as vegan. Do you still want it?"));
  Say("no thanks");
  Say("a plant power burger");
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger", "one Plant Power Burger"));
}

TEST_F(BrainTest, AnAllergyToNobodyKnowsWhatIsAskedAbout) {
  const messages::BrainResponse asked = Say("i'm allergic, and i'd like a chocolate brownie");
  EXPECT_THAT(asked.agent_response, HasSubstr("What are you allergic to?"));
  const messages::BrainResponse answered = Say("to nuts");
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("nuts", "peanuts"));
  EXPECT_THAT(answered.agent_response, HasSubstr("The Chocolate Brownie in your order contains nuts"));
  // A question that waited comes after it.
  kiosk_.Reset();
  EXPECT_THAT(Say("i'm allergic, a water please").agent_response, HasSubstr("What are you allergic to?"));
  EXPECT_THAT(Say("milk").agent_response, HasSubstr("Which water"));
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("dairy"));
}

TEST_F(BrainTest, AnAllergyMeansWhatWasSpokenOf) {
  EXPECT_THAT(Say("is there milk in the mocha").agent_response, HasSubstr("Yes"));
  Say("i'm allergic to that");
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("dairy"));
  EXPECT_THAT(Say("a mocha please").agent_response, HasSubstr("contains dairy"));
}

TEST_F(BrainTest, AnAllergyThatIsDeniedStaysWhereItWasNamed) {
  Say("my son is allergic to nuts");
  EXPECT_THAT(Say("i'm not allergic to nuts").agent_response, HasSubstr("leave out nuts or peanuts"));
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("nuts", "peanuts"));
  EXPECT_THAT(Say("a chocolate brownie").agent_response, HasSubstr("contains nuts"));
}

TEST_F(BrainTest, AnAllergyHoldsWhenTheDialogueIsLost) {
  Say("i'm allergic to dairy");
  // The voice agent began anew: the session's allergies come in the context or from the orchestrator.
  messages::BrainRequest request = kiosk_.Request("a volcano burger please");
  request.context.dialogue.reset();
  request.context.previous_turns.clear();
  kiosk_.tools().snapshot = kiosk_.Snapshot();
  Outcome outcome = kiosk_.brain().Handle(request, kiosk_.tools());
  ASSERT_TRUE(outcome.response.has_value());
  EXPECT_THAT(outcome.response->agent_response, HasSubstr("contains dairy"));
  kiosk_.tools().snapshot.reset();
  request.context.exclude_allergens = {"dairy", "unobtainium"};
  request.context.dietary_filters = {"halal", "breatharian"};
  outcome = kiosk_.brain().Handle(request, kiosk_.tools());
  ASSERT_TRUE(outcome.response.has_value());
  EXPECT_THAT(outcome.response->agent_response, HasSubstr("contains dairy"));
  ASSERT_THAT(outcome.response->intents, Not(IsEmpty()));
  EXPECT_THAT(outcome.response->intents[0].entities.exclude_allergens, ElementsAre("dairy"));
  EXPECT_THAT(outcome.response->intents[0].entities.dietary_filters, ElementsAre("halal"));
}

TEST_F(BrainTest, WhatIsPutOnADishIsWarnedAboutToo) {
  Say("i can't have dairy");
  Say("classic fries");
  ASSERT_THAT(Cart(), ElementsAre("one Classic Fries"));
  EXPECT_THAT(Say("with extra cheese on the fries").agent_response, HasSubstr("contains dairy"));
  EXPECT_THAT(Cart(), ElementsAre("one Classic Fries"));
  Say("yes please");
  EXPECT_THAT(Cart(), ElementsAre("one Classic Fries with extra cheese"));
  EXPECT_THAT(Say("change the fries to a mocha").agent_response, HasSubstr("contains dairy"));
  Say("yes");
  EXPECT_THAT(Cart(), ElementsAre("one Mocha"));
}

TEST_F(BrainTest, WhatIsOnlyWarnedAboutIsNotNotedForTheKitchen) {
  const std::string answer = Say("i'm vegan so a latte without milk").agent_response;
  EXPECT_THAT(answer, AllOf(HasSubstr("Do you still want it?"), Not(HasSubstr("for the kitchen"))));
}

TEST_F(BrainTest, ADishThatCannotBeCheckedIsNotTakenForSafe) {
  Say("i'm allergic to dairy");
  kiosk_.clock().Advance(absl::Minutes(1));
  kiosk_.tools().fault = [](absl::string_view tool) {
    return tool == "menu.details" ? absl::UnavailableError("gone") : absl::OkStatus();
  };
  EXPECT_THAT(Say("a volcano burger").agent_response, HasSubstr("can't be checked"));
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, ChoicesOfferedToAnAllergicCustomerAreSafe) {
  Say("i'm vegan");
  EXPECT_EQ(Say("a burger please").agent_response,
            "Which burger: the Plant Power Burger or the Chipotle Black Bean Burger?");
}

TEST_F(BrainTest, AnAllergenThatNoMenuTellsIsSaid) {
  EXPECT_THAT(Say("i'm allergic to strawberries").agent_response, HasSubstr("ask our staff"));
}

TEST_F(BrainTest, AnAllergyThatNoMenuListsIsWarnedAboutByTheWords) {
  Say("i'm allergic to strawberries");
  EXPECT_THAT(kiosk_.dialogue().unlisted_allergens, ElementsAre("strawberries"));
  const messages::BrainResponse warned = Say("a strawberry oat shake");
  EXPECT_THAT(warned.agent_response,
              HasSubstr("The Strawberry Oat Shake seems to contain strawberries. Do you still want it?"));
  EXPECT_THAT(Types(warned), ElementsAre(IntentType::kItemDetails));
  Say("no");
  EXPECT_THAT(Say("a fresh fruit cup").agent_response,
              HasSubstr("seems to contain strawberries"));  // described
  Say("no");
  EXPECT_THAT(Cart(), IsEmpty());
  Say("a mocha");
  EXPECT_THAT(Cart(), ElementsAre("one Mocha"));
  Say("start over");
  Say("a strawberry oat shake");
  EXPECT_THAT(Cart(), IsEmpty());
  Say("yes");
  EXPECT_THAT(Cart(), ElementsAre("one Strawberry Oat Shake"));
  Say("cancel my order");
  EXPECT_THAT(kiosk_.dialogue().unlisted_allergens, IsEmpty());

  kiosk_.Reset();
  EXPECT_THAT(Say("i'm allergic to onions").agent_response, HasSubstr("ask our staff"));
  EXPECT_THAT(Say("onion rings").agent_response, HasSubstr("seems to contain onions"));
  Say("no");
  // It can be had without.
  EXPECT_THAT(Say("a volcano burger").agent_response, HasSubstr("seems to contain onions"));
  Say("no");
  Say("a volcano burger without onions");
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger without onions"));
  EXPECT_THAT(Say("change it to a fries combo").agent_response, HasSubstr("seems to contain onions"));
  Say("no");
  EXPECT_THAT(Say("classic fries with extra onions").agent_response, HasSubstr("contains onions"));
  Say("no");
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger without onions"));

  kiosk_.Reset();
  Say("a mushroom swiss burger");
  EXPECT_THAT(Say("i'm allergic to milk and mushrooms").agent_response,
              AllOf(HasSubstr("ask our staff"), HasSubstr("The Mushroom Swiss Burger in your order contains"),
                    HasSubstr("seems to contain mushrooms")));
}

TEST_F(BrainTest, SoldOutAndUnknownDishesAreSaidWithAlternatives) {
  kiosk_.tools().sold_out.insert(101);
  messages::BrainResponse response = Say("a volcano burger and a coke");
  EXPECT_THAT(response.agent_response,
              AllOf(HasSubstr("the Volcano Burger is sold out"), HasSubstr("How about")));
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
  response = Say("i'd like a pizza margherita");
  EXPECT_THAT(response.agent_response, HasSubstr("Sorry, we don't have pizza margherita"));
  EXPECT_THAT(Types(response), ElementsAre(IntentType::kSearchMenu));
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
}

TEST_F(BrainTest, WhatSellsOutBetweenListAndOrderIsNotAdded) {
  Say("what's in the falafel wrap");
  kiosk_.tools().sold_out.insert(507);
  kiosk_.clock().Advance(absl::Seconds(3));
  EXPECT_THAT(Say("i'll take it").agent_response, HasSubstr("sold out"));
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, WishesThatNoCustomisationGrantsAreNotedAndSaid) {
  EXPECT_THAT(Say("a volcano burger without tomatoes and extra cheese").agent_response,
              HasSubstr("I've noted without tomatoes for the kitchen"));
  const auto cart = kiosk_.Snapshot().cart;
  ASSERT_THAT(cart.lines, SizeIs(1));
  EXPECT_THAT(cart.lines[0].customizations, ElementsAre("Extra Cheese"));
  EXPECT_EQ(cart.lines[0].note, "without tomatoes");
  Say("put the tomatoes back");
  EXPECT_EQ(kiosk_.Snapshot().cart.lines[0].note.value_or(""), "");
}

TEST_F(BrainTest, YesAndNoMeanWhatWasAskedLast) {
  Say("a mocha");
  EXPECT_THAT(Types(Say("no")), ElementsAre(IntentType::kCheckout));  // anything else?
  EXPECT_EQ(kiosk_.Snapshot().state, "checkout");
  EXPECT_THAT(Types(Say("no")), ElementsAre(IntentType::kDeny));  // pay now?
  EXPECT_EQ(kiosk_.Snapshot().state, "cart");
  Say("that's all");
  EXPECT_THAT(Types(Say("yes")), ElementsAre(IntentType::kConfirm));
  EXPECT_EQ(kiosk_.Snapshot().state, "paying");
  EXPECT_THAT(Say("yes").agent_response, HasSubstr("tap"));
}

TEST_F(BrainTest, WhoChangesHisMindWhileThePaymentIsOpenKeepsHisOrder) {
  for (const char* text :
       {"cancel", "cancel please", "cancel payment", "cancel the payment", "stop", "no", "go back",
        "remove the cola", "actually i want to change something", "i want to change something",
        "can i change my order", "make it two colas", "start over"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    Say("a cola and fries");
    const std::vector<std::string> before = Cart();
    Say("i'd like to pay");
    ASSERT_EQ(kiosk_.Snapshot().state, "paying");
    const messages::BrainResponse response = Say(text);
    EXPECT_THAT(Types(response), ElementsAre(IntentType::kDeny));
    EXPECT_THAT(response.agent_response,
                AllOf(HasSubstr("stopping the payment"), HasSubstr("What would you like to change?")));
    EXPECT_EQ(kiosk_.Snapshot().state, "checkout");
    EXPECT_EQ(Cart(), before);
  }
  // It goes on from there.
  Say("remove the cola");
  EXPECT_THAT(Cart(), ElementsAre("one Classic Fries"));
  Say("i'd like to pay");
  ASSERT_EQ(kiosk_.Snapshot().state, "paying");
  EXPECT_THAT(Types(Say("cancel my order")), ElementsAre(IntentType::kCancelOrder));
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, WhatIsOrderedWhileThePaymentIsOpenIsAddedOnceThatIsStopped) {
  Say("a cola");
  Say("i'd like to pay");
  messages::BrainResponse response = Say("add two lemonades without ice");
  EXPECT_THAT(Types(response), ElementsAre(IntentType::kDeny));
  EXPECT_THAT(response.agent_response, HasSubstr("Shall I add two Fresh Lemonades without ice?"));
  EXPECT_EQ(kiosk_.Snapshot().state, "checkout");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
  Say("yes");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola", "two Fresh Lemonades without ice"));
  Say("i'd like to pay");
  EXPECT_THAT(Say("no wait i want fries too").agent_response, HasSubstr("Shall I add one Classic Fries?"));
  Say("no");
  EXPECT_THAT(Cart(), SizeIs(2));
  Say("i'd like to pay");
  EXPECT_THAT(Say("a water").agent_response, HasSubstr("Which water"));
  Say("still");
  EXPECT_THAT(Cart(), Contains("one Still Water"));
  // What is not on the menu stops nothing.
  Say("i'd like to pay");
  Say("the football was rubbish last night");
  EXPECT_EQ(kiosk_.Snapshot().state, "paying");
}

TEST_F(BrainTest, YesWithoutAQuestionIsTheScreens) {
  messages::Touch touch;
  touch.action = messages::TouchAction::kSelectItem;
  touch.item_id = 101;
  kiosk_.Touch(touch);
  EXPECT_EQ(kiosk_.Snapshot().state, "details");
  EXPECT_THAT(Types(Say("yes")), ElementsAre(IntentType::kConfirm));
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger"));
}

TEST_F(BrainTest, PayingOutrightGoesToTheTerminal) {
  Say("two mochas");
  const messages::BrainResponse response = Say("i'd like to pay");
  EXPECT_THAT(Types(response), ElementsAre(IntentType::kCheckout, IntentType::kConfirm));
  EXPECT_EQ(response.agent_response, "Your items come to $9.98. Please tap or insert your card.");
  EXPECT_EQ(kiosk_.Snapshot().state, "paying");
  kiosk_.Reset();
  EXPECT_THAT(Say("i'd like to pay").agent_response, HasSubstr("still empty"));
}

TEST_F(BrainTest, WhatSellsOutBeforeItIsPaidIsSaidAndNotCounted) {
  const std::string gone =
      "Sorry, the Mozzarella Sticks are sold out by now, so I took them out of your order.";
  for (const std::vector<std::string>& texts : std::vector<std::vector<std::string>>{
           {"that's all"},       // sold out before
           {"i'd like to pay"},  // likewise; the total is another one, so nothing is paid yet
           {"no"},               // anything else?
           {"what's in my order", "that's all"}}) {
    SCOPED_TRACE(testing::PrintToString(texts));
    kiosk_.Reset();
    kiosk_.tools().sold_out.clear();
    Say("two mozzarella sticks without salt and a cola");
    Say("a mozzarella sticks");
    kiosk_.tools().sold_out.insert(406);
    const std::string first = Say(texts.front()).agent_response;
    EXPECT_THAT(first, AllOf(HasSubstr(gone), HasSubstr("Your items come to $5.99.")));
    EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
    if (texts.size() > 1) {
      EXPECT_EQ(Say(texts[1]).agent_response, "Your items come to $5.99. Would you like to pay now?");
    } else {
      EXPECT_THAT(first, HasSubstr("Would you like to pay now?"));
    }
    EXPECT_EQ(kiosk_.Snapshot().state, "checkout");
    Say("yes");
    EXPECT_EQ(kiosk_.Snapshot().state, "paying");
  }
  // Sold out after the total was said.
  kiosk_.Reset();
  kiosk_.tools().sold_out.clear();
  Say("mozzarella sticks and a cola");
  Say("that's all");
  kiosk_.tools().sold_out.insert(406);
  const messages::BrainResponse asked = Say("yes");
  EXPECT_THAT(asked.agent_response,
              AllOf(HasSubstr(gone), HasSubstr("Your items come to $5.99. Would you like to pay now?")));
  EXPECT_THAT(Types(asked), Not(Contains(IntentType::kConfirm)));
  EXPECT_EQ(kiosk_.Snapshot().state, "checkout");
  // Nothing is left.
  kiosk_.tools().sold_out.insert(201);
  EXPECT_THAT(Say("yes").agent_response, HasSubstr("What would you like instead?"));
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, QuestionsAreAnsweredFromTheMenu) {
  EXPECT_THAT(Say("how much is the volcano burger").agent_response,
              HasSubstr("The Volcano Burger is $12.99."));
  EXPECT_THAT(Say("how many calories does it have").agent_response, HasSubstr("850 calories"));
  EXPECT_THAT(Say("does it contain dairy").agent_response,
              HasSubstr("Yes, the Volcano Burger contains dairy"));
  EXPECT_THAT(Say("does it contain nuts").agent_response, HasSubstr("No nuts or peanuts is listed"));
  EXPECT_THAT(Say("is it spicy").agent_response, HasSubstr("Yes"));
  EXPECT_THAT(Say("is it vegan").agent_response, HasSubstr("isn't listed as vegan"));
  EXPECT_THAT(Say("what's in the classic fries").agent_response, HasSubstr("No allergens are listed"));
  EXPECT_THAT(Say("what do you have").agent_response, HasSubstr("burgers, combos, sides"));
  EXPECT_THAT(Say("what is vegetarian").agent_response, HasSubstr("We have"));
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, ASuggestionIsTakenByYes) {
  const messages::BrainResponse offered = Say("a volcano burger");
  ASSERT_EQ(kiosk_.dialogue().pending.kind, PendingKind::kMoreOr);
  const std::string name = kiosk_.dialogue().pending.phrase;
  EXPECT_THAT(offered.agent_response, HasSubstr(name));
  Say("yes please");
  EXPECT_THAT(Cart(), Contains(HasSubstr(name)));
  // Once is enough.
  EXPECT_THAT(Say("a coke").agent_response, Not(HasSubstr("Perhaps")));
}

TEST_F(BrainTest, AComboThatIsTakenReplacesItsParts) {
  const messages::BrainResponse offered =
      Say("a volcano burger without onions, two classic fries and an iced cola");
  EXPECT_THAT(offered.agent_response, HasSubstr("Perhaps the Fries Combo instead? You have it all"));
  EXPECT_THAT(Say("yes please").agent_response,
              HasSubstr("one Fries Combo without onions instead of the Volcano Burger, the Classic Fries and "
                        "the Iced Cola"));
  EXPECT_THAT(Cart(), ElementsAre("one Classic Fries", "one Fries Combo without onions"));
  // Named at another time it is a dish like any other.
  Say("a classic cheeseburger");
  Say("a fries combo");
  EXPECT_THAT(Cart(), Contains("one Classic Cheeseburger"));
}

TEST_F(BrainTest, AComboThatCannotKeepWhatWasChosenIsSaid) {
  Say("a volcano burger, a large fries and an iced cola");
  ASSERT_THAT(kiosk_.dialogue().pending.trade_ins, SizeIs(1));
  const std::vector<std::string> before = Cart();
  EXPECT_THAT(Say("yes").agent_response,
              HasSubstr("can't be had with large, so I left your order as it was"));
  EXPECT_EQ(Cart(), before);
}

TEST_F(BrainTest, RepeatSaysTheLastAnswerAndKeepsTheQuestion) {
  const std::string asked = Say("a water").agent_response;
  EXPECT_EQ(Say("say that again").agent_response, asked);
  Say("still");
  EXPECT_THAT(Cart(), ElementsAre("one Still Water"));
}

TEST_F(BrainTest, NoMenuIsSaidAndNothingIsDone) {
  kiosk_.tools().fault = [](absl::string_view tool) {
    return tool == "menu.list" ? MakeError(ErrorCode::kUnavailable, "no menu") : absl::OkStatus();
  };
  const messages::BrainResponse response = Say("a volcano burger");
  EXPECT_THAT(path_, ElementsAre("listen", "look", "apologise", "answer"));
  EXPECT_THAT(response.agent_response, HasSubstr("can't reach our menu"));
  EXPECT_THAT(response.intents, IsEmpty());
  EXPECT_EQ(response.metadata.confidence_score, 0);
}

TEST_F(BrainTest, OtherToolsMayFail) {
  kiosk_.tools().fault = [](absl::string_view tool) {
    return tool == "menu.list" || tool == "menu.details" ? absl::OkStatus()
                                                         : MakeError(ErrorCode::kUnavailable, "gone");
  };
  const messages::BrainResponse response = Say("two volcano burgers and a water");
  ASSERT_THAT(response.intents, SizeIs(2));
  EXPECT_EQ(response.intents[0].entities.items[0].quantity, 2);
}

TEST_F(BrainTest, TheDeadlineIsTheWholes) {
  kiosk_.tools().fault = [&](absl::string_view) {
    kiosk_.clock().Advance(absl::Milliseconds(150));
    return absl::OkStatus();
  };
  messages::BrainRequest request = kiosk_.Request("a volcano burger");
  request.constraints.timeout_ms = 200;
  const Outcome outcome = kiosk_.brain().Handle(request, kiosk_.tools());
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_FALSE(outcome.response.has_value());
  EXPECT_EQ(outcome.error->error_type, "timeout");
  EXPECT_FALSE(outcome.error->fallback_response.value_or("").empty());
  EXPECT_THAT(outcome.error->error_message, HasSubstr("200 ms"));
}

TEST_F(BrainTest, ACorrectionHitsTheLineThatWasMeant) {
  struct Case {
    std::vector<std::string> before;
    const char* said;
    std::vector<std::string> cart;
  };
  const std::string plain = "one Volcano Burger";
  const std::string cheese = "one Volcano Burger with extra cheese";
  const std::string bare = "one Volcano Burger without onions";
  const std::vector<std::string> two = {"a volcano burger with extra cheese", "a volcano burger"};
  const std::vector<std::string> other = {"a volcano burger", "a volcano burger without onions"};
  for (const Case& c : std::vector<Case>{
           {two, "remove the plain one", {cheese}},
           {two, "take the plain one off please", {cheese}},
           {two, "remove the one with extra cheese", {plain}},
           {two, "drop the volcano burger with extra cheese", {plain}},
           {two, "no onions on the second one", {cheese, bare}},
           {two, "no onions on the second", {cheese, bare}},
           {two,
            "no onions on the first one",
            {"one Volcano Burger with extra cheese and without onions", plain}},
           {two, "remove the second one", {cheese}},
           {two, "remove the first one", {plain}},
           {other, "make the one without onions two", {plain, "two Volcano Burgers without onions"}},
           {other, "the one without onions make it two", {plain, "two Volcano Burgers without onions"}},
           {other, "make the plain one two", {"two Volcano Burgers", bare}},
           {other, "remove the one without onions", {plain}},
           {{"three colas"}, "take one of them off", {"two Iced Colas"}},
           {{"three colas"}, "take one of those off", {"two Iced Colas"}},
           {{"a volcano burger and a cola"}, "actually no cola", {plain}},
           {{"two volcano burgers"}, "no onions on the second one", {plain, bare}},
           {{"a mocha", "fries", "a cola"}, "get rid of everything except the mocha", {"one Mocha"}},
           {{"two americanos"}, "double that", {"four Americanos"}},
           {{"two lemonades wait no three lemonades"}, "that is it", {"three Fresh Lemonades"}},
           {{"a water", "the second one"}, "no, the other one", {"one Still Water"}},
       }) {
    SCOPED_TRACE(c.said);
    kiosk_.Reset();
    for (const std::string& text : c.before) Say(text);
    Say(c.said);
    EXPECT_THAT(Cart(), ::testing::UnorderedElementsAreArray(c.cart));
  }
}

TEST_F(BrainTest, WhatIsNotOnTheMenuIsSaidAndTheRestIsOrdered) {
  EXPECT_THAT(Say("two cola and a flurble").agent_response,
              AllOf(HasSubstr("two Iced Colas"), HasSubstr("we don't have flurble")));
  EXPECT_THAT(Cart(), ElementsAre("two Iced Colas"));
  kiosk_.Reset();
  EXPECT_THAT(Say("a large unicorn").agent_response, HasSubstr("we don't have unicorn"));
  Say("the football was rubbish last night");
  EXPECT_THAT(Cart(), IsEmpty());
}

TEST_F(BrainTest, AWordThatNoDishIsCalledByIsSaid) {
  const messages::BrainResponse response = Say("a satay chicken wrap please");
  EXPECT_THAT(response.agent_response, HasSubstr("we have none that is called satay"));
  EXPECT_LT(response.metadata.confidence_score, 0.7);
  // What only praises says nothing of which dish.
  EXPECT_THAT(Say("and two delicious volcano burgers").agent_response, Not(HasSubstr("called")));
  EXPECT_THAT(Cart(), Contains("two Volcano Burgers"));
}

TEST_F(BrainTest, TheScreenIsToldWhatAQuestionIsAbout) {
  const messages::BrainResponse category = Say("do you have gluten free burgers");
  ASSERT_THAT(Types(category), ElementsAre(IntentType::kSearchMenu));
  EXPECT_EQ(category.intents[0].entities.item, "Burgers");
  EXPECT_THAT(category.intents[0].entities.asked_dietary, ElementsAre("gluten_free"));
  EXPECT_THAT(category.intents[0].entities.dietary_filters, IsEmpty());
  const messages::BrainResponse all = Say("what is vegan");
  ASSERT_THAT(Types(all), ElementsAre(IntentType::kSearchMenu));
  EXPECT_THAT(all.intents[0].entities.asked_dietary, ElementsAre("vegan"));
}

TEST_F(BrainTest, WhatADishHasToBeIsCheckedBeforeItIsAdded) {
  for (const char* text : {"a vegan cheeseburger please", "a gluten free crispy chicken burger",
                           "a nut free brownie", "dairy free latte please", "a vegetarian bacon burger"}) {
    kiosk_.Reset();
    EXPECT_THAT(Say(text).agent_response, HasSubstr("Do you still want it?")) << text;
    EXPECT_THAT(Cart(), IsEmpty()) << text;
  }
  EXPECT_EQ(kiosk_.dialogue().pending.kind, PendingKind::kWarning);
  Say("yes");
  EXPECT_THAT(Cart(), ElementsAre("one Smoky Bacon Burger"));
  // It is of that dish only.
  kiosk_.Reset();
  Say("a vegan halloumi burger and a smoky bacon burger");
  EXPECT_THAT(Cart(), Contains("one Smoky Bacon Burger"));
}

TEST_F(BrainTest, ASizeBelongsToTheDishBehindIt) {
  Say("a cola and large fries");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one Iced Cola", "one large Classic Fries"));
  kiosk_.Reset();
  Say("two classic beef burgers, large fries, large cola and an apple pie");
  EXPECT_THAT(Cart(), UnorderedElementsAre("two Classic Beef Burgers", "one large Classic Fries",
                                           "one large Iced Cola", "one Apple Pie"));
  kiosk_.Reset();
  Say("large fries, large cola");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one large Classic Fries", "one large Iced Cola"));
  kiosk_.Reset();
  Say("a classic cheeseburger with extra cheese and large fries");
  EXPECT_THAT(Cart(),
              UnorderedElementsAre("one Classic Cheeseburger with extra cheese", "one large Classic Fries"));
  kiosk_.Reset();
  Say("a cola large and fries");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one large Iced Cola", "one Classic Fries"));
}

TEST_F(BrainTest, ALongOrderIsTakenWhole) {
  Say("a volcano burger, a classic beef burger, a halloumi burger, fries, onion rings, chicken nuggets, a "
      "cola, a cherry "
      "cola, an espresso, a mocha, an apple pie, a caesar salad, a hot fudge sundae and a cappuccino");
  EXPECT_THAT(Cart(), SizeIs(14));
}

TEST_F(BrainTest, EachOfSeveralMayBeAnother) {
  Say("two volcano burgers, one with extra cheese and one without onions, and a large cola");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one Volcano Burger with extra cheese",
                                           "one Volcano Burger without onions", "one large Iced Cola"));
  kiosk_.Reset();
  Say("three colas, one large, one without ice and one normal");
  EXPECT_THAT(Cart(),
              UnorderedElementsAre("one large Iced Cola", "one Iced Cola without ice", "one Iced Cola"));
  kiosk_.Reset();
  Say("four volcano burgers, one without onions and two with extra cheese");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one Volcano Burger", "one Volcano Burger without onions",
                                           "two Volcano Burgers with extra cheese"));
}

TEST_F(BrainTest, EverythingExceptIsNotEverything) {
  Say("a cola, two fries and a volcano burger");
  Say("remove everything except the fries");
  EXPECT_THAT(Cart(), ElementsAre("two Classic Fries"));
}

TEST_F(BrainTest, LaughterAndHesitationOrderNothingAndAnswerNothing) {
  const std::vector<std::vector<std::string>> befores = {
      {},
      {"a volcano burger"},                           // anything else, perhaps …?
      {"a water"},                                    // which one?
      {"i'm allergic to dairy", "a volcano burger"},  // do you still want it?
      {"a volcano burger", "that's all"},             // would you like to pay now?
      {"how much is the mocha"},                      // would you like one?
      {"a mocha", "one hundred volcano burgers"}};    // how many?
  for (const auto& before : befores) {
    for (const char* text : {"hmm", "ha ha", "hahaha", "um", "okay so", "so", "well", "um okay so like",
                             "let me think", "uh let me see", "hehe lol", "..."}) {
      SCOPED_TRACE(testing::PrintToString(before) + text);
      kiosk_.Reset();
      for (const std::string& said : before) Say(said);
      const std::vector<std::string> cart = Cart();
      const std::string state = kiosk_.Snapshot().state;
      const PendingKind pending = kiosk_.dialogue().pending.kind;
      EXPECT_THAT(Types(Say(text)), ElementsAre(IntentType::kUnknown));
      EXPECT_EQ(Cart(), cart);
      EXPECT_EQ(kiosk_.Snapshot().state, state);
      EXPECT_EQ(kiosk_.dialogue().pending.kind, pending);
    }
  }
  // "Okay then" is a yes.
  kiosk_.Reset();
  Say("a mocha");
  Say("that's all");
  EXPECT_THAT(Types(Say("okay then")), ElementsAre(IntentType::kConfirm));
  kiosk_.Reset();
  Say("a mocha");
  Say("one hundred volcano burgers");
  // Laughter takes nothing from a yes.
  Say("ha ha yes please");
  EXPECT_EQ(kiosk_.dialogue().pending.kind, PendingKind::kCount);
}

TEST_F(BrainTest, CountsAreWhatWasSaidOrAskedAbout) {
  struct Case {
    const char* said;
    std::vector<std::string> cart;
  };
  for (const Case& c : std::vector<Case>{{"half a dozen mochas", {"six Mochas"}},
                                         {"a dozen mochas", {"twelve Mochas"}},
                                         {"two dozen mochas", {"24 Mochas"}},
                                         {"a couple of mochas", {"two Mochas"}},
                                         {"2x mocha", {"two Mochas"}},
                                         {"mocha x2", {"two Mochas"}},
                                         {"a pair of mochas", {"two Mochas"}},
                                         {"twenty one mochas", {"21 Mochas"}},
                                         {"two-three mochas", {"two Mochas"}},
                                         {"one mocha two espressos", {"one Mocha", "two Espressos"}},
                                         {"one hundred mochas", {}},
                                         {"100 mochas", {}},
                                         {"a hundred mochas", {}},
                                         {"three hundred and fifty mochas", {}},
                                         {"9999 mochas", {}},
                                         {"zero mochas", {}},
                                         {"0 mochas", {}},
                                         {"-2 mochas", {}},
                                         {"minus two mochas", {}}}) {
    SCOPED_TRACE(c.said);
    kiosk_.Reset();
    const std::string answer = Say(c.said).agent_response;
    EXPECT_EQ(Cart(), c.cart) << answer;
    if (!c.cart.empty()) continue;
    EXPECT_THAT(answer, HasSubstr("How many Mochas would you like?"));
    Say("three please");
    EXPECT_THAT(Cart(), ElementsAre("three Mochas"));
    EXPECT_THAT(Say("make it two hundred").agent_response, HasSubstr("at most 99"));
    EXPECT_THAT(Cart(), ElementsAre("three Mochas"));
    Say("five");
    EXPECT_THAT(Cart(), ElementsAre("five Mochas"));
  }
  kiosk_.Reset();
  EXPECT_THAT(Say("two or three mochas").agent_response, HasSubstr("make it three"));
  // A count beyond all measure does not cost the conversation what it knows.
  kiosk_.Reset();
  Say("i'm allergic to dairy");
  Say("9999 burgers");
  EXPECT_THAT(Say("the chipotle black bean burger").agent_response, HasSubstr("at most 99"));
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("dairy"));
}

TEST_F(BrainTest, CountsThatCannotBeAreNeverRounded) {
  for (const char* text : {"2.5 colas", "half a cola", "two and a half colas", "minus 2.5 colas"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    EXPECT_EQ(Say(text).agent_response,
              "I can take any whole number of a dish, from one to 99. How many Iced Colas would you like?");
    EXPECT_THAT(Cart(), IsEmpty());
    EXPECT_THAT(Say("1.5").agent_response, HasSubstr("How many Iced Colas would you like?"));
    Say("three");
    EXPECT_THAT(Cart(), ElementsAre("three Iced Colas"));
    EXPECT_THAT(Say("make it 2.5").agent_response, HasSubstr("from one to 99"));
    EXPECT_THAT(Cart(), ElementsAre("three Iced Colas"));
  }
  for (const char* text : {"one million fries", "a million fries", "1,000,000 fries", "20000 fries"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    EXPECT_THAT(Say(text).agent_response,
                HasSubstr("I can take at most 99 of a dish here. How many Classic Fries would you like?"));
    EXPECT_THAT(Cart(), IsEmpty());
  }
  kiosk_.Reset();
  Say("three colas");
  EXPECT_THAT(Say("remove 1.5 colas").agent_response, HasSubstr("How many"));
  EXPECT_THAT(Cart(), ElementsAre("three Iced Colas"));
}

TEST_F(BrainTest, AThingThatNoDishIsCalledIsNotReplacedByADishThatSharesAWord) {
  for (const char* text :
       {"a cheese pizza", "two cheese pizzas", "i'd like a cheese pizza please", "a halloumi pizza",
        "a volcano taco", "a chicken soup", "an onion soup", "a cola slushie", "an apple pie smoothie",
        "a chocolate brownie trifle", "can i get a cheese omelette", "a mushroom risotto and that's all"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    const std::string answer = Say(text).agent_response;
    EXPECT_THAT(answer, HasSubstr("Sorry, we don't have ")) << answer;
    EXPECT_THAT(Cart(), IsEmpty()) << answer;
  }
  // What is ordered besides is taken.
  kiosk_.Reset();
  EXPECT_THAT(Say("a cheese pizza and a cola").agent_response, HasSubstr("we don't have cheese pizza"));
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
  Say("two volcano burgers without onions and a halloumi pizza");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola", "two Volcano Burgers without onions"));
  // A word of the menu in front of another dish's name is that dish's, not a dish.
  kiosk_.Reset();
  EXPECT_THAT(Say("a mango milkshake").agent_response, HasSubstr("Which milkshake"));
  EXPECT_THAT(Cart(), IsEmpty());
  kiosk_.Reset();
  EXPECT_EQ(Say("an apple juice").agent_response,
            "Sorry, we have none that is called apple. Do you mean the Orange Juice?");
  EXPECT_THAT(Cart(), IsEmpty());
  Say("yes");
  EXPECT_THAT(Cart(), ElementsAre("one Orange Juice"));
  // A word that dishes are made of is asked about, and so is a thing that is asked for.
  kiosk_.Reset();
  EXPECT_EQ(Say("two falafels").agent_response, "Do you mean the Falafel Wrap?");
  EXPECT_THAT(Cart(), IsEmpty());
  Say("yes please");
  EXPECT_THAT(Cart(), ElementsAre("two Falafel Wraps"));
  EXPECT_THAT(Say("do you have cheese pizza").agent_response, Not(HasSubstr("Loaded Cheese Fries is")));
  // Words that are no thing change nothing.
  for (const char* text :
       {"a cola mate", "a cola asap", "a cola quickly", "a cola buddy", "a cola tonight"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    Say(text);
    EXPECT_THAT(Cart(), ElementsAre("one Iced Cola"));
  }
}

TEST_F(BrainTest, NotThisButThat) {
  struct Case {
    std::vector<std::string> before;
    const char* said;
    std::vector<std::string> cart;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "not a cola, a lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "not a cola, a lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "no, not a cola, a lemonade please", {"one Fresh Lemonade"}},
           {{"two colas"}, "not a cola, a lemonade", {"two Fresh Lemonades"}},
           {{"a cola and fries"},
            "i said not the cola but the lemonade",
            {"one Classic Fries", "one Fresh Lemonade"}},
           {{"a cola"}, "i don't want a cola, i want a lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "i didn't want a cola, a lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "no cola, lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "it's not a cola, it's a lemonade", {"one Fresh Lemonade"}},
           {{"a cola"}, "a lemonade, not a cola", {"one Fresh Lemonade"}},
           {{"a cola"}, "not a cola, two lemonades and fries", {"one Classic Fries", "two Fresh Lemonades"}},
           {{"a mocha and a cola"}, "not the cola", {"one Mocha"}},
           {{"one cola"}, "not one cola, two", {"two Iced Colas"}},
           {{"a mocha, a cola and fries"}, "i don't want the cola and the fries", {"one Mocha"}},
           {{"a volcano burger"}, "no onions", {"one Volcano Burger without onions"}}}) {
    SCOPED_TRACE(c.said);
    kiosk_.Reset();
    for (const std::string& text : c.before) Say(text);
    const std::string answer = Say(c.said).agent_response;
    EXPECT_THAT(Cart(), ::testing::UnorderedElementsAreArray(c.cart)) << answer;
  }
}

TEST_F(BrainTest, OneOfSeveralIsSwapped) {
  Say("three fries");
  Say("swap one of the fries for onion rings");
  EXPECT_THAT(Cart(), ElementsAre("two Classic Fries", "one Onion Rings"));
  EXPECT_EQ(Say("swap one of the fries").agent_response, "What would you like instead of one Classic Fries?");
  EXPECT_THAT(Cart(), ElementsAre("two Classic Fries", "one Onion Rings"));
  Say("a garlic bread");
  EXPECT_THAT(Cart(), ElementsAre("one Classic Fries", "one Onion Rings", "one Garlic Bread"));
  kiosk_.Reset();
  Say("three colas");
  Say("change two of the colas to lemonades");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola", "two Fresh Lemonades"));
  kiosk_.Reset();
  // Which of several is asked about, and how many of it is kept.
  Say("three colas");
  EXPECT_THAT(Say("swap one of the colas for a water").agent_response, HasSubstr("Which water"));
  Say("still");
  EXPECT_THAT(Cart(), ElementsAre("two Iced Colas", "one Still Water"));
  kiosk_.Reset();
  Say("two volcano burgers and two halloumi burgers");
  EXPECT_THAT(Say("swap one of the burgers for a mocha").agent_response, HasSubstr("Which burger"));
  Say("the volcano burger");
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger", "two Halloumi Burgers", "one Mocha"));
  kiosk_.Reset();
  Say("two volcano burgers");
  Say("make one of the burgers a halloumi burger");
  EXPECT_THAT(Cart(), ElementsAre("one Volcano Burger", "one Halloumi Burger"));
  // All of them without such words, and none when what comes instead is not there.
  kiosk_.Reset();
  Say("two fries");
  EXPECT_THAT(Say("swap one of the fries for a cheese pizza").agent_response, HasSubstr("we don't have"));
  EXPECT_THAT(Cart(), ElementsAre("two Classic Fries"));
  Say("swap the fries for onion rings");
  EXPECT_THAT(Cart(), ElementsAre("two Onion Rings"));
  // "Never mind" leaves it.
  Say("swap one of the onion rings");
  Say("no thanks");
  EXPECT_THAT(Cart(), ElementsAre("two Onion Rings"));
}

TEST_F(BrainTest, TheOtherOneIsTheOtherLine) {
  Say("a cola and a mocha");
  Say("make it two");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola", "two Mochas"));
  EXPECT_EQ(Say("no, the other one").agent_response, "Okay, one Mocha and two Iced Colas. Anything else?");
  EXPECT_THAT(Cart(), UnorderedElementsAre("two Iced Colas", "one Mocha"));
  Say("no, the other one");
  EXPECT_THAT(Cart(), UnorderedElementsAre("one Iced Cola", "two Mochas"));
  kiosk_.Reset();
  Say("a cola and a mocha");
  Say("remove the mocha");
  Say("no the other one");
  EXPECT_THAT(Cart(), ElementsAre("one Mocha"));
  kiosk_.Reset();
  Say("a volcano burger, a halloumi burger and a smoky bacon burger");
  Say("make the halloumi burger two");
  EXPECT_THAT(Say("no, the other one").agent_response,
              HasSubstr("Which one: the Volcano Burger or the Smoky Bacon Burger?"));
  Say("the volcano burger");
  EXPECT_THAT(Cart(),
              UnorderedElementsAre("two Volcano Burgers", "one Halloumi Burger", "one Smoky Bacon Burger"));
  kiosk_.Reset();
  Say("a classic beef burger and a garden veggie burger");
  Say("no onions");
  EXPECT_THAT(Cart(), ElementsAre("one Classic Beef Burger", "one Garden Veggie Burger without onions"));
  Say("no, the other one");
  EXPECT_THAT(Cart(),
              UnorderedElementsAre("one Classic Beef Burger without onions", "one Garden Veggie Burger"));
  // Nothing was changed: nothing is.
  kiosk_.Reset();
  Say("a cola");
  Say("make it two");
  Say("no, the other one");
  EXPECT_THAT(Cart(), ElementsAre("two Iced Colas"));
}

TEST_F(BrainTest, WhatCustomersSayOfAnOrderAtHand) {
  struct Case {
    std::vector<std::string> before;
    const char* said;
    std::vector<std::string> cart;
  };
  for (const Case& c : std::vector<Case>{
           {{"fries and a coke"},
            "instead of coke i'd like a sprite",
            {"one Classic Fries", "one Lemon-Lime Soda"}},
           {{"a cola and fries"}, "double the fries", {"one Iced Cola", "two Classic Fries"}},
           {{"a cola and fries"}, "two of each", {"two Iced Colas", "two Classic Fries"}},
           {{"a volcano burger and a halloumi burger"}, "not the volcano one", {"one Halloumi Burger"}},
           {{"a volcano burger"}, "make that a combo", {"one Fries Combo"}},
           {{}, "a volcano burger combo without onions", {"one Fries Combo without onions"}},
           {{"a volcano burger"}, "can you take the cheese off", {"one Volcano Burger without cheese"}},
           {{},
            "volcano burger hold the onions add bacon",
            {"one Volcano Burger with bacon and without onions"}},
           {{}, "strawberry milkshake", {"one Strawberry Oat Shake"}},
           {{}, "a hot choc with cream", {"one Hot Chocolate with whipped cream"}},
           {{}, "coffee black", {"one Espresso"}},
           {{"a volcano burger and a cola"},
            "rather than the cola, a mocha",
            {"one Volcano Burger", "one Mocha"}},
           {{"a mocha and a cola"}, "i didn't say cola", {"one Mocha"}},
           {{"four colas"}, "one less", {"three Iced Colas"}},
           {{"three colas"}, "change one to a mocha", {"two Iced Colas", "one Mocha"}},
           {{"three colas"}, "replace two with mochas", {"one Iced Cola", "two Mochas"}},
           {{"three colas"}, "make one a mocha", {"two Iced Colas", "one Mocha"}},
           {{"three colas"}, "can one of them be a mocha", {"two Iced Colas", "one Mocha"}},
           {{"three colas"}, "one of the colas should be a mocha", {"two Iced Colas", "one Mocha"}},
           {{"two colas"}, "make one of them large", {"one Iced Cola", "one large Iced Cola"}},
           {{"a cola"}, "not that, a lemonade", {"one Fresh Lemonade"}},
           {{"a mocha and a cola"}, "i never wanted a cola", {"one Mocha"}},
           {{"a mocha and a cola"}, "i did not want a cola", {"one Mocha"}},
           {{}, "a volcano burger not spicy", {"one Volcano Burger, not spicy"}},
           {{"four colas"}, "two fewer", {"two Iced Colas"}},
           {{"a volcano burger"}, "i hate onions", {"one Volcano Burger without onions"}},
           {{}, "i hate onions", {}},
           {{}, "i can't eat onions", {}},
           {{"a cola"}, "that's wrong", {"one Iced Cola"}},
           // Asked about: nothing is ordered yet.
           {{}, "wine", {}},
           {{}, "a glass of red wine", {}},
           {{}, "chicken", {}},
           {{}, "chocolate ice cream", {}}}) {
    SCOPED_TRACE(c.said);
    kiosk_.Reset();
    for (const std::string& text : c.before) Say(text);
    const std::string answer = Say(c.said).agent_response;
    EXPECT_THAT(Cart(), ::testing::UnorderedElementsAreArray(c.cart)) << answer;
  }
  kiosk_.Reset();
  Say("a volcano burger");
  EXPECT_EQ(Say("i changed my mind").agent_response, "What would you like instead of the Volcano Burger?");
  Say("a mocha");
  EXPECT_THAT(Cart(), ElementsAre("one Mocha"));
  kiosk_.Reset();
  Say("a cola");
  EXPECT_EQ(Say("that's wrong").agent_response, "What would you like instead of the Iced Cola?");
  kiosk_.Reset();
  Say("i can't eat onions");
  EXPECT_THAT(kiosk_.dialogue().unlisted_allergens, ElementsAre("onions"));
  // Before anything is ordered "no dairy" is no wish for a dish.
  kiosk_.Reset();
  Say("no dairy please");
  EXPECT_THAT(kiosk_.dialogue().exclude_allergens, ElementsAre("dairy"));
  kiosk_.Reset();
  Say("a cola");
  Say("no ice");
  EXPECT_THAT(Cart(), ElementsAre("one Iced Cola without ice"));
}

TEST_F(BrainTest, AfterACardThatWasDeclinedTheCustomerPaysAgain) {
  for (const char* text :
       {"pay", "yes", "try again", "i'll try another card", "can i use a different card"}) {
    SCOPED_TRACE(text);
    kiosk_.Reset();
    Say("a mocha");
    Say("that's all");
    // Back at the checkout, with nothing asked by voice.
    messages::BrainRequest request = kiosk_.Request(text);
    request.context.dialogue.reset();
    kiosk_.tools().snapshot = kiosk_.Snapshot();
    ASSERT_EQ(kiosk_.tools().snapshot->state, "checkout");
    const Outcome outcome = kiosk_.brain().Handle(request, kiosk_.tools());
    ASSERT_TRUE(outcome.response.has_value());
    EXPECT_THAT(Types(*outcome.response), Contains(IntentType::kConfirm));
    EXPECT_THAT(outcome.response->agent_response, HasSubstr("tap or insert your card"));
  }
}

TEST_F(BrainTest, DietsAndAllergiesInFewWords) {
  struct Case {
    const char* said;
    std::vector<std::string> allergens;
    std::vector<std::string> diets;
  };
  for (const Case& c : std::vector<Case>{{"i am vegan", {}, {"vegan"}},
                                         {"i'm vegan", {}, {"vegan"}},
                                         {"i am a vegan", {}, {"vegan"}},
                                         {"vegan", {}, {"vegan"}},
                                         {"we are vegetarians", {}, {"vegetarian"}},
                                         {"we're all vegetarian", {}, {"vegetarian"}},
                                         {"i'm lactose intolerant", {"dairy"}, {}},
                                         {"lactose-intolerant", {"dairy"}, {}},
                                         {"coeliac", {"gluten"}, {}},
                                         {"i'm a coeliac", {"gluten"}, {}},
                                         {"celiac disease", {"gluten"}, {}},
                                         {"we are coeliacs", {"gluten"}, {}}}) {
    SCOPED_TRACE(c.said);
    kiosk_.Reset();
    EXPECT_THAT(Say(c.said).agent_response, HasSubstr("keep that in mind"));
    EXPECT_EQ(kiosk_.dialogue().exclude_allergens, c.allergens);
    EXPECT_EQ(kiosk_.dialogue().dietary_filters, c.diets);
    EXPECT_THAT(Cart(), IsEmpty());
  }
}

TEST_F(BrainTest, WhatTheOrchestratorWouldNotTakeIsNotSaidToBeAdded) {
  Say("six colas");
  EXPECT_EQ(
      Say("99 colas").agent_response,
      "I can take at most 93 more Iced Colas here, so I haven't added any yet. How many Iced Colas would you "
      "like?");
  EXPECT_THAT(Cart(), ElementsAre("six Iced Colas"));
  Say("93");
  EXPECT_THAT(Cart(), ElementsAre("99 Iced Colas"));
  EXPECT_THAT(Say("another cola").agent_response,
              AllOf(HasSubstr("I couldn't add one Iced Cola"), HasSubstr("ask our staff")));
  // Another line has room of its own.
  Say("a cola without ice");
  EXPECT_THAT(Cart(), ElementsAre("99 Iced Colas", "one Iced Cola without ice"));
  // Two lines that would become one.
  EXPECT_THAT(Say("make the one without ice with ice").agent_response,
              HasSubstr("left the Iced Cola as it was"));
  EXPECT_THAT(Cart(), ElementsAre("99 Iced Colas", "one Iced Cola without ice"));
  // What cannot take its place leaves it there.
  Say("a mocha");
  EXPECT_THAT(Say("change the mocha to a cola").agent_response, HasSubstr("I couldn't add"));
  EXPECT_THAT(Cart(), Contains("one Mocha"));
  // A warning that is waved away fits no better.
  Say("i'm allergic to dairy");
  Say("98 mochas");
  Say("yes");
  EXPECT_THAT(Cart(), Contains("99 Mochas"));
  Say("a mocha");
  EXPECT_THAT(Say("yes").agent_response, HasSubstr("I couldn't add one Mocha"));

  // The whole order.
  kiosk_.Reset();
  const auto fill = [&](size_t lines, int64_t quantity) {
    messages::Intent intent;
    intent.intent_type = IntentType::kAddToCart;
    for (const messages::MenuItem& item : kiosk_.tools().catalogue().items()) {
      if (item.id == 201 || item.id == 231 || intent.entities.items.size() >= lines) continue;
      messages::IntentItem added;
      added.item_id = item.id;
      added.name = item.name;
      added.quantity = quantity;
      intent.entities.items.push_back(std::move(added));
    }
    kiosk_.Apply({intent});
    ASSERT_THAT(Cart(), SizeIs(lines));
  };
  fill(10, 99);
  EXPECT_THAT(Say("ten colas").agent_response, HasSubstr("at most 9 more Iced Colas"));
  Say("eight");
  EXPECT_THAT(Cart(), Contains("eight Iced Colas"));
  EXPECT_THAT(Say("make it ten colas").agent_response, HasSubstr("it stays at eight Iced Colas"));
  EXPECT_THAT(Cart(), Contains("eight Iced Colas"));
  kiosk_.Reset();
  fill(50, 1);
  EXPECT_THAT(Say("a cola").agent_response, HasSubstr("I couldn't add one Iced Cola"));
  EXPECT_THAT(Cart(), SizeIs(50));
}

TEST_F(BrainTest, AToolThatHangsDoesNotLoseTheOrder) {
  kiosk_.tools().hang = [&](absl::string_view, absl::Duration timeout) { kiosk_.clock().Advance(timeout); };
  for (const std::set<std::string>& hung : std::vector<std::set<std::string>>{
           {"recsys.suggest"},
           {"menu.search"},
           {"orchestrator.snapshot"},
           {"menu.details"},
           {"menu.list", "menu.search", "menu.details"},
           {"menu.list", "menu.search", "menu.details", "recsys.suggest", "orchestrator.snapshot"}}) {
    SCOPED_TRACE(testing::PrintToString(hung));
    kiosk_.Reset();
    kiosk_.tools().hung.clear();
    Say("what do you have");  // the menu is known
    kiosk_.clock().Advance(absl::Seconds(40));
    kiosk_.tools().hung = hung;
    kiosk_.tools().snapshot = kiosk_.Snapshot();
    const Outcome outcome =
        kiosk_.brain().Handle(kiosk_.Request("two volcano burgers and a flurble please"), kiosk_.tools());
    ASSERT_TRUE(outcome.response.has_value());
    EXPECT_FALSE(outcome.error.has_value());
    EXPECT_LT(outcome.response->performance.total_processing_ms, 1900);
    EXPECT_THAT(outcome.response->agent_response, HasSubstr("That's two Volcano Burgers"));
    ASSERT_THAT(outcome.response->intents, Not(IsEmpty()));
    EXPECT_EQ(outcome.response->intents[0].intent_type, IntentType::kAddToCart);
    EXPECT_EQ(outcome.response->intents[0].entities.items[0].item_id, 101);
  }
  // The shortest deadline that a caller may wish for is shared in the same way.
  kiosk_.tools().hung = {"recsys.suggest"};
  kiosk_.Reset();
  messages::BrainRequest request = kiosk_.Request("a volcano burger");
  request.constraints.timeout_ms = 100;
  kiosk_.tools().snapshot = kiosk_.Snapshot();
  const Outcome outcome = kiosk_.brain().Handle(request, kiosk_.tools());
  EXPECT_FALSE(outcome.error.has_value());
  ASSERT_TRUE(outcome.response.has_value());
  EXPECT_EQ(outcome.response->metadata.tools_called.back(), "recsys.suggest");
}

TEST_F(BrainTest, AMenuThatIsSilentForLongIsNotGuessed) {
  kiosk_.tools().hang = [&](absl::string_view, absl::Duration timeout) { kiosk_.clock().Advance(timeout); };
  Say("what do you have");
  kiosk_.tools().hung = {"menu.list", "menu.search", "menu.details"};
  kiosk_.clock().Advance(absl::Minutes(6));
  EXPECT_THAT(Say("a volcano burger").agent_response, HasSubstr("can't reach our menu"));
}

TEST_F(BrainTest, ADialogueOfOthersIsIgnoredWhenItIsNotOurs) {
  for (const char* text :
       {"null", "[]", "7", R"({"pending":{"kind":"dance"}})", R"({"last":[{"item_id":-1}]})",
        R"({"pending":{"kind":"choice","candidates":[424242]}})",
        R"({"focus":424242,"pending":{"kind":"offer","candidates":[424242]}})"}) {
    messages::BrainRequest request = kiosk_.Request("yes");
    request.context.dialogue = json::Raw{text};
    kiosk_.tools().snapshot = kiosk_.Snapshot();
    const Outcome outcome = kiosk_.brain().Handle(request, kiosk_.tools());
    ASSERT_TRUE(outcome.response.has_value()) << text;
    EXPECT_THAT(Types(*outcome.response), Not(Contains(IntentType::kAddToCart))) << text;
  }
}

TEST(LargeMenuTest, IsGroundedBySearchAndDetails) {
  BrainOptions options;
  options.menu.max_detailed = 10;
  TestKiosk kiosk(ARC_SOURCE_DIR "/deploy/demo/menu.json", options);
  kiosk.Say("two volcano burgers without onions and a large iced cola");
  kiosk.Say("and a fanta");
  const auto cart = kiosk.Snapshot().cart;
  ASSERT_THAT(cart.lines, SizeIs(3));
  EXPECT_EQ(cart.lines[0].quantity, 2);
  EXPECT_THAT(cart.lines[0].customizations, ElementsAre("No Onions"));
  EXPECT_THAT(cart.lines[1].customizations, ElementsAre("Large"));
  EXPECT_EQ(cart.lines[2].item_id, 204);
}

TEST_F(BrainTest, EveryNodeOfTheGraphIsReachable) {
  const std::string dot = kiosk_.brain().GraphDot();
  for (const auto& node : kiosk_.brain().graph().nodes()) {
    EXPECT_THAT(dot, HasSubstr("  " + node.name + " [label=")) << node.name;
    if (node.name != "listen") {
      EXPECT_THAT(dot, HasSubstr("-> " + node.name)) << node.name;
    }
  }
}

TEST(AnswerTest, PricesAndItems) {
  EXPECT_EQ(SayPrice(1299, "USD", 2), "$12.99");
  EXPECT_EQ(SayPrice(5, "EUR", 2), "€0.05");
  EXPECT_EQ(SayPrice(300, "JPY", 0), "¥300");
  EXPECT_EQ(SayPrice(1250, "CHF", 2), "12.50 CHF");
  messages::IntentItem item;
  item.name = "Kids Cheeseburger Meal";
  item.quantity = 2;
  item.modifiers = {"No Pickles", "No Onions", "Swap Fries for Fruit", "Large"};
  item.note = "without ketchup, well done";
  EXPECT_EQ(SayItem(item),
            "two large Kids Cheeseburger Meals with fruit instead of fries and without pickles, onions or "
            "ketchup, well done");
  EXPECT_EQ(JoinSentences({"that's it", "", "anything else?"}), "That's it. Anything else?");
}

}  // namespace
}  // namespace arc::brain
