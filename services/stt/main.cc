// arc-stt: claims utterances on agent.stt.request, hears their frames on agent.stt.audio.<request_id>, and
// publishes agent.stt.transcript and agent.stt.error; reads the bucket KIOSK_MENU for the words of the menu.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "common/agent/agent.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu_store.h"
#include "services/stt/openai_engine.h"
#include "services/stt/pocketsphinx_engine.h"
#include "services/stt/stt.h"

ABSL_DECLARE_FLAG(absl::Duration, drain_timeout);
ABSL_FLAG(std::string, engine, "pocketsphinx", "pocketsphinx, on this machine, or openai, a server");
ABSL_FLAG(int, workers, 0, "utterances at once; 0: one a core");
ABSL_FLAG(absl::Duration, max_utterance, absl::Seconds(30),
          "longest utterance; what comes later is not heard");
ABSL_FLAG(absl::Duration, sender_silence, absl::Seconds(5),
          "an utterance without a frame for so long has ended");
ABSL_FLAG(std::string, model_dir, arc::stt::PocketsphinxOptions().model_dir, "pocketsphinx: its models");
ABSL_FLAG(int, general_words, arc::stt::PocketsphinxOptions().general_words,
          "pocketsphinx: words of general English that are known beside the menu's");
ABSL_FLAG(double, general_weight, arc::stt::PocketsphinxOptions().general_weight,
          "pocketsphinx: share of general English in the language model, 0 to 1");

ABSL_FLAG(std::string, openai_url, arc::stt::OpenaiOptions().url,
          "openai: the server; what stands before /v1");
ABSL_FLAG(std::string, openai_model, arc::stt::OpenaiOptions().model, "openai: the model's name");
ABSL_FLAG(std::string, openai_api_key_file, "", "openai: file with the API key; empty: none");
ABSL_FLAG(std::string, openai_response_format, arc::stt::OpenaiOptions().response_format,
          "openai: verbose_json, or json for servers that refuse it; then there is no confidence");
ABSL_FLAG(absl::Duration, openai_timeout, arc::stt::OpenaiOptions().timeout, "openai: of one attempt");
ABSL_FLAG(int, openai_retries, arc::stt::OpenaiOptions().retries, "openai: further attempts");

namespace {

absl::StatusOr<std::unique_ptr<arc::stt::Engine>> MakeEngine(int workers, arc::Clock& clock,
                                                             arc::Metrics& metrics) {
  const std::string name = absl::GetFlag(FLAGS_engine);
  if (name == "pocketsphinx") {
    const double weight = absl::GetFlag(FLAGS_general_weight);
    if (!(weight >= 0 && weight < 1)) return absl::InvalidArgumentError("--general_weight: must be 0 to 1");
    arc::stt::PocketsphinxOptions options;
    options.model_dir = absl::GetFlag(FLAGS_model_dir);
    options.decoders = workers;
    options.general_words = absl::GetFlag(FLAGS_general_words);
    options.general_weight = weight;
    auto engine = std::make_unique<arc::stt::PocketsphinxEngine>(options);
    engine->OnModel([&metrics](absl::Duration took) {
      metrics.Observe(arc::stt::metric_names::kModelBuildMs, "Time from a menu to its speech model, in ms.",
                      {}, absl::ToDoubleMilliseconds(took));
    });
    return engine;
  }
  if (name != "openai") return absl::InvalidArgumentError("--engine: must be pocketsphinx or openai");
  arc::stt::OpenaiOptions options;
  options.url = absl::GetFlag(FLAGS_openai_url);
  options.model = absl::GetFlag(FLAGS_openai_model);
  options.response_format = absl::GetFlag(FLAGS_openai_response_format);
  options.timeout = absl::GetFlag(FLAGS_openai_timeout);
  options.retries = absl::GetFlag(FLAGS_openai_retries);
  if (const std::string file = absl::GetFlag(FLAGS_openai_api_key_file); !file.empty()) {
    std::ifstream in(file);
    if (!in) return absl::InvalidArgumentError("--openai_api_key_file: cannot read " + file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    options.api_key = std::string(absl::StripAsciiWhitespace(text));
  }
  return arc::stt::OpenaiEngine::Create(options, clock);
}

}  // namespace

int main(int argc, char** argv) {
  namespace stt = arc::stt;
  arc::Agent agent({"stt", "arc-stt", "Streaming speech to text that knows the menu"}, argc, argv);
  stt::SttOptions options;
  options.worker_id = agent.instance_id();
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.workers = absl::GetFlag(FLAGS_workers) > 0 ? absl::GetFlag(FLAGS_workers) : cores;
  options.max_utterance = absl::GetFlag(FLAGS_max_utterance);
  options.sender_silence = absl::GetFlag(FLAGS_sender_silence);

  if (options.workers > 256 || options.max_utterance < absl::Seconds(1) ||
      options.max_utterance > absl::Minutes(5) || options.sender_silence <= absl::ZeroDuration() ||
      options.sender_silence > absl::Minutes(1)) {
    std::cerr << "arc-stt: --workers is 0 to 256, --max_utterance 1s to 5m, --sender_silence up to 1m\n";
    return 2;
  }
  const auto made = MakeEngine(options.workers, agent.clock(), agent.metrics());
  if (!made.ok()) {
    std::cerr << "arc-stt: " << made.status().message() << "\n";
    return 2;
  }
  stt::Engine* const engine = made->get();
  arc::menu::MenuReader menu(
      [&](const std::shared_ptr<const arc::menu::MenuState>& state) { engine->SetMenu(state->catalogue); });
  options.on_handled = agent.Endpoint("request", arc::subjects::kSttRequest);
  stt::Stt worker(options, agent.bus(), *engine, agent.metrics(), [&](const absl::Status& status) {
    agent.ReportError("engine_failed", status.message(), "error",
                      "see /healthz; utterances are tried again elsewhere");
  });
  engine->Start();

  agent.UseBucket(arc::subjects::kMenuBucket, [&](arc::bus::KeyValue& bucket) { return menu.Watch(bucket); });
  agent.OnStart([&]() -> absl::Status {
    if (!menu.current()) return absl::UnavailableError("the menu is not read yet");
    if (menu.state() == nullptr) engine->SetMenu(nullptr);
    return absl::OkStatus();
  });
  agent.OnStart([&] { return engine->Health(); });  // claims nothing before it can recognise
  agent.OnStart([&] { return worker.Start(); });
  agent.OnDrainBegin([&] { worker.StopTaking(); });
  agent.OnDrain([&] { worker.Drain(absl::GetFlag(FLAGS_drain_timeout)); });
  agent.HealthCheck("engine", [&] { return engine->Health(); });
  agent.SetActiveSessions([&] { return worker.active(); });
  agent.SetMetadata("engine", engine->name());
  agent.SetMetadata("workers", std::to_string(options.workers));
  return agent.Run();
}
