"""Checklist 13: what a Trigger object says of itself."""

import json
from typing import Any

import pytest

from alphapulse_broker.controller.conditions import false, unknown
from alphapulse_broker.controller.references import Reference, unreadable
from tests.unit.broker.controller.objects import (
    KSERVICE,
    World,
    broker,
    conditions,
    found,
    kservice,
    standing,
    trigger,
)

KINDS = {
    "BrokerReady",
    "DeadLetterSinkResolved",
    "DependencyReady",
    "OIDCIdentityCreated",
    "Ready",
    "SubscriberResolved",
    "SubscriptionReady",
}
FUNCTION = Reference("serving.knative.dev/v1", "Service", "n1", "f")


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"exact": {"type": "t"}}
    for _ in range(levels):
        found = {"not": found}
    return found


def world_of(spec: dict[str, Any] | None = None, **extra: Any) -> World:
    return World(triggers=[trigger(spec=spec, **extra)])


def test_13_trigger_in_force_is_ready_with_every_condition_and_its_subscriber() -> None:
    world = world_of()

    plan = world.settle()

    assert set(conditions(world.triggers[0])) == KINDS
    assert {entry["status"] for entry in conditions(world.triggers[0]).values()} == {"True"}
    assert world.triggers[0]["status"]["subscriberUri"] == "http://t.example"
    assert world.triggers[0]["status"]["observedGeneration"] == 1
    assert plan.is_settled


def test_4_trigger_is_not_ready_before_the_table_with_it_is_in_force() -> None:
    world = world_of()

    before = world.plan()
    (change,) = (it for it in before.statuses if it.kind == "Trigger")
    said = {entry["type"]: (entry["status"], entry.get("reason")) for entry in change.patch["conditions"]}
    world.settle()

    assert said["SubscriptionReady"] == ("Unknown", "TableNotInForce")
    assert said["Ready"][0] == "Unknown"
    assert standing(world.triggers[0], "Ready") == ("True", "")


def test_4_changed_trigger_is_not_ready_by_the_table_of_its_former_generation() -> None:
    world = world_of({"filters": [{"exact": {"type": "a"}}]})
    world.settle()
    world.triggers[0]["spec"]["filters"] = [{"exact": {"type": "b"}}]
    world.triggers[0]["metadata"]["generation"] = 2

    (change,) = (it for it in world.plan().statuses if it.kind == "Trigger")
    said = {entry["type"]: entry["status"] for entry in change.patch["conditions"]}
    world.settle()

    assert (change.patch["observedGeneration"], said["Ready"]) == (2, "Unknown")
    assert standing(world.triggers[0], "Ready") == ("True", "")


def test_4_change_of_one_trigger_leaves_the_others_ready() -> None:
    world = World(triggers=[trigger("a"), trigger("b")])
    world.settle()
    world.triggers[0]["spec"]["subscriber"] = {"uri": "http://elsewhere.example"}

    changed = [change.manifest["metadata"]["name"] for change in world.plan().statuses]

    assert changed == ["a"]


@pytest.mark.parametrize("finding", [false("NoReadyPod", "None ready."), unknown("NotRead", "No answer.")])
def test_13_broker_that_is_not_ready_shows_in_its_triggers(finding: Any) -> None:
    world = world_of()
    world.state(dispatcher=finding)

    world.settle()

    assert standing(world.triggers[0], "BrokerReady") == (finding.status, finding.reason)
    assert standing(world.triggers[0], "SubscriptionReady") == ("True", "")
    assert conditions(world.triggers[0])["Ready"]["message"] == f"Broker n1/default: {finding.message}"


