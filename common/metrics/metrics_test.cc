#include "common/metrics/metrics.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace arc {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, CountersAddUpByLabels) {
  Metrics metrics("menu");
  metrics.Increment(metric_names::kRequests, "Requests.", {{"action", "search"}, {"outcome", "ok"}});
  metrics.Increment(metric_names::kRequests, "Requests.", {{"action", "search"}, {"outcome", "ok"}}, 2);
  metrics.Increment(metric_names::kRequests, "Requests.", {{"action", "list"}, {"outcome", "ok"}});
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("# HELP kiosk_agent_requests_total Requests.\n"
                              "# TYPE kiosk_agent_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_requests_total{agent="menu",action="search",outcome="ok"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_requests_total{agent="menu",action="list",outcome="ok"} 1)"));
}

TEST(MetricsTest, GaugesKeepTheLastValue) {
  Metrics metrics("menu");
  metrics.Set("menu_items", "Items.", {}, 5);
  metrics.Set("menu_items", "Items.", {}, 7);
  EXPECT_THAT(metrics.Text(), HasSubstr("menu_items{agent=\"menu\"} 7\n"));
}

TEST(MetricsTest, HistogramsCountMilliseconds) {
  Metrics metrics("menu");
  for (const double value : {0.2, 3.0, 99999.0}) {
    metrics.Observe(metric_names::kLatencyMs, "Latency.", {{"action", "search"}}, value);
  }
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_latency_ms_count{agent="menu",action="search"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_latency_ms_bucket{agent="menu",action="search",le="0.25"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_latency_ms_bucket{agent="menu",action="search",le="5"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_latency_ms_bucket{agent="menu",action="search",le="60000"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(kiosk_agent_latency_ms_bucket{agent="menu",action="search",le="+Inf"} 3)"));
}

TEST(MetricsTest, WhatAHistogramHasCountedCanBeRead) {
  Metrics metrics("menu");
  const Metrics::Labels search = {{"action", "search"}};
  EXPECT_EQ(metrics.Observed(metric_names::kLatencyMs, search).count, 0);
  for (const double value : {0.2, 3.0, 99999.0}) {
    metrics.Observe(metric_names::kLatencyMs, "Latency.", search, value);
  }
  const Histogram observed = metrics.Observed(metric_names::kLatencyMs, search);
  ASSERT_EQ(observed.le.size(), observed.buckets.size());
  EXPECT_THAT(observed.le, ElementsAre(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000,
                                       10000, 30000, 60000));
  EXPECT_THAT(observed.buckets, ElementsAre(0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2));
  EXPECT_EQ(observed.count, 3);
  EXPECT_DOUBLE_EQ(observed.sum, 100002.2);
  const Histogram other = metrics.Observed(metric_names::kLatencyMs, {{"action", "list"}});
  EXPECT_EQ(other.le, observed.le);
  EXPECT_THAT(other.buckets, Each(0));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("list"))) << "asking makes no series";
}

TEST(MetricsTest, CallbacksAreAskedAtEachScrape) {
  Metrics metrics("menu");
  double lag = 1;
  metrics.Callback(metric_names::kQueueLag, "Lag.", false, [&] { return lag; });
  metrics.Callback(metric_names::kReconnects, "Reconnects.", true, [] { return 4; });
  EXPECT_THAT(metrics.Text(),
              HasSubstr("# TYPE kiosk_agent_queue_lag gauge\nkiosk_agent_queue_lag{agent=\"menu\"} 1\n"));
  lag = 2;
  EXPECT_THAT(metrics.Text(), HasSubstr("kiosk_agent_queue_lag{agent=\"menu\"} 2\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("# TYPE kiosk_agent_nats_reconnects_total counter\n"
                                        "kiosk_agent_nats_reconnects_total{agent=\"menu\"} 4\n"));
}

TEST(MetricsTest, CountsFromManyThreads) {
  Metrics metrics("menu");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) metrics.Increment("n", "N.", {{"k", "v"}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(metrics.Text(), HasSubstr("n{agent=\"menu\",k=\"v\"} 4000\n"));
}

}  // namespace
}  // namespace arc
