#include "services/payment/receipt_pdf.h"

#include <hpdf.h>
#include <hpdf_objects.h>
#include <qrencode.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "services/payment/money_format.h"

namespace arc::payment {
namespace {

// Points, 72 to an inch. A5 portrait.
constexpr float kPageWidth = 419.53F;
constexpr float kPageHeight = 595.28F;
constexpr float kMargin = 36;
constexpr float kRight = kPageWidth - kMargin;
constexpr float kBottom = 48;
constexpr float kQuantityWidth = 34;
constexpr float kAmountWidth = 62;  // of both columns of amounts, unless one of them is wider
constexpr float kGap = 12;          // at least, before each amount
constexpr float kNameLeft = kMargin + kQuantityWidth;
constexpr float kBody = 9.5F;
constexpr float kSmall = 8;
constexpr size_t kMaxQrBytes = 1000;

struct Colour {
  float red, green, blue;
};
constexpr Colour kInk{0.11F, 0.13F, 0.17F};
constexpr Colour kMuted{0.42F, 0.45F, 0.50F};
constexpr Colour kRule{0.84F, 0.86F, 0.89F};
constexpr Colour kBand{0.70F, 0.16F, 0.12F};
constexpr Colour kPanel{0.96F, 0.96F, 0.97F};
constexpr Colour kWhite{1, 1, 1};

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

// The length of the UTF-8 character that starts `text`, or 0 where there is none that a PDF text can carry:
// the library encodes characters of the basic plane only.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0U) == 0x80U; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) return continues(1) ? 2 : 0;
  if (byte(0) >= 0xE0 && byte(0) <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;  // Overlong.
    if (byte(0) == 0xED && byte(1) > 0x9F) return 0;  // A surrogate.
    return 3;
  }
  return 0;
}

// Text that the library can draw: valid UTF-8 of the basic plane, without control characters.
std::string Printable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) {
      absl::StrAppend(&out, kReplacement);
      text.remove_prefix(1);
      while (!text.empty() && (static_cast<unsigned char>(text[0]) & 0xC0U) == 0x80U) text.remove_prefix(1);
      continue;
    }
    const auto first = static_cast<unsigned char>(text[0]);
    absl::StrAppend(&out, first < 0x20 || first == 0x7F ? absl::string_view(" ") : text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

// What a reader of the PDF needs to copy and search text: the codes that the library writes are those of
// Unicode. The library's own map has ranges of glyphs in their place, which readers refuse.
std::string UnicodeMap() {
  std::string map =
      "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
      "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
      "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
      "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n";
  // A range may not go beyond one first byte, a block not beyond 100 ranges. Surrogates are no characters.
  std::vector<std::string> ranges;
  for (unsigned first = 0; first < 0x100; ++first) {
    if (first >= 0xD8 && first <= 0xDF) continue;
    ranges.push_back(absl::StrFormat("<%02X00> <%02XFF> <%02X00>\n", first, first, first));
  }
  constexpr size_t kMostRanges = 100;
  for (size_t at = 0; at < ranges.size(); at += kMostRanges) {
    const size_t count = std::min(kMostRanges, ranges.size() - at);
    absl::StrAppend(&map, count, " beginbfrange\n");
    for (size_t i = at; i < at + count; ++i) map += ranges[i];
    map += "endbfrange\n";
  }
  return map + "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n";
}

void CorrectUnicodeMap(HPDF_Font font) {
  auto* map = static_cast<HPDF_Dict>(HPDF_Dict_GetItem(font, "ToUnicode", HPDF_OCLASS_DICT));
  if (map == nullptr || map->stream == nullptr) return;
  HPDF_MemStream_FreeData(map->stream);
  HPDF_Stream_WriteStr(map->stream, UnicodeMap().c_str());
}

// One document being drawn, from the top of the first page down. Errors stay in the document, which refuses
// further work, and are read once at the end.
class Canvas {
 public:
  static absl::StatusOr<std::unique_ptr<Canvas>> Create(const ReceiptStyle& style) {
    auto canvas = std::unique_ptr<Canvas>(new Canvas(HPDF_New(nullptr, nullptr)));
    if (canvas->pdf_ == nullptr) return absl::ResourceExhaustedError("no memory for a PDF document");
    HPDF_SetCompressionMode(canvas->pdf_, HPDF_COMP_ALL);
    HPDF_UseUTFEncodings(canvas->pdf_);
    for (auto [file, font] :
         {std::pair(&style.font_file, &canvas->regular_), std::pair(&style.bold_font_file, &canvas->bold_)}) {
      const char* name = HPDF_LoadTTFontFromFile(canvas->pdf_, file->c_str(), HPDF_TRUE);
      if (name != nullptr) *font = HPDF_GetFont(canvas->pdf_, name, "UTF-8");
      if (*font == nullptr) {
        return absl::FailedPreconditionError(absl::StrCat("the receipt's font ", *file, " cannot be used"));
      }
      CorrectUnicodeMap(*font);
    }
    return canvas;
  }
  ~Canvas() {
    if (pdf_ != nullptr) HPDF_Free(pdf_);
  }
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  HPDF_Doc pdf() { return pdf_; }
  HPDF_Font regular() { return regular_; }
  HPDF_Font bold() { return bold_; }
  float y() const { return y_; }
  void MoveTo(float y) { y_ = y; }
  void Down(float points) { y_ -= points; }

  void NewPage() {
    page_ = HPDF_AddPage(pdf_);
    pages_.push_back(page_);
    HPDF_Page_SetWidth(page_, kPageWidth);
    HPDF_Page_SetHeight(page_, kPageHeight);
    y_ = kPageHeight - kMargin;
  }
  bool Fits(float height) const { return y_ - height >= kBottom; }

  float Width(HPDF_Font font, float size, const std::string& text) {
    HPDF_Page_SetFontAndSize(page_, font, size);
    return HPDF_Page_TextWidth(page_, text.c_str());
  }
  void Text(HPDF_Font font, float size, Colour colour, float x, float y, const std::string& text) {
    HPDF_Page_SetFontAndSize(page_, font, size);
    HPDF_Page_SetRGBFill(page_, colour.red, colour.green, colour.blue);
    HPDF_Page_BeginText(page_);
    HPDF_Page_TextOut(page_, x, y, text.c_str());
    HPDF_Page_EndText(page_);
  }
  void TextRight(HPDF_Font font, float size, Colour colour, float right, float y, const std::string& text) {
    Text(font, size, colour, right - Width(font, size, text), y, text);
  }
  void TextCentred(HPDF_Font font, float size, Colour colour, float centre, float y,
                   const std::string& text) {
    Text(font, size, colour, centre - Width(font, size, text) / 2, y, text);
  }
  void Fill(Colour colour, float x, float y, float width, float height) {
    HPDF_Page_SetRGBFill(page_, colour.red, colour.green, colour.blue);
    HPDF_Page_Rectangle(page_, x, y, width, height);
    HPDF_Page_Fill(page_);
  }
  void Rule(Colour colour, float y, float thickness) {
    Fill(colour, kMargin, y, kRight - kMargin, thickness);
  }

  // Breaks at spaces, and inside a word, after a hyphen if it has one, only where it alone is wider than the
  // column. Never empty.
  std::vector<std::string> Wrap(HPDF_Font font, float size, float width, const std::string& text) {
    std::vector<std::string> rows(1);
    for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      std::string joined = rows.back().empty() ? std::string(word) : absl::StrCat(rows.back(), " ", word);
      if (Width(font, size, joined) <= width) {
        rows.back() = std::move(joined);
        continue;
      }
      if (!rows.back().empty()) rows.emplace_back();
      while (!word.empty()) {
        const size_t length = std::max<size_t>(CharacterLength(word), 1);
        joined = absl::StrCat(rows.back(), word.substr(0, length));
        if (!rows.back().empty() && Width(font, size, joined) > width) {
          const size_t hyphen = rows.back().rfind('-');
          std::string carried = hyphen == std::string::npos ? "" : rows.back().substr(hyphen + 1);
          rows.back().resize(rows.back().size() - carried.size());
          rows.push_back(std::move(carried));
          continue;
        }
        rows.back() = std::move(joined);
        word.remove_prefix(length);
      }
    }
    return rows;
  }

  void NumberPages(const std::string& footer) {
    for (size_t i = 0; i < pages_.size(); ++i) {
      page_ = pages_[i];
      Text(regular_, 7, kMuted, kMargin, 26, footer);
      TextRight(regular_, 7, kMuted, kRight, 26, absl::StrCat("Page ", i + 1, " of ", pages_.size()));
    }
  }

  absl::StatusOr<std::string> Save() {
    if (HPDF_GetError(pdf_) == HPDF_OK) HPDF_SaveToStream(pdf_);
    if (HPDF_GetError(pdf_) != HPDF_OK) return Error();
    std::string bytes(HPDF_GetStreamSize(pdf_), '\0');
    HPDF_ResetStream(pdf_);
    auto size = static_cast<HPDF_UINT32>(bytes.size());
    const HPDF_STATUS status = HPDF_ReadFromStream(pdf_, reinterpret_cast<HPDF_BYTE*>(bytes.data()), &size);
    if ((status != HPDF_OK && status != HPDF_STREAM_EOF) || size != bytes.size()) return Error();
    return bytes;
  }

 private:
  explicit Canvas(HPDF_Doc pdf) : pdf_(pdf) {}

  absl::Status Error() {
    return absl::InternalError(absl::StrCat("the PDF library reports 0x", absl::Hex(HPDF_GetError(pdf_)),
                                            ", detail ", HPDF_GetErrorDetail(pdf_)));
  }

  HPDF_Doc pdf_;
  HPDF_Font regular_ = nullptr;
  HPDF_Font bold_ = nullptr;
  HPDF_Page page_ = nullptr;
  std::vector<HPDF_Page> pages_;
  float y_ = 0;
};

