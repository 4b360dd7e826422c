#include "services/terminal_sim/tap_listener.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/envelope/envelope.h"
#include "common/log/log.h"
#include "common/messages/input.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::terminal_sim {

absl::StatusOr<std::unique_ptr<TapListener>> TapListener::Start(bus::Bus& bus, Device& device) {
  auto listener = std::unique_ptr<TapListener>(new TapListener(device));
  for (const std::string& subject :
       {std::string(subjects::kCardInput), absl::StrCat(subjects::kCardInput, ".*")}) {
    ASSIGN_OR_RETURN(auto subscription,
                     bus.Subscribe(subject, "", [self = listener.get()](const bus::Message& message) {
                       self->OnMessage(message);
                     }));
    listener->subscriptions_.push_back(std::move(subscription));
  }
  return listener;
}

void TapListener::OnMessage(const bus::Message& message) {
  const auto ignored = [&](const absl::Status& why) {
    Log(LogLevel::kWarning, "a card is ignored",
        {{"subject", message.subject}, {"why", std::string(why.message())}});
  };
  const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, SystemClock::Get().Now());
  if (!parsed.ok()) return ignored(parsed.status());
  absl::StatusOr<messages::CardInput> card = DecodePayload<messages::CardInput>(*parsed);
  if (!card.ok()) return ignored(card.status());
  Tap tap;
  tap.token = std::move(card->token);
  tap.order_id = std::move(card->order_id);
  tap.kiosk_id = subjects::SplitScope(message.subject).kiosk_id;
  if (tap.kiosk_id.empty()) tap.kiosk_id = message.headers.Get(subjects::kKioskIdHeader).value_or("");
  const absl::StatusOr<Intent> intent = device_.OnTap(tap);
  if (!intent.ok()) return ignored(intent.status());
  Log(LogLevel::kInfo, "a card was tapped",
      {{"order_id", intent->key},
       {"state", std::string(EnumNames(State())[static_cast<size_t>(intent->state)])},
       {"trace_id", parsed->envelope.trace_id}});
}

}  // namespace arc::terminal_sim
