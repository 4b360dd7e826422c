#include "services/recsys/suggest.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"

namespace arc::recsys {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using messages::Suggestion;
using messages::SuggestRequest;

auto Id(int64_t id) {
  return Field("item_id", &Suggestion::item_id, id);
}
auto Reason(const std::string& reason) {
  return Field("reason", &Suggestion::reason, reason);
}
auto Pitch(const std::string& text) {
  return Field("pitch", &Suggestion::pitch, HasSubstr(text));
}

std::shared_ptr<const menu::Catalogue> MakeCatalogue(absl::string_view text) {
  absl::StatusOr<messages::MenuFile> file = menu::ParseMenuFile(text);
  EXPECT_THAT(file, IsOk());
  auto catalogue = menu::Catalogue::Create(*std::move(file));
  EXPECT_THAT(catalogue, IsOk());
  return *catalogue;
}

std::shared_ptr<const menu::Catalogue> DemoCatalogue() {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  return MakeCatalogue(std::string(std::istreambuf_iterator<char>(file), {}));
}

// Two burgers, a side, two hot and two cold drinks, a platter and a combo.
constexpr absl::string_view kSmallMenu = R"({
  "currency": "USD",
  "categories": [{"id": "burgers", "name": "Burgers"}, {"id": "sides", "name": "Sides"},
                 {"id": "drinks", "name": "Drinks"}, {"id": "combos", "name": "Combos"}],
  "items": [
    {"id": 1, "name": "Beef Burger", "category": "burgers", "price": 9, "allergens": ["gluten"]},
    {"id": 2, "name": "Bean Burger", "category": "burgers", "price": 8, "dietary": ["vegan"]},
    {"id": 3, "name": "Fries", "category": "sides", "price": 4, "dietary": ["vegan"]},
    {"id": 4, "name": "Cola", "category": "drinks", "price": 3, "tags": ["cold"], "dietary": ["vegan"]},
    {"id": 5, "name": "Lemonade", "category": "drinks", "price": 3, "tags": ["cold"], "dietary": ["vegan"]},
    {"id": 6, "name": "Tea", "category": "drinks", "price": 3, "tags": ["hot"], "dietary": ["vegan"]},
    {"id": 7, "name": "Coffee", "category": "drinks", "price": 3, "tags": ["hot"], "allergens": ["dairy"]},
    {"id": 8, "name": "Nacho Platter", "category": "sides", "price": 12, "tags": ["sharing"],
     "dietary": ["vegetarian"]},
    {"id": 9, "name": "Bean Combo", "category": "combos", "price": 13.5, "dietary": ["vegan"],
     "combo_of": [2, 3, 4]},
    {"id": 10, "name": "Beef Combo", "category": "combos", "price": 14, "dietary": ["vegan"],
     "combo_of": [1, 3, 4]}
  ]})";

class SuggestTest : public ::testing::Test {
 protected:
  std::vector<Suggestion> Ask(const SuggestRequest& request) {
    const absl::StatusOr<messages::SuggestResponse> answer =
        suggester_.Suggest(request, unavailable_, model_);
    EXPECT_THAT(answer, IsOk());
    return answer.ok() ? answer->suggestions : std::vector<Suggestion>();
  }

  static SuggestRequest Cart(const std::vector<int64_t>& ids) {
    SuggestRequest request;
    for (const int64_t id : ids) request.cart.push_back({id, 1});
    return request;
  }

  void Learn(const std::vector<int64_t>& ids, int times, const messages::OrderContext& context = {}) {
    Counts counts;
    for (int i = 0; i < times; ++i) counts.Learn(MakeBasket("any", ids, context));
    model_.Apply(counts);
  }

  Suggester suggester_{MakeCatalogue(kSmallMenu)};
  UnavailableIds unavailable_;
  Model model_;
};

TEST_F(SuggestTest, WhatIsOrderedWithTheCartComesFirst) {
  Learn({1, 5}, 40);
  Learn({2, 4}, 40);
  Learn({3}, 40);
  EXPECT_THAT(Ask(Cart({1})).front(),
              AllOf(Id(5), Reason("goes_with"), Pitch("Goes great with your burger!")));
  SuggestRequest bean = Cart({2});
  const std::vector<Suggestion> answer = Ask(bean);
  EXPECT_THAT(answer.front(), AllOf(Id(4), Reason("goes_with")));
}

