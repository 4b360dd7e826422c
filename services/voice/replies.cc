#include "services/voice/replies.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"

namespace arc::voice {
namespace {

constexpr absl::string_view kSounds[] = {"um",   "umm",  "uh",     "uhh", "uhm",  "er",   "err", "erm", "hm",
                                         "hmm",  "hmmm", "mm",     "mmm", "ah",   "aah",  "oh",  "ooh", "ha",
                                         "haha", "hah",  "hahaha", "he",  "heh",  "hehe", "ho",  "huh", "eh",
                                         "ow",   "ugh",  "ahem",   "shh", "psst", "phew"};
constexpr absl::string_view kYes[] = {"yes",
                                      "yeah",
                                      "yep",
                                      "yup",
                                      "yes please",
                                      "yes i did",
                                      "i did",
                                      "correct",
                                      "right",
                                      "exactly",
                                      "sure",
                                      "okay",
                                      "ok",
                                      "that's right",
                                      "that is right",
                                      "that's correct",
                                      "that is correct",
                                      "that's it",
                                      "yes that's right",
                                      "yes that is right",
                                      "yes yes",
                                      "yes correct",
                                      "yeah that's right",
                                      "of course",
                                      "i said that"};
constexpr absl::string_view kNo[] = {"no",
                                     "nope",
                                     "nah",
                                     "no no",
                                     "no i didn't",
                                     "i didn't",
                                     "wrong",
                                     "no thanks",
                                     "no thank you",
                                     "that's wrong",
                                     "that is wrong",
                                     "not that",
                                     "no that's wrong",
                                     "no that is wrong",
                                     "no i did not",
                                     "not at all",
                                     "no that's not right"};

std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(u) || c == '\'' || u >= 0x80) {
      word.push_back(absl::ascii_tolower(u));
    } else {
      end();
    }
  }
  end();
  return words;
}

bool IsIn(absl::Span<const absl::string_view> list, absl::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

bool IsFiller(absl::string_view words) {
  const std::vector<std::string> all = Words(words);
  return std::all_of(all.begin(), all.end(), [](const std::string& word) { return IsIn(kSounds, word); });
}

Reply ReplyOf(absl::string_view words) {
  std::vector<std::string> all = Words(words);
  all.erase(
      std::remove_if(all.begin(), all.end(), [](const std::string& word) { return IsIn(kSounds, word); }),
      all.end());
  const std::string text = absl::StrJoin(all, " ");
  if (IsIn(kYes, text)) return Reply::kYes;
  return IsIn(kNo, text) ? Reply::kNo : Reply::kOther;
}

std::string WithoutNo(absl::string_view words) {
  std::string text = absl::StrJoin(Words(words), " ");
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "no ") && !absl::ConsumePrefix(&rest, "nope ")) return std::string(words);
  (void)(absl::ConsumePrefix(&rest, "i said ") || absl::ConsumePrefix(&rest, "i want "));
  return rest.empty() ? std::string(words) : std::string(rest);
}

}  // namespace arc::voice
