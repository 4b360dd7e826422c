"""Who sends what to whom: the part of the contract that no header says. Subjects, fields and ranges are not repeated here."""

import dataclasses

# Processes of this fleet. What only they send is checked for every field that they always send.
FLEET = ("orchestrator", "menu", "recsys", "payment", "hardware", "voice", "stt", "brain", "tts", "vision_bridge", "terminal_sim", "agents")

EVENT_HEADERS = ("Kiosk-Id", "traceparent", "Nats-Msg-Id")
COMMAND_HEADERS = ("Kiosk-Reply-To", "Kiosk-Deadline", "Kiosk-Idempotency-Key", "Kiosk-Id", "traceparent")
FLAT_HEADERS = ("Kiosk-Id", "traceparent")


@dataclasses.dataclass(frozen=True)
class Message:
    """What travels: a struct of common/messages, or bytes."""

    name: str
    struct: str | None = None  # None: an audio frame
    envelope: bool = False
    headers: tuple = ()
    needs: tuple = ()  # headers without which it means nothing
    sends: tuple = ()  # headers that the fleet always sets
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Channel:
    constant: str  # of subjects.h
    message: Message
    senders: tuple
    receivers: tuple
    replies: tuple = ()
    parameters: tuple = ()  # tokens behind the constant's text; see PARAMETERS
    literal: str = ""  # tokens between the constant's text and the parameters
    timeout: str = ""
    queue: str = ""  # queue group of the receivers
    stream: str = ""


PARAMETERS = {
    "room": "1 to 100 letters, digits, - and _: a LiveKit room, or one that is only on the bus",
    "request_id": "that of agent.stt.request: 1 to 100 letters, digits, - and _",
    "kiosk_id": "the kiosk's id: 1 to 64 letters, digits, - and _",
    "stream": "KIOSK_EVENTS or KIOSK_COMMANDS",
    "consumer": "the durable's name, such as orchestrator-input-consumer",
    "agent": "heartbeat name of who gave up, such as arc-menu",
}

