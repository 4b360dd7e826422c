// Recognises sound files with the stt agent's engine, as fast as it can, and prints one JSON line a file:
// what was understood, how long the end took after the last sound, and how long all of it took. Files come
// one a line on stdin. Flags change the engine's options.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/audio/audio.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "services/menu/menu_file.h"
#include "services/stt/pocketsphinx_engine.h"

using arc::stt::PocketsphinxOptions;

ABSL_FLAG(std::string, menu, "deploy/demo/menu.json", "menu file");
ABSL_FLAG(int, threads, 2, "utterances at once");
ABSL_FLAG(int, frame_ms, 20, "sound is handed over in pieces of this length");
ABSL_FLAG(int, general_words, PocketsphinxOptions().general_words, "");
ABSL_FLAG(double, general_weight, PocketsphinxOptions().general_weight, "");
ABSL_FLAG(double, sentences, PocketsphinxOptions().ngram.sentences, "");
ABSL_FLAG(double, least_count, PocketsphinxOptions().ngram.least_count, "");
ABSL_FLAG(double, lw, PocketsphinxOptions().language_weight, "");
ABSL_FLAG(double, fwdflatlw, PocketsphinxOptions().flat_language_weight, "");
ABSL_FLAG(double, bestpathlw, PocketsphinxOptions().path_language_weight, "");
ABSL_FLAG(double, wip, PocketsphinxOptions().word_insertion_penalty, "");
ABSL_FLAG(double, beam, PocketsphinxOptions().beam, "");
ABSL_FLAG(double, wbeam, PocketsphinxOptions().word_beam, "");
ABSL_FLAG(int, maxhmmpf, PocketsphinxOptions().max_hmms_per_frame, "");
ABSL_FLAG(int, flat_window, PocketsphinxOptions().flat_window, "");
ABSL_FLAG(bool, second_pass, PocketsphinxOptions().second_pass, "");
ABSL_FLAG(double, ascale, PocketsphinxOptions().acoustic_scale, "");
ABSL_FLAG(bool, remove_silence, PocketsphinxOptions().remove_silence, "");
ABSL_FLAG(absl::Duration, hold, PocketsphinxOptions().hold, "");
ABSL_FLAG(absl::Duration, last_restart, PocketsphinxOptions().last_restart, "");
ABSL_FLAG(double, mean_prior_frames, PocketsphinxOptions().mean_prior_frames, "");
ABSL_FLAG(double, mean_range, PocketsphinxOptions().mean_range, "");
ABSL_FLAG(double, voice_margin, PocketsphinxOptions().voice_margin, "");
ABSL_FLAG(int, dither, PocketsphinxOptions().dither, "");
ABSL_FLAG(bool, remove_noise, PocketsphinxOptions().remove_noise, "");

namespace {

struct Result {
  std::string file;
  std::string text;
  double confidence = 0;
  double audio_ms = 0;
  double tail_ms = 0;
  double total_ms = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("file", s.file);
    v.Required("text", s.text);
    v.Required("confidence", s.confidence);
    v.Required("audio_ms", s.audio_ms);
    v.Required("tail_ms", s.tail_ms);
    v.Required("total_ms", s.total_ms);
  }
};

