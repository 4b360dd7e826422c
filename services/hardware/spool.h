// Receipts that are to be printed exactly once, through crashes, empty rolls and repeated requests (design,
// sections 3.3, 3.4).
//
// One file an order in a folder, replaced in one step and on the disk before the next step begins. The
// states:
//
//   pending    kept, not on paper: waits for its turn, for the printer, or for the bus
//   printing   on its way to the printer
//   printed    on paper
//   uncertain  some of it was sent when the printer or this process failed; only a person can see what is on
//   the paper
//
// Twice is prevented in three places. In this process one record an order holds its state. Between copies of
// the agent, a key `print.<order>` in the bucket KIOSK_RECEIPTS is created atomically before the first byte;
// whoever finds it made by somebody else does not print. After a crash in `printing`, a printer that keeps a
// memory (a file) is asked whether it has the job; for any other the receipt becomes `uncertain` and is never
// printed again by itself. A person decides, with `reprint`, and what then comes out is marked as a copy.
#ifndef ARC_SERVICES_HARDWARE_SPOOL_H_
#define ARC_SERVICES_HARDWARE_SPOOL_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "services/hardware/printer.h"
#include "services/hardware/unique_fd.h"

namespace arc::hardware {

struct PrintJob {
  std::string order_id;     // Any text; one receipt is printed for it.
  std::string fingerprint;  // Of what the order is: the same for a repeated request, another for other lines
                            // or total.
  std::string bytes;        // ESC/POS.
  // Print another copy of an order that is printed or uncertain. A request with the key of the last copy is
  // that request again and prints nothing; an empty key is always a new one.
  bool reprint = false;
  std::string reprint_key;
};

struct PrintOutcome {
  bool already_printed = false;  // By an earlier request, here or at another copy of the agent.
};

struct SpoolCounts {
  int64_t pending = 0;  // Printing included.
  int64_t uncertain = 0;
};

// An error as it is kept for all who ask for an order. Each of them gets a Status of its own, because threads
// that share one look like a data race to ThreadSanitizer, which cannot see into the library that counts its
// users.
struct SpoolError {
  SpoolError() = default;
  SpoolError(ErrorCode error_code, std::string text) : code(error_code), message(std::move(text)) {}
  absl::Status ToStatus() const { return MakeError(code, message); }

  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

// Thread-safe. Printer, clock and bucket must outlive it.
class Spool {
 public:
  struct Options {
    std::string folder;                             // Made when it does not exist.
    absl::Duration first_retry = absl::Seconds(1);  // Doubles with each failure in a row.
    absl::Duration longest_retry = absl::Seconds(10);
    absl::Duration idle_check = absl::Seconds(30);  // How often a printer with nothing to print is asked.
    absl::Duration keep = absl::Hours(72);          // For how long a printed receipt is remembered here.
  };

  // Told on the spool's own thread, without locks held, when the printer's condition changes, and when a
  // receipt has become uncertain (`order_id` is then its order).
  struct Listener {
    std::function<void(const PrinterState&)> on_condition;
    std::function<void(absl::string_view order_id, absl::string_view detail)> on_uncertain;
  };

  // Reads the folder and settles what a crash left behind; nothing is printed before Start().
  // FailedPrecondition when the folder cannot be used, or is used by another process. A file that cannot be
  // read is set aside as FILE.bad.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(const Options& options, Printer& printer, Clock& clock,
                                                     Listener listener = {});
  // Stops; what is pending stays in the folder. Waits for a job that is on its way to the printer, and
  // for callers inside Print(), who are answered.
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Starts printing, pending receipts first, with claims in `bucket`. Once.
  void Start(bus::KeyValue& bucket);

  // Prints a receipt once. Blocks until the printer has taken it or has failed to once; a request for an
  // order that failed before gets its present state at once.
  //   INVALID_REQUEST  the order was asked for with another fingerprint
  //   HARDWARE_ERROR   out of paper or unreachable: kept, and printed when the printer is back; or uncertain
  //   UNAVAILABLE      the claim could not be made because the bus is away: kept, tried again
  absl::StatusOr<PrintOutcome> Print(const PrintJob& job);

  SpoolCounts counts() const;

  // How the printer is: asked now, or as last seen while a job is being printed.
  PrinterState printer_state();

  // `order_id` as a file name and a token of a key: itself when it is 1 to 64 letters, digits, '-' and '_',
  // else "=" and its SHA-256.
  static std::string KeyOf(absl::string_view order_id);

 private:
  struct Record;
  enum class Claim { kOurs, kPrintedElsewhere, kTaken, kFailed };

  Spool(const Options& options, Printer& printer, Clock& clock, Listener listener);
  absl::Status Load();
  std::string PathOf(const Record& record) const;
  absl::Status Save(const Record& record);

  void Run();
  // The next pending record, or null. The caller holds the mutex, here and below.
  std::shared_ptr<Record> NextPending() const;
  // One attempt at `record`. Unlocks `lock` while it waits for the bus, the disk or the printer.
  void Attempt(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Record>& record);
  void Finish(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Record>& record,
              const PrintResult& result);
  void FailPending(const SpoolError& error);
  void SetCondition(std::unique_lock<std::mutex>& lock, const PrinterState& state);
  // Whether the bucket now says of every receipt what this spool says.
  bool SyncClaims(std::unique_lock<std::mutex>& lock);
  // Asks the printer how it is.
  void Look(std::unique_lock<std::mutex>& lock);
  void Prune();

  // Without the mutex: these wait for the bus.
  Claim MakeClaim(const Record& record, SpoolError& error);
  absl::Status WriteClaim(const Record& record);

  const Options options_;
  Printer& printer_;
  Clock& clock_;
  const Listener listener_;
  UniqueFd folder_lock_;
  bus::KeyValue* bucket_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Record>> records_;  // By KeyOf(order_id).
  uint64_t next_sequence_ = 1;
  bool stopping_ = false;
  bool busy_ = false;  // A job is at the printer.
  bool kicked_ = false;
  int waiting_ = 0;   // Callers inside Print().
  int failures_ = 0;  // Attempts in a row that did not reach the printer.
  PrinterState state_;
  absl::Time next_prune_;
  std::thread thread_;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_SPOOL_H_
