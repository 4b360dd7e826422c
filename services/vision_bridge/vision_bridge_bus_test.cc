// The agent's binary on a real nats-server, with films that the test makes and cameras that speak HTTP and
// RTSP.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bus/nats_bus.h"
#include "common/envelope/envelope.h"
#include "common/health/health.h"
#include "common/json/json.h"
#include "common/messages/system.h"
#include "common/messages/vision.h"
#include "common/status/status_matchers.h"
#include "common/subjects/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "services/vision_bridge/test_pictures.h"
#include "tests/support/await.h"
#include "tests/support/bus_test.h"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::Await;
using testing_support::Process;
using testing_support::Signal;

constexpr absl::Duration kPatience = absl::Seconds(60);

// One person who walks up, stays and goes.
Script OneVisit(double from, double to, double seconds) {
  Script script;
  script.seconds = seconds;
  script.fps = 10;
  script.actors = {{{{from, 0.5, 0.45, 0.3, 0}, {to, 0.5, 0.45, 0.3, 0}}, false}};
  return script;
}

// Two seconds of a camera's pictures, as JPEG files in memory: of somebody who stands before it, or of
// nobody.
std::vector<std::string> CameraPictures(bool occupied) {
  std::vector<std::string> pictures;
  const auto maker = ClipMaker::Create();
  EXPECT_THAT(maker, IsOk());
  if (!maker.ok()) return pictures;
  const Script script = occupied ? OneVisit(0, 10, 10) : OneVisit(20, 30, 10);
  for (int i = 0; i < 16; ++i) {
    std::vector<uchar> bytes;
    EXPECT_TRUE(cv::imencode(".jpg", maker->Draw(script, i / 8.0), bytes));
    pictures.emplace_back(bytes.begin(), bytes.end());
  }
  return pictures;
}

// A camera on the network: JPEG after JPEG over HTTP. Somebody stands before it or not.
class HttpCamera {
 public:
  ~HttpCamera() { Unplug(); }

  // On the port that it had before, if it had one.
  void Plug() {
    server_ = std::make_unique<httplib::Server>();
    ended_ = false;
    server_->Get("/live", [this](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider(
          "multipart/x-mixed-replace; boundary=frame", [this](size_t, httplib::DataSink& sink) {
            std::unique_lock<std::mutex> lock(mutex_);
            if (changed_.wait_for(lock, std::chrono::milliseconds(50), [this] { return ended_; }))
              return false;
            const auto& pictures = occupied_ ? somebody_ : nobody_;
            if (pictures.empty()) return false;
            const std::string& jpeg = pictures[sent_++ % pictures.size()];
            lock.unlock();
            const std::string part =
                absl::StrCat("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ", jpeg.size(),
                             "\r\n\r\n", jpeg, "\r\n");
            return sink.write(part.data(), part.size());
          });
    });
    if (port_ == 0) {
      port_ = server_->bind_to_any_port("127.0.0.1");
    } else {
      ASSERT_TRUE(server_->bind_to_port("127.0.0.1", port_));
    }
    thread_ = std::thread([this] { server_->listen_after_bind(); });
  }
  void Unplug() {
    if (server_ == nullptr) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    server_->stop();
    thread_.join();
    server_.reset();
  }
  void Occupy(bool occupied) {
    std::lock_guard<std::mutex> lock(mutex_);
    occupied_ = occupied;
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/live"); }

 private:
  const std::vector<std::string> somebody_ = CameraPictures(true);
  const std::vector<std::string> nobody_ = CameraPictures(false);
  int port_ = 0;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  bool occupied_ = false;
  size_t sent_ = 0;
};

// A camera on the network: RTSP and JPEG over RTP, by GStreamer. Somebody stands before it.
class RtspCamera {
 public:
  RtspCamera() {
    const std::vector<std::string> pictures = CameraPictures(true);
    for (size_t i = 0; i < pictures.size(); ++i) {
      std::ofstream(folder_.File(absl::StrCat(i, ".jpg")), std::ios::binary) << pictures[i];
    }
  }
  // On the port that it had before, if it had one.
  void Plug() {
    const std::string ready = folder_.File("ready");
    std::remove(ready.c_str());
    auto process = Process::Start(
        {ARC_SOURCE_DIR "/services/vision_bridge/test_rtsp_camera.py", folder_.path(), port_, ready});
    ASSERT_THAT(process, IsOk());
    process_ = *std::move(process);
    ASSERT_TRUE(process_->AwaitFile(ready, kPatience));
    port_ = testing_support::ReadFile(ready);
  }
  void Unplug() { process_.reset(); }
  // Its connection stays, and no picture comes.
  void Freeze() { process_->Send(SIGSTOP); }
  std::string url() const { return absl::StrCat("rtsp://127.0.0.1:", port_, "/live"); }

