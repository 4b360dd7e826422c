#include "services/stt/phrases.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace arc::stt {

struct Phrases::Node {
  enum class Kind { kWord, kRule, kSequence, kChoice, kLoop };
  Kind kind = Kind::kSequence;
  std::string text;                          // of a word or rule
  std::vector<std::unique_ptr<Node>> parts;  // of a sequence, choice or loop
  std::vector<double> weights;               // of a choice: one a part; of a loop: one
};

namespace {

using Node = Phrases::Node;

constexpr double kOptional = 0.5;
constexpr double kAgain = 0.3;
constexpr double kNegligible = 1e-10;  // of a sentence
constexpr size_t kMaxStates = 4'000'000;

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<std::unique_ptr<Node>> Parse() {
    ASSIGN_OR_RETURN(std::unique_ptr<Node> node, Sequence());
    if (at_ != text_.size()) return Wrong("unexpected", text_.substr(at_, 1));
    return node;
  }

 private:
  absl::Status Wrong(absl::string_view what, absl::string_view where) const {
    return absl::InvalidArgumentError(absl::StrCat("'", text_, "': ", what, " '", where, "'"));
  }

  absl::StatusOr<std::unique_ptr<Node>> Sequence() {
    auto sequence = std::make_unique<Node>();
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ') {
        ++at_;
      } else if (c == '(' || c == '[' || c == '{') {
        ASSIGN_OR_RETURN(std::unique_ptr<Node> group, Group(c));
        sequence->parts.push_back(std::move(group));
      } else if (c == '|' || c == ':' || c == ')' || c == ']' || c == '}') {
        break;
      } else {
        ASSIGN_OR_RETURN(std::unique_ptr<Node> word, Word());
        sequence->parts.push_back(std::move(word));
      }
    }
    return sequence;
  }

  absl::StatusOr<std::unique_ptr<Node>> Word() {
    size_t end = at_;
    while (end < text_.size() && text_.find_first_of(" ()[]{}|:", end) != end) ++end;
    auto node = std::make_unique<Node>();
    absl::string_view word = text_.substr(at_, end - at_);
    node->kind = word[0] == '$' ? Node::Kind::kRule : Node::Kind::kWord;
    if (word[0] == '$') word.remove_prefix(1);
    if (word.empty()) return Wrong("a rule without a name", "$");
    node->text = std::string(word);
    at_ = end;
    return node;
  }

  // A number after a colon, if there is one.
  absl::StatusOr<std::optional<double>> Weight() {
    if (at_ == text_.size() || text_[at_] != ':') return std::optional<double>();
    size_t end = ++at_;
    while (end < text_.size() &&
           (absl::ascii_isdigit(static_cast<unsigned char>(text_[end])) || text_[end] == '.')) {
      ++end;
    }
    double value = 0;
    const absl::string_view number = text_.substr(at_, end - at_);
    if (!absl::SimpleAtod(number, &value)) return Wrong("no weight", number);
    at_ = end;
    return std::optional<double>(value);
  }

  absl::StatusOr<std::unique_ptr<Node>> Group(char open) {
    const char close = open == '(' ? ')' : open == '[' ? ']' : '}';
    auto node = std::make_unique<Node>();
    node->kind = open == '{' ? Node::Kind::kLoop : Node::Kind::kChoice;
    do {
      ++at_;
      ASSIGN_OR_RETURN(std::unique_ptr<Node> part, Sequence());
      ASSIGN_OR_RETURN(const std::optional<double> weight, Weight());
      const double missing = open == '(' ? 1 : open == '[' ? kOptional : kAgain;
      node->parts.push_back(std::move(part));
      node->weights.push_back(weight.value_or(missing));
    } while (open != '{' && at_ < text_.size() && text_[at_] == '|');
    if (at_ == text_.size() || text_[at_] != close) return Wrong("not closed", std::string(1, open));
    ++at_;
    const double last = node->weights.back();
    if (open != '(' && (last <= 0 || last >= 1))
      return Wrong("a probability that is none", absl::StrCat(last));
    if (open == '[') {
      // Alike among themselves; the last one's number is that of all.
      std::fill(node->weights.begin(), node->weights.end(), last / static_cast<double>(node->weights.size()));
      node->parts.push_back(std::make_unique<Node>());
      node->weights.push_back(1 - last);
    }
    return node;
  }

  const absl::string_view text_;
  size_t at_ = 0;
};

// A weighted automaton: states, and arcs with a word or none.
class Network {
 public:
  static constexpr uint32_t kNoWord = ~uint32_t{0};
  struct Arc {
    uint32_t to;
    uint32_t word;
    double probability;
  };

  uint32_t AddState() {
    states_.emplace_back();
    return static_cast<uint32_t>(states_.size() - 1);
  }
  void AddArc(uint32_t from, uint32_t to, uint32_t word, double probability) {
    states_[from].push_back({to, word, probability});
  }
  size_t size() const { return states_.size(); }

