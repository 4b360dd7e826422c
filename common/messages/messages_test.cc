// Every field of every message in this folder: written, read back, required where the header says so, and
// refused by name when it is wrong. And the specifications' own examples.
#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/envelope/envelope.h"
#include "common/json/fill.h"
#include "common/json/json.h"
#include "common/messages/brain.h"
#include "common/messages/hardware.h"
#include "common/messages/input.h"
#include "common/messages/menu.h"
#include "common/messages/payment.h"
#include "common/messages/recsys.h"
#include "common/messages/session.h"
#include "common/messages/stt.h"
#include "common/messages/system.h"
#include "common/messages/tts.h"
#include "common/messages/ui.h"
#include "common/messages/vision.h"
#include "common/messages/voice.h"
#include "common/messages/voice_agent.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::messages {
namespace {

using ::testing::StartsWith;

// A message's type without its type.
struct Subject {
  std::string name;
  std::function<json::FilledMessage()> fill;
  std::function<absl::StatusOr<std::string>(absl::string_view)> recode;  // decodes, and encodes again
};

template <class T>
Subject Of(const char* name) {
  return {name, [] { return json::Fill<T>(); },
          [](absl::string_view text) -> absl::StatusOr<std::string> {
            absl::StatusOr<T> value = json::Decode<T>(text);
            if (!value.ok()) return value.status();
            return json::Encode(*value);
          }};
}

std::vector<Subject> AllMessages() {
#define MESSAGE(type) Of<type>(#type)
  return {// brain.h
          MESSAGE(PreviousTurn), MESSAGE(BrainContext), MESSAGE(BrainConstraints), MESSAGE(BrainRequest),
          MESSAGE(BrainMetadata), MESSAGE(ToolSpan), MESSAGE(BrainPerformance), MESSAGE(BrainResponse),
          // hardware.h
          MESSAGE(LedRequest), MESSAGE(LedResponse), MESSAGE(ReceiptLine), MESSAGE(PrintRequest),
          MESSAGE(PrintResponse), MESSAGE(HardwareStatusRequest), MESSAGE(PrinterState), MESSAGE(LedState),
          MESSAGE(HardwareStatusResponse),
          // input.h
          MESSAGE(Touch), MESSAGE(CartAction), MESSAGE(TextInput), MESSAGE(CardInput),
          // menu.h
          MESSAGE(Customization), MESSAGE(MenuItem), MESSAGE(MenuCategory), MESSAGE(MenuFile),
          MESSAGE(SearchRequest), MESSAGE(SearchItem), MESSAGE(SearchResponse), MESSAGE(DetailsRequest),
          MESSAGE(DetailsResponse), MESSAGE(ListRequest), MESSAGE(ListCategory), MESSAGE(ListResponse),
          MESSAGE(SetAvailabilityRequest), MESSAGE(SetAvailabilityResponse),
          // payment.h
          MESSAGE(PaymentLine), MESSAGE(ProcessPaymentRequest), MESSAGE(PaymentOutcome),
          MESSAGE(PaymentStatusRequest), MESSAGE(CancelPaymentRequest), MESSAGE(RefundPaymentRequest),
          MESSAGE(RefundPaymentResponse),
          // recsys.h
          MESSAGE(CartItem), MESSAGE(SuggestRequest), MESSAGE(Suggestion), MESSAGE(SuggestResponse),
          MESSAGE(PastOrder),
          // session.h
          MESSAGE(SessionStarted), MESSAGE(SessionEnded), MESSAGE(OrderLine), MESSAGE(OrderContext),
          MESSAGE(OrderPayment), MESSAGE(OrderCompleted),
          // stt.h
          MESSAGE(SttRequest), MESSAGE(SttAccepted), MESSAGE(SttTranscript), MESSAGE(AgentError),
          // system.h
          MESSAGE(ErrorResponse), MESSAGE(HeartbeatMetrics), MESSAGE(Heartbeat), MESSAGE(ServiceError),
          MESSAGE(HeaderField), MESSAGE(DeadLetter),
          // tts.h
          MESSAGE(TtsConstraints), MESSAGE(TtsRequest), MESSAGE(TtsCompleted), MESSAGE(TtsCancel),
          // ui.h
          MESSAGE(UiComponent), MESSAGE(UiUpdate), MESSAGE(SnapshotRequest), MESSAGE(SnapshotCart),
          MESSAGE(SnapshotResponse),
          // vision.h
          MESSAGE(BoundingBox), MESSAGE(PersonDetected), MESSAGE(PersonLeft), MESSAGE(GazePoint),
          MESSAGE(GazeDetected),
          // voice.h
          MESSAGE(SpeechStart), MESSAGE(Transcript), MESSAGE(IntentItem), MESSAGE(IntentEntities),
          MESSAGE(Intent),
          // voice_agent.h
          MESSAGE(TrackMetadata), MESSAGE(TrackPublished), MESSAGE(TrackUnpublished),
          MESSAGE(VoiceSessionStarted), MESSAGE(VoiceSessionEnded), MESSAGE(VoiceState)};
#undef MESSAGE
}

auto Names(const json::FilledField& field) {
  return StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(absl::StrCat(field.path, ": ")));
}

