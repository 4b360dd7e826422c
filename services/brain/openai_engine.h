// A model behind any server of /v1/chat/completions with tool calls, as the engine of understanding.
//
// What it may do: menu_search, menu_details, recsys_suggest, view_cart, and `act`, whose arguments are the
// intents. What it may not: name an item that none of its tools has returned (dropped, and it is told so),
// outlive the deadline, exceed max_tokens a completion. The instructions are constant; what the customer says
// and what the menu says stands only in messages of the user and of tools.
#ifndef ARC_SERVICES_BRAIN_OPENAI_ENGINE_H_
#define ARC_SERVICES_BRAIN_OPENAI_ENGINE_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/brain/model.h"

namespace arc::brain {

struct OpenAiOptions {
  std::string url;  // scheme, host, port, and perhaps a path
  std::string model;
  std::string api_key_file;  // empty: no key is sent
  int max_retries = 2;       // of one turn, whatever went wrong
  int max_rounds = 6;        // completions of one turn, tool calls between them
};

// Thread-safe: each Ask() has a connection of its own.
class OpenAiEngine : public Model {
 public:
  // InvalidArgument for a URL or an empty model name that cannot work; NotFound for a key file that cannot be
  // read.
  static absl::StatusOr<std::unique_ptr<OpenAiEngine>> Create(const OpenAiOptions& options);

  ModelOutcome Ask(const ModelInput& input, ToolLog& tools, MenuCache& menu) override;

  // Whether the server answers at all. Blocks for at most 2 s.
  absl::Status Probe();
  // OK once the server has answered anything. After that the rules stand in for it, so that an engine that is
  // gone for a while does not take the agent out of service.
  absl::Status Health() const;

 private:
  struct Reply;
  class Turn;

  explicit OpenAiEngine(OpenAiOptions options) : options_(std::move(options)) {}

  OpenAiOptions options_;
  std::string server_;  // scheme://host:port
  std::string path_;    // /v1
  std::string api_key_;
  std::atomic<bool> reached_{false};  // ever
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_OPENAI_ENGINE_H_
