#ifndef ARC_SERVICES_PAYMENT_HTTP_TERMINAL_H_
#define ARC_SERVICES_PAYMENT_HTTP_TERMINAL_H_

#include <string>

#include "common/clock/clock.h"
#include "services/payment/terminal.h"

namespace arc::payment {

// The terminal behind services/terminal_sim's HTTP interface. A connection a call; a call that is not a long
// poll takes `timeout` at most, once to connect and once to be answered.
class HttpTerminal : public Terminal {
 public:
  // `url` is "http://host:port".
  HttpTerminal(std::string url, Clock& clock, absl::Duration timeout = absl::Seconds(3));

  absl::StatusOr<Intent> Create(const CreateIntent& request) override;
  absl::StatusOr<Intent> Get(const std::string& key) override;
  absl::StatusOr<Intent> WaitForChange(const Intent& seen, absl::Time deadline) override;
  absl::StatusOr<Intent> Cancel(const Intent& intent) override;
  absl::Status Refund(const std::string& intent_id, const std::string& refund_key,
                      int64_t amount_minor) override;
  absl::Status Ping() override;

 private:
  // The body of a 2xx answer. `body` empty: a GET. `operation` names the span.
  absl::StatusOr<std::string> Call(absl::string_view operation, const std::string& path,
                                   const std::string& key, const std::string& body,
                                   absl::Duration answer_within);
  absl::StatusOr<std::string> Exchange(const std::string& path, const std::string& key,
                                       const std::string& body, absl::Duration answer_within);
  absl::StatusOr<Intent> CallForIntent(absl::string_view operation, const std::string& path,
                                       const std::string& key, const std::string& body,
                                       absl::Duration answer_within);

  const std::string url_;
  Clock& clock_;
  const absl::Duration timeout_;
};

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_HTTP_TERMINAL_H_
