#include "services/orchestrator/event_guard.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/dead_letter.h"
#include "common/envelope/envelope.h"
#include "common/messages/session.h"
#include "common/messages/ui.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::orchestrator {
namespace {

constexpr char kAgent[] = "arc-orchestrator";
constexpr char kQueueGroup[] = "orchestrator";
constexpr const char* kFamilies[] = {"kiosk.session.>", "kiosk.ui.>"};

}  // namespace

absl::Status CheckEvent(const bus::Message& message, absl::Time now) {
  const std::string subject = subjects::SplitScope(message.subject).base;
  if (!absl::StartsWith(subject, "kiosk.session.") && !absl::StartsWith(subject, "kiosk.ui.")) {
    return absl::OkStatus();
  }
  if (subject == subjects::kOrderCompleted) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ParsedMessage parsed, ParseMessage(message.body, now));
  if (subject == subjects::kUiUpdate) return DecodePayload<messages::UiUpdate>(parsed).status();
  if (subject == subjects::kSessionStarted) return DecodePayload<messages::SessionStarted>(parsed).status();
  if (subject == subjects::kSessionEnded) return DecodePayload<messages::SessionEnded>(parsed).status();
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("subject ", message.subject, ": there is no such event"));
}

absl::StatusOr<std::unique_ptr<EventGuard>> EventGuard::Start(bus::Bus& bus) {
  auto guard = std::unique_ptr<EventGuard>(new EventGuard());
  for (const char* family : kFamilies) {
    ASSIGN_OR_RETURN(std::unique_ptr<bus::Subscription> subscription,
                     bus.Subscribe(family, kQueueGroup, [&bus](const bus::Message& message) {
                       const absl::Status status = CheckEvent(message, bus.clock().Now());
                       if (!status.ok()) {
                         bus::PublishDeadLetter(bus, {kAgent, "", "", 0, 1}, message, status, nullptr);
                       }
                     }));
    guard->subscriptions_.push_back(std::move(subscription));
  }
  return guard;
}

}  // namespace arc::orchestrator
