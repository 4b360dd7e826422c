#include "services/orchestrator/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/messages/hardware.h"
#include "common/status/status_matchers.h"
#include "services/orchestrator/screen.h"

namespace arc::orchestrator {
namespace {

using messages::CartActionKind;
using messages::IntentType;
using messages::PaymentStatus;
using messages::TouchAction;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSeed[] = "6f1f2a52-7f0e-4b7a-9d5b-0d7b7f3c1a11";

// A restaurant and its customers: the state machine with agents that answer as told, on a clock that moves by
// hand. Commands wait in the outbox until Answer...() is called.
class Kiosk {
 public:
  explicit Kiosk(Config config = {}) : machine_(std::move(config)) {
    messages::ListResponse list;
    list.currency = "USD";
    list.categories = {
        {"burgers", "Burgers", {{101, "Volcano Burger", {1299, 2}, "/img/volcano.png", {"popular"}, true}}},
        {"drinks", "Drinks", {{201, "Iced Cola", {599, 2}, "", {}, true}}}};
    menu_ = *MenuView::FromList(list, now_);
    Item burger;
    burger.id = 101;
    burger.name = "Volcano Burger";
    burger.price = {1299, 2};
    burger.allergens = {"gluten", "dairy"};
    burger.customizations = {{"Extra Cheese", {15, 1}}, {"No Onions", {0, 0}}};
    items_[101] = burger;
    Item cola;
    cola.id = 201;
    cola.name = "Iced Cola";
    cola.price = {599, 2};
    items_[201] = cola;
    Item fries;
    fries.id = 401;
    fries.name = "Classic Fries";
    fries.price = {449, 2};
    fries.customizations = {{"No Salt", {0, 0}}, {"Cheese Sauce", {99, 2}}};
    items_[401] = fries;
    Item combo;
    combo.id = 301;
    combo.name = "Fries Combo";
    combo.price = {2147, 2};
    combo.customizations = {{"Extra Cheese", {15, 1}}};
    combo.combo_of = {101, 401, 201};
    items_[301] = combo;
    state_ = machine_.NewKiosk("kiosk-001", kSeed, 0, now_);
  }

  Transition Send(InputBody body, Origin origin) {
    Input input;
    origin.stored_at = now_;
    if (origin.trace_id.empty()) origin.trace_id = "trace";
    input.origin = origin;
    input.body = std::move(body);
    return Apply(input);
  }

  // An event of its own sequence and message id.
  Transition Send(InputBody body, Source source = Source::kInput) {
    Origin origin;
    origin.sequence = ++sequence_;
    origin.msg_id = absl::StrCat("m", sequence_);
    origin.source = source;
    return Send(std::move(body), origin);
  }

  Transition Touch(TouchAction action, const std::function<void(messages::Touch&)>& fill = {}) {
    messages::Touch touch;
    touch.action = action;
    if (fill) fill(touch);
    return Send(touch);
  }

  Transition Cart(CartActionKind action, int64_t item_id, std::optional<int64_t> quantity = std::nullopt,
                  std::vector<std::string> customizations = {}) {
    messages::CartAction cart;
    cart.action = action;
    cart.item_id = item_id;
    cart.quantity = quantity;
    cart.customizations = std::move(customizations);
    return Send(cart);
  }

  Transition Intend(IntentType type, std::vector<messages::IntentItem> items = {}) {
    messages::Intent intent;
    intent.intent_type = type;
    intent.entities.items = std::move(items);
    return Send(intent, Source::kVoice);
  }

  // Lets time pass in the steps in which the driver would.
  void Wait(absl::Duration duration) {
    const absl::Time until = now_ + duration;
    for (int ticks = 0; ticks < 10000; ++ticks) {
      const absl::Time next = machine_.NextTick(state_);
      if (next > until) break;
      now_ = std::max(now_, next);
      Apply({Tick{}, std::nullopt, {}});
    }
    now_ = until;
  }

  const Effect* Find(EffectKind kind) const {
    for (const Effect& effect : state_.outbox) {
      if (effect.kind == kind) return &effect;
    }
    return nullptr;
  }
  bool Has(EffectKind kind) const { return Find(kind) != nullptr; }

  Transition Result(CommandResult result) { return Apply({std::move(result), std::nullopt, {}}); }

  Transition AnswerPayment(EffectKind kind, PaymentStatus status, absl::string_view error_code = "") {
    const Effect* effect = Find(kind);
    EXPECT_NE(effect, nullptr) << "no such command is outstanding";
    if (effect == nullptr) return {};
    CommandResult result;
    result.effect_id = effect->id;
    messages::PaymentOutcome outcome;
    outcome.status = status;
    if (status == PaymentStatus::kSuccess) {
      outcome.transaction_id = "txn-1";
      outcome.amount_charged = Decimal::FromMinor(state_.order.total, 2);
    }
    if (!error_code.empty()) outcome.error_code = std::string(error_code);
    result.payment = outcome;
    return Result(std::move(result));
  }

  Transition FailCommand(EffectKind kind, ErrorCode code) {
    const Effect* effect = Find(kind);
    EXPECT_NE(effect, nullptr) << "no such command is outstanding";
    if (effect == nullptr) return {};
    CommandResult result;
    result.effect_id = effect->id;
    result.status = MakeError(code, "as the test says");
    return Result(std::move(result));
  }

  // Answers every read that is outstanding, as the agents would, and takes what completes by itself.
  void Settle() {
    for (;;) {
      std::vector<int64_t> done;
      CommandResult result;
      for (const Effect& effect : state_.outbox) {
        if (CompletesByItself(effect.kind)) {
          done.push_back(effect.id);
          if (effect.kind == EffectKind::kOrderCompleted) completed_.insert(effect.msg_id);
          continue;
        }
        if (result.effect_id != 0) continue;
        if (effect.kind == EffectKind::kMenuDetails) {
          const auto item = items_.find(effect.item_id);
          if (item == items_.end()) {
            result.status = MakeError(ErrorCode::kMenuNotFound, "no such item");
          } else if (!item->second.available) {
            result.status = MakeError(ErrorCode::kItemOutOfStock, "sold out");
          } else {
            result.details = DetailsAnswer{item->second};
          }
        } else if (effect.kind == EffectKind::kMenuSearch) {
          result.search = messages::SearchResponse{{{101, "Volcano Burger", {1299, 2}, "", {}, true}}, 1};
        } else if (effect.kind == EffectKind::kSuggest) {
          result.suggest = messages::SuggestResponse{suggestions_};
        } else if (effect.kind == EffectKind::kPrint) {
          ++prints_[effect.order_id];
        } else if (effect.kind != EffectKind::kMenuList) {
          continue;
        }
        result.effect_id = effect.id;
      }
      CompleteEffects(done, state_);
      if (result.effect_id == 0) return;
      Result(std::move(result));
    }
  }

  // A session with one burger in the cart, at the paying screen.
  void ToPaying() {
    Touch(TouchAction::kStart);
    Cart(CartActionKind::kAdd, 101, 1);
    Settle();
    Touch(TouchAction::kCheckout);
    Settle();
    Touch(TouchAction::kConfirmPayment);
    ASSERT_EQ(state_.state, SessionState::kPaying);
  }
  void ToPaid() {
    ToPaying();
    AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kSuccess);
    ASSERT_EQ(state_.state, SessionState::kPaid);
  }
  void ToUnknown() {
    ToPaying();
    FailCommand(EffectKind::kPaymentProcess, ErrorCode::kTimeout);
    FailCommand(EffectKind::kPaymentStatus, ErrorCode::kPaymentUnknown);
    ASSERT_EQ(state_.state, SessionState::kError);
  }

  // A crash: only what was encoded survives.
  void Restart() {
    absl::StatusOr<KioskState> read = json::Decode<KioskState>(json::Encode(state_));
    ASSERT_THAT(read, IsOk());
    state_ = *std::move(read);
    Apply({Recover{state_.epoch + 1}, std::nullopt, {}});
  }

  Transition Apply(const Input& input) {
    Transition transition = machine_.Step(state_, input, menu_, now_);
    state_ = transition.state;
    return transition;
  }

  std::vector<std::string> Notices() const {
    std::vector<std::string> codes;
    for (const Message& message : state_.messages) codes.push_back(message.code);
    return codes;
  }
  std::vector<std::string> Components() const {
    std::vector<std::string> types;
    for (const messages::UiComponent& component : state_.ui.components) types.push_back(component.type);
    return types;
  }
  int Count(const Transition& transition, EffectKind kind) const {
    return static_cast<int>(
        absl::c_count_if(transition.effects, [&](const Effect& e) { return e.kind == kind; }));
  }

