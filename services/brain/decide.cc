#include "services/brain/decide.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "services/brain/answer.h"
#include "services/brain/constraints.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {

using messages::Intent;
using messages::IntentItem;
using messages::IntentType;
using messages::MenuItem;

std::string BrowseKey(const Act& act) {
  std::string key = absl::StrCat("browse:", act.category, ":", act.text);
  for (const Wish& wish : act.what.wishes) absl::StrAppend(&key, ":", wish.text);
  return key;
}

const MenuItem* FactsOf(const Turn& turn, int64_t id) {
  const auto fresh = turn.items.find(id);
  if (fresh != turn.items.end() && fresh->second.ok()) return &*fresh->second;
  const Dish* dish = turn.lexicon == nullptr ? nullptr : turn.lexicon->Find(id);
  return dish == nullptr ? nullptr : &dish->item;
}

namespace {

// What people are allergic to and no menu lists is looked for in what the menu writes: rather one warning too
// many. "Sweetcorn" is corn.
bool Names(absl::string_view text, const std::string& allergen) {
  const std::string stem = menu::Stem(allergen);
  return absl::c_any_of(menu::Tokenize(text), [&](const std::string& word) {
    return menu::Stem(word) == stem || (stem.size() >= 4 && absl::StrContains(word, stem)) ||
           (stem.size() >= 6 && Alike(word, allergen));
  });
}

bool NamesUnlisted(const MenuItem& item, const std::string& allergen, const std::vector<Wish>& wishes) {
  if (Names(item.name, allergen)) return true;
  for (const Wish& wish : wishes) {
    if (wish.polarity != Polarity::kWithout || !Names(wish.text, allergen)) continue;
    if (!MatchCustomisation(item, wish).empty()) return false;  // the kitchen leaves it out
  }
  const auto names = [&](const std::string& text) { return Names(text, allergen); };
  return names(item.description) || absl::c_any_of(item.tags, names) ||
         absl::c_any_of(item.synonyms, names) ||
         absl::c_any_of(item.customizations, [&](const messages::Customization& customization) {
           return absl::StartsWithIgnoreCase(customization.name, "no ") && names(customization.name);
         });
}

bool IsLimited(const Dialogue& dialogue) {
  return !dialogue.exclude_allergens.empty() || !dialogue.dietary_filters.empty() ||
         !dialogue.unlisted_allergens.empty();
}

}  // namespace

void KeepUnlisted(const std::vector<std::string>& names, Dialogue& dialogue) {
  for (const std::string& name : names) {
    if (dialogue.unlisted_allergens.size() < 20 && !absl::c_linear_search(dialogue.unlisted_allergens, name))
      dialogue.unlisted_allergens.push_back(name);
  }
}

namespace {

// What speaks against an item that must not contain these allergens and has to have these dietary properties.
std::vector<std::string> ConflictsWith(const Turn& turn, const MenuItem& item,
                                       const std::vector<std::string>& excluded,
                                       const std::vector<std::string>& required) {
  menu::Bits allergens = menu::AllergensOf(item);
  menu::Bits dietary = menu::DietaryOf(item);
  for (const int64_t part : item.combo_of) {
    if (const MenuItem* facts = FactsOf(turn, part); facts != nullptr) {
      allergens |= menu::AllergensOf(*facts);
      if (turn.lexicon->Find(part) != nullptr && turn.lexicon->Find(part)->detailed)
        dietary &= menu::DietaryOf(*facts);
    }
  }
  std::vector<std::string> contained;
  for (const std::string& name : excluded) {
    const std::optional<menu::Bits> bits = menu::AllergenBits(name);
    if (bits.has_value() && (allergens & *bits) != 0) contained.push_back(name);
  }
  std::vector<std::string> missed;
  for (const std::string& name : required) {
    const std::optional<menu::Bits> bits = menu::DietaryBit(name);
    if (bits.has_value() && (dietary & *bits) != *bits) missed.push_back(name);
  }
  std::vector<std::string> reasons;
  if (!contained.empty()) reasons.push_back(absl::StrCat("contains ", SayNames(contained)));
  if (!missed.empty()) reasons.push_back(absl::StrCat("isn't listed as ", SayNames(missed, "or")));
  return reasons;
}

}  // namespace

std::string ConflictOf(const Turn& turn, const MenuItem& item, const std::vector<Wish>& wishes) {
  std::vector<std::string> reasons =
      ConflictsWith(turn, item, turn.dialogue.exclude_allergens, turn.dialogue.dietary_filters);
  std::vector<std::string> named;
  for (const std::string& name : turn.dialogue.unlisted_allergens) {
    const bool in_part = absl::c_any_of(item.combo_of, [&](int64_t part) {
      const MenuItem* facts = FactsOf(turn, part);
      return facts != nullptr && NamesUnlisted(*facts, name, wishes);
    });
    if (in_part || NamesUnlisted(item, name, wishes)) named.push_back(name);
  }
  if (!named.empty()) reasons.push_back(absl::StrCat("seems to contain ", SayList(named)));
  return SayList(reasons);
}

bool IsDetailed(const Turn& turn, int64_t id) {
  const auto fresh = turn.items.find(id);
  if (fresh != turn.items.end()) return fresh->second.ok();
  const Dish* dish = turn.lexicon == nullptr ? nullptr : turn.lexicon->Find(id);
  return dish != nullptr && dish->detailed;
}

