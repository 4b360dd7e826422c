#include "services/hardware/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "common/trace/trace.h"
#include "services/hardware/digest.h"
#include "services/hardware/file_util.h"

namespace arc::hardware {
namespace {

enum class State { kPending, kPrinting, kPrinted, kUncertain };
absl::Span<const absl::string_view> EnumNames(State) {
  static constexpr std::array<absl::string_view, 4> kNames = {"pending", "printing", "printed", "uncertain"};
  return kNames;
}

constexpr absl::string_view kSuffix = ".json";
constexpr int64_t kMaxEncodedBytes = 64 << 20;

// The value of the key `print.<order>`.
struct ClaimValue {
  std::string order_id;
  std::string claim_id;
  std::string fingerprint;
  State state = State::kPending;
  std::string at;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Required("claim_id", s.claim_id);
    v.Required("fingerprint", s.fingerprint);
    v.Required("state", s.state);
    v.Required("at", s.at);
  }
};

std::string ClaimKey(absl::string_view order_id) {
  return absl::StrCat("print.", Spool::KeyOf(order_id));
}

SpoolError Uncertain(absl::string_view order_id, absl::string_view detail) {
  return SpoolError(ErrorCode::kHardwareError,
                    absl::StrCat("the receipt of order ", order_id, " may or may not be on paper (", detail,
                                 "); look at the printer and ask with reprint if it is not"));
}

SpoolError NotReady(const PrinterState& state) {
  return SpoolError(ErrorCode::kHardwareError,
                    absl::StrCat("printer ", ConditionName(state.condition), ": ", state.detail,
                                 "; the receipt is kept and printed when the printer is back"));
}

SpoolError OtherOrder(absl::string_view order_id) {
  return SpoolError(ErrorCode::kInvalidRequest, absl::StrCat("payload.order_id: order ", order_id,
                                                             " was sent with other items or another total"));
}

}  // namespace

struct Spool::Record {
  // In the file.
  std::string order_id;
  std::string fingerprint;
  std::string claim_id;  // Who made the claim: this record, not an earlier one that was lost.
  State state = State::kPending;
  int64_t copies = 0;  // Reprints so far; part of the job's id.
  std::string reprint_key;
  std::string bytes;  // Empty once printed.
  std::string detail;
  std::string changed_at;
  bool claim_current = false;  // The claim says what `state` says.

  // In memory.
  uint64_t sequence = 0;
  int attempts = 0;                   // Since this process knows it.
  std::optional<SpoolError> failure;  // Of the latest attempt, while pending.
  bool take_over = false;
  bool printed_elsewhere = false;
  trace::SpanContext context;  // Of the latest request for it.

  std::string JobId() const { return absl::StrCat(KeyOf(order_id), ".", copies); }

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("order_id", s.order_id);
    v.Required("fingerprint", s.fingerprint);
    v.Required("claim_id", s.claim_id);
    v.Required("state", s.state);
    v.Required("copies", s.copies, json::Range(0, json::kMaxId));
    v.Required("reprint_key", s.reprint_key);
    std::string encoded;
    if constexpr (!V::kDecoding) encoded = absl::Base64Escape(s.bytes);
    v.Required("bytes_base64", encoded, json::Range(0, kMaxEncodedBytes));
    if constexpr (V::kDecoding) absl::Base64Unescape(encoded, &s.bytes);
    v.Required("detail", s.detail);
    v.Required("changed_at", s.changed_at);
    v.Required("claim_current", s.claim_current);
  }
};

std::string Spool::KeyOf(absl::string_view order_id) {
  if (subjects::IsName(order_id, 64)) return std::string(order_id);
  return absl::StrCat("=", Sha256Hex(order_id));
}

Spool::Spool(const Options& options, Printer& printer, Clock& clock, Listener listener)
    : options_(options), printer_(printer), clock_(clock), listener_(std::move(listener)) {}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(const Options& options, Printer& printer, Clock& clock,
                                                   Listener listener) {
  std::unique_ptr<Spool> spool(new Spool(options, printer, clock, std::move(listener)));
  const absl::Status status = spool->Load();
  if (!status.ok()) return absl::FailedPreconditionError(absl::StrCat("spool folder: ", status.message()));
  return spool;
}

