"""How fast all processes together send requests to one outside service, and its pauses.

Services limit requests within seconds, not only within a minute, so requests are spread out: a burst may
go at once, the ones after it wait for their moment, and one that would wait too long is refused. While Redis
is away each process does the same arithmetic for itself.
"""

import time
from dataclasses import dataclass

from alphapulse.tenancy.cache import CacheConnection, CacheUnavailable
from alphapulse.tenancy.redis_client import Script

_PACE = Script("pace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A rate.

    Attributes
    ----------
    per_minute : float
        Requests in the long run.
    burst : int
        Requests that may go at once after a silence; counted within the rate.
    """

    per_minute: float
    burst: int

    @property
    def interval_ms(self) -> float:
        """Milliseconds between requests in the long run."""
        return 60_000 / self.per_minute

    @property
    def ahead_ms(self) -> float:
        """How far a burst may run ahead of that."""
        return (self.burst - 1) * self.interval_ms


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a request may be sent.

    Attributes
    ----------
    granted : bool
    wait_seconds : float
        Before sending it; when it is not granted, until it is worth asking again.
    """

    granted: bool
    wait_seconds: float


class Pacing:
    """The pace of one service.

    Parameters
    ----------
    connection
        The cache Redis.
    service
        Its name, part of the key's name in Redis.
    pace
        What it is asked at most.
    """

    def __init__(self, connection: CacheConnection, service: str, pace: Pace) -> None:
        self._connection = connection
        self._key = f"meta:source:{{{service}}}:pace"
        self._pace = pace
        self._used_ms = self._paused_ms = 0.0

    async def take(self, *, patience_seconds: float) -> Turn:
        """Take the next moment to send a request, if it comes within `patience_seconds`."""
        pace = self._pace
        return await self._run(pace.interval_ms, patience_ms=patience_seconds * 1000, pause_ms=0)

    async def look(self) -> Turn:
        """Tell whether the service is paused, without taking anything."""
        return await self._run(0, patience_ms=float(10**12), pause_ms=0)

    async def pause(self, seconds: float) -> None:
        """Keep everybody away from the service for a time."""
        self._paused_ms = max(self._paused_ms, _now_ms() + seconds * 1000)
        await self._run(0, patience_ms=0, pause_ms=seconds * 1000)

    async def _run(self, interval_ms: float, *, patience_ms: float, pause_ms: float) -> Turn:
        now = _now_ms()
        if self._paused_ms > now:
            turn = Turn(granted=False, wait_seconds=(self._paused_ms - now) / 1000)
            if not pause_ms:
                return turn
        arguments = (interval_ms, self._pace.ahead_ms, patience_ms, pause_ms)
        try:
            granted, wait_ms = await self._connection.evaluate(_PACE, (self._key,), arguments)
        except CacheUnavailable:
            return self._alone(interval_ms, patience_ms, now)
        return Turn(granted=bool(granted), wait_seconds=wait_ms / 1000)

    def _alone(self, interval_ms: float, patience_ms: float, now: float) -> Turn:
        if self._paused_ms > now:
            return Turn(granted=False, wait_seconds=(self._paused_ms - now) / 1000)
        used = max(self._used_ms, now)
        wait = max(0.0, used - self._pace.ahead_ms - now)
        if wait > patience_ms:
            return Turn(granted=False, wait_seconds=wait / 1000)
        if interval_ms:
            self._used_ms = used + interval_ms
        return Turn(granted=True, wait_seconds=wait / 1000)


def _now_ms() -> float:
    return time.monotonic() * 1000
