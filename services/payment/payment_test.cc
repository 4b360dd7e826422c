#include "services/payment/payment.h"

#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/payment/http_terminal.h"
#include "services/terminal_sim/device.h"
#include "services/terminal_sim/http_api.h"
#include "tests/support/process.h"

namespace arc::payment {
namespace {

using messages::PaymentOutcome;
using messages::PaymentStatus;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Eq;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Optional;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Answer = absl::StatusOr<PaymentOutcome>;

// The device that arc-terminal-sim serves, without HTTP between, and with a line to it that can be cut.
class TestTerminal : public Terminal {
 public:
  TestTerminal(terminal_sim::Device& device, Clock& clock) : device_(device), clock_(clock) {}

  enum class Line { kUp, kCut, kAnswersLost };
  void SetLine(Line line) { line_ = line; }
  // The next `count` calls have their effect, and their answers are lost.
  void LoseAnswers(int count) { lost_ = count; }
  // Runs right before the next Cancel() reaches the device.
  void BeforeCancel(std::function<void()> hook) { before_cancel_ = std::move(hook); }

  absl::StatusOr<Intent> Create(const CreateIntent& request) override {
    terminal_sim::CreateRequest wanted;
    wanted.key = request.key;
    wanted.attempt = request.attempt;
    wanted.amount = request.amount_minor;
    wanted.currency = request.currency;
    wanted.kiosk_id = request.kiosk_id;
    wanted.expires_in = request.expires_in;
    return Over<Intent>([&] {
      bool created = false;
      return Translate(device_.Create(wanted, &created));
    });
  }
  absl::StatusOr<Intent> Get(const std::string& key) override {
    return Over<Intent>([&] { return Translate(device_.GetByKey(key)); });
  }
  absl::StatusOr<Intent> WaitForChange(const Intent& seen, absl::Time deadline) override {
    return Over<Intent>(
        [&] { return Translate(device_.WaitForChange(seen.id, seen.version, deadline - clock_.Now())); });
  }
  absl::StatusOr<Intent> Cancel(const Intent& intent) override {
    if (before_cancel_) std::exchange(before_cancel_, nullptr)();
    return Over<Intent>([&] { return Translate(device_.Cancel(intent.id, intent.attempt)); });
  }
  absl::Status Refund(const std::string& intent_id, const std::string& refund_key,
                      int64_t amount_minor) override {
    return Over<terminal_sim::Intent>([&] { return device_.Refund(intent_id, refund_key, amount_minor); })
        .status();
  }
  absl::Status Ping() override {
    return line_ == Line::kUp ? absl::OkStatus() : absl::UnavailableError("cut");
  }

 private:
  template <class T>
  absl::StatusOr<T> Over(const std::function<absl::StatusOr<T>()>& call) {
    if (line_ == Line::kCut) return absl::UnavailableError("the line is cut");
    absl::StatusOr<T> answer = call();
    int lost = lost_;
    while (lost > 0 && !lost_.compare_exchange_weak(lost, lost - 1)) {
    }
    if (line_ != Line::kUp || lost > 0) return absl::DeadlineExceededError("the answer is lost");
    return answer;
  }
  static absl::StatusOr<Intent> Translate(const absl::StatusOr<terminal_sim::Intent>& found) {
    if (!found.ok()) return found.status();
    Intent intent;
    intent.id = found->id;
    intent.key = found->key;
    intent.attempt = found->attempt;
    intent.amount_minor = found->amount;
    intent.currency = found->currency;
    intent.state = static_cast<IntentState>(found->state);
    intent.version = found->version;
    intent.decline_code = found->decline_code.value_or("");
    intent.card_brand = found->card_brand.value_or("");
    intent.card_last4 = found->card_last4.value_or("");
    if (found->captured_at_ms) intent.charged_at = absl::FromUnixMillis(*found->captured_at_ms);
    return intent;
  }

  terminal_sim::Device& device_;
  Clock& clock_;
  std::atomic<Line> line_{Line::kUp};
  std::atomic<int> lost_{0};
  std::function<void()> before_cancel_;
};

// A bucket whose next Create() is carried out and reported as failed, once `lose_create_answer` is set.
class LossyBucket : public bus::KeyValue {
 public:
  LossyBucket(std::unique_ptr<bus::KeyValue> bucket, std::atomic<bool>& lose_create_answer)
      : bucket_(std::move(bucket)), lose_create_answer_(lose_create_answer) {}

