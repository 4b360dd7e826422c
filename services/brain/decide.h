// What is made of what was understood: intents, warnings, questions and the sentences about them.
#ifndef ARC_SERVICES_BRAIN_DECIDE_H_
#define ARC_SERVICES_BRAIN_DECIDE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/messages/brain.h"
#include "common/messages/menu.h"
#include "common/messages/ui.h"
#include "services/brain/cart.h"
#include "services/brain/dialogue.h"
#include "services/brain/lexicon.h"
#include "services/brain/model.h"
#include "services/brain/tools.h"
#include "services/brain/understanding.h"

namespace arc::brain {

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
  std::map<int64_t, absl::StatusOr<messages::MenuItem>> items;       // fresh
  std::map<std::string, std::vector<messages::SearchItem>> similar;  // by unknown phrase
  std::map<std::string, int64_t> matches;  // how many dishes fit, where `similar` has the first of them

  std::vector<messages::Intent> intents;
  std::vector<std::string> sentences;
  std::string question;  // last, after the sentences
  bool wants_recommendation = false;
  bool wants_offer = false;
  bool keep_pending = false;
  double confidence = 1;
};

// What is known of a dish: as it was answered now, else as the menu has it; nullptr when nothing is.
const messages::MenuItem* FactsOf(const Turn& turn, int64_t id);

// Why a dish, parts of a combo included, is against what the customer said; empty when it is not. `wishes`
// may leave out what is not on the list of allergens: "without onions", where the dish can be had so.
std::string ConflictOf(const Turn& turn, const messages::MenuItem& item,
                       const std::vector<Wish>& wishes = {});

// Adds allergens that no menu lists to those that hold from now on.
void KeepUnlisted(const std::vector<std::string>& names, Dialogue& dialogue);

// Whether allergens and customisations of a dish are known.
bool IsDetailed(const Turn& turn, int64_t id);

// Why what is put on a dish ("extra cheese") is against what the customer said; empty when it is not.
std::string ConflictOfWishes(const Turn& turn, const std::vector<Wish>& wishes);

// Why the customer must be asked whether he wants a dish with these wishes; empty when nothing speaks against
// it.
std::string ObjectionTo(const Turn& turn, const messages::MenuItem& item, const std::vector<Wish>& wishes);

// Under which Turn::similar has what a browsing `act` looks for.
std::string BrowseKey(const Act& act);

// Fills in intents, sentences, the question and the dialogue from what was understood. With `offer`,
// something may be offered with the first order. Blocks on nothing.
void Decide(Turn& turn, bool offer);

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_DECIDE_H_
