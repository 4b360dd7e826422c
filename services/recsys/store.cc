#include "services/recsys/store.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"

namespace arc::recsys {
namespace {

constexpr char kHistoryKey[] = "history";
constexpr absl::string_view kHistoryPrefix = "history.";
constexpr absl::string_view kLivePrefix = "live.";
// Far below the server's limit for one message, 1 MB.
constexpr size_t kChunkBytes = size_t{256} * 1024;
// Of an imported history; about 1.5 MB.
constexpr size_t kMaxHistoryPairs = 400000;
constexpr size_t kMaxHistoryItems = 50000;
// How often a write that lost a race is tried again; each loss is somebody else's success.
constexpr int kWriteAttempts = 50;
constexpr int kImportAttempts = 5;

// The value of the key `history`.
struct Manifest {
  std::string generation;
  int64_t counts = 0;
  int64_t orders = 0;
  int64_t total = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("generation", s.generation, json::Range(1, 64));
    v.Required("counts", s.counts, json::Range(1, 4096));
    v.Required("orders", s.orders, json::Range(0, 4096));
    v.Required("total", s.total, json::Range(0, json::kMaxId));
  }
};

std::string ChunkKey(absl::string_view generation, absl::string_view what, size_t index) {
  return absl::StrCat(kHistoryPrefix, generation, ".", what, ".", index);
}

struct History {
  uint64_t revision = 0;  // of the manifest; 0 when there is none
  Counts counts;
  std::vector<uint64_t> orders;  // ascending
};

// NotFound when a chunk is missing: another import has replaced it meanwhile.
absl::StatusOr<History> ReadHistory(bus::KeyValue& bucket) {
  History history;
  const absl::StatusOr<bus::KeyValue::Entry> entry = bucket.Get(kHistoryKey);
  if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) return history;
  RETURN_IF_ERROR(entry.status());
  const absl::StatusOr<Manifest> manifest = json::Decode<Manifest>(entry->value);
  if (!manifest.ok()) {
    return absl::DataLossError(absl::StrCat("key history: ", manifest.status().message()));
  }
  history.revision = entry->revision;
  for (int64_t i = 0; i < manifest->counts; ++i) {
    ASSIGN_OR_RETURN(const bus::KeyValue::Entry chunk,
                     bucket.Get(ChunkKey(manifest->generation, "counts", static_cast<size_t>(i))));
    ASSIGN_OR_RETURN(const Counts counts, DecodeCounts(chunk.value));
    history.counts.Add(counts);
  }
  for (int64_t i = 0; i < manifest->orders; ++i) {
    ASSIGN_OR_RETURN(const bus::KeyValue::Entry chunk,
                     bucket.Get(ChunkKey(manifest->generation, "orders", static_cast<size_t>(i))));
    ASSIGN_OR_RETURN(const std::vector<uint64_t> orders, DecodeOrders(chunk.value));
    history.orders.insert(history.orders.end(), orders.begin(), orders.end());
  }
  return history;
}

// The latest orders that kiosks completed, ascending.
absl::StatusOr<std::vector<uint64_t>> ReadLiveOrders(bus::KeyValue& bucket) {
  std::vector<uint64_t> orders;
  for (uint64_t i = 0; i < kLiveShards; ++i) {
    const absl::StatusOr<bus::KeyValue::Entry> entry = bucket.Get(LiveKey(i));
    if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) continue;
    RETURN_IF_ERROR(entry.status());
    const absl::StatusOr<Shard> shard = DecodeShard(entry->value);
    if (!shard.ok()) continue;  // LearnOrders() sets it aside
    orders.insert(orders.end(), shard->recent_orders.begin(), shard->recent_orders.end());
  }
  std::sort(orders.begin(), orders.end());
  return orders;
}

absl::StatusOr<Basket> ParseLine(absl::string_view line) {
  ASSIGN_OR_RETURN(const messages::PastOrder order, json::Decode<messages::PastOrder>(line));
  if (!order.at.empty()) {
    const absl::StatusOr<absl::Time> at = ParseTimestamp(order.at);
    if (!at.ok()) return MakeError(ErrorCode::kInvalidRequest, "at: must be a time in RFC 3339");
  }
  std::vector<int64_t> ids;
  for (const messages::CartItem& item : order.items) ids.push_back(item.item_id);
  return MakeBasket(order.order_id, ids, order.context);
}