  absl::StatusOr<Entry> Get(absl::string_view key) override { return bucket_->Get(key); }
  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
    return bucket_->Put(key, value);
  }
  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
    absl::StatusOr<uint64_t> revision = bucket_->Create(key, value);
    if (lose_create_answer_.exchange(false)) return absl::UnavailableError("the answer is lost");
    return revision;
  }
  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                  uint64_t revision) override {
    return bucket_->Update(key, value, revision);
  }
  absl::Status Delete(absl::string_view key) override { return bucket_->Delete(key); }
  absl::Status Purge(absl::string_view key) override { return bucket_->Purge(key); }
  absl::StatusOr<std::vector<std::string>> Keys() override { return bucket_->Keys(); }
  absl::StatusOr<std::unique_ptr<bus::Subscription>> Watch(absl::string_view filter,
                                                           std::function<void(const Entry&)> on_entry,
                                                           std::function<void()> on_current) override {
    return bucket_->Watch(filter, std::move(on_entry), std::move(on_current));
  }

 private:
  const std::unique_ptr<bus::KeyValue> bucket_;
  std::atomic<bool>& lose_create_answer_;
};

class PaymentTest : public ::testing::Test {
 protected:
  // One process of the agent.
  struct Copy {
    std::unique_ptr<bus::KeyValue> payments;
    std::unique_ptr<bus::KeyValue> receipts_bucket;
    std::unique_ptr<Ledger> ledger;
    std::unique_ptr<Receipts> receipts;
    std::unique_ptr<Payment> payment;

    Copy() = default;
    Copy(Copy&&) = default;
    // What uses the others goes first, as in the destructor.
    Copy& operator=(Copy&& other) noexcept {
      payment = std::move(other.payment);
      receipts = std::move(other.receipts);
      ledger = std::move(other.ledger);
      receipts_bucket = std::move(other.receipts_bucket);
      payments = std::move(other.payments);
      return *this;
    }
  };

  void SetUp() override {
    auto journal = terminal_sim::Journal::Open(folder_.File("journal.jsonl"));
    ASSERT_THAT(journal, IsOk());
    terminal_sim::Device::Options options;
    options.kiosk_id = subjects::kDefaultKioskId;
    options.clock = &clock_;
    auto device = terminal_sim::Device::Start(*std::move(journal), std::move(options));
    ASSERT_THAT(device, IsOk());
    device_ = *std::move(device);
    terminal_ = std::make_unique<TestTerminal>(*device_, clock_);
    bus_.ProvisionDefault();
    bus_.RunInBackground();
    copy_ = NewCopy("copy-1");
  }
  void TearDown() override {
    copy_ = Copy();
    terminal_.reset();
    device_.reset();
  }

  Copy NewCopy(const std::string& instance_id, std::function<bool(const std::string&)> is_gone = nullptr) {
    Copy copy;
    auto payments = bus_.OpenBucket(subjects::kPaymentsBucket);
    auto receipts = bus_.OpenBucket(subjects::kReceiptsBucket);
    EXPECT_THAT(payments, IsOk());
    EXPECT_THAT(receipts, IsOk());
    copy.payments = std::make_unique<LossyBucket>(*std::move(payments), lose_create_answer_);
    copy.receipts_bucket = *std::move(receipts);
    copy.ledger = std::make_unique<Ledger>(clock_);
    EXPECT_THAT(copy.ledger->Start(*copy.payments), IsOk());
    copy.receipts = std::make_unique<Receipts>(Receipts::Options());
    copy.receipts->Start(*copy.receipts_bucket);
    Payment::Options options;
    options.instance_id = instance_id;
    if (is_gone) options.is_gone = std::move(is_gone);
    auto payment = Payment::Create(std::move(options), *terminal_, *copy.ledger, *copy.receipts, clock_);
    EXPECT_THAT(payment, IsOk());
    copy.payment = *std::move(payment);
    return copy;
  }

  static Decimal Money(int64_t cents) { return Decimal::FromMinor(cents, 2); }

