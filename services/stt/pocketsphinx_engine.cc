#include "services/stt/pocketsphinx_engine.h"

#include <malloc.h>
#include <pocketsphinx.h>
#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>
#include <sphinxbase/feat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/log/log.h"
#include "common/status/status_macros.h"
#include "services/stt/language_model.h"

namespace arc::stt {
namespace {

constexpr double kConfidenceAt = 2.46;
constexpr double kConfidenceSlope = 0.875;
constexpr absl::Duration kRetryAfter = absl::Seconds(5);

template <class T, int (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using ConfigPtr = std::unique_ptr<cmd_ln_t, Deleter<cmd_ln_t, cmd_ln_free_r>>;
using DecoderPtr = std::unique_ptr<ps_decoder_t, Deleter<ps_decoder_t, ps_free>>;
using NgramPtr = std::unique_ptr<ngram_model_t, Deleter<ngram_model_t, ngram_model_free>>;
using FrontEndPtr = std::unique_ptr<fe_t, Deleter<fe_t, fe_free>>;
using MllrPtr = std::unique_ptr<ps_mllr_t, Deleter<ps_mllr_t, ps_mllr_free>>;
using LogMathPtr = std::unique_ptr<logmath_t, Deleter<logmath_t, logmath_free>>;

// A transform of the acoustic model that changes nothing.
std::string PlainTransform() {
  constexpr int kStreams = 3;
  constexpr int kSize = 13;
  std::string text = absl::StrCat("1\n", kStreams, "\n");
  for (int stream = 0; stream < kStreams; ++stream) {
    absl::StrAppend(&text, kSize, "\n");
    for (int row = 0; row < kSize; ++row) {
      for (int column = 0; column < kSize; ++column) absl::StrAppend(&text, row == column ? "1 " : "0 ");
      absl::StrAppend(&text, "\n");
    }
    for (const char* value : {"0 ", "1 "}) {
      for (int i = 0; i < kSize; ++i) absl::StrAppend(&text, value);
      absl::StrAppend(&text, "\n");
    }
  }
  return text;
}

absl::StatusOr<MllrPtr> ReadTransform(absl::string_view text) {
  ASSIGN_OR_RETURN(const std::unique_ptr<MemoryFile> file, MemoryFile::Create(text));
  MllrPtr transform(ps_mllr_read(file->path().c_str()));
  if (transform == nullptr) return absl::InternalError("pocketsphinx does not take a voice's transform");
  return transform;
}

std::string Number(double value) {
  return absl::StrCat(value);
}

}  // namespace

// What all decoders of one menu are made from.
struct PocketsphinxEngine::Model {
  int64_t generation = 0;
  std::unique_ptr<MemoryFile> dictionary;
  std::unique_ptr<MemoryFile> arpa;
  std::vector<std::string> vocabulary;
};

class PocketsphinxEngine::Decoder {
 public:
  static absl::StatusOr<std::unique_ptr<Decoder>> Create(const PocketsphinxOptions& options,
                                                         const std::shared_ptr<const Model>& model,
                                                         const Voices& voices) {
    const std::string hmm = absl::StrCat(options.model_dir, "/en-us");
    const std::string general = absl::StrCat(options.model_dir, "/en-us.lm.bin");
    const ConfigPtr config(cmd_ln_init(
        nullptr, ps_args(), TRUE, "-hmm", hmm.c_str(), "-dict", model->dictionary->path().c_str(), "-lw",
        Number(options.language_weight).c_str(), "-fwdflatlw", Number(options.flat_language_weight).c_str(),
        "-bestpathlw", Number(options.path_language_weight).c_str(), "-wip",
        Number(options.word_insertion_penalty).c_str(), "-beam", Number(options.beam).c_str(), "-pbeam",
        Number(options.beam).c_str(), "-wbeam", Number(options.word_beam).c_str(), "-maxhmmpf",
        Number(options.max_hmms_per_frame).c_str(), "-fwdflatsfwin", Number(options.flat_window).c_str(),
        "-fwdflat", options.second_pass ? "yes" : "no", "-ascale", Number(options.acoustic_scale).c_str(),
        "-remove_silence", options.remove_silence ? "yes" : "no", "-remove_noise",
        options.remove_noise ? "yes" : "no", nullptr));
    if (config == nullptr) return absl::InvalidArgumentError("pocketsphinx does not take its options");
    std::unique_ptr<Decoder> decoder(new Decoder(options));
    decoder->generation_ = model->generation;
    decoder->decoder_.reset(ps_init(config.get()));
    if (decoder->decoder_ == nullptr) {
      return absl::UnavailableError(absl::StrCat("pocketsphinx cannot load the acoustic model in ", hmm));
    }
    logmath_t* const math = ps_get_logmath(decoder->decoder_.get());
    ngram_model_t* models[] = {ngram_model_read(config.get(), model->arpa->path().c_str(), NGRAM_ARPA, math),
                               ngram_model_read(config.get(), general.c_str(), NGRAM_BIN, math)};
    const NgramPtr domain(models[0]);
    const NgramPtr common(models[1]);
    if (domain == nullptr) return absl::InternalError("pocketsphinx does not take the menu's language model");
    if (common == nullptr) {
      return absl::UnavailableError(absl::StrCat("pocketsphinx cannot load the language model ", general));
    }
    // The library mixes probabilities that have been raised to the language weight, so the shares are too.
    const double share = std::pow(options.general_weight, options.language_weight);
    const float32 weights[] = {static_cast<float32>(1 - share), static_cast<float32>(share)};
    char domain_name[] = "menu";
    char common_name[] = "general";
    char* names[] = {domain_name, common_name};
    // The set keeps references of its own to its models.
    const NgramPtr set(ngram_model_set_init(config.get(), models, names, weights, 2));
    if (set == nullptr) return absl::InternalError("the language models cannot be combined");
    std::vector<const char*> words;
    words.reserve(model->vocabulary.size());
    for (const std::string& word : model->vocabulary) words.push_back(word.c_str());
    ngram_model_set_map_words(set.get(), words.data(), static_cast<int32>(words.size()));
    if (ps_set_lm(decoder->decoder_.get(), "menu", set.get()) != 0 ||
        ps_set_search(decoder->decoder_.get(), "menu") != 0) {
      return absl::InternalError("pocketsphinx cannot use the language model");
    }
    decoder->front_end_.reset(fe_init_auto_r(ps_get_config(decoder->decoder_.get())));
    if (decoder->front_end_ == nullptr) return absl::InternalError("no front end");
    decoder->voices_ = &voices;
    if (voices.size() > 1) {
      ASSIGN_OR_RETURN(decoder->no_change_, ReadTransform(PlainTransform()));
    }
    cmn_t* const cmn = ps_get_feat(decoder->decoder_.get())->cmn_struct;
    decoder->first_mean_.resize(static_cast<size_t>(cmn->veclen));
    cmn_live_get(cmn, decoder->first_mean_.data());
    return decoder;
  }

