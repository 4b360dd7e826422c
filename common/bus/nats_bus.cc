#include "common/bus/nats_bus.h"

#include <nats/nats.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/bus/nats_login.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

// Kiosk specification, table 2.3.
constexpr int64_t kReconnectWaitMs = 2000;
constexpr int64_t kTimeoutMs = 5000;
// A server that is cut off, with the connection open, is given up after the third ping without an answer:
// another one of the cluster serves then.
constexpr int64_t kPingIntervalMs = 2000;
// Without it, whoever publishes to a server that is cut off waits for ever once the socket's buffer is full,
// and the pings wait for the publisher.
constexpr int64_t kWriteDeadlineMs = 2000;

constexpr absl::Duration kRetiredLife = absl::Minutes(1);
constexpr absl::Duration kRebindWait = absl::Milliseconds(200);
constexpr absl::Duration kPullExpires = absl::Seconds(30);
// When the node that leads a consumer dies or hands it over, what was asked of it is forgotten without a
// word: only heartbeats that stay away tell, and customers wait meanwhile.
constexpr absl::Duration kHeartbeat = absl::Seconds(1);
constexpr absl::Duration kSilence = absl::Seconds(4);
// Longer than an answer takes; a consumer without a leader gives none.
constexpr absl::Duration kConsumerInfoWait = absl::Seconds(2);
constexpr absl::Duration kPublishAttempt = absl::Seconds(1);
constexpr absl::Duration kPublishRetryWait = absl::Milliseconds(100);
// Requests under way up to which each is sent at once; beyond, throughput counts more than a millisecond.
constexpr size_t kSendNowUpTo = 4;

// Deliveries ended within a millisecond up to which each reply is sent at once. Below it, somebody waits for
// each; above it, sending one by one would cost both sides and the server more than the millisecond is worth.
constexpr int kReplyNowUpTo = 8;

constexpr int kWrongLastSequence = 10071;

// Refusals that are kept, and logged once each.
constexpr size_t kMaxRefusals = 64;

absl::Status FromNats(natsStatus status, absl::string_view what) {
  if (status == NATS_OK) return absl::OkStatus();
  const std::string text = absl::StrCat(what, ": ", natsStatus_GetText(status));
  switch (status) {
    case NATS_TIMEOUT:
      return absl::DeadlineExceededError(text);
    case NATS_NOT_FOUND:
      return absl::NotFoundError(text);
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
    case NATS_INVALID_QUEUE_NAME:
    case NATS_MAX_PAYLOAD:
    case NATS_ADDRESS_MISSING:
      return absl::InvalidArgumentError(text);
    case NATS_NO_RESPONDERS:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_NO_SERVER:
    case NATS_NOT_YET_CONNECTED:
    case NATS_DRAINING:
    case NATS_INSUFFICIENT_BUFFER:
    case NATS_IO_ERROR:
    case NATS_STALE_CONNECTION:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

// Messages to be freed, many at once: natsMsg_Destroy() hands each to a thread of nats.c and wakes it, which
// costs more than everything else that is done to a message. Holds at most kMaxCount messages or kMaxBytes.
class MsgBin {
 public:
  void Discard(natsMsg* msg) {
    std::vector<natsMsg*> full;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      bytes_ += static_cast<size_t>(natsMsg_GetDataLength(msg));
      messages_.push_back(msg);
      if (messages_.size() < kMaxCount && bytes_ < kMaxBytes) return;
      bytes_ = 0;
      full.reserve(kMaxCount);
      full.swap(messages_);
    }
    for (natsMsg* each : full) natsMsg_Destroy(each);
  }

 private:
  static constexpr size_t kMaxCount = 64;
  static constexpr size_t kMaxBytes = size_t{256} * 1024;
  std::mutex mutex_;
  std::vector<natsMsg*> messages_;
  size_t bytes_ = 0;
};

struct MsgDestroyer {
  void operator()(natsMsg* msg) const {
    if (msg == nullptr) return;
    static auto* const bin = new MsgBin();  // never destroyed: the threads of nats.c outlive main()
    bin->Discard(msg);
  }
};
using MsgPtr = std::unique_ptr<natsMsg, MsgDestroyer>;

Message ToMessage(natsMsg* msg) {
  Message message;
  message.subject = natsMsg_GetSubject(msg);
  if (natsMsg_GetReply(msg) != nullptr) message.reply = natsMsg_GetReply(msg);
  message.body.assign(natsMsg_GetData(msg), static_cast<size_t>(natsMsg_GetDataLength(msg)));
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(msg, &keys, &count) == NATS_OK) {
    for (int i = 0; i < count; ++i) {
      const char* value = nullptr;
      if (natsMsgHeader_Get(msg, keys[i], &value) == NATS_OK && value != nullptr)
        message.headers.Set(keys[i], value);
    }
    std::free(const_cast<void*>(static_cast<const void*>(keys)));
  }
  return message;
}

bool IsHeaderSafe(absl::string_view text) {
  return text.find('\r') == absl::string_view::npos && text.find('\n') == absl::string_view::npos &&
         text.find('\0') == absl::string_view::npos;
}

absl::StatusOr<MsgPtr> ToNats(const Message& message) {
  if (!subjects::IsPublishable(message.subject)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a subject to publish to: ", absl::CEscape(message.subject)));
  }
  if (!message.reply.empty() && !subjects::IsPublishable(message.reply)) {
    return absl::InvalidArgumentError(absl::StrCat("not a reply subject: ", absl::CEscape(message.reply)));
  }
  natsMsg* raw = nullptr;
  RETURN_IF_ERROR(FromNats(
      natsMsg_Create(&raw, message.subject.c_str(), message.reply.empty() ? nullptr : message.reply.c_str(),
                     message.body.data(), static_cast<int>(message.body.size())),
      "message"));
  MsgPtr msg(raw);
  for (const auto& [name, value] : message.headers.all()) {
    if (!IsHeaderSafe(name) || !IsHeaderSafe(value)) {
      return absl::InvalidArgumentError(absl::StrCat("header ", absl::CEscape(name), " has a line break"));
    }
    RETURN_IF_ERROR(FromNats(natsMsgHeader_Set(msg.get(), name.c_str(), value.c_str()), "header"));
  }
  return msg;
}

// Answers of the JetStream API, as far as they are read here.
struct ApiError {
  int64_t code = 0;
  int64_t err_code = 0;
  std::string description;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("code", s.code);
    v.Optional("err_code", s.err_code);
    v.Optional("description", s.description);
  }
};
struct ApiSequence {
  int64_t consumer_seq = 0;
  int64_t stream_seq = 0;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("consumer_seq", s.consumer_seq);
    v.Optional("stream_seq", s.stream_seq);
  }
};
struct ApiConsumerConfig {
  std::string filter_subject;
  int64_t ack_wait = 0;
  int64_t max_deliver = -1;
  std::string deliver_subject;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("filter_subject", s.filter_subject);
    v.Optional("ack_wait", s.ack_wait);
    v.Optional("max_deliver", s.max_deliver);
    v.Optional("deliver_subject", s.deliver_subject);
  }
};
struct ApiMessage {
  std::string subject;
  int64_t seq = 0;
  std::string data;
  std::string hdrs;
  std::string time;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("subject", s.subject);
    v.Optional("seq", s.seq);
    v.Optional("data", s.data, json::Range(0, 64 << 20));
    v.Optional("hdrs", s.hdrs, json::Range(0, 64 << 20));
    v.Optional("time", s.time);
  }
};
struct ApiResponse {
  std::optional<ApiError> error;
  std::string stream;  // of a publish
  int64_t seq = 0;     // of a publish
  std::optional<ApiConsumerConfig> config;
  ApiSequence delivered;
  ApiSequence ack_floor;
  int64_t num_ack_pending = 0;
  int64_t num_pending = 0;
  int64_t num_waiting = 0;
  std::optional<ApiMessage> message;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("error", s.error);
    v.Optional("stream", s.stream);
    v.Optional("seq", s.seq);
    v.Optional("config", s.config);
    v.Optional("delivered", s.delivered);
    v.Optional("ack_floor", s.ack_floor);
    v.Optional("num_ack_pending", s.num_ack_pending);
    v.Optional("num_pending", s.num_pending);
    v.Optional("num_waiting", s.num_waiting);
    v.Optional("message", s.message);
  }
};

absl::StatusOr<ApiResponse> DecodeApi(absl::string_view body) {
  ASSIGN_OR_RETURN(ApiResponse response, json::Decode<ApiResponse>(body));
  if (!response.error.has_value()) return response;
  const ApiError& error = *response.error;
  const std::string text = absl::StrCat("JetStream: ", error.description, " (", error.err_code, ")");
  if (error.err_code == kWrongLastSequence) return absl::AbortedError(text);
  if (error.code == 404) return absl::NotFoundError(text);
  if (error.code == 503) return absl::UnavailableError(text);
  if (error.code == 400) return absl::InvalidArgumentError(text);
  return absl::InternalError(text);
}