  static messages::ProcessPaymentRequest SpecificationExample(const std::string& order_id = "order-1") {
    messages::ProcessPaymentRequest request;
    request.order_id = order_id;
    request.total = Money(2499);
    request.items.resize(2);
    request.items[0].item_id = 101;
    request.items[0].name = "Volcano Burger";
    request.items[0].price = Money(1299);
    request.items[1].item_id = 201;
    request.items[1].name = "Iced Cola";
    request.items[1].qty = 2;
    request.items[1].price = Money(599);
    request.loyalty_card = "LOYALTY123";
    return request;
  }
  bus::RequestContext Context(const std::string& key = "", absl::Duration timeout = absl::Seconds(30)) {
    bus::RequestContext context;
    context.idempotency_key = key;
    context.deadline = clock_.Now() + timeout;
    return context;
  }
  std::future<Answer> Process(Copy& copy, const std::string& key = "",
                              const messages::ProcessPaymentRequest& request = SpecificationExample(),
                              absl::Duration timeout = absl::Seconds(30)) {
    return std::async(std::launch::async, [&copy, request, context = Context(key, timeout)] {
      return copy.payment->Process(request, context);
    });
  }
  // Blocks until the terminal shows that it waits for a card.
  void AwaitCardPrompt(const std::string& order_id = "order-1", int64_t attempt = 1) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (true) {
      auto intent = device_->GetByKey(order_id);
      if (intent.ok() && intent->state == terminal_sim::State::kWaitingForCard && intent->attempt == attempt)
        return;
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "no card is asked for within 20 s";
      std::this_thread::yield();
    }
  }
  void Tap(const std::string& token) { EXPECT_THAT(device_->OnTap({token, "", {}}), IsOk()); }
  // Moves time on whenever somebody waits for it, until the answer is there.
  template <class T>
  T AdvanceUntil(std::future<T>& answer, absl::Duration step = absl::Milliseconds(100)) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      if (std::chrono::steady_clock::now() > limit) {
        ADD_FAILURE() << "no answer within 20 s of real time";
        std::abort();
      }
      clock_.Advance(step);
    }
    return answer.get();
  }
  Answer Pay(const std::string& key, const std::string& token, int64_t attempt = 1) {
    std::future<Answer> answer = Process(copy_, key);
    AwaitCardPrompt("order-1", attempt);
    Tap(token);
    return AdvanceUntil(answer);
  }
  Answer Status(const std::string& order_id = "order-1") {
    messages::PaymentStatusRequest request;
    request.order_id = order_id;
    return copy_.payment->Status(request, Context());
  }
  absl::StatusOr<messages::RefundPaymentResponse> Refund(std::optional<int64_t> cents,
                                                         std::optional<std::string> refund_id = {},
                                                         const std::string& key = "") {
    messages::RefundPaymentRequest request;
    request.order_id = "order-1";
    if (cents) request.amount = Money(*cents);
    request.refund_id = std::move(refund_id);
    return copy_.payment->Refund(request, Context(key));
  }
  // As many charges as the customers see on their statements.
  int Charges() {
    int charges = 0;
    for (const terminal_sim::Intent& intent : device_->List()) charges += intent.amount_captured > 0 ? 1 : 0;
    return charges;
  }
  // What a copy leaves behind that died while it waited for a card: a claim, its lease over or not.
  VersionedRecord LeaveBehind(absl::Duration deadline_in, absl::Duration lease_left = absl::ZeroDuration()) {
    PaymentRecord record;
    const messages::ProcessPaymentRequest request = SpecificationExample();
    record.order_id = request.order_id;
    record.transaction_id = "txn-left-behind";
    record.currency = "USD";
    record.subtotal_minor = 2497;
    record.total_minor = 2499;
    record.items = request.items;
    record.loyalty_card = request.loyalty_card;
    record.attempts.resize(1);
    record.attempt().keys = {"first"};
    record.owner = "copy-that-died";
    record.lease_until_ms = absl::ToUnixMillis(clock_.Now() + lease_left);
    record.deadline_ms = absl::ToUnixMillis(clock_.Now() + deadline_in);
    auto created = copy_.ledger->Create(record);
    EXPECT_THAT(created, IsOk());
    return created.value_or(VersionedRecord());
  }
  CreateIntent IntentLeftBehind(absl::Duration expires_in = absl::Minutes(2)) {
    return {"order-1", 1, 2499, "USD", "", expires_in};
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  testing_support::TempDir folder_;
  std::atomic<bool> lose_create_answer_{false};
  std::unique_ptr<terminal_sim::Device> device_;
  std::unique_ptr<TestTerminal> terminal_;
  Copy copy_;
};

MATCHER_P(HasStatus, status, "") {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status();
    return false;
  }
  *result_listener << "which is " << json::Encode(*arg);
  return arg->status == status;
}

MATCHER_P3(Ended, status, code, retryable, "ended without a charge") {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status();
    return false;
  }
  *result_listener << "which is " << json::Encode(*arg);
  return arg->status == status &&
         arg->error_code == std::optional<std::string>(std::string(ErrorCodeName(code))) &&
         arg->retryable == std::optional<bool>(retryable) && arg->amount_charged == Decimal() &&
         !arg->transaction_id && !arg->receipt_url && arg->error && !arg->error->empty() &&
         arg->error_message == arg->error && arg->loyalty_points_earned == 0;
}

