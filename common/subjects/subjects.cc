#include "common/subjects/subjects.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace arc::subjects {
namespace {

struct Family {
  absl::string_view prefix;
  size_t tokens;  // of a subject without a kiosk
};

constexpr std::array<Family, 7> kFamiliesOfOneKiosk = {{
    {"kiosk.vision.", 3},
    {"kiosk.voice.", 3},
    {"kiosk.input.", 3},
    {"kiosk.ui.", 3},
    {"kiosk.agent.hardware.", 4},
    {"kiosk.agent.orchestrator.", 4},
    {"kiosk.hardware.", 3},
}};

const Family* FamilyOf(absl::string_view subject) {
  for (const Family& family : kFamiliesOfOneKiosk) {
    if (absl::StartsWith(subject, family.prefix)) return &family;
  }
  return nullptr;
}

}  // namespace

bool IsName(absl::string_view name, size_t max_size) {
  return !name.empty() && name.size() <= max_size && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

bool IsValidKioskId(absl::string_view id) {
  return IsName(id, 64);
}

bool IsValidRoom(absl::string_view room) {
  return IsName(room, 100);
}

bool BelongsToOneKiosk(absl::string_view subject) {
  return FamilyOf(subject) != nullptr;
}

Scoped SplitScope(absl::string_view subject) {
  const Family* family = FamilyOf(subject);
  if (family == nullptr) return {std::string(subject), ""};
  const std::vector<absl::string_view> tokens = absl::StrSplit(subject, '.');
  if (tokens.size() != family->tokens + 1) return {std::string(subject), ""};
  return {absl::StrJoin(tokens.begin(), tokens.end() - 1, "."), std::string(tokens.back())};
}

std::string Scope(absl::string_view base, absl::string_view kiosk_id) {
  if (kiosk_id.empty()) return std::string(base);
  return absl::StrCat(base, ".", kiosk_id);
}

std::string ResolveAlias(absl::string_view subject) {
  constexpr absl::string_view kAlias = "kiosk.hardware.";
  if (!absl::StartsWith(subject, kAlias)) return std::string(subject);
  return absl::StrCat("kiosk.agent.hardware.", subject.substr(kAlias.size()));
}

bool IsPublishable(absl::string_view subject) {
  if (subject.empty() || subject.front() == '.' || subject.back() == '.' ||
      absl::StrContains(subject, "..")) {
    return false;
  }
  return std::all_of(subject.begin(), subject.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '*' && c != '>' &&
           static_cast<unsigned char>(c) != 0x7F;
  });
}

bool Matches(absl::string_view filter, absl::string_view subject) {
  const std::vector<absl::string_view> want = absl::StrSplit(filter, '.');
  const std::vector<absl::string_view> have = absl::StrSplit(subject, '.');
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i] == ">") return have.size() > i;
    if (i >= have.size() || (want[i] != "*" && want[i] != have[i])) return false;
  }
  return want.size() == have.size();
}

bool Overlap(absl::string_view a, absl::string_view b) {
  const std::vector<absl::string_view> left = absl::StrSplit(a, '.');
  const std::vector<absl::string_view> right = absl::StrSplit(b, '.');
  for (size_t i = 0;; ++i) {
    if (i == left.size() || i == right.size()) return left.size() == right.size();
    if (left[i] == ">" || right[i] == ">") return true;
    if (left[i] != "*" && right[i] != "*" && left[i] != right[i]) return false;
  }
}

}  // namespace arc::subjects
