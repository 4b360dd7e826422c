#include "services/menu/search_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/status/status_matchers.h"
#include "services/menu/menu_file.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

std::shared_ptr<const Catalogue> DemoCatalogue() {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  std::stringstream text;
  text << file.rdbuf();
  absl::StatusOr<messages::MenuFile> menu = ParseMenuFile(text.str());
  EXPECT_THAT(menu, IsOk());
  return Catalogue::Create(*std::move(menu)).value();
}

const SearchIndex& Demo() {
  static const auto* const index = new SearchIndex(DemoCatalogue());
  return *index;
}

SearchQuery Text(absl::string_view text) {
  SearchQuery query;
  query.text = std::string(text);
  query.limit = 1000;
  return query;
}

std::vector<std::string> Names(const SearchQuery& query, const UnavailableIds& unavailable = {}) {
  absl::StatusOr<SearchResult> result = Demo().Search(query, unavailable);
  EXPECT_THAT(result, IsOk());
  std::vector<std::string> names;
  for (const messages::MenuItem* item : result->items) names.push_back(item->name);
  EXPECT_EQ(static_cast<size_t>(result->total_matches), names.size());
  return names;
}

std::vector<std::string> Names(absl::string_view text) {
  return Names(Text(text));
}

std::string First(absl::string_view text) {
  const std::vector<std::string> names = Names(text);
  return names.empty() ? "(nothing)" : names[0];
}

// Every item of a result, whatever else it is.
void ExpectAll(const SearchQuery& query, Bits dietary, Bits without) {
  absl::StatusOr<SearchResult> result = Demo().Search(query, {});
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->items, Not(IsEmpty())) << query.text;
  for (const messages::MenuItem* item : result->items) {
    EXPECT_EQ(DietaryOf(*item) & dietary, dietary) << query.text << ": " << item->name;
    EXPECT_EQ(AllergensOf(*item) & without, 0u) << query.text << ": " << item->name;
  }
}

TEST(SearchIndexTest, ASpicyBurgerIsTheVolcanoBurger) {
  EXPECT_EQ(First("spicy burger"), "Volcano Burger");
}

TEST(SearchIndexTest, BurgerFindsEveryBurgerBeforeAnythingElse) {
  std::vector<std::string> burgers;
  for (const messages::MenuItem& item : Demo().catalogue().items()) {
    if (item.category == "burgers") burgers.push_back(item.name);
  }
  ASSERT_EQ(burgers.size(), 15u);
  std::vector<std::string> found = Names("burger");
  EXPECT_THAT(found, IsSupersetOf(burgers));
  found.resize(3);
  EXPECT_THAT(burgers, IsSupersetOf(found));
}

TEST(SearchIndexTest, TypingErrorsFindTheWordThatWasMeant) {
  EXPECT_THAT(Names("chese burger"),
              AllOf(Contains("Classic Cheeseburger"), Contains("Double Cheeseburger")));
  EXPECT_EQ(First("chese burger"), "Classic Cheeseburger");
  EXPECT_EQ(First("volcanoe burgr"), "Volcano Burger");
  EXPECT_THAT(Names("capuccino"), Contains("Cappuccino"));
  EXPECT_EQ(First("expresso"), "Espresso");
  EXPECT_EQ(First("lemonaid"), "Fresh Lemonade");
  EXPECT_THAT(Names("nugets"), Contains("Chicken Nuggets"));
  EXPECT_EQ(First("mozarella stiks"), "Mozzarella Sticks");
  EXPECT_EQ(Names("burgrs"), Names("burger"));
  EXPECT_EQ(First("cheries"), "Cherry Cola");
  EXPECT_EQ(Names("chikn"), Names("chicken"));
  EXPECT_EQ(Names("chkn"), Names("chicken"));
  EXPECT_EQ(Names("tee"), Names("tea")) << "a short word with a wrong vowel";
}

