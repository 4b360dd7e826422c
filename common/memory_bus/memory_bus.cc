#include "common/memory_bus/memory_bus.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/provision/topology.h"
#include "common/status/status.h"
#include "common/subjects/subjects.h"

namespace arc::bus {
namespace {

constexpr size_t kMaxPayload = size_t{1024} * 1024;
constexpr absl::Duration kPublishRetry = absl::Milliseconds(250);

bool IsValidSubject(absl::string_view subject, bool wildcards) {
  if (subject.empty()) return false;
  const std::vector<absl::string_view> tokens = absl::StrSplit(subject, '.');
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty() ||
        tokens[i].find_first_of(absl::string_view(" \t\r\n\0", 5)) != absl::string_view::npos) {
      return false;
    }
    if (tokens[i] == "*" && !wildcards) return false;
    if (tokens[i] == ">" && (!wildcards || i + 1 != tokens.size())) return false;
  }
  return true;
}

bool IsValidKey(absl::string_view key) {
  if (key.empty() || key.front() == '.' || key.back() == '.' || absl::StrContains(key, "..")) return false;
  return std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '=' || c == '.' || c == '/';
  });
}

absl::Status Disconnected() {
  return MakeError(ErrorCode::kUnavailable, "not connected to nats-server");
}

// Stands between a callback and its owner: after Close() the callback does not run and will not run.
class Gate {
 public:
  void Run(const std::function<void()>& callback) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (closed_) return;
      ++running_;
      runner_ = std::this_thread::get_id();
    }
    callback();
    std::lock_guard<std::mutex> lock(mutex_);
    --running_;
    changed_.notify_all();
  }

  void Close() {
    std::unique_lock<std::mutex> lock(mutex_);
    closed_ = true;
    if (running_ > 0 && runner_ == std::this_thread::get_id()) return;
    changed_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  int running_ = 0;
  std::thread::id runner_;
};

// Runs `close` when it is destroyed.
class ClosingSubscription : public Subscription {
 public:
  explicit ClosingSubscription(std::function<void()> close,
                               std::function<void(absl::Duration)> drain = nullptr)
      : close_(std::move(close)), drain_(std::move(drain)) {}
  ~ClosingSubscription() override { close_(); }
  void Drain(absl::Duration limit) override {
    if (drain_) drain_(limit);
  }

 private:
  const std::function<void()> close_;
  const std::function<void(absl::Duration)> drain_;
};

}  // namespace

// Everything that outlives the bus object while timers and handles still refer to it. `mutex` is never held
// while a callback runs.
struct MemoryBus::Core : std::enable_shared_from_this<MemoryBus::Core> {
  struct Listener {
    uint64_t id = 0;
    std::string subject;
    std::string queue;
    std::shared_ptr<Gate> gate;
    std::shared_ptr<MessageCallback> callback;
  };

  // A durable's view of one message that was delivered and has not ended.
  struct Pending {
    int deliveries = 0;
    uint64_t consumer_sequence = 0;
    uint64_t reader = 0;  // 0: nobody has it
    std::weak_ptr<Delivery> held;
    absl::Time expires;
    bool exhausted = false;
  };

  struct Durable {
    std::string stream;
    std::string name;
    std::string filter;
    absl::Duration ack_wait;
    int max_deliver = -1;
    uint64_t next = 1;       // the first sequence that was never delivered
    uint64_t delivered = 0;  // the last sequence that was
    std::map<uint64_t, Pending> pending;
    std::set<uint64_t> due;  // pending ones that wait to be delivered again
    uint64_t turn = 0;
    uint64_t sequence = 0;  // deliveries so far, repeated ones included
  };

  struct Reader {
    uint64_t id = 0;
    ConsumeOptions options;
    std::shared_ptr<Gate> gate;
    std::shared_ptr<DeliveryCallback> callback;
    bool stopped = false;
    int in_flight = 0;
  };

  struct Stream {
    std::vector<std::string> subjects;
    StreamOptions options{};
    uint64_t last = 0;
    std::map<uint64_t, StoredMessage> messages;
    std::map<std::string, uint64_t> ids;
    std::map<std::string, Durable> durables;
  };

  struct Watcher {
    uint64_t id = 0;
    std::string bucket;
    std::string filter;
    std::shared_ptr<Gate> gate;
    std::function<void(const KeyValue::Entry&)> on_entry;
    std::function<void()> on_current;
  };

  struct Bucket {
    uint64_t revision = 0;
    std::map<std::string, KeyValue::Entry> entries;
  };

  struct ConnectionListener {
    uint64_t id = 0;
    std::shared_ptr<Gate> gate;
    std::function<void(bool)> callback;
  };

  struct Answer {
    ReplyCallback done;
    uint64_t listener = 0;
    std::vector<Clock::TimerId> timers;
  };

  struct Task {
    std::shared_ptr<Gate> gate;  // may be null
    std::function<void()> run;
  };

  class MemoryDelivery;

  explicit Core(Clock& the_clock) : clock(the_clock) {}

  Clock& clock;
  mutable std::mutex mutex;
  std::condition_variable changed;
  uint64_t activity = 0;
  bool closed = false;
  bool connected = true;
  uint64_t reconnects = 0;
  uint64_t next_id = 1;
  std::deque<Task> tasks;
  std::thread::id pumping;        // whoever runs callbacks now
  std::shared_ptr<Gate> running;  // of the callback that runs now
  std::thread background;
  bool has_background = false;
  std::vector<Listener> listeners;
  std::map<std::string, uint64_t> queue_turns;
  std::map<std::string, Stream> streams;
  std::vector<Reader> readers;
  std::map<std::string, Bucket> buckets;
  std::vector<Watcher> watchers;
  std::vector<ConnectionListener> connection_listeners;
  std::map<uint64_t, Answer> answers;
  std::vector<std::function<void()>> kept;  // for the server, while disconnected; run under `mutex`
  std::vector<Message> published;
  std::vector<std::unique_ptr<Subscription>> services;
  int kv_failures = 0;
  Fault kv_fault = Fault::kBefore;
  int publish_failures = 0;
  int acks_to_lose = 0;