TEST(EveryMessageTest, SurvivesEncodingAndDecodingWithEveryFieldSet) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    EXPECT_THAT(message.recode(filled.text), IsOkAndHolds(filled.text));
  }
}

TEST(EveryMessageTest, WritesEveryFieldItDescribes) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    for (const json::FilledField& field : filled.fields) {
      const std::optional<std::string> value = json::ValueAt(filled.text, field.path);
      ASSERT_TRUE(value.has_value()) << field.path << " is not in " << filled.text;
      if (!field.value.empty()) {
        EXPECT_EQ(*value, field.value) << field.path;
      }
    }
  }
}

TEST(EveryMessageTest, DescribesEachNameOnce) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    std::set<std::string> seen;
    for (const json::FilledField& field : filled.fields) {
      EXPECT_TRUE(seen.insert(field.path).second) << field.path << " is described twice";
    }
  }
}

TEST(EveryMessageTest, NamesAMissingRequiredFieldAndDoesWithoutTheOthers) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    for (const json::FilledField& field : filled.fields) {
      if (field.presence == json::Presence::kElement) continue;
      const absl::StatusOr<std::string> without =
          message.recode(json::Edit(filled.text, field.path, std::nullopt));
      const absl::StatusOr<std::string> null = message.recode(json::Edit(filled.text, field.path, "null"));
      if (field.presence == json::Presence::kRequired) {
        const auto is_required = StatusIs(absl::StatusCode::kInvalidArgument,
                                          StartsWith(absl::StrCat(field.path, ": is required")));
        EXPECT_THAT(without, is_required);
        EXPECT_THAT(null, is_required);
      } else {
        EXPECT_THAT(without, IsOk()) << field.path;
        EXPECT_THAT(null, IsOk()) << field.path;
        if (without.ok() && null.ok()) {
          EXPECT_EQ(*without, *null) << field.path;
        }
      }
    }
  }
}

TEST(EveryMessageTest, WritesAnEmptyNullableAsNull) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    for (const json::FilledField& field : filled.fields) {
      if (field.presence != json::Presence::kNullable) continue;
      absl::StatusOr<std::string> without = message.recode(json::Edit(filled.text, field.path, std::nullopt));
      ASSERT_THAT(without, IsOk());
      EXPECT_EQ(json::ValueAt(*without, field.path), "null") << field.path;
    }
  }
}

TEST(EveryMessageTest, NamesTheFieldOfAWrongType) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    for (const json::FilledField& field : filled.fields) {
      for (const std::string& wrong : field.wrong_types) {
        EXPECT_THAT(message.recode(json::Edit(filled.text, field.path, wrong)), Names(field))
            << field.path << " as " << wrong;
      }
    }
  }
}

TEST(EveryMessageTest, NamesTheFieldThatIsOutOfRange) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    for (const json::FilledField& field : filled.fields) {
      for (const std::string& wrong : field.out_of_range) {
        EXPECT_THAT(message.recode(json::Edit(filled.text, field.path, wrong)), Names(field))
            << field.path << " as " << wrong.substr(0, 100);
      }
    }
  }
}

TEST(EveryMessageTest, IgnoresFieldsItDoesNotKnow) {
  for (const Subject& message : AllMessages()) {
    SCOPED_TRACE(message.name);
    const json::FilledMessage filled = message.fill();
    std::string text = filled.text;
    text.insert(1, filled.fields.empty() ? R"("not_a_field":[{"x":1}])" : R"("not_a_field":[{"x":1}],)");
    EXPECT_THAT(message.recode(text), IsOkAndHolds(filled.text));
  }
}

