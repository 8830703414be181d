"""Nothing accepted is lost, whichever process dies and whenever."""

import asyncio
import os
import signal

import aiohttp
from aiohttp import web

from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import Delivery, Rig, accepts, replies, trigger


async def test_15_event_in_delivery_at_a_dispatcher_kill_is_delivered_by_the_next(own_rig: Rig) -> None:
    await own_rig.start(trigger("work", types="t"))

    async def hang(_: Delivery) -> web.Response:
        await asyncio.sleep(30)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = hang
    await own_rig.send("a")
    await own_rig.until_delivered("work", "a")
    own_rig.kill("dispatcher")
    own_rig.sinks.behaviours["work"] = accepts
    own_rig.launch("dispatcher")
    await own_rig.until(lambda: len(own_rig.sinks.of("work")) == 2)
    await own_rig.until_empty("work")

    assert own_rig.sinks.ids("work") == ["a", "a"]


async def test_15_another_dispatcher_takes_over_while_the_dead_one_stays_dead(own_rig: Rig) -> None:
    await own_rig.start(trigger("work", types="t"))
    first: list[Delivery] = []

    async def hang_first(delivery: Delivery) -> web.Response:
        first.append(delivery)
        if len(first) <= 10:
            await asyncio.sleep(30)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = hang_first
    ids = [f"e{n}" for n in range(10)]
    for event_id in ids:
        await own_rig.send(event_id)
    await own_rig.until(lambda: len(first) == 10)
    own_rig.launch("dispatcher", name="second", BROKER_DISPATCHER_PORT="0")
    own_rig.kill("dispatcher")
    await own_rig.until(lambda: len(first) == 20)

    assert sorted(delivery.id for delivery in first[10:]) == sorted(ids)


async def test_15_long_delivery_is_kept_by_heartbeats_from_being_taken_over(own_rig: Rig) -> None:
    await own_rig.start(trigger("long", types="t"))

    async def long(_: Delivery) -> web.Response:
        await asyncio.sleep(2.5)
        return web.Response(status=204)

    own_rig.sinks.behaviours["long"] = long
    own_rig.launch("dispatcher", name="second", BROKER_DISPATCHER_PORT="0")
    await own_rig.send("a")
    await own_rig.until_delivered("long", "a")
    await own_rig.until_empty("long")

    assert own_rig.sinks.ids("long") == ["a"]


async def test_15_sigterm_finishes_what_is_in_flight_and_hands_back_the_rest(own_rig: Rig) -> None:
    own_rig.settings["BROKER_IN_FLIGHT"] = "1"
    own_rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "30"
    await own_rig.start(trigger("work", types="t"))

    async def takes_a_while(_: Delivery) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = takes_a_while
    for n in range(3):
        await own_rig.send(f"e{n}")
    await own_rig.until_delivered("work", "e0")
    await asyncio.to_thread(stop, own_rig.processes["dispatcher"])

    assert own_rig.processes["dispatcher"].returncode == 0
    assert own_rig.sinks.ids("work") == ["e0"]

    own_rig.launch("dispatcher")
    await own_rig.until_delivered("work", "e1", "e2", seconds=15)
    await own_rig.until_empty("work")

    assert own_rig.sinks.ids("work") == ["e0", "e1", "e2"]


async def test_15_what_waits_at_sigterm_is_taken_over_before_long_deliveries_end(own_rig: Rig) -> None:
    own_rig.settings["BROKER_IN_FLIGHT"] = "2"
    own_rig.settings["BROKER_SHUTDOWN_SECONDS"] = "10"
    await own_rig.start(trigger("work", types="t"))
    ended: list[str] = []

    async def first_take_long(delivery: Delivery) -> web.Response:
        # Longer than BROKER_CLAIM_IDLE_SECONDS: heartbeats must go on while the dispatcher stops.
        await asyncio.sleep(3 if delivery.id in ("e0", "e1") else 0)
        ended.append(delivery.id)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = first_take_long
    for n in range(5):
        await own_rig.send(f"e{n}")
    await own_rig.until_delivered("work", "e0", "e1")
    own_rig.processes["dispatcher"].send_signal(signal.SIGTERM)
    own_rig.launch("dispatcher", name="second", BROKER_DISPATCHER_PORT="0")
    await own_rig.until(lambda: len(ended) == 5)
    await own_rig.until(lambda: own_rig.processes["dispatcher"].poll() == 0)

    assert sorted(ended[:3]) == ["e2", "e3", "e4"]
    assert sorted(own_rig.sinks.ids("work")) == ["e0", "e1", "e2", "e3", "e4"]


async def test_3_redis_kill_loses_no_accepted_event_and_needs_no_restart(own_rig: Rig) -> None:
    await own_rig.start(trigger("work", types="question"), trigger("told", types="answer"))
    own_rig.sinks.behaviours["work"] = replies("answer")
    statuses: dict[str, int] = {}

    async def produce() -> None:
        for n in range(400):
            event_id = f"e{n}"
            answer = await own_rig.send(event_id, event_type="question")
            statuses[event_id] = answer.status
            if answer.status == 503:
                assert answer.headers["Retry-After"] == "1"
                await asyncio.sleep(0.02)

    producing = asyncio.create_task(produce())
    await own_rig.until(lambda: len(statuses) > 100)
    own_rig.redis.kill()
    await own_rig.until(lambda: 503 in statuses.values())
    assert (await own_rig.get(own_rig.ingress_port, "/ready"))[0] == 503
    assert (await own_rig.get(own_rig.ingress_port, "/health"))[0] == 200
    own_rig.redis.start()
    await producing
    accepted = [event_id for event_id, status in statuses.items() if status == 202]
    await own_rig.until_delivered("work", *accepted)
    await own_rig.until_delivered("told", *(f"reply-to-{event_id}" for event_id in accepted))
    await own_rig.until_empty("work")
    await own_rig.until_empty("told")

    assert set(statuses.values()) == {202, 503}
    assert len(accepted) > 200
    assert await own_rig.parked() == []


