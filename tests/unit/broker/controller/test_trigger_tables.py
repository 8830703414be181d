"""Checklist 4 and 13: which table the objects ask for, and how objects come and go."""

from datetime import timedelta
from typing import Any

from alphapulse_broker.controller.manifests import DRAIN_ANNOTATION, FINALIZER, Key
from alphapulse_broker.controller.references import Reference, references
from alphapulse_broker.triggers import TriggerTable
from tests.unit.broker.controller.objects import (
    KSERVICE,
    NOW,
    World,
    broker,
    conditions,
    found,
    kservice,
    names,
    standing,
    trigger,
)

DEFAULT = Key("n1", "default")
JUST_NOW: dict[str, Any] = {"deletionTimestamp": NOW.isoformat()}
EVENT = {"type": "a", "source": "/s", "id": "1"}


def table_of(world: World) -> TriggerTable:
    table = world.states[DEFAULT].table
    assert table is not None
    return table


def test_13_brokers_in_two_namespaces_get_each_their_own_triggers() -> None:
    world = World(
        brokers=[broker(), broker("second"), broker(namespace="n2")],
        triggers=[
            trigger("a"),
            trigger("b", spec={"broker": "second"}),
            trigger("a", "n2", spec={"subscriber": {"uri": "http://other.example"}}),
            trigger("stray", "n3", finalizers=[]),
        ],
    )

    tables = world.plan().tables
    world.settle()

    assert names(tables) == {"n1/default": ["a"], "n1/second": ["b"], "n2/default": ["a"]}
    assert tables[Key("n2", "default")].by_name["a"].spec.subscriber.uri == "http://other.example"
    assert [standing(it, "Ready")[0] for it in world.triggers[:3]] == ["True"] * 3
    assert "status" not in world.triggers[3]


def test_13_broker_without_triggers_gets_an_empty_table_so_that_its_ingress_can_start() -> None:
    assert names(World().plan().tables) == {"n1/default": []}


def test_10_entry_has_the_brokers_delivery_where_the_trigger_says_nothing() -> None:
    default = {"retry": 5, "backoffDelay": "PT1S", "deadLetterSink": {"uri": "http://dls.example"}}
    world = World(brokers=[broker(delivery=default)], triggers=[trigger(spec={"delivery": {"retry": 0}})])

    entry = world.plan().tables[DEFAULT].by_name["t"]

    assert (entry.spec.delivery.retry, entry.spec.delivery.backoffDelay) == (0, "PT1S")
    assert entry.spec.delivery.deadLetterSink is not None
    assert entry.spec.delivery.deadLetterSink.uri == "http://dls.example"


def test_4_table_is_published_once_and_again_only_for_a_change() -> None:
    world = World(triggers=[trigger()])
    world.settle()

    again = world.plan().tables
    world.triggers[0]["spec"]["filters"] = [{"exact": {"type": "x"}}]

    assert again == {}
    assert names(world.plan().tables) == {"n1/default": ["t"]}


def test_13_entry_in_force_stays_while_the_new_specification_cannot_be_used() -> None:
    world = World(triggers=[trigger(spec={"filters": [{"exact": {"type": "a"}}]})])
    world.settle()
    before = table_of(world).revision
    world.triggers[0]["spec"]["filters"] = [{"regex": {}}]

    world.settle()

    assert table_of(world).revision == before
    assert table_of(world).matching(EVENT) == ["t"]
    assert "last usable specification" in conditions(world.triggers[0])["Ready"]["message"]


def test_13_entry_in_force_stays_while_the_subscriber_is_gone() -> None:
    function = Reference("serving.knative.dev/v1", "Service", "n1", "f")
    world = World(triggers=[trigger(spec={"subscriber": {"ref": {**KSERVICE, "name": "f"}}})])
    world.referents[function] = found(function, kservice("f", url="http://f.example"))
    world.settle()

    world.referents[function] = found(function, None)
    world.settle()

    assert table_of(world).by_name["t"].spec.subscriber.uri == "http://f.example"
    assert standing(world.triggers[0], "Ready") == ("False", "NotFound")


