#include "services/brain/brain.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/json/json.h"
#include "common/status/status.h"
#include "services/brain/answer.h"
#include "services/brain/cart.h"
#include "services/brain/understanding.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {

using messages::Intent;
using messages::IntentItem;
using messages::IntentType;
using messages::MenuItem;

// All that is known while one request is answered.
struct Turn {
  const messages::BrainRequest* request = nullptr;
  ToolLog* tools = nullptr;

  Words words;
  Dialogue dialogue;  // as it came, then as it goes back
  Pending asked;      // what the last answer asked for
  bool small_talk = false;
  bool menu_missing = false;
  absl::Status menu_error;
  std::shared_ptr<const Lexicon> lexicon;
  std::optional<messages::SnapshotResponse> snapshot;
  Cart cart;
  std::vector<messages::OrderLine> lines;

  Understanding understood;
  bool understood_by_model = false;
  std::optional<ModelAnswer> model_answer;
  std::optional<ModelFailure> model_failure;
  absl::Duration engine_latency;
  std::map<int64_t, absl::StatusOr<MenuItem>> items;                 // fresh
  std::map<std::string, std::vector<messages::SearchItem>> similar;  // by unknown phrase

  std::vector<Intent> intents;
  std::vector<std::string> sentences;
  std::string question;  // last, after the sentences
  bool wants_recommendation = false;
  bool wants_offer = false;
  bool keep_pending = false;
  double confidence = 1;
};

namespace {

constexpr size_t kNamedChoices = 4;  // in a spoken question
constexpr int64_t kMaxQuantity = 99;
constexpr char kFallback[] = "I'm having trouble with that right now. Could you say it again?";

// What `turn` decides, said and turned into intents.
class Decider {
 public:
  Decider(Turn& turn, const BrainOptions& options) : t_(turn), d_(turn.dialogue), options_(options) {}

  void Run() {
    t_.asked = d_.pending;
    NoteConstraints();
    for (const Act& act : t_.understood.acts) Do(act);
    AskQueued();
    Close();
  }

 private:
  // Facts.

  const MenuItem* Facts(int64_t id) const {
    const auto fresh = t_.items.find(id);
    if (fresh != t_.items.end() && fresh->second.ok()) return &*fresh->second;
    const Dish* dish = t_.lexicon == nullptr ? nullptr : t_.lexicon->Find(id);
    return dish == nullptr ? nullptr : &dish->item;
  }

  std::string NameOf(int64_t id) const {
    const MenuItem* item = Facts(id);
    return item == nullptr ? "dish" : item->name;
  }

  int exponent() const { return t_.lexicon == nullptr ? 2 : t_.lexicon->exponent(); }
  std::string Money(int64_t minor) const {
    return SayPrice(minor, t_.lexicon == nullptr ? "USD" : t_.lexicon->currency(), exponent());
  }
  std::string PriceOf(const Decimal& price) const { return Money(price.ToMinor(exponent()).value_or(0)); }

  bool SoldOut(int64_t id) const {
    const auto fresh = t_.items.find(id);
    if (fresh != t_.items.end() && !fresh->second.ok()) {
      return GetErrorCode(fresh->second.status()) == ErrorCode::kItemOutOfStock;
    }
    const Dish* dish = t_.lexicon == nullptr ? nullptr : t_.lexicon->Find(id);
    return dish != nullptr && !dish->item.available;
  }

  // Why a dish is against what the customer said; empty when it is not.
  std::string Conflict(const MenuItem& item) const {
    menu::Bits allergens = menu::AllergensOf(item);
    menu::Bits dietary = menu::DietaryOf(item);
    for (const int64_t part : item.combo_of) {
      if (const MenuItem* facts = Facts(part); facts != nullptr) {
        allergens |= menu::AllergensOf(*facts);
        if (t_.lexicon->Find(part) != nullptr && t_.lexicon->Find(part)->detailed)
          dietary &= menu::DietaryOf(*facts);
      }
    }
    std::vector<std::string> contained;
    for (const std::string& name : d_.exclude_allergens) {
      const std::optional<menu::Bits> bits = menu::AllergenBits(name);
      if (bits.has_value() && (allergens & *bits) != 0) contained.push_back(name);
    }
    std::vector<std::string> missed;
    for (const std::string& name : d_.dietary_filters) {
      const std::optional<menu::Bits> bits = menu::DietaryBit(name);
      if (bits.has_value() && (dietary & *bits) != *bits) missed.push_back(name);
    }
    std::vector<std::string> reasons;
    if (!contained.empty()) reasons.push_back(absl::StrCat("contains ", SayNames(contained)));
    if (!missed.empty()) reasons.push_back(absl::StrCat("isn't listed as ", SayNames(missed, "or")));
    return SayList(reasons);
  }

  bool Detailed(int64_t id) const {
    const auto fresh = t_.items.find(id);
    if (fresh != t_.items.end()) return fresh->second.ok();
    const Dish* dish = t_.lexicon == nullptr ? nullptr : t_.lexicon->Find(id);
    return dish != nullptr && dish->detailed;
  }

  // Drops what the customer must not eat, as far as it is known.
  std::vector<int64_t> Allowed(const std::vector<int64_t>& ids) const {
    std::vector<int64_t> allowed;
    for (const int64_t id : ids) {
      const MenuItem* item = Facts(id);
      if (item == nullptr || (Detailed(id) && !Conflict(*item).empty())) continue;
      allowed.push_back(id);
    }
    return allowed;
  }

  // Speech and intents.

  void Say(std::string sentence) { t_.sentences.push_back(std::move(sentence)); }
  void Ask(std::string question, Pending pending) {
    t_.question = std::move(question);
    d_.pending = std::move(pending);
  }
  void Ask(std::string question, PendingKind kind) {
    Pending pending;
    pending.kind = kind;
    Ask(std::move(question), std::move(pending));
  }
  bool asking() const { return !t_.question.empty(); }

  Intent& Push(IntentType type) {
    Intent intent;
    intent.intent_type = type;
    t_.intents.push_back(std::move(intent));
    return t_.intents.back();
  }
  void PushItem(IntentType type, int64_t id) {
    IntentItem item;
    item.item_id = id;
    item.name = NameOf(id);
    Push(type).entities.items.push_back(std::move(item));
  }

  bool CartClosed() {
    if (!t_.snapshot.has_value()) return false;
    if (t_.snapshot->state == "paying") {
      Say("Your payment is open. Tap your card, or say cancel to change your order.");
      return true;
    }
    if (t_.snapshot->state == "paid") {
      Say("Your order is paid. Thank you! Touch the screen to start another one.");
      return true;
    }
    return false;
  }

  std::string state() const { return t_.snapshot.has_value() ? t_.snapshot->state : ""; }

  void Remember(std::string change, std::vector<IntentItem> items) {
    if (d_.last_change == change && changed_now_) {
      d_.last.insert(d_.last.end(), items.begin(), items.end());
      if (d_.last.size() > 50) d_.last.resize(50);
    } else {
      d_.last = std::move(items);
    }
    d_.last_change = std::move(change);
    changed_now_ = true;
    if (!d_.last.empty()) d_.focus = d_.last.back().item_id;
  }

  void NoteConstraints() {
    const Understanding& u = t_.understood;
    std::vector<std::string> news;
    for (const std::string& name : u.exclude_allergens) {
      if (!absl::c_linear_search(d_.exclude_allergens, name) && d_.exclude_allergens.size() < 40) {
        d_.exclude_allergens.push_back(name);
      }
      news.push_back(name);
    }
    for (const std::string& name : u.dietary_filters) {
      if (!absl::c_linear_search(d_.dietary_filters, name) && d_.dietary_filters.size() < 20) {
        d_.dietary_filters.push_back(name);
      }
    }
    if (!u.unknown_allergens.empty()) {
      Say(absl::StrCat("our menu doesn't tell about ", SayList(u.unknown_allergens, "or"),
                       ", so please ask our staff about that"));
    }
    if (u.exclude_allergens.empty() && u.dietary_filters.empty()) return;
    std::vector<std::string> promises;
    if (!u.exclude_allergens.empty())
      promises.push_back(absl::StrCat("no ", SayNames(u.exclude_allergens, "or")));
    if (!u.dietary_filters.empty()) promises.push_back(absl::StrCat("only ", SayNames(u.dietary_filters)));
    if (u.acts.empty()) {
      Intent& intent = Push(IntentType::kSearchMenu);
      for (const std::string& name : u.exclude_allergens)
        intent.entities.modifiers.push_back(absl::StrCat("no ", name));
      for (const std::string& name : u.dietary_filters) intent.entities.modifiers.push_back(name);
    }
    Say(absl::StrCat("Okay, ", SayList(promises), ". I'll keep that in mind"));
    for (const Cart::Line& line : t_.cart.lines()) {
      const MenuItem* item = Facts(line.item.item_id);
      if (item == nullptr || !Detailed(line.item.item_id)) continue;
      const std::string conflict = Conflict(*item);
      if (!conflict.empty()) Say(absl::StrCat("The ", item->name, " in your order ", conflict));
    }
    if (u.acts.empty()) Ask("What would you like?", PendingKind::kNone);
  }

