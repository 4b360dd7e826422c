#include "services/recsys/model.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::recsys {
namespace {

constexpr char kCountsMagic = 'C';
constexpr char kShardMagic = 'S';
constexpr char kOrdersMagic = 'O';
constexpr char kVersion = 1;
constexpr size_t kHeaderBytes = 2;
constexpr size_t kChecksumBytes = 4;

uint64_t Fnv1a(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

class Writer {
 public:
  explicit Writer(char magic) : bytes_{magic, kVersion} {}

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<char>(value));
  }
  void Count(int64_t value) { Varint(static_cast<uint64_t>(std::max<int64_t>(value, 0))); }
  void Fixed64(uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void Append(absl::string_view bytes) { bytes_.append(bytes.data(), bytes.size()); }
  size_t size() const { return bytes_.size(); }

  // Closes with a checksum of everything before it.
  std::string Take() {
    const uint64_t sum = Fnv1a(bytes_);
    for (size_t i = 0; i < kChecksumBytes; ++i) bytes_.push_back(static_cast<char>(sum >> (8 * i)));
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("stored recommendation data: ", what));
}

class Reader {
 public:
  static absl::StatusOr<Reader> Open(absl::string_view value, char magic) {
    if (value.size() < kHeaderBytes + kChecksumBytes) return Damaged("cut short");
    if (value[0] != magic) return Damaged("of another kind");
    if (value[1] != kVersion) return Damaged(absl::StrCat("unknown version ", static_cast<int>(value[1])));
    const absl::string_view body = value.substr(0, value.size() - kChecksumBytes);
    const uint64_t sum = Fnv1a(body);
    for (size_t i = 0; i < kChecksumBytes; ++i) {
      if (value[body.size() + i] != static_cast<char>(sum >> (8 * i))) return Damaged("checksum differs");
    }
    return Reader(body.substr(kHeaderBytes));
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (left_.empty()) return Fail();
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  int64_t Count() {
    const uint64_t value = Varint();
    return value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ? static_cast<int64_t>(Fail())
                                                                              : static_cast<int64_t>(value);
  }
  // The id that stands behind `previous`.
  int64_t Id(int64_t previous) {
    const int64_t step = Count();
    return step > json::kMaxId - previous ? static_cast<int64_t>(Fail()) : previous + step;
  }
  uint64_t Fixed64() {
    if (left_.size() < 8) return Fail();
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
      value |= static_cast<uint64_t>(static_cast<unsigned char>(left_[i])) << (8 * i);
    left_.remove_prefix(8);
    return value;
  }
  // How many elements follow; each takes at least one byte, so more than the bytes left is damage.
  uint64_t Size() {
    const uint64_t size = Varint();
    return size > left_.size() ? Fail() : size;
  }
  bool ok() const { return !failed_; }
  bool AtEnd() const { return left_.empty(); }

 private:
  explicit Reader(absl::string_view left) : left_(left) {}
  uint64_t Fail() {
    failed_ = true;
    left_ = {};
    return 0;
  }

  absl::string_view left_;
  bool failed_ = false;
};

void WriteItemCounts(const ItemCounts& counts, Writer& out) {
  out.Count(counts.orders);
  for (const int64_t count : counts.by_feature) out.Count(count);
}

void ReadItemCounts(Reader& in, ItemCounts& counts) {
  counts.orders = in.Count();
  for (int64_t& count : counts.by_feature) count = in.Count();
}

// An item, its counts, and its pairs with items of higher ids. `previous` is the id that was written before.
template <class PairIterator>
void WriteItem(int64_t id, int64_t previous, const ItemCounts& counts, PairIterator pairs_begin,
               PairIterator pairs_end, Writer& out) {
  out.Varint(static_cast<uint64_t>(id - previous));
  WriteItemCounts(counts, out);
  out.Varint(static_cast<uint64_t>(std::distance(pairs_begin, pairs_end)));
  int64_t last = id;
  for (auto pair = pairs_begin; pair != pairs_end; ++pair) {
    out.Varint(static_cast<uint64_t>(pair->first.second - last));
    out.Count(pair->second);
    last = pair->first.second;
  }
}

void ReadCounts(Reader& in, Counts& counts) {
  ItemCounts all;
  ReadItemCounts(in, all);
  counts.orders = all.orders;
  counts.by_feature = all.by_feature;
  int64_t id = 0;
  while (in.ok() && !in.AtEnd()) {
    id = in.Id(id);
    ItemCounts item;
    ReadItemCounts(in, item);
    if (!item.IsZero()) counts.items[id] = item;
    const uint64_t pairs = in.Size();
    int64_t other = id;
    for (uint64_t i = 0; i < pairs && in.ok(); ++i) {
      other = in.Id(other);
      counts.pairs[{id, other}] = in.Count();
    }
  }
}

std::vector<std::string> EncodeCountsAs(char magic, const Counts& counts, size_t chunk_bytes,
                                        const std::vector<uint64_t>* orders) {
  std::vector<std::string> chunks;
  const auto open = [&](const ItemCounts& all) {
    Writer out(magic);
    if (orders != nullptr) {
      out.Varint(orders->size());
      for (const uint64_t order : *orders) out.Fixed64(order);
    }
    WriteItemCounts(all, out);
    return out;
  };
  Writer out = open(ItemCounts{counts.orders, counts.by_feature});
  const size_t empty_bytes = out.size();
  int64_t previous = 0;
  auto item = counts.items.begin();
  auto pair = counts.pairs.begin();
  bool any = false;
  while (item != counts.items.end() || pair != counts.pairs.end()) {
    // A pair may outlive its item's own counts after pruning.
    int64_t id = std::numeric_limits<int64_t>::max();
    if (item != counts.items.end()) id = item->first;
    if (pair != counts.pairs.end()) id = std::min(id, pair->first.first);
    auto pairs_end = pair;
    while (pairs_end != counts.pairs.end() && pairs_end->first.first == id) ++pairs_end;
    static const ItemCounts none;
    const bool has_item = item != counts.items.end() && item->first == id;
    const ItemCounts& item_counts = has_item ? item->second : none;
    Writer section(magic);
    WriteItem(id, previous, item_counts, pair, pairs_end, section);
    if (any && out.size() + section.size() > std::max(chunk_bytes, empty_bytes)) {
      chunks.push_back(out.Take());
      out = open(ItemCounts{});
      previous = 0;
    }
    WriteItem(id, previous, item_counts, pair, pairs_end, out);
    any = true;
    previous = id;
    if (has_item) ++item;
    pair = pairs_end;
  }
  chunks.push_back(out.Take());
  return chunks;
}

}  // namespace

std::vector<Feature> FeaturesOf(const messages::OrderContext& context) {
  static constexpr struct {
    absl::string_view word;
    Feature feature;
  } kTimes[] = {{"breakfast", Feature::kBreakfast}, {"morning", Feature::kBreakfast},
                {"lunch", Feature::kLunch},         {"noon", Feature::kLunch},
                {"afternoon", Feature::kAfternoon}, {"dinner", Feature::kDinner},
                {"evening", Feature::kDinner},      {"night", Feature::kNight},
                {"late_night", Feature::kNight}},
    kWeathers[] = {{"hot", Feature::kHot},    {"warm", Feature::kHot},    {"sunny", Feature::kHot},
                   {"mild", Feature::kMild},  {"cold", Feature::kCold},   {"snow", Feature::kCold},
                   {"snowy", Feature::kCold}, {"rainy", Feature::kRainy}, {"rain", Feature::kRainy}};
  std::vector<Feature> features;
  const auto add = [&](const std::optional<std::string>& word, const auto& words) {
    if (!word.has_value()) return;
    const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(*word));
    for (const auto& known : words) {
      if (known.word == lower) {
        features.push_back(known.feature);
        return;
      }
    }
  };
  add(context.time_of_day, kTimes);
  add(context.weather, kWeathers);
  const int64_t party = context.party_size.value_or(0);
  if (party == 1) features.push_back(Feature::kPartyOfOne);
  if (party == 2) features.push_back(Feature::kPartyOfTwo);
  if (party == 3 || party == 4) features.push_back(Feature::kPartySmall);
  if (party >= 5) features.push_back(Feature::kPartyLarge);
  return features;
}

