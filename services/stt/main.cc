// arc-stt: reads agent.stt.request and agent.stt.audio.<request_id>, writes agent.stt.transcript and
// agent.stt.error; watches the bucket KIOSK_MENU, whose dishes it learns to recognise.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "common/agent/agent.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu_store.h"
#include "services/stt/pocketsphinx_engine.h"
#include "services/stt/stt.h"

ABSL_DECLARE_FLAG(absl::Duration, drain_timeout);

ABSL_FLAG(std::string, model_dir, arc::stt::PocketsphinxOptions().model_dir,
          "folder of the acoustic model, the dictionary and the general language model");
ABSL_FLAG(int, workers, 0, "utterances that are recognised at once; 0: one a processor");
ABSL_FLAG(absl::Duration, max_utterance, absl::Seconds(30),
          "longest utterance; what comes behind is not heard");
ABSL_FLAG(absl::Duration, sender_timeout, absl::Seconds(5), "without a frame until an utterance ends");

int main(int argc, char** argv) {
  namespace stt = arc::stt;
  arc::Agent agent({"stt", stt::kAgentName, "Speech to text, an utterance a worker"}, argc, argv);
  stt::PocketsphinxOptions engine_options;
  engine_options.model_dir = absl::GetFlag(FLAGS_model_dir);
  const int workers = absl::GetFlag(FLAGS_workers);
  if (workers < 0 || workers > 64) {
    std::cerr << "arc-stt: --workers: must be 0 to 64\n";
    return 2;
  }
  engine_options.decoders =
      workers > 0 ? workers : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  stt::SttOptions options;
  options.worker_id = agent.instance_id();
  options.max_utterance = absl::GetFlag(FLAGS_max_utterance);
  options.sender_timeout = absl::GetFlag(FLAGS_sender_timeout);

  stt::PocketsphinxEngine engine(engine_options);
  stt::Stt service(agent.bus(), engine, options, &agent.metrics());
  std::shared_ptr<const arc::menu::Catalogue> known;
  arc::menu::MenuReader menu([&](const std::shared_ptr<const arc::menu::MenuState>& state) {
    if (state == nullptr || state->catalogue == known) return;
    known = state->catalogue;
    engine.SetMenu(known);
  });
  absl::Status health;  // as of the last check
  absl::Time drain_by = absl::InfiniteFuture();
  agent.UseBucket(arc::subjects::kMenuBucket, [&](arc::bus::KeyValue& bucket) { return menu.Watch(bucket); });
  agent.OnStart([&] {
    engine.Start();
    return absl::OkStatus();
  });
  agent.OnStart([&] { return engine.Health(); });  // answers nothing before its model is loaded
  agent.OnStart([&] { return service.Start(); });
  agent.HealthCheck("engine", [&] {
    const absl::Status now = service.FollowHealth();
    if (health.ok() && !now.ok()) {
      agent.ReportError("engine_failed", now.message(), "critical", "check_model");
    }
    return health = now;
  });
  agent.OnDrainBegin([&] { drain_by = agent.clock().Now() + absl::GetFlag(FLAGS_drain_timeout); });
  agent.OnDrain([&] {
    service.Drain(std::max(drain_by - agent.clock().Now(), absl::ZeroDuration()));
    menu.Stop();
  });
  agent.SetActiveSessions([&] { return service.active(); });
  agent.SetMetadata("engine", engine.name());
  return agent.Run();
}
