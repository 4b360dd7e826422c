// How well the brain understands: sentences with the intents, items and customisations that they mean, and
// whole conversations with the cart that they end in. Everything but the bus is real: menu search,
// suggestions, and the orchestrator's session machine that carries out what was understood.
//
//   brain_evaluate [--sentences FILE] [--conversations FILE] [--verbose]
//   brain_evaluate --chat
//
// Prints, apart: intents (the sequence of intent types must be right), slots (each item with its quantity,
// each allergen and diet; what was not said but understood counts as wrong), customisations (each modifier
// and note, likewise), and the time that a turn takes. With --chat each line of stdin is said to the brain,
// which answers, and the cart is shown; an empty line brings the next customer.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/json/json.h"
#include "services/brain/answer.h"
#include "services/brain/test_kiosk.h"
#include "services/menu/text_analysis.h"

ABSL_FLAG(std::string, menu, "deploy/demo/menu.json", "menu file");
ABSL_FLAG(std::string, sentences, "tests/bench/brain/held_out.jsonl", "sentences; empty: none");
ABSL_FLAG(std::string, conversations, "tests/bench/brain/conversations.jsonl", "conversations; empty: none");
ABSL_FLAG(bool, verbose, false, "print what was understood of each sentence, not only of the wrong ones");

ABSL_FLAG(bool, chat, false, "talk with the brain on stdin instead");

namespace arc::brain {
namespace {

struct Item {
  std::string name;
  int64_t quantity = 1;
  std::vector<std::string> modifiers;
  std::string note;  // words that the note must contain

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Optional("quantity", s.quantity);
    v.Optional("modifiers", s.modifiers);
    v.Optional("note", s.note);
  }
};

struct Expected {
  messages::IntentType intent = messages::IntentType::kUnknown;
  std::vector<Item> items;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("intent", s.intent);
    v.Optional("items", s.items);
  }
};

struct Sentence {
  std::string id;
  std::vector<std::string> before;
  std::string said;
  std::vector<Expected> expect;
  std::vector<std::string> exclude_allergens;
  std::vector<std::string> dietary_filters;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Optional("before", s.before);
    v.Required("said", s.said);
    v.Required("expect", s.expect);
    v.Optional("exclude_allergens", s.exclude_allergens);
    v.Optional("dietary_filters", s.dietary_filters);
  }
};

struct Conversation {
  std::string id;
  std::vector<std::string> turns;
  std::vector<Item> cart;
  std::string state;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("id", s.id);
    v.Required("turns", s.turns);
    v.Required("cart", s.cart);
    v.Optional("state", s.state);
  }
};

struct Score {
  int right = 0;
  int of = 0;
  void Add(bool ok) {
    ++of;
    right += ok ? 1 : 0;
  }
  std::string Text() const {
    return absl::StrCat(right, " of ", of, " (", of == 0 ? 0 : (1000 * right + of / 2) / of / 10, ".",
                        of == 0 ? 0 : (1000 * right + of / 2) / of % 10, " %)");
  }
};

template <class T>
std::vector<T> ReadLines(const std::string& path) {
  std::vector<T> lines;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty()) continue;
    absl::StatusOr<T> value = json::Decode<T>(line);
    if (!value.ok()) {
      std::fprintf(stderr, "%s: %s\n%s\n", path.c_str(), std::string(value.status().message()).c_str(),
                   line.c_str());
      std::exit(2);
    }
    lines.push_back(*std::move(value));
  }
  return lines;
}

std::string TypeName(messages::IntentType type) {
  return std::string(EnumNames(type)[static_cast<size_t>(type)]);
}

std::string Text(const std::string& name, int64_t quantity, const std::vector<std::string>& modifiers,
                 const std::string& note) {
  std::string text = absl::StrCat(quantity, " ", name);
  if (!modifiers.empty()) absl::StrAppend(&text, " [", absl::StrJoin(modifiers, "/"), "]");
  if (!note.empty()) absl::StrAppend(&text, " {", note, "}");
  return text;
}

std::string Text(const std::vector<messages::Intent>& intents) {
  std::vector<std::string> parts;
  for (const messages::Intent& intent : intents) {
    std::vector<std::string> items;
    for (const messages::IntentItem& item : intent.entities.items) {
      items.push_back(Text(item.name, item.quantity, item.modifiers, item.note.value_or("")));
    }
    std::string part = TypeName(intent.intent_type);
    if (!items.empty()) absl::StrAppend(&part, ": ", absl::StrJoin(items, ", "));
    parts.push_back(std::move(part));
  }
  return absl::StrJoin(parts, " | ");
}

std::string Text(const std::vector<Expected>& intents) {
  std::vector<std::string> parts;
  for (const Expected& intent : intents) {
    std::vector<std::string> items;
    for (const Item& item : intent.items)
      items.push_back(Text(item.name, item.quantity, item.modifiers, item.note));
    std::string part = TypeName(intent.intent);
    if (!items.empty()) absl::StrAppend(&part, ": ", absl::StrJoin(items, ", "));
    parts.push_back(std::move(part));
  }
  return absl::StrJoin(parts, " | ");
}

