"""Every function also runs under plain functions-framework, as its `main.py` promises."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from alphapulse_local.embedded.process import free_port, log_tail, stop
from tests.processes import ROOT, function_names, minimal_environment

DEADLINE_SECONDS = 60


@contextlib.contextmanager
def served(function: str, folder: Path, signing_key: bytes) -> Iterator[str]:
    port = free_port()
    key = folder / "key.pem"
    key.write_bytes(signing_key)
    log = folder / "log"
    command = [
        str(Path(sys.executable).parent / "functions-framework"),
        *("--source", f"functions/{function}/main.py", "--target", "main"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=minimal_environment() | {"TOKEN_SIGNING_KEY_FILE": str(key)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process, how=signal.SIGTERM)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log_tail(log)
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/nowhere", timeout=30)
            return
        time.sleep(0.05)
    raise AssertionError(log_tail(log))


@pytest.mark.parametrize("function", function_names())
def test_the_function_answers_under_plain_functions_framework(
    function: str, tmp_path: Path, signing_key: bytes
) -> None:
    with served(function, tmp_path, signing_key) as url:
        unknown = httpx.get(f"{url}/nowhere", timeout=30)
        malformed = httpx.post(f"{url}/", json={"not": "an event"}, timeout=30)

    # Our own problem documents: the framework's would be plain texts.
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert malformed.headers["content-type"] == "application/problem+json"
    assert malformed.status_code in (404, 405, 422)