TEST(SearchIndexTest, PluralsAndStemsMeet) {
  EXPECT_EQ(Names("burgers"), Names("burger"));
  EXPECT_EQ(Names("brownies"), Names("brownie"));
  EXPECT_EQ(Names("salad"), Names("salads"));
  EXPECT_THAT(Names("cheesy fries"), Contains("Loaded Cheese Fries"));
  EXPECT_THAT(Names("spice burger"), Contains("Volcano Burger"));
  EXPECT_THAT(Names("grilling"), Contains("Grilled Chicken Burger"));
}

TEST(SearchIndexTest, ComparativesAndSuperlativesMeanTheWordItself) {
  EXPECT_EQ(Names("spicier"), Names("spicy"));
  EXPECT_EQ(Names("spiciest burger"), Names("spicy burger"));
  EXPECT_EQ(Names("crispier"), Names("crispy"));
  EXPECT_EQ(Names("sweeter"), Names("sweet"));
  EXPECT_EQ(Names("hottest"), Names("hot"));
  EXPECT_EQ(First("burger"), "Volcano Burger") << "no comparative, whatever its ending";
  EXPECT_THAT(Names("corner"), Not(IsEmpty())) << "what the menu does not know may be one";
}

TEST(SearchIndexTest, AKindOfDrinkIsADrinkAfterTheDrinksThemselves) {
  const std::vector<std::string> hot = Names("hot drink");
  EXPECT_THAT(hot, IsSupersetOf({"Espresso", "Americano", "Cappuccino", "Mint Tea", "Hot Chocolate"}));
  EXPECT_THAT(hot, AllOf(Not(Contains("Iced Coffee")), Not(Contains("Hot Fudge Sundae"))));
  EXPECT_EQ(Names("hot drinks"), hot);
  const std::vector<std::string> drinks = Names("drinks");
  const size_t cups = 14;
  ASSERT_GT(drinks.size(), cups);
  EXPECT_THAT(std::vector<std::string>(drinks.begin(), drinks.begin() + cups),
              AllOf(Contains("Still Water"), Not(Contains("Espresso"))));
  EXPECT_THAT(Names("cheese"), Contains("Halloumi Burger"));
}

// No item whose name, tags or category have the word is there; every item that says it elsewhere comes after
// one that does not.
TEST(SearchIndexTest, WhatIsRefusedAttractsNothing) {
  EXPECT_THAT(Names("not spicy"), AllOf(Not(IsEmpty()), Not(Contains("Volcano Burger")),
                                        Not(Contains("Buffalo Wings")), Not(Contains("Fries Combo"))));
  EXPECT_EQ(Names("chicken not spicy")[0], "Chicken Nuggets");
  EXPECT_THAT(Names("chicken not spicy"), Not(Contains("Nashville Hot Chicken Burger")));
  for (const char* text :
       {"burger without cheese", "burger no cheese", "burger w/o cheese", "burger cheese free"}) {
    const std::vector<std::string> names = Names(text);
    EXPECT_THAT(names, AllOf(Contains("Classic Beef Burger"), Contains("Plant Power Burger"),
                             Each(Not(HasSubstr("Cheese")))))
        << text;
    const auto at = [&](const char* name) { return std::find(names.begin(), names.end(), name); };
    EXPECT_LT(at("Nashville Hot Chicken Burger"), at("Smoky Bacon Burger")) << text << ": it has cheddar";
  }
  EXPECT_THAT(Names("no burger"), Each(Not(HasSubstr("Burger"))));
  EXPECT_THAT(Names("no ice cream dessert"),
              AllOf(Contains("Apple Pie"), Not(Contains("Coffee and Brownie"))));
  EXPECT_EQ(First("burger without bun"), "Bunless Beef Burger");
  EXPECT_EQ(First("no bun burger"), "Bunless Beef Burger") << "one of its names";
  EXPECT_EQ(First("volcano burger no jalapenos"), "Volcano Burger") << "no jalapenos is how, not which";
  EXPECT_THAT(Names("cheeseburger without cheese"), Contains("Classic Cheeseburger")) << "there is no other";
  EXPECT_THAT(Names("not vegan"), AllOf(Contains("Volcano Burger"), Not(Contains("Plant Power Burger"))));
}

