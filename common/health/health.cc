#include "common/health/health.h"

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/health/health.grpc.pb.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "grpc/support/log.h"
#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/resource_quota.h"

namespace arc {
namespace {

using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

constexpr int kMaxRequestBytes = 4096;
constexpr size_t kMemoryQuota = size_t{4} * 1024 * 1024;

// What gRPC says itself becomes log lines of the agent.
void LogOfGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Log(level, args->message, {{"source", absl::StrCat(args->file, ":", args->line)}});
}

void TakeLog() {
  static const bool taken = [] {
    gpr_set_log_function(LogOfGrpc);
    return true;
  }();
  (void)taken;
}

// What waits in the completion queue: runs once, then is gone.
struct Tag {
  explicit Tag(std::function<void(bool ok)> run) : then(std::move(run)) {}
  std::function<void(bool ok)> then;
};

}  // namespace

// All calls are handled on one thread, from one completion queue: one thread serves any number of watchers.
struct HealthServer::Impl {
  struct CheckCall {
    ::grpc::ServerContext context;
    HealthCheckRequest request;
    ::grpc::ServerAsyncResponseWriter<HealthCheckResponse> writer{&context};
  };

  struct WatchCall {
    ::grpc::ServerContext context;
    HealthCheckRequest request;
    ::grpc::ServerAsyncWriter<HealthCheckResponse> writer{&context};
    bool writing = false;
    bool ended = false;
    int sent = -1;
    Tag* done = nullptr;  // comes out of the queue when the call ends, if it began
  };

  std::mutex mutex;
  std::map<std::string, bool> serving;
  bool stopping = true;  // no operation may be started
  Health::AsyncService service;
  std::unique_ptr<::grpc::ServerCompletionQueue> queue;
  std::unique_ptr<::grpc::Server> server;
  std::thread thread;
  std::set<std::shared_ptr<WatchCall>> watchers;  // of `thread`

  // Starts an operation, unless the server stops. `start` gets the tag.
  void Begin(std::function<void(bool)> then, const std::function<void(void*)>& start) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!stopping) start(new Tag(std::move(then)));
  }

  void AcceptCheck() {
    auto call = std::make_shared<CheckCall>();
    Begin(
        [this, call](bool ok) {
          if (!ok) return;
          AcceptCheck();
          AnswerCheck(call);
        },
        [&](void* tag) {
          service.RequestCheck(&call->context, &call->request, &call->writer, queue.get(), queue.get(), tag);
        });
  }

  void AnswerCheck(const std::shared_ptr<CheckCall>& call) {
    const HealthCheckResponse::ServingStatus status = StatusOf(call->request.service());
    HealthCheckResponse response;
    response.set_status(status);
    const bool known = status != HealthCheckResponse::SERVICE_UNKNOWN;
    Begin([call](bool) {},
          [&](void* tag) {
            if (known) {
              call->writer.Finish(response, ::grpc::Status::OK, tag);
            } else {
              call->writer.FinishWithError({::grpc::StatusCode::NOT_FOUND, "no such service"}, tag);
            }
          });
  }

  void AcceptWatch() {
    auto call = std::make_shared<WatchCall>();
    Begin(
        [this, call](bool ok) {
          if (!ok) {
            delete call->done;
            return;
          }
          AcceptWatch();
          watchers.insert(call);
          Push(call);
        },
        [&](void* tag) {
          // The done-tag comes only for calls that began; it keeps the call alive until then.
          call->done = new Tag([this, call](bool) {
            call->ended = true;
            watchers.erase(call);
          });
          call->context.AsyncNotifyWhenDone(call->done);
          service.RequestWatch(&call->context, &call->request, &call->writer, queue.get(), queue.get(), tag);
        });
  }

  // Sends the status, if it is another than the one sent last.
  void Push(const std::shared_ptr<WatchCall>& call) {
    if (call->writing || call->ended) return;
    const HealthCheckResponse::ServingStatus status = StatusOf(call->request.service());
    if (status == call->sent) return;
    HealthCheckResponse response;
    response.set_status(status);
    call->sent = status;
    call->writing = true;
    Begin(
        [this, call](bool ok) {
          call->writing = false;
          if (ok) Push(call);
        },
        [&](void* tag) { call->writer.Write(response, tag); });
  }

  HealthCheckResponse::ServingStatus StatusOf(const std::string& name) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto it = serving.find(name);
    if (it == serving.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
    return it->second ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }

  // Has the thread look at all watchers.
  void Announce() {
    auto alarm = std::make_shared<::grpc::Alarm>();
    Begin(
        [this, alarm](bool) {
          const std::set<std::shared_ptr<WatchCall>> all = watchers;
          for (const auto& call : all) Push(call);
        },
        [&](void* tag) { alarm->Set(queue.get(), gpr_now(GPR_CLOCK_REALTIME), tag); });
  }

  void Run() {
    void* raw = nullptr;
    bool ok = false;
    while (queue->Next(&raw, &ok)) {
      const std::unique_ptr<Tag> tag(static_cast<Tag*>(raw));
      {
        // Begin() made the tag under this mutex: with it, ThreadSanitizer sees what the queue, which is in a
        // library that it does not, has put in order.
        std::lock_guard<std::mutex> lock(mutex);
      }
      tag->then(ok);
    }
  }
};

HealthServer::HealthServer(std::vector<std::string> services) : impl_(std::make_unique<Impl>()) {
  for (std::string& service : services) impl_->serving.emplace(std::move(service), false);
}

HealthServer::~HealthServer() {
  Stop();
}

void HealthServer::SetServing(bool serving) {
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    for (auto& [service, status] : impl_->serving) status = serving;
  }
  impl_->Announce();
}

void HealthServer::SetServing(absl::string_view service, bool serving) {
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    const auto it = impl_->serving.find(std::string(service));
    if (it == impl_->serving.end()) return;
    it->second = serving;
  }
  impl_->Announce();
}

absl::StatusOr<int> HealthServer::Start(absl::string_view address, int port) {
  TakeLog();
  ::grpc::EnableDefaultHealthCheckService(false);
  ::grpc::ServerBuilder builder;
  ::grpc::ResourceQuota quota;
  quota.Resize(kMemoryQuota);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // Otherwise two processes could take the same port without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int bound = 0;
  const std::string where = absl::StrCat(address, ":", port);
  builder.AddListeningPort(where, ::grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(&impl_->service);
  impl_->queue = builder.AddCompletionQueue();
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || bound == 0) {
    if (impl_->server != nullptr) impl_->server->Shutdown();
    impl_->queue->Shutdown();
    impl_->Run();
    impl_->server.reset();
    return MakeError(ErrorCode::kUnavailable, absl::StrCat("cannot listen for gRPC on ", where));
  }
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stopping = false;
  }
  impl_->AcceptCheck();
  impl_->AcceptWatch();
  impl_->thread = std::thread([this] { impl_->Run(); });
  return bound;
}

void HealthServer::Stop() {
  if (!impl_->thread.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->queue->Shutdown();
  impl_->thread.join();
  impl_->watchers.clear();
  impl_->server.reset();
}

absl::Status ProbeHealth(absl::string_view address, absl::string_view service, absl::Duration timeout) {
  TakeLog();
  const std::unique_ptr<Health::Stub> stub =
      Health::NewStub(::grpc::CreateChannel(std::string(address), ::grpc::InsecureChannelCredentials()));
  ::grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
  HealthCheckRequest request;
  request.set_service(std::string(service));
  HealthCheckResponse response;
  const ::grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  if (response.status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::FailedPreconditionError(HealthCheckResponse::ServingStatus_Name(response.status()));
}

}  // namespace arc
