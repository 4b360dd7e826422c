#include "services/recsys/model.h"

#include <algorithm>
#include <random>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::recsys {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

messages::OrderContext Context(const char* time, const char* weather, int64_t party) {
  messages::OrderContext context;
  context.time_of_day = time;
  context.weather = weather;
  context.party_size = party;
  return context;
}

Counts RandomCounts(uint32_t seed, int orders, int64_t items) {
  std::mt19937 random(seed);
  Counts counts;
  const char* times[] = {"breakfast", "lunch", "night"};
  const char* weathers[] = {"hot", "cold", "rainy"};
  for (int i = 0; i < orders; ++i) {
    std::vector<int64_t> ids;
    for (uint32_t k = 0; k <= random() % 5; ++k) ids.push_back(1 + static_cast<int64_t>(random()) % items);
    counts.Learn(MakeBasket("o" + std::to_string(i), ids,
                            Context(times[random() % 3], weathers[random() % 3], random() % 7)));
  }
  return counts;
}

Counts Sum(const std::vector<std::string>& chunks) {
  Counts sum;
  for (const std::string& chunk : chunks) {
    absl::StatusOr<Counts> part = DecodeCounts(chunk);
    EXPECT_THAT(part, IsOk());
    if (part.ok()) sum.Add(*part);
  }
  return sum;
}

TEST(FeaturesTest, WordsOfTheContextAreKnownInSeveralSpellings) {
  EXPECT_THAT(FeaturesOf(Context("lunch", "hot", 2)),
              ElementsAre(Feature::kLunch, Feature::kHot, Feature::kPartyOfTwo));
  EXPECT_THAT(FeaturesOf(Context(" Evening", "rain", 5)),
              ElementsAre(Feature::kDinner, Feature::kRainy, Feature::kPartyLarge));
  EXPECT_THAT(FeaturesOf(Context("elevenses", "meteorites", -4)), IsEmpty());
  EXPECT_THAT(FeaturesOf({}), IsEmpty());
}

TEST(CountsTest, AnOrderCountsItsItemsItsPairsAndItsCircumstancesOnce) {
  Counts counts;
  counts.Learn(MakeBasket("a", {201, 101, 101}, Context("lunch", "hot", 1)));
  EXPECT_EQ(counts.orders, 1);
  EXPECT_EQ(counts.items[101].orders, 1);
  EXPECT_EQ(counts.items[101].by_feature[static_cast<size_t>(Feature::kHot)], 1);
  EXPECT_EQ(counts.items[101].by_feature[static_cast<size_t>(Feature::kCold)], 0);
  EXPECT_THAT(counts.pairs, UnorderedElementsAre(Pair(Pair(101, 201), 1)));
}

TEST(CountsTest, ABanquetCountsItsItemsButNoPairs) {
  std::vector<int64_t> ids;
  for (int64_t id = 1; id <= static_cast<int64_t>(kMaxPairedItems) + 1; ++id) ids.push_back(id);
  Counts counts;
  counts.Learn(MakeBasket("a", ids, {}));
  EXPECT_EQ(counts.items.size(), kMaxPairedItems + 1);
  EXPECT_THAT(counts.pairs, IsEmpty());
}

TEST(CountsTest, PartsAddUpInAnyOrderAndTheirDifferenceLeadsFromOneToTheOther) {
  const Counts a = RandomCounts(1, 200, 40), b = RandomCounts(2, 300, 50);
  Counts ab = a, ba = b;
  ab.Add(b);
  ba.Add(a);
  EXPECT_EQ(ab, ba);
  EXPECT_EQ(ab.Minus(a), b.Minus({}));
  EXPECT_EQ(ab.Minus(ab), Counts());

  Model model;
  model.Apply(a);
  model.Apply(b.Minus(a));
  EXPECT_EQ(model.orders(), b.orders);
  const Model::Reader reader(model);
  for (const auto& [id, counts] : b.items) {
    ASSERT_NE(reader.Find(id), nullptr);
    EXPECT_EQ(*reader.Find(id), counts);
  }
  for (const auto& [pair, count] : b.pairs) {
    EXPECT_EQ(reader.Together(pair.first)->at(pair.second), count);
    EXPECT_EQ(reader.Together(pair.second)->at(pair.first), count);
  }
}

TEST(CountsTest, PruningKeepsWhatIsOrderedMost) {
  Counts counts;
  for (int i = 0; i < 3; ++i) counts.Learn(MakeBasket("a", {1, 2}, {}));
  counts.Learn(MakeBasket("b", {1, 3}, {}));
  counts.Learn(MakeBasket("c", {2, 3}, {}));
  counts.Prune(1, 2);
  EXPECT_THAT(counts.pairs, UnorderedElementsAre(Pair(Pair(1, 2), 3)));
  EXPECT_THAT(counts.items, UnorderedElementsAre(Pair(1, testing::_), Pair(2, testing::_)));
}

