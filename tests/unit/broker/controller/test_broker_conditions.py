"""Checklist 13: what a Broker object says of itself."""

from dataclasses import replace
from typing import Any

import pytest

from alphapulse_broker.controller.conditions import Finding, false, unknown
from alphapulse_broker.controller.observation import endpoints_finding, policies_finding
from alphapulse_broker.controller.references import Reference, unreadable
from tests.unit.broker.controller.objects import BEFORE, World, broker, conditions, found, standing

KINDS = {
    "Addressable",
    "DeadLetterSinkResolved",
    "EventPoliciesReady",
    "FilterReady",
    "IngressReady",
    "Ready",
    "TriggerChannelReady",
}
SINK = Reference("v1", "Service", "n1", "sink")


def test_13_healthy_broker_is_ready_with_every_condition_and_its_address() -> None:
    world = World()

    world.settle()

    (found_broker,) = world.brokers
    assert set(conditions(found_broker)) == KINDS
    assert {entry["status"] for entry in conditions(found_broker).values()} == {"True"}
    url = "http://default-broker-ingress.n1.svc.cluster.local/n1/default"
    assert found_broker["status"]["address"] == {"name": "http", "url": url}
    assert found_broker["status"]["addresses"] == [{"name": "http", "url": url}]


@pytest.mark.parametrize(
    ("part", "condition"),
    [("ingress", "IngressReady"), ("dispatcher", "FilterReady"), ("policies", "EventPoliciesReady")],
)
@pytest.mark.parametrize("finding", [false("Broken", "It is broken."), unknown("NotRead", "No answer.")])
def test_13_part_that_is_not_ready_shows_in_its_condition_and_in_ready(
    part: str, condition: str, finding: Finding
) -> None:
    world = World()
    world.state(**{part: finding})

    world.settle()

    assert standing(world.brokers[0], condition) == (finding.status, finding.reason)
    assert standing(world.brokers[0], "Ready") == (finding.status, finding.reason)
    assert conditions(world.brokers[0])["Ready"]["message"] == finding.message


def test_13_ready_is_false_rather_than_unknown_when_there_are_both() -> None:
    world = World()
    world.state(ingress=unknown("NotRead", "?"), policies=false("EventPoliciesNotSupported", "p"))

    world.settle()

    assert standing(world.brokers[0], "Ready") == ("False", "EventPoliciesNotSupported")


def test_13_channel_is_unknown_before_a_table_is_in_force_and_false_without_redis() -> None:
    world = World()

    (change,) = world.plan().statuses
    before = {entry["type"]: entry["status"] for entry in change.patch["conditions"]}
    world.state(log_problem="redis did not answer: TimeoutError")
    plan = world.settle()

    assert before["TriggerChannelReady"] == before["Ready"] == "Unknown"
    assert standing(world.brokers[0], "TriggerChannelReady") == ("False", "LogUnavailable")
    assert plan.tables == {}
    assert not plan.is_settled


def test_13_broken_delivery_of_a_broker_is_named() -> None:
    world = World(brokers=[broker(delivery={"retry": 1, "backoffDelay": "soon"})])

    world.settle()

    assert standing(world.brokers[0], "TriggerChannelReady") == ("False", "DeliveryInvalid")
    assert "soon" in conditions(world.brokers[0])["Ready"]["message"]


@pytest.mark.parametrize(
    ("referent", "expected"),
    [
        (found(SINK, {"metadata": {}}), ("True", "")),
        (found(SINK, None), ("False", "NotFound")),
        (unreadable(SINK, "403"), ("Unknown", "ReferenceNotRead")),
        (None, ("Unknown", "ReferenceNotRead")),
    ],
)
def test_13_dead_letter_sink_is_resolved_or_says_why_not(referent: Any, expected: tuple[str, str]) -> None:
    sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "sink"}}
    world = World(brokers=[broker(delivery={"deadLetterSink": sink})])
    if referent is not None:
        world.referents[SINK] = referent

    world.settle()

    assert standing(world.brokers[0], "DeadLetterSinkResolved") == expected
    uri = world.brokers[0]["status"].get("deadLetterSinkUri")
    assert uri == ("http://sink.n1.svc.cluster.local" if expected[0] == "True" else None)


