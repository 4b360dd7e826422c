#include "common/bus/command_server.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

constexpr absl::Duration kFirstNakDelay = absl::Milliseconds(250);
constexpr int kMaxSwept = 1000;

// The server ends a connection that sends a line of more than 4 kB, subject and all.
constexpr size_t kLongestInbox = 1000;

// A reply subject must be somebody's inbox: an agent must not be made to publish commands or to use the
// JetStream API.
bool IsInbox(absl::string_view subject) {
  for (const absl::string_view own : {"kiosk.", "agent.", "system.", "$"}) {
    if (absl::StartsWith(subject, own)) return false;
  }
  return subject.size() <= kLongestInbox && subjects::IsPublishable(subject);
}

absl::Status BadReplyTo() {
  return MakeError(ErrorCode::kInvalidRequest, "header Kiosk-Reply-To is not an inbox");
}

absl::string_view LastToken(absl::string_view subject) {
  const size_t dot = subject.rfind('.');
  return dot == absl::string_view::npos ? subject : subject.substr(dot + 1);
}

struct Advisory {
  int64_t stream_seq = 0;
  int64_t deliveries = 0;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("stream_seq", s.stream_seq, json::Range(1, json::kMaxId));
    v.Optional("deliveries", s.deliveries);
  }
};

// The deliveries that this process has ended lately, in case the server does not hear of it: a node that dies
// takes acks with it. A stream that is made anew counts from 1 again, so the time it was stored belongs to
// it.
class EndedLately {
 public:
  void Add(uint64_t sequence, absl::Time stored_at) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!stored_at_.insert_or_assign(sequence, stored_at).second) return;
    order_.push_back(sequence);
    if (order_.size() <= kMost) return;
    stored_at_.erase(order_.front());
    order_.pop_front();
  }
  bool Has(uint64_t sequence, absl::Time stored_at) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = stored_at_.find(sequence);
    return it != stored_at_.end() && it->second == stored_at;
  }

 private:
  static constexpr size_t kMost = 4096;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, absl::Time> stored_at_;
  std::deque<uint64_t> order_;
};

enum class Verdict { kReplyAndAck, kDeadLetter, kNak };

// The table of the header.
Verdict Judge(const absl::Status& status) {
  if (status.ok() || IsOutcome(status)) return Verdict::kReplyAndAck;
  if (absl::IsInvalidArgument(status)) return Verdict::kDeadLetter;
  return Verdict::kNak;
}

}  // namespace

struct CommandServer::Impl : public std::enable_shared_from_this<CommandServer::Impl> {
  struct Endpoint {
    std::string subject;
    std::string action;
    Execution execution = Execution::kInline;
    Handler handler;
    mutable std::mutex mutex;
    CommandStats stats;
  };

  // One message on its way through a handler.
  struct Job {
    Message message;                     // of the plain path
    std::shared_ptr<Delivery> delivery;  // of the durable path
    std::string durable;
    Endpoint* endpoint = nullptr;
    absl::Time received;
    std::string reply_to;
    std::optional<absl::Time> deadline;

    const Message& msg() const { return delivery != nullptr ? delivery->message() : message; }
  };

  Impl(Bus& b, Executor& e, std::string s, std::string a, CommandObserver o, SweepOptions w)
      : bus(b), executor(e), service(std::move(s)), agent(std::move(a)), observer(std::move(o)), sweep(w) {}

  Bus& bus;
  Executor& executor;
  const std::string service;
  const std::string agent;
  const CommandObserver observer;
  const SweepOptions sweep;
  std::map<std::string, std::unique_ptr<Endpoint>> endpoints;  // by subject; fixed once started
  EndedLately ended;

  mutable std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
  bool draining = false;
  std::vector<Source> sources;
  std::vector<std::unique_ptr<Consumer>> consumers;
  std::vector<std::unique_ptr<Subscription>> subscriptions;

  Endpoint* Find(absl::string_view subject) const {
    const auto it = endpoints.find(std::string(subject));
    return it == endpoints.end() ? nullptr : it->second.get();
  }

  void OnCore(Message message) {
    if (const std::optional<std::string> reply_to = message.headers.Get(subjects::kReplyToHeader)) {
      // The durable consumer's. Where its header names no inbox, only the core reply subject can be told so.
      if (!IsInbox(*reply_to)) RefuseReplyTo(message);
      return;
    }
    auto job = std::make_shared<Job>();
    job->reply_to = message.reply;
    job->message = std::move(message);
    Dispatch(job);
  }