// What the headers of this folder declare, read as text.
struct Declared {
  std::string header;
  std::string body;  // between the braces
};

std::map<std::string, Declared> DeclaredStructs() {
  std::map<std::string, Declared> found;
  for (const char* header :
       {"hardware", "input", "menu", "payment", "recsys", "session", "system", "ui", "vision", "voice"}) {
    const std::string path = absl::StrCat(ARC_SOURCE_DIR, "/common/messages/", header, ".h");
    std::ifstream file(path);
    EXPECT_TRUE(file.good()) << path;
    std::string line;
    std::string name;
    while (std::getline(file, line)) {
      if (absl::StartsWith(line, "struct ") && absl::EndsWith(line, " {")) {
        name = line.substr(7, line.size() - 9);
      } else if (line == "};") {
        name.clear();
      } else if (!name.empty()) {
        Declared& declared = found[name];
        declared.header = header;
        absl::StrAppend(&declared.body, line, "\n");
      }
    }
  }
  return found;
}

TEST(MessageHeadersTest, EveryStructIsTested) {
  std::set<std::string> tested;
  for (const Subject& subject : AllMessages()) tested.insert(subject.name);
  const std::map<std::string, Declared> declared = DeclaredStructs();
  EXPECT_GE(declared.size(), 60u) << "the headers were not understood";
  for (const auto& [name, what] : declared) {
    if (!absl::StrContains(what.body, "Describe(")) continue;
    EXPECT_EQ(tested.count(name), 1u)
        << "struct " << name << " of common/messages/" << what.header << ".h is not in AllMessages()";
  }
}

// A member that Describe() forgets would be dropped on the wire in silence.
TEST(MessageHeadersTest, EveryMemberIsDescribed) {
  int members = 0;
  for (const auto& [name, what] : DeclaredStructs()) {
    const size_t describe = what.body.find("template <class S, class V>");
    ASSERT_NE(describe, std::string::npos) << name << " has no Describe()";
    std::string declarations;
    for (absl::string_view line : absl::StrSplit(what.body.substr(0, describe), '\n')) {
      absl::StrAppend(&declarations, line.substr(0, line.find("//")), " ");
    }
    for (absl::string_view declaration : absl::StrSplit(declarations, ';', absl::SkipWhitespace())) {
      if (absl::StrContains(declaration, "static constexpr")) continue;
      const absl::string_view left =
          absl::StripTrailingAsciiWhitespace(declaration.substr(0, declaration.find(" =")));
      const absl::string_view member = left.substr(left.find_last_of(" \n") + 1);
      ++members;
      EXPECT_TRUE(absl::StrContains(what.body.substr(describe), absl::StrCat("s.", member)))
          << name << "::" << member << " is not described";
    }
  }
  EXPECT_GE(members, 150) << "the headers were not understood";
}

// The examples of the kiosk specification, sections 6 to 8, and of the design, as they stand there; of
// "a" | "b" alternatives each is an example.
struct Example {
  std::string name;
  std::string text;
  std::function<absl::StatusOr<std::string>(const ParsedMessage&)> recode;
};

template <class T>
Example ExampleOf(const char* name, const char* text) {
  return {name, text, [](const ParsedMessage& message) -> absl::StatusOr<std::string> {
            absl::StatusOr<T> value = DecodePayload<T>(message);
            if (!value.ok()) return value.status();
            return json::Encode(*value);
          }};
}

