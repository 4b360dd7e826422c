#include "services/voice/utterance.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/voice/voice_activity.h"

namespace arc::voice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

audio::Samples Ramp(size_t count, int16_t from = 0) {
  audio::Samples samples(count);
  for (size_t i = 0; i < count; ++i) samples[i] = static_cast<int16_t>(from + static_cast<int16_t>(i % 1000));
  return samples;
}

class UtteranceTest : public testing::Test {
 protected:
  void Take(Utterance::Effects effects) {
    for (UtteranceEffect& effect : effects) {
      if (auto* claim = std::get_if<ClaimWorker>(&effect)) {
        claims_.push_back(claim->request_id);
        sound_.clear();
        ended_ = false;
        next_seq_ = 0;
      } else if (auto* sound = std::get_if<SendSound>(&effect)) {
        last_ = *sound;
        if (sound->request_id != utterance_.request_id()) continue;
        EXPECT_EQ(sound->seq, next_seq_++);
        EXPECT_FALSE(ended_);
        ended_ = sound->end;
        sound_.insert(sound_.end(), sound->samples.begin(), sound->samples.end());
      } else if (auto* ping = std::get_if<PingWorker>(&effect)) {
        pings_.push_back(ping->worker_id);
      } else if (auto* lost = std::get_if<WorkerLost>(&effect)) {
        lost_.push_back(lost->reason);
      } else if (std::holds_alternative<GiveUp>(effect)) {
        gave_up_ = true;
      }
    }
  }
  void Accept(const std::string& worker) {
    messages::SttAccepted accepted;
    accepted.request_id = claims_.back();
    accepted.status = "accepted";
    accepted.worker_id = worker;
    Take(utterance_.OnClaimed(clock_.Now(), claims_.back(), accepted));
  }
  void Hear(size_t count) {
    const audio::Samples samples = Ramp(count);
    said_.insert(said_.end(), samples.begin(), samples.end());
    Take(utterance_.OnSound(clock_.Now(), samples));
  }
  void Wait(absl::Duration duration) {
    const absl::Time until = clock_.Now() + duration;
    while (clock_.Now() < until) {
      clock_.Advance(absl::Milliseconds(10));
      if (clock_.Now() >= utterance_.NextTime()) Take(utterance_.OnTime(clock_.Now()));
    }
  }

  ManualClock clock_;
  Utterance utterance_{UtteranceOptions(), "stt-1"};
  audio::Samples said_;
  std::vector<std::string> claims_;
  std::vector<std::string> pings_;
  std::vector<std::string> lost_;
  audio::Samples sound_;  // what the worker at hand got
  bool ended_ = false;
  bool gave_up_ = false;
  uint64_t next_seq_ = 0;
  SendSound last_;
};

TEST_F(UtteranceTest, StreamsFromThePreRollToTheEnd) {
  said_ = Ramp(4800, 7);
  Take(utterance_.Begin(clock_.Now(), said_));
  EXPECT_THAT(claims_, SizeIs(1));
  Hear(160);
  EXPECT_THAT(sound_, IsEmpty());
  Accept("w1");
  EXPECT_EQ(sound_.size(), 4800u);  // whole frames of 100 ms
  for (int i = 0; i < 100; ++i) Hear(160);
  Take(utterance_.End(clock_.Now()));
  EXPECT_EQ(sound_, said_);
  EXPECT_TRUE(ended_);
  Hear(160);  // is not part of it any more
  Take(utterance_.End(clock_.Now()));
  EXPECT_EQ(next_seq_, last_.seq + 1);
}

TEST_F(UtteranceTest, BusyAndNobodyAreAskedAgainWithTheSoundKept) {
  Take(utterance_.Begin(clock_.Now(), {}));
  Hear(1600);
  Take(utterance_.OnClaimed(clock_.Now(), claims_.back(), absl::UnavailableError("nobody")));
  Wait(absl::Milliseconds(40));
  EXPECT_THAT(claims_, SizeIs(1));
  Wait(absl::Milliseconds(20));
  ASSERT_THAT(claims_, SizeIs(2));
  messages::SttAccepted busy;
  busy.request_id = claims_.back();
  busy.status = "busy";
  Take(utterance_.OnClaimed(clock_.Now(), claims_.back(), busy));
  Wait(absl::Milliseconds(90));
  EXPECT_THAT(claims_, SizeIs(2));
  Wait(absl::Milliseconds(20));
  ASSERT_THAT(claims_, SizeIs(3));
  EXPECT_THAT(claims_, testing::Each(StartsWith("stt-1-")));
  Hear(1600);
  Take(utterance_.End(clock_.Now()));
  Accept("w1");
  EXPECT_EQ(sound_, said_);
  EXPECT_TRUE(ended_);
}

TEST_F(UtteranceTest, RetriesAreAtMostASecondApart) {
  Take(utterance_.Begin(clock_.Now(), {}));
  for (int i = 0; i < 10; ++i) {
    Take(utterance_.OnClaimed(clock_.Now(), claims_.back(), absl::UnavailableError("nobody")));
    Wait(absl::Milliseconds(1010));
  }
  EXPECT_THAT(claims_, SizeIs(11));
}

