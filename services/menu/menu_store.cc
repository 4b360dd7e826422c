#include "services/menu/menu_store.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"

namespace arc::menu {
namespace {

constexpr char kCurrentKey[] = "current";
constexpr absl::string_view kMenuPrefix = "menu.";
constexpr absl::string_view kAvailabilityPrefix = "availability.";
// Far below the server's limit for one message, 1 MB.
constexpr size_t kChunkBytes = size_t{256} * 1024;
constexpr int64_t kMaxChunks = 1024;

// The value of the key `current`.
struct Pointer {
  std::string generation;
  int64_t chunks = 0;
  int64_t bytes = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("generation", s.generation, json::Range(1, 64));
    v.Required("chunks", s.chunks, json::Range(1, kMaxChunks));
    v.Required("bytes", s.bytes, json::Range(1, kMaxChunks * static_cast<int64_t>(kChunkBytes)));
  }
};

// The value of a key availability.<id>.
struct Availability {
  bool available = true;
  std::string generation;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("available", s.available);
    v.Optional("generation", s.generation, json::Range(0, 64));
  }
};

std::string ChunkKey(absl::string_view generation, int64_t index) {
  return absl::StrCat(kMenuPrefix, generation, ".", index);
}

// Best effort: what is left behind is purged by the next import.
void PurgeAll(bus::KeyValue& bucket, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const absl::Status status = bucket.Purge(key);
    if (!status.ok()) {
      Log(LogLevel::kWarning, "a part of an old menu could not be purged",
          {{"key", key}, {"error", std::string(status.message())}});
      return;
    }
  }
}

// The pointer in force and its revision; generation empty and revision 0 when there is none.
absl::StatusOr<std::pair<Pointer, uint64_t>> ReadPointer(bus::KeyValue& bucket) {
  absl::StatusOr<bus::KeyValue::Entry> entry = bucket.Get(kCurrentKey);
  if (absl::IsNotFound(entry.status()) || (entry.ok() && entry->deleted)) {
    return std::pair<Pointer, uint64_t>{};
  }
  if (!entry.ok()) return entry.status();
  // An unreadable pointer is replaced like any other.
  return std::pair<Pointer, uint64_t>{json::Decode<Pointer>(entry->value).value_or(Pointer{}),
                                      entry->revision};
}

}  // namespace

absl::StatusOr<ImportResult> ImportMenu(bus::KeyValue& bucket, const messages::MenuFile& menu) {
  RETURN_IF_ERROR(Catalogue::Create(menu).status());
  const std::string text = json::Encode(menu);
  Pointer next;
  next.bytes = static_cast<int64_t>(text.size());
  next.chunks = static_cast<int64_t>((text.size() + kChunkBytes - 1) / kChunkBytes);
  if (next.chunks > kMaxChunks) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the menu is too large: ", text.size(), " bytes"));
  }
  absl::BitGen random;
  next.generation = absl::StrFormat("%016x", absl::Uniform<uint64_t>(random));

  ASSIGN_OR_RETURN(const auto before, ReadPointer(bucket));
  std::vector<std::string> written;
  const auto failed = [&](const absl::Status& status) {
    PurgeAll(bucket, written);
    return Annotate(status, "the menu was not changed");
  };
  for (int64_t i = 0; i < next.chunks; ++i) {
    written.push_back(ChunkKey(next.generation, i));
    const absl::Status put = bucket
                                 .Put(written.back(), absl::string_view(text).substr(
                                                          static_cast<size_t>(i) * kChunkBytes, kChunkBytes))
                                 .status();
    if (!put.ok()) return failed(put);
  }
  // Listed before `current` moves: an import that runs beside this one and has written parts by now will fail
  // to move it, so that its parts may be purged with the old ones.
  const absl::StatusOr<std::vector<std::string>> keys = bucket.Keys();
  if (!keys.ok()) return failed(keys.status());

  const std::string pointer = json::Encode(next);
  const absl::Status moved = before.second == 0 ? bucket.Create(kCurrentKey, pointer).status()
                                                : bucket.Update(kCurrentKey, pointer, before.second).status();
  if (absl::IsAborted(moved) || absl::IsAlreadyExists(moved)) {
    return failed(absl::AbortedError("another menu was imported at the same time"));
  }
  if (!moved.ok()) {
    // The write may have been done although its answer was lost.
    const absl::StatusOr<std::pair<Pointer, uint64_t>> now = ReadPointer(bucket);
    if (!now.ok()) return Annotate(moved, "it is not known whether the menu was changed");
    if (now->first.generation != next.generation) return failed(moved);
  }

  std::vector<std::string> old;
  const std::string own = absl::StrCat(kMenuPrefix, next.generation, ".");
  for (const std::string& key : *keys) {
    if (absl::StartsWith(key, kMenuPrefix) && !absl::StartsWith(key, own)) old.push_back(key);
  }
  PurgeAll(bucket, old);
  return ImportResult{next.generation, static_cast<int64_t>(menu.items.size()),
                      static_cast<int64_t>(menu.categories.size())};
}

