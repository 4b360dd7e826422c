#include "services/menu/menu_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/status_matchers.h"
#include "services/menu/catalogue.h"

namespace arc::menu {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGood[] = R"({
 "currency": "USD",
 "categories": [{"id": "burgers", "name": "Burgers"}],
 "items": [
  {"id": 1, "name": " Plain Burger ", "category": "burgers", "price": 8.99,
   "dietary": ["Gluten Free"], "allergens": ["milk"],
   "customizations": [{"name": "Extra Cheese", "price": 1.50}, {"name": "No Onions", "price": 0}, {"name": "Well Done"}]},
  {"id": 2, "name": "Two Burgers", "category": "burgers", "price": 15, "combo_of": [1, 1], "available": false}
 ]
})";

std::vector<std::string> Problems(const std::string& text) {
  std::vector<std::string> out;
  for (const MenuProblem& problem : CheckMenuFile(text, nullptr)) out.push_back(problem.ToString());
  return out;
}

// kGood with `from` replaced; the replacement has to be there.
std::vector<std::string> With(const std::string& from, const std::string& to) {
  EXPECT_TRUE(absl::StrContains(kGood, from)) << from;
  return Problems(absl::StrReplaceAll(kGood, {{from, to}}));
}

TEST(MenuFileTest, AGoodMenuIsReadWithCanonicalNames) {
  absl::StatusOr<messages::MenuFile> menu = ParseMenuFile(kGood);
  ASSERT_THAT(menu, IsOk());
  ASSERT_THAT(menu->items, SizeIs(2));
  const messages::MenuItem& item = menu->items[0];
  EXPECT_EQ(item.name, "Plain Burger");
  EXPECT_THAT(item.dietary, ElementsAre("gluten_free"));
  EXPECT_THAT(item.allergens, ElementsAre("dairy"));
  EXPECT_EQ(item.price, (Decimal{899, 2}));
  EXPECT_EQ(item.customizations[2].price, (Decimal{0, 0}));
  EXPECT_TRUE(item.available);
  EXPECT_FALSE(menu->items[1].available);
  EXPECT_THAT(Catalogue::Create(*menu), IsOk());
}