TEST_F(PaymentTest, TheSpecificationsExampleIsPaid) {
  const Answer answer = Pay("", "tok_visa");
  ASSERT_THAT(answer, HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(answer->amount_charged, Money(2499));
  EXPECT_EQ(answer->loyalty_points_earned, 25);
  ASSERT_TRUE(answer->transaction_id);
  EXPECT_EQ(answer->receipt_url, "/receipts/" + *answer->transaction_id + ".pdf");
  EXPECT_EQ(answer->error, std::nullopt);
  EXPECT_EQ(Charges(), 1);
  EXPECT_THAT(json::Encode(*answer),
              AllOf(HasSubstr(R"("status":"success")"), HasSubstr(R"("amount_charged":24.99)"),
                    HasSubstr(R"("error":null)"), Not(HasSubstr("retryable"))));

  HttpRequest request;
  request.match = *answer->transaction_id;
  const HttpResponse receipt = copy_.receipts->Serve(request);
  EXPECT_EQ(receipt.status, 200);
  EXPECT_EQ(receipt.content_type, "application/pdf");
  EXPECT_THAT(receipt.body, StartsWith("%PDF-"));
  request.match = "txn-unknown";
  EXPECT_EQ(copy_.receipts->Serve(request).status, 404);
}

TEST_F(PaymentTest, PointsAreForLoyaltyCards) {
  messages::ProcessPaymentRequest request = SpecificationExample();
  request.loyalty_card.reset();
  std::future<Answer> answer = Process(copy_, "", request);
  AwaitCardPrompt();
  Tap("tok_visa");
  EXPECT_EQ(AdvanceUntil(answer)->loyalty_points_earned, 0);
}

TEST_F(PaymentTest, WhatCannotBeChargedIsRefused) {
  const auto refused = [&](const messages::ProcessPaymentRequest& request, absl::string_view field) {
    EXPECT_THAT(copy_.payment->Process(request, Context()),
                AllOf(HasErrorCode(ErrorCode::kInvalidRequest),
                      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(field)))));
  };
  messages::ProcessPaymentRequest request = SpecificationExample();
  request.total = Money(2496);
  refused(request, "payload.total: is below the sum of its lines, which is 24.97");
  request = SpecificationExample();
  request.total = Decimal{24991, 3};
  refused(request, "payload.total");
  request = SpecificationExample();
  request.items[1].price = Decimal{5999, 3};
  refused(request, "payload.items[1].price");
  request = SpecificationExample();
  request.total = Decimal();
  request.items[0].price = request.items[1].price = Decimal();
  refused(request, "payload.total: must be above 0");
  for (const std::string id : {"two words", "line\nfeed", "caf\xc3\xa9", "nul\0"}) {
    refused(SpecificationExample(id + std::string(1, '\0')), "payload.order_id");
  }
  EXPECT_THAT(device_->List(), IsEmpty());
}

