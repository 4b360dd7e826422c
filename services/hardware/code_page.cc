#include "services/hardware/code_page.h"

#include <iconv.h>
#include <locale.h>

#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace arc::hardware {
namespace {

struct Table {
  absl::string_view name;
  uint8_t number;
};

constexpr std::array<Table, 6> kTables = {{
    {"CP437", 0},
    {"CP850", 2},
    {"CP852", 18},
    {"CP858", 19},
    {"CP866", 17},
    {"CP1252", 16},
}};

const iconv_t kNoConverter = reinterpret_cast<iconv_t>(-1);

// glibc transliterates by the thread's locale; the process may well run in "C", where every accent becomes
// "?".
class ScopedUtf8Locale {
 public:
  ScopedUtf8Locale() : previous_(Utf8() == nullptr ? nullptr : uselocale(Utf8())) {}
  ~ScopedUtf8Locale() {
    if (previous_ != nullptr) uselocale(previous_);
  }
  ScopedUtf8Locale(const ScopedUtf8Locale&) = delete;
  ScopedUtf8Locale& operator=(const ScopedUtf8Locale&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t previous_;
};

struct CodePoint {
  uint32_t value;
  size_t length;  // Bytes of the input it took, at least 1.
  bool valid;
};

CodePoint Next(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  size_t length = 0;
  uint32_t value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    value = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    value = lead & 0x0Fu;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    value = lead & 0x07u;
  } else {
    return {0, 1, false};
  }
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || (byte(i) & 0xC0) != 0x80) return {0, i, false};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {0, length, false};
  return {value, length, true};
}

bool IsSpace(uint32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool IsInvisible(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || (c >= 0xFE00 && c <= 0xFE0F) ||
         c == 0xFEFF || (c >= 0x0300 && c <= 0x036F) || (c >= 0xE0000 && c <= 0xE01EF);
}

bool IsPictograph(uint32_t c) {
  return (c >= 0x2600 && c <= 0x27BF) || (c >= 0x1F000 && c <= 0x1FBFF);
}

}  // namespace

struct CodePage::Converter {
  iconv_t to = kNoConverter;
  iconv_t from = kNoConverter;
};

void CodePage::ConverterDeleter::operator()(Converter* converter) const {
  if (converter->to != kNoConverter) iconv_close(converter->to);
  if (converter->from != kNoConverter) iconv_close(converter->from);
  delete converter;
}

std::vector<absl::string_view> CodePage::Names() {
  std::vector<absl::string_view> names;
  names.reserve(kTables.size());
  for (const Table& table : kTables) names.push_back(table.name);
  return names;
}

absl::string_view CodePage::NameOf(uint8_t number) {
  for (const Table& table : kTables) {
    if (table.number == number) return table.name;
  }
  return {};
}

absl::StatusOr<CodePage> CodePage::Create(absl::string_view name) {
  for (const Table& table : kTables) {
    if (!absl::EqualsIgnoreCase(name, table.name)) continue;
    std::unique_ptr<Converter, ConverterDeleter> converter(new Converter);
    const ScopedUtf8Locale locale;
    converter->to = iconv_open(absl::StrCat(table.name, "//TRANSLIT").c_str(), "UTF-8");
    converter->from = iconv_open("UTF-8", std::string(table.name).c_str());
    if (converter->to == kNoConverter || converter->from == kNoConverter) {
      return absl::InternalError(
          absl::StrCat("the C library cannot convert ", table.name, ": ", strerror(errno)));
    }
    return CodePage(table.name, table.number, std::move(converter));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("code page \"", name, "\" is none of ", absl::StrJoin(Names(), ", ")));
}

std::string CodePage::FromUtf8(absl::string_view utf8) {
  const ScopedUtf8Locale locale;
  std::string out;
  out.reserve(utf8.size());
  while (!utf8.empty()) {
    const CodePoint c = Next(utf8);
    absl::string_view one = utf8.substr(0, c.length);
    utf8.remove_prefix(c.length);
    if (!c.valid) {
      out += '?';
    } else if (IsSpace(c.value)) {
      out += ' ';
    } else if (IsInvisible(c.value) || IsPictograph(c.value)) {
      continue;
    } else if (c.value < 0x7F) {
      out += static_cast<char>(c.value);
    } else {
      std::array<char, 16> buffer;
      char* in = const_cast<char*>(one.data());
      size_t in_left = one.size();
      char* end = buffer.data();
      size_t out_left = buffer.size();
      if (iconv(converter_->to, &in, &in_left, &end, &out_left) == static_cast<size_t>(-1)) {
        iconv(converter_->to, nullptr, nullptr, nullptr, nullptr);
        out += '?';
        continue;
      }
      for (const char* p = buffer.data(); p != end; ++p) {
        const uint8_t b = static_cast<uint8_t>(*p);
        if (b >= 0x20 && b != 0x7F) out += *p;
      }
    }
  }
  return out;
}

std::string CodePage::ToUtf8(absl::string_view bytes) {
  std::string out;
  for (const char& byte : bytes) {
    std::array<char, 8> buffer;
    char* in = const_cast<char*>(&byte);
    size_t in_left = 1;
    char* end = buffer.data();
    size_t out_left = buffer.size();
    if (iconv(converter_->from, &in, &in_left, &end, &out_left) == static_cast<size_t>(-1)) {
      iconv(converter_->from, nullptr, nullptr, nullptr, nullptr);
      out += "\xEF\xBF\xBD";
      continue;
    }
    out.append(buffer.data(), static_cast<size_t>(end - buffer.data()));
  }
  return out;
}

}  // namespace arc::hardware
