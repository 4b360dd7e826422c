// Which items to offer a guest beside the cart, and what to say about them (kiosk specification,
// section 7.2). The README says how items are ranked.
//
// A Suggester is made from one catalogue and immutable: share it between threads. The same inputs give the
// same answer.
#ifndef ARC_SERVICES_RECSYS_SUGGEST_H_
#define ARC_SERVICES_RECSYS_SUGGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "common/messages/recsys.h"
#include "services/menu/catalogue.h"
#include "services/recsys/model.h"

namespace arc::recsys {

// Ids of items that cannot be had now: all of them, what the menu file says included (menu::MenuState).
using menu::UnavailableIds;

// Values of Suggestion::reason. Besides these: "weather_" and "time_" with the circumstance.
using messages::kReasonCombo;                                 // a combo of what is in the cart saves money
inline constexpr char kReasonGoesWith[] = "goes_with";        // ordered together with an item of the cart
inline constexpr char kReasonPartyLarge[] = "party_large";    // suits a group of four or more
inline constexpr char kReasonPopular[] = "popular";           // ordered often
inline constexpr char kReasonCompletes[] = "completes_meal";  // of a kind that the cart lacks
inline constexpr char kReasonMenuPick[] = "menu_pick";        // nothing better is known

class Suggester {
 public:
  explicit Suggester(std::shared_ptr<const menu::Catalogue> catalogue);

  // At most `request.limit` items, best first, and fewer only when no more are allowed. Never an item that is
  // in the cart (parts of a combo in the cart included), that cannot be had or has a part that cannot, or
  // that breaks a dietary filter or has an excluded allergen, itself or in a part. Unknown item ids of the
  // cart are ignored. InvalidArgument for an unknown dietary filter or allergen.
  absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request,
                                                    const UnavailableIds& unavailable,
                                                    const Model& model) const;

  const menu::Catalogue& catalogue() const { return *catalogue_; }

 private:
  struct Facts {
    const messages::MenuItem* item = nullptr;
    menu::Bits dietary = 0;    // what it and all its parts satisfy
    menu::Bits allergens = 0;  // in it or in a part
    int kind = 0;              // items of one kind replace each other: all drinks, or a category
    bool drink = false;
    bool cold = false;  // served cold
    bool hot = false;   // served hot
    bool light = false;
    bool sharing = false;  // for several people
    bool popular = false;  // says the menu
    std::array<double, kFeatures>
        rule_lift{};              // expected by the menu's own words, before anything is learned
    double prior = 1;             // orders that it is credited with before there are any
    std::string noun;             // "burger" for a Volcano Burger among the Burgers, else its name
    std::vector<uint32_t> parts;  // of a combo, ascending, each once
    int64_t price = 0;            // minor units
    int64_t parts_price = 0;
    int64_t saving = 0;
  };
  struct Query;
  struct Candidate;
  struct Evidence;
  class Scorer;

  Facts MakeFacts(const messages::MenuItem& item) const;
  void AddParts(Facts& facts) const;
  bool Allowed(uint32_t index, const Query& query) const;
  static double RuleLift(const Facts& facts, Feature feature);
  // Everything that may be offered for itself, best first.
  std::vector<Candidate> Rank(const Query& query, const Scorer& scorer) const;
  // The combos that the cart is on its way to, best first.
  std::vector<uint32_t> Combos(const Query& query, const Model::Reader& learned) const;
  messages::Suggestion Describe(uint32_t index, const Query& query, const Scorer& scorer,
                                absl::flat_hash_set<std::string>& said) const;
  messages::Suggestion DescribeCombo(uint32_t index, const Query& query) const;

  std::shared_ptr<const menu::Catalogue> catalogue_;
  std::vector<Facts> facts_;  // in the order of the catalogue
  absl::flat_hash_map<int64_t, uint32_t> index_;
  double prior_total_ = 0;
};

}  // namespace arc::recsys

#endif  // ARC_SERVICES_RECSYS_SUGGEST_H_
