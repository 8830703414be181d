"""`kill -9` between request and signal: after the restart every requested signal is there exactly once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import NO_ADDRESS_LIMIT, START_SECONDS, User, eventually, with_market_data

pytestmark = pytest.mark.e2e

RUNS = 12
# One reads candles from PostgreSQL and the cache, the other what a data source gives.
AGENTS = ["technical", "value"]
# An entry of a dead dispatcher is taken over after 30 s of silence, an unsent event after a minute.
SETTLED_SECONDS = 150


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory, market_files: Path) -> Iterator[RunningPlatform]:
    """A platform of its own: what is killed here would disturb others."""
    running = RunningPlatform(
        tmp_path_factory.mktemp("fragile"), market_data_dir=market_files, environment=NO_ADDRESS_LIMIT
    )
    running.start(timeout_seconds=START_SECONDS)
    yield running
    running.stop()


@pytest.fixture
def user(fragile: RunningPlatform) -> Iterator[User]:
    """A fresh tenant whose consensus follows the technical agent."""
    with User(fragile.url, tier="enterprise") as owner:
        with_market_data(owner)
        owner.follow_technical_alone("1d")
        owner.finished_run(owner.run_agents("BTC-USD", agents=AGENTS))  # everything on the way is warm
        yield owner


VICTIMS = (
    "agents",
    "signal-technical",
    "signal-value",
    "consensus",
    "outbox-relay",
    "broker-dispatcher",
    "broker-ingress",
    "redis-broker",
    "redis-cache",
)


@pytest.mark.parametrize("victim", VICTIMS)
def test_after_a_kill_every_requested_signal_is_there_exactly_once(
    fragile: RunningPlatform, user: User, victim: str
) -> None:
    killer = Killer(fragile, victim)
    killer.start()
    accepted = []
    for _ in range(RUNS):
        answer = user.http.post("/agents/run", json={"symbols": ["BTC-USD"], "agents": AGENTS})
        if answer.status_code == 202:
            accepted.append(answer.json()["run_id"])
        else:
            assert answer.status_code in (502, 503), answer.text
            assert "retry-after" in answer.headers
    killer.join()

    assert killer.kills >= 1
    assert len(accepted) >= RUNS // 2
    for run_id in accepted:
        run = eventually(
            lambda run_id=run_id: user.get(f"/agents/runs/{run_id}"),
            lambda found: found["status"] != "running",
            seconds=SETTLED_SECONDS,
        )
        assert run["status"] == "done", run
        assert sorted(signal["agent"] for signal in user.signals_of(run_id, "BTC-USD")) == AGENTS
        assert len(user.consensus_of(run_id, "BTC-USD")) == 1
    eventually(fragile.pids, lambda pids: victim in pids or victim in SCALED_TO_ZERO, seconds=30)


SCALED_TO_ZERO = {"agents", "signal-technical", "signal-value", "consensus", "outbox-relay"}


class Killer(threading.Thread):
    """Kills a component a few times while requests go on, whenever it runs."""

    def __init__(self, platform: RunningPlatform, victim: str, *, times: int = 2) -> None:
        super().__init__()
        self.platform = platform
        self.victim = victim
        self.times = times
        self.kills = 0

    def run(self) -> None:
        started, last = time.monotonic(), None
        # A function that a schedule starts runs once a minute; one kill of it is enough.
        while self.kills < self.times and time.monotonic() < started + (20 if self.kills else 90):
            pid = self.platform.pids().get(self.victim)
            if pid is not None and pid != last:
                last = self.platform.kill_component(self.victim)
                self.kills += 1
            time.sleep(0.15)  # the spacing of the kills


def test_a_killed_function_is_said_to_have_crashed_and_the_others_go_on(
    fragile: RunningPlatform, user: User
) -> None:
    user.get("/portfolio")
    fragile.kill_component("portfolio")

    assert user.get("/tenants/me")["id"] == user.tenant_id
    eventually(fragile.output, lambda text: "portfolio ended (killed by SIGKILL)" in text, seconds=10)
    assert user.get("/portfolio")["equity"]


def test_everything_is_there_again_after_a_restart_of_the_whole_platform(
    tmp_path: Path, market_files: Path
) -> None:
    first = RunningPlatform(tmp_path, market_data_dir=market_files, environment=NO_ADDRESS_LIMIT).start(
        timeout_seconds=START_SECONDS
    )
    try:
        owner = with_market_data(User(first.url))
        trade = owner.post(
            "/trades", {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.1"}
        )
        first.kill()
        second = RunningPlatform(tmp_path, market_data_dir=market_files, environment=NO_ADDRESS_LIMIT)
        second.start(timeout_seconds=START_SECONDS)
        try:
            owner.http.base_url = second.url
            again = owner.get(f"/trades/{trade['id']}")
        finally:
            second.stop()
    finally:
        first.stop()

    assert trade == again