  // The dead letter is the durable consumer's.
  void RefuseReplyTo(const Message& message) {
    if (!IsInbox(message.reply)) return;
    Job job;
    job.reply_to = message.reply;
    bus.Publish(MakeReply(job, RequestEnvelope(message), BadReplyTo())).IgnoreError();
  }

  // What a request says of itself, as far as it can be read.
  Envelope RequestEnvelope(const Message& message) const {
    absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, bus.clock().Now());
    return parsed.ok() ? std::move(parsed->envelope) : Envelope();
  }

  void OnDelivery(const std::string& durable, std::shared_ptr<Delivery> delivery) {
    const std::optional<std::string> reply_to = delivery->message().headers.Get(subjects::kReplyToHeader);
    if (!reply_to.has_value()) {
      Ended(*delivery);
      delivery->Ack();  // the core subscription's
      return;
    }
    auto job = std::make_shared<Job>();
    job->reply_to = *reply_to;
    job->delivery = std::move(delivery);
    job->durable = durable;
    Dispatch(job);
  }

  void Ended(const Delivery& delivery) { ended.Add(delivery.stream_sequence(), delivery.stored_at()); }

  void Dispatch(const std::shared_ptr<Job>& job) {
    job->received = bus.clock().Now();
    const std::string subject = subjects::ResolveAlias(subjects::SplitScope(job->msg().subject).base);
    job->endpoint = Find(subject);
    {
      std::lock_guard<std::mutex> lock(mutex);
      ++running;
    }
    if (job->delivery != nullptr && observer.on_delivery) observer.on_delivery(LastToken(subject));
    if (job->endpoint != nullptr && job->endpoint->execution == Execution::kPool) {
      executor.Run([self = shared_from_this(), job] { self->Handle(*job, LastTokenOf(*job)); });
    } else {
      Handle(*job, LastToken(subject));
    }
  }

  static std::string LastTokenOf(const Job& job) { return job.endpoint->action; }

  void Handle(Job& job, absl::string_view action) {
    Process(job, action);
    job.delivery.reset();
    std::lock_guard<std::mutex> lock(mutex);
    --running;
    changed.notify_all();
  }

  void Process(Job& job, absl::string_view action) {
    Envelope envelope;
    trace::Span span;
    std::optional<trace::Scope> scope;
    absl::StatusOr<std::string> reply = Answer(job, envelope, span, scope);
    if (!reply.ok() && absl::IsCancelled(reply.status()) && job.deadline.has_value() &&
        *job.deadline <= bus.clock().Now() && job.endpoint != nullptr && envelope.msg_id.empty()) {
      // Expired: nothing was started. On the durable path nobody waits any more.
      if (observer.on_expired) observer.on_expired(action);
      RecordExpired(job.msg(), job.endpoint->subject, "", SentAt(job), bus.clock().Now());
      if (job.delivery != nullptr) {
        Ended(*job.delivery);
        job.delivery->Ack();
      } else if (IsInbox(job.reply_to)) {
        const absl::Status expired =
            MakeError(ErrorCode::kTimeout, "the header Kiosk-Deadline had passed when the request came");
        bus.Publish(MakeReply(job, RequestEnvelope(job.message), expired)).IgnoreError();
      }
      return;
    }
    const absl::Duration took = bus.clock().Now() - job.received;
    const bool ok = reply.ok() || IsOutcome(reply.status());
    if (observer.on_handled) observer.on_handled(action, took, ok);
    if (job.endpoint != nullptr) {
      std::lock_guard<std::mutex> lock(job.endpoint->mutex);
      CommandStats& stats = job.endpoint->stats;
      ++stats.requests;
      stats.processing_time += took;
      if (!reply.ok()) {
        ++stats.errors;
        stats.last_error = std::string(reply.status().message());
      }
    }
    if (job.delivery == nullptr) {
      EndPlain(job, envelope, reply, action);
    } else {
      EndDurable(job, envelope, reply, action);
    }
    span.SetStatus(reply.status());
  }

  static absl::Time SentAt(const Job& job) {
    return job.delivery != nullptr ? job.delivery->stored_at() : job.received;
  }

  // The reply's payload. Cancelled: expired. `span` and `scope` are those of the handling, begun here.
  absl::StatusOr<std::string> Answer(Job& job, Envelope& envelope, trace::Span& span,
                                     std::optional<trace::Scope>& scope) {
    const Message& message = job.msg();
    const absl::Time now = bus.clock().Now();
    if (job.delivery != nullptr && !IsInbox(job.reply_to)) {
      job.reply_to.clear();
      return BadReplyTo();
    }
    if (const std::optional<std::string> text = message.headers.Get(subjects::kDeadlineHeader)) {
      const absl::StatusOr<absl::Time> deadline = ParseTimestamp(*text);
      if (!deadline.ok()) {
        return MakeError(ErrorCode::kInvalidRequest, "header Kiosk-Deadline is not an RFC 3339 time");
      }
      job.deadline = *deadline;
      if (job.endpoint != nullptr && *deadline <= now) return absl::CancelledError("expired");
    }
    absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, now);
    if (!parsed.ok()) {
      envelope = MakeEnvelope(now, "", ParentOf(message, "").trace_id);
      return std::move(parsed).status();
    }
    envelope = parsed->envelope;
    if (!parsed->had_trace_id) {
      const trace::SpanContext parent = ParentOf(message, "");
      if (parent.valid()) envelope.trace_id = parent.trace_id;
    }
    if (job.endpoint == nullptr) {
      return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("subject ", message.subject, ": the ",
                                                                service, " agent has no such command"));
    }
    RequestContext context;
    const subjects::Scoped scoped = subjects::SplitScope(message.subject);
    context.subject = job.endpoint->subject;
    context.kiosk_id = scoped.kiosk_id.empty() ? message.headers.Get(subjects::kKioskIdHeader).value_or("")
                                               : scoped.kiosk_id;
    if (!context.kiosk_id.empty() && !subjects::IsValidKioskId(context.kiosk_id)) {
      return MakeError(ErrorCode::kInvalidRequest, "header Kiosk-Id is not a kiosk's id");
    }
    context.msg_id = envelope.msg_id;
    context.session_id = envelope.session_id;
    context.trace_id = envelope.trace_id;
    context.kiosk_in_subject = !scoped.kiosk_id.empty();
    context.idempotency_key = message.headers.Get(subjects::kIdempotencyKeyHeader).value_or("");
    context.deadline = job.deadline;
    context.deliveries = job.delivery != nullptr ? job.delivery->deliveries() : 1;
    span = BeginProcessing(message, {context.subject, context.trace_id, context.session_id, context.kiosk_id,
                                     context.msg_id, context.deliveries, SentAt(job), now});
    scope.emplace(span.context());
    return job.endpoint->handler(parsed->payload(), context);
  }

  Message MakeReply(const Job& job, const Envelope& request,
                    const absl::StatusOr<std::string>& result) const {
    const Envelope envelope = MakeEnvelope(bus.clock().Now(), request.session_id, request.trace_id);
    Message reply;
    reply.subject = job.reply_to;
    if (result.ok()) {
      reply.body = WrapPayload(envelope, *result);
    } else {
      const ErrorCode code = WireErrorCode(result.status());
      messages::ErrorResponse error;
      error.error_code = std::string(ErrorCodeName(code));
      error.error_message = std::string(result.status().message());
      error.retryable = IsRetryable(code);
      reply.body = Wrap(envelope, error);
    }
    return reply;
  }

  void EndPlain(const Job& job, const Envelope& envelope, const absl::StatusOr<std::string>& result,
                absl::string_view action) {
    if (!job.reply_to.empty() && IsInbox(job.reply_to)) {
      const absl::Status sent = bus.Publish(MakeReply(job, envelope, result));
      if (!sent.ok()) {
        Log(LogLevel::kWarning, "a reply could not be sent",
            {{"error", std::string(sent.message())}, {"trace_id", envelope.trace_id}});
        const absl::Status too_large =
            MakeError(ErrorCode::kInternal, "the reply is too large for one message");
        bus.Publish(MakeReply(job, envelope, too_large)).IgnoreError();
      }
      return;
    }
    if (result.ok() || !absl::IsInvalidArgument(result.status())) return;
    if (observer.on_dead_letter) observer.on_dead_letter(action);
    PublishDeadLetter(bus, {agent, "", "", 0, 1}, job.msg(), result.status(), nullptr);
  }

  void EndDurable(const Job& job, const Envelope& envelope, const absl::StatusOr<std::string>& result,
                  absl::string_view action) {
    const Verdict verdict = Judge(result.status());
    if (verdict == Verdict::kReplyAndAck) {
      Ended(*job.delivery);
      job.delivery->AckWithReply(MakeReply(job, envelope, result));
      return;
    }
    const int deliveries = job.delivery->deliveries();
    if (verdict == Verdict::kNak && !job.delivery->last_delivery()) {
      const absl::Duration delay = kFirstNakDelay * (1 << std::min(deliveries - 1, 5));
      if (!job.deadline.has_value() || bus.clock().Now() + delay < *job.deadline) {
        job.delivery->Nak(delay);
        return;
      }
    }
    if (!job.reply_to.empty()) bus.Publish(MakeReply(job, envelope, result)).IgnoreError();
    if (observer.on_dead_letter) observer.on_dead_letter(action);
    const DeadLetterSource source{agent, subjects::kCommandsStream, job.durable,
                                  job.delivery->stream_sequence(), deliveries};
    // Ended only once the dead letter is stored; otherwise it is delivered again, or found by the sweep.
    PublishDeadLetter(bus, source, job.msg(), result.status(),
                      [self = shared_from_this(), delivery = job.delivery](const absl::Status& status) {
                        if (!status.ok()) return;
                        self->Ended(*delivery);
                        delivery->Term();
                      });
  }

  // What ran out of deliveries: answered, made a dead letter, deleted. What this process has ended, and the
  // server has not heard of, is only deleted.
  void Bury(const Source& source, uint64_t sequence, int64_t deliveries) {
    absl::StatusOr<StoredMessage> stored = bus.GetStored(subjects::kCommandsStream, sequence);
    if (!stored.ok()) return;  // acked meanwhile, or buried by another copy
    if (ended.Has(sequence, stored->stored_at)) {
      bus.DeleteStored(subjects::kCommandsStream, sequence).IgnoreError();
      return;
    }
    Message message = std::move(stored->message);
    const absl::Status lost =
        MakeError(ErrorCode::kInternal, "the agent ended while it worked on this, too often");
    const std::string reply_to = message.headers.Get(subjects::kReplyToHeader).value_or("");
    const absl::StatusOr<absl::Time> deadline =
        ParseTimestamp(message.headers.Get(subjects::kDeadlineHeader).value_or(""));
    if (IsInbox(reply_to) && deadline.ok() && *deadline > bus.clock().Now()) {
      Job job;
      job.reply_to = reply_to;
      bus.Publish(MakeReply(job, RequestEnvelope(message), lost)).IgnoreError();
    }
    if (observer.on_dead_letter) observer.on_dead_letter(LastToken(message.subject));
    PublishDeadLetter(bus, {agent, subjects::kCommandsStream, source.durable, sequence, deliveries}, message,
                      lost, [self = shared_from_this(), sequence](const absl::Status& status) {
                        if (!status.ok()) return;
                        self->executor.Run([self, sequence] {
                          self->bus.DeleteStored(subjects::kCommandsStream, sequence).IgnoreError();
                        });
                      });
  }

  void OnAdvisory(const Source& source, const Message& message) {
    const absl::StatusOr<Advisory> advisory = json::Decode<Advisory>(message.body);
    if (!advisory.ok()) return;
    executor.Run([self = shared_from_this(), source, advisory = *advisory] {
      self->Bury(source, static_cast<uint64_t>(advisory.stream_seq), advisory.deliveries);
    });
  }

  // Finds what an advisory that nobody heard has left in the workqueue.
  void Sweep() {
    std::vector<Source> all;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (draining) return;
      all = sources;
    }
    for (const Source& source : all) {
      const absl::StatusOr<ConsumerInfo> info =
          bus.GetConsumerInfo(subjects::kCommandsStream, source.durable);
      if (!info.ok()) continue;
      uint64_t next = info->ack_floor_stream_seq + 1;
      for (int i = 0; i < kMaxSwept && next <= info->delivered_stream_seq; ++i) {
        const absl::StatusOr<StoredMessage> stored =
            bus.NextStored(subjects::kCommandsStream, source.filter, next);
        if (!stored.ok() || stored->sequence > info->delivered_stream_seq) break;
        next = stored->sequence + 1;
        if (bus.clock().Now() - stored->stored_at < sweep.stuck_after) break;
        Bury(source, stored->sequence, info->max_deliver);
      }
    }
    SweepLater();
  }

  void SweepLater() {
    bus.clock().RunAfter(sweep.interval, [weak = weak_from_this()] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (self == nullptr) return;
      {
        std::lock_guard<std::mutex> lock(self->mutex);
        if (self->draining) return;
        ++self->running;
      }
      self->executor.Run([self] {
        self->Sweep();
        std::lock_guard<std::mutex> lock(self->mutex);
        --self->running;
        self->changed.notify_all();
      });
    });
  }
};

