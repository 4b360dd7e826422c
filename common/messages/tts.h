// Messages of agent.tts.* (voice specification, "Text-to-Speech Service"; agent.tts.audio and .cancel are the
// design's, section 3.8). Flat JSON without an envelope. Requester: voice agent.
//
//   voice --agent.tts.request (queue group "tts")--> a worker
//   worker --agent.tts.audio.<target_room>: frames; the last one empty with `End: true`--> voice, screen
//   worker --agent.tts.completed, or agent.tts.error (AgentError, stt.h)--> voice
//   voice --agent.tts.cancel--> every worker
//
// Headers of a frame: Request-Id, Turn, Seq (from 0), Audio-Format, and End on the last.
#ifndef ARC_COMMON_MESSAGES_TTS_H_
#define ARC_COMMON_MESSAGES_TTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/json/json.h"

namespace arc::messages {

struct TtsConstraints {
  int64_t max_latency_ms = 500;  // until the first audio; 0: none
  std::string format = "pcm";    // pcm or opus
  int64_t sample_rate = 16000;   // Hz

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("max_latency_ms", s.max_latency_ms, json::Range(0, 600000));
    v.Optional("format", s.format, json::Range(1, 20));
    v.Optional("sample_rate", s.sample_rate, json::Range(8000, 48000));
  }
};

// agent.tts.request
struct TtsRequest {
  std::string request_id;
  std::string timestamp;
  std::string trace_id;
  std::string text;
  std::string voice_id;  // empty: the engine's own; unknown: the nearest
  std::string session_id;
  std::string target_room;
  TtsConstraints constraints;
  int64_t turn_index = 0;  // header Turn of the frames

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 200));
    v.Optional("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("text", s.text, json::Range(1, 4000));
    v.Optional("voice_id", s.voice_id, json::Range(0, 100));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Required("target_room", s.target_room, json::Range(1, 200));
    v.Optional("constraints", s.constraints);
    v.Optional("turn_index", s.turn_index, json::Range(0, 1000000));
  }
};

// agent.tts.completed: all audio has been published.
struct TtsCompleted {
  std::string request_id;
  std::string timestamp;
  std::string trace_id;
  std::optional<std::string> audio_track_sid;  // a LiveKit track's; null: the audio is on the bus only
  int64_t duration_ms = 0;                     // of the audio that was published
  int64_t synthesis_latency_ms = 0;            // from the request to its first audio
  std::string audio_format;                    // pcm or opus
  bool ready_for_playback = true;              // false: it was cancelled
  std::string voice_id;                        // which voice spoke
  int64_t sample_rate = 0;                     // Hz
  int64_t total_latency_ms = 0;                // from the request to its last audio
  bool within_max_latency = true;
  bool from_cache = false;
  std::string engine;
  std::optional<std::string> note;  // such as which voice stands in for an unknown one

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 200));
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Nullable("audio_track_sid", s.audio_track_sid, json::Range(0, 200));
    v.Required("duration_ms", s.duration_ms, json::Range(0, 86400000));
    v.Required("synthesis_latency_ms", s.synthesis_latency_ms, json::Range(0, 86400000));
    v.Required("audio_format", s.audio_format, json::Range(1, 20));
    v.Required("ready_for_playback", s.ready_for_playback);
    v.Optional("voice_id", s.voice_id, json::Range(0, 100));
    v.Optional("sample_rate", s.sample_rate, json::Range(0, 192000));
    v.Optional("total_latency_ms", s.total_latency_ms, json::Range(0, 86400000));
    v.Optional("within_max_latency", s.within_max_latency);
    v.Optional("from_cache", s.from_cache);
    v.Optional("engine", s.engine, json::Range(0, 100));
    v.Optional("note", s.note, json::Range(0, 400));
  }
};

// agent.tts.cancel: nothing more of this request is to be published.
struct TtsCancel {
  std::string request_id;
  std::string timestamp;
  std::string trace_id;
  std::string reason;  // barge_in, superseded, session_ended

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("request_id", s.request_id, json::Range(1, 200));
    v.Optional("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Optional("reason", s.reason, json::Range(0, 64));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_TTS_H_
