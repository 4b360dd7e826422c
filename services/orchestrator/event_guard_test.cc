#include "services/orchestrator/event_guard.h"

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::orchestrator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::Status Check(absl::string_view subject, absl::string_view body) {
  return CheckEvent({std::string(subject), "", {}, std::string(body)}, absl::UnixEpoch());
}

auto Refuses(absl::string_view what) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
}

TEST(CheckEvent, TakesTheSpecificationsExamples) {
  EXPECT_THAT(
      Check("kiosk.session.started", R"({"payload":{"event":"session_started","kiosk_id":"kiosk-001"}})"),
      IsOk());
  EXPECT_THAT(Check("kiosk.session.ended",
                    R"({"payload":{"event":"session_ended","reason":"timeout","duration_seconds":120.5}})"),
              IsOk());
  constexpr char kUpdate[] =
      R"({"payload":{"event":"ui_update","layout_mode":"hero_grid","theme_override":null,)"
      R"("components":[{"type":"HeroItem","data":{"id":101,"title":"Volcano Burger"}}],)"
      R"("suggested_actions":["Add to cart"]}})";
  EXPECT_THAT(Check("kiosk.ui.update", kUpdate), IsOk());
  EXPECT_THAT(Check("kiosk.ui.update.kiosk-007", kUpdate), IsOk());
}

TEST(CheckEvent, NamesWhatIsWrong) {
  EXPECT_THAT(Check("kiosk.session.started", "garbage"), Refuses("not JSON"));
  EXPECT_THAT(Check("kiosk.session.started", "{}"), Refuses("payload"));
  EXPECT_THAT(Check("kiosk.session.started", R"({"payload":{"kiosk_id":5}})"), Refuses("payload.kiosk_id"));
  EXPECT_THAT(Check("kiosk.session.ended", R"({"payload":{"reason":"bored","duration_seconds":1}})"),
              Refuses("payload.reason"));
  EXPECT_THAT(Check("kiosk.ui.update", R"({"payload":{"layout_mode":"x","components":5}})"),
              Refuses("payload.components"));
  EXPECT_THAT(Check("kiosk.ui.dance", R"({"payload":{}})"), Refuses("no such event"));
  EXPECT_THAT(Check("kiosk.session.started.kiosk-007", R"({"payload":{"kiosk_id":"kiosk-007"}})"),
              Refuses("no such event"));
}

TEST(CheckEvent, LeavesOtherFamiliesToTheirReaders) {
  EXPECT_THAT(Check("kiosk.session.order_completed", "garbage"), IsOk());
  EXPECT_THAT(Check("kiosk.input.touch", "garbage"), IsOk());
}

TEST(EventGuard, MakesDeadLettersOnceHoweverManyCopiesRun) {
  ManualClock clock;
  bus::MemoryBus bus(clock);
  bus.ProvisionDefault();
  const auto first = EventGuard::Start(bus);
  const auto second = EventGuard::Start(bus);
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  ASSERT_THAT(bus.Publish({"kiosk.session.started", "", {}, R"({"payload":{"kiosk_id":"kiosk-001"}})"}),
              IsOk());
  bus.RunUntilIdle();
  EXPECT_THAT(bus.Published("system.deadletter.>"), IsEmpty());
  ASSERT_THAT(bus.Publish({"kiosk.ui.update", "", {}, "garbage"}), IsOk());
  bus.RunUntilIdle();
  const auto letters = bus.Published("system.deadletter.>");
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_EQ(letters[0].subject, "system.deadletter.core.arc-orchestrator");
  EXPECT_THAT(letters[0].body, HasSubstr("kiosk.ui.update"));
}

}  // namespace
}  // namespace arc::orchestrator
