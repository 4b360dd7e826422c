#include "services/menu/menu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/memory_bus/memory_bus.h"
#include "common/status/status.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "services/menu/menu_file.h"

namespace arc::menu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

messages::MenuFile DemoMenu() {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  std::stringstream text;
  text << file.rdbuf();
  return ParseMenuFile(text.str()).value();
}

// `count` items named "<word> 1", ..., each described by about `bytes` bytes.
messages::MenuFile NumberedMenu(const std::string& word, int count, size_t bytes = 10) {
  messages::MenuFile menu;
  menu.currency = "USD";
  menu.categories = {{"all", "Everything"}};
  for (int i = 1; i <= count; ++i) {
    messages::MenuItem item;
    item.id = i;
    item.name = absl::StrCat(word, " ", i);
    item.category = "all";
    item.description = std::string(bytes, 'x');
    item.price = {100, 0};
    menu.items.push_back(std::move(item));
  }
  return menu;
}

template <class T>
ErrorCode CodeOf(const absl::StatusOr<T>& result) {
  EXPECT_FALSE(result.ok());
  return GetErrorCode(result.status()).value_or(ErrorCode::kInternal);
}

class MenuTest : public ::testing::Test {
 protected:
  MenuTest() {
    bus_.ProvisionDefault();
    bucket_ = bus_.OpenBucket(subjects::kMenuBucket).value();
  }

  void Import(const messages::MenuFile& menu) {
    ASSERT_THAT(ImportMenu(*bucket_, menu), IsOk());
    bus_.RunUntilIdle();
  }
  void Start(Menu& menu) {
    ASSERT_THAT(menu.Watch(*bucket_), IsOk());
    bus_.RunUntilIdle();
  }
  static absl::StatusOr<messages::SearchResponse> Search(const Menu& menu, const std::string& text) {
    messages::SearchRequest request;
    request.query = text;
    return menu.Search(request);
  }
  static absl::StatusOr<messages::DetailsResponse> Details(const Menu& menu, int64_t id) {
    messages::DetailsRequest request;
    request.item_id = id;
    return menu.Details(request);
  }
  absl::Status SetAvailable(Menu& menu, int64_t id, bool available) {
    messages::SetAvailabilityRequest request;
    request.item_id = id;
    request.available = available;
    absl::StatusOr<messages::SetAvailabilityResponse> response = menu.SetAvailability(request);
    if (!response.ok()) return response.status();
    EXPECT_EQ(response->item_id, id);
    EXPECT_EQ(response->available, available);
    return absl::OkStatus();
  }
  size_t KeysWithPrefix(absl::string_view prefix) {
    size_t count = 0;
    const std::vector<std::string> keys = bucket_->Keys().value();
    for (const std::string& key : keys) count += absl::StartsWith(key, prefix) ? 1 : 0;
    return count;
  }

  ManualClock clock_;
  bus::MemoryBus bus_{clock_};
  std::unique_ptr<bus::KeyValue> bucket_;
};

TEST_F(MenuTest, SearchAnswersAsTheSpecificationHasIt) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  messages::SearchRequest request;
  request.query = "spicy burger";
  request.tags = {"spicy"};
  absl::StatusOr<messages::SearchResponse> response = menu.Search(request);
  ASSERT_THAT(response, IsOk());
  const messages::SearchItem& first = response->items.at(0);
  EXPECT_EQ(first.id, 101);
  EXPECT_EQ(first.name, "Volcano Burger");
  EXPECT_EQ(first.price, (Decimal{1299, 2}));
  EXPECT_EQ(first.image, "/img/volcano.png");
  EXPECT_THAT(first.tags, ElementsAre("spicy", "popular"));
  EXPECT_TRUE(first.available);
  EXPECT_EQ(response->total_matches, 4);
  EXPECT_EQ(CodeOf(Search(menu, "zzqxv plutonium")), ErrorCode::kMenuNotFound);
  request.dietary_filters = {"carnivore"};
  EXPECT_EQ(CodeOf(menu.Search(request)), ErrorCode::kInvalidRequest);
  EXPECT_THAT(menu.Search(request).status().message(), HasSubstr("payload.dietary_filters[0]"));
}

