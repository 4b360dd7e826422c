#include "common/agent/agent.h"
#include "services/tts/flite_engine.h"
#include "services/tts/tts_service.h"
int main(int argc, char** argv) {
  arc::Agent agent({"tts", arc::tts::kAgentName, "Text to speech"}, argc, argv);
  auto engine = arc::tts::MakeFliteEngine(4);
  arc::tts::TtsService service(agent.bus(), *engine, {}, &agent.metrics());
  agent.OnStart([&] { return engine->Start(); });
  agent.OnStart([&] { return service.Start(); });
  agent.HealthCheck("engine", [&] { return service.FollowHealth(); });
  agent.OnDrain([&] { service.Drain(absl::Seconds(10)); });
  return agent.Run();
}
