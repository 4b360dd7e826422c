#include "services/orchestrator/orchestrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/hardware.h"
#include "common/messages/system.h"
#include "common/status/status_matchers.h"

namespace arc::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// A bus that ends with its process: from Die() on nothing of what it is asked to do is done. It dies by
// itself at the n-th write of a kiosk's state, before or after the write.
class MortalBus : public bus::Bus {
 public:
  explicit MortalBus(bus::Bus& bus) : bus_(bus), life_(std::make_shared<Life>()) {}

  void DieAtWrite(int number, bool after) {
    life_->die_at = number;
    life_->after = after;
  }
  void Die() { life_->dead = true; }
  // From now on its writes to buckets fail.
  void RefuseWrites(bool refuse) { life_->refuse_writes = refuse; }
  bool dead() const { return life_->dead; }

  Clock& clock() override { return bus_.clock(); }
  bool connected() const override { return !life_->dead && bus_.connected(); }
  absl::Status Publish(const bus::Message& message, bus::Urgency urgency) override {
    return life_->dead ? absl::OkStatus() : bus_.Publish(message, urgency);
  }
  void PublishEvent(bus::Message message, absl::Duration timeout,
                    std::function<void(absl::Status)> done) override {
    if (!life_->dead) bus_.PublishEvent(std::move(message), timeout, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<bus::Subscription>> Subscribe(absl::string_view subject,
                                                               absl::string_view queue,
                                                               bus::MessageCallback callback) override {
    return bus_.Subscribe(subject, queue, std::move(callback));
  }
  void Request(bus::Message message, const bus::RequestOptions& options, bus::ReplyCallback done) override {
    if (!life_->dead) bus_.Request(std::move(message), options, std::move(done));
  }
  void CoreRequest(bus::Message message, absl::Duration timeout, bus::ReplyCallback done) override {
    if (!life_->dead) bus_.CoreRequest(std::move(message), timeout, std::move(done));
  }
  std::unique_ptr<bus::Consumer> Consume(const bus::ConsumeOptions& options,
                                         bus::DeliveryCallback callback) override {
    return bus_.Consume(options, [life = life_, callback](std::shared_ptr<bus::Delivery> delivery) {
      callback(std::make_shared<MortalDelivery>(life, std::move(delivery)));
    });
  }
  absl::StatusOr<bus::ConsumerInfo> GetConsumerInfo(absl::string_view stream,
                                                    absl::string_view durable) override {
    return bus_.GetConsumerInfo(stream, durable);
  }
  absl::StatusOr<bus::StoredMessage> NextStored(absl::string_view stream, absl::string_view filter,
                                                uint64_t from) override {
    return bus_.NextStored(stream, filter, from);
  }
  absl::StatusOr<bus::StoredMessage> GetStored(absl::string_view stream, uint64_t sequence) override {
    return bus_.GetStored(stream, sequence);
  }
  absl::Status DeleteStored(absl::string_view stream, uint64_t sequence) override {
    return bus_.DeleteStored(stream, sequence);
  }
  absl::StatusOr<std::unique_ptr<bus::KeyValue>> OpenBucket(absl::string_view name) override {
    auto bucket = bus_.OpenBucket(name);
    if (!bucket.ok()) return bucket;
    return std::unique_ptr<bus::KeyValue>(std::make_unique<MortalBucket>(life_, *std::move(bucket)));
  }
  std::unique_ptr<bus::Subscription> OnConnectionChange(std::function<void(bool)> callback) override {
    return bus_.OnConnectionChange(std::move(callback));
  }
  uint64_t reconnects() const override { return bus_.reconnects(); }

 private:
  struct Life {
    bool dead = false;
    bool refuse_writes = false;
    bool after = false;
    int writes = 0;
    int die_at = -1;
  };

  class MortalDelivery : public bus::Delivery {
   public:
    MortalDelivery(std::shared_ptr<Life> life, std::shared_ptr<bus::Delivery> delivery)
        : life_(std::move(life)), delivery_(std::move(delivery)) {}
    const bus::Message& message() const override { return delivery_->message(); }
    uint64_t stream_sequence() const override { return delivery_->stream_sequence(); }
    uint64_t consumer_sequence() const override { return delivery_->consumer_sequence(); }
    int deliveries() const override { return delivery_->deliveries(); }
    bool last_delivery() const override { return delivery_->last_delivery(); }
    absl::Time stored_at() const override { return delivery_->stored_at(); }
    void Ack() override {
      if (!life_->dead) delivery_->Ack();
    }
    void AckWithReply(const bus::Message& reply) override {
      if (!life_->dead) delivery_->AckWithReply(reply);
    }
    void Nak(absl::Duration delay) override {
      if (!life_->dead) delivery_->Nak(delay);
    }
    void Term() override {
      if (!life_->dead) delivery_->Term();
    }
    void InProgress() override {
      if (!life_->dead) delivery_->InProgress();
    }

   private:
    const std::shared_ptr<Life> life_;
    const std::shared_ptr<bus::Delivery> delivery_;
  };

  class MortalBucket : public bus::KeyValue {
   public:
    MortalBucket(std::shared_ptr<Life> life, std::unique_ptr<bus::KeyValue> bucket)
        : life_(std::move(life)), bucket_(std::move(bucket)) {}
    absl::StatusOr<Entry> Get(absl::string_view key) override {
      if (life_->dead) return absl::UnavailableError("dead");
      return bucket_->Get(key);
    }
    absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
      return Write(key, [&] { return bucket_->Put(key, value); });
    }
    absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
      return Write(key, [&] { return bucket_->Create(key, value); });
    }
    absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                    uint64_t revision) override {
      return Write(key, [&] { return bucket_->Update(key, value, revision); });
    }
    absl::Status Delete(absl::string_view key) override { return bucket_->Delete(key); }
    absl::Status Purge(absl::string_view key) override { return bucket_->Purge(key); }
    absl::StatusOr<std::vector<std::string>> Keys() override { return bucket_->Keys(); }
    absl::StatusOr<std::unique_ptr<bus::Subscription>> Watch(absl::string_view filter,
                                                             std::function<void(const Entry&)> on_entry,
                                                             std::function<void()> on_current) override {
      return bucket_->Watch(filter, std::move(on_entry), std::move(on_current));
    }