def test_13_unreachable_log_makes_the_subscription_unknown() -> None:
    world = world_of()
    world.settle()
    world.state(log_problem="redis did not answer: TimeoutError", table=None, revision=None)

    world.settle()

    assert standing(world.triggers[0], "SubscriptionReady") == ("Unknown", "LogUnavailable")
    assert standing(world.triggers[0], "Ready") == ("False", "LogUnavailable")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"filters": [{"like": {"type": "x"}}]}, "unknown filter dialect 'like'"),
        ({"filters": [{"exact": {"type": ""}}]}, "must not be empty"),
        ({"filters": [{"cesql": "type ="}]}, "cesql"),
        ({"delivery": {"retry": -1}}, "spec.delivery.retry"),
        ({"delivery": {"backoffDelay": "5 minutes"}}, "5 minutes"),
        ({"delivery": {"timeout": "P99999999999W"}}, "too long"),
        ({"filters": [deep(3_000)]}, "nested deeper than 64 levels"),
        ({"filters": "all"}, "spec.filters"),
        ({"delivery": {"backoffPolicy": "random"}}, "spec.delivery.backoffPolicy"),
        ({"fliter": {}}, "spec.fliter"),
    ],
)
def test_13_specification_that_cannot_be_used_is_said_while_others_go_on(
    spec: dict[str, Any], says: str
) -> None:
    world = World(triggers=[trigger("bad", spec=spec), trigger("good")])

    world.settle()

    bad, good = world.triggers
    assert standing(bad, "SubscriptionReady") == ("False", "SpecInvalid")
    assert says in conditions(bad)["Ready"]["message"]
    assert "gets no events" in conditions(bad)["Ready"]["message"]
    assert standing(good, "Ready") == ("True", "")


@pytest.mark.parametrize(
    ("manifest", "expected", "uri"),
    [
        (kservice("f", url="http://f.example"), ("True", ""), "http://f.example/in"),
        (kservice("f"), ("False", "NoAddress"), None),
        (None, ("False", "NotFound"), None),
    ],
)
def test_13_subscriber_is_resolved_or_says_why_not(
    manifest: Any, expected: tuple[str, str], uri: str | None
) -> None:
    world = world_of({"subscriber": {"ref": {**KSERVICE, "name": "f"}, "uri": "/in"}})
    world.referents[FUNCTION] = found(FUNCTION, manifest)

    world.settle()

    assert standing(world.triggers[0], "SubscriberResolved") == expected
    assert world.triggers[0]["status"].get("subscriberUri") == uri


def test_13_subscriber_that_could_not_be_read_is_unknown() -> None:
    world = world_of({"subscriber": {"ref": {**KSERVICE, "name": "f"}}})
    world.referents[FUNCTION] = unreadable(FUNCTION, "403 forbidden")

    world.settle()

    assert standing(world.triggers[0], "SubscriberResolved") == ("Unknown", "ReferenceNotRead")
    assert standing(world.triggers[0], "SubscriptionReady") == ("Unknown", "DestinationNotResolved")
    assert "403 forbidden" in conditions(world.triggers[0])["Ready"]["message"]


@pytest.mark.parametrize(
    ("subscriber", "reason"),
    [
        ({}, "DestinationMissing"),
        ({"uri": "/relative"}, "URIInvalid"),
        ({"uri": "ftp://x"}, "URIInvalid"),
        ({"uri": "http://[x"}, "URIInvalid"),
        ({"uri": "http://x:99999/"}, "URIInvalid"),
        ({"ref": {**KSERVICE, "name": "f"}, "uri": "//[x"}, "URIInvalid"),
        ({"uri": "http://x", "CACerts": "pem"}, "NotSupported"),
        ({"uri": "http://x", "audience": "a"}, "NotSupported"),
        ({"ref": {"kind": "Service", "name": "f"}}, "ReferenceInvalid"),
        ({"ref": {**KSERVICE, "name": "f"}, "uri": "http://x"}, "URIInvalid"),
    ],
)
def test_13_destination_that_makes_no_sense_is_refused_with_the_reason(
    subscriber: dict[str, Any], reason: str
) -> None:
    world = world_of({"subscriber": subscriber})
    world.referents[FUNCTION] = found(FUNCTION, kservice("f", url="http://f"))

    world.settle()

    assert standing(world.triggers[0], "SubscriberResolved") == ("False", reason)
    assert standing(world.triggers[0], "Ready")[0] == "False"


