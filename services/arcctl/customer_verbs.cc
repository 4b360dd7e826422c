// touch, cart, tap, person, and say where no voice agent listens: what a customer does, as the screen, the
// microphone, the card terminal and the camera would report it.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/messages/input.h"
#include "common/messages/ui.h"
#include "common/messages/vision.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/screen_summary.h"

namespace arc::arcctl {
namespace {

struct Screen {
  messages::UiUpdate update;
  json::Raw raw;
};

// What one input led to.
struct InputResult {
  std::string subject;
  std::string msg_id;
  bool stored = true;
  std::optional<json::Raw> screen;
  bool settled = false;                // `screen` is final, as far as it says itself
  std::optional<std::string> refusal;  // why the kiosk did not do it

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("subject", s.subject);
    v.Required("msg_id", s.msg_id);
    v.Required("stored", s.stored);
    v.Nullable("screen", s.screen);
    v.Required("settled", s.settled);
    v.Nullable("refusal", s.refusal);
  }
};

// The value of an enum that has EnumNames(); UsageError lists them.
template <class E>
absl::StatusOr<E> ParseEnum(absl::string_view text, absl::string_view name) {
  const absl::Span<const absl::string_view> names = EnumNames(E{});
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<E>(i);
  }
  return UsageError(absl::StrCat(name, " \"", text, "\" is unknown; there are ", absl::StrJoin(names, ", ")));
}

// Follows this kiosk's screen from its construction on.
class ScreenWatch {
 public:
  explicit ScreenWatch(const Session& session) : session_(session), seen_(std::make_shared<Seen>()) {}

  absl::Status Start() {
    const std::string kiosk = Normalized(session_.kiosk_id);
    const bool scoped = session_.scoped;
    Clock* clock = &session_.bus.clock();
    ASSIGN_OR_RETURN(
        subscription_,
        session_.bus.Subscribe(
            session_.SubjectOf(subjects::kUiUpdate), "",
            [seen = seen_, kiosk, scoped, clock](const bus::Message& message) {
              // Kiosks that share the specification's own subjects tell themselves apart by the header.
              if (!scoped && Normalized(message.headers.Get(subjects::kKioskIdHeader).value_or("")) != kiosk)
                return;
              const absl::StatusOr<ParsedMessage> parsed = ParseMessage(message.body, clock->Now());
              if (!parsed.ok()) return;
              absl::StatusOr<messages::UiUpdate> update = DecodePayload<messages::UiUpdate>(*parsed);
              if (!update.ok()) return;
              std::lock_guard<std::mutex> lock(seen->mutex);
              seen->screen = Screen{*std::move(update), json::Raw{json::Encode(parsed->payload())}};
              seen->changed.notify_all();
            }));
    return absl::OkStatus();
  }

  // The first screen for which `done` holds, or after `timeout` the latest one, if there was any.
  std::optional<Screen> Await(absl::Duration timeout,
                              const std::function<bool(const messages::UiUpdate&)>& done) {
    Clock& clock = session_.bus.clock();
    std::unique_lock<std::mutex> lock(seen_->mutex);
    clock.WaitUntil(lock, seen_->changed, clock.Now() + timeout,
                    [&] { return seen_->screen.has_value() && done(seen_->screen->update); });
    return seen_->screen;
  }

 private:
  struct Seen {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Screen> screen;
  };

  static std::string Normalized(absl::string_view kiosk_id) {
    return std::string(kiosk_id.empty() ? absl::string_view(subjects::kDefaultKioskId) : kiosk_id);
  }

  const Session& session_;
  const std::shared_ptr<Seen> seen_;
  std::unique_ptr<bus::Subscription> subscription_;
};

