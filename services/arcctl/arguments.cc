#include "services/arcctl/arguments.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"

namespace arc::arcctl {
namespace {

constexpr char kUsagePayload[] = "arc.arcctl/usage";

const FlagSpec* FindFlag(absl::string_view name, const std::vector<FlagSpec>& flags) {
  const auto it =
      std::find_if(flags.begin(), flags.end(), [&](const FlagSpec& flag) { return flag.name == name; });
  return it == flags.end() ? nullptr : &*it;
}

// The verb that `words` begin with; how many words its name has.
const VerbSpec* FindVerb(const std::vector<std::string>& words, const std::vector<VerbSpec>& verbs,
                         size_t* length) {
  for (*length = 2; *length >= 1; --*length) {
    if (words.size() < *length) continue;
    const std::string name = *length == 2 ? absl::StrCat(words[0], " ", words[1]) : words[0];
    for (const VerbSpec& verb : verbs) {
      if (verb.name == name) return &verb;
    }
  }
  return nullptr;
}

std::vector<std::string> VerbsOfGroup(absl::string_view group, const std::vector<VerbSpec>& verbs) {
  std::vector<std::string> names;
  for (const VerbSpec& verb : verbs) {
    if (absl::StartsWith(verb.name, absl::StrCat(group, " "))) names.push_back(verb.name);
  }
  return names;
}

std::string FlagHelp(const FlagSpec& flag) {
  std::string left = absl::StrCat("  --", flag.name, flag.value.empty() ? "" : absl::StrCat(" ", flag.value));
  left.resize(std::max<size_t>(left.size() + 2, 26), ' ');
  return absl::StrCat(left, flag.help, "\n");
}

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

bool Arguments::Has(absl::string_view flag) const {
  return flags_.find(std::string(flag)) != flags_.end();
}

std::string Arguments::Get(absl::string_view flag, absl::string_view otherwise) const {
  return GetOptional(flag).value_or(std::string(otherwise));
}

std::optional<std::string> Arguments::GetOptional(absl::string_view flag) const {
  const auto it = flags_.find(std::string(flag));
  if (it == flags_.end()) return std::nullopt;
  return it->second.back();
}

std::vector<std::string> Arguments::GetAll(absl::string_view flag) const {
  const auto it = flags_.find(std::string(flag));
  return it == flags_.end() ? std::vector<std::string>() : it->second;
}

absl::StatusOr<std::optional<int64_t>> Arguments::GetInteger(absl::string_view flag, int64_t min,
                                                             int64_t max) const {
  const std::optional<std::string> text = GetOptional(flag);
  if (!text.has_value()) return std::optional<int64_t>();
  ASSIGN_OR_RETURN(const int64_t value, ParseInteger(*text, absl::StrCat("--", flag), min, max));
  return std::optional<int64_t>(value);
}

absl::StatusOr<absl::Duration> Arguments::GetDuration(absl::string_view flag,
                                                      absl::Duration otherwise) const {
  const std::optional<std::string> text = GetOptional(flag);
  if (!text.has_value()) return otherwise;
  double seconds = 0;
  absl::Duration duration;
  if (absl::SimpleAtod(*text, &seconds) && std::isfinite(seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(*text, &duration)) {
    return UsageError(absl::StrCat("--", flag, ": \"", *text, "\" is not a duration such as 5s or 200ms"));
  }
  if (duration <= absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return UsageError(absl::StrCat("--", flag, " must be above 0 and have an end"));
  }
  return duration;
}

absl::StatusOr<int64_t> ParseInteger(absl::string_view text, absl::string_view name, int64_t min,
                                     int64_t max) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return UsageError(absl::StrCat(name, ": \"", text, "\" is not a whole number"));
  }
  if (value < min) return UsageError(absl::StrCat(name, " must be at least ", min));
  if (value > max) return UsageError(absl::StrCat(name, " must be at most ", max));
  return value;
}

absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         const std::vector<VerbSpec>& verbs,
                                         const std::vector<FlagSpec>& common) {
  // A flag's value may stand in a word of its own, so which words are flags depends on the verb, and which
  // word is the verb on the flags before it, which are those that all verbs have.
  std::vector<std::string> plain;
  for (size_t i = 0; i < words.size() && plain.size() < 2; ++i) {
    if (words[i] == "--") break;
    if (!absl::StartsWith(words[i], "--") && words[i] != "-h") {
      plain.push_back(words[i]);
      continue;
    }
    const FlagSpec* flag = FindFlag(absl::StripPrefix(words[i], "--"), common);
    if (flag != nullptr && !flag->value.empty()) ++i;
  }
  size_t verb_length = 0;
  const VerbSpec* verb = FindVerb(plain, verbs, &verb_length);

  Arguments arguments;
  size_t verb_words = 0;
  bool flags_over = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!flags_over && word == "--") {
      flags_over = true;
      continue;
    }
    if (!flags_over && (word == "-h" || word == "--help")) {
      arguments.help_ = true;
      continue;
    }
    if (flags_over || !absl::StartsWith(word, "--")) {
      if (verb_words < verb_length) {
        ++verb_words;
      } else {
        arguments.words_.push_back(word);
      }
      continue;
    }
    const std::vector<std::string> parts = absl::StrSplit(word.substr(2), absl::MaxSplits('=', 1));
    const FlagSpec* flag = FindFlag(parts[0], common);
    if (flag == nullptr && verb != nullptr) flag = FindFlag(parts[0], verb->flags);
    if (flag == nullptr) {
      return UsageError(
          absl::StrCat(verb == nullptr ? "" : verb->name + ": ", "there is no flag --", parts[0]));
    }
    std::string value;
    if (flag->value.empty()) {
      if (parts.size() == 2) return UsageError(absl::StrCat("--", flag->name, " takes no value"));
    } else if (parts.size() == 2) {
      value = parts[1];
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return UsageError(absl::StrCat("--", flag->name, " needs a value: ", flag->value));
    }
    std::vector<std::string>& values = arguments.flags_[flag->name];
    if (!values.empty() && !flag->repeated) {
      return UsageError(absl::StrCat("--", flag->name, " stands twice"));
    }
    values.push_back(std::move(value));
  }

  if (verb == nullptr) {
    const std::string first = plain.empty() ? "" : plain[0];
    if (arguments.help_ || first == "help") {
      arguments.help_ = true;
      arguments.verb_ = first == "help" ? (plain.size() > 1 ? plain[1] : "") : first;
      return arguments;
    }
    if (plain.empty()) return UsageError("a verb is missing");
    const std::vector<std::string> group = VerbsOfGroup(first, verbs);
    if (!group.empty()) {
      std::string list;
      for (const std::string& name : group) absl::StrAppend(&list, list.empty() ? "" : ", ", name);
      return UsageError(absl::StrCat(first, " needs one more word: ", list));
    }
    return UsageError(absl::StrCat("there is no verb \"", first, "\""));
  }
  arguments.verb_ = verb->name;
  if (arguments.help_) return arguments;
  const int count = static_cast<int>(arguments.words_.size());
  if (count < verb->min_arguments) return UsageError(absl::StrCat(verb->name, " needs ", verb->arguments));
  if (count > verb->max_arguments) {
    return UsageError(absl::StrCat(verb->name, ": \"",
                                   arguments.words_[static_cast<size_t>(verb->max_arguments)],
                                   "\" is one argument too many"));
  }
  return arguments;
}

