#ifndef ARC_SERVICES_PAYMENT_RECEIPT_PDF_H_
#define ARC_SERVICES_PAYMENT_RECEIPT_PDF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/json/json.h"

// The customer's receipt as a PDF file: what `receipt_url` of a payment leads to (kiosk specification,
// section 7.3).
namespace arc::payment {

struct ReceiptModifier {
  std::string name;
  // Already part of the line's unit price; printed for information when not zero.
  int64_t price_minor = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Optional("price_minor", s.price_minor);
  }
};

struct ReceiptLine {
  std::string name;
  int64_t quantity = 1;
  int64_t unit_price_minor = 0;
  std::vector<ReceiptModifier> modifiers;
  std::string note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("quantity", s.quantity);
    v.Required("unit_price_minor", s.unit_price_minor);
    v.Optional("modifiers", s.modifiers);
    v.Optional("note", s.note);
  }
};

// All amounts are minor units of `currency` (ISO 4217). Texts are UTF-8; what is not valid UTF-8 is printed
// as a replacement character, what the font has no glyph for as the font's box, though it can be copied and
// searched. Empty texts leave their row out.
struct Receipt {
  std::string restaurant;
  std::string restaurant_details;  // Address, tax number; lines end with '\n'.
  std::string order_id;
  std::string order_number;  // What is called out at the counter.
  std::string transaction_id;
  int64_t paid_at_ms = 0;  // Unix time.
  std::string currency = "USD";
  std::vector<ReceiptLine> lines;
  int64_t subtotal_minor = 0;
  int64_t tax_minor = 0;
  int64_t total_minor = 0;
  std::string card;  // "Visa •••• 4242"
  std::string loyalty_card;
  int64_t loyalty_points = 0;
  std::string qr_text;  // At most 1000 bytes.

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("restaurant", s.restaurant);
    v.Optional("restaurant_details", s.restaurant_details);
    v.Required("order_id", s.order_id);
    v.Optional("order_number", s.order_number);
    v.Required("transaction_id", s.transaction_id);
    v.Required("paid_at_ms", s.paid_at_ms);
    v.Required("currency", s.currency);
    v.Required("lines", s.lines);
    v.Required("subtotal_minor", s.subtotal_minor);
    v.Required("tax_minor", s.tax_minor);
    v.Required("total_minor", s.total_minor);
    v.Optional("card", s.card);
    v.Optional("loyalty_card", s.loyalty_card);
    v.Optional("loyalty_points", s.loyalty_points);
    v.Optional("qr_text", s.qr_text);
  }
};

struct ReceiptStyle {
  // TrueType files (not collections, not CFF outlines), embedded into the PDF with the glyphs that are used.
  std::string font_file = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
  std::string bold_font_file = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf";
  absl::TimeZone time_zone = absl::UTCTimeZone();
};

// Renders the receipt on as many A5 pages as its lines need. The same receipt and style give the same bytes.
// Errors: InvalidArgument for a qr_text that is too long, FailedPrecondition for a font that cannot be read,
// Internal for what the PDF library reports. Safe from any thread.
absl::StatusOr<std::string> RenderReceiptPdf(const Receipt& receipt, const ReceiptStyle& style);

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_RECEIPT_PDF_H_
