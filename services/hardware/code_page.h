#ifndef ARC_SERVICES_HARDWARE_CODE_PAGE_H_
#define ARC_SERVICES_HARDWARE_CODE_PAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc::hardware {

// A single-byte character table of a receipt printer: one byte is one column on the paper. Converts between
// UTF-8 and the table, and makes text safe to send: what comes out of FromUtf8() holds no byte below 0x20 and
// no 0x7F, so that no text of a menu or a customer can ever be read as a printer command.
//
// Not thread-safe: a converter keeps state. Make one per receipt.
class CodePage {
 public:
  // `name` is one of Names(), in any case. InvalidArgument otherwise; Internal when the C library has no
  // converter.
  static absl::StatusOr<CodePage> Create(absl::string_view name);

  // "CP437", "CP850", "CP852", "CP858", "CP866", "CP1252".
  static std::vector<absl::string_view> Names();

  CodePage(CodePage&&) = default;
  CodePage& operator=(CodePage&&) = default;

  // UTF-8 to the table. Tabs and line ends become one space, other control and invisible format characters
  // vanish, pictographs (emoji) vanish, a letter the table lacks becomes its nearest letters ("ő" is "o"),
  // anything else, invalid UTF-8 included, becomes "?". Never fails.
  std::string FromUtf8(absl::string_view utf8);

  // The table to UTF-8, for showing what was printed. A byte outside the table becomes U+FFFD.
  std::string ToUtf8(absl::string_view bytes);

  absl::string_view name() const { return name_; }
  // The n of `ESC t n`, as Epson numbers its tables.
  uint8_t number() const { return number_; }

  // The name of table `number`, or empty when it is none of Names().
  static absl::string_view NameOf(uint8_t number);

 private:
  struct Converter;
  struct ConverterDeleter {
    void operator()(Converter* converter) const;
  };
  CodePage(absl::string_view name, uint8_t number, std::unique_ptr<Converter, ConverterDeleter> converter)
      : name_(name), number_(number), converter_(std::move(converter)) {}

  absl::string_view name_;
  uint8_t number_;
  std::unique_ptr<Converter, ConverterDeleter> converter_;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_CODE_PAGE_H_