  void Do(const Act& act) {
    switch (act.kind) {
      case ActKind::kAdd:
        if (!CartClosed()) Add(act.what, std::nullopt);
        return;
      case ActKind::kRemove:
        if (!CartClosed()) Remove(act);
        return;
      case ActKind::kQuantity:
        if (!CartClosed()) Quantity(act);
        return;
      case ActKind::kModify:
        if (!CartClosed()) Modify(act);
        return;
      case ActKind::kReplace:
        if (!CartClosed()) Replace(act);
        return;
      case ActKind::kDetails:
        Details(act);
        return;
      case ActKind::kBrowse:
        Browse(act);
        return;
      case ActKind::kRecommend:
        t_.wants_recommendation = true;
        Push(IntentType::kRecommend);
        return;
      case ActKind::kShowCart:
      case ActKind::kTotal:
        ShowCart(act.kind == ActKind::kTotal);
        return;
      case ActKind::kCheckout:
        Checkout(false);
        return;
      case ActKind::kPay:
        Checkout(true);
        return;
      case ActKind::kYes:
        Yes(false);
        return;
      case ActKind::kAccept:
        Yes(true);
        return;
      case ActKind::kNo:
        No();
        return;
      case ActKind::kCancel:
        Push(IntentType::kCancelOrder);
        Say(state() == "paying" ? "Okay, I'm cancelling the payment" : "Okay, I've cancelled your order");
        d_ = Dialogue{};
        return;
      case ActKind::kStartOver:
        Push(IntentType::kStartOver);
        {
          Dialogue fresh;
          fresh.exclude_allergens = d_.exclude_allergens;
          fresh.dietary_filters = d_.dietary_filters;
          d_ = std::move(fresh);
        }
        t_.cart = Cart();
        Say("Okay, let's start over");
        Ask("What would you like?", PendingKind::kNone);
        return;
      case ActKind::kRepeat:
        Repeat();
        return;
      case ActKind::kHelp:
        Push(IntentType::kHelp);
        Say("You can order by saying, for example, two burgers without onions. Ask me what is in a dish, or "
            "say pay "
            "when you are done");
        t_.keep_pending = true;
        return;
      case ActKind::kGreet:
        Push(IntentType::kGreet);
        Say("Hello!");
        Ask("What would you like?", PendingKind::kNone);
        return;
      case ActKind::kGoodbye:
        Goodbye();
        return;
      case ActKind::kThanks:
        Say("You're welcome!");
        t_.keep_pending = true;
        return;
      case ActKind::kUnknown:
        Unknown();
        return;
    }
  }

  // Adding.

  static std::vector<std::string> NotesOf(const std::optional<std::string>& note) {
    if (!note.has_value()) return {};
    return absl::StrSplit(*note, ", ", absl::SkipEmpty());
  }

  // Applies wishes to customisations and notes of an item; names what had to become a note.
  void Apply(const MenuItem& facts, const std::vector<Wish>& wishes, IntentItem& item) {
    std::vector<std::string> notes = NotesOf(item.note);
    for (const Wish& wish : wishes) {
      const std::string left_out = MatchCustomisation(facts, {Polarity::kWithout, wish.text});
      const std::string put_in = MatchCustomisation(facts, {Polarity::kExtra, wish.text});
      const auto drop = [&](const std::string& name) {
        const auto at = absl::c_find(item.modifiers, name);
        if (name.empty() || at == item.modifiers.end()) return false;
        item.modifiers.erase(at);
        return true;
      };
      if (wish.polarity == Polarity::kWithout) {
        const bool taken_back = drop(put_in);
        if (!left_out.empty()) {
          AddName(item.modifiers, left_out);
        } else if (!taken_back && !DropNote(notes, wish)) {
          Note(notes, wish);
        }
        continue;
      }
      const bool back = drop(left_out);
      if (back && wish.polarity == Polarity::kWith) continue;
      const std::string name = MatchCustomisation(facts, wish);
      if (!name.empty()) {
        AddName(item.modifiers, name);
      } else if (!DropNote(notes, wish)) {
        Note(notes, wish);
      }
    }
    std::string note = absl::StrJoin(notes, ", ");
    if (note.size() > 400) note.resize(400);
    item.note.reset();
    if (!note.empty()) item.note = std::move(note);
    // In the menu's order, as the cart will have them.
    std::vector<std::string> ordered;
    for (const messages::Customization& customization : facts.customizations) {
      if (absl::c_linear_search(item.modifiers, customization.name)) AddName(ordered, customization.name);
    }
    item.modifiers = std::move(ordered);
  }

  static void AddName(std::vector<std::string>& names, const std::string& name) {
    if (!absl::c_linear_search(names, name)) names.push_back(name);
  }

  void Note(std::vector<std::string>& notes, const Wish& wish) {
    const std::string text = SayWish(wish);
    if (absl::c_linear_search(notes, text)) return;
    notes.push_back(text);
    noted_.push_back(text);
  }

  // "with tomatoes" takes back "without tomatoes".
  static bool DropNote(std::vector<std::string>& notes, const Wish& wish) {
    Wish opposite = wish;
    opposite.polarity = wish.polarity == Polarity::kWithout ? Polarity::kWith : Polarity::kWithout;
    for (const std::string& text : {SayWish(opposite), SayWish({Polarity::kExtra, wish.text})}) {
      if (wish.polarity != Polarity::kWithout && absl::StartsWith(text, "extra")) continue;
      const auto at = absl::c_find(notes, text);
      if (at != notes.end()) {
        notes.erase(at);
        return true;
      }
    }
    return false;
  }

  int64_t UnitPrice(const MenuItem& facts, const std::vector<std::string>& modifiers) const {
    int64_t price = facts.price.ToMinor(exponent()).value_or(0);
    for (const messages::Customization& customization : facts.customizations) {
      if (absl::c_linear_search(modifiers, customization.name)) {
        price += customization.price.ToMinor(exponent()).value_or(0);
      }
    }
    return price;
  }

  // A question about what `wanted` means; asked at the end, one at a time.
  void Choose(const Wanted& wanted, PendingAct act, std::vector<IntentItem> held) {
    Pending pending;
    pending.kind = PendingKind::kChoice;
    pending.act = act;
    pending.phrase = wanted.phrase;
    pending.quantity = wanted.quantity;
    pending.wishes = wanted.wishes;
    if (pending.wishes.size() > 20) pending.wishes.resize(20);
    pending.held = std::move(held);
    std::vector<int64_t> available;
    for (const int64_t id : wanted.dishes) {
      if (!SoldOut(id)) available.push_back(id);
    }
    if (act == PendingAct::kAdd || act == PendingAct::kReplace || act == PendingAct::kDetails) {
      std::vector<int64_t> allowed = Allowed(available);
      if (!allowed.empty()) available = std::move(allowed);
      // What people order most comes first: it is named in the question.
      absl::c_stable_sort(available, [&](int64_t a, int64_t b) { return Popular(a) > Popular(b); });
      if (available.size() <= kNamedChoices)
        absl::c_sort(available, [&](int64_t a, int64_t b) { return Rank(a) < Rank(b); });
    } else {
      available = wanted.dishes;
    }
    if (available.empty()) available = wanted.dishes;
    if (available.size() > 200) available.resize(200);
    pending.candidates = std::move(available);
    questions_.push_back(std::move(pending));
  }

  size_t Rank(int64_t id) const {
    const std::vector<Dish>& dishes = t_.lexicon->dishes();
    for (size_t i = 0; i < dishes.size(); ++i) {
      if (dishes[i].item.id == id) return i;
    }
    return dishes.size();
  }

  bool Popular(int64_t id) const {
    const MenuItem* item = Facts(id);
    return item != nullptr && absl::c_linear_search(item->tags, "popular");
  }

  static std::string KindOf(const std::string& phrase) {
    Words words = Normalise(phrase);
    if (words.empty()) return "one";
    std::string& last = words.back();
    if (last.size() > 3 && last.back() == 's' && last[last.size() - 2] != 's' && last != "fries")
      last.pop_back();
    return Join(words);
  }

