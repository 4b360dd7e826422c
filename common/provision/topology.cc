#include "common/provision/topology.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"
#include "common/subjects/subjects.h"

namespace arc::provision {
namespace {

constexpr char kKioskPlaceholder[] = "{kiosk_id}";
constexpr int64_t kMaxHistory = 64;  // of a bucket; the server's own limit

struct FileStream {
  std::string name;
  std::string description;
  std::vector<std::string> subjects;
  std::string retention;
  std::string storage;
  std::string discard = "old";
  std::string max_age = "0";
  int64_t max_msgs = -1;
  int64_t max_bytes = -1;
  int64_t max_msg_size = -1;
  int64_t replicas = 1;
  std::string duplicate_window = "2m";
  bool no_ack = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name, json::Range(1, 100));
    v.Optional("description", s.description);
    v.Required("subjects", s.subjects, json::Range(1, 100));
    v.Required("retention", s.retention);
    v.Required("storage", s.storage);
    v.Optional("discard", s.discard);
    v.Optional("max_age", s.max_age);
    v.Optional("max_msgs", s.max_msgs);
    v.Optional("max_bytes", s.max_bytes);
    v.Optional("max_msg_size", s.max_msg_size);
    v.Optional("replicas", s.replicas, json::Range(1, 5));
    v.Optional("duplicate_window", s.duplicate_window);
    v.Optional("no_ack", s.no_ack);
  }
};

struct FileBucket {
  std::string name;
  std::string description;
  int64_t history = 1;
  std::string ttl = "0";
  int64_t max_bytes = -1;
  std::string storage = "file";
  int64_t replicas = 1;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("name", s.name, json::Range(1, 100));
    v.Optional("description", s.description);
    v.Optional("history", s.history, json::Range(1, kMaxHistory));
    v.Optional("ttl", s.ttl);
    v.Optional("max_bytes", s.max_bytes);
    v.Optional("storage", s.storage);
    v.Optional("replicas", s.replicas, json::Range(1, 5));
  }
};

struct FileConsumer {
  std::string stream;
  std::string agent;
  std::string durable_name;
  std::string filter_subject;
  std::string deliver_subject;
  std::string ack_wait;
  int64_t max_deliver = -1;
  int64_t max_ack_pending = 1000;
  bool in_progress_acks = false;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("stream", s.stream, json::Range(1, 100));
    v.Required("agent", s.agent, json::Range(1, 100));
    v.Required("durable_name", s.durable_name, json::Range(1, 100));
    v.Optional("filter_subject", s.filter_subject, json::Range(0, 200));
    v.Optional("deliver_subject", s.deliver_subject, json::Range(0, 200));
    v.Required("ack_wait", s.ack_wait);
    v.Required("max_deliver", s.max_deliver, json::Range(-1, 1000000));
    v.Optional("max_ack_pending", s.max_ack_pending, json::Range(1, 1000000));
    v.Optional("in_progress_acks", s.in_progress_acks);
  }
};

struct File {
  std::vector<FileStream> streams;
  std::vector<FileBucket> buckets;
  std::vector<FileConsumer> consumers;
  std::vector<FileConsumer> kiosk_consumers;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("streams", s.streams);
    v.Optional("buckets", s.buckets);
    v.Optional("consumers", s.consumers);
    v.Optional("kiosk_consumers", s.kiosk_consumers);
  }
};

// Collects the fields of a message by name, with their values as JSON.
class FieldLister {
 public:
  [[maybe_unused]] static constexpr bool kDecoding = false;
  template <class T>
  void Required(absl::string_view name, const T& value) {
    fields_.emplace_back(name, json::Encode(value));
  }
  template <class T>
  void Required(absl::string_view name, const T& value, json::Range) {
    Required(name, value);
  }
  template <class T>
  void Optional(absl::string_view name, const T& value) {
    Required(name, value);
  }
  template <class T>
  void Optional(absl::string_view name, const T& value, json::Range) {
    Required(name, value);
  }
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

template <class T>
std::vector<std::pair<std::string, std::string>> FieldsOf(const T& message) {
  FieldLister lister;
  T::Describe(message, lister);
  return lister.fields();
}

absl::Status Invalid(absl::string_view where, absl::string_view what) {
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat(where, ": ", what));
}

