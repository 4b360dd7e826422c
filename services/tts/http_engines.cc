#include "services/tts/http_engines.h"

#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/http/url.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"
#include "services/tts/wav_stream.h"

namespace arc::tts {
namespace {

constexpr int kOpenAiRate = 24000;
constexpr size_t kMaxComplaint = 300;

// One server: posts, retries, and knows whether it is there.
class SpeechServer {
 public:
  // Gets an answer's bytes as they come; OK to go on.
  using Take = std::function<absl::Status(absl::string_view bytes)>;

  // `probe` is a path that the server answers, with anything.
  SpeechServer(ServerOptions options, std::string server, std::string probe, std::string api_key)
      : options_(std::move(options)),
        server_(std::move(server)),
        probe_(std::move(probe)),
        api_key_(std::move(api_key)) {
    prober_ = std::thread([this] { ProbeWhileAway(); });
  }
  ~SpeechServer() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    prober_.join();
  }

  absl::Status Health() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return health_;
  }

  // Whether the server answers; `body`, which may be null, is what it says with 200.
  absl::Status Probe(std::string* body) {
    httplib::Client client(server_);
    Prepare(client);
    const httplib::Result result = client.Get(probe_);
    absl::Status status;
    if (!result) {
      status = absl::UnavailableError(
          absl::StrCat("no answer from ", server_, ": ", httplib::to_string(result.error())));
    } else if (result->status == 401 || result->status == 403) {
      status = absl::UnavailableError(
          absl::StrCat(server_, " answers ", result->status, ": the key is not accepted"));
    } else if (result->status >= 500) {
      status = absl::UnavailableError(absl::StrCat(server_, " answers ", result->status));
    } else if (result->status == 200 && body != nullptr) {
      *body = result->body;
    }
    SetHealth(status);
    return status;
  }

  // Posts `json` to the first of `paths` that the server has.
  absl::Status Post(const std::vector<std::string>& paths, const std::string& json, Stop& stop,
                    const Take& take) {
    absl::Duration delay = options_.retry_delay;
    for (int attempt = 0;; ++attempt) {
      bool sounded = false;
      absl::Status status;
      for (const std::string& path : paths) {
        status = PostOnce(path, json, stop, [&](absl::string_view bytes) {
          sounded = true;
          return take(bytes);
        });
        if (!absl::IsNotFound(status)) break;
      }
      if (status.ok() || stop.requested() || absl::IsCancelled(status)) {
        if (status.ok()) SetHealth(status);
        return stop.requested() ? absl::CancelledError("stopped") : status;
      }
      const bool again = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
      if (!again || sounded || attempt >= options_.retries) {
        if (absl::IsUnavailable(status) && !sounded) SetHealth(status);
        return attempt == 0
                   ? status
                   : absl::Status(status.code(), absl::StrCat(status.message(), ", ", attempt + 1, " times"));
      }
      if (!Pause(delay, stop)) return absl::CancelledError("stopped");
      delay *= 2;
    }
  }

 private:
  void Prepare(httplib::Client& client) const {
    const auto split = [](absl::Duration duration) {
      const int64_t us = absl::ToInt64Microseconds(duration);
      return std::pair<time_t, time_t>(us / 1000000, us % 1000000);
    };
    const auto [connect_s, connect_us] = split(options_.connect_timeout);
    const auto [read_s, read_us] = split(options_.timeout);
    client.set_connection_timeout(connect_s, connect_us);
    client.set_read_timeout(read_s, read_us);
    client.set_write_timeout(read_s, read_us);
    client.set_tcp_nodelay(true);
    if (!api_key_.empty()) client.set_bearer_token_auth(api_key_.c_str());
  }

