#include "services/stt/language_model.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"
#include "services/stt/phrases.h"
#include "services/stt/pronunciation.h"

namespace arc::stt {
namespace {

struct Rule {
  const char* name;
  std::vector<Phrases::Choice> choices;
};

// What is said at any kiosk. $item, $items (plural), $category, $extra, $ingredient, $option and $size come
// from the menu.
std::vector<Rule> CommonRules() {
  return {
      {"number",
       {{8, "two"},
        {5, "three"},
        {4, "four"},
        {2, "five"},
        {2, "six"},
        {0.5, "seven"},
        {0.7, "eight"},
        {0.4, "nine"},
        {0.8, "ten"},
        {0.2, "eleven"},
        {0.4, "twelve"},
        {0.1, "fifteen"},
        {0.1, "twenty"}}},
      {"count", {{6, "one"}, {10, "$number"}}},
      // An item with what stands before it.
      {"one_of",
       {{9, "(a|an:0.4)"},
        {4, "one"},
        {2, "the"},
        {2.5, ""},
        {0.8, "another"},
        {0.6, "one more"},
        {0.4, "a side of"},
        {0.3, "your"},
        {0.5, "$number"}}},
      {"some_of",
       {{7, "$number"},
        {1.3, "some"},
        {1.3, ""},
        {0.6, "(a couple of|a few|some more|two more|a dozen)"},
        {0.5, "(an|one) order of"},
        {0.5, "$number orders of"}}},
      // An item with what stands before it.
      {"some_item", {{20, "$one_of [$size:0.2] $item"}, {11, "$some_of [$size:0.15] $items"}}},
      {"modifier",
       {{3, "with [extra:0.4] $extra"},
        {2, "with no $ingredient"},
        {4, "without [any:0.1] $ingredient"},
        {4, "no $ingredient"},
        {2, "extra $extra"},
        {1, "$option"},
        {1, "with $option"},
        {0.5, "hold the $ingredient"},
        {0.5, "(with|but with) a lot of $extra"},
        {0.4, "on the side"},
        {0.3, "to go"},
        {0.4, "but no $ingredient"},
        {0.3, "with everything on it"},
        {0.3, "plain"}}},
      {"modified_item", {{1, "$some_item [$modifier {(and|and|) $modifier:0.25}:0.35]"}}},
      {"items_list", {{1, "$modified_item {(and|and|and|and also|plus|and then|with|) $modified_item:0.3}"}}},
      {"want",
       {{6, "i'd like"},
        {3, "i would like"},
        {4, "i'll have"},
        {1, "i will have"},
        {1.5, "i'll take"},
        {1, "i'll get"},
        {4, "can i (get|have)"},
        {2.5, "could i (get|have)"},
        {1, "may i (get|have)"},
        {0.8, "can we (get|have)"},
        {0.8, "could we (get|have)"},
        {1, "can you (get|give) me"},
        {0.4, "could you (get|give) me"},
        {2, "i want"},
        {0.5, "we want"},
        {0.5, "i need"},
        {2, "give me"},
        {0.7, "get me"},
        {0.7, "let me (get|have)"},
        {1, "we'd like"},
        {0.5, "we would like"},
        {1, "we'll have"},
        {0.5, "we'll take"},
        {0.5, "i'd love"},
        {0.5, "i'm going to have"},
        {0.3, "i'm gonna have"},
        {0.4, "i think i'll have"},
        {1, "i'd like to (order|have|get)"},
        {0.5, "i would like to (order|have|get)"},
        {0.6, "i want to (order|have|get)"},
        {0.5, "can i order"},
        {0.5, "(order|bring me)"},
        {0.7, "just"},
        {0.4, "do it with"}}},
      {"opening",
       {{2, "hi"},
        {2, "hello"},
        {1, "hey"},
        {1, "okay"},
        {1, "um"},
        {1, "uh"},
        {1, "yes"},
        {1, "yeah"},
        {1, "so"},
        {0.7, "well"},
        {1, "and"},
        {0.6, "also"},
        {0.4, "good (morning|afternoon|evening)"},
        {0.5, "yes please"},
        {0.3, "alright"},
        {0.4, "then"},
        {0.3, "oh"},
        {0.5, "please"}}},
      {"closing",
       {{6, "please"},
        {1, "thanks"},
        {1, "thank you"},
        {0.5, "please and thank you"},
        {0.5, "to go"},
        {0.5, "for here"},
        {0.6, "that's (all|it)"},
        {0.4, "and that's (all|it)"},
        {0.4, "too"},
        {0.4, "as well"},
        {0.2, "for my (son|daughter|wife|husband|friend|kids)"},
        {0.3, "for me"}}},
      {"ordering",
       {{18,
         "($want:10|:5|add:1.5|please add:0.4|add me:0.3|can you add:0.4|could you add:0.3|put:0.5) "
         "$items_list "
         "[to my order|to the order|to my cart|in my order|in the cart:0.05]"}}},
      {"removing",
       {{12,
         "(remove the:3|remove:1|take the:1.5|take off the:0.7|take out the:0.5|delete the:0.5|cancel "
         "the:0.7|"
         "i don't want the:2|i don't want any:0.4|i don't want:0.3|no:0.6|get rid of the:0.5|drop the:0.2|"
         "scratch the:0.2|forget the:0.2|leave off the:0.3|leave out the:0.3|remove one:0.3|remove one of "
         "the:0.3|"
         "remove $number of the:0.2|remove both:0.1) $thing [off|out|from my order|from the order|from my "
         "cart|off "
         "my order|off the order|of my order|anymore|any more:0.35]"},
        {0.7, "(remove|take off|delete|cancel) (that|it|the last one|the first one|the second one|both)"}}},
      {"thing", {{3, "$item"}, {3, "$items"}}},
      {"changing",
       {{3, "[actually:0.2] make (it|that) $count [instead of $count:0.4]"},
        {3,
         "[actually:0.2] (make it|make that|no|i meant|i said|actually) $count $things [not $count|instead "
         "of $count:0.2]"},
        {1.5, "(make (it|that)|i meant|no i meant|no|actually) (a|the|an) [$size:0.2] $item [instead:0.2]"},
        {1, "make (it|that|them) ($size|a $size|a $size one)"},
        {2, "(make the|make my) $thing ($count|a $size|$size)"},
        {1, "change (it|that) to $count"},
        {5,
         "(change the|change my|swap the|switch the|replace the) $thing (to|for|with) "
         "(a:3|an:1|the:1|$count:1|:1) "
         "[$size:0.15] $thing"},
        {1, "(i meant|i said|no|actually|actually make it|actually make that) $count [not $count:0.3]"},
        {1, "no (the|i meant the|i said the) other one"},
        {0.7, "$count instead of $count"},
        {0.6, "not $count $count"},
        {0.6, "(a|an|the) $item instead [of the $thing|of a $thing:0.3]"},
        {1, "(one|two|three) more"},
        {1.3, "another (one|one of those|one of them)"},
        {0.6, "(two|three|four) (of those|of them|more of those)"},
        {0.7, "the (other one|first one|second one|third one|last one|big one|small one|spicy one|same)"},
        {0.3, "(the same again|same again|same for me|that one|this one|both|both of them)"}}},
      {"things", {{1, "$items"}}},
      {"modifying",
       {{5,
         "(can you add:1|could you add:0.5|add:2|put:0.6|can i get:1|can i have:1|with:1|i'd like:0.3|:1) "
         "[extra:0.4|some|more:0.5] $extra [$where:0.6]"},
        {6,
         "(no:3|without:2|hold the:1|skip the:0.3|leave off the:0.4|leave out the:0.3|take off the:0.3|"
         "i don't want any:0.6|i don't want:0.4|make it without:0.4|can i have it without:0.4|with no:0.7) "
         "$ingredient [$where:0.35]"},
        {0.7, "(i want|i'd like|add|with|make it) $option [$where:0.2]"}}},
      {"where",
       {{1,
         "(on|to|with|in|from|off) (it:3|that:3|them:0.5|both:0.5|the $thing:4|my $thing:1|the other "
         "one:0.3)"}}},
      {"ask_thing",
       {{3, "how much (is|are) the"},
        {1, "how much (does|do) (a|an|the)"},
        {2.2, "what's the price of (a|an|the)"},
        {0.7, "what is the price of (a|an|the)"},
        {0.7, "what (does|do) the"},
        {2.5, "how many calories (are|are there) in (a|an|the|that|your)"},
        {1, "how many calories (does|do) (a|an|the)"},
        {3, "what's (in|on|inside) (the|a|that|your)"},
        {1, "what is (in|on) (the|a|that)"},
        {0.7, "what (are|is) the ingredients (in|of) the"},
        {0.7, "what comes (with|on|in) the"},
        {2, "(is|are) there (any|) ($allergen|$ingredient) in the"},
        {1.5, "tell me (about|more about) the"},
        {1, "show me the"},
        {0.5, "what size is the"},
        {0.5, "do you have the"},
        {1.5, "do you have (a|an|any|)"},
        {0.4, "have you got (a|an|any|)"},
        {0.4, "i'm looking for (a|an|the|some)"},
        {0.5, "(how big|how spicy) is the"}}},
      {"asking",
       {{20, "$ask_thing $thing [cost|have:0.12]"},
        {1, "how much (is|are) (it|that|they|those)"},
        {2, "(is|are) there (any|) ($allergen|$ingredient) in (it|that)"},
        {2,
         "(does|do) (the $thing:3|it:1|that:1) (have|contain|come with) [any:0.4] ($allergen|$ingredient)"},
        {3, "(is|are) (the|your) $thing ($quality:4|big:0.1|large:0.1|good:0.2|fresh:0.1)"},
        {0.7, "is (it|that) $quality"},
        {2.5,
         "(do you have:3|have you got:0.6|do you sell:0.4|do you serve:0.4|what kind of:0.4) (any|some|) "
         "($categories:2|$quality $categories:3|$quality options:1|$quality food:0.3)"},
        {1.5,
         "(what|which) ($quality:0.5|kind of:0.3|:1) "
         "($categories:3|options:1|dishes:0.3|food:0.3|things:0.2|sizes:0.2|"
         "flavors:0.2|sauces:0.2) (do you have:3|are there:0.5|can i get:0.3|are $quality:1)"},
        {1, "what (is|do you have that is|do you have that's) $quality"},
        {0.6, "what's $quality"},
        {1.2, "[do you have|have you got|i want|i'd like:0.5] (anything|something) $quality"},
        {1.5,
         "(show me:3|let me see:0.5|can i see:0.5|i want to see:0.2) (the|your|all the|some|) ($categories:4|"
         "$quality options:1|$quality $categories:1|menu:1)"},
        {0.4, "(can|could) i (get|have) (that|it) $quality"}}},
      {"allergy",
       {{4, "i'm allergic to $allergen {(and|or) $allergen:0.3}"},
        {1, "i am allergic to $allergen {(and|or) $allergen:0.3}"},
        {0.7, "(my son|my daughter|my wife|my husband|my friend|she|he) is allergic to $allergen"},
        {2.5, "i have (a|an) $allergen allergy"},
        {0.7, "i've got (a|an) $allergen allergy"},
        {2,
         "i (can't|cannot|can not|don't) (eat|have|do) [any:0.2] ($allergen|$diet_food) {(and|or) "
         "$allergen:0.2}"},
        {2, "i'm [a:0.3] ($diet)"},
        {0.7, "i am [a:0.3] ($diet)"},
        {0.7, "i'm (lactose|gluten) intolerant"},
        {1.5, "(nothing|anything|something) (with|without) $allergen"},
        {0.7, "no $allergen [please:0.5] [i'm allergic:0.4]"},
        {0.5, "without [any:0.5] $allergen"},
        {0.5, "(nothing|no food) with $allergen in it"},
        {0.5, "i need (something|it) ($diet|without $allergen)"}}},
      {"allergen",
       {{4, "nuts"},      {2, "nut"},           {3, "peanuts"},     {1, "peanut"},     {4, "dairy"},
        {3, "gluten"},    {2, "milk"},          {1.5, "lactose"},   {1.5, "eggs"},     {1.5, "egg"},
        {1.5, "soy"},     {1.5, "fish"},        {1.5, "shellfish"}, {1, "wheat"},      {1, "sesame"},
        {0.7, "mustard"}, {0.5, "celery"},      {0.4, "lupin"},     {0.4, "sulfites"}, {0.7, "tree nuts"},
        {0.7, "seafood"}, {0.4, "crustaceans"}, {0.4, "shrimp"},    {0.4, "almonds"},  {0.4, "walnuts"}}},
      {"diet_food",
       {{2, "meat"}, {1, "pork"}, {1, "beef"}, {0.5, "chicken"}, {0.5, "sugar"}, {0.4, "spicy food"}}},
      {"diet",
       {{3, "vegetarian"},
        {3, "vegan"},
        {1, "gluten free"},
        {0.5, "pescatarian"},
        {0.5, "halal"},
        {0.4, "kosher"},
        {0.4, "dairy free"},
        {0.4, "on a diet"},
        {0.3, "celiac"},
        {0.3, "diabetic"}}},
      {"quality", {{4, "vegetarian"}, {4, "vegan"},          {4, "gluten free"},
                   {2, "halal"},      {1, "kosher"},         {2, "dairy free"},
                   {1.5, "nut free"}, {0.7, "egg free"},     {0.7, "sugar free"},
                   {1, "low carb"},   {2.5, "spicy"},        {1, "healthy"},
                   {1, "light"},      {1, "cold"},           {1, "hot"},
                   {1, "sweet"},      {0.7, "popular"},      {0.5, "new"},
                   {0.5, "cheap"},    {0.4, "organic"},      {0.5, "without $allergen"},
                   {0.5, "meatless"}, {0.4, "crispy"},       {0.4, "grilled"},
                   {0.4, "for kids"}, {0.4, "for children"}, {0.4, "low in calories"},
                   {0.4, "available"}}},
      {"recommending",
       {{4, "what do you (recommend|suggest)"},
        {1, "what would you (recommend|suggest)"},
        {1,
         "what's (good|good here|popular|your best $category|the best $category|the most popular "
         "$category|new)"},
        {0.7, "what (is|are) your (best|most popular) (sellers|$category|$categories)"},
        {1, "(can|could) you (recommend|suggest) (something|anything|a $category)"},
        {0.7, "(surprise me|any recommendations|any suggestions|what should i (get|have|order))"},
        {0.5, "what goes (well:0.7|) with (the|a|that) $thing"},
        {0.4, "what (drink|dessert|side) goes with (that|the $thing)"},
        {0.3, "i don't know what (to have|i want|to order)"}}},
      {"agreeing",
       {{5, "yes"},
        {4, "yes please"},
        {3, "yeah"},
        {1, "yep"},
        {0.7, "yup"},
        {1.5, "sure"},
        {2, "okay"},
        {1, "that's (right|correct|fine|good|perfect|great)"},
        {1, "yes that's (right|correct|it|fine)"},
        {0.7, "(correct|right|exactly|perfect|great|fine|good|absolutely|definitely|of course)"},
        {0.7, "sounds good"},
        {0.7, "[yes|okay|yes please:0.5] go ahead"},
        {0.4, "why not"},
        {0.5, "i'd like that"},
        {0.4, "yes i would"},
        {0.4, "yes i do"},
        {0.4, "i do"},
        {0.4, "all right"},
        {0.4, "please do"},
        {0.4, "(yeah|okay) (sure|that's fine|sounds good|please)"},
        {0.3, "yes (to that|add it|add that|do that)"}}},
      {"declining",
       {{5, "no"},
        {3, "no thanks"},
        {4, "no thank you"},
        {0.7, "nope"},
        {0.5, "nah"},
        {0.7, "not really"},
        {1, "nothing else"},
        {1, "(i'm|we're) (good|fine|okay|all set|done)"},
        {0.6, "no i'm (good|fine|okay|done)"},
        {0.6, "not (now|today|this time)"},
        {0.7, "never mind"},
        {0.5, "i don't (think so|want (that|it))"},
        {0.4, "no (that's wrong|that's not right|not that|don't)"},
        {0.4, "that's (wrong|not right|not what i said)"},
        {0.4, "no i (don't|didn't|would not|wouldn't)"}}},
      {"finishing",
       {{3, "that's (all|it|everything)"},
        {1.5, "that is (all|it|everything)"},
        {1, "that will be all"},
        {0.7, "that'll be (all|it)"},
        {1, "no (that's|that is|that will be) (all|it|everything)"},
        {1.5, "no (thank you|thanks) that's (all|it|everything)"},
        {0.7, "i think that's (all|it|everything)"},
        {0.5, "that's all [for me|for now|for today:0.7]"}}},
      {"paying",
       {{3, "[i'd like to|i would like to|i want to|can i|could i|let me|i'll:0.75] pay [now|please:0.3]"},
        {2,
         "[i'd like to|i would like to|i want to|can i|i'll:0.7] pay [by|with] (card|credit card|my "
         "card|phone|"
         "my phone|cash) [please:0.3]"},
        {2, "(i'm|we're) ready to (pay|check out|order|checkout)"},
        {2, "[i'd like to|i want to|can i|let's|let me:0.6] check out [now|please:0.4]"},
        {1.5, "checkout [please|now:0.4]"},
        {1, "(proceed|go) to (checkout|check out|payment)"},
        {1, "(finish|complete|place|submit|confirm|send) (my|the) order"},
        {0.7, "(the|my) (bill|check) please"},
        {0.4, "(card|credit card|cash) [please:0.5]"},
        {0.4, "take my (order|money)"},
        {0.3, "i'm done [ordering:0.5]"}}},
      {"cart",
       {{2, "what's (in|on) my (cart|order|basket)"},
        {1, "what is (in|on) my (cart|order|basket)"},
        {2, "show [me:0.6] my (cart|order|basket)"},
        {1, "what (have i ordered|did i order) [so far:0.4]"},
        {1.5, "what's (my|the) total"},
        {0.7, "how much is (it|my order|everything) [all together|in total:0.4]"},
        {0.7, "(read|repeat) [me:0.2] (it back|my order|that back|back my order) [please:0.2]"},
        {0.7, "(view|see|check|review) (my|the) (cart|order|basket)"},
        {0.5, "what do i have so far"}}},
      {"cancelling",
       {{2, "cancel (my|the|the whole|this) order"},
        {1, "cancel (everything|it|that|it all)"},
        {1.5, "start (over|again)"},
        {0.5, "let's start (over|again)"},
        {0.7, "[please:0.3] start (over|again) please"},
        {0.7, "(clear|empty|delete) (my|the) (cart|order|basket)"},
        {0.7, "forget (it|about it|everything)"},
        {0.5, "(i want|i would like|i'd like) to (cancel|start over)"},
        {0.4, "remove everything"},
        {0.4, "i changed my mind"}}},
      {"repeating",
       {{2, "(can|could) you (repeat|say) that [again:0.4] [please:0.3]"},
        {1, "say that again [please:0.4]"},
        {1, "repeat [that|please|that please:0.7]"},
        {1, "what did you say"},
        {0.7, "what was that"},
        {0.7, "pardon [me:0.4]"},
        {0.7, "sorry [what|what was that|i didn't (hear|catch|understand) that:0.7]"},
        {0.4, "excuse me"},
        {0.4, "once more"},
        {0.5, "come again"},
        {0.4, "i didn't (hear|catch|get|understand) (that|you)"}}},
      {"helping",
       {{2, "help [me|please:0.4]"},
        {1, "i need (help|some help)"},
        {0.7, "(can|could) you help me"},
        {0.7, "what can (i say|i do|you do)"},
        {0.5, "how does this work"},
        {0.5, "how do i (order|pay)"},
        {0.5, "(can i|i want to|let me) (speak|talk) to (someone|a person|a human|somebody|the manager)"},
        {0.3, "call (someone|the staff|a waiter)"}}},
      {"greeting",
       {{2, "hello"},
        {2, "hi"},
        {1, "hey"},
        {0.7, "hi there"},
        {0.7, "hello there"},
        {0.7, "good (morning|afternoon|evening)"},
        {0.3, "how are you"},
        {0.5, "hey there"}}},
      {"leaving",
       {{2, "bye"},
        {1, "goodbye"},
        {0.7, "bye bye"},
        {2, "thank you [very much|so much:0.3]"},
        {1, "thanks [a lot:0.3]"},
        {0.7, "(thank you|thanks) (bye|goodbye)"},
        {0.5, "see you [later|soon:0.5]"},
        {0.5, "have a (nice|good) (day|one|evening)"}}},
      {"bare",
       {{3, "$count [please:0.3]"},
        {1, "just one"},
        {1, "(a|the) $size [one:0.3]"},
        {2, "$size"},
        {1.5, "$option"},
        {1.5, "$categories"},
        {1, "$category"},
        {0.5, "number $count"},
        {1, "$quality"},
        {0.5, "just the $thing"},
        {0.5, "(for here|to go|eat in|take away|takeout)"},
        {0.7, "$ingredient"}}},
      {"answer", {{1, "($agreeing|$declining|$finishing|$greeting)"}}},
      {"utterance",
       {
           {50, "[$answer:0.03] $ordering"},
           {5, "$removing"},
           {9, "$changing"},
           {6, "$modifying"},
           {16, "$asking"},
           {6, "$allergy"},
           {4, "$recommending"},
           {6, "$agreeing"},
           {5, "$declining"},
           {4, "$finishing"},
           {4.5, "$paying"},
           {3, "$cart"},
           {3, "$cancelling"},
           {2.5, "$repeating"},
           {2, "$helping"},
           {2, "$greeting"},
           {2.5, "$leaving"},
           {5, "$bare"},
           {1, "($declining|$finishing) ($paying|$leaving)"},
       }},
      {"root", {{1, "[$opening:0.15] $utterance [$closing:0.2]"}}},
  };
}

// Choices with the weights of equal texts added up, in the order of the texts.
class Choices {
 public:
  void Add(const std::string& text, double weight) {
    if (!text.empty()) weights_[text] += weight;
  }
  std::vector<Phrases::Choice> Take() const {
    std::vector<Phrases::Choice> choices;
    for (const auto& [text, weight] : weights_) choices.push_back({weight, text});
    return choices;
  }

