// What customers say about their health and faith: "I'm allergic to nuts", "no dairy for me", "we are
// vegans". Pure functions, thread-safe.
#ifndef ARC_SERVICES_BRAIN_CONSTRAINTS_H_
#define ARC_SERVICES_BRAIN_CONSTRAINTS_H_

#include <string>
#include <vector>

#include "services/brain/language.h"

namespace arc::brain {

struct Constraints {
  std::vector<std::string> exclude_allergens;  // by the menu's names
  std::vector<std::string> dietary_filters;    // likewise
  std::vector<std::string> unknown_allergens;  // named, but nothing that a menu tells about
};

// Takes declarations out of `words`. Questions ("what is vegan here?") and wishes ("no onions") are none.
Constraints TakeConstraints(Words& words);

// The allergens that people mean by `phrase`, which is folded; empty when it is none.
std::vector<std::string> AllergensNamed(const std::string& phrase);

// The dietary property that people mean by `phrase`; empty when it is none that has to be kept to.
std::string DietNamed(const std::string& phrase);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_CONSTRAINTS_H_
