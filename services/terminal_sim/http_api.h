#ifndef ARC_SERVICES_TERMINAL_SIM_HTTP_API_H_
#define ARC_SERVICES_TERMINAL_SIM_HTTP_API_H_

#include <httplib.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "services/terminal_sim/device.h"

namespace arc::terminal_sim {

// The device over HTTP, in the manner of a server-driven terminal's interface. README.md lists every path
// with its bodies and errors. Serves on threads of its own from Start() until destruction.
class HttpApi {
 public:
  // Port 0 takes a free one. Errors: Unavailable when the address cannot be bound. `device` outlives the
  // server.
  static absl::StatusOr<std::unique_ptr<HttpApi>> Start(Device* device, const std::string& host, int port);
  // Stops the device, so that no long poll is left, then the server.
  ~HttpApi();
  HttpApi(const HttpApi&) = delete;
  HttpApi& operator=(const HttpApi&) = delete;

  int port() const { return port_; }

 private:
  explicit HttpApi(Device* device) : device_(device) {}
  void Route();

  Device* const device_;
  httplib::Server server_;
  std::atomic<int> waiting_{0};  // Long polls that hold a thread now.
  int port_ = 0;
  std::thread thread_;
};

}  // namespace arc::terminal_sim

#endif  // ARC_SERVICES_TERMINAL_SIM_HTTP_API_H_