   private:
    absl::StatusOr<uint64_t> Write(absl::string_view key,
                                   const std::function<absl::StatusOr<uint64_t>()>& write) {
      if (life_->dead) return absl::UnavailableError("dead");
      if (life_->refuse_writes) return absl::UnavailableError("the bucket takes no writes");
      if (absl::StartsWith(key, "kiosk.") && ++life_->writes == life_->die_at) {
        life_->dead = true;
        if (life_->after) (void)write();
        return absl::UnavailableError("dead");
      }
      return write();
    }
    const std::shared_ptr<Life> life_;
    const std::unique_ptr<bus::KeyValue> bucket_;
  };

  bus::Bus& bus_;
  const std::shared_ptr<Life> life_;
};

// One process of the orchestrator, whose work runs when the test says so.
struct Copy {
  Copy(bus::Bus& the_bus, absl::string_view name, Options options = {}) : bus(the_bus) {
    options.instance_id = std::string(name);
    options.run = [this](std::function<void()> work) { tasks.push_back(std::move(work)); };
    auto opened = bus.OpenBucket(subjects::kSessionsBucket);
    EXPECT_THAT(opened.status(), IsOk());
    bucket = *std::move(opened);
    orchestrator = std::make_unique<Orchestrator>(bus, options);
    EXPECT_THAT(orchestrator->Start(*bucket), IsOk());
  }
  ~Copy() {
    orchestrator.reset();
    tasks.clear();
  }
  bool RunTasks() {
    const bool any = !tasks.empty();
    while (!tasks.empty()) {
      std::function<void()> task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
    return any;
  }

  MortalBus bus;
  std::deque<std::function<void()>> tasks;
  std::unique_ptr<bus::KeyValue> bucket;
  std::unique_ptr<Orchestrator> orchestrator;
};

// The agents around the orchestrator, as plain responders, and copies of it.
class Restaurant {
 public:
  Restaurant() {
    bus_.ProvisionDefault();
    On("kiosk.agent.menu.list", [this](const ParsedMessage&, const bus::Message&) -> std::string {
      return absl::StrCat(
          R"({"status":"success","currency":"USD","categories":[{"id":"burgers","name":"Burgers","items":[
        {"id":101,"name":"Volcano Burger","price":12.99,"image":"/img/volcano.png","tags":["popular"],"available":)",
          sold_out_ ? "false" : "true", R"(}]},
        {"id":"drinks","name":"Drinks","items":[{"id":201,"name":"Iced Cola","price":5.99,"image":"","tags":[],"available":true}]}]})");
    });
    On("kiosk.agent.menu.details", [](const ParsedMessage& request, const bus::Message&) -> std::string {
      const auto decoded = DecodePayload<messages::DetailsRequest>(request);
      EXPECT_THAT(decoded, IsOk());
      if (decoded->item_id == 101) {
        return R"({"status":"success","item":{"id":101,"name":"Volcano Burger","description":"Hot","price":12.99,
          "calories":850,"allergens":["gluten"],"customizations":[{"name":"Extra Cheese","price":1.50},{"name":"No Onions","price":0}]}})";
      }
      if (decoded->item_id == 201) {
        return R"({"status":"success","item":{"id":201,"name":"Iced Cola","price":5.99}})";
      }
      return R"({"status":"error","error_code":"MENU_NOT_FOUND","error_message":"no such item","retryable":false})";
    });
    On("kiosk.agent.menu.search", [](const ParsedMessage&, const bus::Message&) -> std::string {
      return R"({"status":"success","items":[],"total_matches":0})";
    });
    On("kiosk.agent.recsys.suggest", [](const ParsedMessage&, const bus::Message&) -> std::string {
      return R"({"status":"success","suggestions":[]})";
    });
    On("kiosk.agent.hardware.>",
       [this](const ParsedMessage& request, const bus::Message& message) -> std::string {
         if (absl::StartsWith(message.subject, subjects::kHardwarePrint)) {
           printed_.insert(DecodePayload<messages::PrintRequest>(request)->order_id);
         }
         return R"({"status":"success","order_id":"x"})";
       });
    On("kiosk.agent.payment.process",
       [this](const ParsedMessage& request, const bus::Message& message) -> std::string {
         const auto decoded = DecodePayload<messages::ProcessPaymentRequest>(request);
         EXPECT_THAT(decoded, IsOk());
         EXPECT_FALSE(message.headers.Get(subjects::kIdempotencyKeyHeader).value_or("").empty());
         const auto charged = charges_.emplace(decoded->order_id, decoded->total);
         if (!charged.second) {
           EXPECT_EQ(charged.first->second.ToString(), decoded->total.ToString());
         }
         return Outcome(decoded->order_id);
       });
    On("kiosk.agent.payment.status",
       [this](const ParsedMessage& request, const bus::Message&) -> std::string {
         return Outcome(DecodePayload<messages::PaymentStatusRequest>(request)->order_id);
       });
  }

  ~Restaurant() {
    copies_.clear();
    subscriptions_.clear();
  }

  std::string Outcome(const std::string& order_id) const {
    const auto charge = charges_.find(order_id);
    if (charge == charges_.end()) {
      return R"({"status":"none","transaction_id":null,"amount_charged":0,"loyalty_points_earned":0,"receipt_url":null,"error":null})";
    }
    return absl::StrCat(R"({"status":"success","transaction_id":"txn-)", order_id, R"(","amount_charged":)",
                        charge->second.ToString(),
                        R"(,"loyalty_points_earned":1,"receipt_url":"/receipts/1.pdf","error":null})");
  }

  void On(absl::string_view subject,
          const std::function<std::string(const ParsedMessage&, const bus::Message&)>& answer) {
    auto subscription = bus_.Subscribe(subject, "", [this, answer](const bus::Message& message) {
      if (message.reply.empty() || deaf_.count(message.subject) == 1) return;
      const auto request = ParseMessage(message.body, clock_.Now());
      ASSERT_THAT(request.status(), IsOk());
      ++requests_[message.subject];
      bus::Message reply;
      reply.subject = message.reply;
      reply.body = WrapPayload(MakeEnvelope(clock_.Now(), ""), answer(*request, message));
      EXPECT_THAT(bus_.Publish(reply), IsOk());
    });
    ASSERT_THAT(subscription.status(), IsOk());
    subscriptions_.push_back(*std::move(subscription));
  }

  Copy& AddCopy(absl::string_view name, Options options = {}) {
    copies_.push_back(std::make_unique<Copy>(bus_, name, std::move(options)));
    return *copies_.back();
  }

  // Runs everything that can run now.
  void Settle() {
    for (bool any = true; any;) {
      bus_.RunUntilIdle();
      any = false;
      for (auto& copy : copies_) any |= copy->RunTasks();
    }
  }
  void Pass(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(100)) {
      clock_.Advance(absl::Milliseconds(100));
      Settle();
    }
  }
  // Lets time pass until `done`; buries the dead and starts a successor.
  bool Await(const std::function<bool()>& done, absl::Duration limit = absl::Seconds(90)) {
    for (absl::Duration passed; passed < limit; passed += absl::Milliseconds(100)) {
      Settle();
      if (done()) return true;
      for (auto& copy : copies_) {
        if (!copy->bus.dead()) continue;
        copy = std::make_unique<Copy>(bus_, absl::StrCat("successor-", ++successors_));
        if (!deaths_.empty()) {
          copy->bus.DieAtWrite(deaths_.front(), /*after=*/true);
          deaths_.pop_front();
        }
      }
      clock_.Advance(absl::Milliseconds(100));
    }
    return false;
  }

  void Event(absl::string_view subject, absl::string_view payload, absl::string_view msg_id = "",
             absl::string_view kiosk_header = "") {
    bus::Message message;
    message.subject = std::string(subject);
    message.body = msg_id.empty() ? absl::StrCat("{\"payload\":", payload, "}")
                                  : absl::StrCat("{\"msg_id\":\"", msg_id, "\",\"payload\":", payload, "}");
    if (!kiosk_header.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_header);
    EXPECT_THAT(bus_.Publish(message), IsOk());
  }
  void Touch(absl::string_view action, absl::string_view more = "") {
    Event(subjects::kTouch, absl::StrCat(R"({"event":"touch","action":")", action, "\"", more, "}"));
  }
  void Add(int64_t item_id, int quantity, absl::string_view more = "") {
    Event(subjects::kCartAction, absl::StrCat(R"({"event":"cart_action","action":"add","item_id":)", item_id,
                                              ",\"quantity\":", quantity, more, "}"));
  }

  KioskState State(absl::string_view kiosk_id = "kiosk-001") {
    auto bucket = bus_.OpenBucket(subjects::kSessionsBucket);
    EXPECT_THAT(bucket.status(), IsOk());
    const auto entry = (*bucket)->Get(absl::StrCat("kiosk.", kiosk_id));
    if (!entry.ok()) return {};
    auto state = json::Decode<KioskState>(entry->value);
    EXPECT_THAT(state, IsOk());
    return state.ok() ? *state : KioskState{};
  }
  bool In(SessionState state, absl::string_view kiosk_id = "kiosk-001") {
    return State(kiosk_id).state == state;
  }

  std::vector<std::string> StoredPayloads(absl::string_view subject) {
    std::vector<std::string> payloads;
    for (const bus::StoredMessage& stored : bus_.Stored(subjects::kEventsStream)) {
      if (stored.message.subject != subject) continue;
      payloads.push_back(json::Encode(ParseMessage(stored.message.body, clock_.Now())->payload()));
    }
    return payloads;
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
  std::vector<std::unique_ptr<Copy>> copies_;
  int successors_ = 0;
  bool sold_out_ = false;       // the burger
  std::deque<int> deaths_;      // at which write the next successors die
  std::set<std::string> deaf_;  // subjects that are not answered
  std::map<std::string, int> requests_;
  std::map<std::string, Decimal> charges_;
  std::set<std::string> printed_;
};

