#include "common/bus/bus.h"

namespace arc::bus {

void Headers::Set(absl::string_view name, absl::string_view value) {
  for (auto& [key, old] : fields_) {
    if (key == name) {
      old = std::string(value);
      return;
    }
  }
  fields_.emplace_back(std::string(name), std::string(value));
}

std::optional<std::string> Headers::Get(absl::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace arc::bus
