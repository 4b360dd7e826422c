#include "services/voice/voice.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/audio/audio.h"
#include "common/bus/call.h"
#include "common/bus/dead_letter.h"
#include "common/bus/tracing.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/messages/brain.h"
#include "common/messages/components.h"
#include "common/messages/input.h"
#include "common/messages/session.h"
#include "common/messages/stt.h"
#include "common/messages/tts.h"
#include "common/messages/ui.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/voice/actor.h"
#include "services/voice/metric_names.h"

namespace arc::voice {

namespace ui = messages::ui;

namespace {

constexpr absl::Duration kClaimTimeout = absl::Seconds(1);
constexpr absl::Duration kPingTimeout = absl::Milliseconds(500);
constexpr absl::Duration kStoreRetry = absl::Seconds(1);
constexpr absl::Duration kStoreLimit = absl::Minutes(1);  // then an event of speech is lost
constexpr size_t kMaxOutbox = 256;                        // partial texts are left out before
constexpr size_t kMaxWork = 20000;                        // then frames are dropped
constexpr size_t kMaxKiosks = 5000;
constexpr size_t kMaxToolNames = 32;
constexpr size_t kMaxTracedTurns = 1000;
constexpr size_t kMaxCustomers = 1000;  // of a room
constexpr size_t kMaxEndedSessions = 10000;
constexpr size_t kMaxRecentTexts = 10000;
constexpr absl::string_view kEngineRefused = "engine_refused";  // error_type: the sound is what is wrong
constexpr absl::string_view kKioskPrefix = "kiosk-";

constexpr char kFramesHelp[] = "Frames of microphones, by what became of them.";

// A UUID that is the same for the same seed.
std::string StableUuid(absl::string_view seed) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(seed.data()), seed.size(), digest.data());
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0F) | 0x40);
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3F) | 0x80);
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), 16));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4),
                      "-", hex.substr(20, 12));
}