void OrderTillPaid(Restaurant& restaurant) {
  restaurant.Event(subjects::kPersonDetected, R"({"event":"person_detected","estimated_party_size":2})",
                   "test");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kBrowsing); }));
  restaurant.Add(101, 3, R"(,"customizations":["Extra Cheese"])");
  restaurant.Event(subjects::kCartAction,
                   R"({"event":"cart_action","action":"update_qty","item_id":101,"quantity":2})");
  restaurant.Add(201, 1);
  restaurant.Touch("show_cart");
  restaurant.Touch("checkout");
  restaurant.Touch("confirm_payment");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kPaid); }))
      << "the payment did not go through";
}

TEST(Orchestrator, TakesAnOrderFromThePersonToTheReceipt) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  EXPECT_THAT(copy.orchestrator->Health(), IsOk());
  ASSERT_NO_FATAL_FAILURE(OrderTillPaid(restaurant));
  EXPECT_EQ(copy.orchestrator->active_sessions(), 1);
  restaurant.Touch("done");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kAttract); }));
  restaurant.Pass(absl::Seconds(3));

  const auto completed = restaurant.StoredPayloads(subjects::kOrderCompleted);
  ASSERT_THAT(completed, SizeIs(1));
  EXPECT_THAT(completed[0], HasSubstr(R"("total":34.97)"));
  EXPECT_THAT(completed[0], HasSubstr(R"("party_size":2)"));
  EXPECT_THAT(restaurant.StoredPayloads(subjects::kSessionStarted),
              ElementsAre(R"({"event":"session_started","kiosk_id":"kiosk-001"})"));
  EXPECT_THAT(restaurant.StoredPayloads(subjects::kSessionEnded),
              ElementsAre(HasSubstr(R"("reason":"completed")")));
  EXPECT_THAT(restaurant.printed_, SizeIs(1));
  EXPECT_THAT(restaurant.charges_, SizeIs(1));
  EXPECT_THAT(restaurant.State().outbox, IsEmpty()) << "a quiet kiosk has nothing left to do";
}