  void AskChoice(const Pending& pending) {
    std::vector<std::string> names;
    const size_t named = std::min(pending.candidates.size(), kNamedChoices);
    for (size_t i = 0; i < named; ++i) names.push_back(absl::StrCat("the ", NameOf(pending.candidates[i])));
    const std::string kind = KindOf(pending.phrase);
    if (pending.candidates.size() <= kNamedChoices) {
      Ask(absl::StrCat("Which ", kind, ": ", SayList(names, "or"), "?"), pending);
    } else {
      Ask(absl::StrCat("Which ", kind, " would you like? We have, among others, ", SayList(names), "."),
          pending);
    }
  }

  void AskQueued() {
    if (asking() && d_.pending.kind == PendingKind::kWarning) {
      // The warning comes first, the choices wait.
      for (Pending& pending : questions_) {
        if (d_.queue.size() < 10) d_.queue.push_back(std::move(pending));
      }
      return;
    }
    std::vector<Pending> all = std::move(questions_);
    const bool settled = !t_.understood.ask_again && !t_.keep_pending;
    if (settled && t_.understood.chose) {
      all.insert(all.end(), d_.queue.begin(), d_.queue.end());
      d_.queue.clear();
    }
    if (all.empty()) return;
    if (all.front().act == PendingAct::kAdd || all.front().act == PendingAct::kReplace) {
      Push(IntentType::kSearchMenu).entities.item = all.front().phrase;
    }
    AskChoice(all.front());
    d_.pending.pay_after = pay_after_;
    d_.queue.assign(all.begin() + 1, all.end());
    if (d_.queue.size() > 10) d_.queue.resize(10);
  }

  void UnknownDish(const std::string& phrase, bool bare = false) {
    const auto found = t_.similar.find(phrase);
    const bool nothing = found == t_.similar.end() || found->second.empty();
    if (bare && nothing) {
      Push(IntentType::kUnknown);
    } else {
      Push(IntentType::kSearchMenu).entities.item = phrase;
    }
    std::vector<std::string> names;
    Pending pending;
    pending.kind = PendingKind::kOffer;
    pending.phrase = phrase;
    if (found != t_.similar.end()) {
      for (const messages::SearchItem& item : found->second) {
        if (names.size() >= 3) break;
        names.push_back(absl::StrCat("the ", item.name));
        pending.candidates.push_back(item.id);
      }
    }
    t_.confidence = std::min(t_.confidence, 0.5);
    Say(absl::StrCat("Sorry, we don't have ", phrase));
    if (names.empty()) {
      Ask("What else would you like?", PendingKind::kNone);
    } else {
      Ask(absl::StrCat("How about ", SayList(names, "or"), "?"), std::move(pending));
    }
  }

  void SayAlternatives(int64_t id) {
    const MenuItem* item = Facts(id);
    std::vector<int64_t> others;
    for (const Dish& dish : t_.lexicon->dishes()) {
      if (item == nullptr || dish.item.category != item->category || dish.item.id == id ||
          !dish.item.available)
        continue;
      others.push_back(dish.item.id);
    }
    others = Allowed(others);
    absl::c_stable_sort(others,
                        [&](int64_t a, int64_t b) { return Similarity(*item, a) > Similarity(*item, b); });
    if (others.size() > 2) others.resize(2);
    Say(absl::StrCat("Sorry, the ", NameOf(id), " is sold out"));
    Push(IntentType::kSearchMenu).entities.item = NameOf(id);
    if (others.empty()) {
      Ask("What else would you like?", PendingKind::kNone);
      return;
    }
    std::vector<std::string> names;
    for (const int64_t other : others) names.push_back(absl::StrCat("the ", NameOf(other)));
    Pending pending;
    pending.kind = PendingKind::kOffer;
    pending.phrase = NameOf(id);
    pending.candidates = others;
    Ask(absl::StrCat("How about ", SayList(names, "or"), " instead?"), std::move(pending));
  }

  int Similarity(const MenuItem& item, int64_t other) const {
    const MenuItem* facts = Facts(other);
    if (facts == nullptr) return 0;
    int score = 0;
    for (const std::string& a : menu::Tokenize(item.name)) {
      for (const std::string& b : menu::Tokenize(facts->name)) score += Alike(a, b) ? 2 : 0;
    }
    for (const std::string& tag : item.tags) score += absl::c_linear_search(facts->tags, tag) ? 1 : 0;
    return score;
  }

  IntentItem MakeItem(const MenuItem& facts, const Wanted& wanted) {
    IntentItem item;
    item.item_id = facts.id;
    item.name = facts.name;
    item.quantity = std::clamp<int64_t>(wanted.quantity.value_or(1), 1, kMaxQuantity);
    if (wanted.like.has_value()) {
      item.modifiers = wanted.like->modifiers;
      item.note = wanted.like->note;
    }
    Apply(facts, wanted.wishes, item);
    return item;
  }

  // Adds one dish, or asks, warns or regrets. `replaced`: it takes the place of that line's item.
  bool Add(const Wanted& wanted, const std::optional<IntentItem>& replaced) {
    if (wanted.dishes.empty()) {
      UnknownDish(wanted.phrase, wanted.bare);
      return false;
    }
    if (wanted.dishes.size() > 1) {
      std::vector<IntentItem> held;
      if (replaced.has_value()) held.push_back(*replaced);
      Choose(wanted, replaced.has_value() ? PendingAct::kReplace : PendingAct::kAdd, std::move(held));
      t_.confidence = std::min(t_.confidence, 0.7);
      return false;
    }
    const int64_t id = wanted.dishes.front();
    if (SoldOut(id)) {
      SayAlternatives(id);
      return false;
    }
    const MenuItem* facts = Facts(id);
    if (facts == nullptr) {
      UnknownDish(wanted.phrase);
      return false;
    }
    if (wanted.quantity.value_or(1) > kMaxQuantity) {
      Say(absl::StrCat("I can take at most ", kMaxQuantity, " of a dish here"));
    }
    const IntentItem item = MakeItem(*facts, wanted);
    const std::string conflict = Conflict(*facts);
    if (!conflict.empty()) {
      Warn(item, conflict);
      return false;
    }
    t_.cart.Add(item, UnitPrice(*facts, item.modifiers), t_.intents);
    if (!replaced.has_value()) added_.push_back(item);
    RememberOthers(wanted);
    Remember(replaced.has_value() ? "replace" : "add", {item});
    return true;
  }

  // Who chose one of several may mean another of them with "the other one".
  void RememberOthers(const Wanted& wanted) {
    if (!t_.understood.chose) {
      if (wanted.more || d_.others.empty()) return;
      d_.others.clear();
      return;
    }
    std::vector<int64_t> others;
    for (const int64_t id : t_.asked.candidates) {
      if (id != wanted.dishes.front()) others.push_back(id);
    }
    d_.others = std::move(others);
  }

  void Warn(const IntentItem& item, const std::string& conflict) {
    if (d_.pending.kind == PendingKind::kWarning && asking()) {
      d_.pending.held.push_back(item);
      Say(absl::StrCat("The ", item.name, " ", conflict));
      t_.question = "Do you still want them?";
      return;
    }
    PushItem(IntentType::kItemDetails, item.item_id);
    Pending pending;
    pending.kind = PendingKind::kWarning;
    pending.phrase = item.name;
    pending.held = {item};
    Say(absl::StrCat("The ", item.name, " ", conflict));
    Ask(item.quantity > 1 ? "Do you still want them?" : "Do you still want it?", std::move(pending));
    d_.focus = item.item_id;
  }

  // Changing.

  bool Missing(const Act& act) {
    if (act.line.has_value() && *act.line < t_.lines.size()) return false;
    if (act.what.dishes.size() > 1 && !act.not_in_cart) {
      const PendingAct pending = act.kind == ActKind::kRemove   ? PendingAct::kRemove
                                 : act.kind == ActKind::kModify ? PendingAct::kModify
                                                                : PendingAct::kQuantity;
      Choose(act.what, pending, {});
      return true;
    }
    if (t_.cart.empty()) {
      Say("your order is still empty");
    } else if (act.what.phrase.empty()) {
      Say("I'm not sure which dish you mean");
    } else {
      Say(absl::StrCat("I don't see ", act.what.phrase, " in your order"));
    }
    t_.confidence = std::min(t_.confidence, 0.5);
    Push(IntentType::kShowCart);
    Ask("What would you like?", PendingKind::kNone);
    return true;
  }

  // Where the line of the cart as it came stands now, after earlier acts of this turn.
  std::optional<size_t> Now(size_t line) const {
    const messages::OrderLine& wanted = t_.lines[line];
    for (size_t i = 0; i < t_.cart.lines().size(); ++i) {
      const IntentItem& item = t_.cart.lines()[i].item;
      if (item.item_id == wanted.item_id && item.modifiers == wanted.customizations &&
          item.note.value_or("") == wanted.note.value_or("")) {
        return i;
      }
    }
    for (size_t i = t_.cart.lines().size(); i-- > 0;) {
      if (t_.cart.lines()[i].item.item_id == wanted.item_id) return i;
    }
    return std::nullopt;
  }

