#include "services/hardware/test_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <utility>

#include "common/status/status_macros.h"
#include "gtest/gtest.h"

namespace arc::hardware {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

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
        if (behaviour.answers_finish) answers += out ? '\x0C' : '\x00';
      } else if (pending[2] != '\x01' && !behaviour.answers_details) {
        // Silent, as a model that knows only the first request.
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

absl::Status FakeBucket::Reach() {
  return away_ ? absl::UnavailableError("the bus is away") : absl::OkStatus();
}

absl::StatusOr<bus::KeyValue::Entry> FakeBucket::Get(absl::string_view key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  RETURN_IF_ERROR(Reach());
  const auto it = entries_.find(std::string(key));
  if (it == entries_.end()) return absl::NotFoundError("no such key");
  return it->second;
}

absl::StatusOr<uint64_t> FakeBucket::Put(absl::string_view key, absl::string_view value) {
  if (on_moment) on_moment("put");
  const std::lock_guard<std::mutex> lock(mutex_);
  RETURN_IF_ERROR(Reach());
  entries_[std::string(key)] = {std::string(key), std::string(value), ++revision_, false};
  return revision_;
}

absl::StatusOr<uint64_t> FakeBucket::Create(absl::string_view key, absl::string_view value) {
  if (on_moment) on_moment("create");
  uint64_t revision = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    RETURN_IF_ERROR(Reach());
    if (entries_.count(std::string(key)) > 0) return absl::AlreadyExistsError("key exists");
    entries_[std::string(key)] = {std::string(key), std::string(value), ++revision_, false};
    revision = revision_;
    if (std::exchange(lose_create_, false)) return absl::DeadlineExceededError("no answer");
  }
  if (on_moment) on_moment("created");
  return revision;
}

absl::StatusOr<uint64_t> FakeBucket::Update(absl::string_view key, absl::string_view value,
                                            uint64_t revision) {
  const std::lock_guard<std::mutex> lock(mutex_);
  RETURN_IF_ERROR(Reach());
  const auto it = entries_.find(std::string(key));
  if (it == entries_.end() || it->second.revision != revision) return absl::AbortedError("wrong revision");
  it->second.value = std::string(value);
  it->second.revision = ++revision_;
  return revision_;
}

absl::Status FakeBucket::Delete(absl::string_view key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  entries_.erase(std::string(key));
  return absl::OkStatus();
}

absl::Status FakeBucket::Purge(absl::string_view key) {
  return Delete(key);
}

absl::StatusOr<std::vector<std::string>> FakeBucket::Keys() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> keys;
  for (const auto& [key, entry] : entries_) keys.push_back(key);
  return keys;
}

absl::StatusOr<std::unique_ptr<bus::Subscription>> FakeBucket::Watch(absl::string_view,
                                                                     std::function<void(const Entry&)>,
                                                                     std::function<void()>) {
  return absl::UnimplementedError("this bucket is not watched");
}

void FakeBucket::SetAway(bool away) {
  const std::lock_guard<std::mutex> lock(mutex_);
  away_ = away;
}

void FakeBucket::LoseNextCreateAnswer() {
  const std::lock_guard<std::mutex> lock(mutex_);
  lose_create_ = true;
}

std::map<std::string, bus::KeyValue::Entry> FakeBucket::entries() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_;
}

void FakeBucket::SetEntries(std::map<std::string, Entry> entries) {
  const std::lock_guard<std::mutex> lock(mutex_);
  entries_ = std::move(entries);
  revision_ = 1000;
}

PrinterState FakePrinter::State() {
  PrinterState state;
  state.condition = condition_;
  if (condition_ != PrinterState::Condition::kReady) state.detail = "the test says so";
  return state;
}

PrintResult FakePrinter::Print(absl::string_view, absl::string_view bytes) {
  if (on_moment) on_moment("print");
  PrintResult result;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    result.state = State();
    result.fate = condition_ != PrinterState::Condition::kReady ? PrintResult::Fate::kNotStarted : fate_;
    if (result.fate == PrintResult::Fate::kUncertain)
      result.state = {PrinterState::Condition::kOffline, "cut off", false, false};
    if (result.fate == PrintResult::Fate::kPrinted) paper_.emplace_back(bytes);
  }
  if (on_moment) on_moment("printed");
  return result;
}

PrinterState FakePrinter::GetState() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++asked_;
  return State();
}

void FakePrinter::SetCondition(PrinterState::Condition condition) {
  const std::lock_guard<std::mutex> lock(mutex_);
  condition_ = condition;
}

void FakePrinter::SetFate(PrintResult::Fate fate) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fate_ = fate;
}

std::vector<std::string> FakePrinter::paper() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return paper_;
}

int FakePrinter::asked() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return asked_;
}

}  // namespace arc::hardware
