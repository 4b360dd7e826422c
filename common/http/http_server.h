// The HTTP port of an agent: /metrics, /healthz, and what the agent adds. Bound to loopback unless told
// otherwise. A client that is slow to send or to take occupies none of the threads for long: see
// RequestLimits. Thread-safe; handlers run on the server's threads.
#ifndef ARC_COMMON_HTTP_HTTP_SERVER_H_
#define ARC_COMMON_HTTP_HTTP_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http/request_reader.h"

namespace arc {

struct HttpRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // at most 1 MiB
  std::string match;                           // what the pattern's first group matched
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::map<std::string, std::string> headers;
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

class HttpServer {
 public:
  HttpServer();
  explicit HttpServer(const RequestLimits& limits);
  ~HttpServer();  // stops

  // `pattern` is a regular expression for the whole path. Before Start().
  void Handle(absl::string_view method, absl::string_view pattern, HttpHandler handler);

  // Listens; port 0 takes a free one. Returns the port. Unavailable: the port is taken.
  absl::StatusOr<int> Start(absl::string_view address, int port);

  // Answers what is running, then stops listening.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace arc

#endif  // ARC_COMMON_HTTP_HTTP_SERVER_H_
