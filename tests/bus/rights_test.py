#!/usr/bin/env python3
"""Rights on the bus, on a real nats-server: deploy/nats/rights.toml against the contract, and every user against every subject.

`Contract` starts nothing: what an agent sends and receives it has a right to, and nothing else. `Server` starts the
server as a fleet has it and lets every user try every subject of the contract, of JetStream, of the key-value buckets,
of the service protocol and of everybody's inboxes: what is not a right is refused, what is one arrives.
"""

import base64
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ARC_BUILD_DIR", REPO / "build" / "release"))
sys.path.insert(0, str(REPO / "scripts"))
sys.dont_write_bytecode = True

from contract import keys, rights  # noqa: E402
from contract.document import Document  # noqa: E402

STREAMS = json.loads((REPO / "deploy" / "streams.json").read_text())
DOCUMENT = Document().make("0")
# Names of the contract for who is not an agent.
OUTSIDE = {"arcctl": "operator", "operator": "operator", "staff": "staff", "terminal_sim": "terminal_sim"}
DEADLINE = 30.0


def addresses():
    """(address with {parameters}, x-senders, x-receivers) of every channel that has a subject of its own."""
    for channel in DOCUMENT["channels"].values():
        if channel["address"] is not None:
            yield channel["address"], channel["x-senders"], channel["x-receivers"]


def as_pattern(address):
    return re.sub(r"\{\w+\}", "*", address)


def subject_of(entry):
    """A subscription without its queue group."""
    return entry.split(" ")[0]


def covers(pattern, subject):
    """Whether everything that `subject` (wildcards allowed) stands for is matched by `pattern`."""
    wanted, have = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(have) > index
        if index >= len(have) or have[index] == ">" or (token != "*" and have[index] != token):
            return False
    return len(wanted) == len(have)


def overlap(one, other):
    """Whether some subject is matched by both."""
    left, right = one.split("."), other.split(".")
    for index in range(max(len(left), len(right))):
        if index >= len(left) or index >= len(right):
            return False
        if ">" in (left[index], right[index]):
            return True
        if "*" not in (left[index], right[index]) and left[index] != right[index]:
            return False
    return True


