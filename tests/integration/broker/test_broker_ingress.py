"""What the ingress accepts, what it refuses and with which answer."""

import asyncio
import json

import pytest

from tests.integration.broker.rig import PATH, Rig, answers, trigger


async def test_1_paths_and_methods_get_the_answers_knative_gives(rig: Rig) -> None:
    await rig.start(trigger("echo"))

    async def status(method: str, path: str) -> int:
        return (await rig.request(method, path)).status

    assert await status("POST", "/") == 404
    assert await status("POST", "/alphapulse/other") == 404
    assert await status("POST", "/other/default") == 404
    assert await status("POST", "/alphapulse") == 400
    assert await status("POST", "/a/b/c") == 400
    assert await status("OPTIONS", PATH) == 200
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        refused = await rig.request(method, PATH)
        assert refused.status == 405
        assert refused.headers["Allow"] == "POST, OPTIONS"


async def test_2_structured_event_arrives_in_binary_mode_with_the_same_data(rig: Rig) -> None:
    await rig.start(trigger("echo"))
    data = '{"price": 0.10000000000000000001, "big": 123456789012345678901234567890}'
    document = (
        '{"specversion":"1.0","id":"s1","source":"/test","type":"t","tenantid":"caf\\u00e9 1","count":7,'
        f'"live":true,"data": {data} }}'
    )
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}

    answer = await rig.post(headers=headers, data=document.encode())
    await rig.until_delivered("echo", "s1")

    assert answer.status == 202
    (delivery,) = rig.sinks.of("echo")
    assert delivery.body.decode() == data
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["ce-tenantid"] == "caf%C3%A9%201"
    assert delivery.headers["ce-count"] == "7"
    assert delivery.headers["ce-live"] == "true"


async def test_2_version_0_3_is_kept(rig: Rig) -> None:
    await rig.start(trigger("echo"))
    headers = {"ce-specversion": "0.3", "ce-id": "old", "ce-source": "/test", "ce-type": "t"}

    answer = await rig.post(headers=headers, data=b"x")
    await rig.until_delivered("echo", "old")

    assert answer.status == 202
    assert rig.sinks.of("echo")[0].headers["ce-specversion"] == "0.3"


VALID = {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "/test", "ce-type": "t"}


async def test_2_messages_that_are_no_event_are_refused(rig: Rig) -> None:
    await rig.start(trigger("echo"))
    structured = "application/cloudevents+json"
    batch = "application/cloudevents-batch+json"
    cases = [
        ({}, b"plain"),
        ({**VALID, "ce-specversion": "2.0"}, b""),
        ({name: value for name, value in VALID.items() if name != "ce-source"}, b""),
        ({**VALID, "ce-id": ""}, b""),
        ({**VALID, "ce-bad_name": "x"}, b""),
        ({"content-type": structured}, b"{"),
        ({"content-type": structured}, b"[]"),
        ({"content-type": structured}, b'{"specversion":"1.0","id":"a","source":"s"}'),
        ({"content-type": structured}, b'{"specversion":"1.0","id":"a","source":"s","type":{"a":1}}'),
        ({"content-type": batch}, json.dumps([]).encode()),
        ({**VALID, "ce-knativebrokerttl": "1"}, b""),
        ({**VALID, "ce-knativebrokerttl": "0"}, b""),
        ({**VALID, "ce-knativebrokerttl": "many"}, b""),
    ]

    statuses = [(await rig.post(headers=headers, data=body)).status for headers, body in cases]

    assert statuses == [400] * len(cases)
    assert rig.sinks.deliveries == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_3_body_beyond_the_bound_is_refused(rig: Rig, *, chunked: bool) -> None:
    await rig.start(trigger("echo"))

    async def chunks() -> object:
        for _ in range(5):
            yield b"x" * 6_000

    too_long = await rig.post(headers=VALID, data=chunks() if chunked else b"x" * 20_001)
    fits = await rig.post(headers=VALID, data=b"x" * 20_000)

    assert too_long.status == 413
    assert fits.status == 202


async def test_3_full_stream_refuses_the_event_for_every_trigger(own_rig: Rig) -> None:
    own_rig.settings["BROKER_MAX_STREAM_LENGTH"] = "5"
    await own_rig.start(
        trigger("dead", types="t", delivery={"retry": 100, "backoffDelay": "PT60S"}),
        trigger("works", types="t"),
    )
    own_rig.sinks.behaviours["dead"] = answers(503)

    statuses = []
    for n in range(8):
        answer = await own_rig.send(f"e{n}")
        statuses.append(answer.status)
    await own_rig.until_empty("works")

    assert statuses == [202] * 5 + [429] * 3
    assert answer.headers["Retry-After"] == "1"
    assert sorted(own_rig.sinks.ids("works")) == [f"e{n}" for n in range(5)]


