// The menu agent's commands (kiosk specification, section 7.1; design, section 3.8): search, details, list
// and set_availability, answered from an index in memory that follows the bucket KIOSK_MENU.
#ifndef ARC_SERVICES_MENU_MENU_H_
#define ARC_SERVICES_MENU_MENU_H_

#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/messages/menu.h"
#include "services/menu/menu_store.h"
#include "services/menu/search_index.h"

namespace arc::menu {

// Thread-safe. A command sees one menu with one state of availability from its begin to its end.
class Menu {
 public:
  Menu();

  // Begins to follow `bucket`, which must outlive this.
  absl::Status Watch(bus::KeyValue& bucket);

  // Items that match and can be had now, best first. MENU_NOT_FOUND when there are none; INVALID_REQUEST for
  // an unknown dietary filter or allergen. At most as many items as fit into one message.
  absl::StatusOr<messages::SearchResponse> Search(const messages::SearchRequest& request) const;

  // MENU_NOT_FOUND for an unknown id, ITEM_OUT_OF_STOCK for an item that was taken off.
  absl::StatusOr<messages::DetailsResponse> Details(const messages::DetailsRequest& request) const;

  // The whole menu, or one category, unavailable items included and marked. MENU_NOT_FOUND for an unknown
  // category. What does not fit into one message is left out, and `truncated` says so.
  absl::StatusOr<messages::ListResponse> List(const messages::ListRequest& request) const;

  // Takes an item off or puts it back, in every copy of every agent that reads the menu. MENU_NOT_FOUND for
  // an unknown id. Blocks while it writes to the bucket.
  absl::StatusOr<messages::SetAvailabilityResponse> SetAvailability(
      const messages::SetAvailabilityRequest& request);

  // OK once the bucket has been read and what was in it is searchable, even if that is no menu.
  absl::Status Health() const;

 private:
  struct Live {
    std::shared_ptr<const MenuState> state;
    std::shared_ptr<const SearchIndex> index;  // of state->catalogue
  };

  void OnChange(const std::shared_ptr<const MenuState>& state);
  // MENU_NOT_FOUND until a menu has been imported.
  absl::StatusOr<std::shared_ptr<const Live>> Current() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Live> live_;
  MenuReader reader_;  // last: its callbacks use the members above
};

}  // namespace arc::menu

#endif  // ARC_SERVICES_MENU_MENU_H_
