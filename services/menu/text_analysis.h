// How the words of a menu and the words of a guest are made comparable: folding, splitting, stemming, typing
// errors and synonyms. English first; words of other languages pass through folded and unstemmed enough to
// match themselves. Pure functions without shared state.
#ifndef ARC_SERVICES_MENU_TEXT_ANALYSIS_H_
#define ARC_SERVICES_MENU_TEXT_ANALYSIS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace arc::menu {

// `text` in lower case without diacritics: "Jalapeño" and "JALAPENO" are both "jalapeno". Invalid UTF-8 bytes
// become spaces.
std::string Fold(absl::string_view text);

// The words of `text`, folded. Everything that is no letter or digit separates words, except an apostrophe
// within one ("kid's" is "kids").
std::vector<std::string> Tokenize(absl::string_view text);

// The stem of a folded word: plurals, -ed, -ing, -ier, -iest, -y and -e are taken off, so that "fry" and
// "fries" meet, and "spicy", "spicier", "spice" and "spiced" too; "fried" is left apart from "fries", which
// are another dish. A stem is for comparing with other stems, never for showing.
std::string Stem(absl::string_view word);

// A folded word without its plural ending: "cherries" is "cherry".
std::string Singular(absl::string_view word);

// What a folded word in -er or -est may be a form of: "hottest" of "hot". Many such words are none
// ("burger"), so only a word that the menu does not know should be looked up so.
std::vector<std::string> BaseForms(absl::string_view word);

// A folded word as it sounds, roughly: its consonants, doubled ones once, c, k and q alike. "Chikn" and
// "chicken" are the same.
std::string ConsonantsOf(absl::string_view word);

// Whether a folded word says nothing about food ("i", "want", "please").
bool IsStopWord(absl::string_view word);

// Edits (insert, delete, replace, swap two neighbours) from `a` to `b` when there are at most `limit`,
// otherwise `limit` + 1. Bytes are compared, which suits folded words.
int EditDistance(absl::string_view a, absl::string_view b, int limit);

// How many typing errors a word of this many letters may have: a short word with an error is another word.
int ErrorsAllowed(size_t letters);

// Words that mean the same on a menu. Each group is folded; an entry of two words stands for them in a row.
absl::Span<const std::vector<std::string>> SynonymGroups();

// The others of the groups of a word, or of a phrase of two with a space between; any form of the words will
// do ("soft drinks"). nullptr when there is none.
const std::vector<std::string>* SynonymsOf(absl::string_view phrase);

// Kinds of what a word names, as stems, a phrase as one word: of "drink" those of "coffee" and "tea". nullptr
// when none are known.
const std::vector<std::string>* KindsOf(absl::string_view word);

// Whether two words in a row are a phrase of the synonyms or kinds, such as "ice cream".
bool IsPhrase(absl::string_view first, absl::string_view second);

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_TEXT_ANALYSIS_H_
