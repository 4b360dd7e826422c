#include "services/tts/speakable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/tts/fold.h"
#include "services/tts/number_words.h"
#include "services/tts/pronunciations.h"

namespace arc::tts {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

struct Case {
  const char* name;
  const char* written;
  const char* said;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.written;
}

class SpeakableTest : public testing::TestWithParam<Case> {};

TEST_P(SpeakableTest, IsSaidAs) {
  EXPECT_EQ(Speakable(GetParam().written, {}), GetParam().said);
}

constexpr Case kMoney[] = {
    {"Price", "That's $12.99.", "That's twelve dollars and ninety nine cents."},
    {"RoundPrice", "$12.00", "twelve dollars"},
    {"WholePrice", "It is $5", "It is five dollars"},
    {"OneDollar", "$1", "one dollar"},
    {"OneOfEach", "$1.01", "one dollar and one cent"},
    {"CentsOnly", "$0.99", "ninety nine cents"},
    {"NoLeadingZero", "$.50", "fifty cents"},
    {"Nothing", "$0.00", "zero dollars"},
    {"OneDecimal", "$12.5", "twelve dollars and fifty cents"},
    {"FiveCents", "$2.05", "two dollars and five cents"},
    {"Thousands", "$1,299.50", "one thousand two hundred ninety nine dollars and fifty cents"},
    {"Surcharge", "+$1.50 for cheese", "plus one dollar and fifty cents for cheese"},
    {"Discount", "-$2.00 off", "minus two dollars off"},
    {"SignInside", "$-2", "minus two dollars"},
    {"UsDollar", "US$ 5", "five dollars"},
    {"CodeBehind", "12.99 USD", "twelve dollars and ninety nine cents"},
    {"CodeBefore", "EUR 3", "three euros"},
    {"Euro", "\u20ac12.99", "twelve euros and ninety nine cents"},
    {"EuroBehindWithComma", "12,99 \u20ac", "twelve euros and ninety nine cents"},
    {"Pound", "\u00a31.20", "one pound and twenty pence"},
    {"Penny", "\u00a30.01", "one penny"},
    {"Yen", "\u00a5500", "five hundred yen"},
    {"Cents", "99\u00a2", "ninety nine cents"},
    {"WordBehind", "12.99 dollars", "twelve dollars and ninety nine cents"},
    {"PriceRange", "$10-$15", "ten dollars to fifteen dollars"},
    {"PriceRangeWithDash", "$10\u201315", "ten dollars to fifteen dollars"},
    {"Millions", "$5 million", "five million dollars"},
    {"PerPound", "$4/lb", "four dollars per pound"},
    {"Each", "$2/ea", "two dollars each"},
    {"TooPrecise", "$1.999", "one point nine nine nine dollars"},
    {"ALoneSign", "$ and $$$", "and"},
};
INSTANTIATE_TEST_SUITE_P(Money, SpeakableTest, testing::ValuesIn(kMoney),
                         [](const auto& i) { return i.param.name; });

constexpr Case kNumbers[] = {
    {"Small", "You have 3 items", "You have three items"},
    {"Teens", "13 and 19", "thirteen and nineteen"},
    {"Hundreds", "850", "eight hundred fifty"},
    {"Grouped", "1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"},
    {"AListIsNoNumber", "rooms 1, 2, 3", "rooms one, two, three"},
    {"Decimal", "4.5", "four point five"},
    {"DecimalZeros", "1.50", "one point five zero"},
    {"PointFirst", ".5", "zero point five"},
    {"Minus", "-5", "minus five"},
    {"TypographicMinus", "\u22125", "minus five"},
    {"LeadingZeros", "007", "zero zero seven"},
    {"TooLong", "12345678901234567890123",
     "one two three, four five six, seven eight nine, zero one two, three four five, six seven eight, nine "
     "zero one, "
     "two three"},
    {"Percent", "50% off", "fifty percent off"},
    {"PercentWithSpace", "12.5 %", "twelve point five percent"},
    {"Fahrenheit", "It's currently 68\u00b0F and sunny in San Francisco.",
     "It's currently sixty eight degrees Fahrenheit and sunny in San Francisco."},
    {"Celsius", "20 \u00b0C", "twenty degrees Celsius"},
    {"Degrees", "350\u00b0", "three hundred fifty degrees"},
    {"OneDegree", "1\u00b0", "one degree"},
    {"Kilocalories", "850 kcal", "eight hundred fifty kilocalories"},
    {"Ounces", "a 16 oz. cola", "a sixteen ounces cola"},
    {"OunceBefore", "12-oz steak", "twelve ounce steak"},
    {"FluidOunces", "12 fl oz", "twelve fluid ounces"},
    {"Attached", "500ml", "five hundred milliliters"},
    {"Litres", "1.5 L", "one point five liters"},
    {"OneGram", "1 g", "one gram"},
    {"Inches", "a 12\" pizza", "a twelve inch pizza"},
    {"QuotesAreNoInches", "\"Table 5\" is free", "Table five is free"},
    {"InIsNoInch", "5 in the box", "five in the box"},
    {"UnitAtTheEnd", "It has 850 kcal. Anything else?",
     "It has eight hundred fifty kilocalories. Anything else?"},
    {"Times", "2 x Volcano Burger", "two Volcano Burger"},
    {"TimesAttached", "2x fries", "two fries"},
    {"TimesSign", "3\u00d7 cola", "three cola"},
    {"TimesBehind", "Cola x2", "Cola, times two"},
    {"By", "10 x 12", "ten by twelve"},
    {"Range", "10-15 minutes", "ten to fifteen minutes"},
    {"RangeWithDash", "5\u20137 items", "five to seven items"},
    {"Ordinals", "1st 2nd 3rd 12th 21st 30th 100th",
     "first second third twelfth twenty first thirtieth one hundredth"},
    {"Half", "1/2 cup", "one half cup"},
    {"Quarters", "3/4", "three quarters"},
    {"Mixed", "1 1/2 cups", "one and a half cups"},
    {"MixedSign", "2\u00bd", "two and a half"},
    {"AlwaysOpen", "24/7", "twenty four seven"},
    {"Rating", "4.5/5", "four point five out of five"},
    {"About", "~10 min", "about ten minutes"},
    {"OrMore", "18+", "eighteen plus"},
    {"Sum", "1 + 2 = 3", "one plus two equals three"},
};
INSTANTIATE_TEST_SUITE_P(Numbers, SpeakableTest, testing::ValuesIn(kNumbers),
                         [](const auto& i) { return i.param.name; });

constexpr Case kIdentifiers[] = {
    {"OrderCode", "Order A12", "Order ay twelve"},
    {"LongOrderCode", "A105 is ready", "ay one zero five is ready"},
    {"DashedCode", "B-7", "B seven"},
    {"OrderNumber", "Order #1042", "Order number one zero four two"},
    {"OrderDigits", "order 1042", "order one zero four two"},
    {"ShortNumber", "#42", "number forty two"},
    {"NumberOnce", "order number #42", "order number forty two"},
    {"No", "No. 5 is hot", "number five is hot"},
    {"NoIsAnAnswer", "No. I said no.", "No. I said no."},
    {"Numero", "\u2116 5", "number five"},
    {"Pin", "pin 0042", "pin zero zero four two"},
    {"LocalPhone", "555-1234", "five five five, one two three four"},
    {"Phone", "(415) 555-1234", "four one five, five five five, one two three four"},
    {"PhoneWithDots", "415.555.1234", "four one five, five five five, one two three four"},
    {"InternationalPhone", "+1 415-555-1234", "plus one, four one five, five five five, one two three four"},
    {"LongDigits", "5551234", "five five five, one two three four"},
    {"Mixed", "7UP and H2O", "seven up and H two O"},
};
INSTANTIATE_TEST_SUITE_P(Identifiers, SpeakableTest, testing::ValuesIn(kIdentifiers),
                         [](const auto& i) { return i.param.name; });

constexpr Case kTimes[] = {
    {"HalfPast", "5:30", "five thirty"},
    {"Pm", "at 5:30 pm", "at five thirty P M"},
    {"PmAttached", "7pm", "seven P M"},
    {"Am", "7 AM", "seven ay M"},
    {"Dotted", "at 9 p.m. sharp", "at nine P M sharp"},
    {"DottedEnd", "We close at 9 p.m. Good night.", "We close at nine P M. Good night."},
    {"OClock", "12:00", "twelve o'clock"},
    {"Oh", "5:05", "five oh five"},
    {"Afternoon", "17:30", "seventeen thirty"},
    {"Open", "9am-5pm", "nine ay M to five P M"},
    {"Days", "Mon-Fri", "Monday to Friday"},
    {"IsoDate", "2025-12-14", "December fourteenth, twenty twenty five"},
    {"UsDate", "12/14/2025", "December fourteenth, twenty twenty five"},
    {"ShortDate", "12/25", "December twenty fifth"},
    {"MonthDay", "Dec. 14", "December fourteenth"},
    {"MonthDayYear", "December 14th, 2005", "December fourteenth, two thousand five"},
    {"MayIsAVerb", "May I help?", "May I help?"},
    {"Year", "since 1999", "since nineteen ninety nine"},
};
INSTANTIATE_TEST_SUITE_P(Times, SpeakableTest, testing::ValuesIn(kTimes),
                         [](const auto& i) { return i.param.name; });

constexpr Case kWords[] = {
    {"Accents", "jalape\u00f1os, cr\u00e8me br\u00fbl\u00e9e, a\u00e7a\u00ed",
     "jalapenos, creme brulee, acai"},
    {"Vietnamese", "ph\u1edf and b\u00e1nh m\u00ec", "pho and banh mi"},
    {"Decomposed", "cafe\u0301", "cafe"},
    {"Ligatures", "\u0152uf, \u00c6bler, Gr\u00f6\u00dfe", "Oeuf, Aebler, Grosse"},
    {"With", "coffee w/ milk w/o sugar", "coffee with milk without sugar"},
    {"WithAttached", "tea w/lemon", "tea with lemon"},
    {"Ampersand", "Fish & Chips", "Fish and Chips"},
    {"Entity", "Fish &amp; Chips", "Fish and Chips"},
    {"RockNRoll", "Mac 'n' Cheese", "Mac and Cheese"},
    {"Slash", "fries/salad", "fries or salad"},
    {"AndOr", "and/or", "and or"},
    {"Abbreviations", "e.g. fries, i.e. chips, etc.", "for example fries, that is chips, etcetera."},
    {"Titles", "Mr. Smith and Dr. Who", "mister Smith and doctor Who"},
    {"Approx", "approx. 10 min.", "approximately ten minutes."},
    {"Barbecue", "BBQ sauce", "barbecue sauce"},
    {"SpelledWithoutVowels", "a BLT", "a B L T"},
    {"SpelledWithVowels", "an IPA", "an I P ay"},
    {"SpelledPlural", "two BLTs", "two B L T's"},
    {"Emphasis", "HOT and NEW", "hot and new"},
    {"Large", "size XL", "size extra large"},
    {"Dotted", "in the U.S. today", "in the U S today"},
    {"Dietary", "Salad (V) (GF)", "Salad, vegetarian, gluten free"},
    {"LetterA", "option A or B", "option ay or B"},
    {"ArticleA", "A burger", "A burger"},
    {"Hyphen", "gluten-free", "gluten free"},
    {"Dash", "one \u2014 two - three", "one, two, three"},
    {"Parentheses", "fries (large) please", "fries, large, please"},
    {"Colon", "Your order: fries", "Your order, fries"},
    {"Ellipsis", "Well... fine\u2026", "Well, fine."},
    {"Shouting", "Really?!! Wow!!!", "Really? Wow!"},
    {"Contraction", "you\u2019re welcome, that's all", "you're welcome, that's all"},
    {"Emoji", "Enjoy! \U0001F354\u2764\ufe0f", "Enjoy!"},
    {"Smile", "Enjoy :)", "Enjoy"},
    {"Markdown", "**Bold**, *it*, `code`, ~~no~~ [menu](https://x.y/z)", "Bold, it, code, no menu"},
    {"Heading", "# Today\n- one\n- two", "Today. one. two"},
    {"NumberedList", "1. Fries\n2. Cola", "one, Fries. two, Cola"},
    {"Underscores", "the volcano_burger is _hot_", "the volcano burger is hot"},
    {"Table", "| Burger | $5 |\n|---|---|\n| Cola | $2 |", "Burger, five dollars. Cola, two dollars"},
    {"Html", "<b>Hi</b><br>there", "Hi. there"},
    {"Link", "See https://www.example.com/menu?x=1.", "See example dot com."},
    {"Mail", "bob.smith@example.com", "bob dot smith at example dot com"},
    {"Newlines", "Hello\r\n\r\nthere", "Hello. there"},
    {"Sentences", "One. Two! Three?", "One. Two! Three?"},
};
INSTANTIATE_TEST_SUITE_P(Words, SpeakableTest, testing::ValuesIn(kWords),
                         [](const auto& i) { return i.param.name; });

TEST(SpeakableSentencesTest, ASentenceEachInOrder) {
  EXPECT_THAT(SpeakableSentences("Two burgers. That's $5.50! Anything else?", {}),
              ElementsAre("Two burgers.", "That's five dollars and fifty cents!", "Anything else?"));
}

TEST(SpeakableSentencesTest, NothingToSayIsNothing) {
  for (const char* text :
       {"", " ", "\n\n", "\U0001F389\U0001F389", "***", "...", "!?", "()", "\xff\xfe\xc3", "---", "$"}) {
    EXPECT_THAT(SpeakableSentences(text, {}), IsEmpty()) << text;
  }
}

TEST(SpeakableSentencesTest, LongSentencesAreCutAtACommaWhereThereIsOne) {
  std::string text = "Your order is";
  for (int i = 0; i < 30; ++i) absl::StrAppend(&text, " a large cola with ice,");
  const std::vector<std::string> sentences = SpeakableSentences(absl::StrCat(text, " and a burger."), {});
  ASSERT_GT(sentences.size(), 3U);
  for (const std::string& sentence : sentences) {
    EXPECT_THAT(sentence.size(), Le(kMaxSentence));
    EXPECT_TRUE(sentence.back() == ',' || sentence.back() == '.') << sentence;
  }
}

TEST(SpeakableSentencesTest, AWordWithoutEndIsCut) {
  const std::vector<std::string> sentences = SpeakableSentences(std::string(4000, 'a'), {});
  for (const std::string& sentence : sentences) {
    EXPECT_THAT(sentence.size(), Le(kMaxSentence));
    for (const absl::string_view word : absl::StrSplit(sentence, ' ')) EXPECT_THAT(word.size(), Le(40U));
  }
}

TEST(SpeakableSentencesTest, OtherScriptsStayForEnginesThatReadThem) {
  Dialect dialect;
  dialect.ascii = false;
  dialect.spell_a = false;
  EXPECT_EQ(Speakable("cr\u00e8me br\u00fbl\u00e9e, order A1", dialect),
            "cr\u00e8me br\u00fbl\u00e9e, order A one");
  EXPECT_EQ(Speakable("\u5bff\u53f8\u3002", dialect), "\u5bff\u53f8.");
}

TEST(SpeakableSentencesTest, PhonemesForEspeak) {
  Dialect dialect;
  dialect.respell = true;
  EXPECT_EQ(Speakable("One gyro", dialect), "One [[j'IroU]]");
  EXPECT_THAT(Speakable("One Quesadilla, please", dialect), Eq("One [[keIs@d'i:@]], please"));
  EXPECT_THAT(Speakable("[[h'aI]] there", dialect), Not(HasSubstr("[["))) << "nobody else writes phonemes";
}

// What an engine may get: words, and marks that make pauses.
void ExpectClean(const std::string& written, const Dialect& dialect) {
  for (const std::string& sentence : SpeakableSentences(written, dialect)) {
    ASSERT_FALSE(sentence.empty());
    ASSERT_LE(sentence.size(), kMaxSentence);
    bool letter = false;
    for (const char c : sentence) {
      const auto byte = static_cast<unsigned char>(c);
      letter = letter || absl::ascii_isalpha(byte) || byte >= 0x80;
      if (byte >= 0x80 && !dialect.ascii) continue;
      ASSERT_TRUE(absl::ascii_isalpha(byte) || absl::StrContains(" ',.!?", c))
          << sentence << "\nof " << written;
    }
    ASSERT_TRUE(letter) << sentence << "\nof " << written;
  }
}

TEST(SpeakableSentencesTest, WhateverIsWrittenOnlyWordsAreSaid) {
  const std::vector<std::string> parts = {
      "$",      "12",         ".",      ",",      "99",      "-",   "/",    "x",    " ",      "\n",
      "A",      "a.m.",       "%",      "\u00b0", "F",       "#",   "(",    ")",    "[",      "]",
      "*",      "_",          "w/",     "&",      "http://", "@",   "e.g.", "No.",  "\u20ac", "kcal",
      "+",      "~",          ":",      "30",     "pm",      "\"",  "'",    "n",    "Dec",    "14",
      "2025",   "1/2",        "\u00bd", "Mon",    "BLT",     "<b>", "|",    "\xff", "\u00e9", "\\",
      "\u2014", "\U0001F354", "7up",    "000",    "1,000",   "=",   "!",    "?",    "oz",     "\t"};
  std::minstd_rand random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    const size_t count = 1 + random() % 12;
    for (size_t k = 0; k < count; ++k) text += parts[random() % parts.size()];
    ExpectClean(text, {});
    Dialect foreign;
    foreign.ascii = false;
    ExpectClean(text, foreign);
  }
}

