#include "services/brain/cart.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/brain/test_kiosk.h"

namespace arc::brain {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Each change is carried out by the orchestrator's own session machine; both carts must agree.
class CartTest : public ::testing::Test {
 protected:
  messages::IntentItem Item(int64_t id, int64_t quantity, std::vector<std::string> modifiers = {},
                            const std::string& note = "") {
    messages::IntentItem item;
    item.item_id = id;
    item.name = kiosk_.tools().catalogue().Find(id)->name;
    item.quantity = quantity;
    item.modifiers = std::move(modifiers);
    if (!note.empty()) item.note = note;
    return item;
  }
  void Start() {
    std::vector<messages::Intent> intents;
    Cart cart;
    cart.Add(Item(101, 2), 1299, intents);
    cart.Add(Item(101, 1, {"Extra Cheese"}), 1449, intents);
    cart.Add(Item(101, 3, {}, "well done"), 1299, intents);
    cart.Add(Item(201, 1), 599, intents);
    kiosk_.Apply(intents);
  }
  Cart Now() { return Cart(kiosk_.Snapshot().cart.lines, 2); }

  static std::vector<std::string> Text(const Cart& cart) {
    std::vector<std::string> lines;
    for (const Cart::Line& line : cart.lines()) {
      std::string text = std::to_string(line.item.quantity) + "x" + std::to_string(line.item.item_id);
      for (const std::string& name : line.item.modifiers) text += "/" + name;
      text += line.item.note.value_or("");
      lines.push_back(text + "@" + std::to_string(line.unit_price));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  void Agree(const Cart& cart, const std::vector<messages::Intent>& intents) {
    kiosk_.Apply(intents);
    EXPECT_EQ(Text(Now()), Text(cart));
    EXPECT_EQ(Now().total(), cart.total());
  }

  TestKiosk kiosk_{ARC_SOURCE_DIR "/deploy/demo/menu.json"};
};

TEST_F(CartTest, EveryLineCanBeRemovedChangedAndCounted) {
  for (size_t line = 0; line < 4; ++line) {
    for (int change = 0; change < 5; ++change) {
      SCOPED_TRACE(testing::Message() << "line " << line << ", change " << change);
      kiosk_.Reset();
      Start();
      Cart cart = Now();
      ASSERT_THAT(cart.lines(), SizeIs(4));
      std::vector<messages::Intent> intents;
      switch (change) {
        case 0:
          cart.Remove(line, 0, intents);
          break;
        case 1:
          cart.Remove(line, 1, intents);
          break;
        case 2:
          cart.SetQuantity(line, 7, intents);
          break;
        case 3: {
          const bool burger = cart.lines()[line].item.item_id == 101;
          cart.Modify(line, {burger ? "No Onions" : "Large"}, "", burger ? 1299 : 699, intents);
          break;
        }
        case 4:
          cart.Modify(line, cart.lines()[line].item.modifiers, "quickly", cart.lines()[line].unit_price,
                      intents);
          break;
      }
      Agree(cart, intents);
    }
  }
}

TEST_F(CartTest, LinesThatBecomeAlikeAreOne) {
  Start();
  Cart cart = Now();
  std::vector<messages::Intent> intents;
  cart.Modify(1, {}, "", 1299, intents);
  EXPECT_THAT(cart.lines(), SizeIs(3));
  Agree(cart, intents);
}

TEST_F(CartTest, ItemsThatAreAddedTogetherAreOneIntent) {
  std::vector<messages::Intent> intents;
  Cart cart;
  cart.Add(Item(101, 2), 1299, intents);
  cart.Add(Item(201, 1), 599, intents);
  ASSERT_THAT(intents, SizeIs(1));
  EXPECT_THAT(intents[0].entities.items, SizeIs(2));
  EXPECT_EQ(cart.total(), 2 * 1299 + 599);
}

}  // namespace
}  // namespace arc::brain
