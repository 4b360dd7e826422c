#include "common/log/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/trace/trace.h"

namespace arc {
namespace {

constexpr absl::string_view kTraceId = "trace_id";

std::atomic<LogLevel> least{LogLevel::kInfo};

std::mutex& NameMutex() {
  static auto* const mutex = new std::mutex();
  return *mutex;
}
std::string& Name() {
  static auto* const name = new std::string();
  return *name;
}

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      break;
  }
  return "error";
}

}  // namespace

void InitLog(absl::string_view agent, LogLevel level) {
  least = level;
  std::lock_guard<std::mutex> lock(NameMutex());
  Name() = std::string(agent);
}

const std::string& ProcessTraceId() {
  static const auto* const id = new std::string(NewUuid());
  return *id;
}

void Log(LogLevel level, absl::string_view message,
         std::initializer_list<std::pair<absl::string_view, std::string>> fields) {
  if (level < least.load()) return;
  json::Encoder encoder;
  encoder.StartObject();
  encoder.Required("ts", FormatTimestamp(SystemClock::Get().Now()));
  encoder.Constant("level", LevelName(level));
  {
    std::lock_guard<std::mutex> lock(NameMutex());
    if (!Name().empty()) encoder.Required("agent", Name());
  }
  encoder.Constant("msg", message);
  // A field that somebody has left empty says nothing.
  const auto given = std::find_if(fields.begin(), fields.end(), [](const auto& field) {
    return field.first == kTraceId && !field.second.empty();
  });
  const std::string& current = trace::Current().trace_id;
  encoder.Required(kTraceId, given != fields.end() ? given->second
                             : !current.empty()    ? current
                                                   : ProcessTraceId());
  for (const auto& [key, value] : fields) {
    if (key != kTraceId) encoder.Required(key, value);
  }
  encoder.EndObject();
  std::string line = encoder.Take();
  line.push_back('\n');
  // One write() a line, so that the lines of several threads and processes do not mix.
  size_t written = 0;
  while (written < line.size()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data() + written, line.size() - written);
    if (n <= 0) break;
    written += static_cast<size_t>(n);
  }
}

}  // namespace arc
