// What the words of a query refuse: "no nuts", "burger without cheese", "nothing too spicy", "gluten and
// dairy free", "I have a nut allergy". Such a word must never attract what it names. Pure functions.
#ifndef ARC_SERVICES_MENU_REFUSALS_H_
#define ARC_SERVICES_MENU_REFUSALS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "services/menu/catalogue.h"

namespace arc::menu {

struct Refusals {
  std::vector<std::string> wanted;   // the words of the query that refuse nothing, in their order
  std::vector<std::string> refused;  // other words; a phrase of two ("ice cream") has a space
  Bits allergens = 0;                // refused
  Bits dietary = 0;                  // demanded by a refusal: "no meat", "gluten and dairy free"
  Bits not_dietary = 0;              // refused: "not vegan"
};

// The refusals among the folded `words` of a query. Allergens are understood generously, because a guest's
// word is not a menu's: who says nuts (or names one of them) is given neither nuts nor peanuts, who says
// peanuts no peanuts; seafood is fish, crustaceans and molluscs. `known` says whether the menu has a word:
// one that it does not have may be an allergen with a typing error.
Refusals TakeRefusals(std::vector<std::string> words, absl::FunctionRef<bool(const std::string&)> known);

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_REFUSALS_H_
