// What a LiveKit webhook says, as far as this agent cares.
#ifndef ARC_SERVICES_VOICE_LIVEKIT_EVENT_H_
#define ARC_SERVICES_VOICE_LIVEKIT_EVENT_H_

#include <string>

#include "services/voice/conversation.h"

namespace arc::voice {

enum class LiveKitEventKind {
  kParticipantJoined,
  kParticipantLeft,
  kTrackPublished,
  kTrackUnpublished,
  kRoomFinished,
  kOther,  // to be ignored
};

struct LiveKitEvent {
  LiveKitEventKind kind = LiveKitEventKind::kOther;
  std::string name;  // as LiveKit calls it
  std::string id;    // of the event; empty: none
  std::string room;
  Participant participant;
  std::string kiosk_id;  // of the participant's metadata, else of the room's; empty: none
  std::string track_sid;
  std::string track_source;  // microphone, unknown, ...
  bool track_is_audio = false;
  bool is_customer = true;  // false: an agent, a recorder, another machine
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_LIVEKIT_EVENT_H_
