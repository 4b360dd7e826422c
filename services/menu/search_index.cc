#include "services/menu/search_index.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

// Weight of a word by where it stands.
constexpr float kNameWeight = 8;
constexpr float kTagWeight = 7;
constexpr float kSynonymWeight = 6.5;
constexpr float kCategoryWeight = 4;
constexpr float kDescriptionWeight = 2;
constexpr float kComboPartWeight = 1.5;
// What a word is worth in every field beyond its best one: a name says more than a name repeated below it.
constexpr float kRepetition = 0.1F;

// Quality of a match by how it came about.
constexpr float kExact = 1;
constexpr float kJoined = 0.85F;
constexpr float kCompoundPart = 0.8F;
constexpr float kSynonym = 0.7F;
constexpr float kPrefix = 0.6F;
constexpr float kCorrected = 0.6F;

constexpr size_t kMaxQueryWords = 32;
constexpr size_t kMaxCompoundBytes = 40;
constexpr size_t kMaxPrefixTerms = 64;
constexpr float kPopularBoost = 1.04F;
constexpr float kWholeName = 2;  // the query is the item's name or one of its synonyms

// Words that look like compounds of two foods and are neither.
bool IsFalseCompound(absl::string_view word) {
  static const auto* const words = new absl::flat_hash_set<absl::string_view>{
      "hamburger", "hamburgers", "eggplant",  "eggplants",  "peppermint", "butternut", "doughnut",
      "doughnuts", "grapefruit", "pineapple", "pineapples", "strawberry", "gooseberry"};
  return words->contains(word);
}

uint32_t LettersOf(absl::string_view word) {
  uint32_t letters = 0;
  for (const char c : word) {
    letters |= absl::ascii_islower(static_cast<unsigned char>(c)) ? 1u << (c - 'a') : 1u << 26;
  }
  return letters;
}

// Phrase (folded, one or two words) to the other phrases of its groups.
const absl::flat_hash_map<std::string, std::vector<std::string>>& SynonymTable() {
  static const auto* const table = [] {
    auto* synonyms = new absl::flat_hash_map<std::string, std::vector<std::string>>;
    for (const std::vector<std::string>& group : SynonymGroups()) {
      for (const std::string& phrase : group) {
        for (const std::string& other : group) {
          if (other != phrase) (*synonyms)[phrase].push_back(other);
        }
      }
    }
    return synonyms;
  }();
  return *table;
}

const std::vector<std::string>* SynonymsOf(absl::string_view phrase) {
  const auto& table = SynonymTable();
  const auto it = table.find(std::string(phrase));
  return it == table.end() ? nullptr : &it->second;
}

// A diet named by one word, with a typing error at most where the menu does not know the word.
std::optional<Bits> DietNamedBy(const std::string& word, bool known) {
  if (const std::optional<Bits> bits = DietaryBit(word)) return bits;
  const std::string singular = absl::EndsWith(word, "s") ? word.substr(0, word.size() - 1) : word;
  if (const std::optional<Bits> bits = DietaryBit(singular)) return bits;
  if (known || word.size() < 5) return std::nullopt;
  for (const absl::string_view diet : {"vegetarian", "vegan", "pescatarian", "kosher", "halal", "organic"}) {
    const int limit = ErrorsAllowed(word.size());
    if (EditDistance(word, diet, limit) <= limit) return DietaryBit(diet);
  }
  return std::nullopt;
}

// Working memory of a search, kept by each thread so that a query allocates next to nothing.
struct Scratch {
  struct Entry {
    float score = 0;
    float unit_score = 0;  // what the current unit gave
    uint16_t unit = 0;     // the last unit that matched, counted from 1
    uint16_t matched = 0;
  };
  std::vector<Entry> entries;
  std::vector<uint32_t> touched;
};

Scratch& ThreadScratch() {
  static thread_local Scratch scratch;
  return scratch;
}

}  // namespace

