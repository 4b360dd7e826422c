// Typed JSON: a struct describes its fields once; decoding, encoding and tests follow from that.
//
//   struct CartLine {
//     int64_t item_id = 0;
//     int64_t quantity = 1;
//     std::optional<std::string> note;
//
//     template <class S, class V>
//     static void Describe(S& s, V& v) {
//       v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));
//       v.Optional("quantity", s.quantity, json::Range(1, 99));
//       v.Optional("note", s.note, json::Range(0, 200));
//     }
//   };
//   absl::StatusOr<CartLine> line = json::Decode<CartLine>(text);
//   std::string text = json::Encode(*line);
//
// Field types: bool, int64_t, double, std::string, Decimal, Raw, enums with EnumNames(), structs with
// Describe(), std::vector and std::optional of those.
//
//   Required(name, field[, range])  decoding fails when the field is missing or null
//   Optional(name, field[, range])  missing or null leaves the field as it was; an empty std::optional is not
//   written Nullable(name, field[, range])  for std::optional: null and missing are nullopt, nullopt is
//   written as null Constant(name, text)            written always; when present on decoding it must be
//   `text`
//
// Unknown fields are ignored. Errors are INVALID_REQUEST (InvalidArgument) and start with the path of the
// field, such as "payload.items[2].price: must be a number". Input is untrusted: at most kMaxDepth levels,
// valid UTF-8, no NUL bytes, no numbers beyond a double. All functions are thread-safe; a Document must
// outlive the nodes taken from it.
#ifndef ARC_COMMON_JSON_JSON_H_
#define ARC_COMMON_JSON_JSON_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/json/decimal.h"
// Strings are looked through sixteen bytes at a time.
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#elif defined(__ARM_NEON)
#define RAPIDJSON_NEON
#endif
#include "rapidjson/document.h"
#include "rapidjson/stringbuffer.h"
#include "rapidjson/writer.h"

namespace arc::json {

inline constexpr int kMaxDepth = 32;                 // the outermost object is level 1
inline constexpr int64_t kMaxId = 9007199254740991;  // 2^53 - 1: what every JSON reader keeps exactly
inline constexpr int64_t kMaxStringBytes = 65536;    // of a string field that names no other range
inline constexpr int64_t kMaxArrayElements = 10000;  // of an array field that names no other range

// Bounds, both inclusive: of a number its value, of a string its length in bytes, of an array its number of
// elements. On a std::optional they are those of its value; on a Decimal they bound the value in whole units.
struct Range {
  constexpr Range(int64_t low, int64_t high) : min(low), max(high) {}
  int64_t min;
  int64_t max;
};

// A JSON value kept as its text, for what this process passes on without reading it.
struct Raw {
  std::string text = "null";
  friend bool operator==(const Raw& a, const Raw& b) { return a.text == b.text; }
};

using Node = rapidjson::Value;

// A parsed text.
class Document {
 public:
  const Node& root() const { return content_->document; }

 private:
  friend absl::StatusOr<Document> Parse(absl::string_view text);
  struct Content {
    explicit Content(absl::string_view text);
    std::unique_ptr<char[]> text;  // parsed in place: the strings of the nodes point into it
    rapidjson::MemoryPoolAllocator<> allocator;
    rapidjson::Document document;
  };
  std::unique_ptr<Content> content_;
};

// Parses one JSON value that is the whole of `text`.
absl::StatusOr<Document> Parse(absl::string_view text);

// Where a value stands, for error messages. Lives on the stack of the decoding functions.
struct Path {
  const Path* parent = nullptr;
  absl::string_view name;
  int64_t index = -1;
  std::string ToString() const;
};

// `"text"` with everything escaped that JSON wants escaped.
std::string Quote(absl::string_view text);

namespace json_internal {

absl::Status ErrorAt(const Path& path, absl::string_view what);
const Node* Find(const Node& object, absl::string_view name);

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, bool& out);
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, int64_t& out);
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, double& out);
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::string& out);
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, Decimal& out);
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, Raw& out);
absl::Status DecodeEnum(const Node& node, const Path& path, absl::Span<const absl::string_view> names,
                        int& out);

template <class T>
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::vector<T>& out);
template <class T>
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::optional<T>& out);
template <class T>
std::enable_if_t<std::is_enum_v<T>, absl::Status> DecodeTo(const Node& node, const Path& path,
                                                           const Range* range, T& out);
template <class T>
std::enable_if_t<std::is_class_v<T>, absl::Status> DecodeTo(const Node& node, const Path& path,
                                                            const Range* range, T& out);

}  // namespace json_internal

// The visitor that fills a struct from a JSON object.
class Decoder {
 public:
  static constexpr bool kDecoding = true;

  Decoder(const Node& object, const Path& path) : object_(object), path_(path) {}

  template <class T>
  void Required(absl::string_view name, T& field) {
    Read(name, field, nullptr, true);
  }
  template <class T>
  void Required(absl::string_view name, T& field, Range range) {
    Read(name, field, &range, true);
  }
  template <class T>
  void Optional(absl::string_view name, T& field) {
    Read(name, field, nullptr, false);
  }
  template <class T>
  void Optional(absl::string_view name, T& field, Range range) {
    Read(name, field, &range, false);
  }
  template <class T>
  void Nullable(absl::string_view name, std::optional<T>& field) {
    Read(name, field, nullptr, false);
  }
  template <class T>
  void Nullable(absl::string_view name, std::optional<T>& field, Range range) {
    Read(name, field, &range, false);
  }
  void Constant(absl::string_view name, absl::string_view text);

