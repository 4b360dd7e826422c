#include "services/brain/constraints.h"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {
namespace {

using NameMap = absl::flat_hash_map<absl::string_view, std::vector<std::string>>;

// What else people call an allergen; the menu's own names and usual ones are menu::AllergenBits().
const NameMap& OtherAllergens() {
  static const auto* const table = [] {
    const std::vector<std::pair<std::vector<std::string>, absl::string_view>> kinds = {
        {{"dairy"},
         "dairy product|milk product|milk protein|cheese|butter|cream|cows milk|cow milk|goats milk|yoghurt|"
         "yogurt|whey|casein|lactose|cheddar|mozzarella|parmesan|feta|halloumi|ice cream|dairy produce"},
        {{"fish", "crustaceans", "molluscs"}, "seafood|sea food"},
        {{"gluten"},
         "bread|barley|rye|flour|spelt|glutin|gluten product|wheat flour|semolina|"
         "wheat product"},
        {{"nuts"},
         "almond|hazelnut|walnut|cashew|pistachio|pecan|macadamia|brazil nut|pine nut|cashew nut|"
         "macadamia nut|pecan nut|chestnut|marzipan|praline"},
        {{"crustaceans"}, "crab|lobster|prawn|shrimp|crayfish|scampi|langoustine|crustacean"},
        {{"molluscs"}, "mussel|oyster|squid|clam|calamari|octopus|scallop|snail|mollusk"},
        {{"soy"}, "tofu|soy sauce|soya sauce|soy bean|soya bean|edamame|miso|soy milk|soya milk"},
        {{"fish"}, "anchovy|anchovie|salmon|tuna|cod|haddock"},
        {{"sesame"}, "tahini|sesame seed|sesame oil|sesami"},
        {{"lupin"}, "lupine|lupin flour"},
        {{"egg"}, "egg white|egg yolk|mayonnaise|mayo|egg product"},
        {{"mustard"}, "mustard seed"},
        {{"celery"}, "celeriac|celery salt"},
        {{"sulphites"}, "sulphite|sulfite|sulphur|sulfur"},
        {{"peanuts"}, "ground nut|groundnut|peanut butter|peanut oil|monkey nut"}};
    auto* const names = new NameMap;
    static auto* const kept = new std::vector<std::string>;
    kept->reserve(200);
    for (const auto& [allergens, phrases] : kinds) {
      for (const absl::string_view phrase : absl::StrSplit(phrases, '|')) {
        kept->emplace_back(phrase);
        (*names)[kept->back()] = allergens;
      }
    }
    return names;
  }();
  return *table;
}

// The spellings of one name: as said, and without the ending of a plural.
std::vector<std::string> Singulars(const std::string& phrase) {
  std::vector<std::string> forms = {phrase};
  if (phrase.size() > 3 && absl::EndsWith(phrase, "s")) forms.push_back(phrase.substr(0, phrase.size() - 1));
  if (phrase.size() > 4 && absl::EndsWith(phrase, "es")) forms.push_back(phrase.substr(0, phrase.size() - 2));
  if (phrase.size() > 4 && absl::EndsWith(phrase, "ies")) {
    forms.push_back(absl::StrCat(phrase.substr(0, phrase.size() - 3), "y"));
  }
  return forms;
}

}  // namespace

std::vector<std::string> AllergensNamed(const std::string& phrase) {
  for (const std::string& form : Singulars(phrase)) {
    const auto found = OtherAllergens().find(form);
    if (found != OtherAllergens().end()) return found->second;
    const std::optional<menu::Bits> bits = menu::AllergenBits(form);
    if (!bits.has_value()) continue;
    std::vector<std::string> names = menu::AllergenNamesOf(*bits);
    // Whoever is allergic to "nuts" rarely means tree nuts alone, and a wrong guess is dangerous.
    if (form == "nuts" || form == "nut") names.push_back("peanuts");
    return names;
  }
  return {};
}

std::string DietNamed(const std::string& phrase) {
  static const auto* const more_names =
      new absl::flat_hash_map<std::string, std::string>{{"vegans", "vegan"},
                                                        {"vegetarians", "vegetarian"},
                                                        {"veggies", "vegetarian"},
                                                        {"pescatarians", "pescatarian"},
                                                        {"muslim", "halal"},
                                                        {"muslims", "halal"},
                                                        {"wheat free", "gluten_free"},
                                                        {"jewish", "kosher"},
                                                        {"celiac friendly", "gluten_free"}};
  const auto known = more_names->find(phrase);
  if (known != more_names->end()) return known->second;
  const std::optional<menu::Bits> bits = menu::DietaryBit(phrase);
  if (!bits.has_value()) return "";
  const std::vector<std::string> names = menu::DietaryNamesOf(*bits);
  if (names.size() != 1) return "";
  // Properties that nobody needs for his health or faith are looked for, not enforced.
  const std::string& name = names[0];
  return name == "organic" || name == "low_carb" || name == "sugar_free" ? "" : name;
}

