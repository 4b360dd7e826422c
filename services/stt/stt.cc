#include "services/stt/stt.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/audio/audio.h"
#include "common/bus/dead_letter.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::stt {
namespace {

constexpr absl::Duration kDrainSubscription = absl::Milliseconds(500);

// A request's id becomes a token of a subject.
absl::Status CheckRequestId(const std::string& id) {
  const bool token = std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
  if (token) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest, "request_id: must be letters, digits, - and _");
}

std::string ErrorReply(const absl::Status& error) {
  messages::ErrorResponse response;
  const ErrorCode code = WireErrorCode(error);
  response.error_code = std::string(ErrorCodeName(code));
  response.error_message = std::string(error.message());
  response.retryable = IsRetryable(code);
  return json::Encode(response);
}

std::string AcceptedReply(const std::string& request_id, const char* status, const std::string& worker_id,
                          absl::string_view engine) {
  messages::SttAccepted accepted;
  accepted.request_id = request_id;
  accepted.status = status;
  accepted.worker_id = worker_id;
  accepted.engine = std::string(engine);
  accepted.audio_subject = absl::StrCat(subjects::kSttAudioPrefix, ".", request_id);
  return json::Encode(accepted);
}

}  // namespace

// One utterance: frames come on a thread of the bus and are taken by the utterance's own.
class Stt::Utterance {
 public:
  Utterance(messages::SttRequest asked, std::unique_ptr<Recognition> begun, absl::Time now)
      : request(std::move(asked)), recognition(std::move(begun)), last_frame(now) {}

  struct Frame {
    std::string format;
    std::string body;
    std::optional<uint64_t> seq;
    bool end = false;
    absl::Time at;
  };

  // Takes a frame from the bus; false: the queue is full.
  bool Push(Frame frame, size_t max_bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    last_frame = frame.at;
    if (queued_bytes + frame.body.size() > max_bytes) return false;
    queued_bytes += frame.body.size();
    queue.push_back(std::move(frame));
    changed.notify_all();
    return true;
  }

  // Ends with what it has.
  void Stop() {
    std::lock_guard<std::mutex> lock(mutex);
    stopped = true;
    changed.notify_all();
  }

  // The frames that have come, once there are some, or nothing when `until` or the sender's time is over.
  std::vector<Frame> Take(Clock& clock, absl::Duration sender_timeout, absl::Time until, bool* over) {
    std::unique_lock<std::mutex> lock(mutex);
    while (queue.empty() && !stopped) {
      const absl::Time deadline = std::min(until, last_frame + sender_timeout);
      if (clock.Now() >= deadline) break;
      clock.WaitUntil(lock, changed, deadline, [this] { return !queue.empty() || stopped; });
    }
    std::vector<Frame> frames(std::make_move_iterator(queue.begin()), std::make_move_iterator(queue.end()));
    queue.clear();
    queued_bytes = 0;
    *over = frames.empty();
    return frames;
  }

  const messages::SttRequest request;
  const std::unique_ptr<Recognition> recognition;
  std::unique_ptr<bus::Subscription> subscription;  // reset by the utterance's thread, before it is forgotten

 private:
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Frame> queue;
  size_t queued_bytes = 0;
  absl::Time last_frame;
  bool stopped = false;
};

Stt::Stt(bus::Bus& bus, Engine& engine, SttOptions options, Metrics* metrics)
    : bus_(bus),
      engine_(engine),
      options_(std::move(options)),
      metrics_(metrics),
      executor_(std::make_unique<bus::Executor>()) {
  if (metrics_ != nullptr) {
    metrics_->Callback(kActiveMetric, "Utterances that are being recognised.", false,
                       [this] { return static_cast<double>(active()); });
  }
}

Stt::~Stt() {
  Drain(absl::ZeroDuration());
  executor_.reset();
}

absl::Status Stt::Start() {
  std::lock_guard<std::mutex> lock(mutex_);
  return TakeRequests();
}

