// A program that this process runs, with pipes to its stdin and stdout.
#ifndef ARC_SERVICES_TTS_CHILD_H_
#define ARC_SERVICES_TTS_CHILD_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc::tts {

// Kill() may be called from any thread, the rest from one at a time. The program is killed, and waited for,
// when this is destroyed; it sees the end of its stdin when this process dies.
class Child {
 public:
  // `argv[0]` is a path or a name to look up in PATH. NotFound: there is no such program.
  static absl::StatusOr<std::unique_ptr<Child>> Start(const std::vector<std::string>& argv);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Writes all of `text` to its stdin and closes that. Unavailable: it reads no more.
  absl::Status WriteAndClose(absl::string_view text);

  // What it wrote since, at most `size` bytes; 0 is the end. DeadlineExceeded: nothing came for `limit`.
  absl::StatusOr<size_t> Read(char* buffer, size_t size, absl::Duration limit);

  // Waits for its end, at most `limit`, and kills it then. Its exit status, 128 + signal when a signal ended
  // it.
  int Wait(absl::Duration limit);
  bool running();
  void Kill();

  // The end of what it wrote to stderr: why it failed, for an operator.
  std::string Complaint() const;

 private:
  Child() = default;

  std::mutex mutex_;  // guards pid_ against Kill()
  pid_t pid_ = -1;    // -1: it was waited for
  int status_ = 0;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  int pidfd_ = -1;
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_CHILD_H_