absl::StatusOr<ConsumerInfo> ToConsumerInfo(const ApiResponse& response) {
  if (!response.config.has_value()) return absl::InternalError("JetStream: a consumer without configuration");
  ConsumerInfo info;
  info.filter_subject = response.config->filter_subject;
  info.ack_wait = absl::Nanoseconds(response.config->ack_wait);
  info.max_deliver = static_cast<int>(response.config->max_deliver);
  info.ack_floor_stream_seq = static_cast<uint64_t>(response.ack_floor.stream_seq);
  info.delivered_stream_seq = static_cast<uint64_t>(response.delivered.stream_seq);
  info.num_ack_pending = response.num_ack_pending;
  info.num_pending = response.num_pending;
  info.num_waiting = response.num_waiting;
  return info;
}

// "NATS/1.0\r\nName: value\r\n...\r\n\r\n" as the API returns the headers of a stored message.
Headers ParseHeaderBlock(absl::string_view block) {
  Headers headers;
  bool first = true;
  for (absl::string_view line : absl::StrSplit(block, "\r\n", absl::SkipEmpty())) {
    if (std::exchange(first, false)) continue;
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    headers.Set(line.substr(0, colon), absl::StripLeadingAsciiWhitespace(line.substr(colon + 1)));
  }
  return headers;
}

absl::StatusOr<StoredMessage> ToStored(const ApiResponse& response) {
  if (!response.message.has_value())
    return absl::InternalError("JetStream: a stored message without content");
  const ApiMessage& from = *response.message;
  StoredMessage stored;
  stored.sequence = static_cast<uint64_t>(from.seq);
  stored.message.subject = from.subject;
  std::string headers;
  if (!absl::Base64Unescape(from.data, &stored.message.body) || !absl::Base64Unescape(from.hdrs, &headers)) {
    return absl::InternalError("JetStream: a stored message that is not base64");
  }
  stored.message.headers = ParseHeaderBlock(headers);
  absl::StatusOr<absl::Time> time = ParseTimestamp(from.time);
  stored.stored_at = time.ok() ? *time : absl::InfinitePast();
  return stored;
}

// What a message's ack subject says of it:
// $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>, and with two tokens
// more before the stream in newer servers.
struct AckSubject {
  int deliveries = 1;
  uint64_t stream_sequence = 0;
  uint64_t consumer_sequence = 0;
  int64_t nanos = 0;
  int64_t pending = 0;  // what the consumer has still to deliver
};

constexpr char kAckPrefix[] = "$JS.ACK.";

std::optional<AckSubject> ParseAckSubject(absl::string_view subject) {
  const std::vector<absl::string_view> tokens = absl::StrSplit(subject, '.');
  const size_t base = tokens.size() >= 11 ? 6 : 4;
  AckSubject ack;
  if (!absl::StartsWith(subject, kAckPrefix) || tokens.size() < base + 5 ||
      !absl::SimpleAtoi(tokens[base], &ack.deliveries) ||
      !absl::SimpleAtoi(tokens[base + 1], &ack.stream_sequence) ||
      !absl::SimpleAtoi(tokens[base + 2], &ack.consumer_sequence) ||
      !absl::SimpleAtoi(tokens[base + 3], &ack.nanos) || !absl::SimpleAtoi(tokens[base + 4], &ack.pending)) {
    return std::nullopt;
  }
  return ack;
}

// What a subscription's callback shares with its owner. The mutex is held while the callback runs.
struct SubscriptionState {
  std::recursive_mutex mutex;
  bool stopped = false;
  MessageCallback callback;
};

void OnMessage(natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
  const MsgPtr owned(msg);
  SubscriptionState& state = **static_cast<std::shared_ptr<SubscriptionState>*>(closure);
  std::lock_guard<std::recursive_mutex> lock(state.mutex);
  if (!state.stopped) state.callback(ToMessage(msg));
}

void OnSubscriptionComplete(void* closure) {
  delete static_cast<std::shared_ptr<SubscriptionState>*>(closure);
}

// A subscription of nats.c; ends with its last user.
using SubscriptionHandle = std::shared_ptr<natsSubscription>;

absl::StatusOr<SubscriptionHandle> SubscribeOn(natsConnection* connection, const std::string& subject,
                                               const std::string& queue,
                                               const std::shared_ptr<SubscriptionState>& state) {
  auto* closure = new std::shared_ptr<SubscriptionState>(state);
  natsSubscription* sub = nullptr;
  const natsStatus status =
      queue.empty() ? natsConnection_Subscribe(&sub, connection, subject.c_str(), OnMessage, closure)
                    : natsConnection_QueueSubscribe(&sub, connection, subject.c_str(), queue.c_str(),
                                                    OnMessage, closure);
  if (status != NATS_OK) {
    delete closure;
    return FromNats(status, absl::StrCat("subscribe to ", subject));
  }
  natsSubscription_SetOnCompleteCB(sub, OnSubscriptionComplete, closure);
  return SubscriptionHandle(sub, [](natsSubscription* ended) {
    natsSubscription_Unsubscribe(ended);
    natsSubscription_Destroy(ended);
  });
}

// Whether a subscription is there, or will be with the next connection.
bool IsLater(const absl::Status& status) {
  return status.ok() || absl::IsUnavailable(status);
}

// Made anew on the next connection when one was closed for good.
class NatsSubscription : public Subscription {
 public:
  NatsSubscription(std::string subject, std::string queue, MessageCallback callback)
      : subject_(std::move(subject)),
        queue_(std::move(queue)),
        state_(std::make_shared<SubscriptionState>()) {
    state_->callback = std::move(callback);
  }

  ~NatsSubscription() override {
    if (forget_) forget_();
    {
      std::lock_guard<std::recursive_mutex> lock(state_->mutex);
      state_->stopped = true;
    }
    handle_.reset();
  }

  absl::Status SubscribeTo(natsConnection* connection) {
    ASSIGN_OR_RETURN(SubscriptionHandle handle, SubscribeOn(connection, subject_, queue_, state_));
    std::lock_guard<std::mutex> lock(mutex_);
    if (!drained_) handle_.swap(handle);
    return absl::OkStatus();
  }

  // `forget` ends calls of SubscribeTo() from elsewhere, and waits for a running one.
  void OnEnd(std::function<void()> forget) { forget_ = std::move(forget); }

  void Drain(absl::Duration limit) override {
    SubscriptionHandle handle;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      drained_ = true;
      handle = handle_;
    }
    if (handle == nullptr || natsSubscription_Drain(handle.get()) != NATS_OK) return;
    natsSubscription_WaitForDrainCompletion(handle.get(), absl::ToInt64Milliseconds(limit));
  }

  int64_t Pending() const {
    std::lock_guard<std::mutex> lock(mutex_);
    uint64_t pending = 0;
    return handle_ != nullptr && natsSubscription_QueuedMsgs(handle_.get(), &pending) == NATS_OK
               ? static_cast<int64_t>(pending)
               : 0;
  }

 private:
  const std::string subject_;
  const std::string queue_;
  const std::shared_ptr<SubscriptionState> state_;
  std::function<void()> forget_;
  mutable std::mutex mutex_;
  bool drained_ = false;
  SubscriptionHandle handle_;
};

// What the server refuses, in its words. Thread-safe.
class Refusals {
 public:
  // The connection came up, or was lost.
  void OnChange(bool up) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (up) {
      user_.clear();
    } else {
      subscriptions_.clear();
      publish_.clear();
    }
  }

  // Empty: the user is not refused.
  void OfUser(absl::string_view words) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (user_ == words) return;
      user_ = std::string(words);
    }
    if (words.empty()) return;
    Log(LogLevel::kError, "nats-server does not let this user in", {{"error", std::string(words)}});
  }

  // Called for each message that is refused.
  void OnPublish(std::function<void(const std::string&)> callback) { on_publish_ = std::move(callback); }

  // A message's reply subject can be anything, and so each text is logged once, and not many of them.
  void OfSubject(const char* text) {
    const std::string words = text != nullptr ? text : "";
    const bool of_subscription = absl::StrContains(absl::AsciiStrToLower(words), "for subscription");
    bool is_new = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!of_subscription) {
        publish_ = words;
      } else if (subscriptions_.size() < kMaxRefusals) {
        subscriptions_.insert(words);
      }
      is_new = logged_.size() < kMaxRefusals && logged_.insert(words).second;
    }
    if (is_new) {
      Log(LogLevel::kError, "nats-server refuses what this user has no right to", {{"error", words}});
    }
    if (!of_subscription && on_publish_) on_publish_(words);
  }

  std::string user() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return user_;
  }
  std::vector<std::string> subscriptions() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return {subscriptions_.begin(), subscriptions_.end()};
  }
  std::string publish() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return publish_;
  }

 private:
  std::function<void(const std::string&)> on_publish_;  // set before there are connections
  mutable std::mutex mutex_;
  std::string user_;
  std::set<std::string> subscriptions_;
  std::string publish_;
  std::set<std::string> logged_;
};

}  // namespace

std::string InboxPrefix(const NatsOptions& options) {
  std::string token = options.user;
  if (token.empty()) {
    // It may stand in the address: nats://user:password@host.
    absl::string_view url = options.url;
    if (const size_t scheme = url.find("://"); scheme != absl::string_view::npos)
      url.remove_prefix(scheme + 3);
    if (const size_t at = url.find('@'); at != absl::string_view::npos) {
      token = std::string(url.substr(0, std::min(at, url.find(':'))));
    }
  }
  if (token.empty()) return "_INBOX";
  for (char& c : token) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  return absl::StrCat("_INBOX.", token);
}