  void Count(uint32_t begin, uint32_t end, NgramCounts& counts) {
    end_ = end;
    const std::vector<double> visits = Visits(begin);
    // How often each word leads into each state.
    std::vector<std::vector<std::pair<uint32_t, double>>> into(states_.size());
    into[Skip(begin)].emplace_back(NgramCounts::kBegin, 1);
    for (uint32_t from = 0; from < states_.size(); ++from) {
      for (const Arc& arc : states_[from]) {
        const double count = visits[from] * arc.probability;
        if (arc.word != kNoWord && count > kNegligible) into[Skip(arc.to)].emplace_back(arc.word, count);
      }
    }
    next_.resize(states_.size());
    known_.resize(states_.size());
    for (uint32_t state = 0; state < states_.size(); ++state) {
      if (into[state].empty()) continue;
      Merge(into[state]);
      std::vector<std::pair<uint32_t, double>> ones;
      std::vector<std::pair<uint64_t, double>> twos;
      for (const Arc& one : Next(state)) {
        ones.emplace_back(one.word, one.probability);
        if (one.word == NgramCounts::kEnd) continue;
        for (const Arc& two : Next(one.to)) {
          twos.emplace_back(NgramCounts::Key(one.word, two.word), one.probability * two.probability);
        }
      }
      Merge(ones);
      Merge(twos);
      for (const auto& [a, count] : into[state]) {
        if (a != NgramCounts::kBegin) counts.Add(a, count);
        for (const auto& [b, probability] : ones) {
          counts.Add(a, b, count * probability);
          if (b == NgramCounts::kEnd) counts.Add(b, count * probability);
        }
        for (const auto& [bc, probability] : twos) {
          if (count * probability > kNegligible) counts.AddTrigram(a, bc, count * probability);
        }
      }
    }
  }

 private:
  // Sorts by what stands first, and adds up the numbers of what is equal there.
  template <class What>
  static void Merge(std::vector<std::pair<What, double>>& all) {
    if (all.size() < 2) return;
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    size_t kept = 0;
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i].first == all[kept].first) {
        all[kept].second += all[i].second;
      } else {
        all[++kept] = all[i];
      }
    }
    all.resize(kept + 1);
  }

  // Expected visits of each state. Loops are gone round until what is left is negligible.
  std::vector<double> Visits(uint32_t begin) const {
    std::vector<double> visits(states_.size());
    std::vector<double> waiting(states_.size());
    std::deque<uint32_t> queue = {begin};
    waiting[begin] = 1;
    while (!queue.empty()) {
      const uint32_t state = queue.front();
      queue.pop_front();
      const double mass = std::exchange(waiting[state], 0);
      visits[state] += mass;
      for (const Arc& arc : states_[state]) {
        const double flow = mass * arc.probability;
        if (flow < kNegligible * kNegligible) continue;
        if (waiting[arc.to] == 0) queue.push_back(arc.to);
        waiting[arc.to] += flow;
      }
    }
    return visits;
  }

  // The state behind those that only lead on.
  uint32_t Skip(uint32_t state) const {
    while (state != end_ && states_[state].size() == 1 && states_[state][0].word == kNoWord) {
      state = states_[state][0].to;
    }
    return state;
  }

  // The words that can follow at `state`, with their probability and the state after them.
  const std::vector<Arc>& Next(uint32_t state) {
    state = Skip(state);
    if (known_[state]) return next_[state];
    known_[state] = true;
    std::vector<std::pair<std::pair<uint32_t, uint32_t>, double>> found;
    if (state == end_) found.push_back({{NgramCounts::kEnd, end_}, 1});
    for (const Arc& arc : states_[state]) {
      if (arc.word != kNoWord) {
        found.push_back({{arc.word, Skip(arc.to)}, arc.probability});
        continue;
      }
      for (const Arc& behind : Next(arc.to)) {
        found.push_back({{behind.word, behind.to}, arc.probability * behind.probability});
      }
    }
    Merge(found);
    std::vector<Arc>& next = next_[state];
    next.reserve(found.size());
    for (const auto& [what, probability] : found) next.push_back({what.second, what.first, probability});
    return next;
  }

  std::vector<std::vector<Arc>> states_;
  uint32_t end_ = 0;
  std::vector<std::vector<Arc>> next_;
  std::vector<bool> known_;
};

class Builder {
 public:
  Builder(const absl::flat_hash_map<std::string, std::unique_ptr<Node>>& rules, NgramCounts& counts)
      : rules_(rules), counts_(counts) {}

  Network& network() { return network_; }

