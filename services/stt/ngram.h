// Trigram language models: trained from counts, written as ARPA text (design, section 4, row STT).
#ifndef ARC_SERVICES_STT_NGRAM_H_
#define ARC_SERVICES_STT_NGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace arc::stt {

inline constexpr char kSentenceBegin[] = "<s>";
inline constexpr char kSentenceEnd[] = "</s>";

// How often one, two and three words in a row are expected, in fractions of a sentence. Not thread-safe.
class NgramCounts {
 public:
  using WordId = uint32_t;
  static constexpr WordId kBegin = 0;  // <s>
  static constexpr WordId kEnd = 1;    // </s>

  NgramCounts();

  // Makes an id for a word that has none. At most 2^20 words.
  WordId Id(absl::string_view word);
  const std::vector<std::string>& words() const { return words_; }  // by id

  void Add(WordId a, double count) { unigrams_[a] += count; }
  void Add(WordId a, WordId b, double count) { bigrams_[Key(a, b)] += count; }
  void Add(WordId a, WordId b, WordId c, double count) { trigrams_[Key(a, b, c)] += count; }
  // `bc` is Key() of the second and third word.
  void AddTrigram(WordId a, uint64_t bc, double count) {
    trigrams_[(uint64_t{a} << (2 * kIdBits)) | bc] += count;
  }
  // One whole sentence, `weight` times, with what begins and ends it.
  void AddSentence(absl::Span<const std::string> words, double weight);

  static constexpr int kIdBits = 20;
  static uint64_t Key(WordId a, WordId b) { return (uint64_t{a} << kIdBits) | b; }
  static uint64_t Key(WordId a, WordId b, WordId c) { return (Key(a, b) << kIdBits) | c; }

  const std::vector<double>& unigrams() const { return unigrams_; }
  const absl::flat_hash_map<uint64_t, double>& bigrams() const { return bigrams_; }
  const absl::flat_hash_map<uint64_t, double>& trigrams() const { return trigrams_; }

 private:
  std::vector<std::string> words_;
  absl::flat_hash_map<std::string, WordId> ids_;
  std::vector<double> unigrams_;
  absl::flat_hash_map<uint64_t, double> bigrams_;
  absl::flat_hash_map<uint64_t, double> trigrams_;
};

struct NgramOptions {
  // How many sentences the counts stand for. More of them trust the counts more, and leave less for what was
  // never counted.
  double sentences = 20000;
  // N-grams that are expected less often than this among so many sentences are left to shorter ones.
  double least_count = 0.02;
};

// A trigram model with Witten-Bell smoothing: what is seen shares its probability with what is not, in
// proportion to how many different words were seen to follow. Immutable, thread-safe.
class NgramModel {
 public:
  NgramModel(const NgramCounts& counts, const NgramOptions& options);

  // Probability of the last word after those before it (two at most count); 0 for a word that the model
  // does not know. Over all words and </s> these sum to one.
  double Probability(absl::Span<const std::string> words) const;

  const std::vector<std::string>& words() const { return words_; }
  std::string ToArpa() const;

 private:
  struct Entry {
    double probability = 0;
    double backoff = 1;
  };
  double Unigram(uint32_t word) const;
  double Bigram(uint32_t a, uint32_t b) const;
  double Trigram(uint32_t a, uint32_t b, uint32_t c) const;

  std::vector<std::string> words_;
  absl::flat_hash_map<std::string, uint32_t> ids_;
  std::vector<Entry> unigrams_;
  absl::flat_hash_map<uint64_t, Entry> bigrams_;
  absl::flat_hash_map<uint64_t, double> trigrams_;
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_NGRAM_H_
