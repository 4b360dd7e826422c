// The hardware agent's answers: light, receipts, and how both are (kiosk specification, section 7.4; design,
// sections 3.3, 3.4, 3.8). Knows no NATS but the bucket that holds the claims.
#ifndef ARC_SERVICES_HARDWARE_HARDWARE_H_
#define ARC_SERVICES_HARDWARE_HARDWARE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock/clock.h"
#include "common/messages/hardware.h"
#include "services/hardware/escpos.h"
#include "services/hardware/led.h"
#include "services/hardware/printer.h"
#include "services/hardware/spool.h"

namespace arc::hardware {

inline constexpr char kSpooledMetric[] = "kiosk_hardware_spooled";      // gauge: receipts that wait
inline constexpr char kUncertainMetric[] = "kiosk_hardware_uncertain";  // gauge: receipts to be looked after

// Thread-safe. Print() and GetStatus() block for as long as the printer does; SetLed() never waits for them.
class Hardware {
 public:
  struct Options {
    std::string printer;  // As OpenPrinter() takes it.
    std::string led;      // As OpenLed() takes it.
    std::string spool_folder;
    ReceiptFormat format;
    std::string restaurant_name;
    std::string currency = "USD";  // ISO 4217, of requests that name none.
    std::string receipt_base_url;  // In front of a receipt_url that is only a path; empty: such a path is not
                                   // printed.
    absl::TimeZone time_zone;      // Of the time on the receipt.
    PrinterTimeouts timeouts;
  };

  // What an operator must see, as in messages::ServiceError: type, message, severity, action. Called on any
  // thread.
  using Report = std::function<void(absl::string_view error_type, absl::string_view message,
                                    absl::string_view severity, absl::string_view action_required)>;

  // InvalidArgument for options that can never work; nothing is opened yet.
  static absl::StatusOr<std::unique_ptr<Hardware>> Create(const Options& options, Clock& clock,
                                                          Report report);

  // Opens printer and spool and starts printing what is left in it. May be called again after a failure,
  // which is FailedPrecondition when the printer's configuration is unusable. `receipts` must outlive this
  // object.
  absl::Status Start(bus::KeyValue& receipts);

  // kiosk.agent.hardware.led. INVALID_REQUEST for a colour that is none, HARDWARE_ERROR when there is no
  // light.
  absl::StatusOr<messages::LedResponse> SetLed(const messages::LedRequest& request);

  // kiosk.agent.hardware.print; errors as of Spool::Print(), and INVALID_REQUEST for amounts with more
  // decimals than the currency has. `request_key` is the same when the same request comes again: it keeps a
  // reprint from being repeated.
  absl::StatusOr<messages::PrintResponse> Print(const messages::PrintRequest& request,
                                                absl::string_view request_key);

  // kiosk.agent.hardware.status
  absl::StatusOr<messages::HardwareStatusResponse> GetStatus();

  // Receipts that are not settled; none before Start().
  SpoolCounts spool_counts() const;

  // OK unless the printer's configuration is unusable; a printer out of paper is no reason to stop serving.
  absl::Status Health() const;

 private:
  Hardware(const Options& options, Clock& clock, Report report, std::unique_ptr<LedDevice> led);
  absl::StatusOr<Receipt> ToReceipt(const messages::PrintRequest& request) const;
  Spool* spool() const;

  const Options options_;
  Clock& clock_;
  const Report report_;
  Led led_;

  mutable std::mutex mutex_;
  absl::Status health_;
  std::unique_ptr<Printer> printer_;
  std::unique_ptr<Spool> spool_;  // After the printer: its thread uses it.
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_HARDWARE_H_
