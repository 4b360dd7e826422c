// Which engine should search the menu? Measures four of them on generated menus, over the same queries:
//
//   index      the menu agent's own inverted index (services/menu/search_index.h)
//   xapian     an in-memory Xapian database behind the same analysis (stems, synonyms, corrections)
//   fts5       an in-memory SQLite FTS5 table behind the same analysis
//   trigram    an in-memory SQLite FTS5 table with the trigram tokenizer and no analysis: what SQLite has
//              itself against typing errors
//
//   bin/menu_search_bench [items=10000] [rounds=5]
//
// Every engine answers the same question: the ten best items that can be had, and how many there are. Prints
// for each: time to build, resident memory, p50 and p99 of a query in microseconds, and in how many queries
// of each kind the wanted item is among the first ten.
#include <sqlite3.h>
#include <unistd.h>
#include <xapian.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/menu/catalogue.h"
#include "services/menu/menu_file.h"
#include "services/menu/search_index.h"
#include "services/menu/text_analysis.h"

namespace arc::menu {
namespace {

constexpr size_t kWanted = 10;

using SteadyTime = std::chrono::steady_clock;

double MicrosSince(SteadyTime::time_point start) {
  return std::chrono::duration<double, std::micro>(SteadyTime::now() - start).count();
}

int64_t ResidentKilobytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

[[noreturn]] void Die(const std::string& what) {
  std::cerr << what << "\n";
  std::exit(1);
}

// The demo restaurant's 80 items, then others made of words in the same way, all names different.
messages::MenuFile GenerateMenu(int count) {
  std::ifstream file(ARC_SOURCE_DIR "/deploy/demo/menu.json");
  std::stringstream text;
  text << file.rdbuf();
  absl::StatusOr<messages::MenuFile> demo = ParseMenuFile(text.str());
  if (!demo.ok()) Die(std::string(demo.status().message()));
  messages::MenuFile menu = *std::move(demo);
  const std::vector<std::string> adjectives = {
      "Smoky",   "Crispy", "Grilled", "Roasted",  "Spicy",   "Golden",  "Rustic",  "Creamy",
      "Zesty",   "Tangy",  "Glazed",  "Charred",  "Braised", "Steamed", "Stuffed", "Pickled",
      "Toasted", "Frozen", "Fresh",   "Honey",    "Garlic",  "Ginger",  "Lemon",   "Maple",
      "Pepper",  "Chilli", "Coconut", "Cinnamon", "Vanilla", "Caramel", "Herbed",  "Buttery",
      "Truffle", "Cajun",  "Harissa", "Teriyaki", "Tikka",   "Sesame",  "Miso",    "Pesto"};
  const std::vector<std::string> foods = {
      "Beef",      "Chicken",  "Turkey", "Salmon", "Prawn",     "Tofu",      "Halloumi", "Mushroom",
      "Aubergine", "Chickpea", "Lentil", "Potato", "Pumpkin",   "Spinach",   "Avocado",  "Mango",
      "Apple",     "Peach",    "Cherry", "Banana", "Chocolate", "Coffee",    "Oat",      "Almond",
      "Walnut",    "Lamb",     "Tuna",   "Bacon",  "Falafel",   "Mozzarella"};
  const std::vector<std::string> dishes = {"Burger", "Wrap",  "Salad", "Sandwich", "Fries", "Soup",   "Bowl",
                                           "Taco",   "Pizza", "Pasta", "Curry",    "Stew",  "Skewer", "Pie",
                                           "Cake",   "Shake", "Juice", "Smoothie", "Tea",   "Latte"};
  const std::vector<std::string> categories = {"burgers", "sides", "salads", "drinks", "coffee", "desserts"};
  std::mt19937 random(7);
  const auto one_of = [&](const std::vector<std::string>& words) { return words[random() % words.size()]; };
  std::set<std::string> names;
  for (const messages::MenuItem& item : menu.items) names.insert(item.name);
  int64_t id = 1000;
  while (static_cast<int>(menu.items.size()) < count) {
    const std::string food = one_of(foods);
    const std::string dish = one_of(dishes);
    std::string name = absl::StrCat(one_of(adjectives), " ", food, " ", dish);
    if (!names.insert(name).second) {
      name = absl::StrCat(one_of(adjectives), " ", name);
      if (!names.insert(name).second) continue;
    }
    messages::MenuItem item;
    item.id = ++id;
    item.name = name;
    item.category = one_of(categories);
    item.price = Decimal::FromMinor(200 + static_cast<int64_t>(random() % 1800), 2);
    item.description = absl::StrCat(food, " ", dish, " with ", one_of(foods), ", ", one_of(adjectives), " ",
                                    one_of(foods), " and a ", one_of(adjectives), " sauce.");
    item.calories = 100 + static_cast<int64_t>(random() % 900);
    if (random() % 3 == 0) item.tags.push_back("popular");
    if (random() % 5 == 0) item.tags.push_back("spicy");
    if (random() % 3 == 0) item.dietary.push_back("vegetarian");
    if (random() % 2 == 0) item.allergens.push_back("gluten");
    menu.items.push_back(std::move(item));
  }
  return menu;
}

// A query and the item that whoever asks it wants to see.
struct Case {
  std::string kind;
  std::string text;
  int64_t wanted;
};

std::vector<Case> MakeCases(const Catalogue& catalogue) {
  std::vector<Case> cases = {{"synonym", "coke", 201},
                             {"synonym", "soda", 204},
                             {"synonym", "chips", 401},
                             {"synonym", "french fries", 401},
                             {"synonym", "lava burger", 101},
                             {"synonym", "bbq burger", 105},
                             {"synonym", "meatless burger", 111},
                             {"synonym", "cold brew", 707},
                             {"synonym", "icecream", 604},
                             {"synonym", "childrens nuggets", 802},
                             {"typo", "vegitarian meal", 304},
                             {"typo", "jalapenno burger", 101},
                             {"typo", "capuccino", 703},
                             {"typo", "espreso", 701},
                             {"typo", "mozarella sticks", 406},
                             {"typo", "volcanoe burgr", 101},
                             {"plural", "brownies", 601},
                             {"plural", "churro", 607},
                             {"plural", "milkshakes", 213},
                             {"plural", "onion ring", 405}};
  std::mt19937 random(11);
  for (int i = 0; i < 400; ++i) {
    const messages::MenuItem& item = catalogue.items()[random() % catalogue.items().size()];
    if (!item.combo_of.empty()) continue;
    std::vector<std::string> words = Tokenize(item.name);
    switch (i % 4) {
      case 0:
        cases.push_back({"exact", item.name, item.id});
        break;
      case 1:
        for (std::string& word : words) word += word.back() == 's' ? "" : "s";
        cases.push_back({"plural", absl::StrJoin(words, " "), item.id});
        break;
      case 2: {
        std::string& word = *std::max_element(
            words.begin(), words.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
        if (word.size() >= 5) word.erase(word.size() / 2, 1);
        cases.push_back({"typo", absl::StrJoin(words, " "), item.id});
        break;
      }
      default:
        if (words.back().size() >= 5) words.back().resize(words.back().size() - 2);
        cases.push_back({"prefix", absl::StrJoin(words, " "), item.id});
    }
  }
  return cases;
}

struct Answer {
  std::vector<int64_t> ids;
  int64_t total = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual Answer Ask(const std::string& text) = 0;
};

class IndexEngine : public Engine {
 public:
  explicit IndexEngine(const SearchIndex& index) : index_(index) {}
  Answer Ask(const std::string& text) override {
    SearchQuery query;
    query.text = text;
    query.limit = kWanted;
    const SearchResult result = index_.Search(query, {}).value();
    Answer answer;
    for (const messages::MenuItem* item : result.items) answer.ids.push_back(item->id);
    answer.total = result.total_matches;
    return answer;
  }

 private:
  const SearchIndex& index_;
};

// The diets named in a text, applied to what an engine of documents found.
bool Passes(const messages::MenuItem& item, const AnalyzedQuery& query) {
  return (DietaryOf(item) & query.dietary) == query.dietary &&
         (AllergensOf(item) & query.without_allergens) == 0;
}

class XapianEngine : public Engine {
 public:
  explicit XapianEngine(const SearchIndex& index)
      : index_(index), database_("", Xapian::DB_BACKEND_INMEMORY) {
    const auto items = index.ItemTerms();
    for (const auto& terms : items) {
      Xapian::Document document;
      for (const auto& [term, weight] : terms) {
        document.add_term(std::string(index.TermText(term)), static_cast<Xapian::termcount>(weight * 4));
      }
      database_.add_document(document);
    }
    database_.commit();
  }

  Answer Ask(const std::string& text) override {
    const AnalyzedQuery analyzed = index_.Analyze(text);
    Answer answer = Run(analyzed, Xapian::Query::OP_AND);
    // As the index does: all words where some item has them all, otherwise as many as there are.
    if (answer.total == 0) answer = Run(analyzed, Xapian::Query::OP_OR);
    return answer;
  }

 private:
  struct Diet : Xapian::MatchDecider {
    Diet(const SearchIndex& i, const AnalyzedQuery& q) : index(i), query(q) {}
    bool operator()(const Xapian::Document& document) const override {
      return Passes(index.catalogue().items()[document.get_docid() - 1], query);
    }
    const SearchIndex& index;
    const AnalyzedQuery& query;
  };

  Answer Run(const AnalyzedQuery& analyzed, Xapian::Query::op op) {
    std::vector<Xapian::Query> units;
    for (const QueryUnit& unit : analyzed.units) {
      if (unit.optional) continue;
      if (unit.alternatives.empty()) {
        units.push_back(Xapian::Query::MatchNothing);
        continue;
      }
      std::vector<Xapian::Query> alternatives;
      for (const QueryUnit::Alternative& alternative : unit.alternatives) {
        alternatives.emplace_back(Xapian::Query::OP_SCALE_WEIGHT,
                                  Xapian::Query(std::string(index_.TermText(alternative.term))),
                                  static_cast<double>(alternative.quality));
      }
      units.emplace_back(Xapian::Query::OP_MAX, alternatives.begin(), alternatives.end());
    }
    Answer answer;
    if (units.empty()) return answer;
    Xapian::Enquire enquire(database_);
    enquire.set_query(Xapian::Query(op, units.begin(), units.end()));
    const Diet diet(index_, analyzed);
    const bool filtered = analyzed.dietary != 0 || analyzed.without_allergens != 0;
    const Xapian::MSet matches =
        enquire.get_mset(0, kWanted, database_.get_doccount(), nullptr, filtered ? &diet : nullptr);
    for (auto it = matches.begin(); it != matches.end(); ++it) {
      answer.ids.push_back(index_.catalogue().items()[*it - 1].id);
    }
    answer.total = matches.get_matches_estimated();  // exact: every document is checked
    return answer;
  }

  const SearchIndex& index_;
  Xapian::WritableDatabase database_;
};

class SqliteEngine : public Engine {
 public:
  // `tokenizer` is FTS5's; with "trigram" the texts are indexed as they are and no analysis is used.
  SqliteEngine(const SearchIndex& index, bool trigram) : index_(index), trigram_(trigram) {
    if (sqlite3_open(":memory:", &database_) != SQLITE_OK) Die("sqlite3_open");
    Execute(trigram ? "CREATE VIRTUAL TABLE menu USING fts5(name, more, tokenize='trigram')"
                    : "CREATE VIRTUAL TABLE menu USING fts5(name, synonyms, tags, category, description)");
    Execute("BEGIN");
    const auto& items = index.catalogue().items();
    absl::flat_hash_map<std::string, std::string> categories;
    for (const messages::MenuCategory& category : index.catalogue().categories()) {
      categories[category.id] = category.name;
    }
    sqlite3_stmt* insert =
        Prepare(trigram ? "INSERT INTO menu(rowid, name, more) VALUES(?,?,?)"
                        : "INSERT INTO menu(rowid, name, synonyms, tags, category, description) "
                          "VALUES(?,?,?,?,?,?)");
    for (size_t i = 0; i < items.size(); ++i) {
      const messages::MenuItem& item = items[i];
      std::vector<std::string> fields;
      const std::string synonyms = absl::StrJoin(item.synonyms, " / ");
      const std::string tags = absl::StrJoin(item.tags, " ");
      if (trigram) {
        fields = {Fold(item.name), Fold(absl::StrCat(synonyms, " ", tags, " ", item.description))};
      } else {
        fields = {Stems(item.name), Stems(synonyms), Stems(tags), Stems(categories[item.category]),
                  Stems(item.description)};
      }
      sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(i) + 1);
      for (size_t f = 0; f < fields.size(); ++f) {
        sqlite3_bind_text(insert, static_cast<int>(f + 2), fields[f].c_str(), -1, SQLITE_TRANSIENT);
      }
      if (sqlite3_step(insert) != SQLITE_DONE) Die(sqlite3_errmsg(database_));
      sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    Execute("COMMIT");
    Execute("INSERT INTO menu(menu) VALUES('optimize')");
    select_ =
        Prepare(trigram ? "SELECT rowid FROM menu WHERE menu MATCH ? ORDER BY bm25(menu, 8, 2) LIMIT 10"
                        : "SELECT rowid FROM menu WHERE menu MATCH ? ORDER BY bm25(menu, 8, 6.5, 7, 4, 2)");
    count_ = Prepare("SELECT count(*) FROM menu WHERE menu MATCH ?");
  }
  ~SqliteEngine() override {
    sqlite3_finalize(select_);
    sqlite3_finalize(count_);
    sqlite3_close(database_);
  }

  Answer Ask(const std::string& text) override {
    if (trigram_) return AskTrigrams(text);
    const AnalyzedQuery analyzed = index_.Analyze(text);
    std::vector<std::string> units;
    bool missing = false;
    for (const QueryUnit& unit : analyzed.units) {
      if (unit.optional) continue;
      std::vector<std::string> alternatives;
      for (const QueryUnit::Alternative& alternative : unit.alternatives) {
        alternatives.push_back(absl::StrCat("\"", index_.TermText(alternative.term), "\""));
      }
      missing = missing || alternatives.empty();
      if (!alternatives.empty()) units.push_back(absl::StrCat("(", absl::StrJoin(alternatives, " OR "), ")"));
    }
    if (units.empty()) return {};
    Answer answer;
    if (!missing) answer = Filtered(absl::StrJoin(units, " AND "), analyzed);
    if (answer.total == 0) answer = Filtered(absl::StrJoin(units, " OR "), analyzed);
    return answer;
  }

 private:
  static std::string Stems(const std::string& text) {
    std::vector<std::string> words = Tokenize(text);
    for (std::string& word : words) word = Stem(word);
    return absl::StrJoin(words, " ");
  }

  void Execute(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(database_));
  }
  sqlite3_stmt* Prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK)
      Die(sqlite3_errmsg(database_));
    return statement;
  }

