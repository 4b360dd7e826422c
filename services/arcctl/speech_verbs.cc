// speak: what a microphone and a loudspeaker at the kiosk would do with a recording. say: the same, typed.
#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/audio/audio.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/messages/brain.h"
#include "common/messages/input.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/messages/ui.h"
#include "common/messages/voice.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/screen_summary.h"

namespace arc::arcctl {
namespace {

constexpr int kRate = 16000;
constexpr absl::Duration kFrame = absl::Milliseconds(20);
constexpr size_t kFrameSamples = 320;
// Quieter than this is not speech, when the end of the last word is looked for.
constexpr double kSpeechDb = -45;
// How long the kiosk has, from the end of the recording, until it begins to answer; and then until it has
// ended.
constexpr absl::Duration kAnswerWithin = absl::Seconds(15);
constexpr absl::Duration kSpeakWithin = absl::Seconds(60);

// What one utterance led to. Times are milliseconds since the end of the recording's last word; null: not
// seen.
struct SpokenTurn {
  std::string trace_id;
  std::string heard;
  std::optional<double> confidence;
  std::vector<messages::Intent> understood;
  std::string answered;
  std::string engine;
  std::vector<std::string> tools_called;
  std::optional<int64_t> heard_ms;        // its final text: endpointing, and the recogniser's tail
  std::optional<int64_t> understood_ms;   // the brain's answer
  std::optional<int64_t> first_audio_ms;  // the answer begins to sound
  int64_t brain_ms = 0;                   // as the brain measured it
  int64_t first_chunk_ms = 0;             // as the synthesiser measured it
  int64_t answer_audio_ms = 0;
  bool interrupted = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("trace_id", s.trace_id);
    v.Required("heard", s.heard);
    v.Nullable("confidence", s.confidence);
    v.Required("understood", s.understood);
    v.Required("answered", s.answered);
    v.Required("engine", s.engine);
    v.Required("tools_called", s.tools_called);
    v.Nullable("heard_ms", s.heard_ms);
    v.Nullable("understood_ms", s.understood_ms);
    v.Nullable("first_audio_ms", s.first_audio_ms);
    v.Required("brain_ms", s.brain_ms);
    v.Required("first_chunk_ms", s.first_chunk_ms);
    v.Required("answer_audio_ms", s.answer_audio_ms);
    v.Required("interrupted", s.interrupted);
  }
};

struct SpeakResult {
  std::string room;
  int64_t audio_ms = 0;  // of the recording
  std::vector<SpokenTurn> turns;
  std::optional<std::string> out;  // the file with the answer's sound
  std::optional<json::Raw> screen;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("room", s.room);
    v.Required("audio_ms", s.audio_ms);
    v.Required("turns", s.turns);
    v.Nullable("out", s.out);
    v.Nullable("screen", s.screen);
  }
};

// Hears what the voice agents say of one room. Each subject comes on a thread of its own, so that an answer
// may overtake its question: everything is kept under its ids and put together when it is asked for.
class Listener {
 public:
  Listener(const Session& session, std::string room) : session_(session), room_(std::move(room)) {}

  absl::Status Start() {
    const auto on = [this](absl::string_view subject, void (Listener::*handle)(const bus::Message&)) {
      absl::StatusOr<std::unique_ptr<bus::Subscription>> made =
          session_.bus.Subscribe(subject, "", [this, handle](const bus::Message& message) {
            std::lock_guard<std::mutex> lock(mutex_);
            (this->*handle)(message);
            changed_.notify_all();
          });
      if (made.ok()) subscriptions_.push_back(*std::move(made));
      return made.status();
    };
    RETURN_IF_ERROR(on(session_.SubjectOf(subjects::kTranscript), &Listener::OnTranscript));
    RETURN_IF_ERROR(on(session_.SubjectOf(subjects::kUiUpdate), &Listener::OnScreen));
    RETURN_IF_ERROR(on(subjects::kBrainResponse, &Listener::OnBrainResponse));
    RETURN_IF_ERROR(on(subjects::kBrainError, &Listener::OnError));
    RETURN_IF_ERROR(on(subjects::kSttError, &Listener::OnError));
    RETURN_IF_ERROR(on(subjects::kTtsError, &Listener::OnError));
    RETURN_IF_ERROR(on(subjects::kTtsRequest, &Listener::OnTtsRequest));
    RETURN_IF_ERROR(on(subjects::kTtsCompleted, &Listener::OnTtsCompleted));
    return on(absl::StrCat(subjects::kTtsAudioPrefix, ".", room_), &Listener::OnAudio);
  }