TEST_F(UtteranceTest, AWorkerKilledMidUtteranceIsReplacedAndHearsAll) {
  Take(utterance_.Begin(clock_.Now(), {}));
  Accept("w1");
  for (int i = 0; i < 100; ++i) {
    Hear(160);
    Wait(absl::Milliseconds(10));
  }
  ASSERT_THAT(pings_, ElementsAre("w1", "w1"));  // each half second
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kGone));
  ASSERT_THAT(claims_, SizeIs(2));
  EXPECT_THAT(lost_, ElementsAre("it is gone"));
  Hear(160);
  Accept("w2");
  Hear(160);
  Take(utterance_.End(clock_.Now()));
  EXPECT_EQ(sound_, said_);
  EXPECT_TRUE(ended_);
}

TEST_F(UtteranceTest, AWorkerKilledAfterTheEndIsReplacedToo) {
  Take(utterance_.Begin(clock_.Now(), {}));
  Accept("w1");
  Hear(16000);
  Take(utterance_.End(clock_.Now()));
  Wait(absl::Milliseconds(110));
  EXPECT_THAT(pings_, SizeIs(1));  // asked soon
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kGone));
  Accept("w2");
  EXPECT_EQ(sound_, said_);
  EXPECT_TRUE(ended_);
}

TEST_F(UtteranceTest, AWorkerThatHangsIsReplacedAfterTwoPings) {
  Take(utterance_.Begin(clock_.Now(), {}));
  Accept("w1");
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kSilent));
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kAlive));
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kSilent));
  EXPECT_THAT(claims_, SizeIs(1));
  Take(utterance_.OnPong(clock_.Now(), claims_.back(), Utterance::Pong::kSilent));
  EXPECT_THAT(claims_, SizeIs(2));
}

TEST_F(UtteranceTest, SoundThatKillsWorkersIsNotThrownAtThemWithoutAPause) {
  Take(utterance_.Begin(clock_.Now(), {}));
  for (int i = 0; i < 5; ++i) {
    Accept(absl::StrCat("w", i));
    Take(utterance_.OnWorkerFailed(clock_.Now(), claims_.back(), "engine_failed"));
    Wait(absl::Seconds(2));
  }
  EXPECT_THAT(lost_, SizeIs(5));
  EXPECT_THAT(claims_, SizeIs(6));
}

TEST_F(UtteranceTest, SoundThatWorkersAcceptAndThenFailAtIsGivenUp) {
  Take(utterance_.Begin(clock_.Now(), {}));
  const absl::Time begin = clock_.Now();
  // The pauses grow, although each worker accepts the sound.
  std::vector<absl::Duration> at;
  while (clock_.Now() < begin + absl::Seconds(10)) {
    if (!utterance_.has_worker() && claims_.size() > at.size()) {
      at.push_back(clock_.Now() - begin);
      Accept(absl::StrCat("w", claims_.size()));
      Take(utterance_.OnWorkerFailed(clock_.Now(), claims_.back(), "engine_failed"));
    }
    Wait(absl::Milliseconds(10));
  }
  EXPECT_THAT(claims_, SizeIs(UtteranceOptions().max_replays + 1));
  ASSERT_THAT(at, SizeIs(6));
  EXPECT_GE(at[5] - at[4], absl::Milliseconds(400));
  EXPECT_EQ(utterance_.NextTime(), absl::InfiniteFuture());
  Hear(160);
  EXPECT_FALSE(gave_up_);  // while the customer speaks there is nobody to be told
  Take(utterance_.End(clock_.Now()));
  EXPECT_TRUE(gave_up_);
  EXPECT_THAT(claims_, SizeIs(6));
}

TEST_F(UtteranceTest, AFailureThatOvertakesTheAnswerToTheClaimCounts) {
  Take(utterance_.Begin(clock_.Now(), {}));
  for (int i = 0; i < 2; ++i) {
    const std::string failed = claims_.back();
    Take(utterance_.OnWorkerFailed(clock_.Now(), failed, "engine_failed"));
    messages::SttAccepted late;
    late.request_id = failed;
    late.status = "accepted";
    Take(utterance_.OnClaimed(clock_.Now(), failed, late));
    EXPECT_FALSE(utterance_.has_worker());
    Wait(absl::Seconds(1));
  }
  EXPECT_THAT(claims_, SizeIs(3));
  Accept("w3");
  EXPECT_TRUE(utterance_.has_worker());
}

TEST_F(UtteranceTest, AnswersToFormerClaimsAreNoAnswers) {
  Take(utterance_.Begin(clock_.Now(), {}));
  Accept("w1");
  const std::string former = claims_.back();
  Take(utterance_.OnPong(clock_.Now(), former, Utterance::Pong::kGone));
  Take(utterance_.OnPong(clock_.Now(), former, Utterance::Pong::kGone));
  Take(utterance_.OnWorkerFailed(clock_.Now(), former, "late"));
  EXPECT_THAT(claims_, SizeIs(2));
  // One that is accepted late is let go.
  messages::SttAccepted late;
  late.request_id = former;
  late.status = "accepted";
  Take(utterance_.OnClaimed(clock_.Now(), former, late));
  EXPECT_EQ(last_.request_id, former);
  EXPECT_TRUE(last_.end);
  EXPECT_FALSE(utterance_.has_worker());
}

TEST_F(UtteranceTest, SoundIsBounded) {
  Take(utterance_.Begin(clock_.Now(), {}));
  for (int i = 0; i < 4000; ++i) Take(utterance_.OnSound(clock_.Now(), Ramp(160)));
  Accept("w1");
  EXPECT_EQ(sound_.size(), 30u * 16000u);
}

}  // namespace
}  // namespace arc::voice