TEST_F(MenuTest, DetailsAreTheWholeItem) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  absl::StatusOr<messages::DetailsResponse> response = Details(menu, 101);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->item.name, "Volcano Burger");
  EXPECT_EQ(response->item.calories, 850);
  EXPECT_THAT(response->item.allergens, ElementsAre("gluten", "dairy"));
  ASSERT_THAT(response->item.customizations, SizeIs(2));
  EXPECT_EQ(response->item.customizations[1].name, "No Onions");
  EXPECT_EQ(CodeOf(Details(menu, 999)), ErrorCode::kMenuNotFound);
}

TEST_F(MenuTest, ListIsTheMenuByCategoryWithUnavailableItemsMarked) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  ASSERT_THAT(SetAvailable(menu, 301, false), IsOk());
  absl::StatusOr<messages::ListResponse> all = menu.List({});
  ASSERT_THAT(all, IsOk());
  EXPECT_EQ(all->currency, "USD");
  EXPECT_FALSE(all->truncated);
  ASSERT_THAT(all->categories, SizeIs(8));
  size_t items = 0;
  for (const messages::ListCategory& category : all->categories) {
    items += category.items.size();
    for (const messages::SearchItem& item : category.items) EXPECT_EQ(item.available, item.id != 301);
  }
  EXPECT_EQ(items, DemoMenu().items.size());
  messages::ListRequest request;
  request.category = "coffee";
  absl::StatusOr<messages::ListResponse> coffee = menu.List(request);
  ASSERT_THAT(coffee, IsOk());
  ASSERT_THAT(coffee->categories, SizeIs(1));
  EXPECT_THAT(coffee->categories[0].items, SizeIs(10));
  request.category = "sushi";
  EXPECT_EQ(CodeOf(menu.List(request)), ErrorCode::kMenuNotFound);
}

TEST_F(MenuTest, AnItemTakenOffDisappearsFromEveryCopyUntilItIsPutBack) {
  Import(DemoMenu());
  Menu one;
  Menu other;
  Start(one);
  Start(other);
  ASSERT_THAT(SetAvailable(one, 101, false), IsOk());
  // Its own answers change at once, the others' with the bucket's next event.
  EXPECT_EQ(CodeOf(Details(one, 101)), ErrorCode::kItemOutOfStock);
  bus_.RunUntilIdle();
  for (Menu* menu : {&one, &other}) {
    EXPECT_EQ(CodeOf(Details(*menu, 101)), ErrorCode::kItemOutOfStock);
    absl::StatusOr<messages::SearchResponse> found = Search(*menu, "volcano burger");
    ASSERT_THAT(found, IsOk());
    for (const messages::SearchItem& item : found->items) EXPECT_NE(item.id, 101);
  }
  ASSERT_THAT(SetAvailable(other, 101, true), IsOk());
  bus_.RunUntilIdle();
  for (Menu* menu : {&one, &other}) {
    EXPECT_THAT(Details(*menu, 101), IsOk());
    EXPECT_EQ(Search(*menu, "volcano burger")->items.at(0).id, 101);
  }
  EXPECT_EQ(GetErrorCode(SetAvailable(one, 999, false)), ErrorCode::kMenuNotFound);
}

