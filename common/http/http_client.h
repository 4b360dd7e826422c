// Posts to an HTTP server that nothing is expected of: whatever it answers, and however slowly, an answer
// takes a bounded time and bounded memory, and any thread can end it.
#ifndef ARC_COMMON_HTTP_HTTP_CLIENT_H_
#define ARC_COMMON_HTTP_HTTP_CLIENT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/url.h"

namespace arc {

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::string retry_after;  // the header's value; empty without
};

// Keeps its connection where the server does. Of one thread, but for Cancel().
class HttpClient {
 public:
  struct Limits {
    absl::Duration connect = absl::Seconds(2);  // to look the name up, connect and agree on TLS
    absl::Duration whole = absl::Seconds(5);    // of a request, to the last byte of its answer
    size_t head = 16 << 10;                     // bytes of an answer's status line and headers
    size_t body = 64 << 10;
  };

  HttpClient(Url url, std::vector<std::pair<std::string, std::string>> headers, Limits limits);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer that is one, whatever its status. DeadlineExceeded; Unavailable: no connection, or no HTTP;
  // ResourceExhausted: more than the limits; Cancelled.
  absl::StatusOr<HttpAnswer> Post(absl::string_view content_type, const std::string& body);

  // Ends the Post() that goes on, and all later ones. Of any thread.
  void Cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace arc

#endif  // ARC_COMMON_HTTP_HTTP_CLIENT_H_
