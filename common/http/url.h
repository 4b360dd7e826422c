// Addresses of HTTP servers, as operators write them in flags. Pure functions, thread-safe.
#ifndef ARC_COMMON_HTTP_URL_H_
#define ARC_COMMON_HTTP_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace arc {

struct Url {
  std::string server;  // scheme and authority: "http://127.0.0.1:8880"
  std::string path;    // without a slash at its end; may be empty
};

// `text` taken apart. InvalidArgument unless it is http:// or https://, a host, perhaps a port and a path,
// and nothing more.
absl::StatusOr<Url> ParseUrl(absl::string_view text);

}  // namespace arc

#endif  // ARC_COMMON_HTTP_URL_H_
