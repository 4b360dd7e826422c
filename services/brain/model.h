// A language model as the engine of understanding (openai_engine.h); the rules (understanding.h) answer where
// there is none or it fails.
#ifndef ARC_SERVICES_BRAIN_MODEL_H_
#define ARC_SERVICES_BRAIN_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/messages/brain.h"
#include "common/messages/ui.h"
#include "services/brain/dialogue.h"
#include "services/brain/lexicon.h"
#include "services/brain/tools.h"
#include "services/menu/catalogue.h"

namespace arc::brain {

// What a model may read: all of it comes from the customer or from tools, and goes into messages of theirs,
// never into the instructions.
struct ModelInput {
  const messages::BrainRequest* request = nullptr;
  const Dialogue* dialogue = nullptr;  // with the constraints named until now
  const Lexicon* lexicon = nullptr;
  const messages::SnapshotResponse* snapshot = nullptr;  // nullptr: not to be had
  absl::Time deadline;                                   // of everything, its tools included
};

struct ModelAnswer {
  std::string text;  // what it says to the customer
  std::vector<messages::Intent>
      intents;  // items by ids that its tools returned, modifiers by their exact names
  std::string model;
  int64_t tokens = 0;
  int64_t retries = 0;
};

struct ModelFailure {
  std::string error_type;  // timeout, refusal, bad_response, unknown_tool or unavailable
  std::string message;
  int64_t retries = 0;
};

struct ModelOutcome {
  std::optional<ModelAnswer> answer;  // one of the two is set
  std::optional<ModelFailure> failure;
  absl::Duration latency;  // in the model's server, without tools
};

// Thread-safe. Ask() blocks until the deadline at most.
class Model {
 public:
  virtual ~Model() = default;
  virtual ModelOutcome Ask(const ModelInput& input, ToolLog& tools, MenuCache& menu) = 0;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_MODEL_H_
