// arc-hardware: answers kiosk.agent.hardware.* (and their alias kiosk.hardware.*); drives the LED and the
// receipt printer; claims prints in the bucket KIOSK_RECEIPTS.
#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "common/agent/agent.h"
#include "common/messages/hardware.h"
#include "common/subjects/subjects.h"
#include "services/hardware/hardware.h"

ABSL_FLAG(std::string, printer, "file:receipts.escpos",
          "receipt printer: file:PATH, tcp:HOST:PORT or dev:PATH");
ABSL_FLAG(std::string, spool_dir, "spool",
          "folder of the receipts that are not printed yet; made when missing");
ABSL_FLAG(std::string, led, "file:led.json", "light: file:PATH or sysfs:DIR");
ABSL_FLAG(int, columns, 48, "characters a line of the paper: 48, 42, or 32 on 58 mm");
ABSL_FLAG(std::string, code_page, "CP858", "character table: CP437, CP850, CP852, CP858, CP866 or CP1252");
ABSL_FLAG(std::string, restaurant_name, "ARC Kiosk", "head of the receipt");
ABSL_FLAG(std::string, currency, "USD", "ISO 4217 currency of requests that name none");
ABSL_FLAG(std::string, receipt_base_url, "", "put before a receipt_url that is only a path, for the QR code");

int main(int argc, char** argv) {
  namespace messages = arc::messages;
  namespace subjects = arc::subjects;
  using arc::bus::Execution;
  using arc::bus::RequestContext;
  using arc::hardware::Hardware;

  arc::Agent agent({"hardware", "arc-hardware", "LED and receipt printer"}, argc, argv);
  Hardware::Options options;
  options.printer = absl::GetFlag(FLAGS_printer);
  options.spool_folder = absl::GetFlag(FLAGS_spool_dir);
  options.led = absl::GetFlag(FLAGS_led);
  options.format = {absl::GetFlag(FLAGS_columns), absl::GetFlag(FLAGS_code_page)};
  options.restaurant_name = absl::GetFlag(FLAGS_restaurant_name);
  options.currency = absl::GetFlag(FLAGS_currency);
  options.receipt_base_url = absl::GetFlag(FLAGS_receipt_base_url);
  options.time_zone = absl::LocalTimeZone();
  const auto hardware = Hardware::Create(
      options, agent.clock(),
      [&agent](absl::string_view error_type, absl::string_view message, absl::string_view severity,
               absl::string_view action) { agent.ReportError(error_type, message, severity, action); });
  if (!hardware.ok()) {
    std::cerr << "arc-hardware: " << hardware.status().message() << "\n";
    return 2;
  }
  Hardware& h = **hardware;

  agent.UseBucket(subjects::kReceiptsBucket, [&h](arc::bus::KeyValue& bucket) { return h.Start(bucket); });
  agent.HealthCheck("printer", [&h] { return h.Health(); });
  agent.metrics().Callback(arc::hardware::kSpooledMetric, "Receipts that wait for the printer.", false,
                           [&h] { return static_cast<double>(h.spool_counts().pending); });
  agent.metrics().Callback(arc::hardware::kUncertainMetric,
                           "Receipts of which nobody knows whether they are on paper.", false,
                           [&h] { return static_cast<double>(h.spool_counts().uncertain); });
  agent.SetMetadata("printer", options.printer);
  agent.SetMetadata("led", options.led);

  // Inline, so that lights change in the order of the commands; it never waits for the printer.
  agent.Command<messages::LedRequest, messages::LedResponse>(
      subjects::kHardwareLed, Execution::kInline,
      [&h](const messages::LedRequest& request, const RequestContext&) { return h.SetLed(request); });
  agent.Command<messages::PrintRequest, messages::PrintResponse>(
      subjects::kHardwarePrint, Execution::kPool,
      [&h](const messages::PrintRequest& request, const RequestContext& context) {
        return h.Print(request, context.idempotency_key.empty() ? context.msg_id : context.idempotency_key);
      });
  agent.Command<messages::HardwareStatusRequest, messages::HardwareStatusResponse>(
      subjects::kHardwareStatus, Execution::kPool,
      [&h](const messages::HardwareStatusRequest&, const RequestContext&) { return h.GetStatus(); });
  return agent.Run();
}
