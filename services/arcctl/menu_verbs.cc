// menu import|86|back|search|list, recsys import.
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/bus/call.h"
#include "common/json/json.h"
#include "common/messages/menu.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/table.h"
#include "services/menu/menu_file.h"
#include "services/menu/menu_store.h"
#include "services/recsys/store.h"

namespace arc::arcctl {
namespace {

struct MenuImported {
  std::string generation;
  int64_t items = 0;
  int64_t categories = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("generation", s.generation);
    v.Required("items", s.items);
    v.Required("categories", s.categories);
  }
};

struct HistoryImported {
  int64_t orders = 0;  // in the file
  int64_t added = 0;   // of those, not known before
  int64_t total = 0;   // imported orders now in the bucket

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("orders", s.orders);
    v.Required("added", s.added);
    v.Required("total", s.total);
  }
};

// Without the byte order mark that some editors put before a text.
absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file) text << file.rdbuf();
  // An empty file leaves the stream failed: there was nothing to copy.
  if (!file || (text.fail() && file.bad())) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::string read = text.str();
  constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (absl::StartsWith(read, kByteOrderMark)) read.erase(0, kByteOrderMark.size());
  return read;
}

absl::StatusOr<std::unique_ptr<bus::KeyValue>> OpenBucket(Session& session, absl::string_view bucket) {
  auto opened = session.bus.OpenBucket(bucket);
  if (absl::IsNotFound(opened.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no bucket ", bucket, "; `arcctl provision` creates it"));
  }
  return opened;
}

bus::CallContext ContextOf(const Session& session) {
  bus::CallContext context;
  context.kiosk_id = session.kiosk_id;
  context.scoped = session.scoped;
  // An answer later than the specification's own timeout is of no use to anybody else; a person may wait.
  context.timeout = session.timeout;
  return context;
}

absl::Status RunMenuImport(Session& session) {
  const std::string& path = session.arguments.words()[0];
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  messages::MenuFile menu;
  std::vector<menu::MenuProblem> warnings;
  const std::vector<menu::MenuProblem> problems = menu::CheckMenuFile(text, &menu, &warnings);
  const auto say = [&](const menu::MenuProblem& problem, absl::string_view what) {
    session.err << path << ":" << problem.line << ": " << what << problem.path
                << (problem.path.empty() ? "" : ": ") << problem.message << "\n";
  };
  for (const menu::MenuProblem& warning : warnings) say(warning, "warning: ");
  if (!problems.empty()) {
    for (const menu::MenuProblem& problem : problems) say(problem, "");
    return absl::InvalidArgumentError(absl::StrCat(path, " is no menu: ", problems.size(),
                                                   problems.size() == 1 ? " problem" : " problems",
                                                   "; nothing was imported"));
  }
  if (session.arguments.Has("check")) {
    if (session.json()) {
      session.Print(json::Encode(MenuImported{"", static_cast<int64_t>(menu.items.size()),
                                              static_cast<int64_t>(menu.categories.size())}));
    } else {
      session.Print(absl::StrCat(path, " is a menu: ", menu.items.size(), " items in ",
                                 menu.categories.size(), " categories"));
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<bus::KeyValue> bucket, OpenBucket(session, subjects::kMenuBucket));
  ASSIGN_OR_RETURN(const menu::ImportResult result, menu::ImportMenu(*bucket, menu));
  if (session.json()) {
    session.Print(json::Encode(MenuImported{result.generation, result.items, result.categories}));
  } else {
    session.Print(absl::StrCat("imported ", result.items, " items in ", result.categories, " categories"));
  }
  return absl::OkStatus();
}

absl::Status SetAvailability(Session& session, bool available) {
  messages::SetAvailabilityRequest request;
  ASSIGN_OR_RETURN(request.item_id, ParseInteger(session.arguments.words()[0], "ID", 1, json::kMaxId));
  request.available = available;
  ASSIGN_OR_RETURN(const auto answer,
                   bus::CallAndWait<messages::SetAvailabilityResponse>(
                       session.bus, subjects::kMenuSetAvailability, request, ContextOf(session)));
  if (session.json()) {
    session.Print(json::Encode(answer));
  } else {
    session.Print(
        absl::StrCat("item ", answer.item_id, answer.available ? " can be ordered" : " is off the menu"));
  }
  return absl::OkStatus();
}

void PrintItems(const Session& session, const std::vector<messages::SearchItem>& items) {
  std::vector<std::vector<std::string>> rows = {{"id", "name", "price", "tags", ""}};
  for (const messages::SearchItem& item : items) {
    rows.push_back({absl::StrCat(item.id), item.name, item.price.ToString(), absl::StrJoin(item.tags, ", "),
                    item.available ? "" : "off"});
  }
  for (const std::string& line : FormatTable(rows)) session.Print(line);
}

absl::Status RunMenuSearch(Session& session) {
  const Arguments& arguments = session.arguments;
  messages::SearchRequest request;
  request.query = absl::StrJoin(arguments.words(), " ");
  request.tags = arguments.GetAll("tag");
  request.dietary_filters = arguments.GetAll("dietary");
  request.exclude_allergens = arguments.GetAll("exclude_allergen");
  ASSIGN_OR_RETURN(const auto limit, arguments.GetInteger("limit", 1, 1000));
  request.limit = limit.value_or(request.limit);
  ASSIGN_OR_RETURN(const auto answer, bus::CallAndWait<messages::SearchResponse>(
                                          session.bus, subjects::kMenuSearch, request, ContextOf(session)));
  if (session.json()) {
    session.Print(json::Encode(answer));
    return absl::OkStatus();
  }
  PrintItems(session, answer.items);
  if (answer.total_matches > static_cast<int64_t>(answer.items.size())) {
    session.Print(absl::StrCat(answer.items.size(), " of ", answer.total_matches, " matches"));
  }
  return absl::OkStatus();
}

absl::Status RunMenuList(Session& session) {
  messages::ListRequest request;
  request.category = session.arguments.GetOptional("category");
  ASSIGN_OR_RETURN(const auto answer, bus::CallAndWait<messages::ListResponse>(
                                          session.bus, subjects::kMenuList, request, ContextOf(session)));
  if (session.json()) {
    session.Print(json::Encode(answer));
    return absl::OkStatus();
  }
  for (const messages::ListCategory& category : answer.categories) {
    session.Print(absl::StrCat(category.name, " (", category.id, "), ", answer.currency));
    PrintItems(session, category.items);
    session.Print("");
  }
  if (answer.truncated) session.Print("the menu is too large for one message: use --category");
  return absl::OkStatus();
}

absl::Status RunRecsysImport(Session& session) {
  const std::string& path = session.arguments.words()[0];
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<bus::KeyValue> bucket, OpenBucket(session, subjects::kRecsysBucket));
  const absl::StatusOr<recsys::HistoryImport> result = recsys::ImportHistory(*bucket, text);
  if (absl::IsInvalidArgument(result.status())) {
    for (absl::string_view problem :
         absl::StrSplit(result.status().message(), '\n', absl::SkipWhitespace())) {
      session.err << path << ": " << problem << "\n";
    }
    return absl::InvalidArgumentError(absl::StrCat(path, " is no order history; nothing was imported"));
  }
  RETURN_IF_ERROR(result.status());
  if (session.json()) {
    session.Print(json::Encode(HistoryImported{result->orders, result->added, result->total}));
  } else {
    session.Print(absl::StrCat("imported ", result->added, " of ", result->orders, " orders, ", result->total,
                               " altogether"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddMenuVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec import;
  import.name = "menu import";
  import.arguments = "FILE";
  import.min_arguments = import.max_arguments = 1;
  import.summary = "replace the whole menu, or nothing when the file has a mistake";
  import.details =
      "Every mistake is named on stderr as FILE:LINE: FIELD: what is wrong. What is only odd, such as a "
      "combo "
      "that\n"
      "costs more than its parts, is named as FILE:LINE: warning: FIELD: ... and imported.";
  import.flags = {{ "check", "", "only look for mistakes" }};
  verbs.push_back({std::move(import), RunMenuImport});

  VerbSpec off;
  off.name = "menu 86";
  off.arguments = "ID";
  off.min_arguments = off.max_arguments = 1;
  off.summary = "take an item off the menu until it is put back";
  verbs.push_back({std::move(off), [](Session& session) { return SetAvailability(session, false); }});

  VerbSpec back;
  back.name = "menu back";
  back.arguments = "ID";
  back.min_arguments = back.max_arguments = 1;
  back.summary = "put an item back on the menu";
  verbs.push_back({std::move(back), [](Session& session) { return SetAvailability(session, true); }});

  VerbSpec search;
  search.name = "menu search";
  search.arguments = "[WORDS...]";
  search.max_arguments = kAnyNumber;
  search.summary = "search the menu as the kiosk does";
  search.flags = {{"tag", "T", "must have this tag; may stand more than once", true},
                  {"dietary", "D", "must be vegetarian, gluten_free, ...; may stand more than once", true},
                  {"exclude_allergen", "A", "must not contain it; may stand more than once", true},
                  {"limit", "N", "most items to show (default: 10)"}};
  verbs.push_back({std::move(search), RunMenuSearch});

  VerbSpec list;
  list.name = "menu list";
  list.summary = "show the whole menu by category";
  list.flags = {{"category", "ID", "only this category"}};
  verbs.push_back({std::move(list), RunMenuList});

  VerbSpec history;
  history.name = "recsys import";
  history.arguments = "FILE";
  history.min_arguments = history.max_arguments = 1;
  history.summary = "add past orders to what recommendations are learned from";
  history.details =
      "FILE holds one order a line as JSON. Orders that are known already are not counted again; a file "
      "with\n"
      "a mistake is refused whole, and every mistake is named.";
  verbs.push_back({std::move(history), RunRecsysImport});
}

}  // namespace arc::arcctl
