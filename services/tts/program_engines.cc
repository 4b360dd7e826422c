#include "services/tts/program_engines.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/json/json.h"
#include "common/status/status_macros.h"
#include "services/tts/child.h"
#include "services/tts/wav_stream.h"

namespace arc::tts {
namespace {

constexpr size_t kReadSize = 4096;  // 93 ms at 22050 Hz
constexpr absl::Duration kExitLimit = absl::Seconds(5);
constexpr char kTrial[] = "ready";

// OK when `program`, a path or a name, can be executed.
absl::Status CheckProgram(const std::string& program) {
  if (absl::StrContains(program, '/')) {
    if (access(program.c_str(), X_OK) == 0) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("there is no program ", program));
  }
  const char* path = std::getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(path != nullptr ? path : "", ':', absl::SkipEmpty())) {
    if (access(absl::StrCat(folder, "/", program).c_str(), X_OK) == 0) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("there is no program ", program, " in PATH"));
}

// Lets a program say `text`; `take` gets its stdout and returns Cancelled when no more is wanted.
absl::Status RunChild(Child& child, const std::string& text, absl::Duration timeout, Stop& stop,
                      const std::function<absl::Status(absl::string_view)>& take) {
  const Stop::Watch watch(stop, [&child] { child.Kill(); });
  const auto failed = [&](absl::string_view what) {
    if (stop.requested()) return absl::CancelledError("stopped");
    const std::string complaint = child.Complaint();
    return absl::InternalError(absl::StrCat(what, complaint.empty() ? "" : ": ", complaint));
  };
  // A program that takes no text has ended: how, is seen below.
  const bool took = child.WriteAndClose(text).ok();
  std::array<char, kReadSize> buffer;
  size_t total = 0;
  while (true) {
    const absl::StatusOr<size_t> count = child.Read(buffer.data(), buffer.size(), timeout);
    if (!count.ok()) {
      child.Kill();
      if (stop.requested()) return absl::CancelledError("stopped");
      return count.status();
    }
    if (*count == 0) break;
    total += *count;
    absl::Status taken = take(absl::string_view(buffer.data(), *count));
    if (!taken.ok()) {
      child.Kill();
      return taken;
    }
  }
  const int status = child.Wait(kExitLimit);
  if (stop.requested()) return absl::CancelledError("stopped");
  if (status != 0) return failed(absl::StrCat("the program ended with ", status));
  if (total == 0) return failed("the program made no sound");
  if (!took) return failed("the program did not read the text");
  return absl::OkStatus();
}

absl::Status Give(const audio::Samples& samples, int rate, const Sink& sink) {
  if (samples.empty() || sink(samples, rate)) return absl::OkStatus();
  return absl::CancelledError("no more is wanted");
}

// A sentence that nobody hears, to see whether an engine can speak at all.
absl::Status Try(Engine& engine, const Voice& voice) {
  Stop stop;
  return engine.Synthesise(voice, kTrial, stop, [](absl::Span<const int16_t>, int) { return true; });
}

class EspeakEngine : public Engine {
 public:
  explicit EspeakEngine(const EspeakOptions& options) : options_(options) {}

  absl::string_view name() const override { return "espeak-ng"; }
  Dialect dialect() const override { return {true, true, true}; }

  absl::Status Start() override {
    RETURN_IF_ERROR(Health());
    return Try(*this, voices().front());
  }

  absl::Status Health() const override { return CheckProgram(options_.program); }

  std::vector<Voice> voices() const override {
    return {{"en-us", "en-US", Gender::kMale},          {"en-us+f3", "en-US", Gender::kFemale},
            {"en-gb", "en-GB", Gender::kMale},          {"en-gb+f3", "en-GB", Gender::kFemale},
            {"en-gb-scotland", "en-GB", Gender::kMale}, {"en-gb-scotland+f3", "en-GB", Gender::kFemale},
            {"en-029", "en-029", Gender::kMale},        {"en-029+f3", "en-029", Gender::kFemale}};
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    if (stop.requested()) return absl::CancelledError("stopped");
    // The text goes in by stdin, where neither a dash nor a list of processes matters. -b 1: it is UTF-8.
    absl::StatusOr<std::unique_ptr<Child>> child =
        Child::Start({options_.program, "-b", "1", "-v", voice.id, "--stdin", "--stdout"});
    if (!child.ok()) return absl::UnavailableError(child.status().message());
    WavStream wav;
    return RunChild(**child, sentence, options_.timeout, stop, [&](absl::string_view bytes) {
      absl::StatusOr<audio::Samples> samples = wav.Push(bytes);
      if (!samples.ok()) return absl::InternalError(samples.status().message());
      return Give(*samples, wav.rate(), sink);
    });
  }

 private:
  const EspeakOptions options_;
};

// What the agent reads of VOICE.onnx.json.
struct PiperVoiceFile {
  struct Audio {
    int64_t sample_rate = 22050;
    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Optional("sample_rate", s.sample_rate, json::Range(8000, 192000));
    }
  };
  struct Language {
    std::string code;
    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Optional("code", s.code, json::Range(0, 20));
    }
  };
  Audio audio;
  Language language;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("audio", s.audio);
    v.Optional("language", s.language);
  }
};

class PiperEngine : public Engine {
 public:
  explicit PiperEngine(const PiperOptions& options) : options_(options) {}

