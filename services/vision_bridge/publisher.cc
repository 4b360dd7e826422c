#include "services/vision_bridge/publisher.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/subjects/subjects.h"
#include "common/trace/trace.h"
#include "services/vision_bridge/metric_names.h"

namespace arc::vision_bridge {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(500);
constexpr char kLostHelp[] = "Events that could not be stored.";

}  // namespace

std::string SubjectOf(const VisionEvent& event) {
  if (std::holds_alternative<messages::PersonDetected>(event.payload)) return subjects::kPersonDetected;
  if (std::holds_alternative<messages::PersonLeft>(event.payload)) return subjects::kPersonLeft;
  return subjects::kGazeDetected;
}

std::string PayloadOf(const VisionEvent& event) {
  return std::visit([](const auto& payload) { return json::Encode(payload); }, event.payload);
}

struct Publisher::Core : std::enable_shared_from_this<Publisher::Core> {
  struct Waiting {
    std::string subject;
    Envelope envelope;
    std::string payload;
    std::string event;
  };

  Core(bus::Bus& the_bus, std::string the_kiosk_id, bool is_scoped, Metrics* the_metrics)
      : bus(the_bus), kiosk_id(std::move(the_kiosk_id)), scoped(is_scoped), metrics(the_metrics) {}

  bus::Bus& bus;
  const std::string kiosk_id;
  const bool scoped;
  Metrics* const metrics;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  std::deque<Waiting> waiting;
  bool storing = false;  // the first of `waiting` is on its way
  bool closed = false;

  void Lost(const Waiting& event) const {
    if (metrics != nullptr)
      metrics->Increment(metric_names::kLostEvents, kLostHelp, {{"event", event.event}});
  }

  void Add(Waiting event) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (waiting.size() >= kMostWaiting) {
        // The first may be on its way.
        const auto oldest = waiting.begin() + (storing ? 1 : 0);
        Lost(*oldest);
        waiting.erase(oldest);
      }
      waiting.push_back(std::move(event));
    }
    StoreNext();
  }

  void StoreNext() {
    Waiting first;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (closed || storing || waiting.empty()) return;
      storing = true;
      first = waiting.front();
    }
    bus::PublishEvent(bus, first.subject, first.envelope, first.payload, kiosk_id,
                      [weak = weak_from_this()](const absl::Status& status) {
                        if (const auto self = weak.lock()) self->Stored(status);
                      });
  }

  void Stored(const absl::Status& status) {
    if (!status.ok() && !absl::IsInvalidArgument(status)) {
      Log(LogLevel::kWarning, "an event is not stored yet", {{"error", std::string(status.message())}});
      bus.clock().RunAfter(kRetry, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        {
          std::lock_guard<std::mutex> lock(self->mutex);
          self->storing = false;
        }
        self->StoreNext();
      });
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!status.ok()) {
        Lost(waiting.front());
        Log(LogLevel::kError, "an event cannot be stored", {{"error", std::string(status.message())}});
      }
      waiting.pop_front();
      storing = false;
      changed.notify_all();
    }
    StoreNext();
  }
};

Publisher::Publisher(bus::Bus& bus, std::string kiosk_id, bool scoped, Metrics* metrics)
    : core_(std::make_shared<Core>(bus, std::move(kiosk_id), scoped, metrics)) {}

Publisher::~Publisher() {
  std::lock_guard<std::mutex> lock(core_->mutex);
  core_->closed = true;
}

void Publisher::Publish(const VisionEvent& event) {
  Core::Waiting waiting;
  const std::string subject = SubjectOf(event);
  waiting.subject = core_->scoped ? subjects::Scope(subject, core_->kiosk_id) : subject;
  waiting.envelope = MakeEnvelope(event.at, "");
  if (event.look.has_value()) {
    trace::Record(absl::StrCat("engine ", event.look->engine), trace::SpanKind::kInternal,
                  trace::RootOf(waiting.envelope.trace_id), event.look->begin, event.look->end);
  }
  waiting.payload = PayloadOf(event);
  waiting.event = subject.substr(subject.rfind('.') + 1);
  core_->Add(std::move(waiting));
}

bool Publisher::Flush(absl::Duration limit) {
  std::unique_lock<std::mutex> lock(core_->mutex);
  Clock& clock = core_->bus.clock();
  return clock.WaitUntil(lock, core_->changed, clock.Now() + limit,
                         [this] { return core_->waiting.empty(); });
}

}  // namespace arc::vision_bridge
