"""The whole platform: what it starts, what it leaves behind, and what it says when it cannot start."""

import json
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from alphapulse_local.scaffold import write_function
from alphapulse_local.testing import PlatformDidNotStart, RunningPlatform
from tests.integration.local.small_repository import write_repository

COMPONENTS = {
    "postgres",
    "redis-cache",
    "redis-broker",
    "broker-ingress",
    "broker-dispatcher",
    "stripe-simulator",
}


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - the platform's own address
        return json.load(answer)


def descendants(platform: RunningPlatform) -> list[psutil.Process]:
    """Return the platform's processes, the keeper included."""
    assert platform.process is not None
    return psutil.Process(platform.process.pid).children(recursive=True)


def status_of(url: str, *, body: bytes | None = None) -> int:
    try:
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - as above
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def up_command(repository: Path, state: Path) -> list[str]:
    up = [sys.executable, "-m", "alphapulse_local", "up", "--port", "0"]
    return [*up, "--root", str(repository), "--state-dir", str(state)]


def command(name: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alphapulse_local", name, "--state-dir", str(state)],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a function of its own and one of each kind from the templates."""
    root = write_repository(tmp_path_factory.mktemp("repository"))
    write_function(root, "greeting", event=None)
    write_function(root, "trade_diary", event="trade.filled")
    return root


@pytest.fixture(scope="module")
def platform(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One platform for all tests that leave it running."""
    directory = tmp_path_factory.mktemp("platform")
    with RunningPlatform(directory, arguments=("--root", str(repository))) as running:
        yield running


async def test_platform_serves_requests_events_and_schedules(platform: RunningPlatform) -> None:
    seen = get(platform.url + "/echo")
    wait_for(lambda: len(get(platform.url + "/echo")["events"]) >= 1)

    environment = seen["environment"]
    assert set(platform.pids()) == COMPONENTS | {"echo"}
    assert get(platform.url + "/echo")["events"][0]["ce-schedule"] == "tick"
    assert environment["LOG_LEVEL"] == "INFO"
    assert (environment["MARKET_DATA_SOURCE"], environment["PROVIDER_SOURCE"]) == ("simulated", "simulated")
    assert environment["BROKER_URL"].startswith("http://127.0.0.1:")
    assert environment["JWKS_URL"] == platform.internal_url + "/services/accounts/.well-known/jwks.json"
    assert "PLATFORM_DATABASE_URL" not in environment
    assert Path(environment["TOKEN_SIGNING_KEY_FILE"]).read_text().startswith("-----BEGIN PRIVATE KEY-----")
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        assert await connection.fetchval("SELECT current_user") == "alphapulse_app"
        assert await connection.fetchval("SELECT count(*) FROM tenants") is not None
    except asyncpg.InsufficientPrivilegeError:
        # The application's role need not read the registry; the table is there all the same.
        assert await connection.fetchval("SELECT to_regclass('alphapulse.tenants')") is not None
    finally:
        await connection.close()


def test_secrets_are_private_and_never_printed(platform: RunningPlatform) -> None:
    secrets = [path for path in platform.state.secrets.rglob("*") if path.is_file()]

    assert len(secrets) >= 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(platform.state.path.stat().st_mode) == 0o700
    printed = platform.output() + json.dumps(platform.status())
    logs = "".join(path.read_text() for path in platform.state.logs.glob("*.log"))
    for path in secrets:
        assert path.read_text() not in printed + logs
    for process in descendants(platform):
        command = " ".join(process.cmdline())
        assert not any(path.read_text() in command for path in secrets)


def count_starts(platform: RunningPlatform) -> int:
    """Count in the broker's Redis, which keeps its data."""
    host, _, port = platform.status()["components"]["redis-broker"]["where"].partition(":")
    password = (platform.state.secrets / "redis-broker").read_text()
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"AUTH {password}\r\nINCR starts\r\n".encode())
        answer = connection.makefile("rb")
        assert answer.readline() == b"+OK\r\n"
        return int(answer.readline()[1:])


def test_stop_kill_and_down_leave_nothing_running_and_the_next_start_finds_its_data(
    repository: Path, tmp_path: Path
) -> None:
    arguments = ("--root", str(repository))
    with RunningPlatform(tmp_path, arguments=arguments) as stopped:
        get(stopped.url + "/echo")
        processes = descendants(stopped)
        assert count_starts(stopped) == 1
    assert all_gone(processes)
    assert stopped.process is not None
    assert stopped.process.returncode == 0

    killed = RunningPlatform(tmp_path, arguments=arguments).start()
    get(killed.url + "/echo")
    processes = descendants(killed)
    assert len(processes) >= len(COMPONENTS) + 2
    assert count_starts(killed) == 2
    killed.kill()
    wait_for(lambda: all_gone(processes))

    again = RunningPlatform(tmp_path, arguments=arguments).start()
    assert set(again.pids()) >= COMPONENTS
    assert count_starts(again) == 3
    stopped_elsewhere = command("down", again.state.path)
    shown = command("status", again.state.path)
    assert (stopped_elsewhere.returncode, shown.returncode) == (0, 1)
    assert again.url in stopped_elsewhere.stdout
    assert "no platform runs" in " ".join(shown.stderr.split())
    assert again.stop() == 0


def test_functions_from_the_templates_serve(platform: RunningPlatform) -> None:
    assert status_of(platform.url + "/greeting") == 401
    assert status_of(platform.internal_url + "/services/trade-diary/", body=b"{}") == 422
    assert {"greeting", "trade-diary"} <= set(platform.pids())


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_killed_component_comes_back_on_its_port(platform: RunningPlatform, component: str) -> None:
    where = platform.status()["components"][component]["where"]

    old = platform.kill_component(component)

    wait_for(lambda: platform.pids().get(component) not in {None, old})
    assert platform.status()["components"][component]["where"] == where
    assert platform.status()["components"][component]["restarts"] == 1
    assert f"{component} ended (killed by SIGKILL)" in platform.output()


def test_busy_port_is_named_with_the_way_out(repository: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        busy = RunningPlatform(tmp_path, port=port, arguments=("--root", str(repository)))

        with pytest.raises(PlatformDidNotStart, match=rf"port {port} .*make up PORT={port + 1}"):
            busy.start()

    assert busy.process is not None
    assert busy.process.returncode == 2


def test_second_platform_on_the_same_state_is_refused(platform: RunningPlatform, repository: Path) -> None:
    result = subprocess.run(
        up_command(repository, platform.state.path),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert result.returncode == 2
    assert f"already runs on {platform.state.path}" in " ".join(result.stderr.split())


def test_status_shows_functions_and_components(platform: RunningPlatform) -> None:
    shown = command("status", platform.state.path)

    assert shown.returncode == 0
    assert "echo" in shown.stdout
    assert "redis-broker" in shown.stdout
    assert platform.url in shown.stdout


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


def close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("stop", [interrupt, close_input])
def test_stop_during_the_start_leaves_no_process(
    repository: Path, tmp_path: Path, stop: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    with subprocess.Popen(
        [*up_command(repository, tmp_path), "--stop-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for((tmp_path / "run" / "postgres.json").exists)
        processes = psutil.Process(process.pid).children(recursive=True)

        stop(process)

        assert process.wait(30) == 0
        assert all_gone(processes)
