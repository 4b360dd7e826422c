// Turn taking in one room: who speaks, when a customer has finished, when the kiosk is interrupted, what is
// asked and what is said (issue "voice"; design, sections 2 and 3.8). A state machine without threads, bus or
// clock: it is told what happened and when, and answers what is to be done, in order. Not thread-safe.
//
// A turn begins with the customer's words (or a prompt of the kiosk's own) and ends when the answer has been
// heard. `turn_index` counts the turns of a room, rises with every interruption too, and stands in
// agent.voice.state before any sound of that turn: a listener plays only frames whose header Turn is the
// latest state's.
//
// Three things run side by side: listening (an utterance that is open, and ended ones whose final text is
// awaited), asking (one request to the brain at a time), and speaking (one request to the TTS at a time).
//   - Words that come while the brain thinks about the words before belong to the same turn: the answer is
//     held until the customer is silent, and when there were words, both are asked together. Nothing of an
//     answer that was dropped reaches anybody.
//   - Typed text is asked by itself, in the order in which it was typed, and interrupts what the kiosk says.
//     An answer that nobody has heard anything of yet is said before the answer to that text.
//   - Words that the recogniser is not sure of are asked back ("did you say ...?"), never acted upon.
// With the kiosk's session ends all that its customer said and was told: of an answer that comes later,
// nothing reaches the next customer.
#ifndef ARC_SERVICES_VOICE_CONVERSATION_H_
#define ARC_SERVICES_VOICE_CONVERSATION_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/messages/brain.h"
#include "common/messages/session.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/messages/voice.h"
#include "common/messages/voice_agent.h"