TEST(SearchIndexTest, ANameThatRefusesIsAName) {
  messages::MenuFile menu;
  menu.currency = "EUR";
  menu.categories = {{"a", "Grill"}};
  menu.items.resize(2);
  menu.items[0].id = 1;
  menu.items[0].name = "Hot Dog";
  menu.items[1].id = 2;
  menu.items[1].name = "Not Dog No Nuts";
  menu.items[1].allergens = {"peanuts"};
  for (messages::MenuItem& item : menu.items) item.category = "a";
  const auto found = [&](const char* text) {
    const SearchIndex index(Catalogue::Create(menu).value());
    std::vector<int64_t> ids;
    const absl::StatusOr<SearchResult> result = index.Search(Text(text), {});
    EXPECT_THAT(result, IsOk());
    for (const messages::MenuItem* item : result->items) ids.push_back(item->id);
    return ids;
  };
  EXPECT_THAT(found("not dog no nuts"), Not(Contains(2))) << "a name is no reason to serve peanuts";
  menu.items[1].allergens.clear();
  EXPECT_EQ(found("not dog no nuts")[0], 2);
}

TEST(SearchIndexTest, WhoRefusesNutsIsGivenNoPeanuts) {
  for (const char* text : {"sundae no nuts", "sundae nut free", "sundae without nuts", "no nuts",
                           "I have a nut allergy", "dessert without wallnuts"}) {
    ExpectAll(Text(text), 0, *AllergenBits("nuts") | *AllergenBits("peanuts"));
  }
  ExpectAll(Text("dessert no peanuts"), 0, *AllergenBits("peanuts"));
  EXPECT_THAT(Names("dessert no peanuts"), Contains("Chocolate Brownie")) << "it has walnuts only";
  SearchQuery query = Text("sundae");
  query.exclude_allergens = {"nuts"};
  EXPECT_THAT(Names(query), Contains("Hot Fudge Sundae")) << "a filter means what the menu means";
}

TEST(SearchIndexTest, AComboHasTheAllergensOfItsParts) {
  messages::MenuFile menu;
  menu.currency = "EUR";
  menu.categories = {{"a", "A"}};
  menu.items.resize(2);
  menu.items[0].id = 1;
  menu.items[0].name = "Sundae";
  menu.items[0].allergens = {"peanuts"};
  menu.items[1].id = 2;
  menu.items[1].name = "Treat";
  menu.items[1].dietary = {"vegan"};
  menu.items[1].combo_of = {1};
  for (messages::MenuItem& item : menu.items) item.category = "a";
  const SearchIndex index(Catalogue::Create(menu).value());
  SearchQuery query = Text("treat");
  EXPECT_EQ(index.Search(query, {})->total_matches, 1);
  query.exclude_allergens = {"peanuts"};
  EXPECT_EQ(index.Search(query, {})->total_matches, 0);
  query.exclude_allergens = {};
  query.dietary_filters = {"vegan"};
  EXPECT_EQ(index.Search(query, {})->total_matches, 0);
}

TEST(SearchIndexTest, SynonymsOfTheMenuAndOfAnItemFindIt) {
  EXPECT_THAT(Names("soda"), IsSupersetOf({"Iced Cola", "Cola Zero", "Cherry Cola", "Orange Soda"}));
  EXPECT_THAT(Names("cola"), IsSupersetOf({"Iced Cola", "Cola Zero", "Cherry Cola"}));
  EXPECT_THAT(Names("soft drink"), IsSupersetOf({"Iced Cola", "Orange Soda"}));
  EXPECT_THAT(Names("soft drinks"), UnorderedElementsAreArray(Names("soft drink")));
  EXPECT_EQ(Names("french fry"), Names("fries"));
  EXPECT_EQ(First("chips"), "Classic Fries");
  EXPECT_EQ(First("french fries"), "Classic Fries");
  EXPECT_EQ(First("pommes"), "Classic Fries");
  EXPECT_EQ(First("lava burger"), "Volcano Burger");
  EXPECT_EQ(First("shrimp"), "Grilled Prawn Wrap");
  EXPECT_THAT(Names("ice cream"), IsSupersetOf({"Vanilla Soft Serve", "Hot Fudge Sundae"}));
}

