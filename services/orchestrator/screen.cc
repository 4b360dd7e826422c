#include "services/orchestrator/screen.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/clock/clock.h"
#include "common/messages/components.h"

namespace arc::orchestrator {

namespace ui = messages::ui;

namespace {

using messages::TouchAction;

constexpr size_t kFeaturedItems = 12;

class Renderer {
 public:
  Renderer(const KioskState& state, const MenuView& menu, const Config& config, absl::Time now)
      : state_(state), menu_(menu), config_(config), now_(now) {}

  Screen Take() {
    for (const Message& message : state_.messages) {
      Add(ui::Notice{message.code, message.text, message.severity});
    }
    switch (state_.state) {
      case SessionState::kAttract:
        Attract();
        break;
      case SessionState::kBrowsing:
        Browsing();
        break;
      case SessionState::kDetails:
        Details();
        break;
      case SessionState::kCart:
        Cart();
        break;
      case SessionState::kCheckout:
        Checkout();
        break;
      case SessionState::kPaying:
        Paying();
        break;
      case SessionState::kPaid:
        Paid();
        break;
      case SessionState::kError:
        Error();
        break;
    }
    if (state_.idle_warned) {
      int64_t end_ms = state_.last_activity_ms + absl::ToInt64Milliseconds(config_.idle_timeout);
      if (state_.person_left_ms != 0) {
        end_ms =
            std::min(end_ms, state_.person_left_ms + absl::ToInt64Milliseconds(config_.person_left_grace));
      }
      const int64_t left = end_ms - absl::ToUnixMillis(now_);
      Add(ui::IdleWarning{std::max<int64_t>(1, (left + 999) / 1000),
                          FormatTimestamp(absl::FromUnixMillis(end_ms))});
      screen_.actions.insert(screen_.actions.begin(),
                             Action{"Keep going", TouchAction::kKeepGoing, 0, false});
    }
    for (const Action& action : screen_.actions) screen_.update.suggested_actions.push_back(action.label);
    return std::move(screen_);
  }

 private:
  template <class T>
  void Add(const T& component) {
    screen_.update.components.push_back({std::string(T::kType), json::Raw{json::Encode(component)}});
  }
  void Suggest(absl::string_view label, TouchAction touch) {
    screen_.actions.push_back({std::string(label), touch, 0, false});
  }
  Decimal Money(int64_t minor) const { return Decimal::FromMinor(minor, static_cast<int>(state_.exponent)); }

  // False: the menu as it is now has the item, sold out. What a search or a look at the details found may be
  // older than that.
  bool OnOffer(int64_t item_id) const {
    const auto found = menu_.items.find(item_id);
    return found == menu_.items.end() || found->second.available;
  }
  ui::HeroItem Card(const messages::SearchItem& item) const {
    return {item.id,       item.name, item.price, item.image, item.tags, item.available && OnOffer(item.id),
            menu_.currency};
  }

  // What a view was asked for, such as "gluten free burgers".
  std::string Asked(const View& view) const {
    std::vector<std::string> words;
    for (const std::string& filter : view.dietary_filters) {
      std::string word = absl::StrReplaceAll(filter, {{"_", " "}});
      if (!absl::StrContains(absl::AsciiStrToLower(view.query), word)) words.push_back(std::move(word));
    }
    if (!view.query.empty()) words.push_back(view.query);
    for (const messages::ListCategory& category : menu_.categories) {
      if (view.kind == ViewKind::kCategory && category.id == view.category) {
        words.push_back(absl::AsciiStrToLower(category.name));
      }
    }
    return absl::StrJoin(words, " ");
  }

  ui::Line LineOf(const CartLine& line) const {
    return {line.line_id,
            line.item_id,
            line.name,
            line.image,
            line.quantity,
            Money(line.unit_price),
            Money(line.unit_price * line.quantity),
            line.customizations,
            line.note,
            OnOffer(line.item_id)};
  }
  std::vector<ui::Line> Lines() const {
    std::vector<ui::Line> lines;
    for (const CartLine& line : state_.cart) lines.push_back(LineOf(line));
    return lines;
  }

  void AddCartSummary() {
    const Totals totals = TotalsOf(state_.cart, config_.tax_ppm);
    Add(ui::CartSummary{totals.count, Money(totals.subtotal), state_.currency, !state_.steps.empty()});
  }
  void AddTotals() {
    const Totals totals = TotalsOf(state_.cart, config_.tax_ppm);
    Add(ui::TotalsBox{Money(totals.subtotal), Money(totals.tax), Money(totals.total), state_.currency,
                      totals.count});
  }
  void AddUpsell() {
    if (state_.suggestions.empty() || state_.suggestions_for != state_.cart_version) return;
    ui::Upsell upsell;
    for (const messages::Suggestion& suggestion : state_.suggestions) {
      ui::Offer offer{suggestion.item_id, suggestion.name,  suggestion.pitch,
                      suggestion.reason,  suggestion.price, ""};
      // The menu's word counts; a recommendation agent need not name a price.
      const auto item = menu_.items.find(suggestion.item_id);
      if (item != menu_.items.end()) {
        offer.price = item->second.price;
        offer.image = item->second.image;
      }
      upsell.suggestions.push_back(std::move(offer));
      screen_.actions.push_back({absl::StrCat("Add ", suggestion.name), TouchAction::kSuggestedAction,
                                 suggestion.item_id, false, suggestion.reason == messages::kReasonCombo});
    }
    Add(upsell);
  }
  void SuggestCart() {
    if (state_.cart.empty()) return;
    Suggest("View cart", TouchAction::kShowCart);
    Suggest("Checkout", TouchAction::kCheckout);
  }

