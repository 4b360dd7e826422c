// Speech to text with pocketsphinx, on this machine, with a language model that follows the menu (design,
// section 4): trigrams of what customers say (language_model.h), interpolated with the general English model.
#ifndef ARC_SERVICES_STT_POCKETSPHINX_ENGINE_H_
#define ARC_SERVICES_STT_POCKETSPHINX_ENGINE_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/stt/engine.h"
#include "services/stt/ngram.h"
#include "services/stt/pronunciation.h"
#include "services/stt/voices.h"

namespace arc::stt {

struct PocketsphinxOptions {
  // Holds en-us/ (acoustic model), cmudict-en-us.dict and en-us.lm.bin.
  std::string model_dir = "/usr/share/pocketsphinx/model/en-us";
  int decoders = 1;  // utterances at once
  // How many of the most frequent words of general English can be recognised beside the menu's.
  int general_words = 6000;
  // Share of general English in the probability of a word, 0 to 1.
  double general_weight = 0.015;
  NgramOptions ngram;

  // Sound that is held back at the beginning, until the level and colour of the voice can be judged. When
  // twice as much has come, and again, up to `last_restart`, it is decoded anew with what is known then.
  absl::Duration hold = absl::Milliseconds(600);
  absl::Duration last_restart = absl::Milliseconds(2500);
  double mean_prior_frames = 10;  // of 10 ms: how much the usual mean of the spectrum counts
  double mean_range = 40;         // what is fainter than the loudest by so much (c0) does not count
  int dither = 8;                 // amplitude, of 32768

  // A synthetic voice must explain the sound of a frame by so much better (natural logarithm) than the
  // acoustic model as it is.
  double voice_margin = 0.3;

  // The decoder's own (see its manual).
  double language_weight = 6.5;
  double flat_language_weight = 8.5;
  double path_language_weight = 9.5;
  double word_insertion_penalty = 0.65;
  double beam = 1e-60;
  double word_beam = 1e-35;
  int max_hmms_per_frame = 5000;
  int flat_window = 25;
  bool second_pass = true;
  double acoustic_scale = 20;
  bool remove_silence = true;
  bool remove_noise = true;
};

inline constexpr char kModelNotLoaded[] = "the model of the menu is not loaded yet";

class PocketsphinxEngine : public Engine {
 public:
  explicit PocketsphinxEngine(PocketsphinxOptions options);
  // No utterance may be under way.
  ~PocketsphinxEngine() override;

  absl::string_view name() const override { return "pocketsphinx"; }
  void Start() override;
  absl::Status Health() const override;
  void SetMenu(std::shared_ptr<const menu::Catalogue> catalogue) override;
  bool Understands(absl::string_view language) const override;
  absl::StatusOr<std::unique_ptr<Recognition>> Begin(absl::string_view language) override;

  // How many menus have been made into a model that every utterance that begins now uses.
  int64_t menus_in_use() const;
  // Words that can be recognised now.
  int64_t vocabulary() const;
  // Called after each change of model, on a thread of the engine, with the time that it took. Before Start().
  void OnModel(std::function<void(absl::Duration)> callback) { on_model_ = std::move(callback); }

  class Decoder;
  struct Model;

 private:
  class Utterance;

  void Build();
  absl::Status Load();
  absl::StatusOr<std::shared_ptr<const Model>> MakeModel(const menu::Catalogue* catalogue,
                                                         int64_t generation) const;
  void Release(std::unique_ptr<Decoder> decoder);

  const PocketsphinxOptions options_;
  std::function<void(absl::Duration)> on_model_;

  // Of the builder's thread, once loaded:
  std::unique_ptr<const Pronunciations> pronunciations_;
  std::unique_ptr<const Voices> voices_;  // outlives the decoders: before free_
  std::vector<std::string> general_vocabulary_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  absl::Status status_ = absl::UnavailableError(kModelNotLoaded);
  std::shared_ptr<const menu::Catalogue> catalogue_;
  int64_t wanted_ = 0;  // menus set
  int64_t built_ = -1;  // the number of the latest that is in use
  int64_t vocabulary_ = 0;
  std::vector<std::unique_ptr<Decoder>> free_;  // the newest last
  int busy_ = 0;

  std::thread builder_;
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_POCKETSPHINX_ENGINE_H_
