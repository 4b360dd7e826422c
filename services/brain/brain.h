// The reasoning of one turn (voice specification, "Agent Brain Service"): from what the customer said to an
// answer and to the intents that the orchestrator acts upon, along a graph whose nodes and edges are data
// (Brain::graph()). Knows no NATS: other agents are reached through Tools, the time comes from a Clock.
#ifndef ARC_SERVICES_BRAIN_BRAIN_H_
#define ARC_SERVICES_BRAIN_BRAIN_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/messages/brain.h"
#include "common/messages/stt.h"
#include "services/brain/dialogue.h"
#include "services/brain/graph.h"
#include "services/brain/model.h"
#include "services/brain/tools.h"

namespace arc::brain {

struct Turn;  // the graph's state, in decide.h

// What one request came to. A failed engine gives both: the error, and the rules' answer.
struct Outcome {
  std::optional<messages::AgentError> error;
  std::optional<messages::BrainResponse> response;
  std::vector<std::string> path;  // names of the nodes that ran
  absl::Duration took;            // all of it
  absl::Duration engine_took;     // understanding, without tools
};

struct BrainOptions {
  bool offer = true;  // offer something with the first order
  MenuCache::Options menu;
};

// Thread-safe; each Handle() runs on its caller's thread, which it blocks while tools and the model work.
class Brain {
 public:
  // `model` may be null: then the rules are the engine. Both must outlive this.
  Brain(Clock& clock, Model* model, BrainOptions options = {});
  ~Brain();

  // Always gives an error or a response, at most a little after the request's timeout_ms.
  Outcome Handle(const messages::BrainRequest& request, Tools& tools);

  // The graph in the language of Graphviz.
  std::string GraphDot() const;
  const Graph<Turn>& graph() const { return graph_; }

 private:
  void Build();

  Clock& clock_;
  Model* const model_;
  const BrainOptions options_;
  MenuCache menu_;
  Graph<Turn> graph_;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_BRAIN_H_
