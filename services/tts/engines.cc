#include "services/tts/engines.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "services/tts/flite_engine.h"
#include "services/tts/http_engines.h"
#include "services/tts/program_engines.h"

ABSL_FLAG(std::string, engine, "flite", "What speaks: flite, espeak-ng, piper or openai.");
ABSL_FLAG(absl::Duration, engine_timeout, absl::Seconds(10), "How long an engine may make no sound.");
ABSL_FLAG(std::string, espeak_program, "espeak-ng", "The program of --engine=espeak-ng.");
ABSL_FLAG(std::string, piper_program, "piper", "The program of --engine=piper.");
ABSL_FLAG(std::string, piper_voices_dir, ".", "Folder of Piper's models: VOICE.onnx and VOICE.onnx.json.");
ABSL_FLAG(std::string, piper_voice, "",
          "Piper's default voice; empty: en_US-lessac-medium where it is there, else the first.");
ABSL_FLAG(std::string, piper_url, "", "A Piper HTTP server, instead of the program.");
ABSL_FLAG(std::string, openai_url, "http://127.0.0.1:8880", "A server with /v1/audio/speech.");
ABSL_FLAG(std::string, openai_model, "tts-1", "The model of --engine=openai.");
ABSL_FLAG(std::string, openai_key_file, "", "File with the key of --openai_url; empty: none.");
ABSL_FLAG(std::vector<std::string>, openai_voices,
          std::vector<std::string>({"alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx",
                                    "sage", "shimmer", "verse"}),
          "The voices of --openai_url, the default first, separated by commas.");
ABSL_FLAG(int, engine_retries, 2, "How often a server is asked again for a sentence.");

namespace arc::tts {
namespace {

absl::StatusOr<std::string> ReadKey(const std::string& file) {
  if (file.empty()) return std::string();
  std::ifstream in(file);
  if (!in) return absl::InvalidArgumentError(absl::StrCat("--openai_key_file: cannot read ", file));
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> EngineOfFlags() {
  const std::string name = absl::GetFlag(FLAGS_engine);
  const absl::Duration timeout = absl::GetFlag(FLAGS_engine_timeout);
  if (timeout < absl::Milliseconds(100) || timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError("--engine_timeout: must be from 100ms to 1h");
  }
  const int retries = absl::GetFlag(FLAGS_engine_retries);
  if (retries < 0 || retries > 10) return absl::InvalidArgumentError("--engine_retries: must be 0 to 10");
  if (name == "flite") return MakeFliteEngine();
  if (name == "espeak-ng") {
    EspeakOptions options;
    options.program = absl::GetFlag(FLAGS_espeak_program);
    options.timeout = timeout;
    return MakeEspeakEngine(options);
  }
  if (name == "piper" && !absl::GetFlag(FLAGS_piper_url).empty()) {
    PiperServerOptions options;
    options.server.url = absl::GetFlag(FLAGS_piper_url);
    options.server.timeout = timeout;
    options.server.retries = retries;
    options.voice = absl::GetFlag(FLAGS_piper_voice);
    absl::StatusOr<std::unique_ptr<Engine>> engine = MakePiperServerEngine(options);
    if (!engine.ok()) return Annotate(engine.status(), "--piper_url");
    return engine;
  }
  if (name == "piper") {
    PiperOptions options;
    options.program = absl::GetFlag(FLAGS_piper_program);
    options.voices_dir = absl::GetFlag(FLAGS_piper_voices_dir);
    options.voice = absl::GetFlag(FLAGS_piper_voice);
    options.timeout = timeout;
    return MakePiperEngine(options);
  }
  if (name == "openai") {
    OpenAiOptions options;
    options.server.url = absl::GetFlag(FLAGS_openai_url);
    options.server.timeout = timeout;
    options.server.retries = retries;
    options.model = absl::GetFlag(FLAGS_openai_model);
    ASSIGN_OR_RETURN(options.api_key, ReadKey(absl::GetFlag(FLAGS_openai_key_file)));
    options.voices = absl::GetFlag(FLAGS_openai_voices);
    absl::StatusOr<std::unique_ptr<Engine>> engine = MakeOpenAiEngine(options);
    if (!engine.ok()) return Annotate(engine.status(), "--openai_url, --openai_voices");
    return engine;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--engine: '", name, "' is none of flite, espeak-ng, piper, openai"));
}

}  // namespace arc::tts
