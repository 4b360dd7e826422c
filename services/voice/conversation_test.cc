// Scripted conversations on a manual clock: what the microphone, the recogniser, the brain and the TTS do,
// and what the kiosk does then.
#include "services/voice/conversation.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/voice/metric_names.h"

namespace arc::voice {
namespace {

using messages::VoiceStateName;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr absl::Duration kTick = absl::Milliseconds(10);

absl::Duration Ms(int64_t n) {
  return absl::Milliseconds(n);
}

class ConversationTest : public testing::Test {
 protected:
  // Does what is to be done, and keeps it.
  void Take(Conversation::Effects effects) {
    bool session_asked = false;
    for (Effect& effect : effects) {
      if (std::holds_alternative<AskSession>(effect)) session_asked = true;
      if (auto* begin = std::get_if<BeginUtterance>(&effect)) utterance_ = begin->utterance_id;
      if (auto* end = std::get_if<EndUtterance>(&effect)) ended_at_[end->utterance_id] = now();
      if (auto* ask = std::get_if<AskBrain>(&effect)) asked_.push_back(ask->request);
      if (auto* speech = std::get_if<RequestSpeech>(&effect)) spoken_.push_back(speech->request);
      if (auto* cancel = std::get_if<CancelSpeech>(&effect)) {
        cancelled_.push_back(cancel->cancel);
        cancelled_at_ = now();
      }
      if (auto* state = std::get_if<PublishState>(&effect)) states_.push_back(state->state);
      if (auto* intents = std::get_if<PublishIntents>(&effect)) intents_.push_back(*intents);
      if (auto* done = std::get_if<TextDone>(&effect)) texts_done_.push_back(done->text_token);
      if (auto* started = std::get_if<PublishSessionStarted>(&effect)) started_.push_back(started->started);
      if (auto* ended = std::get_if<PublishSessionEnded>(&effect)) over_.push_back(ended->ended);
      if (auto* report = std::get_if<ReportTurn>(&effect)) reports_.push_back(report->report);
      if (auto* count = std::get_if<Count>(&effect)) counts_.emplace_back(count->what);
      if (auto* result = std::get_if<StageResult>(&effect)) results_.push_back(*result);
      if (auto* start = std::get_if<PublishSpeechStart>(&effect)) speech_starts_.push_back(start->trace_id);
      if (auto* transcript = std::get_if<PublishTranscript>(&effect)) {
        (transcript->transcript.is_final ? finals_ : partials_).push_back(transcript->transcript.text);
      }
      if (auto* drop = std::get_if<DropUtterance>(&effect)) dropped_.push_back(drop->utterance_id);
    }
    if (!session_asked) return;
    ++sessions_asked_;
    if (orchestrator_answers_) Take(talk_.OnKioskSession(now(), &known_));
  }
  absl::Time now() const { return clock_.Now(); }

  // Lets time pass, timers included.
  void Wait(absl::Duration duration) {
    const absl::Time until = now() + duration;
    while (now() < until) {
      clock_.Advance(std::min(kTick, until - now()));
      if (now() >= talk_.NextTime()) Take(talk_.OnTime(now()));
    }
  }

  // The customer speaks for so long; the microphone notices the end 200 ms later.
  void Speak(absl::Duration duration, bool stop = true) {
    const absl::Time begin = now();
    Take(talk_.OnSpeechStarted(now(), begin));
    while (now() < begin + duration) {
      Wait(kTick);
      Take(talk_.OnSpeechContinues(now(), now() - begin));
    }
    if (stop) Silence(begin);
  }
  // And goes on.
  void GoOn(absl::Duration duration) {
    const absl::Time until = now() + duration;
    while (now() < until) {
      Wait(kTick);
      Take(talk_.OnSpeechContinues(now(), absl::Seconds(10)));
    }
  }
  void Silence(absl::Time begin) {
    const absl::Time end = now();
    for (int i = 0; i < 20; ++i) {
      Wait(kTick);
    }
    Take(talk_.OnSpeechStopped(now(), end, end - begin));
    last_voice_ = end;
  }
  void Partial(const std::string& text) { Understand(utterance_, text, false); }
  void SpeakAcrossTheEndOfAPaidOrder(const std::string& words) {
    Speak(absl::Seconds(1), false);
    Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCompleted));
    Silence(now() - absl::Seconds(1));
    Partial(words);
    Wait(absl::Seconds(1));
    Final(words);
  }
  void Final(const std::string& text) { Understand(utterance_, text, true); }
  void Understand(const std::string& utterance, const std::string& text, bool is_final,
                  double confidence = 0.9) {
    messages::SttTranscript transcript;
    transcript.text = text;
    transcript.is_final = is_final;
    if (is_final) transcript.confidence = confidence;
    Take(talk_.OnTranscript(now(), utterance, transcript));
  }
  // Something is said, of which the recogniser is so sure.
  void Utter(const std::string& text, double confidence = 0.9) {
    Speak(absl::Seconds(1));
    Partial(text);
    Wait(absl::Seconds(3));
    Understand(utterance_, text, true, confidence);
  }
  bool Ended() const { return ended_at_.count(utterance_) > 0; }

  void Answer(const std::string& text, const std::string& item = "") { AnswerTo(asked_.back(), text, item); }
  void AnswerTo(const messages::BrainRequest& request, const std::string& text,
                const std::string& item = "") {
    messages::BrainResponse response;
    response.request_id = request.request_id;
    response.agent_response = text;
    response.dialogue = json::Raw{absl::StrCat(R"({"turn":)", request.turn_index, "}")};
    response.performance.tools = {{"menu.search", 10, 20}, {"recsys.suggest", 20, 30}};
    if (!item.empty()) {
      messages::Intent intent;
      intent.intent_type = messages::IntentType::kAddToCart;
      intent.raw_text = item;
      response.intents = {intent};
    }
    Take(talk_.OnBrainResponse(now(), response));
  }

  // The TTS says all of the latest request at once, which lasts `length`.
  void Sound(absl::Duration length, bool complete = true) {
    const std::string id = spoken_.back().request_id;
    Take(talk_.OnSpokenAudio(now(), id, length, false));
    if (!complete) return;
    Take(talk_.OnSpokenAudio(now(), id, absl::ZeroDuration(), true));
    messages::TtsCompleted completed;
    completed.request_id = id;
    completed.duration_ms = absl::ToInt64Milliseconds(length);
    completed.ready_for_playback = true;
    Take(talk_.OnSpeechCompleted(now(), completed));
  }

  // A whole turn, until the kiosk speaks.
  void Turn(const std::string& words, const std::string& answer) {
    Speak(absl::Seconds(1));
    Partial(words);
    Wait(absl::Seconds(3));
    Final(words);
    Answer(answer, words);
  }

  void Type(const std::string& text, uint64_t token) {
    Take(talk_.OnText(now(), {text, "550e8400-e29b-41d4-a716-446655440000", token}));
  }

