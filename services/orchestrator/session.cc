#include "services/orchestrator/session.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/json/json.h"
#include "common/messages/hardware.h"
#include "common/money/money.h"
#include "common/status/status.h"
#include "services/orchestrator/screen.h"

namespace arc::orchestrator {
namespace {

using messages::CartActionKind;
using messages::EndReason;
using messages::IntentType;
using messages::PaymentStatus;
using messages::TouchAction;

constexpr int64_t kMenuStaleMs = 5000;       // a cached list older than this is asked for again
constexpr int64_t kLedLifetimeMs = 10000;    // a colour older than this says nothing any more
constexpr int64_t kMaxSends = 3;             // of one attempt's kiosk.agent.payment.process
constexpr int64_t kDeadlineMarginMs = 1000;  // clocks of requester and agent may differ by this
constexpr int64_t kUnknownPollFactor = 3;    // an outcome that the agent itself does not know comes slowly
constexpr int64_t kFailureStaysMs = 5000;    // a message that something was not done
constexpr int64_t kMaxEffects = 256;
constexpr size_t kMaxNoteBytes = 500;  // of a line

int64_t Millis(absl::Duration duration) {
  return absl::ToInt64Milliseconds(duration);
}

// A 64-bit hash of `text` that follows from `seed`; every bit of the input reaches every bit of the result.
uint64_t Hash(uint64_t seed, absl::string_view text) {
  uint64_t h = seed ^ (0x9E3779B97F4A7C15ull * (text.size() + 1));
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001B3ull;
    h ^= h >> 29;
  }
  h ^= h >> 33;
  h *= 0xFF51AFD7ED558CCDull;
  h ^= h >> 33;
  h *= 0xC4CEB9FE1A85EC53ull;
  h ^= h >> 33;
  return h;
}

int64_t HashOfId(absl::string_view id) {
  return static_cast<int64_t>(Hash(0x243F6A8885A308D3ull, id) >> 11);
}

std::string Normalised(absl::string_view text) {
  std::string out;
  for (const char c : absl::StripAsciiWhitespace(text)) {
    out.push_back(c == ' ' || c == '-' ? '_' : absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

bool IsDietary(absl::string_view name) {
  static constexpr std::array<absl::string_view, 10> kNames = {
      "vegetarian",  "vegan",      "halal",    "kosher",   "pescatarian",
      "gluten_free", "dairy_free", "nut_free", "egg_free", "lactose_free"};
  return absl::c_linear_search(kNames, name);
}

// The allergen that a modifier such as "no nuts" or "peanut allergy" keeps out; empty when it is none.
std::string ExcludedAllergen(absl::string_view modifier) {
  static constexpr std::array<std::pair<absl::string_view, absl::string_view>, 22> kNames = {{
      {"nut", "nuts"},
      {"nuts", "nuts"},
      {"peanut", "peanuts"},
      {"peanuts", "peanuts"},
      {"dairy", "dairy"},
      {"milk", "dairy"},
      {"lactose", "dairy"},
      {"gluten", "gluten"},
      {"wheat", "gluten"},
      {"egg", "egg"},
      {"eggs", "egg"},
      {"soy", "soy"},
      {"soya", "soy"},
      {"fish", "fish"},
      {"sesame", "sesame"},
      {"mustard", "mustard"},
      {"celery", "celery"},
      {"shellfish", "crustaceans"},
      {"crustaceans", "crustaceans"},
      {"shrimp", "crustaceans"},
      {"crab", "crustaceans"},
      {"crustacean", "crustaceans"},
  }};
  bool excluded = absl::ConsumePrefix(&modifier, "no_") || absl::ConsumePrefix(&modifier, "without_");
  excluded |= absl::ConsumeSuffix(&modifier, "_allergy");
  excluded |= absl::ConsumeSuffix(&modifier, "_intolerance");
  if (!excluded) return "";
  for (const auto& [name, allergen] : kNames) {
    if (name == modifier) return std::string(allergen);
  }
  return "";
}

// Whether an item that is `dietary` is fit for `filter`: what is vegan is vegetarian.
bool Satisfies(const std::vector<std::string>& dietary, const std::string& filter) {
  const auto is = [&](absl::string_view name) { return absl::c_linear_search(dietary, name); };
  if (is(filter)) return true;
  if (filter == "vegetarian" || filter == "egg_free") return is("vegan");
  if (filter == "dairy_free" || filter == "lactose_free") return is("vegan") || is("dairy_free");
  if (filter == "pescatarian") return is("vegan") || is("vegetarian");
  return false;
}

bool SameScreen(const messages::UiUpdate& a, const messages::UiUpdate& b) {
  if (a.layout_mode != b.layout_mode || a.theme_override != b.theme_override ||
      a.suggested_actions != b.suggested_actions || a.components.size() != b.components.size()) {
    return false;
  }
  for (size_t i = 0; i < a.components.size(); ++i) {
    if (a.components[i].type != b.components[i].type || !(a.components[i].data == b.components[i].data)) {
      return false;
    }
  }
  return true;
}

std::string SignatureOf(const std::vector<CartLine>& lines, int64_t total, absl::string_view currency) {
  std::string text = absl::StrCat(currency, "|", total);
  for (const CartLine& line : lines) {
    absl::StrAppend(&text, "|", line.item_id, "x", line.quantity, "@", line.unit_price, ":",
                    absl::StrJoin(line.customizations, ","), ":", line.note);
  }
  return absl::StrFormat("%016x%016x", Hash(1, text), Hash(2, text));
}

class Stepper {
 public:
  Stepper(const Config& config, const KioskState& state, const MenuView& menu, absl::Time now)
      : config_(config), s_(state), menu_(menu), now_(now), now_ms_(absl::ToUnixMillis(now)) {}

  Transition Run(const Input& input) {
    Transition transition;
    CompleteEffects(input.completed, s_);
    if (input.origin.has_value()) transition.disposition = Accept(*input.origin);
    if (transition.disposition == Disposition::kDuplicate) {
      transition.state = std::move(s_);
      transition.persist = false;
      return transition;
    }
    trace_id_ = input.origin.has_value() ? input.origin->trace_id : s_.trace_id;
    if (menu_.known && s_.cart.empty() && s_.steps.empty() && !s_.order.open) {
      s_.currency = menu_.currency;
      s_.exponent = menu_.exponent;
    }
    if (transition.disposition == Disposition::kLate) {
      publish_ = true;
    } else {
      std::visit([this](const auto& body) { On(body); }, input.body);
    }
    ++s_.version;
    if (quiet_) {
      transition.persist = false;
    } else {
      PumpSteps();
      if (s_.state == SessionState::kCart || s_.state == SessionState::kCheckout) WantSuggestions();
      if (show_) Show();
      Flush();
    }
    transition.effects = std::move(effects_);
    transition.state = std::move(s_);
    return transition;
  }

 private:
  // Inputs: what is late or was applied before.

  Disposition Accept(const Origin& origin) {
    const size_t source = static_cast<size_t>(origin.source);
    if (s_.progress.size() < kSources) s_.progress.resize(kSources);
    Progress& progress = s_.progress[source];
    const int64_t stored_ms = absl::ToUnixMillis(origin.stored_at);
    if (origin.sequence <= progress.sequence && stored_ms <= progress.stored_at_ms) {
      return Disposition::kDuplicate;
    }
    progress.sequence = origin.sequence;
    progress.stored_at_ms = stored_ms;
    const int64_t oldest = now_ms_ - Millis(config_.duplicate_window);
    s_.applied.erase(std::remove_if(s_.applied.begin(), s_.applied.end(),
                                    [&](const AppliedId& id) { return id.at_ms < oldest; }),
                     s_.applied.end());
    if (!origin.msg_id.empty()) {
      const int64_t hash = HashOfId(origin.msg_id);
      for (const AppliedId& id : s_.applied) {
        if (id.hash == hash) return Disposition::kDuplicate;
      }
      if (s_.applied.size() >= kMaxApplied) s_.applied.erase(s_.applied.begin());
      s_.applied.push_back({hash, now_ms_});
    }
    s_.scoped = origin.scoped;
    if (origin.source != Source::kVision && !origin.session_id.empty() &&
        origin.session_id != s_.session_id && absl::c_linear_search(s_.ended_sessions, origin.session_id)) {
      return Disposition::kLate;
    }
    return Disposition::kApplied;
  }

  // Effects.

  Effect& Emit(EffectKind kind, std::string payload) {
    Effect effect;
    effect.id = s_.next_effect_id++;
    effect.kind = kind;
    effect.payload = std::move(payload);
    effect.session_id = s_.session_id;
    effect.trace_id = trace_id_.empty() ? s_.trace_id : trace_id_;
    effect.msg_id = DeriveUuid(s_.id_seed, absl::StrCat("effect:", effect.id));
    effect.created_ms = now_ms_;
    pending_.push_back(std::move(effect));
    return pending_.back();
  }

  // Moves what was emitted into the outbox; the reference that Emit() gave is filled in by then.
  void Flush() {
    for (Effect& effect : pending_) {
      s_.outbox.push_back(effect);
      effects_.push_back(std::move(effect));
    }
    pending_.clear();
  }

  bool Outstanding(EffectKind kind, absl::string_view order_id) const {
    const auto matches = [&](const Effect& e) { return e.kind == kind && e.order_id == order_id; };
    return absl::c_any_of(s_.outbox, matches) || absl::c_any_of(pending_, matches);
  }

  template <class Predicate>
  void Drop(const Predicate& predicate) {
    s_.outbox.erase(std::remove_if(s_.outbox.begin(), s_.outbox.end(), predicate), s_.outbox.end());
    pending_.erase(std::remove_if(pending_.begin(), pending_.end(), predicate), pending_.end());
  }

  void Show() {
    Screen screen = Render(s_, menu_, config_, now_);
    if (publish_ || !SameScreen(screen.update, s_.ui)) {
      Drop([](const Effect& e) { return e.kind == EffectKind::kUiUpdate; });
      s_.ui = std::move(screen.update);
      s_.actions = std::move(screen.actions);
      Emit(EffectKind::kUiUpdate, "");
    }
  }

  // A new input is answered by messages of its own.
  void ForgetMessages() {
    s_.messages.erase(std::remove_if(s_.messages.begin(), s_.messages.end(),
                                     [&](const Message& each) { return each.stays_until_ms <= now_ms_; }),
                      s_.messages.end());
  }

  void Say(absl::string_view code, absl::string_view text, absl::string_view severity = "info",
           int64_t stays_until_ms = 0) {
    for (Message& said : s_.messages) {
      if (said.code != code || said.text != text) continue;
      said.stays_until_ms = std::max(said.stays_until_ms, stays_until_ms);
      return;
    }
    if (s_.messages.size() < 10) {
      s_.messages.push_back({std::string(code), std::string(text), std::string(severity), stays_until_ms});
    }
  }

  void Led(absl::string_view color, messages::LedPattern pattern, int64_t duration_ms) {
    Drop([](const Effect& e) { return e.kind == EffectKind::kLed; });
    Emit(EffectKind::kLed, json::Encode(messages::LedRequest{std::string(color), pattern, duration_ms}));
  }

  // The session's begin and end.

  void Begin() {
    ++s_.session_no;
    s_.session_id = DeriveUuid(s_.id_seed, absl::StrCat("session:", s_.session_no));
    s_.trace_id = trace_id_;
    s_.started_ms = now_ms_;
    s_.last_activity_ms = now_ms_;
    Enter(SessionState::kBrowsing);
    s_.view = View{};
    Effect& effect = Emit(EffectKind::kSessionStarted, json::Encode(messages::SessionStarted{s_.kiosk_id}));
    effect.msg_id = DeriveUuid(s_.session_id, "started");
    GoHome();
  }

  // False when the session cannot end yet: as many payments wait in the background as are kept.
  bool End(EndReason reason) {
    if (s_.session_id.empty()) return true;
    if (s_.order.open && s_.background.size() >= kMaxBackgroundPayments) return false;
    messages::SessionEnded ended;
    ended.reason = reason;
    ended.duration_seconds = static_cast<double>(std::max<int64_t>(0, now_ms_ - s_.started_ms)) / 1000.0;
    Effect& effect = Emit(EffectKind::kSessionEnded, json::Encode(ended));
    effect.msg_id = DeriveUuid(s_.session_id, "ended");
    if (s_.ended_sessions.size() >= kMaxEndedSessions) s_.ended_sessions.erase(s_.ended_sessions.begin());
    s_.ended_sessions.push_back(s_.session_id);
    if (s_.order.open) s_.background.push_back(std::move(s_.order));
    Drop([](const Effect& e) {
      return e.kind == EffectKind::kMenuDetails || e.kind == EffectKind::kMenuSearch ||
             e.kind == EffectKind::kMenuList || e.kind == EffectKind::kSuggest;
    });
    s_.order = Order{};
    s_.session_id.clear();
    s_.trace_id.clear();
    s_.cart.clear();
    ++s_.cart_version;
    s_.next_line_id = 1;
    s_.verified = false;
    s_.steps.clear();
    s_.view = View{};
    s_.focus = ItemFocus{};
    ++s_.generation;
    s_.suggestions.clear();
    s_.suggestions_for = -1;
    s_.messages.clear();
    s_.error = Message{};
    s_.dietary_filters.clear();
    s_.exclude_allergens.clear();
    s_.loyalty_card.clear();
    s_.party_size.reset();
    s_.idle_warned = false;
    s_.person_left_ms = 0;
    s_.started_ms = 0;
    Enter(SessionState::kAttract);
    return true;
  }

  void Enter(SessionState state) {
    if (s_.state != state) s_.state_since_ms = now_ms_;
    s_.state = state;
  }

  // Something that only a customer does.
  void Activity() {
    if (s_.state == SessionState::kAttract) return;
    s_.last_activity_ms = now_ms_;
    s_.idle_warned = false;
    s_.person_left_ms = 0;
  }

  bool PaymentOpen() const { return s_.order.open; }

  // Whether the customer may move about: begins a session where there is none.
  bool Ready() {
    switch (s_.state) {
      case SessionState::kAttract:
        Begin();
        return true;
      case SessionState::kPaying:
        SayPaymentInProgress();
        return false;
      case SessionState::kPaid:
        return false;
      case SessionState::kError:
        return !PaymentOpen();
      default:
        return true;
    }
  }

  void SayPaymentInProgress() {
    Say("PAYMENT_IN_PROGRESS", "Your payment is in progress. Cancel it first to change your order.",
        "warning");
  }

  // The grid of items.

  void WantMenu() {
    const bool stale = !menu_.known || now_ms_ - absl::ToUnixMillis(menu_.fetched_at) > kMenuStaleMs;
    if (!stale) return;
    const auto full_list = [](const Effect& e) {
      return e.kind == EffectKind::kMenuList && e.generation == 0;
    };
    if (absl::c_any_of(s_.outbox, full_list) || absl::c_any_of(pending_, full_list)) return;
    Emit(EffectKind::kMenuList, json::Encode(messages::ListRequest{}));
  }

  bool Filtered() const {
    return !s_.dietary_filters.empty() || !s_.exclude_allergens.empty() || !s_.view.dietary_filters.empty();
  }

  void Search(std::string query, std::vector<std::string> tags) {
    messages::SearchRequest request;
    request.query = std::move(query);
    request.tags = std::move(tags);
    request.dietary_filters = s_.dietary_filters;
    for (const std::string& filter : s_.view.dietary_filters) AddFilter(request.dietary_filters, filter);
    request.exclude_allergens = s_.exclude_allergens;
    request.limit = kMaxShownItems;
    s_.view.loading = true;
    Emit(EffectKind::kMenuSearch, json::Encode(request)).generation = s_.generation;
  }

  void SetView(View view) {
    ++s_.generation;
    Drop([](const Effect& e) {
      return e.kind == EffectKind::kMenuSearch || (e.kind == EffectKind::kMenuList && e.generation != 0) ||
             (e.kind == EffectKind::kMenuDetails && e.step_id == 0);
    });
    s_.focus = ItemFocus{};
    s_.view = std::move(view);
    Enter(SessionState::kBrowsing);
    switch (s_.view.kind) {
      case ViewKind::kHome:
        if (Filtered()) {
          Search("", {});
        } else if (menu_.known && menu_.truncated) {
          Search("", {"popular"});
        } else if (!menu_.known) {
          s_.view.loading = true;
        }
        WantMenu();
        break;
      case ViewKind::kCategory:
        if (Filtered()) {
          Search("", {});
        } else if (menu_.known && menu_.truncated) {
          messages::ListRequest request;
          request.category = s_.view.category;
          s_.view.loading = true;
          Emit(EffectKind::kMenuList, json::Encode(request)).generation = s_.generation;
        } else if (!menu_.known) {
          s_.view.loading = true;
        }
        WantMenu();
        break;
      case ViewKind::kSearch:
        Search(s_.view.query, {});
        WantMenu();
        break;
      case ViewKind::kRecommend:
        WantSuggestions();
        s_.view.loading = s_.suggestions_for != s_.cart_version;
        WantMenu();
        break;
    }
  }

  void GoHome() { SetView(View{}); }

  void GoSearch(absl::string_view text, std::vector<std::string> dietary = {}) {
    const absl::string_view query = absl::StripAsciiWhitespace(text);
    View view;
    view.kind = query.empty() && dietary.empty() ? ViewKind::kHome : ViewKind::kSearch;
    view.dietary_filters = std::move(dietary);
    view.query = std::string(query.substr(0, 400));
    // A query cut inside a character would not be UTF-8.
    while (query.size() > 400 && !view.query.empty() &&
           (static_cast<unsigned char>(view.query.back()) & 0xC0) == 0x80) {
      view.query.pop_back();
    }
    if (query.size() > 400 && !view.query.empty() &&
        (static_cast<unsigned char>(view.query.back()) & 0xC0) == 0xC0) {
      view.query.pop_back();
    }
    SetView(std::move(view));
  }

  void GoCategory(const std::string& category, std::vector<std::string> dietary = {}) {
    const bool exists = absl::c_any_of(menu_.categories, [&](const auto& c) { return c.id == category; });
    if (menu_.known && !exists) {
      Say("MENU_NOT_FOUND", "There is no such category on the menu.", "warning");
      WantMenu();
      return;
    }
    View view;
    view.kind = ViewKind::kCategory;
    view.category = category;
    view.dietary_filters = std::move(dietary);
    SetView(std::move(view));
  }

  void GoItem(int64_t item_id, std::vector<std::string> customizations, std::string note) {
    ++s_.generation;
    Drop([](const Effect& e) { return e.kind == EffectKind::kMenuDetails && e.step_id == 0; });
    if (s_.focus.item_id != item_id) {
      s_.focus = ItemFocus{};
      s_.focus.item_id = item_id;
    }
    s_.focus.loading = true;
    s_.focus.line_id = 0;
    s_.focus.customizations = std::move(customizations);
    s_.focus.note = std::move(note);
    Enter(SessionState::kDetails);
    WantMenu();
    Effect& effect = Emit(EffectKind::kMenuDetails, json::Encode(messages::DetailsRequest{item_id}));
    effect.generation = s_.generation;
    effect.item_id = item_id;
  }

  // The dish of a line of the cart as it was ordered, to be changed.
  void GoLine(int64_t item_id, int64_t line_id) {
    const auto line = FindLine(item_id, line_id);
    if (line == s_.cart.end()) {
      SayNotInCart();
      return;
    }
    GoItem(item_id, line->customizations, line->note);
    s_.focus.line_id = line_id;
  }

  // From the details of a dish to the cart.
  void LeaveDish() {
    ++s_.generation;
    s_.focus = ItemFocus{};
    GoCart();
  }

  // Back from details or cart to the grid as it was.
  void GoBrowse() {
    ++s_.generation;
    s_.focus = ItemFocus{};
    Enter(SessionState::kBrowsing);
    if (s_.view.loading && s_.view.kind != ViewKind::kHome) {
      SetView(s_.view);
    } else {
      WantMenu();
    }
  }

  void GoCart() { Enter(SessionState::kCart); }

  void WantSuggestions() {
    if (s_.suggestions_for == s_.cart_version) return;
    const auto asked = [&](const Effect& e) {
      return e.kind == EffectKind::kSuggest && e.generation == s_.cart_version;
    };
    if (absl::c_any_of(s_.outbox, asked) || absl::c_any_of(pending_, asked)) return;
    Drop([](const Effect& e) { return e.kind == EffectKind::kSuggest; });
    messages::SuggestRequest request;
    std::map<int64_t, int64_t> quantities;
    for (const CartLine& line : s_.cart) quantities[line.item_id] += line.quantity;
    for (const auto& [item_id, quantity] : quantities) {
      request.cart.push_back({item_id, std::min<int64_t>(quantity, kMaxCartQuantity)});
    }
    request.context = Context();
    request.dietary_filters = s_.dietary_filters;
    request.exclude_allergens = s_.exclude_allergens;
    Emit(EffectKind::kSuggest, json::Encode(request)).generation = s_.cart_version;
  }

  messages::OrderContext Context() const {
    messages::OrderContext context;
    context.time_of_day = TimeOfDay(now_, config_.time_zone);
    if (!config_.weather.empty()) context.weather = config_.weather;
    context.party_size = s_.party_size;
    return context;
  }

  // The cart.

  void CartChanged() {
    ++s_.cart_version;
    if (s_.cart.empty()) {
      s_.verified = false;
      if (s_.state == SessionState::kCheckout) Enter(SessionState::kCart);
    }
  }

  void Enqueue(PendingStep step) {
    if (s_.steps.size() >= kMaxPendingSteps || s_.outbox.size() >= kMaxEffects) {
      Say("BUSY", "One moment, please. Your last touches are still being worked on.", "warning");
      return;
    }
    step.id = s_.next_step_id++;
    if (step.kind == StepKind::kAdd || step.kind == StepKind::kModify) {
      Check check;
      check.item_id = step.item_id;
      step.checks.push_back(std::move(check));
      AskFor(step);
    }
    s_.steps.push_back(std::move(step));
  }

  void AskFor(PendingStep& step) {
    step.started = true;
    step.asked_ms = now_ms_;
    for (const Check& check : step.checks) {
      Effect& effect = Emit(EffectKind::kMenuDetails, json::Encode(messages::DetailsRequest{check.item_id}));
      effect.step_id = step.id;
      effect.item_id = check.item_id;
    }
  }

  // Applies the steps at the head that need nothing more.
  void PumpSteps() {
    while (!s_.steps.empty()) {
      PendingStep& head = s_.steps.front();
      if (NeedsWholeCart(head) && !head.started) {
        s_.verified = false;
        std::set<int64_t> item_ids;
        for (const CartLine& line : s_.cart) item_ids.insert(line.item_id);
        for (const int64_t item_id : item_ids) {
          Check check;
          check.item_id = item_id;
          head.checks.push_back(std::move(check));
        }
        AskFor(head);
      }
      if (!absl::c_all_of(head.checks, [](const Check& check) { return check.done; })) return;
      PendingStep step = std::move(head);
      s_.steps.erase(s_.steps.begin());
      Apply(step);
    }
  }

  // A payment begins from a cart that the menu was asked for just now: what was checked when the customer
  // came to the checkout may be sold out since.
  bool NeedsWholeCart(const PendingStep& step) const {
    if (step.kind == StepKind::kCheckout) return true;
    if (step.kind != StepKind::kConfirm || !MayPay()) return false;
    return !s_.verified || now_ms_ - s_.verified_ms > Millis(config_.fresh_check);
  }
  bool MayPay() const { return s_.state == SessionState::kCheckout && !s_.cart.empty() && !PaymentOpen(); }

  void Apply(const PendingStep& step) {
    if (PaymentOpen()) {  // it began while this waited, and what is being paid cannot change
      if (step.kind != StepKind::kCheckout && step.kind != StepKind::kConfirm) SayPaymentInProgress();
      return;
    }
    switch (step.kind) {
      case StepKind::kAdd:
        ApplyAdd(step);
        break;
      case StepKind::kRemove:
        ApplyRemove(step);
        break;
      case StepKind::kUpdateQty:
        ApplyUpdate(step);
        break;
      case StepKind::kModify:
        ApplyModify(step);
        break;
      case StepKind::kCheckout:
        ApplyCheckout(step);
        break;
      case StepKind::kConfirm:
        ApplyConfirm(step);
        break;
    }
  }

  std::string NameOf(int64_t item_id) const {
    const auto found = menu_.items.find(item_id);
    if (found != menu_.items.end()) return found->second.name;
    for (const CartLine& line : s_.cart) {
      if (line.item_id == item_id) return line.name;
    }
    return "This item";
  }

  // What did not happen is seen, although the next of a row of touches is done at once.
  void SayCheckFailed(const Check& check) {
    const int64_t until = now_ms_ + kFailureStaysMs;
    if (check.error_code == "ITEM_OUT_OF_STOCK") {
      Say(check.error_code, absl::StrCat(NameOf(check.item_id), " is sold out. We are sorry."), "warning",
          until);
    } else if (check.error_code == "MENU_NOT_FOUND") {
      Say(check.error_code, "This item is not on the menu.", "warning", until);
    } else {
      Say(check.error_code, "We could not reach the menu. Please try again.", "error", until);
    }
  }

  // A line of `item` with the customisations of that name, in the menu's order. Nothing when one is unknown
  // or the price is no price.
  std::optional<CartLine> MakeLine(const Item& item, const std::vector<std::string>& names,
                                   absl::string_view note) {
    CartLine line;
    line.item_id = item.id;
    line.name = item.name;
    line.image = item.image;
    line.note = std::string(note);
    const int exponent = static_cast<int>(s_.exponent);
    absl::StatusOr<int64_t> price = item.price.ToMinor(exponent);
    for (const std::string& name : names) {
      const bool known = absl::c_any_of(item.customizations,
                                        [&](const messages::Customization& c) { return c.name == name; });
      if (!known) {
        Say("INVALID_CUSTOMIZATION",
            absl::StrCat("\"", name.substr(0, 60), "\" is not offered for ", item.name, "."), "warning");
        return std::nullopt;
      }
    }
    for (const messages::Customization& customization : item.customizations) {
      if (!absl::c_linear_search(names, customization.name)) continue;
      if (absl::c_linear_search(line.customizations, customization.name)) continue;
      line.customizations.push_back(customization.name);
      absl::StatusOr<int64_t> extra = customization.price.ToMinor(exponent);
      if (price.ok()) price = extra.ok() ? absl::StatusOr<int64_t>(*price + *extra) : extra;
    }
    if (!price.ok() || *price < 0) {
      Say("INTERNAL", absl::StrCat(item.name, " cannot be sold now: its price is not valid."), "error");
      return std::nullopt;
    }
    line.unit_price = *price;
    return line;
  }

  int64_t CartQuantity() const { return TotalsOf(s_.cart, 0).count; }

  void ApplyAdd(const PendingStep& step) {
    const Check& check = step.checks.front();
    if (!check.error_code.empty()) {
      SayCheckFailed(check);
      return;
    }
    std::vector<CartLine> cart = s_.cart;
    std::vector<std::string> customizations = step.customizations;
    std::string note = step.note.value_or("");
    std::vector<std::string> replaced;
    if (step.in_place_of_parts && !TakeParts(check.item, cart, customizations, note, replaced)) return;
    std::optional<CartLine> line = MakeLine(check.item, customizations, note);
    if (!line.has_value()) return;
    const int64_t quantity = step.quantity.value_or(1);
    CartLine* same = nullptr;
    for (CartLine& other : cart) {
      if (other.item_id == line->item_id && other.customizations == line->customizations &&
          other.note == line->note) {
        same = &other;
      }
    }
    if (TotalsOf(cart, 0).count + quantity > kMaxCartQuantity ||
        (same == nullptr ? quantity : same->quantity + quantity) > kMaxLineQuantity ||
        (same == nullptr && static_cast<int64_t>(cart.size()) >= kMaxLines)) {
      Say("CART_FULL", "Your order is as large as this kiosk takes. Please ask our staff for more.",
          "warning");
      return;
    }
    if (same != nullptr) {
      same->quantity += quantity;
      same->unit_price = line->unit_price;
    } else {
      line->line_id = s_.next_line_id++;
      line->quantity = quantity;
      cart.push_back(*line);
    }
    s_.cart = std::move(cart);
    Say("ADDED", replaced.empty() ? absl::StrCat(quantity, " x ", line->name, " added.")
                                  : absl::StrCat(quantity, " x ", line->name, " instead of ",
                                                 absl::StrJoin(replaced, ", "), "."));
    WarnOfAllergens(check.item);
    CartChanged();
    if (s_.state == SessionState::kDetails && s_.focus.item_id == step.item_id) {
      LeaveDish();
    }
  }

  // Takes one of each part of `combo` out of `cart`. What was chosen for a part is chosen for the combo,
  // which has to offer it; notes are kept with the part's name. False, and said why, when that cannot be
  // kept.
  bool TakeParts(const Item& combo, std::vector<CartLine>& cart, std::vector<std::string>& customizations,
                 std::string& note, std::vector<std::string>& replaced) {
    const auto offered = [&](const std::string& name) {
      return absl::c_any_of(combo.customizations,
                            [&](const messages::Customization& c) { return c.name == name; });
    };
    // Of several lines of a part the plainest: as much as possible stays as it was ordered.
    const auto trouble = [&](const CartLine& line) {
      if (!absl::c_all_of(line.customizations, offered)) return 2;
      return line.customizations.empty() && line.note.empty() ? 0 : 1;
    };
    // What is left out costs nothing: the kitchen reads it.
    const auto left_out = [](const std::string& name) { return absl::StartsWithIgnoreCase(name, "no "); };
    for (const int64_t part : combo.combo_of) {
      auto best = cart.end();
      for (auto line = cart.begin(); line != cart.end(); ++line) {
        if (line->item_id == part && (best == cart.end() || trouble(*line) <= trouble(*best))) best = line;
      }
      if (best == cart.end()) continue;
      std::vector<std::string> wishes;
      for (const std::string& name : best->customizations) {
        if (!offered(name) && left_out(name)) {
          wishes.push_back(name);
          continue;
        }
        if (!offered(name)) {
          Say("INVALID_CUSTOMIZATION",
              absl::StrCat("\"", name.substr(0, 60), "\" is not offered for ", combo.name,
                           ". Your order is as it was."),
              "warning");
          return false;
        }
        customizations.push_back(name);
      }
      if (!best->note.empty()) wishes.push_back(best->note);
      if (!wishes.empty()) {
        absl::StrAppend(&note, note.empty() ? "" : "; ", best->name, ": ", absl::StrJoin(wishes, ", "));
        if (note.size() > kMaxNoteBytes) {
          Say("INVALID_CUSTOMIZATION",
              absl::StrCat("Your notes are too long for one ", combo.name, ". Your order is as it was."),
              "warning");
          return false;
        }
      }
      replaced.push_back(best->name);
      if (--best->quantity == 0) cart.erase(best);
    }
    return true;
  }

  void WarnOfAllergens(const Item& item) {
    for (const std::string& allergen : s_.exclude_allergens) {
      if (absl::c_linear_search(item.allergens, allergen)) {
        Say("ALLERGEN", absl::StrCat(item.name, " contains ", allergen, "."), "warning");
      }
    }
    for (const std::string& filter : s_.dietary_filters) {
      if (!Satisfies(item.dietary, filter)) {
        Say("DIETARY",
            absl::StrCat(item.name, " is not known to be ", absl::StrJoin(absl::StrSplit(filter, '_'), " "),
                         "."),
            "warning");
      }
    }
  }

  // The line that a remove or update_qty means.
  std::vector<CartLine>::iterator FindLine(const PendingStep& step) {
    if (!step.line_id.has_value()) return FindLine(step.item_id, step.customizations, step.note);
    return FindLine(step.item_id, *step.line_id);
  }
  std::vector<CartLine>::iterator FindLine(int64_t item_id, int64_t line_id) {
    return absl::c_find_if(
        s_.cart, [&](const CartLine& line) { return line.line_id == line_id && line.item_id == item_id; });
  }

  // The latest line of the item, or the one with these customisations when there are any.
  std::vector<CartLine>::iterator FindLine(int64_t item_id, const std::vector<std::string>& customizations,
                                           const std::optional<std::string>& note) {
    for (auto line = s_.cart.rbegin(); line != s_.cart.rend(); ++line) {
      if (line->item_id != item_id) continue;
      if (!customizations.empty() &&
          std::set<std::string>(customizations.begin(), customizations.end()) !=
              std::set<std::string>(line->customizations.begin(), line->customizations.end())) {
        continue;
      }
      if (note.has_value() && *note != line->note) continue;
      return std::next(line).base();
    }
    return s_.cart.end();
  }

  void SayNotInCart() { Say("NOT_IN_CART", "This item is not in your cart.", "warning"); }

  void ApplyRemove(const PendingStep& step) {
    const auto line = FindLine(step);
    if (line == s_.cart.end()) {
      SayNotInCart();
      return;
    }
    if (step.quantity.value_or(0) == 0 || *step.quantity >= line->quantity) {
      Say("REMOVED", absl::StrCat(line->name, " removed."));
      s_.cart.erase(line);
    } else {
      line->quantity -= *step.quantity;
      Say("REMOVED", absl::StrCat(*step.quantity, " x ", line->name, " removed."));
    }
    CartChanged();
  }

  void ApplyUpdate(const PendingStep& step) {
    const auto line = FindLine(step);
    if (line == s_.cart.end()) {
      SayNotInCart();
      return;
    }
    const int64_t quantity = step.quantity.value_or(line->quantity);
    if (quantity == 0) {
      Say("REMOVED", absl::StrCat(line->name, " removed."));
      s_.cart.erase(line);
      CartChanged();
      return;
    }
    if (quantity > kMaxLineQuantity || CartQuantity() - line->quantity + quantity > kMaxCartQuantity) {
      Say("CART_FULL", "Your order is as large as this kiosk takes. Please ask our staff for more.",
          "warning");
      return;
    }
    if (line->quantity == quantity) return;
    line->quantity = quantity;
    CartChanged();
  }

  void ApplyModify(const PendingStep& step) {
    const Check& check = step.checks.front();
    const auto line = step.line_id.has_value() ? FindLine(step.item_id, *step.line_id)
                                               : FindLine(step.item_id, {}, std::nullopt);
    if (line == s_.cart.end()) {
      SayNotInCart();
      return;
    }
    if (!check.error_code.empty()) {
      SayCheckFailed(check);
      return;
    }
    std::optional<CartLine> changed =
        MakeLine(check.item, step.customizations, step.note.value_or(line->note));
    if (!changed.has_value()) return;
    changed->line_id = line->line_id;
    changed->quantity = line->quantity;
    *line = *std::move(changed);
    // Two lines that have become alike are one.
    for (auto other = s_.cart.begin(); other != s_.cart.end(); ++other) {
      if (other->line_id == line->line_id || other->item_id != line->item_id ||
          other->customizations != line->customizations || other->note != line->note ||
          other->quantity + line->quantity > kMaxLineQuantity) {
        continue;
      }
      other->quantity += line->quantity;
      s_.cart.erase(line);
      break;
    }
    Say("CHANGED", absl::StrCat(check.item.name, " changed."));
    CartChanged();
    if (s_.state == SessionState::kDetails && step.line_id.has_value() && s_.focus.line_id == *step.line_id) {
      LeaveDish();
    }
  }

  void DropConfirms() {
    s_.steps.erase(std::remove_if(s_.steps.begin(), s_.steps.end(),
                                  [](const PendingStep& step) { return step.kind == StepKind::kConfirm; }),
                   s_.steps.end());
  }

  // Takes out of the cart what cannot be had, and takes over the prices of now. When that changes anything,
  // no confirmation counts: the customer has to see it first.
  void ApplyCheckout(const PendingStep& step) {
    bool changed = false;
    bool unreachable = false;
    std::vector<CartLine> kept;
    std::set<int64_t> told;
    for (CartLine& line : s_.cart) {
      const Check* check = nullptr;
      for (const Check& candidate : step.checks) {
        if (candidate.item_id == line.item_id) check = &candidate;
      }
      if (check == nullptr) {
        kept.push_back(std::move(line));
        continue;
      }
      if (check->error_code == "ITEM_OUT_OF_STOCK" || check->error_code == "MENU_NOT_FOUND") {
        if (told.insert(line.item_id).second) {
          Say("ITEM_OUT_OF_STOCK", absl::StrCat(line.name, " is sold out and was taken out of your cart."),
              "warning");
        }
        changed = true;
        continue;
      }
      if (!check->error_code.empty()) {
        unreachable = true;
        kept.push_back(std::move(line));
        continue;
      }
      std::optional<CartLine> fresh = MakeLine(check->item, line.customizations, line.note);
      if (!fresh.has_value()) {
        Say("ITEM_OUT_OF_STOCK",
            absl::StrCat(line.name, " can no longer be made as ordered and was taken out of your cart."),
            "warning");
        changed = true;
        continue;
      }
      if (fresh->unit_price != line.unit_price) {
        Say("PRICE_CHANGED", absl::StrCat("The price of ", line.name, " has changed."), "warning");
        changed = true;
      }
      fresh->line_id = line.line_id;
      fresh->quantity = line.quantity;
      kept.push_back(*std::move(fresh));
    }
    s_.cart = std::move(kept);
    if (changed) CartChanged();
    if (unreachable) {
      Say("UNAVAILABLE", "We could not check your order with the menu. Please try again.", "error");
      s_.verified = false;
      if (s_.state == SessionState::kCheckout) Enter(SessionState::kCart);
      DropConfirms();
      return;
    }
    s_.verified = !s_.cart.empty();
    s_.verified_ms = step.asked_ms;
    if (changed || s_.cart.empty()) DropConfirms();
    if (s_.cart.empty() && s_.state == SessionState::kCheckout) {
      Say("CART_EMPTY", "Your cart is empty.", "warning");
      Enter(SessionState::kCart);
    }
  }

  void ApplyConfirm(const PendingStep& step) {
    if (!MayPay()) return;
    if (!step.checks.empty()) {
      const int64_t cart_version = s_.cart_version;
      ApplyCheckout(step);
      if (!s_.verified || s_.cart_version != cart_version) return;
    }
    StartPayment();
  }

  void GoCheckout() {
    if (s_.cart.empty() && s_.steps.empty()) {
      Say("CART_EMPTY", "Your cart is empty.", "warning");
      GoCart();
      return;
    }
    Enter(SessionState::kCheckout);
    s_.verified = false;
    PendingStep step;
    step.kind = StepKind::kCheckout;
    Enqueue(std::move(step));
  }

  // Payment.

  void StartPayment() {
    const Totals totals = TotalsOf(s_.cart, config_.tax_ppm);
    const std::string signature = SignatureOf(s_.cart, totals.total, s_.currency);
    if (s_.order.order_id.empty() || s_.order.signature != signature) {
      const std::string day = absl::FormatTime("%Y-%m-%d", now_, config_.time_zone);
      if (day != s_.order_day) s_.orders_of_day = 0;
      s_.order_day = day;
      ++s_.orders_of_day;
      s_.order = Order{};
      s_.order.order_id = DeriveUuid(s_.id_seed, absl::StrCat("order:", ++s_.orders));
      s_.order.order_number = absl::StrCat(SlotName(s_.slot), s_.orders_of_day);
      s_.order.signature = signature;
    }
    Order& order = s_.order;
    order.session_id = s_.session_id;
    order.trace_id = trace_id_;
    order.currency = s_.currency;
    order.exponent = s_.exponent;
    order.lines = s_.cart;
    order.total = totals.total;
    order.loyalty_card = s_.loyalty_card;
    order.context = Context();
    ++order.attempt;
    order.open = true;
    order.unknown = false;
    order.refused = false;
    order.refusal.clear();
    order.sends = 0;
    order.trouble_since_ms = 0;
    order.next_check_ms = 0;
    order.cancel = CancelIntent::kNone;
    Enter(SessionState::kPaying);
    Led("#0080FF", messages::LedPattern::kPulse, 0);
    SendProcess(order);
  }

  void SendProcess(Order& order) {
    ++order.sends;
    order.deadline_ms = now_ms_ + Millis(config_.payment_timeout);
    order.next_check_ms = 0;
    messages::ProcessPaymentRequest request;
    const int exponent = static_cast<int>(order.exponent);
    request.order_id = order.order_id;
    request.total = Decimal::FromMinor(order.total, exponent);
    request.order_number = order.order_number;
    if (!order.loyalty_card.empty()) request.loyalty_card = order.loyalty_card;
    for (const CartLine& line : order.lines) {
      messages::PaymentLine payment_line;
      payment_line.item_id = line.item_id;
      payment_line.name = line.name;
      payment_line.qty = line.quantity;
      payment_line.price = Decimal::FromMinor(line.unit_price, exponent);
      payment_line.customizations = line.customizations;
      if (!line.note.empty()) payment_line.note = line.note;
      request.items.push_back(std::move(payment_line));
    }
    Effect& effect = Emit(EffectKind::kPaymentProcess, json::Encode(request));
    effect.order_id = order.order_id;
    effect.session_id = order.session_id;
    effect.trace_id = order.trace_id;
    effect.idempotency_key = absl::StrCat(order.order_id, ":", order.attempt);
  }

  void AskStatus(Order& order) {
    order.next_check_ms = 0;
    if (Outstanding(EffectKind::kPaymentStatus, order.order_id)) return;
    Effect& effect =
        Emit(EffectKind::kPaymentStatus, json::Encode(messages::PaymentStatusRequest{order.order_id}));
    effect.order_id = order.order_id;
    effect.session_id = order.session_id;
    effect.trace_id = order.trace_id;
  }

  void AskCancel(Order& order) {
    if (Outstanding(EffectKind::kPaymentCancel, order.order_id)) return;
    Effect& effect =
        Emit(EffectKind::kPaymentCancel, json::Encode(messages::CancelPaymentRequest{order.order_id}));
    effect.order_id = order.order_id;
    effect.session_id = order.session_id;
    effect.trace_id = order.trace_id;
    effect.idempotency_key = absl::StrCat(order.order_id, ":", order.attempt, ":cancel");
  }

  bool IsCurrent(const Order& order) const { return &order == &s_.order; }
  bool DeadlinePassed(const Order& order) const { return now_ms_ > order.deadline_ms + kDeadlineMarginMs; }

  void Trouble(Order& order, int64_t again_ms) {
    if (order.trouble_since_ms == 0) order.trouble_since_ms = now_ms_;
    order.next_check_ms = now_ms_ + again_ms;
    if (now_ms_ - order.trouble_since_ms >= Millis(config_.payment_trouble)) MarkUnknown(order);
  }

  void MarkUnknown(Order& order) {
    if (order.unknown) return;
    order.unknown = true;
    if (!IsCurrent(order)) return;
    s_.messages.clear();
    s_.error = {"PAYMENT_UNKNOWN", "We do not know yet whether your payment went through.", "error"};
    Led("#FF0000", messages::LedPattern::kError, 5000);
    s_.last_activity_ms = now_ms_;
    Enter(SessionState::kError);
  }

  void PaymentAnswer(Order& order, EffectKind asked, const CommandResult& result) {
    if (!order.open) return;
    const int64_t poll = Millis(config_.payment_poll);
    if (!result.status.ok() || !result.payment.has_value()) {
      const ErrorCode code = WireErrorCode(result.status);
      if (asked == EffectKind::kPaymentProcess && code == ErrorCode::kInvalidRequest) {
        order.refused = true;
        order.refusal = std::string(result.status.message().substr(0, 300));
      }
      // The request may have had its effect whatever became of its answer.
      if (asked == EffectKind::kPaymentStatus) {
        if (code == ErrorCode::kPaymentUnknown) {
          MarkUnknown(order);
          Trouble(order, kUnknownPollFactor * poll);
        } else {
          Trouble(order, poll);
        }
      } else {
        if (order.trouble_since_ms == 0) order.trouble_since_ms = now_ms_;
        AskStatus(order);
      }
      return;
    }
    const messages::PaymentOutcome& outcome = *result.payment;
    switch (outcome.status) {
      case PaymentStatus::kSuccess:
        Succeed(order, outcome);
        return;
      case PaymentStatus::kPending:
        order.trouble_since_ms = 0;
        order.next_check_ms = now_ms_ + poll;
        // The cancellation was lost, or came before the request that it was meant for.
        if (asked == EffectKind::kPaymentStatus && order.cancel != CancelIntent::kNone) AskCancel(order);
        return;
      case PaymentStatus::kUnknown:
        MarkUnknown(order);
        Trouble(order, kUnknownPollFactor * poll);
        return;
      case PaymentStatus::kFailed:
      case PaymentStatus::kCancelled:
        // For a later attempt it may be the outcome of the one before, while its own request is on the way.
        if (asked != EffectKind::kPaymentProcess && order.attempt > 1 && !order.refused &&
            !DeadlinePassed(order)) {
          Unprocessed(order, outcome);
        } else {
          Fail(order, outcome);
        }
        return;
      case PaymentStatus::kNone:
        Unprocessed(order, outcome);
        return;
    }
  }

  // The payment agent knows nothing of this attempt.
  void Unprocessed(Order& order, const messages::PaymentOutcome& outcome) {
    const int64_t poll = Millis(config_.payment_poll);
    if (order.refused || DeadlinePassed(order)) {
      messages::PaymentOutcome failed = outcome;
      failed.status = PaymentStatus::kFailed;
      if (!failed.error_code.has_value()) {
        failed.error_code =
            std::string(ErrorCodeName(order.refused ? ErrorCode::kInvalidRequest : ErrorCode::kUnavailable));
      }
      Fail(order, failed);
      return;
    }
    // Its request is on its way, or wanted no more: it ends at its deadline.
    const bool on_its_way = Outstanding(EffectKind::kPaymentProcess, order.order_id);
    const bool unwanted = order.cancel != CancelIntent::kNone || !IsCurrent(order) || order.unknown;
    if (on_its_way || unwanted || order.sends >= kMaxSends) {
      order.next_check_ms =
          std::min(now_ms_ + kUnknownPollFactor * poll, order.deadline_ms + kDeadlineMarginMs + 1);
      order.next_check_ms = std::max(order.next_check_ms, now_ms_ + 1);
      return;
    }
    SendProcess(order);
  }

  void EndAttempt(Order& order) {
    order.open = false;
    order.unknown = false;
    order.next_check_ms = 0;
    order.trouble_since_ms = 0;
    const std::string order_id = order.order_id;
    Drop([&](const Effect& e) {
      return e.order_id == order_id &&
             (e.kind == EffectKind::kPaymentProcess || e.kind == EffectKind::kPaymentStatus ||
              e.kind == EffectKind::kPaymentCancel);
    });
  }

  void Succeed(Order& order, const messages::PaymentOutcome& outcome) {
    EndAttempt(order);
    order.outcome = outcome;
    const int exponent = static_cast<int>(order.exponent);
    const std::string transaction_id = outcome.transaction_id.value_or(order.order_id);

    messages::OrderCompleted completed;
    completed.order_id = order.order_id;
    completed.order_number = order.order_number;
    completed.kiosk_id = s_.kiosk_id;
    completed.lines = OrderLines(order.lines, order.exponent);
    completed.total = Decimal::FromMinor(order.total, exponent);
    completed.payment.transaction_id = transaction_id.empty() ? order.order_id : transaction_id;
    completed.payment.amount_charged = outcome.amount_charged;
    completed.payment.loyalty_points_earned = outcome.loyalty_points_earned;
    completed.payment.receipt_url = outcome.receipt_url;
    completed.context = order.context;
    Effect& event = Emit(EffectKind::kOrderCompleted, json::Encode(completed));
    event.msg_id = DeriveUuid(order.order_id, "order_completed");
    event.session_id = order.session_id;
    event.trace_id = order.trace_id;
    event.order_id = order.order_id;

    if (IsCurrent(order)) Led("#00FF00", messages::LedPattern::kSolid, 5000);

    messages::PrintRequest print;
    print.order_id = order.order_id;
    print.total = completed.total;
    print.transaction_id = completed.payment.transaction_id;
    print.order_number = order.order_number;
    if (order.currency.size() == 3) print.currency = order.currency;
    print.receipt_url = outcome.receipt_url;
    for (const CartLine& line : order.lines) {
      messages::ReceiptLine receipt_line;
      receipt_line.item_id = line.item_id;
      receipt_line.name = line.name;
      receipt_line.qty = line.quantity;
      receipt_line.price = Decimal::FromMinor(line.unit_price, exponent);
      receipt_line.customizations = line.customizations;
      if (!line.note.empty()) receipt_line.note = line.note;
      print.items.push_back(std::move(receipt_line));
    }
    Effect& printing = Emit(EffectKind::kPrint, json::Encode(print));
    printing.order_id = order.order_id;
    printing.session_id = order.session_id;
    printing.trace_id = order.trace_id;
    printing.idempotency_key = absl::StrCat(order.order_id, ":print");
    printing.until_ms = now_ms_ + Millis(config_.print_timeout);
    PrintSent(printing);
    order.print = PrintStatus::kPending;

    if (!IsCurrent(order)) return;
    s_.cart.clear();
    CartChanged();
    s_.messages.clear();
    s_.steps.clear();
    Enter(SessionState::kPaid);
    s_.state_since_ms = now_ms_;
    s_.last_activity_ms = now_ms_;
    if (s_.person_left_ms != 0) s_.person_left_ms = now_ms_;
  }

  // The command may be lost on its way, with a stream that lives in memory: it is sent again until it is
  // answered. Hardware prints once for an order, however often it is asked.
  void PrintSent(Effect& print) {
    absl::Duration wait = config_.print_repeat;
    for (int64_t i = 0; i < print.sends && wait < config_.longest_print_repeat; ++i) wait *= 2;
    ++print.sends;
    print.again_ms = std::min(now_ms_ + Millis(std::min(wait, config_.longest_print_repeat)), print.until_ms);
  }

  // Sends again what is due, and gives up what nobody waits for any more; whether there was any.
  bool RepeatPrints() {
    std::vector<std::string> given_up;
    bool any = false;
    for (Effect& effect : s_.outbox) {
      if (effect.kind != EffectKind::kPrint || !Due(effect.again_ms)) continue;
      any = true;
      if (now_ms_ >= effect.until_ms) {
        given_up.push_back(effect.order_id);
      } else {
        PrintSent(effect);
        effects_.push_back(effect);
      }
    }
    for (const std::string& order_id : given_up) {
      Drop([&](const Effect& e) { return e.kind == EffectKind::kPrint && e.order_id == order_id; });
      SetPrinted(order_id, PrintStatus::kFailed);
    }
    return any;
  }

  void SetPrinted(absl::string_view order_id, PrintStatus status) {
    if (s_.order.order_id == order_id) s_.order.print = status;
  }

  void Fail(Order& order, const messages::PaymentOutcome& outcome) {
    const CancelIntent cancel = order.cancel;
    EndAttempt(order);
    order.outcome = outcome;
    order.cancel = CancelIntent::kNone;
    if (!IsCurrent(order)) return;
    if (cancel == CancelIntent::kEndSession) {
      Led("#000000", messages::LedPattern::kSolid, 0);
      End(EndReason::kCancelled);
      return;
    }
    s_.messages.clear();  // they spoke of the payment that was under way
    s_.last_activity_ms = now_ms_;
    if (s_.person_left_ms != 0) s_.person_left_ms = now_ms_;
    if (order.refused) {
      s_.error = {"INVALID_REQUEST", "This order could not be paid here.", "error"};
      Led("#FF0000", messages::LedPattern::kError, 2000);
      Enter(SessionState::kError);
      return;
    }
    Enter(SessionState::kCheckout);
    const std::string code = outcome.error_code.value_or(
        outcome.status == PaymentStatus::kCancelled ? "PAYMENT_CANCELLED" : "PAYMENT_DECLINED");
    if (cancel != CancelIntent::kNone || outcome.status == PaymentStatus::kCancelled) {
      Led("#000000", messages::LedPattern::kSolid, 0);
      Say("PAYMENT_CANCELLED", "The payment was cancelled. You were not charged.");
      return;
    }
    Led("#FF0000", messages::LedPattern::kError, 2000);
    if (code == "PAYMENT_TIMEOUT") {
      Say(code, "No card was presented in time. You were not charged; please try again.", "warning");
    } else if (code == "PAYMENT_DECLINED") {
      Say(code, "Your card was declined. You were not charged; please try another card.", "warning");
    } else {
      Say(code, "The payment did not go through. You were not charged; please try again.", "warning");
    }
  }

  void CancelPayment(CancelIntent intent) {
    s_.order.cancel = intent;
    AskCancel(s_.order);
  }

  // Touches.

  void On(const messages::Touch& touch) {
    publish_ = true;
    ForgetMessages();
    Activity();
    OnTouch(touch);
  }

  void OnTouch(const messages::Touch& touch) {
    if (touch.loyalty_card.has_value() && !s_.session_id.empty() && !PaymentOpen() &&
        (touch.action == TouchAction::kCheckout || touch.action == TouchAction::kConfirmPayment)) {
      s_.loyalty_card = *touch.loyalty_card;
    }
    switch (touch.action) {
      case TouchAction::kStart:
        if (s_.state == SessionState::kAttract) {
          Begin();
        } else if (s_.state == SessionState::kPaid) {
          if (End(EndReason::kCompleted)) Begin();
        } else if (Ready()) {
          GoHome();
        }
        break;
      case TouchAction::kSelectItem:
        if (!touch.item_id.has_value()) {
          Say("INVALID_REQUEST", "Please choose an item.", "warning");
        } else if (Ready()) {
          if (touch.line_id.has_value()) {
            GoLine(*touch.item_id, *touch.line_id);
          } else {
            GoItem(*touch.item_id, touch.customizations, touch.note.value_or(""));
          }
        }
        break;
      case TouchAction::kBrowseCategory:
        if (!touch.category.has_value() || touch.category->empty()) {
          if (Ready()) GoHome();
        } else if (Ready()) {
          GoCategory(*touch.category);
        }
        break;
      case TouchAction::kSearch:
        if (Ready()) GoSearch(touch.query.value_or(""));
        break;
      case TouchAction::kShowCart:
        if (Ready()) GoCart();
        break;
      case TouchAction::kCustomize:
        if (!touch.item_id.has_value()) {
          Say("INVALID_REQUEST", "Please choose an item.", "warning");
        } else if (Ready()) {
          Customize(touch);
        }
        break;
      case TouchAction::kCheckout:
        if (s_.state != SessionState::kAttract && Ready()) GoCheckout();
        break;
      case TouchAction::kConfirmPayment:
        if (s_.state == SessionState::kCheckout) {
          PendingStep step;
          step.kind = StepKind::kConfirm;
          const bool asked = absl::c_any_of(
              s_.steps, [](const PendingStep& pending) { return pending.kind == StepKind::kConfirm; });
          if (!asked) Enqueue(std::move(step));
        }
        break;
      case TouchAction::kCancelOrder:
        if (s_.state == SessionState::kPaying) {
          CancelPayment(CancelIntent::kEndSession);
        } else if (s_.state != SessionState::kAttract && s_.state != SessionState::kPaid && !PaymentOpen()) {
          End(EndReason::kCancelled);
        }
        break;
      case TouchAction::kBack:
        Back();
        break;
      case TouchAction::kSuggestedAction:
        Suggested(touch.label.value_or(""));
        break;
      case TouchAction::kKeepGoing:
        break;
      case TouchAction::kDone:
        if (s_.state == SessionState::kPaid) End(EndReason::kCompleted);
        break;
    }
  }

  void Back() {
    switch (s_.state) {
      case SessionState::kBrowsing:
        if (s_.view.kind != ViewKind::kHome) GoHome();
        break;
      case SessionState::kDetails:
        if (s_.focus.line_id != 0) {
          LeaveDish();
        } else {
          GoBrowse();
        }
        break;
      case SessionState::kCart:
        GoBrowse();
        break;
      case SessionState::kCheckout:
        DropConfirms();
        GoCart();
        break;
      case SessionState::kPaying:
        if (s_.order.cancel == CancelIntent::kNone) CancelPayment(CancelIntent::kToCheckout);
        break;
      case SessionState::kError:
        if (!PaymentOpen()) GoCart();
        break;
      case SessionState::kAttract:
      case SessionState::kPaid:
        break;
    }
  }

  void Customize(const messages::Touch& touch) {
    const int64_t item_id = *touch.item_id;
    const bool details = s_.state == SessionState::kDetails && s_.focus.item_id == item_id;
    if (details && !touch.line_id.has_value()) {
      if (s_.focus.has_item) {
        // Names that the item does not have would only fail when it is added.
        std::optional<CartLine> line = MakeLine(s_.focus.item, touch.customizations, "");
        if (!line.has_value()) return;
        s_.focus.customizations = line->customizations;
      } else {
        s_.focus.customizations = touch.customizations;
      }
      if (touch.note.has_value()) s_.focus.note = *touch.note;
      return;
    }
    const bool coming = absl::c_any_of(s_.steps, [&](const PendingStep& step) {
      return step.kind == StepKind::kAdd && step.item_id == item_id;
    });
    if (touch.line_id.has_value() || coming || FindLine(item_id, {}, std::nullopt) != s_.cart.end()) {
      PendingStep step;
      step.kind = StepKind::kModify;
      step.line_id = touch.line_id;
      step.item_id = item_id;
      step.customizations = touch.customizations;
      step.note = touch.note;
      Enqueue(std::move(step));
      return;
    }
    GoItem(item_id, touch.customizations, touch.note.value_or(""));
  }

  void Suggested(const std::string& label) {
    for (const Action& action : s_.actions) {
      if (action.label != label) continue;
      if (action.add_focus) {
        AddItem(s_.focus.item_id, 1, s_.focus.customizations, s_.focus.note);
      } else if (action.add_item_id != 0) {
        AddItem(action.add_item_id, 1, {}, "", action.in_place_of_parts);
      } else if (action.touch != TouchAction::kSuggestedAction) {
        messages::Touch touch;
        touch.action = action.touch;
        OnTouch(touch);
      }
      return;
    }
  }

  // Actions on the cart.

  void AddItem(int64_t item_id, int64_t quantity, std::vector<std::string> customizations, std::string note,
               bool in_place_of_parts = false) {
    if (item_id == 0 || !Ready()) return;
    PendingStep step;
    step.in_place_of_parts = in_place_of_parts;
    step.kind = StepKind::kAdd;
    step.item_id = item_id;
    step.quantity = quantity;
    step.customizations = std::move(customizations);
    if (!note.empty()) step.note = std::move(note);
    Enqueue(std::move(step));
  }

  void On(const messages::CartAction& action) {
    publish_ = true;
    ForgetMessages();
    Activity();
    switch (action.action) {
      case CartActionKind::kAdd: {
        const int64_t quantity = action.quantity.value_or(1);
        if (quantity == 0) {
          if (Ready()) Say("INVALID_REQUEST", "Nothing to add: the quantity is 0.", "warning");
          return;
        }
        AddItem(action.item_id, quantity, action.customizations, action.note.value_or(""));
        return;
      }
      case CartActionKind::kRemove:
      case CartActionKind::kUpdateQty: {
        if (action.action == CartActionKind::kUpdateQty && !action.quantity.has_value()) {
          if (Ready()) Say("INVALID_REQUEST", "How many would you like?", "warning");
          return;
        }
        if (!Ready()) return;
        PendingStep step;
        step.kind = action.action == CartActionKind::kRemove ? StepKind::kRemove : StepKind::kUpdateQty;
        step.item_id = action.item_id;
        step.quantity = action.quantity;
        step.customizations = action.customizations;
        step.note = action.note;
        step.line_id = action.line_id;
        Enqueue(std::move(step));
        return;
      }
    }
  }

  void On(const messages::TextInput& text) {
    if (!config_.text_is_search) {
      Note();
      return;
    }
    publish_ = true;
    ForgetMessages();
    Activity();
    if (Ready()) GoSearch(text.text);
  }

  void On(const messages::CardInput&) { Note(); }

  // What only shows that somebody is there.
  void Note() {
    const bool matters = s_.idle_warned || s_.person_left_ms != 0;
    Activity();
    quiet_ = !matters;
  }

  // Vision.

  void On(const messages::PersonDetected& person) {
    s_.person_present = true;
    if (person.estimated_party_size > 0) s_.party_size = person.estimated_party_size;
    if (s_.state == SessionState::kAttract) {
      Begin();
      publish_ = true;
    } else {
      Activity();
    }
  }

  void On(const messages::PersonLeft&) {
    s_.person_present = false;
    if (s_.state == SessionState::kPaid) {
      End(EndReason::kCompleted);
    } else if (s_.state != SessionState::kAttract && s_.person_left_ms == 0) {
      s_.person_left_ms = now_ms_;
      // A camera errs: who is there after all can keep what is in the cart.
      if (!s_.cart.empty() && s_.state != SessionState::kPaying && s_.state != SessionState::kError) {
        s_.idle_warned = true;
      }
    }
  }

  void On(const messages::GazeDetected& gaze) {
    if (gaze.looking_at_screen) {
      Note();
    } else {
      quiet_ = true;
    }
  }

  // Voice.

  void On(const messages::SpeechStart&) { Note(); }

  void On(const messages::Transcript&) { Note(); }

  void On(const messages::Intent& intent) {
    publish_ = true;
    ForgetMessages();
    Activity();
    const messages::IntentEntities& entities = intent.entities;
    for (const std::string& allergen : entities.exclude_allergens) ExcludeAllergen(allergen);
    for (const std::string& filter : entities.dietary_filters) NoteDietary(filter);
    switch (intent.intent_type) {
      case IntentType::kSearchMenu:
        if (Ready()) SearchFor(intent);
        break;
      case IntentType::kItemDetails:
        if (!Ready()) break;
        if (!entities.items.empty()) {
          const messages::IntentItem& item = entities.items.front();
          GoItem(item.item_id, item.modifiers, item.note.value_or(""));
        } else {
          SearchFor(intent);
        }
        break;
      case IntentType::kAddToCart:
        if (!Ready()) break;
        if (entities.items.empty()) {
          SearchFor(intent);
          break;
        }
        for (const messages::IntentItem& item : entities.items) {
          AddItem(item.item_id, std::max<int64_t>(1, item.quantity), item.modifiers, item.note.value_or(""));
        }
        break;
      case IntentType::kRemoveFromCart:
      case IntentType::kUpdateQuantity:
      case IntentType::kModifyItem:
        if (Ready()) ChangeItems(intent);
        break;
      case IntentType::kShowCart:
        if (Ready()) GoCart();
        break;
      case IntentType::kRecommend:
        if (Ready()) {
          NoteFilters(entities.modifiers);
          View recommend;
          recommend.kind = ViewKind::kRecommend;
          SetView(std::move(recommend));
        }
        break;
      case IntentType::kCheckout:
        OnTouchAction(TouchAction::kCheckout);
        break;
      case IntentType::kConfirm:
        Confirm();
        break;
      case IntentType::kDeny:
        if (s_.state == SessionState::kDetails || s_.state == SessionState::kCheckout ||
            s_.state == SessionState::kPaying) {
          Back();
        }
        break;
      case IntentType::kCancelOrder:
        OnTouchAction(TouchAction::kCancelOrder);
        break;
      case IntentType::kStartOver:
        if (!Ready()) break;
        s_.steps.clear();
        Drop([](const Effect& e) { return e.kind == EffectKind::kMenuDetails; });
        if (!s_.cart.empty()) {
          s_.cart.clear();
          CartChanged();
        }
        // The same customer, who is still allergic: the filters stay.
        GoHome();
        break;
      case IntentType::kGreet:
        if (s_.state == SessionState::kAttract) Begin();
        break;
      case IntentType::kHelp:
        if (s_.state == SessionState::kAttract) Begin();
        Say("HELP", "Touch a picture or say what you would like, then say \"checkout\" to pay.");
        break;
      case IntentType::kGoodbye:
        if (s_.state == SessionState::kPaid) {
          End(EndReason::kCompleted);
        } else if (s_.state != SessionState::kAttract && !PaymentOpen()) {
          if (s_.cart.empty() && s_.steps.empty()) {
            End(EndReason::kCancelled);
          } else {
            Say("CART_OPEN", "Your order is not paid yet. Cancel it, or go to checkout.", "warning");
          }
        }
        break;
      case IntentType::kRepeat:
        break;
      case IntentType::kUnknown:
        if (s_.state != SessionState::kAttract) {
          Say("NOT_UNDERSTOOD", "Sorry, I did not understand that.", "warning");
        }
        break;
    }
  }

  void OnTouchAction(TouchAction action) {
    messages::Touch touch;
    touch.action = action;
    OnTouch(touch);
  }

  void Confirm() {
    switch (s_.state) {
      case SessionState::kDetails:
        AddItem(s_.focus.item_id, 1, s_.focus.customizations, s_.focus.note);
        break;
      case SessionState::kCart:
        OnTouchAction(TouchAction::kCheckout);
        break;
      case SessionState::kCheckout:
        OnTouchAction(TouchAction::kConfirmPayment);
        break;
      case SessionState::kPaid:
        OnTouchAction(TouchAction::kDone);
        break;
      default:
        break;
    }
  }

  // False: it is there already, or there are as many as a search takes.
  static bool AddFilter(std::vector<std::string>& filters, const std::string& filter) {
    if (filters.size() >= 20 || absl::c_linear_search(filters, filter)) return false;
    filters.push_back(filter);
    return true;
  }

  void NoteDietary(const std::string& filter) {
    if (AddFilter(s_.dietary_filters, filter)) s_.suggestions_for = -1;
  }

  void ExcludeAllergen(const std::string& allergen) {
    if (s_.exclude_allergens.size() >= 40 || absl::c_linear_search(s_.exclude_allergens, allergen)) return;
    s_.exclude_allergens.push_back(allergen);
    s_.suggestions_for = -1;
  }

  // Takes dietary wishes out of `modifiers` into the session and returns the rest.
  std::vector<std::string> NoteFilters(const std::vector<std::string>& modifiers) {
    std::vector<std::string> rest;
    for (const std::string& modifier : modifiers) {
      const std::string name = Normalised(modifier);
      const std::string allergen = ExcludedAllergen(name);
      if (IsDietary(name)) {
        NoteDietary(name);
      } else if (!allergen.empty()) {
        ExcludeAllergen(allergen);
      } else {
        rest.push_back(modifier);
      }
    }
    return rest;
  }

  void SearchFor(const messages::Intent& intent) {
    const std::vector<std::string> rest = NoteFilters(intent.entities.modifiers);
    std::string query = intent.entities.item.value_or("");
    if (query.empty() && !intent.entities.items.empty()) query = intent.entities.items.front().name;
    if (query.empty() && intent.entities.modifiers.empty() && intent.entities.asked_dietary.empty()) {
      query = intent.raw_text;
    }
    // "extra cheese" describes the burger that is wanted, it is not another word to be found.
    if (query.empty()) query = absl::StrJoin(rest, " ");
    const std::vector<std::string>& asked = intent.entities.asked_dietary;
    for (const messages::ListCategory& category : menu_.categories) {
      if (asked.empty() || !absl::EqualsIgnoreCase(category.name, query)) continue;
      GoCategory(category.id, asked);
      return;
    }
    GoSearch(query, asked);
  }

  void ChangeItems(const messages::Intent& intent) {
    if (intent.entities.items.empty()) {
      Say("NOT_UNDERSTOOD", "Which item of your cart do you mean?", "warning");
      GoCart();
      return;
    }
    for (const messages::IntentItem& item : intent.entities.items) {
      PendingStep step;
      step.item_id = item.item_id;
      if (intent.intent_type == IntentType::kModifyItem) {
        step.kind = StepKind::kModify;
        step.customizations = item.modifiers;
        step.note = item.note;
      } else {
        step.kind =
            intent.intent_type == IntentType::kRemoveFromCart ? StepKind::kRemove : StepKind::kUpdateQty;
        step.quantity = item.quantity;
        step.customizations = item.modifiers;
      }
      Enqueue(std::move(step));
    }
  }

  // Time.

  void On(const Tick&) {
    quiet_ = absl::c_none_of(OpenOrders(), [&](const Order* order) { return Due(order->next_check_ms); });
    for (Order* order : OpenOrders()) {
      if (Due(order->next_check_ms)) AskStatus(*order);
    }
    if (RepeatPrints()) quiet_ = false;
    const bool left =
        s_.person_left_ms != 0 && now_ms_ >= s_.person_left_ms + Millis(config_.person_left_grace);
    const int64_t idle_ms = now_ms_ - s_.last_activity_ms;
    switch (s_.state) {
      case SessionState::kAttract:
      case SessionState::kPaying:
        break;
      case SessionState::kBrowsing:
      case SessionState::kDetails:
      case SessionState::kCart:
      case SessionState::kCheckout:
        if (left || idle_ms >= Millis(config_.idle_timeout)) {
          quiet_ = false;
          End(EndReason::kTimeout);
        } else if (idle_ms >= Millis(config_.idle_warning) && !s_.idle_warned) {
          quiet_ = false;
          s_.idle_warned = true;
        }
        break;
      case SessionState::kPaid:
        if (left || now_ms_ - s_.state_since_ms >= Millis(config_.paid_timeout)) {
          quiet_ = false;
          End(EndReason::kCompleted);
        }
        break;
      case SessionState::kError:
        if ((left && !PaymentOpen()) || idle_ms >= Millis(config_.error_timeout)) {
          quiet_ = false;
          if (!End(EndReason::kTimeout)) s_.last_activity_ms = now_ms_;
        }
        break;
    }
    DropSettled();
  }

  void On(const MenuNews&) { quiet_ = SameScreen(Render(s_, menu_, config_, now_).update, s_.ui); }

  bool Due(int64_t at_ms) const { return at_ms != 0 && now_ms_ >= at_ms; }

  std::vector<Order*> OpenOrders() {
    std::vector<Order*> orders;
    if (s_.order.open) orders.push_back(&s_.order);
    for (Order& order : s_.background) orders.push_back(&order);
    return orders;
  }

  void DropSettled() {
    s_.background.erase(std::remove_if(s_.background.begin(), s_.background.end(),
                                       [](const Order& order) { return !order.open; }),
                        s_.background.end());
  }

  // Recovery.

  void On(const Recover& recover) {
    s_.epoch = recover.epoch;
    show_ = false;
    Drop([&](const Effect& e) {
      return e.kind == EffectKind::kPaymentProcess ||
             (e.kind == EffectKind::kLed && now_ms_ - e.created_ms > kLedLifetimeMs);
    });
    for (Effect& effect : s_.outbox) {
      if (effect.kind != EffectKind::kPrint) continue;
      // It may be that nobody led for long. The receipt of an order that is paid still comes out then.
      effect.until_ms = std::max({effect.until_ms, effect.created_ms + Millis(config_.print_timeout),
                                  now_ms_ + Millis(config_.print_grace)});
      effect.sends = 0;
      PrintSent(effect);
    }
    effects_ = s_.outbox;
    // A request whose answer was lost may have been carried out: the status tells.
    for (Order* order : OpenOrders()) AskStatus(*order);
  }

  // Answers.

  void On(const CommandResult& result) {
    const auto entry = std::find_if(s_.outbox.begin(), s_.outbox.end(),
                                    [&](const Effect& e) { return e.id == result.effect_id; });
    if (entry == s_.outbox.end()) {
      quiet_ = true;  // it belongs to a screen or a session that is gone
      return;
    }
    if (entry->kind == EffectKind::kPrint && !result.status.ok() &&
        IsRetryable(WireErrorCode(result.status)) && now_ms_ < entry->until_ms) {
      quiet_ = true;  // it is sent again in its time
      return;
    }
    const Effect effect = std::move(*entry);
    s_.outbox.erase(entry);
    switch (effect.kind) {
      case EffectKind::kMenuList:
        OnList(effect, result);
        break;
      case EffectKind::kMenuSearch:
        OnSearch(effect, result);
        break;
      case EffectKind::kMenuDetails:
        if (effect.step_id != 0) {
          OnCheck(effect, result);
        } else {
          OnDetails(effect, result);
        }
        break;
      case EffectKind::kSuggest:
        if (effect.generation != s_.cart_version) break;
        s_.suggestions.clear();
        if (result.suggest.has_value()) s_.suggestions = result.suggest->suggestions;
        if (s_.suggestions.size() > 10) s_.suggestions.resize(10);
        s_.suggestions_for = s_.cart_version;
        if (s_.view.kind == ViewKind::kRecommend) s_.view.loading = false;
        break;
      case EffectKind::kPrint:
        SetPrinted(effect.order_id, result.status.ok() ? PrintStatus::kPrinted : PrintStatus::kFailed);
        break;
      case EffectKind::kPaymentProcess:
      case EffectKind::kPaymentStatus:
      case EffectKind::kPaymentCancel:
        for (Order* order : OpenOrders()) {
          if (order->order_id == effect.order_id) PaymentAnswer(*order, effect.kind, result);
        }
        DropSettled();
        break;
      case EffectKind::kUiUpdate:
      case EffectKind::kSessionStarted:
      case EffectKind::kSessionEnded:
      case EffectKind::kOrderCompleted:
      case EffectKind::kLed:
        break;
    }
  }

  static bool NotFound(const absl::Status& status) {
    return GetErrorCode(status) == ErrorCode::kMenuNotFound || absl::IsNotFound(status);
  }

  void OnList(const Effect& effect, const CommandResult& result) {
    if (effect.generation != 0) {
      if (effect.generation != s_.generation) return;
      s_.view.loading = false;
      s_.view.loaded = true;
      s_.view.results.clear();
      if (result.list.has_value()) {
        for (const messages::ListCategory& category : result.list->categories) {
          for (const messages::SearchItem& item : category.items) {
            if (category.id == s_.view.category) s_.view.results.push_back(item);
          }
        }
      } else if (!NotFound(result.status)) {
        Say("UNAVAILABLE", "We could not reach the menu. Please try again.", "error");
      }
      FinishResults();
      return;
    }
    const bool waits = s_.state == SessionState::kBrowsing && s_.view.loading &&
                       (s_.view.kind == ViewKind::kHome || s_.view.kind == ViewKind::kCategory) &&
                       !Filtered();
    if (!waits) return;
    s_.view.loading = false;
    if (!menu_.known) {
      Say("UNAVAILABLE", "The menu is not available now. Please try again.", "error");
    } else if (menu_.truncated) {
      SetView(s_.view);
    }
  }

  void FinishResults() {
    s_.view.total = static_cast<int64_t>(s_.view.results.size());
    if (s_.view.results.size() > kMaxShownItems) s_.view.results.resize(kMaxShownItems);
  }

  void OnSearch(const Effect& effect, const CommandResult& result) {
    if (effect.generation != s_.generation) return;
    View& view = s_.view;
    view.loading = false;
    view.loaded = true;
    view.results.clear();
    view.total = 0;
    if (result.search.has_value()) {
      for (const messages::SearchItem& item : result.search->items) {
        if (view.kind == ViewKind::kCategory) {
          const auto category = menu_.category_of.find(item.id);
          if (category == menu_.category_of.end() || category->second != view.category) continue;
        }
        view.results.push_back(item);
      }
      FinishResults();
      if (view.kind == ViewKind::kSearch && !view.results.empty()) {
        view.total = std::max(view.total, result.search->total_matches);
      }
    } else if (!NotFound(result.status)) {
      Say("UNAVAILABLE", "We could not reach the menu. Please try again.", "error");
      return;
    }
    if (view.results.empty()) {
      Say("MENU_NOT_FOUND", "We found nothing like that on the menu.", "warning");
    }
  }

  void OnDetails(const Effect& effect, const CommandResult& result) {
    if (effect.generation != s_.generation || s_.focus.item_id != effect.item_id) return;
    s_.focus.loading = false;
    if (result.details.has_value()) {
      s_.focus.has_item = true;
      s_.focus.item = result.details->item;
      s_.focus.item.id = effect.item_id;
      // Choices made before the list of customisations was known.
      std::vector<std::string> kept;
      for (const messages::Customization& customization : s_.focus.item.customizations) {
        if (absl::c_linear_search(s_.focus.customizations, customization.name))
          kept.push_back(customization.name);
      }
      s_.focus.customizations = std::move(kept);
      WarnOfAllergens(s_.focus.item);
      return;
    }
    Check failed;
    failed.item_id = effect.item_id;
    failed.error_code = CodeOf(result.status);
    SayCheckFailed(failed);
    if (failed.error_code == "MENU_NOT_FOUND" || failed.error_code == "ITEM_OUT_OF_STOCK") {
      if (s_.state == SessionState::kDetails) GoBrowse();
    }
  }

  static std::string CodeOf(const absl::Status& status) {
    if (NotFound(status)) return "MENU_NOT_FOUND";
    return std::string(ErrorCodeName(WireErrorCode(status)));
  }

  void OnCheck(const Effect& effect, const CommandResult& result) {
    for (PendingStep& step : s_.steps) {
      if (step.id != effect.step_id) continue;
      for (Check& check : step.checks) {
        if (check.item_id != effect.item_id) continue;
        check.done = true;
        if (!result.details.has_value()) {
          check.error_code = CodeOf(result.status);
        } else if (!result.details->item.available) {
          check.error_code = "ITEM_OUT_OF_STOCK";
        } else {
          check.item = result.details->item;
          check.item.id = effect.item_id;
        }
      }
    }
  }

  const Config& config_;
  KioskState s_;
  const MenuView& menu_;
  const absl::Time now_;
  const int64_t now_ms_;
  std::string trace_id_;
  std::vector<Effect> pending_;  // emitted, not yet in the outbox
  std::vector<Effect> effects_;
  bool publish_ = false;  // the screen is published though it did not change
  bool show_ = true;      // the screen may have changed
  bool quiet_ = false;    // nothing happened that has to survive a crash
};

}  // namespace

absl::StatusOr<MenuView> MenuView::FromList(const messages::ListResponse& list, absl::Time now) {
  const std::optional<int> exponent = CurrencyExponent(list.currency);
  if (!exponent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the menu's currency \"", list.currency, "\" is not known"));
  }
  MenuView view;
  view.currency = list.currency;
  view.exponent = *exponent;
  view.categories = list.categories;
  for (const messages::ListCategory& category : list.categories) {
    for (const messages::SearchItem& item : category.items) {
      view.items.emplace(item.id, item);
      view.category_of.emplace(item.id, category.id);
    }
  }
  view.known = true;
  view.truncated = list.truncated;
  view.fetched_at = now;
  return view;
}

KioskState SessionMachine::NewKiosk(absl::string_view kiosk_id, absl::string_view id_seed, int64_t slot,
                                    absl::Time now) const {
  KioskState state;
  state.kiosk_id = std::string(kiosk_id);
  state.id_seed = std::string(id_seed);
  state.slot = slot;
  state.currency = MenuView().currency;
  state.state_since_ms = absl::ToUnixMillis(now);
  state.progress.resize(kSources);
  Screen screen = Render(state, MenuView(), config_, now);
  state.ui = std::move(screen.update);
  state.actions = std::move(screen.actions);
  return state;
}

Transition SessionMachine::Step(const KioskState& state, const Input& input, const MenuView& menu,
                                absl::Time now) const {
  return Stepper(config_, state, menu, now).Run(input);
}

absl::Time SessionMachine::NextTick(const KioskState& state) const {
  int64_t next = 0;
  const auto at = [&](int64_t ms) {
    if (ms > 0 && (next == 0 || ms < next)) next = ms;
  };
  if (state.order.open) at(state.order.next_check_ms);
  for (const Order& order : state.background) at(order.next_check_ms);
  for (const Effect& effect : state.outbox) at(effect.again_ms);
  const int64_t left =
      state.person_left_ms == 0 ? 0 : state.person_left_ms + Millis(config_.person_left_grace);
  switch (state.state) {
    case SessionState::kAttract:
    case SessionState::kPaying:
      break;
    case SessionState::kBrowsing:
    case SessionState::kDetails:
    case SessionState::kCart:
    case SessionState::kCheckout:
      at(state.last_activity_ms + Millis(state.idle_warned ? config_.idle_timeout : config_.idle_warning));
      at(left);
      break;
    case SessionState::kPaid:
      at(state.state_since_ms + Millis(config_.paid_timeout));
      at(left);
      break;
    case SessionState::kError:
      at(state.last_activity_ms + Millis(config_.error_timeout));
      if (!state.order.open) at(left);
      break;
  }
  return next == 0 ? absl::InfiniteFuture() : absl::FromUnixMillis(next);
}

void CompleteEffects(const std::vector<int64_t>& effect_ids, KioskState& state) {
  state.outbox.erase(std::remove_if(state.outbox.begin(), state.outbox.end(),
                                    [&](const Effect& e) { return absl::c_linear_search(effect_ids, e.id); }),
                     state.outbox.end());
}

bool CompletesByItself(EffectKind kind) {
  switch (kind) {
    case EffectKind::kUiUpdate:
    case EffectKind::kSessionStarted:
    case EffectKind::kSessionEnded:
    case EffectKind::kOrderCompleted:
    case EffectKind::kLed:
      return true;
    default:
      return false;
  }
}

Totals TotalsOf(const std::vector<CartLine>& lines, int64_t tax_ppm) {
  Totals totals;
  for (const CartLine& line : lines) {
    totals.subtotal += line.unit_price * line.quantity;
    totals.count += line.quantity;
  }
  totals.tax = (totals.subtotal * tax_ppm + 500000) / 1000000;
  totals.total = totals.subtotal + totals.tax;
  return totals;
}

std::string DeriveUuid(absl::string_view seed, absl::string_view name) {
  const std::string text = absl::StrCat(seed, "/", name);
  uint64_t high = Hash(0x452821E638D01377ull, text);
  uint64_t low = Hash(0xBE5466CF34E90C6Cull, text);
  high = (high & ~0xF000ull) | 0x4000ull;  // the specification's ids are UUIDs of version 4
  low = (low & ~(0xC000ull << 48)) | (0x8000ull << 48);
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF,
                         low >> 48, low & 0xFFFFFFFFFFFFull);
}

std::string TimeOfDay(absl::Time now, absl::TimeZone zone) {
  const int hour = zone.At(now).cs.hour();
  if (hour >= 5 && hour < 11) return "breakfast";
  if (hour >= 11 && hour < 14) return "lunch";
  if (hour >= 14 && hour < 17) return "afternoon";
  if (hour >= 17 && hour < 21) return "dinner";
  return "night";
}

std::string SlotName(int64_t slot) {
  std::string name;
  for (int64_t n = slot + 1; n > 0; n = (n - 1) / 26)
    name.insert(name.begin(), static_cast<char>('A' + (n - 1) % 26));
  return name;
}

messages::SnapshotResponse SnapshotOf(const KioskState& state) {
  messages::SnapshotResponse snapshot;
  snapshot.session_id = state.session_id;
  snapshot.state = std::string(EnumNames(state.state)[static_cast<size_t>(state.state)]);
  const bool order = state.state == SessionState::kPaying || state.state == SessionState::kPaid;
  const std::vector<CartLine>& lines = order ? state.order.lines : state.cart;
  const int64_t exponent = order ? state.order.exponent : state.exponent;
  snapshot.cart.lines = OrderLines(lines, exponent);
  snapshot.cart.total = Decimal::FromMinor(TotalsOf(lines, 0).subtotal, static_cast<int>(exponent));
  snapshot.ui = state.ui;
  snapshot.exclude_allergens = state.exclude_allergens;
  snapshot.dietary_filters = state.dietary_filters;
  return snapshot;
}

}  // namespace arc::orchestrator
