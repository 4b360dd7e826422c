// The cart as it will be once the intents of this turn are carried out. It finds a line as the orchestrator
// does (services/orchestrator/session.cc, FindLine), so that an intent never hits another line than the one
// that is meant.
#ifndef ARC_SERVICES_BRAIN_CART_H_
#define ARC_SERVICES_BRAIN_CART_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/messages/session.h"
#include "common/messages/voice.h"

namespace arc::brain {

// What the orchestrator takes at most (services/orchestrator/state.h): it adds nothing of what is more.
inline constexpr int64_t kMaxCartLines = 50;
inline constexpr int64_t kMaxLineQuantity = 99;
inline constexpr int64_t kMaxCartQuantity = 999;

class Cart {
 public:
  // A line of the cart with its price for one, in minor units.
  struct Line {
    messages::IntentItem item;
    int64_t unit_price = 0;
  };

  Cart() = default;
  Cart(const std::vector<messages::OrderLine>& lines, int exponent);

  const std::vector<Line>& lines() const { return lines_; }
  bool empty() const { return lines_.empty(); }
  int64_t total() const;  // minor units, before tax
  int64_t count() const;  // of all lines
  // How many of `item`, with its customisations and its note, can still be added.
  int64_t RoomFor(const messages::IntentItem& item) const;

  // Each changes the cart and appends what the orchestrator has to be told to `intents`: one intent, or
  // several where a line cannot be named by one.
  void Add(const messages::IntentItem& item, int64_t unit_price, std::vector<messages::Intent>& intents);
  void Remove(size_t line, int64_t quantity, std::vector<messages::Intent>& intents);  // 0: all of it
  void SetQuantity(size_t line, int64_t quantity, std::vector<messages::Intent>& intents);
  // Gives the line these customisations and this note.
  void Modify(size_t line, std::vector<std::string> modifiers, const std::string& note, int64_t unit_price,
              std::vector<messages::Intent>& intents);

 private:
  std::optional<size_t> FindLine(int64_t item_id, const std::vector<std::string>& modifiers) const;
  // The modifiers by which the orchestrator finds `line`; nothing when it would find another.
  std::optional<std::vector<std::string>> AddressOf(size_t line) const;
  // Takes the line out together with those that stand in its way, and returns the latter.
  std::vector<Line> TakeOut(size_t line, std::vector<messages::Intent>& intents);
  void Put(const Line& line);

  std::vector<Line> lines_;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_CART_H_