template <class T>
absl::Status RefuseUnknownFields(const json::Node& object, absl::string_view where) {
  const auto known = FieldsOf(T{});
  for (auto member = object.MemberBegin(); member != object.MemberEnd(); ++member) {
    const absl::string_view name(member->name.GetString(), member->name.GetStringLength());
    if (std::none_of(known.begin(), known.end(), [&](const auto& field) { return field.first == name; })) {
      return Invalid(absl::StrCat(where, where.empty() ? "" : ".", name), "is not a known field");
    }
  }
  return absl::OkStatus();
}

template <class T>
absl::Status RefuseUnknownFieldsOfEach(const json::Node& root, const char* list) {
  const auto member = root.FindMember(list);
  if (member == root.MemberEnd()) return absl::OkStatus();
  for (unsigned i = 0; i < member->value.Size(); ++i) {
    RETURN_IF_ERROR(RefuseUnknownFields<T>(member->value[i], absl::StrCat(list, "[", i, "]")));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Nanoseconds(absl::string_view text, absl::string_view where) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration()) {
    return Invalid(where, absl::StrCat("\"", text, "\" is not a duration such as 24h, 5m or 30s"));
  }
  return absl::ToInt64Nanoseconds(duration);
}

absl::Status OneOf(absl::string_view value, std::initializer_list<absl::string_view> allowed,
                   absl::string_view where) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return absl::OkStatus();
  std::string list;
  for (absl::string_view word : allowed) absl::StrAppend(&list, list.empty() ? "" : " or ", word);
  return Invalid(where, absl::StrCat("must be ", list));
}

// The server forgets message ids at the latest with the messages.
int64_t DuplicateWindow(int64_t wanted, int64_t max_age) {
  return max_age > 0 ? std::min(wanted, max_age) : wanted;
}

absl::StatusOr<StreamConfig> ToStream(const FileStream& file, absl::string_view where) {
  StreamConfig stream;
  stream.name = file.name;
  stream.description = file.description;
  stream.subjects = file.subjects;
  RETURN_IF_ERROR(
      OneOf(file.retention, {"limits", "workqueue", "interest"}, absl::StrCat(where, ".retention")));
  RETURN_IF_ERROR(OneOf(file.storage, {"file", "memory"}, absl::StrCat(where, ".storage")));
  RETURN_IF_ERROR(OneOf(file.discard, {"old", "new"}, absl::StrCat(where, ".discard")));
  stream.retention = file.retention;
  stream.storage = file.storage;
  stream.discard = file.discard;
  ASSIGN_OR_RETURN(stream.max_age, Nanoseconds(file.max_age, absl::StrCat(where, ".max_age")));
  ASSIGN_OR_RETURN(const int64_t window,
                   Nanoseconds(file.duplicate_window, absl::StrCat(where, ".duplicate_window")));
  stream.duplicate_window = DuplicateWindow(window, stream.max_age);
  stream.max_msgs = file.max_msgs;
  stream.max_bytes = file.max_bytes;
  stream.max_msg_size = file.max_msg_size;
  stream.num_replicas = file.replicas;
  stream.no_ack = file.no_ack;
  return stream;
}

absl::StatusOr<StreamConfig> ToStream(const FileBucket& file, absl::string_view where) {
  StreamConfig stream;
  stream.name = BucketStream(file.name);
  stream.description = file.description;
  stream.subjects = {absl::StrCat("$KV.", file.name, ".>")};
  RETURN_IF_ERROR(OneOf(file.storage, {"file", "memory"}, absl::StrCat(where, ".storage")));
  stream.storage = file.storage;
  stream.discard = "new";
  ASSIGN_OR_RETURN(stream.max_age, Nanoseconds(file.ttl, absl::StrCat(where, ".ttl")));
  stream.duplicate_window = DuplicateWindow(stream.duplicate_window, stream.max_age);
  stream.max_bytes = file.max_bytes;
  stream.max_msgs_per_subject = file.history;
  stream.num_replicas = file.replicas;
  // Who may write one key could otherwise delete all others with its message's header Nats-Rollup.
  stream.allow_rollup_hdrs = false;
  stream.deny_delete = true;
  stream.allow_direct = true;
  return stream;
}

