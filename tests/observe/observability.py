"""The files of deploy/prometheus and deploy/grafana, as the tests of this folder read them."""

import json
import re
import sys
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parents[2]
PROMETHEUS = REPO / "deploy" / "prometheus"
GRAFANA = REPO / "deploy" / "grafana"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
# What Prometheus itself makes.
BUILT_IN = {"up", "ALERTS"}
# What a dashboard's variables stand for where a test asks in Grafana's place.
VARIABLES = {"$agent": ".*", "$__rate_interval": "1m"}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b")
_OPERATORS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}


def read(path):
    return yaml.safe_load(path.read_text())


def rules(kind):
    """Rules of a kind, `record` or `alert`."""
    return [rule for path in RULES for group in read(path)["groups"] for rule in group["rules"] if kind in rule]


def metrics_of(expression):
    """The names of the metrics that a PromQL expression reads."""
    text = _GROUPING.sub(" ", _STRING.sub('""', expression))
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    # A duration behind `offset` and a number's exponent are no names.
    text = re.sub(r"\boffset\s+\w+|\b[0-9][\w.]*", " ", text)
    return {word for word in _WORD.findall(text) if word not in _OPERATORS}


def golden():
    return read(PROMETHEUS / "metrics.yml")


def known_series():
    """Names that a query may read: metrics with what histograms make of them, the server's, and recording rules."""
    names = set(BUILT_IN) | set(golden()["server"]) | {rule["record"] for rule in rules("record")}
    for name, metric in golden()["metrics"].items():
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if metric["type"] == "histogram" else {name}
    return names


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def queries(dashboard):
    """(panel's title, expression) of each query of a dashboard, its variables filled in."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


sys.dont_write_bytecode = True