namespace arc::voice {

// What the kiosk says of its own accord.
struct Phrases {
  std::string greeting = "Hello! What can I get for you?";
  std::string not_understood = "Sorry, I did not catch that. Could you say it again?";
  std::string doubted = "Sorry, did you say: %s?";  // %s: the words
  std::string say_again = "Sorry. Please say it again.";
  std::string brain_failed = "I'm having trouble with that. Could you say it again?";
  std::string stt_failed = "Sorry, I cannot hear you right now. Please use the screen.";
  std::string order_number = "Thank you. Your order number is %s.";  // %s: the number
  std::string order_done = "Thank you for your order.";              // when there is no number
  std::string pay_again = "Say pay when you are ready.";             // after a payment that failed
};

struct TurnOptions {
  // Silence after which a customer has finished: the shorter, the more complete the words are
  // (endpointing.h).
  absl::Duration endpointing_min = absl::Milliseconds(500);
  absl::Duration endpointing_max = absl::Seconds(3);
  // An utterance that lasts longer is ended; what follows is another one of the same turn.
  absl::Duration max_utterance = absl::Seconds(30);
  // Sound that goes on while no more words come: what was understood so far is all.
  absl::Duration endpointing_wordless = absl::Seconds(4);
  // An answer waits so long for the words of a customer who seems to go on; without any it is a noise.
  absl::Duration hold_without_words = absl::Milliseconds(1500);
  // So much voice while the kiosk speaks interrupts it.
  absl::Duration barge_in_speech = absl::Milliseconds(300);
  // An interruption without words: from its end until the kiosk goes on.
  absl::Duration false_interruption_resume = absl::Seconds(2);
  // Speech of that length without words is asked about; shorter is taken for a noise.
  absl::Duration sorry_after = absl::Seconds(1);
  // A final text that its recogniser is less sure of is asked back. 0: none is.
  double min_confidence = 0;
  int max_doubts = 2;  // in a row; then the customer is asked to say it again
  // From the end of an utterance to its final text.
  absl::Duration stt_timeout = absl::Seconds(8);
  // `timeout_ms` of the constraints, and how much longer the answer may take to come.
  absl::Duration brain_timeout = absl::Seconds(2);
  absl::Duration brain_grace = absl::Milliseconds(500);
  // From an agent.brain.error to the answer that another engine may still give.
  absl::Duration brain_error_grace = absl::Milliseconds(500);
  // From the request to the first sound, and within an answer from where the sound ended to more of it.
  absl::Duration tts_timeout = absl::Seconds(2);
  // From asking in vain (no brain or TTS is there) to asking again.
  absl::Duration retry = absl::Milliseconds(250);
  int tts_attempts = 3;  // to say one answer
  // The first words of a conversation wait so long for what the orchestrator knows of the session.
  absl::Duration session_wait = absl::Milliseconds(500);
  // Without anything said or typed, a conversation ends.
  absl::Duration conversation_timeout = absl::Minutes(2);
  size_t max_previous_turns = 10;
  size_t max_typed = 100;  // texts that wait
  std::string voice_id;    // empty: the TTS's own
  std::string audio_format = "pcm";
  int64_t sample_rate = 16000;  // Hz
  int64_t max_latency_ms = 500;
  std::string language = "en-US";
  bool greet = true;
  Phrases phrases;
};

// kiosk.input.text
struct TypedText {
  std::string text;
  std::string trace_id;
  uint64_t token = 0;  // comes back in PublishIntents or TextDone, once
};

// What the orchestrator knows of the kiosk's session.
struct KioskSession {
  std::string session_id;  // empty: there is none
  std::vector<std::string> exclude_allergens;
  std::vector<std::string> dietary_filters;
};

// A participant of a LiveKit room.
struct Participant {
  std::string room_sid;
  std::string sid;
  std::string identity;
  std::string user_id;     // of its metadata; empty: the identity
  std::string session_id;  // of its metadata
};

// How long the stages of a turn took. They add up to `total`, from the end of speech (or the typed text) to
// the first sound of the answer; a stage that a turn did not have is zero.
struct TurnReport {
  std::string trace_id;
  std::string session_id;
  int64_t turn_index = 0;
  bool typed = false;
  // answered, fallback, doubted (asked back), silent (nothing to say), unheard (no sound came)
  std::string outcome;
  absl::Time began;   // the customer's first voice; of text: when it came
  absl::Time spoken;  // the last; what follows are the stages from there on, in their order
  absl::Duration endpointing;
  absl::Duration stt;
  absl::Duration queued;  // from the words to the question: the customer went on, or another text was first
  absl::Duration brain;   // without the tools
  std::vector<std::pair<std::string, absl::Duration>>
      tools;  // those that ran side by side count once in total
  absl::Duration tools_total;
  absl::Duration held;  // from the answer until it could be spoken
  absl::Duration tts;
  absl::Duration total;
};

enum class Stage { kStt, kBrain, kTts };

struct BeginUtterance {
  std::string utterance_id;
  std::string trace_id;
  std::string session_id;
};
struct EndUtterance {  // its final text is awaited
  std::string utterance_id;
};
struct DropUtterance {  // nobody is interested any more
  std::string utterance_id;
};
struct PublishSpeechStart {
  std::string trace_id;
};
struct PublishTranscript {
  messages::Transcript transcript;
  std::string trace_id;
  std::optional<uint64_t> text_token;  // of typed text
};
struct AskSession {};  // the orchestrator, to be answered by OnKioskSession()
struct AskBrain {
  messages::BrainRequest request;
};
struct PublishIntents {
  std::vector<messages::Intent> intents;
  std::string trace_id;
  std::optional<uint64_t> text_token;  // of typed text, which is done once they are stored
};
struct TextDone {  // nothing is to be stored for it
  uint64_t text_token = 0;
};
struct RequestSpeech {
  messages::TtsRequest request;
};
struct CancelSpeech {
  messages::TtsCancel cancel;
};
struct PublishState {
  messages::VoiceState state;
};
struct PublishSessionStarted {
  messages::VoiceSessionStarted started;
};
struct PublishSessionEnded {
  messages::VoiceSessionEnded ended;
};
struct ReportTurn {
  TurnReport report;
};
struct Count {
  const char* what;   // a metric's name
  std::string label;  // value of its label `reason`; empty: none
};
struct StageResult {  // for the operator: whether an agent that this one needs did its work
  Stage stage = Stage::kStt;
  bool worked = true;
  std::string reason;
};
using Effect =
    std::variant<BeginUtterance, EndUtterance, DropUtterance, PublishSpeechStart, PublishTranscript,
                 AskSession, AskBrain, PublishIntents, TextDone, RequestSpeech, CancelSpeech, PublishState,
                 PublishSessionStarted, PublishSessionEnded, ReportTurn, Count, StageResult>;

class Conversation {
 public:
  using Effects = std::vector<Effect>;

  // `options` must outlive the conversation.
  Conversation(const TurnOptions& options, std::string room, std::string kiosk_id);

  // The microphone.
  Effects OnSpeechStarted(absl::Time now, absl::Time started_at);
  // `voiced`: of this stretch of speech, so far.
  Effects OnSpeechContinues(absl::Time now, absl::Duration voiced);
  Effects OnSpeechStopped(absl::Time now, absl::Time ended_at, absl::Duration voiced);

  // The recogniser.
  Effects OnTranscript(absl::Time now, absl::string_view utterance_id,
                       const messages::SttTranscript& transcript);

  // There will be no final text. `refused`: the sound itself is not to be recognised; false: no recogniser
  // could be had.
  Effects OnUtteranceFailed(absl::Time now, absl::string_view utterance_id, bool refused);

  Effects OnText(absl::Time now, TypedText text);

  // The brain; what does not answer the request at hand is counted and dropped.
  Effects OnBrainResponse(absl::Time now, const messages::BrainResponse& response);
  Effects OnBrainError(absl::Time now, const messages::AgentError& error);
  Effects OnBrainUnreachable(absl::Time now, absl::string_view request_id);