// Shared with the callbacks of nats.c, which may come late.
struct NatsBus::Impl : public std::enable_shared_from_this<NatsBus::Impl> {
  Clock* clock = nullptr;
  NatsOptions connect_options;
  const std::shared_ptr<Refusals> refusals = std::make_shared<Refusals>();
  std::atomic<natsConnection*> direct{nullptr};    // writes at once; holds all subscriptions
  std::atomic<natsConnection*> buffered{nullptr};  // gathers writes
  std::atomic<bool> direct_up{false};
  std::atomic<bool> buffered_up{false};
  std::atomic<uint64_t> reconnect_count{0};

  std::mutex mutex;
  std::condition_variable changed;
  struct ConnectionListener {
    std::recursive_mutex mutex;  // held while the callback runs
    bool removed = false;
    std::function<void(bool)> callback;
  };
  std::unordered_map<uint64_t, std::shared_ptr<ConnectionListener>> listeners;
  uint64_t next_listener = 1;

  // Requests under way, by the last token of their reply subject.
  struct Pending {
    ReplyCallback done;
    Clock::TimerId timer = 0;
    std::string service;
    std::string subject;
  };
  std::string inbox_prefix;  // InboxPrefix() + ".<uuid>."
  std::unique_ptr<NatsSubscription> mux;
  std::mutex pending_mutex;
  std::unordered_map<uint64_t, Pending> pending;
  uint64_t next_token = 1;

  // nats.c gives a connection up for good when the server refuses the user, or something that it sent.
  // Whoever still uses one gets errors, so that it lives on for longer than any call takes.
  std::mutex repair_mutex;
  std::condition_variable repair_due;
  bool direct_closed = false;
  bool buffered_closed = false;
  bool ending = false;
  struct Retired {
    natsConnection* connection;
    absl::Time since;
  };
  std::vector<Retired> retired;
  std::thread repairer;
  std::mutex subscriptions_mutex;  // held while subscriptions are made anew
  std::unordered_set<NatsSubscription*> subscriptions;

  natsConnection* Connection(Urgency urgency) const {
    return urgency == Urgency::kSoon && buffered_up ? buffered.load() : direct.load();
  }

  absl::Status OpenDirect();
  absl::Status OpenBuffered();
  void Repair();
  void Retire(natsConnection* connection);

  // Called by nats.c when a connection is closed for good.
  void Closed(bool of_direct) {
    std::lock_guard<std::mutex> lock(repair_mutex);
    (of_direct ? direct_closed : buffered_closed) = true;
    repair_due.notify_all();
  }

  void SetUp(bool up) {
    std::vector<std::shared_ptr<ConnectionListener>> to_call;
    {
      std::lock_guard<std::mutex> lock(mutex);
      direct_up = up;
      changed.notify_all();
      for (const auto& [id, listener] : listeners) to_call.push_back(listener);
    }
    for (const auto& listener : to_call) {
      const std::lock_guard<std::recursive_mutex> lock(listener->mutex);
      if (!listener->removed) listener->callback(up);
    }
  }

  absl::Status Publish(const Message& message, Urgency urgency) {
    natsConnection* connection = Connection(urgency);
    // Most replies and acks have no headers; natsMsg is only needed for those.
    if (message.headers.empty()) {
      if (!subjects::IsPublishable(message.subject) ||
          (!message.reply.empty() && !subjects::IsPublishable(message.reply))) {
        return absl::InvalidArgumentError(
            absl::StrCat("not a subject to publish to: ", absl::CEscape(message.subject)));
      }
      const int size = static_cast<int>(message.body.size());
      return FromNats(
          message.reply.empty()
              ? natsConnection_Publish(connection, message.subject.c_str(), message.body.data(), size)
              : natsConnection_PublishRequest(connection, message.subject.c_str(), message.reply.c_str(),
                                              message.body.data(), size),
          "publish");
    }
    ASSIGN_OR_RETURN(const MsgPtr msg, ToNats(message));
    return FromNats(natsConnection_PublishMsg(connection, msg.get()), "publish");
  }

  absl::StatusOr<std::unique_ptr<NatsSubscription>> Subscribe(absl::string_view subject,
                                                              absl::string_view queue,
                                                              MessageCallback callback) {
    auto made =
        std::make_unique<NatsSubscription>(std::string(subject), std::string(queue), std::move(callback));
    const std::lock_guard<std::mutex> lock(subscriptions_mutex);
    if (const absl::Status status = made->SubscribeTo(direct); !IsLater(status)) return status;
    subscriptions.insert(made.get());
    made->OnEnd([weak = weak_from_this(), raw = made.get()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      const std::lock_guard<std::mutex> forget(self->subscriptions_mutex);
      self->subscriptions.erase(raw);
    });
    return made;
  }

  // Blocking JetStream API request, on the library's own reply subscription, so that bus threads may call it.
  absl::StatusOr<ApiResponse> Api(const Message& message) {
    if (!direct_up) return absl::UnavailableError("not connected to NATS");
    ASSIGN_OR_RETURN(const MsgPtr msg, ToNats(message));
    natsMsg* raw = nullptr;
    RETURN_IF_ERROR(FromNats(natsConnection_RequestMsg(&raw, direct, msg.get(), kTimeoutMs),
                             absl::StrCat(message.subject)));
    const MsgPtr reply(raw);
    if (natsMsg_IsNoResponders(raw)) return absl::UnavailableError("JetStream is not there");
    return DecodeApi(
        absl::string_view(natsMsg_GetData(raw), static_cast<size_t>(natsMsg_GetDataLength(raw))));
  }

  std::string InboxFor(uint64_t token) const { return absl::StrCat(inbox_prefix, token); }

  uint64_t AddPending(Pending entry) {
    std::lock_guard<std::mutex> lock(pending_mutex);
    const uint64_t token = next_token++;
    pending.emplace(token, std::move(entry));
    return token;
  }

  // Takes a request out, so that exactly one answer, timeout or failure ends it.
  std::optional<Pending> TakePending(uint64_t token) {
    std::lock_guard<std::mutex> lock(pending_mutex);
    const auto it = pending.find(token);
    if (it == pending.end()) return std::nullopt;
    Pending entry = std::move(it->second);
    pending.erase(it);
    return entry;
  }

  void Finish(uint64_t token, absl::StatusOr<Message> result) {
    std::optional<Pending> entry = TakePending(token);
    if (!entry.has_value()) return;
    if (entry->timer != 0) clock->Cancel(entry->timer);
    entry->done(std::move(result));
  }

  void SetTimer(uint64_t token, absl::Duration delay, std::function<void()> callback) {
    const Clock::TimerId timer = clock->RunAfter(delay, std::move(callback));
    std::lock_guard<std::mutex> lock(pending_mutex);
    const auto it = pending.find(token);
    if (it == pending.end()) {
      clock->Cancel(timer);
    } else {
      it->second.timer = timer;
    }
  }

  // The server has refused a message: whoever waits for its answer waits in vain. `text` ends in the subject.
  void OnRefusedPublish(const std::string& text) {
    std::vector<uint64_t> tokens;
    {
      std::lock_guard<std::mutex> lock(pending_mutex);
      for (const auto& [token, entry] : pending) {
        if (absl::EndsWith(text, absl::StrCat("\"", entry.subject, "\""))) tokens.push_back(token);
      }
    }
    for (const uint64_t token : tokens) Finish(token, absl::PermissionDeniedError(text));
  }

  void OnReply(Message message) {
    uint64_t token = 0;
    if (!absl::SimpleAtoi(absl::string_view(message.subject).substr(inbox_prefix.size()), &token)) return;
    if (message.body.empty() && message.headers.Get("Status") == "503") {
      Finish(token, MakeError(ErrorCode::kUnavailable, "nobody answers on this subject"));
      return;
    }
    Finish(token, std::move(message));
  }

