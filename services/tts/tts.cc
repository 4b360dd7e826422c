#include "services/tts/tts.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"
#include "common/subjects/subjects.h"
#include "services/tts/frames.h"
#include "services/tts/speakable.h"

namespace arc::tts {
namespace {

constexpr char kRequestsHelp[] = "Requests by how they ended.";
constexpr char kFirstAudioHelp[] = "From a request to its first audio, in milliseconds.";
constexpr char kLateHelp[] = "Requests whose first audio came later than they allowed.";
constexpr char kSentenceHelp[] = "What the engine took for a sentence, in milliseconds.";
constexpr char kAudioSecondsHelp[] = "Audio published, in seconds.";
constexpr char kCacheHelp[] = "Sentences looked for in the cache.";
constexpr char kCacheBytesHelp[] = "What the cache holds.";
constexpr char kActiveHelp[] = "Requests in work.";

// A speech that is ahead of its playing wakes up again when that much is due.
constexpr absl::Duration kStep = absl::Milliseconds(100);

bool IsPrintable(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

}  // namespace

struct Tts::Speech {
  // Fixed:
  messages::TtsRequest request;
  absl::Time received;
  Voice voice;
  audio::Format format;
  std::vector<std::string> sentences;
  std::vector<std::string> notes;
  Stop stop;
  trace::SpanContext context;  // of `span`

  std::mutex mutex;
  // Guarded by `mutex`:
  size_t next_sentence = 0;
  bool synthesising = false;        // a task for next_sentence stands in the pool or runs
  std::deque<std::string> waiting;  // frames that may not go out yet
  uint64_t published = 0;           // frames
  uint64_t next_seq = 0;
  std::optional<absl::Time> first_audio;
  absl::Time last_audio;
  absl::Time plays_until;  // when the listener has played what was published
  bool from_cache = true;  // all sentences so far
  std::optional<Clock::TimerId> timer;
  bool ended = false;
  trace::Span span;

  absl::Duration DurationOf(uint64_t frames) const {
    return audio::DurationOf(frames * SamplesPerFrame(format), format.rate);
  }
};

Tts::Tts(Engine& engine, Clock& clock, const Options& options, Output& output, Metrics* metrics)
    : engine_(engine),
      clock_(clock),
      options_(options),
      output_(output),
      metrics_(metrics),
      cache_(options.cache_bytes),
      executor_(std::make_unique<bus::Executor>(options.workers)) {
  if (metrics_ == nullptr) return;
  // Series that exist from the start can be watched for their first increase.
  for (const char* outcome :
       {"completed", "cancelled", "failed", "invalid", "overloaded", "duplicate", "unavailable"}) {
    metrics_->Increment(kRequestsMetric, kRequestsHelp, {{"outcome", outcome}}, 0);
  }
  for (const char* result : {"hit", "miss"}) {
    metrics_->Increment(kCacheMetric, kCacheHelp, {{"result", result}}, 0);
  }
  metrics_->Increment(kLateMetric, kLateHelp, {}, 0);
  metrics_->Increment(kAudioSecondsMetric, kAudioSecondsHelp, {}, 0);
}

Tts::~Tts() {
  draining_ = true;
  std::vector<SpeechPtr> speeches;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [id, speech] : speeches_) speeches.push_back(speech);
  }
  for (const SpeechPtr& speech : speeches) {
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (!speech->ended) End(*speech, Outcome::kCancelled, "", "");
  }
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return timers_ == 0; });
  }
  executor_.reset();
}

