#include "services/tts/hand.h"

#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/audio/audio.h"
#include "common/status/status_macros.h"
#include "services/tts/speakable.h"

namespace arc::tts {
namespace {

const char* GenderName(Gender gender) {
  switch (gender) {
    case Gender::kFemale:
      return "female";
    case Gender::kMale:
      return "male";
    case Gender::kUnknown:
      break;
  }
  return "-";
}

}  // namespace

absl::Status ListVoices(Engine& engine, std::ostream& out) {
  RETURN_IF_ERROR(engine.Start());
  for (const Voice& voice : engine.voices()) {
    out << absl::StreamFormat("%-24s %-8s %s\n", voice.id, voice.language.empty() ? "-" : voice.language,
                              GenderName(voice.gender));
  }
  return absl::OkStatus();
}

absl::Status SayToFile(Engine& engine, const std::string& text, const std::string& voice_id,
                       const std::string& path, std::ostream& out) {
  RETURN_IF_ERROR(engine.Start());
  const VoiceChoice choice = ChooseVoice(voice_id, engine.voices());
  const std::vector<std::string> sentences = SpeakableSentences(text, engine.dialect());
  if (sentences.empty()) return absl::InvalidArgumentError("there is nothing in the text that can be said");
  audio::Clip clip;
  Stop stop;
  const absl::Time begin = absl::Now();
  absl::Time first = absl::InfiniteFuture();
  for (const std::string& sentence : sentences) {
    RETURN_IF_ERROR(
        engine.Synthesise(choice.voice, sentence, stop, [&](absl::Span<const int16_t> samples, int rate) {
          first = std::min(first, absl::Now());
          clip.rate = rate;
          clip.samples.insert(clip.samples.end(), samples.begin(), samples.end());
          return true;
        }));
  }
  const absl::Time end = absl::Now();
  RETURN_IF_ERROR(audio::WriteWav(path, clip));
  for (const std::string& sentence : sentences) out << sentence << "\n";
  out << absl::StreamFormat("%s %s%s, %d Hz, %.2f s, first sound after %.1f ms, all after %.1f ms: %s\n",
                            engine.name(), choice.voice.id, choice.exact ? "" : " (stands in)", clip.rate,
                            absl::ToDoubleSeconds(audio::DurationOf(clip.samples.size(), clip.rate)),
                            absl::ToDoubleMilliseconds(first - begin),
                            absl::ToDoubleMilliseconds(end - begin), path);
  return absl::OkStatus();
}

}  // namespace arc::tts
