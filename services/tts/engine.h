// What turns a sentence into sound: one interface, several engines behind it (design, section 4). The choice
// of a voice that an engine has not, and the table of engines by name.
#ifndef ARC_SERVICES_TTS_ENGINE_H_
#define ARC_SERVICES_TTS_ENGINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/tts/speakable.h"

namespace arc::tts {

enum class Gender { kUnknown, kFemale, kMale };

struct Voice {
  std::string id;        // what a request's voice_id names, and agent.tts.completed says
  std::string language;  // "en-US"; empty: unknown
  Gender gender = Gender::kUnknown;
};

// A request to stop, and who has to be told of it. Thread-safe.
class Stop {
 public:
  // Runs `callback` when the stop is requested, at once if it was already. Once this is destroyed the
  // callback does not run and will not run.
  class Watch {
   public:
    Watch(Stop& stop, std::function<void()> callback);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Stop& stop_;
    std::list<std::function<void()>>::iterator place_;
  };

  // Only the first request does anything.
  void Request();
  // Takes no lock: callbacks may wait for who asks this.
  bool requested() const { return requested_; }

 private:
  std::mutex mutex_;  // held while callbacks run
  std::atomic<bool> requested_{false};
  std::list<std::function<void()>> callbacks_;
};

// Takes sound as it is made: mono, 16 bit, at `rate` Hz, the same for all of a sentence. False: no more is
// wanted.
using Sink = std::function<bool(absl::Span<const int16_t> samples, int rate)>;

// Thread-safe after Start().
class Engine {
 public:
  virtual ~Engine() = default;

  virtual absl::string_view name() const = 0;
  virtual Dialect dialect() const = 0;

  // Makes it ready; may be called again until it is OK, then once more without harm. May block for seconds.
  // The message of a failure is for an operator: what is missing, and where it was looked for.
  virtual absl::Status Start() = 0;

  // Whether it can speak now. Quick.
  virtual absl::Status Health() const = 0;

  // What it has, the default first; not empty once Start() was OK.
  virtual std::vector<Voice> voices() const = 0;

  // Says `sentence`, which is text of speakable.h, with one of voices(). Calls `sink` on this thread, with
  // the first sound as early as the engine can. Cancelled: `stop` was requested or `sink` wanted no more.
  // Unavailable, DeadlineExceeded, Internal: the engine failed; what was given to `sink` was whole up to
  // there.
  virtual absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                                  const Sink& sink) = 0;
};

// The voice for a request's voice_id.
struct VoiceChoice {
  Voice voice;
  bool exact = true;  // false: it stands in for one that the engine has not
};

// An empty `wanted` is the first voice, an id of `voices` that voice; otherwise the nearest: by name (`slt`
// is cmu_us_slt), else by language and gender, as far as `wanted` tells them ("en_US-lessac-medium",
// "female", "onyx"), else the first. `voices` must not be empty.
VoiceChoice ChooseVoice(absl::string_view wanted, const std::vector<Voice>& voices);

// As far as a voice's name tells it: "en_US-lessac-medium" is a woman's.
Gender GenderOf(absl::string_view name);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_ENGINE_H_
