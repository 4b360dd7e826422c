// Logging: one JSON object a line on stderr, with `ts`, `level`, `agent`, `msg`, and the fields given, among
// them `trace_id` and `session_id`. Never log what a customer said or a card token. Thread-safe.
//
//   Log(LogLevel::kInfo, "order paid", {{"order_id", id}, {"trace_id", context.trace_id}});
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

void Log(LogLevel level, absl::string_view message,
         std::initializer_list<std::pair<absl::string_view, std::string>> fields = {});

}  // namespace arc

#endif  // ARC_COMMON_LOG_LOG_H_