std::string ConflictOfWishes(const Turn& turn, const std::vector<Wish>& wishes) {
  menu::Bits against = 0;
  for (const std::string& name : turn.dialogue.exclude_allergens)
    against |= menu::AllergenBits(name).value_or(0);
  bool no_meat = false;
  bool no_pork = false;
  for (const std::string& name : turn.dialogue.dietary_filters) {
    against |= menu::AllergensAgainst(menu::DietaryBit(name).value_or(0));
    no_meat = no_meat || name == "vegan" || name == "vegetarian" || name == "pescatarian";
    no_pork = no_pork || name == "halal" || name == "kosher";
  }
  static const auto* const meats = new absl::flat_hash_set<absl::string_view>{
      "bacon", "ham", "pork", "pepperoni", "sausage", "chicken", "beef", "meat", "turkey", "steak"};
  std::vector<std::string> reasons;
  for (const Wish& wish : wishes) {
    if (wish.polarity == Polarity::kWithout) continue;
    menu::Bits bits = 0;
    bool barred = false;
    const Words words = absl::StrSplit(wish.text, ' ', absl::SkipEmpty());
    // "oat milk" and "vegan cheese" are not what they are called after.
    const bool plant = absl::c_any_of(words, [](const std::string& word) {
      return word == "oat" || word == "vegan" || word == "plant" || word == "almond" || word == "coconut";
    });
    for (size_t i = 0; i < words.size(); ++i) {
      for (size_t length = 1; length <= 2 && i + length <= words.size(); ++length) {
        for (const std::string& name : AllergensNamed(Join(words, i, i + length))) {
          if (plant && name == "dairy") continue;
          bits |= menu::AllergenBits(name).value_or(0);
        }
      }
      const bool meat = meats->contains(words[i]) && !plant;
      const bool pork = words[i] == "bacon" || words[i] == "ham" || words[i] == "pork";
      barred = barred || (no_meat && meat) || (no_pork && pork);
    }
    const std::string how =
        wish.polarity == Polarity::kWith ? SayWish(wish) : absl::StrCat("with ", SayWish(wish));
    std::vector<std::string> named;
    for (const std::string& name : turn.dialogue.unlisted_allergens) {
      if (Names(wish.text, name)) named.push_back(name);
    }
    if (!named.empty()) reasons.push_back(absl::StrCat(how, " contains ", SayList(named)));
    if ((bits & against) != 0) {
      reasons.push_back(absl::StrCat(how, " contains ", SayNames(menu::AllergenNamesOf(bits & against))));
    } else if (barred) {
      reasons.push_back(absl::StrCat(how, " isn't ", SayNames(turn.dialogue.dietary_filters, "or")));
    }
  }
  return SayList(reasons);
}

std::string ObjectionTo(const Turn& turn, const MenuItem& item, const std::vector<Wish>& wishes) {
  if (!IsLimited(turn.dialogue)) return "";
  if (!IsDetailed(turn, item.id)) return "can't be checked for what you told me right now";
  std::string conflict = ConflictOf(turn, item, wishes);
  return conflict.empty() ? ConflictOfWishes(turn, wishes) : conflict;
}

namespace {

constexpr size_t kNamedChoices = 4;  // in a spoken question
constexpr int64_t kMaxQuantity = kMaxLineQuantity;

// What `turn` decides, said and turned into intents.
class Decider {
 public:
  Decider(Turn& turn, bool offer) : t_(turn), d_(turn.dialogue), offer_(offer) {}

  void Run() {
    t_.asked = d_.pending;
    NoteConstraints();
    for (const Act& act : t_.understood.acts) Do(act);
    AskQueued();
    Close();
  }

 private:
  // Facts.

  const MenuItem* Facts(int64_t id) const { return FactsOf(t_, id); }

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

  std::string Conflict(const MenuItem& item) const { return ConflictOf(t_, item); }

  bool Detailed(int64_t id) const { return IsDetailed(t_, id); }
  std::string ConflictOfWishes(const std::vector<Wish>& wishes) const {
    return brain::ConflictOfWishes(t_, wishes);
  }
  std::string Objection(const MenuItem& item, const std::vector<Wish>& wishes) const {
    return ObjectionTo(t_, item, wishes);
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
      StopPayment();
      return true;
    }
    if (t_.snapshot->state == "paid") {
      Say("Your order is paid. Thank you! Touch the screen to start another one.");
      return true;
    }
    return false;
  }

  std::string state() const { return t_.snapshot.has_value() ? t_.snapshot->state : ""; }

  // Back to the checkout, with the cart as it is: nothing can be changed while a payment is open.
  void StopPayment() {
    if (stopped_) return;
    stopped_ = true;
    Push(IntentType::kDeny);
    Say("Okay, I'm stopping the payment. Your order is kept");
    if (!asking()) Ask("What would you like to change?", PendingKind::kNone);
  }

  // What is ordered while a payment is open can be added once that is stopped: asks for it until then.
  void AddAfterPayment(const Wanted& wanted) {
    if (wanted.dishes.empty()) {
      Say("Your payment is open. Tap your card, or say cancel to change your order");
      return;
    }
    StopPayment();
    const bool again = d_.pending.kind == PendingKind::kWarning && asking();
    const int64_t quantity = wanted.quantity.value_or(1);
    const MenuItem* facts = Facts(wanted.dishes.front());
    if (wanted.dishes.size() > 1 || quantity < 1 || quantity > kMaxQuantity || facts == nullptr ||
        SoldOut(facts->id)) {
      if (!again) t_.question.clear();
      Add(wanted, std::nullopt);  // a question, or why not
      return;
    }
    const std::vector<std::string> noted = noted_;
    const IntentItem item = MakeItem(*facts, wanted);
    noted_ = noted;  // nothing is in the kitchen yet
    if (const std::string objection = Objection(*facts, wanted.wishes); !objection.empty()) {
      Say(absl::StrCat("The ", facts->name, " ", objection));
    }
    Pending pending;
    if (again) pending = d_.pending;
    pending.kind = PendingKind::kWarning;
    pending.phrase = facts->name;
    if (pending.held.size() < 50) pending.held.push_back(item);
    AskToAdd(std::move(pending));
  }

