#include "services/hardware/hardware.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/money/money.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "services/hardware/digest.h"

namespace arc::hardware {
namespace {

using Condition = PrinterState::Condition;

int64_t QuantityOf(const messages::ReceiptLine& line) {
  return line.qty.value_or(line.quantity.value_or(1));
}

// Equal for requests that mean the same paper: item ids, the spelling of quantities and what is known of the
// payment do not count.
std::string FingerprintOf(const messages::PrintRequest& request) {
  messages::PrintRequest same;
  same.order_id = request.order_id;
  same.total = request.total;
  for (const messages::ReceiptLine& line : request.items) {
    messages::ReceiptLine plain;
    plain.name = line.name;
    plain.qty = QuantityOf(line);
    plain.price = line.price;
    plain.customizations = line.customizations;
    if (line.note.has_value() && !line.note->empty()) plain.note = line.note;
    same.items.push_back(std::move(plain));
  }
  return Sha256Hex(json::Encode(same));
}

absl::StatusOr<int64_t> Minor(const Decimal& amount, int exponent, absl::string_view field) {
  absl::StatusOr<int64_t> minor = amount.ToMinor(exponent);
  if (minor.ok()) return minor;
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("payload.", field, ": ", minor.status().message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hardware>> Hardware::Create(const Options& options, Clock& clock,
                                                           Report report) {
  RETURN_IF_ERROR(ValidateFormat(options.format));
  if (!CurrencyExponent(options.currency).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("currency \"", options.currency, "\" is none of ISO 4217"));
  }
  // Opening a printer touches nothing but the folder of a file, and that may come later.
  if (const auto printer = OpenPrinter(options.printer, options.timeouts);
      !printer.ok() && absl::IsInvalidArgument(printer.status())) {
    return printer.status();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<LedDevice> led, OpenLed(options.led));
  return std::unique_ptr<Hardware>(new Hardware(options, clock, std::move(report), std::move(led)));
}

Hardware::Hardware(const Options& options, Clock& clock, Report report, std::unique_ptr<LedDevice> led)
    : options_(options),
      clock_(clock),
      report_(std::move(report)),
      led_(clock, std::move(led)),
      health_(absl::FailedPreconditionError("the printer is not opened yet")) {}

absl::Status Hardware::Start(bus::KeyValue& receipts) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spool_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Printer>> printer = OpenPrinter(options_.printer, options_.timeouts);
  if (!printer.ok()) return health_ = printer.status();
  Spool::Options spool_options;
  spool_options.folder = options_.spool_folder;
  Spool::Listener listener;
  listener.on_condition = [this](const PrinterState& state) {
    if (state.condition == Condition::kPaperOut) {
      report_("out_of_paper", absl::StrCat(options_.printer, ": ", state.detail), "critical", "refill_paper");
    } else if (state.condition == Condition::kOffline) {
      report_("printer_unreachable", absl::StrCat(options_.printer, ": ", state.detail), "critical",
              "check_printer");
    }
  };
  listener.on_uncertain = [this](absl::string_view order_id, absl::string_view detail) {
    report_("receipt_uncertain", absl::StrCat("order ", order_id, ": ", detail), "warning",
            "check_paper_and_reprint");
  };
  absl::StatusOr<std::unique_ptr<Spool>> spool =
      Spool::Open(spool_options, **printer, clock_, std::move(listener));
  if (!spool.ok()) return health_ = spool.status();
  printer_ = *std::move(printer);
  spool_ = *std::move(spool);
  spool_->Start(receipts);
  return health_ = absl::OkStatus();
}

Spool* Hardware::spool() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return spool_.get();
}

absl::Status Hardware::Health() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return health_;
}

absl::StatusOr<messages::LedResponse> Hardware::SetLed(const messages::LedRequest& request) {
  ASSIGN_OR_RETURN(const Color color, ParseColor(request.color));
  RETURN_IF_ERROR(led_.Set(color, request.pattern, absl::Milliseconds(request.duration_ms)));
  return messages::LedResponse();
}

