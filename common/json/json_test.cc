#include "common/json/json.h"

#include <array>

#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "gtest/gtest.h"

namespace arc::json {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

enum class Pattern { kSolid, kPulse };
absl::Span<const absl::string_view> EnumNames(Pattern) {
  static constexpr std::array<absl::string_view, 2> kNames = {"solid", "pulse"};
  return kNames;
}

struct Inner {
  std::string name;
  Decimal price;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name, Range(1, 10));
    v.Required("price", s.price, Range(0, 1000));
  }
};

struct Outer {
  int64_t id = 0;
  double confidence = 0;
  bool flag = false;
  Pattern pattern = Pattern::kSolid;
  std::vector<Inner> lines;
  std::optional<std::string> note;
  std::optional<std::string> error;
  Raw extra;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "outer");
    v.Required("id", s.id, Range(1, 100));
    v.Optional("confidence", s.confidence);
    v.Optional("flag", s.flag);
    v.Optional("pattern", s.pattern);
    v.Optional("lines", s.lines, Range(0, 3));
    v.Optional("note", s.note);
    v.Nullable("error", s.error);
    v.Optional("extra", s.extra);
  }
};

absl::Status DecodeError(absl::string_view text) {
  return Decode<Outer>(text).status();
}

TEST(JsonTest, RoundTrip) {
  const absl::string_view text =
      R"({"event":"outer","id":7,"confidence":0.92,"flag":true,"pattern":"pulse","lines":[{"name":"a \"b\" é","price":12.99}],)"
      R"("note":"n","error":null,"extra":{"deep":[1,2.5,null]}})";
  const absl::StatusOr<Outer> value = Decode<Outer>(text);
  ASSERT_THAT(value, IsOk());
  EXPECT_EQ(value->lines[0].price, (Decimal{1299, 2}));
  EXPECT_EQ(value->pattern, Pattern::kPulse);
  EXPECT_EQ(Encode(*value), text);
}

TEST(JsonTest, MissingAndNullOptionalFieldsKeepTheirDefaults) {
  const absl::StatusOr<Outer> value = Decode<Outer>(R"({"id":1,"note":null,"flag":null,"unknown":[{}]})");
  ASSERT_THAT(value, IsOk());
  EXPECT_FALSE(value->note.has_value());
  EXPECT_EQ(
      Encode(*value),
      R"({"event":"outer","id":1,"confidence":0.0,"flag":false,"pattern":"solid","lines":[],"error":null,"extra":null})");
}

TEST(JsonTest, ErrorsNameTheField) {
  EXPECT_THAT(DecodeError(R"({})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("id: is required")));
  EXPECT_THAT(DecodeError(R"({"id":null})"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("id")));
  EXPECT_THAT(DecodeError(R"({"id":"7"})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("id: must be a whole")));
  EXPECT_THAT(DecodeError(R"({"id":101})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 to 100")));
  EXPECT_THAT(DecodeError(R"({"id":1e300})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 to 100")));
  EXPECT_THAT(DecodeError(R"({"id":1.5})"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("whole")));
  EXPECT_THAT(DecodeError(R"({"id":1,"event":"inner"})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("event: must be \"outer\"")));
  EXPECT_THAT(
      DecodeError(R"({"id":1,"pattern":"blink"})"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pattern: must be one of solid, pulse")));
  EXPECT_THAT(DecodeError(R"({"id":1,"lines":[{"name":"a","price":1},{"name":"b","price":"x"}]})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lines[1].price: must be a number")));
  EXPECT_THAT(DecodeError(R"({"id":1,"lines":[{},{},{},{}]})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lines: has too many")));
  EXPECT_THAT(DecodeError(R"({"id":1,"note":"a\u0000b"})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("note: must not contain a NUL")));
  EXPECT_THAT(DecodeError("[]"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be an object")));
}

TEST(JsonTest, RefusesWhatIsNotJson) {
  for (const std::string& text :
       {std::string(""), std::string("{"), std::string("{\"id\":1"), std::string("nonsense"),
        std::string("{\"id\":1}\0x", 10), std::string("{\"id\":1}{}"),
        std::string("{\"id\":1,\"note\":\"\xff\xfe\"}"), std::string("{\"id\":1e999}"),
        std::string("{\"id\":01}"), std::string("{'id':1}")}) {
    EXPECT_THAT(DecodeError(text), HasErrorCode(ErrorCode::kInvalidRequest)) << text;
  }
}

// At every distance from the beginning, because eight bytes are looked at together.
TEST(JsonTest, TakesUtf8AndNothingElse) {
  for (size_t before = 0; before < 20; ++before) {
    const auto error = [&](const std::string& text) {
      return DecodeError("{\"id\":1,\"note\":\"" + std::string(before, 'a') + text + "\"}");
    };
    for (const char* good : {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                             "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "jalape\xC3\xB1os"}) {
      EXPECT_THAT(error(good), IsOk()) << before;
    }
    for (const char* bad :
         {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x9F\xBF", "\xE2\x82", "\xED\xA0\x80",
          "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
      EXPECT_THAT(error(bad), HasErrorCode(ErrorCode::kInvalidRequest)) << before;
      EXPECT_THAT(DecodeError(std::string(before, ' ') + bad), HasErrorCode(ErrorCode::kInvalidRequest));
    }
  }
}

TEST(JsonTest, DepthLimitIs32Levels) {
  const auto nested = [](int arrays) {
    return "{\"id\":1,\"extra\":" + std::string(static_cast<size_t>(arrays), '[') +
           std::string(static_cast<size_t>(arrays), ']') + "}";
  };
  EXPECT_THAT(DecodeError(nested(kMaxDepth - 1)), IsOk());
  EXPECT_THAT(DecodeError(nested(kMaxDepth)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("32 levels")));
  EXPECT_THAT(DecodeError(nested(1000000)), HasErrorCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(DecodeError("{\"id\":1,\"note\":\"" + std::string(100, '[') + "\"}"), IsOk());
}

TEST(DecimalTest, IsExact) {
  EXPECT_THAT(Decimal::FromDouble(12.99), IsOkAndHolds(Decimal{1299, 2}));
  EXPECT_THAT(Decimal::FromDouble(1.50), IsOkAndHolds(Decimal{15, 1}));
  EXPECT_THAT(Decimal::FromDouble(-0.05), IsOkAndHolds(Decimal{-5, 2}));
  EXPECT_THAT(Decimal::FromDouble(0), IsOkAndHolds(Decimal{0, 0}));
  EXPECT_THAT(Decimal::FromDouble(100), IsOkAndHolds(Decimal{100, 0}));
  EXPECT_THAT(Decimal::FromDouble(1e13), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Decimal::FromDouble(1e-300), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT((Decimal{1299, 2}).ToMinor(2), IsOkAndHolds(1299));
  EXPECT_THAT((Decimal{13, 0}).ToMinor(2), IsOkAndHolds(1300));
  EXPECT_THAT((Decimal{12345, 3}).ToMinor(2),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 decimals")));
  EXPECT_EQ(Decimal::FromMinor(1299, 2).ToString(), "12.99");
  EXPECT_EQ(Decimal::FromMinor(1300, 2).ToString(), "13");
  EXPECT_EQ(Decimal::FromMinor(-5, 2).ToString(), "-0.05");
  EXPECT_EQ(Decimal::FromMinor(INT64_MIN, 2).ToString(), "-92233720368547758.08");
}

}  // namespace
}  // namespace arc::json
