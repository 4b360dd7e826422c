#ifndef ARC_SERVICES_PAYMENT_MONEY_FORMAT_H_
#define ARC_SERVICES_PAYMENT_MONEY_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Amounts as people see them; minor units everywhere else (common/money). Pure functions, safe from any
// thread.
namespace arc::payment {

// An amount as a customer reads it: "$24.99", "€5.00", "¥500", "CHF 12.50", "-$1.00". A currency without an
// unmistakable sign of its own is written with its code. An unknown code is taken to have two decimals.
std::string FormatMoney(int64_t minor_units, absl::string_view code);

// Loyalty points for an amount: one a major unit, rounded half up, so 24.99 is worth 25 (kiosk specification,
// section 7.3). Nothing for amounts of zero and below.
int64_t LoyaltyPoints(int64_t minor_units, int exponent);

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_MONEY_FORMAT_H_