  // The last word has been sent just now.
  void WordsEnded() {
    std::lock_guard<std::mutex> lock(mutex_);
    words_ended_ = session_.bus.clock().Now();
  }

  // Whether something was heard since the recording ended.
  bool Heard() {
    std::lock_guard<std::mutex> lock(mutex_);
    return HeardLocked();
  }
  // Whether, besides, every utterance has been answered, and the answers' sound has ended.
  bool Answered() {
    std::lock_guard<std::mutex> lock(mutex_);
    return HeardLocked() &&
           std::all_of(transcripts_.begin(), transcripts_.end(),
                       [this](const Utterance& heard) { return IsAnswered(heard.trace_id); });
  }

  bool AwaitAnswered(absl::Duration limit) {
    Clock& clock = session_.bus.clock();
    std::unique_lock<std::mutex> lock(mutex_);
    return clock.WaitUntil(lock, changed_, clock.Now() + limit, [this] { return AnsweredLocked(); });
  }

  struct Outcome {
    std::vector<SpokenTurn> turns;
    std::optional<messages::UiUpdate> screen;
    std::optional<json::Raw> raw_screen;
    audio::Clip answer;  // of all turns; sound that is not PCM is left out
    std::vector<std::string> errors;
  };
  Outcome Take() {
    subscriptions_.clear();
    std::lock_guard<std::mutex> lock(mutex_);
    Outcome outcome;
    outcome.answer.rate = kRate;
    for (const Utterance& heard : transcripts_) {
      SpokenTurn turn;
      turn.trace_id = heard.trace_id;
      turn.heard = heard.transcript.text;
      turn.confidence = heard.transcript.confidence;
      turn.heard_ms = Since(heard.at);
      if (const Response* response = FindIn(responses_, heard.trace_id)) {
        turn.understood = response->response.intents;
        turn.answered = response->response.agent_response;
        turn.engine = response->response.metadata.llm_model;
        turn.tools_called = response->response.metadata.tools_called;
        turn.brain_ms = response->response.performance.total_processing_ms;
        turn.understood_ms = Since(response->at);
      }
      for (const messages::TtsRequest& request : requests_) {
        if (request.trace_id != heard.trace_id) continue;
        if (turn.answered.empty()) turn.answered = request.text;
        if (Sound* sound = FindIn(sounds_, request.request_id)) {
          if (!turn.first_audio_ms.has_value()) turn.first_audio_ms = Since(sound->first);
          outcome.answer.samples.insert(outcome.answer.samples.end(), sound->samples.begin(),
                                        sound->samples.end());
        }
        if (const messages::TtsCompleted* completed = FindIn(completed_, request.request_id)) {
          if (turn.answer_audio_ms == 0) turn.first_chunk_ms = completed->synthesis_latency_ms;
          turn.answer_audio_ms += completed->duration_ms;
          turn.interrupted |= !completed->ready_for_playback;
        }
      }
      for (const auto& [subject, error] : errors_) {
        if (error.trace_id != heard.trace_id) continue;
        outcome.errors.push_back(absl::StrCat(subject, ": ", error.error_type, ": ", error.error_message));
        if (turn.answered.empty()) turn.answered = error.fallback_response.value_or("");
      }
      outcome.turns.push_back(std::move(turn));
    }
    outcome.screen = std::move(screen_);
    outcome.raw_screen = std::move(raw_screen_);
    return outcome;
  }