def test_13_broken_delivery_of_the_broker_keeps_every_entry_in_force() -> None:
    world = World(triggers=[trigger()])
    world.settle()
    before = table_of(world).revision
    world.brokers[0]["spec"]["delivery"] = {"retry": "many"}

    world.settle()

    assert table_of(world).revision == before
    assert standing(world.triggers[0], "SubscriptionReady") == ("False", "BrokerDeliveryInvalid")


def test_13_object_without_the_finalizer_is_claimed_before_a_table_names_it() -> None:
    world = World(brokers=[broker(finalizers=[])], triggers=[trigger(finalizers=["another/one"])])

    plan = world.plan()

    assert [(kind, it["metadata"]["name"]) for kind, it in plan.claims] == [
        ("Broker", "default"),
        ("Trigger", "t"),
    ]
    assert names(plan.tables) == {"n1/default": []}


def test_13_unclaimed_trigger_is_not_ready_although_the_table_is_in_force() -> None:
    world = World(triggers=[trigger(finalizers=[])])

    world.settle()

    assert standing(world.triggers[0], "SubscriptionReady") == ("Unknown", "NotClaimed")


def test_13_other_classes_are_in_no_part_of_the_plan() -> None:
    foreign = broker(broker_class="Kafka", finalizers=["kafka/x"])
    classless: dict[str, Any] = broker("none", finalizers=[])
    classless["metadata"]["annotations"] = {}
    world = World(
        brokers=[foreign, classless],
        triggers=[
            trigger(finalizers=["kafka/x"]),
            trigger("u", finalizers=[], spec={"broker": "none"}),
            trigger("missing", finalizers=[], spec={"broker": "missing"}),
            trigger("going", finalizers=["kafka/x"], **JUST_NOW),
        ],
    )

    plan = world.plan()

    assert (plan.claims, plan.tables, plan.statuses) == ([], {}, [])
    assert (plan.removals, plan.closures, plan.releases) == ([], [], [])


def test_13_deleted_trigger_gets_nothing_new_and_keeps_its_subscriber() -> None:
    world = World(triggers=[trigger("a"), trigger("b")])
    world.settle()
    world.triggers[0]["metadata"] |= JUST_NOW
    world.state(remaining={"a": 3})

    plan = world.settle()

    assert table_of(world).names == ("a", "b")
    assert table_of(world).matching(EVENT) == ["b"]
    assert table_of(world).by_name["a"].spec.subscriber.uri == "http://a.example"
    assert standing(world.triggers[0], "SubscriptionReady") == ("False", "Draining")
    assert plan.removals == []
    assert not plan.is_settled


def test_13_emptiness_counts_only_once_no_new_event_can_come() -> None:
    world = World(triggers=[trigger("a")])
    world.settle()
    world.triggers[0]["metadata"] |= JUST_NOW
    world.state(remaining={"a": 0})

    first = world.plan()
    world.in_force(DEFAULT, first.tables[DEFAULT])
    second = world.plan()
    world.in_force(DEFAULT, second.tables[DEFAULT])
    third = world.plan()

    assert names(first.tables) == {"n1/default": ["a"]}
    assert names(second.tables) == {"n1/default": []}
    assert (first.removals, second.removals) == ([], [])
    assert [(it.broker, it.trigger) for it in third.removals] == [(DEFAULT, "a")]
    assert third.removals[0].releases is not None


