// Printers at the other end of a wire. They report with the real-time status command of ESC/POS (DLE EOT)
// before a job, and with a status request in the stream (GS r) after it, which is answered when all before it
// is on the paper. A printer that does not answer at all is taken at its word that it accepts bytes; one that
// has answered before and is silent now is offline.
#ifndef ARC_SERVICES_HARDWARE_DEVICE_PRINTER_H_
#define ARC_SERVICES_HARDWARE_DEVICE_PRINTER_H_

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "services/hardware/printer.h"

namespace arc::hardware {

// One connection a job. `host` is a name or an address.
std::unique_ptr<Printer> NewTcpPrinter(absl::string_view host, int port, const PrinterTimeouts& timeouts);

// A character device. A line printer's own status (LPGETSTATUS) is asked too, where the device has it.
std::unique_ptr<Printer> NewDevicePrinter(absl::string_view path, const PrinterTimeouts& timeouts);

// The state that the three answers to DLE EOT 1, 2 and 4 stand for. Nothing when they are not such answers.
std::optional<PrinterState> ParseStatusAnswers(uint8_t printer, uint8_t offline, uint8_t paper);

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_DEVICE_PRINTER_H_
