#include "services/vision_bridge/source.h"

#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/videoio.hpp"
#include "tests/support/process.h"

namespace arc::vision_bridge {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class SourceTest : public testing::Test {
 protected:
  // A film whose pictures get brighter one by one.
  std::string MakeFilm(const std::string& name, int frames, double fps = 10, cv::Size size = {64, 48}) {
    std::string file = folder_.File(name);
    cv::VideoWriter writer;
    EXPECT_TRUE(
        writer.open(file, cv::CAP_OPENCV_MJPEG, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), fps, size));
    for (int i = 0; i < frames; ++i) writer.write(cv::Mat(size, CV_8UC3, cv::Scalar::all(10 + i)));
    return file;
  }
  std::string MakePicture(const std::string& name, int grey) {
    std::string file = folder_.File(name);
    EXPECT_TRUE(cv::imwrite(file, cv::Mat(48, 64, CV_8UC3, cv::Scalar::all(grey))));
    return file;
  }
  static absl::StatusOr<std::unique_ptr<Source>> Open(const std::string& word) {
    SourceOptions options;
    options.word = word;
    return OpenSource(options);
  }
  // Positions in milliseconds of all pictures; the end is in end_.
  std::vector<int64_t> ReadAll(Source& source, absl::Duration step = absl::ZeroDuration()) {
    std::vector<int64_t> positions;
    greys_.clear();
    absl::Duration from = absl::ZeroDuration();
    while (true) {
      const auto picture = source.Read(from);
      end_ = picture.status();
      if (!picture.ok()) return positions;
      EXPECT_EQ(picture->pixels.type(), CV_8UC3);
      positions.push_back(absl::ToInt64Milliseconds(picture->position + absl::Microseconds(500)));
      greys_.push_back(picture->pixels.at<cv::Vec3b>(0, 0)[0]);
      from = picture->position + step;
      if (positions.size() > 10000) return positions;
    }
  }

  testing_support::TempDir folder_;
  absl::Status end_;
  std::vector<int> greys_;
};

TEST_F(SourceTest, OneWordSaysWhatItIs) {
  EXPECT_EQ(KindOf("0"), SourceKind::kCamera);
  EXPECT_EQ(KindOf("/dev/video2"), SourceKind::kCamera);
  EXPECT_EQ(KindOf("rtsp://10.0.0.7/stream"), SourceKind::kStream);
  EXPECT_EQ(KindOf("http://10.0.0.7/a.mjpg"), SourceKind::kStream);
  EXPECT_EQ(KindOf("lobby.avi"), SourceKind::kFilm);
  EXPECT_EQ(KindOf("photo.PNG"), SourceKind::kPictures);
  EXPECT_EQ(KindOf("frames/*.jpg"), SourceKind::kPictures);
  EXPECT_EQ(KindOf("f_%04d.png"), SourceKind::kPictures);
  EXPECT_EQ(KindOf(folder_.path()), SourceKind::kPictures);
}

TEST_F(SourceTest, APasswordIsNotShown) {
  EXPECT_EQ(WithoutPassword("rtsp://admin:p@ss@10.0.0.7:554/live"), "rtsp://***@10.0.0.7:554/live");
  EXPECT_EQ(WithoutPassword("rtsp://adm:sE/cr3t@10.0.0.7/live"), "rtsp://***@10.0.0.7/live");
  EXPECT_EQ(WithoutPassword("rtsp://a:p@ss/w@rd@10.0.0.7/live"), "rtsp://***@10.0.0.7/live");
  EXPECT_EQ(WithoutPassword("rtsp:adm:sEcr3t@10.0.0.7/x"), "***@10.0.0.7/x");
  EXPECT_EQ(WithoutPassword("rtsp://10.0.0.7/user=admin&password=sEcr3t&channel=1"),
            "rtsp://10.0.0.7/user=***&password=***&channel=1");
  EXPECT_EQ(WithoutPassword("http://10.0.0.7/mjpg?PWD=x&res=640"), "http://10.0.0.7/mjpg?PWD=***&res=640");
  EXPECT_EQ(WithoutPassword("rtsp://10.0.0.7/monkey=1"), "rtsp://10.0.0.7/monkey=1");
  EXPECT_EQ(WithoutPassword("faces@2x.png"), "faces@2x.png");
  EXPECT_EQ(WithoutPassword("lobby.avi"), "lobby.avi");
}

