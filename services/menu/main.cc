// arc-menu: answers kiosk.agent.menu.*; reads and writes the bucket KIOSK_MENU.
#include "common/agent/agent.h"
#include "common/messages/menu.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu.h"

int main(int argc, char** argv) {
  namespace messages = arc::messages;
  namespace subjects = arc::subjects;
  using arc::bus::Execution;
  using arc::bus::RequestContext;

  arc::Agent agent({"menu", "arc-menu", "Menu search, item details and availability"}, argc, argv);
  arc::menu::Menu menu;
  agent.UseBucket(subjects::kMenuBucket, [&](arc::bus::KeyValue& bucket) { return menu.Watch(bucket); });
  agent.OnStart([&] { return menu.Health(); });  // answers nothing before the menu is searchable
  agent.HealthCheck("menu", [&] { return menu.Health(); });
  agent.SetMetadata("engine", "inverted-index");

  agent.Command<messages::SearchRequest, messages::SearchResponse>(
      subjects::kMenuSearch, Execution::kInline,
      [&](const messages::SearchRequest& request, const RequestContext&) { return menu.Search(request); });
  agent.Command<messages::DetailsRequest, messages::DetailsResponse>(
      subjects::kMenuDetails, Execution::kInline,
      [&](const messages::DetailsRequest& request, const RequestContext&) { return menu.Details(request); });
  agent.Command<messages::ListRequest, messages::ListResponse>(
      subjects::kMenuList, Execution::kInline,
      [&](const messages::ListRequest& request, const RequestContext&) { return menu.List(request); });
  agent.Command<messages::SetAvailabilityRequest, messages::SetAvailabilityResponse>(
      subjects::kMenuSetAvailability, Execution::kPool,
      [&](const messages::SetAvailabilityRequest& request, const RequestContext&) {
        return menu.SetAvailability(request);
      });
  return agent.Run();
}
