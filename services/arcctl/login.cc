#include "services/arcctl/login.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/json/json.h"

namespace arc::arcctl {
namespace {

struct LoginFile {
  std::string nats_user;
  std::optional<std::string> nats_password;
  std::optional<std::string> nats_nkey_seed;
  std::string nats_ca_file;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("nats_user", s.nats_user);
    v.Optional("nats_password", s.nats_password);
    v.Optional("nats_nkey_seed", s.nats_nkey_seed);
    v.Optional("nats_ca_file", s.nats_ca_file);
  }
};

// What is in the file, if it is a file of this user that nobody else may read or write.
std::string ReadOwn(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return "";
  std::string text;
  struct stat status {};
  if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
      (status.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
    std::array<char, 4096> buffer{};
    const ssize_t size = read(descriptor, buffer.data(), buffer.size());
    if (size > 0) text.assign(buffer.data(), static_cast<size_t>(size));
  }
  close(descriptor);
  return text;
}

}  // namespace

std::string LoginFolder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != 0) return absl::StrCat(runtime, "/arc-kiosk");
  return absl::StrCat("/tmp/arc-kiosk-", geteuid());
}

std::optional<Login> FindLogin(absl::string_view nats_url) {
  if (absl::StrContains(nats_url, '@')) return std::nullopt;
  // Any server of a cluster is the cluster's.
  nats_url = nats_url.substr(0, nats_url.find(','));
  if (!absl::ConsumePrefix(&nats_url, "nats://")) absl::ConsumePrefix(&nats_url, "tls://");
  absl::ConsumeSuffix(&nats_url, "/");
  if (nats_url.empty() || absl::StrContains(nats_url, '/')) return std::nullopt;
  // As scripts/fleet writes the address.
  std::pair<absl::string_view, absl::string_view> address = absl::StrSplit(nats_url, absl::MaxSplits(':', 1));
  if (address.first == "localhost") address.first = "127.0.0.1";
  if (address.second.empty()) address.second = "4222";
  const absl::StatusOr<LoginFile> file =
      json::Decode<LoginFile>(ReadOwn(absl::StrCat(LoginFolder(), "/", address.first, ":", address.second)));
  if (!file.ok() || file->nats_password.has_value() == file->nats_nkey_seed.has_value()) return std::nullopt;
  return Login{file->nats_user, file->nats_password.value_or(""), file->nats_nkey_seed.value_or(""),
               file->nats_ca_file};
}

}  // namespace arc::arcctl
