"""What an operator sees of running processes: signs of life, metrics per trigger, one trace."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from alphapulse_broker.keys import Keys
from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import Rig, answers, dead_letters_to, replies, trigger

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path / "rig")
    try:
        yield rig
    finally:
        await rig.close()


async def metrics(rig: Rig, port: int) -> dict[tuple[str, str], float]:
    """Return the value of each series, by name and trigger."""
    _, text = await rig.get(port, "/metrics")
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            place = (sample.name.removeprefix("redisbroker_"), sample.labels.get("trigger", ""))
            found[place] = found.get(place, 0) + sample.value
    return found


async def test_16_every_step_of_an_event_is_counted_for_its_trigger(rig: Rig) -> None:
    await rig.start(
        trigger("asks", types="question"),
        trigger("hears", types="answer"),
        trigger("fails", types="bad", delivery=dead_letters_to("letters")),
    )
    rig.sinks.behaviours |= {"asks": replies("answer"), "fails": answers(500), "letters": answers(500)}

    headers = {"ce-specversion": "1.0", "ce-id": "q", "ce-source": "/s", "ce-type": "question"}
    await rig.post(headers={**headers, "traceparent": PARENT}, data=b"{}")
    await rig.send("b", event_type="bad")
    await rig.until_delivered("hears", "reply-to-q")
    await rig.until(lambda: len(rig.sinks.of("letters")) == 4)
    await rig.until_empty("fails")
    ingress, dispatcher = [await metrics(rig, port) for port in (rig.ingress_port, rig.dispatcher_port)]

    assert ingress["accepted_total", ""] == 2
    assert ingress["enqueued_total", "asks"] == 1
    assert dispatcher["enqueued_total", "hears"] == 1
    assert (dispatcher["delivered_total", "asks"], dispatcher["replies_total", "asks"]) == (1, 1)
    assert dispatcher["end_to_end_seconds_count", "hears"] == 1
    assert dispatcher["retried_total", "fails"] == 3 + 3
    assert (dispatcher["dead_lettered_total", "fails"], dispatcher["parked_total", "fails"]) == (1, 1)
    assert dispatcher["attempt_seconds_count", "fails"] == 8
    assert dispatcher["entries", "fails"] == 1
    assert dispatcher["log_memory_bytes", ""] > 0
    assert rig.sinks.of("hears")[0].headers["traceparent"] == PARENT


async def test_status_tells_the_living_from_the_dead_and_forgets_who_took_leave(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))

    def alive() -> dict[str, bool]:
        return {process["role"]: process["alive"] for process in rig.run("status", "--json")["processes"]}

    await rig.until(lambda: alive() == {"ingress": True, "dispatcher": True})
    rig.kill("dispatcher")
    await rig.until(lambda: alive() == {"ingress": True, "dispatcher": False})
    await asyncio.to_thread(stop, rig.processes["ingress"])

    assert alive() == {"dispatcher": False}


async def test_16_removed_trigger_is_measured_as_long_as_it_has_entries(rig: Rig) -> None:
    await rig.start(trigger("stays", types="t"), trigger("goes", types="bad"))
    rig.sinks.behaviours["goes"] = answers(400)
    await rig.send("b", event_type="bad")
    await rig.until_empty("goes")

    await rig.change(trigger("stays", types="t"))
    removed = await metrics(rig, rig.dispatcher_port)
    rig.run("trim", "--trigger", "goes", "--yes")
    trimmed = await metrics(rig, rig.dispatcher_port)

    assert removed["entries", "goes"] == 1
    assert ("entries", "goes") not in trimmed
    assert ("entries", "stays") in trimmed


async def test_16_lasting_problem_is_said_once_and_holds_up_nothing_else(rig: Rig) -> None:
    await rig.start(trigger("work", types="t"))
    hidden = rig.triggers.with_name("hidden")
    rig.triggers.rename(hidden)
    await rig.until(lambda: "no directory of triggers" in rig.log("ingress").read_text())
    published = await rig.get(rig.ingress_port, "/ready")
    rig.launch("ingress", name="waits", BROKER_NAME="other", BROKER_TRIGGERS="", BROKER_PORT="0")
    await rig.until(lambda: "waiting_for_table" in rig.log("waits").read_text())
    # Signs of life come more seldom than looks at the table.
    seen: set[float] = set()
    with Redis.from_url(rig.redis.url) as client:
        processes = Keys("alphapulse", "other").processes

        def heartbeats() -> int:
            seen.update(score for _, score in client.zrange(processes, 0, -1, withscores=True))
            return len(seen)

        await rig.until(lambda: heartbeats() >= 4)
    hidden.rename(rig.triggers)
    await rig.change(trigger("work", types="u"))

    assert published[0] == 200
    assert rig.log("ingress").read_text().count("no directory of triggers") == 1
    assert rig.log("waits").read_text().count("waiting_for_table") == 1