std::vector<Example> Examples() {
  return {
      ExampleOf<PersonDetected>("person_detected", R"({
        "payload": {
          "event": "person_detected",
          "confidence": 0.95,
          "bounding_box": {"x": 100, "y": 50, "w": 200, "h": 400},
          "face_detected": true,
          "estimated_age_group": "adult",
          "estimated_party_size": 2
        }
      })"),
      ExampleOf<PersonLeft>("person_left", R"({
        "payload": {
          "event": "person_left",
          "duration_seconds": 45.5
        }
      })"),
      ExampleOf<GazeDetected>("gaze_detected", R"({
        "payload": {
          "event": "gaze_detected",
          "looking_at_screen": true,
          "gaze_point": {"x": 500, "y": 300}
        }
      })"),
      ExampleOf<SpeechStart>("speech_start", R"({
        "payload": {
          "event": "speech_start"
        }
      })"),
      ExampleOf<Transcript>("transcript", R"({
        "payload": {
          "event": "transcript",
          "text": "I want a burger with extra cheese",
          "confidence": 0.92,
          "language": "en-US",
          "is_final": true
        }
      })"),
      ExampleOf<Intent>("intent", R"({
        "payload": {
          "event": "intent",
          "intent_type": "search_menu",
          "entities": {
            "item": "burger",
            "modifiers": ["extra cheese"]
          },
          "raw_text": "I want a burger with extra cheese",
          "confidence": 0.88
        }
      })"),
      ExampleOf<Touch>("touch", R"({
        "payload": {
          "event": "touch",
          "action": "select_item",
          "item_id": 101,
          "component": "HeroItem"
        }
      })"),
      ExampleOf<CartAction>("cart_action_add", R"({
        "payload": {
          "event": "cart_action",
          "action": "add",
          "item_id": 101,
          "quantity": 2
        }
      })"),
      ExampleOf<CartAction>("cart_action_remove", R"({
        "payload": {
          "event": "cart_action",
          "action": "remove",
          "item_id": 101,
          "quantity": 2
        }
      })"),
      ExampleOf<CartAction>("cart_action_update_qty", R"({
        "payload": {
          "event": "cart_action",
          "action": "update_qty",
          "item_id": 101,
          "quantity": 2
        }
      })"),
      ExampleOf<SessionStarted>("session_started", R"({
        "payload": {
          "event": "session_started",
          "kiosk_id": "kiosk-001"
        }
      })"),
      ExampleOf<SessionEnded>("session_ended_completed", R"({
        "payload": {
          "event": "session_ended",
          "reason": "completed",
          "duration_seconds": 120.5
        }
      })"),
      ExampleOf<SessionEnded>("session_ended_timeout", R"({
        "payload": {
          "event": "session_ended",
          "reason": "timeout",
          "duration_seconds": 120.5
        }
      })"),
      ExampleOf<SessionEnded>("session_ended_cancelled", R"({
        "payload": {
          "event": "session_ended",
          "reason": "cancelled",
          "duration_seconds": 120.5
        }
      })"),
      ExampleOf<UiUpdate>("ui_update", R"({
        "payload": {
          "event": "ui_update",
          "layout_mode": "hero_grid",
          "theme_override": null,
          "components": [
            {
              "type": "HeroItem",
              "data": {"id": 101, "title": "Volcano Burger"}
            }
          ],
          "suggested_actions": ["Add to cart"]
        }
      })"),
      ExampleOf<SearchRequest>("search", R"({
        "payload": {
          "command": "search",
          "query": "spicy burger",
          "tags": ["spicy"],
          "dietary_filters": ["vegetarian"],
          "limit": 10
        }
      })"),
      ExampleOf<SearchRequest>("search_from_the_command_line",
                               R"({"payload":{"command":"search","query":"burger"}})"),
      ExampleOf<SearchResponse>("search_response", R"({
        "payload": {
          "status": "success",
          "items": [
            {
              "id": 101,
              "name": "Volcano Burger",
              "price": 12.99,
              "image": "/img/volcano.png",
              "tags": ["spicy", "popular"],
              "available": true
            }
          ],
          "total_matches": 5
        }
      })"),
      // Section 10.2: what `nats reply` answers in the place of the menu agent.
      ExampleOf<SearchResponse>("search_response_from_the_command_line",
                                R"({"payload":{"status":"success","items":[]}})"),
      ExampleOf<DetailsRequest>("get_details", R"({
        "payload": {
          "command": "get_details",
          "item_id": 101
        }
      })"),
      // Without a category, which every item of a menu has.
      ExampleOf<DetailsResponse>("get_details_response", R"({
        "payload": {
          "status": "success",
          "item": {
            "id": 101,
            "name": "Volcano Burger",
            "description": "Spicy beef patty with jalapeños...",
            "price": 12.99,
            "calories": 850,
            "allergens": ["gluten", "dairy"],
            "customizations": [
              {"name": "Extra Cheese", "price": 1.50},
              {"name": "No Onions", "price": 0}
            ]
          }
        }
      })"),
      ExampleOf<SuggestRequest>("suggest", R"({
        "payload": {
          "command": "suggest",
          "cart": [
            {"item_id": 101, "quantity": 1}
          ],
          "context": {
            "time_of_day": "lunch",
            "weather": "hot",
            "party_size": 2
          }
        }
      })"),
      ExampleOf<SuggestResponse>("suggest_response", R"({
        "payload": {
          "status": "success",
          "suggestions": [
            {
              "item_id": 201,
              "name": "Iced Cola",
              "pitch": "Perfect to cool down with your burger!",
              "reason": "weather_hot"
            },
            {
              "item_id": 301,
              "name": "Fries Combo",
              "pitch": "Make it a combo and save $2!",
              "reason": "upsell_combo"
            }
          ]
        }
      })"),
      ExampleOf<ProcessPaymentRequest>("process_payment", R"({
        "payload": {
          "command": "process_payment",
          "order_id": "order-uuid",
          "total": 24.99,
          "items": [
            {"item_id": 101, "name": "Volcano Burger", "qty": 1, "price": 12.99},
            {"item_id": 201, "name": "Iced Cola", "qty": 2, "price": 5.99}
          ],
          "loyalty_card": "LOYALTY123"
        }
      })"),
      ExampleOf<PaymentOutcome>("payment_success", R"({
        "payload": {
          "status": "success",
          "transaction_id": "txn-uuid",
          "amount_charged": 24.99,
          "loyalty_points_earned": 25,
          "receipt_url": "/receipts/txn-uuid.pdf",
          "error": null
        }
      })"),
      ExampleOf<PaymentOutcome>("payment_failed", R"({
        "payload": {
          "status": "failed",
          "transaction_id": "txn-uuid",
          "amount_charged": 24.99,
          "loyalty_points_earned": 25,
          "receipt_url": "/receipts/txn-uuid.pdf",
          "error": null
        }
      })"),
      ExampleOf<PaymentOutcome>("payment_cancelled", R"({
        "payload": {
          "status": "cancelled",
          "transaction_id": "txn-uuid",
          "amount_charged": 24.99,
          "loyalty_points_earned": 25,
          "receipt_url": "/receipts/txn-uuid.pdf",
          "error": null
        }
      })"),
      ExampleOf<LedRequest>("set_led_solid", R"({
        "payload": {
          "command": "set_led",
          "color": "#00FF00",
          "pattern": "solid",
          "duration_ms": 2000
        }
      })"),
      ExampleOf<LedRequest>("set_led_pulse", R"({
        "payload": {
          "command": "set_led",
          "color": "#00FF00",
          "pattern": "pulse",
          "duration_ms": 2000
        }
      })"),
      ExampleOf<LedRequest>("set_led_error", R"({
        "payload": {
          "command": "set_led",
          "color": "#00FF00",
          "pattern": "error",
          "duration_ms": 2000
        }
      })"),
      ExampleOf<LedResponse>("set_led_response", R"({
        "payload": {
          "status": "success"
        }
      })"),
      // Its `items` stand in the specification as dots; these are the payment example's.
      ExampleOf<PrintRequest>("print_receipt", R"({
        "payload": {
          "command": "print_receipt",
          "order_id": "order-uuid",
          "items": [
            {"item_id": 101, "name": "Volcano Burger", "qty": 1, "price": 12.99},
            {"item_id": 201, "name": "Iced Cola", "qty": 2, "price": 5.99}
          ],
          "total": 24.99,
          "transaction_id": "txn-uuid"
        }
      })"),
      // The specification has no example of the reply to print: this is led's.
      ExampleOf<PrintResponse>("print_receipt_response", R"({
        "payload": {
          "status": "success"
        }
      })"),
      ExampleOf<ErrorResponse>("error", R"({
        "payload": {
          "status": "error",
          "error_code": "MENU_NOT_FOUND",
          "error_message": "No items match the search query",
          "retryable": false
        }
      })"),
      ExampleOf<CardInput>("card", R"({"payload":{"event":"card","action":"tap","token":"tok_visa"}})"),
  };
}

