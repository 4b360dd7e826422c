// The operator's login at a fleet that this user has started on this machine: scripts/fleet leaves it, by the
// server's address, in a folder that only this user can enter, so that arcctl needs no flags here.
// Thread-safe.
#ifndef ARC_SERVICES_ARCCTL_LOGIN_H_
#define ARC_SERVICES_ARCCTL_LOGIN_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace arc::arcctl {

struct Login {
  std::string user;
  std::string password;   // or
  std::string nkey_seed;  // of a fleet whose users have nkeys
  std::string ca_file;    // path of the authorities of its TLS; empty: it has none
};

// $XDG_RUNTIME_DIR/arc-kiosk, or /tmp/arc-kiosk-UID where there is no such folder
// (scripts/contract/rights.py).
std::string LoginFolder();

// None when there is none for the first of these addresses, when one names a user of its own, or when the
// file is not this user's alone.
std::optional<Login> FindLogin(absl::string_view nats_url);

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_LOGIN_H_
