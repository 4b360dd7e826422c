#include "services/terminal_sim/device.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status/status_macros.h"

namespace arc::terminal_sim {
namespace {

struct Card {
  absl::string_view token;
  absl::string_view brand;
  absl::string_view last4;
  absl::string_view decline_code;  // Empty: it pays.
};
constexpr Card kCards[] = {{"tok_visa", "visa", "4242", ""},
                           {"tok_mastercard", "mastercard", "4444", ""},
                           {"tok_declined", "visa", "0002", "card_declined"},
                           {"tok_insufficient", "visa", "9995", "insufficient_funds"}};
constexpr Card kUnknownCard{"", "", "", "unknown_card"};

const Card& CardOf(absl::string_view token) {
  for (const Card& card : kCards) {
    if (card.token == token) return card;
  }
  return kUnknownCard;
}

bool IsOpenAgainOnRetry(State state) {
  return state == State::kDeclined || state == State::kCancelled || state == State::kExpired;
}

bool IsCharged(State state) {
  return state == State::kAuthorised || state == State::kSucceeded || state == State::kRefunded;
}

}  // namespace

Device::Device(std::unique_ptr<Journal> journal, Options options)
    : options_(std::move(options)), journal_(std::move(journal)) {}

absl::StatusOr<std::unique_ptr<Device>> Device::Start(std::unique_ptr<Journal> journal, Options options) {
  auto device = std::unique_ptr<Device>(new Device(std::move(journal), std::move(options)));
  std::lock_guard lock(device->mutex_);
  int64_t number = 0;
  for (const std::string& line : device->journal_->lines()) {
    ++number;
    absl::StatusOr<Record> record = json::Decode<Record>(line);
    const absl::Status status = record.ok() ? device->Apply(*record) : record.status();
    if (!status.ok())
      return absl::DataLossError(absl::StrCat("line ", number, " of the journal: ", status.message()));
  }
  RETURN_IF_ERROR(device->Settle());
  return device;
}

absl::Status Device::Apply(const Record& record) {
  if (record.event == Event::kCreated) {
    if (!record.key || !record.attempt || !record.amount || !record.currency || !record.kiosk_id ||
        !record.expires_at_ms) {
      return absl::InvalidArgumentError("a created intent lacks a field");
    }
    Intent intent;
    intent.id = record.intent_id;
    intent.key = *record.key;
    intent.attempt = *record.attempt;
    intent.amount = *record.amount;
    intent.currency = *record.currency;
    intent.kiosk_id = *record.kiosk_id;
    intent.expires_at_ms = *record.expires_at_ms;
    if (id_by_key_.count(intent.key) != 0) return absl::InvalidArgumentError("the key has an intent already");
    if (!intents_.emplace(intent.id, intent).second)
      return absl::InvalidArgumentError("the intent exists already");
    id_by_key_[intent.key] = intent.id;
    open_.insert(intent.id);
    return absl::OkStatus();
  }

  const auto found = intents_.find(record.intent_id);
  if (found == intents_.end()) return absl::InvalidArgumentError("the intent does not exist");
  Intent& intent = found->second;
  const auto must_be = [&](bool possible) {
    return possible ? absl::OkStatus()
                    : absl::InvalidArgumentError(absl::StrCat(
                          "an intent that is ", EnumNames(State())[static_cast<size_t>(intent.state)],
                          " cannot be ", EnumNames(Event())[static_cast<size_t>(record.event)]));
  };
  switch (record.event) {
    case Event::kCreated:
      break;
    case Event::kReopened:
      RETURN_IF_ERROR(must_be(IsOpenAgainOnRetry(intent.state) && record.attempt && record.expires_at_ms &&
                              *record.attempt > intent.attempt));
      intent.state = State::kWaitingForCard;
      intent.attempt = *record.attempt;
      intent.expires_at_ms = *record.expires_at_ms;
      intent.decline_code.reset();
      intent.card_brand.reset();
      intent.card_last4.reset();
      break;
    case Event::kAuthorised:
      RETURN_IF_ERROR(must_be(intent.state == State::kWaitingForCard));
      intent.state = State::kAuthorised;
      intent.card_brand = record.card_brand;
      intent.card_last4 = record.card_last4;
      break;
    case Event::kCaptured:
      RETURN_IF_ERROR(must_be(intent.state == State::kAuthorised && record.amount == intent.amount));
      intent.state = State::kSucceeded;
      intent.amount_captured = intent.amount;
      intent.captured_at_ms = record.at_ms;
      break;
    case Event::kDeclined:
      RETURN_IF_ERROR(must_be(intent.state == State::kWaitingForCard));
      intent.state = State::kDeclined;
      intent.decline_code = record.decline_code;
      intent.card_brand = record.card_brand;
      intent.card_last4 = record.card_last4;
      break;
    case Event::kCancelled:
      RETURN_IF_ERROR(must_be(intent.state == State::kWaitingForCard));
      intent.state = State::kCancelled;
      break;
    case Event::kExpired:
      RETURN_IF_ERROR(must_be(intent.state == State::kWaitingForCard));
      intent.state = State::kExpired;
      break;
    case Event::kRefunded:
      RETURN_IF_ERROR(must_be(intent.state == State::kSucceeded && record.refund_key && record.amount &&
                              *record.amount > 0 &&
                              *record.amount <= intent.amount_captured - intent.amount_refunded));
      intent.refunds.push_back({*record.refund_key, *record.amount});
      intent.amount_refunded += *record.amount;
      if (intent.amount_refunded == intent.amount_captured) intent.state = State::kRefunded;
      break;
  }
  ++intent.version;
  if (intent.state == State::kWaitingForCard || intent.state == State::kAuthorised) {
    open_.insert(intent.id);
  } else {
    open_.erase(intent.id);
  }
  return absl::OkStatus();
}

absl::Status Device::Commit(Record record) {
  record.at_ms = NowMs();
  RETURN_IF_ERROR(journal_->Append(json::Encode(record)));
  options_.after_journaling(record.event);
  RETURN_IF_ERROR(Apply(record));
  changed_.notify_all();
  return absl::OkStatus();
}

absl::Status Device::Settle() {
  const int64_t now = NowMs();
  // A copy, because settling takes intents out of the set.
  const std::vector<std::string> open(open_.begin(), open_.end());
  for (const std::string& id : open) {
    const Intent& intent = intents_.at(id);
    if (intent.state == State::kAuthorised) {
      RETURN_IF_ERROR(Capture(id));
    } else if (intent.expires_at_ms <= now) {
      Record record;
      record.event = Event::kExpired;
      record.intent_id = id;
      RETURN_IF_ERROR(Commit(std::move(record)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Intent*> Device::Find(const std::string& id) {
  const auto found = intents_.find(id);
  if (found == intents_.end()) return absl::NotFoundError(absl::StrCat("there is no intent ", id));
  return &found->second;
}

absl::StatusOr<Intent> Device::Create(const CreateRequest& request, bool* created) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Settle());
  *created = false;
  Record record;
  record.attempt = request.attempt;
  record.expires_at_ms = NowMs() + absl::ToInt64Milliseconds(request.expires_in);
  const auto known = id_by_key_.find(request.key);
  if (known == id_by_key_.end()) {
    record.event = Event::kCreated;
    record.intent_id = absl::StrFormat("pi_%08d", intents_.size() + 1);
    record.key = request.key;
    record.amount = request.amount;
    record.currency = request.currency;
    record.kiosk_id = request.kiosk_id.empty() ? options_.kiosk_id : request.kiosk_id;
    const std::string id = record.intent_id;
    RETURN_IF_ERROR(Commit(std::move(record)));
    *created = true;
    return intents_.at(id);
  }

  const Intent& intent = intents_.at(known->second);
  if (intent.amount != request.amount || intent.currency != request.currency) {
    return absl::AlreadyExistsError(
        absl::StrCat("the key has an intent of ", intent.amount, " ", intent.currency));
  }
  if (request.attempt == intent.attempt || IsCharged(intent.state)) return intent;
  if (request.attempt < intent.attempt || intent.state == State::kWaitingForCard) {
    return absl::AbortedError(absl::StrCat("attempt ", intent.attempt, " is the present one"));
  }
  record.event = Event::kReopened;
  record.intent_id = intent.id;
  RETURN_IF_ERROR(Commit(std::move(record)));
  return intent;
}

absl::StatusOr<Intent> Device::Get(const std::string& id) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Settle());
  ASSIGN_OR_RETURN(Intent * intent, Find(id));
  return *intent;
}

absl::StatusOr<Intent> Device::GetByKey(const std::string& key) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Settle());
  const auto known = id_by_key_.find(key);
  if (known == id_by_key_.end())
    return absl::NotFoundError(absl::StrCat("there is no intent with the key ", key));
  return intents_.at(known->second);
}

