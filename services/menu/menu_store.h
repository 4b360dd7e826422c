// The menu in the key-value bucket KIOSK_MENU: importing it, reading it live, taking items off.
//
// Keys:
//   current               {"generation":"9f3c...","chunks":3,"bytes":600123}: which menu is in force
//   menu.<generation>.<k> the k-th part, from 0, of that menu as one JSON text (messages::MenuFile)
//   availability.<id>     {"available":false,"generation":"9f3c..."}: an item taken off or put back
//
// A menu of any size is replaced at once: its parts are written under a generation of their own, then
// `current` is moved by compare-and-set, then the parts of the generation before are purged. A reader that
// sees any state in between keeps the menu it has.
#ifndef ARC_SERVICES_MENU_MENU_STORE_H_
#define ARC_SERVICES_MENU_MENU_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "services/menu/catalogue.h"

namespace arc::menu {

struct ImportResult {
  std::string generation;
  int64_t items = 0;
  int64_t categories = 0;
};

// Replaces the whole menu in `bucket`, or changes nothing. Items that were taken off stay off; for all others
// MenuItem::available of the new menu counts. InvalidArgument: this is no menu (see ParseMenuFile() for all
// the reasons). Aborted: somebody else imported a menu at the same time, and theirs stands. Unavailable: the
// bus failed; when it did so at the very end, the message says that the outcome is not known. Blocks.
absl::StatusOr<ImportResult> ImportMenu(bus::KeyValue& bucket, const messages::MenuFile& menu);

// The menu at one moment; immutable.
struct MenuState {
  std::string generation;
  std::shared_ptr<const Catalogue> catalogue;         // never null
  std::shared_ptr<const UnavailableIds> unavailable;  // never null; a combo is in it with any of its parts
};

// Follows the bucket. Thread-safe; must outlive its bucket's callbacks, that is, destroy it first or let it
// be destroyed after Stop().
class MenuReader {
 public:
  using Listener = std::function<void(const std::shared_ptr<const MenuState>& state)>;

  // `on_change` runs after each change, one at a time, on the thread that brought it; it may take its time.
  // `state->catalogue` is the same object until the menu itself changes.
  explicit MenuReader(Listener on_change = nullptr);
  MenuReader(const MenuReader&) = delete;
  MenuReader& operator=(const MenuReader&) = delete;
  ~MenuReader();

  // Begins to follow `bucket`, which must outlive this. Once.
  absl::Status Watch(bus::KeyValue& bucket);
  void Stop();

  // Null until a menu has been read.
  std::shared_ptr<const MenuState> state() const;
  // Whether everything that was in the bucket at the start has been read, be it a menu or nothing.
  bool current() const;

  // Takes an item off or puts it back, for every reader of the bucket; this one shows it at once. Nobody
  // checks here whether the item exists. Unavailable when the bus fails. Blocks.
  absl::Status SetAvailability(int64_t item_id, bool available);

 private:
  struct Override {
    bool available = true;
    std::string generation;
    uint64_t revision = 0;
  };

  void OnEntry(const bus::KeyValue::Entry& entry);
  void OnCurrent();
  // The following need mutex_.
  bool ApplyAvailability(int64_t id, bool deleted, Override value);
  void TryLoad();
  void Publish();
  // Calls the listener for what has been published since the last call. Needs listener_mutex_ only.
  void Notify();

  const Listener on_change_;
  std::mutex listener_mutex_;  // held while the listener runs, before mutex_
  mutable std::mutex mutex_;
  bus::KeyValue* bucket_ = nullptr;
  bool current_ = false;
  std::string wanted_;  // the generation that `current` names
  int64_t wanted_chunks_ = 0;
  int64_t wanted_bytes_ = 0;
  std::map<std::string, std::map<int64_t, std::string>> chunks_;  // by generation, of those not loaded
  absl::flat_hash_map<int64_t, Override> overrides_;
  std::shared_ptr<const MenuState> state_;
  std::shared_ptr<const MenuState> notified_;
  std::unique_ptr<bus::Subscription> subscription_;  // last: ends before what its callbacks use
};

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_MENU_STORE_H_
