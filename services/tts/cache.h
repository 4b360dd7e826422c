// Sentences that were said before, as the frames that were published.
#ifndef ARC_SERVICES_TTS_CACHE_H_
#define ARC_SERVICES_TTS_CACHE_H_

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/audio/audio.h"

namespace arc::tts {

using Frames = std::shared_ptr<const std::vector<std::string>>;

// Thread-safe.
class Cache {
 public:
  // Holds at most `max_bytes` of frames and keys; 0: nothing. What was used longest ago goes first.
  explicit Cache(size_t max_bytes) : max_bytes_(max_bytes) {}

  static std::string Key(absl::string_view voice_id, const audio::Format& format, absl::string_view sentence);

  Frames Find(const std::string& key);  // null: not there
  // Does nothing with frames that alone would take more than a quarter of the room.
  void Put(const std::string& key, Frames frames);

  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    Frames frames;
    size_t bytes;
  };

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;  // the latest used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace arc::tts

#endif  // ARC_SERVICES_TTS_CACHE_H_