TEST(SearchIndexTest, TheWordItselfRanksBeforeItsSynonyms) {
  const std::vector<std::string> cola = Names("cola");
  ASSERT_GE(cola.size(), 3u);
  EXPECT_THAT(std::vector<std::string>(cola.begin(), cola.begin() + 3),
              UnorderedElementsAre("Iced Cola", "Cola Zero", "Cherry Cola"));
}

TEST(SearchIndexTest, CompoundsMatchHoweverTheyAreWritten) {
  EXPECT_EQ(First("cheeseburger"), "Classic Cheeseburger");
  EXPECT_EQ(First("cheese burger"), "Classic Cheeseburger");
  EXPECT_THAT(Names("chickenburger"), Contains("Crispy Chicken Burger"));
  EXPECT_THAT(Names("milk shake"), Contains("Vanilla Milkshake"));
  EXPECT_THAT(Names("icecream"), UnorderedElementsAreArray(Names("ice cream")));
}

TEST(SearchIndexTest, TheBeginningOfAWordIsEnough) {
  EXPECT_THAT(Names("bur"), IsSupersetOf({"Volcano Burger", "Classic Beef Burger"}));
  EXPECT_THAT(Names("volc"), Contains("Volcano Burger"));
  EXPECT_THAT(Names("mozz"), Contains("Mozzarella Sticks"));
}

TEST(SearchIndexTest, DiacriticsDoNotMatter) {
  EXPECT_THAT(Names("jalapeno"), Contains("Volcano Burger"));
  EXPECT_EQ(Names("jalapeño"), Names("jalapeno"));
  EXPECT_EQ(Names("JALAPEN\xcc\x83O"), Names("jalapeno"));
  EXPECT_EQ(First("caffe latte"), "Caffè Latte");
}

TEST(SearchIndexTest, NothingLikeItFindsNothing) {
  for (const char* text : {"zzqxv plutonium", "plutonium", "???", "\xf0\x9f\x8d\x94", "\xff\xfe", "xyz"}) {
    EXPECT_THAT(Names(text), IsEmpty()) << text;
  }
}

TEST(SearchIndexTest, AnUnknownWordDoesNotHideWhatTheOthersFind) {
  EXPECT_EQ(Names("burger plutonium"), Names("burger"));
  EXPECT_EQ(First("I want a Volcano Burger with extra cheese please"), "Volcano Burger");
}

TEST(SearchIndexTest, DietaryFiltersAreHardConstraints) {
  const Bits vegetarian = *DietaryBit("vegetarian");
  for (const char* text : {"", "beef burger", "burger", "chicken", "bacon", "fries", "coffee"}) {
    SearchQuery query = Text(text);
    query.dietary_filters = {"vegetarian"};
    absl::StatusOr<SearchResult> result = Demo().Search(query, {});
    ASSERT_THAT(result, IsOk());
    for (const messages::MenuItem* item : result->items) {
      EXPECT_TRUE(DietaryOf(*item) & vegetarian) << text << ": " << item->name;
    }
  }
  SearchQuery query = Text("burger");
  query.dietary_filters = {"vegetarian"};
  EXPECT_THAT(Names(query), IsSupersetOf({"Garden Veggie Burger", "Plant Power Burger"}))
      << "what is vegan is vegetarian too";
  query.dietary_filters = {"Gluten-Free"};
  EXPECT_THAT(Names(query), ElementsAre("Bunless Beef Burger"));
  query.dietary_filters = {"vegan", "gluten_free"};
  EXPECT_THAT(Names(query), IsEmpty());
}

