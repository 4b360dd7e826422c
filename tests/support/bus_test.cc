#include "tests/support/bus_test.h"

#include <utility>

#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace arc::testing_support {

namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

}  // namespace

void BusTest::SetUp() {
  server_.Provision();
  bus_ = Connect();
  ASSERT_NE(bus_, nullptr);
}

std::unique_ptr<bus::NatsBus> BusTest::Connect() const {
  bus::NatsOptions options;
  options.url = server_.url();
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  if (info != nullptr) options.name = info->test_suite_name();
  absl::StatusOr<std::unique_ptr<bus::NatsBus>> bus = bus::NatsBus::Connect(SystemClock::Get(), options);
  EXPECT_TRUE(bus.ok()) << bus.status();
  if (!bus.ok()) return nullptr;
  if (!(*bus)->AwaitConnected(kPatience)) {
    ADD_FAILURE() << server_.url() << " does not answer within " << kPatience;
    return nullptr;
  }
  return *std::move(bus);
}

}  // namespace arc::testing_support
