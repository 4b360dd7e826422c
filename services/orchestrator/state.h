// What the orchestrator knows of one kiosk: the value of the key `kiosk.<kiosk_id>` in the bucket
// KIOSK_SESSIONS, and all that survives a restart. Plain values without behaviour; session.h changes them,
// screen.h shows them.
//
// Times are milliseconds since the Unix epoch, 0 for "not set". Money is integer minor units of `currency`.
#ifndef ARC_SERVICES_ORCHESTRATOR_STATE_H_
#define ARC_SERVICES_ORCHESTRATOR_STATE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/messages/input.h"
#include "common/messages/menu.h"
#include "common/messages/payment.h"
#include "common/messages/recsys.h"
#include "common/messages/session.h"
#include "common/messages/ui.h"

namespace arc::orchestrator {

inline constexpr int64_t kStateSchema = 1;
inline constexpr int64_t kMaxLines = 50;          // of a cart
inline constexpr int64_t kMaxLineQuantity = 99;   // of one line
inline constexpr int64_t kMaxCartQuantity = 999;  // of all lines together
inline constexpr size_t kMaxApplied = 256;        // remembered msg_ids
inline constexpr size_t kMaxEndedSessions = 16;   // remembered sessions whose late inputs are ignored
inline constexpr size_t kMaxPendingSteps = 128;   // cart actions that wait for the menu
inline constexpr size_t kMaxBackgroundPayments = 16;
inline constexpr size_t kMaxShownItems = 60;  // items of one screen

// Design, section 3.8.
enum class SessionState { kAttract, kBrowsing, kDetails, kCart, kCheckout, kPaying, kPaid, kError };
inline absl::Span<const absl::string_view> EnumNames(SessionState) {
  static constexpr std::array<absl::string_view, 8> kNames = {"attract",  "browsing", "details", "cart",
                                                              "checkout", "paying",   "paid",    "error"};
  return kNames;
}

// An item as the menu agent's details describe it; what else they say is not needed here.
struct Item {
  int64_t id = 0;
  std::string name;
  std::string description;
  Decimal price;
  std::string image;
  std::optional<int64_t> calories;
  std::vector<std::string> tags;
  std::vector<std::string> dietary;
  std::vector<std::string> allergens;
  std::vector<messages::Customization> customizations;
  std::vector<int64_t> combo_of;  // ids of the items that a combo consists of
  bool available = true;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id, json::Range(1, json::kMaxId));
    v.Required("name", s.name, json::Range(1, 200));
    v.Optional("description", s.description, json::Range(0, 2000));
    v.Required("price", s.price, json::Range(0, 1000000));
    v.Optional("image", s.image, json::Range(0, 300));
    v.Optional("calories", s.calories, json::Range(0, 100000));
    v.Optional("tags", s.tags, json::Range(0, 50));
    v.Optional("dietary", s.dietary, json::Range(0, 50));
    v.Optional("allergens", s.allergens, json::Range(0, 50));
    v.Optional("customizations", s.customizations, json::Range(0, 50));
    v.Optional("combo_of", s.combo_of, json::Range(0, 20));
    v.Optional("available", s.available);
  }
};

// The answer to kiosk.agent.menu.details (kiosk specification, section 7.1).
struct DetailsAnswer {
  Item item;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("item", s.item);
  }
};

// A line of the cart: an item with its customisations. Prices come from the menu agent's details.
struct CartLine {
  int64_t line_id = 0;  // unique within the session
  int64_t item_id = 0;
  std::string name;
  std::string image;
  int64_t unit_price = 0;  // for one, customisations included
  int64_t quantity = 1;
  std::vector<std::string> customizations;  // in the order of the menu's list
  std::string note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("line_id", s.line_id);
    v.Required("item_id", s.item_id);
    v.Required("name", s.name);
    v.Optional("image", s.image);
    v.Required("unit_price", s.unit_price);
    v.Required("quantity", s.quantity);
    v.Optional("customizations", s.customizations);
    v.Optional("note", s.note);
  }
};