TEST(SearchIndexTest, ExcludedAllergensAreHardConstraints) {
  for (const absl::string_view name : AllergenNames()) {
    SearchQuery query = Text("");
    query.exclude_allergens = {std::string(name)};
    ExpectAll(query, 0, *AllergenBits(name));
  }
  SearchQuery query = Text("burger");
  query.exclude_allergens = {"milk"};
  EXPECT_THAT(Names(query), AllOf(Contains("Classic Beef Burger"), Not(Contains("Volcano Burger"))));
  query.text = "wrap";
  query.exclude_allergens = {"shellfish"};
  EXPECT_THAT(Names(query), AllOf(Contains("Falafel Wrap"), Not(Contains("Grilled Prawn Wrap"))));
}

TEST(SearchIndexTest, ADietNamedInTheTextIsAFilter) {
  ExpectAll(Text("vegetarian burger"), *DietaryBit("vegetarian"), 0);
  ExpectAll(Text("vegitarian burger"), *DietaryBit("vegetarian"), 0);
  ExpectAll(Text("vegitarian"), *DietaryBit("vegetarian"), 0);
  ExpectAll(Text("something vegan please"), *DietaryBit("vegan"), 0);
  ExpectAll(Text("gluten free salad"), *DietaryBit("gluten_free"), 0);
  ExpectAll(Text("gluten-free salad"), *DietaryBit("gluten_free"), 0);
  ExpectAll(Text("dessert without nuts"), 0, *AllergenBits("nuts"));
  ExpectAll(Text("sesame free burger"), 0, *AllergenBits("sesame"));
  EXPECT_EQ(First("veggie burger"), "Garden Veggie Burger");
  EXPECT_THAT(Names("vegetarian burger"), Each(AllOf(Not(HasSubstr("Beef")), Not(HasSubstr("Chicken")))));
  EXPECT_THAT(Names("burger without onions"), Contains("Volcano Burger")) << "no onions is how, not which";
}

TEST(SearchIndexTest, TagsMustAllBeThere) {
  SearchQuery query = Text("burger");
  query.tags = {"spicy"};
  EXPECT_THAT(Names(query), ElementsAre("Volcano Burger", "Chipotle Black Bean Burger",
                                        "Nashville Hot Chicken Burger", "Fries Combo"));
  query.tags = {"Spicy", "popular"};
  EXPECT_THAT(Names(query), ElementsAre("Volcano Burger", "Fries Combo"));
  query.tags = {"nonexistent"};
  EXPECT_THAT(Names(query), IsEmpty());
}

TEST(SearchIndexTest, TheSpecificationsExampleFindsAnItem) {
  SearchQuery query = Text("spicy burger");
  query.tags = {"spicy"};
  query.dietary_filters = {"vegetarian"};
  query.limit = 10;
  EXPECT_THAT(Names(query), ElementsAre("Chipotle Black Bean Burger"));
}

