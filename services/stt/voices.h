// Synthetic voices that the general acoustic model hears badly, and which of them an utterance is most like.
// Learnt when the project is built (train_voices.py).
#ifndef ARC_SERVICES_STT_VOICES_H_
#define ARC_SERVICES_STT_VOICES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/stt/memory_file.h"

namespace arc::stt {

// Thread-safe.
class Voices {
 public:
  static constexpr size_t kCepstra = 13;

  // `model_dir` holds the acoustic model. NotFound when it cannot be read. Where it is not the one from which
  // the voices were learnt, it stays the only voice.
  static absl::StatusOr<std::unique_ptr<const Voices>> Load(const std::string& model_dir);

  // Voices are numbered from 0, which is the acoustic model as it is.
  size_t size() const { return voices_.size(); }
  const std::string& name(size_t voice) const { return voices_[voice].name; }
  // A file with the means of the acoustic model in this voice; there as long as this object.
  const std::string& means_path(size_t voice) const { return voices_[voice].path; }

  // The voice that `frames` are most like: cepstra, kCepstra of each frame, in which the mean of the
  // utterance is 0. Another one than 0 must explain a frame by `margin` better (natural logarithm).
  size_t Closest(absl::Span<const float> frames, double margin) const;

 private:
  struct Voice {
    std::string name;
    std::string path;
    std::unique_ptr<const MemoryFile> file;  // none: of the acoustic model itself
    std::vector<float> means;                // of the cepstra, kCepstra a density
  };

  std::vector<Voice> voices_;
  std::vector<float> scales_;  // of all voices: 1 / standard deviation, kCepstra a density
  std::vector<float> levels_;  // and the logarithm at the mean
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_VOICES_H_
