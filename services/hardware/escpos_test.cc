#include "services/hardware/escpos.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/hardware/code_page.h"
#include "services/hardware/receipt_reader.h"

namespace arc::hardware {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

// The order of the kiosk specification, section 7.3.
Receipt Example() {
  Receipt receipt;
  receipt.restaurant_name = "Volcano Grill";
  receipt.order_id = "order-7f3a";
  receipt.printed_at = "2025-12-14 13:30 UTC";
  receipt.lines = {{"Volcano Burger", 1, 1299, {"Extra Cheese", "No Onions"}, "well done please"},
                   {"Iced Cola", 2, 599, {}, ""}};
  receipt.subtotal = 2497;
  receipt.tax = 2;
  receipt.total = 2499;
  receipt.currency = "USD";
  receipt.transaction_id = "txn-1";
  receipt.qr_text = "https://example.com/receipts/txn-1.pdf";
  return receipt;
}

std::string Print(const Receipt& receipt, const ReceiptFormat& format = {}) {
  const auto bytes = RenderReceipt(receipt, format);
  EXPECT_THAT(bytes, IsOk());
  return bytes.value_or("");
}

std::string Text(const Receipt& receipt, const ReceiptFormat& format = {}) {
  const auto text = EscPosToText(Print(receipt, format), format.columns);
  EXPECT_THAT(text, IsOk());
  return text.value_or("");
}

std::vector<PaperLine> Lines(const Receipt& receipt, const ReceiptFormat& format = {}) {
  const auto lines = ReadEscPos(Print(receipt, format));
  EXPECT_THAT(lines, IsOk());
  return lines.value_or(std::vector<PaperLine>());
}

TEST(EscPosTest, ReceiptReadsAsACustomerExpects) {
  EXPECT_EQ(Text(Example()),
            "                 Volcano Grill\n"
            "                     Order\n"
            "                      7F3A\n"
            "              2025-12-14 13:30 UTC\n"
            "------------------------------------------------\n"
            "1 x Volcano Burger                         12.99\n"
            "    + Extra Cheese\n"
            "    + No Onions\n"
            "    \"well done please\"\n"
            "2 x Iced Cola                              11.98\n"
            "    5.99 each\n"
            "------------------------------------------------\n"
            "Subtotal                                   24.97\n"
            "Tax                                         0.02\n"
            "TOTAL          24.99 USD\n"
            "------------------------------------------------\n"
            "               Transaction txn-1\n"
            "                Order order-7f3a\n"
            "\n"
            "[QR code: https://example.com/receipts/txn-1.pdf]\n"
            "\n"
            "                   Thank you!\n"
            "\n"
            "8<----------------------------------------------\n");
}

TEST(EscPosTest, NarrowPaperKeepsPricesAtItsEdge) {
  const std::string text = Text(Example(), {42, "CP437"});
  EXPECT_THAT(text, HasSubstr("\n1 x Volcano Burger                   12.99\n"));
  EXPECT_THAT(text, HasSubstr("\nTOTAL       24.99 USD\n"));
}

TEST(EscPosTest, OrderNumberIsFourTimesTheUsualSize) {
  const auto lines = Lines(Example());
  const auto number =
      std::find_if(lines.begin(), lines.end(), [](const PaperLine& l) { return l.text == "7F3A"; });
  ASSERT_NE(number, lines.end());
  EXPECT_EQ(number->scale, 4);
  EXPECT_EQ(number->align, PaperLine::Align::kCentre);
  EXPECT_TRUE(number->bold);
}

TEST(EscPosTest, BytesAreTheCommandsOfThePrinterManual) {
  const std::string bytes = Print(Example());
  // Initialise, leave multi-byte mode, international set 0, character table 19 (CP858).
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x1B@\x1C.\x1BR\x00\x1Bt\x13", 10));
  const std::string url = "https://example.com/receipts/txn-1.pdf";
  const std::string store =
      absl::StrCat(std::string("\x1D(k", 3), std::string(1, static_cast<char>(url.size() + 3)),
                   std::string("\x00\x31\x50\x30", 4), url);
  EXPECT_THAT(bytes, HasSubstr(std::string("\x1D(k\x04\x00\x31\x41\x32\x00", 9)));
  EXPECT_THAT(bytes, HasSubstr(std::string("\x1D(k\x03\x00\x31\x45\x31", 8)));
  EXPECT_THAT(bytes, HasSubstr(store + std::string("\x1D(k\x03\x00\x31\x51\x30", 8)));
  // One line of paper, then feed to the knife and cut, leaving one point.
  EXPECT_EQ(bytes.substr(bytes.size() - 7), std::string("\x1B"
                                                        "d\x01\x1DVB\x00",
                                                        7));
}

TEST(EscPosTest, TextCannotBecomeCommands) {
  Receipt receipt = Example();
  const std::string evil =
      "A\x1B@\x1DVB" + std::string(1, '\0') + "\x10\x04\x01\x1B=\x02 B\x7F\nTOTAL 0.00\xC2\x9B";
  receipt.restaurant_name = evil;
  receipt.order_id = evil;
  receipt.order_number = evil;
  receipt.printed_at = evil;
  receipt.lines = {{evil, 1, 100, {evil}, evil}};
  receipt.currency = "U\x1BS";
  receipt.transaction_id = evil;
  receipt.qr_text = evil;
  const auto lines = ReadEscPos(Print(receipt));
  ASSERT_THAT(lines, IsOk());
  int cuts = 0;
  for (const PaperLine& line : *lines) {
    cuts += line.kind == PaperLine::Kind::kCut;
    // A line end in a name does not start a line of its own.
    if (line.align == PaperLine::Align::kLeft) {
      EXPECT_NE(line.text, "TOTAL 0.00");
    }
    for (const char c : line.text) EXPECT_TRUE(static_cast<uint8_t>(c) >= 0x20 && c != 0x7F) << line.text;
  }
  EXPECT_EQ(cuts, 1);
  EXPECT_THAT(Text(receipt), HasSubstr("1 x A@VB= B TOTAL 0.00"));
}

TEST(EscPosTest, EveryByteInANameIsHarmless) {
  for (int byte = 0; byte < 256; ++byte) {
    Receipt receipt = Example();
    receipt.lines = {{std::string("a") + static_cast<char>(byte) + "b", 1, 100, {}, ""}};
    const auto lines = ReadEscPos(Print(receipt));
    ASSERT_THAT(lines, IsOk()) << "byte " << byte;
    EXPECT_EQ(lines->size(), Lines(Example()).size() - 5) << "byte " << byte;
  }
}

TEST(EscPosTest, AccentsAndEuroAreInTheTable) {
  Receipt receipt = Example();
  receipt.lines = {
      {"Jalape\xC3\xB1o cr\xC3\xA8me br\xC3\xBBl\xC3\xA9"
       "e \xE2\x82\xAC",
       1,
       100,
       {},
       ""}};
  const std::string bytes = Print(receipt);
  EXPECT_THAT(bytes, HasSubstr("Jalape\xA4o cr\x8Ame br\x96l\x82"
                               "e \xD5"));
  EXPECT_THAT(Text(receipt), HasSubstr("Jalape\xC3\xB1o cr\xC3\xA8me br\xC3\xBBl\xC3\xA9"
                                       "e \xE2\x82\xAC"));
}

TEST(EscPosTest, WhatTheTableLacksIsSpelledOrMarked) {
  auto page = CodePage::Create("cp437");
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->FromUtf8("K\xC5\x91rte \xE2\x80\x9Chot\xE2\x80\x9D \xE2\x80\x93 3 \xE2\x82\xAC"),
            "Korte \"hot\" - 3 EUR");
  EXPECT_EQ(page->FromUtf8("\xE6\x97\xA5\xE6\x9C\xAC"), "??");
  EXPECT_EQ(page->FromUtf8("Hot \xF0\x9F\x8C\xB6\xEF\xB8\x8F!"), "Hot !");
  EXPECT_EQ(page->FromUtf8("a\xFF\xC3(\xE2\x82"),
            "a?"
            "?(?");
  EXPECT_EQ(page->FromUtf8("\xC0\x9B\xE0\x80\x9B\xED\xA0\x80"), "????");
  EXPECT_EQ(page->FromUtf8("right\xE2\x80\xAEleft"), "rightleft");
  EXPECT_EQ(page->FromUtf8("a\tb\r\nc"), "a b  c");
}