  void CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) {
    const uint64_t token = AddPending({std::move(done), 0, "", message.subject});
    message.reply = InboxFor(token);
    SetTimer(token, timeout, [weak = weak_from_this(), token, subject = message.subject] {
      if (auto self = weak.lock()) {
        self->Finish(token, MakeError(ErrorCode::kTimeout, absl::StrCat("no answer on ", subject)));
      }
    });
    if (absl::Status status = Publish(message, Urgency::kNow); !status.ok()) Finish(token, std::move(status));
  }

  void Request(Message message, const RequestOptions& options, ReplyCallback done) {
    const absl::Time deadline = clock->Now() + options.timeout;
    const uint64_t token = AddPending({std::move(done), 0, options.service, message.subject});
    message.reply = InboxFor(token);
    message.headers.Set(subjects::kReplyToHeader, message.reply);
    message.headers.Set(subjects::kDeadlineHeader, FormatTimestamp(deadline));
    if (!options.idempotency_key.empty()) {
      message.headers.Set(subjects::kIdempotencyKeyHeader, options.idempotency_key);
    }
    const std::string subject = message.subject;
    const auto expire = [weak = weak_from_this(), token, subject] {
      if (auto self = weak.lock()) {
        self->Finish(token,
                     MakeError(ErrorCode::kTimeout, absl::StrCat("no answer on ", subject, " in time")));
      }
    };
    const absl::Duration quarter = options.timeout / 4;
    SetTimer(token, quarter,
             [weak = weak_from_this(), token, service = options.service, rest = options.timeout - quarter,
              expire] {
               auto self = weak.lock();
               if (self == nullptr) return;
               self->SetTimer(token, rest, expire);
               if (!service.empty() && self->direct_up) self->AskWhetherAlive(token, service, rest);
             });
    size_t under_way = 0;
    {
      std::lock_guard<std::mutex> lock(pending_mutex);
      under_way = pending.size();
    }
    const Urgency urgency = under_way <= kSendNowUpTo ? Urgency::kNow : Urgency::kSoon;
    if (absl::Status status = Publish(message, urgency); !status.ok()) Finish(token, std::move(status));
  }

  // Ends the request at once when no copy of the service is there; otherwise it waits on.
  void AskWhetherAlive(uint64_t token, const std::string& service, absl::Duration timeout) {
    Message ping;
    ping.subject = absl::StrCat("$SRV.PING.", service);
    CoreRequest(
        std::move(ping), timeout,
        [weak = weak_from_this(), token, service](const absl::StatusOr<Message>& pong) {
          auto self = weak.lock();
          if (self == nullptr || pong.ok() || !absl::IsUnavailable(pong.status()) || !self->direct_up) {
            return;
          }
          self->Finish(token,
                       MakeError(ErrorCode::kUnavailable, absl::StrCat("no ", service, " agent is running")));
        });
  }

  void PublishEvent(std::shared_ptr<const Message> message, absl::Time deadline,
                    std::function<void(absl::Status)> done) {
    const absl::Duration left = deadline - clock->Now();
    Message copy = *message;
    CoreRequest(std::move(copy), std::min(left, kPublishAttempt),
                [weak = weak_from_this(), message = std::move(message), deadline,
                 done = std::move(done)](const absl::StatusOr<Message>& reply) {
                  auto self = weak.lock();
                  if (self == nullptr) return;
                  absl::Status status = reply.status();
                  if (status.ok()) status = DecodeApi(reply->body).status();
                  // A refusal is final; silence, a missing stream and a missing server are not.
                  if (status.ok() || absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status)) {
                    done(status);
                    return;
                  }
                  if (self->clock->Now() + kPublishRetryWait >= deadline) {
                    done(MakeError(ErrorCode::kUnavailable, absl::StrCat("not stored: ", status.message())));
                    return;
                  }
                  self->clock->RunAfter(kPublishRetryWait, [weak, message, deadline, done] {
                    if (auto again = weak.lock()) again->PublishEvent(message, deadline, done);
                  });
                });
  }
};

namespace {

// A closure of connection callbacks; freed when the connection is closed for good.
struct ConnectionClosure {
  std::shared_ptr<Refusals> refusals;
  std::function<void(bool connected, bool again)> on_change;
  std::function<void()> on_closed;
};

void OnConnected(natsConnection*, void* closure) {
  static_cast<ConnectionClosure*>(closure)->on_change(true, false);
}
void OnReconnected(natsConnection*, void* closure) {
  static_cast<ConnectionClosure*>(closure)->on_change(true, true);
}
void OnDisconnected(natsConnection*, void* closure) {
  static_cast<ConnectionClosure*>(closure)->on_change(false, false);
}
void OnClosed(natsConnection*, void* closure) {
  auto* own = static_cast<ConnectionClosure*>(closure);
  own->on_change(false, false);
  own->on_closed();
  delete own;
}
void OnError(natsConnection* connection, natsSubscription*, natsStatus status, void* closure) {
  if (status == NATS_NOT_PERMITTED) {
    const char* text = nullptr;
    natsConnection_GetLastError(connection, &text);
    static_cast<ConnectionClosure*>(closure)->refusals->OfSubject(text);
    return;
  }
  Log(LogLevel::kWarning, "NATS reports an error", {{"error", natsStatus_GetText(status)}});
}

// Whether any bus of this process may speak TLS.
std::atomic<bool> tls_spoken{false};

using OptionsPtr = std::unique_ptr<natsOptions, void (*)(natsOptions*)>;

// Signs what the server asks a user with an nkey to sign. `closure`: the seed.
natsStatus SignNonce(char** error, unsigned char** signature, int* length, const char* nonce, void* closure) {
  const natsStatus status = nats_Sign(static_cast<const char*>(closure), nonce, signature, length);
  // nats.c frees it.
  if (status != NATS_OK) *error = strdup("the nkey cannot sign");
  return status;
}

// Where to, and as whom. `options` has to outlive what is made.
absl::StatusOr<OptionsPtr> MakeOptions(const NatsOptions& options, absl::string_view name_end) {
  natsOptions* raw = nullptr;
  RETURN_IF_ERROR(FromNats(natsOptions_Create(&raw), "options"));
  OptionsPtr made(raw, natsOptions_Destroy);
  std::vector<std::string> urls = absl::StrSplit(options.url, ',', absl::SkipWhitespace());
  std::vector<const char*> servers;
  servers.reserve(urls.size());
  for (const std::string& url : urls) servers.push_back(url.c_str());
  if (servers.empty()) return absl::InvalidArgumentError("the NATS URL is empty");
  RETURN_IF_ERROR(FromNats(natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size())),
                           absl::StrCat("NATS URL ", options.url)));
  natsOptions_SetName(raw, absl::StrCat(options.name, name_end).c_str());
  if (!options.nkey_seed.empty()) {
    ASSIGN_OR_RETURN(const std::string key, NkeyPublicKey(options.nkey_seed));
    // The seed outlives the connection: Impl has it.
    RETURN_IF_ERROR(FromNats(
        natsOptions_SetNKey(raw, key.c_str(), SignNonce, const_cast<char*>(options.nkey_seed.c_str())),
        "nkey"));
  } else if (!options.user.empty()) {
    natsOptions_SetUserInfo(raw, options.user.c_str(), options.password.c_str());
  }
  if (!options.ca_certificates.empty() || absl::StrContains(options.url, "tls://")) tls_spoken = true;
  if (!options.ca_certificates.empty()) {
    if (natsOptions_SetCATrustedCertificates(raw, options.ca_certificates.c_str()) != NATS_OK) {
      return absl::InvalidArgumentError("the certificates of the authority cannot be read");
    }
    // Never without, even if the server would do without.
    natsOptions_SetSecure(raw, true);
  }
  natsOptions_SetTimeout(raw, kTimeoutMs);
  return made;
}

// Whether the server does not let this user in. A connection that tries for ever does not say so: it is
// closed at the second refusal, with "no server available".
bool IsRefused(const NatsOptions& options) {
  const absl::StatusOr<OptionsPtr> made = MakeOptions(options, " (who was refused)");
  if (!made.ok()) return false;
  natsConnection* connection = nullptr;
  const natsStatus status = natsConnection_Connect(&connection, made->get());
  natsConnection_Destroy(connection);
  return status == NATS_CONNECTION_AUTH_FAILED;
}

// Connects, or begins to. Whether the new connection is up at once, the caller has to ask it.
absl::StatusOr<natsConnection*> Open(const NatsOptions& options, bool send_asap,
                                     std::shared_ptr<Refusals> refusals,
                                     std::function<void(bool, bool)> on_change,
                                     std::function<void()> on_closed) {
  ASSIGN_OR_RETURN(const OptionsPtr opts, MakeOptions(options, send_asap ? "" : " (bulk)"));
  natsOptions* const raw = opts.get();
  natsOptions_SetMaxReconnect(raw, -1);
  natsOptions_SetReconnectWait(raw, kReconnectWaitMs);
  natsOptions_SetSendAsap(raw, send_asap);
  natsOptions_SetPingInterval(raw, kPingIntervalMs);
  natsOptions_SetWriteDeadline(raw, kWriteDeadlineMs);
  natsOptions_SetFailRequestsOnDisconnect(raw, true);
  natsOptions_SetCustomInboxPrefix(raw, InboxPrefix(options).c_str());
  auto* closure = new ConnectionClosure{std::move(refusals), std::move(on_change), std::move(on_closed)};
  natsOptions_SetRetryOnFailedConnect(raw, true, OnConnected, closure);
  natsOptions_SetReconnectedCB(raw, OnReconnected, closure);
  natsOptions_SetDisconnectedCB(raw, OnDisconnected, closure);
  natsOptions_SetClosedCB(raw, OnClosed, closure);
  natsOptions_SetErrorHandler(raw, OnError, closure);
  natsConnection* connection = nullptr;
  const natsStatus status = natsConnection_Connect(&connection, raw);
  if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
    delete closure;
    return FromNats(status, absl::StrCat("connect to ", options.url));
  }
  return connection;
}

// A delivery and its end.
struct PullState;
class NatsDelivery : public Delivery {
 public:
  NatsDelivery(std::shared_ptr<PullState> pull, Message message);
  ~NatsDelivery() override;

  const Message& message() const override { return message_; }
  uint64_t stream_sequence() const override { return stream_sequence_; }
  uint64_t consumer_sequence() const override { return consumer_sequence_; }
  int deliveries() const override { return deliveries_; }
  bool last_delivery() const override;
  absl::Time stored_at() const override { return stored_at_; }
  void Ack() override { End("+ACK", nullptr); }
  void AckWithReply(const Message& reply) override { End("+ACK", &reply); }
  void Nak(absl::Duration delay) override {
    End(absl::StrCat("-NAK {\"delay\":", absl::ToInt64Nanoseconds(delay), "}"), nullptr);
  }
  void Term() override { End("+TERM", nullptr); }
  void InProgress() override;

