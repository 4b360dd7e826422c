#include "services/brain/lexicon.h"

#include <algorithm>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/money/money.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {
namespace {

constexpr size_t kMaxPhraseWords = 8;
constexpr size_t kMaxCoreWords = 5;

// Words of a name that leave it the plain one of its kind: "cola" is the Iced Cola, "fries" are the Classic
// Fries.
bool IsPlainAdjective(absl::string_view stem) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "classic", "iced", "fresh", "original", "regular", "plain", "simpl", "standard", "house"};
  return known_words->contains(stem);
}

bool IsComboWord(absl::string_view word) {
  return word == "combo" || word == "combos" || word == "meal" || word == "meals" || word == "box" ||
         word == "deal" || word == "menu";
}

// Words of other words' meaning, beyond stems. What the menu itself writes is meant literally, but for these
// few: people do not tell them apart.
bool AreForms(absl::string_view a, absl::string_view b) {
  const auto either = [&](absl::string_view x, absl::string_view y) {
    return (a == x && b == y) || (a == y && b == x);
  };
  return either("ice", "iced") || either(menu::Stem("choc"), menu::Stem("chocolate"));
}

const absl::flat_hash_map<std::string, std::vector<std::string>>& Equivalents() {
  static const auto* const table = [] {
    auto* map = new absl::flat_hash_map<std::string, std::vector<std::string>>;
    const auto add = [&](const std::vector<std::string>& group) {
      for (const std::string& a : group) {
        for (const std::string& b : group) {
          const std::string x = menu::Stem(a);
          const std::string y = menu::Stem(b);
          if (x != y) (*map)[x].push_back(y);
        }
      }
    };
    for (const std::vector<std::string>& group : menu::SynonymGroups()) {
      std::vector<std::string> single;
      for (const std::string& entry : group) {
        if (!absl::StrContains(entry, ' ')) single.push_back(entry);
      }
      // "soda" is whatever the restaurant's own synonyms say.
      if (!absl::c_linear_search(single, "soda")) add(single);
    }
    add({"ice", "iced"});
    add({"tomato", "tomatoes"});
    add({"peppermint", "mint"});
    add({"dip", "sauce"});
    add({"choc", "chocolate"});
    return map;
  }();
  return *table;
}

bool AreEquivalent(absl::string_view a, absl::string_view b) {
  const auto found = Equivalents().find(a);
  return found != Equivalents().end() && absl::c_linear_search(found->second, b);
}

std::vector<std::string> SoundsOf(absl::string_view word) {
  std::vector<std::string> sounds = {SoundOf(word)};
  if (word.size() > 3 && word.back() == 's' && word[word.size() - 2] != 's') {
    sounds.push_back(SoundOf(word.substr(0, word.size() - 1)));
  }
  return sounds;
}

bool SoundAlike(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (const std::string& x : a) {
    if (x.size() >= 2 && absl::c_linear_search(b, x)) return true;
  }
  return false;
}

// What a customisation is about.
struct Custom {
  enum class Kind { kNo, kExtra, kPlain, kSwap } kind = Kind::kPlain;
  Words core;  // stems; of a swap: what is wanted
  Words from;  // stems; of a swap: what it replaces
};

Words Stems(const Words& words, size_t begin, size_t end) {
  Words stems;
  for (size_t i = begin; i < end; ++i) {
    const std::string& word = words[i];
    if (word == "the" || word == "a" || word == "an" || word == "of" || word == "any" || word == "and")
      continue;
    stems.push_back(menu::Stem(word));
  }
  return stems;
}

Custom ParseCustom(absl::string_view name) {
  const Words words = menu::Tokenize(name);
  Custom custom;
  if (words.size() > 1 && (words[0] == "no" || words[0] == "without")) {
    custom.kind = Custom::Kind::kNo;
    custom.core = Stems(words, 1, words.size());
  } else if (words.size() > 1 && (words[0] == "extra" || words[0] == "double" || words[0] == "more")) {
    custom.kind = Custom::Kind::kExtra;
    custom.core = Stems(words, 1, words.size());
  } else if (words.size() > 3 && (words[0] == "swap" || words[0] == "replace")) {
    const auto for_word = std::find_if(words.begin(), words.end(), [](const std::string& word) {
      return word == "for" || word == "with" || word == "by";
    });
    const auto at = static_cast<size_t>(for_word - words.begin());
    custom.kind = Custom::Kind::kSwap;
    custom.from = Stems(words, 1, at);
    custom.core = at + 1 < words.size() ? Stems(words, at + 1, words.size()) : Words{};
  } else {
    custom.core = Stems(words, 0, words.size());
  }
  return custom;
}