CommandServer::CommandServer(Bus& bus, Executor& executor, std::string service, std::string agent,
                             CommandObserver observer, SweepOptions sweep)
    : impl_(std::make_shared<Impl>(bus, executor, std::move(service), std::move(agent), std::move(observer),
                                   sweep)) {}

CommandServer::~CommandServer() {
  Drain(absl::InfiniteDuration());
}

void CommandServer::Handle(absl::string_view subject, Execution execution, Handler handler) {
  auto endpoint = std::make_unique<Impl::Endpoint>();
  endpoint->subject = std::string(subject);
  endpoint->action = std::string(LastToken(subject));
  endpoint->execution = execution;
  endpoint->handler = std::move(handler);
  impl_->endpoints[std::string(subject)] = std::move(endpoint);
}

absl::Status CommandServer::Start(const std::vector<Source>& sources) {
  for (const Source& source : sources) {
    const std::weak_ptr<Impl> weak = impl_;
    ASSIGN_OR_RETURN(std::unique_ptr<Subscription> core,
                     impl_->bus.Subscribe(source.filter, impl_->service, [weak](Message message) {
                       if (auto self = weak.lock()) self->OnCore(std::move(message));
                     }));
    ASSIGN_OR_RETURN(std::unique_ptr<Subscription> advisories,
                     impl_->bus.Subscribe(absl::StrCat("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.",
                                                       subjects::kCommandsStream, ".", source.durable),
                                          impl_->service, [weak, source](const Message& message) {
                                            if (auto self = weak.lock()) self->OnAdvisory(source, message);
                                          }));
    ConsumeOptions options;
    options.stream = subjects::kCommandsStream;
    options.durable = source.durable;
    options.max_in_flight = source.max_in_flight;
    std::unique_ptr<Consumer> consumer =
        impl_->bus.Consume(options, [weak, durable = source.durable](std::shared_ptr<Delivery> delivery) {
          if (auto self = weak.lock()) self->OnDelivery(durable, std::move(delivery));
        });
    std::lock_guard<std::mutex> lock(impl_->mutex);
    const bool first = impl_->sources.empty();
    impl_->sources.push_back(source);
    impl_->subscriptions.push_back(std::move(core));
    impl_->subscriptions.push_back(std::move(advisories));
    impl_->consumers.push_back(std::move(consumer));
    if (first) impl_->SweepLater();
  }
  return absl::OkStatus();
}

