#include "services/orchestrator/orchestrator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/bus/call.h"
#include "common/bus/dead_letter.h"
#include "common/bus/ordered_consumer.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/hardware.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/trace/trace.h"
#include "services/orchestrator/screen.h"

namespace arc::orchestrator {
namespace {

constexpr char kAgent[] = "arc-orchestrator";
constexpr char kLeaderKey[] = "leader";
constexpr char kKioskPrefix[] = "kiosk.";
constexpr absl::Duration kStoreRetry = absl::Milliseconds(200);
constexpr absl::Duration kMenuNews = absl::Milliseconds(50);
constexpr absl::Duration kMenuNewsAgain = absl::Seconds(1);
constexpr absl::Duration kPublishRetry = absl::Milliseconds(200);
constexpr absl::Duration kDeadLetterRetry = absl::Seconds(1);
constexpr int kReadAttempts = 2;  // of a command that only reads

struct Durable {
  const char* name;
  Source source;
};
constexpr std::array<Durable, kSources> kDurables = {{
    {"orchestrator-input-consumer", Source::kInput},
    {"orchestrator-vision-consumer", Source::kVision},
    {"orchestrator-voice-consumer", Source::kVoice},
}};

// The value of the key `leader`.
struct Lease {
  std::string holder;  // empty: given up
  int64_t epoch = 0;   // counts the leaders
  int64_t renewal = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("holder", s.holder);
    v.Required("epoch", s.epoch);
    v.Required("renewal", s.renewal);
  }
};

std::string KeyOf(absl::string_view kiosk_id) {
  return absl::StrCat(kKioskPrefix, kiosk_id);
}

const char* SubjectOf(EffectKind kind) {
  switch (kind) {
    case EffectKind::kUiUpdate:
      return subjects::kUiUpdate;
    case EffectKind::kSessionStarted:
      return subjects::kSessionStarted;
    case EffectKind::kSessionEnded:
      return subjects::kSessionEnded;
    case EffectKind::kOrderCompleted:
      return subjects::kOrderCompleted;
    case EffectKind::kLed:
      return subjects::kHardwareLed;
    case EffectKind::kPrint:
      return subjects::kHardwarePrint;
    case EffectKind::kMenuList:
      return subjects::kMenuList;
    case EffectKind::kMenuDetails:
      return subjects::kMenuDetails;
    case EffectKind::kMenuSearch:
      return subjects::kMenuSearch;
    case EffectKind::kSuggest:
      return subjects::kRecsysSuggest;
    case EffectKind::kPaymentProcess:
      return subjects::kPaymentProcess;
    case EffectKind::kPaymentStatus:
      return subjects::kPaymentStatus;
    case EffectKind::kPaymentCancel:
      return subjects::kPaymentCancel;
  }
  return "";
}

bool IsEvent(EffectKind kind) {
  return CompletesByItself(kind) && kind != EffectKind::kLed;
}

bool IsRead(EffectKind kind) {
  return kind == EffectKind::kMenuDetails || kind == EffectKind::kMenuSearch ||
         kind == EffectKind::kSuggest || kind == EffectKind::kMenuList;
}

template <class T>
void Take(absl::StatusOr<T> decoded, std::optional<T>& field, absl::Status& status) {
  if (decoded.ok()) {
    field = *std::move(decoded);
  } else {
    status = MakeError(ErrorCode::kInternal,
                       absl::StrCat("the answer is malformed: ", decoded.status().message()));
  }
}

CommandResult ReadAnswer(const Effect& effect, const absl::StatusOr<ParsedMessage>& answer) {
  CommandResult result;
  result.effect_id = effect.id;
  result.status = answer.status();
  if (!answer.ok()) return result;
  switch (effect.kind) {
    case EffectKind::kMenuList:
      Take(DecodePayload<messages::ListResponse>(*answer), result.list, result.status);
      break;
    case EffectKind::kMenuDetails:
      Take(DecodePayload<DetailsAnswer>(*answer), result.details, result.status);
      break;
    case EffectKind::kMenuSearch:
      Take(DecodePayload<messages::SearchResponse>(*answer), result.search, result.status);
      break;
    case EffectKind::kSuggest:
      Take(DecodePayload<messages::SuggestResponse>(*answer), result.suggest, result.status);
      break;
    case EffectKind::kPaymentProcess:
    case EffectKind::kPaymentStatus:
    case EffectKind::kPaymentCancel:
      Take(DecodePayload<messages::PaymentOutcome>(*answer), result.payment, result.status);
      break;
    default:
      break;
  }
  return result;
}

template <class T>
absl::StatusOr<InputBody> DecodeAs(const ParsedMessage& message) {
  absl::StatusOr<T> payload = DecodePayload<T>(message);
  if (!payload.ok()) return std::move(payload).status();
  return InputBody(*std::move(payload));
}

absl::StatusOr<InputBody> DecodeEvent(absl::string_view subject, const ParsedMessage& message) {
  if (subject == subjects::kTouch) return DecodeAs<messages::Touch>(message);
  if (subject == subjects::kCartAction) return DecodeAs<messages::CartAction>(message);
  if (subject == subjects::kTextInput) return DecodeAs<messages::TextInput>(message);
  if (subject == subjects::kCardInput) return DecodeAs<messages::CardInput>(message);
  if (subject == subjects::kPersonDetected) return DecodeAs<messages::PersonDetected>(message);
  if (subject == subjects::kPersonLeft) return DecodeAs<messages::PersonLeft>(message);
  if (subject == subjects::kGazeDetected) return DecodeAs<messages::GazeDetected>(message);
  if (subject == subjects::kSpeechStart) return DecodeAs<messages::SpeechStart>(message);
  if (subject == subjects::kTranscript) return DecodeAs<messages::Transcript>(message);
  if (subject == subjects::kIntent) return DecodeAs<messages::Intent>(message);
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("no such event: ", subject));
}

// Something a kiosk has to do next. Without an input it only stores what was completed.
// A customer's turn: ends when the last that belongs to it lets it go.
class Turn {
 public:
  Turn(std::string trace_id, trace::Span span) : trace_id_(std::move(trace_id)), span_(std::move(span)) {}
  const std::string& trace_id() const { return trace_id_; }

 private:
  const std::string trace_id_;
  trace::Span span_;
};
using TurnPtr = std::shared_ptr<Turn>;