  // Methods whose names end in Locked want `mutex` held.

  void Touch() {
    ++activity;
    changed.notify_all();
  }

  void PostLocked(std::shared_ptr<Gate> gate, std::function<void()> run) {
    tasks.push_back({std::move(gate), std::move(run)});
    Touch();
  }

  // Runs one task; false when there is none.
  bool RunOne(std::unique_lock<std::mutex>& lock) {
    if (tasks.empty()) return false;
    Task task = std::move(tasks.front());
    tasks.pop_front();
    pumping = std::this_thread::get_id();
    running = task.gate;
    lock.unlock();
    if (task.gate != nullptr) {
      task.gate->Run(task.run);
    } else {
      task.run();
    }
    task = {};
    lock.lock();
    pumping = {};
    running = nullptr;
    Touch();
    return true;
  }

  // Until no callback behind `gate` is queued or runs.
  void Drain(const std::shared_ptr<Gate>& gate, absl::Duration limit) {
    const absl::Duration bounded = std::min(limit, absl::Hours(1));
    Pump(
        [&] {
          std::lock_guard<std::mutex> lock(mutex);
          return running != gate && std::none_of(tasks.begin(), tasks.end(),
                                                 [&](const Task& task) { return task.gate == gate; });
        },
        std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(bounded));
  }

  // Runs tasks until `done` holds (asked without the lock) or the limit of real time is over.
  bool Pump(const std::function<bool()>& done, std::chrono::steady_clock::time_point limit) {
    std::unique_lock<std::mutex> lock(mutex);
    if (pumping == std::this_thread::get_id()) return false;
    for (;;) {
      const uint64_t seen = activity;
      lock.unlock();
      const bool is_done = done();
      lock.lock();
      if (is_done) return true;
      const bool mine = !has_background && pumping == std::thread::id();
      if (mine && RunOne(lock)) continue;
      if (!changed.wait_until(lock, limit, [&] { return activity != seen; })) {
        lock.unlock();
        return done();
      }
    }
  }

  Clock::TimerId After(absl::Duration delay, std::function<void(Core&)> callback) {
    return clock.RunAfter(delay, [weak = weak_from_this(), callback = std::move(callback)] {
      if (const std::shared_ptr<Core> core = weak.lock()) callback(*core);
    });
  }

  // ---- Core messages

  bool HasListenerLocked(absl::string_view subject) const {
    return std::any_of(listeners.begin(), listeners.end(),
                       [&](const Listener& l) { return subjects::Matches(l.subject, subject); });
  }

  void RouteLocked(const Message& message) {
    std::map<std::string, std::vector<const Listener*>> groups;
    for (const Listener& listener : listeners) {
      if (!subjects::Matches(listener.subject, message.subject)) continue;
      if (listener.queue.empty()) {
        DeliverLocked(listener, message);
      } else {
        groups[listener.queue].push_back(&listener);
      }
    }
    for (const auto& [queue, members] : groups) {
      DeliverLocked(*members[queue_turns[queue]++ % members.size()], message);
    }
  }

  void DeliverLocked(const Listener& listener, const Message& message) {
    PostLocked(listener.gate, [callback = listener.callback, message] { (*callback)(message); });
  }

  // Stores `message` in the stream that captures it; its name and sequence, or an empty name.
  struct StoreResult {
    std::string stream;
    uint64_t sequence = 0;
    bool duplicate = false;
    bool no_ack = false;
  };
  StoreResult StoreLocked(const Message& message) {
    for (auto& [name, stream] : streams) {
      const bool captures =
          std::any_of(stream.subjects.begin(), stream.subjects.end(),
                      [&](const std::string& s) { return subjects::Matches(s, message.subject); });
      if (!captures) continue;
      const std::optional<std::string> id = message.headers.Get(subjects::kMsgIdHeader);
      if (id.has_value()) {
        const auto it = stream.ids.find(*id);
        if (it != stream.ids.end()) return {name, it->second, true, stream.options.no_ack};
      }
      const uint64_t sequence = ++stream.last;
      StoredMessage stored{message, sequence, clock.Now()};
      stored.message.reply.clear();
      stream.messages.emplace(sequence, std::move(stored));
      if (id.has_value()) stream.ids.emplace(*id, sequence);
      for (auto& [durable_name, durable] : stream.durables) DispatchLocked(durable);
      return {name, sequence, false, stream.options.no_ack};
    }
    return {};
  }

  // What nats-server does with a message. Returns whether anybody takes it.
  bool ServeLocked(const Message& message) {
    const bool heard = HasListenerLocked(message.subject);
    RouteLocked(message);
    const StoreResult stored = StoreLocked(message);
    if (!stored.stream.empty() && !stored.no_ack && !message.reply.empty()) {
      Message ack;
      ack.subject = message.reply;
      ack.body = absl::StrCat(R"({"stream":")", stored.stream, R"(", "seq":)", stored.sequence,
                              stored.duplicate ? R"(, "duplicate": true)" : "", "}");
      RouteLocked(ack);
    }
    return heard || !stored.stream.empty();
  }

  // Hands `message` to the server now, or when the connection is back.
  bool SendLocked(const Message& message) {
    published.push_back(message);
    Touch();
    if (connected) return ServeLocked(message);
    kept.push_back([this, message] { ServeLocked(message); });
    return true;
  }

  static absl::Status Check(const Message& message) {
    if (!IsValidSubject(message.subject, false)) {
      return absl::InvalidArgumentError(absl::StrCat("malformed subject: '", message.subject, "'"));
    }
    if (message.body.size() > kMaxPayload) {
      return absl::InvalidArgumentError(
          absl::StrCat("a body of ", message.body.size(), " bytes; at most ", kMaxPayload, " can be sent"));
    }
    return absl::OkStatus();
  }

