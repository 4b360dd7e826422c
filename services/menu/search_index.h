// Free-text search over a menu, with hard filters (kiosk specification, section 7.1).
//
// An inverted index in memory: postings of stems with a weight by field (name, synonyms, tags, category,
// description). It is immutable after Build(), so any number of threads search one index without a lock, and
// a new menu is a new index swapped in. README.md has the measurement against Xapian and SQLite FTS5.
//
// What a query finds:
//   * Each word is looked up as itself and its stem, then by the menu's synonyms, as a compound ("cheese
//     burger", "cheeseburger"), as the beginning of a word, and last with typing errors.
//   * Items that match every word; when there are none, those that match as many words as any item does.
//     A word that says nothing about food is ignored.
//   * A word that names a diet ("vegetarian burger", "gluten free", "without nuts") is a filter, not a hint:
//     whoever says vegan gets nothing that is not.
//   * A word that is refused ("not spicy", "burger without cheese") attracts nothing. Items that have it in
//     their name, tags or category are left out unless nothing else is found; those that have it elsewhere
//     come later ("without onions" is about how to make the dish, not which).
//   * No words: everything that passes the filters, in the order of the menu.
#ifndef ARC_SERVICES_MENU_SEARCH_INDEX_H_
#define ARC_SERVICES_MENU_SEARCH_INDEX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/menu/catalogue.h"

namespace arc::menu {

struct SearchQuery {
  std::string text;
  std::vector<std::string> tags;               // an item must have every one
  std::vector<std::string> dietary_filters;    // an item must satisfy every one
  std::vector<std::string> exclude_allergens;  // an item must have none
  int64_t limit = 10;                          // how many items are wanted, at least 1
};

struct SearchResult {
  std::vector<const messages::MenuItem*> items;  // best first; they live as long as the index
  int64_t total_matches = 0;                     // without the limit
};

// One word of a query after analysis: any of its alternatives will do.
struct QueryUnit {
  struct Alternative {
    uint32_t term;
    float quality;        // 1 for the word itself, less for a synonym or a corrected word
    bool a_kind = false;  // counts only where an item is called so: a coffee is a drink, a coffee cake is not
  };
  std::vector<Alternative> alternatives;  // best first; empty when the menu knows nothing like it
  bool optional = false;                  // adds to the rank, but need not match
};

struct AnalyzedQuery {
  std::vector<QueryUnit> units;
  std::vector<QueryUnit> refused;
  Bits dietary = 0;            // wanted by name in the text
  Bits not_dietary = 0;        // refused by name in the text
  Bits without_allergens = 0;  // likewise
  bool nothing = false;        // the text is not blank but holds no word at all
};

class SearchIndex {
 public:
  explicit SearchIndex(std::shared_ptr<const Catalogue> catalogue);
  SearchIndex(const SearchIndex&) = delete;
  SearchIndex& operator=(const SearchIndex&) = delete;

  // InvalidArgument, naming the field, for an unknown dietary filter or allergen. No match is an empty
  // result.
  absl::StatusOr<SearchResult> Search(const SearchQuery& query, const UnavailableIds& unavailable) const;

  const Catalogue& catalogue() const { return *catalogue_; }

  // The first half of Search(), and what it works on: for measuring other engines with the same analysis.
  AnalyzedQuery Analyze(absl::string_view text) const;
  absl::string_view TermText(uint32_t term) const { return terms_[term].text; }
  // For each item, in the order of the catalogue, its terms and their weights.
  std::vector<std::vector<std::pair<uint32_t, float>>> ItemTerms() const;

 private:
  struct Posting {
    uint32_t item : 30;
    uint32_t has : 1;    // the item is said to have it: not only "no bun" or "bun free"
    uint32_t named : 1;  // so in the name, a tag or the category
    float weight;
  };
  struct Term {
    std::string text;  // the stem
    std::vector<Posting> postings;
    float idf = 0;  // inverse document frequency
  };
  struct Word {
    std::string text;  // folded, as written on the menu or in a synonym group
    uint32_t letters;  // which letters occur, one bit each
  };
  struct Facts {  // of an item
    Bits dietary = 0;
    Bits allergens = 0;
    float boost = 1;
    // Folded words with a space between.
    absl::flat_hash_set<std::string> names;  // the name and the synonyms
    absl::flat_hash_set<std::string> tags;
  };
  struct Mention {
    float weight = 0;
    bool has = false;
    bool named = false;
  };
  // The terms of one item while the index is built.
  using Mentions = absl::flat_hash_map<std::string, Mention>;
  // A word's stem, then those of its parts; words repeat all over a menu.
  using WordForms = absl::flat_hash_map<std::string, std::vector<std::string>>;

  struct Field {
    float weight;
    bool join_all_pairs;  // index every two words in a row as one too
    bool names;           // says what the item is
  };
  // Each word of the field's texts counts once.
  void AddField(absl::Span<const std::string> texts, const Field& field, WordForms& forms,
                Mentions& mentions);
  const Term* FindTerm(absl::string_view stem) const;
  // Adds the term of `stem` to `unit` unless it is there; whether the menu has it.
  bool AddTerm(absl::string_view stem, float quality, QueryUnit& unit) const;
  void AddSynonyms(absl::string_view phrase, float quality, QueryUnit& unit) const;
  void AddKinds(absl::string_view word, QueryUnit& unit) const;
  void AddPrefixed(absl::string_view prefix, QueryUnit& unit) const;
  // The corrected word that is meant most likely, or nothing.
  std::string AddCorrected(const std::string& word, QueryUnit& unit) const;
  // The nearest of those with the same consonants.
  std::vector<const Word*> WordsThatSoundLike(const std::string& word) const;
  // The parts of a word that the menu writes apart ("chickenburger"), or nothing.
  std::vector<std::string> SplitCompound(const std::string& word) const;
  bool IsKnown(absl::string_view word) const;
  // The word itself, or what it is a form of; whether the menu has it.
  bool AddWord(const std::string& word, QueryUnit& unit) const;
  QueryUnit UnitFor(const std::string& word) const;
  // What `word`, or a phrase of two, refuses.
  QueryUnit RefusedUnitFor(const std::string& phrase) const;

  std::shared_ptr<const Catalogue> catalogue_;
  std::vector<Facts> facts_;  // in the order of the catalogue, as are the item numbers of postings
  std::vector<Term> terms_;
  absl::flat_hash_map<std::string, uint32_t> term_by_stem_;
  absl::flat_hash_set<std::string> raw_words_;       // every word of the menu, for compounds
  absl::flat_hash_set<std::string> refusing_names_;  // names and synonyms such as "no bun burger"
  std::vector<Word> words_;                          // sorted by text
};

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_SEARCH_INDEX_H_
