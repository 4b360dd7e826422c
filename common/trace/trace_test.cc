#include "common/trace/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status/status.h"
#include "common/trace/collected.h"

namespace arc::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kTrace[] = "550e8400-e29b-41d4-a716-446655440000";
constexpr char kOther[] = "650e8400-e29b-41d4-a716-446655440001";
constexpr char kHeader[] = "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01";

TEST(TraceTest, AHeaderIsReadAndWritten) {
  const SpanContext context = FromHeader(kHeader);
  EXPECT_EQ(context.trace_id, kTrace);
  EXPECT_EQ(context.span_id, 0x00f067aa0ba902b7u);
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(ToHeader(context), kHeader);
  EXPECT_EQ(ToHeader(FromHeader("00-550E8400E29B41D4A716446655440000-00f067aa0ba902b7-00")),
            "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-00");
  // A later version, with more behind it.
  EXPECT_TRUE(FromHeader(absl::StrCat("01", std::string(kHeader).substr(2), "-more")).valid());
  EXPECT_EQ(ToHeader(SpanContext()), "");
}

TEST(TraceTest, AMalformedHeaderIsNone) {
  for (const char* header : {"", "garbage", "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7",
                             "00-550e8400e29b41d4a716446655440000-0000000000000000-01",
                             "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                             "ff-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01",
                             "00-550e8400e29b41d4a71644665544000x-00f067aa0ba902b7-01",
                             "00-550e8400e29b41d4a716446655440000-00f067aa0ba902bx-01",
                             "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-zz",
                             "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-01-more",
                             "00-550e8400e29b41d4a716446655440000+00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(FromHeader(header).valid()) << header;
  }
}

TEST(TraceTest, ATurnsSpanFollowsFromItsTrace) {
  const SpanContext root = RootOf(kTrace);
  EXPECT_EQ(root.trace_id, kTrace);
  EXPECT_EQ(root.span_id, 0xa716446655440000u);
  EXPECT_EQ(RootOf("550E8400-E29B-41D4-A716-446655440000").trace_id, kTrace);
  EXPECT_EQ(RootOf("550e8400-e29b-41d4-0000-000000000000").span_id, 0x550e8400e29b41d4u);
  for (const char* trace_id :
       {"", "t-1", "550e8400e29b41d4a716446655440000", "550e8400-e29b-41d4-a716-44665544000x",
        "00000000-0000-0000-0000-000000000000"}) {
    EXPECT_FALSE(RootOf(trace_id).valid()) << trace_id;
  }
}

TEST(TraceTest, TheParentOfAMessageIsItsHeadersIfThatIsOfItsTrace) {
  EXPECT_EQ(ParentOf(kHeader, kTrace).span_id, 0x00f067aa0ba902b7u);
  EXPECT_EQ(ParentOf(kHeader, "").span_id, 0x00f067aa0ba902b7u);
  EXPECT_EQ(ToHeader(ParentOf(kHeader, kOther)), ToHeader(RootOf(kOther)));
  EXPECT_EQ(ToHeader(ParentOf("garbage", kTrace)), ToHeader(RootOf(kTrace)));
  EXPECT_FALSE(ParentOf("garbage", "").valid());
}

TEST(TraceTest, AScopeIsOfItsThreadAndEnds) {
  const SpanContext context = FromHeader(kHeader);
  {
    const Scope scope(context);
    EXPECT_EQ(Current().span_id, context.span_id);
    EXPECT_EQ(ContextFor(kTrace).span_id, context.span_id);
    EXPECT_EQ(ContextFor(kOther).span_id, RootOf(kOther).span_id);
    std::thread([] { EXPECT_FALSE(Current().valid()); }).join();
    {
      const Scope none{SpanContext()};
      EXPECT_FALSE(Current().valid());
    }
    EXPECT_EQ(Current().span_id, context.span_id);
  }
  EXPECT_FALSE(Current().valid());
}

TEST(TraceTest, SpansNameTheirParents) {
  Collected collected;
  {
    Span outer("process menu", SpanKind::kConsumer, FromHeader(kHeader));
    outer.Set("messaging.system", "nats");
    outer.Set("deliveries", 2);
    outer.Set("share", 0.5);
    outer.Set("again", true);
    const Scope scope(outer.context());
    Span inner("engine", SpanKind::kInternal);
    EXPECT_TRUE(inner.recording());
  }
  const std::vector<SpanData> spans = collected.Take();
  ASSERT_THAT(spans, SizeIs(2));
  const SpanData& inner = spans[0];
  const SpanData& outer = spans[1];
  EXPECT_EQ(outer.parent_span_id, 0x00f067aa0ba902b7u);
  EXPECT_EQ(inner.parent_span_id, outer.context.span_id);
  EXPECT_EQ(inner.context.trace_id, kTrace);
  EXPECT_NE(inner.context.span_id, outer.context.span_id);
  EXPECT_EQ(outer.kind, SpanKind::kConsumer);
  EXPECT_THAT(outer.attributes,
              ElementsAre(Pair("messaging.system", AttributeValue(std::string("nats"))),
                          Pair("deliveries", AttributeValue(int64_t{2})), Pair("share", AttributeValue(0.5)),
                          Pair("again", AttributeValue(true))));
  EXPECT_LE(outer.start, inner.start);
  EXPECT_LE(inner.end, outer.end);
}

TEST(TraceTest, TheRootHasNoParentAndTheIdThatOthersName) {
  Collected collected;
  const absl::Time start = absl::FromUnixSeconds(1'000);
  Span::Root("turn", SpanKind::kServer, RootOf(kTrace), start).End(start + absl::Seconds(1));
  const std::vector<SpanData> spans = collected.Take();
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].parent_span_id, 0u);
  EXPECT_EQ(spans[0].context.span_id, RootOf(kTrace).span_id);
  EXPECT_EQ(spans[0].end - spans[0].start, absl::Seconds(1));
}