  void Remove(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value()) return;
    IntentItem item = t_.cart.lines()[*line].item;
    int64_t quantity = act.what.quantity.value_or(0);
    if (quantity >= item.quantity) quantity = 0;
    t_.cart.Remove(*line, quantity, t_.intents);
    if (quantity > 0) item.quantity = quantity;
    const bool all = quantity == 0;
    removed_.push_back(all ? absl::StrCat("the ", item.quantity > 1 ? Plural(item.name) : item.name)
                           : SayItem(item));
    Remember("remove", {item});
  }

  void Quantity(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value() || !act.what.quantity.has_value()) return;
    const int64_t quantity = std::clamp<int64_t>(*act.what.quantity, 0, kMaxQuantity);
    if (quantity == 0) {
      Act remove = act;
      remove.what.quantity.reset();
      Remove(remove);
      return;
    }
    if (*act.what.quantity > kMaxQuantity)
      Say(absl::StrCat("I can take at most ", kMaxQuantity, " of a dish here"));
    IntentItem item = t_.cart.lines()[*line].item;
    t_.cart.SetQuantity(*line, quantity, t_.intents);
    item.quantity = quantity;
    changed_.push_back(SayItem(item));
    Remember("quantity", {item});
  }

  void Modify(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value()) return;
    IntentItem item = t_.cart.lines()[*line].item;
    const MenuItem* facts = Facts(item.item_id);
    if (facts == nullptr) return;
    const int64_t quantity = act.what.quantity.value_or(item.quantity);
    Apply(*facts, act.what.wishes, item);
    const int64_t price = UnitPrice(*facts, item.modifiers);
    if (quantity > 0 && quantity < item.quantity) {
      t_.cart.Remove(*line, quantity, t_.intents);
      item.quantity = quantity;
      t_.cart.Add(item, price, t_.intents);
    } else {
      t_.cart.Modify(*line, item.modifiers, item.note.value_or(""), price, t_.intents);
    }
    changed_.push_back(SayItem(item));
    Remember("modify", {item});
  }

  void Replace(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value()) return;
    const IntentItem before = t_.cart.lines()[*line].item;
    Wanted with = act.with;
    if (!with.quantity.has_value() || with.article) with.quantity = before.quantity;
    if (with.dishes.size() == 1 && !SoldOut(with.dishes.front())) {
      const MenuItem* facts = Facts(with.dishes.front());
      if (facts != nullptr && Conflict(*facts).empty()) {
        t_.cart.Remove(*line, 0, t_.intents);
        std::vector<int64_t> others = {before.item_id};
        if (Add(with, before)) {
          IntentItem item = MakeItem(*facts, with);
          changed_.push_back(absl::StrCat(SayItem(item), " instead of the ",
                                          before.quantity > 1 ? Plural(before.name) : before.name));
          d_.others = std::move(others);
        }
        return;
      }
    }
    Add(with, before);
  }

  // Answers.

  static std::string Contents(const MenuItem& item) {
    const std::vector<std::string> allergens = menu::AllergenNamesOf(menu::AllergensOf(item));
    if (allergens.empty()) return "No allergens are listed for it";
    return absl::StrCat("It contains ", SayNames(allergens));
  }

  void Details(const Act& act) {
    if (act.what.dishes.empty()) {
      UnknownDish(act.what.phrase);
      return;
    }
    if (act.what.dishes.size() > 1) {
      Choose(act.what, PendingAct::kDetails, {});
      t_.confidence = std::min(t_.confidence, 0.7);
      return;
    }
    const int64_t id = act.what.dishes.front();
    const MenuItem* item = Facts(id);
    if (item == nullptr) {
      Unknown();
      return;
    }
    const std::string& name = item->name;
    if (SoldOut(id)) {
      SayAlternatives(id);
      return;
    }
    switch (act.topic) {
      case Topic::kPrice:
        Say(absl::StrCat("The ", name, Be(name), PriceOf(item->price)));
        break;
      case Topic::kCalories:
        Say(item->calories.has_value() ? absl::StrCat("The ", name, Have(name), *item->calories, " calories")
                                       : absl::StrCat("I don't know the calories of the ", name));
        break;
      case Topic::kIngredients:
        Say(item->description.empty() ? absl::StrCat("I don't know exactly what is in the ", name)
                                      : absl::StrCat("The ", name, ": ", item->description));
        Say(Contents(*item));
        break;
      case Topic::kAllergens:
        Say(absl::StrCat("The ", name, ": ", Contents(*item)));
        break;
      case Topic::kContains: {
        std::vector<std::string> found;
        for (const std::string& allergen : act.asked) {
          const std::optional<menu::Bits> bits = menu::AllergenBits(allergen);
          if (bits.has_value() && (menu::AllergensOf(*item) & *bits) != 0) found.push_back(allergen);
        }
        Say(found.empty()
                ? absl::StrCat("No ", SayNames(act.asked, "or"), " is listed for the ", name)
                : absl::StrCat("Yes, the ", name, Plain(name, " contains ", " contain "), SayNames(found)));
        break;
      }
      case Topic::kDiet: {
        std::vector<std::string> missed;
        for (const std::string& diet : act.asked) {
          const std::optional<menu::Bits> bits = menu::DietaryBit(diet);
          if (bits.has_value() && (menu::DietaryOf(*item) & *bits) != *bits) missed.push_back(diet);
        }
        Say(missed.empty() ? absl::StrCat("Yes, the ", name, Be(name), SayNames(act.asked))
                           : absl::StrCat("No, the ", name, Plain(name, " isn't", " aren't"), " listed as ",
                                          SayNames(missed, "or")));
        break;
      }
      case Topic::kSpicy: {
        const bool spicy = absl::c_linear_search(item->tags, "spicy") ||
                           absl::StrContains(menu::Fold(item->description), "spic") ||
                           absl::StrContains(menu::Fold(item->description), "chilli");
        Say(spicy ? absl::StrCat("Yes, the ", name, Be(name), "spicy")
                  : absl::StrCat("No, the ", name, Plain(name, " isn't", " aren't"), " marked as spicy"));
        break;
      }
      case Topic::kGeneral:
        Say(absl::StrCat("The ", name, Be(name), PriceOf(item->price),
                         item->description.empty() ? "" : absl::StrCat(": ", item->description)));
        if (act.with.dishes.size() == 1) {
          if (const MenuItem* other = Facts(act.with.dishes.front()); other != nullptr) {
            Say(absl::StrCat("The ", other->name, Be(other->name), PriceOf(other->price),
                             other->description.empty() ? "" : absl::StrCat(": ", other->description)));
          }
        }
        break;
    }
    const std::string conflict = Conflict(*item);
    if (!conflict.empty() && act.topic != Topic::kContains) Say(absl::StrCat("Mind that it ", conflict));
    PushItem(IntentType::kItemDetails, id);
    d_.focus = id;
    d_.last_change = "details";
    changed_now_ = true;
    Pending pending;
    pending.kind = PendingKind::kOffer;
    pending.phrase = name;
    pending.candidates = {id};
    Ask(Plural(name) == name ? "Would you like some?" : "Would you like one?", std::move(pending));
  }

  static std::string Plain(const std::string& name, absl::string_view one, absl::string_view many) {
    return std::string(Plural(name) == name && !absl::StrContains(name, " on the ") ? many : one);
  }
  static std::string Be(const std::string& name) { return Plain(name, " is ", " are "); }
  static std::string Have(const std::string& name) { return Plain(name, " has ", " have "); }

  void Browse(const Act& act) {
    Intent& intent = Push(IntentType::kSearchMenu);
    std::vector<int64_t> ids;
    std::string what = act.text;
    const bool filtered = !d_.exclude_allergens.empty() || !d_.dietary_filters.empty();
    if (!act.category.empty()) {
      for (const messages::MenuCategory& category : t_.lexicon->categories()) {
        if (category.id == act.category) what = category.name;
      }
      intent.entities.item = what;
    } else if (!act.text.empty() && act.text != "cheap") {
      intent.entities.item = act.text;
    }
    for (const Wish& wish : act.what.wishes)
      intent.entities.modifiers.push_back(absl::StrCat("no ", wish.text));
    const auto found = t_.similar.find(BrowseKey(act));
    if (found != t_.similar.end()) {
      for (const messages::SearchItem& item : found->second) ids.push_back(item.id);
    }
    if (act.text == "cheap") {
      absl::c_stable_sort(ids, [&](int64_t a, int64_t b) { return PriceMinor(a) < PriceMinor(b); });
    } else {
      absl::c_stable_sort(ids, [&](int64_t a, int64_t b) {
        return what.empty() || !act.category.empty() ? Popular(a) > Popular(b) : false;
      });
    }
    if (act.category.empty() && act.text.empty() && !filtered && act.what.wishes.empty() &&
        act.asked.empty()) {
      std::vector<std::string> names;
      for (const messages::MenuCategory& category : t_.lexicon->categories()) {
        names.push_back(absl::AsciiStrToLower(absl::StrReplaceAll(category.name, {{"&", "and"}})));
      }
      Say(absl::StrCat("We have ", SayList(names)));
      Ask("What would you like?", PendingKind::kNone);
      return;
    }
    if (ids.empty()) {
      Say(what.empty() ? "Sorry, I found nothing like that"
                       : absl::StrCat("Sorry, we don't have ", absl::AsciiStrToLower(what),
                                      filtered ? " that fits what you told me" : ""));
      Ask("What else would you like?", PendingKind::kNone);
      return;
    }
    Pending pending;
    pending.kind = PendingKind::kOffer;
    pending.phrase = what.empty() ? "dish" : what;
    std::vector<std::string> names;
    for (size_t i = 0; i < ids.size() && i < kNamedChoices; ++i) {
      const MenuItem* item = Facts(ids[i]);
      if (item == nullptr) continue;
      pending.candidates.push_back(ids[i]);
      names.push_back(act.text == "cheap" ? absl::StrCat("the ", item->name, " for ", PriceOf(item->price))
                                          : absl::StrCat("the ", item->name));
    }
    const size_t more = ids.size() > names.size() ? ids.size() - names.size() : 0;
    Say(absl::StrCat("We have ", SayList(names),
                     more > 0 ? absl::StrCat(", and ", more, " more on the screen") : ""));
    Ask("Which one would you like?", std::move(pending));
  }

  int64_t PriceMinor(int64_t id) const {
    const MenuItem* item = Facts(id);
    return item == nullptr ? 0 : item->price.ToMinor(exponent()).value_or(0);
  }

 public:
  // Under which Turn::similar has what `act` looks for.
  static std::string BrowseKey(const Act& act) {
    std::string key = absl::StrCat("browse:", act.category, ":", act.text);
    for (const Wish& wish : act.what.wishes) absl::StrAppend(&key, ":", wish.text);
    return key;
  }

 private:
  void ShowCart(bool total_only) {
    Push(IntentType::kShowCart);
    if (t_.cart.empty()) {
      Say("Your order is still empty");
      Ask("What would you like?", PendingKind::kNone);
      return;
    }
    if (!total_only) {
      std::vector<std::string> items;
      for (const Cart::Line& line : t_.cart.lines()) items.push_back(SayItem(line.item));
      Say(absl::StrCat("You have ", SayList(items)));
    }
    Say(absl::StrCat("Your items come to ", Money(t_.cart.total())));
    Ask("Anything else?", PendingKind::kMore);
  }

  void Checkout(bool pay) {
    if (state() == "paying") {
      Say("Please tap or insert your card");
      return;
    }
    if (state() == "paid") {
      Say("Your order is paid already. Thank you!");
      return;
    }
    if (!questions_.empty() || (asking() && d_.pending.kind == PendingKind::kWarning)) {
      pay_after_ = true;  // first things first
      return;
    }
    if (t_.snapshot.has_value() && t_.cart.empty()) {
      Push(IntentType::kCheckout);
      Say("Your order is still empty");
      Ask("What would you like?", PendingKind::kNone);
      return;
    }
    Push(IntentType::kCheckout);
    closing_ = true;
    const std::string total =
        t_.cart.empty() ? "" : absl::StrCat("Your items come to ", Money(t_.cart.total()));
    if (pay) {
      // Whoever asks to pay has decided; the card itself is the consent to the total on the screen.
      Push(IntentType::kConfirm);
      closing_sentence_ = total;
      closing_question_ = "Please tap or insert your card.";
      closing_pending_ = PendingKind::kNone;
    } else {
      closing_sentence_ = total;
      closing_question_ = "Would you like to pay now?";
      closing_pending_ = PendingKind::kPay;
    }
  }

  void AddHeld(const std::vector<IntentItem>& held) {
    for (const IntentItem& item : held) {
      const MenuItem* facts = Facts(item.item_id);
      if (SoldOut(item.item_id)) {
        SayAlternatives(item.item_id);
        continue;
      }
      t_.cart.Add(item, facts == nullptr ? 0 : UnitPrice(*facts, item.modifiers), t_.intents);
      added_.push_back(item);
      Remember("add", {item});
    }
  }

  void AddPlain(int64_t id) {
    Wanted wanted;
    wanted.dishes = {id};
    wanted.phrase = NameOf(id);
    Add(wanted, std::nullopt);
  }

  void Yes(bool accept) {
    const Pending pending = t_.asked;
    switch (pending.kind) {
      case PendingKind::kWarning:
        AddHeld(pending.held);
        pay_after_ = pending.pay_after;
        return;
      case PendingKind::kOffer:
      case PendingKind::kMoreOr:
        if (pending.candidates.size() == 1) {
          if (!CartClosed()) AddPlain(pending.candidates.front());
          return;
        }
        {
          Wanted wanted;
          wanted.phrase = "one";
          wanted.dishes = pending.candidates;
          Choose(wanted, PendingAct::kAdd, {});
        }
        return;
      case PendingKind::kChoice:
        t_.understood.ask_again = true;
        return;
      case PendingKind::kPay:
        if (state() == "paying") {
          Say("Please tap or insert your card");
          return;
        }
        if (t_.snapshot.has_value() && state() != "checkout") Push(IntentType::kCheckout);
        Push(IntentType::kConfirm);
        Say("Thank you. Please tap or insert your card");
        return;
      case PendingKind::kMore:
        if (accept) break;
        Ask("What else would you like?", PendingKind::kNone);
        return;
      case PendingKind::kNone:
        break;
    }
    if (accept && d_.focus != 0 && Facts(d_.focus) != nullptr) {
      if (!CartClosed()) AddPlain(d_.focus);
      return;
    }
    // Nothing was asked by voice: the screen's question is meant.
    const std::string now = state();
    if (now == "paying") {
      Say("Please tap or insert your card");
    } else if (now == "checkout") {
      Push(IntentType::kConfirm);
      Say("Thank you. Please tap or insert your card");
    } else if (now == "details" || now == "paid" || (now == "cart" && !t_.cart.empty())) {
      Push(IntentType::kConfirm);
      Say(now == "cart" ? "Okay, let's check out" : "Okay");
      if (now == "cart") Ask("Would you like to pay now?", PendingKind::kPay);
      if (now == "details") Ask("Anything else?", PendingKind::kMore);
    } else {
      Ask("What would you like?", PendingKind::kNone);
    }
  }

  void No() {
    const Pending pending = t_.asked;
    const std::string now = state();
    switch (pending.kind) {
      case PendingKind::kMore:
      case PendingKind::kMoreOr:
        if (!t_.cart.empty() && now != "paying" && now != "paid") {
          Checkout(false);
          return;
        }
        break;
      case PendingKind::kPay:
        Push(IntentType::kDeny);
        Ask("Okay. What would you like to change?", PendingKind::kNone);
        return;
      case PendingKind::kWarning:
      case PendingKind::kChoice:
      case PendingKind::kOffer:
        // In checkout the orchestrator would take "no" for "back".
        if (now != "checkout" && now != "paying") Push(IntentType::kDeny);
        if (!d_.queue.empty()) {
          t_.understood.chose = true;
          return;
        }
        if (t_.cart.empty()) {
          Ask("Okay. What would you like?", PendingKind::kNone);
        } else {
          Ask("Okay. Anything else?", PendingKind::kMore);
        }
        return;
      case PendingKind::kNone:
        break;
    }
    Push(IntentType::kDeny);
    Say(now == "paying" ? "Okay, I'm stopping the payment" : "Okay");
    Ask("What would you like?", PendingKind::kNone);
  }

  void Repeat() {
    Push(IntentType::kRepeat);
    std::string said = d_.said;
    if (said.empty() && !t_.request->context.previous_turns.empty()) {
      said = t_.request->context.previous_turns.back().agent;
    }
    Say(said.empty() ? "I haven't said anything yet. What would you like?" : said);
    t_.keep_pending = true;
  }

  void Goodbye() {
    Push(IntentType::kGoodbye);
    if (!t_.cart.empty() && state() != "paid") {
      Say("Your order isn't paid yet. Say pay to pay it, or cancel to leave without it");
      return;
    }
    Say("Goodbye, and enjoy your meal!");
  }

  void Unknown() {
    Push(IntentType::kUnknown);
    t_.confidence = std::min(t_.confidence, 0.2);
    Say("Sorry, I didn't understand that");
    if (t_.asked.kind == PendingKind::kNone || t_.asked.kind == PendingKind::kMore ||
        t_.asked.kind == PendingKind::kMoreOr) {
      Ask("You can name a dish, or ask what we have.",
          t_.asked.kind == PendingKind::kNone ? PendingKind::kNone : PendingKind::kMore);
    } else {
      t_.keep_pending = true;
    }
  }

  // The sentences about what was done, in front of what was said besides, and the question behind.
  void Close() {
    if (t_.understood.ask_again && !asking()) {
      Say("Sorry, I didn't get that");
      AskChoice(t_.asked);
      d_.pending.pay_after = t_.asked.pay_after;
      t_.keep_pending = true;
    }
    std::vector<std::string> done;
    if (!added_.empty()) {
      std::vector<std::string> items;
      for (const IntentItem& item : added_) items.push_back(SayItem(item));
      done.push_back(absl::StrCat("That's ", SayList(items)));
    }
    if (!changed_.empty()) done.push_back(absl::StrCat("Okay, ", SayList(changed_)));
    if (!removed_.empty()) done.push_back(absl::StrCat("Okay, I've removed ", SayList(removed_)));
    if (!noted_.empty()) done.push_back(absl::StrCat("I've noted ", SayList(noted_), " for the kitchen"));
    const bool did = !done.empty();
    t_.sentences.insert(t_.sentences.begin(), done.begin(), done.end());

    if ((pay_after_ || (t_.asked.pay_after && (t_.understood.chose || did))) && !asking() &&
        !t_.cart.empty()) {
      Checkout(false);
    }
    if (closing_ && !asking()) {
      if (!closing_sentence_.empty()) Say(closing_sentence_);
      Ask(closing_question_, closing_pending_);
    } else if (did && !asking()) {
      if (t_.cart.empty()) {
        Ask("What would you like?", PendingKind::kNone);
      } else {
        Ask("Anything else?", PendingKind::kMore);
        t_.wants_offer = options_.offer && !d_.offered && !added_.empty() && state() != "checkout";
      }
    }
    if (d_.pending.kind == PendingKind::kWarning) d_.pending.pay_after = pay_after_;
    if (t_.question.empty() && !t_.keep_pending && !t_.wants_recommendation) d_.pending = Pending{};
  }

  Turn& t_;
  Dialogue& d_;
  const BrainOptions& options_;
  std::vector<IntentItem> added_;
  std::vector<std::string> changed_;
  std::vector<std::string> removed_;
  std::vector<std::string> noted_;
  std::vector<Pending> questions_;
  bool changed_now_ = false;
  bool pay_after_ = false;
  bool closing_ = false;
  std::string closing_sentence_;
  std::string closing_question_;
  PendingKind closing_pending_ = PendingKind::kNone;
};

