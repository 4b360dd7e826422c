// What the bus tests share: a real nats-server with the fleet's streams, and buses connected to it.
#ifndef ARC_TESTS_BUS_BUS_FIXTURE_H_
#define ARC_TESTS_BUS_BUS_FIXTURE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bus/bus.h"
#include "common/bus/call.h"
#include "common/bus/command_server.h"
#include "common/bus/nats_bus.h"
#include "common/messages/system.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"

namespace arc::bus {

using testing_support::Await;
using testing_support::NatsServer;

inline constexpr absl::Duration kSoon = absl::Seconds(10);

// An agent in miniature: a bus of its own and a command server of the service "menu".
class MiniAgent {
 public:
  using Handler = CommandServer::Handler;

  MiniAgent(const std::string& url, const Handler& handler, Execution execution = Execution::kInline)
      : bus_(NatsBus::Connect(SystemClock::Get(), {url, "mini-agent", "", ""}).value()),
        server_(std::make_unique<CommandServer>(*bus_, executor_, "menu", "arc-menu", Observer())) {
    server_->Handle(subjects::kMenuSearch, execution,
                    [this, handler](const json::Node& payload, const RequestContext& context) {
                      ++handled_;
                      return handler(payload, context);
                    });
    EXPECT_TRUE(bus_->AwaitConnected(kSoon));
    ping_ = bus_->Subscribe("$SRV.PING.menu", "",
                            [this](const Message& message) {
                              Message pong;
                              pong.subject = message.reply;
                              pong.body = "{}";
                              bus_->Publish(pong).IgnoreError();
                            })
                .value();
    EXPECT_THAT(server_->Start({{"menu-agent-consumer", "kiosk.agent.menu.>", kMaxInFlight}}), IsOk());
    EXPECT_TRUE(Await("the consumer to be bound", kSoon, [this] { return server_->bound(); }));
    EXPECT_THAT(bus_->Flush(kSoon), IsOk());
  }

  int handled() const { return handled_; }
  int expired() const { return expired_; }
  int dead_letters() const { return dead_letters_; }
  CommandServer& server() { return *server_; }
  NatsBus& bus() { return *bus_; }

 private:
  CommandObserver Observer() {
    CommandObserver observer;
    observer.on_expired = [this](absl::string_view) { ++expired_; };
    observer.on_dead_letter = [this](absl::string_view) { ++dead_letters_; };
    return observer;
  }

  static constexpr int kMaxInFlight = 64;
  std::atomic<int> handled_{0};
  std::atomic<int> expired_{0};
  std::atomic<int> dead_letters_{0};
  std::unique_ptr<NatsBus> bus_;
  Executor executor_;
  std::unique_ptr<Subscription> ping_;
  std::unique_ptr<CommandServer> server_;
};

class BusTest : public ::testing::Test {
 protected:
  BusTest() { server_.Provision(); }

  std::unique_ptr<NatsBus> Connect() {
    auto bus = NatsBus::Connect(SystemClock::Get(), {server_.url(), "test", "", ""}).value();
    EXPECT_TRUE(bus->AwaitConnected(kSoon));
    return bus;
  }

  // A handler that answers with what it was asked.
  static absl::StatusOr<std::string> Echo(const json::Node& payload, const RequestContext&) {
    return json::Encode(payload);
  }

  static absl::StatusOr<std::string> Ask(Bus& bus, absl::string_view payload,
                                         const CallContext& context = {}) {
    absl::StatusOr<ParsedMessage> answer = CallRawAndWait(bus, subjects::kMenuSearch, payload, context);
    if (!answer.ok()) return std::move(answer).status();
    return json::Encode(answer->payload());
  }

