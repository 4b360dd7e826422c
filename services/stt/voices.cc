#include "services/stt/voices.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

// What train_voices.py wrote.
asm(".pushsection .rodata\n"
    ".balign 16\n"
    "arc_stt_voices_begin:\n"
    ".incbin \"" ARC_STT_VOICES
    "\"\n"
    "arc_stt_voices_end:\n"
    ".popsection\n");
extern "C" const char arc_stt_voices_begin[];
extern "C" const char arc_stt_voices_end[];

namespace arc::stt {
namespace {

constexpr uint32_t kMagic = 0x11223344;
constexpr float kLeastVariance = 1e-4F;  // as the decoder has it
constexpr size_t kMostFrames = 100;      // that are compared

// Reads numbers of this machine's byte order.
class Reader {
 public:
  explicit Reader(absl::string_view data) : data_(data) {}

  absl::StatusOr<absl::string_view> Bytes(size_t count) {
    if (data_.size() < count) return absl::DataLossError("ends too early");
    const absl::string_view bytes = data_.substr(0, count);
    data_.remove_prefix(count);
    return bytes;
  }
  absl::StatusOr<size_t> Number() {
    ASSIGN_OR_RETURN(const absl::string_view bytes, Bytes(sizeof(uint32_t)));
    uint32_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof(number));
    return size_t{number};
  }
  bool AtEnd() const { return data_.empty(); }

 private:
  absl::string_view data_;
};

// The first stream, that of the cepstra, of a file of means or variances.
absl::StatusOr<std::vector<float>> FirstStream(absl::string_view data) {
  constexpr absl::string_view kEnd = "endhdr\n";
  const size_t header = data.find(kEnd);
  if (header == absl::string_view::npos) return absl::DataLossError("has no header");
  Reader reader(data.substr(header + kEnd.size()));
  ASSIGN_OR_RETURN(const size_t magic, reader.Number());
  if (magic != kMagic) return absl::DataLossError("has another byte order");
  ASSIGN_OR_RETURN(const size_t codebooks, reader.Number());
  ASSIGN_OR_RETURN(const size_t streams, reader.Number());
  ASSIGN_OR_RETURN(const size_t densities, reader.Number());
  if (codebooks > 10'000 || streams > 10 || densities > 10'000) return absl::DataLossError("is too large");
  size_t all = 0;
  for (size_t stream = 0; stream < streams; ++stream) {
    ASSIGN_OR_RETURN(const size_t length, reader.Number());
    if (length > 1000 || (stream == 0 && length != Voices::kCepstra)) {
      return absl::DataLossError("has other streams");
    }
    all += length;
  }
  RETURN_IF_ERROR(reader.Number().status());
  std::vector<float> values(codebooks * densities * Voices::kCepstra);
  for (size_t codebook = 0; codebook < codebooks; ++codebook) {
    ASSIGN_OR_RETURN(const absl::string_view bytes, reader.Bytes(densities * all * sizeof(float)));
    std::memcpy(values.data() + codebook * densities * Voices::kCepstra, bytes.data(),
                densities * Voices::kCepstra * sizeof(float));
  }
  return values;
}

absl::StatusOr<std::string> Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Voices>> Voices::Load(const std::string& model_dir) {
  auto voices = std::make_unique<Voices>();
  Voice plain;
  plain.name = "plain";
  plain.path = absl::StrCat(model_dir, "/en-us/means");
  ASSIGN_OR_RETURN(const std::string means, Contents(plain.path));
  ASSIGN_OR_RETURN(const std::string variances, Contents(absl::StrCat(model_dir, "/en-us/variances")));
  absl::StatusOr<std::vector<float>> plain_means = FirstStream(means);
  absl::StatusOr<std::vector<float>> plain_variances = FirstStream(variances);
  const bool known =
      plain_means.ok() && plain_variances.ok() && plain_means->size() == plain_variances->size();
  if (!known) {
    voices->voices_.push_back(std::move(plain));
    return voices;
  }
  plain.means = *std::move(plain_means);
  voices->scales_ = *std::move(plain_variances);
  voices->levels_.resize(plain.means.size() / kCepstra);
  for (size_t i = 0; i < voices->scales_.size(); ++i) {
    const float variance = std::max(voices->scales_[i], kLeastVariance);
    voices->scales_[i] = 1 / std::sqrt(variance);
    voices->levels_[i / kCepstra] -= 0.5F * std::log(variance);
  }
  const size_t size = plain.means.size();
  voices->voices_.push_back(std::move(plain));

  Reader reader(absl::string_view(arc_stt_voices_begin,
                                  static_cast<size_t>(arc_stt_voices_end - arc_stt_voices_begin)));
  while (!reader.AtEnd()) {
    Voice voice;
    ASSIGN_OR_RETURN(const size_t length, reader.Number());
    ASSIGN_OR_RETURN(const absl::string_view name, reader.Bytes(length));
    ASSIGN_OR_RETURN(const size_t count, reader.Number());
    ASSIGN_OR_RETURN(const absl::string_view data, reader.Bytes(count));
    voice.name = std::string(name);
    ASSIGN_OR_RETURN(voice.means, FirstStream(data));
    if (voice.means.size() != size) break;  // learnt from another acoustic model
    ASSIGN_OR_RETURN(voice.file, MemoryFile::Create(data));
    voice.path = voice.file->path();
    voices->voices_.push_back(std::move(voice));
  }
  return voices;
}

size_t Voices::Closest(absl::Span<const float> frames, double margin) const {
  if (voices_.size() == 1) return 0;
  const size_t count = frames.size() / kCepstra;
  const size_t step = std::max<size_t>(1, (count + kMostFrames - 1) / kMostFrames);
  size_t closest = 0;
  double best = -std::numeric_limits<double>::infinity();
  for (size_t voice = 0; voice < voices_.size(); ++voice) {
    double sum = 0;
    for (size_t frame = 0; frame < count; frame += step) {
      const float* const x = frames.data() + frame * kCepstra;
      const float* mean = voices_[voice].means.data();
      const float* scale = scales_.data();
      float nearest = -std::numeric_limits<float>::infinity();
      for (const float level : levels_) {
        float distance = 0;
        for (size_t i = 0; i < kCepstra; ++i) {
          const float d = (x[i] - mean[i]) * scale[i];
          distance += d * d;
        }
        nearest = std::max(nearest, level - 0.5F * distance);
        mean += kCepstra;
        scale += kCepstra;
      }
      sum += nearest - (voice == 0 ? 0 : margin);
    }
    if (sum > best) {
      best = sum;
      closest = voice;
    }
  }
  return closest;
}

}  // namespace arc::stt