// Something the customer has to be told with the next screen.
struct Message {
  std::string code;  // such as ITEM_OUT_OF_STOCK or ADDED
  std::string text;
  std::string severity = "info";  // info, warning or error
  int64_t stays_until_ms = 0;     // later inputs do not take it away before

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("code", s.code);
    v.Required("text", s.text);
    v.Required("severity", s.severity);
    v.Optional("stays_until_ms", s.stays_until_ms);
  }
};

// What the grid of items shows.
enum class ViewKind { kHome, kCategory, kSearch, kRecommend };
inline absl::Span<const absl::string_view> EnumNames(ViewKind) {
  static constexpr std::array<absl::string_view, 4> kNames = {"home", "category", "search", "recommend"};
  return kNames;
}

struct View {
  ViewKind kind = ViewKind::kHome;
  std::string category;                      // kCategory: its id
  std::string query;                         // kSearch
  std::vector<std::string> dietary_filters;  // asked for this view alone; beside the session's
  bool loading = false;                      // an answer is awaited
  bool loaded = false;                       // `results` are this view's; otherwise the cached menu is shown
  std::vector<messages::SearchItem> results;
  int64_t total = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("kind", s.kind);
    v.Optional("category", s.category);
    v.Optional("query", s.query);
    v.Optional("dietary_filters", s.dietary_filters);
    v.Optional("loading", s.loading);
    v.Optional("loaded", s.loaded);
    v.Optional("results", s.results);
    v.Optional("total", s.total);
  }
};

// The item of the details screen with what the customer has chosen on it.
struct ItemFocus {
  int64_t item_id = 0;  // 0: none
  bool loading = false;
  bool has_item = false;
  Item item;  // valid when has_item
  std::vector<std::string> customizations;
  std::string note;
  int64_t line_id = 0;  // of the cart, that is to be changed; 0: none

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id);
    v.Optional("line_id", s.line_id);
    v.Optional("loading", s.loading);
    v.Optional("has_item", s.has_item);
    if (!V::kDecoding) {
      if (s.has_item) v.Optional("item", s.item);
    } else {
      v.Optional("item", s.item);
    }
    v.Optional("customizations", s.customizations);
    v.Optional("note", s.note);
  }
};

// A cart action, a checkout or a confirmation that waits for the menu's details. They are applied in the
// order of arrival: one that needs nothing waits behind one that does.
enum class StepKind { kAdd, kRemove, kUpdateQty, kModify, kCheckout, kConfirm };
inline absl::Span<const absl::string_view> EnumNames(StepKind) {
  static constexpr std::array<absl::string_view, 6> kNames = {"add",    "remove",   "update_qty",
                                                              "modify", "checkout", "confirm"};
  return kNames;
}

// One item whose details a step needs.
struct Check {
  int64_t item_id = 0;
  bool done = false;
  std::string error_code;  // empty: `item` is valid
  Item item;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id);
    v.Optional("done", s.done);
    v.Optional("error_code", s.error_code);
    if (!V::kDecoding) {
      if (s.done && s.error_code.empty()) v.Optional("item", s.item);
    } else {
      v.Optional("item", s.item);
    }
  }
};

struct PendingStep {
  int64_t id = 0;
  StepKind kind = StepKind::kAdd;
  int64_t item_id = 0;
  std::optional<int64_t> quantity;
  std::vector<std::string> customizations;
  std::optional<std::string> note;
  std::optional<int64_t> line_id;  // kRemove, kUpdateQty, kModify: the line itself
  bool in_place_of_parts = false;  // kAdd: a combo takes the place of its parts in the cart
  std::vector<Check> checks;
  bool started = false;  // the checks have been asked for, at
  int64_t asked_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("kind", s.kind);
    v.Optional("item_id", s.item_id);
    v.Optional("quantity", s.quantity);
    v.Optional("customizations", s.customizations);
    v.Optional("note", s.note);
    v.Optional("line_id", s.line_id);
    v.Optional("in_place_of_parts", s.in_place_of_parts);
    v.Optional("checks", s.checks);
    v.Optional("started", s.started);
    v.Optional("asked_ms", s.asked_ms);
  }
};

