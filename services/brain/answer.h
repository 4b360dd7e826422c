// How the brain says things: short spoken English with right plurals and prices. Pure functions, thread-safe.
#ifndef ARC_SERVICES_BRAIN_ANSWER_H_
#define ARC_SERVICES_BRAIN_ANSWER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/messages/menu.h"
#include "common/messages/voice.h"
#include "services/brain/lexicon.h"

namespace arc::brain {

// "$12.99", "4.50 CHF", "¥300". `minor` are units of 10^-exponent.
std::string SayPrice(int64_t minor, absl::string_view currency, int exponent);

// "two Volcano Burgers without onions", "one large Iced Cola with extra cheese". A quantity of 0 leaves the
// count out: "the Volcano Burger" is "the " and this.
std::string SayItem(const messages::IntentItem& item);

// "gluten, dairy and nuts": allergens and diets as people say them.
std::string SayNames(const std::vector<std::string>& names, absl::string_view last = "and");

// "onions" as the kitchen reads it: "without onions", "extra cheese", "well done".
std::string SayWish(const Wish& wish);

// The first letter in upper case.
std::string Sentence(absl::string_view text);

// Sentences joined, each ending with a full stop unless it ends already.
std::string JoinSentences(const std::vector<std::string>& sentences);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_ANSWER_H_
