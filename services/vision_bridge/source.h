// Where pictures come from: a camera, an address, a film, or files of single pictures, all by one word.
//
//   0, 1, /dev/video0            a camera
//   rtsp://…, http://…           a stream from elsewhere
//   lobby.avi                    a film
//   photo.png, frames/, f_%04d.png, frames/*.jpg   pictures in the order of their names
#ifndef ARC_SERVICES_VISION_BRIDGE_SOURCE_H_
#define ARC_SERVICES_VISION_BRIDGE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "opencv2/core/mat.hpp"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

// Not thread-safe: one thread at a time.
class Source {
 public:
  struct Picture {
    cv::Mat pixels;  // 8 bits, blue-green-red; may share memory with the source until the next Read()
    absl::Duration position;  // since the first picture; of a live source not used
  };

  virtual ~Source() = default;
  // Whether pictures come when they are made, not when they are asked for.
  virtual bool live() const = 0;
  // The next picture whose position is at least `from`; blocks until it is there. OutOfRange: the regular
  // end. DataLoss: it ended early, or holds nothing that can be read. Unavailable: the camera or stream is
  // gone.
  virtual absl::StatusOr<Picture> Read(absl::Duration from) = 0;
  // What a person should know about it, such as an assumed frame rate; empty: nothing.
  virtual std::string remark() const { return ""; }
};

enum class SourceKind { kCamera, kStream, kFilm, kPictures };
SourceKind KindOf(absl::string_view word);

struct SourceOptions {
  std::string word;
  double sequence_fps = 8;                     // pictures a second of single files
  absl::Duration hold = absl::ZeroDuration();  // shows the last single picture for so long
  Size camera_size = {640, 480};               // asked of a camera; it may give another
};

// Opens it. NotFound: there is no such camera or file. DataLoss: a file that cannot be read as what it should
// be. Unavailable: it is there, but gives nothing.
absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceOptions& options);

// The password of an address taken out, for logs.
std::string WithoutPassword(absl::string_view word);

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_SOURCE_H_
