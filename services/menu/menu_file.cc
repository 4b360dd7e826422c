#include "services/menu/menu_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/json/json.h"
#include "common/money/money.h"
#include "common/status/status.h"
#include "services/menu/catalogue.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

constexpr int64_t kMaxItems = 100000;
constexpr int64_t kMaxCategories = 1000;
constexpr int64_t kMaxListEntries = 50;
constexpr int64_t kMaxComboParts = 20;
constexpr int64_t kMaxPrice = 1000000;  // whole units of the currency
constexpr int64_t kMaxCalories = 100000;
constexpr size_t kMaxNameBytes = 100;
constexpr size_t kMaxIdBytes = 64;
constexpr size_t kMaxDescriptionBytes = 1000;
constexpr size_t kMaxImageBytes = 300;

// Where a value of a JSON text stands.
struct Located {
  absl::string_view text;
  int line = 1;
  std::vector<std::pair<std::string, Located>> members;  // of an object, in the order of the text
  std::vector<Located> elements;                         // of an array

  bool IsObject() const { return text[0] == '{'; }
  bool IsArray() const { return text[0] == '['; }
  bool IsNull() const { return text == "null"; }
  const Located* Find(absl::string_view name) const {
    for (const auto& [key, value] : members) {
      if (key == name) return value.IsNull() ? nullptr : &value;
    }
    return nullptr;
  }
};

// Walks a text that json::Parse() has accepted, so that it is well formed and not too deep.
class Locator {
 public:
  explicit Locator(absl::string_view text) : text_(text) {}

  Located Read() {
    SkipSpace();
    Located value;
    value.line = line_;
    const size_t begin = at_;
    if (text_[at_] == '{') {
      ++at_;
      while (SkipSpace() != '}') {
        std::string key = json::Decode<std::string>(ReadString()).value_or("");
        SkipSpace();
        ++at_;  // the colon
        value.members.emplace_back(std::move(key), Read());
        if (SkipSpace() == ',') ++at_;
      }
      ++at_;
    } else if (text_[at_] == '[') {
      ++at_;
      while (SkipSpace() != ']') {
        value.elements.push_back(Read());
        if (SkipSpace() == ',') ++at_;
      }
      ++at_;
    } else if (text_[at_] == '"') {
      ReadString();
    } else {
      while (at_ < text_.size() && !absl::StrContains(",]} \t\r\n", text_[at_])) ++at_;
    }
    value.text = text_.substr(begin, at_ - begin);
    return value;
  }

 private:
  char SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) {
      if (text_[at_] == '\n') ++line_;
      ++at_;
    }
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  absl::string_view ReadString() {
    const size_t begin = at_++;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    ++at_;
    return text_.substr(begin, at_ - begin);
  }

  absl::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

int LineOf(absl::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  return 1 +
         static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

bool HasControlCharacter(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\n' && c != '\t';
  });
}

class Checker {
 public:
  std::vector<MenuProblem> Run(absl::string_view text, messages::MenuFile& menu,
                               std::vector<MenuProblem>& warnings) {
    const absl::StatusOr<json::Document> parsed = json::Parse(text);
    if (!parsed.ok()) {
      problems_.push_back(
          {"", LineOfError(text, parsed.status().message()), std::string(parsed.status().message())});
      return std::move(problems_);
    }
    const Located root = Locator(text).Read();
    if (!root.IsObject()) {
      Add("", root.line, "must be an object with currency, categories and items");
      return std::move(problems_);
    }
    CheckFields(root, "", {"currency", "categories", "items"});
    Currency(root, menu);
    Categories(root, menu);
    Items(root, menu);
    if (problems_.empty()) {
      Oddities(root, menu);
      warnings = SortedByLine(std::move(problems_));
      return {};
    }
    return SortedByLine(std::move(problems_));
  }

 private:
  static std::vector<MenuProblem> SortedByLine(std::vector<MenuProblem> problems) {
    std::stable_sort(problems.begin(), problems.end(),
                     [](const MenuProblem& a, const MenuProblem& b) { return a.line < b.line; });
    return problems;
  }