class SpecificationExample : public testing::TestWithParam<Example> {};

TEST_P(SpecificationExample, IsReadAndWrittenWithEveryField) {
  absl::StatusOr<ParsedMessage> message = ParseMessage(GetParam().text, absl::UnixEpoch());
  ASSERT_THAT(message, IsOk());
  absl::StatusOr<std::string> again = GetParam().recode(*message);
  ASSERT_THAT(again, IsOk());
  absl::StatusOr<json::Document> document = json::Parse(*again);
  ASSERT_THAT(document, IsOk());
  EXPECT_TRUE(json::Contains(document->root(), message->payload())) << *again;
}

INSTANTIATE_TEST_SUITE_P(Kiosk, SpecificationExample, testing::ValuesIn(Examples()),
                         [](const auto& example) { return example.param.name; });

TEST(SpecificationExampleTest, AResponderMayLeaveOutWhatAClientCanDoWithout) {
  const absl::StatusOr<SearchResponse> search = json::Decode<SearchResponse>(
      R"({"status":"success","items":[{"id":101,"name":"Volcano Burger","price":12.99}]})");
  ASSERT_THAT(search, IsOk());
  EXPECT_EQ(search->total_matches, 1) << "at least what is there";
  EXPECT_EQ(json::Encode(*search),
            R"({"status":"success","items":[{"id":101,"name":"Volcano Burger","price":12.99,"image":"",)"
            R"("tags":[],"available":true}],"total_matches":1})");
  EXPECT_THAT(json::Decode<PaymentOutcome>(R"({"status":"failed","amount_charged":0})"), IsOk());
  EXPECT_THAT(json::Decode<PaymentOutcome>(R"({"status":"success"})"),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("amount_charged: is required")));
}

