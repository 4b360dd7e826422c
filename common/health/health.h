// The gRPC health protocol (grpc.health.v1.Health; design, section 3.6): its server, which every agent has,
// and the client behind --probe. Thread-safe.
#ifndef ARC_COMMON_HEALTH_HEALTH_H_
#define ARC_COMMON_HEALTH_HEALTH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc {

// Answers Check and Watch for the services it was made with, the empty one being the whole process. For any
// other Check ends in NOT_FOUND and Watch says SERVICE_UNKNOWN, as the protocol wants.
class HealthServer {
 public:
  // All are NOT_SERVING at first.
  explicit HealthServer(std::vector<std::string> services);
  ~HealthServer();  // stops

  // Sets the status of all services and tells it to all that watch.
  void SetServing(bool serving);
  // Sets one service's status.
  void SetServing(absl::string_view service, bool serving);

  // Listens on plain HTTP/2; port 0 takes a free one. Returns the port. Unavailable: the port is taken.
  absl::StatusOr<int> Start(absl::string_view address, int port);

  // Ends all watches and stops listening.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Asks the health server at `address` ("127.0.0.1:50051") for `service`. OK: it is SERVING.
// FailedPrecondition: it says that it is not. NotFound: it has no such service. Unavailable or
// DeadlineExceeded: nobody answers there.
absl::Status ProbeHealth(absl::string_view address, absl::string_view service, absl::Duration timeout);

}  // namespace arc

#endif  // ARC_COMMON_HEALTH_HEALTH_H_
