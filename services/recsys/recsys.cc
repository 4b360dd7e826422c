#include "services/recsys/recsys.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/log/log.h"
#include "common/messages/session.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "common/trace/trace.h"

namespace arc::recsys {
namespace {

constexpr char kAgentName[] = "arc-recsys";
constexpr absl::Duration kRetryDelay = absl::Seconds(1);
// Orders taken and not yet written; each batch of a key is one write.
constexpr int kMaxInFlight = 256;

absl::StatusOr<Basket> BasketOf(const bus::Message& message, absl::Time now) {
  ASSIGN_OR_RETURN(const ParsedMessage parsed, ParseMessage(message.body, now));
  ASSIGN_OR_RETURN(const messages::OrderCompleted order, DecodePayload<messages::OrderCompleted>(parsed));
  std::vector<int64_t> ids;
  for (const messages::OrderLine& line : order.lines) ids.push_back(line.item_id);
  return MakeBasket(order.order_id, ids, order.context);
}

}  // namespace

Recsys::Recsys() : menu_([this](const std::shared_ptr<const menu::MenuState>& state) { OnMenu(state); }) {}

Recsys::~Recsys() {
  StopLearning();
  {
    std::lock_guard<std::mutex> lock(consumer_mutex_);
    consumer_.reset();
  }
  AwaitLearned();  // what was delivered until a moment ago
}

absl::Status Recsys::WatchMenu(bus::KeyValue& bucket) {
  return menu_.Watch(bucket);
}

absl::Status Recsys::WatchModel(bus::KeyValue& bucket) {
  bucket_ = &bucket;
  return model_.Watch(bucket);
}

void Recsys::StartLearning(bus::Bus& bus, bus::Executor& executor) {
  bus_ = &bus;
  executor_ = &executor;
  bus::ConsumeOptions options;
  options.stream = subjects::kEventsStream;
  options.durable = kOrdersDurable;
  options.max_in_flight = kMaxInFlight;
  std::shared_ptr<bus::Consumer> consumer = bus.Consume(
      options, [this](std::shared_ptr<bus::Delivery> delivery) { OnDelivery(std::move(delivery)); });
  std::lock_guard<std::mutex> lock(consumer_mutex_);
  consumer_ = std::move(consumer);
}

void Recsys::StopLearning() {
  const std::shared_ptr<bus::Consumer> stopped = consumer();
  if (stopped != nullptr) stopped->Stop();
  AwaitLearned();
}

std::shared_ptr<bus::Consumer> Recsys::consumer() const {
  std::lock_guard<std::mutex> lock(consumer_mutex_);
  return consumer_;
}

void Recsys::AwaitLearned() {
  std::unique_lock<std::mutex> lock(learn_mutex_);
  learn_changed_.wait(lock, [this] { return !learning_; });
}

void Recsys::OnMenu(const std::shared_ptr<const menu::MenuState>& state) {
  auto live = std::make_shared<Live>();
  live->state = state;
  {
    std::lock_guard<std::mutex> lock(menu_mutex_);
    // Taking an item off leaves the catalogue, and with it the suggester, as it is.
    if (live_ != nullptr && live_->state->catalogue == state->catalogue) live->suggester = live_->suggester;
  }
  if (live->suggester == nullptr) live->suggester = std::make_shared<const Suggester>(state->catalogue);
  std::lock_guard<std::mutex> lock(menu_mutex_);
  live_ = std::move(live);
}

absl::StatusOr<messages::SuggestResponse> Recsys::Suggest(const messages::SuggestRequest& request) const {
  // Answers of a copy that has just started must not differ from the others'.
  if (!model_.current()) return MakeError(ErrorCode::kUnavailable, "the learned model is being read");
  const bool no_menu = menu_.current() && menu_.state() == nullptr;
  std::shared_ptr<const Live> live;
  {
    std::lock_guard<std::mutex> lock(menu_mutex_);
    live = live_;
  }
  if (live == nullptr) {
    if (!no_menu) return MakeError(ErrorCode::kUnavailable, "the menu is being read");
    return MakeError(ErrorCode::kMenuNotFound, "no menu has been imported yet");
  }
  const trace::Span tracing("engine suggestions", trace::SpanKind::kInternal);
  return live->suggester->Suggest(request, *live->state->unavailable, model_.model());
}

absl::Status Recsys::Health() const {
  if (!menu_.current()) return absl::UnavailableError("the menu has not been read yet");
  if (!model_.current()) return absl::UnavailableError("the learned model has not been read yet");
  const std::shared_ptr<bus::Consumer> orders = consumer();
  if (orders == nullptr || !orders->bound()) {
    return absl::UnavailableError(absl::StrCat("not bound to ", kOrdersDurable));
  }
  return absl::OkStatus();
}

void Recsys::OnDelivery(std::shared_ptr<bus::Delivery> delivery) {
  bus::Taken taken;
  taken.subject = subjects::kOrderCompleted;
  taken.sent = delivery->stored_at();
  taken.deliveries = delivery->deliveries();
  taken.begin = bus_->clock().Now();
  // Until it is put to what is learned next, in batches.
  trace::Span span = bus::BeginProcessing(delivery->message(), taken);
  absl::StatusOr<Basket> basket = BasketOf(delivery->message(), bus_->clock().Now());
  if (!basket.ok()) {
    span.SetStatus(basket.status());
    Bury(delivery, basket.status());
    return;
  }
  std::lock_guard<std::mutex> lock(learn_mutex_);
  queued_.emplace_back(std::move(delivery), *std::move(basket));
  if (learning_) return;
  learning_ = true;
  executor_->Run([this] { LearnQueued(); });
}

void Recsys::LearnQueued() {
  for (;;) {
    std::vector<Order> orders;
    {
      std::lock_guard<std::mutex> lock(learn_mutex_);
      if (queued_.empty()) {
        learning_ = false;
        learn_changed_.notify_all();
        return;
      }
      orders.swap(queued_);
    }
    // Until the imported history is known, an order of it could count a second time.
    if (!model_.current()) {
      for (const Order& order : orders) order.first->Nak(kRetryDelay);
      continue;
    }
    std::map<std::string, std::vector<Order>> by_key;
    for (Order& order : orders) by_key[LiveKey(order.second.order)].push_back(std::move(order));
    for (const auto& [key, batch] : by_key) Learn(batch);
  }
}

void Recsys::Learn(const std::vector<Order>& orders) {
  std::vector<Basket> baskets;
  baskets.reserve(orders.size());
  for (const Order& order : orders) baskets.push_back(order.second);
  const absl::StatusOr<int64_t> learned =
      LearnOrders(*bucket_, baskets, [this](uint64_t order) { return model_.Imported(order); });
  if (learned.ok()) {
    orders_learned_ += *learned;
    for (const Order& order : orders) order.first->Ack();
    return;
  }
  Log(LogLevel::kWarning, "completed orders could not be learned from",
      {{"orders", absl::StrCat(orders.size())}, {"error", std::string(learned.status().message())}});
  for (const Order& order : orders) {
    if (order.first->last_delivery()) {
      Bury(order.first, learned.status());
    } else {
      order.first->Nak(kRetryDelay * order.first->deliveries());
    }
  }
}

void Recsys::Bury(const std::shared_ptr<bus::Delivery>& delivery, const absl::Status& error) {
  bus::DeadLetterSource source;
  source.agent = kAgentName;
  source.stream = subjects::kEventsStream;
  source.consumer = kOrdersDurable;
  source.stream_seq = delivery->stream_sequence();
  source.deliveries = delivery->deliveries();
  bus::PublishDeadLetter(*bus_, source, delivery->message(), error, [delivery](const absl::Status& stored) {
    if (stored.ok()) {
      delivery->Term();
    } else {
      delivery->Nak(kRetryDelay);
    }
  });
}

}  // namespace arc::recsys
