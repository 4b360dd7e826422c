#include "services/tts/speakable.h"
namespace arc::tts {
std::vector<std::string> SpeakableSentences(absl::string_view text, const Dialect&) {
  std::vector<std::string> out;
  std::string s;
  for (char c : text) {
    s += c;
    if (c == '.' || c == '!' || c == '?') {
      out.push_back(s);
      s.clear();
    }
  }
  if (!s.empty()) out.push_back(s);
  return out;
}
}  // namespace arc::tts