  // The states one after the other, repeated ones once.
  std::vector<VoiceStateName> States() const {
    std::vector<VoiceStateName> names;
    for (const messages::VoiceState& state : states_) {
      if (names.empty() || names.back() != state.new_state) names.push_back(state.new_state);
    }
    return names;
  }

  ManualClock clock_;
  TurnOptions options_;
  Conversation talk_{options_, "room-1", "kiosk-001"};
  bool orchestrator_answers_ = true;
  KioskSession known_;  // what it answers
  int sessions_asked_ = 0;
  std::string utterance_;
  absl::Time last_voice_;
  absl::Time cancelled_at_;
  std::map<std::string, absl::Time> ended_at_;
  std::vector<messages::BrainRequest> asked_;
  std::vector<messages::TtsRequest> spoken_;
  std::vector<messages::TtsCancel> cancelled_;
  std::vector<messages::VoiceState> states_;
  std::vector<PublishIntents> intents_;
  std::vector<uint64_t> texts_done_;
  std::vector<messages::VoiceSessionStarted> started_;
  std::vector<messages::VoiceSessionEnded> over_;
  std::vector<TurnReport> reports_;
  std::vector<std::string> counts_;
  std::vector<StageResult> results_;
  std::vector<std::string> speech_starts_;
  std::vector<std::string> partials_;
  std::vector<std::string> finals_;
  std::vector<std::string> dropped_;
};

TEST_F(ConversationTest, AWholeTurn) {
  Speak(absl::Seconds(1));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_THAT(speech_starts_, SizeIs(1));
  Partial("two volcano burgers please");
  EXPECT_FALSE(Ended());
  Wait(Ms(290));  // with the 200 ms of the microphone: not yet 0.5 s of silence
  EXPECT_FALSE(Ended());
  Wait(Ms(20));
  ASSERT_TRUE(Ended());
  EXPECT_EQ(ended_at_[utterance_] - last_voice_, Ms(500));
  Wait(Ms(100));
  Final("two volcano burgers please");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "two volcano burgers please");
  EXPECT_EQ(asked_[0].context.kiosk_id, "kiosk-001");
  EXPECT_EQ(asked_[0].constraints.timeout_ms, 2000);
  EXPECT_EQ(asked_[0].session_id, started_[0].session_id);
  Wait(Ms(60));
  Answer("Two volcano burgers. Anything else?", "two volcano burgers please");
  ASSERT_THAT(intents_, SizeIs(1));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, "Two volcano burgers. Anything else?");
  EXPECT_EQ(spoken_[0].target_room, "room-1");
  Wait(Ms(20));
  Sound(absl::Seconds(2));
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
  Wait(Ms(1990));
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
  Wait(Ms(20));
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_THAT(States(), ElementsAre(VoiceStateName::kListening, VoiceStateName::kThinking,
                                    VoiceStateName::kSpeaking, VoiceStateName::kIdle));

  // One trace, and stages that add up.
  for (const messages::VoiceState& state : states_) {
    EXPECT_EQ(state.trace_id, asked_[0].trace_id);
    EXPECT_EQ(state.turn_index, asked_[0].turn_index);
  }
  EXPECT_EQ(speech_starts_[0], asked_[0].trace_id);
  EXPECT_EQ(spoken_[0].trace_id, asked_[0].trace_id);
  ASSERT_THAT(reports_, SizeIs(1));
  const TurnReport& report = reports_[0];
  EXPECT_EQ(report.outcome, "answered");
  EXPECT_EQ(report.endpointing, Ms(500));
  EXPECT_EQ(report.stt, Ms(110));
  EXPECT_EQ(report.tools_total, Ms(40));  // from 10 to 50 ms, though 20 and 30 ms long
  EXPECT_EQ(report.brain, Ms(20));
  EXPECT_EQ(report.tts, Ms(20));
  EXPECT_EQ(report.total, Ms(690));
  EXPECT_EQ(report.endpointing + report.stt + report.queued + report.brain + report.tools_total +
                report.held + report.tts,
            report.total);
}

TEST_F(ConversationTest, ASlowSpeakerIsNotCutOff) {
  Speak(absl::Seconds(1));
  Partial("i would like two burgers and");
  Wait(absl::Seconds(2));  // a pause for thought
  EXPECT_FALSE(Ended());
  Speak(absl::Seconds(1));
  Partial("i would like two burgers and um");
  Wait(absl::Seconds(2.5));
  EXPECT_FALSE(Ended());
  Speak(absl::Seconds(1));
  Partial("i would like two burgers and um a cola please");
  Wait(Ms(310));
  EXPECT_TRUE(Ended());
  Final("i would like two burgers and um a cola please");
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(speech_starts_, SizeIs(1));
  EXPECT_EQ(talk_.turn_index(), 1);
}

TEST_F(ConversationTest, AfterAndTheSilenceLastsThreeSecondsAtMost) {
  Speak(absl::Seconds(1));
  Partial("a burger and");
  Wait(absl::Seconds(5));
  ASSERT_TRUE(Ended());
  EXPECT_EQ(ended_at_[utterance_] - last_voice_, absl::Seconds(3));
}

TEST_F(ConversationTest, WhoGoesOnWhileTheBrainThinksIsAskedAboutAsAWhole) {
  Speak(absl::Seconds(1));
  Partial("two burgers");
  Wait(Ms(400));
  Final("two burgers");
  ASSERT_THAT(asked_, SizeIs(1));
  const messages::BrainRequest first = asked_[0];
  Speak(absl::Seconds(1), false);  // goes on
  AnswerTo(first, "Two burgers.", "two burgers");
  EXPECT_THAT(intents_, IsEmpty());
  EXPECT_THAT(spoken_, IsEmpty());
  Silence(now() - absl::Seconds(1));
  Partial("and a large cola please");
  Wait(Ms(400));
  Final("and a large cola please");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].user_input, "two burgers and a large cola please");
  EXPECT_EQ(asked_[1].turn_index, first.turn_index);
  EXPECT_EQ(asked_[1].trace_id, first.trace_id);
  EXPECT_THAT(asked_[1].context.previous_turns, IsEmpty());
  AnswerTo(first, "Two burgers.", "two burgers");  // late: nobody asked any more
  EXPECT_THAT(intents_, IsEmpty());
  Answer("Two burgers and a large cola.", "both");
  EXPECT_THAT(intents_, SizeIs(1));
  EXPECT_THAT(spoken_, SizeIs(1));
}

