#ifndef ARC_SERVICES_HARDWARE_DIGEST_H_
#define ARC_SERVICES_HARDWARE_DIGEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace arc::hardware {

// SHA-256 as 64 hexadecimal digits in lower case.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace arc::hardware

#endif  // ARC_SERVICES_HARDWARE_DIGEST_H_
