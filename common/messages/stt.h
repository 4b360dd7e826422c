// Messages of agent.stt.* (design, section 3.8). Flat JSON without an envelope. Requester: voice agent.
//
//   voice  --agent.stt.request (core request, queue group "stt")--> a worker, which replies SttAccepted
//   voice  --agent.stt.audio.<request_id>: frames, the last one empty with `End: true`--> that worker
//   worker --agent.stt.transcript: partial texts, then one that is final--> voice
//
// Audio frames are raw samples with the headers of common/subjects: Audio-Format, Seq, End.
#ifndef ARC_COMMON_MESSAGES_STT_H_
#define ARC_COMMON_MESSAGES_STT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/json/json.h"

namespace arc::messages {

// agent.stt.request: claims a worker for one utterance.
struct SttRequest {
  std::string request_id;  // a token of a subject: letters, digits, '-' and '_'
  std::string timestamp;
  std::string trace_id;
  std::string session_id;
  std::string room_name;
  std::string language = "en-US";  // BCP 47

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 100));
    v.Optional("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Optional("room_name", s.room_name, json::Range(0, 200));
    v.Optional("language", s.language, json::Range(0, 40));
  }
};

// The worker's reply: it listens on `audio_subject` from now on. A worker that has no room answers
// status "busy"; a request that cannot be handled is answered with an ErrorResponse (status "error").
struct SttAccepted {
  std::string request_id;
  std::string status;  // accepted or busy
  std::string worker_id;
  std::string engine;
  std::string audio_subject;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 100));
    v.Required("status", s.status, json::Range(1, 20));
    v.Optional("worker_id", s.worker_id, json::Range(0, 200));
    v.Optional("engine", s.engine, json::Range(0, 100));
    v.Optional("audio_subject", s.audio_subject, json::Range(0, 200));
  }
};

// agent.stt.transcript: the words so far, or all of them.
struct SttTranscript {
  std::string request_id;
  std::string timestamp;
  std::string trace_id;
  std::string session_id;
  std::string room_name;
  std::string text;                  // lower case words; empty when nothing was understood
  std::optional<double> confidence;  // 0 to 1; final texts only
  std::string language = "en-US";
  bool is_final = false;
  int64_t audio_ms = 0;    // of sound that the text covers
  int64_t latency_ms = 0;  // final: from the last frame to this text
  std::string engine;
  int64_t frames_lost = 0;  // gaps in Seq, in frames

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 100));
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Optional("room_name", s.room_name, json::Range(0, 200));
    v.Required("text", s.text, json::Range(0, 4000));
    v.Optional("confidence", s.confidence, json::Range(0, 1));
    v.Optional("language", s.language, json::Range(0, 40));
    v.Required("is_final", s.is_final);
    v.Optional("audio_ms", s.audio_ms, json::Range(0, 86400000));
    v.Optional("latency_ms", s.latency_ms, json::Range(0, 86400000));
    v.Optional("engine", s.engine, json::Range(0, 100));
    v.Optional("frames_lost", s.frames_lost, json::Range(0, 1000000));
  }
};

// agent.stt.error, agent.tts.error: a request of that family could not be carried out. The same shape as
// agent.brain.error (voice specification).
struct AgentError {
  std::string request_id;
  std::string timestamp;
  std::string trace_id;
  // timeout, engine_failed, invalid_request, overloaded, ...; stt: engine_refused when no worker will do
  // better
  std::string error_type;
  std::string error_message;
  int64_t retry_count = 0;
  std::optional<std::string> fallback_response;  // brain: what to say instead

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(0, 200));
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("error_type", s.error_type, json::Range(1, 64));
    v.Required("error_message", s.error_message, json::Range(0, 2000));
    v.Optional("retry_count", s.retry_count, json::Range(0, 1000));
    v.Optional("fallback_response", s.fallback_response, json::Range(0, 2000));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_STT_H_
