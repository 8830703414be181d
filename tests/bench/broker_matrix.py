"""Events and triggers of the crash matrix, and which trigger must get which event.

What is expected is written down here a second time, in Python: the broker's filters are not asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TYPES = ("order.placed", "order.filled", "price.moved", "risk.breached", "audit.noted")
REGIONS = ("eu", "us", "apac")
TENANTS = 5
PRIORITIES = 10
REPLYING = "exact"
PATIENT = {"retry": 30, "backoffPolicy": "linear", "backoffDelay": "PT0.1S"}

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Expectation:
    """A trigger: its filter as the manifest says it, and as Python says it."""

    name: str
    spec: Mapping[str, Any]
    wants: Callable[[Attributes], bool]


def _is_order(event: Attributes) -> bool:
    return event["type"].startswith("order.")


EXPECTATIONS = (
    Expectation(
        "legacy",
        {"filter": {"attributes": {"type": "order.placed", "priority": ""}}},
        lambda event: event["type"] == "order.placed" and "priority" in event,
    ),
    Expectation(
        REPLYING,
        {"filters": [{"exact": {"type": "order.filled"}}]},
        lambda event: event["type"] == "order.filled",
    ),
    Expectation("prefix", {"filters": [{"prefix": {"type": "order."}}]}, _is_order),
    Expectation(
        "suffix", {"filters": [{"suffix": {"source": "/eu"}}]}, lambda event: event["source"].endswith("/eu")
    ),
    Expectation(
        "all",
        {"filters": [{"all": [{"prefix": {"type": "order."}}, {"exact": {"tenantid": "tenant-1"}}]}]},
        lambda event: _is_order(event) and event.get("tenantid") == "tenant-1",
    ),
    Expectation(
        "any",
        {"filters": [{"any": [{"exact": {"type": "price.moved"}}, {"exact": {"type": "risk.breached"}}]}]},
        lambda event: event["type"] in ("price.moved", "risk.breached"),
    ),
    # Of the events, none but orders; of the replies, each.
    Expectation(
        "not", {"filters": [{"not": {"prefix": {"type": "order."}}}]}, lambda event: not _is_order(event)
    ),
    Expectation(
        "cesql",
        {"filters": [{"cesql": "EXISTS priority AND INT(priority) > 5 AND type LIKE 'order.%'"}]},
        lambda event: int(event.get("priority", "0")) > 5 and _is_order(event),
    ),
)


def attributes(number: int) -> dict[str, str]:
    """Return the context attributes of event `number`; every ninth has no priority."""
    event = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": f"/desk/{REGIONS[number % len(REGIONS)]}",
        "type": TYPES[number % len(TYPES)],
        "tenantid": f"tenant-{number % 7 % TENANTS}",
        "priority": str(number % 11 % PRIORITIES),
    }
    if number % 9 == 0:
        del event["priority"]
    return event


def reply_to(event_id: str) -> dict[str, str]:
    """Return the context attributes of the event that answers another."""
    return {
        "specversion": "1.0",
        "id": f"reply-to-{event_id}",
        "source": "/subscriber",
        "type": "answer.given",
    }


def expected(events: int) -> dict[str, set[str]]:
    """Return for each trigger the ids of the events that must reach it, replies included."""
    known = [attributes(number) for number in range(events)]
    replying = next(trigger for trigger in EXPECTATIONS if trigger.name == REPLYING)
    known += [reply_to(event["id"]) for event in known if replying.wants(event)]
    return {
        trigger.name: {event["id"] for event in known if trigger.wants(event)} for trigger in EXPECTATIONS
    }


def manifests() -> list[dict[str, Any]]:
    """Return the Trigger objects."""
    return [
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": {"name": trigger.name, "namespace": "alphapulse"},
            "spec": {
                "broker": "default",
                "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": trigger.name}},
                "delivery": PATIENT,
                **trigger.spec,
            },
        }
        for trigger in EXPECTATIONS
    ]