TEST_F(SourceTest, WhatOnlyHasAPicturesNameIsRefused) {
  const std::string pipe = folder_.File("pipe.png");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(Open(pipe), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no file with a picture")));
  EXPECT_THAT(Open(folder_.File("*.png")), StatusIs(absl::StatusCode::kNotFound));
  MakePicture("50%off.png", 10);
  EXPECT_THAT(Open(folder_.File("50%off.png")), IsOk());
}

TEST_F(SourceTest, WhatIsNotThereIsSaid) {
  EXPECT_THAT(Open("/dev/video97"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no camera /dev/video97")));
  EXPECT_THAT(Open("97"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no camera /dev/video97")));
  EXPECT_THAT(Open("/dev/null"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot be opened")));
  EXPECT_THAT(Open(folder_.File("none.avi")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("there is no file")));
  EXPECT_THAT(Open(folder_.File("none.png")), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no picture")));
  EXPECT_THAT(Open(folder_.File("none_%03d.png")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Open(folder_.File("none/*.png")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Open(folder_.path()), StatusIs(absl::StatusCode::kNotFound));  // an empty folder
  EXPECT_THAT(Open("http://127.0.0.1:1/a"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot be opened")));
}

TEST_F(SourceTest, AFilmHasItsOwnTimes) {
  const auto film = Open(MakeFilm("film.avi", 12, 10));
  ASSERT_THAT(film, IsOk());
  EXPECT_FALSE((*film)->live());
  EXPECT_THAT(ReadAll(**film), ElementsAre(0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100));
  EXPECT_THAT(end_, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT((*film)->remark(), IsEmpty());
}

TEST_F(SourceTest, PicturesBetweenArePassedOver) {
  const auto film = Open(MakeFilm("film.avi", 12, 10));
  ASSERT_THAT(film, IsOk());
  EXPECT_THAT(ReadAll(**film, absl::Milliseconds(250)), ElementsAre(0, 300, 600, 900));
}

TEST_F(SourceTest, ATruncatedFilmIsReadAsFarAsItGoes) {
  const std::string whole = testing_support::ReadFile(MakeFilm("film.avi", 100, 10, {320, 240}));
  for (const double share : {0.6, 0.3}) {
    std::string file = folder_.File("half.avi");
    std::ofstream(file, std::ios::binary) << whole.substr(0, static_cast<size_t>(share * whole.size()));
    const auto film = Open(file);
    ASSERT_THAT(film, IsOk());
    const std::vector<int64_t> positions = ReadAll(**film);
    EXPECT_GT(positions.size(), 20U);
    EXPECT_LT(positions.size(), 80U);
    EXPECT_THAT(end_, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
  }
  const std::string file = folder_.File("head.avi");
  std::ofstream(file, std::ios::binary) << whole.substr(0, 100);
  const auto film = Open(file);
  if (film.ok()) {
    EXPECT_THAT(ReadAll(**film), IsEmpty());
    EXPECT_THAT(end_, StatusIs(absl::StatusCode::kDataLoss));
  } else {
    EXPECT_THAT(film, StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST_F(SourceTest, WhatIsNoFilmIsSaid) {
  const std::string file = folder_.File("text.avi");
  std::ofstream(file) << "no film at all\n";
  EXPECT_THAT(Open(file), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no film that can be read")));
  std::ofstream(folder_.File("empty.avi")).flush();
  EXPECT_THAT(Open(folder_.File("empty.avi")), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(SourceTest, AFilmWithoutARateStillGoesOn) {
  std::string film = testing_support::ReadFile(MakeFilm("film.avi", 12, 10));
  // Rate and time a frame, in the stream's and in the film's header.
  const size_t stream = film.find("strh");
  const size_t header = film.find("avih");
  ASSERT_NE(stream, std::string::npos);
  ASSERT_NE(header, std::string::npos);
  std::memset(&film[header + 8], 0, 4);
  std::memset(&film[stream + 8 + 24], 0, 4);
  const std::string file = folder_.File("zero.avi");
  std::ofstream(file, std::ios::binary) << film;
  const auto source = Open(file);
  ASSERT_THAT(source, IsOk());
  const std::vector<int64_t> positions = ReadAll(**source);
  ASSERT_THAT(positions, SizeIs(12));
  for (size_t i = 1; i < positions.size(); ++i) {
    EXPECT_GT(positions[i], positions[i - 1]);
    EXPECT_LT(positions[i], 60000);
  }
}

TEST_F(SourceTest, PicturesComeInTheOrderOfTheirNames) {
  MakePicture("b_2.png", 30);
  MakePicture("a_1.png", 20);
  MakePicture("c_3.jpg", 40);
  std::ofstream(folder_.File("notes.txt")) << "no picture";
  auto pictures = Open(folder_.path());
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), ElementsAre(0, 125, 250));
  EXPECT_THAT(greys_, ElementsAre(20, 30, 40));
  EXPECT_THAT(end_, StatusIs(absl::StatusCode::kOutOfRange));
  pictures = Open(folder_.File("*.png"));
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), SizeIs(2));
}

TEST_F(SourceTest, ANumberedSequenceEndsWithItsLastNumber) {
  for (int i = 1; i <= 12; ++i)
    MakePicture(i < 10 ? "f_0" + std::to_string(i) + ".png" : "f_" + std::to_string(i) + ".png", i);
  MakePicture("f_14.png", 99);
  const auto pictures = Open(folder_.File("f_%02d.png"));
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), SizeIs(12));
  EXPECT_EQ(greys_.back(), 12);
  EXPECT_THAT(Open(folder_.File("f_%xd.png")), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(SourceTest, APictureThatCannotBeReadIsPassedOverAndItsTimePasses) {
  MakePicture("a.png", 20);
  std::ofstream(folder_.File("b.png")) << "no picture";
  const std::string whole = testing_support::ReadFile(MakePicture("c.png", 40));
  std::ofstream(folder_.File("d.png"), std::ios::binary) << whole.substr(0, whole.size() / 2);
  MakePicture("e.png", 60);
  const auto pictures = Open(folder_.path());
  ASSERT_THAT(pictures, IsOk());
  const std::vector<int64_t> positions = ReadAll(**pictures);
  EXPECT_EQ(positions.front(), 0);
  EXPECT_EQ(positions.back(), 500);
  EXPECT_THAT(positions, Not(testing::Contains(125)));
  EXPECT_THAT((*pictures)->remark(), HasSubstr("cannot be read"));
}

TEST_F(SourceTest, OnlyUnreadablePicturesAreAnError) {
  std::ofstream(folder_.File("a.png")) << "no picture";
  const auto pictures = Open(folder_.File("a.png"));
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), IsEmpty());
  EXPECT_THAT(end_, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no picture that can be read")));
}

TEST_F(SourceTest, ASinglePictureCanBeShownForLonger) {
  SourceOptions options;
  options.word = MakePicture("a.png", 20);
  options.hold = absl::Seconds(1);
  const auto pictures = OpenSource(options);
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), SizeIs(9));
  EXPECT_THAT(greys_, Each(20));
}

TEST_F(SourceTest, GreyAndTransparentPicturesBecomeColour) {
  cv::imwrite(folder_.File("a.png"), cv::Mat(10, 10, CV_8UC1, cv::Scalar::all(50)));
  cv::imwrite(folder_.File("b.png"), cv::Mat(10, 10, CV_8UC4, cv::Scalar(50, 50, 50, 9)));
  cv::imwrite(folder_.File("c.png"), cv::Mat(10, 10, CV_16UC3, cv::Scalar::all(50 * 256)));
  const auto pictures = Open(folder_.path());
  ASSERT_THAT(pictures, IsOk());
  EXPECT_THAT(ReadAll(**pictures), SizeIs(3));
  EXPECT_THAT(greys_, Each(50));
}

}  // namespace
}  // namespace arc::vision_bridge
