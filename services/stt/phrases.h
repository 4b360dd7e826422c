// Sentences as rules with weights, and how often words are expected to follow each other in them: what a
// language model is trained on, without writing the sentences out.
//
//   Phrases phrases;
//   phrases.Define("size", {{1, "small"}, {2, "large"}});
//   phrases.Define("root", {{1, "[can i have:0.7] a [$size] cola {and a $size tea:0.2} [please]"}});
//   NgramCounts counts = phrases.Count("root").value();
//
//   (a|b c:3|d)   one of these; a weight after a colon, 1 where none stands
//   [a|b:0.3]     with probability 0.3, or 0.5 where no number stands, one of these
//   {a:0.3}       again and again, each time with probability 0.3 (0.3 where no number stands)
//   $name         a rule
//
// Not thread-safe.
#ifndef ARC_SERVICES_STT_PHRASES_H_
#define ARC_SERVICES_STT_PHRASES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/stt/ngram.h"

namespace arc::stt {

class Phrases {
 public:
  struct Choice {
    double weight = 1;
    std::string text;
  };

  Phrases();
  ~Phrases();

  // Sets what `name` stands for; a rule of that name is replaced. A rule without choices matches nothing:
  // what needs it is left out. InvalidArgument for a text that does not follow the notation.
  absl::Status Define(absl::string_view name, const std::vector<Choice>& choices);

  // Expected counts of a sentence of `root`. NotFound for a rule that is used and not defined,
  // InvalidArgument for one that contains itself.
  absl::StatusOr<NgramCounts> Count(absl::string_view root) const;

  struct Node;

 private:
  absl::flat_hash_map<std::string, std::unique_ptr<Node>> rules_;
};

}  // namespace arc::stt

#endif  // ARC_SERVICES_STT_PHRASES_H_
