#include "services/stt/stt.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::stt {
namespace {

constexpr char kQueue[] = "stt";
constexpr char kAgent[] = "arc-stt";

constexpr absl::Duration kLongestFrame = absl::Seconds(1);
constexpr absl::Duration kPiece = absl::Milliseconds(100);  // decoded between two looks at what has come
constexpr int64_t kMostFramesLost = 1'000'000;              // that a transcript can say
constexpr size_t kLongestText = 4000;                       // of a transcript

constexpr char kUtterancesHelp[] = "Utterances that have ended, by outcome.";
constexpr char kEndsHelp[] = "Utterances that have ended, by what ended them.";
constexpr char kBusyHelp[] = "Requests turned away because every worker was taken.";
constexpr char kRefusedHelp[] = "Requests that could not be handled.";
constexpr char kFramesHelp[] = "Audio frames received.";
constexpr char kBadFramesHelp[] = "Audio frames that could not be used, by reason.";
constexpr char kLostHelp[] = "Audio frames missing between those received.";
constexpr char kReorderedHelp[] = "Audio frames that came after later ones.";
constexpr char kDoubledHelp[] = "Audio frames that came twice or too late.";
constexpr char kTailHelp[] = "Time from the end of the sound to the final text, in milliseconds.";
constexpr char kRealTimeFactorHelp[] = "Time of decoding the last utterance, divided by its length.";
constexpr char kDecodingHelp[] = "Time of decoding, in seconds.";
constexpr char kAudioHelp[] = "Length of what was decoded, in seconds.";
constexpr char kActiveHelp[] = "Utterances under way.";

// A frame within FrameOrder: its rate, then its samples, one channel.
std::string Pack(int rate, absl::Span<const int16_t> samples) {
  std::string packed(sizeof(rate), '\0');
  std::memcpy(packed.data(), &rate, sizeof(rate));
  return packed + audio::EncodePcm(samples);
}

int RateOf(const std::string& packed) {
  int rate = 0;
  std::memcpy(&rate, packed.data(), sizeof(rate));
  return rate;
}

absl::Duration DurationOf(const std::string& packed) {
  return packed.size() <= sizeof(int)
             ? absl::ZeroDuration()
             : audio::DurationOf((packed.size() - sizeof(int)) / sizeof(int16_t), RateOf(packed));
}

}  // namespace

struct Stt::Utterance {
  messages::SttRequest request;
  std::string kiosk_id;
  absl::Time begin;
  trace::Span span;  // of the handling of the request, to the final text
  std::unique_ptr<Recognition> recognition;
  std::unique_ptr<bus::Subscription> audio;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by `mutex`:
  audio::FrameOrder order{4, /*restarts=*/false};
  std::deque<std::string> frames;  // packed, in order
  absl::Duration received;         // length of all frames that were due
  absl::Time last_frame;
  absl::Time end;     // when no more sound was waited for
  std::string ended;  // why; empty while it goes on
  bool reported_bad_frame = false;

  // Of the worker:
  int rate = 0;
  std::optional<audio::Resampler> resampler;
  absl::Duration decoded;
  absl::Duration decoding;
  int retries = 0;
  std::string partial;
  absl::Time last_partial = absl::InfinitePast();

  // Needs `mutex`.
  void TakeDue(std::vector<std::string> due) {
    for (std::string& frame : due) {
      if (frame.size() <= sizeof(int)) continue;
      received += DurationOf(frame);
      frames.push_back(std::move(frame));
    }
  }
  void End(absl::string_view why, absl::Time now) {
    if (!ended.empty()) return;
    TakeDue(order.Flush());
    ended = std::string(why);
    end = now;
  }
};

