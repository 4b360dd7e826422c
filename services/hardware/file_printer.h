#ifndef ARC_SERVICES_HARDWARE_FILE_PRINTER_H_
#define ARC_SERVICES_HARDWARE_FILE_PRINTER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/hardware/printer.h"

namespace arc::hardware {

// A file that stands for paper: each job is appended and on the disk when Print() returns, and the file as a
// whole can be sent to any ESC/POS printer. In front of each job stands a mark that printers skip (`ESC = 2`,
// printer off, the job's id, length and checksum, `ESC = 1`, printer on). So the file knows for certain what
// is on it: a job that is there is not appended again, and a job that a crash cut short is removed. Several
// processes may share one file.
class FilePrinter final : public Printer {
 public:
  // FailedPrecondition when the folder of `path` does not exist or the file cannot be written.
  static absl::StatusOr<std::unique_ptr<FilePrinter>> Open(absl::string_view path);

  PrintResult Print(absl::string_view job_id, absl::string_view bytes) override;
  PrinterState GetState() override;
  std::optional<bool> WasPrinted(absl::string_view job_id) override;
  std::string name() const override { return "file:" + path_; }

 private:
  explicit FilePrinter(std::string path) : path_(std::move(path)) {}

  // Brings `jobs_` up to date with the file and cuts off a torn end. The caller holds the file's lock.
  absl::Status Scan(int fd);
  absl::Status Append(int fd, absl::string_view job_id, absl::string_view bytes);

  const std::string path_;
  std::mutex mutex_;
  dev_t device_ = 0;  // Which file `jobs_` was read from, and up to where.
  ino_t inode_ = 0;
  off_t scanned_ = 0;
  std::set<std::string> jobs_;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_FILE_PRINTER_H_