absl::Status Tts::Say(const messages::TtsRequest& request, trace::Span span) {
  if (draining_) {
    Count("unavailable");
    return absl::UnavailableError("the agent is ending");
  }
  absl::StatusOr<audio::Format> format =
      ChooseFormat(request.constraints.format, request.constraints.sample_rate);
  absl::Status invalid = format.status();
  if (invalid.ok() && !subjects::IsValidRoom(request.target_room)) {
    invalid = absl::InvalidArgumentError("target_room: must be 1 to 100 letters, digits, '-' and '_'");
  }
  if (invalid.ok() && !IsPrintable(request.request_id)) {
    invalid = absl::InvalidArgumentError("request_id: must not hold control characters: it becomes a header");
  }
  if (!invalid.ok()) {
    Count("invalid");
    return invalid;
  }
  if (const absl::Status health = engine_.Health(); !health.ok()) {
    Count("unavailable");
    return absl::UnavailableError(health.message());
  }
  auto speech = std::make_shared<Speech>();
  speech->request = request;
  speech->received = clock_.Now();
  speech->format = *format;
  VoiceChoice choice = ChooseVoice(request.voice_id, engine_.voices());
  speech->voice = std::move(choice.voice);
  if (!choice.exact) {
    speech->notes.push_back(
        absl::StrCat("there is no voice '", request.voice_id, "': ", speech->voice.id, " stands in"));
  }
  if (format->rate != request.constraints.sample_rate) {
    speech->notes.push_back(
        absl::StrCat("Opus has no ", request.constraints.sample_rate, " Hz: ", format->rate, " Hz instead"));
  }
  speech->context = span.context();
  speech->span = std::move(span);
  speech->sentences = SpeakableSentences(request.text, engine_.dialect());
  if (speech->sentences.empty()) speech->notes.push_back("there is nothing in the text that can be said");

  bool cancelled = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (speeches_.count(request.request_id) > 0) {
      Count("duplicate");
      return absl::AlreadyExistsError("this request is in work already");
    }
    cancelled = TakeCancel(request.request_id);
    if (!cancelled && speeches_.size() >= static_cast<size_t>(options_.max_active)) {
      Count("overloaded");
      return absl::ResourceExhaustedError(absl::StrCat(options_.max_active, " requests are in work already"));
    }
    speeches_.emplace(request.request_id, speech);
    if (metrics_ != nullptr) {
      metrics_->Set(kActiveMetric, kActiveHelp, {}, static_cast<double>(speeches_.size()));
    }
  }
  std::lock_guard<std::mutex> lock(speech->mutex);
  if (speech->ended) return absl::OkStatus();
  if (cancelled) {
    End(*speech, Outcome::kCancelled, "", "");
  } else {
    Pump(speech);
  }
  return absl::OkStatus();
}

void Tts::Cancel(const messages::TtsCancel& cancel) {
  SpeechPtr speech;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = speeches_.find(cancel.request_id);
    if (found == speeches_.end()) {
      DropOldCancels();
      const absl::Time now = clock_.Now();
      if (cancelled_.emplace(cancel.request_id, now).second) {
        cancel_order_.emplace_back(now, cancel.request_id);
      }
      return;
    }
    speech = found->second;
  }
  std::lock_guard<std::mutex> lock(speech->mutex);
  if (!speech->ended) End(*speech, Outcome::kCancelled, "", "");
}

void Tts::Drain(absl::Duration limit) {
  draining_ = true;
  std::vector<SpeechPtr> speeches;
  const auto collect = [&] {
    speeches.clear();
    for (const auto& [id, speech] : speeches_) speeches.push_back(speech);
  };
  {
    std::lock_guard<std::mutex> lock(mutex_);
    collect();
  }
  for (const SpeechPtr& speech : speeches) {
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (!speech->ended) Pump(speech);
  }
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait_for(lock, absl::ToChronoMilliseconds(limit), [this] { return speeches_.empty(); });
    collect();
  }
  for (const SpeechPtr& speech : speeches) {
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (!speech->ended) End(*speech, Outcome::kFailed, "shutting_down", "the agent ends");
  }
}

int64_t Tts::active() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(speeches_.size());
}

void Tts::Synthesise(const SpeechPtr& speech) {
  const trace::Scope scope(speech->context);
  std::string sentence;
  {
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (speech->ended) return;
    sentence = speech->sentences[speech->next_sentence];
  }
  const absl::Status status = SaySentence(speech, sentence);
  std::lock_guard<std::mutex> lock(speech->mutex);
  speech->synthesising = false;
  ++speech->next_sentence;
  if (speech->ended) return;
  if (!status.ok()) {
    Log(LogLevel::kWarning, "a sentence could not be synthesised",
        {{"error", std::string(status.message())}, {"trace_id", speech->request.trace_id}});
    End(*speech, Outcome::kFailed, absl::IsDeadlineExceeded(status) ? "timeout" : "engine_failed",
        status.message());
    return;
  }
  Pump(speech);
}

