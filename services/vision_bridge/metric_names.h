// The names of the vision bridge's own metrics, once. Each carries agent="vision_bridge".
#ifndef ARC_SERVICES_VISION_BRIDGE_METRIC_NAMES_H_
#define ARC_SERVICES_VISION_BRIDGE_METRIC_NAMES_H_

namespace arc::vision_bridge::metric_names {

inline constexpr char kFrames[] = "kiosk_vision_frames_total";           // counter: outcome
inline constexpr char kPassedOver[] = "kiosk_vision_passed_over_total";  // counter
inline constexpr char kFrameMs[] = "kiosk_vision_frame_ms";              // histogram: engine
inline constexpr char kEvents[] = "kiosk_vision_events_total";           // counter: event
inline constexpr char kLostEvents[] = "kiosk_vision_lost_events_total";  // counter: event
inline constexpr char kReconnects[] = "kiosk_vision_reconnects_total";   // counter
inline constexpr char kPartySize[] = "kiosk_vision_party_size";          // gauge
inline constexpr char kWatching[] = "kiosk_vision_watching";             // gauge; 1 while pictures come

}  // namespace arc::vision_bridge::metric_names

#endif  // ARC_SERVICES_VISION_BRIDGE_METRIC_NAMES_H_
