// The recommendation agent: answers kiosk.agent.recsys.suggest (kiosk specification, section 7.2) from the
// menu and the model that it follows in KIOSK_MENU and KIOSK_RECSYS, and adds completed orders to the latter
// (kiosk.session.order_completed; design, section 3.8).
#ifndef ARC_SERVICES_RECSYS_RECSYS_H_
#define ARC_SERVICES_RECSYS_RECSYS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/bus/executor.h"
#include "common/messages/recsys.h"
#include "services/menu/menu_store.h"
#include "services/recsys/store.h"
#include "services/recsys/suggest.h"

namespace arc::recsys {

inline constexpr char kOrdersDurable[] = "recsys-orders-consumer";

// Thread-safe. A suggestion sees one menu with one state of availability.
class Recsys {
 public:
  Recsys();
  Recsys(const Recsys&) = delete;
  Recsys& operator=(const Recsys&) = delete;
  ~Recsys();

  // Begin to follow the buckets, which must outlive this.
  absl::Status WatchMenu(bus::KeyValue& bucket);
  absl::Status WatchModel(bus::KeyValue& bucket);

  // Begins to learn from completed orders. After WatchModel(); `bus` and `executor` must outlive this.
  void StartLearning(bus::Bus& bus, bus::Executor& executor);
  // Takes no more orders and waits until those at hand are written or handed back.
  void StopLearning();

  // See Suggester::Suggest(). UNAVAILABLE until the buckets have been read, MENU_NOT_FOUND until a menu has
  // been imported.
  absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request) const;

  // OK once menu and model have been read, and while orders are being learned from.
  absl::Status Health() const;

  int64_t orders_known() const { return model_.model().orders(); }  // of the model, imported ones included
  int64_t orders_learned() const { return orders_learned_; }        // by this process

 private:
  struct Live {
    std::shared_ptr<const menu::MenuState> state;
    std::shared_ptr<const Suggester> suggester;  // of state->catalogue
  };
  using Order = std::pair<std::shared_ptr<bus::Delivery>, Basket>;

  std::shared_ptr<bus::Consumer> consumer() const;
  void AwaitLearned();
  void OnMenu(const std::shared_ptr<const menu::MenuState>& state);
  void OnDelivery(std::shared_ptr<bus::Delivery> delivery);
  // Writes what has queued up, a batch for each live key, until nothing is left.
  void LearnQueued();
  void Learn(const std::vector<Order>& orders);
  void Bury(const std::shared_ptr<bus::Delivery>& delivery, const absl::Status& error);

  bus::Bus* bus_ = nullptr;
  bus::Executor* executor_ = nullptr;
  bus::KeyValue* bucket_ = nullptr;
  std::atomic<int64_t> orders_learned_{0};

  mutable std::mutex menu_mutex_;
  std::shared_ptr<const Live> live_;

  std::mutex learn_mutex_;
  std::condition_variable learn_changed_;
  std::vector<Order> queued_;
  bool learning_ = false;  // LearnQueued() runs or is about to

  ModelReader model_;
  // Last: their callbacks use the members above.
  menu::MenuReader menu_;
  mutable std::mutex consumer_mutex_;
  std::shared_ptr<bus::Consumer> consumer_;
};

}  // namespace arc::recsys

#endif  // ARC_SERVICES_RECSYS_RECSYS_H_
