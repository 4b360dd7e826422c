#include "common/audio/audio.h"

#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace arc::audio {
namespace {

constexpr int kMinRate = 8000;
constexpr int kMaxRate = 48000;
constexpr int64_t kMaxSeconds = 600;

}  // namespace

std::string Format::ToString() const {
  return absl::StrCat(encoding == Encoding::kOpus ? "opus" : "pcm_s16le", ";rate=", rate,
                      ";channels=", channels);
}

absl::StatusOr<Format> ParseFormat(absl::string_view header) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("header Audio-Format: ", why));
  };
  if (header.size() > 100) return refuse("is too long");
  const std::vector<absl::string_view> parts = absl::StrSplit(header, ';');
  Format format;
  if (parts[0] == "opus") {
    format.encoding = Encoding::kOpus;
  } else if (parts[0] != "pcm_s16le") {
    return refuse("the encoding must be pcm_s16le or opus");
  }
  bool has_rate = false;
  bool has_channels = false;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    int value = 0;
    const bool number = absl::SimpleAtoi(field.second, &value);
    if (field.first == "rate" && !std::exchange(has_rate, true)) {
      if (!number || value < kMinRate || value > kMaxRate) return refuse("rate must be 8000 to 48000");
      format.rate = value;
    } else if (field.first == "channels" && !std::exchange(has_channels, true)) {
      if (!number || value < 1 || value > 2) return refuse("channels must be 1 or 2");
      format.channels = value;
    } else {
      return refuse("must be ENCODING;rate=HZ;channels=N");
    }
  }
  return format;
}

absl::StatusOr<Samples> DecodePcm(absl::string_view bytes, const Format& format) {
  if (format.encoding != Encoding::kPcmS16le) return absl::InvalidArgumentError("the frame is not PCM");
  const size_t channels = static_cast<size_t>(format.channels);
  if (bytes.size() % (2 * channels) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", bytes.size(), " bytes is no whole number of samples"));
  }
  Samples samples(bytes.size() / (2 * channels));
  const auto at = [&](size_t i) {
    const auto low = static_cast<unsigned char>(bytes[2 * i]);
    const auto high = static_cast<unsigned char>(bytes[2 * i + 1]);
    return static_cast<int16_t>(static_cast<uint16_t>(low | (high << 8)));
  };
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = channels == 1 ? at(i) : static_cast<int16_t>((int{at(2 * i)} + int{at(2 * i + 1)}) / 2);
  }
  return samples;
}

std::string EncodePcm(absl::Span<const int16_t> samples) {
  std::string bytes(samples.size() * 2, '\0');
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto value = static_cast<uint16_t>(samples[i]);
    bytes[2 * i] = static_cast<char>(value & 0xFF);
    bytes[2 * i + 1] = static_cast<char>(value >> 8);
  }
  return bytes;
}

absl::Duration DurationOf(size_t samples, int rate) {
  return absl::Seconds(1) * static_cast<int64_t>(samples) / rate;
}

double LevelDb(absl::Span<const int16_t> samples) {
  double sum = 0;
  for (const int16_t sample : samples) sum += static_cast<double>(sample) * sample;
  if (sum == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum / static_cast<double>(samples.size()) / (32768.0 * 32768.0));
}

