#include "services/brain/answer.h"

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/json/decimal.h"
#include "services/brain/language.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {
namespace {

// Customisations that stand before the name: "large Iced Cola", "decaf Americano".
bool IsAdjective(absl::string_view lower) {
  return lower == "large" || lower == "small" || lower == "medium" || lower == "decaf" ||
         lower == "unsweetened" || lower == "spicy";
}

}  // namespace

std::string SayPrice(int64_t minor, absl::string_view currency, int exponent) {
  std::string amount;
  if (exponent <= 0) {
    amount = absl::StrCat(minor);
  } else {
    int64_t unit = 1;
    for (int i = 0; i < exponent; ++i) unit *= 10;
    amount = absl::StrFormat("%d.%0*d", minor / unit, exponent, minor % unit);
  }
  if (currency == "USD" || currency == "CAD" || currency == "AUD") return absl::StrCat("$", amount);
  if (currency == "EUR") return absl::StrCat("€", amount);
  if (currency == "GBP") return absl::StrCat("£", amount);
  if (currency == "JPY") return absl::StrCat("¥", amount);
  return absl::StrCat(amount, " ", currency);
}

std::string SayWish(const Wish& wish) {
  switch (wish.polarity) {
    case Polarity::kWithout:
      return absl::StrCat("without ", wish.text);
    case Polarity::kExtra:
      return absl::StrCat("extra ", wish.text);
    case Polarity::kWith:
      return absl::StrCat("with ", wish.text);
    case Polarity::kPlain:
      return wish.text;
  }
  return wish.text;
}

std::string SayItem(const messages::IntentItem& item) {
  std::vector<std::string> before;
  std::vector<std::string> without;
  std::vector<std::string> with;
  std::vector<std::string> behind;
  for (const std::string& name : item.modifiers) {
    const std::string lower = absl::AsciiStrToLower(name);
    const std::vector<std::string> words = absl::StrSplit(lower, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    if (IsAdjective(lower)) {
      before.push_back(lower);
    } else if (words[0] == "no" && words.size() > 1) {
      without.push_back(absl::StrJoin(words.begin() + 1, words.end(), " "));
    } else if (words[0] == "swap" && absl::c_linear_search(words, "for")) {
      const auto at = std::find(words.begin(), words.end(), "for");
      with.push_back(absl::StrCat(absl::StrJoin(at + 1, words.end(), " "), " instead of ",
                                  absl::StrJoin(words.begin() + 1, at, " ")));
    } else {
      with.push_back(lower);
    }
  }
  if (item.note.has_value() && !item.note->empty()) {
    for (const absl::string_view part : absl::StrSplit(*item.note, ", ", absl::SkipEmpty())) {
      if (absl::StartsWith(part, "without ")) {
        without.emplace_back(part.substr(8));
      } else if (absl::StartsWith(part, "with ")) {
        with.emplace_back(part.substr(5));
      } else if (absl::StartsWith(part, "extra ")) {
        with.emplace_back(part);
      } else if (IsAdjective(part)) {
        before.emplace_back(part);
      } else {
        behind.emplace_back(part);
      }
    }
  }
  std::string text;
  if (item.quantity > 0) absl::StrAppend(&text, SayCount(item.quantity), " ");
  for (const std::string& adjective : before) absl::StrAppend(&text, adjective, " ");
  absl::StrAppend(&text, item.quantity > 1 ? Plural(item.name) : item.name);
  if (!with.empty()) absl::StrAppend(&text, " with ", SayList(with));
  if (!without.empty()) {
    absl::StrAppend(&text, with.empty() ? "" : " and", " without ", SayList(without, "or"));
  }
  if (!behind.empty()) absl::StrAppend(&text, ", ", SayList(behind));
  return text;
}

std::string SayNames(const std::vector<std::string>& names, absl::string_view last) {
  std::vector<std::string> said;
  said.reserve(names.size());
  for (const std::string& name : names) said.push_back(absl::StrReplaceAll(name, {{"_", " "}}));
  return SayList(said, last);
}

std::string Sentence(absl::string_view text) {
  std::string sentence(text);
  if (!sentence.empty()) sentence[0] = absl::ascii_toupper(static_cast<unsigned char>(sentence[0]));
  return sentence;
}

std::string JoinSentences(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) {
    if (sentence.empty()) continue;
    if (!text.empty()) text.push_back(' ');
    absl::StrAppend(&text, Sentence(sentence));
    const char last = text.back();
    if (last != '.' && last != '?' && last != '!') text.push_back('.');
  }
  return text;
}

}  // namespace arc::brain
