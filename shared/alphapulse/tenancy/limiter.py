"""Rate limits and daily quotas, counted in Redis for all processes together.

One script takes a request from the caller's address and from its tenant in one round trip. While Redis is
away this process judges by what it sees itself, with the same limits, and hands in afterwards how many
requests it let through.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from alphapulse.tenancy.cache import CacheConnection, CacheUnavailable
from alphapulse.tenancy.redis_client import Script
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import TierLimits
from alphapulse.tenancy.windows import DAY_SECONDS, Allowance, Counts, Standing, Verdict, take

_TAKE, _COUNT_CALLS = Script("take"), Script("count_calls")
_UNLIMITED, _NOT_COUNTED = -1, -2
_FIGURES = 4
_KEPT: Final = 20_000
_LAST_TRIES: Final = 3
_LAST_PAUSE_SECONDS: Final = 1.1


def tenant_key(tenant_id: TenantId) -> str:
    """Return the name of a tenant's counts."""
    return f"meta:tenant:{{{tenant_id}}}:requests"


def tenant_of(key: str) -> TenantId:
    """Return whose counts a name is of.

    Raises
    ------
    ValueError
        It is not the name of a tenant's counts.
    """
    return TenantId.parse(key.partition("{")[2].partition("}")[0])


def tenant_allowance(tenant_id: TenantId, limits: TierLimits, *, daily: bool = True) -> Allowance:
    """Return what a tenant may ask for; without `daily` the day's requests are counted and not limited."""
    return Allowance(
        key=tenant_key(tenant_id),
        per_minute=limits.requests_per_minute,
        per_day=limits.api_calls_per_day if daily else None,
        counts_days=True,
    )


@lru_cache(maxsize=4096)
def address_allowance(address: str, per_minute: int) -> Allowance:
    """Return what a client address may ask for."""
    return Allowance(key=f"meta:ip:{{{address}}}:requests", per_minute=per_minute)