  int64_t generation() const { return generation_; }
  ps_decoder_t* get() const { return decoder_.get(); }

  // Forgets the utterance before.
  absl::Status Reset() {
    sum_.assign(first_mean_.size(), 0);
    heard_.clear();
    frames_ = 0;
    loudest_ = 0;
    random_ = 1;
    sound_.clear();
    decoded_ = begun_at_ = 0;
    SetMean();
    fe_start_stream(front_end_.get());
    if (fe_start_utt(front_end_.get()) != 0) return absl::UnavailableError("pocketsphinx has no front end");
    return absl::OkStatus();
  }

  // Takes more sound, and decodes it unless the voice is not known well enough yet.
  absl::Status Push(absl::Span<const int16_t> samples) {
    const size_t before = sound_.size();
    sound_.insert(sound_.end(), samples.begin(), samples.end());
    Dither(absl::MakeSpan(sound_).subspan(before));
    AdaptMean(absl::MakeConstSpan(sound_).subspan(before));
    const size_t hold = SamplesIn(options_.hold);
    if (sound_.size() < hold) return absl::OkStatus();
    // Each time that twice as much is known of the voice, what was decoded is decoded again.
    if (begun_at_ == 0 ||
        (sound_.size() >= 2 * begun_at_ && sound_.size() <= SamplesIn(options_.last_restart))) {
      RETURN_IF_ERROR(Begin());
    }
    return Decode();
  }

