// What an operator does by hand, without a bus.
#ifndef ARC_SERVICES_TTS_HAND_H_
#define ARC_SERVICES_TTS_HAND_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "services/tts/engine.h"

namespace arc::tts {

// Writes a line a voice: id, language, gender; the default first.
absl::Status ListVoices(Engine& engine, std::ostream& out);

// Says `text` into the WAV file `path`, at the engine's own rate, and tells on `out` what was said, by which
// voice, and how long it took. InvalidArgument: there is nothing in the text that can be said.
absl::Status SayToFile(Engine& engine, const std::string& text, const std::string& voice_id,
                       const std::string& path, std::ostream& out);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_HAND_H_
