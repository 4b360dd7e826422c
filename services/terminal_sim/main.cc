#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/terminal_sim/device.h"
#include "services/terminal_sim/http_api.h"
#include "services/terminal_sim/journal.h"

ABSL_FLAG(std::string, http_host, "127.0.0.1", "Address to listen on.");
ABSL_FLAG(int, http_port, 0, "Port to listen on; 0 takes a free one.");
ABSL_FLAG(std::string, journal, "",
          "File that every change is kept in; created when it is missing. Required.");
ABSL_FLAG(std::string, nats_url, "", "Where taps come from (kiosk.input.card); empty: over HTTP only.");
ABSL_FLAG(std::string, kiosk_id, arc::subjects::kDefaultKioskId,
          "Kiosk of payments and taps that name none.");
ABSL_FLAG(std::string, ready_file, "", "File to write {\"pid\",\"http_url\"} to once the device listens.");
ABSL_FLAG(std::string, crash_after, "",
          "For tests: the process kills itself when it has journaled this event and told nobody: created, "
          "reopened, "
          "authorised (or authorise), captured, declined, cancelled, expired, refunded.");

namespace arc::terminal_sim {
namespace {

struct Ready {
  int64_t pid = 0;
  std::string http_url;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("pid", s.pid);
    v.Required("http_url", s.http_url);
  }
};

// The whole file or none of it: whoever waits for it reads it at once.
absl::Status WriteReadyFile(const std::string& path, const Ready& ready) {
  const std::string unfinished = absl::StrCat(path, ".", getpid());
  std::ofstream(unfinished) << json::Encode(ready) << "\n";
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::function<void(Event)>> CrashPoint(absl::string_view name) {
  if (name.empty()) return [](Event) {};
  for (size_t i = 0; i < EnumNames(Event()).size(); ++i) {
    // "authorise" is the verb that the event "authorised" comes from, and so on.
    const absl::string_view event = EnumNames(Event())[i];
    if (name != event && absl::StrCat(name, "d") != event && absl::StrCat(name, "ed") != event) continue;
    return [crash_at = static_cast<Event>(i)](Event journaled) {
      if (journaled == crash_at) raise(SIGKILL);
    };
  }
  return absl::InvalidArgumentError(absl::StrCat("--crash_after knows no event ", name));
}

absl::Status Run(const sigset_t& stop_signals) {
  if (absl::GetFlag(FLAGS_journal).empty()) return absl::InvalidArgumentError("--journal is required");
  Device::Options options;
  options.kiosk_id = absl::GetFlag(FLAGS_kiosk_id);
  ASSIGN_OR_RETURN(options.after_journaling, CrashPoint(absl::GetFlag(FLAGS_crash_after)));
  ASSIGN_OR_RETURN(std::unique_ptr<Journal> journal, Journal::Open(absl::GetFlag(FLAGS_journal)));
  ASSIGN_OR_RETURN(std::unique_ptr<Device> device, Device::Start(std::move(journal), std::move(options)));
  const std::string host = absl::GetFlag(FLAGS_http_host);
  ASSIGN_OR_RETURN(std::unique_ptr<HttpApi> api,
                   HttpApi::Start(device.get(), host, absl::GetFlag(FLAGS_http_port)));

  const Ready ready{getpid(),
                    absl::StrCat("http://", host == "0.0.0.0" ? "127.0.0.1" : host, ":", api->port())};
  std::cerr << "arc-terminal-sim listens on " << ready.http_url << std::endl;
  if (const std::string path = absl::GetFlag(FLAGS_ready_file); !path.empty()) {
    RETURN_IF_ERROR(WriteReadyFile(path, ready));
  }
  int received = 0;
  sigwait(&stop_signals, &received);
  return absl::OkStatus();
}

}  // namespace
}  // namespace arc::terminal_sim

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "A card terminal's stand-in: takes payment intents over HTTP and taps from NATS, and keeps a journal.\n"
      "  arc-terminal-sim --journal=FILE [--http_port=N] [--nats_url=URL]");
  absl::ParseCommandLine(argc, argv);
  // Blocked before any thread starts, so that the main thread alone takes them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  const absl::Status status = arc::terminal_sim::Run(stop_signals);
  if (status.ok()) return 0;
  std::cerr << "arc-terminal-sim: " << status.message() << std::endl;
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}