TEST_F(PaymentTest, AskedAgainAChargedOrderAnswersTheSame) {
  const Answer first = Pay("k1", "tok_visa");
  ASSERT_THAT(first, HasStatus(PaymentStatus::kSuccess));
  Copy other = NewCopy("copy-2");
  for (const std::string key : {"k1", "k2", ""}) {
    const Answer again = other.payment->Process(SpecificationExample(), Context(key));
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(json::Encode(*again), json::Encode(*first));
  }
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, AnOrderDoesNotChangeItsLinesOrItsTotal) {
  ASSERT_THAT(Pay("", "tok_visa"), HasStatus(PaymentStatus::kSuccess));
  messages::ProcessPaymentRequest request = SpecificationExample();
  request.total = Money(2600);
  EXPECT_THAT(copy_.payment->Process(request, Context()), HasErrorCode(ErrorCode::kInvalidRequest));
  request = SpecificationExample();
  request.items[0].qty = 2;
  request.items[1].qty = 1;
  request.total = Money(3197);
  EXPECT_THAT(copy_.payment->Process(request, Context()), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ADeclinedCardMayBeTriedAgainWithANewKey) {
  const auto declined = Ended(PaymentStatus::kFailed, ErrorCode::kPaymentDeclined, true);
  EXPECT_THAT(Pay("k1", "tok_declined"), declined);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k1")), declined);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context()), declined);

  EXPECT_THAT(
      Pay("k2", "tok_insufficient", 2),
      AllOf(declined, IsOkAndHolds(Field(&PaymentOutcome::error, Optional(HasSubstr("not enough money"))))));
  EXPECT_THAT(Pay("k3", "tok_visa", 3), HasStatus(PaymentStatus::kSuccess));
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k1")),
              HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, WhileALaterAttemptIsOnAnEarlierKeyReplaysItsOwn) {
  ASSERT_THAT(Pay("k1", "tok_declined"), Ended(PaymentStatus::kFailed, ErrorCode::kPaymentDeclined, true));
  std::future<Answer> second = Process(copy_, "k2");
  AwaitCardPrompt("order-1", 2);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k1")),
              Ended(PaymentStatus::kFailed, ErrorCode::kPaymentDeclined, true));
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(second), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, WhoAsksDuringAnAttemptSharesItsOutcomeForGood) {
  Copy other = NewCopy("copy-2");
  std::future<Answer> first = Process(copy_, "k1");
  AwaitCardPrompt();
  std::future<Answer> second = Process(other, "k2");
  // The second request is part of the attempt once the ledger says so.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (copy_.ledger->Get("order-1")->record.attempt().keys.size() < 2) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the second request did not join within 20 s";
    std::this_thread::yield();
  }
  Tap("tok_declined");
  const auto declined = Ended(PaymentStatus::kFailed, ErrorCode::kPaymentDeclined, true);
  EXPECT_THAT(AdvanceUntil(first), declined);
  EXPECT_THAT(AdvanceUntil(second), declined);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k2")), declined);
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PaymentTest, ASecondAskerWaitsNoLongerThanItsOwnDeadline) {
  std::future<Answer> first = Process(copy_, "k1");
  AwaitCardPrompt();
  std::future<Answer> second = Process(copy_, "k2", SpecificationExample(), absl::Seconds(2));
  EXPECT_THAT(AdvanceUntil(second), HasErrorCode(ErrorCode::kPaymentUnknown));
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(first), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, WithoutACardThePaymentEndsBeforeItsDeadline) {
  const absl::Time start = clock_.Now();
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  EXPECT_THAT(AdvanceUntil(answer), Ended(PaymentStatus::kFailed, ErrorCode::kPaymentTimeout, true));
  EXPECT_GE(clock_.Now() - start, absl::Seconds(29));
  EXPECT_EQ(device_->GetByKey("order-1")->state, terminal_sim::State::kCancelled);
  EXPECT_THAT(Pay("k2", "tok_visa", 2), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, ACardThatIsQuickerThanTheCancellationPays) {
  terminal_->BeforeCancel([this] { Tap("tok_visa"); });
  std::future<Answer> answer = Process(copy_);
  AwaitCardPrompt();
  EXPECT_THAT(AdvanceUntil(answer), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ManyAskersOfTwoCopiesChargeOnce) {
  Copy other = NewCopy("copy-2");
  std::vector<std::future<Answer>> answers;
  answers.reserve(16);
  for (int i = 0; i < 16; ++i) answers.push_back(Process(i % 2 == 0 ? copy_ : other, absl::StrCat("k", i)));
  AwaitCardPrompt();
  Tap("tok_visa");
  std::string transaction;
  for (std::future<Answer>& answer : answers) {
    const Answer outcome = AdvanceUntil(answer);
    ASSERT_THAT(outcome, HasStatus(PaymentStatus::kSuccess));
    if (transaction.empty()) transaction = *outcome->transaction_id;
    EXPECT_EQ(outcome->transaction_id, transaction);
  }
  EXPECT_EQ(Charges(), 1);
  EXPECT_THAT(device_->List(), SizeIs(1));
}

TEST_F(PaymentTest, AnUnreachableTerminalIsSaidAtOnce) {
  terminal_->SetLine(TestTerminal::Line::kCut);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k1")),
              Ended(PaymentStatus::kFailed, ErrorCode::kUnavailable, true));
  terminal_->SetLine(TestTerminal::Line::kUp);
  EXPECT_THAT(Pay("k2", "tok_visa", 2), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, AnAnswerThatIsLostDoesNotCreateTwice) {
  terminal_->LoseAnswers(2);
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(answer), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ATerminalLostWhileACardIsAwaitedLeavesThePaymentUnknownUntilItIsBack) {
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  terminal_->SetLine(TestTerminal::Line::kCut);
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(answer), HasErrorCode(ErrorCode::kPaymentUnknown));
  EXPECT_THAT(Status(), AllOf(HasStatus(PaymentStatus::kUnknown),
                              IsOkAndHolds(Field(&PaymentOutcome::retryable, Optional(false)))));
  terminal_->SetLine(TestTerminal::Line::kUp);
  const Answer settled = Status();
  ASSERT_THAT(settled, HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(settled->amount_charged, Money(2499));
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k2")),
              HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ATerminalThatComesBackInTimeIsNoTrouble) {
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  terminal_->SetLine(TestTerminal::Line::kAnswersLost);
  Tap("tok_visa");
  clock_.Advance(absl::Seconds(5));
  terminal_->SetLine(TestTerminal::Line::kUp);
  EXPECT_THAT(AdvanceUntil(answer), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, AChargeWhoseOwnerDiedIsFoundAndNotRepeated) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  Tap("tok_visa");
  LeaveBehind(absl::Seconds(20));
  const Answer answer = copy_.payment->Process(SpecificationExample(), Context("second"));
  ASSERT_THAT(answer, HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(answer->transaction_id, "txn-left-behind");
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, StatusSettlesWhatADeadOwnerLeft) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  Tap("tok_visa");
  LeaveBehind(absl::Seconds(20));
  terminal_->SetLine(TestTerminal::Line::kCut);
  EXPECT_THAT(Status(), HasStatus(PaymentStatus::kUnknown));
  terminal_->SetLine(TestTerminal::Line::kUp);
  EXPECT_THAT(Status(), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, AnOwnerThatIsGoneFromTheBusIsNotWaitedFor) {
  std::vector<std::string> asked;
  bool gone = false;
  Copy other = NewCopy("copy-2", [&](const std::string& instance_id) {
    asked.push_back(instance_id);
    return gone;
  });
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  LeaveBehind(absl::Seconds(20), absl::Seconds(6));
  messages::PaymentStatusRequest request;
  request.order_id = "order-1";
  EXPECT_THAT(other.payment->Status(request, Context()), HasStatus(PaymentStatus::kPending));
  EXPECT_THAT(asked, Each(Eq("copy-that-died")));
  EXPECT_THAT(asked, SizeIs(1));  // alive a moment ago
  gone = true;
  clock_.Advance(absl::Milliseconds(300));
  EXPECT_THAT(other.payment->Status(request, Context()), HasStatus(PaymentStatus::kUnknown));
  Tap("tok_visa");
  EXPECT_THAT(other.payment->Status(request, Context()), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, TheRoundsSettleWhatNobodyAsksFor) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  Tap("tok_visa");
  LeaveBehind(absl::Seconds(20));
  Ledger::Watcher watcher(*copy_.ledger, "order-1");
  copy_.payment->Start();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (copy_.ledger->Get("order-1")->record.phase != Phase::kCharged) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "no round settled the payment within 20 s";
    clock_.Advance(absl::Seconds(1));
    std::this_thread::yield();
  }
  EXPECT_THAT(copy_.payment->TerminalHealth(), IsOk());
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ARequestTakesOverACardPromptWhoseOwnerDied) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  LeaveBehind(absl::Seconds(20));
  EXPECT_THAT(Status(), HasStatus(PaymentStatus::kUnknown));
  std::future<Answer> answer = Process(copy_, "second");
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (copy_.ledger->Get("order-1")->record.owner != "copy-1") {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the claim was not taken over within 20 s";
    std::this_thread::yield();
  }
  EXPECT_THAT(Status(), HasStatus(PaymentStatus::kPending));
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(answer), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ACardPromptNobodyWaitsForIsTakenDown) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  LeaveBehind(absl::Seconds(20));
  clock_.Advance(absl::Seconds(20));
  EXPECT_THAT(Status(), Ended(PaymentStatus::kFailed, ErrorCode::kPaymentTimeout, true));
  EXPECT_EQ(device_->GetByKey("order-1")->state, terminal_sim::State::kCancelled);
}