TEST_F(ConversationTest, ANoiseWhileTheBrainThinksDelaysTheAnswerOnly) {
  Speak(absl::Seconds(1));
  Partial("two burgers please");
  Wait(Ms(400));
  Final("two burgers please");
  Speak(Ms(400), false);
  Answer("Two burgers.", "two burgers");
  EXPECT_THAT(intents_, IsEmpty());
  Silence(now() - Ms(400));
  Wait(absl::Seconds(2));
  Final("");
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(intents_, SizeIs(1));
  ASSERT_THAT(spoken_, SizeIs(1));
  Sound(absl::Seconds(1));
  ASSERT_THAT(reports_, SizeIs(1));
  EXPECT_GT(reports_[0].held, absl::Seconds(1));
  EXPECT_EQ(reports_[0].endpointing + reports_[0].stt + reports_[0].queued + reports_[0].brain +
                reports_[0].tools_total + reports_[0].held + reports_[0].tts,
            reports_[0].total);
}

TEST_F(ConversationTest, BargeIn) {
  Turn("what burgers do you have",
       "We have the Volcano Burger. We have the Classic Burger. We have the Veggie Burger.");
  const messages::TtsRequest old = spoken_.back();
  Sound(absl::Seconds(6));
  Wait(absl::Seconds(1));
  const absl::Time begin = now();
  Speak(Ms(290), false);
  EXPECT_THAT(cancelled_, IsEmpty());
  Wait(kTick);
  Take(talk_.OnSpeechContinues(now(), Ms(300)));
  ASSERT_THAT(cancelled_, SizeIs(1));
  EXPECT_EQ(cancelled_[0].request_id, old.request_id);
  EXPECT_EQ(cancelled_[0].reason, "barge_in");
  EXPECT_LE(cancelled_at_ - begin, Ms(400));  // 0.3 s of speech, then within 100 ms
  EXPECT_EQ(talk_.state(), VoiceStateName::kListening);
  // A listener drops what still comes: the turn is a later one.
  EXPECT_GT(states_.back().turn_index, old.turn_index);
  EXPECT_EQ(states_.back().old_state, VoiceStateName::kSpeaking);
  Take(talk_.OnSpokenAudio(now(), old.request_id, absl::Seconds(1), false));
  EXPECT_EQ(talk_.state(), VoiceStateName::kListening);

  Silence(begin);
  Partial("the volcano burger please");
  Wait(Ms(400));
  Final("the volcano burger please");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].turn_index, states_.back().turn_index);
  Answer("One Volcano Burger.", "volcano burger");
  Wait(absl::Seconds(10));
  // Nothing of the old answer comes back.
  for (size_t i = 1; i < spoken_.size(); ++i) EXPECT_THAT(spoken_[i].text, "One Volcano Burger.");
}

TEST_F(ConversationTest, AShortNoiseDoesNotInterrupt) {
  Turn("what burgers do you have", "We have the Volcano Burger. We have the Classic Burger.");
  Sound(absl::Seconds(4));
  Wait(absl::Seconds(1));
  Speak(Ms(200));
  EXPECT_THAT(cancelled_, IsEmpty());
  EXPECT_THAT(dropped_, SizeIs(1));
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
  EXPECT_THAT(speech_starts_, SizeIs(1));
}

TEST_F(ConversationTest, AFalseInterruptionResumesTheSentenceAfterTwoSeconds) {
  Turn("what burgers do you have",
       "We have the Volcano Burger. We have the Classic Burger. We have the Veggie Burger.");
  Sound(absl::Seconds(6));  // 2 s a sentence
  Wait(absl::Seconds(3));   // in the middle of the second
  Speak(Ms(500));
  ASSERT_THAT(cancelled_, SizeIs(1));
  const absl::Time end = last_voice_;
  Wait(absl::Seconds(1.2));
  ASSERT_TRUE(Ended());
  Final("");  // a cough
  EXPECT_THAT(spoken_, SizeIs(1));
  Wait(end + Ms(1980) - now());
  EXPECT_THAT(spoken_, SizeIs(1));
  Wait(Ms(40));
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_EQ(spoken_[1].text, "We have the Classic Burger. We have the Veggie Burger.");
  EXPECT_GT(spoken_[1].turn_index, spoken_[0].turn_index);
  EXPECT_NE(spoken_[1].request_id, spoken_[0].request_id);
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(counts_, testing::IsSupersetOf({metric_names::kBargeIns, metric_names::kFalseInterruptions,
                                              metric_names::kResumedAnswers}));
  Sound(absl::Seconds(3));
  Wait(absl::Seconds(4));
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_THAT(spoken_, SizeIs(2));
}

TEST_F(ConversationTest, WordsAfterAFalseInterruptionTakeTheFloor) {
  Turn("what burgers do you have", "We have the Volcano Burger. We have the Classic Burger.");
  Sound(absl::Seconds(6));
  Wait(absl::Seconds(1));
  Speak(Ms(500));
  Wait(absl::Seconds(1.2));
  Final("");
  Wait(Ms(200));
  Speak(absl::Seconds(1));  // before the kiosk goes on
  Partial("the classic one");
  Wait(absl::Seconds(2));
  Final("the classic one");
  Answer("One Classic Burger.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(10));
  EXPECT_EQ(spoken_.back().text, "One Classic Burger.");
  EXPECT_THAT(spoken_, SizeIs(2));
}

TEST_F(ConversationTest, AnAnswerThatBeginsDuringTheLastWordIsHeard) {
  Turn("a burger please", "Anything else?");
  Sound(absl::Seconds(1));
  Wait(Ms(900));
  Speak(Ms(600));
  EXPECT_THAT(cancelled_, IsEmpty());
  EXPECT_THAT(speech_starts_, SizeIs(2));
  Partial("no that's all");
  Wait(Ms(400));
  Final("no that's all");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].turn_index, 2);
}

TEST_F(ConversationTest, SilenceAndNoise) {
  Wait(absl::Minutes(10));
  EXPECT_THAT(states_, IsEmpty());
  EXPECT_TRUE(talk_.idle());
  // A noise: nothing was said, nothing is said.
  Speak(Ms(300));
  Wait(absl::Seconds(2));
  Final("");
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_THAT(spoken_, IsEmpty());
  // Long speech without words is asked about.
  Speak(absl::Seconds(2));
  Wait(absl::Seconds(2));
  Final("  ");
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_THAT(spoken_[0].text, HasSubstr("Sorry"));
  Sound(absl::Seconds(2));
  Wait(absl::Seconds(2));
  EXPECT_THAT(asked_, IsEmpty());
  // And then the conversation ends by itself.
  Wait(options_.conversation_timeout + absl::Seconds(1));
  ASSERT_THAT(over_, SizeIs(1));
  EXPECT_EQ(over_[0].reason, "timeout");
  EXPECT_EQ(over_[0].total_turns, 0);
  EXPECT_EQ(over_[0].final_status, "abandoned");
  EXPECT_TRUE(talk_.idle());
}

