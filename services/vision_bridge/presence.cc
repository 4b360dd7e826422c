#include "services/vision_bridge/presence.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace arc::vision_bridge {
namespace {

constexpr double kStay = 0.8;         // share of the least size with which somebody near stays near
constexpr double kBesideZone = 0.05;  // share of the frame around the zone in which somebody near stays near
constexpr double kTakeOver = 3;       // widths of the face within which a new track may be a lost person
// Key points of a face that was found with less confidence are too often those of a face turned far away.
constexpr double kSureToLook = 0.75;
constexpr double kSureToGoOnLooking = 0.6;
// A face whose box has moved and grown no more than this share of its size is still. The detector's own
// unrest on a picture is below 4 %; a person moves by 10 % within seconds.
constexpr double kStill = 0.06;
constexpr double kSamePicture = 0.6;  // overlap with which a face that never moved is a known picture
constexpr double kSamePlace = 0.85;   // overlap with which one that moved is, once it has settled
constexpr absl::Duration kSettled = absl::Seconds(2);
constexpr absl::Duration kStillInAll = absl::Seconds(10);  // of a face that comes and goes and never moves
constexpr size_t kMostStillPlaces = 64;
constexpr absl::Duration kForgetPicture = absl::Minutes(30);  // after it was last seen

bool Contains(const Zone& zone, Point point, double beside) {
  return point.x >= zone.x - beside && point.x <= zone.x + zone.w + beside && point.y >= zone.y - beside &&
         point.y <= zone.y + zone.h + beside;
}

Box Merge(const Box& a, const Box& b, bool lower) {
  const auto pick = [lower](double p, double q) { return lower ? std::min(p, q) : std::max(p, q); };
  return {pick(a.x, b.x), pick(a.y, b.y), pick(a.w, b.w), pick(a.h, b.h)};
}

messages::BoundingBox BoundingBoxOf(const Box& box) {
  return {std::round(box.x), std::round(box.y), std::round(box.w), std::round(box.h)};
}

}  // namespace

Presence::Role Presence::RoleOf(uint64_t track_id) const {
  const auto found = people_.find(track_id);
  return found == people_.end() ? Role::kFar : found->second.role;
}

bool Presence::IsNear(const Track& track, Size frame, bool was_near) const {
  const Box& box = track.face.box;
  const Point center = {box.center().x / frame.w, box.center().y / frame.h};
  return box.h >= options_.least_size * frame.h * (was_near ? kStay : 1) &&
         Contains(options_.zone, center, was_near ? kBesideZone : 0);
}

void Presence::ObserveStillness(absl::Time now, const Track& track, Person& person) const {
  // x and y of the bounds are those of the face's centre.
  const Point center = track.face.box.center();
  const Box now_at = {center.x, center.y, track.face.box.w, track.face.box.h};
  const Box low = Merge(person.still_low, now_at, true);
  const Box high = Merge(person.still_high, now_at, false);
  const double most = kStill * std::max(now_at.w, now_at.h);
  const bool moved =
      high.x - low.x > most || high.y - low.y > most || high.w - low.w > most || high.h - low.h > most;
  const bool first = person.still_since == absl::InfinitePast();
  if (first || moved) {
    if (!first) person.moved = true;
    person.still_since = now;
    person.still_low = now_at;
    person.still_high = now_at;
    return;
  }
  person.still_low = low;
  person.still_high = high;
}

