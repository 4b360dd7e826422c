// That a dead letter is stored and can be read whatever its message is made of. tests/bus/commands_test.cc
// does the worst of it on a real nats-server.
#include "common/bus/dead_letter.h"

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/json/json.h"
#include "common/memory_bus/memory_bus.h"
#include "common/messages/system.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::bus {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr size_t kLimit = 1000000;

// What the stream holds after `message` was given up on.
messages::DeadLetter Bury(const Message& message, absl::string_view error = "payload: wrong") {
  ManualClock clock;
  MemoryBus bus(clock);
  bus.ProvisionDefault();
  absl::Status stored = absl::UnknownError("not called");
  PublishDeadLetter(bus, {"arc-menu", "KIOSK_COMMANDS", "menu-agent-consumer", 0, 1}, message,
                    MakeError(ErrorCode::kInvalidRequest, error),
                    [&](absl::Status status) { stored = std::move(status); });
  bus.RunUntilIdle();
  EXPECT_THAT(stored, IsOk());
  const std::vector<StoredMessage> letters = bus.Stored(subjects::kDeadLetterStream);
  EXPECT_THAT(letters, SizeIs(1));
  if (letters.empty()) return {};
  EXPECT_LE(letters[0].message.body.size(), kLimit);
  absl::StatusOr<messages::DeadLetter> letter = json::Decode<messages::DeadLetter>(letters[0].message.body);
  EXPECT_THAT(letter, IsOk()) << letters[0].message.body.substr(0, 300);
  return letter.value_or(messages::DeadLetter());
}

std::string BodyOf(const messages::DeadLetter& letter) {
  if (letter.body.has_value()) return *letter.body;
  std::string body;
  EXPECT_TRUE(absl::Base64Unescape(letter.body_base64.value_or(""), &body));
  return body;
}

std::string Repeated(absl::string_view text, size_t bytes) {
  std::string out;
  while (out.size() < bytes) absl::StrAppend(&out, text);
  return out;
}

TEST(PublishDeadLetter, KeepsABodyThatJsonCannotHoldAsBase64) {
  for (const std::string& body : {std::string(R"({"a":"x"})"), std::string("{\"a\":\"\0\"}", 9),
                                  std::string("\xff\xfe"), std::string("\xed\xa0\x80 \xc3"),
                                  std::string("\x01\x1f\x7f \xe2\x80\xa8 \xef\xbf\xbf"), std::string()}) {
    SCOPED_TRACE(absl::CHexEscape(body));
    Message message;
    message.subject = "kiosk.input.touch";
    message.headers.Set("X-Nul", absl::string_view("a\0b", 3));
    message.body = body;
    const messages::DeadLetter letter = Bury(message, std::string("bad \0 \xff", 7));
    EXPECT_EQ(BodyOf(letter), body);
    EXPECT_FALSE(letter.body_truncated);
    EXPECT_FALSE(letter.headers_truncated);
    EXPECT_THAT(letter.error, HasSubstr("bad"));
  }
}

TEST(PublishDeadLetter, ASubjectThatIsNoTextIsEscaped) {
  Message message;
  message.subject = "kiosk.input.touch.\xff";
  EXPECT_EQ(Bury(message).subject, "kiosk.input.touch.\\377");
}

// What the body and the headers are made of.
class LargeDeadLetter : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(LargeDeadLetter, FitsIntoAMessage) {
  const auto& [in_body, in_header] = GetParam();
  for (const auto& [headers, bytes] :
       std::vector<std::pair<size_t, size_t>>{{0, 0}, {1, 60000}, {1, 900000}, {3000, 1}, {200, 4000}}) {
    SCOPED_TRACE(absl::StrCat(headers, " headers of ", bytes, " times"));
    Message message;
    message.subject = "kiosk.input.touch";
    message.body = Repeated(in_body, 950000);
    for (size_t i = 0; i < headers; ++i) {
      message.headers.Set(absl::StrCat("X", i), Repeated(in_header, bytes));
    }
    const messages::DeadLetter letter = Bury(message, Repeated(in_header, bytes));
    EXPECT_EQ(letter.body_bytes, static_cast<int64_t>(message.body.size()));
    EXPECT_TRUE(absl::StartsWith(message.body, BodyOf(letter)));
    EXPECT_EQ(letter.body_truncated, BodyOf(letter).size() < message.body.size());
    EXPECT_GE(BodyOf(letter).size(), 512u * 1024u);
    EXPECT_EQ(letter.headers_truncated, headers > 0 && bytes != 1);
  }
}

const std::vector<std::string>& Fillings() {
  static const auto* const all =
      new std::vector<std::string>{"\xff", "\x01", "\"", "a", "\xc3\xa9", std::string(1, '\0')};
  return *all;
}
INSTANTIATE_TEST_SUITE_P(Of, LargeDeadLetter,
                         ::testing::Combine(::testing::ValuesIn(Fillings()), ::testing::ValuesIn(Fillings())),
                         [](const auto& named) {
                           return absl::StrCat(absl::BytesToHexString(std::get<0>(named.param)), "_",
                                               absl::BytesToHexString(std::get<1>(named.param)));
                         });

TEST(PublishDeadLetter, SaysWhatWasCut) {
  Message message;
  message.subject = "kiosk.input.touch";
  message.headers.Set("Kiosk-Id", "kiosk-002");
  message.headers.Set("X-Big", Repeated("\xc3\xa9", 60000));
  const messages::DeadLetter letter = Bury(message);
  EXPECT_TRUE(letter.headers_truncated);
  ASSERT_THAT(letter.headers, SizeIs(2));
  EXPECT_EQ(letter.headers[0].value, "kiosk-002");
  EXPECT_THAT(letter.headers[1].value, EndsWith("é… (60000 bytes)"));
}

// 700,000 control characters are 4 MB of JSON text, but less than 1 MB of base64.
TEST(PublishDeadLetter, ABodyIsKeptWholeWhereBase64Fits) {
  Message message;
  message.subject = "kiosk.input.touch";
  message.body = Repeated("\x01", 700000);
  const messages::DeadLetter letter = Bury(message);
  EXPECT_FALSE(letter.body_truncated);
  EXPECT_EQ(BodyOf(letter), message.body);
}

}  // namespace
}  // namespace arc::bus
