#include "common/bus/nats_login.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"

namespace arc::bus {
namespace {

constexpr absl::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
// What the first letters of a key stand for.
constexpr uint8_t kSeedPrefix = 18 << 3;
constexpr uint8_t kUserPrefix = 20 << 3;
constexpr size_t kKeySize = 32;
constexpr size_t kCheckSize = 2;

absl::StatusOr<std::string> ReadText(absl::string_view flag, const std::string& path) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return absl::NotFoundError(absl::StrCat(flag, ": cannot read ", path));
  return text;
}

// CRC-16 of XMODEM.
uint16_t Checksum(const std::vector<uint8_t>& bytes) {
  uint16_t sum = 0;
  for (const uint8_t byte : bytes) {
    sum = static_cast<uint16_t>(sum ^ (byte << 8));
    for (int bit = 0; bit < 8; ++bit) {
      sum = static_cast<uint16_t>((sum & 0x8000) != 0 ? (sum << 1) ^ 0x1021 : sum << 1);
    }
  }
  return sum;
}

// Base32 of the bytes and their checksum, without padding.
std::string EncodeKey(std::vector<uint8_t> bytes) {
  const uint16_t sum = Checksum(bytes);
  bytes.push_back(static_cast<uint8_t>(sum & 0xff));
  bytes.push_back(static_cast<uint8_t>(sum >> 8));
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= 5; count -= 5) text += kBase32[(bits >> (count - 5)) & 31];
  }
  if (count > 0) text += kBase32[(bits << (5 - count)) & 31];
  return text;
}

// The bytes before the checksum. Empty: it is no key.
std::vector<uint8_t> DecodeKey(absl::string_view text) {
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kBase32.find(c);
    if (value == absl::string_view::npos) return {};
    bits = (bits << 5) | static_cast<uint32_t>(value);
    count += 5;
    if (count >= 8) bytes.push_back(static_cast<uint8_t>((bits >> (count -= 8)) & 0xff));
  }
  if (bytes.size() <= kCheckSize) return {};
  bytes.resize(bytes.size() - kCheckSize);
  // The one way to write a key: no other bits behind its end.
  return EncodeKey(bytes) == text ? bytes : std::vector<uint8_t>();
}

}  // namespace

absl::StatusOr<std::string> NkeyPublicKey(absl::string_view seed) {
  const std::vector<uint8_t> bytes = DecodeKey(seed);
  if (bytes.size() != 2 + kKeySize || (bytes[0] & 0xf8) != kSeedPrefix ||
      static_cast<uint8_t>(((bytes[0] & 7) << 5) | (bytes[1] >> 3)) != kUserPrefix) {
    return absl::InvalidArgumentError("this is no seed of a user's nkey (SU...)");
  }
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data() + 2, kKeySize), EVP_PKEY_free);
  std::array<uint8_t, kKeySize> raw{};
  size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1) {
    return absl::InternalError("OpenSSL gives no Ed25519 key");
  }
  std::vector<uint8_t> encoded = {kUserPrefix};
  encoded.insert(encoded.end(), raw.begin(), raw.end());
  return EncodeKey(std::move(encoded));
}

absl::Status ReadLogin(const LoginFiles& files, NatsOptions& options) {
  if (!files.password_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadText("--nats_password_file", files.password_file));
    options.password = std::string(absl::StripTrailingAsciiWhitespace(text));
  }
  if (!files.nkey_file.empty()) {
    if (!files.password_file.empty()) {
      return absl::InvalidArgumentError("--nats_nkey_file: a user has an nkey or a password, not both");
    }
    ASSIGN_OR_RETURN(const std::string text, ReadText("--nats_nkey_file", files.nkey_file));
    options.nkey_seed.clear();
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const absl::string_view seed = absl::StripAsciiWhitespace(line);
      if (absl::StartsWith(seed, "SU") && NkeyPublicKey(seed).ok()) options.nkey_seed = std::string(seed);
    }
    if (options.nkey_seed.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--nats_nkey_file: no line of ", files.nkey_file,
                                                     " is a seed of a user's nkey (SU...)"));
    }
  }
  if (!files.ca_file.empty()) {
    ASSIGN_OR_RETURN(options.ca_certificates, ReadText("--nats_ca_file", files.ca_file));
    if (!absl::StrContains(options.ca_certificates, "-----BEGIN CERTIFICATE-----")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--nats_ca_file: ", files.ca_file, " holds no certificate"));
    }
  }
  return absl::OkStatus();
}

}  // namespace arc::bus