absl::Status Tts::SaySentence(const SpeechPtr& speech, const std::string& sentence) {
  const std::string key = Cache::Key(speech->voice.id, speech->format, sentence);
  const Frames cached = cache_.Find(key);
  if (metrics_ != nullptr) {
    metrics_->Increment(kCacheMetric, kCacheHelp, {{"result", cached != nullptr ? "hit" : "miss"}});
  }
  if (cached != nullptr) {
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (speech->ended) return absl::CancelledError("ended");
    speech->waiting.insert(speech->waiting.end(), cached->begin(), cached->end());
    Pump(speech);
    return absl::OkStatus();
  }

  const absl::Time begin = clock_.Now();
  FrameMaker maker(speech->format);
  auto made = std::make_shared<std::vector<std::string>>();
  absl::Status encoding;
  // False when nobody wants more.
  const auto take = [&](absl::StatusOr<std::vector<std::string>> frames) {
    if (!frames.ok()) {
      encoding = std::move(frames).status();
      return false;
    }
    made->insert(made->end(), frames->begin(), frames->end());
    std::lock_guard<std::mutex> lock(speech->mutex);
    if (speech->ended) return false;
    speech->from_cache = false;
    for (std::string& frame : *frames) speech->waiting.push_back(std::move(frame));
    Pump(speech);
    return !speech->ended;
  };
  trace::Span tracing(absl::StrCat("engine ", engine_.name()), trace::SpanKind::kInternal, speech->context);
  absl::Status status = engine_.Synthesise(
      speech->voice, sentence, speech->stop,
      [&](absl::Span<const int16_t> samples, int rate) { return take(maker.Push(samples, rate)); });
  // Nobody wanted more: no failure of the engine.
  if (!absl::IsCancelled(status)) tracing.SetStatus(status);
  tracing.End();
  if (status.ok()) take(maker.Flush());
  if (!encoding.ok()) return encoding;
  if (!status.ok()) return status;
  if (metrics_ != nullptr) {
    metrics_->Observe(kSentenceMetric, kSentenceHelp, {}, absl::ToDoubleMilliseconds(clock_.Now() - begin));
  }
  cache_.Put(key, std::move(made));
  if (metrics_ != nullptr) {
    metrics_->Set(kCacheBytesMetric, kCacheBytesHelp, {}, static_cast<double>(cache_.bytes()));
  }
  return absl::OkStatus();
}

void Tts::Pump(const SpeechPtr& speech) {
  const absl::Duration frame = speech->DurationOf(1);
  while (!speech->waiting.empty()) {
    const absl::Time now = clock_.Now();
    const absl::Duration ahead = speech->first_audio.has_value() ? speech->plays_until - now : -frame;
    if (!draining_ && ahead + frame > options_.lead) {
      ArmTimer(speech, ahead + frame - options_.lead + kStep);
      break;
    }
    const absl::Status status = PublishFrame(*speech, false, std::move(speech->waiting.front()));
    speech->waiting.pop_front();
    if (!status.ok()) {
      End(*speech, Outcome::kFailed, "undeliverable", status.message());
      return;
    }
    if (!speech->first_audio.has_value()) {
      speech->first_audio = now;
      const absl::Duration latency = now - speech->received;
      const int64_t allowed = speech->request.constraints.max_latency_ms;
      if (metrics_ != nullptr) {
        metrics_->Observe(kFirstAudioMetric, kFirstAudioHelp,
                          {{"source", speech->from_cache ? "cache" : "engine"}},
                          absl::ToDoubleMilliseconds(latency));
        if (allowed > 0 && absl::ToInt64Milliseconds(latency) > allowed) {
          metrics_->Increment(kLateMetric, kLateHelp);
        }
      }
    }
    ++speech->published;
    speech->last_audio = now;
    speech->plays_until = std::max(speech->plays_until, now) + frame;
  }
  if (speech->synthesising) return;
  if (speech->next_sentence < speech->sentences.size()) {
    if (speech->DurationOf(speech->waiting.size()) >= options_.lead) return;  // the timer comes here again
    speech->synthesising = true;
    executor_->Run([this, speech] { Synthesise(speech); });
    return;
  }
  if (speech->waiting.empty()) End(*speech, Outcome::kCompleted, "", "");
}

absl::Status Tts::PublishFrame(Speech& speech, bool end, std::string payload) {
  AudioFrame frame;
  frame.room = speech.request.target_room;
  frame.request_id = speech.request.request_id;
  frame.trace_id = speech.request.trace_id;
  frame.turn = speech.request.turn_index;
  frame.seq = speech.next_seq++;
  frame.format = speech.format;
  frame.end = end;
  frame.payload = std::move(payload);
  return output_.Publish(frame);
}

