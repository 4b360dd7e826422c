#include "services/brain/cart.h"

#include <algorithm>
#include <set>
#include <utility>

namespace arc::brain {
namespace {

using messages::Intent;
using messages::IntentItem;
using messages::IntentType;

std::set<std::string> SetOf(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

// Whether they share a line.
bool IsSame(const IntentItem& a, const IntentItem& b) {
  return a.item_id == b.item_id && SetOf(a.modifiers) == SetOf(b.modifiers) &&
         a.note.value_or("") == b.note.value_or("");
}

Intent Make(IntentType type, IntentItem item) {
  Intent intent;
  intent.intent_type = type;
  intent.entities.items.push_back(std::move(item));
  return intent;
}

}  // namespace

Cart::Cart(const std::vector<messages::OrderLine>& lines, int exponent) {
  for (const messages::OrderLine& line : lines) {
    Line own;
    own.item.item_id = line.item_id;
    own.item.name = line.name;
    own.item.quantity = line.quantity;
    own.item.modifiers = line.customizations;
    if (line.note.has_value() && !line.note->empty()) own.item.note = line.note;
    own.unit_price = line.price.ToMinor(exponent).value_or(0);
    lines_.push_back(std::move(own));
  }
}

int64_t Cart::total() const {
  int64_t total = 0;
  for (const Line& line : lines_) total += line.unit_price * line.item.quantity;
  return total;
}

int64_t Cart::count() const {
  int64_t count = 0;
  for (const Line& line : lines_) count += line.item.quantity;
  return count;
}

int64_t Cart::RoomFor(const IntentItem& item) const {
  int64_t room = kMaxCartQuantity - count();
  bool same = false;
  for (const Line& line : lines_) {
    if (!IsSame(line.item, item)) continue;
    same = true;
    room = std::min(room, kMaxLineQuantity - line.item.quantity);
  }
  if (!same && static_cast<int64_t>(lines_.size()) >= kMaxCartLines) return 0;
  return std::max<int64_t>(0, std::min(room, kMaxLineQuantity));
}

std::optional<size_t> Cart::FindLine(int64_t item_id, const std::vector<std::string>& modifiers) const {
  for (size_t i = lines_.size(); i-- > 0;) {
    if (lines_[i].item.item_id != item_id) continue;
    if (!modifiers.empty() && SetOf(modifiers) != SetOf(lines_[i].item.modifiers)) continue;
    return i;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> Cart::AddressOf(size_t line) const {
  const IntentItem& item = lines_[line].item;
  if (FindLine(item.item_id, {}) == line) return std::vector<std::string>{};
  if (FindLine(item.item_id, item.modifiers) == line) return item.modifiers;
  return std::nullopt;
}

void Cart::Put(const Line& line) {
  for (Line& other : lines_) {
    if (IsSame(other.item, line.item)) {
      other.item.quantity += line.item.quantity;
      return;
    }
  }
  lines_.push_back(line);
}

std::vector<Cart::Line> Cart::TakeOut(size_t line, std::vector<Intent>& intents) {
  std::vector<Line> others;
  const int64_t item_id = lines_[line].item.item_id;
  while (true) {
    const std::optional<std::vector<std::string>> address = AddressOf(line);
    const size_t at = address.has_value() ? line : *FindLine(item_id, {});
    IntentItem item = lines_[at].item;
    item.quantity = 0;
    item.note.reset();
    item.modifiers = address.has_value() ? *address : std::vector<std::string>{};
    intents.push_back(Make(IntentType::kRemoveFromCart, std::move(item)));
    Line taken = std::move(lines_[at]);
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(at));
    if (address.has_value()) return others;
    others.insert(others.begin(), std::move(taken));
  }
}

void Cart::Add(const IntentItem& item, int64_t unit_price, std::vector<Intent>& intents) {
  Put({item, unit_price});
  if (!intents.empty() && intents.back().intent_type == IntentType::kAddToCart &&
      intents.back().entities.items.size() < 50) {
    intents.back().entities.items.push_back(item);
  } else {
    intents.push_back(Make(IntentType::kAddToCart, item));
  }
}

void Cart::Remove(size_t line, int64_t quantity, std::vector<Intent>& intents) {
  const int64_t before = lines_[line].item.quantity;
  if (quantity >= before) quantity = 0;
  const std::optional<std::vector<std::string>> address = AddressOf(line);
  if (quantity == 0) {
    for (const Line& other : TakeOut(line, intents)) Add(other.item, other.unit_price, intents);
    return;
  }
  if (address.has_value()) {
    IntentItem item = lines_[line].item;
    item.quantity = quantity;
    item.note.reset();
    item.modifiers = *address;
    intents.push_back(Make(IntentType::kRemoveFromCart, std::move(item)));
    lines_[line].item.quantity -= quantity;
    return;
  }
  Line rest = lines_[line];
  rest.item.quantity -= quantity;
  const std::vector<Line> others = TakeOut(line, intents);
  Add(rest.item, rest.unit_price, intents);
  for (const Line& other : others) Add(other.item, other.unit_price, intents);
}

void Cart::SetQuantity(size_t line, int64_t quantity, std::vector<Intent>& intents) {
  const std::optional<std::vector<std::string>> address = AddressOf(line);
  if (address.has_value()) {
    IntentItem item = lines_[line].item;
    item.quantity = quantity;
    item.note.reset();
    item.modifiers = *address;
    intents.push_back(Make(IntentType::kUpdateQuantity, std::move(item)));
    lines_[line].item.quantity = quantity;
    return;
  }
  Line changed = lines_[line];
  changed.item.quantity = quantity;
  const std::vector<Line> others = TakeOut(line, intents);
  Add(changed.item, changed.unit_price, intents);
  for (const Line& other : others) Add(other.item, other.unit_price, intents);
}

void Cart::Modify(size_t line, std::vector<std::string> modifiers, const std::string& note,
                  int64_t unit_price, std::vector<Intent>& intents) {
  Line changed = lines_[line];
  const bool note_changed = changed.item.note.value_or("") != note;
  changed.item.modifiers = std::move(modifiers);
  changed.unit_price = unit_price;
  changed.item.note.reset();
  if (!note.empty()) changed.item.note = note;
  // The orchestrator changes the latest line of the item.
  if (FindLine(changed.item.item_id, {}) == line) {
    IntentItem item = changed.item;
    if (!note_changed) item.note.reset();
    if (note_changed && note.empty()) item.note = "";
    intents.push_back(Make(IntentType::kModifyItem, std::move(item)));
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(line));
    bool merged = false;
    for (const Line& other : lines_) {
      merged |= IsSame(other.item, changed.item);
    }
    if (merged) {
      Put(changed);
    } else {
      lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(line), std::move(changed));
    }
    return;
  }
  const std::vector<Line> others = TakeOut(line, intents);
  Add(changed.item, changed.unit_price, intents);
  for (const Line& other : others) Add(other.item, other.unit_price, intents);
}

}  // namespace arc::brain
