// How long the running arc-brain takes: sentences one after the other over the bus, each as the first of a
// conversation, on a server where the fleet runs (scripts/fleet up).
//
//   brain_latency --nats_url=nats://127.0.0.1:4222 [--sentences FILE] [--rounds 5]
//
// Prints the round trip of agent.brain.request, and what of it the agent's tools took.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/json/json.h"
#include "common/messages/brain.h"
#include "common/subjects/subjects.h"

ABSL_FLAG(std::string, nats_url, "nats://127.0.0.1:4222", "server");
ABSL_FLAG(std::string, sentences, "tests/bench/brain/held_out.jsonl", "sentences");
ABSL_FLAG(int, rounds, 5, "how often each is said");

namespace {

struct Said {
  std::string said;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("said", s.said);
  }
};

void Print(const char* name, std::vector<double> values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) {
    return values[static_cast<size_t>(p * static_cast<double>(values.size() - 1))];
  };
  std::printf("%-28s p50 %6.2f ms  p95 %6.2f ms  p99 %6.2f ms  (%zu)\n", name, at(0.5), at(0.95), at(0.99),
              values.size());
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  arc::bus::NatsOptions options;
  options.url = absl::GetFlag(FLAGS_nats_url);
  options.name = "brain_latency";
  auto bus = arc::bus::NatsBus::Connect(arc::SystemClock::Get(), options);
  if (!bus.ok() || !(*bus)->AwaitConnected(absl::Seconds(5))) {
    std::fprintf(stderr, "brain_latency: cannot connect to %s\n", options.url.c_str());
    return 1;
  }
  std::vector<std::string> sentences;
  std::ifstream file(absl::GetFlag(FLAGS_sentences));
  for (std::string line; std::getline(file, line);) {
    const absl::StatusOr<Said> said = arc::json::Decode<Said>(line);
    if (said.ok()) sentences.push_back(said->said);
  }
  std::vector<double> trips;
  std::vector<double> inside;
  std::map<std::string, std::vector<double>> tools;
  const std::string run = absl::StrCat(absl::ToUnixNanos(absl::Now()));
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    for (size_t i = 0; i < sentences.size(); ++i) {
      arc::messages::BrainRequest request;
      request.request_id = absl::StrCat(run, "-", round, "-", i);
      request.user_input = sentences[i];
      arc::bus::Message message;
      message.subject = arc::subjects::kBrainRequest;
      message.body = arc::json::Encode(request);
      const absl::Time begin = absl::Now();
      const auto reply = arc::bus::CoreRequestAndWait(**bus, message, absl::Seconds(10));
      const double took = absl::ToDoubleMilliseconds(absl::Now() - begin);
      if (!reply.ok()) {
        std::fprintf(stderr, "brain_latency: %s\n", reply.status().ToString().c_str());
        return 1;
      }
      const auto response = arc::json::Decode<arc::messages::BrainResponse>(reply->body);
      if (!response.ok()) continue;
      trips.push_back(took);
      inside.push_back(static_cast<double>(response->performance.total_processing_ms));
      for (const arc::messages::ToolSpan& span : response->performance.tools) {
        tools[span.tool].push_back(static_cast<double>(span.latency_ms));
      }
    }
  }
  Print("round trip", trips);
  Print("total_processing_ms", inside);
  for (const auto& [tool, times] : tools) Print(tool.c_str(), times);
  return 0;
}
