"""A real prometheus beside a real fleet: what each agent emits, and what rules and dashboards make of it."""

import importlib.util
import json
import math
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
import urllib.parse
import urllib.request
from importlib.machinery import SourceFileLoader
from pathlib import Path

sys.dont_write_bytecode = True

from observability import REPO, dashboards, golden, queries, rules  # noqa: E402

BUILD = Path(os.environ.get("ARC_BUILD_DIR", REPO / "build" / "release"))
DEADLINE = 60.0
ORDER = "two volcano burgers without onions and a large cola please"
STAGES = ("start", "visit", "order", "speech")


def until(what, attempt, seconds=DEADLINE):
    """The first true result of `attempt`; fails with what it waited for and what was there instead."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = attempt()
        except AssertionError as error:
            result, problem = None, f": {error}"
        else:
            problem = ""
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}{problem}")
        select.select([], [], [], 0.1)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def parse(text):
    """Prometheus' text format as {name: {"type", "labels", "value"}}: labels are all names that its series have; value is the
    sum of its series, of a histogram the count of what was observed."""
    found, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            kinds[name] = kind
            continue
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if not match:
            continue
        name, labels = match.group(1), set(re.findall(r'(\w+)="', match.group(2) or ""))
        family = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if kinds.get(name.removesuffix(end)) == "histogram"), name)
        metric = found.setdefault(family, {"type": kinds.get(family), "labels": set(), "value": 0.0})
        metric["labels"] |= labels - {"agent", "le"}
        if family == name or name.endswith("_count"):
            metric["value"] += float(match.group(3))
    return found


def load_backup():
    """scripts/backup as a module, for the way in which it speaks to the bus."""
    # Where a script finds its own modules when it is run.
    if str(REPO / "scripts") not in sys.path:
        sys.path.append(str(REPO / "scripts"))
    loader = SourceFileLoader("backup", str(REPO / "scripts" / "backup"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("backup", loader))
    loader.exec_module(module)
    return module


class Observed(unittest.TestCase):
    """The tests run in the order of their names, on one fleet that has had a visit, an order by touch and one by speech."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = Path(tempfile.mkdtemp(prefix="arc-observe-test."))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, ignore_errors=True)
        cls.folder = cls.scratch / "fleet"
        cls.addClassCleanup(cls.fleet, "down")
        # The film as fast as it can be looked at.
        cls.fleet("up", "--build_dir", BUILD, "--vision_source", "auto", "--flag", "vision_bridge=--speed=max", "--ready_seconds", "90")
        cls.seen = {}
        cls.look("start")
        ready = cls.scratch / "observe.ready"
        with open(cls.scratch / "observe.log", "wb") as log:
            cls.observer = subprocess.Popen(
                [REPO / "scripts" / "observe", "--dir", cls.folder, "--interval", "1s", "--ready_file", ready],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        cls.addClassCleanup(cls.stop_observer)
        cls.prometheus = json.loads(until("scripts/observe", lambda: cls.observing() and ready.is_file() and ready.read_text()))["prometheus_url"]
        # Increases count from the first scrape.
        targets = len(cls.facts()["agents"]) + 2
        until(f"{targets} targets to be up", lambda: cls.ask("sum(up)") == [({}, float(targets))])
        cls.use_it()

    @classmethod
    def stop_observer(cls):
        if cls.observer.poll() is None:
            cls.observer.send_signal(signal.SIGTERM)
            cls.observer.wait(30)

    @classmethod
    def observing(cls):
        if cls.observer.poll() is not None:
            raise RuntimeError(f"scripts/observe ended:\n{cls.observer_log()}")
        return True

    @classmethod
    def run_program(cls, *words):
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    @classmethod
    def fleet(cls, verb, *words):
        return cls.run_program(REPO / "scripts" / "fleet", verb, "--dir", cls.folder, *words)

    @classmethod
    def facts(cls):
        return json.loads((cls.folder / "fleet.json").read_text())

    @classmethod
    def arcctl(cls, *words):
        return cls.run_program(BUILD / "bin" / "arcctl", "--nats_url", cls.facts()["nats_url"], *words)

    @classmethod
    def ask(cls, expression):
        """[(labels, value)] of an instant query, without NaN."""
        answer = json.loads(get(f"{cls.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        data = answer["data"]
        series = [({}, data["result"])] if data["resultType"] == "scalar" else [(one["metric"], one["value"]) for one in data["result"]]
        return [(labels, float(value[1])) for labels, value in series if not math.isnan(float(value[1]))]

    @classmethod
    def look(cls, stage):
        """Remembers what every process emits."""
        facts = cls.facts()
        processes = {**facts["agents"], "terminal_sim": facts["companions"]["terminal_sim"]}
        cls.seen[stage] = {name: parse(get(process["http_url"] + "/metrics")) for name, process in processes.items()}

    @classmethod
    def screen(cls):
        return json.loads(cls.arcctl("--json", "snapshot"))

    @classmethod
    def use_it(cls):
        vision = cls.facts()["agents"]["vision_bridge"]["http_url"]
        until("the film's people to have come and gone", lambda: 'event="person_left"' in get(f"{vision}/metrics"))
        cls.look("visit")
        words = cls.scratch / "order.wav"
        cls.run_program(BUILD / "bin" / "arc-tts", "--voice", "cmu_us_rms", "--out", words, "--say", ORDER)
        cls.order_by_touch()
        cls.look("order")
        cls.order_by_speech(words, 1)
        cls.look("speech")
        # A series that begins with its first event has increased with its second.
        cls.scraped()
        cls.order_by_touch()
        cls.order_by_speech(words, 2)
        cls.scraped()

    @classmethod
    def scraped(cls):
        """Waits until Prometheus knows what is now."""
        now = time.time()
        until("every process to be scraped", lambda: all(seen > now for _, seen in cls.ask("timestamp(up)")))

    @classmethod
    def count(cls, metric, agent):
        return parse(get(cls.facts()["agents"][agent]["http_url"] + "/metrics")).get(metric, {"value": 0.0})["value"]

    @classmethod
    def order_by_touch(cls, printed=True):
        until("the kiosk to be free", lambda: cls.screen()["state"] in ("attract", "browsing"))
        if cls.screen()["state"] == "browsing":
            cls.arcctl("touch", "cancel_order")
            until("the kiosk to be free", lambda: cls.screen()["state"] == "attract")
        for words in (("touch", "start"), ("cart", "add", "101", "2"), ("touch", "checkout"), ("touch", "confirm_payment")):
            cls.arcctl(*words)
        until("the terminal to wait for a card", lambda: 'terminal_sim_intents{state="waiting_for_card"} 1' in get(cls.facts()["companions"]["terminal_sim"]["http_url"] + "/metrics"))
        cls.arcctl("tap", "tok_visa")
        until("the order to be paid", lambda: cls.screen()["state"] == "paid")
        hardware = cls.facts()["agents"]["hardware"]["http_url"]
        paid = int(cls.count("kiosk_payments_total", "payment"))
        if printed:
            until("the receipt to be printed", lambda: f'kiosk_agent_requests_total{{agent="hardware",action="print",outcome="ok"}} {paid}' in get(f"{hardware}/metrics"))
        cls.arcctl("touch", "done")

    @classmethod
    def order_by_speech(cls, words, times):
        # On a machine that has much else to do, words may be heard later than arcctl waits for them: they are said again.
        speak = [BUILD / "bin" / "arcctl", "--nats_url", cls.facts()["nats_url"], "speak", words]
        until("the order to be heard", lambda: subprocess.run(speak, stdin=subprocess.DEVNULL, capture_output=True, timeout=180).returncode == 0, 150)
        until("the answer to have been spoken", lambda: cls.count("kiosk_voice_turns_total", "voice") >= times and cls.count("kiosk_voice_stage_ms", "voice") > 0)

    @classmethod
    def observer_log(cls):
        return (cls.scratch / "observe.log").read_text()

    def emitters(self, metric):
        agents = set(self.facts()["agents"]) - {"menu-2"}
        if metric["agents"] == "all":
            return agents
        if metric["agents"] == "handlers":
            return agents - {"vision_bridge"}
        if metric["agents"] == "commands":
            return {"menu", "recsys", "payment", "hardware", "orchestrator"}
        return set(metric["agents"])

    def test_1_every_agent_emits_what_the_list_promises(self):
        listed = golden()["metrics"]
        for number, stage in enumerate(STAGES):
            by_now = set(STAGES[: number + 1])
            for process, metrics in self.seen[stage].items():
                with self.subTest(f"{process} after {stage}"):
                    promised = {name for name, metric in listed.items() if process in self.emitters(metric) and metric["from"] in by_now}
                    self.assertEqual(set(), promised - set(metrics), "promised and not there")
                    allowed = {name for name, metric in listed.items() if process in self.emitters(metric)}
                    self.assertEqual(set(), set(metrics) - allowed, "there and not in deploy/prometheus/metrics.yml")
                    for name, metric in metrics.items():
                        self.assertEqual(listed[name]["type"], metric["type"], name)
                        self.assertEqual(set(listed[name]["labels"]), metric["labels"], name)
                        if listed[name].get("moves") in by_now and self.moved_together(name, stage) <= 0:
                            self.fail(f"{name} has counted nothing")

    def moved_together(self, name, stage):
        return sum(metrics[name]["value"] for metrics in self.seen[stage].values() if name in metrics)

    def test_2_every_recording_rule_has_a_value(self):
        for rule in rules("record"):
            labels = ",".join(f'{name}="{value}"' for name, value in rule.get("labels", {}).items())
            selector = f"{rule['record']}{{{labels}}}"
            with self.subTest(selector):
                until(f"a value of {selector}", lambda query=selector: self.ask(query), 20)
        state = {group["name"]: [(rule["name"], rule["lastError"]) for rule in group["rules"] if rule.get("lastError")] for group in json.loads(get(f"{self.prometheus}/api/v1/rules"))["data"]["groups"]}
        self.assertEqual({name: [] for name in state}, state)

    def test_3_the_specification_s_figures_are_right(self):
        """Against what agents and nats-server say themselves."""
        until("the same number of bytes in streams", lambda: self.ask("nats_jetstream_bytes")[0][1] == json.loads(get(self.facts()["nats_http_url"] + "/jsz"))["bytes"])
        self.assertGreater(self.ask("nats_msgs_received")[0][1], 0)
        self.assertEqual(0, self.ask("nats_slow_consumers")[0][1])
        latency = {(labels["agent"], labels["action"], labels["quantile"]): value for labels, value in self.ask("kiosk_agent_latency_ms")}
        for agent, action in (("menu", "list"), ("menu", "details"), ("payment", "process"), ("hardware", "print"), ("orchestrator", "snapshot"), ("orchestrator", "input"), ("stt", "request"), ("brain", "request"), ("tts", "request"), ("voice", "turn")):
            self.assertLessEqual(latency[agent, action, "0.5"], latency[agent, action, "0.99"])
            self.assertGreater(latency[agent, action, "0.5"], 0)
        self.assertEqual(
            [({"outcome": outcome}, value) for outcome, value in (("cancelled", 0), ("failed", 0), ("success", 2), ("unknown", 0))],
            sorted((({"outcome": labels["outcome"]}, value) for labels, value in self.ask("sum by (outcome) (kiosk_payments_total)")), key=str),
        )

    def test_4_every_query_of_every_dashboard_has_a_series(self):
        for name, dashboard in dashboards().items():
            for title, expression in queries(dashboard):
                with self.subTest(f"{name}: {title}", expression=expression):
                    until("a series", lambda query=expression: self.ask(query), 20)

    def test_5_a_healthy_fleet_is_quiet(self):
        # The film is over, and there is no other picture; and the machine of a test may be slow.
        excused = "KioskVisionBlind|KioskVoiceSlow|KioskAgentLatency|KioskCommandsExpired"
        self.assertEqual([], self.ask(f'ALERTS{{alertstate="firing", alertname!~"{excused}"}}'))

    def test_6_a_new_copy_is_watched_and_a_dead_one_is_told(self):
        self.fleet("start", "menu")
        until("menu-2 to be scraped", lambda: self.ask('count(up{agent="menu"} == 1)') == [({}, 2.0)])
        until("two copies that serve", lambda: self.ask('agent:kiosk_agent_serving:sum{agent="menu"}')[0][1] == 2)
        self.fleet("kill", "menu-2")
        address = urllib.parse.urlsplit(self.facts()["agents"]["menu-2"]["http_url"]).netloc
        fires = 'ALERTS{alertname="KioskAgentDown", alertstate="firing"}'
        self.assertEqual(address, until("KioskAgentDown", lambda: self.ask(fires), 90)[0][0]["instance"])
        self.fleet("start", "menu-2")
        until("KioskAgentDown to be over", lambda: not self.ask(fires))
        # It is said where the observer runs, too.
        said = f"KioskAgentDown (page): menu at {address} does not answer. What to do: docs/operating.md#kioskagentdown"
        told = lambda: [line.partition(" ")[2] for line in self.observer_log().splitlines() if said in line]
        until("the end of KioskAgentDown to be told", lambda: told() == [said, f"over: {said}"])

    def test_6_its_page_of_alerts_is_there(self):
        page = re.search(r"its alerts: (http://[^)]*)\)", self.observer_log()).group(1)
        self.assertIn("KioskAgentDown", get(page))

    def test_7_real_trouble_is_told(self):
        """Of alerts that wait for nothing: a message that nobody can handle, and a printer without paper."""
        firing = lambda name: self.ask(f'ALERTS{{alertname="{name}", alertstate="firing"}}')
        bus = load_backup().Bus(self.facts())
        self.addCleanup(bus.close)
        bus.publish("kiosk.input.touch", b'{"payload":{"event":"touch","action":"nonsense"}}')
        until("KioskDeadLetters", lambda: firing("KioskDeadLetters"))

        paper_out = Path(self.facts()["files"]["hardware"]["printer"] + ".paper_out")
        paper_out.touch()
        self.order_by_touch(printed=False)
        told = until("KioskServiceError", lambda: firing("KioskServiceError"))
        self.assertEqual([("hardware", "out_of_paper")], [(labels["agent"], labels["error_type"]) for labels, _ in told])
        until("a receipt that waits", lambda: self.ask("kiosk_hardware_spooled")[0][1] == 1)
        paper_out.unlink()
        until("the receipt to be printed", lambda: self.ask("kiosk_hardware_spooled")[0][1] == 0)

    def test_8_it_ends_with_a_signal_and_leaves_nothing(self):
        self.stop_observer()
        self.assertEqual(0, self.observer.returncode, self.observer_log())
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            self.assertNotIn(f"{self.folder}/observe", line)


if __name__ == "__main__":
    unittest.main()