Spool::~Spool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return waiting_ == 0; });
}

std::string Spool::PathOf(const Record& record) const {
  return absl::StrCat(options_.folder, "/", KeyOf(record.order_id), kSuffix);
}

absl::Status Spool::Save(const Record& record) {
  return ReplaceFile(PathOf(record), json::Encode(record), true);
}

absl::Status Spool::Load() {
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  if (error) return absl::UnavailableError(absl::StrCat(options_.folder, ": ", error.message()));
  const std::string lock_path = options_.folder + "/lock";
  folder_lock_ = UniqueFd(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!folder_lock_.valid()) return ErrnoError("open", lock_path);
  if (flock(folder_lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat(options_.folder, " is used by another process"));
  }

  std::vector<std::shared_ptr<Record>> found;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder, error)) {
    const std::string path = entry.path().string();
    if (absl::EndsWith(path, ".tmp")) {
      // A crash came before the rename; nobody was told that this exists.
      unlink(path.c_str());
      continue;
    }
    if (!absl::EndsWith(path, kSuffix)) continue;
    ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    absl::StatusOr<Record> record = json::Decode<Record>(text);
    const bool whole = record.ok() &&
                       entry.path().filename() == absl::StrCat(KeyOf(record->order_id), kSuffix) &&
                       (record->state == State::kPrinted || !record->bytes.empty());
    if (!whole) {
      Log(LogLevel::kError, "a spool file cannot be read and is set aside", {{"file", path + ".bad"}});
      if (rename(path.c_str(), (path + ".bad").c_str()) != 0) return ErrnoError("rename", path);
      continue;
    }
    found.push_back(std::make_shared<Record>(*std::move(record)));
  }
  if (error) return absl::UnavailableError(absl::StrCat(options_.folder, ": ", error.message()));

  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a->changed_at < b->changed_at; });
  for (const std::shared_ptr<Record>& record : found) {
    record->sequence = next_sequence_++;
    if (record->state == State::kPrinting) {
      const std::optional<bool> printed = printer_.WasPrinted(record->JobId());
      record->state = !printed.has_value() ? State::kUncertain : *printed ? State::kPrinted : State::kPending;
      record->claim_current = false;
      if (record->state == State::kUncertain) record->detail = "the agent stopped while it was being printed";
      if (record->state == State::kPrinted) record->bytes.clear();
      RETURN_IF_ERROR(Save(*record));
      Log(LogLevel::kWarning, "a receipt was being printed when the agent stopped",
          {{"order_id", record->order_id},
           {"state", std::string(EnumNames(State{})[static_cast<size_t>(record->state)])}});
    }
    records_[KeyOf(record->order_id)] = record;
  }
  Prune();
  return absl::OkStatus();
}

void Spool::Start(bus::KeyValue& bucket) {
  bucket_ = &bucket;
  thread_ = std::thread([this] { Run(); });
}

