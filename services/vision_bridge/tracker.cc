#include "services/vision_bridge/tracker.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace arc::vision_bridge {
namespace {

// How far a face may have moved since it was seen, in its own widths: at once, for each second, at most.
constexpr double kReach = 0.8;
constexpr double kReachPerSecond = 2.5;
constexpr double kMostReach = 2.5;
constexpr double kMostGrowth = 2;  // of its height, or the other way round

struct Pair {
  double distance;  // in widths
  size_t track;
  size_t face;
};

}  // namespace

const std::vector<Track>& Tracker::Update(absl::Time now, const std::vector<Face>& faces) {
  std::vector<Pair> pairs;
  for (size_t t = 0; t < tracks_.size(); ++t) {
    const Box& was = tracks_[t].face.box;
    const double unseen = std::max(0.0, absl::ToDoubleSeconds(now - tracks_[t].last_seen));
    const double reach = std::min(kMostReach, kReach + kReachPerSecond * unseen);
    for (size_t f = 0; f < faces.size(); ++f) {
      const Box& is = faces[f].box;
      if (is.h > was.h * kMostGrowth || was.h > is.h * kMostGrowth) continue;
      const double width = std::max({was.w, is.w, 1.0});
      const double distance =
          std::hypot(is.center().x - was.center().x, is.center().y - was.center().y) / width;
      if (distance <= reach) pairs.push_back({distance, t, f});
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.distance, a.track, a.face) < std::tie(b.distance, b.track, b.face);
  });
  for (Track& track : tracks_) track.seen = false;
  std::vector<bool> taken(faces.size(), false);
  for (const Pair& pair : pairs) {
    Track& track = tracks_[pair.track];
    if (track.seen || taken[pair.face]) continue;
    track.seen = true;
    track.last_seen = std::max(track.last_seen, now);
    track.face = faces[pair.face];
    taken[pair.face] = true;
  }
  tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(),
                               [&](const Track& track) { return now - track.last_seen > options_.grace; }),
                tracks_.end());
  for (size_t f = 0; f < faces.size(); ++f) {
    if (taken[f] || faces[f].confidence.value_or(1) < options_.least_new_confidence) continue;
    Track track;
    track.id = next_id_++;
    track.face = faces[f];
    track.first_seen = now;
    track.last_seen = now;
    track.seen = true;
    tracks_.push_back(track);
  }
  return tracks_;
}

}  // namespace arc::vision_bridge