struct Resampler::Impl {
  Impl(int from, int to) : ratio(static_cast<double>(to) / from) {
    if (from == to) return;
    soxr_io_spec_t io = soxr_io_spec(SOXR_INT16_I, SOXR_INT16_I);
    io.flags = SOXR_NO_DITHER;  // the same sound in, the same sound out
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr = soxr_create(from, to, 1, nullptr, &io, &quality, nullptr);
  }
  ~Impl() {
    if (soxr != nullptr) soxr_delete(soxr);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Samples Process(const int16_t* in, size_t count) {
    Samples out;
    Samples piece(std::max<size_t>(1024, static_cast<size_t>(static_cast<double>(count) * ratio) + 64));
    while (true) {
      size_t used = 0;
      size_t made = 0;
      soxr_process(soxr, in, count, &used, piece.data(), piece.size(), &made);
      out.insert(out.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(made));
      if (in != nullptr) {
        in += used;
        count -= used;
      }
      if (made < piece.size() && (in == nullptr || count == 0)) return out;
    }
  }

  double ratio;
  soxr_t soxr = nullptr;  // none: the rates are equal
};

Resampler::Resampler(int from_rate, int to_rate) : impl_(std::make_unique<Impl>(from_rate, to_rate)) {}
Resampler::~Resampler() = default;
Resampler::Resampler(Resampler&&) noexcept = default;
Resampler& Resampler::operator=(Resampler&&) noexcept = default;

Samples Resampler::Push(absl::Span<const int16_t> samples) {
  if (impl_->soxr == nullptr) return Samples(samples.begin(), samples.end());
  if (samples.empty()) return {};
  return impl_->Process(samples.data(), samples.size());
}

Samples Resampler::Flush() {
  if (impl_->soxr == nullptr) return {};
  return impl_->Process(nullptr, 0);
}

Samples Resample(absl::Span<const int16_t> samples, int from_rate, int to_rate) {
  Resampler resampler(from_rate, to_rate);
  Samples out = resampler.Push(samples);
  const Samples rest = resampler.Flush();
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

absl::StatusOr<Clip> ReadSoundFile(const std::string& path) {
  SF_INFO info;
  std::memset(&info, 0, sizeof(info));
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  if (file == nullptr) {
    const std::string why = absl::StrCat(path, ": ", sf_strerror(nullptr));
    return sf_error(nullptr) == SF_ERR_SYSTEM && errno == ENOENT ? absl::NotFoundError(why)
                                                                 : absl::InvalidArgumentError(why);
  }
  const std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> closer(file, sf_close);
  if (info.channels < 1 || info.samplerate < 1 || info.frames > kMaxSeconds * info.samplerate) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is longer than ", kMaxSeconds, " s"));
  }
  Clip clip;
  clip.rate = info.samplerate;
  const auto channels = static_cast<size_t>(info.channels);
  Samples block(4096 * channels);
  while (true) {
    const sf_count_t frames = sf_readf_short(file, block.data(), 4096);
    if (frames <= 0) return clip;
    for (size_t i = 0; i < static_cast<size_t>(frames); ++i) {
      int64_t sum = 0;
      for (size_t c = 0; c < channels; ++c) sum += block[i * channels + c];
      clip.samples.push_back(static_cast<int16_t>(sum / info.channels));
    }
    if (clip.samples.size() > static_cast<size_t>(kMaxSeconds) * static_cast<size_t>(clip.rate)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is longer than ", kMaxSeconds, " s"));
    }
  }
}

absl::Status WriteWav(const std::string& path, const Clip& clip) {
  SF_INFO info;
  std::memset(&info, 0, sizeof(info));
  info.samplerate = clip.rate;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (file == nullptr) return absl::UnavailableError(absl::StrCat(path, ": ", sf_strerror(nullptr)));
  const auto count = static_cast<sf_count_t>(clip.samples.size());
  const bool whole = sf_writef_short(file, clip.samples.data(), count) == count;
  if (sf_close(file) != 0 || !whole) return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

std::vector<std::string> FrameOrder::Push(std::optional<uint64_t> seq, std::string frame) {
  std::vector<std::string> due;
  if (!seq.has_value()) {
    due.push_back(std::move(frame));
    return due;
  }
  if (next_.has_value()) {
    const bool jump = *seq > *next_ + kRestart || *seq + kRestart < *next_;
    const bool anew = restarts_ && !jump && *seq < *next_ && BeginsAnew(*seq, frame);
    if (jump || anew) {
      due = Flush();
      next_ = *seq;
    }
    if (anew) {
      // All but the last were taken for doubled ones.
      counts_.doubled -= static_cast<int64_t>(stale_.size()) - 1;
      for (std::string& waiting : stale_) due.push_back(std::move(waiting));
      stale_.clear();
      ++*next_;
      return due;
    }
    if (jump || *seq >= *next_) stale_.clear();
  }
  if (!next_.has_value()) next_ = *seq;
  if (*seq < *next_ || waiting_.count(*seq) > 0) {
    ++counts_.doubled;
    return due;
  }
  if (!waiting_.empty() && *seq < waiting_.rbegin()->first) ++counts_.reordered;
  waiting_.emplace(*seq, std::move(frame));
  Release(due);
  while (waiting_.size() > window_) {
    counts_.lost += static_cast<int64_t>(waiting_.begin()->first - *next_);
    next_ = waiting_.begin()->first;
    Release(due);
  }
  return due;
}

bool FrameOrder::BeginsAnew(uint64_t seq, std::string& frame) {
  if (stale_.empty() || seq != first_stale_ + stale_.size()) {
    stale_.clear();
    first_stale_ = seq;
  }
  stale_.push_back(std::move(frame));
  return stale_.size() >= (first_stale_ == 0 && *next_ > window_ ? kStaleFromZero : kStale);
}

void FrameOrder::Release(std::vector<std::string>& due) {
  while (!waiting_.empty() && waiting_.begin()->first == *next_) {
    due.push_back(std::move(waiting_.begin()->second));
    waiting_.erase(waiting_.begin());
    ++*next_;
  }
}

std::vector<std::string> FrameOrder::Flush() {
  std::vector<std::string> due;
  for (auto& [seq, frame] : waiting_) {
    counts_.lost += static_cast<int64_t>(seq - *next_);
    next_ = seq + 1;
    due.push_back(std::move(frame));
  }
  waiting_.clear();
  return due;
}

}  // namespace arc::audio
