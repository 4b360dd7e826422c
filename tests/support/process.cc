#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"

namespace arc::testing_support {

TempDir::TempDir() {
  std::error_code error;
  std::string name = (std::filesystem::temp_directory_path(error) / "arc-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    ADD_FAILURE() << "mkdtemp " << name << ": " << std::strerror(errno);
  }
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TempDir::File(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const std::vector<std::string>& argv,
                                                        const std::vector<std::string>& environment) {
  auto process = std::unique_ptr<Process>(new Process());
  process->output_ = std::make_unique<TempDir>();
  const std::string out = process->output_->File("stdout");
  const std::string err = process->output_->File("stderr");
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  variables.reserve(environment.size() + 1);
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  int failure[2];
  if (pipe2(failure, O_CLOEXEC) != 0) return absl::InternalError(std::strerror(errno));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(absl::StrCat("fork: ", std::strerror(errno)));
  if (pid == 0) {
    // Only what is async-signal-safe: the test has threads.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int in = open("/dev/null", O_RDONLY);
    const int to_out = open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int to_err = open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(in, 0);
    dup2(to_out, 1);
    dup2(to_err, 2);
    for (char* variable : variables) putenv(variable);
    execvp(arguments[0], arguments.data());
    const int error = errno;
    (void)!write(failure[1], &error, sizeof error);
    _exit(127);
  }
  close(failure[1]);
  int error = 0;
  const ssize_t got = read(failure[0], &error, sizeof error);
  close(failure[0]);
  process->pid_ = pid;
  process->pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (got == static_cast<ssize_t>(sizeof error)) {
    return absl::NotFoundError(absl::StrCat("cannot run ", argv[0], ": ", std::strerror(error)));
  }
  return process;
}

Process::~Process() {
  Kill();
  if (pidfd_ >= 0) close(pidfd_);
}

void Process::Send(int signal) const {
  if (!status_.has_value()) kill(pid_, signal);
}

void Process::Kill() {
  if (status_.has_value()) return;
  kill(pid_, SIGKILL);
  WaitExit(absl::Seconds(30));
}

std::optional<int> Process::WaitExit(absl::Duration limit) {
  if (status_.has_value()) return status_;
  if (!WaitReadable(pidfd_, limit)) return std::nullopt;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return status_;
}

bool Process::running() {
  return !WaitExit(absl::ZeroDuration()).has_value();
}

std::string Process::Stdout() const {
  return ReadFile(output_->File("stdout"));
}

std::string Process::Stderr() const {
  return ReadFile(output_->File("stderr"));
}

bool Process::AwaitFile(const std::string& file, absl::Duration limit) {
  std::error_code error;
  const bool there = Await(absl::StrCat("process ", pid_, " writes ", file), limit,
                           [&] { return std::filesystem::exists(file, error) || !running(); });
  if (there && std::filesystem::exists(file, error)) return true;
  ADD_FAILURE() << "no " << file << "; the process " << (running() ? "runs" : "ended") << " and wrote:\n"
                << Stdout() << Stderr();
  return false;
}

Finished RunProgram(const std::vector<std::string>& argv, absl::Duration limit) {
  absl::StatusOr<std::unique_ptr<Process>> process = Process::Start(argv);
  Finished finished;
  if (!process.ok()) {
    finished.err = std::string(process.status().message());
    return finished;
  }
  const std::optional<int> status = (*process)->WaitExit(limit);
  if (status.has_value()) finished.status = *status;
  (*process)->Kill();
  finished.out = (*process)->Stdout();
  finished.err = (*process)->Stderr();
  if (!status.has_value()) {
    ADD_FAILURE() << absl::StrJoin(argv, " ") << " did not end within " << absl::FormatDuration(limit)
                  << ":\n"
                  << finished.out << finished.err;
  }
  return finished;
}

}  // namespace arc::testing_support
