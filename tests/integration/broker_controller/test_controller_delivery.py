"""A broker in a cluster: what people write in objects is what ingress and dispatcher do."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from redis import Redis

from alphapulse_broker.keys import Keys
from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import Delivery, answers
from tests.integration.broker_controller.cluster_rig import NAMESPACE, ClusterRig, broker, pods, trigger

KSERVICE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}


async def test_13_trigger_object_makes_the_data_plane_deliver(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("orders", to=rig.sink("orders"), types="order"))
    await rig.until_trigger_ready("orders")

    accepted = await rig.send("e1", event_type="order")
    await rig.send("e2", event_type="other")
    await rig.until_delivered("orders", "e1")

    assert accepted.status == 202
    assert rig.sinks.ids("orders") == ["e1"]
    await rig.until(lambda: rig.cluster.is_ready("Broker", NAMESPACE, "default"))
    status = (rig.cluster.get("Broker", NAMESPACE, "default") or {})["status"]
    assert status["address"]["url"] == (
        "http://default-broker-ingress.alphapulse.svc.cluster.local/alphapulse/default"
    )
    status = (rig.cluster.get("Trigger", NAMESPACE, "orders") or {})["status"]
    assert status["subscriberUri"] == rig.sink("orders")["uri"]


async def test_4_event_sent_once_a_changed_trigger_is_ready_meets_the_change(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("orders", to=rig.sink("orders"), types="t0"))
    await rig.until_trigger_ready("orders")

    for n in range(1, 6):
        await rig.cluster.apply(trigger("orders", to=rig.sink("orders"), types=f"t{n}"))
        await rig.until_trigger_ready("orders")
        await rig.send(f"new-{n}", event_type=f"t{n}")
        await rig.send(f"old-{n}", event_type=f"t{n - 1}")

    await rig.until_delivered("orders", *(f"new-{n}" for n in range(1, 6)))
    await rig.until_empty("orders")
    assert sorted(rig.sinks.ids("orders")) == [f"new-{n}" for n in range(1, 6)]


async def test_13_bad_filter_is_said_and_the_last_good_one_stays_while_others_go_on(rig: ClusterRig) -> None:
    good, other = trigger("a", to=rig.sink("a"), types="t"), trigger("b", to=rig.sink("b"), types="t")
    await rig.cluster.apply(good, other)
    await rig.until_trigger_ready("a", "b")

    await rig.cluster.apply(trigger("a", to=rig.sink("a"), filters=[{"like": {"type": "t"}}]))
    await rig.cluster.apply(trigger("never-good", to=rig.sink("c"), filters=[{"exact": {}}]))
    await rig.until(lambda: rig.reason("a") == ("False", "SpecInvalid"))
    await rig.until(lambda: rig.reason("never-good") == ("False", "SpecInvalid"))
    await rig.send("e1")
    await rig.until_delivered("a", "e1")
    await rig.until_delivered("b", "e1")

    assert rig.cluster.is_ready("Trigger", NAMESPACE, "b")
    message = rig.cluster.conditions("Trigger", NAMESPACE, "a")["Ready"]["message"]
    assert "unknown filter dialect 'like'" in message
    assert "last usable specification" in message
    assert rig.sinks.ids("c") == []


@pytest.fixture
def deep_json() -> Iterator[None]:
    """Let this process, in which the API server runs, write objects as deep as Kubernetes takes them."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(usual + 20_000)
    yield
    sys.setrecursionlimit(usual)


@pytest.mark.usefixtures("deep_json")
async def test_13_object_as_deep_as_kubernetes_takes_it_stops_nothing_but_itself(rig: ClusterRig) -> None:
    deep: dict[str, Any] = {"exact": {"type": "t"}}
    for _ in range(9_000):
        deep = {"not": deep}
    await rig.cluster.apply(trigger("deep", to=rig.sink("deep"), filters=[deep]))
    await rig.cluster.apply(trigger("good", to=rig.sink("good"), types="t"))
    await rig.until_trigger_ready("good")
    await rig.until(lambda: rig.reason("deep") == ("False", "SpecInvalid"))
    # Watches, which carry the object too, still tell of what happens next.
    await rig.cluster.apply(trigger("good", to=rig.sink("good"), types="u"))
    await rig.until_trigger_ready("good")

    assert "64 levels" in rig.cluster.conditions("Trigger", NAMESPACE, "deep")["Ready"]["message"]
    assert "Traceback" not in rig.log("controller").read_text()


async def test_13_trigger_waits_for_its_knative_service_and_follows_its_address(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("late", to={"ref": {**KSERVICE, "name": "f"}, "uri": "/in"}, types="t"))
    await rig.until(lambda: rig.reason("late", "SubscriberResolved") == ("False", "NotFound"))

    base = f"http://127.0.0.1:{rig.sinks.port}"
    await rig.cluster.apply(rig.service("f", url=base))
    await rig.until_trigger_ready("late")
    await rig.send("e1")
    await rig.until_delivered("in", "e1")
    await rig.cluster.apply(rig.service("f", url=f"http://localhost:{rig.sinks.port}"))

    def moved() -> bool:
        found: dict[str, Any] = rig.cluster.get("Trigger", NAMESPACE, "late") or {}
        return bool(found["status"]["subscriberUri"].startswith("http://localhost:"))

    await rig.until(moved)


