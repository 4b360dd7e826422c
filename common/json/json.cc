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

// Levels of nesting of `text`, at least until they exceed `limit`. Brackets inside strings do not count.
bool DeeperThan(absl::string_view text, int limit) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

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

absl::StatusOr<Document> Parse(absl::string_view text) {
  if (text.empty()) return MakeError(ErrorCode::kInvalidRequest, "the body is empty, not a JSON object");
  if (std::memchr(text.data(), '\0', text.size()) != nullptr) {
    return MakeError(ErrorCode::kInvalidRequest, "the body is not JSON: it contains a NUL byte");
  }
  if (DeeperThan(text, kMaxDepth)) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the body is nested deeper than ", kMaxDepth, " levels"));
  }
  Document document;
  document.document_ = std::make_unique<rapidjson::Document>();
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseFullPrecisionFlag;
  document.document_->Parse<kFlags>(text.data(), text.size());
  if (document.document_->HasParseError()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the body is not JSON: at byte ", document.document_->GetErrorOffset(),
                                  ": ", rapidjson::GetParseError_En(document.document_->GetParseError())));
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
