// arc-brain: answers agent.brain.request with agent.brain.response or agent.brain.error; calls
// kiosk.agent.menu.*, recsys.suggest and orchestrator.snapshot as its tools.
#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "common/agent/agent.h"
#include "common/subjects/subjects.h"
#include "services/brain/brain.h"
#include "services/brain/openai_engine.h"
#include "services/brain/service.h"

ABSL_FLAG(std::string, engine, "rules",
          "rules, or openai: a server of /v1/chat/completions, with the rules behind it");
ABSL_FLAG(std::string, openai_url, "", "such as http://127.0.0.1:8000; /v1 is added where there is no path");
ABSL_FLAG(std::string, openai_model, "", "the model's name on that server");
ABSL_FLAG(std::string, openai_api_key_file, "",
          "file with the key that is sent as a bearer token; empty: none");
ABSL_FLAG(int, openai_retries, 2, "most repetitions of a request to the model within the deadline");
ABSL_FLAG(bool, offer, true, "offer something that goes with the first order");
ABSL_FLAG(int, max_in_flight, 64, "requests in work at once; more are refused");
ABSL_FLAG(bool, print_graph, false, "print the reasoning graph of the engine in DOT and end");

int main(int argc, char** argv) {
  arc::Agent agent({"brain", "arc-sherlock-brain", "Understands what a customer says, by rules or a model"},
                   argc, argv);
  std::unique_ptr<arc::brain::OpenAiEngine> model;
  const std::string engine = absl::GetFlag(FLAGS_engine);
  if (engine == "openai") {
    arc::brain::OpenAiOptions options;
    options.url = absl::GetFlag(FLAGS_openai_url);
    options.model = absl::GetFlag(FLAGS_openai_model);
    options.api_key_file = absl::GetFlag(FLAGS_openai_api_key_file);
    options.max_retries = absl::GetFlag(FLAGS_openai_retries);
    absl::StatusOr<std::unique_ptr<arc::brain::OpenAiEngine>> made =
        arc::brain::OpenAiEngine::Create(options);
    if (!made.ok()) {
      std::cerr << "arc-brain: " << made.status().message() << "\n";
      return 2;
    }
    model = *std::move(made);
  } else if (engine != "rules") {
    std::cerr << "arc-brain: --engine: must be rules or openai\n";
    return 2;
  }
  arc::brain::BrainOptions options;
  options.offer = absl::GetFlag(FLAGS_offer);
  arc::brain::Brain brain(agent.clock(), model.get(), options);
  if (absl::GetFlag(FLAGS_print_graph)) {
    std::cout << brain.GraphDot();
    return 0;
  }

  arc::brain::ServiceOptions service_options;
  service_options.agent_name = "arc-sherlock-brain";
  service_options.max_in_flight = absl::GetFlag(FLAGS_max_in_flight);
  service_options.on_handled = agent.Endpoint("request", arc::subjects::kBrainRequest);
  service_options.on_engine_failure = [&](const std::string& error) {
    agent.ReportError("engine_failed", error, "warning", "check_engine");
  };
  arc::brain::Service service(agent.bus(), agent.executor(), agent.metrics(), brain, service_options);
  if (model != nullptr) agent.OnStart([&] { return model->Probe(); });
  agent.OnStart([&] { return service.Start(); });
  agent.OnDrain([&] { service.Stop(absl::Seconds(2)); });
  agent.HealthCheck("engine", [&] { return model == nullptr ? absl::OkStatus() : model->Health(); });
  agent.SetActiveSessions([&] { return service.in_flight(); });
  agent.SetMetadata("engine",
                    model == nullptr ? "rules" : absl::StrCat("openai:", absl::GetFlag(FLAGS_openai_model)));
  return agent.Run();
}