// What becomes of the session when a payment that the customer cancelled has ended without a charge.
enum class CancelIntent { kNone, kToCheckout, kEndSession };
inline absl::Span<const absl::string_view> EnumNames(CancelIntent) {
  static constexpr std::array<absl::string_view, 3> kNames = {"none", "to_checkout", "end_session"};
  return kNames;
}

enum class PrintStatus { kNone, kPending, kPrinted, kFailed };
inline absl::Span<const absl::string_view> EnumNames(PrintStatus) {
  static constexpr std::array<absl::string_view, 4> kNames = {"none", "pending", "printed", "failed"};
  return kNames;
}

// An order on its way to being paid. Complete in itself: it may outlive its session.
struct Order {
  std::string order_id;  // empty: none
  std::string order_number;
  std::string session_id;
  std::string trace_id;
  std::string currency;
  int64_t exponent = 2;
  std::vector<CartLine> lines;
  int64_t total = 0;
  std::string signature;  // of the lines and the total: an order id stands for one signature for ever
  std::string loyalty_card;
  messages::OrderContext context;

  int64_t attempt = 0;   // counts the confirmations by the customer, 1 for the first
  bool open = false;     // the outcome of `attempt` is not known yet
  bool unknown = false;  // the customer was told so
  bool refused = false;  // the payment agent will never accept this request
  std::string refusal;
  int64_t sends = 0;        // of `process` in this attempt
  int64_t deadline_ms = 0;  // of the latest `process`: it is never started later
  int64_t trouble_since_ms = 0;
  int64_t next_check_ms = 0;  // when to ask for the status
  CancelIntent cancel = CancelIntent::kNone;

  messages::PaymentOutcome outcome;  // the latest definite one
  PrintStatus print = PrintStatus::kNone;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Optional("order_number", s.order_number);
    v.Optional("session_id", s.session_id);
    v.Optional("trace_id", s.trace_id);
    v.Optional("currency", s.currency);
    v.Optional("exponent", s.exponent);
    v.Optional("lines", s.lines);
    v.Optional("total", s.total);
    v.Optional("signature", s.signature);
    v.Optional("loyalty_card", s.loyalty_card);
    v.Optional("context", s.context);
    v.Optional("attempt", s.attempt);
    v.Optional("open", s.open);
    v.Optional("unknown", s.unknown);
    v.Optional("refused", s.refused);
    v.Optional("refusal", s.refusal);
    v.Optional("sends", s.sends);
    v.Optional("deadline_ms", s.deadline_ms);
    v.Optional("trouble_since_ms", s.trouble_since_ms);
    v.Optional("next_check_ms", s.next_check_ms);
    v.Optional("cancel", s.cancel);
    v.Optional("outcome", s.outcome);
    v.Optional("print", s.print);
  }
};

// What a step wants done outside.
enum class EffectKind {
  kUiUpdate,
  kSessionStarted,
  kSessionEnded,
  kOrderCompleted,
  kLed,
  kPrint,
  kMenuList,
  kMenuDetails,
  kMenuSearch,
  kSuggest,
  kPaymentProcess,
  kPaymentStatus,
  kPaymentCancel,
};
inline absl::Span<const absl::string_view> EnumNames(EffectKind) {
  static constexpr std::array<absl::string_view, 13> kNames = {
      "ui_update",       "session_started", "session_ended", "order_completed", "led",
      "print",           "menu_list",       "menu_details",  "menu_search",     "suggest",
      "payment_process", "payment_status",  "payment_cancel"};
  return kNames;
}

