#include "services/payment/receipts.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/money/money.h"
#include "services/payment/money_format.h"

namespace arc::payment {
namespace {

// A price as stored in a payment has no more decimals than its currency: that was checked before it was
// accepted.
int64_t MinorOf(const Decimal& price, const std::string& currency) {
  return price.ToMinor(CurrencyExponent(currency).value_or(2)).value_or(0);
}

std::string CardText(const PaymentRecord& payment) {
  if (payment.card_brand.empty()) return "Card";
  std::string brand = payment.card_brand;
  brand[0] = absl::ascii_toupper(static_cast<unsigned char>(brand[0]));
  return absl::StrCat(brand, " •••• ", payment.card_last4);
}

}  // namespace

std::string Receipts::PathOf(absl::string_view transaction_id) {
  return absl::StrCat("/receipts/", transaction_id, ".pdf");
}

absl::Status Receipts::Check() const {
  return RenderReceiptPdf(Receipt(), options_.style).status();
}

absl::Status Receipts::Store(const PaymentRecord& payment) {
  Receipt receipt;
  receipt.restaurant = options_.restaurant;
  receipt.restaurant_details = options_.restaurant_details;
  receipt.order_id = payment.order_id;
  receipt.order_number = payment.order_number.value_or("");
  receipt.transaction_id = payment.transaction_id;
  receipt.paid_at_ms = payment.charged_at_ms;
  receipt.currency = payment.currency;
  for (const messages::PaymentLine& item : payment.items) {
    ReceiptLine line;
    line.name = item.name;
    line.quantity = item.qty;
    line.unit_price_minor = MinorOf(item.price, payment.currency);
    for (const std::string& name : item.customizations) line.modifiers.push_back({name, 0});
    line.note = item.note.value_or("");
    receipt.lines.push_back(std::move(line));
  }
  receipt.subtotal_minor = payment.subtotal_minor;
  receipt.tax_minor = payment.total_minor - payment.subtotal_minor;
  receipt.total_minor = payment.total_minor;
  receipt.card = CardText(payment);
  receipt.loyalty_card = payment.loyalty_card.value_or("");
  receipt.loyalty_points = payment.loyalty_points;
  receipt.qr_text = options_.public_url.empty()
                        ? absl::StrCat("Order ", payment.order_id, "\nTransaction ", payment.transaction_id,
                                       "\nTotal ", FormatMoney(payment.total_minor, payment.currency))
                        : absl::StrCat(options_.public_url, PathOf(payment.transaction_id));
  bus::KeyValue* bucket = bucket_;
  if (bucket == nullptr) return absl::UnavailableError("the bucket of receipts is not open yet");
  return bucket->Put(payment.transaction_id, json::Encode(receipt)).status();
}

HttpResponse Receipts::Serve(const HttpRequest& request) {
  HttpResponse response;
  bus::KeyValue* bucket = bucket_;
  const absl::StatusOr<bus::KeyValue::Entry> entry =
      bucket == nullptr ? absl::UnavailableError("the bucket is not open yet") : bucket->Get(request.match);
  if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) {
    response.status = 404;
    response.body = "There is no such receipt.\n";
    return response;
  }
  absl::Status status = entry.status();
  if (entry.ok()) {
    const absl::StatusOr<Receipt> receipt = json::Decode<Receipt>(entry->value);
    const absl::StatusOr<std::string> pdf = receipt.ok() ? RenderReceiptPdf(*receipt, options_.style)
                                                         : absl::StatusOr<std::string>(receipt.status());
    if (pdf.ok()) {
      response.content_type = "application/pdf";
      response.headers["Content-Disposition"] = absl::StrCat("inline; filename=\"", request.match, ".pdf\"");
      // It holds what a customer bought, and never changes.
      response.headers["Cache-Control"] = "private, max-age=86400";
      response.headers["X-Content-Type-Options"] = "nosniff";
      response.body = *pdf;
      return response;
    }
    status = pdf.status();
  }
  Log(LogLevel::kError, "a receipt cannot be served",
      {{"transaction_id", request.match}, {"error", std::string(status.message())}});
  response.status = entry.ok() ? 500 : 503;
  response.body = "The receipt cannot be shown now.\n";
  return response;
}

}  // namespace arc::payment
