#include "services/tts/flite_engine.h"

#include <flite/flite.h>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/tts/pronunciations.h"

// The voices' libraries come without headers. Registering makes a voice once and keeps it in the variable.
extern "C" {
cst_voice* register_cmu_us_slt(const char* voxdir);
cst_voice* register_cmu_us_rms(const char* voxdir);
cst_voice* register_cmu_us_awb(const char* voxdir);
cst_voice* register_cmu_us_kal16(const char* voxdir);
extern cst_voice* cmu_us_slt_cg;
extern cst_voice* cmu_us_rms_cg;
extern cst_voice* cmu_us_awb_cg;
extern cst_voice* cmu_us_kal16_diphone;
cst_lexicon* cmu_lex_init(void);
}

namespace arc::tts {
namespace {

struct Speaker {
  absl::string_view id;
  absl::string_view language;
  Gender gender;
  cst_voice* (*make)(const char* voxdir);
  cst_voice** made;
};
constexpr std::array<Speaker, 4> kSpeakers = {{
    {"cmu_us_slt", "en-US", Gender::kFemale, register_cmu_us_slt, &cmu_us_slt_cg},
    {"cmu_us_rms", "en-US", Gender::kMale, register_cmu_us_rms, &cmu_us_rms_cg},
    {"cmu_us_awb", "en-GB", Gender::kMale, register_cmu_us_awb, &cmu_us_awb_cg},
    {"cmu_us_kal16", "en-US", Gender::kMale, register_cmu_us_kal16, &cmu_us_kal16_diphone},
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

// flite counts references to what a voice holds, and every utterance takes and returns them without a lock:
// two utterances of one voice at once would corrupt the counts. What a voice is made of beside that is
// constant, once it is registered. So an utterance has a voice to itself, from a pool that is made before
// anybody speaks; a voice is a table of some hundred pointers, its sounds are shared. valgrind's helgrind
// finds no race in flite used so (tests/bench/tts, --engine=flite --threads), and many with one voice shared.
class FliteEngine : public Engine {
 public:
  absl::string_view name() const override { return "flite"; }
  Dialect dialect() const override { return {}; }

  explicit FliteEngine(int copies) : copies_(copies) {}

  absl::Status Start() override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) return absl::OkStatus();
    // What registering writes is shared by all engines of the process.
    static std::mutex registering;
    std::lock_guard<std::mutex> registering_lock(registering);
    flite_init();
    AddPronunciations();
    for (const Speaker& speaker : kSpeakers) {
      for (int i = 0; i < copies_; ++i) {
        *speaker.made = nullptr;  // else it would hand out the one that there is
        idle_[speaker.id].push_back(speaker.make(nullptr));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Health() const override { return absl::OkStatus(); }

  std::vector<Voice> voices() const override {
    std::vector<Voice> voices;
    for (const Speaker& speaker : kSpeakers) {
      voices.push_back({std::string(speaker.id), std::string(speaker.language), speaker.gender});
    }
    return voices;
  }

  absl::Status Synthesise(const Voice& voice, const std::string& sentence, Stop& stop,
                          const Sink& sink) override {
    if (stop.requested()) return absl::CancelledError("stopped");
    cst_voice* const speaker = Take(voice.id);
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
    Return(voice.id, speaker);
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

  // A voice that nobody speaks with; waits for one. Null: there is no such voice, or no Start() yet.
  cst_voice* Take(const std::string& id) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto found = idle_.find(id);
    if (found == idle_.end()) return nullptr;
    returned_.wait(lock, [&] { return !found->second.empty(); });
    cst_voice* const voice = found->second.back();
    found->second.pop_back();
    return voice;
  }

  void Return(const std::string& id, cst_voice* voice) {
    std::lock_guard<std::mutex> lock(mutex_);
    idle_.find(id)->second.push_back(voice);
    returned_.notify_all();
  }

  const int copies_;
  std::mutex mutex_;
  std::condition_variable returned_;
  // By id. Voices live as long as the process: flite cannot take one apart safely that shares its lexicon.
  std::map<absl::string_view, std::vector<cst_voice*>> idle_;
};

}  // namespace

std::unique_ptr<Engine> MakeFliteEngine(int copies) {
  return std::make_unique<FliteEngine>(copies);
}

}  // namespace arc::tts