Stt::Stt(SttOptions options, bus::Bus& bus, Engine& engine, Metrics& metrics,
         std::function<void(const absl::Status&)> on_engine_failure)
    : options_(std::move(options)),
      bus_(bus),
      clock_(bus.clock()),
      engine_(engine),
      metrics_(metrics),
      on_engine_failure_(std::move(on_engine_failure)) {
  for (const char* outcome : {"ok", "empty", "error"}) {
    metrics_.Increment(metric_names::kUtterances, kUtterancesHelp, {{"outcome", outcome}}, 0);
  }
  for (const char* why : {"end", "silence", "too_long", "drain"}) {
    metrics_.Increment(metric_names::kEnds, kEndsHelp, {{"why", why}}, 0);
  }
  for (const char* reason : {"format", "size", "seq"}) {
    metrics_.Increment(metric_names::kBadFrames, kBadFramesHelp, {{"reason", reason}}, 0);
  }
  metrics_.Increment(metric_names::kBusy, kBusyHelp, {}, 0);
  metrics_.Increment(metric_names::kRefused, kRefusedHelp, {}, 0);
  metrics_.Callback(metric_names::kActive, kActiveHelp, false,
                    [this] { return static_cast<double>(active()); });
}

Stt::~Stt() {
  StopTaking();
  Drain(absl::ZeroDuration());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

absl::Status Stt::Start() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    taking_ = true;
    while (workers_.size() < static_cast<size_t>(options_.workers)) workers_.emplace_back([this] { Work(); });
  }
  ASSIGN_OR_RETURN(requests_, bus_.Subscribe(subjects::kSttRequest, kQueue,
                                             [this](const bus::Message& message) { OnRequest(message); }));
  return absl::OkStatus();
}

void Stt::StopTaking() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    taking_ = false;
  }
  requests_.reset();
}

void Stt::Drain(absl::Duration limit) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto done = [this] { return utterances_.empty(); };
  if (clock_.WaitUntil(lock, changed_, clock_.Now() + limit, done)) return;
  for (const auto& [id, utterance] : utterances_) {
    const std::lock_guard<std::mutex> own(utterance->mutex);
    utterance->End("drain", clock_.Now());
    utterance->ended = "drain";
    utterance->changed.notify_all();
  }
  changed_.wait(lock, done);
}

int64_t Stt::active() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(utterances_.size());
}

void Stt::OnRequest(const bus::Message& message) {
  absl::StatusOr<messages::SttAccepted> answer = absl::UnknownError("");
  absl::StatusOr<messages::SttRequest> request = json::Decode<messages::SttRequest>(message.body);
  if (request.ok()) {
    answer = Claim(*request, message);
  } else {
    answer = request.status();
  }
  bus::Message reply;
  reply.subject = message.reply;
  if (answer.ok()) {
    reply.body = json::Encode(*answer);
    if (answer->status == "busy") metrics_.Increment(metric_names::kBusy, kBusyHelp);
  } else {
    metrics_.Increment(metric_names::kRefused, kRefusedHelp);
    const ErrorCode code = WireErrorCode(answer.status());
    reply.body = json::Encode(messages::ErrorResponse{
        std::string(ErrorCodeName(code)), std::string(answer.status().message()), IsRetryable(code)});
  }
  if (!message.reply.empty()) {
    bus_.Publish(reply).IgnoreError();
    return;
  }
  if (answer.ok() && answer->status == "accepted") return;
  if (absl::IsInvalidArgument(answer.status())) {
    bus::PublishDeadLetter(bus_, {kAgent, "", "", 0, 0}, message, answer.status(),
                           [](const absl::Status&) {});
    return;
  }
  Utterance unheard;
  unheard.request = *request;
  PublishError(unheard, "overloaded",
               answer.ok() ? absl::ResourceExhaustedError("every worker is taken") : answer.status());
}

