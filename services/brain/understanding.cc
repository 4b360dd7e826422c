#include "services/brain/understanding.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/brain/constraints.h"
#include "services/brain/patterns.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {
namespace {

using messages::IntentItem;
using messages::OrderLine;

constexpr size_t kMaxActs = 50;

using patterns::Full;
using patterns::Has;

Words Split(absl::string_view text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

// The same with a pattern that is written where it is used; compiled once.
#define ARC_HAS(text, pattern)                                \
  ([&] {                                                      \
    static const auto* const here_pattern = new RE2(pattern); \
    return Has(text, *here_pattern);                          \
  }())
#define ARC_FULL(text, pattern)                               \
  ([&] {                                                      \
    static const auto* const here_pattern = new RE2(pattern); \
    return Full(text, *here_pattern);                         \
  }())

void AddUnique(std::vector<std::string>& to, const std::string& value) {
  if (!absl::c_linear_search(to, value)) to.push_back(value);
}

// Noun phrases.

struct Spoken {
  std::vector<Wanted> dishes;
  std::vector<Wish> loose;       // wishes that belong to no dish named here
  std::optional<int64_t> count;  // without a dish behind it: "make it two"
  std::optional<int> ordinal;    // "the first one"
  bool pronoun = false;          // it, that, them, those
  bool the_one = false;          // "the one", "the plain one": a line by its description
  bool of_them = false;          // the count is "of them"
  bool all = false;              // both, all
  bool more = false;
  bool article = false;
  std::vector<std::string> residue;  // words that mean nothing here
};

bool IsNoteWord(absl::string_view word) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "small",  "medium", "large", "decaf", "rare", "spicy", "mild", "toasted",
      "crispy", "plain",  "warm",  "cold",  "hot",  "dry",   "burnt"};
  return known_words->contains(word);
}

bool IsSize(absl::string_view word) {
  return word == "small" || word == "medium" || word == "large" || word == "regular";
}

// Words in front of a dish without those that only praise it.
std::string Unpraised(std::vector<std::string> words) {
  static const auto* const praise = new absl::flat_hash_set<absl::string_view>{
      "best",       "biggest",     "cheapest",  "favourite", "favorite", "healthiest", "hottest",   "largest",
      "nicest",     "smallest",    "spiciest",  "tastiest",  "cheap",    "good",       "big",       "little",
      "amazing",    "awesome",     "beautiful", "bloody",    "cheeky",   "chilled",    "cold",      "cool",
      "damn",       "decent",      "delicious", "epic",      "fabulous", "famous",     "fantastic", "finest",
      "fresh",      "freshly",     "gorgeous",  "homemade",  "hot",      "huge",       "iced",      "icy",
      "juicy",      "lovely",      "massive",   "naughty",   "perfect",  "plain",      "proper",    "quick",
      "refreshing", "scrumptious", "signature", "simple",    "special",  "super",      "sweet",     "tasty",
      "usual",      "warm",        "wonderful", "yummy"};
  words.erase(std::remove_if(words.begin(), words.end(),
                             [](const std::string& word) { return praise->contains(word); }),
              words.end());
  return absl::StrJoin(words, " ");
}

// Words that stand behind a dish and are no thing: how it is, when it is wanted, whom it is said to.
bool IsAside(absl::string_view word) {
  static const auto* const known_words = new absl::flat_hash_set<absl::string_view>{
      "asap",      "babe",        "boss",    "bro",      "buddy",      "chef",      "correct",   "cut",
      "darling",   "delivery",    "dude",    "each",     "fast",       "folks",     "halved",    "honey",
      "hun",       "immediately", "lad",     "looks",    "lunch",      "breakfast", "dinner",    "supper",
      "tea",       "miss",        "mister",  "moment",   "morning",    "evening",   "afternoon", "night",
      "pal",       "pronto",      "seems",   "separate", "sliced",     "smells",    "soon",      "sounds",
      "split",     "takeaway",    "takeout", "tastes",   "tomorrow",   "tonight",   "toasted",   "untoasted",
      "wrapped",   "yesterday",   "ta",      "cheers",   "sweetheart", "whichever", "standard",  "normal",
      "regular",   "special",     "deluxe",  "style",    "version",    "variety",   "flavour",   "flavor",
      "flavoured", "flavored",    "sized",   "size",     "xl",         "jumbo",     "mini",      "giant",
      "tiny",      "cheaper",     "bigger",  "smaller",  "hotter",     "colder",    "crispier",  "chilled"};
  return known_words->contains(word) || (word.size() > 4 && absl::EndsWith(word, "ly"));
}

class Parser {
 public:
  Parser(Words words, const Lexicon& lexicon, const Dialogue& dialogue, const std::vector<OrderLine>& cart,
         const Words& before)
      : words_(std::move(words)), lexicon_(lexicon), dialogue_(dialogue), cart_(cart), before_(before) {}

  Understanding Run() {
    ConstraintContext context = ConstraintContextOf(lexicon_, dialogue_, before_);
    context.nothing_ordered = cart_.empty() && dialogue_.focus == 0 && dialogue_.pending.candidates.empty();
    Constraints constraints = TakeConstraints(words_, context);
    const bool constrained = constraints.any() || constraints.denied || constraints.unnamed;
    out_.exclude_allergens = std::move(constraints.exclude_allergens);
    out_.dietary_filters = std::move(constraints.dietary_filters);
    out_.unknown_allergens = std::move(constraints.unknown_allergens);
    out_.denied_allergens = std::move(constraints.denied_allergens);
    out_.denied = constraints.denied;
    out_.allergy_unnamed = constraints.unnamed;
    text_ = Join(words_);
    if (!constrained && (words_.empty() || Full(text_, patterns::Filler()))) {
      Push(ActKind::kFiller);
      out_.confidence = 0.5;
      return std::move(out_);
    }
    StripManners();
    const bool social = greeted_ || thanked_ || left_;
    ReadCheckout();
    if (words_.empty()) {
      if (closing_.empty() && !constrained && social) {
        Push(left_ ? ActKind::kGoodbye : greeted_ ? ActKind::kGreet : ActKind::kThanks);
      }
    } else if (!ReadWhole() && !ReadChoice() && !ReadQuestion()) {
      ReadOrder();
    }
    TakeInstead();
    for (Act& act : closing_) out_.acts.push_back(std::move(act));
    if (constrained) DropAsides();
    if (out_.acts.empty() && !constrained && !out_.ask_again && !out_.chose) {
      if (dialogue_.pending.kind == PendingKind::kChoice) {
        out_.ask_again = true;
        out_.confidence = 0.3;
      } else {
        Act act;
        act.text = text_;
        out_.acts.push_back(std::move(act));
        out_.confidence = 0.2;
      }
    }
    if (out_.acts.size() > kMaxActs) out_.acts.resize(kMaxActs);
    for (const Act& act : out_.acts) {
      if (!act.what.dishes.empty()) out_.confidence = std::min(out_.confidence, act.what.quality);
      if (!act.with.dishes.empty()) out_.confidence = std::min(out_.confidence, act.with.quality);
    }
    return std::move(out_);
  }

 private:
  // The answer to "what would you like instead?".
  void TakeInstead() {
    const Pending& pending = dialogue_.pending;
    if (pending.kind != PendingKind::kInstead || pending.held.empty() || out_.acts.size() != 1) return;
    Act& act = out_.acts.front();
    const std::optional<size_t> line = LineOf(pending.held.front());
    if (act.kind != ActKind::kAdd || act.what.more || !line.has_value()) return;
    act.kind = ActKind::kReplace;
    act.with = std::move(act.what);
    act.what = {};
    Point(act, line);
    act.what.quantity = pending.held.front().quantity;
  }

  // What is left of a sentence about an allergy may be a word that means nothing: "my partner".
  void DropAsides() {
    out_.acts.erase(std::remove_if(out_.acts.begin(), out_.acts.end(),
                                   [](const Act& act) {
                                     return act.kind == ActKind::kUnknown ||
                                            (act.kind == ActKind::kAdd && act.what.dishes.empty() &&
                                             (act.what.bare || !act.what.article)) ||
                                            (act.not_in_cart && act.what.dishes.empty());
                                   }),
                    out_.acts.end());
  }

  void SetWords(Words words) {
    words_ = std::move(words);
    text_ = Join(words_);
  }

  Act& Push(ActKind kind) {
    Act act;
    act.kind = kind;
    out_.acts.push_back(std::move(act));
    return out_.acts.back();
  }

  bool Cut(const RE2& pattern, bool suffix) {
    re2::StringPiece match;
    const re2::StringPiece input(text_);
    if (!pattern.Match(input, 0, input.size(), RE2::UNANCHORED, &match, 1) || match.empty()) return false;
    const auto begin = static_cast<size_t>(match.data() - text_.data());
    SetWords(Split(suffix ? text_.substr(0, begin) : text_.substr(begin + match.size())));
    return true;
  }

  // Greetings before, thanks and goodbyes behind.
  void StripManners() {
    if (Full(text_, patterns::Goodbye())) {
      left_ = true;
      SetWords({});
      return;
    }
    if (Full(text_, patterns::Greeting())) {
      greeted_ = true;
      SetWords({});
      return;
    }
    greeted_ = Cut(patterns::GreetingPrefix(), false);
    if (Full(text_, patterns::Thanks()) && !absl::StartsWith(text_, "no")) {
      thanked_ = true;
      SetWords({});
      return;
    }
    thanked_ = Cut(patterns::ThanksPrefix(), false);
    if (text_ != "no thanks" && text_ != "no thank you") thanked_ |= Cut(patterns::ThanksSuffix(), true);
  }

  // "... and that's all", "I'd like to pay".
  void ReadCheckout() {
    const auto take = [&](const RE2& pattern, ActKind kind) {
      const std::string before = text_;
      if (!Cut(pattern, true)) return false;
      // "no more ice", "how do i pay" and the like are not the end of an order.
      if (Has(text_, patterns::QuestionStart()) || absl::EndsWith(text_, " not") || text_ == "not" ||
          absl::EndsWith(text_, "can not") || absl::EndsWith(before, "well done") ||
          absl::EndsWith(text_, "how do i") || absl::EndsWith(text_, "where do i")) {
        SetWords(Split(before));
        return false;
      }
      Act act;
      act.kind = kind;
      closing_.push_back(std::move(act));
      return true;
    };
    if (!take(patterns::PaySuffix(), ActKind::kPay)) {
      take(patterns::CheckoutSuffix(), ActKind::kCheckout);
    } else {
      // "that's all, I'd like to pay"
      Cut(patterns::CheckoutSuffix(), true);
    }
    if (closing_.empty()) return;
    while (!words_.empty()) {
      const std::string& last = words_.back();
      const bool idle = last == "and" || last == "no" || last == "nope" || last == "yes" || last == "ok" ||
                        last == "okay" || last == "then" || last == "so" || last == "but" || last == "thanks";
      if (!idle) break;
      SetWords(Words(words_.begin(), words_.end() - 1));
    }
    if (Full(text_, patterns::Yes()) || Full(text_, patterns::No())) SetWords({});
  }

  bool LastExists() const { return !dialogue_.last.empty(); }

  // Sentences that are one thing as a whole.
  bool ReadWhole() {
    const PendingKind pending = dialogue_.pending.kind;
    // "double that"
    if (ARC_FULL(text_,
                 "(?:can you |could you |please |actually |make (?:it|that) )*double(?: "
                 "(?:that|it|them|those|up))?") &&
        LastLine().has_value()) {
      Act& act = Push(ActKind::kQuantity);
      Point(act, LastLine());
      act.what.quantity = cart_[*act.line].quantity * 2;
      return true;
    }
    // "double the fries"
    static const auto* const double_pattern =
        new RE2("(?:can you |could you |actually )*double (?:the|my) (.+)");
    std::string doubled;
    if (RE2::FullMatch(text_, *double_pattern, &doubled)) {
      const Words named = Split(doubled);
      const std::optional<Mention> mention = lexicon_.Match(named, 0, true);
      if (mention.has_value() && mention->end == named.size()) {
        Act act;
        act.kind = ActKind::kQuantity;
        PointAtOne(act, FromMention(named, *mention));
        if (act.line.has_value()) {
          act.what.quantity = cart_[*act.line].quantity * 2;
          out_.acts.push_back(std::move(act));
          return true;
        }
      }
    }
    // "i changed my mind", "that's wrong": not what is wanted instead.
    const bool settled =
        pending == PendingKind::kNone || pending == PendingKind::kMore || pending == PendingKind::kMoreOr;
    if (settled && LastLine().has_value() &&
        ARC_FULL(text_,
                 "(?:(?:wait|sorry|actually|no|oh) )*(?:(?:i|we)(?: have)? changed (?:my|our) minds?|"
                 "(?:(?:that|this|it) is )?(?:wrong|incorrect|not (?:right|correct|what i "
                 "(?:said|ordered|wanted|meant|"
                 "asked for)))|i did not (?:say|order|want|ask for|mean) (?:that|this|it))(?: sorry)?")) {
      Point(Push(ActKind::kReplace), LastLine());
      return true;
    }
    // "one less"
    static const auto* const less =
        new RE2("(?:make (?:it|that) |i want |take )?([a-z0-9 ]+?) (?:less|fewer)");
    std::string fewer;
    if (RE2::FullMatch(text_, *less, &fewer) && LastLine().has_value()) {
      const Words number = Split(fewer);
      const std::optional<Count> count = ReadCount(number, 0);
      if (count.has_value() && count->length == number.size()) {
        Act& act = Push(ActKind::kRemove);
        Point(act, LastLine());
        act.what.quantity = count->value;
        return true;
      }
    }
    const auto is = [&](const RE2& pattern, ActKind kind) {
      if (!Full(text_, pattern)) return false;
      Push(kind);
      return true;
    };
    if (is(patterns::Help(), ActKind::kHelp)) return true;
    if (!Full(text_, patterns::ButNotAll()) && is(patterns::StartOver(), ActKind::kStartOver)) return true;
    if (is(patterns::Repeat(), ActKind::kRepeat)) return true;
    if (Full(text_, patterns::Undo())) {
      const bool choosing = pending == PendingKind::kChoice || pending == PendingKind::kWarning;
      if (choosing || (!LastExists() && cart_.empty())) {
        Push(choosing ? ActKind::kNo : ActKind::kCancel);
      } else {
        RemoveLast(text_.find("them") != std::string::npos || text_.find("those") != std::string::npos ||
                   text_.find("scratch") != std::string::npos || text_.find("undo") != std::string::npos);
      }
      return true;
    }
    if (is(patterns::Cancel(), ActKind::kCancel)) return true;
    if (Full(text_, patterns::Yes())) {
      Push(ActKind::kYes);
      return true;
    }
    if (pending != PendingKind::kChoice && Full(text_, patterns::Accept())) {
      Push(ActKind::kAccept);
      return true;
    }
    if (Full(text_, patterns::No())) {
      Push(ActKind::kNo);
      return true;
    }
    const bool sum = ARC_HAS(text_, "\\b(?:how much|total|altogether|come to|comes to|owe|damage)\\b");
    if (!sum && Full(text_, patterns::ShowCart())) {
      Push(ActKind::kShowCart);
      return true;
    }
    if (Full(text_, patterns::Total())) {
      Push(ActKind::kTotal);
      return true;
    }
    if (Full(text_, patterns::Recommend()) || (Full(text_, patterns::MayRecommend()) && !AnyWholeDish())) {
      Push(ActKind::kRecommend);
      return true;
    }
    return false;
  }

