// arc-vision-bridge: reads a camera, stream, film or pictures, writes kiosk.vision.person_detected,
// person_left and gaze_detected. With --dry_run it prints them instead, and needs no bus.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "common/agent/agent.h"
#include "common/agent/flags.h"
#include "common/status/status_macros.h"
#include "opencv2/core/utility.hpp"
#include "services/vision_bridge/publisher.h"
#include "services/vision_bridge/service.h"
#include "services/vision_bridge/settings.h"

ABSL_DECLARE_FLAG(bool, help);
ABSL_DECLARE_FLAG(bool, version);
ABSL_DECLARE_FLAG(bool, probe);
ABSL_FLAG(std::string, source, "0",
          "camera (0 or /dev/video0), rtsp:// or http:// address, film, folder or pattern of pictures");
ABSL_FLAG(std::string, engine, "blazeface", "what finds faces: blazeface or haar");
ABSL_FLAG(std::string, model, "", "BlazeFace 256 as ONNX; empty: the one that the build put beside bin/");
ABSL_FLAG(std::string, cascade, "", "cascade of the engine haar; empty: opencv-data's frontalface_alt2");
ABSL_FLAG(double, least_confidence, 0.5, "from which blazeface's box goes on with a face, 0 to 1");
ABSL_FLAG(double, new_confidence, 0.7, "from which blazeface's box is a new face; --least_confidence to 1");
ABSL_FLAG(double, fps, 8, "frames looked at a second");
ABSL_FLAG(std::string, camera_size, "640x480", "frame size asked of a camera");
ABSL_FLAG(double, sequence_fps, 8, "pictures a second of a folder or pattern of pictures");
ABSL_FLAG(absl::Duration, hold, absl::ZeroDuration(), "for how long the last single picture is shown");
ABSL_FLAG(std::string, speed, "", "of a film: real or max; default: real on the bus, max with --dry_run");
ABSL_FLAG(bool, loop, false, "a film begins again when it ends");
ABSL_FLAG(std::string, zone, "0.05,0,0.9,1", "where faces count: X,Y,W,H in shares of the frame");
ABSL_FLAG(double, least_face, 0.12,
          "least height of a face at close range, as a share of the frame's height");
ABSL_FLAG(int, enter_frames, 6, "frames in which somebody must be near to be present");
ABSL_FLAG(double, most_speed, 1.5,
          "of somebody who stays, in widths of the face a second; who is faster walks by");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(2), "unseen for longer: gone");
ABSL_FLAG(absl::Duration, still_after, absl::Seconds(60),
          "a face quite still for so long is a picture on a wall");
ABSL_FLAG(double, gaze_yaw, 20, "degrees to the side within which a head looks at the screen");
ABSL_FLAG(double, gaze_pitch, 20, "degrees up or down within which a head looks at the screen");
ABSL_FLAG(std::string, gaze_calibration, "", "file of samples for gaze_point; empty: gaze_point is null");
ABSL_FLAG(std::string, calibrate_at, "",
          "X,Y: somebody looks at this point of the screen; adds a sample to --gaze_calibration and ends");
ABSL_FLAG(std::string, screen, "1080x1920", "size of the screen in pixels, for a new --gaze_calibration");
ABSL_FLAG(std::string, debug_dir, "",
          "folder for frames with boxes, tracks and gaze drawn in; empty: no frame is ever written");
ABSL_FLAG(bool, dry_run, false,
          "print the events of a film or of pictures as JSON lines and end; needs no NATS");