TEST_F(ConversationTest, TwoRoomsDoNotHearEachOther) {
  Conversation other(options_, "room-2", "kiosk-002");
  Speak(absl::Seconds(1), false);
  std::string other_utterance;
  for (const Effect& effect : other.OnSpeechStarted(now(), now())) {
    if (const auto* begin = std::get_if<BeginUtterance>(&effect)) other_utterance = begin->utterance_id;
  }
  EXPECT_NE(other_utterance, utterance_);
  messages::SttTranscript transcript;
  transcript.text = "for the other room";
  transcript.is_final = true;
  Take(talk_.OnTranscript(now(), other_utterance, transcript));
  EXPECT_THAT(finals_, IsEmpty());
  Silence(now() - absl::Seconds(1));
  Partial("a burger please");
  Wait(Ms(400));
  Final("a burger please");
  messages::BrainResponse response;
  response.request_id = asked_[0].request_id;
  response.agent_response = "One burger.";
  for (const Effect& effect : other.OnBrainResponse(now(), response)) {
    EXPECT_FALSE(std::holds_alternative<RequestSpeech>(effect));
  }
  EXPECT_EQ(other.state(), VoiceStateName::kListening);
  Answer("One burger.");
  EXPECT_EQ(spoken_[0].target_room, "room-1");
}

TEST_F(ConversationTest, BrainTimeoutSpeaksAFallback) {
  Speak(absl::Seconds(1));
  Partial("a burger please");
  Wait(Ms(400));
  Final("a burger please");
  Wait(options_.brain_timeout);
  EXPECT_THAT(spoken_, IsEmpty());
  Wait(options_.brain_grace + Ms(20));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.phrases.brain_failed);
  EXPECT_THAT(counts_, testing::Contains(metric_names::kBrainFallbacks));
  Answer("One burger.", "burger");  // too late: the customer was told to say it again
  EXPECT_THAT(intents_, IsEmpty());
  EXPECT_THAT(spoken_, SizeIs(1));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_EQ(reports_.back().outcome, "fallback");
}

TEST_F(ConversationTest, BrainErrorsFallbackIsSpokenUnlessAnAnswerFollows) {
  const auto error = [&] {
    messages::AgentError e;
    e.request_id = asked_.back().request_id;
    e.error_type = "timeout";
    e.fallback_response = "Could you rephrase?";
    Take(talk_.OnBrainError(now(), e));
  };
  Speak(absl::Seconds(1));
  Partial("a burger please");
  Wait(Ms(400));
  Final("a burger please");
  error();
  Wait(Ms(300));
  EXPECT_THAT(spoken_, IsEmpty());
  Answer("One burger.", "burger");
  EXPECT_THAT(intents_, SizeIs(1));
  EXPECT_EQ(spoken_.back().text, "One burger.");
  Sound(Ms(500));
  Wait(absl::Seconds(1));
  Type("another", 1);
  error();
  Wait(Ms(520));
  EXPECT_EQ(spoken_.back().text, "Could you rephrase?");
  EXPECT_THAT(texts_done_, ElementsAre(1));
}

TEST_F(ConversationTest, ABrainThatIsNotThereIsAskedAgainInTime) {
  Type("a burger", 1);
  Take(talk_.OnBrainUnreachable(now(), asked_.back().request_id));
  Wait(Ms(260));
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].request_id, asked_[0].request_id);
  Answer("One burger.", "burger");
  EXPECT_THAT(intents_, SizeIs(1));
  Type("two", 2);
  for (int i = 0; i < 20; ++i) {
    Take(talk_.OnBrainUnreachable(now(), asked_.back().request_id));
    Wait(Ms(260));
  }
  EXPECT_THAT(texts_done_, ElementsAre(2));
  EXPECT_EQ(results_.back().stage, Stage::kBrain);
  EXPECT_FALSE(results_.back().worked);
  EXPECT_EQ(results_.back().reason, "unreachable");
}

TEST_F(ConversationTest, TtsKilledMidSentenceIsContinuedByAnother) {
  Turn("what burgers do you have",
       "We have the Volcano Burger. We have the Classic Burger. We have the Veggie Burger.");
  const messages::TtsRequest old = spoken_.back();
  Sound(absl::Seconds(2.5), false);  // and then nothing
  Wait(absl::Seconds(2.5) + options_.tts_timeout - Ms(20));
  EXPECT_THAT(spoken_, SizeIs(1));
  Wait(Ms(40));
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_THAT(spoken_[1].text, StartsWith("We have the Classic Burger."));
  EXPECT_GT(spoken_[1].turn_index, old.turn_index);
  EXPECT_EQ(spoken_[1].trace_id, old.trace_id);
  EXPECT_EQ(cancelled_.back().request_id, old.request_id);
  Take(talk_.OnSpokenAudio(now(), old.request_id, absl::Seconds(1), false));  // not dead after all: unheard
  Sound(absl::Seconds(3));
  Wait(absl::Seconds(3));
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_THAT(spoken_, SizeIs(2));
}

TEST_F(ConversationTest, ATtsThatNeverSpeaksIsGivenUp) {
  Turn("a burger please", "One burger.");
  Take(talk_.OnSpeechFailed(now(), spoken_.back().request_id, "engine_failed"));
  ASSERT_THAT(spoken_, SizeIs(2));
  Take(talk_.OnTtsUnreachable(now(), spoken_.back().request_id));
  Wait(Ms(260));
  ASSERT_THAT(spoken_, SizeIs(3));
  EXPECT_EQ(spoken_[2].request_id, spoken_[1].request_id);  // the same question, once somebody is there
  Wait(absl::Seconds(10));
  EXPECT_EQ(spoken_.size(), 4u);
  EXPECT_EQ(talk_.state(), VoiceStateName::kIdle);
  EXPECT_EQ(results_.back().stage, Stage::kTts);
  EXPECT_FALSE(results_.back().worked);
  EXPECT_EQ(reports_.back().outcome, "unheard");
}