struct Work {
  std::optional<Input> input;
  std::function<void()> done;  // may be empty
  // Of an event: its subject and headers, until its handling begins; then `span` is that of its handling.
  std::optional<bus::Message> head;
  absl::Time arrived;
  trace::Span span;
  trace::SpanContext context;  // of what led to this, when it is no event
  TurnPtr turn;                // may be null
};

struct Publication {
  Effect effect;
  std::string payload;
  bool scoped = false;
  trace::SpanContext context;  // of what it follows from
  TurnPtr turn;                // may be null
};

struct Kiosk {
  std::string id;

  // Guarded by Core::mutex_.
  std::deque<Work> queue;
  std::deque<Work> held;  // inputs that wait until the state has room for what they begin
  bool running = false;   // a thread works on the queue, or a timer will make one do so
  bool retired = false;   // this copy leads no more
  std::vector<int64_t> completed;
  std::shared_ptr<const KioskState> state;
  std::deque<Publication> publications;
  bool publishing = false;
  absl::Time tick_at = absl::InfiniteFuture();
  uint64_t tick_no = 0;
  bool flush_armed = false;

  // Of the thread that runs the queue.
  uint64_t revision = 0;  // of the stored state; 0: none is stored
  std::optional<Transition> unstored;
};

}  // namespace

namespace {

// An input may begin as many steps as an intent has items; there is room for that below the limit.
bool HasRoom(const KioskState& state) {
  return state.steps.size() < kMaxPendingSteps / 2 && state.outbox.size() < kMaxPendingSteps;
}

bool IsEvent(const Work& work) {
  return work.input.has_value() && work.input->origin.has_value();
}

}  // namespace

class Orchestrator::Core : public std::enable_shared_from_this<Orchestrator::Core> {
 public:
  Core(bus::Bus& bus, Options options)
      : bus_(bus), clock_(bus.clock()), options_(std::move(options)), machine_(options_.session) {
    menu_ = std::make_shared<const MenuView>();
  }

  void Start(bus::KeyValue& bucket) {
    bucket_ = &bucket;
    RefreshMenu(nullptr, 0);
    Run([self = shared_from_this()] { self->LeaseTick(); });
  }

  absl::Status WatchMenu(bus::KeyValue& bucket) {
    absl::StatusOr<std::unique_ptr<bus::Subscription>> watch = bucket.Watch(
        ">",
        [weak = weak_from_this()](const bus::KeyValue::Entry&) {
          if (auto self = weak.lock()) self->HearOfMenu();
        },
        [] {});
    if (!watch.ok()) return watch.status();
    std::lock_guard<std::mutex> lock(mutex_);
    menu_watch_ = *std::move(watch);
    return absl::OkStatus();
  }