TEST_F(SuggestTest, HotWeatherOffersColdDrinksAndColdWeatherHotOnes) {
  SuggestRequest request = Cart({1});
  request.context.weather = "hot";
  EXPECT_THAT(Ask(request),
              Contains(AllOf(Id(4), Reason("weather_hot"), Pitch("Perfect to cool down with your burger!"))));
  request.context.weather = "cold";
  EXPECT_THAT(Ask(request), Contains(AllOf(Id(6), Reason("weather_cold"), Pitch("warm you up"))));
  request.context.weather = "rain";
  EXPECT_THAT(Ask(request), Contains(AllOf(Id(6), Reason("weather_rainy"))));
  request.cart.clear();
  EXPECT_THAT(Ask(request), Contains(AllOf(Id(6), Pitch("Something hot for a rainy day!"))));
}

TEST_F(SuggestTest, ATimeOfDayIsAReasonOnceItWasLearned) {
  messages::OrderContext breakfast, dinner;
  breakfast.time_of_day = "breakfast";
  dinner.time_of_day = "dinner";
  Learn({7}, 60, breakfast);
  Learn({2}, 60, dinner);
  SuggestRequest request;
  request.context = breakfast;
  EXPECT_THAT(Ask(request).front(),
              AllOf(Id(7), Reason("time_breakfast"), Pitch("A favourite of our guests at breakfast.")));
  request.context = dinner;
  EXPECT_THAT(Ask(request).front(), AllOf(Id(2), Reason("time_dinner"), Pitch("at dinner")));
}

TEST_F(SuggestTest, ALargePartyIsOfferedWhatItCanShare) {
  SuggestRequest request = Cart({1});
  request.context.party_size = 5;
  EXPECT_THAT(Ask(request), Contains(AllOf(Id(8), Reason("party_large"), Pitch("between the 5 of you"))));
  request.context.party_size = 1;
  EXPECT_THAT(Ask(request), Not(Contains(Reason("party_large"))));
}

TEST_F(SuggestTest, ACombosPitchStatesTheTrueSaving) {
  // 8 + 4 + 3 - 13.50
  EXPECT_THAT(Ask(Cart({2})),
              Contains(AllOf(Id(9), Reason("upsell_combo"), Pitch("Make it a combo and save $1.50!"))));
  // 9 + 4 + 3 - 14
  EXPECT_THAT(Ask(Cart({1})), Contains(AllOf(Id(10), Pitch("save $2!"))));
  // All parts are there already.
  EXPECT_THAT(Ask(Cart({1, 3, 4})), Contains(AllOf(Id(10), Pitch("You have it all"), Pitch("save $2!"))));
}

TEST_F(SuggestTest, ACombosPartAloneIsNotEnoughWhenItIsTheSmallestShare) {
  EXPECT_THAT(Ask(Cart({4})), Not(Contains(Reason("upsell_combo"))));
  EXPECT_THAT(Ask(Cart({3, 4})), Contains(Reason("upsell_combo")));
}

TEST(SuggestCurrencyTest, ACombosSavingIsInTheMenusCurrencyAndNoCombosAreOfferedThatSaveNothing) {
  const Suggester yen(
      MakeCatalogue(R"({"currency": "JPY", "categories": [{"id": "a", "name": "A"}], "items": [
      {"id": 1, "name": "Rice", "category": "a", "price": 500}, {"id": 2, "name": "Soup", "category": "a", "price": 300},
      {"id": 3, "name": "Set", "category": "a", "price": 650, "combo_of": [1, 2]},
      {"id": 4, "name": "Dear Set", "category": "a", "price": 800, "combo_of": [1, 2]}]})"));
  SuggestRequest request;
  request.cart = {{1, 1}};
  const auto answer = yen.Suggest(request, {}, Model());
  ASSERT_THAT(answer, IsOk());
  EXPECT_THAT(answer->suggestions, Contains(AllOf(Id(3), Pitch("save ¥150!"))));
  EXPECT_THAT(answer->suggestions, Not(Contains(Id(4))));
}

TEST_F(SuggestTest, NothingOfTheCartIsOfferedPartsOfItsCombosIncluded) {
  SuggestRequest request = Cart({9, 1});
  request.limit = 20;
  EXPECT_THAT(Ask(request), AllOf(SizeIs(5), Not(Contains(Id(9))), Not(Contains(Id(1))), Not(Contains(Id(2))),
                                  Not(Contains(Id(3))), Not(Contains(Id(4)))));
}

