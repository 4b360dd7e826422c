#include "services/stt/language_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/menu/menu_file.h"
#include "services/stt/pronunciation.h"
#include "tests/support/process.h"

namespace arc::stt {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kDictionary[] = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict";

const Pronunciations& Dictionary() {
  static const Pronunciations* const kLoaded = Pronunciations::Load(kDictionary).value().release();
  return *kLoaded;
}

menu::Catalogue DemoCatalogue(const std::string& more = "") {
  messages::MenuFile file =
      menu::ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
  if (!more.empty()) {
    messages::MenuItem item = file.items.front();
    item.id = 9001;
    item.name = more;
    item.synonyms.clear();
    file.items.push_back(item);
  }
  return *menu::Catalogue::Create(file).value();
}

double LogProbability(const NgramModel& model, const std::string& sentence) {
  std::vector<std::string> words = {kSentenceBegin};
  double sum = 0;
  const std::string whole = absl::StrCat(sentence, " ", kSentenceEnd);
  for (const absl::string_view word : absl::StrSplit(whole, ' ')) {
    words.emplace_back(word);
    sum += std::log10(std::max(1e-12, model.Probability(words)));
  }
  return sum;
}

TEST(PronunciationTest, AKitchenWordMayBeSaidAsItIsSpelt) {
  EXPECT_THAT(Dictionary().Of("quinoa"), Contains("K W IH N OW AH"));
}

TEST(PronunciationTest, TheDictionaryComesFirstWithAllItSays) {
  EXPECT_THAT(Dictionary().Of("jalapeno"), ElementsAre("HH AE L AH P IY N Y OW", "JH AE L AH P IY N OW"));
  EXPECT_THAT(Dictionary().Of("chipotle"), Contains("CH IH P OW T L IY"));
  EXPECT_THAT(Dictionary().Of("burger"), Contains("B ER G ER"));
}

TEST(PronunciationTest, KitchenWordsAreSaidAsInAKitchen) {
  EXPECT_THAT(Dictionary().Of("quesadilla"), Contains("K EY S AH D IY AH"));
  EXPECT_THAT(Dictionary().Of("portobello"), Contains("P AO R T AH B EH L OW"));
  EXPECT_THAT(Dictionary().Of("halloumi"), ElementsAre("HH AH L UW M IY", "HH AE L AW M IY"));
}

TEST(PronunciationTest, WordsAreMadeFromTheirParts) {
  EXPECT_THAT(Dictionary().Of("sweetcorn"), ElementsAre("S W IY T K AO R N"));
  EXPECT_THAT(Dictionary().Of("unsweetened"), Contains("AH N S W IY T AH N D"));
  EXPECT_THAT(Dictionary().Of("bunless"), ElementsAre("B AH N L AH S"));
  EXPECT_THAT(Dictionary().Of("halloumis"), ElementsAre("HH AH L UW M IY Z", "HH AE L AW M IY Z"));
  EXPECT_THAT(Dictionary().Of("chickpeas"), ElementsAre("CH IH K P IY Z"));
}

TEST(PronunciationTest, OtherWordsFollowRulesAndForeignOnesTwoOfThem) {
  EXPECT_THAT(Dictionary().Of("zanzibarro"), Not(IsEmpty()));
  EXPECT_THAT(Dictionary().Of("tortellaccio"), Contains(::testing::EndsWith("CH IY OW")));
  EXPECT_THAT(Dictionary().Of("blt"), ElementsAre("B IY EH L T IY"));
  for (const char* word :
       {"", "7up", "caf\xc3\xa9", "a b", "(2)", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}) {
    EXPECT_THAT(Dictionary().Of(word), IsEmpty()) << word;
  }
}

TEST(PronunciationTest, EveryPhoneIsOneOfTheDictionarys) {
  std::set<std::string> known;
  Dictionary().ForEachWord([&](absl::string_view word) {
    for (const Phones& phones : Dictionary().Known(word)) {
      for (const absl::string_view phone : absl::StrSplit(phones, ' ')) {
        // The kitchen words are not among the teachers: their phones have to be in use elsewhere.
        if (known.size() < 39) known.emplace(phone);
      }
    }
  });
  EXPECT_EQ(known.size(), 39U);
  for (const char* word :
       {"acai", "affogato", "gnocchi", "tzatziki", "mochaccino", "sriracha", "bruschetta", "gyoza", "wyzqjx",
        "quxlla", "jajuzzi", "pommes", "rhubarbus", "tchocho", "shuijiao"}) {
    const std::vector<Phones> all = Dictionary().Of(word);
    EXPECT_THAT(all, Not(IsEmpty())) << word;
    for (const Phones& phones : all) {
      for (const absl::string_view phone : absl::StrSplit(phones, ' ')) {
        EXPECT_EQ(known.count(std::string(phone)), 1U) << word << ": " << phones;
      }
    }
  }
}

TEST(PronunciationTest, ADictionaryThatIsMissingOrNoneIsAnError) {
  EXPECT_THAT(Pronunciations::Load("/nonexistent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Pronunciations::Load("/dev/null"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SpokenWordsTest, NumbersAndSignsAreWords) {
  EXPECT_THAT(SpokenWords("7up"), ElementsAre("seven", "up"));
  EXPECT_THAT(SpokenWords("Mac & Cheese, 12 oz"), ElementsAre("mac", "and", "cheese", "twelve", "oz"));
  EXPECT_THAT(SpokenWords("Caff\xc3\xa8 Latte"), ElementsAre("caffe", "latte"));
  EXPECT_THAT(SpokenWords("Kid's Menu"), ElementsAre("kids", "menu"));
  EXPECT_THAT(SpokenWords("\xe5\xaf\xbf\xe5\x8f\xb8 99999 $item (x|y)"), ElementsAre("item", "x", "y"));
  EXPECT_EQ(SpellNumber(0), "zero");
  EXPECT_EQ(SpellNumber(21), "twenty one");
  EXPECT_EQ(SpellNumber(110), "one hundred ten");
  EXPECT_EQ(SpellNumber(2005), "two thousand five");
  EXPECT_EQ(SpellNumber(-1), "");
}

TEST(PluralTest, FollowsEnglish) {
  EXPECT_EQ(Plural("fish burger"), "fish burgers");
  EXPECT_EQ(Plural("fries"), "fries");
  EXPECT_EQ(Plural("caramel sundae"), "caramel sundaes");
  EXPECT_EQ(Plural("patty"), "patties");
  EXPECT_EQ(Plural("chicken sandwich"), "chicken sandwiches");
  EXPECT_EQ(Plural("tray"), "trays");
  EXPECT_EQ(Plural(""), "");
}

TEST(LanguageModelTest, ExpectsOrdersOfTheMenuMoreThanOtherWordsInARow) {
  const menu::Catalogue catalogue = DemoCatalogue();
  const absl::StatusOr<NgramCounts> counts = CountPhrases(&catalogue);
  ASSERT_THAT(counts, IsOk());
  const NgramModel model(*counts, NgramOptions());
  EXPECT_GT(LogProbability(model, "two volcano burgers without onions and a large iced cola please"), -22);
  EXPECT_GT(LogProbability(model, "two volcano burgers"), LogProbability(model, "burgers volcano two") + 4);
  EXPECT_GT(LogProbability(model, "no thank you"), LogProbability(model, "no thank burger") + 3);
  EXPECT_GT(LogProbability(model, "i'm allergic to nuts"), -6);
  double sum = 0;
  for (const std::string& word : model.words()) {
    if (word != kSentenceBegin) sum += model.Probability(std::vector<std::string>{"volcano", "burger", word});
  }
  EXPECT_NEAR(sum, 1, 1e-6);
}

TEST(LanguageModelTest, KnowsEveryWordOfTheMenuAndHowToSayIt) {
  const menu::Catalogue catalogue = DemoCatalogue("Zanzibar Tostada");
  const absl::StatusOr<NgramCounts> counts = CountPhrases(&catalogue);
  ASSERT_THAT(counts, IsOk());
  const std::set<std::string> words(counts->words().begin(), counts->words().end());
  for (const messages::MenuItem& item : catalogue.items()) {
    for (const std::string& word : SpokenWords(item.name)) EXPECT_EQ(words.count(word), 1U) << word;
  }
  EXPECT_EQ(words.count("tostada"), 1U);
  EXPECT_EQ(words.count("tostadas"), 1U);
  for (const std::string& word : words) {
    if (word != kSentenceBegin && word != kSentenceEnd) {
      EXPECT_THAT(Dictionary().Of(word), Not(IsEmpty())) << word;
    }
  }
}

TEST(LanguageModelTest, AnEmptyMenuHasWhatIsSaidAnywhere) {
  const absl::StatusOr<NgramCounts> counts = CountPhrases(nullptr);
  ASSERT_THAT(counts, IsOk());
  const NgramModel model(*counts, NgramOptions());
  EXPECT_GT(LogProbability(model, "yes please"), -6);
  EXPECT_EQ(model.Probability(std::vector<std::string>{"volcano"}), 0);
}

TEST(LanguageModelTest, ItemNamesAreSpokenOnce) {
  const menu::Catalogue catalogue = DemoCatalogue("Volcano  BURGER");
  const std::vector<std::string> names = SpokenItemNames(catalogue);
  EXPECT_EQ(std::count(names.begin(), names.end(), "volcano burger"), 1);
}

TEST(CountPhrasesTest, OfAVastMenuTheFirstNamesAreTaken) {
  messages::MenuFile file =
      menu::ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
  const size_t demo = file.items.size();
  messages::MenuItem item = file.items.front();
  item.synonyms.clear();
  const auto word = [](size_t number, char last) {
    std::string text;
    for (int i = 0; i < 4; ++i, number /= 12) {
      text += "bdfgklmnprst"[number % 12];
      text += "aeio"[number % 4];
    }
    return text + last;
  };
  for (size_t i = 0; i < 10'000; ++i) {
    item.id = static_cast<int64_t>(100'000 + i);
    item.name = absl::StrCat(word(i, 'n'), " ", word(i, 's'));
    file.items.push_back(item);
  }
  const auto catalogue = menu::Catalogue::Create(file).value();
  size_t left_out = 0;
  const auto counts = CountPhrases(catalogue.get(), &left_out);
  ASSERT_THAT(counts, IsOk());
  EXPECT_GT(left_out, 9'000U);
  EXPECT_LT(left_out, 10'000U);
  EXPECT_LT(counts->words().size(), kMostMenuWords + 1'000);
  const std::set<std::string> words(counts->words().begin(), counts->words().end());
  EXPECT_EQ(words.count("volcano"), 1U) << demo;
  EXPECT_EQ(words.count(word(0, 'n')), 1U);
  EXPECT_EQ(words.count(word(9'999, 'n')), 0U);

  left_out = 1;
  const menu::Catalogue small = DemoCatalogue();
  ASSERT_THAT(CountPhrases(&small, &left_out), IsOk());
  EXPECT_EQ(left_out, 0U);
}

}  // namespace
}  // namespace arc::stt