// Words that sound alike and are written alike as well: a steak is no stick.
bool SoundsLike(absl::string_view a, absl::string_view b) {
  const int errors = std::min(a.size(), b.size()) < 6 ? 1 : 2;
  return SoundAlike(SoundsOf(a), SoundsOf(b)) && menu::EditDistance(a, b, errors) <= errors;
}

bool AlikeStems(absl::string_view a, absl::string_view b) {
  if (a == b || AreEquivalent(a, b)) return true;
  if (a.size() < 4 || b.size() < 4) return false;
  const int allowed = menu::ErrorsAllowed(std::min(a.size(), b.size()));
  if (menu::EditDistance(a, b, allowed) <= allowed) return true;
  return SoundsLike(a, b);
}

// Whether each of `few` is like one of `many`.
bool Within(const Words& few, const Words& many) {
  return absl::c_all_of(few, [&](const std::string& a) {
    return absl::c_any_of(many, [&](const std::string& b) { return AlikeStems(a, b); });
  });
}

}  // namespace

bool Alike(absl::string_view a, absl::string_view b) {
  return a == b || AlikeStems(menu::Stem(a), menu::Stem(b));
}

std::string MatchCustomisation(const messages::MenuItem& item, const Wish& wish) {
  const Words said = menu::Tokenize(wish.text);
  const Words core = Stems(said, 0, said.size());
  if (core.empty()) return "";
  // A better fit counts more: what it is about in whole, then the kind that was asked for.
  std::string best;
  int best_score = 0;
  bool tie = false;
  for (const messages::Customization& customization : item.customizations) {
    const Custom custom = ParseCustom(customization.name);
    if (custom.core.empty()) continue;
    int score = 0;
    const Words whole_name =
        Stems(menu::Tokenize(customization.name), 0, menu::Tokenize(customization.name).size());
    const bool called =
        core.size() == whole_name.size() && Within(core, whole_name) && Within(whole_name, core);
    if ((Within(core, custom.core) && Within(custom.core, core)) ||
        (called && wish.polarity != Polarity::kWithout)) {
      score = 100;
    } else if (Within(custom.core, core) && custom.core.size() + 1 >= core.size()) {
      score = 60;  // "crispy onions" where "No Onions" is offered
    } else if (Within(core, custom.core)) {
      score = 50;  // "dip" where "Barbecue Dip" is offered
    }
    if (score == 0 && wish.polarity == Polarity::kPlain && Within(core, whole_name)) score = 45;
    if (score == 0) continue;
    switch (wish.polarity) {
      case Polarity::kWithout:
        score = custom.kind == Custom::Kind::kNo ? score + 5 : 0;
        if (score == 0 && custom.kind == Custom::Kind::kPlain && customization.name == "Unsweetened" &&
            absl::c_linear_search(core, "sugar")) {
          score = 50;
        }
        break;
      case Polarity::kExtra:
        if (custom.kind == Custom::Kind::kExtra) {
          score += 5;
        } else if (custom.kind != Custom::Kind::kPlain) {
          score = 0;
        }
        break;
      case Polarity::kWith:
        if (custom.kind == Custom::Kind::kPlain) {
          score += 5;
        } else if (custom.kind == Custom::Kind::kNo) {
          score = 0;
        }
        break;
      case Polarity::kPlain:
        if (custom.kind == Custom::Kind::kPlain) {
          score += 5;
        } else if (custom.kind == Custom::Kind::kNo || (custom.kind == Custom::Kind::kSwap && !called)) {
          score = 0;
        }
        break;
    }
    if (score > best_score) {
      best_score = score;
      best = customization.name;
      tie = false;
    } else if (score == best_score && score > 0) {
      tie = true;
    }
  }
  return tie ? "" : best;
}

