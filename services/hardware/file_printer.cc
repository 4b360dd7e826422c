#include "services/hardware/file_printer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "services/hardware/file_util.h"
#include "services/hardware/unique_fd.h"

namespace arc::hardware {
namespace {

constexpr absl::string_view kMark =
    "\x1B=\x02"
    "ARC-JOB ";
constexpr absl::string_view kMarkEnd = "\n\x1B=\x01";
constexpr size_t kMaxMark = 512;

// FNV-1a, 64 bits: tells a job that was written from one whose blocks never reached the disk.
uint64_t Checksum(absl::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

std::string Frame(absl::string_view job_id, absl::string_view bytes) {
  return absl::StrCat(kMark, job_id, " ", bytes.size(), " ", absl::Hex(Checksum(bytes), absl::kZeroPad16),
                      kMarkEnd, bytes);
}

struct Job {
  enum class Kind { kWhole, kTorn, kDamaged };
  Kind kind = Kind::kTorn;
  std::string id;
  size_t size = 0;  // With its mark.
};

// The job at the start of `data`, which starts with kMark or breaks off within it.
Job ReadJob(absl::string_view data) {
  Job job;
  job.size = data.size();
  const size_t end = data.substr(0, kMaxMark).find(kMarkEnd);
  if (data.size() < kMark.size() || end == absl::string_view::npos) {
    if (data.size() > kMaxMark) {
      job.kind = Job::Kind::kDamaged;
      job.size = kMark.size();
    }
    return job;
  }
  const std::vector<absl::string_view> fields =
      absl::StrSplit(data.substr(kMark.size(), end - kMark.size()), ' ');
  uint64_t length = 0;
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[1], &length)) {
    job.kind = Job::Kind::kDamaged;
    job.size = end + kMarkEnd.size();
    return job;
  }
  const size_t start = end + kMarkEnd.size();
  if (length > data.size() - start) return job;
  const absl::string_view bytes = data.substr(start, length);
  job.size = start + length;
  job.kind = absl::StrCat(absl::Hex(Checksum(bytes), absl::kZeroPad16)) == fields[2] ? Job::Kind::kWhole
                                                                                     : Job::Kind::kDamaged;
  job.id = std::string(fields[0]);
  return job;
}

bool ValidJobId(absl::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '=' || c == '-';
  };
  return !id.empty() && id.size() <= 200 && std::all_of(id.begin(), id.end(), allowed);
}

absl::StatusOr<UniqueFd> OpenLocked(const std::string& path) {
  const bool existed = access(path.c_str(), F_OK) == 0;
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd.valid()) return ErrnoError("open", path);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError("lock", path);
  }
  if (!existed) RETURN_IF_ERROR(SyncFolderOf(path));
  return fd;
}

PrintResult NotStarted(PrinterState state) {
  return {PrintResult::Fate::kNotStarted, std::move(state)};
}

PrinterState Offline(absl::string_view detail) {
  return {PrinterState::Condition::kOffline, std::string(detail), false, true};
}

}  // namespace

absl::StatusOr<std::unique_ptr<FilePrinter>> FilePrinter::Open(absl::string_view path) {
  std::unique_ptr<FilePrinter> printer(new FilePrinter(std::string(path)));
  const absl::StatusOr<UniqueFd> fd = OpenLocked(printer->path_);
  absl::Status status = fd.ok() ? printer->Scan(fd->get()) : fd.status();
  if (!status.ok()) return absl::FailedPreconditionError(absl::StrCat("printer file: ", status.message()));
  return printer;
}

absl::Status FilePrinter::Scan(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoError("stat", path_);
  if (info.st_dev != device_ || info.st_ino != inode_ || info.st_size < scanned_) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
    scanned_ = 0;
    jobs_.clear();
  }
  std::string data(static_cast<size_t>(info.st_size - scanned_), '\0');
  size_t filled = 0;
  while (filled < data.size()) {
    const ssize_t got =
        pread(fd, data.data() + filled, data.size() - filled, scanned_ + static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("read", path_);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  absl::string_view rest(data.data(), filled);
  while (!rest.empty()) {
    const absl::string_view start = rest.substr(0, kMark.size());
    if (start != kMark.substr(0, start.size())) {
      // Bytes that somebody else put there are left alone.
      const size_t next = rest.find(kMark.substr(0, 3), 1);
      const size_t skip = next == absl::string_view::npos ? rest.size() : next;
      rest.remove_prefix(skip);
      scanned_ += static_cast<off_t>(skip);
      continue;
    }
    Job job = ReadJob(rest);
    const bool last = job.size >= rest.size();
    if (job.kind != Job::Kind::kWhole && last) {
      if (ftruncate(fd, scanned_) != 0) return ErrnoError("truncate", path_);
      if (fsync(fd) != 0) return ErrnoError("fsync", path_);
      return absl::OkStatus();
    }
    if (job.kind == Job::Kind::kWhole) jobs_.insert(std::move(job.id));
    rest.remove_prefix(job.size);
    scanned_ += static_cast<off_t>(job.size);
  }
  return absl::OkStatus();
}

absl::Status FilePrinter::Append(int fd, absl::string_view job_id, absl::string_view bytes) {
  const std::string frame = Frame(job_id, bytes);
  absl::Status status = WriteAll(fd, frame, path_);
  if (status.ok() && fsync(fd) != 0) status = ErrnoError("fsync", path_);
  if (!status.ok()) {
    // The disk is full or broken. What was written of the job goes again; if that fails too, the next scan
    // finds it.
    if (ftruncate(fd, scanned_) != 0) return status;
    return status;
  }
  scanned_ += static_cast<off_t>(frame.size());
  jobs_.insert(std::string(job_id));
  return absl::OkStatus();
}

PrintResult FilePrinter::Print(absl::string_view job_id, absl::string_view bytes) {
  if (!ValidJobId(job_id)) return NotStarted(Offline("the job's id has characters that are not allowed"));
  const std::lock_guard<std::mutex> lock(mutex_);
  const absl::StatusOr<UniqueFd> fd = OpenLocked(path_);
  absl::Status status = fd.ok() ? Scan(fd->get()) : fd.status();
  if (!status.ok()) return NotStarted(Offline(status.message()));
  if (jobs_.count(std::string(job_id)) > 0) return {PrintResult::Fate::kPrinted, GetState()};
  PrinterState state = GetState();
  if (state.condition != PrinterState::Condition::kReady) return NotStarted(std::move(state));
  status = Append(fd->get(), job_id, bytes);
  if (!status.ok()) return NotStarted(Offline(status.message()));
  return {PrintResult::Fate::kPrinted, std::move(state)};
}

PrinterState FilePrinter::GetState() {
  PrinterState state;
  state.reported = true;
  const std::string control = path_ + ".paper_out";
  if (access(control.c_str(), F_OK) == 0) {
    state.condition = PrinterState::Condition::kPaperOut;
    state.detail = absl::StrCat("out of paper: ", control, " exists");
  }
  return state;
}

std::optional<bool> FilePrinter::WasPrinted(absl::string_view job_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const absl::StatusOr<UniqueFd> fd = OpenLocked(path_);
  if (!fd.ok() || !Scan(fd->get()).ok()) return std::nullopt;
  return jobs_.count(std::string(job_id)) > 0;
}

}  // namespace arc::hardware
