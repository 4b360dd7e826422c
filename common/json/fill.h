// Test support: fills any struct with Describe() (common/json/json.h), so that one test covers every field of
// every message.
//
//   json::FilledMessage filled = json::Fill<messages::Touch>();
//   filled.text                  the struct as JSON, every field with a value of its own
//   filled.fields                one entry a field, nested ones included, with values that must be refused
//   json::Edit(text, path, ...)  the text with one value replaced or removed
//
// Values are in range, differ from the field's default and, where the type has enough of them, from each
// other. An std::optional gets a value, a vector two elements, an enum its last name.
#ifndef ARC_COMMON_JSON_FILL_H_
#define ARC_COMMON_JSON_FILL_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/json/json.h"

namespace arc::json {

enum class Presence { kRequired, kOptional, kNullable, kConstant, kElement };

struct FilledField {
  std::string path;  // as error messages write it: "items[1].price"
  Presence presence;
  std::string value;                     // as JSON; empty: a struct, whose fields are entries of their own
  std::vector<std::string> wrong_types;  // JSON that decoding must refuse at this path
  std::vector<std::string> out_of_range;
};

struct FilledMessage {
  std::string text;
  std::vector<FilledField> fields;
};

// The visitor.
class Filler {
 public:
  // Not a decoder: structs that derive or drop fields while decoding must not do so here.
  static constexpr bool kDecoding = false;

  Filler(std::string prefix, int64_t* counter, std::vector<FilledField>* fields)
      : prefix_(std::move(prefix)), counter_(counter), fields_(fields) {}

  template <class T>
  void Required(absl::string_view name, T& field) {
    Add(name, field, nullptr, Presence::kRequired);
  }
  template <class T>
  void Required(absl::string_view name, T& field, Range range) {
    Add(name, field, &range, Presence::kRequired);
  }
  template <class T>
  void Optional(absl::string_view name, T& field) {
    Add(name, field, nullptr, Presence::kOptional);
  }
  template <class T>
  void Optional(absl::string_view name, T& field, Range range) {
    Add(name, field, &range, Presence::kOptional);
  }
  template <class T>
  void Nullable(absl::string_view name, std::optional<T>& field) {
    Add(name, field, nullptr, Presence::kNullable);
  }
  template <class T>
  void Nullable(absl::string_view name, std::optional<T>& field, Range range) {
    Add(name, field, &range, Presence::kNullable);
  }
  void Constant(absl::string_view name, absl::string_view text) {
    fields_->push_back({PathOf(name),
                        Presence::kConstant,
                        Quote(text),
                        {"7", "true", "{}", "[]", Quote(absl::StrCat("not ", text))},
                        {}});
  }

 private:
  std::string PathOf(absl::string_view name) const {
    return prefix_.empty() ? std::string(name) : absl::StrCat(prefix_, ".", name);
  }

  template <class T>
  void Add(absl::string_view name, T& field, const Range* range, Presence presence) {
    const size_t at = fields_->size();
    fields_->push_back({PathOf(name), presence, "", {}, {}});
    FilledField entry = (*fields_)[at];
    Set(field, range, entry);
    (*fields_)[at] = std::move(entry);
  }

  int64_t Next() { return ++*counter_; }

  void Set(bool& field, const Range*, FilledField& entry) {
    field = !field;
    entry.value = field ? "true" : "false";
    entry.wrong_types = {"1", "\"true\"", "[]", "{}"};
  }

  void Set(int64_t& field, const Range* range, FilledField& entry) {
    const Range bounds = range != nullptr ? *range : Range(-kMaxId, kMaxId);
    const int64_t low = std::max<int64_t>(bounds.min, 1);
    const auto pick = [&] { return bounds.max - low >= 1 ? low + Next() % (bounds.max - low + 1) : low; };
    const int64_t old = field;
    field = pick();
    if (field == old) field = pick();
    entry.value = absl::StrCat(field);
    entry.wrong_types = {"\"5\"", "1.5", "true", "[]", "{}"};
    if (range == nullptr) return;
    entry.out_of_range = {absl::StrCat(bounds.min - 1), absl::StrCat(bounds.max + 1), "-9223372036854775808",
                          "1e300"};
  }

