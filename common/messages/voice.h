// Messages of kiosk.voice.* (kiosk specification, section 6.2). Producer: voice agent. Consumer:
// orchestrator.
#ifndef ARC_COMMON_MESSAGES_VOICE_H_
#define ARC_COMMON_MESSAGES_VOICE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace arc::messages {

// kiosk.voice.speech_start
struct SpeechStart {
  template <class S, class V>
  static void Describe(S&, V& v) {
    v.Constant("event", "speech_start");
  }
};

// kiosk.voice.transcript: what has been heard so far, or at the end of the utterance.
struct Transcript {
  std::string text;
  std::optional<double> confidence;  // 0 to 1
  std::string language = "en-US";    // BCP 47
  bool is_final = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "transcript");
    v.Required("text", s.text, json::Range(0, 4000));
    v.Optional("confidence", s.confidence, json::Range(0, 1));
    v.Optional("language", s.language, json::Range(0, 40));
    v.Optional("is_final", s.is_final);
  }
};

// The closed set of what a customer can want.
enum class IntentType {
  kSearchMenu,
  kItemDetails,
  kAddToCart,
  kRemoveFromCart,
  kUpdateQuantity,
  kModifyItem,
  kShowCart,
  kRecommend,
  kCheckout,
  kConfirm,
  kDeny,
  kCancelOrder,
  kStartOver,
  kRepeat,
  kHelp,
  kGreet,
  kGoodbye,
  kUnknown,
};
inline absl::Span<const absl::string_view> EnumNames(IntentType) {
  static constexpr std::array<absl::string_view, 18> kNames = {
      "search_menu", "item_details", "add_to_cart", "remove_from_cart", "update_quantity",
      "modify_item", "show_cart",    "recommend",   "checkout",         "confirm",
      "deny",        "cancel_order", "start_over",  "repeat",           "help",
      "greet",       "goodbye",      "unknown"};
  return kNames;
}

// An item of an intent that was found on the menu.
struct IntentItem {
  int64_t item_id = 0;
  std::string name;
  int64_t quantity = 1;
  std::vector<std::string> modifiers;  // names from the item's customisations
  std::optional<std::string> note;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
    v.Optional("name", s.name, json::Range(0, 200));
    v.Optional("quantity", s.quantity, json::Range(0, 99));
    v.Optional("modifiers", s.modifiers, json::Range(0, 50));
    v.Optional("note", s.note, json::Range(0, 500));
  }
};

struct IntentEntities {
  std::optional<std::string> item;
  std::vector<std::string> modifiers;
  std::vector<IntentItem> items;
  std::vector<std::string> exclude_allergens;  // named by the customer: hold for the rest of the session
  std::vector<std::string> dietary_filters;    // likewise
  std::vector<std::string> asked_dietary;      // search_menu: asked about, holds for what is shown now alone

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("item", s.item, json::Range(0, 400));
    v.Optional("modifiers", s.modifiers, json::Range(0, 50));
    v.Optional("items", s.items, json::Range(0, 50));
    v.Optional("exclude_allergens", s.exclude_allergens, json::Range(0, 40));
    v.Optional("dietary_filters", s.dietary_filters, json::Range(0, 20));
    v.Optional("asked_dietary", s.asked_dietary, json::Range(0, 20));
  }
};

// kiosk.voice.intent
struct Intent {
  IntentType intent_type = IntentType::kUnknown;
  IntentEntities entities;
  std::string raw_text;
  std::optional<double> confidence;  // 0 to 1

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Constant("event", "intent");
    v.Required("intent_type", s.intent_type);
    v.Optional("entities", s.entities);
    v.Optional("raw_text", s.raw_text, json::Range(0, 4000));
    v.Optional("confidence", s.confidence, json::Range(0, 1));
  }
};

}  // namespace arc::messages

#endif  // ARC_COMMON_MESSAGES_VOICE_H_
