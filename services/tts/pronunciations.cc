#include "services/tts/pronunciations.h"

#include <array>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace arc::tts {
namespace {

constexpr Pronunciation kTable[] = {
    {"acai", "aa0 s ay0 iy1"},
    {"affogato", "aa0 f ow0 g aa1 t ow0"},
    {"agave", "ax0 g aa1 v ey0"},
    {"ahi", "aa1 hh iy0"},
    {"aioli", "ay0 ow1 l iy0"},
    {"arepa", "aa0 r ey1 p ax0"},
    {"arepas", "aa0 r ey1 p ax0 z"},
    {"arugula", "ax0 r uw1 g ax0 l ax0"},
    {"baguette", "b ae0 g eh1 t"},
    {"baguettes", "b ae0 g eh1 t s"},
    {"banh", "b aa1 n"},
    {"barbacoa", "b aa0 r b ax0 k ow1 ax0"},
    {"bearnaise", "b ey0 er0 n ey1 z"},
    {"beignet", "b eh0 n y ey1"},
    {"beignets", "b eh0 n y ey1 z"},
    {"bibimbap", "b iy1 b ih0 m b aa0 p"},
    {"biryani", "b ih0 r y aa1 n iy0"},
    {"brioche", "b r iy0 ow1 sh"},
    {"brulee", "b r uw0 l ey1"},
    {"bruschetta", "b r uw0 s k eh1 t ax0"},
    {"bulgogi", "b uh0 l g ow1 g iy0"},
    {"burrito", "b er0 iy1 t ow0"},
    {"cafe", "k ae0 f ey1"},
    {"caffe", "k ae0 f ey1"},
    {"calamari", "k aa0 l ax0 m aa1 r iy0"},
    {"calzone", "k ae0 l z ow1 n"},
    {"caprese", "k ax0 p r ey1 z ey0"},
    {"carne", "k aa1 r n ey0"},
    {"ceviche", "s ax0 v iy1 ch ey0"},
    {"chai", "ch ay1"},
    {"champignon", "sh ae0 m p ih1 n y ax0 n"},
    {"chana", "ch aa1 n ax0"},
    {"chicharron", "ch iy0 ch ax0 r ow1 n"},
    {"chimichurri", "ch ih0 m iy0 ch uh1 r iy0"},
    {"chipotle", "ch ih0 p ow1 t l ey0"},
    {"chorizo", "ch er0 iy1 z ow0"},
    {"churro", "ch uh1 r ow0"},
    {"churros", "ch uh1 r ow0 z"},
    {"ciabatta", "ch ax0 b aa1 t ax0"},
    {"cilantro", "s ih0 l aa1 n t r ow0"},
    {"coleslaw", "k ow1 l s l ao1"},
    {"cortado", "k ao0 r t aa1 d ow0"},
    {"creme", "k r eh1 m"},
    {"croutons", "k r uw1 t aa0 n z"},
    {"dal", "d aa1 l"},
    {"dashi", "d aa1 sh iy0"},
    {"decaf", "d iy1 k ae0 f"},
    {"doner", "d ow1 n er0"},
    {"dulce", "d uw1 l s ey0"},
    {"edamame", "eh0 d ax0 m aa1 m ey0"},
    {"elote", "eh0 l ow1 t ey0"},
    {"elotes", "eh0 l ow1 t ey0 z"},
    {"empanada", "eh0 m p ax0 n aa1 d ax0"},
    {"empanadas", "eh0 m p ax0 n aa1 d ax0 z"},
    {"enchilada", "eh0 n ch ax0 l aa1 d ax0"},
    {"enchiladas", "eh0 n ch ax0 l aa1 d ax0 z"},
    {"fajita", "f ax0 hh iy1 t ax0"},
    {"fajitas", "f ax0 hh iy1 t ax0 z"},
    {"falafel", "f ax0 l aa1 f ax0 l"},
    {"falafels", "f ax0 l aa1 f ax0 l z"},
    {"farfalle", "f aa0 r f aa1 l ey0"},
    {"fettuccine", "f eh0 t ax0 ch iy1 n iy0"},
    {"flan", "f l aa1 n"},
    {"focaccia", "f ow0 k aa1 ch ax0"},
    {"frappe", "f r ae0 p ey1"},
    {"frijoles", "f r iy0 hh ow1 l ey0 s"},
    {"gallo", "g ay1 ow0"},
    {"ganoush", "g ax0 n uw1 sh"},
    {"gnocchi", "n y ow1 k iy0"},
    {"gochujang", "g ow1 ch uw0 jh aa0 ng"},
    {"gouda", "g uw1 d ax0"},
    {"gruyere", "g r uw0 y eh1 r"},
    {"guacamole", "g w aa0 k ax0 m ow1 l iy0"},
    {"gyoza", "g y ow1 z ax0"},
    {"gyro", "y ih1 r ow0"},
    {"gyros", "y ih1 r ow0 z"},
    {"halal", "hh ax0 l aa1 l"},
    {"halloumi", "hh ax0 l uw1 m iy0"},
    {"harissa", "hh ax0 r iy1 s ax0"},
    {"horchata", "ao0 r ch aa1 t ax0"},
    {"hummus", "hh uh1 m ax0 s"},
    {"jalapeno", "hh aa0 l ax0 p ey1 n y ow0"},
    {"jalapenos", "hh aa0 l ax0 p ey1 n y ow0 z"},
    {"jicama", "hh iy1 k ax0 m ax0"},
    {"katsu", "k aa1 t s uw0"},
    {"kefir", "k ax0 f ih1 r"},
    {"kofta", "k ow1 f t ax0"},
    {"kombucha", "k ax0 m b uw1 ch ax0"},
    {"lassi", "l aa1 s iy0"},
    {"latte", "l aa1 t ey0"},
    {"lattes", "l aa1 t ey0 z"},
    {"leche", "l eh1 ch ey0"},
    {"leches", "l eh1 ch ey0 z"},
    {"linguine", "l ih0 ng g w iy1 n iy0"},
    {"litre", "l iy1 t er0"},
    {"litres", "l iy1 t er0 z"},
    {"mahi", "m aa1 hh iy0"},
    {"marinara", "m eh0 r ax0 n eh1 r ax0"},
    {"masala", "m ax0 s aa1 l ax0"},
    {"matcha", "m aa1 ch ax0"},
    {"miso", "m iy1 s ow0"},
    {"mochaccino", "m ow0 k ax0 ch iy1 n ow0"},
    {"mochi", "m ow1 ch iy0"},
    {"mojito", "m ow0 hh iy1 t ow0"},
    {"mole", "m ow1 l ey0"},
    {"nacho", "n aa1 ch ow0"},
    {"nachos", "n aa1 ch ow0 z"},
    {"nduja", "n d uw1 y ax0"},
    {"nicoise", "n iy0 s w aa1 z"},
    {"nutella", "n uw0 t eh1 l ax0"},
    {"okonomiyaki", "ow0 k ow0 n ow0 m iy0 y aa1 k iy0"},
    {"onigiri", "ow0 n iy0 g ih1 r iy0"},
    {"orangeade", "ao1 r ax0 n jh ey1 d"},
    {"orzo", "ao1 r z ow0"},
    {"paella", "p aa0 ey1 ax0"},
    {"paneer", "p ax0 n ih1 r"},
    {"panini", "p ax0 n iy1 n iy0"},
    {"paninis", "p ax0 n iy1 n iy0 z"},
    {"panna", "p aa1 n ax0"},
    {"papadum", "p aa1 p ax0 d ax0 m"},
    {"pate", "p aa0 t ey1"},
    {"penne", "p eh1 n ey0"},
    {"pho", "f ah1"},
    {"pico", "p iy1 k ow0"},
    {"pierogi", "p ih0 r ow1 g iy0"},
    {"pilaf", "p iy0 l aa1 f"},
    {"poblano", "p ow0 b l aa1 n ow0"},
    {"poke", "p ow1 k ey0"},
    {"pollo", "p oy1 ow0"},
    {"pommes", "p aa1 m"},
    {"pomodoro", "p aa0 m ax0 d ao1 r ow0"},
    {"ponzu", "p aa1 n z uw0"},
    {"poutine", "p uw0 t iy1 n"},
    {"pretzel", "p r eh1 t s ax0 l"},
    {"prosciutto", "p r ow0 sh uw1 t ow0"},
    {"puree", "p y uh0 r ey1"},
    {"quesadilla", "k ey0 s ax0 d iy1 ax0"},
    {"quesadillas", "k ey0 s ax0 d iy1 ax0 z"},
    {"queso", "k ey1 s ow0"},
    {"quiche", "k iy1 sh"},
    {"quinoa", "k iy1 n w aa0"},
    {"ratatouille", "r ae0 t ax0 t uw1 iy0"},
    {"relleno", "r ey0 y ey1 n ow0"},
    {"remoulade", "r ey0 m ax0 l aa1 d"},
    {"ricotta", "r ih0 k aa1 t ax0"},
    {"rigatoni", "r ih0 g ax0 t ow1 n iy0"},
    {"risotto", "r ih0 s aa1 t ow0"},
    {"saison", "s ey0 z aa1 n"},
    {"samosa", "s ax0 m ow1 s ax0"},
    {"samosas", "s ax0 m ow1 s ax0 z"},
    {"sashimi", "s aa0 sh iy1 m iy0"},
    {"satay", "s aa0 t ey1"},
    {"schnitzel", "sh n ih1 t s ax0 l"},
    {"shakshuka", "sh ae0 k sh uw1 k ax0"},
    {"shawarma", "sh ax0 w aa1 r m ax0"},
    {"sopapilla", "s ow0 p ax0 p iy1 ax0"},
    {"sopapillas", "s ow0 p ax0 p iy1 ax0 z"},
    {"sorbet", "s ao0 r b ey1"},
    {"souvlaki", "s uw0 v l aa1 k iy0"},
    {"sriracha", "s ih0 r aa1 ch ax0"},
    {"sweetcorn", "s w iy1 t k ao1 r n"},
    {"tabbouleh", "t ax0 b uw1 l iy0"},
    {"tahini", "t ax0 hh iy1 n iy0"},
    {"tamales", "t ax0 m aa1 l iy0 z"},
    {"tandoori", "t aa0 n d uh1 r iy0"},
    {"tapas", "t aa1 p ax0 s"},
    {"tartare", "t aa1 r t er0"},
    {"teppanyaki", "t eh0 p ax0 n y aa1 k iy0"},
    {"tikka", "t iy1 k ax0"},
    {"tiramisu", "t ih0 r ax0 m iy1 s uw0"},
    {"tomatillo", "t ow0 m ax0 t iy1 ow0"},
    {"tonkatsu", "t aa0 ng k aa1 t s uw0"},
    {"tortilla", "t ao0 r t iy1 ax0"},
    {"tortillas", "t ao0 r t iy1 ax0 z"},
    {"tostada", "t ow0 s t aa1 d ax0"},
    {"tostadas", "t ow0 s t aa1 d ax0 z"},
    {"tres", "t r ey1 s"},
    {"tzatziki", "t s aa0 t s iy1 k iy0"},
    {"udon", "uw1 d aa0 n"},
    {"umami", "uw0 m aa1 m iy0"},
    {"vegan", "v iy1 g ax0 n"},
    {"vegans", "v iy1 g ax0 n z"},
    {"vinaigrette", "v ih0 n ax0 g r eh1 t"},
    {"wagyu", "w aa1 g y uw0"},
    {"worcestershire", "w uh1 s t er0 sh er0"},
    {"yakitori", "y aa0 k ih0 t ao1 r iy0"},
    {"yoghurt", "y ow1 g er0 t"},
    {"za'atar", "z aa1 t aa0 r"},
};

const absl::flat_hash_map<absl::string_view, absl::string_view>& Espeanames() {
  static const auto* const names = new absl::flat_hash_map<absl::string_view, absl::string_view>{
      {"aa", "A:"}, {"ae", "a"},  {"ah", "V"}, {"ao", "O:"}, {"aw", "aU"}, {"ax", "@"},  {"ay", "aI"},
      {"b", "b"},   {"ch", "tS"}, {"d", "d"},  {"dh", "D"},  {"eh", "E"},  {"er", "3:"}, {"ey", "eI"},
      {"f", "f"},   {"g", "g"},   {"hh", "h"}, {"ih", "I"},  {"iy", "i:"}, {"jh", "dZ"}, {"k", "k"},
      {"l", "l"},   {"m", "m"},   {"n", "n"},  {"ng", "N"},  {"ow", "oU"}, {"oy", "OI"}, {"p", "p"},
      {"r", "r"},   {"s", "s"},   {"sh", "S"}, {"t", "t"},   {"th", "T"},  {"uh", "U"},  {"uw", "u:"},
      {"v", "v"},   {"w", "w"},   {"y", "j"},  {"z", "z"},   {"zh", "Z"}};
  return *names;
}

std::string ToEspeak(absl::string_view phones) {
  std::string out;
  for (absl::string_view phone : absl::StrSplit(phones, ' ')) {
    bool stressed = false;
    if (absl::ascii_isdigit(static_cast<unsigned char>(phone.back()))) {
      stressed = phone.back() == '1';
      phone.remove_suffix(1);
    }
    absl::StrAppend(&out, stressed ? "'" : "", Espeanames().at(phone));
  }
  return out;
}

}  // namespace

absl::Span<const Pronunciation> Pronunciations() {
  return kTable;
}

std::string EspeakPhonemes(absl::string_view word) {
  static const auto* const all_words = [] {
    auto* words = new absl::flat_hash_map<std::string, std::string>;
    for (const Pronunciation& entry : kTable) words->emplace(entry.word, ToEspeak(entry.phones));
    return words;
  }();
  const auto found = all_words->find(absl::AsciiStrToLower(word));
  return found == all_words->end() ? "" : found->second;
}

}  // namespace arc::tts