bool HasItems(messages::IntentType type) {
  using messages::IntentType;
  return type == IntentType::kAddToCart || type == IntentType::kRemoveFromCart ||
         type == IntentType::kUpdateQuantity || type == IntentType::kModifyItem ||
         type == IntentType::kItemDetails;
}

// Whether customisations are the point: a removal names its line by other means too.
bool HasWishes(messages::IntentType type) {
  return type == messages::IntentType::kAddToCart || type == messages::IntentType::kModifyItem;
}

struct Totals {
  Score sentences;
  Score intents;
  Score slots;
  Score customisations;
  std::vector<double> times_ms;
};

bool NoteFits(const std::string& wanted, const std::string& note) {
  return absl::StrContains(menu::Fold(note), menu::Fold(wanted));
}

// Compares one sentence; false when anything is wrong.
bool Judge(const Sentence& sentence, const messages::BrainResponse& response, const Dialogue& dialogue,
           Totals& totals) {
  std::vector<messages::IntentType> types;
  for (const messages::Intent& intent : response.intents) types.push_back(intent.intent_type);
  std::vector<messages::IntentType> wanted_types;
  for (const Expected& expected : sentence.expect) wanted_types.push_back(expected.intent);
  const bool intents_right = types == wanted_types;
  totals.intents.Add(intents_right);
  bool right = intents_right;

  std::vector<bool> used;
  struct Got {
    messages::IntentType type;
    const messages::IntentItem* item;
    bool used = false;
  };
  std::vector<Got> got;
  for (const messages::Intent& intent : response.intents) {
    if (!HasItems(intent.intent_type)) continue;
    for (const messages::IntentItem& item : intent.entities.items) got.push_back({intent.intent_type, &item});
  }
  for (const Expected& expected : sentence.expect) {
    for (const Item& item : expected.items) {
      // The best fit among what was understood, so that two lines of one dish are not confused.
      Got* best = nullptr;
      int best_fit = -1;
      for (Got& candidate : got) {
        if (candidate.used || candidate.type != expected.intent || candidate.item->name != item.name)
          continue;
        int fit = candidate.item->quantity == item.quantity ? 2 : 0;
        fit += candidate.item->modifiers.size() == item.modifiers.size() ? 1 : 0;
        if (fit > best_fit) {
          best_fit = fit;
          best = &candidate;
        }
      }
      const bool counted = expected.intent != messages::IntentType::kModifyItem &&
                           expected.intent != messages::IntentType::kItemDetails;
      const bool slot = best != nullptr && (!counted || best->item->quantity == item.quantity);
      totals.slots.Add(slot);
      right &= slot;
      if (best != nullptr) best->used = true;
      if (!HasWishes(expected.intent)) continue;
      for (const std::string& modifier : item.modifiers) {
        const bool ok = best != nullptr && absl::c_linear_search(best->item->modifiers, modifier);
        totals.customisations.Add(ok);
        right &= ok;
      }
      if (!item.note.empty()) {
        const bool ok = best != nullptr && NoteFits(item.note, best->item->note.value_or(""));
        totals.customisations.Add(ok);
        right &= ok;
      }
      if (best == nullptr) continue;
      for (const std::string& modifier : best->item->modifiers) {
        if (!absl::c_linear_search(item.modifiers, modifier)) {
          totals.customisations.Add(false);
          right = false;
        }
      }
      if (item.note.empty() && !best->item->note.value_or("").empty()) {
        totals.customisations.Add(false);
        right = false;
      }
    }
  }
  for (const Got& candidate : got) {
    if (candidate.used) continue;
    totals.slots.Add(false);
    right = false;
  }
  for (const auto& [wanted, heard] :
       {std::make_pair(&sentence.exclude_allergens, &dialogue.exclude_allergens),
        std::make_pair(&sentence.dietary_filters, &dialogue.dietary_filters)}) {
    for (const std::string& name : *wanted) {
      const bool ok = absl::c_linear_search(*heard, name);
      totals.slots.Add(ok);
      right &= ok;
    }
    for (const std::string& name : *heard) {
      // "nuts" brings peanuts and "shellfish" molluscs with it: on the safe side, and documented.
      if (absl::c_linear_search(*wanted, name) || name == "peanuts" || name == "molluscs") continue;
      totals.slots.Add(false);
      right = false;
    }
  }
  totals.sentences.Add(right);
  return right;
}

std::string CartText(const messages::SnapshotResponse& snapshot) {
  std::vector<std::string> lines;
  for (const messages::OrderLine& line : snapshot.cart.lines) {
    lines.push_back(Text(line.name, line.quantity, line.customizations, line.note.value_or("")));
  }
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, ", ");
}

std::string CartText(const std::vector<Item>& items) {
  std::vector<std::string> lines;
  for (const Item& item : items) {
    std::vector<std::string> modifiers = item.modifiers;
    lines.push_back(Text(item.name, item.quantity, modifiers, item.note));
  }
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, ", ");
}

