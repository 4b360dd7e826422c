#include "common/bus/ordered_consumer.h"

#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"

namespace arc::bus {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(200);

class Reader : public std::enable_shared_from_this<Reader> {
 public:
  Reader(Bus& bus, ConsumeOptions options, std::function<void(StreamEvent)> callback)
      : bus_(bus), options_(std::move(options)), callback_(std::move(callback)) {}

  // Learns where the durable stands, hands on what an earlier reader was given and did not finish, then
  // consumes.
  void Start() {
    const std::lock_guard<std::recursive_mutex> order(order_mutex_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
    }
    const absl::StatusOr<ConsumerInfo> info = bus_.GetConsumerInfo(options_.stream, options_.durable);
    if (info.ok()) {
      filter_ = info->filter_subject;
      last_sequence_ = info->ack_floor_stream_seq;
      if (Repair(info->delivered_stream_seq + 1)) {
        gap_ = true;  // the first delivery's consumer sequence has nothing to be compared with
        std::lock_guard<std::mutex> lock(mutex_);
        if (stopped_) return;
        consumer_ = bus_.Consume(options_, [weak = weak_from_this()](std::shared_ptr<Delivery> delivery) {
          if (auto self = weak.lock()) self->OnDelivery(std::move(delivery));
        });
        return;
      }
    }
    bus_.clock().RunAfter(kRetry, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Start();
    });
  }

  void Stop() {
    std::unique_ptr<Consumer> consumer;
    {
      // Waits for a running callback.
      const std::lock_guard<std::recursive_mutex> order(order_mutex_);
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
      consumer = std::move(consumer_);
    }
  }

  bool bound() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return consumer_ != nullptr && consumer_->bound();
  }

  int64_t lag() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return consumer_ != nullptr ? consumer_->lag() : -1;
  }

 private:
  void OnDelivery(std::shared_ptr<Delivery> delivery) {
    const std::lock_guard<std::recursive_mutex> order(order_mutex_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return;
    }
    const uint64_t sequence = delivery->stream_sequence();
    if (delivery->consumer_sequence() != last_consumer_sequence_ + 1) gap_ = true;
    last_consumer_sequence_ = delivery->consumer_sequence();
    if (sequence <= last_sequence_) {
      if (delivery->stored_at() <= last_stored_at_ || last_stored_at_ == absl::InfinitePast()) {
        HandedOnBefore(sequence, std::move(delivery));
        return;
      }
      // A lower sequence with a later time: the stream was made anew.
      Log(LogLevel::kWarning, "the stream starts again", {{"stream", options_.stream}});
      std::lock_guard<std::mutex> lock(mutex_);
      unfinished_.clear();
      last_sequence_ = 0;
    }
    if (gap_ && !Repair(sequence)) return;  // not acked: comes again, and the gap is still known
    gap_ = false;
    HandOn({delivery->message(), sequence, delivery->stored_at(), nullptr}, delivery);
  }

  // Hands on every matching message before `end` that has not been handed on. False when the stream cannot be
  // read now.
  bool Repair(uint64_t end) {
    while (last_sequence_ + 1 < end) {
      absl::StatusOr<StoredMessage> stored = bus_.NextStored(options_.stream, filter_, last_sequence_ + 1);
      if (absl::IsNotFound(stored.status())) return true;
      if (!stored.ok()) {
        Log(LogLevel::kWarning, "events cannot be read back",
            {{"durable", options_.durable}, {"error", std::string(stored.status().message())}});
        return false;
      }
      if (stored->sequence >= end) return true;
      HandOn({std::move(stored->message), stored->sequence, stored->stored_at, nullptr}, nullptr);
    }
    return true;
  }

  void HandOn(StreamEvent event, std::shared_ptr<Delivery> delivery) {
    const uint64_t sequence = event.sequence;
    last_sequence_ = sequence;
    last_stored_at_ = event.stored_at;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      unfinished_[sequence] = std::move(delivery);
    }
    event.done = [weak = weak_from_this(), sequence] {
      if (auto self = weak.lock()) self->Done(sequence);
    };
    callback_(std::move(event));
  }

  void HandedOnBefore(uint64_t sequence, std::shared_ptr<Delivery> delivery) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto it = unfinished_.find(sequence);
      if (it != unfinished_.end()) {
        it->second = std::move(delivery);
        return;
      }
    }
    delivery->Ack();
  }

  void Done(uint64_t sequence) {
    std::shared_ptr<Delivery> delivery;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto it = unfinished_.find(sequence);
      if (it == unfinished_.end()) return;
      delivery = std::move(it->second);
      unfinished_.erase(it);
    }
    // Without a delivery it was read back; it is acked when it is delivered again.
    if (delivery != nullptr) delivery->Ack();
  }

  Bus& bus_;
  const ConsumeOptions options_;
  const std::function<void(StreamEvent)> callback_;

  // Held while events are handed on: one at a time, in order.
  std::recursive_mutex order_mutex_;
  std::string filter_;
  uint64_t last_sequence_ = 0;
  absl::Time last_stored_at_ = absl::InfinitePast();
  uint64_t last_consumer_sequence_ = 0;
  bool gap_ = true;

  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::map<uint64_t, std::shared_ptr<Delivery>> unfinished_;  // handed on, without done()
  std::unique_ptr<Consumer> consumer_;
};

class Handle : public OrderedConsumer {
 public:
  explicit Handle(std::shared_ptr<Reader> reader) : reader_(std::move(reader)) {}
  ~Handle() override { reader_->Stop(); }
  bool bound() const override { return reader_->bound(); }
  int64_t lag() const override { return reader_->lag(); }
  void Stop() override { reader_->Stop(); }

 private:
  std::shared_ptr<Reader> reader_;
};

}  // namespace

std::unique_ptr<OrderedConsumer> ConsumeInOrder(Bus& bus, const ConsumeOptions& options,
                                                std::function<void(StreamEvent)> callback) {
  auto reader = std::make_shared<Reader>(bus, options, std::move(callback));
  reader->Start();
  return std::make_unique<Handle>(std::move(reader));
}

}  // namespace arc::bus