  uint64_t ListenLocked(absl::string_view subject, absl::string_view queue, std::shared_ptr<Gate> gate,
                        MessageCallback callback) {
    const uint64_t id = next_id++;
    listeners.push_back({id, std::string(subject), std::string(queue), std::move(gate),
                         std::make_shared<MessageCallback>(std::move(callback))});
    Touch();
    return id;
  }

  void ForgetLocked(uint64_t listener) {
    listeners.erase(std::remove_if(listeners.begin(), listeners.end(),
                                   [&](const Listener& l) { return l.id == listener; }),
                    listeners.end());
  }

  // ---- Requests

  // Ends the request `id` with `result`, if it has not ended.
  void FinishLocked(uint64_t id, absl::StatusOr<Message> result) {
    const auto it = answers.find(id);
    if (it == answers.end()) return;
    for (const Clock::TimerId timer : it->second.timers) clock.Cancel(timer);
    ForgetLocked(it->second.listener);
    PostLocked(nullptr, [done = std::move(it->second.done), result = std::move(result)] { done(result); });
    answers.erase(it);
  }

  void Finish(uint64_t id, absl::StatusOr<Message> result) {
    std::lock_guard<std::mutex> lock(mutex);
    FinishLocked(id, std::move(result));
  }

  void StartRequest(Message message, absl::Duration timeout, ReplyCallback done,
                    const RequestOptions* durable) {
    std::lock_guard<std::mutex> lock(mutex);
    const absl::Status valid = Check(message);
    if (!valid.ok()) {
      PostLocked(nullptr, [done = std::move(done), valid] { done(valid); });
      return;
    }
    const uint64_t id = next_id++;
    message.reply = absl::StrCat("_INBOX.memory.", id);
    if (durable != nullptr) {
      message.headers.Set(subjects::kReplyToHeader, message.reply);
      message.headers.Set(subjects::kDeadlineHeader, FormatTimestamp(clock.Now() + timeout));
      if (!durable->idempotency_key.empty()) {
        message.headers.Set(subjects::kIdempotencyKeyHeader, durable->idempotency_key);
      }
    }
    Answer& answer = answers[id];
    answer.done = std::move(done);
    answer.listener =
        ListenLocked(message.reply, "", nullptr, [this, id](Message reply) { Finish(id, std::move(reply)); });
    const std::string subject = message.subject;
    answer.timers.push_back(After(timeout, [id, subject, timeout](Core& core) {
      core.Finish(id, MakeError(ErrorCode::kTimeout, absl::StrCat("no answer on ", subject, " within ",
                                                                  absl::FormatDuration(timeout))));
    }));
    if (durable != nullptr && !durable->service.empty()) {
      answer.timers.push_back(
          After(timeout / 4, [id, service = durable->service](Core& core) { core.Ping(id, service); }));
    }
    if (!SendLocked(message)) {
      FinishLocked(id, MakeError(ErrorCode::kUnavailable, absl::StrCat("nobody answers ", subject)));
    }
  }

