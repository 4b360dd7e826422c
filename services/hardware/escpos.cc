#include "services/hardware/escpos.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "services/hardware/code_page.h"

namespace arc::hardware {
namespace {

constexpr char kEsc = 0x1B;
constexpr char kGs = 0x1D;
constexpr char kFs = 0x1C;
constexpr size_t kMaxQrBytes = 1000;
constexpr int kMinColumns = 24;
constexpr int kMaxColumns = 96;
constexpr int kMaxExponent = 6;

enum class Align : char { kLeft = 0, kCentre = 1 };

// Text broken at spaces into lines of at most `width` bytes (which are columns, in a single-byte table); a
// word that is longer than a line is cut. At least one line, which may be empty.
std::vector<std::string> Wrap(absl::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() <= width) {
      absl::StrAppend(&lines.back(), " ", word);
      continue;
    }
    if (!lines.back().empty()) lines.emplace_back();
    while (word.size() > width) {
      lines.back() = std::string(word.substr(0, width));
      word.remove_prefix(width);
      lines.emplace_back();
    }
    lines.back() = std::string(word);
  }
  if (lines.size() > 1 && lines.back().empty()) lines.pop_back();
  return lines;
}

// Collects the bytes of a receipt. Text passes through the code page, so only the methods here make command
// bytes.
class Writer {
 public:
  Writer(CodePage page, size_t columns) : page_(std::move(page)), columns_(columns) {}

  void Start() {
    Command({kEsc, '@'});
    Command({kFs, '.'});  // No multi-byte characters: models sold in Asia start with them on.
    Command({kEsc, 'R', 0});
    Command({kEsc, 't', static_cast<char>(page_.number())});
  }

  void Style(Align align, bool bold, int scale) {
    Command({kEsc, 'a', static_cast<char>(align)});
    Command({kEsc, 'E', static_cast<char>(bold ? 1 : 0)});
    Command({kGs, '!', static_cast<char>(((scale - 1) << 4) | (scale - 1))});
    width_ = columns_ / static_cast<size_t>(scale);
  }

  // A paragraph of `utf8`, its lines after the first starting with `indent` spaces.
  void Paragraph(absl::string_view utf8, size_t indent = 0, absl::string_view first = "") {
    const std::vector<std::string> lines = Wrap(page_.FromUtf8(utf8), width_ - indent);
    for (size_t i = 0; i < lines.size(); ++i) {
      std::string start = i == 0 ? std::string(first) : std::string();
      start.resize(indent, ' ');
      Line(absl::StrCat(start, lines[i]));
    }
  }

  // `left`, wrapped beside the column of `right`, which stands at the right edge of the first line.
  void TwoColumns(absl::string_view first, absl::string_view left_utf8, absl::string_view right_utf8) {
    const std::string right = page_.FromUtf8(right_utf8);
    const size_t indent = first.size();
    // A price as wide as the paper still leaves the name some room, on lines of its own.
    const bool beside = indent + right.size() + 9 <= width_;
    const size_t room = beside ? width_ - indent - right.size() - 1 : width_ - indent;
    const std::vector<std::string> lines = Wrap(page_.FromUtf8(left_utf8), room);
    for (size_t i = 0; i < lines.size(); ++i) {
      std::string line = i == 0 ? std::string(first) : std::string(indent, ' ');
      line += lines[i];
      if (i == 0 && beside) {
        line.resize(right.empty() ? line.size() : width_ - right.size(), ' ');
        absl::StrAppend(&line, right);
      }
      Line(line);
    }
    if (beside) return;
    for (const std::string& part : Wrap(right, width_))
      Line(absl::StrCat(std::string(width_ - part.size(), ' '), part));
  }

  void Rule() { Line(std::string(width_, '-')); }
  void Blank() { bytes_ += '\n'; }

  // The printer draws the code itself: model 2, dots of `dot` points, error correction M.
  void QrCode(absl::string_view utf8, int dot) {
    std::string data;
    for (const char c : utf8.substr(0, kMaxQrBytes)) {
      if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7F) data += c;
    }
    if (data.empty()) return;
    QrCommand('A', std::string("\x32\x00", 2));
    QrCommand('C', std::string(1, static_cast<char>(dot)));
    QrCommand('E', "1");
    QrCommand('P', absl::StrCat("0", data));
    QrCommand('Q', "0");
    Blank();
  }

  void FeedAndCut() {
    Command({kEsc, 'd', 1});
    Command({kGs, 'V', 'B', 0});
  }

  std::string Take() && { return std::move(bytes_); }

 private:
  void Command(std::initializer_list<char> bytes) { bytes_.append(bytes.begin(), bytes.end()); }

  void QrCommand(char function, absl::string_view parameters) {
    const size_t length = parameters.size() + 2;
    Command({kGs, '(', 'k', static_cast<char>(length & 0xFF), static_cast<char>(length >> 8), '1', function});
    absl::StrAppend(&bytes_, parameters);
  }

  void Line(absl::string_view text) {
    absl::StrAppend(&bytes_, text);
    bytes_ += '\n';
  }

  CodePage page_;
  size_t columns_;
  size_t width_ = columns_;
  std::string bytes_;
};

}  // namespace