// An entry of the outbox. Events go out again after a crash with the same msg_id; commands are repeatable by
// nature (menu, recsys) or by their order_id (payment, print).
struct Effect {
  int64_t id = 0;
  EffectKind kind = EffectKind::kUiUpdate;
  std::string payload;  // JSON of the message; empty for kUiUpdate, which is the state's `ui`
  std::string session_id;
  std::string trace_id;
  std::string msg_id;           // events
  std::string idempotency_key;  // commands that have an effect
  int64_t generation = 0;       // of the screen, cart or step that the answer is for
  int64_t step_id = 0;          // kMenuDetails: the step that waits for it, 0 for the details screen
  int64_t item_id = 0;          // kMenuDetails
  std::string order_id;         // payment and print
  int64_t created_ms = 0;
  // kPrint: it is sent again until it is answered, or until `until_ms`.
  int64_t sends = 0;
  int64_t again_ms = 0;  // when to send it again
  int64_t until_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("kind", s.kind);
    v.Optional("payload", s.payload, json::Range(0, 4000000));
    v.Optional("session_id", s.session_id);
    v.Optional("trace_id", s.trace_id);
    v.Optional("msg_id", s.msg_id);
    v.Optional("idempotency_key", s.idempotency_key);
    v.Optional("generation", s.generation);
    v.Optional("step_id", s.step_id);
    v.Optional("item_id", s.item_id);
    v.Optional("order_id", s.order_id);
    v.Optional("created_ms", s.created_ms);
    v.Optional("sends", s.sends);
    v.Optional("again_ms", s.again_ms);
    v.Optional("until_ms", s.until_ms);
  }
};

// A msg_id that was applied, as a 53-bit hash: an input comes once though its sender repeats it.
struct AppliedId {
  int64_t hash = 0;
  int64_t at_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("h", s.hash);
    v.Required("t", s.at_ms);
  }
};

// How far the events of one durable have been applied.
struct Progress {
  int64_t sequence = 0;      // of the stream
  int64_t stored_at_ms = 0;  // a stream that was made anew counts from 1 again, but later

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("sequence", s.sequence);
    v.Required("stored_at_ms", s.stored_at_ms);
  }
};

// A suggested action of the last screen with what it stands for.
struct Action {
  std::string label;
  messages::TouchAction touch = messages::TouchAction::kStart;
  int64_t add_item_id = 0;         // not 0: adds this item instead
  bool add_focus = false;          // adds the item of the details screen as customised there
  bool in_place_of_parts = false;  // add_item_id is a combo that takes the place of its parts in the cart

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("label", s.label);
    v.Optional("touch", s.touch);
    v.Optional("add_item_id", s.add_item_id);
    v.Optional("add_focus", s.add_focus);
    v.Optional("in_place_of_parts", s.in_place_of_parts);
  }
};

struct KioskState {
  int64_t schema = kStateSchema;
  std::string kiosk_id;
  bool scoped = false;   // the form that inputs last came in: answers go out alike (design, section 3.7)
  int64_t version = 0;   // counts the steps
  int64_t epoch = 0;     // of the leader that wrote it
  std::string writer;    // instance that wrote it, and
  int64_t write_no = 0;  // its count of writes: tells whether an uncertain write was ours
  std::string id_seed;   // all ids made for this kiosk derive from it
  int64_t slot = 0;      // prefix of order numbers: no two kiosks share one
  int64_t session_no = 0;

  SessionState state = SessionState::kAttract;
  std::string session_id;  // empty in attract
  std::string trace_id;    // of the session
  int64_t started_ms = 0;
  int64_t last_activity_ms = 0;
  int64_t state_since_ms = 0;
  bool idle_warned = false;
  bool person_present = false;
  int64_t person_left_ms = 0;  // 0: nobody left
  std::optional<int64_t> party_size;
  std::vector<std::string> dietary_filters;    // of the session: hard constraints
  std::vector<std::string> exclude_allergens;  // of the session: hard constraints
  std::string loyalty_card;