namespace {

Words Split(absl::string_view text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

void AddUnique(std::vector<std::string>& to, const std::string& value) {
  if (!absl::c_linear_search(to, value)) to.push_back(value);
}

}  // namespace

size_t ReadRequirement(const Words& words, size_t at, size_t end, Requirement& requirement) {
  if (at >= end) return 0;
  for (size_t length = std::min<size_t>(2, end - at); length > 0; --length) {
    // "no gluten" names the gluten.
    const std::string diet = words[at] == "no" ? "" : DietNamed(Join(words, at, at + length));
    if (!diet.empty()) {
      AddUnique(requirement.diets, diet);
      return length;
    }
    if (length == 2 && words[at + 1] == "free") {
      const std::vector<std::string> allergens = AllergensNamed(words[at]);
      for (const std::string& name : allergens) AddUnique(requirement.free_of, name);
      if (!allergens.empty()) return 2;
    }
  }
  return 0;
}

namespace {

// Frames: how a sentence speaks of foods (#0, #1, ...) and diets (@0, ...), which stand in the text in place
// of their names. Built of these parts:

constexpr char kFoodMark[] = "#([0-9]+)";
constexpr char kDietMark[] = "@([0-9]+)";

// "just so you know", "because"
constexpr char kLead[] =
    "(?:\\b(?:(?:because|so|and|but|well|that|also|since|as|actually|sorry|unfortunately|sadly|basically|"
    "careful|be careful|warning|remember|note|please note|just a heads up|a heads up|heads up|"
    "just so you know|so you know|you should know|i should say|i forgot|by the way|turns out|just) )*)?";

// Who it is about; "it" and "you" are nobody.
constexpr char kPerson[] =
    "(?:\\b(?:i|we|he|she|they|one of (?:us|them|my [a-z]+|our [a-z]+|the [a-z]+)|everyone|everybody|"
    "(?:someone|somebody|people|anyone)|(?:my|our|his|her)"
    "(?: (?:little|older|younger|oldest|youngest|elder|eldest|best|other|own|wee|poor))? [a-z]+|"
    "the (?:kids?|kid|wife|husband|missus|little one|baby|children|boy|girl|boys|girls|lad|lady))"
    "(?: (?:here|over here|over there|with (?:us|me)|of us|at (?:the|our|my) table|in (?:my|our) "
    "(?:party|family|group)|who|and i))* )";

// "has got a severe"
constexpr char kState[] =
    "(?:(?:am|are|is|was|have|has|had|got|do|does|really|strictly|also|both|just|only|all|a|an|severe|bad|"
    "very|severely|quite|pretty|highly|super|deadly|seriously|terribly|badly|extremely|slight|slightly|"
    "mild|mildly|bit|little|serious|terrible|strong|strongly|nasty|actually|with|who|that|been|suffer|"
    "suffers|from|diagnosed|be|might|may|could|possibly|think|unfortunately|known|life|threatening|of|"
    "having|living|huge|massive|major|kind|sort|the|always|get|gets|will|would|food|so|this|some|these|"
    "one|two|three|four|several|multiple|many|few|couple|different|certain|various|lots|not (?:only|just)) "
    ")*";

// "any kind of", "anything with"
constexpr char kAny[] =
    "(?:(?:any|all|anything|everything|something|food|foods|things|thing|stuff|with|containing|contains|the|"
    "some|kinds?|types?|sorts?|of|both|like|that|has|have|in it|certain|my|too|much|raw|even) )*";

// "strawberries or", in front of what is known
constexpr char kOthers[] = "(?:[a-z]+ (?:and|or) )*";

// "peanuts, they", where the food is spoken of again
constexpr char kThey[] =
    "(?:(?: (?:and|because|but|or|else|otherwise|as|cause|since))* (?:they|it|that|those|which))?";

constexpr char kTail[] =
    "(?: (?:of any kind|at all|in (?:it|them|anything|my food)|too|as well|by the way|thanks|you see|you "
    "know|either|whatsoever|whatever|ever))*";

constexpr char kWhom[] = "(?:me|us|him|her|them|(?:my|our) [a-z]+(?: [a-z]+)?|the kids?)";

// What a reaction looks like. A keyboard's "ill" is read as "i will", which is looked for besides.
constexpr char kSick[] =
    "(?:sick|ill|unwell|poorly|bloat|bloats|bloated|itch|itchy|itching|swell|swells|swollen|hives|rash|"
    "rashes|cramps?|reactions?|react|choke|sneeze|throw|vomit|faint|gassy|gas|headaches?|migraines?|"
    "stomach ?aches?|tummy ?aches?|puke|wheeze|wheezy|spots|asthma|eczema|die|dies|hospital|epipen|"
    "anaphylaxis|anaphylactic|trouble|problems?|anaphylactic shock|runs|violently)";

enum class Frame {
  kAllergy,  // names a food that must be excluded
  kMild,     // the same, but could be taste: only the allergens' usual names count
  kIfEaten,  // names it, where the sentence tells of a reaction
  kDiet,
};

struct FramePattern {
  Frame frame;
  std::string pattern;  // one group: the number of the food or diet
};

const std::vector<std::pair<Frame, std::unique_ptr<RE2>>>& Frames() {
  static const auto* const frames = [] {
    const std::string person = absl::StrCat("(?:", kPerson, ")?");
    const std::vector<FramePattern> patterns = {
        // "i have a bad allergy to nuts", "allergic reaction against milk", "i react badly to sesame"
        {Frame::kAllergy,
         absl::StrCat(kLead, person, kState,
                      "(?:allergic|allergy|allergies|intolerant|intolerances?|sensitive|sensitivity|"
                      "sensitivities|anaphylactic|anaphylaxis|react|reacts|reacting|reactions?)"
                      "(?: (?:really|very|quite|so|badly|terribly|severely|strongly|violently|reactions?|is|"
                      "are|include|includes|just))* (?:to|against|for|with|from|of|is|are|include|includes) ",
                      kAny, kFoodMark, kTail)},
        // "Allergies: nuts, milk"
        {Frame::kAllergy, absl::StrCat("^(?:my |our |food |his |her )*(?:allergy|allergies|allergic|"
                                       "intolerances?|intolerant)(?: is| are| include)? ",
                                       kFoodMark, kTail)},
        // "a nut allergy", "lactose intolerant"
        {Frame::kAllergy, absl::StrCat(kLead, person, kState, kAny, kFoodMark,
                                       " (?:allergy|allergies|allergic|intolerant|intolerances?|sensitive|"
                                       "sensitivity|sensitivities|anaphylaxis)\\b",
                                       kTail)},
        // "my daughter must not eat eggs", "we don't drink milk"
        {Frame::kAllergy,
         absl::StrCat(kLead, "(?:", kPerson, "|^)(?:really |also |just |still |who )*",
                      "(?:can|could|must|should|may|will|would|do|does|am|are|is) (?:not|never)"
                      "(?: (?:really|ever|even|actually|allowed|supposed|able|meant|to|be|have any|get))*"
                      " (?:eat|eats|eating|have|having|drink|drinks|tolerate|tolerates|do|digest|take|handle|"
                      "touch|stomach|process|consume|go near|be near|do well with|get on with|get along with|"
                      "deal with)(?: well)? ",
                      kAny, kOthers, kFoodMark, kTail)},
        // "i'm off dairy", "we avoid gluten"
        {Frame::kAllergy, absl::StrCat(kLead, "(?:", kPerson,
                                       "|^)(?:(?:am|is|are|have|has|need|needs|to|must|should|trying|try|"
                                       "supposed|told|been|got|want|would|like|prefer|better|really|"
                                       "always|having) )*"
                                       "(?:avoids?|avoiding|stay(?:ing)? (?:away from|off|clear of)|"
                                       "keep(?:ing)? (?:away from|off|clear of)|steer(?:ing)? clear of|"
                                       "(?:am|is|are) off|lay(?:ing)? off|cut(?:ting)? out|"
                                       "giv(?:e|en|ing) up|gave up|watch out for|stopped eating|quit) ",
                                       kAny, kOthers, kFoodMark, kTail)},
        // "gluten makes me sick"
        {Frame::kAllergy,
         absl::StrCat(
             kLead, kAny, kFoodMark, kThey,
             " (?:products? |stuff |things )?(?:(?:really|always|just|will|would|can|could|might|does|"
             "do|tends to|totally|usually) )*"
             "(?:make|makes|making|made|turns?|gets?|gives?|gave|brings?|causes?) ",
             kWhom,
             "(?: (?:a|really|very|quite|so|feel|terribly|an|the|come|break|comes|out|in|bad|horrible|"
             "awful|to|have|be|up|my|get))* ",
             "(?:", kSick, "|i will)(?: (?:up|out|reaction|shock))*", kTail)},
        // "dairy doesn't agree with me"
        {Frame::kAllergy,
         absl::StrCat(kLead, kFoodMark, kThey,
                      " (?:(?:and|i|just|really|stuff|products?|does|do|will|would|never) )*(?:not )"
                      "(?:(?:really|always|ever) )*"
                      "(?:agree|sit well|sit right|go down well|get on|get along|mix|go well) with ",
                      kWhom, kTail)},
        {Frame::kAllergy,
         absl::StrCat(kLead, kFoodMark, " (?:products? )?(?:always )?disagrees? with ", kWhom)},
        // "nuts could kill me"
        {Frame::kAllergy,
         absl::StrCat(
             kLead, kFoodMark, kThey,
             " (?:(?:will|would|could|can|might|may|literally|actually|really|always|almost|nearly) )*"
             "(?:kill|kills|killed|upsets?|hurts?|triggers?|sets? off|affects?|messes with|bothers?|"
             "(?:puts?|sends?) ",
             kWhom, " (?:in|to) (?:the )?hospital)(?: ", kWhom,
             "| [a-z]+ (?:stomach|tummy|skin|throat|"
             "asthma|eczema|allergy|allergies))?",
             kTail)},
        // "nuts are a problem for me"
        {Frame::kAllergy,
         absl::StrCat(
             kLead, kFoodMark, kThey,
             " (?:is|are) (?:(?:really|very|so|quite|definitely|a|an|absolutely|strictly|kind|of|bit|"
             "big|huge|total|absolute|not|no|complete) )*"
             "(?:bad|dangerous|deadly|poison|poisonous|lethal|toxic|off limits|out|go|good|okay|ok|"
             "option|allowed|safe|problem|issue|forbidden|banned|harmful|trouble|nono) (?:for|to|with) ",
             kWhom, kTail)},
        // "i swell up when i eat prawns"
        {Frame::kIfEaten,
         absl::StrCat("\\b(?:if|when|whenever|every time|each time|the moment|as soon as) (?:", kPerson,
                      ")(?:(?:ever|even|so much as|accidentally|just|do|does) )*"
                      "(?:eats?|have|has|touch|touches|smell|drinks?|get|gets|consume|am near|go near|try) ",
                      kAny, kOthers, kFoodMark, kTail)},
        {Frame::kIfEaten,
         absl::StrCat("\\b(?:from|after|eating|having) (?:eating |having )?", kAny, kFoodMark, kTail)},
        // "no nuts for me"
        {Frame::kMild, absl::StrCat(kLead, "\\bno (?:any |ever )*", kAny, kFoodMark,
                                    " (?:whatsoever |at all |products? |stuff )*for ", kWhom, "\\b")},
        {Frame::kAllergy, absl::StrCat(kLead,
                                       "(?:^|\\b(?:i|we|he|she|they) (?:want|need|can have) )(?:nothing|not "
                                       "anything|no food|no dishe?s?|none) "
                                       "(?:with|containing|that has|that have|that contains|made with) ",
                                       kAny, kFoodMark, kTail)},
        {Frame::kMild, absl::StrCat(kLead, "\\bno ", kAny, kFoodMark,
                                    " (?:at all|whatsoever|of any kind|ever|in (?:anything|any of it|my food|"
                                    "our food|everything|any of them))")},
        // "i am a strict vegan", "we are a vegetarian family"
        {Frame::kDiet,
         absl::StrCat(
             kLead, kPerson,
             "(?:(?:am|are|is|have to be|has to be|have|has|try to be|eat|eats|keep|keeps|keeping|"
             "follow|follows|following|only|strictly|strict|a|an|all|both|also|really|went|gone|turned|"
             "on|very|practising|practicing|trying|to|be|go|going|pretty|much|mostly|being|committed|"
             "lifelong|devout|just|actually|now) )+",
             kDietMark,
             "(?: (?:diet|food|only|people|eaters?|family|household|couple|person|man|woman|guy|girl|"
             "kid|too|as well|myself|now|these days|at the moment|lot))*\\b")},
        {Frame::kDiet, absl::StrCat(kLead,
                                    "\\b(?:i|we|he|she|they|(?:my|our) [a-z]+) "
                                    "(?:need|needs|require|requires|must have|want|wants|must be|has to be|"
                                    "have to be)(?: everything| it| my food| all| our food| only)*"
                                    "(?: to be)? ",
                                    kDietMark, "(?: food| diet| only| stuff)*$")},
        // "gluten free please"
        {Frame::kDiet,
         absl::StrCat("^(?:only |everything |all |strictly |it (?:has|must|needs) to be |it must be |"
                      "make it all |make everything |(?:(?:can|could) you )?make sure (?:that )?"
                      "(?:it|everything|all of it) is |everything (?:has|must|needs) (?:to )?be |"
                      "has to be |must be )*",
                      kDietMark, "(?: (?:only|for ", kWhom, "|food|thanks|diet|everything))*$")},
    };
    auto* const compiled = new std::vector<std::pair<Frame, std::unique_ptr<RE2>>>;
    for (const FramePattern& frame : patterns) {
      compiled->emplace_back(frame.frame, std::make_unique<RE2>(frame.pattern));
    }
    return compiled;
  }();
  return *frames;
}

// What a customer lists: "nuts and eggs or milk".
struct Food {
  std::string words;  // as said
  std::vector<std::string> allergens;
  std::vector<std::string> diets;
  bool usual = true;  // the allergens themselves, not a food that has them: "dairy", not "cheese"
};

bool IsAllergyWord(absl::string_view word) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "allergic",      "allergy", "allergies", "intolerant", "intolerance", "intolerances", "sensitivity",
      "sensitivities", "celiac",  "react",     "reaction",   "reacts",      "anaphylactic", "anaphylaxis"};
  return known_words->contains(word);
}