  void Ping(uint64_t id, const std::string& service) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!connected || answers.count(id) == 0) return;
    }
    Message ping;
    ping.subject = absl::StrCat("$SRV.PING.", service);
    StartRequest(
        std::move(ping), absl::Seconds(1),
        [weak = weak_from_this(), id, service](const absl::StatusOr<Message>& pong) {
          const std::shared_ptr<Core> core = weak.lock();
          if (core == nullptr || !absl::IsUnavailable(pong.status())) return;
          core->Finish(id,
                       MakeError(ErrorCode::kUnavailable, absl::StrCat("no ", service, " agent is running")));
        },
        nullptr);
  }

  // ---- Durable consumers

  Durable* FindDurableLocked(absl::string_view stream, absl::string_view durable) {
    const auto s = streams.find(std::string(stream));
    if (s == streams.end()) return nullptr;
    const auto d = s->second.durables.find(std::string(durable));
    return d == s->second.durables.end() ? nullptr : &d->second;
  }

  Reader* FindReaderLocked(uint64_t id) {
    for (Reader& reader : readers) {
      if (reader.id == id) return &reader;
    }
    return nullptr;
  }

  // The next reader of the durable that has room, in turn.
  Reader* NextReaderLocked(Durable& durable) {
    std::vector<Reader*> ready;
    for (Reader& reader : readers) {
      if (reader.options.stream == durable.stream && reader.options.durable == durable.name &&
          !reader.stopped && reader.in_flight < reader.options.max_in_flight) {
        ready.push_back(&reader);
      }
    }
    return ready.empty() ? nullptr : ready[durable.turn++ % ready.size()];
  }

  // The first message at or after `from` that the durable filters.
  const StoredMessage* FindLocked(const Stream& stream, absl::string_view filter, uint64_t from) const {
    for (auto it = stream.messages.lower_bound(from); it != stream.messages.end(); ++it) {
      if (subjects::Matches(filter, it->second.message.subject)) return &it->second;
    }
    return nullptr;
  }

  int64_t CountLocked(const Stream& stream, const Durable& durable) const {
    int64_t count = 0;
    for (auto it = stream.messages.lower_bound(durable.next); it != stream.messages.end(); ++it) {
      if (subjects::Matches(durable.filter, it->second.message.subject)) ++count;
    }
    return count;
  }

  // Delivers all that somebody has room for.
  void DispatchLocked(Durable& durable) {
    if (!connected) return;
    Stream& stream = streams.at(durable.stream);
    for (;;) {
      while (!durable.due.empty() && stream.messages.count(*durable.due.begin()) == 0) {
        durable.pending.erase(*durable.due.begin());
        durable.due.erase(durable.due.begin());
      }
      const StoredMessage* stored = nullptr;
      const bool again = !durable.due.empty();
      if (again) {
        stored = &stream.messages.at(*durable.due.begin());
      } else {
        stored = FindLocked(stream, durable.filter, durable.next);
      }
      if (stored == nullptr) return;
      Reader* reader = NextReaderLocked(durable);
      if (reader == nullptr) return;
      if (again) {
        durable.due.erase(stored->sequence);
      } else {
        durable.next = stored->sequence + 1;
        durable.delivered = stored->sequence;
      }
      Pending& pending = durable.pending[stored->sequence];
      ++pending.deliveries;
      pending.consumer_sequence = ++durable.sequence;
      pending.reader = reader->id;
      pending.expires = clock.Now() + durable.ack_wait;
      ++reader->in_flight;
      std::shared_ptr<Delivery> delivery = MakeDelivery(durable, *stored, pending, reader->id);
      pending.held = delivery;
      WatchLocked(durable, stored->sequence, pending.deliveries);
      PostLocked(reader->gate,
                 [callback = reader->callback, delivery = std::move(delivery)] { (*callback)(delivery); });
    }
  }

  std::shared_ptr<Delivery> MakeDelivery(const Durable& durable, const StoredMessage& stored,
                                         const Pending& pending, uint64_t reader);

  // Looks after a delivery each half of ack_wait: renews it while somebody works on it.
  void WatchLocked(const Durable& durable, uint64_t sequence, int deliveries) {
    After(durable.ack_wait / 2, [stream = durable.stream, name = durable.name, sequence, deliveries](
                                    Core& core) { core.LookAfter(stream, name, sequence, deliveries); });
  }

  void LookAfter(const std::string& stream, const std::string& name, uint64_t sequence, int deliveries) {
    std::shared_ptr<Delivery> held;  // let go of without the lock
    std::lock_guard<std::mutex> lock(mutex);
    Durable* durable = FindDurableLocked(stream, name);
    if (durable == nullptr) return;
    const auto it = durable->pending.find(sequence);
    if (it == durable->pending.end() || it->second.deliveries != deliveries || it->second.reader == 0) return;
    Pending& pending = it->second;
    held = pending.held.lock();
    if (held != nullptr && connected && FindReaderLocked(pending.reader) != nullptr) {
      pending.expires = clock.Now() + durable->ack_wait;
    }
    if (pending.expires <= clock.Now()) {
      ReleaseLocked(pending);
      AgainLocked(*durable, sequence);
      return;
    }
    WatchLocked(*durable, sequence, deliveries);
  }

  // Takes the message from its reader.
  void ReleaseLocked(Pending& pending) {
    if (Reader* reader = FindReaderLocked(pending.reader)) --reader->in_flight;
    pending.reader = 0;
    pending.held.reset();
  }

  // Delivers the message again, or says that it may not.
  void AgainLocked(Durable& durable, uint64_t sequence) {
    const auto it = durable.pending.find(sequence);
    if (it == durable.pending.end() || it->second.reader != 0) return;
    if (durable.max_deliver > 0 && it->second.deliveries >= durable.max_deliver) {
      if (it->second.exhausted) return;
      it->second.exhausted = true;
      Message advisory;
      advisory.subject =
          absl::StrCat("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.", durable.stream, ".", durable.name);
      advisory.body = absl::StrCat(R"({"type":"io.nats.jetstream.advisory.v1.max_deliver","stream":")",
                                   durable.stream, R"(","consumer":")", durable.name, R"(","stream_seq":)",
                                   sequence, R"(,"deliveries":)", it->second.deliveries, "}");
      RouteLocked(advisory);
      return;
    }
    durable.due.insert(sequence);
    DispatchLocked(durable);
  }

  // Ends a delivery on the server's side: acked or terminated.
  void EndLocked(const std::string& stream_name, const std::string& name, uint64_t sequence, bool remove) {
    Durable* durable = FindDurableLocked(stream_name, name);
    if (durable == nullptr) return;
    const auto it = durable->pending.find(sequence);
    if (it == durable->pending.end()) return;
    ReleaseLocked(it->second);
    durable->pending.erase(it);
    durable->due.erase(sequence);
    Stream& stream = streams.at(stream_name);
    if (remove && stream.options.work_queue) stream.messages.erase(sequence);
    Touch();
    DispatchLocked(*durable);
  }

  void NakLocked(const std::string& stream, const std::string& name, uint64_t sequence,
                 absl::Duration delay) {
    Durable* durable = FindDurableLocked(stream, name);
    if (durable == nullptr) return;
    const auto it = durable->pending.find(sequence);
    if (it == durable->pending.end()) return;
    ReleaseLocked(it->second);
    Touch();
    if (delay <= absl::ZeroDuration()) {
      AgainLocked(*durable, sequence);
    } else {
      After(delay, [stream, name, sequence](Core& core) {
        std::lock_guard<std::mutex> lock(core.mutex);
        if (Durable* again = core.FindDurableLocked(stream, name)) core.AgainLocked(*again, sequence);
      });
    }
    DispatchLocked(*durable);
  }

  // Does `act` on the server's side now, or when the connection is back.
  void OnServerLocked(std::function<void()> act) {
    if (connected) {
      act();
    } else {
      kept.push_back(std::move(act));
    }
  }

  // ---- Key-value buckets

  void StartWatchLocked(const Watcher& watcher) {
    for (const auto& [key, entry] : buckets[watcher.bucket].entries) {
      if (!subjects::Matches(watcher.filter, key)) continue;
      PostLocked(watcher.gate, [on_entry = watcher.on_entry, entry = entry] { on_entry(entry); });
    }
    if (watcher.on_current) PostLocked(watcher.gate, watcher.on_current);
  }

  uint64_t WriteLocked(const std::string& bucket_name, absl::string_view key, absl::string_view value,
                       bool deleted) {
    Bucket& bucket = buckets[bucket_name];
    KeyValue::Entry& entry = bucket.entries[std::string(key)];
    entry.key = std::string(key);
    entry.value = std::string(value);
    entry.revision = ++bucket.revision;
    entry.deleted = deleted;
    for (const Watcher& watcher : watchers) {
      if (watcher.bucket != bucket_name || !subjects::Matches(watcher.filter, key)) continue;
      PostLocked(watcher.gate, [on_entry = watcher.on_entry, entry = entry] { on_entry(entry); });
    }
    return entry.revision;
  }
};

