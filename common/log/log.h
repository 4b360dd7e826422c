// Logging: one JSON object a line on stderr, with `ts`, `level`, `agent`, `msg`, `trace_id`, and the fields
// given, such as `session_id`. Never log what a customer said or a card token. Thread-safe.
//
// The line's trace is the one given, else the one that the thread works on (trace/trace.h), else that of the
// process: a line that belongs to no customer's turn belongs to the run of the agent.
//
//   Log(LogLevel::kInfo, "order paid", {{"order_id", id}});
#ifndef ARC_COMMON_LOG_LOG_H_
#define ARC_COMMON_LOG_LOG_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace arc {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sets the name that every line carries and the least level that is written. Once, at the start.
void InitLog(absl::string_view agent, LogLevel level);

// The trace of this process: a UUID, made at its start.
const std::string& ProcessTraceId();

void Log(LogLevel level, absl::string_view message,
         std::initializer_list<std::pair<absl::string_view, std::string>> fields = {});

}  // namespace arc

#endif  // ARC_COMMON_LOG_LOG_H_
