#include "common/envelope/envelope.h"

#include <set>

#include "common/messages/vision.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kUuid4[] = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

TEST(EnvelopeTest, UuidsAreVersion4AndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewUuid();
    EXPECT_THAT(id, MatchesRegex(kUuid4));
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(EnvelopeTest, RoundTrip) {
  const Envelope envelope = MakeEnvelope(absl::FromUnixMillis(1765720800123), "s-1", "t-1");
  messages::PersonLeft left;
  left.duration_seconds = 45.5;
  const absl::StatusOr<ParsedMessage> parsed = ParseMessage(Wrap(envelope, left), absl::UnixEpoch());
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->envelope.msg_id, envelope.msg_id);
  EXPECT_EQ(parsed->envelope.timestamp, "2025-12-14T14:00:00.123Z");
  EXPECT_EQ(parsed->envelope.session_id, "s-1");
  EXPECT_EQ(parsed->envelope.trace_id, "t-1");
  EXPECT_EQ(parsed->envelope.version, "1.0");
  EXPECT_TRUE(parsed->had_msg_id);
  EXPECT_EQ(DecodePayload<messages::PersonLeft>(*parsed)->duration_seconds, 45.5);
}

// The specification's own test message, section 10.2.
TEST(EnvelopeTest, ABarePayloadIsFilledIn) {
  const absl::StatusOr<ParsedMessage> parsed =
      ParseMessage(R"({"payload":{"event":"person_detected"},"unknown":1,"msg_id":null})", absl::UnixEpoch());
  ASSERT_THAT(parsed, IsOk());
  EXPECT_FALSE(parsed->had_msg_id);
  EXPECT_THAT(parsed->envelope.msg_id, MatchesRegex(kUuid4));
  EXPECT_THAT(parsed->envelope.trace_id, MatchesRegex(kUuid4));
  EXPECT_EQ(parsed->envelope.timestamp, "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(parsed->envelope.session_id, "");
}

TEST(EnvelopeTest, WhatIsNotAnEnvelopeIsRefusedByName) {
  EXPECT_THAT(ParseMessage("[]", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("object")));
  EXPECT_THAT(ParseMessage("{}", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload: is required")));
  EXPECT_THAT(ParseMessage(R"({"payload":[]})", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload: must be an object")));
  EXPECT_THAT(ParseMessage(R"({"payload":{},"msg_id":7})", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("msg_id: must be a string")));
  EXPECT_THAT(
      ParseMessage("{\"payload\":{},\"trace_id\":\"" + std::string(1000, 'x') + "\"}", absl::UnixEpoch()),
      HasErrorCode(ErrorCode::kInvalidRequest));
}

}  // namespace
}  // namespace arc
