// Measures suggestions on orders that the model has not seen: learns from the first part of a history in
// time, then takes one item at a time out of each later order and asks for suggestions for the rest.
//
//   recsys_evaluate --menu=deploy/demo/menu.json --history=/tmp/history.jsonl [--train=0.8]
//
// Prints the hit rate (how often the item taken out is among the first three) of the agent, and of offering
// the most popular items, overall and under the same circumstances; and the time of a suggestion.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_split.h"
#include "common/json/json.h"
#include "common/messages/recsys.h"
#include "services/menu/catalogue.h"
#include "services/menu/menu_file.h"
#include "services/recsys/model.h"
#include "services/recsys/suggest.h"

ABSL_FLAG(std::string, menu, "deploy/demo/menu.json", "menu file");
ABSL_FLAG(std::string, history, "", "order history, JSON lines");
ABSL_FLAG(double, train, 0.8, "share of the orders to learn from, the first in time");
ABSL_FLAG(int64_t, limit, 3, "how many suggestions to ask for");

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Score {
  int hits = 0;
  int asked = 0;
  double rate() const { return asked == 0 ? 0 : static_cast<double>(hits) / asked; }
};

// The most ordered items that are not in the cart, by `weight`.
template <class Weight>
std::vector<int64_t> Top(const arc::recsys::Counts& counts, const std::vector<int64_t>& cart, size_t limit,
                         Weight weight) {
  std::vector<std::pair<double, int64_t>> best;
  for (const auto& [id, item] : counts.items) {
    if (std::find(cart.begin(), cart.end(), id) == cart.end()) best.push_back({-weight(item), id});
  }
  std::sort(best.begin(), best.end());
  std::vector<int64_t> ids;
  for (size_t i = 0; i < std::min(limit, best.size()); ++i) ids.push_back(best[i].second);
  return ids;
}

void Count(const std::vector<int64_t>& offered, int64_t wanted, Score& score) {
  ++score.asked;
  if (std::find(offered.begin(), offered.end(), wanted) != offered.end()) ++score.hits;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  absl::StatusOr<arc::messages::MenuFile> menu_file =
      arc::menu::ParseMenuFile(ReadAll(absl::GetFlag(FLAGS_menu)));
  if (!menu_file.ok()) {
    std::cerr << menu_file.status() << "\n";
    return 1;
  }
  auto catalogue = arc::menu::Catalogue::Create(*std::move(menu_file));
  if (!catalogue.ok()) {
    std::cerr << catalogue.status() << "\n";
    return 1;
  }
  std::vector<arc::messages::PastOrder> history;
  const std::string text = ReadAll(absl::GetFlag(FLAGS_history));
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::StatusOr<arc::messages::PastOrder> order = arc::json::Decode<arc::messages::PastOrder>(line);
    if (!order.ok()) {
      std::cerr << order.status() << "\n";
      return 1;
    }
    history.push_back(*std::move(order));
  }
  std::stable_sort(history.begin(), history.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  const auto seen = static_cast<size_t>(static_cast<double>(history.size()) * absl::GetFlag(FLAGS_train));

  arc::recsys::Counts counts;
  for (size_t i = 0; i < seen; ++i) {
    std::vector<int64_t> ids;
    for (const auto& line : history[i].items) ids.push_back(line.item_id);
    counts.Learn(arc::recsys::MakeBasket(history[i].order_id, ids, history[i].context));
  }
  arc::recsys::Model model;
  model.Apply(counts);
  const arc::recsys::Suggester suggester(*catalogue);
  const auto limit = static_cast<size_t>(absl::GetFlag(FLAGS_limit));

  Score agent, agent_single, popular, popular_single, circumstances;
  std::vector<double> micros;
  for (size_t i = seen; i < history.size(); ++i) {
    const auto& order = history[i];
    if (order.items.size() < 2) continue;
    for (size_t out = 0; out < order.items.size(); ++out) {
      const int64_t wanted = order.items[out].item_id;
      arc::messages::SuggestRequest request;
      request.context = order.context;
      request.limit = static_cast<int64_t>(limit);
      std::vector<int64_t> cart;
      for (size_t k = 0; k < order.items.size(); ++k) {
        if (k == out) continue;
        request.cart.push_back(order.items[k]);
        cart.push_back(order.items[k].item_id);
      }
      const auto start = std::chrono::steady_clock::now();
      const auto answer = suggester.Suggest(request, {}, model);
      micros.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
      if (!answer.ok()) {
        std::cerr << answer.status() << "\n";
        return 1;
      }
      std::vector<int64_t> ids;
      for (const auto& suggestion : answer->suggestions) ids.push_back(suggestion.item_id);
      const auto features = arc::recsys::FeaturesOf(order.context);
      const auto by_count = [](const arc::recsys::ItemCounts& item) {
        return static_cast<double>(item.orders);
      };
      const auto by_circumstances = [&](const arc::recsys::ItemCounts& item) {
        double weight = 1;
        for (const auto feature : features) {
          weight *= static_cast<double>(item.by_feature[static_cast<size_t>(feature)]) + 0.5;
        }
        return weight;
      };
      Count(ids, wanted, agent);
      Count(Top(counts, cart, limit, by_count), wanted, popular);
      Count(Top(counts, cart, limit, by_circumstances), wanted, circumstances);
      if (order.context.party_size == 1) {
        Count(ids, wanted, agent_single);
        Count(Top(counts, cart, limit, by_count), wanted, popular_single);
      }
    }
  }
  std::sort(micros.begin(), micros.end());
  std::printf("orders learned %zu, held out %zu, carts asked %d\n", seen, history.size() - seen, agent.asked);
  std::printf("hit rate@%zu: suggestions %.3f, most popular %.3f, popular in the circumstances %.3f\n", limit,
              agent.rate(), popular.rate(), circumstances.rate());
  std::printf("  guests alone (%d carts): suggestions %.3f, most popular %.3f\n", agent_single.asked,
              agent_single.rate(), popular_single.rate());
  if (!micros.empty()) {
    std::printf("time of a suggestion: p50 %.0f us, p99 %.0f us\n", micros[micros.size() / 2],
                micros[micros.size() * 99 / 100]);
  }
  return 0;
}
