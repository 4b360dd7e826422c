// A reasoning graph as data: named nodes that change a state, and edges with conditions on it. Running it
// follows, from each node, the first edge whose condition holds; a node without such an edge is the end.
//
// Built once, then immutable: any number of threads may run it, each on a state of its own.
#ifndef ARC_SERVICES_BRAIN_GRAPH_H_
#define ARC_SERVICES_BRAIN_GRAPH_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace arc::brain {

template <class State>
class Graph {
 public:
  using Action = std::function<void(State&)>;
  using Condition = std::function<bool(const State&)>;

  struct Node {
    std::string name;
    std::string does;  // one phrase
    Action action;
  };
  struct Edge {
    std::string from;
    std::string to;
    std::string when;  // one phrase; empty: always
    Condition condition;
  };

  // The first node added is where a run begins.
  void AddNode(absl::string_view name, absl::string_view does, Action action) {
    index_.emplace(std::string(name), nodes_.size());
    nodes_.push_back({std::string(name), std::string(does), std::move(action)});
  }
  // Edges of a node are tried in the order in which they were added.
  void AddEdge(absl::string_view from, absl::string_view to, absl::string_view when = "",
               Condition condition = nullptr) {
    edges_.push_back({std::string(from), std::string(to), std::string(when), std::move(condition)});
  }

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Edge>& edges() const { return edges_; }

  // The names of the nodes that ran, in order; at most `max_steps` of them.
  std::vector<std::string> Run(State& state, size_t max_steps = 64) const {
    std::vector<std::string> path;
    size_t at = 0;
    while (at < nodes_.size() && path.size() < max_steps) {
      path.push_back(nodes_[at].name);
      nodes_[at].action(state);
      size_t next = nodes_.size();
      for (const Edge& edge : edges_) {
        if (edge.from != nodes_[at].name) continue;
        if (edge.condition != nullptr && !edge.condition(state)) continue;
        const auto found = index_.find(edge.to);
        if (found != index_.end()) next = found->second;
        break;
      }
      at = next;
    }
    return path;
  }

  // The graph in the language of Graphviz.
  std::string Dot(absl::string_view name) const {
    std::string dot = absl::StrCat("digraph ", name, " {\n  rankdir=LR;\n  node [shape=box];\n");
    for (const Node& node : nodes_) {
      absl::StrAppend(&dot, "  ", node.name, " [label=\"", node.name, "\\n", node.does, "\"];\n");
    }
    for (const Edge& edge : edges_) {
      absl::StrAppend(&dot, "  ", edge.from, " -> ", edge.to);
      if (!edge.when.empty()) absl::StrAppend(&dot, " [label=\"", edge.when, "\"]");
      absl::StrAppend(&dot, ";\n");
    }
    absl::StrAppend(&dot, "}\n");
    return dot;
  }

 private:
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::map<std::string, size_t> index_;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_GRAPH_H_
