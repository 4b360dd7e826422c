#!/usr/bin/env python3
"""The documentation names everything that the code has: subjects, fields, streams, metrics, services.

Sources of truth are the C++ headers, deploy/streams.json, scripts/fleet and the folders under services/. What is
missing in docs/, or said differently there, is named.
"""

import ast
import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "scripts"))
sys.dont_write_bytecode = True

from contract import channels, headers  # noqa: E402
from contract.headers import constants, documented_range, structs, tables  # noqa: E402

MESSAGES = REPO / "docs" / "messages.md"
OPERATING = REPO / "docs" / "operating.md"
ARCHITECTURE = REPO / "docs" / "architecture.md"

# Folders under services/ that are not agents: nothing is sent to them through KIOSK_COMMANDS, and what starts
# them is not the table of agents.
COMPANIONS = {"arcctl", "terminal_sim"}
# Agents of agent.*, which is core NATS: they have queue groups instead of durables.
QUEUED = {"stt", "brain", "tts"}
# Only publishes.
WATCHERS = {"vision_bridge"}
# A static web app; it has no binary.
STATIC = {"screen"}


def table_of(source, name):
    """The keys of the dictionary that a Python source assigns to `name`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == name for target in node.targets):
            return {key.value for key in node.value.keys}
    raise AssertionError(f"scripts/fleet assigns no dictionary {name}")


def matches(subscription, subject):
    """Whether a NATS subscription catches a subject; a token such as <room> stands for any."""
    wanted, have = subscription.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(have) > index
        if index >= len(have) or token not in ("*", have[index]):
            return False
    return len(wanted) == len(have)


def documented_type(cpp, enums):
    """A C++ type as the tables write it."""
    inner = re.fullmatch(r"std::(optional|vector)<(.*)>", cpp)
    if inner:
        return ("array of " if inner.group(1) == "vector" else "") + documented_type(inner.group(2), enums)
    if cpp in enums:
        return "one of " + ", ".join(f"`{name}`" for name in enums[cpp])
    plain = {"std::string": "string", "int64_t": "integer", "double": "number", "bool": "boolean", "Decimal": "decimal", "json::Raw": "object"}
    return plain.get(cpp, f"`{cpp}`")


def services():
    return sorted(path.name for path in (REPO / "services").iterdir() if path.is_dir())


class DocsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.messages = MESSAGES.read_text()
        cls.operating = OPERATING.read_text()
        cls.architecture = ARCHITECTURE.read_text()
        cls.topology = json.loads((REPO / "deploy" / "streams.json").read_text())

    def missing(self, names, text):
        # A whole word in backticks, alone or as the beginning of a pattern such as `system.deadletter.<stream>`.
        return [name for name in names if not re.search(r"`%s(?![\w-])" % re.escape(name), text)]

    def test_every_subject_and_name_is_in_the_messages(self):
        names = constants(REPO / "common" / "subjects" / "subjects.h")
        self.assertGreater(len(names), 30, "subjects.h is not read as it is written")
        self.assertEqual([], self.missing(names.values(), self.messages), "docs/messages.md does not name these of subjects.h")

    def headings(self):
        return set(re.findall(r"^### `([^`]+)`$", self.messages, re.MULTILINE))

    def test_every_subject_has_a_section_of_its_own(self):
        names = constants(REPO / "common" / "subjects" / "subjects.h")
        subjects = {name for constant, name in names.items() if name.startswith(("kiosk.", "agent.", "system.")) and not constant.endswith("Prefix")}
        prefixes = {name for constant, name in names.items() if constant.endswith("Prefix")}
        self.assertGreaterEqual(len(prefixes), 4, "subjects.h is not read as it is written")
        headings = self.headings()
        self.assertEqual([], sorted(subjects - headings), "docs/messages.md has no section (### `SUBJECT`) for these")
        below = {prefix: [heading for heading in headings if re.match(r"%s\.(\w+\.)?<" % re.escape(prefix), heading)] for prefix in prefixes}
        self.assertEqual([], [prefix for prefix, found in below.items() if not found], "have no section such as `agent.voice.audio.<room>`")
        known = subjects | {heading for found in below.values() for heading in found}
        self.assertEqual([], sorted(headings - known), "documented but not in subjects.h")

    def test_every_subject_has_its_sender_and_receiver(self):
        names = constants(REPO / "common" / "subjects" / "subjects.h")
        subjects = {constant for constant, name in names.items() if name.startswith(("kiosk.", "agent.", "system."))}
        self.assertEqual(subjects, {channel.constant for channel in channels.CHANNELS}, "scripts/contract/channels.py has other subjects than subjects.h")
        named = {header for constant, header in names.items() if constant.endswith("Header")}
        self.assertEqual(named, set(channels.HEADERS), "scripts/contract/channels.py has other headers than subjects.h")

    def test_wildcard_monitors_catch_what_the_messages_say(self):
        section = self.messages[self.messages.index("## Wildcard monitors") :]
        section = section[: section.index("\n## ", 3)]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
        self.assertEqual(["agent.>", "agent.voice.>", "agent.*.track.>", "*.*.error", "system.*.error"], [row[0].strip("`") for row in rows])
        for subscription, catches in rows:
            subscription = subscription.strip("`")
            caught = {subject for subject in self.headings() if matches(subscription, subject)}
            said = set(re.findall(r"`([^`]+)`", catches))
            if said == {"agent.*"}:
                said = {subject for subject in self.headings() if subject.startswith("agent.")}
            self.assertEqual(said, caught, subscription)

    def test_what_is_generated_is_up_to_date(self):
        done = subprocess.run([REPO / "scripts" / "asyncapi", "--check"], capture_output=True, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_every_stream_bucket_and_consumer_is_in_the_messages(self):
        for kind, key in (("streams", "name"), ("buckets", "name"), ("consumers", "durable_name"), ("kiosk_consumers", "durable_name")):
            names = [entry[key] for entry in self.topology[kind]]
            self.assertTrue(names, kind)
            self.assertEqual([], self.missing(names, self.messages), f"docs/messages.md does not name these {kind} of deploy/streams.json")

    def test_consumers_have_the_settings_that_the_messages_say(self):
        rows = {}
        for line in self.messages.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) == 5 and cells[1] in ("`KIOSK_COMMANDS`", "`KIOSK_EVENTS`"):
                rows[cells[0].strip("`")] = cells[1:]
        expected = {}
        for consumer in self.topology["consumers"] + self.topology["kiosk_consumers"]:
            deliveries = "no limit" if consumer["max_deliver"] == -1 else str(consumer["max_deliver"])
            ack_wait = re.sub(r"(\d+)s", r"\1 s", consumer["ack_wait"])
            expected[consumer["durable_name"]] = [f"`{consumer['stream']}`", f"`{consumer['filter_subject']}`", ack_wait, deliveries]
        self.assertEqual(expected, rows, "the table of consumers in docs/messages.md is not as deploy/streams.json")

    def test_every_field_of_every_message_is_in_its_table(self):
        documented = tables(self.messages)
        enums = {}
        enumerators = {}
        for header in headers.headers():
            enums.update(headers.enums(header))
            enumerators.update(headers.enumerators(header))
        problems = []
        known = set()
        for header in headers.headers():
            found = structs(header)
            self.assertTrue(found, f"{header} is not read as it is written")
            for message in found:
                struct = message.name
                self.assertNotIn(struct, known, f"two messages are called {struct}")
                known.add(struct)
                where = f"{header.name}: {struct}"
                if struct not in documented:
                    problems.append(f"{where}: has no table")
                    continue
                rows = dict(documented[struct])
                for described in message.fields:
                    field, kind, bounds = described.name, described.kind, described.range
                    default = enumerators.get(described.default, described.default)
                    default = json.dumps(default) if isinstance(default, bool) else default
                    cells = rows.pop(field, None)
                    if cells is None:
                        problems.append(f"{where}.{field}: has no row")
                        continue
                    _, type_name, required, meaning = cells
                    said = {"Required": "yes", "Constant": "always sent", "Nullable": "null or missing: none"}.get(kind, "no")
                    if not (required == said or (said == "no" and required.startswith("no,"))):
                        problems.append(f"{where}.{field}: is {kind}, and the table says '{required}'")
                    if kind == "Optional" and default is not None and required != f"no, {default}":
                        problems.append(f"{where}.{field}: its default is {default}, and the table says '{required}'")
                    if type_name != documented_type(described.type, enums):
                        problems.append(f"{where}.{field}: is {documented_type(described.type, enums)}, and the table says '{type_name}'")
                    if bounds and not re.match(re.escape(documented_range(bounds)) + r"(?![\w.])", meaning):
                        problems.append(f"{where}.{field}: its range is {documented_range(bounds)}, and the table says '{meaning}'")
                problems += [f"{where}: has no field {field}, but the table has" for field in rows]
        problems += [f"the table {struct} is of no message" for struct in documented if struct not in known]
        self.assertEqual([], problems)

    def test_every_error_code_is_in_the_messages(self):
        source = (REPO / "common" / "status" / "status.h").read_text()
        codes = re.findall(r"^  k\w+,\s*// ([A-Z_]+):", source, re.MULTILINE)
        self.assertGreaterEqual(len(codes), 10, "status.h is not read as it is written")
        self.assertEqual([], self.missing(codes, self.messages))

    def test_every_metric_is_in_operating(self):
        names = set(constants(REPO / "common" / "metrics" / "metrics.h").values())
        self.assertGreaterEqual(len(names), 9, "metrics.h is not read as it is written")
        for source in sorted((REPO / "services").glob("*/*")):
            if source.suffix in (".h", ".cc") and not source.stem.endswith("_test"):
                names |= set(re.findall(r'"((?:kiosk|terminal_sim)_\w+_(?:total|ms|seconds|bytes))"', source.read_text()))
                names |= set(re.findall(r"# HELP (\w+) ", source.read_text()))
        self.assertLessEqual({"kiosk_payments_total", "terminal_sim_intents"}, names, "the metrics of services are not read as they are written")
        self.assertEqual([], self.missing(sorted(names), self.operating))

    def test_every_service_error_is_in_operating(self):
        names = set()
        for source in [*(REPO / "services").glob("*/*.cc"), REPO / "common" / "agent" / "agent.cc"]:
            if not source.stem.endswith("_test"):
                names |= set(re.findall(r'\b(?:report_|ReportError)\(\s*"(\w+)"', source.read_text()))
        self.assertIn("out_of_paper", names)
        self.assertEqual([], self.missing(sorted(names), self.operating))

    def test_every_doctor_check_is_in_operating(self):
        source = (REPO / "common" / "provision" / "doctor.cc").read_text()
        names = set(re.findall(r'\bFind\(\s*"(\w+)"', source))
        self.assertGreaterEqual(len(names), 8, "doctor.cc is not read as it is written")
        self.assertEqual([], self.missing(sorted(names), self.operating))

    def test_every_flag_of_a_service_is_in_operating(self):
        names = set()
        for source in [*(REPO / "services").glob("*/main.cc"), REPO / "common" / "agent" / "agent.cc"]:
            names |= set(re.findall(r"^ABSL_FLAG\([\w:]+, (\w+),", source.read_text(), re.MULTILINE))
        self.assertIn("terminal_url", names)
        self.assertEqual([], self.missing([f"--{name}" for name in sorted(names)], self.operating))

    def test_every_service_is_whole_and_known(self):
        fleet = (REPO / "scripts" / "fleet").read_text()
        agents = table_of(fleet, "AGENTS")
        companions = table_of(fleet, "COMPANIONS")
        consumers = {consumer["agent"] for consumer in self.topology["consumers"]}
        compose = REPO / "compose.yaml"
        composed = None
        if compose.exists():
            composed = {name.replace("-", "_") for name in re.findall(r"^  ([\w-]+):\s*(?:#.*)?$", compose.read_text(), re.MULTILINE)}
        problems = []
        for name in services():
            folder = REPO / "services" / name
            wanted = ["README.md"] if name in STATIC else ["README.md", "CMakeLists.txt", "main.cc"]
            problems += [f"services/{name} has no {file}" for file in wanted if not (folder / file).is_file()]
            if not re.search(r"`%s`" % name, self.architecture):
                problems.append(f"docs/architecture.md does not name `{name}`")
            if name in STATIC:
                continue
            if name not in COMPANIONS:
                if name not in agents:
                    problems.append(f"scripts/fleet does not start {name}")
                if name not in consumers and name not in QUEUED | WATCHERS:
                    problems.append(f"deploy/streams.json has no consumer of {name}")
            elif name != "arcctl" and name not in companions:
                problems.append(f"scripts/fleet does not start {name}")
            if composed is not None and name != "arcctl" and name not in composed:
                problems.append(f"compose.yaml has no service {name.replace('_', '-')}")
        problems += [f"scripts/fleet starts {name}, which has no folder" for name in agents if name not in services()]
        self.assertEqual([], problems)

    def test_examples_are_json(self):
        problems = []
        for page in sorted((REPO / "docs").glob("*.md")):
            for block in re.findall(r"^```json\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
                rest = block.strip()
                try:
                    while rest:
                        _, end = json.JSONDecoder().raw_decode(rest)
                        rest = rest[end:].strip()
                except ValueError as error:
                    problems.append(f"{page.name}: {error} in:\n{block}")
        self.assertEqual([], problems)

    def test_links_lead_somewhere(self):
        problems = []
        for page in sorted((REPO / "docs").glob("*.md")):
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
                if not (page.parent / target).exists():
                    problems.append(f"{page.name}: {target} does not exist")
        self.assertEqual([], problems)

    def test_anchors_lead_somewhere(self):
        problems = []
        for page in sorted((REPO / "docs").glob("*.md")):
            for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", page.read_text()):
                path = page.parent / target if target else page
                if not path.exists():
                    continue
                headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                if anchor not in anchors:
                    problems.append(f"{page.name}: {target}#{anchor} does not exist")
        self.assertEqual([], problems)


if __name__ == "__main__":
    unittest.main()
