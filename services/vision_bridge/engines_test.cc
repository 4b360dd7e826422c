// Both engines on real photographs.
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"
#include "services/vision_bridge/blazeface.h"
#include "services/vision_bridge/haar.h"
#include "services/vision_bridge/presence.h"
#include "services/vision_bridge/test_pictures.h"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kLeast = 0.5;
constexpr double kHit = 0.4;  // overlap with the face as a person drew it

bool Finds(const std::vector<Face>& faces, const Box& wanted) {
  for (const Face& face : faces) {
    if (Overlap(face.box, wanted) >= kHit) return true;
  }
  return false;
}

// A photograph as another camera, or in other light, would have taken it.
struct Variant {
  std::string name;
  cv::Mat picture;
  Box face;
};

std::vector<Variant> VariantsOf(const Photograph& photograph) {
  const cv::Mat picture = cv::imread(photograph.file, cv::IMREAD_COLOR);
  EXPECT_FALSE(picture.empty()) << photograph.file;
  std::vector<Variant> variants;
  if (picture.empty()) return variants;
  const Box& face = photograph.face;
  const auto add = [&](const std::string& name, const cv::Mat& changed, const Box& box) {
    variants.push_back({absl::StrCat(photograph.file, " ", name), changed, box});
  };
  cv::Mat changed;
  add("as it is", picture, face);
  cv::flip(picture, changed, 1);
  add("mirrored", changed.clone(), {picture.cols - face.x - face.w, face.y, face.w, face.h});
  picture.convertTo(changed, -1, 0.5, 0);
  add("dark", changed.clone(), face);
  picture.convertTo(changed, -1, 1.3, 20);
  add("bright", changed.clone(), face);
  cv::cvtColor(picture, changed, cv::COLOR_BGR2GRAY);
  cv::cvtColor(changed, changed, cv::COLOR_GRAY2BGR);
  add("grey", changed.clone(), face);
  cv::GaussianBlur(picture, changed, cv::Size(3, 3), 0);
  add("blurred", changed.clone(), face);
  cv::resize(picture, changed, cv::Size(), 1.5, 1.5, cv::INTER_CUBIC);
  add("enlarged", changed.clone(), {face.x * 1.5, face.y * 1.5, face.w * 1.5, face.h * 1.5});
  cv::Mat noise(picture.size(), CV_16SC3);
  cv::RNG random(7);
  random.fill(noise, cv::RNG::NORMAL, 0, 8);
  cv::add(picture, noise, changed, cv::noArray(), CV_8U);
  add("with noise", changed.clone(), face);
  return variants;
}

std::unique_ptr<BlazeFace> LoadBlazeFace() {
  auto engine = BlazeFace::Load(kModelFile, kLeast);
  EXPECT_THAT(engine, IsOk());
  return engine.ok() ? *std::move(engine) : nullptr;
}

TEST(BlazeFace, FindsTheRealFaces) {
  const auto engine = LoadBlazeFace();
  ASSERT_NE(engine, nullptr);
  int faces = 0;
  int found = 0;
  for (const Photograph& photograph : Photographs()) {
    for (const Variant& variant : VariantsOf(photograph)) {
      const auto detected = engine->Detect(variant.picture);
      ASSERT_THAT(detected, IsOk());
      ++faces;
      if (Finds(*detected, variant.face)) {
        ++found;
      } else {
        std::cout << "not found: " << variant.name << "\n";
      }
    }
  }
  // At the kiosk: one face at the distances and places that count.
  const auto maker = ClipMaker::Create();
  ASSERT_THAT(maker, IsOk());
  for (const double size : {0.12, 0.16, 0.2, 0.3, 0.4, 0.5}) {
    for (const double x : {0.2, 0.5, 0.8}) {
      Script script;
      script.actors = {{{{0, x, 0.45, size, 0}, {1, x, 0.45, size, 0}}, false}};
      script.sway = 0;
      const auto detected = engine->Detect(maker->Draw(script, 0.5));
      ASSERT_THAT(detected, IsOk());
      ++faces;
      const double h = size * script.frame.h;
      if (Finds(*detected, {x * script.frame.w - h / 2, 0.45 * script.frame.h - h / 2, h, h})) {
        ++found;
      } else {
        std::cout << "not found: size " << size << " at " << x << "\n";
      }
    }
  }
  std::cout << "found " << found << " of " << faces << " faces\n";
  EXPECT_GE(faces, 50);
  EXPECT_GE(found, std::ceil(0.95 * faces));
}