  absl::Status PostOnce(const std::string& path, const std::string& json, Stop& stop, const Take& take) {
    httplib::Client client(server_);
    Prepare(client);
    const Stop::Watch watch(stop, [&client] { client.stop(); });
    if (stop.requested()) return absl::CancelledError("stopped");
    httplib::Request request;
    request.method = "POST";
    request.path = path;
    request.body = json;
    request.set_header("Content-Type", "application/json");
    int http_status = 0;
    std::string complaint;
    absl::Status taken;
    request.response_handler = [&](const httplib::Response& response) {
      http_status = response.status;
      return true;
    };
    request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
      if (http_status != 200) {
        complaint.append(data, std::min(size, kMaxComplaint - std::min(kMaxComplaint, complaint.size())));
        return complaint.size() < kMaxComplaint;
      }
      taken = take(absl::string_view(data, size));
      return taken.ok();
    };
    const httplib::Result result = client.send(request);
    if (stop.requested()) return absl::CancelledError("stopped");
    if (!taken.ok()) return taken;
    if (http_status != 0 && http_status != 200) return Refused(http_status, complaint);
    if (result) return absl::OkStatus();
    const std::string why =
        absl::StrCat("no answer from ", server_, ": ", httplib::to_string(result.error()));
    return result.error() == httplib::Error::Read ? absl::DeadlineExceededError(why)
                                                  : absl::UnavailableError(why);
  }

  absl::Status Refused(int http_status, const std::string& complaint) const {
    const std::string why =
        absl::StrCat(server_, " answers ", http_status, complaint.empty() ? "" : ": ", complaint);
    if (http_status == 404 || http_status == 405) return absl::NotFoundError(why);
    if (http_status == 408 || http_status == 429 || http_status >= 500) return absl::UnavailableError(why);
    return absl::InternalError(why);
  }

  // False: stopped.
  static bool Pause(absl::Duration delay, Stop& stop) {
    std::mutex mutex;
    std::condition_variable changed;
    bool stopped = false;
    const Stop::Watch watch(stop, [&] {
      std::lock_guard<std::mutex> lock(mutex);
      stopped = true;
      changed.notify_all();
    });
    std::unique_lock<std::mutex> lock(mutex);
    return !changed.wait_for(lock, absl::ToChronoMilliseconds(delay), [&] { return stopped; });
  }

  void SetHealth(const absl::Status& health) {
    std::lock_guard<std::mutex> lock(mutex_);
    health_ = health;
    changed_.notify_all();
  }

  void ProbeWhileAway() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ending_) {
      if (health_.ok()) {
        changed_.wait(lock, [this] { return ending_ || !health_.ok(); });
      } else if (!changed_.wait_for(lock, absl::ToChronoMilliseconds(options_.probe_interval),
                                    [this] { return ending_ || health_.ok(); })) {
        lock.unlock();
        Probe(nullptr).IgnoreError();
        lock.lock();
      }
    }
  }

  const ServerOptions options_;
  const std::string server_;
  const std::string probe_;
  const std::string api_key_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  absl::Status health_;
  bool ending_ = false;
  std::thread prober_;  // last: it uses the above
};

absl::Status Give(const audio::Samples& samples, int rate, const Sink& sink) {
  if (samples.empty() || sink(samples, rate)) return absl::OkStatus();
  return absl::CancelledError("no more is wanted");
}

struct OpenAiRequest {
  std::string model;
  std::string input;
  std::string voice;
  std::string response_format = "pcm";

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("model", s.model);
    v.Required("input", s.input);
    v.Required("voice", s.voice);
    v.Required("response_format", s.response_format);
  }
};

class OpenAiEngine : public Engine {
 public:
  OpenAiEngine(const OpenAiOptions& options, const Url& url, const std::string& path)
      : options_(options),
        path_(path),
        server_(options.server, url.server, absl::StrCat(absl::StripSuffix(path, "/audio/speech"), "/models"),
                options.api_key) {}

  absl::string_view name() const override { return "openai"; }
  Dialect dialect() const override { return {false, false, false}; }
  absl::Status Start() override { return server_.Probe(nullptr); }
  absl::Status Health() const override { return server_.Health(); }