  // Decodes what is left, and ends the utterance.
  absl::StatusOr<Hypothesis> Finish() {
    const bool little =
        sound_.size() <= SamplesIn(options_.last_restart) && 4 * begun_at_ < 3 * sound_.size();
    if (begun_at_ == 0 || little) RETURN_IF_ERROR(Begin());
    RETURN_IF_ERROR(Decode());
    if (!End()) return absl::UnavailableError("pocketsphinx cannot end an utterance");
    Hypothesis hypothesis;
    hypothesis.text = Text();
    if (hypothesis.text.empty()) return hypothesis;
    const auto spaces = std::count(hypothesis.text.begin(), hypothesis.text.end(), ' ');
    hypothesis.confidence = Confidence(static_cast<int>(spaces) + 1);
    return hypothesis;
  }

  // The words so far.
  std::string Text() {
    if (begun_at_ == 0) return "";
    const char* const text = ps_get_hyp(get(), nullptr);
    return text == nullptr ? "" : text;
  }

  // Ends the utterance if it is under way; whether that could be done.
  bool End() { return !std::exchange(open_, false) || ps_end_utt(get()) == 0; }

 private:
  // Takes the acoustic model of the voice that was heard.
  absl::Status ChooseVoice() {
    if (voices_->size() == 1) return absl::OkStatus();
    const std::vector<mfcc_t> mean = Mean();
    std::vector<float> frames = heard_;
    for (size_t i = 0; i < frames.size(); ++i) frames[i] -= mean[i % mean.size()];
    const size_t voice = voices_->Closest(frames, options_.voice_margin);
    if (voice == voice_) return absl::OkStatus();
    // The library reads the means that its configuration names when a transform is set.
    cmd_ln_set_str_r(ps_get_config(get()), "_mean", voices_->means_path(voice).c_str());
    if (ps_update_mllr(get(), ps_mllr_retain(no_change_.get())) == nullptr) {
      return absl::InternalError("pocketsphinx cannot take another voice");
    }
    voice_ = voice;
    return absl::OkStatus();
  }

  // After Finish(), of a text of so many words: how likely all of them are right. The posterior of the best
  // path is far below that: paths that differ in times only share it. This curve was fitted to right and
  // wrong texts of the tuning voices (README).
  double Confidence(int words) {
    const double posterior = std::max(1e-300, logmath_exp(ps_get_logmath(get()), ps_get_prob(get())));
    return 1 / (1 + std::exp(-(kConfidenceAt + kConfidenceSlope * std::log(posterior) / std::sqrt(words))));
  }

  static size_t SamplesIn(absl::Duration duration) {
    return static_cast<size_t>(absl::ToDoubleSeconds(duration) * kEngineRate);
  }

  // Begins to decode from the first sample on.
  absl::Status Begin() {
    End();
    RETURN_IF_ERROR(ChooseVoice());
    if (ps_start_stream(get()) != 0 || ps_start_utt(get()) != 0) {
      return absl::UnavailableError("pocketsphinx cannot begin an utterance");
    }
    open_ = true;
    decoded_ = 0;
    begun_at_ = std::max<size_t>(1, sound_.size());
    SetMean();  // the end of an utterance sets another one
    return absl::OkStatus();
  }

  absl::Status Decode() {
    const size_t count = sound_.size() - decoded_;
    const int16_t* const from = sound_.data() + decoded_;
    decoded_ = sound_.size();
    if (ps_process_raw(get(), from, count, FALSE, FALSE) < 0) {
      return absl::UnavailableError("pocketsphinx cannot process sound");
    }
    return absl::OkStatus();
  }

  explicit Decoder(const PocketsphinxOptions& options) : options_(options) {}

  // Faint noise, the same each time: the silence of a synthesised voice has no spectrum, and everything is
  // measured against the spectrum of silence.
  void Dither(absl::Span<int16_t> samples) {
    const int level = options_.dither;
    if (level <= 0) return;
    for (int16_t& sample : samples) {
      random_ = random_ * 1664525U + 1013904223U;
      const int noise = static_cast<int>((random_ >> 16) % (2 * static_cast<unsigned>(level) + 1)) - level;
      sample = static_cast<int16_t>(std::clamp(sample + noise, -32768, 32767));
    }
  }

