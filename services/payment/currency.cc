#include "services/payment/currency.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace arc::payment {
namespace {

// ISO 4217, active currencies of circulation, sorted by code within each group.
constexpr absl::string_view kNoDecimals[] = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW",
                                             "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"};
constexpr absl::string_view kThreeDecimals[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
constexpr absl::string_view kTwoDecimals[] = {
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND",
    "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CUP", "CVE",
    "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD",
    "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW",
    "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU",
    "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK",
    "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS",
    "UAH", "USD", "UYU", "UZS", "VES", "WST", "XCD", "YER", "ZAR", "ZMW"};

struct Sign {
  absl::string_view code;
  absl::string_view sign;
};
constexpr Sign kSigns[] = {{"EUR", "€"}, {"GBP", "£"}, {"INR", "₹"}, {"JPY", "¥"}, {"USD", "$"}};

template <size_t N>
bool Contains(const absl::string_view (&codes)[N], absl::string_view code) {
  return std::binary_search(std::begin(codes), std::end(codes), code);
}

uint64_t PowerOfTen(int exponent) {
  uint64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

}  // namespace

std::optional<int> CurrencyExponent(absl::string_view code) {
  if (Contains(kTwoDecimals, code)) return 2;
  if (Contains(kNoDecimals, code)) return 0;
  if (Contains(kThreeDecimals, code)) return 3;
  return std::nullopt;
}

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