void Presence::Observe(absl::Time now, Size frame, const Track& track, Person& person) {
  if (!track.seen) return;
  ObserveStillness(now, track, person);
  person.last_box = track.face.box;
  person.last_seen = now;
  const Box& box = track.face.box;
  const bool still = now - person.still_since >= options_.still_after;
  if (person.role != Role::kPresent || still) {
    const auto picture = std::max_element(
        pictures_.begin(), pictures_.end(),
        [&](const Picture& p, const Picture& q) { return Overlap(p.box, box) < Overlap(q.box, box); });
    const double overlap = picture == pictures_.end() ? 0 : Overlap(picture->box, box);
    const bool settled = now - person.still_since >= kSettled;
    if (still && overlap < kSamePicture) {
      pictures_.push_back({box, now});
      person.role = Role::kPicture;
    } else if ((overlap >= kSamePicture && (still || !person.moved)) || (overlap >= kSamePlace && settled)) {
      picture->last_seen = now;
      person.role = Role::kPicture;
    } else if (person.role == Role::kPicture || overlap >= kSamePlace) {
      person.role = Role::kFar;  // it moved; or it is where a picture is, and may be that when it has settled
      person.near.clear();
      person.near_times.clear();
      if (overlap >= kSamePlace) return;
    }
    if (person.role == Role::kPicture) {
      person.moved = false;
      return;
    }
  }

  const bool near = IsNear(track, frame, person.role != Role::kFar);
  if (!near) {
    person.near.clear();
    person.near_times.clear();
    if (person.role == Role::kNear) person.role = Role::kFar;
    return;
  }
  if (person.near.empty() && person.role != Role::kPresent) person.first_near = now;
  person.last_near = now;
  if (track.face.key_points.has_value()) {
    person.direction = EstimateHeadDirection(*track.face.key_points);
    const double sure = person.looks ? kSureToGoOnLooking : kSureToLook;
    person.looks = person.direction.has_value() && track.face.confidence.value_or(1) >= sure &&
                   LooksAtScreen(options_.gaze, *person.direction, person.looks);
  }
  if (person.role == Role::kPresent) return;
  person.role = Role::kNear;
  person.near.push_back(box.center());
  person.near_times.push_back(now);
  if (person.near.size() < static_cast<size_t>(options_.enter_frames)) return;
  const double seconds = absl::ToDoubleSeconds(now - person.near_times.front());
  const double moved = std::abs(person.near.back().x - person.near.front().x) / std::max(1.0, box.w);
  if (moved <= options_.most_speed * seconds || person.near.size() == 1) {
    person.role = Role::kPresent;
    return;
  }
  person.near.erase(person.near.begin());
  person.near_times.erase(person.near_times.begin());
}

void Presence::NoteGone(const Person& person) {
  if (person.role == Role::kPicture || person.moved || person.still_since == absl::InfinitePast()) return;
  auto place = std::find_if(still_places_.begin(), still_places_.end(), [&](const StillPlace& candidate) {
    return Overlap(candidate.box, person.last_box) >= kSamePlace;
  });
  if (place == still_places_.end())
    place = still_places_.insert(place, {person.last_box, absl::ZeroDuration(), {}});
  place->still += person.last_seen - person.still_since;
  place->last_seen = person.last_seen;
  if (place->still < kStillInAll) {
    if (still_places_.size() > kMostStillPlaces) still_places_.erase(still_places_.begin());
    return;
  }
  pictures_.push_back({place->box, place->last_seen});
  still_places_.erase(place);
}

void Presence::TakeOver(const Track& track, const std::vector<Track>& tracks) {
  // The tracker lost somebody who moved too fast for it: one who is gone since before this track began.
  Person& person = people_[track.id];
  for (const Track& lost : tracks) {
    if (lost.seen || lost.last_seen >= track.first_seen) continue;
    const auto found = people_.find(lost.id);
    if (found == people_.end() || found->second.role != Role::kPresent) continue;
    const Box& a = lost.face.box;
    const Box& b = track.face.box;
    const double distance = std::hypot(a.center().x - b.center().x, a.center().y - b.center().y);
    if (distance > kTakeOver * std::max(a.w, b.w)) continue;
    person.first_near = found->second.first_near;
    found->second.role = Role::kFar;
    return;
  }
}

std::vector<VisionEvent> Presence::Update(absl::Time now, Size frame, const std::vector<Track>& tracks) {
  std::vector<VisionEvent> events;
  if (frame.w <= 0 || frame.h <= 0) return events;
  for (auto it = people_.begin(); it != people_.end();) {
    const bool tracked =
        std::any_of(tracks.begin(), tracks.end(), [&](const Track& track) { return track.id == it->first; });
    if (!tracked) NoteGone(it->second);
    it = tracked ? std::next(it) : people_.erase(it);
  }
  still_places_.erase(
      std::remove_if(still_places_.begin(), still_places_.end(),
                     [&](const StillPlace& place) { return now - place.last_seen > kForgetPicture; }),
      still_places_.end());
  pictures_.erase(
      std::remove_if(pictures_.begin(), pictures_.end(),
                     [&](const Picture& picture) { return now - picture.last_seen > kForgetPicture; }),
      pictures_.end());
  for (const Track& track : tracks) {
    Person& person = people_[track.id];
    const Role before = person.role;
    Observe(now, frame, track, person);
    if (person.role == Role::kPresent && before != Role::kPresent) TakeOver(track, tracks);
  }
  // Whoever is seen, but not near any more, has the grace period too.
  for (auto& [id, person] : people_) {
    if (person.role == Role::kPresent && now - person.last_near > options_.grace) person.role = Role::kFar;
  }
  UpdateParty(now, tracks, events);
  if (visit_.has_value()) UpdateGaze(now, tracks, events);
  return events;
}