absl::Status Stt::TakeRequests() {
  if (requests_ != nullptr || draining_) return absl::OkStatus();
  ASSIGN_OR_RETURN(requests_, bus_.Subscribe(subjects::kSttRequest, kQueueGroup,
                                             [this](const bus::Message& message) { OnRequest(message); }));
  return absl::OkStatus();
}

absl::Status Stt::FollowHealth() {
  absl::Status health = engine_.Health();
  std::unique_ptr<bus::Subscription> ended;
  std::lock_guard<std::mutex> lock(mutex_);
  if (health.ok()) return TakeRequests();
  ended = std::move(requests_);
  return health;
}

void Stt::Drain(absl::Duration limit) {
  std::unique_ptr<bus::Subscription> requests;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
    requests = std::move(requests_);
  }
  if (requests != nullptr) requests->Drain(std::min(limit, kDrainSubscription));
  requests.reset();
  Clock& clock = bus_.clock();
  std::unique_lock<std::mutex> lock(mutex_);
  const auto none = [this] { return utterances_.empty(); };
  if (limit > absl::ZeroDuration()) clock.WaitUntil(lock, ended_, clock.Now() + limit, none);
  for (const auto& [id, utterance] : utterances_) utterance->Stop();
  ended_.wait(lock, none);
}

int64_t Stt::active() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(utterances_.size());
}

void Stt::Count(const char* metric, const char* help, const char* label, absl::string_view value, double by) {
  if (metrics_ != nullptr) metrics_->Increment(metric, help, {{label, std::string(value)}}, by);
}

void Stt::Reply(const bus::Message& message, const std::string& body) {
  if (message.reply.empty()) return;
  bus::Message reply;
  reply.subject = message.reply;
  reply.body = body;
  bus_.Publish(reply).IgnoreError();
}

void Stt::Refuse(const bus::Message& message, const absl::Status& error) {
  Count(kRequestsMetric, "Requests by what became of them.", "outcome", "invalid");
  Log(LogLevel::kWarning, "a request is malformed", {{"error", std::string(error.message())}});
  Reply(message, ErrorReply(error));
  bus::PublishDeadLetter(bus_, {kAgentName, "", "", 0, 1}, message, error, nullptr);
}

void Stt::OnRequest(const bus::Message& message) {
  absl::StatusOr<messages::SttRequest> request = json::Decode<messages::SttRequest>(message.body);
  if (!request.ok()) return Refuse(message, request.status());
  if (absl::Status valid = CheckRequestId(request->request_id); !valid.ok()) return Refuse(message, valid);
  if (message.reply.empty()) {
    return Refuse(message, MakeError(ErrorCode::kInvalidRequest,
                                     "the request asks for no reply, so that nobody knows its worker"));
  }
  if (!engine_.Understands(request->language)) {
    return Refuse(message, MakeError(ErrorCode::kInvalidRequest, absl::StrCat("language: ", request->language,
                                                                              " is not understood here")));
  }
  const std::string id = request->request_id;
  const auto busy = [&] {
    Count(kRequestsMetric, "Requests by what became of them.", "outcome", "busy");
    Reply(message, AcceptedReply(id, "busy", options_.worker_id, engine_.name()));
  };
  std::shared_ptr<Utterance> utterance;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (utterances_.count(id) > 0) {
      // Asked again, because the answer was lost: it is still the same worker.
      Reply(message, AcceptedReply(id, "accepted", options_.worker_id, engine_.name()));
      return;
    }
    if (draining_) return busy();
    absl::StatusOr<std::unique_ptr<Recognition>> recognition = engine_.Begin(request->language);
    if (!recognition.ok()) return busy();
    utterance = std::make_shared<Utterance>(*std::move(request), *std::move(recognition), bus_.clock().Now());
    utterances_[id] = utterance;
  }
  // Before the answer, so that the first frame is heard.
  absl::StatusOr<std::unique_ptr<bus::Subscription>> audio = bus_.Subscribe(
      absl::StrCat(subjects::kSttAudioPrefix, ".", id), "",
      [this, weak = std::weak_ptr<Utterance>(utterance)](bus::Message frame) {
        const std::shared_ptr<Utterance> of = weak.lock();
        if (of == nullptr) return;
        Utterance::Frame taken;
        taken.format = frame.headers.Get(subjects::kAudioFormatHeader).value_or("");
        taken.end = frame.headers.Get(subjects::kEndHeader) == "true";
        taken.at = bus_.clock().Now();
        uint64_t seq = 0;
        const std::optional<std::string> text = frame.headers.Get(subjects::kSeqHeader);
        if (text.has_value() && absl::SimpleAtoi(*text, &seq)) taken.seq = seq;
        taken.body = std::move(frame.body);
        if (!of->Push(std::move(taken), options_.max_queued_bytes)) {
          Count(kFramesMetric, "Frames of sound by what became of them.", "result", "overflow");
        }
      });
  if (!audio.ok()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      utterances_.erase(id);
      ended_.notify_all();
    }
    return busy();
  }
  utterance->subscription = *std::move(audio);
  Count(kRequestsMetric, "Requests by what became of them.", "outcome", "accepted");
  Reply(message, AcceptedReply(id, "accepted", options_.worker_id, engine_.name()));
  executor_->Run([this, utterance] { Run(utterance); });
}

