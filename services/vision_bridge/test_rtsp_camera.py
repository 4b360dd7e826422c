#!/usr/bin/python3
"""A camera on the network for tests: serves the pictures FOLDER/0.jpg, 1.jpg ... over and over as RTSP.

Usage: test_rtsp_camera.py FOLDER PORT READY_FILE

PORT 0 takes a free one. READY_FILE then holds the port. Ends with SIGTERM. Runs on Debian's own Python, which
has GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0).
"""

import os
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

FRAMES_A_SECOND = 20


def main():
    folder, port, ready_file = sys.argv[1:]
    count = sum(name.endswith(".jpg") for name in os.listdir(folder))
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(
        f"( multifilesrc location={folder}/%d.jpg start-index=0 stop-index={count - 1} loop=true"
        f" caps=image/jpeg,width=640,height=480,framerate={FRAMES_A_SECOND}/1"
        " ! identity sync=true ! rtpjpegpay name=pay0 pt=26 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit(f"port {port} is taken")
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    with open(ready_file + ".new", "w", encoding="utf-8") as file:
        file.write(str(server.get_bound_port()))
    os.replace(ready_file + ".new", ready_file)
    loop.run()


if __name__ == "__main__":
    main()
