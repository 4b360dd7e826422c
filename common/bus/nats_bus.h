// The bus on a real nats-server (nats.c 3.4). Two connections: one that writes at once, for what somebody
// waits for, and one that gathers writes for up to a millisecond, for throughput. Subscriptions stand on the
// first.
//
// Reconnects as in the kiosk specification, table 2.3: every 2 s, for ever, 5 s timeout.
#ifndef ARC_COMMON_BUS_NATS_BUS_H_
#define ARC_COMMON_BUS_NATS_BUS_H_

#include <memory>
#include <string>
#include <vector>

#include "common/bus/bus.h"

namespace arc::bus {

struct NatsOptions {
  std::string url = "nats://localhost:4222";  // several servers: separated by commas
  std::string name;                           // shown in the server's connection list
  std::string user;                           // empty: none
  std::string password;
  std::string nkey_seed = {};  // in the password's place (SU...); empty: none
  // PEM; the connection is TLS then, and the server's certificate signed by one of them.
  std::string ca_certificates = {};
};

// Where this user's replies come to: "_INBOX", and with a user "_INBOX.<user>", which nobody else may
// subscribe to (docs/rights.md). No dot at its end.
std::string InboxPrefix(const NatsOptions& options);

// Ends the process with `status`, without exit()'s handlers, if a bus has spoken TLS; otherwise returns. Some
// of nats.c's threads may outlive their bus, and OpenSSL's handler takes its locks away under them (so does
// nats_CloseAndWait(), which frees what that handler frees again). At the end of a program, when all that
// has to be written is written.
void EndProcessIfTls(int status);

class NatsBus : public Bus {
 public:
  // Returns at once; connects, and reconnects, in the background for ever. InvalidArgument: the URL, the
  // seed or a certificate is malformed.
  static absl::StatusOr<std::unique_ptr<NatsBus>> Connect(Clock& clock, const NatsOptions& options);

  // Closes the connections. Everything made from this bus must be gone.
  ~NatsBus() override;

  Clock& clock() override;
  bool connected() const override;
  absl::Status Publish(const Message& message, Urgency urgency = Urgency::kNow) override;
  void PublishEvent(Message message, absl::Duration timeout, std::function<void(absl::Status)> done) override;
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(absl::string_view subject, absl::string_view queue,
                                                          MessageCallback callback) override;
  void Request(Message message, const RequestOptions& options, ReplyCallback done) override;
  void CoreRequest(Message message, absl::Duration timeout, ReplyCallback done) override;
  std::unique_ptr<Consumer> Consume(const ConsumeOptions& options, DeliveryCallback callback) override;
  absl::StatusOr<ConsumerInfo> GetConsumerInfo(absl::string_view stream, absl::string_view durable) override;
  absl::StatusOr<StoredMessage> NextStored(absl::string_view stream, absl::string_view filter,
                                           uint64_t from) override;
  absl::StatusOr<StoredMessage> GetStored(absl::string_view stream, uint64_t sequence) override;
  absl::Status DeleteStored(absl::string_view stream, uint64_t sequence) override;
  absl::StatusOr<std::unique_ptr<KeyValue>> OpenBucket(absl::string_view bucket) override;
  std::unique_ptr<Subscription> OnConnectionChange(std::function<void(bool connected)> callback) override;
  uint64_t reconnects() const override;

  // Waits until everything published so far has reached the server, at most `timeout`.
  absl::Status Flush(absl::Duration timeout);

  // Waits until connected, at most `timeout`, or until the server refuses the user.
  bool AwaitConnected(absl::Duration timeout);

  // Why the server lets this user in no more, in its words; empty while it does, or while it cannot be
  // reached.
  std::string refusal() const;

  // What the server has refused on this connection, in its words: the subscriptions, and the latest publish.
  std::vector<std::string> refused_subscriptions() const;
  std::string refused_publish() const;

 private:
  NatsBus();
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace arc::bus

#endif  // ARC_COMMON_BUS_NATS_BUS_H_