absl::StatusOr<Result> Recognize(arc::stt::Engine& engine, const std::string& file) {
  auto clip = arc::audio::ReadSoundFile(file);
  if (!clip.ok()) return clip.status();
  const arc::audio::Samples samples = arc::audio::Resample(clip->samples, clip->rate, arc::stt::kEngineRate);
  Result result;
  result.file = file;
  result.audio_ms = 1000.0 * static_cast<double>(samples.size()) / arc::stt::kEngineRate;
  const size_t piece = static_cast<size_t>(arc::stt::kEngineRate / 1000 * absl::GetFlag(FLAGS_frame_ms));
  const absl::Time begin = absl::Now();
  auto recognition = engine.Begin("en-US");
  if (!recognition.ok()) return recognition.status();
  const absl::Span<const int16_t> all(samples);
  for (size_t at = 0; at < all.size(); at += piece) {
    const absl::Status pushed = (*recognition)->Push(all.subspan(at, piece));
    if (!pushed.ok()) return pushed;
    if (at / piece % 10 == 9) (*recognition)->Partial();
  }
  const absl::Time end_of_sound = absl::Now();
  auto hypothesis = (*recognition)->Finish();
  if (!hypothesis.ok()) return hypothesis.status();
  const absl::Time end = absl::Now();
  result.text = hypothesis->text;
  result.confidence = hypothesis->confidence.value_or(0);
  result.tail_ms = absl::ToDoubleMilliseconds(end - end_of_sound);
  result.total_ms = absl::ToDoubleMilliseconds(end - begin);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  arc::InitLog("stt_recognize", arc::LogLevel::kInfo);
  std::ifstream in(absl::GetFlag(FLAGS_menu));
  const auto file = arc::menu::ParseMenuFile(std::string(std::istreambuf_iterator<char>(in), {}));
  if (!file.ok()) {
    std::cerr << file.status() << "\n";
    return 1;
  }
  PocketsphinxOptions options;
  options.decoders = absl::GetFlag(FLAGS_threads);
  options.general_words = absl::GetFlag(FLAGS_general_words);
  options.general_weight = absl::GetFlag(FLAGS_general_weight);
  options.ngram.sentences = absl::GetFlag(FLAGS_sentences);
  options.ngram.least_count = absl::GetFlag(FLAGS_least_count);
  options.language_weight = absl::GetFlag(FLAGS_lw);
  options.flat_language_weight = absl::GetFlag(FLAGS_fwdflatlw);
  options.path_language_weight = absl::GetFlag(FLAGS_bestpathlw);
  options.word_insertion_penalty = absl::GetFlag(FLAGS_wip);
  options.beam = absl::GetFlag(FLAGS_beam);
  options.word_beam = absl::GetFlag(FLAGS_wbeam);
  options.max_hmms_per_frame = absl::GetFlag(FLAGS_maxhmmpf);
  options.flat_window = absl::GetFlag(FLAGS_flat_window);
  options.second_pass = absl::GetFlag(FLAGS_second_pass);
  options.acoustic_scale = absl::GetFlag(FLAGS_ascale);
  options.remove_silence = absl::GetFlag(FLAGS_remove_silence);
  options.hold = absl::GetFlag(FLAGS_hold);
  options.last_restart = absl::GetFlag(FLAGS_last_restart);
  options.mean_prior_frames = absl::GetFlag(FLAGS_mean_prior_frames);
  options.mean_range = absl::GetFlag(FLAGS_mean_range);
  options.voice_margin = absl::GetFlag(FLAGS_voice_margin);
  options.dither = absl::GetFlag(FLAGS_dither);
  options.remove_noise = absl::GetFlag(FLAGS_remove_noise);
  absl::Notification ready;  // outlives the engine, which notifies it
  arc::stt::PocketsphinxEngine engine(options);
  engine.OnModel([&ready](absl::Duration) { ready.Notify(); });  // once: there is one menu
  engine.Start();
  engine.SetMenu(arc::menu::Catalogue::Create(*file).value());
  if (!ready.WaitForNotificationWithTimeout(absl::Seconds(60))) {
    std::cerr << engine.Health() << "\n";
    return 1;
  }

  std::vector<std::string> files;
  for (std::string line; std::getline(std::cin, line);) files.push_back(line);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.decoders; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < files.size(); at = next++) {
        const auto result = Recognize(engine, files[at]);
        const std::lock_guard<std::mutex> lock(mutex);
        if (!result.ok()) {
          std::cerr << files[at] << ": " << result.status() << "\n";
        } else {
          std::cout << arc::json::Encode(*result) << std::endl;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}