  std::vector<Voice> voices() const override {
    std::vector<Voice> voices;
    for (const std::string& id : options_.voices) voices.push_back({id, "", GenderOf(id)});
    return voices;
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    OpenAiRequest request;
    request.model = options_.model;
    request.input = sentence;
    request.voice = voice.id;
    PcmStream pcm;
    return server_.Post({path_}, json::Encode(request), stop,
                        [&](absl::string_view bytes) { return Give(pcm.Push(bytes), kOpenAiRate, sink); });
  }

 private:
  const OpenAiOptions options_;
  const std::string path_;
  SpeechServer server_;
};

struct PiperRequest {
  std::string text;
  std::string voice;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("text", s.text);
    v.Optional("voice", s.voice);
  }
};

class PiperServerEngine : public Engine {
 public:
  PiperServerEngine(const PiperServerOptions& options, const Url& url)
      : options_(options),
        paths_(url.path.empty() ? std::vector<std::string>{"/synthesize", "/"}
                                : std::vector<std::string>{url.path}),
        server_(options.server, url.server, "/voices", "") {}

  absl::string_view name() const override { return "piper"; }
  Dialect dialect() const override { return {false, true, false}; }
  absl::Status Health() const override { return server_.Health(); }

  absl::Status Start() override {
    std::string body;
    RETURN_IF_ERROR(server_.Probe(&body));
    // An object with the voices' names; servers that list none have the one that they were started with.
    std::vector<std::string> names;
    const absl::StatusOr<json::Document> document = json::Parse(body);
    if (document.ok() && document->root().IsObject()) {
      for (const auto& member : document->root().GetObject()) {
        names.emplace_back(member.name.GetString(), member.name.GetStringLength());
      }
    }
    std::sort(names.begin(), names.end());
    if (!options_.voice.empty() || names.empty()) {
      names.erase(std::remove(names.begin(), names.end(), options_.voice), names.end());
      names.insert(names.begin(), options_.voice);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    voices_.clear();
    for (const std::string& name : names) {
      const std::string language =
          name.size() > 5 && name[2] == '_' ? absl::StrReplaceAll(name.substr(0, 5), {{"_", "-"}}) : "";
      voices_.push_back({name, language, GenderOf(name)});
    }
    return absl::OkStatus();
  }

  std::vector<Voice> voices() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return voices_;
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    PiperRequest request;
    request.text = sentence;
    request.voice = voice.id;
    WavStream wav;
    return server_.Post(paths_, json::Encode(request), stop, [&](absl::string_view bytes) -> absl::Status {
      const absl::StatusOr<audio::Samples> samples = wav.Push(bytes);
      if (!samples.ok()) return absl::InternalError(samples.status().message());
      return Give(*samples, wav.rate(), sink);
    });
  }

 private:
  const PiperServerOptions options_;
  const std::vector<std::string> paths_;
  SpeechServer server_;
  mutable std::mutex mutex_;
  std::vector<Voice> voices_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> MakeOpenAiEngine(const OpenAiOptions& options) {
  ASSIGN_OR_RETURN(const Url url, ParseUrl(options.server.url));
  if (options.voices.empty()) return absl::InvalidArgumentError("there must be a voice");
  std::string path = url.path;
  if (!absl::EndsWith(path, "/audio/speech")) {
    absl::StrAppend(&path, absl::EndsWith(path, "/v1") ? "" : "/v1", "/audio/speech");
  }
  return std::unique_ptr<Engine>(std::make_unique<OpenAiEngine>(options, url, path));
}

absl::StatusOr<std::unique_ptr<Engine>> MakePiperServerEngine(const PiperServerOptions& options) {
  ASSIGN_OR_RETURN(const Url url, ParseUrl(options.server.url));
  return std::unique_ptr<Engine>(std::make_unique<PiperServerEngine>(options, url));
}

}  // namespace arc::tts
