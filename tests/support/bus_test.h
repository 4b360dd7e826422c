// The fixture of tests of an agent on the bus: a real nats-server with the streams, buckets and consumers of
// deploy/streams.json, and a connection to it.
//
//   class MenuBusTest : public testing_support::BusTest { ... };
//
// A fixture with a SetUp() of its own calls this one's first. What a test makes on `bus_` is gone before it
// when the test's own class holds it.
#ifndef ARC_TESTS_SUPPORT_BUS_TEST_H_
#define ARC_TESTS_SUPPORT_BUS_TEST_H_

#include <memory>

#include "common/bus/nats_bus.h"
#include "gtest/gtest.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::testing_support {

class BusTest : public ::testing::Test {
 protected:
  void SetUp() override;

  // A further connection to the same server. Fails the test, and gives null, when the server does not answer.
  std::unique_ptr<bus::NatsBus> Connect() const;

  NatsServer server_;
  TempDir folder_;
  std::unique_ptr<bus::NatsBus> bus_;
};

}  // namespace arc::testing_support

#endif  // ARC_TESTS_SUPPORT_BUS_TEST_H_
