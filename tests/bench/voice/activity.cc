// How well and how fast arc-voice tells speech from noise: sentences of five voices (espeak-ng, flite) with a
// second of silence around each, clean and under white noise.
//
//   voice_activity_bench
//
// miss: of the 10 ms steps that are loud in the clean sentence, how many the detector calls silent. false: of
// the steps before and after the sentence, how many it calls voice. onset, tail: when the agent says that
// speech started and stopped, against when it did (median and worst).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/audio/audio.h"
#include "services/voice/ear.h"
#include "services/voice/voice_activity.h"
#include "tests/support/process.h"

namespace arc::voice {
namespace {

constexpr absl::string_view kSentences[] = {"two volcano burgers without onions please",
                                            "can I get a large cola",
                                            "what is in the veggie burger",
                                            "no that is all thank you",
                                            "make it three instead of two",
                                            "I would like to pay"};

struct Speaker {
  const char* name;
  std::vector<std::string> before;  // the sentence
  std::vector<std::string> after;
};

audio::Samples Say(const Speaker& speaker, absl::string_view sentence) {
  const testing_support::TempDir folder;
  std::vector<std::string> argv = speaker.before;
  argv.emplace_back(sentence);
  argv.insert(argv.end(), speaker.after.begin(), speaker.after.end());
  argv.push_back(folder.File("s.wav"));
  if (testing_support::RunProgram(argv).status != 0) std::exit(1);
  const auto clip = audio::ReadSoundFile(folder.File("s.wav"));
  if (!clip.ok()) std::exit(1);
  return audio::Resample(clip->samples, clip->rate, kRate);
}

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
}

struct Figures {
  int64_t voice = 0, missed = 0, silence = 0, wrong = 0, undetected = 0, parts = 0, sentences = 0;
  std::vector<double> onset, tail;  // ms
};

void Measure(const audio::Samples& speech, double snr, uint32_t seed, Figures& figures) {
  audio::Samples scene(kRate);
  scene.insert(scene.end(), speech.begin(), speech.end());
  scene.resize(scene.size() + kRate);
  const size_t steps = scene.size() / kStepSamples;
  // What is loud: within 30 dB of the loudest step.
  std::vector<double> level(steps);
  for (size_t i = 0; i < steps; ++i) {
    level[i] = audio::LevelDb(absl::MakeConstSpan(scene).subspan(i * kStepSamples, kStepSamples));
  }
  const double threshold = *std::max_element(level.begin(), level.end()) - 30;
  const auto loud = [&](size_t i) { return level[i] > threshold; };
  size_t first = 0;
  while (!loud(first)) ++first;
  size_t last = steps - 1;
  while (!loud(last)) --last;
  if (snr < 100) {
    const double power = audio::LevelDb(
        absl::MakeConstSpan(scene).subspan(first * kStepSamples, (last - first + 1) * kStepSamples));
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, 32768 * std::pow(10, (power - snr) / 20));
    for (int16_t& sample : scene) {
      sample = static_cast<int16_t>(std::clamp(sample + noise(random), -32768.0, 32767.0));
    }
  }
  auto activity = MakeWebRtcVoiceActivity();
  if (!activity.ok()) std::exit(1);
  // A second of the room's own sound first, as a microphone that has been on has given.
  for (size_t i = 0; i < 100; ++i) {
    (void)(*activity)->IsVoice(absl::MakeConstSpan(scene).subspan((i % 90) * kStepSamples, kStepSamples));
  }
  class Recorder : public VoiceActivity {
   public:
    Recorder(VoiceActivity& inner, std::vector<bool>& judged) : inner_(inner), judged_(judged) {}
    bool IsVoice(absl::Span<const int16_t> step) override {
      judged_.push_back(inner_.IsVoice(step));
      return judged_.back();
    }

