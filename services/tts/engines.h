// The engine that the flags ask for.
#ifndef ARC_SERVICES_TTS_ENGINES_H_
#define ARC_SERVICES_TTS_ENGINES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "services/tts/engine.h"

namespace arc::tts {

// Of --engine and the flags of that engine, for `workers` sentences at the same time. InvalidArgument: a
// flag, by its name.
absl::StatusOr<std::unique_ptr<Engine>> EngineOfFlags();

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_ENGINES_H_