absl::StatusOr<Receipt> Hardware::ToReceipt(const messages::PrintRequest& request) const {
  Receipt receipt;
  receipt.currency = request.currency.value_or(options_.currency);
  const std::optional<int> exponent = CurrencyExponent(receipt.currency);
  if (!exponent.has_value()) {
    return MakeError(ErrorCode::kInvalidRequest, "payload.currency: is no currency of ISO 4217, such as USD");
  }
  receipt.exponent = *exponent;
  receipt.restaurant_name = options_.restaurant_name;
  receipt.order_id = request.order_id;
  receipt.order_number = request.order_number.value_or("");
  receipt.printed_at = absl::FormatTime("%Y-%m-%d %H:%M", clock_.Now(), options_.time_zone);
  int64_t sum = 0;
  bool all_priced = !request.items.empty();
  for (size_t i = 0; i < request.items.size(); ++i) {
    const messages::ReceiptLine& line = request.items[i];
    ReceiptLine printed;
    printed.name = line.name;
    printed.quantity = QuantityOf(line);
    printed.modifiers = line.customizations;
    printed.note = line.note.value_or("");
    if (line.price.has_value()) {
      ASSIGN_OR_RETURN(printed.unit_price,
                       Minor(*line.price, *exponent, absl::StrCat("items[", i, "].price")));
      sum += *printed.unit_price * printed.quantity;  // The message's ranges keep this far below int64.
    } else {
      all_priced = false;
    }
    receipt.lines.push_back(std::move(printed));
  }
  ASSIGN_OR_RETURN(receipt.total, Minor(request.total, *exponent, "total"));
  // What a total has above its lines is tax. Below them there was a discount, of which the request says
  // nothing.
  if (all_priced && sum <= receipt.total) {
    receipt.subtotal = sum;
    receipt.tax = receipt.total - sum;
  }
  receipt.transaction_id = request.transaction_id.value_or("");
  receipt.qr_text = request.receipt_url.value_or("");
  if (absl::StartsWith(receipt.qr_text, "/")) {
    receipt.qr_text =
        options_.receipt_base_url.empty() ? "" : absl::StrCat(options_.receipt_base_url, receipt.qr_text);
  }
  if (receipt.qr_text.empty()) receipt.qr_text = receipt.transaction_id;
  receipt.copy = request.reprint;
  return receipt;
}

absl::StatusOr<messages::PrintResponse> Hardware::Print(const messages::PrintRequest& request,
                                                        absl::string_view request_key) {
  ASSIGN_OR_RETURN(const Receipt receipt, ToReceipt(request));
  PrintJob job;
  ASSIGN_OR_RETURN(job.bytes, RenderReceipt(receipt, options_.format));
  job.order_id = request.order_id;
  job.fingerprint = FingerprintOf(request);
  job.reprint = request.reprint;
  job.reprint_key = std::string(request_key);
  Spool* const printing = spool();
  if (printing == nullptr) return MakeError(ErrorCode::kUnavailable, "the printer is not opened yet");
  ASSIGN_OR_RETURN(const PrintOutcome outcome, printing->Print(job));
  messages::PrintResponse response;
  response.order_id = request.order_id;
  response.already_printed = outcome.already_printed;
  return response;
}

absl::StatusOr<messages::HardwareStatusResponse> Hardware::GetStatus() {
  messages::HardwareStatusResponse response;
  response.led = led_.state();
  Spool* const printing = spool();
  if (printing == nullptr) {
    response.printer.state = std::string(ConditionName(Condition::kOffline));
    response.printer.detail = std::string(Health().message());
    return response;
  }
  const PrinterState state = printing->printer_state();
  response.printer.state = std::string(ConditionName(state.condition));
  if (!state.detail.empty()) response.printer.detail = state.detail;
  if (state.paper_low && state.detail.empty()) response.printer.detail = "paper low";
  const SpoolCounts counts = printing->counts();
  response.printer.spooled = counts.pending;
  response.printer.uncertain = counts.uncertain;
  return response;
}

SpoolCounts Hardware::spool_counts() const {
  const Spool* const printing = spool();
  return printing != nullptr ? printing->counts() : SpoolCounts();
}

}  // namespace arc::hardware
