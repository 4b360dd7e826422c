// Reading a restaurant's menu file (design, section 6) and saying everything that is wrong with it.
// Pure functions, thread-safe.
#ifndef ARC_SERVICES_MENU_MENU_FILE_H_
#define ARC_SERVICES_MENU_MENU_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/messages/menu.h"

namespace arc::menu {

// Something wrong in the file, or odd.
struct MenuProblem {
  std::string path;     // such as "items[3].price"; empty for the file as a whole
  int line = 0;         // from 1; where that value begins
  std::string message;  // such as "must not be negative"

  // "line 17: items[3].price: must not be negative"
  std::string ToString() const;
};

// Everything that keeps `text` from being a menu, in the order of the file; empty when it is one. Then, and
// only then, `*menu` is set: dietary properties and allergens by their canonical names, names trimmed of
// surrounding spaces.
//
// `*warnings` is set for a menu only: what is allowed and yet looks like a mistake, in the order of the file.
// A combo that costs more than its parts together, or that names fewer allergens than they do; two items of
// one name in a category. A part that stands twice in a combo is two of it.
//
// Beyond types, lengths and required fields a menu needs: a currency of ISO 4217 and prices with no more
// decimals than it has; ids that stand once; categories that exist; known allergens and dietary properties
// that do not contradict each other (nothing vegan has dairy); combos of other items that are no combos. A
// field that is a misspelling of a known one ("alergens") is a problem, other unknown fields are ignored.
std::vector<MenuProblem> CheckMenuFile(absl::string_view text, messages::MenuFile* menu,
                                       std::vector<MenuProblem>* warnings = nullptr);

// The menu in `text`, or InvalidArgument with all problems, one a line.
absl::StatusOr<messages::MenuFile> ParseMenuFile(absl::string_view text);

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_MENU_FILE_H_
