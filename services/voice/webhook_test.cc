#include "services/voice/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jwt/jwt.hpp"

namespace arc::voice {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kKey[] = "APIkey";
constexpr char kSecret[] = "a secret of thirty-two characters";
constexpr char kJoined[] =
    R"({"event":"participant_joined","id":"EV_1","createdAt":"1765720800",
        "room":{"sid":"RM_1","name":"room-7","metadata":"{\"kiosk_id\":\"kiosk-007\"}"},
        "participant":{"sid":"PA_1","identity":"user-123","metadata":"{\"user_id\":\"u\",\"session_id\":\"s\"}"}})";

std::string Digest(absl::string_view body) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data());
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

struct Token {
  std::string algorithm = "HS256";
  std::string secret = kSecret;
  std::string issuer = kKey;
  int expires = 60;  // seconds from now
  int not_before = -1;
  bool has_expiry = true;
  bool has_digest = true;
};

std::string Sign(absl::string_view body, const Token& token = Token()) {
  jwt::jwt_object object{jwt::params::algorithm(token.algorithm), jwt::params::secret(token.secret),
                         jwt::params::payload({{"iss", token.issuer}})};
  const auto now = std::chrono::system_clock::now();
  if (token.has_expiry) object.add_claim("exp", now + std::chrono::seconds(token.expires));
  object.add_claim("nbf", now + std::chrono::seconds(token.not_before));
  if (token.has_digest) object.add_claim("sha256", Digest(body));
  return object.signature();
}

absl::Status Verify(absl::string_view authorization, absl::string_view body) {
  return VerifyWebhook({kKey, kSecret}, authorization, body);
}

auto Refused(const std::string& why) {
  return StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr(why));
}

TEST(VerifyWebhook, TakesWhatTheKeySigned) {
  EXPECT_THAT(Verify(Sign(kJoined), kJoined), IsOk());
  EXPECT_THAT(Verify("Bearer " + Sign(kJoined), kJoined), IsOk());
  EXPECT_THAT(Verify(Sign(""), ""), IsOk());
}

TEST(VerifyWebhook, RefusesEverythingElse) {
  EXPECT_THAT(Verify("", kJoined), Refused("is missing"));
  EXPECT_THAT(Verify("a.b.c", kJoined), Refused("signature"));
  EXPECT_THAT(Verify("....", kJoined), Refused("signature"));
  EXPECT_THAT(Verify(std::string(10000, 'a'), kJoined), Refused("too long"));
  Token token;
  token.secret = "another secret of some characters";
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), Refused("signature"));
  token = Token();
  token.issuer = "another key";
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), StatusIs(absl::StatusCode::kUnauthenticated));
  token = Token();
  token.expires = -2;
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), StatusIs(absl::StatusCode::kUnauthenticated));
  token = Token();
  token.not_before = 60;
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), StatusIs(absl::StatusCode::kUnauthenticated));
  token = Token();
  token.has_expiry = false;
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), Refused("does not expire"));
  token = Token();
  token.has_digest = false;
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), Refused("is for no body"));
  EXPECT_THAT(Verify(Sign(kJoined), absl::StrCat(kJoined, " ")), Refused("the body is not the one"));
}

TEST(VerifyWebhook, RefusesOtherAlgorithms) {
  Token token;
  token.algorithm = "HS512";
  EXPECT_THAT(Verify(Sign(kJoined, token), kJoined), StatusIs(absl::StatusCode::kUnauthenticated));
  // {"alg":"none","typ":"JWT"} with the right claims and no signature.
  const std::string right = Sign(kJoined);
  const std::string claims = right.substr(right.find('.'), right.rfind('.') - right.find('.'));
  EXPECT_THAT(Verify(absl::StrCat("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", claims, "."), kJoined),
              Refused("signature"));
  // Signed as HS256, but said to be something else.
  EXPECT_THAT(
      Verify(absl::StrCat("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", claims, right.substr(right.rfind('.'))),
             kJoined),
      Refused("signature"));
}