  void Attract() {
    screen_.update.layout_mode = "attract";
    Add(ui::Welcome{"Welcome!", "Touch the screen or just say what you would like."});
    Suggest("Start order", TouchAction::kStart);
  }

  bool Featured(const messages::SearchItem& item) const {
    return item.available && absl::c_linear_search(item.tags, "popular");
  }

  void Browsing() {
    screen_.update.layout_mode = "hero_grid";
    ui::CategoryBar bar;
    for (const messages::ListCategory& category : menu_.categories) {
      bar.categories.push_back(
          {category.id, category.name,
           state_.view.kind == ViewKind::kCategory && category.id == state_.view.category});
    }
    Add(bar);

    ui::ItemGrid grid;
    const View& view = state_.view;
    switch (view.kind) {
      case ViewKind::kHome:
        grid.title = "Popular";
        break;
      case ViewKind::kCategory:
        grid.title = view.category;
        for (const messages::ListCategory& category : menu_.categories) {
          if (category.id == view.category) grid.title = category.name;
        }
        if (!view.dietary_filters.empty()) grid.title = absl::StrCat("Results for \"", Asked(view), "\"");
        break;
      case ViewKind::kSearch:
        grid.title = absl::StrCat("Results for \"", Asked(view), "\"");
        break;
      case ViewKind::kRecommend:
        grid.title = "Recommended for you";
        break;
    }
    grid.loading = view.loading;
    std::vector<const messages::SearchItem*> shown;
    if (view.loaded) {
      for (const messages::SearchItem& item : view.results) shown.push_back(&item);
      grid.total = view.total;
    } else if (state_.dietary_filters.empty() && state_.exclude_allergens.empty() &&
               view.dietary_filters.empty()) {
      if (view.kind == ViewKind::kHome) {
        for (const messages::ListCategory& category : menu_.categories) {
          for (const messages::SearchItem& item : category.items) {
            if (Featured(item) && shown.size() < kFeaturedItems) shown.push_back(&item);
          }
        }
        if (shown.empty()) {
          for (const messages::ListCategory& category : menu_.categories) {
            for (const messages::SearchItem& item : category.items) {
              if (item.available && shown.size() < kFeaturedItems) shown.push_back(&item);
            }
          }
        }
      } else if (view.kind == ViewKind::kCategory) {
        for (const messages::ListCategory& category : menu_.categories) {
          if (category.id != view.category) continue;
          for (const messages::SearchItem& item : category.items) shown.push_back(&item);
        }
      }
      grid.total = static_cast<int64_t>(shown.size());
    }
    if (view.kind == ViewKind::kRecommend && state_.suggestions_for == state_.cart_version) {
      for (const messages::Suggestion& suggestion : state_.suggestions) {
        const auto found = menu_.items.find(suggestion.item_id);
        if (found != menu_.items.end()) shown.push_back(&found->second);
      }
      grid.total = static_cast<int64_t>(shown.size());
    }
    if (shown.size() > kMaxShownItems) shown.resize(kMaxShownItems);
    for (const messages::SearchItem* item : shown) grid.items.push_back(Card(*item));
    for (const ui::HeroItem& item : grid.items) {
      if (!item.available) continue;
      Add(item);
      break;
    }
    Add(grid);
    if (view.kind == ViewKind::kRecommend) AddUpsell();
    AddCartSummary();
    if (view.kind != ViewKind::kHome) Suggest("Back", TouchAction::kBack);
    SuggestCart();
    Suggest("Cancel order", TouchAction::kCancelOrder);
  }

  void Details() {
    screen_.update.layout_mode = "details";
    const ItemFocus& focus = state_.focus;
    ui::ItemDetails details;
    details.id = focus.item_id;
    details.currency = menu_.currency;
    details.loading = focus.loading;
    if (focus.line_id != 0) details.line_id = focus.line_id;
    details.note = focus.note;
    if (focus.has_item) {
      const Item& item = focus.item;
      details.title = item.name;
      details.description = item.description;
      details.price = item.price;
      details.image = item.image;
      details.calories = item.calories;
      details.tags = item.tags;
      details.dietary = item.dietary;
      details.allergens = item.allergens;
      details.available = item.available && OnOffer(item.id);
      const int exponent = static_cast<int>(state_.exponent);
      int64_t unit = item.price.ToMinor(exponent).value_or(0);
      for (const messages::Customization& customization : item.customizations) {
        const bool selected = absl::c_linear_search(focus.customizations, customization.name);
        if (selected) unit += customization.price.ToMinor(exponent).value_or(0);
        details.customizations.push_back({customization.name, customization.price, selected});
      }
      details.unit_price = Decimal::FromMinor(unit, exponent);
    } else if (const auto found = menu_.items.find(focus.item_id); found != menu_.items.end()) {
      const messages::SearchItem& item = found->second;
      details.title = item.name;
      details.price = item.price;
      details.unit_price = item.price;
      details.image = item.image;
      details.tags = item.tags;
      details.available = item.available;
      for (const std::string& name : focus.customizations) details.customizations.push_back({name, {}, true});
    }
    Add(details);
    AddCartSummary();
    if (details.available && focus.line_id == 0) {
      screen_.actions.push_back({"Add to cart", TouchAction::kSuggestedAction, 0, true});
    }
    Suggest("Back", TouchAction::kBack);
    SuggestCart();
  }

