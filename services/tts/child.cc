#include "services/tts/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace arc::tts {
namespace {

void Close(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

int Milliseconds(absl::Duration limit) {
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(limit), 0, 1 << 30));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Child>> Child::Start(const std::vector<std::string>& argv) {
  std::unique_ptr<Child> child(new Child());
  std::array<int, 2> in = {-1, -1};
  std::array<int, 2> out = {-1, -1};
  // A socket, because writing to a pipe that nobody reads would raise SIGPIPE.
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0) {
    return absl::ResourceExhaustedError(std::strerror(errno));
  }
  child->in_ = in[1];
  if (pipe2(out.data(), O_CLOEXEC) != 0) {
    close(in[0]);
    return absl::ResourceExhaustedError(std::strerror(errno));
  }
  child->out_ = out[0];
  child->err_ = memfd_create("stderr", MFD_CLOEXEC);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  if (child->err_ >= 0) posix_spawn_file_actions_adddup2(&actions, child->err_, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> arguments = argv;
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  if (error != 0) {
    const std::string why = absl::StrCat(argv[0], ": ", std::strerror(error));
    return error == ENOENT || error == EACCES ? absl::NotFoundError(why) : absl::UnavailableError(why);
  }
  child->pid_ = pid;
  child->pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  return child;
}

Child::~Child() {
  Kill();
  Wait(absl::InfiniteDuration());
  Close(in_);
  Close(out_);
  Close(err_);
  Close(pidfd_);
}

absl::Status Child::WriteAndClose(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = send(in_, text.data(), text.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const std::string why = std::strerror(errno);
      Close(in_);
      return absl::UnavailableError(why);
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  Close(in_);
  return absl::OkStatus();
}

absl::StatusOr<size_t> Child::Read(char* buffer, size_t size, absl::Duration limit) {
  while (true) {
    pollfd event = {out_, POLLIN, 0};
    const int ready = poll(&event, 1, Milliseconds(limit));
    if (ready == 0) return absl::DeadlineExceededError("it made no sound in time");
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t count = read(out_, buffer, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::UnavailableError(std::strerror(errno));
    return static_cast<size_t>(count);
  }
}

bool Child::running() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = status;
  pid_ = -1;
  return false;
}

int Child::Wait(absl::Duration limit) {
  if (running() && pidfd_ >= 0 && limit != absl::InfiniteDuration()) {
    pollfd event = {pidfd_, POLLIN, 0};
    while (poll(&event, 1, Milliseconds(limit)) < 0 && errno == EINTR) {
    }
    if (running()) Kill();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (pid_ >= 0) {
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
}

void Child::Kill() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (pid_ >= 0) kill(pid_, SIGKILL);
}

std::string Child::Complaint() const {
  constexpr off_t kMost = 300;
  if (err_ < 0) return "";
  const off_t size = lseek(err_, 0, SEEK_END);
  std::string text(static_cast<size_t>(std::min(std::max<off_t>(size, 0), kMost)), '\0');
  const ssize_t count = pread(err_, text.data(), text.size(), std::max<off_t>(size - kMost, 0));
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace arc::tts