class Contract(unittest.TestCase):
    """The table against docs/asyncapi.yaml (which scripts/asyncapi holds equal to the document that is made here)."""

    def setUp(self):
        self.tables = [rights.Table(), rights.Table(("kiosk-001", "kiosk-007"), scoped=True)]

    def agents(self, table):
        return [role for role, entry in table.data["roles"].items() if "agent" in entry]

    def roles(self, table, names):
        found = set()
        for name in names:
            found |= set(self.agents(table)) if name == "agents" else {OUTSIDE.get(name, name)}
        return found

    def hears(self, user, pattern):
        """Whether the user gets what is published there: by a subscription, or by a durable that it pulls from."""
        if any(covers(subject_of(entry), pattern) for entry in user.subscribe):
            return True
        for consumer in STREAMS["consumers"]:
            durable = f"$JS.API.CONSUMER.MSG.NEXT.{consumer['stream']}.{consumer['durable_name']}"
            filled = durable.replace("{kiosk_id}", user.kiosk or "")
            mine = consumer["filter_subject"].replace("{kiosk_id}", user.kiosk or "")
            if filled in user.publish and covers(mine, pattern):
                return True
        return False

    def of_kiosk(self, table, user, address):
        """The address as this user has it: one that belongs to a kiosk has that kiosk's subjects alone. None: another's."""
        if user.kiosk is None or user.role == "screen":
            return as_pattern(address)
        own = address.endswith(".{kiosk_id}")
        return address.replace("{kiosk_id}", user.kiosk) if own == table.scoped else None

    def test_what_is_sent_and_received_is_a_right(self):
        checked = 0
        for table in self.tables:
            for address, senders, receivers in addresses():
                for side, names in (("publish", senders), ("subscribe", receivers)):
                    for user in table.users.values():
                        if user.role not in self.roles(table, names):
                            continue
                        pattern = self.of_kiosk(table, user, address)
                        if pattern is None:
                            continue
                        if "{agent}" in address:
                            pattern = address.replace("{agent}", table.data["roles"][user.role].get("agent", ["*"])[0])
                        if "{stream}" in address and side == "publish":
                            # Each of the durables that it reads has dead letters.
                            durables = [entry.split(".", 5)[5] for entry in user.publish if entry.startswith("$JS.API.CONSUMER.MSG.NEXT.")]
                            wanted = [address.replace("{stream}.{consumer}", durable) for durable in durables]
                        else:
                            wanted = [pattern]
                        for one in wanted:
                            has = any(covers(allowed, one) for allowed in user.publish) if side == "publish" else self.hears(user, one)
                            self.assertTrue(has, f"{user.user} needs a right to {side} {one}: deploy/nats/rights.toml")
                            checked += 1
        self.assertGreater(checked, 200)

    def test_no_right_is_more_than_the_contract(self):
        for table in self.tables:
            for user in table.users.values():
                if user.role == "operator":
                    continue
                known = {user.role, *[name for name, role in OUTSIDE.items() if role == user.role]}
                if user.role in self.agents(table):
                    known.add("agents")
                if user.role == "staff":
                    known.add("any client")
                for side, entries in (("publish", user.publish), ("subscribe", user.subscribe)):
                    for entry in map(subject_of, entries):
                        if not re.match(r"kiosk\.|agent\.|system\.", entry):
                            continue
                        # A token * stands for the kiosk, the room or the request; or, where > is heard, for all of a family.
                        met = [(s, r) for address, s, r in addresses() if overlap(entry, as_pattern(address))]
                        self.assertTrue(met, f"{user.user} may {side} {entry}, which is no subject of the contract")
                        for senders, receivers in met:
                            allowed = set(senders if side == "publish" else receivers)
                            if side == "subscribe" and "everyone" in allowed:
                                continue
                            guard = user.role == "orchestrator" and entry == "kiosk.ui.>"  # a look at what is published in its name
                            self.assertTrue(known & allowed or guard, f"{user.user} may {side} {entry}; the contract knows {sorted(allowed)} only")

    def test_screens(self):
        by_address = {as_pattern(address): (senders, receivers) for address, senders, receivers in addresses()}
        for table in self.tables:
            for kiosk, screen in table.screens.items():
                for here, there in screen.passed_on:
                    senders = [s for address, (s, _) in by_address.items() if covers(address, there)]
                    self.assertTrue(any("screen" in names for names in senders), there)
                    self.assertTrue(there.endswith(f".{kiosk}") or not table.scoped, there)
                    self.assertTrue(there.endswith(f".{kiosk}") or here.startswith("kiosk.input."), there)
                    self.assertNotIn("*", there)
                for here, there in screen.heard:
                    receivers = [r for address, (_, r) in by_address.items() if covers(address, there)]
                    self.assertTrue(any("screen" in names for names in receivers), there)
                    self.assertTrue(there.endswith(f".{kiosk}") or not table.scoped, there)
        # Everything that the contract has for the screen, it has.
        bare = self.tables[0].screens["kiosk-001"]
        for address, senders, receivers in addresses():
            if address.endswith(".{kiosk_id}"):
                continue
            filled = address.replace("{room}", "kiosk-001")
            if "screen" in senders:
                self.assertIn(filled, bare.rights.publish)
            if "screen" in receivers:
                self.assertIn(filled, bare.rights.subscribe)

    def test_what_must_never_be(self):
        for table in self.tables:
            users = table.all_users()
            for name, user in users.items():
                if user.role == "operator":
                    continue
                for entry in map(subject_of, user.subscribe):
                    for secret in ("$SYS.REQ.X", "$JS.API.X", "$KV.KIOSK_PAYMENTS.X", "_R_.X.Y", "_INBOX.X", "_INBOX.X.Y"):
                        if user.role == "screen" and secret == "_INBOX.X.Y":  # of its own account, where there is nobody else
                            continue
                        self.assertFalse(overlap(entry, secret), f"{name} hears {entry}")
                    for other in users.values():
                        if other.user != name and "screen" not in (user.role, other.role):
                            self.assertFalse(overlap(entry, f"{other.inbox}.>"), f"{name} hears {entry}")
                for entry in user.publish:
                    for secret in ("$SYS.>", "$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.PURGE.>", "$JS.API.CONSUMER.DELETE.>", "$JS.API.STREAM.SNAPSHOT.>", "$JS.API.STREAM.RESTORE.>"):
                        self.assertFalse(overlap(entry, secret), f"{name} may publish {entry}")
                    if overlap(entry, "$KV.KIOSK_PAYMENTS.>"):
                        self.assertEqual(user.role, "payment")
                    if overlap(entry, "kiosk.agent.payment.process"):
                        self.assertEqual(user.role, "orchestrator")
                    if overlap(entry, "kiosk.input.>"):
                        self.assertEqual(user.role, "screen")
                if user.role == "screen":
                    for entry in (*user.publish, *map(subject_of, user.subscribe)):
                        self.assertFalse(entry.startswith("$"), entry)
                        self.assertFalse(overlap(entry, "kiosk.session.>") or overlap(entry, "system.>"), entry)

    def test_the_archive(self):
        topology = json.loads((REPO / "deploy" / "archive" / "topology.json").read_text())
        plain = lambda stream: {key: value for key, value in stream.items() if key != "description"}
        streams = {stream["name"]: plain(stream) for stream in STREAMS["streams"]}
        self.assertEqual([plain(stream) for stream in topology["streams"]], [streams["KIOSK_EVENTS"]])
        (consumer,) = topology["consumers"]
        entry = self.tables[0].data["archive"]
        self.assertEqual((consumer["durable_name"], consumer["deliver_subject"]), (entry["reads_events"], entry["sent_to"]))
        # Every family that it gets has a topic.
        config = (REPO / "deploy" / "archive" / "connect.yaml").read_text()
        topics = (REPO / "deploy" / "archive" / "topics.sh").read_text()
        cases = dict(re.findall(r'check: meta\("family"\) == "([\w.]+)"\n\s+output: \{pulsar: .*?topic: "persistent://kiosk/([\w/]+)"', config))
        heard = [pattern for pattern in entry["hears"]] + streams["KIOSK_EVENTS"]["subjects"]
        families = {".".join(address.split(".")[:2]) for address, _, _ in addresses() if any(covers(pattern, as_pattern(address)) for pattern in heard)}
        self.assertEqual(families, set(cases))
        self.assertEqual(set(cases.values()), set(re.findall(r"(?:events|agents)/\w+", topics)))

    def test_refusals(self):
        with self.assertRaisesRegex(rights.RightsError, "subjects of their own"):
            rights.Table(("a", "b"))
        with self.assertRaisesRegex(rights.RightsError, "no kiosk's id"):
            rights.Table(("a.b",))
        with self.assertRaisesRegex(rights.RightsError, "gives no rights to 'waiter'"):
            rights.Table().user_of("waiter", "kiosk-001")

    def test_passwords(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "credentials"
            table = rights.Table()
            proofs = rights.make_credentials(folder, table)
            self.assertEqual(len(set(proofs.values())), len(table.all_users()))
            self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
            for path in folder.iterdir():
                self.assertEqual(path.stat().st_mode & 0o777, 0o600, path.name)
            self.assertEqual(rights.make_credentials(folder, table), proofs, "passwords changed without need")
            text = (folder / "rights.conf").read_text()
            for proof in proofs.values():
                self.assertGreaterEqual(len(proof.password), 40)
                self.assertNotIn(proof.password, text)
            login = json.loads((folder / "kiosk.json").read_text())
            self.assertEqual(login, {"nats_user": "screen_kiosk-001", "nats_password": proofs["screen_kiosk-001"].password, "inbox_prefix": "_INBOX", "kiosk_id": "kiosk-001"})

    def test_nkeys(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "credentials"
            table = rights.Table()
            proofs = rights.make_credentials(folder, table, nkeys=True)
            self.assertEqual(len({proof.seed for proof in proofs.values()}), len(table.all_users()))
            for path in folder.iterdir():
                self.assertEqual(path.stat().st_mode & 0o777, 0o600, path.name)
            self.assertEqual(list(folder.glob("*.password")), [])
            self.assertEqual(rights.make_credentials(folder, table, nkeys=True), proofs, "nkeys changed without need")
            text = (folder / "rights.conf").read_text()
            for proof in proofs.values():
                self.assertRegex(proof.seed, r"^SU[A-Z2-7]{56}$")
                self.assertNotIn(proof.seed, text)
                self.assertIn(keys.public_key(proof.seed), text)
            self.assertEqual(json.loads((folder / "staff.json").read_text())["nats_nkey_seed"], proofs["staff"].seed)
        for wrong in ("", "SU", keys.public_key(keys.new_seed()), keys.new_seed()[:-1] + "1", keys.new_seed().lower()):
            with self.assertRaises(keys.KeyFailure):
                keys.public_key(wrong)

    def test_chain(self):
        """What passes between a chain and its restaurants is what copies of the events need."""
        chain = rights.Table(restaurants=("burger-12", "burger-13")).chain_users()
        self.assertEqual(set(chain), {"chain", "leaf_burger-12", "leaf_burger-13"})
        leaf = chain["leaf_burger-12"]
        for entry in (*leaf.publish, *leaf.subscribe):
            self.assertFalse(overlap(entry, "restaurant.burger-13.>"), entry)
            self.assertFalse(any(overlap(entry, other) for other in ("kiosk.>", "agent.>", "system.>", "$JS.API.>", "$KV.>", "$SRV.>", "_INBOX.>")), entry)
        with self.assertRaisesRegex(rights.RightsError, "no restaurant's id"):
            rights.Table(restaurants=("a.b",))


def login_of(user, proof, info):
    """The fields of CONNECT that show who this is."""
    if not proof.seed:
        return {"user": user, "pass": proof.password}
    signature = base64.urlsafe_b64encode(keys.sign(proof.seed, info["nonce"].encode())).decode().rstrip("=")
    return {"nkey": keys.public_key(proof.seed), "sig": signature}


class Connection:
    """The NATS protocol, as far as this test speaks it. `refused`: what the server said no to, in its words."""

    def __init__(self, port, user=None, proof=rights.Proof()):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.stream = self.socket.makefile("rb")
        info = json.loads(self.stream.readline().removeprefix(b"INFO "))
        options = {"verbose": False, "headers": True, "no_responders": True, "pedantic": False, "name": "rights_test", "lang": "python", "version": "1", "protocol": 1}
        if user is not None:
            options |= login_of(user, proof, info)
        self.refused = []
        self.messages = []  # (subject, reply, headers as text, body)
        self.closed = False
        self.sids = 0
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.flush()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def subscribe(self, entry):
        self.sids += 1
        self.send(f"SUB {entry} {self.sids}\r\n".encode())
        return self.sids

    def unsubscribe(self, sid):
        self.send(f"UNSUB {sid}\r\n".encode())

    def publish(self, subject, body=b"{}", reply="", headers=None):
        if headers is None:
            self.send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")
            return
        head = b"NATS/1.0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers) + b"\r\n"
        self.send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n".encode() + head + body + b"\r\n")

    def flush(self):
        """Returns when the server has taken everything that was sent, and said what it has to say to it."""
        self.send(b"PING\r\n")
        while not self.closed and self.read() != "PONG":
            pass

    def read(self):
        try:
            line = self.stream.readline()
        except OSError:
            line = b""
        words = line.split()
        if not words:
            self.closed = True
            return None
        if words[0] == b"PING":
            self.send(b"PONG\r\n")
        elif words[0] == b"-ERR":
            self.refused.append(line.decode().strip()[6:-1])
        elif words[0] in (b"MSG", b"HMSG"):
            counts = 1 if words[0] == b"MSG" else 2
            data = self.stream.read(int(words[-1]) + 2)[:-2]
            head = int(words[-2]) if counts == 2 else 0
            reply = words[3].decode() if len(words) == 4 + counts else ""
            self.messages.append((words[1].decode(), reply, data[:head].decode(), data[head:]))
        return words[0].decode()

    def until(self, what, found):
        """Reads on until `found` gives something true."""
        self.socket.settimeout(DEADLINE)
        while not self.closed:
            result = found()
            if result:
                return result
            self.read()
        raise AssertionError(f"waited in vain for {what}")

    def take(self):
        self.flush()
        taken, self.messages = self.messages, []
        return taken

    def close(self):
        self.stream.close()
        self.socket.close()


class ServerTest(unittest.TestCase):
    kiosks = ()
    scoped = False
    nkeys = False

    @classmethod
    def setUpClass(cls):
        if not cls.kiosks:
            raise unittest.SkipTest("only what derives from it")
        cls.folder = Path(tempfile.mkdtemp(prefix="arc-rights-test."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.table = rights.Table(cls.kiosks, cls.scoped)
        cls.users = cls.table.all_users()
        cls.proofs = rights.make_credentials(cls.folder / "credentials", cls.table, nkeys=cls.nkeys)
        values = {"HOST": "127.0.0.1", "PORT": -1, "HTTP_PORT": -1, "WS_PORT": -1, "STORE_DIR": cls.folder, "EXTRA": f'ports_file_dir: "{cls.folder}"'}
        template = (REPO / "deploy" / "nats" / "nats-server.conf.in").read_text()
        config = cls.folder / "nats-server.conf"
        config.write_text(re.sub(r"@(\w+)@", lambda match: str(values[match.group(1)]), template))
        server = shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        cls.log = open(cls.folder / "log", "wb")
        cls.addClassCleanup(cls.log.close)
        cls.server = subprocess.Popen([server, "-c", config], stdout=cls.log, stderr=subprocess.STDOUT)
        cls.addClassCleanup(cls.stop)
        ports = cls.folder / f"nats-server_{cls.server.pid}.ports"
        deadline = time.monotonic() + DEADLINE
        cls.port = None
        while cls.port is None:
            if cls.server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("nats-server did not start:\n" + (cls.folder / "log").read_text())
            try:
                found = json.loads(ports.read_text())
                cls.port = int(found["nats"][0].rpartition(":")[2])
                cls.ws_port = int(found["websocket"][0].rpartition(":")[2])
            except (FileNotFoundError, ValueError):
                select.select([], [], [], 0.02)
        # By the least user that can.
        for kiosk in cls.kiosks:
            words = ["provision", f"--file={REPO / 'deploy' / 'streams.json'}"] + ([f"--kiosk_id={kiosk}"] if cls.scoped else [])
            done = cls.arcctl("provision", *words)
            if done.returncode != 0:
                raise AssertionError(done.stderr)

    @classmethod
    def stop(cls):
        cls.server.kill()
        cls.server.wait()

    @classmethod
    def arcctl(cls, user, *words):
        kind = "nkey" if cls.nkeys else "password"
        login = [f"--nats_user={user}", f"--nats_{kind}_file={cls.folder / 'credentials' / f'{user}.{kind}'}"] if user else []
        command = [BUILD / "bin" / "arcctl", f"--nats_url=nats://127.0.0.1:{cls.port}", *login, *words]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def connect(self, user):
        connection = Connection(self.port, user, self.proofs[user])
        self.addCleanup(connection.close)
        self.assertEqual(connection.refused, [], user)
        return connection

    # Subjects

    def contract_subjects(self):
        """The contract's subjects, for these kiosks and one that is not there."""
        found = {}
        for address, _, _ in addresses():
            for kiosk in (*self.kiosks, "kiosk-999"):
                values = {
                    "room": kiosk, "kiosk_id": kiosk, "request_id": f"{kiosk}-1", "stream": "KIOSK_EVENTS",
                    "consumer": "orchestrator-input-consumer", "agent": "arc-menu",
                }
                found[re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], address)] = None
        return list(found)

    def server_subjects(self):
        """What else can be published: the JetStream API, keys, acknowledgements, the service protocol, inboxes, the system account's."""
        streams = [stream["name"] for stream in STREAMS["streams"]] + [f"KV_{bucket['name']}" for bucket in STREAMS["buckets"]]
        consumers = [(consumer["stream"], consumer["durable_name"].replace("{kiosk_id}", kiosk)) for consumer in STREAMS["consumers"] for kiosk in self.kiosks]
        found = ["$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.ACCOUNT.PURGE.ARC", "$JS.API.SERVER.REMOVE"]
        for stream in streams:
            found += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE", "UPDATE", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE", "PURGE", "DELETE")]
            found += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.x", f"$JS.API.CONSUMER.LIST.{stream}", f"$JS.API.CONSUMER.NAMES.{stream}"]
            found += [f"$JS.API.CONSUMER.CREATE.{stream}", f"$JS.API.CONSUMER.CREATE.{stream}.x.>".replace(">", "y"), f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.x", f"$JS.FC.{stream}.x.y"]
        for stream, durable in dict.fromkeys(consumers):
            found += [f"$JS.API.CONSUMER.{verb}.{stream}.{durable}" for verb in ("INFO", "MSG.NEXT", "DELETE", "LEADER.STEPDOWN")]
            found += [f"$JS.ACK.{stream}.{durable}.1.1.1.1.0", f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{durable}", f"system.deadletter.{stream}.{durable}"]
        for bucket in STREAMS["buckets"]:
            for key in ("x", "a.b", "current", "menu.1.2", "availability.101", "leader", "kiosk.kiosk-001", "print.1", "history", "live.00", "damaged.live.00"):
                found.append(f"$KV.{bucket['name']}.{key}")
        for service in (*self.table.data["roles"], "elsewhere"):
            found += [f"$SRV.{verb}.{service}{end}" for verb in ("PING", "INFO", "STATS") for end in ("", ".1")]
        found += ["$SRV.PING", "$SRV.INFO", "$SRV.STATS", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.ACCOUNT.ARC.CONNECT", "_R_.a.b", "_INBOX.a", "_INBOX.a.b", "elsewhere"]
        for user in self.users.values():
            found += [f"{user.inbox}.a", f"{user.inbox}.a.b"]
        for agent in ("arc-menu", "arc-payment", "arc-orchestrator"):
            found.append(f"system.deadletter.core.{agent}")
        return list(dict.fromkeys(found))

    def wildcards(self):
        found = [">", "*", "*.>", "*.*", "*.*.*", "kiosk.>", "agent.>", "system.>", "_INBOX.>", "_INBOX.*", "_INBOX.*.>", "_INBOX.*.*", "_R_.>", "$SYS.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$KV.>", "$SRV.>", "$SRV.*.*"]
        for family in ("kiosk.input", "kiosk.ui", "kiosk.session", "kiosk.voice", "kiosk.vision", "kiosk.agent", "kiosk.agent.menu", "kiosk.agent.payment", "kiosk.agent.hardware", "kiosk.hardware", "agent.voice", "agent.voice.audio", "agent.tts.audio", "agent.stt.audio", "system.deadletter"):
            found += [f"{family}.>", f"{family}.*", f"*.{family.split('.', 1)[1]}.>"]
        for bucket in STREAMS["buckets"]:
            found.append(f"$KV.{bucket['name']}.>")
        found += [f"{user.inbox}.>" for user in self.users.values()]
        return list(dict.fromkeys(found))

    def may_publish(self, user, subject):
        return any(covers(entry, subject) for entry in user.publish) and not any(covers(entry, subject) for entry in user.deny_publish)

    def may_subscribe(self, user, subject, queue=""):
        if any(covers(entry, subject) for entry in user.deny_subscribe):
            return False
        # `a.>` is taken where `a.*` is allowed; test_no_more_than_one_token has what it gets to hear.
        filtered = subject.endswith(".>") and any(covers(entry, f"{subject[:-1]}*.>") for entry in user.deny_subscribe)
        wanted = f"{subject[:-1]}*" if filtered else subject
        return any(covers(subject_of(entry), wanted) and (" " not in entry or entry.split(" ")[1] == queue) for entry in user.subscribe)

    # Tests

    def test_every_publish(self):
        tried = 0
        subjects = list(dict.fromkeys([*self.contract_subjects(), *self.server_subjects()]))
        # The operator may all of it, also delete every stream: test_operator has the parts that leave them.
        for name, user in self.users.items():
            if user.role == "operator":
                continue
            connection = self.connect(name)
            for subject in subjects:
                connection.publish(subject, b"rights_test")
            connection.flush()
            self.assertFalse(connection.closed, name)
            refused = {text.split('"')[1] for text in connection.refused if text.startswith("Permissions Violation for Publish to")}
            self.assertEqual(len(refused), len(connection.refused), [text for text in connection.refused if "for Publish to" not in text])
            wanted = {subject for subject in subjects if not self.may_publish(user, subject)}
            self.assertEqual(refused - wanted, set(), f"{name} is refused what it has a right to")
            self.assertEqual(wanted - refused, set(), f"{name} may publish what it has no right to")
            tried += len(subjects)
        self.assertGreater(tried, 5000)

    def test_every_subscription(self):
        tried = 0
        subjects = list(dict.fromkeys([*self.contract_subjects(), *self.server_subjects(), *self.wildcards()]))
        for name, user in self.users.items():
            connection = self.connect(name)
            wanted = set()
            for subject in subjects:
                for queue in ("", user.role, "elsewhere"):
                    connection.unsubscribe(connection.subscribe(f"{subject} {queue}".strip()))
                    tried += 1
                    if not self.may_subscribe(user, subject, queue):
                        wanted.add((subject, queue))
            connection.flush()
            self.assertFalse(connection.closed, name)
            refused = set()
            for text in connection.refused:
                match = re.fullmatch(r'Permissions Violation for Subscription to "([^"]+)"(?: using queue "([^"]+)")?', text)
                self.assertTrue(match, text)
                refused.add((match.group(1), match.group(2) or ""))
            self.assertEqual(refused - wanted, set(), f"{name} is refused what it has a right to")
            self.assertEqual(wanted - refused, set(), f"{name} may hear what it has no right to")
        self.assertGreater(tried, 20000)

    def test_rights_arrive(self):
        """What a user may publish reaches the main account, and what it may hear reaches it; nothing else does."""
        operator = self.connect("operator")
        for family in ("kiosk.>", "agent.>", "system.>"):
            operator.subscribe(family)
        operator.flush()
        contract = self.contract_subjects()
        for name, user in self.users.items():
            if user.role == "operator":
                continue
            screen = self.table.screens.get(user.kiosk) if user.role == "screen" else None
            connection = self.connect(name)
            for entry in user.subscribe:
                connection.subscribe(entry)
            connection.flush()
            operator.take()
            connection.messages.clear()
            marker = f"rights_test of {name}".encode()
            for subject in contract:
                connection.publish(subject, marker)
            connection.flush()
            names = dict(screen.passed_on) if screen else {}
            wanted = sorted(names.get(subject, subject) for subject in contract if self.may_publish(user, subject))
            arrived = sorted(subject for subject, _, _, body in operator.take() if body == marker)
            self.assertEqual(arrived, wanted, name)

            connection.take()
            for subject in contract:
                operator.publish(subject, marker)
            operator.flush()
            here = {there: subject for subject, there in screen.heard} if screen else None
            wanted = set()
            for subject in contract:
                seen_as = here.get(subject) if screen else subject
                if seen_as is None:
                    continue
                if any(covers(denied, seen_as) for denied in user.deny_subscribe):
                    continue
                if any(covers(subject_of(entry), seen_as) for entry in user.subscribe):
                    wanted.add(seen_as)
            heard = {subject for subject, _, _, body in connection.take() if body == marker}
            self.assertEqual(heard, wanted, name)
            connection.close()

    def test_no_more_than_one_token(self):
        operator = self.connect("operator")
        tried = 0
        for name, user in self.users.items():
            for entry in user.subscribe:
                if not subject_of(entry).endswith(".*") or user.role == "screen":  # in its account nobody else publishes
                    continue
                prefix = subject_of(entry)[:-2]
                connection = self.connect(name)
                connection.subscribe(" ".join([f"{prefix}.>", *entry.split(" ")[1:]]))
                connection.flush()
                for end in ("a", "a.b", "a.b.c"):
                    operator.publish(f"{prefix}.{end}".replace("*", "x"))
                operator.flush()
                self.assertEqual([message[0] for message in connection.take()], [f"{prefix}.a".replace("*", "x")], f"{name}: {entry}")
                connection.close()
                tried += 1
        self.assertGreater(tried, 10)

    def test_who_writes_a_key_deletes_no_other(self):
        """The header Nats-Rollup would have the server delete a whole bucket for a message on one key of it."""
        operator = self.connect("operator")
        operator.subscribe("_INBOX.rollup")
        tried = 0
        for name, user in self.users.items():
            for bucket, key in sorted({tuple(entry.split(".", 2)[1:]) for entry in user.publish if entry.startswith("$KV.")}):
                connection = self.connect(name)
                operator.publish(f"$KV.{bucket}.kept", b"kept", "_INBOX.rollup")
                operator.until("the key to be stored", lambda: operator.messages)
                operator.take()
                for what in ("all", "sub"):
                    connection.publish(f"$KV.{bucket}.{key.replace('*', 'x')}", b"x", headers=[("Nats-Rollup", what)])
                connection.flush()
                operator.publish(f"$JS.API.STREAM.MSG.GET.KV_{bucket}", json.dumps({"last_by_subj": f"$KV.{bucket}.kept"}).encode(), "_INBOX.rollup")
                operator.until("the key", lambda: operator.messages)
                (_, _, _, answer), = operator.take()
                self.assertIn("message", json.loads(answer), f"{name} deleted {bucket} by a message on {key}")
                self.assertEqual(connection.refused, [], f"{name} may not even write {key} of {bucket}")
                connection.close()
                tried += 1
        self.assertGreater(tried, 5)

    def test_a_screen_is_its_kiosk(self):
        operator = self.connect("operator")
        inbox = "_INBOX.rights_test"
        operator.subscribe("kiosk.>")
        operator.subscribe("agent.>")
        operator.subscribe(f"{inbox}.*")
        operator.flush()
        for kiosk, screen in self.table.screens.items():
            user = screen.rights
            connection = self.connect(user.user)
            connection.subscribe("_INBOX.page.*")
            # Whoever it says it is.
            lies = [("Kiosk-Id", "kiosk-999")]
            for number, (here, there) in enumerate(screen.passed_on):
                replies = f"_INBOX.page.{number}"
                operator.take()
                connection.publish(here, b"lie", replies, lies)
                connection.flush()
                (subject, reply, _, _), = [message for message in operator.take() if message[3] == b"lie"]
                self.assertEqual(subject, there)
                if here.startswith("kiosk.input."):
                    # The stream's confirmation comes back into the screen's own account.
                    confirmed = connection.until("the stream's confirmation", lambda: [m for m in connection.messages if m[0] == replies])
                    self.assertIn(b'"stream":"KIOSK_EVENTS"', confirmed[0][3])
                elif here.startswith("kiosk.agent."):
                    operator.publish(reply, b"answer")
                    operator.flush()
                    answered = connection.until("the answer", lambda: [m for m in connection.messages if m[0] == replies])
                    self.assertEqual(answered[0][3], b"answer")
            connection.close()

    def test_the_archive_gets_every_event_until_it_acknowledges_it(self):
        done = self.arcctl("provision", "provision", "--file", REPO / "deploy" / "archive" / "topology.json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        operator = self.connect("operator")
        operator.publish("kiosk.session.started", b"for the archive")
        operator.flush()
        archive = self.connect("archive")
        archive.subscribe("archive.events")

        def has_it():
            for subject, reply, _, body in archive.messages:
                if body != b"for the archive":
                    archive.publish(reply, b"+ACK")
            found = [message for message in archive.messages if message[3] == b"for the archive"]
            archive.messages.clear()
            return found

        (subject, reply, _, _), = archive.until("the event", has_it)
        self.assertEqual(subject, "kiosk.session.started")
        archive.publish(reply, b"+ACK")
        archive.flush()
        operator.subscribe("_INBOX.rights_test.*")

        deadline = time.monotonic() + DEADLINE
        waiting = None
        while waiting != (0, 0):
            self.assertLess(time.monotonic(), deadline, f"waited in vain for no event that waits for the archive; it was {waiting}")
            operator.take()
            operator.publish("$JS.API.CONSUMER.INFO.KIOSK_EVENTS.archive-consumer", b"", "_INBOX.rights_test.info")
            found = operator.until("the consumer's state", lambda: [m for m in operator.messages if m[0] == "_INBOX.rights_test.info"])
            state = json.loads(found[0][3])
            waiting = (state["num_ack_pending"], state["num_pending"])
        archive.close()
        operator.close()

    def test_logins(self):
        for name in self.users:
            wrong = [rights.Proof(password=password) for password in ("", "wrong")]
            # Another's nkey makes this the other: the name beside it is for people.
            wrong.append(rights.Proof(seed=keys.new_seed()) if self.nkeys else self.proofs["menu" if name != "menu" else "operator"])
            for proof in wrong:
                connection = Connection(self.port, name, proof)
                self.assertEqual(connection.refused, ["Authorization Violation"], name)
                self.assertTrue(connection.closed)
                connection.close()
        for user, password in ((None, None), ("nobody", "x"), ("", ""), ("$SYS", ""), ("sys", "sys")):
            connection = Connection(self.port, user, rights.Proof(password=password))
            self.assertEqual(connection.refused, ["Authorization Violation"], user)
            connection.close()

    def test_the_websocket_is_no_other_door(self):
        def frame(stream):
            start = stream.read(2)
            if len(start) < 2:
                return b""
            size = start[1] & 0x7F
            size = int.from_bytes(stream.read(2), "big") if size == 126 else int.from_bytes(stream.read(8), "big") if size == 127 else size
            return stream.read(size)

        user = "screen_" + self.kiosks[0]
        for proof, refused in ((None, True), (rights.Proof(password="wrong"), True), (self.proofs[user], False)):
            with socket.create_connection(("127.0.0.1", self.ws_port), timeout=DEADLINE) as connection, connection.makefile("rb") as stream:
                key = base64.b64encode(os.urandom(16)).decode()
                connection.sendall(
                    f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
                )
                self.assertIn(b"101", stream.readline())
                while stream.readline().strip():
                    pass
                info = json.loads(frame(stream).removeprefix(b"INFO "))
                login = login_of(user, proof, info) if proof else {}
                text = b"CONNECT " + json.dumps({"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1, **login}).encode() + b"\r\nSUB > 1\r\nPING\r\n"
                mask = os.urandom(4)
                self.assertLess(len(text), 65536)
                head = bytes([0x82, 0xFE]) + len(text).to_bytes(2, "big") + mask
                connection.sendall(head + bytes(byte ^ mask[index % 4] for index, byte in enumerate(text)))
                said = b""
                while (b"-ERR" not in said) if refused else (b"PONG" not in said):
                    part = frame(stream)
                    self.assertTrue(part, said)
                    said += part
                self.assertIn(b"Authorization Violation" if refused else b'Permissions Violation for Subscription to ">"', said)

    def test_operator(self):
        operator = self.connect("operator")
        inbox = "_INBOX.rights_test"
        for subject in (">", "_INBOX.>", "$JS.EVENT.>", f"{inbox}.*"):
            operator.subscribe(subject)
        for subject in (*self.contract_subjects(), "$JS.API.STREAM.INFO.KV_KIOSK_PAYMENTS", "_INBOX.menu.a", "$SRV.PING"):
            operator.publish(subject)
        operator.flush()
        self.assertEqual(operator.refused, [])
        # The system account is nobody's: nobody answers there, and nothing of it is heard.
        operator.close()
        operator = self.connect("operator")
        operator.subscribe(f"{inbox}.*")
        operator.publish("$SYS.REQ.SERVER.PING", b"", f"{inbox}.1")
        answer = operator.until("an answer", lambda: [message for message in operator.messages if message[0] == f"{inbox}.1"])
        self.assertTrue(answer[0][2].startswith("NATS/1.0 503"), answer)
        operator.subscribe("$SYS.>")
        operator.take()
        self.connect("staff").close()
        self.assertEqual(operator.take(), [])

    def test_arcctl_says_what_is_refused(self):
        for user, words in (("menu", ["provision"]), ("staff", ["sessions"])):
            # It does not wait for an answer that cannot come.
            done = self.arcctl(user, *words, "--timeout=1h")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("Permissions Violation for Publish", done.stderr)
        done = self.arcctl("", "status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("refuses a connection without a user (Authorization Violation): give --nats_user and --nats_password_file", done.stderr)


class OneKiosk(ServerTest):
    kiosks = ("kiosk-001",)


class Nkeys(OneKiosk):
    nkeys = True


class TwoKiosks(ServerTest):
    kiosks = ("kiosk-001", "kiosk-007")
    scoped = True


if __name__ == "__main__":
    unittest.main()
