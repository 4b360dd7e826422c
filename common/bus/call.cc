#include "common/bus/call.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/bus/tracing.h"
#include "common/messages/system.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

// An answer that comes on another thread, once, however late.
template <class T>
class Waiting {
 public:
  std::function<void(absl::StatusOr<T>)> Taker() {
    return [shared = shared_](absl::StatusOr<T> answer) {
      std::lock_guard<std::mutex> lock(shared->mutex);
      shared->answer = std::move(answer);
      shared->changed.notify_all();
    };
  }
  absl::StatusOr<T> Take() {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->changed.wait(lock, [&] { return shared_->answer.has_value(); });
    return *std::move(shared_->answer);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<absl::StatusOr<T>> answer;
  };
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

struct ReplyStatus {
  std::string status;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("status", s.status, json::Range(0, 64));
  }
};

absl::StatusOr<ParsedMessage> ReadReply(absl::StatusOr<Message> reply, absl::Time now) {
  if (!reply.ok()) return std::move(reply).status();
  absl::StatusOr<ParsedMessage> parsed = ParseMessage(reply->body, now);
  if (!parsed.ok()) {
    return MakeError(ErrorCode::kInternal,
                     absl::StrCat("the reply is malformed: ", parsed.status().message()));
  }
  ASSIGN_OR_RETURN(const ReplyStatus status, DecodePayload<ReplyStatus>(*parsed));
  if (status.status != "error") return parsed;
  absl::StatusOr<messages::ErrorResponse> error = DecodePayload<messages::ErrorResponse>(*parsed);
  if (!error.ok()) return MakeError(ErrorCode::kInternal, "the reply is an error without a code");
  const std::optional<ErrorCode> code = ParseErrorCode(error->error_code);
  if (!code.has_value()) {
    return MakeError(ErrorCode::kInternal, absl::StrCat(error->error_code, ": ", error->error_message));
  }
  return MakeError(*code, error->error_message);
}

}  // namespace

absl::Duration DefaultTimeout(absl::string_view subject) {
  const std::string resolved = subjects::ResolveAlias(subject);
  if (absl::StartsWith(resolved, "kiosk.agent.menu.") || absl::StartsWith(resolved, "kiosk.agent.recsys.")) {
    return absl::Seconds(2);
  }
  if (absl::StartsWith(resolved, subjects::kPaymentProcess)) return absl::Seconds(30);
  if (absl::StartsWith(resolved, subjects::kHardwareLed)) return absl::Seconds(1);
  if (absl::StartsWith(resolved, subjects::kHardwarePrint)) return absl::Minutes(5);
  return absl::Seconds(5);
}

std::string ServiceOf(absl::string_view subject) {
  const std::string resolved = subjects::ResolveAlias(subject);
  const std::vector<absl::string_view> tokens = absl::StrSplit(resolved, '.');
  return tokens.size() > 2 && tokens[1] == "agent" ? std::string(tokens[2]) : "";
}

void CallRaw(Bus& bus, absl::string_view subject, absl::string_view payload, const CallContext& context,
             std::function<void(absl::StatusOr<ParsedMessage>)> done) {
  Clock& clock = bus.clock();
  const Envelope envelope = MakeEnvelope(clock.Now(), context.session_id, context.trace_id);
  Message message;
  message.subject = context.scoped && subjects::BelongsToOneKiosk(subject)
                        ? subjects::Scope(subject, context.kiosk_id)
                        : std::string(subject);
  message.body = WrapPayload(envelope, payload);
  if (!context.kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, context.kiosk_id);
  auto asking = std::make_shared<trace::Span>(RequestSpanName(subject), trace::SpanKind::kClient,
                                              trace::ContextFor(envelope.trace_id));
  if (!context.idempotency_key.empty()) asking->Set("kiosk.idempotency_key", context.idempotency_key);
  const trace::Span publishing = BeginPublishing(message, subject, asking->context());
  RequestOptions options;
  options.timeout = context.timeout > absl::ZeroDuration() ? context.timeout : DefaultTimeout(subject);
  options.service = ServiceOf(subject);
  options.idempotency_key = context.idempotency_key;
  bus.Request(std::move(message), options,
              [&clock, asking, caller = WorkedOn(envelope.trace_id),
               done = std::move(done)](absl::StatusOr<Message> reply) {
                absl::StatusOr<ParsedMessage> answer = ReadReply(std::move(reply), clock.Now());
                asking->SetStatus(answer.status());
                asking->End();
                const trace::Scope scope(caller);
                done(std::move(answer));
              });
}

absl::StatusOr<ParsedMessage> CallRawAndWait(Bus& bus, absl::string_view subject, absl::string_view payload,
                                             const CallContext& context) {
  Waiting<ParsedMessage> waiting;
  // Calls back at its deadline at the latest.
  CallRaw(bus, subject, payload, context, waiting.Taker());
  return waiting.Take();
}

absl::StatusOr<Message> CoreRequestAndWait(Bus& bus, Message request, absl::Duration timeout) {
  Waiting<Message> waiting;
  bus.CoreRequest(std::move(request), timeout, waiting.Taker());
  return waiting.Take();
}

bool IsCopyGone(Bus& bus, absl::string_view service, absl::string_view instance_id) {
  Message ping;
  ping.subject = absl::StrCat("$SRV.PING.", service, ".", instance_id);
  const absl::StatusOr<Message> pong = CoreRequestAndWait(bus, std::move(ping), absl::Seconds(1));
  return absl::IsUnavailable(pong.status()) && bus.connected();
}

void PublishEvent(Bus& bus, absl::string_view subject, const Envelope& envelope, absl::string_view payload,
                  absl::string_view kiosk_id, std::function<void(absl::Status)> done) {
  Message message;
  message.subject = std::string(subject);
  message.body = WrapPayload(envelope, payload);
  message.headers.Set(subjects::kMsgIdHeader, envelope.msg_id);
  if (!kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_id);
  auto publishing =
      std::make_shared<trace::Span>(BeginPublishing(message, subject, trace::ContextFor(envelope.trace_id)));
  bus.PublishEvent(
      std::move(message), absl::Seconds(5),
      [publishing, caller = WorkedOn(envelope.trace_id), done = std::move(done)](absl::Status status) {
        publishing->SetStatus(status);
        publishing->End();
        const trace::Scope scope(caller);
        if (done) done(std::move(status));
      });
}

}  // namespace arc::bus
