// Files that survive a crash: whole or not there at all.
#ifndef ARC_SERVICES_HARDWARE_FILE_UTIL_H_
#define ARC_SERVICES_HARDWARE_FILE_UTIL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::hardware {

// `errno` in words, with what was tried: "open /x: No such file or directory". Unavailable.
absl::Status ErrnoError(absl::string_view what, absl::string_view path);

// Puts `content` at `path` in one step: a reader, and a restart after a crash at any moment, finds the old
// content or the new. With `durable` it is on the disk when this returns. Two writers of one path must not
// meet.
absl::Status ReplaceFile(const std::string& path, absl::string_view content, bool durable);

// The whole file. NotFound when there is none.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Makes what was created, renamed or removed in the folder of `path` last through a power cut.
absl::Status SyncFolderOf(const std::string& path);

// Writes all of `content` to `fd`.
absl::Status WriteAll(int fd, absl::string_view content, absl::string_view path);

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_FILE_UTIL_H_