// Voice specification, "System Health & Monitoring": flat, without an envelope. `threads` stands where it
// says goroutines.
TEST(SpecificationExampleTest, Heartbeat) {
  const std::string example = R"({"service":"arc-scarlett-voice","timestamp":"2025-12-14T13:30:00.000Z",)"
                              R"("status":"healthy","metrics":{"active_sessions":42,"cpu_percent":23.5,)"
                              R"("memory_mb":512.0,"threads":156}})";
  absl::StatusOr<Heartbeat> heartbeat = json::Decode<Heartbeat>(example);
  ASSERT_THAT(heartbeat, IsOk());
  EXPECT_EQ(json::Encode(*heartbeat), example);
}

TEST(SpecificationExampleTest, ServiceError) {
  const std::string example =
      R"({"service":"arc-sherlock-brain","timestamp":"2025-12-14T13:30:00.000Z",)"
      R"("error_type":"connection_lost","error_message":"Lost connection to NATS cluster",)"
      R"("severity":"critical","action_required":"automatic_restart"})";
  absl::StatusOr<ServiceError> error = json::Decode<ServiceError>(example);
  ASSERT_THAT(error, IsOk());
  EXPECT_EQ(json::Encode(*error), example);
}

// The design's own menu item, history line and empty snapshot.
TEST(SpecificationExampleTest, MenuFile) {
  const std::string example =
      R"({"currency":"USD","categories":[{"id":"burgers","name":"Burgers"}],"items":[{"id":101,)"
      R"("name":"Volcano Burger","category":"burgers","description":"…","price":12.99,)"
      R"("image":"/img/volcano.png","calories":850,"tags":["spicy","popular"],"dietary":["halal"],)"
      R"("allergens":["gluten","dairy"],"customizations":[{"name":"Extra Cheese","price":1.5}],)"
      R"("synonyms":["lava burger"],"combo_of":[],"available":true}]})";
  absl::StatusOr<MenuFile> menu = json::Decode<MenuFile>(example);
  ASSERT_THAT(menu, IsOk());
  EXPECT_EQ(json::Encode(*menu), example);
}

TEST(SpecificationExampleTest, PastOrder) {
  const std::string example =
      R"({"order_id":"o-1","at":"2025-12-14T13:30:00.000Z","items":[{"item_id":101,"quantity":1}],)"
      R"("context":{"time_of_day":"lunch","weather":"hot","party_size":2}})";
  absl::StatusOr<PastOrder> order = json::Decode<PastOrder>(example);
  ASSERT_THAT(order, IsOk());
  EXPECT_EQ(json::Encode(*order), example);
}

}  // namespace
}  // namespace arc::messages
