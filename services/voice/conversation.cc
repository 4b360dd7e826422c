#include "services/voice/conversation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "services/voice/endpointing.h"
#include "services/voice/metric_names.h"
#include "services/voice/replies.h"

namespace arc::voice {
namespace {

using messages::VoiceStateName;

constexpr int64_t kTurns = 1000000;  // turn_index stays below
constexpr size_t kMaxWords = 4000;   // bytes, as the messages allow
constexpr absl::Duration kAlmostSaid = absl::Milliseconds(300);
constexpr size_t kMaxEndedSessions = 8;
constexpr size_t kMaxDoubted = 200;  // bytes of words that are asked back
constexpr size_t kMaxUnheard = 3;    // answers that wait to be said
constexpr size_t kMargin = 6;        // characters that an estimated place in an answer may be off

// At most `limit` bytes of `text`, no character cut in two.
std::string Clip(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return std::string(text.substr(0, limit));
}

std::string Join(absl::string_view a, absl::string_view b) {
  if (a.empty() || b.empty()) return Clip(absl::StrCat(a, b), kMaxWords);
  return Clip(absl::StrCat(a, " ", b), kMaxWords);
}

// Where the sentence that holds `position` begins.
size_t SentenceAt(absl::string_view text, size_t position) {
  size_t begin = 0;
  for (size_t i = 0; i + 1 < text.size() && i < position; ++i) {
    const bool ends = text[i] == '.' || text[i] == '!' || text[i] == '?' || text[i] == ';';
    if (ends && text[i + 1] == ' ' && i + 2 <= position) begin = i + 2;
  }
  return begin;
}

// How much time the tools took, side by side ones once.
absl::Duration UnionOf(const std::vector<messages::ToolSpan>& tools) {
  std::vector<std::pair<int64_t, int64_t>> spans;
  spans.reserve(tools.size());
  for (const messages::ToolSpan& tool : tools)
    spans.emplace_back(tool.start_ms, tool.start_ms + tool.latency_ms);
  std::sort(spans.begin(), spans.end());
  int64_t sum = 0;
  int64_t until = 0;
  for (const auto& [from, to] : spans) {
    if (to > until) sum += to - std::max(from, until);
    until = std::max(until, to);
  }
  return absl::Milliseconds(sum);
}

}  // namespace

Conversation::Conversation(const TurnOptions& options, std::string room, std::string kiosk_id)
    : options_(options), room_(std::move(room)), kiosk_id_(std::move(kiosk_id)) {}

std::string Conversation::NewId(absl::string_view kind) const {
  return absl::StrCat(kind, "-", NewUuid());
}

Conversation::Effects Conversation::Done(absl::Time now) {
  UpdateState(now);
  return std::exchange(effects_, {});
}

// State.

VoiceStateName Conversation::Derive() const {
  if (listening_.has_value() && listening_->confirmed) return VoiceStateName::kListening;
  if (speaking_.has_value()) return VoiceStateName::kSpeaking;
  if (thinking()) return VoiceStateName::kThinking;
  return VoiceStateName::kIdle;
}

void Conversation::UpdateState(absl::Time now, bool always) {
  const VoiceStateName derived = Derive();
  if (derived == state_ && !always) return;
  messages::VoiceState state;
  state.timestamp = FormatTimestamp(now);
  state.trace_id = speaking_.has_value() ? speaking_->line.trace_id
                   : asking_.has_value() ? asking_->request.trace_id
                                         : turn_trace_;
  state.room_name = room_;
  state.kiosk_id = kiosk_id_;
  state.session_id = session_id();
  state.old_state = state_;
  state.new_state = derived;
  state.turn_index = turn_index_;
  state_ = derived;
  Emit(PublishState{std::move(state)});
}

void Conversation::NewTurn() {
  turn_index_ = (turn_index_ + 1) % kTurns;
}

bool Conversation::idle() const {
  return !session_.has_value() && !listening_.has_value() && !thinking() && !speaking_.has_value() &&
         lines_.empty() && !interrupted_.has_value();
}

// Session.

void Conversation::BeginSession(absl::Time now) {
  if (session_.has_value()) {
    session_->active_at = now;
    return;
  }
  Session session;
  session.id = !kiosk_session_.empty()            ? kiosk_session_
               : !participant_.session_id.empty() ? participant_.session_id
                                                  : NewUuid();
  session.user_id = !participant_.user_id.empty()    ? participant_.user_id
                    : !participant_.identity.empty() ? participant_.identity
                                                     : "guest";
  session.conversation_id = NewId("conv");
  session.trace_id = NewUuid();
  session.kiosk_session = kiosk_session_;
  session.kiosk_session_sure = kiosk_session_sure_;
  session.wait_until = now + options_.session_wait;
  session.started_at = session.active_at = now;
  session.number = ++sessions_;
  messages::VoiceSessionStarted started;
  started.timestamp = FormatTimestamp(now);
  started.trace_id = session.trace_id;
  started.user_id = session.user_id;
  started.session_id = session.id;
  started.room_name = room_;
  started.room_sid = participant_.room_sid;
  started.participant_sid = participant_.sid;
  session_ = std::move(session);
  Emit(PublishSessionStarted{std::move(started)});
  AskForSession();
}

void Conversation::AskForSession() {
  if (session_->known || session_->asks) return;
  session_->asks = true;
  Emit(AskSession{});
}

bool Conversation::WaitsForSession(absl::Time now) const {
  return session_.has_value() && session_->asks && now < session_->wait_until;
}

void Conversation::EndSession(absl::Time now, absl::string_view reason, absl::string_view status) {
  if (!session_.has_value()) return;
  messages::VoiceSessionEnded ended;
  ended.timestamp = FormatTimestamp(now);
  ended.trace_id = session_->trace_id;
  ended.user_id = session_->user_id;
  ended.session_id = session_->id;
  ended.room_name = room_;
  ended.duration_seconds = std::max<int64_t>((now - session_->started_at) / absl::Seconds(1), 0);
  ended.total_turns = session_->total_turns;
  ended.reason = std::string(reason);
  ended.final_status = session_->order_completed ? "completed" : std::string(status);
  session_.reset();
  interrupted_.reset();
  Emit(PublishSessionEnded{std::move(ended)});
}

void Conversation::ForgetWords(bool listening_too) {
  if (asking_.has_value() && asking_->typed) Emit(TextDone{asking_->text_token});
  asking_.reset();
  for (const auto& [text, came] : typed_) Emit(TextDone{text.token});
  typed_.clear();
  for (const Awaited& awaited : awaited_) Emit(DropUtterance{awaited.utterance_id});
  awaited_.clear();
  heard_ = Heard();
  doubted_.reset();
  doubts_ = 0;
  interrupted_.reset();
  if (!listening_too || !listening_.has_value()) return;
  Emit(DropUtterance{listening_->utterance_id});
  deaf_ = listening_->speaking;
  listening_.reset();
}

void Conversation::FallSilent(absl::Time now) {
  for (Line& line : lines_) Measure(now, line, "unheard");
  lines_.clear();
  StopSpeaking(now, "session_ended");
}

void Conversation::SetKioskSession(absl::string_view session_id, bool sure) {
  if (session_id.empty() || (kiosk_session_sure_ && !sure)) return;
  kiosk_session_ = std::string(session_id);
  kiosk_session_sure_ = sure;
  if (session_.has_value() && !session_->kiosk_session_sure) {
    session_->kiosk_session = kiosk_session_;
    session_->kiosk_session_sure = sure;
  }
}

Conversation::Effects Conversation::OnKioskSession(absl::Time now, const KioskSession* session) {
  if (session_.has_value()) session_->asks = false;
  if (session != nullptr) {
    const std::string& id = session->session_id;
    const bool over = std::find(ended_kiosk_sessions_.begin(), ended_kiosk_sessions_.end(), id) !=
                      ended_kiosk_sessions_.end();
    if (!over && !kiosk_session_sure_) SetKioskSession(id, true);
    // One that is behind, or of another customer, says nothing of this one.
    const bool of_this = id.empty() || over ? !kiosk_session_sure_ : id == kiosk_session_;
    if (session_.has_value() && of_this) {
      session_->known = true;
      if (!id.empty() && !over) {
        session_->exclude_allergens = session->exclude_allergens;
        session_->dietary_filters = session->dietary_filters;
      }
    }
  }
  AskNext(now);
  return Done(now);
}

Conversation::Effects Conversation::OnKioskSessionStarted(absl::Time now, absl::string_view session_id) {
  kiosk_session_ = std::string(session_id);
  kiosk_session_sure_ = true;
  if (session_.has_value() && (!session_->kiosk_session_sure || session_->kiosk_session == kiosk_session_)) {
    // The customer's own words began it.
    session_->kiosk_session = kiosk_session_;
    session_->kiosk_session_sure = true;
    session_->active_at = now;
    return Done(now);
  }
  // The last words to the customer before, if they are still being said, are not for this one.
  FallSilent(now);
  if (session_.has_value()) {
    // Its end was not seen.
    ForgetWords(true);
    EndSession(now, "timeout", "abandoned");
  }
  if (!options_.greet || options_.phrases.greeting.empty()) return Done(now);
  BeginSession(now);
  NewTurn();
  Line line;
  line.text = options_.phrases.greeting;
  line.trace_id = session_->trace_id;
  Say(now, std::move(line));
  return Done(now);
}

Conversation::Effects Conversation::OnOrderCompleted(absl::Time now, absl::string_view order_number) {
  BeginSession(now);
  session_->order_completed = true;
  const Phrases& phrases = options_.phrases;
  Announce(now, order_number.empty() ? phrases.order_done
                                     : absl::StrReplaceAll(phrases.order_number, {{"%s", order_number}}));
  return Done(now);
}

Conversation::Effects Conversation::OnPaymentFailed(absl::Time now, absl::string_view told, bool again) {
  BeginSession(now);
  Announce(now, Join(told, again ? options_.phrases.pay_again : ""));
  return Done(now);
}

// Takes the place of what is being said, and is said even when the customer interrupts.
void Conversation::Announce(absl::Time now, std::string text) {
  if (text.empty()) return;
  Line line;
  line.text = std::move(text);
  line.trace_id = session_->trace_id;
  line.keep = true;
  StopSpeaking(now, "superseded");
  interrupted_.reset();
  NewTurn();
  Say(now, std::move(line));
}

Conversation::Effects Conversation::OnKioskSessionEnded(absl::Time now, messages::EndReason reason) {
  if (!kiosk_session_.empty()) {
    ended_kiosk_sessions_.push_back(std::move(kiosk_session_));
    if (ended_kiosk_sessions_.size() > kMaxEndedSessions) ended_kiosk_sessions_.pop_front();
  }
  kiosk_session_.clear();
  kiosk_session_sure_ = false;
  // Who speaks after the order was paid may be the next customer already. A conversation that began after
  // that knows of it by the reason.
  const bool paid =
      reason == messages::EndReason::kCompleted || (session_.has_value() && session_->order_completed);
  ForgetWords(session_.has_value() && !paid);
  switch (reason) {
    case messages::EndReason::kCompleted:
      EndSession(now, "order_ended", "completed");
      break;
    case messages::EndReason::kTimeout:
      EndSession(now, "timeout", "abandoned");
      break;
    case messages::EndReason::kCancelled:
      EndSession(now, "order_ended", "cancelled");
      break;
  }
  SayNext(now);  // the last words
  return Done(now);
}

Conversation::Effects Conversation::OnParticipantJoined(absl::Time now, const Participant& participant) {
  participant_ = participant;
  BeginSession(now);
  return Done(now);
}

Conversation::Effects Conversation::OnUserLeft(absl::Time now, absl::string_view reason) {
  participant_ = Participant();
  ForgetWords(true);
  FallSilent(now);
  EndSession(now, reason, "abandoned");
  return Done(now);
}

Conversation::Effects Conversation::OnStop(absl::Time now) {
  EndSession(now, "agent_stopped", "abandoned");
  return Done(now);
}

// Listening.

Conversation::Effects Conversation::OnSpeechStarted(absl::Time now, absl::Time started_at) {
  deaf_ = false;
  if (listening_.has_value()) {
    listening_->speaking = true;
    listening_->stretch = absl::ZeroDuration();
    listening_->words_at = now;
    return Done(now);
  }
  if (interrupted_.has_value()) interrupted_->resume_at = absl::InfiniteFuture();
  Listen(now, started_at, false);
  return Done(now);
}

void Conversation::Listen(absl::Time now, absl::Time started_at, bool noise) {
  const bool confirmed = !speaking_.has_value() && !noise;
  const bool same_turn =
      !awaited_.empty() || !heard_.words.empty() || (asking_.has_value() && !asking_->typed);
  Listening listening;
  listening.utterance_id = NewId("stt");
  listening.trace_id = same_turn && !turn_trace_.empty() ? turn_trace_ : NewUuid();
  listening.started_at = listening.words_at = started_at;
  listening.noise = noise;
  listening_ = std::move(listening);
  if (confirmed) BeginSession(now);
  Emit(BeginUtterance{listening_->utterance_id, listening_->trace_id, session_id()});
  if (confirmed) Confirm(now);
}

// What is heard is the customer's turn.
void Conversation::Confirm(absl::Time now) {
  BeginSession(now);
  const bool same_turn = !turn_trace_.empty() && listening_->trace_id == turn_trace_;
  if (!same_turn) {
    NewTurn();
    turn_trace_ = listening_->trace_id;
  }
  listening_->confirmed = true;
  listening_->noise = false;
  listening_->turn_index = turn_index_;
  Emit(PublishSpeechStart{listening_->trace_id});
}

// The kiosk falls silent, for the customer.
void Conversation::Interrupt(absl::Time now) {
  Emit(Count{metric_names::kBargeIns, ""});
  if (speaking_.has_value()) {
    Interrupted interrupted;
    interrupted.rest = speaking_->line;
    interrupted.rest.text = Remaining(now);
    interrupted.rest.report.reset();
    for (const Line& line : lines_) {
      if (!line.keep) interrupted.rest.text = Join(interrupted.rest.text, line.text);
    }
    if (!interrupted.rest.text.empty()) interrupted_ = std::move(interrupted);
  }
  StopSpeaking(now, "barge_in");
  Confirm(now);
}

Conversation::Effects Conversation::OnSpeechContinues(absl::Time now, absl::Duration voiced) {
  if (deaf_) return Done(now);
  // An utterance was ended although the sound went on.
  if (!listening_.has_value()) Listen(now, now, true);
  listening_->stretch = voiced;
  if (!listening_->confirmed && !listening_->noise && listening_->stretch >= options_.barge_in_speech)
    Interrupt(now);
  if (now >= EndpointAt()) Endpoint(now);
  return Done(now);
}

Conversation::Effects Conversation::OnSpeechStopped(absl::Time now, absl::Time ended_at,
                                                    absl::Duration voiced) {
  deaf_ = false;
  if (!listening_.has_value()) return Done(now);
  // Its words may be all in the final text.
  if (listening_->noise && !speaking_.has_value()) Confirm(now);
  if (!listening_->confirmed) {
    Emit(Count{metric_names::kIgnoredNoises, ""});
    Emit(DropUtterance{listening_->utterance_id});
    listening_.reset();
    return Done(now);
  }
  listening_->speaking = false;
  listening_->ended_at = ended_at;
  listening_->voiced += voiced;
  listening_->stretch = absl::ZeroDuration();
  if (session_.has_value()) session_->active_at = now;
  if (now >= EndpointAt()) Endpoint(now);
  return Done(now);
}

absl::Time Conversation::EndpointAt() const {
  if (!listening_.has_value()) return absl::InfiniteFuture();
  const absl::Time longest = listening_->started_at + options_.max_utterance;
  if (!listening_->confirmed) return listening_->noise ? longest : absl::InfiniteFuture();
  if (listening_->speaking) {
    if (listening_->words.empty()) return longest;
    return std::min(longest, listening_->words_at + options_.endpointing_wordless);
  }
  return std::min(
      longest, listening_->ended_at +
                   EndpointingDelay(listening_->words, options_.endpointing_min, options_.endpointing_max));
}

void Conversation::Endpoint(absl::Time now) {
  if (!listening_->confirmed) {
    Emit(Count{metric_names::kIgnoredNoises, ""});
    Emit(DropUtterance{listening_->utterance_id});
    listening_.reset();
    return;
  }
  Awaited awaited;
  awaited.utterance_id = listening_->utterance_id;
  awaited.trace_id = listening_->trace_id;
  awaited.turn_index = listening_->turn_index;
  awaited.started_at = listening_->started_at;
  awaited.ended_at = listening_->speaking ? now : listening_->ended_at;
  awaited.endpoint = now;
  awaited.voiced = listening_->voiced + listening_->stretch;
  awaited.deadline = now + options_.stt_timeout;
  listening_.reset();
  Emit(EndUtterance{awaited.utterance_id});
  awaited_.push_back(std::move(awaited));
}

Conversation::Effects Conversation::OnTranscript(absl::Time now, absl::string_view utterance_id,
                                                 const messages::SttTranscript& transcript) {
  const auto publish_partial = [&](const std::string& trace_id) {
    messages::Transcript partial;
    partial.text = transcript.text;
    partial.language = transcript.language;
    Emit(PublishTranscript{std::move(partial), trace_id, std::nullopt});
  };
  if (listening_.has_value() && listening_->utterance_id == utterance_id) {
    if (!transcript.is_final) {
      if (transcript.text == listening_->words) return Done(now);
      listening_->words = transcript.text;
      listening_->words_at = now;
      if (listening_->noise && !listening_->words.empty()) {
        if (speaking_.has_value()) {
          Interrupt(now);
        } else {
          Confirm(now);
        }
      }
      if (listening_->confirmed) publish_partial(listening_->trace_id);
      return Done(now);
    }
    // The recogniser ended it.
    if (!listening_->confirmed) {
      Emit(DropUtterance{listening_->utterance_id});
      listening_.reset();
      return Done(now);
    }
    Endpoint(now);
  }
  const auto it = std::find_if(awaited_.begin(), awaited_.end(),
                               [&](const Awaited& awaited) { return awaited.utterance_id == utterance_id; });
  if (it == awaited_.end()) return Done(now);
  if (!transcript.is_final) {
    publish_partial(it->trace_id);
    return Done(now);
  }
  const Awaited utterance = std::move(*it);
  awaited_.erase(it);
  Finish(now, utterance, &transcript);
  return Done(now);
}

Conversation::Effects Conversation::OnUtteranceFailed(absl::Time now, absl::string_view utterance_id,
                                                      bool refused) {
  if (listening_.has_value() && listening_->utterance_id == utterance_id) {
    if (!listening_->confirmed) {
      Emit(DropUtterance{listening_->utterance_id});
      listening_.reset();
      return Done(now);
    }
    Endpoint(now);
  }
  const auto it = std::find_if(awaited_.begin(), awaited_.end(),
                               [&](const Awaited& awaited) { return awaited.utterance_id == utterance_id; });
  if (it == awaited_.end()) return Done(now);
  const Awaited utterance = std::move(*it);
  awaited_.erase(it);
  Emit(DropUtterance{utterance.utterance_id});
  Finish(now, utterance, nullptr, refused);
  return Done(now);
}

// `final_text`: none when no recogniser gave one.
void Conversation::Finish(absl::Time now, const Awaited& utterance, const messages::SttTranscript* final_text,
                          bool refused) {
  BeginSession(now);
  const bool worked = final_text != nullptr || refused;
  Emit(StageResult{Stage::kStt, worked, worked ? "" : "no final text came"});
  std::string words = final_text == nullptr ? "" : std::string(absl::StripAsciiWhitespace(final_text->text));
  if (IsFiller(words)) words.clear();
  if (!words.empty()) {
    messages::Transcript transcript;
    transcript.text = words;
    transcript.confidence = final_text->confidence;
    transcript.language = final_text->language;
    transcript.is_final = true;
    Emit(PublishTranscript{std::move(transcript), utterance.trace_id, std::nullopt});
    interrupted_.reset();
    Hear(now, utterance, words, final_text->confidence.value_or(1) < options_.min_confidence);
  } else if (!listening_.has_value() && awaited_.empty() && heard_.words.empty() && !asking_.has_value()) {
    Line line;
    line.trace_id = utterance.trace_id;
    const bool sorry =
        worked && utterance.voiced >= (refused ? options_.barge_in_speech : options_.sorry_after);
    if (!worked && utterance.voiced >= options_.barge_in_speech) {
      line.text = options_.phrases.stt_failed;
    } else if (interrupted_.has_value() && !(refused && sorry)) {
      Emit(Count{metric_names::kFalseInterruptions, ""});
      interrupted_->resume_at = std::max(now, utterance.ended_at + options_.false_interruption_resume);
    } else if (sorry) {
      line.text = options_.phrases.not_understood;
    }
    if (!line.text.empty()) Say(now, std::move(line));
  }
  AskNext(now);
  SayNext(now);
}

// Words of a customer, which may answer the question whether others were meant.
void Conversation::Hear(absl::Time now, const Awaited& utterance, const std::string& words, bool doubtful) {
  std::string heard = words;
  if (doubted_.has_value()) {
    const Reply reply = ReplyOf(words);
    if (reply == Reply::kYes) {
      heard = doubted_->words;  // said again, or asked again when the yes itself is doubtful
    } else if (reply == Reply::kNo) {
      doubted_.reset();
      doubts_ = 0;
      Line line;
      line.text = options_.phrases.say_again;
      line.trace_id = utterance.trace_id;
      Say(now, std::move(line));
      return;
    } else {
      heard = WithoutNo(words);
    }
    doubted_.reset();
  }
  if (!doubtful) doubts_ = 0;
  heard_.words = Join(heard_.words, heard);
  heard_.trace_id = utterance.trace_id;
  heard_.turn_index = utterance.turn_index;
  heard_.doubtful = heard_.doubtful || doubtful;
  const absl::Time began = heard_.times.began;  // of words that these go on with
  heard_.times = Times();
  heard_.times.began = began == absl::InfinitePast() ? utterance.started_at : began;
  heard_.times.spoken = utterance.ended_at;
  heard_.times.endpoint = utterance.endpoint;
  heard_.times.heard = now;
}

// Asks back what was heard.
void Conversation::Doubt(absl::Time now) {
  Heard heard = std::exchange(heard_, Heard());
  if (heard.turn_index != turn_index_) NewTurn();
  Emit(Count{metric_names::kDoubtedWords, ""});
  Line line;
  line.trace_id = heard.trace_id;
  line.times = heard.times;
  line.times.asked = line.times.answered = now;
  TurnReport report;
  report.trace_id = heard.trace_id;
  report.session_id = session_id();
  report.turn_index = turn_index_;
  report.outcome = "doubted";
  line.report = std::move(report);
  if (++doubts_ > options_.max_doubts) {
    doubts_ = 0;
    line.text = options_.phrases.not_understood;
  } else {
    line.text = absl::StrReplaceAll(options_.phrases.doubted, {{"%s", Clip(heard.words, kMaxDoubted)}});
    heard.doubtful = false;
    doubted_ = std::move(heard);
  }
  Say(now, std::move(line));
}

// Asking.

Conversation::Effects Conversation::OnText(absl::Time now, TypedText text) {
  BeginSession(now);
  messages::Transcript transcript;
  transcript.text = text.text;
  transcript.confidence = 1;
  transcript.language = options_.language;
  transcript.is_final = true;
  if (text.trace_id.empty()) text.trace_id = NewUuid();
  Emit(PublishTranscript{std::move(transcript), text.trace_id, text.token});
  StopSpeaking(now, "superseded", true);
  interrupted_.reset();
  doubted_.reset();
  doubts_ = 0;
  typed_.emplace_back(std::move(text), now);
  AskNext(now);
  return Done(now);
}

void Conversation::AskNext(absl::Time now) {
  if (WaitsForSession(now)) return;
  if (asking_.has_value()) {
    if (asking_->typed || goes_on()) return;
    if (heard_.doubtful) {
      // Asked back once the words before are answered.
      if (!asking_->held.has_value()) return;
      const messages::BrainResponse response = *std::move(asking_->held);
      Accept(now, response);
    } else if (!heard_.words.empty()) {
      // The customer went on: one question of both.
      Emit(Count{metric_names::kContinuedTurns, ""});
      Heard heard = std::exchange(heard_, Heard());
      const std::string words = Join(asking_->request.user_input, heard.words);
      asking_.reset();
      Ask(now, words, heard.trace_id, heard.times, std::nullopt);
    } else if (asking_->held.has_value()) {
      const messages::BrainResponse response = *std::move(asking_->held);
      Accept(now, response);
    }
    return;
  }
  if (heard_.doubtful && !goes_on()) {
    Doubt(now);
  } else if (!heard_.words.empty() && !goes_on()) {
    Heard heard = std::exchange(heard_, Heard());
    if (heard.turn_index != turn_index_) NewTurn();
    Ask(now, heard.words, heard.trace_id, heard.times, std::nullopt);
    return;
  }
  if (typed_.empty()) return;
  auto [text, came] = std::move(typed_.front());
  typed_.pop_front();
  Times times;
  times.began = times.spoken = times.endpoint = times.heard = came;
  NewTurn();
  Ask(now, text.text, std::move(text.trace_id), times, text.token);
}

void Conversation::Ask(absl::Time now, absl::string_view words, std::string trace_id, const Times& times,
                       std::optional<uint64_t> token) {
  BeginSession(now);
  // What is being said belongs to what was before.
  StopSpeaking(now, "superseded", true);
  Asking asking;
  asking.typed = token.has_value();
  asking.text_token = token.value_or(0);
  asking.session = session_->number;
  asking.times = times;
  asking.times.asked = now;
  asking.deadline = now + options_.brain_timeout + options_.brain_grace;
  messages::BrainRequest& request = asking.request;
  request.request_id = NewId("req");
  request.timestamp = FormatTimestamp(now);
  request.trace_id = std::move(trace_id);
  request.user_id = session_->user_id;
  request.session_id = session_->id;
  request.conversation_id = session_->conversation_id;
  request.turn_index = turn_index_;
  request.user_input = Clip(words, kMaxWords);
  request.context.previous_turns = session_->previous_turns;
  request.context.kiosk_id = kiosk_id_;
  request.context.dialogue = session_->dialogue;
  if (session_->known && !session_->told) {
    request.context.exclude_allergens = session_->exclude_allergens;
    request.context.dietary_filters = session_->dietary_filters;
  }
  asking.tells = session_->known;
  AskForSession();  // again, where nobody has answered
  request.constraints.timeout_ms = absl::ToInt64Milliseconds(options_.brain_timeout);
  asking_ = std::move(asking);
  UpdateState(now, true);
  Emit(AskBrain{asking_->request});
}

Conversation::Effects Conversation::OnBrainResponse(absl::Time now, const messages::BrainResponse& response) {
  if (!asking_.has_value() || asking_->request.request_id != response.request_id ||
      asking_->held.has_value()) {
    return Done(now);
  }
  Emit(StageResult{Stage::kBrain, true, ""});
  asking_->times.answered = now;
  if (!asking_->typed && goes_on()) {
    asking_->held = response;
    asking_->held_until = now + options_.hold_without_words;
    return Done(now);
  }
  Accept(now, response);
  return Done(now);
}

void Conversation::Accept(absl::Time now, const messages::BrainResponse& response) {
  const Asking asking = *std::move(asking_);
  asking_.reset();
  BeginSession(now);
  ++session_->total_turns;
  if (session_->number == asking.session) {
    session_->dialogue = response.dialogue;
    session_->told = session_->told || asking.tells;
    session_->previous_turns.push_back({asking.request.user_input, Clip(response.agent_response, kMaxWords)});
    if (session_->previous_turns.size() > options_.max_previous_turns) {
      session_->previous_turns.erase(session_->previous_turns.begin());
    }
  }
  const std::optional<uint64_t> token =
      asking.typed ? std::optional<uint64_t>(asking.text_token) : std::nullopt;
  if (!response.intents.empty()) {
    Emit(PublishIntents{response.intents, asking.request.trace_id, token});
  } else if (token.has_value()) {
    Emit(TextDone{*token});
  }

  TurnReport report;
  report.trace_id = asking.request.trace_id;
  report.session_id = session_->id;
  report.turn_index = asking.request.turn_index;
  report.typed = asking.typed;
  report.outcome = "answered";
  const absl::Duration whole = asking.times.answered - asking.times.asked;
  for (const messages::ToolSpan& tool : response.performance.tools) {
    report.tools.emplace_back(tool.tool, absl::Milliseconds(tool.latency_ms));
  }
  report.tools_total = std::min(UnionOf(response.performance.tools), whole);
  Line line;
  line.text = std::string(absl::StripAsciiWhitespace(response.agent_response));
  line.trace_id = asking.request.trace_id;
  line.times = asking.times;
  line.report = std::move(report);
  if (line.text.empty()) {
    Measure(now, line, "silent");
  } else {
    Say(now, std::move(line));
  }
  AskNext(now);
}

Conversation::Effects Conversation::OnBrainError(absl::Time now, const messages::AgentError& error) {
  if (!asking_.has_value() || asking_->request.request_id != error.request_id) return Done(now);
  if (error.fallback_response.has_value() && !error.fallback_response->empty()) {
    asking_->fallback = error.fallback_response;
  }
  asking_->failure = "error";
  asking_->retry_at = absl::InfiniteFuture();
  // Another engine may still answer.
  asking_->deadline = std::min(asking_->deadline, now + options_.brain_error_grace);
  return Done(now);
}

Conversation::Effects Conversation::OnBrainUnreachable(absl::Time now, absl::string_view request_id) {
  if (!asking_.has_value() || asking_->request.request_id != request_id) return Done(now);
  asking_->failure = "unreachable";
  asking_->retry_at = now + options_.retry;
  return Done(now);
}

void Conversation::BrainFailed(absl::Time now) {
  Asking asking = *std::move(asking_);
  asking_.reset();
  Emit(Count{metric_names::kBrainFallbacks, asking.failure});
  Emit(StageResult{Stage::kBrain, false, asking.failure});
  if (!asking.typed && goes_on()) {
    // Asked again, together with what the customer says now.
    if (heard_.words.empty()) {
      heard_.trace_id = asking.request.trace_id;
      heard_.turn_index = asking.request.turn_index;
      heard_.times = asking.times;
    }
    heard_.words = Join(asking.request.user_input, heard_.words);
    return;
  }
  if (asking.typed) Emit(TextDone{asking.text_token});
  Line line;
  line.text = asking.fallback.value_or(options_.phrases.brain_failed);
  line.trace_id = asking.request.trace_id;
  line.times = asking.times;
  line.times.answered = now;
  TurnReport report;
  report.trace_id = asking.request.trace_id;
  report.session_id = session_id();
  report.turn_index = asking.request.turn_index;
  report.typed = asking.typed;
  report.outcome = "fallback";
  line.report = std::move(report);
  Say(now, std::move(line));
  AskNext(now);
}

// Whether an answer waits for a customer of whom only sound has been heard.
bool Conversation::HoldsForNoise() const {
  return asking_.has_value() && asking_->held.has_value() && awaited_.empty() && listening_.has_value() &&
         listening_->confirmed && listening_->speaking && listening_->words.empty();
}

// Speaking.

void Conversation::Measure(absl::Time now, Line& line, absl::string_view outcome) {
  if (!line.report.has_value()) return;
  TurnReport report = *std::move(line.report);
  line.report.reset();
  const Times& times = line.times;
  const absl::Time said = times.said == absl::InfinitePast() ? now : times.said;
  if (!outcome.empty()) report.outcome = std::string(outcome);
  report.began = times.began;
  report.spoken = times.spoken;
  report.endpointing = times.endpoint - times.spoken;
  report.stt = times.heard - times.endpoint;
  report.queued = times.asked - times.heard;
  report.brain = times.answered - times.asked - report.tools_total;
  report.held = said - times.answered;
  report.tts = now - said;
  report.total = now - times.spoken;
  Emit(ReportTurn{std::move(report)});
}

void Conversation::Say(absl::Time now, Line line) {
  lines_.push_back(std::move(line));
  SayNext(now);
}

void Conversation::SayNext(absl::Time now) {
  if (speaking_.has_value() || lines_.empty() || !awaited_.empty() || !heard_.words.empty()) return;
  // A text that waited behind this answer is asked about next, in a turn of its own: one after the other
  // then.
  if (!typed_.empty() || (asking_.has_value() && asking_->typed)) return;
  if (listening_.has_value() && listening_->confirmed) return;
  Speaking speaking;
  speaking.line = std::move(lines_.front());
  lines_.pop_front();
  interrupted_.reset();
  Line& line = speaking.line;
  if (line.times.said == absl::InfinitePast()) line.times.said = now;
  speaking.said = now;
  ++line.attempts;
  messages::TtsRequest& request = speaking.request;
  request.request_id = NewId("tts");
  request.timestamp = FormatTimestamp(now);
  request.trace_id = line.trace_id;
  request.text = line.text;
  request.voice_id = options_.voice_id;
  request.session_id = session_id();
  request.target_room = room_;
  request.constraints.format = options_.audio_format;
  request.constraints.sample_rate = options_.sample_rate;
  request.constraints.max_latency_ms = options_.max_latency_ms;
  request.turn_index = turn_index_;
  speaking_ = std::move(speaking);
  // A listener has to know the turn before its sound comes.
  UpdateState(now, true);
  Emit(RequestSpeech{speaking_->request});
}

void Conversation::StopSpeaking(absl::Time now, absl::string_view reason, bool keep_unheard) {
  std::deque<Line> kept;
  for (Line& line : lines_) {
    if (line.keep || keep_unheard) {
      kept.push_back(std::move(line));
    } else {
      Measure(now, line, "unheard");
    }
  }
  lines_ = std::move(kept);
  if (speaking_.has_value()) {
    messages::TtsCancel cancel;
    cancel.request_id = speaking_->request.request_id;
    cancel.timestamp = FormatTimestamp(now);
    cancel.trace_id = speaking_->line.trace_id;
    cancel.reason = std::string(reason);
    if (keep_unheard && speaking_->first_audio == absl::InfinitePast()) {
      Line line = std::move(speaking_->line);
      --line.attempts;
      line.times.said = absl::InfinitePast();
      lines_.push_front(std::move(line));
    } else {
      Measure(now, speaking_->line, "unheard");
    }
    speaking_.reset();
    // First of all: each millisecond is heard.
    effects_.insert(effects_.begin(), CancelSpeech{std::move(cancel)});
  }
  while (lines_.size() > kMaxUnheard && !lines_.front().keep) {
    Measure(now, lines_.front(), "unheard");
    lines_.pop_front();
  }
}

// The TTS failed: what has not been heard is asked for anew, in a turn of its own, so that nothing that still
// comes of the old request is heard.
void Conversation::SpeakAgain(absl::Time now, absl::string_view reason) {
  Emit(Count{metric_names::kTtsRetries, std::string(reason)});
  Line line = speaking_->line;
  line.text = Remaining(now);
  messages::TtsCancel cancel;
  cancel.request_id = speaking_->request.request_id;
  cancel.timestamp = FormatTimestamp(now);
  cancel.trace_id = line.trace_id;
  cancel.reason = "superseded";
  Emit(CancelSpeech{std::move(cancel)});
  speaking_.reset();
  if (line.text.empty()) {
    SpeechOver(now);
  } else if (line.attempts >= options_.tts_attempts) {
    Emit(StageResult{Stage::kTts, false, std::string(reason)});
    Measure(now, line, "unheard");
    SpeechOver(now);
  } else {
    NewTurn();
    lines_.push_front(std::move(line));
    SayNext(now);
  }
}

// The kiosk is silent again.
void Conversation::SpeechOver(absl::Time now) {
  speaking_.reset();
  if (session_.has_value()) session_->active_at = now;
  if (listening_.has_value() && !listening_->confirmed)
    Confirm(now);  // began to answer during the last words
  SayNext(now);
}

// What of the answer has not been heard, from the begin of its sentence; empty: all has.
std::string Conversation::Remaining(absl::Time now) const {
  const Speaking& speaking = *speaking_;
  const std::string& text = speaking.line.text;
  if (speaking.first_audio == absl::InfinitePast()) return text;
  const absl::Duration estimate = absl::Seconds(static_cast<double>(text.size()) / characters_per_second_);
  const absl::Duration sound = std::max(speaking.sound, speaking.promised);
  const absl::Duration total = speaking.over ? sound : std::max(estimate, sound);
  const absl::Duration heard = std::min(now - speaking.first_audio, sound);
  if (total <= absl::ZeroDuration() || (speaking.over && heard + kAlmostSaid >= total)) return "";
  const double part = absl::FDivDuration(heard, total);
  const auto position = static_cast<size_t>(part * static_cast<double>(text.size()));
  return text.substr(SentenceAt(text, position > kMargin ? position - kMargin : 0));
}

Conversation::Effects Conversation::OnSpokenAudio(absl::Time now, absl::string_view request_id,
                                                  absl::Duration lasts, bool end) {
  if (!speaking_.has_value() || speaking_->request.request_id != request_id) return Done(now);
  Speaking& speaking = *speaking_;
  speaking.retry_at = absl::InfiniteFuture();
  if (!end) {
    if (speaking.first_audio == absl::InfinitePast()) {
      speaking.first_audio = now;
      Measure(now, speaking.line, "");
    }
    speaking.heard_until = std::max(speaking.heard_until, now) + lasts;
    speaking.sound += lasts;
  } else {
    speaking.over = true;
    if (speaking.first_audio == absl::InfinitePast())
      Measure(now, speaking.line, "unheard");  // nothing to say
    if (speaking.heard_until <= now) SpeechOver(now);
  }
  return Done(now);
}

Conversation::Effects Conversation::OnSpeechCompleted(absl::Time now,
                                                      const messages::TtsCompleted& completed) {
  if (!speaking_.has_value() || speaking_->request.request_id != completed.request_id) return Done(now);
  if (!completed.ready_for_playback) {
    SpeakAgain(now, "cancelled");
    return Done(now);
  }
  Emit(StageResult{Stage::kTts, true, ""});
  Speaking& speaking = *speaking_;
  speaking.over = true;
  speaking.promised = absl::Milliseconds(completed.duration_ms);
  if (speaking.first_audio == absl::InfinitePast()) {
    // The sound went another way, such as a LiveKit track.
    speaking.first_audio = now;
    Measure(now, speaking.line, "");
  }
  if (speaking.sound < speaking.promised) {
    speaking.heard_until = std::max(speaking.heard_until, speaking.first_audio + speaking.promised);
  }
  const double seconds = absl::ToDoubleSeconds(speaking.promised);
  if (seconds > 0.5) {
    const double measured = static_cast<double>(speaking.line.text.size()) / seconds;
    characters_per_second_ = std::clamp(0.7 * characters_per_second_ + 0.3 * measured, 5.0, 40.0);
  }
  if (speaking.heard_until <= now) SpeechOver(now);
  return Done(now);
}

Conversation::Effects Conversation::OnSpeechFailed(absl::Time now, absl::string_view request_id,
                                                   absl::string_view reason) {
  if (!speaking_.has_value() || speaking_->request.request_id != request_id) return Done(now);
  SpeakAgain(now, reason);
  return Done(now);
}

Conversation::Effects Conversation::OnTtsUnreachable(absl::Time now, absl::string_view request_id) {
  if (!speaking_.has_value() || speaking_->request.request_id != request_id || speaking_->over ||
      speaking_->first_audio != absl::InfinitePast()) {
    return Done(now);
  }
  speaking_->retry_at = now + options_.retry;
  return Done(now);
}

// Time.

absl::Time Conversation::NextTime() const {
  absl::Time next = EndpointAt();
  for (const Awaited& awaited : awaited_) next = std::min(next, awaited.deadline);
  if (asking_.has_value() && !asking_->held.has_value()) {
    next = std::min({next, asking_->deadline, asking_->retry_at});
  } else if (asking_.has_value() && HoldsForNoise()) {
    next = std::min(next, asking_->held_until);
  }
  if (speaking_.has_value()) {
    const Speaking& speaking = *speaking_;
    next = std::min(next, speaking.retry_at);
    next =
        std::min(next, speaking.over ? speaking.heard_until
                                     : std::max(speaking.said, speaking.heard_until) + options_.tts_timeout);
  }
  if (interrupted_.has_value()) next = std::min(next, interrupted_->resume_at);
  if (session_.has_value() && session_->asks && session_->wait_until != absl::InfinitePast())
    next = std::min(next, session_->wait_until);
  if (session_.has_value() && !listening_.has_value() && !thinking() && !speaking_.has_value()) {
    next = std::min(next, session_->active_at + options_.conversation_timeout);
  }
  return next;
}

Conversation::Effects Conversation::OnTime(absl::Time now) {
  if (now >= EndpointAt()) Endpoint(now);
  for (auto it = awaited_.begin(); it != awaited_.end();) {
    if (now < it->deadline) {
      ++it;
      continue;
    }
    const Awaited utterance = std::move(*it);
    awaited_.erase(it);
    Emit(DropUtterance{utterance.utterance_id});
    Finish(now, utterance, nullptr);
    it = awaited_.begin();
  }
  if (session_.has_value() && session_->asks && now >= session_->wait_until &&
      session_->wait_until != absl::InfinitePast()) {
    session_->wait_until = absl::InfinitePast();
    AskNext(now);
  }
  if (HoldsForNoise() && now >= asking_->held_until) {
    // Sound without a word does not keep an answer back for ever.
    listening_->confirmed = false;
    listening_->noise = true;
    AskNext(now);
  }
  if (asking_.has_value() && !asking_->held.has_value()) {
    if (now >= asking_->deadline) {
      BrainFailed(now);
    } else if (now >= asking_->retry_at) {
      asking_->retry_at = absl::InfiniteFuture();
      Emit(AskBrain{asking_->request});
    }
  }
  if (speaking_.has_value()) {
    const Speaking& speaking = *speaking_;
    if (speaking.over) {
      if (now >= speaking.heard_until) SpeechOver(now);
    } else if (now >= std::max(speaking.said, speaking.heard_until) + options_.tts_timeout) {
      SpeakAgain(now, speaking.first_audio == absl::InfinitePast() ? "no_audio" : "audio_stopped");
    } else if (now >= speaking.retry_at) {
      speaking_->retry_at = absl::InfiniteFuture();
      Emit(RequestSpeech{speaking.request});
    }
  }
  if (interrupted_.has_value() && now >= interrupted_->resume_at && !listening_.has_value() && !thinking()) {
    Line line = std::move(interrupted_->rest);
    interrupted_.reset();
    line.attempts = 0;
    Emit(Count{metric_names::kResumedAnswers, ""});
    lines_.push_front(std::move(line));
    SayNext(now);
  }
  if (session_.has_value() && !listening_.has_value() && !thinking() && !speaking_.has_value() &&
      now >= session_->active_at + options_.conversation_timeout) {
    EndSession(now, "timeout", "abandoned");
  }
  return Done(now);
}

}  // namespace arc::voice
