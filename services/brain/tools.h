// The other agents as tools of the brain: what it may ask for while it answers one request, and the record of
// what it asked.
#ifndef ARC_SERVICES_BRAIN_TOOLS_H_
#define ARC_SERVICES_BRAIN_TOOLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/call.h"
#include "common/clock/clock.h"
#include "common/messages/brain.h"
#include "common/messages/menu.h"
#include "common/messages/recsys.h"
#include "common/messages/ui.h"
#include "services/brain/lexicon.h"

namespace arc::brain {

// Calls wait for their answer, at most for `timeout`. Thread-safe. Errors are those of the agents
// (common/status) or Unavailable and DeadlineExceeded.
class Tools {
 public:
  virtual ~Tools() = default;
  virtual absl::StatusOr<messages::ListResponse> List(const messages::ListRequest& request,
                                                      absl::Duration timeout) = 0;
  virtual absl::StatusOr<messages::SearchResponse> Search(const messages::SearchRequest& request,
                                                          absl::Duration timeout) = 0;
  // All at once; one answer an id, in their order.
  virtual std::vector<absl::StatusOr<messages::MenuItem>> Details(const std::vector<int64_t>& ids,
                                                                  absl::Duration timeout) = 0;
  virtual absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request,
                                                            absl::Duration timeout) = 0;
  virtual absl::StatusOr<messages::SnapshotResponse> Snapshot(absl::Duration timeout) = 0;
};

// The tools on the bus, on the durable path; for one request's session, trace and kiosk. `bus` must outlive
// it. Not to be used on a thread of the bus.
class BusTools : public Tools {
 public:
  BusTools(bus::Bus& bus, bus::CallContext context) : bus_(bus), context_(std::move(context)) {}

  absl::StatusOr<messages::ListResponse> List(const messages::ListRequest& request,
                                              absl::Duration timeout) override;
  absl::StatusOr<messages::SearchResponse> Search(const messages::SearchRequest& request,
                                                  absl::Duration timeout) override;
  std::vector<absl::StatusOr<messages::MenuItem>> Details(const std::vector<int64_t>& ids,
                                                          absl::Duration timeout) override;
  absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request,
                                                    absl::Duration timeout) override;
  absl::StatusOr<messages::SnapshotResponse> Snapshot(absl::Duration timeout) override;

 private:
  bus::CallContext With(absl::Duration timeout) const;

  bus::Bus& bus_;
  const bus::CallContext context_;
};

// Tools with a deadline and a record of what was called, when, and how long it took. One entry for details
// that were asked for at once. After the deadline nothing is called and all answers are DeadlineExceeded.
// No tool may use up the deadline: each has a share of what is left (kToolShare; kOfferShare for
// suggestions), and an agent that let it pass is not asked again for the same request. Used by one thread.
class ToolLog {
 public:
  static constexpr double kToolShare = 0.4;
  static constexpr double kOfferShare = 0.2;

  ToolLog(Tools& tools, Clock& clock, absl::Time start, absl::Time deadline)
      : tools_(tools), clock_(clock), start_(start), deadline_(deadline) {}

  absl::StatusOr<messages::ListResponse> List(const messages::ListRequest& request);
  absl::StatusOr<messages::SearchResponse> Search(const messages::SearchRequest& request);
  std::vector<absl::StatusOr<messages::MenuItem>> Details(const std::vector<int64_t>& ids);
  absl::StatusOr<messages::SuggestResponse> Suggest(const messages::SuggestRequest& request);
  absl::StatusOr<messages::SnapshotResponse> Snapshot();

  absl::Time now() const { return clock_.Now(); }
  absl::Time deadline() const { return deadline_; }
  absl::Duration left() const { return deadline_ - clock_.Now(); }
  bool late() const { return left() <= absl::ZeroDuration(); }

  const std::vector<messages::ToolSpan>& spans() const { return spans_; }
  absl::Duration spent() const { return spent_; }  // waiting for tools

 private:
  template <class F>
  auto Record(absl::string_view tool, double share, F call) -> decltype(call(absl::Duration()));

  Tools& tools_;
  Clock& clock_;
  const absl::Time start_;
  const absl::Time deadline_;
  std::vector<messages::ToolSpan> spans_;
  absl::Duration spent_;
  bool menu_hangs_ = false;
};

// The menu as the tools answered it, kept for a short time so that not every sentence asks for it again.
// Thread-safe.
class MenuCache {
 public:
  struct Options {
    absl::Duration list_age = absl::Seconds(2);      // how old names, prices and availability may be
    absl::Duration details_age = absl::Seconds(30);  // how old synonyms and customisations may be
    absl::Duration stale_age = absl::Minutes(5);     // how old the menu may be while its agent is silent
    size_t max_detailed = 400;                       // a larger menu is grounded by search alone
  };
  MenuCache() : MenuCache(Options()) {}
  explicit MenuCache(Options options) : options_(options) {}

  // The menu's words, asking for what is too old. When no answer comes, the menu as it was last, at most
  // `stale_age` old; an error when there is none.
  absl::StatusOr<std::shared_ptr<const Lexicon>> Get(ToolLog& tools);

  // Whole items, at most `list_age` old: for what is ordered or asked about.
  std::vector<absl::StatusOr<messages::MenuItem>> Fresh(const std::vector<int64_t>& ids, ToolLog& tools);

 private:
  struct Known {
    messages::MenuItem item;
    absl::Time at;
  };

  const Options options_;
  std::mutex mutex_;
  std::string list_text_;  // as answered last
  absl::Time list_at_ = absl::InfinitePast();
  absl::Time details_at_ = absl::InfinitePast();
  std::shared_ptr<const Lexicon> lexicon_;
  absl::flat_hash_map<int64_t, Known> known_;
};

}  // namespace arc::brain

#endif  // ARC_SERVICES_BRAIN_TOOLS_H_