MenuReader::MenuReader(Listener on_change) : on_change_(std::move(on_change)) {}

MenuReader::~MenuReader() {
  Stop();
}

void MenuReader::Stop() {
  std::unique_ptr<bus::Subscription> ended;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended = std::move(subscription_);
  }
  // Outside the lock: a running callback needs it to end.
  ended.reset();
}

absl::Status MenuReader::Watch(bus::KeyValue& bucket) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    bucket_ = &bucket;
  }
  ASSIGN_OR_RETURN(
      std::unique_ptr<bus::Subscription> subscription,
      bucket.Watch(
          ">", [this](const bus::KeyValue::Entry& entry) { OnEntry(entry); }, [this] { OnCurrent(); }));
  std::lock_guard<std::mutex> lock(mutex_);
  subscription_ = std::move(subscription);
  return absl::OkStatus();
}

std::shared_ptr<const MenuState> MenuReader::state() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

bool MenuReader::current() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

absl::Status MenuReader::SetAvailability(int64_t item_id, bool available) {
  bus::KeyValue* bucket = nullptr;
  Availability value;
  value.available = available;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    bucket = bucket_;
    if (state_ != nullptr) value.generation = state_->generation;
  }
  if (bucket == nullptr) return MakeError(ErrorCode::kUnavailable, "the menu's bucket is not open yet");
  ASSIGN_OR_RETURN(const uint64_t revision,
                   bucket->Put(absl::StrCat(kAvailabilityPrefix, item_id), json::Encode(value)));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ApplyAvailability(item_id, false, Override{available, value.generation, revision})) Publish();
  }
  Notify();
  return absl::OkStatus();
}

void MenuReader::OnEntry(const bus::KeyValue::Entry& entry) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    absl::string_view rest = entry.key;
    if (entry.key == kCurrentKey) {
      const absl::StatusOr<Pointer> pointer = json::Decode<Pointer>(entry.deleted ? "{}" : entry.value);
      if (!pointer.ok()) {
        Log(LogLevel::kError, "the bucket's pointer to the menu is unreadable; the menu stays as it is",
            {{"error", std::string(pointer.status().message())}});
      } else {
        wanted_ = pointer->generation;
        wanted_chunks_ = pointer->chunks;
        wanted_bytes_ = pointer->bytes;
        TryLoad();
      }
    } else if (absl::ConsumePrefix(&rest, kMenuPrefix)) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(rest, absl::MaxSplits('.', 1));
      int64_t index = 0;
      if (!absl::SimpleAtoi(parts.second, &index) || index < 0 || index >= kMaxChunks) return;
      if (entry.deleted) {
        const auto it = chunks_.find(parts.first);
        if (it != chunks_.end()) {
          it->second.erase(index);
          if (it->second.empty()) chunks_.erase(it);
        }
      } else {
        chunks_[parts.first][index] = entry.value;
        // Parts come before the pointer, except when a reader reconnects in the middle of an import.
        if (parts.first == wanted_) TryLoad();
      }
    } else if (absl::ConsumePrefix(&rest, kAvailabilityPrefix)) {
      int64_t id = 0;
      if (!absl::SimpleAtoi(rest, &id)) return;
      Override value;
      if (!entry.deleted) {
        const absl::StatusOr<Availability> decoded = json::Decode<Availability>(entry.value);
        if (!decoded.ok()) {
          Log(LogLevel::kError, "an item's availability is unreadable; it stays as it is",
              {{"key", entry.key}, {"error", std::string(decoded.status().message())}});
          return;
        }
        value.available = decoded->available;
        value.generation = decoded->generation;
      }
      value.revision = entry.revision;
      // All overrides of the start are shown together.
      if (ApplyAvailability(id, entry.deleted, std::move(value)) && current_) Publish();
    }
  }
  Notify();
}

