// What customers say about their health and faith: "I'm allergic to nuts", "no dairy for me", "gluten makes
// me ill", "we are vegans". Pure functions, thread-safe.
#ifndef ARC_SERVICES_BRAIN_CONSTRAINTS_H_
#define ARC_SERVICES_BRAIN_CONSTRAINTS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "services/brain/language.h"

namespace arc::brain {

struct Constraints {
  std::vector<std::string> exclude_allergens;  // by the menu's names
  std::vector<std::string> dietary_filters;    // likewise
  std::vector<std::string> unknown_allergens;  // named, but nothing that a menu tells about
  std::vector<std::string> denied_allergens;   // "not allergic to nuts", by the menu's names
  bool unnamed = false;                        // "I have an allergy", and not to what
  bool denied = false;                         // "no allergies", "not allergic to anything"

  // Whether the customer named anything that holds from now on.
  bool any() const {
    return !exclude_allergens.empty() || !dietary_filters.empty() || !unknown_allergens.empty();
  }
};

struct ConstraintContext {
  // How many words from words[at] on are the name of a dish, which "fish" in "fish burger" belongs to; may be
  // null.
  std::function<size_t(const Words& words, size_t at)> dish_length;
  bool asked = false;            // the customer was just asked what he is allergic to
  bool nothing_ordered = false;  // "no dairy" is then no wish for a dish
  Words before;                  // what he said last: "is there milk in it?", then "I'm allergic to that"
};

// Takes declarations out of `words`. Questions ("what is vegan here?") and wishes ("no onions") are none.
// Names that are misspelt are understood where an allergy is spoken of; in doubt more is excluded, not less.
Constraints TakeConstraints(Words& words, const ConstraintContext& context = {});

// The allergens that people mean by `phrase`, which is folded; empty when it is none.
std::vector<std::string> AllergensNamed(const std::string& phrase);

// The dietary property that people mean by `phrase`; empty when it is none that has to be kept to.
std::string DietNamed(const std::string& phrase);

// What a dish or all food has to be: "vegan", "gluten free" are dietary properties, "nut free", where no
// property is called so, means allergens that it must not contain; by the menu's names.
struct Requirement {
  std::vector<std::string> free_of;
  std::vector<std::string> diets;
};
// Adds the one that is named at words[at] to `requirement`; how many words that are, 0: none is named.
size_t ReadRequirement(const Words& words, size_t at, size_t end, Requirement& requirement);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_CONSTRAINTS_H_
