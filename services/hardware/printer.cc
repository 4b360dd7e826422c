#include "services/hardware/printer.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/hardware/device_printer.h"
#include "services/hardware/file_printer.h"

namespace arc::hardware {

absl::string_view ConditionName(PrinterState::Condition condition) {
  switch (condition) {
    case PrinterState::Condition::kReady:
      return "ready";
    case PrinterState::Condition::kPaperOut:
      return "out_of_paper";
    case PrinterState::Condition::kOffline:
      return "unreachable";
  }
  return "unreachable";
}

absl::StatusOr<std::unique_ptr<Printer>> OpenPrinter(absl::string_view spec,
                                                     const PrinterTimeouts& timeouts) {
  absl::string_view rest = spec;
  if (absl::ConsumePrefix(&rest, "file:") && !rest.empty()) return FilePrinter::Open(rest);
  if (absl::ConsumePrefix(&rest, "dev:") && !rest.empty()) return NewDevicePrinter(rest, timeouts);
  if (absl::ConsumePrefix(&rest, "tcp:")) {
    const size_t colon = rest.rfind(':');
    if (colon != absl::string_view::npos) {
      absl::string_view host = rest.substr(0, colon);
      if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
      int port = 0;
      if (!host.empty() && absl::SimpleAtoi(rest.substr(colon + 1), &port) && port >= 1 && port <= 65535) {
        return NewTcpPrinter(host, port, timeouts);
      }
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("printer \"", spec, "\" is none of file:PATH, tcp:HOST:PORT, dev:PATH"));
}

}  // namespace arc::hardware
