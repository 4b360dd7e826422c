#include "services/stt/openai_engine.h"

#include <httplib.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/audio/audio.h"
#include "common/http/url.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status_macros.h"
#include "services/menu/text_analysis.h"
#include "services/stt/language_model.h"
#include "services/stt/pronunciation.h"

namespace arc::stt {
namespace {

constexpr size_t kLongestAnswer = 1 << 20;
constexpr size_t kLongestPrompt = 800;  // whisper takes 224 tokens
constexpr absl::Duration kProbeTimeout = absl::Seconds(2);
// Beyond these, whisper itself takes what it wrote for silence.
constexpr double kNoSpeech = 0.6;
constexpr double kUnlikely = -1.0;
constexpr char kBoundary[] = "----arc-stt-4f1d6a0c9b7e";

struct Segment {
  double start = 0;
  double end = 0;
  std::optional<double> avg_logprob;
  std::optional<double> no_speech_prob;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("start", s.start);
    v.Optional("end", s.end);
    v.Optional("avg_logprob", s.avg_logprob);
    v.Optional("no_speech_prob", s.no_speech_prob);
  }
};

struct Transcription {
  std::string text;
  std::vector<Segment> segments;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("text", s.text, json::Range(0, 100000));
    v.Optional("segments", s.segments);
  }
};

// The probability of the text by the server's own account; nothing when it gives none.
std::optional<double> ConfidenceOf(const Transcription& transcription) {
  double sum = 0;
  double weight = 0;
  for (const Segment& segment : transcription.segments) {
    if (!segment.avg_logprob.has_value()) continue;
    const double length = std::max(0.01, segment.end - segment.start);
    const double speech = 1 - std::clamp(segment.no_speech_prob.value_or(0), 0.0, 1.0);
    sum += length * std::exp(std::min(0.0, *segment.avg_logprob)) * speech;
    weight += length;
  }
  if (weight == 0) return std::nullopt;
  return std::clamp(sum / weight, 0.0, 1.0);
}

bool IsSilence(const Transcription& transcription) {
  return !transcription.segments.empty() &&
         std::all_of(transcription.segments.begin(), transcription.segments.end(),
                     [](const Segment& segment) {
                       return segment.no_speech_prob.value_or(0) > kNoSpeech &&
                              segment.avg_logprob.value_or(0) < kUnlikely;
                     });
}

void AppendLittleEndian(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
}

std::string Wav(absl::Span<const int16_t> samples) {
  const auto size = static_cast<uint32_t>(samples.size() * 2);
  std::string wav = "RIFF";
  AppendLittleEndian(wav, 36 + size, 4);
  absl::StrAppend(&wav, "WAVEfmt ");
  AppendLittleEndian(wav, 16, 4);
  AppendLittleEndian(wav, 1, 2);  // PCM
  AppendLittleEndian(wav, 1, 2);  // channels
  AppendLittleEndian(wav, kEngineRate, 4);
  AppendLittleEndian(wav, kEngineRate * 2, 4);
  AppendLittleEndian(wav, 2, 2);
  AppendLittleEndian(wav, 16, 2);
  absl::StrAppend(&wav, "data");
  AppendLittleEndian(wav, size, 4);
  return wav + audio::EncodePcm(samples);
}

std::string Part(absl::string_view name, absl::string_view value) {
  return absl::StrCat("--", kBoundary, "\r\nContent-Disposition: form-data; name=\"", name, "\"\r\n\r\n",
                      value, "\r\n");
}

bool MayPass(int status) {
  return status == 408 || status == 429 || status >= 500;
}

bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

std::string SpokenText(absl::string_view text) {
  const std::string plain =
      absl::StrReplaceAll(text, {{"\u2019", "'"}, {"\u2018", "'"}, {"&", " and "}, {"+", " and "}});
  std::vector<std::string> words;
  std::string word;
  const auto finish = [&] {
    absl::string_view view(word);
    while (absl::ConsumePrefix(&view, "'")) {
    }
    while (absl::ConsumeSuffix(&view, "'")) {
    }
    int number = 0;
    if (view.find_first_not_of("0123456789") == absl::string_view::npos && view.size() <= 4 &&
        absl::SimpleAtoi(view, &number)) {
      words.push_back(SpellNumber(number));
    } else if (!view.empty()) {
      words.emplace_back(view);
    }
    word.clear();
  };
  // Fold() takes accents and case away; apostrophes are kept from it.
  for (const absl::string_view piece : absl::StrSplit(plain, '\'')) {
    if (!words.empty() || !word.empty() || piece.data() != plain.data()) word += '\'';
    for (const char c : menu::Fold(piece)) {
      const auto byte = static_cast<unsigned char>(c);
      if (absl::ascii_isalnum(byte) || byte >= 0x80) {
        const bool digit = absl::ascii_isdigit(byte);
        if (!word.empty() && word.back() != '\'' &&
            digit != static_cast<bool>(absl::ascii_isdigit(static_cast<unsigned char>(word.back())))) {
          finish();
        }
        word += c;
      } else {
        finish();
      }
    }
  }
  finish();
  return absl::StrJoin(words, " ");
}

