#include "services/vision_bridge/source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"
#include "opencv2/videoio.hpp"

namespace arc::vision_bridge {
namespace {

namespace fs = std::filesystem;

constexpr double kAssumedFps = 25;
constexpr double kLeastFps = 0.1;
constexpr double kMostFps = 1000;
constexpr double kWhole = 0.9;  // share of the frames that a film says it has, from which it is not truncated
constexpr int kStreamOpenMs = 10000;
constexpr int kStreamReadMs = 5000;
constexpr absl::Duration kSlack = absl::Milliseconds(1);  // for positions that are rounded

constexpr std::array<absl::string_view, 8> kPictureEndings = {".png",  ".jpg", ".jpeg", ".bmp",
                                                              ".webp", ".tif", ".tiff", ".pgm"};

bool IsPictureName(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return std::any_of(kPictureEndings.begin(), kPictureEndings.end(),
                     [&](absl::string_view ending) { return absl::EndsWith(lower, ending); });
}

std::optional<int> CameraIndex(absl::string_view word) {
  absl::ConsumePrefix(&word, "/dev/video");
  int index = 0;
  if (word.empty() || word.size() > 3 || !absl::SimpleAtoi(word, &index) || index < 0) return std::nullopt;
  return index;
}

// Blue-green-red of 8 bits, whatever a decoder gave.
absl::Status Normalise(cv::Mat& pixels) {
  if (pixels.empty()) return absl::DataLossError("an empty picture");
  if (pixels.depth() != CV_8U) {
    cv::Mat bytes;
    pixels.convertTo(bytes, CV_8U, pixels.depth() == CV_16U ? 1 / 256.0 : 1);
    pixels = bytes;
  }
  if (pixels.channels() == 1) cv::cvtColor(pixels, pixels, cv::COLOR_GRAY2BGR);
  if (pixels.channels() == 4) cv::cvtColor(pixels, pixels, cv::COLOR_BGRA2BGR);
  return pixels.channels() == 3 ? absl::OkStatus() : absl::DataLossError("a picture with odd channels");
}

// A film, camera or stream, through OpenCV's readers.
class Capture : public Source {
 public:
  Capture(const cv::VideoCapture& capture, bool live, std::string name)
      : capture_(capture), live_(live), name_(std::move(name)) {
    const double fps = capture_.get(cv::CAP_PROP_FPS);
    fps_known_ = fps >= kLeastFps && fps <= kMostFps;  // false for NaN too
    frame_ = absl::Seconds(1 / (fps_known_ ? fps : kAssumedFps));
    const double count = capture_.get(cv::CAP_PROP_FRAME_COUNT);
    if (!live_ && count > 0 && count < 1e9) expected_ = static_cast<int64_t>(count);
  }

  bool live() const override { return live_; }

  std::string remark() const override {
    if (live_ || fps_known_) return "";
    return absl::StrCat("the film names no frame rate; ", kAssumedFps, " a second are assumed");
  }

  absl::StatusOr<Picture> Read(absl::Duration from) override {
    try {
      do {
        if (!capture_.grab()) return End();
        ++frames_;
        Advance();
      } while (!live_ && position_ + kSlack < from);
      Picture picture;
      if (!capture_.retrieve(picture.pixels)) return End();
      RETURN_IF_ERROR(Normalise(picture.pixels));
      picture.position = position_;
      return picture;
    } catch (const cv::Exception& exception) {
      return absl::DataLossError(absl::StrCat(name_, ": ", exception.err));
    }
  }

 private:
  // The film's own time where it goes on, else that of its frame rate.
  void Advance() {
    const double told = fps_known_ ? capture_.get(cv::CAP_PROP_POS_MSEC) : -1;
    if (frames_ == 1) {
      first_ms_ = told;
      return;
    }
    const absl::Duration next = absl::Milliseconds(told - first_ms_);
    const bool plausible = std::isfinite(told) && told >= 0 && first_ms_ >= 0 && next > position_ &&
                           next < position_ + absl::Minutes(1);
    position_ = plausible ? next : position_ + frame_;
  }

