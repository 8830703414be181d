"""What is delivered, how often, and what happens when a sink does not take it."""

import asyncio
import base64
import json

from aiohttp import web
from redis import Redis

from alphapulse_broker.keys import Keys
from alphapulse_broker.tool.output import as_json
from tests.integration.broker.rig import Delivery, Rig, answers, dead_letters_to, replies, trigger


async def test_6_event_is_delivered_unchanged_with_prefer_reply_namespace_and_trace(rig: Rig) -> None:
    await rig.start(trigger("echo", types="t"))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    answer = await rig.send("a", body=b'{"price": 1.10}', tenantid="t-1", traceparent=parent)
    await rig.until_delivered("echo", "a")

    assert answer.status == 202
    (delivery,) = rig.sinks.of("echo")
    assert delivery.body == b'{"price": 1.10}'
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["ce-tenantid"] == "t-1"
    assert delivery.headers["prefer"] == "reply"
    assert delivery.headers["kn-namespace"] == "alphapulse"
    assert delivery.headers["traceparent"] == parent
    assert "ce-knativebrokerttl" not in delivery.headers


async def test_4_event_reaches_each_matching_trigger_once_and_no_other(rig: Rig) -> None:
    await rig.start(trigger("one", types="t"), trigger("two", types="t"), trigger("other", types="u"))

    await rig.send("a")
    await rig.until_delivered("one", "a")
    await rig.until_delivered("two", "a")
    await rig.until_empty("other")

    assert rig.sinks.ids("one") == rig.sinks.ids("two") == ["a"]
    assert rig.sinks.ids("other") == []


async def test_9_transient_failures_are_retried_until_success(rig: Rig) -> None:
    await rig.start(trigger("flaky", types="t"))
    statuses = [503, 404, 500]

    async def flaky(_: Delivery) -> web.Response:
        return web.Response(status=statuses.pop(0) if statuses else 204)

    rig.sinks.behaviours["flaky"] = flaky
    await rig.send("a")
    await rig.until(lambda: len(rig.sinks.of("flaky")) == 4)
    await rig.until_empty("flaky")

    assert rig.sinks.ids("flaky") == ["a"] * 4
    assert await rig.parked() == []


async def test_10_retries_wait_as_the_backoff_says_and_retry_after_prolongs_it(rig: Rig) -> None:
    delivery = {
        "retry": 2,
        "backoffPolicy": "exponential",
        "backoffDelay": "PT0.2S",
        "retryAfterMax": "PT30S",
    }
    await rig.start(trigger("slow", types="t", delivery=delivery))
    answered = [web.Response(status=500), web.Response(status=503, headers={"Retry-After": "1"})]

    async def slow(_: Delivery) -> web.Response:
        return answered.pop(0) if answered else web.Response(status=204)

    rig.sinks.behaviours["slow"] = slow
    await rig.send("a")
    await rig.until(lambda: len(rig.sinks.of("slow")) == 3)

    first, second, third = (delivery.at for delivery in rig.sinks.of("slow"))
    assert 0.2 <= second - first < 0.45
    assert 1.0 <= third - second < 1.25


async def test_11_permanent_failure_goes_to_the_dead_letter_sink_with_its_cause(rig: Rig) -> None:
    await rig.start(trigger("picky", types="t", delivery=dead_letters_to("letters")))
    rig.sinks.behaviours["picky"] = answers(422, body=b"quantity must be positive, was -1")

    await rig.send("a", body=b'{"quantity":"-1"}')
    await rig.until_delivered("letters", "a")
    await rig.until_empty("picky")

    assert len(rig.sinks.of("picky")) == 1
    (letter,) = rig.sinks.of("letters")
    assert letter.body == b'{"quantity":"-1"}'
    assert letter.headers["ce-knativeerrordest"].endswith("/picky")
    assert letter.headers["ce-knativeerrorcode"] == "422"
    assert base64.b64decode(letter.headers["ce-knativeerrordata"]) == b"quantity must be positive, was -1"


async def test_11_dead_letter_sink_failing_too_parks_the_event_and_replay_delivers_it(rig: Rig) -> None:
    await rig.start(trigger("picky", types="t", delivery=dead_letters_to("letters")))
    rig.sinks.behaviours["picky"] = answers(422, body=b"no")
    rig.sinks.behaviours["letters"] = answers(500)

    await rig.send("a", tenantid="t-1")
    await rig.until(lambda: len(rig.sinks.of("letters")) == 4)
    await rig.until_empty("picky")
    (listed,) = rig.run("dead-letters", "--json")["entries"]
    (parked,) = await rig.parked()

    assert listed == json.loads(as_json(parked))
    assert parked.event_id == "a"
    assert parked.trigger == "picky"
    assert parked.tenant_id == "t-1"
    assert parked.reason == "dead_letter_sink_failed"
    assert parked.error["knativeerrorcode"] == "422"

    del rig.sinks.behaviours["picky"]
    assert rig.run("replay", "picky", parked.id) == "replayed 1"
    await rig.until(lambda: len(rig.sinks.of("picky")) == 2)
    await rig.until_empty("picky")

    assert "ce-knativeerrorcode" not in rig.sinks.of("picky")[-1].headers
    assert await rig.parked() == []


