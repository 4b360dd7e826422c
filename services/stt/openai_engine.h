// Speech to text by a server with the API /v1/audio/transcriptions (design, section 4): whisper.cpp,
// faster-whisper and others. The sound is sent when the utterance has ended; there are no partial texts.
#ifndef ARC_SERVICES_STT_OPENAI_ENGINE_H_
#define ARC_SERVICES_STT_OPENAI_ENGINE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "services/stt/engine.h"

namespace arc::stt {

struct OpenaiOptions {
  std::string url = "http://127.0.0.1:8080";  // http or https, what stands before /v1
  std::string model = "whisper-1";
  std::string api_key;  // empty: none is sent
  // verbose_json has what confidence is made from; for servers that refuse it: json.
  std::string response_format = "verbose_json";
  absl::Duration timeout = absl::Seconds(10);  // of one attempt, from its connection to its last byte
  int retries = 2;                             // after what may pass: no connection, no answer, 408, 429, 5xx
  absl::Duration backoff = absl::Milliseconds(200);   // before the first; doubled before each further one
  absl::Duration probe_interval = absl::Seconds(15);  // between two looks whether the server is there
  absl::Duration probe_when_down = absl::Milliseconds(500);
};

class OpenaiEngine : public Engine {
 public:
  // InvalidArgument for an address that is none, or a time or number out of range.
  static absl::StatusOr<std::unique_ptr<OpenaiEngine>> Create(OpenaiOptions options, Clock& clock);
  // No utterance may be under way.
  ~OpenaiEngine() override;

  absl::string_view name() const override { return "openai"; }
  // Begins to ask the server, now and then, whether it is there.
  void Start() override;
  // OK while the server answers; any answer but 401, 403 and 5xx counts.
  absl::Status Health() const override;
  // The names of the items become the `prompt`, as far as they fit.
  void SetMenu(std::shared_ptr<const menu::Catalogue> catalogue) override;
  // Which languages the server knows cannot be asked.
  bool Understands(absl::string_view language) const override;
  absl::StatusOr<std::unique_ptr<Recognition>> Begin(absl::string_view language) override;

 private:
  class Utterance;

  OpenaiEngine(OpenaiOptions options, Clock& clock, std::string host, std::string prefix);
  struct Answer {
    int status = 0;
    std::string body;
  };
  absl::StatusOr<Answer> Send(const std::string& method, const std::string& path, const std::string& body,
                              const std::string& content_type, absl::Duration timeout) const;
  absl::Status Probe() const;
  void Watch();
  void SetHealth(const absl::Status& status);
  absl::StatusOr<Hypothesis> Transcribe(absl::Span<const int16_t> samples, const std::string& language,
                                        int& retries);

  const OpenaiOptions options_;
  Clock& clock_;
  const std::string host_;    // scheme://host:port
  const std::string prefix_;  // of paths

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool probe_now_ = false;
  absl::Status health_ = absl::UnavailableError("the server has not been asked yet");
  std::string prompt_;
  std::thread watcher_;
};

// What a transcription server wrote, as words: lower case, without punctuation, numbers spelled out;
// apostrophes within words stay. "No, I'd like 2!" is "no i'd like two".
std::string SpokenText(absl::string_view text);

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_OPENAI_ENGINE_H_