absl::StatusOr<PrintOutcome> Spool::Print(const PrintJob& job) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (stopping_) return MakeError(ErrorCode::kUnavailable, "the hardware agent is stopping");
  std::shared_ptr<Record>& slot = records_[KeyOf(job.order_id)];
  bool already = slot != nullptr;
  if (slot == nullptr) {
    auto record = std::make_shared<Record>();
    record->order_id = job.order_id;
    record->fingerprint = job.fingerprint;
    record->claim_id = NewUuid();
    record->bytes = job.bytes;
    record->changed_at = FormatTimestamp(clock_.Now());
    record->take_over = job.reprint;
    if (job.reprint) record->reprint_key = job.reprint_key;
    record->sequence = next_sequence_++;
    const absl::Status saved = Save(*record);
    if (!saved.ok()) {
      records_.erase(KeyOf(job.order_id));
      return MakeError(ErrorCode::kHardwareError, absl::StrCat("spool: ", saved.message()));
    }
    slot = std::move(record);
  }
  const std::shared_ptr<Record> record = slot;
  if (record->fingerprint != job.fingerprint) return OtherOrder(job.order_id).ToStatus();

  const bool settled = record->state == State::kPrinted || record->state == State::kUncertain;
  const bool same_reprint = !job.reprint_key.empty() && job.reprint_key == record->reprint_key;
  if (already && job.reprint && settled && !same_reprint) {
    Record next = *record;
    next.state = State::kPending;
    next.copies += 1;
    next.reprint_key = job.reprint_key;
    next.bytes = job.bytes;
    next.detail.clear();
    next.changed_at = FormatTimestamp(clock_.Now());
    next.claim_current = false;
    next.take_over = true;
    next.attempts = 0;
    next.failure.reset();
    next.sequence = next_sequence_++;
    const absl::Status saved = Save(next);
    if (!saved.ok()) return MakeError(ErrorCode::kHardwareError, absl::StrCat("spool: ", saved.message()));
    *record = std::move(next);
    already = false;
  }
  record->context = trace::Current();
  kicked_ = true;
  changed_.notify_all();
  const uint64_t sequence = record->sequence;
  ++waiting_;
  changed_.wait(lock, [&] {
    const bool settled_now = record->state == State::kPrinted || record->state == State::kUncertain;
    const bool waits = record->state == State::kPending && (stopping_ || record->attempts > 0);
    return record->sequence != sequence || settled_now || waits;
  });
  --waiting_;
  if (stopping_) changed_.notify_all();
  switch (record->state) {
    case State::kPrinted:
      return PrintOutcome{already || record->printed_elsewhere};
    case State::kUncertain:
      return Uncertain(record->order_id, record->detail).ToStatus();
    case State::kPending:
    case State::kPrinting:
      break;
  }
  if (record->failure.has_value()) return record->failure->ToStatus();
  return MakeError(ErrorCode::kUnavailable, "the hardware agent is stopping");
}

SpoolCounts Spool::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  SpoolCounts counts;
  for (const auto& [key, record] : records_) {
    counts.pending += record->state == State::kPending || record->state == State::kPrinting;
    counts.uncertain += record->state == State::kUncertain;
  }
  return counts;
}

PrinterState Spool::printer_state() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (busy_) return state_;
  }
  return printer_.GetState();
}

std::shared_ptr<Spool::Record> Spool::NextPending() const {
  std::shared_ptr<Record> next;
  for (const auto& [key, record] : records_) {
    if (record->state == State::kPending && (next == nullptr || record->sequence < next->sequence))
      next = record;
  }
  return next;
}

void Spool::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  Look(lock);
  while (!stopping_) {
    kicked_ = false;
    const bool claims_current = SyncClaims(lock);
    if (stopping_) break;
    const std::shared_ptr<Record> record = NextPending();
    if (record != nullptr) {
      const int before = failures_;
      Attempt(lock, record);
      if (failures_ <= before) continue;
    }
    absl::Duration delay = options_.idle_check;
    if (record != nullptr || !claims_current) {
      delay = options_.first_retry;
      for (int i = 1; i < failures_ && delay < options_.longest_retry; ++i) delay *= 2;
      delay = std::min(delay, options_.longest_retry);
    }
    const bool woken =
        clock_.WaitUntil(lock, changed_, clock_.Now() + delay, [this] { return stopping_ || kicked_; });
    if (!woken && record == nullptr) Look(lock);
  }
}

void Spool::Look(std::unique_lock<std::mutex>& lock) {
  busy_ = true;
  lock.unlock();
  const PrinterState state = printer_.GetState();
  lock.lock();
  busy_ = false;
  SetCondition(lock, state);
}

// A printer that is not ready, or a bus that is away, holds up all that wait: each of them is told the same.
void Spool::FailPending(const SpoolError& error) {
  ++failures_;
  for (const auto& [key, record] : records_) {
    if (record->state != State::kPending) continue;
    record->failure = error;
    ++record->attempts;
  }
  changed_.notify_all();
}

