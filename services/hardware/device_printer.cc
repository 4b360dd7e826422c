#include "services/hardware/device_printer.h"

#include <fcntl.h>
#include <linux/lp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/hardware/file_util.h"
#include "services/hardware/unique_fd.h"

namespace arc::hardware {
namespace {

using Condition = PrinterState::Condition;
using std::chrono::milliseconds;

// DLE EOT 1 (printer), 2 (why it is offline), 4 (paper sensor).
constexpr absl::string_view kStatusRequest = "\x10\x04\x01\x10\x04\x02\x10\x04\x04";
// GS r 1: the paper sensor, answered after everything before it was printed.
constexpr absl::string_view kFinishRequest = "\x1Dr\x01";

PrinterState Offline(absl::string_view detail) {
  return {Condition::kOffline, std::string(detail), false, false};
}

std::string ErrnoText(int error) {
  return std::error_code(error, std::generic_category()).message();
}

// Whether `fd` became ready for `events` (or failed) within `timeout`.
bool WaitFor(int fd, short events, milliseconds timeout) {
  pollfd entry{fd, events, 0};
  int ready;
  do {
    ready = poll(&entry, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// One byte from `fd`: the byte, -1 at the end of the stream, -2 after a failure, -3 when none came in time.
constexpr int kEnd = -1;
constexpr int kFailed = -2;
constexpr int kSilent = -3;
int ReadByte(int fd, milliseconds timeout) {
  while (true) {
    uint8_t byte = 0;
    const ssize_t got = read(fd, &byte, 1);
    if (got == 1) return byte;
    if (got == 0) return kEnd;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return kFailed;
    if (!WaitFor(fd, POLLIN, timeout)) return kSilent;
  }
}

// Drops what came in before it was asked for.
void Drain(int fd) {
  std::array<char, 64> buffer;
  while (read(fd, buffer.data(), buffer.size()) > 0) {
  }
}

class WirePrinter : public Printer {
 public:
  explicit WirePrinter(const PrinterTimeouts& timeouts) : timeouts_(timeouts) {}

  PrintResult Print(absl::string_view, absl::string_view bytes) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    absl::StatusOr<UniqueFd> fd = Connect();
    if (!fd.ok()) return {PrintResult::Fate::kNotStarted, Offline(fd.status().message())};
    PrinterState state = Ask(fd->get());
    if (state.condition != Condition::kReady) return {PrintResult::Fate::kNotStarted, std::move(state)};
    const bool ask_finish = state.reported && answers_finish_;
    const std::string job = ask_finish ? absl::StrCat(bytes, kFinishRequest) : std::string(bytes);
    size_t sent = 0;
    const std::string error = Send(fd->get(), job, sent);
    if (!error.empty()) {
      return {sent == 0 ? PrintResult::Fate::kNotStarted : PrintResult::Fate::kUncertain,
              Offline(absl::StrCat("after ", sent, " of ", bytes.size(), " bytes: ", error))};
    }
    if (!state.reported) return ConfirmByClose(fd->get());
    return ask_finish ? ConfirmByFinish(fd->get(), std::move(state)) : ConfirmByStatus(fd->get());
  }

  PrinterState GetState() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    absl::StatusOr<UniqueFd> fd = Connect();
    return fd.ok() ? Ask(fd->get()) : Offline(fd.status().message());
  }

  std::optional<bool> WasPrinted(absl::string_view) override { return std::nullopt; }

 protected:
  // A non-blocking descriptor to the printer.
  virtual absl::StatusOr<UniqueFd> Connect() = 0;
  virtual ssize_t Write(int fd, absl::string_view bytes) = 0;
  // Whether the end of what can be read means that the printer is gone. Of a device it may mean that it
  // cannot be read.
  virtual bool IsConnection() const = 0;
  // Nothing, or the state that the driver tells without the printer's help.
  virtual std::optional<PrinterState> AskDriver(int) { return std::nullopt; }
  // Everything was sent to a printer that does not report.
  virtual PrintResult ConfirmByClose(int fd) = 0;

  const PrinterTimeouts timeouts_;

 private:
  PrinterState Ask(int fd) {
    if (std::optional<PrinterState> state = AskDriver(fd);
        state.has_value() && state->condition != Condition::kReady) {
      return *state;
    }
    Drain(fd);
    size_t sent = 0;
    const std::string error = Send(fd, kStatusRequest, sent);
    if (!error.empty()) return Offline(absl::StrCat("status request: ", error));
    // Some models know the first of the three requests only; what they do not say is taken as good.
    std::array<uint8_t, 3> answers = {0x12, 0x12, 0x12};
    for (size_t i = 0; i < answers.size(); ++i) {
      const int byte = ReadByte(fd, timeouts_.status);
      const bool mute = byte == kSilent || (byte < 0 && !IsConnection());
      if (mute && i > 0) break;
      if (mute && !answered_before_) return PrinterState();
      if (mute) return Offline("the printer no longer answers status requests");
      if (byte < 0) return Offline("the printer closed the connection");
      answers[i] = static_cast<uint8_t>(byte);
    }
    std::optional<PrinterState> state = ParseStatusAnswers(answers[0], answers[1], answers[2]);
    // A port that echoes or talks of other things is not a status.
    if (!state.has_value()) return PrinterState();
    answered_before_ = true;
    return *state;
  }

  // Empty when all was taken, else what stopped it.
  std::string Send(int fd, absl::string_view bytes, size_t& sent) {
    while (sent < bytes.size()) {
      const ssize_t written = Write(fd, bytes.substr(sent));
      if (written > 0) {
        sent += static_cast<size_t>(written);
      } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
        return ErrnoText(errno);
      } else if (!WaitFor(fd, POLLOUT, timeouts_.write)) {
        return absl::StrCat("the printer took nothing for ", timeouts_.write.count(), " ms");
      }
    }
    return std::string();
  }

  PrintResult ConfirmByFinish(int fd, PrinterState state) {
    const int byte = ReadByte(fd, timeouts_.finish);
    if (byte >= 0) {
      // Bits 2 and 3: the sensor sees no paper.
      if ((byte & 0x90) != 0 || (byte & 0x0C) == 0) return {PrintResult::Fate::kPrinted, std::move(state)};
      return {PrintResult::Fate::kUncertain,
              {Condition::kPaperOut, "the paper ran out during the receipt", false, true}};
    }
    if (byte != kSilent) {
      return {PrintResult::Fate::kUncertain,
              Offline("the printer closed the connection before the receipt was finished")};
    }
    // Either it stopped in the middle, or it is a model that knows DLE EOT but not GS r, which need not be
    // waited for again.
    PrintResult result = ConfirmByStatus(fd);
    if (result.fate == PrintResult::Fate::kPrinted) answers_finish_ = false;
    return result;
  }

  PrintResult ConfirmByStatus(int fd) {
    PrinterState state = Ask(fd);
    const bool ready = state.condition == Condition::kReady;
    return {ready ? PrintResult::Fate::kPrinted : PrintResult::Fate::kUncertain, std::move(state)};
  }

  std::mutex mutex_;
  bool answered_before_ = false;
  bool answers_finish_ = true;
};

class TcpPrinter final : public WirePrinter {
 public:
  TcpPrinter(absl::string_view host, int port, const PrinterTimeouts& timeouts)
      : WirePrinter(timeouts), host_(host), port_(absl::StrCat(port)) {}

