#include "services/voice/utterance.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/voice/voice_activity.h"

namespace arc::voice {
namespace {

size_t SamplesOf(absl::Duration duration) {
  return static_cast<size_t>(duration / kStep) * kStepSamples;
}

}  // namespace

Utterance::Utterance(const UtteranceOptions& options, std::string id)
    : options_(options), id_(std::move(id)), retry_(options.first_retry), lost_retry_(options.first_retry) {}

Utterance::Effects Utterance::Begin(absl::Time now, absl::Span<const int16_t> pre_roll) {
  sound_.assign(pre_roll.begin(), pre_roll.end());
  return Claim(now);
}

Utterance::Effects Utterance::Claim(absl::Time) {
  request_id_ = absl::StrCat(id_, "-", ++claims_);
  claiming_ = true;
  has_worker_ = false;
  retry_at_ = ping_at_ = absl::InfiniteFuture();
  sent_ = 0;
  seq_ = 0;
  end_sent_ = false;
  missed_ = 0;
  return {ClaimWorker{request_id_}};
}

Utterance::Effects Utterance::OnSound(absl::Time, absl::Span<const int16_t> samples) {
  Effects effects;
  if (ended_) return effects;
  const size_t room = SamplesOf(options_.max_sound) - std::min(SamplesOf(options_.max_sound), sound_.size());
  const size_t taken = std::min(room, samples.size());
  sound_.insert(sound_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(taken));
  Stream(effects, options_.frame);
  return effects;
}

Utterance::Effects Utterance::End(absl::Time now) {
  Effects effects;
  if (std::exchange(ended_, true)) return effects;
  if (hopeless_) effects.emplace_back(GiveUp{});
  Stream(effects, options_.frame);
  // What becomes of the last word should be known at once.
  if (has_worker_ && !worker_id_.empty())
    ping_at_ = now + std::min(options_.ping_interval, absl::Milliseconds(100));
  return effects;
}

void Utterance::Stream(Effects& effects, absl::Duration frame) {
  if (!has_worker_) return;
  const size_t whole = std::max(SamplesOf(frame), kStepSamples);
  while (sent_ < sound_.size()) {
    const size_t left = sound_.size() - sent_;
    if (left < whole && !ended_) break;
    const size_t count = std::min(left, whole);
    const auto from = sound_.begin() + static_cast<std::ptrdiff_t>(sent_);
    effects.emplace_back(SendSound{request_id_, seq_++,
                                   audio::Samples(from, from + static_cast<std::ptrdiff_t>(count)), false});
    sent_ += count;
  }
  if (ended_ && !std::exchange(end_sent_, true))
    effects.emplace_back(SendSound{request_id_, seq_++, {}, true});
}

Utterance::Effects Utterance::OnClaimed(absl::Time now, absl::string_view request_id,
                                        const absl::StatusOr<messages::SttAccepted>& answer) {
  Effects effects;
  if (request_id != request_id_ || !claiming_) {
    // Too late, but the worker waits for sound: it is let go.
    if (answer.ok() && answer->status == "accepted") {
      effects.emplace_back(SendSound{std::string(request_id), 0, {}, true});
    }
    return effects;
  }
  claiming_ = false;
  if (!answer.ok() || answer->status != "accepted") {
    retry_at_ = now + retry_;
    retry_ = std::min(retry_ * 2, options_.longest_retry);
    return effects;
  }
  has_worker_ = true;
  retry_ = options_.first_retry;
  worker_id_ = answer->worker_id;
  engine_ = answer->engine;
  if (!worker_id_.empty()) ping_at_ = now + options_.ping_interval;
  Stream(effects, options_.replay_frame);
  return effects;
}

Utterance::Effects Utterance::OnPong(absl::Time now, absl::string_view request_id, Pong pong) {
  if (request_id != request_id_ || !has_worker_) return {};
  if (pong == Pong::kAlive) {
    missed_ = 0;
    return {};
  }
  if (pong == Pong::kGone) return Lose(now, "it is gone");
  if (++missed_ >= options_.missed_pings) return Lose(now, "it does not answer");
  return {};
}

Utterance::Effects Utterance::OnWorkerFailed(absl::Time now, absl::string_view request_id,
                                             absl::string_view reason) {
  // It may overtake the answer to the claim.
  if (request_id != request_id_ || (!has_worker_ && !claiming_)) return {};
  return Lose(now, reason);
}

Utterance::Effects Utterance::Lose(absl::Time now, absl::string_view reason) {
  ++workers_lost_;
  Effects effects = {WorkerLost{worker_id_, std::string(reason)}};
  if (workers_lost_ > 1) {
    // The sound itself may be what kills them: not too fast, and not for ever.
    has_worker_ = claiming_ = false;
    ping_at_ = absl::InfiniteFuture();
    if (workers_lost_ > options_.max_replays) {
      hopeless_ = true;
      if (ended_) effects.emplace_back(GiveUp{});
      return effects;
    }
    retry_at_ = now + lost_retry_;
    lost_retry_ = std::min(lost_retry_ * 2, options_.longest_retry);
    return effects;
  }
  Effects claim = Claim(now);
  effects.insert(effects.end(), std::make_move_iterator(claim.begin()), std::make_move_iterator(claim.end()));
  return effects;
}

absl::Time Utterance::NextTime() const {
  return std::min(retry_at_, ping_at_);
}

Utterance::Effects Utterance::OnTime(absl::Time now) {
  if (now >= retry_at_) return Claim(now);
  if (now < ping_at_) return {};
  ping_at_ = now + options_.ping_interval;
  return {PingWorker{request_id_, worker_id_}};
}

}  // namespace arc::voice
