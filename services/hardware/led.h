// The LED strip of a kiosk (kiosk specification, section 7.4): one colour, one pattern, for a while or until
// changed.
#ifndef ARC_SERVICES_HARDWARE_LED_H_
#define ARC_SERVICES_HARDWARE_LED_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/messages/hardware.h"

namespace arc::hardware {

struct Color {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;
  friend bool operator==(const Color& a, const Color& b) {
    return a.red == b.red && a.green == b.green && a.blue == b.blue;
  }
};

// "#RRGGBB", hexadecimal digits in either case. INVALID_REQUEST that names payload.color otherwise.
absl::StatusOr<Color> ParseColor(absl::string_view text);

// "#RRGGBB" in upper case.
std::string FormatColor(const Color& color);

// What drives the light. Black is off. Calls are short: they write a few small files and do not wait for the
// light.
class LedDevice {
 public:
  virtual ~LedDevice() = default;
  virtual absl::Status Show(const Color& color, messages::LedPattern pattern) = 0;
};

// Opens what `spec` names; the light itself need not be there yet.
//   file:PATH   the state as JSON, {"color":"#00FF00","pattern":"solid"}, replaced in one step at every
//   change sysfs:DIR   a light of the kernel, such as /sys/class/leds/kiosk:rgb:status: `multi_intensity`
//   where it has colours,
//               else `brightness` alone; `pulse` and `error` through its `pattern` or `timer` trigger, steady
//               without
// InvalidArgument for anything else.
absl::StatusOr<std::unique_ptr<LedDevice>> OpenLed(absl::string_view spec);

// The light with its timer. Thread-safe; changes are shown in the order of the calls.
class Led {
 public:
  // `clock` must outlive this object; `device` is driven by this object alone from here on.
  Led(Clock& clock, std::unique_ptr<LedDevice> device);
  ~Led();
  Led(const Led&) = delete;
  Led& operator=(const Led&) = delete;

  // Shows `color` until the next Set(), or for `duration` when that is more than zero, and is off afterwards.
  // HARDWARE_ERROR when the light cannot be driven; what it shows is then unknown and the state says off.
  absl::Status Set(const Color& color, messages::LedPattern pattern, absl::Duration duration);

  messages::LedState state() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_LED_H_