 private:
  struct Utterance {
    std::string trace_id;
    messages::Transcript transcript;
    absl::Time at;
  };
  struct Response {
    messages::BrainResponse response;
    absl::Time at;
  };
  struct Sound {
    std::optional<audio::Resampler> resampler;
    audio::Samples samples;
    absl::Time first;
  };

  template <class T>
  static T* FindIn(std::map<std::string, T>& values, const std::string& id) {
    const auto found = values.find(id);
    return found == values.end() ? nullptr : &found->second;
  }

  bool HeardLocked() const {
    return words_ended_.has_value() && !transcripts_.empty() && transcripts_.back().at >= *words_ended_;
  }

  bool AnsweredLocked() {
    return HeardLocked() &&
           std::all_of(transcripts_.begin(), transcripts_.end(),
                       [this](const Utterance& heard) { return IsAnswered(heard.trace_id); });
  }

  bool IsAnswered(const std::string& trace_id) {
    const Response* response = FindIn(responses_, trace_id);
    if (response != nullptr && response->response.agent_response.empty()) return true;
    bool asked = false;
    for (const messages::TtsRequest& request : requests_) {
      if (request.trace_id != trace_id) continue;
      asked = true;
      if (!HasEnded(request.request_id)) return false;
    }
    return asked;
  }

  // Whether all sound of a request was heard, or none will come any more. `completed` may overtake the sound;
  // one that was cancelled has no end.
  bool HasEnded(const std::string& request_id) {
    if (failed_.count(request_id) > 0) return true;
    const messages::TtsCompleted* completed = FindIn(completed_, request_id);
    return completed != nullptr && (!completed->ready_for_playback || sound_ended_.count(request_id) > 0);
  }

  // Milliseconds since the last word; null while that is still to come.
  std::optional<int64_t> Since(absl::Time at) const {
    if (!words_ended_.has_value() || at < *words_ended_) return std::nullopt;
    return absl::ToInt64Milliseconds(at - *words_ended_);
  }

  absl::Time Now() const { return session_.bus.clock().Now(); }

  bool IsThisKiosk(const bus::Message& message) const {
    const std::string of = message.headers.Get(subjects::kKioskIdHeader).value_or("");
    const std::string wanted = session_.kiosk_id.empty() ? subjects::kDefaultKioskId : session_.kiosk_id;
    return session_.scoped || (of.empty() ? subjects::kDefaultKioskId : of) == wanted;
  }

