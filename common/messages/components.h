// The components of kiosk.ui.update, one struct a `type` (kiosk specification, section 6.5; design, section
// 3.8). Prices are decimals of `currency`.
//
//   layout     components
//   attract    Welcome
//   hero_grid  CategoryBar, HeroItem, ItemGrid, CartSummary
//   details    ItemDetails, CartSummary
//   cart       CartLines, Totals, Upsell
//   checkout   OrderSummary, Totals, LoyaltyPrompt, Upsell
//   paying     PaymentPrompt
//   paid       OrderNumber, Receipt
//   error      ErrorMessage
//   any        Notice (any number), IdleWarning
#ifndef ARC_COMMON_MESSAGES_COMPONENTS_H_
#define ARC_COMMON_MESSAGES_COMPONENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages::ui {

struct Welcome {
  static constexpr absl::string_view kType = "Welcome";
  std::string title;
  std::string text;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("title", s.title);
    v.Required("text", s.text);
  }
};

struct Category {
  std::string id;
  std::string name;
  bool selected = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("name", s.name);
    v.Required("selected", s.selected);
  }
};

struct CategoryBar {
  static constexpr absl::string_view kType = "CategoryBar";
  std::vector<Category> categories;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("categories", s.categories);
  }
};

// An item as a card; by itself the component HeroItem.
struct HeroItem {
  static constexpr absl::string_view kType = "HeroItem";
  int64_t id = 0;
  std::string title;
  Decimal price;
  std::string image;
  std::vector<std::string> tags;
  bool available = true;
  std::string currency;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("title", s.title);
    v.Required("price", s.price);
    v.Required("image", s.image);
    v.Required("tags", s.tags);
    v.Required("available", s.available);
    v.Required("currency", s.currency);
  }
};

struct ItemGrid {
  static constexpr absl::string_view kType = "ItemGrid";
  std::string title;
  std::vector<HeroItem> items;
  int64_t total = 0;     // matches, of which `items` are the first
  bool loading = false;  // another update follows

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("title", s.title);
    v.Required("items", s.items);
    v.Required("total", s.total);
    v.Required("loading", s.loading);
  }
};

struct Notice {
  static constexpr absl::string_view kType = "Notice";
  std::string code;
  std::string text;
  std::string severity;  // info, warning or error

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("code", s.code);
    v.Required("text", s.text);
    v.Required("severity", s.severity);
  }
};

struct CartSummary {
  static constexpr absl::string_view kType = "CartSummary";
  int64_t count = 0;
  Decimal total;
  std::string currency;
  bool updating = false;  // an action on the cart waits for the menu

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("count", s.count);
    v.Required("total", s.total);
    v.Required("currency", s.currency);
    v.Required("updating", s.updating);
  }
};

struct CustomizationChoice {
  std::string name;
  Decimal price;
  bool selected = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("price", s.price);
    v.Required("selected", s.selected);
  }
};

struct ItemDetails {
  static constexpr absl::string_view kType = "ItemDetails";
  int64_t id = 0;
  std::string title;
  std::string description;
  Decimal price;       // of the item alone
  Decimal unit_price;  // with the chosen customisations
  std::string currency;
  std::string image;
  std::optional<int64_t> calories;
  std::vector<std::string> tags;
  std::vector<std::string> dietary;
  std::vector<std::string> allergens;
  std::vector<CustomizationChoice> customizations;
  std::string note;
  bool available = true;
  bool loading = false;            // another update follows
  std::optional<int64_t> line_id;  // of the cart, that is to be changed

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("title", s.title);
    v.Required("description", s.description);
    v.Required("price", s.price);
    v.Required("unit_price", s.unit_price);
    v.Required("currency", s.currency);
    v.Required("image", s.image);
    v.Nullable("calories", s.calories);
    v.Required("tags", s.tags);
    v.Required("dietary", s.dietary);
    v.Required("allergens", s.allergens);
    v.Required("customizations", s.customizations);
    v.Required("note", s.note);
    v.Required("available", s.available);
    v.Required("loading", s.loading);
    v.Nullable("line_id", s.line_id);
  }
};

