// Commands of kiosk.agent.menu.* (kiosk specification, section 7.1; list and set_availability are the
// design's) and the menu as a restaurant writes it. Requester: orchestrator, or any client. Responder: menu
// agent. Timeout: 2 s.
#ifndef ARC_COMMON_MESSAGES_MENU_H_
#define ARC_COMMON_MESSAGES_MENU_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

struct Customization {
  std::string name;
  Decimal price;  // added to the item's price; may be 0

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name, json::Range(1, 100));
    v.Optional("price", s.price, json::Range(0, 1000000));
  }
};

// An item as it stands in a menu file, in the bucket KIOSK_MENU and in the reply to get_details. The
// specification's example of that reply has no category, so reading does without one; a menu does not
// (services/menu/menu_file.h, catalogue.h).
struct MenuItem {
  int64_t id = 0;
  std::string name;
  std::string category;  // a category's id
  std::string description;
  Decimal price;
  std::string image;  // path on the screen's server
  std::optional<int64_t> calories;
  std::vector<std::string> tags;
  std::vector<std::string> dietary;
  std::vector<std::string> allergens;
  std::vector<Customization> customizations;
  std::vector<std::string> synonyms;
  std::vector<int64_t> combo_of;  // ids of the items that a combo consists of
  bool available = true;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id, json::Range(1, json::kMaxId));
    v.Required("name", s.name, json::Range(1, 100));
    v.Optional("category", s.category, json::Range(0, 64));
    v.Optional("description", s.description, json::Range(0, 1000));
    v.Required("price", s.price, json::Range(0, 1000000));
    v.Optional("image", s.image, json::Range(0, 300));
    v.Optional("calories", s.calories, json::Range(0, 100000));
    v.Optional("tags", s.tags, json::Range(0, 50));
    v.Optional("dietary", s.dietary, json::Range(0, 50));
    v.Optional("allergens", s.allergens, json::Range(0, 50));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("synonyms", s.synonyms, json::Range(0, 50));
    v.Optional("combo_of", s.combo_of, json::Range(0, 20));
    v.Optional("available", s.available);
  }
};

struct MenuCategory {
  std::string id;
  std::string name;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id, json::Range(1, 64));
    v.Required("name", s.name, json::Range(1, 100));
  }
};

// A menu file.
struct MenuFile {
  std::string currency;  // ISO 4217
  std::vector<MenuCategory> categories;
  std::vector<MenuItem> items;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("currency", s.currency, json::Range(3, 3));
    v.Required("categories", s.categories, json::Range(1, 1000));
    v.Required("items", s.items, json::Range(0, 100000));
  }
};

// kiosk.agent.menu.search
struct SearchRequest {
  static constexpr absl::string_view kCommand = "search";
  std::string query;                           // empty: everything that the filters let through
  std::vector<std::string> tags;               // all of them must be on the item
  std::vector<std::string> dietary_filters;    // all of them must hold: hard constraints
  std::vector<std::string> exclude_allergens;  // none of them may be in the item: hard constraint
  int64_t limit = 10;                          // most items to return

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Optional("query", s.query, json::Range(0, 400));
    v.Optional("tags", s.tags, json::Range(0, 20));
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("limit", s.limit, json::Range(1, 1000));
  }
};

// All of it is always written. Another responder's reply may leave out what a client can do without
// (specification, section 10.2).
struct SearchItem {
  int64_t id = 0;
  std::string name;
  Decimal price;
  std::string image;
  std::vector<std::string> tags;
  bool available = true;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id, json::Range(1, json::kMaxId));
    v.Required("name", s.name);
    v.Required("price", s.price);
    v.Optional("image", s.image);
    v.Optional("tags", s.tags);
    v.Optional("available", s.available);
  }
};

struct SearchResponse {
  std::vector<SearchItem> items;
  int64_t total_matches = 0;  // before `limit`; on reading at least what is in `items`

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("items", s.items);
    v.Optional("total_matches", s.total_matches);
    if constexpr (V::kDecoding) {
      s.total_matches = std::max(s.total_matches, static_cast<int64_t>(s.items.size()));
    }
  }
};

// kiosk.agent.menu.details
struct DetailsRequest {
  static constexpr absl::string_view kCommand = "get_details";
  int64_t item_id = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
  }
};

struct DetailsResponse {
  MenuItem item;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("item", s.item);
  }
};

// kiosk.agent.menu.list: the whole menu by category, unavailable items included and marked.
struct ListRequest {
  static constexpr absl::string_view kCommand = "list";
  std::optional<std::string> category;  // none: all

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Optional("category", s.category, json::Range(1, 64));
  }
};

struct ListCategory {
  std::string id;
  std::string name;
  std::vector<SearchItem> items;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("name", s.name);
    v.Required("items", s.items);
  }
};

struct ListResponse {
  std::string currency;
  std::vector<ListCategory> categories;
  bool truncated = false;  // the menu is too large for one message: ask by category

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("currency", s.currency);
    v.Required("categories", s.categories);
    v.Optional("truncated", s.truncated);
  }
};

// kiosk.agent.menu.set_availability: takes an item off ("86") or puts it back.
struct SetAvailabilityRequest {
  static constexpr absl::string_view kCommand = "set_availability";
  int64_t item_id = 0;
  bool available = true;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("command", kCommand);
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Required("available", s.available);
  }
};

struct SetAvailabilityResponse {
  int64_t item_id = 0;
  bool available = true;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("item_id", s.item_id);
    v.Required("available", s.available);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_MENU_H_
