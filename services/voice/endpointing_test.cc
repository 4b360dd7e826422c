#include "services/voice/endpointing.h"

#include <string>

#include "gtest/gtest.h"

namespace arc::voice {
namespace {

TEST(Judge, Complete) {
  for (const char* words :
       {"yes", "No.", "that's all", "no that's all thanks", "two volcano burgers",
        "two volcano burgers please", "a large cola", "I'd like a veggie burger without onions",
        "what is in the volcano burger", "how many calories does it have", "show my cart", "checkout",
        "I would like to pay", "cancel my order", "make it two", "no, the other one", "remove the cola",
        "can I get fries", "I'd like two burgers and a cola"}) {
    EXPECT_EQ(Judge(words), Completeness::kComplete) << words;
  }
}

TEST(Judge, SomethingHasToFollow) {
  for (const char* words : {"a burger with", "I would like", "can I get a", "two", "a large", "I want two",
                            "a burger without", "with extra", "remove the", "what is", "a cola for"}) {
    const Completeness judged = Judge(words);
    if (std::string(words) == "two") {
      EXPECT_EQ(judged, Completeness::kUnknown);  // it may answer "how many?"
    } else {
      EXPECT_EQ(judged, Completeness::kOpen) << words;
    }
  }
}

TEST(Judge, TheCustomerHoldsTheFloor) {
  for (const char* words : {"um", "two burgers and", "a cola and, um", "let me see", "hold on", "uh",
                            "burgers or", "I'd like a burger but"}) {
    EXPECT_EQ(Judge(words), Completeness::kWaiting) << words;
  }
}

TEST(Judge, Unknown) {
  for (const char* words : {"", "   ", "...", "burger", "volcano"}) {
    EXPECT_EQ(Judge(words), Completeness::kUnknown) << words;
  }
}

TEST(Judge, AnyBytesAreJudged) {
  Judge(std::string(100000, 'a'));
  Judge(std::string("\xff\xfe\x00\x80 and", 8));
  std::string many;
  for (int i = 0; i < 10000; ++i) many += "and ";
  EXPECT_EQ(Judge(many), Completeness::kWaiting);
}

TEST(EndpointingDelay, IsBetweenItsBounds) {
  const absl::Duration min = absl::Milliseconds(500);
  const absl::Duration max = absl::Seconds(3);
  EXPECT_EQ(EndpointingDelay("yes please", min, max), min);
  EXPECT_EQ(EndpointingDelay("", min, max), absl::Seconds(1));
  EXPECT_EQ(EndpointingDelay("a burger with", min, max), absl::Seconds(2));
  EXPECT_EQ(EndpointingDelay("a burger and", min, max), max);
  EXPECT_EQ(EndpointingDelay("a burger and", max, min), max);
}

}  // namespace
}  // namespace arc::voice
