// How fast a command is (design, section 7): bare nats.c request/reply, the bare durable path, and the
// fleet's own, side by side on one nats-server in one run. Prints one JSON object a line; scripts/bench makes
// ratios of them.
//
//   bus_bench --nats_url URL [--seconds S] [--bytes N] [--only PATH]
//
// The streams must be provisioned (arcctl provision). The responders are threads of this process with
// connections of their own, so that all three paths do the same work, which is none. The path menu_search,
// measured only when asked for, is a search answered by a running arc-menu.
//
// cpu_us is the processor time that this process took for a request of the throughput measurement, requester
// and responder together: unlike the rest it hardly depends on what else the machine does.
#include <httplib.h>
#include <nats/nats.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/bus/call.h"
#include "common/bus/command_server.h"
#include "common/bus/nats_bus.h"
#include "common/messages/menu.h"
#include "common/subjects/subjects.h"
#include "common/trace/otlp_exporter.h"
#include "common/trace/trace.h"

ABSL_FLAG(std::string, nats_url, "nats://127.0.0.1:4222", "The server to measure on");
ABSL_FLAG(double, seconds, 3, "How long each measurement runs");
ABSL_FLAG(int, bytes, 900, "Size of a request's payload and of its reply");
ABSL_FLAG(int, window, 256, "Requests under way at once in the throughput measurements");
ABSL_FLAG(std::string, only, "", "Only the paths whose name contains this");
ABSL_FLAG(std::string, query, "burger", "What menu_search searches for, limit 10");

namespace {

constexpr char kSubject[] = "kiosk.agent.bench.echo";
constexpr char kDurable[] = "bench-agent-consumer";

struct Figures {
  std::vector<double> latencies_us;
  double throughput = 0;
  double cpu_us = 0;
};

double CpuMicroseconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void Report(const std::string& path, Figures figures) {
  std::sort(figures.latencies_us.begin(), figures.latencies_us.end());
  const auto at = [&](double q) {
    if (figures.latencies_us.empty()) return 0.0;
    const size_t i = static_cast<size_t>(q * static_cast<double>(figures.latencies_us.size() - 1));
    return figures.latencies_us[i];
  };
  std::printf(
      "{\"path\":\"%s\",\"samples\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"throughput_per_s\":%.0f,"
      "\"cpu_us\":%.1f}\n",
      path.c_str(), figures.latencies_us.size(), at(0.5), at(0.99), figures.throughput, figures.cpu_us);
  std::fflush(stdout);
}

// Sends one after the other and takes the times.
template <class Send>
void MeasureLatency(Figures& figures, Send send) {
  for (int i = 0; i < 200; ++i) send();
  const absl::Time end = absl::Now() + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  while (absl::Now() < end) {
    const absl::Time start = absl::Now();
    send();
    figures.latencies_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
}

// Keeps `window` requests under way. `start(done)` sends one and calls done() at its answer.
void MeasureThroughput(Figures& figures, const std::function<void(std::function<void()>)>& start) {
  std::mutex mutex;
  std::condition_variable changed;
  int under_way = 0;
  uint64_t answered = 0;
  const int window = absl::GetFlag(FLAGS_window);
  const double cpu = CpuMicroseconds();
  const absl::Time begin = absl::Now();
  const absl::Time end = begin + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  const auto done = [&] {
    std::lock_guard<std::mutex> lock(mutex);
    --under_way;
    ++answered;
    if (under_way <= window * 3 / 4) changed.notify_one();
  };
  while (absl::Now() < end) {
    int room = 0;
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return under_way < window; });
      room = window - under_way;
      under_way += room;
    }
    for (int i = 0; i < room; ++i) start(done);
  }
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait_for(lock, std::chrono::seconds(5), [&] { return under_way == 0; });
  figures.throughput = static_cast<double>(answered) / absl::ToDoubleSeconds(absl::Now() - begin);
  figures.cpu_us = (CpuMicroseconds() - cpu) / static_cast<double>(std::max<uint64_t>(1, answered));
}

void Check(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  std::fprintf(stderr, "bus_bench: %s: %s\n", what, natsStatus_GetText(status));
  std::exit(1);
}