// More than the state has room for at once: the rest waits in the stream.
TEST(Orchestrator, ManyTouchesAtOnceAllCount) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  restaurant.Touch("start");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kBrowsing); }));
  constexpr int kEach = 90;
  for (int i = 0; i < kEach; ++i) {
    restaurant.Add(101, 1);
    restaurant.Add(201, 1);
  }
  ASSERT_TRUE(restaurant.Await([&] {
    const KioskState state = restaurant.State();
    return state.cart.size() == 2 && state.cart[0].quantity == kEach && state.cart[1].quantity == kEach;
  })) << "some touches were lost";
}

TEST(Orchestrator, AnswersInTheFormItWasAskedIn) {
  Restaurant restaurant;
  restaurant.AddCopy("a");
  restaurant.Settle();
  restaurant.Event("kiosk.input.touch.kiosk-007", R"({"event":"touch","action":"start"})");
  restaurant.Event(subjects::kTouch, R"({"event":"touch","action":"start"})", "", "kiosk-008");
  restaurant.Event(subjects::kTouch, R"({"event":"touch","action":"start"})");
  ASSERT_TRUE(restaurant.Await([&] {
    return restaurant.In(SessionState::kBrowsing, "kiosk-007") &&
           restaurant.In(SessionState::kBrowsing, "kiosk-008") && restaurant.In(SessionState::kBrowsing);
  }));
  restaurant.Pass(absl::Seconds(1));
  const auto kiosk_of = [](const bus::Message& message) {
    return message.headers.Get(subjects::kKioskIdHeader).value_or("");
  };
  const auto scoped = restaurant.bus_.Published("kiosk.ui.update.kiosk-007");
  ASSERT_FALSE(scoped.empty());
  EXPECT_EQ(kiosk_of(scoped[0]), "kiosk-007");
  std::set<std::string> bare;
  for (const bus::Message& message : restaurant.bus_.Published(subjects::kUiUpdate))
    bare.insert(kiosk_of(message));
  EXPECT_THAT(bare, ElementsAre("kiosk-001", "kiosk-008"));
}