async def test_5_duplicate_within_the_window_is_accepted_and_delivered_once(own_rig: Rig) -> None:
    own_rig.settings["BROKER_DEDUPE_SECONDS"] = "60"
    await own_rig.start(trigger("echo"))

    statuses = [(await own_rig.send(event_id)).status for event_id in ("a", "a", "b")]
    await own_rig.until_delivered("echo", "a", "b")
    await own_rig.until_empty("echo")

    assert statuses == [202, 202, 202]
    assert sorted(own_rig.sinks.ids("echo")) == ["a", "b"]


async def test_4_trigger_added_while_running_gets_the_events_that_follow(rig: Rig) -> None:
    await rig.start(trigger("old", types="t"))
    await rig.send("before")
    await rig.until_delivered("old", "before")

    await rig.change(trigger("old", types="t"), trigger("new", types="t"))
    await rig.send("after")
    await rig.until_delivered("old", "after")
    await rig.until_delivered("new", "after")

    assert rig.sinks.ids("new") == ["after"]


async def test_4_ingress_that_has_not_seen_a_new_table_uses_it_nevertheless(own_rig: Rig) -> None:
    # The ingress never looks at files by itself here; the dispatcher publishes the change.
    await own_rig.start(trigger("old", types="t"))
    own_rig.kill("ingress")
    own_rig.launch("ingress", BROKER_TABLE_POLL_SECONDS="3600")
    await own_rig.until_ready(own_rig.ingress_port)

    own_rig.write(trigger("old", types="t"), trigger("new", types="t"))
    await own_rig.until(lambda: "new" in {row["trigger"] for row in own_rig.run("lag", "--json")})
    answer = await own_rig.send("after")
    await own_rig.until_delivered("new", "after")

    assert answer.status == 202


async def test_4_broken_manifest_leaves_the_table_in_force(rig: Rig) -> None:
    await rig.start(trigger("echo", types="t"))

    rig.write(trigger("echo", filters=[{"cesql": "type = 't"}]))
    await rig.until(lambda: "trigger echo: cesql: line 1, column 8" in rig.log("ingress").read_text())
    await rig.send("a")
    await rig.until_delivered("echo", "a")

    assert rig.sinks.ids("echo") == ["a"]


async def test_16_metrics_count_what_happened(rig: Rig) -> None:
    await rig.start(trigger("metered", types="t"))

    await asyncio.gather(*(rig.send(f"e{n}") for n in range(10)))
    await rig.until_empty("metered")
    _, ingress = await rig.get(rig.ingress_port, "/metrics")
    _, dispatcher = await rig.get(rig.dispatcher_port, "/metrics")

    assert "redisbroker_accepted_total" in ingress
    assert 'redisbroker_enqueued_total{trigger="metered"} 10.0' in ingress
    assert 'redisbroker_delivered_total{kind="event",trigger="metered"} 10.0' in dispatcher
    assert 'redisbroker_end_to_end_seconds_count{trigger="metered"} 10.0' in dispatcher


async def test_3_redis_without_append_only_file_is_reported(own_rig: Rig) -> None:
    own_rig.redis.append_only = False

    await own_rig.start(trigger("echo"))

    await own_rig.until(lambda: "appendonly is off" in own_rig.log("ingress").read_text())


async def test_4_process_without_manifests_follows_the_published_table(own_rig: Rig) -> None:
    await own_rig.start(trigger("echo", types="t"))
    own_rig.kill("ingress")
    own_rig.launch("ingress", BROKER_TRIGGERS="")
    await own_rig.until_ready(own_rig.ingress_port)

    await own_rig.send("a")
    await own_rig.until_delivered("echo", "a")

    assert own_rig.sinks.ids("echo") == ["a"]


async def test_12_filters_choose_the_triggers(rig: Rig) -> None:
    await rig.start(
        trigger("prefix", filters=[{"prefix": {"type": "com.alphapulse.trade."}}]),
        trigger("agent", filter={"attributes": {"type": "signal", "agent": "technical"}}),
        trigger("present", filter={"attributes": {"agent": ""}}),
    )

    await rig.send("a", event_type="com.alphapulse.trade.filled.v1")
    await rig.send("b", event_type="signal", agent="technical")
    await rig.send("c", event_type="signal", agent="value")
    await rig.until_delivered("prefix", "a")
    await rig.until_delivered("agent", "b")
    await rig.until_delivered("present", "b", "c")
    for name in ("prefix", "agent", "present"):
        await rig.until_empty(name)

    assert rig.sinks.ids("prefix") == ["a"]
    assert rig.sinks.ids("agent") == ["b"]
    assert sorted(rig.sinks.ids("present")) == ["b", "c"]