TEST_F(MenuTest, AComboIsOffWithAnyOfItsParts) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  ASSERT_THAT(SetAvailable(menu, 201, false), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(CodeOf(Details(menu, 301)), ErrorCode::kItemOutOfStock);
  EXPECT_THAT(Details(menu, 101), IsOk());
  ASSERT_THAT(SetAvailable(menu, 201, true), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(Details(menu, 301), IsOk());
}

TEST_F(MenuTest, ACopyThatStartsLaterKnowsWhatWasTakenOff) {
  Import(DemoMenu());
  Menu one;
  Start(one);
  ASSERT_THAT(SetAvailable(one, 101, false), IsOk());
  ASSERT_THAT(SetAvailable(one, 102, false), IsOk());
  ASSERT_THAT(SetAvailable(one, 102, true), IsOk());
  Menu later;
  Start(later);
  EXPECT_EQ(CodeOf(Details(later, 101)), ErrorCode::kItemOutOfStock);
  EXPECT_THAT(Details(later, 102), IsOk());
}

TEST_F(MenuTest, OffStaysOffWhenAMenuIsImportedAndTheFileDecidesTheRest) {
  messages::MenuFile menu_file = NumberedMenu("Soup", 3);
  menu_file.items[2].available = false;
  Import(menu_file);
  Menu menu;
  Start(menu);
  EXPECT_EQ(CodeOf(Details(menu, 3)), ErrorCode::kItemOutOfStock) << "as the file says";
  ASSERT_THAT(SetAvailable(menu, 1, false), IsOk());
  ASSERT_THAT(SetAvailable(menu, 3, true), IsOk());
  EXPECT_THAT(Details(menu, 3), IsOk());
  Import(menu_file);
  EXPECT_EQ(CodeOf(Details(menu, 1)), ErrorCode::kItemOutOfStock) << "the kitchen still has none";
  EXPECT_EQ(CodeOf(Details(menu, 3)), ErrorCode::kItemOutOfStock) << "the new file says so";
  Menu later;
  Start(later);
  EXPECT_EQ(CodeOf(Details(later, 1)), ErrorCode::kItemOutOfStock);
  EXPECT_EQ(CodeOf(Details(later, 3)), ErrorCode::kItemOutOfStock);
}

TEST_F(MenuTest, WithoutAMenuItIsHealthyAndSaysThatThereIsNone) {
  Menu menu;
  EXPECT_THAT(menu.Health(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("KIOSK_MENU")));
  Start(menu);
  EXPECT_THAT(menu.Health(), IsOk());
  EXPECT_EQ(CodeOf(Search(menu, "burger")), ErrorCode::kMenuNotFound);
  EXPECT_EQ(CodeOf(Details(menu, 101)), ErrorCode::kMenuNotFound);
  EXPECT_EQ(CodeOf(menu.List({})), ErrorCode::kMenuNotFound);
  EXPECT_EQ(GetErrorCode(SetAvailable(menu, 101, false)), ErrorCode::kMenuNotFound);
  Import(DemoMenu());
  EXPECT_THAT(Search(menu, "burger"), IsOk());
}

TEST_F(MenuTest, ALargeMenuIsReplacedAtOnceAndLeavesNothingBehind) {
  Import(NumberedMenu("Soup", 3000, 900));
  EXPECT_GT(KeysWithPrefix("menu."), 5u) << "the menu has to be larger than one message";
  Menu menu;
  Start(menu);
  EXPECT_EQ(Search(menu, "soup")->total_matches, 3000);
  Import(NumberedMenu("Salad", 2));
  EXPECT_EQ(CodeOf(Search(menu, "soup")), ErrorCode::kMenuNotFound);
  EXPECT_EQ(Search(menu, "salad")->total_matches, 2);
  EXPECT_EQ(KeysWithPrefix("menu."), 1u);
  Menu later;
  Start(later);
  EXPECT_EQ(Search(later, "salad")->total_matches, 2);
}

TEST_F(MenuTest, EveryReplyFitsIntoOneMessage) {
  messages::MenuFile large = NumberedMenu("Soup", 1000);
  for (messages::MenuItem& item : large.items) {
    for (int i = 0; i < 50; ++i) item.tags.push_back(std::string(90, 'a'));
  }
  Import(large);
  Menu menu;
  Start(menu);
  messages::SearchRequest request;
  request.limit = 1000;
  absl::StatusOr<messages::SearchResponse> found = menu.Search(request);
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->total_matches, 1000);
  EXPECT_LT(json::Encode(*found).size(), 950000u);
  EXPECT_GT(found->items.size(), 100u);
  absl::StatusOr<messages::ListResponse> list = menu.List({});
  ASSERT_THAT(list, IsOk());
  EXPECT_TRUE(list->truncated);
  EXPECT_LT(json::Encode(*list).size(), 950000u);
}

