"""The command line: what it says when something is wrong, and that it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse_local.embedded.process import free_port

SECRET = "do-not-print-me"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alphapulse_broker", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def nowhere() -> str:
    return f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"


def test_help_names_the_commands_and_the_settings() -> None:
    done = run("--help")

    assert done.returncode == 0
    for text in (
        "ingress",
        "dispatcher",
        "status",
        "parked",
        "replay",
        "BROKER_REDIS_URL",
        "BROKER_TRIGGERS",
    ):
        assert text in done.stdout


def test_missing_redis_url_is_named_and_the_status_is_2() -> None:
    done = run("ingress")

    assert done.returncode == 2
    assert "BROKER_REDIS_URL: Field required" in done.stderr


def test_setting_out_of_bounds_is_named(nowhere: str) -> None:
    done = run("status", BROKER_REDIS_URL=nowhere, BROKER_IN_FLIGHT="0")

    assert done.returncode == 2
    assert "BROKER_IN_FLIGHT: Input should be greater than 0" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("command", [("status",), ("parked", "--json"), ("replay", "one")])
def test_unreachable_redis_is_said_without_the_password(command: tuple[str, ...], nowhere: str) -> None:
    done = run(*command, BROKER_REDIS_URL=nowhere)

    assert done.returncode == 1
    assert "redis did not answer" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["ingress", "dispatcher"])
def test_4_unusable_manifest_stops_a_process_at_start(command: str, nowhere: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: bad}\n"
        "spec: {subscriber: {uri: 'http://x'}, filters: [{cesql: 'type ='}]}\n"
    )

    done = run(command, BROKER_REDIS_URL=nowhere, BROKER_TRIGGERS=str(tmp_path))

    assert done.returncode == 1
    assert "InvalidManifest: bad.yaml: trigger bad: cesql: line 1, column 7" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["ingress", "dispatcher"])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_15_process_without_redis_starts_and_stops_on_a_signal(
    command: str, stop: signal.Signals, nowhere: str, tmp_path: Path
) -> None:
    environment = {"BROKER_REDIS_URL": nowhere, "BROKER_TRIGGERS": str(tmp_path), "BROKER_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "alphapulse_broker", command],
        env={"PATH": os.environ["PATH"], "BROKER_DISPATCHER_PORT": "0", **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        log = ""
        while "log_unavailable" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
        process.send_signal(stop)
        _, rest = process.communicate(timeout=20)

    assert process.returncode == 0
    assert SECRET not in log + rest
    assert "stopped" in rest
