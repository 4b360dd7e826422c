// sessions, snapshot: what goes on at the kiosks.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/json/json.h"
#include "common/messages/ui.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/screen_summary.h"
#include "services/arcctl/table.h"

namespace arc::arcctl {
namespace {

struct CartLine {
  std::string name;
  int64_t quantity = 0;
  int64_t unit_price = 0;  // minor units

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("name", s.name);
    v.Optional("quantity", s.quantity);
    v.Optional("unit_price", s.unit_price);
  }
};

struct Order {
  std::string order_id;
  std::string order_number;
  bool open = false;
  bool unknown = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("order_id", s.order_id);
    v.Optional("order_number", s.order_number);
    v.Optional("open", s.open);
    v.Optional("unknown", s.unknown);
  }
};

// Of what the orchestrator keeps of a kiosk (services/orchestrator/state.h) the part that is shown here.
struct KioskEntry {
  std::string kiosk_id;
  bool scoped = false;
  std::string state;
  std::string session_id;
  int64_t started_ms = 0;
  int64_t last_activity_ms = 0;
  std::string currency;
  int64_t exponent = 2;
  std::vector<CartLine> cart;
  Order order;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("kiosk_id", s.kiosk_id);
    v.Optional("scoped", s.scoped);
    v.Required("state", s.state);
    v.Optional("session_id", s.session_id);
    v.Optional("started_ms", s.started_ms);
    v.Optional("last_activity_ms", s.last_activity_ms);
    v.Optional("currency", s.currency);
    v.Optional("exponent", s.exponent);
    v.Optional("cart", s.cart);
    v.Optional("order", s.order);
  }
};

struct SessionRow {
  std::string kiosk_id;
  bool scoped = false;
  std::string state;
  std::string session_id;
  std::optional<std::string> started;
  std::optional<std::string> last_activity;
  int64_t items = 0;
  Decimal total;
  std::string currency;
  std::optional<std::string> order_id;
  std::optional<std::string> order_number;
  bool payment_open = false;     // a payment is under way
  bool payment_unknown = false;  // it is not known whether the customer was charged

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("kiosk_id", s.kiosk_id);
    v.Required("scoped", s.scoped);
    v.Required("state", s.state);
    v.Required("session_id", s.session_id);
    v.Nullable("started", s.started);
    v.Nullable("last_activity", s.last_activity);
    v.Required("items", s.items);
    v.Required("total", s.total);
    v.Required("currency", s.currency);
    v.Nullable("order_id", s.order_id);
    v.Nullable("order_number", s.order_number);
    v.Required("payment_open", s.payment_open);
    v.Required("payment_unknown", s.payment_unknown);
  }
};

SessionRow ToRow(const KioskEntry& entry) {
  SessionRow row;
  row.kiosk_id = entry.kiosk_id;
  row.scoped = entry.scoped;
  row.state = entry.state;
  row.session_id = entry.session_id;
  if (entry.started_ms > 0 && !entry.session_id.empty()) {
    row.started = FormatTimestamp(absl::FromUnixMillis(entry.started_ms));
  }
  if (entry.last_activity_ms > 0) {
    row.last_activity = FormatTimestamp(absl::FromUnixMillis(entry.last_activity_ms));
  }
  int64_t total = 0;
  for (const CartLine& line : entry.cart) {
    row.items += line.quantity;
    total += line.quantity * line.unit_price;
  }
  row.total = Decimal::FromMinor(total, static_cast<int>(entry.exponent));
  row.currency = entry.currency;
  if (!entry.order.order_id.empty()) row.order_id = entry.order.order_id;
  if (!entry.order.order_number.empty()) row.order_number = entry.order.order_number;
  row.payment_open = entry.order.open;
  row.payment_unknown = entry.order.unknown;
  return row;
}

