// Turns the four outputs of BlazeFace 256 into faces. Pure functions, thread-safe.
//
// Outputs: for the 16x16 cells of two anchors and the 8x8 cells of six, a score before the sigmoid, and 16
// values in pixels of the network's input: box centre relative to the cell's, width and height, and six key
// points relative to the cell's centre.
#ifndef ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_DECODER_H_
#define ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_DECODER_H_

#include <vector>

#include "absl/types/span.h"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge::blazeface {

inline constexpr int kInputSize = 256;
inline constexpr int kValuesPerBox = 16;

struct Layer {
  int cells = 0;    // in a row, and rows
  int anchors = 0;  // in a cell
  constexpr int count() const { return cells * cells * anchors; }
};
inline constexpr Layer kFineLayer{16, 2};
inline constexpr Layer kCoarseLayer{8, 6};

// Adds the faces of one layer whose confidence is at least `least`, in pixels of the network's input.
// `scores` has count() values and `boxes` kValuesPerBox times as many. Values that are no numbers are passed
// over.
void Decode(const Layer& layer, absl::Span<const float> scores, absl::Span<const float> boxes, double least,
            std::vector<Face>& faces);

// Joins boxes of one face (those that overlap the best one by `overlap` or more) into their mean, weighted
// by confidence. Best first.
std::vector<Face> Join(std::vector<Face> faces, double overlap);

}  // namespace arc::vision_bridge::blazeface

#endif  // ARC_SERVICES_VISION_BRIDGE_BLAZEFACE_DECODER_H_