absl::StatusOr<messages::SttAccepted> Stt::Claim(const messages::SttRequest& request,
                                                 const bus::Message& message) {
  if (!subjects::IsName(request.request_id, 100)) {
    return MakeError(ErrorCode::kInvalidRequest, "request_id: must be letters, digits, '-' and '_'");
  }
  if (!engine_.Understands(request.language)) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("language: ", engine_.name(), " does not understand it"));
  }
  if (const absl::Status health = engine_.Health(); !health.ok()) {
    return MakeError(ErrorCode::kUnavailable, health.message());
  }
  messages::SttAccepted answer;
  answer.request_id = request.request_id;
  answer.status = "busy";
  answer.worker_id = options_.worker_id;
  answer.engine = std::string(engine_.name());
  auto utterance = std::make_shared<Utterance>();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (utterances_.count(request.request_id) > 0) {
      return MakeError(ErrorCode::kInvalidRequest, "request_id: is of an utterance that is under way");
    }
    if (!taking_ || taken_ >= options_.workers) return answer;
    ++taken_;
    utterances_.emplace(request.request_id, utterance);
  }
  const auto give_up = [&] {
    utterance->recognition.reset();
    const std::lock_guard<std::mutex> lock(mutex_);
    utterances_.erase(request.request_id);
    --taken_;
    changed_.notify_all();
  };
  utterance->request = request;
  utterance->kiosk_id = message.headers.Get(subjects::kKioskIdHeader).value_or("");
  utterance->begin = utterance->last_frame = clock_.Now();
  // Frames count from 0: this makes a first frame that is lost, or late, as good as any other.
  utterance->order.Push(0, "");
  absl::StatusOr<std::unique_ptr<Recognition>> recognition = engine_.Begin(request.language);
  if (!recognition.ok()) {
    give_up();
    if (absl::IsResourceExhausted(recognition.status())) return answer;
    return MakeError(ErrorCode::kUnavailable, recognition.status().message());
  }
  utterance->recognition = *std::move(recognition);
  answer.audio_subject = absl::StrCat(subjects::kSttAudioPrefix, ".", request.request_id);
  absl::StatusOr<std::unique_ptr<bus::Subscription>> audio =
      bus_.Subscribe(answer.audio_subject, "",
                     // Ends before the utterance does: the worker destroys it.
                     [this, raw = utterance.get()](const bus::Message& frame) { OnFrame(*raw, frame); });
  if (!audio.ok()) {
    give_up();
    return MakeError(ErrorCode::kUnavailable, audio.status().message());
  }
  utterance->audio = *std::move(audio);
  bus::Taken taken;
  taken.subject = subjects::kSttRequest;
  taken.trace_id = request.trace_id;
  taken.session_id = request.session_id;
  taken.kiosk_id = utterance->kiosk_id;
  taken.message_id = request.request_id;
  taken.sent = taken.begin = utterance->begin;
  utterance->span = bus::BeginProcessing(message, taken);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    claimed_.push_back(std::move(utterance));
  }
  changed_.notify_all();
  answer.status = "accepted";
  return answer;
}