  absl::string_view name() const override { return "piper"; }
  // Its own phonemes come from espeak-ng's rules, which know accents.
  Dialect dialect() const override { return {false, true, false}; }

  absl::Status Start() override {
    RETURN_IF_ERROR(CheckProgram(options_.program));
    RETURN_IF_ERROR(ReadVoices());
    absl::Status tried = Try(*this, voices().front());
    if (tried.ok()) return tried;
    return absl::Status(tried.code(), absl::StrCat(options_.program, ": ", tried.message()));
  }

  absl::Status Health() const override {
    RETURN_IF_ERROR(CheckProgram(options_.program));
    const std::vector<Voice> all = voices();
    if (all.empty()) return absl::UnavailableError("no voice has been read");
    if (access(Model(all.front().id).c_str(), R_OK) == 0) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("there is no model ", Model(all.front().id)));
  }

  std::vector<Voice> voices() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return voices_;
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    if (stop.requested()) return absl::CancelledError("stopped");
    int rate = 0;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto found = rates_.find(voice.id);
      if (found == rates_.end())
        return absl::InvalidArgumentError(absl::StrCat("piper has no voice ", voice.id));
      rate = found->second;
    }
    absl::StatusOr<std::unique_ptr<Child>> child = Take(voice.id);
    if (!child.ok()) return absl::UnavailableError(child.status().message());
    PcmStream pcm;
    return RunChild(**child, absl::StrCat(sentence, "\n"), options_.timeout, stop,
                    [&](absl::string_view bytes) { return Give(pcm.Push(bytes), rate, sink); });
  }

 private:
  static constexpr size_t kMaxSpares = 3;

  std::string Model(absl::string_view voice) const {
    return absl::StrCat(options_.voices_dir, "/", voice, ".onnx");
  }

  absl::Status ReadVoices() {
    constexpr absl::string_view kEnd = ".onnx";
    std::vector<std::string> names;
    if (DIR* const folder = opendir(options_.voices_dir.c_str()); folder != nullptr) {
      while (const dirent* entry = readdir(folder)) {
        const absl::string_view name = entry->d_name;
        if (absl::EndsWith(name, kEnd)) names.emplace_back(name.substr(0, name.size() - kEnd.size()));
      }
      closedir(folder);
    }
    std::sort(names.begin(), names.end());
    const std::string wanted = options_.voice.empty() ? "en_US-lessac-medium" : options_.voice;
    const auto first = std::find(names.begin(), names.end(), wanted);
    if (names.empty() || (first == names.end() && !options_.voice.empty())) {
      return absl::UnavailableError(absl::StrCat(
          "there is no model ", Model(wanted), "; --piper_voices_dir holds VOICE.onnx and VOICE.onnx.json"));
    }
    if (first != names.end()) std::rotate(names.begin(), first, first + 1);
    std::vector<Voice> voices;
    std::map<std::string, int> rates;
    for (const std::string& name : names) {
      std::ifstream in(absl::StrCat(Model(name), ".json"));
      const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      const absl::StatusOr<PiperVoiceFile> file = json::Decode<PiperVoiceFile>(text);
      if (!file.ok()) {
        if (name != names.front()) continue;  // one broken voice does not silence the others
        return absl::UnavailableError(absl::StrCat(Model(name), ".json: ", file.status().message()));
      }
      voices.push_back({name, absl::StrReplaceAll(file->language.code, {{"_", "-"}}), GenderOf(name)});
      rates[name] = static_cast<int>(file->audio.sample_rate);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    voices_ = std::move(voices);
    rates_ = std::move(rates);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Child>> Launch(const std::string& voice) const {
    return Child::Start({options_.program, "--model", Model(voice), "--output-raw"});
  }

  // A process for one sentence; another is started to wait for the next one.
  absl::StatusOr<std::unique_ptr<Child>> Take(const std::string& voice) {
    std::unique_ptr<Child> ready;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
        if (spare->first != voice) continue;
        ready = std::move(spare->second);
        spares_.erase(spare);
        break;
      }
    }
    if (ready != nullptr && !ready->running()) ready.reset();
    absl::StatusOr<std::unique_ptr<Child>> next = Launch(voice);
    if (ready == nullptr) {
      if (!next.ok()) return next;
      ready = *std::move(next);
      next = Launch(voice);
    }
    std::list<std::pair<std::string, std::unique_ptr<Child>>> gone;  // ended without the lock
    if (next.ok()) {
      std::lock_guard<std::mutex> lock(mutex_);
      spares_.emplace_front(voice, *std::move(next));
      if (spares_.size() > kMaxSpares) gone.splice(gone.begin(), spares_, std::prev(spares_.end()));
    }
    return ready;
  }

  const PiperOptions options_;
  mutable std::mutex mutex_;
  std::vector<Voice> voices_;
  std::map<std::string, int> rates_;                                  // Hz, by voice
  std::list<std::pair<std::string, std::unique_ptr<Child>>> spares_;  // the latest used voice first
};

}  // namespace

std::unique_ptr<Engine> MakeEspeakEngine(const EspeakOptions& options) {
  return std::make_unique<EspeakEngine>(options);
}

std::unique_ptr<Engine> MakePiperEngine(const PiperOptions& options) {
  return std::make_unique<PiperEngine>(options);
}

}  // namespace arc::tts
