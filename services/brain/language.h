// Spoken and typed English as words that can be compared: what speech recognition gives ("i'd like two uh
// volcano burgers") and what a keyboard gives ("I'd like 2 Volcano Burgers!") become the same. Numbers in
// words and digits, counting out, plurals and lists for answers. Pure functions, thread-safe.
#ifndef ARC_SERVICES_BRAIN_LANGUAGE_H_
#define ARC_SERVICES_BRAIN_LANGUAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace arc::brain {

inline constexpr size_t kMaxWords = 120;  // of one utterance; what follows is not read

using Words = std::vector<std::string>;

// The words of `text`: folded, contractions written out ("i'd" is "i would", "don't" is "do not"),
// hesitations and "please" left out, "3x" as "3", "1,000" as "1000"; "2.5" stays one word.
Words Normalise(absl::string_view text);

std::string Join(const Words& words, size_t begin, size_t end);
std::string Join(const Words& words);

// A count at words[at]: "two", "a dozen", "half a dozen", "a couple of", "twenty five", "12". "a" and "an"
// are not counts; "a hundred" is, and so is "minus two". `length` is the number of words it takes, "of"
// behind "couple" and "dozen" included. Of a dish nobody can have a part: "2.5", "half a", "two and a half"
// are kNoWholeCount.
inline constexpr int64_t kNoWholeCount = -1;
struct Count {
  int64_t value = 0;  // at most 9999, whatever was said
  size_t length = 0;
  int64_t or_else = 0;  // "two or three": the other one; 0: none
};
std::optional<Count> ReadCount(const Words& words, size_t at);

// First is 0, last is -1; nothing when the word is no ordinal.
std::optional<int> ReadOrdinal(absl::string_view word);

// Whether the word carries grammar rather than food: never part of an unknown dish, never corrected into
// one.
bool IsCommonWord(absl::string_view word);

// How a word sounds, roughly: words that sound alike ("browny", "brownie") have the same key.
std::string SoundOf(absl::string_view word);

// "two" up to twelve, digits above.
std::string SayCount(int64_t count);

// The plural of a dish: "Volcano Burgers", "Apple Pies"; what is plural already stays.
std::string Plural(absl::string_view name);

// "a", "a and b", "a, b and c"; with `last` "or" in place of "and".
std::string SayList(absl::Span<const std::string> parts, absl::string_view last = "and");

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_LANGUAGE_H_
