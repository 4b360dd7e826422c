// What the tests of this folder share: a folder that goes away, and a network printer made of sockets.
#ifndef ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_
#define ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "services/hardware/unique_fd.h"

namespace arc::hardware {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A receipt printer on a TCP port of 127.0.0.1: what is printed collects as paper, status requests are
// answered and kept off the paper. One connection at a time, as printers have it.
class FakeTcpPrinter {
 public:
  struct Behaviour {
    bool answers_status = true;
    bool paper_out = false;            // As DLE EOT tells it.
    bool paper_out_after_job = false;  // As GS r tells it.
    bool accepting = true;             // Connections wait until this is true.
    size_t reset_after = 0;            // Bytes of a connection after which it is reset; 0: never.
    size_t stall_after = 0;  // Bytes of a connection after which nothing is read any more; 0: never.
  };

  explicit FakeTcpPrinter(const Behaviour& behaviour, int port = 0);
  ~FakeTcpPrinter();

  int port() const { return port_; }
  void Set(const Behaviour& behaviour);

  // The paper once `done` holds for it; fails the test after 10 s.
  std::string AwaitPaper(const std::function<bool(const std::string&)>& done);
  // Returns when a client has connected but was not accepted; fails the test after 10 s.
  void AwaitPendingConnection();

 private:
  void Run();
  void Serve(int fd);
  bool Stopped();

  std::mutex mutex_;
  std::condition_variable changed_;
  Behaviour behaviour_;
  std::string paper_;
  bool stop_ = false;
  UniqueFd listener_;
  UniqueFd wake_read_;
  UniqueFd wake_write_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_