natsConnection* Open(bool send_asap) {
  natsOptions* options = nullptr;
  Check(natsOptions_Create(&options), "options");
  const std::string url = absl::GetFlag(FLAGS_nats_url);
  Check(natsOptions_SetURL(options, url.c_str()), "url");
  natsOptions_SetSendAsap(options, send_asap);
  natsConnection* connection = nullptr;
  Check(natsConnection_Connect(&connection, options), "connect");
  natsOptions_Destroy(options);
  return connection;
}

// Requests on one shared inbox, as natsConnection_Request does it, but with many under way.
struct Mux {
  natsConnection* connection = nullptr;
  natsSubscription* subscription = nullptr;
  std::string prefix;
  std::mutex mutex;
  std::vector<std::function<void()>> waiting;
  std::vector<size_t> free;

  explicit Mux(natsConnection* c) : connection(c) {
    natsInbox* inbox = nullptr;
    Check(natsInbox_Create(&inbox), "inbox");
    prefix = absl::StrCat(inbox, ".");
    natsInbox_Destroy(inbox);
    Check(natsConnection_Subscribe(
              &subscription, connection, absl::StrCat(prefix, "*").c_str(),
              [](natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
                static_cast<Mux*>(closure)->OnReply(msg);
              },
              this),
          "subscribe");
  }
  ~Mux() {
    natsSubscription_Unsubscribe(subscription);
    natsSubscription_Destroy(subscription);
  }
  void OnReply(natsMsg* msg) {
    const size_t slot = std::strtoul(natsMsg_GetSubject(msg) + prefix.size(), nullptr, 10);
    natsMsg_Destroy(msg);
    std::function<void()> done;
    {
      std::lock_guard<std::mutex> lock(mutex);
      done = std::move(waiting[slot]);
      free.push_back(slot);
    }
    if (done) done();
  }
  void Send(const char* subject, const std::string& body, bool durable, std::function<void()> done) {
    size_t slot = 0;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (free.empty()) {
        free.push_back(waiting.size());
        waiting.emplace_back();
      }
      slot = free.back();
      free.pop_back();
      waiting[slot] = std::move(done);
    }
    const std::string reply = absl::StrCat(prefix, slot);
    natsMsg* msg = nullptr;
    Check(natsMsg_Create(&msg, subject, reply.c_str(), body.data(), static_cast<int>(body.size())),
          "message");
    if (durable) natsMsgHeader_Set(msg, "Kiosk-Reply-To", reply.c_str());
    natsConnection_PublishMsg(connection, msg);
    natsMsg_Destroy(msg);
  }
  void SendAndWait(const char* subject, const std::string& body, bool durable) {
    std::mutex m;
    std::condition_variable changed;
    bool answered = false;
    Send(subject, body, durable, [&] {
      std::lock_guard<std::mutex> lock(m);
      answered = true;
      changed.notify_one();
    });
    std::unique_lock<std::mutex> lock(m);
    if (!changed.wait_for(lock, std::chrono::seconds(5), [&] { return answered; })) {
      std::fprintf(stderr, "bus_bench: no answer on %s in 5 s\n", subject);
      std::exit(1);
    }
  }
};

// The simplest request and reply that nats.c can do, writing at once.
void BareRequestReply(const std::string& body) {
  natsConnection* server = Open(true);
  natsConnection* client = Open(true);
  natsSubscription* subscription = nullptr;
  Check(natsConnection_Subscribe(
            &subscription, server, "bench.echo",
            [](natsConnection* connection, natsSubscription*, natsMsg* msg, void*) {
              natsConnection_Publish(connection, natsMsg_GetReply(msg), natsMsg_GetData(msg),
                                     natsMsg_GetDataLength(msg));
              natsMsg_Destroy(msg);
            },
            nullptr),
        "subscribe");
  natsConnection_Flush(server);
  Figures figures;
  MeasureLatency(figures, [&] {
    natsMsg* reply = nullptr;
    Check(natsConnection_Request(&reply, client, "bench.echo", body.data(), static_cast<int>(body.size()),
                                 5000),
          "request");
    natsMsg_Destroy(reply);
  });
  {
    Mux mux(client);
    MeasureThroughput(
        figures, [&](std::function<void()> done) { mux.Send("bench.echo", body, false, std::move(done)); });
  }
  Report("bare_request_reply", std::move(figures));
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(client);
  natsConnection_Destroy(server);
}