class MemoryBus::Core::MemoryDelivery : public Delivery {
 public:
  MemoryDelivery(std::weak_ptr<Core> core, const Durable& durable, const StoredMessage& stored,
                 const Pending& pending, uint64_t reader)
      : core_(std::move(core)),
        stream_(durable.stream),
        durable_(durable.name),
        reader_(reader),
        stored_(stored),
        consumer_sequence_(pending.consumer_sequence),
        deliveries_(pending.deliveries),
        last_(durable.max_deliver > 0 && pending.deliveries >= durable.max_deliver) {}

  const Message& message() const override { return stored_.message; }
  uint64_t stream_sequence() const override { return stored_.sequence; }
  uint64_t consumer_sequence() const override { return consumer_sequence_; }
  int deliveries() const override { return deliveries_; }
  bool last_delivery() const override { return last_; }
  absl::Time stored_at() const override { return stored_.stored_at; }

  void Ack() override {
    End([this](Core& core) { core.EndLocked(stream_, durable_, stored_.sequence, true); });
  }
  void AckWithReply(const Message& reply) override {
    const std::shared_ptr<Core> core = core_.lock();
    if (core == nullptr) return;
    {
      std::lock_guard<std::mutex> lock(core->mutex);
      if (ended_) return;
      core->SendLocked(reply);
    }
    Ack();
  }
  void Nak(absl::Duration delay) override {
    End([this, delay](Core& core) { core.NakLocked(stream_, durable_, stored_.sequence, delay); });
  }
  void Term() override {
    End([this](Core& core) { core.EndLocked(stream_, durable_, stored_.sequence, true); });
  }
  void InProgress() override {
    const std::shared_ptr<Core> core = core_.lock();
    if (core == nullptr) return;
    std::lock_guard<std::mutex> lock(core->mutex);
    if (ended_ || !core->connected) return;
    Durable* durable = core->FindDurableLocked(stream_, durable_);
    if (durable == nullptr) return;
    const auto it = durable->pending.find(stored_.sequence);
    if (it == durable->pending.end() || !Current(it->second)) return;
    it->second.expires = core->clock.Now() + durable->ack_wait;
  }

 private:
  bool Current(const Pending& pending) const {
    return pending.deliveries == deliveries_ && pending.reader == reader_;
  }

  // An ack counts for the message even when it was delivered to somebody else meanwhile; a late nak does not.
  template <class Act>
  void End(Act act) {
    const std::shared_ptr<Core> core = core_.lock();
    if (core == nullptr) return;
    std::lock_guard<std::mutex> lock(core->mutex);
    if (ended_) return;
    ended_ = true;
    if (core->acks_to_lose > 0) {
      --core->acks_to_lose;
      return;
    }
    // This object may be gone when the connection is back.
    core->OnServerLocked([self = Copy(), core = core.get(), act] {
      (void)self;
      act(*core);
    });
  }
  std::shared_ptr<Delivery> Copy() { return self_.lock(); }

  friend struct Core;
  const std::weak_ptr<Core> core_;
  std::weak_ptr<Delivery> self_;
  const std::string stream_;
  const std::string durable_;
  const uint64_t reader_;
  const StoredMessage stored_;
  const uint64_t consumer_sequence_;
  const int deliveries_;
  const bool last_;
  bool ended_ = false;  // guarded by the core's mutex
};

std::shared_ptr<Delivery> MemoryBus::Core::MakeDelivery(const Durable& durable, const StoredMessage& stored,
                                                        const Pending& pending, uint64_t reader) {
  auto delivery = std::make_shared<MemoryDelivery>(weak_from_this(), durable, stored, pending, reader);
  delivery->self_ = delivery;
  return delivery;
}

namespace {

class MemoryConsumer : public Consumer {
 public:
  MemoryConsumer(std::shared_ptr<MemoryBus::Core> core, uint64_t id, std::string stream, std::string durable,
                 std::shared_ptr<Gate> gate)
      : core_(std::move(core)),
        id_(id),
        stream_(std::move(stream)),
        durable_(std::move(durable)),
        gate_(std::move(gate)) {}

  ~MemoryConsumer() override {
    {
      std::lock_guard<std::mutex> lock(core_->mutex);
      auto& readers = core_->readers;
      readers.erase(
          std::remove_if(readers.begin(), readers.end(), [&](const auto& r) { return r.id == id_; }),
          readers.end());
      core_->Touch();
    }
    gate_->Close();
  }

  void Drain(absl::Duration limit) override {
    Stop();
    core_->Drain(gate_, limit);
  }

  bool bound() const override {
    std::lock_guard<std::mutex> lock(core_->mutex);
    const auto* reader = core_->FindReaderLocked(id_);
    return core_->connected && reader != nullptr && !reader->stopped &&
           core_->FindDurableLocked(stream_, durable_) != nullptr;
  }

  void Stop() override {
    std::lock_guard<std::mutex> lock(core_->mutex);
    if (auto* reader = core_->FindReaderLocked(id_)) reader->stopped = true;
  }

  int in_flight() const override {
    std::lock_guard<std::mutex> lock(core_->mutex);
    const auto* reader = core_->FindReaderLocked(id_);
    return reader == nullptr ? 0 : reader->in_flight;
  }

  int64_t lag() const override {
    std::lock_guard<std::mutex> lock(core_->mutex);
    const auto* durable = core_->FindDurableLocked(stream_, durable_);
    if (durable == nullptr || !core_->connected) return -1;
    return core_->CountLocked(core_->streams.at(stream_), *durable);
  }

 private:
  const std::shared_ptr<MemoryBus::Core> core_;
  const uint64_t id_;
  const std::string stream_;
  const std::string durable_;
  const std::shared_ptr<Gate> gate_;
};

class MemoryKeyValue : public KeyValue {
 public:
  MemoryKeyValue(std::shared_ptr<MemoryBus::Core> core, std::string bucket)
      : core_(std::move(core)), bucket_(std::move(bucket)) {}