TEST(Orchestrator, BuriesWhatItCannotRead) {
  std::vector<std::pair<Source, absl::StatusCode>> told;
  Restaurant restaurant;
  Options options;
  options.on_event = [&](Source source, absl::Duration took, const absl::Status& status) {
    EXPECT_GE(took, absl::ZeroDuration());
    told.emplace_back(source, status.code());
  };
  restaurant.AddCopy("a", options);
  restaurant.Settle();
  bus::Message bad;
  bad.subject = subjects::kTouch;
  bad.body = "{\"payload\":";
  ASSERT_THAT(restaurant.bus_.Publish(bad), IsOk());
  restaurant.Touch("dance");
  restaurant.Event("kiosk.input.sneeze", "{}");
  restaurant.Event(subjects::kTouch, R"({"action":"start"})", "", "not a kiosk!");
  restaurant.Touch("start");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kBrowsing); }));
  EXPECT_THAT(restaurant.bus_.Stored(subjects::kDeadLetterStream), SizeIs(4));
  const auto info = restaurant.bus_.GetConsumerInfo(subjects::kEventsStream, "orchestrator-input-consumer");
  ASSERT_THAT(info.status(), IsOk());
  EXPECT_EQ(info->num_ack_pending, 0) << "a buried event is done with";
  EXPECT_THAT(told, UnorderedElementsAre(Pair(Source::kInput, absl::StatusCode::kInvalidArgument),
                                         Pair(Source::kInput, absl::StatusCode::kInvalidArgument),
                                         Pair(Source::kInput, absl::StatusCode::kInvalidArgument),
                                         Pair(Source::kInput, absl::StatusCode::kInvalidArgument),
                                         Pair(Source::kInput, absl::StatusCode::kOk)));
}

TEST(Orchestrator, WaitsWhileTheBucketCannotBeWritten) {
  Restaurant restaurant;
  restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.copies_[0]->orchestrator->leading(); }));
  restaurant.bus_.FailKeyValue(4);
  restaurant.Add(101, 1);
  restaurant.Add(101, 2);
  restaurant.Event(subjects::kCartAction,
                   R"({"event":"cart_action","action":"update_qty","item_id":101,"quantity":7})");
  ASSERT_TRUE(restaurant.Await([&] {
    const KioskState state = restaurant.State();
    return state.cart.size() == 1 && state.cart[0].quantity == 7;
  }));
  restaurant.bus_.FailKeyValue(1, bus::MemoryBus::Fault::kAfter);
  restaurant.Add(101, 2);
  ASSERT_TRUE(restaurant.Await([&] {
    const KioskState state = restaurant.State();
    return state.cart.size() == 1 && state.cart[0].quantity == 9;
  })) << "a write that only seemed to fail counts once";
}