void MenuReader::OnCurrent() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool first = !current_;
    current_ = true;
    if (first) Publish();
  }
  Notify();
}

bool MenuReader::ApplyAvailability(int64_t id, bool deleted, Override value) {
  const auto it = overrides_.find(id);
  // What this process wrote itself comes a second time, and what it wrote later may have been shown already.
  if (it != overrides_.end() && value.revision <= it->second.revision) return false;
  if (deleted) {
    if (it == overrides_.end()) return false;
    overrides_.erase(it);
    return true;
  }
  overrides_[id] = std::move(value);
  return true;
}

void MenuReader::TryLoad() {
  if (state_ != nullptr && state_->generation == wanted_) {
    chunks_.erase(wanted_);  // read again after a reconnect
    return;
  }
  const auto it = chunks_.find(wanted_);
  if (it == chunks_.end() || static_cast<int64_t>(it->second.size()) < wanted_chunks_) return;
  std::string text;
  text.reserve(static_cast<size_t>(wanted_bytes_));
  for (const auto& [index, part] : it->second) text += part;
  chunks_.erase(it);
  if (static_cast<int64_t>(text.size()) != wanted_bytes_) {
    Log(LogLevel::kError, "the menu in the bucket is incomplete; the menu stays as it is",
        {{"generation", wanted_}, {"bytes", absl::StrCat(text.size())}});
    return;
  }
  absl::StatusOr<messages::MenuFile> menu = json::Decode<messages::MenuFile>(text);
  absl::StatusOr<std::shared_ptr<const Catalogue>> catalogue =
      menu.ok() ? Catalogue::Create(*std::move(menu)) : menu.status();
  if (!catalogue.ok()) {
    Log(LogLevel::kError, "the menu in the bucket is no menu; the menu stays as it is",
        {{"generation", wanted_}, {"error", std::string(catalogue.status().message())}});
    return;
  }
  auto state = std::make_shared<MenuState>();
  state->generation = wanted_;
  state->catalogue = *std::move(catalogue);
  state->unavailable = std::make_shared<UnavailableIds>();
  state_ = std::move(state);
  if (current_) Publish();
}

void MenuReader::Publish() {
  if (state_ == nullptr) return;
  auto unavailable = std::make_shared<UnavailableIds>();
  for (const messages::MenuItem& item : state_->catalogue->items()) {
    bool available = item.available;
    const auto it = overrides_.find(item.id);
    if (it != overrides_.end()) {
      // Off stays off whatever is imported; put back counts against the menu it was said of.
      if (!it->second.available) available = false;
      if (it->second.available && it->second.generation == state_->generation) available = true;
    }
    if (!available) unavailable->insert(item.id);
  }
  // A combo cannot be had without one of its parts (which are no combos themselves).
  for (const messages::MenuItem& item : state_->catalogue->items()) {
    for (const int64_t part : item.combo_of) {
      if (unavailable->contains(part)) unavailable->insert(item.id);
    }
  }
  auto state = std::make_shared<MenuState>(*state_);
  state->unavailable = std::move(unavailable);
  state_ = std::move(state);
}

void MenuReader::Notify() {
  if (!on_change_) return;
  std::lock_guard<std::mutex> listener_lock(listener_mutex_);
  std::shared_ptr<const MenuState> state;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!current_ || state_ == nullptr || state_ == notified_) return;
    notified_ = state_;
    state = state_;
  }
  on_change_(state);
}

}  // namespace arc::menu
