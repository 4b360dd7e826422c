#include "services/arcctl/screen_summary.h"

#include <optional>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/json/json.h"

namespace arc::arcctl {
namespace {

// Longest list that is shown in full.
constexpr size_t kMaxShown = 12;

// Notices that warn of something and refuse nothing.
constexpr absl::string_view kRemarks[] = {"ALLERGEN", "DIETARY", "PRICE_CHANGED", "HARDWARE_ERROR"};

// An entry of a component's list: an item, a line of the cart, a category, a suggestion, a choice.
struct Entry {
  std::optional<json::Raw> id;
  std::optional<int64_t> item_id;
  std::optional<std::string> title;
  std::optional<std::string> name;
  std::optional<std::string> pitch;
  std::optional<std::string> note;
  std::optional<int64_t> quantity;
  std::optional<Decimal> price;
  std::optional<Decimal> line_total;
  std::vector<json::Raw> customizations;
  bool available = true;
  bool selected = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("id", s.id);
    v.Optional("item_id", s.item_id);
    v.Optional("title", s.title);
    v.Optional("name", s.name);
    v.Optional("pitch", s.pitch);
    v.Optional("note", s.note);
    v.Optional("quantity", s.quantity);
    v.Optional("price", s.price);
    v.Optional("line_total", s.line_total);
    v.Optional("customizations", s.customizations);
    v.Optional("available", s.available);
    v.Optional("selected", s.selected);
  }
};

struct Component {
  std::optional<json::Raw> id;
  std::optional<std::string> title;
  std::optional<std::string> text;
  std::optional<std::string> code;
  std::optional<std::string> severity;
  std::optional<std::string> description;
  std::optional<std::string> order_number;
  std::optional<std::string> order_id;
  std::optional<std::string> status;
  std::optional<std::string> way_out;
  std::optional<std::string> transaction_id;
  std::optional<std::string> receipt_url;
  std::optional<std::string> print;
  std::optional<std::string> currency;
  std::optional<int64_t> count;
  std::optional<int64_t> seconds;
  std::optional<int64_t> loyalty_points_earned;
  std::optional<Decimal> price;
  std::optional<Decimal> unit_price;
  std::optional<Decimal> subtotal;
  std::optional<Decimal> tax;
  std::optional<json::Raw> total;  // money, or how many match
  std::optional<Decimal> amount;
  std::optional<Decimal> amount_charged;
  bool loading = false;
  bool updating = false;
  bool available = true;
  std::optional<bool> verified;
  std::vector<Entry> items;
  std::vector<Entry> lines;
  std::vector<Entry> categories;
  std::vector<Entry> suggestions;
  std::vector<Entry> customizations;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("id", s.id);
    v.Optional("title", s.title);
    v.Optional("text", s.text);
    v.Optional("code", s.code);
    v.Optional("severity", s.severity);
    v.Optional("description", s.description);
    v.Optional("order_number", s.order_number);
    v.Optional("order_id", s.order_id);
    v.Optional("status", s.status);
    v.Optional("way_out", s.way_out);
    v.Optional("transaction_id", s.transaction_id);
    v.Optional("receipt_url", s.receipt_url);
    v.Optional("print", s.print);
    v.Optional("currency", s.currency);
    v.Optional("count", s.count);
    v.Optional("seconds", s.seconds);
    v.Optional("loyalty_points_earned", s.loyalty_points_earned);
    v.Optional("price", s.price);
    v.Optional("unit_price", s.unit_price);
    v.Optional("subtotal", s.subtotal);
    v.Optional("tax", s.tax);
    v.Optional("total", s.total);
    v.Optional("amount", s.amount);
    v.Optional("amount_charged", s.amount_charged);
    v.Optional("loading", s.loading);
    v.Optional("updating", s.updating);
    v.Optional("available", s.available);
    v.Optional("verified", s.verified);
    v.Optional("items", s.items);
    v.Optional("lines", s.lines);
    v.Optional("categories", s.categories);
    v.Optional("suggestions", s.suggestions);
    v.Optional("customizations", s.customizations);
  }
};

// A JSON string without its quotes, an object's name, any other value as it stands.
std::string Plain(const json::Raw& raw) {
  if (absl::StartsWith(raw.text, "{")) {
    const absl::StatusOr<Entry> entry = json::Decode<Entry>(raw.text);
    if (!entry.ok()) return raw.text;
    return absl::StrCat(entry->name.value_or(""), entry->selected ? " (chosen)" : "");
  }
  if (raw.text.size() >= 2 && raw.text.front() == '"') return raw.text.substr(1, raw.text.size() - 2);
  return raw.text;
}

std::string EntryLine(const Entry& entry) {
  std::vector<std::string> parts;
  if (entry.quantity.has_value()) parts.push_back(absl::StrCat(*entry.quantity, " x"));
  if (entry.item_id.has_value()) {
    parts.push_back(absl::StrCat(*entry.item_id));
  } else if (entry.id.has_value()) {
    parts.push_back(Plain(*entry.id));
  }
  const std::string name = entry.title.value_or(entry.name.value_or(""));
  if (!name.empty()) parts.push_back(name);
  if (entry.line_total.has_value()) {
    parts.push_back(entry.line_total->ToString());
  } else if (entry.price.has_value()) {
    parts.push_back(entry.price->ToString());
  }
  if (!entry.customizations.empty()) {
    parts.push_back(absl::StrCat(
        "+ ", absl::StrJoin(entry.customizations, ", ", [](std::string* out, const json::Raw& raw) {
          absl::StrAppend(out, Plain(raw));
        })));
  }
  if (entry.note.has_value() && !entry.note->empty()) parts.push_back(absl::StrCat("(", *entry.note, ")"));
  if (entry.pitch.has_value()) parts.push_back(absl::StrCat("- ", *entry.pitch));
  if (!entry.available) parts.push_back("- sold out");
  if (entry.selected) parts.push_back("(chosen)");
  return absl::StrJoin(parts, " ");
}

