#include "services/stt/voices.h"

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/stt/pocketsphinx_engine.h"
#include "tests/support/process.h"

namespace arc::stt {
namespace {

using testing_support::ReadFile;
using testing_support::TempDir;

// The first stream of the first codebook's means in a file that a voice names.
std::vector<float> FirstMeans(const std::string& path) {
  const std::string data = ReadFile(path);
  const size_t begin =
      data.find("endhdr\n") + 7 + 4 * (4 + 3 + 1);  // magic, counts, lengths, number of values
  std::vector<float> means(128 * Voices::kCepstra);
  EXPECT_GE(data.size(), begin + means.size() * sizeof(float));
  data.copy(reinterpret_cast<char*>(means.data()), means.size() * sizeof(float), begin);
  return means;
}

TEST(VoicesTest, EachIsClosestToItself) {
  const auto voices = Voices::Load(PocketsphinxOptions().model_dir);
  ASSERT_THAT(voices, IsOk());
  ASSERT_GE((*voices)->size(), 4U);
  std::set<std::string> names;
  for (size_t voice = 0; voice < (*voices)->size(); ++voice) {
    EXPECT_EQ((*voices)->Closest(FirstMeans((*voices)->means_path(voice)), 0), voice);
    names.insert((*voices)->name(voice));
  }
  EXPECT_EQ(names.size(), (*voices)->size());
}

TEST(VoicesTest, AnotherThanThePlainOneMustBeSoMuchBetter) {
  const auto voices = Voices::Load(PocketsphinxOptions().model_dir);
  ASSERT_THAT(voices, IsOk());
  EXPECT_EQ((*voices)->Closest(FirstMeans((*voices)->means_path(1)), 1000), 0U);
  EXPECT_EQ((*voices)->Closest({}, 0.3), 0U);
}

TEST(VoicesTest, AnotherAcousticModelHasNoOtherVoices) {
  EXPECT_THAT(Voices::Load("/nonexistent"), StatusIs(absl::StatusCode::kNotFound));
  const TempDir dir;
  testing_support::RunProgram({"mkdir", dir.File("en-us")});
  for (const char* content : {"", "s3\n", "s3\nendhdr\n", "s3\nendhdr\n\x44\x33\x22\x11"}) {
    for (const char* name : {"en-us/means", "en-us/variances"}) std::ofstream(dir.File(name)) << content;
    const auto voices = Voices::Load(dir.File(""));
    ASSERT_THAT(voices, IsOk()) << content;
    EXPECT_EQ((*voices)->size(), 1U);
    EXPECT_EQ((*voices)->Closest(std::vector<float>(130), 0), 0U);
  }
}

}  // namespace
}  // namespace arc::stt
