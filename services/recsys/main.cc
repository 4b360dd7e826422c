// arc-recsys: answers kiosk.agent.recsys.suggest; reads the buckets KIOSK_MENU and KIOSK_RECSYS, and writes
// the latter from kiosk.session.order_completed.
#include "common/agent/agent.h"
#include "common/messages/recsys.h"
#include "common/subjects/subjects.h"
#include "services/recsys/recsys.h"

int main(int argc, char** argv) {
  namespace messages = arc::messages;
  namespace subjects = arc::subjects;

  arc::Agent agent({"recsys", "arc-recsys", "Suggestions for a cart and its circumstances"}, argc, argv);
  arc::recsys::Recsys recsys;
  agent.UseBucket(subjects::kMenuBucket,
                  [&](arc::bus::KeyValue& bucket) { return recsys.WatchMenu(bucket); });
  agent.UseBucket(subjects::kRecsysBucket,
                  [&](arc::bus::KeyValue& bucket) { return recsys.WatchModel(bucket); });
  agent.OnStart([&] {
    recsys.StartLearning(agent.bus(), agent.executor());
    return absl::OkStatus();
  });
  agent.OnStart([&] { return recsys.Health(); });  // answers nothing before it knows menu and model
  agent.OnDrain([&] { recsys.StopLearning(); });
  agent.HealthCheck("recommendations", [&] { return recsys.Health(); });
  agent.SetMetadata("engine", "co-occurrence");

  agent.Command<messages::SuggestRequest, messages::SuggestResponse>(
      subjects::kRecsysSuggest, arc::bus::Execution::kInline,
      [&](const messages::SuggestRequest& request, const arc::bus::RequestContext&) {
        return recsys.Suggest(request);
      });
  return agent.Run();
}