// Nodes.

void Listen(Turn& turn) {
  turn.words = Normalise(turn.request->user_input);
  if (turn.request->context.dialogue.has_value()) {
    absl::StatusOr<Dialogue> dialogue = json::Decode<Dialogue>(turn.request->context.dialogue->text);
    if (dialogue.ok()) turn.dialogue = *std::move(dialogue);
  }
  if (turn.words.empty()) {
    turn.understood.acts.emplace_back();
    turn.understood.confidence = 0.1;
    turn.small_talk = true;
    return;
  }
  std::optional<Understanding> small = UnderstandSmallTalk(turn.words);
  if (small.has_value()) {
    turn.understood = *std::move(small);
    turn.small_talk = true;
  }
}

void Look(Turn& turn, MenuCache& menu) {
  absl::StatusOr<messages::SnapshotResponse> snapshot = turn.tools->Snapshot();
  absl::StatusOr<std::shared_ptr<const Lexicon>> lexicon = menu.Get(*turn.tools);
  if (!lexicon.ok()) {
    turn.menu_missing = true;
    turn.menu_error = lexicon.status();
    return;
  }
  turn.lexicon = *std::move(lexicon);
  if (snapshot.ok()) {
    turn.snapshot = *std::move(snapshot);
    turn.lines = turn.snapshot->cart.lines;
    turn.cart = Cart(turn.lines, turn.lexicon->exponent());
    // What was said to somebody else at this kiosk is over.
    if (turn.snapshot->state == "attract") {
      turn.dialogue.last.clear();
      turn.dialogue.others.clear();
    }
  }
}

