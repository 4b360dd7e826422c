// Engines that are programs of their own: espeak-ng (GPL-3, and so not linked) and piper.
#ifndef ARC_SERVICES_TTS_PROGRAM_ENGINES_H_
#define ARC_SERVICES_TTS_PROGRAM_ENGINES_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "services/tts/engine.h"

namespace arc::tts {

struct EspeakOptions {
  std::string program = "espeak-ng";
  absl::Duration timeout = absl::Seconds(10);  // without any sound
};

// A process a sentence, which takes 10 ms to begin. Voices: en-us (the default), en-gb, en-gb-scotland,
// en-029, and each of them with +f3, a woman's.
std::unique_ptr<Engine> MakeEspeakEngine(const EspeakOptions& options);

struct PiperOptions {
  std::string program = "piper";
  std::string voices_dir = ".";  // VOICE.onnx and VOICE.onnx.json
  std::string voice;             // the default; empty: en_US-lessac-medium if it is there, else the first
  absl::Duration timeout = absl::Seconds(20);
};

// A process a sentence: `PROGRAM --model VOICE.onnx --output-raw`, text on stdin. Loading a model takes
// longer than speaking, so for each of the voices used last a process waits with its model loaded.
std::unique_ptr<Engine> MakePiperEngine(const PiperOptions& options);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_PROGRAM_ENGINES_H_