   private:
    VoiceActivity& inner_;
    std::vector<bool>& judged_;
  };
  std::vector<bool> judged;
  absl::Time now = absl::UnixEpoch();
  double started = -1;
  double stopped = -1;
  Ear::Listener listener;
  listener.on_sound = [](absl::Span<const int16_t>) {};
  listener.on_speech_started = [&](absl::Time) {
    if (started < 0) started = absl::ToDoubleMilliseconds(now - absl::UnixEpoch());
    ++figures.parts;
  };
  listener.on_speech_continues = [](absl::Duration) {};
  listener.on_speech_stopped = [&](absl::Time at, absl::Duration) {
    stopped = absl::ToDoubleMilliseconds(at - absl::UnixEpoch());
  };
  Ear ear(EarOptions(), std::make_unique<Recorder>(**activity, judged), std::move(listener));
  for (size_t at = 0; at + 320 <= scene.size(); at += 320) {
    now += absl::Milliseconds(20);
    const std::string bytes = audio::EncodePcm(absl::MakeConstSpan(scene).subspan(at, 320));
    MicFrame frame;
    frame.bytes = bytes;
    (void)ear.Push(now, frame);
  }
  ++figures.sentences;
  for (size_t i = 0; i < judged.size(); ++i) {
    if (i < first || i > last) {
      ++figures.silence;
      figures.wrong += judged[i] ? 1 : 0;
    } else if (loud(i)) {
      ++figures.voice;
      figures.missed += judged[i] ? 0 : 1;
    }
  }
  if (started < 0) {
    ++figures.undetected;
    return;
  }
  figures.onset.push_back(started - 10 * static_cast<double>(first));
  if (stopped >= 0) figures.tail.push_back(stopped - 10 * static_cast<double>(last + 1));
}

int Run() {
  const std::vector<Speaker> speakers = {{"espeak-ng", {"espeak-ng"}, {"-w"}},
                                         {"espeak-ng f3", {"espeak-ng", "-v", "en-us+f3"}, {"-w"}},
                                         {"flite slt", {"flite", "-voice", "slt", "-t"}, {"-o"}},
                                         {"flite rms", {"flite", "-voice", "rms", "-t"}, {"-o"}},
                                         {"flite awb", {"flite", "-voice", "awb", "-t"}, {"-o"}}};
  std::vector<audio::Samples> sentences;
  for (const Speaker& speaker : speakers) {
    for (const absl::string_view sentence : kSentences) sentences.push_back(Say(speaker, sentence));
  }
  std::printf("%6s %8s %8s %10s %8s %16s %16s\n", "SNR dB", "miss", "false", "undetected", "parts",
              "onset ms p50/max", "tail ms p50/max");
  for (const double snr : {1000.0, 20.0, 10.0, 5.0}) {
    Figures figures;
    uint32_t seed = 0;
    for (const audio::Samples& sentence : sentences) Measure(sentence, snr, ++seed, figures);
    std::printf("%6s %7.1f%% %7.1f%% %10lld %8.2f %9.0f/%-6.0f %9.0f/%-6.0f\n",
                snr > 100 ? "clean" : std::to_string(static_cast<int>(snr)).c_str(),
                100.0 * static_cast<double>(figures.missed) / static_cast<double>(figures.voice),
                100.0 * static_cast<double>(figures.wrong) / static_cast<double>(figures.silence),
                static_cast<long long>(figures.undetected),
                static_cast<double>(figures.parts) / static_cast<double>(figures.sentences),
                Percentile(figures.onset, 0.5), Percentile(figures.onset, 1), Percentile(figures.tail, 0.5),
                Percentile(figures.tail, 1));
  }
  auto activity = MakeWebRtcVoiceActivity();
  if (!activity.ok()) return 1;
  int64_t steps = 0;
  const absl::Time begin = absl::Now();
  for (const audio::Samples& sentence : sentences) {
    for (size_t at = 0; at + kStepSamples <= sentence.size(); at += kStepSamples, ++steps) {
      (void)(*activity)->IsVoice(absl::MakeConstSpan(sentence).subspan(at, kStepSamples));
    }
  }
  std::printf("%.1f us a step of 10 ms\n",
              absl::ToDoubleMicroseconds(absl::Now() - begin) / static_cast<double>(steps));
  return 0;
}

}  // namespace
}  // namespace arc::voice

int main() {
  return arc::voice::Run();
}