  void AskToAdd(Pending pending) {
    std::vector<std::string> items;
    for (const IntentItem& item : pending.held) items.push_back(SayItem(item));
    Ask(absl::StrCat("Shall I add ", SayList(items), "?"), std::move(pending));
  }

  // "wait, I want to change something", which names nothing that could be changed.
  bool WantsBack() const {
    static const auto* const words = new absl::flat_hash_set<absl::string_view>{
        "cancel", "change", "edit", "modify", "back", "stop", "abort"};
    return absl::c_any_of(t_.words, [](const std::string& word) { return words->contains(word); });
  }

  void Remember(std::string change, std::vector<IntentItem> items) {
    d_.before.reset();
    d_.wished.clear();
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
      KeepUnlisted(u.unknown_allergens, d_);
      Say(absl::StrCat("our menu doesn't list ", SayList(u.unknown_allergens, "or"),
                       " as an allergen, so please ask our staff about that"));
      Say("I'll tell you of dishes that name it");
    }
    if (u.denied && !u.allergy_unnamed && u.exclude_allergens.empty()) NoteDenial(u);
    // An answer to "what are you allergic to?" leads on to what was asked before it.
    if (t_.asked.kind == PendingKind::kAllergy &&
        (u.denied || !u.unknown_allergens.empty() || !news.empty() || !u.dietary_filters.empty())) {
      t_.understood.chose = true;
    }
    if (u.exclude_allergens.empty() && u.dietary_filters.empty()) {
      const bool said = u.denied || !u.unknown_allergens.empty();
      if (!u.unknown_allergens.empty()) SayConflictsInCart();
      if (said && !u.allergy_unnamed && u.acts.empty()) Ask("What would you like?", PendingKind::kNone);
      return;
    }
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
    SayConflictsInCart();
    if (u.acts.empty()) Ask("What would you like?", PendingKind::kNone);
  }

  void SayConflictsInCart() {
    for (const Cart::Line& line : t_.cart.lines()) {
      const MenuItem* item = Facts(line.item.item_id);
      if (item == nullptr || !Detailed(line.item.item_id)) continue;
      std::vector<Wish> wishes;
      for (const std::string& name : line.item.modifiers) {
        if (absl::StartsWithIgnoreCase(name, "no "))
          wishes.push_back({Polarity::kWithout, menu::Fold(absl::string_view(name).substr(3))});
      }
      const std::string conflict = ConflictOf(t_, *item, wishes);
      if (!conflict.empty()) Say(absl::StrCat("The ", item->name, " in your order ", conflict));
    }
  }

  // Nobody may need what was named before: it stays, whoever denies it.
  void NoteDenial(const Understanding& u) {
    std::vector<std::string> kept;
    for (const std::string& name : u.denied_allergens) {
      if (absl::c_linear_search(d_.exclude_allergens, name)) kept.push_back(name);
    }
    if (kept.empty()) {
      if (u.acts.empty()) Say("Okay");
      return;
    }
    Say(absl::StrCat("You told me to leave out ", SayNames(kept, "or"),
                     ", so I still do. To change that, cancel the order and begin a new one"));
  }

  void AskAllergy() {
    // What would be asked otherwise comes after it.
    if (asking() && d_.pending.kind == PendingKind::kChoice && d_.queue.size() < 10) {
      d_.queue.insert(d_.queue.begin(), d_.pending);
    }
    Ask("What are you allergic to?", PendingKind::kAllergy);
  }

  void Do(const Act& act) {
    switch (act.kind) {
      case ActKind::kAdd:
        if (state() == "paying") {
          AddAfterPayment(act.what);
        } else if (!CartClosed()) {
          Add(act.what, std::nullopt);
        }
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
      case ActKind::kOther:
        if (!CartClosed()) Other(act);
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
        if (state() == "paying" && WantsBack()) {
          StopPayment();
          return;
        }
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
        // "Cancel" alone is the payment's; it takes more words to lose the order.
        if (state() == "paying" && !absl::c_linear_search(t_.words, "order") &&
            !absl::c_linear_search(t_.words, "everything")) {
          StopPayment();
          return;
        }
        Push(IntentType::kCancelOrder);
        Say(state() == "paying" ? "Okay, I'm stopping the payment and cancelling your order"
                                : "Okay, I've cancelled your order");
        d_ = Dialogue{};
        return;
      case ActKind::kStartOver:
        if (CartClosed()) return;
        Push(IntentType::kStartOver);
        {
          Dialogue fresh;
          fresh.exclude_allergens = d_.exclude_allergens;
          fresh.dietary_filters = d_.dietary_filters;
          fresh.unlisted_allergens = d_.unlisted_allergens;
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
      case ActKind::kFiller:
        // Whatever was asked is still asked.
        Push(IntentType::kUnknown);
        t_.confidence = std::min(t_.confidence, 0.2);
        Say("Take your time");
        t_.keep_pending = true;
        return;
      case ActKind::kUnknown:
        if (state() == "paying" && WantsBack()) {
          StopPayment();
        } else {
          Unknown();
        }
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
    AddName(noted_, text);
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
    // A count that cannot be is asked about once the dish is known.
    if (wanted.quantity.has_value()) pending.quantity = std::clamp<int64_t>(*wanted.quantity, 0, 999);
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
    if (pending.kind == PendingKind::kCount) {
      const std::string name =
          pending.candidates.empty() ? pending.phrase : NameOf(pending.candidates.front());
      Ask(absl::StrCat("How many ", Plural(name), " would you like?"), pending);
      return;
    }
    if (pending.kind == PendingKind::kOffer && !pending.candidates.empty()) {
      d_.focus = pending.candidates.front();
      Ask(absl::StrCat("Do you mean the ", NameOf(d_.focus), "?"), pending);
      return;
    }
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
    const bool looks = all.front().act == PendingAct::kAdd || all.front().act == PendingAct::kReplace;
    if (looks && state() != "paying") {
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
    names.reserve(others.size());
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

  // "one hundred", "zero", "minus two", "two and a half": how many is asked again, nothing is done.
  void AskCount(Wanted wanted, PendingAct act, std::vector<IntentItem> held) {
    if (wanted.quantity.value_or(1) > kMaxQuantity) {
      Say(absl::StrCat("I can take at most ", kMaxQuantity, " of a dish here"));
    } else if (wanted.quantity.value_or(1) < 1) {
      Say(absl::StrCat("I can take any whole number of a dish, from one to ", kMaxQuantity));
    }
    t_.confidence = std::min(t_.confidence, 0.5);
    wanted.quantity.reset();
    Choose(wanted, act, std::move(held));
    questions_.back().kind = PendingKind::kCount;
  }

  // "a falafel", "an apple juice": the dish shares a word with what was said, which may be something else.
  void AskWhetherMeant(const Wanted& wanted, const MenuItem& facts) {
    t_.confidence = std::min(t_.confidence, 0.6);
    Pending pending;
    pending.kind = PendingKind::kOffer;
    pending.phrase = wanted.phrase;
    pending.candidates = {facts.id};
    pending.quantity = wanted.quantity;
    pending.wishes = wanted.wishes;
    if (pending.wishes.size() > 20) pending.wishes.resize(20);
    questions_.push_back(std::move(pending));
  }

  static std::string SayNeeds(const Wanted& wanted) {
    std::vector<std::string> needs;
    for (const std::string& name : wanted.required.free_of)
      needs.push_back(absl::StrCat("without ", SayNames({name})));
    for (const std::string& name : wanted.required.diets) needs.push_back(SayNames({name}));
    return SayList(needs);
  }

  // "a nut free brownie": what speaks against a dish that was named with what it has to be.
  std::string ObjectionToNeeds(const MenuItem& item, const Wanted& wanted) const {
    if (wanted.required.free_of.empty() && wanted.required.diets.empty()) return "";
    if (!IsDetailed(t_, item.id)) return "can't be checked for that right now";
    return SayList(ConflictsWith(t_, item, wanted.required.free_of, wanted.required.diets));
  }

  // Adds one dish, or asks, warns or regrets. `replaced`: it takes the place of that line's item.
  bool Add(const Wanted& wanted, const std::optional<IntentItem>& replaced) {
    if (wanted.dishes.empty()) {
      UnknownDish(wanted.phrase, wanted.bare);
      return false;
    }
    if (!wanted.unlike.empty()) {
      t_.confidence = std::min(t_.confidence, 0.6);
      Say(absl::StrCat("Sorry, we have none that is called ", wanted.unlike));
    }
    if (wanted.or_quantity > 0) {
      Say(absl::StrCat("I took ", SayCount(wanted.quantity.value_or(1)), ". For ",
                       SayCount(wanted.or_quantity), ", say make it ", SayCount(wanted.or_quantity)));
    }
    if (wanted.dishes.size() > 1 && !(wanted.required.free_of.empty() && wanted.required.diets.empty())) {
      Wanted fitting = wanted;
      fitting.required = {};
      fitting.dishes.clear();
      for (const int64_t id : wanted.dishes) {
        const MenuItem* const item = Facts(id);
        if (item != nullptr && ObjectionToNeeds(*item, wanted).empty()) fitting.dishes.push_back(id);
      }
      if (!fitting.dishes.empty()) return Add(fitting, replaced);
      Say(absl::StrCat("Sorry, none of ours is ", SayNeeds(wanted)));
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
    if (wanted.quantity.has_value() && (*wanted.quantity < 1 || *wanted.quantity > kMaxQuantity)) {
      Wanted again = wanted;
      again.phrase = facts->name;
      if (replaced.has_value()) {
        AskCount(std::move(again), PendingAct::kReplace, {*replaced});
      } else {
        AskCount(std::move(again), PendingAct::kAdd, {});
      }
      return false;
    }
    if (wanted.guessed && !replaced.has_value()) {
      AskWhetherMeant(wanted, *facts);
      return false;
    }
    const std::vector<std::string> noted = noted_;
    const IntentItem item = MakeItem(*facts, wanted);
    std::string objection = Objection(*facts, wanted.wishes);
    if (objection.empty()) objection = ObjectionToNeeds(*facts, wanted);
    if (!objection.empty()) {
      noted_ = noted;  // nothing is in the kitchen yet
      Warn(item, objection, replaced);
      return false;
    }
    if (!Fits(item)) {
      noted_ = noted;
      if (t_.cart.RoomFor(item) > 0) {
        Wanted again = wanted;
        again.phrase = facts->name;
        again.quantity.reset();  // how many still fit was said
        AskCount(std::move(again), PendingAct::kAdd, {});
      }
      return false;
    }
    if (absl::c_linear_search(t_.asked.trade_ins, id) && !replaced.has_value() && item.quantity == 1) {
      return TradeIn(*facts, item);
    }
    t_.cart.Add(item, UnitPrice(*facts, item.modifiers), t_.intents);
    if (!replaced.has_value()) added_.push_back(item);
    RememberOthers(wanted);
    Remember(replaced.has_value() ? "replace" : "add", {item});
    return true;
  }

  // Whether the orchestrator would take `item`; says it when not.
  bool Fits(const IntentItem& item) {
    const int64_t room = t_.cart.RoomFor(item);
    if (item.quantity <= room) return true;
    t_.confidence = std::min(t_.confidence, 0.5);
    if (room > 0) {
      Say(absl::StrCat("I can take at most ", room, " more ", room > 1 ? Plural(item.name) : item.name,
                       " here, so I haven't added any yet"));
    } else {
      Say(absl::StrCat("I couldn't add ", SayItem(item),
                       ": your order has as many of that as I can take here. Please ask our staff for more"));
    }
    if (!asking()) Ask("Anything else?", PendingKind::kMore);
    return false;
  }

  // Whether `line` can become `item`; says it when not.
  bool FitsInstead(size_t line, const IntentItem& item) {
    Cart cart = t_.cart;
    std::vector<Intent> none;
    cart.Remove(line, item.quantity, none);
    if (item.quantity <= cart.RoomFor(item)) return true;
    t_.confidence = std::min(t_.confidence, 0.5);
    Say(absl::StrCat("Your order is as large as I can take here, so I left the ", item.name,
                     " as it was. Please ask our staff for more"));
    if (!asking()) Ask("Anything else?", PendingKind::kMore);
    return false;
  }

  // Puts a combo that was offered in the place of those of its parts that are in the cart, as the
  // orchestrator
  // does when it is taken on the screen: one of each, the plainest line; what was chosen for a part is chosen
  // for the combo.
  bool TradeIn(const MenuItem& combo, IntentItem item) {
    Cart cart = t_.cart;
    std::vector<Intent> intents = t_.intents;
    std::vector<std::string> notes = NotesOf(item.note);
    std::vector<std::string> parts;
    for (const int64_t part : combo.combo_of) {
      std::optional<size_t> plainest;
      for (size_t i = 0; i < cart.lines().size(); ++i) {
        const IntentItem& line = cart.lines()[i].item;
        if (line.item_id != part) continue;
        if (!plainest.has_value() || line.modifiers.size() < cart.lines()[*plainest].item.modifiers.size()) {
          plainest = i;
        }
      }
      if (!plainest.has_value()) continue;
      const IntentItem line = cart.lines()[*plainest].item;
      for (const std::string& name : line.modifiers) {
        const bool offered = absl::c_any_of(
            combo.customizations, [&](const messages::Customization& offer) { return offer.name == name; });
        if (!offered) {
          Say(absl::StrCat("The ", combo.name, " can't be had ", SayChange(name),
                           ", so I left your order as it was"));
          return true;
        }
        AddName(item.modifiers, name);
      }
      if (line.note.has_value() && !line.note->empty())
        notes.push_back(absl::StrCat(line.name, ": ", *line.note));
      parts.push_back(absl::StrCat("the ", line.name));
      cart.Remove(*plainest, 1, intents);
    }
    const std::string note = absl::StrJoin(notes, ", ");
    if (note.size() > 400) {
      Say("Your notes are too long for a combo, so I left your order as it was");
      return true;
    }
    item.note.reset();
    if (!note.empty()) item.note = note;
    if (cart.RoomFor(item) < item.quantity) {
      Say(absl::StrCat("I can't take more of the ", combo.name, " here, so I left your order as it was"));
      return true;
    }
    cart.Add(item, UnitPrice(combo, item.modifiers), intents);
    t_.cart = std::move(cart);
    t_.intents = std::move(intents);
    if (parts.empty()) {
      added_.push_back(item);
    } else {
      changed_.push_back(absl::StrCat(SayItem(item), " instead of ", SayList(parts)));
    }
    Remember("add", {item});
    return true;
  }

  static std::string SayChange(const std::string& name) {
    const std::string lower = absl::AsciiStrToLower(name);
    return absl::StartsWith(lower, "no ") ? absl::StrCat("without ", lower.substr(3))
                                          : absl::StrCat("with ", lower);
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

  void Warn(const IntentItem& item, const std::string& conflict, const std::optional<IntentItem>& replaced) {
    Say(absl::StrCat("The ", item.name, " ", conflict));
    if (d_.pending.kind == PendingKind::kWarning && asking()) {
      if (replaced.has_value()) {
        if (d_.pending.act == PendingAct::kReplace) {
          Say("Please ask for that again afterwards");
          return;
        }
        d_.pending.act = PendingAct::kReplace;
        d_.pending.held.insert(d_.pending.held.begin(), *replaced);
      }
      d_.pending.held.push_back(item);
      t_.question = "Do you still want them?";
      return;
    }
    PushItem(IntentType::kItemDetails, item.item_id);
    Pending pending;
    pending.kind = PendingKind::kWarning;
    pending.phrase = item.name;
    pending.held = {item};
    if (replaced.has_value()) {
      pending.act = PendingAct::kReplace;
      pending.held.insert(pending.held.begin(), *replaced);
    }
    Ask(item.quantity > 1 ? "Do you still want them?" : "Do you still want it?", std::move(pending));
    d_.focus = item.item_id;
  }

  // Changing.

  bool Missing(const Act& act) {
    if (act.line.has_value() && *act.line < t_.lines.size()) return false;
    if (act.what.dishes.size() > 1 && !act.not_in_cart && act.kind == ActKind::kReplace) {
      ChooseReplaced(act);
      return true;
    }
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

  // Which of several dishes in the cart gives way.
  void ChooseReplaced(const Act& act) {
    if (act.with.dishes.empty() && !act.with.phrase.empty()) {
      UnknownDish(act.with.phrase, act.with.bare);
      return;
    }
    std::vector<IntentItem> held;
    const MenuItem* facts = act.with.dishes.empty() ? nullptr : Facts(act.with.dishes.front());
    if (facts != nullptr) {
      Wanted with = act.with;
      if (!with.quantity.has_value() || with.article) with.quantity = act.what.quantity;
      held.push_back(MakeItem(*facts, with));
    }
    Choose(act.what, PendingAct::kSwap, std::move(held));
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
    if (act.what.quantity.has_value() && *act.what.quantity < 1) {
      Wanted wanted = act.what;
      wanted.dishes = {item.item_id};
      wanted.phrase = item.name;
      AskCount(std::move(wanted), PendingAct::kRemove, {item});
      return;
    }
    int64_t quantity = act.what.quantity.value_or(0);
    if (quantity >= item.quantity) quantity = 0;
    t_.cart.Remove(*line, quantity, t_.intents);
    if (quantity > 0) item.quantity = quantity;
    const bool all = quantity == 0;
    removed_.push_back(all ? absl::StrCat("the ", item.quantity > 1 ? Plural(item.name) : item.name)
                           : SayItem(item));
    Remember("remove", {item});
    d_.before = std::move(item);
  }

  void Quantity(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value() || !act.what.quantity.has_value()) return;
    const int64_t quantity = *act.what.quantity;
    if (quantity < 0 || quantity > kMaxQuantity) {
      const IntentItem item = t_.cart.lines()[*line].item;
      Wanted wanted = act.what;
      wanted.dishes = {item.item_id};
      wanted.phrase = item.name;
      AskCount(std::move(wanted), PendingAct::kQuantity, {item});
      return;
    }
    if (quantity == 0) {
      Act remove = act;
      remove.what.quantity.reset();
      Remove(remove);
      return;
    }
    IntentItem item = t_.cart.lines()[*line].item;
    if (const int64_t others = t_.cart.count() - item.quantity; others + quantity > kMaxCartQuantity) {
      t_.confidence = std::min(t_.confidence, 0.5);
      Say(absl::StrCat("I can take at most ", kMaxCartQuantity, " dishes in one order, so it stays at ",
                       SayItem(item), ". Please ask our staff for more"));
      if (!asking()) Ask("Anything else?", PendingKind::kMore);
      return;
    }
    const IntentItem before = item;
    t_.cart.SetQuantity(*line, quantity, t_.intents);
    item.quantity = quantity;
    changed_.push_back(SayItem(item));
    Remember("quantity", {item});
    d_.before = before;
  }

  void Modify(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value()) return;
    IntentItem item = t_.cart.lines()[*line].item;
    const MenuItem* facts = Facts(item.item_id);
    if (facts == nullptr) return;
    const int64_t quantity = act.what.quantity.value_or(item.quantity);
    const IntentItem before = item;
    const std::vector<std::string> noted = noted_;
    Apply(*facts, act.what.wishes, item);
    if (const std::string conflict = IsLimited(d_) ? ConflictOfWishes(act.what.wishes) : "";
        !conflict.empty()) {
      noted_ = noted;
      IntentItem part = before;
      part.quantity = item.quantity = std::min(quantity > 0 ? quantity : before.quantity, before.quantity);
      Warn(item, conflict, part);
      return;
    }
    IntentItem part = item;
    if (quantity > 0) part.quantity = std::min(quantity, item.quantity);
    if (!FitsInstead(*line, part)) {
      noted_ = noted;
      return;
    }
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
    d_.before = before;
    d_.before->quantity = item.quantity;
    d_.wished = act.what.wishes;
    if (d_.wished.size() > 20) d_.wished.resize(20);
  }

  std::optional<size_t> LineLike(const IntentItem& item) const {
    for (size_t i = 0; i < t_.cart.lines().size(); ++i) {
      const IntentItem& other = t_.cart.lines()[i].item;
      if (other.item_id == item.item_id && other.modifiers == item.modifiers &&
          other.note.value_or("") == item.note.value_or("")) {
        return i;
      }
    }
    return std::nullopt;
  }

  // "no, the other one": what was changed last becomes as it was, and the other line is changed like it.
  void Other(const Act& act) {
    if (!d_.before.has_value() || d_.last.size() != 1) {
      Unknown();
      return;
    }
    const IntentItem before = *d_.before;
    const IntentItem last = d_.last.front();
    const std::optional<size_t> line = LineLike(last);
    const MenuItem* facts = Facts(before.item_id);
    const int64_t price = facts == nullptr ? 0 : UnitPrice(*facts, before.modifiers);
    Act again = act;
    PendingAct pending = PendingAct::kQuantity;
    if (d_.last_change == "remove") {
      again.kind = ActKind::kRemove;
      pending = PendingAct::kRemove;
      // Of a line that is still there some were taken.
      if (line.has_value()) again.what.quantity = before.quantity;
      t_.cart.Add(before, price, t_.intents);
      changed_.push_back(absl::StrCat(SayItem(before), " again"));
    } else if (line.has_value() && d_.last_change == "modify") {
      again.kind = ActKind::kModify;
      again.what.wishes = d_.wished;
      pending = PendingAct::kModify;
      const bool part = act.line.has_value() && t_.lines[*act.line].quantity > last.quantity;
      if (part) again.what.quantity = last.quantity;
      t_.cart.Remove(*line, last.quantity, t_.intents);
      t_.cart.Add(before, price, t_.intents);
      changed_.push_back(SayItem(before));
    } else if (line.has_value()) {
      again.kind = ActKind::kQuantity;
      again.what.quantity = last.quantity;
      t_.cart.SetQuantity(*line, before.quantity, t_.intents);
      changed_.push_back(SayItem(before));
    } else {
      Unknown();
      return;
    }
    if (!act.line.has_value()) {
      Choose(again.what, pending, {});
    } else if (again.kind == ActKind::kRemove) {
      Remove(again);
    } else if (again.kind == ActKind::kModify) {
      Modify(again);
    } else {
      Quantity(again);
    }
  }

  void Replace(const Act& act) {
    if (Missing(act)) return;
    const std::optional<size_t> line = Now(*act.line);
    if (!line.has_value()) return;
    const int64_t whole = t_.cart.lines()[*line].item.quantity;
    IntentItem before = t_.cart.lines()[*line].item;
    // "one of the fries": as many of the line.
    if (act.what.quantity.has_value()) before.quantity = std::clamp<int64_t>(*act.what.quantity, 1, whole);
    const std::string what = absl::StrCat(before.quantity < whole ? SayCount(before.quantity) : "the", " ",
                                          before.quantity > 1 ? Plural(before.name) : before.name);
    if (act.with.dishes.empty() && act.with.phrase.empty()) {
      Pending pending;
      pending.kind = PendingKind::kInstead;
      pending.phrase = before.name;
      pending.held = {before};
      Ask(absl::StrCat("What would you like instead of ", what, "?"), std::move(pending));
      return;
    }
    Wanted with = act.with;
    if (!with.quantity.has_value() || with.article) with.quantity = before.quantity;
    if (with.dishes.size() == 1 && !SoldOut(with.dishes.front())) {
      const MenuItem* facts = Facts(with.dishes.front());
      if (facts != nullptr && Conflict(*facts).empty()) {
        Cart cart = t_.cart;
        const size_t begin = t_.intents.size();
        t_.cart.Remove(*line, before.quantity < whole ? before.quantity : 0, t_.intents);
        const size_t end = t_.intents.size();
        std::vector<int64_t> others = {before.item_id};
        if (!Add(with, before)) {
          // What is not replaced stays.
          t_.cart = std::move(cart);
          const auto at = t_.intents.begin();
          t_.intents.erase(at + static_cast<std::ptrdiff_t>(begin), at + static_cast<std::ptrdiff_t>(end));
        } else {
          IntentItem item = MakeItem(*facts, with);
          changed_.push_back(absl::StrCat(SayItem(item), " instead of ", what));
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
    const bool filtered = IsLimited(d_);
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
    size_t fitting = ids.size();
    if (!d_.unlisted_allergens.empty()) {
      ids = Allowed(ids);
      fitting = ids.size();
    } else if (const auto matches = t_.matches.find(BrowseKey(act)); matches != t_.matches.end()) {
      fitting = std::max<size_t>(fitting, static_cast<size_t>(matches->second));
    }
    intent.entities.asked_dietary = act.asked;
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
    const size_t more = fitting > names.size() ? fitting - names.size() : 0;
    // During a payment and after it the screen shows that, whatever is asked.
    const bool shown = state() != "paying" && state() != "paid" && state() != "error";
    Say(absl::StrCat("We have ", SayList(names),
                     more > 0 ? absl::StrCat(", and ", more, " more", shown ? " on the screen" : "") : ""));
    Ask("Which one would you like?", std::move(pending));
  }

  int64_t PriceMinor(int64_t id) const {
    const MenuItem* item = Facts(id);
    return item == nullptr ? 0 : item->price.ToMinor(exponent()).value_or(0);
  }

  // Whether what is in the cart can be had no more: sold out since, or off the menu.
  bool Gone(const Cart::Line& line) const {
    const int64_t id = line.item.item_id;
    return SoldOut(id) ||
           (t_.lexicon != nullptr && t_.lexicon->Find(id) == nullptr && t_.items.count(id) == 0);
  }
  bool AnyGone() const {
    return absl::c_any_of(t_.cart.lines(), [this](const Cart::Line& line) { return Gone(line); });
  }

  // Takes that out, and says so.
  bool DropGone() {
    std::vector<std::string> names;
    bool several = false;
    for (size_t i = t_.cart.lines().size(); i-- > 0;) {
      if (!Gone(t_.cart.lines()[i])) continue;
      const IntentItem item = t_.cart.lines()[i].item;
      const std::string name = absl::StrCat("the ", item.quantity > 1 ? Plural(item.name) : item.name);
      several = several || item.quantity > 1 || Plural(item.name) == item.name;
      if (!absl::c_linear_search(names, name)) names.insert(names.begin(), name);
      // From the last line on, so that none of the same item stands in the way.
      t_.cart.Remove(i, 0, t_.intents);
    }
    if (names.empty()) return false;
    several = several || names.size() > 1;
    Say(absl::StrCat("Sorry, ", SayList(names), several ? " are" : " is", " sold out by now, so I took ",
                     several ? "them" : "it", " out of your order"));
    return true;
  }

  void ShowCart(bool total_only) {
    const bool gone = state() != "paying" && state() != "paid" && DropGone();
    Push(IntentType::kShowCart);
    if (gone && t_.cart.empty()) {
      Ask("What would you like instead?", PendingKind::kNone);
      return;
    }
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
    // Nobody pays a total that he has not heard.
    if (DropGone()) {
      pay = false;
      if (t_.cart.empty()) {
        Push(IntentType::kShowCart);
        Ask("What would you like instead?", PendingKind::kNone);
        return;
      }
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
      if (!Fits(item)) continue;
      t_.cart.Add(item, facts == nullptr ? 0 : UnitPrice(*facts, item.modifiers), t_.intents);
      added_.push_back(item);
      Remember("add", {item});
    }
  }

  // The first of `held` gives way to the others.
  void AddInstead(const std::vector<IntentItem>& held) {
    if (held.size() < 2) return;
    const IntentItem& before = held.front();
    std::optional<size_t> line;
    for (size_t i = 0; i < t_.cart.lines().size(); ++i) {
      const IntentItem& item = t_.cart.lines()[i].item;
      if (item.item_id == before.item_id && item.modifiers == before.modifiers &&
          item.note.value_or("") == before.note.value_or("")) {
        line = i;
      }
    }
    if (line.has_value() && !SoldOut(held[1].item_id)) {
      Cart cart = t_.cart;
      std::vector<Intent> intents = t_.intents;
      cart.Remove(*line, before.quantity, intents);
      if (cart.RoomFor(held[1]) >= held[1].quantity) {
        t_.cart = std::move(cart);
        t_.intents = std::move(intents);
      }
    }
    AddHeld({held.begin() + 1, held.end()});
  }

  Wanted Plain(int64_t id) const {
    Wanted wanted;
    wanted.dishes = {id};
    wanted.phrase = NameOf(id);
    return wanted;
  }

  void AddPlain(int64_t id) { AddNow(Plain(id)); }

  void AddNow(const Wanted& wanted) {
    if (state() == "paying") {
      AddAfterPayment(wanted);
    } else if (!CartClosed()) {
      Add(wanted, std::nullopt);
    }
  }

  void Yes(bool accept) {
    const Pending pending = t_.asked;
    switch (pending.kind) {
      case PendingKind::kWarning:
        if (state() == "paying") {
          StopPayment();
          AskToAdd(pending);
        } else if (pending.act == PendingAct::kReplace) {
          AddInstead(pending.held);
        } else {
          AddHeld(pending.held);
        }
        pay_after_ = pending.pay_after;
        return;
      case PendingKind::kOffer:
      case PendingKind::kMoreOr:
        if (pending.candidates.size() == 1) {
          Wanted wanted = Plain(pending.candidates.front());
          wanted.quantity = pending.quantity;
          wanted.wishes = pending.wishes;
          if (!d_.queue.empty()) t_.understood.chose = true;  // what waited comes next
          AddNow(wanted);
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
      case PendingKind::kCount:
        t_.understood.ask_again = true;
        return;
      case PendingKind::kPay:
        if (state() == "paying") {
          Say("Please tap or insert your card");
          return;
        }
        if (AnyGone()) {
          Checkout(false);
          return;
        }
        if (t_.snapshot.has_value() && state() != "checkout") Push(IntentType::kCheckout);
        Push(IntentType::kConfirm);
        Say("Thank you. Please tap or insert your card");
        return;
      case PendingKind::kAllergy:
        AskAllergy();
        return;
      case PendingKind::kInstead:
        Ask("What would you like instead?", pending);
        return;
      case PendingKind::kMore:
        if (accept) break;
        Ask("What else would you like?", PendingKind::kNone);
        return;
      case PendingKind::kNone:
        break;
    }
    if (accept && d_.focus != 0 && Facts(d_.focus) != nullptr) {
      AddPlain(d_.focus);
      return;
    }
    // Nothing was asked by voice: the screen's question is meant.
    const std::string now = state();
    if (now == "paying") {
      Say("Please tap or insert your card");
    } else if ((now == "checkout" || now == "cart") && AnyGone()) {
      Checkout(false);
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
      case PendingKind::kAllergy:
        if (!d_.queue.empty()) {
          t_.understood.chose = true;
          return;
        }
        Ask(t_.cart.empty() ? "Okay. What would you like?" : "Okay. Anything else?",
            t_.cart.empty() ? PendingKind::kNone : PendingKind::kMore);
        return;
      case PendingKind::kWarning:
      case PendingKind::kChoice:
      case PendingKind::kCount:
      case PendingKind::kInstead:
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
    if (now == "paying") {
      StopPayment();
      return;
    }
    Push(IntentType::kDeny);
    Say("Okay");
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
    // After a card that was declined.
    const bool again = absl::c_linear_search(t_.words, "again") || absl::c_linear_search(t_.words, "retry");
    if (again && state() == "checkout") {
      Checkout(true);
      return;
    }
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
        t_.wants_offer = offer_ && !d_.offered && !added_.empty() && state() != "checkout";
      }
    }
    if (t_.understood.allergy_unnamed && !(asking() && d_.pending.kind == PendingKind::kWarning)) {
      t_.wants_offer = false;
      t_.wants_recommendation = false;
      AskAllergy();
    }
    if (d_.pending.kind == PendingKind::kWarning) d_.pending.pay_after = pay_after_;
    if (t_.question.empty() && !t_.keep_pending && !t_.wants_recommendation) d_.pending = Pending{};
  }

  Turn& t_;
  Dialogue& d_;
  bool offer_;
  std::vector<IntentItem> added_;
  std::vector<std::string> changed_;
  std::vector<std::string> removed_;
  std::vector<std::string> noted_;
  std::vector<Pending> questions_;
  bool changed_now_ = false;
  bool pay_after_ = false;
  bool stopped_ = false;  // the payment
  bool closing_ = false;
  std::string closing_sentence_;
  std::string closing_question_;
  PendingKind closing_pending_ = PendingKind::kNone;
};

}  // namespace

void Decide(Turn& turn, bool offer) {
  Decider(turn, offer).Run();
}

}  // namespace arc::brain