absl::Status RunSessions(Session& session) {
  auto bucket = session.bus.OpenBucket(subjects::kSessionsBucket);
  if (absl::IsNotFound(bucket.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no bucket ", subjects::kSessionsBucket, "; `arcctl provision` creates it"));
  }
  RETURN_IF_ERROR(bucket.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, (*bucket)->Keys());
  const absl::Time now = session.bus.clock().Now();
  std::vector<std::vector<std::string>> rows = {
      {"kiosk", "state", "items", "total", "order", "idle", "session"}};
  for (const std::string& key : keys) {
    if (!absl::StartsWith(key, "kiosk.")) continue;
    const auto stored = (*bucket)->Get(key);
    if (absl::IsNotFound(stored.status())) continue;
    RETURN_IF_ERROR(stored.status());
    if (stored->deleted) continue;
    const auto entry = json::Decode<KioskEntry>(stored->value);
    if (!entry.ok()) {
      session.err << "arcctl: " << key << " cannot be read: " << entry.status().message() << "\n";
      continue;
    }
    if (!session.kiosk_id.empty() && entry->kiosk_id != session.kiosk_id) continue;
    if (session.arguments.Has("open") && entry->session_id.empty()) continue;
    const SessionRow row = ToRow(*entry);
    if (session.json()) {
      session.Print(json::Encode(row));
      continue;
    }
    const std::string idle =
        entry->last_activity_ms == 0
            ? ""
            : absl::FormatDuration(
                  absl::Trunc(now - absl::FromUnixMillis(entry->last_activity_ms), absl::Seconds(1)));
    std::string order = row.order_number.value_or(row.order_id.value_or(""));
    if (row.payment_unknown) {
      absl::StrAppend(&order, " (payment unknown)");
    } else if (row.payment_open) {
      absl::StrAppend(&order, " (paying)");
    }
    rows.push_back({row.kiosk_id, row.state, absl::StrCat(row.items),
                    absl::StrCat(row.total.ToString(), " ", row.currency), order, idle, row.session_id});
  }
  if (session.json()) return absl::OkStatus();
  if (rows.size() == 1) {
    session.Print("no kiosk has been used yet");
    return absl::OkStatus();
  }
  for (const std::string& line : FormatTable(rows)) session.Print(line);
  return absl::OkStatus();
}

absl::Status RunSnapshot(Session& session) {
  messages::SnapshotRequest request;
  if (!session.kiosk_id.empty()) request.kiosk_id = session.kiosk_id;
  bus::CallContext context;
  context.kiosk_id = session.kiosk_id;
  context.scoped = session.scoped;
  context.timeout = session.timeout;
  ASSIGN_OR_RETURN(const auto answer, bus::CallAndWait<messages::SnapshotResponse>(
                                          session.bus, subjects::kOrchestratorSnapshot, request, context));
  if (session.json()) {
    session.Print(json::Encode(answer));
    return absl::OkStatus();
  }
  session.Print(
      absl::StrCat("session ", answer.session_id.empty() ? "(none)" : answer.session_id, ", ", answer.state));
  std::vector<std::vector<std::string>> rows = {{"qty", "item", "name", "price"}};
  for (const messages::OrderLine& line : answer.cart.lines) {
    rows.push_back(
        {absl::StrCat(line.quantity), absl::StrCat(line.item_id), line.name, line.price.ToString()});
  }
  if (rows.size() > 1) {
    for (const std::string& line : FormatTable(rows)) session.Print(line);
    session.Print(absl::StrCat("total ", answer.cart.total.ToString()));
  }
  for (const std::string& line : SummarizeScreen(answer.ui)) session.Print(line);
  return absl::OkStatus();
}

}  // namespace

void AddSessionVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec sessions;
  sessions.name = "sessions";
  sessions.summary = "show what goes on at each kiosk";
  sessions.details = "With --json one value a kiosk. With --kiosk_id only that kiosk.";
  sessions.flags = {{"open", "", "only kiosks that somebody uses now"}};
  verbs.push_back({std::move(sessions), RunSessions});

  VerbSpec snapshot;
  snapshot.name = "snapshot";
  snapshot.summary = "show one kiosk's session, cart and screen";
  verbs.push_back({std::move(snapshot), RunSnapshot});
}

}  // namespace arc::arcctl