absl::StatusOr<std::vector<Basket>> ParseHistory(absl::string_view text) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  std::vector<Basket> baskets;
  std::vector<std::string> problems;
  absl::flat_hash_map<uint64_t, int> line_of_order;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    absl::StatusOr<Basket> basket = ParseLine(line);
    if (!basket.ok()) {
      problems.push_back(absl::StrCat("line ", number, ": ", basket.status().message()));
      continue;
    }
    const auto [first, fresh] = line_of_order.emplace(basket->order, number);
    if (!fresh) {
      problems.push_back(
          absl::StrCat("line ", number, ": order_id: is that of line ", first->second, " already"));
      continue;
    }
    baskets.push_back(*std::move(basket));
  }
  if (!problems.empty()) return MakeError(ErrorCode::kInvalidRequest, absl::StrJoin(problems, "\n"));
  if (baskets.empty()) return MakeError(ErrorCode::kInvalidRequest, "the file holds no orders");
  return baskets;
}

// Best effort: what is left behind is purged by the next import.
void PurgeAll(bus::KeyValue& bucket, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const absl::Status status = bucket.Purge(key);
    if (!status.ok()) {
      Log(LogLevel::kWarning, "a part of an old order history could not be purged",
          {{"key", key}, {"error", std::string(status.message())}});
      return;
    }
  }
}

// Writes `history` beside what is there and puts it in force. Aborted when another import was faster.
absl::Status WriteHistory(bus::KeyValue& bucket, const History& history) {
  absl::BitGen random;
  Manifest manifest;
  manifest.generation = absl::StrFormat("%016x", absl::Uniform<uint64_t>(random));
  manifest.total = static_cast<int64_t>(history.orders.size());
  std::vector<std::string> written;
  const auto failed = [&](const absl::Status& status) {
    PurgeAll(bucket, written);
    return Annotate(status, "no order was imported");
  };
  const auto write = [&](absl::string_view what, const std::vector<std::string>& chunks) -> absl::Status {
    for (size_t i = 0; i < chunks.size(); ++i) {
      written.push_back(ChunkKey(manifest.generation, what, i));
      RETURN_IF_ERROR(bucket.Put(written.back(), chunks[i]).status());
    }
    return absl::OkStatus();
  };
  const std::vector<std::string> counts = EncodeCounts(history.counts, kChunkBytes);
  const std::vector<std::string> orders = EncodeOrders(history.orders, kChunkBytes);
  manifest.counts = static_cast<int64_t>(counts.size());
  manifest.orders = static_cast<int64_t>(orders.size());
  absl::Status status = write("counts", counts);
  if (status.ok()) status = write("orders", orders);
  if (!status.ok()) return failed(status);

  // Listed before the manifest moves: an import that runs beside this one and has written chunks by now will
  // fail to move it, so that its chunks may be purged with the old ones.
  const absl::StatusOr<std::vector<std::string>> keys = bucket.Keys();
  if (!keys.ok()) return failed(keys.status());
  const std::string value = json::Encode(manifest);
  const absl::Status moved = history.revision == 0
                                 ? bucket.Create(kHistoryKey, value).status()
                                 : bucket.Update(kHistoryKey, value, history.revision).status();
  if (absl::IsAborted(moved) || absl::IsAlreadyExists(moved)) {
    return failed(absl::AbortedError("another history was imported at the same time"));
  }
  if (!moved.ok()) {
    // The write may have been done although its answer was lost. Then the chunks must stay.
    const absl::StatusOr<bus::KeyValue::Entry> now = bucket.Get(kHistoryKey);
    if (absl::IsNotFound(now.status())) return failed(moved);
    if (!now.ok()) return Annotate(moved, "it is not known whether the orders were imported");
    if (now->value != value) return failed(moved);
  }

  std::vector<std::string> old;
  const std::string own = absl::StrCat(kHistoryPrefix, manifest.generation, ".");
  for (const std::string& key : *keys) {
    if (absl::StartsWith(key, kHistoryPrefix) && !absl::StartsWith(key, own)) old.push_back(key);
  }
  PurgeAll(bucket, old);
  return absl::OkStatus();
}