  absl::StatusOr<Entry> Get(absl::string_view key) override {
    return Do<Entry>(key, [&]() -> absl::StatusOr<Entry> {
      const Entry* entry = Find(key);
      if (entry == nullptr || entry->deleted) return absl::NotFoundError(absl::StrCat("no key ", key));
      return *entry;
    });
  }

  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
    return Do<uint64_t>(
        key, [&]() -> absl::StatusOr<uint64_t> { return core_->WriteLocked(bucket_, key, value, false); });
  }

  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
    return Do<uint64_t>(key, [&]() -> absl::StatusOr<uint64_t> {
      const Entry* entry = Find(key);
      if (entry != nullptr && !entry->deleted)
        return absl::AlreadyExistsError(absl::StrCat("key ", key, " exists"));
      return core_->WriteLocked(bucket_, key, value, false);
    });
  }

  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                  uint64_t revision) override {
    return Do<uint64_t>(key, [&]() -> absl::StatusOr<uint64_t> {
      const Entry* entry = Find(key);
      const uint64_t latest = entry == nullptr ? 0 : entry->revision;
      if (latest != revision) {
        return absl::AbortedError(absl::StrCat("key ", key, " is at revision ", latest, ", not ", revision));
      }
      return core_->WriteLocked(bucket_, key, value, false);
    });
  }

  absl::Status Delete(absl::string_view key) override {
    return Do<bool>(key,
                    [&]() -> absl::StatusOr<bool> {
                      if (Find(key) != nullptr) core_->WriteLocked(bucket_, key, "", true);
                      return true;
                    })
        .status();
  }

  absl::Status Purge(absl::string_view key) override { return Delete(key); }

  absl::StatusOr<std::vector<std::string>> Keys() override {
    return Do<std::vector<std::string>>("keys", [&]() -> absl::StatusOr<std::vector<std::string>> {
      std::vector<std::string> keys;
      for (const auto& [key, entry] : core_->buckets[bucket_].entries) {
        if (!entry.deleted) keys.push_back(key);
      }
      return keys;
    });
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Watch(absl::string_view filter,
                                                      std::function<void(const Entry&)> on_entry,
                                                      std::function<void()> on_current) override {
    if (!IsValidSubject(filter, true)) {
      return absl::InvalidArgumentError(absl::StrCat("malformed filter: '", filter, "'"));
    }
    std::lock_guard<std::mutex> lock(core_->mutex);
    if (!core_->connected) return Disconnected();
    const uint64_t id = core_->next_id++;
    const auto gate = std::make_shared<Gate>();
    core_->watchers.push_back(
        {id, bucket_, std::string(filter), gate, std::move(on_entry), std::move(on_current)});
    core_->StartWatchLocked(core_->watchers.back());
    return std::unique_ptr<Subscription>(std::make_unique<ClosingSubscription>([core = core_, id, gate] {
      {
        std::lock_guard<std::mutex> own(core->mutex);
        auto& watchers = core->watchers;
        watchers.erase(
            std::remove_if(watchers.begin(), watchers.end(), [&](const auto& w) { return w.id == id; }),
            watchers.end());
      }
      gate->Close();
    }));
  }

 private:
  const Entry* Find(absl::string_view key) const {
    const auto& entries = core_->buckets[bucket_].entries;
    const auto it = entries.find(std::string(key));
    return it == entries.end() ? nullptr : &it->second;
  }

  template <class T, class Act>
  absl::StatusOr<T> Do(absl::string_view key, Act act) {
    if (!IsValidKey(key)) return absl::InvalidArgumentError(absl::StrCat("malformed key: '", key, "'"));
    std::lock_guard<std::mutex> lock(core_->mutex);
    core_->Touch();
    if (!core_->connected) return Disconnected();
    if (core_->kv_failures > 0) {
      --core_->kv_failures;
      if (core_->kv_fault == MemoryBus::Fault::kAfter) (void)act();
      return MakeError(ErrorCode::kUnavailable, "the bucket does not answer");
    }
    return act();
  }

  const std::shared_ptr<MemoryBus::Core> core_;
  const std::string bucket_;
};

}  // namespace

MemoryBus::MemoryBus(Clock& clock) : core_(std::make_shared<Core>(clock)) {}

MemoryBus::~MemoryBus() {
  std::deque<Core::Task> dropped;
  std::vector<std::unique_ptr<Subscription>> services;
  {
    std::lock_guard<std::mutex> lock(core_->mutex);
    core_->closed = true;
    dropped.swap(core_->tasks);
    services.swap(core_->services);
    core_->Touch();
  }
  if (core_->background.joinable()) core_->background.join();
  std::lock_guard<std::mutex> lock(core_->mutex);
  for (auto& [id, answer] : core_->answers) {
    for (const Clock::TimerId timer : answer.timers) core_->clock.Cancel(timer);
  }
  dropped.insert(dropped.end(), std::make_move_iterator(core_->tasks.begin()),
                 std::make_move_iterator(core_->tasks.end()));
  core_->tasks.clear();
}

void MemoryBus::AddStream(absl::string_view name, const std::vector<std::string>& subjects,
                          StreamOptions options) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  const auto [it, fresh] = core_->streams.try_emplace(std::string(name));
  if (!fresh) return;
  it->second.subjects = subjects;
  it->second.options = options;
}

void MemoryBus::AddConsumer(absl::string_view stream, absl::string_view durable, absl::string_view filter,
                            absl::Duration ack_wait, int max_deliver) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  auto& durables = core_->streams[std::string(stream)].durables;
  const auto [it, fresh] = durables.try_emplace(std::string(durable));
  if (!fresh) return;
  it->second.stream = std::string(stream);
  it->second.name = std::string(durable);
  it->second.filter = std::string(filter);
  it->second.ack_wait = ack_wait;
  it->second.max_deliver = max_deliver;
  core_->Touch();
  core_->DispatchLocked(it->second);
}

void MemoryBus::AddBucket(absl::string_view bucket) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->buckets.try_emplace(std::string(bucket));
}