  absl::Status End() const {
    if (live_) return absl::UnavailableError(absl::StrCat(name_, " gives no more pictures"));
    if (frames_ == 0) return absl::DataLossError(absl::StrCat(name_, " holds no picture that can be read"));
    if (expected_ > 0 && frames_ < static_cast<int64_t>(kWhole * expected_)) {
      return absl::DataLossError(
          absl::StrCat(name_, " is truncated: it ends after ", frames_, " of ", expected_, " pictures"));
    }
    return absl::OutOfRangeError("the film ended");
  }

  cv::VideoCapture capture_;
  const bool live_;
  const std::string name_;
  bool fps_known_ = false;
  absl::Duration frame_;
  int64_t expected_ = 0;
  int64_t frames_ = 0;
  double first_ms_ = 0;
  absl::Duration position_ = absl::ZeroDuration();
};

// Single pictures from files. One that cannot be read is passed over; its time passes.
class Pictures : public Source {
 public:
  Pictures(std::vector<std::string> files, double fps, absl::Duration hold)
      : files_(std::move(files)),
        period_(absl::Seconds(1 / fps)),
        shown_(static_cast<int64_t>(files_.size()) +
               static_cast<int64_t>(absl::ToDoubleSeconds(hold) * fps)) {}

  bool live() const override { return false; }

  std::string remark() const override {
    return unreadable_ == 0 ? "" : absl::StrCat(unreadable_, " of the pictures cannot be read");
  }

  absl::StatusOr<Picture> Read(absl::Duration from) override {
    for (; next_ < shown_; ++next_) {
      const absl::Duration position = period_ * next_;
      if (position + kSlack < from) continue;
      const size_t file = std::min(static_cast<size_t>(next_), files_.size() - 1);
      if (file != loaded_) Load(file);
      if (last_.empty()) continue;
      ++next_;
      read_any_ = true;
      return Picture{last_, position};
    }
    if (!read_any_)
      return absl::DataLossError(absl::StrCat(files_.front(), " is no picture that can be read"));
    return absl::OutOfRangeError("no more pictures");
  }

 private:
  void Load(size_t file) {
    loaded_ = file;
    try {
      last_ = cv::imread(files_[file], cv::IMREAD_COLOR);
      if (!last_.empty() && !Normalise(last_).ok()) last_.release();
    } catch (const cv::Exception&) {
      last_.release();
    }
    if (last_.empty()) ++unreadable_;
  }