uint64_t HashOrderId(absl::string_view order_id) {
  uint64_t hash = Fnv1a(order_id);
  // FNV's low bits alone spread short ids badly over shards.
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 33;
  return hash;
}

Basket MakeBasket(absl::string_view order_id, const std::vector<int64_t>& item_ids,
                  const messages::OrderContext& context) {
  Basket basket;
  basket.order = HashOrderId(order_id);
  basket.items = item_ids;
  std::sort(basket.items.begin(), basket.items.end());
  basket.items.erase(std::unique(basket.items.begin(), basket.items.end()), basket.items.end());
  basket.features = FeaturesOf(context);
  return basket;
}

bool ItemCounts::IsZero() const {
  return orders == 0 &&
         std::all_of(by_feature.begin(), by_feature.end(), [](int64_t count) { return count == 0; });
}

void Counts::Learn(const Basket& basket) {
  ++orders;
  for (const Feature feature : basket.features) ++by_feature[static_cast<size_t>(feature)];
  for (const int64_t id : basket.items) {
    ItemCounts& item = items[id];
    ++item.orders;
    for (const Feature feature : basket.features) ++item.by_feature[static_cast<size_t>(feature)];
  }
  if (basket.items.size() > kMaxPairedItems) return;
  for (size_t i = 0; i < basket.items.size(); ++i) {
    for (size_t j = i + 1; j < basket.items.size(); ++j) ++pairs[{basket.items[i], basket.items[j]}];
  }
}