  // The TTS. `lasts`: of one frame; `end`: there is no more.
  Effects OnSpokenAudio(absl::Time now, absl::string_view request_id, absl::Duration lasts, bool end);
  Effects OnSpeechCompleted(absl::Time now, const messages::TtsCompleted& completed);
  Effects OnSpeechFailed(absl::Time now, absl::string_view request_id, absl::string_view reason);
  Effects OnTtsUnreachable(absl::Time now, absl::string_view request_id);

  // The kiosk's session.
  Effects OnKioskSessionStarted(absl::Time now, absl::string_view session_id);
  Effects OnOrderCompleted(absl::Time now, absl::string_view order_number);
  // A payment did not go through; `told`: what the screen says of it. `again`: the customer can pay once
  // more.
  Effects OnPaymentFailed(absl::Time now, absl::string_view told, bool again);
  Effects OnKioskSessionEnded(absl::Time now, messages::EndReason reason);
  // What the orchestrator answered; null: nothing.
  Effects OnKioskSession(absl::Time now, const KioskSession* session);
  // What another message says of it. `sure`: it comes from the orchestrator; the word of others counts while
  // nothing better is known.
  void SetKioskSession(absl::string_view session_id, bool sure);

  // LiveKit. `reason`: user_left, room_finished.
  Effects OnParticipantJoined(absl::Time now, const Participant& participant);
  Effects OnUserLeft(absl::Time now, absl::string_view reason);

  // The agent ends.
  Effects OnStop(absl::Time now);

  // When OnTime() is due next; InfiniteFuture: never.
  absl::Time NextTime() const;
  Effects OnTime(absl::Time now);

  messages::VoiceStateName state() const { return state_; }
  int64_t turn_index() const { return turn_index_; }
  bool active() const { return session_.has_value(); }
  // Words of a customer are on their way to an answer.
  bool thinking() const {
    return asking_.has_value() || !awaited_.empty() || !heard_.words.empty() || !typed_.empty();
  }
  size_t typed_waiting() const { return typed_.size(); }
  // Nothing is under way, and nothing would be lost with this object.
  bool idle() const;
  const std::string& room() const { return room_; }
  const std::string& kiosk_id() const { return kiosk_id_; }
  void set_kiosk_id(std::string kiosk_id) { kiosk_id_ = std::move(kiosk_id); }
  // Of the kiosk; empty: unknown.
  const std::string& kiosk_session() const { return kiosk_session_; }
  bool sure_of_kiosk_session() const { return kiosk_session_sure_; }
  std::string session_id() const { return session_.has_value() ? session_->id : ""; }

 private:
  struct Session {
    std::string id;
    std::string user_id;
    std::string conversation_id;
    std::string trace_id;
    std::string kiosk_session;
    bool kiosk_session_sure = false;
    // The kiosk's session is known, with what its customer must not eat; the first request tells the brain.
    bool known = false;
    bool asks = false;  // the orchestrator is being asked
    absl::Time wait_until = absl::InfinitePast();
    std::vector<std::string> exclude_allergens;
    std::vector<std::string> dietary_filters;
    bool told = false;
    absl::Time started_at;
    absl::Time active_at;
    int64_t total_turns = 0;
    bool order_completed = false;
    std::vector<messages::PreviousTurn> previous_turns;
    std::optional<json::Raw> dialogue;
    uint64_t number = 0;  // of all in this room
  };
  // When things happened in a turn; InfinitePast: not.
  struct Times {
    absl::Time began = absl::InfinitePast();     // the customer's first voice; of text: when it came
    absl::Time spoken = absl::InfinitePast();    // the last
    absl::Time endpoint = absl::InfinitePast();  // the silence was long enough
    absl::Time heard = absl::InfinitePast();     // the final text
    absl::Time asked = absl::InfinitePast();
    absl::Time answered = absl::InfinitePast();
    absl::Time said = absl::InfinitePast();  // the TTS was asked
  };
  struct Listening {
    std::string utterance_id;
    std::string trace_id;
    absl::Time started_at;
    bool confirmed = false;  // the customer's turn; false: noise perhaps, while the kiosk speaks
    int64_t turn_index = 0;
    bool noise = false;  // sound without words, which counts once words come
    bool speaking = true;
    absl::Time ended_at;
    absl::Duration voiced;  // of the stretches that are over
    absl::Duration stretch;
    std::string words;  // so far
    absl::Time words_at;
  };
  struct Awaited {
    std::string utterance_id;
    std::string trace_id;
    int64_t turn_index = 0;
    absl::Time started_at;
    absl::Time ended_at;
    absl::Time endpoint;
    absl::Duration voiced;
    absl::Time deadline;
  };
  struct Heard {
    std::string words;
    std::string trace_id;
    int64_t turn_index = 0;
    Times times;
    bool doubtful = false;
  };
  struct Asking {
    messages::BrainRequest request;
    bool typed = false;
    uint64_t text_token = 0;
    uint64_t session = 0;
    bool tells = false;  // the brain of the session's allergies, if there are any
    Times times;
    absl::Time deadline;
    absl::Time retry_at = absl::InfiniteFuture();
    std::optional<std::string> fallback;
    std::string failure = "timeout";
    std::optional<messages::BrainResponse> held;
    absl::Time held_until = absl::InfiniteFuture();
  };
  struct Line {  // to be said
    std::string text;
    std::string trace_id;
    bool keep = false;  // said even when the customer interrupts what is said before it
    int attempts = 0;
    Times times;
    std::optional<TurnReport> report;  // until the first sound
  };
  struct Speaking {
    Line line;
    std::string request_id;
    messages::TtsRequest request;
    absl::Time said;
    absl::Time first_audio = absl::InfinitePast();
    absl::Time heard_until = absl::InfinitePast();  // the sound that came so far has been played
    absl::Duration sound;                           // that came so far
    absl::Duration promised;                        // by agent.tts.completed
    bool over = false;                              // there is no more to come
    absl::Time retry_at = absl::InfiniteFuture();
  };
  struct Interrupted {
    Line rest;
    absl::Time resume_at = absl::InfiniteFuture();
  };

