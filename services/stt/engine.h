// What turns sound into words, behind one interface (design, section 4).
#ifndef ARC_SERVICES_STT_ENGINE_H_
#define ARC_SERVICES_STT_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/menu/catalogue.h"

namespace arc::stt {

inline constexpr int kEngineRate = 16000;  // Hz, of the sound that an engine takes

struct Hypothesis {
  std::string text;  // lower case words with one space between; empty when nothing was understood
  // 0 to 1: how likely the words are right; 0 for an empty text. None: the engine cannot say.
  std::optional<double> confidence = 0;
};

// One utterance. Used by one thread at a time; may block. Outlived by its engine.
class Recognition {
 public:
  virtual ~Recognition() = default;

  // Takes more sound: one channel at kEngineRate. An error ends the utterance.
  virtual absl::Status Push(absl::Span<const int16_t> samples) = 0;

  // The words so far, which may still change; empty when there are none, or the engine cannot say.
  virtual std::string Partial() = 0;

  // The words of the whole utterance. Nothing may be called afterwards. FailedPrecondition: it is of no use
  // to try this sound again, here or elsewhere; DeadlineExceeded: it took too long; others: the engine
  // failed.
  virtual absl::StatusOr<Hypothesis> Finish() = 0;

  // How often the engine tried again to do its work.
  virtual int retries() const { return 0; }
};

// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual absl::string_view name() const = 0;

  // Begins to load what it needs. Returns at once; Health() says when it is ready.
  virtual void Start() = 0;

  // OK when utterances can be recognised; otherwise why not.
  virtual absl::Status Health() const = 0;

  // Makes the words of a menu known, in the background: utterances that begin later may use them, those
  // under way are not disturbed. Null when there is no menu.
  virtual void SetMenu(std::shared_ptr<const menu::Catalogue> catalogue) = 0;

  // Whether it understands a language, such as "en-US" (BCP 47).
  virtual bool Understands(absl::string_view language) const = 0;

  // Begins an utterance in `language`. Does not block. ResourceExhausted: as many as it can do are under
  // way; Unavailable: it is not ready.
  virtual absl::StatusOr<std::unique_ptr<Recognition>> Begin(absl::string_view language) = 0;
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_ENGINE_H_