TEST(VerifyWebhook, SurvivesEveryTruncationAndFlippedByte) {
  const std::string right = Sign(kJoined);
  for (size_t i = 0; i < right.size(); ++i) {
    EXPECT_THAT(Verify(right.substr(0, i), kJoined), StatusIs(absl::StatusCode::kUnauthenticated)) << i;
    std::string wrong = right;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    // The last character of a base64 text has bits that mean nothing.
    if (i + 1 == right.size()) continue;
    EXPECT_THAT(Verify(wrong, kJoined), StatusIs(absl::StatusCode::kUnauthenticated)) << i;
  }
}

// A token of any header and claims, rightly signed.
std::string SignRaw(absl::string_view header, absl::string_view claims) {
  const std::string content =
      absl::StrCat(absl::WebSafeBase64Escape(header), ".", absl::WebSafeBase64Escape(claims));
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), kSecret, sizeof kSecret - 1, reinterpret_cast<const unsigned char*>(content.data()),
       content.size(), mac.data(), &length);
  return absl::StrCat(
      content, ".",
      absl::WebSafeBase64Escape(absl::string_view(reinterpret_cast<const char*>(mac.data()), length)));
}

TEST(VerifyWebhook, SurvivesStrangeTokensOfTheRightKey) {
  constexpr char kHeader[] = R"({"alg":"HS256","typ":"JWT"})";
  const std::string digest = absl::StrCat(R"("sha256":")", Digest(kJoined), "\"");
  EXPECT_THAT(
      Verify(SignRaw(kHeader, absl::StrCat(R"({"iss":"APIkey","exp":99999999999,)", digest, "}")), kJoined),
      IsOk());
  for (const char* header : {"", "{}", "[]", "null", "7", "{", R"({"alg":7})", R"({"alg":"none"})",
                             R"({"alg":"RS256"})", R"({"alg":"HS256","typ":7})", "\xff\xfe"}) {
    EXPECT_THAT(
        Verify(SignRaw(header, absl::StrCat(R"({"iss":"APIkey","exp":99999999999,)", digest, "}")), kJoined),
        StatusIs(absl::StatusCode::kUnauthenticated))
        << header;
  }
  for (const std::string& claims :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"), std::string("7"),
        std::string("\xff"), std::string(5000, '['),
        absl::StrCat(R"({"iss":7,"exp":99999999999,)", digest, "}"),
        absl::StrCat(R"({"iss":"APIkey","exp":"x",)", digest, "}"),
        absl::StrCat(R"({"iss":"APIkey","exp":null,)", digest, "}"),
        absl::StrCat(R"({"iss":"APIkey","exp":99999999999,"nbf":"x",)", digest, "}"),
        std::string(R"({"iss":"APIkey","exp":99999999999,"sha256":7})"),
        std::string(R"({"iss":"APIkey","exp":99999999999,"sha256":"no base64 !"})")}) {
    EXPECT_THAT(Verify(SignRaw(kHeader, claims), kJoined), StatusIs(absl::StatusCode::kUnauthenticated))
        << claims;
  }
}