  Answer Filtered(const std::string& match, const AnalyzedQuery& analyzed) {
    Answer answer;
    const auto& items = index_.catalogue().items();
    sqlite3_bind_text(select_, 1, match.c_str(), -1, SQLITE_TRANSIENT);
    int status = SQLITE_ROW;
    while ((status = sqlite3_step(select_)) == SQLITE_ROW) {
      const messages::MenuItem& item = items[static_cast<size_t>(sqlite3_column_int64(select_, 0)) - 1];
      if (!Passes(item, analyzed)) continue;
      ++answer.total;
      if (answer.ids.size() < kWanted) answer.ids.push_back(item.id);
    }
    if (status != SQLITE_DONE) Die(sqlite3_errmsg(database_));
    sqlite3_reset(select_);
    return answer;
  }

  Answer AskTrigrams(const std::string& text) {
    std::vector<std::string> trigrams;
    for (const std::string& word : Tokenize(text)) {
      for (size_t i = 0; i + 3 <= word.size(); ++i) {
        trigrams.push_back(absl::StrCat("\"", word.substr(i, 3), "\""));
      }
    }
    Answer answer;
    if (trigrams.empty()) return answer;
    const std::string match = absl::StrJoin(trigrams, " OR ");
    sqlite3_bind_text(select_, 1, match.c_str(), -1, SQLITE_TRANSIENT);
    while (sqlite3_step(select_) == SQLITE_ROW) {
      answer.ids.push_back(
          index_.catalogue().items()[static_cast<size_t>(sqlite3_column_int64(select_, 0)) - 1].id);
    }
    sqlite3_reset(select_);
    sqlite3_bind_text(count_, 1, match.c_str(), -1, SQLITE_TRANSIENT);
    if (sqlite3_step(count_) == SQLITE_ROW) answer.total = sqlite3_column_int64(count_, 0);
    sqlite3_reset(count_);
    return answer;
  }