  std::string name() const override { return absl::StrCat("tcp:", host_, ":", port_); }

 protected:
  absl::StatusOr<UniqueFd> Connect() override {
    const std::string where = absl::StrCat("connect to ", host_, ":", port_, ": ");
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found);
    if (failed != 0) return absl::UnavailableError(absl::StrCat(where, gai_strerror(failed)));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
    std::string error = "no address";
    for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
      UniqueFd fd(socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol));
      if (!fd.valid()) {
        error = ErrnoText(errno);
        continue;
      }
      int result = connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
      if (result == EINPROGRESS) {
        result = ETIMEDOUT;
        socklen_t size = sizeof(result);
        if (WaitFor(fd.get(), POLLOUT, timeouts_.connect)) {
          getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &result, &size);
        }
      }
      if (result == 0) return fd;
      error = ErrnoText(result);
    }
    return absl::UnavailableError(absl::StrCat(where, error));
  }

  ssize_t Write(int fd, absl::string_view bytes) override {
    return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  bool IsConnection() const override { return true; }

  PrintResult ConfirmByClose(int fd) override {
    shutdown(fd, SHUT_WR);
    int byte;
    do {
      byte = ReadByte(fd, timeouts_.close);
    } while (byte >= 0);
    if (byte == kEnd) return {PrintResult::Fate::kPrinted, PrinterState()};
    if (byte == kSilent) {
      // It keeps its side open, as some print servers do. In this state it has acknowledged every byte.
      tcp_info info{};
      socklen_t size = sizeof(info);
      if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_FIN_WAIT2) {
        return {PrintResult::Fate::kPrinted, PrinterState()};
      }
      return {PrintResult::Fate::kUncertain, Offline("the printer did not take the end of the receipt")};
    }
    return {PrintResult::Fate::kUncertain, Offline("the printer reset the connection during the receipt")};
  }

 private:
  const std::string host_;
  const std::string port_;
};