void Counts::Add(const Counts& other) {
  orders += other.orders;
  for (size_t f = 0; f < kFeatures; ++f) by_feature[f] += other.by_feature[f];
  for (const auto& [id, counts] : other.items) {
    ItemCounts& item = items[id];
    item.orders += counts.orders;
    for (size_t f = 0; f < kFeatures; ++f) item.by_feature[f] += counts.by_feature[f];
  }
  for (const auto& [pair, count] : other.pairs) pairs[pair] += count;
}

Counts Counts::Minus(const Counts& before) const {
  Counts delta;
  delta.orders = orders - before.orders;
  for (size_t f = 0; f < kFeatures; ++f) delta.by_feature[f] = by_feature[f] - before.by_feature[f];

  auto mine = items.begin();
  auto theirs = before.items.begin();
  while (mine != items.end() || theirs != before.items.end()) {
    const bool take_mine =
        theirs == before.items.end() || (mine != items.end() && mine->first <= theirs->first);
    const bool take_theirs =
        mine == items.end() || (theirs != before.items.end() && theirs->first <= mine->first);
    const int64_t id = take_mine ? mine->first : theirs->first;
    ItemCounts item;
    if (take_mine) item = (mine++)->second;
    if (take_theirs) {
      item.orders -= theirs->second.orders;
      for (size_t f = 0; f < kFeatures; ++f) item.by_feature[f] -= theirs->second.by_feature[f];
      ++theirs;
    }
    if (!item.IsZero()) delta.items.emplace_hint(delta.items.end(), id, item);
  }

  auto my_pair = pairs.begin();
  auto their_pair = before.pairs.begin();
  while (my_pair != pairs.end() || their_pair != before.pairs.end()) {
    const bool take_mine =
        their_pair == before.pairs.end() || (my_pair != pairs.end() && my_pair->first <= their_pair->first);
    const bool take_theirs =
        my_pair == pairs.end() || (their_pair != before.pairs.end() && their_pair->first <= my_pair->first);
    const std::pair<int64_t, int64_t> key = take_mine ? my_pair->first : their_pair->first;
    int64_t count = 0;
    if (take_mine) count += (my_pair++)->second;
    if (take_theirs) count -= (their_pair++)->second;
    if (count != 0) delta.pairs.emplace_hint(delta.pairs.end(), key, count);
  }
  return delta;
}

void Counts::Prune(size_t max_pairs, size_t max_items) {
  if (pairs.size() > max_pairs) {
    std::vector<std::pair<int64_t, std::pair<int64_t, int64_t>>> rarest;
    rarest.reserve(pairs.size());
    for (const auto& [pair, count] : pairs) rarest.push_back({count, pair});
    const size_t excess = pairs.size() - max_pairs;
    std::nth_element(rarest.begin(), rarest.begin() + static_cast<std::ptrdiff_t>(excess), rarest.end());
    for (size_t i = 0; i < excess; ++i) pairs.erase(rarest[i].second);
  }
  if (items.size() > max_items) {
    std::vector<std::pair<int64_t, int64_t>> rarest;
    rarest.reserve(items.size());
    for (const auto& [id, counts] : items) rarest.push_back({counts.orders, id});
    const size_t excess = items.size() - max_items;
    std::nth_element(rarest.begin(), rarest.begin() + static_cast<std::ptrdiff_t>(excess), rarest.end());
    for (size_t i = 0; i < excess; ++i) items.erase(rarest[i].second);
  }
}