absl::StatusOr<Consumer> ToConsumer(const FileConsumer& file, absl::string_view where) {
  Consumer consumer;
  consumer.stream = file.stream;
  consumer.agent = file.agent;
  consumer.in_progress_acks = file.in_progress_acks;
  consumer.config.durable_name = file.durable_name;
  consumer.config.filter_subject = file.filter_subject;
  consumer.config.deliver_subject = file.deliver_subject;
  if (file.deliver_subject.empty() && file.filter_subject.empty()) {
    return Invalid(absl::StrCat(where, ".filter_subject"), "is needed where there is no deliver_subject");
  }
  // Nobody waits for what is sent, and the server takes no limit for it.
  if (!file.deliver_subject.empty()) consumer.config.max_waiting = 0;
  ASSIGN_OR_RETURN(consumer.config.ack_wait, Nanoseconds(file.ack_wait, absl::StrCat(where, ".ack_wait")));
  if (consumer.config.ack_wait == 0) return Invalid(absl::StrCat(where, ".ack_wait"), "must not be 0");
  if (file.max_deliver == 0) return Invalid(absl::StrCat(where, ".max_deliver"), "must not be 0");
  consumer.config.max_deliver = file.max_deliver;
  consumer.config.max_ack_pending = file.max_ack_pending;
  return consumer;
}