void Presence::UpdateParty(absl::Time now, const std::vector<Track>& tracks,
                           std::vector<VisionEvent>& events) {
  int party = 0;
  const Track* nearest = nullptr;
  absl::Time since = absl::InfiniteFuture();
  absl::Time last_near = absl::InfinitePast();
  for (const Track& track : tracks) {
    const Person& person = people_[track.id];
    if (person.role != Role::kPresent) continue;
    ++party;
    since = std::min(since, person.first_near);
    last_near = std::max(last_near, person.last_near);
    // One who is seen is rather shown than one who is not.
    if (nearest == nullptr ||
        std::make_pair(track.seen, track.face.box.h) > std::make_pair(nearest->seen, nearest->face.box.h)) {
      nearest = &track;
    }
  }
  if (party == 0) {
    if (visit_.has_value()) Leave(now, events);
    return;
  }
  if (!visit_.has_value()) {
    Visit visit;
    visit.since = since;
    visit_ = visit;
  }
  visit_->last_near = last_near;
  if (party == visit_->party_size) return;
  // While nobody of them is seen, they may all be leaving: one event tells that better than two.
  if (party < visit_->party_size && !nearest->seen) return;
  visit_->party_size = party;
  messages::PersonDetected detected;
  detected.confidence = nearest->face.confidence;
  if (detected.confidence.has_value()) detected.confidence = std::round(*detected.confidence * 1000) / 1000;
  detected.bounding_box = BoundingBoxOf(nearest->face.box);
  detected.box_kind = "face";
  detected.face_detected = true;
  detected.estimated_party_size = party;
  events.push_back({now, detected});
}

void Presence::UpdateGaze(absl::Time now, const std::vector<Track>& tracks,
                          std::vector<VisionEvent>& events) {
  // Somebody of the party looks; the point is that of the nearest who does.
  const Person* looking = nullptr;
  double size = 0;
  bool measured = false;
  for (const Track& track : tracks) {
    const Person& person = people_[track.id];
    if (person.role != Role::kPresent || !track.face.key_points.has_value()) continue;
    measured = true;
    if (!person.looks || now - track.last_seen > options_.gaze_unseen || track.face.box.h <= size) continue;
    looking = &person;
    size = track.face.box.h;
  }
  if (!measured) return;
  const bool looks = looking != nullptr;
  if (looks == visit_->looking) {
    visit_->differs_since.reset();
    return;
  }
  if (!visit_->differs_since.has_value()) visit_->differs_since = now;
  if (now - *visit_->differs_since < options_.gaze_hold) return;
  visit_->looking = looks;
  visit_->differs_since.reset();
  messages::GazeDetected gaze;
  gaze.looking_at_screen = looks;
  if (looks && looking->direction.has_value()) {
    if (const std::optional<Point> point = GazePointOf(options_.gaze, *looking->direction);
        point.has_value()) {
      gaze.gaze_point = messages::GazePoint{std::round(point->x), std::round(point->y)};
    }
  }
  events.push_back({now, gaze});
}

void Presence::Leave(absl::Time now, std::vector<VisionEvent>& events) {
  if (visit_->looking) events.push_back({now, messages::GazeDetected{}});
  messages::PersonLeft left;
  left.duration_seconds =
      std::round(std::max(0.0, absl::ToDoubleSeconds(visit_->last_near - visit_->since)) * 1000) / 1000;
  events.push_back({now, left});
  visit_.reset();
}

std::vector<VisionEvent> Presence::End(absl::Time now) {
  std::vector<VisionEvent> events;
  if (visit_.has_value()) Leave(now, events);
  people_.clear();
  return events;
}

}  // namespace arc::vision_bridge
