#include "services/tts/cache.h"

#include "absl/strings/str_cat.h"

namespace arc::tts {
namespace {

// What a frame costs beside its bytes, about.
constexpr size_t kFrameOverhead = 48;
constexpr size_t kEntryOverhead = 200;

}  // namespace

std::string Cache::Key(absl::string_view voice_id, const audio::Format& format, absl::string_view sentence) {
  return absl::StrCat(voice_id, "\n", format.ToString(), "\n", sentence);
}

Frames Cache::Find(const std::string& key) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->frames;
}

void Cache::Put(const std::string& key, Frames frames) {
  size_t bytes = kEntryOverhead + 2 * key.size();
  for (const std::string& frame : *frames) bytes += frame.size() + kFrameOverhead;
  if (bytes > max_bytes_ / 4) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = places_.find(key); found != places_.end()) {
    bytes_ -= found->second->bytes;
    entries_.erase(found->second);
    places_.erase(found);
  }
  while (bytes_ + bytes > max_bytes_) {
    bytes_ -= entries_.back().bytes;
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({key, std::move(frames), bytes});
  places_.emplace(key, entries_.begin());
  bytes_ += bytes;
}

size_t Cache::bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

}  // namespace arc::tts
