// deadletter list|show|replay|purge: what could not be handled (design, section 3.5).
#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/bus/call.h"
#include "common/envelope/envelope.h"
#include "common/json/json.h"
#include "common/messages/system.h"
#include "common/provision/jetstream_api.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"
#include "services/arcctl/arcctl.h"
#include "services/arcctl/table.h"

namespace arc::arcctl {
namespace {

struct StoredLetter {
  int64_t seq = 0;
  std::string stored_at;
  messages::DeadLetter letter;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("seq", s.seq);
    v.Required("stored_at", s.stored_at);
    messages::DeadLetter::Describe(s.letter, v);
  }
};

// What is in the stream but cannot be read as a dead letter.
struct UnreadableLetter {
  int64_t seq = 0;
  std::string stored_at;
  std::string subject;     // the one it is stored under
  std::string unreadable;  // why
  std::optional<std::string> stored_base64;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("seq", s.seq);
    v.Required("stored_at", s.stored_at);
    v.Required("subject", s.subject);
    v.Required("unreadable", s.unreadable);
    v.Optional("stored_base64", s.stored_base64);
  }
};

struct ReplayResult {
  int64_t seq = 0;
  std::string subject;
  bool replayed = false;
  std::optional<json::Raw> answer;  // a command's
  std::optional<std::string> error;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("seq", s.seq);
    v.Required("subject", s.subject);
    v.Required("replayed", s.replayed);
    v.Optional("answer", s.answer);
    v.Nullable("error", s.error);
  }
};

struct PurgeResult {
  int64_t purged = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("purged", s.purged);
  }
};

absl::Status NoStream(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::NotFoundError(
      absl::StrCat("there is no stream ", subjects::kDeadLetterStream, "; `arcctl provision` creates it"));
}

// A message of the stream of dead letters.
struct Entry {
  bus::StoredMessage stored;
  absl::StatusOr<messages::DeadLetter> letter;  // not OK: why it cannot be read

  int64_t seq() const { return static_cast<int64_t>(stored.sequence); }
  std::string stored_at() const { return FormatTimestamp(stored.stored_at); }
  const std::string& subject() const { return letter.ok() ? letter->subject : stored.message.subject; }
  std::string Reason() const { return absl::StrCat("cannot be read: ", letter.status().message()); }
  // With everything that is stored when it cannot be read and `whole` is set.
  std::string ToJson(bool whole) const {
    if (letter.ok()) return json::Encode(StoredLetter{seq(), stored_at(), *letter});
    UnreadableLetter unreadable{seq(), stored_at(), subject(), std::string(letter.status().message()), {}};
    if (whole) unreadable.stored_base64 = absl::Base64Escape(stored.message.body);
    return json::Encode(unreadable);
  }
};

Entry ToEntry(bus::StoredMessage stored) {
  absl::StatusOr<messages::DeadLetter> letter = json::Decode<messages::DeadLetter>(stored.message.body);
  return {std::move(stored), std::move(letter)};
}

