#include "common/json/json.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "rapidjson/error/en.h"

namespace arc::json {
namespace {

// Hands on what the parser reads, and stops it where the nesting gets too deep.
class DepthLimiter {
 public:
  explicit DepthLimiter(rapidjson::Document& document) : document_(document) {}
  bool too_deep() const { return depth_ > kMaxDepth; }

  bool Null() { return document_.Null(); }
  bool Bool(bool value) { return document_.Bool(value); }
  bool Int(int value) { return document_.Int(value); }
  bool Uint(unsigned value) { return document_.Uint(value); }
  bool Int64(int64_t value) { return document_.Int64(value); }
  bool Uint64(uint64_t value) { return document_.Uint64(value); }
  bool Double(double value) { return document_.Double(value); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool copy) {
    return document_.RawNumber(text, size, copy);
  }
  bool String(const char* text, rapidjson::SizeType size, bool copy) {
    return document_.String(text, size, copy);
  }
  bool Key(const char* text, rapidjson::SizeType size, bool copy) { return document_.Key(text, size, copy); }
  bool StartObject() { return ++depth_ <= kMaxDepth && document_.StartObject(); }
  bool EndObject(rapidjson::SizeType members) {
    --depth_;
    return document_.EndObject(members);
  }
  bool StartArray() { return ++depth_ <= kMaxDepth && document_.StartArray(); }
  bool EndArray(rapidjson::SizeType elements) {
    --depth_;
    return document_.EndArray(elements);
  }

 private:
  rapidjson::Document& document_;
  int depth_ = 0;
};

// Where the first byte is that is not part of a well-formed UTF-8 sequence (RFC 3629); npos: nowhere.
size_t FindInvalidUtf8(absl::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(i < text.size() ? text[i] : 0); };
  const auto continues = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  constexpr uint64_t kHighBits = 0x8080808080808080;
  for (size_t i = 0; i < text.size();) {
    uint64_t word = 0;
    if (text.size() - i >= sizeof(word)) {
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & kHighBits) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const unsigned char lead = at(i);
    if (lead < 0x80) {
      ++i;
    } else if (lead >= 0xC2 && lead <= 0xDF && continues(i + 1)) {
      i += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF && continues(i + 1) && continues(i + 2) &&
               !(lead == 0xE0 && at(i + 1) < 0xA0) && !(lead == 0xED && at(i + 1) >= 0xA0)) {
      i += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4 && continues(i + 1) && continues(i + 2) && continues(i + 3) &&
               !(lead == 0xF0 && at(i + 1) < 0x90) && !(lead == 0xF4 && at(i + 1) >= 0x90)) {
      i += 4;
    } else {
      return i;
    }
  }
  return absl::string_view::npos;
}

// Behind the text, so that reading sixteen bytes at a time ends inside the buffer.
constexpr size_t kPadding = 32;

// Room for the members of a message of usual size without a second allocation.
constexpr size_t kPoolBytes = 2048;

std::string RangeText(const Range& range, absl::string_view unit) {
  return absl::StrCat("must be ", range.min, " to ", range.max, unit);
}

}  // namespace

std::string Path::ToString() const {
  std::string text = parent != nullptr ? parent->ToString() : "";
  if (index >= 0) return absl::StrCat(text, "[", index, "]");
  if (text.empty()) return std::string(name);
  return absl::StrCat(text, ".", name);
}

Document::Content::Content(absl::string_view body)
    : text(new char[body.size() + kPadding]), allocator(kPoolBytes), document(&allocator) {
  std::memcpy(text.get(), body.data(), body.size());
  std::memset(text.get() + body.size(), 0, kPadding);
}

absl::StatusOr<Document> Parse(absl::string_view text) {
  if (text.empty()) return MakeError(ErrorCode::kInvalidRequest, "the body is empty, not a JSON object");
  if (std::memchr(text.data(), '\0', text.size()) != nullptr) {
    return MakeError(ErrorCode::kInvalidRequest, "the body is not JSON: it contains a NUL byte");
  }
  if (const size_t at = FindInvalidUtf8(text); at != absl::string_view::npos) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the body is not JSON: at byte ", at, ": Invalid encoding in string."));
  }
  Document document;
  document.content_ = std::make_unique<Document::Content>(text);
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseInsituFlag | rapidjson::kParseFullPrecisionFlag;
  rapidjson::InsituStringStream stream(document.content_->text.get());
  rapidjson::Reader reader;
  bool too_deep = false;
  const auto read = [&](rapidjson::Document& into) {
    DepthLimiter limiter(into);
    const bool read_all = !reader.Parse<kFlags>(stream, limiter).IsError();
    too_deep = limiter.too_deep();
    return read_all;
  };
  document.content_->document.Populate(read);
  if (too_deep) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the body is nested deeper than ", kMaxDepth, " levels"));
  }
  if (reader.HasParseError()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the body is not JSON: at byte ", reader.GetErrorOffset(), ": ",
                                  rapidjson::GetParseError_En(reader.GetParseErrorCode())));
  }
  return document;
}

