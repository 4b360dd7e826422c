// The session of a kiosk as a pure state machine (kiosk specification, sections 6.3 to 6.5 and 7; design,
// sections 2 and 3.8): no bus, no clock, no threads. `Step` takes the state, one input, the cached menu and
// the time, and gives the next state with the effects that it wants. The driver (orchestrator.h) stores the
// state before it carries out an effect, so that a crash between the two only repeats effects, which are
// repeatable: every entry of the state's outbox is sent again by whoever takes over.
//
// Nothing here waits: a touch is answered with a screen at once, from what is known, and the answer of an
// agent makes a second one. README.md has the table of transitions.
//
// Everything is a value or const and may be used from any thread.
#ifndef ARC_SERVICES_ORCHESTRATOR_SESSION_H_
#define ARC_SERVICES_ORCHESTRATOR_SESSION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/messages/input.h"
#include "common/messages/menu.h"
#include "common/messages/payment.h"
#include "common/messages/recsys.h"
#include "common/messages/vision.h"
#include "common/messages/voice.h"
#include "services/orchestrator/state.h"

namespace arc::orchestrator {

struct Config {
  absl::Duration idle_warning = absl::Seconds(45);
  absl::Duration idle_timeout = absl::Seconds(60);
  absl::Duration person_left_grace = absl::Seconds(8);
  absl::Duration paid_timeout = absl::Seconds(15);
  absl::Duration error_timeout = absl::Seconds(60);    // of the error screen
  absl::Duration payment_timeout = absl::Seconds(30);  // of one kiosk.agent.payment.process
  absl::Duration payment_poll = absl::Seconds(1);      // between two questions for the status
  absl::Duration payment_trouble = absl::Seconds(15);  // without an answer until the customer is told
  absl::Duration fresh_check = absl::Seconds(1);       // a check of the cart this old is good for a payment
  absl::Duration print_timeout = absl::Minutes(5);     // after the payment a receipt is no longer asked for
  absl::Duration print_grace = absl::Minutes(1);       // but for this long after a new leader took over
  absl::Duration print_repeat = absl::Seconds(5);      // until it is asked for again; doubles each time
  absl::Duration longest_print_repeat = absl::Seconds(30);
  absl::Duration duplicate_window = absl::Minutes(10);  // how long a msg_id is remembered
  int64_t tax_ppm = 0;                                  // of the subtotal, in millionths
  std::string weather;                                  // empty: unknown
  bool text_is_search = true;                      // false: a voice agent turns kiosk.input.text into intents
  absl::TimeZone time_zone = absl::UTCTimeZone();  // of time_of_day and the day of order numbers
};

// The menu as last listed by the menu agent, for screens; never for prices of a cart.
struct MenuView {
  std::string currency = "USD";
  int exponent = 2;
  std::vector<messages::ListCategory> categories;
  std::map<int64_t, messages::SearchItem> items;
  std::map<int64_t, std::string> category_of;
  bool known = false;      // false: no list was ever received
  bool truncated = false;  // categories have to be asked for one by one
  absl::Time fetched_at = absl::InfinitePast();

  static absl::StatusOr<MenuView> FromList(const messages::ListResponse& list, absl::Time now);
};

// Time has come for something: which, the state knows.
struct Tick {};

// The menu is another one than before, such as by a dish that has sold out: the screen may look otherwise
// now.
struct MenuNews {};

// Somebody took over this kiosk: what may have been lost with the predecessor is done again.
struct Recover {
  int64_t epoch = 0;
};

// The answer to a command of the outbox. Which member is set follows from the effect's kind; none for led.
struct CommandResult {
  int64_t effect_id = 0;
  absl::Status status;  // not OK: no member is set
  std::optional<messages::SearchResponse> search;
  std::optional<DetailsAnswer> details;
  std::optional<messages::ListResponse> list;
  std::optional<messages::SuggestResponse> suggest;
  std::optional<messages::PaymentOutcome> payment;
};

using InputBody = std::variant<messages::Touch, messages::CartAction, messages::TextInput,
                               messages::CardInput, messages::PersonDetected, messages::PersonLeft,
                               messages::GazeDetected, messages::SpeechStart, messages::Transcript,
                               messages::Intent, Tick, MenuNews, Recover, CommandResult>;

// The durables that events come from, as indices of KioskState::progress.
enum class Source { kInput = 0, kVision = 1, kVoice = 2 };
inline constexpr size_t kSources = 3;

// Where an event came from. Ticks, recoveries and results have none.
struct Origin {
  std::string msg_id;      // empty: the sender gave none
  std::string session_id;  // as the sender wrote it, may be empty
  std::string trace_id;
  bool scoped = false;
  Source source = Source::kInput;
  int64_t sequence = 0;
  absl::Time stored_at;
};

struct Input {
  InputBody body;
  std::optional<Origin> origin;
  std::vector<int64_t> completed;  // entries of the outbox that are done (see CompletesByItself)
};

enum class Disposition {
  kApplied,
  kDuplicate,  // was applied before: no effect at all
  kLate,       // belongs to a session that has ended: answered with the current screen
};

struct Transition {
  KioskState state;
  std::vector<Effect> effects;  // new entries of the outbox, in order
  bool persist = true;          // false: only activity was noted, a crash may forget it
  Disposition disposition = Disposition::kApplied;
};

class SessionMachine {
 public:
  explicit SessionMachine(Config config) : config_(std::move(config)) {}

  // A kiosk that was never seen before, in attract. `id_seed` is a fresh UUID.
  KioskState NewKiosk(absl::string_view kiosk_id, absl::string_view id_seed, int64_t slot,
                      absl::Time now) const;

  Transition Step(const KioskState& state, const Input& input, const MenuView& menu, absl::Time now) const;

  // When the next Tick is due; InfiniteFuture when none is.
  absl::Time NextTick(const KioskState& state) const;

  const Config& config() const { return config_; }

 private:
  Config config_;
};

// Takes done entries out of the outbox: events that are stored, LED commands that were answered.
void CompleteEffects(const std::vector<int64_t>& effect_ids, KioskState& state);

// Whether the driver completes an effect by CompleteEffects(); the others are ended by a CommandResult.
bool CompletesByItself(EffectKind kind);

Totals TotalsOf(const std::vector<CartLine>& lines, int64_t tax_ppm);

// An id in the shape of a UUID v4 that follows from `seed` (a random UUID) and `name` alone.
std::string DeriveUuid(absl::string_view seed, absl::string_view name);

// breakfast, lunch, afternoon, dinner or night.
std::string TimeOfDay(absl::Time now, absl::TimeZone zone);

// "A" for slot 0, "Z" for 25, "AA" for 26.
std::string SlotName(int64_t slot);

messages::SnapshotResponse SnapshotOf(const KioskState& state);

}  // namespace arc::orchestrator

#endif  // ARC_SERVICES_ORCHESTRATOR_SESSION_H_
