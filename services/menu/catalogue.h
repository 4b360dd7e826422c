// The menu of a restaurant in memory: what a kiosk can offer, checked and ready to be read.
//
// A Catalogue is immutable after Create(): share it as std::shared_ptr<const Catalogue> and read it from any
// thread. Whether an item can be had right now changes all day and is kept beside it (menu_store.h);
// MenuItem::available is only what the menu file says.
#ifndef ARC_SERVICES_MENU_CATALOGUE_H_
#define ARC_SERVICES_MENU_CATALOGUE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/messages/menu.h"

namespace arc::menu {

// Ids of items that cannot be had now.
using UnavailableIds = absl::flat_hash_set<int64_t>;

// Sets of dietary properties and of allergens, one bit each.
using Bits = uint32_t;

// Every dietary property that a menu may name, in order of their bits: vegetarian, vegan, pescatarian, halal,
// kosher, gluten_free, dairy_free, egg_free, nut_free, low_carb, organic, sugar_free.
absl::Span<const absl::string_view> DietaryNames();

// The fourteen allergens that the European Union wants declared (Regulation 1169/2011, annex II), by the
// names a kiosk uses: gluten, crustaceans, egg, fish, peanuts, soy, dairy, nuts, celery, mustard, sesame,
// sulphites, lupin, molluscs.
absl::Span<const absl::string_view> AllergenNames();

// The bit of a dietary property, however it is written ("Gluten-Free", "gluten free", "veggie"). Nothing for
// an unknown name.
std::optional<Bits> DietaryBit(absl::string_view name);

// The bits of an allergen or of a usual other name for it: "milk" is dairy, "shellfish" is crustaceans and
// molluscs. Nothing for an unknown name.
std::optional<Bits> AllergenBits(absl::string_view name);

// The allergens that nothing with these dietary properties can have: vegan excludes dairy, egg and more.
Bits AllergensAgainst(Bits dietary);

// The canonical names in `bits`, in order of their bits.
std::vector<std::string> DietaryNamesOf(Bits bits);
std::vector<std::string> AllergenNamesOf(Bits bits);

// What an item satisfies: its own dietary list and all that follows from it (vegan is vegetarian, dairy_free
// and egg_free; vegetarian is pescatarian). A property that an allergen of the item contradicts is left out:
// nothing with gluten is gluten_free, whatever its list says.
Bits DietaryOf(const messages::MenuItem& item);
Bits AllergensOf(const messages::MenuItem& item);

// The union of the named dietary filters or allergens of a request. InvalidArgument naming `field` and the
// unknown name; blank names are unknown.
absl::StatusOr<Bits> ParseDietaryFilters(absl::Span<const std::string> names, absl::string_view field);
absl::StatusOr<Bits> ParseAllergens(absl::Span<const std::string> names, absl::string_view field);

class Catalogue {
 public:
  // InvalidArgument when the currency is unknown, an id stands twice, a price has more decimals than the
  // currency, or an item's category or combo part is missing. ParseMenuFile() (menu_file.h) is what explains
  // all problems of a file to the people who wrote it.
  static absl::StatusOr<std::shared_ptr<const Catalogue>> Create(messages::MenuFile menu);

  const std::string& currency() const { return menu_.currency; }  // ISO 4217, such as "USD"
  int exponent() const { return exponent_; }                      // decimals of the currency
  const std::vector<messages::MenuCategory>& categories() const { return menu_.categories; }
  const std::vector<messages::MenuItem>& items() const { return menu_.items; }  // in the order of the file
  const messages::MenuItem* Find(int64_t id) const;                             // nullptr when there is none

  // Minor units of the currency. `item` must be one of items().
  int64_t PriceOf(const messages::MenuItem& item) const;
  // How much cheaper a combo is than its parts bought one by one; 0 when it is none or saves nothing.
  int64_t SavingOf(const messages::MenuItem& combo) const;

 private:
  Catalogue() = default;

  messages::MenuFile menu_;
  int exponent_ = 2;
  absl::flat_hash_map<int64_t, size_t> by_id_;
};

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_CATALOGUE_H_
