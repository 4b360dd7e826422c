#include "common/provision/topology.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc::provision {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSmall[] = R"({
  "streams": [{"name": "Q", "subjects": ["q.>"], "retention": "workqueue", "storage": "memory", "max_age": "5m"}],
  "buckets": [{"name": "B", "history": 3, "ttl": "1m"}],
  "consumers": [{"stream": "Q", "agent": "a", "durable_name": "a-consumer", "filter_subject": "q.a.*",
                 "ack_wait": "5s", "max_deliver": 3}],
  "kiosk_consumers": [{"stream": "Q", "agent": "a", "durable_name": "a-consumer-{kiosk_id}",
                       "filter_subject": "q.a.*.{kiosk_id}", "ack_wait": "5s", "max_deliver": 3}]
})";

absl::StatusOr<Topology> ParseWith(absl::string_view from, absl::string_view to) {
  const std::string text = absl::StrReplaceAll(kSmall, {{from, to}});
  EXPECT_NE(text, kSmall) << "\"" << from << "\" is not in the text";
  return ParseTopology(text);
}

const StreamConfig* Find(const Topology& topology, absl::string_view name) {
  for (const StreamConfig& stream : topology.streams) {
    if (stream.name == name) return &stream;
  }
  return nullptr;
}

TEST(DefaultTopology, IsTheKioskSpecificationsSections4And9) {
  const auto topology = ParseTopology(DefaultTopologyText());
  ASSERT_THAT(topology, IsOk());
  const StreamConfig* events = Find(*topology, "KIOSK_EVENTS");
  ASSERT_NE(events, nullptr);
  EXPECT_THAT(events->subjects, ElementsAre("kiosk.vision.>", "kiosk.voice.>", "kiosk.input.>",
                                            "kiosk.session.>", "kiosk.ui.>"));
  EXPECT_EQ(events->retention, "limits");
  EXPECT_EQ(events->max_age, 86'400'000'000'000);
  EXPECT_EQ(events->max_msgs, 100000);
  EXPECT_EQ(events->storage, "file");
  EXPECT_EQ(events->num_replicas, 1);
  EXPECT_FALSE(events->no_ack);

  const StreamConfig* commands = Find(*topology, "KIOSK_COMMANDS");
  ASSERT_NE(commands, nullptr);
  EXPECT_THAT(commands->subjects, ElementsAre("kiosk.agent.>", "kiosk.hardware.>"));
  EXPECT_EQ(commands->retention, "workqueue");
  EXPECT_EQ(commands->max_age, 300'000'000'000);
  EXPECT_EQ(commands->storage, "memory");
  EXPECT_TRUE(commands->no_ack);

  EXPECT_THAT(topology->buckets, ElementsAre("KIOSK_MENU", "KIOSK_SESSIONS", "KIOSK_PAYMENTS",
                                             "KIOSK_RECEIPTS", "KIOSK_RECSYS"));
  std::map<std::string, ConsumerConfig> consumers;
  for (const Consumer& consumer : topology->consumers)
    consumers[consumer.config.durable_name] = consumer.config;
  const ConsumerConfig& menu = consumers["menu-agent-consumer"];
  EXPECT_EQ(menu.deliver_policy, "all");
  EXPECT_EQ(menu.ack_policy, "explicit");
  EXPECT_EQ(menu.max_deliver, 3);
  EXPECT_EQ(menu.ack_wait, 5'000'000'000);
  const ConsumerConfig& payment = consumers["payment-agent-consumer"];
  EXPECT_EQ(payment.max_deliver, 1);
  EXPECT_EQ(payment.ack_wait, 30'000'000'000);
}

TEST(DefaultTopology, ItsReservationsFitTheServersStorage) {
  const auto topology = ParseTopology(DefaultTopologyText());
  ASSERT_THAT(topology, IsOk());
  int64_t reserved = 0;
  for (const StreamConfig& stream : topology->streams) reserved += std::max<int64_t>(stream.max_bytes, 0);
  // max_file_store is 1 GB, and KIOSK_EVENTS, which reserves nothing, needs the rest.
  EXPECT_LE(reserved, 768 * 1024 * 1024);
}

TEST(ParseTopology, BucketsAreStreamsAsTheServersKeyValueClientsMakeThem) {
  const auto topology = ParseTopology(kSmall);
  ASSERT_THAT(topology, IsOk());
  const StreamConfig* bucket = Find(*topology, "KV_B");
  ASSERT_NE(bucket, nullptr);
  EXPECT_THAT(bucket->subjects, ElementsAre("$KV.B.>"));
  EXPECT_EQ(bucket->max_msgs_per_subject, 3);
  EXPECT_EQ(bucket->max_age, 60'000'000'000);
  EXPECT_EQ(bucket->duplicate_window, 60'000'000'000);  // never longer than max_age
  EXPECT_EQ(bucket->discard, "new");
  EXPECT_FALSE(bucket->allow_rollup_hdrs);
  EXPECT_TRUE(bucket->deny_delete);
  EXPECT_TRUE(bucket->allow_direct);
}

TEST(ParseTopology, NamesWhatIsWrong) {
  const auto wrong = [](absl::string_view message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(message)));
  };
  EXPECT_THAT(ParseTopology("{"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseTopology("{}"), wrong("streams: is required"));
  EXPECT_THAT(
      ParseWith("max_deliver\": 3}],\n  \"kiosk", "max_deliever\": 3, \"max_deliver\": 3}],\n  \"kiosk"),
      wrong("consumers[0].max_deliever: is not a known field"));
  EXPECT_THAT(ParseWith("\"max_age\": \"5m\"", "\"max_age\": \"5 minutes\""), wrong("streams[0].max_age"));
  EXPECT_THAT(ParseWith("\"workqueue\"", "\"work_queue\""), wrong("streams[0].retention"));
  EXPECT_THAT(ParseWith("\"stream\": \"Q\", \"agent\": \"a\", \"durable_name\": \"a-consumer\"",
                        "\"stream\": \"X\", \"agent\": \"a\", \"durable_name\": \"a-consumer\""),
              wrong("consumers[0].stream: there is no stream X"));
  EXPECT_THAT(ParseWith("\"q.a.*\"", "\"r.a.*\""), wrong("Q captures nothing of r.a.*"));
  // A consumer of everything below q.a takes what the kiosks' own consumers are for.
  EXPECT_THAT(ParseWith("\"q.a.*\"", "\"q.a.>\""),
              wrong("a-consumer (q.a.>) and a-consumer-a (q.a.*.a) of Q take the same subjects"));
  EXPECT_THAT(ParseWith("q.a.*.{kiosk_id}", "q.a.*.all"), wrong("must contain {kiosk_id}"));
  EXPECT_THAT(ParseWith("\"buckets\": [", "\"buckets\": [{\"name\": \"B\"}, "), wrong("B stands twice"));
  EXPECT_THAT(ParseWith("\"streams\": [",
                        "\"streams\": [{\"name\": \"R\", \"subjects\": [\"q.b\"], \"retention\": \"limits\", "
                        "\"storage\": \"file\"}, "),
              wrong("R and Q both capture q.b"));
}

TEST(ForKiosk, AddsTheConsumersOfItsSubjects) {
  const auto topology = ParseTopology(kSmall);
  ASSERT_THAT(topology, IsOk());
  const auto with = ForKiosk(*topology, "kiosk-007");
  ASSERT_THAT(with, IsOk());
  ASSERT_THAT(with->consumers, SizeIs(2));
  EXPECT_EQ(with->consumers[1].config.durable_name, "a-consumer-kiosk-007");
  EXPECT_EQ(with->consumers[1].config.filter_subject, "q.a.*.kiosk-007");
  EXPECT_THAT(ForKiosk(*topology, "a.b"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a.b")));
  EXPECT_THAT(ForKiosk(*topology, ""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(WithReplicas, IsOfEveryStreamAndBucket) {
  const auto topology = ParseTopology(DefaultTopologyText());
  ASSERT_THAT(topology, IsOk());
  for (const StreamConfig& stream : WithReplicas(*topology, 3).streams) {
    EXPECT_EQ(stream.num_replicas, 3) << stream.name;
  }
}

TEST(Compare, NamesEveryFieldThatDiffersForPeople) {
  StreamConfig want;
  want.name = "S";
  want.subjects = {"a", "b"};
  want.max_age = 86'400'000'000'000;
  StreamConfig have = want;
  have.description = "somebody else's words";
  EXPECT_THAT(Compare(want, have), IsEmpty());
  have.max_age = 90'000'000'000;
  have.no_ack = true;
  have.subjects = {"a"};
  std::vector<std::string> lines;
  for (const Difference& difference : Compare(want, have)) lines.push_back(difference.ToString());
  EXPECT_THAT(lines, ElementsAre("stream S: subjects is [\"a\"], should be [\"a\",\"b\"]",
                                 "stream S: max_age is 1m30s, should be 24h",
                                 "stream S: no_ack is true, should be false"));

  // More copies are a cluster's; fewer are too few.
  have = want;
  have.num_replicas = 3;
  EXPECT_THAT(Compare(want, have), IsEmpty());
  EXPECT_THAT(Compare(have, want), SizeIs(1));

  ConsumerConfig wanted;
  wanted.durable_name = "d";
  wanted.filter_subject = "a";
  ConsumerConfig found = wanted;
  found.ack_wait = 5'000'000'000;
  ASSERT_THAT(Compare("S", wanted, found), SizeIs(1));
  EXPECT_EQ(Compare("S", wanted, found)[0].ToString(), "consumer S > d: ack_wait is 5s, should be 30s");
}

TEST(ParseTopology, AgentsMayReadTheSameEventsEachForItself) {
  constexpr absl::string_view kEvents = R"({
    "streams": [{"name": "E", "subjects": ["e.>"], "retention": "limits", "storage": "file"}],
    "buckets": [],
    "consumers": [{"stream": "E", "agent": "a", "durable_name": "a-consumer", "filter_subject": "e.>",
                   "ack_wait": "5s", "max_deliver": 3},
                  {"stream": "E", "agent": "b", "durable_name": "b-consumer", "filter_subject": "e.x",
                   "ack_wait": "5s", "max_deliver": 3}],
    "kiosk_consumers": []})";
  EXPECT_THAT(ParseTopology(kEvents), IsOk());
  EXPECT_THAT(ParseTopology(absl::StrReplaceAll(kEvents, {{R"("agent": "b")", R"("agent": "a")"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("take the same subjects")));
  EXPECT_THAT(ParseTopology(absl::StrReplaceAll(kEvents, {{"limits", "workqueue"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("take the same subjects")));
}

TEST(ParseTopology, WhatIsSentMayBeAllOfAStream) {
  constexpr absl::string_view kSent = R"({
    "streams": [{"name": "E", "subjects": ["e.>"], "retention": "limits", "storage": "file"}],
    "consumers": [{"stream": "E", "agent": "a", "durable_name": "a-consumer", "deliver_subject": "a.events",
                   "ack_wait": "30s", "max_deliver": -1}]})";
  const auto topology = ParseTopology(kSent);
  ASSERT_THAT(topology, IsOk());
  const ConsumerConfig& wanted = topology->consumers[0].config;
  EXPECT_EQ(wanted.deliver_subject, "a.events");
  EXPECT_EQ(wanted.filter_subject, "");
  ConsumerConfig found = wanted;
  found.max_waiting = 512;  // as it is read where the server says nothing
  EXPECT_THAT(Compare("E", wanted, found), IsEmpty());
  EXPECT_THAT(
      ParseTopology(absl::StrReplaceAll(kSent, {{R"("deliver_subject": "a.events",)", ""}})),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("consumers[0].filter_subject: is needed")));
}

TEST(FindOverlaps, ComparesConsumersOfOneStreamOnly) {
  const auto consumer = [](std::string stream, std::string name, std::string filter) {
    Consumer made;
    made.stream = std::move(stream);
    made.config.durable_name = std::move(name);
    made.config.filter_subject = std::move(filter);
    return made;
  };
  EXPECT_THAT(
      FindOverlaps({consumer("S", "a", "x.*"), consumer("S", "b", "x.*.y"), consumer("T", "c", "x.>")}),
      IsEmpty());
  const auto overlaps =
      FindOverlaps({consumer("S", "a", "x.*"), consumer("S", "b", "x.y"), consumer("S", "c", "")});
  ASSERT_THAT(overlaps, SizeIs(3));
  EXPECT_EQ(overlaps[1].second_filter, ">");
}

TEST(FormatNanoseconds, IsShort) {
  EXPECT_EQ(FormatNanoseconds(86'400'000'000'000), "24h");
  EXPECT_EQ(FormatNanoseconds(300'000'000'000), "5m");
  EXPECT_EQ(FormatNanoseconds(30'000'000'000), "30s");
  EXPECT_EQ(FormatNanoseconds(90'000'000'000), "1m30s");
  EXPECT_EQ(FormatNanoseconds(10 * int64_t{60'000'000'000}), "10m");
  EXPECT_EQ(FormatNanoseconds(20 * int64_t{3'600'000'000'000}), "20h");
  EXPECT_EQ(FormatNanoseconds(0), "0");
}

}  // namespace
}  // namespace arc::provision
