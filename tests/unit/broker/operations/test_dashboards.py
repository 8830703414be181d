"""Every query of the dashboard and of the alert rules asks for metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import Counter, Histogram

from alphapulse_broker.controller.metrics import ControllerMetrics
from alphapulse_broker.metrics import Metrics

DIRECTORY = Path(__file__).parents[4] / "eventing" / "broker" / "dashboards"
# Added by Prometheus or by the service monitor, not by the process.
SCRAPED = {"namespace", "le"}
NAME = re.compile(r"\bredisbroker_\w+")
SELECTOR = re.compile(r"(redisbroker_\w+)\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def series() -> dict[str, set[str]]:
    """Return each series that the broker's processes show, with its labels."""
    found: dict[str, set[str]] = {}
    registries = (Metrics().registry, ControllerMetrics().registry)
    for collector in (it for registry in registries for it in registry._collector_to_names):
        labels = set(collector._labelnames)
        name = collector._name
        if isinstance(collector, Counter):
            found[f"{name}_total"] = labels
        elif isinstance(collector, Histogram):
            found |= {f"{name}_{part}": labels for part in ("bucket", "sum", "count")}
        else:
            found[name] = labels
    return found


def dashboard() -> dict[str, object]:
    return json.loads((DIRECTORY / "redisbroker.json").read_text())


def expressions() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["definition"]
    rules = yaml.safe_load((DIRECTORY / "redisbroker.rules.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_16_query_names_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    known = series()

    names = NAME.findall(expression)
    assert names, f"{where} asks for nothing of the broker"
    assert set(names) <= set(known)
    for name, selector in SELECTOR.findall(expression):
        asked = {part.split("=")[0].rstrip("!~") for part in selector.split(",")}
        assert asked <= known[name] | SCRAPED
    grouped = {label.strip() for labels in GROUPING.findall(expression) for label in labels.split(",")}
    for name in names:
        assert grouped <= known[name] | SCRAPED


def test_16_dashboard_shows_every_metric() -> None:
    shown = {name for where, text in expressions() if "alert" not in where for name in NAME.findall(text)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series()}

    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == families


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) == 23


def test_rules_have_names_of_their_own_a_severity_and_a_summary() -> None:
    rules = yaml.safe_load((DIRECTORY / "redisbroker.rules.yaml").read_text())["groups"][0]["rules"]

    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