template <class T>
absl::Status SendInput(Session& session, absl::string_view base, const T& input, bool wait,
                       const std::function<bool(const messages::UiUpdate&)>& done) {
  InputResult result;
  result.subject = session.SubjectOf(base);
  const std::string payload = json::Encode(input);
  // The same checks that the orchestrator makes, before anything is sent.
  const absl::StatusOr<T> valid = json::Decode<T>(payload);
  if (!valid.ok()) return UsageError(valid.status().message());
  ScreenWatch screens(session);
  if (wait) RETURN_IF_ERROR(screens.Start());
  const Envelope envelope = MakeEnvelope(session.bus.clock().Now(), "");
  result.msg_id = envelope.msg_id;
  RETURN_IF_ERROR(PublishInput(session, result.subject, envelope, payload));
  std::optional<Screen> screen;
  if (wait) screen = screens.Await(session.timeout, done);
  if (screen.has_value()) {
    result.screen = screen->raw;
    result.settled = done(screen->update);
    result.refusal = RefusalOn(screen->update);
  }
  if (session.json()) {
    session.Print(json::Encode(result));
  } else if (screen.has_value()) {
    for (const std::string& line : SummarizeScreen(screen->update)) session.Print(line);
  } else {
    session.Print(absl::StrCat("stored on ", result.subject));
  }
  if (wait && !screen.has_value()) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the input is stored, but no screen came of it within ", absl::FormatDuration(session.timeout),
        ": either it changed nothing, or the orchestrator does not run (`arcctl status`)"));
  }
  if (result.refusal.has_value()) return absl::FailedPreconditionError(*result.refusal);
  return absl::OkStatus();
}

absl::Status RunTouch(Session& session) {
  const Arguments& arguments = session.arguments;
  messages::Touch touch;
  ASSIGN_OR_RETURN(touch.action, ParseEnum<messages::TouchAction>(arguments.words()[0], "the action"));
  ASSIGN_OR_RETURN(touch.item_id, arguments.GetInteger("item", 1, json::kMaxId));
  touch.component = arguments.GetOptional("component");
  touch.category = arguments.GetOptional("category");
  touch.query = arguments.GetOptional("query");
  touch.label = arguments.GetOptional("label");
  touch.customizations = arguments.GetAll("customization");
  touch.note = arguments.GetOptional("note");
  touch.loyalty_card = arguments.GetOptional("loyalty_card");
  const auto needs = [&](messages::TouchAction action, bool given, absl::string_view flag) {
    return touch.action == action && !given
               ? UsageError(absl::StrCat("touch ", arguments.words()[0], " needs --", flag))
               : absl::OkStatus();
  };
  using messages::TouchAction;
  RETURN_IF_ERROR(needs(TouchAction::kSelectItem, touch.item_id.has_value(), "item"));
  RETURN_IF_ERROR(needs(TouchAction::kCustomize, touch.item_id.has_value(), "item"));
  RETURN_IF_ERROR(needs(TouchAction::kBrowseCategory, touch.category.has_value(), "category"));
  RETURN_IF_ERROR(needs(TouchAction::kSearch, touch.query.has_value(), "query"));
  RETURN_IF_ERROR(needs(TouchAction::kSuggestedAction, touch.label.has_value(), "label"));
  return SendInput(session, subjects::kTouch, touch, !arguments.Has("no_wait"), IsSettled);
}

absl::Status RunCart(Session& session) {
  const Arguments& arguments = session.arguments;
  messages::CartAction action;
  ASSIGN_OR_RETURN(action.action, ParseEnum<messages::CartActionKind>(arguments.words()[0], "the action"));
  ASSIGN_OR_RETURN(action.item_id, ParseInteger(arguments.words()[1], "ID", 1, json::kMaxId));
  if (arguments.words().size() > 2) {
    ASSIGN_OR_RETURN(action.quantity, ParseInteger(arguments.words()[2], "QTY", 0, 99));
  }
  if (action.action == messages::CartActionKind::kUpdateQty && !action.quantity.has_value()) {
    return UsageError("cart update_qty needs QTY");
  }
  action.customizations = arguments.GetAll("customization");
  action.note = arguments.GetOptional("note");
  return SendInput(session, subjects::kCartAction, action, !arguments.Has("no_wait"), IsSettled);
}

absl::Status RunTap(Session& session) {
  messages::CardInput input;
  input.token = session.arguments.words()[0];
  input.order_id = session.arguments.GetOptional("order");
  // The terminal takes its time; the payment's end shows on another screen.
  return SendInput(
      session, subjects::kCardInput, input, !session.arguments.Has("no_wait"),
      [](const messages::UiUpdate& screen) { return screen.layout_mode != "paying" && IsSettled(screen); });
}

