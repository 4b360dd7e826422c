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
#include "services/menu/refusals.h"
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
constexpr float kForm = 0.95F;  // "hotter" for "hot"
constexpr float kKind = 0.3F;   // "tea" for "drink"; less than a category for a name
// What is left of the score of an item that has a refused word in its description.
constexpr float kRefused = 0.8F;

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
    uint8_t matched = 0;
    uint8_t refused = 0;  // it has a refused word: 2 in its name, tags or category, 1 elsewhere
  };
  std::vector<Entry> entries;
  std::vector<uint32_t> touched;
  std::vector<uint32_t> refused;
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
    Mentions mentions;
    AddField({item.name}, {kNameWeight, true, true}, forms, mentions);
    AddField(item.synonyms, {kSynonymWeight, true, false}, forms, mentions);
    AddField(item.tags, {kTagWeight, true, true}, forms, mentions);
    AddField({category_names[item.category]}, {kCategoryWeight, false, true}, forms, mentions);
    AddField({item.description}, {kDescriptionWeight, false, false}, forms, mentions);
    std::vector<std::string> parts;
    for (const int64_t id : item.combo_of) {
      const messages::MenuItem* part = catalogue_->Find(id);
      if (part == nullptr) continue;
      parts.push_back(part->name);
      // Nobody is given in a combo what they refuse alone.
      facts.dietary &= DietaryOf(*part);
      facts.allergens |= AllergensOf(*part);
    }
    AddField(parts, {kComboPartWeight, false, false}, forms, mentions);
    for (const std::string& tag : item.tags) {
      facts.tags.insert(absl::StrJoin(Tokenize(tag), " "));
    }
    // Of two equally good matches the one that says least else is meant.
    facts.boost = 1 + 0.5F / static_cast<float>(std::max<size_t>(1, name_words.size()));
    if (facts.tags.contains("popular")) facts.boost *= kPopularBoost;
    for (const std::string& name : facts.names) {
      const std::vector<std::string> words = Tokenize(name);
      if (TakeRefusals(words, [](const std::string&) { return true; }).wanted != words) {
        refusing_names_.insert(name);
      }
    }
    facts_.push_back(std::move(facts));
    for (const auto& [stem, mention] : mentions) {
      const auto [it, inserted] = term_by_stem_.emplace(stem, static_cast<uint32_t>(terms_.size()));
      if (inserted) terms_.push_back(Term{stem, {}, 0});
      terms_[it->second].postings.push_back(
          Posting{static_cast<uint32_t>(i), mention.has, mention.named, mention.weight});
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

void SearchIndex::AddField(absl::Span<const std::string> texts, const Field& field, WordForms& forms,
                           Mentions& mentions) {
  Mentions found;
  const auto add = [&](const std::string& stem, float quality, bool has) {
    Mention& mention = found[stem];
    mention.weight = std::max(mention.weight, field.weight * quality);
    mention.has = mention.has || has;
  };
  for (const std::string& text : texts) {
    const std::vector<std::string> words = Tokenize(text);
    for (size_t i = 0; i < words.size(); ++i) {
      // "No bun", "sugar-free": the item has none.
      const bool has = !(i > 0 && (words[i - 1] == "no" || words[i - 1] == "without")) &&
                       !(i + 1 < words.size() && words[i + 1] == "free");
      const auto [it, inserted] = forms.try_emplace(words[i]);
      if (inserted) {
        it->second.push_back(Stem(words[i]));
        for (const std::string& part : SplitCompound(words[i])) it->second.push_back(Stem(part));
      }
      for (size_t form = 0; form < it->second.size(); ++form) {
        add(it->second[form], form == 0 ? kExact : kCompoundPart, has);
      }
      if (i + 1 < words.size() && (field.join_all_pairs || IsPhrase(words[i], words[i + 1]))) {
        add(Stem(absl::StrCat(words[i], words[i + 1])), kJoined, has);
      }
    }
  }
  for (const auto& [stem, mention] : found) {
    Mention& total = mentions[stem];
    total.weight =
        std::max(total.weight, mention.weight) + kRepetition * std::min(total.weight, mention.weight);
    total.has = total.has || mention.has;
    total.named = total.named || (field.names && mention.has);
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
  if (word.size() < 2 * kShortestPart + 1 || word.size() > kMaxCompoundBytes || IsFalseCompound(word) ||
      absl::EndsWith(word, "less")) {
    return {};
  }
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
  if (synonyms == nullptr) return;
  for (const std::string& synonym : *synonyms) {
    // A phrase of two words was indexed as one.
    std::string joined = synonym;
    joined.erase(std::remove(joined.begin(), joined.end(), ' '), joined.end());
    AddTerm(Stem(joined), quality * kSynonym, unit);
  }
}

void SearchIndex::AddKinds(absl::string_view word, QueryUnit& unit) const {
  const std::vector<std::string>* kinds = KindsOf(word);
  if (kinds == nullptr) return;
  for (const std::string& stem : *kinds) {
    const size_t before = unit.alternatives.size();
    AddTerm(stem, kKind, unit);
    if (unit.alternatives.size() > before) unit.alternatives.back().a_kind = true;
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
  // The stem too: of "burgrs" only "burgr" is near "burger". And the singular: "chery" of "cheries".
  const std::string stem = Stem(word);
  const std::string singular = Singular(word);
  int best = std::numeric_limits<int>::max();
  bool best_same_start = false;
  std::vector<const Word*> found;
  const int word_limit = ErrorsAllowed(word.size());
  const int stem_limit = stem == word ? 0 : ErrorsAllowed(stem.size());
  const int singular_limit = singular == word || singular == stem ? 0 : ErrorsAllowed(singular.size());
  const uint32_t word_letters = LettersOf(word);
  const uint32_t stem_letters = LettersOf(stem);
  const uint32_t singular_letters = LettersOf(singular);
  for (const Word& candidate : words_) {
    if (word_limit == 0) break;
    int distance = std::numeric_limits<int>::max();
    const auto try_form = [&](const std::string& form, uint32_t letters, int limit) {
      // One edit changes two letters of the set at most.
      if (limit == 0 || __builtin_popcount(letters ^ candidate.letters) > 2 * limit) return;
      const int d = EditDistance(form, candidate.text, limit);
      if (d <= limit) distance = std::min(distance, d);
    };
    try_form(word, word_letters, std::min(word_limit, best));
    try_form(stem, stem_letters, std::min(stem_limit, best));
    try_form(singular, singular_letters, std::min(singular_limit, best));
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
  if (found.empty()) found = WordsThatSoundLike(word);
  for (const Word* candidate : found) AddTerm(Stem(candidate->text), kCorrected, unit);
  for (const Word* candidate : found) AddSynonyms(candidate->text, kCorrected, unit);
  return found.empty() ? "" : found.front()->text;
}

std::vector<const SearchIndex::Word*> SearchIndex::WordsThatSoundLike(const std::string& word) const {
  std::vector<const Word*> found;
  const std::string consonants = ConsonantsOf(word);
  // The more consonants agree, the less the vowels have to. A short word must be as long: "tee", "tea".
  int limit = 1;
  if (word.size() != 3) {
    if (consonants.size() < 3) return found;
    limit = ErrorsAllowed(word.size()) + (consonants.size() > 3 ? 2 : 1);
  }
  int best = limit + 1;
  for (const Word& candidate : words_) {
    if ((word.size() == 3 && candidate.text.size() != 3) || IsStopWord(candidate.text)) continue;
    if (ConsonantsOf(candidate.text.substr(0, 1)) != ConsonantsOf(word.substr(0, 1))) continue;
    if (ConsonantsOf(candidate.text) != consonants) continue;
    const int distance = EditDistance(word, candidate.text, limit);
    if (distance > limit || distance > best) continue;
    if (distance < best) found.clear();
    best = distance;
    found.push_back(&candidate);
  }
  return found;
}

bool SearchIndex::AddWord(const std::string& word, QueryUnit& unit) const {
  if (AddTerm(Stem(word), kExact, unit)) return true;
  for (const std::string& form : BaseForms(word)) {
    if (AddTerm(Stem(form), kForm, unit)) return true;
  }
  return false;
}

QueryUnit SearchIndex::UnitFor(const std::string& word) const {
  QueryUnit unit;
  const bool known = AddWord(word, unit);
  AddSynonyms(word, kExact, unit);
  AddKinds(word, unit);
  if (!known) AddPrefixed(word, unit);
  return unit;
}

QueryUnit SearchIndex::RefusedUnitFor(const std::string& phrase) const {
  QueryUnit unit;
  std::string word = phrase;
  word.erase(std::remove(word.begin(), word.end(), ' '), word.end());
  // Who wants no cola may well want another soda: synonyms are for words that the menu does not have.
  const bool known = AddWord(word, unit);
  AddKinds(word, unit);
  if (!known) AddSynonyms(phrase, kExact, unit);
  if (unit.alternatives.empty()) AddCorrected(word, unit);
  return unit;
}

AnalyzedQuery SearchIndex::Analyze(absl::string_view text) const {
  AnalyzedQuery query;
  std::vector<std::string> words = Tokenize(text);
  query.nothing = words.empty() && !absl::StripAsciiWhitespace(text).empty();
  if (words.size() > kMaxQueryWords) words.resize(kMaxQueryWords);
  Refusals refusals = TakeRefusals(words, [&](const std::string& word) { return IsKnown(word); });
  if (refusing_names_.contains(absl::StrJoin(words, " "))) {
    // A "Not Dog" is asked for by its name. Allergens are left out all the same.
    refusals.refused.clear();
    refusals.not_dietary = 0;
  } else {
    words = std::move(refusals.wanted);
  }
  query.dietary = refusals.dietary;
  query.not_dietary = refusals.not_dietary;
  query.without_allergens = refusals.allergens;
  for (const std::string& phrase : refusals.refused) {
    QueryUnit refused = RefusedUnitFor(phrase);
    if (!refused.alternatives.empty()) query.refused.push_back(std::move(refused));
    // "Without bun" wants what is called "no bun" or "bunless".
    QueryUnit called;
    called.optional = true;
    AddTerm(Stem(absl::StrCat("no", phrase)), kExact, called);
    AddTerm(Stem(absl::StrCat(phrase, "less")), kExact, called);
    if (!called.alternatives.empty()) query.units.push_back(std::move(called));
  }
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
    if ((facts.dietary & analyzed.not_dietary) != 0) return false;
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
  scratch.refused.clear();
  for (const QueryUnit& unit : analyzed.refused) {
    for (const QueryUnit::Alternative& alternative : unit.alternatives) {
      for (const Posting& posting : terms_[alternative.term].postings) {
        if (!posting.has) continue;
        Scratch::Entry& entry = scratch.entries[posting.item];
        if (entry.refused == 0) scratch.refused.push_back(posting.item);
        entry.refused = std::max<uint8_t>(entry.refused, posting.named ? 2 : 1);
      }
    }
  }
  uint16_t number = 0;
  for (const QueryUnit& unit : analyzed.units) {
    ++number;
    if (unit.alternatives.empty()) continue;
    // All alternatives are as telling as the best one: a rare synonym must not outrank the word itself.
    const float idf = terms_[unit.alternatives.front().term].idf;
    for (const QueryUnit::Alternative& alternative : unit.alternatives) {
      const float factor = idf * alternative.quality;
      for (const Posting& posting : terms_[alternative.term].postings) {
        if (alternative.a_kind && posting.weight < kCategoryWeight) continue;
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
  const auto collect = [&](int most_refused) {
    if (required == 0) {
      for (uint32_t item = 0; item < items.size(); ++item) {
        const Scratch::Entry& entry = scratch.entries[item];
        if (entry.refused > most_refused || !passes(item)) continue;
        candidates.push_back({entry.refused == 0 ? entry.score : entry.score - 1, item});
      }
      return;
    }
    int best = 1;
    for (const uint32_t item : scratch.touched) {
      const Scratch::Entry& entry = scratch.entries[item];
      if (entry.matched < best || entry.refused > most_refused || !passes(item)) continue;
      if (entry.matched > best) {
        best = entry.matched;
        candidates.clear();
      }
      const float score = entry.score * facts_[item].boost;
      candidates.push_back({entry.refused == 0 ? score : score * kRefused, item});
    }
  };
  collect(1);
  // "Cheeseburger without cheese": better what can be made so than nothing.
  if (candidates.empty() && required > 0 && !scratch.refused.empty()) collect(2);
  if (required > 0) {
    const std::string name = absl::StrJoin(Tokenize(query.text), " ");
    for (Candidate& candidate : candidates) {
      if (facts_[candidate.item].names.contains(name)) candidate.score *= kWholeName;
    }
  }
  for (const uint32_t item : scratch.touched) scratch.entries[item] = {};
  for (const uint32_t item : scratch.refused) scratch.entries[item] = {};

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