  SessionMachine machine_;
  absl::Time now_ = absl::FromUnixSeconds(1765720800);
  MenuView menu_;
  std::map<int64_t, Item> items_;
  std::vector<messages::Suggestion> suggestions_ = {
      {201, "Iced Cola", "Cool down!", "goes_with", Decimal{599, 2}}};
  KioskState state_;
  int64_t sequence_ = 0;
  std::set<std::string> completed_;
  std::map<std::string, int> prints_;
};

// Every state as a function that brings a kiosk there.
void To(Kiosk& kiosk, SessionState state) {
  switch (state) {
    case SessionState::kAttract:
      return;
    case SessionState::kBrowsing:
      kiosk.Touch(TouchAction::kStart);
      kiosk.Cart(CartActionKind::kAdd, 101, 1);
      break;
    case SessionState::kDetails:
      kiosk.Cart(CartActionKind::kAdd, 101, 1);
      kiosk.Settle();
      kiosk.Touch(TouchAction::kSelectItem, [](auto& t) { t.item_id = 201; });
      break;
    case SessionState::kCart:
      kiosk.Cart(CartActionKind::kAdd, 101, 1);
      kiosk.Touch(TouchAction::kShowCart);
      break;
    case SessionState::kCheckout:
      kiosk.Cart(CartActionKind::kAdd, 101, 1);
      kiosk.Touch(TouchAction::kCheckout);
      break;
    case SessionState::kPaying:
      kiosk.ToPaying();
      break;
    case SessionState::kPaid:
      kiosk.ToPaid();
      break;
    case SessionState::kError:
      kiosk.ToUnknown();
      break;
  }
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.state, state);
}

using S = SessionState;
using A = TouchAction;

struct Row {
  S from;
  A action;
  S to;
};

class TransitionTable : public ::testing::TestWithParam<Row> {};

TEST_P(TransitionTable, LeadsThereAndAlwaysAnswersWithAScreen) {
  const Row row = GetParam();
  Kiosk kiosk;
  ASSERT_NO_FATAL_FAILURE(To(kiosk, row.from));
  const Transition transition = kiosk.Touch(row.action, [](messages::Touch& touch) {
    touch.item_id = 201;
    touch.category = "drinks";
    touch.query = "cola";
    touch.label = "no such label";
  });
  EXPECT_EQ(transition.disposition, Disposition::kApplied);
  EXPECT_EQ(kiosk.Count(transition, EffectKind::kUiUpdate), 1);
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.state, row.to);
  EXPECT_EQ(kiosk.state_.session_id.empty(), row.to == S::kAttract);
}

INSTANTIATE_TEST_SUITE_P(
    EveryStateAndAction, TransitionTable,
    ::testing::Values(
        Row{S::kAttract, A::kStart, S::kBrowsing}, Row{S::kAttract, A::kSelectItem, S::kDetails},
        Row{S::kAttract, A::kBrowseCategory, S::kBrowsing}, Row{S::kAttract, A::kSearch, S::kBrowsing},
        Row{S::kAttract, A::kShowCart, S::kCart}, Row{S::kAttract, A::kCustomize, S::kDetails},
        Row{S::kAttract, A::kCheckout, S::kAttract}, Row{S::kAttract, A::kConfirmPayment, S::kAttract},
        Row{S::kAttract, A::kCancelOrder, S::kAttract}, Row{S::kAttract, A::kBack, S::kAttract},
        Row{S::kAttract, A::kSuggestedAction, S::kAttract}, Row{S::kAttract, A::kKeepGoing, S::kAttract},
        Row{S::kAttract, A::kDone, S::kAttract},

        Row{S::kBrowsing, A::kStart, S::kBrowsing}, Row{S::kBrowsing, A::kSelectItem, S::kDetails},
        Row{S::kBrowsing, A::kBrowseCategory, S::kBrowsing}, Row{S::kBrowsing, A::kSearch, S::kBrowsing},
        Row{S::kBrowsing, A::kShowCart, S::kCart}, Row{S::kBrowsing, A::kCustomize, S::kDetails},
        Row{S::kBrowsing, A::kCheckout, S::kCheckout}, Row{S::kBrowsing, A::kConfirmPayment, S::kBrowsing},
        Row{S::kBrowsing, A::kCancelOrder, S::kAttract}, Row{S::kBrowsing, A::kBack, S::kBrowsing},
        Row{S::kBrowsing, A::kSuggestedAction, S::kBrowsing}, Row{S::kBrowsing, A::kKeepGoing, S::kBrowsing},
        Row{S::kBrowsing, A::kDone, S::kBrowsing},

        Row{S::kDetails, A::kStart, S::kBrowsing}, Row{S::kDetails, A::kSelectItem, S::kDetails},
        Row{S::kDetails, A::kBrowseCategory, S::kBrowsing}, Row{S::kDetails, A::kSearch, S::kBrowsing},
        Row{S::kDetails, A::kShowCart, S::kCart}, Row{S::kDetails, A::kCustomize, S::kDetails},
        Row{S::kDetails, A::kCheckout, S::kCheckout}, Row{S::kDetails, A::kConfirmPayment, S::kDetails},
        Row{S::kDetails, A::kCancelOrder, S::kAttract}, Row{S::kDetails, A::kBack, S::kBrowsing},
        Row{S::kDetails, A::kSuggestedAction, S::kDetails}, Row{S::kDetails, A::kKeepGoing, S::kDetails},
        Row{S::kDetails, A::kDone, S::kDetails},

        Row{S::kCart, A::kStart, S::kBrowsing}, Row{S::kCart, A::kSelectItem, S::kDetails},
        Row{S::kCart, A::kBrowseCategory, S::kBrowsing}, Row{S::kCart, A::kSearch, S::kBrowsing},
        Row{S::kCart, A::kShowCart, S::kCart}, Row{S::kCart, A::kCustomize, S::kDetails},
        Row{S::kCart, A::kCheckout, S::kCheckout}, Row{S::kCart, A::kConfirmPayment, S::kCart},
        Row{S::kCart, A::kCancelOrder, S::kAttract}, Row{S::kCart, A::kBack, S::kBrowsing},
        Row{S::kCart, A::kSuggestedAction, S::kCart}, Row{S::kCart, A::kKeepGoing, S::kCart},
        Row{S::kCart, A::kDone, S::kCart}));

INSTANTIATE_TEST_SUITE_P(
    EveryStateAndActionOfPaying, TransitionTable,
    ::testing::Values(
        Row{S::kCheckout, A::kStart, S::kBrowsing}, Row{S::kCheckout, A::kSelectItem, S::kDetails},
        Row{S::kCheckout, A::kBrowseCategory, S::kBrowsing}, Row{S::kCheckout, A::kSearch, S::kBrowsing},
        Row{S::kCheckout, A::kShowCart, S::kCart}, Row{S::kCheckout, A::kCustomize, S::kDetails},
        Row{S::kCheckout, A::kCheckout, S::kCheckout}, Row{S::kCheckout, A::kConfirmPayment, S::kPaying},
        Row{S::kCheckout, A::kCancelOrder, S::kAttract}, Row{S::kCheckout, A::kBack, S::kCart},
        Row{S::kCheckout, A::kSuggestedAction, S::kCheckout}, Row{S::kCheckout, A::kKeepGoing, S::kCheckout},
        Row{S::kCheckout, A::kDone, S::kCheckout},

        Row{S::kPaying, A::kStart, S::kPaying}, Row{S::kPaying, A::kSelectItem, S::kPaying},
        Row{S::kPaying, A::kBrowseCategory, S::kPaying}, Row{S::kPaying, A::kSearch, S::kPaying},
        Row{S::kPaying, A::kShowCart, S::kPaying}, Row{S::kPaying, A::kCustomize, S::kPaying},
        Row{S::kPaying, A::kCheckout, S::kPaying}, Row{S::kPaying, A::kConfirmPayment, S::kPaying},
        Row{S::kPaying, A::kCancelOrder, S::kPaying}, Row{S::kPaying, A::kBack, S::kPaying},
        Row{S::kPaying, A::kSuggestedAction, S::kPaying}, Row{S::kPaying, A::kKeepGoing, S::kPaying},
        Row{S::kPaying, A::kDone, S::kPaying},

        Row{S::kPaid, A::kStart, S::kBrowsing}, Row{S::kPaid, A::kSelectItem, S::kPaid},
        Row{S::kPaid, A::kBrowseCategory, S::kPaid}, Row{S::kPaid, A::kSearch, S::kPaid},
        Row{S::kPaid, A::kShowCart, S::kPaid}, Row{S::kPaid, A::kCustomize, S::kPaid},
        Row{S::kPaid, A::kCheckout, S::kPaid}, Row{S::kPaid, A::kConfirmPayment, S::kPaid},
        Row{S::kPaid, A::kCancelOrder, S::kPaid}, Row{S::kPaid, A::kBack, S::kPaid},
        Row{S::kPaid, A::kSuggestedAction, S::kPaid}, Row{S::kPaid, A::kKeepGoing, S::kPaid},
        Row{S::kPaid, A::kDone, S::kAttract},

        Row{S::kError, A::kStart, S::kError}, Row{S::kError, A::kSelectItem, S::kError},
        Row{S::kError, A::kBrowseCategory, S::kError}, Row{S::kError, A::kSearch, S::kError},
        Row{S::kError, A::kShowCart, S::kError}, Row{S::kError, A::kCustomize, S::kError},
        Row{S::kError, A::kCheckout, S::kError}, Row{S::kError, A::kConfirmPayment, S::kError},
        Row{S::kError, A::kCancelOrder, S::kError}, Row{S::kError, A::kBack, S::kError},
        Row{S::kError, A::kSuggestedAction, S::kError}, Row{S::kError, A::kKeepGoing, S::kError},
        Row{S::kError, A::kDone, S::kError}));

