// The menu as words: finds the dishes, categories and customisations that a customer's sentence mentions,
// with plurals, synonyms, parts of names and errors of recognition. Made from answers of the menu agent.
//
// A Lexicon is immutable: share it between threads.
#ifndef ARC_SERVICES_BRAIN_LEXICON_H_
#define ARC_SERVICES_BRAIN_LEXICON_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "common/messages/menu.h"
#include "services/brain/language.h"

namespace arc::brain {

// What somebody said about a dish, before it is known which of its customisations that is.
enum class Polarity { kWith, kWithout, kExtra, kPlain };
inline absl::Span<const absl::string_view> EnumNames(Polarity) {
  static constexpr std::array<absl::string_view, 4> kNames = {"with", "without", "extra", "plain"};
  return kNames;
}

struct Wish {
  Polarity polarity = Polarity::kPlain;
  std::string text;  // "onions", "large", "dressing on the side"; folded

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("polarity", s.polarity);
    v.Required("text", s.text, json::Range(0, 200));
  }
  friend bool operator==(const Wish& a, const Wish& b) {
    return a.polarity == b.polarity && a.text == b.text;
  }
};

struct Dish {
  messages::MenuItem item;  // without details: what kiosk.agent.menu.list says of it
  bool detailed = false;    // synonyms, customisations, allergens and combo_of are known
};

// Words that mean dishes.
struct Mention {
  size_t begin = 0;  // of the sentence's words, [begin, end)
  size_t end = 0;
  std::vector<int64_t> dishes;  // what they mean: one, or several that must be asked about; in menu order
  std::vector<int64_t> wide;    // all that they could mean, for pointing at what is in the cart
  std::string category;         // the words name a category, such as "drinks"
  bool whole = false;           // a whole name or synonym, not a part of one
  bool head = false;            // the last word of a name at least; without it the words only describe dishes
  bool describes = false;       // in front of another dish's name they describe that: "chocolate", "cheese"
  bool doubtful = false;  // a word that dishes are made of, or one that is hardly theirs: to be asked about
  double quality = 1;     // 1: as written on the menu; less with errors
};

struct CategoryMention {
  std::string id;
  std::string name;
  size_t length = 0;  // words
};

class Lexicon {
 public:
  Lexicon(std::string currency, std::vector<messages::MenuCategory> categories, std::vector<Dish> dishes);

  const std::string& currency() const { return currency_; }
  int exponent() const { return exponent_; }
  const std::vector<messages::MenuCategory>& categories() const { return categories_; }
  const std::vector<Dish>& dishes() const { return dishes_; }
  const Dish* Find(int64_t id) const;
  std::string NameOf(int64_t id) const;  // empty when there is none

  // The longest mention that begins at words[at]. A single word that names an ingredient ("falafel") counts
  // only where a dish is expected: `expected`.
  std::optional<Mention> Match(const Words& words, size_t at, bool expected) const;
  std::optional<CategoryMention> MatchCategory(const Words& words, size_t at) const;

  // Whether customisations are called by the word.
  bool IsPartOfDishes(absl::string_view word) const;

  // How many words from `at` on name something that some dish can be had without (`without`), or with; 0:
  // none.
  size_t CustomisationLength(const Words& words, size_t at, bool without) const;
  // Of those that one of `ids` has, by the whole of its name.
  size_t CustomisationLengthOf(const std::vector<int64_t>& ids, const Words& words, size_t at) const;

  // Dishes among `ids` that the words describe best: by name, else by synonym, tag, description. Empty
  // when no word says anything of any.
  std::vector<int64_t> Narrow(const std::vector<int64_t>& ids, const Words& words) const;

 private:
  struct Phrase {
    size_t dish;
    std::vector<uint32_t> words;
    bool name;  // its name, not a synonym
  };
  struct Entry {
    std::string stem;
    std::vector<std::string> words;  // as the menu writes it
    std::vector<std::string> sounds;
    std::vector<std::pair<uint32_t, uint32_t>> places;  // phrase, position
  };
  struct Alternative {
    uint32_t entry;
    double quality;
  };
  struct Partial;
  struct Found;

  void AddPhrase(size_t dish, absl::string_view text, bool name);
  uint32_t EntryOf(absl::string_view word);
  std::vector<Alternative> AlternativesOf(absl::string_view word) const;
  void Extend(const Words& words, size_t at, size_t taken, int units, const std::vector<Partial>& partials,
              bool expected, Found& best) const;
  void Judge(const Words& words, size_t at, size_t taken, int units, const std::vector<Partial>& partials,
             bool expected, Found& best) const;
  bool DishWithin(const Words& words, size_t begin, size_t end) const;
  Mention Conclude(const Words& words, const Found& found) const;
  void KeepBase(std::vector<size_t>& dishes, const Found& found) const;

  std::string currency_;
  int exponent_ = 2;
  std::vector<messages::MenuCategory> categories_;
  std::vector<std::pair<size_t, Words>> category_phrases_;  // category, stems
  std::vector<Dish> dishes_;
  absl::flat_hash_map<int64_t, size_t> by_id_;
  std::vector<Phrase> phrases_;
  std::vector<Entry> entries_;
  absl::flat_hash_map<std::string, uint32_t> entry_of_;
  std::vector<Words> cores_[2];  // stems of what can be had, and of what can be left out; each once
  absl::flat_hash_set<std::string> core_words_;
  absl::flat_hash_set<std::string> addable_words_;    // of what dishes can be had with
  absl::flat_hash_set<std::string> modifying_words_;  // in front of the last word of a name
};

// Whether two words mean the same on a menu: stems, synonyms ("mayo"), sound, small errors.
bool Alike(absl::string_view a, absl::string_view b);

// The customisation of `item` that `wish` means, by its exact name; empty when there is none, or when several
// are meant equally.
std::string MatchCustomisation(const messages::MenuItem& item, const Wish& wish);

// "Swap Fries for Fruit": the customisation that gives `wanted` in place of `unwanted`; empty when none does.
std::string MatchSwap(const messages::MenuItem& item, absl::string_view wanted, absl::string_view unwanted);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_LEXICON_H_