  void Set(double& field, const Range* range, FilledField& entry) {
    // 1024ths are exact in binary, and so the same after a round trip.
    const int64_t whole =
        range != nullptr ? range->min + Next() % std::max<int64_t>(1, range->max - range->min) : Next();
    field = static_cast<double>(whole) + static_cast<double>(Next() % 1023 + 1) / 1024;
    entry.value = Encode(field);
    entry.wrong_types = {"\"0.5\"", "true", "[]", "{}"};
    if (range != nullptr) {
      entry.out_of_range = {Encode(static_cast<double>(range->min) - 0.5),
                            Encode(static_cast<double>(range->max) + 0.5)};
    }
  }

  void Set(std::string& field, const Range* range, FilledField& entry) {
    const Range bounds = range != nullptr ? *range : Range(0, kMaxStringBytes);
    // Text that JSON has to escape, and beyond ASCII, where there is room for it.
    field = absl::StrCat(bounds.max >= 24 ? "\xC3\xA9 \"\\\n" : "", "s", Next());
    while (static_cast<int64_t>(field.size()) < bounds.min) field.push_back('x');
    if (static_cast<int64_t>(field.size()) > bounds.max) {
      field.erase(0, field.size() - static_cast<size_t>(bounds.max));
    }
    entry.value = Quote(field);
    entry.wrong_types = {"7", "false", "[]", "{}", "\"a\\u0000b\""};
    if (bounds.min > 0) {
      entry.out_of_range.push_back(Quote(std::string(static_cast<size_t>(bounds.min - 1), 'x')));
    }
    entry.out_of_range.push_back(Quote(std::string(static_cast<size_t>(bounds.max + 1), 'x')));
  }

  void Set(Decimal& field, const Range* range, FilledField& entry) {
    field = Decimal{Next() * 100 + 25, 2};
    entry.value = field.ToString();
    entry.wrong_types = {"\"1.50\"", "true", "[]", "{}", "0.12345678901"};
    if (range != nullptr) {
      entry.out_of_range = {absl::StrCat(range->min - 1), absl::StrCat(range->max, ".5")};
    }
  }

  void Set(Raw& field, const Range*, FilledField& entry) {
    field.text = absl::StrCat("{\"raw\":", Next(), "}");
    entry.value = field.text;
  }

  template <class T>
  void Set(std::optional<T>& field, const Range* range, FilledField& entry) {
    field.emplace();
    Set(*field, range, entry);
  }

  template <class T>
  void Set(std::vector<T>& field, const Range* range, FilledField& entry) {
    const Range bounds = range != nullptr ? *range : Range(0, kMaxArrayElements);
    const int64_t size = std::min<int64_t>(std::max<int64_t>(bounds.min, 2), bounds.max);
    field.clear();
    for (int64_t i = 0; i < size; ++i) {
      T element{};
      FilledField at{absl::StrCat(entry.path, "[", i, "]"), Presence::kElement, "", {}, {}};
      const size_t slot = fields_->size();
      fields_->push_back(at);
      Set(element, nullptr, at);
      at.wrong_types.push_back("null");
      (*fields_)[slot] = at;
      field.push_back(std::move(element));
    }
    entry.value = Encode(field);
    entry.wrong_types = {"{}", "\"text\"", "7", "true"};
    if (bounds.min > 0) entry.out_of_range.push_back(Nulls(bounds.min - 1));
    entry.out_of_range.push_back(Nulls(bounds.max + 1));
  }

  template <class T>
  std::enable_if_t<std::is_enum_v<T>> Set(T& field, const Range*, FilledField& entry) {
    const absl::Span<const absl::string_view> names = EnumNames(T{});
    const T last = static_cast<T>(names.size() - 1);
    field = field == last ? static_cast<T>(0) : last;
    entry.value = Quote(names[static_cast<size_t>(field)]);
    entry.wrong_types = {"0", "true", "[]", "{}", "\"no such name\"", "\"\""};
  }