void Stt::OnFrame(Utterance& utterance, const bus::Message& message) {
  metrics_.Increment(metric_names::kFrames, kFramesHelp);
  const absl::Time now = clock_.Now();
  const bool is_end = message.headers.Get(subjects::kEndHeader) == "true";
  const auto bad = [&](absl::string_view reason, const absl::Status& status) {
    metrics_.Increment(metric_names::kBadFrames, kBadFramesHelp, {{"reason", std::string(reason)}});
    bool first = false;
    {
      const std::lock_guard<std::mutex> lock(utterance.mutex);
      first = !std::exchange(utterance.reported_bad_frame, true);
    }
    if (first) PublishError(utterance, "invalid_audio", status);
  };

  std::optional<uint64_t> seq;
  std::string packed;
  bool usable = true;
  if (const std::optional<std::string> header = message.headers.Get(subjects::kSeqHeader)) {
    uint64_t number = 0;
    // The last numbers there are would wrap around.
    if (absl::SimpleAtoi(*header, &number) && number < (uint64_t{1} << 62)) {
      seq = number + 1;
    } else {
      bad("seq", absl::InvalidArgumentError("header Seq: must be a number from 0"));
      usable = false;
    }
  }
  if (usable && !message.body.empty()) {
    const absl::StatusOr<audio::Format> format =
        audio::ParseFormat(message.headers.Get(subjects::kAudioFormatHeader).value_or("pcm_s16le"));
    absl::StatusOr<audio::Samples> samples = absl::InvalidArgumentError("no format");
    if (!format.ok()) {
      bad("format", format.status());
    } else if (samples = audio::DecodePcm(message.body, *format); !samples.ok()) {
      bad(format->encoding == audio::Encoding::kPcmS16le ? "size" : "format", samples.status());
    } else if (audio::DurationOf(samples->size(), format->rate) > kLongestFrame) {
      samples = absl::InvalidArgumentError("a frame is longer than 1 s");
      bad("size", samples.status());
    }
    if (samples.ok()) {
      packed = Pack(format->rate, *samples);
    } else {
      usable = false;
    }
  }

  {
    const std::lock_guard<std::mutex> lock(utterance.mutex);
    if (!utterance.ended.empty()) return;
    utterance.last_frame = now;
    // A frame that cannot be used still says that it was not lost.
    if (usable || seq.has_value()) utterance.TakeDue(utterance.order.Push(seq, std::move(packed)));
    if (is_end) {
      utterance.End("end", now);
    } else if (utterance.received >= options_.max_utterance) {
      utterance.End("too_long", now);
    }
  }
  utterance.changed.notify_all();
}

void Stt::Work() {
  while (true) {
    std::shared_ptr<Utterance> utterance;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !claimed_.empty(); });
      if (claimed_.empty()) return;
      utterance = std::move(claimed_.front());
      claimed_.pop_front();
    }
    Run(*utterance);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      utterances_.erase(utterance->request.request_id);
    }
    changed_.notify_all();
  }
}

void Stt::Run(Utterance& utterance) {
  const trace::Scope scope(utterance.span.context());
  trace::Span engine(absl::StrCat("engine ", engine_.name()), trace::SpanKind::kInternal);
  const absl::StatusOr<Hypothesis> hypothesis = Recognize(utterance);
  engine.SetStatus(hypothesis.status());
  engine.Set("audio_ms", absl::ToInt64Milliseconds(utterance.decoded));
  engine.Set("decoding_ms", absl::ToInt64Milliseconds(utterance.decoding));
  engine.End();
  utterance.audio.reset();
  utterance.retries = utterance.recognition->retries();
  utterance.recognition.reset();
  {
    // Before anything is said: who hears the last of an utterance may claim the worker for the next one.
    const std::lock_guard<std::mutex> lock(mutex_);
    --taken_;
  }
  bool drained = false;
  {
    const std::lock_guard<std::mutex> lock(utterance.mutex);
    if (utterance.ended.empty()) utterance.End("end", clock_.Now());
    drained = utterance.ended == "drain";
  }
  if (drained) {
    const absl::Status status = absl::UnavailableError("the worker is shutting down");
    PublishError(utterance, "shutting_down", status);
    Finished(utterance, "error", status);
  } else if (!hypothesis.ok()) {
    absl::string_view type = "engine_failed";
    if (absl::IsDeadlineExceeded(hypothesis.status())) type = "timeout";
    if (absl::IsFailedPrecondition(hypothesis.status())) type = "engine_refused";
    PublishError(utterance, type, hypothesis.status());
    Finished(utterance, "error", hypothesis.status());
    if (on_engine_failure_) on_engine_failure_(hypothesis.status());
  } else {
    PublishTranscript(utterance, hypothesis->text, /*is_final=*/true, hypothesis->confidence);
    Finished(utterance, hypothesis->text.empty() ? "empty" : "ok", absl::OkStatus());
  }
}

