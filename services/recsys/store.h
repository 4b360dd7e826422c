// What recommendations are learned from, in the key-value bucket KIOSK_RECSYS: importing a history, adding
// completed orders, following both live. Every copy of the agent holds the sum of everything in the bucket.
//
// Keys:
//   history                       {"generation":"9f3c...","counts":2,"orders":1,"total":4000}: which import
//   is
//                                 in force, of how many chunks, and how many orders it holds
//   history.<generation>.counts.<k>, history.<generation>.orders.<k>
//                                 chunks from 0 (EncodeCounts(), EncodeOrders())
//   live.<shard>                  00 to 15: completed orders whose id hashes to it (EncodeShard())
//   damaged.live.<shard>          a shard that could not be read, set aside
//
// An order's counts and the note that it was counted are in one value, written by compare-and-set: however
// often an order is delivered and to whichever copy, it counts once.
#ifndef ARC_SERVICES_RECSYS_STORE_H_
#define ARC_SERVICES_RECSYS_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bus/bus.h"
#include "services/recsys/model.h"

namespace arc::recsys {

inline constexpr int kLiveShards = 16;

// live.07 for an order's hash.
std::string LiveKey(uint64_t order);

struct HistoryImport {
  int64_t orders = 0;  // in the file
  int64_t added = 0;   // of those, not known before
  int64_t total = 0;   // imported orders now in the bucket
};

// Adds the orders of `text` (JSON lines of messages::PastOrder; blank lines are skipped) to the imported
// history, all of them or none. Orders that were imported before, or were learned lately from a kiosk, do not
// count again, so importing a file twice changes nothing. Blocks.
//
// InvalidArgument: "line 7: items[0].item_id: ..." for every bad line, one a line; also for a file without
// orders. Aborted: others imported at the same time, again and again. DataLoss: what is in the bucket cannot
// be read. Unavailable and others: the bus failed; importing again is safe.
absl::StatusOr<HistoryImport> ImportHistory(bus::KeyValue& bucket, absl::string_view text);

// Adds `baskets`, all of whose orders are of one live key, to the bucket. Returns how many counted: an order
// that is there already, or is in `imported`, does not. Unavailable and others: the bus failed; the orders
// may or may not be counted, and adding them again is safe. Blocks.
absl::StatusOr<int64_t> LearnOrders(bus::KeyValue& bucket, const std::vector<Basket>& baskets,
                                    const std::function<bool(uint64_t order)>& imported);

// Keeps a Model equal to the bucket. Thread-safe. Its bucket must outlive it.
class ModelReader {
 public:
  ModelReader() = default;
  ModelReader(const ModelReader&) = delete;
  ModelReader& operator=(const ModelReader&) = delete;
  ~ModelReader();

  // Begins to follow `bucket`. Once.
  absl::Status Watch(bus::KeyValue& bucket);
  void Stop();

  const Model& model() const { return model_; }
  // Whether everything that was in the bucket at the start has been read.
  bool current() const;
  // Whether the order is part of the imported history.
  bool Imported(uint64_t order) const;

 private:
  struct Chunks {
    std::map<int64_t, std::string> counts;
    std::map<int64_t, std::string> orders;
  };

  void OnEntry(const bus::KeyValue::Entry& entry);
  // The following need mutex_.
  void OnShard(const bus::KeyValue::Entry& entry);
  void OnChunk(const bus::KeyValue::Entry& entry);
  void TryLoadHistory();

  Model model_;
  mutable std::mutex mutex_;
  bool current_ = false;
  std::map<std::string, std::pair<uint64_t, Counts>> shards_;  // by key: revision and what is in model_
  std::string wanted_;                                         // the generation that `history` names
  int64_t wanted_counts_ = 0;
  int64_t wanted_orders_ = 0;
  uint64_t wanted_revision_ = 0;
  std::string loaded_;  // the generation that is in model_
  Counts history_;
  absl::flat_hash_set<uint64_t> imported_;
  std::map<std::string, Chunks> chunks_;  // by generation, of those not loaded
  std::unique_ptr<bus::Subscription> subscription_;
};

}  // namespace arc::recsys

#endif  // ARC_SERVICES_RECSYS_STORE_H_