absl::Status RunPerson(Session& session) {
  const Arguments& arguments = session.arguments;
  const std::string& what = arguments.words()[0];
  const bool wait = arguments.Has("wait");
  if (what == "detected") {
    messages::PersonDetected detected;
    ASSIGN_OR_RETURN(const auto party, arguments.GetInteger("party", 1, 1000));
    detected.estimated_party_size = party.value_or(1);
    return SendInput(session, subjects::kPersonDetected, detected, wait, IsSettled);
  }
  if (what == "left") {
    messages::PersonLeft left;
    ASSIGN_OR_RETURN(const absl::Duration stayed, arguments.GetDuration("stayed", absl::Seconds(1)));
    left.duration_seconds = absl::ToDoubleSeconds(stayed);
    return SendInput(session, subjects::kPersonLeft, left, wait, IsSettled);
  }
  return UsageError(absl::StrCat("person \"", what, "\" is unknown; there are detected, left"));
}

}  // namespace

const FlagSpec kNoWait = {"no_wait", "", "do not wait for the screen that comes of it"};

// Publishes an input and waits until the stream has stored it.
absl::Status PublishInput(Session& session, absl::string_view subject, const Envelope& envelope,
                          absl::string_view payload) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable stored;
    std::optional<absl::Status> status;
  };
  auto waiting = std::make_shared<Waiting>();
  bus::PublishEvent(session.bus, subject, envelope, payload, session.kiosk_id,
                    [waiting](absl::Status status) {
                      std::lock_guard<std::mutex> lock(waiting->mutex);
                      waiting->status = std::move(status);
                      waiting->stored.notify_all();
                    });
  std::unique_lock<std::mutex> lock(waiting->mutex);
  waiting->stored.wait(lock, [&] { return waiting->status.has_value(); });
  if (waiting->status->ok()) return absl::OkStatus();
  return Annotate(*waiting->status,
                  "the input was not stored (`arcctl doctor` says what is wrong with the bus)");
}

absl::Status SayAsInput(Session& session, const std::string& text) {
  messages::TextInput input;
  input.text = text;
  return SendInput(session, subjects::kTextInput, input, !session.arguments.Has("no_wait"), IsSettled);
}

void AddCustomerVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec touch;
  touch.name = "touch";
  touch.arguments = "ACTION";
  touch.min_arguments = touch.max_arguments = 1;
  touch.summary = "touch the screen";
  touch.details = absl::StrCat(
      "Actions: ", absl::StrJoin(EnumNames(messages::TouchAction{}), ", "),
      ".\nWaits until the input is stored, then for the screen that comes of it, and prints that.");
  touch.flags = {
      {"item", "ID", "select_item, customize: which item"},
      {"category", "C", "browse_category: a category's id"},
      {"query", "WORDS", "search: the words typed"},
      {"label", "TEXT", "suggested_action: one of the screen's suggested actions"},
      {"customization", "X", "customize: a name from the item's list; may stand more than once", true},
      {"note", "TEXT", "customize: a note for the kitchen"},
      {"loyalty_card", "NUMBER", "checkout, confirm_payment"},
      {"component", "NAME", "what was touched, such as HeroItem"},
      kNoWait};
  verbs.push_back({std::move(touch), RunTouch});

  VerbSpec cart;
  cart.name = "cart";
  cart.arguments = "ACTION ID [QTY]";
  cart.min_arguments = 2;
  cart.max_arguments = 3;
  cart.summary = "put an item into the cart, take it out, change how many";
  cart.details = "Actions: add (1 without QTY), remove (all without QTY), update_qty (0 removes).";
  cart.flags = {{"customization", "X", "a name from the item's list; may stand more than once", true},
                {"note", "TEXT", "a note for the kitchen"},
                kNoWait};
  verbs.push_back({std::move(cart), RunCart});

  VerbSpec tap;
  tap.name = "tap";
  tap.arguments = "TOKEN";
  tap.min_arguments = tap.max_arguments = 1;
  tap.summary = "hold a card to the simulated terminal";
  tap.details = "Tokens: tok_visa is accepted, tok_declined and tok_insufficient are refused.";
  tap.flags = {{"order", "ID", "which order's payment, where several wait"}, kNoWait};
  verbs.push_back({std::move(tap), RunTap});

  VerbSpec person;
  person.name = "person";
  person.arguments = "detected|left";
  person.min_arguments = person.max_arguments = 1;
  person.summary = "step up to the kiosk, or walk away";
  person.flags = {{"party", "N", "detected: how many people (default: 1)"},
                  {"stayed", "T", "left: how long they were there (default: 1s)"},
                  {"wait", "", "wait for the screen that comes of it"}};
  verbs.push_back({std::move(person), RunPerson});
}

}  // namespace arc::arcctl