TEST_F(SuggestTest, WhatCannotBeHadIsNotOfferedNorACombosOfIt) {
  unavailable_ = {4};
  SuggestRequest request = Cart({1});
  request.context.weather = "hot";
  request.limit = 20;
  const std::vector<Suggestion> answer = Ask(request);
  EXPECT_THAT(answer, AllOf(Not(Contains(Id(4))), Not(Contains(Id(9))), Not(Contains(Id(10)))));
  EXPECT_THAT(answer, Contains(Id(5)));
}

TEST_F(SuggestTest, DietaryFiltersHoldForPartsOfCombosToo) {
  SuggestRequest request = Cart({3, 4});
  request.dietary_filters = {"vegan"};
  request.limit = 20;
  // The Beef Combo says vegan of itself, its burger does not.
  EXPECT_THAT(Ask(request), AllOf(Contains(Id(9)), Not(Contains(Id(10))), Not(Contains(Id(8)))));
  request.dietary_filters = {"Vegetarian"};
  EXPECT_THAT(Ask(request), AllOf(Contains(Id(9)), Contains(Id(8)), Contains(Id(2)), Not(Contains(Id(7)))));
}

TEST_F(SuggestTest, ExcludedAllergensHoldForPartsOfCombosToo) {
  SuggestRequest request = Cart({3, 4});
  request.exclude_allergens = {"gluten", "milk"};
  request.limit = 20;
  EXPECT_THAT(Ask(request),
              AllOf(Contains(Id(9)), Not(Contains(Id(10))), Not(Contains(Id(1))), Not(Contains(Id(7)))));
}

