"""Rules, alerts, dashboards and the list of metrics agree with each other, with the sources and with docs/operating.md."""

import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

import observability  # noqa: E402
from observability import GRAFANA, PROMETHEUS, REPO, RULE_TESTS, RULES, dashboards, golden, known_series, metrics_of, queries, read, rules  # noqa: E402

PROMTOOL = shutil.which("promtool") or "promtool"
OPERATING = (REPO / "docs" / "operating.md").read_text()


class Rules(unittest.TestCase):
    maxDiff = None

    def promtool(self, *words):
        done = subprocess.run([PROMTOOL, *map(str, words)], capture_output=True, text=True, timeout=300)
        self.assertEqual(0, done.returncode, f"promtool {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")

    def test_promtool_takes_configuration_and_rules(self):
        self.promtool("check", "config", PROMETHEUS / "prometheus.yml")
        self.promtool("check", "rules", *RULES)

    def test_promtool_passes_the_tests_of_the_rules(self):
        self.promtool("test", "rules", *RULE_TESTS)

    def test_every_alert_has_a_test_that_makes_it_fire_and_one_that_keeps_it_quiet(self):
        fires, quiet = set(), set()
        for path in RULE_TESTS:
            for test in read(path)["tests"]:
                for check in test.get("alert_rule_test", []):
                    (fires if check["exp_alerts"] else quiet).add(check["alertname"])
        alerts = {rule["alert"] for rule in rules("alert")}
        self.assertGreater(len(alerts), 20)
        self.assertEqual((alerts, alerts), (fires, quiet))

    def test_every_recording_rule_has_a_test(self):
        tested = set()
        for path in RULE_TESTS:
            for test in read(path)["tests"]:
                for check in test.get("promql_expr_test", []):
                    tested |= metrics_of(check["expr"])
        self.assertEqual(set(), {rule["record"] for rule in rules("record")} - tested)

    def test_the_specification_s_metrics_and_thresholds(self):
        recorded = {rule["record"] for rule in rules("record")}
        self.assertEqual(set(), {"nats_msgs_received", "nats_slow_consumers", "nats_jetstream_bytes", "kiosk_agent_latency_ms"} - recorded)
        expressions = {rule["alert"]: rule["expr"] for rule in rules("alert")}
        self.assertEqual("nats_slow_consumers > 0", expressions["NatsSlowConsumers"])
        self.assertEqual("nats_jetstream_bytes > 500 * 1024 * 1024", expressions["NatsJetstreamBytes"])
        self.assertRegex(expressions["KioskAgentLatency"], r"^kiosk_agent_latency_ms\{[^}]*\} > 2000 or ")

    def test_every_query_of_a_rule_is_of_a_known_metric(self):
        known = known_series()
        for rule in rules("record") + rules("alert"):
            with self.subTest(rule.get("record") or rule["alert"]):
                found = metrics_of(rule["expr"])
                self.assertTrue(found)
                self.assertEqual(set(), found - known)

    def test_every_alert_says_how_bad_it_is_what_it_is_and_what_to_do(self):
        headings = [line.lstrip("# ") for line in OPERATING.splitlines() if line.startswith("### ")]
        for rule in rules("alert"):
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertTrue(rule["annotations"]["summary"])
                self.assertEqual(f"docs/operating.md#{rule['alert'].lower()}", rule["annotations"]["runbook"])
                self.assertEqual(1, headings.count(rule["alert"]), "docs/operating.md needs a section of that name")
        alerts = {rule["alert"] for rule in rules("alert")}
        self.assertEqual(set(), {heading for heading in headings if re.fullmatch(r"(Kiosk|Nats)[A-Z]\w+", heading)} - alerts, "sections of alerts that do not exist")

    def test_every_stream_and_bucket_that_the_fleet_has_is_missed(self):
        topology = read(REPO / "deploy" / "streams.json")
        names = {stream["name"] for stream in topology["streams"]} | {f"KV_{bucket['name']}" for bucket in topology["buckets"]}
        missed = next(rule["expr"] for rule in rules("alert") if rule["alert"] == "KioskStreamMissing")
        self.assertEqual(names, set(re.findall(r'stream_name="(\w+)"', missed)))

    def test_every_agent_is_scraped(self):
        jobs = {job["job_name"]: job for job in read(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
        compose = read(REPO / "compose.yaml")["services"]
        agents = {name for name, service in compose.items() if service.get("mem_limit") and service.get("command") and "--nats_password_file=/run/rights/password" in service["command"] and name != "terminal-sim"}
        self.assertGreaterEqual(len(agents), 10)
        self.assertEqual(agents, set(jobs["agents"]["dns_sd_configs"][0]["names"]))
        self.assertIn(jobs["terminal"]["dns_sd_configs"][0]["names"][0], compose)


class Metrics(unittest.TestCase):
    maxDiff = None

    def test_the_list_has_the_names_that_the_sources_have(self):
        names = set()
        for folder in ("common", "services"):
            for path in (REPO / folder).rglob("*.h"):
                names |= set(re.findall(r'inline constexpr char k\w+\[\] =\s*"((?:kiosk|process)_[a-z0-9_]+)"', path.read_text()))
        for path in (REPO / "services" / "terminal_sim").glob("*.cc"):
            names |= set(re.findall(r"# TYPE (terminal_sim_\w+)", path.read_text()))
        self.assertGreater(len(names), 60, "the headers are not read as they are written")
        self.assertEqual(names, set(golden()["metrics"]))

    def test_docs_operating_has_each_with_its_type_and_labels(self):
        rows = {}
        for line in OPERATING.splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) != 4 or cells[1] not in ("counter", "gauge", "histogram"):
                continue
            names = re.findall(r"`(\w+)`", cells[0])
            # One row of several names gives their labels in their order, with semicolons.
            labels = [re.findall(r"\b[a-z_]+\b", re.sub(r"\([^)]*\)", "", part)) for part in cells[2].split(";")]
            for index, name in enumerate(names):
                of_name = labels[index if len(labels) > 1 else 0]
                rows[name] = (cells[1], {label for label in of_name if label != "agent"})
        expected = {name: (metric["type"], set(metric["labels"])) for name, metric in golden()["metrics"].items()}
        self.assertEqual(expected, rows)

    def test_the_server_s_metrics_are_those_that_are_asked_for(self):
        asked = set()
        for rule in rules("record") + rules("alert"):
            asked |= metrics_of(rule["expr"])
        for dashboard in dashboards().values():
            for _, expression in queries(dashboard):
                asked |= metrics_of(expression)
        self.assertEqual(set(golden()["server"]), {name for name in asked if name.startswith(("gnatsd_", "jetstream_"))})


class Dashboards(unittest.TestCase):
    """Grafana is not in Debian: what it reads is checked as far as its documentation of the format goes."""

    KINDS = {"timeseries", "stat", "table"}
    UNITS = {"short", "ms", "bytes", "Bps", "reqps", "percentunit"}

    def test_provisioning_names_what_is_there(self):
        source = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")
        self.assertEqual(1, source["apiVersion"])
        self.assertEqual(("prometheus", "prometheus", "http://prometheus:9090"), tuple(source["datasources"][0][key] for key in ("uid", "type", "url")))
        interval = read(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
        self.assertEqual(interval, source["datasources"][0]["jsonData"]["timeInterval"])
        provider = read(GRAFANA / "provisioning" / "dashboards" / "kiosk.yml")
        self.assertEqual((1, "file"), (provider["apiVersion"], provider["providers"][0]["type"]))

    def test_structure(self):
        found = dashboards()
        self.assertEqual({"fleet.json", "orders.json", "voice.json", "queues.json"}, set(found))
        self.assertEqual(len(found), len({dashboard["uid"] for dashboard in found.values()}))
        for name, dashboard in found.items():
            with self.subTest(name):
                self.assertLessEqual(len(dashboard["uid"]), 40)
                self.assertTrue(dashboard["title"])
                self.assertGreaterEqual(dashboard["schemaVersion"], 36)
                ids = [panel["id"] for panel in dashboard["panels"]]
                self.assertEqual(len(ids), len(set(ids)))
                taken = set()
                for panel in dashboard["panels"]:
                    self.check_panel(panel, taken)
                variables = {f"${variable['name']}" for variable in dashboard["templating"]["list"]}
                text = str(dashboard["panels"])
                self.assertEqual(variables, set(re.findall(r"\$(?!__)\w+", text)))

    def check_panel(self, panel, taken):
        title = panel["title"]
        self.assertIn(panel["type"], self.KINDS, title)
        self.assertIn(panel["fieldConfig"]["defaults"]["unit"], self.UNITS, title)
        place = panel["gridPos"]
        self.assertLessEqual(place["x"] + place["w"], 24, title)
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        self.assertEqual(set(), cells & taken, f"{title} lies on another panel")
        taken |= cells
        self.assertTrue(panel["targets"], title)
        references = [target["refId"] for target in panel["targets"]]
        self.assertEqual(len(references), len(set(references)), title)
        for target in panel["targets"]:
            self.assertEqual({"type": "prometheus", "uid": "prometheus"}, target["datasource"], title)
            self.assertNotEqual(target["range"], target["instant"], title)
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        self.assertIsNone(steps[0]["value"], title)
        values = [step["value"] for step in steps[1:]]
        self.assertEqual(sorted(values), values, title)

    def test_every_query_is_of_a_known_metric(self):
        known = known_series()
        for name, dashboard in dashboards().items():
            for title, expression in queries(dashboard):
                with self.subTest(f"{name}: {title}"):
                    self.assertEqual(set(), metrics_of(expression) - known)


class Names(unittest.TestCase):
    def test_metrics_of(self):
        for expression, names in (
            ("a > 0", {"a"}),
            ('sum by (x, le) (rate(a_bucket{x="b c", y!~"d|e"}[5m])) / on (x) group_left (z) b:c:d', {"a_bucket", "b:c:d"}),
            ("a unless a offset 10m or vector(0) and b > 64 * 1e3", {"a", "b"}),
            ('histogram_quantile(0.9, sum by (le) (a_bucket)) >= bool 0', {"a_bucket"}),
        ):
            self.assertEqual(names, metrics_of(expression), expression)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    assert observability
    unittest.main()