  template <class T>
  std::enable_if_t<std::is_class_v<T>> Set(T& field, const Range*, FilledField& entry) {
    Filler inner(entry.path, counter_, fields_);
    T::Describe(field, inner);
    entry.wrong_types = {"[]", "\"text\"", "7", "true"};
  }

  static std::string Nulls(int64_t count) {
    std::string text = "[";
    for (int64_t i = 0; i < count; ++i) text += i == 0 ? "null" : ",null";
    return text + "]";
  }

  std::string prefix_;
  int64_t* counter_;
  std::vector<FilledField>* fields_;
};

// Sets every field of `value`, and lists them.
template <class T>
std::vector<FilledField> FillStruct(T& value) {
  std::vector<FilledField> fields;
  int64_t counter = 1;
  Filler filler("", &counter, &fields);
  T::Describe(value, filler);
  return fields;
}

template <class T>
FilledMessage Fill() {
  T value{};
  FilledMessage filled;
  filled.fields = FillStruct(value);
  filled.text = Encode(value);
  return filled;
}

namespace json_internal {

// The value at `path`, and its parent; null when there is none.
inline rapidjson::Value* At(rapidjson::Value* node, absl::string_view path, rapidjson::Value** parent,
                            std::string* last) {
  for (absl::string_view step : absl::StrSplit(path, absl::ByAnyChar(".["), absl::SkipEmpty())) {
    if (node == nullptr) return nullptr;
    *parent = node;
    *last = std::string(step);
    if (absl::EndsWith(step, "]")) {
      uint32_t index = 0;
      const bool number = absl::SimpleAtoi(step.substr(0, step.size() - 1), &index);
      node = number && node->IsArray() && index < node->Size() ? &(*node)[index] : nullptr;
    } else {
      const auto it = node->IsObject() ? node->FindMember(last->c_str()) : rapidjson::Value::MemberIterator();
      node = node->IsObject() && it != node->MemberEnd() ? &it->value : nullptr;
    }
  }
  return node;
}

}  // namespace json_internal

// `text` with the value at `path` replaced by the JSON `replacement`; without one the member is removed.
// `path` must be there.
inline std::string Edit(absl::string_view text, absl::string_view path,
                        const std::optional<std::string>& replacement) {
  rapidjson::Document document;
  document.Parse(text.data(), text.size());
  rapidjson::Value* parent = nullptr;
  std::string last;
  rapidjson::Value* value = json_internal::At(&document, path, &parent, &last);
  if (value == nullptr || parent == nullptr) std::abort();
  if (replacement.has_value()) {
    rapidjson::Document other(&document.GetAllocator());
    other.Parse(replacement->data(), replacement->size());
    if (other.HasParseError()) std::abort();
    value->Swap(other);
  } else {
    parent->RemoveMember(last.c_str());
  }
  return Encode(static_cast<const Node&>(document));
}

// The value at `path` of `text` as JSON; nothing when it is not there.
inline std::optional<std::string> ValueAt(absl::string_view text, absl::string_view path) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseFullPrecisionFlag>(text.data(), text.size());
  rapidjson::Value* parent = nullptr;
  std::string last;
  const rapidjson::Value* value = json_internal::At(&document, path, &parent, &last);
  if (value == nullptr) return std::nullopt;
  return Encode(*value);
}

// Whether every member of `part` is in `whole` with an equal value, at every level; arrays element by
// element.
inline bool Contains(const Node& whole, const Node& part) {
  if (part.IsObject()) {
    if (!whole.IsObject()) return false;
    return std::all_of(part.MemberBegin(), part.MemberEnd(), [&](const auto& member) {
      const Node* value = json_internal::Find(
          whole, absl::string_view(member.name.GetString(), member.name.GetStringLength()));
      return value != nullptr && Contains(*value, member.value);
    });
  }
  if (part.IsArray()) {
    if (!whole.IsArray() || whole.Size() != part.Size()) return false;
    for (rapidjson::SizeType i = 0; i < part.Size(); ++i) {
      if (!Contains(whole[i], part[i])) return false;
    }
    return true;
  }
  return whole == part;
}

}  // namespace arc::json

#endif  // ARC_COMMON_JSON_FILL_H_
