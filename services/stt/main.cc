// arc-stt: claims utterances on agent.stt.request, hears their frames on agent.stt.audio.<request_id>, and
// publishes agent.stt.transcript and agent.stt.error; reads the bucket KIOSK_MENU for the words of the menu.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "common/agent/agent.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu_store.h"
#include "services/stt/pocketsphinx_engine.h"
#include "services/stt/stt.h"

ABSL_DECLARE_FLAG(absl::Duration, drain_timeout);
ABSL_FLAG(std::string, engine, "pocketsphinx", "pocketsphinx, on this machine");
ABSL_FLAG(int, workers, 0, "utterances at once; 0: one a core");
ABSL_FLAG(absl::Duration, max_utterance, absl::Seconds(30), "longest utterance; what comes later is not heard");
ABSL_FLAG(absl::Duration, sender_silence, absl::Seconds(5), "an utterance without a frame for so long has ended");
ABSL_FLAG(std::string, model_dir, arc::stt::PocketsphinxOptions().model_dir, "pocketsphinx: its models");
ABSL_FLAG(int, general_words, arc::stt::PocketsphinxOptions().general_words,
          "pocketsphinx: words of general English that are known beside the menu's");
ABSL_FLAG(double, general_weight, arc::stt::PocketsphinxOptions().general_weight,
          "pocketsphinx: share of general English in the language model, 0 to 1");

int main(int argc, char** argv) {
  namespace stt = arc::stt;
  arc::Agent agent({"stt", "arc-stt", "Streaming speech to text that knows the menu"}, argc, argv);
  stt::SttOptions options;
  options.worker_id = agent.instance_id();
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.workers = absl::GetFlag(FLAGS_workers) > 0 ? absl::GetFlag(FLAGS_workers) : cores;
  options.max_utterance = absl::GetFlag(FLAGS_max_utterance);
  options.sender_silence = absl::GetFlag(FLAGS_sender_silence);

  std::unique_ptr<stt::Engine> engine;
  if (absl::GetFlag(FLAGS_engine) == "pocketsphinx") {
    stt::PocketsphinxOptions pocketsphinx;
    pocketsphinx.model_dir = absl::GetFlag(FLAGS_model_dir);
    pocketsphinx.decoders = options.workers;
    pocketsphinx.general_words = absl::GetFlag(FLAGS_general_words);
    pocketsphinx.general_weight = absl::GetFlag(FLAGS_general_weight);
    engine = std::make_unique<stt::PocketsphinxEngine>(pocketsphinx);
  } else {
    std::cerr << "arc-stt: --engine: must be pocketsphinx\n";
    return 2;
  }
  arc::menu::MenuReader menu([&](const std::shared_ptr<const arc::menu::MenuState>& state) {
    engine->SetMenu(state->catalogue);
  });
  stt::Stt worker(options, agent.bus(), *engine, agent.metrics());
  engine->Start();

  agent.UseBucket(arc::subjects::kMenuBucket,
                  [&](arc::bus::KeyValue& bucket) { return menu.Watch(bucket); });
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