TEST_F(PaymentTest, AnOwnerThatWakesUpAfterItsAttemptWasEndedCannotCharge) {
  LeaveBehind(absl::Seconds(20));
  EXPECT_THAT(Status(), Ended(PaymentStatus::kFailed, ErrorCode::kUnavailable, true));
  // It had been suspended right before this call.
  EXPECT_THAT(terminal_->Create(IntentLeftBehind()),
              IsOkAndHolds(Field(&Intent::state, Eq(IntentState::kCancelled))));
  EXPECT_THAT(device_->OnTap({"tok_visa", "", {}}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Charges(), 0);
  // And it may not start anything once the next attempt is on.
  EXPECT_THAT(Pay("second", "tok_visa", 2), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, AnOwnerThatLostItsClaimWaitsLikeEveryoneElse) {
  Copy other = NewCopy("copy-2");
  std::future<Answer> first = Process(copy_, "k1");
  AwaitCardPrompt();
  // As if copy-1 had been suspended for longer than its lease, and copy-2 had taken over.
  auto found = other.ledger->Get("order-1");
  ASSERT_THAT(found, IsOk());
  absl::StatusOr<VersionedRecord> stolen = absl::AbortedError("");
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!stolen.ok()) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the claim could not be taken within 20 s";
    found = other.ledger->Get("order-1");
    ASSERT_THAT(found, IsOk());
    PaymentRecord next = found->record;
    next.owner = "";
    next.lease_until_ms = 0;
    stolen = other.ledger->Update(next, found->revision);
  }
  std::future<Answer> second = Process(other, "k2");
  Tap("tok_visa");
  EXPECT_THAT(AdvanceUntil(first), HasStatus(PaymentStatus::kSuccess));
  EXPECT_THAT(AdvanceUntil(second), HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, CancelEndsTheWaitForACard) {
  Copy other = NewCopy("copy-2");
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  messages::CancelPaymentRequest request;
  request.order_id = "order-1";
  std::future<Answer> cancelled =
      std::async(std::launch::async, [&] { return other.payment->Cancel(request, Context()); });
  EXPECT_THAT(AdvanceUntil(answer), Ended(PaymentStatus::kCancelled, ErrorCode::kPaymentTimeout, true));
  EXPECT_THAT(AdvanceUntil(cancelled), Ended(PaymentStatus::kCancelled, ErrorCode::kPaymentTimeout, true));
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context("k1")),
              HasStatus(PaymentStatus::kCancelled));
  EXPECT_THAT(Pay("k2", "tok_visa", 2), HasStatus(PaymentStatus::kSuccess));
  EXPECT_THAT(copy_.payment->Cancel(request, Context()), HasStatus(PaymentStatus::kSuccess));
  request.order_id = "order-nobody-knows";
  EXPECT_THAT(copy_.payment->Cancel(request, Context()), HasStatus(PaymentStatus::kNone));
}

