#include "services/vision_bridge/tracker.h"

#include <map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::vision_bridge {
namespace {

using ::testing::SizeIs;

Face At(double x, double size = 100) {
  Face face;
  face.box = {x, 100, size, size};
  return face;
}

class TrackerTest : public ::testing::Test {
 protected:
  // The identities of `faces` in the next picture, an eighth of a second later, by their x.
  std::map<double, uint64_t> See(const std::vector<Face>& faces) {
    now_ += absl::Milliseconds(125);
    std::map<double, uint64_t> ids;
    for (const Track& track : tracker_.Update(now_, faces)) {
      if (track.seen) ids[track.face.box.x] = track.id;
    }
    return ids;
  }
  void Wait(absl::Duration duration) { now_ += duration; }

  Tracker tracker_{TrackerOptions{absl::Seconds(2), 0.7}};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(TrackerTest, AFaceThatMovesKeepsItsIdentity) {
  const uint64_t id = See({At(0)})[0];
  for (double x = 40; x < 400; x += 40) EXPECT_EQ(See({At(x)})[x], id);
  EXPECT_THAT(tracker_.tracks(), SizeIs(1));
}

TEST_F(TrackerTest, TwoFacesKeepTheirsInWhateverOrderTheyCome) {
  const auto first = See({At(0), At(200)});
  const auto second = See({At(210), At(20)});
  EXPECT_EQ(second.at(20), first.at(0));
  EXPECT_EQ(second.at(210), first.at(200));
  EXPECT_NE(first.at(0), first.at(200));
}

TEST_F(TrackerTest, TheNearestFaceIsTakenFirst) {
  // One face left; another stands where both tracks reach: it is that of the nearer one.
  const auto first = See({At(0), At(140)});
  const auto second = See({At(80)});
  EXPECT_EQ(second.at(80), first.at(140));
}

TEST_F(TrackerTest, AFaceHiddenForAMomentIsTheSame) {
  const uint64_t id = See({At(0)})[0];
  for (int i = 0; i < 12; ++i) See({});
  EXPECT_EQ(See({At(120)})[120], id);
}

TEST_F(TrackerTest, AfterTheGracePeriodItIsAnother) {
  const uint64_t id = See({At(0)})[0];
  Wait(absl::Milliseconds(2100));
  See({});
  EXPECT_THAT(tracker_.tracks(), SizeIs(0));
  EXPECT_NE(See({At(0)})[0], id);
}

TEST_F(TrackerTest, AFaceFarAwayOrOfAnotherSizeIsAnother) {
  const uint64_t id = See({At(0)})[0];
  EXPECT_NE(See({At(400)})[400], id);
  EXPECT_NE(See({At(10, 30)})[10], id);
}

TEST_F(TrackerTest, AnUnsureFaceGoesOnButDoesNotBegin) {
  Face unsure = At(0);
  unsure.confidence = 0.6;
  EXPECT_THAT(See({unsure}), SizeIs(0));
  Face sure = At(0);
  sure.confidence = 0.8;
  const uint64_t id = See({sure})[0];
  EXPECT_EQ(See({unsure})[0], id);
}

TEST_F(TrackerTest, TimeThatStandsStillOrGoesBackDoesNoHarm) {
  const uint64_t id = See({At(0)})[0];
  Wait(-absl::Seconds(10));
  EXPECT_EQ(See({At(5)})[5], id);
  EXPECT_EQ(tracker_.tracks()[0].last_seen, absl::UnixEpoch() + absl::Milliseconds(125));
}

}  // namespace
}  // namespace arc::vision_bridge
