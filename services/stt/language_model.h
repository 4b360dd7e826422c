// The language model of a restaurant: what its customers are expected to say, made from its menu (design,
// section 4, row STT). Pure functions, thread-safe.
#ifndef ARC_SERVICES_STT_LANGUAGE_MODEL_H_
#define ARC_SERVICES_STT_LANGUAGE_MODEL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/menu/catalogue.h"
#include "services/stt/ngram.h"

namespace arc::stt {

// How often words are expected to follow each other in what is said at a kiosk with this menu: orders with
// quantities, sizes and customisations, changes, removals, questions, allergies, yes and no, paying. Items
// are known by their names, synonyms and the ends of their names, in singular and plural. Items that cannot
// be had count too: a customer asks for them all the same. A null `catalogue` is an empty menu.
// A vast menu would cost gigabytes and minutes: what needs more than kMostMenuWords different words in all,
// in the menu's order, is left out. `left_out`, unless null, becomes the number of such names.
inline constexpr size_t kMostMenuWords = 600;
absl::StatusOr<NgramCounts> CountPhrases(const menu::Catalogue* catalogue, size_t* left_out = nullptr);

// The names by which customers call the menu's items, spoken, each once: for engines that take hints.
std::vector<std::string> SpokenItemNames(const menu::Catalogue& catalogue);

// The plural of the last of `words`: "fish burger" is "fish burgers", "fries" stays.
std::string Plural(const std::string& words);

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_LANGUAGE_MODEL_H_