std::string MatchSwap(const messages::MenuItem& item, absl::string_view wanted, absl::string_view unwanted) {
  const Words to = menu::Tokenize(wanted);
  const Words from = menu::Tokenize(unwanted);
  const Words to_stems = Stems(to, 0, to.size());
  const Words from_stems = Stems(from, 0, from.size());
  if (to_stems.empty() || from_stems.empty()) return "";
  for (const messages::Customization& customization : item.customizations) {
    const Custom custom = ParseCustom(customization.name);
    if (custom.kind != Custom::Kind::kSwap) continue;
    if (Within(to_stems, custom.core) && Within(from_stems, custom.from)) return customization.name;
  }
  return "";
}

// A way to read the words so far: they stand in `phrase`, the last of them at `position`.
struct Lexicon::Partial {
  uint32_t phrase;
  uint32_t position;
  uint32_t matched;
  double quality;
};

struct Lexicon::Found {
  size_t begin = 0;
  size_t taken = 0;  // words
  bool whole = false;
  bool head = false;
  double quality = 0;
  std::vector<Partial> partials;
  std::vector<Partial> wide;  // readings that fit less well
};

Lexicon::Lexicon(std::string currency, std::vector<messages::MenuCategory> categories,
                 std::vector<Dish> dishes)
    : currency_(std::move(currency)), categories_(std::move(categories)), dishes_(std::move(dishes)) {
  exponent_ = CurrencyExponent(currency_).value_or(2);
  std::set<Words> cores[2];
  for (size_t i = 0; i < dishes_.size(); ++i) {
    const messages::MenuItem& item = dishes_[i].item;
    by_id_.emplace(item.id, i);
    AddPhrase(i, item.name, true);
    for (const std::string& synonym : item.synonyms) AddPhrase(i, synonym, false);
    for (const messages::Customization& customization : item.customizations) {
      const Custom custom = ParseCustom(customization.name);
      for (const Words& core : {custom.core, custom.from}) {
        if (core.empty()) continue;
        if (custom.kind != Custom::Kind::kSwap) cores[custom.kind == Custom::Kind::kNo ? 1 : 0].insert(core);
        for (const std::string& stem : core) {
          core_words_.insert(stem);
          if (custom.kind != Custom::Kind::kNo) addable_words_.insert(stem);
        }
      }
    }
  }
  for (int i = 0; i < 2; ++i) cores_[i].assign(cores[i].begin(), cores[i].end());
  for (size_t i = 0; i < categories_.size(); ++i) {
    // "Salads & Wraps" is "salads" or "wraps"; "Cold Drinks" is "cold drinks" or "drinks".
    std::string name = menu::Fold(categories_[i].name);
    for (const absl::string_view part : absl::StrSplit(name, absl::ByAnyChar("&+,/"))) {
      const Words words = menu::Tokenize(part);
      if (words.empty()) continue;
      category_phrases_.emplace_back(i, Stems(words, 0, words.size()));
      if (words.size() > 1) category_phrases_.emplace_back(i, Words{menu::Stem(words.back())});
    }
  }
}

uint32_t Lexicon::EntryOf(absl::string_view word) {
  const std::string stem = menu::Stem(word);
  const auto [found, added] = entry_of_.emplace(stem, static_cast<uint32_t>(entries_.size()));
  if (added) entries_.push_back({stem, {}, {}, {}});
  Entry& entry = entries_[found->second];
  if (!absl::c_linear_search(entry.words, word)) entry.words.emplace_back(word);
  for (std::string& sound : SoundsOf(word)) {
    if (!absl::c_linear_search(entry.sounds, sound)) entry.sounds.push_back(std::move(sound));
  }
  return found->second;
}

void Lexicon::AddPhrase(size_t dish, absl::string_view text, bool name) {
  Words words = menu::Tokenize(text);
  if (words.empty() || words.size() > kMaxPhraseWords) return;
  Phrase phrase{dish, {}, name};
  const auto number = static_cast<uint32_t>(phrases_.size());
  for (size_t i = 0; i < words.size(); ++i) {
    phrase.words.push_back(EntryOf(words[i]));
    entries_[phrase.words.back()].places.emplace_back(number, static_cast<uint32_t>(i));
    if (name && i + 1 < words.size()) modifying_words_.insert(menu::Stem(words[i]));
  }
  phrases_.push_back(std::move(phrase));
}