  int64_t lag() const { return lag_; }

 private:
  void End(absl::string_view verdict, const Message* reply);

  std::shared_ptr<PullState> pull_;
  Message message_;
  std::string ack_subject_;
  uint64_t stream_sequence_ = 0;
  uint64_t consumer_sequence_ = 0;
  int deliveries_ = 1;
  int64_t lag_ = 0;
  absl::Time stored_at_;
  std::atomic<bool> ended_{false};
};

}  // namespace

// A bound pull consumer's state, shared with timers, API answers and deliveries.
namespace {

struct PullState : public std::enable_shared_from_this<PullState> {
  // Kept as functions so that the state depends on the connection only through them.
  Clock* clock = nullptr;
  std::function<absl::Status(const Message&, Urgency)> publish;
  std::function<void(Message, absl::Duration, ReplyCallback)> core_request;
  std::function<bool()> connected;
  ConsumeOptions options;
  DeliveryCallback callback;
  std::string inbox;

  std::mutex mutex;
  bool bound = false;
  bool binding = false;
  bool stopped = false;
  uint64_t binding_number = 0;  // outdates API answers that come late
  int requested = 0;            // asked of the server and not yet come
  int in_flight = 0;
  absl::Duration ack_wait = absl::Seconds(30);
  int max_deliver = -1;
  absl::Time last_heard;
  int64_t lag = -1;
  std::unordered_map<NatsDelivery*, absl::Time> unfinished;  // and when its ack_wait last started
  std::function<int64_t()> queued = [] { return int64_t{0}; };
  absl::Time counting_since = absl::InfinitePast();  // of ended_lately
  int ended_lately = 0;

  // How the reply to a delivery, and its ack, are to be sent.
  Urgency ReplyUrgency() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      const absl::Time now = clock->Now();
      if (now - counting_since >= absl::Milliseconds(1) || now < counting_since) {
        counting_since = now;
        ended_lately = 0;
      }
      if (++ended_lately > kReplyNowUpTo) return Urgency::kSoon;
    }
    return queued() == 0 ? Urgency::kNow : Urgency::kSoon;
  }

  void Bind() {
    uint64_t number = 0;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped || binding || !connected()) return;
      binding = true;
      bound = false;
      number = ++binding_number;
    }
    Message info;
    info.subject = absl::StrCat("$JS.API.CONSUMER.INFO.", options.stream, ".", options.durable);
    core_request(std::move(info), kConsumerInfoWait,
                 [weak = weak_from_this(), number](absl::StatusOr<Message> reply) {
                   if (auto self = weak.lock()) self->OnInfo(number, std::move(reply));
                 });
  }

  void OnInfo(uint64_t number, absl::StatusOr<Message> reply) {
    absl::Status status = reply.status();
    ConsumerInfo info;
    if (status.ok()) {
      absl::StatusOr<ApiResponse> response = DecodeApi(reply->body);
      status = response.status();
      if (status.ok()) {
        absl::StatusOr<ConsumerInfo> decoded = ToConsumerInfo(*response);
        status = decoded.status();
        if (status.ok()) info = *decoded;
      }
    }
    std::unique_lock<std::mutex> lock(mutex);
    if (number != binding_number || stopped) return;
    binding = false;
    if (!status.ok()) {
      lock.unlock();
      RebindLater();
      return;
    }
    ack_wait = info.ack_wait > absl::ZeroDuration() ? info.ack_wait : absl::Seconds(30);
    max_deliver = info.max_deliver;
    lag = info.num_pending;
    bound = true;
    requested = 0;
    last_heard = clock->Now();
    Pull(lock);
  }

  void RebindLater() {
    clock->RunAfter(kRebindWait, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Bind();
    });
  }

  void Unbind() {
    std::lock_guard<std::mutex> lock(mutex);
    bound = false;
    binding = false;
    ++binding_number;
    requested = 0;
  }

  // Asks for as many as may be in flight, in few requests. Unlocks.
  void Pull(std::unique_lock<std::mutex>& lock) {
    const int free = options.max_in_flight - in_flight - requested;
    const bool worth_it = requested == 0 ? free > 0 : free >= std::max(1, options.max_in_flight / 2);
    if (!bound || stopped || !worth_it) {
      lock.unlock();
      return;
    }
    requested += free;
    lock.unlock();
    Message pull;
    pull.subject = absl::StrCat("$JS.API.CONSUMER.MSG.NEXT.", options.stream, ".", options.durable);
    pull.reply = inbox;
    pull.body = absl::StrCat("{\"batch\":", free, ",\"expires\":", absl::ToInt64Nanoseconds(kPullExpires),
                             ",\"idle_heartbeat\":", absl::ToInt64Nanoseconds(kHeartbeat), "}");
    publish(pull, Urgency::kNow).IgnoreError();
  }

  void OnMessage(Message message) {
    if (message.reply.empty() || !absl::StartsWith(message.reply, kAckPrefix)) {
      OnStatus(message);
      return;
    }
    auto delivery = std::make_shared<NatsDelivery>(shared_from_this(), std::move(message));
    {
      std::unique_lock<std::mutex> lock(mutex);
      requested = std::max(0, requested - 1);
      ++in_flight;
      last_heard = clock->Now();
      lag = delivery->lag();
      unfinished.emplace(delivery.get(), last_heard);
      Pull(lock);
    }
    callback(std::move(delivery));
  }

  void OnStatus(const Message& message) {
    const std::string code = message.headers.Get("Status").value_or("");
    std::unique_lock<std::mutex> lock(mutex);
    last_heard = clock->Now();
    if (code == "100" || code.empty()) return;  // idle heartbeat
    int ended = 0;
    const bool counted = absl::SimpleAtoi(message.headers.Get("Nats-Pending-Messages").value_or(""), &ended);
    if (code == "408" && counted) {
      requested = std::max(0, requested - ended);
      Pull(lock);
      return;
    }
    // The consumer or its stream is gone, or the server is going: find out what is there.
    bound = false;
    requested = 0;
    lock.unlock();
    RebindLater();
  }

  // In-progress acks for what takes long, and a new binding when the server has gone silent.
  void Tick() {
    std::vector<std::shared_ptr<std::string>> keep_alive;
    std::vector<std::string> subjects;
    bool silent = false;
    absl::Duration next;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped && unfinished.empty()) return;
      const absl::Time now = clock->Now();
      for (auto& [delivery, since] : unfinished) {
        if (now - since < ack_wait / 2 - absl::Milliseconds(50)) continue;
        delivery->InProgress();
        since = now;
      }
      silent = bound && !stopped && now - last_heard > kSilence;
      if (silent) bound = false;
      next = std::min(ack_wait / 4, kHeartbeat);
    }
    if (silent) Bind();
    clock->RunAfter(next, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Tick();
    });
  }

  void Ended(NatsDelivery* delivery) {
    std::unique_lock<std::mutex> lock(mutex);
    if (unfinished.erase(delivery) == 0) return;
    --in_flight;
    Pull(lock);
  }
};

NatsDelivery::NatsDelivery(std::shared_ptr<PullState> pull, Message message)
    : pull_(std::move(pull)), message_(std::move(message)) {
  ack_subject_ = std::exchange(message_.reply, "");
  if (const std::optional<AckSubject> ack = ParseAckSubject(ack_subject_)) {
    deliveries_ = ack->deliveries;
    stream_sequence_ = ack->stream_sequence;
    consumer_sequence_ = ack->consumer_sequence;
    lag_ = ack->pending;
    stored_at_ = absl::FromUnixNanos(ack->nanos);
  } else {
    Log(LogLevel::kError, "an ack subject of unknown form", {{"subject", ack_subject_}});
  }
  // On the wire a command's own reply subject is lost; the header has it (design, section 3.3).
}

// Not ended: stays unacked and is redelivered.
NatsDelivery::~NatsDelivery() {
  pull_->Ended(this);
}

bool NatsDelivery::last_delivery() const {
  std::lock_guard<std::mutex> lock(pull_->mutex);
  return pull_->max_deliver > 0 && deliveries_ >= pull_->max_deliver;
}

void NatsDelivery::End(absl::string_view verdict, const Message* reply) {
  if (ended_.exchange(true)) return;
  // One choice for both, so that the reply never comes behind the ack.
  const Urgency urgency = pull_->ReplyUrgency();
  if (reply != nullptr) {
    if (absl::Status status = pull_->publish(*reply, urgency); !status.ok()) {
      Log(LogLevel::kWarning, "a reply could not be sent", {{"error", std::string(status.message())}});
    }
  }
  Message ack;
  ack.subject = ack_subject_;
  ack.body = std::string(verdict);
  pull_->publish(ack, urgency).IgnoreError();
  pull_->Ended(this);
}

void NatsDelivery::InProgress() {
  if (ended_) return;
  Message ack;
  ack.subject = ack_subject_;
  ack.body = "+WPI";
  pull_->publish(ack, Urgency::kNow).IgnoreError();
}

class NatsConsumer : public Consumer {
 public:
  NatsConsumer(std::shared_ptr<PullState> state, std::unique_ptr<NatsSubscription> inbox,
               std::unique_ptr<Subscription> listener)
      : state_(std::move(state)), inbox_(std::move(inbox)), listener_(std::move(listener)) {}

