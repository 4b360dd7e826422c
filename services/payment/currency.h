#ifndef ARC_SERVICES_PAYMENT_CURRENCY_H_
#define ARC_SERVICES_PAYMENT_CURRENCY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

// Currencies by their ISO 4217 code. Amounts inside the fleet are int64 minor units (cents); only people and
// messages see decimal numbers. All functions are pure and safe from any thread.
namespace arc::payment {

// How many decimals an amount of the currency has: 2 for "USD", 0 for "JPY", 3 for "KWD". Empty for a code
// that is not an active ISO 4217 currency; codes are upper case.
std::optional<int> CurrencyExponent(absl::string_view code);

// An amount as a customer reads it: "$24.99", "€5.00", "¥500", "CHF 12.50", "-$1.00". A currency without an
// unmistakable sign of its own is written with its code. An unknown code is taken to have two decimals.
std::string FormatMoney(int64_t minor_units, absl::string_view code);

// Loyalty points for an amount: one a major unit, rounded half up, so 24.99 is worth 25 (kiosk specification,
// section 7.3). Nothing for amounts of zero and below.
int64_t LoyaltyPoints(int64_t minor_units, int exponent);

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_CURRENCY_H_