async def test_13_subscriber_may_be_anything_addressable_and_one_that_may_not_be_read_is_said(
    rig: ClusterRig,
) -> None:
    ref = {"apiVersion": "sinks.example.com/v1", "kind": "Mailbox", "name": "m"}
    secret = {"apiVersion": "v1", "kind": "Event", "name": "e"}
    await rig.cluster.apply(
        {
            "apiVersion": ref["apiVersion"],
            "kind": "Mailbox",
            "metadata": {"name": "m", "namespace": NAMESPACE},
            "status": {"addresses": [{"name": "http", "url": rig.sink("mail")["uri"]}]},
        },
        trigger("mail", to={"ref": ref}),
        trigger("forbidden", to={"ref": secret}),
        trigger("unheard-of", to={"ref": {**ref, "kind": "Pigeon"}}),
    )
    await rig.until_trigger_ready("mail")
    await rig.until(lambda: rig.reason("forbidden") == ("Unknown", "ReferenceNotRead"))
    await rig.until(lambda: rig.reason("unheard-of") == ("False", "NotFound"))
    await rig.send("e1")
    await rig.until_delivered("mail", "e1")

    message = rig.cluster.conditions("Trigger", NAMESPACE, "forbidden")["Ready"]["message"]
    assert "403" in message


async def test_13_objects_of_other_classes_are_left_alone_entirely(rig: ClusterRig) -> None:
    foreign = {"eventing.knative.dev/broker.class": "Kafka"}
    await rig.cluster.apply(broker("kafka", annotations=foreign))
    await rig.cluster.apply(trigger("theirs", to=rig.sink("x"), broker="kafka"))
    await rig.cluster.apply(trigger("nobodys", to=rig.sink("x"), broker="missing"))
    await rig.cluster.apply(trigger("ours", to=rig.sink("ours")))
    await rig.until_trigger_ready("ours")

    touched = {path.removesuffix("/status").rpartition("/")[2] for path, _ in rig.cluster.patches}
    assert touched == {"default", "ours"}
    written = {part for _, change in rig.cluster.patches for part in change}
    assert written == {"metadata", "status"}


async def test_13_deleted_trigger_gets_nothing_new_and_delivers_what_it_has(rig: ClusterRig) -> None:
    gate = asyncio.Event()

    async def waits(_: Delivery) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    rig.sinks.behaviours["slow"] = waits
    await rig.cluster.apply(trigger("slow", to=rig.sink("slow")), trigger("stays", to=rig.sink("stays")))
    await rig.until_trigger_ready("slow", "stays")
    await rig.send("before")
    await rig.until_delivered("slow", "before")

    await rig.delete_trigger("slow")
    await rig.until(lambda: rig.reason("slow", "SubscriptionReady") == ("False", "Draining"))
    await rig.send("after")
    await rig.until_delivered("stays", "after")
    assert "stream:slow" in rig.stored()
    gate.set()
    await rig.until_gone("slow")

    assert rig.sinks.ids("slow") == ["before"]
    assert {key for key in rig.stored() if key.endswith(":slow")} == set()
    assert "not_written" not in rig.log("controller").read_text()
    await rig.send("later")
    await rig.until_delivered("stays", "later")


async def test_13_what_a_deleted_trigger_cannot_deliver_in_time_is_parked(rig: ClusterRig) -> None:
    rig.sinks.behaviours["dead"] = answers(503)
    delivery = {"retry": 1000, "backoffDelay": "PT0.3S", "backoffPolicy": "linear"}
    wanted = trigger("dead", to=rig.sink("dead"), delivery=delivery)
    wanted["metadata"]["annotations"] = {"redisbroker.alphapulse.com/drain-deadline": "PT2S"}
    await rig.cluster.apply(wanted)
    await rig.until_trigger_ready("dead")
    for n in range(20):
        await rig.send(f"e{n}")
    await rig.until_delivered("dead", *(f"e{n}" for n in range(20)))

    await rig.delete_trigger("dead")
    await rig.until_gone("dead")

    assert {key for key in rig.stored() if key.endswith(":dead")} == {"parked:dead"}
    parked = rig.run("dead-letters", "--trigger", "dead", "--json")
    entries = parked["entries"]
    assert sorted(entry["event_id"] for entry in entries) == sorted(f"e{n}" for n in range(20))
    assert {entry["reason"] for entry in entries} == {"trigger_removed"}