  ~NatsConsumer() override {
    listener_.reset();
    Stop();
    {
      std::lock_guard<std::mutex> lock(state_->mutex);
      state_->queued = [] { return int64_t{0}; };
    }
    inbox_.reset();
  }

  bool bound() const override {
    std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->bound;
  }
  void Stop() override {
    {
      std::lock_guard<std::mutex> lock(state_->mutex);
      if (state_->stopped) return;
      state_->stopped = true;
      state_->bound = false;
    }
    // Ends the requests that the server still holds for this inbox.
    if (inbox_ != nullptr) inbox_->Drain(absl::ZeroDuration());
  }
  void Drain(absl::Duration limit) override {
    Stop();
    if (inbox_ != nullptr) inbox_->Drain(limit);
  }
  int in_flight() const override {
    std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->in_flight;
  }
  int64_t lag() const override {
    std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->lag;
  }

 private:
  std::shared_ptr<PullState> state_;
  std::unique_ptr<NatsSubscription> inbox_;
  std::unique_ptr<Subscription> listener_;
};

// A watch on a bucket: an ephemeral push consumer that starts with the latest of every key. It is made anew
// after a reconnect, a gap or silence. (The library's own watcher is not used: its reset of the consumer
// after a restart of the server races with kvWatcher_Stop(), and frees what the other reads.)
struct WatchState : public std::enable_shared_from_this<WatchState> {
  Clock* clock = nullptr;
  std::function<void(Message, absl::Duration, ReplyCallback)> core_request;
  std::function<absl::StatusOr<std::unique_ptr<NatsSubscription>>(absl::string_view, MessageCallback)>
      subscribe;
  std::function<void(const Message&)> publish;
  std::function<bool()> connected;
  std::string inbox_prefix;
  std::string bucket;
  std::string filter;
  std::function<void(const KeyValue::Entry&)> on_entry;
  std::function<void()> on_current;

  std::recursive_mutex callback_mutex;  // held while a callback runs

  std::mutex mutex;
  bool stopped = false;
  uint64_t run = 0;  // outdates what belongs to an earlier consumer
  std::unique_ptr<NatsSubscription> inbox;
  std::string inbox_subject;
  uint64_t last_sequence = 0;  // of the consumer
  int64_t expected = -1;       // messages until everything is current; -1: not known yet
  int64_t received = 0;
  bool current = false;
  absl::Time last_heard;

  void Restart() {
    std::unique_ptr<NatsSubscription> old;
    uint64_t this_run = 0;
    Message create;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped) return;
      this_run = ++run;
      old = std::move(inbox);
      last_sequence = 0;
      expected = -1;
      received = 0;
      current = false;
      last_heard = clock->Now();
      if (connected()) {
        inbox_subject = absl::StrCat(inbox_prefix, NewUuid());
        auto made = subscribe(inbox_subject, [weak = weak_from_this(), this_run](const Message& message) {
          if (auto self = weak.lock()) self->OnMessage(this_run, message);
        });
        if (made.ok()) inbox = *std::move(made);
      }
      if (inbox != nullptr) {
        create.subject = absl::StrCat("$JS.API.CONSUMER.CREATE.KV_", bucket);
        create.body = absl::StrCat(
            "{\"stream_name\":", json::Quote(absl::StrCat("KV_", bucket)),
            ",\"config\":{\"deliver_subject\":", json::Quote(inbox_subject),
            ",\"deliver_policy\":\"last_per_subject\",\"ack_policy\":\"none\",\"max_deliver\":1,"
            "\"replay_policy\":\"instant\",\"mem_storage\":true,\"num_replicas\":1,\"filter_subject\":",
            json::Quote(absl::StrCat("$KV.", bucket, ".", filter)),
            ",\"flow_control\":true,\"idle_heartbeat\":", absl::ToInt64Nanoseconds(kHeartbeat), "}}");
      }
    }
    old.reset();
    if (create.subject.empty()) return;  // the next connection starts it
    core_request(std::move(create), absl::Seconds(5),
                 [weak = weak_from_this(), this_run](absl::StatusOr<Message> reply) {
                   if (auto self = weak.lock()) self->OnCreated(this_run, std::move(reply));
                 });
  }

  void RestartLater(uint64_t of_run) {
    clock->RunAfter(kRebindWait, [weak = weak_from_this(), of_run] {
      auto self = weak.lock();
      if (self == nullptr) return;
      {
        std::lock_guard<std::mutex> lock(self->mutex);
        if (self->run != of_run) return;
      }
      self->Restart();
    });
  }

  void OnCreated(uint64_t of_run, absl::StatusOr<Message> reply) {
    absl::StatusOr<ApiResponse> response = reply.ok() ? DecodeApi(reply->body) : reply.status();
    if (!response.ok()) {
      RestartLater(of_run);
      return;
    }
    const std::lock_guard<std::recursive_mutex> callbacks(callback_mutex);
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped || run != of_run || current) return;
      expected = response->num_pending;
      if (received < expected) return;
      current = true;
    }
    if (on_current) on_current();
  }

  void OnMessage(uint64_t of_run, const Message& message) {
    const std::optional<AckSubject> ack = ParseAckSubject(message.reply);
    if (!ack.has_value()) {
      OnStatus(of_run, message);
      return;
    }
    const std::lock_guard<std::recursive_mutex> callbacks(callback_mutex);
    bool now_current = false;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped || run != of_run) return;
      last_heard = clock->Now();
      if (ack->consumer_sequence != last_sequence + 1) {
        // Something was lost on the way: nothing more of this run, and all of it again.
        ++run;
        RestartLater(run);
        return;
      }
      last_sequence = ack->consumer_sequence;
      ++received;
      now_current = !current && (ack->pending == 0 || (expected >= 0 && received >= expected));
      if (now_current) current = true;
    }
    KeyValue::Entry entry;
    const std::string prefix = absl::StrCat("$KV.", bucket, ".");
    if (absl::StartsWith(message.subject, prefix)) {
      entry.key = message.subject.substr(prefix.size());
      entry.revision = ack->stream_sequence;
      entry.deleted = message.headers.Has("KV-Operation");
      if (!entry.deleted) entry.value = message.body;
      on_entry(entry);
    }
    if (now_current && on_current) on_current();
  }

  // Heartbeats, and requests to say that the flow may go on.
  void OnStatus(uint64_t of_run, const Message& message) {
    std::string answer = message.reply;
    if (answer.empty()) answer = message.headers.Get("Nats-Consumer-Stalled").value_or("");
    uint64_t last = 0;
    const bool tells = absl::SimpleAtoi(message.headers.Get("Nats-Last-Consumer").value_or(""), &last);
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped || run != of_run) return;
      last_heard = clock->Now();
      if (tells && last != last_sequence) {
        ++run;
        RestartLater(run);
        return;
      }
    }
    if (answer.empty()) return;
    Message go_on;
    go_on.subject = answer;
    publish(go_on);
  }

  // A server that has gone silent is asked anew.
  void Tick() {
    bool silent = false;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (stopped) return;
      silent = inbox != nullptr && connected() && clock->Now() - last_heard > kSilence;
    }
    if (silent) Restart();
    clock->RunAfter(kHeartbeat, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Tick();
    });
  }
};

class NatsWatch : public Subscription {
 public:
  NatsWatch(std::shared_ptr<WatchState> state, std::unique_ptr<Subscription> listener)
      : state_(std::move(state)), listener_(std::move(listener)) {}

  ~NatsWatch() override {
    listener_.reset();
    std::unique_ptr<NatsSubscription> inbox;
    {
      std::lock_guard<std::mutex> lock(state_->mutex);
      state_->stopped = true;
      inbox = std::move(state_->inbox);
    }
    inbox.reset();
    // Waits for a callback that runs.
    const std::lock_guard<std::recursive_mutex> callbacks(state_->callback_mutex);
  }

 private:
  std::shared_ptr<WatchState> state_;
  std::unique_ptr<Subscription> listener_;
};

bool IsValidKey(absl::string_view key) {
  if (key.empty() || key.front() == '.' || key.back() == '.') return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '=' ||
           c == '.' || c == '/';
  });
}

class Listener : public Subscription {
 public:
  explicit Listener(std::function<void()> remove) : remove_(std::move(remove)) {}
  ~Listener() override { remove_(); }

 private:
  std::function<void()> remove_;
};

class NatsKeyValue : public KeyValue {
 public:
  using Api = std::function<absl::StatusOr<ApiResponse>(const Message&)>;
  using ListenFunction = std::function<std::unique_ptr<Subscription>(std::function<void(bool)>)>;

  NatsKeyValue(Clock* clock, std::string bucket, Api api, std::function<bool()> connected,
               std::function<std::shared_ptr<WatchState>()> new_watch, ListenFunction listen)
      : clock_(clock),
        bucket_(std::move(bucket)),
        api_(std::move(api)),
        connected_(std::move(connected)),
        new_watch_(std::move(new_watch)),
        listen_(std::move(listen)) {}