void Stt::Publish(const char* subject, const std::string& body, const std::string& trace_id) {
  bus::Message message;
  message.subject = subject;
  message.body = body;
  const std::string parent = TraceParent(trace_id);
  if (!parent.empty()) message.headers.Set(subjects::kTraceParentHeader, parent);
  if (absl::Status status = bus_.Publish(message); !status.ok()) {
    Log(LogLevel::kWarning, "a message could not be sent",
        {{"subject", subject}, {"error", std::string(status.message())}, {"trace_id", trace_id}});
  }
}

void Stt::Run(const std::shared_ptr<Utterance>& utterance) {
  Clock& clock = bus_.clock();
  const messages::SttRequest& request = utterance->request;
  Recognition& recognition = *utterance->recognition;
  // A frame that waits for those before it is kept as text: 'E' for the last one, its format, its bytes.
  audio::FrameOrder order;
  std::map<int, audio::Resampler> resamplers;  // a sender that changes its rate has one stream a rate
  size_t samples = 0;
  bool ended = false;
  bool too_long = false;
  absl::Time end_at = absl::InfinitePast();  // when the last frame came
  std::string partial;
  absl::Time partial_at = absl::InfinitePast();
  absl::Duration working;
  absl::Status failed;

  messages::SttTranscript transcript;
  transcript.request_id = request.request_id;
  transcript.trace_id = request.trace_id;
  transcript.session_id = request.session_id;
  transcript.room_name = request.room_name;
  transcript.language = request.language;
  transcript.engine = std::string(engine_.name());
  const auto send = [&] {
    transcript.timestamp = FormatTimestamp(clock.Now());
    transcript.audio_ms = absl::ToInt64Milliseconds(audio::DurationOf(samples, kEngineRate));
    transcript.frames_lost = order.counts().lost;
    Publish(subjects::kSttTranscript, json::Encode(transcript), request.trace_id);
  };

  const auto hear = [&](const std::string& packed) {
    if (packed.front() == 'E') {
      ended = true;
      return;
    }
    const size_t line = packed.find('\n');
    const absl::StatusOr<audio::Format> format = audio::ParseFormat(packed.substr(1, line - 1));
    const absl::StatusOr<audio::Samples> sound =
        format.ok() ? audio::DecodePcm(absl::string_view(packed).substr(line + 1), *format) : format.status();
    if (!sound.ok()) {
      Count(kFramesMetric, "Frames of sound by what became of them.", "result", "bad");
      return;
    }
    auto resampler = resamplers.find(format->rate);
    if (resampler == resamplers.end()) {
      resampler = resamplers.emplace(format->rate, audio::Resampler(format->rate, kEngineRate)).first;
    }
    const audio::Samples taken = resampler->second.Push(*sound);
    if (audio::DurationOf(samples + taken.size(), kEngineRate) > options_.max_utterance) {
      too_long = true;
      return;
    }
    samples += taken.size();
    Count(kFramesMetric, "Frames of sound by what became of them.", "result", "heard");
    failed = recognition.Push(taken);
  };

  while (!ended && !too_long && failed.ok()) {
    const bool ending = end_at != absl::InfinitePast();
    bool over = false;
    std::vector<Utterance::Frame> frames =
        utterance->Take(clock, options_.sender_timeout,
                        ending ? end_at + options_.reorder_grace : absl::InfiniteFuture(), &over);
    const absl::Time begin = clock.Now();
    std::vector<std::string> due;
    for (Utterance::Frame& frame : frames) {
      if (frame.end && end_at == absl::InfinitePast()) end_at = frame.at;
      std::string packed = frame.end ? std::string("E") : absl::StrCat("F", frame.format, "\n", frame.body);
      for (std::string& ready : order.Push(frame.seq, std::move(packed))) due.push_back(std::move(ready));
    }
    if (over) {
      // Nothing more comes: what waited for missing frames is all there is.
      for (std::string& ready : order.Flush()) due.push_back(std::move(ready));
    }
    for (const std::string& packed : due) {
      if (!ended && !too_long && failed.ok()) hear(packed);
    }
    working += clock.Now() - begin;
    if (over || ended || too_long || !failed.ok()) break;
    if (clock.Now() - partial_at < options_.partial_interval) continue;
    std::string words = recognition.Partial();
    if (words.empty() || words == partial) continue;
    partial = std::move(words);
    partial_at = clock.Now();
    transcript.text = partial;
    send();
  }
  utterance->subscription.reset();
  if (end_at == absl::InfinitePast()) end_at = clock.Now();

  const absl::Time finishing = clock.Now();
  absl::StatusOr<Hypothesis> heard = failed.ok() ? recognition.Finish() : failed;
  const absl::Time now = clock.Now();
  working += now - finishing;
  if (order.counts().lost > 0) {
    Count(kFramesMetric, "Frames of sound by what became of them.", "result", "lost",
          static_cast<double>(order.counts().lost));
  }
  if (order.counts().doubled > 0) {
    Count(kFramesMetric, "Frames of sound by what became of them.", "result", "doubled",
          static_cast<double>(order.counts().doubled));
  }
  if (heard.ok()) {
    transcript.text = heard->text;
    transcript.confidence = heard->confidence;
    transcript.is_final = true;
    transcript.latency_ms = absl::ToInt64Milliseconds(now - end_at);
    send();
    const char* outcome = !ended                ? (too_long ? "too_long" : "abandoned")
                          : heard->text.empty() ? "empty"
                                                : "heard";
    Count(kUtterancesMetric, "Utterances by how they ended.", "outcome", outcome);
  } else {
    messages::AgentError error;
    error.request_id = request.request_id;
    error.timestamp = FormatTimestamp(now);
    error.trace_id = request.trace_id;
    error.error_type = absl::IsDeadlineExceeded(heard.status()) ? "timeout" : "engine_failed";
    error.error_message = std::string(heard.status().message());
    error.retry_count = recognition.retries();
    Publish(subjects::kSttError, json::Encode(error), request.trace_id);
    Count(kUtterancesMetric, "Utterances by how they ended.", "outcome", "failed");
    Log(LogLevel::kWarning, "an utterance could not be recognised",
        {{"error", std::string(heard.status().message())}, {"trace_id", request.trace_id}});
  }
  if (metrics_ != nullptr) {
    const absl::Duration sound = audio::DurationOf(samples, kEngineRate);
    metrics_->Observe(kTailMetric, "From an utterance's last frame to its final text, in ms.", {},
                      absl::ToDoubleMilliseconds(now - end_at));
    metrics_->Increment(kAudioSecondsMetric, "Sound that was recognised, in seconds.", {},
                        absl::ToDoubleSeconds(sound));
    if (sound > absl::ZeroDuration()) {
      metrics_->Observe(kRealTimeMetric, "Time of recognising over time of sound.", {},
                        absl::FDivDuration(working, sound));
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  utterances_.erase(request.request_id);
  ended_.notify_all();
}

}  // namespace arc::stt
