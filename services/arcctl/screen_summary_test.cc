#include "services/arcctl/screen_summary.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::arcctl {
namespace {

using ::testing::ElementsAre;

messages::UiUpdate Screen(absl::string_view json) {
  auto screen = json::Decode<messages::UiUpdate>(json);
  EXPECT_THAT(screen, IsOk());
  return screen.ok() ? *screen : messages::UiUpdate();
}

TEST(SummarizeScreen, ShowsACart) {
  EXPECT_THAT(
      SummarizeScreen(Screen(
          R"({"layout_mode":"cart","components":[)"
          R"({"type":"CartLines","data":{"lines":[{"line_id":1,"item_id":101,"name":"Volcano Burger","quantity":2,)"
          R"("unit_price":14.49,"line_total":28.98,"customizations":["Extra Cheese"],"note":"no ice"}]}},)"
          R"({"type":"Totals","data":{"subtotal":28.98,"tax":2.32,"total":31.3,"currency":"USD","count":2}}],)"
          R"("suggested_actions":["Checkout","Add more"]})")),
      ElementsAre("[cart]", "  CartLines", "    2 x 101 Volcano Burger 28.98 + Extra Cheese (no ice)",
                  "  Totals: 2 items  subtotal 28.98  tax 2.32  total 31.3  USD",
                  "  suggested: Checkout | Add more"));
}

TEST(SummarizeScreen, ShowsItemsAndWhatIsSoldOut) {
  EXPECT_THAT(
      SummarizeScreen(Screen(
          R"({"layout_mode":"hero_grid","components":[{"type":"ItemGrid","data":{"title":"Burgers","total":2,)"
          R"("items":[{"id":101,"title":"Volcano Burger","price":12.99},)"
          R"({"id":102,"title":"Plain Burger","price":9,"available":false}]}}],"suggested_actions":[]})")),
      ElementsAre("[hero_grid]", "  ItemGrid: Burgers  total 2", "    101 Volcano Burger 12.99",
                  "    102 Plain Burger 9 - sold out"));
}

TEST(SummarizeScreen, AComponentOfAnotherShapeIsNamed) {
  EXPECT_THAT(
      SummarizeScreen(Screen(
          R"({"layout_mode":"x","components":[{"type":"New","data":{"title":7}}],"suggested_actions":[]})")),
      ElementsAre("[x]", "  New"));
}

TEST(IsSettled, NotWhileSomethingIsAwaited) {
  const auto settled = [](absl::string_view data) {
    return IsSettled(
        Screen(absl::StrCat(R"({"layout_mode":"x","components":[{"type":"A","data":{}},{"type":"B","data":)",
                            data, R"(}],"suggested_actions":[]})")));
  };
  EXPECT_TRUE(settled("{}"));
  EXPECT_TRUE(settled(R"({"loading":false,"updating":false,"verified":true})"));
  EXPECT_FALSE(settled(R"({"loading":true})"));
  EXPECT_FALSE(settled(R"({"updating":true})"));
  EXPECT_FALSE(settled(R"({"verified":false})"));
}

TEST(RefusalOn, IsAWarningThatStandsForWhatWasAskedOrTheErrorLayout) {
  const auto refusal = [](absl::string_view type, absl::string_view data) {
    return RefusalOn(Screen(
        absl::StrCat(R"({"layout_mode":"x","components":[{"type":"A","data":{"severity":"error"}},{"type":")",
                     type, R"(","data":)", data, R"(}],"suggested_actions":[]})")));
  };
  EXPECT_EQ(
      refusal("Notice", R"({"code":"ITEM_OUT_OF_STOCK","text":"It is sold out.","severity":"warning"})"),
      "ITEM_OUT_OF_STOCK: It is sold out.");
  EXPECT_EQ(refusal("Notice", R"({"code":"UNAVAILABLE","text":"No menu.","severity":"error"})"),
            "UNAVAILABLE: No menu.");
  EXPECT_EQ(refusal("ErrorMessage", R"({"code":"TIMEOUT","text":"No answer.","way_out":"Try again."})"),
            "TIMEOUT: No answer.");
  EXPECT_EQ(refusal("Notice", R"({"code":"ADDED","text":"Added.","severity":"info"})"), std::nullopt);
  EXPECT_EQ(refusal("Notice", R"({"code":"ALLERGEN","text":"It contains nuts.","severity":"warning"})"),
            std::nullopt);
  EXPECT_EQ(refusal("CartSummary", R"({"count":1})"), std::nullopt);
}

}  // namespace
}  // namespace arc::arcctl