void MemoryBus::ProvisionDefault() {
  const absl::StatusOr<provision::Topology> topology =
      provision::ParseTopology(provision::DefaultTopologyText());
  for (const provision::StreamConfig& stream : topology->streams) {
    AddStream(stream.name, stream.subjects, {stream.retention == "workqueue", stream.no_ack});
  }
  for (const provision::Consumer& consumer : topology->consumers) {
    AddConsumer(consumer.stream, consumer.config.durable_name, consumer.config.filter_subject,
                absl::Nanoseconds(consumer.config.ack_wait), static_cast<int>(consumer.config.max_deliver));
  }
  for (const std::string& bucket : topology->buckets) AddBucket(bucket);
}

void MemoryBus::AddService(absl::string_view service) {
  auto subscription = Subscribe(absl::StrCat("$SRV.PING.", service), "", [this](const Message& ping) {
    Message pong;
    pong.subject = ping.reply;
    pong.body = R"({"type":"io.nats.micro.v1.ping_response"})";
    Publish(pong).IgnoreError();
  });
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->services.push_back(*std::move(subscription));
}

void MemoryBus::RunUntilIdle() {
  std::unique_lock<std::mutex> lock(core_->mutex);
  if (core_->pumping == std::this_thread::get_id()) return;
  for (;;) {
    const bool busy = core_->pumping != std::thread::id();
    if (core_->tasks.empty() && !busy) return;
    if (core_->has_background || busy) {
      core_->changed.wait(lock);
    } else {
      core_->RunOne(lock);
    }
  }
}

bool MemoryBus::RunUntil(const std::function<bool()>& done, absl::Duration limit) {
  return core_->Pump(done, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit));
}

void MemoryBus::RunInBackground() {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (core_->has_background) return;
  core_->has_background = true;
  core_->background = std::thread([core = core_.get()] {
    std::unique_lock<std::mutex> own(core->mutex);
    while (!core->closed) {
      if (core->pumping == std::thread::id() && core->RunOne(own)) continue;
      core->changed.wait(own, [core] {
        return core->closed || (!core->tasks.empty() && core->pumping == std::thread::id());
      });
    }
  });
}

void MemoryBus::SetConnected(bool connected) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (core_->connected == connected) return;
  core_->connected = connected;
  core_->Touch();
  for (const Core::ConnectionListener& listener : core_->connection_listeners) {
    core_->PostLocked(listener.gate, [callback = listener.callback, connected] { callback(connected); });
  }
  if (!connected) return;
  ++core_->reconnects;
  std::vector<std::function<void()>> kept;
  kept.swap(core_->kept);
  for (const auto& act : kept) act();
  for (auto& [name, stream] : core_->streams) {
    for (auto& [durable_name, durable] : stream.durables) core_->DispatchLocked(durable);
  }
  for (const Core::Watcher& watcher : core_->watchers) core_->StartWatchLocked(watcher);
}

void MemoryBus::FailKeyValue(int count, Fault fault) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->kv_failures = count;
  core_->kv_fault = fault;
}

void MemoryBus::FailPublishEvent(int count) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->publish_failures = count;
}

void MemoryBus::LoseAcks(int count) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->acks_to_lose = count;
}

std::vector<Message> MemoryBus::Published(absl::string_view filter) const {
  std::lock_guard<std::mutex> lock(core_->mutex);
  std::vector<Message> found;
  for (const Message& message : core_->published) {
    if (subjects::Matches(filter, message.subject)) found.push_back(message);
  }
  return found;
}

void MemoryBus::ClearPublished() {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->published.clear();
}

std::vector<StoredMessage> MemoryBus::Stored(absl::string_view stream) const {
  std::lock_guard<std::mutex> lock(core_->mutex);
  std::vector<StoredMessage> found;
  const auto it = core_->streams.find(std::string(stream));
  if (it == core_->streams.end()) return found;
  for (const auto& [sequence, stored] : it->second.messages) found.push_back(stored);
  return found;
}

Clock& MemoryBus::clock() {
  return core_->clock;
}

bool MemoryBus::connected() const {
  std::lock_guard<std::mutex> lock(core_->mutex);
  return core_->connected;
}

absl::Status MemoryBus::Publish(const Message& message, Urgency) {
  absl::Status valid = Core::Check(message);
  if (!valid.ok()) return valid;
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->SendLocked(message);
  return absl::OkStatus();
}

namespace {

// One PublishEvent() until it is stored or its time is over.
struct EventPublish {
  Message message;
  absl::Time deadline;
  std::function<void(absl::Status)> done;
};

void TryEvent(MemoryBus::Core& core, const std::shared_ptr<EventPublish>& event) {
  std::lock_guard<std::mutex> lock(core.mutex);
  const auto finish = [&](absl::Status status) {
    core.PostLocked(nullptr, [event, status = std::move(status)] {
      if (event->done) event->done(status);
    });
  };
  const bool fails = core.connected && core.publish_failures > 0;
  if (fails) --core.publish_failures;
  if (core.connected && !fails) {
    core.published.push_back(event->message);
    core.RouteLocked(event->message);
    if (!core.StoreLocked(event->message).stream.empty()) {
      finish(absl::OkStatus());
      return;
    }
  }
  if (core.clock.Now() >= event->deadline) {
    finish(MakeError(ErrorCode::kUnavailable, absl::StrCat("no stream stored ", event->message.subject)));
    return;
  }
  core.After(std::min(kPublishRetry, event->deadline - core.clock.Now()),
             [event](MemoryBus::Core& again) { TryEvent(again, event); });
}

}  // namespace

void MemoryBus::PublishEvent(Message message, absl::Duration timeout,
                             std::function<void(absl::Status)> done) {
  const absl::Status valid = Core::Check(message);
  if (!valid.ok()) {
    std::lock_guard<std::mutex> lock(core_->mutex);
    core_->PostLocked(nullptr, [done = std::move(done), valid] {
      if (done) done(valid);
    });
    return;
  }
  TryEvent(*core_, std::make_shared<EventPublish>(
                       EventPublish{std::move(message), core_->clock.Now() + timeout, std::move(done)}));
}