async def test_13_deleted_broker_drains_its_triggers_and_leaves_no_key(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("a", to=rig.sink("a")), trigger("b", to=rig.sink("b")))
    await rig.until_trigger_ready("a", "b")
    await rig.send("e1")

    await rig.cluster.delete("Broker", NAMESPACE, "default")
    await rig.until_gone("default", kind="Broker")

    assert rig.sinks.ids("a") == rig.sinks.ids("b") == ["e1"]
    assert rig.stored() == {"table"}  # empty, and about to expire
    await rig.until(lambda: rig.reason("a") == ("False", "BrokerDoesNotExist"))
    await rig.delete_trigger("a")
    await rig.until_gone("a")

    await rig.cluster.apply(broker())
    await rig.until_trigger_ready("b")
    await rig.send("e2")
    await rig.until_delivered("b", "e2")


async def test_13_deleted_broker_is_an_unknown_broker_to_senders_until_it_is_made_again(
    rig: ClusterRig,
) -> None:
    gate = asyncio.Event()

    async def waits(_: Delivery) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    rig.sinks.behaviours["slow"] = waits
    await rig.cluster.apply(trigger("slow", to=rig.sink("slow")))
    await rig.until_trigger_ready("slow")
    await rig.send("before")
    await rig.until_delivered("slow", "before")

    await rig.cluster.delete("Broker", NAMESPACE, "default")
    await rig.until(lambda: rig.reason("default", "Addressable", kind="Broker") == ("False", "BeingDeleted"))
    draining = await rig.send("draining")
    gate.set()
    await rig.until_gone("default", kind="Broker")
    gone = await rig.send("gone")
    with Redis.from_url(rig.redis.url) as client:
        client.delete(Keys(NAMESPACE, "default").table)  # as it expires after a while
    expired = await rig.send("expired")
    await rig.cluster.apply(broker())
    await rig.until_trigger_ready("slow")
    again = await rig.send("again")
    await rig.until_delivered("slow", "again")

    assert [answer.status for answer in (draining, gone, expired, again)] == [404, 404, 404, 202]
    assert rig.sinks.ids("slow") == ["before", "again"]


async def test_13_controller_killed_and_restarted_resumes_where_the_objects_are(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("kept", to=rig.sink("kept")), trigger("gone", to=rig.sink("gone")))
    await rig.until_trigger_ready("kept", "gone")
    rig.kill("controller")

    await rig.send("meanwhile")
    await rig.until_delivered("kept", "meanwhile")
    await rig.delete_trigger("gone")
    await rig.cluster.apply(trigger("new", to=rig.sink("new"), types="n"))
    patches = len(rig.cluster.patches)
    rig.launch_controller()
    await rig.until_trigger_ready("new")
    await rig.until_gone("gone")
    await rig.send("n1", event_type="n")
    await rig.until_delivered("new", "n1")

    about_kept = [
        change
        for path, change in rig.cluster.patches[patches:]
        if path.removesuffix("/status").endswith("kept")
    ]
    assert about_kept == []


async def test_13_controller_survives_lost_watches_and_an_absent_api_server(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("a", to=rig.sink("a"), types="one"))
    await rig.until_trigger_ready("a")

    await rig.cluster.forget_history()
    await rig.cluster.apply(trigger("a", to=rig.sink("a"), types="two"))
    await rig.until_trigger_ready("a")
    await rig.cluster.stop()
    await rig.send("e1", event_type="two")
    await rig.until_delivered("a", "e1")
    await rig.cluster.start()
    await rig.cluster.apply(trigger("a", to=rig.sink("a"), types="three"))
    await rig.until_trigger_ready("a")
    await rig.send("e2", event_type="three")
    await rig.until_delivered("a", "e2")


async def test_13_conditions_follow_the_pods_and_redis(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("a", to=rig.sink("a")))
    await rig.until_trigger_ready("a")
    since = rig.cluster.conditions("Broker", NAMESPACE, "default")["Addressable"]["lastTransitionTime"]

    await rig.cluster.apply(pods("default-broker-dispatcher", ready=False))
    await rig.until(lambda: rig.reason("default", "FilterReady", kind="Broker") == ("False", "NoReadyPod"))
    await rig.until(lambda: rig.reason("a", "BrokerReady") == ("False", "NoReadyPod"))
    await rig.cluster.apply(pods("default-broker-dispatcher"))
    await rig.until_trigger_ready("a")
    rig.redis.kill()
    await rig.until(lambda: rig.reason("default", kind="Broker") == ("False", "LogUnavailable"))
    await rig.until(lambda: rig.reason("a", "SubscriptionReady") == ("Unknown", "LogUnavailable"))
    rig.redis.start()
    await rig.until_trigger_ready("a")

    assert rig.reason("default", kind="Broker") == ("True", "")
    found = rig.cluster.conditions("Broker", NAMESPACE, "default")["Addressable"]
    assert found["lastTransitionTime"] == since


async def test_15_controller_ends_on_sigterm_with_status_0(rig: ClusterRig) -> None:
    process: subprocess.Popen[bytes] = rig.processes["controller"]

    await asyncio.to_thread(stop, process, how=signal.SIGTERM)

    assert process.returncode == 0
    log = rig.log("controller").read_text()
    assert "stopped" in log
    assert "Traceback" not in log
