"""Run the PingSources: post an event to the broker whenever a schedule is due."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import aiohttp
from croniter import croniter  # type: ignore[import-untyped]  # has no stubs

from alphapulse_local.launch import Reporter
from alphapulse_local.manifests import Schedule

PING_TYPE = "dev.knative.sources.ping"

_FIRST_RETRY_SECONDS = 0.2
_LONGEST_RETRY_SECONDS = 5.0


class ScheduleRunner:
    """Fires each schedule once when it starts, then whenever its cron expression is due.

    Parameters
    ----------
    broker_url
        The broker's ingress.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        *,
        broker_url: str,
        session: aiohttp.ClientSession,
        reporter: Reporter,
    ) -> None:
        self._schedules = schedules
        self._broker_url = broker_url
        self._session = session
        self._reporter = reporter

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for schedule in self._schedules:
                group.create_task(self._run(schedule))

    async def _run(self, schedule: Schedule) -> None:
        # The platform may have been off for days: without this first one, market data would be
        # missing until the next full minute.
        due = dt.datetime.now(dt.UTC)
        while True:
            following = next_due(schedule, after=due)
            await self._fire(schedule, due, give_up_at=following)
            wait = (following - dt.datetime.now(dt.UTC)).total_seconds()
            await asyncio.sleep(max(0.0, wait))
            due = following

    async def _fire(self, schedule: Schedule, due: dt.datetime, *, give_up_at: dt.datetime) -> None:
        """Post one event; while the broker does not take it, try again until the next one is due."""
        headers = event_headers(schedule, due)
        wait = _FIRST_RETRY_SECONDS
        while True:
            try:
                async with self._session.post(
                    self._broker_url,
                    headers=headers,
                    data=schedule.data.encode(),
                    timeout=aiohttp.ClientTimeout(total=10),
                ) as answer:
                    if answer.ok:
                        return
                    problem = f"the broker answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = f"the broker is not reachable ({type(error).__name__})"
            if dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait) > give_up_at:
                self._reporter.warn(f"schedule {schedule.name} was missed once: {problem}")
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_RETRY_SECONDS)


def next_due(schedule: Schedule, *, after: dt.datetime) -> dt.datetime:
    """Return the first time a schedule is due after an instant."""
    local = after.astimezone(ZoneInfo(schedule.timezone))
    following: dt.datetime = croniter(schedule.cron, local).get_next(dt.datetime)
    return following


def event_headers(schedule: Schedule, due: dt.datetime) -> dict[str, str]:
    """Return the CloudEvents headers (binary mode) of one tick."""
    return {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-type": PING_TYPE,
        "ce-source": f"/apis/v1/namespaces/{schedule.namespace}/pingsources/{schedule.name}",
        "ce-time": due.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        "content-type": schedule.content_type,
        **{f"ce-{name}": value for name, value in schedule.extensions.items()},
    }
