#include "services/payment/ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log/log.h"
#include "common/status/status_macros.h"

namespace arc::payment {

int64_t PaymentRecord::RefundedMinor(bool with_reserved) const {
  int64_t sum = 0;
  for (const RefundRecord& refund : refunds) {
    if (refund.done || with_reserved) sum += refund.amount_minor;
  }
  return sum;
}

bool PaymentRecord::NeedsAttention() const {
  if (phase == Phase::kOpen) return true;
  if (phase == Phase::kCharged && !receipt_stored) return true;
  return std::any_of(refunds.begin(), refunds.end(), [](const RefundRecord& refund) { return !refund.done; });
}

std::string Ledger::KeyOf(const std::string& order_id) {
  std::string key;
  for (const char c : order_id) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
      key += c;
    } else {
      absl::StrAppendFormat(&key, "=%02X", static_cast<unsigned char>(c));
    }
  }
  return key;
}

absl::Status Ledger::Start(bus::KeyValue& bucket) {
  ASSIGN_OR_RETURN(watch_, bucket.Watch(
                               ">", [this](const bus::KeyValue::Entry& entry) { OnEntry(entry); }, [] {}));
  bucket_ = &bucket;
  return absl::OkStatus();
}

absl::StatusOr<bus::KeyValue*> Ledger::bucket() const {
  if (bus::KeyValue* bucket = bucket_) return bucket;
  return absl::UnavailableError("the bucket is not open yet");
}

void Ledger::OnEntry(const bus::KeyValue::Entry& entry) {
  std::string needing;
  if (!entry.deleted) {
    const absl::StatusOr<PaymentRecord> record = json::Decode<PaymentRecord>(entry.value);
    if (!record.ok()) {
      Log(LogLevel::kError, "a payment record cannot be read",
          {{"key", entry.key}, {"error", std::string(record.status().message())}});
    } else if (record->NeedsAttention()) {
      needing = record->order_id;
    }
  }
  std::lock_guard lock(mutex_);
  if (needing.empty()) {
    attention_.erase(entry.key);
  } else {
    attention_[entry.key] = needing;
  }
  const auto watched = watched_.find(entry.key);
  if (watched == watched_.end()) return;
  watched->second.revision = std::max(watched->second.revision, entry.revision);
  changed_.notify_all();
}

absl::StatusOr<VersionedRecord> Ledger::Get(const std::string& order_id) {
  ASSIGN_OR_RETURN(bus::KeyValue * bucket, this->bucket());
  ASSIGN_OR_RETURN(const bus::KeyValue::Entry entry, bucket->Get(KeyOf(order_id)));
  if (entry.deleted) return absl::NotFoundError(absl::StrCat("there is no payment for order ", order_id));
  absl::StatusOr<PaymentRecord> record = json::Decode<PaymentRecord>(entry.value);
  if (!record.ok()) {
    return absl::DataLossError(
        absl::StrCat("the record of order ", order_id, " cannot be read: ", record.status().message()));
  }
  return VersionedRecord{*std::move(record), entry.revision};
}

absl::StatusOr<VersionedRecord> Ledger::Create(const PaymentRecord& record) {
  ASSIGN_OR_RETURN(bus::KeyValue * bucket, this->bucket());
  ASSIGN_OR_RETURN(const uint64_t revision, bucket->Create(KeyOf(record.order_id), json::Encode(record)));
  return VersionedRecord{record, revision};
}

absl::StatusOr<VersionedRecord> Ledger::Update(const PaymentRecord& record, uint64_t revision) {
  ASSIGN_OR_RETURN(bus::KeyValue * bucket, this->bucket());
  ASSIGN_OR_RETURN(const uint64_t next,
                   bucket->Update(KeyOf(record.order_id), json::Encode(record), revision));
  return VersionedRecord{record, next};
}

std::vector<std::string> Ledger::NeedingAttention() {
  std::lock_guard lock(mutex_);
  std::vector<std::string> orders;
  orders.reserve(attention_.size());
  for (const auto& [key, order_id] : attention_) orders.push_back(order_id);
  return orders;
}

void Ledger::Interrupt() {
  std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

Ledger::Watcher::Watcher(Ledger& ledger, const std::string& order_id)
    : ledger_(ledger), key_(KeyOf(order_id)) {
  std::lock_guard lock(ledger_.mutex_);
  ++ledger_.watched_[key_].watchers;
}

Ledger::Watcher::~Watcher() {
  std::lock_guard lock(ledger_.mutex_);
  const auto watched = ledger_.watched_.find(key_);
  if (--watched->second.watchers == 0) ledger_.watched_.erase(watched);
}

void Ledger::Watcher::WaitNewerThan(uint64_t revision, absl::Time deadline) {
  std::unique_lock lock(ledger_.mutex_);
  const Watched& watched = ledger_.watched_.at(key_);
  ledger_.clock_.WaitUntil(lock, ledger_.changed_, deadline,
                           [&] { return ledger_.interrupted_ || watched.revision > revision; });
}

}  // namespace arc::payment