TEST(ParseWebhook, ReadsWhatLiveKitWrites) {
  const auto joined = ParseWebhook(kJoined);
  ASSERT_THAT(joined, IsOk());
  EXPECT_EQ(joined->kind, LiveKitEventKind::kParticipantJoined);
  EXPECT_EQ(joined->id, "EV_1");
  EXPECT_EQ(joined->room, "room-7");
  EXPECT_EQ(joined->participant.room_sid, "RM_1");
  EXPECT_EQ(joined->participant.identity, "user-123");
  EXPECT_EQ(joined->participant.user_id, "u");
  EXPECT_EQ(joined->participant.session_id, "s");
  EXPECT_EQ(joined->kiosk_id, "kiosk-007");
  EXPECT_TRUE(joined->is_customer);

  const auto track = ParseWebhook(
      R"({"event":"track_published","room":{"name":"r"},"participant":{"sid":"PA","kind":"AGENT","metadata":"no json"},
          "track":{"sid":"TR_1","source":"MICROPHONE"}})");
  ASSERT_THAT(track, IsOk());
  EXPECT_TRUE(track->track_is_audio);
  EXPECT_EQ(track->track_source, "microphone");
  EXPECT_FALSE(track->is_customer);
  const auto video = ParseWebhook(R"({"event":"track_published","track":{"type":"VIDEO","source":1}})");
  ASSERT_THAT(video, IsOk());
  EXPECT_FALSE(video->track_is_audio);
  const auto egress = ParseWebhook(R"({"event":"egress_started"})");
  ASSERT_THAT(egress, IsOk());
  EXPECT_EQ(egress->kind, LiveKitEventKind::kOther);
  for (const char* bad :
       {"", "[]", "{}", R"({"event":7})", R"({"event":"x","room":[]})", "{\"event\":\"x\""}) {
    EXPECT_THAT(ParseWebhook(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

class WebhookTest : public testing::Test {
 protected:
  int Post(const std::string& body, const std::string& authorization) {
    HttpRequest request;
    request.body = body;
    request.headers["authorization"] = authorization;
    return webhook_.Handle(request).status;
  }
  Metrics metrics_{"test"};
  std::vector<LiveKitEvent> events_;
  Webhook webhook_{
      {kKey, kSecret}, metrics_, [this](const LiveKitEvent& event) { events_.push_back(event); }};
};

TEST_F(WebhookTest, AnswersByWhatItIs) {
  EXPECT_EQ(Post(kJoined, Sign(kJoined)), 200);
  EXPECT_THAT(events_, SizeIs(1));
  EXPECT_EQ(Post(kJoined, ""), 401);
  EXPECT_EQ(Post("{", Sign("{")), 400);
  EXPECT_EQ(Post(R"({"event":"egress_ended"})", Sign(R"({"event":"egress_ended"})")), 200);
  const std::string large =
      absl::StrCat(R"({"event":"participant_joined","x":")", std::string(70000, 'x'), "\"}");
  EXPECT_EQ(Post(large, Sign(large)), 413);
  EXPECT_THAT(events_, SizeIs(1));
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(kiosk_voice_webhooks_total{agent="test",outcome="taken"} 1)"));
}

TEST_F(WebhookTest, AnEventCountsOnce) {
  const std::string token = Sign(kJoined);
  EXPECT_EQ(Post(kJoined, token), 200);
  EXPECT_EQ(Post(kJoined, token), 200);
  EXPECT_EQ(Post(kJoined, Sign(kJoined)), 200);
  EXPECT_THAT(events_, SizeIs(1));
  // Without an id its body tells.
  const std::string left = R"({"event":"participant_left","room":{"name":"r"}})";
  EXPECT_EQ(Post(left, Sign(left)), 200);
  EXPECT_EQ(Post(left, Sign(left)), 200);
  EXPECT_THAT(events_, SizeIs(2));
}

TEST_F(WebhookTest, RemembersABoundedNumberOfEvents) {
  for (int i = 0; i < 10001; ++i) {
    const std::string body = absl::StrCat(R"({"event":"room_finished","id":")", i, "\"}");
    ASSERT_EQ(Post(body, Sign(body)), 200);
  }
  EXPECT_THAT(events_, SizeIs(10001));
  const std::string first = R"({"event":"room_finished","id":"0"})";
  EXPECT_EQ(Post(first, Sign(first)), 200);
  EXPECT_THAT(events_, SizeIs(10002));
}

TEST(WebhookWithoutAKey, SaysSo) {
  Metrics metrics("test");
  Webhook webhook({}, metrics, [](const LiveKitEvent&) { ADD_FAILURE(); });
  HttpRequest request;
  request.body = kJoined;
  request.headers["authorization"] = Sign(kJoined);
  EXPECT_EQ(webhook.Handle(request).status, 503);
}

}  // namespace
}  // namespace arc::voice
