"""Nothing accepted is lost, whichever process dies and whenever."""

import asyncio
import os
import signal

import aiohttp
from aiohttp import web

from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import Delivery, Rig, accepts, replies, trigger


async def test_15_event_in_delivery_at_a_dispatcher_kill_is_delivered_by_the_next(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))

    async def hang(_: Delivery) -> web.Response:
        await asyncio.sleep(30)
        return web.Response(status=204)

    rig.sinks.behaviours["work"] = hang
    await rig.send("a")
    await rig.until_delivered("work", "a")
    rig.kill("dispatcher")
    rig.sinks.behaviours["work"] = accepts
    rig.launch("dispatcher")
    await rig.until(lambda: len(rig.sinks.of("work")) == 2)
    await rig.until_empty("work")

    assert rig.sinks.ids("work") == ["a", "a"]


async def test_15_another_dispatcher_takes_over_while_the_dead_one_stays_dead(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))
    first: list[Delivery] = []

    async def hang_first(delivery: Delivery) -> web.Response:
        first.append(delivery)
        if len(first) <= 10:
            await asyncio.sleep(30)
        return web.Response(status=204)

    rig.sinks.behaviours["work"] = hang_first
    ids = [f"e{n}" for n in range(10)]
    for event_id in ids:
        await rig.send(event_id)
    await rig.until(lambda: len(first) == 10)
    rig.launch("dispatcher", name="second", BROKER_DISPATCHER_PORT="0")
    rig.kill("dispatcher")
    await rig.until(lambda: len(first) == 20)

    assert sorted(delivery.id for delivery in first[10:]) == sorted(ids)


async def test_15_long_delivery_is_kept_by_heartbeats_from_being_taken_over(rig: Rig) -> None:
    await rig.start(trigger("long", types="t"))

    async def long(_: Delivery) -> web.Response:
        await asyncio.sleep(2.5)
        return web.Response(status=204)

    rig.sinks.behaviours["long"] = long
    rig.launch("dispatcher", name="second", BROKER_DISPATCHER_PORT="0")
    await rig.send("a")
    await rig.until_delivered("long", "a")
    await rig.until_empty("long")

    assert rig.sinks.ids("long") == ["a"]


async def test_15_sigterm_finishes_what_is_in_flight_and_hands_back_the_rest(rig: Rig) -> None:
    rig.settings["BROKER_IN_FLIGHT"] = "1"
    rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "30"
    await rig.start(trigger("work", types="t"))

    async def takes_a_while(_: Delivery) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response(status=204)

    rig.sinks.behaviours["work"] = takes_a_while
    for n in range(3):
        await rig.send(f"e{n}")
    await rig.until_delivered("work", "e0")
    await asyncio.to_thread(stop, rig.processes["dispatcher"])

    assert rig.processes["dispatcher"].returncode == 0
    assert rig.sinks.ids("work") == ["e0"]

    rig.launch("dispatcher")
    await rig.until_delivered("work", "e1", "e2", seconds=5)
    await rig.until_empty("work")

    assert rig.sinks.ids("work") == ["e0", "e1", "e2"]


async def test_3_redis_kill_loses_no_accepted_event_and_needs_no_restart(rig: Rig) -> None:
    await rig.start(trigger("work", types="question"), trigger("told", types="answer"))
    rig.sinks.behaviours["work"] = replies("answer")
    statuses: dict[str, int] = {}

    async def produce() -> None:
        for n in range(600):
            event_id = f"e{n}"
            answer = await rig.send(event_id, event_type="question")
            statuses[event_id] = answer.status
            if answer.status == 503:
                assert answer.headers["Retry-After"] == "1"
                await asyncio.sleep(0.02)

    producing = asyncio.create_task(produce())
    await rig.until(lambda: len(statuses) > 100)
    rig.redis.kill()
    await rig.until(lambda: 503 in statuses.values())
    assert (await rig.get(rig.ingress_port, "/ready"))[0] == 503
    assert (await rig.get(rig.ingress_port, "/health"))[0] == 200
    rig.redis.start()
    await producing
    accepted = [event_id for event_id, status in statuses.items() if status == 202]
    await rig.until_delivered("work", *accepted)
    await rig.until_delivered("told", *(f"reply-to-{event_id}" for event_id in accepted))
    await rig.until_empty("work")
    await rig.until_empty("told")

    assert set(statuses.values()) == {202, 503}
    assert len(accepted) > 200
    assert rig.parked() == []


async def test_15_answer_given_while_redis_is_down_is_settled_when_it_is_back(rig: Rig) -> None:
    rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "30"
    await rig.start(trigger("asked", types="question"), trigger("told", types="answer"))
    release = asyncio.Event()

    async def wait_then_reply(delivery: Delivery) -> web.Response:
        await release.wait()
        return await replies("answer")(delivery)

    rig.sinks.behaviours["asked"] = wait_then_reply
    await rig.send("a", event_type="question")
    await rig.until_delivered("asked", "a")
    rig.redis.kill()
    release.set()
    await asyncio.sleep(0.3)  # the answer arrives, and its settlement fails, while Redis is down
    rig.redis.start()
    await rig.until_delivered("told", "reply-to-a")
    await rig.until_empty("asked")

    assert rig.sinks.ids("asked") == ["a"]
    assert rig.sinks.ids("told") == ["reply-to-a"]


async def test_15_event_that_kills_each_dispatcher_is_parked(rig: Rig) -> None:
    rig.settings["BROKER_MAX_DELIVERIES"] = "2"
    rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "0.4"
    await rig.start(trigger("work", types="t"))

    async def kill_the_dispatcher(_: Delivery) -> web.Response:
        os.kill(rig.processes["dispatcher"].pid, signal.SIGKILL)
        return web.Response(status=204)

    rig.sinks.behaviours["work"] = kill_the_dispatcher
    await rig.send("poison")
    for deliveries in (1, 2):
        await rig.until(lambda count=deliveries: len(rig.sinks.of("work")) == count)
        await asyncio.to_thread(rig.processes["dispatcher"].wait, 5)
        rig.launch("dispatcher")
    await rig.until_ready(rig.dispatcher_port)
    await rig.until(lambda: "crash_loop" in rig.log("dispatcher").read_text())
    (parked,) = rig.parked()

    assert parked["reason"] == "crash_loop"
    assert len(rig.sinks.of("work")) == 2


async def test_15_ingress_kill_loses_no_accepted_event(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))
    accepted: list[str] = []

    async def produce(worker: int) -> None:
        for n in range(1_000):
            try:
                answer = await rig.send(f"e{worker}-{n}")
            except aiohttp.ClientError:
                return
            if answer.status == 202:
                accepted.append(f"e{worker}-{n}")

    producing = [asyncio.create_task(produce(worker)) for worker in range(8)]
    await rig.until(lambda: len(accepted) > 100)
    rig.kill("ingress")
    await asyncio.gather(*producing)
    await rig.until_delivered("work", *accepted)

    assert len(accepted) < 8_000