void Spool::SetCondition(std::unique_lock<std::mutex>& lock, const PrinterState& state) {
  const bool changed = state.condition != state_.condition;
  state_ = state;
  if (!changed) return;
  Log(state.condition == PrinterState::Condition::kReady ? LogLevel::kInfo : LogLevel::kError,
      "printer condition",
      {{"printer", printer_.name()},
       {"condition", std::string(ConditionName(state.condition))},
       {"detail", state.detail}});
  if (listener_.on_condition == nullptr) return;
  lock.unlock();
  listener_.on_condition(state);
  lock.lock();
}

void Spool::Attempt(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Record>& record) {
  const Record job =
      *record;  // Print() changes nothing of a pending record, so this stays true while unlocked.
  busy_ = true;
  lock.unlock();
  // Asking first spares the disk while the printer is away.
  PrinterState state = printer_.GetState();
  Claim claim = Claim::kFailed;
  SpoolError claim_error;
  const bool ready = state.condition == PrinterState::Condition::kReady;
  if (ready) claim = MakeClaim(job, claim_error);
  lock.lock();
  busy_ = false;
  if (!ready) {
    FailPending(NotReady(state));
    SetCondition(lock, state);
    return;
  }
  if (claim == Claim::kFailed) {
    FailPending(claim_error);
    return;
  }
  if (claim == Claim::kTaken) {
    // Somebody else answers for this order: nothing of it is kept here.
    record->failure = claim_error;
    ++record->attempts;
    unlink(PathOf(*record).c_str());
    records_.erase(KeyOf(record->order_id));
    changed_.notify_all();
    return;
  }
  if (claim == Claim::kPrintedElsewhere) {
    record->state = State::kPrinted;
    record->bytes.clear();
    record->claim_current = true;
    record->printed_elsewhere = true;
    record->changed_at = FormatTimestamp(clock_.Now());
    const absl::Status saved = Save(*record);
    if (!saved.ok())
      Log(LogLevel::kError, "spool file not written", {{"error", std::string(saved.message())}});
    changed_.notify_all();
    return;
  }

  record->state = State::kPrinting;
  const absl::Status saved = Save(*record);
  if (!saved.ok()) {
    record->state = State::kPending;
    FailPending({ErrorCode::kHardwareError, absl::StrCat("spool: ", saved.message())});
    return;
  }
  busy_ = true;
  trace::Span tracing("engine printer", trace::SpanKind::kClient, record->context);
  lock.unlock();
  const PrintResult result = printer_.Print(job.JobId(), job.bytes);
  if (result.fate != PrintResult::Fate::kPrinted) tracing.SetStatus(absl::UnknownError("not printed"));
  tracing.End();
  lock.lock();
  busy_ = false;
  Finish(lock, record, result);
}

void Spool::Finish(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Record>& record,
                   const PrintResult& result) {
  record->changed_at = FormatTimestamp(clock_.Now());
  record->claim_current = false;
  switch (result.fate) {
    case PrintResult::Fate::kPrinted:
      record->state = State::kPrinted;
      record->bytes.clear();
      break;
    case PrintResult::Fate::kNotStarted:
      record->state = State::kPending;
      break;
    case PrintResult::Fate::kUncertain:
      record->state = State::kUncertain;
      record->detail = result.state.detail;
      break;
  }
  const absl::Status saved = Save(*record);
  if (!saved.ok()) {
    Log(LogLevel::kError, "spool file not written",
        {{"order_id", record->order_id}, {"error", std::string(saved.message())}});
  }
  if (result.fate == PrintResult::Fate::kNotStarted) {
    FailPending(NotReady(result.state));
  } else {
    failures_ = 0;
    ++record->attempts;
    changed_.notify_all();
  }
  SetCondition(lock, result.state);
  if (result.fate == PrintResult::Fate::kPrinted) {
    Log(LogLevel::kInfo, "receipt printed",
        {{"order_id", record->order_id}, {"copies", absl::StrCat(record->copies)}});
  } else if (result.fate == PrintResult::Fate::kUncertain) {
    Log(LogLevel::kError, "receipt uncertain", {{"order_id", record->order_id}, {"detail", record->detail}});
    if (listener_.on_uncertain != nullptr) {
      const std::string order_id = record->order_id;
      const std::string detail = record->detail;
      lock.unlock();
      listener_.on_uncertain(order_id, detail);
      lock.lock();
    }
  }
  if (clock_.Now() >= next_prune_) Prune();
}

