#include "services/payment/money_format.h"

#include <limits>

#include "gtest/gtest.h"

namespace arc::payment {
namespace {

TEST(FormatMoney, WritesAmountsAsACustomerReadsThem) {
  EXPECT_EQ(FormatMoney(2499, "USD"), "$24.99");
  EXPECT_EQ(FormatMoney(5, "EUR"), "€0.05");
  EXPECT_EQ(FormatMoney(500, "JPY"), "¥500");
  EXPECT_EQ(FormatMoney(1250, "CHF"), "CHF 12.50");
  EXPECT_EQ(FormatMoney(1005, "KWD"), "KWD 1.005");
  EXPECT_EQ(FormatMoney(-100, "USD"), "-$1.00");
  EXPECT_EQ(FormatMoney(std::numeric_limits<int64_t>::min(), "JPY"), "-¥9223372036854775808");
}

TEST(LoyaltyPoints, AreMajorUnitsRoundedToTheNearest) {
  EXPECT_EQ(LoyaltyPoints(2499, 2), 25);
  EXPECT_EQ(LoyaltyPoints(2449, 2), 24);
  EXPECT_EQ(LoyaltyPoints(2450, 2), 25);
  EXPECT_EQ(LoyaltyPoints(49, 2), 0);
  EXPECT_EQ(LoyaltyPoints(500, 0), 500);
  EXPECT_EQ(LoyaltyPoints(1500, 3), 2);
  EXPECT_EQ(LoyaltyPoints(0, 2), 0);
  EXPECT_EQ(LoyaltyPoints(-2499, 2), 0);
  EXPECT_EQ(LoyaltyPoints(std::numeric_limits<int64_t>::max(), 2), 92233720368547758);
}

}  // namespace
}  // namespace arc::payment
