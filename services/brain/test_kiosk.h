// A kiosk inside one process, for tests and measurements of the brain: the real menu search, the real
// suggestions and the real session machine of the orchestrator, without a bus. What the brain answers is
// carried out as the orchestrator would, so that a conversation ends in the cart that a customer would get.
// Used by one thread.
#ifndef ARC_SERVICES_BRAIN_TEST_KIOSK_H_
#define ARC_SERVICES_BRAIN_TEST_KIOSK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock/clock.h"
#include "common/messages/brain.h"
#include "services/brain/brain.h"
#include "services/brain/tools.h"
#include "services/menu/search_index.h"
#include "services/orchestrator/session.h"
#include "services/recsys/suggest.h"

namespace arc::brain {

// The tools, answered in this process.
class LocalTools : public Tools {
 public:
  // `menu_file` is a restaurant's menu file. Ends the process when it is none.
  explicit LocalTools(const std::string& menu_file);

  absl::StatusOr<messages::ListResponse> List(const messages::ListRequest& request,
                                              absl::Duration timeout) override;
  absl::StatusOr<messages::SearchResponse> Search(const messages::SearchRequest& request,
                                                  absl::Duration timeout) override;
  std::vector<absl::StatusOr<messages::MenuItem>> Details(const std::vector<int64_t>& ids,
                                                          absl::Duration timeout) override;
  absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request,
                                                    absl::Duration timeout) override;
  absl::StatusOr<messages::SnapshotResponse> Snapshot(absl::Duration timeout) override;

  const menu::Catalogue& catalogue() const { return *catalogue_; }

  menu::UnavailableIds sold_out;
  std::optional<messages::SnapshotResponse> snapshot;           // none: the orchestrator cannot be reached
  std::function<absl::Status(absl::string_view)> fault;         // by tool; not OK: the call fails with it
  std::function<void(absl::string_view, absl::Duration)> hang;  // by tool; waits for as long, then it fails
  std::set<std::string> hung;                                   // the tools that hang
  std::vector<messages::SearchRequest> searches;                // as asked
  std::vector<messages::SuggestRequest> suggests;

 private:
  absl::Status Fail(const std::string& tool, absl::Duration timeout);

  std::shared_ptr<const menu::Catalogue> catalogue_;
  std::unique_ptr<menu::SearchIndex> index_;
  std::unique_ptr<recsys::Suggester> suggester_;
  recsys::Model model_;
};

// A conversation at one kiosk.
class TestKiosk {
 public:
  TestKiosk(const std::string& menu_file, BrainOptions options = {}, Model* model = nullptr);

  // Says it, carries the intents out, and keeps the dialogue for the next turn.
  Outcome Say(const std::string& text);
  // Carries intents out without the brain.
  void Apply(const std::vector<messages::Intent>& intents);
  void Touch(const messages::Touch& touch);

  messages::SnapshotResponse Snapshot() const { return orchestrator::SnapshotOf(state_); }
  const orchestrator::KioskState& state() const { return state_; }
  LocalTools& tools() { return tools_; }
  Brain& brain() { return brain_; }
  ManualClock& clock() { return clock_; }
  // Of the last turn; default before the first.
  const Dialogue& dialogue() const { return dialogue_; }
  // The request that Say() would make.
  messages::BrainRequest Request(const std::string& text);

  // As a new customer finds it: empty cart, no conversation.
  void Reset();

 private:
  void Step(orchestrator::InputBody body);

  ManualClock clock_;
  LocalTools tools_;
  Brain brain_;
  orchestrator::SessionMachine machine_;
  orchestrator::KioskState state_;
  orchestrator::MenuView menu_;
  Dialogue dialogue_;
  std::optional<json::Raw> dialogue_text_;
  std::vector<messages::PreviousTurn> turns_;
  int64_t next_request_ = 1;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_TEST_KIOSK_H_
