#include "services/terminal_sim/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::terminal_sim {
namespace {

absl::Status FileError(absl::string_view what, absl::string_view path) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " the journal ", path, ": ", std::strerror(errno)));
}

// A new file is only there for good once its folder is on the disk too.
absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open the folder of", path);
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced ? absl::OkStatus() : FileError("sync the folder of", path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", path);
  auto journal = std::unique_ptr<Journal>(new Journal(fd, path));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("another process has the journal ", path, " open"));
  }
  RETURN_IF_ERROR(SyncFolderOf(path));
  RETURN_IF_ERROR(journal->Load());
  return journal;
}

Journal::~Journal() {
  close(fd_);
}

absl::Status Journal::Load() {
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t got = pread(fd_, buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path_);
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  size_t start = 0;
  for (size_t end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    lines_.push_back(text.substr(start, end - start));
  }
  if (start < text.size() && (ftruncate(fd_, static_cast<off_t>(start)) != 0 || fsync(fd_) != 0)) {
    return FileError("cut the unfinished last line off", path_);
  }
  size_ = static_cast<int64_t>(start);
  return absl::OkStatus();
}

absl::Status Journal::Append(absl::string_view line) {
  const std::string text = absl::StrCat(line, "\n");
  size_t written = 0;
  bool failed = false;
  while (written < text.size() && !failed) {
    const ssize_t put = write(fd_, text.data() + written, text.size() - written);
    if (put >= 0) {
      written += static_cast<size_t>(put);
    } else if (errno != EINTR) {
      failed = true;
    }
  }
  if (!failed && fdatasync(fd_) == 0) {
    size_ += static_cast<int64_t>(text.size());
    return absl::OkStatus();
  }
  absl::Status error = FileError("write", path_);
  if (ftruncate(fd_, static_cast<off_t>(size_)) != 0) {
    return absl::DataLossError(absl::StrCat(error.message(), "; and a part of a line cannot be taken back"));
  }
  return error;
}

}  // namespace arc::terminal_sim
