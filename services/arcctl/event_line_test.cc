#include "services/arcctl/event_line.h"

#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::arcctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Time kNoon = absl::FromUnixSeconds(1765713600);  // 2025-12-14T12:00:00Z

bus::Message Event(std::string subject, std::string body) {
  bus::Message message;
  message.subject = std::move(subject);
  message.body = std::move(body);
  return message;
}

TEST(EventLine, ShowsTimeKioskSubjectAndEssence) {
  EXPECT_EQ(
      EventLine(Event("kiosk.input.touch",
                      R"({"msg_id":"a","payload":{"event":"touch","action":"select_item","item_id":101,)"
                      R"("customizations":[],"note":"no ice","component":null}})"),
                kNoon),
      "12:00:00.000  kiosk-001  kiosk.input.touch               action=select_item item_id=101 note=\"no "
      "ice\"");
}

TEST(EventLine, TakesTheKioskFromSubjectOrHeader) {
  EXPECT_THAT(EventLine(Event("kiosk.input.touch.kiosk-007", R"({"payload":{"action":"start"}})"), kNoon),
              HasSubstr("kiosk-007  kiosk.input.touch  "));
  bus::Message message = Event("kiosk.input.touch", R"({"payload":{"action":"start"}})");
  message.headers.Set(subjects::kKioskIdHeader, "kiosk-009");
  EXPECT_THAT(EventLine(message, kNoon), HasSubstr("kiosk-009  kiosk.input.touch"));
  EXPECT_TRUE(IsOfKiosk(message, "kiosk-009"));
  EXPECT_FALSE(IsOfKiosk(message, "kiosk-001"));
  EXPECT_TRUE(IsOfKiosk(Event("kiosk.input.touch", "{}"), "kiosk-001"));
  EXPECT_TRUE(IsOfKiosk(Event("system.service.error", "{}"), "kiosk-001"));
}

TEST(EventLine, ShowsAScreenByItsComponents) {
  EXPECT_THAT(EventLine(Event("kiosk.ui.update",
                              R"({"payload":{"event":"ui_update","layout_mode":"cart","theme_override":null,)"
                              R"("components":[{"type":"CartLines","data":{}},{"type":"Totals","data":{}}],)"
                              R"("suggested_actions":[]}})"),
                        kNoon),
              HasSubstr("cart: CartLines Totals"));
}

TEST(EventLine, FlatMessagesAndNestedFields) {
  EXPECT_THAT(EventLine(Event("system.service.error",
                              R"({"service":"arc-hardware","timestamp":"t","error_type":"out_of_paper"})"),
                        kNoon),
              HasSubstr("service=arc-hardware error_type=out_of_paper"));
  EXPECT_THAT(
      EventLine(
          Event("kiosk.session.order_completed",
                R"({"payload":{"lines":[{"item_id":1},{"item_id":2}],"payment":{"transaction_id":"t1"}}})"),
          kNoon),
      HasSubstr("lines=[2] payment{transaction_id=t1}"));
}

TEST(EventLine, WhatIsNoJsonCannotSteerTheTerminal) {
  const std::string line = EventLine(Event("kiosk.input.touch", "\x1b[2Jhello\xff"), kNoon);
  EXPECT_THAT(line, HasSubstr("not a JSON object: \\x1b[2Jhello\\xff"));
  const std::string escaped =
      EventLine(Event("kiosk.input.text", R"({"payload":{"text":"a\u001b[31m b"}})"), kNoon);
  EXPECT_THAT(escaped, Not(HasSubstr("\x1b")));
}

TEST(EventJson, IsTheMessageWithItsSubject) {
  EXPECT_EQ(EventJson(Event("kiosk.input.touch.k7", "{ \"payload\": {\"action\":\"start\"} }"), kNoon),
            R"({"subject":"kiosk.input.touch.k7","kiosk_id":"k7","payload":{"action":"start"}})");
  EXPECT_EQ(EventJson(Event("system.x", "{}"), kNoon), R"({"subject":"system.x"})");
  EXPECT_EQ(EventJson(Event("system.x", "[1]"), kNoon), R"({"subject":"system.x","invalid":"[1]"})");
}

TEST(HeartbeatFilter, LetsFirstOnesAndChangesPass) {
  const auto heartbeat = [](const std::string& id, const std::string& status) {
    return Event(
        "system.health.heartbeat",
        R"({"service":"arc-menu","timestamp":"t","status":")" + status +
            R"(","metrics":{"active_sessions":0,"cpu_percent":0,"memory_mb":1,"threads":1},"instance_id":")" +
            id + "\"}");
  };
  HeartbeatFilter filter;
  EXPECT_TRUE(filter.IsNews(heartbeat("1", "healthy")));
  EXPECT_FALSE(filter.IsNews(heartbeat("1", "healthy")));
  EXPECT_TRUE(filter.IsNews(heartbeat("2", "healthy")));
  EXPECT_TRUE(filter.IsNews(heartbeat("1", "draining")));
  EXPECT_TRUE(filter.IsNews(Event("kiosk.ui.update", "{}")));
  EXPECT_THAT(EventLine(heartbeat("1", "healthy"), kNoon), HasSubstr("arc-menu healthy"));
}

}  // namespace
}  // namespace arc::arcctl