TEST(Session, PersonDetectedStartsOneAndPublishesInOrder) {
  Kiosk kiosk;
  messages::PersonDetected person;
  person.estimated_party_size = 2;
  const Transition transition = kiosk.Send(person, Source::kVision);
  ASSERT_EQ(transition.effects.size(), 2);
  EXPECT_EQ(transition.effects[0].kind, EffectKind::kSessionStarted);
  EXPECT_EQ(transition.effects[1].kind, EffectKind::kUiUpdate);
  EXPECT_EQ(kiosk.state_.ui.layout_mode, "hero_grid");
  EXPECT_THAT(kiosk.Components(), ElementsAre("CategoryBar", "HeroItem", "ItemGrid", "CartSummary"));
  EXPECT_EQ(kiosk.state_.party_size, 2);
}

TEST(Session, CartPricesComeFromTheMenu) {
  Kiosk kiosk;
  const Transition first = kiosk.Cart(CartActionKind::kAdd, 101, 2, {"No Onions", "Extra Cheese"});
  EXPECT_EQ(kiosk.Count(first, EffectKind::kUiUpdate), 1);
  EXPECT_TRUE(kiosk.state_.cart.empty()) << "nothing is in the cart before the menu has been asked";
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 1);
  EXPECT_EQ(kiosk.state_.cart[0].unit_price, 1449);
  EXPECT_THAT(kiosk.state_.cart[0].customizations, ElementsAre("Extra Cheese", "No Onions"));
  EXPECT_EQ(TotalsOf(kiosk.state_.cart, 0).total, 2898);
}

TEST(Session, TaxIsRoundedHalfUp) {
  EXPECT_EQ(TotalsOf({CartLine{1, 1, "x", "", 50, 1, {}, ""}}, 50000).tax, 3);
  EXPECT_EQ(TotalsOf({CartLine{1, 1, "x", "", 1299, 1, {}, ""}}, 82500).tax, 107);
  EXPECT_EQ(TotalsOf({CartLine{1, 1, "x", "", 49, 1, {}, ""}}, 10000).tax, 0);
}

TEST(Session, SoldOutAndUnknownAndWrongCustomisationsAreSaidAndNotAdded) {
  Kiosk kiosk;
  kiosk.items_[201].available = false;
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), ElementsAre("ITEM_OUT_OF_STOCK"));
  EXPECT_THAT(kiosk.Components(), Contains("Notice"));
  kiosk.Wait(absl::Seconds(5));
  kiosk.Cart(CartActionKind::kAdd, 999);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), ElementsAre("MENU_NOT_FOUND"));
  kiosk.Wait(absl::Seconds(5));
  kiosk.Cart(CartActionKind::kAdd, 101, 1, {"Gold Leaf"});
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), ElementsAre("INVALID_CUSTOMIZATION"));
  kiosk.Cart(CartActionKind::kAdd, 101);
  kiosk.FailCommand(EffectKind::kMenuDetails, ErrorCode::kTimeout);
  EXPECT_THAT(kiosk.Notices(), ElementsAre("TIMEOUT"));
  EXPECT_TRUE(kiosk.state_.cart.empty());
}

TEST(Session, WhatFailedInARowOfTouchesIsSeen) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101);
  kiosk.FailCommand(EffectKind::kMenuDetails, ErrorCode::kTimeout);
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), ElementsAre("TIMEOUT", "ADDED"));
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.FailCommand(EffectKind::kMenuDetails, ErrorCode::kTimeout);
  EXPECT_THAT(kiosk.Notices(), ElementsAre("TIMEOUT")) << "once, though it happened twice";
  kiosk.Wait(absl::Seconds(5));
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), ElementsAre("ADDED"));
}

TEST(Session, ActionsOnTheCartKeepTheirOrderThoughTheMenuIsSlow) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101, 1);
  kiosk.Cart(CartActionKind::kUpdateQty, 101, 3);
  kiosk.Cart(CartActionKind::kAdd, 201, 2);
  kiosk.Cart(CartActionKind::kRemove, 201, 1);
  kiosk.Touch(TouchAction::kCheckout);
  kiosk.Touch(TouchAction::kConfirmPayment);
  EXPECT_TRUE(kiosk.state_.cart.empty());
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaying);
  EXPECT_EQ(kiosk.state_.order.total, 3 * 1299 + 599);
}

TEST(Session, ALineNamedByItsIdIsMeantThoughALaterOneHasTheSameItem) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101, 3);
  kiosk.Cart(CartActionKind::kAdd, 101, 1, {"Extra Cheese"});
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 2);
  const int64_t plain = kiosk.state_.cart[0].line_id;
  messages::CartAction action;
  action.action = CartActionKind::kUpdateQty;
  action.item_id = 101;
  action.quantity = 2;
  action.line_id = plain;
  kiosk.Send(action);
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.cart[0].quantity, 2);
  EXPECT_EQ(kiosk.state_.cart[1].quantity, 1);
  action.action = CartActionKind::kRemove;
  action.quantity.reset();
  kiosk.Send(action);
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 1);
  EXPECT_THAT(kiosk.state_.cart[0].customizations, ElementsAre("Extra Cheese"));
  // It is gone: not the other line of that item, which nobody meant.
  kiosk.Send(action);
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.cart.size(), 1);
  EXPECT_THAT(kiosk.Notices(), ElementsAre("NOT_IN_CART"));
}

TEST(Session, ALineOfTheCartIsLookedAtAgainAndChanged) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101, 2, {"Extra Cheese"});
  kiosk.Cart(CartActionKind::kAdd, 101, 1);
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 2);
  const int64_t cheese = kiosk.state_.cart[0].line_id;
  kiosk.Touch(TouchAction::kSelectItem, [&](auto& t) {
    t.item_id = 101;
    t.line_id = cheese;
  });
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.state, SessionState::kDetails);
  EXPECT_THAT(kiosk.state_.focus.customizations, ElementsAre("Extra Cheese"));
  EXPECT_THAT(kiosk.state_.ui.suggested_actions, Not(Contains("Add to cart")));
  kiosk.Touch(TouchAction::kBack);
  EXPECT_EQ(kiosk.state_.state, SessionState::kCart) << "from where it was looked at";
  kiosk.Touch(TouchAction::kSelectItem, [&](auto& t) {
    t.item_id = 101;
    t.line_id = cheese;
  });
  kiosk.Settle();
  // Choices are the screen's until they are said to be the line's.
  kiosk.Touch(TouchAction::kCustomize, [](auto& t) {
    t.item_id = 101;
    t.customizations = {"No Onions"};
  });
  kiosk.Settle();
  EXPECT_THAT(kiosk.state_.cart[0].customizations, ElementsAre("Extra Cheese"));
  kiosk.Touch(TouchAction::kCustomize, [&](auto& t) {
    t.item_id = 101;
    t.customizations = {"No Onions"};
    t.note = "well done";
    t.line_id = cheese;
  });
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.state, SessionState::kCart);
  ASSERT_EQ(kiosk.state_.cart.size(), 2);
  EXPECT_EQ(kiosk.state_.cart[0].line_id, cheese);
  EXPECT_EQ(kiosk.state_.cart[0].quantity, 2);
  EXPECT_THAT(kiosk.state_.cart[0].customizations, ElementsAre("No Onions"));
  EXPECT_EQ(kiosk.state_.cart[0].note, "well done");
  EXPECT_THAT(kiosk.state_.cart[1].customizations, IsEmpty());

  // A line that is not there: nothing is shown, changed or added.
  for (const TouchAction action : {TouchAction::kSelectItem, TouchAction::kCustomize}) {
    kiosk.Touch(action, [](auto& t) {
      t.item_id = 101;
      t.line_id = 77;
    });
    kiosk.Settle();
    EXPECT_THAT(kiosk.Notices(), ElementsAre("NOT_IN_CART"));
    EXPECT_EQ(kiosk.state_.state, SessionState::kCart);
    EXPECT_EQ(kiosk.state_.cart.size(), 2);
  }
  // Looked at as a dish again, it is added again.
  kiosk.Touch(TouchAction::kSelectItem, [](auto& t) { t.item_id = 101; });
  kiosk.Settle();
  EXPECT_THAT(kiosk.state_.ui.suggested_actions, Contains("Add to cart"));
}

TEST(Session, EqualLinesAreOneAndLimitsHold) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101, 60);
  kiosk.Cart(CartActionKind::kAdd, 101, 60);
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 1);
  EXPECT_EQ(kiosk.state_.cart[0].quantity, 60);
  EXPECT_THAT(kiosk.Notices(), Contains("CART_FULL"));
  kiosk.Cart(CartActionKind::kUpdateQty, 101, 0);
  kiosk.Settle();
  EXPECT_TRUE(kiosk.state_.cart.empty());
}