  // The model expects cepstra without their mean. The library would take the mean of earlier utterances, by
  // other people at other distances; this is the mean of this one, as far as it was heard.
  void AdaptMean(absl::Span<const int16_t> samples) {
    const size_t size = first_mean_.size();
    const int16_t* data = samples.data();
    size_t left = samples.size();
    std::vector<mfcc_t> block(kRows * size);
    std::vector<mfcc_t*> rows(kRows);
    for (size_t i = 0; i < kRows; ++i) rows[i] = block.data() + i * size;
    while (left > 0) {
      auto made = static_cast<int32>(kRows);
      int32 start = 0;
      const size_t before = left;
      if (fe_process_frames(front_end_.get(), &data, &left, rows.data(), &made, &start) < 0) return;
      for (int32 i = 0; i < made; ++i) {
        const mfcc_t* const row = rows[static_cast<size_t>(i)];
        loudest_ = std::max(loudest_, static_cast<double>(row[0]));
        if (row[0] < loudest_ - options_.mean_range) continue;
        for (size_t j = 0; j < size; ++j) sum_[j] += row[j];
        heard_.insert(heard_.end(), row, row + size);
        ++frames_;
      }
      if (made == 0 && left == before) break;
    }
    SetMean();
  }

  std::vector<mfcc_t> Mean() const {
    std::vector<mfcc_t> mean = first_mean_;
    const double prior = std::max(1e-6, options_.mean_prior_frames);
    for (size_t j = 0; j < mean.size(); ++j) {
      mean[j] = static_cast<mfcc_t>((sum_[j] + prior * static_cast<double>(first_mean_[j])) /
                                    (prior + static_cast<double>(frames_)));
    }
    return mean;
  }

  void SetMean() { cmn_live_set(ps_get_feat(get())->cmn_struct, Mean().data()); }

  static constexpr size_t kRows = 64;

  const PocketsphinxOptions& options_;  // the engine's
  int64_t generation_ = 0;
  DecoderPtr decoder_;
  FrontEndPtr front_end_;
  std::vector<mfcc_t> first_mean_;
  MllrPtr no_change_;
  const Voices* voices_ = nullptr;  // the engine's
  size_t voice_ = 0;                // that the acoustic model has
  std::vector<float> heard_;        // cepstra of the utterance that are loud enough, as they came
  std::vector<int16_t> sound_;      // of the utterance, from its first sample
  size_t decoded_ = 0;              // of sound_
  size_t begun_at_ = 0;             // how much of sound_ was there when decoding began; 0: it has not
  bool open_ = false;               // between ps_start_utt() and ps_end_utt()
  uint32_t random_ = 1;
  std::vector<double> sum_;
  double loudest_ = 0;
  int64_t frames_ = 0;
};

class PocketsphinxEngine::Utterance : public Recognition {
 public:
  Utterance(PocketsphinxEngine& engine, std::unique_ptr<Decoder> decoder)
      : engine_(engine), decoder_(std::move(decoder)) {}
  ~Utterance() override {
    decoder_->End();
    engine_.Release(std::move(decoder_));
  }

  absl::Status Push(absl::Span<const int16_t> samples) override {
    if (!std::exchange(begun_, true)) RETURN_IF_ERROR(decoder_->Reset());
    return decoder_->Push(samples);
  }

  std::string Partial() override { return begun_ ? decoder_->Text() : ""; }

  absl::StatusOr<Hypothesis> Finish() override {
    if (!begun_) return Hypothesis();
    return decoder_->Finish();
  }

