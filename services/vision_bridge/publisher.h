// Puts events into their stream, in order, each until the stream confirms it.
#ifndef ARC_SERVICES_VISION_BRIDGE_PUBLISHER_H_
#define ARC_SERVICES_VISION_BRIDGE_PUBLISHER_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/metrics/metrics.h"
#include "services/vision_bridge/presence.h"

namespace arc::vision_bridge {

// The event's subject, without a kiosk's suffix, and its payload as JSON.
std::string SubjectOf(const VisionEvent& event);
std::string PayloadOf(const VisionEvent& event);

// Thread-safe. Destroying it drops what is not stored yet.
class Publisher {
 public:
  // Events wait for the bus up to this many; then the oldest is dropped, and counted.
  static constexpr size_t kMostWaiting = 256;

  // `kiosk_id` is empty for the default kiosk; with `scoped` it ends the subjects.
  Publisher(bus::Bus& bus, std::string kiosk_id, bool scoped, Metrics* metrics);
  ~Publisher();

  // Does not block.
  void Publish(const VisionEvent& event);
  // Waits until everything is stored; false when `limit` is over before.
  bool Flush(absl::Duration limit);

 private:
  struct Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace arc::vision_bridge

#endif  // ARC_SERVICES_VISION_BRIDGE_PUBLISHER_H_
