#include "common/agent/flags.h"

#include <map>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace arc {
namespace {

bool IsOwn(const absl::CommandLineFlag& flag) {
  return !flag.IsRetired() && !absl::StrContains(flag.Filename(), "absl/");
}

absl::CommandLineFlag* Find(absl::string_view name) {
  absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(name);
  return flag != nullptr && IsOwn(*flag) ? flag : nullptr;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseFlags(const std::vector<std::string>& arguments) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (argument == "--") {
      rest.insert(rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      rest.emplace_back(argument);
      continue;
    }
    if (!absl::ConsumePrefix(&argument, "--")) argument.remove_prefix(1);
    const size_t equals = argument.find('=');
    const std::string name(argument.substr(0, equals));
    absl::CommandLineFlag* flag = Find(name);
    std::string value;
    if (flag == nullptr && equals == absl::string_view::npos && absl::StartsWith(name, "no")) {
      flag = Find(absl::string_view(name).substr(2));
      if (flag != nullptr && !flag->IsOfType<bool>()) flag = nullptr;
      value = "false";
    } else if (flag != nullptr && equals != absl::string_view::npos) {
      value = std::string(argument.substr(equals + 1));
    } else if (flag != nullptr && flag->IsOfType<bool>()) {
      value = "true";
    } else if (flag != nullptr) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
      }
      value = arguments[++i];
    }
    if (flag == nullptr) return absl::InvalidArgumentError(absl::StrCat("there is no flag --", name));
    std::string error;
    if (!flag->ParseFrom(value, &error)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--", flag->Name(), ": '", value, "' is not a value for it", error.empty() ? "" : ": ", error));
    }
  }
  return rest;
}

std::string DescribeFlags() {
  std::map<std::string, const absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (IsOwn(*flag)) flags.emplace(std::string(name), flag);
  }
  std::string text;
  for (const auto& [name, flag] : flags) {
    const bool bare = flag->IsOfType<bool>();
    const std::string value = flag->DefaultValue();
    absl::StrAppend(&text, "  --", name, bare ? "" : "=...", "\n      ", flag->Help(),
                    value.empty() ? "" : absl::StrCat(" (default: ", value, ")"), "\n");
  }
  return text;
}

}  // namespace arc