TEST_F(PaymentTest, CancelEndsWhatADeadOwnerLeft) {
  ASSERT_THAT(terminal_->Create(IntentLeftBehind()), IsOk());
  LeaveBehind(absl::Seconds(20));
  messages::CancelPaymentRequest request;
  request.order_id = "order-1";
  EXPECT_THAT(copy_.payment->Cancel(request, Context()),
              Ended(PaymentStatus::kCancelled, ErrorCode::kPaymentTimeout, true));
  EXPECT_EQ(device_->GetByKey("order-1")->state, terminal_sim::State::kCancelled);
}

TEST_F(PaymentTest, AnOrderNobodyPaidForHasNoStatus) {
  EXPECT_THAT(Status("other"), HasStatus(PaymentStatus::kNone));
}

TEST_F(PaymentTest, ADrainingCopyGivesItsWaitsUp) {
  std::future<Answer> answer = Process(copy_, "k1");
  AwaitCardPrompt();
  copy_.payment->Drain();
  EXPECT_THAT(AdvanceUntil(answer), Ended(PaymentStatus::kFailed, ErrorCode::kUnavailable, true));
  EXPECT_EQ(device_->GetByKey("order-1")->state, terminal_sim::State::kCancelled);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample("order-2"), Context()),
              HasErrorCode(ErrorCode::kUnavailable));
  Copy other = NewCopy("copy-2");
  std::swap(copy_, other);
  EXPECT_THAT(Pay("k2", "tok_visa", 2), HasStatus(PaymentStatus::kSuccess));
}