struct Line {
  int64_t line_id = 0;
  int64_t item_id = 0;
  std::string name;
  std::string image;
  int64_t quantity = 1;
  Decimal unit_price;
  Decimal line_total;
  std::vector<std::string> customizations;
  std::string note;
  bool available = true;  // false: sold out since it was ordered; checkout takes it out

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("line_id", s.line_id);
    v.Required("item_id", s.item_id);
    v.Required("name", s.name);
    v.Required("image", s.image);
    v.Required("quantity", s.quantity);
    v.Required("unit_price", s.unit_price);
    v.Required("line_total", s.line_total);
    v.Required("customizations", s.customizations);
    v.Required("note", s.note);
    v.Optional("available", s.available);
  }
};

struct CartLines {
  static constexpr absl::string_view kType = "CartLines";
  std::vector<Line> lines;
  bool updating = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("lines", s.lines);
    v.Required("updating", s.updating);
  }
};

struct TotalsBox {
  static constexpr absl::string_view kType = "Totals";
  Decimal subtotal;
  Decimal tax;
  Decimal total;
  std::string currency;
  int64_t count = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("subtotal", s.subtotal);
    v.Required("tax", s.tax);
    v.Required("total", s.total);
    v.Required("currency", s.currency);
    v.Required("count", s.count);
  }
};

struct Offer {
  int64_t item_id = 0;
  std::string name;
  std::string pitch;
  std::string reason;
  std::optional<Decimal> price;  // the menu's; recsys's for an item that it does not know
  std::string image;             // empty where the menu does not know the item

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id);
    v.Required("name", s.name);
    v.Required("pitch", s.pitch);
    v.Required("reason", s.reason);
    v.Optional("price", s.price);
    v.Required("image", s.image);
  }
};

struct Upsell {
  static constexpr absl::string_view kType = "Upsell";
  std::vector<Offer> suggestions;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("suggestions", s.suggestions);
  }
};

struct OrderSummary {
  static constexpr absl::string_view kType = "OrderSummary";
  std::vector<Line> lines;
  bool verified = false;  // availability and prices were checked: confirm_payment may follow

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("lines", s.lines);
    v.Required("verified", s.verified);
  }
};

struct LoyaltyPrompt {
  static constexpr absl::string_view kType = "LoyaltyPrompt";
  std::optional<std::string> loyalty_card;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Nullable("loyalty_card", s.loyalty_card);
  }
};

struct PaymentPrompt {
  static constexpr absl::string_view kType = "PaymentPrompt";
  std::string order_id;
  std::string order_number;
  Decimal amount;
  std::string currency;
  std::string deadline;  // RFC 3339: until then a card is awaited
  std::string status;    // waiting, checking or cancelling

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Required("order_number", s.order_number);
    v.Required("amount", s.amount);
    v.Required("currency", s.currency);
    v.Required("deadline", s.deadline);
    v.Required("status", s.status);
  }
};

struct OrderNumber {
  static constexpr absl::string_view kType = "OrderNumber";
  std::string order_number;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_number", s.order_number);
  }
};

struct Receipt {
  static constexpr absl::string_view kType = "Receipt";
  std::string order_id;
  std::string transaction_id;
  Decimal amount_charged;
  std::string currency;
  int64_t loyalty_points_earned = 0;
  std::optional<std::string> receipt_url;
  std::string print;  // pending, printed or failed

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Required("transaction_id", s.transaction_id);
    v.Required("amount_charged", s.amount_charged);
    v.Required("currency", s.currency);
    v.Required("loyalty_points_earned", s.loyalty_points_earned);
    v.Nullable("receipt_url", s.receipt_url);
    v.Required("print", s.print);
  }
};

struct ErrorMessage {
  static constexpr absl::string_view kType = "ErrorMessage";
  std::string code;
  std::string text;
  std::string way_out;  // what the customer can do now
  std::optional<std::string> order_number;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("code", s.code);
    v.Required("text", s.text);
    v.Required("way_out", s.way_out);
    v.Nullable("order_number", s.order_number);
  }
};

struct IdleWarning {
  static constexpr absl::string_view kType = "IdleWarning";
  int64_t seconds = 0;   // until the session ends
  std::string deadline;  // RFC 3339: when it ends

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("seconds", s.seconds);
    v.Required("deadline", s.deadline);
  }
};

}  // namespace arc::messages::ui

#endif  // ARC_COMMON_MESSAGES_COMPONENTS_H_
