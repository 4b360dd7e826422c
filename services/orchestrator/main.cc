// arc-orchestrator: reads kiosk.input.>, kiosk.vision.> and kiosk.voice.>, calls the command agents, writes
// kiosk.ui.update and kiosk.session.*; keeps every kiosk's session in the bucket KIOSK_SESSIONS, and follows
// KIOSK_MENU.
#include <cmath>
#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "common/agent/agent.h"
#include "common/messages/ui.h"
#include "common/subjects/subjects.h"
#include "services/orchestrator/event_guard.h"
#include "services/orchestrator/orchestrator.h"

ABSL_FLAG(double, tax_rate, 0, "tax on top of the menu's prices, as a fraction: 0.0825 is 8.25 %");
ABSL_FLAG(absl::Duration, idle_warning, absl::Seconds(45),
          "without a touch or a word until the screen warns");
ABSL_FLAG(absl::Duration, idle_timeout, absl::Seconds(60),
          "without a touch or a word until the session ends");
ABSL_FLAG(absl::Duration, person_left_grace, absl::Seconds(8), "until the session of somebody who left ends");
ABSL_FLAG(absl::Duration, paid_timeout, absl::Seconds(15), "how long the order number is shown");
ABSL_FLAG(
    std::string, text_input, "search",
    "what becomes of kiosk.input.text: search, or voice: a voice agent of the fleet turns it into intents");
ABSL_FLAG(std::string, weather, "", "hot, mild, cold or rainy, for suggestions; empty: unknown");
ABSL_FLAG(std::string, time_zone, "", "of the restaurant, such as Europe/Berlin; empty: the machine's");
ABSL_FLAG(int, max_kiosks, 2000, "most kiosks that are served at once");

int main(int argc, char** argv) {
  arc::Agent agent({"orchestrator", "arc-orchestrator", "Sessions, carts and screens of all kiosks"}, argc,
                   argv);
  arc::orchestrator::Options options;
  options.instance_id = agent.instance_id();
  options.default_kiosk_id = agent.kiosk_id();
  options.max_kiosks = absl::GetFlag(FLAGS_max_kiosks);
  options.session.tax_ppm = std::llround(absl::GetFlag(FLAGS_tax_rate) * 1e6);
  options.session.idle_warning = absl::GetFlag(FLAGS_idle_warning);
  options.session.idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  options.session.person_left_grace = absl::GetFlag(FLAGS_person_left_grace);
  options.session.paid_timeout = absl::GetFlag(FLAGS_paid_timeout);
  options.session.weather = absl::GetFlag(FLAGS_weather);
  options.session.time_zone = absl::LocalTimeZone();
  const std::string zone = absl::GetFlag(FLAGS_time_zone);
  if (!zone.empty() && !absl::LoadTimeZone(zone, &options.session.time_zone)) {
    std::cerr << "arc-orchestrator: --time_zone: no such zone: " << zone << "\n";
    return 2;
  }
  const std::string text_input = absl::GetFlag(FLAGS_text_input);
  if (text_input != "search" && text_input != "voice") {
    std::cerr << "arc-orchestrator: --text_input: must be search or voice\n";
    return 2;
  }
  options.session.text_is_search = text_input == "search";
  if (options.session.tax_ppm < 0 || options.session.tax_ppm > 1000000) {
    std::cerr << "arc-orchestrator: --tax_rate: must be a fraction of 0 to 1\n";
    return 2;
  }

  // In the order of Source.
  const arc::Agent::Handled handled[] = {agent.Endpoint("input", "kiosk.input.>"),
                                         agent.Endpoint("vision", "kiosk.vision.>"),
                                         agent.Endpoint("voice", "kiosk.voice.>")};
  options.on_event = [&handled](arc::orchestrator::Source source, absl::Duration took,
                                const absl::Status& status) {
    handled[static_cast<size_t>(source)](took, status);
  };
  arc::orchestrator::Orchestrator orchestrator(agent.bus(), options);
  agent.UseBucket(arc::subjects::kSessionsBucket,
                  [&](arc::bus::KeyValue& bucket) { return orchestrator.Start(bucket); });
  agent.UseBucket(arc::subjects::kMenuBucket,
                  [&](arc::bus::KeyValue& bucket) { return orchestrator.WatchMenu(bucket); });
  std::unique_ptr<arc::orchestrator::EventGuard> guard;
  agent.OnStart([&] {
    absl::StatusOr<std::unique_ptr<arc::orchestrator::EventGuard>> started =
        arc::orchestrator::EventGuard::Start(agent.bus());
    if (!started.ok()) return started.status();
    guard = *std::move(started);
    return absl::OkStatus();
  });
  agent.Command<arc::messages::SnapshotRequest, arc::messages::SnapshotResponse>(
      arc::subjects::kOrchestratorSnapshot, arc::bus::Execution::kPool,
      [&](const arc::messages::SnapshotRequest& request, const arc::bus::RequestContext& context) {
        return orchestrator.Snapshot(request, context);
      });
  agent.HealthCheck("lead", [&] { return orchestrator.Health(); });
  agent.SetActiveSessions([&] { return orchestrator.active_sessions(); });
  agent.OnDrain([&] {
    guard.reset();
    orchestrator.Stop();
  });
  return agent.Run();
}
