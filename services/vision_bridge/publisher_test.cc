#include "services/vision_bridge/publisher.h"

#include <string>
#include <vector>

#include "common/clock/clock.h"
#include "common/envelope/envelope.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "common/trace/collected.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::vision_bridge {
namespace {

using ::testing::SizeIs;

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() : bus_(clock_) { bus_.ProvisionDefault(); }

  VisionEvent Left(double seconds) const {
    messages::PersonLeft left;
    left.duration_seconds = seconds;
    return {clock_.Now(), left};
  }
  std::vector<double> StoredDurations() {
    std::vector<double> durations;
    for (const bus::StoredMessage& stored : bus_.Stored(subjects::kEventsStream)) {
      const auto message = ParseMessage(stored.message.body, clock_.Now());
      EXPECT_THAT(message, IsOk());
      durations.push_back(DecodePayload<messages::PersonLeft>(*message)->duration_seconds);
    }
    return durations;
  }
  void Settle() {
    for (int i = 0; i < 60; ++i) {
      bus_.RunUntilIdle();
      clock_.Advance(absl::Milliseconds(500));
    }
    bus_.RunUntilIdle();
  }

  ManualClock clock_;
  bus::MemoryBus bus_;
};

TEST_F(PublisherTest, AnEventIsStoredWithItsFramesTime) {
  Publisher publisher(bus_, "kiosk-001", false, nullptr);
  VisionEvent event = Left(4.5);
  event.at -= absl::Milliseconds(1500);
  publisher.Publish(event);
  bus_.RunUntilIdle();
  const auto stored = bus_.Stored(subjects::kEventsStream);
  ASSERT_THAT(stored, SizeIs(1));
  const bus::Message& message = stored[0].message;
  EXPECT_EQ(message.subject, "kiosk.vision.person_left");
  EXPECT_EQ(message.headers.Get(subjects::kKioskIdHeader), "kiosk-001");
  const auto parsed = ParseMessage(message.body, clock_.Now());
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->envelope.timestamp, FormatTimestamp(event.at));
  EXPECT_EQ(parsed->envelope.session_id, "");
  EXPECT_EQ(message.headers.Get(subjects::kMsgIdHeader), parsed->envelope.msg_id);
  EXPECT_EQ(DecodePayload<messages::PersonLeft>(*parsed)->duration_seconds, 4.5);
}

TEST_F(PublisherTest, ATraceBeginsWithTheEnginesLook) {
  trace::Collected collected;
  Publisher publisher(bus_, "kiosk-001", false, nullptr);
  VisionEvent event = Left(4.5);
  event.look = Look{"blazeface", event.at, event.at + absl::Milliseconds(12)};
  publisher.Publish(event);
  bus_.RunUntilIdle();
  const auto stored = bus_.Stored(subjects::kEventsStream);
  ASSERT_THAT(stored, SizeIs(1));
  const std::string trace_id = ParseMessage(stored[0].message.body, clock_.Now())->envelope.trace_id;
  const std::vector<trace::SpanData> spans = collected.Take();
  ASSERT_THAT(spans, SizeIs(2));
  EXPECT_EQ(spans[0].name, "engine blazeface");
  EXPECT_EQ(spans[0].end - spans[0].start, absl::Milliseconds(12));
  EXPECT_EQ(spans[1].name, "publish kiosk.vision.person_left");
  for (const trace::SpanData& span : spans) {
    EXPECT_EQ(span.context.trace_id, trace_id);
    EXPECT_EQ(span.parent_span_id, trace::RootOf(trace_id).span_id);
  }
}

TEST_F(PublisherTest, AScopedKioskHasItsOwnSubject) {
  Publisher publisher(bus_, "kiosk-007", true, nullptr);
  publisher.Publish({clock_.Now(), messages::PersonDetected{}});
  publisher.Publish({clock_.Now(), messages::GazeDetected{}});
  bus_.RunUntilIdle();
  const auto stored = bus_.Stored(subjects::kEventsStream);
  ASSERT_THAT(stored, SizeIs(2));
  EXPECT_EQ(stored[0].message.subject, "kiosk.vision.person_detected.kiosk-007");
  EXPECT_EQ(stored[1].message.subject, "kiosk.vision.gaze_detected.kiosk-007");
}

TEST_F(PublisherTest, EventsKeepTheirOrderWhileTheBusIsAway) {
  Publisher publisher(bus_, "kiosk-001", false, nullptr);
  bus_.SetConnected(false);
  for (int i = 0; i < 5; ++i) publisher.Publish(Left(i));
  Settle();
  EXPECT_THAT(StoredDurations(), testing::IsEmpty());
  bus_.SetConnected(true);
  Settle();
  EXPECT_THAT(StoredDurations(), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_TRUE(publisher.Flush(absl::ZeroDuration()));
}

TEST_F(PublisherTest, AFailedAttemptIsMadeAgain) {
  Publisher publisher(bus_, "kiosk-001", false, nullptr);
  bus_.FailPublishEvent(3);
  publisher.Publish(Left(1));
  publisher.Publish(Left(2));
  Settle();
  EXPECT_THAT(StoredDurations(), testing::ElementsAre(1, 2));
}

TEST_F(PublisherTest, WhatWaitsIsBounded) {
  Metrics metrics("vision_bridge");
  Publisher publisher(bus_, "kiosk-001", false, &metrics);
  bus_.SetConnected(false);
  for (size_t i = 0; i < Publisher::kMostWaiting + 10; ++i) publisher.Publish(Left(static_cast<double>(i)));
  bus_.SetConnected(true);
  Settle();
  const std::vector<double> stored = StoredDurations();
  EXPECT_THAT(stored, SizeIs(Publisher::kMostWaiting));
  EXPECT_EQ(stored.back(), Publisher::kMostWaiting + 9);
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("kiosk_vision_lost_events_total"));
}

}  // namespace
}  // namespace arc::vision_bridge
