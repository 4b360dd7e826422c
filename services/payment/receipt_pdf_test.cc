#include "services/payment/receipt_pdf.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/payment/money_format.h"
#include "tests/support/process.h"

namespace arc::payment {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Receipt SpecificationExample() {
  Receipt receipt;
  receipt.restaurant = "Volcano Diner";
  receipt.restaurant_details = "12 Crater Road, Hilo\nTax id 12-3456789";
  receipt.order_id = "order-0001";
  receipt.transaction_id = "txn-5b1f6a52-8f0c-4d3e-9a77-1f2e3d4c5b6a";
  receipt.paid_at_ms = 1765719000000;
  receipt.lines = {{"Volcano Burger", 1, 1299, {{"Extra Cheese", 150}, {"No Onions", 0}}, "well done"},
                   {"Iced Cola", 2, 599, {}, ""}};
  receipt.subtotal_minor = 2497;
  receipt.tax_minor = 2;
  receipt.total_minor = 2499;
  receipt.card = "Visa •••• 4242";
  receipt.loyalty_card = "LOYALTY123";
  receipt.loyalty_points = 25;
  receipt.qr_text = "/receipts/txn-5b1f6a52-8f0c-4d3e-9a77-1f2e3d4c5b6a.pdf";
  return receipt;
}

// `text` as a regular expression that means it.
std::string Literal(const std::string& text) {
  return absl::StrReplaceAll(text, {{"$", "\\$"}, {".", "\\."}});
}

// What poppler, a reader independent of the library that wrote the file, makes of it.
class ReceiptPdfTest : public ::testing::Test {
 protected:
  void SetUp() override {}
  std::string Path() const { return folder_.File("receipt.pdf"); }

  std::string Render(const Receipt& receipt) {
    absl::StatusOr<std::string> pdf = RenderReceiptPdf(receipt, ReceiptStyle());
    EXPECT_TRUE(pdf.ok()) << pdf.status();
    if (!pdf.ok()) return "";
    std::ofstream(Path(), std::ios::binary) << *pdf;
    return *pdf;
  }
  std::string Run(const std::string& command) {
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return "cannot run " + command;
    char buffer[4096];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return out;
  }
  std::string Words() { return Run("pdftotext -layout " + Path() + " - 2>/dev/null"); }
  std::string Info() { return Run("pdfinfo " + Path() + " 2>/dev/null"); }