Spool::Claim Spool::MakeClaim(const Record& record, SpoolError& error) {
  const std::string key = ClaimKey(record.order_id);
  const ClaimValue ours{record.order_id, record.claim_id, record.fingerprint, State::kPending,
                        FormatTimestamp(clock_.Now())};
  const absl::StatusOr<uint64_t> created = bucket_->Create(key, json::Encode(ours));
  if (created.ok()) return Claim::kOurs;
  const auto failed = [&](const absl::Status& why) {
    error = SpoolError(ErrorCode::kUnavailable, absl::StrCat("the print of order ", record.order_id,
                                                             " cannot be claimed: ", why.message()));
    return Claim::kFailed;
  };
  if (created.status().code() != absl::StatusCode::kAlreadyExists) return failed(created.status());
  const absl::StatusOr<bus::KeyValue::Entry> entry = bucket_->Get(key);
  if (!entry.ok()) return failed(entry.status());
  const absl::StatusOr<ClaimValue> theirs = json::Decode<ClaimValue>(entry->value);
  if (theirs.ok() && theirs->claim_id == record.claim_id) return Claim::kOurs;
  if (theirs.ok() && theirs->fingerprint != record.fingerprint) {
    error = OtherOrder(record.order_id);
    return Claim::kTaken;
  }
  if (record.take_over) {
    // A person wants this printed here, whoever had it before.
    const absl::StatusOr<uint64_t> taken = bucket_->Update(key, json::Encode(ours), entry->revision);
    if (!taken.ok()) return failed(taken.status());
    return Claim::kOurs;
  }
  if (theirs.ok() && theirs->state == State::kPrinted) return Claim::kPrintedElsewhere;
  error = theirs.ok() && theirs->state == State::kPending
              ? SpoolError(ErrorCode::kHardwareError,
                           absl::StrCat("order ", record.order_id,
                                        " is with another copy of the hardware agent since ", theirs->at,
                                        "; ask with reprint if that is gone"))
              : Uncertain(record.order_id, "another copy of the hardware agent had it");
  return Claim::kTaken;
}

absl::Status Spool::WriteClaim(const Record& record) {
  const ClaimValue value{record.order_id, record.claim_id, record.fingerprint, record.state,
                         FormatTimestamp(clock_.Now())};
  return bucket_->Put(ClaimKey(record.order_id), json::Encode(value)).status();
}

// Tells the bucket what became of receipts. It may come late, when the bus was away: nobody else prints them
// meanwhile, because the key is there.
bool Spool::SyncClaims(std::unique_lock<std::mutex>& lock) {
  std::vector<std::shared_ptr<Record>> behind;
  for (const auto& [key, record] : records_) {
    const bool settled = record->state == State::kPrinted || record->state == State::kUncertain;
    if (settled && !record->claim_current) behind.push_back(record);
  }
  for (const std::shared_ptr<Record>& record : behind) {
    if (stopping_) return false;
    const Record told = *record;
    lock.unlock();
    const absl::Status status = WriteClaim(told);
    lock.lock();
    if (!status.ok()) return false;
    // A reprint may have been asked for meanwhile.
    if (record->sequence != told.sequence || record->state != told.state) continue;
    record->claim_current = true;
    // Not worth a wait for the disk: after a crash the claim is written once more.
    const absl::Status saved = ReplaceFile(PathOf(*record), json::Encode(*record), false);
    if (!saved.ok())
      Log(LogLevel::kWarning, "spool file not written", {{"error", std::string(saved.message())}});
  }
  return true;
}

void Spool::Prune() {
  const std::string oldest = FormatTimestamp(clock_.Now() - options_.keep);
  for (auto it = records_.begin(); it != records_.end();) {
    const Record& record = *it->second;
    if (record.state == State::kPrinted && record.claim_current && record.changed_at < oldest) {
      unlink(PathOf(record).c_str());
      it = records_.erase(it);
    } else {
      ++it;
    }
  }
  next_prune_ = clock_.Now() + absl::Hours(1);
}

}  // namespace arc::hardware
