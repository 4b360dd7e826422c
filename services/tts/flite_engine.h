// The embedded engine: flite with the voices that Debian packages.
#ifndef ARC_SERVICES_TTS_FLITE_ENGINE_H_
#define ARC_SERVICES_TTS_FLITE_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "services/tts/engine.h"

namespace arc::tts {

// Voices: cmu_us_slt (the default, a woman), cmu_us_rms, cmu_us_awb (Scottish) and cmu_us_kal16, all at 16
// kHz. It needs nothing but its libraries, so Start() is always OK.
std::unique_ptr<Engine> MakeFliteEngine();

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_FLITE_ENGINE_H_
