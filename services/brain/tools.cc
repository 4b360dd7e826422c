#include "services/brain/tools.h"

#include <algorithm>
#include <condition_variable>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/status/status.h"
#include "common/subjects/subjects.h"
#include "common/trace/trace.h"

namespace arc::brain {
namespace {

absl::Status Late() {
  return absl::DeadlineExceededError("the request's timeout_ms is over");
}

absl::Status Hangs() {
  return absl::DeadlineExceededError("the menu agent did not answer before");
}

}  // namespace

bus::CallContext BusTools::With(absl::Duration timeout) const {
  bus::CallContext context = context_;
  context.timeout = timeout;
  return context;
}

absl::StatusOr<messages::ListResponse> BusTools::List(const messages::ListRequest& request,
                                                      absl::Duration timeout) {
  return bus::CallAndWait<messages::ListResponse>(
      bus_, subjects::kMenuList, request, With(std::min(timeout, bus::DefaultTimeout(subjects::kMenuList))));
}

absl::StatusOr<messages::SearchResponse> BusTools::Search(const messages::SearchRequest& request,
                                                          absl::Duration timeout) {
  return bus::CallAndWait<messages::SearchResponse>(
      bus_, subjects::kMenuSearch, request,
      With(std::min(timeout, bus::DefaultTimeout(subjects::kMenuSearch))));
}

std::vector<absl::StatusOr<messages::MenuItem>> BusTools::Details(const std::vector<int64_t>& ids,
                                                                  absl::Duration timeout) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    size_t open = 0;
    std::vector<absl::StatusOr<messages::MenuItem>> answers;
  };
  // Calls back at the deadline at the latest, so that nothing outlives the wait.
  const auto shared = std::make_shared<Shared>();
  shared->open = ids.size();
  shared->answers.assign(ids.size(), absl::UnavailableError("no answer"));
  const bus::CallContext context = With(std::min(timeout, bus::DefaultTimeout(subjects::kMenuDetails)));
  for (size_t i = 0; i < ids.size(); ++i) {
    bus::Call<messages::DetailsResponse>(bus_, subjects::kMenuDetails, messages::DetailsRequest{ids[i]},
                                         context,
                                         [shared, i](absl::StatusOr<messages::DetailsResponse> answer) {
                                           std::lock_guard<std::mutex> lock(shared->mutex);
                                           if (answer.ok()) {
                                             shared->answers[i] = std::move(answer->item);
                                           } else {
                                             shared->answers[i] = std::move(answer).status();
                                           }
                                           --shared->open;
                                           shared->changed.notify_all();
                                         });
  }
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->changed.wait(lock, [&] { return shared->open == 0; });
  return std::move(shared->answers);
}

absl::StatusOr<messages::SuggestResponse> BusTools::Suggest(const messages::SuggestRequest& request,
                                                            absl::Duration timeout) {
  return bus::CallAndWait<messages::SuggestResponse>(
      bus_, subjects::kRecsysSuggest, request,
      With(std::min(timeout, bus::DefaultTimeout(subjects::kRecsysSuggest))));
}

absl::StatusOr<messages::SnapshotResponse> BusTools::Snapshot(absl::Duration timeout) {
  messages::SnapshotRequest request;
  if (!context_.kiosk_id.empty()) request.kiosk_id = context_.kiosk_id;
  return bus::CallAndWait<messages::SnapshotResponse>(
      bus_, subjects::kOrchestratorSnapshot, request,
      With(std::min(timeout, bus::DefaultTimeout(subjects::kOrchestratorSnapshot))));
}

template <class F>
auto ToolLog::Record(absl::string_view tool, double share, F call) -> decltype(call(absl::Duration())) {
  const absl::Time begin = clock_.Now();
  const absl::Duration limit = left() * share;
  trace::Span tracing(absl::StrCat("tool ", tool), trace::SpanKind::kInternal);
  const trace::Scope scope(tracing.context());
  auto answer = call(limit);
  tracing.End();
  const absl::Duration took = clock_.Now() - begin;
  spent_ += took;
  if (took >= limit && absl::StartsWith(tool, "menu.")) menu_hangs_ = true;
  messages::ToolSpan span;
  span.tool = std::string(tool);
  span.start_ms = absl::ToInt64Milliseconds(begin - start_);
  span.latency_ms = absl::ToInt64Milliseconds(took);
  spans_.push_back(std::move(span));
  return answer;
}

absl::StatusOr<messages::ListResponse> ToolLog::List(const messages::ListRequest& request) {
  if (late()) return Late();
  if (menu_hangs_) return Hangs();
  return Record("menu.list", kToolShare, [&](absl::Duration limit) { return tools_.List(request, limit); });
}

absl::StatusOr<messages::SearchResponse> ToolLog::Search(const messages::SearchRequest& request) {
  if (late()) return Late();
  if (menu_hangs_) return Hangs();
  return Record("menu.search", kToolShare,
                [&](absl::Duration limit) { return tools_.Search(request, limit); });
}

