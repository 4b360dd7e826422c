#include "services/menu/catalogue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/money/money.h"
#include "common/status/status.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

enum Dietary : Bits {
  kVegetarian = 1u << 0,
  kVegan = 1u << 1,
  kPescatarian = 1u << 2,
  kHalal = 1u << 3,
  kKosher = 1u << 4,
  kGlutenFree = 1u << 5,
  kDairyFree = 1u << 6,
  kEggFree = 1u << 7,
  kNutFree = 1u << 8,
  kLowCarb = 1u << 9,
  kOrganic = 1u << 10,
  kSugarFree = 1u << 11,
};

enum Allergen : Bits {
  kGluten = 1u << 0,
  kCrustaceans = 1u << 1,
  kEgg = 1u << 2,
  kFish = 1u << 3,
  kPeanuts = 1u << 4,
  kSoy = 1u << 5,
  kDairy = 1u << 6,
  kNuts = 1u << 7,
  kCelery = 1u << 8,
  kMustard = 1u << 9,
  kSesame = 1u << 10,
  kSulphites = 1u << 11,
  kLupin = 1u << 12,
  kMolluscs = 1u << 13,
};

constexpr std::array<absl::string_view, 12> kDietaryNames = {
    "vegetarian", "vegan",    "pescatarian", "halal",    "kosher",  "gluten_free",
    "dairy_free", "egg_free", "nut_free",    "low_carb", "organic", "sugar_free"};

constexpr std::array<absl::string_view, 14> kAllergenNames = {
    "gluten", "crustaceans", "egg",     "fish",   "peanuts",   "soy",   "dairy",
    "nuts",   "celery",      "mustard", "sesame", "sulphites", "lupin", "molluscs"};

struct OtherName {
  absl::string_view name;
  Bits bits;
};

constexpr OtherName kOtherDietaryNames[] = {
    {"veggie", kVegetarian},    {"veg", kVegetarian},        {"meatless", kVegetarian},
    {"meat_free", kVegetarian}, {"plant_based", kVegan},     {"pescetarian", kPescatarian},
    {"no_gluten", kGlutenFree}, {"glutenfree", kGlutenFree}, {"lactose_free", kDairyFree},
    {"milk_free", kDairyFree},  {"dairyfree", kDairyFree},   {"nutfree", kNutFree},
    {"nuts_free", kNutFree},    {"eggfree", kEggFree},       {"lowcarb", kLowCarb},
    {"sugarfree", kSugarFree},  {"no_sugar", kSugarFree},
};

constexpr OtherName kOtherAllergenNames[] = {
    {"cereals_containing_gluten", kGluten},
    {"wheat", kGluten},
    {"crustacean", kCrustaceans},
    {"prawns", kCrustaceans},
    {"shrimp", kCrustaceans},
    {"eggs", kEgg},
    {"peanut", kPeanuts},
    {"soya", kSoy},
    {"soybeans", kSoy},
    {"soybean", kSoy},
    {"milk", kDairy},
    {"lactose", kDairy},
    {"nut", kNuts},
    {"tree_nuts", kNuts},
    {"tree_nut", kNuts},
    {"sesame_seeds", kSesame},
    {"sulfites", kSulphites},
    {"sulphur_dioxide", kSulphites},
    {"mollusc", kMolluscs},
    {"mollusks", kMolluscs},
    {"shellfish", kCrustaceans | kMolluscs},
};

// "Gluten-Free" and "gluten free" as "gluten_free".
std::string CanonicalName(absl::string_view name) {
  return absl::StrJoin(Tokenize(name), "_");
}

template <size_t N, size_t M>
std::optional<Bits> Lookup(absl::string_view name, const std::array<absl::string_view, N>& names,
                           const OtherName (&others)[M]) {
  const std::string canonical = CanonicalName(name);
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == canonical) return Bits{1} << i;
  }
  for (const OtherName& other : others) {
    if (other.name == canonical) return other.bits;
  }
  return std::nullopt;
}

template <size_t N>
std::vector<std::string> NamesOf(Bits bits, const std::array<absl::string_view, N>& names) {
  std::vector<std::string> out;
  for (size_t i = 0; i < N; ++i) {
    if ((bits >> i) & 1) out.emplace_back(names[i]);
  }
  return out;
}

template <class F>
absl::StatusOr<Bits> ParseNames(absl::Span<const std::string> names, absl::string_view field, F lookup,
                                absl::Span<const absl::string_view> known) {
  Bits bits = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::optional<Bits> found = lookup(names[i]);
    if (!found.has_value()) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat(field, "[", i, "]: ", json::Quote(names[i]), " is unknown; known are ",
                                    absl::StrJoin(known, ", ")));
    }
    bits |= *found;
  }
  return bits;
}

}  // namespace

absl::Span<const absl::string_view> DietaryNames() {
  return kDietaryNames;
}
absl::Span<const absl::string_view> AllergenNames() {
  return kAllergenNames;
}