absl::StatusOr<std::unique_ptr<Subscription>> MemoryBus::Subscribe(absl::string_view subject,
                                                                   absl::string_view queue,
                                                                   MessageCallback callback) {
  if (!IsValidSubject(subject, true)) {
    return absl::InvalidArgumentError(absl::StrCat("malformed subject: '", subject, "'"));
  }
  std::lock_guard<std::mutex> lock(core_->mutex);
  const auto gate = std::make_shared<Gate>();
  const uint64_t id = core_->ListenLocked(subject, queue, gate, std::move(callback));
  return std::unique_ptr<Subscription>(std::make_unique<ClosingSubscription>(
      [core = core_, id, gate] {
        {
          std::lock_guard<std::mutex> own(core->mutex);
          core->ForgetLocked(id);
        }
        gate->Close();
      },
      [core = core_, id, gate](absl::Duration limit) {
        {
          std::lock_guard<std::mutex> own(core->mutex);
          core->ForgetLocked(id);
        }
        core->Drain(gate, limit);
      }));
}

void MemoryBus::Request(Message message, const RequestOptions& options, ReplyCallback done) {
  core_->StartRequest(std::move(message), options.timeout, std::move(done), &options);
}

void MemoryBus::CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) {
  core_->StartRequest(std::move(message), timeout, std::move(done), nullptr);
}

std::unique_ptr<Consumer> MemoryBus::Consume(const ConsumeOptions& options, DeliveryCallback callback) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  const uint64_t id = core_->next_id++;
  const auto gate = std::make_shared<Gate>();
  Core::Reader reader;
  reader.id = id;
  reader.options = options;
  reader.gate = gate;
  reader.callback = std::make_shared<DeliveryCallback>(std::move(callback));
  core_->readers.push_back(std::move(reader));
  core_->Touch();
  if (Core::Durable* durable = core_->FindDurableLocked(options.stream, options.durable)) {
    core_->DispatchLocked(*durable);
  }
  return std::make_unique<MemoryConsumer>(core_, id, options.stream, options.durable, gate);
}

absl::StatusOr<ConsumerInfo> MemoryBus::GetConsumerInfo(absl::string_view stream, absl::string_view durable) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (!core_->connected) return Disconnected();
  const Core::Durable* found = core_->FindDurableLocked(stream, durable);
  if (found == nullptr) return absl::NotFoundError(absl::StrCat("no consumer ", durable, " on ", stream));
  ConsumerInfo info;
  info.filter_subject = found->filter;
  info.ack_wait = found->ack_wait;
  info.max_deliver = found->max_deliver;
  info.delivered_stream_seq = found->delivered;
  info.ack_floor_stream_seq = found->pending.empty() ? found->delivered : found->pending.begin()->first - 1;
  info.num_ack_pending = static_cast<int64_t>(found->pending.size());
  info.num_pending = core_->CountLocked(core_->streams.at(found->stream), *found);
  for (const Core::Reader& reader : core_->readers) {
    if (reader.options.stream == stream && reader.options.durable == durable && !reader.stopped) {
      ++info.num_waiting;
    }
  }
  return info;
}

absl::StatusOr<StoredMessage> MemoryBus::NextStored(absl::string_view stream, absl::string_view filter,
                                                    uint64_t from) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (!core_->connected) return Disconnected();
  const auto it = core_->streams.find(std::string(stream));
  const StoredMessage* found =
      it == core_->streams.end() ? nullptr : core_->FindLocked(it->second, filter, from);
  if (found == nullptr) return absl::NotFoundError(absl::StrCat("no message on ", filter, " from ", from));
  return *found;
}

absl::StatusOr<StoredMessage> MemoryBus::GetStored(absl::string_view stream, uint64_t sequence) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (!core_->connected) return Disconnected();
  const auto it = core_->streams.find(std::string(stream));
  if (it == core_->streams.end() || it->second.messages.count(sequence) == 0) {
    return absl::NotFoundError(absl::StrCat("no message ", sequence, " in ", stream));
  }
  return it->second.messages.at(sequence);
}

absl::Status MemoryBus::DeleteStored(absl::string_view stream, uint64_t sequence) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (!core_->connected) return Disconnected();
  const auto it = core_->streams.find(std::string(stream));
  if (it == core_->streams.end() || it->second.messages.erase(sequence) == 0) {
    return absl::NotFoundError(absl::StrCat("no message ", sequence, " in ", stream));
  }
  for (auto& [name, durable] : it->second.durables) {
    const auto pending = durable.pending.find(sequence);
    if (pending == durable.pending.end()) continue;
    core_->ReleaseLocked(pending->second);
    durable.pending.erase(pending);
    durable.due.erase(sequence);
  }
  core_->Touch();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<KeyValue>> MemoryBus::OpenBucket(absl::string_view bucket) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  if (!core_->connected) return Disconnected();
  if (core_->buckets.count(std::string(bucket)) == 0) {
    return absl::NotFoundError(absl::StrCat("no bucket ", bucket));
  }
  return std::unique_ptr<KeyValue>(std::make_unique<MemoryKeyValue>(core_, std::string(bucket)));
}

std::unique_ptr<Subscription> MemoryBus::OnConnectionChange(std::function<void(bool)> callback) {
  std::lock_guard<std::mutex> lock(core_->mutex);
  const uint64_t id = core_->next_id++;
  const auto gate = std::make_shared<Gate>();
  core_->connection_listeners.push_back({id, gate, std::move(callback)});
  return std::make_unique<ClosingSubscription>([core = core_, id, gate] {
    {
      std::lock_guard<std::mutex> own(core->mutex);
      auto& all = core->connection_listeners;
      all.erase(std::remove_if(all.begin(), all.end(), [&](const auto& l) { return l.id == id; }), all.end());
    }
    gate->Close();
  });
}

uint64_t MemoryBus::reconnects() const {
  std::lock_guard<std::mutex> lock(core_->mutex);
  return core_->reconnects;
}

}  // namespace arc::bus