TEST_F(ConversationTest, NoRecogniserIsSaid) {
  Speak(absl::Seconds(1));
  Wait(absl::Seconds(1) + options_.stt_timeout);
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.phrases.stt_failed);
  EXPECT_THAT(dropped_, ElementsAre(utterance_));
  EXPECT_FALSE(results_.back().worked);
  Final("too late");
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(ConversationTest, TextAndSpeechMixed) {
  Turn("a burger please", "One burger. Anything else?");
  Sound(absl::Seconds(3));
  Wait(absl::Seconds(1));
  // Typing interrupts.
  Type("a large cola", 7);
  EXPECT_EQ(cancelled_.back().reason, "superseded");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].user_input, "a large cola");
  ASSERT_THAT(asked_[1].context.previous_turns, SizeIs(1));
  EXPECT_EQ(asked_[1].context.previous_turns[0].user, "a burger please");
  EXPECT_EQ(asked_[1].context.previous_turns[0].agent, "One burger. Anything else?");
  EXPECT_EQ(asked_[1].context.dialogue->text, R"({"turn":1})");
  EXPECT_EQ(asked_[1].conversation_id, asked_[0].conversation_id);
  EXPECT_THAT(finals_, ElementsAre("a burger please", "a large cola"));
  // Speech while the typed text is thought about is a turn of its own, asked afterwards.
  Speak(absl::Seconds(1));
  Partial("and fries please");
  Answer("One large cola.", "cola");
  EXPECT_EQ(intents_.back().text_token, 7u);
  EXPECT_THAT(spoken_, SizeIs(1));  // the kiosk does not talk over the customer
  Wait(Ms(400));
  Final("and fries please");
  ASSERT_THAT(asked_, SizeIs(3));
  EXPECT_EQ(asked_[2].user_input, "and fries please");
  EXPECT_GT(asked_[2].turn_index, asked_[1].turn_index);
  EXPECT_THAT(asked_[2].context.previous_turns, SizeIs(2));
  Answer("Fries.", "fries");
  // Both are answered, in order.
  EXPECT_EQ(spoken_.back().text, "One large cola.");
  EXPECT_EQ(spoken_.back().turn_index, talk_.turn_index());
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  EXPECT_EQ(spoken_.back().text, "Fries.");
  EXPECT_EQ(spoken_.back().turn_index, talk_.turn_index());
  EXPECT_THAT(intents_, SizeIs(3));
}

TEST_F(ConversationTest, TypedTextsAreAskedInOrderAndEachIsFinished) {
  for (uint64_t i = 1; i <= 3; ++i) Type(absl::StrCat("text ", i), i);
  ASSERT_THAT(asked_, SizeIs(1));
  Answer("First.", "1");
  ASSERT_THAT(asked_, SizeIs(2));
  Answer("Second.");  // no intents
  ASSERT_THAT(asked_, SizeIs(3));
  Answer("Third.", "3");
  EXPECT_EQ(asked_[2].user_input, "text 3");
  ASSERT_THAT(intents_, SizeIs(2));
  EXPECT_EQ(intents_[0].text_token, 1u);
  EXPECT_EQ(intents_[1].text_token, 3u);
  EXPECT_THAT(texts_done_, ElementsAre(2));
  for (const char* answer : {"First.", "Second.", "Third."}) {
    EXPECT_EQ(spoken_.back().text, answer);
    EXPECT_EQ(spoken_.back().turn_index, talk_.turn_index());
    Sound(absl::Seconds(1));
    Wait(absl::Seconds(1.1));
  }
  EXPECT_THAT(spoken_, SizeIs(3));
  EXPECT_TRUE(talk_.state() == VoiceStateName::kIdle);
}

TEST_F(ConversationTest, ATextThatComesWhileTheBrainThinksAboutSpeech) {
  Utter("a burger please");
  ASSERT_THAT(asked_, SizeIs(1));
  Type("a cola", 1);
  EXPECT_THAT(asked_, SizeIs(1));  // one at a time
  Answer("One burger.", "burger");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].user_input, "a cola");
  EXPECT_THAT(asked_[1].context.previous_turns, SizeIs(1));
  EXPECT_THAT(spoken_, IsEmpty());  // nothing that the next turn would cut off
  Answer("One cola.", "cola");
  EXPECT_THAT(intents_, SizeIs(2));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, "One burger.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_EQ(spoken_[1].text, "One cola.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  ASSERT_THAT(reports_, SizeIs(2));
  for (const TurnReport& report : reports_) {
    EXPECT_EQ(report.outcome, "answered");
    EXPECT_EQ(report.endpointing + report.stt + report.queued + report.brain + report.tools_total +
                  report.held + report.tts,
              report.total);
  }
}

TEST_F(ConversationTest, ATextThatComesBeforeTheAnswerSoundsDoesNotSwallowIt) {
  Utter("a burger please");
  Answer("One burger.", "burger");
  ASSERT_THAT(spoken_, SizeIs(1));
  const std::string silent = spoken_[0].request_id;
  Type("a cola", 1);  // nothing has been heard yet
  ASSERT_THAT(cancelled_, SizeIs(1));
  EXPECT_EQ(cancelled_[0].request_id, silent);
  Answer("One cola.", "cola");
  ASSERT_THAT(spoken_, SizeIs(2));
  EXPECT_EQ(spoken_[1].text, "One burger.");
  EXPECT_EQ(spoken_[1].turn_index, talk_.turn_index());
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  EXPECT_EQ(spoken_.back().text, "One cola.");
  // Who floods the kiosk with texts does not have to hear all of it.
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  for (uint64_t i = 10; i < 30; ++i) Type(absl::StrCat("text ", i), i);
  for (uint64_t i = 10; i < 30; ++i) Answer(absl::StrCat("Answer ", i, "."));
  const size_t before = spoken_.size();
  for (int i = 0; i < 30; ++i) {
    Sound(Ms(500));
    Wait(Ms(600));
  }
  EXPECT_LE(spoken_.size(), before + 3);
  EXPECT_EQ(spoken_.back().text, "Answer 29.");
}

TEST_F(ConversationTest, AFalseInterruptionResumesTheAnswersBehindIt) {
  Utter("a burger please");
  Type("a cola", 1);
  Answer("One burger. Anything else with it?", "burger");
  Answer("One cola.", "cola");
  Sound(absl::Seconds(6));
  Wait(absl::Seconds(1));
  Speak(Ms(500));
  ASSERT_THAT(cancelled_, SizeIs(1));
  Wait(absl::Seconds(1.2));
  Final("");
  Wait(absl::Seconds(1));
  EXPECT_THAT(spoken_.back().text, testing::EndsWith("Anything else with it? One cola."));
}

TEST_F(ConversationTest, LaughterAndHmmAreNoWords) {
  for (const char* sound : {"ha ha ha", "hmm", "um"}) {
    Speak(Ms(400));
    Wait(absl::Seconds(4));
    Final(sound);
  }
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(finals_, IsEmpty());
  EXPECT_THAT(spoken_, IsEmpty());
  // Nor do they change what has been said.
  Utter("two burgers please");
  Speak(Ms(400), false);
  Answer("Two burgers.", "two burgers");
  Silence(now() - Ms(400));
  Wait(absl::Seconds(3.5));
  Final("hmm");
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(intents_, SizeIs(1));
}

class DoubtTest : public ConversationTest {
 protected:
  DoubtTest() { options_.min_confidence = 0.4; }
};

