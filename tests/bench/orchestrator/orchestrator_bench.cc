// Measures touch to screen on a running bus with an orchestrator and a menu agent (design, section 7: 1,000
// kiosks, 1,000 touches a second, p99 at most 50 ms).
//
//   orchestrator_bench --nats_url=nats://127.0.0.1:4222 [--kiosks=1000] [--rate=1000] [--seconds=20]
//
// Every kiosk has its own subjects. Touches go round the kiosks at an even rate: start, a category, an item,
// the cart, again and again. A touch is answered by the first kiosk.ui.update of its kiosk that carries its
// trace_id. Prints one line: touches, answers, p50, p90, p99 and the longest, in milliseconds.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/subjects/subjects.h"

ABSL_FLAG(std::string, nats_url, "nats://localhost:4222", "the bus");
ABSL_FLAG(int, kiosks, 1000, "how many kiosks");
ABSL_FLAG(int, rate, 1000, "touches a second, of all kiosks together");
ABSL_FLAG(int, seconds, 20, "how long");

namespace {

struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, absl::Time> sent;  // by trace_id
  std::vector<double> milliseconds;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  arc::Clock& clock = arc::SystemClock::Get();
  arc::bus::NatsOptions options;
  options.url = absl::GetFlag(FLAGS_nats_url);
  auto bus = arc::bus::NatsBus::Connect(clock, options);
  if (!bus.ok() || !(*bus)->AwaitConnected(absl::Seconds(5))) {
    std::fprintf(stderr, "cannot connect to %s\n", options.url.c_str());
    return 1;
  }
  Shared shared;
  auto subscription = (*bus)->Subscribe("kiosk.ui.update.*", "", [&](const arc::bus::Message& message) {
    const absl::Time now = clock.Now();
    const auto parsed = arc::ParseMessage(message.body, now);
    if (!parsed.ok()) return;
    std::lock_guard<std::mutex> lock(shared.mutex);
    const auto sent = shared.sent.find(parsed->envelope.trace_id);
    if (sent == shared.sent.end()) return;
    shared.milliseconds.push_back(absl::ToDoubleMilliseconds(now - sent->second));
    shared.sent.erase(sent);
    shared.changed.notify_all();
  });
  if (!subscription.ok()) return 1;

  const std::vector<std::string> payloads = {
      R"({"event":"touch","action":"start"})",
      R"({"event":"touch","action":"browse_category","category":"burgers"})",
      R"({"event":"touch","action":"select_item","item_id":101})",
      R"({"event":"cart_action","action":"add","item_id":201,"quantity":1})",
      R"({"event":"touch","action":"show_cart"})",
      R"({"event":"cart_action","action":"remove","item_id":201})",
  };
  const int kiosks = absl::GetFlag(FLAGS_kiosks);
  const int rate = absl::GetFlag(FLAGS_rate);
  const int64_t touches = static_cast<int64_t>(rate) * absl::GetFlag(FLAGS_seconds);
  const int64_t warm_up = kiosks;  // each kiosk's first touch makes its state
  const absl::Time begin = clock.Now();
  for (int64_t i = -warm_up; i < touches; ++i) {
    const absl::Time due = begin + absl::Seconds(1) * static_cast<double>(i + warm_up) / rate;
    {
      std::unique_lock<std::mutex> lock(shared.mutex);
      clock.WaitUntil(lock, shared.changed, due, [] { return false; });
    }
    const int64_t round = (i + warm_up) / kiosks;
    const std::string& payload = payloads[static_cast<size_t>(round) % payloads.size()];
    const bool cart = payload.find("cart_action") != std::string::npos;
    const arc::Envelope envelope = arc::MakeEnvelope(clock.Now(), "");
    if (i >= 0) {
      std::lock_guard<std::mutex> lock(shared.mutex);
      shared.sent[envelope.trace_id] = clock.Now();
    }
    arc::bus::Message message;
    message.subject = arc::subjects::Scope(cart ? arc::subjects::kCartAction : arc::subjects::kTouch,
                                           absl::StrCat("bench-", (i + warm_up) % kiosks));
    message.headers.Set(arc::subjects::kMsgIdHeader, envelope.msg_id);
    message.body = arc::WrapPayload(envelope, payload);
    if (!(*bus)->Publish(message).ok()) return 1;
  }
  std::unique_lock<std::mutex> lock(shared.mutex);
  clock.WaitUntil(lock, shared.changed, clock.Now() + absl::Seconds(10), [&] { return shared.sent.empty(); });
  std::vector<double> sorted = shared.milliseconds;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    return sorted.empty() ? 0.0
                          : sorted[std::min(sorted.size() - 1,
                                            static_cast<size_t>(share * static_cast<double>(sorted.size())))];
  };
  std::printf(
      "%lld touches, %zu answered; touch to screen p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, longest %.2f ms\n",
      static_cast<long long>(touches), sorted.size(), at(0.5), at(0.9), at(0.99), at(1.0));
  lock.unlock();
  subscription->reset();
  return sorted.size() == static_cast<size_t>(touches) ? 0 : 1;
}
