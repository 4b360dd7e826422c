#include "common/money/money.h"

namespace arc {
namespace {

// ISO 4217, active currencies of circulation, three letters each, by their number of decimals.
constexpr absl::string_view kNone = "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXVNDVUVXAFXOFXPF";
constexpr absl::string_view kThree = "BHDIQDJODKWDLYDOMRTND";
constexpr absl::string_view kTwo =
    "AEDAFNALLAMDAOAARSAUDAWGAZNBAMBBDBDTBGNBMDBNDBOBBRLBSDBTNBWPBYNBZDCADCDFCHFCNYCOPCRCCUPCVECZKDKKDOPDZDEG"
    "PERN"
    "ETBEURFJDFKPGBPGELGHSGIPGMDGTQGYDHKDHNLHTGHUFIDRILSINRIRRJMDKESKGSKHRKPWKYDKZTLAKLBPLKRLRDLSLMADMDLMGAMK"
    "DMMK"
    "MNTMOPMRUMURMVRMWKMXNMYRMZNNADNGNNIONOKNPRNZDPABPENPGKPHPPKRPLNQARRONRSDRUBSARSBDSCRSDGSEKSGDSHPSLESOSSR"
    "DSSP"
    "STNSVCSYPSZLTHBTJSTMTTOPTRYTTDTWDTZSUAHUSDUYUUZSVESWSTXCDXCGYERZARZMW";

bool Contains(absl::string_view codes, absl::string_view code) {
  for (size_t i = 0; i < codes.size(); i += 3) {
    if (codes.substr(i, 3) == code) return true;
  }
  return false;
}

}  // namespace

std::optional<int> CurrencyExponent(absl::string_view code) {
  if (code.size() != 3) return std::nullopt;
  if (Contains(kTwo, code)) return 2;
  if (Contains(kNone, code)) return 0;
  if (Contains(kThree, code)) return 3;
  return std::nullopt;
}

}  // namespace arc
