#include "common/provision/jetstream_api.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/call.h"
#include "common/status/status.h"
#include "common/status/status_macros.h"

namespace arc::provision {
namespace {

constexpr int64_t kStreamNotFound = 10059;
constexpr int64_t kConsumerNotFound = 10014;
constexpr int64_t kStreamNameInUse = 10058;
constexpr int64_t kConsumerNameInUse = 10013;
constexpr int64_t kConsumerExists = 10105;

struct ApiError {
  int64_t code = 0;
  int64_t err_code = 0;
  std::string description;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("code", s.code);
    v.Optional("err_code", s.err_code);
    v.Optional("description", s.description);
  }
};

struct AnyAnswer {
  std::optional<ApiError> error;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("error", s.error);
  }
};

struct PageRequest {
  int64_t offset = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("offset", s.offset);
  }
};

struct SubjectsRequest {
  int64_t offset = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("offset", s.offset);
    v.Constant("subjects_filter", ">");
  }
};

struct StreamPage {
  int64_t total = 0;
  std::vector<StreamInfo> streams;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("total", s.total);
    v.Optional("streams", s.streams);
  }
};

struct ConsumerPage {
  int64_t total = 0;
  std::vector<ConsumerState> consumers;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("total", s.total);
    v.Optional("consumers", s.consumers);
  }
};

struct PurgeAnswer {
  int64_t purged = 0;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Optional("purged", s.purged);
  }
};

struct CreateConsumerRequest {
  std::string stream_name;
  ConsumerConfig config;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("stream_name", s.stream_name);
    v.Required("config", s.config);
  }
};

absl::Status ToStatus(const std::string& api, const ApiError& error) {
  const std::string message = absl::StrCat(api, ": ", error.description, " (", error.err_code, ")");
  switch (error.err_code) {
    case kStreamNotFound:
    case kConsumerNotFound:
      return absl::NotFoundError(message);
    case kStreamNameInUse:
    case kConsumerNameInUse:
    case kConsumerExists:
      return absl::AlreadyExistsError(message);
    default:
      break;
  }
  if (error.code == 404) return absl::NotFoundError(message);
  if (error.code == 503) return absl::UnavailableError(message);
  return absl::InvalidArgumentError(message);
}

}  // namespace

absl::StatusOr<json::Document> JetStreamApi::Request(const std::string& api, const std::string& body) {
  bus::Message request;
  request.subject = absl::StrCat("$JS.API.", api);
  request.body = body;
  absl::StatusOr<bus::Message> answer = bus::CoreRequestAndWait(bus_, std::move(request), timeout_);
  if (!answer.ok()) {
    const std::string why(answer.status().message());
    if (answer.status().code() == absl::StatusCode::kUnavailable) {
      return absl::UnavailableError(absl::StrCat("JetStream does not answer: ", why));
    }
    return Annotate(answer.status(), api);
  }
  absl::StatusOr<json::Document> document = json::Parse(answer->body);
  if (!document.ok()) return Annotate(document.status(), absl::StrCat("the answer to ", api));
  ASSIGN_OR_RETURN(const AnyAnswer any, json::Decode<AnyAnswer>(document->root(), api));
  if (any.error.has_value()) return ToStatus(api, *any.error);
  return document;
}

absl::StatusOr<std::vector<StreamInfo>> JetStreamApi::ListStreams() {
  std::vector<StreamInfo> all;
  for (;;) {
    PageRequest page;
    page.offset = static_cast<int64_t>(all.size());
    ASSIGN_OR_RETURN(const json::Document answer, Request("STREAM.LIST", json::Encode(page)));
    ASSIGN_OR_RETURN(StreamPage got, json::Decode<StreamPage>(answer.root(), "STREAM.LIST"));
    for (StreamInfo& stream : got.streams) all.push_back(std::move(stream));
    if (got.streams.empty() || static_cast<int64_t>(all.size()) >= got.total) return all;
  }
}