TEST(SpeakableSentencesTest, RandomBytesAreHarmless) {
  std::minstd_rand random(11);
  for (int i = 0; i < 3000; ++i) {
    std::string text(random() % 200, '\0');
    for (char& c : text) c = static_cast<char>(random() % 256);
    ExpectClean(text, {});
  }
}

TEST(FoldTest, DropsWhatIsNoUtf8AndControlCharacters) {
  EXPECT_EQ(Fold(std::string("a\0b\x01"
                             "c\x7f"
                             "d",
                             7),
                 true),
            "a b c d");
  EXPECT_EQ(Fold("a\xc3", true), "a");
  EXPECT_EQ(Fold("a\xed\xa0\x80z", true), "az");
  EXPECT_EQ(Fold("a\xf8\x88z", true), "az");
}

TEST(NumberWordsTest, Numbers) {
  EXPECT_EQ(NumberWords(0), "zero");
  EXPECT_EQ(NumberWords(101), "one hundred one");
  EXPECT_EQ(NumberWords(1000000), "one million");
  EXPECT_EQ(NumberWords(UINT64_MAX),
            "eighteen quintillion four hundred forty six quadrillion seven hundred forty four trillion "
            "seventy three "
            "billion seven hundred nine million five hundred fifty one thousand six hundred fifteen");
  EXPECT_EQ(OrdinalWords(40), "fortieth");
  EXPECT_EQ(OrdinalWords(112), "one hundred twelfth");
  EXPECT_EQ(YearWords(2000), "two thousand");
  EXPECT_EQ(YearWords(2010), "twenty ten");
  EXPECT_EQ(YearWords(1900), "nineteen hundred");
  EXPECT_EQ(YearWords(1805), "eighteen oh five");
}

TEST(PronunciationsTest, EveryEntryIsAWordInPhonesWithOneStressAtLeast) {
  for (const Pronunciation& entry : Pronunciations()) {
    EXPECT_EQ(entry.word, absl::AsciiStrToLower(entry.word));
    EXPECT_TRUE(absl::StrContains(entry.phones, '0') || absl::StrContains(entry.phones, '1')) << entry.word;
    EXPECT_THAT(EspeakPhonemes(entry.word), Not(IsEmpty())) << entry.word;
  }
  EXPECT_EQ(EspeakPhonemes("burger"), "");
  EXPECT_EQ(EspeakPhonemes("Jalapenos"), "hA:l@p'eInjoUz");
}

}  // namespace
}  // namespace arc::tts
