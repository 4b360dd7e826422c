"""docs/asyncapi.yaml as a value: the headers' subjects and messages, channels.py's senders and receivers, messages.md's words."""

import dataclasses
import json
import re

from contract import channels as table
from contract import headers

MESSAGES_PAGE = headers.REPO / "docs" / "messages.md"
EXAMPLES = headers.REPO / "tests" / "contract" / "examples"
TIMESTAMP = {"type": "string", "format": "date-time"}

DESCRIPTION = """\
Every subject, header and payload of an ARC Kiosk's bus: kiosk.* (JSON in an envelope), agent.* (flat JSON and raw audio) and system.* (flat JSON).
messages.md, beside this file, says the same to people, and what delivery, deadlines and retries promise.

Schemas say what a sender has to send: be strict in that. Agents take more: fields that they do not know are ignored, an optional field may be null, an
envelope may lack all but its payload, timestamps are not judged. x-always-sent names the fields (and headers) that this fleet always sends.
Where a string has a maxLength, agents count bytes of UTF-8. Strings without one may have 65536 bytes, arrays without maxItems 10000 elements, a message
1 MB and 32 levels. x-decimal marks an amount of the menu's currency: no more decimals than the currency has.

Operations are those of the fleet: receive is what an agent of it takes, send what an agent of it publishes; x-agents names which. A command is answered
to its Kiosk-Reply-To where that is there (durable path), and otherwise to the NATS reply subject (plain path)."""


def _words(text):
    """A piece of messages.md as it reads outside of it."""
    text = re.sub(r"\]\(([^)]*)\)", lambda link: f"]({link.group(1) if not link.group(1).startswith('#') else 'messages.md' + link.group(1)})", text)
    return text.replace("\\|", "|").strip()


def _lower(text):
    return text[0].lower() + text[1:]