const Dish* Lexicon::Find(int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &dishes_[found->second];
}

std::string Lexicon::NameOf(int64_t id) const {
  const Dish* dish = Find(id);
  return dish == nullptr ? "" : dish->item.name;
}

std::vector<Lexicon::Alternative> Lexicon::AlternativesOf(absl::string_view word) const {
  std::vector<Alternative> alternatives;
  const std::string stem = menu::Stem(word);
  const auto exact = entry_of_.find(stem);
  if (exact != entry_of_.end()) alternatives.push_back({exact->second, 1});
  const auto equivalent = Equivalents().find(stem);
  if (equivalent != Equivalents().end()) {
    for (const std::string& other : equivalent->second) {
      if (exact != entry_of_.end() && !AreForms(stem, other)) continue;
      const auto found = entry_of_.find(other);
      if (found != entry_of_.end()) alternatives.push_back({found->second, 0.95});
    }
  }
  if (!alternatives.empty() || IsCommonWord(word) || word.size() < 3) return alternatives;
  if (word.find_first_of("0123456789") != absl::string_view::npos) return alternatives;
  const std::vector<std::string> sounds = SoundsOf(word);
  const int allowed = menu::ErrorsAllowed(stem.size());
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.stem.size() < 3) continue;
    // What sounds alike is written alike as well: a steak is no stick.
    const int errors = word.size() < 6 ? 1 : 2;
    const bool written_alike = absl::c_any_of(entry.words, [&](const std::string& other) {
      return menu::EditDistance(word, other, errors) <= errors;
    });
    if (written_alike && SoundAlike(sounds, entry.sounds)) {
      alternatives.push_back({i, 0.85});
    } else if (allowed > 0 && entry.stem[0] == stem[0] &&
               menu::EditDistance(stem, entry.stem, allowed) <= allowed) {
      alternatives.push_back({i, 0.8});
    }
  }
  return alternatives;
}

std::optional<Mention> Lexicon::Match(const Words& words, size_t at, bool expected) const {
  if (at >= words.size()) return std::nullopt;
  Found best;
  best.begin = at;
  Extend(words, at, 0, 0, {}, expected, best);
  const std::optional<CategoryMention> category = MatchCategory(words, at);
  if (best.taken == 0 || (category.has_value() && category->length > best.taken)) {
    if (!category.has_value()) return std::nullopt;
    Mention mention;
    mention.begin = at;
    mention.end = at + category->length;
    mention.category = category->id;
    mention.head = true;
    mention.quality = 0.9;
    for (const Dish& dish : dishes_) {
      if (dish.item.category == category->id) mention.dishes.push_back(dish.item.id);
    }
    mention.wide = mention.dishes;
    if (mention.dishes.empty()) return std::nullopt;
    return mention;
  }
  Mention mention = Conclude(words, best);
  if (category.has_value() && category->length == best.taken && !best.whole) {
    mention.category = category->id;
    mention.head = true;
    mention.describes = mention.doubtful = false;
    // Whoever points at "the coffee" may mean any dish of the category.
    for (const Dish& dish : dishes_) {
      if (dish.item.category == category->id && !absl::c_linear_search(mention.wide, dish.item.id)) {
        mention.wide.push_back(dish.item.id);
      }
    }
  }
  return mention;
}