// Whether a misspelt `word` may be meant as `name`.
bool Misspelt(absl::string_view word, absl::string_view name) {
  if (word.size() < 4 || name.size() < 4) return false;
  const int errors = name.size() >= 7 ? 2 : 1;
  return menu::EditDistance(word, name, errors) <= errors;
}

class Reader {
 public:
  Reader(Words words, const ConstraintContext& context) : words_(std::move(words)), context_(context) {}

  Constraints Run(Words& left) {
    const bool speaks = MendAllergyWords();
    if (speaks || context_.asked) MendFoods();
    Mark();
    if (context_.asked) ReadBareAnswer();
    if (context_.nothing_ordered) ReadBareNo();
    ReadDenials();
    for (int round = 0; round < 8 && (ReadFrame() || ReadUnknown()); ++round) {
    }
    ReadCeliac();
    ReadUnnamed();
    left = Unmark();
    const bool read = out_.any() || out_.denied || !out_.denied_allergens.empty() || out_.unnamed;
    if (read) TrimConnectives(left);
    return std::move(out_);
  }

 private:
  size_t DishLength(const Words& words, size_t at) const {
    return context_.dish_length ? context_.dish_length(words, at) : 0;
  }

  // "alergic" is allergic; whether an allergy is spoken of at all.
  bool MendAllergyWords() {
    static constexpr absl::string_view kNames[] = {"allergic",   "allergy",     "allergies",
                                                   "intolerant", "intolerance", "celiac"};
    bool speaks = false;
    for (std::string& word : words_) {
      if (!IsAllergyWord(word) && word.size() >= 5 && !IsCommonWord(word)) {
        for (const absl::string_view name : kNames) {
          // "celery" is two letters from "celiac", and "allergens" are asked about.
          if (word == "celery" || word == "allergen" || word == "allergens" || word == "allergenic") break;
          const int errors = name.size() >= 9 ? 2 : 1;
          const bool doubled = absl::StartsWith(word, "al") && absl::StartsWith(name, "al") &&
                               menu::EditDistance(word, name, 2) <= 2;
          if (doubled || menu::EditDistance(word, name, errors) <= errors) {
            word = std::string(name);
            break;
          }
        }
      }
      speaks = speaks || IsAllergyWord(word);
    }
    // "allergic two nuts", as it is heard
    for (size_t i = 0; i + 2 < words_.size(); ++i) {
      const bool to = words_[i + 1] == "too" || words_[i + 1] == "two" || words_[i + 1] == "2";
      if ((words_[i] == "allergic" || words_[i] == "intolerant" || words_[i] == "allergy") && to &&
          !AllergensNamed(words_[i + 2]).empty()) {
        words_[i + 1] = "to";
      }
    }
    return speaks;
  }

