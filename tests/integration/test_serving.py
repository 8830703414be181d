"""`python -m alphapulse.serve`: health, readiness, metrics, shutdown, and refusals to start."""

import contextlib
import http.server
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse_local.embedded.process import free_port, log_tail, stop
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.processes import ROOT, minimal_environment

DEADLINE_SECONDS = 60


class Served:
    """One function's process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "function.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "alphapulse.serve"],
                cwd=ROOT,
                env=minimal_environment() | {"PORT": str(self.port), "HOST": "127.0.0.1", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, log_tail(self.log)
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(log_tail(self.log))


@pytest.fixture
def environment_of_accounts(
    tmp_path: Path, database: DatabaseUrls, redis_server: EmbeddedRedis, signing_key: bytes
) -> dict[str, str]:
    key = tmp_path / "key.pem"
    key.write_bytes(signing_key)
    return {
        "FUNCTION": "accounts",
        "DATABASE_URL": database.app,
        "PLATFORM_DATABASE_URL": database.platform,
        "REDIS_URL": redis_server.url,
        "TOKEN_SIGNING_KEY_FILE": str(key),
    }


@pytest.fixture
def accounts(tmp_path: Path, environment_of_accounts: dict[str, str]) -> Iterator[Served]:
    served = Served(tmp_path, **environment_of_accounts)
    served.wait()
    yield served
    stop(served.process)


def sign_up(url: str, email: str) -> httpx.Response:
    body = {"email": email, "password": "a long pass phrase", "company": "Acme"}
    return httpx.post(f"{url}/auth/signup", json=body, timeout=30)


def test_a_function_tells_health_readiness_and_metrics(accounts: Served) -> None:
    sign_up(accounts.url, "metrics@example.com")

    health = httpx.get(f"{accounts.url}/health").json()
    ready = httpx.get(f"{accounts.url}/ready")
    metrics = httpx.get(f"{accounts.url}/metrics").text

    assert health == {"status": "alive", "function": "accounts"}
    assert (ready.status_code, ready.json()["unreachable"]) == (200, [])
    assert 'alphapulse_requests_total{method="POST",route="/auth/signup",status="202"} 1.0' in metrics


def test_a_function_whose_database_is_gone_is_alive_and_not_ready(tmp_path: Path) -> None:
    served = Served(tmp_path, FUNCTION="trade", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    served.wait()
    try:
        ready = httpx.get(f"{served.url}/ready", timeout=10)
    finally:
        stop(served.process)

    assert (ready.status_code, ready.json()["unreachable"]) == (503, ["database"])


def test_sigterm_finishes_what_is_in_flight_and_ends_with_status_0(accounts: Served) -> None:
    answers: list[httpx.Response] = []
    clients = [
        threading.Thread(target=lambda n=n: answers.append(sign_up(accounts.url, f"flight{n}@example.com")))
        for n in range(6)
    ]
    for client in clients:
        client.start()
    wait_for_in_flight(accounts, 6)

    accounts.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(DEADLINE_SECONDS)

    assert [answer.status_code for answer in answers] == [202] * 6
    assert accounts.process.wait(DEADLINE_SECONDS) == 0


class SlowIngress(http.server.BaseHTTPRequestHandler):
    """A broker that takes its time; `types` are the event types it has stored."""

    types: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(0.3)
        self.types.append(self.headers["ce-type"])
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def slow_broker() -> Iterator[str]:
    SlowIngress.types.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowIngress)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/alphapulse/default"
    server.shutdown()
    thread.join()
    server.server_close()


def test_sigterm_right_after_an_answer_still_sends_its_events(
    tmp_path: Path, environment_of_accounts: dict[str, str], slow_broker: str
) -> None:
    served = Served(tmp_path, **environment_of_accounts, BROKER_URL=slow_broker)
    served.wait()
    try:
        answer = sign_up(served.url, "drained@example.com")
        sent_before = len(SlowIngress.types)
        served.process.send_signal(signal.SIGTERM)
        status = served.process.wait(DEADLINE_SECONDS)
    finally:
        stop(served.process)

    assert (answer.status_code, sent_before, status) == (202, 0, 0)
    assert SlowIngress.types == ["com.alphapulse.tenant.signup.requested.v1"]


def wait_for_in_flight(served: Served, count: int) -> None:
    """Return when the process answers that many requests at once (hashing a password takes a while)."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        page = httpx.get(f"{served.url}/metrics").text
        line = next(line for line in page.splitlines() if line.startswith("alphapulse_requests_in_flight "))
        if float(line.split()[1]) >= count:
            return
    raise AssertionError(f"never {count} requests in flight")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FUNCTION": "trade", "LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"FUNCTION": "../etc"}, "FUNCTION"),
        ({"FUNCTION": "accounts"}, "TOKEN_SIGNING_KEY_FILE"),
        ({"FUNCTION": "no_such_function"}, "no_such_function"),
    ],
)
def test_a_function_that_cannot_run_says_why_and_ends(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    served = Served(tmp_path, **environment)

    assert served.process.wait(DEADLINE_SECONDS) != 0
    assert message in log_tail(served.log)
