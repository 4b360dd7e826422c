// arc-vision-clip FILE.avi: writes a film in which two people visit the kiosk, for trying the vision bridge
// where there is no camera.
#include <iostream>
#include <string>

#include "services/vision_bridge/clip.h"

int main(int argc, char** argv) {
  const std::string file = argc == 2 ? argv[1] : "--help";
  if (file == "--help" || file[0] == '-') {
    std::cout
        << "Usage: arc-vision-clip FILE.avi\n\n"
           "Writes a film of 25 s: somebody walks up to the kiosk, is joined by a second person, both look\n"
           "away and leave. For arc-vision-bridge --source FILE.avi\n";
    return argc == 2 && file == "--help" ? 0 : 2;
  }
  const auto maker = arc::vision_bridge::ClipMaker::Create();
  const absl::Status written =
      maker.ok() ? maker->Write(arc::vision_bridge::VisitScript(), file) : maker.status();
  if (!written.ok()) {
    std::cerr << "arc-vision-clip: " << written.message() << "\n";
    return 1;
  }
  return 0;
}