  // "penuts" is peanuts, where an allergy is spoken of: after "to", before "allergy", or as an answer.
  void MendFoods() {
    static constexpr absl::string_view kNames[] = {
        "peanuts",  "peanut",      "gluten",  "wheat",     "dairy",     "lactose", "sesame",
        "mustard",  "celery",      "lupin",   "sulphites", "shellfish", "prawns",  "shrimp",
        "molluscs", "crustaceans", "almonds", "hazelnuts", "walnuts",   "cashews", "eggs",
        "milk",     "fish",        "cheese",  "soya",      "nuts"};
    bool expected = context_.asked;
    for (size_t i = 0; i < words_.size(); ++i) {
      std::string& word = words_[i];
      const bool before_allergy = i + 1 < words_.size() && IsAllergyWord(words_[i + 1]);
      if (word == "to" || word == "of" || word == "against") expected = true;
      if (word == "diary") word = "dairy";
      if ((expected || before_allergy) && AllergensNamed(word).empty() && !IsCommonWord(word) &&
          !IsAllergyWord(word) && DishLength(words_, i) == 0 && !IsFood(word)) {
        for (const absl::string_view name : kNames) {
          if (!Misspelt(word, name)) continue;
          word = std::string(name);
          break;
        }
      }
    }
  }

  // Foods of their own that are a letter away from an allergen.
  static bool IsFood(absl::string_view word) {
    static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
        "dish", "buts", "nets", "eggplant", "silk", "custard", "chips", "figs", "legs", "wish", "dairies"};
    return known_words->contains(word);
  }

  bool Separates(const std::string& word) const {
    return word == "and" || word == "or" || word == "nor" || word == "also" || word == "plus";
  }

  // One food at words_[at]; how many words, 0: none.
  size_t FoodAt(size_t at, Food& food) const {
    for (size_t length = std::min<size_t>(3, words_.size() - at); length > 0; --length) {
      const std::string phrase = Join(words_, at, at + length);
      std::vector<std::string> found = AllergensNamed(phrase);
      std::string diet;
      if (found.empty() && length == 1) {
        const std::string& word = words_[at];
        if (word == "meat" || word == "animals") diet = "vegetarian";
        if (word == "pork") diet = "halal";
      }
      if (found.empty() && diet.empty()) continue;
      if (DishLength(words_, at) > length) return 0;
      // "sesame free" is a diet.
      if (at + length < words_.size() && words_[at + length] == "free") return 0;
      for (const std::string& name : found) AddUnique(food.allergens, name);
      if (!diet.empty()) AddUnique(food.diets, diet);
      if (!menu::AllergenBits(phrase).has_value()) food.usual = false;
      if (at + length < words_.size() &&
          (words_[at + length] == "products" || words_[at + length] == "product" ||
           words_[at + length] == "stuff")) {
        ++length;
      }
      return length;
    }
    return 0;
  }

  // A diet at words_[at]; how many words, 0: none. "vegetarian meal" is a dish; "gluten free" never is.
  size_t DietAt(size_t at, Food& diet) const {
    Requirement requirement;
    const size_t length = ReadRequirement(words_, at, words_.size(), requirement);
    if (length == 0 || (!requirement.diets.empty() && DishLength(words_, at) > length)) return 0;
    diet.allergens = std::move(requirement.free_of);
    diet.diets = std::move(requirement.diets);
    return length;
  }

  // Puts numbers in place of foods and diets.
  void Mark() {
    Words marked;
    for (size_t i = 0; i < words_.size();) {
      Food diet;
      if (const size_t length = DietAt(i, diet); length > 0) {
        // "gluten and dairy free"
        diet.words = Join(words_, i, i + length);
        if (words_[i + length - 1] == "free" && marked.size() >= 2 && Separates(marked.back()) &&
            marked[marked.size() - 2][0] == '#') {
          for (const std::string& name : foods_.back().allergens) AddUnique(diet.allergens, name);
          diet.words = absl::StrCat(foods_.back().words, " ", marked.back(), " ", diet.words);
          marked.resize(marked.size() - 2);
        }
        // "vegan and gluten free"
        if (marked.size() >= 2 && marked.back() == "and" && marked[marked.size() - 2][0] == '@') {
          Food& before = foods_.back();
          for (const std::string& name : diet.diets) AddUnique(before.diets, name);
          for (const std::string& name : diet.allergens) AddUnique(before.allergens, name);
          before.words = absl::StrCat(before.words, " and ", diet.words);
          marked.pop_back();
        } else {
          marked.push_back(absl::StrCat("@", foods_.size()));
          foods_.push_back(std::move(diet));
        }
        i += length;
        continue;
      }
      Food food;
      size_t length = FoodAt(i, food);
      if (length == 0) {
        marked.push_back(words_[i]);
        ++i;
        continue;
      }
      size_t end = i + length;
      while (end < words_.size()) {
        size_t next = end;
        while (next < words_.size() &&
               (Separates(words_[next]) || words_[next] == "any" || words_[next] == "all" ||
                words_[next] == "to" || words_[next] == "the")) {
          ++next;
        }
        if (next >= words_.size()) break;
        const size_t more = FoodAt(next, food);
        if (more == 0) break;
        end = next + more;
      }
      food.words = Join(words_, i, end);
      marked.push_back(absl::StrCat("#", foods_.size()));
      foods_.push_back(std::move(food));
      i = end;
    }
    text_ = Join(marked);
  }

  Words Unmark() const {
    Words words;
    for (const std::string& word : Split(text_)) {
      size_t at = 0;
      if (word.size() > 1 && (word[0] == '#' || word[0] == '@') && absl::SimpleAtoi(word.substr(1), &at) &&
          at < foods_.size()) {
        for (std::string& part : Split(foods_[at].words)) words.push_back(std::move(part));
      } else {
        words.push_back(word);
      }
    }
    return words;
  }

  void Cut(size_t begin, size_t length) {
    text_ = Join(Split(absl::StrCat(text_.substr(0, begin), " ", text_.substr(begin + length))));
  }

  void Take(const Food& food) {
    for (const std::string& name : food.allergens) AddUnique(out_.exclude_allergens, name);
    for (const std::string& name : food.diets) AddUnique(out_.dietary_filters, name);
  }

  const Food* FoodOf(re2::StringPiece number) const {
    size_t at = 0;
    if (!absl::SimpleAtoi(absl::string_view(number.data(), number.size()), &at) || at >= foods_.size()) {
      return nullptr;
    }
    return &foods_[at];
  }

  bool Match(const RE2& pattern, re2::StringPiece* groups, int count) const {
    return pattern.Match(text_, 0, text_.size(), RE2::UNANCHORED, groups, count);
  }
  bool Has(const RE2& pattern) const { return Match(pattern, nullptr, 0); }
  size_t BeginOf(re2::StringPiece piece) const { return static_cast<size_t>(piece.data() - text_.data()); }

  // "to nuts", behind "what are you allergic to?"
  void ReadBareAnswer() {
    static const auto* const none = new RE2("^(?:no|nope|nothing|none|not really|nah)\\b[a-z ]*$");
    static const auto* const answer = new RE2(absl::StrCat(
        "^(?:(?:to|it|is|just|only|mainly|mostly|i|am|well|that|would|be|yes|yeah|the|all|any|kinds|"
        "of|sorry|allergic) )*",
        kFoodMark, kTail));
    static const auto* const word =
        new RE2("^(?:(?:to|it|is|just|only|i|am|well|yes|the|all|kinds|of|allergic) )*([a-z]+)(?: thanks)?$");
    re2::StringPiece groups[2];
    if (Match(*none, groups, 1)) return;
    if (Match(*answer, groups, 2)) {
      Take(*FoodOf(groups[1]));
      Cut(0, groups[0].size());
    } else if (Match(*word, groups, 2) &&
               !IsCommonWord(absl::string_view(groups[1].data(), groups[1].size()))) {
      AddUnique(out_.unknown_allergens, std::string(groups[1]));
      Cut(0, groups[0].size());
    }
  }

  // "no dairy", before anything is ordered
  void ReadBareNo() {
    static const auto* const none = new RE2(absl::StrCat("^(?:no|without|absolutely no) ", kFoodMark, "$"));
    re2::StringPiece groups[2];
    if (!Match(*none, groups, 2) || !FoodOf(groups[1])->usual) return;
    Take(*FoodOf(groups[1]));
    Cut(0, groups[0].size());
  }

  // "i'm not allergic to nuts", "no allergies"
  void ReadDenials() {
    static const auto* const denial = new RE2(absl::StrCat(
        kLead, "(?:", kPerson,
        ")?(?:(?:am|are|is|have|has|got|do|does|was|actually|really|definitely|thankfully|luckily) )*"
        "(?:not|no longer|never|no|nor|without)"
        "(?: (?:been|have|any|a|an|actually|really|known|food|got|really|was|had|even|longer|that))*",
        "(?: ", kFoodMark,
        ")? (?:allergic|allergy|allergies|intolerant|intolerances?|sensitive)(?: (?:to|against|of))?(?: ",
        kAny, kFoodMark, "| (?:anything|nothing|any of (?:it|that|them)|those|that|it))?",
        "(?: (?:after all|any ?more|at all|here|anyway|thanks|that i know of|whatsoever|now))*"));
    static const auto* const only = new RE2("\\bnot (?:only|just)\\b");
    // "no dairy no eggs no nuts, allergies"
    static const auto* const nos =
        new RE2("\\bno #([0-9]+)(?: (?:and )?no #([0-9]+))(?: (?:and )?no #([0-9]+))?");
    re2::StringPiece listed[4];
    if (Match(*nos, listed, 4)) {
      for (int i = 1; i < 4; ++i) {
        if (!listed[i].empty()) Take(*FoodOf(listed[i]));
      }
      Cut(BeginOf(listed[0]), listed[0].size());
      return;
    }
    for (int round = 0; round < 3; ++round) {
      re2::StringPiece groups[3];
      if (!Match(*denial, groups, 3) || RE2::PartialMatch(text_, *only)) return;
      out_.denied = true;
      for (int i = 1; i < 3; ++i) {
        if (groups[i].empty()) continue;
        const Food* const food = FoodOf(groups[i]);
        if (food == nullptr) continue;
        for (const std::string& name : food->allergens) AddUnique(out_.denied_allergens, name);
      }
      const size_t begin = BeginOf(groups[0]);
      Cut(begin, groups[0].size());
      // "not allergic to nuts but to milk"
      static const auto* const but =
          new RE2(absl::StrCat("\\bbut (?:i am |only |just )*(?:allergic )?to ", kAny, kFoodMark, kTail));
      if (Match(*but, groups, 2)) {
        Take(*FoodOf(groups[1]));
        Cut(BeginOf(groups[0]), groups[0].size());
      }
    }
  }

  // The first frame that names something; whether there was one.
  bool ReadFrame() {
    static const auto* const sick = new RE2(
        absl::StrCat("\\b", kSick, "\\b|\\bthroat\\b|\\bpoison|\\b(?:get|gets|am|feel|me) i will\\b"));
    static const auto* const allergy =
        new RE2("\\b(?:allerg|intoler|celiac|react|anaphyla|sensitiv|serious|medical|health)");
    for (const auto& [frame, pattern] : Frames()) {
      re2::StringPiece groups[2];
      if (!Match(*pattern, groups, 2)) continue;
      const Food* const food = FoodOf(groups[1]);
      if (food == nullptr) continue;
      if (frame == Frame::kMild && !Has(*allergy)) {
        // "with no mustard for me" is a wish for one dish.
        const bool wish = absl::EndsWith(text_.substr(0, BeginOf(groups[0])), "with ");
        if (!food->usual || wish) continue;
      }
      if (frame == Frame::kIfEaten && !Has(*sick)) continue;
      Take(*food);
      const bool health = frame == Frame::kAllergy || frame == Frame::kIfEaten;
      if (health) NoteOthers(groups[0]);
      const size_t at = BeginOf(groups[0]);
      Cut(at, groups[0].size());
      if (health) ReadMore(at);
      return true;
    }
    return false;
  }

  // "strawberries or" in what a frame took.
  void NoteOthers(re2::StringPiece taken) {
    static const auto* const other = new RE2("([a-z]+) (?:and|or) (?:[a-z]+ (?:and|or) )*#");
    std::string word;
    if (RE2::PartialMatch(taken, *other, &word) && !IsCommonWord(word) && !IsAllergyWord(word)) {
      AddUnique(out_.unknown_allergens, word);
    }
  }

  // "and strawberries and eggs", behind what was taken from text_ at `at`.
  void ReadMore(size_t at) {
    const std::string head = text_.substr(0, std::min(at, text_.size()));
    Words rest = Split(absl::string_view(text_).substr(head.size()));
    const auto joins = [](const std::string& word) {
      return word == "and" || word == "or" || word == "nor" || word == "plus";
    };
    size_t taken = 0;
    while (taken < rest.size()) {
      size_t i = taken;
      bool joined = false;
      while (i < rest.size() &&
             (joins(rest[i]) || rest[i] == "also" || rest[i] == "to" || rest[i] == "but")) {
        joined = joined || joins(rest[i]) || rest[i] == "also" || rest[i] == "to";
        ++i;
      }
      if (i >= rest.size()) break;
      // "nuts strawberries and eggs"
      const bool between = i + 2 < rest.size() && joins(rest[i + 1]) && rest[i + 2][0] == '#';
      if (!joined && !between) break;
      size_t number = 0;
      if (rest[i][0] == '#' && absl::SimpleAtoi(rest[i].substr(1), &number) && number < foods_.size()) {
        Take(foods_[number]);
      } else {
        const bool last = i + 1 >= rest.size() || joins(rest[i + 1]);
        const bool word = !IsCommonWord(rest[i]) && !ReadCount(rest, i).has_value() && rest[i][0] != '@';
        if (!last || !word) break;
        AddUnique(out_.unknown_allergens, rest[i]);
      }
      taken = i + 1;
    }
    if (taken > 0) text_ = Join(Split(absl::StrCat(head, " ", Join(rest, taken, rest.size()))));
  }

  // "allergic to strawberries"
  bool ReadUnknown() {
    static const auto* const before =
        new RE2(absl::StrCat(kLead, "(?:", kPerson, ")?", kState,
                             "(?:allergic|allergy|allergies|intolerant|intolerance|sensitive|react|reacts)"
                             "(?: (?:badly|really|terribly|very|severely|reaction))* to ",
                             kAny, "([a-z]+)"));
    static const auto* const after = new RE2(absl::StrCat(
        kLead, kPerson, kState, "([a-z]+) (?:allergy|allergies|allergic|intolerant|intolerance)\\b"));
    // "she breaks out in hives from strawberries"
    static const auto* const hives = new RE2(absl::StrCat(
        kLead, kPerson,
        "(?:always |really |just "
        ")*(?:breaks?|comes?|gets?|swells?|reacts?|is|am|are|feels?|itch|itches|have|has)\\b"
        "(?: [a-z]+){0,5} ?(?:hives|rash|rashes|swollen|swell|swells|up|itchy|sick|reaction|spots|cramps|"
        "migraines?) (?:from|after|when|if|with|whenever)(?: "
        "(?:i|we|he|she|they|eat|eats|eating|have|has|having|"
        "had|any|the))* ([a-z]+)"));
    // "i can't eat onions"
    static const auto* const cannot =
        new RE2(absl::StrCat(kLead, kPerson,
                             "(?:really |also )*(?:can|could|must|should) (?:not|never) "
                             "(?:eat|digest|tolerate|stomach) ",
                             kAny, "([a-z]+)"));
    re2::StringPiece groups[2];
    if (!Match(*before, groups, 2) && !Match(*after, groups, 2) && !Match(*hives, groups, 2) &&
        !Match(*cannot, groups, 2)) {
      return false;
    }
    const std::string name(groups[1]);
    const bool vague = IsCommonWord(name) || ReadCount({name}, 0).has_value() || IsAllergyWord(name) ||
                       name == "few" || name == "food" || name == "foods" || name == "stuff" ||
                       name == "certain" || name == "allergens";
    if (vague) return false;
    AddUnique(out_.unknown_allergens, name);
    const size_t at = BeginOf(groups[0]);
    Cut(at, groups[0].size());
    ReadMore(at);
    return true;
  }

  void ReadCeliac() {
    static const auto* const celiac =
        new RE2(absl::StrCat(kLead, "(?:", kPerson, ")?", kState,
                             "(?:with )?\\bceliacs?(?: disease)?(?: sufferers?| friendly)?\\b", kTail));
    static const auto* const question = new RE2("^(?:is|are|what|which|do|does|can)\\b.*\\bceliac");
    static const auto* const own = new RE2("\\b(?:i|we|my|our|he|she) .*\\bceliac");
    re2::StringPiece groups[1];
    if (!Match(*celiac, groups, 1) || (Has(*question) && !Has(*own))) return;
    AddUnique(out_.exclude_allergens, "gluten");
    Cut(BeginOf(groups[0]), groups[0].size());
  }

  // "is there milk in it? i'm allergic", "i have an allergy"
  void ReadUnnamed() {
    static const auto* const allergic = new RE2(
        absl::StrCat(kLead, kPerson, kState,
                     "(?:allergic|allergy|allergies|intolerant|intolerances?|allergic reactions?)"
                     "(?: (?:to|against|from)(?: (?:it|that|them|those|this|these|some (?:things|foods|"
                     "stuff)|certain (?:things|foods)|stuff|things|a few things|foods?))?)?",
                     kTail));
    static const auto* const alone = new RE2("^(?:an? |food )?(?:allergic|allergy|food allergy)$");
    static const auto* const asks = new RE2(
        "\\b(?:(?:any|what|which|about|for|the|your|more) (?:allergies|allergens|allergy|allergen)|"
        "(?:allergy|allergen|allergies) (?:info|information|advice|menu|list|chart|details|warning))\\b");
    re2::StringPiece groups[1];
    if (!(Match(*allergic, groups, 1) || Match(*alone, groups, 1)) || Has(*asks)) return;
    static const auto* const number = new RE2("#([0-9]+)");
    re2::StringPiece rest(text_);
    bool named = false;
    re2::StringPiece at;
    while (RE2::FindAndConsume(&rest, *number, &at)) {
      Take(*FoodOf(at));
      named = true;
    }
    if (!named && !context_.before.empty()) {
      Reader before(context_.before, context_);
      before.Mark();
      for (const Food& food : before.foods_) {
        Take(food);
        named = named || !food.allergens.empty();
      }
    }
    // What the sentence named besides is what is meant.
    out_.unnamed = !named && !out_.any();
    Cut(BeginOf(groups[0]), groups[0].size());
  }

  static void TrimConnectives(Words& words) {
    const auto idle = [](const std::string& word) {
      return word == "and" || word == "so" || word == "but" || word == "because" || word == "if" ||
             word == "since" || word == "as";
    };
    while (!words.empty() && idle(words.front())) words.erase(words.begin());
    while (!words.empty() && idle(words.back())) words.pop_back();
  }

  Words words_;
  const ConstraintContext& context_;
  std::string text_;
  std::vector<Food> foods_;
  Constraints out_;
};

}  // namespace

Constraints TakeConstraints(Words& words, const ConstraintContext& context) {
  Words left;
  Constraints constraints = Reader(words, context).Run(left);
  words = std::move(left);
  return constraints;
}

}  // namespace arc::brain
