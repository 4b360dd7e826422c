// Reads a live source on a thread of its own and keeps only the newest picture, so that whoever is slower
// than the camera sees what is now, and no queue grows. Thread-safe.
#ifndef ARC_SERVICES_VISION_BRIDGE_NEWEST_FRAME_H_
#define ARC_SERVICES_VISION_BRIDGE_NEWEST_FRAME_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/source.h"

namespace arc::vision_bridge {

class NewestFrame {
 public:
  struct Frame {
    cv::Mat pixels;
    absl::Time at;  // when it was read
  };

  NewestFrame(Clock& clock, std::unique_ptr<Source> source);
  // Waits for the reader, which may be in the middle of a read.
  ~NewestFrame();
  NewestFrame(const NewestFrame&) = delete;
  NewestFrame& operator=(const NewestFrame&) = delete;

  // The newest picture that was not taken yet; waits for one. DeadlineExceeded: none came by `deadline`.
  // Cancelled: Stop() was called. Other errors are the source's: it ended and nothing comes any more.
  absl::StatusOr<Frame> Take(absl::Time deadline);

  // Wakes Take(); the reader ends after its present read.
  void Stop();

  uint64_t passed_over() const;  // pictures that a newer one replaced

 private:
  void ReadAll();

  Clock& clock_;
  const std::unique_ptr<Source> source_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  bool stopping_ = false;
  bool fresh_ = false;
  Frame frame_;
  absl::Status end_;
  uint64_t passed_over_ = 0;

  std::thread reader_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_NEWEST_FRAME_H_