std::optional<Bits> DietaryBit(absl::string_view name) {
  return Lookup(name, kDietaryNames, kOtherDietaryNames);
}

std::optional<Bits> AllergenBits(absl::string_view name) {
  return Lookup(name, kAllergenNames, kOtherAllergenNames);
}

std::vector<std::string> DietaryNamesOf(Bits bits) {
  return NamesOf(bits, kDietaryNames);
}
std::vector<std::string> AllergenNamesOf(Bits bits) {
  return NamesOf(bits, kAllergenNames);
}

Bits AllergensAgainst(Bits dietary) {
  Bits against = 0;
  if (dietary & kVegetarian) against |= kFish | kCrustaceans | kMolluscs;
  if (dietary & kVegan) against |= kFish | kCrustaceans | kMolluscs | kDairy | kEgg;
  if (dietary & kGlutenFree) against |= kGluten;
  if (dietary & kDairyFree) against |= kDairy;
  if (dietary & kEggFree) against |= kEgg;
  if (dietary & kNutFree) against |= kNuts | kPeanuts;
  if (dietary & kKosher) against |= kCrustaceans | kMolluscs;
  return against;
}

Bits AllergensOf(const messages::MenuItem& item) {
  Bits bits = 0;
  for (const std::string& name : item.allergens) bits |= AllergenBits(name).value_or(0);
  return bits;
}

Bits DietaryOf(const messages::MenuItem& item) {
  Bits bits = 0;
  for (const std::string& name : item.dietary) bits |= DietaryBit(name).value_or(0);
  if (bits & kVegan) bits |= kVegetarian | kDairyFree | kEggFree;
  if (bits & kVegetarian) bits |= kPescatarian;
  const Bits allergens = AllergensOf(item);
  for (Bits bit = 1; bit <= kSugarFree; bit <<= 1) {
    if ((bits & bit) && (AllergensAgainst(bit) & allergens)) bits &= ~bit;
  }
  return bits;
}

absl::StatusOr<Bits> ParseDietaryFilters(absl::Span<const std::string> names, absl::string_view field) {
  return ParseNames(names, field, DietaryBit, DietaryNames());
}

absl::StatusOr<Bits> ParseAllergens(absl::Span<const std::string> names, absl::string_view field) {
  return ParseNames(names, field, AllergenBits, AllergenNames());
}

absl::StatusOr<std::shared_ptr<const Catalogue>> Catalogue::Create(messages::MenuFile menu) {
  const auto bad = [](const messages::MenuItem& item, absl::string_view what) {
    return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("item ", item.id, ": ", what));
  };
  std::shared_ptr<Catalogue> out(new Catalogue());
  const std::optional<int> exponent = CurrencyExponent(menu.currency);
  if (!exponent.has_value()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("currency ", json::Quote(menu.currency), " is unknown to ISO 4217"));
  }
  out->exponent_ = *exponent;
  absl::flat_hash_map<absl::string_view, int> categories;
  for (const messages::MenuCategory& category : menu.categories) ++categories[category.id];
  for (size_t i = 0; i < menu.items.size(); ++i) {
    const messages::MenuItem& item = menu.items[i];
    if (!out->by_id_.emplace(item.id, i).second) return bad(item, "this id stands twice on the menu");
    if (!categories.contains(item.category)) {
      return bad(item, absl::StrCat("category ", json::Quote(item.category), " does not exist"));
    }
    const absl::StatusOr<int64_t> price = item.price.ToMinor(out->exponent_);
    if (!price.ok()) return bad(item, absl::StrCat("price: ", price.status().message()));
    for (const messages::Customization& customization : item.customizations) {
      const absl::StatusOr<int64_t> extra = customization.price.ToMinor(out->exponent_);
      if (!extra.ok()) {
        return bad(item, absl::StrCat("customization ", json::Quote(customization.name), ": ",
                                      extra.status().message()));
      }
    }
  }
  for (const messages::MenuItem& item : menu.items) {
    for (const int64_t part : item.combo_of) {
      if (part == item.id || !out->by_id_.contains(part)) {
        return bad(item, absl::StrCat("combo_of: ", part, " is not another item of the menu"));
      }
    }
  }
  out->menu_ = std::move(menu);
  return std::shared_ptr<const Catalogue>(std::move(out));
}

const messages::MenuItem* Catalogue::Find(int64_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &menu_.items[it->second];
}

int64_t Catalogue::PriceOf(const messages::MenuItem& item) const {
  return item.price.ToMinor(exponent_).value_or(0);
}

int64_t Catalogue::SavingOf(const messages::MenuItem& combo) const {
  if (combo.combo_of.empty()) return 0;
  int64_t parts = 0;
  for (const int64_t id : combo.combo_of) {
    const messages::MenuItem* part = Find(id);
    if (part != nullptr) parts += PriceOf(*part);
  }
  return std::max<int64_t>(0, parts - PriceOf(combo));
}

}  // namespace arc::menu
