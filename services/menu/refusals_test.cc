#include "services/menu/refusals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

// What a query comes down to: "wanted | refused | allergens | demanded diets | refused diets".
std::string Read(absl::string_view text) {
  const auto known = [](const std::string& word) { return word != "penuts" && word != "eggless"; };
  const Refusals read = TakeRefusals(Tokenize(text), known);
  return absl::StrJoin(
      {absl::StrJoin(read.wanted, " "), absl::StrJoin(read.refused, ","),
       absl::StrJoin(AllergenNamesOf(read.allergens), ","), absl::StrJoin(DietaryNamesOf(read.dietary), ","),
       absl::StrJoin(DietaryNamesOf(read.not_dietary), ",")},
      "|");
}

TEST(TakeRefusals, LeavesAQueryThatRefusesNothing) {
  EXPECT_EQ(Read("spicy burger with extra cheese"), "spicy burger with extra cheese||||");
  EXPECT_EQ(Read("vegan gluten burger"), "vegan gluten burger||||");
  EXPECT_EQ(Read(""), "||||");
}

TEST(TakeRefusals, TakesOutWhatANegationIsAbout) {
  EXPECT_EQ(Read("burger without cheese"), "burger|cheese|||");
  EXPECT_EQ(Read("burger no cheese fries"), "burger fries|cheese|||");
  EXPECT_EQ(Read("burger w/o cheese"), "burger|cheese|||");
  EXPECT_EQ(Read("something not too spicy"), "something|spicy|||");
  EXPECT_EQ(Read("I don't want anything spicy"), "i|spicy|||");
  EXPECT_EQ(Read("nothing with onions or pickles please"), "please|onions,pickles|||");
  EXPECT_EQ(Read("neither spicy nor sweet"), "|spicy,sweet|||");
  EXPECT_EQ(Read("onion-free burger"), "burger|onion|||");
  EXPECT_EQ(Read("no ice cream"), "|ice cream|||");
  EXPECT_EQ(Read("burger without cheese and fries"), "burger and fries|cheese|||");
}

TEST(TakeRefusals, ANegationOfNothingSaysNothing) {
  EXPECT_EQ(Read("no, I want a burger"), "i want a burger||||");
  EXPECT_EQ(Read("nothing but fries"), "fries||||");
  EXPECT_EQ(Read("burger no"), "burger||||");
  EXPECT_EQ(Read("no 1 burger"), "1 burger||||");
  EXPECT_EQ(Read("free burger"), "free burger||||");
}

TEST(TakeRefusals, NutsAreNutsAndPeanutsAndPeanutsArePeanuts) {
  for (const char* text : {"no nuts", "without any nuts", "nut allergy", "allergic to nuts", "no walnuts",
                           "allergy to tree nuts or peanuts", "free from nuts", "not nutty"}) {
    EXPECT_EQ(Read(text), "||peanuts,nuts||") << text;
  }
  for (const char* text : {"no peanuts", "no penuts", "peanut allergy", "peanut free"}) {
    EXPECT_EQ(Read(text), "||peanuts||") << text;
  }
  EXPECT_EQ(Read("no tree nuts"), "||nuts||");
  EXPECT_EQ(Read("nut free"), "|||nut_free|") << "a diet that neither allows";
}

TEST(TakeRefusals, ListsOfAllergensAreRefusedWhole) {
  EXPECT_EQ(Read("allergic to eggs and milk"), "||egg,dairy||");
  EXPECT_EQ(Read("no gluten"), "|||gluten_free|");
  EXPECT_EQ(Read("without gluten, dairy"), "||gluten,dairy||");
  EXPECT_EQ(Read("gluten and dairy free burger"), "burger|||gluten_free,dairy_free|");
  EXPECT_EQ(Read("no nuts fish burger"), "fish burger||peanuts,nuts||") << "fish is no part of a list here";
  EXPECT_EQ(Read("no seafood"), "||crustaceans,fish,molluscs||");
  EXPECT_EQ(Read("eggless cake"), "cake||egg||");
}

TEST(TakeRefusals, DietsAreDemandedAndRefused) {
  EXPECT_EQ(Read("burger without meat"), "burger|||vegetarian|");
  EXPECT_EQ(Read("non vegetarian burger"), "burger||||vegetarian");
  EXPECT_EQ(Read("not gluten free"), "||||gluten_free");
  EXPECT_EQ(Read("coffee without sugar"), "coffee|sugar|||") << "how to make it, not a diet";
}

}  // namespace
}  // namespace arc::menu
