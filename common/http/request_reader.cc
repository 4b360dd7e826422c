#include "common/http/request_reader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace arc {
namespace {

constexpr absl::Duration kLinger = absl::Seconds(1);
constexpr size_t kMaxDrained = size_t{8} * 1024 * 1024;
constexpr absl::string_view kHeadEnd = "\r\n\r\n";

// Whether the chunked body that `bytes` begin with is all there; true of what is none.
bool ChunksAreWhole(absl::string_view bytes) {
  for (;;) {
    const size_t line = bytes.find("\r\n");
    if (line == absl::string_view::npos) return bytes.size() > 64;
    uint64_t size = 0;
    const absl::string_view number = bytes.substr(0, std::min(line, bytes.find(';')));
    if (number.empty() || number.size() > 8 || !absl::SimpleHexAtoi(number, &size)) return true;
    bytes.remove_prefix(line + 2);
    if (size == 0) return bytes.find("\r\n") != absl::string_view::npos;
    if (bytes.size() < size + 2) return false;
    bytes.remove_prefix(size + 2);
  }
}

void SendAtOnce(int socket, absl::string_view text) {
  // A client that does not take so little does not get it.
  (void)!send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

Completeness JudgeRequest(absl::string_view bytes, const RequestLimits& limits, bool* continue_expected) {
  *continue_expected = false;
  const size_t end = bytes.find(kHeadEnd);
  if (end == absl::string_view::npos) {
    return bytes.size() > limits.header_bytes ? Completeness::kHeadTooLarge : Completeness::kPart;
  }
  if (end > limits.header_bytes) return Completeness::kHeadTooLarge;
  const absl::string_view body = bytes.substr(end + kHeadEnd.size());
  uint64_t length = 0;
  bool chunked = false;
  bool expects = false;
  for (const absl::string_view line : absl::StrSplit(bytes.substr(0, end), "\r\n")) {
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    const absl::string_view name = line.substr(0, colon);
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      if (!absl::SimpleAtoi(value, &length)) return Completeness::kWhole;
    } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      chunked = absl::EqualsIgnoreCase(value, "chunked");
    } else if (absl::EqualsIgnoreCase(name, "Expect")) {
      expects = absl::EqualsIgnoreCase(value, "100-continue");
    }
  }
  // Too large: the server says so.
  if (length > limits.body_bytes || body.size() > limits.body_bytes * 2) return Completeness::kWhole;
  if (chunked ? ChunksAreWhole(body) : body.size() >= length) return Completeness::kWhole;
  *continue_expected = expects;
  return Completeness::kPart;
}

RequestReader::RequestReader(const RequestLimits& limits, Taker taker)
    : limits_(limits), taker_(std::move(taker)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  thread_ = std::thread([this] { Run(); });
}

RequestReader::~RequestReader() {
  Stop();
  if (wake_ >= 0) close(wake_);
}

void RequestReader::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
}

void RequestReader::Take(int socket) {
  Connection connection;
  connection.socket = socket;
  connection.since = absl::Now();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!stopped_) {
      taken_.push_back(std::move(connection));
      socket = -1;
    }
  }
  if (socket >= 0) close(socket);
  Wake();
}

void RequestReader::Finish(int socket) {
  shutdown(socket, SHUT_WR);
  Connection connection;
  connection.socket = socket;
  connection.since = absl::Now();
  connection.answered = true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!stopped_) {
      taken_.push_back(std::move(connection));
      socket = -1;
    }
  }
  if (socket >= 0) close(socket);
  Wake();
}

void RequestReader::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
}

bool RequestReader::Read(Connection& connection) {
  std::array<char, size_t{64} * 1024> buffer;
  const ssize_t got = recv(connection.socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (got == 0) return false;
  if (connection.answered) {
    connection.drained += static_cast<size_t>(got);
    return connection.drained <= kMaxDrained;
  }
  connection.bytes.append(buffer.data(), static_cast<size_t>(got));
  bool continue_expected = false;
  switch (JudgeRequest(connection.bytes, limits_, &continue_expected)) {
    case Completeness::kPart:
      if (continue_expected && !std::exchange(connection.told_to_continue, true)) {
        SendAtOnce(connection.socket, "HTTP/1.1 100 Continue\r\n\r\n");
      }
      return true;
    case Completeness::kHeadTooLarge:
      SendAtOnce(
          connection.socket,
          "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      shutdown(connection.socket, SHUT_WR);
      connection.answered = true;
      connection.bytes.clear();
      connection.since = absl::Now();
      return true;
    case Completeness::kWhole:
      taker_(std::exchange(connection.socket, -1), std::move(connection.bytes));
      return false;
  }
  return false;
}

// Closes whom there is no place for.
void RequestReader::MakeRoom() {
  while (connections_.size() > limits_.connections) {
    close(connections_.front().socket);
    connections_.pop_front();
  }
  size_t all = 0;
  for (const Connection& connection : connections_) all += connection.bytes.size();
  while (all > limits_.all_bytes) {
    const auto largest = std::max_element(
        connections_.begin(), connections_.end(),
        [](const Connection& a, const Connection& b) { return a.bytes.size() < b.bytes.size(); });
    all -= largest->bytes.size();
    close(largest->socket);
    connections_.erase(largest);
  }
}

void RequestReader::Run() {
  std::vector<pollfd> polled;
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) {
        for (const Connection& connection : connections_) close(connection.socket);
        for (const Connection& connection : taken_) close(connection.socket);
        connections_.clear();
        taken_.clear();
        return;
      }
      for (Connection& connection : taken_) connections_.push_back(std::move(connection));
      taken_.clear();
    }
    // What has come is read before anything is closed: whole requests are served however many there are.
    polled.assign(1, {wake_, POLLIN, 0});
    const absl::Duration limit = connections_.size() > limits_.many ? limits_.pressed : limits_.whole;
    absl::Time next = absl::InfiniteFuture();
    for (const Connection& connection : connections_) {
      polled.push_back({connection.socket, POLLIN, 0});
      next = std::min(next, connection.since + (connection.answered ? std::min(limit, kLinger) : limit));
    }
    int timeout = -1;
    if (connections_.size() > limits_.connections) {
      timeout = 0;
    } else if (next != absl::InfiniteFuture()) {
      timeout =
          static_cast<int>(absl::ToInt64Milliseconds(std::max(next - absl::Now(), absl::ZeroDuration())) + 1);
    }
    (void)poll(polled.data(), polled.size(), timeout);
    uint64_t count = 0;
    (void)!read(wake_, &count, sizeof count);
    const absl::Time now = absl::Now();
    size_t i = 1;
    for (auto it = connections_.begin(); it != connections_.end(); ++i) {
      const bool readable = polled[i].revents != 0;
      const absl::Duration own = it->answered ? std::min(limit, kLinger) : limit;
      if ((!readable || Read(*it)) && now < it->since + own) {
        ++it;
        continue;
      }
      if (it->socket >= 0) close(it->socket);
      it = connections_.erase(it);
    }
    MakeRoom();
  }
}

}  // namespace arc