absl::StatusOr<HistoryImport> ImportOnce(bus::KeyValue& bucket, const std::vector<Basket>& baskets) {
  absl::StatusOr<History> history = ReadHistory(bucket);
  if (absl::IsNotFound(history.status())) {
    return absl::AbortedError("another history was imported at the same time");
  }
  RETURN_IF_ERROR(history.status());
  ASSIGN_OR_RETURN(const std::vector<uint64_t> live, ReadLiveOrders(bucket));
  HistoryImport result;
  result.orders = static_cast<int64_t>(baskets.size());
  std::vector<uint64_t> added;
  for (const Basket& basket : baskets) {
    if (std::binary_search(history->orders.begin(), history->orders.end(), basket.order) ||
        std::binary_search(live.begin(), live.end(), basket.order)) {
      continue;
    }
    history->counts.Learn(basket);
    added.push_back(basket.order);
  }
  result.added = static_cast<int64_t>(added.size());
  result.total = static_cast<int64_t>(history->orders.size() + added.size());
  if (added.empty()) return result;
  history->orders.insert(history->orders.end(), added.begin(), added.end());
  std::sort(history->orders.begin(), history->orders.end());
  history->counts.Prune(kMaxHistoryPairs, kMaxHistoryItems);
  RETURN_IF_ERROR(WriteHistory(bucket, *history));
  return result;
}

}  // namespace

std::string LiveKey(uint64_t order) {
  return absl::StrCat(kLivePrefix, absl::Dec(order % kLiveShards, absl::kZeroPad2));
}

absl::StatusOr<HistoryImport> ImportHistory(bus::KeyValue& bucket, absl::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<Basket> baskets, ParseHistory(text));
  absl::StatusOr<HistoryImport> result;
  for (int attempt = 0; attempt < kImportAttempts; ++attempt) {
    result = ImportOnce(bucket, baskets);
    if (!absl::IsAborted(result.status())) break;
  }
  return result;
}

absl::StatusOr<int64_t> LearnOrders(bus::KeyValue& bucket, const std::vector<Basket>& baskets,
                                    const std::function<bool(uint64_t order)>& imported) {
  if (baskets.empty()) return 0;
  const std::string key = LiveKey(baskets.front().order);
  for (int attempt = 0; attempt < kWriteAttempts; ++attempt) {
    const absl::StatusOr<bus::KeyValue::Entry> entry = bucket.Get(key);
    if (!entry.ok() && !absl::IsNotFound(entry.status())) return entry.status();
    Shard shard;
    if (entry.ok() && !entry->deleted) {
      absl::StatusOr<Shard> stored = DecodeShard(entry->value);
      if (stored.ok()) {
        shard = *std::move(stored);
      } else {
        RETURN_IF_ERROR(bucket.Put(absl::StrCat("damaged.", key), entry->value).status());
        Log(LogLevel::kError, "learned orders could not be read; they are set aside and learning starts anew",
            {{"key", key}, {"error", std::string(stored.status().message())}});
      }
    }
    int64_t learned = 0;
    for (const Basket& basket : baskets) {
      if (!imported(basket.order) && shard.Learn(basket)) ++learned;
    }
    if (learned == 0) return 0;
    const std::string value = EncodeShard(shard);
    const absl::Status written = entry.ok() && !entry->deleted
                                     ? bucket.Update(key, value, entry->revision).status()
                                     : bucket.Create(key, value).status();
    if (written.ok()) return learned;
    if (!absl::IsAborted(written) && !absl::IsAlreadyExists(written)) return written;
  }
  return MakeError(ErrorCode::kUnavailable, absl::StrCat("key ", key, " is written by too many at once"));
}

ModelReader::~ModelReader() {
  Stop();
}

absl::Status ModelReader::Watch(bus::KeyValue& bucket) {
  const auto on_current = [this] {
    std::lock_guard<std::mutex> lock(mutex_);
    current_ = true;
  };
  ASSIGN_OR_RETURN(std::unique_ptr<bus::Subscription> subscription,
                   bucket.Watch(
                       ">", [this](const bus::KeyValue::Entry& entry) { OnEntry(entry); }, on_current));
  std::lock_guard<std::mutex> lock(mutex_);
  subscription_ = std::move(subscription);
  return absl::OkStatus();
}

