// What the recommendation agent learns from completed orders: how often each item, each pair of items, and
// each item under each circumstance was ordered. Counts add up, so parts that were learned by several copies
// or imported from a file merge in any order to the same whole.
//
// Counts is a value without locks. Model is what suggestions read; it is thread-safe through a shared lock.
#ifndef ARC_SERVICES_RECSYS_MODEL_H_
#define ARC_SERVICES_RECSYS_MODEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/messages/recsys.h"

namespace arc::recsys {

// Circumstances that the model tells apart. Values are part of the stored form.
enum class Feature : int {
  kBreakfast = 0,
  kLunch = 1,
  kAfternoon = 2,
  kDinner = 3,
  kNight = 4,
  kHot = 5,
  kMild = 6,
  kCold = 7,
  kRainy = 8,
  kPartyOfOne = 9,
  kPartyOfTwo = 10,
  kPartySmall = 11,  // three or four
  kPartyLarge = 12,  // five and more
};
inline constexpr size_t kFeatures = 13;

// The features of a context, in ascending order. Words that are not known ("morning" and "evening" are) and
// a party size below 1 say nothing.
std::vector<Feature> FeaturesOf(const messages::OrderContext& context);

// An order as the model sees it: which items, no matter how many of each, and when.
struct Basket {
  uint64_t order = 0;          // HashOrderId() of its id
  std::vector<int64_t> items;  // ascending, each once
  std::vector<Feature> features;
};
Basket MakeBasket(absl::string_view order_id, const std::vector<int64_t>& item_ids,
                  const messages::OrderContext& context);

// 64 bits that stand for an order's id in the store; the same in every process and version.
uint64_t HashOrderId(absl::string_view order_id);

// Pairs of a basket with more different items than this are not counted: a banquet says little about what
// goes with what and would cost its square.
inline constexpr size_t kMaxPairedItems = 40;

struct ItemCounts {
  int64_t orders = 0;
  std::array<int64_t, kFeatures> by_feature{};

  bool IsZero() const;
  friend bool operator==(const ItemCounts& a, const ItemCounts& b) {
    return a.orders == b.orders && a.by_feature == b.by_feature;
  }
};

struct Counts {
  int64_t orders = 0;
  std::array<int64_t, kFeatures> by_feature{};
  absl::btree_map<int64_t, ItemCounts> items;
  absl::btree_map<std::pair<int64_t, int64_t>, int64_t> pairs;  // first < second

  void Learn(const Basket& basket);
  void Add(const Counts& other);

  // What has to be added to `before` to get `*this`: counts may be negative, zeroes are left out.
  Counts Minus(const Counts& before) const;

  // Forgets the rarest pairs, then the rarest items, until at most `max_pairs` and `max_items` are left. Ties
  // go by id, so every copy forgets the same.
  void Prune(size_t max_pairs, size_t max_items);

  friend bool operator==(const Counts& a, const Counts& b) {
    return a.orders == b.orders && a.by_feature == b.by_feature && a.items == b.items && a.pairs == b.pairs;
  }
};

// The stored form: binary, versioned, with a checksum, about 3 bytes a pair. Every chunk is by itself a
// Counts, and their sum is `counts`. Chunks hold at most `chunk_bytes` each (but at least one item); an empty
// Counts is one chunk. Counts must not be negative.
std::vector<std::string> EncodeCounts(const Counts& counts, size_t chunk_bytes);
// DataLoss when `chunk` was cut, altered, or written by an unknown version.
absl::StatusOr<Counts> DecodeCounts(absl::string_view chunk);

// A part of the store that live orders are added to: counts, and the orders that are in them, oldest first.
struct Shard {
  std::vector<uint64_t> recent_orders;
  Counts counts;

  bool Contains(uint64_t order) const;
  // Counts the basket and remembers its order, the latest kRecentOrders of them; false, and no change, when
  // it is remembered already.
  bool Learn(const Basket& basket);

  static constexpr size_t kRecentOrders = 1024;
  static constexpr size_t kMaxPairs = 60000;
  static constexpr size_t kMaxItems = 12000;
};
std::string EncodeShard(const Shard& shard);
absl::StatusOr<Shard> DecodeShard(absl::string_view value);  // DataLoss as DecodeCounts()

// Order hashes as chunks of at most `chunk_bytes`; a set, kept ascending.
std::vector<std::string> EncodeOrders(const std::vector<uint64_t>& ascending, size_t chunk_bytes);
absl::StatusOr<std::vector<uint64_t>> DecodeOrders(absl::string_view chunk);  // DataLoss

class Model {
 public:
  // Adds counts, negative ones included. Thread-safe.
  void Apply(const Counts& delta);

  int64_t orders() const;

  class Reader;

 private:
  friend class Reader;
  struct Node {
    ItemCounts counts;
    absl::flat_hash_map<int64_t, int64_t> together;  // other item -> orders with both
  };

  mutable std::shared_mutex mutex_;
  int64_t orders_ = 0;
  std::array<int64_t, kFeatures> by_feature_{};
  absl::flat_hash_map<int64_t, Node> items_;
};

// A consistent view of a Model: nothing is learned while it lives, so it must be short-lived and must not
// outlive the Model.
class Model::Reader {
 public:
  explicit Reader(const Model& model) : lock_(model.mutex_), model_(model) {}

  int64_t orders() const { return model_.orders_; }
  int64_t orders_with(Feature feature) const { return model_.by_feature_[static_cast<size_t>(feature)]; }
  // nullptr when the item was never ordered.
  const ItemCounts* Find(int64_t item) const;
  // Orders that held `item` and another item, by the other item; nullptr when there is none.
  const absl::flat_hash_map<int64_t, int64_t>* Together(int64_t item) const;

 private:
  std::shared_lock<std::shared_mutex> lock_;
  const Model& model_;
};

}  // namespace arc::recsys

#endif  // ARC_SERVICES_RECSYS_MODEL_H_