TEST(BlazeFace, SeesNoNewFaceWhereThereIsNone) {
  // At the confidence from which a person begins; at the lower one a squirrel's face and a graffito are some.
  const auto loaded = BlazeFace::Load(kModelFile, PresenceOptions().least_new_confidence);
  ASSERT_THAT(loaded, IsOk());
  const auto& engine = *loaded;
  for (const std::string& file : PicturesWithoutFaces()) {
    const cv::Mat picture = cv::imread(file, cv::IMREAD_COLOR);
    ASSERT_FALSE(picture.empty()) << file;
    const auto faces = engine->Detect(picture);
    ASSERT_THAT(faces, IsOk());
    EXPECT_THAT(*faces, IsEmpty()) << file;
  }
}

TEST(BlazeFace, MeasuresKeyPointsWhereTheyAre) {
  const auto engine = LoadBlazeFace();
  ASSERT_NE(engine, nullptr);
  const auto faces = engine->Detect(cv::imread(kDemoPhoto, cv::IMREAD_COLOR));
  ASSERT_THAT(faces, IsOk());
  ASSERT_THAT(*faces, SizeIs(1));
  const KeyPoints& points = *(*faces)[0].key_points;
  const Point eye = points[kRightEye];  // the person's right is on the picture's left
  EXPECT_NEAR(eye.x, 203, 6);
  EXPECT_NEAR(eye.y, 103, 6);
  EXPECT_NEAR(points[kLeftEye].x, 249, 6);
  EXPECT_NEAR(points[kNoseTip].y, 128, 8);
  EXPECT_NEAR(points[kMouth].y, 148, 8);
}

TEST(BlazeFace, TakesEverySizeOfPicture) {
  const auto engine = LoadBlazeFace();
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(engine->Detect(cv::Mat(1, 1, CV_8UC3, cv::Scalar::all(255))), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(engine->Detect(cv::Mat(1, 5000, CV_8UC3, cv::Scalar::all(9))), IsOkAndHolds(IsEmpty()));
  cv::Mat huge;
  cv::resize(cv::imread(kDemoPhoto, cv::IMREAD_COLOR), huge, cv::Size(7680, 4320));
  const auto faces = engine->Detect(huge);
  ASSERT_THAT(faces, IsOk());
  ASSERT_THAT(*faces, SizeIs(1));
  EXPECT_NEAR((*faces)[0].box.center().x, 224 * 7680.0 / 512, 150);
  EXPECT_THAT(engine->Detect(cv::Mat()), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(engine->Detect(cv::Mat(64, 64, CV_8UC1)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(BlazeFace, SaysWhatIsWrongWithItsModel) {
  const testing_support::TempDir folder;
  EXPECT_THAT(BlazeFace::Load(folder.File("none.onnx"), kLeast),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("scripts/setup")));
  const std::string text = folder.File("text.onnx");
  std::ofstream(text) << "no network";
  EXPECT_THAT(BlazeFace::Load(text, kLeast), StatusIs(absl::StatusCode::kFailedPrecondition));
  // Half of the right file.
  const std::string half = folder.File("half.onnx");
  const std::string whole = testing_support::ReadFile(kModelFile);
  ASSERT_GT(whole.size(), 100000U);
  std::ofstream(half, std::ios::binary) << whole.substr(0, whole.size() / 2);
  EXPECT_THAT(BlazeFace::Load(half, kLeast), StatusIs(absl::StatusCode::kFailedPrecondition));
}

std::unique_ptr<Haar> LoadHaar() {
  auto engine = Haar::Load(kCascadeFile, 0.12);
  EXPECT_THAT(engine, IsOk());
  return engine.ok() ? *std::move(engine) : nullptr;
}

TEST(Haar, FindsAFrontalFaceAndClaimsNoMore) {
  const auto engine = LoadHaar();
  ASSERT_NE(engine, nullptr);
  const auto faces = engine->Detect(cv::imread(kDemoPhoto, cv::IMREAD_COLOR));
  ASSERT_THAT(faces, IsOk());
  ASSERT_THAT(*faces, SizeIs(1));
  EXPECT_GE(Overlap((*faces)[0].box, Photographs()[0].face), kHit);
  EXPECT_FALSE((*faces)[0].confidence.has_value());
  EXPECT_FALSE((*faces)[0].key_points.has_value());
}

TEST(Haar, TakesEverySizeOfPicture) {
  const auto engine = LoadHaar();
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(engine->Detect(cv::Mat(1, 1, CV_8UC3, cv::Scalar::all(255))), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(engine->Detect(cv::Mat(1, 5000, CV_8UC3, cv::Scalar::all(9))), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(engine->Detect(cv::Mat(4320, 7680, CV_8UC3, cv::Scalar::all(90))), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(engine->Detect(cv::Mat()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Haar, SaysWhatIsWrongWithItsCascade) {
  const testing_support::TempDir folder;
  EXPECT_THAT(Haar::Load(folder.File("none.xml"), 0.12),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("opencv-data")));
  const std::string text = folder.File("text.xml");
  std::ofstream(text) << "<not></a><cascade>";
  EXPECT_THAT(Haar::Load(text, 0.12), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace arc::vision_bridge