 private:
  std::map<std::string, double> weights_;
};

constexpr double kNameWeight = 4;
constexpr double kSynonymWeight = 1.5;
constexpr double kEndOfNameWeight = 0.8;  // "beef burger" of "classic beef burger"
constexpr double kLastWordWeight = 0.3;

bool Contains(const std::vector<std::string>& words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A word that ends an item's name and says nothing without the words before it.
bool CannotStandAlone(const std::string& word) {
  static const std::set<std::string>* const kWords =
      new std::set<std::string>{"cob", "zero", "serve", "white", "black", "up", "size"};
  return kWords->count(word) != 0;
}

struct MenuRules {
  Choices item, items, category, categories, extra, ingredient, option, size;

  void AddName(const std::vector<std::string>& words, double weight) {
    if (words.empty()) return;
    AddItem(absl::StrJoin(words, " "), weight);
    if (Contains(words, "and") || Contains(words, "on")) return;
    for (size_t from = 1; from < words.size(); ++from) {
      const bool last = from + 1 == words.size();
      if (last && (CannotStandAlone(words[from]) || words[from].size() < 3)) continue;
      const std::string end =
          absl::StrJoin(words.begin() + static_cast<std::ptrdiff_t>(from), words.end(), " ");
      AddItem(end, weight / kNameWeight * (last ? kLastWordWeight : kEndOfNameWeight));
    }
  }

  void AddItem(const std::string& text, double weight) {
    item.Add(text, weight);
    items.Add(Plural(text), weight);
  }

  void AddCategory(const std::vector<std::string>& words) {
    if (words.empty()) return;
    // "Coffee & Tea" is also "coffee" and "tea".
    std::vector<std::string> part;
    const auto add = [&](const std::vector<std::string>& names, double weight) {
      if (names.empty()) return;
      const std::string name = absl::StrJoin(names, " ");
      categories.Add(name, weight);
      category.Add(Singular(name), weight);
      if (names.size() > 1) {
        categories.Add(names.back(), weight);
        category.Add(Singular(names.back()), weight);
      }
    };
    for (const std::string& word : words) {
      if (word == "and") {
        add(part, 1);
        part.clear();
      } else {
        part.push_back(word);
      }
    }
    add(part, 1);
    if (part.size() != words.size()) categories.Add(absl::StrJoin(words, " "), 0.5);
  }

  static std::string Singular(const std::string& name) {
    if (absl::EndsWith(name, "ies") || absl::EndsWith(name, "ss") || !absl::EndsWith(name, "s")) return name;
    return name.substr(0, name.size() - 1);
  }

  void AddCustomization(std::vector<std::string> words) {
    if (words.empty()) return;
    const bool no = words[0] == "no" || words[0] == "without";
    const bool more = words[0] == "extra" || words[0] == "add";
    if ((no || more) && words.size() > 1) {
      words.erase(words.begin());
      const std::string name = absl::StrJoin(words, " ");
      ingredient.Add(name, no ? 3 : 1);
      extra.Add(name, more ? 3 : 0.5);
      return;
    }
    const std::string name = absl::StrJoin(words, " ");
    if (words.size() == 1 &&
        (words[0] == "large" || words[0] == "small" || words[0] == "medium" || words[0] == "regular")) {
      return;  // a $size of any kiosk
    }
    option.Add(name, 2);
    if (words.size() <= 2) {
      extra.Add(name, 0.7);
      ingredient.Add(name, 0.3);
    }
  }
};

void AddUsualWords(MenuRules& rules) {
  for (const char* size : {"large", "large", "large", "small", "small", "medium", "medium", "regular", "big",
                           "extra large", "double", "single", "kids"}) {
    rules.size.Add(size, 1);
  }
  for (const char* name :
       {"cheese",   "onions", "pickles", "ketchup", "mayo",     "mustard",    "lettuce", "tomato",
        "tomatoes", "bacon",  "sauce",   "salt",    "ice",      "mayonnaise", "sugar",   "milk",
        "butter",   "pepper", "cream",   "onion",   "dressing", "lemon"}) {
    rules.ingredient.Add(name, 0.4);
    rules.extra.Add(name, 0.3);
  }
  for (const char* name : {"food", "drinks", "desserts", "sides", "snacks", "specials", "combos", "meals"}) {
    rules.categories.Add(name, 0.3);
  }
  for (const char* name : {"drink", "dessert", "side", "snack", "special", "combo", "meal"}) {
    rules.category.Add(name, 0.3);
  }
}

}  // namespace

std::string Plural(const std::string& words) {
  const size_t space = words.rfind(' ');
  const std::string last = space == std::string::npos ? words : words.substr(space + 1);
  if (last.size() < 2 || absl::EndsWith(last, "s")) return words;
  const char before = last[last.size() - 2];
  const bool vowel = std::string("aeiou").find(before) != std::string::npos;
  if (last.back() == 'y' && !vowel) return absl::StrCat(words.substr(0, words.size() - 1), "ies");
  if (absl::EndsWith(last, "ch") || absl::EndsWith(last, "sh") || absl::EndsWith(last, "x") ||
      absl::EndsWith(last, "z")) {
    return absl::StrCat(words, "es");
  }
  return absl::StrCat(words, "s");
}

std::vector<std::string> SpokenItemNames(const menu::Catalogue& catalogue) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const messages::MenuItem& item : catalogue.items()) {
    std::string name = absl::StrJoin(SpokenWords(item.name), " ");
    if (!name.empty() && seen.insert(name).second) names.push_back(std::move(name));
  }
  return names;
}

