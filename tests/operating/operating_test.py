"""docs/operating.md word by word: the commands of its blocks, run as they stand there, on folders of the test's own."""

import contextlib
import importlib.util
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.error
import urllib.request
from importlib.machinery import SourceFileLoader
from pathlib import Path

sys.dont_write_bytecode = True

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ARC_BUILD_DIR", REPO / "build" / "release"))
# scripts/backup's own imports, where it is loaded as a module.
sys.path.insert(0, str(REPO / "scripts"))
OPERATING = (REPO / "docs" / "operating.md").read_text()
# Those that an order by touch needs; a paid order stays on the screen until it is touched.
FLEET = f"--build_dir {BUILD} --agents menu,recsys,payment,hardware,orchestrator --flag orchestrator=--paid_timeout=1h"
DEADLINE = 60.0


def until(what, attempt, seconds=DEADLINE):
    """The first true result of `attempt`; fails with what it waited for."""
    deadline = time.monotonic() + seconds
    while True:
        result = attempt()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        select.select([], [], [], 0.05)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def block(name):
    """The commands of the block that begins with ```name."""
    found = re.findall(rf"^```{name}\n(.*?)^```$", OPERATING, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise AssertionError(f"docs/operating.md has {len(found)} blocks ```{name}")
    commands = [line.removeprefix("$ ") for line in found[0].splitlines() if line.startswith("$ ")]
    if not commands:
        raise AssertionError(f"the block {name} has no commands")
    return commands


class OperatingTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="arc-operating-test."))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.backup = self.scratch / "backup"
        # As an operator has it; the login that `up` publishes is looked up by address.
        (self.scratch / "bin").mkdir()
        (self.scratch / "bin" / "arcctl").write_text(f'#!/bin/sh\nexec "{BUILD}/bin/arcctl" --nats_url "$(jq -r .nats_url "$FLEET/fleet.json")" "$@"\n')
        (self.scratch / "bin" / "arcctl").chmod(0o755)

    def machine(self, name):
        folder = self.scratch / name
        self.addCleanup(self.shell, f"scripts/fleet down --dir {folder}", folder, check=False)
        return folder

    def shell(self, command, folder, check=True):
        environment = {**os.environ, "FLEET": str(folder), "PATH": f"{self.scratch / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=REPO, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
        if check:
            self.assertEqual(0, done.returncode, f"{command}\n{done.stdout}{done.stderr}")
        return done

    def up(self, folder):
        return self.shell(f"scripts/fleet up --dir {folder} {FLEET}", folder)

    def follow(self, name, folder, leave_out=()):
        """Does what a block says, with this test's folders and build in the place of the documentation's."""
        for command in block(name):
            if any(words in command for words in leave_out):
                continue
            command = command.replace("/var/lib/kiosk", str(folder)).replace("/var/backups/kiosk", str(self.backup))
            command = command.replace("scripts/fleet up", f"scripts/fleet up {FLEET}")
            yield command, self.shell(command, folder)

    def facts(self, folder):
        return json.loads((folder / "fleet.json").read_text())

    def arcctl(self, folder, words, check=True):
        return self.shell(f"arcctl {words}", folder, check)

    def snapshot(self, folder):
        return json.loads(self.arcctl(folder, "--json snapshot").stdout)

    def pay(self, folder, token="tok_visa"):
        """Orders two burgers, pays, and waits for the paper; the receipt of the screen."""
        until("the kiosk to be free", lambda: self.snapshot(folder)["state"] == "attract")
        terminal = self.facts(folder)["companions"]["terminal_sim"]["http_url"]
        for words in ("touch start", "cart add 101 2", "touch checkout", "touch confirm_payment"):
            self.arcctl(folder, words)

        def step():
            # A payment agent that ends lets go of the card; the customer is at checkout again, and pays again.
            if self.snapshot(folder)["state"] == "checkout":
                self.arcctl(folder, "touch confirm_payment")
            if b'{state="waiting_for_card"} 1' in get(f"{terminal}/metrics")[1]:
                self.arcctl(folder, f"tap {token}")
            return self.receipt(folder)

        return until("the receipt", step)

    def receipt(self, folder):
        """What the screen says of a paid and printed order."""
        ui = self.snapshot(folder)["ui"]
        found = {component["type"]: component["data"] for component in ui["components"]}
        receipt = found.get("Receipt")
        return {**receipt, "number": found["OrderNumber"]} if receipt and receipt["print"] == "printed" else None

    def paper(self, folder):
        return Path(self.facts(folder)["files"]["hardware"]["printer"]).read_bytes()

    def charges(self, folder):
        journal = Path(self.facts(folder)["files"]["terminal_sim"]["journal"]).read_text()
        return [line["intent_id"] for line in map(json.loads, journal.splitlines()) if line["event"] == "captured"]


class Install(OperatingTest):
    """What stays when nobody is logged in, and after the machine was started again."""

    def follow_from_up(self, folder):
        """The supervisor's pid, and the words that make `arcctl` known."""
        supervisor = words = None
        for command in block("install"):
            if "scripts/setup" in command or "scripts/build" in command:
                continue
            command = command.replace("/var/lib/kiosk", str(folder)).replace("$PWD/build/release", str(BUILD))
            command = command.replace("scripts/fleet up", f"scripts/fleet up {FLEET}")
            if command.startswith("export "):
                words = command
            elif command.endswith("&"):
                supervisor = int(self.shell(f"{command} echo $!", folder).stdout)
                self.addCleanup(self.end, supervisor)
            else:
                self.shell(command, folder)
        return supervisor, words

    def end(self, pid, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def pids(self, folder):
        status = self.shell(f"scripts/fleet status --json --dir {folder}", folder, check=False)
        rows = json.loads(status.stdout)
        return {row["name"]: row["pid"] for row in rows} if status.returncode == 0 else {}

    def test_it_stays_and_comes_back(self):
        fleet = self.machine("fleet")
        supervisor, words = self.follow_from_up(fleet)
        self.assertIn("SERVING", self.shell(f"{words}; command -v arcctl && arcctl status && scripts/fleet status --dir {fleet}", fleet).stdout)
        # The terminal in which it was started is closed.
        self.end(supervisor, signal.SIGHUP)
        old = self.pids(fleet)
        self.end(old["menu"])
        until("menu to be started again", lambda: self.pids(fleet).get("menu", old["menu"]) != old["menu"])
        self.pay(fleet)
        # The machine loses its power.
        old = self.pids(fleet)
        for pid in (supervisor, *old.values()):
            self.end(pid)
        self.follow_from_up(fleet)
        now = self.pids(fleet)
        self.assertEqual(set(old), set(now))
        self.assertEqual("paid", self.snapshot(fleet)["state"], "the order at the counter")


class BackUpAndRestore(OperatingTest):
    def test_an_order_survives_the_machine(self):
        old, new = self.machine("old"), self.machine("new")
        self.up(old)
        receipt = self.pay(old)
        self.arcctl(old, "menu 86 102")
        until("the item to be off", lambda: "102" not in self.arcctl(old, "menu search cheeseburger").stdout)
        seen = self.state(old, receipt)
        self.assertEqual(1, len(self.charges(old)))

        for command, done in self.follow("backup", old):
            self.assertEqual("", done.stderr, command)
        self.assertEqual(0o700, self.backup.stat().st_mode & 0o777)
        # The machine is gone, with everything on it.
        self.shell(f"scripts/fleet down --purge --dir {old}", old)
        self.assertFalse(old.exists())

        for command, _ in self.follow("restore", new, leave_out=("arcctl doctor",)):
            self.assertNotIn("in vain", command)
        # The orchestrator's lease of the old machine runs out first.
        wrong = lambda: [line for line in self.arcctl(new, "doctor", check=False).stdout.splitlines() if line.startswith("✗") and "voice-" not in line]
        until("doctor to be content", lambda: not wrong())
        self.assertEqual(seen, self.state(new, receipt))
        self.assertEqual(1, len(self.charges(new)), "charged again")
        self.assertEqual(1, self.paper(new).count(b"Volcano Burger"), "printed again")

        # And life goes on.
        self.arcctl(new, "touch done")
        self.assertEqual({"order_number": "A2"}, {"order_number": self.pay(new)["number"]["order_number"]})
        self.assertEqual(2, len(self.charges(new)))

    def state(self, folder, receipt):
        """All that has to be the same on both machines."""
        payment = self.facts(folder)["agents"]["payment"]["http_url"]
        streams = {}
        for account in json.loads(get(self.facts(folder)["nats_http_url"] + "/jsz?acc=ARC&streams=1&consumers=1")[1])["account_details"]:
            for stream in account["stream_detail"]:
                if stream["name"] not in ("KIOSK_COMMANDS", "KV_KIOSK_SESSIONS"):  # a leader's lease is written each second
                    streams[stream["name"]] = (stream["state"]["messages"], stream["state"]["last_seq"])
        return {
            "screen": self.snapshot(folder),
            "pdf": get(payment + receipt["receipt_url"]),
            "menu": self.arcctl(folder, "--json menu list").stdout,
            "streams": streams,
        }


class Refusals(OperatingTest):
    def backup_script(self, folder, words):
        return self.shell(f"scripts/backup {words}", folder, check=False)

    def assert_refused(self, done, text):
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_what_is_wrong_is_said(self):
        fleet = self.machine("fleet")
        self.assert_refused(self.backup_script(fleet, f"save {self.backup} --dir {fleet}"), "no fleet under")
        self.assert_refused(self.backup_script(fleet, f"save {self.backup} --nats_url nats://127.0.0.1:1"), "Connection refused")
        self.up(fleet)
        url = self.facts(fleet)["nats_url"]
        self.assert_refused(self.backup_script(fleet, f"save {self.backup} --nats_url {url}"), "Authorization Violation")
        login = f"--nats_url {url} --nats_user operator --nats_password_file {fleet}/credentials/operator.password"
        self.assertEqual(0, self.backup_script(fleet, f"save {self.backup} {login}").returncode)
        self.assert_refused(self.backup_script(fleet, f"save {self.backup} {login}"), "has a backup already")
        self.assert_refused(self.backup_script(fleet, f"restore {self.backup} {login}"), "With --replace they are deleted first")
        self.assert_refused(self.backup_script(fleet, f"restore {self.backup} --replace {login}"), "somebody reads KIOSK_EVENTS")
        self.assertEqual(0, self.backup_script(fleet, f"verify {self.backup}").returncode)

        file = self.backup / "KV_KIOSK_PAYMENTS.snapshot"
        whole = file.read_bytes()
        for damaged in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:], b""):
            file.write_bytes(damaged)
            self.assert_refused(self.backup_script(fleet, f"verify {self.backup}"), "is not what was saved")
            self.assert_refused(self.backup_script(fleet, f"restore {self.backup} --replace {login}"), "is not what was saved")
        file.write_bytes(whole)
        (self.backup / "backup.json").unlink()
        self.assert_refused(self.backup_script(fleet, f"verify {self.backup}"), "it is no backup")
        # All of that has changed nothing.
        self.assertEqual("attract", self.snapshot(fleet)["state"])


