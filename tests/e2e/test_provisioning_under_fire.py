"""`kill -9` of the steps' processes, their stores and the broker while tenants sign up: all become active."""

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import NO_ADDRESS_LIMIT, START_SECONDS, eventually

pytestmark = pytest.mark.e2e

SIGN_UPS = 6
# An entry of a dead dispatcher is taken over after 30 s of silence, a lost event after 75 s and a sweep.
SETTLED_SECONDS = 170
ENDED = ("active", "failed")
STEPS = ("database", "vault", "cache", "billing", "verify", "activate")
PROCESSES = [f"provision-{step}" for step in STEPS]
BACKING = ["secret-store", "stripe-simulator", "redis-cache", "postgres", "broker-dispatcher"]


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory, market_files: Path) -> Iterator[RunningPlatform]:
    """A platform of its own: what is killed here would disturb others."""
    running = RunningPlatform(
        tmp_path_factory.mktemp("fragile"), market_data_dir=market_files, environment=NO_ADDRESS_LIMIT
    )
    running.start(timeout_seconds=START_SECONDS)
    yield running
    running.stop()


class NewTenant:
    """A tenant that has just signed up."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.account = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(16)}
        self.accepted: dict[str, Any] = {}

    def sign_up(self) -> None:
        """Sign up as a client does that knows how to try again."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        body = {**self.account, "company": "Test", "tier": "pro"}
        answer = eventually(
            lambda: self.http.post("/auth/signup", json=body, headers=key),
            lambda answer: answer.status_code == 202,
            seconds=60,
        )
        self.accepted = answer.json()

    def end(self) -> dict[str, Any]:
        """Return the provisioning once it has ended."""
        login = eventually(
            lambda: self.http.post("/auth/login", json=self.account),
            lambda answer: answer.status_code == 200,
            seconds=60,
        )
        self.http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        answer = eventually(
            lambda: self.http.get(self.accepted["status_url"]),
            lambda answer: answer.status_code == 200 and answer.json()["status"] in ENDED,
            seconds=SETTLED_SECONDS,
        )
        document: dict[str, Any] = answer.json()
        return document

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


@pytest.mark.parametrize("victims", [PROCESSES, BACKING], ids=["steps", "stores-and-broker"])
def test_whatever_is_killed_while_tenants_sign_up_they_all_become_active(
    fragile: RunningPlatform, victims: list[str]
) -> None:
    tenants = [NewTenant(fragile.url) for _ in range(SIGN_UPS)]
    stop = threading.Event()
    killed: list[str] = []
    killer = threading.Thread(target=kill_each_once, args=(fragile, victims, killed, stop))
    killer.start()
    for tenant in tenants:
        tenant.sign_up()
    documents = [tenant.end() for tenant in tenants]
    stop.set()
    killer.join()
    for tenant in tenants:
        tenant.close()

    assert len(killed) >= len(victims) // 2, killed
    assert [document["status"] for document in documents] == ["active"] * SIGN_UPS, documents
    assert {step["status"] for document in documents for step in document["steps"]} == {"done"}


def kill_each_once(
    platform: RunningPlatform, victims: list[str], killed: list[str], stop: threading.Event
) -> None:
    """Kill each victim when it is seen to run, one after the other."""
    left = list(victims)
    deadline = time.monotonic() + 60
    while left and not stop.is_set() and time.monotonic() < deadline:
        running = platform.pids()
        victim = next((name for name in left if name in running), None)
        if victim is not None:
            platform.kill_component(victim)
            killed.append(victim)
            left.remove(victim)
        stop.wait(0.3)  # the spacing of the kills


def ask_stripe_for_a_refusal(platform: RunningPlatform) -> None:
    """Have the simulated Stripe refuse the next customer for good."""
    key = (platform.state.secrets / "stripe-simulator").read_text()
    where = platform.status()["components"]["stripe-simulator"]["where"]
    fault = {"method": "POST", "path": "/v1/customers", "status": "402"}
    answer = httpx.post(f"http://{where}/_simulation/faults", data=fault, auth=(key, ""), trust_env=False)
    answer.raise_for_status()


def subjects_of(platform: RunningPlatform, tenant: NewTenant) -> str:
    """Return the subjects of the mails a tenant's owner got, a line each."""
    query = {"to": tenant.account["email"]}
    answer = httpx.get(f"{platform.url}/mailbox.json", params=query, trust_env=False)
    return "\n".join(mail["subject"] for mail in answer.json()["items"])


def test_a_refused_customer_is_undone_by_the_dead_letter_and_the_owner_tries_again(
    fragile: RunningPlatform,
) -> None:
    ask_stripe_for_a_refusal(fragile)
    tenant = NewTenant(fragile.url)
    tenant.sign_up()
    failed = tenant.end()
    refused = tenant.http.get("/portfolio")

    retried = tenant.http.post(f"{tenant.accepted['status_url']}/retry")
    active = tenant.end()
    told = eventually(
        lambda: subjects_of(fragile, tenant),
        lambda subjects: "set up" in subjects and "ready" in subjects,
    )
    tenant.close()

    steps = {step["step"]: step["status"] for step in failed["steps"]}
    assert (failed["status"], steps["billing"], steps["vault"], steps["verify"]) == (
        "failed",
        "failed",
        "compensated",
        "skipped",
    )
    assert [part["left"] for part in failed["run"]["report"]["stores"]] == [[], [], [], []]
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_not_active")
    assert (retried.status_code, active["status"]) == (202, "active")
    assert "could not be set up" in told


def test_a_tenant_is_deleted_over_http_and_cannot_log_in_any_more(fragile: RunningPlatform) -> None:
    tenant = NewTenant(fragile.url)
    tenant.sign_up()
    assert tenant.end()["status"] == "active"
    export = tenant.http.get("/tenants/me/export")

    accepted = tenant.http.post("/tenants/me/delete", json={"password": tenant.account["password"]})
    gone = eventually(
        lambda: tenant.http.get(tenant.accepted["status_url"]), lambda answer: answer.status_code == 401
    )
    login = tenant.http.post("/auth/login", json=tenant.account)
    tenant.close()

    assert (export.status_code, export.headers["content-type"]) == (200, "application/zip")
    assert accepted.status_code == 202, accepted.text
    assert (gone.status_code, login.status_code) == (401, 401)
