// A receipt as ESC/POS, the command language of receipt printers: what the customer holds in their hand, as
// bytes.
//
// The bytes use only commands that printers have had for twenty years: ESC @ (initialise), ESC t (character
// table), ESC a (align), ESC E (bold), GS ! (size), GS ( k (the printer's own QR code), ESC d (feed), GS V
// (cut). RenderEscPos() in receipt_reader.h turns them back into what a person would read.
//
// All functions are pure and thread-safe.
#ifndef ARC_SERVICES_HARDWARE_ESCPOS_H_
#define ARC_SERVICES_HARDWARE_ESCPOS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::hardware {

struct ReceiptLine {
  std::string name;                    // UTF-8, as on the menu. Empty prints as "Item".
  int64_t quantity = 1;                // At least 1.
  std::optional<int64_t> unit_price;   // Minor units, of one piece; none prints no amount.
  std::vector<std::string> modifiers;  // UTF-8, printed indented with "+".
  std::string note;                    // UTF-8, printed indented in quotes; empty: none.
};

// Amounts are minor units of a currency with `exponent` decimals (2 for USD, 0 for JPY).
struct Receipt {
  std::string restaurant_name;  // UTF-8; empty prints nothing.
  std::string order_id;         // Of the whole fleet; printed small and complete at the end.
  std::string order_number;     // What is called out at the counter, printed big; see OrderNumber().
  std::string printed_at;       // Already in words, such as "2025-12-14 13:30 UTC"; empty prints nothing.
  std::vector<ReceiptLine> lines;
  std::optional<int64_t> subtotal;  // Without it the subtotal and tax lines are left out.
  std::optional<int64_t> tax;
  int64_t total = 0;
  std::string currency;        // ISO 4217, such as "USD"; printed beside the total. May be empty.
  int exponent = 2;            // 0 to 6.
  std::string transaction_id;  // Of the payment; empty prints nothing.
  std::string qr_text;         // Content of the QR code; empty prints none. At most 1,000 bytes are used.
  bool copy = false;           // A reprint, marked "COPY" so that nobody takes it for a second order.
};

struct ReceiptFormat {
  int columns = 48;                 // Characters a line: 48 or 42 on 80 mm paper, 32 on 58 mm. 24 to 96.
  std::string code_page = "CP858";  // Of CodePage::Names(); CP858 is western Europe with the euro sign.
};

// OK when RenderReceipt() can work with `format`; InvalidArgument names what is wrong with it.
absl::Status ValidateFormat(const ReceiptFormat& format);

// The bytes of one receipt, from initialise to cut. InvalidArgument for a format or an exponent out of range.
// No text of `receipt` can leave its place: control characters are removed, and every command byte is written
// here.
absl::StatusOr<std::string> RenderReceipt(const Receipt& receipt, const ReceiptFormat& format);

// The short number of an order: the last four letters or digits of `order_id`, in upper case ("order-7f3a" is
// "7F3A"). "----" when it has none.
std::string OrderNumber(absl::string_view order_id);

// `minor` in words, without a currency: FormatAmount(1299, 2) is "12.99", FormatAmount(-5, 2) is "-0.05".
std::string FormatAmount(int64_t minor, int exponent);

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_ESCPOS_H_
