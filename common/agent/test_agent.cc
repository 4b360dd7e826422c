// The smallest agent, for the runtime's tests: it stands in for menu, and its HTTP port has switches.
#include <condition_variable>
#include <mutex>
#include <string>

#include "common/agent/agent.h"
#include "common/json/json.h"
#include "common/subjects/subjects.h"

namespace {

struct Request {
  std::string query;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("query", s.query);
  }
};

struct Response {
  std::string query;
  std::string instance_id;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "success");
    v.Required("query", s.query);
    v.Required("instance_id", s.instance_id);
  }
};

struct Switches {
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  bool broken = false;
};

}  // namespace

int main(int argc, char** argv) {
  arc::Agent agent({"menu", "arc-test-agent", "Answers what it is asked"}, argc, argv);
  Switches switches;
  const auto answer = [&](const Request& request) { return Response{request.query, agent.instance_id()}; };
  agent.UseBucket(arc::subjects::kMenuBucket,
                  [](arc::bus::KeyValue& bucket) { return bucket.Keys().status(); });
  agent.Command<Request, Response>(
      arc::subjects::kMenuSearch, arc::bus::Execution::kInline,
      [&](const Request& request, const arc::bus::RequestContext&) -> absl::StatusOr<Response> {
        return answer(request);
      });
  // Ends when the test says so.
  agent.Command<Request, Response>(
      arc::subjects::kMenuDetails, arc::bus::Execution::kPool,
      [&](const Request& request, const arc::bus::RequestContext&) -> absl::StatusOr<Response> {
        std::unique_lock<std::mutex> lock(switches.mutex);
        switches.changed.wait(lock, [&] { return switches.released; });
        return answer(request);
      });
  agent.HealthCheck("switch", [&] {
    std::lock_guard<std::mutex> lock(switches.mutex);
    return switches.broken ? absl::UnavailableError("switched off") : absl::OkStatus();
  });
  const auto set = [&](bool Switches::*which, bool to) {
    return [&switches, which, to](const arc::HttpRequest&) {
      std::lock_guard<std::mutex> lock(switches.mutex);
      switches.*which = to;
      switches.changed.notify_all();
      return arc::HttpResponse{};
    };
  };
  agent.http().Handle("POST", "/release", set(&Switches::released, true));
  agent.http().Handle("POST", "/break", set(&Switches::broken, true));
  agent.http().Handle("POST", "/mend", set(&Switches::broken, false));
  // An event that took three milliseconds, and one that failed.
  const arc::Agent::Handled events = agent.Endpoint("events", "kiosk.input.>");
  agent.http().Handle("POST", "/event", [&](const arc::HttpRequest&) {
    events(absl::Milliseconds(3), absl::OkStatus());
    return arc::HttpResponse{};
  });
  agent.http().Handle("POST", "/bad_event", [&](const arc::HttpRequest&) {
    events(absl::Milliseconds(1), absl::UnavailableError("no room"));
    return arc::HttpResponse{};
  });
  agent.http().Handle("POST", "/error", [&](const arc::HttpRequest&) {
    agent.ReportError("out_of_paper", "The printer has no paper", "warning", "refill_paper");
    return arc::HttpResponse{};
  });
  agent.SetActiveSessions([] { return 3; });
  agent.SetMetadata("engine", "echo");
  return agent.Run();
}