SearchIndex::SearchIndex(std::shared_ptr<const Catalogue> catalogue) : catalogue_(std::move(catalogue)) {
  const std::vector<messages::MenuItem>& items = catalogue_->items();
  absl::flat_hash_map<std::string, std::string> category_names;
  for (const messages::MenuCategory& category : catalogue_->categories()) {
    category_names[category.id] = category.name;
  }
  for (const messages::MenuItem& item : items) {
    for (std::string& word : Tokenize(item.name)) raw_words_.insert(std::move(word));
    for (const std::string& synonym : item.synonyms) {
      for (std::string& word : Tokenize(synonym)) raw_words_.insert(std::move(word));
    }
    for (const std::string& tag : item.tags) {
      for (std::string& word : Tokenize(tag)) raw_words_.insert(std::move(word));
    }
    for (std::string& word : Tokenize(item.description)) raw_words_.insert(std::move(word));
  }
  for (const auto& [id, name] : category_names) {
    for (std::string& word : Tokenize(name)) raw_words_.insert(std::move(word));
  }

  WordForms forms;
  facts_.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const messages::MenuItem& item = items[i];
    Facts facts;
    facts.dietary = DietaryOf(item);
    facts.allergens = AllergensOf(item);
    const std::vector<std::string> name_words = Tokenize(item.name);
    facts.names.insert(absl::StrJoin(name_words, " "));
    for (const std::string& synonym : item.synonyms) {
      facts.names.insert(absl::StrJoin(Tokenize(synonym), " "));
    }
    Weights weights;
    AddField({item.name}, kNameWeight, true, forms, weights);
    AddField(item.synonyms, kSynonymWeight, true, forms, weights);
    AddField(item.tags, kTagWeight, true, forms, weights);
    AddField({category_names[item.category]}, kCategoryWeight, false, forms, weights);
    AddField({item.description}, kDescriptionWeight, false, forms, weights);
    std::vector<std::string> parts;
    for (const int64_t id : item.combo_of) {
      if (const messages::MenuItem* part = catalogue_->Find(id)) parts.push_back(part->name);
    }
    AddField(parts, kComboPartWeight, false, forms, weights);
    for (const std::string& tag : item.tags) {
      facts.tags.insert(absl::StrJoin(Tokenize(tag), " "));
    }
    // Of two equally good matches the one that says least else is meant.
    facts.boost = 1 + 0.5F / static_cast<float>(std::max<size_t>(1, name_words.size()));
    if (facts.tags.contains("popular")) facts.boost *= kPopularBoost;
    facts_.push_back(std::move(facts));
    for (const auto& [stem, weight] : weights) {
      const auto [it, inserted] = term_by_stem_.emplace(stem, static_cast<uint32_t>(terms_.size()));
      if (inserted) terms_.push_back(Term{stem, {}, 0});
      terms_[it->second].postings.push_back(Posting{static_cast<uint32_t>(i), weight});
    }
  }
  for (Term& term : terms_) {
    const auto n = static_cast<float>(term.postings.size());
    term.idf = std::log(1 + static_cast<float>(items.size()) / n);
    term.postings.shrink_to_fit();
  }

  for (const std::string& word : raw_words_) words_.push_back(Word{word, LettersOf(word)});
  for (const std::vector<std::string>& group : SynonymGroups()) {
    for (const std::string& phrase : group) {
      if (phrase.find(' ') == std::string::npos && !raw_words_.contains(phrase)) {
        words_.push_back(Word{phrase, LettersOf(phrase)});
      }
    }
  }
  std::sort(words_.begin(), words_.end(), [](const Word& a, const Word& b) { return a.text < b.text; });
}

void SearchIndex::AddField(absl::Span<const std::string> texts, float weight, bool join_all_pairs,
                           WordForms& forms, Weights& weights) {
  Weights field;
  const auto add = [&](const std::string& stem, float quality) {
    float& best = field[stem];
    best = std::max(best, weight * quality);
  };
  for (const std::string& text : texts) {
    const std::vector<std::string> words = Tokenize(text);
    for (size_t i = 0; i < words.size(); ++i) {
      const auto [it, inserted] = forms.try_emplace(words[i]);
      if (inserted) {
        it->second.push_back(Stem(words[i]));
        for (const std::string& part : SplitCompound(words[i])) it->second.push_back(Stem(part));
      }
      for (size_t form = 0; form < it->second.size(); ++form) {
        add(it->second[form], form == 0 ? kExact : kCompoundPart);
      }
      if (i + 1 < words.size() &&
          (join_all_pairs || SynonymsOf(absl::StrCat(words[i], " ", words[i + 1])) != nullptr)) {
        add(Stem(absl::StrCat(words[i], words[i + 1])), kJoined);
      }
    }
  }
  for (const auto& [stem, value] : field) {
    float& total = weights[stem];
    total = std::max(total, value) + kRepetition * std::min(total, value);
  }
}