# By name: description and JSON Schema.
HEADERS = {
    "Kiosk-Reply-To": ("the requester's inbox; says that the durable path answers", {"pattern": r"^(?!kiosk\.|agent\.|system\.|\$).+"}),
    "Kiosk-Deadline": ("RFC 3339; later the work is not started", {"format": "date-time"}),
    "Kiosk-Idempotency-Key": ("the same key on a repeat of the same request", {"minLength": 1}),
    "Kiosk-Id": ("which kiosk; missing: the default one", {"pattern": "^[A-Za-z0-9_-]{1,64}$"}),
    "traceparent": ("W3C; its trace id is the trace_id without dashes", {"pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}),
    "Nats-Msg-Id": ("the event's msg_id: a publisher's repeat is stored once", {"minLength": 1}),
    "Audio-Format": (
        "pcm_s16le;rate=16000;channels=1, or opus; rate 8000 to 48000, 1 or 2 channels",
        {"pattern": "^(pcm_s16le|opus)(;(rate=[0-9]{4,5}|channels=[12])){0,2}$"},
    ),
    "Seq": ("number of the frame within its stream, from 0", {"pattern": "^[0-9]{1,19}$"}),
    "End": ("true on the last frame, which is empty", {"const": "true"}),
    "Request-Id": ("the request_id that is spoken", {"minLength": 1, "maxLength": 200}),
    "Turn": ("the turn_index that it belongs to", {"pattern": "^[0-9]{1,7}$"}),
}


def _event(constant, struct, senders, receivers):
    headers = ("Nats-Msg-Id", "traceparent")
    return Channel(constant, Message(struct, struct, True, EVENT_HEADERS, sends=headers), senders, receivers, stream="KIOSK_EVENTS")


_ERROR = Message("ErrorResponse", "ErrorResponse", True)


def _command(constant, request, reply, senders, receiver, timeout):
    message = Message(request, request, True, COMMAND_HEADERS)
    replies = (Message(reply, reply, True), _ERROR)
    return Channel(constant, message, senders, (receiver,), replies, timeout=timeout, queue=receiver, stream="KIOSK_COMMANDS")


def _flat(constant, struct, senders, receivers, headers=FLAT_HEADERS, **more):
    return Channel(constant, Message(struct, struct, headers=headers), senders, receivers, **more)


def _audio(constant, name, senders, receivers, parameter, headers=("Audio-Format", "Seq", "End"), needs=("Audio-Format", "Seq")):
    message = Message(name, headers=(*headers, "traceparent"), needs=needs, title="A frame of sound")
    return Channel(constant, message, senders, receivers, parameters=(parameter,))


_FRAME = ("Audio-Format", "Seq", "End")

CHANNELS = (
    _event("kPersonDetected", "PersonDetected", ("vision_bridge", "arcctl"), ("orchestrator",)),
    _event("kPersonLeft", "PersonLeft", ("vision_bridge", "arcctl"), ("orchestrator",)),
    _event("kGazeDetected", "GazeDetected", ("vision_bridge", "any client"), ("orchestrator",)),
    _event("kSpeechStart", "SpeechStart", ("voice", "any client"), ("orchestrator",)),
    _event("kTranscript", "Transcript", ("voice", "any client"), ("orchestrator", "screen", "staff")),
    _event("kIntent", "Intent", ("voice", "any client"), ("orchestrator",)),
    _event("kTouch", "Touch", ("screen", "arcctl"), ("orchestrator",)),
    _event("kCartAction", "CartAction", ("screen", "arcctl"), ("orchestrator",)),
    _event("kTextInput", "TextInput", ("screen", "arcctl"), ("orchestrator",)),
    _event("kCardInput", "CardInput", ("screen", "arcctl"), ("terminal_sim",)),
    _event("kSessionStarted", "SessionStarted", ("orchestrator",), ("everyone",)),
    _event("kSessionEnded", "SessionEnded", ("orchestrator",), ("everyone",)),
    _event("kOrderCompleted", "OrderCompleted", ("orchestrator",), ("recsys", "everyone")),
    _event("kUiUpdate", "UiUpdate", ("orchestrator",), ("screen", "voice", "staff")),
    _command("kMenuSearch", "SearchRequest", "SearchResponse", ("orchestrator", "brain", "any client"), "menu", "2 s"),
    _command("kMenuDetails", "DetailsRequest", "DetailsResponse", ("orchestrator", "brain", "any client"), "menu", "2 s"),
    _command("kMenuList", "ListRequest", "ListResponse", ("orchestrator", "brain", "any client"), "menu", "2 s"),
    _command("kMenuSetAvailability", "SetAvailabilityRequest", "SetAvailabilityResponse", ("arcctl", "any client"), "menu", "2 s"),
    _command("kRecsysSuggest", "SuggestRequest", "SuggestResponse", ("orchestrator", "brain", "any client"), "recsys", "2 s"),
    _command("kPaymentProcess", "ProcessPaymentRequest", "PaymentOutcome", ("orchestrator", "any client"), "payment", "30 s"),
    _command("kPaymentStatus", "PaymentStatusRequest", "PaymentOutcome", ("orchestrator", "any client"), "payment", "5 s"),
    _command("kPaymentCancel", "CancelPaymentRequest", "PaymentOutcome", ("orchestrator", "any client"), "payment", "5 s"),
    _command("kPaymentRefund", "RefundPaymentRequest", "RefundPaymentResponse", ("staff", "any client"), "payment", "5 s"),
    _command("kHardwareLed", "LedRequest", "LedResponse", ("orchestrator", "any client"), "hardware", "1 s"),
    _command("kHardwarePrint", "PrintRequest", "PrintResponse", ("orchestrator", "any client"), "hardware", "5 min"),
    _command("kHardwareStatus", "HardwareStatusRequest", "HardwareStatusResponse", ("any client",), "hardware", "5 s"),
    _command("kOrchestratorSnapshot", "SnapshotRequest", "SnapshotResponse", ("screen", "brain", "voice", "any client"), "orchestrator", "5 s"),
    _flat("kTrackPublished", "TrackPublished", ("voice", "any client"), ("operator",)),
    _flat("kTrackUnpublished", "TrackUnpublished", ("voice",), ("operator",)),
    _flat("kVoiceSessionStarted", "VoiceSessionStarted", ("voice",), ("operator",)),
    _flat("kVoiceSessionEnded", "VoiceSessionEnded", ("voice",), ("operator",)),
    _flat("kVoiceState", "VoiceState", ("voice",), ("screen",)),
    _flat("kVoiceState", "VoiceState", ("voice",), ("screen",), parameters=("kiosk_id",)),
    _audio("kVoiceAudioPrefix", "MicrophoneFrame", ("screen", "arcctl"), ("voice",), "room", (*_FRAME, "Kiosk-Id")),
    _flat(
        "kSttRequest", "SttRequest", ("voice", "any client"), ("stt",), queue="stt",
        replies=(Message("SttAccepted", "SttAccepted"), Message("SttRefused", "ErrorResponse", title="ErrorResponse without an envelope")),
    ),
    _audio("kSttAudioPrefix", "UtteranceFrame", ("voice", "any client"), ("stt",), "request_id", (*_FRAME, "Kiosk-Id")),
    _flat("kSttTranscript", "SttTranscript", ("stt",), ("voice",)),
    _flat("kSttError", "AgentError", ("stt",), ("voice", "operator")),
    _flat(
        "kBrainRequest", "BrainRequest", ("voice", "any client"), ("brain",), queue="brain",
        replies=(Message("BrainResponse", "BrainResponse", headers=FLAT_HEADERS), Message("AgentError", "AgentError", headers=FLAT_HEADERS)),
    ),
    _flat("kBrainResponse", "BrainResponse", ("brain",), ("voice", "operator")),
    _flat("kBrainError", "AgentError", ("brain",), ("voice", "operator")),
    _flat("kTtsRequest", "TtsRequest", ("voice", "any client"), ("tts", "screen"), queue="tts"),
    _flat("kTtsRequest", "TtsRequest", ("voice",), ("screen",), parameters=("kiosk_id",)),
    _flat("kTtsCompleted", "TtsCompleted", ("tts",), ("voice", "operator")),
    _flat("kTtsError", "AgentError", ("tts",), ("voice", "operator")),
    _flat("kTtsCancel", "TtsCancel", ("voice", "any client"), ("tts",)),
    _audio(
        "kTtsAudioPrefix", "SpeechFrame", ("tts",), ("screen", "voice"), "room",
        (*_FRAME, "Request-Id", "Turn", "Kiosk-Id"), ("Audio-Format", "Seq", "Request-Id", "Turn"),
    ),
    _flat("kHeartbeat", "Heartbeat", ("agents",), ("operator", "staff"), headers=()),
    _flat("kServiceError", "ServiceError", ("agents",), ("operator", "staff"), headers=()),
    _flat(
        "kDeadLetterPrefix", "DeadLetter", ("agents",), ("operator", "staff"), headers=("Nats-Msg-Id",), parameters=("stream", "consumer"),
        stream="KIOSK_DEADLETTER",
    ),
    _flat(
        "kDeadLetterPrefix", "DeadLetter", ("agents",), ("operator", "staff"), headers=("Nats-Msg-Id",), literal="core", parameters=("agent",),
        stream="KIOSK_DEADLETTER",
    ),
)

# `kiosk.hardware.*` is another name of `kiosk.agent.hardware.*`.
ALIAS = ("kiosk.agent.hardware.", "kiosk.hardware.")

# String fields of closed sets that are plain strings in the code, of messages that this fleet alone writes.
CLOSED = {
    ("SttAccepted", "status"): ("accepted", "busy"),
    ("Heartbeat", "status"): ("healthy", "degraded", "draining"),
    ("ServiceError", "severity"): ("warning", "critical"),
    ("UiUpdate", "layout_mode"): ("attract", "hero_grid", "details", "cart", "checkout", "paying", "paid", "error"),
    ("SnapshotResponse", "state"): ("attract", "browsing", "details", "cart", "checkout", "paying", "paid", "error"),
    ("PrinterState", "state"): ("ready", "out_of_paper", "unreachable"),
    ("Notice", "severity"): ("info", "warning", "error"),
    ("PaymentPrompt", "status"): ("waiting", "checking", "cancelling"),
    ("Receipt", "print"): ("pending", "printed", "failed"),
    ("TtsCompleted", "audio_format"): ("pcm", "opus"),
}

PATTERNS = {
    ("SttRequest", "request_id"): "^[A-Za-z0-9_-]+$",
    ("SttAccepted", "request_id"): "^[A-Za-z0-9_-]+$",
    ("TtsRequest", "target_room"): "^[A-Za-z0-9_-]+$",
    ("LedRequest", "color"): "^#[0-9A-Fa-f]{6}$",
    ("LedState", "color"): "^#[0-9A-Fa-f]{6}$",
}

DATE_TIMES = {"timestamp", "deadline", "at"}

# What this fleet always sends, and the specifications' own examples, or a foreign agent written to them, leave out.
LEFT_OUT = {
    ("MenuItem", "category"),
    ("SearchResponse", "total_matches"),
    ("HeroItem", "price"),
    ("HeroItem", "image"),
    ("HeroItem", "tags"),
    ("HeroItem", "available"),
    ("HeroItem", "currency"),
    ("HeartbeatMetrics", "threads"),
}

# Fields of json::Raw that are an object; the others may be any JSON value.
OBJECTS = {("UiComponent", "data"), ("BrainContext", "user_profile")}