void UnderstandNode(Turn& turn) {
  turn.understood = Understand(turn.words, *turn.lexicon, turn.dialogue, turn.lines);
  turn.confidence = turn.understood.confidence;
}

messages::SearchRequest FilteredSearch(const Turn& turn, absl::string_view query) {
  messages::SearchRequest request;
  request.query = std::string(query.substr(0, 400));
  request.dietary_filters = turn.dialogue.dietary_filters;
  request.exclude_allergens = turn.dialogue.exclude_allergens;
  for (const std::string& name : turn.understood.exclude_allergens) {
    if (!absl::c_linear_search(request.exclude_allergens, name)) request.exclude_allergens.push_back(name);
  }
  for (const std::string& name : turn.understood.dietary_filters) {
    if (!absl::c_linear_search(request.dietary_filters, name)) request.dietary_filters.push_back(name);
  }
  return request;
}

bool NeedsSearch(const Act& act) {
  const auto unknown = [](const Wanted& wanted) { return wanted.dishes.empty() && !wanted.phrase.empty(); };
  switch (act.kind) {
    case ActKind::kAdd:
    case ActKind::kDetails:
      return unknown(act.what);
    case ActKind::kReplace:
      return unknown(act.with);
    case ActKind::kBrowse:
      return true;
    default:
      return false;
  }
}

bool SameWords(absl::string_view a, absl::string_view b) {
  const Words x = menu::Tokenize(a);
  const Words y = menu::Tokenize(b);
  return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), [](const auto& p, const auto& q) {
           return menu::Stem(p) == menu::Stem(q);
         });
}

// Asks the menu about words that no dish is called by.
void SearchNode(Turn& turn, MenuCache& menu) {
  for (Act& act : turn.understood.acts) {
    if (!NeedsSearch(act) || turn.tools->late()) continue;
    if (act.kind == ActKind::kBrowse) {
      std::string query = act.text;
      for (const messages::MenuCategory& category : turn.lexicon->categories()) {
        if (category.id == act.category) query = category.name;
      }
      messages::SearchRequest request =
          FilteredSearch(turn, act.category.empty() && act.text != "cheap" ? query : "");
      for (const std::string& diet : act.asked) {
        if (!absl::c_linear_search(request.dietary_filters, diet)) request.dietary_filters.push_back(diet);
      }
      for (const Wish& wish : act.what.wishes) {
        if (!absl::c_linear_search(request.exclude_allergens, wish.text))
          request.exclude_allergens.push_back(wish.text);
      }
      request.limit = act.category.empty() && act.text != "cheap" ? 20 : 400;
      absl::StatusOr<messages::SearchResponse> found = turn.tools->Search(request);
      std::vector<messages::SearchItem> items;
      if (found.ok()) {
        for (messages::SearchItem& item : found->items) {
          const Dish* dish = turn.lexicon->Find(item.id);
          if (!act.category.empty() && (dish == nullptr || dish->item.category != act.category)) continue;
          items.push_back(std::move(item));
        }
      }
      turn.similar[Decider::BrowseKey(act)] = std::move(items);
      continue;
    }
    Wanted& wanted = act.kind == ActKind::kReplace ? act.with : act.what;
    messages::SearchRequest request = FilteredSearch(turn, wanted.phrase);
    request.limit = 5;
    absl::StatusOr<messages::SearchResponse> found = turn.tools->Search(request);
    std::vector<messages::SearchItem> items;
    if (found.ok()) items = std::move(found->items);
    // A large menu's names and synonyms are known to its search alone.
    std::vector<int64_t> called;
    for (const messages::SearchItem& item : items) {
      const Words name = menu::Tokenize(item.name);
      const Words phrase = menu::Tokenize(wanted.phrase);
      const bool within = absl::c_all_of(phrase, [&](const std::string& word) {
        return absl::c_any_of(name, [&](const std::string& other) { return Alike(word, other); });
      });
      if (within) called.push_back(item.id);
    }
    // So are its synonyms.
    std::vector<int64_t> unread;
    for (const messages::SearchItem& item : items) {
      const Dish* dish = turn.lexicon->Find(item.id);
      if (dish == nullptr || !dish->detailed) unread.push_back(item.id);
    }
    for (const absl::StatusOr<MenuItem>& item : menu.Fresh(unread, *turn.tools)) {
      if (!item.ok()) continue;
      for (const std::string& synonym : item->synonyms) {
        if (SameWords(synonym, wanted.phrase)) called = {item->id};
      }
    }
    if (!called.empty()) {
      wanted.dishes = called;
      wanted.wide = called;
      wanted.quality = 0.7;
    } else {
      turn.similar[wanted.phrase] = std::move(items);
    }
  }
}