const SearchIndex::Term* SearchIndex::FindTerm(absl::string_view stem) const {
  const auto it = term_by_stem_.find(stem);
  return it == term_by_stem_.end() ? nullptr : &terms_[it->second];
}

bool SearchIndex::IsKnown(absl::string_view word) const {
  return FindTerm(Stem(word)) != nullptr;
}

std::vector<std::string> SearchIndex::SplitCompound(const std::string& word) const {
  constexpr size_t kShortestPart = 3;
  if (word.size() < 2 * kShortestPart + 1 || word.size() > kMaxCompoundBytes || IsFalseCompound(word))
    return {};
  const auto has = [&](const std::string& part) {
    return raw_words_.contains(part) ||
           (absl::EndsWith(part, "s") && raw_words_.contains(part.substr(0, part.size() - 1)));
  };
  for (size_t at = word.size() - kShortestPart; at >= kShortestPart; --at) {
    const std::string first = word.substr(0, at);
    const std::string second = word.substr(at);
    if (!IsStopWord(first) && !IsStopWord(second) && has(first) && has(second)) return {first, second};
  }
  return {};
}

bool SearchIndex::AddTerm(absl::string_view stem, float quality, QueryUnit& unit) const {
  const auto it = term_by_stem_.find(stem);
  if (it == term_by_stem_.end()) return false;
  for (const QueryUnit::Alternative& alternative : unit.alternatives) {
    if (alternative.term == it->second) return true;
  }
  unit.alternatives.push_back({it->second, quality});
  return true;
}

void SearchIndex::AddSynonyms(absl::string_view phrase, float quality, QueryUnit& unit) const {
  const std::vector<std::string>* synonyms = SynonymsOf(phrase);
  if (synonyms == nullptr) synonyms = SynonymsOf(Stem(phrase));
  if (synonyms == nullptr) synonyms = SynonymsOf(absl::StrCat(phrase, "s"));
  if (synonyms == nullptr && absl::EndsWith(phrase, "s"))
    synonyms = SynonymsOf(phrase.substr(0, phrase.size() - 1));
  if (synonyms == nullptr) return;
  for (const std::string& synonym : *synonyms) {
    // A phrase of two words was indexed as one.
    std::string joined = synonym;
    joined.erase(std::remove(joined.begin(), joined.end(), ' '), joined.end());
    AddTerm(Stem(joined), quality * kSynonym, unit);
  }
}

void SearchIndex::AddPrefixed(absl::string_view prefix, QueryUnit& unit) const {
  if (prefix.size() < 2) return;
  auto it = std::lower_bound(words_.begin(), words_.end(), prefix,
                             [](const Word& word, absl::string_view text) { return word.text < text; });
  for (; it != words_.end() && absl::StartsWith(it->text, prefix); ++it) {
    if (unit.alternatives.size() >= kMaxPrefixTerms) return;
    const std::string stem = Stem(it->text);
    if (!AddTerm(stem, kPrefix, unit)) AddSynonyms(it->text, kPrefix, unit);
  }
}

std::string SearchIndex::AddCorrected(const std::string& word, QueryUnit& unit) const {
  // The stem too: of "burgrs" only "burgr" is near "burger".
  const std::string stem = Stem(word);
  int best = std::numeric_limits<int>::max();
  bool best_same_start = false;
  std::vector<const Word*> found;
  const int word_limit = ErrorsAllowed(word.size());
  const int stem_limit = stem == word ? 0 : ErrorsAllowed(stem.size());
  if (word_limit == 0) return "";
  const uint32_t word_letters = LettersOf(word);
  const uint32_t stem_letters = LettersOf(stem);
  for (const Word& candidate : words_) {
    int distance = std::numeric_limits<int>::max();
    const auto try_form = [&](const std::string& form, uint32_t letters, int limit) {
      // One edit changes two letters of the set at most.
      if (limit == 0 || __builtin_popcount(letters ^ candidate.letters) > 2 * limit) return;
      const int d = EditDistance(form, candidate.text, limit);
      if (d <= limit) distance = std::min(distance, d);
    };
    try_form(word, word_letters, std::min(word_limit, best));
    try_form(stem, stem_letters, std::min(stem_limit, best));
    if (distance == std::numeric_limits<int>::max()) continue;
    // People rarely miss the first letter.
    const bool same_start = candidate.text[0] == word[0];
    if (distance < best || (distance == best && same_start && !best_same_start)) {
      found.clear();
      best = distance;
      best_same_start = same_start;
    }
    if (distance == best && same_start == best_same_start) found.push_back(&candidate);
  }
  for (const Word* candidate : found) AddTerm(Stem(candidate->text), kCorrected, unit);
  for (const Word* candidate : found) AddSynonyms(candidate->text, kCorrected, unit);
  return found.empty() ? "" : found.front()->text;
}