  const absl::Status& status() const { return status_; }

 private:
  template <class T>
  void Read(absl::string_view name, T& field, const Range* range, bool required) {
    if (!status_.ok()) return;
    const Path path{&path_, name, -1};
    const Node* node = json_internal::Find(object_, name);
    if (node == nullptr || node->IsNull()) {
      if (required) status_ = json_internal::ErrorAt(path, "is required");
      return;
    }
    status_ = json_internal::DecodeTo(*node, path, range, field);
  }

  const Node& object_;
  const Path& path_;
  absl::Status status_;
};

// The visitor that writes a struct as a JSON object.
class Encoder {
 public:
  static constexpr bool kDecoding = false;

  template <class T>
  void Required(absl::string_view name, const T& field) {
    Optional(name, field);
  }
  template <class T>
  void Required(absl::string_view name, const T& field, Range) {
    Optional(name, field);
  }
  template <class T>
  void Optional(absl::string_view name, const T& field, Range) {
    Optional(name, field);
  }
  template <class T>
  void Optional(absl::string_view name, const T& field) {
    Key(name);
    Value(field);
  }
  template <class T>
  void Optional(absl::string_view name, const std::optional<T>& field) {
    if (!field.has_value()) return;
    Key(name);
    Value(*field);
  }
  template <class T>
  void Nullable(absl::string_view name, const std::optional<T>& field, Range) {
    Nullable(name, field);
  }
  template <class T>
  void Nullable(absl::string_view name, const std::optional<T>& field) {
    Key(name);
    if (field.has_value()) {
      Value(*field);
    } else {
      writer_.Null();
    }
  }
  void Constant(absl::string_view name, absl::string_view text) {
    Key(name);
    String(text);
  }

  void Value(bool value) { writer_.Bool(value); }
  void Value(int64_t value) { writer_.Int64(value); }
  void Value(double value);
  void Value(const std::string& value) { String(value); }
  void Value(const Decimal& value);
  void Value(const Raw& value) {
    writer_.RawValue(value.text.data(), value.text.size(), rapidjson::kObjectType);
  }
  template <class T>
  void Value(const std::vector<T>& values) {
    writer_.StartArray();
    for (const auto& value : values) Value(static_cast<const T&>(value));
    writer_.EndArray();
  }
  template <class T>
  std::enable_if_t<std::is_enum_v<T>> Value(const T& value) {
    String(EnumNames(value)[static_cast<size_t>(value)]);
  }
  template <class T>
  std::enable_if_t<std::is_class_v<T>> Value(const T& value) {
    writer_.StartObject();
    T::Describe(value, *this);
    writer_.EndObject();
  }

  void Key(absl::string_view name) {
    writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
  }
  void String(absl::string_view text) {
    writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  }
  void StartObject() { writer_.StartObject(); }
  void EndObject() { writer_.EndObject(); }

  std::string Take() { return std::string(buffer_.GetString(), buffer_.GetSize()); }

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

namespace json_internal {

template <class T>
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::vector<T>& out) {
  if (!node.IsArray()) return ErrorAt(path, "must be an array");
  const int64_t size = node.Size();
  const Range bounds = range != nullptr ? *range : Range(0, kMaxArrayElements);
  if (size < bounds.min) return ErrorAt(path, "has too few elements");
  if (size > bounds.max) return ErrorAt(path, "has too many elements");
  out.clear();
  out.reserve(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    T element{};
    const Path at{&path, {}, i};
    absl::Status status = DecodeTo(node[static_cast<rapidjson::SizeType>(i)], at, nullptr, element);
    if (!status.ok()) return status;
    out.push_back(std::move(element));
  }
  return absl::OkStatus();
}

template <class T>
absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::optional<T>& out) {
  T value{};
  absl::Status status = DecodeTo(node, path, range, value);
  if (status.ok()) out = std::move(value);
  return status;
}

template <class T>
std::enable_if_t<std::is_enum_v<T>, absl::Status> DecodeTo(const Node& node, const Path& path, const Range*,
                                                           T& out) {
  int value = 0;
  absl::Status status = DecodeEnum(node, path, EnumNames(T{}), value);
  if (status.ok()) out = static_cast<T>(value);
  return status;
}

template <class T>
std::enable_if_t<std::is_class_v<T>, absl::Status> DecodeTo(const Node& node, const Path& path, const Range*,
                                                            T& out) {
  if (!node.IsObject()) return ErrorAt(path, "must be an object");
  Decoder decoder(node, path);
  T::Describe(out, decoder);
  return decoder.status();
}

}  // namespace json_internal

// The struct that `node` holds; `root` is the name of `node` in error messages, such as "payload".
template <class T>
absl::StatusOr<T> Decode(const Node& node, absl::string_view root) {
  T value{};
  const Path path{nullptr, root, -1};
  absl::Status status = json_internal::DecodeTo(node, path, nullptr, value);
  if (!status.ok()) return status;
  return value;
}

// The struct that the whole of `text` holds.
template <class T>
absl::StatusOr<T> Decode(absl::string_view text) {
  absl::StatusOr<Document> document = Parse(text);
  if (!document.ok()) return std::move(document).status();
  return Decode<T>(document->root(), "");
}

// `value` as one line of JSON.
template <class T>
std::string Encode(const T& value) {
  Encoder encoder;
  encoder.Value(value);
  return encoder.Take();
}

// `node` as one line of JSON.
std::string Encode(const Node& node);

}  // namespace arc::json

#endif  // ARC_COMMON_JSON_JSON_H_