TEST(TraceTest, NothingEndsBeforeItBegan) {
  Collected collected;
  const absl::Time start = absl::FromUnixSeconds(1'000);
  Record("queue", SpanKind::kConsumer, RootOf(kTrace), start, start - absl::Seconds(3));
  const std::vector<SpanData> spans = collected.Take();
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].end, start);
}

TEST(TraceTest, AFailureIsTold_AnOutcomeIsNone_AndNoMessageIs) {
  Collected collected;
  Span("a", SpanKind::kInternal, RootOf(kTrace)).SetStatus(absl::OkStatus());
  Span("b", SpanKind::kInternal, RootOf(kTrace))
      .SetStatus(MakeError(ErrorCode::kMenuNotFound, "no 'my words'"));
  Span("c", SpanKind::kInternal, RootOf(kTrace)).SetStatus(absl::UnavailableError("my words"));
  const std::vector<SpanData> spans = collected.Take();
  ASSERT_THAT(spans, SizeIs(3));
  EXPECT_THAT(spans[0].attributes, SizeIs(0));
  EXPECT_FALSE(spans[0].failed);
  EXPECT_THAT(spans[1].attributes,
              ElementsAre(Pair("error.type", AttributeValue(std::string("MENU_NOT_FOUND")))));
  EXPECT_FALSE(spans[1].failed);
  EXPECT_THAT(spans[2].attributes,
              ElementsAre(Pair("error.type", AttributeValue(std::string("UNAVAILABLE")))));
  EXPECT_TRUE(spans[2].failed);
}

TEST(TraceTest, WithoutAProcessorOrATraceNothingIsRecordedAndTheParentIsHandedOn) {
  EXPECT_EQ(Span("a", SpanKind::kInternal, FromHeader(kHeader)).context().span_id, 0x00f067aa0ba902b7u);
  Collected collected;
  EXPECT_FALSE(Span("a", SpanKind::kInternal).recording());
  const Span not_kept("a", SpanKind::kInternal,
                      FromHeader("00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-00"));
  EXPECT_FALSE(not_kept.recording());
  EXPECT_EQ(ToHeader(not_kept.context()), "00-550e8400e29b41d4a716446655440000-00f067aa0ba902b7-00");
  EXPECT_THAT(collected.Take(), SizeIs(0));
}

TEST(TraceTest, AShareOfAllTracesIsKept) {
  Collected collected;
  const auto kept = [](double ratio) {
    SetSampling(ratio);
    int count = 0;
    // The low halves of UUIDs of version 4: two fixed bits, then random ones.
    for (uint64_t i = 0; i < 4000; ++i) {
      const uint64_t low = 0x8000'0000'0000'0000 | ((i * 0x9E37'79B9'7F4A'7C15) >> 2);
      const SpanContext root =
          RootOf(absl::StrFormat("550e8400-e29b-41d4-%04x-%012x", low >> 48, low & 0xFFFFFFFFFFFF));
      EXPECT_TRUE(root.valid());
      if (root.sampled) ++count;
    }
    return count;
  };
  EXPECT_EQ(kept(1), 4000);
  EXPECT_EQ(kept(0), 0);
  EXPECT_NEAR(kept(0.25), 1000, 40);
}

TEST(TraceTest, TextOfOthersIsShortAndPrintable) {
  EXPECT_EQ(Bounded("a\nb\xff", 10), "a?b?");
  EXPECT_THAT(Bounded(std::string(1000, 'x')), SizeIs(256));
}

}  // namespace
}  // namespace arc::trace
