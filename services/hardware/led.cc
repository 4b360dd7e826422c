#include "services/hardware/led.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "services/hardware/file_util.h"
#include "services/hardware/unique_fd.h"

namespace arc::hardware {
namespace {

using messages::LedPattern;

class FileLed final : public LedDevice {
 public:
  explicit FileLed(absl::string_view path) : path_(path) {}

  absl::Status Show(const Color& color, LedPattern pattern) override {
    return ReplaceFile(path_, json::Encode(messages::LedState{FormatColor(color), pattern}) + "\n", false);
  }

 private:
  const std::string path_;
};

// The kernel's LED class (Documentation/ABI/testing/sysfs-class-led, -multicolor and -trigger-pattern).
class SysfsLed final : public LedDevice {
 public:
  explicit SysfsLed(absl::string_view folder) : folder_(folder) {}

  absl::Status Show(const Color& color, LedPattern pattern) override {
    ASSIGN_OR_RETURN(const int64_t max, Maximum());
    std::vector<std::string> triggers;
    if (Has("trigger")) {
      ASSIGN_OR_RETURN(const std::string available, Read("trigger"));
      triggers = absl::StrSplit(available, absl::ByAnyChar(" []"), absl::SkipEmpty());
      // A trigger that runs would overwrite what is set here.
      RETURN_IF_ERROR(Write("trigger", "none"));
    }
    int64_t brightness = std::max({color.red, color.green, color.blue}) * max / 255;
    if (Has("multi_intensity")) {
      RETURN_IF_ERROR(WriteIntensities(color, max));
      brightness = color == Color() ? 0 : max;
    }
    RETURN_IF_ERROR(Write("brightness", absl::StrCat(brightness)));
    if (brightness == 0 || pattern == LedPattern::kSolid) return absl::OkStatus();
    return Animate(triggers, pattern, brightness);
  }

 private:
  bool Has(absl::string_view attribute) const {
    return access(absl::StrCat(folder_, "/", attribute).c_str(), F_OK) == 0;
  }

  absl::StatusOr<std::string> Read(absl::string_view attribute) const {
    ASSIGN_OR_RETURN(std::string text, ReadFile(absl::StrCat(folder_, "/", attribute)));
    absl::StripAsciiWhitespace(&text);
    return text;
  }

  // Without O_CREAT: an attribute that the light lacks is an error, not a new file.
  absl::Status Write(absl::string_view attribute, absl::string_view value) const {
    const std::string path = absl::StrCat(folder_, "/", attribute);
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    if (!fd.valid()) return ErrnoError("open", path);
    return WriteAll(fd.get(), value, path);
  }

  absl::StatusOr<int64_t> Maximum() const {
    ASSIGN_OR_RETURN(const std::string text, Read("max_brightness"));
    int64_t max = 0;
    if (!absl::SimpleAtoi(text, &max) || max < 1) {
      return absl::UnavailableError(
          absl::StrCat(folder_, "/max_brightness: \"", text, "\" is no brightness"));
    }
    return max;
  }

  // In the order of multi_index, such as "red green blue".
  absl::Status WriteIntensities(const Color& color, int64_t max) const {
    ASSIGN_OR_RETURN(const std::string index, Read("multi_index"));
    std::vector<int64_t> values;
    for (absl::string_view name : absl::StrSplit(index, ' ', absl::SkipEmpty())) {
      const int part = name == "red"     ? color.red
                       : name == "green" ? color.green
                       : name == "blue"  ? color.blue
                                         : 0;
      values.push_back(part * max / 255);
    }
    return Write("multi_intensity", absl::StrJoin(values, " "));
  }