bool CommandServer::bound() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  return !impl_->consumers.empty() && std::all_of(impl_->consumers.begin(), impl_->consumers.end(),
                                                  [](const auto& consumer) { return consumer->bound(); });
}

int64_t CommandServer::lag() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  int64_t lag = 0;
  for (const auto& consumer : impl_->consumers) lag += std::max<int64_t>(0, consumer->lag());
  return lag;
}

int CommandServer::in_flight() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->running;
}

bool CommandServer::Drain(absl::Duration limit) {
  Clock& clock = impl_->bus.clock();
  const absl::Time deadline = clock.Now() + limit;
  std::vector<std::unique_ptr<Consumer>> consumers;
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->draining = true;
    consumers = std::move(impl_->consumers);
    subscriptions = std::move(impl_->subscriptions);
    impl_->consumers.clear();
    impl_->subscriptions.clear();
  }
  for (const auto& consumer : consumers) consumer->Stop();
  const absl::Duration step = std::min(limit, absl::Seconds(10));
  for (const auto& subscription : subscriptions) subscription->Drain(step);
  for (const auto& consumer : consumers) consumer->Drain(step);
  std::unique_lock<std::mutex> lock(impl_->mutex);
  return clock.WaitUntil(lock, impl_->changed, deadline, [this] { return impl_->running == 0; });
}

std::map<std::string, CommandStats> CommandServer::stats() const {
  std::map<std::string, CommandStats> all;
  for (const auto& [subject, endpoint] : impl_->endpoints) {
    std::lock_guard<std::mutex> lock(endpoint->mutex);
    all[subject] = endpoint->stats;
  }
  return all;
}

std::vector<std::string> CommandServer::subjects() const {
  std::vector<std::string> all;
  for (const auto& [subject, endpoint] : impl_->endpoints) all.push_back(subject);
  return all;
}

}  // namespace arc::bus
