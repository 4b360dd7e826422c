// arc-payment: answers kiosk.agent.payment.*; claims and outcomes in the bucket KIOSK_PAYMENTS, receipts in
// KIOSK_RECEIPTS and on the HTTP port; charges through the card terminal at --terminal_url.
#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "common/agent/agent.h"
#include "common/bus/call.h"
#include "common/messages/payment.h"
#include "common/subjects/subjects.h"
#include "services/payment/http_terminal.h"
#include "services/payment/payment.h"

ABSL_FLAG(std::string, terminal_url, "http://127.0.0.1:4300", "card terminal: http://HOST:PORT");
ABSL_FLAG(std::string, currency, "USD", "ISO 4217 currency of all amounts");
ABSL_FLAG(absl::Duration, lease, absl::Seconds(6), "a copy that is silent for so long is taken for dead");
ABSL_FLAG(std::string, restaurant_name, "ARC Kiosk", "head of the receipt");
ABSL_FLAG(std::string, restaurant_details, "", "below it: address, tax number");
ABSL_FLAG(std::string, receipt_base_url, "",
          "put before a receipt's path in its QR code, for customers' phones; none: the code is text");
ABSL_FLAG(std::string, receipt_font, arc::payment::ReceiptStyle().font_file, "TrueType font of receipts");
ABSL_FLAG(std::string, receipt_bold_font, arc::payment::ReceiptStyle().bold_font_file, "its bold face");

int main(int argc, char** argv) {
  namespace messages = arc::messages;
  namespace subjects = arc::subjects;
  namespace payment = arc::payment;
  using arc::bus::Execution;
  using arc::bus::RequestContext;

  arc::Agent agent({"payment", "arc-payment", "Charges orders through a card terminal, once each"}, argc,
                   argv);
  payment::HttpTerminal terminal(absl::GetFlag(FLAGS_terminal_url), agent.clock(), absl::Seconds(2));
  payment::Ledger ledger(agent.clock());
  payment::Receipts receipts(
      {absl::GetFlag(FLAGS_restaurant_name),
       absl::GetFlag(FLAGS_restaurant_details),
       absl::GetFlag(FLAGS_receipt_base_url),
       {absl::GetFlag(FLAGS_receipt_font), absl::GetFlag(FLAGS_receipt_bold_font), absl::LocalTimeZone()}});
  payment::Payment::Options options;
  options.instance_id = agent.instance_id();
  options.currency = absl::GetFlag(FLAGS_currency);
  options.lease = absl::GetFlag(FLAGS_lease);
  options.is_gone = [&](const std::string& instance_id) {
    return arc::bus::IsCopyGone(agent.bus(), "payment", instance_id);
  };
  const auto count = [&](absl::string_view outcome, double by) {
    agent.metrics().Increment(payment::kPaymentsMetric, "Payments by how they ended.",
                              {{"outcome", std::string(outcome)}}, by);
  };
  // Series that exist from the start can be watched for their first increase.
  for (const char* outcome : payment::kOutcomes) count(outcome, 0);
  options.on_ended = [&](absl::string_view outcome) { count(outcome, 1); };
  const auto created = payment::Payment::Create(options, terminal, ledger, receipts, agent.clock());
  if (!created.ok()) {
    std::cerr << "arc-payment: " << created.status().message() << "\n";
    return 2;
  }
  payment::Payment& p = **created;

  agent.UseBucket(subjects::kPaymentsBucket,
                  [&](arc::bus::KeyValue& bucket) { return ledger.Start(bucket); });
  agent.UseBucket(subjects::kReceiptsBucket, [&](arc::bus::KeyValue& bucket) {
    receipts.Start(bucket);
    return receipts.Check();
  });
  agent.OnStart([&] {
    p.Start();
    return absl::OkStatus();
  });
  agent.OnDrainBegin([&] { p.Drain(); });
  agent.HealthCheck("terminal", [&] { return p.TerminalHealth(); });
  agent.SetActiveSessions([&] { return int64_t{p.active()}; });
  agent.SetMetadata("terminal", absl::GetFlag(FLAGS_terminal_url));
  agent.SetMetadata("currency", options.currency);
  agent.http().Handle("GET", payment::Receipts::kPathPattern,
                      [&](const arc::HttpRequest& request) { return receipts.Serve(request); });

  agent.Command<messages::ProcessPaymentRequest, messages::PaymentOutcome>(
      subjects::kPaymentProcess, Execution::kPool,
      [&](const messages::ProcessPaymentRequest& r, const RequestContext& c) { return p.Process(r, c); });
  agent.Command<messages::PaymentStatusRequest, messages::PaymentOutcome>(
      subjects::kPaymentStatus, Execution::kPool,
      [&](const messages::PaymentStatusRequest& r, const RequestContext& c) { return p.Status(r, c); });
  agent.Command<messages::CancelPaymentRequest, messages::PaymentOutcome>(
      subjects::kPaymentCancel, Execution::kPool,
      [&](const messages::CancelPaymentRequest& r, const RequestContext& c) { return p.Cancel(r, c); });
  agent.Command<messages::RefundPaymentRequest, messages::RefundPaymentResponse>(
      subjects::kPaymentRefund, Execution::kPool,
      [&](const messages::RefundPaymentRequest& r, const RequestContext& c) { return p.Refund(r, c); });
  return agent.Run();
}
