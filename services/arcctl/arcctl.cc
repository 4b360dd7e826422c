#include "services/arcctl/arcctl.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/nats_bus.h"
#include "common/bus/nats_login.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/login.h"

namespace arc::arcctl {
namespace {

constexpr char kDefaultUrl[] = "nats://localhost:4222";
constexpr absl::Duration kDefaultTimeout = absl::Seconds(5);

const std::vector<FlagSpec>& CommonFlags() {
  static const auto* const flags = new std::vector<FlagSpec>{
      {"nats_url", "URL",
       "nats-server, several separated by commas (default: $ARC_NATS_URL or nats://localhost:4222)"},
      {"nats_user", "NAME",
       "user of the bus (default: $ARC_NATS_USER, or the operator of a fleet that you have started on this "
       "machine)"},
      {"nats_password_file", "FILE",
       "file that holds the user's password (default: $ARC_NATS_PASSWORD_FILE)"},
      {"nats_nkey_file", "FILE",
       "file that holds the seed of the user's nkey, in a password's place (default: $ARC_NATS_NKEY_FILE)"},
      {"nats_ca_file", "FILE",
       "authorities (PEM) that sign nats-server's certificate; the connection is TLS then (default: "
       "$ARC_NATS_CA_FILE)"},
      {"kiosk_id", "K", "which kiosk (default: the one without an id of its own)"},
      {"scoped", "", "the kiosk's subjects end in its id"},
      {"timeout", "T", "how long to wait for the server and for answers (default: 5s)"},
      {"json", "", "print one JSON value a result"},
      {"help", "", "this text"},
  };
  return *flags;
}

std::vector<VerbSpec> Specs(const std::vector<VerbEntry>& verbs) {
  std::vector<VerbSpec> specs;
  specs.reserve(verbs.size());
  for (const VerbEntry& verb : verbs) specs.push_back(verb.spec);
  return specs;
}

std::string Environment(const char* name, absl::string_view otherwise = "") {
  const char* value = std::getenv(name);
  return value != nullptr ? value : std::string(otherwise);
}

absl::StatusOr<bus::NatsOptions> ConnectionOptions(const Arguments& arguments) {
  bus::NatsOptions options;
  options.url = arguments.Get("nats_url", Environment("ARC_NATS_URL", kDefaultUrl));
  options.name = "arcctl";
  options.user = arguments.Get("nats_user", Environment("ARC_NATS_USER"));
  bus::LoginFiles files;
  files.password_file = arguments.Get("nats_password_file", Environment("ARC_NATS_PASSWORD_FILE"));
  files.nkey_file = arguments.Get("nats_nkey_file", Environment("ARC_NATS_NKEY_FILE"));
  files.ca_file = arguments.Get("nats_ca_file", Environment("ARC_NATS_CA_FILE"));
  if (options.user.empty()) {
    if (const std::optional<Login> login = FindLogin(options.url)) {
      options.user = login->user;
      options.password = login->password;
      options.nkey_seed = login->nkey_seed;
      if (files.ca_file.empty()) files.ca_file = login->ca_file;
    }
  }
  RETURN_IF_ERROR(bus::ReadLogin(files, options));
  return options;
}

absl::Status RunVerb(const VerbEntry& verb, const Arguments& arguments, std::ostream& out, std::ostream& err,
                     StopSignal& stop) {
  ASSIGN_OR_RETURN(const absl::Duration timeout, arguments.GetDuration("timeout", kDefaultTimeout));
  const std::string kiosk_id = arguments.Get("kiosk_id");
  if (arguments.Has("kiosk_id") && !subjects::IsValidKioskId(kiosk_id)) {
    return UsageError(absl::StrCat("--kiosk_id: \"", kiosk_id, "\" is not 1 to 64 letters, digits, - and _"));
  }
  if (arguments.Has("scoped") && kiosk_id.empty()) return UsageError("--scoped needs --kiosk_id");
  ASSIGN_OR_RETURN(const bus::NatsOptions options, ConnectionOptions(arguments));
  ASSIGN_OR_RETURN(const std::unique_ptr<bus::NatsBus> bus,
                   bus::NatsBus::Connect(SystemClock::Get(), options));
  // What stays for good waits for the server, as the agents do.
  if (!arguments.Has("keep") && !bus->AwaitConnected(timeout)) {
    if (const std::string refusal = bus->refusal(); !refusal.empty()) {
      return absl::PermissionDeniedError(absl::StrCat(
          "nats-server at ", options.url, " refuses ",
          options.user.empty() ? "a connection without a user" : absl::StrCat("the user ", options.user),
          " (", refusal,
          "): give --nats_user and --nats_password_file or --nats_nkey_file; those of a fleet are in its "
          "folder credentials/"));
    }
    return absl::UnavailableError(
        absl::StrCat("no nats-server at ", options.url, " within ", absl::FormatDuration(timeout)));
  }
  Session session{*bus, arguments, out, err, stop, timeout, kiosk_id, arguments.Has("scoped")};
  absl::Status status = verb.run(session);
  // What is not permitted gets no answer, only a word of the server.
  const std::string refused = bus->refused_publish();
  if (status.ok() || refused.empty() || absl::StrContains(status.message(), refused)) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), " (nats-server: ", refused, ")"));
}

}  // namespace

bool StopSignal::Stop() {
  std::lock_guard<std::mutex> running(action_mutex_);
  std::function<void()> action;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    action = action_;
  }
  if (!action) return false;
  action();
  return true;
}

bool StopSignal::stopped() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stopped_;
}

void StopSignal::OnStop(const std::function<void()>& action) {
  std::lock_guard<std::mutex> running(action_mutex_);
  bool now = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    action_ = action;
    now = stopped_;
  }
  if (now) action();
}

void StopSignal::Clear() {
  std::lock_guard<std::mutex> running(action_mutex_);
  std::lock_guard<std::mutex> lock(mutex_);
  action_ = nullptr;
}

void Session::Print(absl::string_view line) const {
  out << line << "\n" << std::flush;
}

std::string Session::SubjectOf(absl::string_view base) const {
  return scoped ? subjects::Scope(base, kiosk_id) : std::string(base);
}

std::vector<VerbEntry> AllVerbs() {
  std::vector<VerbEntry> verbs;
  AddTopologyVerbs(verbs);
  AddStatusVerbs(verbs);
  AddWatchVerbs(verbs);
  AddMenuVerbs(verbs);
  AddCustomerVerbs(verbs);
  AddSpeechVerbs(verbs);
  AddSessionVerbs(verbs);
  AddDeadLetterVerbs(verbs);
  AddRequestVerbs(verbs);
  return verbs;
}

int Run(const std::vector<std::string>& words, std::ostream& out, std::ostream& err, StopSignal& stop) {
  const std::vector<VerbEntry> verbs = AllVerbs();
  const std::vector<VerbSpec> specs = Specs(verbs);
  const absl::StatusOr<Arguments> arguments = ParseArguments(words, specs, CommonFlags());
  absl::Status status = arguments.status();
  if (arguments.ok()) {
    if (arguments->help()) {
      out << HelpText(arguments->verb(), specs, CommonFlags()) << std::flush;
      return 0;
    }
    for (const VerbEntry& verb : verbs) {
      if (verb.spec.name == arguments->verb()) status = RunVerb(verb, *arguments, out, err, stop);
    }
  }
  if (status.ok()) return 0;
  err << "arcctl: " << status.message() << "\n";
  if (!IsUsageError(status)) return 1;
  err << "`arcctl " << (arguments.ok() ? arguments->verb() + " " : "") << "--help` says how.\n";
  return 2;
}

}  // namespace arc::arcctl