std::string HelpText(absl::string_view name, const std::vector<VerbSpec>& verbs,
                     const std::vector<FlagSpec>& common) {
  std::vector<const VerbSpec*> chosen;
  for (const VerbSpec& verb : verbs) {
    if (verb.name == name || absl::StartsWith(verb.name, absl::StrCat(name, " "))) chosen.push_back(&verb);
  }
  std::string text;
  if (chosen.size() == 1) {
    const VerbSpec& verb = *chosen.front();
    absl::StrAppend(&text, "arcctl ", verb.name, verb.arguments.empty() ? "" : " ", verb.arguments, "\n\n",
                    verb.summary, "\n");
    if (!verb.details.empty()) absl::StrAppend(&text, "\n", verb.details, "\n");
    if (!verb.flags.empty()) {
      absl::StrAppend(&text, "\nFlags:\n");
      for (const FlagSpec& flag : verb.flags) absl::StrAppend(&text, FlagHelp(flag));
    }
  } else {
    absl::StrAppend(
        &text, "arcctl [flags] VERB ...: looks after a kiosk fleet and stands in for its customers.\n\n");
    for (const VerbSpec& verb : verbs) {
      if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), &verb) == chosen.end()) continue;
      std::string left = absl::StrCat("  ", verb.name, verb.arguments.empty() ? "" : " ", verb.arguments);
      left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
      absl::StrAppend(&text, left, verb.summary, "\n");
    }
    absl::StrAppend(&text, "\n`arcctl VERB --help` says more.\n");
  }
  absl::StrAppend(&text, "\nFlags of every verb:\n");
  for (const FlagSpec& flag : common) absl::StrAppend(&text, FlagHelp(flag));
  absl::StrAppend(&text,
                  "\nExit status: 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage.\n");
  return text;
}

}  // namespace arc::arcctl