  const std::vector<std::string> files_;
  const absl::Duration period_;
  const int64_t shown_;
  int64_t next_ = 0;
  size_t loaded_ = static_cast<size_t>(-1);
  cv::Mat last_;
  int unreadable_ = 0;
  bool read_any_ = false;
};

absl::StatusOr<std::vector<std::string>> FindPictures(const std::string& word) {
  std::vector<std::string> files;
  std::error_code error;
  if (fs::is_directory(word, error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(word, error)) {
      if (entry.is_regular_file(error) && IsPictureName(entry.path().string()))
        files.push_back(entry.path().string());
    }
  } else if (absl::StrContains(word, '*')) {
    try {
      std::vector<cv::String> found;
      cv::glob(word, found, false);
      files.assign(found.begin(), found.end());
    } catch (const cv::Exception&) {
      // No such folder: said below.
    }
  } else if (const size_t percent = word.find('%'); percent != std::string::npos) {
    const size_t end = word.find('d', percent);
    absl::string_view digits;
    if (end != std::string::npos) digits = absl::string_view(word).substr(percent + 1, end - percent - 1);
    int width = 0;
    if (end == std::string::npos || (!digits.empty() && (!absl::SimpleAtoi(digits, &width) || width > 9))) {
      return absl::InvalidArgumentError(absl::StrCat(word, ": the number's place is written %d or %04d"));
    }
    // From 0 or 1 on without a gap.
    for (int number = 0;; ++number) {
      std::string text = absl::StrCat(number);
      if (static_cast<int>(text.size()) < width)
        text.insert(0, static_cast<size_t>(width) - text.size(), '0');
      const std::string file = absl::StrCat(word.substr(0, percent), text, word.substr(end + 1));
      if (fs::is_regular_file(file, error)) {
        files.push_back(file);
      } else if (number > 0) {
        break;
      }
    }
  } else if (fs::exists(word, error)) {
    files.push_back(word);
  }
  if (files.empty()) return absl::NotFoundError(absl::StrCat("there is no picture ", word));
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<std::unique_ptr<Source>> OpenCamera(const std::string& word, Size size) {
  const std::optional<int> index = CameraIndex(word);
  const std::string device = index.has_value() ? absl::StrCat("/dev/video", *index) : word;
  std::error_code error;
  if (!fs::exists(device, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no camera ", device, "; plug one in, or name another with --source"));
  }
  cv::VideoCapture capture;
  if (!index.has_value() || !capture.open(*index, cv::CAP_V4L2)) {
    return absl::UnavailableError(absl::StrCat("the camera ", device,
                                               " cannot be opened; does another program use it, "
                                               "or does this user lack the right to it?"));
  }
  capture.set(cv::CAP_PROP_FRAME_WIDTH, size.w);
  capture.set(cv::CAP_PROP_FRAME_HEIGHT, size.h);
  capture.set(cv::CAP_PROP_BUFFERSIZE, 1);
  return std::make_unique<Capture>(capture, true, device);
}

}  // namespace

SourceKind KindOf(absl::string_view word) {
  if (CameraIndex(word).has_value() || absl::StartsWith(word, "/dev/")) return SourceKind::kCamera;
  if (absl::StrContains(word, "://")) return SourceKind::kStream;
  std::error_code error;
  if (IsPictureName(word) || absl::StrContains(word, '*') || fs::is_directory(std::string(word), error)) {
    return SourceKind::kPictures;
  }
  return SourceKind::kFilm;
}

std::string WithoutPassword(absl::string_view word) {
  const size_t scheme = word.find("://");
  if (scheme == absl::string_view::npos) return std::string(word);
  const size_t begin = scheme + 3;
  const absl::string_view authority = word.substr(begin, word.find('/', begin) - begin);
  const size_t at = authority.rfind('@');
  if (at == absl::string_view::npos) return std::string(word);
  return absl::StrCat(word.substr(0, begin), "***", word.substr(begin + at));
}

absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceOptions& options) {
  const std::string& word = options.word;
  const std::string name = WithoutPassword(word);
  std::error_code error;
  try {
    switch (KindOf(word)) {
      case SourceKind::kCamera:
        return OpenCamera(word, options.camera_size);
      case SourceKind::kStream: {
        cv::VideoCapture capture;
        if (!capture.open(word, cv::CAP_FFMPEG,
                          {cv::CAP_PROP_OPEN_TIMEOUT_MSEC, kStreamOpenMs, cv::CAP_PROP_READ_TIMEOUT_MSEC,
                           kStreamReadMs})) {
          return absl::UnavailableError(
              absl::StrCat(name, " cannot be opened; is the camera on, and the address right?"));
        }
        return std::make_unique<Capture>(capture, true, name);
      }
      case SourceKind::kPictures: {
        ASSIGN_OR_RETURN(std::vector<std::string> files, FindPictures(word));
        return std::make_unique<Pictures>(std::move(files), options.sequence_fps, options.hold);
      }
      case SourceKind::kFilm:
        break;
    }
    if (!fs::exists(word, error)) return absl::NotFoundError(absl::StrCat("there is no file ", word));
    cv::VideoCapture capture;
    // The other readers of OpenCV take a film for a camera's name or for a pattern of pictures.
    const bool opened = fs::is_regular_file(word, error) &&
                        (capture.open(word, cv::CAP_FFMPEG) || capture.open(word, cv::CAP_OPENCV_MJPEG));
    if (!opened) {
      return absl::DataLossError(absl::StrCat(word, " is no film that can be read"));
    }
    return std::make_unique<Capture>(capture, false, word);
  } catch (const cv::Exception& exception) {
    return absl::DataLossError(absl::StrCat(name, " cannot be read: ", exception.err));
  }
}

}  // namespace arc::vision_bridge