TEST(MenuFileTest, EveryProblemHasItsPathAndLine) {
  EXPECT_THAT(With("\"id\": 2", "\"id\": 1"),
              Contains("line 8: items[1].id: 1 stands twice, first in line 5"));
  EXPECT_THAT(With("8.99", "-8.99"), ElementsAre("line 5: items[0].price: -8.99 must not be negative"));
  EXPECT_THAT(With("8.99", "8.999"), ElementsAre("line 5: items[0].price: 8.999 has 3 decimals; USD has 2"));
  EXPECT_THAT(With("8.99", "\"8.99\""), ElementsAre(HasSubstr("line 5: items[0].price: must be a number")));
  EXPECT_THAT(With("8.99", "2000000"), ElementsAre("line 5: items[0].price: 2000000 is more than 1000000"));
  EXPECT_THAT(With("1.50", "-1.5"),
              ElementsAre("line 7: items[0].customizations[0].price: -1.5 must not be negative"));
  EXPECT_THAT(With("\"category\": \"burgers\", \"price\": 15", "\"category\": \"pizza\", \"price\": 15"),
              ElementsAre("line 8: items[1].category: there is no category \"pizza\""));
  EXPECT_THAT(With("\"category\": \"burgers\", \"price\": 15", "\"price\": 15"),
              ElementsAre("line 8: items[1].category: is required"));
  EXPECT_THAT(With("milk", "kryptonite"),
              ElementsAre(AllOf(
                  HasSubstr("line 6: items[0].allergens[0]: \"kryptonite\" is unknown; known are gluten"))));
  EXPECT_THAT(With("Gluten Free", "glutton"),
              ElementsAre(HasSubstr("line 6: items[0].dietary[0]: \"glutton\"")));
  EXPECT_THAT(With("milk", "wheat"),
              ElementsAre("line 6: items[0].dietary: gluten_free contradicts the allergens gluten"));
  EXPECT_THAT(With("[1, 1]", "[1, 7]"), ElementsAre("line 8: items[1].combo_of[1]: no item has the id 7"));
  EXPECT_THAT(With("[1, 1]", "[2]"), ElementsAre("line 8: items[1].combo_of[0]: 2 is the item itself"));
  EXPECT_THAT(With("\"Two Burgers\"", "\"  \""), ElementsAre("line 8: items[1].name: must not be blank"));
  EXPECT_THAT(With("Two Burgers", std::string(101, 'x')),
              ElementsAre("line 8: items[1].name: is 101 bytes long; the most are 100"));
  EXPECT_THAT(With("Two Burgers", "Two\\u0007Burgers"),
              ElementsAre("line 8: items[1].name: must not contain control characters"));
  EXPECT_THAT(With("\"id\": 2", "\"id\": 0"), Contains("line 8: items[1].id: 0 must be at least 1"));
  EXPECT_THAT(With("\"id\": 2", "\"id\": 2.5"), ElementsAre("line 8: items[1].id: must be a whole number"));
  EXPECT_THAT(With("\"id\": 2, ", ""), ElementsAre("line 8: items[1].id: is required"));
  EXPECT_THAT(With("false", "\"no\""), ElementsAre("line 8: items[1].available: must be true or false"));
  EXPECT_THAT(With("USD", "XYZ"), Contains("line 2: currency: \"XYZ\" is no currency of ISO 4217"));
  EXPECT_THAT(With("USD", "JPY"), Contains("line 5: items[0].price: 8.99 has 2 decimals; JPY has 0"));
  EXPECT_THAT(With("[{\"id\": \"burgers\", \"name\": \"Burgers\"}]", "[]"),
              Contains("line 3: categories: must have at least one category"));
  EXPECT_THAT(With("No Onions", "extra  CHEESE"),
              ElementsAre("line 7: items[0].customizations[1].name: \"extra  CHEESE\" stands twice"));
}

TEST(MenuFileTest, AMisspeltFieldIsAProblemAndAnUnknownOneIsNot) {
  EXPECT_THAT(With("\"allergens\"", "\"alergens\""),
              ElementsAre("line 6: items[0].alergens: is unknown; did you mean allergens?"));
  EXPECT_THAT(With("\"price\": 15", "\"price\": 15, \"price\": 16"),
              ElementsAre("line 8: items[1].price: stands twice"));
  EXPECT_THAT(With("\"price\": 15", "\"price\": 15, \"supplier\": {\"x\": [1]}"), IsEmpty());
}

TEST(MenuFileTest, WhatIsAllowedButOddIsAWarning) {
  const auto warnings = [](const absl::flat_hash_map<std::string, std::string>& changes) {
    messages::MenuFile menu;
    std::vector<MenuProblem> found;
    EXPECT_THAT(CheckMenuFile(absl::StrReplaceAll(kGood, changes), &menu, &found), IsEmpty());
    EXPECT_THAT(menu.items, SizeIs(2));
    std::vector<std::string> out;
    out.reserve(found.size());
    for (const MenuProblem& warning : found) out.push_back(warning.ToString());
    return out;
  };
  constexpr char kHidden[] =
      "line 8: items[1].combo_of: its parts have allergens that it does not name: dairy";
  EXPECT_THAT(warnings({}), ElementsAre(kHidden));
  const std::pair<const std::string, std::string> named = {"\"combo_of\"",
                                                           "\"allergens\": [\"dairy\"], \"combo_of\""};
  EXPECT_THAT(warnings({named}), IsEmpty()) << "a part that stands twice is two of it";
  EXPECT_THAT(warnings({named, {"\"price\": 15", "\"price\": 17.98"}}), IsEmpty());
  EXPECT_THAT(warnings({named, {"\"price\": 15", "\"price\": 17.99"}}),
              ElementsAre("line 8: items[1].price: 17.99 is more than its parts cost together, 17.98"));
  EXPECT_THAT(warnings({{"Two Burgers", "plain  burger"}}),
              ElementsAre("line 8: items[1].name: \"plain  burger\" stands twice in the category "
                          "\"burgers\", first in line 5",
                          kHidden));
  std::vector<MenuProblem> none;
  EXPECT_THAT(CheckMenuFile("{}", nullptr, &none), SizeIs(3));
  EXPECT_THAT(none, IsEmpty());
}