TEST(EscPosTest, CyrillicNeedsItsTable) {
  Receipt receipt = Example();
  receipt.lines = {{"\xD0\x91\xD0\xBE\xD1\x80\xD1\x89", 1, 100, {}, ""}};
  EXPECT_THAT(Text(receipt, {48, "CP866"}), HasSubstr("\xD0\x91\xD0\xBE\xD1\x80\xD1\x89"));
  EXPECT_THAT(Text(receipt), HasSubstr("1 x ????"));
}

TEST(EscPosTest, LongNamesWrapBesideThePrice) {
  Receipt receipt = Example();
  receipt.lines = {
      {"Slow roasted pulled pork sandwich with pickled red cabbage and smoked mayonnaise", 12, 1050, {}, ""}};
  EXPECT_THAT(Text(receipt), HasSubstr("\n12 x Slow roasted pulled pork sandwich    126.00\n"
                                       "     with pickled red cabbage and smoked\n"
                                       "     mayonnaise\n"
                                       "    10.50 each\n"));
}

TEST(EscPosTest, NoLineIsWiderThanThePaper) {
  Receipt receipt = Example();
  const std::string word(300, 'W');
  receipt.restaurant_name = word;
  receipt.order_id = word;
  receipt.order_number = word;
  receipt.transaction_id = word;
  receipt.lines = {
      {word, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max(), {word}, word},
      {word, 1, std::numeric_limits<int64_t>::min(), {word}, word}};
  receipt.total = std::numeric_limits<int64_t>::max();
  for (const int columns : {24, 32, 42, 48, 96}) {
    for (const PaperLine& line : Lines(receipt, {columns, "CP858"})) {
      EXPECT_LE(line.columns, static_cast<size_t>(columns)) << line.text;
    }
  }
}