  const SearchIndex& index_;
  const bool trigram_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
  sqlite3_stmt* count_ = nullptr;
};

void Measure(const std::string& name, const std::vector<Case>& cases, int rounds, double build_ms,
             int64_t memory, Engine& engine) {
  std::map<std::string, std::pair<int, int>> found;
  for (const Case& c : cases) {
    const Answer answer = engine.Ask(c.text);
    auto& [hits, all] = found[c.kind];
    ++all;
    if (std::find(answer.ids.begin(), answer.ids.end(), c.wanted) != answer.ids.end()) ++hits;
  }
  std::vector<double> micros;
  for (int round = 0; round < rounds; ++round) {
    for (const Case& c : cases) {
      const SteadyTime::time_point start = SteadyTime::now();
      const Answer answer = engine.Ask(c.text);
      micros.push_back(MicrosSince(start));
    }
  }
  std::sort(micros.begin(), micros.end());
  std::printf("%-8s build %6.0f ms  memory %6.1f MB  p50 %8.1f us  p99 %8.1f us  found", name.c_str(),
              build_ms, static_cast<double>(memory) / 1024, micros[micros.size() / 2],
              micros[micros.size() * 99 / 100]);
  for (const auto& [kind, counts] : found) {
    std::printf("  %s %d/%d", kind.c_str(), counts.first, counts.second);
  }
  std::printf("\n");
  std::fflush(stdout);
}

