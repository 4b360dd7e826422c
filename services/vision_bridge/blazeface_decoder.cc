#include "services/vision_bridge/blazeface_decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace arc::vision_bridge::blazeface {
namespace {

// Beyond this the sigmoid is 0 or 1 in single precision.
constexpr float kScoreLimit = 80;

// The mean of `faces`, weighted by confidence; the confidence is the best one's.
Face WeightedMean(const std::vector<Face>& faces) {
  Face mean;
  mean.confidence = faces.front().confidence;
  mean.key_points.emplace();
  double sum = 0;
  for (const Face& face : faces) sum += *face.confidence;
  for (const Face& face : faces) {
    const double share = *face.confidence / sum;
    mean.box.x += share * face.box.x;
    mean.box.y += share * face.box.y;
    mean.box.w += share * face.box.w;
    mean.box.h += share * face.box.h;
    for (int i = 0; i < kKeyPointCount; ++i) {
      (*mean.key_points)[i].x += share * (*face.key_points)[i].x;
      (*mean.key_points)[i].y += share * (*face.key_points)[i].y;
    }
  }
  return mean;
}

}  // namespace

void Decode(const Layer& layer, absl::Span<const float> scores, absl::Span<const float> boxes, double least,
            std::vector<Face>& faces) {
  for (int i = 0; i < layer.count(); ++i) {
    if (!std::isfinite(scores[i])) continue;
    const double confidence = 1 / (1 + std::exp(-std::clamp(scores[i], -kScoreLimit, kScoreLimit)));
    if (confidence < least) continue;
    const absl::Span<const float> values =
        boxes.subspan(static_cast<size_t>(i) * kValuesPerBox, kValuesPerBox);
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      continue;
    if (values[2] <= 0 || values[3] <= 0) continue;
    const int cell = i / layer.anchors;
    const double stride = static_cast<double>(kInputSize) / layer.cells;
    const int column = cell % layer.cells;
    const int row = cell / layer.cells;
    const double anchor_x = (column + 0.5) * stride;
    const double anchor_y = (row + 0.5) * stride;
    Face face;
    face.confidence = confidence;
    face.box.w = values[2];
    face.box.h = values[3];
    face.box.x = anchor_x + values[0] - face.box.w / 2;
    face.box.y = anchor_y + values[1] - face.box.h / 2;
    face.key_points.emplace();
    for (int k = 0; k < kKeyPointCount; ++k) {
      (*face.key_points)[k] = {anchor_x + values[4 + 2 * k], anchor_y + values[5 + 2 * k]};
    }
    faces.push_back(face);
  }
}

std::vector<Face> Join(std::vector<Face> faces, double overlap) {
  std::stable_sort(faces.begin(), faces.end(),
                   [](const Face& a, const Face& b) { return *a.confidence > *b.confidence; });
  std::vector<Face> joined;
  while (!faces.empty()) {
    const Box best = faces.front().box;
    std::vector<Face> same;
    std::vector<Face> others;
    for (const Face& face : faces) {
      (Overlap(face.box, best) >= overlap ? same : others).push_back(face);
    }
    // The best one overlaps itself, but for a box without an area.
    if (same.empty()) {
      same.push_back(others.front());
      others.erase(others.begin());
    }
    joined.push_back(WeightedMean(same));
    faces = std::move(others);
  }
  return joined;
}

}  // namespace arc::vision_bridge::blazeface
