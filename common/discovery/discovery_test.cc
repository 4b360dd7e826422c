#include "common/discovery/discovery.h"

#include "common/memory_bus/memory_bus.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DiscoveryTest : public ::testing::Test {
 protected:
  std::unique_ptr<ServiceResponder> StartOne(const std::string& id) {
    absl::StatusOr<std::unique_ptr<ServiceResponder>> responder = ServiceResponder::Start(
        bus_, {"menu", id, "0.1.0", "Finds \"food\"", {{"engine", "xapian"}, {"kiosk_id", "kiosk-001"}}},
        [this] { return endpoints_; });
    EXPECT_THAT(responder, IsOk());
    return *std::move(responder);
  }

  // The answers to a request, each.
  std::vector<std::string> Ask(const std::string& subject) {
    std::vector<std::string> answers;
    auto inbox = *bus_.Subscribe("inbox", "", [&](const bus::Message& m) { answers.push_back(m.body); });
    bus::Message request;
    request.subject = subject;
    request.reply = "inbox";
    EXPECT_THAT(bus_.Publish(request), IsOk());
    bus_.RunUntilIdle();
    return answers;
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  std::vector<EndpointStats> endpoints_ = {
      {"search",
       "kiosk.agent.menu.search",
       "menu",
       4,
       1,
       "bad \"query\"",
       absl::Microseconds(10),
       {{0.1, 1}, {1, 3}, 4, 7.25}},
      {"list", "kiosk.agent.menu.list", "menu", 0, 0, "", absl::ZeroDuration(), {{0.1, 1}, {0, 0}, 0, 0}}};
};

TEST_F(DiscoveryTest, PingIsAnsweredByAllByNameAndById) {
  auto one = StartOne("one");
  auto two = StartOne("two");
  EXPECT_THAT(Ask("$SRV.PING"), SizeIs(2));
  EXPECT_THAT(Ask("$SRV.PING.menu"), SizeIs(2));
  EXPECT_THAT(Ask("$SRV.PING.menu.one"),
              ElementsAre(R"({"type":"io.nats.micro.v1.ping_response","name":"menu","id":"one",)"
                          R"("version":"0.1.0","metadata":{"engine":"xapian","kiosk_id":"kiosk-001"}})"));
  EXPECT_THAT(Ask("$SRV.PING.payment"), IsEmpty());
}

TEST_F(DiscoveryTest, InfoListsTheEndpoints) {
  auto one = StartOne("one");
  EXPECT_THAT(
      Ask("$SRV.INFO.menu"),
      ElementsAre(
          R"({"type":"io.nats.micro.v1.info_response","name":"menu","id":"one",)"
          R"("version":"0.1.0","metadata":{"engine":"xapian","kiosk_id":"kiosk-001"},)"
          R"("description":"Finds \"food\"","endpoints":[)"
          R"({"name":"search","subject":"kiosk.agent.menu.search","queue_group":"menu","metadata":{}},)"
          R"({"name":"list","subject":"kiosk.agent.menu.list","queue_group":"menu","metadata":{}}]})"));
}

TEST_F(DiscoveryTest, StatsCountAndAverageInNanoseconds) {
  auto one = StartOne("one");
  clock_.Advance(absl::Minutes(5));
  EXPECT_THAT(
      Ask("$SRV.STATS.menu.one"),
      ElementsAre(
          R"({"type":"io.nats.micro.v1.stats_response","name":"menu","id":"one",)"
          R"("version":"0.1.0","metadata":{"engine":"xapian","kiosk_id":"kiosk-001"},)"
          R"("started":"2025-12-14T14:00:00.000Z","endpoints":[)"
          R"({"name":"search","subject":"kiosk.agent.menu.search","queue_group":"menu","num_requests":4,)"
          R"("num_errors":1,"last_error":"bad \"query\"","processing_time":10000,)"
          R"("average_processing_time":2500,)"
          R"("data":{"latency_ms":{"le":[0.1,1.0],"buckets":[1,3],"count":4,"sum":7.25}}},)"
          R"({"name":"list","subject":"kiosk.agent.menu.list","queue_group":"menu","num_requests":0,)"
          R"("num_errors":0,"last_error":"","processing_time":0,"average_processing_time":0,)"
          R"("data":{"latency_ms":{"le":[0.1,1.0],"buckets":[0,0],"count":0,"sum":0.0}}}]})"));
}

TEST_F(DiscoveryTest, AnEndedResponderIsSilent) {
  auto one = StartOne("one");
  one.reset();
  EXPECT_THAT(Ask("$SRV.PING"), IsEmpty());
}

}  // namespace
}  // namespace arc