// `consumers` are those of the file's list `list`, at the same places.
absl::Status CheckConsumers(const Topology& topology, const std::vector<Consumer>& consumers,
                            absl::string_view list) {
  std::set<std::string> names;
  for (size_t i = 0; i < consumers.size(); ++i) {
    const Consumer& consumer = consumers[i];
    const std::string where = absl::StrCat(list, "[", i, "]");
    if (!names.insert(absl::StrCat(consumer.stream, " ", consumer.config.durable_name)).second) {
      return Invalid(absl::StrCat(where, ".durable_name"),
                     absl::StrCat(consumer.config.durable_name, " stands twice"));
    }
    const auto stream =
        std::find_if(topology.streams.begin(), topology.streams.end(),
                     [&](const StreamConfig& candidate) { return candidate.name == consumer.stream; });
    if (stream == topology.streams.end()) {
      return Invalid(absl::StrCat(where, ".stream"), absl::StrCat("there is no stream ", consumer.stream));
    }
    const std::string& filter = consumer.config.filter_subject;
    if (!filter.empty() &&
        std::none_of(stream->subjects.begin(), stream->subjects.end(),
                     [&](const std::string& subject) { return subjects::Overlap(subject, filter); })) {
      return Invalid(absl::StrCat(where, ".filter_subject"),
                     absl::StrCat(consumer.stream, " captures nothing of ", filter));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOverlaps(const Topology& topology) {
  const auto agent_of = [&](absl::string_view stream, absl::string_view durable) -> absl::string_view {
    for (const Consumer& consumer : topology.consumers) {
      if (consumer.stream == stream && consumer.config.durable_name == durable) return consumer.agent;
    }
    return "";
  };
  for (const Overlap& overlap : FindOverlaps(topology.consumers)) {
    const bool queue =
        std::any_of(topology.streams.begin(), topology.streams.end(), [&](const StreamConfig& stream) {
          return stream.name == overlap.stream && stream.retention == "workqueue";
        });
    // Elsewhere every agent may read the same messages, each for itself.
    if (!queue && agent_of(overlap.stream, overlap.first) != agent_of(overlap.stream, overlap.second))
      continue;
    return Invalid("consumers",
                   absl::StrCat(overlap.first, " (", overlap.first_filter, ") and ", overlap.second, " (",
                                overlap.second_filter, ") of ", overlap.stream, " take the same subjects"));
  }
  return absl::OkStatus();
}

std::string Printable(absl::string_view field, const std::string& value) {
  if (field == "max_age" || field == "duplicate_window" || field == "ack_wait") {
    return FormatNanoseconds(std::strtoll(value.c_str(), nullptr, 10));
  }
  if (value.size() >= 2 && value.front() == '"') {
    return value.size() == 2 ? "(empty)" : value.substr(1, value.size() - 2);
  }
  return value;
}

template <class T>
std::vector<Difference> CompareFields(const std::string& object, const T& want, const T& have) {
  std::vector<Difference> differences;
  const auto wanted = FieldsOf(want);
  const auto found = FieldsOf(have);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string& field = wanted[i].first;
    if (field == "description" || wanted[i].second == found[i].second) continue;
    int64_t want_count = 0;
    int64_t have_count = 0;
    if (field == "num_replicas" && absl::SimpleAtoi(wanted[i].second, &want_count) &&
        absl::SimpleAtoi(found[i].second, &have_count) && have_count > want_count) {
      continue;
    }
    differences.push_back(
        {object, field, Printable(field, wanted[i].second), Printable(field, found[i].second)});
  }
  return differences;
}

}  // namespace

std::string BucketStream(absl::string_view bucket) {
  return absl::StrCat("KV_", bucket);
}

std::string FormatNanoseconds(int64_t nanoseconds) {
  std::string text = absl::FormatDuration(absl::Nanoseconds(nanoseconds));
  if (absl::EndsWith(text, "m0s")) text.resize(text.size() - 2);
  if (absl::EndsWith(text, "h0m")) text.resize(text.size() - 2);
  return text;
}

std::string Difference::ToString() const {
  return absl::StrCat(object, ": ", field, " is ", have, ", should be ", want);
}

Topology WithReplicas(Topology topology, int64_t replicas) {
  for (StreamConfig& stream : topology.streams) stream.num_replicas = replicas;
  return topology;
}

std::vector<Difference> Compare(const StreamConfig& want, const StreamConfig& have) {
  return CompareFields(absl::StrCat("stream ", want.name), want, have);
}

std::vector<Difference> Compare(absl::string_view stream, const ConsumerConfig& want,
                                const ConsumerConfig& have) {
  ConsumerConfig found = have;
  // The server leaves it out where there is nobody that could wait.
  if (!have.deliver_subject.empty()) found.max_waiting = 0;
  return CompareFields(absl::StrCat("consumer ", stream, " > ", want.durable_name), want, found);
}

std::vector<Overlap> FindOverlaps(const std::vector<Consumer>& consumers) {
  std::vector<Overlap> overlaps;
  for (size_t i = 0; i < consumers.size(); ++i) {
    for (size_t j = i + 1; j < consumers.size(); ++j) {
      const Consumer& a = consumers[i];
      const Consumer& b = consumers[j];
      if (a.stream != b.stream) continue;
      // Without a filter a consumer takes everything.
      const std::string first = a.config.filter_subject.empty() ? ">" : a.config.filter_subject;
      const std::string second = b.config.filter_subject.empty() ? ">" : b.config.filter_subject;
      if (!subjects::Overlap(first, second)) continue;
      overlaps.push_back({a.stream, a.config.durable_name, b.config.durable_name, first, second});
    }
  }
  return overlaps;
}

absl::StatusOr<Topology> ParseTopology(absl::string_view text) {
  ASSIGN_OR_RETURN(const json::Document document, json::Parse(text));
  ASSIGN_OR_RETURN(const File file, json::Decode<File>(document.root(), ""));
  RETURN_IF_ERROR(RefuseUnknownFields<File>(document.root(), ""));
  RETURN_IF_ERROR(RefuseUnknownFieldsOfEach<FileStream>(document.root(), "streams"));
  RETURN_IF_ERROR(RefuseUnknownFieldsOfEach<FileBucket>(document.root(), "buckets"));
  RETURN_IF_ERROR(RefuseUnknownFieldsOfEach<FileConsumer>(document.root(), "consumers"));
  RETURN_IF_ERROR(RefuseUnknownFieldsOfEach<FileConsumer>(document.root(), "kiosk_consumers"));

  Topology topology;
  std::set<std::string> names;
  for (size_t i = 0; i < file.streams.size(); ++i) {
    const std::string where = absl::StrCat("streams[", i, "]");
    ASSIGN_OR_RETURN(StreamConfig stream, ToStream(file.streams[i], where));
    if (!names.insert(stream.name).second) {
      return Invalid(absl::StrCat(where, ".name"), absl::StrCat(stream.name, " stands twice"));
    }
    topology.streams.push_back(std::move(stream));
  }
  for (size_t i = 0; i < file.buckets.size(); ++i) {
    const std::string where = absl::StrCat("buckets[", i, "]");
    ASSIGN_OR_RETURN(StreamConfig stream, ToStream(file.buckets[i], where));
    if (!names.insert(stream.name).second) {
      return Invalid(absl::StrCat(where, ".name"), absl::StrCat(file.buckets[i].name, " stands twice"));
    }
    topology.streams.push_back(std::move(stream));
    topology.buckets.push_back(file.buckets[i].name);
  }
  for (size_t i = 0; i < topology.streams.size(); ++i) {
    for (size_t j = i + 1; j < topology.streams.size(); ++j) {
      for (const std::string& a : topology.streams[i].subjects) {
        for (const std::string& b : topology.streams[j].subjects) {
          if (!subjects::Overlap(a, b)) continue;
          return Invalid("streams", absl::StrCat(topology.streams[i].name, " and ", topology.streams[j].name,
                                                 " both capture ", a));
        }
      }
    }
  }
  for (size_t i = 0; i < file.consumers.size(); ++i) {
    ASSIGN_OR_RETURN(Consumer consumer, ToConsumer(file.consumers[i], absl::StrCat("consumers[", i, "]")));
    topology.consumers.push_back(std::move(consumer));
  }
  RETURN_IF_ERROR(CheckConsumers(topology, topology.consumers, "consumers"));
  RETURN_IF_ERROR(CheckOverlaps(topology));
  for (size_t i = 0; i < file.kiosk_consumers.size(); ++i) {
    const std::string where = absl::StrCat("kiosk_consumers[", i, "]");
    ASSIGN_OR_RETURN(Consumer consumer, ToConsumer(file.kiosk_consumers[i], where));
    if (!absl::StrContains(consumer.config.durable_name, kKioskPlaceholder) ||
        !absl::StrContains(consumer.config.filter_subject, kKioskPlaceholder)) {
      return Invalid(where, "durable_name and filter_subject must contain {kiosk_id}");
    }
    topology.kiosk_consumers.push_back(std::move(consumer));
  }
  // Two kiosks show that their consumers take nothing from one another.
  ASSIGN_OR_RETURN(Topology two, ForKiosk(topology, "a"));
  ASSIGN_OR_RETURN(two, ForKiosk(std::move(two), "b"));
  RETURN_IF_ERROR(CheckConsumers(two, two.consumers, "kiosk_consumers"));
  RETURN_IF_ERROR(CheckOverlaps(two));
  return topology;
}

absl::StatusOr<Topology> ForKiosk(Topology topology, absl::string_view kiosk_id) {
  if (!subjects::IsValidKioskId(kiosk_id)) {
    return Invalid("kiosk_id", absl::StrCat("\"", kiosk_id, "\" is not 1 to 64 letters, digits, - and _"));
  }
  for (Consumer consumer : topology.kiosk_consumers) {
    consumer.config.durable_name =
        absl::StrReplaceAll(consumer.config.durable_name, {{kKioskPlaceholder, kiosk_id}});
    consumer.config.filter_subject =
        absl::StrReplaceAll(consumer.config.filter_subject, {{kKioskPlaceholder, kiosk_id}});
    topology.consumers.push_back(std::move(consumer));
  }
  return topology;
}

}  // namespace arc::provision