std::vector<absl::StatusOr<messages::MenuItem>> ToolLog::Details(const std::vector<int64_t>& ids) {
  if (late()) return std::vector<absl::StatusOr<messages::MenuItem>>(ids.size(), Late());
  if (menu_hangs_) return std::vector<absl::StatusOr<messages::MenuItem>>(ids.size(), Hangs());
  if (ids.empty()) return {};
  return Record("menu.details", kToolShare, [&](absl::Duration limit) { return tools_.Details(ids, limit); });
}

absl::StatusOr<messages::SuggestResponse> ToolLog::Suggest(const messages::SuggestRequest& request) {
  if (late()) return Late();
  return Record("recsys.suggest", kOfferShare,
                [&](absl::Duration limit) { return tools_.Suggest(request, limit); });
}

absl::StatusOr<messages::SnapshotResponse> ToolLog::Snapshot() {
  if (late()) return Late();
  return Record("orchestrator.snapshot", kToolShare,
                [&](absl::Duration limit) { return tools_.Snapshot(limit); });
}

absl::StatusOr<std::shared_ptr<const Lexicon>> MenuCache::Get(ToolLog& tools) {
  absl::Time now = tools.now();
  bool details_due = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    details_due = now - details_at_ >= options_.details_age;
    if (lexicon_ != nullptr && now - list_at_ < options_.list_age && !details_due) return lexicon_;
  }
  absl::StatusOr<messages::ListResponse> list = tools.List({});
  if (!list.ok()) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (lexicon_ != nullptr && tools.now() - list_at_ < options_.stale_age) return lexicon_;
    return std::move(list).status();
  }
  const std::string text = json::Encode(*list);
  std::vector<messages::MenuCategory> categories;
  std::vector<Dish> dishes;
  for (const messages::ListCategory& category : list->categories) {
    categories.push_back({category.id, category.name});
    for (const messages::SearchItem& listed : category.items) {
      Dish dish;
      dish.item.id = listed.id;
      dish.item.name = listed.name;
      dish.item.category = category.id;
      dish.item.price = listed.price;
      dish.item.image = listed.image;
      dish.item.tags = listed.tags;
      dish.item.available = listed.available;
      dishes.push_back(std::move(dish));
    }
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (lexicon_ != nullptr && text == list_text_ && !details_due) {
      list_at_ = now;
      return lexicon_;
    }
  }
  bool complete = true;
  if (dishes.size() <= options_.max_detailed && !list->truncated) {
    std::vector<int64_t> wanted;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (const Dish& dish : dishes) {
        const auto found = known_.find(dish.item.id);
        const bool same = found != known_.end() && found->second.item.name == dish.item.name;
        if (dish.item.available && (details_due || !same)) wanted.push_back(dish.item.id);
      }
    }
    const std::vector<absl::StatusOr<messages::MenuItem>> answers = tools.Details(wanted);
    now = tools.now();
    std::lock_guard<std::mutex> lock(mutex_);
    size_t failed = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (answers[i].ok()) {
        known_[wanted[i]] = {*answers[i], now};
      } else {
        ++failed;
      }
    }
    complete = failed == 0 || failed < wanted.size() / 2;
    for (Dish& dish : dishes) {
      const auto found = known_.find(dish.item.id);
      if (found == known_.end() || found->second.item.name != dish.item.name) continue;
      messages::MenuItem item = found->second.item;
      item.price = dish.item.price;
      item.tags = dish.item.tags;
      item.available = dish.item.available;
      dish.item = std::move(item);
      dish.detailed = true;
    }
  }
  auto lexicon = std::make_shared<const Lexicon>(list->currency, std::move(categories), std::move(dishes));
  std::lock_guard<std::mutex> lock(mutex_);
  if (known_.size() > 2 * options_.max_detailed) {
    for (auto entry = known_.begin(); entry != known_.end();) {
      const auto old = entry++;
      if (lexicon->Find(old->first) == nullptr) known_.erase(old);
    }
  }
  lexicon_ = lexicon;
  list_text_ = text;
  list_at_ = now;
  // What could not be had is asked for again with the next request.
  if (complete) details_at_ = now;
  return lexicon;
}

std::vector<absl::StatusOr<messages::MenuItem>> MenuCache::Fresh(const std::vector<int64_t>& ids,
                                                                 ToolLog& tools) {
  std::vector<absl::StatusOr<messages::MenuItem>> items(ids.size(), absl::UnavailableError("not asked"));
  std::vector<int64_t> wanted;
  std::vector<size_t> places;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto found = known_.find(ids[i]);
      const Dish* dish = lexicon_ == nullptr ? nullptr : lexicon_->Find(ids[i]);
      const bool listed = dish == nullptr || dish->item.available;
      if (listed && found != known_.end() && tools.now() - found->second.at < options_.list_age) {
        items[i] = found->second.item;
      } else {
        wanted.push_back(ids[i]);
        places.push_back(i);
      }
    }
  }
  std::vector<absl::StatusOr<messages::MenuItem>> answers = tools.Details(wanted);
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (answers[i].ok()) known_[wanted[i]] = {*answers[i], tools.now()};
    items[places[i]] = std::move(answers[i]);
  }
  return items;
}

}  // namespace arc::brain
