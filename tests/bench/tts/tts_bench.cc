// How soon an answer is heard: from a request to its first frame and to its last, through everything that the
// agent does but the bus, for sentences as a kiosk says them. Takes the engine flags of arc-tts.
//
//   ninja -C build/release tts_bench && build/release/bin/tts_bench --engine=flite
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/agent/flags.h"
#include "common/clock/clock.h"
#include "services/tts/engines.h"
#include "services/tts/frames.h"
#include "services/tts/speakable.h"
#include "services/tts/tts.h"

ABSL_FLAG(std::string, format, "pcm", "pcm or opus.");
ABSL_FLAG(int, sample_rate, 16000, "Hz.");
ABSL_FLAG(int, threads, 1, "Requests at the same time.");
ABSL_FLAG(int, rounds, 1, "How often the sentences are said; from the second time on they are cached.");
ABSL_FLAG(int, cache_mb, 0, "As of arc-tts.");
ABSL_FLAG(std::string, voice, "", "Empty: the engine's default.");

namespace arc::tts {
namespace {

std::vector<std::string> Sentences() {
  const std::vector<std::string> items = {
      "Volcano Burger",      "Chipotle Black Bean Burger",   "Halloumi Burger",
      "Loaded Cheese Fries", "Grilled Prawn Wrap",           "Caff\u00e8 Latte",
      "Mango Sorbet",        "Nashville Hot Chicken Burger", "Kids Grilled Chicken Bites Meal",
      "Lemon-Lime Soda"};
  std::vector<std::string> sentences;
  for (size_t i = 0; i < items.size(); ++i) {
    sentences.push_back(absl::StrCat("One ", items[i], ", that's $", 4 + i, ".", 10 + i * 7, "."));
    sentences.push_back(
        absl::StrCat("Sure, ", 2 + i % 3, " x ", items[i], " without onions. Anything else?"));
    sentences.push_back(
        absl::StrCat("The ", items[i], " has ", 210 + 83 * i, " kcal and contains gluten and dairy."));
    sentences.push_back(
        absl::StrCat("Would you like to add a ", items[i], " to your order for only $", 3 + i, "?"));
    sentences.push_back(absl::StrCat("Your order A", 10 + i, " is one ", items[i],
                                     ", large fries and an iced cola, which comes to $", 12 + i,
                                     ".95. It will be ready in ", 8 + i, "-", 12 + i, " minutes."));
  }
  return sentences;
}

// Notes when the frames of each request come.
class Timer : public Output {
 public:
  struct Times {
    absl::Time first = absl::InfiniteFuture();
    absl::Time last;
    uint64_t frames = 0;
    bool ended = false;
  };

  absl::Status Publish(const AudioFrame& frame) override {
    const absl::Time now = absl::Now();
    std::lock_guard<std::mutex> lock(mutex_);
    Times& times = times_[frame.request_id];
    if (frame.end) return absl::OkStatus();
    times.first = std::min(times.first, now);
    times.last = now;
    ++times.frames;
    return absl::OkStatus();
  }
  void Completed(const messages::TtsCompleted& completed) override { End(completed.request_id); }
  void Failed(const messages::AgentError& error) override {
    std::fprintf(stderr, "%s\n", error.error_message.c_str());
    End(error.request_id);
  }
  Times Await(const std::string& id) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return times_[id].ended; });
    return times_[id];
  }

 private:
  void End(const std::string& id) {
    std::lock_guard<std::mutex> lock(mutex_);
    times_[id].ended = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Times> times_;
};

double Percentile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(part * static_cast<double>(values.size())))];
}

void Print(const char* what, const std::vector<double>& values) {
  absl::PrintF("%-28s p50 %8.2f ms   p95 %8.2f ms   max %8.2f ms\n", what, Percentile(values, 0.5),
               Percentile(values, 0.95), Percentile(values, 1));
}

int Measure() {
  const int threads = absl::GetFlag(FLAGS_threads);
  absl::StatusOr<std::unique_ptr<Engine>> engine = EngineOfFlags();
  absl::Status status = engine.status();
  if (status.ok()) status = (*engine)->Start();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return 1;
  }
  Timer timer;
  Tts::Options options;
  options.workers = threads;
  options.lead = absl::Hours(1);
  options.cache_bytes = static_cast<size_t>(absl::GetFlag(FLAGS_cache_mb)) << 20U;
  Tts tts(**engine, SystemClock::Get(), options, timer, nullptr);

  const std::vector<std::string> sentences = Sentences();
  std::vector<double> text_ms;
  for (const std::string& sentence : sentences) {
    const absl::Time begin = absl::Now();
    if (SpeakableSentences(sentence, (*engine)->dialect()).empty()) return 1;
    text_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
  }
  Print("text to words", text_ms);
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    std::vector<double> first_ms;
    std::vector<double> all_ms;
    absl::Duration audio;
    const absl::Time begin = absl::Now();
    for (size_t i = 0; i < sentences.size(); i += static_cast<size_t>(threads)) {
      const size_t end = std::min(sentences.size(), i + static_cast<size_t>(threads));
      std::map<std::string, absl::Time> asked;
      messages::TtsRequest request;
      for (size_t k = i; k < end; ++k) {
        request.request_id = absl::StrCat(round, ".", k);
        request.text = sentences[k];
        request.voice_id = absl::GetFlag(FLAGS_voice);
        request.target_room = "room";
        request.constraints.format = absl::GetFlag(FLAGS_format);
        request.constraints.sample_rate = absl::GetFlag(FLAGS_sample_rate);
        asked[request.request_id] = absl::Now();
        status = tts.Say(request);
        if (!status.ok()) {
          std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
          return 1;
        }
      }
      const audio::Format format = *ChooseFormat(request.constraints.format, request.constraints.sample_rate);
      for (const auto& [id, at] : asked) {
        const Timer::Times times = timer.Await(id);
        first_ms.push_back(absl::ToDoubleMilliseconds(times.first - at));
        all_ms.push_back(absl::ToDoubleMilliseconds(times.last - at));
        audio += audio::DurationOf(times.frames * SamplesPerFrame(format), format.rate);
      }
    }
    const absl::Duration took = absl::Now() - begin;
    absl::PrintF(
        "round %d: %d requests, %d at a time, %.1f s of audio in %.2f s (%.0f times as fast as it plays)\n",
        round + 1, sentences.size(), threads, absl::ToDoubleSeconds(audio), absl::ToDoubleSeconds(took),
        absl::FDivDuration(audio, took));
    Print("request to first frame", first_ms);
    Print("request to last frame", all_ms);
  }
  return 0;
}

}  // namespace
}  // namespace arc::tts

int main(int argc, char** argv) {
  const auto rest = arc::ParseFlags(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (!rest.ok() || !rest->empty() || absl::GetFlag(FLAGS_threads) < 1) {
    std::fprintf(stderr, "%s\n",
                 rest.ok() ? "wrong arguments" : std::string(rest.status().message()).c_str());
    return 2;
  }
  return arc::tts::Measure();
}