// Publish, stream, pull, reply, ack with nats.c and nothing else.
void BareDurable(const std::string& body, bool send_asap) {
  natsConnection* server = Open(send_asap);
  natsConnection* client = Open(send_asap);
  std::atomic<bool> stop{false};
  std::thread responder([&] {
    jsCtx* js = nullptr;
    Check(natsConnection_JetStream(&js, server, nullptr), "JetStream");
    jsSubOptions options;
    jsSubOptions_Init(&options);
    options.Stream = "KIOSK_COMMANDS";
    options.Consumer = kDurable;
    natsSubscription* subscription = nullptr;
    Check(js_PullSubscribe(&subscription, js, "kiosk.agent.bench.>", kDurable, nullptr, &options, nullptr),
          "pull subscribe");
    while (!stop) {
      natsMsgList list = {nullptr, 0};
      jsErrCode error = static_cast<jsErrCode>(0);
      if (natsSubscription_Fetch(&list, subscription, send_asap ? 1 : 128, 100, &error) != NATS_OK) continue;
      for (int i = 0; i < list.Count; ++i) {
        natsMsg* msg = list.Msgs[i];
        const char* reply = nullptr;
        if (natsMsgHeader_Get(msg, "Kiosk-Reply-To", &reply) == NATS_OK) {
          natsConnection_Publish(server, reply, natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
        }
        natsMsg_Ack(msg, nullptr);
      }
      natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(subscription);
    jsCtx_Destroy(js);
  });
  Figures figures;
  {
    Mux mux(client);
    MeasureLatency(figures, [&] { mux.SendAndWait(kSubject, body, true); });
    MeasureThroughput(figures,
                      [&](std::function<void()> done) { mux.Send(kSubject, body, true, std::move(done)); });
    stop = true;
    responder.join();
  }
  Report(send_asap ? "bare_durable_send_asap" : "bare_durable_buffered", std::move(figures));
  natsConnection_Destroy(client);
  natsConnection_Destroy(server);
}

// What the fleet does: envelope in and out, deadline, both paths served, delivery table.
void FleetDurable(const std::string& payload, const char* path = "fleet_durable") {
  using arc::bus::NatsBus;
  const arc::bus::NatsOptions options{absl::GetFlag(FLAGS_nats_url), "bus_bench", "", ""};
  std::unique_ptr<NatsBus> server = NatsBus::Connect(arc::SystemClock::Get(), options).value();
  std::unique_ptr<NatsBus> client = NatsBus::Connect(arc::SystemClock::Get(), options).value();
  if (!server->AwaitConnected(absl::Seconds(5)) || !client->AwaitConnected(absl::Seconds(5))) std::exit(1);
  arc::bus::Executor executor;
  arc::bus::CommandServer commands(*server, executor, "bench", "arc-bench");
  commands.Handle(
      kSubject, arc::bus::Execution::kInline,
      [](const arc::json::Node& node, const arc::bus::RequestContext&) -> absl::StatusOr<std::string> {
        return arc::json::Encode(node);
      });
  if (!commands.Start({{kDurable, "kiosk.agent.bench.>"}}).ok()) std::exit(1);
  server->Flush(absl::Seconds(5)).IgnoreError();
  arc::bus::CallContext context;
  context.timeout = absl::Seconds(5);
  Figures figures;
  MeasureLatency(figures, [&] {
    const auto answer = arc::bus::CallRawAndWait(*client, kSubject, payload, context);
    if (!answer.ok()) {
      std::fprintf(stderr, "bus_bench: %s\n", std::string(answer.status().message()).c_str());
      std::exit(1);
    }
  });
  MeasureThroughput(figures, [&](std::function<void()> done) {
    arc::bus::CallRaw(*client, kSubject, payload, context,
                      [done = std::move(done)](const absl::StatusOr<arc::ParsedMessage>&) { done(); });
  });
  Report(path, std::move(figures));
}

// The same with its spans, which a collector takes.
void TracedDurable(const std::string& payload) {
  httplib::Server collector;
  collector.Post("/v1/traces", [](const httplib::Request&, httplib::Response&) {});
  const int port = collector.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { collector.listen_after_bind(); });
  arc::trace::OtlpOptions options;
  options.url = absl::StrCat("http://127.0.0.1:", port, "/v1/traces");
  options.resource["service.name"] = "bus_bench";
  auto exporter = arc::trace::OtlpExporter::Create(options).value();
  arc::trace::SetProcessor(exporter.get());
  FleetDurable(payload, "traced_durable");
  arc::trace::SetProcessor(nullptr);
  exporter->Flush(absl::Seconds(5));
  const arc::trace::OtlpExporter::Counts counts = exporter->counts();
  std::fprintf(stderr, "bus_bench: spans: %llu taken, %llu dropped, %llu failed\n",
               static_cast<unsigned long long>(counts.exported),
               static_cast<unsigned long long>(counts.dropped),
               static_cast<unsigned long long>(counts.failed));
  exporter.reset();
  collector.stop();
  thread.join();
}

void Expect(const absl::StatusOr<arc::messages::SearchResponse>& answer) {
  if (answer.ok() && answer->items.size() == 10) return;
  std::fprintf(stderr, "bus_bench: menu_search: %s\n",
               answer.ok() ? "not ten items (is the demo menu imported?)"
                           : std::string(answer.status().message()).c_str());
  std::exit(1);
}

// A search of the menu, as the orchestrator sends it.
void MenuSearch() {
  using arc::bus::NatsBus;
  using arc::messages::SearchResponse;
  const arc::bus::NatsOptions options{absl::GetFlag(FLAGS_nats_url), "bus_bench", "", ""};
  std::unique_ptr<NatsBus> client = NatsBus::Connect(arc::SystemClock::Get(), options).value();
  if (!client->AwaitConnected(absl::Seconds(5))) std::exit(1);
  arc::messages::SearchRequest request;
  request.query = absl::GetFlag(FLAGS_query);
  arc::bus::CallContext context;
  context.timeout = absl::Seconds(5);
  Figures figures;
  MeasureLatency(figures, [&] {
    Expect(arc::bus::CallAndWait<SearchResponse>(*client, arc::subjects::kMenuSearch, request, context));
  });
  MeasureThroughput(figures, [&](std::function<void()> done) {
    arc::bus::Call<SearchResponse>(*client, arc::subjects::kMenuSearch, request, context,
                                   [done = std::move(done)](const absl::StatusOr<SearchResponse>& answer) {
                                     Expect(answer);
                                     done();
                                   });
  });
  Report("menu_search", std::move(figures));
}

void MakeConsumer() {
  natsConnection* connection = Open(true);
  jsCtx* js = nullptr;
  Check(natsConnection_JetStream(&js, connection, nullptr), "JetStream");
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Durable = kDurable;
  config.AckPolicy = js_AckExplicit;
  config.FilterSubject = "kiosk.agent.bench.>";
  config.AckWait = 5000000000;
  config.MaxDeliver = 3;
  config.MaxAckPending = 20000;
  Check(js_AddConsumer(nullptr, js, "KIOSK_COMMANDS", &config, nullptr, nullptr),
        "consumer (is the bus provisioned?)");
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
}

void RemoveConsumer() {
  natsConnection* connection = Open(true);
  jsCtx* js = nullptr;
  Check(natsConnection_JetStream(&js, connection, nullptr), "JetStream");
  js_DeleteConsumer(js, "KIOSK_COMMANDS", kDurable, nullptr, nullptr);
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures commands on the bus: bare nats.c, bare durable, and the fleet's own path.");
  absl::ParseCommandLine(argc, argv);
  const std::string only = absl::GetFlag(FLAGS_only);
  if (only == "menu_search") {
    MenuSearch();
    return 0;
  }
  MakeConsumer();
  std::string padding(static_cast<size_t>(std::max(0, absl::GetFlag(FLAGS_bytes) - 60)), 'x');
  const std::string payload = absl::StrCat("{\"command\":\"echo\",\"text\":\"", padding, "\"}");
  const std::string body = arc::WrapPayload(arc::MakeEnvelope(absl::Now(), ""), payload);
  const auto wanted = [&](const char* name) { return std::string(name).find(only) != std::string::npos; };
  if (wanted("bare_request_reply")) BareRequestReply(body);
  if (wanted("bare_durable_send_asap")) BareDurable(body, true);
  if (wanted("bare_durable_buffered")) BareDurable(body, false);
  if (wanted("fleet_durable")) FleetDurable(payload);
  if (wanted("traced_durable")) TracedDurable(payload);
  RemoveConsumer();
  return 0;
}
