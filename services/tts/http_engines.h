// Engines that are servers: any that has OpenAI's /v1/audio/speech, and Piper's own HTTP server.
#ifndef ARC_SERVICES_TTS_HTTP_ENGINES_H_
#define ARC_SERVICES_TTS_HTTP_ENGINES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/tts/engine.h"

namespace arc::tts {

struct ServerOptions {
  std::string url;  // http://HOST:PORT or https://HOST, with or without a path
  absl::Duration connect_timeout = absl::Seconds(2);
  absl::Duration timeout = absl::Seconds(10);            // without any answer or further sound
  int retries = 2;                                       // of a sentence that made no sound yet
  absl::Duration retry_delay = absl::Milliseconds(200);  // doubled each time
  absl::Duration probe_interval = absl::Seconds(2);      // while the server is away
};

struct OpenAiOptions {
  ServerOptions server{"http://127.0.0.1:8880"};  // /v1/audio/speech is added unless the URL ends so
  std::string model = "tts-1";
  std::string api_key;  // empty: none is sent
  std::vector<std::string> voices = {"alloy", "ash",  "ballad", "coral",   "echo", "fable",
                                     "nova",  "onyx", "sage",   "shimmer", "verse"};  // the default first
};

// `response_format: pcm`, which is 24 kHz, streamed. InvalidArgument: the URL.
absl::StatusOr<std::unique_ptr<Engine>> MakeOpenAiEngine(const OpenAiOptions& options);

struct PiperServerOptions {
  ServerOptions server{"http://127.0.0.1:5000"};  // /synthesize is tried, then /, unless the URL has a path
  std::string voice;                              // the default; empty: the server's first
};

// piper.http_server: JSON in, a WAV out. InvalidArgument: the URL.
absl::StatusOr<std::unique_ptr<Engine>> MakePiperServerEngine(const PiperServerOptions& options);

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_HTTP_ENGINES_H_