class OfACluster(OperatingTest):
    """TLS and an nkey: as fleet.json has them, and as flags."""

    def up(self, folder):
        return self.shell(f"scripts/fleet up --dir {folder} --build_dir {BUILD} --agents none --nats_nodes 3", folder)

    def streams(self, folder):
        answer = json.loads(get(self.facts(folder)["nats_http_url"] + "/jsz?acc=ARC&streams=1&config=1")[1])
        return {
            stream["name"]: (stream["state"]["messages"], stream["state"]["last_seq"], stream["config"]["num_replicas"])
            for account in answer.get("account_details", [])
            for stream in account["stream_detail"]
            if stream["name"] != "KIOSK_COMMANDS"
        }

    def test_from_one_cluster_to_another(self):
        old, new = self.machine("old"), self.machine("new")
        self.up(old)
        saved = self.streams(old)
        self.assertGreater(saved["KV_KIOSK_MENU"][0], 0, "the demo restaurant's menu")
        credentials = old / "credentials"
        login = f"--nats_url {self.facts(old)['nats_url']} --nats_user operator --nats_nkey_file {credentials}/operator.nkey"
        untrusted = self.shell(f"scripts/backup save {self.backup} {login}", old, check=False)
        self.assertEqual(1, untrusted.returncode, untrusted.stdout)
        self.assertIn("CERTIFICATE_VERIFY_FAILED", untrusted.stderr)
        self.shell(f"scripts/backup save {self.backup} {login} --nats_ca_file {credentials}/ca.pem", old)
        self.shell(f"scripts/fleet down --dir {old}", old)
        self.up(new)
        # It would make again at once what the restore deletes.
        self.shell(f"scripts/fleet stop provision --dir {new}", new)
        self.shell(f"scripts/backup restore {self.backup} --replace --dir {new}", new)
        until("every node to have what was saved", lambda: self.streams(new) == saved)