 private:
  testing_support::TempDir folder_;
  std::string port_ = "0";
  std::unique_ptr<Process> process_;
};

struct Ready {
  std::string grpc;
  std::string http_url;
  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("grpc", s.grpc);
    v.Required("http_url", s.http_url);
  }
};

class VisionBridgeBusTest : public testing_support::BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (HasFatalFailure()) return;
    for (const char* subject : {"kiosk.vision.>", "system.service.error"}) {
      auto subscription = bus_->Subscribe(subject, "", [this](const bus::Message& message) {
        signal_.Set([&] { seen_.push_back(message); });
      });
      ASSERT_THAT(subscription, IsOk());
      subscriptions_.push_back(*std::move(subscription));
    }
  }
  void TearDown() override {
    if (agent_ == nullptr) return;
    agent_->Send(SIGTERM);
    EXPECT_EQ(agent_->WaitExit(kPatience), 0) << agent_->Stderr();
  }

  void Start(const std::vector<std::string>& flags) {
    const std::string ready = folder_.File("ready");
    std::vector<std::string> argv = {absl::StrCat(ARC_BIN_DIR, "/arc-vision-bridge"),
                                     "--nats_url=" + server_.url(), "--ready_file=" + ready};
    argv.insert(argv.end(), flags.begin(), flags.end());
    auto process = Process::Start(argv);
    ASSERT_THAT(process, IsOk());
    agent_ = *std::move(process);
    ASSERT_TRUE(agent_->AwaitFile(ready, kPatience));
    const auto decoded = json::Decode<Ready>(testing_support::ReadFile(ready));
    ASSERT_THAT(decoded, IsOk());
    ready_ = *decoded;
  }
  absl::Status Health() const { return ProbeHealth(ready_.grpc, "", absl::Seconds(2)); }
  std::string Get(const std::string& path) const {
    httplib::Client client(ready_.http_url);
    const auto response = client.Get(path);
    return response ? response->body : "";
  }
  std::string Film(const Script& script) {
    std::string file = folder_.File("film.avi");
    const auto maker = ClipMaker::Create();
    EXPECT_THAT(maker, IsOk());
    if (maker.ok()) {
      EXPECT_THAT(maker->Write(script, file), IsOk());
    }
    return file;
  }
  // How many messages of this subject came.
  int Count(absl::string_view subject) {
    int count = 0;
    signal_.Read([&] {
      count = static_cast<int>(std::count_if(seen_.begin(), seen_.end(), [&](const bus::Message& message) {
        return message.subject == subject;
      }));
    });
    return count;
  }

  std::unique_ptr<Process> agent_;
  Ready ready_;
  Signal signal_;
  std::vector<bus::Message> seen_;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;  // ends first: writes to what is above
};

TEST_F(VisionBridgeBusTest, AFilmsEventsAreInTheStream) {
  Start({"--source=" + Film(OneVisit(1, 5, 8)), "--speed=max"});
  ASSERT_TRUE(Await("the end of the visit", kPatience, [&] { return Count(subjects::kPersonLeft) == 1; }));
  EXPECT_EQ(Count(subjects::kPersonDetected), 1);
  EXPECT_EQ(Count(subjects::kGazeDetected), 2);
  uint64_t next = 1;
  absl::Time detected_at;
  for (const absl::string_view subject :
       {subjects::kPersonDetected, subjects::kGazeDetected, subjects::kGazeDetected, subjects::kPersonLeft}) {
    const auto stored = bus_->NextStored(subjects::kEventsStream, "kiosk.vision.>", next);
    ASSERT_THAT(stored, IsOk());
    EXPECT_EQ(stored->message.subject, subject);
    EXPECT_TRUE(stored->message.headers.Has(subjects::kMsgIdHeader));
    next = stored->sequence + 1;
    const auto message = ParseMessage(stored->message.body, absl::Now());
    ASSERT_THAT(message, IsOk());
    const absl::Time at = *ParseTimestamp(message->envelope.timestamp);
    if (subject == subjects::kPersonDetected) detected_at = at;
    // The film's time, though it was read as fast as it goes.
    if (subject == subjects::kPersonLeft) {
      EXPECT_NEAR(absl::ToDoubleSeconds(at - detected_at), 5.4, 0.5);
      EXPECT_NEAR(DecodePayload<messages::PersonLeft>(*message)->duration_seconds, 4, 0.3);
    }
  }
  ASSERT_TRUE(Await("SERVING", kPatience, [&] { return Health().ok(); }));
  ASSERT_TRUE(Await("the end of the film", kPatience,
                    [&] { return absl::StrContains(Get("/vision"), R"("state":"ended")"); }));
  EXPECT_THAT(Get("/metrics"),
              HasSubstr(R"(kiosk_vision_events_total{agent="vision_bridge",event="person_left"} 1)"));
}