  static int LineOfError(absl::string_view text, absl::string_view message) {
    size_t offset = text.find('\0');
    if (offset != absl::string_view::npos) return LineOf(text, offset);
    constexpr absl::string_view kAt = "at byte ";
    const size_t at = message.find(kAt);
    if (at == absl::string_view::npos) return 1;
    const absl::string_view rest = message.substr(at + kAt.size());
    return absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("0123456789")), &offset)
               ? LineOf(text, offset)
               : 1;
  }

  void Add(absl::string_view path, int line, std::string message) {
    problems_.push_back({std::string(path), line, std::move(message)});
  }
  void Add(absl::string_view path, const Located& value, std::string message) {
    Add(path, value.line, std::move(message));
  }

  // Decodes one value; a problem and nothing when it is of another type.
  template <class T>
  std::optional<T> Read(const Located& value, const std::string& path) {
    absl::StatusOr<json::Document> document = json::Parse(value.text);
    absl::StatusOr<T> decoded =
        document.ok() ? json::Decode<T>(document->root(), path) : absl::StatusOr<T>(document.status());
    if (decoded.ok()) return *std::move(decoded);
    absl::string_view message = decoded.status().message();
    absl::ConsumePrefix(&message, path);
    absl::ConsumePrefix(&message, ": ");
    Add(path, value, std::string(message));
    return std::nullopt;
  }

  const Located* Required(const Located& object, absl::string_view name, const std::string& path) {
    const Located* value = object.Find(name);
    if (value == nullptr) Add(path, object, "is required");
    return value;
  }

  // A text that people read: trimmed, without control characters, at most `most` bytes.
  std::string Text(const Located& value, const std::string& path, size_t most, bool may_be_blank) {
    std::optional<std::string> text = Read<std::string>(value, path);
    if (!text.has_value()) return "";
    absl::StripAsciiWhitespace(&*text);
    if (text->empty() && !may_be_blank) Add(path, value, "must not be blank");
    if (text->size() > most) {
      Add(path, value, absl::StrCat("is ", text->size(), " bytes long; the most are ", most));
    }
    if (HasControlCharacter(*text)) Add(path, value, "must not contain control characters");
    return *std::move(text);
  }

  Decimal Price(const Located& value, const std::string& path) {
    const std::optional<Decimal> price = Read<Decimal>(value, path);
    if (!price.has_value()) return {};
    if (price->unscaled < 0) {
      Add(path, value, absl::StrCat(price->ToString(), " must not be negative"));
    } else if (exponent_.has_value() && price->scale > *exponent_) {
      Add(path, value,
          absl::StrCat(price->ToString(), " has ", price->scale, " decimals; ", currency_, " has ",
                       *exponent_));
    } else if (price->ToMinor(9).value_or(kMaxPrice * 1000000000) > kMaxPrice * 1000000000) {
      Add(path, value, absl::StrCat(price->ToString(), " is more than ", kMaxPrice));
    }
    return *price;
  }

  // The elements of an array field; none, with a problem, when it is no array or too long.
  absl::Span<const Located> List(const Located& object, absl::string_view name, const std::string& path,
                                 int64_t most) {
    const Located* value = object.Find(name);
    if (value == nullptr) return {};
    if (!value->IsArray()) {
      Add(path, *value, "must be an array");
      return {};
    }
    if (static_cast<int64_t>(value->elements.size()) > most) {
      Add(path, *value, absl::StrCat("has ", value->elements.size(), " elements; the most are ", most));
      return {};
    }
    return value->elements;
  }

  std::vector<std::string> Strings(const Located& object, absl::string_view name, const std::string& path) {
    std::vector<std::string> out;
    const std::string list_path = absl::StrCat(path, ".", name);
    const absl::Span<const Located> elements = List(object, name, list_path, kMaxListEntries);
    for (size_t i = 0; i < elements.size(); ++i) {
      out.push_back(Text(elements[i], absl::StrCat(list_path, "[", i, "]"), kMaxNameBytes, false));
    }
    return out;
  }

  // A list of names out of a closed vocabulary, as bits.
  template <class Lookup>
  Bits Names(const Located& object, absl::string_view name, const std::string& path, Lookup lookup,
             absl::Span<const absl::string_view> known) {
    Bits bits = 0;
    const std::string list_path = absl::StrCat(path, ".", name);
    const absl::Span<const Located> elements = List(object, name, list_path, kMaxListEntries);
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::string element_path = absl::StrCat(list_path, "[", i, "]");
      const std::optional<std::string> text = Read<std::string>(elements[i], element_path);
      if (!text.has_value()) continue;
      const std::optional<Bits> found = lookup(*text);
      if (found.has_value()) {
        bits |= *found;
      } else {
        Add(element_path, elements[i],
            absl::StrCat(json::Quote(*text), " is unknown; known are ", absl::StrJoin(known, ", ")));
      }
    }
    return bits;
  }

  // Fields that stand twice, and fields whose name is nearly that of a known one: allergens that nobody reads
  // because of a spelling mistake would be dangerous.
  void CheckFields(const Located& object, const std::string& path,
                   absl::Span<const absl::string_view> known) {
    absl::flat_hash_set<absl::string_view> seen;
    for (const auto& [key, value] : object.members) {
      const std::string field_path = path.empty() ? key : absl::StrCat(path, ".", key);
      if (!seen.insert(key).second) Add(field_path, value, "stands twice");
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string folded = absl::StrJoin(Tokenize(key), "_");
      for (const absl::string_view name : known) {
        const int limit = ErrorsAllowed(folded.size());
        if (EditDistance(folded, name, limit) <= limit) {
          Add(field_path, value, absl::StrCat("is unknown; did you mean ", name, "?"));
        }
      }
    }
  }

  void Currency(const Located& root, messages::MenuFile& menu) {
    const Located* value = Required(root, "currency", "currency");
    if (value == nullptr) return;
    const std::optional<std::string> currency = Read<std::string>(*value, "currency");
    if (!currency.has_value()) return;
    const std::optional<int> exponent = CurrencyExponent(*currency);
    if (!exponent.has_value()) {
      Add("currency", *value, absl::StrCat(json::Quote(*currency), " is no currency of ISO 4217"));
      return;
    }
    menu.currency = *currency;
    currency_ = *currency;
    exponent_ = *exponent;
  }

  void Categories(const Located& root, messages::MenuFile& menu) {
    if (Required(root, "categories", "categories") == nullptr) return;
    const absl::Span<const Located> categories = List(root, "categories", "categories", kMaxCategories);
    if (categories.empty() && root.Find("categories")->IsArray()) {
      Add("categories", *root.Find("categories"), "must have at least one category");
    }
    absl::flat_hash_map<std::string, int> lines;
    for (size_t i = 0; i < categories.size(); ++i) {
      const Located& object = categories[i];
      const std::string path = absl::StrCat("categories[", i, "]");
      if (!object.IsObject()) {
        Add(path, object, "must be an object");
        continue;
      }
      CheckFields(object, path, {"id", "name"});
      messages::MenuCategory category;
      if (const Located* id = Required(object, "id", path + ".id")) {
        category.id = Text(*id, path + ".id", kMaxIdBytes, false);
        const auto [it, inserted] = lines.emplace(category.id, id->line);
        if (!inserted) {
          Add(path + ".id", *id,
              absl::StrCat(json::Quote(category.id), " stands twice, first in line ", it->second));
        }
      }
      if (const Located* name = Required(object, "name", path + ".name")) {
        category.name = Text(*name, path + ".name", kMaxNameBytes, false);
      }
      category_ids_.insert(category.id);
      menu.categories.push_back(std::move(category));
    }
  }

  void Items(const Located& root, messages::MenuFile& menu) {
    if (Required(root, "items", "items") == nullptr) return;
    const absl::Span<const Located> items = List(root, "items", "items", kMaxItems);
    absl::flat_hash_map<int64_t, int> lines;
    absl::flat_hash_set<int64_t> combos;
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string path = absl::StrCat("items[", i, "]");
      if (!items[i].IsObject()) {
        Add(path, items[i], "must be an object");
        continue;
      }
      messages::MenuItem item = ReadItem(items[i], path);
      if (const Located* id = items[i].Find("id"); id != nullptr && item.id > 0) {
        const auto [it, inserted] = lines.emplace(item.id, id->line);
        if (!inserted) {
          Add(path + ".id", *id, absl::StrCat(item.id, " stands twice, first in line ", it->second));
        }
        if (!item.combo_of.empty()) combos.insert(item.id);
      }
      menu.items.push_back(std::move(item));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      if (!items[i].IsObject()) continue;
      const std::string path = absl::StrCat("items[", i, "].combo_of");
      const Located* list = items[i].Find("combo_of");
      if (list == nullptr || !list->IsArray()) continue;
      const absl::StatusOr<int64_t> own =
          items[i].Find("id") == nullptr ? 0 : json::Decode<int64_t>(items[i].Find("id")->text);
      for (size_t k = 0; k < list->elements.size(); ++k) {
        const Located& element = list->elements[k];
        const absl::StatusOr<int64_t> part = json::Decode<int64_t>(element.text);
        if (!part.ok()) continue;  // already a problem
        const std::string part_path = absl::StrCat(path, "[", k, "]");
        if (own.ok() && *own == *part) {
          Add(part_path, element, absl::StrCat(*part, " is the item itself"));
        } else if (!lines.contains(*part)) {
          Add(part_path, element, absl::StrCat("no item has the id ", *part));
        } else if (combos.contains(*part)) {
          Add(part_path, element, absl::StrCat(*part, " is a combo itself"));
        }
      }
    }
  }

  // What is allowed and yet looks like a mistake, in a file without problems.
  void Oddities(const Located& root, const messages::MenuFile& menu) {
    const std::vector<Located>& objects = root.Find("items")->elements;
    absl::flat_hash_map<int64_t, const messages::MenuItem*> by_id;
    for (const messages::MenuItem& item : menu.items) by_id[item.id] = &item;
    const auto minor = [&](const messages::MenuItem& item) {
      return item.price.ToMinor(*exponent_).value_or(0);
    };
    absl::flat_hash_map<std::string, int> names;
    for (size_t i = 0; i < menu.items.size(); ++i) {
      const messages::MenuItem& item = menu.items[i];
      const std::string path = absl::StrCat("items[", i, "]");
      const Located& name = *objects[i].Find("name");
      const auto [it, inserted] = names.emplace(
          absl::StrCat(item.category, "\n", absl::StrJoin(Tokenize(item.name), " ")), name.line);
      if (!inserted) {
        Add(path + ".name", name,
            absl::StrCat(json::Quote(item.name), " stands twice in the category ", json::Quote(item.category),
                         ", first in line ", it->second));
      }
      if (item.combo_of.empty()) continue;
      int64_t parts = 0;
      Bits hidden = 0;
      for (const int64_t id : item.combo_of) {
        parts += minor(*by_id[id]);
        hidden |= AllergensOf(*by_id[id]);
      }
      hidden &= ~AllergensOf(item);
      if (minor(item) > parts) {
        Add(path + ".price", *objects[i].Find("price"),
            absl::StrCat(item.price.ToString(), " is more than its parts cost together, ",
                         Decimal::FromMinor(parts, *exponent_).ToString()));
      }
      if (hidden != 0) {
        Add(path + ".combo_of", *objects[i].Find("combo_of"),
            absl::StrCat("its parts have allergens that it does not name: ",
                         absl::StrJoin(AllergenNamesOf(hidden), ", ")));
      }
    }
  }

  messages::MenuItem ReadItem(const Located& object, const std::string& path) {
    CheckFields(object, path,
                {"id", "name", "category", "description", "price", "image", "calories", "tags", "dietary",
                 "allergens", "customizations", "synonyms", "combo_of", "available"});
    messages::MenuItem item;
    if (const Located* id = Required(object, "id", path + ".id")) {
      const std::optional<int64_t> number = Read<int64_t>(*id, path + ".id");
      if (number.has_value() && *number < 1) {
        Add(path + ".id", *id, absl::StrCat(*number, " must be at least 1"));
      }
      item.id = number.value_or(0);
    }
    if (const Located* name = Required(object, "name", path + ".name")) {
      item.name = Text(*name, path + ".name", kMaxNameBytes, false);
    }
    if (const Located* category = Required(object, "category", path + ".category")) {
      const std::optional<std::string> id = Read<std::string>(*category, path + ".category");
      if (id.has_value() && !category_ids_.contains(*id)) {
        Add(path + ".category", *category, absl::StrCat("there is no category ", json::Quote(*id)));
      }
      item.category = id.value_or("");
    }
    if (const Located* price = Required(object, "price", path + ".price")) {
      item.price = Price(*price, path + ".price");
    }
    if (const Located* description = object.Find("description")) {
      item.description = Text(*description, path + ".description", kMaxDescriptionBytes, true);
    }
    if (const Located* image = object.Find("image")) {
      item.image = Text(*image, path + ".image", kMaxImageBytes, true);
    }
    if (const Located* calories = object.Find("calories")) {
      item.calories = Read<int64_t>(*calories, path + ".calories");
      if (item.calories.value_or(0) < 0 || item.calories.value_or(0) > kMaxCalories) {
        Add(path + ".calories", *calories, absl::StrCat(*item.calories, " must be 0 to ", kMaxCalories));
      }
    }
    item.tags = Strings(object, "tags", path);
    item.synonyms = Strings(object, "synonyms", path);
    const Bits dietary = Names(object, "dietary", path, DietaryBit, DietaryNames());
    const Bits allergens = Names(object, "allergens", path, AllergenBits, AllergenNames());
    item.dietary = DietaryNamesOf(dietary);
    item.allergens = AllergenNamesOf(allergens);
    for (const std::string& property : item.dietary) {
      const Bits against = AllergensAgainst(*DietaryBit(property)) & allergens;
      if (against != 0) {
        Add(path + ".dietary", *object.Find("dietary"),
            absl::StrCat(property, " contradicts the allergens ",
                         absl::StrJoin(AllergenNamesOf(against), ", ")));
      }
    }
    Customizations(object, path + ".customizations", item);
    const absl::Span<const Located> parts = List(object, "combo_of", path + ".combo_of", kMaxComboParts);
    for (size_t i = 0; i < parts.size(); ++i) {
      item.combo_of.push_back(Read<int64_t>(parts[i], absl::StrCat(path, ".combo_of[", i, "]")).value_or(0));
    }
    if (const Located* available = object.Find("available")) {
      item.available = Read<bool>(*available, path + ".available").value_or(true);
    }
    return item;
  }

  void Customizations(const Located& object, const std::string& path, messages::MenuItem& item) {
    const absl::Span<const Located> list = List(object, "customizations", path, kMaxListEntries);
    absl::flat_hash_set<std::string> names;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string at = absl::StrCat(path, "[", i, "]");
      if (!list[i].IsObject()) {
        Add(at, list[i], "must be an object");
        continue;
      }
      CheckFields(list[i], at, {"name", "price"});
      messages::Customization customization;
      if (const Located* name = Required(list[i], "name", at + ".name")) {
        customization.name = Text(*name, at + ".name", kMaxNameBytes, false);
        if (!names.insert(absl::StrJoin(Tokenize(customization.name), " ")).second) {
          Add(at + ".name", *name, absl::StrCat(json::Quote(customization.name), " stands twice"));
        }
      }
      if (const Located* price = list[i].Find("price")) customization.price = Price(*price, at + ".price");
      item.customizations.push_back(std::move(customization));
    }
  }

  std::vector<MenuProblem> problems_;
  std::string currency_;
  std::optional<int> exponent_;
  absl::flat_hash_set<std::string> category_ids_;
};

}  // namespace

std::string MenuProblem::ToString() const {
  return absl::StrCat("line ", line, ": ", path, path.empty() ? "" : ": ", message);
}

std::vector<MenuProblem> CheckMenuFile(absl::string_view text, messages::MenuFile* menu,
                                       std::vector<MenuProblem>* warnings) {
  messages::MenuFile read;
  std::vector<MenuProblem> odd;
  std::vector<MenuProblem> problems = Checker().Run(text, read, odd);
  if (warnings != nullptr) *warnings = std::move(odd);
  if (problems.empty() && menu != nullptr) *menu = std::move(read);
  return problems;
}

absl::StatusOr<messages::MenuFile> ParseMenuFile(absl::string_view text) {
  messages::MenuFile menu;
  const std::vector<MenuProblem> problems = CheckMenuFile(text, &menu);
  if (problems.empty()) return menu;
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrJoin(problems, "\n", [](std::string* out, const MenuProblem& problem) {
                     absl::StrAppend(out, problem.ToString());
                   }));
}

}  // namespace arc::menu