TEST(Orchestrator, AStandbyTakesOverAndAFormerLeaderCannotWrite) {
  Restaurant restaurant;
  Copy& first = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return first.orchestrator->leading(); }));
  Copy& second = restaurant.AddCopy("b");
  restaurant.Pass(absl::Seconds(5));
  EXPECT_FALSE(second.orchestrator->leading());
  EXPECT_THAT(second.orchestrator->Health(), IsOk()) << "standing by is healthy";
  restaurant.Add(101, 1);
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.State().cart.size() == 1; }));

  // The first hangs: its work is not run, its timers are. Meanwhile a customer goes on.
  std::deque<std::function<void()>> hung;
  const absl::Time began = restaurant.clock_.Now();
  restaurant.Add(201, 1);
  while (!second.orchestrator->leading()) {
    ASSERT_LT(restaurant.clock_.Now() - began, absl::Seconds(6)) << "nobody took over";
    restaurant.clock_.Advance(absl::Milliseconds(100));
    restaurant.bus_.RunUntilIdle();
    for (auto& task : first.tasks) hung.push_back(std::move(task));
    first.tasks.clear();
    second.RunTasks();
  }
  const auto snapshot = second.orchestrator->Snapshot({}, {});
  ASSERT_THAT(snapshot, IsOk());
  first.tasks = std::move(hung);
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.State().cart.size() == 2; }));
  restaurant.Pass(absl::Seconds(3));
  EXPECT_FALSE(first.orchestrator->leading());
  EXPECT_TRUE(second.orchestrator->leading());
  EXPECT_EQ(restaurant.State().cart[0].quantity, 1) << "an input was applied twice";
  EXPECT_EQ(restaurant.State().cart[1].quantity, 1) << "an input was applied twice";

  second.orchestrator->Stop();
  const absl::Time released = restaurant.clock_.Now();
  ASSERT_TRUE(restaurant.Await([&] { return first.orchestrator->leading(); }));
  EXPECT_LE(restaurant.clock_.Now() - released, absl::Seconds(2)) << "a lease given up is taken at once";
}

TEST(Orchestrator, SnapshotIsAnsweredByEveryCopy) {
  Restaurant restaurant;
  Copy& first = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return first.orchestrator->leading(); }));
  Copy& second = restaurant.AddCopy("b");
  restaurant.Add(101, 2);
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.State().cart.size() == 1; }));
  for (Copy* copy : {&first, &second}) {
    const auto snapshot = copy->orchestrator->Snapshot({}, {});
    ASSERT_THAT(snapshot, IsOk());
    EXPECT_EQ(snapshot->state, "browsing");
    EXPECT_EQ(snapshot->cart.total.ToString(), "25.98");
    EXPECT_EQ(snapshot->ui.layout_mode, "hero_grid");
  }
  messages::SnapshotRequest fresh;
  fresh.kiosk_id = "kiosk-099";
  const auto attract = second.orchestrator->Snapshot(fresh, {});
  ASSERT_THAT(attract, IsOk());
  EXPECT_EQ(attract->state, "attract");
  EXPECT_EQ(attract->ui.layout_mode, "attract");
  fresh.kiosk_id = "no such thing";
  EXPECT_THAT(second.orchestrator->Snapshot(fresh, {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

// The command is lost with nats-server's memory, hardware comes back later.
TEST(Orchestrator, ALostPrintCommandIsSentAgainAlsoByTheNextLeader) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  restaurant.deaf_ = {subjects::kHardwarePrint};
  ASSERT_NO_FATAL_FAILURE(OrderTillPaid(restaurant));
  restaurant.Touch("done");
  restaurant.Pass(absl::Seconds(60));
  EXPECT_TRUE(restaurant.In(SessionState::kAttract));
  EXPECT_THAT(restaurant.printed_, IsEmpty());
  copy.bus.Die();
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.successors_ == 1; }));
  restaurant.Pass(absl::Seconds(10));  // it leads, and has asked in vain as well
  restaurant.deaf_.clear();
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.printed_.size() == 1; }, absl::Seconds(31)));
  EXPECT_EQ(restaurant.requests_[subjects::kHardwarePrint], 1);
  const auto asked = restaurant.bus_.Published(subjects::kHardwarePrint);
  EXPECT_GT(asked.size(), 4u);
  std::set<std::string> keys;
  for (const bus::Message& message : asked) {
    keys.insert(message.headers.Get(subjects::kIdempotencyKeyHeader).value_or(""));
  }
  EXPECT_THAT(keys, ElementsAre(absl::StrCat(*restaurant.printed_.begin(), ":print")));
  EXPECT_TRUE(restaurant.Await([&] { return restaurant.State().outbox.empty(); }));
}