TEST(EscPosTest, AHundredLinesAreAllThere) {
  Receipt receipt = Example();
  receipt.lines.clear();
  for (int i = 1; i <= 100; ++i) receipt.lines.push_back({absl::StrCat("Dish ", i), 1, i, {}, ""});
  const std::string text = Text(receipt);
  size_t at = 0;
  for (int i = 1; i <= 100; ++i) {
    const std::string amount = FormatAmount(i, 2);
    const std::string name = absl::StrCat("\n1 x Dish ", i, " ");
    const size_t found = text.find(name, at);
    ASSERT_NE(found, std::string::npos) << name;
    const std::string line = text.substr(found + 1, text.find('\n', found + 1) - found - 1);
    EXPECT_EQ(line.size(), 48u);
    EXPECT_THAT(line, testing::EndsWith(amount));
    at = found + 1;
  }
}

TEST(EscPosTest, PartsThatAreMissingLeaveNoTrace) {
  Receipt receipt;
  receipt.order_id = "o-1";
  receipt.total = 500;
  receipt.exponent = 0;
  const std::string text = Text(receipt);
  EXPECT_THAT(text, AllOf(HasSubstr("TOTAL                500\n"), Not(HasSubstr("Tax")),
                          Not(HasSubstr("QR")), Not(HasSubstr("Transaction")), Not(HasSubstr("COPY"))));
}

TEST(EscPosTest, ReprintSaysCopy) {
  Receipt receipt = Example();
  receipt.copy = true;
  EXPECT_THAT(Text(receipt), HasSubstr("*** COPY ***"));
}

TEST(EscPosTest, QrCodeIsCutToWhatAPrinterTakes) {
  Receipt receipt = Example();
  receipt.qr_text = std::string(5000, 'q');
  const auto lines = Lines(receipt);
  const auto code = std::find_if(lines.begin(), lines.end(),
                                 [](const PaperLine& l) { return l.kind == PaperLine::Kind::kQrCode; });
  ASSERT_NE(code, lines.end());
  EXPECT_EQ(code->text.size(), 1000u);
}

TEST(EscPosTest, AmountsAreExact) {
  EXPECT_EQ(FormatAmount(0, 2), "0.00");
  EXPECT_EQ(FormatAmount(5, 2), "0.05");
  EXPECT_EQ(FormatAmount(-5, 2), "-0.05");
  EXPECT_EQ(FormatAmount(1299, 2), "12.99");
  EXPECT_EQ(FormatAmount(1299, 0), "1299");
  EXPECT_EQ(FormatAmount(1299, 3), "1.299");
  EXPECT_EQ(FormatAmount(std::numeric_limits<int64_t>::min(), 2), "-92233720368547758.08");
}

TEST(EscPosTest, OrderNumberIsShort) {
  EXPECT_EQ(OrderNumber("order-7f3a"), "7F3A");
  EXPECT_EQ(OrderNumber("3d9e2c2a-0b1c-4a8e-9a66-0c7f1e5b-2d-4"), "B2D4");
  EXPECT_EQ(OrderNumber("7"), "7");
  EXPECT_EQ(OrderNumber("\x1B-"), "----");
}

TEST(EscPosTest, FormatIsChecked) {
  EXPECT_THAT(ValidateFormat({48, "cp858"}), IsOk());
  EXPECT_THAT(ValidateFormat({23, "CP858"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("columns")));
  EXPECT_THAT(ValidateFormat({48, "EBCDIC"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("CP858")));
  Receipt receipt = Example();
  receipt.exponent = 7;
  EXPECT_THAT(RenderReceipt(receipt, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exponent")));
}

TEST(ReceiptReaderTest, RubbishIsAnErrorWithItsPlace) {
  EXPECT_THAT(ReadEscPos("ok\n\x1BZ\x01"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("byte 3")));
  EXPECT_THAT(ReadEscPos("\x07"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0x07")));
  EXPECT_THAT(ReadEscPos("\x1D(k\xFF\xFF"
                         "1P0"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("breaks off")));
  const std::string bytes = Print(Example());
  for (size_t length = 0; length < bytes.size(); ++length) {
    // Every beginning of a receipt is read or refused, and never past its end.
    (void)ReadEscPos(std::string(bytes.data(), length));
  }
}

TEST(ReceiptReaderTest, IgnoresWhatThePrinterIsToldToIgnore) {
  const auto lines = ReadEscPos(
      "a\n\x1B=\x02 hidden\n\x1B=\x01"
      "b\n");
  ASSERT_THAT(lines, IsOk());
  EXPECT_THAT(*lines, ElementsAre(Field(&PaperLine::text, "a"), Field(&PaperLine::text, "b")));
}

}  // namespace
}  // namespace arc::hardware
