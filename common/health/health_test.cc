#include "common/health/health.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/health/health.grpc.pb.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Seconds(20);

class HealthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const absl::StatusOr<int> port = server_.Start("127.0.0.1", 0);
    ASSERT_THAT(port, IsOk());
    address_ = absl::StrCat("127.0.0.1:", *port);
    stub_ = Health::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }

  // A watch that ends in an error rather than waiting for ever.
  struct Watch {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
    std::string Next() {
      HealthCheckResponse response;
      if (reader->Read(&response)) return HealthCheckResponse::ServingStatus_Name(response.status());
      return "end: " + reader->Finish().error_message();
    }
  };
  std::unique_ptr<Watch> StartWatch(const std::string& service) {
    auto watch = std::make_unique<Watch>();
    watch->context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kLimit));
    HealthCheckRequest request;
    request.set_service(service);
    watch->reader = stub_->Watch(&watch->context, request);
    return watch;
  }

  HealthServer server_{{"", "menu"}};
  std::string address_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthTest, IsNotServingUntilTold) {
  EXPECT_THAT(ProbeHealth(address_, "", kLimit),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NOT_SERVING")));
  server_.SetServing(true);
  EXPECT_THAT(ProbeHealth(address_, "", kLimit), IsOk());
  EXPECT_THAT(ProbeHealth(address_, "menu", kLimit), IsOk());
  server_.SetServing("menu", false);
  EXPECT_THAT(ProbeHealth(address_, "", kLimit), IsOk());
  EXPECT_THAT(ProbeHealth(address_, "menu", kLimit),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NOT_SERVING")));
}

TEST_F(HealthTest, AnUnknownServiceIsNotFound) {
  EXPECT_THAT(ProbeHealth(address_, "soup", kLimit),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such service")));
}

TEST_F(HealthTest, WatchersHearEveryChange) {
  std::unique_ptr<Watch> all = StartWatch("");
  std::unique_ptr<Watch> menu = StartWatch("menu");
  std::unique_ptr<Watch> soup = StartWatch("soup");
  EXPECT_EQ(all->Next(), "NOT_SERVING");
  EXPECT_EQ(menu->Next(), "NOT_SERVING");
  EXPECT_EQ(soup->Next(), "SERVICE_UNKNOWN");
  server_.SetServing(true);
  EXPECT_EQ(all->Next(), "SERVING");
  EXPECT_EQ(menu->Next(), "SERVING");
  server_.SetServing("menu", false);
  EXPECT_EQ(menu->Next(), "NOT_SERVING");
  server_.SetServing(false);
  EXPECT_EQ(all->Next(), "NOT_SERVING");
}

TEST_F(HealthTest, OutlivesWatchersThatGoAway) {
  for (int i = 0; i < 20; ++i) {
    std::unique_ptr<Watch> watch = StartWatch("");
    EXPECT_EQ(watch->Next(), i % 2 == 0 ? "NOT_SERVING" : "SERVING");
    watch->context.TryCancel();
    server_.SetServing(i % 2 == 0);
  }
  EXPECT_THAT(ProbeHealth(address_, "", kLimit),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NOT_SERVING")));
}

TEST_F(HealthTest, StopEndsWatchesAndFreesThePort) {
  std::unique_ptr<Watch> watch = StartWatch("");
  EXPECT_EQ(watch->Next(), "NOT_SERVING");
  server_.Stop();
  EXPECT_THAT(watch->Next(), HasSubstr("end"));
  EXPECT_THAT(ProbeHealth(address_, "", absl::Seconds(5)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
}

TEST_F(HealthTest, ATakenPortIsUnavailable) {
  HealthServer other({""});
  const int port = std::stoi(address_.substr(address_.find(':') + 1));
  EXPECT_THAT(other.Start("127.0.0.1", port), StatusIs(absl::StatusCode::kUnavailable, HasSubstr(address_)));
}

}  // namespace
}  // namespace arc
