// Fixed phrases of customers, as regular expressions over normalised words (language.h). Each is compiled
// once, at its first use; all are thread-safe and take time linear in the text.
#ifndef ARC_SERVICES_BRAIN_PATTERNS_H_
#define ARC_SERVICES_BRAIN_PATTERNS_H_

#include <re2/re2.h>

#include <string>

namespace arc::brain::patterns {

// Of a whole sentence.
const RE2& Greeting();
const RE2& Thanks();
const RE2& Goodbye();
const RE2& Repeat();
const RE2& Help();
const RE2& Yes();
const RE2& Accept();  // "I'll take it", "yes, I still want it"
const RE2& No();
const RE2& Cancel();     // the order
const RE2& Undo();       // what was done last
const RE2& Filler();     // words that only fill time: "okay so", "let me think"
const RE2& ButNotAll();  // "remove everything except the fries"
const RE2& StartOver();
const RE2& Recommend();
const RE2& MayRecommend();  // unless it names a dish: "is the falafel wrap good"
const RE2& ShowCart();
const RE2& Total();
const RE2& AnyOfThem();  // "I don't mind", of several that were asked about

// Where a sentence begins or ends.
const RE2& GreetingPrefix();
const RE2& ThanksPrefix();
const RE2& ThanksSuffix();
const RE2& YesPrefix();
const RE2& CheckoutSuffix();  // "and that's all"
const RE2& PaySuffix();       // "I'd like to pay"

// Within a question.
const RE2& QuestionStart();
const RE2& OrderQuestion();  // "how about a mocha", "is it possible to get": an order all the same
const RE2& AsksPrice();
const RE2& AsksCalories();
const RE2& AsksIngredients();
const RE2& AsksGeneral();
const RE2& AsksAllergens();
const RE2& AsksContains();
const RE2& AsksSpicy();
const RE2& AsksOptions();
const RE2& Compares();
const RE2& OffTopic();

inline bool Full(const std::string& text, const RE2& pattern) {
  return RE2::FullMatch(text, pattern);
}
inline bool Has(const std::string& text, const RE2& pattern) {
  return RE2::PartialMatch(text, pattern);
}

}  // namespace arc::brain::patterns

#endif  // ARC_SERVICES_BRAIN_PATTERNS_H_
