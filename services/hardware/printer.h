// The receipt printer behind one interface: a file, a network printer on TCP 9100, or a device of this
// machine.
#ifndef ARC_SERVICES_HARDWARE_PRINTER_H_
#define ARC_SERVICES_HARDWARE_PRINTER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::hardware {

struct PrinterState {
  enum class Condition {
    kReady,
    kPaperOut,
    kOffline,  // Unreachable, switched off, cover open, or in an error that a person has to clear.
  };
  Condition condition = Condition::kReady;
  std::string
      detail;  // For people, such as "connect to 10.0.0.5:9100: Connection refused"; empty when ready.
  bool paper_low = false;  // The roll is near its end. Only where the printer tells.
  bool reported =
      false;  // Whether the printer itself said so. Many do not answer; then ready means reachable.
};

// "ready", "out_of_paper" or "unreachable", as in the status reply (messages::PrinterState) and in the logs.
absl::string_view ConditionName(PrinterState::Condition condition);

// What became of a job.
struct PrintResult {
  enum class Fate {
    kPrinted,     // All of it reached the printer.
    kNotStarted,  // The printer got no byte of it: printing again cannot make a second receipt.
    kUncertain,   // Some of it was sent, and nobody knows what is on the paper. Only a person can decide.
  };
  Fate fate = Fate::kPrinted;
  PrinterState state;  // As seen during the job; its detail says what went wrong.
};

// Thread-safe; jobs are printed one after the other.
class Printer {
 public:
  virtual ~Printer() = default;

  // Prints `bytes`. Blocks for as long as the printer takes them, within the timeouts of the kind of printer.
  // `job_id` names the job for WasPrinted(): 1 to 200 characters of [A-Za-z0-9._=-].
  virtual PrintResult Print(absl::string_view job_id, absl::string_view bytes) = 0;

  // Asks the printer how it is. Blocks as Print() does.
  virtual PrinterState GetState() = 0;

  // Whether that job is on the paper, as far as the printer can know, which survives restarts; nothing when
  // this kind of printer keeps no memory.
  virtual std::optional<bool> WasPrinted(absl::string_view job_id) = 0;

  // The printer in the words of the configuration, such as "tcp:10.0.0.5:9100".
  virtual std::string name() const = 0;
};

struct PrinterTimeouts {
  std::chrono::milliseconds connect{3000};
  std::chrono::milliseconds write{10000};  // For how long the printer may take no byte.
  std::chrono::milliseconds status{
      500};  // For an answer of a printer that may not know status requests at all.
  std::chrono::milliseconds finish{
      15000};  // From the last byte sent to "printed", where the printer reports.
  std::chrono::milliseconds close{
      1000};  // For a printer that does not report to close its side of the connection.
};

// Opens what `spec` names; nothing is printed. The printer itself need not be reachable yet.
//   file:PATH      receipts are appended to PATH; while PATH.paper_out exists it is out of paper
//   tcp:HOST:PORT  the usual port is 9100; an IPv6 address stands in brackets
//   dev:PATH       a character device such as /dev/usb/lp0 or /dev/ttyUSB0
// InvalidArgument for anything else, FailedPrecondition for a file in a folder that does not exist.
absl::StatusOr<std::unique_ptr<Printer>> OpenPrinter(absl::string_view spec,
                                                     const PrinterTimeouts& timeouts = {});

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_PRINTER_H_