void Lexicon::Extend(const Words& words, size_t at, size_t taken, int units,
                     const std::vector<Partial>& partials, bool expected, Found& best) const {
  if (units > 0) Judge(words, at, taken, units, partials, expected, best);
  if (static_cast<size_t>(units) >= kMaxPhraseWords) return;
  for (size_t width = 1; width <= 2; ++width) {
    const size_t begin = at + taken;
    if (begin + width > words.size()) return;
    std::vector<Alternative> alternatives;
    if (width == 1) {
      alternatives = AlternativesOf(words[begin]);
    } else {
      // "cheese burger" for "cheeseburger".
      const auto joined = entry_of_.find(menu::Stem(absl::StrCat(words[begin], words[begin + 1])));
      if (joined != entry_of_.end()) alternatives.push_back({joined->second, 0.98});
    }
    std::vector<Partial> next;
    for (const Alternative& alternative : alternatives) {
      for (const auto& [phrase, position] : entries_[alternative.entry].places) {
        if (units == 0) {
          next.push_back({phrase, position, 1, alternative.quality});
          continue;
        }
        for (const Partial& partial : partials) {
          if (partial.phrase == phrase && partial.position < position) {
            next.push_back({phrase, position, partial.matched + 1, partial.quality * alternative.quality});
          }
        }
      }
    }
    if (!next.empty()) Extend(words, at, taken + width, units + 1, next, expected, best);
  }
}

void Lexicon::Judge(const Words& words, size_t at, size_t taken, int units,
                    const std::vector<Partial>& partials, bool expected, Found& best) const {
  const std::string& last = words[at + taken - 1];
  std::vector<Partial> whole;
  std::vector<Partial> head;
  std::vector<Partial> part;
  for (const Partial& partial : partials) {
    const Phrase& phrase = phrases_[partial.phrase];
    if (partial.matched == phrase.words.size()) {
      whole.push_back(partial);
    } else if (IsCommonWord(last) && last != "pop") {
      continue;  // "coffee and" is not yet the Coffee and Brownie
    } else if (partial.position + 1 == phrase.words.size()) {
      head.push_back(partial);
    } else if (units >= 2 || (words[at].size() >= 4 && partial.quality > 0.9 && phrase.name &&
                              (expected || !core_words_.contains(menu::Stem(words[at]))))) {
      part.push_back(partial);
    }
  }
  // "chicken" is not the one dish that a synonym ends in so, where the names of others have it.
  const bool by_synonym = units == 1 && whole.empty() && !part.empty() &&
                          absl::c_none_of(head, [&](const Partial& p) { return phrases_[p.phrase].name; });
  if (by_synonym && !head.empty()) {
    head.insert(head.end(), part.begin(), part.end());
    part.clear();
  }
  std::vector<Partial>& chosen = !whole.empty() ? whole : !head.empty() ? head : part;
  if (chosen.empty()) return;
  if (whole.empty() && head.empty() && units == 1) {
    // A word inside a name stands for the dish only when no other dish's name has it.
    const size_t dish = phrases_[chosen.front().phrase].dish;
    for (const Partial& partial : partials) {
      const Phrase& phrase = phrases_[partial.phrase];
      if (!phrase.name || phrase.dish == dish) continue;
      const std::vector<int64_t>& parts = dishes_[phrase.dish].item.combo_of;
      if (!absl::c_linear_search(parts, dishes_[dish].item.id) &&
          dishes_[phrase.dish].item.category != "combos") {
        return;
      }
    }
  }
  // One that is much better read is meant: "still" is not "steel".
  double quality = 0;
  for (const Partial& partial : chosen) quality = std::max(quality, partial.quality);
  chosen.erase(std::remove_if(chosen.begin(), chosen.end(),
                              [&](const Partial& partial) { return partial.quality + 0.1 < quality; }),
               chosen.end());
  // A corrected word alone must be long enough to be told from other words.
  if (quality < 0.9 && units == 1 && words[at].size() < 5 && !(expected && quality >= 0.8)) return;
  const bool is_whole = !whole.empty();
  const bool better =
      taken > best.taken ||
      (taken == best.taken && (is_whole > best.whole || (is_whole == best.whole && quality > best.quality)));
  if (!better) return;
  best.taken = taken;
  best.whole = is_whole;
  best.head = !head.empty();
  best.quality = quality;
  best.wide.clear();
  for (const std::vector<Partial>* partly : {&whole, &head, &part}) {
    best.wide.insert(best.wide.end(), partly->begin(), partly->end());
  }
  best.partials = chosen;
}

