// Currencies by their ISO 4217 code. Money inside the fleet is an int64_t of minor units (cents); only people
// and messages see decimal numbers (common/json/decimal.h). Pure functions, thread-safe.
#ifndef ARC_COMMON_MONEY_MONEY_H_
#define ARC_COMMON_MONEY_MONEY_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace arc {

// How many decimals an amount of the currency has: 2 for "USD", 0 for "JPY", 3 for "KWD". Nothing for a code
// that is no active currency of ISO 4217; codes are upper case.
std::optional<int> CurrencyExponent(absl::string_view code);

}  // namespace arc

#endif  // ARC_COMMON_MONEY_MONEY_H_
