#include "services/tts/fold.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace arc::tts {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;

// The code point at the front of `text`, which is not empty, and takes it away; kNone for a byte that begins
// none.
uint32_t TakeCodePoint(absl::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  size_t size = 1;
  uint32_t code = lead;
  if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    code = lead & 0x07U;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    size = 3;
    code = lead & 0x0FU;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    size = 2;
    code = lead & 0x1FU;
  } else if (lead >= 0x80) {
    text.remove_prefix(1);
    return kNone;
  }
  if (text.size() < size) {
    text.remove_prefix(1);
    return kNone;
  }
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) {
      text.remove_prefix(1);
      return kNone;
    }
    code = (code << 6U) | (byte(i) & 0x3FU);
  }
  text.remove_prefix(size);
  return code;
}

void AppendUtf8(std::string& out, uint32_t code) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

// U+00C0 to U+017F without accents; '*': two letters, below.
constexpr absl::string_view kLatin =
    "AAAAAA*CEEEEIIII"
    "DNOOOOO.OUUUUY**"
    "aaaaaa*ceeeeiiii"
    "dnooooo.ouuuuy*y"
    "AaAaAaCcCcCcCcDd"
    "DdEeEeEeEeEeGgGg"
    "GgGgHhHhIiIiIiIi"
    "Ii**JjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOo"
    "Oo**RrRrRrSsSsSs"
    "SsTtTtTtUuUuUuUu"
    "UuUuWwYyYZzZzZzs";
static_assert(kLatin.size() == 0x180 - 0xC0);

absl::string_view TwoLetters(uint32_t code) {
  switch (code) {
    case 0xC6:
      return "Ae";
    case 0xDE:
      return "Th";
    case 0xDF:
      return "ss";
    case 0xE6:
      return "ae";
    case 0xFE:
      return "th";
    case 0x132:
      return "Ij";
    case 0x133:
      return "ij";
    case 0x152:
      return "Oe";
    case 0x153:
      return "oe";
    default:
      return "";
  }
}

bool IsLatin(uint32_t code) {
  return code >= 0xC0 && code < 0x180 && code != 0xD7 && code != 0xF7;
}

// Vietnamese: U+1EA0 to U+1EF9, capitals at even numbers.
char Vietnamese(uint32_t code) {
  const char capital = code < 0x1EB8   ? 'A'
                       : code < 0x1EC8 ? 'E'
                       : code < 0x1ECC ? 'I'
                       : code < 0x1EE4 ? 'O'
                       : code < 0x1EF2 ? 'U'
                                       : 'Y';
  return static_cast<char>(code % 2 == 0 ? capital : capital - 'A' + 'a');
}

// A letter with an accent, as ASCII; empty for any other code point.
std::string PlainLetter(uint32_t code) {
  if (IsLatin(code)) {
    const char letter = kLatin[code - 0xC0];
    return letter == '*' ? std::string(TwoLetters(code)) : std::string(1, letter);
  }
  if (code >= 0x1EA0 && code <= 0x1EF9) return std::string(1, Vietnamese(code));
  switch (code) {
    case 0x1A0:
      return "O";
    case 0x1A1:
      return "o";
    case 0x1AF:
      return "U";
    case 0x1B0:
      return "u";
    case 0x218:
      return "S";
    case 0x219:
      return "s";
    case 0x21A:
      return "T";
    case 0x21B:
      return "t";
    default:
      return "";
  }
}

bool IsForeignLetter(uint32_t code) {
  return (code >= 0x180 && code < 0x250) || (code >= 0x370 && code < 0x2000) ||
         (code >= 0x3040 && code < 0xA000) || (code >= 0xAC00 && code < 0xD7A4);
}

// What stands for a sign; null: nothing does, it is dropped.
const char* Sign(uint32_t code) {
  switch (code) {
    case 0xA2:
      return "\x05";
    case 0xA3:
      return "\x03";
    case 0xA5:
      return "\x04";
    case 0xB0:
    case 0xBA:
      return "\x01";
    case 0xD7:
    case 0x2715:
    case 0x2A2F:
      return "\x0e";
    case 0xF7:
      return " divided by ";
    case 0xB1:
      return " plus or minus ";
    case 0xBC:
      return " 1/4";
    case 0xBD:
      return " 1/2";
    case 0xBE:
      return " 3/4";
    case 0x2153:
      return " 1/3";
    case 0x2154:
      return " 2/3";
    case 0x215B:
      return " 1/8";
    case 0x2018:
    case 0x2019:
    case 0x02BC:
    case 0x2032:
      return "'";
    case 0x201C:
    case 0x201D:
    case 0x201E:
    case 0x2033:
    case 0xAB:
    case 0xBB:
      return "\"";
    case 0x2010:
    case 0x2011:
    case 0x2212:
      return "-";
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
      return "\x0f";
    case 0x2026:
      return "...";
    case 0x2022:
    case 0x2023:
    case 0x25AA:
    case 0x25CF:
    case 0x25E6:
      return "\n";
    case 0xB7:
    case 0x2190:
    case 0x2192:
    case 0x21D2:
      return ", ";
    case 0x20AC:
      return "\x02";
    case 0x20B9:
      return "\x06";
    case 0x2103:
      return "\x01"
             "C";
    case 0x2109:
      return "\x01"
             "F";
    case 0x2116:
      return "No. ";
    case 0x2044:
      return "/";
    case 0x2248:
      return " about ";
    case 0x2264:
      return " at most ";
    case 0x2265:
      return " at least ";
    case 0x3001:
    case 0xFF0C:
      return ", ";
    case 0x3002:
      return ". ";
    case 0xFF01:
      return "! ";
    case 0xFF1F:
      return "? ";
    case 0x2028:
    case 0x2029:
      return "\n";
    case 0xA0:
    case 0x2002:
    case 0x2003:
    case 0x2007:
    case 0x2009:
    case 0x200A:
    case 0x202F:
    case 0x3000:
      return " ";
    default:
      return nullptr;
  }
}

}  // namespace

std::string Fold(absl::string_view text, bool ascii) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const uint32_t code = TakeCodePoint(text);
    if (code == kNone) continue;
    if (code < 0x80) {
      if (code == '\n' || code == '\r' || code == '\v' || code == '\f') {
        out.push_back('\n');
      } else if (code >= ' ' && code != 0x7F) {
        out.push_back(static_cast<char>(code));
      } else {
        out.push_back(' ');
      }
      continue;
    }
    const std::string plain = PlainLetter(code);
    if (!plain.empty() || IsForeignLetter(code)) {
      if (ascii) {
        out += plain;
      } else {
        AppendUtf8(out, code);
      }
    } else if (const char* sign = Sign(code); sign != nullptr) {
      absl::StrAppend(&out, sign);
    }
  }
  return out;
}

}  // namespace arc::tts