  absl::StatusOr<Entry> Get(absl::string_view key) override {
    ASSIGN_OR_RETURN(Entry entry, GetWithMarkers(key));
    if (entry.deleted) return absl::NotFoundError(absl::StrCat("no key ", key, " in ", bucket_));
    return entry;
  }

  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
    return Write(key, value, {});
  }

  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
    absl::StatusOr<uint64_t> revision = Update(key, value, 0);
    if (!absl::IsAborted(revision.status())) return revision;
    // A deleted key leaves a marker, and may be created again on top of it.
    ASSIGN_OR_RETURN(const Entry entry, GetWithMarkers(key));
    if (entry.deleted) revision = Update(key, value, entry.revision);
    if (!absl::IsAborted(revision.status())) return revision;
    return absl::AlreadyExistsError(absl::StrCat("key ", key, " is in ", bucket_));
  }

  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                  uint64_t revision) override {
    Headers headers;
    headers.Set("Nats-Expected-Last-Subject-Sequence", absl::StrCat(revision));
    return Write(key, value, std::move(headers));
  }

  absl::Status Delete(absl::string_view key) override {
    Headers headers;
    headers.Set("KV-Operation", "DEL");
    return Write(key, "", std::move(headers)).status();
  }

  absl::Status Purge(absl::string_view key) override {
    Headers headers;
    headers.Set("KV-Operation", "PURGE");
    return Write(key, "", std::move(headers)).status();
  }

  absl::StatusOr<std::vector<std::string>> Keys() override {
    if (!connected_()) return absl::UnavailableError("not connected to NATS");
    struct Shared {
      std::mutex mutex;
      std::condition_variable changed;
      std::set<std::string> keys;
      bool current = false;
    };
    auto shared = std::make_shared<Shared>();
    ASSIGN_OR_RETURN(const std::unique_ptr<Subscription> watch,
                     Watch(
                         ">",
                         [shared](const Entry& entry) {
                           std::lock_guard<std::mutex> lock(shared->mutex);
                           if (entry.deleted) {
                             shared->keys.erase(entry.key);
                           } else {
                             shared->keys.insert(entry.key);
                           }
                         },
                         [shared] {
                           std::lock_guard<std::mutex> lock(shared->mutex);
                           shared->current = true;
                           shared->changed.notify_all();
                         }));
    std::unique_lock<std::mutex> lock(shared->mutex);
    if (!clock_->WaitUntil(lock, shared->changed, clock_->Now() + absl::Milliseconds(kTimeoutMs),
                           [&] { return shared->current; })) {
      return absl::DeadlineExceededError(absl::StrCat("the keys of ", bucket_, " did not come"));
    }
    return std::vector<std::string>(shared->keys.begin(), shared->keys.end());
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Watch(absl::string_view filter,
                                                      std::function<void(const Entry&)> on_entry,
                                                      std::function<void()> on_current) override {
    std::shared_ptr<WatchState> state = new_watch_();
    state->bucket = bucket_;
    state->filter = std::string(filter);
    state->on_entry = std::move(on_entry);
    state->on_current = std::move(on_current);
    const std::weak_ptr<WatchState> weak = state;
    std::unique_ptr<Subscription> listener = listen_([weak](bool connected) {
      auto self = weak.lock();
      if (connected && self != nullptr) self->Restart();
    });
    state->Restart();
    state->Tick();
    return std::make_unique<NatsWatch>(std::move(state), std::move(listener));
  }

 private:
  std::string SubjectOf(absl::string_view key) const { return absl::StrCat("$KV.", bucket_, ".", key); }

  absl::StatusOr<Entry> GetWithMarkers(absl::string_view key) {
    if (!IsValidKey(key)) return absl::InvalidArgumentError(absl::StrCat("not a key: ", absl::CEscape(key)));
    Message get;
    get.subject = absl::StrCat("$JS.API.STREAM.MSG.GET.KV_", bucket_);
    get.body = absl::StrCat("{\"last_by_subj\":", json::Quote(SubjectOf(key)), "}");
    ASSIGN_OR_RETURN(const ApiResponse response, api_(get));
    ASSIGN_OR_RETURN(StoredMessage stored, ToStored(response));
    Entry entry;
    entry.key = std::string(key);
    entry.value = std::move(stored.message.body);
    entry.revision = stored.sequence;
    entry.deleted = stored.message.headers.Has("KV-Operation");
    return entry;
  }

  absl::StatusOr<uint64_t> Write(absl::string_view key, absl::string_view value, Headers headers) {
    if (!IsValidKey(key)) return absl::InvalidArgumentError(absl::StrCat("not a key: ", absl::CEscape(key)));
    Message put;
    put.subject = SubjectOf(key);
    put.headers = std::move(headers);
    put.body = std::string(value);
    ASSIGN_OR_RETURN(const ApiResponse response, api_(put));
    return static_cast<uint64_t>(response.seq);
  }

  Clock* const clock_;
  const std::string bucket_;
  const Api api_;
  const std::function<bool()> connected_;
  const std::function<std::shared_ptr<WatchState>()> new_watch_;
  const ListenFunction listen_;
};

}  // namespace

NatsBus::NatsBus() : impl_(nullptr) {}

absl::StatusOr<std::unique_ptr<NatsBus>> NatsBus::Connect(Clock& clock, const NatsOptions& options) {
  auto bus = std::unique_ptr<NatsBus>(new NatsBus());
  bus->impl_ = std::make_shared<Impl>();
  const std::shared_ptr<Impl>& impl = bus->impl_;
  impl->clock = &clock;
  impl->connect_options = options;
  impl->inbox_prefix = absl::StrCat(InboxPrefix(options), ".", NewUuid(), ".");
  const std::weak_ptr<Impl> weak = impl;
  impl->refusals->OnPublish([weak](const std::string& text) {
    if (auto self = weak.lock()) self->OnRefusedPublish(text);
  });
  RETURN_IF_ERROR(impl->OpenDirect());
  RETURN_IF_ERROR(impl->OpenBuffered());
  ASSIGN_OR_RETURN(impl->mux,
                   impl->Subscribe(absl::StrCat(impl->inbox_prefix, "*"), "", [weak](Message message) {
                     if (auto self = weak.lock()) self->OnReply(std::move(message));
                   }));
  impl->repairer = std::thread([raw = impl.get()] { raw->Repair(); });
  return bus;
}

absl::Status NatsBus::Impl::OpenDirect() {
  const std::weak_ptr<Impl> weak = weak_from_this();
  ASSIGN_OR_RETURN(natsConnection * opened, Open(
                                                connect_options, true, refusals,
                                                [weak](bool up, bool again) {
                                                  auto self = weak.lock();
                                                  if (self == nullptr) return;
                                                  if (again) ++self->reconnect_count;
                                                  self->refusals->OnChange(up);
                                                  self->SetUp(up);
                                                },
                                                [weak] {
                                                  if (auto self = weak.lock()) self->Closed(true);
                                                }));
  {
    // Before anybody is told that it is up.
    const std::lock_guard<std::mutex> lock(subscriptions_mutex);
    direct = opened;
    for (NatsSubscription* subscription : subscriptions) {
      if (absl::Status status = subscription->SubscribeTo(opened); !IsLater(status)) return status;
    }
  }
  if (natsConnection_Status(opened) == NATS_CONN_STATUS_CONNECTED) {
    refusals->OnChange(true);
    SetUp(true);
  }
  return absl::OkStatus();
}

absl::Status NatsBus::Impl::OpenBuffered() {
  const std::weak_ptr<Impl> weak = weak_from_this();
  ASSIGN_OR_RETURN(natsConnection * opened, Open(
                                                connect_options, false, refusals,
                                                [weak](bool up, bool) {
                                                  if (auto self = weak.lock()) self->buffered_up = up;
                                                },
                                                [weak] {
                                                  if (auto self = weak.lock()) self->Closed(false);
                                                }));
  buffered = opened;
  if (natsConnection_Status(opened) == NATS_CONN_STATUS_CONNECTED) buffered_up = true;
  return absl::OkStatus();
}

// repair_mutex is held.
void NatsBus::Impl::Retire(natsConnection* connection) {
  const absl::Time now = clock->Now();
  const auto over = std::partition(retired.begin(), retired.end(), [&](const Retired& each) {
    const bool in_use = each.connection == direct || each.connection == buffered;
    return in_use || now - each.since < kRetiredLife;
  });
  for (auto it = over; it != retired.end(); ++it) natsConnection_Destroy(it->connection);
  retired.erase(over, retired.end());
  const bool known = std::any_of(retired.begin(), retired.end(),
                                 [&](const Retired& each) { return each.connection == connection; });
  if (!known) retired.push_back({connection, now});
}

// Opens anew what was closed for good, until the bus ends.
void NatsBus::Impl::Repair() {
  while (true) {
    bool of_direct = false;
    {
      std::unique_lock<std::mutex> lock(repair_mutex);
      repair_due.wait(lock, [this] { return ending || direct_closed || buffered_closed; });
      if (ending) return;
      of_direct = direct_closed;
      (of_direct ? direct_closed : buffered_closed) = false;
      Retire(of_direct ? direct : buffered);
    }
    // As after any lost connection (kiosk specification, table 2.3).
    const auto wait = [this] {
      std::unique_lock<std::mutex> lock(repair_mutex);
      clock->WaitUntil(lock, repair_due, clock->Now() + absl::Milliseconds(kReconnectWaitMs),
                       [this] { return ending; });
      return !ending;
    };
    bool was_refused = false;
    while (IsRefused(connect_options)) {
      was_refused = true;
      refusals->OfUser("Authorization Violation");
      {
        std::lock_guard<std::mutex> lock(mutex);
        changed.notify_all();
      }
      if (!wait()) return;
    }
    refusals->OfUser("");
    if (!was_refused) {
      Log(LogLevel::kWarning, "the NATS connection was closed for good; opening another",
          {{"connection", of_direct ? "direct" : "bulk"}});
      if (!wait()) return;
    }
    const absl::Status status = of_direct ? OpenDirect() : OpenBuffered();
    if (status.ok()) {
      if (of_direct) ++reconnect_count;
    } else {
      Log(LogLevel::kError, "the NATS connection cannot be opened",
          {{"error", std::string(status.message())}});
      Closed(of_direct);
    }
  }
}