// What the bucket does to a copy that stands by or leads, and what the copy says of itself.
TEST(Orchestrator, IsNotHealthyWhileNobodyCanLead) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  Copy& standby = restaurant.AddCopy("b");
  restaurant.Pass(absl::Seconds(2));
  EXPECT_THAT(copy.orchestrator->Health(), IsOk());
  EXPECT_THAT(standby.orchestrator->Health(), IsOk());

  restaurant.bus_.FailKeyValue(1000000);
  restaurant.Pass(absl::Seconds(2));
  EXPECT_THAT(standby.orchestrator->Health(), IsOk()) << "a short trouble is none";
  restaurant.Pass(absl::Seconds(3));
  EXPECT_THAT(copy.orchestrator->Health(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(standby.orchestrator->Health(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(standby.orchestrator->Health().message()), HasSubstr("the leader is not known: "));

  restaurant.bus_.FailKeyValue(0);
  ASSERT_TRUE(restaurant.Await(
      [&] { return copy.orchestrator->Health().ok() && standby.orchestrator->Health().ok(); }));
  EXPECT_NE(copy.orchestrator->leading(), standby.orchestrator->leading());
}

// What nats-server 2.9 does when a bucket is deleted and made anew at once: it exists and takes no writes.
TEST(Orchestrator, ALeaderThatLostItsBucketSaysSoAndLeadsAgain) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  auto bucket = restaurant.bus_.OpenBucket(subjects::kSessionsBucket);
  ASSERT_THAT(bucket, IsOk());
  ASSERT_THAT((*bucket)->Purge("leader"), IsOk());
  ASSERT_TRUE(restaurant.Await([&] { return !copy.orchestrator->leading(); }, absl::Seconds(2)));
  copy.bus.RefuseWrites(true);
  restaurant.Pass(absl::Seconds(4));
  EXPECT_FALSE(copy.orchestrator->leading());
  EXPECT_THAT(copy.orchestrator->Health(), StatusIs(absl::StatusCode::kUnavailable));
  copy.bus.RefuseWrites(false);
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }, absl::Seconds(3)));
  EXPECT_THAT(copy.orchestrator->Health(), IsOk());
  restaurant.Touch("start");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kBrowsing); }));
}

TEST(Orchestrator, AStandbyThatSeesNobodyLeadSaysSo) {
  Restaurant restaurant;
  Options options;
  options.lease_timeout = absl::Seconds(3);
  Copy& first = restaurant.AddCopy("a", options);
  ASSERT_TRUE(restaurant.Await([&] { return first.orchestrator->leading(); }));
  Copy& second = restaurant.AddCopy("b", options);
  restaurant.Pass(absl::Seconds(2));
  // It may read, and that is all.
  second.bus.RefuseWrites(true);
  first.bus.Die();
  first.tasks.clear();
  for (int i = 0; i < 80; ++i) {
    restaurant.clock_.Advance(absl::Milliseconds(100));
    restaurant.bus_.RunUntilIdle();
    second.RunTasks();
  }
  EXPECT_THAT(second.orchestrator->Health(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(Orchestrator, MakesRoomForAKioskAtOnceButNeverEndsASession) {
  Restaurant restaurant;
  Options options;
  options.max_kiosks = 3;
  options.session.idle_timeout = absl::Minutes(10);
  options.session.idle_warning = absl::Minutes(9);
  Copy& copy = restaurant.AddCopy("a", options);
  ASSERT_TRUE(restaurant.Await([&] { return copy.orchestrator->leading(); }));
  const auto touch = [&](absl::string_view kiosk, absl::string_view action) {
    restaurant.Event(absl::StrCat(subjects::kTouch, ".", kiosk),
                     absl::StrCat(R"({"event":"touch","action":")", action, "\"}"));
  };
  // The default kiosk takes an order; two more kiosks begin a session.
  ASSERT_NO_FATAL_FAILURE(OrderTillPaid(restaurant));
  const std::string first_number = restaurant.State().order.order_number;
  const std::string seed = restaurant.State().id_seed;
  restaurant.Touch("done");
  touch("k-1", "start");
  touch("k-2", "start");
  ASSERT_TRUE(restaurant.Await([&] {
    return restaurant.In(SessionState::kAttract) && restaurant.In(SessionState::kBrowsing, "k-2");
  }));
  restaurant.Pass(absl::Seconds(5));
  // A fourth takes the place of the one in attract, at once.
  touch("k-3", "start");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kBrowsing, "k-3"); }))
      << "no room for a new kiosk";
  EXPECT_EQ(restaurant.State().id_seed, seed) << "a kiosk that took orders stays in the bucket";
  EXPECT_NE(restaurant.State("k-3").slot, restaurant.State().slot) << "its letter is not given away";
  // All are in a session now.
  touch("k-4", "start");
  ASSERT_TRUE(
      restaurant.Await([&] { return restaurant.bus_.Stored(subjects::kDeadLetterStream).size() == 1; }));
  EXPECT_TRUE(restaurant.In(SessionState::kBrowsing, "k-1"));
  // The first one comes back as it was.
  touch("k-1", "cancel_order");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kAttract, "k-1"); }));
  restaurant.Touch("start");
  ASSERT_NO_FATAL_FAILURE(OrderTillPaid(restaurant));
  EXPECT_EQ(restaurant.State().id_seed, seed);
  EXPECT_EQ(first_number, "A1");
  EXPECT_EQ(restaurant.State().order.order_number, "A2");
  restaurant.Pass(absl::Seconds(1));
  auto bucket = restaurant.bus_.OpenBucket(subjects::kSessionsBucket);
  ASSERT_THAT(bucket, IsOk());
  EXPECT_THAT((*bucket)->Get("kiosk.k-1"), StatusIs(absl::StatusCode::kNotFound))
      << "one without an order is forgotten";
}