  void Cart() {
    screen_.update.layout_mode = "cart";
    Add(ui::CartLines{Lines(), !state_.steps.empty()});
    AddTotals();
    if (!state_.cart.empty()) Suggest("Checkout", TouchAction::kCheckout);
    Suggest("Back", TouchAction::kBack);
    AddUpsell();
    Suggest("Cancel order", TouchAction::kCancelOrder);
  }

  void Checkout() {
    screen_.update.layout_mode = "checkout";
    Add(ui::OrderSummary{Lines(), state_.verified});
    AddTotals();
    ui::LoyaltyPrompt loyalty;
    if (!state_.loyalty_card.empty()) loyalty.loyalty_card = state_.loyalty_card;
    Add(loyalty);
    Suggest("Pay now", TouchAction::kConfirmPayment);
    Suggest("Back", TouchAction::kBack);
    AddUpsell();
    Suggest("Cancel order", TouchAction::kCancelOrder);
  }

  void Paying() {
    screen_.update.layout_mode = "paying";
    const Order& order = state_.order;
    ui::PaymentPrompt prompt;
    prompt.order_id = order.order_id;
    prompt.order_number = order.order_number;
    prompt.amount = Decimal::FromMinor(order.total, static_cast<int>(order.exponent));
    prompt.currency = order.currency;
    prompt.deadline = FormatTimestamp(absl::FromUnixMillis(order.deadline_ms));
    prompt.status = order.cancel != CancelIntent::kNone ? "cancelling"
                    : order.trouble_since_ms != 0       ? "checking"
                                                        : "waiting";
    Add(prompt);
    if (order.cancel == CancelIntent::kNone) {
      Suggest("Back", TouchAction::kBack);
      Suggest("Cancel order", TouchAction::kCancelOrder);
    }
  }

  void Paid() {
    screen_.update.layout_mode = "paid";
    const Order& order = state_.order;
    Add(ui::OrderNumber{order.order_number});
    ui::Receipt receipt;
    receipt.order_id = order.order_id;
    receipt.transaction_id = order.outcome.transaction_id.value_or("");
    receipt.amount_charged = order.outcome.amount_charged;
    receipt.currency = order.currency;
    receipt.loyalty_points_earned = order.outcome.loyalty_points_earned;
    receipt.receipt_url = order.outcome.receipt_url;
    receipt.print = std::string(EnumNames(order.print)[static_cast<size_t>(order.print)]);
    Add(receipt);
    if (order.print == PrintStatus::kFailed) {
      Add(ui::Notice{"HARDWARE_ERROR",
                     "Your receipt could not be printed now. Your order is paid; please remember its number.",
                     "warning"});
    }
    Suggest("Done", TouchAction::kDone);
  }

  void Error() {
    screen_.update.layout_mode = "error";
    ui::ErrorMessage error;
    error.code = state_.error.code;
    error.text = state_.error.text;
    if (state_.order.open) {
      error.way_out = "Please see our staff. Do not pay again.";
      error.order_number = state_.order.order_number;
    } else {
      error.way_out = "Try again, go back, or see our staff.";
      Suggest("Try again", TouchAction::kCheckout);
      Suggest("Back", TouchAction::kBack);
      Suggest("Cancel order", TouchAction::kCancelOrder);
    }
    Add(error);
  }

  const KioskState& state_;
  const MenuView& menu_;
  const Config& config_;
  const absl::Time now_;
  Screen screen_;
};

}  // namespace

Screen Render(const KioskState& state, const MenuView& menu, const Config& config, absl::Time now) {
  return Renderer(state, menu, config, now).Take();
}

std::vector<messages::OrderLine> OrderLines(const std::vector<CartLine>& lines, int64_t exponent) {
  std::vector<messages::OrderLine> out;
  for (const CartLine& line : lines) {
    messages::OrderLine order_line;
    order_line.item_id = line.item_id;
    order_line.name = line.name;
    order_line.quantity = line.quantity;
    order_line.price = Decimal::FromMinor(line.unit_price, static_cast<int>(exponent));
    order_line.customizations = line.customizations;
    if (!line.note.empty()) order_line.note = line.note;
    out.push_back(std::move(order_line));
  }
  return out;
}

}  // namespace arc::orchestrator
