// The voice agent: rooms, their microphones and conversations on the bus (issue "voice"; voice specification,
// "Agent Voice Service"; design, sections 2 and 3.8). It reads agent.voice.audio.*, kiosk.input.text,
// kiosk.session.>, what stt, brain and tts answer, and LiveKit's webhooks; it drives stt, brain and tts, and
// publishes kiosk.voice.*, agent.voice.*.
#ifndef ARC_SERVICES_VOICE_VOICE_H_
#define ARC_SERVICES_VOICE_VOICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/ordered_consumer.h"
#include "common/metrics/metrics.h"
#include "services/voice/conversation.h"
#include "services/voice/ear.h"
#include "services/voice/livekit_event.h"
#include "services/voice/utterance.h"
#include "services/voice/voice_activity.h"

namespace arc::voice {

inline constexpr char kAgentName[] = "arc-scarlett-voice";
inline constexpr char kTextDurable[] = "voice-text-consumer";
inline constexpr char kScopedTextDurable[] = "voice-scoped-text-consumer";

struct VoiceOptions {
  std::string kiosk_id;  // the default kiosk; with `scoped` the only one
  bool scoped = false;   // its subjects end in `kiosk_id`
  // Rooms that are served, and the kiosk of each; an empty kiosk is found out. Empty: every room.
  std::map<std::string, std::string> rooms;
  size_t max_rooms = 100;
  bool take_text = true;  // reads kiosk.input.text of every kiosk; false: another copy does
  absl::Duration max_text_age = absl::Minutes(2);    // older ones belong to a customer who is gone
  absl::Duration double_text = absl::Minutes(2);     // the same message so soon again is a double
  absl::Duration audio_timeout = absl::Seconds(10);  // without a frame: the track is over
  absl::Duration room_timeout = absl::Minutes(1);    // without anything: the room is forgotten
  absl::Duration livekit_timeout = absl::Hours(1);   // the same, of a room in which LiveKit has a participant
  // Told of each turn that was answered, or whose answer was not heard: from the end of the words to the
  // first sound. May be empty.
  std::function<void(absl::Duration took, const absl::Status& status)> on_turn;
  int report_after = 3;  // failures of stt, brain or tts in a row
  TurnOptions turn;
  EarOptions ear;
  UtteranceOptions utterance;
  VoiceActivityFactory activity = MakeWebRtcVoiceActivity;
};

// "a,b=kiosk-2": names of rooms, each with the kiosk it belongs to or without. InvalidArgument for what is no
// token of a subject.
absl::StatusOr<std::map<std::string, std::string>> ParseRooms(absl::string_view flag);

// Thread-safe.
class Voice {
 public:
  // As Agent::ReportError().
  using ErrorReporter = std::function<void(absl::string_view error_type, absl::string_view message,
                                           absl::string_view severity, absl::string_view action_required)>;

  // `bus` and `metrics` must outlive this.
  Voice(bus::Bus& bus, Metrics& metrics, VoiceOptions options, ErrorReporter report_error);
  ~Voice();
  Voice(const Voice&) = delete;
  Voice& operator=(const Voice&) = delete;

  // Begins to listen. May block; may be called again when it failed.
  absl::Status Start();
  // OK while texts are read and the voice activity's library works.
  absl::Status Health() const;

  void OnLiveKit(const LiveKitEvent& event);

  int64_t active_sessions() const;

  // Takes nothing new from microphones and keyboards.
  void StopListening();
  // Waits until what customers have said is answered, at most `limit`, and ends every session.
  void Stop(absl::Duration limit);

 private:
  struct Core;
  std::shared_ptr<Core> core_;
  mutable std::mutex mutex_;
  // Their callbacks use the core.
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
  std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers_;
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_VOICE_H_