TEST_F(PaymentTest, RefundsAreOnceEachAndNeverMoreThanWasCharged) {
  EXPECT_THAT(Refund({}), HasErrorCode(ErrorCode::kInvalidRequest));
  const Answer paid = Pay("k1", "tok_visa");
  ASSERT_THAT(paid, HasStatus(PaymentStatus::kSuccess));
  const auto first = Refund(1000, "r1");
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->amount_refunded, Money(1000));
  EXPECT_EQ(first->total_amount_refunded, Money(1000));
  EXPECT_EQ(first->transaction_id, *paid->transaction_id);
  EXPECT_EQ(json::Encode(*Refund(1000, "r1")), json::Encode(*first));
  EXPECT_THAT(Refund(999, "r1"), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(Refund(1500, "r2"), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(Refund(0, "r2"), HasErrorCode(ErrorCode::kInvalidRequest));
  const auto rest = Refund({});
  ASSERT_THAT(rest, IsOk());
  EXPECT_EQ(rest->refund_id, "rest");
  EXPECT_EQ(rest->amount_refunded, Money(1499));
  EXPECT_EQ(rest->total_amount_refunded, Money(2499));
  EXPECT_EQ(Refund({})->amount_refunded, Money(1499));
  EXPECT_THAT(Refund(1, "r3"), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(device_->GetByKey("order-1")->amount_refunded, 2499);
  EXPECT_EQ(Status()->amount_refunded, std::optional<Decimal>(Money(2499)));
  EXPECT_EQ(Status()->status, PaymentStatus::kSuccess);
}

TEST_F(PaymentTest, WithoutIdsARefundIsOnceAnAmountAndOnceForTheRest) {
  ASSERT_THAT(Pay("k1", "tok_visa"), HasStatus(PaymentStatus::kSuccess));
  const auto given = [&](std::optional<int64_t> cents) {
    const auto refund = Refund(cents);
    EXPECT_THAT(refund, IsOk());
    return refund.ok() ? refund->amount_refunded : Decimal();
  };
  EXPECT_EQ(given(500), Money(500));
  EXPECT_EQ(given(500), Money(500));  // the same again
  EXPECT_EQ(given(700), Money(700));
  EXPECT_EQ(given({}), Money(1299));
  EXPECT_EQ(given({}), Money(1299));
  EXPECT_EQ(device_->GetByKey("order-1")->amount_refunded, 2499);
}

// Keys go over HTTP as they are: none is taken for another that reads alike.
TEST_F(PaymentTest, KeysThatDecodeAlikeAreDifferentOrdersAndRefunds) {
  auto api = terminal_sim::HttpApi::Start(device_.get(), "127.0.0.1", 0);
  ASSERT_THAT(api, IsOk());
  HttpTerminal terminal(absl::StrCat("http://127.0.0.1:", (*api)->port()), SystemClock::Get(),
                        absl::Seconds(10));
  std::vector<std::string> ids;
  for (const char* key : {"AA-T", "%41A-T", "%2541A-T", "%00x", "a+b", "a%20b", "%zz%"}) {
    const auto intent = terminal.Create({key, 1, 2499, "USD", "", absl::Minutes(2)});
    ASSERT_THAT(intent, IsOk()) << key;
    EXPECT_EQ(intent->key, key);
    EXPECT_THAT(terminal.Get(key), IsOkAndHolds(Field(&Intent::id, Eq(intent->id)))) << key;
    EXPECT_THAT(ids, Not(::testing::Contains(intent->id))) << key;
    ids.push_back(intent->id);
  }
  EXPECT_THAT(device_->OnTap({"tok_visa", "", "AA-T"}), IsOk());
  EXPECT_THAT(terminal.Refund(ids[0], "a", 300), IsOk());
  EXPECT_THAT(terminal.Refund(ids[0], "%61", 300), IsOk());
  EXPECT_EQ(device_->GetByKey("AA-T")->amount_refunded, 600);
}

TEST_F(PaymentTest, ARefundOfWhatWasNotChargedIsRefused) {
  ASSERT_THAT(Pay("k1", "tok_declined"), IsOk());
  EXPECT_THAT(Refund({}), HasErrorCode(ErrorCode::kInvalidRequest));
}

TEST_F(PaymentTest, ARefundWhoseAnswerIsLostIsGivenOnce) {
  ASSERT_THAT(Pay("k1", "tok_visa"), HasStatus(PaymentStatus::kSuccess));
  terminal_->LoseAnswers(1);
  EXPECT_THAT(Refund(1000, "r1"), HasErrorCode(ErrorCode::kUnavailable));
  // It is reserved: nothing else may be given out of it.
  EXPECT_THAT(Refund(1500, "r2"), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(Refund(1000, "r1"), IsOk());
  EXPECT_EQ(device_->GetByKey("order-1")->amount_refunded, 1000);
}

TEST_F(PaymentTest, RefundsFromEverywhereAddUpToTheChargeAtMost) {
  ASSERT_THAT(Pay("k1", "tok_visa"), HasStatus(PaymentStatus::kSuccess));
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::atomic<int> given{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { given += Refund(1000, absl::StrCat("r", i)).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given, 2);
  EXPECT_EQ(device_->GetByKey("order-1")->amount_refunded, 2000);
}

TEST_F(PaymentTest, WithoutTheLedgerNothingIsCharged) {
  bus_.FailKeyValue(1);
  EXPECT_THAT(copy_.payment->Process(SpecificationExample(), Context()),
              HasErrorCode(ErrorCode::kUnavailable));
  EXPECT_THAT(device_->List(), IsEmpty());
}

TEST_F(PaymentTest, AClaimThatWasWrittenThoughTheLedgerFailedIsUsed) {
  lose_create_answer_ = true;
  const Answer answer = Pay("k1", "tok_visa");
  EXPECT_FALSE(lose_create_answer_) << "the ledger was not asked to create anything";
  EXPECT_THAT(answer, HasStatus(PaymentStatus::kSuccess));
  EXPECT_EQ(Charges(), 1);
}

TEST_F(PaymentTest, ALedgerThatFailsWhileACardIsAwaitedChargesOnceAllTheSame) {
  for (const int failures : {1, 2, 3, 5}) {
    const std::string order_id = absl::StrCat("order-kv-", failures);
    std::future<Answer> answer = Process(copy_, "k1", SpecificationExample(order_id));
    AwaitCardPrompt(order_id);
    bus_.FailKeyValue(failures, bus::MemoryBus::Fault::kAfter);
    ASSERT_THAT(device_->OnTap({"tok_visa", "", order_id}), IsOk());
    ASSERT_THAT(AdvanceUntil(answer), HasStatus(PaymentStatus::kSuccess));
    bus_.FailKeyValue(0);
    const Answer again = copy_.payment->Process(SpecificationExample(order_id), Context("k9"));
    ASSERT_THAT(again, HasStatus(PaymentStatus::kSuccess));
  }
  EXPECT_EQ(Charges(), 4);
}

TEST(Ledger, KeysAreLegibleAndUnambiguous) {
  EXPECT_EQ(Ledger::KeyOf("6d0a5c32-8c07_4E"), "6d0a5c32-8c07_4E");
  EXPECT_EQ(Ledger::KeyOf("a.b/c=d>*"), "a=2Eb=2Fc=3Dd=3E=2A");
}

TEST(PaymentCreate, RefusesACurrencyThatDoesNotExist) {
  ManualClock clock;
  Ledger ledger(clock);
  Receipts receipts{Receipts::Options()};
  HttpTerminal terminal("http://127.0.0.1:1", clock);
  Payment::Options options;
  options.currency = "XYZ";
  EXPECT_THAT(Payment::Create(options, terminal, ledger, receipts, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("XYZ")));
}

}  // namespace
}  // namespace arc::payment