QueryUnit SearchIndex::UnitFor(const std::string& word) const {
  QueryUnit unit;
  const bool exact = AddTerm(Stem(word), kExact, unit);
  AddSynonyms(word, kExact, unit);
  if (!exact) AddPrefixed(word, unit);
  return unit;
}

AnalyzedQuery SearchIndex::Analyze(absl::string_view text) const {
  AnalyzedQuery query;
  std::vector<std::string> words = Tokenize(text);
  query.nothing = words.empty() && !absl::StripAsciiWhitespace(text).empty();
  if (words.size() > kMaxQueryWords) words.resize(kMaxQueryWords);
  std::string previous;  // the word of the unit before, corrected
  const auto add_unit = [&](QueryUnit unit, const std::string& meant) {
    std::stable_sort(unit.alternatives.begin(), unit.alternatives.end(),
                     [](const auto& a, const auto& b) { return a.quality > b.quality; });
    query.units.push_back(std::move(unit));
    if (!previous.empty() && !meant.empty()) {
      // "cheese burger" finds whatever has both, and a "Cheeseburger" first.
      QueryUnit joined;
      joined.optional = true;
      if (AddTerm(Stem(previous + meant), kExact, joined)) query.units.push_back(std::move(joined));
    }
    previous = meant;
  };
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string* next = i + 1 < words.size() ? &words[i + 1] : nullptr;
    if (next != nullptr) {
      if (const std::optional<Bits> diet = DietaryBit(absl::StrCat(word, "_", *next))) {
        query.dietary |= *diet;
        ++i;
        continue;
      }
      if (*next == "free") {
        if (const std::optional<Bits> allergen = AllergenBits(word)) {
          query.without_allergens |= *allergen;
          ++i;
          continue;
        }
      }
      if (word == "no" || word == "without") {
        // "Without nuts" is about an allergy; "without onions" is about how to make the dish, not which.
        query.without_allergens |= AllergenBits(*next).value_or(0);
        ++i;
        continue;
      }
      const std::string phrase = absl::StrCat(word, " ", *next);
      if (SynonymsOf(phrase) != nullptr) {
        QueryUnit unit;
        AddTerm(Stem(absl::StrCat(word, *next)), kExact, unit);
        AddSynonyms(phrase, kExact, unit);
        if (!unit.alternatives.empty()) {
          add_unit(std::move(unit), "");
          ++i;
          continue;
        }
      }
    }
    if (IsStopWord(word)) continue;
    const bool known = IsKnown(word);
    if (const std::optional<Bits> diet = DietNamedBy(word, known)) {
      query.dietary |= *diet;
      QueryUnit unit = UnitFor(word);
      unit.optional = true;
      if (!unit.alternatives.empty()) add_unit(std::move(unit), "");
      continue;
    }
    if (next != nullptr && (!known || !IsKnown(*next)) && IsKnown(absl::StrCat(word, *next))) {
      QueryUnit unit;
      AddTerm(Stem(absl::StrCat(word, *next)), kJoined, unit);
      add_unit(std::move(unit), "");
      ++i;
      continue;
    }
    QueryUnit unit = UnitFor(word);
    std::string meant = word;
    if (unit.alternatives.empty()) {
      const std::vector<std::string> parts = SplitCompound(word);
      if (!parts.empty()) {
        for (const std::string& part : parts) add_unit(UnitFor(part), part);
        continue;
      }
      meant = AddCorrected(word, unit);
    }
    add_unit(std::move(unit), meant);
  }
  return query;
}

