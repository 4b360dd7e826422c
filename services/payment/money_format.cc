#include "services/payment/money_format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/money/money.h"

namespace arc::payment {
namespace {

struct Sign {
  absl::string_view code;
  absl::string_view sign;
};
constexpr Sign kSigns[] = {{"EUR", "€"}, {"GBP", "£"}, {"INR", "₹"}, {"JPY", "¥"}, {"USD", "$"}};

uint64_t PowerOfTen(int exponent) {
  uint64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

}  // namespace

std::string FormatMoney(int64_t minor_units, absl::string_view code) {
  const int exponent = CurrencyExponent(code).value_or(2);
  const uint64_t power = PowerOfTen(exponent);
  // Unsigned, because the most negative amount has no positive counterpart.
  const uint64_t magnitude =
      minor_units < 0 ? uint64_t{0} - static_cast<uint64_t>(minor_units) : static_cast<uint64_t>(minor_units);
  std::string number = absl::StrCat(magnitude / power);
  if (exponent > 0) absl::StrAppendFormat(&number, ".%0*d", exponent, magnitude % power);

  std::string prefix = absl::StrCat(code, " ");
  for (const Sign& sign : kSigns) {
    if (sign.code == code) prefix = std::string(sign.sign);
  }
  return absl::StrCat(minor_units < 0 ? "-" : "", prefix, number);
}

int64_t LoyaltyPoints(int64_t minor_units, int exponent) {
  if (minor_units <= 0) return 0;
  const int64_t power = static_cast<int64_t>(PowerOfTen(exponent));
  return minor_units / power + (minor_units % power * 2 >= power ? 1 : 0);
}

}  // namespace arc::payment
