#include "services/recsys/suggest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"

namespace arc::recsys {
namespace {

// Orders' worth of belief in the rules (context) and in the plain shares (pairs) before data count for more.
constexpr double kContextShrinkage = 30;
constexpr double kPairShrinkage = 20;
// How much the circumstances and the cart weigh against an item's own share of orders.
constexpr double kContextWeight = 0.6;
constexpr double kCartWeight = 1.0;
// Added to the logarithmic score of a kind of which every guest has one already.
constexpr double kSaturated = -2;
// Added for each suggestion of the same kind in the same answer.
constexpr double kRepeated = -0.5;
// Belief that items of one kind are not ordered together, and of different kinds are.
constexpr double kSameKindLift = 0.4;
constexpr double kOtherKindLift = 1.3;
// A learned lift is worth telling the guest about from here, with so many orders behind it.
constexpr double kTellingLift = 1.25;
constexpr int64_t kTellingOrders = 5;
// A cart is on its way to a combo when it has this share of its value.
constexpr double kComboShare = 1.0 / 3;
// Only so many different items of a cart are looked at for what goes with them.
constexpr size_t kMaxCartItems = 24;

bool IsTime(Feature feature) {
  return feature <= Feature::kNight;
}
bool IsWeather(Feature feature) {
  return feature >= Feature::kHot && feature <= Feature::kRainy;
}

absl::string_view FeatureName(Feature feature) {
  static constexpr std::array<absl::string_view, kFeatures> kNames = {
      "breakfast", "lunch", "afternoon", "dinner",       "night",       "hot",        "mild",
      "cold",      "rainy", "party_one", "party_of_two", "party_small", "party_large"};
  return kNames[static_cast<size_t>(feature)];
}

std::vector<std::string> Words(absl::string_view text) {
  return absl::StrSplit(absl::AsciiStrToLower(text), absl::ByAnyChar(" -_,.&/()"), absl::SkipEmpty());
}

template <size_t N>
bool HasAny(const std::vector<std::string>& words, const absl::string_view (&wanted)[N]) {
  return absl::c_any_of(words, [&](absl::string_view word) { return absl::c_linear_search(wanted, word); });
}

constexpr absl::string_view kDrinkWords[] = {"drink", "drinks", "beverage", "beverages", "coffee", "coffees",
                                             "tea",   "teas",   "soda",     "sodas",     "juice",  "juices",
                                             "shake", "shakes", "smoothie", "smoothies", "beer",   "beers",
                                             "wine",  "wines",  "cocktails"};
constexpr absl::string_view kColdWords[] = {"iced",  "frozen",    "ice",    "sorbet", "smoothie",
                                            "slush", "milkshake", "frappe", "chilled"};
constexpr absl::string_view kHotWords[] = {"soup",     "cocoa", "latte", "cappuccino",
                                           "espresso", "chai",  "stew"};
constexpr absl::string_view kSharingTags[] = {"sharing", "share", "family", "platter", "party", "bucket"};

// "burger" for "burgers".
std::string Singular(const std::string& word) {
  if (word.size() > 3 && absl::EndsWith(word, "s") && !absl::EndsWith(word, "ss")) {
    return word.substr(0, word.size() - 1);
  }
  return word;
}

std::string WithArticle(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (Singular(lower) != lower && !absl::EndsWith(lower, "us")) return absl::StrCat("some ", name);
  const bool vowel = !lower.empty() && absl::StrContains("aeiou", lower.substr(0, 1));
  return absl::StrCat(vowel ? "an " : "a ", name);
}

// An amount as people say it: "$2", "$1.50", "CHF 3".
std::string FormatAmount(int64_t minor, const std::string& currency, int exponent) {
  std::string number = Decimal::FromMinor(minor, exponent).ToString();
  const size_t point = number.find('.');
  if (point != std::string::npos) number.resize(point + 1 + static_cast<size_t>(exponent), '0');
  static constexpr std::pair<absl::string_view, absl::string_view> kSigns[] = {
      {"USD", "$"}, {"EUR", "€"}, {"GBP", "£"}, {"JPY", "¥"}, {"INR", "₹"}};
  for (const auto& [code, sign] : kSigns) {
    if (code == currency) return absl::StrCat(sign, number);
  }
  return absl::StrCat(currency, " ", number);
}

std::string Circumstance(Feature feature) {
  switch (feature) {
    case Feature::kBreakfast:
      return "at breakfast";
    case Feature::kLunch:
      return "at lunch";
    case Feature::kAfternoon:
      return "in the afternoon";
    case Feature::kDinner:
      return "at dinner";
    case Feature::kNight:
      return "late at night";
    case Feature::kRainy:
      return "on rainy days";
    default:
      return absl::StrCat("on ", FeatureName(feature), " days");
  }
}

}  // namespace

struct Suggester::Query {
  std::vector<uint32_t> cart;          // known items, ascending, each once
  absl::flat_hash_set<uint32_t> held;  // those and the parts of their combos
  std::vector<Feature> features;
  int64_t party = 0;  // 0: unknown
  absl::flat_hash_map<int, int64_t> units_of_kind;
  menu::Bits dietary = 0;
  menu::Bits allergens = 0;
  size_t limit = 3;
  const UnavailableIds* unavailable = nullptr;
};

struct Suggester::Candidate {
  double score = 0;
  uint32_t index = 0;
};

// What speaks for an item, for its reason.
struct Suggester::Evidence {
  // The strongest tie to an item of the cart.
  double cart_lift = 0;
  int64_t cart_orders = 0;  // with both
  uint32_t cart_index = 0;
  // The lift of each feature of the query that has enough orders behind it.
  std::vector<std::pair<Feature, double>> context_lifts;
  bool often = false;  // ordered more often than items are on average, or popular by the menu
};

// The score of items for one query. Holds the model as it is, so it is short-lived.
class Suggester::Scorer {
 public:
  Scorer(const Suggester& suggester, const Query& query, const Model& model)
      : facts_(suggester.facts_),
        query_(query),
        learned_(model),
        orders_(static_cast<double>(learned_.orders())),
        prior_total_(suggester.prior_total_) {
    // Of the cart, the dearest items say most about what is missing.
    std::vector<uint32_t> cart = query.cart;
    absl::c_sort(cart, [this](uint32_t a, uint32_t b) {
      return facts_[a].price != facts_[b].price ? facts_[a].price > facts_[b].price : a < b;
    });
    if (cart.size() > kMaxCartItems) cart.resize(kMaxCartItems);
    for (const uint32_t index : cart) {
      const int64_t id = facts_[index].item->id;
      const ItemCounts* counts = learned_.Find(id);
      entries_.push_back(
          {index, counts == nullptr ? 0 : static_cast<double>(counts->orders), learned_.Together(id)});
    }
    if (!entries_.empty()) cart_weight_ = kCartWeight / std::sqrt(static_cast<double>(entries_.size()));
  }