// Calls `visit` for everything in the stream of dead letters, oldest first.
absl::Status ForEach(Session& session, const std::function<void(Entry)>& visit) {
  provision::JetStreamApi api(session.bus, session.timeout);
  const auto stream = api.GetStream(subjects::kDeadLetterStream);
  if (!stream.ok()) return NoStream(stream.status());
  // Letters that come while this goes on are not part of it: a replay may make new ones.
  const uint64_t last = static_cast<uint64_t>(stream->state.last_seq);
  for (uint64_t next = 1; next <= last;) {
    auto stored = session.bus.NextStored(subjects::kDeadLetterStream,
                                         absl::StrCat(subjects::kDeadLetterPrefix, ".>"), next);
    if (absl::IsNotFound(stored.status())) return absl::OkStatus();
    RETURN_IF_ERROR(stored.status());
    if (stored->sequence > last) return absl::OkStatus();
    next = stored->sequence + 1;
    visit(ToEntry(*std::move(stored)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Entry> GetEntry(Session& session, const std::string& word) {
  ASSIGN_OR_RETURN(const int64_t sequence, ParseInteger(word, "SEQ", 1, json::kMaxId));
  auto stored = session.bus.GetStored(subjects::kDeadLetterStream, static_cast<uint64_t>(sequence));
  if (absl::IsNotFound(stored.status())) {
    return absl::NotFoundError(absl::StrCat("there is no dead letter ", sequence));
  }
  RETURN_IF_ERROR(stored.status());
  return ToEntry(*std::move(stored));
}

// Text from outside must not steer the terminal.
std::string Harmless(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f; },
      ' ');
  return text;
}
std::string HarmlessLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return Harmless(std::move(text));
}

absl::Status RunList(Session& session) {
  std::vector<std::vector<std::string>> rows = {{"seq", "time", "agent", "subject", "deliveries", "error"}};
  RETURN_IF_ERROR(ForEach(session, [&](const Entry& entry) {
    if (session.json()) {
      session.Print(entry.ToJson(false));
    } else if (entry.letter.ok()) {
      const messages::DeadLetter& letter = *entry.letter;
      rows.push_back({absl::StrCat(entry.seq()), entry.stored_at(), letter.agent,
                      HarmlessLine(letter.subject), absl::StrCat(letter.deliveries),
                      HarmlessLine(absl::StrCat(letter.error_code, ": ", letter.error))});
    } else {
      rows.push_back(
          {absl::StrCat(entry.seq()), entry.stored_at(), "-", entry.subject(), "-", entry.Reason()});
    }
  }));
  if (session.json()) return absl::OkStatus();
  if (rows.size() == 1) {
    session.Print("no dead letters");
    return absl::OkStatus();
  }
  for (const std::string& line : FormatTable(rows)) session.Print(line);
  return absl::OkStatus();
}

absl::Status RunShow(Session& session) {
  ASSIGN_OR_RETURN(const Entry entry, GetEntry(session, session.arguments.words()[0]));
  if (session.json()) {
    session.Print(entry.ToJson(true));
    return absl::OkStatus();
  }
  session.Print(absl::StrCat("dead letter ", entry.seq(), " of ", entry.stored_at()));
  if (!entry.letter.ok()) {
    session.Print(absl::StrCat("  ", entry.Reason()));
    session.Print(absl::StrCat("  stored as   ", entry.subject()));
    session.Print(absl::StrCat("  body        ", entry.stored.message.body.size(), " bytes"));
    session.Print(absl::CHexEscape(entry.stored.message.body));
    return absl::OkStatus();
  }
  const messages::DeadLetter& letter = *entry.letter;
  session.Print(absl::StrCat("  subject     ", letter.subject));
  session.Print(absl::StrCat("  error       ", letter.error_code, ": ", letter.error));
  session.Print(absl::StrCat("  given up by ", letter.agent, " after ", letter.deliveries,
                             letter.deliveries == 1 ? " delivery" : " deliveries"));
  if (letter.stream.has_value()) {
    session.Print(absl::StrCat("  from        ", *letter.stream, " > ", letter.consumer.value_or("?"),
                               ", sequence ", letter.stream_seq.value_or(0)));
  }
  session.Print(absl::StrCat("  trace_id    ", letter.trace_id));
  for (const messages::HeaderField& header : letter.headers) {
    session.Print(HarmlessLine(absl::StrCat("  header      ", header.name, ": ", header.value)));
  }
  if (letter.headers_truncated) session.Print("  headers     not all: they were too large to be kept whole");
  session.Print(absl::StrCat("  body        ", letter.body_bytes, " bytes",
                             letter.body_truncated ? ", of which this is the beginning" : ""));
  std::string body = letter.body.value_or("");
  if (letter.body_base64.has_value()) {
    std::string bytes;
    body = absl::Base64Unescape(*letter.body_base64, &bytes) ? absl::CHexEscape(bytes) : *letter.body_base64;
  }
  session.Print(Harmless(std::move(body)));
  return absl::OkStatus();
}

// The message that became a dead letter, as a new one: without what belonged to its first journey.
absl::StatusOr<bus::Message> Original(const messages::DeadLetter& letter) {
  if (letter.headers_truncated) {
    return absl::FailedPreconditionError(
        "its headers were too large to be kept whole, so it cannot be sent again");
  }
  if (letter.body_truncated) {
    return absl::FailedPreconditionError(absl::StrCat("only the beginning of its ", letter.body_bytes,
                                                      " bytes was kept, so it cannot be sent again"));
  }
  bus::Message message;
  message.subject = letter.subject;
  if (letter.body_base64.has_value()) {
    if (!absl::Base64Unescape(*letter.body_base64, &message.body)) {
      return absl::InvalidArgumentError("its body_base64 cannot be decoded");
    }
  } else {
    message.body = letter.body.value_or("");
  }
  for (const messages::HeaderField& header : letter.headers) {
    if (header.name == subjects::kReplyToHeader || header.name == subjects::kDeadlineHeader ||
        absl::StartsWithIgnoreCase(header.name, "Nats-")) {
      continue;
    }
    message.headers.Set(header.name, header.value);
  }
  return message;
}

// What agents hear besides their durables and the commands of their own service.
struct Heard {
  const char* agent;
  const char* pattern;
};
constexpr Heard kHeard[] = {
    {"arc-orchestrator", "kiosk.session.>"},   {"arc-orchestrator", "kiosk.ui.>"},
    {"arc-scarlett-voice", "kiosk.session.>"}, {"arc-scarlett-voice", "kiosk.ui.>"},
    {"arc-scarlett-voice", "agent.>"},         {"arc-stt", "agent.stt.>"},
    {"arc-sherlock-brain", "agent.brain.>"},   {"arc-piper-tts", "agent.tts.>"},
};

// Who wrote a letter is known by the subject that it is stored under, which is a right of that agent's alone
// (docs/rights.md). What it says itself is its writer's word: unless the writer may have been given such a
// message, sending it would lend the writer the operator's rights.
absl::Status CheckOrigin(provision::JetStreamApi& api, const std::string& stored_as,
                         const std::string& subject) {
  const std::vector<std::string> words = absl::StrSplit(stored_as, absl::MaxSplits('.', 3));
  const std::string& stream = words.size() == 4 ? words[2] : stored_as;
  const std::string& writer = words.back();  // an agent, or a durable of `stream`
  bool believed = false;
  if (stream == "core") {
    const std::string service = bus::ServiceOf(subject);
    believed = !service.empty() && writer == absl::StrCat("arc-", service);
    for (const Heard& heard : kHeard) {
      believed = believed || (writer == heard.agent && subjects::Matches(heard.pattern, subject));
    }
  } else {
    const auto consumer = api.GetConsumer(stream, writer);
    if (!consumer.ok() && !absl::IsNotFound(consumer.status())) return consumer.status();
    believed = consumer.ok() && !consumer->config.filter_subject.empty() &&
               subjects::Matches(consumer->config.filter_subject, subject);
  }
  if (believed) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("whoever put it under ", stored_as, " is not given messages on ", subject));
}