  void OnTranscript(const bus::Message& message) {
    if (!IsThisKiosk(message)) return;
    const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, Now());
    if (!parsed.ok()) return;
    absl::StatusOr<messages::Transcript> transcript = DecodePayload<messages::Transcript>(*parsed);
    if (!transcript.ok() || !transcript->is_final || transcript->text.empty()) return;
    transcripts_.push_back({parsed->envelope.trace_id, *std::move(transcript), Now()});
  }

  void OnBrainResponse(const bus::Message& message) {
    absl::StatusOr<messages::BrainResponse> response = json::Decode<messages::BrainResponse>(message.body);
    if (!response.ok()) return;
    const std::string trace_id = response->trace_id;
    responses_[trace_id] = {*std::move(response), Now()};
  }

  void OnError(const bus::Message& message) {
    absl::StatusOr<messages::AgentError> error = json::Decode<messages::AgentError>(message.body);
    if (!error.ok()) return;
    if (message.subject == subjects::kTtsError) failed_.insert(error->request_id);
    errors_.emplace_back(message.subject, *std::move(error));
  }

  void OnTtsRequest(const bus::Message& message) {
    absl::StatusOr<messages::TtsRequest> request = json::Decode<messages::TtsRequest>(message.body);
    if (request.ok() && request->target_room == room_) requests_.push_back(*std::move(request));
  }

  void OnAudio(const bus::Message& message) {
    const absl::StatusOr<audio::Format> format =
        audio::ParseFormat(message.headers.Get(subjects::kAudioFormatHeader).value_or("pcm_s16le"));
    const std::string request_id = message.headers.Get(subjects::kRequestIdHeader).value_or("");
    if (message.headers.Has(subjects::kEndHeader)) sound_ended_.insert(request_id);
    if (!format.ok() || message.body.empty()) return;
    Sound& sound = sounds_[request_id];
    if (sound.first == absl::Time()) sound.first = Now();
    const absl::StatusOr<audio::Samples> samples = audio::DecodePcm(message.body, *format);
    if (!samples.ok()) return;
    if (!sound.resampler.has_value()) sound.resampler.emplace(format->rate, kRate);
    const audio::Samples heard = sound.resampler->Push(*samples);
    sound.samples.insert(sound.samples.end(), heard.begin(), heard.end());
  }

  void OnTtsCompleted(const bus::Message& message) {
    absl::StatusOr<messages::TtsCompleted> completed = json::Decode<messages::TtsCompleted>(message.body);
    if (!completed.ok()) return;
    const std::string request_id = completed->request_id;
    completed_[request_id] = *std::move(completed);
  }

  void OnScreen(const bus::Message& message) {
    if (!IsThisKiosk(message)) return;
    const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, Now());
    if (!parsed.ok()) return;
    absl::StatusOr<messages::UiUpdate> update = DecodePayload<messages::UiUpdate>(*parsed);
    if (!update.ok()) return;
    screen_ = *std::move(update);
    raw_screen_ = json::Raw{json::Encode(parsed->payload())};
  }

  const Session& session_;
  const std::string room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<absl::Time> words_ended_;
  std::vector<Utterance> transcripts_;
  std::map<std::string, Response> responses_;  // by trace_id
  std::vector<messages::TtsRequest> requests_;
  std::map<std::string, messages::TtsCompleted> completed_;  // by request_id, as the next two
  std::map<std::string, Sound> sounds_;
  std::set<std::string> sound_ended_;
  std::set<std::string> failed_;
  std::vector<std::pair<std::string, messages::AgentError>> errors_;  // with their subjects
  std::optional<messages::UiUpdate> screen_;
  std::optional<json::Raw> raw_screen_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;  // last: they call the rest
};

// Sends frames at the pace of a microphone.
class Microphone {
 public:
  Microphone(Session& session, std::string room)
      : session_(session),
        subject_(absl::StrCat(subjects::kVoiceAudioPrefix, ".", room)),
        next_(session.bus.clock().Now()) {}

  // Waits until the frame is due. False: the user wants to end.
  absl::StatusOr<bool> Send(absl::Span<const int16_t> samples) {
    Clock& clock = session_.bus.clock();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      clock.WaitUntil(lock, never_, next_, [&] { return session_.stop.stopped(); });
    }
    if (session_.stop.stopped()) return false;
    next_ += kFrame;
    bus::Message frame;
    frame.subject = subject_;
    frame.headers.Set(subjects::kAudioFormatHeader, audio::Format{}.ToString());
    frame.headers.Set(subjects::kSeqHeader, absl::StrCat(seq_++));
    if (!session_.kiosk_id.empty()) frame.headers.Set(subjects::kKioskIdHeader, session_.kiosk_id);
    audio::Samples whole(samples.begin(), samples.end());
    whole.resize(kFrameSamples);
    frame.body = audio::EncodePcm(whole);
    RETURN_IF_ERROR(session_.bus.Publish(frame));
    return true;
  }

 private:
  Session& session_;
  const std::string subject_;
  absl::Time next_;
  uint64_t seq_ = 0;
  std::mutex mutex_;
  std::condition_variable never_;
};

std::string IntentLine(const messages::Intent& intent) {
  const std::string name(EnumNames(messages::IntentType{})[static_cast<size_t>(intent.intent_type)]);
  std::vector<std::string> parts;
  for (const messages::IntentItem& item : intent.entities.items) {
    std::vector<std::string> with = item.modifiers;
    if (item.note.has_value()) with.push_back(absl::StrCat("\"", *item.note, "\""));
    parts.push_back(absl::StrCat(item.quantity, " x ", item.item_id, " ", item.name,
                                 with.empty() ? "" : absl::StrCat(" (", absl::StrJoin(with, ", "), ")")));
  }
  if (parts.empty() && intent.entities.item.has_value()) parts.push_back(*intent.entities.item);
  return parts.empty() ? name : absl::StrCat(name, ": ", absl::StrJoin(parts, ", "));
}