  bool AnyWholeDish() const {
    for (size_t i = 0; i < words_.size(); ++i) {
      const std::optional<Mention> mention = lexicon_.Match(words_, i, false);
      if (mention.has_value() && mention->whole) return true;
    }
    return false;
  }

  // The answer to "which one?".
  bool ReadChoice() {
    const Pending& pending = dialogue_.pending;
    const bool choice = pending.kind == PendingKind::kChoice;
    if (pending.kind == PendingKind::kCount) return ReadHowMany();
    const bool offer = (pending.kind == PendingKind::kOffer || pending.kind == PendingKind::kMoreOr);
    if ((!choice && !offer) || pending.candidates.empty()) return false;
    // A single offer is taken by a yes or by its name, like any dish.
    if (offer && pending.candidates.size() == 1) return false;
    const bool any = Full(text_, patterns::AnyOfThem());
    if (Has(text_, patterns::QuestionStart()) && !(choice && any)) return false;
    const std::vector<Clause> clauses = Clauses(words_);
    if (!clauses.empty() && !choice) return false;
    for (const Clause& clause : clauses) {
      if (clause.verb != Verb::kAdd && clause.verb != Verb::kMake) return false;
    }
    Words words = words_;
    const std::string stripped = StripYes(text_);
    words = Split(stripped);
    Spoken spoken = ReadPhrase(words, 0, words.size(), true);
    // A dish that is named in whole and was not asked about is another order.
    for (const Wanted& wanted : spoken.dishes) {
      const bool among = absl::c_any_of(
          wanted.wide, [&](int64_t id) { return absl::c_linear_search(pending.candidates, id); });
      if (!among && wanted.whole) return false;
    }
    if (spoken.dishes.size() > 1) return false;
    std::vector<int64_t> chosen;
    static const auto* const cheapest =
        new RE2("\\b(?:cheap|cheapest|cheaper|least expensive|lowest price)\\b");
    if (spoken.ordinal.has_value()) {
      const auto size = static_cast<int>(pending.candidates.size());
      const int at = *spoken.ordinal < 0 ? std::min(size, 4) - 1 : *spoken.ordinal;
      if (at < size) chosen = {pending.candidates[static_cast<size_t>(at)]};
    } else if (spoken.count.has_value() && ARC_HAS(stripped, "\\b(?:number|option)\\b") &&
               *spoken.count >= 1 && *spoken.count <= static_cast<int64_t>(pending.candidates.size())) {
      chosen = {pending.candidates[static_cast<size_t>(*spoken.count - 1)]};
      spoken.count.reset();
    } else if (spoken.all && pending.candidates.size() <= 4) {
      chosen = pending.candidates;
    } else if (any && spoken.dishes.empty()) {
      chosen = {pending.candidates.front()};
    } else if (Has(stripped, *cheapest)) {
      chosen = {Cheapest(pending.candidates)};
    }
    if (chosen.empty()) {
      std::vector<int64_t> narrowed = pending.candidates;
      if (!spoken.dishes.empty() && !spoken.dishes[0].dishes.empty()) {
        std::vector<int64_t> common;
        for (const int64_t id : spoken.dishes[0].dishes) {
          if (absl::c_linear_search(pending.candidates, id)) common.push_back(id);
        }
        if (common.empty()) {
          for (const int64_t id : spoken.dishes[0].wide) {
            if (absl::c_linear_search(pending.candidates, id)) common.push_back(id);
          }
        }
        if (!common.empty()) narrowed = common;
      }
      if (narrowed.size() > 1 || narrowed.size() == pending.candidates.size()) {
        Words described;
        bool skip = false;
        for (const std::string& word : words) {
          if (word == "without" || word == "extra" || word == "no") skip = true;
          if (!skip && !ReadCount({word}, 0).has_value()) described.push_back(word);
        }
        const std::vector<int64_t> described_ids = lexicon_.Narrow(narrowed, described);
        if (!described_ids.empty()) {
          narrowed = described_ids;
          if (narrowed.size() == 1) chosen = narrowed;
        }
      }
      if (narrowed.size() < pending.candidates.size()) chosen = narrowed;
      if (chosen.size() > 1 && choice) {
        out_.chose = true;
        Act& act = Push(ActKind::kAdd);
        FillChosen(act, chosen, spoken);
        return true;
      }
    }
    if (chosen.empty() || (offer && chosen.size() > 1 && !spoken.all)) return false;
    out_.chose = true;
    if (spoken.all) {
      for (const int64_t id : chosen) FillChosen(Push(ActKind::kAdd), {id}, spoken);
    } else {
      FillChosen(Push(ActKind::kAdd), chosen, spoken);
    }
    return true;
  }

  // The answer to "how many?".
  bool ReadHowMany() {
    const Words words = Split(StripYes(text_));
    const std::vector<Clause> clauses = Clauses(words);
    if (clauses.size() > 1 ||
        (!clauses.empty() && (clauses[0].verb == Verb::kRemove || clauses[0].verb == Verb::kChange))) {
      return false;
    }
    const size_t begin = clauses.empty() ? 0 : clauses[0].at + clauses[0].length;
    const Spoken spoken = ReadPhrase(words, begin, words.size(), true);
    if (!spoken.dishes.empty() || !spoken.count.has_value() || !spoken.loose.empty()) return false;
    out_.chose = true;
    FillChosen(Push(ActKind::kAdd), dialogue_.pending.candidates, spoken);
    out_.acts.back().what.or_quantity = 0;
    return true;
  }

  int64_t Cheapest(const std::vector<int64_t>& ids) const {
    int64_t best = ids.front();
    int64_t best_price = -1;
    for (const int64_t id : ids) {
      const Dish* dish = lexicon_.Find(id);
      if (dish == nullptr) continue;
      const int64_t price = dish->item.price.ToMinor(lexicon_.exponent()).value_or(0);
      if (best_price < 0 || price < best_price) {
        best = id;
        best_price = price;
      }
    }
    return best;
  }

  void FillChosen(Act& act, const std::vector<int64_t>& chosen, const Spoken& spoken) {
    const Pending& pending = dialogue_.pending;
    Wanted wanted;
    wanted.dishes = chosen;
    wanted.wide = chosen;
    wanted.phrase = pending.phrase;
    wanted.quantity = pending.quantity;
    wanted.wishes = pending.wishes;
    if (spoken.count.has_value() && (*spoken.count > 0 || pending.kind == PendingKind::kCount)) {
      wanted.quantity = spoken.count;
    }
    std::vector<Wish> more = spoken.loose;
    if (!spoken.dishes.empty()) {
      if (spoken.dishes[0].quantity.has_value() && !spoken.dishes[0].article) {
        wanted.quantity = spoken.dishes[0].quantity;
      }
      more.insert(more.end(), spoken.dishes[0].wishes.begin(), spoken.dishes[0].wishes.end());
      wanted.quality = spoken.dishes[0].quality;
    }
    for (const Wish& wish : more) {
      if (wish.polarity == Polarity::kPlain && !chosen.empty()) {
        // "the chocolate one" chooses, "the large one" wishes.
        const Dish* dish = lexicon_.Find(chosen.front());
        if (dish == nullptr) continue;
        const Words name = menu::Tokenize(dish->item.name);
        const Words said = Split(wish.text);
        const bool in_name = absl::c_all_of(said, [&](const std::string& word) {
          return absl::c_any_of(name, [&](const std::string& other) { return Alike(word, other); });
        });
        if (in_name || MatchCustomisation(dish->item, wish).empty()) continue;
      }
      wanted.wishes.push_back(wish);
    }
    const bool asked = pending.kind == PendingKind::kChoice || pending.kind == PendingKind::kCount;
    const PendingAct pending_act = asked ? pending.act : PendingAct::kAdd;
    switch (pending_act) {
      case PendingAct::kAdd:
        act.kind = ActKind::kAdd;
        break;
      case PendingAct::kDetails:
        act.kind = ActKind::kDetails;
        break;
      case PendingAct::kReplace:
        if (!pending.held.empty()) act.line = LineOf(pending.held.front());
        if (!act.line.has_value()) {
          act.kind = ActKind::kAdd;
          break;
        }
        act.kind = ActKind::kReplace;
        act.what.quantity = pending.held.front().quantity;
        act.with = std::move(wanted);
        return;
      case PendingAct::kSwap:
        act.kind = ActKind::kReplace;
        Point(act, LineWith(wanted));
        act.what.quantity = pending.quantity;
        if (!pending.held.empty()) {
          act.with.dishes = act.with.wide = {pending.held.front().item_id};
          act.with.quantity = pending.held.front().quantity;
          act.with.like = pending.held.front();
        }
        return;
      case PendingAct::kRemove:
      case PendingAct::kModify:
      case PendingAct::kQuantity:
        act.kind = pending_act == PendingAct::kRemove   ? ActKind::kRemove
                   : pending_act == PendingAct::kModify ? ActKind::kModify
                                                        : ActKind::kQuantity;
        act.line = pending.held.empty() ? LineWith(wanted) : LineOf(pending.held.front());
        act.not_in_cart = !act.line.has_value();
        break;
    }
    act.what = std::move(wanted);
  }

  static std::string StripYes(const std::string& text) {
    re2::StringPiece match;
    const re2::StringPiece input(text);
    if (patterns::YesPrefix().Match(input, 0, input.size(), RE2::ANCHOR_START, &match, 1)) {
      return text.substr(match.size());
    }
    return text;
  }

  // How many words from words[at] on, right behind words that mean `ids`, make something else of them that is
  // on no menu: of "cheese pizza" the pizza. 0: none do.
  size_t ForeignHead(const Words& words, size_t at, size_t end, const std::vector<int64_t>& ids) const {
    const auto foreign = [&](size_t i) {
      const std::string& word = words[i];
      if (word.size() < 3 || IsCommonWord(word) || IsNoteWord(word) || IsSize(word) || IsAside(word) ||
          Unpraised({word}).empty() || ReadCount(words, i).has_value() || ReadOrdinal(word).has_value() ||
          CueAt(words, i).has_value()) {
        return false;
      }
      Requirement requirement;
      return ReadRequirement(words, i, end, requirement) == 0 &&
             !lexicon_.Match(words, i, true).has_value() &&
             lexicon_.CustomisationLengthOf(ids, words, i) == 0 && !lexicon_.IsPartOfDishes(word) &&
             (ids.size() < 2 || lexicon_.Narrow(ids, {word}).empty());
    };
    size_t i = at;
    while (i < end && i < at + 3 && foreign(i)) ++i;
    if (i == at) return 0;
    // "volcano burger withaut onions" is a slip; what names a thing ends there.
    static const auto* const ends = new absl::flat_hash_set<absl::string_view>{
        "and",  "or",   "with", "without", "for", "to",     "instead", "but", "on",  "in",    "a",
        "an",   "some", "plus", "also",    "too", "thanks", "from",    "at",  "the", "my",    "then",
        "that", "if",   "as",   "is",      "not", "no",     "i",       "we",  "it",  "extra", "here"};
    if (i < end && !ends->contains(words[i]) && !ReadCount(words, i).has_value()) return 0;
    return i - at;
  }

  // Questions.

  std::vector<Wanted> DishesIn(const Words& words, bool expected) const {
    std::vector<Wanted> dishes;
    for (size_t i = 0; i < words.size();) {
      const std::optional<Mention> mention = lexicon_.Match(words, i, expected);
      if (!mention.has_value()) {
        ++i;
        continue;
      }
      if (const size_t behind = ForeignHead(words, mention->end, words.size(), mention->dishes); behind > 0) {
        i = mention->end + behind;
        continue;
      }
      dishes.push_back(FromMention(words, *mention));
      i = mention->end;
    }
    return dishes;
  }

  // "could you do the veggie combo", "do the veggie combo", but not "do the fries have salt"
  static bool IsOrderQuestion(const std::string& text) {
    if (Has(text, patterns::OrderQuestion())) return true;
    return ARC_HAS(text, "^(?:(?:and|so|ok|okay|then) )*do the\\b") &&
           !ARC_HAS(text, "\\b(?:have|contain|come|taste|include|cost|get|has)\\b");
  }

  bool ReadQuestion() {
    std::string text = StripYes(text_);
    static const auto* const fill = new RE2("\\b(?:actually|really|exactly|roughly|just) ");
    RE2::GlobalReplace(&text, *fill, "");
    const bool question = Has(text, patterns::QuestionStart());
    const bool asks_price = Has(text, patterns::AsksPrice());
    const bool asks_calories = Has(text, patterns::AsksCalories());
    if (!question && !asks_price && !asks_calories && !ARC_FULL(text, "(?:the )?menu")) return false;
    if (IsOrderQuestion(text) || Has(text, patterns::OffTopic())) return false;
    const Words words = Split(text);
    std::vector<Wanted> dishes = DishesIn(words, true);
    std::vector<std::string> diets;
    std::vector<std::string> allergens;
    ReadAsked(words, diets, allergens);
    Topic topic = Topic::kGeneral;
    bool pointed = false;  // the sentence asks about one dish
    const bool options = Has(text, patterns::AsksOptions());
    if (asks_calories) {
      topic = Topic::kCalories;
      pointed = true;
    } else if (asks_price) {
      topic = Topic::kPrice;
      pointed = true;
    } else if (Has(text, patterns::AsksAllergens())) {
      topic = Topic::kAllergens;
      pointed = true;
    } else if (ARC_HAS(text, "^(?:(?:and|so|ok|okay|but) )*(?:is|are|can)\\b") && !diets.empty() &&
               !ARC_HAS(text, "^(?:are|is) there\\b")) {
      topic = Topic::kDiet;
      pointed = true;
    } else if (Has(text, patterns::AsksContains()) && !allergens.empty() &&
               !ARC_HAS(text, "\\b(?:anything|something|options?|without)\\b") &&
               !ARC_HAS(text, "\\bdo you\\b")) {
      topic = Topic::kContains;
      pointed = true;
    } else if (Has(text, patterns::AsksSpicy()) &&
               !ARC_HAS(text, "\\b(?:anything|something|do you|any|what|which)\\b")) {
      topic = Topic::kSpicy;
      pointed = true;
    } else if (Has(text, patterns::AsksIngredients())) {
      topic = Topic::kIngredients;
      pointed = true;
    } else if (Has(text, patterns::Compares())) {
      pointed = true;
    } else if (Has(text, patterns::AsksGeneral()) && (!options || !dishes.empty())) {
      pointed = !dishes.empty() || ARC_HAS(text, "\\b(?:it|that|this|them|those)\\b");
    }
    if (topic == Topic::kContains || topic == Topic::kDiet) DropAsked(dishes);
    if (pointed) {
      const bool pronoun = ARC_HAS(text, "\\b(?:it|that|this|they|them|those|these|one)\\b");
      // The dish that is named last before "in it" and the like; combos of categories are a list.
      const Wanted* best = nullptr;
      for (const Wanted& wanted : dishes) {
        if (wanted.dishes.size() == 1 && (best == nullptr || best->dishes.size() > 1)) best = &wanted;
        if (best == nullptr) best = &wanted;
      }
      if (best != nullptr && (best->category.empty() || best->dishes.size() == 1 || !options)) {
        Act& act = Push(ActKind::kDetails);
        act.topic = topic;
        act.asked = topic == Topic::kDiet ? diets : allergens;
        act.what = *best;
        PreferKnown(act.what);
        if (Has(text, patterns::Compares()) && dishes.size() > 1) act.with = dishes[1];
        return true;
      }
      const int64_t focus = FocusId();
      if (best == nullptr && focus != 0 && (pronoun || topic != Topic::kGeneral)) {
        Act& act = Push(ActKind::kDetails);
        act.topic = topic;
        act.asked = topic == Topic::kDiet ? diets : allergens;
        act.what.dishes = {focus};
        act.what.wide = {focus};
        return true;
      }
    }
    if (Has(text, patterns::Total()) && asks_price) {
      Push(ActKind::kTotal);
      return true;
    }
    if (!options && !question) return false;
    // "Do you have the Falafel Wrap?"
    const bool vague = ARC_HAS(text, "\\b(?:anything|something)\\b") && !dishes.empty() && !dishes[0].whole;
    const bool one_dish = dishes.size() == 1 && dishes[0].dishes.size() == 1 && !vague;
    if (one_dish && options && !ARC_HAS(text, "\\b(?:what|which|kinds?|options?)\\b")) {
      Act& act = Push(ActKind::kDetails);
      act.what = dishes[0];
      return true;
    }
    if (options) {
      Act& act = Push(ActKind::kBrowse);
      act.asked = diets;
      for (const Wanted& wanted : dishes) {
        if (!wanted.category.empty()) act.category = wanted.category;
      }
      act.what.phrase = "";
      Words looked_for;
      const bool without = ARC_HAS(text, "\\b(?:without|no|free|not)\\b");
      for (const std::string& word : words) {
        if (without && !AllergensNamed(word).empty()) continue;
        if (word == "safe" || word == "suitable") continue;
        if (!IsCommonWord(word) || word == "cheap") looked_for.push_back(word);
      }
      act.text = Join(looked_for);
      if (ARC_HAS(text, "\\b(?:cheap|cheapest|least expensive|affordable)\\b")) act.text = "cheap";
      for (const std::string& allergen : allergens) {
        if (without) act.what.wishes.push_back({Polarity::kWithout, allergen});
      }
      return true;
    }
    return false;
  }