TEST_F(SuggestTest, UnknownFiltersAreRefusedByName) {
  SuggestRequest request;
  request.dietary_filters = {"paleo"};
  EXPECT_THAT(suggester_.Suggest(request, {}, model_),
              AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
                    StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.dietary_filters[0]"))));
  request = {};
  request.exclude_allergens = {"sand"};
  EXPECT_THAT(suggester_.Suggest(request, {}, model_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload.exclude_allergens[0]")));
}

TEST_F(SuggestTest, ThreeDrinksAreNeverOfferedAtOnce) {
  Learn({1, 4}, 90);
  Learn({1, 5}, 80);
  Learn({1, 6}, 70);
  unavailable_ = {10};
  const std::vector<Suggestion> answer = Ask(Cart({1}));
  EXPECT_THAT(answer, SizeIs(3));
  const int drinks = static_cast<int>(
      absl::c_count_if(answer, [](const Suggestion& s) { return s.item_id >= 4 && s.item_id <= 7; }));
  EXPECT_LE(drinks, 2);
  EXPECT_GE(drinks, 1);
}

TEST_F(SuggestTest, KindsRepeatOnlyWhenNothingElseIsLeft) {
  unavailable_ = {1, 2, 3, 8, 9, 10};
  EXPECT_THAT(Ask({}), SizeIs(3));
}

TEST_F(SuggestTest, EmptyCartUnknownContextUnknownItemsAndHugeQuantitiesWork) {
  EXPECT_THAT(Ask({}), SizeIs(3));
  SuggestRequest odd;
  odd.cart = {{999999, 1}, {json::kMaxId, 999}, {1, 999}, {1, 999}};
  odd.context.time_of_day = "brunch";
  odd.context.weather = "sandstorm";
  odd.context.party_size = -3;
  EXPECT_THAT(Ask(odd), AllOf(SizeIs(3), Not(Contains(Id(1)))));
  odd.limit = 20;
  EXPECT_THAT(Ask(odd), SizeIs(8));
}

TEST_F(SuggestTest, TheLimitHoldsAndNoPitchIsSaidTwice) {
  for (int64_t limit = 1; limit <= 8; ++limit) {
    SuggestRequest request = Cart({1});
    request.limit = limit;
    request.context.weather = "hot";
    const std::vector<Suggestion> answer = Ask(request);
    EXPECT_LE(answer.size(), static_cast<size_t>(limit));
    std::set<std::string> pitches;
    for (const Suggestion& suggestion : answer) {
      EXPECT_TRUE(pitches.insert(suggestion.pitch).second) << suggestion.pitch;
    }
  }
}

TEST_F(SuggestTest, AMenuWithNothingToOfferGivesAnEmptyAnswer) {
  unavailable_ = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_THAT(Ask(Cart({1})), IsEmpty());
}

TEST(SuggestDemoTest, TheSpecificationsExampleIsAnsweredWithoutAnyHistory) {
  const Suggester suggester(DemoCatalogue());
  SuggestRequest request;
  request.cart = {{101, 1}};
  request.context.time_of_day = "lunch";
  request.context.weather = "hot";
  request.context.party_size = 2;
  const auto answer = suggester.Suggest(request, {}, Model());
  ASSERT_THAT(answer, IsOk());
  EXPECT_THAT(
      answer->suggestions,
      AllOf(Contains(AllOf(Id(201), Reason("weather_hot"), Pitch("Perfect to cool down with your burger!"))),
            Contains(AllOf(Id(301), Reason("upsell_combo"), Pitch("Make it a combo and save $2!")))));
}

// Whatever is asked, the hard constraints hold; and the same question gets the same answer.
TEST(SuggestDemoTest, HardConstraintsHoldInRandomCarts) {
  const std::shared_ptr<const menu::Catalogue> catalogue = DemoCatalogue();
  const Suggester suggester(catalogue), twin(catalogue);
  std::mt19937 random(20251214);
  const auto pick = [&](const auto& from) { return from[random() % from.size()]; };
  Model model;
  Counts counts;
  for (int i = 0; i < 2000; ++i) {
    std::vector<int64_t> ids;
    for (uint32_t k = 0; k < 1 + random() % 5; ++k) ids.push_back(pick(catalogue->items()).id);
    counts.Learn(MakeBasket("o" + std::to_string(i), ids, {}));
  }
  model.Apply(counts);

  int suggested = 0;
  for (int round = 0; round < 1500; ++round) {
    SuggestRequest request;
    UnavailableIds unavailable;
    for (uint32_t i = 0; i < random() % 6; ++i) {
      request.cart.push_back({pick(catalogue->items()).id, 1 + static_cast<int64_t>(random() % 999)});
    }
    for (uint32_t i = 0; i < random() % 20; ++i) unavailable.insert(pick(catalogue->items()).id);
    for (uint32_t i = 0; i < random() % 3; ++i) {
      request.dietary_filters.emplace_back(pick(menu::DietaryNames()));
    }
    for (uint32_t i = 0; i < random() % 3; ++i) {
      request.exclude_allergens.emplace_back(pick(menu::AllergenNames()));
    }
    const std::vector<std::string> times = {"breakfast", "lunch", "afternoon", "dinner", "night", "x"};
    const std::vector<std::string> weathers = {"hot", "mild", "cold", "rainy", "rain", "?"};
    request.context.time_of_day = pick(times);
    request.context.weather = pick(weathers);
    request.context.party_size = static_cast<int64_t>(random() % 8);
    request.limit = 1 + static_cast<int64_t>(random() % 10);

    const auto answer = suggester.Suggest(request, unavailable, model);
    ASSERT_THAT(answer, IsOk());
    const auto again = twin.Suggest(request, unavailable, model);
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(json::Encode(*answer), json::Encode(*again));
    EXPECT_LE(answer->suggestions.size(), static_cast<size_t>(request.limit));

    std::set<int64_t> seen;
    for (const Suggestion& suggestion : answer->suggestions) {
      ++suggested;
      EXPECT_TRUE(seen.insert(suggestion.item_id).second) << suggestion.item_id << " twice";
      EXPECT_FALSE(suggestion.pitch.empty());
      const messages::MenuItem* item = catalogue->Find(suggestion.item_id);
      ASSERT_NE(item, nullptr);
      for (const messages::CartItem& line : request.cart) {
        EXPECT_NE(line.item_id, item->id);
        const messages::MenuItem* in_cart = catalogue->Find(line.item_id);
        EXPECT_THAT(in_cart->combo_of, Not(Contains(item->id)));
      }
      std::vector<const messages::MenuItem*> eaten = {item};
      for (const int64_t part : item->combo_of) eaten.push_back(catalogue->Find(part));
      for (const messages::MenuItem* part : eaten) {
        EXPECT_TRUE(part->available);
        EXPECT_FALSE(unavailable.contains(part->id)) << item->name << " needs " << part->name;
        for (const std::string& filter : request.dietary_filters) {
          EXPECT_TRUE(menu::DietaryOf(*part) & *menu::DietaryBit(filter))
              << part->name << " is not " << filter;
        }
        for (const std::string& allergen : request.exclude_allergens) {
          EXPECT_THAT(part->allergens, Not(Contains(allergen))) << part->name;
        }
      }
      if (suggestion.reason == kReasonCombo) {
        EXPECT_GT(catalogue->SavingOf(*item), 0);
        EXPECT_THAT(suggestion.pitch, HasSubstr("$"));
      }
    }
  }
  EXPECT_GT(suggested, 3000);
}

}  // namespace
}  // namespace arc::recsys
