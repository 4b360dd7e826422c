// Who stands at the kiosk: turns the tracks of successive pictures into the kiosk's events. Pure logic on the
// frames' times, so that a film gives the same events however fast it is read. Not thread-safe.
//
// A track is near when its face is in the zone and large enough. Somebody who stays near for some pictures,
// and does not just walk by, is present. The first one present begins a visit (person_detected); a change of
// the number present is another person_detected; when nobody has been near for the grace period, the visit
// ends (person_left) with the time from the first picture in which somebody was near to the last one.
#ifndef ARC_SERVICES_VISION_BRIDGE_PRESENCE_H_
#define ARC_SERVICES_VISION_BRIDGE_PRESENCE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "common/messages/vision.h"
#include "services/vision_bridge/face.h"
#include "services/vision_bridge/gaze.h"
#include "services/vision_bridge/tracker.h"

namespace arc::vision_bridge {

// Shares of the frame's width and height.
struct Zone {
  double x = 0.05;
  double y = 0;
  double w = 0.9;
  double h = 1;
};

struct PresenceOptions {
  Zone zone;                 // where the middle of a face must be
  double least_size = 0.12;  // least height of a face, as a share of the frame's height
  int enter_frames = 6;      // pictures in which somebody must be near to be present
  double most_speed = 1.5;   // of somebody who stays, in widths of the face a second; faster ones walk by
  double least_new_confidence =
      0.7;  // of a face that is taken for a person; less is enough to go on with one
  absl::Duration grace = absl::Seconds(2);             // unseen for longer: gone
  absl::Duration still_after = absl::Seconds(60);      // as still as this for so long is a picture on a wall
  absl::Duration gaze_hold = absl::Milliseconds(400);  // how long a new gaze must last to be told
  absl::Duration gaze_unseen =
      absl::Milliseconds(800);  // a face unseen for so long does not look at the screen
  GazeOptions gaze;
};

// An engine's look at a picture.
struct Look {
  std::string engine;
  absl::Time begin;
  absl::Time end;
};

struct VisionEvent {
  absl::Time at;  // of the frame
  std::variant<messages::PersonDetected, messages::PersonLeft, messages::GazeDetected> payload;
  std::optional<Look> look = std::nullopt;  // in which it was seen; none where time alone brought it
};

class Presence {
 public:
  explicit Presence(const PresenceOptions& options) : options_(options) {}

  // `tracks` as of the picture of `now`, whose size is `frame`.
  std::vector<VisionEvent> Update(absl::Time now, Size frame, const std::vector<Track>& tracks);

  // No more pictures come: whoever is present has left.
  std::vector<VisionEvent> End(absl::Time now);

  bool visited() const { return visit_.has_value(); }
  int party_size() const { return visit_.has_value() ? visit_->party_size : 0; }

  enum class Role { kFar, kNear, kPresent, kPicture };
  Role RoleOf(uint64_t track_id) const;  // for a person to look at
  bool looking() const { return visit_.has_value() && visit_->looking; }

 private:
  struct Person {
    Role role = Role::kFar;
    std::vector<Point> near;  // centres in the latest near pictures, in pixels; enter_frames at most
    std::vector<absl::Time> near_times;
    absl::Time first_near;  // of the present run of near pictures
    absl::Time last_near;
    // Since when, and between which bounds, the face has been still.
    absl::Time still_since = absl::InfinitePast();
    Box still_low;
    Box still_high;
    bool moved = false;  // since its track began, or since it was a picture
    Box last_box;
    absl::Time last_seen;
    bool looks = false;
    std::optional<HeadDirection> direction;
  };
  struct Visit {
    absl::Time since;
    absl::Time last_near;
    int party_size = 0;
    bool looking = false;                     // as last told
    std::optional<absl::Time> differs_since;  // the gaze is another than told, without a break
  };

  bool IsNear(const Track& track, Size frame, bool was_near) const;
  void Observe(absl::Time now, Size frame, const Track& track, Person& person);
  void ObserveStillness(absl::Time now, const Track& track, Person& person) const;
  void NoteGone(const Person& person);
  void TakeOver(const Track& track, const std::vector<Track>& tracks);
  void UpdateParty(absl::Time now, const std::vector<Track>& tracks, std::vector<VisionEvent>& events);
  void UpdateGaze(absl::Time now, const std::vector<Track>& tracks, std::vector<VisionEvent>& events);
  void Leave(absl::Time now, std::vector<VisionEvent>& events);

  const PresenceOptions options_;
  std::map<uint64_t, Person> people_;  // by track
  // Places of pictures on the wall; kept while their tracks come and go.
  struct Picture {
    Box box;
    absl::Time last_seen;
  };
  std::vector<Picture> pictures_;
  // Where a face was that came from nowhere, never moved, and went: a picture that is covered now and then.
  struct StillPlace {
    Box box;
    absl::Duration still;  // in all
    absl::Time last_seen;
  };
  std::vector<StillPlace> still_places_;
  std::optional<Visit> visit_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_PRESENCE_H_