def test_13_without_a_dead_letter_sink_the_condition_is_true_and_says_what_happens() -> None:
    world = World()

    world.settle()

    assert standing(world.brokers[0], "DeadLetterSinkResolved") == ("True", "DeadLetterSinkNotConfigured")


def test_13_time_changes_with_the_status_and_not_with_the_reason() -> None:
    world = World()
    world.state(ingress=false("One", "1"))
    world.settle()
    for entry in world.brokers[0]["status"]["conditions"]:
        entry["lastTransitionTime"] = BEFORE

    world.state(ingress=false("Two", "2"))
    world.settle()
    same = conditions(world.brokers[0])["IngressReady"]
    world.state(ingress=Finding())
    world.settle()

    assert (same["reason"], same["lastTransitionTime"]) == ("Two", BEFORE)
    after = {name: entry["lastTransitionTime"] for name, entry in conditions(world.brokers[0]).items()}
    assert after.pop("IngressReady") == after.pop("Ready") == "2026-03-01T12:00:00Z"
    assert set(after.values()) == {BEFORE}


def test_13_generation_observed_is_the_one_of_the_object_and_nothing_else_changes_for_it() -> None:
    world = World()
    world.settle()
    world.brokers[0]["metadata"] |= {"generation": 5}

    plan = world.settle()

    assert [change.patch for change in plan.statuses] == [{"observedGeneration": 5}]
    assert world.plan().statuses == []


def test_13_settled_broker_is_not_written_again() -> None:
    world = World()
    world.settle()

    plan = world.plan()

    assert (plan.statuses, plan.tables, plan.claims) == ([], {}, [])
    assert plan.is_settled


def test_13_endpoints_decide_by_readiness() -> None:
    ready = {"endpoints": [{"conditions": {"ready": False}}, {"conditions": {"ready": True}}]}
    starting = {"endpoints": [{"conditions": {"ready": False}}]}

    assert endpoints_finding("s", [ready]).holds
    assert endpoints_finding("s", [{"endpoints": [{"addresses": ["10.0.0.1"]}]}]).holds
    assert endpoints_finding("s", [starting]).reason == "NoReadyPod"
    assert endpoints_finding("s", [{"endpoints": None}]).reason == "NoReadyPod"
    assert endpoints_finding("s", []).reason == "ServiceNotFound"


@pytest.mark.parametrize(
    ("to", "covers"),
    [
        ([], True),
        ([{"ref": {"kind": "Broker", "name": "default"}}], True),
        ([{"ref": {"kind": "Broker", "name": "other"}}], False),
        ([{"ref": {"kind": "Channel", "name": "default"}}], False),
        ([{"selector": {"kind": "Broker", "matchLabels": {"team": "a"}}}], True),
        ([{"selector": {"kind": "Broker", "matchLabels": {"team": "b"}}}], False),
    ],
)
def test_13_event_policy_that_covers_a_broker_is_not_passed_over(to: list[Any], *, covers: bool) -> None:
    policy = {"metadata": {"name": "p", "namespace": "n1"}, "spec": {"to": to}}

    finding = policies_finding(broker(labels={"team": "a"}), [policy])

    assert finding.holds is not covers
    assert ("p" in finding.message) is covers


def test_13_state_that_was_not_looked_at_is_unknown_everywhere() -> None:
    world = World()
    world.state(**{name: replace(unknown("NotObserved", "?")) for name in ("ingress", "dispatcher")})

    world.settle()

    assert standing(world.brokers[0], "Ready") == ("Unknown", "NotObserved")