void AppendEntries(const std::vector<Entry>& entries, std::vector<std::string>& lines) {
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == kMaxShown) {
      lines.push_back(absl::StrCat("    ... and ", entries.size() - kMaxShown, " more"));
      return;
    }
    lines.push_back(absl::StrCat("    ", EntryLine(entries[i])));
  }
}

void AppendComponent(const messages::UiComponent& shown, std::vector<std::string>& lines) {
  const absl::StatusOr<Component> decoded = json::Decode<Component>(shown.data.text);
  if (!decoded.ok()) {
    lines.push_back(absl::StrCat("  ", shown.type));
    return;
  }
  const Component& data = *decoded;
  std::vector<std::string> parts;
  const auto text = [&](absl::string_view label, const std::optional<std::string>& value) {
    if (value.has_value() && !value->empty()) parts.push_back(absl::StrCat(label, *value));
  };
  const auto money = [&](absl::string_view label, const std::optional<Decimal>& value) {
    if (value.has_value()) parts.push_back(absl::StrCat(label, value->ToString()));
  };
  if (data.id.has_value()) parts.push_back(Plain(*data.id));
  text("", data.code);
  text("", data.title);
  text("", data.text);
  text("", data.description);
  text("", data.way_out);
  text("order ", data.order_number);
  text("", data.status);
  money("", data.unit_price.has_value() ? data.unit_price : data.price);
  if (data.count.has_value())
    parts.push_back(absl::StrCat(*data.count, *data.count == 1 ? " item" : " items"));
  money("subtotal ", data.subtotal);
  money("tax ", data.tax);
  if (data.total.has_value()) parts.push_back(absl::StrCat("total ", Plain(*data.total)));
  money("to pay ", data.amount);
  money("charged ", data.amount_charged);
  text("", data.currency);
  text("transaction ", data.transaction_id);
  text("", data.receipt_url);
  text("print ", data.print);
  if (data.loyalty_points_earned.value_or(0) > 0) {
    parts.push_back(absl::StrCat(*data.loyalty_points_earned, " points"));
  }
  if (data.seconds.has_value()) parts.push_back(absl::StrCat(*data.seconds, " s"));
  if (!data.available) parts.push_back("sold out");
  if (data.loading || data.updating) parts.push_back("...");
  lines.push_back(absl::StrCat("  ", shown.type, parts.empty() ? "" : ": ", absl::StrJoin(parts, "  ")));
  if (!data.categories.empty()) {
    lines.push_back(
        absl::StrCat("    ", absl::StrJoin(data.categories, ", ", [](std::string* out, const Entry& entry) {
                       absl::StrAppend(out, entry.id.has_value() ? Plain(*entry.id) : "",
                                       entry.selected ? " (chosen)" : "");
                     })));
  }
  AppendEntries(data.items, lines);
  AppendEntries(data.lines, lines);
  AppendEntries(data.customizations, lines);
  AppendEntries(data.suggestions, lines);
}

}  // namespace

std::vector<std::string> SummarizeScreen(const messages::UiUpdate& screen) {
  std::vector<std::string> lines = {absl::StrCat("[", screen.layout_mode, "]")};
  for (const messages::UiComponent& component : screen.components) AppendComponent(component, lines);
  if (!screen.suggested_actions.empty()) {
    lines.push_back(absl::StrCat("  suggested: ", absl::StrJoin(screen.suggested_actions, " | ")));
  }
  return lines;
}

std::string OneLineScreen(const messages::UiUpdate& screen) {
  return absl::StrCat(
      screen.layout_mode, ": ",
      absl::StrJoin(screen.components, " ",
                    [](std::string* out, const messages::UiComponent& c) { absl::StrAppend(out, c.type); }));
}

bool IsSettled(const messages::UiUpdate& screen) {
  for (const messages::UiComponent& component : screen.components) {
    const absl::StatusOr<Component> data = json::Decode<Component>(component.data.text);
    if (data.ok() && (data->loading || data->updating || !data->verified.value_or(true))) return false;
  }
  return true;
}

std::optional<std::string> RefusalOn(const messages::UiUpdate& screen) {
  for (const messages::UiComponent& component : screen.components) {
    const bool error_message = component.type == "ErrorMessage";
    if (!error_message && component.type != "Notice") continue;
    const absl::StatusOr<Component> data = json::Decode<Component>(component.data.text);
    if (!data.ok()) continue;
    const std::string code = data->code.value_or("");
    const std::string severity = data->severity.value_or("info");
    if (error_message || (severity != "info" && !absl::c_linear_search(kRemarks, code))) {
      return absl::StrCat(code, ": ", data->text.value_or(""));
    }
  }
  return std::nullopt;
}

}  // namespace arc::arcctl
