#include "services/tts/tts_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::tts {
namespace {

constexpr absl::Duration kDrainSubscription = absl::Milliseconds(500);

// What of a malformed request tells whose it is.
struct Sender {
  std::string request_id;
  std::string trace_id;
};

Sender ReadSender(const std::string& body) {
  Sender sender;
  const absl::StatusOr<json::Document> document = json::Parse(body);
  if (!document.ok() || !document->root().IsObject()) return sender;
  const auto read = [&](const char* name, size_t limit) -> std::string {
    const auto member = document->root().FindMember(name);
    if (member == document->root().MemberEnd() || !member->value.IsString()) return "";
    if (member->value.GetStringLength() > limit) return "";
    return std::string(member->value.GetString(), member->value.GetStringLength());
  };
  sender.request_id = read("request_id", 200);
  sender.trace_id = read("trace_id", 64);
  return sender;
}

}  // namespace

TtsService::TtsService(bus::Bus& bus, Engine& engine, const Tts::Options& options, Metrics* metrics)
    : bus_(bus), engine_(engine), tts_(engine, bus.clock(), options, *this, metrics) {}

TtsService::~TtsService() {
  requests_.reset();
  cancels_.reset();
}

absl::Status TtsService::Start() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (cancels_ == nullptr) {
    absl::StatusOr<std::unique_ptr<bus::Subscription>> cancels =
        bus_.Subscribe(subjects::kTtsCancel, "", [this](const bus::Message& message) { OnCancel(message); });
    RETURN_IF_ERROR(cancels.status());
    cancels_ = *std::move(cancels);
  }
  return TakeRequests();
}

absl::Status TtsService::TakeRequests() {
  if (requests_ != nullptr || draining_) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<bus::Subscription>> requests = bus_.Subscribe(
      subjects::kTtsRequest, kQueueGroup, [this](const bus::Message& message) { OnRequest(message); });
  RETURN_IF_ERROR(requests.status());
  requests_ = *std::move(requests);
  return absl::OkStatus();
}

absl::Status TtsService::FollowHealth() {
  absl::Status health = engine_.Health();
  std::lock_guard<std::mutex> lock(mutex_);
  if (health.ok()) return TakeRequests();
  requests_.reset();
  return health;
}

void TtsService::Drain(absl::Duration limit) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
    if (requests_ != nullptr) requests_->Drain(kDrainSubscription);
    requests_.reset();
  }
  tts_.Drain(limit);
  std::lock_guard<std::mutex> lock(mutex_);
  cancels_.reset();
}

void TtsService::OnRequest(const bus::Message& message) {
  const absl::StatusOr<messages::TtsRequest> request = json::Decode<messages::TtsRequest>(message.body);
  if (!request.ok()) {
    Refuse(message, request.status());
    return;
  }
  bus::Taken taken;
  taken.subject = subjects::kTtsRequest;
  taken.trace_id = request->trace_id;
  taken.session_id = request->session_id;
  taken.kiosk_id = message.headers.Get(subjects::kKioskIdHeader).value_or("");
  taken.message_id = request->request_id;
  taken.sent = taken.begin = bus_.clock().Now();
  const absl::Status said = tts_.Say(*request, bus::BeginProcessing(message, taken));
  if (said.ok()) return;
  if (absl::IsInvalidArgument(said)) {
    Refuse(message, said);
    return;
  }
  if (absl::IsAlreadyExists(said)) {
    Log(LogLevel::kWarning, "a request came twice", {{"trace_id", request->trace_id}});
    return;
  }
  messages::AgentError error;
  error.request_id = request->request_id;
  error.timestamp = FormatTimestamp(bus_.clock().Now());
  error.trace_id = request->trace_id;
  error.error_type = absl::IsResourceExhausted(said) ? "overloaded" : "unavailable";
  error.error_message = std::string(said.message());
  Failed(error);
}

void TtsService::OnCancel(const bus::Message& message) {
  const absl::StatusOr<messages::TtsCancel> cancel = json::Decode<messages::TtsCancel>(message.body);
  if (!cancel.ok()) {
    // Every copy gets it; the dead letters of all of them say the same.
    bus::PublishDeadLetter(bus_, {kAgentName, "", "", 0, 0}, message, cancel.status(),
                           [](const absl::Status&) {});
    return;
  }
  tts_.Cancel(*cancel);
}

void TtsService::Refuse(const bus::Message& message, const absl::Status& error) {
  Log(LogLevel::kWarning, "a request is malformed", {{"error", std::string(error.message())}});
  const Sender sender = ReadSender(message.body);
  if (!sender.request_id.empty()) {
    messages::AgentError refused;
    refused.request_id = sender.request_id;
    refused.timestamp = FormatTimestamp(bus_.clock().Now());
    refused.trace_id = sender.trace_id;
    refused.error_type = "invalid_request";
    refused.error_message = std::string(error.message());
    Failed(refused);
  }
  bus::PublishDeadLetter(bus_, {kAgentName, "", "", 0, 0}, message, error, [](const absl::Status& stored) {
    if (stored.ok()) return;
    Log(LogLevel::kWarning, "a dead letter could not be stored", {{"error", std::string(stored.message())}});
  });
}

absl::Status TtsService::Publish(const AudioFrame& frame) {
  // What is kept for a connection that comes back would be heard out of place.
  if (!bus_.connected()) return absl::UnavailableError("not connected to nats-server");
  bus::Message message;
  message.subject = absl::StrCat(subjects::kTtsAudioPrefix, ".", frame.room);
  message.headers.Set(subjects::kRequestIdHeader, frame.request_id);
  message.headers.Set(subjects::kTurnHeader, absl::StrCat(frame.turn));
  message.headers.Set(subjects::kSeqHeader, absl::StrCat(frame.seq));
  message.headers.Set(subjects::kAudioFormatHeader, frame.format.ToString());
  if (frame.end) message.headers.Set(subjects::kEndHeader, "true");
  message.body = frame.payload;
  return bus_.Publish(message);
}

void TtsService::Completed(const messages::TtsCompleted& completed) {
  messages::TtsCompleted whole = completed;
  whole.engine = std::string(engine_.name());
  Send(subjects::kTtsCompleted, json::Encode(whole), completed.trace_id);
}

void TtsService::Failed(const messages::AgentError& error) {
  Send(subjects::kTtsError, json::Encode(error), error.trace_id);
}

void TtsService::Send(const char* subject, std::string body, absl::string_view trace_id) {
  bus::Message message;
  message.subject = subject;
  message.body = std::move(body);
  const absl::Status sent = bus::PublishTraced(bus_, std::move(message), trace_id);
  if (!sent.ok()) {
    Log(LogLevel::kWarning, "a message could not be sent",
        {{"subject", subject}, {"error", std::string(sent.message())}});
  }
}

}  // namespace arc::tts