  // The light's own triggers blink it, so that no thread here has to.
  absl::Status Animate(const std::vector<std::string>& triggers, LedPattern pattern,
                       int64_t brightness) const {
    const auto has = [&](absl::string_view name) {
      return std::find(triggers.begin(), triggers.end(), name) != triggers.end();
    };
    if (pattern == LedPattern::kPulse && has("pattern")) {
      RETURN_IF_ERROR(Write("trigger", "pattern"));
      return Write("pattern",
                   absl::StrCat("0 700 ", brightness, " 700"));  // Brightness and milliseconds, in turns.
    }
    if (!has("timer")) return absl::OkStatus();
    RETURN_IF_ERROR(Write("trigger", "timer"));
    const absl::string_view half_period = pattern == LedPattern::kPulse ? "700" : "150";
    RETURN_IF_ERROR(Write("delay_on", half_period));
    return Write("delay_off", half_period);
  }

  const std::string folder_;
};

}  // namespace

absl::StatusOr<Color> ParseColor(absl::string_view text) {
  const bool hex =
      text.size() == 7 && text[0] == '#' &&
      std::all_of(text.begin() + 1, text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  uint32_t value = 0;
  if (!hex || !absl::SimpleHexAtoi(text.substr(1), &value)) {
    return MakeError(ErrorCode::kInvalidRequest, "payload.color: must be #RRGGBB, such as #00FF00");
  }
  return Color{static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
               static_cast<uint8_t>(value)};
}

std::string FormatColor(const Color& color) {
  return absl::StrFormat("#%02X%02X%02X", color.red, color.green, color.blue);
}

absl::StatusOr<std::unique_ptr<LedDevice>> OpenLed(absl::string_view spec) {
  absl::string_view rest = spec;
  if (absl::ConsumePrefix(&rest, "file:") && !rest.empty()) return std::make_unique<FileLed>(rest);
  if (absl::ConsumePrefix(&rest, "sysfs:") && !rest.empty()) return std::make_unique<SysfsLed>(rest);
  return absl::InvalidArgumentError(absl::StrCat("led \"", spec, "\" is none of file:PATH, sysfs:DIR"));
}

// Outlives the Led as long as a timer's callback runs, which Cancel() does not wait for.
struct Led::Shared {
  Shared(Clock& c, std::unique_ptr<LedDevice> d) : clock(c), device(std::move(d)) {}

  // The caller holds the mutex.
  absl::Status Show(const Color& color, LedPattern pattern) {
    absl::Status status = device->Show(color, pattern);
    if (status.ok()) {
      state = {FormatColor(color), pattern};
      return status;
    }
    state = {FormatColor(Color()), LedPattern::kSolid};
    return MakeError(ErrorCode::kHardwareError, absl::StrCat("LED: ", status.message()));
  }

  Clock& clock;
  const std::unique_ptr<LedDevice> device;
  std::mutex mutex;
  messages::LedState state{FormatColor(Color()), LedPattern::kSolid};
  uint64_t change = 0;  // Number of the latest Set(): a timer of an earlier one does nothing.
  Clock::TimerId timer = 0;
};

Led::Led(Clock& clock, std::unique_ptr<LedDevice> device)
    : shared_(std::make_shared<Shared>(clock, std::move(device))) {}

Led::~Led() {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  ++shared_->change;
  shared_->clock.Cancel(shared_->timer);
}

absl::Status Led::Set(const Color& color, LedPattern pattern, absl::Duration duration) {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  const uint64_t change = ++shared_->change;
  shared_->clock.Cancel(shared_->timer);
  RETURN_IF_ERROR(shared_->Show(color, pattern));
  if (duration <= absl::ZeroDuration()) return absl::OkStatus();
  shared_->timer = shared_->clock.RunAfter(duration, [weak = std::weak_ptr<Shared>(shared_), change] {
    const std::shared_ptr<Shared> shared = weak.lock();
    if (shared == nullptr) return;
    const std::lock_guard<std::mutex> timer_lock(shared->mutex);
    if (shared->change != change) return;
    const absl::Status status = shared->Show(Color(), LedPattern::kSolid);
    if (!status.ok())
      Log(LogLevel::kError, "LED could not be switched off", {{"error", std::string(status.message())}});
  });
  return absl::OkStatus();
}

messages::LedState Led::state() const {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  return shared_->state;
}

}  // namespace arc::hardware
