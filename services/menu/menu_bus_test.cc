// Two copies of the menu on a real nats-server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/bus/nats_bus.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu.h"
#include "services/menu/menu_file.h"
#include "tests/support/await.h"
#include "tests/support/nats_server.h"
#include "tests/support/process.h"

namespace arc::menu {
namespace {

using testing_support::Await;
using testing_support::NatsServer;

// One process of the agent, as far as the menu is concerned: its own connection, its own index.
class Copy {
 public:
  explicit Copy(const NatsServer& server) {
    bus::NatsOptions options;
    options.url = server.url();
    bus_ = bus::NatsBus::Connect(SystemClock::Get(), options).value();
    EXPECT_TRUE(bus_->AwaitConnected(absl::Seconds(10)));
    EXPECT_TRUE(Await("the bucket to open", absl::Seconds(10), [&] {
      absl::StatusOr<std::unique_ptr<bus::KeyValue>> bucket = bus_->OpenBucket(subjects::kMenuBucket);
      if (!bucket.ok()) return false;
      bucket_ = *std::move(bucket);
      return true;
    }));
    menu_ = std::make_unique<Menu>();
    EXPECT_THAT(menu_->Watch(*bucket_), IsOk());
    EXPECT_TRUE(Await("the menu to be read", absl::Seconds(60), [&] { return menu_->Health().ok(); }));
  }

  bus::KeyValue& bucket() { return *bucket_; }
  Menu& menu() { return *menu_; }

  bool Finds(const std::string& text, int64_t id) {
    messages::SearchRequest request;
    request.query = text;
    absl::StatusOr<messages::SearchResponse> response = menu_->Search(request);
    if (!response.ok()) return false;
    for (const messages::SearchItem& item : response->items) {
      if (item.id == id) return true;
    }
    return false;
  }
  bool OutOfStock(int64_t id) {
    messages::DetailsRequest request;
    request.item_id = id;
    return GetErrorCode(menu_->Details(request).status()) == ErrorCode::kItemOutOfStock;
  }
  absl::Status SetAvailable(int64_t id, bool available) {
    messages::SetAvailabilityRequest request;
    request.item_id = id;
    request.available = available;
    return menu_->SetAvailability(request).status();
  }

 private:
  std::unique_ptr<bus::NatsBus> bus_;
  std::unique_ptr<bus::KeyValue> bucket_;
  std::unique_ptr<Menu> menu_;  // last: it reads the bucket
};

messages::MenuFile DemoMenu() {
  return ParseMenuFile(testing_support::ReadFile(ARC_SOURCE_DIR "/deploy/demo/menu.json")).value();
}

TEST(MenuBusTest, EveryCopyStopsOfferingAnItemWithinASecond) {
  NatsServer server;
  server.Provision();
  Copy one(server);
  Copy other(server);
  ASSERT_THAT(ImportMenu(one.bucket(), DemoMenu()), IsOk());
  for (Copy* copy : {&one, &other}) {
    ASSERT_TRUE(
        Await("the imported menu", absl::Seconds(5), [&] { return copy->Finds("volcano burger", 101); }));
  }
  ASSERT_THAT(one.SetAvailable(101, false), IsOk());
  EXPECT_TRUE(one.OutOfStock(101)) << "its own answers change at once";
  for (Copy* copy : {&one, &other}) {
    EXPECT_TRUE(Await("item 101 to be off in every copy", absl::Seconds(1),
                      [&] { return copy->OutOfStock(101) && !copy->Finds("volcano burger", 101); }));
  }
  ASSERT_THAT(other.SetAvailable(101, true), IsOk());
  for (Copy* copy : {&one, &other}) {
    EXPECT_TRUE(Await("item 101 to be back in every copy", absl::Seconds(1),
                      [&] { return copy->Finds("volcano burger", 101); }));
  }
}

TEST(MenuBusTest, AMenuLargerThanAMessageIsImportedAndReadByALaterCopy) {
  NatsServer server;
  server.Provision();
  messages::MenuFile large = DemoMenu();
  const size_t demo_items = large.items.size();
  while (large.items.size() < 5000) {
    messages::MenuItem item = large.items[large.items.size() % demo_items];
    item.id = 10000 + static_cast<int64_t>(large.items.size());
    item.combo_of.clear();
    large.items.push_back(std::move(item));
  }
  {
    Copy one(server);
    ASSERT_THAT(ImportMenu(one.bucket(), large), IsOk());
    ASSERT_THAT(ImportMenu(one.bucket(), large), IsOk());
    ASSERT_TRUE(Await("the large menu", absl::Seconds(60), [&] { return one.Finds("volcano burger", 101); }));
    ASSERT_THAT(one.SetAvailable(102, false), IsOk());
  }
  Copy later(server);
  EXPECT_TRUE(later.Finds("volcano burger", 101)) << "healthy means searchable";
  EXPECT_TRUE(later.OutOfStock(102));
  messages::SearchRequest all;
  EXPECT_EQ(later.menu().Search(all)->total_matches, 4999);
}

TEST(MenuBusTest, TheMenuOutlivesTheServer) {
  NatsServer server;
  server.Provision();
  Copy one(server);
  Copy other(server);
  ASSERT_THAT(ImportMenu(one.bucket(), DemoMenu()), IsOk());
  ASSERT_TRUE(
      Await("the imported menu", absl::Seconds(60), [&] { return other.Finds("volcano burger", 101); }));
  server.Kill();
  EXPECT_TRUE(other.Finds("volcano burger", 101)) << "reading needs no server";
  server.Restart();
  ASSERT_TRUE(Await("an item to be taken off after the restart", absl::Seconds(20),
                    [&] { return one.SetAvailable(101, false).ok(); }));
  EXPECT_TRUE(
      Await("the other copy to follow again", absl::Seconds(20), [&] { return other.OutOfStock(101); }));
}

}  // namespace
}  // namespace arc::menu