absl::StatusOr<SearchResult> SearchIndex::Search(const SearchQuery& query,
                                                 const UnavailableIds& unavailable) const {
  Bits dietary = 0;
  Bits excluded = 0;
  ASSIGN_OR_RETURN(dietary, ParseDietaryFilters(query.dietary_filters, "payload.dietary_filters"));
  ASSIGN_OR_RETURN(excluded, ParseAllergens(query.exclude_allergens, "payload.exclude_allergens"));
  std::vector<std::string> tags;
  for (const std::string& tag : query.tags) tags.push_back(absl::StrJoin(Tokenize(tag), " "));

  const AnalyzedQuery analyzed = Analyze(query.text);
  SearchResult result;
  if (analyzed.nothing) return result;
  dietary |= analyzed.dietary;
  excluded |= analyzed.without_allergens;

  const std::vector<messages::MenuItem>& items = catalogue_->items();
  const auto passes = [&](uint32_t item) {
    const Facts& facts = facts_[item];
    if ((facts.dietary & dietary) != dietary || (facts.allergens & excluded) != 0) return false;
    for (const std::string& tag : tags) {
      if (!facts.tags.contains(tag)) return false;
    }
    return unavailable.empty() || !unavailable.contains(items[item].id);
  };
  const auto limit = static_cast<size_t>(std::max<int64_t>(0, query.limit));

  int required = 0;
  for (const QueryUnit& unit : analyzed.units) required += unit.optional ? 0 : 1;

  Scratch& scratch = ThreadScratch();
  if (scratch.entries.size() < items.size()) scratch.entries.resize(items.size());
  scratch.touched.clear();
  uint16_t number = 0;
  for (const QueryUnit& unit : analyzed.units) {
    ++number;
    if (unit.alternatives.empty()) continue;
    // All alternatives are as telling as the best one: a rare synonym must not outrank the word itself.
    const float idf = terms_[unit.alternatives.front().term].idf;
    for (const QueryUnit::Alternative& alternative : unit.alternatives) {
      const float factor = idf * alternative.quality;
      for (const Posting& posting : terms_[alternative.term].postings) {
        Scratch::Entry& entry = scratch.entries[posting.item];
        const float score = factor * posting.weight;
        if (entry.unit != number) {
          if (entry.unit == 0) scratch.touched.push_back(posting.item);
          entry.unit = number;
          entry.unit_score = score;
          entry.score += score;
          if (!unit.optional) ++entry.matched;
        } else if (score > entry.unit_score) {
          entry.score += score - entry.unit_score;
          entry.unit_score = score;
        }
      }
    }
  }

  struct Candidate {
    float score;
    uint32_t item;
  };
  std::vector<Candidate> candidates;
  if (required == 0) {
    for (uint32_t item = 0; item < items.size(); ++item) {
      if (passes(item)) candidates.push_back({scratch.entries[item].score, item});
    }
  } else {
    int best = 1;
    for (const uint32_t item : scratch.touched) {
      const Scratch::Entry& entry = scratch.entries[item];
      if (entry.matched < best || !passes(item)) continue;
      if (entry.matched > best) {
        best = entry.matched;
        candidates.clear();
      }
      candidates.push_back({entry.score * facts_[item].boost, item});
    }
    const std::string name = absl::StrJoin(Tokenize(query.text), " ");
    for (Candidate& candidate : candidates) {
      if (facts_[candidate.item].names.contains(name)) candidate.score *= kWholeName;
    }
  }
  for (const uint32_t item : scratch.touched) scratch.entries[item] = {};

  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  };
  const size_t wanted = std::min(limit, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(wanted),
                    candidates.end(), better);
  result.total_matches = static_cast<int64_t>(candidates.size());
  result.items.reserve(wanted);
  for (size_t i = 0; i < wanted; ++i) result.items.push_back(&items[candidates[i].item]);
  return result;
}

std::vector<std::vector<std::pair<uint32_t, float>>> SearchIndex::ItemTerms() const {
  std::vector<std::vector<std::pair<uint32_t, float>>> out(facts_.size());
  for (uint32_t term = 0; term < terms_.size(); ++term) {
    for (const Posting& posting : terms_[term].postings) out[posting.item].emplace_back(term, posting.weight);
  }
  return out;
}

}  // namespace arc::menu
