// Command lines of the fleet's programs: the flags are absl's, the parsing is strict. What is not understood
// is an error with a reason, so that a misspelt flag does not pass for a default.
#ifndef ARC_COMMON_AGENT_FLAGS_H_
#define ARC_COMMON_AGENT_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc {

// Sets the flags given as --name=value, --name value, --name or --noname (bools), with one dash or two.
// Returns the arguments that are no flags; what follows "--" is none. InvalidArgument: an unknown flag, a
// missing or malformed value. Not thread-safe: at the start of a program.
absl::StatusOr<std::vector<std::string>> ParseFlags(const std::vector<std::string>& arguments);

// One paragraph a flag of this program: name, what it is, default. Sorted by name.
std::string DescribeFlags();

}  // namespace arc

#endif  // ARC_COMMON_AGENT_FLAGS_H_
