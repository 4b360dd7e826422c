#include "tests/support/nats_server.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/provision/provision.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"

namespace arc::testing_support {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(30);

// The port in a ports file ({"nats":["nats://127.0.0.1:44463"]}), once it is whole.
std::optional<int> PortIn(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string text = ReadFile(entry.path().string());
    // The first of its addresses, clients': nats://... or, with TLS, tls://...
    constexpr absl::string_view kBefore = "s://127.0.0.1:";
    const size_t at = text.find(kBefore.data());
    const size_t end = text.find('"', at == std::string::npos ? text.size() : at);
    int port = 0;
    if (end != std::string::npos &&
        absl::SimpleAtoi(text.substr(at + kBefore.size(), end - at - kBefore.size()), &port)) {
      return port;
    }
  }
  return std::nullopt;
}

// One that the system gives to nobody who asks for any port, so that a server that is killed finds it free
// when it comes back.
int FreePort() {
  constexpr int kLowest = 10'000;
  int end = 32'768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> end;
  absl::BitGen random;
  while (true) {
    const int port = absl::Uniform(random, kLowest, std::max(end, kLowest + 1));
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    if (free) return port;
  }
}

}  // namespace

NatsServer::NatsServer(absl::string_view extra_config) : extra_(extra_config) {
  Start();
}

NatsServer::~NatsServer() {
  Kill();
}

std::string NatsServer::url() const {
  return absl::StrCat("nats://127.0.0.1:", port_);
}

std::string NatsServer::log() const {
  return process_ == nullptr ? "" : process_->Stderr();
}

void NatsServer::Start() {
  const bool chosen = port_ != -1;
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (!chosen) port_ = FreePort();
    if (StartOn(port_)) return;
    // Another program took the port meanwhile.
    if (chosen || !absl::StrContains(log(), "address already in use")) break;
  }
  ADD_FAILURE() << "nats-server did not start:\n" << log();
}

bool NatsServer::StartOn(int wanted) {
  // A folder for each start: a killed server leaves its ports file behind.
  const std::string ports = dir_.File(absl::StrCat("ports-", ++starts_));
  std::filesystem::create_directory(ports);
  const std::string config = dir_.File("nats-server.conf");
  std::ofstream(config) << "host: \"127.0.0.1\"\nport: " << wanted << "\nports_file_dir: \"" << ports
                        << "\"\njetstream {\n  store_dir: \"" << dir_.path()
                        << "\"\n  max_memory_store: 256MB\n  max_file_store: 1GB\n}\nmax_payload: 1MB\n"
                        << extra_ << "\n";
  absl::StatusOr<std::unique_ptr<Process>> process = Process::Start({"nats-server", "-c", config});
  if (!process.ok()) {
    ADD_FAILURE() << process.status();
    return false;
  }
  process_ = *std::move(process);
  std::optional<int> port;
  Await("nats-server listens", kLimit, [&] {
    port = PortIn(ports);
    return port.has_value() || !process_->running();
  });
  return port.has_value();
}

void NatsServer::Kill() {
  if (process_ != nullptr) process_->Kill();
}

void NatsServer::Stop() {
  if (process_ == nullptr) return;
  process_->Send(SIGTERM);
  if (!process_->WaitExit(kLimit).has_value()) ADD_FAILURE() << "nats-server does not stop:\n" << log();
}

void NatsServer::Restart() {
  Kill();
  Start();
}

void NatsServer::Pause() {
  process_->Send(SIGSTOP);
}

void NatsServer::Resume() {
  process_->Send(SIGCONT);
}

void NatsServer::Provision(absl::string_view kiosk_id) {
  bus::NatsOptions options;
  options.url = url();
  options.name = "test-provision";
  absl::StatusOr<std::unique_ptr<bus::NatsBus>> bus = bus::NatsBus::Connect(SystemClock::Get(), options);
  ASSERT_TRUE(bus.ok()) << bus.status();
  ASSERT_TRUE((*bus)->AwaitConnected(kLimit)) << "no connection to nats-server within 30 s";
  absl::StatusOr<provision::Topology> topology = provision::ParseTopology(provision::DefaultTopologyText());
  if (topology.ok() && !kiosk_id.empty()) topology = provision::ForKiosk(*std::move(topology), kiosk_id);
  ASSERT_TRUE(topology.ok()) << topology.status();
  const absl::StatusOr<provision::ProvisionReport> report = provision::Provision(**bus, *topology);
  ASSERT_TRUE(report.ok()) << report.status();
  for (const provision::Difference& difference : report->differences) {
    ADD_FAILURE() << difference.ToString();
  }
}

}  // namespace arc::testing_support