std::vector<Intent> Device::List() {
  std::lock_guard lock(mutex_);
  std::vector<Intent> all;
  all.reserve(intents_.size());
  for (const auto& [id, intent] : intents_) all.push_back(intent);
  return all;
}

absl::StatusOr<Intent> Device::WaitForChange(const std::string& id, int64_t version, absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  const absl::Time deadline = options_.clock->Now() + timeout;
  while (true) {
    RETURN_IF_ERROR(Settle());
    ASSIGN_OR_RETURN(Intent * intent, Find(id));
    if (intent->version != version || stopped_ || options_.clock->Now() >= deadline) return *intent;
    absl::Time wake = deadline;
    if (intent->state == State::kWaitingForCard)
      wake = std::min(wake, absl::FromUnixMillis(intent->expires_at_ms));
    options_.clock->WaitUntil(lock, changed_, wake, [&] { return stopped_ || intent->version != version; });
  }
}

absl::StatusOr<Intent> Device::Cancel(const std::string& id, std::optional<int64_t> attempt) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Settle());
  ASSIGN_OR_RETURN(Intent * intent, Find(id));
  if (IsCharged(intent->state)) return absl::FailedPreconditionError("the customer is charged already");
  if (attempt && *attempt != intent->attempt) {
    return absl::AbortedError(absl::StrCat("attempt ", intent->attempt, " is the present one"));
  }
  if (intent->state != State::kWaitingForCard) return *intent;
  Record record;
  record.event = Event::kCancelled;
  record.intent_id = id;
  RETURN_IF_ERROR(Commit(std::move(record)));
  return *intent;
}

