#include "common/json/decimal.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace arc {
namespace {

constexpr int kMaxScale = 9;
constexpr double kMaxMagnitude = 1e12;

int64_t PowerOfTen(int exponent) {
  int64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

void Normalise(Decimal& decimal) {
  while (decimal.scale > 0 && decimal.unscaled % 10 == 0) {
    decimal.unscaled /= 10;
    --decimal.scale;
  }
}

}  // namespace

Decimal Decimal::FromMinor(int64_t minor, int exponent) {
  Decimal decimal{minor, exponent};
  Normalise(decimal);
  return decimal;
}

absl::StatusOr<Decimal> Decimal::FromDouble(double value) {
  if (!std::isfinite(value) || std::fabs(value) > kMaxMagnitude) {
    return absl::InvalidArgumentError("must be a number of at most 12 digits before the point");
  }
  char buffer[512];
  const std::to_chars_result end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  const absl::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  const size_t point = text.find('.');
  Decimal decimal;
  std::string digits(text.substr(0, point));
  if (point != absl::string_view::npos) {
    const absl::string_view fraction = text.substr(point + 1);
    decimal.scale = static_cast<int>(fraction.size());
    absl::StrAppend(&digits, fraction);
  }
  if (decimal.scale > kMaxScale || !absl::SimpleAtoi(digits, &decimal.unscaled)) {
    return absl::InvalidArgumentError("has too many digits");
  }
  Normalise(decimal);
  return decimal;
}

absl::StatusOr<int64_t> Decimal::ToMinor(int exponent) const {
  if (scale > exponent) {
    return absl::InvalidArgumentError(absl::StrCat(ToString(), " has more than ", exponent, " decimals"));
  }
  const int64_t factor = PowerOfTen(exponent - scale);
  int64_t minor = 0;
  if (__builtin_mul_overflow(unscaled, factor, &minor)) {
    return absl::InvalidArgumentError(absl::StrCat(ToString(), " is too large"));
  }
  return minor;
}

std::string Decimal::ToString() const {
  if (scale == 0) return absl::StrCat(unscaled);
  const bool negative = unscaled < 0;
  const uint64_t magnitude =
      negative ? uint64_t{0} - static_cast<uint64_t>(unscaled) : static_cast<uint64_t>(unscaled);
  std::string digits = absl::StrCat(magnitude);
  const size_t decimals = static_cast<size_t>(scale);
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  digits.insert(digits.size() - decimals, ".");
  return negative ? absl::StrCat("-", digits) : digits;
}

}  // namespace arc
