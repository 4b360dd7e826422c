// The operator's command line (design, section 6): every verb as a function on a Session, and Arcctl, which
// parses, connects, runs one verb and says how it ended.
#ifndef ARC_SERVICES_ARCCTL_ARCCTL_H_
#define ARC_SERVICES_ARCCTL_ARCCTL_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "services/arcctl/arguments.h"

namespace arc::arcctl {

// Tells whoever waits that the user wants to end (Ctrl-C). Thread-safe.
class StopSignal {
 public:
  // False: no verb is prepared to end in its own way, so the process should.
  bool Stop();
  bool stopped() const;
  // Calls `action` on Stop(), at once when that has been called already. One action at a time; Clear() waits
  // for a running one.
  void OnStop(const std::function<void()>& action);
  void Clear();

 private:
  mutable std::mutex mutex_;
  std::mutex action_mutex_;
  bool stopped_ = false;
  std::function<void()> action_;
};

// What a verb works with.
struct Session {
  bus::Bus& bus;
  const Arguments& arguments;
  std::ostream& out;
  std::ostream& err;
  StopSignal& stop;
  absl::Duration timeout;  // --timeout, or 5 s
  std::string kiosk_id;    // --kiosk_id; empty: the default kiosk
  bool scoped = false;     // --scoped

  bool json() const { return arguments.Has("json"); }
  // One line of output, written at once: a reader may be waiting for it.
  void Print(absl::string_view line) const;
  // `subject` in the form that this kiosk uses (design, section 3.7).
  std::string SubjectOf(absl::string_view base) const;
};

extern const FlagSpec kNoWait;

// Publishes an input and waits until the stream has stored it.
absl::Status PublishInput(Session& session, absl::string_view subject, const Envelope& envelope,
                          absl::string_view payload);
// Sends typed words, and shows the screen that comes of it.
absl::Status SayAsInput(Session& session, const std::string& text);

// Has a command handled by an agent, and returns its answer's payload. The plain path answers at once, and
// what fails there makes no dead letter.
absl::StatusOr<json::Raw> AskPlainly(Session& session, bus::Message message, absl::Duration timeout);

// OK: done (exit status 0); a UsageError: 2; anything else: 1, its message on stderr.
using Verb = std::function<absl::Status(Session&)>;

struct VerbEntry {
  VerbSpec spec;
  Verb run;
};

// All verbs, in the order of the help. Each file adds its own.
std::vector<VerbEntry> AllVerbs();
void AddTopologyVerbs(std::vector<VerbEntry>& verbs);    // provision, doctor
void AddStatusVerbs(std::vector<VerbEntry>& verbs);      // status
void AddWatchVerbs(std::vector<VerbEntry>& verbs);       // watch
void AddMenuVerbs(std::vector<VerbEntry>& verbs);        // menu ..., recsys import
void AddCustomerVerbs(std::vector<VerbEntry>& verbs);    // touch, cart, tap, person
void AddSpeechVerbs(std::vector<VerbEntry>& verbs);      // speak, say
void AddSessionVerbs(std::vector<VerbEntry>& verbs);     // sessions, snapshot
void AddDeadLetterVerbs(std::vector<VerbEntry>& verbs);  // deadletter ...
void AddRequestVerbs(std::vector<VerbEntry>& verbs);     // request, reprint

// Runs the command line `words` (without the program's name) and returns the exit status.
int Run(const std::vector<std::string>& words, std::ostream& out, std::ostream& err, StopSignal& stop);

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_ARCCTL_H_
