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
#include "common/trace/trace.h"
#include "services/brain/answer.h"
#include "services/brain/constraints.h"
#include "services/brain/decide.h"
#include "services/brain/understanding.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::brain {

using messages::Intent;
using messages::IntentItem;
using messages::IntentType;
using messages::MenuItem;

namespace {

constexpr char kFallback[] = "I'm having trouble with that right now. Could you say it again?";

// What was said about health and faith comes back in the dialogue, and from the orchestrator's session too,
// so that it holds when a dialogue is lost. Names that no menu knows would fail every search.
template <class Source>
void KeepConstraints(const Source& source, Dialogue& dialogue) {
  const auto merge = [](const std::vector<std::string>& more, auto known, std::vector<std::string>& names) {
    std::vector<std::string> kept;
    for (const std::vector<std::string>* from : {&std::as_const(names), &more}) {
      for (const std::string& name : *from) {
        if (known(name).has_value() && !absl::c_linear_search(kept, name)) kept.push_back(name);
      }
    }
    names = std::move(kept);
  };
  merge(source.exclude_allergens, menu::AllergenBits, dialogue.exclude_allergens);
  merge(source.dietary_filters, menu::DietaryBit, dialogue.dietary_filters);
  if (dialogue.exclude_allergens.size() > 40) dialogue.exclude_allergens.resize(40);
  if (dialogue.dietary_filters.size() > 20) dialogue.dietary_filters.resize(20);
}

// Nodes.

void Listen(Turn& turn) {
  turn.words = Normalise(turn.request->user_input);
  if (turn.request->context.dialogue.has_value()) {
    absl::StatusOr<Dialogue> dialogue = json::Decode<Dialogue>(turn.request->context.dialogue->text);
    if (dialogue.ok()) turn.dialogue = *std::move(dialogue);
  }
  KeepConstraints(turn.request->context, turn.dialogue);
  if (turn.words.empty()) {
    // "hmm", "ha ha" and silence.
    turn.understood.acts.emplace_back();
    turn.understood.acts.back().kind = ActKind::kFiller;
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
    KeepConstraints(*turn.snapshot, turn.dialogue);
    // What was said to somebody else at this kiosk is over.
    if (turn.snapshot->state == "attract") {
      turn.dialogue.last.clear();
      turn.dialogue.others.clear();
    }
  }
}

Words SaidBefore(const Turn& turn) {
  const auto& turns = turn.request->context.previous_turns;
  return turns.empty() ? Words{} : Normalise(turns.back().user);
}

void UnderstandNode(Turn& turn) {
  turn.understood = Understand(turn.words, *turn.lexicon, turn.dialogue, turn.lines, SaidBefore(turn));
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
        if (act.category.empty()) turn.matches[BrowseKey(act)] = found->total_matches;
        for (messages::SearchItem& item : found->items) {
          const Dish* dish = turn.lexicon->Find(item.id);
          if (!act.category.empty() && (dish == nullptr || dish->item.category != act.category)) continue;
          items.push_back(std::move(item));
        }
      }
      turn.similar[BrowseKey(act)] = std::move(items);
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
  Constraints constraints =
      TakeConstraints(words, ConstraintContextOf(*turn.lexicon, turn.dialogue, SaidBefore(turn)));
  Dialogue dialogue = turn.dialogue;
  for (const std::string& name : constraints.exclude_allergens) {
    if (!absl::c_linear_search(dialogue.exclude_allergens, name)) dialogue.exclude_allergens.push_back(name);
  }
  for (const std::string& name : constraints.dietary_filters) {
    if (!absl::c_linear_search(dialogue.dietary_filters, name)) dialogue.dietary_filters.push_back(name);
  }
  KeepUnlisted(constraints.unknown_allergens, dialogue);
  ModelInput input;
  input.request = turn.request;
  input.dialogue = &dialogue;
  input.lexicon = turn.lexicon.get();
  input.snapshot = turn.snapshot.has_value() ? &*turn.snapshot : nullptr;
  // What the rules need, should the model fail.
  const absl::Duration whole = absl::Milliseconds(turn.request->constraints.timeout_ms);
  input.deadline = turn.tools->deadline() - std::min(absl::Milliseconds(250), whole / 4);
  // What the model's tools do is a part of it.
  trace::Span tracing("engine openai", trace::SpanKind::kInternal);
  ModelOutcome outcome;
  {
    const trace::Scope scope(tracing.context());
    outcome = model.Ask(input, *turn.tools, menu);
  }
  if (!outcome.answer.has_value()) tracing.SetStatus(absl::UnknownError("no answer"));
  tracing.End();
  turn.engine_latency += outcome.latency;
  if (outcome.answer.has_value()) {
    turn.dialogue.exclude_allergens = dialogue.exclude_allergens;
    turn.dialogue.dietary_filters = dialogue.dietary_filters;
    turn.dialogue.unlisted_allergens = dialogue.unlisted_allergens;
    turn.model_answer = std::move(outcome.answer);
  } else {
    turn.model_failure = std::move(outcome.failure);
    if (!turn.model_failure.has_value()) turn.model_failure = ModelFailure{"bad_response", "no answer", 0};
  }
}

