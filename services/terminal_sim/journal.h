#ifndef ARC_SERVICES_TERMINAL_SIM_JOURNAL_H_
#define ARC_SERVICES_TERMINAL_SIM_JOURNAL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::terminal_sim {

// An append-only file of lines. A line is on the disk (fdatasync) before Append() returns, so what was
// acknowledged to anyone survives the death of the process and of the machine. Not thread-safe: the device
// appends under its lock.
class Journal {
 public:
  // Opens or creates the file and reads the lines it has. A last line without its newline was being written
  // when the process died, so nobody was told of it: it is cut off. Errors: FailedPrecondition when another
  // process has the file open, Unavailable for what the file system refuses.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // The lines found by Open(), oldest first, without their newlines.
  const std::vector<std::string>& lines() const { return lines_; }

  // Adds `line`, which holds no newline. After an error the file is as it was before. Errors: Unavailable;
  // and DataLoss when the file cannot be restored either, after which the process must not go on.
  absl::Status Append(absl::string_view line);

 private:
  Journal(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  absl::Status Load();

  const int fd_;
  const std::string path_;
  int64_t size_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace arc::terminal_sim

#endif  // ARC_SERVICES_TERMINAL_SIM_JOURNAL_H_
