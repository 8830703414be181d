"""The whole local platform, and users of it who know its address only."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest

from alphapulse_local.testing import RunningPlatform
from tests.exchange_simulators.running import RunningExchanges
from tests.market_files import REAL, real_files_present, write_random_walk

START_SECONDS = 120
# All tests come from one address, which may ask for a thousand things a minute.
NO_ADDRESS_LIMIT = {"IP_REQUESTS_PER_MINUTE": "1000000"}
DEADLINE_SECONDS = 90


class User:
    """One tenant's owner."""

    def __init__(self, url: str, *, tier: str = "enterprise") -> None:
        self.email = f"{secrets.token_hex(8)}@example.com"
        self.password = secrets.token_urlsafe(16)
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        account = {"email": self.email, "password": self.password}
        signed_up = self.http.post("/auth/signup", json={**account, "company": "Test", "tier": tier})
        assert signed_up.status_code == 202, signed_up.text
        self.tenant_id: str = signed_up.json()["tenant_id"]
        tokens = self.http.post("/auth/login", json=account)
        assert tokens.status_code == 200, tokens.text
        self.tokens: dict[str, Any] = tokens.json()
        self.http.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        provisioned = eventually(
            lambda: self.get(f"/tenants/{self.tenant_id}/provisioning"),
            lambda found: found["status"] not in ("pending", "provisioning"),
        )
        assert provisioned["status"] == "active", provisioned

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: dict[str, Any], *, expect: int = 201) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.status_code == expect, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def follow_technical_alone(self, interval: str) -> None:
        """Ask the technical agent only, and give it enough weight for a quorum."""
        technical = {"agent": "technical", "weight": "1", "parameters": {"interval": interval}}
        others = [{"agent": agent, "enabled": False} for agent in ("fundamental", "sentiment")]
        self.post("/agents/config", {"agents": [technical, *others]}, expect=200)

    def run_agents(self, *symbols: str, agents: Sequence[str] = ("technical",)) -> str:
        body = {"symbols": list(symbols), "agents": list(agents)}
        run_id: str = self.post("/agents/run", body, expect=202)["run_id"]
        return run_id

    def finished_run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = eventually(
            lambda: self.get(f"/agents/runs/{run_id}"), lambda found: found["status"] != "running"
        )
        return run

    def signals_of(self, run_id: str, symbol: str) -> list[dict[str, Any]]:
        found = self.get(f"/agents/signals?symbol={symbol}&limit=500")["items"]
        return [signal for signal in found if signal["run_id"] == run_id]

    def consensus_of(self, run_id: str, symbol: str) -> list[dict[str, Any]]:
        found = self.get(f"/agents/consensus?symbol={symbol}&limit=500")["items"]
        return [consensus for consensus in found if consensus["run_id"] == run_id]


T = TypeVar("T")


def eventually(look: Callable[[], T], good: Callable[[T], bool], *, seconds: float = DEADLINE_SECONDS) -> T:
    """Look until it is good, or fail with what was seen last."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s; last seen: {seen}"
        time.sleep(0.1)
    return seen


@pytest.fixture(scope="session")
def market_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real candles when they are there, else a random walk."""
    return REAL if real_files_present() else write_random_walk(tmp_path_factory.mktemp("candles"))


@pytest.fixture(scope="session")
def exchanges() -> Iterator[RunningExchanges]:
    """The exchanges that the platform below reaches."""
    simulated = RunningExchanges()
    simulated.start()
    yield simulated
    simulated.stop()


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, market_files: Path, exchanges: RunningExchanges
) -> Iterator[RunningPlatform]:
    """A platform for the tests that break nothing."""
    running = RunningPlatform(
        tmp_path_factory.mktemp("platform"),
        market_data_dir=market_files,
        environment=NO_ADDRESS_LIMIT | exchanges.environment,
    )
    running.start(timeout_seconds=START_SECONDS)
    yield running
    running.stop()


@pytest.fixture
def user(platform: RunningPlatform) -> Iterator[User]:
    """A fresh tenant's owner, once market data are loaded."""
    with User(platform.url) as owner:
        yield with_market_data(owner)


@pytest.fixture
def stranger(platform: RunningPlatform) -> Iterator[User]:
    """Another tenant's owner."""
    with User(platform.url) as owner:
        yield owner


def with_market_data(user: User) -> User:
    """Return the user when daily candles of BTC-USD are there."""
    eventually(
        lambda: (
            user.get("/market/BTC-USD/candles?interval=1d&limit=500")
            if "BTC-USD" in symbols(user)
            else {"items": []}
        ),
        lambda candles: len(candles["items"]) > 0,
    )
    return user


def symbols(user: User) -> set[str]:
    """Symbols that are listed."""
    return {item["symbol"] for item in user.get("/market/instruments")["items"]}