Mention Lexicon::Conclude(const Words& words, const Found& found) const {
  Mention mention;
  mention.begin = found.begin;
  mention.end = found.begin + found.taken;
  mention.whole = found.whole;
  mention.head = found.whole || found.head;
  mention.describes = !mention.head;
  mention.quality = found.quality;
  std::set<size_t> all;
  std::set<size_t> by_name;
  for (const Partial& partial : found.partials) {
    all.insert(phrases_[partial.phrase].dish);
    if (phrases_[partial.phrase].name) by_name.insert(phrases_[partial.phrase].dish);
  }
  std::vector<size_t> dishes(all.begin(), all.end());
  std::set<size_t> wide;
  for (const Partial& partial : found.wide) wide.insert(phrases_[partial.phrase].dish);
  for (const size_t dish : wide) mention.wide.push_back(dishes_[dish].item.id);
  if (!by_name.empty() && (found.whole || !found.head)) dishes.assign(by_name.begin(), by_name.end());
  bool combo_said = false;
  for (size_t i = mention.begin; i < mention.end; ++i) combo_said |= IsComboWord(words[i]);
  if (!found.whole && !combo_said) {
    std::vector<size_t> kept;
    for (const size_t dish : dishes) {
      const std::vector<int64_t>& parts = dishes_[dish].item.combo_of;
      const bool contains_other = absl::c_any_of(
          dishes, [&](size_t other) { return absl::c_linear_search(parts, dishes_[other].item.id); });
      if (!contains_other) kept.push_back(dish);
    }
    if (!kept.empty()) dishes = std::move(kept);
  }
  const size_t fitting = dishes.size();
  if (dishes.size() > 1 && !found.whole) KeepBase(dishes, found);
  if (!found.whole && found.taken == 1) {
    const std::string& word = words[found.begin];
    const std::string stem = menu::Stem(word);
    // "chocolate" is the end of Hot Chocolate and stands in front of brownies.
    const bool base = fitting != dishes.size();
    if (!base && !absl::EndsWith(word, "s")) mention.describes |= modifying_words_.contains(stem);
    const bool named = found.head && !by_name.empty();
    mention.doubtful = (!named && (addable_words_.contains(stem) || menu::AllergenBits(word).has_value() ||
                                   (found.head && core_words_.contains(stem)))) ||
                       (found.quality < 0.9 && word.size() < 5);
  }
  for (const size_t dish : dishes) mention.dishes.push_back(dishes_[dish].item.id);
  return mention;
}

void Lexicon::KeepBase(std::vector<size_t>& dishes, const Found& found) const {
  std::set<size_t> base;
  for (const Partial& partial : found.partials) {
    const Phrase& phrase = phrases_[partial.phrase];
    if (!phrase.name || !absl::c_linear_search(dishes, phrase.dish)) continue;
    // The words of a category ("coffee") ask for any of its dishes, not for the plainest.
    const std::string& head = entries_[phrase.words.back()].stem;
    for (const auto& [category, stems] : category_phrases_) {
      if (stems.size() == 1 && stems[0] == head && partial.matched == 1) return;
    }
    size_t plain = 0;
    for (const uint32_t word : phrase.words) {
      if (IsPlainAdjective(entries_[word].stem)) ++plain;
    }
    if (plain > 0 && partial.matched + plain == phrase.words.size()) base.insert(phrase.dish);
  }
  if (base.size() == 1) dishes.assign(base.begin(), base.end());
}

std::optional<CategoryMention> Lexicon::MatchCategory(const Words& words, size_t at) const {
  std::optional<CategoryMention> best;
  for (const auto& [category, stems] : category_phrases_) {
    if (at + stems.size() > words.size()) continue;
    bool all = true;
    for (size_t i = 0; i < stems.size() && all; ++i) {
      const std::string stem = menu::Stem(words[at + i]);
      all = stem == stems[i] || (AreEquivalent(stem, stems[i]) && !IsCommonWord(words[at + i]));
    }
    if (all && (!best.has_value() || stems.size() > best->length)) {
      best = CategoryMention{categories_[category].id, categories_[category].name, stems.size()};
    }
  }
  return best;
}

bool Lexicon::IsPartOfDishes(absl::string_view word) const {
  return core_words_.contains(menu::Stem(word));
}

