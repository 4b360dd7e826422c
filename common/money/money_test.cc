#include "common/money/money.h"

#include <gtest/gtest.h>

namespace arc {
namespace {

TEST(CurrencyExponentTest, KnowsWhichCurrenciesHaveNoCentsAndWhichHaveThousandths) {
  EXPECT_EQ(CurrencyExponent("USD"), 2);
  EXPECT_EQ(CurrencyExponent("EUR"), 2);
  EXPECT_EQ(CurrencyExponent("ZMW"), 2);
  EXPECT_EQ(CurrencyExponent("AED"), 2);
  EXPECT_EQ(CurrencyExponent("JPY"), 0);
  EXPECT_EQ(CurrencyExponent("XPF"), 0);
  EXPECT_EQ(CurrencyExponent("KWD"), 3);
  EXPECT_EQ(CurrencyExponent("TND"), 3);
}

TEST(CurrencyExponentTest, RefusesWhatIsNoCode) {
  for (const char* code : {"", "US", "USDX", "usd", "XXX", "SDA", "DAF", "USDEUR"}) {
    EXPECT_EQ(CurrencyExponent(code), std::nullopt) << code;
  }
}

}  // namespace
}  // namespace arc