TEST(Orchestrator, NoMenuAgentIsSaidOnTheScreen) {
  Restaurant restaurant;
  restaurant.deaf_ = {subjects::kMenuList, subjects::kMenuDetails};
  restaurant.AddCopy("a");
  restaurant.Settle();
  restaurant.Add(101, 1);
  ASSERT_TRUE(restaurant.Await([&] {
    const KioskState state = restaurant.State();
    return state.steps.empty() && !state.messages.empty();
  }));
  EXPECT_TRUE(restaurant.State().cart.empty());
}

TEST(Orchestrator, WhatSellsOutDoesSoOnTheScreenThatShowsIt) {
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  auto menu = restaurant.bus_.OpenBucket(subjects::kMenuBucket);
  ASSERT_THAT(menu, IsOk());
  ASSERT_THAT(copy.orchestrator->WatchMenu(**menu), IsOk());
  restaurant.Settle();
  restaurant.Touch("select_item", R"(,"item_id":101)");
  const auto shows = [&](absl::string_view words) {
    const auto screens = restaurant.StoredPayloads(subjects::kUiUpdate);
    return !screens.empty() && absl::StrContains(screens.back(), words);
  };
  ASSERT_TRUE(restaurant.Await([&] { return shows(R"("available":true,"loading":false)"); }));

  restaurant.sold_out_ = true;
  ASSERT_THAT((*menu)->Put("availability.101", "{}"), IsOk());
  EXPECT_TRUE(
      restaurant.Await([&] { return shows(R"("available":false,"loading":false)"); }, absl::Seconds(2)));
  EXPECT_FALSE(shows("Add to cart"));
  restaurant.sold_out_ = false;
  ASSERT_THAT((*menu)->Put("availability.101", "{}"), IsOk());
  EXPECT_TRUE(restaurant.Await([&] { return shows("Add to cart"); }, absl::Seconds(2)));

  // News that change nothing on the screen are not said.
  const size_t said = restaurant.StoredPayloads(subjects::kUiUpdate).size();
  ASSERT_THAT((*menu)->Put("availability.201", "{}"), IsOk());
  restaurant.Pass(absl::Seconds(3));
  EXPECT_THAT(restaurant.StoredPayloads(subjects::kUiUpdate), SizeIs(said));
  copy.orchestrator.reset();  // before the bucket that it follows
}

// The process dies at a write of a state, before or after it, and so may its successor: whoever comes next
// ends up at the same order.
class Crash : public ::testing::TestWithParam<std::tuple<int, bool, int>> {};

TEST_P(Crash, LosesNothingAndDoublesNothing) {
  const auto [write, after, again] = GetParam();
  Restaurant restaurant;
  Copy& copy = restaurant.AddCopy("a");
  copy.bus.DieAtWrite(write, after);
  if (again > 0) restaurant.deaths_ = {again};
  ASSERT_NO_FATAL_FAILURE(OrderTillPaid(restaurant));
  restaurant.Touch("done");
  ASSERT_TRUE(restaurant.Await([&] { return restaurant.In(SessionState::kAttract); }));
  EXPECT_TRUE(restaurant.Await([&] { return restaurant.State().outbox.empty(); }))
      << "something is left undone";
  restaurant.Await([] { return false; }, absl::Seconds(5));  // nothing more comes of it
  EXPECT_GE(restaurant.successors_, 1) << "the process did not die: there are fewer writes than that";

  const auto completed = restaurant.StoredPayloads(subjects::kOrderCompleted);
  ASSERT_THAT(completed, SizeIs(1));
  EXPECT_THAT(completed[0], HasSubstr(R"("total":34.97)"));
  EXPECT_THAT(restaurant.StoredPayloads(subjects::kSessionStarted), SizeIs(1));
  EXPECT_THAT(restaurant.StoredPayloads(subjects::kSessionEnded),
              ElementsAre(HasSubstr(R"("reason":"completed")")));
  EXPECT_THAT(restaurant.charges_, SizeIs(1));
  EXPECT_THAT(restaurant.printed_, SizeIs(1));
  EXPECT_THAT(restaurant.State().outbox, IsEmpty());
  const auto screens = restaurant.StoredPayloads(subjects::kUiUpdate);
  ASSERT_FALSE(screens.empty());
  EXPECT_THAT(screens.back(), HasSubstr(R"("layout_mode":"attract")"));
}

INSTANTIATE_TEST_SUITE_P(AtEveryWrite, Crash,
                         ::testing::Combine(::testing::Range(1, 17), ::testing::Bool(),
                                            ::testing::Values(0, 1, 2, 4)));

}  // namespace
}  // namespace arc::orchestrator