// Modifiers and note of an item as what was wished for.
std::vector<Wish> WishesOf(const IntentItem& item) {
  std::vector<std::string> texts = item.modifiers;
  if (item.note.has_value()) texts.push_back(*item.note);
  std::vector<Wish> wishes;
  for (const std::string& text : texts) {
    const std::string folded = menu::Fold(text);
    if (absl::StartsWith(folded, "no ") || absl::StartsWith(folded, "without ")) continue;
    wishes.push_back({Polarity::kWith, folded.substr(0, 200)});
  }
  return wishes;
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
        const MenuItem* facts = FactsOf(turn, item.item_id);
        const std::string conflict = facts == nullptr ? "" : ObjectionTo(turn, *facts, WishesOf(item));
        const bool agreed = turn.dialogue.pending.kind == PendingKind::kWarning &&
                            absl::c_any_of(turn.dialogue.pending.held, [&](const IntentItem& other) {
                              return other.item_id == item.item_id;
                            });
        if (!conflict.empty() && !agreed) {
          warnings.push_back(absl::StrCat("The ", item.name, " ", conflict));
          held.push_back(std::move(item));
        } else {
          last.push_back(item);
          kept.push_back(std::move(item));
        }
      }
      intent.entities.items = std::move(kept);
      if (intent.entities.items.empty()) continue;
    }
    if (intent.intent_type == IntentType::kModifyItem) {
      std::vector<IntentItem> kept;
      for (IntentItem& item : intent.entities.items) {
        const std::string conflict = ConflictOfWishes(turn, WishesOf(item));
        if (conflict.empty()) {
          kept.push_back(std::move(item));
        } else {
          warnings.push_back(absl::StrCat("The ", item.name, " ", conflict, ", so I left it as it was"));
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
  } else if (!warnings.empty()) {
    turn.sentences = std::move(warnings);
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
  const size_t wanted = turn.wants_recommendation ? 2 : 1;
  // Of what no menu lists the suggestions know nothing.
  const bool sift = !turn.dialogue.unlisted_allergens.empty();
  absl::StatusOr<messages::SuggestResponse> answer =
      turn.tools->Suggest(SuggestFor(turn, static_cast<int64_t>(sift ? wanted + 6 : wanted)));
  if (answer.ok() && sift) {
    std::vector<messages::Suggestion>& all = answer->suggestions;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const messages::Suggestion& suggestion) {
                               const MenuItem* facts = FactsOf(turn, suggestion.item_id);
                               return facts == nullptr || !ObjectionTo(turn, *facts, {}).empty();
                             }),
              all.end());
    if (all.size() > wanted) all.resize(wanted);
  }
  const bool any = answer.ok() && !answer->suggestions.empty();
  // " for $4.49"; nothing when neither the suggestion nor the menu says what it costs.
  const auto price = [&](const messages::Suggestion& suggestion) -> std::string {
    const Dish* dish = turn.lexicon->Find(suggestion.item_id);
    if (!suggestion.price.has_value() && dish == nullptr) return "";
    const Decimal cost = suggestion.price.has_value() ? *suggestion.price : dish->item.price;
    const int exponent = turn.lexicon->exponent();
    return absl::StrCat(" for ",
                        SayPrice(cost.ToMinor(exponent).value_or(0), turn.lexicon->currency(), exponent));
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
      const bool combo = suggestion.reason == messages::kReasonCombo;
      names.push_back(
          absl::StrCat("the ", suggestion.name, price(suggestion), combo ? " in place of its parts" : ""));
      pending.candidates.push_back(suggestion.item_id);
      if (combo) pending.trade_ins.push_back(suggestion.item_id);
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
  if (suggestion.reason == messages::kReasonCombo) {
    pending.trade_ins = pending.candidates;
    turn.dialogue.pending = std::move(pending);
    turn.question =
        absl::StrCat("Anything else? Perhaps the ", suggestion.name, " instead? ", suggestion.pitch);
    return;
  }
  turn.dialogue.pending = std::move(pending);
  turn.question =
      absl::StrCat("Anything else? Perhaps ", Plural(suggestion.name) == suggestion.name ? "" : "the ",
                   suggestion.name, price(suggestion), "?");
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
    const trace::Span tracing("engine rules", trace::SpanKind::kInternal);
    UnderstandNode(turn);
    if (model_ == nullptr) turn.engine_latency += clock_.Now() - begin;
  });
  graph_.AddNode("search", "words that no dish is called by",
                 [this](Turn& turn) { SearchNode(turn, menu_); });
  graph_.AddNode("inspect", "dishes as they are now", [this](Turn& turn) { Inspect(turn, menu_); });
  graph_.AddNode("decide", "intents, warnings, questions",
                 [this](Turn& turn) { Decide(turn, options_.offer); });
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
  static_cast<messages::BrainTurn&>(response) = request;
  response.timestamp = FormatTimestamp(clock_.Now());
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
