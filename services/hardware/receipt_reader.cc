#include "services/hardware/receipt_reader.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "services/hardware/code_page.h"

namespace arc::hardware {
namespace {

constexpr char kDle = 0x10;
constexpr char kEsc = 0x1B;
constexpr char kFs = 0x1C;
constexpr char kGs = 0x1D;

class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<std::vector<PaperLine>> Read() {
    while (at_ < bytes_.size()) {
      const size_t start = at_;
      const char c = bytes_[at_++];
      bool known = true;
      if (c == kEsc) {
        ASSIGN_OR_RETURN(known, Escape());
      } else if (c == kGs) {
        ASSIGN_OR_RETURN(known, Group());
      } else if (c == kFs) {
        ASSIGN_OR_RETURN(const uint8_t function, Byte());
        known = function == '.';
      } else if (c == kDle) {
        ASSIGN_OR_RETURN(const uint8_t function, Byte());
        ASSIGN_OR_RETURN(const uint8_t n, Byte());
        known = function == 4 && n >= 1 && n <= 4;
      } else if (!enabled_) {
        continue;
      } else if (c == '\n') {
        RETURN_IF_ERROR(EndLine());
      } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
        known = false;
      } else {
        text_ += c;
      }
      if (!known) {
        return absl::InvalidArgumentError(absl::StrCat("byte ", start, ": 0x",
                                                       absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2),
                                                       " starts no command of a receipt"));
      }
    }
    if (!text_.empty()) RETURN_IF_ERROR(EndLine());
    return std::move(lines_);
  }

 private:
  absl::StatusOr<uint8_t> Byte() {
    if (at_ >= bytes_.size()) {
      return absl::InvalidArgumentError(absl::StrCat("byte ", at_, ": a command breaks off"));
    }
    return static_cast<uint8_t>(bytes_[at_++]);
  }

  absl::Status EndLine() {
    ASSIGN_OR_RETURN(CodePage page, CodePage::Create(CodePage::NameOf(table_)));
    PaperLine line = style_;
    line.columns = text_.size() * static_cast<size_t>(style_.scale);
    line.text = page.ToUtf8(text_);
    lines_.push_back(std::move(line));
    text_.clear();
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Escape() {
    ASSIGN_OR_RETURN(const uint8_t function, Byte());
    if (function == '@') {
      style_ = PaperLine();
      table_ = 0;
      return true;
    }
    ASSIGN_OR_RETURN(const uint8_t n, Byte());
    switch (function) {
      case '=':
        enabled_ = (n & 1) != 0;
        return true;
      case 'R':
        return n == 0;
      case 't':
        table_ = n;
        return !CodePage::NameOf(n).empty();
      case 'a':
        style_.align = static_cast<PaperLine::Align>(n % 3);
        return n <= 2;
      case 'E':
        style_.bold = (n & 1) != 0;
        return true;
      case 'd':
        if (!text_.empty()) RETURN_IF_ERROR(EndLine());
        for (int i = 0; i < n; ++i) RETURN_IF_ERROR(EndLine());
        return true;
      default:
        return false;
    }
  }

  absl::StatusOr<bool> Group() {
    ASSIGN_OR_RETURN(const uint8_t function, Byte());
    ASSIGN_OR_RETURN(const uint8_t n, Byte());
    if (function == '!') {
      style_.scale = ((n >> 4) & 7) + 1;
      return (n >> 4) == (n & 0x0F);
    }
    if (function == 'V') {
      ASSIGN_OR_RETURN([[maybe_unused]] const uint8_t feed, Byte());
      PaperLine cut;
      cut.kind = PaperLine::Kind::kCut;
      lines_.push_back(cut);
      return n == 'A' || n == 'B';
    }
    if (function == '(' && n == 'k') return Symbol();
    return false;
  }

  absl::StatusOr<bool> Symbol() {
    ASSIGN_OR_RETURN(const uint8_t low, Byte());
    ASSIGN_OR_RETURN(const uint8_t high, Byte());
    const size_t length = low + size_t{256} * high;
    if (length < 3 || length > bytes_.size() - at_) {
      return absl::InvalidArgumentError(absl::StrCat("byte ", at_, ": a QR code command breaks off"));
    }
    const absl::string_view body = bytes_.substr(at_, length);
    at_ += length;
    if (body[0] != '1') return false;
    switch (body[1]) {
      case 'A':
        return length == 4 && (body[2] == '1' || body[2] == '2');
      case 'C':
        return length == 3 && body[2] >= 1 && body[2] <= 16;
      case 'E':
        return length == 3 && body[2] >= '0' && body[2] <= '3';
      case 'P':
        if (body[2] != '0') return false;
        qr_ = std::string(body.substr(3));
        return true;
      case 'Q': {
        if (length != 3 || body[2] != '0' || !qr_.has_value()) return false;
        PaperLine line = style_;
        line.kind = PaperLine::Kind::kQrCode;
        line.text = *qr_;
        lines_.push_back(std::move(line));
        return true;
      }
      default:
        return false;
    }
  }

  absl::string_view bytes_;
  size_t at_ = 0;
  bool enabled_ = true;
  uint8_t table_ = 0;
  PaperLine style_;
  std::string text_;
  std::optional<std::string> qr_;
  std::vector<PaperLine> lines_;
};

}  // namespace

absl::StatusOr<std::vector<PaperLine>> ReadEscPos(absl::string_view bytes) {
  return Reader(bytes).Read();
}

absl::StatusOr<std::string> EscPosToText(absl::string_view bytes, int columns) {
  ASSIGN_OR_RETURN(const std::vector<PaperLine> lines, ReadEscPos(bytes));
  const size_t paper = static_cast<size_t>(columns);
  std::string out;
  for (const PaperLine& line : lines) {
    std::string text = line.text;
    size_t width = 0;  // In characters, as the text is shown unscaled.
    if (line.kind == PaperLine::Kind::kCut) {
      text = absl::StrCat("8<", std::string(paper > 2 ? paper - 2 : 0, '-'));
      width = paper;
    } else if (line.kind == PaperLine::Kind::kQrCode) {
      text = absl::StrCat("[QR code: ", text, "]");
      width = text.size();
    } else {
      width = line.columns / static_cast<size_t>(line.scale);
    }
    const size_t space = width < paper ? paper - width : 0;
    if (line.align == PaperLine::Align::kCentre) text.insert(0, space / 2, ' ');
    if (line.align == PaperLine::Align::kRight) text.insert(0, space, ' ');
    absl::StripTrailingAsciiWhitespace(&text);
    absl::StrAppend(&out, text, "\n");
  }
  return out;
}

}  // namespace arc::hardware
