#include "services/brain/language.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::brain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NormaliseTest, SpokenAndTypedTextBecomeTheSame) {
  EXPECT_EQ(Normalise("I'd like 2 Volcano Burgers, please!"), Normalise("uh i'd like um 2 volcano burgers"));
  EXPECT_THAT(Normalise("that's all"), ElementsAre("that", "is", "all"));
  EXPECT_THAT(Normalise("I don't want it"), ElementsAre("i", "do", "not", "want", "it"));
  EXPECT_THAT(Normalise("gimme 3x Caffè Latte"), ElementsAre("give", "me", "3", "caffe", "latte"));
  EXPECT_THAT(Normalise("kid's meal"), ElementsAre("kids", "meal"));
}

TEST(NormaliseTest, AnyInputIsBounded) {
  EXPECT_THAT(Normalise(""), IsEmpty());
  EXPECT_THAT(Normalise("''' ... !?"), IsEmpty());
  EXPECT_THAT(Normalise("\xff\xfe\xc3"), IsEmpty());
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "a ";
  EXPECT_LE(Normalise(many).size(), kMaxWords + 1);
  EXPECT_LE(Normalise(std::string(4000, 'x')).front().size(), 60u);
}

TEST(ReadCountTest, WordsAndDigits) {
  const auto value = [](const std::string& text) {
    const auto count = ReadCount(Normalise(text), 0);
    return count.has_value() ? count->value : -1;
  };
  EXPECT_EQ(value("two burgers"), 2);
  EXPECT_EQ(value("a dozen nuggets"), 12);
  EXPECT_EQ(value("half a dozen"), 6);
  EXPECT_EQ(value("two dozen"), 24);
  EXPECT_EQ(value("a couple of cokes"), 2);
  EXPECT_EQ(value("twenty five"), 25);
  EXPECT_EQ(value("17 wings"), 17);
  EXPECT_EQ(value("a burger"), -1);
  EXPECT_EQ(value("99999999999999999999 burgers"), 9999);
  for (const char* text :
       {"one million fries", "a million fries", "1,000,000 fries", "100000 fries",
        "99999999999999999999999 fries", "a zillion fries", "two thousand million fries"}) {
    EXPECT_EQ(value(text), 9999) << text;
  }
  EXPECT_EQ(value("1,000 fries"), 1000);
  EXPECT_EQ(value("2.0 colas"), 2);
  for (const char* text : {"2.5 colas", "2,5 colas", "0.5 colas", "half a cola", "two and a half colas",
                           "one and a half colas", "minus 2.5 colas", "half an apple pie"}) {
    EXPECT_EQ(value(text), kNoWholeCount) << text;
  }
  EXPECT_EQ(ReadCount(Normalise("two and a half colas"), 0)->length, 4u);
  EXPECT_EQ(Join(Normalise("a cola, 2 fries. 3 pies.")), "a cola 2 fries 3 pies");
  EXPECT_EQ(ReadCount(Normalise("a couple of cokes"), 0)->length, 3u);
  EXPECT_FALSE(ReadCount({}, 0).has_value());
}

TEST(SoundOfTest, AlikeWhenSpoken) {
  EXPECT_EQ(SoundOf("browny"), SoundOf("brownie"));
  EXPECT_EQ(SoundOf("halumi"), SoundOf("halloumi"));
  EXPECT_EQ(SoundOf("wrings"), SoundOf("rings"));
  EXPECT_NE(SoundOf("coffee"), SoundOf("cookie"));
}

TEST(PluralTest, Dishes) {
  EXPECT_EQ(Plural("Volcano Burger"), "Volcano Burgers");
  EXPECT_EQ(Plural("Classic Fries"), "Classic Fries");
  EXPECT_EQ(Plural("Apple Pie"), "Apple Pies");
  EXPECT_EQ(Plural("Cheese Sandwich"), "Cheese Sandwiches");
  EXPECT_EQ(Plural("Blueberry"), "Blueberries");
  EXPECT_EQ(Plural("Corn on the Cob"), "Corn on the Cob");
  EXPECT_EQ(Plural(""), "");
}

TEST(SayListTest, Commas) {
  EXPECT_EQ(SayList({}), "");
  EXPECT_EQ(SayList({"a"}), "a");
  EXPECT_EQ(SayList({"a", "b"}, "or"), "a or b");
  EXPECT_EQ(SayList({"a", "b", "c"}), "a, b and c");
}

}  // namespace
}  // namespace arc::brain