  // What a question calls the customer's attention to: "is it vegan", "does it have nuts".
  void ReadAsked(const Words& words, std::vector<std::string>& diets,
                 std::vector<std::string>& allergens) const {
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string two = Join(words, i, i + 2);
      if (i + 1 < words.size()) {
        const std::string diet = DietNamed(two);
        if (!diet.empty()) {
          AddUnique(diets, diet);
          ++i;
          continue;
        }
      }
      const std::string diet = DietNamed(words[i]);
      if (!diet.empty()) AddUnique(diets, diet);
      for (const std::string& allergen : AllergensNamed(words[i])) {
        // A dish may be called after what is in it.
        AddUnique(allergens, allergen);
      }
    }
  }

  // "Is there cheese in the falafel wrap" asks about one dish, not about cheese dishes.
  static void DropAsked(std::vector<Wanted>& dishes) {
    if (dishes.size() < 2) return;
    std::vector<Wanted> kept;
    for (Wanted& wanted : dishes) {
      const bool asked = !AllergensNamed(wanted.phrase).empty() || !DietNamed(wanted.phrase).empty();
      if (!asked) kept.push_back(std::move(wanted));
    }

    if (!kept.empty()) dishes = std::move(kept);
  }

  int64_t FocusId() const {
    if (dialogue_.focus != 0 && lexicon_.Find(dialogue_.focus) != nullptr) return dialogue_.focus;
    if (!dialogue_.last.empty()) return dialogue_.last.back().item_id;
    if (!cart_.empty()) return cart_.back().item_id;
    return 0;
  }

  // Among several, the one that is in the cart or was spoken of.
  void PreferKnown(Wanted& wanted) const {
    if (wanted.dishes.size() < 2) return;
    std::set<int64_t> known;
    for (const int64_t id : wanted.wide) {
      if (absl::c_any_of(cart_, [&](const OrderLine& line) { return line.item_id == id; }) ||
          id == dialogue_.focus) {
        known.insert(id);
      }
    }
    if (known.size() == 1) wanted.dishes = {*known.begin()};
  }

  Wanted FromMention(const Words& words, const Mention& mention) const {
    Wanted wanted;
    wanted.dishes = mention.dishes;
    wanted.wide = mention.wide;
    wanted.phrase = Join(words, mention.begin, mention.end);
    wanted.category = mention.category;
    wanted.whole = mention.whole;
    wanted.guessed = mention.doubtful;
    wanted.quality = mention.quality;
    return wanted;
  }

  // Orders and changes.

  enum class Verb { kAdd, kRemove, kChange, kMake };
  struct Clause {
    Verb verb;
    size_t at;      // of the verb
    size_t length;  // of the verb
  };

  static std::vector<Clause> Clauses(const Words& words) {
    struct Entry {
      absl::string_view words;
      Verb verb;
    };
    static constexpr Entry kVerbs[] = {
        {"remove", Verb::kRemove},
        {"delete", Verb::kRemove},
        {"take off", Verb::kRemove},
        {"take out", Verb::kRemove},
        {"take away", Verb::kRemove},
        {"get rid of", Verb::kRemove},
        {"drop", Verb::kRemove},
        {"lose", Verb::kRemove},
        {"cancel", Verb::kRemove},
        {"scratch", Verb::kRemove},
        {"forget about", Verb::kRemove},
        {"forget", Verb::kRemove},
        {"will not need", Verb::kRemove},
        {"will not want", Verb::kRemove},
        {"no longer want", Verb::kRemove},
        {"no longer need", Verb::kRemove},
        {"i do not want", Verb::kRemove},
        {"we do not want", Verb::kRemove},
        {"do not want", Verb::kRemove},
        {"i do not need", Verb::kRemove},
        {"we do not need", Verb::kRemove},
        {"do not need", Verb::kRemove},
        {"changed my mind about", Verb::kRemove},
        {"i hate", Verb::kRemove},
        {"do not like", Verb::kRemove},
        {"dislike", Verb::kRemove},
        {"kill", Verb::kRemove},
        {"kill for", Verb::kAdd},
        {"could murder", Verb::kAdd},
        {"could go for", Verb::kAdd},
        {"i will go for", Verb::kAdd},
        {"i would love", Verb::kAdd},
        {"we would love", Verb::kAdd},
        {"i fancy", Verb::kAdd},
        {"scrap", Verb::kRemove},
        {"change", Verb::kChange},
        {"swap", Verb::kChange},
        {"replace", Verb::kChange},
        {"switch", Verb::kChange},
        {"exchange", Verb::kChange},
        {"substitute", Verb::kChange},
        {"make", Verb::kMake},
        {"turn", Verb::kMake},
        {"let us do", Verb::kMake},
        {"let us make", Verb::kMake},
        {"upgrade", Verb::kMake},
        {"add", Verb::kAdd},
        {"give me", Verb::kAdd},
        {"get me", Verb::kAdd},
        {"bring me", Verb::kAdd},
        {"throw in", Verb::kAdd},
        {"i would like", Verb::kAdd},
        {"we would like", Verb::kAdd},
        {"i want", Verb::kAdd},
        {"we want", Verb::kAdd},
        {"i will have", Verb::kAdd},
        {"i will take", Verb::kAdd},
        {"i will get", Verb::kAdd},
        {"can i get", Verb::kAdd},
        {"can i have", Verb::kAdd},
        {"can we get", Verb::kAdd},
        {"can we have", Verb::kAdd},
        {"could i get", Verb::kAdd},
        {"could i have", Verb::kAdd},
        {"let me get", Verb::kAdd},
        {"let me have", Verb::kAdd},
        {"may i have", Verb::kAdd},
        {"i need", Verb::kAdd},
        {"we need", Verb::kAdd},
    };
    std::vector<Clause> clauses;
    for (size_t i = 0; i < words.size();) {
      size_t best = 0;
      Verb verb = Verb::kAdd;
      for (const Entry& entry : kVerbs) {
        const Words pattern = Split(entry.words);
        if (pattern.size() <= best || i + pattern.size() > words.size()) continue;
        if (std::equal(pattern.begin(), pattern.end(), words.begin() + static_cast<std::ptrdiff_t>(i))) {
          best = pattern.size();
          verb = entry.verb;
        }
      }
      if (best == 0) {
        // "can you take the pie out"
        if (words[i] == "take" || words[i] == "put") {
          size_t end = i + 1;
          while (end < words.size() && end < i + 7 && words[end] != "out" && words[end] != "off" &&
                 words[end] != "away" && words[end] != "and") {
            ++end;
          }
          if (words[i] == "take" && end > i + 1 && end < words.size() && words[end] != "and") {
            clauses.push_back({Verb::kRemove, i, 1});
          }
        }
        ++i;
        continue;
      }
      clauses.push_back({verb, i, best});
      i += best;
    }
    return clauses;
  }

  struct WishCue {
    Polarity polarity;
    size_t length;
  };

  // "without", "hold the", "extra", "with": how a wish begins.
  static std::optional<WishCue> CueAt(const Words& words, size_t i) {
    struct Entry {
      absl::string_view words;
      Polarity polarity;
    };
    static constexpr Entry kCues[] = {
        {"no", Polarity::kWithout},
        {"without", Polarity::kWithout},
        {"hold", Polarity::kWithout},
        {"minus", Polarity::kWithout},
        {"skip", Polarity::kWithout},
        {"leave out", Polarity::kWithout},
        {"leave off", Polarity::kWithout},
        {"less", Polarity::kWithout},
        {"free of", Polarity::kWithout},
        {"do not put", Polarity::kWithout},
        {"do not add", Polarity::kWithout},
        {"do not include", Polarity::kWithout},
        {"with no", Polarity::kWithout},
        {"but no", Polarity::kWithout},
        {"with out", Polarity::kWithout},
        {"nix", Polarity::kWithout},
        {"ditch", Polarity::kWithout},
        {"not any", Polarity::kWithout},
        {"extra", Polarity::kExtra},
        {"double", Polarity::kExtra},
        {"with extra", Polarity::kExtra},
        {"with double", Polarity::kExtra},
        {"add extra", Polarity::kExtra},
        {"extra of", Polarity::kExtra},
        {"with an extra", Polarity::kExtra},
        {"with more", Polarity::kExtra},
        {"an extra", Polarity::kExtra},
        {"and an extra", Polarity::kExtra},
        {"lots of", Polarity::kExtra},
        {"loads of", Polarity::kExtra},
        {"with loads of", Polarity::kExtra},
        {"with lots of", Polarity::kExtra},
        {"with", Polarity::kWith},
        {"with a", Polarity::kWith},
        {"with some", Polarity::kWith},
        {"plus", Polarity::kWith},
        {"add", Polarity::kWith},
        {"with the", Polarity::kWith},
    };
    std::optional<WishCue> best;
    for (const Entry& entry : kCues) {
      const Words pattern = Split(entry.words);
      if ((best.has_value() && pattern.size() <= best->length) || i + pattern.size() > words.size()) continue;
      if (std::equal(pattern.begin(), pattern.end(), words.begin() + static_cast<std::ptrdiff_t>(i))) {
        best = WishCue{entry.polarity, pattern.size()};
      }
    }
    return best;
  }

  // Reads the wish behind a cue at words[i]; how many words it takes, 0 when it is none.
  size_t ReadWish(const Words& words, size_t i, size_t end, Polarity polarity,
                  const std::vector<int64_t>& current, std::vector<Wish>& wishes) const {
    const size_t begin = i;
    while (i < end && (words[i] == "the" || words[i] == "any" || words[i] == "some" || words[i] == "a" ||
                       words[i] == "an" || words[i] == "your" || words[i] == "my" || words[i] == "all")) {
      ++i;
    }
    if (i < end && polarity == Polarity::kWith && (words[i] == "extra" || words[i] == "double")) {
      polarity = Polarity::kExtra;
      ++i;
      while (i < end && (words[i] == "of" || words[i] == "the")) ++i;
    }
    if (i >= end) return 0;
    const bool without = polarity == Polarity::kWithout;
    size_t own = without ? 0 : lexicon_.CustomisationLengthOf(current, words, i);
    const std::optional<Mention> dish = lexicon_.Match(words, i, false);
    if (own == 0 && polarity == Polarity::kWith && dish.has_value() && dish->end <= end && !current.empty()) {
      // "apple pie with ice cream", which is also a dish of its own
      const Wish named = {Polarity::kWith, Join(words, i, dish->end)};
      const Dish* bearer = lexicon_.Find(current.front());
      if (bearer != nullptr && !MatchCustomisation(bearer->item, named).empty()) own = dish->end - i;
    }
    size_t length = std::max(own, lexicon_.CustomisationLength(words, i, without));
    if (dish.has_value() && own == 0 && !without) {
      const size_t dish_length = dish->end - dish->begin;
      // "with fries" is another dish, "with extra cheese" is not.
      const bool ingredient = !dish->whole && lexicon_.CustomisationLength(words, i, true) > 0;
      if (polarity == Polarity::kWith && dish_length >= length && !ingredient) return 0;
      if (polarity == Polarity::kExtra && dish->whole && dish_length >= length) return 0;
    }
    if (length == 0) {
      // Something that no dish offers: it is noted.
      size_t stop = i;
      while (stop < end && stop < i + 3) {
        const std::string& word = words[stop];
        if (IsCommonWord(word) || CueAt(words, stop).has_value() || ReadCount(words, stop).has_value()) break;
        if (stop > i && lexicon_.Match(words, stop, false).has_value()) break;
        ++stop;
      }
      length = stop - i;
      if (length == 0) return 0;
    }
    length = std::min(length, end - i);
    wishes.push_back({polarity, Join(words, i, i + length)});
    i += length;
    // "without pickles or onions", "extra cheese and bacon".
    while (i + 1 < end && (words[i] == "and" || words[i] == "or" || (without && words[i] == "nor"))) {
      size_t next = i + 1;
      if (words[next] == "the" || words[next] == "any") ++next;
      if (next >= end || CueAt(words, next).has_value() || ReadCount(words, next).has_value()) break;
      if (IsSize(words[next]) && next + 1 < end && lexicon_.Match(words, next + 1, true).has_value()) break;
      const size_t more = lexicon_.CustomisationLength(words, next, without);
      if (more == 0) break;
      const std::optional<Mention> other = lexicon_.Match(words, next, false);
      const bool plain_too = lexicon_.CustomisationLength(words, next, !without) > 0;
      if (without && words[i] == "and" && plain_too && !AnyLeavesOut(current, Join(words, next, next + more)))
        break;
      if (other.has_value() && other->whole && other->end - other->begin >= more) break;
      wishes.push_back({polarity, Join(words, next, std::min(end, next + more))});
      i = std::min(end, next + more);
    }
    return i - begin;
  }

  bool AnyLeavesOut(const std::vector<int64_t>& ids, const std::string& text) const {
    if (ids.empty()) return true;
    return absl::c_any_of(ids, [&](int64_t id) {
      const Dish* dish = lexicon_.Find(id);
      return dish != nullptr && !MatchCustomisation(dish->item, {Polarity::kWithout, text}).empty();
    });
  }

  // Dishes with their counts and wishes in words[begin, end).
  Spoken ReadPhrase(const Words& words, size_t begin, size_t end, bool expected) const {
    const bool asked_for = begin > 0;  // behind a verb, such as "i would like"
    Spoken spoken;
    std::optional<int64_t> count;
    bool article = false;
    bool definite = false;
    bool more = false;
    bool partitive = false;
    std::vector<Wish> lead;
    bool fresh = expected;  // a dish may begin here
    size_t joined = end;    // where the last dish ended: what follows at once may call the same
    const auto current = [&]() -> Wanted* { return spoken.dishes.empty() ? nullptr : &spoken.dishes.back(); };
    const auto current_ids = [&] {
      return spoken.dishes.empty() ? std::vector<int64_t>{} : spoken.dishes.back().dishes;
    };
    int64_t or_count = 0;
    const auto reset = [&] {
      count.reset();
      or_count = 0;
      article = definite = more = partitive = false;
    };
    const auto attach = [&](const std::vector<Wish>& wishes) {
      std::vector<Wish>& to = current() != nullptr ? current()->wishes : spoken.loose;
      to.insert(to.end(), wishes.begin(), wishes.end());
    };
    constexpr size_t kNone = std::numeric_limits<size_t>::max();
    size_t rest = kNone;   // of spoken.dishes: of which parts were named apart
    Requirement required;  // of the dish that comes
    std::vector<std::string> unknown;
    bool unknown_fresh = false;
    bool described_next = false;  // `unknown` are words of the menu in front of a dish of which they are not
    bool bare = false;
    size_t i = begin;
    const auto flush_unknown = [&] {
      described_next = false;
      if (unknown.empty()) return;
      const std::string phrase = absl::StrJoin(unknown, " ");
      // "the football was rubbish" tells, and orders nothing.
      const bool tells = definite && !count.has_value() && i < end && !asked_for &&
                         (words[i] == "was" || words[i] == "were" || words[i] == "is" || words[i] == "are" ||
                          words[i] == "has" || words[i] == "did" || words[i] == "looks");
      if (unknown_fresh && !tells) {
        Wanted wanted;
        wanted.phrase = phrase;
        wanted.bare = bare;
        wanted.quantity = count;
        wanted.or_quantity = or_count;
        wanted.article = article;
        wanted.definite = definite;
        wanted.wishes = lead;
        lead.clear();
        spoken.dishes.push_back(std::move(wanted));
        reset();
      } else {
        spoken.residue.push_back(phrase);
        article = definite = false;
      }
      unknown.clear();
    };

    const auto begin_unknown = [&](bool dish_like) {
      const bool of_place = PrepositionBefore(words, begin, i);
      const bool owned =
          i > begin && (words[i - 1] == "my" || words[i - 1] == "our" || words[i - 1] == "your");
      bare = !count.has_value() && !article && !definite && !asked_for;
      const bool senseless = !asked_for && !spoken.residue.empty();  // "open the window"
      // "nachos with cheese"
      const bool with_wish = i == begin && expected && cart_.empty() && i + 1 < end &&
                             (words[i + 1] == "with" || words[i + 1] == "without");
      unknown_fresh = !of_place && !owned && !senseless &&
                      (dish_like || with_wish || count.has_value() || article || definite ||
                       (fresh && (asked_for || end - begin <= 2)));
    };

    while (i < end) {
      const std::string& word = words[i];
      // "one without onions" behind two of something: one of those.
      const std::optional<Count> number = ReadCount(words, i);
      if (number.has_value() && number->length > 0 && unknown.empty()) {
        const bool named = i > begin &&
                           (words[i - 1] == "the" || words[i - 1] == "that" || words[i - 1] == "this" ||
                            words[i - 1] == "other" || ReadOrdinal(words[i - 1]).has_value() ||
                            words[i - 1] == "which" || words[i - 1] == "no") &&
                           word == "one";
        // "the plain one", "the large one without onions"
        bool described = false;
        for (size_t back = i; word == "one" && back > begin && back + 3 > i; --back) {
          const std::string& before = words[back - 1];
          described = before == "the" || before == "that" || before == "this";
          if (described || IsCommonWord(before) || ReadCount(words, back - 1).has_value()) break;
        }
        described = described && (i + 1 >= end || !lexicon_.Match(words, i + 1, true).has_value());
        const bool adjective_one =
            word == "one" && i > begin && i + 1 >= end && !fresh && !IsCommonWord(words[i - 1]);
        if (named || described || adjective_one) {
          spoken.pronoun = true;
          spoken.the_one = spoken.the_one || named || described;
          ++i;
          continue;
        }
        // "two scoops", "four more pieces" may be something to choose.
        const size_t custom = lexicon_.CustomisationLength(words, i, false);
        if (custom > number->length && !lexicon_.Match(words, i, true).has_value()) {
          lead.push_back({Polarity::kPlain, Join(words, i, i + custom)});
          i += custom;
          continue;
        }
        size_t next = i + number->length;
        bool of = false;
        bool of_them = false;
        if (next < end && words[next] == "more") {
          more = true;
          ++next;
        }
        if (next < end && words[next] == "of") {
          of = true;
          ++next;
        }
        if (next < end && (words[next] == "them" || words[next] == "those" || words[next] == "these") &&
            (of || word == "both")) {
          of_them = true;
          ++next;
        } else if (of) {
          while (next < end && (words[next] == "the" || words[next] == "my" || words[next] == "those" ||
                                words[next] == "your" || words[next] == "these")) {
            ++next;
          }
        }
        Wanted* before = current();
        // "two burgers, one with cheese and one without onions": the second is of what the first left.
        Wanted* left = before != nullptr && rest != kNone ? &spoken.dishes[rest] : nullptr;
        if (left != nullptr &&
            (left->quantity.value_or(1) < number->value || before->dishes != left->dishes)) {
          left = nullptr;
        }
        const bool whole_rest = left != nullptr && left->quantity.value_or(1) == number->value;
        if (left != nullptr && number->value > 0 && next < end && !more) before = left;
        const bool split = before != nullptr &&
                           (before->quantity.value_or(1) > number->value || (before == left && whole_rest)) &&
                           number->value > 0 && !before->dishes.empty() && next < end && !more;
        if (split && before == left &&
            (words[next] == "normal" || words[next] == "plain" || words[next] == "regular")) {
          i = next + 1;
          if (whole_rest) rest = kNone;
          continue;
        }
        if (split) {
          std::vector<Wish> wishes;
          size_t taken = 0;
          if (const std::optional<WishCue> cue = CueAt(words, next); cue.has_value()) {
            taken = ReadWish(words, next + cue->length, end, cue->polarity, before->dishes, wishes);
            if (taken > 0) taken += cue->length;
          } else if (taken = lexicon_.CustomisationLengthOf(before->dishes, words, next); taken > 0) {
            wishes.push_back({Polarity::kPlain, Join(words, next, next + taken)});
          }
          if (taken > 0) {
            if (before == left && whole_rest) {
              before->wishes.insert(before->wishes.end(), wishes.begin(), wishes.end());
              rest = kNone;
              i = next + taken;
              continue;
            }
            Wanted part = *before;
            part.quantity = number->value;
            part.wishes.insert(part.wishes.end(), wishes.begin(), wishes.end());
            before->quantity = *before->quantity - number->value;
            rest = static_cast<size_t>(before - spoken.dishes.data());
            spoken.dishes.push_back(std::move(part));
            i = next + taken;
            continue;
          }
        }
        // "mocha x2"
        const bool behind = i == joined && before != nullptr && !before->quantity.has_value() &&
                            before->dishes.size() == 1 && number->value > 0 && !of && !more &&
                            (next >= end || words[next] == "and");
        if (behind) {
          before->quantity = number->value;
          i = next;
          continue;
        }
        // "chilli fries so three of them"
        if (of_them && before != nullptr && !before->quantity.has_value() && before->dishes.size() == 1) {
          before->quantity = number->value;
          i = next;
          continue;
        }
        count = number->value;
        or_count = number->or_else;
        partitive = of && !of_them;
        definite = definite || partitive;
        if (of_them) {
          spoken.of_them = true;
          spoken.pronoun = true;
          spoken.count = count;
          spoken.more = spoken.more || more;
          reset();
        }
        fresh = true;
        i = next;
        continue;
      }
      // "to cheeseburgers" is how recognition hears two of them.
      if ((word == "to" || word == "too") && unknown.empty() && !count.has_value() && (i == begin || fresh) &&
          i + 1 < end && lexicon_.Match(words, i + 1, false).has_value() &&
          absl::EndsWith(words[lexicon_.Match(words, i + 1, false)->end - 1], "s")) {
        count = 2;
        ++i;
        continue;
      }
      if (unknown.empty()) {
        std::optional<WishCue> cue = CueAt(words, i);
        // "let us go with the grilled one"
        if (cue.has_value() && i > begin && (words[i - 1] == "go" || words[i - 1] == "start")) cue.reset();
        // "double cheeseburger" and "extra" something that is a dish are dishes.
        const std::optional<Mention> dish_here =
            cue.has_value() && cue->length == 1 ? lexicon_.Match(words, i, false) : std::nullopt;
        const bool dish_begins = dish_here.has_value() && dish_here->end - dish_here->begin > 1;
        if (cue.has_value() && !dish_begins) {
          std::vector<Wish> wishes;
          const size_t taken = ReadWish(words, i + cue->length, end, cue->polarity, current_ids(), wishes);
          if (taken > 0) {
            flush_unknown();
            // Without a dish before it, it belongs to the one that follows, or to one spoken of earlier.
            if (current() == nullptr) {
              spoken.loose.insert(spoken.loose.end(), wishes.begin(), wishes.end());
            } else {
              attach(wishes);
            }
            i += cue->length + taken;
            fresh = false;
            continue;
          }
          if (cue->polarity == Polarity::kExtra && cue->length == 1 &&
              (word == "double" || word == "extra")) {
            lead.push_back({Polarity::kPlain, word});
            ++i;
            continue;
          }
          if (cue->polarity != Polarity::kWithout) fresh = true;  // "burger with fries"
        }
      }
      // A customisation of the dish just named, or, before any, of the one to come.
      if (unknown.empty() && current() != nullptr && !article && !count.has_value()) {
        const size_t own = lexicon_.CustomisationLengthOf(current_ids(), words, i);
        const std::optional<Mention> dish = lexicon_.Match(words, i, false);
        // "a cola and large fries": a size stands in front of its dish.
        const bool of_next = IsSize(word) && i + 1 < end && lexicon_.Match(words, i + 1, true).has_value();
        if (of_next) {
          lead.push_back({Polarity::kPlain, word});
          fresh = true;
          ++i;
          continue;
        }
        if (own > 0 && i + own <= end && !(dish.has_value() && dish->whole && dish->end - i > own)) {
          current()->wishes.push_back({Polarity::kPlain, Join(words, i, i + own)});
          i += own;
          continue;
        }
      }
      // "a side of fries", "a glass of lemonade"
      static const auto* const containers = new absl::flat_hash_set<absl::string_view>{
          "side",   "order",    "plate",   "portion", "glass",   "cup",   "bottle",   "bowl",   "box",
          "bag",    "serving",  "bucket",  "basket",  "slice",   "pot",   "mug",      "can",    "sides",
          "orders", "portions", "glasses", "cups",    "bottles", "bowls", "servings", "slices", "cap"};
      if (unknown.empty() && containers->contains(word) && i + 1 < end && words[i + 1] == "of") {
        i += 2;
        continue;
      }
      const bool before_dish = fresh || count.has_value() || article || definite || !lead.empty();
      const std::optional<Mention> mention = lexicon_.Match(words, i, before_dish);
      if (mention.has_value() && mention->end <= end) {
        // "sweet chilli dip": the words of a wish are not the beginning of a dish.
        const size_t custom = lexicon_.CustomisationLength(words, i, false);
        // But "fries large cola" are two dishes, though some dish is to be had with large fries.
        const bool size_of_next = custom > 1 && i + custom < end && IsSize(words[i + custom - 1]) &&
                                  lexicon_.Match(words, i + custom, true).has_value();
        if (!(custom > mention->end - i && !mention->whole && !size_of_next)) {
          // "a cheese pizza" is not one of the dishes with cheese; nor is "a mango milkshake" a sorbet.
          const size_t behind = ForeignHead(words, mention->end, end, mention->dishes);
          const std::optional<Mention> next =
              mention->describes ? lexicon_.Match(words, mention->end, true) : std::nullopt;
          // But of "a falafel fries and a cola" the falafel is one thing and the fries are another.
          const bool describes =
              next.has_value() && next->end <= end && !(article && absl::EndsWith(words[next->end - 1], "s"));
          if (behind > 0 || describes) {
            if (unknown.empty()) begin_unknown(true);
            described_next = described_next || describes;
            for (; i < mention->end + behind; ++i) unknown.push_back(words[i]);
            fresh = false;
            continue;
          }
          Wanted wanted = FromMention(words, *mention);
          // "a satay chicken wrap": which one that is, only the customer knows.
          if (count.has_value() || article || definite || described_next) wanted.unlike = Unpraised(unknown);
          if (described_next) {
            // "strawberry milkshake": one of them has that word after all.
            const std::vector<int64_t> narrowed = lexicon_.Narrow(wanted.dishes, unknown);
            if (!narrowed.empty() && narrowed.size() < wanted.dishes.size()) {
              wanted.dishes = narrowed;
              wanted.unlike.clear();
            }
          }
          // "hash browns" may be heard as brownies.
          const bool misread = !unknown.empty() && !mention->whole && mention->quality < 0.9;
          wanted.guessed |= misread || (described_next && !wanted.unlike.empty());
          described_next = false;
          // "volcano burger combo": the one with that burger.
          if (i == joined && current() != nullptr && !mention->whole && !count.has_value() && !article &&
              !definite) {
            const bool combos = absl::c_all_of(wanted.dishes, [&](int64_t id) {
              const Dish* dish = lexicon_.Find(id);
              return dish != nullptr && !dish->item.combo_of.empty();
            });
            const std::vector<int64_t> with =
                combos ? CombosWith(wanted.dishes, current()->dishes) : std::vector<int64_t>{};
            if (!with.empty()) {
              current()->dishes = current()->wide = with;
              current()->phrase = absl::StrCat(current()->phrase, " ", wanted.phrase);
              unknown.clear();
              i = mention->end;
              joined = i;
              fresh = false;
              continue;
            }
          }
          wanted.required = std::exchange(required, {});
          unknown.clear();
          // "americano coffee", "water still": two ways to call one dish.
          if (i == joined && current() != nullptr && !count.has_value() && !article && !definite) {
            std::vector<int64_t> both;
            for (const int64_t id : current()->dishes) {
              if (absl::c_linear_search(wanted.wide, id)) both.push_back(id);
            }
            if (both.empty() && current()->dishes.size() > 1) {
              for (const int64_t id : current()->wide) {
                if (absl::c_linear_search(wanted.dishes, id)) both.push_back(id);
              }
            }
            if (!both.empty() && (wanted.dishes.size() > 1 || current()->dishes.size() > 1)) {
              current()->dishes = std::move(both);
              current()->wishes.insert(current()->wishes.end(), lead.begin(), lead.end());
              lead.clear();
              i = mention->end;
              joined = i;
              continue;
            }
          }
          wanted.quantity = count;
          wanted.or_quantity = or_count;
          if (!count.has_value() && article) wanted.quantity = 1;
          wanted.article = article && !count.has_value();
          wanted.definite = definite;
          wanted.partitive = partitive;
          wanted.more = more;
          wanted.wishes = lead;
          lead.clear();
          const bool preposition = i > begin && PrepositionBefore(words, begin, i) && !spoken.loose.empty() &&
                                   spoken.dishes.empty();
          if (preposition) {
            wanted.pointed = true;
            wanted.wishes.insert(wanted.wishes.end(), spoken.loose.begin(), spoken.loose.end());
            spoken.loose.clear();
          } else if (spoken.dishes.empty() && !spoken.loose.empty() && !article && !definite) {
            // "extra hot wings"
            wanted.wishes.insert(wanted.wishes.end(), spoken.loose.begin(), spoken.loose.end());
            spoken.loose.clear();
          }
          spoken.dishes.push_back(std::move(wanted));
          reset();
          fresh = false;
          i = mention->end;
          joined = i;
          continue;
        }
      }
      // "a nut free vegan brownie"
      {
        Requirement more_required = required;
        size_t next = i;
        while (const size_t length = ReadRequirement(words, next, end, more_required)) next += length;
        if (next > i && next < end && lexicon_.Match(words, next, true).has_value()) {
          required = std::move(more_required);
          i = next;
          continue;
        }
      }
      const size_t custom = unknown.empty() ? lexicon_.CustomisationLength(words, i, false) : 0;
      if (i == joined && unknown.empty() && current() != nullptr && current()->dishes.size() > 1 &&
          !IsCommonWord(word)) {
        const std::vector<int64_t> narrowed = lexicon_.Narrow(current()->dishes, {word});
        if (!narrowed.empty() && narrowed.size() < current()->dishes.size()) {
          current()->dishes = narrowed;
          ++i;
          joined = i;
          continue;
        }
      }
      // "some water, the fizzy one"
      if (definite && unknown.empty() && current() != nullptr && current()->dishes.size() > 1 &&
          i + 1 < end && words[i + 1] == "one" && !IsCommonWord(word)) {
        const std::vector<int64_t> narrowed = lexicon_.Narrow(current()->dishes, {word});
        if (!narrowed.empty() && narrowed.size() < current()->dishes.size()) {
          current()->dishes = narrowed;
          definite = false;
          i += 2;
          continue;
        }
      }
      // How the kitchen is to do it.
      static const auto* const manners =
          new std::vector<Words>{{"cut", "in", "half"}, {"cut", "in", "two"}, {"cut", "up"},
                                 {"in", "half"},        {"to", "go"},         {"on", "the", "side"}};
      bool manner = false;
      for (const Words& phrase : *manners) {
        if (current() == nullptr || i + phrase.size() > end ||
            !std::equal(phrase.begin(), phrase.end(), words.begin() + static_cast<std::ptrdiff_t>(i))) {
          continue;
        }
        attach({{Polarity::kPlain, Join(phrase)}});
        i += phrase.size();
        manner = true;
        break;
      }
      if (manner) continue;
      if (custom > 0 && i + custom <= end && !IsCommonWord(word)) {
        // "not spicy" is no wish for it.
        const std::string named = Join(words, i, i + custom);
        const bool denied = i > begin && words[i - 1] == "not";
        lead.push_back({Polarity::kPlain, denied ? absl::StrCat("not ", named) : named});
        i += custom;
        continue;
      }
      if (unknown.empty() && word == "well" && i + 1 < end && words[i + 1] == "done") {
        attach({{Polarity::kPlain, "well done"}});
        i += 2;
        continue;
      }
      if (unknown.empty() && IsNoteWord(word) &&
          (current() != nullptr || word == "small" || word == "medium" || word == "large" ||
           word == "decaf" || (definite && i + 1 < end && words[i + 1] == "one"))) {
        const bool denied = i > begin && words[i - 1] == "not";
        const Wish wish = {Polarity::kPlain, denied ? absl::StrCat("not ", word) : word};
        if (count.has_value() || article) {
          lead.push_back(wish);
        } else {
          attach({wish});
        }
        ++i;
        continue;
      }
      if (const std::optional<int> ordinal = ReadOrdinal(word);
          ordinal.has_value() && unknown.empty() &&
          (i + 1 >= end || words[i + 1] == "one" || words[i + 1] == "ones" || words[i + 1] == "item" ||
           words[i + 1] == "of" || words[i + 1] == "without" || words[i + 1] == "with" ||
           words[i + 1] == "thing")) {
        spoken.ordinal = ordinal;
        ++i;
        if (i < end && (words[i] == "one" || words[i] == "ones" || words[i] == "item" || words[i] == "thing"))
          ++i;
        continue;
      }
      if (word == "it" || word == "that" || word == "them" || word == "those" || word == "these" ||
          word == "this") {
        flush_unknown();
        const bool determiner = i + 1 < end &&
                                (word == "that" || word == "those" || word == "these" || word == "this") &&
                                (lexicon_.Match(words, i + 1, true).has_value());
        if (determiner) {
          definite = true;
        } else {
          spoken.pronoun = true;
        }
        fresh = false;
        ++i;
        continue;
      }
      if (word == "a" || word == "an") {
        flush_unknown();
        article = true;
        spoken.article = true;
        fresh = true;
        ++i;
        continue;
      }
      if (word == "another") {
        flush_unknown();
        more = true;
        count = 1;
        fresh = true;
        ++i;
        continue;
      }
      if (word == "the" || word == "my" || word == "some" || word == "our" || word == "your" ||
          word == "his" || word == "her" || word == "their") {
        flush_unknown();
        definite = word != "some";
        if (word == "some") fresh = true;
        fresh = true;
        ++i;
        continue;
      }
      if (word == "both" || word == "all") {
        spoken.all = true;
        ++i;
        continue;
      }
      if (word == "and" || word == "or" || word == "also" || word == "then") {
        flush_unknown();
        if (current() != nullptr || !spoken.loose.empty()) fresh = true;
        ++i;
        continue;
      }
      if (IsCommonWord(word) || word == "regular" || word == "normal" || word == "standard" ||
          word == "side") {
        flush_unknown();
        ++i;
        continue;
      }
      // A word that the menu does not know is taken for a dish where one is asked for.
      if (unknown.empty()) begin_unknown(false);
      unknown.push_back(word);
      fresh = false;
      ++i;
    }
    flush_unknown();
    if (!lead.empty()) attach(lead);
    if (count.has_value()) spoken.count = count;
    spoken.more = spoken.more || more;
    return spoken;
  }

  // Of `combos` those that have one of `dishes` in them.
  std::vector<int64_t> CombosWith(const std::vector<int64_t>& combos,
                                  const std::vector<int64_t>& dishes) const {
    std::vector<int64_t> with;
    for (const int64_t id : combos) {
      const Dish* combo = lexicon_.Find(id);
      if (combo == nullptr) continue;
      const bool has = absl::c_any_of(combo->item.combo_of,
                                      [&](int64_t part) { return absl::c_linear_search(dishes, part); });
      if (has) with.push_back(id);
    }
    return with;
  }

  static bool PrepositionBefore(const Words& words, size_t begin, size_t at) {
    for (size_t i = at; i > begin; --i) {
      const std::string& word = words[i - 1];
      if (word == "the" || word == "my" || word == "that" || word == "those" || word == "both" ||
          word == "his" || word == "her" || word == "their" || word == "your" || word == "our" ||
          word == "this" || ReadCount(words, i - 1).has_value() || word == "of") {
        continue;
      }
      return word == "in" || word == "on" || word == "to" || word == "for" || word == "from" ||
             word == "with" || word == "into" || word == "onto";
    }
    return false;
  }

  // The cart.

  std::optional<size_t> LineOf(const IntentItem& item) const {
    std::optional<size_t> same_item;
    for (size_t i = cart_.size(); i-- > 0;) {
      if (cart_[i].item_id != item.item_id) continue;
      const std::set<std::string> a(cart_[i].customizations.begin(), cart_[i].customizations.end());
      const std::set<std::string> b(item.modifiers.begin(), item.modifiers.end());
      if (a == b && cart_[i].note.value_or("") == item.note.value_or("")) return i;
      if (!same_item.has_value()) same_item = i;
    }
    return same_item;
  }

  // Lines of the cart that `wanted` can mean.
  std::vector<size_t> LinesOf(const Wanted& wanted) const {
    for (const std::vector<int64_t>* ids : {&wanted.dishes, &wanted.wide}) {
      std::vector<size_t> lines;
      for (size_t i = 0; i < cart_.size(); ++i) {
        if (absl::c_linear_search(*ids, cart_[i].item_id)) lines.push_back(i);
      }
      if (!lines.empty()) return lines;
    }
    return {};
  }

  // How well a line is described by what was said of it; negative: not at all.
  int Fits(const OrderLine& line, const std::vector<Wish>& wishes) const {
    const Dish* dish = lexicon_.Find(line.item_id);
    int score = 0;
    for (const Wish& wish : wishes) {
      const bool plain = wish.text == "plain" || wish.text == "normal" || wish.text == "regular";
      if (plain) {
        if (!line.customizations.empty() || !line.note.value_or("").empty()) return -1;
        ++score;
        continue;
      }
      const std::string name = dish == nullptr ? "" : MatchCustomisation(dish->item, wish);
      const std::string note = menu::Fold(line.note.value_or(""));
      const bool noted = absl::StrContains(note, wish.text);
      if (!noted && (name.empty() || !absl::c_linear_search(line.customizations, name))) return -1;
      ++score;
    }
    return score;
  }

  // The one line among `lines` that the wishes describe; none when several do.
  std::optional<size_t> LineDescribed(const std::vector<size_t>& lines,
                                      const std::vector<Wish>& wishes) const {
    if (wishes.empty()) return std::nullopt;
    std::optional<size_t> found;
    for (const size_t line : lines) {
      if (Fits(cart_[line], wishes) < 0) continue;
      if (found.has_value()) return std::nullopt;
      found = line;
    }
    return found;
  }

  std::vector<size_t> AllLines() const {
    std::vector<size_t> lines(cart_.size());
    for (size_t i = 0; i < lines.size(); ++i) lines[i] = i;
    return lines;
  }

  // "the second": of `lines`; of those with a customisation of `wishes`, where there are enough of them.
  std::optional<size_t> LineAt(int ordinal, std::vector<size_t> lines,
                               const std::vector<Wish>& wishes) const {
    std::vector<size_t> fitting;
    for (const size_t line : lines) {
      const Dish* dish = lexicon_.Find(cart_[line].item_id);
      const bool fits = dish != nullptr && !wishes.empty() && absl::c_any_of(wishes, [&](const Wish& wish) {
                          return !MatchCustomisation(dish->item, wish).empty();
                        });
      if (fits) fitting.push_back(line);
    }
    if (static_cast<int>(fitting.size()) > std::max(ordinal, 0)) lines = std::move(fitting);
    const int at = ordinal < 0 ? static_cast<int>(lines.size()) - 1 : ordinal;
    if (at < 0 || at >= static_cast<int>(lines.size())) return std::nullopt;
    return lines[static_cast<size_t>(at)];
  }

  // The line that is meant: the one that fits the wishes, that was spoken of last, or the latest.
  std::optional<size_t> LineWith(const Wanted& wanted) const {
    const std::vector<size_t> lines = LinesOf(wanted);
    if (lines.empty()) return std::nullopt;
    if (const std::optional<size_t> described = LineDescribed(lines, wanted.wishes); described.has_value()) {
      return described;
    }
    std::optional<size_t> last = LastLine();
    if (last.has_value() && absl::c_linear_search(lines, *last)) return last;
    return lines.back();
  }

  std::vector<int64_t> DishesOf(const std::vector<size_t>& lines) const {
    std::vector<int64_t> ids;
    for (const size_t line : lines) {
      if (!absl::c_linear_search(ids, cart_[line].item_id)) ids.push_back(cart_[line].item_id);
    }
    return ids;
  }

  std::optional<size_t> LastLine() const {
    if (described_.has_value()) return described_;
    for (size_t i = dialogue_.last.size(); i-- > 0;) {
      const std::optional<size_t> line = LineOf(dialogue_.last[i]);
      if (line.has_value()) return line;
    }
    if (!cart_.empty()) return cart_.size() - 1;
    return std::nullopt;
  }

  void Point(Act& act, std::optional<size_t> line) const {
    act.line = line;
    act.not_in_cart = !line.has_value();
    if (line.has_value()) {
      act.what.dishes = {cart_[*line].item_id};
      act.what.wide = act.what.dishes;
    }
  }

  // Points at the line that `wanted` means; several different dishes stay a question.
  void PointAt(Act& act, const Wanted& wanted) const {
    act.what = wanted;
    const std::vector<size_t> lines = LinesOf(wanted);
    const std::vector<int64_t> ids = DishesOf(lines);
    if (ids.size() > 1) {
      act.what.dishes = ids;
      act.line.reset();
      return;
    }
    std::vector<Wish> wishes = act.what.wishes;
    Point(act, LineWith(wanted));
    act.what.wishes = std::move(wishes);
  }

  void RemoveLast(bool group) {
    std::vector<IntentItem> items = dialogue_.last;
    if (!group && items.size() > 1) items = {items.back()};
    std::set<size_t> done;
    for (const IntentItem& item : items) {
      const std::optional<size_t> line = LineOf(item);
      if (!line.has_value() || !done.insert(*line).second) continue;
      Point(Push(ActKind::kRemove), line);
    }
    if (done.empty()) Point(Push(ActKind::kRemove), LastLine());
  }

  void AddLike(const IntentItem& item, const Spoken& spoken, std::optional<int64_t> quantity) {
    Act& act = Push(ActKind::kAdd);
    act.what.dishes = {item.item_id};
    act.what.wide = {item.item_id};
    act.what.like = item;
    act.what.quantity = quantity;
    act.what.more = true;
    act.what.wishes = spoken.loose;
  }

  std::optional<IntentItem> ItemOf(std::optional<size_t> line) const {
    if (!line.has_value()) return std::nullopt;
    IntentItem item;
    item.item_id = cart_[*line].item_id;
    item.name = cart_[*line].name;
    item.quantity = cart_[*line].quantity;
    item.modifiers = cart_[*line].customizations;
    item.note = cart_[*line].note;
    return item;
  }

  void ReadOrder() {
    std::string text = text_;
    static const auto* const put_on = new RE2(
        "^(?:and |then |also )*(?:stick|pop|chuck|bung|whack|slap|shove) (?:us |me |on |in "
        ")?(a|an|some|one|two|"
        "three|another|the)\\b");
    RE2::Replace(&text, *put_on, "add \\1");
    ReadBecomes(text);
    if (ReadMidCorrection(text) || ReadSomething(text)) return;
    bool corrects = false;
    // What leads a correction: "no wait", "sorry I meant".
    static const auto* const lead_pattern = new RE2(
        "^(?:(?:no|nope|nah|wait|sorry|oops|whoops|actually|hold on|hang "
        "on|well|ok|okay|yes|yeah|and|but|then|so|i mean|i meant|i said|i wanted"
        "|my bad|my mistake|on second thoughts?|rather|could you|can you|would you|will you|please|i think|i "
        "guess|let us say|make that) )");
    bool meant = false;
    while (true) {
      re2::StringPiece match;
      const re2::StringPiece input(text);
      if (!lead_pattern->Match(input, 0, input.size(), RE2::ANCHOR_START, &match, 1)) break;
      const std::string lead(match.substr(0, match.size() - 1));
      const Words rest = Split(text.substr(match.size()));
      if (lead == "make that" || (lead == "rather" && !rest.empty() && rest[0] == "than")) break;
      if (lead == "nah") corrects = true;
      if (lead == "no") {
        // "no onions" is a wish.
        const bool wish =
            !rest.empty() && (lexicon_.CustomisationLength(rest, 0, true) > 0 ||
                              lexicon_.CustomisationLength(rest, 0, false) > 0 ||
                              lexicon_.Match(rest, 0, true).has_value() || !IsCommonWord(rest[0]));
        const bool number = ReadCount(rest, 0).has_value();
        if (wish && !number) break;
        corrects = true;
      }
      if (lead == "wait" || lead == "sorry" || lead == "oops" || lead == "whoops" || lead == "actually" ||
          lead == "hold on" || lead == "hang on" || lead == "my bad" || lead == "my mistake" ||
          lead == "rather" || absl::StartsWith(lead, "on second")) {
        corrects = true;
      }
      if (lead == "i mean" || lead == "i meant" || lead == "i said" || lead == "i wanted")
        corrects = meant = true;
      text = Join(rest);
    }
    static const auto* const meant_pattern =
        new RE2("^(?:i (?:meant|said|mean)|i would (?:rather|prefer)(?: have| take)?|rather|i prefer) ");
    if (Has(text, *meant_pattern)) meant = true;
    if (text.empty() || (Has(text, patterns::QuestionStart()) && !IsOrderQuestion(text))) return;
    if (ReadOther(text) || ReadSame(text) || ReadPutBack(text) || ReadInstead(text)) return;

    const Words words = Split(text);
    std::vector<Clause> clauses = Clauses(words);
    // "add" behind a dish begins a wish ("veggie burger add avocado"); the clause reader sees to that.
    if (clauses.empty() || clauses.front().at > 0) {
      const size_t end = clauses.empty() ? words.size() : clauses.front().at;
      if (clauses.empty() || !ReadDescription(words, end)) ReadAdd(words, 0, end, corrects, meant, false);
    }

    for (size_t i = 0; i < clauses.size(); ++i) {
      const size_t begin = clauses[i].at + clauses[i].length;
      const size_t end = i + 1 < clauses.size() ? clauses[i + 1].at : words.size();
      switch (clauses[i].verb) {
        case Verb::kAdd:
          ReadAdd(words, begin, end, corrects, meant,
                  words[clauses[i].at] == "add" || words[clauses[i].at] == "throw");
          break;
        case Verb::kRemove:
          ReadRemove(words, begin, end);
          break;
        case Verb::kChange:
          ReadChange(words, begin, end);
          break;
        case Verb::kMake:
          ReadMake(words, begin, end);
          break;
      }
    }
  }

  // "one of the colas should be a mocha", "make one a mocha": a swap.
  void ReadBecomes(std::string& text) const {
    static const auto* const be = new RE2(
        "(?:can |could |let |make )*((?:one|two|three|four|five|six)(?: of (?:them|those|these|(?:the|my) "
        "[a-z ]+?))?)"
        " (?:(?:should|can|could|would|to|has to|must) )*(?:be |into )?(an? .+)");
    std::string from;
    std::string to;
    if (cart_.empty() || !RE2::FullMatch(text, *be, &from, &to)) return;
    const Words words = Split(to);
    const std::optional<Mention> mention = lexicon_.Match(words, 1, true);
    const bool said = absl::StrContains(text, " be ") || absl::StrContains(text, " into ") ||
                      absl::StartsWith(text, "make ");
    if (said && mention.has_value() && mention->end == words.size())
      text = absl::StrCat("swap ", from, " for ", to);
  }

  // "something fizzy": looked for, not ordered. "Something cold, yeah, a peach iced tea" orders the tea.
  bool ReadSomething(std::string& text) {
    static const auto* const pattern = new RE2(
        "(?:(?:i|we) (?:want|would like|need|fancy|could do with|feel like) |maybe |perhaps |just |how about "
        "|"
        "get me |give me )*(?:something|anything) ([a-z]+)((?: [a-z0-9]+)*)");
    static const auto* const idle = new RE2("(?: (?:maybe|perhaps|i think|i guess|thanks|then|yeah))*");
    std::string what;
    std::string rest;
    if (!RE2::FullMatch(text, *pattern, &what, &rest) || IsCommonWord(what)) return false;
    if (!RE2::FullMatch(rest, *idle)) {
      if (!DishesIn(Split(rest), false).empty()) text = std::string(absl::StripLeadingAsciiWhitespace(rest));
      return false;
    }
    Act& act = Push(ActKind::kBrowse);
    act.text = what;
    return true;
  }

  // "the one without onions", in front of what is to be done with it.
  bool ReadDescription(const Words& words, size_t end) {
    const Spoken spoken = ReadPhrase(words, 0, end, true);
    if (spoken.dishes.empty()) {
      if (spoken.the_one) described_ = LineDescribed(AllLines(), spoken.loose);
    } else if (spoken.dishes.size() == 1 && spoken.dishes.front().definite && spoken.loose.empty()) {
      described_ = LineDescribed(LinesOf(spoken.dishes.front()), spoken.dishes.front().wishes);
    }
    return described_.has_value();
  }

  // "two lemonades, wait no, three lemonades": what comes behind corrects the dish in front.
  bool ReadMidCorrection(const std::string& text) {
    static const auto* const pattern = new RE2(
        "(.+?) (?:(?:oh |or )?(?:wait|sorry|actually|no wait|no sorry|no actually|scratch that|correction|i "
        "mean|"
        "or rather|hang on|hold on) )+(?:(?:no|make that|make it|i mean|i meant|let us say|rather) )*(.+)");
    std::string front;
    std::string behind;
    if (!RE2::FullMatch(text, *pattern, &front, &behind)) return false;
    const Words front_words = Split(front);
    const Words behind_words = Split(behind);
    const std::vector<Clause> clauses = Clauses(front_words);
    if (clauses.size() > 1 || (!clauses.empty() && clauses[0].verb != Verb::kAdd) ||
        !Clauses(behind_words).empty()) {
      return false;
    }
    const size_t begin = clauses.empty() ? 0 : clauses[0].at + clauses[0].length;
    Spoken ordered = ReadPhrase(front_words, begin, front_words.size(), true);
    Spoken better = ReadPhrase(behind_words, 0, behind_words.size(), true);
    if (ordered.dishes.empty() || ordered.dishes.back().dishes.empty()) return false;
    if (better.dishes.empty() && better.count.has_value() && better.loose.empty()) {
      ordered.dishes.back().quantity = better.count;
    } else if (!better.dishes.empty() && !better.dishes.front().dishes.empty() &&
               !better.dishes.front().more) {
      Wanted& first = better.dishes.front();
      if (!first.quantity.has_value()) first.quantity = ordered.dishes.back().quantity;
      ordered.dishes.pop_back();
      for (Wanted& wanted : better.dishes) ordered.dishes.push_back(std::move(wanted));
    } else {
      return false;
    }
    for (Wanted& wanted : ordered.dishes) AddOne(std::move(wanted));
    return true;
  }

  // "no, the other one"
  bool ReadOther(const std::string& text) {
    static const auto* const other_pattern = new RE2(
        "(?:(?:i|not|no|that|meant|want|wanted|would|like|said|give|me|rather|have|make|it|actually|change|"
        "to|was|will|take) )*the other(?: one| ones)?(?: (?:please|instead|then))*");
    if (!Full(text, *other_pattern)) return false;
    if (ReadOtherLine()) return true;
    const std::optional<size_t> line = LastLine();
    if (dialogue_.others.empty() || !line.has_value()) return false;
    Act& act = Push(ActKind::kReplace);
    Point(act, line);
    act.with.dishes = dialogue_.others;
    act.with.wide = dialogue_.others;
    act.with.phrase = "other one";
    return true;
  }

  // The same, of what was done to a line: it was to be done to another one of the cart.
  bool ReadOtherLine() {
    if (!dialogue_.before.has_value() || dialogue_.last.size() != 1) return false;
    const IntentItem& changed = dialogue_.last.front();
    const std::optional<size_t> line = LineOf(changed);
    std::vector<size_t> lines;
    const auto keep = [&](const auto& wanted) {
      if (!lines.empty()) return;
      for (size_t i = 0; i < cart_.size(); ++i) {
        if (line != i && wanted(cart_[i])) lines.push_back(i);
      }
    };
    // What was asked about, else another of the same dish, else of the same kind, else any.
    keep([&](const OrderLine& l) { return absl::c_linear_search(dialogue_.others, l.item_id); });
    keep([&](const OrderLine& l) { return l.item_id == changed.item_id; });
    const Dish* dish = lexicon_.Find(changed.item_id);
    keep([&](const OrderLine& l) {
      const Dish* other = lexicon_.Find(l.item_id);
      return dish != nullptr && other != nullptr && other->item.category == dish->item.category;
    });
    keep([](const OrderLine&) { return true; });
    if (lines.empty()) return false;
    Act& act = Push(ActKind::kOther);
    if (lines.size() == 1) {
      Point(act, lines.front());
    } else {
      act.what.dishes = act.what.wide = DishesOf(lines);
      act.what.phrase = "one";
      if (act.what.dishes.size() == 1) Point(act, lines.back());
    }
    return true;
  }

  // "the same again", "another one of those", "two more"
  bool ReadSame(const std::string& text) {
    static const auto* const same_pattern = new RE2(
        "(?:(?:i|we|will|would|like|have|take|can|could|get|want|give|me|and|just|again|another|let|us) "
        ")*(?:the )?same(?: (?:again|thing|one|order|for me|please|for (?:my|him|her)(?: [a-z]+)?))*"
        "((?: but| with| without| except| no)? ?.*)");
    static const auto* const more_pattern = new RE2(
        "(?:(?:i|we|will|would|like|have|take|can|could|get|want|give|me|and|just|let|us|add|also|make|"
        "actually|do|need) )*"
        "(another|(?:[a-z0-9]+ ){1,3}more|[a-z0-9]+ extra)(?: ones?| round| of (?:those|that|them|these|the "
        "same|it|each))*( .*)?");
    std::string rest;
    if (RE2::FullMatch(text, *same_pattern, &rest) && LastExists()) {
      const Words words = Split(rest);
      const Spoken spoken = ReadPhrase(words, 0, words.size(), false);
      if (spoken.dishes.empty()) {
        for (const IntentItem& item : dialogue_.last) AddLike(item, spoken, item.quantity);
        return true;
      }
    }
    std::string count_text;
    if (!RE2::FullMatch(text, *more_pattern, &count_text, &rest)) return false;
    const Words count_words = Split(count_text);
    std::optional<Count> count = count_words[0] == "another" ? Count{1, 1} : ReadCount(count_words, 0);
    if (count_words[0] == "a") count = ReadCount(count_words, 0).value_or(Count{1, 1});
    if (!count.has_value() || count->value < 1) return false;
    Words words = Split(rest);
    const Spoken spoken = ReadPhrase(words, 0, words.size(), true);
    if (!spoken.dishes.empty()) return false;  // "another coke": ReadAdd()
    if (!spoken.residue.empty() && spoken.loose.empty()) return false;
    std::optional<IntentItem> item;
    if (LastExists() && dialogue_.last_change != "remove") item = dialogue_.last.back();
    if (!item.has_value()) item = ItemOf(LastLine());
    if (!item.has_value()) return false;
    if (ARC_HAS(text, "\\banother round\\b") && LastExists() && dialogue_.last_change != "remove") {
      for (const IntentItem& last : dialogue_.last) AddLike(last, spoken, last.quantity);
      return true;
    }
    AddLike(*item, spoken, count->value);
    return true;
  }

  // "put the onions back"
  bool ReadPutBack(const std::string& text) {
    static const auto* const back_pattern =
        new RE2("(?:.* )?put (?:the |some )?(.+?) back(?: (?:on|in|please|again))*");
    std::string what;
    if (!RE2::FullMatch(text, *back_pattern, &what)) return false;
    Act act;
    act.kind = ActKind::kModify;
    Point(act, LastLine());
    for (size_t i = cart_.size(); i-- > 0;) {
      const Dish* dish = lexicon_.Find(cart_[i].item_id);
      if (dish == nullptr) continue;
      const std::string left_out = MatchCustomisation(dish->item, {Polarity::kWithout, what});
      if (absl::c_linear_search(cart_[i].customizations, left_out)) {
        Point(act, i);
        break;
      }
    }
    act.what.wishes = {{Polarity::kWith, what}};
    out_.acts.push_back(std::move(act));
    return true;
  }

  // "not a cola, a lemonade", "no cola, lemonade", "i don't want a cola, i want a lemonade": what is named
  // first is not meant, what comes behind it is.
  bool ReadNotThis(const std::string& text) {
    static const auto* const pattern = new RE2(
        "(?:(?:i|we|it|that|this|is|was|am|want|wanted|would|like|said|have|did|do|does|should|be|but|sorry|"
        "for|"
        "to|order|ordered|ask|asked|say|mean|meant|really|actually|will|wait|no) )*?(not|no|never|instead "
        "of|rather than|in place of)"
        "((?: (?:want|wanted|like|need|order|ordered|say|said|mean|meant|ask|asked|for|get|have|take))*) "
        "(.+)");
    std::string denial;
    std::string wanting;
    std::string rest_text;
    if (!RE2::FullMatch(text, *pattern, &denial, &wanting, &rest_text)) return false;
    const Words rest = Split(rest_text);
    size_t at = 0;
    std::optional<int64_t> count;
    while (at < rest.size()) {
      const std::optional<Count> number = ReadCount(rest, at);
      if (number.has_value()) {
        count = number->value;
        at += number->length;
      } else if (rest[at] == "a" || rest[at] == "an" || rest[at] == "the" || rest[at] == "my" ||
                 rest[at] == "any" || rest[at] == "of" || rest[at] == "that") {
        ++at;
      } else {
        break;
      }
    }
    const std::optional<Mention> mention = lexicon_.Match(rest, at, true);
    if (!mention.has_value() || (denial == "no" && !mention->head)) return false;
    // "no onions" is a wish.
    if (denial == "no" && lexicon_.CustomisationLength(rest, at, true) > 0) return false;
    const Wanted unwanted = FromMention(rest, *mention);
    // "not that, a lemonade"
    if (rest[0] == "that" && !InCart(unwanted) && LastLine().has_value()) {
      Spoken better = ReadPhrase(rest, 1, rest.size(), true);
      if (better.dishes.empty()) return false;
      Act act;
      act.kind = ActKind::kReplace;
      Point(act, LastLine());
      act.with = std::move(better.dishes.front());
      out_.acts.push_back(std::move(act));
      return true;
    }
    size_t begin = mention->end;
    while (begin < rest.size() && (rest[begin] == "one" || rest[begin] == "ones") && !mention->head) ++begin;
    const auto is = [&](absl::string_view word) { return begin < rest.size() && rest[begin] == word; };
    const bool listed = is("and") || is("or") || is("nor");
    while (is("but") || is("just") || is("only") || is("rather") || is("instead") || is("sorry") || is("no"))
      ++begin;
    const bool alone = begin >= rest.size();
    // "i do not want the cola" is read as what is taken out.
    const std::vector<Clause> verbs = Clauses(Split(text));
    const bool asks =
        absl::c_any_of(verbs, [](const Clause& clause) { return clause.verb == Verb::kRemove; });
    if ((alone || listed) && (asks || (denial != "not" && denial != "never"))) return false;
    if (alone || listed) {
      const Spoken all = ReadPhrase(rest, 0, rest.size(), true);
      for (const Wanted& wanted : all.dishes) {
        Act act;
        act.kind = ActKind::kRemove;
        PointAtOne(act, wanted);
        act.what.quantity.reset();
        out_.acts.push_back(std::move(act));
      }
      return !all.dishes.empty();
    }
    const std::vector<Clause> clauses = Clauses(rest);
    for (const Clause& clause : clauses) {
      if (clause.verb != Verb::kAdd && clause.verb != Verb::kMake) return false;
    }
    if (!clauses.empty()) begin = std::max(begin, clauses.back().at + clauses.back().length);
    Spoken wanted = ReadPhrase(rest, begin, rest.size(), true);
    if (wanted.dishes.empty()) {
      // "not one cola, two"
      if (!wanted.count.has_value() || !count.has_value() || !wanted.loose.empty()) return false;
      Act act;
      act.kind = ActKind::kQuantity;
      PointAtOne(act, unwanted);
      if (act.not_in_cart) {
        act = Act{};
        act.kind = ActKind::kAdd;
        act.what = unwanted;
      }
      act.what.quantity = wanted.count;
      out_.acts.push_back(std::move(act));
      return true;
    }
    auto dish = wanted.dishes.begin();
    if (InCart(unwanted)) {
      Act act;
      act.kind = ActKind::kReplace;
      PointAtOne(act, unwanted);
      act.what.quantity.reset();
      act.with = std::move(*dish++);
      out_.acts.push_back(std::move(act));
    }
    for (; dish != wanted.dishes.end(); ++dish) AddOne(std::move(*dish));
    return true;
  }

  // As PointAt(); of several dishes it is the one that was spoken of last.
  void PointAtOne(Act& act, const Wanted& wanted) const {
    PointAt(act, wanted);
    if (act.line.has_value() || act.not_in_cart) return;
    const std::optional<size_t> last = LastLine();
    if (last.has_value() && absl::c_linear_search(LinesOf(wanted), *last)) Point(act, last);
  }

  // "a cola zero instead of the coke", "make it two instead of one", "four burgers not two"
  bool ReadInstead(const std::string& text) {
    if (ReadNotThis(text)) return true;
    static const auto* const instead_of =
        new RE2("(.+?) (?:instead of|rather than|in place of) (?:the |a |an |my |just )?(.+)");
    static const auto* const not_pattern = new RE2("(.+?) (?:and )?not (?:the |a |an |just )?(.+)");
    static const auto* const not_but = new RE2(
        "(?:not|no) (?:the |a |an )?(.+?) (?:i (?:meant|want|wanted|said|mean)|but|make it|give me) (.+)");
    static const auto* const with_pattern = new RE2("(.*?)\\b(?:with|and|get|have|but) (.+)");
    std::string wanted_text;
    std::string unwanted_text;
    const bool instead = RE2::FullMatch(text, *instead_of, &wanted_text, &unwanted_text);
    const bool but = !instead && RE2::FullMatch(text, *not_but, &unwanted_text, &wanted_text);
    if (!instead && !but && !RE2::FullMatch(text, *not_pattern, &wanted_text, &unwanted_text)) return false;
    if (!instead && !but &&
        (ARC_HAS(unwanted_text, "^(?:too|so|very|sure|spicy|hot|that|want|possible|any)\\b") ||
         ARC_HAS(text, "\\b(?:do|is|are|does|can|would|will) not\\b"))) {
      return false;
    }
    const Words unwanted_words = Split(unwanted_text);
    const Words wanted_words = Split(wanted_text);
    const Spoken unwanted = ReadPhrase(unwanted_words, 0, unwanted_words.size(), true);
    // A swap that a dish offers: "with fruit instead of fries".
    {
      std::string base;
      std::string swapped;
      if (RE2::FullMatch(wanted_text, *with_pattern, &base, &swapped)) {
        const Words base_words = Split(base);
        const Spoken spoken = ReadPhrase(base_words, 0, base_words.size(), true);
        if (!spoken.dishes.empty() && !spoken.dishes.back().dishes.empty()) {
          const Dish* dish = lexicon_.Find(spoken.dishes.back().dishes.front());
          const std::string name = dish == nullptr ? "" : MatchSwap(dish->item, swapped, unwanted_text);
          if (!name.empty()) {
            Spoken whole = spoken;
            whole.dishes.back().wishes.push_back({Polarity::kPlain, menu::Fold(name)});
            for (Wanted& wanted : whole.dishes) AddOne(std::move(wanted));
            return true;
          }
        }
      }
      for (size_t i = cart_.size(); i-- > 0;) {
        const Dish* dish = lexicon_.Find(cart_[i].item_id);
        if (dish == nullptr) continue;
        Words last_words = wanted_words;
        const std::string name =
            MatchSwap(dish->item, last_words.empty() ? "" : last_words.back(), unwanted_text);
        if (!name.empty()) {
          Act& act = Push(ActKind::kModify);
          Point(act, i);
          act.what.wishes = {{Polarity::kPlain, menu::Fold(name)}};
          return true;
        }
      }
    }
    // The count that replaces another count.
    if (unwanted.dishes.empty() && unwanted.count.has_value()) {
      std::vector<Clause> clauses = Clauses(wanted_words);
      const size_t begin = clauses.empty() ? 0 : clauses.back().at + clauses.back().length;
      const Spoken wanted = ReadPhrase(wanted_words, begin, wanted_words.size(), true);
      Act act;
      act.kind = ActKind::kQuantity;
      if (!wanted.dishes.empty() && wanted.dishes.front().quantity.has_value()) {
        PointAt(act, wanted.dishes.front());
        // Of several dishes, the one that has this count.
        if (!act.line.has_value()) {
          for (const size_t line : LinesOf(wanted.dishes.front())) {
            if (cart_[line].quantity == *unwanted.count) Point(act, line);
          }
        }
        act.what.quantity = wanted.dishes.front().quantity;
      } else if (wanted.count.has_value()) {
        Point(act, LastLine());
        act.what.quantity = wanted.count;
      } else {
        return false;
      }
      out_.acts.push_back(std::move(act));
      return true;
    }
    if (unwanted.dishes.empty()) return false;
    std::vector<Clause> clauses = Clauses(wanted_words);
    const size_t begin = clauses.empty() ? 0 : clauses.back().at + clauses.back().length;
    Spoken wanted = ReadPhrase(wanted_words, begin, wanted_words.size(), true);

    if (wanted.dishes.empty()) return false;
    if (LinesOf(unwanted.dishes.front()).empty()) {
      for (Wanted& dish : wanted.dishes) AddOne(std::move(dish));
      return true;
    }
    Act act;
    act.kind = ActKind::kReplace;
    PointAt(act, unwanted.dishes.front());
    // "instead of one of the colas" is one; "instead of a cola" is whatever there is.
    if (!unwanted.dishes.front().partitive) act.what.quantity.reset();
    act.with = wanted.dishes.front();
    out_.acts.push_back(std::move(act));
    return true;
  }

  void AddOne(Wanted wanted) {
    Act& act = Push(ActKind::kAdd);
    // Whoever says it again was asked already.
    if (wanted.dishes.size() == 1 && dialogue_.pending.kind == PendingKind::kOffer &&
        absl::c_linear_search(dialogue_.pending.candidates, wanted.dishes.front())) {
      wanted.guessed = false;
    }
    // "another coke" is one like the one in the cart.
    if (wanted.more) {
      const std::vector<size_t> lines = LinesOf(wanted);
      if (DishesOf(lines).size() == 1) {
        wanted.dishes = DishesOf(lines);
        if (lines.size() == 1) wanted.like = ItemOf(lines.front());
      }
    }
    act.what = std::move(wanted);
  }

  bool InCart(const Wanted& wanted) const { return !LinesOf(wanted).empty(); }

  // The last dish that is added in this very sentence.
  Wanted* AddedNow() {
    for (size_t i = out_.acts.size(); i-- > 0;) {
      if (out_.acts[i].kind == ActKind::kAdd) return &out_.acts[i].what;
      if (out_.acts[i].kind == ActKind::kReplace) return &out_.acts[i].with;
    }
    return nullptr;
  }

  // What fits the wishes best: the latest line of which something is meant.
  std::optional<size_t> LineFor(const std::vector<Wish>& wishes) const {
    const std::optional<size_t> last = LastLine();
    const auto fits = [&](size_t line) {
      const Dish* dish = lexicon_.Find(cart_[line].item_id);
      return dish != nullptr && absl::c_any_of(wishes, [&](const Wish& wish) {
               return !MatchCustomisation(dish->item, wish).empty();
             });
    };
    if (last.has_value() && fits(*last)) return last;
    for (size_t i = dialogue_.last.size(); i-- > 0;) {
      const std::optional<size_t> line = LineOf(dialogue_.last[i]);
      if (line.has_value() && fits(*line)) return line;
    }
    for (size_t i = cart_.size(); i-- > 0;) {
      if (fits(i)) return i;
    }
    return last;
  }

  void Modify(const std::vector<Wish>& wishes, std::optional<int64_t> quantity) {
    if (Wanted* now = AddedNow(); now != nullptr) {
      now->wishes.insert(now->wishes.end(), wishes.begin(), wishes.end());
      return;
    }
    Act act;
    act.kind = ActKind::kModify;
    Point(act, LineFor(wishes));
    act.what.wishes = wishes;
    act.what.quantity = quantity;
    // "actually no fries": what is to be left out is itself in the cart.
    for (const Wish& wish : wishes) {
      if (wish.polarity != Polarity::kWithout) continue;
      const Dish* dish = act.line.has_value() ? lexicon_.Find(cart_[*act.line].item_id) : nullptr;
      if (dish != nullptr && !MatchCustomisation(dish->item, wish).empty()) continue;
      const Words words = Split(wish.text);
      const std::optional<Mention> mention = lexicon_.Match(words, 0, true);
      if (!mention.has_value() || mention->end < words.size()) continue;
      const Wanted wanted = FromMention(words, *mention);
      if (!InCart(wanted)) continue;
      Act remove;
      remove.kind = ActKind::kRemove;
      PointAt(remove, wanted);
      out_.acts.push_back(std::move(remove));
      return;
    }
    if (act.not_in_cart && cart_.empty() && dialogue_.focus != 0) {
      // A wish for the dish that is only spoken of orders it.
      act.kind = ActKind::kAdd;
      act.not_in_cart = false;
      act.what.dishes = {dialogue_.focus};
      act.what.wide = act.what.dishes;
    }
    out_.acts.push_back(std::move(act));
  }

  // "no onions on the second one"
  void ModifyAt(int ordinal, const std::vector<size_t>& lines, const std::vector<Wish>& wishes) {
    Act act;
    act.kind = ActKind::kModify;
    std::optional<size_t> line = LineAt(ordinal, lines, wishes);
    const std::optional<size_t> only = LineFor(wishes);
    if (!line.has_value() && only.has_value() && cart_[*only].quantity > std::max(ordinal, 0)) {
      // The second of two on one line.
      line = only;
      act.what.quantity = 1;
    }
    const std::optional<int64_t> quantity = act.what.quantity;
    Point(act, line);
    act.what.wishes = wishes;
    act.what.quantity = quantity;
    out_.acts.push_back(std::move(act));
  }

  void ReadAdd(const Words& words, size_t begin, size_t end, bool corrects, bool meant, bool add_said) {
    Spoken spoken = ReadPhrase(words, begin, end, true);
    const std::string text = Join(words, begin, end);
    const bool removed =
        absl::c_any_of(out_.acts, [](const Act& act) { return act.kind == ActKind::kRemove; });
    const bool instead = ARC_HAS(text, "\\binstead\\b") && !removed;
    if (ReadEach(words, spoken)) return;
    if (spoken.dishes.empty()) {
      if (!spoken.loose.empty() && spoken.ordinal.has_value() && !cart_.empty() && AddedNow() == nullptr) {
        ModifyAt(*spoken.ordinal, AllLines(), spoken.loose);
        return;
      }
      if (!spoken.loose.empty()) {
        Modify(spoken.loose, spoken.of_them ? spoken.count : std::nullopt);
        return;
      }
      if (spoken.count.has_value()) {
        if (spoken.more) {
          if (LastExists()) AddLike(dialogue_.last.back(), spoken, spoken.count);
          return;
        }
        if (Wanted* now = AddedNow(); now != nullptr) {
          now->quantity = spoken.count;
          return;
        }
        // "I'll have two" after a question about a dish orders it.
        if (dialogue_.focus != 0 && dialogue_.last_change == "details" && !corrects) {
          Act& act = Push(ActKind::kAdd);
          act.what.dishes = {dialogue_.focus};
          act.what.wide = act.what.dishes;
          act.what.quantity = spoken.count;
          return;
        }
        const std::optional<size_t> line = LastLine();
        if (line.has_value()) {
          Act& act = Push(ActKind::kQuantity);
          Point(act, line);
          act.what.quantity = spoken.count;
          return;
        }
      }
      return;
    }
    // "add bacon", to what is there or comes with it.
    if (add_said && spoken.dishes.size() == 1 && spoken.dishes.front().guessed &&
        !spoken.dishes.front().article && !spoken.dishes.front().quantity.has_value() &&
        (AddedNow() != nullptr || !cart_.empty())) {
      Modify({{Polarity::kWith, spoken.dishes.front().phrase}}, std::nullopt);
      return;
    }
    if (spoken.dishes.size() == 1) {
      Wanted& only = spoken.dishes.front();
      // "one of the burgers without onions": of those in the cart.
      if (only.partitive && !only.wishes.empty() && InCart(only) && !only.more) {
        Act act;
        act.kind = ActKind::kModify;
        const std::optional<int64_t> quantity = only.quantity;
        PointAt(act, only);
        act.what.quantity = quantity;
        out_.acts.push_back(std::move(act));
        return;
      }
      if (only.pointed && InCart(only) && spoken.ordinal.has_value()) {
        ModifyAt(*spoken.ordinal, LinesOf(only), only.wishes);
        return;
      }
      if (only.pointed && InCart(only)) {
        Act act;
        act.kind = ActKind::kModify;
        PointAt(act, only);
        act.what.quantity.reset();
        out_.acts.push_back(std::move(act));
        return;
      }
      // "the burger without onions", of a burger that is in the cart.
      if (only.definite && !only.wishes.empty() && !only.quantity.has_value() && only.dishes.size() != 1 &&
          InCart(only) && !add_said) {
        Act act;
        act.kind = ActKind::kModify;
        PointAt(act, only);
        out_.acts.push_back(std::move(act));
        return;
      }
      const bool no_article = corrects && (meant || only.article || only.definite);
      const bool replaces =
          (meant || instead || (corrects && absl::StartsWith(text_, "no ") && no_article)) &&
          dialogue_.last_change != "remove" && !LastIsThis(only);
      if (replaces && LastLine().has_value() && AddedNow() == nullptr) {
        Act act;
        act.kind = ActKind::kReplace;
        Point(act, MostLike(only));
        act.with = only;
        out_.acts.push_back(std::move(act));
        return;
      }
      // "i meant two cokes" where there is one, "I only want one coke" where there are two.
      const bool limits = ARC_HAS(text_, "\\b(?:only|just one|no more than)\\b") && InCart(only) &&
                          only.quantity.has_value() && !only.more;
      if (((corrects && meant) || limits) && only.quantity.has_value() && InCart(only)) {
        Act act;
        act.kind = ActKind::kQuantity;
        const std::optional<int64_t> quantity = only.quantity;
        PointAt(act, only);
        act.what.quantity = quantity;
        out_.acts.push_back(std::move(act));
        return;
      }
    }
    for (Wanted& wanted : spoken.dishes) AddOne(std::move(wanted));
    if (!spoken.loose.empty()) {
      Wanted* now = AddedNow();
      if (now != nullptr) now->wishes.insert(now->wishes.begin(), spoken.loose.begin(), spoken.loose.end());
    }
  }

  bool LastIsThis(const Wanted& wanted) const {
    const std::optional<size_t> line = LastLine();
    return line.has_value() && wanted.dishes.size() == 1 && cart_[*line].item_id == wanted.dishes.front();
  }

  // Of what was changed last, the line that shares most with `wanted`: its category, a word of its name.
  std::optional<size_t> MostLike(const Wanted& wanted) const {
    std::optional<size_t> best = LastLine();
    int best_score = -1;
    const Dish* target = wanted.dishes.empty() ? nullptr : lexicon_.Find(wanted.dishes.front());
    if (target == nullptr) return best;
    for (const IntentItem& item : dialogue_.last) {
      const std::optional<size_t> line = LineOf(item);
      const Dish* dish = lexicon_.Find(item.item_id);
      if (!line.has_value() || dish == nullptr) continue;
      int score = dish->item.category == target->item.category ? 2 : 0;
      for (const std::string& a : menu::Tokenize(dish->item.name)) {
        for (const std::string& b : menu::Tokenize(target->item.name)) score += Alike(a, b) ? 1 : 0;
      }
      if (score >= best_score) {
        best_score = score;
        best = line;
      }
    }
    return best;
  }

  void ReadRemove(const Words& words, size_t begin, size_t end) {
    const Spoken spoken = ReadPhrase(words, begin, end, true);
    if (spoken.ordinal.has_value() && !cart_.empty()) {
      const auto size = static_cast<int>(cart_.size());
      const int at = *spoken.ordinal < 0 ? size - 1 : *spoken.ordinal;
      Act& act = Push(ActKind::kRemove);
      Point(act, at < size ? std::optional<size_t>(static_cast<size_t>(at)) : std::nullopt);
      return;
    }
    // "everything except the mocha"
    static const auto* const except = new RE2(
        "^(?:everything|all of (?:it|them)|all|it all|the (?:rest|others))(?: else)? "
        "(?:except|but|apart from|other than|besides|except for|but not|bar) (.+)$");
    std::string kept_text;
    if (RE2::FullMatch(Join(words, begin, end), *except, &kept_text)) {
      const Words kept_words = Split(kept_text);
      const Spoken kept = ReadPhrase(kept_words, 0, kept_words.size(), true);
      std::set<size_t> lines;
      for (const Wanted& wanted : kept.dishes) {
        const std::vector<size_t> of = LinesOf(wanted);
        lines.insert(of.begin(), of.end());
      }
      if (!lines.empty()) {
        for (size_t i = 0; i < cart_.size(); ++i) {
          if (lines.count(i) == 0) Point(Push(ActKind::kRemove), i);
        }
        return;
      }
    }
    // "the plain one", "the one without onions"
    if (spoken.dishes.empty() && spoken.the_one && !spoken.loose.empty()) {
      Act& act = Push(ActKind::kRemove);
      Point(act, LineDescribed(AllLines(), spoken.loose));
      return;
    }
    if (spoken.all && spoken.dishes.empty() && !spoken.pronoun) {
      Push(ActKind::kStartOver);
      return;
    }
    for (const Wanted& wanted : spoken.dishes) {
      Act act;
      act.kind = ActKind::kRemove;
      const std::optional<int64_t> quantity = wanted.quantity;
      PointAt(act, wanted);
      if (act.not_in_cart) {
        // "take off the onions": what is left out, not what is taken out.
        const std::vector<Wish> wishes = {{Polarity::kWithout, wanted.phrase}};
        const std::optional<size_t> line = LineFor(wishes);
        const Dish* dish = line.has_value() ? lexicon_.Find(cart_[*line].item_id) : nullptr;
        if (dish != nullptr &&
            (wanted.dishes.empty() || wanted.guessed || !MatchCustomisation(dish->item, wishes[0]).empty())) {
          act = Act{};
          act.kind = ActKind::kModify;
          Point(act, line);

          act.what.wishes = wishes;

          out_.acts.push_back(std::move(act));
          continue;
        }
        if (wanted.dishes.empty() && !wanted.phrase.empty()) act.what.phrase = wanted.phrase;
      }
      act.what.quantity = quantity;
      out_.acts.push_back(std::move(act));
    }
    if (!spoken.dishes.empty()) return;
    if (!spoken.loose.empty()) {
      std::vector<Wish> wishes;
      for (const Wish& wish : spoken.loose) wishes.push_back({Polarity::kWithout, wish.text});
      Modify(wishes, std::nullopt);
      return;
    }
    if (spoken.count.has_value() || spoken.pronoun || begin >= end || spoken.residue.empty()) {
      Act& act = Push(ActKind::kRemove);
      Point(act, LastLine());
      act.what.quantity = spoken.count;
    }
  }

  void ReadChange(const Words& words, size_t begin, size_t end) {
    const std::string text = Join(words, begin, end);
    for (size_t i = begin; i < end; ++i) {
      const std::string& word = words[i];
      if (word != "to" && word != "for" && word != "with" && word != "into" && word != "by") continue;
      const Spoken from = ReadPhrase(words, begin, i, true);
      const Spoken to = ReadPhrase(words, i + 1, end, true);
      // A swap that a dish offers.
      if (!to.residue.empty() || !to.dishes.empty() || !to.loose.empty()) {
        Words target_words(words.begin() + static_cast<std::ptrdiff_t>(i + 1),
                           words.begin() + static_cast<std::ptrdiff_t>(end));
        size_t on = 0;
        while (on < target_words.size() && target_words[on] != "on" && target_words[on] != "in" &&
               target_words[on] != "of")
          ++on;
        const std::string wanted = Join(target_words, 0, on);
        const std::string unwanted = Join(words, begin, i);
        for (size_t line = cart_.size(); line-- > 0;) {
          const Dish* dish = lexicon_.Find(cart_[line].item_id);
          const std::string name = dish == nullptr ? "" : MatchSwap(dish->item, wanted, unwanted);
          if (name.empty()) continue;
          if (on < target_words.size()) {
            const Spoken target = ReadPhrase(target_words, on + 1, target_words.size(), true);
            if (!target.dishes.empty() && !absl::c_linear_search(LinesOf(target.dishes.front()), line))
              continue;
          }
          Act& act = Push(ActKind::kModify);
          Point(act, line);
          act.what.wishes = {{Polarity::kPlain, menu::Fold(name)}};
          return;
        }
      }
      Act act;
      if (!from.dishes.empty()) {
        PointAt(act, from.dishes.front());
        // "one of the fries", "two burgers", "a cola": so many of the line.
        act.what.quantity = from.dishes.front().quantity;
      } else {
        Point(act, LastLine());
        act.what.quantity = from.count;  // "change one to a mocha"
      }
      if (!to.dishes.empty()) {
        act.kind = ActKind::kReplace;
        act.with = to.dishes.front();
      } else if (to.count.has_value()) {
        act.kind = ActKind::kQuantity;
        act.what.quantity = to.count;
      } else if (!to.loose.empty()) {
        act.kind = ActKind::kModify;
        act.what.wishes = to.loose;
        if (from.dishes.empty() || !from.dishes.front().partitive) act.what.quantity.reset();
      } else {
        continue;
      }
      out_.acts.push_back(std::move(act));
      return;
    }
    const Spoken spoken = ReadPhrase(words, begin, end, true);
    if (!spoken.loose.empty()) {
      Modify(spoken.loose, std::nullopt);
      return;
    }
    // "swap one of the fries" says nothing of what it is to become, nor does "change it".
    if (spoken.dishes.size() > 1 || (spoken.dishes.empty() && !spoken.pronoun)) return;
    Act act;
    act.kind = ActKind::kReplace;
    if (!spoken.dishes.empty()) {
      PointAtOne(act, spoken.dishes.front());
      act.what.quantity = spoken.dishes.front().quantity;
    } else {
      Point(act, LastLine());
      if (spoken.of_them) act.what.quantity = spoken.count;
    }
    out_.acts.push_back(std::move(act));
  }

  // "make it two each", "two of each"
  bool ReadEach(const Words& words, const Spoken& spoken) {
    if (!spoken.dishes.empty() || !spoken.count.has_value() || !absl::c_linear_search(words, "each") ||
        dialogue_.last.empty()) {
      return false;
    }
    for (const IntentItem& item : dialogue_.last) {
      Act act;
      act.kind = ActKind::kQuantity;
      Point(act, LineOf(item));
      act.what.quantity = spoken.count;
      out_.acts.push_back(std::move(act));
    }
    return true;
  }

  void ReadMake(const Words& words, size_t begin, size_t end) {
    const Spoken spoken = ReadPhrase(words, begin, end, true);
    const bool pronoun = spoken.pronoun || spoken.all;
    // "make the one without onions two"
    if (spoken.dishes.empty() && spoken.the_one && spoken.count.has_value() && !spoken.loose.empty()) {
      Act& act = Push(ActKind::kQuantity);
      Point(act, LineDescribed(AllLines(), spoken.loose));
      act.what.quantity = spoken.count;
      return;
    }
    if (ReadEach(words, spoken)) return;
    if (spoken.dishes.empty()) {
      if (!spoken.loose.empty()) {
        Modify(spoken.loose, spoken.of_them ? spoken.count : std::nullopt);
      } else if (spoken.count.has_value()) {
        if (Wanted* now = AddedNow(); now != nullptr) {
          now->quantity = spoken.count;
          return;
        }
        Act& act = Push(ActKind::kQuantity);
        Point(act, LastLine());
        act.what.quantity = spoken.count;
      }
      return;
    }
    const Wanted& dish = spoken.dishes.front();
    const bool in_cart = InCart(dish);
    Act act;
    if (in_cart && spoken.dishes.size() == 2 && (dish.partitive || dish.definite) && dish.wishes.empty() &&
        spoken.loose.empty()) {
      // "make one of the burgers a veggie burger"
      act.kind = ActKind::kReplace;
      PointAt(act, dish);
      act.what.quantity = dish.quantity;
      act.with = spoken.dishes.back();
    } else if (in_cart && dish.quantity.has_value() && !dish.article && dish.wishes.empty()) {
      act.kind = ActKind::kQuantity;
      const std::optional<int64_t> quantity = dish.quantity;
      PointAt(act, dish);
      act.what.quantity = quantity;
    } else if (in_cart && (!dish.wishes.empty() || !spoken.loose.empty())) {
      act.kind = ActKind::kModify;
      PointAt(act, dish);
      act.what.wishes.insert(act.what.wishes.end(), spoken.loose.begin(), spoken.loose.end());
      act.what.quantity = dish.partitive ? dish.quantity : std::nullopt;
    } else if (in_cart && spoken.count.has_value()) {
      act.kind = ActKind::kQuantity;
      PointAt(act, dish);
      act.what.quantity = spoken.count;
    } else if (pronoun || spoken.dishes.size() == 1) {
      if (Wanted* now = AddedNow(); now != nullptr && pronoun) {
        const std::optional<int64_t> quantity = now->quantity;
        *now = dish;
        if (!dish.quantity.has_value()) now->quantity = quantity;
        return;
      }
      const std::optional<size_t> line = LastLine();
      const std::vector<int64_t> combos =
          line.has_value() ? CombosWith(dish.dishes, {cart_[*line].item_id}) : std::vector<int64_t>{};
      if ((pronoun || words[begin - 1] == "upgrade") && spoken.dishes.size() == 1 && !combos.empty()) {
        // "make that a combo"
        act.kind = ActKind::kReplace;
        Point(act, line);
        act.with = dish;
        act.with.dishes = combos;
      } else if (pronoun && line.has_value() && spoken.dishes.size() == 1) {
        act.kind = ActKind::kReplace;
        Point(act, MostLike(dish));
        act.with = dish;
      } else {
        for (const Wanted& wanted : spoken.dishes) AddOne(wanted);
        return;
      }
    } else {
      for (const Wanted& wanted : spoken.dishes) AddOne(wanted);
      return;
    }
    out_.acts.push_back(std::move(act));
  }

  Words words_;
  std::string text_;
  const Lexicon& lexicon_;
  const Dialogue& dialogue_;
  const std::vector<OrderLine>& cart_;
  const Words& before_;

  Understanding out_;
  bool greeted_ = false;
  bool thanked_ = false;
  bool left_ = false;
  std::vector<Act> closing_;
  std::optional<size_t> described_;  // "the one without onions": what "it" means in this sentence
};

}  // namespace

