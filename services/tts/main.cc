// arc-tts: says what agent.tts.request asks for on agent.tts.audio.<room>, until agent.tts.cancel; tells how
// it ended on agent.tts.completed and agent.tts.error. With --say or --list_voices it needs no bus.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "common/agent/agent.h"
#include "common/agent/flags.h"
#include "common/subjects/subjects.h"
#include "services/tts/engines.h"
#include "services/tts/hand.h"
#include "services/tts/tts_service.h"

ABSL_FLAG(int, workers, 4, "Sentences that are synthesised at the same time.");
ABSL_FLAG(int, max_active, 64, "Requests in work; more are refused as overloaded.");
ABSL_FLAG(absl::Duration, lead, absl::Seconds(2), "Audio that is sent ahead of its playing.");
ABSL_FLAG(int, cache_mb, 16, "Memory for sentences that were said before; 0: none.");
ABSL_FLAG(std::string, say, "", "Say this into the file --out, and end.");
ABSL_FLAG(std::string, out, "say.wav", "The WAV file of --say.");
ABSL_FLAG(std::string, voice, "", "The voice of --say; empty: the engine's default.");
ABSL_FLAG(bool, list_voices, false, "List the engine's voices, and end.");
ABSL_DECLARE_FLAG(absl::Duration, drain_timeout);
ABSL_DECLARE_FLAG(bool, help);

namespace {

int Refuse(absl::string_view reason) {
  std::cerr << reason << "\nSee --help.\n";
  return 2;
}

int Answer(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << "arc-tts: " << status.message() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  // Wrong flags are left to Agent, which knows how to refuse them.
  const bool parsed = arc::ParseFlags(std::vector<std::string>(argv + std::min(argc, 1), argv + argc)).ok();
  arc::tts::Tts::Options options;
  options.workers = absl::GetFlag(FLAGS_workers);
  options.max_active = absl::GetFlag(FLAGS_max_active);
  options.lead = absl::GetFlag(FLAGS_lead);
  const int cache_mb = absl::GetFlag(FLAGS_cache_mb);
  std::unique_ptr<arc::tts::Engine> engine;
  if (parsed && !absl::GetFlag(FLAGS_help)) {
    if (options.workers < 1 || options.workers > 64) return Refuse("--workers: must be 1 to 64");
    if (options.max_active < 1 || options.max_active > 10000)
      return Refuse("--max_active: must be 1 to 10000");
    if (options.lead < absl::Milliseconds(200) || options.lead > absl::Hours(1)) {
      return Refuse("--lead: must be from 200ms to 1h");
    }
    if (cache_mb < 0 || cache_mb > 4096) return Refuse("--cache_mb: must be 0 to 4096");
    auto made = arc::tts::EngineOfFlags();
    if (!made.ok()) return Refuse(made.status().message());
    engine = *std::move(made);
    if (absl::GetFlag(FLAGS_list_voices)) return Answer(arc::tts::ListVoices(*engine, std::cout));
    if (const std::string text = absl::GetFlag(FLAGS_say); !text.empty()) {
      return Answer(arc::tts::SayToFile(*engine, text, absl::GetFlag(FLAGS_voice), absl::GetFlag(FLAGS_out),
                                        std::cout));
    }
  }
  options.cache_bytes = static_cast<size_t>(cache_mb) << 20U;

  arc::Agent agent({"tts", arc::tts::kAgentName, "Text to speech, streamed as it is made"}, argc, argv);
  options.on_handled = agent.Endpoint("request", arc::subjects::kTtsRequest);
  arc::tts::TtsService service(agent.bus(), *engine, options, &agent.metrics());
  absl::Status health;  // as of the last check
  absl::Time drain_by = absl::InfiniteFuture();
  agent.OnStart([&] { return engine->Start(); });
  agent.OnStart([&] { return service.Start(); });
  agent.HealthCheck("engine", [&] {
    const absl::Status now = service.FollowHealth();
    if (health.ok() && !now.ok()) {
      agent.ReportError("engine_failed", now.message(), "critical", "none: it is taken back when it answers");
    }
    return health = now;
  });
  agent.OnDrainBegin([&] { drain_by = agent.clock().Now() + absl::GetFlag(FLAGS_drain_timeout); });
  agent.OnDrain([&] { service.Drain(drain_by - agent.clock().Now()); });
  agent.SetActiveSessions([&] { return service.active(); });
  agent.SetMetadata("engine", engine->name());
  return agent.Run();
}