std::string Ms(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

// How long the sound of a frame of agent.tts.audio lasts; zero when that cannot be told.
absl::Duration LengthOf(const bus::Message& frame) {
  const absl::StatusOr<audio::Format> format =
      audio::ParseFormat(frame.headers.Get(subjects::kAudioFormatHeader).value_or("pcm_s16le"));
  if (!format.ok() || format->encoding != audio::Encoding::kPcmS16le) return absl::ZeroDuration();
  return audio::DurationOf(frame.body.size() / (2 * static_cast<size_t>(format->channels)), format->rate);
}

absl::string_view LastToken(absl::string_view subject) {
  return subject.substr(subject.rfind('.') + 1);
}

struct StageHealth {
  int failures = 0;  // in a row
  bool reported = false;
};

// An event on its way into the stream.
struct Outgoing {
  std::string subject;
  Envelope envelope;
  std::string payload;
  std::string kiosk_id;
  absl::Time since;
  bool partial = false;               // may be left out
  std::optional<uint64_t> text_done;  // this typed text is done once the event is stored
};

struct Track {
  bool live = false;
  bool from_livekit = false;
  std::string participant_sid;
  std::string sid;
  std::string trace_id;
  absl::Time since;
};

struct Room {
  Room(const TurnOptions& options, std::string room_name, std::string kiosk_id)
      : name(std::move(room_name)), conversation(options, name, std::move(kiosk_id)) {}

  const std::string name;
  Conversation conversation;
  bool scoped = false;
  std::unique_ptr<Ear> ear;  // once a frame has come
  std::map<std::string, std::unique_ptr<Utterance>> utterances;
  Track track;
  std::set<std::string> customers;  // participants of LiveKit, by sid
  absl::Time last_frame = absl::InfinitePast();
  absl::Time last_use;
  audio::FrameOrder::Counts counted;
  bool warned = false;
  std::deque<Outgoing> outbox;
  bool storing = false;
  bool asking_session = false;  // the orchestrator
  absl::Time armed_for = absl::InfiniteFuture();
  uint64_t timer_number = 0;
};

using RoomPtr = std::shared_ptr<Room>;

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseRooms(absl::string_view flag) {
  std::map<std::string, std::string> rooms;
  for (const absl::string_view part : absl::StrSplit(flag, ',', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::string_view room = absl::StripAsciiWhitespace(pair.first);
    const absl::string_view kiosk = absl::StripAsciiWhitespace(pair.second);
    if (!subjects::IsValidRoom(room)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", room, "' is no room: 1 to 100 letters, digits, '-' and '_'"));
    }
    if (!kiosk.empty() && !subjects::IsValidKioskId(kiosk)) {
      return absl::InvalidArgumentError(absl::StrCat("'", kiosk, "' is no kiosk's id"));
    }
    rooms[std::string(room)] = std::string(kiosk);
  }
  return rooms;
}

// Everything but counters is touched by work of `actor` alone.
struct Voice::Core : public std::enable_shared_from_this<Voice::Core> {
  Core(bus::Bus& the_bus, Metrics& the_metrics, VoiceOptions the_options, Voice::ErrorReporter the_reporter)
      : bus(the_bus),
        clock(the_bus.clock()),
        metrics(the_metrics),
        options(std::move(the_options)),
        report_error(std::move(the_reporter)) {}

  bus::Bus& bus;
  Clock& clock;
  Metrics& metrics;
  const VoiceOptions options;
  const Voice::ErrorReporter report_error;
  Actor actor;
  std::atomic<int64_t> sessions{0};
  std::atomic<bool> listening{true};

  std::map<std::string, RoomPtr> rooms;
  bool warned_of_rooms = false;
  bool warned_of_names = false;
  std::map<std::string, std::string> kiosk_sessions;                          // by kiosk
  std::map<std::string, std::pair<std::weak_ptr<Room>, std::string>> claims;  // by request id: utterance
  // Kiosks whose payment is open, and what their screens said of one whose outcome is not known yet.
  std::set<std::string> paying;
  std::map<std::string, std::string> told_unknown;
  std::set<std::string> ended_sessions;  // of kiosks, the latest
  std::deque<std::string> ended_order;
  struct Text {
    bus::StreamEvent event;
    std::string seed;  // of the ids of its events
  };
  std::map<uint64_t, Text> texts;  // by token
  uint64_t next_text = 1;
  std::map<std::string, absl::Time> recent_texts;  // by the seed, since when
  std::deque<std::string> recent_order;
  std::map<Stage, StageHealth> stages;
  std::set<std::string> traced_turns;  // trace ids, the latest
  std::deque<std::string> traced_order;
  std::vector<std::string> tool_names;

  // Runs `work` with this object, one at a time; nothing when it is gone. What is of a trace gets its spans;
  // sound is of none.
  std::function<void(bus::Message)> Taker(void (Core::*take)(const bus::Message&)) {
    return [weak = weak_from_this(), take](bus::Message message) {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->actor.Run([self, take, arrived = self->clock.Now(), message = std::move(message)] {
        trace::Span span;
        if (trace::enabled() && message.headers.Has(subjects::kTraceParentHeader)) {
          bus::Taken taken;
          taken.subject = subjects::SplitScope(message.subject).base;
          taken.kiosk_id = message.headers.Get(subjects::kKioskIdHeader).value_or("");
          taken.sent = arrived;
          taken.begin = self->clock.Now();
          span = bus::BeginProcessing(message, taken);
        }
        const trace::Scope scope(span.context());
        (self.get()->*take)(message);
      });
    };
  }

  void Count(absl::string_view name, absl::string_view help, const Metrics::Labels& labels, double by = 1) {
    metrics.Increment(name, help, labels, by);
  }
  void CountFrames(absl::string_view outcome, double by = 1) {
    Count(metric_names::kFrames, kFramesHelp, {{"outcome", std::string(outcome)}}, by);
  }

  template <class T>
  void Publish(absl::string_view subject, const T& message, const std::string& kiosk_id) {
    bus::Message out;
    out.subject = std::string(subject);
    out.body = json::Encode(message);
    if (!kiosk_id.empty()) out.headers.Set(subjects::kKioskIdHeader, kiosk_id);
    if (const absl::Status status = bus::PublishTraced(bus, std::move(out), message.trace_id); !status.ok()) {
      Log(LogLevel::kWarning, "a message could not be published",
          {{"subject", std::string(subject)}, {"error", std::string(status.message())}});
    }
  }

  // Once more, of a kiosk with subjects of its own, for its screen: that may hear this kiosk alone
  // (docs/rights.md).
  template <class T>
  void PublishToScreen(const RoomPtr& room, absl::string_view subject, const T& message) {
    if (!room->scoped) return;
    const std::string& kiosk_id = room->conversation.kiosk_id();
    Publish(subjects::Scope(subject, kiosk_id), message, kiosk_id);
  }

  template <class T>
  std::optional<T> Read(const bus::Message& message) {
    absl::StatusOr<T> decoded = json::Decode<T>(message.body);
    if (decoded.ok()) return *std::move(decoded);
    Bury(message, decoded.status());
    return std::nullopt;
  }
  void Bury(const bus::Message& message, const absl::Status& error) {
    bus::PublishDeadLetter(bus, {kAgentName, "", "", 0, 1}, message, error, nullptr);
  }

  // Rooms.

  std::string KioskOf(const std::string& room, const std::optional<std::string>& hint) const {
    const auto named = options.rooms.find(room);
    if (named != options.rooms.end() && !named->second.empty()) return named->second;
    if (options.scoped) return options.kiosk_id;
    if (hint.has_value() && subjects::IsValidKioskId(*hint)) return *hint;
    const bool is_kiosk = kiosk_sessions.count(room) > 0 || absl::StartsWith(room, kKioskPrefix);
    if (is_kiosk && subjects::IsValidKioskId(room)) return room;
    return options.kiosk_id;
  }

  bool Serves(const std::string& room) const {
    if (!options.rooms.empty()) return options.rooms.count(room) > 0;
    return !options.scoped || room == options.kiosk_id;
  }

  // Null when it is not this copy's, or there are too many.
  RoomPtr RoomOf(const std::string& name, const std::optional<std::string>& kiosk_hint) {
    if (rooms.count(name) == 0 && !Serves(name)) return nullptr;
    return MakeRoom(name, KioskOf(name, kiosk_hint));
  }

  // Sound to made-up rooms keeps no customer out: where all places are taken, a room of a kiosk that has a
  // session takes the place of the longest unused one of a kiosk that has none and that nothing is said in.
  bool GivePlace(const std::string& kiosk_id) {
    if (kiosk_sessions.count(kiosk_id) == 0) return false;
    RoomPtr oldest;
    for (const auto& [name, room] : rooms) {
      const bool unneeded = room->conversation.idle() && room->outbox.empty() && room->utterances.empty() &&
                            kiosk_sessions.count(room->conversation.kiosk_id()) == 0;
      if (unneeded && (oldest == nullptr || room->last_use < oldest->last_use)) oldest = room;
    }
    if (oldest == nullptr) return false;
    Forget(oldest);
    return true;
  }

  void Forget(const RoomPtr& room) {
    TrackOver(room, "audio_timeout");
    rooms.erase(room->name);
    warned_of_rooms = false;
    SetGauges();
  }

  RoomPtr MakeRoom(const std::string& name, const std::string& kiosk_id) {
    const auto it = rooms.find(name);
    if (it != rooms.end()) {
      it->second->last_use = clock.Now();
      return it->second;
    }
    if (rooms.size() >= options.max_rooms && !GivePlace(kiosk_id)) {
      if (!std::exchange(warned_of_rooms, true)) {
        Log(LogLevel::kWarning, "no more rooms", {{"max_rooms", absl::StrCat(options.max_rooms)}});
      }
      return nullptr;
    }
    auto room = std::make_shared<Room>(options.turn, name, kiosk_id);
    room->scoped = options.scoped;
    room->last_use = clock.Now();
    const auto session = kiosk_sessions.find(room->conversation.kiosk_id());
    if (session != kiosk_sessions.end()) {
      room->conversation.SetKioskSession(session->second, true);
    } else {
      AskForSession(room);
    }
    rooms.emplace(name, room);
    SetGauges();
    return room;
  }

  // What the orchestrator knows: a session that began before this process did, or before the customer spoke.
  void AskForSession(const RoomPtr& room) {
    if (std::exchange(room->asking_session, true)) return;
    bus::CallContext context;
    context.kiosk_id = room->conversation.kiosk_id();
    bus::Call<messages::SnapshotResponse>(
        bus, subjects::kOrchestratorSnapshot, messages::SnapshotRequest(), context,
        [weak = weak_from_this(), room,
         kiosk = context.kiosk_id](absl::StatusOr<messages::SnapshotResponse> snapshot) {
          auto self = weak.lock();
          if (self == nullptr) return;
          self->actor.Run([self, room, kiosk, snapshot = std::move(snapshot)] {
            room->asking_session = false;
            // Of another kiosk, when a frame has told meanwhile whose room it is.
            const bool known = snapshot.ok() && kiosk == room->conversation.kiosk_id();
            KioskSession session;
            if (known) {
              session = {snapshot->session_id, snapshot->exclude_allergens, snapshot->dietary_filters};
            }
            self->Apply(room,
                        room->conversation.OnKioskSession(self->clock.Now(), known ? &session : nullptr));
          });
        });
  }

  // Where kiosk `kiosk_id` is spoken with: the room that was used last, else the flags' one, else one of the
  // kiosk's name. Null when there is none and none may be made.
  RoomPtr RoomOfKiosk(const std::string& kiosk_id, bool make) {
    RoomPtr latest;
    for (const auto& [name, room] : rooms) {
      if (room->conversation.kiosk_id() != kiosk_id) continue;
      if (latest == nullptr || room->last_use > latest->last_use) latest = room;
    }
    if (latest != nullptr) {
      latest->last_use = clock.Now();
      return latest;
    }
    if (!make) return nullptr;
    for (const auto& [name, kiosk] : options.rooms) {
      if (KioskOf(name, std::nullopt) == kiosk_id) return MakeRoom(name, kiosk_id);
    }
    return MakeRoom(kiosk_id, kiosk_id);
  }

  void SetGauges() {
    int64_t active = 0;
    for (const auto& [name, room] : rooms) active += room->conversation.active() ? 1 : 0;
    sessions = active;
    metrics.Set(metric_names::kRooms, "Rooms that are known.", {}, static_cast<double>(rooms.size()));
    metrics.Set(metric_names::kSessions, "Conversations.", {}, static_cast<double>(active));
  }

  // Timers: one a room, that is at the latest due when something is.

  absl::Time NextTime(const Room& room) const {
    absl::Time next = room.conversation.NextTime();
    if (room.ear != nullptr) next = std::min(next, room.ear->NextTime());
    for (const auto& [id, utterance] : room.utterances) next = std::min(next, utterance->NextTime());
    if (room.track.live && !room.track.from_livekit)
      next = std::min(next, room.last_frame + options.audio_timeout);
    return std::min(next, ForgetAt(room));
  }

  absl::Time ForgetAt(const Room& room) const {
    if (!room.conversation.idle() || !room.outbox.empty() || !room.utterances.empty())
      return absl::InfiniteFuture();
    // Of what LiveKit began, it may have failed to tell the end.
    const bool livekit = !room.customers.empty() || (room.track.live && room.track.from_livekit);
    if (livekit) return room.last_use + options.livekit_timeout;
    return room.track.live ? absl::InfiniteFuture() : room.last_use + options.room_timeout;
  }

  void Arm(const RoomPtr& room) {
    const absl::Time next = NextTime(*room);
    if (next >= room->armed_for) return;
    room->armed_for = next;
    const uint64_t number = ++room->timer_number;
    const absl::Duration delay = std::max(next - clock.Now(), absl::ZeroDuration());
    clock.RunAfter(delay, [weak = weak_from_this(), weak_room = std::weak_ptr<Room>(room), number] {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->actor.Run([self, weak_room, number] {
        const RoomPtr due = weak_room.lock();
        if (due == nullptr || due->timer_number != number) return;
        due->armed_for = absl::InfiniteFuture();
        self->OnTime(due);
      });
    });
  }

  void OnTime(const RoomPtr& room) {
    const absl::Time now = clock.Now();
    if (room->ear != nullptr) room->ear->OnTime(now);
    std::vector<std::string> due;
    for (const auto& [id, utterance] : room->utterances) {
      if (now >= utterance->NextTime()) due.push_back(id);
    }
    for (const std::string& id : due) {
      const auto it = room->utterances.find(id);
      if (it != room->utterances.end()) Apply(room, *it->second, it->second->OnTime(now));
    }
    if (now >= room->conversation.NextTime()) Apply(room, room->conversation.OnTime(now));
    if (room->track.live && !room->track.from_livekit && now >= room->last_frame + options.audio_timeout) {
      TrackOver(room, "audio_timeout");
    }
    if (now >= ForgetAt(*room)) {
      Forget(room);
      return;
    }
    Arm(room);
  }

  // What conversations want done.

  void Apply(const RoomPtr& room, Conversation::Effects effects) {
    for (Effect& effect : effects) {
      std::visit([&](auto& e) { Carry(room, e); }, effect);
    }
    if (!effects.empty()) room->last_use = clock.Now();
    Arm(room);
  }

  void Carry(const RoomPtr& room, BeginUtterance& e) {
    auto utterance = std::make_unique<Utterance>(options.utterance, e.utterance_id);
    Utterance& u = *utterance;
    room->utterances[e.utterance_id] = std::move(utterance);
    traces[e.utterance_id] = {e.trace_id, e.session_id};
    Apply(room, u, u.Begin(clock.Now(), room->ear != nullptr ? room->ear->PreRoll() : audio::Samples()));
  }
  void Carry(const RoomPtr& room, EndUtterance& e) {
    const auto it = room->utterances.find(e.utterance_id);
    if (it != room->utterances.end()) Apply(room, *it->second, it->second->End(clock.Now()));
  }
  void Carry(const RoomPtr& room, DropUtterance& e) {
    const auto it = room->utterances.find(e.utterance_id);
    if (it == room->utterances.end()) return;
    Apply(room, *it->second, it->second->End(clock.Now()));
    Forget(room, e.utterance_id);
  }
  void Carry(const RoomPtr& room, PublishSpeechStart& e) {
    Store(room, subjects::kSpeechStart, json::Encode(messages::SpeechStart()), e.trace_id, "", false, {});
  }
  void Carry(const RoomPtr& room, PublishTranscript& e) {
    const std::string msg_id = e.text_token.has_value() ? TextSeed(*e.text_token, "transcript") : "";
    Store(room, subjects::kTranscript, json::Encode(e.transcript), e.trace_id, msg_id, !e.transcript.is_final,
          {});
  }
  void Carry(const RoomPtr& room, AskSession&) { AskForSession(room); }
  void Carry(const RoomPtr&, AskBrain& e) {
    Ask(subjects::kBrainRequest, e.request, e.request.context.kiosk_id,
        options.turn.brain_timeout + options.turn.brain_grace,
        [this, id = e.request.request_id](const absl::StatusOr<bus::Message>& reply) {
          if (reply.ok()) {
            OnBrainResponse(*reply);
          } else if (absl::IsUnavailable(reply.status())) {
            ForEachRoom(
                [&](const RoomPtr& r) { Apply(r, r->conversation.OnBrainUnreachable(clock.Now(), id)); });
          }
        });
  }
  void Carry(const RoomPtr& room, PublishIntents& e) {
    for (size_t i = 0; i < e.intents.size(); ++i) {
      const std::string msg_id =
          e.text_token.has_value() ? TextSeed(*e.text_token, absl::StrCat("intent", i)) : "";
      const bool last = i + 1 == e.intents.size();
      Store(room, subjects::kIntent, json::Encode(e.intents[i]), e.trace_id, msg_id, false,
            last ? e.text_token : std::nullopt);
    }
  }
  void Carry(const RoomPtr&, TextDone& e) { FinishText(e.text_token, "unanswered"); }
  void Carry(const RoomPtr& room, RequestSpeech& e) {
    Ask(subjects::kTtsRequest, e.request, room->conversation.kiosk_id(), options.turn.tts_timeout,
        [this, weak_room = std::weak_ptr<Room>(room),
         id = e.request.request_id](const absl::StatusOr<bus::Message>& reply) {
          const RoomPtr r = weak_room.lock();
          if (r != nullptr && absl::IsUnavailable(reply.status())) {
            Apply(r, r->conversation.OnTtsUnreachable(clock.Now(), id));
          }
        });
    PublishToScreen(room, subjects::kTtsRequest, e.request);
  }
  void Carry(const RoomPtr& room, CancelSpeech& e) {
    Publish(subjects::kTtsCancel, e.cancel, room->conversation.kiosk_id());
  }
  void Carry(const RoomPtr& room, PublishState& e) {
    Publish(subjects::kVoiceState, e.state, room->conversation.kiosk_id());
    PublishToScreen(room, subjects::kVoiceState, e.state);
  }
  void Carry(const RoomPtr& room, PublishSessionStarted& e) {
    Publish(subjects::kVoiceSessionStarted, e.started, room->conversation.kiosk_id());
    SetGauges();
  }
  void Carry(const RoomPtr& room, PublishSessionEnded& e) {
    Publish(subjects::kVoiceSessionEnded, e.ended, room->conversation.kiosk_id());
    SetGauges();
  }
  void Carry(const RoomPtr& room, ReportTurn& e) { Report(*room, e.report); }
  void Carry(const RoomPtr&, voice::Count& e) {
    Metrics::Labels labels;
    if (!e.label.empty()) labels["reason"] = e.label;
    Count(e.what, "See services/voice/README.md.", labels);
  }
  void Carry(const RoomPtr&, StageResult& e) {
    StageHealth& health = stages[e.stage];
    if (e.worked) {
      health = StageHealth();
      return;
    }
    if (++health.failures < options.report_after || std::exchange(health.reported, true)) return;
    const char* const name = e.stage == Stage::kStt ? "stt" : e.stage == Stage::kBrain ? "brain" : "tts";
    report_error(absl::StrCat(name, "_unreachable"),
                 absl::StrCat(health.failures, " times in a row ", name, " did not do its work: ", e.reason),
                 "critical", absl::StrCat("check_", name));
  }

  // Sends a plain request; `done` runs as work of the actor.
  template <class T>
  void Ask(absl::string_view subject, const T& request, const std::string& kiosk_id, absl::Duration timeout,
           std::function<void(absl::StatusOr<bus::Message>)> done) {
    bus::Message message;
    message.subject = std::string(subject);
    message.body = json::Encode(request);
    if (!kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, kiosk_id);
    bus::CoreRequestTraced(bus, std::move(message), request.trace_id, timeout, ByActor(std::move(done)));
  }
  void CoreRequest(bus::Message message, absl::Duration timeout,
                   std::function<void(absl::StatusOr<bus::Message>)> done) {
    bus.CoreRequest(std::move(message), timeout, ByActor(std::move(done)));
  }
  bus::ReplyCallback ByActor(std::function<void(absl::StatusOr<bus::Message>)> done) {
    return [weak = weak_from_this(), done = std::move(done)](absl::StatusOr<bus::Message> reply) {
      if (auto self = weak.lock()) {
        self->actor.Run([self, done, reply = std::move(reply)] { done(reply); });
      }
    };
  }

  void ForEachRoom(const std::function<void(const RoomPtr&)>& work) {
    std::vector<RoomPtr> all;
    for (const auto& [name, room] : rooms) all.push_back(room);
    for (const RoomPtr& room : all) work(room);
  }

  // The span of the whole turn and those of its stages.
  void Trace(const Room& room, const TurnReport& report) {
    if (!trace::enabled()) return;
    const trace::SpanContext root = trace::RootOf(report.trace_id);
    if (!root.valid() || report.began == absl::InfinitePast()) return;
    absl::Time at = report.spoken;
    const auto stage = [&](absl::string_view name, absl::Duration took) {
      if (took > absl::ZeroDuration()) {
        trace::Record(absl::StrCat("stage ", name), trace::SpanKind::kInternal, root, at, at + took);
      }
      at += std::max(took, absl::ZeroDuration());
    };
    if (!report.typed) {
      trace::Record("stage speech", trace::SpanKind::kInternal, root, report.began, report.spoken);
      stage("endpointing", report.endpointing);
      stage("stt", report.stt);
    }
    stage("queued", report.queued);
    stage("brain", report.brain + report.tools_total);
    stage("held", report.held);
    stage("tts", report.tts);
    // A turn that goes on has one span, and what is reported of it later is a part of it.
    const bool first = traced_turns.insert(report.trace_id).second;
    if (first) {
      traced_order.push_back(report.trace_id);
      if (traced_order.size() > kMaxTracedTurns) {
        traced_turns.erase(traced_order.front());
        traced_order.pop_front();
      }
    }
    trace::Span turn = first ? trace::Span::Root("turn", trace::SpanKind::kServer, root, report.began)
                             : trace::Span("turn goes on", trace::SpanKind::kInternal, root, report.began);
    turn.Set("kiosk.id", room.conversation.kiosk_id());
    turn.Set("session.id", report.session_id);
    turn.Set("kiosk.room", room.name);
    turn.Set("kiosk.turn", report.turn_index);
    turn.Set("kiosk.source", report.typed ? "text" : "speech");
    turn.Set("kiosk.outcome", report.outcome);
    turn.End(report.spoken + report.total);
  }

  void Report(const Room& room, const TurnReport& report) {
    Trace(room, report);
    const auto observe = [&](const std::string& stage, absl::Duration took) {
      metrics.Observe(metric_names::kStageMs, "Stages of a turn, from the end of speech to the first sound.",
                      {{"stage", stage}}, absl::ToDoubleMilliseconds(took));
    };
    Count(metric_names::kTurns, "Turns, by where the words came from and what became of them.",
          {{"source", report.typed ? "text" : "speech"}, {"outcome", report.outcome}});
    std::string tools;
    for (const auto& [tool, took] : report.tools) {
      absl::StrAppend(&tools, tools.empty() ? "" : " ", tool, "=", Ms(took));
    }
    if (report.outcome == "answered" || report.outcome == "fallback") {
      if (!report.typed) {
        observe("endpointing", report.endpointing);
        observe("stt", report.stt);
      }
      if (report.queued > absl::ZeroDuration()) observe("queued", report.queued);
      observe("brain", report.brain);
      for (const auto& [tool, took] : report.tools) observe(ToolStage(tool), took);
      if (report.held > absl::ZeroDuration()) observe("held", report.held);
      observe("tts", report.tts);
      observe("total", report.total);
    }
    if (options.on_turn) {
      if (report.outcome == "answered" || report.outcome == "fallback") {
        options.on_turn(report.total, absl::OkStatus());
      } else if (report.outcome == "unheard") {
        options.on_turn(report.total, absl::UnknownError("no sound came"));
      }
    }
    Log(LogLevel::kInfo, "turn",
        {{"trace_id", report.trace_id},
         {"session_id", report.session_id},
         {"room", room.name},
         {"turn", absl::StrCat(report.turn_index)},
         {"source", report.typed ? "text" : "speech"},
         {"outcome", report.outcome},
         {"endpointing_ms", Ms(report.endpointing)},
         {"stt_ms", Ms(report.stt)},
         {"queued_ms", Ms(report.queued)},
         {"brain_ms", Ms(report.brain)},
         {"tools_ms", Ms(report.tools_total)},
         {"tools", tools},
         {"held_ms", Ms(report.held)},
         {"tts_ms", Ms(report.tts)},
         {"total_ms", Ms(report.total)}});
  }

  // Names come with messages: as many labels as there are tools, not as somebody likes.
  std::string ToolStage(const std::string& tool) {
    if (std::find(tool_names.begin(), tool_names.end(), tool) == tool_names.end()) {
      const bool plain =
          !tool.empty() && tool.size() <= 64 && std::all_of(tool.begin(), tool.end(), [](char c) {
            return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
          });
      if (!plain || tool_names.size() >= kMaxToolNames) return "tool.other";
      tool_names.push_back(tool);
    }
    return absl::StrCat("tool.", tool);
  }

  // What utterances want done.

  void Apply(const RoomPtr& room, const Utterance& utterance, Utterance::Effects effects) {
    for (UtteranceEffect& effect : effects) {
      if (auto* claim = std::get_if<ClaimWorker>(&effect)) {
        Claim(room, utterance.id(), claim->request_id);
      } else if (auto* sound = std::get_if<SendSound>(&effect)) {
        SendFrame(*sound);
      } else if (auto* ping = std::get_if<PingWorker>(&effect)) {
        Ping(room, utterance.id(), *ping);
      } else if (auto* lost = std::get_if<WorkerLost>(&effect)) {
        Count(metric_names::kSttReplays, "Utterances streamed again because their recogniser was lost.", {});
        Log(LogLevel::kWarning, "a recogniser was lost; the sound goes to another one",
            {{"room", room->name}, {"worker", lost->worker_id}, {"reason", lost->reason}});
      } else if (std::holds_alternative<GiveUp>(effect)) {
        // The utterance goes with it, but is in use here.
        actor.Run([this, weak_room = std::weak_ptr<Room>(room), id = utterance.id()] {
          if (const RoomPtr r = weak_room.lock()) UtteranceFailed(r, id, false);
        });
      }
    }
  }

  void UtteranceFailed(const RoomPtr& room, const std::string& utterance_id, bool refused) {
    Apply(room, room->conversation.OnUtteranceFailed(clock.Now(), utterance_id, refused));
    if (room->utterances.count(utterance_id) > 0) Forget(room, utterance_id);
    Arm(room);
  }

  void Claim(const RoomPtr& room, const std::string& utterance_id, const std::string& request_id) {
    claims[request_id] = {room, utterance_id};
    const auto& [trace_id, session_id] = traces[utterance_id];
    messages::SttRequest request;
    request.request_id = request_id;
    request.timestamp = FormatTimestamp(clock.Now());
    request.trace_id = trace_id;
    request.session_id = session_id;
    request.room_name = room->name;
    request.language = options.turn.language;
    Ask(subjects::kSttRequest, request, room->conversation.kiosk_id(), kClaimTimeout,
        [this, weak_room = std::weak_ptr<Room>(room), utterance_id,
         request_id](absl::StatusOr<bus::Message> reply) {
          const absl::StatusOr<messages::SttAccepted> answer =
              reply.ok() ? json::Decode<messages::SttAccepted>(reply->body)
                         : absl::StatusOr<messages::SttAccepted>(reply.status());
          const RoomPtr r = weak_room.lock();
          const auto it = r == nullptr ? decltype(r->utterances.end())() : r->utterances.find(utterance_id);
          if (r == nullptr || it == r->utterances.end()) {
            // Nobody speaks any more; the worker need not wait for that.
            if (answer.ok() && answer->status == "accepted") SendFrame({request_id, 0, {}, true});
            return;
          }
          Apply(r, *it->second, it->second->OnClaimed(clock.Now(), request_id, answer));
          Arm(r);
        });
  }

  void SendFrame(const SendSound& sound) {
    bus::Message frame;
    frame.subject = absl::StrCat(subjects::kSttAudioPrefix, ".", sound.request_id);
    frame.headers.Set(subjects::kAudioFormatHeader, audio::Format().ToString());
    frame.headers.Set(subjects::kSeqHeader, absl::StrCat(sound.seq));
    if (sound.end) frame.headers.Set(subjects::kEndHeader, "true");
    frame.body = audio::EncodePcm(sound.samples);
    (void)bus.Publish(frame);
  }

  void Ping(const RoomPtr& room, const std::string& utterance_id, const PingWorker& ping) {
    bus::Message message;
    message.subject = absl::StrCat("$SRV.PING.stt.", ping.worker_id);
    if (ping.worker_id.find_first_of(" .*>\t\r\n") != std::string::npos) return;  // no token
    CoreRequest(std::move(message), kPingTimeout,
                [this, weak_room = std::weak_ptr<Room>(room), utterance_id,
                 request_id = ping.request_id](const absl::StatusOr<bus::Message>& reply) {
                  const RoomPtr r = weak_room.lock();
                  if (r == nullptr) return;
                  const auto it = r->utterances.find(utterance_id);
                  if (it == r->utterances.end()) return;
                  // While this process is cut off it knows nothing about others.
                  if (!reply.ok() && !bus.connected()) return;
                  const Utterance::Pong pong = reply.ok() ? Utterance::Pong::kAlive
                                               : absl::IsUnavailable(reply.status())
                                                   ? Utterance::Pong::kGone
                                                   : Utterance::Pong::kSilent;
                  Apply(r, *it->second, it->second->OnPong(clock.Now(), request_id, pong));
                  Arm(r);
                });
  }

  void Forget(const RoomPtr& room, const std::string& utterance_id) {
    room->utterances.erase(utterance_id);
    traces.erase(utterance_id);
    for (auto it = claims.begin(); it != claims.end();) {
      it = it->second.second == utterance_id ? claims.erase(it) : std::next(it);
    }
  }

  // The room and utterance that `request_id` is the present claim of.
  std::pair<RoomPtr, Utterance*> Claimed(const std::string& request_id) {
    const auto claim = claims.find(request_id);
    if (claim == claims.end()) return {nullptr, nullptr};
    const RoomPtr room = claim->second.first.lock();
    if (room == nullptr) return {nullptr, nullptr};
    const auto it = room->utterances.find(claim->second.second);
    if (it == room->utterances.end() || it->second->request_id() != request_id) return {nullptr, nullptr};
    return {room, it->second.get()};
  }

  // Events, stored one after the other, so that they keep their order.

  std::string TextSeed(uint64_t token, absl::string_view what) const {
    const auto it = texts.find(token);
    return it == texts.end() ? "" : StableUuid(absl::StrCat(it->second.seed, "/", what));
  }

  void Store(const RoomPtr& room, absl::string_view subject, std::string payload, const std::string& trace_id,
             const std::string& msg_id, bool partial, std::optional<uint64_t> text_done) {
    const std::string& kiosk_id = room->conversation.kiosk_id();
    Outgoing out;
    out.subject = room->scoped ? subjects::Scope(subject, kiosk_id) : std::string(subject);
    out.envelope = MakeEnvelope(clock.Now(), room->conversation.kiosk_session(), trace_id);
    if (!msg_id.empty()) out.envelope.msg_id = msg_id;
    out.payload = std::move(payload);
    out.kiosk_id = kiosk_id;
    out.since = clock.Now();
    out.partial = partial;
    out.text_done = text_done;
    if (partial && !room->outbox.empty() && room->outbox.size() > 8) return;  // the next one says more
    if (room->outbox.size() >= kMaxOutbox && !text_done.has_value()) {
      Count(metric_names::kLostEvents, "Events that could not be stored.",
            {{"subject", std::string(subject)}});
      return;
    }
    room->outbox.push_back(std::move(out));
    StoreNext(room);
  }

  void StoreNext(const RoomPtr& room) {
    if (room->storing || room->outbox.empty()) return;
    room->storing = true;
    const Outgoing& out = room->outbox.front();
    bus::PublishEvent(bus, out.subject, out.envelope, out.payload, out.kiosk_id,
                      [weak = weak_from_this(), room](const absl::Status& status) {
                        if (auto self = weak.lock()) {
                          self->actor.Run([self, room, status] { self->Stored(room, status); });
                        }
                      });
  }

  void Stored(const RoomPtr& room, const absl::Status& status) {
    room->storing = false;
    const Outgoing& out = room->outbox.front();
    const bool hopeless = absl::IsInvalidArgument(status);
    if (!status.ok() && !hopeless &&
        (out.text_done.has_value() || clock.Now() < out.since + (out.partial ? kStoreRetry : kStoreLimit))) {
      room->storing = true;
      clock.RunAfter(kStoreRetry, [weak = weak_from_this(), room] {
        if (auto self = weak.lock()) {
          self->actor.Run([self, room] {
            room->storing = false;
            self->StoreNext(room);
          });
        }
      });
      return;
    }
    if (!status.ok()) {
      Count(metric_names::kLostEvents, "Events that could not be stored.",
            {{"subject", subjects::SplitScope(out.subject).base}});
      Log(LogLevel::kError, "an event could not be stored",
          {{"subject", out.subject}, {"error", std::string(status.message())}});
    }
    if (out.text_done.has_value()) FinishText(*out.text_done, status.ok() ? "answered" : "refused");
    room->outbox.pop_front();
    StoreNext(room);
    Arm(room);
  }

  // Microphones.

  void OnFrame(const bus::Message& message) {
    if (!listening) return;
    const std::string name(LastToken(message.subject));
    if (!subjects::IsValidRoom(name)) {
      CountFrames("bad_room");
      if (!std::exchange(warned_of_names, true)) Log(LogLevel::kWarning, "frames for a room that cannot be");
      return;
    }
    const std::optional<std::string> kiosk = message.headers.Get(subjects::kKioskIdHeader);
    const RoomPtr room = RoomOf(name, kiosk);
    if (room == nullptr) {
      if (Serves(name)) CountFrames("too_many_rooms");
      return;
    }
    const absl::Time now = clock.Now();
    if (kiosk.has_value() && !room->conversation.active()) {
      room->conversation.set_kiosk_id(KioskOf(name, kiosk));
      const auto session = kiosk_sessions.find(room->conversation.kiosk_id());
      if (session != kiosk_sessions.end()) room->conversation.SetKioskSession(session->second, true);
    }
    if (!EnsureEar(room)) return;
    if (message.headers.Get(subjects::kEndHeader).value_or("") == "true") {
      room->ear->End(now);
      if (room->track.live && !room->track.from_livekit) TrackOver(room, "track_ended");
      Arm(room);
      return;
    }
    if (message.body.empty()) {
      CountFrames("empty");
      return;
    }
    MicFrame frame;
    frame.format = message.headers.Get(subjects::kAudioFormatHeader);
    frame.seq = message.headers.Get(subjects::kSeqHeader);
    frame.bytes = message.body;
    const absl::Status status = room->ear->Push(now, frame);
    CountOrder(*room);
    if (!status.ok()) {
      CountFrames(absl::IsResourceExhausted(status) ? "too_fast" : "malformed");
      if (!std::exchange(room->warned, true)) {
        Log(LogLevel::kWarning, "frames are dropped",
            {{"room", room->name}, {"error", std::string(status.message())}});
      }
      return;
    }
    CountFrames("taken");
    room->last_frame = now;
    if (!room->track.live) TrackBegins(room, now);
    Arm(room);
  }

  bool EnsureEar(const RoomPtr& room) {
    if (room->ear != nullptr) return true;
    absl::StatusOr<std::unique_ptr<VoiceActivity>> activity = options.activity();
    if (!activity.ok()) {
      CountFrames("no_engine");
      return false;
    }
    Ear::Listener listener;
    // The ear lives in the room, which outlives it.
    Room* const raw = room.get();
    const auto shared = [this, raw] { return rooms.at(raw->name); };
    listener.on_sound = [this, raw, shared](absl::Span<const int16_t> samples) {
      if (raw->utterances.empty()) return;
      const RoomPtr r = shared();
      for (const auto& [id, utterance] : raw->utterances)
        Apply(r, *utterance, utterance->OnSound(clock.Now(), samples));
    };
    listener.on_speech_started = [this, raw, shared](absl::Time at) {
      Apply(shared(), raw->conversation.OnSpeechStarted(clock.Now(), at));
    };
    listener.on_speech_continues = [this, raw, shared](absl::Duration voiced) {
      Conversation::Effects effects = raw->conversation.OnSpeechContinues(clock.Now(), voiced);
      if (!effects.empty()) Apply(shared(), std::move(effects));
    };
    listener.on_speech_stopped = [this, raw, shared](absl::Time at, absl::Duration voiced) {
      Apply(shared(), raw->conversation.OnSpeechStopped(clock.Now(), at, voiced));
    };
    room->ear = std::make_unique<Ear>(options.ear, *std::move(activity), std::move(listener));
    return true;
  }

  void CountOrder(Room& room) {
    const audio::FrameOrder::Counts counts = room.ear->counts();
    const auto count = [&](const char* outcome, int64_t now, int64_t& before) {
      if (now > before) CountFrames(outcome, static_cast<double>(now - before));
      before = now;
    };
    count("lost", counts.lost, room.counted.lost);
    count("doubled", counts.doubled, room.counted.doubled);
    count("reordered", counts.reordered, room.counted.reordered);
  }

  void TrackBegins(const RoomPtr& room, absl::Time now) {
    Track& track = room->track;
    track.live = true;
    track.from_livekit = false;
    track.participant_sid.clear();
    track.sid.clear();
    track.trace_id = NewUuid();
    track.since = now;
    messages::TrackPublished published;
    published.timestamp = FormatTimestamp(now);
    published.trace_id = track.trace_id;
    published.room_name = room->name;
    published.participant_identity = room->conversation.kiosk_id();
    messages::TrackMetadata metadata;
    metadata.kiosk_id = room->conversation.kiosk_id();
    if (!room->conversation.kiosk_session().empty()) metadata.session_id = room->conversation.kiosk_session();
    published.metadata = std::move(metadata);
    Publish(subjects::kTrackPublished, published, room->conversation.kiosk_id());
  }

  void TrackOver(const RoomPtr& room, absl::string_view reason) {
    Track& track = room->track;
    if (!std::exchange(track.live, false)) return;
    messages::TrackUnpublished unpublished;
    unpublished.timestamp = FormatTimestamp(clock.Now());
    unpublished.trace_id = track.trace_id;
    unpublished.room_name = room->name;
    unpublished.participant_sid = track.participant_sid;
    unpublished.track_sid = track.sid;
    unpublished.reason = std::string(reason);
    unpublished.duration_seconds = std::max<int64_t>((clock.Now() - track.since) / absl::Seconds(1), 0);
    Publish(subjects::kTrackUnpublished, unpublished, room->conversation.kiosk_id());
  }

  // Answers of the others.

  void OnSttTranscript(const bus::Message& message) {
    const auto transcript = Read<messages::SttTranscript>(message);
    if (!transcript.has_value()) return;
    const auto [room, utterance] = Claimed(transcript->request_id);
    if (room == nullptr) return;
    const std::string id = utterance->id();
    Apply(room, room->conversation.OnTranscript(clock.Now(), id, *transcript));
    if (transcript->is_final) Forget(room, id);
    Arm(room);
  }
  void OnSttError(const bus::Message& message) {
    const auto error = Read<messages::AgentError>(message);
    if (!error.has_value()) return;
    const auto [room, utterance] = Claimed(error->request_id);
    if (room == nullptr) return;
    if (error->error_type == kEngineRefused) {
      // Another worker would refuse it as well.
      const std::string id = utterance->id();
      return UtteranceFailed(room, id, true);
    }
    Apply(room, *utterance, utterance->OnWorkerFailed(clock.Now(), error->request_id, error->error_type));
    Arm(room);
  }
  void OnBrainResponse(const bus::Message& message) {
    const auto response = Read<messages::BrainResponse>(message);
    if (!response.has_value()) return;
    ForEachRoom([&](const RoomPtr& room) {
      Apply(room, room->conversation.OnBrainResponse(clock.Now(), *response));
    });
  }
  void OnBrainError(const bus::Message& message) {
    const auto error = Read<messages::AgentError>(message);
    if (!error.has_value()) return;
    ForEachRoom(
        [&](const RoomPtr& room) { Apply(room, room->conversation.OnBrainError(clock.Now(), *error)); });
  }
  void OnTtsCompleted(const bus::Message& message) {
    const auto completed = Read<messages::TtsCompleted>(message);
    if (!completed.has_value()) return;
    ForEachRoom([&](const RoomPtr& room) {
      Apply(room, room->conversation.OnSpeechCompleted(clock.Now(), *completed));
    });
  }
  void OnTtsError(const bus::Message& message) {
    const auto error = Read<messages::AgentError>(message);
    if (!error.has_value()) return;
    ForEachRoom([&](const RoomPtr& room) {
      Apply(room, room->conversation.OnSpeechFailed(clock.Now(), error->request_id, error->error_type));
    });
  }
  void OnTtsAudio(const bus::Message& message) {
    const auto it = rooms.find(std::string(LastToken(message.subject)));
    const std::optional<std::string> request = message.headers.Get(subjects::kRequestIdHeader);
    if (it == rooms.end() || !request.has_value()) return;
    const RoomPtr room = it->second;
    const bool end = message.headers.Get(subjects::kEndHeader).value_or("") == "true";
    const absl::Duration lasts = LengthOf(message);
    if (!message.body.empty())
      Apply(room, room->conversation.OnSpokenAudio(clock.Now(), *request, lasts, false));
    if (end) Apply(room, room->conversation.OnSpokenAudio(clock.Now(), *request, absl::ZeroDuration(), true));
  }

  // The kiosk's session. What is malformed there becomes the orchestrator's dead letter.

  void OnSession(const bus::Message& message) {
    const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, clock.Now());
    if (!parsed.ok()) return;
    const absl::Time now = clock.Now();
    std::string kiosk = message.headers.Get(subjects::kKioskIdHeader).value_or("");
    const std::string& session = parsed->envelope.session_id;
    if (message.subject == subjects::kSessionStarted) {
      const auto started = DecodePayload<messages::SessionStarted>(*parsed);
      if (!started.ok()) return;
      kiosk = started->kiosk_id;
      if (!subjects::IsValidKioskId(kiosk)) return;
      if (kiosk_sessions.size() < kMaxKiosks || kiosk_sessions.count(kiosk) > 0)
        kiosk_sessions[kiosk] = session;
      const RoomPtr first = RoomOfKiosk(kiosk, Mine(kiosk));
      ForEachRoom([&](const RoomPtr& room) {
        if (room != first && room->conversation.kiosk_id() == kiosk)
          room->conversation.SetKioskSession(session, true);
      });
      if (first != nullptr) Apply(first, first->conversation.OnKioskSessionStarted(now, session));
    } else if (message.subject == subjects::kOrderCompleted) {
      const auto order = DecodePayload<messages::OrderCompleted>(*parsed);
      if (!order.ok()) return;
      if (kiosk.empty()) kiosk = order->kiosk_id;
      if (kiosk.empty()) kiosk = KioskOfSession(session);
      const RoomPtr room = RoomOfKiosk(kiosk, Mine(kiosk));
      if (room == nullptr) return;
      room->conversation.SetKioskSession(session, true);
      Apply(room, room->conversation.OnOrderCompleted(now, order->order_number));
    } else if (message.subject == subjects::kSessionEnded) {
      const auto ended = DecodePayload<messages::SessionEnded>(*parsed);
      if (!ended.ok()) return;
      if (kiosk.empty()) kiosk = KioskOfSession(session);
      const auto known = kiosk_sessions.find(kiosk);
      if (known != kiosk_sessions.end() && (session.empty() || known->second == session))
        kiosk_sessions.erase(known);
      SessionOver(session);
      paying.erase(kiosk);
      told_unknown.erase(kiosk);
      ForEachRoom([&](const RoomPtr& room) {
        if (room->conversation.kiosk_id() != kiosk) return;
        // One that was over before the present one began.
        const std::string& present = room->conversation.kiosk_session();
        const bool sure = room->conversation.sure_of_kiosk_session();
        if (sure && !session.empty() && present != session) return;
        Apply(room, room->conversation.OnKioskSessionEnded(now, ended->reason));
      });
    }
  }

  // The screen. Of what it shows only the end of a payment that did not go through is said here; the rest is
  // the brain's answer, or said of the session.
  void OnScreen(const bus::Message& message) {
    const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, clock.Now());
    if (!parsed.ok()) return;
    const std::string& session = parsed->envelope.session_id;
    if (ended_sessions.count(session) > 0) return;
    const auto screen = DecodePayload<messages::UiUpdate>(*parsed);
    if (!screen.ok()) return;
    const std::string kiosk = KioskOfMessage(message);
    if (!subjects::IsValidKioskId(kiosk)) return;
    if (screen->layout_mode == "paying") {
      if (paying.size() < kMaxKiosks) paying.insert(kiosk);
      return;
    }
    // While the outcome is unknown the payment is not over: it may still fail, or succeed.
    const bool error = screen->layout_mode == "error";
    const auto open = paying.find(kiosk);
    if (open == paying.end()) return;
    std::string told;
    for (const messages::UiComponent& component : screen->components) {
      if (error && component.type == ui::ErrorMessage::kType) {
        const auto said = json::Decode<ui::ErrorMessage>(component.data.text);
        if (said.ok()) told = absl::StrCat(said->text, " ", said->way_out);
      } else if (!error && component.type == ui::Notice::kType) {
        const auto said = json::Decode<ui::Notice>(component.data.text);
        if (said.ok() && said->severity != "info") told = said->text;
      }
      if (!told.empty()) break;
    }
    if (error && told == told_unknown[kiosk]) return;  // the same screen again
    if (error) {
      told_unknown[kiosk] = told;
    } else {
      told_unknown.erase(kiosk);
      paying.erase(open);
    }
    // Other ways out of a payment are the order's end, and the customer's own will.
    if (told.empty() || (!error && screen->layout_mode != "checkout")) return;
    const RoomPtr room = RoomOfKiosk(kiosk, Mine(kiosk));
    if (room == nullptr) return;
    if (!session.empty()) room->conversation.SetKioskSession(session, true);
    Apply(room, room->conversation.OnPaymentFailed(clock.Now(), told, !error));
  }

  void SessionOver(const std::string& session) {
    if (session.empty() || !ended_sessions.insert(session).second) return;
    ended_order.push_back(session);
    if (ended_order.size() <= kMaxEndedSessions) return;
    ended_sessions.erase(ended_order.front());
    ended_order.pop_front();
  }

  // Whether a text with this seed is the first one. Of a double nothing becomes.
  bool IsFirst(const std::string& seed, absl::Time now) {
    while (!recent_order.empty() && (recent_order.size() > kMaxRecentTexts ||
                                     recent_texts[recent_order.front()] + options.double_text < now)) {
      recent_texts.erase(recent_order.front());
      recent_order.pop_front();
    }
    if (!recent_texts.emplace(seed, now).second) return false;
    recent_order.push_back(seed);
    return true;
  }

  // Which kiosk a message is of: its subject counts before its header, and that before the flag. Need not be
  // a valid id.
  std::string KioskOfMessage(const bus::Message& message) const {
    const subjects::Scoped scoped = subjects::SplitScope(message.subject);
    if (!scoped.kiosk_id.empty()) return std::string(scoped.kiosk_id);
    return message.headers.Get(subjects::kKioskIdHeader).value_or(options.kiosk_id);
  }

  std::string KioskOfSession(const std::string& session) const {
    for (const auto& [kiosk, id] : kiosk_sessions) {
      if (!session.empty() && id == session) return kiosk;
    }
    return options.kiosk_id;
  }

  bool Mine(const std::string& kiosk) const {
    if (!subjects::IsValidKioskId(kiosk)) return false;
    if (options.scoped) return kiosk == options.kiosk_id;
    if (options.rooms.empty()) return true;
    return std::any_of(options.rooms.begin(), options.rooms.end(),
                       [&](const auto& room) { return KioskOf(room.first, std::nullopt) == kiosk; });
  }

  // Typed text.

  void OnText(const bus::StreamEvent& event, const std::string& durable) {
    if (!listening) return;  // not done: the next process gets it
    const absl::Time now = clock.Now();
    const subjects::Scoped scoped = subjects::SplitScope(event.message.subject);
    if (scoped.base != subjects::kTextInput) {
      return BuryText(event, durable,
                      MakeError(ErrorCode::kInvalidRequest,
                                absl::StrCat("subject ", event.message.subject, ": there is no such event")));
    }
    const absl::StatusOr<ParsedMessage> parsed = ParseMessage(event.message.body, now);
    if (!parsed.ok()) return BuryText(event, durable, parsed.status());
    const absl::StatusOr<messages::TextInput> text = DecodePayload<messages::TextInput>(*parsed);
    if (!text.ok()) return BuryText(event, durable, text.status());
    const std::string kiosk = KioskOfMessage(event.message);
    if (!subjects::IsValidKioskId(kiosk)) {
      return BuryText(event, durable,
                      MakeError(ErrorCode::kInvalidRequest, "header Kiosk-Id: is no kiosk's id"));
    }
    if (now - event.stored_at > options.max_text_age) {
      return BuryText(event, durable,
                      MakeError(ErrorCode::kTimeout, "nobody answered while the customer was there"));
    }
    if (ended_sessions.count(parsed->envelope.session_id) > 0) {
      return BuryText(event, durable,
                      MakeError(ErrorCode::kTimeout, "the session in which it was typed is over"));
    }
    const RoomPtr room = RoomOfKiosk(kiosk, true);
    if (room == nullptr) {
      return BuryText(event, durable, MakeError(ErrorCode::kUnavailable, "no room for this kiosk"));
    }
    if (room->conversation.typed_waiting() >= options.turn.max_typed) {
      return BuryText(event, durable, MakeError(ErrorCode::kUnavailable, "too many texts wait"));
    }
    // The same for every copy of a message, in whichever process.
    const std::string seed = parsed->had_msg_id
                                 ? absl::StrCat(kiosk, "/", parsed->envelope.session_id, "/",
                                                parsed->envelope.msg_id, "/", text->text)
                                 : absl::StrCat(event.sequence, "/", absl::ToUnixNanos(event.stored_at));
    if (!IsFirst(seed, now)) {
      CountText("doubled");
      return event.done();
    }
    room->scoped = options.scoped || !scoped.kiosk_id.empty();
    room->conversation.SetKioskSession(parsed->envelope.session_id, false);
    TypedText typed;
    typed.text = text->text;
    typed.trace_id = parsed->envelope.trace_id;
    typed.token = next_text++;
    texts[typed.token] = {event, seed};
    Apply(room, room->conversation.OnText(now, std::move(typed)));
  }

  void CountText(absl::string_view outcome) {
    Count(metric_names::kTexts, "Typed texts, by what became of them.", {{"outcome", std::string(outcome)}});
  }

  void FinishText(uint64_t token, absl::string_view outcome) {
    const auto it = texts.find(token);
    if (it == texts.end()) return;
    CountText(outcome);
    it->second.event.done();
    texts.erase(it);
  }

  void BuryText(const bus::StreamEvent& event, const std::string& durable, const absl::Status& error) {
    CountText("dead_letter");
    bus::DeadLetterSource source{kAgentName, subjects::kEventsStream, durable, event.sequence, 1};
    bus::PublishDeadLetter(
        bus, source, event.message, error,
        [weak = weak_from_this(), event, durable, error](const absl::Status& stored) {
          if (stored.ok()) return event.done();
          auto self = weak.lock();
          if (self == nullptr) return;
          self->clock.RunAfter(kStoreRetry, [weak, event, durable, error] {
            if (auto again = weak.lock()) {
              again->actor.Run([again, event, durable, error] { again->BuryText(event, durable, error); });
            }
          });
        });
  }

  // LiveKit.

  void OnLiveKit(const LiveKitEvent& event) {
    if (!subjects::IsValidRoom(event.room) || !event.is_customer || event.kind == LiveKitEventKind::kOther)
      return;
    const std::optional<std::string> kiosk =
        event.kiosk_id.empty() ? std::nullopt : std::optional<std::string>(event.kiosk_id);
    const bool begins =
        event.kind == LiveKitEventKind::kParticipantJoined || event.kind == LiveKitEventKind::kTrackPublished;
    if (!begins && rooms.count(event.room) == 0) return;
    const RoomPtr room = RoomOf(event.room, kiosk);
    if (room == nullptr) return;
    const absl::Time now = clock.Now();
    if (kiosk.has_value() && !room->conversation.active())
      room->conversation.set_kiosk_id(KioskOf(event.room, kiosk));
    switch (event.kind) {
      case LiveKitEventKind::kParticipantJoined:
        if (room->customers.size() < kMaxCustomers) room->customers.insert(event.participant.sid);
        Apply(room, room->conversation.OnParticipantJoined(now, event.participant));
        break;
      case LiveKitEventKind::kParticipantLeft:
        room->customers.erase(event.participant.sid);
        if (room->track.from_livekit && room->track.participant_sid == event.participant.sid) {
          TrackOver(room, "user_disconnected");
        }
        if (room->customers.empty()) Apply(room, room->conversation.OnUserLeft(now, "user_left"));
        break;
      case LiveKitEventKind::kTrackPublished:
        if (event.track_is_audio) LiveKitTrack(room, event, now);
        break;
      case LiveKitEventKind::kTrackUnpublished:
        if (room->track.from_livekit && room->track.sid == event.track_sid) TrackOver(room, "track_ended");
        break;
      case LiveKitEventKind::kRoomFinished:
        room->customers.clear();
        TrackOver(room, "room_finished");
        Apply(room, room->conversation.OnUserLeft(now, "room_finished"));
        break;
      case LiveKitEventKind::kOther:
        break;
    }
    Arm(room);
  }

  void LiveKitTrack(const RoomPtr& room, const LiveKitEvent& event, absl::Time now) {
    TrackOver(room, "track_ended");
    Track& track = room->track;
    track.live = true;
    track.from_livekit = true;
    track.participant_sid = event.participant.sid;
    track.sid = event.track_sid;
    track.trace_id = NewUuid();
    track.since = now;
    messages::TrackPublished published;
    published.timestamp = FormatTimestamp(now);
    published.trace_id = track.trace_id;
    published.room_name = room->name;
    published.room_sid = event.participant.room_sid;
    published.participant_sid = event.participant.sid;
    published.participant_identity = event.participant.identity;
    published.track_sid = event.track_sid;
    published.track_source = event.track_source;
    messages::TrackMetadata metadata;
    metadata.user_id =
        event.participant.user_id.empty() ? event.participant.identity : event.participant.user_id;
    metadata.session_id = room->conversation.session_id().empty() ? event.participant.session_id
                                                                  : room->conversation.session_id();
    metadata.kiosk_id = room->conversation.kiosk_id();
    published.metadata = std::move(metadata);
    Publish(subjects::kTrackPublished, published, room->conversation.kiosk_id());
  }

  bool Busy() const {
    return std::any_of(rooms.begin(), rooms.end(), [](const auto& room) {
      return room.second->conversation.thinking() || !room.second->outbox.empty();
    });
  }

  // By utterance: its trace and session.
  std::map<std::string, std::pair<std::string, std::string>> traces;
};

