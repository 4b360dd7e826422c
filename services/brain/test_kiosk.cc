#include "services/brain/test_kiosk.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/status/status.h"
#include "services/menu/menu_file.h"

namespace arc::brain {
namespace {

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

messages::SearchItem Listed(const messages::MenuItem& item, bool available) {
  messages::SearchItem listed;
  listed.id = item.id;
  listed.name = item.name;
  listed.price = item.price;
  listed.image = item.image;
  listed.tags = item.tags;
  listed.available = available;
  return listed;
}

constexpr absl::Duration kAnswerTime = absl::Seconds(2);

}  // namespace

LocalTools::LocalTools(const std::string& menu_file) {
  std::ifstream file(menu_file);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  catalogue_ = Must(menu::Catalogue::Create(Must(menu::ParseMenuFile(text))));
  index_ = std::make_unique<menu::SearchIndex>(catalogue_);
  suggester_ = std::make_unique<recsys::Suggester>(catalogue_);
}

absl::Status LocalTools::Fail(const std::string& tool, absl::Duration timeout) {
  if (hung.count(tool) > 0 && hang) {
    hang(tool, timeout);
    return absl::DeadlineExceededError("no answer");
  }
  return fault ? fault(tool) : absl::OkStatus();
}

absl::StatusOr<messages::ListResponse> LocalTools::List(const messages::ListRequest&,
                                                        absl::Duration timeout) {
  if (absl::Status status = Fail("menu.list", timeout); !status.ok()) return status;
  messages::ListResponse response;
  response.currency = catalogue_->currency();
  for (const messages::MenuCategory& category : catalogue_->categories()) {
    response.categories.push_back({category.id, category.name, {}});
    for (const messages::MenuItem& item : catalogue_->items()) {
      if (item.category == category.id) {
        response.categories.back().items.push_back(Listed(item, !sold_out.contains(item.id)));
      }
    }
  }
  return response;
}

absl::StatusOr<messages::SearchResponse> LocalTools::Search(const messages::SearchRequest& request,
                                                            absl::Duration timeout) {
  searches.push_back(request);
  if (absl::Status status = Fail("menu.search", timeout); !status.ok()) return status;
  menu::SearchQuery query;
  query.text = request.query;
  query.tags = request.tags;
  query.dietary_filters = request.dietary_filters;
  query.exclude_allergens = request.exclude_allergens;
  query.limit = request.limit;
  const absl::StatusOr<menu::SearchResult> result = index_->Search(query, sold_out);
  if (!result.ok()) return result.status();
  if (result->items.empty()) return MakeError(ErrorCode::kMenuNotFound, "No items match the search query");
  messages::SearchResponse response;
  response.total_matches = result->total_matches;
  for (const messages::MenuItem* item : result->items) response.items.push_back(Listed(*item, true));
  return response;
}

std::vector<absl::StatusOr<messages::MenuItem>> LocalTools::Details(const std::vector<int64_t>& ids,
                                                                    absl::Duration timeout) {
  std::vector<absl::StatusOr<messages::MenuItem>> items;
  for (const int64_t id : ids) {
    if (absl::Status status = Fail("menu.details", items.empty() ? timeout : absl::ZeroDuration());
        !status.ok()) {
      items.emplace_back(status);
      continue;
    }
    const messages::MenuItem* item = catalogue_->Find(id);
    if (item == nullptr) {
      items.emplace_back(MakeError(ErrorCode::kMenuNotFound, absl::StrCat("no item has id ", id)));
    } else if (sold_out.contains(id)) {
      items.emplace_back(MakeError(ErrorCode::kItemOutOfStock, absl::StrCat(item->name, " is out of stock")));
    } else {
      items.emplace_back(*item);
    }
  }
  return items;
}

absl::StatusOr<messages::SuggestResponse> LocalTools::Suggest(const messages::SuggestRequest& request,
                                                              absl::Duration timeout) {
  suggests.push_back(request);
  if (absl::Status status = Fail("recsys.suggest", timeout); !status.ok()) return status;
  return suggester_->Suggest(request, sold_out, model_);
}

absl::StatusOr<messages::SnapshotResponse> LocalTools::Snapshot(absl::Duration timeout) {
  if (absl::Status status = Fail("orchestrator.snapshot", timeout); !status.ok()) return status;
  if (!snapshot.has_value()) return absl::UnavailableError("no orchestrator");
  return *snapshot;
}

TestKiosk::TestKiosk(const std::string& menu_file, BrainOptions options, Model* model)
    : tools_(menu_file), brain_(clock_, model, options), machine_(orchestrator::Config{}) {
  menu_ = Must(orchestrator::MenuView::FromList(Must(tools_.List({}, kAnswerTime)), clock_.Now()));
  Reset();
}

void TestKiosk::Reset() {
  state_ = machine_.NewKiosk("kiosk-001", "2f0f4e4e-6f3b-4a39-9a57-0d6c4f0b2a11", 0, clock_.Now());
  dialogue_ = Dialogue{};
  dialogue_text_.reset();
  turns_.clear();
}

void TestKiosk::Step(orchestrator::InputBody body) {
  // What the agents answer to what the orchestrator asks, in order; payments stay open until they are
  // cancelled.
  std::deque<orchestrator::InputBody> inputs;
  inputs.push_back(std::move(body));
  while (!inputs.empty()) {
    orchestrator::Input input;
    input.body = std::move(inputs.front());
    inputs.pop_front();
    orchestrator::Transition transition = machine_.Step(state_, input, menu_, clock_.Now());
    state_ = std::move(transition.state);
    std::vector<int64_t> completed;
    for (const orchestrator::Effect& effect : transition.effects) {
      if (orchestrator::CompletesByItself(effect.kind)) {
        completed.push_back(effect.id);
        continue;
      }
      orchestrator::CommandResult result;
      result.effect_id = effect.id;
      switch (effect.kind) {
        case orchestrator::EffectKind::kMenuList: {
          absl::StatusOr<messages::ListResponse> answer = tools_.List({}, kAnswerTime);
          result.status = answer.status();
          if (answer.ok()) result.list = *answer;
          break;
        }
        case orchestrator::EffectKind::kMenuDetails: {
          const auto request = Must(json::Decode<messages::DetailsRequest>(effect.payload));
          const absl::StatusOr<messages::MenuItem> answer =
              tools_.Details({request.item_id}, kAnswerTime).front();
          result.status = answer.status();
          if (answer.ok()) {
            result.details = Must(
                json::Decode<orchestrator::DetailsAnswer>(json::Encode(messages::DetailsResponse{*answer})));
          }
          break;
        }
        case orchestrator::EffectKind::kMenuSearch: {
          const auto request = Must(json::Decode<messages::SearchRequest>(effect.payload));
          absl::StatusOr<messages::SearchResponse> answer = tools_.Search(request, kAnswerTime);
          result.status = answer.status();
          if (answer.ok()) result.search = *answer;
          break;
        }
        case orchestrator::EffectKind::kSuggest: {
          const auto request = Must(json::Decode<messages::SuggestRequest>(effect.payload));
          absl::StatusOr<messages::SuggestResponse> answer = tools_.Suggest(request, kAnswerTime);
          result.status = answer.status();
          if (answer.ok()) result.suggest = *answer;
          break;
        }
        case orchestrator::EffectKind::kPaymentCancel: {
          messages::PaymentOutcome outcome;
          outcome.status = messages::PaymentStatus::kCancelled;
          result.payment = std::move(outcome);
          // What was to be charged is answered too.
          for (const orchestrator::Effect& other : state_.outbox) {
            if (other.kind != orchestrator::EffectKind::kPaymentProcess || other.order_id != effect.order_id)
              continue;
            orchestrator::CommandResult ended = result;
            ended.effect_id = other.id;
            inputs.emplace_back(std::move(ended));
          }
          break;
        }
        default:
          continue;
      }
      inputs.emplace_back(std::move(result));
    }
    orchestrator::CompleteEffects(completed, state_);
  }
}

void TestKiosk::Apply(const std::vector<messages::Intent>& intents) {
  for (const messages::Intent& intent : intents) {
    // What voice publishes is what the orchestrator decodes.
    Step(Must(json::Decode<messages::Intent>(json::Encode(intent))));
  }
}

void TestKiosk::Touch(const messages::Touch& touch) {
  Step(touch);
}

messages::BrainRequest TestKiosk::Request(const std::string& text) {
  messages::BrainRequest request;
  request.request_id = absl::StrCat("req-", next_request_++);
  request.session_id = "session-1";
  request.conversation_id = "conv-1";
  request.turn_index = static_cast<int64_t>(turns_.size());
  request.user_input = text;
  request.context.dialogue = dialogue_text_;
  request.context.previous_turns = turns_;
  return request;
}

Outcome TestKiosk::Say(const std::string& text) {
  tools_.snapshot = orchestrator::SnapshotOf(state_);
  Outcome outcome = brain_.Handle(Request(text), tools_);
  if (outcome.response.has_value()) {
    dialogue_text_ = outcome.response->dialogue;
    if (dialogue_text_.has_value()) dialogue_ = Must(json::Decode<Dialogue>(dialogue_text_->text));
    turns_.push_back({text, outcome.response->agent_response});
    Apply(outcome.response->intents);
  }
  clock_.Advance(absl::Seconds(3));
  return outcome;
}

}  // namespace arc::brain
