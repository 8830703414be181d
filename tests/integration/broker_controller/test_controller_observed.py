"""What an operator sees of the controller, and what it asks of the API server."""

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.broker_controller.cluster import role_rules
from tests.integration.broker_controller.cluster_rig import NAMESPACE, ClusterRig, broker, trigger

BROKER = f"{NAMESPACE}/default"
REFERENCES = {
    "core": {"apiVersion": "v1", "kind": "Service", "name": "c"},
    "knative": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "k"},
}


async def metrics(rig: ClusterRig) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the series of the controller: name, then values of the labels in their order."""
    status, text = await rig.get(rig.controller_port, "/metrics")
    assert status == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix("redisbroker_controller_")
            found.setdefault(name, {})[tuple(sample.labels[it] for it in sorted(sample.labels))] = (
                sample.value
            )
    return found


async def test_16_controller_counts_its_turns_what_fails_and_how_the_objects_stand(rig: ClusterRig) -> None:
    await rig.cluster.apply(trigger("good", to=rig.sink("good"), types="t"))
    await rig.until_trigger_ready("good")
    before = await metrics(rig)
    await rig.cluster.apply(trigger("bad", to=rig.sink("bad"), filters=[{"like": {"type": "t"}}]))
    await rig.cluster.apply(trigger("good", to=rig.sink("good"), types="u"))
    await rig.until_trigger_ready("good")

    async def counted() -> bool:
        return (await metrics(rig))["objects"] == {
            (BROKER, "Broker", "True"): 1,
            (BROKER, "Trigger", "True"): 1,
            (BROKER, "Trigger", "False"): 1,
        }

    await rig.until(counted)
    after = await metrics(rig)
    rig.redis.kill()

    async def shows_no_log() -> bool:
        return (await metrics(rig))["log_up"] == {(BROKER,): 0}

    await rig.until(shows_no_log)
    without = await metrics(rig)

    assert after["table_generation"][(BROKER,)] == before["table_generation"][(BROKER,)] + 1
    assert after["log_up"] == {(BROKER,): 1}
    assert after["turn_seconds_count"][()] == sum(after["turns_total"].values()) > 0
    assert after["last_turn_timestamp_seconds"][()] >= before["last_turn_timestamp_seconds"][()] > 0
    assert "table_generation" not in without

    await rig.cluster.stop()

    async def fails() -> bool:
        return ("failed",) in (await metrics(rig))["turns_total"]

    await rig.until(fails)
    await rig.cluster.start()


async def test_16_status_shows_the_controller_of_each_broker_until_the_broker_is_gone(
    rig: ClusterRig,
) -> None:
    await rig.cluster.apply(broker("second"))
    await rig.cluster.apply(trigger("work", to=rig.sink("work")))
    await rig.until_trigger_ready("work")

    def controllers(name: str) -> list[tuple[bool, bool]]:
        rig.settings["BROKER_NAME"] = name
        status = rig.run("status", "--json")
        return [
            (it["alive"], it["revision"] == status["revision"])
            for it in status["processes"]
            if it["role"] == "controller"
        ]

    await rig.until(lambda: controllers("default") == [(True, True)])
    await rig.until(lambda: controllers("second") == [(True, True)])
    await rig.cluster.delete("Broker", NAMESPACE, "second")
    await rig.until_gone("second", kind="Broker")
    gone = controllers("second")
    rig.kill("controller")
    await rig.until(lambda: controllers("default") == [(False, True)])

    assert gone == []


async def test_13_controller_uses_every_right_of_its_role_and_is_refused_nothing(rig: ClusterRig) -> None:
    await rig.cluster.apply(
        rig.service("k", url=rig.sink("k")["uri"]),
        trigger("core", to={"ref": REFERENCES["core"]}),
        trigger("knative", to={"ref": REFERENCES["knative"]}),
    )
    await rig.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "c", "namespace": NAMESPACE},
            "spec": {},
        }
    )
    await rig.until_trigger_ready("core", "knative")
    await rig.delete_trigger("core")
    await rig.until_gone("core")
    # Another deletion than that of its Broker: the right to write statuses is one of its own.
    await rig.cluster.delete("Broker", NAMESPACE, "default")
    await rig.until_gone("default", kind="Broker")

    assert role_rules() <= rig.cluster.used
    assert "cannot" not in rig.log("controller").read_text()