TEST_F(DoubtTest, WordsThatMayBeWrongAreAskedBackAndCountAfterAYes) {
  Utter("two burgers please", 0.39);
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(intents_, IsEmpty());
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, "Sorry, did you say: two burgers please?");
  Sound(absl::Seconds(2));
  Wait(absl::Seconds(3));
  ASSERT_THAT(reports_, SizeIs(1));
  EXPECT_EQ(reports_[0].outcome, "doubted");
  EXPECT_EQ(reports_[0].endpointing + reports_[0].stt + reports_[0].queued + reports_[0].held +
                reports_[0].brain + reports_[0].tts,
            reports_[0].total);
  EXPECT_THAT(counts_, testing::Contains(metric_names::kDoubtedWords));
  Utter("yes please");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "two burgers please");
  // The same confidence is enough; no word of a recogniser about it as well.
  Answer("Two burgers.");
  Sound(Ms(100));
  Wait(absl::Seconds(1));
  Utter("a cola", 0.4);
  EXPECT_THAT(asked_, SizeIs(2));
}

TEST_F(DoubtTest, ANoIsNotAnOrder) {
  Utter("two burgers please", 0.1);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Utter("no");
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_EQ(spoken_.back().text, options_.phrases.say_again);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Utter("yes");  // to nothing any more
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "yes");
}

TEST_F(DoubtTest, OtherWordsTakeThePlaceOfThoseThatWereDoubted) {
  Utter("two burgers please", 0.1);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Utter("no i said two colas");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "two colas");
}

TEST_F(DoubtTest, ADoubtfulYesIsNoYesAndThereIsAnEnd) {
  Utter("two burgers please", 0.1);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Utter("yes", 0.1);
  EXPECT_EQ(spoken_.back().text, "Sorry, did you say: two burgers please?");
  EXPECT_THAT(spoken_, SizeIs(2));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Utter("yes", 0.1);
  EXPECT_EQ(spoken_.back().text, options_.phrases.not_understood);
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(DoubtTest, DoubtsAboutWhatFollowsDoNotSpoilTheAnswer) {
  Utter("two burgers please");
  Speak(absl::Seconds(1), false);
  Answer("Two burgers.", "two burgers");
  EXPECT_THAT(intents_, IsEmpty());
  Silence(now() - absl::Seconds(1));
  Partial("and a unicorn");
  Wait(absl::Seconds(3));
  Understand(utterance_, "and a unicorn", true, 0.1);
  EXPECT_THAT(intents_, SizeIs(1));
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(spoken_.back().text, "Two burgers.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.1));
  EXPECT_EQ(spoken_.back().text, "Sorry, did you say: and a unicorn?");
}

TEST_F(DoubtTest, WhoTypesOrLeavesIsNotAskedBackAnyMore) {
  Utter("two burgers please", 0.1);
  Type("a cola", 1);
  Answer("One cola.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(3));
  Utter("yes");
  EXPECT_EQ(asked_.back().user_input, "yes");
  Answer("");
  Utter("two burgers please", 0.1);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(1.5));
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kTimeout));
  Utter("yes");
  EXPECT_EQ(asked_.back().user_input, "yes");
}

TEST_F(ConversationTest, SoundThatIsRefusedIsAskedAboutAtOnce) {
  Speak(absl::Seconds(1));
  Wait(absl::Seconds(1));
  ASSERT_TRUE(Ended());
  Take(talk_.OnUtteranceFailed(now(), utterance_, true));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.phrases.not_understood);
  EXPECT_TRUE(results_.back().worked);  // the recogniser is well
  Final("too late");
  EXPECT_THAT(asked_, IsEmpty());
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  // And when no recogniser survives the sound.
  Speak(absl::Seconds(1), false);
  Take(talk_.OnUtteranceFailed(now(), utterance_, false));
  EXPECT_EQ(spoken_.back().text, options_.phrases.stt_failed);
  EXPECT_FALSE(results_.back().worked);
  Take(talk_.OnUtteranceFailed(now(), "another one", false));
  EXPECT_THAT(spoken_, SizeIs(2));
}

TEST_F(ConversationTest, AllergiesThatTheOrchestratorKnowsAreInTheFirstRequest) {
  known_ = {"session-9", {"peanuts"}, {"vegan"}};
  Type("a brownie", 1);
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(talk_.kiosk_session(), "session-9");
  EXPECT_THAT(asked_[0].context.exclude_allergens, ElementsAre("peanuts"));
  EXPECT_THAT(asked_[0].context.dietary_filters, ElementsAre("vegan"));
  // The brain did not answer: told again. Then its dialogue knows.
  Wait(absl::Seconds(3));
  EXPECT_THAT(texts_done_, ElementsAre(1));
  Type("a brownie", 2);
  EXPECT_THAT(asked_[1].context.exclude_allergens, ElementsAre("peanuts"));
  Answer("One brownie.");
  Type("a cola", 3);
  EXPECT_THAT(asked_[2].context.exclude_allergens, IsEmpty());
  EXPECT_TRUE(asked_[2].context.dialogue.has_value());
  EXPECT_EQ(sessions_asked_, 1);
  Answer("One cola.");
  Sound(absl::Seconds(1));
  // The customer touched the screen for a while; the kiosk's session is the same.
  Wait(options_.conversation_timeout + absl::Seconds(20));
  EXPECT_THAT(over_, SizeIs(1));
  Utter("a burger please");
  EXPECT_THAT(asked_.back().context.exclude_allergens, ElementsAre("peanuts"));
}

TEST_F(ConversationTest, TheFirstWordsWaitForTheSessionButNotForEver) {
  orchestrator_answers_ = false;
  known_ = {"session-9", {"peanuts"}, {}};
  Type("a brownie", 1);
  Wait(Ms(490));
  EXPECT_THAT(asked_, IsEmpty());
  Wait(Ms(20));
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_THAT(asked_[0].context.exclude_allergens, IsEmpty());
  Answer("One brownie.");
  Take(talk_.OnKioskSession(now(), nullptr));
  Type("a cola", 2);  // asks again, and waits for nothing
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(sessions_asked_, 2);
  Answer("One cola.");
  Take(talk_.OnKioskSession(now(), &known_));
  Type("fries", 3);
  EXPECT_THAT(asked_[2].context.exclude_allergens, ElementsAre("peanuts"));
  EXPECT_EQ(sessions_asked_, 2);
}

TEST_F(ConversationTest, WhatTheOrchestratorKnowsOfAnotherSessionIsNotThisCustomers) {
  orchestrator_answers_ = false;
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCancelled));
  // The answer of a standby that is behind.
  const KioskSession old = {"session-1", {"peanuts"}, {}};
  Type("a brownie", 1);
  Take(talk_.OnKioskSession(now(), &old));
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(talk_.kiosk_session(), "");
  EXPECT_THAT(asked_[0].context.exclude_allergens, IsEmpty());
}