  std::string currency;
  int64_t exponent = 2;
  std::vector<CartLine> cart;
  int64_t cart_version = 0;  // counts the changes
  int64_t next_line_id = 1;
  bool verified = false;    // the cart was checked with the menu for this checkout
  int64_t verified_ms = 0;  // when the menu was last asked for all of it
  std::vector<PendingStep> steps;
  int64_t next_step_id = 1;

  View view;
  ItemFocus focus;
  int64_t generation = 0;  // counts the changes of view and focus
  std::vector<messages::Suggestion> suggestions;
  int64_t suggestions_for = -1;  // the cart_version that they are for
  std::vector<Message> messages;
  Message error;          // of the error screen
  messages::UiUpdate ui;  // as last published
  std::vector<Action> actions;

  Order order;                    // of this session
  std::vector<Order> background;  // of sessions that ended before the outcome was known
  std::string order_day;          // of the latest order number
  int64_t orders_of_day = 0;
  int64_t orders = 0;  // ever: order ids derive from it

  std::vector<AppliedId> applied;
  std::vector<Progress> progress;  // by durable: input, vision, voice
  std::vector<std::string> ended_sessions;
  std::vector<Effect> outbox;
  int64_t next_effect_id = 1;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("schema", s.schema, json::Range(kStateSchema, kStateSchema));
    v.Required("kiosk_id", s.kiosk_id);
    v.Optional("scoped", s.scoped);
    v.Optional("version", s.version);
    v.Optional("epoch", s.epoch);
    v.Optional("writer", s.writer);
    v.Optional("write_no", s.write_no);
    v.Required("id_seed", s.id_seed);
    v.Optional("slot", s.slot);
    v.Optional("session_no", s.session_no);
    v.Required("state", s.state);
    v.Optional("session_id", s.session_id);
    v.Optional("trace_id", s.trace_id);
    v.Optional("started_ms", s.started_ms);
    v.Optional("last_activity_ms", s.last_activity_ms);
    v.Optional("state_since_ms", s.state_since_ms);
    v.Optional("idle_warned", s.idle_warned);
    v.Optional("person_present", s.person_present);
    v.Optional("person_left_ms", s.person_left_ms);
    v.Optional("party_size", s.party_size);
    v.Optional("dietary_filters", s.dietary_filters);
    v.Optional("exclude_allergens", s.exclude_allergens);
    v.Optional("loyalty_card", s.loyalty_card);
    v.Optional("currency", s.currency);
    v.Optional("exponent", s.exponent);
    v.Optional("cart", s.cart);
    v.Optional("cart_version", s.cart_version);
    v.Optional("next_line_id", s.next_line_id);
    v.Optional("verified", s.verified);
    v.Optional("verified_ms", s.verified_ms);
    v.Optional("steps", s.steps);
    v.Optional("next_step_id", s.next_step_id);
    v.Optional("view", s.view);
    v.Optional("focus", s.focus);
    v.Optional("generation", s.generation);
    v.Optional("suggestions", s.suggestions);
    v.Optional("suggestions_for", s.suggestions_for);
    v.Optional("messages", s.messages);
    v.Optional("error", s.error);
    v.Optional("ui", s.ui);
    v.Optional("actions", s.actions);
    v.Optional("order", s.order);
    v.Optional("background", s.background);
    v.Optional("order_day", s.order_day);
    v.Optional("orders_of_day", s.orders_of_day);
    v.Optional("orders", s.orders);
    v.Optional("applied", s.applied);
    v.Optional("progress", s.progress);
    v.Optional("ended_sessions", s.ended_sessions);
    v.Optional("outbox", s.outbox);
    v.Optional("next_effect_id", s.next_effect_id);
  }
};

// The totals of a cart or an order.
struct Totals {
  int64_t subtotal = 0;
  int64_t tax = 0;
  int64_t total = 0;
  int64_t count = 0;  // items, quantities counted
};

}  // namespace arc::orchestrator

#endif  // ARC_SERVICES_ORCHESTRATOR_STATE_H_