  void BeginSession(absl::Time now);
  void EndSession(absl::Time now, absl::string_view reason, absl::string_view status);
  void AskForSession();
  bool WaitsForSession(absl::Time now) const;
  // What a customer who is gone has said is answered no more.
  void ForgetWords(bool listening_too);
  // Nor is anything said.
  void FallSilent(absl::Time now);

  void Listen(absl::Time now, absl::Time started_at, bool noise);
  void Confirm(absl::Time now);
  void Interrupt(absl::Time now);
  // The customer has the floor: nothing is asked or said meanwhile.
  bool goes_on() const { return (listening_.has_value() && listening_->confirmed) || !awaited_.empty(); }
  void Endpoint(absl::Time now);
  absl::Time EndpointAt() const;
  void Finish(absl::Time now, const Awaited& utterance, const messages::SttTranscript* final_text,
              bool refused = false);
  void Hear(absl::Time now, const Awaited& utterance, const std::string& words, bool doubtful);
  void Doubt(absl::Time now);

  void AskNext(absl::Time now);
  void Ask(absl::Time now, absl::string_view words, std::string trace_id, const Times& times,
           std::optional<uint64_t> token);
  void Accept(absl::Time now, const messages::BrainResponse& response);
  void BrainFailed(absl::Time now);
  bool HoldsForNoise() const;

  void NewTurn();
  void Measure(absl::Time now, Line& line, absl::string_view outcome);
  void Say(absl::Time now, Line line);
  void Announce(absl::Time now, std::string text);
  void SayNext(absl::Time now);
  // `keep_unheard`: answers that nothing has been heard of are said later.
  void StopSpeaking(absl::Time now, absl::string_view reason, bool keep_unheard = false);
  void SpeakAgain(absl::Time now, absl::string_view reason);
  void SpeechOver(absl::Time now);
  std::string Remaining(absl::Time now) const;

  messages::VoiceStateName Derive() const;
  void UpdateState(absl::Time now, bool always = false);
  Effects Done(absl::Time now);
  void Emit(Effect effect) { effects_.push_back(std::move(effect)); }
  std::string NewId(absl::string_view kind) const;

  const TurnOptions& options_;
  const std::string room_;
  std::string kiosk_id_;
  std::string kiosk_session_;
  bool kiosk_session_sure_ = false;
  std::deque<std::string> ended_kiosk_sessions_;  // the latest
  Participant participant_;

  Effects effects_;
  messages::VoiceStateName state_ = messages::VoiceStateName::kIdle;
  int64_t turn_index_ = 0;
  std::string turn_trace_;
  uint64_t sessions_ = 0;
  std::optional<Session> session_;

  std::optional<Listening> listening_;
  bool deaf_ = false;  // to the rest of what a customer who is gone is saying
  std::deque<Awaited> awaited_;
  Heard heard_;
  std::optional<Heard> doubted_;  // asked back
  int doubts_ = 0;                // in a row
  std::deque<std::pair<TypedText, absl::Time>> typed_;
  std::optional<Asking> asking_;
  std::deque<Line> lines_;
  std::optional<Speaking> speaking_;
  std::optional<Interrupted> interrupted_;
  double characters_per_second_ = 15;  // as the voice speaks
};

}  // namespace arc::voice

#endif  // ARC_SERVICES_VOICE_CONVERSATION_H_
