// The names of the voice agent's own metrics, once. Each carries agent="arc-scarlett-voice".
#ifndef ARC_SERVICES_VOICE_METRIC_NAMES_H_
#define ARC_SERVICES_VOICE_METRIC_NAMES_H_

namespace arc::voice::metric_names {

inline constexpr char kStageMs[] = "kiosk_voice_stage_ms";                    // histogram: stage
inline constexpr char kTurns[] = "kiosk_voice_turns_total";                   // counter: source, outcome
inline constexpr char kFrames[] = "kiosk_voice_frames_total";                 // counter: outcome
inline constexpr char kBargeIns[] = "kiosk_voice_barge_ins_total";            // counter
inline constexpr char kIgnoredNoises[] = "kiosk_voice_ignored_noises_total";  // counter
inline constexpr char kFalseInterruptions[] = "kiosk_voice_false_interruptions_total";  // counter
inline constexpr char kResumedAnswers[] = "kiosk_voice_resumed_answers_total";          // counter
inline constexpr char kContinuedTurns[] = "kiosk_voice_continued_turns_total";          // counter
inline constexpr char kDoubtedWords[] = "kiosk_voice_doubted_words_total";              // counter
inline constexpr char kBrainFallbacks[] = "kiosk_voice_brain_fallbacks_total";          // counter: reason
inline constexpr char kTtsRetries[] = "kiosk_voice_tts_retries_total";                  // counter: reason
inline constexpr char kSttReplays[] = "kiosk_voice_stt_replays_total";                  // counter: reason
inline constexpr char kTexts[] = "kiosk_voice_texts_total";                             // counter: outcome
inline constexpr char kLostEvents[] = "kiosk_voice_lost_events_total";                  // counter: subject
inline constexpr char kWebhooks[] = "kiosk_voice_webhooks_total";                       // counter: outcome
inline constexpr char kRooms[] = "kiosk_voice_rooms";                                   // gauge
inline constexpr char kSessions[] = "kiosk_voice_sessions";                             // gauge

}  // namespace arc::voice::metric_names

#endif  // ARC_SERVICES_VOICE_METRIC_NAMES_H_