void DrawHeader(Canvas& c, const Receipt& receipt, const ReceiptStyle& style) {
  c.NewPage();
  const std::vector<std::string> name =
      c.Wrap(c.bold(), 17, kRight - kMargin - 70,
             Printable(receipt.restaurant.empty() ? "Receipt" : receipt.restaurant));
  std::vector<std::string> details;
  for (absl::string_view line : absl::StrSplit(receipt.restaurant_details, '\n', absl::SkipEmpty())) {
    for (std::string& row : c.Wrap(c.regular(), kSmall, kRight - kMargin, Printable(line)))
      details.push_back(row);
  }
  const float band = 30 + 20 * static_cast<float>(name.size()) + 11 * static_cast<float>(details.size());
  c.Fill(kBand, 0, kPageHeight - band, kPageWidth, band);
  float y = kPageHeight - 34;
  c.TextRight(c.regular(), 10, kWhite, kRight, y, "Receipt");
  for (const std::string& row : name) {
    c.Text(c.bold(), 17, kWhite, kMargin, y, row);
    y -= 20;
  }
  y += 5;
  for (const std::string& row : details) {
    c.Text(c.regular(), kSmall, kWhite, kMargin, y, row);
    y -= 11;
  }

  c.MoveTo(kPageHeight - band - 20);
  c.Text(c.regular(), kSmall, kMuted, kMargin, c.y(), "Order");
  c.TextRight(c.regular(), kSmall, kMuted, kRight, c.y(), "Date");
  c.Down(14);
  c.TextRight(
      c.regular(), kBody, kInk, kRight, c.y(),
      absl::FormatTime("%d %b %Y, %H:%M %Z", absl::FromUnixMillis(receipt.paid_at_ms), style.time_zone));
  if (!receipt.order_number.empty()) {
    c.Down(8);
    for (const std::string& row : c.Wrap(c.bold(), 20, 222, Printable(receipt.order_number))) {
      c.Text(c.bold(), 20, kInk, kMargin, c.y(), row);
      c.Down(20);
    }
    c.Down(-4);
  }
  // The number that was called out is the order's name for people; its id is small print then.
  HPDF_Font id_font = receipt.order_number.empty() ? c.bold() : c.regular();
  const float id_size = receipt.order_number.empty() ? kBody : kSmall;
  for (const std::string& row : c.Wrap(id_font, id_size, 222, Printable(receipt.order_id))) {
    c.Text(id_font, id_size, receipt.order_number.empty() ? kInk : kMuted, kMargin, c.y(), row);
    c.Down(14);
  }
  c.Down(8);
}