absl::StatusOr<StreamInfo> JetStreamApi::GetStream(absl::string_view name) {
  const std::string api = absl::StrCat("STREAM.INFO.", name);
  ASSIGN_OR_RETURN(const json::Document answer, Request(api, ""));
  return json::Decode<StreamInfo>(answer.root(), api);
}

absl::Status JetStreamApi::CreateStream(const StreamConfig& config) {
  return Request(absl::StrCat("STREAM.CREATE.", config.name), json::Encode(config)).status();
}

absl::Status JetStreamApi::UpdateStream(const StreamConfig& config) {
  return Request(absl::StrCat("STREAM.UPDATE.", config.name), json::Encode(config)).status();
}

absl::Status JetStreamApi::DeleteStream(absl::string_view name) {
  return Request(absl::StrCat("STREAM.DELETE.", name), "").status();
}

absl::StatusOr<int64_t> JetStreamApi::PurgeStream(absl::string_view name) {
  const std::string api = absl::StrCat("STREAM.PURGE.", name);
  ASSIGN_OR_RETURN(const json::Document answer, Request(api, ""));
  ASSIGN_OR_RETURN(const PurgeAnswer purge, json::Decode<PurgeAnswer>(answer.root(), api));
  return purge.purged;
}

absl::StatusOr<std::map<std::string, int64_t>> JetStreamApi::CountBySubject(absl::string_view name) {
  std::map<std::string, int64_t> counts;
  for (;;) {
    SubjectsRequest page;
    page.offset = static_cast<int64_t>(counts.size());
    ASSIGN_OR_RETURN(const json::Document answer,
                     Request(absl::StrCat("STREAM.INFO.", name), json::Encode(page)));
    const json::Node& root = answer.root();
    const auto state = root.FindMember("state");
    if (state == root.MemberEnd() || !state->value.IsObject()) return counts;
    const auto subjects = state->value.FindMember("subjects");
    if (subjects == state->value.MemberEnd() || !subjects->value.IsObject()) return counts;
    const size_t before = counts.size();
    for (auto entry = subjects->value.MemberBegin(); entry != subjects->value.MemberEnd(); ++entry) {
      if (!entry->value.IsInt64()) continue;
      counts[std::string(entry->name.GetString(), entry->name.GetStringLength())] = entry->value.GetInt64();
    }
    if (counts.size() == before) return counts;
  }
}

absl::StatusOr<std::vector<ConsumerState>> JetStreamApi::ListConsumers(absl::string_view stream) {
  const std::string api = absl::StrCat("CONSUMER.LIST.", stream);
  std::vector<ConsumerState> all;
  for (;;) {
    PageRequest page;
    page.offset = static_cast<int64_t>(all.size());
    ASSIGN_OR_RETURN(const json::Document answer, Request(api, json::Encode(page)));
    ASSIGN_OR_RETURN(ConsumerPage got, json::Decode<ConsumerPage>(answer.root(), api));
    for (ConsumerState& consumer : got.consumers) all.push_back(std::move(consumer));
    if (got.consumers.empty() || static_cast<int64_t>(all.size()) >= got.total) return all;
  }
}

absl::StatusOr<ConsumerState> JetStreamApi::GetConsumer(absl::string_view stream, absl::string_view durable) {
  const std::string api = absl::StrCat("CONSUMER.INFO.", stream, ".", durable);
  ASSIGN_OR_RETURN(const json::Document answer, Request(api, ""));
  return json::Decode<ConsumerState>(answer.root(), api);
}

absl::Status JetStreamApi::PutConsumer(absl::string_view stream, const ConsumerConfig& config) {
  CreateConsumerRequest request;
  request.stream_name = std::string(stream);
  request.config = config;
  return Request(absl::StrCat("CONSUMER.DURABLE.CREATE.", stream, ".", config.durable_name),
                 json::Encode(request))
      .status();
}

absl::Status JetStreamApi::DeleteConsumer(absl::string_view stream, absl::string_view durable) {
  return Request(absl::StrCat("CONSUMER.DELETE.", stream, ".", durable), "").status();
}

}  // namespace arc::provision
