"""A function is held at zero, started on demand, watched, and stopped when idle."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil

from alphapulse_local.function import State
from alphapulse_local.manifests import FunctionManifest
from tests.integration.local.laptop import OpenLaptop, until


async def test_first_request_starts_the_function_and_is_answered_by_it(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)
    assert platform.echo.state is State.ZERO

    async with platform.client.get(platform.url + "/echo/a") as answer:
        body = await answer.json()

    assert answer.status == 200
    assert platform.echo.state is State.READY
    assert body["pid"] == platform.echo.process.pid


async def test_requests_during_the_start_all_wait_for_one_process(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    async def ask(number: int) -> tuple[int, str]:
        async with platform.client.post(platform.url + "/echo/a", data=str(number)) as answer:
            body = await answer.json()
            return body["pid"], body["body"]

    answers = await asyncio.gather(*(ask(number) for number in range(40)))

    assert [body for _, body in answers] == [str(number) for number in range(40)]
    assert {pid for pid, _ in answers} == {platform.echo.process.pid}


async def test_idle_function_is_stopped_and_comes_back_on_demand(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest, idle_seconds=0.2)
    async with platform.client.get(platform.url + "/echo/a") as answer:
        first = (await answer.json())["pid"]

    await until(lambda: platform.echo.state is State.ZERO)

    assert not psutil.pid_exists(first)
    assert not list(platform.children.run_directory.glob("*.json"))
    async with platform.client.get(platform.url + "/echo/a") as answer:
        assert answer.status == 200
        assert (await answer.json())["pid"] != first


async def test_function_is_not_stopped_while_a_request_is_in_flight(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest, idle_seconds=0.1)

    async with platform.client.get(platform.url + "/echo/slow?seconds=0.6") as answer:
        assert await answer.text() == "late"

    assert platform.echo.restarts == 0


async def test_warm_function_stays_up(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(replace(manifest, window_seconds=0.05), warm=True)
    await platform.echo.keep_warm()
    pid = platform.echo.process.pid

    await asyncio.sleep(0.3)

    assert platform.echo.state is State.READY
    assert platform.echo.process.pid == pid


async def test_killed_function_is_reported_and_restarted_on_demand(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)
    async with platform.client.get(platform.url + "/echo/a") as answer:
        first = (await answer.json())["pid"]

    os.kill(first, signal.SIGKILL)
    await until(lambda: platform.echo.state is State.CRASHED)
    async with platform.client.get(platform.url + "/echo/a") as answer:
        body = await answer.json()

    assert answer.status == 200
    assert body["pid"] != first
    assert platform.echo.restarts == 1
    assert any("echo ended (killed by SIGKILL)" in line for line in platform.notes.lines)


async def test_request_right_after_a_kill_is_answered_by_a_new_process(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)
    async with platform.client.get(platform.url + "/echo/a") as answer:
        first = (await answer.json())["pid"]

    os.kill(first, signal.SIGKILL)
    async with platform.client.get(platform.url + "/echo/a", headers={"Connection": "close"}) as answer:
        status = answer.status

    # The platform may or may not know yet; a request is either answered or told to come again.
    assert status in {200, 503}
    async with platform.client.get(platform.url + "/echo/a") as answer:
        assert answer.status == 200


async def test_warm_function_that_was_killed_comes_back_without_a_request(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest, warm=True)
    await platform.echo.keep_warm()
    first = platform.echo.process.pid

    os.kill(first, signal.SIGKILL)

    await until(lambda: platform.echo.restarts == 1 and platform.echo.state is State.READY)
    assert platform.echo.process.pid != first


async def test_crash_while_answering_is_503_with_retry_after(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    async with platform.client.post(platform.url + "/echo/crash") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert problem["code"] == "function_crashed"
    await until(lambda: platform.echo.last_exit == "exit status 3")


async def test_function_that_cannot_start_is_503_and_harms_no_other(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    broken = FunctionManifest(name="broken", path=Path("broken.yaml"))
    platform = await laptop(manifest, broken)

    async with platform.client.get(platform.url + "/broken") as answer:
        problem = await answer.json(content_type="application/problem+json")
    async with platform.client.get(platform.url + "/echo/a") as other:
        assert other.status == 200

    assert answer.status == 503
    assert problem["code"] == "function_unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert any("broken ended with exit status 7 while starting" in line for line in platform.notes.lines)


async def test_crash_loop_backs_off_without_starting_processes(laptop: OpenLaptop) -> None:
    broken = FunctionManifest(name="broken", path=Path("broken.yaml"))
    platform = await laptop(broken)
    async with platform.client.get(platform.url + "/broken") as answer:
        assert answer.status == 503
    told = len(platform.notes.lines)

    async with platform.client.get(platform.url + "/broken") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert problem["code"] == "function_unavailable"
    assert "in a row" in problem["detail"]
    assert len(platform.notes.lines) == told


async def test_function_that_never_answers_its_probe_is_given_up(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(replace(manifest, health_path="/echo/slow?seconds=30"), start_seconds=0.6)

    async with platform.client.get(platform.url + "/echo/a") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 503
    assert problem["code"] == "function_unavailable"
    await until(lambda: platform.echo.process is None)


async def test_function_that_ignores_sigterm_is_killed(laptop: OpenLaptop) -> None:
    stubborn = FunctionManifest(name="stubborn", path=Path("stubborn.yaml"))
    platform = await laptop(stubborn, stop_seconds=0.3)
    async with platform.client.get(platform.url + "/stubborn") as answer:
        pid = (await answer.json())["pid"]

    await platform.functions["stubborn"].close()

    assert not psutil.pid_exists(pid)


async def test_container_concurrency_bounds_what_runs_at_once(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(replace(manifest, container_concurrency=1))
    async with platform.client.get(platform.url + "/echo/a") as answer:
        await answer.read()

    async def ask() -> None:
        async with platform.client.get(platform.url + "/echo/slow?seconds=0.2") as answer:
            assert answer.status == 200

    began = time.monotonic()
    await asyncio.gather(ask(), ask(), ask())

    assert time.monotonic() - began >= 0.6


async def test_request_that_finds_no_place_in_time_is_503(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(replace(manifest, container_concurrency=1, timeout_seconds=1))
    async with platform.client.get(platform.url + "/echo/a") as answer:
        await answer.read()

    async def ask() -> int:
        async with platform.client.get(platform.url + "/echo/slow?seconds=20") as answer:
            return answer.status

    statuses = await asyncio.gather(ask(), ask(), ask())

    assert set(statuses) <= {503, 504}
    assert 504 in statuses