// Where the columns of the lines end, so that every amount fits into its own.
struct Columns {
  float unit_price_right;
  float name_width;
};

Columns ColumnsOf(Canvas& c, const Receipt& receipt) {
  float amount = kAmountWidth;
  float unit_price = kAmountWidth;
  const auto widen = [&](float& width, int64_t minor) {
    width = std::max(width, c.Width(c.regular(), kBody, FormatMoney(minor, receipt.currency)));
  };
  for (const ReceiptLine& line : receipt.lines) {
    widen(unit_price, line.unit_price_minor);
    widen(amount, line.unit_price_minor * line.quantity);
  }
  widen(amount, receipt.subtotal_minor);
  widen(amount, receipt.tax_minor);
  Columns columns{};
  columns.unit_price_right = kRight - amount - kGap;
  columns.name_width = columns.unit_price_right - unit_price - kGap - kNameLeft;
  return columns;
}

void DrawColumnTitles(Canvas& c, const Columns& columns) {
  c.Text(c.bold(), kSmall, kMuted, kMargin, c.y(), "Qty");
  c.Text(c.bold(), kSmall, kMuted, kNameLeft, c.y(), "Item");
  c.TextRight(c.bold(), kSmall, kMuted, columns.unit_price_right, c.y(), "Price");
  c.TextRight(c.bold(), kSmall, kMuted, kRight, c.y(), "Amount");
  c.Down(6);
  c.Rule(kInk, c.y(), 0.8F);
  c.Down(14);
}

