// The real photographs that the vision bridge is tried with, and where the faces in them are. From Debian's
// opencv-doc and python3-skimage, which scripts/setup installs.
#ifndef ARC_SERVICES_VISION_BRIDGE_TEST_PICTURES_H_
#define ARC_SERVICES_VISION_BRIDGE_TEST_PICTURES_H_

#include <string>
#include <vector>

#include "services/vision_bridge/clip.h"
#include "services/vision_bridge/face.h"

namespace arc::vision_bridge {

inline constexpr char kModelFile[] = ARC_SOURCE_DIR "/services/vision_bridge/model/blazeface_256.onnx";
inline constexpr char kCascadeFile[] = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml";
inline constexpr char kPedestrians[] = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

// A face, by hand: from the brows to the chin.
struct Photograph {
  std::string file;
  Box face;
};

inline std::string OpenCvPicture(const std::string& name) {
  return "/usr/share/doc/opencv-doc/examples/data/" + name;
}

inline std::vector<Photograph> Photographs() {
  return {{kDemoPhoto, {174, 74, 102, 102}},
          {OpenCvPicture("messi5.jpg"), {220, 95, 38, 38}},
          {OpenCvPicture("basketball1.png"), {73, 98, 30, 32}},
          {OpenCvPicture("basketball2.png"), {71, 98, 30, 32}}};
}

// Without any human face.
inline std::vector<std::string> PicturesWithoutFaces() {
  std::vector<std::string> files;
  for (const char* name :
       {"fruits.jpg", "home.jpg", "building.jpg", "board.jpg", "butterfly.jpg", "aero1.jpg", "smarties.png",
        "squirrel_cls.jpg", "graf1.png", "aloeL.jpg", "stuff.jpg", "sudoku.png"}) {
    files.push_back(OpenCvPicture(name));
  }
  return files;
}

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_TEST_PICTURES_H_