  const Model::Reader& learned() const { return learned_; }

  double Score(uint32_t index) const { return Score(index, nullptr); }

  Evidence Explain(uint32_t index) const {
    Evidence evidence;
    Score(index, &evidence);
    return evidence;
  }

 private:
  struct CartEntry {
    uint32_t index;
    double orders;
    const absl::flat_hash_map<int64_t, int64_t>* together;
  };

  double Score(uint32_t index, Evidence* evidence) const {
    const Facts& facts = facts_[index];
    const ItemCounts* counts = learned_.Find(facts.item->id);
    const double ordered = counts == nullptr ? 0 : static_cast<double>(std::max<int64_t>(counts->orders, 0));
    const double share = (ordered + facts.prior) / (orders_ + prior_total_);

    // Logarithms of products: at most 24 factors between 1e-8 and 1e8 stay far from a double's ends.
    double context_lift = 1;
    for (const Feature feature : query_.features) {
      const size_t f = static_cast<size_t>(feature);
      const int64_t both = counts == nullptr ? 0 : std::max<int64_t>(counts->by_feature[f], 0);
      const double lift =
          (static_cast<double>(both) / share + kContextShrinkage * facts.rule_lift[f]) /
          (static_cast<double>(std::max<int64_t>(learned_.orders_with(feature), 0)) + kContextShrinkage);
      context_lift *= lift;
      if (evidence != nullptr && both >= kTellingOrders) evidence->context_lifts.push_back({feature, lift});
    }

    double cart_lift = 1;
    for (const CartEntry& entry : entries_) {
      int64_t both = 0;
      if (entry.together != nullptr) {
        const auto it = entry.together->find(facts.item->id);
        if (it != entry.together->end()) both = std::max<int64_t>(it->second, 0);
      }
      const double rule = facts_[entry.index].kind == facts.kind ? kSameKindLift : kOtherKindLift;
      const double lift =
          (static_cast<double>(both) / share + kPairShrinkage * rule) / (entry.orders + kPairShrinkage);
      cart_lift *= lift;
      if (evidence != nullptr && lift > evidence->cart_lift) {
        evidence->cart_lift = lift;
        evidence->cart_orders = both;
        evidence->cart_index = entry.index;
      }
    }
    if (evidence != nullptr) {
      evidence->often =
          facts.popular || ordered * static_cast<double>(facts_.size()) > 2 * std::max(1.0, orders_);
    }

    double score =
        std::log(share) + kContextWeight * std::log(context_lift) + cart_weight_ * std::log(cart_lift);
    const auto units = query_.units_of_kind.find(facts.kind);
    if (units != query_.units_of_kind.end() && units->second >= std::max<int64_t>(query_.party, 1)) {
      score += kSaturated;
    }
    return score;
  }

