// Bytes as a file in memory, for a library that reads paths only.
#ifndef ARC_SERVICES_STT_MEMORY_FILE_H_
#define ARC_SERVICES_STT_MEMORY_FILE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace arc::stt {

class MemoryFile {
 public:
  // ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<MemoryFile>> Create(absl::string_view text) {
    std::unique_ptr<MemoryFile> file(new MemoryFile(memfd_create("arc-stt", MFD_CLOEXEC)));
    if (file->descriptor_ < 0) return absl::ResourceExhaustedError("no file in memory can be made");
    while (!text.empty()) {
      const ssize_t written = write(file->descriptor_, text.data(), text.size());
      if (written <= 0) return absl::ResourceExhaustedError("a file in memory cannot be written");
      text.remove_prefix(static_cast<size_t>(written));
    }
    return file;
  }
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // As long as this object lives.
  std::string path() const { return absl::StrCat("/proc/self/fd/", descriptor_); }

 private:
  explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_MEMORY_FILE_H_