class LocalPrinter final : public WirePrinter {
 public:
  LocalPrinter(absl::string_view path, const PrinterTimeouts& timeouts)
      : WirePrinter(timeouts), path_(path) {}

  std::string name() const override { return "dev:" + path_; }

 protected:
  absl::StatusOr<UniqueFd> Connect() override {
    UniqueFd fd(open(path_.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd.valid() && (errno == EACCES || errno == EINVAL || errno == EPERM)) {
      fd = UniqueFd(open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    }
    if (!fd.valid()) return ErrnoError("open", path_);
    struct stat info {};
    if (fstat(fd.get(), &info) != 0 || !S_ISCHR(info.st_mode)) {
      return absl::UnavailableError(
          absl::StrCat(path_, " is not a character device; for a file use file:", path_));
    }
    termios settings{};
    if (isatty(fd.get()) == 1 && tcgetattr(fd.get(), &settings) == 0) {
      cfmakeraw(&settings);
      tcsetattr(fd.get(), TCSANOW, &settings);
    }
    return fd;
  }

  ssize_t Write(int fd, absl::string_view bytes) override { return write(fd, bytes.data(), bytes.size()); }

  std::optional<PrinterState> AskDriver(int fd) override {
    int bits = 0;
    if (ioctl(fd, LPGETSTATUS, &bits) != 0) return std::nullopt;
    if ((bits & LP_POUTPA) != 0) return PrinterState{Condition::kPaperOut, "out of paper", false, true};
    if ((bits & LP_PSELECD) == 0) return PrinterState{Condition::kOffline, "switched off", false, true};
    if ((bits & LP_PERRORP) == 0) return PrinterState{Condition::kOffline, "printer error", false, true};
    return PrinterState();
  }

  bool IsConnection() const override { return false; }

  PrintResult ConfirmByClose(int fd) override {
    std::optional<PrinterState> state = AskDriver(fd);
    if (!state.has_value() || state->condition == Condition::kReady) {
      return {PrintResult::Fate::kPrinted, PrinterState()};
    }
    return {PrintResult::Fate::kUncertain, *std::move(state)};
  }

 private:
  const std::string path_;
};

}  // namespace

std::optional<PrinterState> ParseStatusAnswers(uint8_t printer, uint8_t offline, uint8_t paper) {
  // Bits 0, 1, 4 and 7 of every such answer are fixed.
  for (const uint8_t answer : {printer, offline, paper}) {
    if ((answer & 0x93) != 0x12) return std::nullopt;
  }
  PrinterState state;
  state.reported = true;
  state.paper_low = (paper & 0x0C) != 0;
  if ((paper & 0x60) != 0 || (offline & 0x20) != 0) {
    state.condition = Condition::kPaperOut;
    state.detail = "out of paper";
  } else if ((offline & 0x04) != 0) {
    state.condition = Condition::kOffline;
    state.detail = "cover open";
  } else if ((offline & 0x40) != 0) {
    state.condition = Condition::kOffline;
    state.detail = "printer error";
  } else if ((printer & 0x08) != 0) {
    state.condition = Condition::kOffline;
    state.detail = "switched offline";
  }
  return state;
}

std::unique_ptr<Printer> NewTcpPrinter(absl::string_view host, int port, const PrinterTimeouts& timeouts) {
  return std::make_unique<TcpPrinter>(host, port, timeouts);
}

std::unique_ptr<Printer> NewDevicePrinter(absl::string_view path, const PrinterTimeouts& timeouts) {
  return std::make_unique<LocalPrinter>(path, timeouts);
}

}  // namespace arc::hardware
