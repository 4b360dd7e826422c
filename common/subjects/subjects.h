// Every subject, stream, bucket and header of the fleet, once (kiosk specification, sections 3, 4, 6, 7;
// design, sections 3.1, 3.2, 3.7, 3.8). Pure functions and constants, thread-safe.
#ifndef ARC_COMMON_SUBJECTS_SUBJECTS_H_
#define ARC_COMMON_SUBJECTS_SUBJECTS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace arc::subjects {

inline constexpr char kPersonDetected[] = "kiosk.vision.person_detected";
inline constexpr char kPersonLeft[] = "kiosk.vision.person_left";
inline constexpr char kGazeDetected[] = "kiosk.vision.gaze_detected";

inline constexpr char kSpeechStart[] = "kiosk.voice.speech_start";
inline constexpr char kTranscript[] = "kiosk.voice.transcript";
inline constexpr char kIntent[] = "kiosk.voice.intent";

inline constexpr char kTouch[] = "kiosk.input.touch";
inline constexpr char kCartAction[] = "kiosk.input.cart_action";
inline constexpr char kTextInput[] = "kiosk.input.text";
inline constexpr char kCardInput[] = "kiosk.input.card";

inline constexpr char kSessionStarted[] = "kiosk.session.started";
inline constexpr char kSessionEnded[] = "kiosk.session.ended";
inline constexpr char kOrderCompleted[] = "kiosk.session.order_completed";

inline constexpr char kUiUpdate[] = "kiosk.ui.update";

inline constexpr char kMenuSearch[] = "kiosk.agent.menu.search";
inline constexpr char kMenuDetails[] = "kiosk.agent.menu.details";
inline constexpr char kMenuList[] = "kiosk.agent.menu.list";
inline constexpr char kMenuSetAvailability[] = "kiosk.agent.menu.set_availability";
inline constexpr char kRecsysSuggest[] = "kiosk.agent.recsys.suggest";
inline constexpr char kPaymentProcess[] = "kiosk.agent.payment.process";
inline constexpr char kPaymentStatus[] = "kiosk.agent.payment.status";
inline constexpr char kPaymentCancel[] = "kiosk.agent.payment.cancel";
inline constexpr char kPaymentRefund[] = "kiosk.agent.payment.refund";
inline constexpr char kHardwareLed[] = "kiosk.agent.hardware.led";
inline constexpr char kHardwarePrint[] = "kiosk.agent.hardware.print";
inline constexpr char kHardwareStatus[] = "kiosk.agent.hardware.status";
inline constexpr char kOrchestratorSnapshot[] = "kiosk.agent.orchestrator.snapshot";

inline constexpr char kTrackPublished[] = "agent.voice.track.published";
inline constexpr char kTrackUnpublished[] = "agent.voice.track.unpublished";
inline constexpr char kVoiceSessionStarted[] = "agent.voice.session.started";
inline constexpr char kVoiceSessionEnded[] = "agent.voice.session.ended";
inline constexpr char kVoiceState[] = "agent.voice.state";
inline constexpr char kVoiceAudioPrefix[] = "agent.voice.audio";  // .<room>
inline constexpr char kSttRequest[] = "agent.stt.request";
inline constexpr char kSttAudioPrefix[] = "agent.stt.audio";  // .<request_id>
inline constexpr char kSttTranscript[] = "agent.stt.transcript";
inline constexpr char kSttError[] = "agent.stt.error";
inline constexpr char kBrainRequest[] = "agent.brain.request";
inline constexpr char kBrainResponse[] = "agent.brain.response";
inline constexpr char kBrainError[] = "agent.brain.error";
inline constexpr char kTtsRequest[] = "agent.tts.request";
inline constexpr char kTtsCompleted[] = "agent.tts.completed";
inline constexpr char kTtsError[] = "agent.tts.error";
inline constexpr char kTtsCancel[] = "agent.tts.cancel";
inline constexpr char kTtsAudioPrefix[] = "agent.tts.audio";  // .<room>

inline constexpr char kHeartbeat[] = "system.health.heartbeat";
inline constexpr char kServiceError[] = "system.service.error";
inline constexpr char kDeadLetterPrefix[] = "system.deadletter";

inline constexpr char kEventsStream[] = "KIOSK_EVENTS";
inline constexpr char kCommandsStream[] = "KIOSK_COMMANDS";
inline constexpr char kDeadLetterStream[] = "KIOSK_DEADLETTER";

inline constexpr char kMenuBucket[] = "KIOSK_MENU";
inline constexpr char kSessionsBucket[] = "KIOSK_SESSIONS";
inline constexpr char kPaymentsBucket[] = "KIOSK_PAYMENTS";
inline constexpr char kReceiptsBucket[] = "KIOSK_RECEIPTS";
inline constexpr char kRecsysBucket[] = "KIOSK_RECSYS";

inline constexpr char kReplyToHeader[] = "Kiosk-Reply-To";
inline constexpr char kDeadlineHeader[] = "Kiosk-Deadline";
inline constexpr char kIdempotencyKeyHeader[] = "Kiosk-Idempotency-Key";
inline constexpr char kKioskIdHeader[] = "Kiosk-Id";
inline constexpr char kTraceParentHeader[] = "traceparent";
inline constexpr char kAudioFormatHeader[] = "Audio-Format";  // as common/audio reads it
inline constexpr char kSeqHeader[] = "Seq";                   // of a frame within its stream, from 0
inline constexpr char kEndHeader[] = "End";                   // "true" on the last frame, which is empty
inline constexpr char kRequestIdHeader[] = "Request-Id";      // of an audio frame of agent.tts.audio
inline constexpr char kTurnHeader[] = "Turn";                 // the turn_index that it belongs to
inline constexpr char kMsgIdHeader[] = "Nats-Msg-Id";

// The kiosk whose subjects are the specification's own, without a suffix.
inline constexpr char kDefaultKioskId[] = "kiosk-001";

// 1 to `max_size` ASCII letters, digits, '-' and '_': what can be a token of subjects, and of keys,
// everywhere.
bool IsName(absl::string_view name, size_t max_size);

// A kiosk's id: a name of at most 64.
bool IsValidKioskId(absl::string_view id);

// A room: a name of at most 100.
bool IsValidRoom(absl::string_view room);

// A subject that belongs to one kiosk, taken apart: "kiosk.ui.update.kiosk-007" is {"kiosk.ui.update",
// "kiosk-007"}. A subject without a suffix, or of a family that has none, has an empty `kiosk_id`.
struct Scoped {
  std::string base;
  std::string kiosk_id;
};
Scoped SplitScope(absl::string_view subject);

// `base` for the kiosk `kiosk_id`; an empty id is the default kiosk, whose subject is `base` itself.
std::string Scope(absl::string_view base, absl::string_view kiosk_id);

// Whether `subject` is of a family that belongs to one kiosk (design, section 3.7).
bool BelongsToOneKiosk(absl::string_view subject);

// `kiosk.hardware.x` as the `kiosk.agent.hardware.x` that it is an alias of; any other subject as it is.
std::string ResolveAlias(absl::string_view subject);

// Whether the server takes a message to `subject`: tokens with something in them, no wildcards, no spaces.
bool IsPublishable(absl::string_view subject);

// Whether `subject` (no wildcards) is matched by `filter` (with `*` and `>`).
bool Matches(absl::string_view filter, absl::string_view subject);

// Whether some subject is matched by both filters.
bool Overlap(absl::string_view a, absl::string_view b);

}  // namespace arc::subjects

#endif  // ARC_COMMON_SUBJECTS_SUBJECTS_H_