  // Leads from state `from` over what `node` stands for to `to`.
  absl::Status Add(const Node& node, uint32_t from, uint32_t to) {
    if (network_.size() > kMaxStates) return absl::ResourceExhaustedError("the rules are too large");
    switch (node.kind) {
      case Node::Kind::kWord:
        network_.AddArc(from, to, counts_.Id(node.text), 1);
        return absl::OkStatus();
      case Node::Kind::kRule:
        return AddRule(node.text, from, to);
      case Node::Kind::kSequence: {
        if (node.parts.empty()) {
          network_.AddArc(from, to, Network::kNoWord, 1);
          return absl::OkStatus();
        }
        for (size_t i = 0; i < node.parts.size(); ++i) {
          const uint32_t next = i + 1 == node.parts.size() ? to : network_.AddState();
          RETURN_IF_ERROR(Add(*node.parts[i], from, next));
          from = next;
        }
        return absl::OkStatus();
      }
      case Node::Kind::kLoop: {
        if (!Possible(*node.parts[0])) {
          network_.AddArc(from, to, Network::kNoWord, 1);
          return absl::OkStatus();
        }
        // A state of its own, so that no arc of the surroundings is part of the loop.
        const uint32_t here = network_.AddState();
        network_.AddArc(from, here, Network::kNoWord, 1);
        network_.AddArc(here, to, Network::kNoWord, 1 - node.weights[0]);
        const uint32_t inside = network_.AddState();
        network_.AddArc(here, inside, Network::kNoWord, node.weights[0]);
        return Add(*node.parts[0], inside, here);
      }
      case Node::Kind::kChoice: {
        double sum = 0;
        for (size_t i = 0; i < node.parts.size(); ++i) sum += Possible(*node.parts[i]) ? node.weights[i] : 0;
        for (size_t i = 0; i < node.parts.size(); ++i) {
          if (!Possible(*node.parts[i]) || node.weights[i] <= 0) continue;
          const uint32_t inside = network_.AddState();
          network_.AddArc(from, inside, Network::kNoWord, node.weights[i] / sum);
          RETURN_IF_ERROR(Add(*node.parts[i], inside, to));
        }
        return absl::OkStatus();
      }
    }
    return absl::InternalError("no kind of node");
  }

  // Whether anything can match: a rule without choices cannot, nor what needs it.
  bool Possible(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kWord:
        return true;
      case Node::Kind::kRule: {
        const auto known = possible_.find(node.text);
        if (known != possible_.end()) return known->second;
        const auto it = rules_.find(node.text);
        if (it == rules_.end()) return true;  // Add() says that it is missing
        possible_[node.text] = true;          // a rule within itself is refused by Add()
        return possible_[node.text] = Possible(*it->second);
      }
      case Node::Kind::kSequence:
        return std::all_of(node.parts.begin(), node.parts.end(),
                           [this](const auto& part) { return Possible(*part); });
      case Node::Kind::kLoop:
        return true;
      case Node::Kind::kChoice:
        return std::any_of(node.parts.begin(), node.parts.end(),
                           [this](const auto& part) { return Possible(*part); });
    }
    return false;
  }

 private:
  absl::Status AddRule(const std::string& name, uint32_t from, uint32_t to) {
    const auto it = rules_.find(name);
    if (it == rules_.end()) return absl::NotFoundError(absl::StrCat("there is no rule $", name));
    if (std::find(open_.begin(), open_.end(), name) != open_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("rule $", name, " contains itself"));
    }
    open_.push_back(name);
    RETURN_IF_ERROR(Add(*it->second, from, to));
    open_.pop_back();
    return absl::OkStatus();
  }

  const absl::flat_hash_map<std::string, std::unique_ptr<Node>>& rules_;
  NgramCounts& counts_;
  Network network_;
  std::vector<std::string> open_;
  absl::flat_hash_map<std::string, bool> possible_;
};

}  // namespace

Phrases::Phrases() = default;
Phrases::~Phrases() = default;

absl::Status Phrases::Define(absl::string_view name, const std::vector<Choice>& choices) {
  auto node = std::make_unique<Node>();
  node->kind = Node::Kind::kChoice;
  for (const Choice& choice : choices) {
    ASSIGN_OR_RETURN(std::unique_ptr<Node> part, Parser(choice.text).Parse());
    node->parts.push_back(std::move(part));
    node->weights.push_back(choice.weight);
  }
  rules_[std::string(name)] = std::move(node);
  return absl::OkStatus();
}

absl::StatusOr<NgramCounts> Phrases::Count(absl::string_view root) const {
  NgramCounts counts;
  Builder builder(rules_, counts);
  const uint32_t begin = builder.network().AddState();
  const uint32_t end = builder.network().AddState();
  Node node;
  node.kind = Node::Kind::kRule;
  node.text = std::string(root);
  if (builder.Possible(node)) {
    RETURN_IF_ERROR(builder.Add(node, begin, end));
    builder.network().Count(begin, end, counts);
  }
  return counts;
}

}  // namespace arc::stt