// With the titles of the columns, when there are any to be continued.
void ContinueOnNewPage(Canvas& c, const Receipt& receipt, const Columns* columns) {
  c.NewPage();
  c.Text(c.bold(), kBody, kInk, kMargin, c.y(),
         c.Wrap(c.bold(), kBody, 250, Printable(receipt.order_id)).front());
  c.TextRight(c.regular(), kSmall, kMuted, kRight, c.y(), "continued");
  c.Down(22);
  if (columns != nullptr) DrawColumnTitles(c, *columns);
}

void DrawLine(Canvas& c, const Receipt& receipt, const Columns& columns, const ReceiptLine& line) {
  struct Row {
    std::string text;
    float size;
    Colour colour;
    float left;
  };
  std::vector<Row> rows;
  const auto add = [&](const std::string& text, float size, Colour colour, float indent) {
    for (std::string& row : c.Wrap(c.regular(), size, columns.name_width - indent, Printable(text))) {
      rows.push_back({std::move(row), size, colour, kNameLeft + indent});
    }
  };
  add(line.name, kBody, kInk, 0);
  for (const ReceiptModifier& modifier : line.modifiers) {
    add(modifier.price_minor == 0
            ? modifier.name
            : absl::StrCat(modifier.name, " (", FormatMoney(modifier.price_minor, receipt.currency), ")"),
        kSmall, kMuted, 8);
  }
  if (!line.note.empty()) add(absl::StrCat("“", line.note, "”"), kSmall, kMuted, 8);

  // A line stays on one page unless it alone is longer than a page.
  constexpr float kRowHeight = 12;
  constexpr size_t kMostRows = 36;
  const float height = kRowHeight * static_cast<float>(std::min(rows.size(), kMostRows)) + 5;
  if (!c.Fits(height)) ContinueOnNewPage(c, receipt, &columns);
  c.Text(c.regular(), kBody, kInk, kMargin, c.y(), absl::StrCat(line.quantity, " ×"));
  c.TextRight(c.regular(), kBody, kInk, columns.unit_price_right, c.y(),
              FormatMoney(line.unit_price_minor, receipt.currency));
  c.TextRight(c.regular(), kBody, kInk, kRight, c.y(),
              FormatMoney(line.unit_price_minor * line.quantity, receipt.currency));
  for (const Row& row : rows) {
    if (!c.Fits(kRowHeight)) ContinueOnNewPage(c, receipt, &columns);
    c.Text(c.regular(), row.size, row.colour, row.left, c.y(), row.text);
    c.Down(kRowHeight);
  }
  c.Down(5);
}

void DrawTotals(Canvas& c, const Receipt& receipt, const Columns& columns) {
  if (!c.Fits(74)) ContinueOnNewPage(c, receipt, nullptr);
  c.Down(-4);
  c.Rule(kRule, c.y(), 0.8F);
  c.Down(16);
  const auto row = [&](const std::string& label, int64_t amount) {
    c.TextRight(c.regular(), kBody, kMuted, columns.unit_price_right, c.y(), label);
    c.TextRight(c.regular(), kBody, kInk, kRight, c.y(), FormatMoney(amount, receipt.currency));
    c.Down(14);
  };
  row("Subtotal", receipt.subtotal_minor);
  row("Tax", receipt.tax_minor);
  c.Down(6);
  const std::string total = FormatMoney(receipt.total_minor, receipt.currency);
  const float left = kRight - std::max(kAmountWidth + 20, c.Width(c.bold(), 14, total)) - kGap;
  c.TextRight(c.bold(), 14, kInk, left, c.y(), "Total");
  c.TextRight(c.bold(), 14, kInk, kRight, c.y(), total);
  c.Down(20);
}