int Main(int items, int rounds) {
  std::shared_ptr<const Catalogue> catalogue = Catalogue::Create(GenerateMenu(items)).value();
  const std::vector<Case> cases = MakeCases(*catalogue);
  std::printf("%zu items, %zu queries, %d rounds\n", catalogue->items().size(), cases.size(), rounds);
  const auto built = [&](auto make) {
    const int64_t memory = ResidentKilobytes();
    const SteadyTime::time_point start = SteadyTime::now();
    auto made = make();
    return std::make_tuple(std::move(made), MicrosSince(start) / 1000, ResidentKilobytes() - memory);
  };
  const auto [index, index_ms, index_memory] =
      built([&] { return std::make_unique<SearchIndex>(catalogue); });
  IndexEngine own(*index);
  Measure("index", cases, rounds, index_ms, index_memory, own);
  const auto [xapian, xapian_ms, xapian_memory] =
      built([&index = *index] { return std::make_unique<XapianEngine>(index); });
  Measure("xapian", cases, rounds, xapian_ms, xapian_memory, *xapian);
  const auto [fts5, fts5_ms, fts5_memory] =
      built([&index = *index] { return std::make_unique<SqliteEngine>(index, false); });
  Measure("fts5", cases, rounds, fts5_ms, fts5_memory, *fts5);
  const auto [trigram, trigram_ms, trigram_memory] =
      built([&index = *index] { return std::make_unique<SqliteEngine>(index, true); });
  Measure("trigram", cases, rounds, trigram_ms, trigram_memory, *trigram);
  return 0;
}

}  // namespace
}  // namespace arc::menu

int main(int argc, char** argv) {
  const int items = argc > 1 ? std::atoi(argv[1]) : 10000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  if (items < 100 || rounds < 1) {
    std::fprintf(stderr, "usage: menu_search_bench [items >= 100] [rounds >= 1]\n");
    return 2;
  }
  return arc::menu::Main(items, rounds);
}
