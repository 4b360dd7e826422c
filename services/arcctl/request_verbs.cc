// request, reprint: what the staff ask of agents when something went wrong.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/messages/hardware.h"
#include "common/messages/session.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"

namespace arc::arcctl {
namespace {

// A print's own timeout is as long as paper may be away: nobody waits so long at a command line.
constexpr absl::Duration kLongest = absl::Seconds(30);

absl::Duration TimeoutOf(const Session& session, absl::string_view subject) {
  return session.arguments.Has("timeout") ? session.timeout
                                          : std::min(bus::DefaultTimeout(subject), kLongest);
}

absl::Status RunRequest(Session& session) {
  const std::vector<std::string>& words = session.arguments.words();
  const std::string& subject = words[0];
  const std::string payload = words.size() > 1 ? words[1] : "{}";
  // Every agent's commands have subjects of this form; elsewhere nobody answers.
  if (bus::ServiceOf(subject).empty() || absl::StrContains(subject, '*') || absl::StrContains(subject, '>')) {
    return UsageError(
        absl::StrCat("\"", subject, "\" is no command's subject, such as kiosk.agent.payment.status"));
  }
  const absl::StatusOr<json::Document> parsed = json::Parse(payload);
  if (!parsed.ok() || !parsed->root().IsObject()) {
    return UsageError(absl::StrCat("PAYLOAD must be a JSON object",
                                   parsed.ok() ? "" : absl::StrCat(": ", parsed.status().message())));
  }
  bus::Message message;
  message.subject = subjects::BelongsToOneKiosk(subject) ? session.SubjectOf(subject) : subject;
  message.body = WrapPayload(MakeEnvelope(session.bus.clock().Now(), ""), payload);
  if (!session.kiosk_id.empty()) message.headers.Set(subjects::kKioskIdHeader, session.kiosk_id);
  ASSIGN_OR_RETURN(const json::Raw answer,
                   AskPlainly(session, std::move(message), TimeoutOf(session, subject)));
  session.Print(answer.text);
  return absl::OkStatus();
}

// The newest completed order with this number or id.
absl::StatusOr<messages::OrderCompleted> FindOrder(Session& session, const std::string& wanted) {
  std::optional<messages::OrderCompleted> found;
  std::set<std::string> kiosks;
  for (uint64_t from = 1;;) {
    const absl::StatusOr<bus::StoredMessage> stored =
        session.bus.NextStored(subjects::kEventsStream, subjects::kOrderCompleted, from);
    if (absl::IsNotFound(stored.status())) break;
    RETURN_IF_ERROR(stored.status());
    from = stored->sequence + 1;
    const absl::StatusOr<ParsedMessage> message =
        ParseMessage(stored->message.body, session.bus.clock().Now());
    if (!message.ok()) continue;
    absl::StatusOr<messages::OrderCompleted> order = DecodePayload<messages::OrderCompleted>(*message);
    if (!order.ok() || (order->order_id != wanted && order->order_number != wanted)) continue;
    if (!session.kiosk_id.empty() && order->kiosk_id != session.kiosk_id) continue;
    kiosks.insert(order->kiosk_id);
    found = *std::move(order);
  }
  if (!found.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("there is no completed order ", wanted, " in ", subjects::kEventsStream));
  }
  if (kiosks.size() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("there are orders ", wanted, " of ", absl::StrJoin(kiosks, ", "), ": give --kiosk_id"));
  }
  return *std::move(found);
}

absl::Status RunReprint(Session& session) {
  ASSIGN_OR_RETURN(const messages::OrderCompleted order, FindOrder(session, session.arguments.words()[0]));
  messages::PrintRequest request;
  request.order_id = order.order_id;
  request.total = order.total;
  request.transaction_id = order.payment.transaction_id;
  if (!order.order_number.empty()) request.order_number = order.order_number;
  request.receipt_url = order.payment.receipt_url;
  request.reprint = true;
  for (const messages::OrderLine& line : order.lines) {
    messages::ReceiptLine& item = request.items.emplace_back();
    item.item_id = line.item_id;
    item.name = line.name;
    item.qty = line.quantity;
    item.price = line.price;
    item.customizations = line.customizations;
    item.note = line.note;
  }
  bus::CallContext context;
  context.kiosk_id = session.kiosk_id;
  context.scoped = session.scoped;
  context.timeout = TimeoutOf(session, subjects::kHardwarePrint);
  // Each time it is called is one more copy.
  context.idempotency_key = NewUuid();
  ASSIGN_OR_RETURN(const auto answer, bus::CallAndWait<messages::PrintResponse>(
                                          session.bus, subjects::kHardwarePrint, request, context));
  if (session.json()) {
    session.Print(json::Encode(answer));
  } else {
    session.Print(absl::StrCat("printed a copy of order ", order.order_number, " (", order.order_id, ")"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<json::Raw> AskPlainly(Session& session, bus::Message message, absl::Duration timeout) {
  const std::string subject = message.subject;
  // The stream listens on every command's subject, so the server does not say that nobody else does.
  bus::Message ping;
  ping.subject = absl::StrCat("$SRV.PING.", bus::ServiceOf(subject));
  const auto pong = bus::CoreRequestAndWait(session.bus, std::move(ping), session.timeout);
  if (!pong.ok()) {
    return absl::UnavailableError(absl::StrCat("no ", bus::ServiceOf(subject), " agent is running"));
  }
  const auto reply = bus::CoreRequestAndWait(session.bus, std::move(message), timeout);
  if (reply.status().code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(absl::StrCat("no answer within ", absl::FormatDuration(timeout),
                                                    "; it may have been handled all the same"));
  }
  RETURN_IF_ERROR(reply.status());
  ASSIGN_OR_RETURN(const ParsedMessage answer, ParseMessage(reply->body, session.bus.clock().Now()));
  const auto error = DecodePayload<messages::ErrorResponse>(answer);
  if (error.ok()) {
    return MakeError(ParseErrorCode(error->error_code).value_or(ErrorCode::kInternal),
                     absl::StrCat("the agent answered ", error->error_code, ": ", error->error_message));
  }
  return json::Raw{json::Encode(answer.payload())};
}

void AddRequestVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec request;
  request.name = "request";
  request.arguments = "SUBJECT [PAYLOAD]";
  request.min_arguments = 1;
  request.max_arguments = 2;
  request.summary = "send a command to an agent, and show its answer's payload";
  request.details =
      "PAYLOAD is the command's payload as JSON, {} unless given. Waits as long as the command may take, at\n"
      "most 30 s, or --timeout. When the agent answers with an error the exit status is 1.";
  verbs.push_back({std::move(request), RunRequest});

  VerbSpec reprint;
  reprint.name = "reprint";
  reprint.arguments = "ORDER";
  reprint.min_arguments = reprint.max_arguments = 1;
  reprint.summary = "print a copy of a receipt, also of one that is uncertain";
  reprint.details =
      "ORDER is what was called out at the counter, such as A17 (the newest one), or the order's id. Orders "
      "of\n"
      "the last 24 hours are known.";
  verbs.push_back({std::move(reprint), RunReprint});
}

}  // namespace arc::arcctl
