// How words are pronounced, in the phones of the CMU dictionary ("HH AE L AH P IY N Y OW"): what the
// dictionary says, and for words that it lacks what their parts, a list of kitchen words, or rules say.
#ifndef ARC_SERVICES_STT_PRONUNCIATION_H_
#define ARC_SERVICES_STT_PRONUNCIATION_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::stt {

// Phones of one pronunciation, separated by spaces.
using Phones = std::string;

// Immutable; thread-safe.
class Pronunciations {
 public:
  // Reads a dictionary as pocketsphinx does: a word a line, further pronunciations as "word(2)". NotFound,
  // InvalidArgument when it holds no words.
  static absl::StatusOr<std::unique_ptr<const Pronunciations>> Load(const std::string& dictionary_path);

  // What the dictionary and the list of kitchen words say; empty when both lack the word.
  std::vector<Phones> Known(absl::string_view word) const;

  // At least one pronunciation of any word of letters a to z, likeliest first: Known(); that of its parts
  // ("sweetcorn", "unsweetened"); that of its letters when it has no vowel ("blt"); otherwise rules of
  // English, and those of Spanish and Italian where it looks like that. Empty for what is no word.
  std::vector<Phones> Of(absl::string_view word) const;

  // Calls `visit` for every word of the dictionary, once each.
  void ForEachWord(const std::function<void(absl::string_view word)>& visit) const;

 private:
  Pronunciations() = default;
  std::vector<Phones> OfParts(absl::string_view word) const;
  std::vector<Phones> OfStemAndEnding(absl::string_view word) const;
  std::vector<Phones> OfCompound(absl::string_view word) const;

  std::string text_;                                                   // of the file; the views point into it
  absl::flat_hash_map<absl::string_view, absl::string_view> by_word_;  // "word" and "word(2)" to its phones
};

// `number` in words: 21 is "twenty one". 0 to 9999.
std::string SpellNumber(int number);

// The words of a menu's text as they are spoken: folded, without signs, numbers spelled out, "&" as "and".
// Words with letters other than a to z are left out.
std::vector<std::string> SpokenWords(absl::string_view text);

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_PRONUNCIATION_H_
