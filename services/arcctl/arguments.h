// The command line of arcctl: verbs of one or two words, each with its own flags, and flags that all have.
//
//   arcctl --nats_url=nats://10.0.0.5:4222 cart add 101 2 --note "no ice" --json
//
// Flags stand anywhere, as --name=value or --name value; what needs no value is --name. "--" ends the flags.
// Pure functions and values, thread-safe.
#ifndef ARC_SERVICES_ARCCTL_ARGUMENTS_H_
#define ARC_SERVICES_ARCCTL_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::arcctl {

struct FlagSpec {
  std::string name;
  std::string value;  // what the value is called in the help; empty: the flag takes none
  std::string help;
  bool repeated = false;  // may stand more than once; otherwise that is a mistake
};

inline constexpr int kAnyNumber = 1 << 20;

struct VerbSpec {
  std::string name;       // "provision", "menu import"
  std::string arguments;  // for the help: "FILE", "ACTION ID [QTY]"
  int min_arguments = 0;
  int max_arguments = 0;
  std::string summary;  // one line
  std::string details;  // further lines of its own help
  std::vector<FlagSpec> flags;
};

// A wrong command line; the process ends with 2.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

class Arguments {
 public:
  const std::string& verb() const { return verb_; }
  const std::vector<std::string>& words() const { return words_; }
  bool help() const { return help_; }

  bool Has(absl::string_view flag) const;
  std::string Get(absl::string_view flag, absl::string_view otherwise = "") const;
  std::optional<std::string> GetOptional(absl::string_view flag) const;
  std::vector<std::string> GetAll(absl::string_view flag) const;
  // UsageError when the value is no such thing. A duration is "5s", "200ms", "1m", or a number of seconds.
  absl::StatusOr<std::optional<int64_t>> GetInteger(absl::string_view flag, int64_t min, int64_t max) const;
  absl::StatusOr<absl::Duration> GetDuration(absl::string_view flag, absl::Duration otherwise) const;

 private:
  friend absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                                  const std::vector<VerbSpec>& verbs,
                                                  const std::vector<FlagSpec>& common);
  std::string verb_;  // empty only with help()
  std::vector<std::string> words_;
  std::map<std::string, std::vector<std::string>> flags_;
  bool help_ = false;
};

// UsageError names what is wrong.
absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         const std::vector<VerbSpec>& verbs,
                                         const std::vector<FlagSpec>& common);

// A whole number within the bounds; UsageError calls it `name`.
absl::StatusOr<int64_t> ParseInteger(absl::string_view text, absl::string_view name, int64_t min,
                                     int64_t max);

// The help of one verb, of a group ("menu"), or with an empty `verb` of all.
std::string HelpText(absl::string_view verb, const std::vector<VerbSpec>& verbs,
                     const std::vector<FlagSpec>& common);

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_ARGUMENTS_H_