  testing_support::TempDir folder_;
};

TEST_F(ReceiptPdfTest, ShowsEverythingThatWasPaid) {
  EXPECT_THAT(Render(SpecificationExample()), StartsWith("%PDF-"));
  EXPECT_THAT(Words(),
              AllOf(HasSubstr("Volcano Diner"), HasSubstr("12 Crater Road, Hilo"), HasSubstr("order-0001"),
                    HasSubstr("14 Dec 2025, 13:30 UTC"), HasSubstr("Volcano Burger"), HasSubstr("$12.99"),
                    HasSubstr("Extra Cheese ($1.50)"), HasSubstr("No Onions"), HasSubstr("“well done”")));
  EXPECT_THAT(Words(), AllOf(HasSubstr("2×"), HasSubstr("$5.99"), HasSubstr("$11.98"), HasSubstr("$24.97"),
                             HasSubstr("$0.02"), HasSubstr("$24.99"), HasSubstr("Visa •••• 4242"),
                             HasSubstr("LOYALTY123"), HasSubstr("25 points"), HasSubstr("txn-5b1f6a52")));
  EXPECT_THAT(Info(), AllOf(HasSubstr("Pages:           1"), HasSubstr("419.53 x 595.28")));
}

TEST_F(ReceiptPdfTest, ShowsTheNumberThatIsCalledOut) {
  Receipt receipt = SpecificationExample();
  receipt.order_number = "A 47";
  Render(receipt);
  EXPECT_THAT(Words(), AllOf(HasSubstr("A 47"), HasSubstr("order-0001")));
}

TEST_F(ReceiptPdfTest, TheSameReceiptGivesTheSameBytes) {
  EXPECT_EQ(Render(SpecificationExample()), Render(SpecificationExample()));
}

TEST_F(ReceiptPdfTest, WritesDishNamesOfManyLanguages) {
  Receipt receipt = SpecificationExample();
  receipt.lines[0].name = "Crème brûlée";
  receipt.lines[1].name = "Борщ μουσακάς";
  Render(receipt);
  EXPECT_THAT(Words(), AllOf(HasSubstr("Crème brûlée"), HasSubstr("Борщ μουσακάς")));
  EXPECT_THAT(Run("pdffonts " + Path() + " 2>/dev/null"), HasSubstr("yes yes"));
}

TEST_F(ReceiptPdfTest, ReadersFindNothingWrongWithIt) {
  Receipt receipt = SpecificationExample();
  receipt.lines[1].name = "Борщ μουσακάς 汉堡";
  Render(receipt);
  EXPECT_EQ(Run("pdftotext " + Path() + " - 2>&1 >/dev/null"), "");
  EXPECT_THAT(Words(), HasSubstr("汉堡")) << "as text, even where the font has only boxes";
}

TEST_F(ReceiptPdfTest, LargeAmountsKeepTheirDistance) {
  Receipt receipt = SpecificationExample();
  receipt.lines[0].unit_price_minor = 123456789;
  receipt.subtotal_minor = receipt.total_minor = 123456789 + 1198;
  receipt.tax_minor = 0;
  for (const char* currency : {"USD", "VND", "KWD"}) {
    SCOPED_TRACE(currency);
    receipt.currency = currency;
    Render(receipt);
    const std::string amount = FormatMoney(123456789, currency);
    const std::string total = FormatMoney(receipt.total_minor, currency);
    EXPECT_THAT(Words(),
                AllOf(ContainsRegex("Volcano Burger +" + Literal(amount) + " +" + Literal(amount) + "\n"),
                      ContainsRegex("Subtotal +" + Literal(total) + "\n"),
                      ContainsRegex("Total +" + Literal(total) + "\n")));
  }
  receipt.lines = {{"Everything on the menu", 999, 99999999, {{"Gold leaf", 0}}, ""}};
  receipt.subtotal_minor = receipt.total_minor = 99999999LL * 999 * 200;
  Render(receipt);
  EXPECT_THAT(Words(), AllOf(ContainsRegex("Everything on .*KWD 99999.999 +KWD 99899999.001\n"),
                             ContainsRegex("Total +KWD 19979999800.200\n")));
}

TEST_F(ReceiptPdfTest, WrapsLongNamesInsideTheirColumn) {
  Receipt receipt = SpecificationExample();
  receipt.lines[0].name =
      "Slow smoked double Volcano burger with caramelised onions, pickled jalapeños and aged cheddar";
  receipt.lines[1].name = std::string(120, 'Q');
  Render(receipt);
  const std::string words = Words();
  EXPECT_THAT(words, AllOf(HasSubstr("Slow smoked"), HasSubstr("cheddar"), HasSubstr("$12.99")));
  size_t count = 0;
  for (const char c : words) count += c == 'Q' ? 1 : 0;
  EXPECT_EQ(count, 121U) << words;  // And the Q of "Qty".
}

TEST_F(ReceiptPdfTest, TakesAsManyPagesAsItNeeds) {
  Receipt receipt = SpecificationExample();
  receipt.lines.clear();
  for (int i = 1; i <= 100; ++i)
    receipt.lines.push_back({absl::StrCat("Dish number ", i), 1, 100, {{"Hot", 0}}, ""});
  receipt.subtotal_minor = 10000;
  receipt.tax_minor = 0;
  receipt.total_minor = 10000;
  Render(receipt);
  const std::string words = Words();
  for (int i = 1; i <= 100; ++i) EXPECT_THAT(words, HasSubstr(absl::StrCat("Dish number ", i))) << i;
  EXPECT_THAT(words, AllOf(HasSubstr("Page 1 of 7"), HasSubstr("Page 7 of 7"), HasSubstr("$100.00")));
}

TEST_F(ReceiptPdfTest, OneLineLongerThanAPageIsContinued) {
  Receipt receipt = SpecificationExample();
  for (int i = 1; i <= 120; ++i) receipt.lines[0].modifiers.push_back({absl::StrCat("Modifier ", i), 0});
  Render(receipt);
  EXPECT_THAT(Words(), AllOf(HasSubstr("Modifier 1\n"), HasSubstr("Modifier 120\n"), HasSubstr("continued")));
}

TEST_F(ReceiptPdfTest, BytesThatAreNotTextDoNoHarm) {
  Receipt receipt = SpecificationExample();
  receipt.lines[0].name = std::string("Bad \xff\xc3 \xed\xa0\x80 \xf0\x9f\x8d\x94 ") + '\0' + "\x07 end";
  receipt.restaurant = "";
  receipt.lines[1].name = "";
  Render(receipt);
  EXPECT_THAT(Words(), AllOf(HasSubstr("Bad \xEF\xBF\xBD"), HasSubstr("end")));
}

TEST_F(ReceiptPdfTest, EmptyTextsLeaveTheirRowOut) {
  Receipt receipt = SpecificationExample();
  receipt.loyalty_card.clear();
  receipt.loyalty_points = 0;
  receipt.card.clear();
  receipt.qr_text.clear();
  receipt.lines.clear();
  Render(receipt);
  EXPECT_THAT(Words(), ::testing::Not(::testing::AnyOf(HasSubstr("Loyalty"), HasSubstr("Paid with"))));
}

TEST(RenderReceiptPdf, SaysWhichFontIsMissing) {
  ReceiptStyle style;
  style.bold_font_file = "/nowhere/Bold.ttf";
  const absl::StatusOr<std::string> pdf = RenderReceiptPdf(SpecificationExample(), style);
  EXPECT_EQ(pdf.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(pdf.status().message()), HasSubstr("/nowhere/Bold.ttf"));
}

TEST(RenderReceiptPdf, RefusesAQrCodeThatNoPhoneCouldRead) {
  Receipt receipt = SpecificationExample();
  receipt.qr_text = std::string(1001, 'x');
  EXPECT_EQ(RenderReceiptPdf(receipt, ReceiptStyle()).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace arc::payment
