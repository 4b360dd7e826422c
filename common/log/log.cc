#include "common/log/log.h"

#include <unistd.h>

#include <atomic>
#include <mutex>

#include "common/clock/clock.h"
#include "common/json/json.h"

namespace arc {
namespace {

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
  for (const auto& [key, value] : fields) encoder.Required(key, value);
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
