#include "services/vision_bridge/newest_frame.h"

#include <utility>

namespace arc::vision_bridge {

NewestFrame::NewestFrame(Clock& clock, std::unique_ptr<Source> source)
    : clock_(clock), source_(std::move(source)), reader_([this] { ReadAll(); }) {}

NewestFrame::~NewestFrame() {
  Stop();
  reader_.join();
}

void NewestFrame::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

uint64_t NewestFrame::passed_over() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return passed_over_;
}

void NewestFrame::ReadAll() {
  while (true) {
    absl::StatusOr<Source::Picture> picture = source_->Read(absl::ZeroDuration());
    const absl::Time now = clock_.Now();
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    if (!picture.ok()) {
      end_ = picture.status();
      changed_.notify_all();
      return;
    }
    if (fresh_) ++passed_over_;
    frame_ = {std::move(picture->pixels), now};
    fresh_ = true;
    changed_.notify_all();
  }
}

absl::StatusOr<NewestFrame::Frame> NewestFrame::Take(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  clock_.WaitUntil(lock, changed_, deadline, [this] { return stopping_ || fresh_ || !end_.ok(); });
  if (stopping_) return absl::CancelledError("stopped");
  if (fresh_) {
    fresh_ = false;
    return std::move(frame_);
  }
  if (!end_.ok()) return end_;
  return absl::DeadlineExceededError("no picture came");
}

}  // namespace arc::vision_bridge
