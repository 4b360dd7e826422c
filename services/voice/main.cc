// arc-voice: hears agent.voice.audio.<room> and reads kiosk.input.text; drives stt, brain and tts; publishes
// kiosk.voice.* and agent.voice.*; takes LiveKit's webhooks on its HTTP port.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/agent/agent.h"
#include "common/subjects/subjects.h"
#include "services/voice/voice.h"
#include "services/voice/webhook.h"

ABSL_FLAG(std::string, rooms, "", "rooms that this copy serves: room[=kiosk],...; empty: all");
ABSL_FLAG(int, max_rooms, 100, "most rooms at once");
ABSL_FLAG(bool, text, true, "read kiosk.input.text, of all kiosks; of several copies exactly one does");
ABSL_FLAG(bool, greet, true, "greet when a session of the kiosk starts");
ABSL_FLAG(std::string, voice_id, "", "voice of the kiosk; empty: the TTS's own");
ABSL_FLAG(std::string, tts_format, "pcm", "pcm or opus");
ABSL_FLAG(int, tts_rate, 16000, "sample rate of the answers, in Hz");
ABSL_FLAG(absl::Duration, endpointing_min, absl::Milliseconds(500), "silence after a complete request");
ABSL_FLAG(absl::Duration, endpointing_max, absl::Seconds(3), "silence after \"and\" or \"um\"");
ABSL_FLAG(absl::Duration, max_utterance, absl::Seconds(30), "longest utterance");
ABSL_FLAG(absl::Duration, barge_in, absl::Milliseconds(300), "speech that interrupts the kiosk");
ABSL_FLAG(absl::Duration, resume_after, absl::Seconds(2),
          "from an interruption without words until the kiosk goes on");
ABSL_FLAG(absl::Duration, brain_timeout, absl::Seconds(2), "how long the brain may think");
ABSL_FLAG(double, min_confidence, 0.15, "words that the recogniser is less sure of (0 to 1) are asked back");
ABSL_FLAG(absl::Duration, conversation_timeout, absl::Minutes(2), "silence that ends a conversation");
ABSL_FLAG(std::string, livekit_api_key, "", "whose webhooks are taken; empty: none are");
ABSL_FLAG(std::string, livekit_api_secret_file, "", "file with that key's secret");

namespace {

// The key that the flags name; InvalidArgument when only half of it is there.
absl::StatusOr<arc::voice::LiveKitKey> ReadLiveKitKey() {
  arc::voice::LiveKitKey key;
  key.api_key = absl::GetFlag(FLAGS_livekit_api_key);
  const std::string path = absl::GetFlag(FLAGS_livekit_api_secret_file);
  if (key.api_key.empty() && path.empty()) return key;
  if (key.api_key.empty() || path.empty()) {
    return absl::InvalidArgumentError("--livekit_api_key and --livekit_api_secret_file belong together");
  }
  std::ifstream file(path);
  std::getline(file, key.api_secret);
  absl::StripAsciiWhitespace(&key.api_secret);
  if (key.api_secret.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--livekit_api_secret_file: no secret in ", path));
  }
  return key;
}

}  // namespace

int main(int argc, char** argv) {
  arc::Agent agent({"voice", arc::voice::kAgentName, "Hears customers, takes turns with them, speaks"}, argc,
                   argv);
  arc::voice::VoiceOptions options;
  options.kiosk_id = agent.kiosk_id();
  options.scoped = agent.scoped();
  const auto rooms = arc::voice::ParseRooms(absl::GetFlag(FLAGS_rooms));
  if (!rooms.ok()) {
    std::cerr << "arc-voice: --rooms: " << rooms.status().message() << "\n";
    return 2;
  }
  const auto livekit = ReadLiveKitKey();
  if (!livekit.ok()) {
    std::cerr << "arc-voice: " << livekit.status().message() << "\n";
    return 2;
  }
  options.rooms = *rooms;
  options.max_rooms = static_cast<size_t>(std::max(absl::GetFlag(FLAGS_max_rooms), 1));
  options.take_text = absl::GetFlag(FLAGS_text);
  options.turn.greet = absl::GetFlag(FLAGS_greet);
  options.turn.voice_id = absl::GetFlag(FLAGS_voice_id);
  options.turn.audio_format = absl::GetFlag(FLAGS_tts_format);
  options.turn.sample_rate = absl::GetFlag(FLAGS_tts_rate);
  options.turn.endpointing_min = absl::GetFlag(FLAGS_endpointing_min);
  options.turn.endpointing_max = absl::GetFlag(FLAGS_endpointing_max);
  options.turn.max_utterance = options.utterance.max_sound = absl::GetFlag(FLAGS_max_utterance);
  options.turn.barge_in_speech = absl::GetFlag(FLAGS_barge_in);
  options.turn.false_interruption_resume = absl::GetFlag(FLAGS_resume_after);
  options.turn.brain_timeout = absl::GetFlag(FLAGS_brain_timeout);
  options.turn.min_confidence = absl::GetFlag(FLAGS_min_confidence);
  options.turn.conversation_timeout = absl::GetFlag(FLAGS_conversation_timeout);

  options.on_turn = agent.Endpoint("turn", arc::subjects::kSttTranscript);
  arc::voice::Voice voice(
      agent.bus(), agent.metrics(), options,
      [&agent](absl::string_view error_type, absl::string_view message, absl::string_view severity,
               absl::string_view action) { agent.ReportError(error_type, message, severity, action); });
  arc::voice::Webhook webhook(*livekit, agent.metrics(),
                              [&](const arc::voice::LiveKitEvent& event) { voice.OnLiveKit(event); });
  agent.http().Handle("POST", "/livekit/webhook",
                      [&](const arc::HttpRequest& request) { return webhook.Handle(request); });
  agent.OnStart([&] { return voice.Start(); });
  agent.HealthCheck("voice", [&] { return voice.Health(); });
  agent.SetActiveSessions([&] { return voice.active_sessions(); });
  agent.SetMetadata("engine", "webrtc-audio-processing");
  agent.OnDrainBegin([&] { voice.StopListening(); });
  agent.OnDrain([&] { voice.Stop(absl::Milliseconds(2500)); });
  return agent.Run();
}
