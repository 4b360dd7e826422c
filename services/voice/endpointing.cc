#include "services/voice/endpointing.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace arc::voice {
namespace {

// Only the end of a long utterance decides.
constexpr size_t kMaxBytes = 400;

constexpr absl::string_view kWaitingWords[] = {"and",  "um",    "uh",   "uhm",  "er",    "erm",
                                               "hmm",  "mm",    "plus", "also", "or",    "but",
                                               "then", "maybe", "well", "so",   "let's", "because"};
constexpr absl::string_view kWaitingEnds[] = {"let me see", "let me think", "hold on",         "hang on",
                                              "wait",       "one moment",   "give me a second"};
constexpr absl::string_view kOpenWords[] = {
    "a",    "an",   "the",   "some",    "with",  "without", "of",    "for",   "to",    "in",
    "on",   "from", "than",  "no",      "extra", "less",    "light", "large", "small", "medium",
    "big",  "my",   "your",  "another", "more",  "like",    "want",  "have",  "get",   "add",
    "take", "make", "order", "remove",  "is",    "are",     "what",  "how",   "which", "i'd",
    "i'll", "i",    "can",   "could",   "would", "instead", "one",   "two",   "three", "four",
    "five", "six",  "seven", "eight",   "nine",  "ten",     "me",    "us"};
constexpr absl::string_view kNumbers[] = {"one", "two",   "three", "four", "five",
                                          "six", "seven", "eight", "nine", "ten"};
// Complete as the whole utterance.
constexpr absl::string_view kWholes[] = {"yes",
                                         "yeah",
                                         "yep",
                                         "yup",
                                         "sure",
                                         "okay",
                                         "ok",
                                         "no",
                                         "nope",
                                         "nothing",
                                         "correct",
                                         "right",
                                         "checkout",
                                         "check out",
                                         "pay",
                                         "cancel",
                                         "help",
                                         "repeat",
                                         "hello",
                                         "hi",
                                         "goodbye",
                                         "bye",
                                         "thanks",
                                         "thank you",
                                         "start over",
                                         "the first one",
                                         "the second one",
                                         "both",
                                         "neither",
                                         "no thanks",
                                         "no thank you",
                                         "yes please",
                                         "show my cart",
                                         "my cart"};
// Complete wherever an utterance ends so.
constexpr absl::string_view kCompleteEnds[] = {
    "please",         "thanks",         "thank you",  "that's all", "that is all", "that's it", "that is it",
    "that'll be all", "instead of one", "start over", "check out",  "checkout",    "to pay",    "to go",
    "my order",       "nothing else",   "go ahead",   "no more",    "for me"};
// What begins a request that is complete with its object.
constexpr absl::string_view kRequestBegins[] = {
    "i want",      "i'd like",  "i would like", "i'll have", "i will have", "i'll take",
    "i will take", "give me",   "get me",       "can i",     "could i",     "may i",
    "can you",     "could you", "add",          "remove",    "take",        "make",
    "show",        "cancel",    "change",       "let me",    "what",        "how",
    "which",       "do you",    "is",           "are",       "does",        "no",
    "we want",     "we'd like", "we'll have",   "order",     "put",         "without",
    "another",     "a",         "an",           "one",       "two",         "three",
    "four",        "five",      "six",          "seven",     "eight",       "nine",
    "ten",         "the",       "just",         "some",      "recommend",   "tell"};

constexpr absl::string_view kQuestionWords[] = {"what", "how", "which", "do", "does", "is", "are"};
constexpr absl::string_view kQuestionEnds[] = {"have", "with", "in", "on", "get", "want", "like"};

std::vector<std::string> Words(absl::string_view text) {
  if (text.size() > kMaxBytes) text.remove_prefix(text.size() - kMaxBytes);
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(u) || c == '\'' || u >= 0x80) {
      word.push_back(absl::ascii_tolower(u));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

bool IsIn(absl::Span<const absl::string_view> list, absl::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool EndsWith(const std::string& text, absl::Span<const absl::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](absl::string_view end) {
    return text == end || (text.size() > end.size() && text[text.size() - end.size() - 1] == ' ' &&
                           text.compare(text.size() - end.size(), end.size(), end.data(), end.size()) == 0);
  });
}

// How many words the longest matching beginning has; 0: none matches.
size_t BeginLength(const std::string& text) {
  size_t longest = 0;
  for (const absl::string_view begin : kRequestBegins) {
    const bool matches = text.compare(0, begin.size(), begin.data(), begin.size()) == 0 &&
                         (text.size() == begin.size() || text[begin.size()] == ' ');
    if (matches)
      longest = std::max(longest, 1 + static_cast<size_t>(std::count(begin.begin(), begin.end(), ' ')));
  }
  return longest;
}

}  // namespace

Completeness Judge(absl::string_view words) {
  const std::vector<std::string> list = Words(words);
  if (list.empty()) return Completeness::kUnknown;
  const std::string text = absl::StrJoin(list, " ");
  const std::string& last = list.back();
  if (IsIn(kWaitingWords, last) || EndsWith(text, kWaitingEnds)) return Completeness::kWaiting;
  if (IsIn(kWholes, text) || EndsWith(text, kCompleteEnds)) return Completeness::kComplete;
  // "Two." answers "How many?".
  if (list.size() == 1 && IsIn(kNumbers, last)) return Completeness::kUnknown;
  // "Make it two", "no, the large one".
  if (list.size() >= 2 && (list[list.size() - 2] == "it" || list[list.size() - 2] == "them") &&
      IsIn(kNumbers, last)) {
    return Completeness::kComplete;
  }
  if (list.size() >= 3 && last == "one" && !IsIn(kRequestBegins, list[list.size() - 2]))
    return Completeness::kComplete;
  // "What does it come with?"
  if (list.size() >= 4 && IsIn(kQuestionWords, list.front()) && IsIn(kQuestionEnds, last)) {
    return Completeness::kComplete;
  }
  if (IsIn(kOpenWords, last)) return Completeness::kOpen;
  const size_t begin = BeginLength(text);
  if (begin > 0 && list.size() > begin) return Completeness::kComplete;
  return Completeness::kUnknown;
}

absl::Duration EndpointingDelay(absl::string_view words, absl::Duration min, absl::Duration max) {
  const absl::Duration range = std::max(max - min, absl::ZeroDuration());
  switch (Judge(words)) {
    case Completeness::kComplete:
      return min;
    case Completeness::kUnknown:
      return min + range * 0.2;
    case Completeness::kOpen:
      return min + range * 0.6;
    case Completeness::kWaiting:
      return min + range;
  }
  return max;
}

}  // namespace arc::voice