// Which stream a message on `subject` goes to, if any.
const provision::StreamConfig* CapturedBy(const std::vector<provision::StreamInfo>& streams,
                                          const std::string& subject) {
  for (const provision::StreamInfo& stream : streams) {
    for (const std::string& pattern : stream.config.subjects) {
      if (subjects::Matches(pattern, subject)) return &stream.config;
    }
  }
  return nullptr;
}

absl::Status ReplayEvent(Session& session, bus::Message message) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable stored;
    std::optional<absl::Status> status;
  };
  auto waiting = std::make_shared<Waiting>();
  // An id of its own: under the old one the stream would take it for a repetition.
  message.headers.Set(subjects::kMsgIdHeader, NewUuid());
  session.bus.PublishEvent(std::move(message), session.timeout, [waiting](absl::Status status) {
    std::lock_guard<std::mutex> lock(waiting->mutex);
    waiting->status = std::move(status);
    waiting->stored.notify_all();
  });
  std::unique_lock<std::mutex> lock(waiting->mutex);
  waiting->stored.wait(lock, [&] { return waiting->status.has_value(); });
  return *waiting->status;
}

ReplayResult Replay(Session& session, const std::vector<provision::StreamInfo>& streams, const Entry& entry) {
  ReplayResult result;
  result.seq = entry.seq();
  result.subject = entry.subject();
  absl::Status status;
  absl::StatusOr<bus::Message> message =
      entry.letter.ok() ? Original(*entry.letter) : absl::DataLossError(entry.Reason());
  provision::JetStreamApi api(session.bus, session.timeout);
  if (!message.ok()) {
    status = message.status();
  } else if (const absl::Status origin = CheckOrigin(api, entry.subject(), message->subject); !origin.ok()) {
    status = origin;
  } else if (const provision::StreamConfig* stream = CapturedBy(streams, message->subject);
             stream == nullptr) {
    // Nobody confirms what no stream keeps.
    status = session.bus.Publish(*message);
  } else if (stream->no_ack) {
    const absl::Duration timeout = std::max(session.timeout, bus::DefaultTimeout(message->subject));
    absl::StatusOr<json::Raw> answer = AskPlainly(session, *std::move(message), timeout);
    if (answer.ok()) {
      result.answer = *std::move(answer);
    } else {
      status = answer.status();
    }
  } else {
    status = ReplayEvent(session, *std::move(message));
  }
  if (status.ok()) {
    result.replayed = true;
    status = session.bus.DeleteStored(subjects::kDeadLetterStream, entry.stored.sequence);
    if (!status.ok()) status = Annotate(status, "sent again, but the dead letter could not be removed");
  }
  if (!status.ok()) result.error = std::string(status.message());
  return result;
}

