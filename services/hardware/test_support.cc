#include "services/hardware/test_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "gtest/gtest.h"

namespace arc::hardware {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

TempFolder::TempFolder() {
  std::string pattern = testing::TempDir() + "arc-hardware-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) abort();
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

FakeTcpPrinter::FakeTcpPrinter(const Behaviour& behaviour, int port) : behaviour_(behaviour) {
  listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  sockaddr* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(listener_.get(), generic, size), 0);
  EXPECT_EQ(listen(listener_.get(), 8), 0);
  getsockname(listener_.get(), generic, &size);
  port_ = ntohs(address.sin_port);
  std::array<int, 2> pipe_fds{};
  EXPECT_EQ(pipe2(pipe_fds.data(), O_CLOEXEC | O_NONBLOCK), 0);
  wake_read_ = UniqueFd(pipe_fds[0]);
  wake_write_ = UniqueFd(pipe_fds[1]);
  thread_ = std::thread([this] { Run(); });
}

FakeTcpPrinter::~FakeTcpPrinter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_write_.Reset();
  changed_.notify_all();
  thread_.join();
}

void FakeTcpPrinter::Set(const Behaviour& behaviour) {
  const std::lock_guard<std::mutex> lock(mutex_);
  behaviour_ = behaviour;
  changed_.notify_all();
}

bool FakeTcpPrinter::Stopped() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stop_;
}

std::string FakeTcpPrinter::AwaitPaper(const std::function<bool(const std::string&)>& done) {
  std::unique_lock<std::mutex> lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return done(paper_); }))
      << "waited for more on the paper than: " << paper_;
  return paper_;
}

void FakeTcpPrinter::AwaitPendingConnection() {
  pollfd entry{listener_.get(), POLLIN, 0};
  EXPECT_EQ(poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())), 1)
      << "waited for a client to connect";
}

void FakeTcpPrinter::Run() {
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || behaviour_.accepting; });
      if (stop_) return;
    }
    std::array<pollfd, 2> entries = {{{listener_.get(), POLLIN, 0}, {wake_read_.get(), POLLIN, 0}}};
    if (poll(entries.data(), entries.size(), -1) < 0 || Stopped()) continue;
    const UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) Serve(fd.get());
  }
}

void FakeTcpPrinter::Serve(int fd) {
  std::string pending;
  size_t received = 0;
  while (true) {
    Behaviour behaviour;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      behaviour = behaviour_;
      if (behaviour.stall_after > 0 && received >= behaviour.stall_after) {
        changed_.wait(lock, [this] { return stop_; });
        return;
      }
    }
    if (behaviour.reset_after > 0 && received >= behaviour.reset_after) {
      const linger hard{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
      return;
    }
    std::array<pollfd, 2> entries = {{{fd, POLLIN, 0}, {wake_read_.get(), POLLIN, 0}}};
    poll(entries.data(), entries.size(), -1);
    if (Stopped()) return;
    std::array<char, 512> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got == 0) return;
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return;
    }
    received += static_cast<size_t>(got);
    pending.append(buffer.data(), static_cast<size_t>(got));
    std::string printed;
    std::string answers;
    while (!pending.empty()) {
      // The tests' jobs hold no DLE or GS of their own.
      if (pending[0] != '\x10' && pending[0] != '\x1D') {
        printed += pending[0];
        pending.erase(0, 1);
        continue;
      }
      if (pending.size() < 3) break;
      const bool out = pending[0] == '\x10' ? behaviour.paper_out : behaviour.paper_out_after_job;
      if (pending[0] == '\x1D') {
        answers += out ? '\x0C' : '\x00';
      } else if (pending[2] == '\x04') {
        answers += out ? '\x72' : '\x12';
      } else {
        answers += pending[2] == '\x01' && out ? '\x1A' : '\x12';
      }
      pending.erase(0, 3);
    }
    if (behaviour.answers_status && !answers.empty()) {
      [[maybe_unused]] const ssize_t sent = send(fd, answers.data(), answers.size(), MSG_NOSIGNAL);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    paper_ += printed;
    changed_.notify_all();
  }
}

}  // namespace arc::hardware