absl::StatusOr<Hypothesis> Stt::Recognize(Utterance& utterance) {
  const absl::Time latest = utterance.begin + options_.max_utterance + options_.sender_silence;
  while (true) {
    std::deque<std::string> frames;
    {
      std::unique_lock<std::mutex> lock(utterance.mutex);
      const absl::Time deadline = std::min(latest, utterance.last_frame + options_.sender_silence);
      const bool more = clock_.WaitUntil(lock, utterance.changed, deadline, [&utterance] {
        return !utterance.frames.empty() || !utterance.ended.empty();
      });
      if (!more) {
        if (clock_.Now() < std::min(latest, utterance.last_frame + options_.sender_silence)) continue;
        utterance.End(clock_.Now() >= latest ? "too_long" : "silence", clock_.Now());
      }
      if (utterance.ended == "drain") return absl::CancelledError("drained");
      if (utterance.frames.empty() && !utterance.ended.empty()) break;
      frames.swap(utterance.frames);
    }
    for (const std::string& frame : frames) {
      const absl::Time begin = clock_.Now();
      RETURN_IF_ERROR(Decode(utterance, frame));
      utterance.decoding += clock_.Now() - begin;
      PublishPartial(utterance);
    }
  }
  const absl::Time begin = clock_.Now();
  if (utterance.resampler.has_value()) {
    RETURN_IF_ERROR(utterance.recognition->Push(utterance.resampler->Flush()));
  }
  absl::StatusOr<Hypothesis> hypothesis = utterance.recognition->Finish();
  utterance.decoding += clock_.Now() - begin;
  if (hypothesis.ok() && hypothesis->text.size() > kLongestText) {
    size_t end = hypothesis->text.rfind(' ', kLongestText);
    if (end == std::string::npos) end = 0;
    hypothesis->text.resize(end);
  }
  return hypothesis;
}