TEST(Session, SoldOutInTheCartIsSaidAtCheckoutAndHoldsUpTheConfirmation) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101);
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Settle();
  kiosk.items_[201].available = false;
  kiosk.items_[101].price = {1399, 2};
  kiosk.Touch(TouchAction::kCheckout);
  EXPECT_EQ(kiosk.state_.ui.layout_mode, "checkout") << "the screen does not wait for the menu";
  kiosk.Touch(TouchAction::kConfirmPayment);
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.state, SessionState::kCheckout) << "the customer has to see the new total first";
  EXPECT_THAT(kiosk.Notices(), Contains("ITEM_OUT_OF_STOCK"));
  EXPECT_THAT(kiosk.Notices(), Contains("PRICE_CHANGED"));
  ASSERT_EQ(kiosk.state_.cart.size(), 1);
  kiosk.Touch(TouchAction::kConfirmPayment);
  EXPECT_EQ(kiosk.state_.order.total, 1399);
}

TEST(Session, StaleAnswersDoNotChangeANewerScreen) {
  Kiosk kiosk;
  kiosk.Touch(TouchAction::kSearch, [](auto& t) { t.query = "cola"; });
  const Effect search = *kiosk.Find(EffectKind::kMenuSearch);
  kiosk.Touch(TouchAction::kSearch, [](auto& t) { t.query = "burger"; });
  CommandResult result;
  result.effect_id = search.id;
  result.search = messages::SearchResponse{{{201, "Iced Cola", {599, 2}, "", {}, true}}, 1};
  const Transition stale = kiosk.Result(result);
  EXPECT_TRUE(stale.effects.empty());
  EXPECT_TRUE(kiosk.state_.view.results.empty());
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.view.results.size(), 1);
  EXPECT_EQ(kiosk.state_.view.results[0].id, 101);
}

TEST(Session, AnInputIsAppliedOnce) {
  Kiosk kiosk;
  messages::CartAction add;
  add.item_id = 101;
  Origin origin;
  origin.sequence = 5;
  origin.msg_id = "once";
  kiosk.Send(add, origin);
  kiosk.Settle();
  EXPECT_EQ(kiosk.Send(add, origin).disposition, Disposition::kDuplicate) << "delivered again";
  origin.sequence = 6;
  EXPECT_EQ(kiosk.Send(add, origin).disposition, Disposition::kDuplicate) << "stored twice by its sender";
  EXPECT_TRUE(kiosk.state_.steps.empty());
  kiosk.now_ += absl::Minutes(11);
  origin.sequence = 7;
  EXPECT_EQ(kiosk.Send(add, origin).disposition, Disposition::kApplied) << "the same id on another day";
  origin.sequence = 1;
  origin.msg_id = "new stream";
  kiosk.now_ += absl::Seconds(1);
  EXPECT_EQ(kiosk.Send(add, origin).disposition, Disposition::kApplied) << "the stream was made anew";
}

TEST(Session, AnEndedSessionsLateInputIsAnsweredAndNotApplied) {
  Kiosk kiosk;
  kiosk.Touch(TouchAction::kStart);
  Origin late;
  late.session_id = kiosk.state_.session_id;
  kiosk.Touch(TouchAction::kCancelOrder);
  messages::CartAction add;
  add.item_id = 101;
  late.sequence = ++kiosk.sequence_;
  const Transition transition = kiosk.Send(add, late);
  EXPECT_EQ(transition.disposition, Disposition::kLate);
  EXPECT_EQ(kiosk.Count(transition, EffectKind::kUiUpdate), 1);
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
}

TEST(Session, IdleIsWarnedOfThenEnds) {
  Kiosk kiosk;
  kiosk.Touch(TouchAction::kStart);
  kiosk.Wait(absl::Seconds(45));
  EXPECT_THAT(kiosk.Components(), Contains("IdleWarning"));
  EXPECT_THAT(kiosk.state_.ui.suggested_actions, Contains("Keep going"));
  kiosk.Touch(TouchAction::kKeepGoing);
  EXPECT_THAT(kiosk.Components(), Not(Contains("IdleWarning")));
  kiosk.Wait(absl::Seconds(59));
  EXPECT_EQ(kiosk.state_.state, SessionState::kBrowsing);
  kiosk.Wait(absl::Seconds(1));
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
  const Effect* ended = kiosk.Find(EffectKind::kSessionEnded);
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->payload, R"({"event":"session_ended","reason":"timeout","duration_seconds":105.0})");
}

TEST(Session, APersonWhoLeftMayComeBack) {
  Kiosk kiosk;
  kiosk.Send(messages::PersonDetected{}, Source::kVision);
  kiosk.Send(messages::PersonLeft{}, Source::kVision);
  kiosk.Wait(absl::Seconds(7));
  kiosk.Send(messages::PersonDetected{}, Source::kVision);
  kiosk.Wait(absl::Seconds(7));
  EXPECT_EQ(kiosk.state_.state, SessionState::kBrowsing);
  kiosk.Send(messages::PersonLeft{}, Source::kVision);
  kiosk.Wait(absl::Seconds(8));
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
}

TEST(Session, WhoIsStillThereKeepsTheCartThatTheCameraGaveUp) {
  Kiosk kiosk;
  kiosk.Send(messages::PersonDetected{}, Source::kVision);
  kiosk.Cart(CartActionKind::kAdd, 101, 1);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Components(), Not(Contains("IdleWarning")));
  kiosk.Send(messages::PersonLeft{}, Source::kVision);
  EXPECT_THAT(kiosk.Components(), Contains("IdleWarning"));
  EXPECT_THAT(json::Encode(kiosk.state_.ui), HasSubstr(R"("seconds":8)"));
  kiosk.Wait(absl::Seconds(7));
  kiosk.Touch(messages::TouchAction::kKeepGoing);
  EXPECT_THAT(kiosk.Components(), Not(Contains("IdleWarning")));
  kiosk.Wait(absl::Seconds(44));
  EXPECT_EQ(kiosk.state_.state, SessionState::kBrowsing);
  EXPECT_EQ(kiosk.state_.cart.size(), 1U);
}

TEST(Payment, PaidMeansCompletedLedReceiptAndOrderNumber) {
  Kiosk kiosk;
  kiosk.ToPaying();
  const Effect* process = kiosk.Find(EffectKind::kPaymentProcess);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(process->idempotency_key, absl::StrCat(kiosk.state_.order.order_id, ":1"));
  const Transition paid = kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kSuccess);
  EXPECT_EQ(kiosk.Count(paid, EffectKind::kOrderCompleted), 1);
  EXPECT_EQ(kiosk.Count(paid, EffectKind::kPrint), 1);
  EXPECT_EQ(kiosk.Count(paid, EffectKind::kLed), 1);
  EXPECT_THAT(kiosk.Components(), ElementsAre("OrderNumber", "Receipt"));
  EXPECT_EQ(kiosk.state_.order.order_number, "A1");
  kiosk.FailCommand(EffectKind::kPrint, ErrorCode::kHardwareError);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaid) << "no paper does not undo a payment";
  EXPECT_THAT(kiosk.Components(), Contains("Notice"));
  kiosk.Wait(absl::Seconds(15));
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
  EXPECT_THAT(kiosk.Find(EffectKind::kSessionEnded)->payload, HasSubstr("\"completed\""));
}

TEST(Payment, DeclinedIsTriedAgainAsTheSameOrderAndAChangedCartIsAnother) {
  Kiosk kiosk;
  kiosk.ToPaying();
  const std::string order_id = kiosk.state_.order.order_id;
  kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kFailed, "PAYMENT_DECLINED");
  EXPECT_EQ(kiosk.state_.state, SessionState::kCheckout);
  EXPECT_THAT(kiosk.Notices(), ElementsAre("PAYMENT_DECLINED"));
  kiosk.Touch(TouchAction::kConfirmPayment);
  EXPECT_EQ(kiosk.state_.order.order_id, order_id);
  EXPECT_EQ(kiosk.Find(EffectKind::kPaymentProcess)->idempotency_key, order_id + ":2");
  kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kFailed, "PAYMENT_DECLINED");
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Settle();
  kiosk.Touch(TouchAction::kConfirmPayment);
  EXPECT_NE(kiosk.state_.order.order_id, order_id);
  EXPECT_EQ(kiosk.state_.order.attempt, 1);
}

// The customer reads the checkout for a while before he taps.
class Confirmation : public ::testing::Test {
 protected:
  void SetUp() override {
    kiosk_.Cart(CartActionKind::kAdd, 101);
    kiosk_.Cart(CartActionKind::kAdd, 201);
    kiosk_.Touch(TouchAction::kCheckout);
    kiosk_.Settle();
    ASSERT_TRUE(kiosk_.state_.verified);
    kiosk_.Wait(absl::Seconds(5));
  }
  Kiosk kiosk_;
};