std::vector<std::string> EncodeCounts(const Counts& counts, size_t chunk_bytes) {
  return EncodeCountsAs(kCountsMagic, counts, chunk_bytes, nullptr);
}

absl::StatusOr<Counts> DecodeCounts(absl::string_view chunk) {
  ASSIGN_OR_RETURN(Reader in, Reader::Open(chunk, kCountsMagic));
  Counts counts;
  ReadCounts(in, counts);
  if (!in.ok()) return Damaged("cut short");
  return counts;
}

bool Shard::Contains(uint64_t order) const {
  return std::find(recent_orders.begin(), recent_orders.end(), order) != recent_orders.end();
}

bool Shard::Learn(const Basket& basket) {
  if (Contains(basket.order)) return false;
  recent_orders.push_back(basket.order);
  if (recent_orders.size() > kRecentOrders) {
    recent_orders.erase(recent_orders.begin(),
                        recent_orders.end() - static_cast<std::ptrdiff_t>(kRecentOrders));
  }
  counts.Learn(basket);
  // A tenth is forgotten at once, so that a full shard is not sorted for every order.
  if (counts.pairs.size() > kMaxPairs || counts.items.size() > kMaxItems) {
    counts.Prune(kMaxPairs * 9 / 10, kMaxItems * 9 / 10);
  }
  return true;
}

std::string EncodeShard(const Shard& shard) {
  return EncodeCountsAs(kShardMagic, shard.counts, std::numeric_limits<size_t>::max(), &shard.recent_orders)
      .front();
}

absl::StatusOr<Shard> DecodeShard(absl::string_view value) {
  ASSIGN_OR_RETURN(Reader in, Reader::Open(value, kShardMagic));
  Shard shard;
  const uint64_t orders = in.Size();
  shard.recent_orders.reserve(orders);
  for (uint64_t i = 0; i < orders && in.ok(); ++i) shard.recent_orders.push_back(in.Fixed64());
  ReadCounts(in, shard.counts);
  if (!in.ok()) return Damaged("cut short");
  return shard;
}

std::vector<std::string> EncodeOrders(const std::vector<uint64_t>& ascending, size_t chunk_bytes) {
  const size_t per_chunk = std::max<size_t>(1, chunk_bytes / 8);
  std::vector<std::string> chunks;
  for (size_t begin = 0; begin < ascending.size(); begin += per_chunk) {
    const size_t end = std::min(ascending.size(), begin + per_chunk);
    Writer out(kOrdersMagic);
    out.Varint(end - begin);
    for (size_t i = begin; i < end; ++i) out.Fixed64(ascending[i]);
    chunks.push_back(out.Take());
  }
  return chunks;
}

absl::StatusOr<std::vector<uint64_t>> DecodeOrders(absl::string_view chunk) {
  ASSIGN_OR_RETURN(Reader in, Reader::Open(chunk, kOrdersMagic));
  const uint64_t size = in.Size();
  std::vector<uint64_t> orders;
  orders.reserve(size);
  for (uint64_t i = 0; i < size && in.ok(); ++i) orders.push_back(in.Fixed64());
  if (!in.ok()) return Damaged("cut short");
  return orders;
}

void Model::Apply(const Counts& delta) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  orders_ += delta.orders;
  for (size_t f = 0; f < kFeatures; ++f) by_feature_[f] += delta.by_feature[f];
  for (const auto& [id, counts] : delta.items) {
    ItemCounts& item = items_[id].counts;
    item.orders += counts.orders;
    for (size_t f = 0; f < kFeatures; ++f) item.by_feature[f] += counts.by_feature[f];
  }
  const auto add = [this](int64_t from, int64_t to, int64_t count) {
    auto& together = items_[from].together;
    int64_t& total = together[to];
    total += count;
    if (total == 0) together.erase(to);
  };
  for (const auto& [pair, count] : delta.pairs) {
    add(pair.first, pair.second, count);
    add(pair.second, pair.first, count);
  }
}

int64_t Model::orders() const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  return orders_;
}

const ItemCounts* Model::Reader::Find(int64_t item) const {
  const auto it = model_.items_.find(item);
  return it == model_.items_.end() ? nullptr : &it->second.counts;
}

const absl::flat_hash_map<int64_t, int64_t>* Model::Reader::Together(int64_t item) const {
  const auto it = model_.items_.find(item);
  return it == model_.items_.end() ? nullptr : &it->second.together;
}

}  // namespace arc::recsys
