// What the tests of this folder share: a network printer made of sockets.
#ifndef ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_
#define ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/bus/bus.h"
#include "services/hardware/printer.h"
#include "services/hardware/unique_fd.h"
#include "tests/support/process.h"

namespace arc::hardware {

// A receipt printer on a TCP port of 127.0.0.1: what is printed collects as paper, status requests are
// answered and kept off the paper. One connection at a time, as printers have it.
class FakeTcpPrinter {
 public:
  struct Behaviour {
    bool answers_status = true;
    bool answers_details = true;       // DLE EOT 2 and 4, besides 1.
    bool answers_finish = true;        // GS r.
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

// A bucket in memory that can be away, and can lose the answer to a create.
class FakeBucket : public bus::KeyValue {
 public:
  absl::StatusOr<Entry> Get(absl::string_view key) override;
  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override;
  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override;
  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value, uint64_t revision) override;
  absl::Status Delete(absl::string_view key) override;
  absl::Status Purge(absl::string_view key) override;
  absl::StatusOr<std::vector<std::string>> Keys() override;
  absl::StatusOr<std::unique_ptr<bus::Subscription>> Watch(absl::string_view filter,
                                                           std::function<void(const Entry&)> on_entry,
                                                           std::function<void()> on_current) override;

  void SetAway(bool away);
  void LoseNextCreateAnswer();
  std::map<std::string, Entry> entries();
  void SetEntries(std::map<std::string, Entry> entries);
  // Called with "create", "created" or "put" and no locks held, at the named moment.
  std::function<void(absl::string_view moment)> on_moment;

 private:
  absl::Status Reach();
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  uint64_t revision_ = 0;
  bool away_ = false;
  bool lose_create_ = false;
};

// A printer without a memory, as real ones are: what is printed collects as paper.
class FakePrinter : public Printer {
 public:
  PrintResult Print(absl::string_view job_id, absl::string_view bytes) override;
  PrinterState GetState() override;
  std::optional<bool> WasPrinted(absl::string_view) override { return std::nullopt; }
  std::string name() const override { return "fake"; }

  void SetCondition(PrinterState::Condition condition);
  // What becomes of the next jobs, once the printer is ready.
  void SetFate(PrintResult::Fate fate);
  std::vector<std::string> paper();
  int asked();
  // Called with "print" before and "printed" after a job's bytes are on paper, without locks held.
  std::function<void(absl::string_view moment)> on_moment;

 private:
  PrinterState State();
  std::mutex mutex_;
  PrinterState::Condition condition_ = PrinterState::Condition::kReady;
  PrintResult::Fate fate_ = PrintResult::Fate::kPrinted;
  std::vector<std::string> paper_;
  int asked_ = 0;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_TEST_SUPPORT_H_
