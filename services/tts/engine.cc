#include "services/tts/engine.h"

#include <array>
#include <cctype>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace arc::tts {
namespace {

// Speakers whose names say nothing of their gender to a machine: voices of Piper, OpenAI's API and flite.
struct KnownName {
  absl::string_view name;
  Gender gender;
};
constexpr std::array<KnownName, 44> kKnownNames = {{
    {"female", Gender::kFemale},   {"woman", Gender::kFemale},    {"lessac", Gender::kFemale},
    {"amy", Gender::kFemale},      {"kathleen", Gender::kFemale}, {"kristin", Gender::kFemale},
    {"ljspeech", Gender::kFemale}, {"jenny", Gender::kFemale},    {"alba", Gender::kFemale},
    {"cori", Gender::kFemale},     {"southern", Gender::kFemale}, {"nova", Gender::kFemale},
    {"shimmer", Gender::kFemale},  {"coral", Gender::kFemale},    {"sage", Gender::kFemale},
    {"slt", Gender::kFemale},      {"clb", Gender::kFemale},      {"eey", Gender::kFemale},
    {"ljm", Gender::kFemale},      {"f1", Gender::kFemale},       {"f2", Gender::kFemale},
    {"f3", Gender::kFemale},       {"f4", Gender::kFemale},       {"f5", Gender::kFemale},
    {"male", Gender::kMale},       {"man", Gender::kMale},        {"ryan", Gender::kMale},
    {"joe", Gender::kMale},        {"john", Gender::kMale},       {"danny", Gender::kMale},
    {"bryce", Gender::kMale},      {"norman", Gender::kMale},     {"alan", Gender::kMale},
    {"northern", Gender::kMale},   {"kusal", Gender::kMale},      {"onyx", Gender::kMale},
    {"echo", Gender::kMale},       {"fable", Gender::kMale},      {"ash", Gender::kMale},
    {"ballad", Gender::kMale},     {"verse", Gender::kMale},      {"rms", Gender::kMale},
    {"awb", Gender::kMale},        {"kal", Gender::kMale},
}};

struct Hints {
  std::string language;  // "en"
  std::string region;    // "US"
  Gender gender = Gender::kUnknown;
};

bool IsLetters(absl::string_view text, size_t size) {
  if (text.size() != size) return false;
  for (const char c : text) {
    if (!absl::ascii_isalpha(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

std::vector<std::string> PartsOf(absl::string_view name) {
  return absl::StrSplit(absl::AsciiStrToLower(name), absl::ByAnyChar("_-+ ./"), absl::SkipEmpty());
}

Hints ReadHints(absl::string_view wanted) {
  Hints hints;
  const std::vector<std::string> parts = PartsOf(wanted);
  if (!parts.empty() && IsLetters(parts[0], 2)) {
    hints.language = parts[0];
    if (parts.size() > 1 && IsLetters(parts[1], 2)) hints.region = absl::AsciiStrToUpper(parts[1]);
  }
  hints.gender = GenderOf(wanted);
  return hints;
}

bool NamedAlike(absl::string_view wanted, absl::string_view id) {
  if (wanted.size() < 3 || id.size() < 3) return false;
  const std::string a = absl::AsciiStrToLower(wanted);
  const std::string b = absl::AsciiStrToLower(id);
  return absl::StrContains(b, a) || absl::StrContains(a, b);
}

}  // namespace

Stop::Watch::Watch(Stop& stop, std::function<void()> callback) : stop_(stop) {
  std::lock_guard<std::mutex> lock(stop_.mutex_);
  if (stop_.requested_) callback();
  place_ = stop_.callbacks_.insert(stop_.callbacks_.end(), std::move(callback));
}

Stop::Watch::~Watch() {
  std::lock_guard<std::mutex> lock(stop_.mutex_);
  stop_.callbacks_.erase(place_);
}

void Stop::Request() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (requested_.exchange(true)) return;
  for (const std::function<void()>& callback : callbacks_) callback();
}

Gender GenderOf(absl::string_view name) {
  Gender gender = Gender::kUnknown;
  for (const std::string& part : PartsOf(name)) {
    for (const KnownName& known : kKnownNames) {
      if (part == known.name) gender = known.gender;
    }
  }
  return gender;
}

VoiceChoice ChooseVoice(absl::string_view wanted, const std::vector<Voice>& voices) {
  if (wanted.empty()) return {voices.front(), true};
  for (const Voice& voice : voices) {
    if (voice.id == wanted) return {voice, true};
  }
  const Hints hints = ReadHints(wanted);
  const Voice* best = &voices.front();
  int best_score = -1;
  for (const Voice& voice : voices) {
    int score = 0;
    if (NamedAlike(wanted, voice.id)) score += 16;
    if (!hints.language.empty() && absl::StartsWith(absl::AsciiStrToLower(voice.language), hints.language)) {
      score += 4;
      if (!hints.region.empty() && absl::EndsWith(voice.language, hints.region)) score += 2;
    }
    if (hints.gender != Gender::kUnknown && voice.gender == hints.gender) score += 3;
    if (score > best_score) {
      best = &voice;
      best_score = score;
    }
  }
  return {*best, false};
}

}  // namespace arc::tts