absl::Status DrawPayment(Canvas& c, const Receipt& receipt) {
  struct Entry {
    std::string label;
    std::vector<std::string> rows;
  };
  std::vector<Entry> entries;
  const auto add = [&](std::string label, const std::string& value) {
    if (value.empty()) return;
    entries.push_back({std::move(label), c.Wrap(c.regular(), kSmall + 0.5F, 148, Printable(value))});
  };
  add("Paid with", receipt.card);
  add("Transaction", receipt.transaction_id);
  add("Loyalty card", receipt.loyalty_card);
  if (receipt.loyalty_points > 0) {
    add("Points earned",
        absl::StrCat(receipt.loyalty_points, receipt.loyalty_points == 1 ? " point" : " points"));
  }
  float text_height = 0;
  for (const Entry& entry : entries) text_height += 6 + 11 * static_cast<float>(entry.rows.size());

  constexpr float kQrSize = 92;
  std::unique_ptr<QRcode, decltype(&QRcode_free)> qr(nullptr, &QRcode_free);
  if (!receipt.qr_text.empty()) {
    if (receipt.qr_text.size() > kMaxQrBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the QR code's text has ", receipt.qr_text.size(), " bytes, more than ", kMaxQrBytes));
    }
    qr.reset(QRcode_encodeData(static_cast<int>(receipt.qr_text.size()),
                               reinterpret_cast<const unsigned char*>(receipt.qr_text.data()), 0,
                               QR_ECLEVEL_M));
    if (qr == nullptr) return absl::InternalError("the QR code cannot be made");
  }
  const float panel = std::max(text_height, qr == nullptr ? 0 : kQrSize) + 24;
  if (!c.Fits(panel + 26)) ContinueOnNewPage(c, receipt, nullptr);
  const float top = c.y();
  c.Fill(kPanel, kMargin, top - panel, kRight - kMargin, panel);
  c.MoveTo(top - 20);
  for (const Entry& entry : entries) {
    c.Text(c.regular(), kSmall, kMuted, kMargin + 12, c.y(), entry.label);
    for (const std::string& row : entry.rows) {
      c.Text(c.regular(), kSmall + 0.5F, kInk, kMargin + 82, c.y(), row);
      c.Down(11);
    }
    c.Down(6);
  }
  if (qr != nullptr) {
    // The quiet zone around a code is four modules wide; the panel's padding adds to it.
    const float left = kRight - 12 - kQrSize;
    const float below = top - 12 - kQrSize;
    c.Fill(kWhite, left, below, kQrSize, kQrSize);
    const float module = kQrSize / static_cast<float>(qr->width + 8);
    for (int row = 0; row < qr->width; ++row) {
      for (int column = 0; column < qr->width;) {
        int run = 0;
        while (column + run < qr->width && (qr->data[row * qr->width + column + run] & 1U) != 0) ++run;
        if (run > 0) {
          c.Fill(kInk, left + module * static_cast<float>(column + 4),
                 below + kQrSize - module * static_cast<float>(row + 5), module * static_cast<float>(run),
                 module);
        }
        column += std::max(run, 1);
      }
    }
  }
  c.MoveTo(top - panel - 22);
  c.TextCentred(c.regular(), kBody, kMuted, kPageWidth / 2, c.y(), "Thank you, and enjoy your meal!");
  return absl::OkStatus();
}

void SetDate(Canvas& c, absl::Time at) {
  const absl::CivilSecond utc = absl::ToCivilSecond(at, absl::UTCTimeZone());
  HPDF_Date date{};
  date.year = static_cast<HPDF_INT>(utc.year());
  date.month = utc.month();
  date.day = utc.day();
  date.hour = utc.hour();
  date.minutes = utc.minute();
  date.seconds = utc.second();
  date.ind = 'Z';
  HPDF_SetInfoDateAttr(c.pdf(), HPDF_INFO_CREATION_DATE, date);
  HPDF_SetInfoDateAttr(c.pdf(), HPDF_INFO_MOD_DATE, date);
}

}  // namespace

absl::StatusOr<std::string> RenderReceiptPdf(const Receipt& receipt, const ReceiptStyle& style) {
  absl::StatusOr<std::unique_ptr<Canvas>> canvas = Canvas::Create(style);
  if (!canvas.ok()) return canvas.status();
  Canvas& c = **canvas;
  SetDate(c, absl::FromUnixMillis(receipt.paid_at_ms));
  HPDF_SetInfoAttr(c.pdf(), HPDF_INFO_CREATOR, "ARC Kiosk");

  DrawHeader(c, receipt, style);
  const Columns columns = ColumnsOf(c, receipt);
  DrawColumnTitles(c, columns);
  for (const ReceiptLine& line : receipt.lines) DrawLine(c, receipt, columns, line);
  DrawTotals(c, receipt, columns);
  if (absl::Status status = DrawPayment(c, receipt); !status.ok()) return status;
  c.NumberPages(Printable(receipt.transaction_id));
  return c.Save();
}

}  // namespace arc::payment
