#include "services/brain/service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/subjects/subjects.h"

namespace arc::brain {
namespace {

constexpr char kQueue[] = "brain";
constexpr int kFailuresUntilReport = 3;

bus::Message MakeMessage(absl::string_view subject, std::string body, absl::string_view kiosk_id) {
  bus::Message message;
  message.subject = std::string(subject);
  message.body = std::move(body);
  if (!kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_id);
  return message;
}

// The request_id of a body that is otherwise malformed; empty when it cannot be read.
std::string RequestIdOf(absl::string_view body) {
  const absl::StatusOr<json::Document> document = json::Parse(body);
  if (!document.ok() || !document->root().IsObject()) return "";
  const auto found = document->root().FindMember("request_id");
  if (found == document->root().MemberEnd() || !found->value.IsString()) return "";
  std::string id(found->value.GetString(), found->value.GetStringLength());
  return id.size() <= 200 ? id : "";
}

messages::AgentError MakeAgentError(Clock& clock, const std::string& request_id, const std::string& trace_id,
                                    const std::string& type, absl::string_view message) {
  messages::AgentError error;
  error.request_id = request_id;
  error.timestamp = FormatTimestamp(clock.Now());
  error.trace_id = trace_id;
  error.error_type = type;
  error.error_message = std::string(message.substr(0, 1900));
  error.fallback_response = "I'm having trouble with that right now. Could you say it again?";
  return error;
}

}  // namespace

Service::Service(bus::Bus& bus, bus::Executor& executor, Metrics& metrics, Brain& brain,
                 ServiceOptions options)
    : bus_(bus), executor_(executor), metrics_(metrics), brain_(brain), options_(std::move(options)) {}

Service::~Service() {
  Stop(absl::InfiniteDuration());
}

absl::Status Service::Start() {
  if (subscription_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<bus::Subscription>> subscription = bus_.Subscribe(
      subjects::kBrainRequest, kQueue, [this](const bus::Message& message) { OnRequest(message); });
  if (!subscription.ok()) return std::move(subscription).status();
  subscription_ = *std::move(subscription);
  return absl::OkStatus();
}

void Service::Stop(absl::Duration limit) {
  if (subscription_ != nullptr) {
    subscription_->Drain(std::min(limit, absl::Seconds(1)));
    subscription_.reset();
  }
  AwaitIdle(limit);
}

bool Service::AwaitIdle(absl::Duration limit) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return bus_.clock().WaitUntil(lock, idle_, bus_.clock().Now() + limit, [&] { return in_flight_ == 0; });
}

int64_t Service::in_flight() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return in_flight_;
}

