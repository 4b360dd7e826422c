#include "common/subjects/subjects.h"

#include "gtest/gtest.h"

namespace arc::subjects {
namespace {

TEST(SubjectsTest, ScopeAndBack) {
  EXPECT_EQ(Scope(kUiUpdate, "kiosk-007"), "kiosk.ui.update.kiosk-007");
  EXPECT_EQ(Scope(kUiUpdate, ""), "kiosk.ui.update");
  EXPECT_EQ(SplitScope("kiosk.ui.update.kiosk-007").base, "kiosk.ui.update");
  EXPECT_EQ(SplitScope("kiosk.ui.update.kiosk-007").kiosk_id, "kiosk-007");
  EXPECT_EQ(SplitScope("kiosk.ui.update").kiosk_id, "");
  EXPECT_EQ(SplitScope("kiosk.agent.hardware.led.k2").base, kHardwareLed);
  EXPECT_EQ(SplitScope("kiosk.agent.hardware.led.k2").kiosk_id, "k2");
  EXPECT_EQ(SplitScope("kiosk.hardware.led.k2").kiosk_id, "k2");
  EXPECT_EQ(SplitScope(kHardwareLed).kiosk_id, "");
  EXPECT_EQ(SplitScope("kiosk.agent.menu.search").base, kMenuSearch);
  EXPECT_EQ(SplitScope("kiosk.session.started").kiosk_id, "");
}

TEST(SubjectsTest, AliasOfHardware) {
  EXPECT_EQ(ResolveAlias("kiosk.hardware.led"), kHardwareLed);
  EXPECT_EQ(ResolveAlias("kiosk.hardware.led.k2"), "kiosk.agent.hardware.led.k2");
  EXPECT_EQ(ResolveAlias(kMenuSearch), kMenuSearch);
}

TEST(SubjectsTest, KioskIds) {
  EXPECT_TRUE(IsValidKioskId("kiosk-007"));
  EXPECT_FALSE(IsValidKioskId(""));
  EXPECT_FALSE(IsValidKioskId("a.b"));
  EXPECT_FALSE(IsValidKioskId("a*"));
  EXPECT_FALSE(IsValidKioskId(std::string(65, 'a')));
}

TEST(SubjectsTest, NamesAndRooms) {
  EXPECT_TRUE(IsName("a_B-9", 5));
  EXPECT_FALSE(IsName("a_B-9x", 5));
  for (const char* bad : {"", "a b", "a.b", "a*", ">", "caf\xc3\xa9", "a/b", "a\n"}) {
    EXPECT_FALSE(IsName(bad, 100)) << bad;
    EXPECT_FALSE(IsValidRoom(bad)) << bad;
  }
  EXPECT_TRUE(IsValidRoom(std::string(100, 'a')));
  EXPECT_FALSE(IsValidRoom(std::string(101, 'a')));
}

TEST(SubjectsTest, Matching) {
  EXPECT_TRUE(Matches("kiosk.agent.>", "kiosk.agent.menu.search"));
  EXPECT_FALSE(Matches("kiosk.agent.>", "kiosk.agent"));
  EXPECT_TRUE(Matches("kiosk.*.menu.search", "kiosk.agent.menu.search"));
  EXPECT_FALSE(Matches("kiosk.agent.menu", "kiosk.agent.menu.search"));
  EXPECT_FALSE(Matches("kiosk.agent.menu.*", "kiosk.agent.menu"));
}

TEST(SubjectsTest, Overlaps) {
  EXPECT_TRUE(Overlap("kiosk.agent.>", "kiosk.agent.menu.*"));
  EXPECT_FALSE(Overlap("kiosk.agent.hardware.*", "kiosk.agent.hardware.*.k2"));
  EXPECT_TRUE(Overlap("kiosk.agent.hardware.>", "kiosk.agent.hardware.*.k2"));
  EXPECT_FALSE(Overlap("kiosk.agent.menu.>", "kiosk.agent.payment.>"));
  EXPECT_TRUE(Overlap("a.*", "*.b"));
}

TEST(IsPublishable, TakesWhatTheServerTakes) {
  for (const char* subject : {"a", "a.b", "_INBOX.x-1", "$JS.ACK.1"}) EXPECT_TRUE(IsPublishable(subject));
  for (const char* subject : {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\tb", "a\r\n", "a\x7f"}) {
    EXPECT_FALSE(IsPublishable(subject)) << subject;
  }
}

}  // namespace
}  // namespace arc::subjects