Voice::Voice(bus::Bus& bus, Metrics& metrics, VoiceOptions options, ErrorReporter report_error)
    : core_(std::make_shared<Core>(bus, metrics, std::move(options), std::move(report_error))) {}

Voice::~Voice() {
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions;
  std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
  std::lock_guard<std::mutex> lock(mutex_);
  subscriptions.swap(subscriptions_);
  consumers.swap(consumers_);
}

absl::Status Voice::Start() {
  Core& core = *core_;
  if (absl::Status status = core.options.activity().status(); !status.ok()) return status;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions;
  const auto subscribe = [&](const std::string& subject,
                             std::function<void(bus::Message)> take) -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<bus::Subscription> subscription,
                     core.bus.Subscribe(subject, "", std::move(take)));
    subscriptions.push_back(std::move(subscription));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(subscribe(subjects::kSttTranscript, core.Taker(&Core::OnSttTranscript)));
  RETURN_IF_ERROR(subscribe(subjects::kSttError, core.Taker(&Core::OnSttError)));
  RETURN_IF_ERROR(subscribe(subjects::kBrainResponse, core.Taker(&Core::OnBrainResponse)));
  RETURN_IF_ERROR(subscribe(subjects::kBrainError, core.Taker(&Core::OnBrainError)));
  RETURN_IF_ERROR(subscribe(subjects::kTtsCompleted, core.Taker(&Core::OnTtsCompleted)));
  RETURN_IF_ERROR(subscribe(subjects::kTtsError, core.Taker(&Core::OnTtsError)));
  RETURN_IF_ERROR(subscribe(absl::StrCat(subjects::kTtsAudioPrefix, ".*"), core.Taker(&Core::OnTtsAudio)));
  RETURN_IF_ERROR(subscribe("kiosk.session.>", core.Taker(&Core::OnSession)));
  RETURN_IF_ERROR(subscribe(absl::StrCat(subjects::kUiUpdate, ".>"), core.Taker(&Core::OnScreen)));
  RETURN_IF_ERROR(subscribe(subjects::kUiUpdate, core.Taker(&Core::OnScreen)));
  RETURN_IF_ERROR(subscribe(absl::StrCat(subjects::kVoiceAudioPrefix, ".*"),
                            [core = core_, take = core.Taker(&Core::OnFrame)](bus::Message message) {
                              if (core->actor.waiting() > kMaxWork) return core->CountFrames("overload");
                              take(std::move(message));
                            }));
  std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
  std::vector<std::string> durables;
  if (core.options.take_text) durables = {kTextDurable, kScopedTextDurable};
  for (const std::string& durable : durables) {
    bus::ConsumeOptions options;
    options.stream = subjects::kEventsStream;
    options.durable = durable;
    consumers.push_back(bus::ConsumeInOrder(
        core.bus, options, [weak = std::weak_ptr<Core>(core_), durable](bus::StreamEvent event) {
          if (auto self = weak.lock()) {
            self->actor.Run([self, durable, event = std::move(event)] { self->OnText(event, durable); });
          }
        }));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  subscriptions_ = std::move(subscriptions);
  consumers_ = std::move(consumers);
  return absl::OkStatus();
}