def test_13_references_resolve_by_kind_and_namespace() -> None:
    core = Reference("v1", "Service", "n2", "s")
    mailbox = Reference("sinks.example.com/v1", "Mailbox", "n1", "m")
    world = World(
        triggers=[
            trigger(
                "core",
                spec={
                    "subscriber": {
                        "ref": dict(zip(("apiVersion", "kind", "namespace", "name"), core, strict=True))
                    }
                },
            ),
            trigger(
                "addressable",
                spec={
                    "subscriber": {
                        "ref": {"apiVersion": mailbox[0], "kind": "Mailbox", "name": "m"},
                        "uri": "?box=1",
                    }
                },
            ),
        ]
    )
    world.referents[core] = found(core, {"metadata": {}})
    several = {"status": {"addresses": [{"name": "x"}, {"name": "http", "url": "http://m.example/inbox"}]}}
    world.referents[mailbox] = found(mailbox, several)

    world.settle()

    uris = [it["status"]["subscriberUri"] for it in world.triggers]
    assert uris == ["http://s.n2.svc.cluster.local", "http://m.example/inbox?box=1"]


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        ("True", ("True", "")),
        ("False", ("False", "DependencyNotReady")),
        ("Unknown", ("Unknown", "DependencyNotReady")),
    ],
)
def test_13_dependency_is_as_ready_as_the_object_it_names(ready: str, expected: tuple[str, str]) -> None:
    annotations = {"knative.dev/dependency": json.dumps({**KSERVICE, "name": "f"})}
    world = world_of(annotations=annotations)
    world.referents[FUNCTION] = found(FUNCTION, kservice("f", ready=ready))

    world.settle()

    assert standing(world.triggers[0], "DependencyReady") == expected
    assert standing(world.triggers[0], "SubscriptionReady") == ("True", "")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("{not json", ("False", "DependencyInvalid")),
        ("[" * 100_000, ("False", "DependencyInvalid")),
        ('{"kind": "Service"}', ("False", "DependencyInvalid")),
        (json.dumps({**KSERVICE, "name": "f"}), ("Unknown", "DependencyNotReady")),
    ],
)
def test_13_dependency_that_cannot_be_judged_is_said(annotation: str, expected: tuple[str, str]) -> None:
    world = world_of(annotations={"knative.dev/dependency": annotation})

    world.settle()

    assert standing(world.triggers[0], "DependencyReady") == expected


def test_13_own_dead_letter_sink_wins_over_the_brokers_and_each_shows_its_uri() -> None:
    sinks = [{"deadLetterSink": {"uri": f"http://{name}-dls.example"}} for name in ("broker", "own")]
    world = World(
        brokers=[broker(delivery=sinks[0])],
        triggers=[trigger("inherits"), trigger("own", spec={"delivery": sinks[1]})],
    )

    world.settle()

    uris = [it["status"]["deadLetterSinkUri"] for it in world.triggers]
    assert uris == ["http://broker-dls.example", "http://own-dls.example"]


def test_13_unresolved_dead_letter_sink_of_the_broker_shows_in_the_triggers_that_inherit_it() -> None:
    gone = {"deadLetterSink": {"ref": {**KSERVICE, "name": "f"}}}
    own = {"deadLetterSink": {"uri": "http://own.example"}}
    world = World(
        brokers=[broker(delivery=gone)],
        triggers=[trigger("inherits"), trigger("own", spec={"delivery": own})],
    )
    world.referents[FUNCTION] = found(FUNCTION, None)

    world.settle()

    inherits, own_sink = world.triggers
    assert standing(inherits, "DeadLetterSinkResolved") == ("False", "NotFound")
    assert standing(own_sink, "DeadLetterSinkResolved") == ("True", "")
    assert standing(own_sink, "SubscriptionReady") == ("True", "")


def test_13_identity_is_true_since_none_is_used() -> None:
    world = world_of()

    world.settle()

    assert standing(world.triggers[0], "OIDCIdentityCreated") == ("True", "OIDCNotUsed")


def test_13_trigger_of_a_vanished_broker_says_so_when_it_was_ours() -> None:
    world = World(brokers=[], triggers=[trigger("ours"), trigger("never-ours", finalizers=[])])

    plan = world.settle()

    assert [change.manifest["metadata"]["name"] for change in plan.statuses] == ["ours"]
    assert standing(world.triggers[0], "BrokerReady") == ("False", "BrokerDoesNotExist")
