// Reads ESC/POS bytes the way a printer does, and says what a person would find on the paper. For tests, and
// for looking into the file of a file printer (`arc-receipt-view`).
#ifndef ARC_SERVICES_HARDWARE_RECEIPT_READER_H_
#define ARC_SERVICES_HARDWARE_RECEIPT_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::hardware {

struct PaperLine {
  enum class Kind { kText, kQrCode, kCut };
  enum class Align { kLeft, kCentre, kRight };
  Kind kind = Kind::kText;
  std::string text;  // UTF-8: the characters of the line, or the content of the QR code. Empty for a cut.
  Align align = Align::kLeft;
  int scale = 1;  // 1 to 8 times the usual width.
  bool bold = false;
  size_t columns = 0;  // Width of the text in usual characters: the number of characters times the scale.
};

// The lines on the paper, in order, blank ones included. Data that the printer was told to ignore (ESC =) is
// left out. InvalidArgument with the offset for a command or control byte that is not part of what
// RenderReceipt() uses, and for a command that breaks off: on a real printer such bytes come out as rubbish.
absl::StatusOr<std::vector<PaperLine>> ReadEscPos(absl::string_view bytes);

// The lines as plain text on paper of `columns`: centred where they are centred, `[QR code: ...]` for a code,
// and dashes with scissors for a cut. Trailing spaces are removed.
absl::StatusOr<std::string> EscPosToText(absl::string_view bytes, int columns);

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_RECEIPT_READER_H_