TEST_F(Confirmation, AsksTheMenuForEveryLineAtOnceAndThenPays) {
  const Transition confirm = kiosk_.Touch(TouchAction::kConfirmPayment);
  EXPECT_EQ(kiosk_.Count(confirm, EffectKind::kMenuDetails), 2);
  EXPECT_EQ(kiosk_.state_.state, SessionState::kCheckout);
  EXPECT_FALSE(kiosk_.state_.verified) << "says that another screen follows";
  kiosk_.Touch(TouchAction::kConfirmPayment);  // an impatient finger
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kPaying);
  EXPECT_EQ(kiosk_.state_.order.attempt, 1);
  EXPECT_EQ(kiosk_.state_.order.total, 1299 + 599);
}

TEST_F(Confirmation, ChargesNothingForWhatIsSoldOutMeanwhile) {
  kiosk_.items_[201].available = false;
  kiosk_.Touch(TouchAction::kConfirmPayment);
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kCheckout);
  EXPECT_FALSE(kiosk_.Has(EffectKind::kPaymentProcess));
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("ITEM_OUT_OF_STOCK"));
  EXPECT_EQ(kiosk_.state_.cart.size(), 1);
  EXPECT_TRUE(kiosk_.state_.verified);
  kiosk_.Touch(TouchAction::kConfirmPayment);
  EXPECT_EQ(kiosk_.state_.order.total, 1299);
}

TEST_F(Confirmation, ChargesNoPriceThatWasNotShown) {
  kiosk_.items_[201].price = {649, 2};
  kiosk_.Touch(TouchAction::kConfirmPayment);
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kCheckout);
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("PRICE_CHANGED"));
}

TEST_F(Confirmation, ChargesNothingThatCannotBeChecked) {
  kiosk_.Touch(TouchAction::kConfirmPayment);
  kiosk_.FailCommand(EffectKind::kMenuDetails, ErrorCode::kUnavailable);
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kCart);
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("UNAVAILABLE"));
}

TEST_F(Confirmation, IsTakenBackByGoingBack) {
  kiosk_.Touch(TouchAction::kConfirmPayment);
  kiosk_.Touch(TouchAction::kBack);
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kCart);
}

TEST_F(Confirmation, WhatIsAddedBehindItIsRefusedAndSaid) {
  kiosk_.Touch(TouchAction::kConfirmPayment);
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Settle();
  EXPECT_EQ(kiosk_.state_.state, SessionState::kPaying);
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("PAYMENT_IN_PROGRESS"));
  EXPECT_EQ(kiosk_.state_.cart.size(), 2);
  EXPECT_EQ(kiosk_.state_.cart[0].quantity, 1);
}

TEST(Payment, NoticesOfAPaymentEndWithIt) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.Touch(TouchAction::kShowCart);
  ASSERT_THAT(kiosk.Notices(), ElementsAre("PAYMENT_IN_PROGRESS"));
  kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kFailed, "PAYMENT_DECLINED");
  EXPECT_THAT(kiosk.Notices(), ElementsAre("PAYMENT_DECLINED"));

  Kiosk other;
  other.ToPaying();
  other.Touch(TouchAction::kShowCart);
  other.FailCommand(EffectKind::kPaymentProcess, ErrorCode::kTimeout);
  other.FailCommand(EffectKind::kPaymentStatus, ErrorCode::kPaymentUnknown);
  ASSERT_EQ(other.state_.state, SessionState::kError);
  EXPECT_THAT(other.Components(), ElementsAre("ErrorMessage"));
}

// The command lives in a stream in memory: whoever dies together with nats-server never gets it.
TEST(Printing, IsAskedForUntilItIsAnswered) {
  Kiosk kiosk;
  kiosk.ToPaid();
  const Effect first = *kiosk.Find(EffectKind::kPrint);
  std::vector<int64_t> seconds;
  const absl::Time paid = kiosk.now_;
  while (kiosk.now_ - paid < absl::Minutes(2)) {
    kiosk.now_ = kiosk.machine_.NextTick(kiosk.state_);
    const Transition tick = kiosk.Apply({Tick{}, std::nullopt, {}});
    for (const Effect& effect : tick.effects) {
      if (effect.kind != EffectKind::kPrint) continue;
      EXPECT_EQ(effect.id, first.id);
      EXPECT_EQ(effect.idempotency_key, first.idempotency_key);
      EXPECT_EQ(effect.payload, first.payload);
      EXPECT_TRUE(tick.persist) << "a successor has to know";
      seconds.push_back(absl::ToInt64Seconds(kiosk.now_ - paid));
    }
  }
  EXPECT_THAT(seconds, ElementsAre(5, 15, 35, 65, 95, 125)) << "and the session has long ended";
  kiosk.Settle();
  EXPECT_EQ(kiosk.prints_.size(), 1);
  EXPECT_FALSE(kiosk.Has(EffectKind::kPrint));
  EXPECT_EQ(kiosk.machine_.NextTick(kiosk.state_), absl::InfiniteFuture());
}

TEST(Printing, IsTriedAgainWhenNobodyWasThereAndFailsInTheEnd) {
  Config config;
  config.paid_timeout = absl::Minutes(10);
  Kiosk kiosk(config);
  kiosk.ToPaid();
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kTimeout}) {
    kiosk.FailCommand(EffectKind::kPrint, code);
    EXPECT_EQ(kiosk.state_.order.print, PrintStatus::kPending);
    EXPECT_TRUE(kiosk.Has(EffectKind::kPrint));
  }
  kiosk.Wait(absl::Seconds(299));
  EXPECT_EQ(kiosk.state_.order.print, PrintStatus::kPending);
  kiosk.Wait(absl::Seconds(1));
  EXPECT_EQ(kiosk.state_.order.print, PrintStatus::kFailed);
  EXPECT_THAT(kiosk.Components(), Contains("Notice"));
  EXPECT_FALSE(kiosk.Has(EffectKind::kPrint));
}

TEST(Printing, GoesOnAfterARestartHoweverLate) {
  Kiosk kiosk;
  kiosk.ToPaid();
  kiosk.now_ += absl::Hours(2);
  kiosk.Restart();
  ASSERT_TRUE(kiosk.Has(EffectKind::kPrint));
  EXPECT_EQ(kiosk.Find(EffectKind::kPrint)->until_ms, absl::ToUnixMillis(kiosk.now_ + absl::Minutes(1)));
  kiosk.FailCommand(EffectKind::kPrint, ErrorCode::kUnavailable);
  kiosk.Wait(absl::Seconds(5));
  kiosk.Settle();
  EXPECT_EQ(kiosk.prints_.size(), 1);
}

TEST(Payment, ALostAnswerIsAskedForAndNeverChargedAgain) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.FailCommand(EffectKind::kPaymentProcess, ErrorCode::kTimeout);
  EXPECT_FALSE(kiosk.Has(EffectKind::kPaymentProcess));
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kPending);
  kiosk.Wait(absl::Seconds(1));
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kSuccess);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaid);
}

TEST(Payment, ANeverSeenRequestIsSentAgainUnderItsOrderId) {
  Kiosk kiosk;
  kiosk.ToPaying();
  const std::string key = kiosk.Find(EffectKind::kPaymentProcess)->idempotency_key;
  kiosk.Restart();
  EXPECT_FALSE(kiosk.Has(EffectKind::kPaymentProcess)) << "the status comes first";
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kNone);
  ASSERT_TRUE(kiosk.Has(EffectKind::kPaymentProcess));
  EXPECT_EQ(kiosk.Find(EffectKind::kPaymentProcess)->idempotency_key, key);
}

TEST(Payment, AnUnreachableAgentEndsInAnErrorScreenThatResolvesItself) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.FailCommand(EffectKind::kPaymentProcess, ErrorCode::kUnavailable);
  for (int i = 0; i < 16 && kiosk.state_.state == SessionState::kPaying; ++i) {
    kiosk.FailCommand(EffectKind::kPaymentStatus, ErrorCode::kUnavailable);
    kiosk.Wait(absl::Seconds(1));
  }
  EXPECT_EQ(kiosk.state_.state, SessionState::kError);
  EXPECT_THAT(kiosk.Components(), Contains("ErrorMessage"));
  kiosk.now_ += absl::Seconds(20);  // the request's deadline has passed: nobody starts it any more
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kNone);
  EXPECT_EQ(kiosk.state_.state, SessionState::kCheckout);
  EXPECT_EQ(kiosk.state_.cart.size(), 1);
}

TEST(Payment, AnUnknownOutcomeIsAskedForAfterTheSessionHasEnded) {
  Kiosk kiosk;
  kiosk.ToUnknown();
  const std::string order_id = kiosk.state_.order.order_id;
  const std::string session_id = kiosk.state_.session_id;
  for (int i = 0; i < 30 && kiosk.state_.state == SessionState::kError; ++i) {
    kiosk.Wait(absl::Seconds(3));
    if (kiosk.Has(EffectKind::kPaymentStatus)) {
      kiosk.FailCommand(EffectKind::kPaymentStatus, ErrorCode::kPaymentUnknown);
    }
  }
  ASSERT_EQ(kiosk.state_.state, SessionState::kAttract);
  ASSERT_EQ(kiosk.state_.background.size(), 1);
  kiosk.Restart();
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kSuccess);
  EXPECT_TRUE(kiosk.state_.background.empty());
  const Effect* completed = kiosk.Find(EffectKind::kOrderCompleted);
  ASSERT_NE(completed, nullptr);
  EXPECT_EQ(completed->order_id, order_id);
  EXPECT_EQ(completed->session_id, session_id);
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
}