void EndProcessIfTls(int status) {
  if (tls_spoken) _exit(status);
}

NatsBus::~NatsBus() {
  if (impl_ == nullptr) return;
  if (impl_->direct != nullptr && impl_->buffered != nullptr) Flush(absl::Seconds(1)).IgnoreError();
  {
    std::lock_guard<std::mutex> lock(impl_->repair_mutex);
    impl_->ending = true;
    impl_->repair_due.notify_all();
  }
  if (impl_->repairer.joinable()) impl_->repairer.join();
  impl_->mux.reset();
  for (natsConnection* connection : {impl_->buffered.load(), impl_->direct.load()}) {
    if (connection == nullptr) continue;
    natsConnection_Close(connection);
    natsConnection_Destroy(connection);
  }
  for (const Impl::Retired& each : impl_->retired) {
    if (each.connection != impl_->buffered && each.connection != impl_->direct) {
      natsConnection_Destroy(each.connection);
    }
  }
}

Clock& NatsBus::clock() {
  return *impl_->clock;
}
bool NatsBus::connected() const {
  return impl_->direct_up;
}
uint64_t NatsBus::reconnects() const {
  return impl_->reconnect_count;
}

absl::Status NatsBus::Publish(const Message& message, Urgency urgency) {
  return impl_->Publish(message, urgency);
}

void NatsBus::PublishEvent(Message message, absl::Duration timeout, std::function<void(absl::Status)> done) {
  const absl::Time deadline = impl_->clock->Now() + timeout;
  impl_->PublishEvent(std::make_shared<const Message>(std::move(message)), deadline, std::move(done));
}

absl::StatusOr<std::unique_ptr<Subscription>> NatsBus::Subscribe(absl::string_view subject,
                                                                 absl::string_view queue,
                                                                 MessageCallback callback) {
  ASSIGN_OR_RETURN(std::unique_ptr<NatsSubscription> subscription,
                   impl_->Subscribe(subject, queue, std::move(callback)));
  return subscription;
}

void NatsBus::Request(Message message, const RequestOptions& options, ReplyCallback done) {
  impl_->Request(std::move(message), options, std::move(done));
}

void NatsBus::CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) {
  impl_->CoreRequest(std::move(message), timeout, std::move(done));
}

std::unique_ptr<Consumer> NatsBus::Consume(const ConsumeOptions& options, DeliveryCallback callback) {
  auto state = std::make_shared<PullState>();
  state->clock = impl_->clock;
  const std::shared_ptr<Impl> impl = impl_;
  state->publish = [impl](const Message& message, Urgency urgency) {
    return impl->Publish(message, urgency);
  };
  state->core_request = [impl](Message message, absl::Duration timeout, ReplyCallback done) {
    impl->CoreRequest(std::move(message), timeout, std::move(done));
  };
  state->connected = [impl] { return impl->direct_up.load(); };
  state->options = options;
  state->callback = std::move(callback);
  state->inbox = absl::StrCat(InboxPrefix(impl_->connect_options), ".", NewUuid());
  const std::weak_ptr<PullState> weak = state;
  absl::StatusOr<std::unique_ptr<NatsSubscription>> inbox =
      impl_->Subscribe(state->inbox, "", [weak](Message message) {
        if (auto self = weak.lock()) self->OnMessage(std::move(message));
      });
  if (!inbox.ok()) {
    // There will be nothing to deliver.
    Log(LogLevel::kError, "no inbox for a consumer", {{"error", std::string(inbox.status().message())}});
    inbox = std::unique_ptr<NatsSubscription>();
  } else {
    NatsSubscription* raw = inbox->get();
    std::lock_guard<std::mutex> lock(state->mutex);
    state->queued = [raw] { return raw->Pending(); };
  }
  std::unique_ptr<Subscription> listener = OnConnectionChange([weak](bool connected) {
    auto self = weak.lock();
    if (self == nullptr) return;
    self->Unbind();
    if (connected) self->Bind();
  });
  state->Bind();
  state->Tick();
  return std::make_unique<NatsConsumer>(std::move(state), *std::move(inbox), std::move(listener));
}

absl::StatusOr<ConsumerInfo> NatsBus::GetConsumerInfo(absl::string_view stream, absl::string_view durable) {
  Message info;
  info.subject = absl::StrCat("$JS.API.CONSUMER.INFO.", stream, ".", durable);
  ASSIGN_OR_RETURN(const ApiResponse response, impl_->Api(info));
  return ToConsumerInfo(response);
}

absl::StatusOr<StoredMessage> NatsBus::NextStored(absl::string_view stream, absl::string_view filter,
                                                  uint64_t from) {
  Message get;
  get.subject = absl::StrCat("$JS.API.STREAM.MSG.GET.", stream);
  get.body = absl::StrCat("{\"seq\":", from, ",\"next_by_subj\":", json::Quote(filter), "}");
  ASSIGN_OR_RETURN(const ApiResponse response, impl_->Api(get));
  return ToStored(response);
}

absl::StatusOr<StoredMessage> NatsBus::GetStored(absl::string_view stream, uint64_t sequence) {
  Message get;
  get.subject = absl::StrCat("$JS.API.STREAM.MSG.GET.", stream);
  get.body = absl::StrCat("{\"seq\":", sequence, "}");
  ASSIGN_OR_RETURN(const ApiResponse response, impl_->Api(get));
  return ToStored(response);
}

absl::Status NatsBus::DeleteStored(absl::string_view stream, uint64_t sequence) {
  Message del;
  del.subject = absl::StrCat("$JS.API.STREAM.MSG.DELETE.", stream);
  del.body = absl::StrCat("{\"seq\":", sequence, ",\"no_erase\":true}");
  return impl_->Api(del).status();
}

absl::StatusOr<std::unique_ptr<KeyValue>> NatsBus::OpenBucket(absl::string_view bucket) {
  if (!impl_->direct_up) return absl::UnavailableError("not connected to NATS");
  const std::string name(bucket);
  Message info;
  info.subject = absl::StrCat("$JS.API.STREAM.INFO.KV_", name);
  if (absl::Status status = impl_->Api(info).status(); !status.ok()) {
    return Annotate(status, absl::StrCat("bucket ", bucket));
  }
  const std::shared_ptr<Impl> impl = impl_;
  return std::make_unique<NatsKeyValue>(
      impl->clock, name, [impl](const Message& message) { return impl->Api(message); },
      [impl] { return impl->direct_up.load(); },
      [impl] {
        auto state = std::make_shared<WatchState>();
        state->clock = impl->clock;
        state->inbox_prefix = absl::StrCat(InboxPrefix(impl->connect_options), ".");
        state->core_request = [impl](Message message, absl::Duration timeout, ReplyCallback done) {
          impl->CoreRequest(std::move(message), timeout, std::move(done));
        };
        state->subscribe = [impl](absl::string_view subject, MessageCallback callback) {
          return impl->Subscribe(subject, "", std::move(callback));
        };
        state->publish = [impl](const Message& message) {
          impl->Publish(message, Urgency::kNow).IgnoreError();
        };
        state->connected = [impl] { return impl->direct_up.load(); };
        return state;
      },
      [this](std::function<void(bool)> callback) { return OnConnectionChange(std::move(callback)); });
}

std::unique_ptr<Subscription> NatsBus::OnConnectionChange(std::function<void(bool connected)> callback) {
  auto shared = std::make_shared<Impl::ConnectionListener>();
  shared->callback = std::move(callback);
  uint64_t id = 0;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    id = impl_->next_listener++;
    impl_->listeners.emplace(id, shared);
  }
  const std::shared_ptr<Impl> impl = impl_;
  return std::make_unique<Listener>([impl, id, shared] {
    {
      std::lock_guard<std::mutex> lock(impl->mutex);
      impl->listeners.erase(id);
    }
    // Waits for a call under way.
    const std::lock_guard<std::recursive_mutex> lock(shared->mutex);
    shared->removed = true;
  });
}

absl::Status NatsBus::Flush(absl::Duration timeout) {
  for (natsConnection* connection : {impl_->buffered.load(), impl_->direct.load()}) {
    RETURN_IF_ERROR(
        FromNats(natsConnection_FlushTimeout(connection, absl::ToInt64Milliseconds(timeout)), "flush"));
  }
  return absl::OkStatus();
}

bool NatsBus::AwaitConnected(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  impl_->clock->WaitUntil(lock, impl_->changed, impl_->clock->Now() + timeout,
                          [this] { return impl_->direct_up || !impl_->refusals->user().empty(); });
  return impl_->direct_up;
}

std::string NatsBus::refusal() const {
  return impl_->refusals->user();
}

std::vector<std::string> NatsBus::refused_subscriptions() const {
  return impl_->refusals->subscriptions();
}

std::string NatsBus::refused_publish() const {
  return impl_->refusals->publish();
}

}  // namespace arc::bus