TEST_F(VisionBridgeBusTest, WithoutACameraItIsNotServingAndSaysWhy) {
  Start({"--source=/dev/video97"});
  ASSERT_TRUE(Await("the report", kPatience, [&] { return Count(subjects::kServiceError) >= 1; }));
  EXPECT_THAT(Health(), testing::Not(IsOk()));
  ASSERT_TRUE(Await("the reason", kPatience,
                    [&] { return absl::StrContains(Get("/healthz"), "there is no camera /dev/video97"); }));
  signal_.Read(
      [&] { EXPECT_THAT(seen_[0].body, testing::AllOf(HasSubstr("camera_lost"), HasSubstr("critical"))); });
  EXPECT_EQ(Count(subjects::kPersonDetected), 0);
}

TEST_F(VisionBridgeBusTest, WithoutAModelItIsNotServingAndSaysWhy) {
  Start({"--source=" + Film(OneVisit(1, 2, 3)), "--model=" + folder_.File("none.onnx")});
  ASSERT_TRUE(
      Await("the reason", kPatience, [&] { return absl::StrContains(Get("/healthz"), "scripts/setup"); }));
  EXPECT_THAT(Health(), testing::Not(IsOk()));
}

TEST_F(VisionBridgeBusTest, ACameraThatIsUnpluggedComesBack) {
  HttpCamera camera;
  camera.Plug();
  camera.Occupy(true);
  Start({"--source=" + camera.url()});
  ASSERT_TRUE(Await("SERVING", kPatience, [&] { return Health().ok(); }));
  ASSERT_TRUE(Await("somebody", kPatience, [&] { return Count(subjects::kPersonDetected) == 1; }));
  camera.Unplug();
  ASSERT_TRUE(Await("NOT_SERVING", kPatience, [&] { return !Health().ok(); }));
  ASSERT_TRUE(Await("that nobody is seen", kPatience, [&] { return Count(subjects::kPersonLeft) == 1; }));
  EXPECT_EQ(Count(subjects::kServiceError), 1);
  camera.Occupy(false);
  camera.Plug();
  ASSERT_TRUE(Await("SERVING again", kPatience, [&] { return Health().ok(); }));
  EXPECT_EQ(Count(subjects::kPersonDetected), 1);
  camera.Occupy(true);
  ASSERT_TRUE(Await("somebody again", kPatience, [&] { return Count(subjects::kPersonDetected) == 2; }));
  EXPECT_THAT(Get("/vision"), HasSubstr(R"("reconnects":1)"));
}

TEST_F(VisionBridgeBusTest, AnRtspCameraThatFreezesOrIsUnpluggedComesBack) {
  RtspCamera camera;
  camera.Plug();
  Start({"--source=" + camera.url()});
  ASSERT_TRUE(Await("SERVING", kPatience, [&] { return Health().ok(); }));
  ASSERT_TRUE(Await("somebody", kPatience, [&] { return Count(subjects::kPersonDetected) == 1; }));
  camera.Freeze();
  ASSERT_TRUE(Await("NOT_SERVING", kPatience, [&] { return !Health().ok(); }));
  ASSERT_TRUE(Await("that nobody is seen", kPatience, [&] { return Count(subjects::kPersonLeft) == 1; }));
  // When the reader has given up, which waits for the network longer than the agent's health does.
  ASSERT_TRUE(Await("the report", kPatience, [&] { return Count(subjects::kServiceError) == 1; }));
  camera.Unplug();
  camera.Plug();
  ASSERT_TRUE(Await("SERVING again", kPatience, [&] { return Health().ok(); }));
  ASSERT_TRUE(Await("somebody again", kPatience, [&] { return Count(subjects::kPersonDetected) == 2; }));
}

TEST_F(VisionBridgeBusTest, NoEventIsLostWhileTheServerIsAway) {
  HttpCamera camera;
  camera.Plug();
  Start({"--source=" + camera.url()});
  ASSERT_TRUE(Await("SERVING", kPatience, [&] { return Health().ok(); }));
  server_.Kill();
  camera.Occupy(true);
  ASSERT_TRUE(Await("somebody to be seen", kPatience,
                    [&] { return absl::StrContains(Get("/vision"), R"("party_size":1)"); }));
  server_.Restart();
  ASSERT_TRUE(Await("the event", kPatience, [&] {
    const auto stored = bus_->NextStored(subjects::kEventsStream, subjects::kPersonDetected, 1);
    return stored.ok();
  }));
}

TEST_F(VisionBridgeBusTest, WrongFlagsAreRefused) {
  for (const char* flag : {"--engine=magic", "--zone=9", "--fps=0", "--speed=warp", "--no_such"}) {
    const auto ended = testing_support::RunProgram({absl::StrCat(ARC_BIN_DIR, "/arc-vision-bridge"), flag});
    EXPECT_EQ(ended.status, 2) << flag;
    EXPECT_THAT(ended.err, testing::Not(IsEmpty())) << flag;
  }
}

}  // namespace
}  // namespace arc::vision_bridge
