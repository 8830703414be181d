"""The Knative objects are valid, pinned, least-privileged, and refer to things that exist."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.instruments import Interval
from alphapulse_local.manifest_check import (
    SCHEMA_DIRECTORY,
    cross_problems,
    object_problems,
    objects,
    schema_problems,
)
from alphapulse_local.manifests import documents, load

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT.parent / SCHEMA_DIRECTORY

# Who may hold what. A function that is missing here holds none of the named secrets.
SECRET_HOLDERS = {
    "database-platform": {
        "accounts",
        "agent-schedule",
        "cache-reconcile",
        "consensus",
        "credential-health",
        "market-data",
        "order-sync",
        "outbox-relay",
        "provision-activate",
        "provision-billing",
        "provision-cache",
        "provision-compensate",
        "provision-database",
        "provision-vault",
        "provision-verify",
        "retention",
        "signal-scoring",
    },
    "coin-metrics": {"backtest", "signal-buffett", "signal-fundamental", "signal-value"},
    "coingecko": {"backtest", "signal-value"},
    "ethplorer": {"backtest", "signal-value"},
    "smtp": {"accounts", "notify"},
    "stripe": {"provision-billing", "provision-compensate", "provision-verify"},
    "tally": {"backtest", "signal-activist"},
    "token-signing-key": {"accounts"},
    "x": {"backtest", "signal-sentiment"},
}


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for _, document in documents(ROOT / "knative/base/functions", kind="Service"):
        yield document["metadata"]["name"], document


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason=f"no API schemas in {SCHEMAS}")
def test_objects_match_the_api_schemas_without_unknown_fields() -> None:
    assert list(schema_problems(ROOT, SCHEMAS)) == []


def test_objects_pass_what_knative_checks_beyond_the_schemas() -> None:
    assert list(object_problems(ROOT)) == []


def test_references_between_objects_and_folders_lead_somewhere() -> None:
    assert list(cross_problems(ROOT)) == []


def test_names_are_unique_per_kind() -> None:
    seen = [
        (document["kind"], document["metadata"].get("namespace"), document["metadata"]["name"])
        for _, document in objects(ROOT)
        if "metadata" in document
    ]

    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("secret", sorted(SECRET_HOLDERS))
def test_secret_is_given_to_its_holders_only(secret: str) -> None:
    holders = {name for name, document in services() if secret in _secrets(document)}

    assert holders == SECRET_HOLDERS[secret]


def test_no_literal_value_looks_like_a_credential() -> None:
    for name, document in services():
        for container in document["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                value = variable.get("value", "")
                assert "://" not in value or "@" not in value, f"{name}: {variable['name']}"
                if value and any(
                    word in variable["name"] for word in ("PASSWORD", "SECRET", "TOKEN", "_KEY")
                ):
                    assert value.startswith("/var/run/secrets/"), f"{name}: {variable['name']}"


def test_functions_scale_to_zero_and_are_reached_through_the_gateway_only() -> None:
    for name, document in services():
        annotations = document["spec"]["template"]["metadata"]["annotations"]
        labels = document["metadata"]["labels"]

        assert annotations["autoscaling.knative.dev/min-scale"] == "0", name
        assert labels["networking.knative.dev/visibility"] == "cluster-local", name


def test_routes_of_the_gateway_lead_to_the_functions_of_the_contract() -> None:
    manifests = load(ROOT)
    wanted = {
        "/auth/login": "accounts",
        "/tenants/me": "accounts",
        "/.well-known/jwks.json": "accounts",
        "/trades": "trade",
        "/trades/0190": "trade",
        "/trading/halt": "trade",
        "/portfolio/history": "portfolio",
        "/positions/BTC-USDT": "portfolio",
        "/agents/run": "agents",
        "/market/BTC-USDT/ticker": "market",
    }

    found = {path: route.function for path in wanted if (route := manifests.route(path))}

    assert found == wanted


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/authx", "/.well-known/other"])
def test_other_paths_lead_nowhere(path: str) -> None:
    assert load(ROOT).route(path) is None


@pytest.mark.parametrize(
    ("event", "consumers"),
    [
        *(
            ({"type": "com.alphapulse.signal.requested.v1", "agent": agent}, {f"signal-{agent}"})
            for agent in AGENT_NAMES
        ),
        ({"type": "com.alphapulse.backtest.requested.v1"}, {"backtest"}),
        ({"type": "com.alphapulse.signal.generated.v1"}, {"consensus"}),
        ({"type": "com.alphapulse.signal.abstained.v1"}, {"consensus"}),
        ({"type": "com.alphapulse.trade.filled.v1"}, {"portfolio"}),
        ({"type": "com.alphapulse.trade.partially_filled.v1"}, {"portfolio"}),
        ({"type": "com.alphapulse.trade.cancelled.v1"}, {"portfolio"}),
        ({"type": "com.alphapulse.order.sync.requested.v1"}, {"order-sync"}),
        ({"type": "com.alphapulse.market.refresh.requested.v1"}, {"market-data"}),
        ({"type": "dev.knative.sources.ping", "schedule": "market-refresh"}, {"market-data"}),
        ({"type": "dev.knative.sources.ping", "schedule": "outbox-sweep"}, {"outbox-relay"}),
        ({"type": "dev.knative.sources.ping", "schedule": "cache-reconcile"}, {"cache-reconcile"}),
        ({"type": "dev.knative.sources.ping", "schedule": "order-sync"}, {"order-sync"}),
        ({"type": "dev.knative.sources.ping", "schedule": "retention"}, {"retention"}),
        ({"type": "dev.knative.sources.ping", "schedule": "consensus-sweep"}, {"consensus"}),
        *(
            (
                {"type": "dev.knative.sources.ping", "schedule": f"agent-schedule-{interval}"},
                {"agent-schedule"},
            )
            for interval in Interval
        ),
        ({"type": "dev.knative.sources.ping", "schedule": "signal-scoring"}, {"signal-scoring"}),
    ],
)
def test_event_reaches_its_consumers(event: dict[str, str], consumers: set[str]) -> None:
    triggers = [document["spec"] for _, document in documents(ROOT / "eventing/triggers", kind="Trigger")]

    reached = {
        spec["subscriber"]["ref"]["name"]
        for spec in triggers
        if all(_passes(one, event) for one in spec["filters"])
    }

    # At least: a function added to the repository may listen to anything.
    assert reached >= consumers


def _passes(expression: dict[str, Any], event: dict[str, str]) -> bool:
    """Evaluate the two dialects these triggers use, apart from the broker's own code."""
    ((dialect, operand),) = expression.items()
    if dialect == "exact":
        return all(event.get(name) == value for name, value in operand.items())
    assert dialect == "any"
    return any(_passes(one, event) for one in operand)


def _secrets(node: Any) -> set[str]:
    """Return the names of all Secrets an object refers to."""
    if isinstance(node, list):
        return {name for item in node for name in _secrets(item)}
    if not isinstance(node, dict):
        return set()
    own = {value["name"] for key, value in node.items() if key in {"secretKeyRef", "secretRef"}} | {
        value for key, value in node.items() if key == "secretName"
    }
    return own.union(*(_secrets(value) for value in node.values()))