std::vector<int64_t> IdsToInspect(const Turn& turn) {
  std::vector<int64_t> ids;
  const auto add = [&](int64_t id) {
    if (id != 0 && ids.size() < 40 && !absl::c_linear_search(ids, id)) ids.push_back(id);
  };
  for (const Act& act : turn.understood.acts) {
    if (act.what.dishes.size() == 1) add(act.what.dishes.front());
    if (act.with.dishes.size() == 1) add(act.with.dishes.front());
    if (act.line.has_value() && *act.line < turn.lines.size() && act.kind == ActKind::kModify) {
      add(turn.lines[*act.line].item_id);
    }
    if (act.kind == ActKind::kYes || act.kind == ActKind::kAccept) {
      for (const IntentItem& item : turn.dialogue.pending.held) add(item.item_id);
      if (turn.dialogue.pending.candidates.size() == 1) add(turn.dialogue.pending.candidates.front());
      if (act.kind == ActKind::kAccept) add(turn.dialogue.focus);
    }
  }
  return ids;
}

void Inspect(Turn& turn, MenuCache& menu) {
  const std::vector<int64_t> ids = IdsToInspect(turn);
  std::vector<absl::StatusOr<MenuItem>> items = menu.Fresh(ids, *turn.tools);
  for (size_t i = 0; i < ids.size(); ++i) turn.items.insert_or_assign(ids[i], std::move(items[i]));
}

void AskModel(Turn& turn, Model& model, MenuCache& menu) {
  // Health is read by rules, whatever the model makes of it.
  Words words = turn.words;
  Constraints constraints = TakeConstraints(words);
  Dialogue dialogue = turn.dialogue;
  for (const std::string& name : constraints.exclude_allergens) {
    if (!absl::c_linear_search(dialogue.exclude_allergens, name)) dialogue.exclude_allergens.push_back(name);
  }
  for (const std::string& name : constraints.dietary_filters) {
    if (!absl::c_linear_search(dialogue.dietary_filters, name)) dialogue.dietary_filters.push_back(name);
  }
  ModelInput input;
  input.request = turn.request;
  input.dialogue = &dialogue;
  input.lexicon = turn.lexicon.get();
  input.snapshot = turn.snapshot.has_value() ? &*turn.snapshot : nullptr;
  // What the rules need, should the model fail.
  const absl::Duration whole = absl::Milliseconds(turn.request->constraints.timeout_ms);
  input.deadline = turn.tools->deadline() - std::min(absl::Milliseconds(250), whole / 4);
  ModelOutcome outcome = model.Ask(input, *turn.tools, menu);
  turn.engine_latency += outcome.latency;
  if (outcome.answer.has_value()) {
    turn.dialogue.exclude_allergens = dialogue.exclude_allergens;
    turn.dialogue.dietary_filters = dialogue.dietary_filters;
    turn.model_answer = std::move(outcome.answer);
  } else {
    turn.model_failure = std::move(outcome.failure);
    if (!turn.model_failure.has_value()) turn.model_failure = ModelFailure{"bad_response", "no answer", 0};
  }
}

// What the model decided, checked against the allergies and the kitchen.
void Adopt(Turn& turn) {
  ModelAnswer& answer = *turn.model_answer;
  Dialogue& dialogue = turn.dialogue;
  std::vector<std::string> warnings;
  std::vector<IntentItem> held;
  std::vector<IntentItem> last;
  for (Intent& intent : answer.intents) {
    for (const std::string& name : intent.entities.exclude_allergens) {
      if (dialogue.exclude_allergens.size() < 40 && menu::AllergenBits(name).has_value() &&
          !absl::c_linear_search(dialogue.exclude_allergens, name)) {
        dialogue.exclude_allergens.push_back(name);
      }
    }
    for (const std::string& name : intent.entities.dietary_filters) {
      if (dialogue.dietary_filters.size() < 20 && menu::DietaryBit(name).has_value() &&
          !absl::c_linear_search(dialogue.dietary_filters, name)) {
        dialogue.dietary_filters.push_back(name);
      }
    }
  }
  for (Intent& intent : answer.intents) {
    if (intent.intent_type == IntentType::kAddToCart) {
      std::vector<IntentItem> kept;
      for (IntentItem& item : intent.entities.items) {
        const auto fresh = turn.items.find(item.item_id);
        const Dish* dish = turn.lexicon->Find(item.item_id);
        const MenuItem* facts = fresh != turn.items.end() && fresh->second.ok() ? &*fresh->second
                                : dish != nullptr                               ? &dish->item
                                                                                : nullptr;
        std::vector<std::string> reasons;
        if (facts != nullptr) {
          for (const std::string& name : dialogue.exclude_allergens) {
            const std::optional<menu::Bits> bits = menu::AllergenBits(name);
            if (bits.has_value() && (menu::AllergensOf(*facts) & *bits) != 0) {
              reasons.push_back(absl::StrCat("contains ", name));
            }
          }
          for (const std::string& name : dialogue.dietary_filters) {
            const std::optional<menu::Bits> bits = menu::DietaryBit(name);
            if (bits.has_value() && (menu::DietaryOf(*facts) & *bits) != *bits) {
              reasons.push_back(absl::StrCat("isn't listed as ", SayNames({name})));
            }
          }
        }
        const bool agreed = turn.dialogue.pending.kind == PendingKind::kWarning &&
                            absl::c_any_of(turn.dialogue.pending.held, [&](const IntentItem& other) {
                              return other.item_id == item.item_id;
                            });
        if (!reasons.empty() && !agreed) {
          warnings.push_back(absl::StrCat("The ", item.name, " ", SayList(reasons)));
          held.push_back(std::move(item));
        } else {
          last.push_back(item);
          kept.push_back(std::move(item));
        }
      }
      intent.entities.items = std::move(kept);
      if (intent.entities.items.empty()) continue;
    }
    turn.intents.push_back(std::move(intent));
  }
  dialogue.pending = Pending{};
  dialogue.queue.clear();
  if (!last.empty()) {
    dialogue.last = last;
    dialogue.last_change = "add";
    dialogue.focus = last.back().item_id;
  }
  if (!held.empty()) {
    Intent details;
    details.intent_type = IntentType::kItemDetails;
    details.entities.items = {held.front()};
    turn.intents.push_back(std::move(details));
    turn.sentences = std::move(warnings);
    turn.question = held.size() > 1 ? "Do you still want them?" : "Do you still want it?";
    dialogue.pending.kind = PendingKind::kWarning;
    dialogue.pending.held = std::move(held);
  } else {
    turn.sentences.push_back(answer.text);
  }
  turn.confidence = 0.9;
}

messages::SuggestRequest SuggestFor(const Turn& turn, int64_t limit) {
  messages::SuggestRequest request;
  std::map<int64_t, int64_t> quantities;
  for (const Cart::Line& line : turn.cart.lines()) quantities[line.item.item_id] += line.item.quantity;
  for (const auto& [id, quantity] : quantities)
    request.cart.push_back({id, std::min<int64_t>(quantity, 999)});
  request.dietary_filters = turn.dialogue.dietary_filters;
  request.exclude_allergens = turn.dialogue.exclude_allergens;
  request.limit = limit;
  return request;
}