void Service::OnRequest(const bus::Message& message) {
  absl::StatusOr<messages::BrainRequest> request = json::Decode<messages::BrainRequest>(message.body);
  if (request.ok()) {
    if (request->context.kiosk_id.empty()) {
      request->context.kiosk_id = message.headers.Get(subjects::kKioskIdHeader).value_or("");
    }
    if (!request->context.kiosk_id.empty() && !subjects::IsValidKioskId(request->context.kiosk_id)) {
      request = MakeError(ErrorCode::kInvalidRequest,
                          "context.kiosk_id: must be 1 to 64 of A-Z, a-z, 0-9, - and _");
    }
  }
  if (!request.ok()) {
    Refuse(message, request.status());
    return;
  }
  const absl::Time now = bus_.clock().Now();
  auto answer = std::make_shared<Answer>();
  answer->request_id = request->request_id;
  answer->at = now;
  std::vector<bus::Message> again;
  bool overloaded = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Forget(now);
    const auto known = answers_.find(request->request_id);
    if (known != answers_.end()) {
      Answer& before = *known->second;
      if (!before.done) {
        before.again = true;
        if (!message.reply.empty() && before.replies.size() < 16) before.replies.push_back(message.reply);
        return;
      }
      again = before.messages;
      if (!message.reply.empty()) {
        bus::Message reply = before.messages.back();
        reply.subject = message.reply;
        reply.body = before.reply_body;
        again.push_back(std::move(reply));
      }
    } else if (in_flight_ >= options_.max_in_flight) {
      overloaded = true;
    } else {
      ++in_flight_;
      if (!message.reply.empty()) answer->replies.push_back(message.reply);
      order_.push_back(answer);
      answers_[answer->request_id] = answer;
    }
  }
  if (!again.empty()) {
    metrics_.Increment(brain_metrics::kRequests, "requests by outcome", {{"outcome", "duplicate"}});
    for (const bus::Message& copy : again) bus_.Publish(copy).IgnoreError();
    return;
  }
  if (overloaded) {
    metrics_.Increment(brain_metrics::kRequests, "requests by outcome", {{"outcome", "overloaded"}});
    metrics_.Increment(brain_metrics::kErrors, "agent.brain.error by type", {{"type", "unavailable"}});
    const messages::AgentError error = MakeAgentError(bus_.clock(), request->request_id, request->trace_id,
                                                      "unavailable", "too many requests are in work");
    bus::Message out = MakeMessage(subjects::kBrainError, json::Encode(error), request->context.kiosk_id);
    bus::PublishTraced(bus_, out, request->trace_id).IgnoreError();
    if (!message.reply.empty()) {
      out.subject = message.reply;
      bus_.Publish(out).IgnoreError();
    }
    return;
  }
  // The header alone is needed later.
  bus::Message head;
  head.subject = message.subject;
  head.headers = message.headers;
  executor_.Run(
      [this, head = std::move(head), request = *std::move(request), answer] { Work(head, request, answer); });
}

void Service::Refuse(const bus::Message& message, const absl::Status& error) {
  metrics_.Increment(brain_metrics::kRequests, "requests by outcome", {{"outcome", "malformed"}});

  const std::string request_id = RequestIdOf(message.body);
  if (!request_id.empty()) {
    metrics_.Increment(brain_metrics::kErrors, "agent.brain.error by type", {{"type", "invalid_request"}});
    bus::Message out = MakeMessage(
        subjects::kBrainError,
        json::Encode(MakeAgentError(bus_.clock(), request_id, "", "invalid_request", error.message())), "");
    bus_.Publish(out).IgnoreError();
    if (!message.reply.empty()) {
      out.subject = message.reply;
      bus_.Publish(out).IgnoreError();
    }
  }
  bus::DeadLetterSource source;
  source.agent = options_.agent_name;
  bus::PublishDeadLetter(bus_, source, message, error, [](const absl::Status& status) {
    if (!status.ok()) {
      Log(LogLevel::kWarning, "dead letter was not stored", {{"error", std::string(status.message())}});
    }
  });
}

void Service::Work(const bus::Message& head, const messages::BrainRequest& request,
                   const std::shared_ptr<Answer>& answer) {
  bus::Taken taken;
  taken.subject = subjects::kBrainRequest;
  taken.trace_id = request.trace_id;
  taken.session_id = request.session_id;
  taken.kiosk_id = request.context.kiosk_id;
  taken.message_id = request.request_id;
  taken.sent = answer->at;
  taken.begin = bus_.clock().Now();
  trace::Span span = bus::BeginProcessing(head, taken);
  const trace::Scope scope(span.context());
  bus::CallContext context;
  context.session_id = request.session_id;
  context.trace_id = request.trace_id;
  context.kiosk_id = request.context.kiosk_id;
  BusTools tools(bus_, context);
  const Outcome outcome = brain_.Handle(request, tools);
  Log(LogLevel::kDebug, "turn",
      {{"request_id", request.request_id},
       {"input", request.user_input},
       {"answer", outcome.response.has_value() ? outcome.response->agent_response : ""}});
  std::vector<bus::Message> out;
  std::string reply_body;
  if (outcome.error.has_value()) {
    reply_body = json::Encode(*outcome.error);
    out.push_back(MakeMessage(subjects::kBrainError, reply_body, request.context.kiosk_id));
  }
  if (outcome.response.has_value()) {
    reply_body = json::Encode(*outcome.response);
    out.push_back(MakeMessage(subjects::kBrainResponse, reply_body, request.context.kiosk_id));
  }

  Count(outcome);
  if (!outcome.response.has_value()) span.SetStatus(absl::UnknownError("no answer"));
  Finish(answer, request.trace_id, std::move(out), reply_body);
}