void ModelReader::Stop() {
  std::unique_ptr<bus::Subscription> ended;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended = std::move(subscription_);
  }
  // Outside the lock: a running callback needs it to end.
  ended.reset();
}

bool ModelReader::current() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

bool ModelReader::Imported(uint64_t order) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return imported_.contains(order);
}

void ModelReader::OnEntry(const bus::KeyValue::Entry& entry) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (absl::StartsWith(entry.key, kLivePrefix)) {
    OnShard(entry);
  } else if (entry.key == kHistoryKey) {
    if (entry.revision <= wanted_revision_) return;
    wanted_revision_ = entry.revision;
    if (entry.deleted) {
      wanted_.clear();
      loaded_.clear();
      model_.Apply(Counts().Minus(history_));
      history_ = {};
      imported_.clear();
      return;
    }
    const absl::StatusOr<Manifest> manifest = json::Decode<Manifest>(entry.value);
    if (!manifest.ok()) {
      Log(LogLevel::kError, "the order history's manifest is unreadable; recommendations stay as they are",
          {{"error", std::string(manifest.status().message())}});
      return;
    }
    wanted_ = manifest->generation;
    wanted_counts_ = manifest->counts;
    wanted_orders_ = manifest->orders;
    TryLoadHistory();
  } else if (absl::StartsWith(entry.key, kHistoryPrefix)) {
    OnChunk(entry);
  }
}

void ModelReader::OnShard(const bus::KeyValue::Entry& entry) {
  auto& [revision, counts] = shards_[entry.key];
  if (entry.revision <= revision) return;
  Counts next;
  if (!entry.deleted) {
    absl::StatusOr<Shard> shard = DecodeShard(entry.value);
    if (!shard.ok()) {
      Log(LogLevel::kError, "learned orders could not be read; recommendations stay as they are",
          {{"key", entry.key}, {"error", std::string(shard.status().message())}});
      return;
    }
    next = std::move(shard->counts);
  }
  model_.Apply(next.Minus(counts));
  counts = std::move(next);
  revision = entry.revision;
}

void ModelReader::OnChunk(const bus::KeyValue::Entry& entry) {
  const std::vector<std::string> parts = absl::StrSplit(entry.key, '.');
  int64_t index = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[3], &index) || parts[1] == loaded_) return;
  if (parts[2] != "counts" && parts[2] != "orders") return;
  Chunks& chunks = chunks_[parts[1]];
  std::map<int64_t, std::string>& of_kind = parts[2] == "counts" ? chunks.counts : chunks.orders;
  if (entry.deleted) {
    of_kind.erase(index);
    if (chunks.counts.empty() && chunks.orders.empty()) chunks_.erase(parts[1]);
    return;
  }
  of_kind[index] = entry.value;
  // Chunks come before the manifest, except when a reader reconnects in the middle of an import.
  if (parts[1] == wanted_) TryLoadHistory();
}

void ModelReader::TryLoadHistory() {
  if (wanted_ == loaded_) return;
  const auto it = chunks_.find(wanted_);
  if (it == chunks_.end() || static_cast<int64_t>(it->second.counts.size()) < wanted_counts_ ||
      static_cast<int64_t>(it->second.orders.size()) < wanted_orders_) {
    return;
  }
  Counts next;
  absl::flat_hash_set<uint64_t> imported;
  absl::Status status;
  for (const auto& [index, chunk] : it->second.counts) {
    const absl::StatusOr<Counts> counts = DecodeCounts(chunk);
    status.Update(counts.status());
    if (counts.ok()) next.Add(*counts);
  }
  for (const auto& [index, chunk] : it->second.orders) {
    const absl::StatusOr<std::vector<uint64_t>> orders = DecodeOrders(chunk);
    status.Update(orders.status());
    if (orders.ok()) imported.insert(orders->begin(), orders->end());
  }
  chunks_.erase(it);
  if (!status.ok()) {
    Log(LogLevel::kError, "the imported order history could not be read; recommendations stay as they are",
        {{"generation", wanted_}, {"error", std::string(status.message())}});
    return;
  }
  model_.Apply(next.Minus(history_));
  history_ = std::move(next);
  imported_ = std::move(imported);
  loaded_ = wanted_;
}

}  // namespace arc::recsys