TEST(Payment, CancellingAsksThePaymentFirst) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.Touch(TouchAction::kCancelOrder);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaying);
  kiosk.AnswerPayment(EffectKind::kPaymentCancel, PaymentStatus::kSuccess);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaid) << "charged meanwhile";

  Kiosk other;
  other.ToPaying();
  other.Touch(TouchAction::kCancelOrder);
  other.AnswerPayment(EffectKind::kPaymentCancel, PaymentStatus::kCancelled);
  EXPECT_EQ(other.state_.state, SessionState::kAttract);
  EXPECT_THAT(other.Find(EffectKind::kSessionEnded)->payload, HasSubstr("\"cancelled\""));

  Kiosk back;
  back.ToPaying();
  back.Touch(TouchAction::kBack);
  back.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kCancelled);
  EXPECT_EQ(back.state_.state, SessionState::kCheckout);
}

TEST(Payment, ALostCancellationIsSentAgain) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.Touch(TouchAction::kCancelOrder);
  kiosk.FailCommand(EffectKind::kPaymentCancel, ErrorCode::kUnavailable);
  EXPECT_FALSE(kiosk.Has(EffectKind::kPaymentCancel));
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kPending);
  kiosk.AnswerPayment(EffectKind::kPaymentCancel, PaymentStatus::kCancelled);
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
}

TEST(Payment, ALaterAttemptIsNotJudgedByTheOutcomeOfTheOneBefore) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kFailed, "PAYMENT_DECLINED");
  kiosk.Touch(TouchAction::kConfirmPayment);
  kiosk.FailCommand(EffectKind::kPaymentProcess, ErrorCode::kUnavailable);
  kiosk.AnswerPayment(EffectKind::kPaymentStatus, PaymentStatus::kFailed, "PAYMENT_DECLINED");
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaying);
  EXPECT_TRUE(kiosk.Has(EffectKind::kPaymentProcess)) << "sent again, with the key of the second attempt";
}

TEST(Payment, LeavingWhilePayingDoesNotEndTheSession) {
  Kiosk kiosk;
  kiosk.ToPaying();
  kiosk.Send(messages::PersonLeft{}, Source::kVision);
  kiosk.Wait(absl::Seconds(60));
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaying);
  kiosk.AnswerPayment(EffectKind::kPaymentProcess, PaymentStatus::kSuccess);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaid);
  kiosk.Wait(absl::Seconds(8));
  EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
}

TEST(Voice, IntentsActOnTheCart) {
  Kiosk kiosk;
  kiosk.Intend(IntentType::kAddToCart,
               {{101, "Volcano Burger", 2, {"Extra Cheese"}, std::nullopt}, {201, "", 1, {}, {}}});
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 2);
  EXPECT_EQ(kiosk.state_.cart[0].unit_price, 1449);
  kiosk.Intend(IntentType::kModifyItem, {{101, "", 1, {"No Onions"}, std::nullopt}});
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.cart[0].unit_price, 1299);
  kiosk.Intend(IntentType::kUpdateQuantity, {{201, "", 4, {}, std::nullopt}});
  kiosk.Intend(IntentType::kRemoveFromCart, {{101, "", 0, {}, std::nullopt}});
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 1);
  EXPECT_EQ(kiosk.state_.cart[0].quantity, 4);
  kiosk.Intend(IntentType::kCheckout);
  kiosk.Settle();
  kiosk.Intend(IntentType::kConfirm);
  EXPECT_EQ(kiosk.state_.state, SessionState::kPaying);
  kiosk.Intend(IntentType::kDeny);
  EXPECT_TRUE(kiosk.Has(EffectKind::kPaymentCancel));
}

TEST(Voice, AnItemThatIsNotGroundedIsSearchedForAndDietsAreKept) {
  Kiosk kiosk;
  messages::Intent intent;
  intent.intent_type = IntentType::kAddToCart;
  intent.entities.item = "burger";
  intent.entities.modifiers = {"vegetarian", "no nuts", "extra cheese"};
  kiosk.Send(intent, Source::kVoice);
  const Effect* search = kiosk.Find(EffectKind::kMenuSearch);
  ASSERT_NE(search, nullptr);
  EXPECT_THAT(search->payload, HasSubstr(R"("query":"burger")"));
  EXPECT_THAT(search->payload, HasSubstr(R"("dietary_filters":["vegetarian"])"));
  EXPECT_THAT(search->payload, HasSubstr(R"("exclude_allergens":["nuts"])"));
}

TEST(Voice, AllergiesAndDietsOfAnyIntentHoldForTheSession) {
  Kiosk kiosk;
  messages::Intent intent;
  intent.intent_type = IntentType::kGreet;
  intent.entities.exclude_allergens = {"dairy", "dairy"};
  intent.entities.dietary_filters = {"vegetarian"};
  kiosk.Send(intent, Source::kVoice);
  EXPECT_THAT(kiosk.state_.exclude_allergens, ElementsAre("dairy"));
  EXPECT_THAT(kiosk.state_.dietary_filters, ElementsAre("vegetarian"));
  kiosk.Settle();
  kiosk.Intend(IntentType::kAddToCart, {{101, "Volcano Burger", 1, {}, std::nullopt}});
  kiosk.Settle();
  EXPECT_THAT(kiosk.Notices(), Contains("ALLERGEN"));
  kiosk.Intend(IntentType::kStartOver);
  EXPECT_THAT(kiosk.state_.exclude_allergens, ElementsAre("dairy"));
  EXPECT_THAT(kiosk.state_.dietary_filters, ElementsAre("vegetarian"));
  kiosk.Intend(IntentType::kCancelOrder);
  EXPECT_THAT(kiosk.state_.exclude_allergens, IsEmpty());
  EXPECT_THAT(kiosk.state_.dietary_filters, IsEmpty());
}

TEST(Voice, WhatAQuestionAsksForHoldsForItsAnswerAlone) {
  Kiosk kiosk;
  messages::Intent intent;
  intent.intent_type = IntentType::kSearchMenu;
  intent.raw_text = "what is gluten free";
  intent.entities.asked_dietary = {"gluten_free"};
  kiosk.Send(intent, Source::kVoice);
  const Effect* search = kiosk.Find(EffectKind::kMenuSearch);
  ASSERT_NE(search, nullptr);
  EXPECT_THAT(search->payload, HasSubstr(R"("query":"")"));
  EXPECT_THAT(search->payload, HasSubstr(R"("dietary_filters":["gluten_free"])"));
  EXPECT_THAT(json::Encode(kiosk.state_.ui), HasSubstr("Results for \\\"gluten free\\\""));
  EXPECT_THAT(kiosk.state_.dietary_filters, IsEmpty());
  kiosk.Settle();

  intent.entities.item = "gluten free bread";
  kiosk.Send(intent, Source::kVoice);
  EXPECT_THAT(json::Encode(kiosk.state_.ui), HasSubstr("Results for \\\"gluten free bread\\\""));
  kiosk.Settle();

  // Of a category: its dishes alone.
  intent.entities.item = "Burgers";
  kiosk.Send(intent, Source::kVoice);
  search = kiosk.Find(EffectKind::kMenuSearch);
  ASSERT_NE(search, nullptr);
  EXPECT_THAT(search->payload, HasSubstr(R"("dietary_filters":["gluten_free"])"));
  EXPECT_THAT(kiosk.state_.view.category, "burgers");
  EXPECT_THAT(json::Encode(kiosk.state_.ui), HasSubstr("Results for \\\"gluten free burgers\\\""));
  kiosk.Settle();

  kiosk.Touch(messages::TouchAction::kBack);
  EXPECT_THAT(kiosk.state_.view.dietary_filters, IsEmpty());
}

TEST(Voice, ASnapshotTellsTheAllergiesAndDietsOfTheSession) {
  Kiosk kiosk;
  messages::Intent intent;
  intent.intent_type = IntentType::kGreet;
  intent.entities.exclude_allergens = {"peanuts"};
  intent.entities.dietary_filters = {"vegan"};
  kiosk.Send(intent, Source::kVoice);
  EXPECT_THAT(SnapshotOf(kiosk.state_).exclude_allergens, ElementsAre("peanuts"));
  EXPECT_THAT(SnapshotOf(kiosk.state_).dietary_filters, ElementsAre("vegan"));
  kiosk.Settle();
  kiosk.Intend(IntentType::kCancelOrder);
  EXPECT_THAT(SnapshotOf(kiosk.state_).exclude_allergens, IsEmpty());
  EXPECT_THAT(SnapshotOf(kiosk.state_).dietary_filters, IsEmpty());
}

