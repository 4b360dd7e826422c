#include "services/tts/flite_engine.h"

#include <flite/flite.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/tts/pronunciations.h"

// The voices' libraries come without headers. Registering a voice again returns the one that there is.
// NOLINTBEGIN(readability-identifier-naming): flite's names
extern "C" {
cst_voice* register_cmu_us_slt(const char* voxdir);
cst_voice* register_cmu_us_rms(const char* voxdir);
cst_voice* register_cmu_us_awb(const char* voxdir);
cst_voice* register_cmu_us_kal16(const char* voxdir);
cst_lexicon* cmu_lex_init(void);
}
// NOLINTEND(readability-identifier-naming)

namespace arc::tts {
namespace {

struct Speaker {
  absl::string_view id;
  absl::string_view language;
  Gender gender;
  cst_voice* (*make)(const char* voxdir);
};
constexpr std::array<Speaker, 4> kSpeakers = {{
    {"cmu_us_slt", "en-US", Gender::kFemale, register_cmu_us_slt},
    {"cmu_us_rms", "en-US", Gender::kMale, register_cmu_us_rms},
    {"cmu_us_awb", "en-GB", Gender::kMale, register_cmu_us_awb},
    {"cmu_us_kal16", "en-US", Gender::kMale, register_cmu_us_kal16},
}};

constexpr int kPiece = 320;  // samples between two calls of the sink: 20 ms

// One call of Synthesise(), as flite's callback sees it.
struct Run {
  Stop& stop;
  const Sink& sink;
  bool stopped = false;
};

int TakePiece(const cst_wave* wave, int start, int size, int /*last*/, cst_audio_streaming_info* info) {
  auto& run = *static_cast<Run*>(info->userdata);
  if (size > 0) {
    const absl::Span<const int16_t> piece(wave->samples + start, static_cast<size_t>(size));
    run.stopped = run.stop.requested() || !run.sink(piece, wave->sample_rate);
  }
  return run.stopped ? CST_AUDIO_STREAM_STOP : CST_AUDIO_STREAM_CONT;
}

// Any number of threads may speak with one voice at once: an utterance links to what its voice holds and
// writes only to what is its own, the callback's information among that. valgrind's helgrind finds no race in
// it (four voices, three threads, with an addendum to the lexicon and streaming); only glibc's rand(), which
// has a lock, is shared. Registering voices and adding to the lexicon is another matter.
class FliteEngine : public Engine {
 public:
  absl::string_view name() const override { return "flite"; }
  Dialect dialect() const override { return {}; }

  absl::Status Start() override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!made_.empty()) return absl::OkStatus();
    // What registering writes is shared by all engines of the process.
    static std::mutex registering;
    std::lock_guard<std::mutex> registering_lock(registering);
    flite_init();
    for (const Speaker& speaker : kSpeakers) made_[speaker.id] = speaker.make(nullptr);
    AddPronunciations();
    return absl::OkStatus();
  }

  absl::Status Health() const override { return absl::OkStatus(); }

  std::vector<Voice> voices() const override {
    std::vector<Voice> voices;
    voices.reserve(kSpeakers.size());
    for (const Speaker& speaker : kSpeakers) {
      voices.push_back({std::string(speaker.id), std::string(speaker.language), speaker.gender});
    }
    return voices;
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    if (stop.requested()) return absl::CancelledError("stopped");
    cst_voice* const speaker = Find(voice.id);
    if (speaker == nullptr) return absl::InvalidArgumentError(absl::StrCat("flite has no voice ", voice.id));
    Run run{stop, sink};
    cst_utterance* const utterance = new_utterance();
    utt_set_input_text(utterance, sentence.c_str());
    utt_init(utterance, speaker);
    cst_audio_streaming_info* const info = new_audio_streaming_info();
    info->min_buffsize = kPiece;
    info->asc = TakePiece;
    info->userdata = &run;
    feat_set(utterance->features, "streaming_info", audio_streaming_info_val(info));  // owns `info` from here
    const bool made = utt_synth(utterance) != nullptr;
    delete_utterance(utterance);
    if (run.stopped) return absl::CancelledError("stopped");
    return made ? absl::OkStatus() : absl::InternalError("flite could not say a sentence");
  }

 private:
  static void AddPronunciations() {
    cst_lexicon* const lexicon = cmu_lex_init();
    if (lexicon->lex_addenda != nullptr) return;
    cst_val* addenda = nullptr;
    for (const Pronunciation& entry : Pronunciations()) {
      const std::string line = absl::StrCat(entry.word, " : ", entry.phones);
      if (cst_val* const made = cst_lex_make_entry(lexicon, line.c_str()); made != nullptr) {
        addenda = cons_val(made, addenda);
      }
    }
    lexicon->lex_addenda = addenda;
  }

  // Null: there is no such voice, or no Start() yet.
  cst_voice* Find(const std::string& id) const {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = made_.find(id);
    return found == made_.end() ? nullptr : found->second;
  }

  mutable std::mutex mutex_;
  std::map<absl::string_view, cst_voice*> made_;  // by id; they live as long as the process
};

}  // namespace

std::unique_ptr<Engine> MakeFliteEngine() {
  return std::make_unique<FliteEngine>();
}

}  // namespace arc::tts