void Service::Finish(const std::shared_ptr<Answer>& answer, const std::string& trace_id,
                     std::vector<bus::Message> messages, const std::string& reply_body) {
  // Also of what is said again to whoever asks for the same once more.
  for (bus::Message& message : messages) bus::SetTraceParent(message, trace::ContextFor(trace_id));
  std::vector<std::string> replies;
  bool again = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    answer->done = true;
    answer->messages = messages;
    answer->reply_body = reply_body;
    replies = std::move(answer->replies);
    again = answer->again;
  }
  for (int round = 0; round < (again ? 2 : 1); ++round) {
    for (const bus::Message& message : messages) {
      const absl::Status sent = bus::PublishTraced(bus_, message, trace_id);
      if (!sent.ok()) {
        Log(LogLevel::kWarning, "answer was not sent", {{"error", std::string(sent.message())}});
      }
    }
  }
  for (const std::string& subject : replies) {
    bus::Message reply = messages.back();
    reply.subject = subject;
    reply.body = reply_body;
    bus_.Publish(reply).IgnoreError();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  --in_flight_;
  idle_.notify_all();
}

void Service::Forget(absl::Time now) {
  while (!order_.empty()) {
    const std::shared_ptr<Answer>& oldest = order_.front();
    const bool expired = now - oldest->at >= options_.duplicate_window;
    if (!oldest->done || (!expired && order_.size() < options_.max_remembered)) return;
    answers_.erase(oldest->request_id);
    order_.pop_front();
  }
}

void Service::Count(const Outcome& outcome) {
  const bool answered = outcome.response.has_value();
  if (options_.on_handled) {
    options_.on_handled(outcome.took,
                        answered ? absl::OkStatus()
                                 : absl::UnknownError(outcome.error.has_value() ? outcome.error->error_message
                                                                                : "no answer"));
  }
  metrics_.Increment(brain_metrics::kRequests, "requests by outcome",
                     {{"outcome", !answered                   ? "error"
                                  : outcome.error.has_value() ? "fallback"
                                                              : "answered"}});
  if (outcome.error.has_value()) {
    metrics_.Increment(brain_metrics::kErrors, "agent.brain.error by type",
                       {{"type", outcome.error->error_type}});
  }
  if (answered) {
    const messages::BrainResponse& response = *outcome.response;
    const std::string engine = response.metadata.llm_model == "rules" ? "rules" : "model";
    metrics_.Observe(brain_metrics::kLatencyMs, "time from request to answer", {{"engine", engine}},
                     absl::ToDoubleMilliseconds(outcome.took));
    metrics_.Observe(brain_metrics::kEngineMs, "time of understanding, without tools", {{"engine", engine}},
                     absl::ToDoubleMilliseconds(outcome.engine_took));
    for (const messages::ToolSpan& span : response.performance.tools) {
      metrics_.Observe(brain_metrics::kToolMs, "time of a tool call", {{"tool", span.tool}},
                       static_cast<double>(span.latency_ms));
    }
    for (const messages::Intent& intent : response.intents) {
      metrics_.Increment(
          brain_metrics::kIntents, "intents by type",
          {{"intent", std::string(EnumNames(intent.intent_type)[static_cast<size_t>(intent.intent_type)])}});
    }
  }
  std::string report;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!outcome.error.has_value()) {
      engine_failures_ = 0;
    } else if (++engine_failures_ == kFailuresUntilReport) {
      report = absl::StrCat(outcome.error->error_type, ": ", outcome.error->error_message);
    }
  }
  if (!report.empty() && options_.on_engine_failure) options_.on_engine_failure(report);
}

}  // namespace arc::brain