TEST(Voice, TypedTextIsASearchUnlessAVoiceAgentReadsIt) {
  Kiosk alone;
  alone.Send(messages::TextInput{"burger"});
  alone.Settle();
  EXPECT_EQ(alone.state_.state, SessionState::kBrowsing);
  Config config;
  config.text_is_search = false;
  Kiosk with_voice(config);
  with_voice.Send(messages::TextInput{"burger"});
  EXPECT_EQ(with_voice.state_.state, SessionState::kAttract);
  EXPECT_EQ(with_voice.Find(EffectKind::kMenuSearch), nullptr);
}

TEST(Screen, UpsellAndSuggestedActionsCanBeTapped) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101);
  kiosk.Touch(TouchAction::kShowCart);
  kiosk.Settle();
  EXPECT_THAT(kiosk.Components(), Contains("Upsell"));
  ASSERT_THAT(kiosk.state_.ui.suggested_actions, Contains("Add Iced Cola"));
  kiosk.Touch(TouchAction::kSuggestedAction, [](auto& t) { t.label = "Add Iced Cola"; });
  kiosk.Settle();
  EXPECT_EQ(kiosk.state_.cart.size(), 2);
  kiosk.Touch(TouchAction::kSelectItem, [](auto& t) { t.item_id = 101; });
  kiosk.Settle();
  kiosk.Touch(TouchAction::kCustomize, [](auto& t) {
    t.item_id = 101;
    t.customizations = {"Extra Cheese"};
  });
  kiosk.Touch(TouchAction::kSuggestedAction, [](auto& t) { t.label = "Add to cart"; });
  kiosk.Settle();
  ASSERT_EQ(kiosk.state_.cart.size(), 3);
  EXPECT_EQ(kiosk.state_.cart[2].unit_price, 1449);
  EXPECT_EQ(kiosk.state_.state, SessionState::kCart);
}

// A recommendation agent answers as in the kiosk specification, section 7.2: without prices.
TEST(Screen, AnUpsellHasTheMenusPriceAndPictureOrNone) {
  Kiosk kiosk;
  kiosk.menu_.items[201].image = "/img/cola.png";
  kiosk.suggestions_ = {{201, "Iced Cola", "Perfect to cool down with your burger!", "weather_hot", {}},
                        {999, "Secret Shake", "Psst!", "menu_pick", {}}};
  kiosk.Cart(CartActionKind::kAdd, 101);
  kiosk.Touch(TouchAction::kShowCart);
  kiosk.Settle();
  const auto upsell =
      absl::c_find_if(kiosk.state_.ui.components, [](const auto& c) { return c.type == "Upsell"; });
  ASSERT_NE(upsell, kiosk.state_.ui.components.end());
  EXPECT_EQ(upsell->data.text,
            R"({"suggestions":[{"item_id":201,"name":"Iced Cola","pitch":"Perfect to cool down with your )"
            R"(burger!","reason":"weather_hot","price":5.99,"image":"/img/cola.png"},{"item_id":999,)"
            R"("name":"Secret Shake","pitch":"Psst!","reason":"menu_pick","image":""}]})");
}

TEST(Screen, AnEmptySearchIsNothingFound) {
  std::vector<std::string> screens;
  for (const bool success : {true, false}) {
    Kiosk kiosk;
    kiosk.Touch(TouchAction::kSearch, [](auto& t) { t.query = "sushi"; });
    CommandResult result;
    result.effect_id = kiosk.Find(EffectKind::kMenuSearch)->id;
    if (success) {
      result.search = messages::SearchResponse{};
    } else {
      result.status = MakeError(ErrorCode::kMenuNotFound, "nothing matches");
    }
    kiosk.Result(result);
    EXPECT_THAT(kiosk.Notices(), ElementsAre("MENU_NOT_FOUND"));
    screens.push_back(json::Encode(kiosk.state_.ui));
  }
  EXPECT_EQ(screens[0], screens[1]);
}

class Combo : public ::testing::Test {
 protected:
  Combo() {
    kiosk_.suggestions_ = {{301, "Fries Combo", "Make it a combo and save $2!", "upsell_combo", {}}};
  }
  void Offer() {
    kiosk_.Touch(TouchAction::kShowCart);
    kiosk_.Settle();
    ASSERT_THAT(kiosk_.state_.ui.suggested_actions, Contains("Add Fries Combo"));
  }
  void Take() {
    ASSERT_NO_FATAL_FAILURE(Offer());
    kiosk_.Touch(TouchAction::kSuggestedAction, [](auto& t) { t.label = "Add Fries Combo"; });
    kiosk_.Settle();
  }
  std::vector<std::pair<int64_t, int64_t>> Lines() const {
    std::vector<std::pair<int64_t, int64_t>> lines;
    for (const CartLine& line : kiosk_.state_.cart) lines.emplace_back(line.item_id, line.quantity);
    return lines;
  }
  int64_t Total() const { return TotalsOf(kiosk_.state_.cart, 0).total; }

  Kiosk kiosk_;
};

TEST_F(Combo, TakesThePlaceOfItsPartsAndSavesWhatItSays) {
  kiosk_.Cart(CartActionKind::kAdd, 101, 2);
  kiosk_.Cart(CartActionKind::kAdd, 401);
  kiosk_.Cart(CartActionKind::kAdd, 201);
  kiosk_.Settle();
  const int64_t before = Total();
  ASSERT_NO_FATAL_FAILURE(Take());
  EXPECT_THAT(Lines(), ElementsAre(std::pair(101, 1), std::pair(301, 1)));
  EXPECT_EQ(Total(), before - 200);
  EXPECT_EQ(kiosk_.state_.messages.front().text,
            "1 x Fries Combo instead of Volcano Burger, Classic Fries, Iced Cola.");
}

TEST_F(Combo, TakesThePlaceOfTheOnePartThatIsThere) {
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Take());
  EXPECT_THAT(Lines(), ElementsAre(std::pair(301, 1)));
  EXPECT_EQ(Total(), 2147);
  kiosk_.Touch(TouchAction::kCheckout);
  kiosk_.Settle();
  kiosk_.Touch(TouchAction::kConfirmPayment);
  EXPECT_EQ(kiosk_.state_.order.total, 2147);
}

TEST_F(Combo, KeepsWhatWasChosenForItsParts) {
  kiosk_.Cart(CartActionKind::kAdd, 101, 1, {"Extra Cheese"});
  messages::CartAction fries;
  fries.item_id = 401;
  fries.note = "crispy, please";
  kiosk_.Send(fries);
  kiosk_.Cart(CartActionKind::kAdd, 201);
  kiosk_.Settle();
  const int64_t before = Total();
  ASSERT_NO_FATAL_FAILURE(Take());
  ASSERT_THAT(Lines(), ElementsAre(std::pair(301, 1)));
  EXPECT_THAT(kiosk_.state_.cart[0].customizations, ElementsAre("Extra Cheese"));
  EXPECT_EQ(kiosk_.state_.cart[0].note, "Classic Fries: crispy, please");
  EXPECT_EQ(Total(), before - 200) << "the cheese costs the same in the combo";
}

TEST_F(Combo, PrefersThePlainestLineOfAPart) {
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Cart(CartActionKind::kAdd, 101, 1, {"No Onions"});
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Take());
  ASSERT_THAT(Lines(), ElementsAre(std::pair(101, 1), std::pair(301, 1)));
  EXPECT_THAT(kiosk_.state_.cart[0].customizations, ElementsAre("No Onions"));
}

TEST_F(Combo, TellsTheKitchenWhatItsPartsAreWithout) {
  kiosk_.Cart(CartActionKind::kAdd, 101, 1, {"No Onions"});
  kiosk_.Cart(CartActionKind::kAdd, 401, 1, {"No Salt"});
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Take());
  ASSERT_THAT(Lines(), ElementsAre(std::pair(301, 1)));
  EXPECT_THAT(kiosk_.state_.cart[0].customizations, IsEmpty());
  EXPECT_EQ(kiosk_.state_.cart[0].note, "Volcano Burger: No Onions; Classic Fries: No Salt");
}

TEST_F(Combo, ThatCannotBeMadeAsThePartsWereOrderedIsRefused) {
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Cart(CartActionKind::kAdd, 401, 1, {"Cheese Sauce"});
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Take());
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("INVALID_CUSTOMIZATION"));
  EXPECT_THAT(Lines(), ElementsAre(std::pair(101, 1), std::pair(401, 1)));
  kiosk_.Cart(CartActionKind::kRemove, 401);
  messages::CartAction wordy;
  wordy.item_id = 401;
  wordy.note = std::string(500, 'x');
  kiosk_.Send(wordy);
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Take());
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("INVALID_CUSTOMIZATION"));
  EXPECT_THAT(Lines(), ElementsAre(std::pair(101, 1), std::pair(401, 1)));
}

