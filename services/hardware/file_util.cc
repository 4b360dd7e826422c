#include "services/hardware/file_util.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "services/hardware/unique_fd.h"

namespace arc::hardware {

absl::Status ErrnoError(absl::string_view what, absl::string_view path) {
  const std::error_code code(errno, std::generic_category());
  const std::string message = absl::StrCat(what, " ", path, ": ", code.message());
  return code.value() == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
}

absl::Status WriteAll(int fd, absl::string_view content, absl::string_view path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError("write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("open", folder);
  if (fsync(fd.get()) != 0) return ErrnoError("fsync", folder);
  return absl::OkStatus();
}

absl::Status ReplaceFile(const std::string& path, absl::string_view content, bool durable) {
  const std::string temporary = path + ".tmp";
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) return ErrnoError("open", temporary);
  absl::Status status = WriteAll(fd.get(), content, temporary);
  if (status.ok() && durable && fsync(fd.get()) != 0) status = ErrnoError("fsync", temporary);
  fd.Reset();
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = ErrnoError("rename to", path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return durable ? SyncFolderOf(path) : absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("open", path);
  std::string content;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("read", path);
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<size_t>(got));
  }
}

}  // namespace arc::hardware