absl::StatusOr<NgramCounts> CountPhrases(const menu::Catalogue* catalogue, size_t* left_out) {
  MenuRules rules;
  AddUsualWords(rules);
  std::set<std::string> known;
  size_t too_many = 0;
  // The words of a name, or none when it is one too many.
  const auto taken = [&](absl::string_view name) {
    std::vector<std::string> words = SpokenWords(name);
    std::set<std::string> fresh(words.begin(), words.end());
    for (const std::string& word : words) {
      if (known.count(word) > 0) fresh.erase(word);
    }
    if (known.size() + fresh.size() > kMostMenuWords) {
      ++too_many;
      words.clear();
    } else {
      known.merge(fresh);
    }
    return words;
  };
  if (catalogue != nullptr) {
    for (const messages::MenuCategory& category : catalogue->categories()) {
      rules.AddCategory(taken(category.name));
    }
    for (const messages::MenuItem& item : catalogue->items()) {
      rules.AddName(taken(item.name), kNameWeight);
      for (const std::string& synonym : item.synonyms) {
        const std::vector<std::string> words = taken(synonym);
        if (!words.empty()) rules.AddItem(absl::StrJoin(words, " "), kSynonymWeight);
      }
      for (const messages::Customization& customization : item.customizations) {
        rules.AddCustomization(taken(customization.name));
      }
    }
  }
  if (left_out != nullptr) *left_out = too_many;
  Phrases phrases;
  for (const Rule& rule : CommonRules()) RETURN_IF_ERROR(phrases.Define(rule.name, rule.choices));
  RETURN_IF_ERROR(phrases.Define("item", rules.item.Take()));
  RETURN_IF_ERROR(phrases.Define("items", rules.items.Take()));
  RETURN_IF_ERROR(phrases.Define("category", rules.category.Take()));
  RETURN_IF_ERROR(phrases.Define("categories", rules.categories.Take()));
  RETURN_IF_ERROR(phrases.Define("extra", rules.extra.Take()));
  RETURN_IF_ERROR(phrases.Define("ingredient", rules.ingredient.Take()));
  RETURN_IF_ERROR(phrases.Define("option", rules.option.Take()));
  RETURN_IF_ERROR(phrases.Define("size", rules.size.Take()));
  return phrases.Count("root");
}

}  // namespace arc::stt
