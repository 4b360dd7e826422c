// Programs as tests start and end them.
#ifndef ARC_TESTS_SUPPORT_PROCESS_H_
#define ARC_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::testing_support {

// A folder of its own under the machine's temporary one, removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string File(absl::string_view name) const;

 private:
  std::string path_;
};

// The whole of a file; empty when there is none.
std::string ReadFile(const std::string& path);

// A child process. It is killed when this object is destroyed, and when the test dies.
class Process {
 public:
  // `argv[0]` is the program: a path, or a name to be looked up in PATH. What it writes is kept.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const std::vector<std::string>& argv,
                                                        const std::vector<std::string>& environment = {});
  ~Process();

  pid_t pid() const { return pid_; }
  void Send(int signal) const;
  // kill -9, and waits until it is gone.
  void Kill();
  // Its exit status (128 + signal when a signal ended it); none when it still runs after `limit`.
  std::optional<int> WaitExit(absl::Duration limit);
  bool running();
  // What it wrote so far, stdout and stderr apart.
  std::string Stdout() const;
  std::string Stderr() const;
  // Waits until `file` exists, which the process replaces atomically; false, and a failed test that shows
  // what the process wrote, when it ends before or `limit` is over.
  bool AwaitFile(const std::string& file, absl::Duration limit);

 private:
  Process() = default;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<int> status_;
  std::unique_ptr<TempDir> output_;
};

// Runs a program to its end.
struct Finished {
  int status = -1;  // -1: it did not end in time and was killed
  std::string out;
  std::string err;
};
Finished RunProgram(const std::vector<std::string>& argv, absl::Duration limit = absl::Seconds(60));

}  // namespace arc::testing_support

#endif  // ARC_TESTS_SUPPORT_PROCESS_H_