absl::StatusOr<Intent> Device::Refund(const std::string& id, const std::string& key, int64_t amount) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Intent * intent, Find(id));
  for (const RefundEntry& refund : intent->refunds) {
    if (refund.key != key) continue;
    if (refund.amount != amount) {
      return absl::AlreadyExistsError(absl::StrCat("the key has a refund of ", refund.amount));
    }
    return *intent;
  }
  if (intent->amount_captured == 0) return absl::FailedPreconditionError("nothing was charged");
  if (amount > intent->amount_captured - intent->amount_refunded) {
    return absl::OutOfRangeError(
        absl::StrCat("only ", intent->amount_captured - intent->amount_refunded, " is left"));
  }
  Record record;
  record.event = Event::kRefunded;
  record.intent_id = id;
  record.refund_key = key;
  record.amount = amount;
  RETURN_IF_ERROR(Commit(std::move(record)));
  return *intent;
}

absl::StatusOr<Intent> Device::OnTap(const Tap& tap) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<Intent> intent = Take(tap);
  ++(intent.ok() ? taps_taken_ : taps_ignored_);
  return intent;
}

absl::StatusOr<Intent> Device::Take(const Tap& tap) {
  RETURN_IF_ERROR(Settle());
  const std::string& kiosk_id = tap.kiosk_id.empty() ? options_.kiosk_id : tap.kiosk_id;
  const Intent* chosen = nullptr;
  for (const std::string& id : open_) {
    const Intent& intent = intents_.at(id);
    if (intent.state != State::kWaitingForCard) continue;
    if (tap.order_id ? intent.key != *tap.order_id : intent.kiosk_id != kiosk_id) continue;
    if (chosen != nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("several payments wait at ", kiosk_id, ": the tap has to name its order"));
    }
    chosen = &intent;
  }
  if (chosen == nullptr) {
    return absl::NotFoundError(tap.order_id ? absl::StrCat("no payment waits for order ", *tap.order_id)
                                            : absl::StrCat("no payment waits at ", kiosk_id));
  }
  const Card& card = CardOf(tap.token);
  Record record;
  record.intent_id = chosen->id;
  record.event = card.decline_code.empty() ? Event::kAuthorised : Event::kDeclined;
  if (!card.brand.empty()) {
    record.card_brand = std::string(card.brand);
    record.card_last4 = std::string(card.last4);
  }
  if (!card.decline_code.empty()) record.decline_code = std::string(card.decline_code);
  RETURN_IF_ERROR(Commit(std::move(record)));
  if (card.decline_code.empty()) RETURN_IF_ERROR(Capture(chosen->id));
  return *chosen;
}

absl::Status Device::Capture(const std::string& id) {
  Record record;
  record.event = Event::kCaptured;
  record.intent_id = id;
  record.amount = intents_.at(id).amount;
  return Commit(std::move(record));
}

void Device::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace arc::terminal_sim