 private:
  PocketsphinxEngine& engine_;
  std::unique_ptr<Decoder> decoder_;
  bool begun_ = false;
};

PocketsphinxEngine::PocketsphinxEngine(PocketsphinxOptions options) : options_(std::move(options)) {
  err_set_logfp(nullptr);  // the library's log, which goes to stderr otherwise
}

PocketsphinxEngine::~PocketsphinxEngine() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (builder_.joinable()) builder_.join();
}

void PocketsphinxEngine::Start() {
  builder_ = std::thread([this] { Build(); });
}

absl::Status PocketsphinxEngine::Health() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

void PocketsphinxEngine::SetMenu(std::shared_ptr<const menu::Catalogue> catalogue) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // An item that is taken off changes no words, and that no menu was found does not undo one.
    if (wanted_ > 0 && (catalogue == catalogue_ || catalogue == nullptr)) return;
    // A model without dishes mishears every order: utterances wait for the first menu's.
    if (catalogue_ == nullptr && catalogue != nullptr && status_.ok())
      status_ = absl::UnavailableError(kModelNotLoaded);
    catalogue_ = std::move(catalogue);
    ++wanted_;
  }
  changed_.notify_all();
}

bool PocketsphinxEngine::Understands(absl::string_view language) const {
  return language.empty() || absl::EqualsIgnoreCase(language, "en") ||
         absl::StartsWithIgnoreCase(language, "en-");
}

int64_t PocketsphinxEngine::menus_in_use() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::max<int64_t>(0, built_);
}

int64_t PocketsphinxEngine::vocabulary() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return vocabulary_;
}

absl::StatusOr<std::unique_ptr<Recognition>> PocketsphinxEngine::Begin(absl::string_view language) {
  if (!Understands(language)) {
    return absl::InvalidArgumentError(absl::StrCat("pocketsphinx does not understand ", language));
  }
  std::unique_ptr<Decoder> decoder;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!status_.ok()) return status_;
    if (free_.empty() || busy_ >= options_.decoders) {
      return absl::ResourceExhaustedError("every decoder is at work");
    }
    decoder = std::move(free_.back());
    free_.pop_back();
    ++busy_;
  }
  return std::make_unique<Utterance>(*this, std::move(decoder));
}

void PocketsphinxEngine::Release(std::unique_ptr<Decoder> decoder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  --busy_;
  // One of an older menu is put where the builder finds it; it is used only while there is no newer one.
  const auto place = std::find_if(free_.begin(), free_.end(), [&](const std::unique_ptr<Decoder>& other) {
    return other->generation() >= decoder->generation();
  });
  free_.insert(place, std::move(decoder));
  changed_.notify_all();
}