TEST(SearchIndexTest, AnUnknownFilterIsAnErrorThatNamesIt) {
  SearchQuery query = Text("burger");
  query.dietary_filters = {"vegan", "carnivore"};
  EXPECT_THAT(Demo().Search(query, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("dietary_filters[1]"), HasSubstr("carnivore"))));
  query.dietary_filters = {""};
  EXPECT_THAT(Demo().Search(query, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dietary_filters[0]")));
  query.dietary_filters = {};
  query.exclude_allergens = {"kryptonite"};
  EXPECT_THAT(Demo().Search(query, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exclude_allergens[0]")));
}

TEST(SearchIndexTest, AnEmptyQueryListsAllThatPassInTheOrderOfTheMenu) {
  const std::vector<std::string> all = Names("");
  ASSERT_EQ(all.size(), Demo().catalogue().items().size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], Demo().catalogue().items()[i].name);
  SearchQuery query = Text("  ");
  query.tags = {"kids"};
  EXPECT_EQ(Names(query).size(), 5u);
}

TEST(SearchIndexTest, TheLimitDoesNotChangeTheCount) {
  SearchQuery query = Text("burger");
  const auto all = static_cast<int64_t>(Names(query).size());
  query.limit = 1;
  absl::StatusOr<SearchResult> result = Demo().Search(query, {});
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->items.size(), 1u);
  EXPECT_EQ(result->total_matches, all);
}

TEST(SearchIndexTest, WhatIsUnavailableIsNeitherFoundNorCounted) {
  const SearchQuery query = Text("volcano burger");
  EXPECT_EQ(Names(query)[0], "Volcano Burger");
  EXPECT_THAT(Names(query, {101}), Not(Contains("Volcano Burger")));
  EXPECT_EQ(Names(Text(""), {101, 201}).size(), Names("").size() - 2);
}

TEST(SearchIndexTest, AnyNumberOfThreadsSearchOneIndex) {
  const std::vector<std::string> expected = Names("chese burger");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (Names("chese burger") != expected || !Names("zzqxv").empty()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SearchIndexTest, AnEmptyMenuFindsNothing) {
  messages::MenuFile menu;
  menu.currency = "EUR";
  menu.categories = {{"a", "A"}};
  const SearchIndex index(Catalogue::Create(menu).value());
  EXPECT_EQ(index.Search(Text("burger"), {})->total_matches, 0);
  EXPECT_EQ(index.Search(Text(""), {})->total_matches, 0);
}

TEST(SearchIndexTest, LongAndHostileTextIsHarmless) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "burger chese \xc3 ";
  EXPECT_THAT(Names(text), Not(IsEmpty()));
  EXPECT_THAT(Names(std::string(100000, 'a')), IsEmpty());
}

TEST(TextAnalysisTest, WordsAreFoldedAndSplit) {
  EXPECT_THAT(Tokenize("Kid's CAFFÈ-Latte, 7up & Smörgås"),
              ElementsAre("kids", "caffe", "latte", "7up", "smorgas"));
  EXPECT_THAT(Tokenize("Straße Œuf борЩ"), ElementsAre("strasse", "oeuf", "борщ"));
  EXPECT_THAT(Tokenize("a\xffz"), ElementsAre("a", "z"));
  EXPECT_THAT(Tokenize(""), IsEmpty());
}

TEST(TextAnalysisTest, StemsOfTheSameWordMeetAndOthersDoNot) {
  const std::vector<std::vector<std::string>> same = {{"fry", "fries"},
                                                      {"burger", "burgers"},
                                                      {"cookie", "cookies"},
                                                      {"spicy", "spice", "spiced", "spicier", "spiciest"},
                                                      {"cheese", "cheeses", "cheesy"},
                                                      {"tomato", "tomatoes"},
                                                      {"sandwich", "sandwiches"},
                                                      {"pie", "pies"},
                                                      {"grill", "grilled", "grilling"},
                                                      {"topping", "toppings", "topped"},
                                                      {"veggie", "veggies"},
                                                      {"glass", "glasses"}};
  for (size_t i = 0; i < same.size(); ++i) {
    for (const std::string& word : same[i]) {
      EXPECT_EQ(Stem(word), Stem(same[i][0])) << word;
      EXPECT_NE(Stem(word), Stem(same[(i + 1) % same.size()][0])) << word;
    }
  }
  EXPECT_NE(Stem("fried"), Stem("fries"));
}

TEST(TextAnalysisTest, EditDistanceCountsSwappedLettersOnce) {
  EXPECT_EQ(EditDistance("cheese", "cheese", 2), 0);
  EXPECT_EQ(EditDistance("chese", "cheese", 2), 1);
  EXPECT_EQ(EditDistance("hceese", "cheese", 2), 1);
  EXPECT_EQ(EditDistance("vegitarian", "vegetarian", 2), 1);
  EXPECT_EQ(EditDistance("burger", "fries", 2), 3) << "more than the limit is the limit and one";
  EXPECT_EQ(EditDistance("", "ab", 2), 2);
}

}  // namespace
}  // namespace arc::menu