absl::Status RunReplay(Session& session) {
  const std::string& which = session.arguments.words()[0];
  std::vector<Entry> letters;
  if (which == "all") {
    RETURN_IF_ERROR(ForEach(session, [&](Entry entry) { letters.push_back(std::move(entry)); }));
  } else {
    ASSIGN_OR_RETURN(Entry entry, GetEntry(session, which));
    letters.push_back(std::move(entry));
  }
  provision::JetStreamApi api(session.bus, session.timeout);
  ASSIGN_OR_RETURN(const auto streams, api.ListStreams());
  int failed = 0;
  for (const Entry& letter : letters) {
    const ReplayResult result = Replay(session, streams, letter);
    if (result.error.has_value()) ++failed;
    if (session.json()) {
      session.Print(json::Encode(result));
    } else if (result.error.has_value()) {
      session.err << "arcctl: dead letter " << result.seq << " (" << result.subject << "): " << *result.error
                  << "\n";
    } else {
      session.Print(absl::StrCat("replayed ", result.seq, " on ", result.subject,
                                 result.answer.has_value() ? absl::StrCat(": ", result.answer->text) : ""));
    }
  }
  if (!session.json() && letters.empty()) session.Print("no dead letters");
  if (failed == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(failed, " of ", letters.size(), " could not be replayed and were kept"));
}

absl::Status RunPurge(Session& session) {
  PurgeResult result;
  const std::string which = session.arguments.words().empty() ? "all" : session.arguments.words()[0];
  if (which == "all") {
    provision::JetStreamApi api(session.bus, session.timeout);
    const auto purged = api.PurgeStream(subjects::kDeadLetterStream);
    if (!purged.ok()) return NoStream(purged.status());
    result.purged = *purged;
  } else {
    ASSIGN_OR_RETURN(const int64_t sequence, ParseInteger(which, "SEQ", 1, json::kMaxId));
    const auto stored = session.bus.GetStored(subjects::kDeadLetterStream, static_cast<uint64_t>(sequence));
    if (absl::IsNotFound(stored.status())) {
      return absl::NotFoundError(absl::StrCat("there is no dead letter ", sequence));
    }
    RETURN_IF_ERROR(stored.status());
    RETURN_IF_ERROR(session.bus.DeleteStored(subjects::kDeadLetterStream, static_cast<uint64_t>(sequence)));
    result.purged = 1;
  }
  if (session.json()) {
    session.Print(json::Encode(result));
  } else {
    session.Print(
        absl::StrCat("deleted ", result.purged, result.purged == 1 ? " dead letter" : " dead letters"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddDeadLetterVerbs(std::vector<VerbEntry>& verbs) {
  VerbSpec list;
  list.name = "deadletter list";
  list.summary = "show what could not be handled";
  list.details = "With --json one value a dead letter; one that cannot be read says why as `unreadable`.";
  verbs.push_back({std::move(list), RunList});

  VerbSpec show;
  show.name = "deadletter show";
  show.arguments = "SEQ";
  show.min_arguments = show.max_arguments = 1;
  show.summary = "show one dead letter whole";
  verbs.push_back({std::move(show), RunShow});

  VerbSpec replay;
  replay.name = "deadletter replay";
  replay.arguments = "SEQ|all";
  replay.min_arguments = replay.max_arguments = 1;
  replay.summary = "send it again, and delete it when that went well";
  replay.details =
      "The original headers and body go to the original subject, without the first sender's reply address "
      "and\n"
      "deadline. A command must be answered by an agent with success, an event be stored by its stream; "
      "else\n"
      "the dead letter stays and the exit status is 1. One whose body was cut cannot be replayed.";
  verbs.push_back({std::move(replay), RunReplay});

  VerbSpec purge;
  purge.name = "deadletter purge";
  purge.arguments = "[SEQ|all]";
  purge.max_arguments = 1;
  purge.summary = "delete one, or all";
  verbs.push_back({std::move(purge), RunPurge});
}

}  // namespace arc::arcctl