void Tts::End(Speech& speech, Outcome outcome, absl::string_view error_type, absl::string_view error) {
  const trace::Scope scope(speech.context);
  speech.ended = true;
  speech.waiting.clear();
  DisarmTimer(speech);
  speech.stop.Request();
  const absl::Time now = clock_.Now();
  // A listener that has heard something is told that it was all, unless somebody wanted silence.
  if (outcome == Outcome::kCompleted || (outcome == Outcome::kFailed && speech.published > 0)) {
    PublishFrame(speech, true, "").IgnoreError();
  }
  if (outcome == Outcome::kFailed) {
    messages::AgentError failed;
    failed.request_id = speech.request.request_id;
    failed.timestamp = FormatTimestamp(now);
    failed.trace_id = speech.request.trace_id;
    failed.error_type = std::string(error_type);
    failed.error_message = std::string(error.substr(0, 2000));
    output_.Failed(failed);
  } else {
    output_.Completed(Report(speech, now, outcome == Outcome::kCompleted));
  }
  Count(outcome == Outcome::kCompleted   ? "completed"
        : outcome == Outcome::kCancelled ? "cancelled"
                                         : "failed");
  if (metrics_ != nullptr) {
    metrics_->Increment(kAudioSecondsMetric, kAudioSecondsHelp, {},
                        absl::ToDoubleSeconds(speech.DurationOf(speech.published)));
  }
  if (options_.on_handled && (speech.first_audio.has_value() || outcome == Outcome::kFailed)) {
    options_.on_handled(speech.first_audio.value_or(now) - speech.received,
                        outcome == Outcome::kFailed ? absl::UnknownError(error) : absl::OkStatus());
  }
  if (speech.first_audio.has_value()) {
    speech.span.Set("first_audio_ms", absl::ToInt64Milliseconds(*speech.first_audio - speech.received));
  }
  speech.span.Set("kiosk.outcome", outcome == Outcome::kCompleted   ? "completed"
                                   : outcome == Outcome::kCancelled ? "cancelled"
                                                                    : "failed");
  if (outcome == Outcome::kFailed) speech.span.SetStatus(absl::UnknownError(error_type));
  speech.span.End();
  std::lock_guard<std::mutex> lock(mutex_);
  speeches_.erase(speech.request.request_id);  // callers hold the speech itself
  if (metrics_ != nullptr) {
    metrics_->Set(kActiveMetric, kActiveHelp, {}, static_cast<double>(speeches_.size()));
  }
  ended_.notify_all();
}

messages::TtsCompleted Tts::Report(const Speech& speech, absl::Time now, bool ready) {
  const auto since = [&](absl::Time time) { return absl::ToInt64Milliseconds(time - speech.received); };
  messages::TtsCompleted completed;
  completed.request_id = speech.request.request_id;
  completed.timestamp = FormatTimestamp(now);
  completed.trace_id = speech.request.trace_id;
  completed.duration_ms = absl::ToInt64Milliseconds(speech.DurationOf(speech.published));
  completed.synthesis_latency_ms = since(speech.first_audio.value_or(now));
  completed.audio_format = speech.format.encoding == audio::Encoding::kOpus ? "opus" : "pcm";
  completed.ready_for_playback = ready;
  completed.voice_id = speech.voice.id;
  completed.sample_rate = speech.format.rate;
  completed.total_latency_ms = since(speech.published > 0 ? speech.last_audio : now);
  const int64_t allowed = speech.request.constraints.max_latency_ms;
  completed.within_max_latency = allowed == 0 || completed.synthesis_latency_ms <= allowed;
  completed.from_cache = speech.published > 0 && speech.from_cache;
  if (!speech.notes.empty()) completed.note = absl::StrJoin(speech.notes, "; ");
  return completed;
}

void Tts::ArmTimer(const SpeechPtr& speech, absl::Duration delay) {
  if (speech->timer.has_value()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++timers_;
  }
  speech->timer = clock_.RunAfter(delay, [this, speech] {
    {
      std::lock_guard<std::mutex> lock(speech->mutex);
      speech->timer.reset();
      if (!speech->ended) Pump(speech);
    }
    TimerDone();
  });
}

void Tts::DisarmTimer(Speech& speech) {
  if (speech.timer.has_value() && clock_.Cancel(*speech.timer)) TimerDone();
  speech.timer.reset();
}

void Tts::TimerDone() {
  std::lock_guard<std::mutex> lock(mutex_);
  --timers_;
  ended_.notify_all();
}

bool Tts::TakeCancel(const std::string& request_id) {
  DropOldCancels();
  return cancelled_.erase(request_id) > 0;
}

void Tts::DropOldCancels() {
  const absl::Time old = clock_.Now() - options_.cancel_memory;
  while (!cancel_order_.empty() &&
         (cancel_order_.front().first <= old || cancelled_.size() >= options_.max_cancels)) {
    const auto found = cancelled_.find(cancel_order_.front().second);
    // A cancel that met its request may stand in the order still, or again.
    if (found != cancelled_.end() && found->second == cancel_order_.front().first) cancelled_.erase(found);
    cancel_order_.pop_front();
  }
}

void Tts::Count(absl::string_view outcome) {
  if (metrics_ == nullptr) return;
  metrics_->Increment(kRequestsMetric, kRequestsHelp, {{"outcome", std::string(outcome)}});
}

}  // namespace arc::tts
