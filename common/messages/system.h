// Messages that every agent sends: error replies (kiosk specification, section 8.1), heartbeats and service
// errors (voice specification, "System Health & Monitoring"), dead letters (design, section 3.5). All but the
// error reply are flat JSON without an envelope.
#ifndef ARC_COMMON_MESSAGES_SYSTEM_H_
#define ARC_COMMON_MESSAGES_SYSTEM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

// The payload of every reply that is not a success.
struct ErrorResponse {
  std::string error_code;
  std::string error_message;
  bool retryable = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("status", "error");
    v.Required("error_code", s.error_code);
    v.Required("error_message", s.error_message);
    v.Required("retryable", s.retryable);
  }
};

struct HeartbeatMetrics {
  int64_t active_sessions = 0;
  double cpu_percent = 0;  // of one core, since the last heartbeat
  double memory_mb = 0;    // resident set
  int64_t threads = 0;     // stands where the specification says goroutines

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("active_sessions", s.active_sessions);
    v.Required("cpu_percent", s.cpu_percent);
    v.Required("memory_mb", s.memory_mb);
    v.Required("threads", s.threads);
  }
};

// system.health.heartbeat: every 30 s and on every change of status.
struct Heartbeat {
  std::string service;  // such as "arc-menu"
  std::string timestamp;
  std::string status;  // healthy, degraded or draining
  HeartbeatMetrics metrics;
  std::optional<std::string> instance_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("service", s.service);
    v.Required("timestamp", s.timestamp);
    v.Required("status", s.status);
    v.Required("metrics", s.metrics);
    v.Optional("instance_id", s.instance_id);
  }
};

// system.service.error: what an operator must see.
struct ServiceError {
  std::string service;
  std::string timestamp;
  std::string error_type;  // such as connection_lost, out_of_paper
  std::string error_message;
  std::string severity;         // warning or critical
  std::string action_required;  // such as automatic_restart, refill_paper

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("service", s.service);
    v.Required("timestamp", s.timestamp);
    v.Required("error_type", s.error_type);
    v.Required("error_message", s.error_message);
    v.Required("severity", s.severity);
    v.Required("action_required", s.action_required);
  }
};

struct HeaderField {
  std::string name;
  std::string value;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name);
    v.Required("value", s.value);
  }
};

// system.deadletter.<stream>.<consumer>, or system.deadletter.core.<agent>
struct DeadLetter {
  std::string timestamp;
  std::string agent;
  std::optional<std::string> stream;
  std::optional<std::string> consumer;
  std::optional<int64_t> stream_seq;
  std::string subject;  // the original one
  std::vector<HeaderField> headers;
  bool headers_truncated = false;          // they did not fit: values were cut, or the last ones left out
  std::optional<std::string> body;         // when it is text
  std::optional<std::string> body_base64;  // when it is not, or is shorter so
  int64_t body_bytes = 0;                  // of the original
  bool body_truncated = false;             // it did not fit: body_base64 is its beginning
  std::string error_code;
  std::string error;
  int64_t deliveries = 0;  // so far, this one included
  std::string trace_id;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("timestamp", s.timestamp);
    v.Required("agent", s.agent);
    v.Optional("stream", s.stream);
    v.Optional("consumer", s.consumer);
    v.Optional("stream_seq", s.stream_seq);
    v.Required("subject", s.subject);
    v.Required("headers", s.headers);
    v.Optional("headers_truncated", s.headers_truncated);
    v.Optional("body", s.body, json::Range(0, 2000000));
    v.Optional("body_base64", s.body_base64, json::Range(0, 2000000));
    v.Optional("body_bytes", s.body_bytes);
    v.Optional("body_truncated", s.body_truncated);
    v.Required("error_code", s.error_code);
    v.Required("error", s.error);
    v.Required("deliveries", s.deliveries);
    v.Required("trace_id", s.trace_id);
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_SYSTEM_H_
