#include "common/metrics/histogram.h"

#include "common/json/json.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Optional;

Histogram Make(std::vector<int64_t> buckets, int64_t count, double sum = 0) {
  return {{1, 2.5, 5, 10}, std::move(buckets), count, sum};
}

TEST(HistogramTest, AQuantileLiesWithinItsBucket) {
  // 10 up to 1, 10 up to 2.5, none up to 5, 20 up to 10.
  const Histogram h = Make({10, 20, 20, 40}, 40);
  EXPECT_THAT(h.Quantile(0.125), Optional(DoubleNear(0.5, 1e-9)));
  EXPECT_THAT(h.Quantile(0.25), Optional(DoubleNear(1, 1e-9)));
  EXPECT_THAT(h.Quantile(0.375), Optional(DoubleNear(1.75, 1e-9)));
  EXPECT_THAT(h.Quantile(0.5), Optional(DoubleNear(2.5, 1e-9)));
  EXPECT_THAT(h.Quantile(0.75), Optional(DoubleNear(7.5, 1e-9)));
  EXPECT_THAT(h.Quantile(1), Optional(DoubleNear(10, 1e-9)));
}

TEST(HistogramTest, WhatIsAboveTheLastBoundIsTheLastBound) {
  EXPECT_THAT(Make({0, 0, 0, 1}, 100).Quantile(0.99), Optional(Eq(10)));
  EXPECT_THAT(Make({0, 0, 0, 0}, 3).Quantile(0.5), Optional(Eq(10)));
}

TEST(HistogramTest, NothingHasNoQuantile) {
  EXPECT_EQ(Make({0, 0, 0, 0}, 0).Quantile(0.5), std::nullopt);
  EXPECT_EQ(Histogram().Quantile(0.5), std::nullopt);
  EXPECT_EQ(Make({1, 2}, 2).Quantile(0.5), std::nullopt) << "two counts of four bounds";
  EXPECT_EQ(Make({5, 4, 6, 7}, 7).Quantile(0.5), std::nullopt) << "buckets that fall";
}

TEST(HistogramTest, CopiesAddUpWhenTheirBoundsAreTheSame) {
  Histogram all;
  EXPECT_TRUE(all.Add(Make({1, 2, 3, 4}, 5, 20)));
  EXPECT_TRUE(all.Add(Make({0, 1, 1, 1}, 1, 2)));
  EXPECT_THAT(all.buckets, ElementsAre(1, 3, 4, 5));
  EXPECT_EQ(all.count, 6);
  EXPECT_EQ(all.sum, 22);
  EXPECT_FALSE(all.Add({{1}, {1}, 1, 1}));
  EXPECT_EQ(all.count, 6);
}

TEST(HistogramTest, GoesToJsonAndBack) {
  const std::string text = json::Encode(Make({1, 2, 3, 4}, 5, 20.5));
  EXPECT_EQ(text, R"({"le":[1.0,2.5,5.0,10.0],"buckets":[1,2,3,4],"count":5,"sum":20.5})");
  const absl::StatusOr<Histogram> back = json::Decode<Histogram>(text);
  ASSERT_THAT(back, IsOk());
  EXPECT_THAT(back->le, ElementsAre(1, 2.5, 5, 10));
  EXPECT_THAT(back->buckets, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(back->count, 5);
  EXPECT_EQ(back->sum, 20.5);
}

}  // namespace
}  // namespace arc