absl::Status Stt::Decode(Utterance& utterance, const std::string& frame) {
  const int rate = RateOf(frame);
  audio::Format format;
  format.rate = rate;
  ASSIGN_OR_RETURN(const audio::Samples samples,
                   audio::DecodePcm(absl::string_view(frame).substr(sizeof(rate)), format));
  utterance.decoded += audio::DurationOf(samples.size(), rate);
  if (rate != utterance.rate) {
    if (utterance.resampler.has_value()) {
      RETURN_IF_ERROR(utterance.recognition->Push(utterance.resampler->Flush()));
    }
    utterance.rate = rate;
    utterance.resampler.emplace(rate, kEngineRate);
  }
  const audio::Samples resampled = utterance.resampler->Push(samples);
  absl::Span<const int16_t> rest(resampled);
  const auto piece = static_cast<size_t>(absl::ToInt64Milliseconds(kPiece) * kEngineRate / 1000);
  while (!rest.empty()) {
    RETURN_IF_ERROR(utterance.recognition->Push(rest.first(std::min(piece, rest.size()))));
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  return absl::OkStatus();
}

void Stt::PublishPartial(Utterance& utterance) {
  const absl::Time now = clock_.Now();
  if (now - utterance.last_partial < options_.partial_interval) return;
  std::string text = utterance.recognition->Partial();
  if (text.empty() || text == utterance.partial || text.size() > kLongestText) return;
  utterance.last_partial = now;
  utterance.partial = std::move(text);
  PublishTranscript(utterance, utterance.partial, /*is_final=*/false, std::nullopt);
}

void Stt::PublishTranscript(Utterance& utterance, const std::string& text, bool is_final,
                            std::optional<double> confidence) {
  messages::SttTranscript transcript;
  const absl::Time now = clock_.Now();
  transcript.request_id = utterance.request.request_id;
  transcript.timestamp = FormatTimestamp(now);
  transcript.trace_id = utterance.request.trace_id;
  transcript.session_id = utterance.request.session_id;
  transcript.room_name = utterance.request.room_name;
  transcript.text = text;
  transcript.confidence = confidence;
  transcript.language = utterance.request.language.empty() ? "en-US" : utterance.request.language;
  transcript.is_final = is_final;
  transcript.audio_ms = absl::ToInt64Milliseconds(utterance.decoded);
  transcript.engine = std::string(engine_.name());
  {
    const std::lock_guard<std::mutex> lock(utterance.mutex);
    if (is_final) {
      transcript.latency_ms = std::max<int64_t>(0, absl::ToInt64Milliseconds(now - utterance.last_frame));
    }
    transcript.frames_lost = std::min(utterance.order.counts().lost, kMostFramesLost);
  }
  Publish(subjects::kSttTranscript, utterance, json::Encode(transcript), /*traced=*/is_final);
}

void Stt::PublishError(Utterance& utterance, absl::string_view type, const absl::Status& status) {
  messages::AgentError error;
  error.request_id = utterance.request.request_id;
  error.timestamp = FormatTimestamp(clock_.Now());
  error.trace_id = utterance.request.trace_id;
  error.error_type = std::string(type);
  error.error_message = std::string(status.message().substr(0, 2000));
  error.retry_count = utterance.retries;
  Log(LogLevel::kWarning, "agent.stt.error",
      {{"request_id", error.request_id},
       {"trace_id", error.trace_id},
       {"error_type", error.error_type},
       {"error", error.error_message}});
  Publish(subjects::kSttError, utterance, json::Encode(error), /*traced=*/true);
}

void Stt::Publish(absl::string_view subject, const Utterance& utterance, std::string body, bool traced) {
  bus::Message message;
  message.subject = std::string(subject);
  message.body = std::move(body);
  if (!utterance.kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, utterance.kiosk_id);
  const std::string& trace_id = utterance.request.trace_id;
  if (!traced) bus::SetTraceParent(message, trace::ContextFor(trace_id));
  const absl::Status sent =
      traced ? bus::PublishTraced(bus_, std::move(message), trace_id) : bus_.Publish(message);
  if (!sent.ok()) {
    Log(LogLevel::kWarning, "an utterance's message is lost", {{"error", std::string(sent.message())}});
  }
}

void Stt::Finished(Utterance& utterance, absl::string_view outcome, const absl::Status& status) {
  utterance.span.SetStatus(status);
  utterance.span.End();
  const absl::Time now = clock_.Now();
  audio::FrameOrder::Counts counts;
  absl::Time end;
  std::string why;
  {
    const std::lock_guard<std::mutex> lock(utterance.mutex);
    counts = utterance.order.counts();
    end = utterance.end;
    why = utterance.ended;
  }
  metrics_.Increment(metric_names::kUtterances, kUtterancesHelp, {{"outcome", std::string(outcome)}});
  metrics_.Increment(metric_names::kEnds, kEndsHelp, {{"why", why}});
  metrics_.Increment(metric_names::kFramesLost, kLostHelp, {}, static_cast<double>(counts.lost));
  metrics_.Increment(metric_names::kFramesReordered, kReorderedHelp, {},
                     static_cast<double>(counts.reordered));
  metrics_.Increment(metric_names::kFramesDoubled, kDoubledHelp, {}, static_cast<double>(counts.doubled));
  const double audio = absl::ToDoubleSeconds(utterance.decoded);
  const double decoding = absl::ToDoubleSeconds(utterance.decoding);
  metrics_.Increment(metric_names::kAudioSeconds, kAudioHelp, {}, audio);
  metrics_.Increment(metric_names::kDecodingSeconds, kDecodingHelp, {}, decoding);
  if (options_.on_handled) options_.on_handled(now - end, status);
  if (outcome == "error") return;
  metrics_.Observe(metric_names::kTail, kTailHelp, {}, absl::ToDoubleMilliseconds(now - end));
  if (audio > 0) metrics_.Set(metric_names::kRealTimeFactor, kRealTimeFactorHelp, {}, decoding / audio);
}

}  // namespace arc::stt
