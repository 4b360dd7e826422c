// A real nats-server with JetStream, of a test's own: on a free port of 127.0.0.1, its store in a folder of
// its own.
//
//   NatsServer server;                       // runs
//   server.Kill();                           // kill -9
//   server.Restart();                        // same port, same store
//
// Only for tests: failures fail the test.
#ifndef ARC_TESTS_SUPPORT_NATS_SERVER_H_
#define ARC_TESTS_SUPPORT_NATS_SERVER_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/support/process.h"

namespace arc::testing_support {

class NatsServer {
 public:
  // Starts it. `extra_config` is added to its configuration file.
  explicit NatsServer(absl::string_view extra_config = "");
  ~NatsServer();

  int port() const { return port_; }
  std::string url() const;
  // What the server logged since its last start.
  std::string log() const;
  pid_t pid() const { return process_ == nullptr ? -1 : process_->pid(); }

  void Kill();  // kill -9
  void Stop();  // SIGTERM: as on an orderly shutdown
  // Starts it again with the same port and store. Streams and buckets in memory are gone.
  void Restart();

  // Stops the server's process where it is, and lets it go on: a server that hangs, with connections open.
  void Pause();
  void Resume();

  // Creates what deploy/streams.json describes, as `arcctl provision` does; with a `kiosk_id` also what a
  // kiosk with subjects of its own needs.
  void Provision(absl::string_view kiosk_id = "");

 private:
  void Start();
  // False: it did not come to listen.
  bool StartOn(int wanted);

  TempDir dir_;
  std::string extra_;
  int port_ = -1;
  int starts_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace arc::testing_support

#endif  // ARC_TESTS_SUPPORT_NATS_SERVER_H_