TEST_F(ConversationTest, AnAnswerThatComesAfterTheSessionReachesNobody) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Utter("a burger please");
  Type("a cola", 1);
  Type("fries", 2);
  ASSERT_THAT(asked_, SizeIs(1));
  const messages::BrainRequest old = asked_[0];
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kTimeout));
  EXPECT_THAT(over_, SizeIs(1));
  EXPECT_THAT(texts_done_, ElementsAre(1, 2));
  Take(talk_.OnKioskSessionStarted(now(), "session-2"));
  const size_t said = spoken_.size();
  AnswerTo(old, "One burger.", "burger");
  EXPECT_THAT(intents_, IsEmpty());
  EXPECT_THAT(spoken_, SizeIs(said));
  EXPECT_THAT(asked_, SizeIs(1));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Utter("hello");
  EXPECT_EQ(asked_.back().session_id, "session-2");
  EXPECT_THAT(asked_.back().context.previous_turns, IsEmpty());
  EXPECT_FALSE(asked_.back().context.dialogue.has_value());
}

TEST_F(ConversationTest, WhatIsStillBeingSaidIsNotForTheNextCustomer) {
  known_ = {"session-1", {"peanuts"}, {}};
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Turn("what is vegan", "We have the Plant Power Burger. We have the Oat Shake. And much more.");
  Sound(absl::Seconds(8));
  Wait(absl::Seconds(1));
  const std::string old = spoken_.back().request_id;
  known_ = {"session-2", {}, {}};
  Take(talk_.OnKioskSessionStarted(now(), "session-2"));  // the end of the other was not seen
  ASSERT_THAT(cancelled_, SizeIs(1));
  EXPECT_EQ(cancelled_[0].request_id, old);
  EXPECT_EQ(cancelled_[0].reason, "session_ended");
  EXPECT_EQ(spoken_.back().text, options_.phrases.greeting);
  EXPECT_EQ(spoken_.back().session_id, "session-2");
  EXPECT_GT(spoken_.back().turn_index, spoken_[spoken_.size() - 2].turn_index);
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Utter("a brownie please");
  EXPECT_THAT(asked_.back().context.exclude_allergens, IsEmpty());
  EXPECT_THAT(asked_.back().context.previous_turns, IsEmpty());
  // The last words of a session that has ended, likewise.
  Answer("Goodbye!");
  Sound(absl::Seconds(5));
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCancelled));
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
  Take(talk_.OnKioskSessionStarted(now(), "session-3"));
  EXPECT_THAT(cancelled_, SizeIs(2));
}

TEST_F(ConversationTest, AnInterruptedAnswerIsNotResumedForTheNextCustomer) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Turn("what is vegan", "We have the Plant Power Burger. We have the Oat Shake.");
  Sound(absl::Seconds(8));
  Wait(absl::Seconds(1));
  Speak(Ms(500));
  const size_t said = spoken_.size();
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kTimeout));
  Wait(absl::Seconds(10));
  EXPECT_THAT(spoken_, SizeIs(said));
}

TEST_F(ConversationTest, WordsThatWereBegunInASessionThatEndedAreNotTheNextCustomers) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Speak(absl::Seconds(1));
  Partial("a burger please");
  Wait(absl::Seconds(1));
  ASSERT_TRUE(Ended());
  const std::string ended = utterance_;
  Speak(absl::Seconds(1), false);
  Partial("and a");
  const std::string open = utterance_;
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCancelled));
  EXPECT_THAT(dropped_, testing::UnorderedElementsAre(ended, open));
  Understand(ended, "a burger please", true);
  GoOn(absl::Seconds(1));  // "... cola"
  EXPECT_EQ(utterance_, open) << "the rest of the sentence is nobody's";
  Silence(now() - absl::Seconds(1));
  Wait(absl::Seconds(5));
  EXPECT_THAT(asked_, IsEmpty());
  Utter("hello");
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "hello");
}

TEST_F(ConversationTest, WhoSpeaksAfterThePaymentMayBeTheNextCustomer) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Take(talk_.OnOrderCompleted(now(), "42"));
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(5));
  SpeakAcrossTheEndOfAPaidOrder("a burger please");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_NE(asked_[0].session_id, "session-1");
}

TEST_F(ConversationTest, SoMayWhoseConversationBeganAfterThePayment) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Sound(absl::Seconds(1));
  Wait(options_.conversation_timeout + absl::Seconds(1));
  ASSERT_FALSE(talk_.active());
  SpeakAcrossTheEndOfAPaidOrder("a burger please");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "a burger please");
}

TEST_F(ConversationTest, APaymentThatFailedIsSaidEvenWhenTheCustomerSpeaks) {
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  Utter("pay please");
  Answer("Please tap or insert your card.");
  ASSERT_THAT(spoken_, Not(IsEmpty()));
  // In place of what is being said.
  Take(talk_.OnPaymentFailed(now(), "Your card was declined.", true));
  EXPECT_EQ(cancelled_.back().reason, "superseded");
  EXPECT_EQ(spoken_.back().text, "Your card was declined. Say pay when you are ready.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  const size_t before = spoken_.size();
  Speak(absl::Seconds(1), false);
  Take(talk_.OnPaymentFailed(now(), "Please see our staff.", false));
  EXPECT_THAT(spoken_, SizeIs(before));
  Silence(now() - absl::Seconds(1));
  Partial("what");
  Wait(absl::Seconds(3));
  Final("what");
  Answer("I said it was declined.");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(5));
  EXPECT_THAT(spoken_, Contains(Field(&messages::TtsRequest::text, "Please see our staff.")));
}

TEST_F(ConversationTest, AParticipantWhoLeavesTakesTheQuestionsAlong) {
  Take(talk_.OnParticipantJoined(now(), {"RM_1", "PA_1", "user-123", "", "session-456"}));
  Utter("a burger please");
  Type("a cola", 1);
  const messages::BrainRequest old = asked_.back();
  Take(talk_.OnUserLeft(now(), "user_left"));
  EXPECT_THAT(texts_done_, ElementsAre(1));
  AnswerTo(old, "One burger.", "burger");
  EXPECT_THAT(intents_, IsEmpty());
  EXPECT_THAT(spoken_, IsEmpty());
  EXPECT_TRUE(talk_.idle());
}

TEST_F(ConversationTest, TypingWhileTheCustomerSpeaks) {
  Speak(absl::Seconds(1), false);
  Type("a cola", 1);
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "a cola");
  EXPECT_EQ(talk_.state(), VoiceStateName::kListening);
  Silence(now() - absl::Seconds(1));
  Partial("a burger please");
  Wait(Ms(400));
  Final("a burger please");
  EXPECT_THAT(asked_, SizeIs(1));
  Answer("One cola.", "cola");
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].user_input, "a burger please");
  Answer("One burger.", "burger");
  EXPECT_EQ(spoken_.back().turn_index, talk_.turn_index());
}

TEST_F(ConversationTest, PreviousTurnsAreBounded) {
  for (uint64_t i = 1; i <= 25; ++i) {
    Type(absl::StrCat("text ", i), i);
    Answer("Done.");
  }
  EXPECT_THAT(asked_.back().context.previous_turns, SizeIs(options_.max_previous_turns));
  EXPECT_EQ(asked_.back().context.previous_turns.back().user, "text 24");
}