  // A core request, as `nats req` sends it.
  static absl::StatusOr<Message> Core(Bus& bus, absl::string_view subject, absl::string_view body,
                                      absl::Duration timeout = absl::Seconds(5)) {
    struct Shared {
      testing_support::Signal signal;
      std::optional<absl::StatusOr<Message>> answer;
    };
    auto shared = std::make_shared<Shared>();
    Message message;
    message.subject = std::string(subject);
    message.body = std::string(body);
    bus.CoreRequest(std::move(message), timeout, [shared](absl::StatusOr<Message> answer) {
      shared->signal.Set([&] { shared->answer = std::move(answer); });
    });
    shared->signal.Await("an answer or its timeout", timeout + kSoon,
                         [&] { return shared->answer.has_value(); });
    return *shared->answer;
  }

  struct StreamState {
    int64_t messages = 0;
    int64_t last_seq = 0;
    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Optional("messages", s.messages);
      v.Optional("last_seq", s.last_seq);
    }
  };
  struct StreamInfo {
    StreamState state;
    template <class S, class V>
    static void Describe(S& s, V& v) {
      v.Optional("state", s.state);
    }
  };

  // How many messages a stream holds; -1 when it cannot be asked.
  static int64_t Messages(Bus& bus, absl::string_view stream) {
    const absl::StatusOr<Message> info = Core(bus, absl::StrCat("$JS.API.STREAM.INFO.", stream), "");
    if (!info.ok()) return -1;
    const absl::StatusOr<StreamInfo> decoded = json::Decode<StreamInfo>(info->body);
    return decoded.ok() ? decoded->state.messages : -1;
  }

  static bool AwaitMessages(Bus& bus, absl::string_view stream, int64_t count) {
    return Await(absl::StrCat(stream, " to hold ", count), kSoon,
                 [&] { return Messages(bus, stream) == count; });
  }

  // The dead letters so far.
  static std::vector<messages::DeadLetter> DeadLetters(Bus& bus) {
    std::vector<messages::DeadLetter> letters;
    for (uint64_t next = 1;;) {
      const absl::StatusOr<StoredMessage> stored =
          bus.NextStored(subjects::kDeadLetterStream, "system.deadletter.>", next);
      if (!stored.ok()) return letters;
      const absl::StatusOr<messages::DeadLetter> letter =
          json::Decode<messages::DeadLetter>(stored->message.body);
      EXPECT_THAT(letter, IsOk());
      if (letter.ok()) letters.push_back(*letter);
      next = stored->sequence + 1;
    }
  }

  // Publishes a durable command as a foreign client would, answers going to `inbox`.
  static void PublishDurable(Bus& bus, absl::string_view inbox, absl::string_view body,
                             absl::Duration deadline = absl::Seconds(5),
                             absl::string_view subject = subjects::kMenuSearch) {
    Message message;
    message.subject = std::string(subject);
    message.reply = std::string(inbox);
    message.headers.Set(subjects::kReplyToHeader, inbox);
    message.headers.Set(subjects::kDeadlineHeader, FormatTimestamp(SystemClock::Get().Now() + deadline));
    message.body = std::string(body);
    EXPECT_THAT(bus.Publish(message), IsOk());
  }

  // What arrives on an inbox.
  class Inbox {
   public:
    explicit Inbox(Bus& bus) : subject_("_INBOX." + NewUuid()) {
      subscription_ = bus.Subscribe(subject_, "",
                                    [this](Message message) {
                                      signal_.Set([&] { messages_.push_back(std::move(message)); });
                                    })
                          .value();
    }
    const std::string& subject() const { return subject_; }
    bool AwaitCount(size_t count, absl::Duration limit = kSoon) {
      return signal_.Await(absl::StrCat(count, " answers"), limit, [&] { return messages_.size() >= count; });
    }
    std::vector<Message> messages() {
      std::vector<Message> copy;
      signal_.Read([&] { copy = messages_; });
      return copy;
    }

   private:
    const std::string subject_;
    testing_support::Signal signal_;
    std::vector<Message> messages_;
    std::unique_ptr<Subscription> subscription_;
  };

  NatsServer server_;
};

}  // namespace arc::bus

#endif  // ARC_TESTS_BUS_BUS_FIXTURE_H_