std::string Quote(absl::string_view text) {
  Encoder encoder;
  encoder.String(text);
  return encoder.Take();
}

std::string Encode(const Node& node) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  node.Accept(writer);
  return std::string(buffer.GetString(), buffer.GetSize());
}

void Decoder::Constant(absl::string_view name, absl::string_view text) {
  if (!status_.ok()) return;
  const Node* node = json_internal::Find(object_, name);
  if (node == nullptr || node->IsNull()) return;
  if (!node->IsString() || absl::string_view(node->GetString(), node->GetStringLength()) != text) {
    status_ = json_internal::ErrorAt(Path{&path_, name, -1}, absl::StrCat("must be \"", text, "\""));
  }
}

void Encoder::Value(double value) {
  if (std::isfinite(value)) {
    writer_.Double(value);
  } else {
    writer_.Null();
  }
}

void Encoder::Value(const Decimal& value) {
  const std::string text = value.ToString();
  writer_.RawValue(text.data(), text.size(), rapidjson::kNumberType);
}

namespace json_internal {

absl::Status ErrorAt(const Path& path, absl::string_view what) {
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat(path.ToString(), ": ", what));
}

const Node* Find(const Node& object, absl::string_view name) {
  for (auto it = object.MemberBegin(); it != object.MemberEnd(); ++it) {
    if (absl::string_view(it->name.GetString(), it->name.GetStringLength()) == name) return &it->value;
  }
  return nullptr;
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range*, bool& out) {
  if (!node.IsBool()) return ErrorAt(path, "must be true or false");
  out = node.GetBool();
  return absl::OkStatus();
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, int64_t& out) {
  const Range bounds = range != nullptr ? *range : Range(-kMaxId, kMaxId);
  if (node.IsInt64()) {
    out = node.GetInt64();
  } else if (node.IsNumber()) {
    // 2.0 is an integer to those who write every number as a double.
    const double value = node.GetDouble();
    if (value != std::floor(value)) return ErrorAt(path, "must be a whole number");
    if (std::fabs(value) > static_cast<double>(kMaxId)) return ErrorAt(path, RangeText(bounds, ""));
    out = static_cast<int64_t>(value);
  } else {
    return ErrorAt(path, "must be a whole number");
  }
  if (out < bounds.min || out > bounds.max) return ErrorAt(path, RangeText(bounds, ""));
  return absl::OkStatus();
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, double& out) {
  if (!node.IsNumber()) return ErrorAt(path, "must be a number");
  out = node.GetDouble();
  if (range != nullptr && (out < static_cast<double>(range->min) || out > static_cast<double>(range->max))) {
    return ErrorAt(path, RangeText(*range, ""));
  }
  return absl::OkStatus();
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, std::string& out) {
  if (!node.IsString()) return ErrorAt(path, "must be a string");
  const int64_t size = node.GetStringLength();
  const Range bounds = range != nullptr ? *range : Range(0, kMaxStringBytes);
  if (size < bounds.min) return ErrorAt(path, size == 0 ? "must not be empty" : "is too short");
  if (size > bounds.max) return ErrorAt(path, absl::StrCat("is longer than ", bounds.max, " bytes"));
  if (std::memchr(node.GetString(), '\0', static_cast<size_t>(size)) != nullptr) {
    return ErrorAt(path, "must not contain a NUL character");
  }
  out.assign(node.GetString(), static_cast<size_t>(size));
  return absl::OkStatus();
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, Decimal& out) {
  if (!node.IsNumber()) return ErrorAt(path, "must be a number");
  absl::StatusOr<Decimal> decimal = Decimal::FromDouble(node.GetDouble());
  if (!decimal.ok()) return ErrorAt(path, decimal.status().message());
  if (range != nullptr && (node.GetDouble() < static_cast<double>(range->min) ||
                           node.GetDouble() > static_cast<double>(range->max))) {
    return ErrorAt(path, RangeText(*range, ""));
  }
  out = *decimal;
  return absl::OkStatus();
}

absl::Status DecodeTo(const Node& node, const Path& path, const Range* range, Raw& out) {
  out.text = Encode(node);
  const Range bounds = range != nullptr ? *range : Range(0, kMaxStringBytes);
  if (static_cast<int64_t>(out.text.size()) > bounds.max) {
    return ErrorAt(path, absl::StrCat("is longer than ", bounds.max, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status DecodeEnum(const Node& node, const Path& path, absl::Span<const absl::string_view> names,
                        int& out) {
  if (node.IsString()) {
    const absl::string_view text(node.GetString(), node.GetStringLength());
    const auto it = std::find(names.begin(), names.end(), text);
    if (it != names.end()) {
      out = static_cast<int>(it - names.begin());
      return absl::OkStatus();
    }
  }
  return ErrorAt(path, absl::StrCat("must be one of ", absl::StrJoin(names, ", ")));
}

}  // namespace json_internal
}  // namespace arc::json