async def test_11_without_dead_letter_sink_an_exhausted_event_is_parked(rig: Rig) -> None:
    await rig.start(trigger("dead", types="t"))
    rig.sinks.behaviours["dead"] = answers(500, body=b"broken")

    await rig.send("a")
    await rig.until(lambda: len(rig.sinks.of("dead")) == 4)
    await rig.until_empty("dead")
    (parked,) = await rig.parked()

    assert parked.reason == "no_dead_letter_sink"
    assert parked.attempts == 4
    assert parked.detail == "status 500: broken"


async def test_7_reply_reaches_every_matching_trigger_exactly_once(rig: Rig) -> None:
    await rig.start(
        trigger("asked", types="question"), trigger("told", types="answer"), trigger("also", types="answer")
    )
    rig.sinks.behaviours["asked"] = replies("answer")

    for n in range(20):
        await rig.send(f"q{n}", event_type="question")
    expected = sorted(f"reply-to-q{n}" for n in range(20))
    await rig.until_delivered("told", *expected)
    await rig.until_delivered("also", *expected)
    await rig.until_empty("told")

    assert sorted(rig.sinks.ids("told")) == expected
    assert sorted(rig.sinks.ids("also")) == expected
    assert rig.sinks.of("told")[0].body == b'{"reply":true}'


async def test_7_success_with_another_body_or_202_with_an_event_is_no_reply(rig: Rig) -> None:
    await rig.start(trigger("text", types="t"), trigger("later", types="t"), trigger("told", types="answer"))
    rig.sinks.behaviours["text"] = answers(200, text="OK")

    async def accepted(delivery: Delivery) -> web.Response:
        response = await replies("answer")(delivery)
        response.set_status(202)
        return response

    rig.sinks.behaviours["later"] = accepted
    await rig.send("a")
    await rig.until_delivered("text", "a")
    await rig.until_delivered("later", "a")
    for name in ("text", "later", "told"):
        await rig.until_empty(name)

    assert rig.sinks.of("told") == []
    assert len(rig.sinks.of("text")) == len(rig.sinks.of("later")) == 1
    assert await rig.parked() == []


async def test_8_events_that_feed_themselves_end_when_their_hops_are_used_up(rig: Rig) -> None:
    await rig.start(trigger("loop", types="t"))
    rig.sinks.behaviours["loop"] = replies("t")

    await rig.send("a", knativebrokerttl="4")
    await rig.until(lambda: len(rig.sinks.of("loop")) == 3)
    await rig.until_empty("loop")
    (parked,) = await rig.parked()

    assert len(rig.sinks.of("loop")) == 3
    assert "knativebrokerttl is used up" in parked.detail


async def test_14_hanging_subscriber_delays_no_other_trigger(rig: Rig) -> None:
    await rig.start(trigger("hangs", types="t"), trigger("works", types="t"))

    async def hang(_: Delivery) -> web.Response:
        await asyncio.sleep(3)
        return web.Response(status=204)

    rig.sinks.behaviours["hangs"] = hang
    ids = [f"e{n}" for n in range(200)]
    for event_id in ids:
        await rig.send(event_id)
    await rig.until_delivered("works", *ids, seconds=3)

    assert len(rig.sinks.of("hangs")) <= 32


async def test_14_burst_of_one_tenant_leaves_turns_for_another(own_rig: Rig) -> None:
    own_rig.settings["BROKER_IN_FLIGHT"] = "2"
    own_rig.settings["BROKER_TENANT_IN_FLIGHT"] = "1"
    own_rig.settings["BROKER_READ_AHEAD"] = "8"
    await own_rig.start(trigger("work", types="t"))

    async def busy(_: Delivery) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = busy
    for n in range(60):
        await own_rig.send(f"loud{n}", tenantid="loud")
    await own_rig.send("quiet", tenantid="quiet")
    await own_rig.until_delivered("work", "quiet")

    assert len(own_rig.sinks.of("work")) < 30


async def test_10_attempt_that_exceeds_its_timeout_is_retried(rig: Rig) -> None:
    await rig.start(trigger("late", types="t", delivery={"timeout": "PT0.3S"}))
    seen: list[Delivery] = []

    async def late_once(delivery: Delivery) -> web.Response:
        seen.append(delivery)
        if len(seen) == 1:
            await asyncio.sleep(2)
        return web.Response(status=204)

    rig.sinks.behaviours["late"] = late_once
    await rig.send("a")
    await rig.until(lambda: len(seen) == 2)
    await rig.until_empty("late")

    assert [delivery.id for delivery in seen] == ["a", "a"]


async def test_11_entry_that_cannot_be_read_is_parked_and_stops_nothing(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))
    keys = Keys("alphapulse", "default")

    with Redis.from_url(rig.redis.url) as client:
        client.xadd(keys.stream("work"), {"foreign": "entry"})
    await rig.send("a")
    await rig.until_delivered("work", "a")
    await rig.until_empty("work")
    (parked,) = await rig.parked()

    assert parked.reason == "unreadable"
    assert rig.sinks.ids("work") == ["a"]