absl::Status PocketsphinxEngine::Load() {
  if (pronunciations_ == nullptr) {
    ASSIGN_OR_RETURN(pronunciations_,
                     Pronunciations::Load(absl::StrCat(options_.model_dir, "/cmudict-en-us.dict")));
  }
  if (voices_ == nullptr) {
    ASSIGN_OR_RETURN(voices_, Voices::Load(options_.model_dir));
  }
  if (!general_vocabulary_.empty() || options_.general_words <= 0) return absl::OkStatus();
  const std::string path = absl::StrCat(options_.model_dir, "/en-us.lm.bin");
  if (access(path.c_str(), R_OK) != 0) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  const LogMathPtr math(logmath_init(1.0001, 0, 0));
  const NgramPtr general(ngram_model_read(nullptr, path.c_str(), NGRAM_BIN, math.get()));
  if (general == nullptr) return absl::UnavailableError(absl::StrCat("cannot load ", path));
  std::vector<std::pair<int32, std::string>> words;
  pronunciations_->ForEachWord([&](absl::string_view word) {
    const std::string text(word);
    const int32 id = ngram_wid(general.get(), text.c_str());
    if (id == ngram_unknown_wid(general.get())) return;
    int32 used = 0;
    words.emplace_back(ngram_ng_prob(general.get(), id, nullptr, 0, &used), text);
  });
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  words.resize(std::min(words.size(), static_cast<size_t>(options_.general_words)));
  for (auto& [probability, word] : words) general_vocabulary_.push_back(std::move(word));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const PocketsphinxEngine::Model>> PocketsphinxEngine::MakeModel(
    const menu::Catalogue* catalogue, int64_t generation) const {
  size_t left_out = 0;
  ASSIGN_OR_RETURN(const NgramCounts counts, CountPhrases(catalogue, &left_out));
  if (left_out > 0) {
    Log(LogLevel::kWarning,
        "the menu has more words than can be told apart by ear: the later names are not recognised",
        {{"names_left_out", absl::StrCat(left_out)}, {"words_limit", absl::StrCat(kMostMenuWords)}});
  }
  auto model = std::make_shared<Model>();
  model->generation = generation;
  std::set<std::string> words(general_vocabulary_.begin(), general_vocabulary_.end());
  words.insert(counts.words().begin(), counts.words().end());
  words.erase(kSentenceBegin);
  words.erase(kSentenceEnd);
  std::string dictionary;
  for (const std::string& word : words) {
    const std::vector<Phones> all = pronunciations_->Of(word);
    if (all.empty()) {
      Log(LogLevel::kWarning, "a word cannot be pronounced", {{"word", word}});
      continue;
    }
    for (size_t i = 0; i < all.size(); ++i) {
      absl::StrAppend(&dictionary, word, i == 0 ? "" : absl::StrCat("(", i + 1, ")"), " ", all[i], "\n");
    }
    model->vocabulary.push_back(word);
  }
  model->vocabulary.push_back(kSentenceBegin);
  model->vocabulary.push_back(kSentenceEnd);
  ASSIGN_OR_RETURN(model->dictionary, MemoryFile::Create(dictionary));
  ASSIGN_OR_RETURN(model->arpa, MemoryFile::Create(NgramModel(counts, options_.ngram).ToArpa()));
  return model;
}

// Makes decoders for the newest menu, one at a time, and retires those of older ones, until the end.
void PocketsphinxEngine::Build() {
  const auto fail = [this](const absl::Status& status) {
    std::unique_lock<std::mutex> lock(mutex_);
    Log(LogLevel::kError, "the speech model cannot be loaded", {{"error", std::string(status.message())}});
    if (built_ < 0) status_ = status;
    changed_.wait_for(lock, absl::ToChronoNanoseconds(kRetryAfter), [this] { return stopping_; });
  };
  int64_t generation = 0;  // of this attempt
  while (true) {
    std::shared_ptr<const menu::Catalogue> catalogue;
    int64_t number = 0;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || (wanted_ > 0 && built_ != wanted_); });
      if (stopping_) return;
      catalogue = catalogue_;
      number = wanted_;
    }
    ++generation;
    const absl::Time begin = absl::Now();
    absl::Status status = Load();
    if (!status.ok()) {
      fail(status);
      continue;
    }
    const absl::StatusOr<std::shared_ptr<const Model>> model = MakeModel(catalogue.get(), generation);
    if (!model.ok()) {
      fail(model.status());
      continue;
    }
    int made = 0;
    while (made < options_.decoders) {
      absl::StatusOr<std::unique_ptr<Decoder>> decoder = Decoder::Create(options_, *model, *voices_);
      if (!decoder.ok()) {
        status = decoder.status();
        break;
      }
      ++made;
      std::unique_ptr<Decoder> old;
      std::unique_lock<std::mutex> lock(mutex_);
      if (stopping_) return;
      free_.push_back(*std::move(decoder));
      // No more than one decoder beyond what utterances can use: an old one goes for the new one, now or when
      // its utterance ends.
      changed_.wait(lock, [&] {
        return stopping_ || static_cast<int>(free_.size()) + busy_ <= options_.decoders ||
               free_.front()->generation() != generation;
      });
      if (stopping_) return;
      if (static_cast<int>(free_.size()) + busy_ > options_.decoders) {
        old = std::move(free_.front());
        free_.erase(free_.begin());
      }
    }
    if (made < options_.decoders) {
      fail(status);
      continue;
    }
    malloc_trim(0);
    const absl::Duration took = absl::Now() - begin;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      built_ = number;
      vocabulary_ = static_cast<int64_t>((*model)->vocabulary.size()) - 2;
      if (catalogue != nullptr || number == wanted_) status_ = absl::OkStatus();
    }
    Log(LogLevel::kInfo, "speech model ready",
        {{"words", absl::StrCat((*model)->vocabulary.size() - 2)},
         {"ms", absl::StrCat(absl::ToInt64Milliseconds(took))}});
    if (on_model_) on_model_(took);
  }
}

}  // namespace arc::stt
