// What the brain has to remember of a conversation from one turn to the next: the `dialogue` of
// agent.brain.response, which comes back in context.dialogue of the conversation's next request. Plain
// values; all that comes back is checked like any other input.
#ifndef ARC_SERVICES_BRAIN_DIALOGUE_H_
#define ARC_SERVICES_BRAIN_DIALOGUE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/messages/voice.h"
#include "services/brain/lexicon.h"

namespace arc::brain {

// What the last answer asked for.
enum class PendingKind {
  kNone,
  kChoice,   // which of `candidates` is meant
  kWarning,  // whether `held` is wanted although it breaks an allergy or a diet
  kOffer,    // whether one of `candidates`, which were recommended, is wanted
  kMore,     // anything else?
  kMoreOr,   // anything else, perhaps the one of `candidates`?
  kPay,      // whether to pay now
  kAllergy,  // what the customer is allergic to
  kCount,    // how many of the one of `candidates`
  kInstead,  // what is to take the place of the one of `held`
};
inline absl::Span<const absl::string_view> EnumNames(PendingKind) {
  static constexpr std::array<absl::string_view, 10> kNames = {
      "none", "choice", "warning", "offer", "more", "more_or", "pay", "allergy", "count", "instead"};
  return kNames;
}

// What is to be done with a candidate once it is chosen: kReplace puts it in the place of the one of `held`,
// kSwap puts the one of `held` in its place.
enum class PendingAct { kAdd, kRemove, kModify, kQuantity, kReplace, kDetails, kSwap };
inline absl::Span<const absl::string_view> EnumNames(PendingAct) {
  static constexpr std::array<absl::string_view, 7> kNames = {"add",     "remove",  "modify", "quantity",
                                                              "replace", "details", "swap"};
  return kNames;
}

struct Pending {
  PendingKind kind = PendingKind::kNone;
  PendingAct act = PendingAct::kAdd;
  std::string phrase;  // what the customer called it: "burger"
  std::vector<int64_t> candidates;
  std::vector<int64_t> trade_ins;  // of the candidates, combos that take the place of their parts in the cart
  std::optional<int64_t> quantity;
  std::vector<Wish> wishes;
  std::vector<messages::IntentItem> held;  // kWarning: what to add; kReplace, kInstead: what is replaced
  bool pay_after = false;                  // the customer wants to pay once this is settled

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("kind", s.kind);
    v.Optional("act", s.act);
    v.Optional("phrase", s.phrase, json::Range(0, 400));
    v.Optional("candidates", s.candidates, json::Range(0, 200));
    v.Optional("trade_ins", s.trade_ins, json::Range(0, 20));
    v.Optional("quantity", s.quantity, json::Range(0, 999));
    v.Optional("wishes", s.wishes, json::Range(0, 20));
    v.Optional("held", s.held, json::Range(0, 50));
    v.Optional("pay_after", s.pay_after);
  }
};

struct Dialogue {
  Pending pending;
  std::vector<Pending> queue;              // asked one after the other
  std::vector<messages::IntentItem> last;  // what the last change of the cart was about
  std::string last_change;                 // add, remove, quantity, modify or replace; empty: none
  // After remove, quantity and modify of one line, for "no, the other one": it as it was, of a removal and a
  // modification as many as were meant; and what was wished for.
  std::optional<messages::IntentItem> before;
  std::vector<Wish> wished;
  int64_t focus = 0;            // the item that was spoken of last, 0: none
  std::vector<int64_t> others;  // candidates that were not chosen: "the other one"
  std::string said;             // the last answer, for "say that again"
  std::vector<std::string> exclude_allergens;
  std::vector<std::string> dietary_filters;
  std::vector<std::string> unlisted_allergens;  // what no menu lists: "strawberries"
  bool offered = false;                         // something was offered with an order already

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("pending", s.pending);
    v.Optional("queue", s.queue, json::Range(0, 10));
    v.Optional("last", s.last, json::Range(0, 50));
    v.Optional("last_change", s.last_change, json::Range(0, 20));
    v.Optional("before", s.before);
    v.Optional("wished", s.wished, json::Range(0, 20));
    v.Optional("focus", s.focus, json::Range(0, json::kMaxId));
    v.Optional("others", s.others, json::Range(0, 200));
    v.Optional("said", s.said, json::Range(0, 4000));
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
    v.Optional("unlisted_allergens", s.unlisted_allergens, json::Range(0, 20));
    v.Optional("offered", s.offered);
  }
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_DIALOGUE_H_