async def test_15_answer_given_while_redis_is_down_is_settled_when_it_is_back(own_rig: Rig) -> None:
    own_rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "30"
    await own_rig.start(trigger("asked", types="question"), trigger("told", types="answer"))
    release = asyncio.Event()

    async def wait_then_reply(delivery: Delivery) -> web.Response:
        await release.wait()
        return await replies("answer")(delivery)

    own_rig.sinks.behaviours["asked"] = wait_then_reply
    await own_rig.send("a", event_type="question")
    await own_rig.until_delivered("asked", "a")
    own_rig.redis.kill()
    release.set()
    await asyncio.sleep(0.3)  # the answer arrives, and its settlement fails, while Redis is down
    own_rig.redis.start()
    await own_rig.until_delivered("told", "reply-to-a")
    await own_rig.until_empty("asked")

    assert own_rig.sinks.ids("asked") == ["a"]
    assert own_rig.sinks.ids("told") == ["reply-to-a"]


async def test_15_event_that_kills_each_dispatcher_is_parked(own_rig: Rig) -> None:
    own_rig.settings["BROKER_MAX_DELIVERIES"] = "2"
    own_rig.settings["BROKER_CLAIM_IDLE_SECONDS"] = "0.4"
    await own_rig.start(trigger("work", types="t"))

    async def kill_the_dispatcher(_: Delivery) -> web.Response:
        os.kill(own_rig.processes["dispatcher"].pid, signal.SIGKILL)
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = kill_the_dispatcher
    await own_rig.send("poison")
    for deliveries in (1, 2):
        await own_rig.until(lambda count=deliveries: len(own_rig.sinks.of("work")) == count)
        await asyncio.to_thread(own_rig.processes["dispatcher"].wait, 5)
        own_rig.launch("dispatcher")
    await own_rig.until_ready(own_rig.dispatcher_port)
    await own_rig.until(lambda: "crash_loop" in own_rig.log("dispatcher").read_text())
    (parked,) = await own_rig.parked()

    assert parked.reason == "crash_loop"
    assert len(own_rig.sinks.of("work")) == 2


async def test_15_ingress_kill_loses_no_accepted_event(own_rig: Rig) -> None:
    await own_rig.start(trigger("work", types="t"))
    accepted: list[str] = []

    async def produce(worker: int) -> None:
        for n in range(1_000):
            try:
                answer = await own_rig.send(f"e{worker}-{n}")
            except aiohttp.ClientError:
                return
            if answer.status == 202:
                accepted.append(f"e{worker}-{n}")

    producing = [asyncio.create_task(produce(worker)) for worker in range(8)]
    await own_rig.until(lambda: len(accepted) > 100)
    own_rig.kill("ingress")
    await asyncio.gather(*producing)
    await own_rig.until_delivered("work", *accepted)

    assert len(accepted) < 8_000


async def test_15_redis_that_hangs_for_a_while_loses_no_accepted_event(own_rig: Rig) -> None:
    own_rig.settings["BROKER_REDIS_TIMEOUT_SECONDS"] = "0.4"
    await own_rig.start(trigger("work", types="question"), trigger("told", types="answer"))
    own_rig.sinks.behaviours["work"] = replies("answer")
    statuses: dict[str, int] = {}

    async def produce(worker: int) -> None:
        for n in range(80):
            statuses[f"e{worker}-{n}"] = (await own_rig.send(f"e{worker}-{n}", event_type="question")).status

    producing = [asyncio.create_task(produce(worker)) for worker in range(4)]
    await own_rig.until(lambda: len(statuses) > 60)
    assert own_rig.redis.process is not None
    os.kill(own_rig.redis.process.pid, signal.SIGSTOP)
    await own_rig.until(lambda: 503 in statuses.values())
    os.kill(own_rig.redis.process.pid, signal.SIGCONT)
    await asyncio.gather(*producing)
    accepted = [event_id for event_id, status in statuses.items() if status == 202]
    await own_rig.until_delivered("work", *accepted)
    await own_rig.until_delivered("told", *(f"reply-to-{event_id}" for event_id in accepted))
    for name in ("work", "told"):
        await own_rig.until_empty(name)

    assert set(statuses.values()) == {202, 503}
    assert await own_rig.parked() == []


async def test_15_everything_a_dead_dispatcher_held_is_taken_over_whatever_its_number(own_rig: Rig) -> None:
    await own_rig.start(trigger("work", types="t"))
    own_rig.kill("dispatcher")
    own_rig.launch("dispatcher", BROKER_IN_FLIGHT="300", BROKER_READ_AHEAD="300")
    await own_rig.until_ready(own_rig.dispatcher_port)
    stuck = asyncio.Event()

    async def hang(_: Delivery) -> web.Response:
        await stuck.wait()
        return web.Response(status=204)

    own_rig.sinks.behaviours["work"] = hang
    ids = [f"e{n}" for n in range(300)]
    await asyncio.gather(*(own_rig.send(event_id) for event_id in ids))
    await own_rig.until_delivered("work", *ids)
    own_rig.kill("dispatcher")
    stuck.set()
    own_rig.sinks.behaviours["work"] = accepts
    own_rig.sinks.deliveries.clear()
    own_rig.launch("dispatcher", BROKER_READ_AHEAD="20")
    await own_rig.until_delivered("work", *ids, seconds=10)
    await own_rig.until_empty("work")

    assert await own_rig.parked() == []