namespace {

using arc::vision_bridge::Settings;

absl::StatusOr<Settings> SettingsFromFlags() {
  using absl::GetFlag;
  Settings settings;
  settings.source.word = GetFlag(FLAGS_source);
  settings.source.sequence_fps = GetFlag(FLAGS_sequence_fps);
  settings.source.hold = GetFlag(FLAGS_hold);
  ASSIGN_OR_RETURN(settings.source.camera_size, arc::vision_bridge::ParseSize(GetFlag(FLAGS_camera_size)));
  settings.engine = GetFlag(FLAGS_engine);
  settings.model = GetFlag(FLAGS_model);
  settings.cascade = GetFlag(FLAGS_cascade);
  settings.least_confidence = GetFlag(FLAGS_least_confidence);
  settings.gaze_calibration = GetFlag(FLAGS_gaze_calibration);
  ASSIGN_OR_RETURN(settings.presence.zone, arc::vision_bridge::ParseZone(GetFlag(FLAGS_zone)));
  settings.presence.least_size = GetFlag(FLAGS_least_face);
  settings.presence.enter_frames = GetFlag(FLAGS_enter_frames);
  settings.presence.most_speed = GetFlag(FLAGS_most_speed);
  settings.presence.least_new_confidence = GetFlag(FLAGS_new_confidence);
  settings.presence.grace = GetFlag(FLAGS_grace);
  settings.presence.still_after = GetFlag(FLAGS_still_after);
  settings.presence.gaze.most_yaw = GetFlag(FLAGS_gaze_yaw);
  settings.presence.gaze.most_pitch = GetFlag(FLAGS_gaze_pitch);
  settings.bridge.fps = GetFlag(FLAGS_fps);
  settings.bridge.loop = GetFlag(FLAGS_loop);
  settings.bridge.debug_dir = GetFlag(FLAGS_debug_dir);
  const std::string speed = GetFlag(FLAGS_speed);
  if (!speed.empty() && speed != "real" && speed != "max") {
    return absl::InvalidArgumentError("--speed: must be real or max");
  }
  settings.bridge.real_time = speed.empty() ? !GetFlag(FLAGS_dry_run) : speed == "real";
  RETURN_IF_ERROR(arc::vision_bridge::Check(settings));
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  using arc::vision_bridge::VisionEvent;

  // A camera that gives nothing for longer is taken to be gone.
  setenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "3", 0);
  // A stream is looked at as it comes, not after five seconds of it.
  setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|analyzeduration;1000000", 0);
  setenv("OPENCV_LOG_LEVEL", "ERROR", 0);
  setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);  // it would write among the events of --dry_run
  // Eight small pictures a second are one thread's work.
  cv::setNumThreads(1);
  const auto rest = arc::ParseFlags(std::vector<std::string>(argv + 1, argv + argc));
  const bool understood = rest.ok() && rest->empty() && !absl::GetFlag(FLAGS_help) &&
                          !absl::GetFlag(FLAGS_version) && !absl::GetFlag(FLAGS_probe);
  const absl::StatusOr<Settings> settings = SettingsFromFlags();
  if (understood && !settings.ok()) {
    std::cerr << "arc-vision-bridge: " << settings.status().message() << "\n";
    return 2;
  }
  // What needs no bus.
  if (understood && absl::GetFlag(FLAGS_dry_run)) return DryRun(*settings, std::cout, std::cerr);
  if (understood && !absl::GetFlag(FLAGS_calibrate_at).empty()) {
    return Calibrate(*settings, absl::GetFlag(FLAGS_calibrate_at), absl::GetFlag(FLAGS_screen), std::cout,
                     std::cerr);
  }

  arc::Agent agent({"vision_bridge", "arc-vision-bridge", "Who stands at the kiosk, from a camera"}, argc,
                   argv);
  arc::vision_bridge::Publisher publisher(agent.bus(), agent.kiosk_id(), agent.scoped(), &agent.metrics());
  arc::vision_bridge::Service service(
      *settings, agent.clock(), agent.metrics(), [&](const VisionEvent& event) { publisher.Publish(event); },
      [&agent](absl::string_view error_type, absl::string_view message, absl::string_view severity,
               absl::string_view action) { agent.ReportError(error_type, message, severity, action); });
  agent.OnStart([&] { return service.Start(); });
  agent.HealthCheck("camera", [&] { return service.Health(); });
  agent.SetMetadata("engine", settings->engine);
  agent.SetMetadata("source", arc::vision_bridge::WithoutPassword(settings->source.word));
  agent.http().Handle("GET", "/vision", [&](const arc::HttpRequest&) {
    arc::HttpResponse response;
    response.content_type = "application/json";
    response.body = service.StateJson();
    return response;
  });
  agent.OnDrain([&] {
    service.Stop();
    publisher.Flush(absl::Seconds(2));
  });
  return agent.Run();
}