  void Stop(bool release) {
    std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
    std::unique_ptr<bus::Subscription> menu_watch;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
      menu_watch = std::move(menu_watch_);
      consumers = std::move(consumers_);
      consumers_.clear();
    }
    // What is being applied now ends; what waits is delivered to the next leader.
    for (auto& consumer : consumers) consumer->Stop();
    std::unique_lock<std::mutex> lock(mutex_);
    for (auto& [id, kiosk] : kiosks_) {
      kiosk->retired = true;
      kiosk->queue.erase(kiosk->queue.begin() + (kiosk->running && !kiosk->queue.empty() ? 1 : 0),
                         kiosk->queue.end());
      kiosk->held.clear();
    }
    if (options_.run == nullptr) {
      clock_.WaitUntil(lock, changed_, clock_.Now() + absl::Seconds(5), [&] { return working_ == 0; });
    }
    stopped_ = true;
    const bool led = leading_;
    leading_ = false;
    const uint64_t revision = lease_revision_;
    Lease lease{"", epoch_.load(), 0};
    lock.unlock();
    consumers.clear();
    if (led && release && bucket_ != nullptr) {
      const absl::StatusOr<uint64_t> released = bucket_->Update(kLeaderKey, json::Encode(lease), revision);
      if (released.ok()) Log(LogLevel::kInfo, "gave up the lead", {{"epoch", absl::StrCat(lease.epoch)}});
    }
  }

  bool leading() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return leading_ && LeaseHeld() && Bound();
  }

  absl::Status Health() const {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return absl::UnavailableError("stopped");
    if (leading_) {
      if (!LeaseHeld()) return absl::UnavailableError("the lease cannot be renewed");
      if (!Bound()) return absl::UnavailableError("the durables of KIOSK_EVENTS are not read");
      return absl::OkStatus();
    }
    const absl::Time now = clock_.Now();
    if (!lease_trouble_.ok() && now - lease_read_at_ > options_.lease_timeout) {
      return absl::UnavailableError(absl::StrCat("the leader is not known: ", lease_trouble_.message()));
    }
    if (leader_alive_at_ == absl::InfinitePast()) {
      return absl::UnavailableError("the leader is not known yet");
    }
    if (now - leader_alive_at_ > 2 * options_.lease_timeout) {
      return absl::UnavailableError("nobody leads");
    }
    return absl::OkStatus();
  }

  int64_t active_sessions() const {
    std::lock_guard<std::mutex> lock(mutex_);
    int64_t count = 0;
    for (const auto& [id, kiosk] : kiosks_) count += kiosk->state->session_id.empty() ? 0 : 1;
    return count;
  }

  absl::StatusOr<messages::SnapshotResponse> Snapshot(const messages::SnapshotRequest& request,
                                                      const bus::RequestContext& context) const {
    std::string kiosk_id =
        context.kiosk_in_subject ? context.kiosk_id : request.kiosk_id.value_or(context.kiosk_id);
    if (kiosk_id.empty()) kiosk_id = options_.default_kiosk_id;
    if (!subjects::IsValidKioskId(kiosk_id)) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "payload.kiosk_id: must be 1 to 64 letters, digits, - or _");
    }
    std::shared_ptr<const KioskState> state;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (leading_ && LeaseHeld()) {
        const auto kiosk = kiosks_.find(kiosk_id);
        if (kiosk != kiosks_.end()) state = kiosk->second->state;
      }
    }
    if (state != nullptr) return SnapshotOf(*state);
    if (bucket_ == nullptr) return MakeError(ErrorCode::kUnavailable, "the bucket is not open yet");
    absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(KeyOf(kiosk_id));
    if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) {
      return SnapshotOf(machine_.NewKiosk(kiosk_id, "", 0, clock_.Now()));
    }
    if (!entry.ok()) return MakeError(ErrorCode::kUnavailable, entry.status().message());
    absl::StatusOr<KioskState> stored = json::Decode<KioskState>(entry->value);
    if (!stored.ok()) {
      return MakeError(ErrorCode::kInternal,
                       absl::StrCat("the stored state cannot be read: ", stored.status().message()));
    }
    return SnapshotOf(*stored);
  }

  bus::Executor* executor = nullptr;

 private:
  using KioskPtr = std::shared_ptr<Kiosk>;

  void Run(std::function<void()> work) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
      ++working_;
    }
    auto counted = [self = shared_from_this(), work = std::move(work)]() mutable {
      work();
      work = nullptr;
      std::lock_guard<std::mutex> lock(self->mutex_);
      --self->working_;
      self->changed_.notify_all();
    };
    if (options_.run != nullptr) {
      options_.run(std::move(counted));
    } else {
      executor->Run(std::move(counted));
    }
  }

  // Runs `work` on a thread that may block, `delay` from now, unless this object is gone or stopped by then.
  void RunLater(absl::Duration delay, std::function<void(Core&)> work) {
    clock_.RunAfter(delay, [weak = weak_from_this(), work = std::move(work)] {
      if (auto self = weak.lock()) {
        self->Run([self, work] { work(*self); });
      }
    });
  }

  // The lease.

  // While this is false another copy may lead: nothing is stepped or stored. mutex_ is held.
  bool LeaseHeld() const {
    return clock_.Now() < renewed_at_ + options_.lease_timeout - options_.lease_renewal / 2;
  }
  bool Bound() const {
    return consumers_.size() == kDurables.size() &&
           std::all_of(consumers_.begin(), consumers_.end(), [](const auto& c) { return c->bound(); });
  }

  void LeaseTick() {
    bool leads;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
      leads = leading_;
    }
    if (leads) {
      Renew();
    } else {
      Compete();
    }
    RunLater(options_.lease_renewal, [](Core& self) { self.LeaseTick(); });
  }

  void Renew() {
    const absl::Time began = clock_.Now();
    Lease lease{options_.instance_id, epoch_.load(), ++renewal_};
    absl::StatusOr<uint64_t> revision = bucket_->Update(kLeaderKey, json::Encode(lease), lease_revision_);
    if (absl::IsAborted(revision.status()) || absl::IsNotFound(revision.status())) {
      absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(kLeaderKey);
      const absl::StatusOr<Lease> current = entry.ok() && !entry->deleted
                                                ? json::Decode<Lease>(entry->value)
                                                : absl::StatusOr<Lease>(entry.status());
      if (current.ok() && current->holder == options_.instance_id && current->epoch == epoch_) {
        // An earlier renewal was written although it seemed to fail.
        revision = entry->revision;
      } else if (entry.ok() && !entry->deleted) {
        StepDown("another copy leads");
        return;
      } else if (entry.ok() || absl::IsNotFound(entry.status())) {
        StepDown("the lease is gone from the bucket");
        return;
      }
    }
    if (!revision.ok()) {
      Log(LogLevel::kWarning, "the lease was not renewed",
          {{"error", std::string(revision.status().message())}});
      return;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    lease_revision_ = *revision;
    renewed_at_ = began;
  }

  void Compete() {
    const absl::Time began = clock_.Now();
    absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(kLeaderKey);
    Lease lease{options_.instance_id, 1, 0};
    absl::StatusOr<uint64_t> revision = absl::AbortedError("not tried");
    bool another_leads = false;
    if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) {
      revision = bucket_->Create(kLeaderKey, json::Encode(lease));
    } else if (entry.ok()) {
      const absl::StatusOr<Lease> current = json::Decode<Lease>(entry->value);
      if (current.ok()) lease.epoch = current->epoch + 1;
      const bool free = !current.ok() || current->holder.empty() || current->holder == options_.instance_id;
      if (entry->revision != seen_revision_) {
        seen_revision_ = entry->revision;
        seen_at_ = began;
        another_leads = !free;
      }
      if (free || began - seen_at_ >= options_.lease_timeout) {
        revision = bucket_->Update(kLeaderKey, json::Encode(lease), entry->revision);
      }
    } else {
      revision = entry.status();
    }
    // Whoever else writes the key at this moment is the one who leads.
    const bool lost_the_race = absl::IsAborted(revision.status()) || absl::IsAlreadyExists(revision.status());
    NoteLease(began, lost_the_race ? absl::OkStatus() : revision.status(), another_leads);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
      if (!revision.ok()) return;
      epoch_ = lease.epoch;
      renewal_ = 0;
      lease_revision_ = *revision;
      renewed_at_ = began;
    }
    Lead();
  }

  // What the key `leader` said, or why it could not be read or taken; `alive`: another copy has just written
  // it. Health() tells from this whether anybody leads.
  void NoteLease(absl::Time at, const absl::Status& status, bool alive) {
    bool changed;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      changed = status.ok() != lease_trouble_.ok();
      lease_trouble_ = status;
      if (status.ok() || lease_read_at_ == absl::InfinitePast()) lease_read_at_ = at;
      if (alive) leader_alive_at_ = at;
    }
    if (!changed) return;
    if (status.ok()) {
      Log(LogLevel::kInfo, "the lease can be read and taken again");
    } else {
      Log(LogLevel::kWarning, "the lease cannot be read or taken, and is tried again",
          {{"error", std::string(status.message())}});
    }
  }

  void StepDown(absl::string_view why) {
    std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!leading_) return;
      leading_ = false;
      seen_revision_ = 0;
      lease_read_at_ = renewed_at_;
      leader_alive_at_ = renewed_at_;  // this one, until then
      for (auto& [id, kiosk] : kiosks_) {
        kiosk->retired = true;
        kiosk->queue.clear();
        kiosk->held.clear();
        kiosk->publications.clear();
      }
      kiosks_.clear();
      kept_slots_.clear();
      consumers = std::move(consumers_);
      consumers_.clear();
    }
    for (auto& consumer : consumers) consumer->Stop();
    Log(LogLevel::kWarning, "leads no more", {{"why", std::string(why)}});
  }

  // Loads every kiosk, makes good what a predecessor may have left, then reads events.
  void Lead() {
    Log(LogLevel::kInfo, "takes the lead", {{"epoch", absl::StrCat(epoch_.load())}});
    std::map<std::string, KioskPtr> kiosks;
    const absl::Status loaded = Load(kiosks);
    if (!loaded.ok()) {
      // The lease is ours but unused: the next tick finds it held by this copy and takes it again.
      Log(LogLevel::kWarning, "the kiosks cannot be loaded", {{"error", std::string(loaded.message())}});
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
      kiosks_ = kiosks;
      leading_ = true;
      renewed_at_ = std::max(renewed_at_, clock_.Now() - options_.lease_renewal);
    }
    for (const auto& [id, kiosk] : kiosks) {
      Work work;
      work.input = Input{Recover{epoch_.load()}, std::nullopt, {}};
      Push(kiosk, std::move(work));
    }
    bool known;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      known = menu_->known;
    }
    if (known) {
      ReadEvents();
    } else {
      // Screens without a menu would only flash by; an answer, or none, comes within two seconds.
      CallMenuList([](Core& self) { self.ReadEvents(); });
    }
  }

  absl::Status Load(std::map<std::string, KioskPtr>& kiosks) {
    ASSIGN_OR_RETURN(const std::vector<std::string> keys, bucket_->Keys());
    std::set<int64_t> slots;
    for (const std::string& key : keys) {
      absl::string_view id = key;
      if (!absl::ConsumePrefix(&id, kKioskPrefix) || !subjects::IsValidKioskId(id)) continue;
      absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(key);
      if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) continue;
      if (!entry.ok()) return entry.status();
      auto kiosk = std::make_shared<Kiosk>();
      kiosk->id = std::string(id);
      kiosk->revision = entry->revision;
      kiosk->state = std::make_shared<const KioskState>(ReadState(kiosk->id, entry->value));
      kiosks[kiosk->id] = std::move(kiosk);
    }
    return absl::OkStatus();
  }

  KioskState ReadState(const std::string& id, const std::string& value) {
    absl::StatusOr<KioskState> state = json::Decode<KioskState>(value);
    if (state.ok()) return *std::move(state);
    Log(LogLevel::kError, "a stored state cannot be read and is made anew",
        {{"kiosk_id", id}, {"error", std::string(state.status().message())}});
    return machine_.NewKiosk(id, NewUuid(), FreeSlot(), clock_.Now());
  }

  int64_t FreeSlot() {
    std::lock_guard<std::mutex> lock(mutex_);
    return FreeSlotLocked();
  }
  int64_t FreeSlotLocked() const {
    std::set<int64_t> used = kept_slots_;
    for (const auto& [id, kiosk] : kiosks_) used.insert(kiosk->state->slot);
    int64_t slot = 0;
    while (used.count(slot) == 1) ++slot;
    return slot;
  }

  void ReadEvents() {
    std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
    const int64_t epoch = epoch_;
    for (const Durable& durable : kDurables) {
      bus::ConsumeOptions options;
      options.stream = subjects::kEventsStream;
      options.durable = durable.name;
      options.max_in_flight = options_.max_in_flight;
      consumers.push_back(bus::ConsumeInOrder(
          bus_, options, [weak = weak_from_this(), durable, epoch](bus::StreamEvent event) {
            if (auto self = weak.lock()) self->OnEvent(durable, epoch, std::move(event));
          }));
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (!stopped_ && leading_ && epoch == epoch_ && consumers_.empty()) consumers_.swap(consumers);
    lock.unlock();
    for (auto& consumer : consumers) consumer->Stop();
  }

  // Events.

  // `done`, and then what Options::on_event wants to know. May be called when this object is gone.
  std::function<void()> Told(Source source, absl::Time received, const absl::Status& status,
                             std::function<void()> done) const {
    if (!options_.on_event) return done;
    return [&clock = clock_, on_event = options_.on_event, source, received, status, done = std::move(done)] {
      done();
      on_event(source, clock.Now() - received, status);
    };
  }

  void OnEvent(const Durable& durable, int64_t epoch, bus::StreamEvent event) {
    const absl::Time received = clock_.Now();
    const auto bury = [&](const absl::Status& why) {
      event.done = Told(durable.source, received, why, std::move(event.done));
      Bury(durable, std::move(event), why);
    };
    const subjects::Scoped scope = subjects::SplitScope(event.message.subject);
    absl::StatusOr<ParsedMessage> message = ParseMessage(event.message.body, clock_.Now());
    if (!message.ok()) {
      bury(message.status());
      return;
    }
    absl::StatusOr<InputBody> body = DecodeEvent(scope.base, *message);
    if (!body.ok()) {
      bury(body.status());
      return;
    }
    std::string kiosk_id = scope.kiosk_id;
    if (kiosk_id.empty()) kiosk_id = event.message.headers.Get(subjects::kKioskIdHeader).value_or("");
    if (kiosk_id.empty()) kiosk_id = options_.default_kiosk_id;
    if (!subjects::IsValidKioskId(kiosk_id)) {
      bury(MakeError(ErrorCode::kInvalidRequest, "the kiosk's id must be 1 to 64 letters, digits, - or _"));
      return;
    }
    Work work;
    Input& input = work.input.emplace();
    input.body = *std::move(body);
    Origin& origin = input.origin.emplace();
    if (message->had_msg_id) origin.msg_id = message->envelope.msg_id;
    origin.session_id = message->envelope.session_id;
    origin.trace_id = message->envelope.trace_id;
    origin.scoped = !scope.kiosk_id.empty();
    origin.source = durable.source;
    origin.sequence = static_cast<int64_t>(event.sequence);
    origin.stored_at = event.stored_at;
    work.arrived = received;
    if (trace::enabled()) {
      work.head.emplace();
      work.head->subject = event.message.subject;
      work.head->headers = event.message.headers;
    }
    work.done = Told(durable.source, received, absl::OkStatus(), event.done);
    KioskPtr kiosk;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_ || !leading_ || epoch != epoch_) return;
      kiosk = FindOrAdd(kiosk_id);
    }
    if (kiosk == nullptr) {
      bury(MakeError(ErrorCode::kUnavailable, "more kiosks than this orchestrator serves (--max_kiosks)"));
      return;
    }
    Push(kiosk, std::move(work));
  }

  // mutex_ is held.
  KioskPtr FindOrAdd(const std::string& kiosk_id) {
    const auto found = kiosks_.find(kiosk_id);
    if (found != kiosks_.end()) return found->second;
    while (static_cast<int>(kiosks_.size()) >= options_.max_kiosks) {
      if (!Evict()) return nullptr;
    }
    auto kiosk = std::make_shared<Kiosk>();
    kiosk->id = kiosk_id;
    kiosk->state = std::make_shared<const KioskState>(
        machine_.NewKiosk(kiosk_id, NewUuid(), FreeSlotLocked(), clock_.Now()));
    kiosks_[kiosk_id] = kiosk;
    return kiosk;
  }

  // Makes room: of the kiosks in attract that have nothing left to do, the one that is there for the longest
  // leaves the memory. Once it has taken orders its state stays in the bucket and is found there when the
  // kiosk comes back, so that no order number comes twice a day; otherwise it is forgotten, and with it which
  // of its inputs were applied: one of them that comes again can only begin a new session. mutex_ is held.
  bool Evict() {
    auto oldest = kiosks_.end();
    for (auto it = kiosks_.begin(); it != kiosks_.end(); ++it) {
      const Kiosk& kiosk = *it->second;
      if (kiosk.running || !kiosk.queue.empty() || !kiosk.held.empty() || !kiosk.publications.empty() ||
          kiosk.publishing || kiosk.state->state != SessionState::kAttract || !IsDone(kiosk)) {
        continue;
      }
      if (oldest == kiosks_.end() || kiosk.state->state_since_ms < oldest->second->state->state_since_ms)
        oldest = it;
    }
    if (oldest == kiosks_.end()) return false;
    const KioskPtr kiosk = oldest->second;
    kiosks_.erase(oldest);
    kiosk->retired = true;
    if (kiosk->state->orders > 0) {
      kept_slots_.insert(kiosk->state->slot);
      return true;
    }
    RunLater(absl::ZeroDuration(), [id = kiosk->id](Core& self) {
      {
        std::lock_guard<std::mutex> lock(self.mutex_);
        if (self.kiosks_.count(id) == 1) return;  // it is back
      }
      const absl::Status deleted = self.bucket_->Delete(KeyOf(id));
      if (!deleted.ok()) Log(LogLevel::kWarning, "an old kiosk was not deleted", {{"kiosk_id", id}});
    });
    return true;
  }

  // Whether nothing of what the kiosk wanted is left to do; of one whose state is kept, also in its stored
  // state.
  static bool IsDone(const Kiosk& kiosk) {
    const KioskState& state = *kiosk.state;
    if (!state.background.empty()) return false;
    if (state.orders > 0) return state.outbox.empty();
    return std::all_of(state.outbox.begin(), state.outbox.end(), [&](const Effect& effect) {
      return std::find(kiosk.completed.begin(), kiosk.completed.end(), effect.id) != kiosk.completed.end();
    });
  }

  void Bury(const Durable& durable, bus::StreamEvent event, const absl::Status& why) {
    bus::DeadLetterSource source;
    source.agent = kAgent;
    source.stream = subjects::kEventsStream;
    source.consumer = durable.name;
    source.stream_seq = event.sequence;
    source.deliveries = 1;
    const bus::Message message = event.message;
    bus::PublishDeadLetter(bus_, source, message, why,
                           [weak = weak_from_this(), durable, event = std::move(event),
                            why](const absl::Status& stored) mutable {
                             if (stored.ok()) {
                               event.done();
                               return;
                             }
                             auto self = weak.lock();
                             if (self == nullptr) return;
                             self->RunLater(kDeadLetterRetry,
                                            [durable, event = std::move(event), why](Core& core) mutable {
                                              core.Bury(durable, event, why);
                                            });
                           });
  }

  // A kiosk's inputs, one after another.

  void Push(const KioskPtr& kiosk, Work work) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kiosk->retired || stopped_) return;
      if (!kiosk->held.empty() && IsEvent(work)) {
        kiosk->held.push_back(std::move(work));  // in its order, when there is room
        return;
      }
      kiosk->queue.push_back(std::move(work));
      if (kiosk->running) return;
      kiosk->running = true;
    }
    Run([self = shared_from_this(), kiosk] { self->DrainQueue(kiosk); });
  }

  // Begins the span of an event's handling, and that of the whole turn unless another agent has that: who
  // speaks is the voice agent's customer.
  void BeginSpans(const std::string& kiosk_id, Work& work, const Input& input) const {
    if (!work.head.has_value() || !input.origin.has_value()) return;
    const bus::Message head = *std::move(work.head);
    work.head.reset();
    const Origin& origin = *input.origin;
    bus::Taken taken;
    taken.subject = subjects::SplitScope(head.subject).base;
    taken.trace_id = origin.trace_id;
    taken.session_id = origin.session_id;
    taken.kiosk_id = kiosk_id;
    taken.message_id = origin.msg_id;
    taken.sent = origin.stored_at;
    taken.begin = clock_.Now();
    work.span = bus::BeginProcessing(head, taken);
    const bool spoken =
        origin.source == Source::kVoice ||
        (std::holds_alternative<messages::TextInput>(input.body) && !options_.session.text_is_search);
    const trace::SpanContext root = trace::RootOf(origin.trace_id);
    if (spoken || !root.valid()) return;
    trace::Span turn = trace::Span::Root("turn", trace::SpanKind::kServer, root, origin.stored_at);
    turn.Set("kiosk.id", kiosk_id);
    turn.Set("session.id", origin.session_id);
    turn.Set("kiosk.source", taken.subject);
    work.turn = std::make_shared<Turn>(origin.trace_id, std::move(turn));
  }

  void DrainQueue(const KioskPtr& kiosk) {
    for (;;) {
      Input input;
      bool has_input;
      std::shared_ptr<const KioskState> state;
      std::shared_ptr<const MenuView> menu;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!kiosk->unstored.has_value()) Hold(*kiosk);
        if (kiosk->queue.empty() || (kiosk->retired && !leading_)) {
          kiosk->running = false;
          return;
        }
        if (!LeaseHeld()) {
          Postpone(kiosk);
          return;
        }
        state = kiosk->state;
        menu = menu_;
        has_input = kiosk->queue.front().input.has_value();
        if (!kiosk->unstored.has_value()) {
          if (has_input) input = std::move(*kiosk->queue.front().input);
          for (const int64_t id : kiosk->completed) input.completed.push_back(id);
          kiosk->completed.clear();
        }
      }
      trace::SpanContext context;
      TurnPtr turn;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!kiosk->queue.empty()) {
          Work& work = kiosk->queue.front();
          BeginSpans(kiosk->id, work,
                     kiosk->unstored.has_value() && work.input.has_value() ? *work.input : input);
          context = work.span.context().valid() ? work.span.context() : work.context;
          turn = work.turn;
        }
      }
      const trace::Scope scope(context);
      if (!kiosk->unstored.has_value()) {
        if (has_input) {
          kiosk->unstored = machine_.Step(*state, input, *menu, clock_.Now());
        } else {
          Transition flush;
          flush.state = *state;
          CompleteEffects(input.completed, flush.state);
          flush.persist = flush.state.outbox.size() != state->outbox.size();
          kiosk->unstored = std::move(flush);
        }
        kiosk->unstored->state.epoch = epoch_;
        kiosk->unstored->state.writer = options_.instance_id;
        ++kiosk->unstored->state.write_no;
        if (has_input) {
          // Kept until it is stored: when another writer was faster it is applied to what that one wrote.
          std::lock_guard<std::mutex> lock(mutex_);
          if (!kiosk->queue.empty()) kiosk->queue.front().input = std::move(input);
        }
      }
      if (kiosk->unstored->persist) {
        switch (Store(kiosk)) {
          case Stored::kYes:
            break;
          case Stored::kLater: {
            std::lock_guard<std::mutex> lock(mutex_);
            Postpone(kiosk);
            return;
          }
          case Stored::kOvertaken:
            continue;
          case Stored::kNever: {
            kiosk->unstored.reset();
            std::function<void()> done;
            {
              std::lock_guard<std::mutex> lock(mutex_);
              if (!kiosk->queue.empty()) {
                done = std::move(kiosk->queue.front().done);
                kiosk->queue.pop_front();
              }
            }
            if (done) done();
            continue;
          }
        }
      }
      Transition transition = *std::move(kiosk->unstored);
      kiosk->unstored.reset();
      auto next = std::make_shared<const KioskState>(std::move(transition.state));
      std::function<void()> done;
      trace::Span handling;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        kiosk->state = next;
        if (!kiosk->queue.empty()) {
          done = std::move(kiosk->queue.front().done);
          handling = std::move(kiosk->queue.front().span);
          kiosk->queue.pop_front();
        }
      }
      for (const Effect& effect : transition.effects) {
        CarryOut(kiosk, effect, *next,
                 turn != nullptr && turn->trace_id() == effect.trace_id ? turn : nullptr);
      }
      if (done) done();
      Arm(kiosk, *next);
    }
  }

  // Takes inputs out of the queue while the state has no room for them, and back when it has: they stay
  // unacknowledged, and nothing is dropped. The answers that make room are no inputs. mutex_ is held.
  static void Hold(Kiosk& kiosk) {
    if (HasRoom(*kiosk.state)) {
      if (!kiosk.held.empty()) {
        kiosk.queue.push_front(std::move(kiosk.held.front()));
        kiosk.held.pop_front();
      }
      return;
    }
    std::deque<Work> others;
    std::deque<Work> events;
    for (Work& work : kiosk.queue) (IsEvent(work) ? events : others).push_back(std::move(work));
    // What is in the queue came before what is held.
    for (Work& work : kiosk.held) events.push_back(std::move(work));
    kiosk.queue = std::move(others);
    kiosk.held = std::move(events);
  }

  // Goes on with the kiosk's queue in a while. mutex_ is held.
  void Postpone(const KioskPtr& kiosk) {
    RunLater(kStoreRetry, [kiosk](Core& self) { self.DrainQueue(kiosk); });
  }

  enum class Stored { kYes, kLater, kOvertaken, kNever };

  // Writes kiosk->unstored.
  Stored Store(const KioskPtr& kiosk) {
    const trace::Span tracing("store session", trace::SpanKind::kClient);
    const KioskState& state = kiosk->unstored->state;
    const std::string key = KeyOf(kiosk->id);
    const std::string value = json::Encode(state);
    absl::StatusOr<uint64_t> revision =
        kiosk->revision == 0 ? bucket_->Create(key, value) : bucket_->Update(key, value, kiosk->revision);
    if (revision.ok()) {
      kiosk->revision = *revision;
      return Stored::kYes;
    }
    const absl::Status& status = revision.status();
    if (absl::IsInvalidArgument(status)) {
      // It is larger than the server takes, and will be. The kiosk goes on without this input.
      Log(LogLevel::kError, "a state cannot be stored, its input is dropped",
          {{"kiosk_id", kiosk->id},
           {"bytes", absl::StrCat(value.size())},
           {"error", std::string(status.message())}});
      return Stored::kNever;
    }
    if (!absl::IsAborted(status) && !absl::IsAlreadyExists(status) && !absl::IsNotFound(status)) {
      Log(LogLevel::kWarning, "a state was not stored and is tried again",
          {{"kiosk_id", kiosk->id}, {"error", std::string(status.message())}});
      return Stored::kLater;
    }
    absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(key);
    if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) {
      kiosk->revision = 0;  // it expired, or was deleted by hand
      return Stored::kLater;
    }
    if (!entry.ok()) return Stored::kLater;
    absl::StatusOr<KioskState> stored = json::Decode<KioskState>(entry->value);
    if (stored.ok() && stored->writer == options_.instance_id && stored->write_no == state.write_no &&
        stored->id_seed == state.id_seed) {
      kiosk->revision = entry->revision;  // the write that seemed to fail was ours
      return Stored::kYes;
    }
    if (stored.ok() && stored->epoch > epoch_) {
      Run([self = shared_from_this()] { self->StepDown("a newer leader has written a state"); });
      return Stored::kLater;
    }
    // The kiosk was evicted and is back; or it was a former leader's last write, or somebody's hand.
    if (kiosk->revision != 0) {
      Log(LogLevel::kWarning, "another writer was faster", {{"kiosk_id", kiosk->id}});
    }
    kiosk->revision = entry->revision;
    kiosk->unstored.reset();
    std::lock_guard<std::mutex> lock(mutex_);
    kiosk->state = std::make_shared<const KioskState>(
        stored.ok() ? *std::move(stored)
                    : machine_.NewKiosk(kiosk->id, NewUuid(), kiosk->state->slot, clock_.Now()));
    if (kiosk->queue.empty() || !kiosk->queue.front().input.has_value() ||
        !std::holds_alternative<Recover>(kiosk->queue.front().input->body)) {
      Work recover;
      recover.input = Input{Recover{epoch_.load()}, std::nullopt, {}};
      kiosk->queue.push_front(std::move(recover));
    }
    return Stored::kOvertaken;
  }

  void Complete(const KioskPtr& kiosk, int64_t effect_id) {
    std::lock_guard<std::mutex> lock(mutex_);
    kiosk->completed.push_back(effect_id);
    if (kiosk->flush_armed || kiosk->retired) return;
    kiosk->flush_armed = true;
    RunLater(options_.flush_after, [kiosk](Core& self) {
      {
        std::lock_guard<std::mutex> flush_lock(self.mutex_);
        kiosk->flush_armed = false;
        if (kiosk->completed.empty()) return;
      }
      self.Push(kiosk, Work{});
    });
  }

  void Arm(const KioskPtr& kiosk, const KioskState& state) {
    const absl::Time next = machine_.NextTick(state);
    std::lock_guard<std::mutex> lock(mutex_);
    // A timer that rings too early finds nothing to do and arms itself again.
    if (kiosk->retired || next >= kiosk->tick_at) return;
    kiosk->tick_at = next;
    const uint64_t number = ++kiosk->tick_no;
    RunLater(std::max(absl::ZeroDuration(), next - clock_.Now()), [kiosk, number](Core& self) {
      {
        std::lock_guard<std::mutex> tick_lock(self.mutex_);
        if (number != kiosk->tick_no) return;
        kiosk->tick_at = absl::InfiniteFuture();
      }
      Work work;
      work.input = Input{Tick{}, std::nullopt, {}};
      self.Push(kiosk, std::move(work));
    });
  }

  // Effects.

  void CarryOut(const KioskPtr& kiosk, const Effect& effect, const KioskState& state, const TurnPtr& turn) {
    if (IsEvent(effect.kind)) {
      Publication publication;
      publication.effect = effect;
      publication.payload = effect.kind == EffectKind::kUiUpdate ? json::Encode(state.ui) : effect.payload;
      publication.scoped = state.scoped;
      publication.context = trace::Current();
      publication.turn = turn;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (kiosk->retired) return;
        if (effect.kind == EffectKind::kUiUpdate) {
          // A screen that has not left yet is replaced by the newer one.
          auto& waiting = kiosk->publications;
          for (auto it = waiting.begin() + (kiosk->publishing ? 1 : 0); it != waiting.end();) {
            it = it->effect.kind == EffectKind::kUiUpdate ? waiting.erase(it) : std::next(it);
          }
        }
        kiosk->publications.push_back(std::move(publication));
        if (kiosk->publishing) return;
        kiosk->publishing = true;
      }
      Publish(kiosk);
      return;
    }
    if (effect.kind == EffectKind::kMenuList && effect.generation == 0) {
      RefreshMenu(kiosk, effect.id);
      return;
    }
    Send(kiosk, effect, state.scoped, 1, turn);
  }

  // Publishes the first of the kiosk's publications; they leave one after another.
  void Publish(const KioskPtr& kiosk) {
    Publication publication;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kiosk->retired || stopped_ || kiosk->publications.empty()) {
        kiosk->publishing = false;
        return;
      }
      publication = kiosk->publications.front();
    }
    const Effect& effect = publication.effect;
    const trace::Scope scope(publication.context);
    Envelope envelope = MakeEnvelope(clock_.Now(), effect.session_id, effect.trace_id);
    envelope.msg_id = effect.msg_id;
    const char* base = SubjectOf(effect.kind);
    const std::string subject = publication.scoped && subjects::BelongsToOneKiosk(base)
                                    ? subjects::Scope(base, kiosk->id)
                                    : std::string(base);
    bus::PublishEvent(bus_, subject, envelope, publication.payload, kiosk->id,
                      [weak = weak_from_this(), kiosk, id = effect.id](const absl::Status& status) {
                        auto self = weak.lock();
                        if (self == nullptr) return;
                        if (!status.ok()) {
                          Log(LogLevel::kWarning, "an event was not stored and is published again",
                              {{"kiosk_id", kiosk->id}, {"error", std::string(status.message())}});
                          self->RunLater(kPublishRetry, [kiosk](Core& core) { core.Publish(kiosk); });
                          return;
                        }
                        self->Complete(kiosk, id);
                        bool more;
                        {
                          std::lock_guard<std::mutex> lock(self->mutex_);
                          if (!kiosk->publications.empty()) kiosk->publications.pop_front();
                          more = !kiosk->publications.empty();
                          kiosk->publishing = more;
                        }
                        if (more) self->Publish(kiosk);
                      });
  }

  void Send(const KioskPtr& kiosk, const Effect& effect, bool scoped, int attempt, const TurnPtr& turn) {
    const char* subject = SubjectOf(effect.kind);
    bus::CallContext context;
    context.session_id = effect.session_id;
    context.trace_id = effect.trace_id;
    context.kiosk_id = kiosk->id;
    context.scoped = scoped;
    context.idempotency_key = effect.idempotency_key;
    context.timeout = bus::DefaultTimeout(subject);
    if (effect.kind == EffectKind::kPaymentProcess) {
      // The state machine counts on it that nobody begins this payment later.
      context.timeout =
          absl::FromUnixMillis(effect.created_ms) + options_.session.payment_timeout - clock_.Now();
      if (context.timeout <= absl::ZeroDuration()) {
        Answer(kiosk, effect, MakeError(ErrorCode::kTimeout, "the payment was not asked for in time"), turn);
        return;
      }
    } else if (effect.kind == EffectKind::kPrint) {
      context.timeout = absl::FromUnixMillis(effect.until_ms) - clock_.Now();
      if (context.timeout <= absl::ZeroDuration()) {
        Answer(kiosk, effect, MakeError(ErrorCode::kTimeout, "the receipt was not asked for in time"), turn);
        return;
      }
    }
    bus::CallRaw(bus_, subject, effect.payload, context,
                 [weak = weak_from_this(), kiosk, effect, scoped, attempt,
                  turn](absl::StatusOr<ParsedMessage> answer) {
                   auto self = weak.lock();
                   if (self == nullptr) return;
                   const bool again = !answer.ok() && IsRead(effect.kind) && attempt < kReadAttempts &&
                                      IsRetryable(WireErrorCode(answer.status()));
                   if (again) {
                     self->Send(kiosk, effect, scoped, attempt + 1, turn);
                   } else {
                     self->Answer(kiosk, effect, std::move(answer), turn);
                   }
                 });
  }

  void Answer(const KioskPtr& kiosk, const Effect& effect, absl::StatusOr<ParsedMessage> answer,
              TurnPtr turn) {
    if (!answer.ok() && (effect.kind == EffectKind::kPrint || effect.kind == EffectKind::kLed)) {
      Log(LogLevel::kWarning,
          effect.kind == EffectKind::kLed ? "the light was not set"
          : clock_.Now() < absl::FromUnixMillis(effect.until_ms) &&
                  IsRetryable(WireErrorCode(answer.status()))
              ? "a receipt is asked for again"
              : "a receipt was not printed",
          {{"kiosk_id", kiosk->id},
           {"order_id", effect.order_id},
           {"session_id", effect.session_id},
           {"trace_id", effect.trace_id},
           {"error", std::string(answer.status().message())}});
    }
    if (CompletesByItself(effect.kind)) {
      Complete(kiosk, effect.id);
      return;
    }
    Work work;
    work.input = Input{ReadAnswer(effect, answer), std::nullopt, {}};
    work.context = trace::Current();
    work.turn = std::move(turn);
    Push(kiosk, std::move(work));
  }

  // The menu, once for all kiosks.

  void RefreshMenu(const KioskPtr& kiosk, int64_t effect_id) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kiosk != nullptr) menu_waiters_.emplace_back(kiosk, effect_id);
      if (menu_asked_) return;
      menu_asked_ = true;
    }
    CallMenuList([](Core& self) {
      std::vector<std::pair<KioskPtr, int64_t>> waiters;
      {
        std::lock_guard<std::mutex> lock(self.mutex_);
        waiters.swap(self.menu_waiters_);
        self.menu_asked_ = false;
      }
      for (const auto& [waiter, id] : waiters) {
        Work work;
        CommandResult result;
        result.effect_id = id;
        work.input = Input{std::move(result), std::nullopt, {}};
        self.Push(waiter, std::move(work));
      }
    });
  }

  // The bucket brings many changes at once when a menu is imported, and all of it at each reconnect. The
  // menu's agents hear of a change when this one does; one that is slower is asked once more.
  void HearOfMenu() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (menu_news_) return;
      menu_news_ = true;
    }
    RunLater(kMenuNews, [](Core& self) {
      {
        std::lock_guard<std::mutex> lock(self.mutex_);
        self.menu_news_ = false;
      }
      self.ShowMenu();
      self.RunLater(kMenuNewsAgain, [](Core& later) { later.ShowMenu(); });
    });
  }

  // Asks for the menu, and has every screen that somebody looks at follow it.
  void ShowMenu() {
    CallMenuList([](Core& self) {
      std::vector<KioskPtr> seen;
      {
        std::lock_guard<std::mutex> lock(self.mutex_);
        for (const auto& [id, kiosk] : self.kiosks_) {
          if (!kiosk->state->session_id.empty()) seen.push_back(kiosk);
        }
      }
      for (const KioskPtr& kiosk : seen) {
        Work work;
        work.input = Input{MenuNews{}, std::nullopt, {}};
        self.Push(kiosk, std::move(work));
      }
    });
  }

  void CallMenuList(std::function<void(Core&)> then) {
    bus::CallContext context;
    bus::Call<messages::ListResponse>(
        bus_, subjects::kMenuList, messages::ListRequest{}, context,
        [weak = weak_from_this(), then = std::move(then)](absl::StatusOr<messages::ListResponse> list) {
          auto self = weak.lock();
          if (self == nullptr) return;
          absl::Status status = list.status();
          if (list.ok()) {
            absl::StatusOr<MenuView> view = MenuView::FromList(*list, self->clock_.Now());
            status = view.status();
            if (view.ok()) {
              auto menu = std::make_shared<const MenuView>(*std::move(view));
              std::lock_guard<std::mutex> lock(self->mutex_);
              self->menu_ = std::move(menu);
            }
          }
          if (!status.ok()) {
            Log(LogLevel::kWarning, "the menu was not listed", {{"error", std::string(status.message())}});
          }
          self->Run([self, then] { then(*self); });
        });
  }

  bus::Bus& bus_;
  Clock& clock_;
  const Options options_;
  const SessionMachine machine_;
  bus::KeyValue* bucket_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  int working_ = 0;
  bool leading_ = false;
  // While standing by: how the latest look at the key `leader` went, when one last went well, and when a copy
  // was last seen to lead.
  absl::Status lease_trouble_;
  absl::Time lease_read_at_ = absl::InfinitePast();
  absl::Time leader_alive_at_ = absl::InfinitePast();
  uint64_t lease_revision_ = 0;
  absl::Time renewed_at_ = absl::InfinitePast();
  std::map<std::string, KioskPtr> kiosks_;
  std::set<int64_t> kept_slots_;  // of kiosks that are in the bucket and not in `kiosks_`
  std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers_;
  std::shared_ptr<const MenuView> menu_;
  bool menu_asked_ = false;
  bool menu_news_ = false;  // the menu has changed; it will be asked for
  std::unique_ptr<bus::Subscription> menu_watch_;
  std::vector<std::pair<KioskPtr, int64_t>> menu_waiters_;

  // Written by LeaseTick(), which never runs twice at once; epoch_ changes only while nothing is led.
  std::atomic<int64_t> epoch_{0};
  int64_t renewal_ = 0;
  uint64_t seen_revision_ = 0;
  absl::Time seen_at_ = absl::InfiniteFuture();
};

Orchestrator::Orchestrator(bus::Bus& bus, Options options) {
  const bool own_threads = options.run == nullptr;
  const int threads = options.threads;
  core_ = std::make_shared<Core>(bus, std::move(options));
  if (own_threads) {
    executor_ = std::make_unique<bus::Executor>(threads);
    core_->executor = executor_.get();
  }
}

Orchestrator::~Orchestrator() {
  core_->Stop(/*release=*/false);
}

absl::Status Orchestrator::Start(bus::KeyValue& bucket) {
  core_->Start(bucket);
  return absl::OkStatus();
}

absl::Status Orchestrator::WatchMenu(bus::KeyValue& bucket) {
  return core_->WatchMenu(bucket);
}

void Orchestrator::Stop() {
  core_->Stop(/*release=*/true);
}

bool Orchestrator::leading() const {
  return core_->leading();
}

absl::Status Orchestrator::Health() const {
  return core_->Health();
}

int64_t Orchestrator::active_sessions() const {
  return core_->active_sessions();
}

absl::StatusOr<messages::SnapshotResponse> Orchestrator::Snapshot(const messages::SnapshotRequest& request,
                                                                  const bus::RequestContext& context) const {
  return core_->Snapshot(request, context);
}

}  // namespace arc::orchestrator