class OpenaiEngine::Utterance : public Recognition {
 public:
  Utterance(OpenaiEngine& engine, absl::string_view language) : engine_(engine), language_(language) {}

  absl::Status Push(absl::Span<const int16_t> samples) override {
    samples_.insert(samples_.end(), samples.begin(), samples.end());
    return absl::OkStatus();
  }
  std::string Partial() override { return ""; }
  absl::StatusOr<Hypothesis> Finish() override {
    if (samples_.empty()) return Hypothesis();
    return engine_.Transcribe(samples_, language_, retries_);
  }
  int retries() const override { return retries_; }

 private:
  OpenaiEngine& engine_;
  const std::string language_;
  std::vector<int16_t> samples_;
  int retries_ = 0;
};

absl::StatusOr<std::unique_ptr<OpenaiEngine>> OpenaiEngine::Create(OpenaiOptions options, Clock& clock) {
  ASSIGN_OR_RETURN(const Url url, ParseUrl(options.url));
  if (options.timeout <= absl::ZeroDuration() || options.timeout > absl::Minutes(5)) {
    return absl::InvalidArgumentError("the time-out must be at most 5 minutes");
  }
  if (options.retries < 0 || options.retries > 10)
    return absl::InvalidArgumentError("retries must be 0 to 10");
  if (options.response_format != "json" && options.response_format != "verbose_json") {
    return absl::InvalidArgumentError("the response format must be json or verbose_json");
  }
  if (options.api_key.find_first_of("\r\n") != std::string::npos) {
    return absl::InvalidArgumentError("the API key has several lines");
  }
  return std::unique_ptr<OpenaiEngine>(new OpenaiEngine(std::move(options), clock, url.server,
                                                        std::string(absl::StripSuffix(url.path, "/v1"))));
}

OpenaiEngine::OpenaiEngine(OpenaiOptions options, Clock& clock, std::string host, std::string prefix)
    : options_(std::move(options)), clock_(clock), host_(std::move(host)), prefix_(std::move(prefix)) {}

OpenaiEngine::~OpenaiEngine() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void OpenaiEngine::Start() {
  watcher_ = std::thread([this] { Watch(); });
}

absl::Status OpenaiEngine::Health() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return health_;
}

void OpenaiEngine::SetHealth(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  // Said when it changes, not each time it is found again.
  if (status.ok() != health_.ok()) {
    Log(status.ok() ? LogLevel::kInfo : LogLevel::kWarning,
        status.ok() ? "the transcription server answers" : "the transcription server does not answer",
        {{"error", std::string(status.message())}});
  }
  health_ = status;
  if (!status.ok()) {
    probe_now_ = true;
    changed_.notify_all();
  }
}