def test_13_deadline_ends_a_drain_by_annotation_or_setting() -> None:
    hurried = trigger("hurried", annotations={DRAIN_ANNOTATION: "PT30S"})
    world = World(
        triggers=[
            hurried,
            trigger("patient", annotations={DRAIN_ANNOTATION: "soon"}),
            trigger("eternal", annotations={DRAIN_ANNOTATION: "P9000000D"}),
        ]
    )
    world.settle()
    for it in world.triggers:
        it["metadata"] |= JUST_NOW
    world.state(remaining={"hurried": 9, "patient": 9, "eternal": 9})

    world.now = NOW + timedelta(seconds=31)
    world.settle()
    after_half_a_minute = table_of(world).names
    world.now = NOW + timedelta(seconds=601)
    plan = world.settle()

    assert after_half_a_minute == ("eternal", "patient")
    assert table_of(world).names == ()
    assert sorted(it.trigger for it in plan.removals) == ["eternal", "hurried", "patient"]


def test_13_trigger_that_never_worked_is_removed_at_once() -> None:
    world = World(triggers=[trigger(spec={"filters": [{"no": 1}]}, **JUST_NOW)])
    world.settle()

    assert [it.trigger for it in world.plan().removals] == ["t"]


def test_13_nothing_is_removed_while_redis_does_not_answer() -> None:
    world = World(triggers=[trigger(**JUST_NOW)])
    world.state(log_problem="redis did not answer: TimeoutError")

    assert world.plan().removals == []


def test_13_deleted_broker_drains_every_trigger_then_goes_and_its_triggers_stay() -> None:
    world = World(triggers=[trigger("a"), trigger("b")])
    world.settle()
    world.brokers[0]["metadata"] |= JUST_NOW
    world.state(remaining={"a": 0, "b": 2})

    open_before = not table_of(world).closed
    draining = world.settle()
    left = table_of(world).names
    closed_while_draining = table_of(world).closed
    world.state(remaining={"a": 0, "b": 0})
    gone = world.settle()

    assert (left, draining.closures) == (("b",), [])
    assert open_before
    assert closed_while_draining
    assert table_of(world).closed
    assert standing(world.brokers[0], "Addressable") == ("False", "BeingDeleted")
    assert "address" not in world.brokers[0]["status"]
    assert sorted((it.trigger, it.releases) for it in gone.removals) == [("a", None), ("b", None)]
    assert [it["metadata"]["name"] for it in gone.closures] == ["default"]
    assert standing(world.triggers[0], "BrokerReady")[0] == "False"


def test_13_closing_a_broker_again_after_a_crash_does_no_harm() -> None:
    world = World(brokers=[broker(**JUST_NOW)])

    plan = world.plan()

    assert plan.tables == {}
    assert [it["metadata"]["name"] for it in plan.closures] == ["default"]


def test_13_deleted_objects_that_were_ours_are_let_go_whatever_became_of_the_class() -> None:
    other = broker(broker_class="Kafka", **JUST_NOW)
    world = World(brokers=[other], triggers=[trigger(**JUST_NOW), trigger("orphan", "n9", **JUST_NOW)])

    plan = world.plan()

    assert [(kind, it["metadata"]["finalizers"]) for kind, it in plan.releases] == [("Broker", [FINALIZER])]
    assert [(str(it.broker), it.trigger) for it in plan.removals] == [
        ("n1/default", "t"),
        ("n9/default", "orphan"),
    ]
    assert plan.statuses == []


def test_13_references_are_those_of_subscribers_sinks_and_dependencies() -> None:
    ref = {**KSERVICE, "name": "f"}
    wanted = references(
        [broker(delivery={"deadLetterSink": {"ref": {**ref, "name": "dls", "namespace": "n2"}}})],
        [
            trigger(
                spec={
                    "subscriber": {"ref": ref},
                    "delivery": {"deadLetterSink": {"ref": {**ref, "name": "own"}}},
                },
                annotations={"knative.dev/dependency": '{"apiVersion":"v1","kind":"Pod","name":"p"}'},
            ),
            trigger("direct"),
        ],
    )

    assert {(it.kind, it.namespace, it.name) for it in wanted} == {
        ("Service", "n2", "dls"),
        ("Service", "n1", "f"),
        ("Service", "n1", "own"),
        ("Pod", "n1", "p"),
    }