void SuggestNode(Turn& turn) {
  absl::StatusOr<messages::SuggestResponse> answer =
      turn.tools->Suggest(SuggestFor(turn, turn.wants_recommendation ? 2 : 1));
  const bool any = answer.ok() && !answer->suggestions.empty();
  const auto price = [&](const messages::Suggestion& suggestion) {
    return SayPrice(suggestion.price.ToMinor(turn.lexicon->exponent()).value_or(0), turn.lexicon->currency(),
                    turn.lexicon->exponent());
  };
  Pending pending;
  if (turn.wants_recommendation) {
    if (!any) {
      turn.sentences.push_back("I have nothing special to suggest right now");
      turn.question = "What would you like?";
      turn.dialogue.pending = Pending{};
      return;
    }
    std::vector<std::string> names;
    pending.kind = PendingKind::kOffer;
    pending.phrase = "one";
    for (const messages::Suggestion& suggestion : answer->suggestions) {
      names.push_back(absl::StrCat("the ", suggestion.name, " for ", price(suggestion)));
      pending.candidates.push_back(suggestion.item_id);
    }
    turn.sentences.push_back(absl::StrCat("I'd suggest ", SayList(names, "or")));
    turn.question = names.size() > 1 ? "Would you like one of them?" : "Would you like that?";
    turn.dialogue.pending = std::move(pending);
    turn.dialogue.focus = turn.dialogue.pending.candidates.front();
    return;
  }
  turn.dialogue.offered = true;
  if (!any) return;
  const messages::Suggestion& suggestion = answer->suggestions.front();
  pending.kind = PendingKind::kMoreOr;
  pending.phrase = suggestion.name;
  pending.candidates = {suggestion.item_id};
  turn.dialogue.pending = std::move(pending);
  turn.question =
      absl::StrCat("Anything else? Perhaps ", Plural(suggestion.name) == suggestion.name ? "" : "the ",
                   suggestion.name, " for ", price(suggestion), "?");
}

void Apologise(Turn& turn) {
  turn.intents.clear();
  turn.sentences = {"Sorry, I can't reach our menu right now. Please use the screen, or ask our staff"};
  turn.question.clear();
  turn.confidence = 0;
}

}  // namespace

Brain::Brain(Clock& clock, Model* model, BrainOptions options)
    : clock_(clock), model_(model), options_(options), menu_(options.menu) {
  Build();
}

Brain::~Brain() = default;

void Brain::Build() {
  const auto late = [](const Turn& turn) { return turn.tools->late(); };
  graph_.AddNode("listen", "words, conversation so far, small talk", Listen);
  graph_.AddNode("look", "cart, screen and menu", [this](Turn& turn) { Look(turn, menu_); });
  if (model_ != nullptr) {
    graph_.AddNode("ask_model", "model with tools", [this](Turn& turn) { AskModel(turn, *model_, menu_); });
    graph_.AddNode("adopt", "model's intents checked", Adopt);
  }
  graph_.AddNode("understand", "acts, dishes, wishes by rules", [this](Turn& turn) {
    const absl::Time begin = clock_.Now();
    UnderstandNode(turn);
    if (model_ == nullptr) turn.engine_latency += clock_.Now() - begin;
  });
  graph_.AddNode("search", "words that no dish is called by",
                 [this](Turn& turn) { SearchNode(turn, menu_); });
  graph_.AddNode("inspect", "dishes as they are now", [this](Turn& turn) { Inspect(turn, menu_); });
  graph_.AddNode("decide", "intents, warnings, questions",
                 [this](Turn& turn) { Decider(turn, options_).Run(); });
  graph_.AddNode("suggest", "something that goes with it", SuggestNode);
  graph_.AddNode("apologise", "the menu cannot be reached", Apologise);
  graph_.AddNode("answer", "spoken sentences", [](Turn& turn) {
    std::vector<std::string> sentences = turn.sentences;
    sentences.push_back(turn.question);
    turn.sentences = {JoinSentences(sentences)};
    turn.question.clear();
  });

  graph_.AddEdge("listen", "decide", "small talk", [](const Turn& turn) { return turn.small_talk; });
  graph_.AddEdge("listen", "look");
  graph_.AddEdge("look", "apologise", "no menu", [](const Turn& turn) { return turn.menu_missing; });
  if (model_ != nullptr) {
    graph_.AddEdge("look", "ask_model");
    graph_.AddEdge("ask_model", "understand", "model failed",
                   [](const Turn& turn) { return turn.model_failure.has_value(); });
    graph_.AddEdge("ask_model", "adopt");
    graph_.AddEdge("adopt", "answer");
  } else {
    graph_.AddEdge("look", "understand");
  }
  graph_.AddEdge("understand", "search", "unknown words or a look around", [late](const Turn& turn) {
    return !late(turn) && absl::c_any_of(turn.understood.acts, NeedsSearch);
  });
  graph_.AddEdge("understand", "inspect", "dishes",
                 [late](const Turn& turn) { return !late(turn) && !IdsToInspect(turn).empty(); });
  graph_.AddEdge("understand", "decide");
  graph_.AddEdge("search", "inspect", "dishes",
                 [late](const Turn& turn) { return !late(turn) && !IdsToInspect(turn).empty(); });
  graph_.AddEdge("search", "decide");
  graph_.AddEdge("inspect", "decide");
  graph_.AddEdge("decide", "suggest", "recommendation or offer", [late](const Turn& turn) {
    return (turn.wants_recommendation || turn.wants_offer) && !late(turn);
  });
  graph_.AddEdge("decide", "answer");
  graph_.AddEdge("suggest", "answer");
  graph_.AddEdge("apologise", "answer");
}

std::string Brain::GraphDot() const {
  return graph_.Dot("arc_brain");
}

Outcome Brain::Handle(const messages::BrainRequest& request, Tools& tools) {
  const absl::Time start = clock_.Now();
  const absl::Time deadline = start + absl::Milliseconds(request.constraints.timeout_ms);
  ToolLog log(tools, clock_, start, deadline);
  Turn turn;
  turn.request = &request;
  turn.tools = &log;

  Outcome outcome;
  outcome.path = graph_.Run(turn);
  outcome.took = clock_.Now() - start;
  outcome.engine_took = turn.engine_latency;

  const auto make_error = [&](const std::string& type, const std::string& message, int64_t retries,
                              std::string fallback) {
    messages::AgentError error;
    error.request_id = request.request_id;
    error.timestamp = FormatTimestamp(clock_.Now());
    error.trace_id = request.trace_id;
    error.error_type = type;
    error.error_message = message.substr(0, 1900);
    error.retry_count = retries;
    error.fallback_response = std::move(fallback);
    return error;
  };
  if (log.late()) {
    const bool by_model = turn.model_failure.has_value();
    outcome.error = make_error(
        "timeout",
        by_model ? turn.model_failure->message
                 : absl::StrCat("the request's timeout of ", request.constraints.timeout_ms, " ms is over"),
        by_model ? turn.model_failure->retries : 0, kFallback);
    // Only a failed model is stood in for; a late answer of the rules would act on a turn that is over.
    if (!by_model || turn.menu_missing) return outcome;
  }

  messages::BrainResponse response;
  response.request_id = request.request_id;
  response.timestamp = FormatTimestamp(clock_.Now());
  response.trace_id = request.trace_id;
  response.user_id = request.user_id;
  response.session_id = request.session_id;
  response.conversation_id = request.conversation_id;
  response.turn_index = request.turn_index;
  response.agent_response = turn.sentences.empty() ? "" : turn.sentences.front();
  if (response.agent_response.size() > 3900) response.agent_response.resize(3900);
  const bool repeated = absl::c_any_of(turn.intents, [](const Intent& intent) {
    return intent.intent_type == IntentType::kRepeat || intent.intent_type == IntentType::kHelp;
  });
  if (!repeated) turn.dialogue.said = response.agent_response;

  const double confidence = std::clamp(std::round(turn.confidence * 100) / 100, 0.0, 1.0);
  for (Intent& intent : turn.intents) {
    // A search without words shows everything; the orchestrator would search for the sentence otherwise.
    const bool everything = intent.intent_type == IntentType::kSearchMenu &&
                            !intent.entities.item.has_value() && intent.entities.modifiers.empty();
    if (!everything) intent.raw_text = request.user_input;
    intent.confidence = confidence;
    intent.entities.exclude_allergens = turn.dialogue.exclude_allergens;
    intent.entities.dietary_filters = turn.dialogue.dietary_filters;
  }
  if (turn.intents.size() > 20) turn.intents.resize(20);
  response.intents = std::move(turn.intents);
  response.dialogue = json::Raw{json::Encode(turn.dialogue)};

  response.metadata.llm_model = turn.model_answer.has_value() ? turn.model_answer->model : "rules";
  response.metadata.tokens_used = turn.model_answer.has_value() ? turn.model_answer->tokens : 0;
  response.metadata.reasoning_steps = static_cast<int64_t>(outcome.path.size());
  for (const messages::ToolSpan& span : log.spans()) response.metadata.tools_called.push_back(span.tool);
  response.metadata.confidence_score = confidence;
  response.performance.llm_latency_ms = absl::ToInt64Milliseconds(turn.engine_latency);
  response.performance.total_processing_ms = absl::ToInt64Milliseconds(outcome.took);
  response.performance.tools = log.spans();

  if (turn.model_failure.has_value() && !outcome.error.has_value()) {
    outcome.error = make_error(turn.model_failure->error_type, turn.model_failure->message,
                               turn.model_failure->retries, response.agent_response);
  }
  outcome.response = std::move(response);
  return outcome;
}

}  // namespace arc::brain