TEST_F(Combo, ThatIsOrderedByItselfIsOneMoreLine) {
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Settle();
  ASSERT_NO_FATAL_FAILURE(Offer());
  kiosk_.Cart(CartActionKind::kAdd, 301);
  kiosk_.Settle();
  EXPECT_THAT(Lines(), ElementsAre(std::pair(101, 1), std::pair(301, 1)));
}

TEST_F(Combo, ThatIsSoldOutLeavesTheCartAsItIs) {
  kiosk_.Cart(CartActionKind::kAdd, 101);
  kiosk_.Settle();
  kiosk_.items_[301].available = false;
  ASSERT_NO_FATAL_FAILURE(Take());
  EXPECT_THAT(kiosk_.Notices(), ElementsAre("ITEM_OUT_OF_STOCK"));
  EXPECT_THAT(Lines(), ElementsAre(std::pair(101, 1)));
}

TEST(State, EncodesAndDecodesInTheMiddleOfEverything) {
  Kiosk kiosk;
  kiosk.Cart(CartActionKind::kAdd, 101, 2, {"Extra Cheese"});
  kiosk.Settle();
  kiosk.Touch(TouchAction::kSelectItem, [](auto& t) { t.item_id = 201; });
  kiosk.Settle();
  kiosk.Cart(CartActionKind::kAdd, 201);
  kiosk.Touch(TouchAction::kCheckout);
  const std::string text = json::Encode(kiosk.state_);
  absl::StatusOr<KioskState> read = json::Decode<KioskState>(text);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(json::Encode(*read), text);
}

TEST(OrderNumbers, AreShortAndCountTheDay) {
  EXPECT_EQ(SlotName(0), "A");
  EXPECT_EQ(SlotName(25), "Z");
  EXPECT_EQ(SlotName(26), "AA");
  EXPECT_EQ(SlotName(int64_t{27} * 26 - 1), "ZZ");
  EXPECT_EQ(SlotName(int64_t{27} * 26), "AAA");
}

// Random customers against agents that fail at random, with a crash now and then: what must never happen does
// not, and in the end everything that was promised has been done.
TEST(Property, RandomCustomersAndFailingAgents) {
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
    Kiosk kiosk;
    std::map<std::string, std::string> terminal;    // what was charged, by order id
    std::map<std::string, std::string> request_of;  // the lines and total that an order id stands for
    std::set<std::string> events;
    std::vector<std::pair<std::string, std::string>> sessions;  // kind, session id
    std::map<std::string, int> printed;

    const auto carry_out = [&](bool finish) {
      std::vector<int64_t> done;
      const std::vector<Effect> outbox = kiosk.state_.outbox;
      bool held_up = false;  // events leave one after another
      for (const Effect& effect : outbox) {
        if (!finish && pick(3) == 0) {
          held_up |= CompletesByItself(effect.kind);
          continue;
        }
        if (CompletesByItself(effect.kind)) {
          if (held_up) continue;
          if ((effect.kind == EffectKind::kSessionStarted || effect.kind == EffectKind::kSessionEnded) &&
              events.insert(effect.msg_id).second) {
            sessions.emplace_back(effect.kind == EffectKind::kSessionStarted ? "started" : "ended",
                                  effect.session_id);
          }
          if (effect.kind == EffectKind::kOrderCompleted) {
            EXPECT_TRUE(terminal.count(effect.order_id) == 1) << "completed without a charge";
            kiosk.completed_.insert(effect.msg_id);
          }
          CompleteEffects({effect.id}, kiosk.state_);
          continue;
        }
        CommandResult result;
        result.effect_id = effect.id;
        const bool fail = !finish && pick(4) == 0;
        switch (effect.kind) {
          case EffectKind::kMenuDetails:
            if (!fail && kiosk.items_.count(effect.item_id) == 1) {
              result.details = DetailsAnswer{kiosk.items_[effect.item_id]};
            }
            break;
          case EffectKind::kMenuSearch:
            if (!fail) result.search = messages::SearchResponse{};
            break;
          case EffectKind::kSuggest:
            if (!fail) result.suggest = messages::SuggestResponse{};
            break;
          case EffectKind::kPrint:
            if (fail) {
              result.status = MakeError(ErrorCode::kUnavailable, "no printer");
            } else {
              ++printed[effect.order_id];
            }
            break;
          case EffectKind::kPaymentProcess: {
            std::string& request = request_of[effect.order_id];
            if (request.empty()) request = effect.payload;
            EXPECT_EQ(request, effect.payload) << "one order id, two orders";
            const int how = pick(5);
            if (how < 3 && terminal.count(effect.order_id) == 0) terminal[effect.order_id] = effect.payload;
            messages::PaymentOutcome outcome;
            outcome.status =
                terminal.count(effect.order_id) == 1 ? PaymentStatus::kSuccess : PaymentStatus::kFailed;
            if (!fail) result.payment = outcome;
            break;
          }
          case EffectKind::kPaymentStatus:
          case EffectKind::kPaymentCancel: {
            messages::PaymentOutcome outcome;
            outcome.status = terminal.count(effect.order_id) == 1     ? PaymentStatus::kSuccess
                             : request_of.count(effect.order_id) == 1 ? PaymentStatus::kFailed
                                                                      : PaymentStatus::kNone;
            if (!fail) result.payment = outcome;
            break;
          }
          default:
            break;
        }
        if (!result.details && !result.search && !result.suggest && !result.payment &&
            effect.kind != EffectKind::kMenuList && effect.kind != EffectKind::kPrint) {
          result.status = MakeError(pick(2) == 0 ? ErrorCode::kTimeout : ErrorCode::kUnavailable, "lost");
        }
        kiosk.Result(std::move(result));
      }
    };

    for (int step = 0; step < 120; ++step) {
      switch (pick(8)) {
        case 0:
        case 1:
          kiosk.Touch(static_cast<TouchAction>(pick(13)), [&](messages::Touch& t) {
            t.item_id = pick(3) == 0 ? 999 : 101;
            t.query = "x";
            t.category = "drinks";
            if (!kiosk.state_.ui.suggested_actions.empty()) {
              t.label = kiosk.state_.ui.suggested_actions[static_cast<size_t>(
                  pick(static_cast<int>(kiosk.state_.ui.suggested_actions.size())))];
            }
          });
          break;
        case 2:
          kiosk.Cart(static_cast<CartActionKind>(pick(3)), pick(2) == 0 ? 101 : 201, pick(5));
          break;
        case 3:
          kiosk.Intend(static_cast<IntentType>(pick(18)),
                       {{pick(2) == 0 ? 101 : 201, "", pick(4), {}, std::nullopt}});
          break;
        case 4:
          kiosk.Wait(absl::Seconds(pick(12)));
          break;
        case 5:
          pick(2) == 0 ? kiosk.Send(messages::PersonLeft{}, Source::kVision)
                       : kiosk.Send(messages::PersonDetected{}, Source::kVision);
          break;
        case 6:
          kiosk.Touch(pick(2) == 0 ? TouchAction::kCheckout : TouchAction::kConfirmPayment);
          break;
        case 7:
          if (pick(3) == 0) kiosk.Restart();
          break;
      }
      carry_out(false);
      int64_t sum = 0;
      for (const CartLine& line : kiosk.state_.cart) {
        sum += line.quantity * (line.item_id == 101 ? 1299 : 599);
        ASSERT_GE(line.quantity, 1);
        ASSERT_LE(line.quantity, kMaxLineQuantity);
      }
      ASSERT_EQ(TotalsOf(kiosk.state_.cart, 0).total, sum);
      ASSERT_LE(kiosk.state_.outbox.size(), 300u);
    }
    // Everybody goes home, every agent works.
    for (int i = 0; i < 200; ++i) {
      carry_out(true);
      kiosk.Wait(absl::Seconds(5));
      if (kiosk.state_.state == SessionState::kAttract && kiosk.state_.outbox.empty() &&
          kiosk.state_.background.empty()) {
        break;
      }
    }
    EXPECT_EQ(kiosk.state_.state, SessionState::kAttract);
    EXPECT_THAT(kiosk.state_.outbox, IsEmpty());
    EXPECT_THAT(kiosk.state_.background, IsEmpty());
    EXPECT_EQ(kiosk.completed_.size(), terminal.size()) << "every charge is an order, every order a charge";
    EXPECT_EQ(printed.size(), terminal.size());
    for (size_t i = 0; i < sessions.size(); ++i) {
      EXPECT_EQ(sessions[i].first, i % 2 == 0 ? "started" : "ended");
      if (i % 2 == 1) {
        EXPECT_EQ(sessions[i].second, sessions[i - 1].second);
      }
    }
    EXPECT_EQ(sessions.size() % 2, 0u);
  }
}

// Kiosk specification, section 5.1.
TEST(DerivedIdTest, IsAUuidOfVersion4AndAlwaysTheSame) {
  const std::string id = DeriveUuid("3f0e", "session:1");
  EXPECT_THAT(id,
              testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(DeriveUuid("3f0e", "session:1"), id);
  EXPECT_NE(DeriveUuid("3f0e", "session:2"), id);
}

}  // namespace
}  // namespace arc::orchestrator