class RateLimiter:
    """The limits of one process.

    Parameters
    ----------
    cache
        Where the counts are.
    clock
        Seconds since 1970; None for Redis' own clock, which all processes share.
    """

    def __init__(self, cache: CacheConnection, *, clock: Callable[[], float] | None = None) -> None:
        self._cache = cache
        self._clock = clock
        self._local: dict[str, Counts] = {}
        self._late: dict[tuple[str, int], int] = {}
        self._refused_until: dict[str, float] = {}
        self._handing_in: asyncio.Task[bool] | None = None

    @property
    def backlog(self) -> dict[tuple[str, int], int]:
        """Requests by key and day that Redis does not know of yet."""
        return dict(self._late)

    async def take(self, *allowances: Allowance) -> Verdict:
        """Take one request from each allowance, or from none of them."""
        try:
            return await self._take(allowances)
        except CacheUnavailable:
            return self._take_alone(allowances)

    def refused_for(self, allowance: Allowance) -> float | None:
        """Return for how many seconds more an allowance refuses, if this process knows that it does."""
        until = self._refused_until.get(allowance.key)
        left = 0.0 if until is None else until - self._seconds()
        return left if left > 0 else None

    async def calls_today(self, tenant_id: TenantId) -> int | None:
        """Return a tenant's requests of this UTC day; None when Redis is down."""
        key, day = tenant_key(tenant_id), int(self._seconds() // DAY_SECONDS)
        try:
            found_day, count = await self._cache.run("HMGET", key, "d", "n")
        except CacheUnavailable:
            return None
        known = int(count) if found_day is not None and int(found_day) == day else 0
        return known + self._late.get((key, day), 0)

    async def count(self, tenant_id: TenantId, day: int, calls: int) -> None:
        """Add calls of a day (days since 1970) that Redis does not know of.

        Raises
        ------
        CacheUnavailable
            Redis does not answer.
        """
        await self._cache.evaluate(_COUNT_CALLS, (tenant_key(tenant_id),), (day, calls))

    async def hand_in(self) -> bool:
        """Tell Redis what it does not know of; return whether nothing is left.

        What is being told is out of the backlog, so that it is told once; an answer that is lost may
        still have it counted twice, never not at all.
        """
        for entry in list(self._late):
            count = self._late.pop(entry, 0)
            if not count:
                continue
            try:
                await self._cache.evaluate(_COUNT_CALLS, (entry[0],), (entry[1], count))
            except (CacheUnavailable, asyncio.CancelledError) as error:
                self._late[entry] = self._late.get(entry, 0) + count
                if isinstance(error, asyncio.CancelledError):
                    raise
                return False
        return True

    async def close(self) -> Mapping[tuple[TenantId, int], int]:
        """Hand in what is left; a Redis that is away is waited for a few seconds.

        Returns
        -------
        mapping
            Calls by tenant and day (days since 1970) that could not be handed in.
        """
        if self._handing_in is not None:
            await self._handing_in
        for attempt in range(_LAST_TRIES):
            if attempt:
                await asyncio.sleep(_LAST_PAUSE_SECONDS)
            if await self.hand_in():
                return {}
        return {(tenant_of(key), day): calls for (key, day), calls in self._late.items()}

    async def _take(self, allowances: Sequence[Allowance]) -> Verdict:
        if len(allowances) > 1 and not self._cache.one_node:
            # The keys are in different slots, and one script cannot reach both.
            parts = await asyncio.gather(*(self._take((allowance,)) for allowance in allowances))
            refusing = next((i for i, part in enumerate(parts) if part.refusing is not None), None)
            standings = [part.standings[0] for part in parts]
            return Verdict(refusing=refusing, allowances=allowances, standings=standings)
        day = int(self._seconds() // DAY_SECONDS)
        arguments: list[float | int | str] = ["" if self._clock is None else self._clock()]
        told: dict[tuple[str, int], int] = {}
        for allowance in allowances:
            late = self._late.pop((allowance.key, day), 0) if self._late else 0
            if late:
                told[allowance.key, day] = late
            arguments += [allowance.per_minute, _daily(allowance), late]
        try:
            answer: list[int] = await self._cache.evaluate(
                _TAKE, [allowance.key for allowance in allowances], arguments
            )
        except BaseException:
            for entry, late in told.items():
                self._late[entry] = self._late.get(entry, 0) + late
            raise
        verdict = _verdict(allowances, answer)
        self._note(verdict)
        if self._late and self._handing_in is None:
            # Redis is back; tenants that ask for nothing more are told of as well.
            self._handing_in = asyncio.get_running_loop().create_task(self.hand_in())
            self._handing_in.add_done_callback(self._handed_in)
        return verdict

    def _handed_in(self, _: "asyncio.Task[bool]") -> None:
        self._handing_in = None

    def _take_alone(self, allowances: Sequence[Allowance]) -> Verdict:
        seconds = self._seconds()
        verdict = take([self._counts(one.key) for one in allowances], allowances, seconds=seconds)
        if verdict.refusing is None:
            day = int(seconds // DAY_SECONDS)
            for allowance in allowances:
                if allowance.counts_days:
                    self._late[allowance.key, day] = self._late.get((allowance.key, day), 0) + 1
        self._note(verdict)
        return verdict

    def _note(self, verdict: Verdict) -> None:
        """Remember a refusal, and how far the day's counts were: what follows may be judged alone."""
        if verdict.refusing is not None:
            refusing = verdict.allowances[verdict.refusing]
            if len(self._refused_until) >= _KEPT:
                self._refused_until.clear()
            wait = verdict.standings[verdict.refusing].reset_seconds
            self._refused_until[refusing.key] = self._seconds() + wait
        if verdict.counted:
            day = int(self._seconds() // DAY_SECONDS)
            for allowance, standing in zip(verdict.allowances, verdict.standings, strict=True):
                if allowance.counts_days:
                    counts = self._counts(allowance.key)
                    counts.day, counts.today = day, standing.calls_today

    def _counts(self, key: str) -> Counts:
        found = self._local.get(key)
        if found is None:
            if len(self._local) >= _KEPT:
                self._local.clear()
            found = self._local[key] = Counts()
        return found

    def _seconds(self) -> float:
        return time.time() if self._clock is None else self._clock()


def _daily(allowance: Allowance) -> int:
    if not allowance.counts_days:
        return _NOT_COUNTED
    return _UNLIMITED if allowance.per_day is None else allowance.per_day


def _verdict(allowances: Sequence[Allowance], answer: Sequence[int]) -> Verdict:
    refusing, *figures = answer
    standings = [
        Standing(
            remaining=figures[at],
            reset_seconds=figures[at + 1] / 1000,
            calls_today=figures[at + 2],
            day_spent=bool(figures[at + 3]),
        )
        for at in range(0, len(figures), _FIGURES)
    ]
    return Verdict(refusing=refusing - 1 if refusing else None, allowances=allowances, standings=standings)