class Snapshots(unittest.TestCase):
    """What scripts/backup makes of what a server sends; the server is a list of lines."""

    @classmethod
    def setUpClass(cls):
        loader = SourceFileLoader("backup", str(REPO / "scripts" / "backup"))
        cls.backup = importlib.util.module_from_spec(importlib.util.spec_from_loader("backup", loader))
        loader.exec_module(cls.backup)

    def bus(self, *messages):
        """A bus on which these (subject, body) arrive, one after the other."""
        lines = b"".join(f"MSG {subject} 1 {len(body)}\r\n".encode() + body + b"\r\n" for subject, body in messages)
        bus = object.__new__(self.backup.Bus)
        bus.inbox, bus.subscriptions, bus.early, bus.sent = "_INBOX.x", 0, [], []
        bus.send, bus.stream, bus.connection = bus.sent.append, io.BytesIO(lines), unittest.mock.Mock()
        return bus

    def test_chunks_that_overtake_the_answer_are_kept(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "S.snapshot"
            answer = json.dumps({"config": {"name": "S"}, "state": {"messages": 1}}).encode()
            deliver = "_INBOX.x-snapshot.S"
            bus = self.bus((deliver, b"\xff\x06\x00\x00S2s"), ("_INBOX.x.1", answer), (deliver, b"TwO"), (deliver, b""))
            self.assertEqual(10, self.backup.save_stream(bus, "S", path)["bytes"])
            self.assertEqual(b"\xff\x06\x00\x00S2sTwO", path.read_bytes())

    def test_what_is_not_whole_is_no_snapshot(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "S.snapshot"
            whole = b"\xff\x06\x00\x00S2sTwO" + b"\x00\x05\x00\x00" + b"abcde"
            path.write_bytes(whole)
            self.backup.check_frames(path)
            for damaged in (whole[:-1], whole[10:], whole[:12], b"", whole + b"\x00"):
                path.write_bytes(damaged)
                with self.assertRaises(self.backup.BackupError, msg=damaged):
                    self.backup.check_frames(path)


class NewPasswords(OperatingTest):
    def refused(self, folder, user, password):
        """Whether nats-server refuses this login."""
        file = self.scratch / "password"
        file.write_text(password)
        done = self.shell(f"{BUILD}/bin/arcctl --nats_url {self.facts(folder)['nats_url']} --nats_user {user} --nats_password_file {file} --timeout 5s status", folder, check=False)
        return "refuses the user" in done.stderr

    def serving(self, folder):
        return self.shell(f"scripts/fleet status --dir {folder}", folder, check=False).returncode == 0

    def passwords(self, folder):
        return {path.stem: path.read_text().strip() for path in (folder / "credentials").glob("*.password")}

    def test_of_one_user_and_of_everybody(self):
        fleet = self.machine("fleet")
        self.up(fleet)
        self.pay(fleet)
        before = self.passwords(fleet)
        self.assertFalse(self.refused(fleet, "menu", before["menu"]))

        for _ in self.follow("rotate one", fleet):
            pass
        until("all to serve again", lambda: self.serving(fleet))
        after = self.passwords(fleet)
        self.assertEqual({"menu"}, {user for user in before if before[user] != after[user]})
        self.assertTrue(self.refused(fleet, "menu", before["menu"]))
        self.assertFalse(self.refused(fleet, "menu", after["menu"]))
        self.assertEqual("paid", self.snapshot(fleet)["state"], "the order at the counter")

        for _ in self.follow("rotate all", fleet):
            pass
        until("all to serve again", lambda: self.serving(fleet))
        new = self.passwords(fleet)
        self.assertEqual(set(after), {user for user in after if new.get(user) != after[user]})
        for user in ("menu", "operator", "orchestrator"):
            self.assertTrue(self.refused(fleet, user, after[user]), user)
        self.assertEqual("paid", self.snapshot(fleet)["state"], "the order at the counter")
        self.arcctl(fleet, "touch done")
        self.pay(fleet)
        self.assertEqual(2, len(self.charges(fleet)))


class Upgrade(OperatingTest):
    """Every process is replaced while people search and order: none of it fails."""

    def test_without_a_pause(self):
        fleet = self.machine("fleet")
        self.up(fleet)
        pids = lambda: {name: known["pid"] for name, known in self.facts(fleet)["agents"].items()}
        before = pids()
        stop = threading.Event()
        searches, failures, orders = [], [], []

        def search():
            while not stop.is_set():
                done = self.arcctl(fleet, "menu search burger", check=False)
                searches.append(done.returncode)
                if done.returncode != 0 or "Volcano Burger" not in done.stdout:
                    failures.append(done.stdout + done.stderr)

        def order():
            while not stop.is_set():
                try:
                    orders.append(self.pay(fleet))
                    self.arcctl(fleet, "touch done")
                except AssertionError as error:
                    failures.append(str(error))

        threads = [threading.Thread(target=work) for work in (search, order)]
        for thread in threads:
            thread.start()
        try:
            until("an order before it", lambda: orders or failures)
            for _ in self.follow("upgrade", fleet, leave_out=("scripts/setup",)):
                pass
            count = len(orders)
            until("an order after it", lambda: len(orders) > count or failures)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failures)
        after = pids()
        self.assertEqual({*before, "menu-2", "recsys-2", "payment-2", "orchestrator-2"}, set(after))
        self.assertEqual(set(), {name for name in before if before[name] == after[name]}, "still the old process")
        self.assertEqual(len(orders), len(self.charges(fleet)))
        self.assertEqual(len(orders), len({receipt["order_id"] for receipt in orders}))
        print(f"{len(searches)} searches, {len(orders)} orders, none failed", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