// The order of customisations is the menu's in a cart, whatever the order in which they were said.
std::vector<Item> InMenuOrder(std::vector<Item> items, const menu::Catalogue& catalogue) {
  for (Item& item : items) {
    for (const messages::MenuItem& facts : catalogue.items()) {
      if (facts.name != item.name) continue;
      std::vector<std::string> ordered;
      for (const messages::Customization& customization : facts.customizations) {
        if (absl::c_linear_search(item.modifiers, customization.name)) ordered.push_back(customization.name);
      }
      item.modifiers = ordered;
    }
  }
  return items;
}

double Percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(p * static_cast<double>(values.size() - 1))];
}

void Chat() {
  TestKiosk kiosk(absl::GetFlag(FLAGS_menu));
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) {
      kiosk.Reset();
      std::printf("\n");
      continue;
    }
    const Outcome outcome = kiosk.Say(line);
    std::vector<std::string> cart;
    for (const messages::OrderLine& ordered : kiosk.Snapshot().cart.lines) {
      messages::IntentItem item;
      item.name = ordered.name;
      item.quantity = ordered.quantity;
      item.modifiers = ordered.customizations;
      item.note = ordered.note;
      cart.push_back(SayItem(item));
    }
    std::printf("> %s\n  %s\n  [%s]\n", line.c_str(),
                outcome.response.has_value() ? outcome.response->agent_response.c_str() : "no answer",
                absl::StrJoin(cart, "; ").c_str());
  }
}

int Run() {
  if (absl::GetFlag(FLAGS_chat)) {
    Chat();
    return 0;
  }
  TestKiosk kiosk(absl::GetFlag(FLAGS_menu));
  Totals totals;
  const auto say = [&](const std::string& text) {
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome = kiosk.Say(text);
    totals.times_ms.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    return outcome;
  };
  if (!absl::GetFlag(FLAGS_sentences).empty()) {
    for (const Sentence& sentence : ReadLines<Sentence>(absl::GetFlag(FLAGS_sentences))) {
      kiosk.Reset();
      for (const std::string& text : sentence.before) say(text);
      const Outcome outcome = say(sentence.said);
      if (!outcome.response.has_value()) {
        std::printf("%s: no response\n", sentence.id.c_str());
        continue;
      }
      const bool right = Judge(sentence, *outcome.response, kiosk.dialogue(), totals);
      if (right && !absl::GetFlag(FLAGS_verbose)) continue;
      std::printf("%s %s%s\"%s\"\n    wanted: %s\n    got:    %s\n    says:   %s\n", sentence.id.c_str(),
                  right ? "ok " : "",
                  sentence.before.empty()
                      ? ""
                      : absl::StrCat("(", absl::StrJoin(sentence.before, " / "), ") ").c_str(),
                  sentence.said.c_str(), Text(sentence.expect).c_str(),
                  Text(outcome.response->intents).c_str(), outcome.response->agent_response.c_str());
    }
  }
  Score conversations;
  if (!absl::GetFlag(FLAGS_conversations).empty()) {
    for (const Conversation& conversation : ReadLines<Conversation>(absl::GetFlag(FLAGS_conversations))) {
      kiosk.Reset();
      std::vector<std::string> log;
      for (const std::string& text : conversation.turns) {
        const Outcome outcome = say(text);
        log.push_back(
            absl::StrCat("    > ", text, "\n      ",
                         outcome.response.has_value() ? outcome.response->agent_response : "(error)",
                         "\n      ", outcome.response.has_value() ? Text(outcome.response->intents) : ""));
      }
      const std::string cart = CartText(kiosk.Snapshot());
      const std::string wanted = CartText(InMenuOrder(conversation.cart, kiosk.tools().catalogue()));
      const bool state_right = conversation.state.empty() || kiosk.Snapshot().state == conversation.state;
      const bool right = cart == wanted && state_right;
      conversations.Add(right);
      if (right && !absl::GetFlag(FLAGS_verbose)) continue;
      std::printf("%s %s\n%s\n    wanted: %s (%s)\n    got:    %s (%s)\n", conversation.id.c_str(),
                  right ? "ok" : "", absl::StrJoin(log, "\n").c_str(), wanted.c_str(),
                  conversation.state.c_str(), cart.c_str(), kiosk.Snapshot().state.c_str());
    }
  }
  std::printf("intents         %s\n", totals.intents.Text().c_str());
  std::printf("slots           %s\n", totals.slots.Text().c_str());
  std::printf("customisations  %s\n", totals.customisations.Text().c_str());
  std::printf("whole sentences %s\n", totals.sentences.Text().c_str());
  std::printf("conversations   %s\n", conversations.Text().c_str());
  std::printf("a turn without the bus: p50 %.2f ms, p99 %.2f ms\n", Percentile(totals.times_ms, 0.5),
              Percentile(totals.times_ms, 0.99));
  return 0;
}

}  // namespace
}  // namespace arc::brain

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return arc::brain::Run();
}