std::string Milliseconds(const std::optional<int64_t>& value) {
  return value.has_value() ? absl::StrCat(*value, " ms") : "-";
}

void PrintTurn(Session& session, const SpokenTurn& turn) {
  session.Print(absl::StrCat("heard:      ", turn.heard,
                             turn.confidence.has_value()
                                 ? absl::StrCat("  (confidence ", absl::SixDigits(*turn.confidence), ")")
                                 : ""));
  session.Print(absl::StrCat(
      "understood: ",
      turn.understood.empty()
          ? "-"
          : absl::StrJoin(turn.understood, "; ", [](std::string* out, const messages::Intent& intent) {
              absl::StrAppend(out, IntentLine(intent));
            })));
  session.Print(absl::StrCat("answered:   ", turn.answered, turn.interrupted ? "  (interrupted)" : ""));
  session.Print(absl::StrCat("times:      words heard after ", Milliseconds(turn.heard_ms),
                             ", answer known after ", Milliseconds(turn.understood_ms), " (brain ",
                             turn.brain_ms, " ms", turn.tools_called.empty() ? "" : ": ",
                             absl::StrJoin(turn.tools_called, ", "), "), first sound after ",
                             Milliseconds(turn.first_audio_ms), " (synthesis ", turn.first_chunk_ms,
                             " ms), answer ", turn.answer_audio_ms, " ms long"));
}

// What was said and answered, and its errors on stderr.
void PrintOutcome(Session& session, const SpeakResult& result, const Listener::Outcome& outcome) {
  if (session.json()) {
    session.Print(json::Encode(result));
  } else {
    for (const SpokenTurn& turn : result.turns) PrintTurn(session, turn);
    if (result.out.has_value()) session.Print(absl::StrCat("written:    ", *result.out));
    if (outcome.screen.has_value()) {
      for (const std::string& line : SummarizeScreen(*outcome.screen)) session.Print(line);
    }
  }
  for (const std::string& error : outcome.errors) session.err << "arcctl: " << error << "\n";
}

std::string RoomOf(const Session& session) {
  return session.arguments.Get(
      "room", session.kiosk_id.empty() ? std::string(subjects::kDefaultKioskId) : session.kiosk_id);
}

absl::Status RunSpeak(Session& session) {
  absl::StatusOr<audio::Clip> clip = audio::ReadSoundFile(session.arguments.words()[0]);
  if (!clip.ok()) return UsageError(clip.status().message());
  const audio::Samples samples = audio::Resample(clip->samples, clip->rate, kRate);
  size_t words_end = 0;  // the frame behind the last one that is no silence
  for (size_t at = 0; at < samples.size(); at += kFrameSamples) {
    const auto frame = absl::MakeConstSpan(samples).subspan(at, kFrameSamples);
    if (audio::LevelDb(frame) > kSpeechDb) words_end = at + kFrameSamples;
  }
  if (words_end == 0) {
    return UsageError(absl::StrCat(session.arguments.words()[0], ": there is nothing but silence"));
  }
  SpeakResult result;
  result.room = RoomOf(session);
  if (!subjects::IsValidKioskId(result.room)) {
    return UsageError("--room must be 1 to 64 letters, digits, - or _");
  }
  result.audio_ms = absl::ToInt64Milliseconds(audio::DurationOf(samples.size(), kRate));

  Listener listener(session, result.room);
  RETURN_IF_ERROR(listener.Start());
  Microphone microphone(session, result.room);
  bool ended = false;
  for (size_t at = 0; at < samples.size(); at += kFrameSamples) {
    ASSIGN_OR_RETURN(const bool go_on,
                     microphone.Send(absl::MakeConstSpan(samples).subspan(at, kFrameSamples)));
    if (!go_on) return absl::CancelledError("stopped");
    if (!ended && at + kFrameSamples >= words_end) {
      listener.WordsEnded();
      ended = true;
    }
  }
  // A microphone goes on when nobody speaks.
  const Clock& clock = session.bus.clock();
  const absl::Time sent = clock.Now();
  while (!listener.Answered() && clock.Now() < sent + (listener.Heard() ? kSpeakWithin : kAnswerWithin)) {
    ASSIGN_OR_RETURN(const bool go_on, microphone.Send({}));
    if (!go_on) return absl::CancelledError("stopped");
  }
  const bool answered = listener.Answered();
  Listener::Outcome outcome = listener.Take();
  result.turns = std::move(outcome.turns);
  result.screen = std::move(outcome.raw_screen);
  if (const auto out = session.arguments.GetOptional("out")) {
    RETURN_IF_ERROR(audio::WriteWav(*out, outcome.answer));
    result.out = *out;
  }
  PrintOutcome(session, result, outcome);
  if (result.turns.empty()) {
    return absl::DeadlineExceededError(absl::StrCat("nothing was heard within ",
                                                    absl::FormatDuration(kAnswerWithin),
                                                    ": do the agents voice and stt run (`arcctl status`)?"));
  }
  if (!answered) return absl::DeadlineExceededError("the kiosk did not answer to the end in time");
  return absl::OkStatus();
}