std::optional<Understanding> UnderstandSmallTalk(const Words& words) {
  const std::string text = Join(words);
  Understanding out;
  Act act;
  if (Full(text, patterns::Greeting())) {
    act.kind = ActKind::kGreet;
  } else if (Full(text, patterns::Thanks()) && !absl::StartsWith(text, "no")) {
    act.kind = ActKind::kThanks;
  } else if (Full(text, patterns::Repeat())) {
    act.kind = ActKind::kRepeat;
  } else if (Full(text, patterns::Help())) {
    act.kind = ActKind::kHelp;
  } else {
    return std::nullopt;
  }
  out.acts.push_back(std::move(act));
  return out;
}

Understanding Understand(const Words& words, const Lexicon& lexicon, const Dialogue& dialogue,
                         const std::vector<messages::OrderLine>& cart, const Words& before) {
  return Parser(words, lexicon, dialogue, cart, before).Run();
}

ConstraintContext ConstraintContextOf(const Lexicon& lexicon, const Dialogue& dialogue, const Words& before) {
  ConstraintContext context;
  context.dish_length = [&lexicon](const Words& words, size_t at) -> size_t {
    const std::optional<Mention> mention = lexicon.Match(words, at, false);
    return mention.has_value() ? mention->end - mention->begin : 0;
  };
  context.asked = dialogue.pending.kind == PendingKind::kAllergy;
  context.before = before;
  return context;
}

}  // namespace arc::brain
