#include "services/voice/replies.h"

#include "gtest/gtest.h"

namespace arc::voice {
namespace {

TEST(Replies, SoundsAreNoWords) {
  for (const char* sound : {"", " ", "um", "Hmm...", "ha ha ha", "uh, um", "ahem"}) {
    EXPECT_TRUE(IsFiller(sound)) << sound;
  }
  for (const char* words : {"um a cola", "ham", "okay", "no", "yes", "one", "hey"}) {
    EXPECT_FALSE(IsFiller(words)) << words;
  }
}

TEST(Replies, YesAndNo) {
  for (const char* yes : {"yes", "Yes, please.", "um yeah", "that's right"}) {
    EXPECT_EQ(ReplyOf(yes), Reply::kYes) << yes;
  }
  for (const char* no : {"no", "nope", "uh no", "No, thanks."}) EXPECT_EQ(ReplyOf(no), Reply::kNo) << no;
  for (const char* other : {"", "hmm", "a burger", "no onions", "yes and a cola", "no a burger"}) {
    EXPECT_EQ(ReplyOf(other), Reply::kOther) << other;
  }
}

TEST(Replies, WhatIsMeantInstead) {
  EXPECT_EQ(WithoutNo("no, I said a burger"), "a burger");
  EXPECT_EQ(WithoutNo("no a cola"), "a cola");
  EXPECT_EQ(WithoutNo("a cola"), "a cola");
  EXPECT_EQ(WithoutNo("nothing"), "nothing");
}

}  // namespace
}  // namespace arc::voice
