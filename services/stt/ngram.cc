#include "services/stt/ngram.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace arc::stt {
namespace {

constexpr double kLogZero = -99;  // what ARPA files write for <s>, which is never predicted

double Log10(double probability) {
  return probability > 0 ? std::log10(probability) : kLogZero;
}

// Of a history: how often it was seen, and how many different words were seen after it.
struct Follow {
  double count = 0;
  double kinds = 0;
};

template <class Map>
std::vector<uint64_t> SortedKeys(const Map& map) {
  std::vector<uint64_t> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

constexpr uint64_t kMask = (uint64_t{1} << NgramCounts::kIdBits) - 1;

}  // namespace

NgramCounts::NgramCounts() {
  Id(kSentenceBegin);
  Id(kSentenceEnd);
}

NgramCounts::WordId NgramCounts::Id(absl::string_view word) {
  const auto [it, inserted] = ids_.try_emplace(word, static_cast<WordId>(words_.size()));
  if (inserted) {
    words_.emplace_back(word);
    unigrams_.push_back(0);
  }
  return it->second;
}

void NgramCounts::AddSentence(absl::Span<const std::string> words, double weight) {
  std::vector<WordId> ids = {kBegin};
  for (const std::string& word : words) ids.push_back(Id(word));
  ids.push_back(kEnd);
  for (size_t i = 1; i < ids.size(); ++i) {
    Add(ids[i], weight);
    Add(ids[i - 1], ids[i], weight);
    if (i >= 2) Add(ids[i - 2], ids[i - 1], ids[i], weight);
  }
}

NgramModel::NgramModel(const NgramCounts& counts, const NgramOptions& options) : words_(counts.words()) {
  for (uint32_t id = 0; id < words_.size(); ++id) ids_[words_[id]] = id;
  const double scale = options.sentences;
  const auto kept = [&](double count) { return count * scale >= options.least_count; };

  // Every word but <s> can be predicted; one that only its id is known of has its share of the unseen.
  const double kinds = static_cast<double>(words_.size()) - 1;
  double total = 0;
  for (uint32_t id = 1; id < words_.size(); ++id) total += counts.unigrams()[id] * scale;
  unigrams_.resize(words_.size());
  for (uint32_t id = 1; id < words_.size(); ++id) {
    unigrams_[id].probability = (counts.unigrams()[id] * scale + 1) / (total + kinds);
  }

  absl::flat_hash_map<uint32_t, Follow> after_one;
  absl::flat_hash_map<uint64_t, Follow> after_two;
  for (const auto& [key, count] : counts.bigrams()) {
    if (!kept(count)) continue;
    Follow& follow = after_one[static_cast<uint32_t>(key >> NgramCounts::kIdBits)];
    follow.count += count * scale;
    follow.kinds += 1;
  }
  for (const auto& [key, count] : counts.trigrams()) {
    // A trigram needs its bigram to hang on.
    if (!kept(count)) continue;
    const auto bigram = counts.bigrams().find(key >> NgramCounts::kIdBits);
    if (bigram == counts.bigrams().end() || !kept(bigram->second)) continue;
    Follow& follow = after_two[key >> NgramCounts::kIdBits];
    follow.count += count * scale;
    follow.kinds += 1;
  }
  for (const auto& [a, follow] : after_one) {
    unigrams_[a].backoff = follow.kinds / (follow.count + follow.kinds);
  }
  for (const auto& [key, count] : counts.bigrams()) {
    if (!kept(count)) continue;
    const auto a = static_cast<uint32_t>(key >> NgramCounts::kIdBits);
    const auto b = static_cast<uint32_t>(key & kMask);
    const Follow& follow = after_one[a];
    bigrams_[key].probability = (count * scale + follow.kinds * Unigram(b)) / (follow.count + follow.kinds);
  }
  for (const auto& [key, follow] : after_two) {
    bigrams_[key].backoff = follow.kinds / (follow.count + follow.kinds);
  }
  for (const auto& [key, count] : counts.trigrams()) {
    const uint64_t history = key >> NgramCounts::kIdBits;
    const auto it = after_two.find(history);
    if (it == after_two.end() || !kept(count)) continue;
    const auto b = static_cast<uint32_t>(history & kMask);
    const auto c = static_cast<uint32_t>(key & kMask);
    trigrams_[key] =
        (count * scale + it->second.kinds * Bigram(b, c)) / (it->second.count + it->second.kinds);
  }
}

double NgramModel::Unigram(uint32_t word) const {
  return unigrams_[word].probability;
}

double NgramModel::Bigram(uint32_t a, uint32_t b) const {
  const auto it = bigrams_.find(NgramCounts::Key(a, b));
  return it != bigrams_.end() ? it->second.probability : unigrams_[a].backoff * Unigram(b);
}

double NgramModel::Trigram(uint32_t a, uint32_t b, uint32_t c) const {
  const auto it = trigrams_.find(NgramCounts::Key(a, b, c));
  if (it != trigrams_.end()) return it->second;
  const auto history = bigrams_.find(NgramCounts::Key(a, b));
  return (history != bigrams_.end() ? history->second.backoff : 1.0) * Bigram(b, c);
}

double NgramModel::Probability(absl::Span<const std::string> words) const {
  if (words.size() > 3) words.remove_prefix(words.size() - 3);
  std::vector<uint32_t> ids;
  for (size_t i = 0; i < words.size(); ++i) {
    const auto it = ids_.find(words[i]);
    if (it != ids_.end()) {
      ids.push_back(it->second);
    } else if (i + 1 == words.size()) {
      return 0;
    } else {
      ids.clear();  // nothing is known of what stands before an unknown word
    }
  }
  switch (ids.size()) {
    case 0:
      return 0;
    case 1:
      return Unigram(ids[0]);
    case 2:
      return Bigram(ids[0], ids[1]);
    default:
      return Trigram(ids[0], ids[1], ids[2]);
  }
}

std::string NgramModel::ToArpa() const {
  std::string text = absl::StrCat("\\data\\\nngram 1=", words_.size(), "\nngram 2=", bigrams_.size(),
                                  "\nngram 3=", trigrams_.size(), "\n\n\\1-grams:\n");
  for (uint32_t id = 0; id < words_.size(); ++id) {
    absl::StrAppendFormat(&text, "%.4f %s %.4f\n", Log10(unigrams_[id].probability), words_[id],
                          Log10(unigrams_[id].backoff));
  }
  absl::StrAppend(&text, "\n\\2-grams:\n");
  const auto word = [&](uint64_t key, int place) {
    return words_[static_cast<size_t>((key >> (place * NgramCounts::kIdBits)) & kMask)];
  };
  for (const uint64_t key : SortedKeys(bigrams_)) {
    const Entry& entry = bigrams_.at(key);
    absl::StrAppendFormat(&text, "%.4f %s %s %.4f\n", Log10(entry.probability), word(key, 1), word(key, 0),
                          Log10(entry.backoff));
  }
  absl::StrAppend(&text, "\n\\3-grams:\n");
  for (const uint64_t key : SortedKeys(trigrams_)) {
    absl::StrAppendFormat(&text, "%.4f %s %s %s\n", Log10(trigrams_.at(key)), word(key, 2), word(key, 1),
                          word(key, 0));
  }
  absl::StrAppend(&text, "\n\\end\\\n");
  return text;
}

}  // namespace arc::stt
