#include "services/vision_bridge/blazeface_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::vision_bridge::blazeface {
namespace {

using ::testing::DoubleNear;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Outputs of one layer without any face.
struct Outputs {
  explicit Outputs(const Layer& the_layer)
      : layer(the_layer), scores(layer.count(), -10), boxes(size_t{kValuesPerBox} * layer.count(), 0) {}
  void Put(int index, float score, std::vector<float> values) {
    scores[index] = score;
    values.resize(kValuesPerBox, 0);
    std::copy(values.begin(), values.end(), boxes.begin() + std::ptrdiff_t{kValuesPerBox} * index);
  }
  std::vector<Face> Faces(double least = 0.5) const {
    std::vector<Face> faces;
    Decode(layer, scores, boxes, least, faces);
    return faces;
  }
  Layer layer;
  std::vector<float> scores;
  std::vector<float> boxes;
};

TEST(BlazeFaceDecoder, PutsABoxAroundItsCell) {
  Outputs fine(kFineLayer);
  // The second anchor of the cell in row 1, column 2: its centre is (40, 24).
  fine.Put((16 + 2) * 2 + 1, 0, {3, -4, 20, 30, 1, 2});
  const std::vector<Face> faces = fine.Faces();
  ASSERT_THAT(faces, SizeIs(1));
  EXPECT_THAT(*faces[0].confidence, DoubleNear(0.5, 1e-9));
  EXPECT_THAT(faces[0].box.center().x, DoubleNear(43, 1e-9));
  EXPECT_THAT(faces[0].box.center().y, DoubleNear(20, 1e-9));
  EXPECT_THAT(faces[0].box.w, DoubleNear(20, 1e-9));
  EXPECT_THAT(faces[0].box.h, DoubleNear(30, 1e-9));
  EXPECT_THAT((*faces[0].key_points)[kRightEye].x, DoubleNear(41, 1e-9));
  EXPECT_THAT((*faces[0].key_points)[kRightEye].y, DoubleNear(26, 1e-9));

  Outputs coarse(kCoarseLayer);
  coarse.Put(8 * 8 * 6 - 1, 5, {0, 0, 60, 60});
  ASSERT_THAT(coarse.Faces(), SizeIs(1));
  EXPECT_THAT(coarse.Faces()[0].box.center().x, DoubleNear(240, 1e-9));
}

TEST(BlazeFaceDecoder, LeavesOutTheUnsureAndTheImpossible) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  Outputs outputs(kFineLayer);
  outputs.Put(0, -0.1F, {0, 0, 20, 20});
  outputs.Put(1, nan, {0, 0, 20, 20});
  outputs.Put(2, 9, {0, 0, nan, 20});
  outputs.Put(3, 9, {0, 0, 20, 20, infinite});
  outputs.Put(4, 9, {0, 0, -20, 20});
  outputs.Put(5, 9, {0, 0, 20, 0});
  EXPECT_THAT(outputs.Faces(), IsEmpty());
  outputs.Put(6, 3e38F, {0, 0, 20, 20});
  EXPECT_THAT(outputs.Faces(), SizeIs(1));
}

Face FaceAt(double x, double confidence) {
  Face face;
  face.box = {x, 0, 100, 100};
  face.confidence = confidence;
  face.key_points.emplace();
  (*face.key_points)[kNoseTip] = {x + 50, 50};
  return face;
}

TEST(BlazeFaceDecoder, JoinsBoxesOfOneFaceByTheirConfidence) {
  const std::vector<Face> joined = Join({FaceAt(20, 0.25), FaceAt(0, 0.75), FaceAt(300, 0.9)}, 0.3);
  ASSERT_THAT(joined, SizeIs(2));
  EXPECT_EQ(joined[0].box.x, 300);
  EXPECT_THAT(joined[1].box.x, DoubleNear(5, 1e-9));
  EXPECT_THAT((*joined[1].key_points)[kNoseTip].x, DoubleNear(55, 1e-9));
  EXPECT_EQ(*joined[1].confidence, 0.75);
}

TEST(BlazeFaceDecoder, KeepsNeighboursApart) {
  EXPECT_THAT(Join({FaceAt(0, 0.9), FaceAt(70, 0.8)}, 0.3), SizeIs(2));
}

}  // namespace
}  // namespace arc::vision_bridge::blazeface
