// Messages of agent.voice.* (voice specification, "Agent Voice Service"; agent.voice.state is the design's,
// section 3.8). Flat JSON without an envelope. Producer: voice agent.
#ifndef ARC_COMMON_MESSAGES_VOICE_AGENT_H_
#define ARC_COMMON_MESSAGES_VOICE_AGENT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "common/json/json.h"

namespace arc::messages {

struct TrackMetadata {
  std::optional<std::string> user_id;
  std::optional<std::string> session_id;
  std::optional<std::string> kiosk_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("user_id", s.user_id, json::Range(0, 200));
    v.Optional("session_id", s.session_id, json::Range(0, 200));
    v.Optional("kiosk_id", s.kiosk_id, json::Range(0, 64));
  }
};

// agent.voice.track.published: audio of a participant can be heard from now on.
struct TrackPublished {
  std::string timestamp;
  std::string trace_id;
  std::string room_name;
  std::string room_sid;  // LiveKit's; empty for a room that is only on the bus, as the other sids
  std::string participant_sid;
  std::string participant_identity;
  std::string track_sid;
  std::string track_kind = "audio";
  std::string track_source = "microphone";
  std::optional<TrackMetadata> metadata;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "track_published");
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("room_name", s.room_name, json::Range(1, 200));
    v.Optional("room_sid", s.room_sid, json::Range(0, 200));
    v.Optional("participant_sid", s.participant_sid, json::Range(0, 200));
    v.Required("participant_identity", s.participant_identity, json::Range(0, 200));
    v.Optional("track_sid", s.track_sid, json::Range(0, 200));
    v.Optional("track_kind", s.track_kind, json::Range(0, 40));
    v.Optional("track_source", s.track_source, json::Range(0, 40));
    v.Optional("metadata", s.metadata);
  }
};

// agent.voice.track.unpublished
struct TrackUnpublished {
  std::string timestamp;
  std::string trace_id;
  std::string room_name;
  std::string participant_sid;
  std::string track_sid;
  std::string reason;  // user_disconnected, track_ended, room_finished, audio_timeout, agent_stopped
  int64_t duration_seconds = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "track_unpublished");
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("room_name", s.room_name, json::Range(1, 200));
    v.Optional("participant_sid", s.participant_sid, json::Range(0, 200));
    v.Optional("track_sid", s.track_sid, json::Range(0, 200));
    v.Required("reason", s.reason, json::Range(0, 64));
    v.Required("duration_seconds", s.duration_seconds, json::Range(0, int64_t{86400} * 365));
  }
};

// agent.voice.session.started: a conversation begins.
struct VoiceSessionStarted {
  std::string timestamp;
  std::string trace_id;
  std::string user_id;
  std::string session_id;
  std::string room_name;
  std::string room_sid;
  std::string participant_sid;
  std::string agent_id = "arc-scarlett-voice";

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "session_started");
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("user_id", s.user_id, json::Range(0, 200));
    v.Required("session_id", s.session_id, json::Range(0, 200));
    v.Required("room_name", s.room_name, json::Range(1, 200));
    v.Optional("room_sid", s.room_sid, json::Range(0, 200));
    v.Optional("participant_sid", s.participant_sid, json::Range(0, 200));
    v.Optional("agent_id", s.agent_id, json::Range(0, 64));
  }
};

// agent.voice.session.ended
struct VoiceSessionEnded {
  std::string timestamp;
  std::string trace_id;
  std::string user_id;
  std::string session_id;
  std::string room_name;
  int64_t duration_seconds = 0;
  int64_t total_turns = 0;   // of the customer that the brain answered
  std::string reason;        // user_left, timeout, room_finished, order_ended, agent_stopped
  std::string final_status;  // completed: the order was paid; else abandoned, or cancelled

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "session_ended");
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("user_id", s.user_id, json::Range(0, 200));
    v.Required("session_id", s.session_id, json::Range(0, 200));
    v.Required("room_name", s.room_name, json::Range(1, 200));
    v.Required("duration_seconds", s.duration_seconds, json::Range(0, int64_t{86400} * 365));
    v.Required("total_turns", s.total_turns, json::Range(0, 1000000));
    v.Required("reason", s.reason, json::Range(0, 64));
    v.Required("final_status", s.final_status, json::Range(0, 64));
  }
};

enum class VoiceStateName { kIdle, kListening, kThinking, kSpeaking };
inline absl::Span<const absl::string_view> EnumNames(VoiceStateName) {
  static constexpr std::array<absl::string_view, 4> kNames = {"idle", "listening", "thinking", "speaking"};
  return kNames;
}

// agent.voice.state: what the kiosk's voice does now, for the screen.
struct VoiceState {
  std::string timestamp;
  std::string trace_id;
  std::string room_name;
  std::string kiosk_id;
  std::string session_id;
  VoiceStateName old_state = VoiceStateName::kIdle;
  VoiceStateName new_state = VoiceStateName::kIdle;
  int64_t turn_index = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "state_changed");
    v.Required("timestamp", s.timestamp, json::Range(0, 64));
    v.Optional("trace_id", s.trace_id, json::Range(0, 64));
    v.Required("room_name", s.room_name, json::Range(1, 200));
    v.Required("kiosk_id", s.kiosk_id, json::Range(0, 64));
    v.Required("session_id", s.session_id, json::Range(0, 200));
    v.Required("old_state", s.old_state);
    v.Required("new_state", s.new_state);
    v.Required("turn_index", s.turn_index, json::Range(0, 1000000));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_VOICE_AGENT_H_
