"""The scripts as a user meets them: real processes, real folders, and nothing left behind."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts"))
sys.dont_write_bytecode = True

from contract import bus, keys, rights  # noqa: E402

BUILD = Path(os.environ.get("ARC_BUILD_DIR", REPO / "build" / "release"))
AGENTS = {"menu", "recsys", "payment", "hardware", "orchestrator", "stt", "brain", "tts", "voice"}
# What scripts/run starts besides.
WATCHED = AGENTS | {"vision_bridge"}
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
        select.select([], [], [], 0.02)


def get(url):
    """(status, body) of a GET; status 0 when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def processes_of(*words):
    """The command lines of living processes that name one of these: a folder, a server's address."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if any(str(word) in line for word in words) and int(path.parent.name) != os.getpid():
                found.append(line)
    return found


class ScriptTest(unittest.TestCase):
    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="arc-fleet-test."))
        self.folders = []
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.addCleanup(self.stop_folders)

    def stop_folders(self):
        for folder in self.folders:
            self.fleet("down", folder)

    def folder(self, name):
        self.folders.append(self.scratch / name)
        return self.scratch / name

    def fleet(self, command, folder, *words):
        return subprocess.run(
            [REPO / "scripts" / "fleet", command, *words, "--dir", folder],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )

    def up(self, folder, *words, build=BUILD):
        return self.fleet("up", folder, "--build_dir", build, *words)

    def assert_done(self, result):
        self.assertEqual(result.returncode, 0, f"{result.args}\n{result.stdout}{result.stderr}")
        return result.stdout

    def assert_refused(self, result, *texts):
        self.assertEqual(result.returncode, 1, f"{result.args}\n{result.stdout}{result.stderr}")
        for text in texts:
            self.assertIn(text, result.stderr)

    def read(self, folder):
        return json.loads((folder / "fleet.json").read_text())

    def assert_serving(self, fleet, agents=AGENTS):
        self.assertEqual(set(fleet["agents"]), set(agents))
        for name, agent in fleet["agents"].items():
            self.assertEqual(get(agent["http_url"] + "/healthz")[0], 200, name)
        self.assertEqual(get(fleet["nats_http_url"] + "/healthz")[0], 200)

    def assert_secrets(self, folder, fleet):
        """What only the owner may read: the logins, and every file that has a password in it."""
        self.assertEqual((folder / "credentials").stat().st_mode & 0o777, 0o700)
        logins = {path.stem: json.loads(path.read_text()) for path in (folder / "credentials").glob("*.json")}
        self.assertEqual(set(logins), {"operator", "staff", "kiosk"})
        self.assertEqual(logins["operator"]["nats_password"], fleet["nats_password"])
        passwords = [path.read_text().strip() for path in (folder / "credentials").glob("*.password")]
        for path in folder.rglob("*"):
            if path.is_file() and any(password.encode() in path.read_bytes() for password in passwords):
                self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        for line in processes_of(f"{folder}/"):
            self.assertFalse(any(password in line for password in passwords), line)

    def stream_states(self, fleet):
        status, body = get(fleet["nats_http_url"] + "/jsz?acc=ARC&streams=1")
        accounts = json.loads(body).get("account_details", []) if status == 200 else []
        return {stream["name"]: stream["state"] for account in accounts for stream in account.get("stream_detail", [])}

    def stream_state(self, fleet, stream):
        return self.stream_states(fleet)[stream]


class TwoFleets(ScriptTest):
    def test_side_by_side(self):
        one, two = self.folder("one"), self.folder("two")
        starting = [
            subprocess.Popen(
                [REPO / "scripts" / "fleet", "up", "--dir", folder, "--build_dir", BUILD],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for folder in (one, two)
        ]
        for process in starting:
            output = process.communicate(timeout=120)[0]
            self.assertEqual(process.returncode, 0, output)
        first, second = self.read(one), self.read(two)
        self.assert_serving(first)
        self.assert_serving(second)
        addresses = lambda fleet: {
            address for key in ("nats_url", "nats_http_url", "nats_ws_url") for address in [fleet[key]]
        } | {agent[key] for agent in fleet["agents"].values() for key in ("http_url", "grpc")}
        self.assertEqual(len(addresses(first) | addresses(second)), 2 * (3 + 2 * len(AGENTS)))
        self.assertRegex(first["nats_url"], r"^nats://127\.0\.0\.1:\d+$")
        self.assertRegex(first["nats_ws_url"], r"^ws://127\.0\.0\.1:\d+$")
        for folder, fleet in ((one, first), (two, second)):
            self.assert_secrets(folder, fleet)
        self.assertNotEqual(first["nats_password"], second["nats_password"])
        self.assertEqual(set(first["companions"]), {"terminal_sim", "provision", "screen"})
        for fleet in (first, second):
            status, body = get(fleet["screen_url"] + "/config.json")
            self.assertEqual((status, json.loads(body)["nats_ws_url"]), (200, fleet["nats_ws_url"]))
            self.assertEqual(get(fleet["screen_url"] + "/../serve")[0], 404)
        for fleet in (first, second):
            self.assertIn("KIOSK_COMMANDS", self.stream_states(fleet))
            for bucket in ("KV_KIOSK_MENU", "KV_KIOSK_RECSYS"):
                self.assertGreater(self.stream_state(fleet, bucket)["messages"], 0)
        self.assert_done(self.fleet("status", one))

        # An agent that was killed is seen as dead, and comes back where it was.
        self.assert_done(self.fleet("kill", one, "menu"))
        status = self.fleet("status", one, "--json")
        self.assertEqual(status.returncode, 1)
        self.assertEqual([row["name"] for row in json.loads(status.stdout) if row["state"] == "dead"], ["menu"])
        self.assert_refused(self.fleet("kill", one, "menu"), "dead already")
        self.assert_done(self.fleet("restart", one, "menu"))
        again = self.read(one)
        self.assert_serving(again)
        self.assertNotEqual(again["agents"]["menu"]["pid"], first["agents"]["menu"]["pid"])
        for key in ("http_url", "grpc"):
            self.assertEqual(again["agents"]["menu"][key], first["agents"]["menu"][key])
        # A graceful restart of one that runs.
        self.assert_done(self.fleet("restart", one, "payment", "terminal_sim"))
        self.assert_serving(self.read(one))

        # One more copy, and its end.
        self.assertIn("menu-2", self.assert_done(self.fleet("start", one, "menu")))
        self.assert_serving(self.read(one), AGENTS | {"menu-2"})
        self.assert_done(self.fleet("stop", one, "menu-2"))

        # A killed nats-server comes back on its ports; the agents find it, and the memory stream is there again.
        self.assert_done(self.fleet("kill", one, "nats"))
        self.assert_done(self.fleet("restart", one, "nats"))
        again = self.read(one)
        self.assertNotEqual(again["nats_pid"], first["nats_pid"])
        for key in ("nats_url", "nats_http_url", "nats_ws_url"):
            self.assertEqual(again[key], first[key])
        until("KIOSK_COMMANDS to be made again", lambda: "KIOSK_COMMANDS" in self.stream_states(again))
        for name in AGENTS:
            url = again["agents"][name]["http_url"] + "/healthz"
            until(f"{name} to be SERVING again", lambda: get(url)[0] == 200)

        menu_sequence = self.stream_state(again, "KV_KIOSK_MENU")["last_seq"]
        self.assertGreater(menu_sequence, 0)
        # A restart changes no password, and `arcctl` finds the operator's by the address alone, while the fleet is there.
        self.assertEqual(again["nats_password"], first["nats_password"])
        arcctl = [BUILD / "bin" / "arcctl", "--nats_url", first["nats_url"], "status"]
        done = subprocess.run(arcctl, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        # None of that touched the other fleet; nor does the end of this one.
        self.assertIn("stopped", self.assert_done(self.fleet("down", one)))
        self.assertEqual(processes_of(f"{one}/", again["nats_url"] + " "), [])
        self.assertFalse((one / "fleet.json").exists())
        self.assertFalse((one / "pids").exists())
        self.assertFalse(rights.login_file(first["nats_url"]).exists())
        self.assertEqual(self.read(two), second)
        self.assert_serving(second)
        self.assert_done(self.fleet("status", two))

        # The data outlives `down`, not `--purge`.
        self.assert_done(self.up(one, "--agents", "menu"))
        self.assert_serving(self.read(one), {"menu"})
        self.assertEqual(self.stream_state(self.read(one), "KV_KIOSK_MENU")["last_seq"], menu_sequence)
        for folder in (one, two):
            self.assert_done(self.fleet("down", folder, "--purge"))
            self.assertEqual(processes_of(f"{folder}/"), [])
            self.assertFalse(folder.exists())


class Refusals(ScriptTest):
    def build_with(self, binary, script):
        """A build folder like the real one in which one binary is a script."""
        build = self.scratch / "build"
        (build / "bin").mkdir(parents=True)
        for path in (BUILD / "bin").iterdir():
            if path.name != binary:
                (build / "bin" / path.name).symlink_to(path)
        if script:
            (build / "bin" / binary).write_text(script)
            (build / "bin" / binary).chmod(0o755)
        return build

    def assert_nothing_left(self, folder):
        # The scratch folder has the binaries, too, so that every process of the fleet names it.
        self.assertEqual(processes_of(self.scratch), [])
        self.assertFalse((folder / "fleet.json").exists())

    def test_second_up(self):
        folder = self.folder("fleet")
        self.assert_done(self.up(folder, "--agents", "hardware"))
        before = self.read(folder)
        self.assert_refused(self.up(folder, "--agents", "hardware"), "already runs", "scripts/fleet down --dir")
        self.assertEqual(self.read(folder), before)
        self.assert_serving(before, {"hardware"})

    def test_agent_that_dies(self):
        folder = self.folder("fleet")
        build = self.build_with("arc-recsys", "#!/bin/sh\necho 'recsys: no such table' >&2\nexit 3\n")
        self.assert_refused(self.up(folder, build=build), "recsys ended while starting", "recsys: no such table")
        self.assert_nothing_left(folder)

    def test_agent_that_never_serves(self):
        folder = self.folder("fleet")
        build = self.build_with("arc-hardware", "#!/bin/sh\necho thinking\nexec tail -f /dev/null\n")
        result = self.up(folder, "--ready_seconds", "5", build=build)
        self.assert_refused(result, "waited 5 s in vain for hardware to listen", "hardware: thinking")
        self.assert_nothing_left(folder)

    def test_agent_that_ignores_sigterm(self):
        folder = self.folder("fleet")
        stubborn = (
            "#!/usr/bin/env python3\n"
            "import json, http.server, os, signal, sys, threading\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "class Healthy(http.server.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n"
            "        self.send_response(200)\n"
            "        self.end_headers()\n"
            "server = http.server.HTTPServer(('127.0.0.1', 0), Healthy)\n"
            "ready = [word.split('=')[1] for word in sys.argv if word.startswith('--ready_file=')][0]\n"
            "url = 'http://127.0.0.1:%d' % server.server_port\n"
            "open(ready + '.new', 'w').write(json.dumps({'pid': os.getpid(), 'http_url': url}))\n"
            "os.rename(ready + '.new', ready)\n"
            "server.serve_forever()\n"
        )
        build = self.build_with("arc-hardware", stubborn)
        self.assert_done(self.up(folder, "--agents", "hardware", build=build))
        self.assertIn("did not end within 15 s of SIGTERM: killed", self.assert_done(self.fleet("down", folder)))
        self.assert_nothing_left(folder)

    def test_agent_that_keeps_dying(self):
        folder = self.folder("fleet")
        broken = self.scratch / "broken"
        real = BUILD / "bin" / "arc-hardware"
        script = f'#!/bin/sh\n[ -e {broken} ] && echo out of order && exit 3\nexec {real} "$@"\n'
        build = self.build_with("arc-hardware", script)
        self.assert_done(self.up(folder, "--agents", "hardware", build=build))
        supervisor = subprocess.Popen(
            [REPO / "scripts" / "fleet", "supervise", "--dir", folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.addCleanup(supervisor.stdout.close)
        self.addCleanup(supervisor.kill)
        broken.touch()
        os.kill(self.read(folder)["agents"]["hardware"]["pid"], signal.SIGKILL)
        lines = []
        for line in supervisor.stdout:
            lines.append(line)
            if "stays down" in line:
                break
        self.assertEqual(sum("starting it again" in line for line in lines), 5, "".join(lines))
        self.assertIn("out of order", "".join(lines))
        broken.unlink()
        self.assert_done(self.fleet("restart", folder, "hardware"))
        self.assert_serving(self.read(folder), {"hardware"})
        supervisor.send_signal(signal.SIGTERM)
        self.assertEqual(supervisor.wait(timeout=30), 128 + signal.SIGTERM)

    def test_interrupted_up(self):
        folder = self.folder("fleet")
        build = self.build_with("arc-hardware", "#!/bin/sh\nexec tail -f /dev/null\n")
        starting = subprocess.Popen(
            [REPO / "scripts" / "fleet", "up", "--dir", folder, "--build_dir", build],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        until("the agents to be started", lambda: (folder / "pids" / "orchestrator.json").exists())
        starting.send_signal(signal.SIGTERM)
        errors = starting.communicate(timeout=60)[1]
        self.assertEqual(starting.returncode, 128 + signal.SIGTERM, errors)
        self.assertIn("stopped by SIGTERM", errors)
        self.assert_nothing_left(folder)

    def test_not_built(self):
        folder = self.folder("fleet")
        build = self.build_with("arc-menu", None)
        self.assert_refused(self.up(folder, build=build), "lacks arc-menu", "scripts/build release")
        self.assert_nothing_left(folder)

    def test_no_fleet_there(self):
        folder = self.folder("nowhere")
        for command in ("kill", "restart", "start", "stop"):
            self.assert_refused(self.fleet(command, folder, "menu"), "no fleet under", "scripts/fleet up --dir")
        self.assert_refused(self.fleet("status", folder), "no fleet under")
        self.assert_done(self.fleet("down", folder))
        self.assertFalse(folder.exists())

    def test_scoped_without_a_kiosk(self):
        self.assert_refused(self.up(self.folder("fleet"), "--scoped"), "--scoped needs --kiosk_id")

    def test_a_cluster_is_asked_for_as_a_whole(self):
        folder = self.folder("fleet")
        for words in (["--nats_networks"], ["--restaurant", "burger-12"]):
            self.assert_refused(self.up(folder, *words), "need a cluster: --nats_nodes 3")
        self.assert_refused(self.up(folder, "--nats_nodes", "3", "--leaf_addresses", "a:1,b:2"), "2 addresses for 3 nodes")
        for words in (["--nats_nodes", "2"], ["--uplink", "/dev/null"], ["--leaf_addresses", "a"]):
            self.assertEqual(self.up(folder, *words).returncode, 2, words)

    def test_vision_without_a_source(self):
        folder = self.folder("fleet")
        self.assert_refused(self.up(folder, "--agents", "vision_bridge"), "vision_bridge needs --vision_source")
        self.assert_refused(self.up(folder, "--agents", "menu", "--vision_source", "0"), "needs the vision_bridge agent")
        missing = self.up(folder, "--vision_source", "/no/such")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("there is no /no/such", missing.stderr)

    def test_wrong_usage(self):
        for words in (["--agents", "waiter"], ["--copies", "menu"], ["--nats_port", "99999"], ["--menu", "/no/such"], ["--no_such"]):
            self.assertEqual(self.up(self.scratch / "fleet", *words).returncode, 2, words)
        self.assert_refused(self.fleet("logs", self.scratch, "waiter"), "there is no 'waiter' in a fleet")


class Cluster(ScriptTest):
    def states(self, folder):
        return {process["name"]: process["state"] for process in json.loads(self.fleet("status", folder, "--json").stdout)}

    def test_more_than_half_of_the_nodes_die(self):
        folder = self.folder("fleet")
        self.assert_done(self.up(folder, "--agents", "none", "--nats_nodes", "3", "--ready_seconds", "90"))
        self.assert_done(self.fleet("kill", folder, "nats", "nats-2"))
        # Two of three are enough, so one is brought back without the other.
        self.assert_done(self.fleet("start", folder, "nats"))
        states = self.states(folder)
        self.assertEqual([states[name] for name in ("nats", "nats-2", "nats-3")], ["SERVING", "dead", "SERVING"])
        # One of three is not. It stays all the same: without it no other one would ever be enough.
        self.assert_done(self.fleet("kill", folder, "nats", "nats-3"))
        alone = self.assert_done(self.fleet("start", folder, "nats-2"))
        self.assertIn(f"scripts/fleet start nats nats-3 --dir {folder}", alone)
        self.assertEqual(self.states(folder)["nats-2"], "NOT_SERVING")
        self.assert_done(self.fleet("start", folder, "nats", "nats-3"))
        until("all nodes to be SERVING", lambda: all(self.states(folder)[name] == "SERVING" for name in ("nats", "nats-2", "nats-3")))

    def test_restaurants_find_their_chain_where_it_was(self):
        folder = self.folder("chain")
        invited = []
        for _ in range(2):
            self.assert_done(self.up(folder, "--agents", "none", "--nats_nodes", "3", "--restaurant", "burger-12"))
            invited.append(json.loads((folder / "credentials" / "restaurant-burger-12.json").read_text()))
            self.assert_done(self.fleet("down", folder))
        self.assertEqual(invited[0], invited[1])


class Configuration(unittest.TestCase):
    def test_container_equals_template(self):
        folder = REPO / "deploy" / "nats"
        values = {
            "HOST": "0.0.0.0", "PORT": "4222", "HTTP_PORT": "8222", "WS_PORT": "8080", "STORE_DIR": "/data/nats", "EXTRA": "",
        }
        filled = re.sub(r"@(\w+)@", lambda match: values[match.group(1)], (folder / "nats-server.conf.in").read_text())
        settings = lambda text: [line for line in text.splitlines() if line and not line.startswith("#")]
        self.assertEqual(settings(filled), settings((folder / "nats-server.conf").read_text()))

    def test_nats_server_takes_every_configuration(self):
        """Each kind of server, as scripts/fleet and scripts/rights make it."""
        folder = REPO / "deploy" / "nats"
        server = shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        kinds = {
            "one": ([], rights.Table()),
            "scoped": ([], rights.Table(("kiosk-001", "kiosk-007"), scoped=True)),
            "node": (["cluster"], rights.Table()),
            "chain": (["cluster", "chain"], rights.Table(restaurants=("burger-12", "burger-13"))),
            "restaurant": (["leaf"], rights.Table(restaurant="burger-12")),
        }
        with tempfile.TemporaryDirectory() as scratch:
            for kind, (parts, table) in kinds.items():
                home = Path(scratch) / kind
                credentials = home / "credentials"
                rights.make_credentials(credentials, table, nkeys=kind in ("node", "chain"))
                for authority in (keys.AUTHORITY, keys.RESTAURANTS_AUTHORITY):
                    keys.make_authority(credentials, authority)
                for name in ("nats-2", "uplink"):
                    keys.make_certificate(credentials, name, [name, "127.0.0.1"])
                shutil.copy(credentials / keys.AUTHORITY, credentials / "uplink-ca.pem")
                values = {
                    "HOST": "127.0.0.1", "PORT": "4222", "HTTP_PORT": "8222", "WS_PORT": "8080", "STORE_DIR": home, "EXTRA": "", "NODE": "nats-2",
                    "CREDENTIALS": credentials, "CLUSTER_PORT": "6222", "ROUTES": '"tls://127.0.0.1:6223", "tls://127.0.0.1:6224"',
                    "LEAF_LISTEN": "127.0.0.1:7422", "LEAF_ADDRESS": "chain.example:7422", "RESTAURANT": "burger-12",
                    "CHAIN_URLS": '"tls://leaf_burger-12:x@chain.example:7422"',
                }
                text = "".join((folder / f"{part}.conf.in").read_text() for part in ("nats-server", *parts))
                config = home / "nats-server.conf"
                config.write_text(re.sub(r"@(\w+)@", lambda match: str(values[match.group(1)]), text))
                done = subprocess.run([server, "-c", config, "-t"], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 0, f"{kind}: {done.stdout}{done.stderr}")
                # The kiosk specification, section 2.1.
                for limit in ("max_memory_store: 256MB", "max_file_store: 1GB", "max_payload: 1MB"):
                    self.assertIn(limit, config.read_text(), kind)
            used = {part for parts, _ in kinds.values() for part in parts} | {"nats-server"}
            self.assertEqual({path.name.removesuffix(".conf.in") for path in folder.glob("*.conf.in")}, used)

    def test_every_script_explains_itself(self):
        for script in sorted((REPO / "scripts").iterdir()):
            if script.is_file():
                result = subprocess.run([script, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
                self.assertEqual(result.returncode, 0, script)
                self.assertIn("usage: scripts/" + script.name, result.stdout.replace("Usage", "usage"), script)
                if script.name == "test":  # hands what it does not know to ctest
                    continue
                wrong = subprocess.run([script, "--no_such"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
                self.assertEqual(wrong.returncode, 2, script)


class NewAgent(ScriptTest):
    """scripts/new_agent in a copy of the repository: what it makes compiles, passes its test, answers, and is deployed."""

    def copy_repository(self, wanted):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPO, capture_output=True, check=True
        )
        copy = self.scratch / "repository"
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (REPO / name).is_file() and wanted(name):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPO / name, copy / name)
        return copy

    def run_in(self, copy, *words, status=0, timeout=900):
        result = subprocess.run(words, cwd=copy, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        self.assertEqual(result.returncode, status, f"{words}\n{result.stdout}{result.stderr}")
        return result

    def test_makes_an_agent_that_works(self):
        # The other agents and tests are not needed to build this one.
        others = re.compile(r"(services|tests)/\w+/")
        copy = self.copy_repository(lambda name: not others.match(name))
        before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        for bad in ("Table", "1st", "a__b", "bus", "x-y", "grafana", "agent_runtime", "network"):
            self.assertIn("new_agent: ", self.run_in(copy, "scripts/new_agent", bad, status=1).stderr)
        self.assertEqual({path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}, before)

        self.run_in(copy, "scripts/new_agent", "table_service")
        self.assertIn("is there already", self.run_in(copy, "scripts/new_agent", "table_service", status=1).stderr)
        self.run_in(copy, "scripts/build", "release", "arc-table-service", "table_service_test")
        self.run_in(copy, "build/release/tests/table_service_test")

        for binary in ("arcctl", "arc-terminal-sim"):
            (copy / "build" / "release" / "bin" / binary).symlink_to(BUILD / "bin" / binary)
        folder = self.folder("fleet")
        up = ["scripts/fleet", "up", "--dir", folder, "--agents", "table_service", "--menu", "none"]
        self.addCleanup(self.run_in, copy, "scripts/fleet", "down", "--dir", folder)
        self.run_in(copy, *up)
        fleet = self.read(folder)
        self.assertEqual(set(fleet["agents"]), {"table_service"})
        reply = bus.request(
            fleet["nats_url"], fleet, "kiosk.agent.table_service.echo", {"payload": {"command": "echo", "text": "two coffees"}}
        )
        self.assertEqual(reply["payload"], {"status": "success", "text": "two coffees", "count": 1})

        # In containers and on Kubernetes it runs without another word.
        self.copy_repository(others.match)
        for path in (BUILD / "bin").iterdir():
            if not (copy / "build" / "release" / "bin" / path.name).exists():
                (copy / "build" / "release" / "bin" / path.name).symlink_to(path)
        for test in ("containers/compose.test.mjs", "kubernetes/manifests.test.mjs"):
            folder, _ = test.split("/")
            (copy / "tests" / folder / "node_modules").symlink_to(REPO / "tests" / folder / "node_modules")
            self.run_in(copy, "env", f"ARC_BUILD_DIR={copy / 'build' / 'release'}", "node", f"tests/{test}")


class Setup(unittest.TestCase):
    """scripts/setup against a package manager that only records what it was asked."""

    def run_setup(self, installed):
        with tempfile.TemporaryDirectory(prefix="arc-setup-test.") as scratch:
            calls = Path(scratch, "calls")
            for name, script in {
                "apt-get": f'#!/bin/sh\necho "$0 $*" >>{calls}\n',
                "apt-cache": "#!/bin/sh\nexit 0\n",
                "sudo": '#!/bin/sh\n[ "$1" = -- ] && shift\nexec "$@"\n',
                "flock": "#!/bin/sh\nexit 0\n",
                "dpkg-query": "#!/bin/sh\nfor p in \"$@\"; do case \"$p\" in -*) ;; %s) ;; *) echo \"installed $p\" ;; esac; done\n"
                % ("never" if installed else "jq|curl"),
            }.items():
                Path(scratch, name).write_text(script)
                Path(scratch, name).chmod(0o755)
            result = subprocess.run(
                [REPO / "scripts" / "setup", "--packages_only"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=30, env={**os.environ, "PATH": f"{scratch}:{os.environ['PATH']}"},
            )
            return result, calls.read_text() if calls.exists() else ""

    def test_nothing_missing(self):
        result, calls = self.run_setup(installed=True)
        self.assertEqual((result.returncode, calls), (0, ""), result.stderr)

    def test_installs_what_is_missing_alone(self):
        result, calls = self.run_setup(installed=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(len(calls.splitlines()), 1, calls)
        self.assertTrue(calls.rstrip().endswith(" install --no-install-recommends curl jq"), calls)
        self.assertIn("installing curl jq", result.stdout)


class Run(ScriptTest):
    def start(self, folder):
        run = subprocess.Popen(
            [REPO / "scripts" / "run", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.kill)
        lines = []
        for line in run.stdout:
            lines.append(line)
            if line.startswith("Events, until Ctrl-C"):
                return run, "".join(lines)
        self.fail("scripts/run ended before it was ready:\n" + "".join(lines))

    def test_until_interrupted(self):
        folder = self.folder("run")
        for number in (signal.SIGINT, signal.SIGTERM):
            run, text = self.start(folder)
            self.assertIn("run: ready\n", text)
            fleet = self.read(folder)
            self.assert_serving(fleet, WATCHED)
            self.assertIn(f"arcctl --nats_url {fleet['nats_url']} cart add 101", text)
            self.assertIn(f" {fleet['screen_url']} ", text)
            second = subprocess.run(
                [REPO / "scripts" / "run", folder], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
            )
            self.assert_refused(second, "running already")
            self.assert_serving(fleet, WATCHED)

            # An agent that dies comes back, where it was; one that was killed on purpose stays down.
            self.assert_done(self.fleet("kill", folder, "recsys"))
            os.kill(fleet["agents"]["menu"]["pid"], signal.SIGKILL)
            until("menu to be started again", lambda: self.read(folder)["agents"]["menu"]["pid"] != fleet["agents"]["menu"]["pid"])
            self.assertEqual(self.read(folder)["agents"]["menu"]["http_url"], fleet["agents"]["menu"]["http_url"])
            states = {row["name"]: row["state"] for row in json.loads(self.fleet("status", folder, "--json").stdout)}
            self.assertEqual((states["menu"], states["recsys"]), ("SERVING", "dead"))
            self.assert_done(self.fleet("restart", folder, "recsys"))
            run.send_signal(number)
            output = run.communicate(timeout=60)[0]
            self.assertEqual(run.returncode, 0, output)
            self.assertIn("menu is back", output)
            self.assertNotIn("recsys (pid", output)
            self.assertEqual(processes_of(f"{folder}/", fleet["nats_url"] + " "), [])

    def test_after_a_killed_run(self):
        folder = self.folder("run")
        run, _ = self.start(folder)
        left = self.read(folder)
        run.kill()
        run.wait(timeout=60)
        run, text = self.start(folder)
        self.assertIn("the last run was killed", text)
        self.assertNotEqual(self.read(folder)["nats_pid"], left["nats_pid"])
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        self.assertEqual(processes_of(f"{folder}/"), [])


if __name__ == "__main__":
    unittest.main()
