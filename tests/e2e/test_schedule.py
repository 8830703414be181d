"""A subscription becomes a run through schedule, broker, functions and database: once for each close."""

import datetime as dt
import uuid

import httpx
import pytest

from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, eventually

pytestmark = pytest.mark.e2e


def ping(platform: RunningPlatform, schedule: str, *, at: dt.datetime) -> None:
    """Send what a PingSource sends."""
    ingress = platform.status()["components"]["broker-ingress"]["where"]
    event = Event(
        type="dev.knative.sources.ping",
        source="/apis/v1/namespaces/alphapulse/pingsources/test",
        data={},
        extensions={"schedule": schedule},
        id=str(uuid.uuid4()),
        time=at,
    )
    headers, body = event.to_http()
    taken = httpx.post(f"http://{ingress}/alphapulse/default", headers=headers, content=body, trust_env=False)
    assert taken.status_code == 202


def test_subscription_becomes_one_run_at_each_close(platform: RunningPlatform, user: User) -> None:
    subscribed = user.post("/agents/subscriptions", {"symbol": "BTC-USD", "interval": "1d"})
    now = dt.datetime.now(dt.UTC)

    ping(platform, "agent-schedule-1d", at=now)
    ping(platform, "agent-schedule-1d", at=now)

    [run] = eventually(lambda: user.get("/agents/runs")["items"], bool)
    ended = user.finished_run(run["run_id"])
    assert {task["agent"] for task in ended["agents"]} == set(AGENT_NAMES)
    assert {task["status"] for task in ended["agents"]} <= {"done", "abstained"}
    [listed] = user.get("/agents/subscriptions")["items"]
    assert listed["last_run_id"] == run["run_id"]
    assert dt.datetime.fromisoformat(listed["last_tick_at"]) == Interval.DAY.open_of(now)
    assert len(user.consensus_of(run["run_id"], "BTC-USD")) == 1

    ping(platform, "agent-schedule-1d", at=now)
    user.http.delete(f"/agents/subscriptions/{subscribed['id']}").raise_for_status()

    waiting = eventually(lambda: user.get("/agents/outcomes?status=pending")["items"], bool)
    spoken = [one for one in user.signals_of(run["run_id"], "BTC-USD") if not one["abstained"]]
    assert {one["id"] for one in waiting} == {one["id"] for one in spoken}
    assert len(user.get("/agents/runs")["items"]) == 1
