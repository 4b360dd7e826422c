#include "common/http/url.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace arc {
namespace {

// Whether `authority` is HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT.
bool IsAuthority(absl::string_view authority) {
  absl::string_view host = authority;
  absl::string_view port;
  const size_t bracket = absl::StartsWith(authority, "[") ? authority.find(']') : 0;
  if (bracket == absl::string_view::npos) return false;
  const size_t colon = authority.find(':', bracket);
  if (colon != absl::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    int number = 0;
    if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) return false;
  }
  return !host.empty() && (bracket == 0 || bracket + 1 == host.size());
}

}  // namespace

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  absl::string_view rest = text;
  const bool http = absl::ConsumePrefix(&rest, "http://");
  const bool known = http || absl::ConsumePrefix(&rest, "https://");
  const size_t slash = std::min(rest.find('/'), rest.size());
  if (!known || rest.find_first_of(" \t\r\n?#@") != absl::string_view::npos ||
      !IsAuthority(rest.substr(0, slash))) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no http:// or https:// address such as http://127.0.0.1:8880"));
  }
  Url url;
  url.server = absl::StrCat(http ? "http://" : "https://", rest.substr(0, slash));
  absl::string_view path = rest.substr(slash);
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  url.path = std::string(path);
  return url;
}

}  // namespace arc
