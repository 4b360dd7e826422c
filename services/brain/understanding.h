// What a customer's sentence asks for, by rules: items with quantities and wishes, corrections, references to
// what was said before or is in the cart, questions, allergies, yes and no. The menu (lexicon.h), the
// conversation so far (dialogue.h) and the cart are given; nothing is asked of other agents here.
//
// Pure function, thread-safe.
#ifndef ARC_SERVICES_BRAIN_UNDERSTANDING_H_
#define ARC_SERVICES_BRAIN_UNDERSTANDING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/messages/session.h"
#include "services/brain/constraints.h"
#include "services/brain/dialogue.h"
#include "services/brain/language.h"
#include "services/brain/lexicon.h"

namespace arc::brain {

// A dish, or dishes among which the customer has to choose, as it was spoken of.
struct Wanted {
  std::vector<int64_t> dishes;  // empty: nothing on the menu is called `phrase`
  std::vector<int64_t> wide;
  std::string phrase;
  std::string category;
  std::optional<int64_t> quantity;
  int64_t or_quantity = 0;  // "two or three": the other count; 0: none
  std::vector<Wish> wishes;
  std::optional<messages::IntentItem> like;  // the same as this one, `wishes` aside
  bool more = false;                         // "another", "two more"
  bool definite = false;                     // "the", "my", "of the"
  bool article = false;                      // "a", "an"
  bool partitive = false;                    // "one of the"
  bool pointed = false;                      // "in the", "on the": wishes came before it
  bool whole = false;                        // by a whole name or synonym
  bool guessed = false;                      // the words are not quite its own: it is asked about
  bool bare = false;                         // an unknown word that nothing introduces as a dish
  Requirement required;                      // "a nut free brownie", "a vegan burger"
  std::string unlike;                        // words in front of it that no dish is called by
  double quality = 1;
};

enum class ActKind {
  kAdd,
  kRemove,
  kQuantity,
  kModify,
  kReplace,
  kOther,  // "no, the other one": what was changed last becomes as it was, and `line` is changed like it
  kDetails,
  kBrowse,
  kRecommend,
  kShowCart,
  kTotal,
  kCheckout,
  kPay,
  kYes,
  kAccept,  // "I'll take it"
  kNo,
  kCancel,
  kStartOver,
  kRepeat,
  kHelp,
  kGreet,
  kGoodbye,
  kThanks,
  kFiller,  // "hmm", "ha ha", "okay so"
  kUnknown,
};

// What a question about a dish wants to know.
enum class Topic { kGeneral, kPrice, kCalories, kIngredients, kAllergens, kContains, kDiet, kSpicy };

struct Act {
  ActKind kind = ActKind::kUnknown;
  Wanted what;
  std::optional<size_t> line;  // of the cart: what is removed, changed or replaced, `what.quantity` of it
  Wanted with;                 // kReplace: what comes in its place; nothing: that was not said
  Topic topic = Topic::kGeneral;
  std::vector<std::string> asked;  // kContains: allergens; kDiet: dietary properties
  std::string text;                // kBrowse: what is looked for; empty: everything
  std::string category;            // kBrowse
  bool not_in_cart = false;        // what is to be removed or changed is not there
};

struct Understanding {
  std::vector<Act> acts;
  std::vector<std::string> exclude_allergens;  // named now, by the menu's names
  std::vector<std::string> dietary_filters;
  std::vector<std::string> unknown_allergens;  // named, but not what a menu can tell
  std::vector<std::string> denied_allergens;   // what nobody is allergic to
  bool denied = false;                         // "no allergies"
  bool allergy_unnamed = false;                // allergic, and not said to what
  bool chose = false;                          // a pending choice was settled
  bool ask_again = false;                      // the pending question was not answered
  double confidence = 1;
};

// What only looks at the sentence itself: greetings, thanks, help. Empty when more has to be known.
std::optional<Understanding> UnderstandSmallTalk(const Words& words);

// `cart` are the lines of the kiosk's cart, in its order; `before` is what the customer said last.
Understanding Understand(const Words& words, const Lexicon& lexicon, const Dialogue& dialogue,
                         const std::vector<messages::OrderLine>& cart, const Words& before = {});

// For TakeConstraints(): the names of dishes, and what was asked and said last.
ConstraintContext ConstraintContextOf(const Lexicon& lexicon, const Dialogue& dialogue, const Words& before);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_UNDERSTANDING_H_