TEST_F(ConversationTest, TheKiosksSession) {
  Take(talk_.OnKioskSessionStarted(now(), "session-9"));
  ASSERT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(spoken_[0].text, options_.phrases.greeting);
  ASSERT_THAT(started_, SizeIs(1));
  EXPECT_EQ(started_[0].session_id, "session-9");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(2));
  Turn("a burger please", "One burger.");
  EXPECT_EQ(asked_[0].session_id, "session-9");
  Sound(absl::Seconds(5));
  Wait(absl::Seconds(1));
  Take(talk_.OnOrderCompleted(now(), "42"));
  EXPECT_EQ(spoken_.back().text, "Thank you. Your order number is 42.");
  Sound(absl::Seconds(3));
  Wait(absl::Seconds(1));
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCompleted));
  ASSERT_THAT(over_, SizeIs(1));
  EXPECT_EQ(over_[0].session_id, "session-9");
  EXPECT_EQ(over_[0].reason, "order_ended");
  EXPECT_EQ(over_[0].final_status, "completed");
  EXPECT_EQ(over_[0].total_turns, 1);
  EXPECT_GT(over_[0].duration_seconds, 5);
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);  // the last words are heard to the end
  Wait(absl::Seconds(3));
  EXPECT_TRUE(talk_.idle());
  // The next customer's words know nothing of it.
  Type("hello", 1);
  EXPECT_THAT(asked_.back().context.previous_turns, IsEmpty());
  EXPECT_FALSE(asked_.back().context.dialogue.has_value());
  EXPECT_NE(asked_.back().conversation_id, asked_.front().conversation_id);
}

TEST_F(ConversationTest, WhoSpeaksFirstIsNotGreeted) {
  Type("a burger", 1);
  Answer("One burger.", "burger");
  Take(talk_.OnKioskSessionStarted(now(), "session-1"));
  EXPECT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(talk_.kiosk_session(), "session-1");
  // A further session whose predecessor's end was lost.
  Take(talk_.OnKioskSessionStarted(now(), "session-2"));
  EXPECT_THAT(over_, SizeIs(1));
  EXPECT_THAT(started_, SizeIs(2));
}

TEST_F(ConversationTest, ACancelledOrderIsCancelled) {
  Type("cancel my order", 1);
  Answer("Your order is cancelled. Goodbye!", "cancel");
  Take(talk_.OnKioskSessionEnded(now(), messages::EndReason::kCancelled));
  EXPECT_EQ(over_[0].final_status, "cancelled");
  EXPECT_THAT(cancelled_, IsEmpty());
}

TEST_F(ConversationTest, AnEndlessUtteranceIsCut) {
  Speak(absl::Seconds(31), false);
  EXPECT_THAT(ended_at_, SizeIs(1));
  const std::string first = ended_at_.begin()->first;
  EXPECT_NE(utterance_, first);  // and goes on in another
  Partial("the second");
  Understand(first, "the first half", true);
  EXPECT_THAT(asked_, IsEmpty());
  Silence(now() - absl::Seconds(1));
  Partial("the second half please");
  Wait(absl::Seconds(1));
  Final("the second half please");
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].user_input, "the first half the second half please");
}

TEST_F(ConversationTest, SoundThatGoesOnAfterTheWordsDoesNotKeepTheCustomerWaiting) {
  Speak(absl::Seconds(2), false);
  Partial("a burger please");
  GoOn(absl::Seconds(3.9));  // a crowd behind
  EXPECT_FALSE(Ended());
  const std::string first = utterance_;
  GoOn(absl::Seconds(0.2));
  EXPECT_THAT(ended_at_, SizeIs(1));
  EXPECT_NE(utterance_, first);
  Understand(first, "a burger please", true);
  ASSERT_THAT(asked_, SizeIs(1));
  Answer("One burger.", "burger");
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
  Sound(absl::Seconds(3));
  // The crowd does not interrupt; words do.
  GoOn(absl::Seconds(1));
  EXPECT_THAT(cancelled_, IsEmpty());
  Partial("no wait");
  EXPECT_THAT(cancelled_, SizeIs(1));
  EXPECT_EQ(talk_.state(), VoiceStateName::kListening);
}

TEST_F(ConversationTest, SoundWithoutWordsHoldsAnAnswerForAMomentOnly) {
  Speak(absl::Seconds(1));
  Partial("two burgers please");
  Wait(Ms(400));
  Final("two burgers please");
  Speak(Ms(300), false);
  Answer("Two burgers.", "two burgers");
  EXPECT_THAT(intents_, IsEmpty());
  GoOn(Ms(1490));
  EXPECT_THAT(intents_, IsEmpty());
  GoOn(Ms(20));
  EXPECT_THAT(intents_, SizeIs(1));
  EXPECT_THAT(spoken_, SizeIs(1));
  EXPECT_EQ(talk_.state(), VoiceStateName::kSpeaking);
}

TEST_F(ConversationTest, ARecogniserThatEndsBeforeTheCustomerDoes) {
  Speak(absl::Seconds(1), false);
  Final("a burger");
  Wait(kTick);
  Take(talk_.OnSpeechContinues(now(), absl::Seconds(1)));
  Silence(now() - absl::Seconds(1));
  Partial("with cheese please");
  Wait(absl::Seconds(2));
  Final("with cheese please");
  EXPECT_EQ(asked_.back().user_input, "a burger with cheese please");
}

TEST_F(ConversationTest, LiveKitParticipant) {
  Take(talk_.OnParticipantJoined(now(), {"RM_1", "PA_1", "user-123", "", "session-456"}));
  ASSERT_THAT(started_, SizeIs(1));
  EXPECT_EQ(started_[0].user_id, "user-123");
  EXPECT_EQ(started_[0].session_id, "session-456");
  EXPECT_EQ(started_[0].room_sid, "RM_1");
  Turn("a burger please", "One burger.");
  EXPECT_EQ(asked_[0].user_id, "user-123");
  Sound(absl::Seconds(1));
  Wait(absl::Seconds(60));
  Take(talk_.OnUserLeft(now(), "user_left"));
  ASSERT_THAT(over_, SizeIs(1));
  EXPECT_EQ(over_[0].reason, "user_left");
  EXPECT_EQ(over_[0].user_id, "user-123");
  EXPECT_EQ(over_[0].total_turns, 1);
  EXPECT_EQ(over_[0].duration_seconds, 64);
}

TEST_F(ConversationTest, TheAgentEnds) {
  Type("a burger", 1);
  Answer("One burger.", "burger");
  Take(talk_.OnStop(now()));
  ASSERT_THAT(over_, SizeIs(1));
  EXPECT_EQ(over_[0].reason, "agent_stopped");
}

}  // namespace
}  // namespace arc::voice