// A bucket that runs `hook` before each write, and fails the write when the hook says so.
class HookedBucket : public bus::KeyValue {
 public:
  using Hook = std::function<absl::Status(absl::string_view operation, absl::string_view key)>;
  HookedBucket(bus::KeyValue& bucket, Hook hook) : bucket_(bucket), hook_(std::move(hook)) {}

  absl::StatusOr<Entry> Get(absl::string_view key) override { return bucket_.Get(key); }
  absl::StatusOr<uint64_t> Put(absl::string_view key, absl::string_view value) override {
    const absl::Status status = hook_("put", key);
    return status.ok() ? bucket_.Put(key, value) : status;
  }
  absl::StatusOr<uint64_t> Create(absl::string_view key, absl::string_view value) override {
    const absl::Status status = hook_("create", key);
    return status.ok() ? bucket_.Create(key, value) : status;
  }
  absl::StatusOr<uint64_t> Update(absl::string_view key, absl::string_view value,
                                  uint64_t revision) override {
    const absl::Status status = hook_("update", key);
    return status.ok() ? bucket_.Update(key, value, revision) : status;
  }
  absl::Status Delete(absl::string_view key) override { return bucket_.Delete(key); }
  absl::Status Purge(absl::string_view key) override {
    const absl::Status status = hook_("purge", key);
    return status.ok() ? bucket_.Purge(key) : status;
  }
  absl::StatusOr<std::vector<std::string>> Keys() override { return bucket_.Keys(); }
  absl::StatusOr<std::unique_ptr<bus::Subscription>> Watch(absl::string_view filter,
                                                           std::function<void(const Entry&)> on_entry,
                                                           std::function<void()> on_current) override {
    return bucket_.Watch(filter, std::move(on_entry), std::move(on_current));
  }

 private:
  bus::KeyValue& bucket_;
  Hook hook_;
};

TEST_F(MenuTest, AnImportThatFailsAnywhereChangesNothing) {
  Import(NumberedMenu("Soup", 3));
  Menu menu;
  Start(menu);
  const messages::MenuFile large = NumberedMenu("Salad", 2000, 900);
  int writes = 0;
  HookedBucket counting(*bucket_, [&](absl::string_view operation, absl::string_view) {
    writes += operation != "purge" ? 1 : 0;
    return absl::OkStatus();
  });
  ASSERT_THAT(ImportMenu(counting, large), IsOk());
  Import(NumberedMenu("Soup", 3));
  ASSERT_GT(writes, 4);
  for (int fail_at = 1; fail_at <= writes; ++fail_at) {
    int n = 0;
    HookedBucket failing(*bucket_, [&](absl::string_view operation, absl::string_view) {
      if (operation == "purge") return absl::OkStatus();
      // What a reader sees in the middle is the menu of before.
      bus_.RunUntilIdle();
      EXPECT_EQ(Search(menu, "soup")->total_matches, 3);
      return ++n == fail_at ? MakeError(ErrorCode::kUnavailable, "cut") : absl::OkStatus();
    });
    EXPECT_THAT(ImportMenu(failing, large),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not changed")));
    bus_.RunUntilIdle();
    EXPECT_EQ(Search(menu, "soup")->total_matches, 3);
    EXPECT_EQ(KeysWithPrefix("menu."), 1u) << "nothing is left behind";
    Menu later;
    Start(later);
    EXPECT_EQ(Search(later, "soup")->total_matches, 3);
  }
}

TEST_F(MenuTest, OfTwoImportsAtTheSameTimeOneStandsWhole) {
  Import(NumberedMenu("Soup", 3));
  Menu menu;
  Start(menu);
  bool done = false;
  HookedBucket interrupted(*bucket_, [&](absl::string_view operation, absl::string_view) {
    if (operation == "update" && !done) {
      done = true;
      EXPECT_THAT(ImportMenu(*bucket_, NumberedMenu("Pizza", 4)), IsOk());
    }
    return absl::OkStatus();
  });
  EXPECT_THAT(ImportMenu(interrupted, NumberedMenu("Salad", 2)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("at the same time")));
  bus_.RunUntilIdle();
  EXPECT_EQ(Search(menu, "pizza")->total_matches, 4);
  EXPECT_EQ(KeysWithPrefix("menu."), 1u);
}

TEST_F(MenuTest, AnImportWhoseLastAnswerIsLostIsRecognised) {
  Import(NumberedMenu("Soup", 3));
  HookedBucket lossy(*bucket_, [&](absl::string_view operation, absl::string_view) {
    if (operation == "update") bus_.FailKeyValue(1, bus::MemoryBus::Fault::kAfter);
    return absl::OkStatus();
  });
  EXPECT_THAT(ImportMenu(lossy, NumberedMenu("Salad", 2)), IsOk());
  Menu menu;
  Start(menu);
  EXPECT_EQ(Search(menu, "salad")->total_matches, 2);
}

TEST_F(MenuTest, ImportRefusesWhatIsNoMenu) {
  messages::MenuFile bad = NumberedMenu("Soup", 2);
  bad.items[1].id = 1;
  EXPECT_THAT(ImportMenu(*bucket_, bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("twice")));
  EXPECT_THAT(*bucket_->Keys(), IsEmpty());
}

TEST_F(MenuTest, AReconnectBringsWhatWasMissed) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  bus_.SetConnected(false);
  bus_.RunUntilIdle();
  EXPECT_THAT(Search(menu, "burger"), IsOk()) << "reading needs no bus";
  EXPECT_EQ(GetErrorCode(SetAvailable(menu, 101, false)), ErrorCode::kUnavailable);
  EXPECT_THAT(Details(menu, 101), IsOk()) << "what was not stored did not happen";
  bus_.SetConnected(true);
  bus_.RunUntilIdle();
  ASSERT_THAT(SetAvailable(menu, 101, false), IsOk());
  bus_.RunUntilIdle();
  EXPECT_EQ(CodeOf(Details(menu, 101)), ErrorCode::kItemOutOfStock);
}

