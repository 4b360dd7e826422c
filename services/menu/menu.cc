#include "services/menu/menu.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/trace/trace.h"

namespace arc::menu {
namespace {

// Most bytes of items in one reply: the server's limit is 1 MB for the whole message.
constexpr size_t kReplyBytes = size_t{900} * 1000;
// This many items always fit.
constexpr size_t kFewItems = 50;

messages::SearchItem ListedItem(const messages::MenuItem& item, bool available) {
  return {item.id, item.name, item.price, item.image, item.tags, available};
}

absl::Status UnknownItem(int64_t id) {
  return MakeError(ErrorCode::kMenuNotFound, absl::StrCat("No item of the menu has the id ", id));
}

}  // namespace

Menu::Menu() : reader_([this](const std::shared_ptr<const MenuState>& state) { OnChange(state); }) {}

absl::Status Menu::Watch(bus::KeyValue& bucket) {
  return reader_.Watch(bucket);
}

void Menu::OnChange(const std::shared_ptr<const MenuState>& state) {
  std::shared_ptr<const SearchIndex> index;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The index knows nothing of availability: a change of that needs no new one.
    if (live_ != nullptr && live_->state->catalogue == state->catalogue) index = live_->index;
  }
  if (index == nullptr) {
    index = std::make_shared<SearchIndex>(state->catalogue);
    Log(LogLevel::kInfo, "menu loaded",
        {{"generation", state->generation}, {"items", absl::StrCat(state->catalogue->items().size())}});
  }
  auto live = std::make_shared<const Live>(Live{state, std::move(index)});
  std::lock_guard<std::mutex> lock(mutex_);
  live_ = std::move(live);
}

absl::StatusOr<std::shared_ptr<const Menu::Live>> Menu::Current() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (live_ == nullptr) return MakeError(ErrorCode::kMenuNotFound, "No menu has been imported yet");
  return live_;
}

absl::StatusOr<messages::SearchResponse> Menu::Search(const messages::SearchRequest& request) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Live> live, Current());
  SearchQuery query;
  query.text = request.query;
  query.tags = request.tags;
  query.dietary_filters = request.dietary_filters;
  query.exclude_allergens = request.exclude_allergens;
  query.limit = request.limit;
  trace::Span tracing("engine inverted-index", trace::SpanKind::kInternal);
  ASSIGN_OR_RETURN(const SearchResult result, live->index->Search(query, *live->state->unavailable));
  tracing.End();
  if (result.items.empty()) {
    return MakeError(ErrorCode::kMenuNotFound, "No items match the search query");
  }
  messages::SearchResponse response;
  response.total_matches = result.total_matches;
  size_t bytes = 0;
  for (const messages::MenuItem* item : result.items) {
    messages::SearchItem listed = ListedItem(*item, true);
    if (result.items.size() > kFewItems) bytes += json::Encode(listed).size() + 1;
    if (bytes > kReplyBytes) break;
    response.items.push_back(std::move(listed));
  }
  return response;
}

absl::StatusOr<messages::DetailsResponse> Menu::Details(const messages::DetailsRequest& request) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Live> live, Current());
  const messages::MenuItem* item = live->state->catalogue->Find(request.item_id);
  if (item == nullptr) return UnknownItem(request.item_id);
  if (live->state->unavailable->contains(item->id)) {
    return MakeError(ErrorCode::kItemOutOfStock, absl::StrCat(item->name, " is out of stock"));
  }
  messages::DetailsResponse response;
  response.item = *item;
  response.item.available = true;
  return response;
}

absl::StatusOr<messages::ListResponse> Menu::List(const messages::ListRequest& request) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Live> live, Current());
  const Catalogue& catalogue = *live->state->catalogue;
  messages::ListResponse response;
  response.currency = catalogue.currency();
  absl::flat_hash_map<absl::string_view, size_t> index;
  size_t bytes = 0;
  for (const messages::MenuCategory& category : catalogue.categories()) {
    if (request.category.has_value() && *request.category != category.id) continue;
    index[category.id] = response.categories.size();
    response.categories.push_back({category.id, category.name, {}});
    bytes += json::Encode(category).size() + 20;
  }
  if (request.category.has_value() && response.categories.empty()) {
    return MakeError(ErrorCode::kMenuNotFound,
                     absl::StrCat("The menu has no category ", json::Quote(*request.category)));
  }
  for (const messages::MenuItem& item : catalogue.items()) {
    const auto it = index.find(item.category);
    if (it == index.end()) continue;
    messages::SearchItem listed = ListedItem(item, !live->state->unavailable->contains(item.id));
    bytes += json::Encode(listed).size() + 1;
    if (bytes > kReplyBytes) {
      response.truncated = true;
      break;
    }
    response.categories[it->second].items.push_back(std::move(listed));
  }
  return response;
}

absl::StatusOr<messages::SetAvailabilityResponse> Menu::SetAvailability(
    const messages::SetAvailabilityRequest& request) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Live> live, Current());
  const messages::MenuItem* item = live->state->catalogue->Find(request.item_id);
  if (item == nullptr) return UnknownItem(request.item_id);
  RETURN_IF_ERROR(reader_.SetAvailability(request.item_id, request.available));
  Log(LogLevel::kInfo, request.available ? "item put back" : "item taken off",
      {{"item_id", absl::StrCat(request.item_id)}, {"name", item->name}});
  return messages::SetAvailabilityResponse{request.item_id, request.available};
}

absl::Status Menu::Health() const {
  if (!reader_.current()) return absl::UnavailableError("the bucket KIOSK_MENU has not been read yet");
  std::lock_guard<std::mutex> lock(mutex_);
  if (live_ == nullptr && reader_.state() != nullptr) {
    return absl::UnavailableError("the menu is being indexed");
  }
  return absl::OkStatus();
}

}  // namespace arc::menu