absl::Status RunSay(Session& session) {
  messages::TextInput input;
  input.text = absl::StrJoin(session.arguments.words(), " ");
  bus::Message ping;
  ping.subject = "$SRV.PING.voice";
  const bool voice = bus::CoreRequestAndWait(session.bus, std::move(ping), session.timeout).ok();
  if (!voice || session.arguments.Has("no_wait")) return SayAsInput(session, input.text);

  const std::string payload = json::Encode(input);
  // The same check that the voice agent makes, before anything is sent.
  const absl::StatusOr<messages::TextInput> valid = json::Decode<messages::TextInput>(payload);
  if (!valid.ok()) return UsageError(valid.status().message());
  SpeakResult result;
  result.room = RoomOf(session);
  Listener listener(session, result.room);
  RETURN_IF_ERROR(listener.Start());
  listener.WordsEnded();
  const Envelope envelope = MakeEnvelope(session.bus.clock().Now(), "");
  RETURN_IF_ERROR(PublishInput(session, session.SubjectOf(subjects::kTextInput), envelope, payload));
  const bool answered = listener.AwaitAnswered(session.timeout + kAnswerWithin);
  Listener::Outcome outcome = listener.Take();
  result.turns = std::move(outcome.turns);
  result.screen = std::move(outcome.raw_screen);
  PrintOutcome(session, result, outcome);
  if (result.turns.empty()) {
    return absl::DeadlineExceededError("the input is stored, but no voice agent took it up in time");
  }
  if (!answered) return absl::DeadlineExceededError("the kiosk did not answer to the end in time");
  return absl::OkStatus();
}

}  // namespace

void AddSpeechVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec speak;
  speak.name = "speak";
  speak.arguments = "FILE";
  speak.min_arguments = speak.max_arguments = 1;
  speak.summary = "speak a recording into the kiosk's microphone, and hear the answer";
  speak.details =
      "FILE is WAV, FLAC or Ogg. It is streamed in real time, as a microphone would; then silence, until "
      "the\n"
      "kiosk has answered. Prints what was heard, understood and answered, and how long after the last word\n"
      "each of it came.";
  speak.flags = {{"room", "R", "the voice room (default: the kiosk's id)"},
                 {"out", "FILE.wav", "write the answer's sound there, 16 kHz"}};
  verbs.push_back({std::move(speak), RunSpeak});

  VerbSpec say;
  say.name = "say";
  say.arguments = "TEXT...";
  say.min_arguments = 1;
  say.max_arguments = kAnyNumber;
  say.summary = "say something, typed instead of spoken";
  say.details =
      "With a voice agent in the fleet it goes the way of spoken words, and the answer is printed; else it "
      "is a\n"
      "search.";
  say.flags = {kNoWait, {"room", "R", "the voice room whose answer is printed (default: the kiosk's id)"}};
  verbs.push_back({std::move(say), RunSay});
}

}  // namespace arc::arcctl