TEST(CodecTest, CountsComeBackFromChunksThatAreSmallEnough) {
  const Counts counts = RandomCounts(3, 5000, 400);
  for (const size_t chunk_bytes : {size_t{2000}, size_t{20000}, size_t{10000000}}) {
    const std::vector<std::string> chunks = EncodeCounts(counts, chunk_bytes);
    for (const std::string& chunk : chunks) EXPECT_LE(chunk.size(), chunk_bytes + 100);
    EXPECT_EQ(Sum(chunks), counts);
  }
  EXPECT_EQ(Sum(EncodeCounts({}, 1000)), Counts());
}

TEST(CodecTest, TheLargestIdsAndCountsComeBack) {
  Counts counts;
  counts.orders = std::numeric_limits<int64_t>::max();
  counts.items[json::kMaxId].orders = 1;
  counts.pairs[{1, json::kMaxId}] = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Sum(EncodeCounts(counts, 100)), counts);
}

TEST(CodecTest, AModelOfTenThousandItemsFitsIntoChunksAndAFullShardIntoOneKey) {
  const Counts counts = RandomCounts(4, 20000, 10000);
  const std::vector<std::string> chunks = EncodeCounts(counts, size_t{64} * 1024);
  EXPECT_GT(chunks.size(), 1u);
  EXPECT_EQ(Sum(chunks), counts);

  Shard shard;
  for (int i = 0; i < 22000; ++i) {
    shard.Learn(MakeBasket("o" + std::to_string(i), {1 + i % 997, 1001 + i % 991, 2001 + i % 9973}, {}));
  }
  EXPECT_LE(shard.counts.pairs.size(), Shard::kMaxPairs);
  EXPECT_EQ(shard.counts.orders, 22000);
  EXPECT_LT(EncodeShard(shard).size(), 700u * 1024);
}

TEST(CodecTest, EveryDamagedByteIsNoticed) {
  const std::string good = EncodeCounts(RandomCounts(5, 20, 10), 100000).front();
  ASSERT_THAT(DecodeCounts(good), IsOk());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x21);
    EXPECT_THAT(DecodeCounts(bad), StatusIs(absl::StatusCode::kDataLoss)) << i;
    EXPECT_THAT(DecodeCounts(good.substr(0, i)), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
  EXPECT_THAT(DecodeShard(good), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("another kind")));
  EXPECT_THAT(DecodeCounts("not a model at all"), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(CodecTest, OrdersComeBackInChunks) {
  std::vector<uint64_t> orders;
  orders.reserve(1000);
  for (int i = 0; i < 1000; ++i) orders.push_back(HashOrderId("order " + std::to_string(i)));
  std::sort(orders.begin(), orders.end());
  std::vector<uint64_t> back;
  for (const std::string& chunk : EncodeOrders(orders, 1024)) {
    EXPECT_LE(chunk.size(), 1100u);
    const absl::StatusOr<std::vector<uint64_t>> part = DecodeOrders(chunk);
    ASSERT_THAT(part, IsOk());
    back.insert(back.end(), part->begin(), part->end());
  }
  EXPECT_EQ(back, orders);
}

TEST(ShardTest, AnOrderCountsOnceAlsoAfterARoundTrip) {
  Shard shard;
  const Basket basket = MakeBasket("order-1", {101, 201}, {});
  EXPECT_TRUE(shard.Learn(basket));
  EXPECT_FALSE(shard.Learn(basket));
  absl::StatusOr<Shard> back = DecodeShard(EncodeShard(shard));
  ASSERT_THAT(back, IsOk());
  EXPECT_FALSE(back->Learn(basket));
  EXPECT_EQ(back->counts.orders, 1);
  EXPECT_TRUE(back->Learn(MakeBasket("order-2", {101}, {})));
  EXPECT_EQ(back->counts.orders, 2);
}

TEST(ShardTest, OnlyTheLatestOrdersAreRemembered) {
  Shard shard;
  for (size_t i = 0; i <= Shard::kRecentOrders; ++i) {
    EXPECT_TRUE(shard.Learn(MakeBasket("order-" + std::to_string(i), {101}, {})));
  }
  EXPECT_EQ(shard.recent_orders.size(), Shard::kRecentOrders);
  EXPECT_FALSE(shard.Contains(HashOrderId("order-0")));
  EXPECT_TRUE(shard.Contains(HashOrderId("order-1")));
}

}  // namespace
}  // namespace arc::recsys