void OpenaiEngine::SetMenu(std::shared_ptr<const menu::Catalogue> catalogue) {
  std::string prompt;
  if (catalogue != nullptr) {
    for (const std::string& name : SpokenItemNames(*catalogue)) {
      if (prompt.size() + name.size() + 2 > kLongestPrompt) break;
      absl::StrAppend(&prompt, prompt.empty() ? "" : ", ", name);
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  prompt_ = std::move(prompt);
}

bool OpenaiEngine::Understands(absl::string_view language) const {
  // The API wants ISO 639-1: two letters.
  const absl::string_view primary = language.substr(0, language.find('-'));
  return language.empty() || (primary.size() == 2 && std::all_of(primary.begin(), primary.end(), [](char c) {
                                return absl::ascii_isalpha(static_cast<unsigned char>(c));
                              }));
}

absl::StatusOr<std::unique_ptr<Recognition>> OpenaiEngine::Begin(absl::string_view language) {
  if (!Understands(language)) {
    return absl::InvalidArgumentError(absl::StrCat("'", language, "' is no language such as en-US"));
  }
  return std::make_unique<Utterance>(*this, absl::AsciiStrToLower(language.substr(0, language.find('-'))));
}

absl::StatusOr<OpenaiEngine::Answer> OpenaiEngine::Send(const std::string& method, const std::string& path,
                                                        const std::string& body,
                                                        const std::string& content_type,
                                                        absl::Duration timeout) const {
  const auto client = std::make_shared<httplib::Client>(host_);
  const auto limit = absl::ToChronoMilliseconds(timeout);
  client->set_connection_timeout(limit);
  client->set_read_timeout(limit);
  client->set_write_timeout(limit);
  client->set_tcp_nodelay(true);
  httplib::Request request;
  request.method = method;
  request.path = prefix_ + path;
  request.body = body;
  if (!content_type.empty()) request.set_header("Content-Type", content_type);
  if (!options_.api_key.empty())
    request.set_header("Authorization", absl::StrCat("Bearer ", options_.api_key));
  Answer answer;
  bool too_long = false;
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    too_long = answer.body.size() + size > kLongestAnswer;
    if (!too_long) answer.body.append(data, size);
    return !too_long;
  };
  // The library's limits hold for one read each: a server that drips would keep a worker for ever. stop()
  // waits while the library connects, which the clock's thread must not.
  const Clock::TimerId timer =
      SystemClock::Get().RunAfter(timeout, [client] { std::thread([client] { client->stop(); }).detach(); });
  const absl::Time begin = absl::Now();
  const httplib::Result result = client->send(request);
  SystemClock::Get().Cancel(timer);
  if (!result) {
    if (too_long) return absl::InternalError("the server's answer is too long");
    const std::string message =
        absl::StrCat("no answer from ", host_, ": ", httplib::to_string(result.error()));
    return absl::Now() - begin >= timeout ? absl::DeadlineExceededError(message)
                                          : absl::UnavailableError(message);
  }
  answer.status = result->status;
  return answer;
}

absl::Status OpenaiEngine::Probe() const {
  ASSIGN_OR_RETURN(const Answer answer,
                   Send("GET", "/v1/models", "", "", std::min(kProbeTimeout, options_.timeout)));
  if (answer.status == 401 || answer.status == 403) {
    return absl::PermissionDeniedError(absl::StrCat(host_, " refuses the API key: ", answer.status));
  }
  if (answer.status >= 500) {
    return absl::UnavailableError(absl::StrCat(host_, " answers ", answer.status));
  }
  return absl::OkStatus();
}

void OpenaiEngine::Watch() {
  while (true) {
    const absl::Status status = Probe();
    SetHealth(status);
    std::unique_lock<std::mutex> lock(mutex_);
    probe_now_ = false;
    const absl::Duration pause = status.ok() ? options_.probe_interval : options_.probe_when_down;
    clock_.WaitUntil(lock, changed_, clock_.Now() + pause, [this] { return stopping_ || probe_now_; });
    if (stopping_) return;
  }
}

absl::StatusOr<Hypothesis> OpenaiEngine::Transcribe(absl::Span<const int16_t> samples,
                                                    const std::string& language, int& retries) {
  std::string prompt;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    prompt = prompt_;
  }
  std::string body =
      absl::StrCat(Part("model", options_.model), Part("response_format", options_.response_format),
                   Part("temperature", "0"));
  if (!language.empty()) absl::StrAppend(&body, Part("language", language));
  if (!prompt.empty()) absl::StrAppend(&body, Part("prompt", prompt));
  absl::StrAppend(&body, "--", kBoundary,
                  "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"utterance.wav\"\r\n"
                  "Content-Type: audio/wav\r\n\r\n",
                  Wav(samples), "\r\n--", kBoundary, "--\r\n");
  const std::string type = absl::StrCat("multipart/form-data; boundary=", kBoundary);

  absl::Duration pause = options_.backoff;
  while (true) {
    absl::StatusOr<Answer> answer = Send("POST", "/v1/audio/transcriptions", body, type, options_.timeout);
    absl::Status status = answer.status();
    if (answer.ok() && (answer->status < 200 || answer->status > 299)) {
      const std::string message = absl::StrCat("the transcription server answers ", answer->status);
      if (MayPass(answer->status)) {
        status = absl::UnavailableError(message);
      } else if (answer->status == 401 || answer->status == 403) {
        status = absl::PermissionDeniedError(message);
      } else {
        status = absl::FailedPreconditionError(message);
      }
    }
    if (status.ok()) {
      const absl::StatusOr<Transcription> transcription = json::Decode<Transcription>(answer->body);
      if (!transcription.ok()) {
        return absl::InternalError(
            absl::StrCat("the transcription server's answer is wrong: ", transcription.status().message()));
      }
      SetHealth(absl::OkStatus());
      Hypothesis hypothesis;
      if (!IsSilence(*transcription)) hypothesis.text = SpokenText(transcription->text);
      hypothesis.confidence = hypothesis.text.empty() ? 0 : ConfidenceOf(*transcription);
      return hypothesis;
    }
    if (!IsRetryable(status) || retries >= options_.retries) {
      if (IsRetryable(status)) SetHealth(status);
      return status;
    }
    ++retries;
    std::unique_lock<std::mutex> lock(mutex_);
    clock_.WaitUntil(lock, changed_, clock_.Now() + pause, [this] { return stopping_; });
    pause *= 2;
  }
}

}  // namespace arc::stt