TEST(MenuFileTest, ReportsAllProblemsInTheOrderOfTheFile) {
  const std::string text = absl::StrReplaceAll(
      kGood,
      {{"8.99", "-1"}, {"milk", "kryptonite"}, {"[1, 1]", "[9]"}, {"\"name\": \"Burgers\"", "\"name\": 7"}});
  EXPECT_THAT(Problems(text),
              ElementsAre(HasSubstr("line 3: categories[0].name: must be a string"),
                          HasSubstr("line 5: items[0].price"), HasSubstr("line 6: items[0].allergens[0]"),
                          HasSubstr("line 8: items[1].combo_of[0]")));
  EXPECT_THAT(ParseMenuFile(text),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("line 3"), HasSubstr("line 5"), HasSubstr("line 8"))));
}

TEST(MenuFileTest, WhatIsNoMenuAtAllIsSaidInOneProblem) {
  EXPECT_THAT(Problems(""), ElementsAre(HasSubstr("empty")));
  EXPECT_THAT(Problems("[]"), ElementsAre("line 1: must be an object with currency, categories and items"));
  EXPECT_THAT(Problems("7"), SizeIs(1));
  EXPECT_THAT(Problems("{}"), ElementsAre("line 1: currency: is required", "line 1: categories: is required",
                                          "line 1: items: is required"));
  EXPECT_THAT(Problems("{\n\n\"currency\": \"USD\",,}"), ElementsAre(HasSubstr("line 3: ")));
  EXPECT_THAT(Problems("{\n\"currency\": \"US\xff\"}"), ElementsAre(HasSubstr("line 2: ")));
  EXPECT_THAT(Problems(std::string("{\n\n\0}", 5)), ElementsAre(HasSubstr("line 3: ")));
  EXPECT_THAT(Problems(std::string(100, '[')), ElementsAre(HasSubstr("deeper")));
  EXPECT_THAT(Problems(R"({"currency":"USD","categories":"x","items":{}})"),
              ElementsAre("line 1: categories: must be an array", "line 1: items: must be an array"));
  EXPECT_THAT(Problems(R"({"currency":"USD","categories":[7],"items":[null, "x"]})"), SizeIs(3));
}

// No prefix of a good file is a menu, and none may crash the reader.
TEST(MenuFileTest, ATruncatedFileIsNeverAMenu) {
  const std::string text = kGood;
  for (size_t n = 0; n + 1 < text.size(); ++n) {
    EXPECT_THAT(CheckMenuFile(text.substr(0, n), nullptr), SizeIs(testing::Ge(1u))) << n;
  }
}

messages::MenuFile Demo() {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  std::stringstream text;
  text << file.rdbuf();
  absl::StatusOr<messages::MenuFile> menu = ParseMenuFile(text.str());
  EXPECT_THAT(menu, IsOk());
  return menu.value_or(messages::MenuFile());
}

TEST(DemoMenuTest, HasTheSpecificationsItems) {
  const auto catalogue = Catalogue::Create(Demo()).value();
  EXPECT_GE(catalogue->items().size(), 60u);
  EXPECT_GE(catalogue->categories().size(), 8u);
  const messages::MenuItem* volcano = catalogue->Find(101);
  ASSERT_NE(volcano, nullptr);
  EXPECT_EQ(volcano->name, "Volcano Burger");
  EXPECT_EQ(catalogue->PriceOf(*volcano), 1299);
  EXPECT_EQ(volcano->image, "/img/volcano.png");
  EXPECT_EQ(volcano->calories, 850);
  EXPECT_THAT(volcano->tags, ElementsAre("spicy", "popular"));
  EXPECT_THAT(volcano->allergens, ElementsAre("gluten", "dairy"));
  ASSERT_THAT(volcano->customizations, SizeIs(2));
  EXPECT_EQ(volcano->customizations[0].price, (Decimal{15, 1}));
  EXPECT_EQ(volcano->customizations[1].price, (Decimal{0, 0}));
  ASSERT_NE(catalogue->Find(201), nullptr);
  EXPECT_EQ(catalogue->PriceOf(*catalogue->Find(201)), 599);
  ASSERT_NE(catalogue->Find(301), nullptr);
  EXPECT_EQ(catalogue->SavingOf(*catalogue->Find(301)), 200);
}