class Document:
    def __init__(self):
        self.page = MESSAGES_PAGE.read_text()
        self.rows = headers.tables(self.page)
        self.subjects = headers.constants(headers.SUBJECTS)
        self.structs = {}
        self.enums = {}
        self.enumerators = {}
        for path in headers.headers():
            self.structs.update({struct.name: struct for struct in headers.structs(path)})
            self.enums.update(headers.enums(path))
            self.enumerators.update(headers.enumerators(path))
        self.schemas = {}
        self.messages = {}

    # Schemas

    def _meaning(self, struct, field):
        cells = self.rows.get(struct, {}).get(field.name)
        if cells is None:
            return ""
        text = cells[3]
        if field.kind == "Constant":
            return ""
        if field.range:
            text = re.sub(r"^%s(?: bytes| elements)?(?:; )?" % re.escape(headers.documented_range(field.range)), "", text)
        return _words(text)

    def _type(self, cpp, struct, field, bounds):
        """The schema of a C++ type; `bounds` belong to it, or to what is in its std::optional."""
        inner = re.fullmatch(r"std::optional<(.*)>", cpp)
        if inner:
            return self._type(inner.group(1), struct, field, bounds)
        inner = re.fullmatch(r"std::vector<(.*)>", cpp)
        if inner:
            schema = {"type": "array", "items": self._type(inner.group(1), struct, None, None)}
            if bounds:
                schema.update({"minItems": bounds[0]} if bounds[0] else {}, maxItems=bounds[1])
            return schema
        if cpp == "std::string":
            schema = {"type": "string"}
            if bounds:
                schema.update({"minLength": bounds[0]} if bounds[0] else {}, maxLength=bounds[1])
            key = (struct, field.name) if field else None
            if key in table.CLOSED:
                return {"type": "string", "enum": list(table.CLOSED[key])}
            if field and field.name == "error_code":
                return {"type": "string", "enum": headers.error_codes()}
            if key in table.PATTERNS:
                schema["pattern"] = table.PATTERNS[key]
            if field and field.name in table.DATE_TIMES:
                return dict(TIMESTAMP)
            return schema
        if cpp in ("int64_t", "double", "Decimal"):
            schema = {"type": "integer" if cpp == "int64_t" else "number"}
            if bounds:
                schema.update(minimum=bounds[0], maximum=bounds[1])
            if cpp == "Decimal":
                schema["x-decimal"] = True
            return schema
        if cpp == "bool":
            return {"type": "boolean"}
        if cpp == "json::Raw":
            return {"type": "object"} if (struct, field.name) in table.OBJECTS else {}
        if cpp in self.enums:
            return {"type": "string", "enum": list(self.enums[cpp])}
        return self._struct(cpp)

    def _field(self, struct, field):
        if field.kind == "Constant":
            return {"const": field.constant}
        schema = self._type(field.type, struct, field, field.range)
        if field.kind == "Nullable":
            schema = {"oneOf": [{"type": "null"}, schema]} if "$ref" in schema else {**schema, "type": [schema["type"], "null"]}
        default = self.enumerators.get(field.default, field.default)
        if field.kind == "Optional" and default is not None and "$ref" not in schema:
            schema["default"] = default
        meaning = self._meaning(struct, field)
        if meaning:
            # Draft 7 ignores what stands beside a $ref.
            schema = {"description": meaning, "allOf": [schema]} if "$ref" in schema else {"description": meaning, **schema}
        return schema

    def _struct(self, name):
        """A reference to the schema of a struct, which is made once."""
        reference = {"$ref": f"#/components/schemas/{name}"}
        if name in self.schemas:
            return reference
        struct = self.structs[name]
        self.schemas[name] = schema = {"type": "object"}
        required = [
            field.name
            for field in struct.fields
            if ((name, field.name) not in table.LEFT_OUT and field.kind == "Required") or (field.kind == "Constant" and field.name == "status")
        ]
        if required:
            schema["required"] = required
        schema["properties"] = {field.name: self._field(name, field) for field in struct.fields}
        schema["additionalProperties"] = True
        if name == "UiComponent":
            schema["allOf"] = [
                {
                    "if": {"required": ["type"], "properties": {"type": {"const": other.name}}},
                    "then": {"properties": {"data": self._struct(other.name)}},
                }
                for other in self.structs.values()
                if other.component
            ]
        sent = [field.name for field in struct.fields if field.always_sent() and field.name not in required]
        if sent:
            schema["x-always-sent"] = sent
        return reference

    def _envelope(self):
        described = {
            line.split("|")[1].strip(" `"): _words(line.split("|")[4])
            for line in re.search(r"^## The envelope$(.*?)^## ", self.page, re.MULTILINE | re.DOTALL).group(1).splitlines()
            if line.startswith("| `")
        }
        fields = {
            "msg_id": {"type": "string"},
            "timestamp": dict(TIMESTAMP),
            "session_id": {"type": "string"},
            "trace_id": {"type": "string"},
            "version": {"type": "string", "default": "1.0"},
            "payload": {"type": "object"},
        }
        assert list(described) == list(fields), "the envelope's table in docs/messages.md has other fields"
        return {
            "type": "object",
            "required": ["payload"],
            "properties": {name: {"description": described[name], **schema} if described[name] else schema for name, schema in fields.items()},
            "additionalProperties": True,
            "x-always-sent": [name for name in fields if name != "payload"],
        }

    # Messages

    def _message(self, message):
        reference = {"$ref": f"#/components/messages/{message.name}"}
        made = {"name": message.name}
        if message.struct:
            made["title"] = message.title or re.sub(r"(?<!^)(?=[A-Z])", " ", message.name)
            made["contentType"] = "application/json"
        else:
            made.update(title=message.title, contentType="application/octet-stream")
        if message.headers:
            fields = {}
            for name in message.headers:
                description, schema = table.HEADERS[name]
                fields[name] = {"description": description, "type": "string", **schema}
            made["headers"] = {"type": "object", **({"required": list(message.needs)} if message.needs else {}), "properties": fields}
            if message.sends:
                made["headers"]["x-always-sent"] = list(message.sends)
        if message.struct is None:
            made["payload"] = {"type": "string", "format": "binary", "description": "one frame of 20 to 100 ms; empty with End: true"}
        elif message.envelope:
            payload = {"type": "object", "properties": {"payload": self._struct(message.struct)}}
            made["payload"] = {"allOf": [{"$ref": "#/components/schemas/Envelope"}, payload]}
        else:
            made["payload"] = self._struct(message.struct)
        examples = [example for example in self.examples if example["message"] == message.name]
        if examples:
            made["examples"] = [{"name": example["name"], "payload": example["body"]} for example in examples]
        known = self.messages.setdefault(message.name, made)
        if known != made:
            # The same message as a command's reply and on a subject of its own: the headers of the latter.
            assert {**known, "headers": None} == {**made, "headers": None}, message.name
            if "headers" in made:
                self.messages[message.name] = made
        return reference

    # Channels and operations

    def _description(self, subject):
        found = re.search(r"^### `%s`\n((?:(?!\n\n|^#|^\*\*|^\|).)*)" % re.escape(subject), self.page, re.MULTILINE | re.DOTALL)
        return _words(re.sub(r"\s*\n\s*", " ", found.group(1))) if found else ""

    def _channel(self, channel, key, address, reply_key, description):
        reference = {"$ref": f"#/channels/{key}"}
        made = {"address": address}
        if description:
            made["description"] = description
        parameters = re.findall(r"\{(\w+)\}", address)
        if parameters:
            made["parameters"] = {name: {"description": table.PARAMETERS[name]} for name in parameters}
        made["messages"] = {channel.message.name: self._message(channel.message)}
        if channel.stream:
            made["x-stream"] = channel.stream
        made["x-senders"] = list(channel.senders)
        made["x-receivers"] = list(channel.receivers)
        made["x-from-fleet-only"] = all(sender in table.FLEET for sender in channel.senders)
        self.channels[key] = made

        reply = None
        if channel.replies:
            reply = {"channel": {"$ref": f"#/channels/{reply_key}"}}
            if channel.stream:
                where = "Kiosk-Reply-To; without that header the NATS reply subject"
                reply["address"] = {"description": where, "location": "$message.header#/Kiosk-Reply-To"}
            reply["messages"] = [{"$ref": f"#/channels/{reply_key}/messages/{message.name}"} for message in channel.replies]
        upper = key[0].upper() + key[1:]
        for action, agents in (("receive", channel.receivers), ("send", channel.senders)):
            ours = [agent for agent in agents if agent in table.FLEET]
            if not ours:
                continue
            operation = {"action": action, "channel": reference, "messages": [{"$ref": f"#/channels/{key}/messages/{channel.message.name}"}]}
            if channel.timeout:
                operation["summary"] = f"Answered within {channel.timeout}."
            if channel.queue and action == "receive":
                operation["bindings"] = {"nats": {"queue": channel.queue, "bindingVersion": "0.1.0"}}
            if reply:
                operation["reply"] = reply
            operation["x-agents"] = ours
            self.operations[f"{action}{upper}"] = operation

    def _forms(self, channel):
        """Every (key, address, words) under which a channel is known: its own, scoped to a kiosk, and those of the alias."""
        subject = self.subjects[channel.constant]
        key = _lower(re.sub(r"^k|Prefix$", "", channel.constant))
        if channel.literal:
            subject += "." + channel.literal
            key += channel.literal.capitalize()
        if channel.parameters == ("kiosk_id",):
            key += "OfKiosk"
        address = ".".join([subject, *(f"{{{name}}}" for name in channel.parameters)])
        heading = ".".join([subject, *(f"<{name}>" for name in channel.parameters)])
        words = self._description(heading)
        if channel.parameters == ("kiosk_id",):
            words = f"{subject} of one kiosk with subjects of its own."
        yield key, address, words
        prefix, alias = table.ALIAS
        if subject.startswith(prefix):
            yield f"{key}Alias", alias + subject[len(prefix) :], f"Another name of {subject}."
        if any(subject.startswith(family) for family in headers.scoped_families()):
            yield f"{key}OfKiosk", f"{address}.{{kiosk_id}}", f"{address} of one kiosk with subjects of its own."
            if subject.startswith(prefix):
                other = f"{alias}{subject[len(prefix) :]}.{{kiosk_id}}"
                yield f"{key}AliasOfKiosk", other, f"Another name of {subject}.{{kiosk_id}}."

    def make(self, version):
        self.examples = []
        for path in sorted(EXAMPLES.glob("*.json")):
            self.examples += json.loads(path.read_text())
        self.channels = {}
        self.operations = {}
        self.schemas["Envelope"] = self._envelope()
        for channel in table.CHANNELS:
            forms = list(self._forms(channel))
            reply_key = f"{forms[0][0]}Reply"
            for key, address, description in forms:
                # Agents of this fleet do not send by the alias.
                alias = address.startswith(table.ALIAS[1])
                self._channel(dataclasses.replace(channel, senders=("any client",)) if alias else channel, key, address, reply_key, description)
            if channel.replies:
                where = "The requester's inbox: Kiosk-Reply-To, or the NATS reply subject." if channel.stream else "The NATS reply subject."
                self.channels[reply_key] = {
                    "address": None,
                    "description": where,
                    "messages": {message.name: self._message(message) for message in channel.replies},
                    "x-senders": list(channel.receivers),
                    "x-receivers": list(channel.senders),
                    "x-from-fleet-only": True,
                }
        return {
            "asyncapi": "3.0.0",
            "info": {
                "title": "ARC Kiosk",
                "version": version,
                "license": {"name": "Apache-2.0"},
                "description": DESCRIPTION,
            },
            "defaultContentType": "application/json",
            "servers": {"kiosk": {"host": "localhost:4222", "protocol": "nats", "description": "nats-server with JetStream, beside the kiosk"}},
            "channels": self.channels,
            "operations": self.operations,
            "components": {"messages": dict(sorted(self.messages.items())), "schemas": dict(sorted(self.schemas.items()))},
        }