absl::Status Voice::Health() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (subscriptions_.empty()) return absl::UnavailableError("does not listen yet");
  for (const auto& consumer : consumers_) {
    if (!consumer->bound()) return absl::UnavailableError("not bound to the consumers of kiosk.input.text");
  }
  return absl::OkStatus();
}

void Voice::OnLiveKit(const LiveKitEvent& event) {
  core_->actor.Run([core = core_, event] { core->OnLiveKit(event); });
}

int64_t Voice::active_sessions() const {
  return core_->sessions;
}

void Voice::StopListening() {
  core_->listening = false;
}

void Voice::Stop(absl::Duration limit) {
  StopListening();
  std::vector<std::unique_ptr<bus::OrderedConsumer>> consumers;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& consumer : consumers_) consumer->Stop();
  }
  Core& core = *core_;
  core.actor.Run([&core] {
    core.ForEachRoom([&core](const RoomPtr& room) {
      if (room->ear != nullptr) room->ear->End(core.clock.Now());
    });
  });
  core.actor.AwaitAfterWork([&core] { return !core.Busy(); }, limit);
  core.actor.AwaitAfterWork(
      [&core] {
        core.ForEachRoom([&core](const RoomPtr& room) {
          core.Apply(room, room->conversation.OnStop(core.clock.Now()));
          core.TrackOver(room, "agent_stopped");
        });
        return true;
      },
      absl::Seconds(1));
}

}  // namespace arc::voice
