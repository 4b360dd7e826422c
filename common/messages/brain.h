// Messages of agent.brain.* (voice specification, "Agent Brain Service"). Flat JSON without an envelope.
// Requester: voice agent. The brain keeps nothing between requests: what it has to remember of a conversation
// comes back to it in `context.dialogue`. Errors are AgentError (stt.h) on agent.brain.error.
#ifndef ARC_COMMON_MESSAGES_BRAIN_H_
#define ARC_COMMON_MESSAGES_BRAIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/messages/voice.h"

namespace arc::messages {

struct PreviousTurn {
  std::string user;
  std::string agent;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("user", s.user, json::Range(0, 4000));
    v.Optional("agent", s.agent, json::Range(0, 4000));
  }
};

struct BrainContext {
  std::vector<PreviousTurn> previous_turns;  // oldest first
  std::optional<json::Raw> user_profile;     // an object
  std::string kiosk_id;                      // whose cart; empty: the default kiosk
  std::optional<json::Raw> dialogue;  // `dialogue` of the conversation's last response, unread by others
  // Of the kiosk's session, where there is no `dialogue` that knows them: hard constraints.
  std::vector<std::string> exclude_allergens;
  std::vector<std::string> dietary_filters;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("previous_turns", s.previous_turns, json::Range(0, 200));
    v.Optional("user_profile", s.user_profile);
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
    v.Optional("dialogue", s.dialogue);
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
  }
};

struct BrainConstraints {
  int64_t max_tokens = 150;
  double temperature = 0.7;
  int64_t timeout_ms = 2000;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("max_tokens", s.max_tokens, json::Range(1, 100000));
    v.Optional("temperature", s.temperature, json::Range(0, 2));
    v.Optional("timeout_ms", s.timeout_ms, json::Range(1, 600000));
  }
};

// Which turn of which conversation it is; the response repeats what the request said.
struct BrainTurn {
  std::string request_id;
  std::string trace_id;
  std::string user_id;
  std::string session_id;
  std::string conversation_id;
  int64_t turn_index = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 200));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Optional("user_id", s.user_id, json::Range(0, 200));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Optional("conversation_id", s.conversation_id, json::Range(0, 200));
    v.Optional("turn_index", s.turn_index, json::Range(0, 1000000));
  }
};

// agent.brain.request
struct BrainRequest : BrainTurn {
  std::string timestamp;
  std::string user_input;
  BrainContext context;
  BrainConstraints constraints;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    BrainTurn::Describe(s, v);
    v.Optional("timestamp", s.timestamp, json::Range(0, 64));
    v.Required("user_input", s.user_input, json::Range(0, 4000));
    v.Optional("context", s.context);
    v.Optional("constraints", s.constraints);
  }
};

struct BrainMetadata {
  std::string llm_model;  // "rules" for the rule graph
  int64_t tokens_used = 0;
  int64_t reasoning_steps = 0;            // nodes of the graph that ran
  std::vector<std::string> tools_called;  // subjects without kiosk.agent., such as "menu.search", in order
  double confidence_score = 0;            // 0 to 1

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("llm_model", s.llm_model, json::Range(0, 200));
    v.Required("tokens_used", s.tokens_used, json::Range(0, 1000000000));
    v.Required("reasoning_steps", s.reasoning_steps, json::Range(0, 1000000));
    v.Required("tools_called", s.tools_called, json::Range(0, 1000));
    v.Required("confidence_score", s.confidence_score, json::Range(0, 1));
  }
};

struct ToolSpan {
  std::string tool;
  int64_t start_ms = 0;  // since the request came
  int64_t latency_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("tool", s.tool, json::Range(0, 200));
    v.Required("start_ms", s.start_ms, json::Range(0, 86400000));
    v.Required("latency_ms", s.latency_ms, json::Range(0, 86400000));
  }
};

struct BrainPerformance {
  int64_t llm_latency_ms = 0;  // of understanding: the engine, without tools
  int64_t total_processing_ms = 0;
  std::vector<ToolSpan> tools;  // in the order of tools_called

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("llm_latency_ms", s.llm_latency_ms, json::Range(0, 86400000));
    v.Required("total_processing_ms", s.total_processing_ms, json::Range(0, 86400000));
    v.Optional("tools", s.tools, json::Range(0, 1000));
  }
};

// agent.brain.response, and the reply to a request that has a reply subject
struct BrainResponse : BrainTurn {
  std::string timestamp;
  std::string agent_response;
  BrainMetadata metadata;
  BrainPerformance performance;
  std::vector<Intent> intents;        // to be published as kiosk.voice.intent, in this order
  std::optional<json::Raw> dialogue;  // to be sent back with the next request of the conversation

  template <class S, class V>
  static void Describe(S& s, V& v) {
    BrainTurn::Describe(s, v);
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Required("agent_response", s.agent_response, json::Range(0, 4000));
    v.Required("metadata", s.metadata);
    v.Required("performance", s.performance);
    v.Optional("intents", s.intents, json::Range(0, 20));
    v.Optional("dialogue", s.dialogue);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_BRAIN_H_
