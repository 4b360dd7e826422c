// For tests: keeps the spans that end while it lives.
#ifndef ARC_COMMON_TRACE_COLLECTED_H_
#define ARC_COMMON_TRACE_COLLECTED_H_

#include <mutex>
#include <utility>
#include <vector>

#include "common/trace/trace.h"

namespace arc::trace {

// Thread-safe.
class Collected : public SpanProcessor {
 public:
  Collected() { SetProcessor(this); }
  ~Collected() override {
    SetProcessor(nullptr);
    SetSampling(1);
  }
  void OnEnd(SpanData span) override {
    std::lock_guard<std::mutex> lock(mutex_);
    spans_.push_back(std::move(span));
  }
  std::vector<SpanData> Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(spans_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<SpanData> spans_;
};

}  // namespace arc::trace

#endif  // ARC_COMMON_TRACE_COLLECTED_H_