  const std::vector<Facts>& facts_;
  const Query& query_;
  const Model::Reader learned_;
  const double orders_;
  const double prior_total_;
  std::vector<CartEntry> entries_;
  double cart_weight_ = 0;
};

Suggester::Suggester(std::shared_ptr<const menu::Catalogue> catalogue) : catalogue_(std::move(catalogue)) {
  facts_.reserve(catalogue_->items().size());
  for (const messages::MenuItem& item : catalogue_->items()) {
    index_.emplace(item.id, static_cast<uint32_t>(facts_.size()));
    facts_.push_back(MakeFacts(item));
    prior_total_ += facts_.back().prior;
  }
  for (Facts& facts : facts_) AddParts(facts);
}

Suggester::Facts Suggester::MakeFacts(const messages::MenuItem& item) const {
  Facts facts;
  facts.item = &item;
  facts.dietary = menu::DietaryOf(item);
  facts.allergens = menu::AllergensOf(item);
  facts.price = catalogue_->PriceOf(item);
  facts.saving = catalogue_->SavingOf(item);

  const std::vector<messages::MenuCategory>& categories = catalogue_->categories();
  const auto category =
      absl::c_find_if(categories, [&](const messages::MenuCategory& c) { return c.id == item.category; });
  const std::string category_name = category == categories.end() ? item.category : category->name;
  std::vector<std::string> category_words = Words(category_name);
  for (const std::string& word : Words(item.category)) category_words.push_back(word);
  facts.drink = HasAny(category_words, kDrinkWords);
  facts.kind = facts.drink ? -1 : static_cast<int>(category - categories.begin());

  std::vector<std::string> tags;
  for (const std::string& tag : item.tags) tags.push_back(absl::AsciiStrToLower(tag));
  const auto tagged = [&](absl::string_view tag) { return absl::c_linear_search(tags, tag); };
  const std::vector<std::string> words = Words(item.name);
  facts.cold =
      tagged("cold") || tagged("iced") || tagged("frozen") || (!tagged("hot") && HasAny(words, kColdWords));
  facts.hot = !facts.cold && (tagged("hot") || tagged("warm") || HasAny(words, kHotWords));
  facts.light = tagged("light") || tagged("fresh");
  facts.sharing = HasAny(tags, kSharingTags);
  facts.popular = tagged("popular") || tagged("bestseller");
  facts.prior = facts.popular ? 3 : 1;
  for (size_t f = 0; f < kFeatures; ++f) facts.rule_lift[f] = RuleLift(facts, static_cast<Feature>(f));

  facts.noun = item.name;
  if (!words.empty()) {
    const std::string last = Singular(words.back());
    for (const std::string& word : category_words) {
      if (Singular(word) == last) facts.noun = last;
    }
  }
  return facts;
}

void Suggester::AddParts(Facts& facts) const {
  for (const int64_t id : facts.item->combo_of) {
    const auto it = index_.find(id);
    if (it == index_.end()) continue;
    const Facts& part = facts_[it->second];
    facts.parts.push_back(it->second);
    facts.parts_price += part.price;
    facts.dietary &= menu::DietaryOf(*part.item);
    facts.allergens |= menu::AllergensOf(*part.item);
  }
  absl::c_sort(facts.parts);
  facts.parts.erase(std::unique(facts.parts.begin(), facts.parts.end()), facts.parts.end());
}

double Suggester::RuleLift(const Facts& facts, Feature feature) {
  switch (feature) {
    case Feature::kHot:
      return facts.cold ? 1.8 : facts.hot ? 0.35 : facts.light ? 1.3 : 1;
    case Feature::kCold:
    case Feature::kRainy:
      return facts.cold ? 0.6 : facts.hot ? 1.8 : facts.light ? 0.8 : 1;
    case Feature::kPartyOfOne:
      return facts.sharing ? 0.5 : 1;
    case Feature::kPartySmall:
    case Feature::kPartyLarge:
      return facts.sharing ? 1.7 : 1;
    case Feature::kBreakfast:
      return facts.drink && facts.hot ? 1.8 : absl::c_linear_search(facts.item->tags, "breakfast") ? 2.5 : 1;
    default:
      return absl::c_linear_search(facts.item->tags, FeatureName(feature)) ? 2 : 1;
  }
}

bool Suggester::Allowed(uint32_t index, const Query& query) const {
  const Facts& facts = facts_[index];
  if (query.held.contains(index)) return false;
  if ((facts.dietary & query.dietary) != query.dietary) return false;
  if ((facts.allergens & query.allergens) != 0) return false;
  const auto available = [&](const Facts& of) { return !query.unavailable->contains(of.item->id); };
  if (!available(facts)) return false;
  return absl::c_all_of(facts.parts, [&](uint32_t part) { return available(facts_[part]); });
}

std::vector<Suggester::Candidate> Suggester::Rank(const Query& query, const Scorer& scorer) const {
  std::vector<Candidate> ranked;
  ranked.reserve(facts_.size());
  for (uint32_t i = 0; i < facts_.size(); ++i) {
    // With something in the cart a combo is offered for its saving (Combos()) or not at all.
    if (!facts_[i].parts.empty() && !query.cart.empty()) continue;
    if (Allowed(i, query)) ranked.push_back({scorer.Score(i), i});
  }
  absl::c_sort(ranked, [this](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return facts_[a.index].item->id < facts_[b.index].item->id;
  });
  return ranked;
}

std::vector<uint32_t> Suggester::Combos(const Query& query, const Model::Reader& learned) const {
  struct Offer {
    uint32_t index;
    double share;  // of the value that the cart already has
    int64_t orders;
  };
  std::vector<Offer> offers;
  for (uint32_t i = 0; i < facts_.size(); ++i) {
    const Facts& facts = facts_[i];
    if (facts.saving <= 0 || facts.parts_price <= 0 || !Allowed(i, query)) continue;
    int64_t in_cart = 0;
    for (const uint32_t part : facts.parts) {
      if (absl::c_binary_search(query.cart, part)) in_cart += facts_[part].price;
    }
    const double share = static_cast<double>(in_cart) / static_cast<double>(facts.parts_price);
    if (in_cart == 0 || share < kComboShare) continue;
    const ItemCounts* counts = learned.Find(facts.item->id);
    offers.push_back({i, share, counts == nullptr ? 0 : counts->orders});
  }
  absl::c_sort(offers, [this](const Offer& a, const Offer& b) {
    if (a.share != b.share) return a.share > b.share;
    if (a.orders != b.orders) return a.orders > b.orders;
    if (facts_[a.index].saving != facts_[b.index].saving) {
      return facts_[a.index].saving > facts_[b.index].saving;
    }
    return facts_[a.index].item->id < facts_[b.index].item->id;
  });
  std::vector<uint32_t> combos;
  combos.reserve(offers.size());
  for (const Offer& offer : offers) combos.push_back(offer.index);
  return combos;
}

messages::Suggestion Suggester::DescribeCombo(uint32_t index, const Query& query) const {
  const Facts& facts = facts_[index];
  messages::Suggestion out;
  out.item_id = facts.item->id;
  out.name = facts.item->name;
  out.price = facts.item->price;
  out.reason = kReasonCombo;
  const std::string saving = FormatAmount(facts.saving, catalogue_->currency(), catalogue_->exponent());
  const bool complete =
      absl::c_all_of(facts.parts, [&](uint32_t part) { return absl::c_binary_search(query.cart, part); });
  out.pitch = complete ? absl::StrCat("You have it all for the ", out.name, ": order it as a combo and save ",
                                      saving, "!")
                       : absl::StrCat("Make it a combo and save ", saving, "!");
  return out;
}

messages::Suggestion Suggester::Describe(uint32_t index, const Query& query, const Scorer& scorer,
                                         absl::flat_hash_set<std::string>& said) const {
  const Facts& facts = facts_[index];
  const Evidence evidence = scorer.Explain(index);
  const std::string& name = facts.item->name;
  messages::Suggestion out;
  out.item_id = facts.item->id;
  out.name = name;
  out.price = facts.item->price;

  // What the guest eats, for "with your burger": the dearest item that is no drink, else the dearest.
  const Facts* meal = nullptr;
  for (const uint32_t held : query.cart) {
    const Facts& in_cart = facts_[held];
    if (meal == nullptr ||
        std::make_pair(!in_cart.drink, in_cart.price) > std::make_pair(!meal->drink, meal->price)) {
      meal = &in_cart;
    }
  }
  const std::string with = meal == nullptr ? "" : absl::StrCat(" with your ", meal->noun);

  std::vector<std::string> pitches;  // the first one that was not said yet is taken
  std::optional<Feature> weather;
  for (const Feature feature : query.features) {
    if (IsWeather(feature) && feature != Feature::kMild) weather = feature;
  }
  std::pair<Feature, double> context{Feature::kMild, 0};
  for (const std::pair<Feature, double>& lift : evidence.context_lifts) {
    const bool contradicts = (lift.first == Feature::kHot && facts.hot) ||
                             ((lift.first == Feature::kCold || lift.first == Feature::kRainy) && facts.cold);
    if ((IsTime(lift.first) || (IsWeather(lift.first) && lift.first != Feature::kMild)) && !contradicts &&
        lift.second > context.second) {
      context = lift;
    }
  }
  const bool goes_with =
      evidence.cart_orders >= kTellingOrders && evidence.cart_lift >= kTellingLift && meal != nullptr;

  if (weather == Feature::kHot && facts.cold) {
    out.reason = "weather_hot";
    if (facts.drink) {
      pitches = {meal == nullptr ? "Perfect to cool down on a hot day!"
                                 : absl::StrCat("Perfect to cool down", with, "!"),
                 absl::StrCat("It is hot out there: ", WithArticle(name), " will refresh you.")};
    } else {
      pitches = {absl::StrCat("Cool down with ", WithArticle(name), meal == nullptr ? "!" : " afterwards!")};
    }
  } else if ((weather == Feature::kCold || weather == Feature::kRainy) && facts.hot) {
    out.reason = absl::StrCat("weather_", FeatureName(*weather));
    const absl::string_view day = weather == Feature::kCold ? "cold" : "rainy";
    pitches = {meal == nullptr ? absl::StrCat("Something hot for a ", day, " day!")
                               : absl::StrCat("Something hot to warm you up", with, "!"),
               absl::StrCat("Warm up with ", WithArticle(name), " on this ", day, " day.")};
  } else if (query.party >= 4 && facts.sharing) {
    out.reason = kReasonPartyLarge;
    pitches = {absl::StrCat("Great for sharing between the ", query.party, " of you!"),
               absl::StrCat(name, " for the table: made for sharing.")};
  } else if (goes_with && evidence.cart_lift >= context.second) {
    out.reason = kReasonGoesWith;
    const Facts& partner = facts_[evidence.cart_index];
    pitches = {absl::StrCat("Goes great with your ", partner.noun, "!"),
               absl::StrCat("Guests who order ", partner.item->name, " often add ", name, "."),
               absl::StrCat(name, ": the right company for your ", partner.item->name, ".")};
  } else if (context.second >= kTellingLift) {
    out.reason = absl::StrCat(IsTime(context.first) ? "time_" : "weather_", FeatureName(context.first));
    pitches = {absl::StrCat("A favourite of our guests ", Circumstance(context.first), "."),
               absl::StrCat(name, ": ordered a lot ", Circumstance(context.first), ".")};
  } else if (meal != nullptr && !query.units_of_kind.contains(facts.kind)) {
    out.reason = kReasonCompletes;
    pitches = {absl::StrCat("How about ", WithArticle(name), " to go", with, "?"),
               absl::StrCat("Round it off with ", WithArticle(name), ".")};
  } else if (evidence.often) {
    out.reason = kReasonPopular;
    pitches = {"One of our guests' favourites!", absl::StrCat(name, ": a favourite with our guests.")};
  } else {
    out.reason = kReasonMenuPick;
    pitches = {absl::StrCat("Why not try ", WithArticle(name), "?")};
  }
  out.pitch = pitches.back();
  for (const std::string& pitch : pitches) {
    if (said.insert(pitch).second) {
      out.pitch = pitch;
      break;
    }
  }
  return out;
}

absl::StatusOr<messages::SuggestResponse> Suggester::Suggest(const messages::SuggestRequest& request,
                                                             const UnavailableIds& unavailable,
                                                             const Model& model) const {
  Query query;
  ASSIGN_OR_RETURN(query.dietary,
                   menu::ParseDietaryFilters(request.dietary_filters, "payload.dietary_filters"));
  ASSIGN_OR_RETURN(query.allergens,
                   menu::ParseAllergens(request.exclude_allergens, "payload.exclude_allergens"));
  query.features = FeaturesOf(request.context);
  query.party = std::max<int64_t>(0, request.context.party_size.value_or(0));
  query.limit = static_cast<size_t>(std::max<int64_t>(0, request.limit));
  query.unavailable = &unavailable;
  for (const messages::CartItem& line : request.cart) {
    const auto it = index_.find(line.item_id);
    if (it == index_.end()) continue;
    const Facts& facts = facts_[it->second];
    query.cart.push_back(it->second);
    query.held.insert(it->second);
    query.held.insert(facts.parts.begin(), facts.parts.end());
    // Quantities are at most 999 and lines at most 200, so these sums are small.
    query.units_of_kind[facts.kind] += line.quantity;
    for (const uint32_t part : facts.parts) query.units_of_kind[facts_[part].kind] += line.quantity;
  }
  absl::c_sort(query.cart);
  query.cart.erase(std::unique(query.cart.begin(), query.cart.end()), query.cart.end());

  const Scorer scorer(*this, query, model);
  const std::vector<Candidate> ranked = Rank(query, scorer);
  const std::vector<uint32_t> combos = Combos(query, scorer.learned());
  // One offer in three may be a combo; of other kinds two, the second only when it is clearly better.
  const size_t combo_count = std::min({combos.size(), (query.limit + 2) / 3, query.limit});
  const size_t most_of_kind = std::max<size_t>(1, (2 * query.limit) / 3);
  const size_t wanted = query.limit - combo_count;
  std::vector<const Candidate*> chosen;
  std::vector<bool> taken(ranked.size(), false);
  absl::flat_hash_map<int, size_t> chosen_of_kind;
  for (const bool strict : {true, false}) {
    while (chosen.size() < wanted) {
      std::optional<size_t> best;
      double best_score = 0;
      for (size_t i = 0; i < ranked.size(); ++i) {
        if (best.has_value() && ranked[i].score <= best_score) break;
        if (taken[i]) continue;
        const size_t of_kind = chosen_of_kind[facts_[ranked[i].index].kind];
        if (strict && of_kind >= most_of_kind) continue;
        const double score = ranked[i].score + kRepeated * static_cast<double>(of_kind);
        if (!best.has_value() || score > best_score) {
          best = i;
          best_score = score;
        }
      }
      if (!best.has_value()) break;
      taken[*best] = true;
      ++chosen_of_kind[facts_[ranked[*best].index].kind];
      chosen.push_back(&ranked[*best]);
    }
  }

  messages::SuggestResponse response;
  absl::flat_hash_set<std::string> said;
  for (const Candidate* candidate : chosen)
    response.suggestions.push_back(Describe(candidate->index, query, scorer, said));
  // The best item first, then what saves money.
  std::vector<messages::Suggestion> offers;
  for (size_t i = 0; i < combo_count; ++i) offers.push_back(DescribeCombo(combos[i], query));
  const auto at = response.suggestions.begin() + (response.suggestions.empty() ? 0 : 1);
  response.suggestions.insert(at, std::make_move_iterator(offers.begin()),
                              std::make_move_iterator(offers.end()));
  return response;
}

}  // namespace arc::recsys
