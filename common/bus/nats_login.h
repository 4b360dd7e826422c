// A user's login at nats-server out of files, as the flags of the fleet's programs name them, and nkeys: the
// Ed25519 keys that NATS users may have in a password's place. Functions, thread-safe.
#ifndef ARC_COMMON_BUS_NATS_LOGIN_H_
#define ARC_COMMON_BUS_NATS_LOGIN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bus/nats_bus.h"

namespace arc::bus {

// Paths; empty: none.
struct LoginFiles {
  std::string password_file;  // the password alone
  std::string nkey_file;      // a line of it is the seed of the user's nkey
  std::string ca_file;        // PEM; the server's certificate has to be signed by one of them
};

// Puts what is in the files into `options`. NotFound: one cannot be read; InvalidArgument: it holds no seed,
// or there are a password and an nkey. The message begins with the flag, such as "--nats_nkey_file".
absl::Status ReadLogin(const LoginFiles& files, NatsOptions& options);

// The public key (U..., 56 characters), which nats-server's configuration has, of a user's seed (SU..., 58
// characters). InvalidArgument: it is none; the message does not hold it.
absl::StatusOr<std::string> NkeyPublicKey(absl::string_view seed);

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_NATS_LOGIN_H_