TEST(DemoMenuTest, IsConsistent) {
  std::vector<MenuProblem> warnings;
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  EXPECT_THAT(CheckMenuFile(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, &warnings),
              IsEmpty());
  EXPECT_THAT(warnings, IsEmpty());
  const auto catalogue = Catalogue::Create(Demo()).value();
  std::map<std::string, int> in_category;
  for (const messages::MenuItem& item : catalogue->items()) {
    ++in_category[item.category];
    const Bits dietary = DietaryOf(item);
    const Bits allergens = AllergensOf(item);
    EXPECT_FALSE(item.description.empty()) << item.name;
    EXPECT_TRUE(item.calories.has_value()) << item.name;
    if (dietary & *DietaryBit("vegetarian")) {
      for (const char* meat : {"beef", "chicken", "bacon", "prawn", "cod", "anchovy", "fish"}) {
        EXPECT_FALSE(absl::StrContains(absl::AsciiStrToLower(item.description), meat)) << item.name;
      }
    }
    // Whoever filters by the property and whoever excludes the allergen get the same items.
    EXPECT_EQ((dietary & *DietaryBit("gluten_free")) != 0, (allergens & *AllergenBits("gluten")) == 0)
        << item.name;
    EXPECT_EQ((dietary & *DietaryBit("dairy_free")) != 0, (allergens & *AllergenBits("dairy")) == 0)
        << item.name;
    for (const messages::Customization& customization : item.customizations) {
      if (dietary & *DietaryBit("dairy_free")) {
        EXPECT_FALSE(absl::StrContains(customization.name, "Cheese")) << item.name;
      }
    }
    if (item.combo_of.empty()) continue;
    EXPECT_GT(catalogue->SavingOf(item), 0) << item.name;
    for (const int64_t id : item.combo_of) {
      const messages::MenuItem& part = *catalogue->Find(id);
      EXPECT_EQ(dietary & ~DietaryOf(part), 0u) << item.name << " promises more than " << part.name;
      EXPECT_EQ(AllergensOf(part) & ~allergens, 0u) << item.name << " hides allergens of " << part.name;
    }
  }
  for (const messages::MenuCategory& category : catalogue->categories()) {
    EXPECT_GE(in_category[category.id], 4) << category.id;
  }
}

TEST(CatalogueTest, AnAllergenOverrulesADietaryClaim) {
  messages::MenuItem item;
  item.dietary = {"vegan", "gluten_free"};
  item.allergens = {"dairy", "gluten"};
  EXPECT_THAT(DietaryNamesOf(DietaryOf(item)), ElementsAre("vegetarian", "pescatarian", "egg_free"));
}

TEST(CatalogueTest, RefusesAMenuThatContradictsItself) {
  messages::MenuFile good = Demo();
  messages::MenuFile menu = good;
  menu.items.push_back(menu.items[0]);
  EXPECT_THAT(Catalogue::Create(menu),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("stands twice")));
  menu = good;
  menu.currency = "JPY";
  EXPECT_THAT(Catalogue::Create(menu), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("price")));
  menu = good;
  menu.items[0].category = "none";
  EXPECT_THAT(Catalogue::Create(menu), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("category")));
  menu = good;
  menu.items[0].combo_of = {999999};
  EXPECT_THAT(Catalogue::Create(menu), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("combo_of")));
}

}  // namespace
}  // namespace arc::menu
