// Gives the faces of successive pictures identities. Pure logic: time is what the caller says, from the
// frames. Not thread-safe.
#ifndef ARC_SERVICES_VISION_BRIDGE_TRACKER_H_
#define ARC_SERVICES_VISION_BRIDGE_TRACKER_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

struct TrackerOptions {
  absl::Duration grace = absl::Seconds(2);  // how long an unseen face keeps its identity
  double least_new_confidence = 0.7;        // of a face that becomes a track; less goes on with one
};

struct Track {
  uint64_t id = 0;  // from 1, never used again
  Face face;        // as last seen
  absl::Time first_seen;
  absl::Time last_seen;
  bool seen = false;  // in the latest picture
};

class Tracker {
 public:
  explicit Tracker(const TrackerOptions& options) : options_(options) {}

  // Takes the faces of the picture of `now` in, each by the nearest track that it can be of; others become
  // new tracks, if their confidence suffices. Tracks unseen for longer than the grace period are forgotten.
  const std::vector<Track>& Update(absl::Time now, const std::vector<Face>& faces);

  const std::vector<Track>& tracks() const { return tracks_; }

 private:
  const TrackerOptions options_;
  std::vector<Track> tracks_;
  uint64_t next_id_ = 1;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_TRACKER_H_