size_t Lexicon::CustomisationLength(const Words& words, size_t at, bool without) const {
  for (size_t length = std::min(kMaxCoreWords, words.size() - std::min(at, words.size())); length > 0;
       --length) {
    const std::string& first = words[at];
    const std::string& last = words[at + length - 1];
    if (last == "and" || last == "the" || last == "of" || last == "a" || last == "on" || last == "or")
      continue;
    if (first == "and" || first == "or" || (length == 1 && (first == "the" || first == "and"))) return 0;
    const Words stems = Stems(words, at, at + length);
    if (stems.empty()) continue;
    for (const Words& core : cores_[without ? 1 : 0]) {
      // A part of what a customisation is called counts only as it stands, without words in between.
      const bool whole = stems.size() == core.size() && Within(stems, core) && Within(core, stems);
      const bool part = stems.size() < core.size() && stems.size() == length && Within(stems, core) &&
                        !IsCommonWord(words[at]);
      if (whole || (part && !DishWithin(words, at + 1, at + length))) return length;
    }
  }
  return 0;
}

bool Lexicon::DishWithin(const Words& words, size_t begin, size_t end) const {
  for (size_t i = begin; i < end; ++i) {
    const std::optional<Mention> mention = Match(words, i, false);
    if (mention.has_value() && (mention->whole || mention->dishes.size() == 1)) return true;
  }
  return false;
}

size_t Lexicon::CustomisationLengthOf(const std::vector<int64_t>& ids, const Words& words, size_t at) const {
  for (size_t length = std::min(kMaxCoreWords + 1, words.size() - std::min(at, words.size())); length > 0;
       --length) {
    const std::string& last = words[at + length - 1];
    if (last == "and" || last == "the" || last == "of" || last == "a" || last == "or") continue;
    const Words stems = Stems(words, at, at + length);
    static const auto* const no_begin =
        new absl::flat_hash_set<absl::string_view>{"and", "or", "a", "an", "the", "some", "of"};
    if (stems.empty() || no_begin->contains(words[at])) continue;
    for (const int64_t id : ids) {
      const Dish* dish = Find(id);
      if (dish == nullptr) continue;
      for (const messages::Customization& customization : dish->item.customizations) {
        const Words name = menu::Tokenize(customization.name);
        const Words whole = Stems(name, 0, name.size());
        if (whole.size() == stems.size() && Within(stems, whole) && Within(whole, stems)) return length;
      }
    }
  }
  return 0;
}

std::vector<int64_t> Lexicon::Narrow(const std::vector<int64_t>& ids, const Words& words) const {
  Words said;
  for (const std::string& word : words) {
    if (!IsCommonWord(word) || word == "hot") said.push_back(menu::Stem(word));
  }
  if (said.empty()) return {};
  const auto tier = [&](const auto& texts_of) {
    size_t most = 0;
    std::vector<int64_t> best;
    for (const int64_t id : ids) {
      const Dish* dish = Find(id);
      if (dish == nullptr) continue;
      Words known;
      for (const std::string& text : texts_of(dish->item)) {
        for (const std::string& word : menu::Tokenize(text)) known.push_back(menu::Stem(word));
      }
      size_t count = 0;
      for (const std::string& word : said) {
        if (absl::c_any_of(known, [&](const std::string& other) { return AlikeStems(word, other); })) ++count;
      }
      if (count > most) {
        most = count;
        best.clear();
      }
      if (count == most && count > 0) best.push_back(id);
    }
    return best;
  };
  using Texts = std::vector<std::string>;
  std::vector<int64_t> best = tier([](const messages::MenuItem& item) { return Texts{item.name}; });
  if (best.size() == 1) return best;
  // The names say as much of all of them ("burger"), or nothing.
  const auto next = [&](const auto& texts_of) {
    if (best.size() == 1) return;
    std::vector<int64_t> found = tier(texts_of);
    if (!found.empty() && (best.empty() || found.size() < best.size())) best = std::move(found);
  };
  if (!best.empty() && best.size() < ids.size()) return best;
  next([](const messages::MenuItem& item) { return item.synonyms; });
  next([](const messages::MenuItem& item) {
    Texts texts = item.tags;
    texts.insert(texts.end(), item.dietary.begin(), item.dietary.end());
    return texts;
  });
  next([](const messages::MenuItem& item) { return Texts{item.description}; });
  return best;
}

}  // namespace arc::brain