absl::Status ValidateFormat(const ReceiptFormat& format) {
  if (format.columns < kMinColumns || format.columns > kMaxColumns) {
    return absl::InvalidArgumentError(
        absl::StrCat("columns: ", format.columns, " is not between ", kMinColumns, " and ", kMaxColumns));
  }
  return CodePage::Create(format.code_page).status();
}

std::string OrderNumber(absl::string_view order_id) {
  std::string reversed;
  for (auto it = order_id.rbegin(); it != order_id.rend() && reversed.size() < 4; ++it) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(*it))) reversed += absl::ascii_toupper(*it);
  }
  if (reversed.empty()) return "----";
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

std::string FormatAmount(int64_t minor, int exponent) {
  // Unsigned, because the smallest int64 has no positive counterpart.
  std::string digits =
      absl::StrCat(minor < 0 ? 0 - static_cast<uint64_t>(minor) : static_cast<uint64_t>(minor));
  const size_t decimals = static_cast<size_t>(std::max(exponent, 0));
  if (decimals > 0) {
    if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
    digits.insert(digits.size() - decimals, 1, '.');
  }
  return minor < 0 ? absl::StrCat("-", digits) : digits;
}

absl::StatusOr<std::string> RenderReceipt(const Receipt& receipt, const ReceiptFormat& format) {
  RETURN_IF_ERROR(ValidateFormat(format));
  if (receipt.exponent < 0 || receipt.exponent > kMaxExponent) {
    return absl::InvalidArgumentError(
        absl::StrCat("exponent: ", receipt.exponent, " is not between 0 and 6"));
  }
  ASSIGN_OR_RETURN(CodePage page, CodePage::Create(format.code_page));
  Writer out(std::move(page), static_cast<size_t>(format.columns));
  const auto amount = [&](int64_t minor) { return FormatAmount(minor, receipt.exponent); };

  out.Start();
  if (!receipt.restaurant_name.empty()) {
    out.Style(Align::kCentre, true, 2);
    out.Paragraph(receipt.restaurant_name);
  }
  out.Style(Align::kCentre, false, 1);
  if (receipt.copy) out.Paragraph("*** COPY ***");
  out.Paragraph("Order");
  out.Style(Align::kCentre, true, 4);
  out.Paragraph(receipt.order_number.empty() ? OrderNumber(receipt.order_id) : receipt.order_number);
  out.Style(Align::kCentre, false, 1);
  if (!receipt.printed_at.empty()) out.Paragraph(receipt.printed_at);

  out.Style(Align::kLeft, false, 1);
  out.Rule();
  for (const ReceiptLine& line : receipt.lines) {
    const std::string quantity = absl::StrCat(line.quantity, " x ");
    std::string sum;
    if (line.unit_price.has_value()) {
      int64_t product = 0;
      // A product too large for int64 cannot come from a checked request; the unit price is then all that is
      // true.
      const bool overflow = __builtin_mul_overflow(line.quantity, *line.unit_price, &product);
      sum = amount(overflow ? *line.unit_price : product);
    }
    out.TwoColumns(quantity, line.name.empty() ? "Item" : line.name, sum);
    if (line.quantity > 1 && line.unit_price.has_value()) {
      out.Paragraph(absl::StrCat(amount(*line.unit_price), " each"), 4);
    }
    for (const std::string& modifier : line.modifiers) out.Paragraph(modifier, 6, "    + ");
    if (!line.note.empty()) out.Paragraph(absl::StrCat("\"", line.note, "\""), 4);
  }
  out.Rule();
  if (receipt.subtotal.has_value()) {
    out.TwoColumns("", "Subtotal", amount(*receipt.subtotal));
    out.TwoColumns("", "Tax", amount(receipt.tax.value_or(receipt.total - *receipt.subtotal)));
  }
  std::string total = amount(receipt.total);
  if (!receipt.currency.empty()) absl::StrAppend(&total, " ", receipt.currency);
  // Twice the size as long as the amount fits beside its word.
  const bool large = (total.size() + 9) * 2 <= static_cast<size_t>(format.columns);
  out.Style(Align::kLeft, true, large ? 2 : 1);
  out.TwoColumns("", "TOTAL", total);
  out.Style(Align::kLeft, false, 1);
  out.Rule();

  out.Style(Align::kCentre, false, 1);
  if (!receipt.transaction_id.empty()) out.Paragraph(absl::StrCat("Transaction ", receipt.transaction_id));
  out.Paragraph(absl::StrCat("Order ", receipt.order_id));
  out.Blank();
  out.QrCode(receipt.qr_text, 6);
  out.Paragraph("Thank you!");
  out.FeedAndCut();
  return std::move(out).Take();
}

}  // namespace arc::hardware