TEST_F(MenuTest, RubbishInTheBucketIsIgnored) {
  Import(DemoMenu());
  Menu menu;
  Start(menu);
  for (const char* key :
       {"availability.101", "availability.x", "menu.zzz.0", "menu.zzz", "other", "current"}) {
    ASSERT_THAT(bucket_->Put(key, "\xff{not json"), IsOk());
  }
  bus_.RunUntilIdle();
  EXPECT_THAT(Details(menu, 101), IsOk());
  EXPECT_THAT(Search(menu, "burger"), IsOk());
  ASSERT_THAT(bucket_->Put("current", R"({"generation":"zzz","chunks":1,"bytes":10})"), IsOk());
  bus_.RunUntilIdle();
  EXPECT_THAT(Search(menu, "burger"), IsOk());
  Import(NumberedMenu("Soup", 3));
  EXPECT_EQ(Search(menu, "soup")->total_matches, 3);
}

TEST_F(MenuTest, ReadersOnOtherThreadsAlwaysSeeOneWholeMenu) {
  Import(NumberedMenu("Soup", 40));
  Menu menu;
  Start(menu);
  std::atomic<bool> stop{false};
  std::atomic<int> mixed{0};
  std::atomic<int64_t> searches{0};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        messages::SearchRequest request;
        request.limit = 100;
        absl::StatusOr<messages::SearchResponse> all = menu.Search(request);
        if (!all.ok()) {
          ++mixed;
          continue;
        }
        const bool soup = absl::StartsWith(all->items[0].name, "Soup");
        const int64_t size = soup ? 40 : 30;
        // At most item 1 is off.
        if (all->total_matches != size && all->total_matches != size - 1) ++mixed;
        for (const messages::SearchItem& item : all->items) {
          if (absl::StartsWith(item.name, "Soup") != soup) ++mixed;
        }
        ++searches;
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    Import(i % 2 == 0 ? NumberedMenu("Salad", 30) : NumberedMenu("Soup", 40));
    ASSERT_THAT(SetAvailable(menu, 1, i % 3 == 0), IsOk());
    bus_.RunUntilIdle();
    const int64_t seen = searches;
    while (searches < seen + 3) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed, 0);
}

}  // namespace
}  // namespace arc::menu
