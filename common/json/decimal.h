// An exact decimal number as it stands in JSON: 12.99 is {1299, 2}. Prices travel as such; inside the fleet
// money is an int64_t of minor units (common/money). Value type, no shared state.
#ifndef ARC_COMMON_JSON_DECIMAL_H_
#define ARC_COMMON_JSON_DECIMAL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc {

// `unscaled` x 10^-`scale`, with no trailing zeros behind the point and 0 <= scale <= 9.
struct Decimal {
  int64_t unscaled = 0;
  int scale = 0;

  // `minor` / 10^`exponent`, normalised.
  static Decimal FromMinor(int64_t minor, int exponent);

  // The shortest decimal that reads back as `value`. InvalidArgument for NaN, infinities, a magnitude above
  // 10^12 or more than 9 decimals: no price looks like that.
  static absl::StatusOr<Decimal> FromDouble(double value);

  // This number in units of 10^-`exponent`. InvalidArgument when it has more decimals than that.
  absl::StatusOr<int64_t> ToMinor(int exponent) const;

  // As JSON writes it: "12.99", "-3", "0.5".
  std::string ToString() const;

  friend bool operator==(const Decimal& a, const Decimal& b) {
    return a.unscaled == b.unscaled && a.scale == b.scale;
  }
  friend bool operator!=(const Decimal& a, const Decimal& b) { return !(a == b); }
};

}  // namespace arc

#endif  // ARC_COMMON_JSON_DECIMAL_H_
